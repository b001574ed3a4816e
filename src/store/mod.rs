//! (being written)

pub mod read;
