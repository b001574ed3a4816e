//! A whole metastore, as if everything in it were created now, and then the names of everything there is.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::outbox::{Outbox, OutboxError, key};
use crate::codec::hms::event::ConstraintKind;
use crate::codec::hms::synthetic::{Listed, ListedKind, ListingMark, ListingWriter, Synthetic};
use crate::codec::hms::thrift::Object;
use crate::codec::hms::{HmsLimits, decode};
use crate::metastore::{Metastore, MetastoreError, Notification};

/// Objects asked for in one call.
const TABLES_AT_ONCE: usize = 50;
const PARTITIONS_AT_ONCE: usize = 200;
/// A record of partitions is parted while it is larger, in bytes.
const RECORD_BYTES: usize = 2 << 20;
/// Names on a page.
const NAMES_ON_A_PAGE: usize = 1_000;
/// How far the clocks of this machine and of the metastore may differ where the log does not tell its time, seconds.
const CLOCK_DIFFERENCE: i64 = 600;

const CONSTRAINTS: [ConstraintKind; 6] = [
    ConstraintKind::PrimaryKey,
    ConstraintKind::ForeignKey,
    ConstraintKind::Unique,
    ConstraintKind::NotNull,
    ConstraintKind::Default,
    ConstraintKind::Check,
];

/// Why a listing did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The metastore did not answer.
    #[error(transparent)]
    Metastore(#[from] MetastoreError),
    /// Kafka did not take it.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// It was asked to stop. What it had sent does no harm: names count only when all are there.
    #[error("stopped before the listing was complete")]
    Stopped,
}

/// What a listing found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The event log's newest id before it began: everything up to it is in the listing.
    pub event_id: i64,
    /// The newest id when it was over. If that is another one, events tell what has changed meanwhile.
    pub event_id_after: i64,
    /// Time of the version at which everything is stated, seconds since the epoch.
    pub event_time: i64,
    /// Databases.
    pub databases: usize,
    /// Tables and views.
    pub tables: usize,
    /// Partitions.
    pub partitions: usize,
    /// Functions.
    pub functions: usize,
}

/// A listing at work.
pub struct Listing<'a> {
    metastore: &'a mut Metastore,
    outbox: &'a mut Outbox,
    stop: &'a dyn Fn() -> bool,
    writer: ListingWriter,
    found: Found,
    members: [Vec<Listed>; 3],
}

/// Lists everything into the outbox; the last names are in its open transaction, which the caller commits. `server` is
/// the metastore's name in the records; without it that of the log's newest event, or else the one that the metastore
/// would write into the next event, or else its address: under another name the listing would be another metastore's.
/// The listing is not older than `not_before`, seconds since the epoch.
///
/// # Errors
/// [`ListingError`]; a listing that was begun is without effect then.
pub fn list(
    metastore: &mut Metastore,
    outbox: &mut Outbox,
    server: Option<&str>,
    not_before: i64,
    stop: &dyn Fn() -> bool,
) -> Result<Found, ListingError> {
    let event_id = metastore.current_event_id()?;
    let newest: Vec<Notification> =
        metastore.notifications(event_id - 1, 100)?.into_iter().filter(|event| event.event_id == event_id).collect();
    let now = seconds_now();
    let time = newest.iter().map(|event| event.event_time).max();
    let event_time = time.unwrap_or_else(|| now - CLOCK_DIFFERENCE).max(not_before);
    let server = match server.map(str::to_owned).or_else(|| newest.iter().find_map(server_of)) {
        Some(server) => server,
        None => metastore.server()?.unwrap_or_else(|| metastore.name()),
    };
    let writer = ListingWriter {
        mark: ListingMark { id: Uuid::now_v7().to_string(), taken: now },
        server,
        event_id,
        event_time,
    };
    let found = Found { event_id, event_time, ..Found::default() };
    let mut listing = Listing { metastore, outbox, stop, writer, found, members: Default::default() };
    listing.everything()?;
    listing.names()?;
    listing.found.event_id_after = listing.metastore.current_event_id()?;
    Ok(listing.found)
}

impl Listing<'_> {
    fn everything(&mut self) -> Result<(), ListingError> {
        let catalogs: Vec<Option<String>> = match self.metastore.catalogs()? {
            Some(names) => names.into_iter().map(Some).collect(),
            None => vec![None],
        };
        for catalog in &catalogs {
            let catalog = catalog.as_deref();
            for database in self.metastore.databases(catalog)? {
                if let Some(object) = self.metastore.database(catalog, &database)? {
                    let statement = self.writer.database(&object);
                    self.send(statement)?;
                    self.member(ListedKind::Database, catalog, &database, "");
                }
                let names = self.metastore.tables(catalog, &database)?.tables;
                for names in names.chunks(TABLES_AT_ONCE) {
                    for table in self.metastore.tables_by_name(catalog, &database, names)? {
                        self.table(catalog, &database, &table)?;
                    }
                }
                for name in self.metastore.functions(catalog, &database)? {
                    if let Some(mut function) = self.metastore.function(catalog, &database, &name)? {
                        if let Some(catalog) = catalog {
                            function.0.entry("catName").or_insert(catalog.into());
                        }
                        let statement = self.writer.function(&function);
                        self.send(statement)?;
                        self.member(ListedKind::Function, catalog, &database, &name);
                    }
                }
            }
        }
        Ok(())
    }

    fn table(&mut self, catalog: Option<&str>, database: &str, table: &Object) -> Result<(), ListingError> {
        let name = table.text("tableName").unwrap_or_default().to_owned();
        let statement = self.writer.table(table);
        self.send(statement)?;
        self.member(ListedKind::Table, catalog, database, &name);
        for kind in CONSTRAINTS {
            let columns = self.metastore.constraints(kind, catalog, database, &name)?;
            if !columns.is_empty() {
                let statement = self.writer.constraints(table, kind, &columns);
                self.send(statement)?;
            }
        }
        if table.list("partitionKeys").is_empty() {
            return Ok(());
        }
        let names = self.metastore.partition_names(catalog, database, &name)?;
        for names in names.chunks(PARTITIONS_AT_ONCE) {
            let partitions = self.metastore.partitions_by_names(catalog, database, &name, names)?;
            self.found.partitions += partitions.len();
            self.partitions(table, &partitions)?;
        }
        Ok(())
    }

    /// In records of a size that topics take.
    fn partitions(&mut self, table: &Object, partitions: &[Object]) -> Result<(), ListingError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let statement = self.writer.partitions(table, partitions);
        let size = statement.value.get("message").and_then(serde_json::Value::as_str).map_or(0, str::len);
        if size > RECORD_BYTES && partitions.len() > 1 {
            let (some, others) = partitions.split_at(partitions.len() / 2);
            self.partitions(table, some)?;
            return self.partitions(table, others);
        }
        self.send(statement)
    }

    fn names(&mut self) -> Result<(), ListingError> {
        for (kind, members) in ListedKind::ALL.into_iter().zip(std::mem::take(&mut self.members)) {
            let mut pages: Vec<&[Listed]> = members.chunks(NAMES_ON_A_PAGE).collect();
            if pages.is_empty() {
                // That there is nothing is to be said, too.
                pages.push(&[]);
            }
            let count = u32::try_from(pages.len()).unwrap_or(u32::MAX);
            for (nth, members) in (0..).zip(pages) {
                let page = self.writer.page(kind, nth, count, members);
                self.send(page)?;
            }
        }
        Ok(())
    }

    fn member(&mut self, kind: ListedKind, catalog: Option<&str>, database: &str, name: &str) {
        let [databases, tables, functions] = &mut self.members;
        let (members, count) = match kind {
            ListedKind::Database => (databases, &mut self.found.databases),
            ListedKind::Table => (tables, &mut self.found.tables),
            ListedKind::Function => (functions, &mut self.found.functions),
        };
        *count += 1;
        let (catalog, database, name) = (catalog.map(str::to_owned), database.to_owned(), name.to_owned());
        members.push(Listed { catalog, database, name });
    }

    fn send(&mut self, statement: Synthetic) -> Result<(), ListingError> {
        if (self.stop)() {
            return Err(ListingError::Stopped);
        }
        metrics::counter!("hms_tail_listed_total").increment(1);
        Ok(self.outbox.add(key(Some(&statement.database), statement.table.as_deref()), &statement.value)?)
    }
}

/// The name that a metastore gives itself in a message.
fn server_of(event: &Notification) -> Option<String> {
    let value = super::hms::value_of(event).to_string();
    let server = decode(value.as_bytes(), HmsLimits::default()).ok()?.server;
    Some(server).filter(|server| !server.trim().is_empty())
}

fn seconds_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|age| i64::try_from(age.as_secs()).ok()).unwrap_or(0)
}
