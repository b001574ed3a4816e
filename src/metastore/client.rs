//! The calls of a tail and of a listing, for all versions since 2.3.

use serde_json::Value;

use super::address::Address;
use super::connection::{Connection, Options};
use super::error::MetastoreError;
use super::structs;
use super::wire::Arg;
use crate::codec::hms::event::ConstraintKind;
use crate::codec::hms::thrift::{Object, Wire};

/// An entry of the notification log, as the metastore answers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Notification {
    /// Id; not unique under concurrent writers.
    pub event_id: i64,
    /// Seconds since the epoch.
    pub event_time: i64,
    /// Type, such as `CREATE_TABLE`.
    pub event_type: String,
    /// Catalog; versions before 3 have none.
    pub catalog: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// Table.
    pub table: Option<String>,
    /// Message, in its format.
    pub message: String,
    /// Format; 2.3 may not say.
    pub format: Option<String>,
}

/// The names of a database's tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableNames {
    /// Catalog; `None` before catalogs.
    pub catalog: Option<String>,
    /// Database.
    pub database: String,
    /// Tables and views.
    pub tables: Vec<String>,
}

/// A metastore at one of several addresses; connects when it is asked something.
pub struct Metastore {
    addresses: Vec<Address>,
    options: Options,
    connection: Option<Connection>,
    /// Whether it has catalogs, once that is known.
    catalogs: Option<Vec<String>>,
    /// Kinds of constraints that this version does not know.
    unknown_constraints: Vec<ConstraintKind>,
}

const META: &[&str] = &["MetaException"];
const META_MISSING: &[&str] = &["MetaException", "NoSuchObjectException"];
const MISSING_META: &[&str] = &["NoSuchObjectException", "MetaException"];

/// `ClientCapability`: that tables which only take inserts are understood.
const CAPABILITIES: &[i32] = &[1, 2];

impl Metastore {
    /// A metastore at the first of these addresses that answers; does not connect yet.
    pub fn new(addresses: Vec<Address>, options: Options) -> Self {
        Self { addresses, options, connection: None, catalogs: None, unknown_constraints: Vec::new() }
    }

    /// Its addresses, for messages.
    pub fn name(&self) -> String {
        self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    /// Gives the connection up; the next call makes another.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    fn connection(&mut self) -> Result<&mut Connection, MetastoreError> {
        if self.connection.is_none() {
            let mut outcome = Err(MetastoreError::Address { text: String::new(), reason: "there is none".to_owned() });
            for address in &self.addresses {
                outcome = Connection::open(address, &self.options);
                if outcome.is_ok() {
                    break;
                }
            }
            self.connection = Some(outcome?);
        }
        Ok(self.connection.as_mut().expect("it was put there above"))
    }

    /// Calls once, and once more over a new connection if the one at hand turns out to be broken: all calls only read.
    fn call(
        &mut self,
        method: &str,
        args: &[(i16, Arg<'_>)],
        answer: &Wire,
        exceptions: &[&str],
    ) -> Result<Value, MetastoreError> {
        let had_connection = self.connection.is_some();
        let mut outcome = self.connection()?.call(method, args, Some(answer), exceptions);
        if outcome.as_ref().is_err_and(MetastoreError::breaks) {
            self.disconnect();
            if had_connection {
                outcome = self.connection()?.call(method, args, Some(answer), exceptions);
                if outcome.as_ref().is_err_and(MetastoreError::breaks) {
                    self.disconnect();
                }
            }
        }
        outcome?.ok_or_else(|| MetastoreError::Broken {
            address: self.name(),
            call: method.to_owned(),
            source: "the answer is empty".into(),
        })
    }

    /// Version as it says itself, such as `3.1.3`; what is no version is passed on as it is.
    ///
    /// # Errors
    /// As for every call: see [`MetastoreError`].
    pub fn version(&mut self) -> Result<String, MetastoreError> {
        Ok(text(&self.call("getVersion", &[], &structs::TEXT, &[])?))
    }

    /// The name that it gives itself in its messages (`thrift://host:9083`), also while there are none: its setting
    /// `hive.metastore.uris`, which its listener writes into them. `None` if that is empty or not told.
    ///
    /// # Errors
    /// As for every call.
    pub fn server(&mut self) -> Result<Option<String>, MetastoreError> {
        let args = [(1, Arg::Text("hive.metastore.uris")), (2, Arg::Text(""))];
        match self.call("get_config_value", &args, &structs::TEXT, &["ConfigValSecurityException"]) {
            Ok(answer) => Ok(Some(text(&answer)).filter(|server| !server.trim().is_empty())),
            // Proxies in front of metastores leave calls out, and some settings are not told to everybody.
            Err(MetastoreError::UnknownCall { .. }) => Ok(None),
            Err(MetastoreError::Exception { kind, .. }) if kind == "ConfigValSecurityException" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Id of the newest entry of the notification log; 0 if there never was one.
    ///
    /// # Errors
    /// As for every call.
    pub fn current_event_id(&mut self) -> Result<i64, MetastoreError> {
        let wire = Wire::Struct(&structs::CURRENT_NOTIFICATION_EVENT_ID);
        let answer = self.call("get_current_notificationEventId", &[], &wire, &[])?;
        Ok(answer.get("eventId").and_then(Value::as_i64).unwrap_or_default())
    }

    /// Entries with ids greater than `after`, in order of their ids, `most` at most.
    ///
    /// # Errors
    /// As for every call.
    pub fn notifications(&mut self, after: i64, most: i32) -> Result<Vec<Notification>, MetastoreError> {
        let wire = Wire::Struct(&structs::NOTIFICATION_EVENT_RESPONSE);
        let request = Arg::Record(vec![(1, Arg::I64(after)), (2, Arg::I32(most))]);
        let answer = self.call("get_next_notification", &[(1, request)], &wire, &[])?;
        let mut events: Vec<Notification> = objects(answer, "events").into_iter().map(notification).collect();
        events.sort_by_key(|event| event.event_id);
        Ok(events)
    }

    /// Names of the catalogs; `None` for versions without.
    ///
    /// # Errors
    /// As for every call.
    pub fn catalogs(&mut self) -> Result<Option<Vec<String>>, MetastoreError> {
        if self.catalogs.is_none() {
            let wire = Wire::Struct(&structs::GET_CATALOGS_RESPONSE);
            self.catalogs = Some(match self.call("get_catalogs", &[], &wire, META) {
                Ok(answer) => texts(answer.get("names")),
                Err(MetastoreError::UnknownCall { .. }) => Vec::new(),
                Err(error) => return Err(error),
            });
        }
        Ok(self.catalogs.clone().filter(|names| !names.is_empty()))
    }

    /// Names of the databases of a catalog.
    ///
    /// # Errors
    /// As for every call.
    pub fn databases(&mut self, catalog: Option<&str>) -> Result<Vec<String>, MetastoreError> {
        let answer = match catalog {
            None => self.call("get_all_databases", &[], &structs::TEXTS, META)?,
            Some(_) => {
                let pattern = qualified(catalog, "*");
                self.call("get_databases", &[(1, Arg::Text(&pattern))], &structs::TEXTS, META)?
            }
        };
        Ok(texts(Some(&answer)))
    }

    /// A database; `None` if it is not there.
    ///
    /// # Errors
    /// As for every call.
    pub fn database(&mut self, catalog: Option<&str>, name: &str) -> Result<Option<Object>, MetastoreError> {
        let name = qualified(catalog, name);
        let answer = self.call("get_database", &[(1, Arg::Text(&name))], &structs::A_DATABASE, MISSING_META);
        Ok(present(answer)?.map(object))
    }

    /// Names of all tables and views of a database; none if it is not there.
    ///
    /// # Errors
    /// As for every call.
    pub fn tables(&mut self, catalog: Option<&str>, database: &str) -> Result<TableNames, MetastoreError> {
        let name = qualified(catalog, database);
        let answer = present(self.call("get_all_tables", &[(1, Arg::Text(&name))], &structs::TEXTS, META))?;
        let tables = texts(answer.as_ref());
        Ok(TableNames { catalog: catalog.map(str::to_owned), database: database.to_owned(), tables })
    }

    /// The tables of these names that are there.
    ///
    /// # Errors
    /// As for every call.
    pub fn tables_by_name(
        &mut self,
        catalog: Option<&str>,
        database: &str,
        names: &[String],
    ) -> Result<Vec<Object>, MetastoreError> {
        let mut request = vec![
            (1, Arg::Text(database)),
            (2, Arg::Texts(names)),
            (3, Arg::Record(vec![(1, Arg::Ints(CAPABILITIES))])),
        ];
        request.extend(catalog.map(|catalog| (4, Arg::Text(catalog))));
        let args = [(1, Arg::Record(request))];
        let exceptions = &["MetaException", "InvalidOperationException", "UnknownDBException"];
        let wire = Wire::Struct(&structs::GET_TABLES_RESULT);
        match self.call("get_table_objects_by_name_req", &args, &wire, exceptions) {
            Ok(answer) => Ok(objects(answer, "tables")),
            Err(MetastoreError::UnknownCall { .. }) => {
                let database = qualified(catalog, database);
                let args = [(1, Arg::Text(&database)), (2, Arg::Texts(names))];
                let answer = present(self.call("get_table_objects_by_name", &args, &structs::TABLES, exceptions))?;
                Ok(items(answer))
            }
            Err(error) => Ok(present(Err(error))?.map(|answer: Value| objects(answer, "tables")).unwrap_or_default()),
        }
    }

    /// Names of a table's partitions, as Hive writes them (`dt=2024-01-01/hour=3`); none if the table is not there.
    ///
    /// # Errors
    /// As for every call.
    pub fn partition_names(
        &mut self,
        catalog: Option<&str>,
        database: &str,
        table: &str,
    ) -> Result<Vec<String>, MetastoreError> {
        let database = qualified(catalog, database);
        let args = [(1, Arg::Text(&database)), (2, Arg::Text(table)), (3, Arg::I16(-1))];
        let answer = present(self.call("get_partition_names", &args, &structs::TEXTS, MISSING_META))?;
        Ok(texts(answer.as_ref()))
    }

    /// The partitions of these names that are there.
    ///
    /// # Errors
    /// As for every call.
    pub fn partitions_by_names(
        &mut self,
        catalog: Option<&str>,
        database: &str,
        table: &str,
        names: &[String],
    ) -> Result<Vec<Object>, MetastoreError> {
        let database = qualified(catalog, database);
        let args = [(1, Arg::Text(&database)), (2, Arg::Text(table)), (3, Arg::Texts(names))];
        let answer = present(self.call("get_partitions_by_names", &args, &structs::PARTITIONS, META_MISSING))?;
        Ok(items(answer))
    }

    /// Names of a database's functions.
    ///
    /// # Errors
    /// As for every call.
    pub fn functions(&mut self, catalog: Option<&str>, database: &str) -> Result<Vec<String>, MetastoreError> {
        let database = qualified(catalog, database);
        let args = [(1, Arg::Text(&database)), (2, Arg::Text("*"))];
        let answer = present(self.call("get_functions", &args, &structs::TEXTS, META))?;
        Ok(texts(answer.as_ref()))
    }

    /// A function; `None` if it is not there.
    ///
    /// # Errors
    /// As for every call.
    pub fn function(
        &mut self,
        catalog: Option<&str>,
        database: &str,
        name: &str,
    ) -> Result<Option<Object>, MetastoreError> {
        let database = qualified(catalog, database);
        let args = [(1, Arg::Text(&database)), (2, Arg::Text(name))];
        let answer = self.call("get_function", &args, &structs::A_FUNCTION, META_MISSING);
        Ok(present(answer)?.map(object))
    }

    /// A table's constraints of one kind, one object for each of their columns; none where the version has none.
    ///
    /// # Errors
    /// As for every call.
    pub fn constraints(
        &mut self,
        kind: ConstraintKind,
        catalog: Option<&str>,
        database: &str,
        table: &str,
    ) -> Result<Vec<Object>, MetastoreError> {
        if self.unknown_constraints.contains(&kind) {
            return Ok(Vec::new());
        }
        let (method, schema) = match kind {
            ConstraintKind::PrimaryKey => ("get_primary_keys", &structs::PRIMARY_KEYS),
            ConstraintKind::ForeignKey => ("get_foreign_keys", &structs::FOREIGN_KEYS),
            ConstraintKind::Unique => ("get_unique_constraints", &structs::UNIQUE_CONSTRAINTS),
            ConstraintKind::NotNull => ("get_not_null_constraints", &structs::NOT_NULL_CONSTRAINTS),
            ConstraintKind::Default => ("get_default_constraints", &structs::DEFAULT_CONSTRAINTS),
            ConstraintKind::Check => ("get_check_constraints", &structs::CHECK_CONSTRAINTS),
        };
        // The requests of the two older kinds have the catalog last.
        let (at_catalog, at_database, at_table) = match kind {
            ConstraintKind::PrimaryKey => (3, 1, 2),
            ConstraintKind::ForeignKey => (5, 3, 4),
            _ => (1, 2, 3),
        };
        let mut request = vec![(at_database, Arg::Text(database)), (at_table, Arg::Text(table))];
        request.extend(catalog.map(|catalog| (at_catalog, Arg::Text(catalog))));
        match self.call(method, &[(1, Arg::Record(request))], &Wire::Struct(schema), META_MISSING) {
            Ok(answer) => Ok(objects(answer, "columns")),
            Err(MetastoreError::UnknownCall { .. }) => {
                self.unknown_constraints.push(kind);
                Ok(Vec::new())
            }
            Err(error) if error.is_missing() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// The name of a database with its catalog in front, as versions with catalogs read it everywhere.
fn qualified(catalog: Option<&str>, database: &str) -> String {
    catalog.map_or_else(|| database.to_owned(), |catalog| format!("@{catalog}#{database}"))
}

/// That something is not there is an answer.
fn present(answer: Result<Value, MetastoreError>) -> Result<Option<Value>, MetastoreError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(fields) => Object(fields),
        _ => Object::default(),
    }
}

fn items(value: Option<Value>) -> Vec<Object> {
    match value {
        Some(Value::Array(items)) => items.into_iter().map(object).collect(),
        _ => Vec::new(),
    }
}

fn objects(mut answer: Value, field: &str) -> Vec<Object> {
    items(answer.get_mut(field).map(Value::take))
}

fn notification(event: Object) -> Notification {
    let text = |name: &str| event.text(name).map(str::to_owned);
    Notification {
        event_id: event.int("eventId").unwrap_or_default(),
        event_time: event.int("eventTime").unwrap_or_default(),
        event_type: text("eventType").unwrap_or_default(),
        catalog: text("catName"),
        database: text("dbName"),
        table: text("tableName"),
        message: text("message").unwrap_or_default(),
        format: text("messageFormat"),
    }
}
