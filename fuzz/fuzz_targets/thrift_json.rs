//! Thrift's JSON protocol; the first byte chooses the struct.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary::codec::Limits;
use tributary::codec::hms::thrift::{DATABASE, FUNCTION, PARTITION, Struct, TABLE};
use tributary::codec::hms::tjson;
use tributary::codec::json::Allowance;

const STRUCTS: [&Struct; 4] = [&DATABASE, &TABLE, &PARTITION, &FUNCTION];

fuzz_target!(|input: (u8, &str)| {
    let (choice, text) = input;
    let schema = STRUCTS[usize::from(choice) % STRUCTS.len()];
    let read = tjson::read(schema, text, &mut Allowance::new(Limits::default()));
    if let Err(rejection) = read {
        assert!(!rejection.to_string().is_empty());
    }
});
