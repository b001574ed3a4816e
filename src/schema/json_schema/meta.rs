//! Whether a text is a schema by its draft's own schema, which comes with the validator: nothing is fetched.

use std::sync::OnceLock;

use jsonschema::{Draft as MetaDraft, Validator};
use serde_json::{Value, json};

use super::model::Draft;
use super::values::shortened;
use crate::schema::SchemaError;
use crate::schema::json::Json;

/// Largest text in which the place of a mistake is looked for, in bytes.
const MAX_EXPLAINED_BYTES: usize = 256 << 10;

/// Checks the schema against its draft; `text_bytes` is how long its text is.
///
/// # Errors
/// It is no schema of the draft; the first complaint says where.
pub(super) fn check(json: &Json, draft: Draft, text_bytes: usize) -> Result<(), SchemaError> {
    let value = to_value(json);
    if validator(draft).is_valid(&value) {
        return Ok(());
    }
    // Looking for the place walks through each level anew.
    if text_bytes > MAX_EXPLAINED_BYTES {
        let message = format!("this is no schema of its draft; texts over {MAX_EXPLAINED_BYTES} bytes get no place");
        return Err(SchemaError::Invalid { path: String::new(), message });
    }
    match validator(draft).iter_errors(&value).next() {
        None => Ok(()),
        Some(error) => Err(SchemaError::Invalid {
            path: error.instance_path().to_string(),
            message: shortened(&error.masked().to_string()),
        }),
    }
}

fn validator(draft: Draft) -> &'static Validator {
    static VALIDATORS: [OnceLock<Validator>; 5] = [const { OnceLock::new() }; 5];
    let (place, meta_draft) = match draft {
        Draft::Draft4 => (&VALIDATORS[0], MetaDraft::Draft4),
        Draft::Draft6 => (&VALIDATORS[1], MetaDraft::Draft6),
        Draft::Draft7 => (&VALIDATORS[2], MetaDraft::Draft7),
        Draft::Draft201909 => (&VALIDATORS[3], MetaDraft::Draft201909),
        Draft::Draft202012 => (&VALIDATORS[4], MetaDraft::Draft202012),
    };
    place.get_or_init(|| {
        jsonschema::options()
            .with_draft(meta_draft)
            // Regular expressions are written for Java and URIs for humans; neither is judged here.
            .should_validate_formats(false)
            .build(&json!({"$ref": draft.meta_schema()}))
            .expect("the drafts' own schemas come with the validator")
    })
}

fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        // Numbers too large for a double are as good as any number.
        Json::Number(text) => text.parse().map_or_else(|_| json!(1), Value::Number),
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => items.iter().map(to_value).collect(),
        Json::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (key.clone(), to_value(value))).collect())
        }
    }
}
