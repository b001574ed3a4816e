//! What a .proto file says, freed of the ways to say it: the same file as text or as a descriptor gives the same model.

use std::collections::HashMap;

/// Highest field number the language allows.
pub(super) const MAX_FIELD_NUMBER: i32 = 536_870_911;

/// The language's version a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    Proto2,
    Proto3,
}

impl Syntax {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Syntax::Proto2 => "proto2",
            Syntax::Proto3 => "proto3",
        }
    }
}

/// A file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) syntax: Syntax,
    /// Empty where none is given.
    pub(super) package: String,
    pub(super) imports: Vec<Import>,
    pub(super) options: Vec<Setting>,
    pub(super) messages: Vec<Message>,
    pub(super) enums: Vec<Enum>,
    pub(super) extends: Vec<Extend>,
    pub(super) services: Vec<Service>,
}

/// How far an import reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    Plain,
    Weak,
    Public,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Import {
    pub(super) reach: Reach,
    pub(super) path: String,
}

/// A message. Map entries and the messages of groups are not `nested` but part of the field they belong to.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) name: String,
    pub(super) options: Vec<Setting>,
    /// Those outside of any oneof.
    pub(super) fields: Vec<Field>,
    pub(super) oneofs: Vec<Oneof>,
    pub(super) reserved: Reserved,
    pub(super) extensions: Vec<ExtensionRange>,
    pub(super) extends: Vec<Extend>,
    pub(super) nested: Vec<Message>,
    pub(super) enums: Vec<Enum>,
}

/// Numbers (first and last) and names that must not be used.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    pub(super) ranges: Vec<(i32, i32)>,
    pub(super) names: Vec<String>,
}

#[derive(Debug)]
pub(super) struct ExtensionRange {
    pub(super) first: i32,
    pub(super) last: i32,
    pub(super) options: Vec<Setting>,
}

/// Fields added to another message.
#[derive(Debug)]
pub(super) struct Extend {
    pub(super) extendee: TypeName,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct Oneof {
    pub(super) name: String,
    pub(super) options: Vec<Setting>,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Optional,
    Required,
    Repeated,
}

impl Label {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Label::Optional => "optional",
            Label::Required => "required",
            Label::Repeated => "repeated",
        }
    }
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) number: i32,
    /// The label as it would be written: none for plain proto3 fields, members of oneofs and maps.
    pub(super) label: Option<Label>,
    pub(super) kind: FieldType,
    /// Options, the default and the JSON name (where it is not the usual one) among them.
    pub(super) options: Vec<Setting>,
}

#[derive(Debug)]
pub(super) enum FieldType {
    Scalar(&'static str),
    Named(TypeName),
    /// Key and value.
    Map(&'static str, Box<FieldType>),
    /// A group with the message it declares.
    Group(Box<Message>),
}

/// A message's or an enum's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TypeName {
    /// Full name, without a leading dot.
    Full(String),
    /// As written, where nothing says what it means.
    Written(String),
}

#[derive(Debug)]
pub(super) struct Enum {
    pub(super) name: String,
    pub(super) options: Vec<Setting>,
    pub(super) values: Vec<EnumValue>,
    pub(super) reserved: Reserved,
}

#[derive(Debug)]
pub(super) struct EnumValue {
    pub(super) name: String,
    pub(super) number: i32,
    pub(super) options: Vec<Setting>,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) options: Vec<Setting>,
    pub(super) methods: Vec<Method>,
}

#[derive(Debug)]
pub(super) struct Method {
    pub(super) name: String,
    pub(super) input: TypeName,
    pub(super) output: TypeName,
    pub(super) client_streaming: bool,
    pub(super) server_streaming: bool,
    pub(super) options: Vec<Setting>,
}

/// An option with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    pub(super) name: OptionName,
    pub(super) value: Constant,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum OptionName {
    /// One of the language's own.
    Plain(String),
    /// A custom one: the extension's full name, without a leading dot.
    Extension(String),
    /// As written, where nothing says what it means.
    Written(String),
}

/// An option's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Constant {
    /// A number, identifier or quoted string, ready to print.
    Word(String),
    /// A message: names (an extension's in brackets) and values.
    Message(Vec<(String, Constant)>),
    /// Several values of one field inside a message.
    List(Vec<Constant>),
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    /// A package or a part of one.
    Package,
    /// A message in the file with this index.
    Message(usize),
    /// An enum in the file with this index.
    Enum(usize),
    /// An extension.
    Extension,
}

impl Symbol {
    fn is_scope(self) -> bool {
        !matches!(self, Symbol::Extension)
    }

    pub(super) fn is_type(self) -> bool {
        matches!(self, Symbol::Message(_) | Symbol::Enum(_))
    }
}

/// All full names known in a file and the files it imports.
#[derive(Debug, Default)]
pub(super) struct Symbols(HashMap<String, Symbol>);

impl Symbols {
    /// Adds a name; the first meaning stays.
    pub(super) fn add(&mut self, name: String, symbol: Symbol) {
        self.0.entry(name).or_insert(symbol);
    }

    /// Adds a package and the packages it lies in.
    pub(super) fn add_package(&mut self, package: &str) {
        for (end, _) in package.match_indices('.').chain([(package.len(), "")]) {
            match package.get(..end) {
                Some(name) if !name.is_empty() => self.add(name.to_owned(), Symbol::Package),
                _ => {}
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<Symbol> {
        self.0.get(name).copied()
    }

    /// The full name a written name means inside `scope`, by the language's rule: the first part is looked up from the
    /// innermost scope outwards, and where it is found the rest must be too. The answer need not be a known type when
    /// its first part is a package, because such a name can only mean one thing.
    pub(super) fn resolve(&self, written: &str, scope: &str, wanted: fn(Symbol) -> bool) -> Option<String> {
        if let Some(full) = written.strip_prefix('.') {
            return Some(full.to_owned());
        }
        let first = written.split('.').next().unwrap_or_default();
        for parent in scopes(scope) {
            let candidate = join(parent, first);
            let Some(symbol) = self.get(&candidate) else { continue };
            if first.len() == written.len() {
                if wanted(symbol) {
                    return Some(candidate);
                }
            } else if symbol.is_scope() {
                let full = join(parent, written);
                let known = self.get(&full).is_some_and(wanted);
                return (known || symbol == Symbol::Package).then_some(full);
            }
        }
        None
    }

    /// As [`Symbols::resolve`], and if the language's rule finds nothing known, the innermost scope with the whole name
    /// in it.
    pub(super) fn resolve_type(&self, written: &str, scope: &str) -> TypeName {
        let found = self.resolve(written, scope, Symbol::is_type);
        if let Some(full) = &found
            && self.get(full).is_some_and(Symbol::is_type)
        {
            return TypeName::Full(full.clone());
        }
        let whole =
            scopes(scope).map(|parent| join(parent, written)).find(|full| self.get(full).is_some_and(Symbol::is_type));
        whole.or(found).map_or_else(|| TypeName::Written(written.to_owned()), TypeName::Full)
    }

    /// The form in which to write a full name inside `scope`: as short as it goes for a name of the same package, the
    /// full name otherwise, with a leading dot only where it would mean something else without.
    pub(super) fn shorten(&self, full: &str, scope: &str, package: &str, wanted: fn(Symbol) -> bool) -> String {
        let inside = if package.is_empty() { Some(full) } else { strip_package(full, package) };
        let mut candidates = Vec::new();
        if let Some(local) = inside {
            let clear = || scopes(scope).all(|parent| self.get(&join(parent, first_part(local))).is_none());
            if self.get(full).is_none() && clear() {
                // From a file of the same package that is not here; with it here, this is what would be printed.
                return local.to_owned();
            }
            let starts = local.rmatch_indices('.').map(|(dot, _)| dot + 1).chain([0]);
            candidates.extend(starts.filter_map(|start| local.get(start..)));
        }
        candidates.push(full);
        let means = |candidate: &&str| self.resolve(candidate, scope, wanted).as_deref() == Some(full);
        match candidates.into_iter().find(means) {
            Some(candidate) => candidate.to_owned(),
            None if scopes(scope).any(|parent| self.get(&join(parent, first_part(full))).is_some()) => {
                format!(".{full}")
            }
            None => full.to_owned(),
        }
    }
}

fn first_part(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

/// The rest of a full name after its package.
pub(super) fn strip_package<'a>(full: &'a str, package: &str) -> Option<&'a str> {
    full.strip_prefix(package)?.strip_prefix('.')
}

/// A name inside a scope; the scope may be the empty one.
pub(super) fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

/// A scope and those around it, innermost first, the empty one last.
fn scopes(scope: &str) -> impl Iterator<Item = &str> {
    let outer = scope.rmatch_indices('.').filter_map(|(dot, _)| scope.get(..dot));
    let innermost = (!scope.is_empty()).then_some(scope);
    innermost.into_iter().chain(outer).chain([""])
}
