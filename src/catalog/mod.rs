//! Use cases over the catalog. Knows no HTTP, no SQL, no Kafka.

pub mod digest;
