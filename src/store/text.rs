//! Text as Postgres takes it: no U+0000, times in range, JSON that jsonb accepts.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Prepares values and counts the characters it had to replace.
#[derive(Debug, Default)]
pub(super) struct Cleaner {
    /// U+0000 replaced by U+FFFD.
    pub(super) replaced: u64,
}

impl Cleaner {
    /// Text without U+0000.
    pub(super) fn text<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        let zeros = text.bytes().filter(|byte| *byte == 0).count();
        if zeros == 0 {
            return Cow::Borrowed(text);
        }
        self.replaced += zeros as u64;
        Cow::Owned(text.replace('\0', "\u{FFFD}"))
    }

    /// A value as JSON text without escaped U+0000.
    pub(super) fn json(&mut self, value: &impl Serialize) -> String {
        let json = serde_json::to_string(value).expect("records have string keys and no failing serializers");
        self.escapes(json)
    }

    /// A map of JSON texts as one JSON object; a text that is not JSON stands as a string.
    pub(super) fn json_map(&mut self, map: &BTreeMap<String, String>) -> String {
        let embedded: BTreeMap<&str, Box<RawValue>> =
            map.iter().map(|(name, text)| (name.as_str(), embed(text))).collect();
        self.json(&embedded)
    }

    /// JSON text as it is; text that is not JSON as a JSON string.
    pub(super) fn json_text(&mut self, text: &str) -> String {
        let json = embed(text).get().to_owned();
        self.escapes(json)
    }

    fn escapes(&mut self, json: String) -> String {
        if !json.contains("\\u0000") {
            return json;
        }
        let mut clean = String::with_capacity(json.len());
        let mut rest = json.as_str();
        while let Some(place) = rest.find('\\') {
            let (before, escape) = rest.split_at(place);
            clean.push_str(before);
            if let Some(after) = escape.strip_prefix("\\u0000") {
                clean.push_str("\\ufffd");
                self.replaced += 1;
                rest = after;
                continue;
            }
            // The backslash and the character it escapes, which may be a backslash itself.
            let end = escape.char_indices().nth(2).map_or(escape.len(), |(end, _)| end);
            let (pair, after) = escape.split_at(end);
            clean.push_str(pair);
            rest = after;
        }
        clean.push_str(rest);
        clean
    }
}

/// Text as a JSON value, if jsonb will take it. Escapes are decoded once, which refuses lone surrogates.
fn embed(text: &str) -> Box<RawValue> {
    let as_json = if text.contains("\\u") {
        serde_json::from_str::<serde_json::Value>(text)
            .ok()
            .and_then(|value| serde_json::value::to_raw_value(&value).ok())
    } else {
        serde_json::from_str::<Box<RawValue>>(text).ok()
    };
    as_json.unwrap_or_else(|| serde_json::value::to_raw_value(text).expect("a string is valid JSON"))
}

/// Microseconds since the epoch as Postgres' type, unless out of range: 4713 BC is the server's limit, 262142 AD ours.
pub(super) fn time(micros: i64) -> Option<DateTime<Utc>> {
    const EARLIEST: i64 = -210_866_803_200_000_000;
    (micros >= EARLIEST).then(|| DateTime::from_timestamp_micros(micros)).flatten()
}

/// First 16 bytes of the SHA-256 of something: key and content hashes.
pub(super) fn hash(bytes: &[u8]) -> [u8; 16] {
    let digest = Sha256::digest(bytes);
    let mut short = [0; 16];
    short.copy_from_slice(digest.get(..16).expect("a SHA-256 has 32 bytes"));
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_replaced_and_counted_wherever_they_hide() {
        let mut cleaner = Cleaner::default();
        assert_eq!(cleaner.text("a\0b\0"), "a\u{FFFD}b\u{FFFD}");
        assert_eq!(cleaner.json(&["x\0", r"\u0000", "\\\0"]), r#"["x\ufffd","\\u0000","\\\ufffd"]"#);
        assert_eq!(cleaner.replaced, 4);
        assert!(matches!(cleaner.text("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn texts_of_json_become_json_and_others_strings() {
        let mut cleaner = Cleaner::default();
        let map = BTreeMap::from([
            ("a".to_owned(), "{\"x\": [1]}".to_owned()),
            ("b".to_owned(), "{oops".to_owned()),
            ("c".to_owned(), r#""\ud800""#.to_owned()),
        ]);
        assert_eq!(cleaner.json_map(&map), r#"{"a":{"x": [1]},"b":"{oops","c":"\"\\ud800\""}"#);
        assert_eq!(cleaner.json_text("1.50"), "1.50");
    }

    #[test]
    fn times_beyond_the_servers_range_are_no_times() {
        assert_eq!(time(0).map(|t| t.timestamp()), Some(0));
        assert!(time(i64::MIN).is_none());
        assert!(time(i64::MAX).is_none());
    }
}
