//! Values of dbt's topic, up to facts; artifacts also by way of the splitter, whose parts say no less.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tributary::codec::avro::Decoder;
use tributary::normalize::dbt::split::{Sent, split};
use tributary::normalize::dbt::{DbtConfig, DbtNormalizer};

static PARTS: LazyLock<(DbtNormalizer, Decoder)> =
    LazyLock::new(|| (DbtNormalizer::new(DbtConfig::default()), tributary_fuzz::decoder()));

fuzz_target!(|value: &[u8]| {
    let (normalizer, decoder) = &*PARTS;
    tributary_fuzz::check(decoder, normalizer.normalize(&tributary_fuzz::raw("dbt.events", value)));
    let sent = Sent { namespace: Some("postgres://db:5432"), project: None, target: None, max_bytes: 4 << 10 };
    let Ok(parts) = std::str::from_utf8(value).map_err(drop).and_then(|text| split(text, &sent).map_err(drop)) else {
        return;
    };
    for part in parts {
        let raw = tributary_fuzz::raw("dbt.events", part.value.as_bytes());
        tributary_fuzz::check(decoder, normalizer.normalize(&raw));
    }
});
