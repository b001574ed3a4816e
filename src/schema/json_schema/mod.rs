//! JSON schemas of drafts 4, 6, 7, 2019-09 and 2020-12, and how [`ParsedSchema`] is answered for them. Pure; references
//! arrive as text, and nothing else is ever fetched.
//!
//! Compatibility follows the reference, which sorts a schema's keywords by type and reports every difference by name.

mod classes;
mod diff;
mod fields;
mod load;
mod meta;
mod model;
mod resolve;
mod values;

#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::BTreeSet;

use self::diff::Side;
use self::load::Loader;
use self::model::{Arena, Draft, NodeId};
use self::resolve::{Document, Places, Trail};
use super::json::Json;
use super::{Incompatibility, ParsedSchema, ResolvedReference, SchemaError, SchemaField, SchemaType, Validation};

pub use self::diff::{Change, Difference};

/// Properties with this in front are the reference's own; a new schema may not use them at its top.
const RESERVED_PREFIX: &str = "$$";

/// A JSON schema.
#[derive(Debug)]
pub struct JsonSchema {
    json: Json,
    canonical: String,
    draft: Draft,
    arena: Arena,
    root: NodeId,
    references: Vec<(String, Json)>,
}

impl JsonSchema {
    /// Parses a schema; `references` are what its `$ref`s to other documents may mean.
    ///
    /// # Errors
    /// The text, or a part of a reference that it uses, is no schema by the chosen [`Validation`].
    pub fn parse(text: &str, references: &[ResolvedReference], validation: Validation) -> Result<Self, SchemaError> {
        let json = Json::parse(text)?;
        if !matches!(json, Json::Object(_) | Json::Bool(_)) {
            let message = "a schema is an object or a boolean".to_owned();
            return Err(SchemaError::Invalid { path: String::new(), message });
        }
        let references = references.iter().map(parse_reference).collect::<Result<Vec<_>, _>>()?;
        let draft = own_draft(&json).unwrap_or(Draft::Draft7);
        if validation == Validation::Strict {
            meta::check(&json, draft, text.len())?;
            check_names(&json)?;
        }
        let others =
            references.iter().map(|(name, json)| Document { name, json, draft: own_draft(json).unwrap_or(draft) });
        let places = Places::new(std::iter::once(Document { name: "", json: &json, draft }).chain(others).collect());
        let (builder, root) = Loader::new(&places, validation).load()?;
        let mut canonical = String::with_capacity(text.len());
        json.write(&mut canonical);
        Ok(Self { canonical, draft, arena: builder.finish(), root, references, json })
    }

    /// All differences of this schema, as the reader's, to the writer's; harmless ones included.
    pub fn differences(&self, writer: &JsonSchema) -> Vec<Difference> {
        let alike = self.draft == writer.draft && self.canonical == writer.canonical;
        if alike && self.references == writer.references {
            return Vec::new();
        }
        diff::differences(writer.side(), self.side())
    }

    fn side(&self) -> Side<'_> {
        Side { arena: &self.arena, root: self.root }
    }

    /// The schema with its references as definitions of their own, if none of them is in the way of that.
    fn bundled(&self) -> Option<Json> {
        let Json::Object(members) = &self.json else { return None };
        let keyword = if self.draft.is_modern() { "$defs" } else { "definitions" };
        let mut definitions = match self.json.get(keyword) {
            None => Vec::new(),
            Some(Json::Object(definitions)) => definitions.clone(),
            Some(_) => return None,
        };
        for (name, json) in &self.references {
            let Json::Object(parts) = json else { return None };
            if definitions.iter().any(|(taken, _)| taken == name) {
                return None;
            }
            let key = self.draft.id_keyword();
            let mut embedded = parts.clone();
            match json.get(key).map(Json::as_str) {
                None => embedded.insert(0, (key.to_owned(), Json::String(name.clone()))),
                // Under another name than its own it would not be found.
                Some(id) if id != Some(name) => return None,
                Some(_) => {}
            }
            definitions.push((name.clone(), Json::Object(embedded)));
        }
        let others = members.iter().filter(|(key, _)| key != keyword).cloned();
        let definitions = (keyword.to_owned(), Json::Object(definitions));
        Some(Json::Object(others.chain(std::iter::once(definitions)).collect()))
    }
}

impl ParsedSchema for JsonSchema {
    fn schema_type(&self) -> SchemaType {
        SchemaType::Json
    }

    fn canonical(&self) -> &str {
        &self.canonical
    }

    fn normalized(&self) -> String {
        let mut out = String::with_capacity(self.canonical.len());
        self.json.sorted().write(&mut out);
        out
    }

    fn resolved(&self) -> String {
        match self.bundled().filter(|_| !self.references.is_empty()) {
            Some(bundled) => {
                let mut out = String::new();
                bundled.write(&mut out);
                out
            }
            None => self.canonical.clone(),
        }
    }

    fn name(&self) -> Option<&str> {
        self.json.get("title").and_then(Json::as_str)
    }

    fn incompatibilities(&self, writer: &dyn ParsedSchema) -> Vec<Incompatibility> {
        let Some(writer) = writer.as_any().downcast_ref::<JsonSchema>() else {
            return vec![Incompatibility {
                kind: Change::TypeChanged.name(),
                location: "#/".to_owned(),
                message: String::new(),
                description: "The {reader} schema and the {writer} schema are of different schema types".to_owned(),
            }];
        };
        self.differences(writer).into_iter().filter(|difference| !difference.change.is_harmless()).map(report).collect()
    }

    fn field_names(&self) -> BTreeSet<String> {
        match self.json.get("properties") {
            Some(Json::Object(members)) => members.iter().map(|(name, _)| name.clone()).collect(),
            _ => BTreeSet::new(),
        }
    }

    fn fields(&self) -> Result<Vec<SchemaField>, SchemaError> {
        fields::fields(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn report(difference: Difference) -> Incompatibility {
    let location = difference.location();
    // A property may be called {reader}; in the sentence that would be taken for the placeholder.
    let quoted = location.replace("{reader}", "{ reader}").replace("{writer}", "{ writer}");
    Incompatibility {
        kind: difference.change.name(),
        description: difference.change.describe(&quoted),
        location,
        message: String::new(),
    }
}

fn own_draft(json: &Json) -> Option<Draft> {
    json.get("$schema").and_then(Json::as_str).and_then(Draft::of_uri)
}

fn parse_reference(reference: &ResolvedReference) -> Result<(String, Json), SchemaError> {
    match Json::parse(&reference.schema) {
        Ok(json) => Ok((reference.name.clone(), json)),
        Err(error) => {
            Err(SchemaError::Reference { name: reference.name.clone(), source: Box::new(SchemaError::NotJson(error)) })
        }
    }
}

fn check_names(json: &Json) -> Result<(), SchemaError> {
    let Some(Json::Object(properties)) = json.get("properties") else { return Ok(()) };
    match properties.iter().find(|(name, _)| name.starts_with(RESERVED_PREFIX)) {
        None => Ok(()),
        Some((name, _)) => Err(SchemaError::Invalid {
            path: Trail::default().then("properties").then(name).pointer(),
            message: format!("names of properties do not start with {RESERVED_PREFIX}"),
        }),
    }
}
