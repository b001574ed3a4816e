//! Nothing that is parsed or compared explodes (a test that does not end has failed), and a schema is always compatible
//! with itself.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::schema::{MAX_SCHEMA_BYTES, json};

/// Parses both texts and compares them both ways; answers the kinds found when `new` reads `old`.
fn both_ways(old: &str, new: &str) -> Vec<&'static str> {
    assert!(old.len() < MAX_SCHEMA_BYTES && new.len() < MAX_SCHEMA_BYTES);
    let (old, new) = (parse(old), parse(new));
    let kinds: Vec<_> = new.incompatibilities(&old).iter().map(|found| found.kind).collect();
    let _ = old.incompatibilities(&new);
    kinds
}

/// `count` times what `part` makes of a number, with commas.
fn list(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect::<Vec<_>>().join(",")
}

#[test]
fn schemas_nest_as_deep_as_json_does() {
    for (open, close, per_level) in [
        ("{\"not\":", "}", 1),
        ("{\"properties\":{\"a\":", "}}", 2),
        ("{\"items\":", "}", 1),
        ("{\"anyOf\":[{\"type\":\"null\"},", "]}", 2),
    ] {
        let levels = (json::MAX_DEPTH - 1) / per_level;
        for schema in [DRAFT7, DRAFT202012] {
            let nest = |inner: &str| {
                let text = format!("{}{inner}{}", open.repeat(levels), close.repeat(levels));
                text.replacen('{', &format!("{{\"$schema\":\"{schema}\","), 1)
            };
            let (old, new) = (parse(&nest("{\"type\":\"integer\"}")), parse(&nest("{\"type\":\"number\"}")));
            // What is allowed more widely is forbidden more widely under an odd number of negations.
            let flipped = open.contains("not") && levels % 2 == 1;
            assert_eq!(new.incompatibilities(&old).is_empty(), !flipped, "{open}");
            assert_eq!(old.incompatibilities(&new).is_empty(), flipped, "{open}");
        }
    }
}

#[test]
fn wide_combinations_are_given_up() {
    let wide = |count: usize, low: usize| {
        format!("{{\"anyOf\":[{}]}}", list(count, |i| format!("{{\"minimum\":{}}}", i + low)))
    };
    assert!(both_ways(&wide(200, 1), &wide(200, 0)).is_empty());
    assert_eq!(both_ways(&wide(3000, 1), &wide(3000, 0)), ["COMPARISON_GIVEN_UP"]);
}

#[test]
fn entangled_references_end() {
    let tangle = |count: usize, inner: &str| {
        let branches = list(count, |i| format!("{{\"$ref\":\"#/definitions/d{i}\"}}"));
        let definitions = list(count, |i| {
            format!(
                "\"d{i}\":{{\"properties\":{{\"p{i}\":{{\"anyOf\":[{branches}]}},\"x\":{{\"type\":\"{inner}\"}}}}}}"
            )
        });
        format!("{{\"$ref\":\"#/definitions/d0\",\"definitions\":{{{definitions}}}}}")
    };
    // All definitions refer to all: pairs are remembered, so that this is quick, and not given up.
    for count in [8, 60] {
        assert!(both_ways(&tangle(count, "integer"), &tangle(count, "number")).is_empty());
        let narrowed = both_ways(&tangle(count, "number"), &tangle(count, "integer"));
        assert!(narrowed.contains(&"TYPE_NARROWED") && !narrowed.contains(&"COMPARISON_GIVEN_UP"), "{narrowed:?}");
    }
}

#[test]
fn long_chains_of_references_end() {
    let chain = |count: usize, end: &str| {
        let links = list(count, |i| format!("\"d{i}\":{{\"$ref\":\"#/definitions/d{}\"}}", i + 1));
        let uses = list(count, |i| format!("{{\"$ref\":\"#/definitions/d{i}\"}}"));
        format!("{{\"items\":[{uses}],\"definitions\":{{{links},\"d{count}\":{{\"type\":\"{end}\"}}}}}}")
    };
    assert_eq!(both_ways(&chain(5000, "string"), &chain(5000, "string")).len(), 0);
    assert_eq!(both_ways(&chain(5000, "string"), &chain(5000, "null")).len(), 5000);
    // Objects nested through references, deeper than any text nests them.
    let deep = |count: usize, end: &str| {
        let links =
            list(count, |i| format!("\"d{i}\":{{\"properties\":{{\"a\":{{\"$ref\":\"#/definitions/d{}\"}}}}}}", i + 1));
        format!("{{\"$ref\":\"#/definitions/d0\",\"definitions\":{{{links},\"d{count}\":{{\"type\":\"{end}\"}}}}}}")
    };
    assert_eq!(both_ways(&deep(200, "string"), &deep(200, "null")), ["TYPE_CHANGED"]);
    assert_eq!(both_ways(&deep(5000, "string"), &deep(5000, "null")), ["COMPARISON_GIVEN_UP"]);
}

#[test]
fn recursions_of_different_length_end() {
    let ring = |count: usize| {
        let links = list(count, |i| {
            format!("\"d{i}\":{{\"properties\":{{\"a\":{{\"$ref\":\"#/definitions/d{}\"}}}}}}", (i + 1) % count)
        });
        format!("{{\"$ref\":\"#/definitions/d0\",\"definitions\":{{{links}}}}}")
    };
    assert!(both_ways(&ring(13), &ring(17)).is_empty());
    assert_eq!(both_ways(&ring(101), &ring(103)), ["COMPARISON_GIVEN_UP"]);
}

#[test]
fn many_references_into_one_another_are_loaded_once() {
    let mut text = "{\"definitions\":{".to_owned();
    let big = list(20_000, |i| format!("\"p{i}\":{{\"type\":\"string\"}}"));
    write!(text, "\"a\":{}{{\"properties\":{{{big}}}}}{}}},\"allOf\":[", "{\"not\":".repeat(200), "}".repeat(200))
        .unwrap();
    text.push_str(&list(200, |i| format!("{{\"$ref\":\"#/definitions/a{}\"}}", "/not".repeat(i))));
    text.push_str("]}");
    both_ways(&text, &text.replace("\"p1\"", "\"q1\""));
    // Names that repeat in every path.
    let name = "n".repeat(20_000);
    let nested = |inner: &str| {
        format!("{}{{\"type\":\"{inner}\"}}{}", format!("{{\"properties\":{{\"{name}\":").repeat(100), "}}".repeat(100))
    };
    assert_eq!(both_ways(&nested("string"), &nested("null")).len(), 1);
    // Patterns that take their time.
    let slow = |property: &str| {
        let patterns = list(200, |i| format!("\"(?=(a+)+$){i}\":{{}}"));
        let names = list(200, |i| format!("\"{property}{i}{}\":{{}}", "a".repeat(40)));
        format!("{{\"patternProperties\":{{{patterns}}},\"properties\":{{{names}}}}}")
    };
    both_ways(&slow("x"), &slow("y"));
}

#[test]
fn what_a_pattern_covers_is_not_guessed() {
    let long = "a".repeat(5_000);
    for pattern in ["(?:(?=a)(?=a)){9999999999999}", "(?<", "(", "\\\\1", &long] {
        let old = format!(r#"{{"type":"object","patternProperties":{{"{pattern}":{{}}}}}}"#);
        let new = format!(r#"{{"type":"object","patternProperties":{{"{pattern}":{{}}}},"properties":{{"a":{{}}}}}}"#);
        assert_eq!(found(&parse(&old), &parse(&new)), ["COMPARISON_GIVEN_UP #/patternProperties"], "{pattern}");
        assert!(parse(&new).differences(&parse(&new)).is_empty(), "{pattern}");
    }
    let counted = |rest: &str| parse(&format!(r#"{{"patternProperties":{{"^a{{2}}$":{{"type":"null"}}}}{rest}}}"#));
    let added = found(&counted(""), &counted(r#","properties":{"aa":{"type":"null"}}"#));
    assert!(added.iter().any(|found| found.starts_with("PROPERTY_ADDED_IS_COVERED")), "{added:?}");
}

#[test]
fn complaints_about_nested_schemas_end() {
    for (open, close) in [("{\"items\":", "}"), ("{\"items\":[", "]}"), ("{\"dependencies\":{\"a\":", "}}")] {
        let text = format!("{}{{\"type\":1}}{}", open.repeat(100), close.repeat(100));
        assert!(JsonSchema::parse(&text, &[], Validation::Strict).is_err());
    }
}

/// Small schemas of all keywords, references that may lead anywhere among them.
fn schemas() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("{}".to_owned()),
        "string|integer|number|boolean|null|array|object".prop_map(|name| format!("{{\"type\":\"{name}\"}}")),
        (0..3_u8).prop_map(|number| format!("{{\"$ref\":\"#/definitions/d{number}\"}}")),
        Just("{\"$ref\":\"#\"}".to_owned()),
        (0..3_u8, "min|max", "Length|Items|Properties").prop_map(|(n, end, what)| format!("{{\"{end}{what}\":{n}}}")),
        (0..3_u8).prop_map(|number| format!("{{\"type\":[\"integer\",\"null\"],\"minimum\":{number}}}")),
        (0..3_u8).prop_map(|number| format!("{{\"enum\":[{number},\"x\"],\"title\":\"t{number}\"}}")),
        (0..3_u8).prop_map(|number| format!("{{\"const\":{number}}}")),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let some = prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            (some.clone(), "allOf|anyOf|oneOf|items")
                .prop_map(|(parts, key)| format!("{{\"{key}\":[{}]}}", parts.join(","))),
            (some.clone(), "properties|patternProperties|dependencies").prop_map(|(parts, key)| {
                let members = list(parts.len(), |i| format!("\"{}\":{}", ["a", "b"][i % 2], parts[i]));
                format!("{{\"{key}\":{{{members}}},\"required\":[\"a\"],\"additionalProperties\":false}}")
            }),
            (inner.clone(), "not|items|additionalProperties|additionalItems|contains|propertyNames|if|then")
                .prop_map(|(part, key)| format!("{{\"{key}\":{part}}}")),
            (inner.clone(), inner).prop_map(|(part, rest)| {
                format!("{{\"properties\":{{\"a\":{part}}},\"additionalProperties\":{rest},\"items\":[{rest}]}}")
            }),
        ]
    })
}

/// A schema of a draft, with three definitions.
fn documents() -> impl Strategy<Value = String> {
    let drafts = prop::sample::select(vec![DRAFT4, DRAFT7, DRAFT201909, DRAFT202012]);
    (drafts, prop::collection::vec(schemas(), 4)).prop_map(|(draft, parts)| {
        let definitions = list(3, |i| format!("\"d{i}\":{}", parts[i]));
        format!("{{\"$schema\":\"{draft}\",\"definitions\":{{{definitions}}},\"allOf\":[{}]}}", parts[3])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_schema_is_compatible_with_itself(text in documents()) {
        let parsed = JsonSchema::parse(&text, &[], Validation::Lenient);
        prop_assert!(parsed.is_ok(), "{:?}", parsed.err());
        let schema = parsed.unwrap();
        // Another text of the same meaning, so that the shortcut for equal texts does not answer.
        let again = JsonSchema::parse(&text.replacen('{', "{\"x-note\":1,", 1), &[], Validation::Lenient).unwrap();
        prop_assert_eq!(found(&schema, &again), found(&again, &schema));
        prop_assert!(again.incompatibilities(&schema).is_empty(), "{:?}", again.incompatibilities(&schema));
    }

    #[test]
    fn any_two_schemas_are_compared(old in documents(), new in documents()) {
        for validation in [Validation::Strict, Validation::Lenient, Validation::Unresolved] {
            let parse = |text: &str| JsonSchema::parse(text, &[], validation);
            if let (Ok(old), Ok(new)) = (parse(&old), parse(&new)) {
                for found in new.incompatibilities(&old) {
                    prop_assert!(found.location.starts_with("#/") && !found.description.is_empty());
                }
                let _ = (old.normalized(), old.resolved());
            }
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "[{}\\[\\]:,\"a$#/ref0-9]{0,40}") {
        let _ = JsonSchema::parse(&text, &[], Validation::Strict);
    }
}
