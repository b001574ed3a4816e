//! What a descriptor must satisfy before anything else looks at it, whether it was made from text or came as base64:
//! the names are names, the numbers are in range, and nothing is deep or large enough to hurt.

use std::collections::HashSet;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use super::model::MAX_FIELD_NUMBER;

/// Deepest nesting of messages, as in the language's own compiler.
pub(super) const MAX_DEPTH: usize = 31;
/// Longest name of one thing, in bytes.
const MAX_NAME: usize = 512;
/// Longest full name of a message, in bytes. Fields and differences keep such names, each its own.
const MAX_FULL_NAME: usize = 512;
/// Longest name with dots, in bytes.
const MAX_PATH: usize = 2048;
/// Most parts of a package.
const MAX_PACKAGE_PARTS: usize = 64;
/// Most values of one enum. The parser's library inserts each in a sorted list.
const MAX_ENUM_VALUES: usize = 20_000;
/// Most reserved or extension ranges of one message. Each field is compared with each.
const MAX_RANGES: usize = 4_096;
/// Most imports of one file.
const MAX_IMPORTS: usize = 1_000;

/// A reason against a descriptor, with the name of the thing.
pub(super) type Objection = (String, String);

/// Checks a file, and turns map entries declared by an option in text into real ones.
pub(super) fn check(file: &mut FileDescriptorProto, from_text: bool) -> Result<(), Objection> {
    let package = file.package().to_owned();
    if !package.is_empty() {
        is_path(&package, "package")?;
        if package.split('.').count() > MAX_PACKAGE_PARTS {
            return Err((String::new(), "package has too many parts".to_owned()));
        }
    }
    if !matches!(file.syntax(), "" | "proto2" | "proto3") {
        return Err((
            String::new(),
            format!("unknown syntax '{}'; use proto2 or proto3", file.syntax().escape_debug()),
        ));
    }
    if file.dependency.len() > MAX_IMPORTS {
        return Err((String::new(), format!("more than {MAX_IMPORTS} imports")));
    }
    for path in &file.dependency {
        let strange = |letter: char| letter.is_control() || matches!(letter, '"' | '\'' | '\\');
        if path.is_empty() || path.len() > MAX_PATH || path.chars().any(strange) {
            return Err((String::new(), format!("invalid import '{}'", path.escape_debug())));
        }
    }
    for index in file.public_dependency.iter().chain(&file.weak_dependency) {
        if usize::try_from(*index).map_or(true, |index| index >= file.dependency.len()) {
            return Err((String::new(), "invalid import index".to_owned()));
        }
    }
    let checker = Checker { from_text };
    checker.free_of_uninterpreted(file.options.as_ref().map(|options| options.uninterpreted_option.len()), "file")?;
    for message in &mut file.message_type {
        checker.message(message, package.len(), 1)?;
    }
    entries_are_used(&[], &file.message_type)?;
    groups_are_sound(&[], &file.extension, &file.message_type)?;
    for declared in &file.enum_type {
        checker.enumeration(declared)?;
    }
    for field in &file.extension {
        checker.field(field, 0, true)?;
    }
    for service in &file.service {
        is_name(service.name(), "service")?;
        checker.free_of_uninterpreted(
            service.options.as_ref().map(|options| options.uninterpreted_option.len()),
            service.name(),
        )?;
        for method in &service.method {
            is_name(method.name(), "method")?;
            is_type_name(method.input_type(), method.name())?;
            is_type_name(method.output_type(), method.name())?;
            let count = method.options.as_ref().map(|options| options.uninterpreted_option.len());
            checker.free_of_uninterpreted(count, method.name())?;
        }
    }
    Ok(())
}

struct Checker {
    from_text: bool,
}

impl Checker {
    /// Checks a message in a scope whose name has so many bytes.
    fn message(&self, message: &mut DescriptorProto, scope: usize, depth: usize) -> Result<(), Objection> {
        is_name(message.name(), "message")?;
        let name = message.name().to_owned();
        let scope = scope + 1 + name.len();
        if scope > MAX_FULL_NAME {
            return Err((name, format!("the full name is longer than {MAX_FULL_NAME} bytes")));
        }
        if depth > MAX_DEPTH {
            return Err((name, format!("messages are nested more than {MAX_DEPTH} deep")));
        }
        if self.from_text {
            take_map_entry_option(message);
        }
        self.free_of_uninterpreted(message.options.as_ref().map(|options| options.uninterpreted_option.len()), &name)?;
        for field in &message.field {
            self.field(field, message.oneof_decl.len(), false)?;
        }
        for field in &message.extension {
            self.field(field, 0, true)?;
        }
        for oneof in &message.oneof_decl {
            is_name(oneof.name(), "oneof")?;
            let count = oneof.options.as_ref().map(|options| options.uninterpreted_option.len());
            self.free_of_uninterpreted(count, oneof.name())?;
        }
        if message.reserved_range.len() > MAX_RANGES || message.extension_range.len() > MAX_RANGES {
            return Err((name, format!("more than {MAX_RANGES} ranges")));
        }
        for range in &message.reserved_range {
            in_range(range.start(), range.end(), &name)?;
        }
        for range in &message.extension_range {
            in_range(range.start(), range.end(), &name)?;
            let count = range.options.as_ref().map(|options| options.uninterpreted_option.len());
            self.free_of_uninterpreted(count, &name)?;
        }
        for reserved in &message.reserved_name {
            is_name(reserved, "reserved name")?;
        }
        for declared in &message.enum_type {
            self.enumeration(declared)?;
        }
        for nested in &mut message.nested_type {
            self.message(nested, scope, depth + 1)?;
        }
        entries_are_used(&message.field, &message.nested_type)?;
        groups_are_sound(&message.field, &message.extension, &message.nested_type)?;
        if is_map_entry(message) {
            is_sound_entry(message).map_err(|why| (name, why.to_owned()))?;
        }
        Ok(())
    }

    fn enumeration(&self, declared: &EnumDescriptorProto) -> Result<(), Objection> {
        is_name(declared.name(), "enum")?;
        if declared.value.len() > MAX_ENUM_VALUES {
            return Err((declared.name().to_owned(), format!("enum has more than {MAX_ENUM_VALUES} values")));
        }
        if declared.reserved_range.len() > MAX_RANGES {
            return Err((declared.name().to_owned(), format!("more than {MAX_RANGES} ranges")));
        }
        for range in &declared.reserved_range {
            if range.start() > range.end() {
                return Err((declared.name().to_owned(), "reserved range ends before it starts".to_owned()));
            }
        }
        for reserved in &declared.reserved_name {
            is_name(reserved, "reserved name")?;
        }
        let count = declared.options.as_ref().map(|options| options.uninterpreted_option.len());
        self.free_of_uninterpreted(count, declared.name())?;
        for value in &declared.value {
            is_name(value.name(), "enum value")?;
            let count = value.options.as_ref().map(|options| options.uninterpreted_option.len());
            self.free_of_uninterpreted(count, value.name())?;
        }
        Ok(())
    }

    fn field(&self, field: &FieldDescriptorProto, oneofs: usize, extension: bool) -> Result<(), Objection> {
        is_name(field.name(), "field")?;
        let object = |why: &str| Err((field.name().to_owned(), why.to_owned()));
        if !(1..=MAX_FIELD_NUMBER).contains(&field.number()) {
            return object(&format!("field numbers are between 1 and {MAX_FIELD_NUMBER}"));
        }
        if field.label.is_some_and(|label| Label::try_from(label).is_err()) {
            return object("unknown label");
        }
        let Ok(kind) = field.r#type.map(Type::try_from).transpose() else { return object("unknown type") };
        if matches!(kind, None | Some(Type::Message | Type::Enum | Type::Group)) {
            is_type_name(field.type_name(), field.name())?;
        } else if field.type_name.is_some() {
            return object("field has both a scalar type and a type's name");
        }
        if field.oneof_index.is_some_and(|index| usize::try_from(index).map_or(true, |index| index >= oneofs)) {
            return object("invalid oneof index");
        }
        match (extension, &field.extendee) {
            (true, Some(_)) if field.label() == Label::Required => return object("extension is required"),
            (true, Some(extendee)) => is_type_name(extendee, field.name())?,
            (true, None) => return object("extension without an extended message"),
            (false, Some(_)) => return object("field of a message names an extended message"),
            (false, None) => {}
        }
        if field.default_value.is_some() && field.label() == Label::Repeated {
            return object("repeated field has a default");
        }
        if let Some(value) = &field.default_value
            && !fits(value, kind.unwrap_or(Type::Enum))
        {
            return object("default does not fit the field's type");
        }
        self.free_of_uninterpreted(
            field.options.as_ref().map(|options| options.uninterpreted_option.len()),
            field.name(),
        )
    }

    /// Descriptors have their options resolved; unresolved ones would be text that nothing has checked.
    fn free_of_uninterpreted(&self, count: Option<usize>, name: &str) -> Result<(), Objection> {
        if !self.from_text && count.unwrap_or_default() > 0 {
            return Err((name.to_owned(), "descriptor has uninterpreted options".to_owned()));
        }
        Ok(())
    }
}

pub(super) fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}

fn take_map_entry_option(message: &mut DescriptorProto) {
    let Some(options) = &mut message.options else { return };
    options.uninterpreted_option.retain(|option| {
        let [part] = option.name.as_slice() else { return true };
        if part.is_extension || part.name_part != "map_entry" {
            return true;
        }
        options.map_entry = Some(option.identifier_value() == "true").filter(|is_entry| *is_entry);
        false
    });
}

/// Map entries exist through the map fields that use them.
fn entries_are_used(fields: &[FieldDescriptorProto], declared: &[DescriptorProto]) -> Result<(), Objection> {
    if !declared.iter().any(is_map_entry) {
        return Ok(());
    }
    let repeated = fields.iter().filter(|field| field.label() == Label::Repeated && field.oneof_index.is_none());
    let used: HashSet<&str> = repeated.map(|field| last_part(field.type_name())).collect();
    match declared.iter().find(|message| is_map_entry(message) && !used.contains(message.name())) {
        Some(message) => Err((message.name().to_owned(), "map entry belongs to no map field".to_owned())),
        None => Ok(()),
    }
}

/// A group declares its message beside it, under its own name with a capital letter.
fn groups_are_sound(
    fields: &[FieldDescriptorProto],
    extensions: &[FieldDescriptorProto],
    declared: &[DescriptorProto],
) -> Result<(), Objection> {
    let mut groups =
        fields.iter().chain(extensions).filter(|field| field.r#type == Some(Type::Group as i32)).peekable();
    if groups.peek().is_none() {
        return Ok(());
    }
    let mut bodies: HashSet<&str> = declared.iter().map(|message| message.name()).collect();
    for field in groups {
        let body = last_part(field.type_name());
        if !bodies.remove(body) || body.to_ascii_lowercase() != field.name() {
            return Err((field.name().to_owned(), "group has no message of its own".to_owned()));
        }
    }
    Ok(())
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

fn is_sound_entry(message: &DescriptorProto) -> Result<(), &'static str> {
    let fields = message.field.as_slice();
    let [key, value] = fields else { return Err("map entry must have a key and a value only") };
    let optional = |field: &FieldDescriptorProto| field.label() == Label::Optional && field.oneof_index.is_none();
    let named = key.name() == "key" && key.number() == 1 && value.name() == "value" && value.number() == 2;
    if !named || !optional(key) || !optional(value) {
        return Err("map entry must have the fields key = 1 and value = 2");
    }
    let fit = !matches!(key.r#type(), Type::Double | Type::Float | Type::Bytes | Type::Message | Type::Enum)
        && key.type_name.is_none()
        && !matches!(value.r#type(), Type::Group);
    if !fit {
        return Err("map key must be an integer, bool or string, and the value no group");
    }
    if !message.nested_type.is_empty()
        || !message.enum_type.is_empty()
        || !message.extension.is_empty()
        || !message.extension_range.is_empty()
        || !message.oneof_decl.is_empty()
    {
        return Err("map entry must declare nothing but its fields");
    }
    Ok(())
}

fn in_range(start: i32, end: i32, name: &str) -> Result<(), Objection> {
    if start < 1 || end <= start || end > MAX_FIELD_NUMBER.saturating_add(1) {
        return Err((name.to_owned(), "range of field numbers is empty or out of bounds".to_owned()));
    }
    Ok(())
}

/// Whether a default is of the form descriptors have for this type; what an enum's value is called is checked later.
fn fits(value: &str, kind: Type) -> bool {
    match kind {
        Type::Double | Type::Float => value.parse::<f64>().is_ok(),
        Type::Int64 | Type::Sint64 | Type::Sfixed64 => value.parse::<i64>().is_ok(),
        Type::Uint64 | Type::Fixed64 => value.parse::<u64>().is_ok(),
        Type::Int32 | Type::Sint32 | Type::Sfixed32 => value.parse::<i32>().is_ok(),
        Type::Uint32 | Type::Fixed32 => value.parse::<u32>().is_ok(),
        Type::Bool => matches!(value, "true" | "false"),
        Type::String => true,
        Type::Bytes => super::options::unescape(value).is_some(),
        Type::Enum => is_name(value, "default").is_ok(),
        Type::Group | Type::Message => false,
    }
}

fn is_name(name: &str, what: &str) -> Result<(), Objection> {
    let mut letters = name.chars();
    let starts = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if starts && name.len() <= MAX_NAME && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    Err((String::new(), format!("invalid {what} name '{}'", shown.escape_debug())))
}

fn is_path(path: &str, what: &str) -> Result<(), Objection> {
    if path.len() > MAX_PATH {
        return Err((String::new(), format!("{what} name is longer than {MAX_PATH} bytes")));
    }
    path.split('.').try_for_each(|part| is_name(part, what))
}

fn is_type_name(name: &str, of: &str) -> Result<(), Objection> {
    is_path(name.strip_prefix('.').unwrap_or(name), "type").map_err(|(_, why)| (of.to_owned(), why))
}
