//! Values of the metastore's topic, of both shapes, up to facts.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tributary::codec::avro::Decoder;
use tributary::normalize::hms::{HmsNormalizer, HmsSourceConfig};

static PARTS: LazyLock<(HmsNormalizer, Decoder)> = LazyLock::new(|| {
    let normalizer = HmsNormalizer::new(HmsSourceConfig::default()).expect("the default configuration is valid");
    (normalizer, tributary_fuzz::decoder())
});

fuzz_target!(|value: &[u8]| {
    let (normalizer, decoder) = &*PARTS;
    tributary_fuzz::check(decoder, normalizer.normalize(&tributary_fuzz::raw("hms.notifications", value)));
});
