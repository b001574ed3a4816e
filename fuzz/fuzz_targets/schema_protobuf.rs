//! Protobuf files with their imports: as text, or as the bytes of their descriptors.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use tributary::schema::SchemaType;

fuzz_target!(|input: (bool, &[u8])| {
    let (packed, bytes) = input;
    if packed {
        tributary_fuzz::schemas::check(SchemaType::Protobuf, STANDARD.encode(bytes).as_bytes());
    } else {
        tributary_fuzz::schemas::check(SchemaType::Protobuf, bytes);
    }
});
