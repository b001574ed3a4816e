//! Which keywords speak of which type.

use super::model::Draft;
use crate::schema::json::Json;

const STRING_KEYWORDS: [&str; 3] = ["minLength", "maxLength", "pattern"];
const NUMBER_KEYWORDS: [&str; 5] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const OBJECT_KEYWORDS: [&str; 7] = [
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "dependencies",
    "patternProperties",
    "additionalProperties",
];
const ARRAY_KEYWORDS: [&str; 5] = ["items", "additionalItems", "minItems", "maxItems", "uniqueItems"];
const MODERN_OBJECT_KEYWORDS: [&str; 8] = [
    "required",
    "minProperties",
    "maxProperties",
    "additionalProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
];
const MODERN_ARRAY_KEYWORDS: [&str; 7] =
    ["items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "unevaluatedItems"];

/// The four types with keywords of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Array,
    Object,
    Number,
    String,
}

/// In the order in which their nodes are made.
pub(super) const CLASSES: [Class; 4] = [Class::Array, Class::Object, Class::Number, Class::String];

impl Class {
    /// The class of a type's name.
    pub(super) fn of_type(name: &str) -> Option<Self> {
        match name {
            "array" => Some(Class::Array),
            "object" => Some(Class::Object),
            "number" | "integer" => Some(Class::Number),
            "string" => Some(Class::String),
            _ => None,
        }
    }

    /// Whether the schema has keywords of this class.
    pub(super) fn is_spoken_of(self, json: &Json, draft: Draft) -> bool {
        let any = |keywords: &[&str]| keywords.iter().any(|keyword| json.get(keyword).is_some());
        let has_members =
            |keyword: &str| matches!(json.get(keyword), Some(Json::Object(members)) if !members.is_empty());
        match (self, draft) {
            // The older drafts' reader takes a format for a rule about strings, the newer one's does not look at it.
            (Class::String, _) => any(&STRING_KEYWORDS) || (!draft.is_modern() && any(&["format"])),
            (Class::Number, _) => any(&NUMBER_KEYWORDS),
            (Class::Object, Draft::Draft4) => any(&OBJECT_KEYWORDS),
            (Class::Object, Draft::Draft6 | Draft::Draft7) => any(&OBJECT_KEYWORDS) || any(&["propertyNames"]),
            (Class::Object, _) => {
                any(&MODERN_OBJECT_KEYWORDS) || has_members("properties") || has_members("patternProperties")
            }
            (Class::Array, Draft::Draft4) => any(&ARRAY_KEYWORDS),
            (Class::Array, Draft::Draft6 | Draft::Draft7) => any(&ARRAY_KEYWORDS) || any(&["contains"]),
            (Class::Array, _) => any(&MODERN_ARRAY_KEYWORDS),
        }
    }
}
