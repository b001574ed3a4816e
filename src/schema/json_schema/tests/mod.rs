//! What the tests share.

mod bounds;
mod containers;
mod differences;
mod parsing;

use super::*;

/// Old schema, new schema, and each expected difference as `KIND path`; harmless ones count too.
type Case = (&'static str, &'static str, &'static [&'static str]);

fn parse(text: &str) -> JsonSchema {
    JsonSchema::parse(text, &[], Validation::Strict).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn found(old: &JsonSchema, new: &JsonSchema) -> Vec<String> {
    let mut found: Vec<String> =
        new.differences(old).iter().map(|found| format!("{} {}", found.change.name(), found.location())).collect();
    found.sort();
    found
}

/// Whether a difference of this name keeps a reader from reading, by what the name says.
fn harms(kind: &str) -> bool {
    let starts = |fronts: &[&str]| fronts.iter().any(|front| kind.starts_with(front));
    let ends = |backs: &[&str]| backs.iter().any(|back| kind.ends_with(back));
    let is_upper_limit = starts(&["MAX", "EXCLUSIVE_MAX"]);
    if starts(&["ADDITIONAL", "UNEVALUATED"]) {
        return ends(&["_REMOVED", "_NARROWED"]);
    }
    if kind.contains("CONTENT_MODEL") {
        let to_open = kind.contains("TO_OPEN") && !kind.contains("EMPTY");
        let from_closed = kind.contains("FROM_CLOSED") && !kind.contains("FALSE");
        return to_open || from_closed || kind.contains("_NOT_COVERED") || starts(&["REQUIRED_PROPERTY_ADDED"]);
    }
    match kind {
        "TITLE_CHANGED" | "DESCRIPTION_CHANGED" | "DEFAULT_CHANGED" | "ID_CHANGED" => false,
        // More rules, or fewer to choose from.
        "PRODUCT_TYPE_EXTENDED" | "NOT_TYPE_EXTENDED" | "DEPENDENCY_ARRAY_EXTENDED" | "MULTIPLE_OF_EXPANDED" => true,
        "PRODUCT_TYPE_NARROWED" | "NOT_TYPE_NARROWED" | "DEPENDENCY_ARRAY_NARROWED" => false,
        _ if ends(&["_INCREASED"]) => !is_upper_limit,
        _ if ends(&["_DECREASED"]) => is_upper_limit,
        _ => ends(&["_CHANGED", "_NARROWED", "_ADDED"]) && !kind.contains("WITH_DEFAULT"),
    }
}

fn verify(old: &JsonSchema, new: &JsonSchema, expected: &[&str], what: &str) {
    let mut expected: Vec<&str> = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found(old, new), expected, "{what}");
    let mut harmful: Vec<String> =
        new.incompatibilities(old).iter().map(|found| format!("{} {}", found.kind, found.location)).collect();
    harmful.sort();
    expected.retain(|difference| harms(difference.split(' ').next().unwrap()));
    assert_eq!(harmful, expected, "{what}");
}

fn check(cases: &[Case], schema: &str) {
    for (old, new, expected) in cases {
        let with = |text: &str| match text.strip_prefix('{') {
            Some(rest) if !schema.is_empty() => {
                format!("{{\"$schema\":\"{schema}\"{}{rest}", if rest == "}" { "" } else { "," })
            }
            _ => text.to_owned(),
        };
        verify(&parse(&with(old)), &parse(&with(new)), expected, &format!("from {old} to {new}"));
    }
}

const DRAFT4: &str = "http://json-schema.org/draft-04/schema#";
const DRAFT7: &str = "http://json-schema.org/draft-07/schema#";
const DRAFT201909: &str = "https://json-schema.org/draft/2019-09/schema";
const DRAFT202012: &str = "https://json-schema.org/draft/2020-12/schema";

fn reference(name: &str, schema: &str) -> ResolvedReference {
    ResolvedReference { name: name.to_owned(), schema: schema.to_owned() }
}
