//! Fields that a contract reserves: no schema may take their names, and no later contract may drop them.

use std::collections::BTreeSet;

use super::super::types::{Content, SchemaVersion};
use super::register::Prepared;

/// The metadata property that lists them, separated by commas.
const PROPERTY: &str = "confluent:reserved";

/// What a new schema does against the reservations, if it does.
pub(super) fn violation(new: &Prepared, previous: Option<&SchemaVersion>) -> Option<String> {
    let reserved = reserved_by(&new.content);
    let before = previous.map(|version| reserved_by(&version.content)).unwrap_or_default();
    if let Some(field) = before.difference(&reserved).next() {
        return Some(format!(
            "The new schema has reserved field {field} removed from its metadata which is present in the old schema's \
             metadata."
        ));
    }
    let fields = new.parsed.field_names();
    let taken = reserved.iter().find(|field| fields.contains(*field))?;
    Some(format!("The new schema has field that conflicts with the reserved field {taken}."))
}

fn reserved_by(content: &Content) -> BTreeSet<String> {
    let list = content.metadata.as_ref().and_then(|metadata| metadata.properties.get(PROPERTY));
    let names = list.into_iter().flat_map(|list| list.split(','));
    names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}
