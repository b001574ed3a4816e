//! The registry on topics that others have written, and on topics that nobody should have written.

mod damage;
mod karapace;
