//! A client of Hive metastores: the only module that knows the `thrift` library. Layer 2.
//!
//! Job: the calls that a tail of the notification log and a full listing need, over plain Thrift (binary protocol,
//! buffered or framed). Objects come back as the codec's ([`Object`](crate::codec::hms::thrift::Object)), so that what
//! is listed is written as the metastore's own listener writes it. Answers are bounded in bytes, calls in time. Knows
//! neither Kafka nor facts. **Every call blocks.** Kerberos, TLS and HTTP are refused with their names (ADR 20).

mod address;
mod client;
mod connection;
mod error;
mod limited;
mod structs;
mod wire;

#[cfg(test)]
mod tests;

pub use address::Address;
pub use client::{Metastore, Notification, TableNames};
pub use connection::{Connection, Options, Transport};
pub use error::MetastoreError;
pub use wire::Arg;
