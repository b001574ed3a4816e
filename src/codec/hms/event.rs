//! Typed metastore events and their decoding from notifications. Knows message keys, not what events mean.

use std::collections::BTreeMap;

use serde_json::Value;

use super::HmsLimits;
use super::envelope::{Body, Envelope, missing};
use super::synthetic::{LISTING, Listed, ListedKind, ListingMark};
use super::thrift::{self, Object, Struct};
use crate::codec::json::Allowance;
use crate::model::reject::{ReasonCode, Rejection};

/// One event with where and when it happened.
#[derive(Clone, Debug, PartialEq)]
pub struct HmsEvent {
    /// Id in the event log, if the record has one.
    pub event_id: Option<i64>,
    /// Seconds since the epoch, if the record says.
    pub event_time: Option<i64>,
    /// The metastore's own name, e.g. `thrift://host:9083`; empty if it does not say.
    pub server: String,
    /// Catalog by the envelope.
    pub catalog: Option<String>,
    /// The listing whose statement it is, if it tells of no event.
    pub listing: Option<ListingMark>,
    /// What happened.
    pub change: Change,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Database created; 2.3 gives its name only.
    CreateDatabase(Object),
    /// Database altered, as it is now.
    AlterDatabase(Object),
    /// Database dropped, as it was.
    DropDatabase(Object),
    /// Table or view created.
    CreateTable(Object),
    /// Table altered or renamed.
    AlterTable {
        /// As it was.
        before: Object,
        /// As it is.
        after: Object,
    },
    /// Table dropped, as it was.
    DropTable(Object),
    /// Partitions added.
    AddPartitions {
        /// Their table.
        table: Object,
        /// The partitions; may be none.
        partitions: Vec<Object>,
    },
    /// Partitions altered; only of one is the former state known.
    AlterPartitions {
        /// Their table.
        table: Object,
        /// As it was, if told.
        before: Option<Object>,
        /// As they are.
        after: Vec<Object>,
    },
    /// Partitions dropped.
    DropPartitions {
        /// Their table.
        table: Object,
        /// Values in the order of the table's partition keys.
        values: Vec<Vec<String>>,
    },
    /// Rows written to a table or one of its partitions.
    Insert {
        /// The table.
        table: Object,
    },
    /// Function created.
    CreateFunction(Object),
    /// Function dropped.
    DropFunction {
        /// Database.
        database: String,
        /// Name.
        name: String,
    },
    /// Constraints added, in the order of their columns.
    AddConstraints {
        /// What kind.
        kind: ConstraintKind,
        /// One struct for each column.
        columns: Vec<Object>,
    },
    /// Constraint dropped.
    DropConstraint {
        /// Database.
        database: String,
        /// Table.
        table: String,
        /// Constraint.
        name: String,
    },
    /// Column statistics computed.
    UpdateColumnStats {
        /// `ColumnStatistics`.
        stats: Object,
        /// The table's parameters after it, if they changed with it.
        table_parameters: Option<BTreeMap<String, String>>,
    },
    /// Column statistics removed.
    DeleteColumnStats {
        /// Database.
        database: String,
        /// Table.
        table: String,
        /// Partition name as Hive writes it, for statistics of a partition.
        partition: Option<String>,
        /// Column.
        column: String,
    },
    /// A page of the names of all things of one kind.
    Listing {
        /// What kind.
        kind: ListedKind,
        /// Which page, from 0.
        page: u32,
        /// How many there are.
        pages: u32,
        /// The names on it.
        members: Vec<Listed>,
    },
    /// Valid, but says nothing to a catalog; the reason is a metric label.
    Silent(&'static str),
}

/// Kinds of constraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    /// `SQLPrimaryKey`
    PrimaryKey,
    /// `SQLForeignKey`
    ForeignKey,
    /// `SQLUniqueConstraint`
    Unique,
    /// `SQLNotNullConstraint`
    NotNull,
    /// `SQLDefaultConstraint`
    Default,
    /// `SQLCheckConstraint`
    Check,
}

impl ConstraintKind {
    /// Message key of the list, its struct, and the name of the field that names the constraint.
    pub fn layout(self) -> (&'static str, &'static Struct, &'static str) {
        match self {
            Self::PrimaryKey => ("primaryKeyListJson", &thrift::SQL_PRIMARY_KEY, "pk_name"),
            Self::ForeignKey => ("foreignKeyListJson", &thrift::SQL_FOREIGN_KEY, "fk_name"),
            Self::Unique => ("uniqueConstraintListJson", &thrift::SQL_UNIQUE, "uk_name"),
            Self::NotNull => ("notNullConstraintListJson", &thrift::SQL_NOT_NULL, "nn_name"),
            Self::Default => ("defaultConstraintListJson", &thrift::SQL_DEFAULT, "dc_name"),
            Self::Check => ("checkConstraintListJson", &thrift::SQL_CHECK, "dc_name"),
        }
    }

    /// Name of the group in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PrimaryKey => "primaryKeys",
            Self::ForeignKey => "foreignKeys",
            Self::Unique => "unique",
            Self::NotNull => "notNull",
            Self::Default => "default",
            Self::Check => "check",
        }
    }
}

/// Decodes a notification.
///
/// # Errors
/// `unknown_type` for an event type no version of the metastore is known to write; else the first fault in the message.
pub fn decode(mut envelope: Envelope, limits: HmsLimits, allowance: Allowance) -> Result<HmsEvent, Rejection> {
    let (change, server) = match silent(&envelope.event_type) {
        Some(reason) => (Change::Silent(reason), String::new()),
        None if !is_known(&envelope.event_type) => {
            return Err(Rejection::new(
                ReasonCode::UnknownType,
                "/eventType",
                format!("event type {:?} is not known", envelope.event_type),
            ));
        }
        None => {
            let body = envelope.body(limits, allowance)?;
            (change(&envelope, &body)?, body.text("server")?.unwrap_or_default())
        }
    };
    Ok(HmsEvent {
        event_id: Some(envelope.event_id),
        event_time: Some(envelope.event_time),
        server,
        catalog: envelope.catalog.clone().filter(|name| !name.is_empty() && name != "null"),
        listing: envelope.listing,
        change,
    })
}

/// Types that change nothing a catalog shows.
fn silent(event_type: &str) -> Option<&'static str> {
    Some(match event_type {
        "OPEN_TXN" | "COMMIT_TXN" | "ABORT_TXN" | "ALLOC_WRITE_ID_EVENT" | "ALLOC_WRITE_ID" => "hms_transaction",
        "COMMIT_COMPACTION_EVENT" | "COMMIT_COMPACTION" => "hms_compaction",
        // Asks caches to reload; the state is the same.
        "RELOAD" => "hms_reload",
        // The metastore's own schema registry, which nothing uses.
        "CREATE_ISCHEMA"
        | "ALTER_ISCHEMA"
        | "DROP_ISCHEMA"
        | "ADD_SCHEMA_VERSION"
        | "ALTER_SCHEMA_VERSION"
        | "DROP_SCHEMA_VERSION" => "hms_ischema",
        // A catalog exists for us by its databases.
        "CREATE_CATALOG" | "ALTER_CATALOG" | "DROP_CATALOG" => "hms_catalog",
        "CREATE_DATACONNECTOR" | "ALTER_DATACONNECTOR" | "DROP_DATACONNECTOR" => "hms_connector",
        _ => return None,
    })
}

const CONSTRAINTS: [(&str, ConstraintKind); 6] = [
    ("ADD_PRIMARYKEY", ConstraintKind::PrimaryKey),
    ("ADD_FOREIGNKEY", ConstraintKind::ForeignKey),
    ("ADD_UNIQUECONSTRAINT", ConstraintKind::Unique),
    ("ADD_NOTNULLCONSTRAINT", ConstraintKind::NotNull),
    ("ADD_DEFAULTCONSTRAINT", ConstraintKind::Default),
    ("ADD_CHECKCONSTRAINT", ConstraintKind::Check),
];

const KNOWN: [&str; 22] = [
    LISTING,
    "CREATE_DATABASE",
    "ALTER_DATABASE",
    "DROP_DATABASE",
    "CREATE_TABLE",
    "ALTER_TABLE",
    "DROP_TABLE",
    "ADD_PARTITION",
    "ALTER_PARTITION",
    "ALTER_PARTITIONS",
    "DROP_PARTITION",
    "INSERT",
    "ACID_WRITE_EVENT",
    "CREATE_FUNCTION",
    "DROP_FUNCTION",
    "DROP_CONSTRAINT",
    "UPDATE_TBL_COL_STAT_EVENT",
    "UPDATE_PART_COL_STAT_EVENT",
    "UPDATE_TBL_COL_STAT",
    "UPDATE_PART_COL_STAT",
    "DELETE_TBL_COL_STAT_EVENT",
    "DELETE_PART_COL_STAT_EVENT",
];

fn is_known(event_type: &str) -> bool {
    KNOWN.contains(&event_type) || CONSTRAINTS.iter().any(|(name, _)| *name == event_type)
}

fn change(envelope: &Envelope, body: &Body) -> Result<Change, Rejection> {
    Ok(match envelope.event_type.as_str() {
        "CREATE_DATABASE" => Change::CreateDatabase(database(envelope, body, "dbJson")?),
        "ALTER_DATABASE" => Change::AlterDatabase(database(envelope, body, "dbObjAfterJson")?),
        "DROP_DATABASE" => Change::DropDatabase(database(envelope, body, "dbJson")?),
        "CREATE_TABLE" => Change::CreateTable(table(envelope, body, "tableObjJson")?),
        "DROP_TABLE" => Change::DropTable(match body.has("tableObjJson") {
            true => table(envelope, body, "tableObjJson")?,
            // 2.3 and 3.1 may leave the object out.
            false => named_table(envelope, body)?,
        }),
        "ALTER_TABLE" => Change::AlterTable {
            before: table(envelope, body, "tableObjBeforeJson")?,
            after: table(envelope, body, "tableObjAfterJson")?,
        },
        "ADD_PARTITION" => {
            let table = table(envelope, body, "tableObjJson")?;
            let partitions = partitions(&table, body, "partitionListJson")?;
            Change::AddPartitions { table, partitions }
        }
        "ALTER_PARTITION" => {
            let table = table(envelope, body, "tableObjJson")?;
            let before = match body.has("partitionObjBeforeJson") {
                true => Some(partition(&table, body, "partitionObjBeforeJson")?),
                false => None,
            };
            let after = vec![partition(&table, body, "partitionObjAfterJson")?];
            Change::AlterPartitions { table, before, after }
        }
        "ALTER_PARTITIONS" => {
            // One event for many partitions (Hive 4.2); they cannot be renamed by it.
            let lists = ["partitionListJson", "partitionsListJson", "partitionsAfterJson", "partitionObjAfterListJson"];
            let Some(list) = lists.into_iter().find(|name| body.has(name)) else {
                return Err(missing("/message/partitionListJson"));
            };
            let table = table(envelope, body, "tableObjJson")?;
            let after = partitions(&table, body, list)?;
            Change::AlterPartitions { table, before: None, after }
        }
        "DROP_PARTITION" => {
            let table = table(envelope, body, "tableObjJson")?;
            let values = dropped_values(&table, body)?;
            Change::DropPartitions { table, values }
        }
        "INSERT" | "ACID_WRITE_EVENT" => Change::Insert {
            table: match body.has("tableObjJson") {
                true => table(envelope, body, "tableObjJson")?,
                false => named_table(envelope, body)?,
            },
        },
        "CREATE_FUNCTION" => {
            let function = body.required_object("functionObjJson", &thrift::FUNCTION)?;
            require(&function, "/message/functionObjJson", &[(1, "functionName"), (2, "dbName")], body.limits())?;
            Change::CreateFunction(function)
        }
        "DROP_FUNCTION" => Change::DropFunction {
            database: body.required_text("db")?,
            name: match body.object("functionObjJson", &thrift::FUNCTION)? {
                Some(function) if function.non_empty("functionName").is_some() => {
                    function.text("functionName").unwrap_or_default().to_owned()
                }
                _ => body.required_text("functionName")?,
            },
        },
        "DROP_CONSTRAINT" => Change::DropConstraint {
            database: body.required_text("dbName")?,
            table: body.required_text("tableName")?,
            name: body.required_text("constraintName")?,
        },
        "UPDATE_TBL_COL_STAT_EVENT" | "UPDATE_TBL_COL_STAT" => Change::UpdateColumnStats {
            stats: column_stats(body)?,
            table_parameters: body.map("parameters")?.map(|map| strings(&map)),
        },
        "UPDATE_PART_COL_STAT_EVENT" | "UPDATE_PART_COL_STAT" => {
            Change::UpdateColumnStats { stats: column_stats(body)?, table_parameters: None }
        }
        "DELETE_TBL_COL_STAT_EVENT" => deleted_stats(body, None)?,
        "DELETE_PART_COL_STAT_EVENT" => deleted_stats(body, Some(body.required_text("partName")?))?,
        LISTING => listing(envelope, body)?,
        other => match CONSTRAINTS.iter().find(|(name, _)| *name == other) {
            Some((_, kind)) => constraints(*kind, body)?,
            None => return Err(missing("/eventType")),
        },
    })
}

fn listing(envelope: &Envelope, body: &Body) -> Result<Change, Rejection> {
    if envelope.listing.is_none() {
        return Err(missing("/listing"));
    }
    let wrong = |name: &str, what: &str| Rejection::new(ReasonCode::InvalidField, format!("/message/{name}"), what);
    let kind = body.required_text("kind")?;
    let kind = ListedKind::parse(&kind).ok_or_else(|| wrong("kind", "expected database, table or function"))?;
    let count = |name: &str| -> Result<u32, Rejection> {
        let text = body.required_text(name)?;
        text.parse().map_err(|_| wrong(name, "expected a count"))
    };
    let (page, pages) = (count("page")?, count("pages")?);
    if page >= pages {
        return Err(wrong("page", "pages are counted from 0 to one less than `pages`"));
    }
    let mut members = Vec::new();
    for (index, member) in body.list("members")?.iter().enumerate() {
        let path = format!("members/{index}");
        let Some([catalog, database, name]) = member.as_array().map(Vec::as_slice) else {
            return Err(wrong(&path, "expected catalog, database and name"));
        };
        let (Some(database), Some(name)) = (database.as_str().filter(|name| !name.is_empty()), name.as_str()) else {
            return Err(wrong(&path, "expected catalog, database and name"));
        };
        if name.is_empty() != (kind == ListedKind::Database) {
            return Err(wrong(&path, "a table or function needs a name, a database has no second one"));
        }
        for part in [database, name] {
            check_name(part, body.limits()).map_err(|fault| fault.within(&format!("/message/{path}")))?;
        }
        let catalog = catalog.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
        members.push(Listed { catalog, database: database.to_owned(), name: name.to_owned() });
    }
    Ok(Change::Listing { kind, page, pages, members })
}

fn database(envelope: &Envelope, body: &Body, name: &str) -> Result<Object, Rejection> {
    let mut object = match body.object(name, &thrift::DATABASE)? {
        Some(object) => {
            require(&object, &format!("/message/{name}"), &[(1, "name")], body.limits())?;
            object
        }
        // 2.3, and drops before 4.0, give the name only.
        None if name == "dbJson" => {
            let mut object = Object::default();
            object.0.insert("name".to_owned(), Value::from(body.required_text("db")?));
            object
        }
        None => return Err(missing(&format!("/message/{name}"))),
    };
    fill_catalog(&mut object, "catalogName", envelope);
    Ok(object)
}

fn table(envelope: &Envelope, body: &Body, name: &str) -> Result<Object, Rejection> {
    let mut object = body.required_object(name, &thrift::TABLE)?;
    check_table(&object, &format!("/message/{name}"), body.limits())?;
    fill_catalog(&mut object, "catName", envelope);
    Ok(object)
}

/// A table of which only the name is told.
fn named_table(envelope: &Envelope, body: &Body) -> Result<Object, Rejection> {
    let mut object = Object::default();
    let database = if body.has("db") { body.required_text("db")? } else { body.required_text("database")? };
    object.0.insert("dbName".to_owned(), Value::from(database));
    object.0.insert("tableName".to_owned(), Value::from(body.required_text("table")?));
    fill_catalog(&mut object, "catName", envelope);
    Ok(object)
}

/// Objects of 3.1 may leave their catalog to the envelope; an absent one stays absent.
fn fill_catalog(object: &mut Object, field: &str, envelope: &Envelope) {
    if let (None, Some(catalog)) = (object.non_empty(field), &envelope.catalog) {
        object.0.insert(field.to_owned(), Value::from(catalog.as_str()));
    }
}

/// What every reader of a table relies on. `path` is that of the table.
pub(super) fn check_table(table: &Object, path: &str, limits: HmsLimits) -> Result<(), Rejection> {
    require(table, path, &[(1, "tableName"), (2, "dbName")], limits)
}

/// What every reader of a partition relies on: as many values as its table has keys. `path` is that of the partition.
pub(super) fn check_partition(table: &Object, partition: &Object, path: &str) -> Result<(), Rejection> {
    let (keys, values) = (table.list("partitionKeys").len(), partition.list("values").len());
    if values == 0 {
        return Err(missing(&format!("{path}/1")));
    }
    if keys != values {
        let message = format!("partition has {values} values but its table {keys} partition keys");
        return Err(Rejection::new(ReasonCode::InvalidField, format!("{path}/1"), message));
    }
    Ok(())
}

/// Names must be there, and not longer than allowed.
fn require(object: &Object, path: &str, fields: &[(i16, &str)], limits: HmsLimits) -> Result<(), Rejection> {
    for (id, name) in fields {
        let Some(text) = object.non_empty(name) else {
            let message = format!("required field {name} is missing or empty");
            return Err(Rejection::new(ReasonCode::MissingField, format!("{path}/{id}"), message));
        };
        check_name(text, limits).map_err(|fault| fault.within(&format!("{path}/{id}")))?;
    }
    Ok(())
}

/// Names become ids, which have to fit where ids are kept.
pub(super) fn check_name(name: &str, limits: HmsLimits) -> Result<(), Rejection> {
    if name.len() <= limits.max_name_bytes {
        return Ok(());
    }
    let message =
        format!("the name has {} bytes, the limit (limits.name_bytes) is {}", name.len(), limits.max_name_bytes);
    Err(Rejection::new(ReasonCode::LimitExceeded, "", message))
}

fn partition(table: &Object, body: &Body, name: &str) -> Result<Object, Rejection> {
    let object = body.required_object(name, &thrift::PARTITION)?;
    check_partition(table, &object, &format!("/message/{name}"))?;
    Ok(object)
}

fn partitions(table: &Object, body: &Body, name: &str) -> Result<Vec<Object>, Rejection> {
    let objects = body.objects(name, &thrift::PARTITION)?;
    for (index, object) in objects.iter().enumerate() {
        check_partition(table, object, &format!("/message/{name}/{index}"))?;
    }
    Ok(objects)
}

fn dropped_values(table: &Object, body: &Body) -> Result<Vec<Vec<String>>, Rejection> {
    let keys: Vec<&str> =
        table.list("partitionKeys").iter().filter_map(|key| key.get("name").and_then(Value::as_str)).collect();
    let mut dropped = Vec::new();
    for (index, item) in body.list("partitions")?.iter().enumerate() {
        let path = format!("/message/partitions/{index}");
        let mut values = Vec::new();
        let fields = item.as_object().into_iter().flatten();
        let by_key: BTreeMap<String, &Value> = fields.map(|(name, value)| (name.to_lowercase(), value)).collect();
        for key in &keys {
            let Some(value) = by_key.get(&key.to_lowercase()) else {
                return Err(Rejection::new(
                    ReasonCode::MissingField,
                    path,
                    format!("no value for partition key {key:?}"),
                ));
            };
            values.push(plain_text(value));
        }
        if values.is_empty() {
            return Err(Rejection::new(ReasonCode::InvalidField, path, "the table has no partition keys"));
        }
        dropped.push(values);
    }
    Ok(dropped)
}

fn constraints(kind: ConstraintKind, body: &Body) -> Result<Change, Rejection> {
    let (list, schema, name) = kind.layout();
    let columns = body.objects(list, schema)?;
    let (database, table) = constraint_table_fields(kind);
    for (index, column) in columns.iter().enumerate() {
        let path = format!("/message/{list}/{index}");
        for field in [database, table, name] {
            let id = schema.named(field).map_or(0, |field| field.id);
            require(column, &path, &[(id, field)], body.limits())?;
        }
    }
    Ok(Change::AddConstraints { kind, columns })
}

/// The fields that name the table a constraint belongs to.
pub fn constraint_table_fields(kind: ConstraintKind) -> (&'static str, &'static str) {
    match kind {
        ConstraintKind::ForeignKey => ("fktable_db", "fktable_name"),
        _ => ("table_db", "table_name"),
    }
}

fn column_stats(body: &Body) -> Result<Object, Rejection> {
    let path = "/message/colStatsJson";
    let stats = body.required_object("colStatsJson", &thrift::COLUMN_STATISTICS)?;
    let description = stats.map("statsDesc").cloned().ok_or_else(|| missing(&format!("{path}/1")))?;
    let names = [(2, "dbName"), (3, "tableName")];
    require(&Object(description), &format!("{path}/1/rec"), &names, body.limits())?;
    for (index, column) in stats.list("statsObj").iter().enumerate() {
        if column.get("colName").and_then(Value::as_str).is_none() {
            return Err(missing(&format!("{path}/2/lst/{}/1", index + 2)));
        }
    }
    Ok(stats)
}

fn deleted_stats(body: &Body, partition: Option<String>) -> Result<Change, Rejection> {
    let database = if body.has("dbName") { body.required_text("dbName")? } else { body.required_text("database")? };
    let table = if body.has("tableName") { body.required_text("tableName")? } else { body.required_text("table")? };
    let column = body.required_text("colName")?;
    Ok(Change::DeleteColumnStats { database, table, partition, column })
}

/// A map of strings; what is no string is kept as its JSON text.
pub fn strings(map: &serde_json::Map<String, Value>) -> BTreeMap<String, String> {
    map.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), plain_text(value))).collect()
}

fn plain_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
