//! Compressed messages: packed by us, so that what is inside is reached, or any bytes as they come.
#![no_main]

use std::io::Write;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use tributary::codec::avro::Decoder;
use tributary::normalize::hms::{HmsNormalizer, HmsSourceConfig};

static PARTS: LazyLock<(HmsNormalizer, Decoder)> = LazyLock::new(|| {
    let normalizer = HmsNormalizer::new(HmsSourceConfig::default()).expect("the default configuration is valid");
    (normalizer, tributary_fuzz::decoder())
});

const TYPES: [&str; 5] = ["CREATE_TABLE", "ALTER_TABLE", "ADD_PARTITION", "CREATE_DATABASE", "DROP_TABLE"];

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (pack, choice, bytes) = input;
    let packed = if pack {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    } else {
        bytes.to_vec()
    };
    let event = serde_json::json!({
        "eventId": 1,
        "eventTime": 1_795_241_941,
        "eventType": TYPES[usize::from(choice) % TYPES.len()],
        "dbName": "d",
        "tableName": "t",
        "message": STANDARD.encode(packed),
        "messageFormat": "gzip(json-2.0)",
    });
    let (normalizer, decoder) = &*PARTS;
    let value = event.to_string();
    tributary_fuzz::check(decoder, normalizer.normalize(&tributary_fuzz::raw("hms.notifications", value.as_bytes())));
});
