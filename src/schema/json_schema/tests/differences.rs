//! Differences worked out by hand from the rules, one small pair of schemas each.

use super::*;

#[test]
fn types_and_descriptions() {
    let cases: &[Case] = &[
        (r#"{"type":"string"}"#, r#"{"type":"boolean"}"#, &["TYPE_CHANGED #/"]),
        (r#"{"type":"string"}"#, r"{}", &[]),
        (r#"{"type":"string"}"#, "true", &[]),
        (r"{}", r#"{"type":"string"}"#, &["TYPE_CHANGED #/"]),
        ("false", r#"{"type":"string"}"#, &[]),
        (r#"{"type":"string"}"#, "false", &["TYPE_CHANGED #/"]),
        ("true", "false", &["TYPE_CHANGED #/"]),
        (r#"{"type":"null"}"#, r#"{"type":"null"}"#, &[]),
        (r#"{"type":"integer"}"#, r#"{"type":"number"}"#, &["TYPE_EXTENDED #/"]),
        (r#"{"type":"number"}"#, r#"{"type":"integer"}"#, &["TYPE_NARROWED #/"]),
        (r#"{"type":"string"}"#, r#"{"type":["string","null"]}"#, &["SUM_TYPE_EXTENDED #/"]),
        (r#"{"type":["string","null"]}"#, r#"{"type":"string"}"#, &["TYPE_CHANGED #/"]),
        (r#"{"type":["string","null"]}"#, r#"{"type":["null"]}"#, &["SUM_TYPE_NARROWED #/"]),
        (r#"{"type":["null"]}"#, r#"{"type":"null"}"#, &[]),
        (
            r#"{"type":"string","title":"a","description":"b","default":"c"}"#,
            r#"{"type":"string","title":"d","default":"e"}"#,
            &["TITLE_CHANGED #/", "DESCRIPTION_CHANGED #/", "DEFAULT_CHANGED #/"],
        ),
        (r#"{"type":"string","connect.type":"bytes"}"#, r#"{"type":"number","connect.type":"bytes"}"#, &[]),
        (r#"{"type":"string","x-note":1}"#, r#"{"type":"string","x-note":2}"#, &[]),
    ];
    check(cases, "");
    check(cases, DRAFT202012);
    check(&[(r#"{"$id":"a","type":"null"}"#, r#"{"$id":"b","type":"null"}"#, &["ID_CHANGED #/"])], DRAFT7);
    check(&[(r#"{"$id":"a","type":"null"}"#, r#"{"$id":"b","type":"null"}"#, &[])], DRAFT201909);
}

#[test]
fn strings_and_numbers() {
    let cases: &[Case] = &[
        (r#"{"type":"string"}"#, r#"{"type":"string","maxLength":3}"#, &["MAX_LENGTH_ADDED #/maxLength"]),
        (r#"{"maxLength":3}"#, r#"{"maxLength":4}"#, &["MAX_LENGTH_INCREASED #/maxLength"]),
        (r#"{"maxLength":3}"#, r#"{"maxLength":2}"#, &["MAX_LENGTH_DECREASED #/maxLength"]),
        (r#"{"type":"string","maxLength":3}"#, r#"{"type":"string"}"#, &["MAX_LENGTH_REMOVED #/maxLength"]),
        (r#"{"type":"string"}"#, r#"{"type":"string","minLength":3}"#, &["MIN_LENGTH_ADDED #/minLength"]),
        (r#"{"minLength":3}"#, r#"{"minLength":4}"#, &["MIN_LENGTH_INCREASED #/minLength"]),
        (r#"{"minLength":3}"#, r#"{"minLength":2}"#, &["MIN_LENGTH_DECREASED #/minLength"]),
        (r#"{"type":"string","minLength":3}"#, r#"{"type":"string"}"#, &["MIN_LENGTH_REMOVED #/minLength"]),
        (r#"{"type":"string"}"#, r#"{"type":"string","pattern":"x"}"#, &["PATTERN_ADDED #/pattern"]),
        (r#"{"pattern":"x"}"#, r#"{"pattern":"y"}"#, &["PATTERN_CHANGED #/pattern"]),
        (r#"{"type":"string","pattern":"x"}"#, r#"{"type":"string"}"#, &["PATTERN_REMOVED #/pattern"]),
        (r#"{"type":"number"}"#, r#"{"type":"number","maximum":3}"#, &["MAXIMUM_ADDED #/maximum"]),
        (r#"{"maximum":3}"#, r#"{"maximum":3.5}"#, &["MAXIMUM_INCREASED #/maximum"]),
        (r#"{"maximum":3}"#, r#"{"maximum":-3}"#, &["MAXIMUM_DECREASED #/maximum"]),
        (r#"{"maximum":3}"#, r#"{"maximum":3.0}"#, &[]),
        (r#"{"type":"number","maximum":3}"#, r#"{"type":"number"}"#, &["MAXIMUM_REMOVED #/maximum"]),
        (r#"{"type":"number"}"#, r#"{"type":"number","minimum":3}"#, &["MINIMUM_ADDED #/minimum"]),
        (r#"{"minimum":3}"#, r#"{"minimum":4}"#, &["MINIMUM_INCREASED #/minimum"]),
        (r#"{"minimum":3}"#, r#"{"minimum":2}"#, &["MINIMUM_DECREASED #/minimum"]),
        (r#"{"type":"number","minimum":3}"#, r#"{"type":"number"}"#, &["MINIMUM_REMOVED #/minimum"]),
        (
            r#"{"exclusiveMaximum":3,"exclusiveMinimum":1}"#,
            r#"{"exclusiveMaximum":2,"exclusiveMinimum":0}"#,
            &["EXCLUSIVE_MAXIMUM_DECREASED #/exclusiveMaximum", "EXCLUSIVE_MINIMUM_DECREASED #/exclusiveMinimum"],
        ),
        (
            r#"{"exclusiveMaximum":3,"exclusiveMinimum":1}"#,
            r#"{"exclusiveMaximum":4,"exclusiveMinimum":2}"#,
            &["EXCLUSIVE_MAXIMUM_INCREASED #/exclusiveMaximum", "EXCLUSIVE_MINIMUM_INCREASED #/exclusiveMinimum"],
        ),
        (
            r#"{"type":"number","exclusiveMaximum":3}"#,
            r#"{"type":"number","exclusiveMinimum":1}"#,
            &["EXCLUSIVE_MAXIMUM_REMOVED #/exclusiveMaximum", "EXCLUSIVE_MINIMUM_ADDED #/exclusiveMinimum"],
        ),
        (
            r#"{"type":"number","exclusiveMinimum":3}"#,
            r#"{"type":"number","exclusiveMaximum":1}"#,
            &["EXCLUSIVE_MINIMUM_REMOVED #/exclusiveMinimum", "EXCLUSIVE_MAXIMUM_ADDED #/exclusiveMaximum"],
        ),
        (r#"{"type":"number"}"#, r#"{"type":"number","multipleOf":3}"#, &["MULTIPLE_OF_ADDED #/multipleOf"]),
        (r#"{"multipleOf":3}"#, r#"{"multipleOf":9}"#, &["MULTIPLE_OF_EXPANDED #/multipleOf"]),
        (r#"{"multipleOf":0.3}"#, r#"{"multipleOf":0.1}"#, &["MULTIPLE_OF_REDUCED #/multipleOf"]),
        (r#"{"multipleOf":3}"#, r#"{"multipleOf":4}"#, &["MULTIPLE_OF_CHANGED #/multipleOf"]),
        (r#"{"type":"number","multipleOf":3}"#, r#"{"type":"number"}"#, &["MULTIPLE_OF_REMOVED #/multipleOf"]),
        // A type and the keywords of another are two schemas that must both hold.
        (r#"{"type":"string"}"#, r#"{"type":"string","minimum":3}"#, &["TYPE_CHANGED #/"]),
        (r#"{"type":"string","minimum":3}"#, r#"{"type":"string"}"#, &["PRODUCT_TYPE_NARROWED #/"]),
    ];
    check(cases, "");
    check(cases, DRAFT202012);
}

#[test]
fn draft_4_has_flags_for_exclusive_limits() {
    check(
        &[
            (r#"{"minimum":3}"#, r#"{"minimum":3,"exclusiveMinimum":false}"#, &[]),
            (
                r#"{"minimum":3}"#,
                r#"{"minimum":3,"exclusiveMinimum":true}"#,
                &["EXCLUSIVE_MINIMUM_ADDED #/exclusiveMinimum"],
            ),
            (
                r#"{"maximum":3,"exclusiveMaximum":true}"#,
                r#"{"maximum":4,"exclusiveMaximum":true}"#,
                &["MAXIMUM_INCREASED #/maximum", "EXCLUSIVE_MAXIMUM_INCREASED #/exclusiveMaximum"],
            ),
            // Keywords of later drafts are none.
            (r#"{"const":1}"#, r#"{"const":2}"#, &[]),
            (r#"{"id":"a","type":"null"}"#, r#"{"id":"b","type":"null"}"#, &["ID_CHANGED #/"]),
        ],
        DRAFT4,
    );
    assert!(
        JsonSchema::parse(&format!(r#"{{"$schema":"{DRAFT4}","exclusiveMinimum":3}}"#), &[], Validation::Strict)
            .is_err()
    );
}

#[test]
fn values() {
    let cases: &[Case] = &[
        (r#"{"enum":["a"]}"#, r#"{"enum":["b","a"]}"#, &["ENUM_ARRAY_EXTENDED #/enum"]),
        (r#"{"enum":["a","b"]}"#, r#"{"enum":["b"]}"#, &["ENUM_ARRAY_NARROWED #/enum"]),
        (r#"{"enum":["a","b"]}"#, r#"{"enum":["b","c"]}"#, &["ENUM_ARRAY_CHANGED #/enum"]),
        (r#"{"enum":[{"x":1,"y":[2]},1]}"#, r#"{"enum":[1,{"y":[2],"x":1}]}"#, &[]),
        (r#"{"const":1}"#, r#"{"const":2}"#, &["ENUM_ARRAY_CHANGED #/const"]),
        (r#"{"const":{"a":1,"b":2}}"#, r#"{"const":{"b":2,"a":1}}"#, &[]),
        (r#"{"const":1}"#, r#"{"enum":[1,2]}"#, &["TYPE_CHANGED #/"]),
        (
            r#"{"type":"string","enum":["a"]}"#,
            r#"{"type":"string","enum":["a","b"]}"#,
            &["ENUM_ARRAY_EXTENDED #/allOf/0/enum"],
        ),
        (r#"{"type":"string"}"#, r#"{"type":"string","enum":["a"]}"#, &["TYPE_CHANGED #/"]),
        (r#"{"not":{"type":"string"}}"#, r#"{"not":{"type":"string","maxLength":3}}"#, &["NOT_TYPE_NARROWED #/not"]),
        (r#"{"not":{"maxLength":3}}"#, r#"{"not":{"maxLength":4}}"#, &["NOT_TYPE_EXTENDED #/not"]),
        (r#"{"not":{"not":{"maxLength":3}}}"#, r#"{"not":{"not":{"maxLength":4}}}"#, &["NOT_TYPE_NARROWED #/not"]),
        (r#"{"if":{"type":"null"},"then":true}"#, r#"{"not":{"type":"null"}}"#, &["TYPE_CHANGED #/"]),
        (r#"{"type":"string"}"#, r#"{"type":"string","if":{"maxLength":3},"else":false}"#, &["TYPE_CHANGED #/"]),
        (
            r#"{"type":"string","if":{"maxLength":3},"else":false}"#,
            r#"{"type":"string"}"#,
            &["PRODUCT_TYPE_NARROWED #/"],
        ),
    ];
    check(cases, "");
    check(cases, DRAFT202012);
}

#[test]
fn combinations() {
    let cases: &[Case] = &[
        (r#"{"anyOf":[{"type":"null"},{"type":"string"}]}"#, r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#, &[]),
        (
            r#"{"anyOf":[{"type":"null"}]}"#,
            r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#,
            &["SUM_TYPE_EXTENDED #/"],
        ),
        (
            r#"{"oneOf":[{"type":"null"},{"type":"string"}]}"#,
            r#"{"oneOf":[{"type":"null"}]}"#,
            &["SUM_TYPE_NARROWED #/"],
        ),
        (
            r#"{"allOf":[{"type":"null"}]}"#,
            r#"{"allOf":[{"type":"null"},{"maxLength":1}]}"#,
            &["PRODUCT_TYPE_EXTENDED #/"],
        ),
        (
            r#"{"allOf":[{"type":"null"},{"maxLength":1}]}"#,
            r#"{"allOf":[{"type":"null"}]}"#,
            &["PRODUCT_TYPE_NARROWED #/"],
        ),
        (
            r#"{"anyOf":[{"type":"null"},{"maxLength":1}]}"#,
            r#"{"anyOf":[{"type":"null"},{"maxLength":2}]}"#,
            &["MAX_LENGTH_INCREASED #/anyOf/1/maxLength"],
        ),
        (
            r#"{"anyOf":[{"type":"null"},{"maxLength":2}]}"#,
            r#"{"anyOf":[{"type":"null"},{"maxLength":1}]}"#,
            &["COMBINED_TYPE_SUBSCHEMAS_CHANGED #/"],
        ),
        (r#"{"anyOf":[{"type":"null"},{"type":"null"}]}"#, r#"{"anyOf":[{"type":"null"}]}"#, &[]),
        (r#"{"oneOf":[{"type":"null"},true]}"#, r#"{"anyOf":[{"type":"null"},true]}"#, &["COMBINED_TYPE_EXTENDED #/"]),
        (r#"{"allOf":[{"type":"null"},true]}"#, r#"{"anyOf":[{"type":"null"},true]}"#, &["COMBINED_TYPE_EXTENDED #/"]),
        (r#"{"anyOf":[{"type":"null"},true]}"#, r#"{"allOf":[{"type":"null"},true]}"#, &["COMBINED_TYPE_CHANGED #/"]),
        (r#"{"anyOf":[{"type":"null"},true]}"#, r#"{"oneOf":[{"type":"null"}]}"#, &["COMBINED_TYPE_CHANGED #/"]),
        (
            r#"{"anyOf":[{"type":"null"}]}"#,
            r#"{"oneOf":[{"type":"null"},true]}"#,
            &["COMBINED_TYPE_EXTENDED #/", "SUM_TYPE_EXTENDED #/"],
        ),
        (
            r#"{"allOf":[{"type":"null"},true]}"#,
            r#"{"oneOf":[true]}"#,
            &["COMBINED_TYPE_EXTENDED #/", "PRODUCT_TYPE_NARROWED #/"],
        ),
        (r#"{"oneOf":[{"type":"null"}]}"#, r#"{"allOf":[{"type":"null"}]}"#, &["COMBINED_TYPE_EXTENDED #/"]),
        // One schema against several.
        (r#"{"type":"null"}"#, r#"{"oneOf":[{"type":"string"},{"type":"null"}]}"#, &["SUM_TYPE_EXTENDED #/"]),
        (r#"{"type":"null"}"#, r#"{"anyOf":[{"type":"string"},{"type":"number"}]}"#, &["TYPE_CHANGED #/"]),
        (r#"{"type":"null"}"#, r#"{"allOf":[{"type":"null"}]}"#, &[]),
        (r#"{"type":"null"}"#, r#"{"allOf":[{"type":"null"},{"type":"null","title":"x"}]}"#, &["TYPE_CHANGED #/"]),
        (r#"{"allOf":[{"type":"string"},{"maxLength":3}]}"#, r#"{"type":"string"}"#, &["PRODUCT_TYPE_NARROWED #/"]),
        (r#"{"anyOf":[{"type":"null"}]}"#, r#"{"type":"null"}"#, &[]),
        (r#"{"anyOf":[{"type":"null"},{"type":"string"}]}"#, r#"{"type":"null"}"#, &["TYPE_CHANGED #/"]),
        // Pairing the first members greedily would leave the last without a partner.
        (
            r#"{"anyOf":[{"type":"integer"},{"type":"number"}]}"#,
            r#"{"anyOf":[{"type":"number"},{"type":"integer"}]}"#,
            &[],
        ),
        (
            r#"{"anyOf":[{"maxLength":1},{"maxLength":3}]}"#,
            r#"{"anyOf":[{"maxLength":3},{"maxLength":2}]}"#,
            &["MAX_LENGTH_INCREASED #/anyOf/0/maxLength"],
        ),
    ];
    check(cases, "");
    check(cases, DRAFT202012);
}
