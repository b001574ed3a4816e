//! Options: the ones the library has resolved, the ones only written, and how both become [`Setting`]s.

use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MapKey, ReflectMessage, Value};
use prost_types::UninterpretedOption;

use super::model::{Constant, OptionName, Setting};

/// Number under which descriptors keep options that are not resolved yet.
const UNINTERPRETED: u32 = 999;

/// The settings of one thing: `resolved` is its options message, `written` what is not resolved in it. The language's
/// own options come first, in the order of their numbers, so that the order they were written in does not matter.
pub(super) fn settings(resolved: Option<&DynamicMessage>, written: &[UninterpretedOption]) -> Vec<Setting> {
    let mut plain: Vec<(u32, Setting)> = Vec::new();
    let mut custom = Vec::new();
    if let Some(message) = resolved {
        for (field, value) in message.fields() {
            // Whether a message is a map entry is part of the field that it belongs to.
            let internal = field.number() == UNINTERPRETED || field.name() == "map_entry";
            if !internal {
                let name = OptionName::Plain(field.name().to_owned());
                plain.extend(each(value, &field.kind()).map(|value| (field.number(), setting(name.clone(), value))));
            }
        }
        let mut extensions: Vec<_> = message.extensions().collect();
        extensions.sort_by_key(|(extension, _)| extension.number());
        for (extension, value) in extensions {
            let name = OptionName::Extension(extension.full_name().to_owned());
            custom.extend(each(value, &extension.kind()).map(|value| setting(name.clone(), value)));
        }
    }
    for option in written {
        match resolved.and_then(|message| resolve_plain(message, option)) {
            Some(found) => plain.push(found),
            None => custom.push(setting(OptionName::Written(written_name(option)), written_value(option))),
        }
    }
    plain.sort_by_key(|(number, _)| *number);
    plain.into_iter().map(|(_, setting)| setting).chain(custom).collect()
}

fn setting(name: OptionName, value: Constant) -> Setting {
    Setting { name, value }
}

/// An option of the language itself, where the library was not asked because the file has gaps.
fn resolve_plain(message: &DynamicMessage, option: &UninterpretedOption) -> Option<(u32, Setting)> {
    let [part] = option.name.as_slice() else { return None };
    let field = message.descriptor().get_field_by_name(&part.name_part).filter(|_| !part.is_extension)?;
    let value = match field.kind() {
        Kind::Message(_) => return None,
        _ => written_value(option),
    };
    Some((field.number(), setting(OptionName::Plain(part.name_part.clone()), value)))
}

fn written_name(option: &UninterpretedOption) -> String {
    let parts = option
        .name
        .iter()
        .map(|part| if part.is_extension { format!("({})", part.name_part) } else { part.name_part.clone() });
    parts.collect::<Vec<_>>().join(".")
}

fn written_value(option: &UninterpretedOption) -> Constant {
    if let Some(text) = &option.aggregate_value {
        return Constant::Word(format!("{{ {text} }}"));
    }
    Constant::Word(if let Some(name) = &option.identifier_value {
        name.clone()
    } else if let Some(number) = option.positive_int_value {
        number.to_string()
    } else if let Some(number) = option.negative_int_value {
        number.to_string()
    } else if let Some(number) = option.double_value {
        float(number)
    } else {
        let bytes = option.string_value();
        std::str::from_utf8(bytes).map_or_else(|_| quote_bytes(bytes), quote)
    })
}

/// A repeated option is written once for each of its values.
fn each<'a>(value: &'a Value, kind: &'a Kind) -> impl Iterator<Item = Constant> + 'a {
    let values = match value {
        Value::List(values) => values.as_slice(),
        other => std::slice::from_ref(other),
    };
    values.iter().map(move |value| constant(value, kind))
}

fn constant(value: &Value, kind: &Kind) -> Constant {
    Constant::Word(match value {
        Value::Bool(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::F32(value) => float32(*value),
        Value::F64(value) => float(*value),
        Value::String(text) => quote(text),
        Value::Bytes(bytes) => quote_bytes(bytes),
        Value::EnumNumber(number) => {
            let known = kind.as_enum().and_then(|declared| declared.get_value(*number));
            known.map_or_else(|| number.to_string(), |value| value.name().to_owned())
        }
        Value::Message(message) => return self::message(message),
        Value::List(values) => return Constant::List(values.iter().map(|value| constant(value, kind)).collect()),
        Value::Map(entries) => {
            let value_kind = kind.as_message().and_then(|entry| entry.get_field(2)).map(|field| field.kind());
            let mut entries: Vec<(&MapKey, &Value)> = entries.iter().collect();
            entries.sort_by(|left, right| left.0.cmp(right.0));
            let entries = entries.into_iter().map(|(key, value)| {
                let value = constant(value, value_kind.as_ref().unwrap_or(kind));
                Constant::Message(vec![("key".to_owned(), map_key(key)), ("value".to_owned(), value)])
            });
            return Constant::List(entries.collect());
        }
    })
}

fn message(message: &DynamicMessage) -> Constant {
    let mut parts = Vec::new();
    for (field, value) in message.fields() {
        // Text names a group by its message.
        let group =
            if field.is_group() { field.kind().as_message().map(|group| group.name().to_owned()) } else { None };
        parts.push((group.unwrap_or_else(|| field.name().to_owned()), constant(value, &field.kind())));
    }
    let mut extensions: Vec<_> = message.extensions().collect();
    extensions.sort_by_key(|(extension, _)| extension.number());
    for (extension, value) in extensions {
        parts.push((format!("[{}]", extension.full_name()), constant(value, &extension.kind())));
    }
    Constant::Message(parts)
}

fn map_key(key: &MapKey) -> Constant {
    Constant::Word(match key {
        MapKey::Bool(value) => value.to_string(),
        MapKey::I32(value) => value.to_string(),
        MapKey::I64(value) => value.to_string(),
        MapKey::U32(value) => value.to_string(),
        MapKey::U64(value) => value.to_string(),
        MapKey::String(text) => quote(text),
    })
}

/// The descriptor of descriptors to read `file` with: the file's own, which knows custom options, or the built-in one.
pub(super) fn reread(bytes: &[u8], pool: Option<&DescriptorPool>) -> Option<DynamicMessage> {
    const NAME: &str = "google.protobuf.FileDescriptorProto";
    let own = pool.and_then(|pool| pool.get_message_by_name(NAME));
    let descriptor = own.or_else(|| DescriptorPool::global().get_message_by_name(NAME))?;
    DynamicMessage::decode(descriptor, bytes).ok()
}

/// Shortest text that reads as the same number.
pub(super) fn float(value: f64) -> String {
    finite(format!("{value:?}"))
}

/// As [`float`], for a `float`.
pub(super) fn float32(value: f32) -> String {
    finite(format!("{value:?}"))
}

fn finite(text: String) -> String {
    match text.as_str() {
        "NaN" => "nan".to_owned(),
        _ => text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned),
    }
}

/// A string in double quotes.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\0'..='\x1f' | '\x7f' => quoted.push_str(&format!("\\{:03o}", u32::from(letter))),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// Bytes in double quotes.
pub(super) fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for byte in bytes {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => quoted.push(char::from(*byte)),
            _ => quoted.push_str(&format!("\\{byte:03o}")),
        }
    }
    quoted.push('"');
    quoted
}

/// The bytes of a descriptor's default for a bytes field, which is escaped as in C; none if it is not.
pub(super) fn unescape(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut letters = text.bytes().peekable();
    while let Some(letter) = letters.next() {
        if letter != b'\\' {
            bytes.push(letter);
            continue;
        }
        bytes.push(match letters.next()? {
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            plain @ (b'\\' | b'\'' | b'"' | b'?') => plain,
            b'x' | b'X' => {
                let digits = [letters.next()?, letters.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            first @ b'0'..=b'7' => {
                let mut value = u32::from(first - b'0');
                for _ in 0..2 {
                    let Some(digit) = letters.next_if(|digit| (b'0'..=b'7').contains(digit)) else { break };
                    value = value * 8 + u32::from(digit - b'0');
                }
                u8::try_from(value).ok()?
            }
            _ => return None,
        });
    }
    Some(bytes)
}
