//! The metastore's Thrift structs: field ids, names and types, and reading them from named JSON.
//!
//! Taken from `hive_metastore.thrift` as of 4.0 (older versions have fewer fields, never other ones). Objects are kept
//! as JSON by Thrift field name: unset fields are absent, `bool` is 0 or 1 as in Thrift's own JSON, ids that are not
//! in the table stay as `field_<id>`. Knows neither events nor the catalog.

use serde_json::{Map, Value};

use crate::model::reject::{ReasonCode, Rejection};

/// Type of a field.
#[derive(Debug)]
pub enum Wire {
    /// `bool`, written 0 or 1.
    Bool,
    /// Any integer.
    Int,
    /// `double`.
    Double,
    /// `string` or `binary` (base64).
    Text,
    /// A struct or union.
    Struct(&'static Struct),
    /// `list` or `set`.
    List(&'static Wire),
    /// `map`; keys other than strings are kept as their JSON text. The type is that of the values.
    Map(&'static Wire),
}

/// One field of a struct.
#[derive(Debug)]
pub struct Field {
    /// Thrift field id.
    pub id: i16,
    /// Thrift field name.
    pub name: &'static str,
    /// Its type.
    pub wire: Wire,
}

/// A struct's fields.
#[derive(Debug)]
pub struct Struct {
    /// Thrift name.
    pub name: &'static str,
    /// All fields.
    pub fields: &'static [Field],
}

impl Struct {
    /// The field with this id.
    pub fn field(&self, id: i16) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.id == id)
    }
    /// The field with this name.
    pub fn named(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

// The `Wire` of a type as it stands in `structs!`.
macro_rules! wire {
    (bool) => {
        Wire::Bool
    };
    (int) => {
        Wire::Int
    };
    (double) => {
        Wire::Double
    };
    (text) => {
        Wire::Text
    };
    (list $($inner:tt)+) => {
        Wire::List(&wire!($($inner)+))
    };
    (map $($inner:tt)+) => {
        Wire::Map(&wire!($($inner)+))
    };
    ($name:ident) => {
        Wire::Struct(&$name)
    };
}

// Declares structs as data; also used where calls are declared that carry them.
macro_rules! structs {
    ($( $(#[doc = $doc:literal])+ $upper:ident = $name:literal { $( $id:literal $field:literal : ($($wire:tt)+) ),* $(,)? } )+) => {
        $( $(#[doc = $doc])+ pub static $upper: Struct = Struct {
            name: $name,
            fields: &[$( Field { id: $id, name: $field, wire: wire!($($wire)+) } ),*],
        }; )+
    };
}

pub(crate) use {structs, wire};

structs! {
    /// A column.
    FIELD_SCHEMA = "FieldSchema" { 1 "name": (text), 2 "type": (text), 3 "comment": (text) }
    /// A serialiser.
    SERDE_INFO = "SerDeInfo" {
        1 "name": (text), 2 "serializationLib": (text), 3 "parameters": (map text), 4 "description": (text),
        5 "serializerClass": (text), 6 "deserializerClass": (text), 7 "serdeType": (int),
    }
    /// A sort column.
    ORDER = "Order" { 1 "col": (text), 2 "order": (int) }
    /// Skewed values.
    SKEWED_INFO = "SkewedInfo" {
        1 "skewedColNames": (list text), 2 "skewedColValues": (list list text),
        3 "skewedColValueLocationMaps": (map text),
    }
    /// Physical layout.
    STORAGE_DESCRIPTOR = "StorageDescriptor" {
        1 "cols": (list FIELD_SCHEMA), 2 "location": (text), 3 "inputFormat": (text), 4 "outputFormat": (text),
        5 "compressed": (bool), 6 "numBuckets": (int), 7 "serdeInfo": (SERDE_INFO), 8 "bucketCols": (list text),
        9 "sortCols": (list ORDER), 10 "parameters": (map text), 11 "skewedInfo": (SKEWED_INFO),
        12 "storedAsSubDirectories": (bool),
    }
    /// One grant.
    PRIVILEGE_GRANT_INFO = "PrivilegeGrantInfo" {
        1 "privilege": (text), 2 "createTime": (int), 3 "grantor": (text), 4 "grantorType": (int),
        5 "grantOption": (bool),
    }
    /// Grants by principal.
    PRINCIPAL_PRIVILEGE_SET = "PrincipalPrivilegeSet" {
        1 "userPrivileges": (map list PRIVILEGE_GRANT_INFO), 2 "groupPrivileges": (map list PRIVILEGE_GRANT_INFO),
        3 "rolePrivileges": (map list PRIVILEGE_GRANT_INFO),
    }
    /// How a materialized view was made.
    CREATION_METADATA = "CreationMetadata" {
        1 "catName": (text), 2 "dbName": (text), 3 "tblName": (text), 4 "tablesUsed": (list text),
        5 "validTxnList": (text), 6 "materializationTime": (int),
    }
    /// A catalog's database.
    DATABASE = "Database" {
        1 "name": (text), 2 "description": (text), 3 "locationUri": (text), 4 "parameters": (map text),
        5 "privileges": (PRINCIPAL_PRIVILEGE_SET), 6 "ownerName": (text), 7 "ownerType": (int),
        8 "catalogName": (text), 9 "createTime": (int), 10 "managedLocationUri": (text), 11 "type": (int),
        12 "connector_name": (text), 13 "remote_dbname": (text),
    }
    /// A table or view.
    TABLE = "Table" {
        1 "tableName": (text), 2 "dbName": (text), 3 "owner": (text), 4 "createTime": (int),
        5 "lastAccessTime": (int), 6 "retention": (int), 7 "sd": (STORAGE_DESCRIPTOR),
        8 "partitionKeys": (list FIELD_SCHEMA), 9 "parameters": (map text), 10 "viewOriginalText": (text),
        11 "viewExpandedText": (text), 12 "tableType": (text), 13 "privileges": (PRINCIPAL_PRIVILEGE_SET),
        14 "temporary": (bool), 15 "rewriteEnabled": (bool), 16 "creationMetadata": (CREATION_METADATA),
        17 "catName": (text), 18 "ownerType": (int), 19 "writeId": (int), 20 "isStatsCompliant": (bool),
        21 "colStats": (COLUMN_STATISTICS), 22 "accessType": (int), 23 "requiredReadCapabilities": (list text),
        24 "requiredWriteCapabilities": (list text), 25 "id": (int), 28 "txnId": (int),
    }
    /// A partition.
    PARTITION = "Partition" {
        1 "values": (list text), 2 "dbName": (text), 3 "tableName": (text), 4 "createTime": (int),
        5 "lastAccessTime": (int), 6 "sd": (STORAGE_DESCRIPTOR), 7 "parameters": (map text),
        8 "privileges": (PRINCIPAL_PRIVILEGE_SET), 9 "catName": (text), 10 "writeId": (int),
        11 "isStatsCompliant": (bool), 12 "colStats": (COLUMN_STATISTICS),
    }
    /// A file of a function.
    RESOURCE_URI = "ResourceUri" { 1 "resourceType": (int), 2 "uri": (text) }
    /// A permanent function.
    FUNCTION = "Function" {
        1 "functionName": (text), 2 "dbName": (text), 3 "className": (text), 4 "ownerName": (text),
        5 "ownerType": (int), 6 "createTime": (int), 7 "functionType": (int),
        8 "resourceUris": (list RESOURCE_URI), 9 "catName": (text),
    }
    /// A column of a primary key.
    SQL_PRIMARY_KEY = "SQLPrimaryKey" {
        1 "table_db": (text), 2 "table_name": (text), 3 "column_name": (text), 4 "key_seq": (int),
        5 "pk_name": (text), 6 "enable_cstr": (bool), 7 "validate_cstr": (bool), 8 "rely_cstr": (bool),
        9 "catName": (text),
    }
    /// A column of a foreign key.
    SQL_FOREIGN_KEY = "SQLForeignKey" {
        1 "pktable_db": (text), 2 "pktable_name": (text), 3 "pkcolumn_name": (text), 4 "fktable_db": (text),
        5 "fktable_name": (text), 6 "fkcolumn_name": (text), 7 "key_seq": (int), 8 "update_rule": (int),
        9 "delete_rule": (int), 10 "fk_name": (text), 11 "pk_name": (text), 12 "enable_cstr": (bool),
        13 "validate_cstr": (bool), 14 "rely_cstr": (bool), 15 "catName": (text),
    }
    /// A column of a unique key.
    SQL_UNIQUE = "SQLUniqueConstraint" {
        1 "catName": (text), 2 "table_db": (text), 3 "table_name": (text), 4 "column_name": (text),
        5 "key_seq": (int), 6 "uk_name": (text), 7 "enable_cstr": (bool), 8 "validate_cstr": (bool),
        9 "rely_cstr": (bool),
    }
    /// NOT NULL.
    SQL_NOT_NULL = "SQLNotNullConstraint" {
        1 "catName": (text), 2 "table_db": (text), 3 "table_name": (text), 4 "column_name": (text),
        5 "nn_name": (text), 6 "enable_cstr": (bool), 7 "validate_cstr": (bool), 8 "rely_cstr": (bool),
    }
    /// DEFAULT.
    SQL_DEFAULT = "SQLDefaultConstraint" {
        1 "catName": (text), 2 "table_db": (text), 3 "table_name": (text), 4 "column_name": (text),
        5 "default_value": (text), 6 "dc_name": (text), 7 "enable_cstr": (bool), 8 "validate_cstr": (bool),
        9 "rely_cstr": (bool),
    }
    /// CHECK.
    SQL_CHECK = "SQLCheckConstraint" {
        1 "catName": (text), 2 "table_db": (text), 3 "table_name": (text), 4 "column_name": (text),
        5 "check_expression": (text), 6 "dc_name": (text), 7 "enable_cstr": (bool), 8 "validate_cstr": (bool),
        9 "rely_cstr": (bool),
    }
    /// What statistics are about.
    COLUMN_STATISTICS_DESC = "ColumnStatisticsDesc" {
        1 "isTblLevel": (bool), 2 "dbName": (text), 3 "tableName": (text), 4 "partName": (text),
        5 "lastAnalyzed": (int), 6 "catName": (text),
    }
    /// Statistics of a boolean column.
    BOOLEAN_STATS = "BooleanColumnStatsData" {
        1 "numTrues": (int), 2 "numFalses": (int), 3 "numNulls": (int), 4 "bitVectors": (text),
    }
    /// Statistics of an integer column.
    LONG_STATS = "LongColumnStatsData" {
        1 "lowValue": (int), 2 "highValue": (int), 3 "numNulls": (int), 4 "numDVs": (int), 5 "bitVectors": (text),
        6 "histogram": (text),
    }
    /// Statistics of a floating-point column.
    DOUBLE_STATS = "DoubleColumnStatsData" {
        1 "lowValue": (double), 2 "highValue": (double), 3 "numNulls": (int), 4 "numDVs": (int),
        5 "bitVectors": (text), 6 "histogram": (text),
    }
    /// Statistics of a string column.
    STRING_STATS = "StringColumnStatsData" {
        1 "maxColLen": (int), 2 "avgColLen": (double), 3 "numNulls": (int), 4 "numDVs": (int),
        5 "bitVectors": (text),
    }
    /// Statistics of a binary column.
    BINARY_STATS = "BinaryColumnStatsData" {
        1 "maxColLen": (int), 2 "avgColLen": (double), 3 "numNulls": (int), 4 "bitVectors": (text),
    }
    /// An unscaled value (base64) with its scale.
    DECIMAL = "Decimal" { 1 "unscaled": (text), 3 "scale": (int) }
    /// Statistics of a decimal column.
    DECIMAL_STATS = "DecimalColumnStatsData" {
        1 "lowValue": (DECIMAL), 2 "highValue": (DECIMAL), 3 "numNulls": (int), 4 "numDVs": (int),
        5 "bitVectors": (text), 6 "histogram": (text),
    }
    /// A day.
    DATE = "Date" { 1 "daysSinceEpoch": (int) }
    /// Statistics of a date column.
    DATE_STATS = "DateColumnStatsData" {
        1 "lowValue": (DATE), 2 "highValue": (DATE), 3 "numNulls": (int), 4 "numDVs": (int), 5 "bitVectors": (text),
        6 "histogram": (text),
    }
    /// A second.
    TIMESTAMP = "Timestamp" { 1 "secondsSinceEpoch": (int) }
    /// Statistics of a timestamp column.
    TIMESTAMP_STATS = "TimestampColumnStatsData" {
        1 "lowValue": (TIMESTAMP), 2 "highValue": (TIMESTAMP), 3 "numNulls": (int), 4 "numDVs": (int),
        5 "bitVectors": (text), 6 "histogram": (text),
    }
    /// Statistics by column type, exactly one set.
    COLUMN_STATISTICS_DATA = "ColumnStatisticsData" {
        1 "booleanStats": (BOOLEAN_STATS), 2 "longStats": (LONG_STATS), 3 "doubleStats": (DOUBLE_STATS),
        4 "stringStats": (STRING_STATS), 5 "binaryStats": (BINARY_STATS), 6 "decimalStats": (DECIMAL_STATS),
        7 "dateStats": (DATE_STATS), 8 "timestampStats": (TIMESTAMP_STATS),
    }
    /// Statistics of one column.
    COLUMN_STATISTICS_OBJ = "ColumnStatisticsObj" {
        1 "colName": (text), 2 "colType": (text), 3 "statsData": (COLUMN_STATISTICS_DATA),
    }
    /// Statistics of a table or partition.
    COLUMN_STATISTICS = "ColumnStatistics" {
        1 "statsDesc": (COLUMN_STATISTICS_DESC), 2 "statsObj": (list COLUMN_STATISTICS_OBJ),
        3 "isStatsCompliant": (bool), 4 "engine": (text),
    }
}

/// A Thrift object by field names. Types of known fields are as in its [`Struct`], which the readers ensure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(pub Map<String, Value>);

impl Object {
    /// A string field.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }
    /// A string field that says something.
    pub fn non_empty(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| !text.is_empty())
    }
    /// An integer or boolean field.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64()
    }
    /// A struct or map field.
    pub fn map(&self, name: &str) -> Option<&Map<String, Value>> {
        self.0.get(name)?.as_object()
    }
    /// A list field.
    pub fn list(&self, name: &str) -> &[Value] {
        self.0.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
    /// A list of strings.
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.list(name).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// Reads an object written with field names (Apiary's listener, exports): booleans become 0 or 1, nulls are unset.
///
/// # Errors
/// `invalid_field` with the path of the first value of a wrong type.
pub fn from_named(schema: &Struct, value: &Value) -> Result<Object, Rejection> {
    let Value::Object(fields) = value else {
        return Err(wrong(schema.name, value));
    };
    let mut object = Map::new();
    for (name, value) in fields {
        if value.is_null() {
            continue;
        }
        let value = match schema.named(name) {
            Some(field) => {
                named_value(&field.wire, value).map_err(|rejection| rejection.within(&format!("/{name}")))?
            }
            None => value.clone(),
        };
        object.insert(name.clone(), value);
    }
    Ok(Object(object))
}

fn named_value(wire: &Wire, value: &Value) -> Result<Value, Rejection> {
    match (wire, value) {
        (Wire::Bool, Value::Bool(flag)) => Ok(Value::from(i64::from(*flag))),
        (Wire::Bool | Wire::Int, Value::Number(number)) if number.is_i64() => Ok(value.clone()),
        (Wire::Double, Value::Number(_)) | (Wire::Text, Value::String(_)) => Ok(value.clone()),
        (Wire::Struct(schema), _) => Ok(Value::Object(from_named(schema, value)?.0)),
        (Wire::List(element), Value::Array(items)) => {
            let items = items.iter().enumerate().map(|(index, item)| {
                named_value(element, item).map_err(|rejection| rejection.within(&format!("/{index}")))
            });
            Ok(Value::Array(items.collect::<Result<_, _>>()?))
        }
        (Wire::Map(element), Value::Object(entries)) => {
            let mut map = Map::new();
            for (key, item) in entries.iter().filter(|(_, item)| !item.is_null()) {
                let item = named_value(element, item).map_err(|rejection| rejection.within(&format!("/{key}")))?;
                map.insert(key.clone(), item);
            }
            Ok(Value::Object(map))
        }
        // Maps whose keys are no strings are written as a list of pairs.
        (Wire::Map(element), Value::Array(pairs)) => {
            let mut map = Map::new();
            for (index, pair) in pairs.iter().enumerate() {
                let at = |rejection: Rejection| rejection.within(&format!("/{index}"));
                let Some([key, item]) = pair.as_array().map(Vec::as_slice) else {
                    return Err(at(wrong("pair", pair)));
                };
                map.insert(key_text(key), named_value(element, item).map_err(at)?);
            }
            Ok(Value::Object(map))
        }
        (wire, value) => Err(wrong(wire.name(), value)),
    }
}

/// A map key as text: strings as they are, everything else as JSON.
pub(super) fn key_text(key: &Value) -> String {
    key.as_str().map_or_else(|| key.to_string(), str::to_owned)
}

impl Wire {
    /// For messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "integer",
            Self::Double => "double",
            Self::Text => "string",
            Self::Struct(schema) => schema.name,
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }
}

fn wrong(expected: &str, found: &Value) -> Rejection {
    Rejection::new(ReasonCode::InvalidField, "", format!("expected {expected}, found {}", json_type(found)))
}

/// The JSON type of a value, for messages.
pub(super) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
