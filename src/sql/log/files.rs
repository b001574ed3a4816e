//! Files of query logs → records, for `tributary produce`: JSON Lines, csvlog, lists of the platforms' REST APIs.
//!
//! A record is what the topic takes: one JSON object or one csvlog record. What cannot be read is a record as well: the
//! pipeline judges it, and says where it went.

use std::io::{self, BufRead};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Fields under which platforms and loggers list records: BigQuery's jobs, Databricks' queries, Cloud Logging's entries.
const LISTS: [&str; 6] = ["jobs", "res", "entries", "queries", "records", "rows"];

/// One record of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The line it begins at, from 1; of a list, where the list begins.
    pub line: u64,
    /// The key that its topic wants; see [`super::key`].
    pub key: Option<String>,
    /// The value.
    pub value: Vec<u8>,
}

/// The records of a file, one after the other.
#[derive(Debug)]
pub struct Records<R> {
    input: R,
    line: u64,
    /// Records of a list that was read.
    waiting: std::vec::IntoIter<Record>,
    /// The file is one document over many lines, and read.
    is_done: bool,
}

impl<R: BufRead> Records<R> {
    /// Of a file's bytes, not compressed.
    pub fn new(input: R) -> Self {
        Self { input, line: 0, waiting: Vec::new().into_iter(), is_done: false }
    }

    /// The next line with its line break, none at the end.
    fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        if self.input.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        self.line += 1;
        Ok(Some(line))
    }

    fn next_record(&mut self) -> io::Result<Option<Record>> {
        loop {
            if let Some(record) = self.waiting.next() {
                return Ok(Some(record));
            }
            if self.is_done {
                return Ok(None);
            }
            let is_first = self.line == 0;
            let Some(mut text) = self.next_line()? else { return Ok(None) };
            let at = self.line;
            if is_first && text.starts_with(b"\xef\xbb\xbf") {
                text.drain(..3);
            }
            match text.trim_ascii_start().first() {
                None => continue,
                // A record of csvlog goes on over line breaks in quotes.
                Some(b'0'..=b'9') => {
                    while !quotes_are_closed(&text) {
                        let Some(more) = self.next_line()? else { break };
                        text.extend(more);
                    }
                    return Ok(Some(record(at, text)));
                }
                Some(b'{' | b'[') => {
                    // A document over many lines; a broken line amidst others is theirs to tell.
                    if is_first && is_cut(&text) {
                        self.input.read_to_end(&mut text)?;
                        self.is_done = true;
                    }
                    self.waiting = documents(at, text).into_iter();
                }
                Some(_) => return Ok(Some(record(at, text))),
            }
        }
    }
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}

fn record(line: u64, mut value: Vec<u8>) -> Record {
    value.truncate(value.trim_ascii_end().len());
    Record { line, key: super::key(&value), value }
}

fn quotes_are_closed(text: &[u8]) -> bool {
    text.iter().filter(|&&byte| byte == b'"').count() % 2 == 0
}

/// Whether JSON ends before it is complete.
fn is_cut(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_err_and(|error| error.is_eof())
}

/// The records of one JSON document, or of several in a row; as one record what is no JSON.
fn documents(line: u64, text: Vec<u8>) -> Vec<Record> {
    let read = std::str::from_utf8(&text).ok().and_then(|text| {
        let documents = serde_json::Deserializer::from_str(text).into_iter::<Listed<'_>>();
        documents.collect::<Result<Vec<_>, _>>().ok()
    });
    match read {
        Some(read) => {
            let texts = read.iter().flat_map(|listed| listed.0.iter());
            texts.map(|raw| record(line, raw.get().as_bytes().to_vec())).collect()
        }
        None => vec![record(line, text)],
    }
}

/// The elements of a list, of an object's one known list, or the object itself.
#[derive(Debug)]
struct Listed<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Listed<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        let of_list = || serde_json::from_str::<Vec<&'de RawValue>>(raw.get()).ok();
        let of_object = || serde_json::from_str::<Holder<'de>>(raw.get()).ok()?.0;
        let inner = if raw.get().starts_with('[') { of_list() } else { of_object() };
        Ok(Self(inner.unwrap_or_else(|| vec![raw])))
    }
}

/// The list in an object that has one of the names and no fields of a record around it.
struct Holder<'a>(Option<Vec<&'a RawValue>>);

impl<'de: 'a, 'a> Deserialize<'de> for Holder<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HolderVisitor;
        impl<'de> Visitor<'de> for HolderVisitor {
            type Value = Holder<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = None;
                let mut fields = 0;
                while let Some(name) = map.next_key::<std::borrow::Cow<'_, str>>()? {
                    fields += 1;
                    if LISTS.contains(&name.as_ref()) {
                        let Objects(list) = map.next_value()?;
                        found = found.or(list);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                // Beside the list stand a kind, a token of the next page, and little else.
                Ok(Holder(found.filter(|_| fields <= 6)))
            }
        }
        deserializer.deserialize_map(HolderVisitor)
    }
}

/// A list that holds nothing but objects.
struct Objects<'a>(Option<Vec<&'a RawValue>>);

impl<'de: 'a, 'a> Deserialize<'de> for Objects<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectsVisitor;
        impl<'de> Visitor<'de> for ObjectsVisitor {
            type Value = Vec<&'de RawValue>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(items)
            }
        }
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        let list = serde_json::Deserializer::from_str(raw.get()).deserialize_seq(ObjectsVisitor).ok();
        Ok(Self(list.filter(|items| items.iter().all(|item| item.get().starts_with('{')))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        Records::new(text.as_bytes()).map(|record| String::from_utf8(record.unwrap().value).unwrap()).collect()
    }

    #[test]
    fn lines_lists_and_documents_become_records() {
        assert_eq!(
            values("{\"a\":1}\r\n\n{\"b\":2}\n{broken\n{\"c\":3}"),
            ["{\"a\":1}", "{\"b\":2}", "{broken", "{\"c\":3}"]
        );
        assert_eq!(values("[\n {\"a\": 1},\n {\"b\": 2}\n]\n"), ["{\"a\": 1}", "{\"b\": 2}"]);
        assert_eq!(values("{\"kind\":\"x\",\n\"jobs\": [{\"id\": 1},\n{\"id\": 2}]}"), ["{\"id\": 1}", "{\"id\": 2}"]);
        assert_eq!(values("{\"res\":[{\"a\":1}],\"next_page_token\":\"t\"}\n{\"res\":[]}\n"), ["{\"a\":1}"]);
        assert_eq!(values("{\n\"a\":\n1}\n{\n\"b\":2}"), ["{\n\"a\":\n1}", "{\n\"b\":2}"]);
        assert_eq!(values("{\"rows\":5}"), ["{\"rows\":5}"], "no list");
        assert_eq!(values("{\"rows\":[1,2]}"), ["{\"rows\":[1,2]}"], "no records in it");
        assert_eq!(values("\u{feff}{\"a\":1}\nnot json\n"), ["{\"a\":1}", "not json"]);
        assert_eq!(values(""), Vec::<String>::new());
    }

    #[test]
    fn records_of_csvlog_go_on_over_line_breaks_in_quotes() {
        let text = "2026-01-01 00:00:00 UTC,a,\"statement: select\n  \"\"x\"\"\n\",\n2026-01-01 00:00:01 UTC,b,c\n";
        let records: Vec<Record> = Records::new(text.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(records.iter().map(|record| record.line).collect::<Vec<_>>(), [1, 4]);
        assert_eq!(records[0].value, b"2026-01-01 00:00:00 UTC,a,\"statement: select\n  \"\"x\"\"\n\",");
    }
}
