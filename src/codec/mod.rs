//! Wire formats: what bytes on Kafka look like. Pure; may not know what the values mean.

pub mod avro;
pub mod hms;
pub mod json;
pub mod time;

/// How much the value of one record may ask for, whatever its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nesting of records, objects, lists, maps and unions.
    pub depth: usize,
    /// Values of any type.
    pub values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 64, values: 250_000 }
    }
}
