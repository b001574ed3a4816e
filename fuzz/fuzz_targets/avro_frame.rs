//! Framed values of raw topics: magic byte, schema id, datum.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tributary::codec::avro::{DecodeError, Decoder, RawSubject};

static DECODER: LazyLock<Decoder> = LazyLock::new(tributary_fuzz::decoder);

fuzz_target!(|value: &[u8]| {
    for subject in [RawSubject::HmsNotifications, RawSubject::OpenLineageEvents] {
        match DECODER.raw_json(subject, value) {
            Ok(json) => assert!(!json.is_empty() || subject == RawSubject::OpenLineageEvents),
            Err(error @ DecodeError::Unavailable { .. }) => panic!("the registry is here: {error}"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
