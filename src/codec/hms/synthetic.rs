//! Notifications that no metastore wrote: what a listing finds, as if it were created now, and the listing itself.
//!
//! They have the shape of the event log's, so that one decoder reads both, with one field more: `listing` names the
//! listing and when it was made. All statements of one listing have one version, that of the log when it began.

use serde_json::{Map, Value, json};

use super::event::ConstraintKind;
use super::thrift::{DATABASE, FUNCTION, Object, PARTITION, TABLE};
use super::tjson_writer::write;

/// Type of the pages that name what there is.
pub const LISTING: &str = "LISTING";

/// What a listing is about: one kind of things of one metastore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListedKind {
    /// Databases.
    Database,
    /// Tables and views.
    Table,
    /// Functions.
    Function,
}

impl ListedKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Database, Self::Table, Self::Function];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Table => "table",
            Self::Function => "function",
        }
    }

    /// The kind that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Something that a listing names.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Catalog; `None` before catalogs.
    pub catalog: Option<String>,
    /// Database.
    pub database: String,
    /// Table or function; empty for a database.
    pub name: String,
}

/// Which listing a record belongs to, and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingMark {
    /// Unique.
    pub id: String,
    /// When it was begun, seconds since the epoch, by the clock of whoever made it: orders listings of one event id.
    pub taken: i64,
}

/// Writes the notifications of one listing.
#[derive(Clone, Debug)]
pub struct ListingWriter {
    /// The listing.
    pub mark: ListingMark,
    /// The metastore's own name, as its messages have it.
    pub server: String,
    /// Id of the newest event when it began.
    pub event_id: i64,
    /// Time of that event, seconds since the epoch.
    pub event_time: i64,
}

/// A notification and the names that its key is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Synthetic {
    /// Database.
    pub database: String,
    /// Table, if it is about one.
    pub table: Option<String>,
    /// The value.
    pub value: Value,
}

impl ListingWriter {
    /// A database as it is.
    pub fn database(&self, database: &Object) -> Synthetic {
        let name = name(database, "name");
        let message = json!({ "db": name, "dbJson": write(&DATABASE, database) });
        self.notification("CREATE_DATABASE", database.text("catalogName"), name, None, message)
    }

    /// A table or view as it is.
    pub fn table(&self, table: &Object) -> Synthetic {
        let (database, name) = (name(table, "dbName"), name(table, "tableName"));
        let message = json!({
            "db": database, "table": name, "tableType": table.text("tableType"), "tableObjJson": write(&TABLE, table),
            "files": [],
        });
        self.notification("CREATE_TABLE", table.text("catName"), database, Some(name), message)
    }

    /// Some of a table's partitions as they are.
    pub fn partitions(&self, table: &Object, partitions: &[Object]) -> Synthetic {
        let (database, name) = (name(table, "dbName"), name(table, "tableName"));
        let keys: Vec<&str> =
            table.list("partitionKeys").iter().filter_map(|key| key.get("name").and_then(Value::as_str)).collect();
        let values = |partition: &Object| -> Map<String, Value> {
            let values = partition.texts("values");
            keys.iter().zip(values).map(|(key, value)| ((*key).to_owned(), Value::from(value))).collect()
        };
        let message = json!({
            "db": database, "table": name, "tableType": table.text("tableType"), "tableObjJson": write(&TABLE, table),
            "partitions": partitions.iter().map(values).collect::<Vec<_>>(),
            "partitionListJson": partitions.iter().map(|partition| write(&PARTITION, partition)).collect::<Vec<_>>(),
            "partitionFiles": [],
        });
        self.notification("ADD_PARTITION", table.text("catName"), database, Some(name), message)
    }

    /// A function as it is.
    pub fn function(&self, function: &Object) -> Synthetic {
        let database = name(function, "dbName");
        let message = json!({ "db": database, "functionObjJson": write(&FUNCTION, function) });
        self.notification("CREATE_FUNCTION", function.text("catName"), database, None, message)
    }

    /// A table's constraints of one kind.
    pub fn constraints(&self, table: &Object, kind: ConstraintKind, columns: &[Object]) -> Synthetic {
        let (database, name) = (name(table, "dbName"), name(table, "tableName"));
        let (list, schema, _) = kind.layout();
        let columns: Vec<String> = columns.iter().map(|column| write(schema, column)).collect();
        let event_type = match kind {
            ConstraintKind::PrimaryKey => "ADD_PRIMARYKEY",
            ConstraintKind::ForeignKey => "ADD_FOREIGNKEY",
            ConstraintKind::Unique => "ADD_UNIQUECONSTRAINT",
            ConstraintKind::NotNull => "ADD_NOTNULLCONSTRAINT",
            ConstraintKind::Default => "ADD_DEFAULTCONSTRAINT",
            ConstraintKind::Check => "ADD_CHECKCONSTRAINT",
        };
        self.notification(event_type, table.text("catName"), database, Some(name), json!({ list: columns }))
    }

    /// A page of the names of everything of one kind, `page` of `pages`, counted from 0.
    pub fn page(&self, kind: ListedKind, page: u32, pages: u32, members: &[Listed]) -> Synthetic {
        let member = |member: &Listed| json!([member.catalog, member.database, member.name]);
        let members: Vec<Value> = members.iter().map(member).collect();
        let message = json!({ "kind": kind.as_str(), "page": page, "pages": pages, "members": members });
        self.notification(LISTING, None, String::new(), None, message)
    }

    fn notification(
        &self,
        event_type: &str,
        catalog: Option<&str>,
        database: String,
        table: Option<String>,
        mut message: Value,
    ) -> Synthetic {
        if let Value::Object(fields) = &mut message {
            fields.insert("eventType".to_owned(), json!(event_type));
            fields.insert("server".to_owned(), json!(self.server));
            fields.insert("servicePrincipal".to_owned(), json!(""));
            fields.insert("timestamp".to_owned(), json!(self.event_time));
        }
        let value = json!({
            "eventId": self.event_id, "eventTime": self.event_time, "eventType": event_type, "catName": catalog,
            "dbName": database, "tableName": table, "message": message.to_string(), "messageFormat": "json-0.2",
            "listing": { "id": self.mark.id, "taken": self.mark.taken },
        });
        Synthetic { database, table, value }
    }
}

fn name(object: &Object, field: &str) -> String {
    object.text(field).unwrap_or_default().to_owned()
}
