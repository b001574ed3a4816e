//! (being written)

pub mod openlineage;
