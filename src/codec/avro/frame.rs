//! Confluent's wire format: a zero byte, the schema id as four bytes big endian, the Avro datum.
//!
//! Format: <https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format>

use crate::model::reject::{ReasonCode, Rejection};

/// Bytes before the datum.
pub const HEADER_BYTES: usize = 5;

/// Whether a value can be framed at all: no JSON text starts with a zero byte.
pub fn is_framed(value: &[u8]) -> bool {
    value.first() == Some(&0)
}

/// Starts a framed value.
pub fn start_frame(schema_id: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(0);
    bytes.extend_from_slice(&schema_id.to_be_bytes());
    bytes
}

/// Schema id and datum of a framed value.
///
/// # Errors
/// `EmptyValue` if there are no bytes, `InvalidAvro` if the magic byte is not 0 or the header is cut off.
pub fn split_frame(value: &[u8]) -> Result<(u32, &[u8]), Rejection> {
    match value {
        [] => Err(Rejection::new(ReasonCode::EmptyValue, "", "the value has no bytes; send a framed Avro datum")),
        [0, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        [0, ..] => Err(Rejection::new(
            ReasonCode::InvalidAvro,
            "",
            format!("the frame ends after {} of its {HEADER_BYTES} header bytes", value.len()),
        )),
        [magic, ..] => Err(Rejection::new(
            ReasonCode::InvalidAvro,
            "",
            format!("magic byte is {magic:#04x}, not 0x00; send Confluent framed Avro"),
        )),
    }
}
