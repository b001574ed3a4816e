//! The local store of one (stage, partition): a cache of the changelog, with the offset up to which it holds it.

use std::fs;
use std::io;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use redb::{Database, DatabaseError, Durability, ReadOnlyTable, ReadableDatabase, TableDefinition, TableError};

use crate::kafka::TopicId;
use crate::model::state::StateError;

const STATE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("state");
const META: TableDefinition<'_, &str, i64> = TableDefinition::new("meta");
const CHANGELOG_OFFSET: &str = "changelog_offset";
/// The changelog's id in two halves: this table holds whole numbers.
const CHANGELOG_ID: [&str; 2] = ["changelog_id_high", "changelog_id_low"];
/// Bytes of page cache per store; a process may hold dozens of partitions.
const CACHE_BYTES: usize = 16 << 20;

/// Keys with their values, in key order.
pub type Entries = Vec<(Vec<u8>, Vec<u8>)>;

type StateTable = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// What reads see.
enum View {
    /// Nothing: a write has changed the state since.
    Stale,
    /// A store without state.
    Empty,
    /// The state as of the last refresh.
    Table(StateTable),
}

/// Key-value state in one file.
pub struct LocalStore {
    database: Database,
    view: View,
    path: PathBuf,
    changelog_offset: i64,
    last_durable: Instant,
    undurable: bool,
    durable_every: Duration,
}

/// The store's file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another task of this process still holds it; it lets go when its revocation ends.
    #[error("local store {path} is still open")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The disk or the file failed.
    #[error("local store {path}: {source}")]
    Storage {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: redb::Error,
    },
    /// The folder or file could not be made or removed.
    #[error("local store {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl LocalStore {
    /// Opens or creates the store. A file that cannot be read is removed and begun anew: the changelog has it all.
    pub fn open(path: &Path, durable_every: Duration) -> Result<Self, StoreError> {
        match Self::try_open(path, durable_every) {
            Err(StoreError::Storage { source, .. }) if is_corrupt(&source) => {
                tracing::warn!(path = %path.display(), error = %source, "local store is damaged; rebuilding it from the changelog");
                fs::remove_file(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
                Self::try_open(path, durable_every)
            }
            outcome => outcome,
        }
    }

    fn try_open(path: &Path, durable_every: Duration) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
        }
        let database = match open_whole(path) {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(StoreError::Busy { path: path.to_owned() }),
            Err(error) => return Err(storage(path)(error.into())),
        };
        let mut store = Self {
            database,
            view: View::Stale,
            path: path.to_owned(),
            changelog_offset: 0,
            last_durable: Instant::now(),
            undurable: false,
            durable_every,
        };
        store.changelog_offset = store.read_offset().map_err(storage(path))?;
        Ok(store)
    }

    /// The changelog offset to go on from; 0 for an empty store.
    pub fn changelog_offset(&self) -> i64 {
        self.changelog_offset
    }

    /// The id of the changelog that it caches; `None` if it was never told.
    pub fn changelog_id(&self) -> Result<Option<TopicId>, StoreError> {
        let halves = (|| -> Result<_, redb::Error> {
            let table = match self.database.begin_read()?.open_table(META) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let [high, low] = CHANGELOG_ID.map(|key| table.get(key));
            Ok(high?.map(|guard| guard.value()).zip(low?.map(|guard| guard.value())))
        })();
        let halves = halves.map_err(storage(&self.path))?;
        Ok(halves.map(|(high, low)| {
            let mut id = [0; 16];
            let bytes = high.to_be_bytes().into_iter().chain(low.to_be_bytes());
            id.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
            TopicId(id)
        }))
    }

    /// Says which changelog it caches from now on.
    pub fn set_changelog_id(&mut self, id: TopicId) -> Result<(), StoreError> {
        self.view = View::Stale;
        let whole = u128::from_be_bytes(id.0);
        let halves = [(whole >> 64) as u64 as i64, whole as u64 as i64];
        let outcome = (|| -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            {
                let mut table = transaction.open_table(META)?;
                for (key, half) in CHANGELOG_ID.into_iter().zip(halves) {
                    table.insert(key, half)?;
                }
            }
            transaction.commit()?;
            Ok(())
        })();
        outcome.map_err(storage(&self.path))
    }

    /// Hands out all entries in key order.
    pub fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let outcome = (|| -> Result<(), redb::Error> {
            let table = match self.database.begin_read()?.open_table(STATE) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            for entry in table.range::<&[u8]>(..)? {
                let (key, value) = entry?;
                each(key.value(), value.value());
            }
            Ok(())
        })();
        outcome.map_err(storage(&self.path))
    }

    /// Removes everything.
    pub fn clear(&mut self) -> Result<(), StoreError> {
        self.view = View::Stale;
        let outcome = (|| -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            transaction.delete_table(STATE)?;
            transaction.delete_table(META)?;
            transaction.commit()?;
            Ok(())
        })();
        outcome.map_err(storage(&self.path))?;
        self.changelog_offset = 0;
        Ok(())
    }

    /// Applies `changes` and moves the changelog offset, in one write. Durable at the configured interval only: what
    /// is lost in a crash comes back from the changelog, from the offset that is lost with it.
    pub fn write<'a>(
        &mut self,
        changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        changelog_offset: i64,
    ) -> Result<(), StoreError> {
        let durable = self.is_due();
        // Reads see the state before; they have to be made ready again.
        self.view = View::Stale;
        self.write_with(changes, changelog_offset, if durable { Durability::Immediate } else { Durability::None })
    }

    /// Makes everything written so far durable. Reads go on as they are: a transaction may be open above.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        if self.undurable {
            self.write_with(std::iter::empty(), self.changelog_offset, Durability::Immediate)?;
        }
        Ok(())
    }

    /// Whether the interval has passed after which what is written is made durable.
    pub fn is_due(&self) -> bool {
        self.last_durable.elapsed() >= self.durable_every
    }

    /// Makes it durable if the interval has passed.
    pub fn sync_if_due(&mut self) -> Result<(), StoreError> {
        if self.undurable && self.is_due() { self.sync() } else { Ok(()) }
    }

    fn write_with<'a>(
        &mut self,
        changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        changelog_offset: i64,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let outcome = (|| -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(durability)?;
            {
                let mut state = transaction.open_table(STATE)?;
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(state.insert(key, value)?),
                        None => drop(state.remove(key)?),
                    }
                }
                transaction.open_table(META)?.insert(CHANGELOG_OFFSET, changelog_offset)?;
            }
            transaction.commit()?;
            Ok(())
        })();
        outcome.map_err(storage(&self.path))?;
        self.changelog_offset = changelog_offset;
        self.undurable = matches!(durability, Durability::None);
        if !self.undurable {
            self.last_durable = Instant::now();
        }
        Ok(())
    }

    /// Makes reads see the last write. Call it once per batch; reads after a write and before it are refused.
    pub fn refresh(&mut self) -> Result<(), StateError> {
        if matches!(self.view, View::Stale) {
            let outcome = (|| -> Result<_, redb::Error> {
                match self.database.begin_read()?.open_table(STATE) {
                    Ok(table) => Ok(View::Table(table)),
                    Err(TableError::TableDoesNotExist(_)) => Ok(View::Empty),
                    Err(error) => Err(error.into()),
                }
            })();
            self.view = outcome.map_err(|source| self.state_error(source))?;
        }
        Ok(())
    }

    /// The value of `key` as of the last [`Self::refresh`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let Some(table) = self.table()? else { return Ok(None) };
        let value = table.get(key).map_err(|e| self.state_error(e.into()))?;
        Ok(value.map(|guard| guard.value().to_vec()))
    }

    /// The entries under `prefix` in key order, as of the last [`Self::refresh`].
    pub fn scan(&self, prefix: &[u8]) -> Result<Entries, StateError> {
        self.scan_first(prefix, usize::MAX)
    }

    /// The first `limit` of them.
    pub fn scan_first(&self, prefix: &[u8], limit: usize) -> Result<Entries, StateError> {
        let Some(table) = self.table()? else { return Ok(Vec::new()) };
        let mut entries = Vec::new();
        for entry in table.range::<&[u8]>(prefix..).map_err(|e| self.state_error(e.into()))?.take(limit) {
            let (key, value) = entry.map_err(|e| self.state_error(e.into()))?;
            if !key.value().starts_with(prefix) {
                break;
            }
            entries.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(entries)
    }

    /// What reads see; an error, never an empty answer, where that would not be the state.
    fn table(&self) -> Result<Option<&StateTable>, StateError> {
        match &self.view {
            View::Table(table) => Ok(Some(table)),
            View::Empty => Ok(None),
            View::Stale => {
                let message = format!("{} was read between a write and its refresh", self.path.display());
                Err(StateError { message, source: None })
            }
        }
    }

    fn read_offset(&self) -> Result<i64, redb::Error> {
        match self.database.begin_read()?.open_table(META) {
            Ok(table) => Ok(table.get(CHANGELOG_OFFSET)?.map_or(0, |guard| guard.value())),
            Err(TableError::TableDoesNotExist(_)) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    fn state_error(&self, source: redb::Error) -> StateError {
        StateError { message: format!("cannot read {}", self.path.display()), source: Some(Box::new(source)) }
    }
}

impl Drop for LocalStore {
    /// A store that is closed in order need not replay its last seconds.
    fn drop(&mut self) {
        if let Err(error) = self.sync() {
            tracing::warn!(path = %self.path.display(), %error, "local store was not made durable; the changelog has it");
        }
    }
}

/// Opens a file after a look at all its checksums: what a damaged page says would be believed, or end the thread later.
fn open_whole(path: &Path) -> Result<Database, DatabaseError> {
    let damaged = |what: &str| DatabaseError::Storage(redb::StorageError::Corrupted(what.to_owned()));
    // The crate takes a file to be what it has written; one that it has not can make it panic.
    let opened = catch_unwind(|| {
        let mut database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
        let whole = database.check_integrity()?;
        Ok((database, whole))
    });
    match opened {
        Ok(Ok((database, true))) => Ok(database),
        Ok(Ok((_, false))) => Err(damaged("its checksums do not hold")),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(damaged("it is not a file as the store writes them")),
    }
}

fn storage(path: &Path) -> impl Fn(redb::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Storage { path: path.clone(), source }
}

fn is_corrupt(error: &redb::Error) -> bool {
    match error {
        redb::Error::Corrupted(_) | redb::Error::UpgradeRequired(_) | redb::Error::RepairAborted => true,
        redb::Error::Io(io) => matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof),
        redb::Error::TableTypeMismatch { .. } | redb::Error::TypeDefinitionChanged { .. } => true,
        _ => false,
    }
}

impl From<StoreError> for super::fault::Fault {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Busy { .. } | StoreError::Io { .. } => Self::Transient(error.into()),
            // A full or read-only disk may recover; the rest is for a person.
            StoreError::Storage { source: redb::Error::Io(_) | redb::Error::PreviousIo, .. } => {
                Self::Transient(error.into())
            }
            StoreError::Storage { .. } => Self::Fatal(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn put(store: &mut LocalStore, entries: &[(&str, Option<&str>)], offset: i64) {
        let changes = entries.iter().map(|(k, v)| (k.as_bytes(), v.map(str::as_bytes)));
        store.write(changes, offset).expect("writable");
        store.refresh().expect("readable");
    }

    fn keys(store: &LocalStore, prefix: &str) -> Vec<String> {
        let entries = store.scan(prefix.as_bytes()).expect("readable");
        entries.into_iter().map(|(key, _)| String::from_utf8(key).expect("text")).collect()
    }

    #[test]
    fn data_and_offset_move_together_and_survive_closing() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("s/0.redb");
        let mut store = LocalStore::open(&path, LONG).expect("new");
        assert_eq!(store.changelog_offset(), 0);
        put(&mut store, &[("a|1", Some("x")), ("a|2", Some("y")), ("b", Some("z"))], 5);
        put(&mut store, &[("a|1", None)], 7);
        drop(store);
        let mut store = LocalStore::open(&path, LONG).expect("again");
        store.refresh().expect("readable");
        assert_eq!(store.changelog_offset(), 7);
        assert_eq!(keys(&store, "a|"), ["a|2"]);
        assert_eq!(store.get(b"b").expect("readable").as_deref(), Some(&b"z"[..]));
        assert_eq!(store.get(b"a|1").expect("readable"), None);
    }

    #[test]
    fn making_it_durable_does_not_hide_the_state() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut store = LocalStore::open(&dir.path().join("0.redb"), Duration::from_secs(3600)).expect("new");
        put(&mut store, &[("a", Some("x"))], 5);
        store.sync().expect("writable");
        assert_eq!(store.get(b"a").expect("readable").as_deref(), Some(&b"x"[..]));
        assert_eq!(keys(&store, "a"), ["a"]);
        store.write(std::iter::empty(), 6).expect("writable");
        assert!(store.get(b"a").is_err() && store.scan(b"a").is_err(), "no answer is better than a wrong one");
    }

    #[test]
    fn a_second_owner_waits() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("0.redb");
        let _first = LocalStore::open(&path, LONG).expect("new");
        assert!(matches!(LocalStore::open(&path, LONG), Err(StoreError::Busy { .. })));
    }

    #[test]
    fn a_damaged_file_is_begun_anew() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("0.redb");
        let mut store = LocalStore::open(&path, LONG).expect("new");
        put(&mut store, &[("a", Some("x"))], 5);
        drop(store);
        let length = fs::metadata(&path).expect("there").len() as usize;
        fs::write(&path, vec![0x5a; length]).expect("writable");
        let store = LocalStore::open(&path, LONG).expect("rebuilt");
        assert_eq!(store.changelog_offset(), 0);
    }

    /// A page that is not what was written is found when the file is opened, wherever it lies, or it was not in use.
    #[test]
    fn a_file_with_a_scar_is_whole_or_begun_anew() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("0.redb");
        let mut store = LocalStore::open(&path, LONG).expect("new");
        let names: Vec<String> = (0..500).map(|number| format!("{number:0100}")).collect();
        let entries: Vec<_> = names.iter().map(|name| (name.as_str(), Some("value"))).collect();
        put(&mut store, &entries, 5);
        drop(store);
        let whole = fs::read(&path).expect("there");
        let mut begun_anew = 0;
        for place in (0..whole.len()).step_by(whole.len() / 40) {
            let mut scarred = whole.clone();
            scarred[place..whole.len().min(place + 64)].iter_mut().for_each(|byte| *byte = !*byte);
            fs::write(&path, scarred).expect("writable");
            let mut store = LocalStore::open(&path, LONG).expect("whole or begun anew");
            store.refresh().expect("readable");
            match store.changelog_offset() {
                0 => begun_anew += 1,
                offset => assert_eq!((offset, keys(&store, "")), (5, names.clone()), "scar at {place}"),
            }
        }
        assert!(begun_anew > 0);
    }

    #[test]
    fn it_knows_whose_cache_it_is() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("0.redb");
        let mut store = LocalStore::open(&path, LONG).expect("new");
        assert_eq!(store.changelog_id().expect("readable"), None);
        let id = TopicId([0xfe, 1, 2, 3, 4, 5, 6, 7, 0x88, 9, 10, 11, 12, 13, 14, 15]);
        store.set_changelog_id(id).expect("writable");
        put(&mut store, &[("a", Some("x"))], 5);
        drop(store);
        let mut store = LocalStore::open(&path, LONG).expect("again");
        assert_eq!((store.changelog_id().expect("readable"), store.changelog_offset()), (Some(id), 5));
        let mut entries = Vec::new();
        store.for_each(&mut |key, value| entries.push((key.to_vec(), value.to_vec()))).expect("readable");
        assert_eq!(entries, [(b"a".to_vec(), b"x".to_vec())]);
        store.clear().expect("writable");
        assert_eq!(store.changelog_id().expect("readable"), None);
    }

    #[test]
    fn clearing_forgets_the_offset_too() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut store = LocalStore::open(&dir.path().join("0.redb"), LONG).expect("new");
        put(&mut store, &[("a", Some("x"))], 5);
        store.clear().expect("writable");
        store.refresh().expect("readable");
        assert_eq!((store.changelog_offset(), keys(&store, "").len()), (0, 0));
    }
}
