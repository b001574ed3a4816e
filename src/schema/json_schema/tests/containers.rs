//! Differences of objects and arrays, worked out by hand from the rules.

use super::*;

#[test]
fn objects() {
    let cases: &[Case] = &[
        (
            r#"{"properties":{"a":{"type":"null"}}}"#,
            r#"{"properties":{"a":{"type":"boolean"}}}"#,
            &["TYPE_CHANGED #/properties/a"],
        ),
        // Open writers may have put anything into a new property.
        (
            r#"{"type":"object"}"#,
            r#"{"type":"object","properties":{"a":{"type":"null"}}}"#,
            &["OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a"],
        ),
        (
            r#"{"type":"object"}"#,
            r#"{"type":"object","properties":{"a":{"type":"null"}},"required":["a"]}"#,
            &["REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a"],
        ),
        (
            r#"{"type":"object"}"#,
            r#"{"type":"object","properties":{"a":{"type":"string","default":"x"}},"required":["a"]}"#,
            &["REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a"],
        ),
        (
            r#"{"type":"object"}"#,
            r#"{"type":"object","properties":{"a":{}}}"#,
            &["PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL #/properties/a"],
        ),
        (
            r#"{"type":"object","properties":{"a":{"type":"null"}}}"#,
            r#"{"type":"object"}"#,
            &["PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL #/properties/a"],
        ),
        // Closed ones cannot have.
        (
            r#"{"type":"object","additionalProperties":false}"#,
            r#"{"type":"object","properties":{"a":{"type":"null"}},"additionalProperties":false}"#,
            &["OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a"],
        ),
        (
            r#"{"type":"object","additionalProperties":false}"#,
            r#"{"type":"object","properties":{"a":{"type":"null"}},"required":["a"],"additionalProperties":false}"#,
            &["REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a"],
        ),
        (
            r#"{"type":"object","additionalProperties":false}"#,
            r#"{"properties":{"a":{"default":1,"type":"number"}},"required":["a"],"additionalProperties":false}"#,
            &["REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a"],
        ),
        (
            r#"{"properties":{"a":{"type":"null"}},"additionalProperties":false}"#,
            r#"{"type":"object","additionalProperties":false}"#,
            &["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/a"],
        ),
        (
            r#"{"properties":{"a":false},"additionalProperties":false}"#,
            r#"{"type":"object","additionalProperties":false}"#,
            &["PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/a"],
        ),
        // Partially open ones by what their rule says.
        (
            r#"{"additionalProperties":{"type":"integer"}}"#,
            r#"{"properties":{"a":{"type":"number"}},"additionalProperties":{"type":"integer"}}"#,
            &[
                "TYPE_EXTENDED #/properties/a",
                "PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/a",
                "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a",
            ],
        ),
        (
            r#"{"patternProperties":{"^a":{"type":"null"}}}"#,
            r#"{"properties":{"ab":{"type":"string"}},"patternProperties":{"^a":{"type":"null"}}}"#,
            &[
                "TYPE_CHANGED #/properties/ab",
                "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/ab",
                "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/ab",
            ],
        ),
        (
            r#"{"properties":{"xa":{"type":"null"},"b":{"type":"null"}},"patternProperties":{"a$":{"type":"null"}}}"#,
            r#"{"patternProperties":{"a$":{"type":"null"}}}"#,
            &[
                "PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/xa",
                "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL #/properties/b",
            ],
        ),
        (
            r#"{"properties":{"a":{"type":"null"}},"additionalProperties":{"type":"string"}}"#,
            r#"{"additionalProperties":{"type":"string"}}"#,
            &[
                "TYPE_CHANGED #/properties/a",
                "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/properties/a",
            ],
        ),
        (
            r#"{"type":"object","additionalProperties":false}"#,
            r#"{"type":"object"}"#,
            &["ADDITIONAL_PROPERTIES_ADDED #/additionalProperties"],
        ),
        (
            r#"{"type":"object"}"#,
            r#"{"type":"object","additionalProperties":false}"#,
            &["ADDITIONAL_PROPERTIES_REMOVED #/additionalProperties"],
        ),
        (
            r#"{"type":"object"}"#,
            r#"{"type":"object","additionalProperties":{"type":"null"}}"#,
            &["ADDITIONAL_PROPERTIES_NARROWED #/additionalProperties"],
        ),
        (
            r#"{"type":"object","additionalProperties":{"type":"null"}}"#,
            r#"{"type":"object"}"#,
            &["ADDITIONAL_PROPERTIES_EXTENDED #/additionalProperties"],
        ),
        (
            r#"{"additionalProperties":{"maxLength":1}}"#,
            r#"{"additionalProperties":{"maxLength":2}}"#,
            &["MAX_LENGTH_INCREASED #/additionalProperties/maxLength"],
        ),
        (
            r#"{"properties":{"a":{"type":"null"}}}"#,
            r#"{"properties":{"a":{"type":"null"}},"required":["a"]}"#,
            &["REQUIRED_ATTRIBUTE_ADDED #/required/a"],
        ),
        (
            r#"{"properties":{"a":{"type":"null"}},"required":["a"]}"#,
            r#"{"properties":{"a":{"type":"null"}}}"#,
            &["REQUIRED_ATTRIBUTE_REMOVED #/required/a"],
        ),
        (
            r#"{"properties":{"a":{"type":"string"}}}"#,
            r#"{"properties":{"a":{"type":"string","default":""}},"required":["a"]}"#,
            &["REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED #/required/a", "DEFAULT_CHANGED #/properties/a"],
        ),
        (
            r#"{"maxProperties":2,"minProperties":1}"#,
            r#"{"maxProperties":3,"minProperties":2}"#,
            &["MAX_PROPERTIES_INCREASED #/maxProperties", "MIN_PROPERTIES_INCREASED #/minProperties"],
        ),
        (
            r#"{"maxProperties":2,"minProperties":1}"#,
            r#"{"maxProperties":1,"minProperties":0}"#,
            &["MAX_PROPERTIES_DECREASED #/maxProperties", "MIN_PROPERTIES_DECREASED #/minProperties"],
        ),
        (
            r#"{"type":"object","maxProperties":2}"#,
            r#"{"type":"object","minProperties":1}"#,
            &["MAX_PROPERTIES_REMOVED #/maxProperties", "MIN_PROPERTIES_ADDED #/minProperties"],
        ),
        (
            r#"{"type":"object","minProperties":2}"#,
            r#"{"type":"object","maxProperties":1}"#,
            &["MIN_PROPERTIES_REMOVED #/minProperties", "MAX_PROPERTIES_ADDED #/maxProperties"],
        ),
    ];
    check(cases, "");
    check(cases, DRAFT202012);
}

#[test]
fn dependencies() {
    let names: &[(&str, &str, &[&str])] = &[
        (r"{}", r#"{"a":["b"]}"#, &["DEPENDENCY_ARRAY_ADDED #/dependencies/a"]),
        (r#"{"a":["b"]}"#, r"{}", &["DEPENDENCY_ARRAY_REMOVED #/dependencies/a"]),
        (r#"{"a":["b"]}"#, r#"{"a":["b","c"]}"#, &["DEPENDENCY_ARRAY_EXTENDED #/dependencies/a"]),
        (r#"{"a":["b","c"]}"#, r#"{"a":["c"]}"#, &["DEPENDENCY_ARRAY_NARROWED #/dependencies/a"]),
        (r#"{"a":["b"]}"#, r#"{"a":["c"]}"#, &["DEPENDENCY_ARRAY_CHANGED #/dependencies/a"]),
    ];
    let schemas: &[(&str, &str, &[&str])] = &[
        (r"{}", r#"{"a":{"type":"null"}}"#, &["DEPENDENCY_SCHEMA_ADDED #/dependencies/a"]),
        (r#"{"a":{"type":"null"}}"#, r"{}", &["DEPENDENCY_SCHEMA_REMOVED #/dependencies/a"]),
        (r#"{"a":{"minLength":1}}"#, r#"{"a":{"minLength":2}}"#, &["MIN_LENGTH_INCREASED #/dependencies/a/minLength"]),
    ];
    for (keyword, schema, cases) in [
        ("dependencies", DRAFT7, names),
        ("dependencies", DRAFT7, schemas),
        ("dependentRequired", DRAFT201909, names),
        ("dependentSchemas", DRAFT202012, schemas),
    ] {
        for (old, new, expected) in cases {
            let text = |value: &str| format!(r#"{{"$schema":"{schema}","type":"object","{keyword}":{value}}}"#);
            verify(&parse(&text(old)), &parse(&text(new)), expected, &format!("from {old} to {new}"));
        }
    }
}

#[test]
fn arrays() {
    let cases: &[Case] = &[
        (r#"{"items":{"type":"null"}}"#, r#"{"items":{"type":"string"}}"#, &["TYPE_CHANGED #/items"]),
        (r#"{"type":"array"}"#, r#"{"type":"array","items":{"type":"null"}}"#, &["SCHEMA_ADDED #/items"]),
        (r#"{"type":"array","items":{"type":"null"}}"#, r#"{"type":"array"}"#, &["SCHEMA_REMOVED #/items"]),
        (
            r#"{"type":"array","maxItems":2,"uniqueItems":true}"#,
            r#"{"type":"array","minItems":2}"#,
            &["MAX_ITEMS_REMOVED #/maxItems", "MIN_ITEMS_ADDED #/minItems", "UNIQUE_ITEMS_REMOVED #/uniqueItems"],
        ),
        (
            r#"{"type":"array","minItems":2}"#,
            r#"{"type":"array","maxItems":2,"uniqueItems":true}"#,
            &["MIN_ITEMS_REMOVED #/minItems", "MAX_ITEMS_ADDED #/maxItems", "UNIQUE_ITEMS_ADDED #/uniqueItems"],
        ),
        (
            r#"{"minItems":2,"maxItems":2}"#,
            r#"{"minItems":1,"maxItems":3}"#,
            &["MIN_ITEMS_DECREASED #/minItems", "MAX_ITEMS_INCREASED #/maxItems"],
        ),
        (
            r#"{"minItems":1,"maxItems":3}"#,
            r#"{"minItems":2,"maxItems":2}"#,
            &["MIN_ITEMS_INCREASED #/minItems", "MAX_ITEMS_DECREASED #/maxItems"],
        ),
    ];
    check(cases, DRAFT4);
    check(cases, "");
    check(cases, DRAFT202012);
}

#[test]
fn tuples() {
    // `[..]` stands for the tuple and `rest` for what follows it, in the words of the draft.
    let cases: &[Case] = &[
        (r#"{[{"type":"null"}]}"#, r#"{[{"type":"string"}]}"#, &["TYPE_CHANGED #/items/0"]),
        (r"{[true]}", r#"{[true,{"type":"null"}]}"#, &["ITEM_ADDED_TO_OPEN_CONTENT_MODEL #/items/1"]),
        (r"{[true]}", r"{[true,{}]}", &["ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL #/items/1"]),
        (r#"{[true,{"type":"null"}]}"#, r"{[true]}", &["ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL #/items/1"]),
        (
            r#"{[true],"rest":false}"#,
            r#"{[true,{"type":"null"}],"rest":false}"#,
            &["ITEM_ADDED_TO_CLOSED_CONTENT_MODEL #/items/1"],
        ),
        (
            r#"{[true,{"type":"null"}],"rest":false}"#,
            r#"{[true],"rest":false}"#,
            &["ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL #/items/1"],
        ),
        (
            r#"{[true,false],"rest":false}"#,
            r#"{[true],"rest":false}"#,
            &["ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL #/items/1"],
        ),
        (
            r#"{[true],"rest":{"type":"integer"}}"#,
            r#"{[true,{"type":"number"}],"rest":{"type":"integer"}}"#,
            &["TYPE_EXTENDED #/items/1", "ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/items/1"],
        ),
        (
            r#"{[true],"rest":{"type":"number"}}"#,
            r#"{[true,{"type":"integer"}],"rest":{"type":"number"}}"#,
            &["TYPE_NARROWED #/items/1", "ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/items/1"],
        ),
        (
            r#"{[true,{"type":"integer"}],"rest":{"type":"number"}}"#,
            r#"{[true],"rest":{"type":"number"}}"#,
            &["TYPE_EXTENDED #/items/1", "ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/items/1"],
        ),
        (
            r#"{[true,{"type":"number"}],"rest":{"type":"integer"}}"#,
            r#"{[true],"rest":{"type":"integer"}}"#,
            &["TYPE_NARROWED #/items/1", "ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL #/items/1"],
        ),
        (r#"{[true],"rest":false}"#, r"{[true]}", &["ADDITIONAL_ITEMS_ADDED #/additionalItems"]),
        (r"{[true]}", r#"{[true],"rest":false}"#, &["ADDITIONAL_ITEMS_REMOVED #/additionalItems"]),
        (r"{[true]}", r#"{[true],"rest":{"type":"null"}}"#, &["ADDITIONAL_ITEMS_NARROWED #/additionalItems"]),
        (r#"{[true],"rest":{"type":"null"}}"#, r"{[true]}", &["ADDITIONAL_ITEMS_EXTENDED #/additionalItems"]),
        (
            r#"{[true],"rest":{"type":"null"}}"#,
            r#"{[true],"rest":{"type":"string"}}"#,
            &["TYPE_CHANGED #/additionalItems"],
        ),
    ];
    for (schema, tuple, rest) in [
        (DRAFT7, "\"items\":[", "additionalItems"),
        (DRAFT201909, "\"items\":[", "additionalItems"),
        (DRAFT202012, "\"prefixItems\":[", "items"),
    ] {
        for (old, new, expected) in cases {
            let text = |text: &str| {
                let text = text.replacen('[', tuple, 1).replace("rest", rest);
                parse(&text.replacen('{', &format!("{{\"$schema\":\"{schema}\","), 1))
            };
            verify(&text(old), &text(new), expected, &format!("{schema}: from {old} to {new}"));
        }
    }
}

#[test]
fn keywords_of_the_newer_drafts() {
    check(
        &[
            (
                r#"{"type":"object"}"#,
                r#"{"type":"object","unevaluatedProperties":false}"#,
                &["UNEVALUATED_PROPERTIES_REMOVED #/unevaluatedProperties"],
            ),
            (
                r#"{"type":"object","unevaluatedProperties":false}"#,
                r#"{"type":"object","unevaluatedProperties":true}"#,
                &["UNEVALUATED_PROPERTIES_ADDED #/unevaluatedProperties"],
            ),
            (
                r#"{"type":"object","unevaluatedProperties":{}}"#,
                r#"{"type":"object","unevaluatedProperties":{"type":"null"}}"#,
                &["UNEVALUATED_PROPERTIES_NARROWED #/unevaluatedProperties"],
            ),
            (
                r#"{"type":"object","unevaluatedProperties":{"type":"null"}}"#,
                r#"{"type":"object"}"#,
                &["UNEVALUATED_PROPERTIES_EXTENDED #/unevaluatedProperties"],
            ),
            (
                r#"{"unevaluatedProperties":{"type":"null"}}"#,
                r#"{"unevaluatedProperties":{"type":"string"}}"#,
                &["TYPE_CHANGED #/unevaluatedProperties"],
            ),
            // An object without unevaluated properties is closed.
            (
                r#"{"unevaluatedProperties":false}"#,
                r#"{"unevaluatedProperties":false,"properties":{"a":{"type":"null"}}}"#,
                &["OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL #/properties/a"],
            ),
            (
                r#"{"type":"array"}"#,
                r#"{"type":"array","unevaluatedItems":false}"#,
                &["UNEVALUATED_ITEMS_REMOVED #/unevaluatedItems"],
            ),
            (
                r#"{"type":"array","unevaluatedItems":false}"#,
                r#"{"type":"array"}"#,
                &["UNEVALUATED_ITEMS_ADDED #/unevaluatedItems"],
            ),
            (
                r#"{"type":"array"}"#,
                r#"{"type":"array","unevaluatedItems":{"type":"null"}}"#,
                &["UNEVALUATED_ITEMS_NARROWED #/unevaluatedItems"],
            ),
            (
                r#"{"type":"array","unevaluatedItems":{"type":"null"}}"#,
                r#"{"type":"array","unevaluatedItems":{}}"#,
                &["UNEVALUATED_ITEMS_EXTENDED #/unevaluatedItems"],
            ),
            (
                r#"{"contains":{"type":"null"},"maxContains":2}"#,
                r#"{"contains":{"type":"null"},"minContains":2}"#,
                &["MAX_CONTAINS_REMOVED #/maxContains", "MIN_CONTAINS_INCREASED #/minContains"],
            ),
            (
                r#"{"contains":{"type":"null"},"minContains":2}"#,
                r#"{"contains":{"type":"null"},"maxContains":2}"#,
                &["MAX_CONTAINS_ADDED #/maxContains", "MIN_CONTAINS_DECREASED #/minContains"],
            ),
            (
                r#"{"type":"array"}"#,
                r#"{"type":"array","contains":{"type":"null"}}"#,
                &["MIN_CONTAINS_ADDED #/minContains"],
            ),
            (
                r#"{"contains":true,"maxContains":2}"#,
                r#"{"contains":true,"maxContains":1}"#,
                &["MAX_CONTAINS_DECREASED #/maxContains"],
            ),
            (
                r#"{"contains":true,"maxContains":2}"#,
                r#"{"type":"array","maxContains":3}"#,
                &["MAX_CONTAINS_REMOVED #/maxContains", "MIN_CONTAINS_REMOVED #/minContains"],
            ),
            // Keywords beside a reference count.
            (
                r##"{"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}}"##,
                r##"{"$ref":"#/$defs/a","maxLength":3,"$defs":{"a":{"type":"string"}}}"##,
                &["TYPE_CHANGED #/"],
            ),
        ],
        DRAFT202012,
    );
    // In the older ones they do not.
    check(
        &[(
            r##"{"$ref":"#/definitions/a","definitions":{"a":{"type":"string"}}}"##,
            r##"{"$ref":"#/definitions/a","maxLength":3,"definitions":{"a":{"type":"string"}}}"##,
            &[],
        )],
        DRAFT7,
    );
}
