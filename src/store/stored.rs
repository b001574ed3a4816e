//! What a record looks like once it has been in the tables: for comparing the tables with the topics they are made of.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use super::text::Cleaner;
use crate::model::record::CatalogRecord;

/// The largest whole number that every `f64` below it holds exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// `record` as the tables give it back: U+0000 replaced, JSON in one spelling, columns counted through, a dataset's own
/// tags before those of its columns. Idempotent; what differs afterwards differs for a reader.
pub fn as_stored(mut record: CatalogRecord) -> CatalogRecord {
    match &mut record {
        CatalogRecord::Dataset(r) => {
            for (index, column) in (0..).zip(&mut r.columns) {
                column.ordinal = index;
            }
            r.tags.sort_by_key(|tag| tag.field.is_some());
            [&mut r.constraints, &mut r.facets, &mut r.native].into_iter().for_each(spell_all);
        }
        CatalogRecord::DatasetStats(r) => spell_all(&mut r.column_stats),
        CatalogRecord::Container(r) => spell_all(&mut r.native),
        CatalogRecord::Partition(r) => spell(&mut r.native),
        CatalogRecord::Function(r) => spell_all(&mut r.native),
        CatalogRecord::Job(r) => spell_all(&mut r.facets),
        CatalogRecord::Run(r) => spell_all(&mut r.facets),
        CatalogRecord::Quality(r) => spell(&mut r.value),
        CatalogRecord::Change(r) => [&mut r.before, &mut r.after].into_iter().flatten().for_each(spell),
        CatalogRecord::SchemaVersion(_)
        | CatalogRecord::Lineage(_)
        | CatalogRecord::ColumnLineage(_)
        | CatalogRecord::Alias(_)
        | CatalogRecord::Query(_)
        | CatalogRecord::Usage(_) => {}
    }
    if holds_zero(&record) { without_zeros(record) } else { record }
}

fn spell_all(map: &mut BTreeMap<String, String>) {
    map.values_mut().for_each(spell);
}

/// JSON text in the one spelling that all its spellings share in `jsonb`; a JSON string stands for the text in it.
fn spell(text: &mut String) {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::String(inner)) => {
            // Text in it that is JSON again is told apart by nobody; it gets its one spelling too, whatever is compared.
            *text = inner;
            spell(text);
        }
        Ok(value) => *text = respelt(value).to_string(),
        // Not JSON: it was stored as the text that it is.
        Err(_) => {}
    }
}

fn respelt(value: Value) -> Value {
    match value {
        // `jsonb` writes 1e2 as 100.
        Value::Number(number) => {
            match number.as_f64().filter(|n| number.is_f64() && n.fract() == 0.0 && n.abs() < EXACT) {
                Some(whole) => Value::Number(Number::from(whole as i64)),
                None => Value::Number(number),
            }
        }
        Value::Array(items) => Value::Array(items.into_iter().map(respelt).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, field)| (name, respelt(field))).collect())
        }
        other => other,
    }
}

fn holds_zero(record: &CatalogRecord) -> bool {
    // Debug escapes U+0000; a text that holds the escape itself only takes the longer way.
    format!("{record:?}").contains("\\0")
}

/// Every text of the record as the writer cleans it.
fn without_zeros(record: CatalogRecord) -> CatalogRecord {
    fn clean<T: serde::Serialize + serde::de::DeserializeOwned>(record: T) -> T {
        let json = Cleaner::default().json(&record);
        serde_json::from_str(&json).unwrap_or(record)
    }
    match record {
        CatalogRecord::Dataset(r) => CatalogRecord::Dataset(clean(r)),
        CatalogRecord::DatasetStats(r) => CatalogRecord::DatasetStats(clean(r)),
        CatalogRecord::Container(r) => CatalogRecord::Container(clean(r)),
        CatalogRecord::Partition(r) => CatalogRecord::Partition(clean(r)),
        CatalogRecord::Function(r) => CatalogRecord::Function(clean(r)),
        CatalogRecord::SchemaVersion(r) => CatalogRecord::SchemaVersion(clean(r)),
        CatalogRecord::Job(r) => CatalogRecord::Job(clean(r)),
        CatalogRecord::Run(r) => CatalogRecord::Run(clean(r)),
        CatalogRecord::Lineage(r) => CatalogRecord::Lineage(clean(r)),
        CatalogRecord::ColumnLineage(r) => CatalogRecord::ColumnLineage(clean(r)),
        CatalogRecord::Alias(r) => CatalogRecord::Alias(clean(r)),
        CatalogRecord::Quality(r) => CatalogRecord::Quality(clean(r)),
        CatalogRecord::Query(r) => CatalogRecord::Query(clean(r)),
        CatalogRecord::Usage(r) => CatalogRecord::Usage(clean(r)),
        CatalogRecord::Change(r) => CatalogRecord::Change(clean(r)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_json_value_are_one() {
        let spelt = |text: &str| {
            let mut text = text.to_owned();
            spell(&mut text);
            text
        };
        assert_eq!(spelt(r#"{"b": 1e2, "a": [1.5, "x"]}"#), r#"{"a":[1.5,"x"],"b":100}"#);
        assert_eq!((spelt(r#""word""#), spelt(r#""1e2""#)), ("word".to_owned(), "100".to_owned()));
        assert_eq!(spelt("not json"), "not json");
        assert_eq!(spelt(r#"{"a":[1.5,"x"],"b":100}"#), r#"{"a":[1.5,"x"],"b":100}"#);
    }
}
