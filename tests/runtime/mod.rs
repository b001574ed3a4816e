//! The exactly-once runtime against a real Kafka.

mod child;
mod dead_letters;
mod kafka_layer;
mod kills;
mod members;
mod outage;
mod sinks;
mod support;
