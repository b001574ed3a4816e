//! The command line.

pub mod bench { pub mod generator; }
