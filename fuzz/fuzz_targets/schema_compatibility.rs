//! Two schemas of one language. The second is written out, or made from the first by a few edits: two texts that have
//! nothing in common end at their names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary::schema::SchemaType;
use tributary_fuzz::schemas::{compare, references, texts};

const TYPES: [SchemaType; 3] = [SchemaType::Avro, SchemaType::Json, SchemaType::Protobuf];
/// Edits have four bytes each: a place in two, how much is cut there, and which of these is put there.
const PUT: [&str; 16] = [
    "",
    "null",
    "int",
    "string",
    "\"int\"",
    "1",
    "0.5",
    "true",
    "{}",
    "[]",
    ",",
    "a",
    "repeated ",
    "[\"null\",\"A\"]",
    "\"default\":0,",
    "{\"type\":\"string\"}",
];
const EDIT: usize = 4;
const EDITS: usize = 3;

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (choice, edits, bytes) = input;
    let schema_type = TYPES[usize::from(choice) % TYPES.len()];
    if !edits {
        if let [new, old, others @ ..] = texts(bytes).as_slice() {
            compare(schema_type, new, old, &references(schema_type, others));
        }
    } else if let Some((edits, bytes)) = bytes.split_at_checked(EDIT * EDITS)
        && let [old, others @ ..] = texts(bytes).as_slice()
    {
        let new = edits.chunks(EDIT).fold((*old).to_owned(), edited);
        compare(schema_type, &new, old, &references(schema_type, others));
    }
});

fn edited(text: String, edit: &[u8]) -> String {
    let [low, high, cut, put] = *edit else { return text };
    let place = usize::from(u16::from_le_bytes([low, high])) % (text.len() + 1);
    match (text.get(..place), text.get(place + usize::from(cut)..)) {
        (Some(front), Some(back)) => format!("{front}{}{back}", PUT[usize::from(put) % PUT.len()]),
        _ => text,
    }
}
