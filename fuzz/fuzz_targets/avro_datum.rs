//! Data under our own schemas; the first byte chooses the topic.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tributary::codec::avro::{Decoder, SUBJECTS, encode_record, start_frame};
use tributary::model::check::{FactLimits, check_read};
use tributary::model::record::CatalogTopic;
use tributary_fuzz::{FACTS, check_fact};

static DECODER: LazyLock<Decoder> = LazyLock::new(tributary_fuzz::decoder);

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, datum) = input;
    let id = u32::from(choice) % SUBJECTS.len() as u32;
    let mut value = start_frame(id);
    value.extend_from_slice(datum);
    match CatalogTopic::ALL.iter().find(|topic| topic.name() == SUBJECTS[id as usize].topic) {
        Some(topic) => {
            if let Ok(record) = DECODER.record(*topic, &value) {
                let again = encode_record(&record, id).expect("what was read can be written");
                let read = DECODER.record(*topic, &again).expect("what was written can be read");
                // Bytes, as NaN is not equal to itself.
                assert_eq!(again, encode_record(&read, id).expect("what was read can be written"));
            }
        }
        None if id == *FACTS => {
            if let Ok(fact) = DECODER.fact(&value)
                && check_read(&fact, &FactLimits::default()).is_ok()
            {
                check_fact(&DECODER, &fact);
            }
        }
        // Of a raw topic: that is the target avro_frame.
        None => {}
    }
});
