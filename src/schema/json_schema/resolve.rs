//! Where a `$ref` points: the documents at hand, the names and anchors in them, and nothing else. No network, no files.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::model::Draft;
use crate::schema::json::Json;

/// Longest URI that is taken as the base of others; longer ones are no names of documents.
const MAX_URI_BYTES: usize = 512;
/// Objects with more members than this get an index of their keys when a pointer goes through them.
const INDEX_FROM: usize = 16;
/// Members whose values are data, not schemas.
const DATA_KEYWORDS: [&str; 4] = ["enum", "const", "default", "examples"];

/// A JSON text that references may point into.
#[derive(Debug)]
pub(super) struct Document<'a> {
    /// Name of the reference; empty for the schema itself.
    pub(super) name: &'a str,
    /// The text, parsed.
    pub(super) json: &'a Json,
    /// The draft it is written in.
    pub(super) draft: Draft,
}

/// A schema in one of the documents.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub(super) json: &'a Json,
    /// Index of the document.
    pub(super) document: usize,
    /// URI that references in it are relative to; its own name has been seen to.
    pub(super) base: Rc<str>,
    /// The way to it in its document.
    pub(super) trail: Trail,
}

/// A way into a document. Ways share their beginnings: as texts of their own they would take too much room.
#[derive(Debug, Clone, Default)]
pub(super) struct Trail(Option<Rc<Step>>);

#[derive(Debug)]
struct Step {
    before: Trail,
    key: String,
}

impl Trail {
    /// This way and one step more.
    pub(super) fn then(&self, key: impl Into<String>) -> Self {
        Self(Some(Rc::new(Step { before: self.clone(), key: key.into() })))
    }

    /// Whether it leads nowhere but to the document itself.
    pub(super) fn is_root(&self) -> bool {
        self.0.is_none()
    }

    /// The way as a JSON pointer.
    pub(super) fn pointer(&self) -> String {
        let mut keys = Vec::new();
        let mut at = self;
        while let Some(step) = &at.0 {
            keys.push(step.key.as_str());
            at = &step.before;
        }
        keys.iter().rev().fold(String::new(), |mut text, key| {
            text.push('/');
            text.push_str(&key.replace('~', "~0").replace('/', "~1"));
            text
        })
    }
}

/// Names and anchors of all documents.
#[derive(Debug)]
pub(super) struct Places<'a> {
    documents: Vec<Document<'a>>,
    roots: Vec<Place<'a>>,
    resources: HashMap<Rc<str>, Place<'a>>,
    anchors: HashMap<(Rc<str>, &'a str), Place<'a>>,
    indexes: RefCell<HashMap<*const Json, HashMap<&'a str, &'a Json>>>,
}

impl<'a> Places<'a> {
    /// Looks through the documents; the first is the schema itself.
    pub(super) fn new(documents: Vec<Document<'a>>) -> Self {
        let mut places = Self {
            documents: Vec::new(),
            roots: Vec::new(),
            resources: HashMap::new(),
            anchors: HashMap::new(),
            indexes: RefCell::default(),
        };
        let mut main_base: Rc<str> = Rc::from("");
        for (index, document) in documents.iter().enumerate() {
            // A reference's name may be relative: to the schema that refers, as its own names are.
            let name = without_fragment(document.name);
            let outer: Rc<str> = Rc::from(resolve_uri(&main_base, name));
            let base = own_base(document.json, &outer, document.draft);
            if index == 0 {
                main_base = Rc::clone(&base);
            }
            let root = Place { json: document.json, document: index, base, trail: Trail::default() };
            for key in [Rc::from(name), Rc::clone(&outer)] {
                places.resources.entry(key).or_insert_with(|| root.clone());
            }
            places.roots.push(root);
            places.scan(document.json, index, &outer, document.draft, &Trail::default());
        }
        places.documents = documents;
        places
    }

    /// The schema itself.
    pub(super) fn root(&self) -> Place<'a> {
        self.roots.first().cloned().expect("the schema itself is the first document")
    }

    /// A document.
    pub(super) fn document(&self, index: usize) -> &Document<'a> {
        self.documents.get(index).expect("places are in known documents")
    }

    /// Notes the names and anchors of the schemas in `json`.
    fn scan(&mut self, json: &'a Json, document: usize, base: &Rc<str>, draft: Draft, trail: &Trail) {
        match json {
            Json::Object(members) => {
                let inner = own_base(json, base, draft);
                let place = || Place { json, document, base: Rc::clone(&inner), trail: trail.clone() };
                if inner != *base {
                    let found = place();
                    self.resources.entry(Rc::clone(&inner)).or_insert(found);
                }
                let anchors = ["$anchor", "$dynamicAnchor"].into_iter().filter(|_| draft.is_modern());
                let named = json.get(draft.id_keyword()).and_then(Json::as_str);
                let in_id = named.and_then(|id| id.split_once('#')).map(|(_, fragment)| fragment);
                for anchor in anchors.filter_map(|key| json.get(key)?.as_str()).chain(in_id) {
                    if !anchor.is_empty() {
                        let found = place();
                        self.anchors.entry((Rc::clone(&inner), anchor)).or_insert(found);
                    }
                }
                for (key, value) in members {
                    if DATA_KEYWORDS.contains(&key.as_str()) || !is_compound(value) {
                        continue;
                    }
                    self.scan(value, document, &inner, draft, &trail.then(key));
                }
            }
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate().filter(|(_, item)| is_compound(item)) {
                    self.scan(item, document, base, draft, &trail.then(index.to_string()));
                }
            }
            _ => {}
        }
    }

    /// The schema that `reference` means where it is written, if it is at hand.
    pub(super) fn look_up(&self, reference: &str, from: &Place<'a>) -> Option<Place<'a>> {
        let (uri, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let fragment = percent_decode(fragment);
        let document_root = self.roots.get(from.document)?;
        if uri.is_empty() {
            let root = self.resources.get(&from.base).unwrap_or(document_root);
            return self.in_resource(root, &fragment).or_else(|| self.in_resource(document_root, &fragment));
        }
        let absolute = resolve_uri(&from.base, uri);
        let names = [absolute.as_str(), uri, uri.trim_start_matches("./")];
        let root = names.into_iter().find_map(|name| self.resources.get(name))?;
        self.in_resource(root, &fragment)
    }

    fn in_resource(&self, root: &Place<'a>, fragment: &str) -> Option<Place<'a>> {
        if fragment.is_empty() {
            return Some(root.clone());
        }
        let Some(path) = fragment.strip_prefix('/') else {
            // The name of an anchor outlives the lookup only as part of the key that is found.
            return self.anchors.get(&(Rc::clone(&root.base), fragment) as &(Rc<str>, &str)).cloned();
        };
        self.walk(root, path).or_else(|| {
            // As in the reference, the newer word for definitions leads to the older one's too.
            let rest = path.strip_prefix("$defs/").filter(|_| root.trail.is_root())?;
            self.walk(root, &format!("definitions/{rest}"))
        })
    }

    /// Follows a JSON pointer without its first slash.
    fn walk(&self, root: &Place<'a>, path: &str) -> Option<Place<'a>> {
        let draft = self.document(root.document).draft;
        let mut place = root.clone();
        for segment in path.split('/') {
            let key = segment.replace("~1", "/").replace("~0", "~");
            let json = self.member(place.json, &key)?;
            place.base = base_by(|key| self.member(json, key), &place.base, draft);
            place.json = json;
            place.trail = place.trail.then(key);
        }
        Some(place)
    }

    fn member(&self, json: &'a Json, key: &str) -> Option<&'a Json> {
        match json {
            Json::Array(items) => items.get(key.parse::<usize>().ok()?),
            Json::Object(members) if members.len() > INDEX_FROM => {
                let mut indexes = self.indexes.borrow_mut();
                let index = indexes
                    .entry(std::ptr::from_ref(json))
                    .or_insert_with(|| members.iter().map(|(key, value)| (key.as_str(), value)).collect());
                index.get(key).copied()
            }
            other => other.get(key),
        }
    }
}

fn is_compound(json: &Json) -> bool {
    matches!(json, Json::Object(_) | Json::Array(_))
}

/// The base URI inside a schema: its own name, if it has one.
pub(super) fn own_base(json: &Json, outer: &Rc<str>, draft: Draft) -> Rc<str> {
    base_by(|key| json.get(key), outer, draft)
}

fn base_by<'j>(get: impl Fn(&str) -> Option<&'j Json>, outer: &Rc<str>, draft: Draft) -> Rc<str> {
    let Some(id) = get(draft.id_keyword()).and_then(Json::as_str) else { return Rc::clone(outer) };
    // Beside a `$ref` the older drafts see nothing.
    if !draft.is_modern() && get("$ref").is_some_and(|reference| reference.as_str().is_some()) {
        return Rc::clone(outer);
    }
    let id = without_fragment(id);
    if id.is_empty() || id.len() > MAX_URI_BYTES {
        return Rc::clone(outer);
    }
    let resolved = resolve_uri(outer, id);
    if resolved.len() > MAX_URI_BYTES { Rc::clone(outer) } else { Rc::from(resolved) }
}

fn without_fragment(uri: &str) -> &str {
    uri.split_once('#').map_or(uri, |(uri, _)| uri)
}

/// Replaces `%41` and its like; what is no such escape stays as it is.
fn percent_decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match escaped.filter(|_| first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Length of the scheme with its colon, of a URI that has one.
fn scheme_length(uri: &str) -> Option<usize> {
    let colon = uri.find(':')?;
    let scheme = uri.get(..colon)?;
    let known = |character: char| character.is_ascii_alphanumeric() || "+-.".contains(character);
    (scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.chars().all(known)).then_some(colon + 1)
}

/// `reference` seen from `base`, after RFC 3986.
pub(super) fn resolve_uri(base: &str, reference: &str) -> String {
    if base.is_empty() || scheme_length(reference).is_some() {
        return reference.to_owned();
    }
    if reference.is_empty() {
        return base.to_owned();
    }
    let scheme = scheme_length(base).unwrap_or(0);
    let after_scheme = base.get(scheme..).unwrap_or_default();
    if reference.starts_with("//") {
        return format!("{}{reference}", base.get(..scheme).unwrap_or_default());
    }
    let authority = match after_scheme.strip_prefix("//") {
        Some(rest) => scheme + 2 + rest.find(['/', '?']).unwrap_or(rest.len()),
        None => scheme,
    };
    let (front, path) = base.split_at_checked(authority).unwrap_or((base, ""));
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    if reference.starts_with('/') {
        return format!("{front}{}", without_dots(reference));
    }
    match path.rfind('/') {
        Some(slash) => {
            format!("{front}{}", without_dots(&format!("{}/{reference}", path.get(..slash).unwrap_or(path))))
        }
        None if authority > scheme => format!("{front}/{reference}"),
        None => reference.to_owned(),
    }
}

fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "." => {}
            ".." if kept.len() > 1 => {
                kept.pop();
            }
            ".." => {}
            other => kept.push(other),
        }
    }
    kept.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_resolve_as_the_rfc_says() {
        for (base, reference, expected) in [
            ("", "a.json", "a.json"),
            ("http://x/a/b.json", "c.json", "http://x/a/c.json"),
            ("http://x/a/b.json", "../c.json", "http://x/c.json"),
            ("http://x/a/b.json", "./c.json", "http://x/a/c.json"),
            ("http://x/a/b.json", "/c.json", "http://x/c.json"),
            ("http://x/a/b.json", "//y/c.json", "http://y/c.json"),
            ("http://x/a/b.json", "urn:c", "urn:c"),
            ("http://x", "c.json", "http://x/c.json"),
            ("urn:a:b", "c.json", "c.json"),
            ("dir/a.json", "b.json", "dir/b.json"),
            ("a.json", "b.json", "b.json"),
        ] {
            assert_eq!(resolve_uri(base, reference), expected, "{reference} from {base}");
        }
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(percent_decode("/a%25b%2"), "/a%b%2");
        assert_eq!(percent_decode("%é"), "%é");
    }
}
