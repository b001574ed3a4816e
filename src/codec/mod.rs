//! (being written)

pub mod avro;
