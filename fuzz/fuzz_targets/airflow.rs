//! Values of the topic of Airflow's listeners, up to facts.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tributary::codec::avro::Decoder;
use tributary::normalize::airflow::{AirflowConfig, AirflowNormalizer};

static PARTS: LazyLock<(AirflowNormalizer, Decoder)> =
    LazyLock::new(|| (AirflowNormalizer::new(AirflowConfig::default()), tributary_fuzz::decoder()));

fuzz_target!(|value: &[u8]| {
    let (normalizer, decoder) = &*PARTS;
    tributary_fuzz::check(decoder, normalizer.normalize(&tributary_fuzz::raw("airflow.events", value)));
});
