//! Arguments to Thrift, and Thrift to JSON values by the codec's tables of structs.

use serde_json::{Map, Number, Value};
use thrift::protocol::{
    TFieldIdentifier, TInputProtocol, TListIdentifier, TMapIdentifier, TOutputProtocol, TStructIdentifier, TType,
};
use thrift::{Error, ProtocolError, ProtocolErrorKind};

use crate::codec::hms::thrift::{Object, Struct, Wire};

/// An argument of a call, or a field of a struct among them.
#[derive(Clone, Debug)]
pub enum Arg<'a> {
    /// `bool`
    Bool(bool),
    /// `i16`
    I16(i16),
    /// `i32`, enums among them
    I32(i32),
    /// `i64`
    I64(i64),
    /// `string`
    Text(&'a str),
    /// `list<string>`
    Texts(&'a [String]),
    /// `list<i32>`, lists of enums among them
    Ints(&'a [i32]),
    /// A struct of these fields by id.
    Record(Vec<(i16, Arg<'a>)>),
    /// An object of the codec.
    Object(&'static Struct, &'a Object),
    /// `list` of objects of the codec.
    Objects(&'static Struct, &'a [Object]),
}

impl Arg<'_> {
    fn kind(&self) -> TType {
        match self {
            Self::Bool(_) => TType::Bool,
            Self::I16(_) => TType::I16,
            Self::I32(_) => TType::I32,
            Self::I64(_) => TType::I64,
            Self::Text(_) => TType::String,
            Self::Record(_) | Self::Object(..) => TType::Struct,
            Self::Texts(_) | Self::Ints(_) | Self::Objects(..) => TType::List,
        }
    }
}

/// Writes a struct of arguments.
pub(super) fn write_record(out: &mut dyn TOutputProtocol, fields: &[(i16, Arg<'_>)]) -> thrift::Result<()> {
    out.write_struct_begin(&TStructIdentifier::new("args"))?;
    for (id, arg) in fields {
        out.write_field_begin(&TFieldIdentifier::new("", arg.kind(), *id))?;
        write_arg(out, arg)?;
        out.write_field_end()?;
    }
    out.write_field_stop()?;
    out.write_struct_end()
}

fn write_arg(out: &mut dyn TOutputProtocol, arg: &Arg<'_>) -> thrift::Result<()> {
    match arg {
        Arg::Bool(flag) => out.write_bool(*flag),
        Arg::I16(number) => out.write_i16(*number),
        Arg::I32(number) => out.write_i32(*number),
        Arg::I64(number) => out.write_i64(*number),
        Arg::Text(text) => out.write_string(text),
        Arg::Record(fields) => write_record(out, fields),
        Arg::Object(schema, object) => write_object(out, schema, &object.0),
        Arg::Texts(texts) => write_list(out, TType::String, texts, &mut |out, text| out.write_string(text)),
        Arg::Ints(numbers) => write_list(out, TType::I32, numbers, &mut |out, number| out.write_i32(*number)),
        Arg::Objects(schema, objects) => {
            write_list(out, TType::Struct, objects, &mut |out, object| write_object(out, schema, &object.0))
        }
    }
}

type Write<'a, T> = &'a mut dyn FnMut(&mut dyn TOutputProtocol, &T) -> thrift::Result<()>;

fn write_list<T>(out: &mut dyn TOutputProtocol, element: TType, items: &[T], each: Write<'_, T>) -> thrift::Result<()> {
    out.write_list_begin(&TListIdentifier::new(element, size(items.len())?))?;
    for item in items {
        each(out, item)?;
    }
    out.write_list_end()
}

fn size(length: usize) -> thrift::Result<i32> {
    i32::try_from(length).map_err(|_| fault(ProtocolErrorKind::SizeLimit, "too many elements"))
}

/// The few fields of the codec's structs that are `i64` in Thrift; all other integers are `i32`.
const LONG_FIELDS: [&str; 4] = ["writeId", "id", "txnId", "materializationTime"];

fn write_object(out: &mut dyn TOutputProtocol, schema: &Struct, object: &Map<String, Value>) -> thrift::Result<()> {
    out.write_struct_begin(&TStructIdentifier::new(schema.name))?;
    for field in schema.fields {
        let Some(value) = object.get(field.name) else { continue };
        let kind = match field.wire {
            Wire::Int if LONG_FIELDS.contains(&field.name) => TType::I64,
            _ => kind_of(&field.wire),
        };
        out.write_field_begin(&TFieldIdentifier::new("", kind, field.id))?;
        write_value(out, &field.wire, kind, value)?;
        out.write_field_end()?;
    }
    out.write_field_stop()?;
    out.write_struct_end()
}

fn kind_of(wire: &Wire) -> TType {
    match wire {
        Wire::Bool => TType::Bool,
        Wire::Int => TType::I32,
        Wire::Double => TType::Double,
        Wire::Text => TType::String,
        Wire::Struct(_) => TType::Struct,
        Wire::List(_) => TType::List,
        Wire::Map(_) => TType::Map,
    }
}

fn write_value(out: &mut dyn TOutputProtocol, wire: &Wire, kind: TType, value: &Value) -> thrift::Result<()> {
    let wrong = || fault(ProtocolErrorKind::InvalidData, &format!("{value} is no {}", wire.name()));
    match wire {
        Wire::Bool => out.write_bool(value.as_i64().ok_or_else(wrong)? != 0),
        Wire::Int if kind == TType::I64 => out.write_i64(value.as_i64().ok_or_else(wrong)?),
        Wire::Int => out.write_i32(value.as_i64().and_then(|number| i32::try_from(number).ok()).ok_or_else(wrong)?),
        Wire::Double => out.write_double(value.as_f64().ok_or_else(wrong)?),
        Wire::Text => out.write_string(value.as_str().ok_or_else(wrong)?),
        Wire::Struct(schema) => write_object(out, schema, value.as_object().ok_or_else(wrong)?),
        Wire::List(element) => {
            let items = value.as_array().ok_or_else(wrong)?;
            let kind = kind_of(element);
            write_list(out, kind, items, &mut |out, item| write_value(out, element, kind, item))
        }
        Wire::Map(element) => {
            let entries = value.as_object().ok_or_else(wrong)?;
            let kind = kind_of(element);
            out.write_map_begin(&TMapIdentifier::new(TType::String, kind, size(entries.len())?))?;
            for (key, item) in entries {
                out.write_string(key)?;
                write_value(out, element, kind, item)?;
            }
            out.write_map_end()
        }
    }
}

/// Reads a struct; fields that the table does not have are passed over.
pub(super) fn read_object(input: &mut dyn TInputProtocol, schema: &Struct) -> thrift::Result<Map<String, Value>> {
    let mut object = Map::new();
    input.read_struct_begin()?;
    loop {
        let found = input.read_field_begin()?;
        if found.field_type == TType::Stop {
            break;
        }
        match found.id.and_then(|id| schema.field(id)) {
            None => input.skip(found.field_type)?,
            Some(field) => {
                let value = read_value(input, &field.wire, found.field_type)
                    .map_err(|error| within(error, &format!("{}.{}", schema.name, field.name)))?;
                object.insert(field.name.to_owned(), value);
            }
        }
        input.read_field_end()?;
    }
    input.read_struct_end()?;
    Ok(object)
}

/// Reads a value of the type `wire`, which has to be what was announced. Depth is that of the tables, which is finite.
pub(super) fn read_value(input: &mut dyn TInputProtocol, wire: &Wire, kind: TType) -> thrift::Result<Value> {
    Ok(match (wire, kind) {
        (Wire::Bool, TType::Bool) => Value::from(i64::from(input.read_bool()?)),
        (Wire::Int, TType::I08) => Value::from(i64::from(input.read_i8()?)),
        (Wire::Int, TType::I16) => Value::from(i64::from(input.read_i16()?)),
        (Wire::Int, TType::I32) => Value::from(i64::from(input.read_i32()?)),
        (Wire::Int, TType::I64) => Value::from(input.read_i64()?),
        (Wire::Double, TType::Double) => Number::from_f64(input.read_double()?).map_or(Value::Null, Value::Number),
        // Text of a database in another encoding is no reason to stop.
        (Wire::Text, TType::String) => match String::from_utf8(input.read_bytes()?) {
            Ok(text) => Value::String(text),
            Err(error) => Value::String(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        },
        (Wire::Struct(schema), TType::Struct) => Value::Object(read_object(input, schema)?),
        (Wire::List(element), TType::List | TType::Set) => {
            // Both have the same form.
            let list = input.read_list_begin()?;
            let mut items = Vec::new();
            for _ in 0..list.size {
                items.push(read_value(input, element, list.element_type)?);
            }
            input.read_list_end()?;
            Value::Array(items)
        }
        (Wire::Map(element), TType::Map) => {
            let map = input.read_map_begin()?;
            let mut entries = Map::new();
            for _ in 0..map.size {
                let kind = map.key_type.unwrap_or(TType::String);
                let key = match kind {
                    TType::String => match read_value(input, &Wire::Text, kind)? {
                        Value::String(key) => key,
                        other => other.to_string(),
                    },
                    // Keys of skewed values are lists of texts.
                    _ => read_value(input, &Wire::List(&Wire::Text), kind)?.to_string(),
                };
                entries.insert(key, read_value(input, element, map.value_type.unwrap_or(TType::String))?);
            }
            input.read_map_end()?;
            Value::Object(entries)
        }
        (wire, kind) => {
            let message = format!("expected {}, found {kind:?}", wire.name());
            return Err(fault(ProtocolErrorKind::InvalidData, &message));
        }
    })
}

fn within(error: Error, place: &str) -> Error {
    match error {
        Error::Protocol(error) => {
            Error::Protocol(ProtocolError::new(error.kind, format!("{place}: {}", error.message)))
        }
        other => other,
    }
}

pub(super) fn fault(kind: ProtocolErrorKind, message: &str) -> Error {
    Error::Protocol(ProtocolError::new(kind, message))
}
