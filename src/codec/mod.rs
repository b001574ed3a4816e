//! Wire formats: what bytes on Kafka look like. Pure; may not know what the values mean.

pub mod avro;
pub mod hms;
