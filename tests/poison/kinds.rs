//! Every kind of poison, with what becomes of it: written down by hand from the formats, not taken from our own answers.

use tributary::kafka::Headers;

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// A dead letter with this reason and path.
    Letter(&'static str, String),
    /// It has a meaning: facts, or a counted no-op. its entry in the table says which.
    Meaning,
}

/// One poisoned record.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Its name in this table.
    pub name: &'static str,
    pub topic: &'static str,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
    pub becomes: Becomes,
}

impl Kind {
    pub fn letter(
        name: &'static str,
        topic: &'static str,
        value: impl Into<Vec<u8>>,
        why: (&'static str, &str),
    ) -> Self {
        let becomes = Becomes::Letter(why.0, why.1.to_owned());
        Self { becomes, ..Self::meaning(name, topic, value) }
    }

    pub fn meaning(name: &'static str, topic: &'static str, value: impl Into<Vec<u8>>) -> Self {
        let (key, headers) = (Some(b"poison".to_vec()), Headers::new());
        Self { name, topic, key, value: Some(value.into()), headers, becomes: Becomes::Meaning }
    }

    pub fn without_value(self) -> Self {
        Self { value: None, ..self }
    }

    pub fn keyed(self, key: Option<Vec<u8>>) -> Self {
        Self { key, ..self }
    }

    pub fn with_headers(self, headers: Headers) -> Self {
        Self { headers, ..self }
    }
}

/// Ids under which the registry of a test knows schemas.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids {
    pub notification: u32,
    pub event: u32,
    pub fact: u32,
    pub dataset: u32,
    pub container: u32,
    /// `"int"`.
    pub int: u32,
    /// A notification whose `eventId` is a string.
    pub texts: u32,
    /// A record that starts with an array of nulls, which take no bytes.
    pub nulls: u32,
}

/// Schemas of foreign writers, by the names of the fields of [`Ids`].
pub const FOREIGN: [(&str, &str); 3] = [
    ("int", r#""int""#),
    (
        "texts",
        r#"{"type":"record","name":"N","fields":[{"name":"eventId","type":"string"},
            {"name":"eventType","type":"string"},{"name":"message","type":"string"}]}"#,
    ),
    (
        "nulls",
        r#"{"type":"record","name":"E","fields":[{"name":"extra","type":{"type":"array","items":"null"}},
            {"name":"event","type":["null","string"]}]}"#,
    ),
];

/// An id that no registry gives out.
pub const NO_SCHEMA: u32 = 0x7fff_fffe;

pub fn frame(id: u32, datum: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], datum].concat()
}

/// A zigzag variable-length number.
pub fn long(n: i64) -> Vec<u8> {
    let mut rest = ((n << 1) ^ (n >> 63)) as u64;
    let mut out = Vec::new();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out
}

pub fn text(text: &str) -> Vec<u8> {
    [long(text.len() as i64), text.as_bytes().to_vec()].concat()
}

/// The step to the innermost of nested lists that is one too deep: each list is the first item of the one around it.
pub fn too_deep(outer: &str, lists: usize) -> String {
    format!("{outer}{}", "/0".repeat(lists))
}

pub fn lists(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}
