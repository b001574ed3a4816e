//! Data under our own schemas; the first byte chooses the topic.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tributary::codec::avro::{Decoder, encode_record, start_frame};
use tributary::model::check::{FactLimits, check_read};
use tributary::model::record::CatalogTopic;
use tributary_fuzz::{FACTS, TOPICS, check_fact};

static DECODER: LazyLock<Decoder> = LazyLock::new(tributary_fuzz::decoder);

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, datum) = input;
    let id = FACTS + u32::from(choice) % (TOPICS.len() as u32 - FACTS);
    let mut value = start_frame(id);
    value.extend_from_slice(datum);
    match CatalogTopic::ALL.iter().find(|topic| topic.name() == TOPICS[id as usize]) {
        Some(topic) => {
            if let Ok(record) = DECODER.record(*topic, &value) {
                let again = encode_record(&record, id).expect("what was read can be written");
                let read = DECODER.record(*topic, &again).expect("what was written can be read");
                // Bytes, as NaN is not equal to itself.
                assert_eq!(again, encode_record(&read, id).expect("what was read can be written"));
            }
        }
        None => {
            if let Ok(fact) = DECODER.fact(&value)
                && check_read(&fact, &FactLimits::default()).is_ok()
            {
                check_fact(&DECODER, &fact);
            }
        }
    }
});
