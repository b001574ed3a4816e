//! Protobuf schemas: how [`ParsedSchema`] is answered for .proto files, whether given as text or as base64 of their
//! descriptors. Pure; imports come from the references or from the files every compiler knows.
//!
//! All ways to give a file end in one model, from which both texts are printed and on which schemas are compared.

mod build;
mod builtin;
mod change;
mod check;
mod diff;
mod fields;
mod load;
mod model;
mod options;
mod print;
mod strict;

#[cfg(test)]
mod import_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod text_tests;

use std::any::Any;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Incompatibility, ParsedSchema, ResolvedReference, SchemaError, SchemaField, SchemaType, Validation};
use model::{File, Symbols, join};

/// A parsed .proto file with all it imports.
#[derive(Debug)]
pub struct ProtobufSchema {
    /// The imports, and the schema's own file last.
    files: Vec<File>,
    symbols: Symbols,
    descriptor: Vec<u8>,
    canonical: String,
    root_name: Option<String>,
}

impl ProtobufSchema {
    /// Parses a .proto file, or base64 of a serialized `FileDescriptorProto`.
    ///
    /// Strict, the file must be one that the language's compiler takes. Lenient, names that nothing declares and
    /// numbers used twice pass, as long as the syntax is right and all imports are there. Unresolved, imports may be
    /// missing too.
    ///
    /// # Errors
    /// The text or a reference is no .proto file by the chosen validation.
    pub fn parse(text: &str, references: &[ResolvedReference], validation: Validation) -> Result<Self, SchemaError> {
        let loaded = load::load(text, references, validation)?;
        let mut symbols = Symbols::default();
        for (index, source) in loaded.files.iter().enumerate().rev() {
            build::declare(&source.file, index, &mut symbols);
        }
        let mut files = Vec::with_capacity(loaded.files.len());
        let mut descriptor = Vec::new();
        for source in loaded.files {
            let resolved = options::reread(&source.bytes, loaded.pool.as_ref());
            files.push(build::file(&source.file, resolved.as_ref(), &symbols));
            descriptor = source.bytes;
        }
        let mut schema = Self { files, symbols, descriptor, canonical: String::new(), root_name: None };
        schema.canonical = print::text(schema.own(), &schema.symbols, print::Form::Canonical);
        let file = schema.own();
        let first = file.messages.first().map(|message| &message.name);
        let first = first.or_else(|| file.enums.first().map(|declared| &declared.name));
        schema.root_name = first.map(|name| join(&file.package, name));
        Ok(schema)
    }

    /// Base64 of the `FileDescriptorProto`.
    fn descriptor_base64(&self) -> String {
        STANDARD.encode(&self.descriptor)
    }

    fn own(&self) -> &File {
        self.files.last().expect("a schema has its own file last")
    }
}

impl ParsedSchema for ProtobufSchema {
    fn schema_type(&self) -> SchemaType {
        SchemaType::Protobuf
    }

    fn canonical(&self) -> &str {
        &self.canonical
    }

    fn normalized(&self) -> String {
        print::text(self.own(), &self.symbols, print::Form::Normalized)
    }

    fn resolved(&self) -> String {
        self.canonical.clone()
    }

    fn serialized(&self) -> Option<String> {
        Some(self.descriptor_base64())
    }

    fn name(&self) -> Option<&str> {
        self.root_name.as_deref()
    }

    fn incompatibilities(&self, writer: &dyn ParsedSchema) -> Vec<Incompatibility> {
        match writer.as_any().downcast_ref::<ProtobufSchema>() {
            Some(writer) => diff::incompatibilities(self, writer),
            None => vec![Incompatibility {
                kind: "TYPE_MISMATCH",
                location: "#/".to_owned(),
                message: String::new(),
                description: "The {reader} schema and the {writer} schema are written in different languages"
                    .to_owned(),
            }],
        }
    }

    fn fields(&self) -> Result<Vec<SchemaField>, SchemaError> {
        fields::fields(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
