//! JSON schemas, with the documents that they refer to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary::schema::SchemaType;

fuzz_target!(|input: &[u8]| {
    tributary_fuzz::schemas::check(SchemaType::Json, input);
});
