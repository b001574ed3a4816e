//! What changed from one schema to another, by the reference's rules, and which of it breaks readers.
//!
//! Fields are matched by number over the whole message, inside of oneofs and out. Types of the schema's own file are
//! compared where they are declared; imported ones where a field uses them, each pair once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::Incompatibility;
use super::ProtobufSchema;
use super::change::Change;
use super::model::{Enum, Field, FieldType, Label, Message, Symbol, TypeName, join, strip_package};

/// Most changes that are kept, of one message or file and of all; as many again of those that break readers.
const MAX_CHANGES: usize = 20_000;

/// Most fields, nested types and enum values of imported messages that are compared; pairs met later count as changed.
/// Each message is compared with its namesake once, only packages that multiply namesakes go further.
const MAX_PAIR_WORK: usize = 500_000;

/// The changes from `writer` to `reader` that a reader does not survive.
pub(super) fn incompatibilities(reader: &ProtobufSchema, writer: &ProtobufSchema) -> Vec<Incompatibility> {
    let changes = changes(writer, reader).into_iter().filter_map(|(change, location)| {
        let description = change.description(&location)?;
        Some(Incompatibility { kind: change.as_str(), location, message: String::new(), description })
    });
    changes.collect()
}

/// All changes with their places.
pub(super) fn changes(old: &ProtobufSchema, new: &ProtobufSchema) -> Vec<(Change, String)> {
    let walk = Walk { old: Side::of(old), new: Side::of(new) };
    let mut at = Place { path: Vec::new(), entries: Vec::new() };
    let (old_file, new_file) = (old.own(), new.own());
    if old_file.package != new_file.package {
        at.add(Change::PackageChanged);
    }
    walk.messages(&mut at, &old_file.messages, &new_file.messages);
    enums(&mut at, &old_file.enums, &new_file.enums);
    walk.finish(at.entries)
}

/// One schema's messages by full name, with the file they are declared in.
pub(super) struct Side<'a> {
    schema: &'a ProtobufSchema,
    pub(super) messages: HashMap<String, (usize, &'a Message)>,
}

impl<'a> Side<'a> {
    pub(super) fn of(schema: &'a ProtobufSchema) -> Self {
        fn collect<'a>(
            found: &mut HashMap<String, (usize, &'a Message)>,
            scope: &str,
            messages: &'a [Message],
            file: usize,
        ) {
            for message in messages {
                let name = join(scope, &message.name);
                collect(found, &name, &message.nested, file);
                found.entry(name).or_insert((file, message));
            }
        }
        let mut messages = HashMap::new();
        for (index, file) in schema.files.iter().enumerate().rev() {
            collect(&mut messages, &file.package, &file.messages, index);
        }
        Self { schema, messages }
    }

    fn is_enum(&self, name: &TypeName) -> bool {
        match name {
            TypeName::Full(full) => matches!(self.schema.symbols.get(full), Some(Symbol::Enum(_))),
            TypeName::Written(_) => false,
        }
    }

    fn find(&self, name: &TypeName) -> Option<Target<'a>> {
        let TypeName::Full(full) = name else { return None };
        let (index, message) = *self.messages.get(full)?;
        let package = self.schema.files.get(index).map_or("", |file| &file.package);
        let local = strip_package(full, package).unwrap_or(full).to_owned();
        Some(Target { message, full: full.clone(), local, own: index + 1 == self.schema.files.len() })
    }

    fn class(&self, kind: &FieldType) -> Class {
        match kind {
            FieldType::Scalar(name) => Class::Scalar(scalar_group(name)),
            FieldType::Named(name) if self.is_enum(name) => Class::Scalar(Group::Number),
            FieldType::Map(..) => Class::Map,
            FieldType::Named(_) | FieldType::Group(_) => Class::Message,
        }
    }
}

/// A message that a field refers to.
struct Target<'a> {
    message: &'a Message,
    full: String,
    /// Name without the package.
    local: String,
    /// Whether it is declared in the schema's own file.
    own: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Scalar(Group),
    Map,
    Message,
}

/// Scalars whose encodings read as one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Number,
    Signed,
    Text,
    Fixed32,
    Fixed64,
    Float,
    Double,
}

fn scalar_group(name: &str) -> Group {
    match name {
        "sint32" | "sint64" => Group::Signed,
        "string" | "bytes" => Group::Text,
        "fixed32" | "sfixed32" => Group::Fixed32,
        "fixed64" | "sfixed64" => Group::Fixed64,
        "float" => Group::Float,
        "double" => Group::Double,
        _ => Group::Number,
    }
}

/// What one comparison found, in order.
enum Entry<'a> {
    Change(Change, String),
    /// A field's message types, old and new, which have to be compared to know whether the field changed.
    Pair(String, Box<(Target<'a>, Target<'a>)>),
}

/// Where a comparison is, and what it found so far.
struct Place<'a> {
    path: Vec<String>,
    entries: Vec<Entry<'a>>,
}

impl Place<'_> {
    fn add(&mut self, change: Change) {
        let limit = if self.entries.len() < MAX_CHANGES || change.breaks_readers() { 2 * MAX_CHANGES } else { 0 };
        if self.entries.len() >= limit {
            return;
        }
        let entry = Entry::Change(change, self.location());
        self.entries.push(entry);
    }

    fn location(&self) -> String {
        format!("#/{}", self.path.join("/"))
    }

    fn inside(&mut self, name: impl Into<String>, work: impl FnOnce(&mut Self)) {
        self.path.push(name.into());
        work(self);
        self.path.pop();
    }
}

struct Walk<'a> {
    old: Side<'a>,
    new: Side<'a>,
}

/// A message's fields by number, with the oneof they are in; groups are left out, as the reference does.
type Fields<'a> = BTreeMap<i32, (&'a Field, Option<&'a str>)>;

fn fields(message: &Message) -> Fields<'_> {
    let outside = message.fields.iter().map(|field| (field, None));
    let inside = message.oneofs.iter().flat_map(|oneof| oneof.fields.iter().map(|field| (field, Some(&*oneof.name))));
    let all = outside.chain(inside).filter(|(field, _)| !matches!(field.kind, FieldType::Group(_)));
    all.map(|(field, oneof)| (field.number, (field, oneof))).collect()
}

impl<'a> Walk<'a> {
    fn messages(&self, at: &mut Place<'a>, old: &'a [Message], new: &'a [Message]) {
        let index = |messages: &'a [Message]| -> HashMap<&'a str, (usize, &'a Message)> {
            messages.iter().enumerate().map(|(position, message)| (&*message.name, (position, message))).collect()
        };
        let (old_by_name, new_by_name) = (index(old), index(new));
        // Where a name is declared twice, which only a lenient judge lets pass, the last one counts.
        let last =
            |position: usize, message: &Message| old_by_name.get(&*message.name).is_some_and(|it| it.0 == position);
        for (position, message) in old.iter().enumerate().filter(|(position, message)| last(*position, message)) {
            at.inside(&*message.name, |at| match new_by_name.get(&*message.name) {
                None => at.add(Change::MessageRemoved),
                Some((new_position, new_message)) => {
                    self.message(at, message, new_message);
                    if position != *new_position {
                        at.add(Change::MessageMoved);
                    }
                }
            });
        }
        for message in new.iter().filter(|message| !old_by_name.contains_key(&*message.name)) {
            at.inside(&*message.name, |at| at.add(Change::MessageAdded));
        }
    }

    fn message(&self, at: &mut Place<'a>, old: &'a Message, new: &'a Message) {
        let (old_fields, new_fields) = (fields(old), fields(new));
        new_exclusions(at, new, &old_fields);
        let names = |message: &'a Message| message.oneofs.iter().map(|oneof| &*oneof.name).collect::<BTreeSet<&str>>();
        let (old_oneofs, new_oneofs) = (names(old), names(new));
        for &name in old_oneofs.symmetric_difference(&new_oneofs) {
            let change = if old_oneofs.contains(name) { Change::OneofRemoved } else { Change::OneofAdded };
            at.inside(name, |at| at.add(change));
        }
        // A oneof that is gone with all its members is no loss; one that left members behind has lost the others.
        let survivors: BTreeSet<&str> = old_fields
            .iter()
            .filter(|(number, _)| new_fields.contains_key(number))
            .filter_map(|(_, (_, oneof))| *oneof)
            .chain(new_oneofs)
            .collect();
        let numbers: BTreeSet<i32> = old_fields.keys().chain(new_fields.keys()).copied().collect();
        for number in numbers {
            let mut parts = Vec::new();
            let (field, change) = match (old_fields.get(&number), new_fields.get(&number)) {
                (Some((_, Some(oneof))), None) if !survivors.contains(oneof) => continue,
                (Some((_, Some(oneof))), None) => {
                    parts.push((*oneof).to_owned());
                    (None, Some(Change::OneofFieldRemoved))
                }
                (Some((field, None)), None) if field.label == Some(Label::Required) => {
                    (None, Some(Change::RequiredFieldRemoved))
                }
                (Some((_, None)), None) => (None, Some(Change::FieldRemoved)),
                (None, Some((_, Some(oneof)))) => {
                    parts.push((*oneof).to_owned());
                    (None, Some(Change::OneofFieldAdded))
                }
                (None, Some((field, None))) if field.label == Some(Label::Required) => {
                    (None, Some(Change::RequiredFieldAdded))
                }
                (None, Some((_, None))) => (None, Some(Change::FieldAdded)),
                (Some((old, from)), Some((new, to))) => {
                    parts.extend(to.map(str::to_owned));
                    let left = from.is_some() && to.is_none();
                    (Some((*old, *new)), left.then_some(Change::OneofFieldMovedToTopLevel))
                }
                (None, None) => continue,
            };
            parts.push(number.to_string());
            at.inside(parts.join("/"), |at| {
                if let Some(change) = change {
                    at.add(change);
                }
                if let Some((old, new)) = field {
                    if old.name != new.name {
                        at.add(Change::FieldNameChanged);
                    }
                    self.types(at, (&old.kind, old.label), (&new.kind, new.label));
                }
            });
        }
        self.messages(at, &old.nested, &new.nested);
        enums(at, &old.enums, &new.enums);
    }

    fn types(&self, at: &mut Place<'a>, old: (&FieldType, Option<Label>), new: (&FieldType, Option<Label>)) {
        let (old_class, new_class) = (self.old.class(old.0), self.new.class(new.0));
        match (old_class, new_class) {
            (Class::Scalar(old_group), Class::Scalar(new_group)) => {
                if old_group != new_group {
                    at.add(Change::FieldScalarKindChanged);
                } else if old.1.zip(new.1).is_some_and(|(old, new)| old != new) {
                    at.add(match old_group {
                        Group::Text => Change::FieldStringOrBytesLabelChanged,
                        _ => Change::FieldNumericLabelChanged,
                    });
                }
            }
            (Class::Map, Class::Map) => {
                if let (FieldType::Map(old_key, old_value), FieldType::Map(new_key, new_value)) = (old.0, new.0) {
                    if scalar_group(old_key) != scalar_group(new_key) {
                        at.add(Change::FieldScalarKindChanged);
                    }
                    self.types(at, (old_value, None), (new_value, None));
                }
            }
            (Class::Message, Class::Message) => {
                if let (FieldType::Named(old), FieldType::Named(new)) = (old.0, new.0) {
                    self.named(at, old, new);
                }
            }
            _ => at.add(Change::FieldKindChanged),
        }
    }

    fn named(&self, at: &mut Place<'a>, old: &TypeName, new: &TypeName) {
        match (self.old.find(old), self.new.find(new)) {
            (Some(old), Some(new)) if old.local != new.local => at.add(Change::FieldNamedTypeChanged),
            (Some(old), Some(new)) if old.own && new.own => {}
            // So many cannot all be looked at: what is not looked at counts as changed.
            _ if at.entries.len() >= 2 * MAX_CHANGES - 1 => at.add(Change::FieldNamedTypeChanged),
            (Some(old), Some(new)) => {
                let entry = Entry::Pair(at.location(), Box::new((old, new)));
                at.entries.push(entry);
            }
            _ if plain(old) != plain(new) => at.add(Change::FieldNamedTypeChanged),
            _ => {}
        }
    }

    /// Compares the pairs that were found on the way, and those found in them; without recursion, because messages can
    /// refer to each other in long chains. A pair that is met again inside itself is taken to be compatible there.
    fn finish(&self, entries: Vec<Entry<'a>>) -> Vec<(Change, String)> {
        let mut found = Vec::new();
        let mut verdicts: HashMap<(String, String), Option<bool>> = HashMap::new();
        let mut work = 0_usize;
        let mut stack = vec![Frame { entries: entries.into_iter(), pair: None, broken: false }];
        while let Some(frame) = stack.last_mut() {
            match frame.entries.next() {
                Some(Entry::Change(change, location)) => {
                    frame.broken |= change.breaks_readers();
                    keep(&mut found, change, location);
                }
                Some(Entry::Pair(location, targets)) => {
                    let (old, new) = *targets;
                    let key = (old.full, new.full);
                    match verdicts.get(&key) {
                        Some(Some(true)) => {
                            frame.broken = true;
                            keep(&mut found, Change::FieldNamedTypeChanged, location);
                        }
                        Some(_) => {}
                        None if work > MAX_PAIR_WORK => {
                            frame.broken = true;
                            keep(&mut found, Change::FieldNamedTypeChanged, location);
                        }
                        None => {
                            verdicts.insert(key.clone(), None);
                            work += size(old.message) + size(new.message);
                            let path = old.local.split('.').map(str::to_owned).collect();
                            let mut at = Place { path, entries: Vec::new() };
                            self.message(&mut at, old.message, new.message);
                            let pair = Some((key, location));
                            stack.push(Frame { entries: at.entries.into_iter(), pair, broken: false });
                        }
                    }
                }
                None => {
                    let Some(Frame { pair: Some((key, location)), broken, .. }) = stack.pop() else { break };
                    verdicts.insert(key, Some(broken));
                    if broken {
                        keep(&mut found, Change::FieldNamedTypeChanged, location);
                        if let Some(outer) = stack.last_mut() {
                            outer.broken = true;
                        }
                    }
                }
            }
        }
        found
    }
}

/// Adds a change to all that were found, by the limits of a [`Place`].
fn keep(found: &mut Vec<(Change, String)>, change: Change, location: String) {
    let limit = if change.breaks_readers() { 2 * MAX_CHANGES } else { MAX_CHANGES };
    if found.len() < limit {
        found.push((change, location));
    }
}

/// How much there is to compare in a message.
fn size(message: &Message) -> usize {
    let in_oneofs = message.oneofs.iter().map(|oneof| 1 + oneof.fields.len()).sum::<usize>();
    let in_enums = message.enums.iter().map(|declared| 1 + declared.values.len()).sum::<usize>();
    1 + message.fields.len() + in_oneofs + in_enums + message.nested.iter().map(size).sum::<usize>()
}

struct Frame<'a> {
    entries: std::vec::IntoIter<Entry<'a>>,
    /// Names of the types compared, and the field that refers to them.
    pair: Option<((String, String), String)>,
    broken: bool,
}

fn plain(name: &TypeName) -> &str {
    match name {
        TypeName::Full(full) => full,
        TypeName::Written(written) => written.strip_prefix('.').unwrap_or(written),
    }
}

/// Fields that could be set together before and are in one oneof now. Members of one old oneof excluded each other
/// already; a field outside of oneofs excluded none; a new field was never set.
fn new_exclusions(at: &mut Place<'_>, new: &Message, old_fields: &Fields<'_>) {
    for oneof in &new.oneofs {
        let members = oneof.fields.iter().filter_map(|field| old_fields.get(&field.number));
        let (inside, outside): (Vec<Option<&str>>, Vec<_>) =
            members.map(|(_, oneof)| *oneof).partition(Option::is_some);
        let origins = inside.into_iter().collect::<BTreeSet<_>>().len() + outside.len();
        if origins > 1 {
            let several = outside.len() > 1;
            let change = if several { Change::MultipleFieldsMovedToOneof } else { Change::FieldMovedToExistingOneof };
            at.inside(&*oneof.name, |at| at.add(change));
        }
    }
}

fn enums(at: &mut Place<'_>, old: &[Enum], new: &[Enum]) {
    let (old_names, new_names): (HashMap<_, _>, HashMap<_, _>) = (by_name(old), by_name(new));
    for declared in
        old.iter().filter(|declared| old_names.get(&*declared.name).is_some_and(|it| std::ptr::eq(*it, *declared)))
    {
        at.inside(&*declared.name, |at| match new_names.get(&*declared.name) {
            None => at.add(Change::EnumRemoved),
            Some(new) => enum_values(at, declared, new),
        });
    }
    for declared in new.iter().filter(|declared| !old_names.contains_key(&*declared.name)) {
        at.inside(&*declared.name, |at| at.add(Change::EnumAdded));
    }
}

fn by_name(enums: &[Enum]) -> HashMap<&str, &Enum> {
    enums.iter().map(|declared| (&*declared.name, declared)).collect()
}

fn enum_values(at: &mut Place<'_>, old: &Enum, new: &Enum) {
    let values = |declared: &'_ Enum| -> BTreeMap<i32, String> {
        declared.values.iter().map(|value| (value.number, value.name.clone())).collect()
    };
    let (old, new) = (values(old), values(new));
    for number in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let change = match (old.get(number), new.get(number)) {
            (Some(_), None) => Change::EnumConstRemoved,
            (None, Some(_)) => Change::EnumConstAdded,
            (old, new) if old != new => Change::EnumConstChanged,
            _ => continue,
        };
        at.inside(number.to_string(), |at| at.add(change));
    }
}
