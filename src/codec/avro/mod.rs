//! Avro in Confluent framing: our records and facts, and foreign events resolved to our reader schemas.
//!
//! Pure: schemas of foreign writers are asked of a [`WriterSchemas`], which may not be a network call in a hurry; the
//! decoder remembers each answer. May not know Kafka or the registry.

mod frame;
mod raw;
mod resolve;
mod schemas;
mod typed;

#[cfg(test)]
mod tests;

pub use frame::{HEADER_BYTES, is_framed, split_frame, start_frame};
pub use raw::RawSubject;
pub use resolve::{Limits, decode_to_json};
pub use schemas::{SUBJECTS, Subject, subject_of};
pub use typed::{
    DecodeError, Decoder, EncodeError, SchemaLookupError, WriterSchema, WriterSchemas, encode_fact, encode_record,
};
