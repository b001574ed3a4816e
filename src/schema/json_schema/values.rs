//! Keywords that hold plain values. What is of the wrong type counts as absent; the strict check has seen to that.

use super::model::{Draft, Number, NumberRules, StringRules};
use crate::schema::json::Json;

/// Longest text quoted in a message, in characters.
const MAX_QUOTED_CHARS: usize = 300;

/// The text, cut where it is too long for a message.
pub(super) fn shortened(message: &str) -> String {
    match message.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{}...", message.get(..end).unwrap_or_default()),
        None => message.to_owned(),
    }
}

/// The value's text with the keys of objects sorted, by which equal values are recognised.
pub(super) fn sorted_text(json: &Json) -> String {
    let mut text = String::new();
    json.sorted().write(&mut text);
    text
}

/// A number.
pub(super) fn bound(json: &Json, key: &str) -> Option<Number> {
    match json.get(key)? {
        Json::Number(text) => text.parse().ok().filter(|value: &f64| value.is_finite()).map(Number::new),
        _ => None,
    }
}

/// Strings of an array, sorted, each once.
pub(super) fn names(json: Option<&Json>) -> Vec<String> {
    let Some(Json::Array(items)) = json else { return Vec::new() };
    let mut names: Vec<String> = items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    names
}

/// Keywords about strings.
pub(super) fn string_rules(json: &Json) -> StringRules {
    StringRules {
        max_length: bound(json, "maxLength"),
        min_length: bound(json, "minLength"),
        pattern: json.get("pattern").and_then(Json::as_str).map(str::to_owned),
    }
}

/// Keywords about numbers.
pub(super) fn number_rules(json: &Json, draft: Draft) -> NumberRules {
    let (maximum, minimum) = (bound(json, "maximum"), bound(json, "minimum"));
    let exclusive = |key: &str, limit: Option<Number>| match draft {
        // Draft 4 has a flag that makes the limit itself forbidden.
        Draft::Draft4 => limit.filter(|_| json.get(key) == Some(&Json::Bool(true))),
        _ => bound(json, key),
    };
    NumberRules {
        maximum,
        minimum,
        exclusive_maximum: exclusive("exclusiveMaximum", maximum),
        exclusive_minimum: exclusive("exclusiveMinimum", minimum),
        multiple_of: bound(json, "multipleOf"),
        integer: false,
    }
}
