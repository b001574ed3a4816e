//! Values of Apiary's Kafka metastore listener: Thrift objects as plain named JSON. Knows nothing but that shape.
//!
//! They carry no time and often no event id; the listener's record key reads as milliseconds, which the caller knows.

use serde_json::{Map, Value};

use super::HmsLimits;
use super::envelope::missing;
use super::event::{Change, HmsEvent, check_partition, check_table};
use super::thrift::{self, Object, Struct, from_named};
use crate::model::reject::{ReasonCode, Rejection};

/// Whether a raw value has the listener's shape.
pub fn is_apiary(object: &Map<String, Value>) -> bool {
    let named = object.get("eventType").and_then(Value::as_str).is_some_and(|name| name.starts_with("ON_"));
    named && !object.contains_key("message")
}

/// Decodes a value of the listener.
///
/// # Errors
/// `unknown_type`, `missing_field`, `invalid_field`, `limit_exceeded` with the path.
pub fn decode(object: &Map<String, Value>, limits: HmsLimits) -> Result<HmsEvent, Rejection> {
    let event_type = object.get("eventType").and_then(Value::as_str).unwrap_or_default();
    let parameters = object.get("parameters").and_then(Value::as_object);
    let event_id = parameters.and_then(|map| map.get("DB_NOTIFICATION_EVENT_ID_KEY_NAME")).and_then(|id| match id {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    });
    let failed = match object.get("status") {
        Some(Value::Bool(status)) => !status,
        Some(Value::String(status)) => status == "false",
        _ => false,
    };
    let change = if failed { Change::Silent("hms_failed_operation") } else { change(event_type, object, limits)? };
    Ok(HmsEvent { event_id, event_time: None, server: String::new(), catalog: None, listing: None, change })
}

fn change(event_type: &str, object: &Map<String, Value>, limits: HmsLimits) -> Result<Change, Rejection> {
    let table = |name: &str| table(object, name, limits);
    Ok(match event_type {
        "ON_CREATE_TABLE" => Change::CreateTable(table("table")?),
        "ON_DROP_TABLE" => Change::DropTable(table("table")?),
        "ON_ALTER_TABLE" => Change::AlterTable { before: table("oldTable")?, after: table("newTable")? },
        "ON_ADD_PARTITION" => {
            let table = table("table")?;
            let partitions = partitions(&table, object, "partitions")?;
            Change::AddPartitions { table, partitions }
        }
        "ON_DROP_PARTITION" => {
            let table = table("table")?;
            let dropped = partitions(&table, object, "partitions")?;
            Change::DropPartitions {
                table,
                values: dropped.iter().map(|partition| partition.texts("values")).collect(),
            }
        }
        "ON_ALTER_PARTITION" => {
            let table = table("table")?;
            let before = Some(partition(&table, object, "oldPartition")?);
            let after = vec![partition(&table, object, "newPartition")?];
            Change::AlterPartitions { table, before, after }
        }
        "ON_INSERT" => {
            let mut table = Object::default();
            for (from, to) in [("databaseName", "dbName"), ("tableName", "tableName")] {
                let name = object.get(from).and_then(Value::as_str).ok_or_else(|| missing(&format!("/{from}")))?;
                table.0.insert(to.to_owned(), Value::from(name));
            }
            Change::Insert { table }
        }
        other => {
            let message = format!("event type {other:?} of the Kafka listener is not known");
            return Err(Rejection::new(ReasonCode::UnknownType, "/eventType", message));
        }
    })
}

fn read(object: &Map<String, Value>, name: &str, schema: &Struct) -> Result<Object, Rejection> {
    let path = format!("/{name}");
    let value = object.get(name).filter(|value| !value.is_null()).ok_or_else(|| missing(&path))?;
    from_named(schema, value).map_err(|rejection| rejection.within(&path))
}

fn table(object: &Map<String, Value>, name: &str, limits: HmsLimits) -> Result<Object, Rejection> {
    let table = read(object, name, &thrift::TABLE)?;
    check_table(&table, &format!("/{name}"), limits)?;
    Ok(table)
}

fn partition(table: &Object, object: &Map<String, Value>, name: &str) -> Result<Object, Rejection> {
    let partition = read(object, name, &thrift::PARTITION)?;
    check_partition(table, &partition, &format!("/{name}"))?;
    Ok(partition)
}

fn partitions(table: &Object, object: &Map<String, Value>, name: &str) -> Result<Vec<Object>, Rejection> {
    let path = format!("/{name}");
    let Some(items) = object.get(name).and_then(Value::as_array) else {
        return Err(missing(&path));
    };
    let mut partitions = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}/{index}");
        let partition = from_named(&thrift::PARTITION, item).map_err(|rejection| rejection.within(&path))?;
        check_partition(table, &partition, &path)?;
        partitions.push(partition);
    }
    Ok(partitions)
}
