//! The fields of a .proto file's first message as columns: a record on a topic is one of those, unless it says otherwise.

use super::super::SchemaError;
use super::super::fields::{Collector, Declared, Open, SchemaField, element, map_value};
use super::ProtobufSchema;
use super::diff::Side;
use super::model::{Field, FieldType, Label, Message, Symbol, TypeName, join};

/// The types every compiler knows are values, not records.
const WELL_KNOWN: &str = "google.protobuf.";

/// All fields, outer ones first.
pub(super) fn fields(schema: &ProtobufSchema) -> Result<Vec<SchemaField>, SchemaError> {
    let file = schema.own();
    let mut walk = Walk { side: Side::of(schema), schema, open: Open::new(), found: Collector::default() };
    if let Some(message) = file.messages.first() {
        walk.message(&join(&file.package, &message.name), message, "")?;
    }
    Ok(walk.found.finish())
}

struct Walk<'a> {
    schema: &'a ProtobufSchema,
    side: Side<'a>,
    open: Open<String>,
    found: Collector,
}

impl<'a> Walk<'a> {
    fn message(&mut self, name: &str, message: &'a Message, path: &str) -> Result<(), SchemaError> {
        if !self.open.enter(name.to_owned(), path)? {
            return Ok(());
        }
        for field in message.fields.iter().chain(message.oneofs.iter().flat_map(|oneof| &oneof.fields)) {
            let data_type = self.type_text(field);
            let (name, number) = (&field.name, Some(field.number));
            let path = self.found.add(path, Declared { name, data_type, former: &[], number })?;
            let path = if field.label == Some(Label::Repeated) { element(&path) } else { path };
            self.inside(&field.kind, &path)?;
        }
        self.open.leave();
        Ok(())
    }

    fn inside(&mut self, kind: &'a FieldType, path: &str) -> Result<(), SchemaError> {
        match kind {
            FieldType::Scalar(_) => Ok(()),
            FieldType::Map(_, value) => self.inside(value, &map_value(path)),
            // Nothing else has this message, so its place is a name of its own.
            FieldType::Group(message) => self.message(&format!("{path}.{}", message.name), message, path),
            FieldType::Named(TypeName::Full(name)) if !name.starts_with(WELL_KNOWN) => {
                match self.side.messages.get(name).map(|(_, message)| *message) {
                    Some(message) => self.message(name, message, path),
                    None => Ok(()),
                }
            }
            FieldType::Named(_) => Ok(()),
        }
    }

    fn type_text(&self, field: &Field) -> String {
        let text = self.kind_text(&field.kind);
        if field.label == Some(Label::Repeated) { format!("array<{text}>") } else { text }
    }

    fn kind_text(&self, kind: &FieldType) -> String {
        match kind {
            FieldType::Scalar(name) => (*name).to_owned(),
            FieldType::Map(key, value) => format!("map<{key},{}>", self.kind_text(value)),
            FieldType::Group(_) => "message".to_owned(),
            FieldType::Named(TypeName::Full(name)) if name.starts_with(WELL_KNOWN) => name.clone(),
            FieldType::Named(TypeName::Full(name)) => match self.schema.symbols.get(name) {
                Some(Symbol::Message(_)) => "message".to_owned(),
                Some(Symbol::Enum(_)) => "enum".to_owned(),
                _ => name.clone(),
            },
            FieldType::Named(TypeName::Written(name)) => name.clone(),
        }
    }
}
