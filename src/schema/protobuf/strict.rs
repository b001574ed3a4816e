//! What the language's own compiler refuses and the library lets pass: asked of new schemas only.

use std::collections::HashSet;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

/// A reason against a file, with the descriptor path to the place.
pub(super) type Objection = (Vec<i32>, String);

// Field numbers of the descriptors.
const DEPENDENCY: i32 = 3;
const MESSAGE_TYPE: i32 = 4;
const ENUM_TYPE: i32 = 5;
const EXTENSION: i32 = 7;
const FIELD: i32 = 2;
const NESTED_TYPE: i32 = 3;
const NESTED_ENUM: i32 = 4;
const EXTENSION_RANGE: i32 = 5;
const NESTED_EXTENSION: i32 = 6;
const RESERVED_RANGE: i32 = 9;
const VALUE: i32 = 2;
const ENUM_RESERVED_RANGE: i32 = 4;

/// What proto3 files may extend.
const EXTENDABLE: &[&str] = &[
    "FileOptions",
    "MessageOptions",
    "FieldOptions",
    "OneofOptions",
    "ExtensionRangeOptions",
    "EnumOptions",
    "EnumValueOptions",
    "ServiceOptions",
    "MethodOptions",
];

/// Checks a file that is otherwise sound.
pub(super) fn check(file: &FileDescriptorProto) -> Result<(), Objection> {
    let mut seen = HashSet::new();
    if let Some(index) = file.dependency.iter().position(|import| !seen.insert(import)) {
        return Err((at(&[DEPENDENCY], index), "file is imported twice".to_owned()));
    }
    let empty = file.message_type.is_empty()
        && file.enum_type.is_empty()
        && file.service.is_empty()
        && file.extension.is_empty()
        && file.dependency.is_empty();
    if empty {
        return Err((Vec::new(), "schema declares nothing".to_owned()));
    }
    let proto3 = file.syntax() == "proto3";
    for (index, message) in file.message_type.iter().enumerate() {
        check_message(message, &at(&[MESSAGE_TYPE], index), proto3)?;
    }
    for (index, declared) in file.enum_type.iter().enumerate() {
        check_enum(declared, &at(&[ENUM_TYPE], index))?;
    }
    check_extensions(&file.extension, &[EXTENSION], proto3)
}

fn at(path: &[i32], index: usize) -> Vec<i32> {
    let index = i32::try_from(index).unwrap_or(i32::MAX);
    path.iter().copied().chain([index]).collect()
}

fn below(path: &[i32], list: i32) -> Vec<i32> {
    path.iter().copied().chain([list]).collect()
}

fn check_message(message: &DescriptorProto, path: &[i32], proto3: bool) -> Result<(), Objection> {
    let reserved: HashSet<&String> = message.reserved_name.iter().collect();
    for (index, field) in message.field.iter().enumerate() {
        let path = || at(&below(path, FIELD), index);
        if field.name.as_ref().is_some_and(|name| reserved.contains(name)) {
            return Err((path(), format!("field name '{}' is reserved", field.name())));
        }
        check_field(field).map_err(|why| (path(), why))?;
    }
    let ranges = message.reserved_range.iter().map(|range| (range.start(), range.end(), RESERVED_RANGE));
    let extensions = message.extension_range.iter().map(|range| (range.start(), range.end(), EXTENSION_RANGE));
    if proto3 && !message.extension_range.is_empty() {
        return Err((at(&below(path, EXTENSION_RANGE), 0), "proto3 has no extension ranges".to_owned()));
    }
    check_overlap(ranges.chain(extensions), path)?;
    check_extensions(&message.extension, &below(path, NESTED_EXTENSION), proto3)?;
    for (index, declared) in message.enum_type.iter().enumerate() {
        check_enum(declared, &at(&below(path, NESTED_ENUM), index))?;
    }
    for (index, nested) in message.nested_type.iter().enumerate() {
        check_message(nested, &at(&below(path, NESTED_TYPE), index), proto3)?;
    }
    Ok(())
}

fn check_field(field: &FieldDescriptorProto) -> Result<(), String> {
    let packed = |options: &prost_types::FieldOptions| {
        let written = options.uninterpreted_option.iter().any(|option| {
            let named = option.name.first().is_some_and(|part| part.name_part == "packed" && !part.is_extension);
            named && option.name.len() == 1 && option.identifier_value() == "true"
        });
        written || options.packed()
    };
    if field.options.as_ref().is_some_and(packed) {
        let never = matches!(
            field.r#type.and_then(|kind| Type::try_from(kind).ok()),
            Some(Type::String | Type::Bytes | Type::Group | Type::Message)
        );
        if never || field.label() != Label::Repeated {
            return Err("only repeated numbers and enums can be packed".to_owned());
        }
    }
    Ok(())
}

fn check_extensions(extensions: &[FieldDescriptorProto], path: &[i32], proto3: bool) -> Result<(), Objection> {
    for (index, field) in extensions.iter().enumerate() {
        let extendee = field.extendee().rsplit('.').next().unwrap_or_default();
        if proto3 && !EXTENDABLE.contains(&extendee) {
            return Err((at(path, index), "proto3 can extend options only".to_owned()));
        }
        check_field(field).map_err(|why| (at(path, index), why))?;
    }
    Ok(())
}

fn check_enum(declared: &prost_types::EnumDescriptorProto, path: &[i32]) -> Result<(), Objection> {
    let reserved: HashSet<&String> = declared.reserved_name.iter().collect();
    for (index, value) in declared.value.iter().enumerate() {
        if value.name.as_ref().is_some_and(|name| reserved.contains(name)) {
            return Err((at(&below(path, VALUE), index), format!("enum value name '{}' is reserved", value.name())));
        }
    }
    // Here the end is the last number that is reserved, not the first that is free.
    let ranges = declared.reserved_range.iter();
    let ranges = ranges.map(|range| (range.start(), range.end().saturating_add(1), ENUM_RESERVED_RANGE));
    check_overlap(ranges, path)
}

fn check_overlap(ranges: impl Iterator<Item = (i32, i32, i32)>, path: &[i32]) -> Result<(), Objection> {
    let mut ranges: Vec<(i32, i32, i32)> = ranges.collect();
    ranges.sort_unstable();
    let overlap = ranges.iter().zip(ranges.iter().skip(1)).find(|(before, after)| after.0 < before.1);
    match overlap {
        Some((_, (start, _, list))) => Err((below(path, *list), format!("range from {start} overlaps another"))),
        None => Ok(()),
    }
}
