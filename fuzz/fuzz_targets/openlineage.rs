//! Values of OpenLineage's topic, up to facts.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tributary::codec::avro::Decoder;
use tributary::normalize::openlineage::{OpenLineageConfig, OpenLineageNormalizer};

static PARTS: LazyLock<(OpenLineageNormalizer, Decoder)> =
    LazyLock::new(|| (OpenLineageNormalizer::new(OpenLineageConfig::default()), tributary_fuzz::decoder()));

fuzz_target!(|value: &[u8]| {
    let (normalizer, decoder) = &*PARTS;
    tributary_fuzz::check(decoder, normalizer.normalize(&tributary_fuzz::raw("openlineage.events", value)));
});
