//! Decodes a foreign Avro datum by its writer schema and resolves it to a reader schema, as JSON.
//!
//! Bounded in depth and in the number of values, so that no schema and no bytes can exhaust stack or memory; a fault
//! names the path of the first value that does not fit. Resolution follows the Avro specification 1.12, "Schema
//! Resolution", with one leniency: records outside unions match whatever their names are, since foreign writers name
//! them as they like. Unions are flattened, bytes become the characters U+0000–U+00FF, enums their symbols.

use apache_avro::Schema;
use apache_avro::schema::{
    DecimalSchema, EnumSchema, InnerDecimalSchema, Name, NamesRef, RecordSchema, ResolvedSchema, UuidSchema,
};
use serde_json::{Map, Number, Value};

pub use crate::codec::Limits;
use crate::codec::json::{pointer, too_deep, too_many};
use crate::model::reject::{ReasonCode, Rejection};

/// Decodes `datum` as `writer` wrote it into the shape of `reader`. `references` are the schemas that the writer
/// schema refers to.
///
/// # Errors
/// `InvalidAvro` with the path of the first value that does not fit, `LimitExceeded` beyond `limits`.
pub fn decode_to_json(
    datum: &[u8],
    writer: &Schema,
    references: &[Schema],
    reader: &Schema,
    limits: Limits,
) -> Result<Value, Rejection> {
    let schemata = references.iter().chain([writer]).collect();
    let writer_names = ResolvedSchema::new_with_schemata(schemata)
        .map_err(|error| invalid(format!("the writer schema does not resolve: {error}")))?;
    let reader_names =
        ResolvedSchema::new(reader).map_err(|error| invalid(format!("the reader schema does not resolve: {error}")))?;
    let mut decoder = Decoder {
        rest: datum,
        writer_names: writer_names.get_names(),
        reader_names: reader_names.get_names(),
        limits,
        values_left: limits.values,
        depth_left: limits.depth,
    };
    let value = decoder.read(writer, reader)?;
    match decoder.rest.len() {
        0 => Ok(value),
        left => Err(invalid(format!("{left} bytes are left after the datum; was it written with this schema?"))),
    }
}

struct Decoder<'a> {
    rest: &'a [u8],
    writer_names: &'a NamesRef<'a>,
    reader_names: &'a NamesRef<'a>,
    limits: Limits,
    values_left: usize,
    depth_left: usize,
}

/// Primitive under a possibly logical type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array,
    Map,
    Union,
    Record,
    Enum,
    Fixed(usize),
    Ref,
}

fn kind(schema: &Schema) -> Kind {
    match schema {
        Schema::Null => Kind::Null,
        Schema::Boolean => Kind::Boolean,
        Schema::Int | Schema::Date | Schema::TimeMillis => Kind::Int,
        Schema::Long
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => Kind::Long,
        Schema::Float => Kind::Float,
        Schema::Double => Kind::Double,
        Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Kind::Bytes,
        Schema::String | Schema::Uuid(UuidSchema::String) => Kind::String,
        Schema::Array(_) => Kind::Array,
        Schema::Map(_) => Kind::Map,
        Schema::Union(_) => Kind::Union,
        Schema::Record(_) => Kind::Record,
        Schema::Enum(_) => Kind::Enum,
        Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
            Kind::Fixed(fixed.size)
        }
        Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Fixed(fixed), .. }) => Kind::Fixed(fixed.size),
        Schema::Decimal(_) => Kind::Bytes,
        Schema::Ref { .. } => Kind::Ref,
    }
}

/// Whether a value of `writer` may be read as `reader`, by the first level of the type only.
fn promotable(writer: Kind, reader: Kind) -> bool {
    use Kind::{Bytes, Double, Float, Int, Long, String};
    writer == reader
        || matches!(
            (writer, reader),
            (Int, Long | Float | Double) | (Long, Float | Double) | (Float, Double) | (String, Bytes) | (Bytes, String)
        )
}

fn type_name(schema: &Schema) -> Option<&Name> {
    match schema {
        Schema::Record(record) => Some(&record.name),
        Schema::Enum(symbols) => Some(&symbols.name),
        Schema::Fixed(fixed) => Some(&fixed.name),
        _ => None,
    }
}

fn deref<'s>(schema: &'s Schema, names: &NamesRef<'s>) -> Result<&'s Schema, Rejection> {
    match schema {
        Schema::Ref { name } => {
            names.get(name).copied().ok_or_else(|| invalid(format!("the schema refers to {name:?}, which is unknown")))
        }
        _ => Ok(schema),
    }
}

impl<'a> Decoder<'a> {
    fn read(&mut self, writer: &'a Schema, reader: &'a Schema) -> Result<Value, Rejection> {
        self.take_value()?;
        self.depth_left = self.depth_left.checked_sub(1).ok_or_else(|| too_deep("", self.limits))?;
        let value = self.read_inner(writer, reader);
        self.depth_left += 1;
        value
    }

    fn take_value(&mut self) -> Result<(), Rejection> {
        self.values_left = self.values_left.checked_sub(1).ok_or_else(|| too_many("", self.limits))?;
        Ok(())
    }

    fn read_inner(&mut self, writer: &'a Schema, reader: &'a Schema) -> Result<Value, Rejection> {
        let writer = deref(writer, self.writer_names)?;
        // Skipping reads a writer's type as itself, so a name may be the writer's.
        let reader = match deref(reader, self.reader_names) {
            Ok(reader) => reader,
            Err(fault) => deref(reader, self.writer_names).map_err(|_| fault)?,
        };
        if let Schema::Union(union) = writer {
            let index = self.long()?;
            let branch = usize::try_from(index)
                .ok()
                .and_then(|index| union.variants().get(index))
                .ok_or_else(|| invalid(format!("union branch {index} does not exist")))?;
            return self.read(branch, reader);
        }
        if let Schema::Union(union) = reader {
            let branch = self.choose(writer, union.variants())?;
            return self.read(writer, branch);
        }
        match (writer, reader) {
            (Schema::Record(writer), Schema::Record(reader)) => self.record(writer, reader),
            (Schema::Enum(writer), Schema::Enum(reader)) => self.symbol(writer, reader),
            (Schema::Array(writer), Schema::Array(reader)) => self.array(&writer.items, &reader.items),
            (Schema::Map(writer), Schema::Map(reader)) => self.map(&writer.types, &reader.types),
            _ => self.scalar(kind(writer), kind(reader)),
        }
    }

    /// The reader's branch for a value: one of the same type and name, else of the same type, else a promotion.
    fn choose(&self, writer: &'a Schema, branches: &'a [Schema]) -> Result<&'a Schema, Rejection> {
        let written = kind(writer);
        let resolved = |branch: &'a Schema| {
            deref(branch, self.reader_names).or_else(|_| deref(branch, self.writer_names)).unwrap_or(branch)
        };
        let same_name = |branch: &'a Schema| match (type_name(writer), type_name(resolved(branch))) {
            (Some(ours), Some(theirs)) => ours.name() == theirs.name(),
            (None, None) => true,
            _ => false,
        };
        branches
            .iter()
            .find(|branch| kind(resolved(branch)) == written && same_name(branch))
            .or_else(|| branches.iter().find(|branch| kind(resolved(branch)) == written))
            .or_else(|| branches.iter().find(|branch| promotable(written, kind(resolved(branch)))))
            .ok_or_else(|| invalid(format!("a {written:?} fits no branch of the reader's union")))
    }

    fn record(&mut self, writer: &'a RecordSchema, reader: &'a RecordSchema) -> Result<Value, Rejection> {
        let mut object = Map::with_capacity(reader.fields.len());
        for field in &writer.fields {
            let at = |fault: Rejection| fault.within(&format!("/{}", pointer(&field.name)));
            let target = reader
                .fields
                .iter()
                .find(|candidate| candidate.name == field.name)
                .or_else(|| reader.fields.iter().find(|candidate| candidate.aliases.contains(&field.name)));
            match target {
                Some(target) => {
                    let value = self.read(&field.schema, &target.schema).map_err(at)?;
                    object.insert(target.name.clone(), value);
                }
                None => drop(self.read(&field.schema, &field.schema).map_err(at)?),
            }
        }
        for field in &reader.fields {
            if object.contains_key(&field.name) {
                continue;
            }
            let default = field.default.clone().ok_or_else(|| {
                invalid("the writer's schema lacks this field and it has no default")
                    .within(&format!("/{}", field.name))
            })?;
            // A writer may leave out everything: what its values are filled up with takes memory, too.
            self.take_value()?;
            object.insert(field.name.clone(), default);
        }
        Ok(Value::Object(object))
    }

    fn symbol(&mut self, writer: &EnumSchema, reader: &EnumSchema) -> Result<Value, Rejection> {
        let index = self.long()?;
        let symbol = usize::try_from(index)
            .ok()
            .and_then(|index| writer.symbols.get(index))
            .ok_or_else(|| invalid(format!("enum symbol {index} does not exist")))?;
        if reader.symbols.contains(symbol) {
            return Ok(Value::String(symbol.clone()));
        }
        reader
            .default
            .clone()
            .map(Value::String)
            .ok_or_else(|| invalid(format!("the reader does not know the enum symbol {symbol}")))
    }

    /// Calls `item` for each item of a blocked array or map.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self, usize) -> Result<(), Rejection>) -> Result<(), Rejection> {
        let mut seen = 0;
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.long()?; // the block's size in bytes, for readers that skip
                count = count.checked_neg().ok_or_else(|| invalid("block count is out of range"))?;
            }
            for _ in 0..count {
                item(self, seen)?;
                seen += 1;
            }
        }
    }

    fn array(&mut self, writer: &'a Schema, reader: &'a Schema) -> Result<Value, Rejection> {
        let mut items = Vec::new();
        self.blocks(|decoder, index| {
            items.push(decoder.read(writer, reader).map_err(|fault| fault.within(&format!("/{index}")))?);
            Ok(())
        })?;
        Ok(Value::Array(items))
    }

    fn map(&mut self, writer: &'a Schema, reader: &'a Schema) -> Result<Value, Rejection> {
        let mut object = Map::new();
        self.blocks(|decoder, _| {
            let key = decoder.string()?;
            let value = decoder.read(writer, reader).map_err(|fault| fault.within(&format!("/{}", pointer(&key))))?;
            object.insert(key, value);
            Ok(())
        })?;
        Ok(Value::Object(object))
    }

    fn scalar(&mut self, writer: Kind, reader: Kind) -> Result<Value, Rejection> {
        if !promotable(writer, reader) {
            return Err(invalid(format!("the writer's {writer:?} cannot be read as {reader:?}")));
        }
        match writer {
            Kind::Null => Ok(Value::Null),
            Kind::Boolean => match self.take(1)? {
                [0] => Ok(Value::Bool(false)),
                [1] => Ok(Value::Bool(true)),
                other => Err(invalid(format!("{other:?} is no boolean"))),
            },
            Kind::Int => {
                let wide = self.long()?;
                let value = i32::try_from(wide).map_err(|_| invalid(format!("{wide} is no int")))?;
                Ok(number(i64::from(value), reader))
            }
            Kind::Long => Ok(number(self.long()?, reader)),
            Kind::Float => Ok(real(f64::from(f32::from_le_bytes(self.fixed()?)))),
            Kind::Double => Ok(real(f64::from_le_bytes(self.fixed()?))),
            Kind::String => self.string().map(Value::String),
            Kind::Bytes if reader == Kind::String => self.string().map(Value::String),
            Kind::Bytes => {
                let size = self.size()?;
                Ok(Value::String(latin1(self.take(size)?)))
            }
            Kind::Fixed(size) => Ok(Value::String(latin1(self.take(size)?))),
            _ => Err(invalid(format!("the writer's {writer:?} cannot be read as {reader:?}"))),
        }
    }

    fn string(&mut self) -> Result<String, Rejection> {
        let size = self.size()?;
        let bytes = self.take(size)?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|error| invalid(format!("a string is not UTF-8: {error}")))
    }

    fn size(&mut self) -> Result<usize, Rejection> {
        let size = self.long()?;
        usize::try_from(size).map_err(|_| invalid(format!("{size} is no length")))
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], Rejection> {
        let (bytes, rest) = self.rest.split_at_checked(size).ok_or_else(|| {
            invalid(format!("the datum ends early: {size} bytes are wanted and {} are left", self.rest.len()))
        })?;
        self.rest = rest;
        Ok(bytes)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Rejection> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| invalid("the datum ends early"))
    }

    /// A zigzag variable-length long.
    fn long(&mut self) -> Result<i64, Rejection> {
        let mut raw: u64 = 0;
        for (place, byte) in self.rest.iter().take(10).enumerate() {
            if place == 9 && *byte > 1 {
                return Err(invalid("a number has more than 64 bits"));
            }
            raw |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(place + 1..).unwrap_or_default();
                return Ok((raw >> 1) as i64 ^ -((raw & 1) as i64));
            }
        }
        Err(invalid("the datum ends within a number"))
    }
}

fn number(value: i64, reader: Kind) -> Value {
    match reader {
        Kind::Float => real(f64::from(value as f32)),
        Kind::Double => real(value as f64),
        _ => Value::from(value),
    }
}

/// JSON has no NaN and no infinity; they become their names.
fn real(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn invalid(message: impl Into<String>) -> Rejection {
    Rejection::new(ReasonCode::InvalidAvro, "", message)
}
