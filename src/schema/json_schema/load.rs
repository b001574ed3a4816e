//! From JSON text to nodes. Keywords are sorted by the type they speak of, as the reference does: the keywords of a
//! named type and that type are one node, keywords of other types are nodes of their own, and a schema with several
//! nodes is their combination.

use std::collections::HashMap;
use std::rc::Rc;

use super::classes::{CLASSES, Class};
use super::model::{ArrayRules, Builder, Criterion, Draft, Kind, Node, NodeId, Number, ObjectRules, TargetId};
use super::resolve::{Place, Places, Trail, own_base};
use super::values::{bound, names, number_rules, shortened, sorted_text, string_rules};
use crate::schema::json::Json;
use crate::schema::{SchemaError, Validation};

/// Loads the schema and all that it refers to.
pub(super) struct Loader<'a> {
    places: &'a Places<'a>,
    validation: Validation,
    builder: Builder,
    /// By the place's JSON value.
    targets: HashMap<*const Json, TargetId>,
    /// By base URI and reference as written; most references are written many times.
    seen: HashMap<(Rc<str>, usize, &'a str), TargetId>,
    /// Schemas loaded before: a reference may point into what another one has brought in.
    loaded: HashMap<*const Json, NodeId>,
    /// Places referred to and not loaded yet.
    pending: Vec<(TargetId, Place<'a>)>,
}

/// Where in a document the loader is.
struct Spot<'a> {
    document: usize,
    draft: Draft,
    base: Rc<str>,
    trail: Trail,
    /// Stands for the place in lookups; its JSON value is not looked at.
    anchor: &'a Json,
}

impl Spot<'_> {
    fn invalid(&self, step: &str, message: impl Into<String>) -> SchemaError {
        SchemaError::Invalid { path: self.trail.then(step).pointer(), message: message.into() }
    }
}

impl<'a> Loader<'a> {
    pub(super) fn new(places: &'a Places<'a>, validation: Validation) -> Self {
        Self {
            places,
            validation,
            builder: Builder::default(),
            targets: HashMap::new(),
            seen: HashMap::new(),
            loaded: HashMap::new(),
            pending: Vec::new(),
        }
    }

    /// Loads everything reachable from the schema itself.
    pub(super) fn load(mut self) -> Result<(Builder, NodeId), SchemaError> {
        let root = self.places.root();
        let target = self.builder.add_target();
        self.targets.insert(std::ptr::from_ref(root.json), target);
        let id = self.load_place(target, root)?;
        // References are followed here and not where they stand: a chain of them, however long, nests nothing.
        while let Some((target, place)) = self.pending.pop() {
            let document = place.document;
            self.load_place(target, place).map_err(|error| match self.places.document(document).name {
                "" => error,
                name => SchemaError::Reference { name: name.to_owned(), source: Box::new(error) },
            })?;
        }
        Ok((self.builder, id))
    }

    fn load_place(&mut self, target: TargetId, place: Place<'a>) -> Result<NodeId, SchemaError> {
        let mut spot = Spot {
            document: place.document,
            draft: self.places.document(place.document).draft,
            base: place.base,
            trail: place.trail,
            anchor: place.json,
        };
        let id = self.schema(place.json, &mut spot)?;
        self.builder.set_target(target, id);
        Ok(id)
    }

    fn schema(&mut self, json: &'a Json, spot: &mut Spot<'a>) -> Result<NodeId, SchemaError> {
        match json {
            Json::Bool(true) => Ok(self.builder.add(Node::plain(Kind::True))),
            Json::Bool(false) => Ok(self.builder.add(Node::plain(Kind::False))),
            Json::Object(_) => {
                if let Some(&id) = self.loaded.get(&std::ptr::from_ref(json)) {
                    return Ok(id);
                }
                let kind = self.kind(json, spot)?;
                if self.validation == Validation::Strict && spot.draft.is_modern() {
                    // The reference's reader of the newer drafts reads definitions whether they are used or not.
                    self.map("$defs", json, spot)?;
                }
                let text = |key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
                let default = json.get("default").filter(|value| **value != Json::Null).map(sorted_text);
                // The reference's reader of the newer drafts takes a document's own name off it.
                let is_root = spot.trail.is_root();
                let id = text(spot.draft.id_keyword()).filter(|_| !(is_root && spot.draft.is_modern()));
                let bytes = text("connect.type").as_deref() == Some("bytes");
                let (title, description) = (text("title"), text("description"));
                let id = self.builder.add(Node { id, title, description, default, bytes, kind });
                self.loaded.insert(std::ptr::from_ref(json), id);
                Ok(id)
            }
            _ => {
                let path = spot.trail.pointer();
                Err(SchemaError::Invalid { path, message: "a schema is an object or a boolean".to_owned() })
            }
        }
    }

    fn child(&mut self, steps: &[&str], json: &'a Json, spot: &mut Spot<'a>) -> Result<NodeId, SchemaError> {
        let longer = steps.iter().fold(spot.trail.clone(), |trail, step| trail.then(*step));
        let before = std::mem::replace(&mut spot.trail, longer);
        let inner = own_base(json, &spot.base, spot.draft);
        let outer = std::mem::replace(&mut spot.base, inner);
        let id = self.schema(json, spot);
        spot.base = outer;
        spot.trail = before;
        id
    }

    /// The schema under a keyword.
    fn maybe(&mut self, key: &'a str, json: &'a Json, spot: &mut Spot<'a>) -> Result<Option<NodeId>, SchemaError> {
        json.get(key).map(|value| self.child(&[key], value, spot)).transpose()
    }

    /// The schemas under a keyword, in written order.
    fn list(&mut self, key: &str, json: &'a Json, spot: &mut Spot<'a>) -> Result<Vec<NodeId>, SchemaError> {
        let Some(Json::Array(items)) = json.get(key) else { return Ok(Vec::new()) };
        items
            .iter()
            .enumerate()
            .map(|(index, item)| self.child(&[key, index.to_string().as_str()], item, spot))
            .collect()
    }

    /// The schemas under a keyword by name, in written order.
    fn map(&mut self, key: &str, json: &'a Json, spot: &mut Spot<'a>) -> Result<Vec<(String, NodeId)>, SchemaError> {
        let Some(Json::Object(members)) = json.get(key) else { return Ok(Vec::new()) };
        members
            .iter()
            .map(|(name, value)| Ok((name.clone(), self.child(&[key, name.as_str()], value, spot)?)))
            .collect()
    }

    fn kind(&mut self, json: &'a Json, spot: &mut Spot<'a>) -> Result<Kind, SchemaError> {
        let reference = self.reference(json, spot)?;
        let mut parts = Vec::new();
        match reference {
            // The older drafts see nothing beside a reference.
            Some(kind) if !spot.draft.is_modern() => return Ok(kind),
            Some(kind) => parts.push(kind),
            None => {}
        }
        self.explicit(json, spot, &mut parts)?;
        self.typed(json, spot, &mut parts)?;
        let has = |key: &str| json.get(key).is_some();
        if spot.draft >= Draft::Draft7 && (has("if") || has("then") || has("else")) {
            let conditional =
                [self.maybe("if", json, spot)?, self.maybe("then", json, spot)?, self.maybe("else", json, spot)?];
            parts.push(Kind::Conditional(conditional));
        }
        if parts.len() > 1 {
            return Ok(self.combine(parts));
        }
        Ok(parts.pop().unwrap_or(Kind::Empty))
    }

    /// All the nodes of one schema as one.
    fn combine(&mut self, parts: Vec<Kind>) -> Kind {
        let parts = parts.into_iter().map(|kind| self.builder.add(Node::plain(kind))).collect();
        Kind::Combined { criterion: Criterion::All, parts: self.combined_first(parts), implied: true }
    }

    fn combined_first(&self, mut parts: Vec<NodeId>) -> Vec<NodeId> {
        parts.sort_by_key(|&id| !matches!(self.builder.node(id).kind, Kind::Combined { .. }));
        parts
    }

    /// Keywords that are nodes of their own whatever the type.
    fn explicit(&mut self, json: &'a Json, spot: &mut Spot<'a>, parts: &mut Vec<Kind>) -> Result<(), SchemaError> {
        if let Some(Json::Array(values)) = json.get("enum") {
            let mut values: Vec<String> = values.iter().map(sorted_text).collect();
            values.sort();
            values.dedup();
            parts.push(Kind::Enum(values));
        }
        for criterion in [Criterion::All, Criterion::Any, Criterion::One] {
            if !matches!(json.get(criterion.as_str()), Some(Json::Array(_))) {
                continue;
            }
            let mut members = Vec::new();
            for id in self.list(criterion.as_str(), json, spot)? {
                match &self.builder.node(id).kind {
                    // The reference's reader of the newer drafts takes a member with several nodes apart.
                    Kind::Combined { parts, implied: true, .. } if spot.draft.is_modern() => members.extend(parts),
                    _ => members.push(id),
                }
            }
            let members = self.combined_first(members);
            parts.push(Kind::Combined { criterion, parts: members, implied: false });
        }
        if let Some(id) = self.maybe("not", json, spot)? {
            parts.push(Kind::Not(id));
        }
        if let Some(value) = json.get("const").filter(|_| spot.draft != Draft::Draft4) {
            parts.push(Kind::Const(sorted_text(value)));
        }
        Ok(())
    }

    /// The named types, and the keywords of types that are not named.
    fn typed(&mut self, json: &'a Json, spot: &mut Spot<'a>, parts: &mut Vec<Kind>) -> Result<(), SchemaError> {
        let mut named = Vec::new();
        match json.get("type") {
            None => {}
            Some(Json::String(name)) => {
                named.extend(Class::of_type(name));
                let kind = self.of_type(name, json, spot)?;
                parts.push(kind);
            }
            Some(Json::Array(types)) => {
                let (mut members, mut seen) = (Vec::new(), Vec::new());
                for name in types {
                    let name = name.as_str().ok_or_else(|| spot.invalid("type", "a type is named by a string"))?;
                    if seen.contains(&name) {
                        continue;
                    }
                    seen.push(name);
                    named.extend(Class::of_type(name));
                    let kind = self.of_type(name, json, spot)?;
                    members.push(self.builder.add(Node::plain(kind)));
                }
                parts.push(Kind::Combined { criterion: Criterion::Any, parts: members, implied: false });
            }
            Some(_) => return Err(spot.invalid("type", "a type is a string or an array of strings")),
        }
        for class in CLASSES {
            if !named.contains(&class) && class.is_spoken_of(json, spot.draft) {
                let kind = self.of_class(class, json, spot)?;
                parts.push(kind);
            }
        }
        Ok(())
    }

    fn of_type(&mut self, name: &str, json: &'a Json, spot: &mut Spot<'a>) -> Result<Kind, SchemaError> {
        match (name, Class::of_type(name)) {
            ("integer", _) => {
                let mut rules = number_rules(json, spot.draft);
                rules.integer = true;
                Ok(Kind::Number(rules))
            }
            (_, Some(class)) => self.of_class(class, json, spot),
            ("boolean", None) => Ok(Kind::Boolean),
            ("null", None) => Ok(Kind::Null),
            (other, None) => Err(spot.invalid("type", format!("unknown type '{}'", shortened(other)))),
        }
    }

    fn of_class(&mut self, class: Class, json: &'a Json, spot: &mut Spot<'a>) -> Result<Kind, SchemaError> {
        match class {
            Class::String => Ok(Kind::String(string_rules(json))),
            Class::Number => Ok(Kind::Number(number_rules(json, spot.draft))),
            Class::Object => Ok(Kind::Object(self.object(json, spot)?)),
            Class::Array => Ok(Kind::Array(self.array(json, spot)?)),
        }
    }

    fn object(&mut self, json: &'a Json, spot: &mut Spot<'a>) -> Result<Box<ObjectRules>, SchemaError> {
        let modern = spot.draft.is_modern();
        let by_name = |mut list: Vec<(String, NodeId)>| {
            list.sort();
            list
        };
        let mut dependent_names = Vec::new();
        let mut dependent_schemas = Vec::new();
        let key = if modern { "dependentRequired" } else { "dependencies" };
        if let Some(Json::Object(members)) = json.get(key) {
            for (name, value) in members {
                match value {
                    Json::Array(_) => dependent_names.push((name.clone(), names(Some(value)))),
                    schema if !modern => {
                        dependent_schemas.push((name.clone(), self.child(&[key, name], schema, spot)?))
                    }
                    _ => return Err(spot.invalid(key, "dependentRequired has arrays of names")),
                }
            }
        }
        if modern {
            dependent_schemas = self.map("dependentSchemas", json, spot)?;
        }
        // A list without names asks for nothing.
        dependent_names.retain(|(_, names)| !names.is_empty());
        dependent_names.sort();
        let (open, additional) = match json.get("additionalProperties") {
            Some(Json::Bool(open)) => (*open, None),
            Some(schema) => (true, Some(self.child(&["additionalProperties"], schema, spot)?)),
            None => (true, None),
        };
        Ok(Box::new(ObjectRules {
            properties: by_name(self.map("properties", json, spot)?),
            required: names(json.get("required")),
            patterns: self.map("patternProperties", json, spot)?,
            open,
            additional,
            unevaluated: if modern { self.maybe("unevaluatedProperties", json, spot)? } else { None },
            max: bound(json, "maxProperties"),
            min: bound(json, "minProperties"),
            dependent_names,
            dependent_schemas: by_name(dependent_schemas),
            names: if spot.draft == Draft::Draft4 { None } else { self.maybe("propertyNames", json, spot)? },
        }))
    }

    fn array(&mut self, json: &'a Json, spot: &mut Spot<'a>) -> Result<Box<ArrayRules>, SchemaError> {
        let modern = spot.draft.is_modern();
        let old_tuple = matches!(json.get("items"), Some(Json::Array(_)));
        // Draft 2020-12 renamed the tuple to `prefixItems` and `additionalItems` to `items`.
        let prefix = modern && !old_tuple;
        let tuple = self.list(if prefix { "prefixItems" } else { "items" }, json, spot)?;
        let rest = if prefix { "items" } else { "additionalItems" };
        let (mut open, mut additional, mut all) = (true, None, None);
        match json.get(rest).filter(|_| !modern || spot.draft == Draft::Draft201909 || prefix) {
            Some(Json::Bool(is_open)) => open = *is_open,
            Some(schema) if prefix && tuple.is_empty() => all = Some(self.child(&[rest], schema, spot)?),
            Some(schema) => additional = Some(self.child(&[rest], schema, spot)?),
            None => {}
        }
        if !modern && !old_tuple {
            all = self.maybe("items", json, spot)?;
            // Where one schema holds for all items there are none behind.
            open = open || all.is_some();
        }
        let contains = if spot.draft == Draft::Draft4 { None } else { self.maybe("contains", json, spot)? };
        let counted = |key: &str| contains.filter(|_| modern).and_then(|_| bound(json, key));
        Ok(Box::new(ArrayRules {
            all,
            tuple,
            open,
            additional,
            unevaluated: if modern { self.maybe("unevaluatedItems", json, spot)? } else { None },
            max: bound(json, "maxItems"),
            min: bound(json, "minItems"),
            unique: json.get("uniqueItems") == Some(&Json::Bool(true)),
            contains,
            max_contains: counted("maxContains"),
            // Without a number one item has to match.
            min_contains: counted("minContains").or_else(|| contains.filter(|_| modern).map(|_| Number::ONE)),
        }))
    }

    /// The node of a `$ref`, if there is one.
    fn reference(&mut self, json: &'a Json, spot: &mut Spot<'a>) -> Result<Option<Kind>, SchemaError> {
        let keywords: &[&str] = match spot.draft {
            Draft::Draft4 | Draft::Draft6 | Draft::Draft7 => &["$ref"],
            Draft::Draft201909 => &["$ref", "$recursiveRef"],
            Draft::Draft202012 => &["$ref", "$dynamicRef"],
        };
        let written = keywords.iter().find_map(|&key| Some((key, json.get(key)?.as_str()?)));
        let Some((key, reference)) = written else { return Ok(None) };
        let known = (Rc::clone(&spot.base), spot.document, reference);
        if let Some(&target) = self.seen.get(&known) {
            return Ok(Some(Kind::Ref(target)));
        }
        let from =
            Place { json: spot.anchor, document: spot.document, base: Rc::clone(&spot.base), trail: Trail::default() };
        let Some(place) = self.places.look_up(reference, &from) else {
            if let Some(draft) = Draft::of_uri(reference) {
                // What a schema is, says the draft; that does not change.
                return Ok(Some(Kind::Foreign(draft.meta_schema().to_owned())));
            }
            if self.validation == Validation::Unresolved {
                return Ok(Some(Kind::Foreign(reference.to_owned())));
            }
            return Err(spot.invalid(key, format!("reference '{}' cannot be resolved", shortened(reference))));
        };
        let target = match self.targets.get(&std::ptr::from_ref(place.json)) {
            Some(&target) => target,
            None => {
                let target = self.builder.add_target();
                self.targets.insert(std::ptr::from_ref(place.json), target);
                self.pending.push((target, place));
                target
            }
        };
        self.seen.insert(known, target);
        Ok(Some(Kind::Ref(target)))
    }
}
