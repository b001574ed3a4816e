//! Tests of the normalizer: real events, hand-checked facts, rejections, properties.

use super::*;
use crate::model::fact::{Fact, Origin};

fn record(value: &[u8]) -> RawRecord<'_> {
    let origin = Origin { topic: "raw.openlineage".into(), partition: 0, offset: 7 };
    RawRecord { origin, timestamp_ms: None, key: None, value: Some(value) }
}
