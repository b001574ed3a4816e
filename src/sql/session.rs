//! The state of a session: what one statement leaves for the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use serde::ser::Error;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::types::{ColumnLineage, ColumnRef, Defaults, SourceColumn, StatementLineage, TableName, Transformation};

/// At most so many of each are kept; the oldest go first.
const KEPT: usize = 512;
/// Lineage of at most so many columns is kept for later renames, the newest.
const KEPT_COLUMNS: usize = 2_000;

/// What is kept is kept anew when it is written again after so many others.
const FRESH: u64 = 64;

/// What the statements of a session so far leave behind: defaults, temporary tables with their lineage, the columns of
/// tables it made, and the lineage of what it wrote (for a later rename). Can be stored and taken up again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// Where unqualified names belong now.
    pub defaults: Defaults,
    // Shared with the copies of a session until one of them changes: most statements leave it as it was.
    pub(in crate::sql) temps: Arc<BTreeMap<String, SavedTemp>>,
    schemas: Arc<BTreeMap<String, Kept<Vec<Arc<str>>>>>,
    built: Arc<BTreeMap<String, Kept<Arc<Built>>>>,
    /// Counts what was kept, to know the oldest.
    sequence: u64,
}

/// A temporary table or view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sql) struct SavedTemp {
    /// Its resolved name.
    pub(in crate::sql) name: TableName,
    pub(in crate::sql) columns: Vec<SavedColumn>,
    /// Tables whose columns it may hold beside the known ones.
    pub(in crate::sql) open: Vec<TableName>,
    /// Base tables it was made from.
    pub(in crate::sql) bases: Vec<TableName>,
    pub(in crate::sql) declared: bool,
}

/// A column of a temporary table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sql) struct SavedColumn {
    pub(in crate::sql) name: Arc<str>,
    pub(in crate::sql) sources: Vec<SourceColumn>,
}

/// Something kept, with the order in which it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept<T> {
    nth: u64,
    value: T,
}

/// What was written to a table.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Packed<TableName, Arc<str>>")]
pub(in crate::sql) struct Built {
    inputs: Vec<TableName>,
    columns: Vec<ColumnLineage>,
    /// It as it is stored, once it was: a session is stored as often as it changes, and this is most of it.
    stored: OnceLock<Box<RawValue>>,
}

impl PartialEq for Built {
    fn eq(&self, other: &Self) -> bool {
        self.inputs == other.inputs && self.columns == other.columns
    }
}

impl Eq for Built {}

/// [`Built`] as it is stored: tables once each, and by their places in everything else.
#[derive(Debug, Serialize, Deserialize)]
struct Packed<T, N> {
    tables: Vec<T>,
    inputs: Vec<usize>,
    columns: Vec<PackedColumn<N>>,
}

/// Table and name of a column, and its sources: table, name, and how.
type PackedColumn<N> = (Option<usize>, N, Vec<(usize, N, Transformation)>);

impl Serialize for Built {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(stored) = self.stored.get() {
            return stored.serialize(serializer);
        }
        let stored = to_raw_value(&self.packed()).map_err(S::Error::custom)?;
        self.stored.get_or_init(|| stored).serialize(serializer)
    }
}

impl Built {
    pub(in crate::sql) fn new(inputs: Vec<TableName>, columns: Vec<ColumnLineage>) -> Self {
        Self { inputs, columns, stored: OnceLock::new() }
    }

    pub(in crate::sql) fn inputs(&self) -> &[TableName] {
        &self.inputs
    }

    pub(in crate::sql) fn columns(&self) -> &[ColumnLineage] {
        &self.columns
    }

    /// The same, written to `table`.
    pub(in crate::sql) fn of_table(mut self, table: &TableName) -> Self {
        self.columns.iter_mut().for_each(|column| column.table = Some(table.clone()));
        Self::new(self.inputs, self.columns)
    }

    fn packed(&self) -> Packed<&TableName, &str> {
        let mut tables: Vec<&TableName> = Vec::new();
        let mut place = |table| {
            tables.iter().position(|known| *known == table).unwrap_or_else(|| {
                tables.push(table);
                tables.len() - 1
            })
        };
        let mut columns: Vec<PackedColumn<&str>> = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let sources = column.sources.iter();
            let sources = sources.map(|source| (place(&source.column.table), &*source.column.column, source.how));
            let sources = sources.collect();
            columns.push((column.table.as_ref().map(&mut place), &column.column, sources));
        }
        let inputs = self.inputs.iter().map(&mut place).collect();
        Packed { tables, inputs, columns }
    }

    /// Adds what is not there yet.
    fn join(&mut self, other: Self) {
        add_new(&mut self.inputs, other.inputs);
        add_new(&mut self.columns, other.columns);
        self.stored.take();
    }

    fn holds(&self, other: &Self) -> bool {
        let inputs: BTreeSet<&TableName> = self.inputs.iter().collect();
        let columns: BTreeSet<&ColumnLineage> = self.columns.iter().collect();
        other.inputs.iter().all(|input| inputs.contains(input))
            && other.columns.iter().all(|column| columns.contains(column))
    }
}

impl TryFrom<Packed<TableName, Arc<str>>> for Built {
    type Error = String;

    fn try_from(packed: Packed<TableName, Arc<str>>) -> Result<Self, String> {
        let table = |place: usize| {
            let known = packed.tables.get(place).cloned();
            known.ok_or_else(|| format!("there is no table {place} among {}", packed.tables.len()))
        };
        let source = |(place, column, how): &(usize, Arc<str>, Transformation)| {
            let column = ColumnRef { table: table(*place)?, column: Arc::clone(column) };
            Ok(SourceColumn { column, how: *how })
        };
        let columns = packed.columns.iter().map(|(place, column, sources)| {
            let sources = sources.iter().map(source).collect::<Result<_, String>>()?;
            Ok(ColumnLineage { table: place.map(table).transpose()?, column: Arc::clone(column), sources })
        });
        let columns = columns.collect::<Result<_, String>>()?;
        let inputs = packed.inputs.iter().map(|place| table(*place)).collect::<Result<_, String>>()?;
        Ok(Self::new(inputs, columns))
    }
}

impl Session {
    /// A session that begins with these defaults.
    pub fn new(defaults: Defaults) -> Self {
        Self { defaults, ..Self::default() }
    }

    /// Temporary tables in it.
    pub fn temporary_tables(&self) -> usize {
        self.temps.len()
    }

    pub(in crate::sql) fn keep_temp(&mut self, key: &str, temp: SavedTemp) {
        let temps = Arc::make_mut(&mut self.temps);
        if temps.len() >= KEPT && !temps.contains_key(key) {
            temps.pop_first();
        }
        temps.insert(key.to_owned(), temp);
    }

    pub(in crate::sql) fn forget_temp(&mut self, key: &str) {
        if self.temps.contains_key(key) {
            Arc::make_mut(&mut self.temps).remove(key);
        }
    }

    pub(in crate::sql) fn schema(&self, table: &TableName) -> Option<&[Arc<str>]> {
        if self.schemas.is_empty() {
            return None;
        }
        self.schemas.get(&table.to_string().to_lowercase()).map(|kept| kept.value.as_slice())
    }

    pub(in crate::sql) fn keep_schema(&mut self, table: &TableName, columns: Vec<Arc<str>>) {
        self.sequence += 1;
        let kept = Kept { nth: self.sequence, value: columns };
        let schemas = Arc::make_mut(&mut self.schemas);
        schemas.insert(table.to_string().to_lowercase(), kept);
        drop_oldest(schemas);
    }

    pub(in crate::sql) fn forget(&mut self, table: &TableName) {
        if self.schemas.is_empty() {
            return;
        }
        let key = table.to_string().to_lowercase();
        if self.schemas.contains_key(&key) {
            Arc::make_mut(&mut self.schemas).remove(&key);
        }
    }

    /// Keeps what a statement that renames nothing has written.
    pub(in crate::sql) fn keep_written(&mut self, lineage: &StatementLineage) {
        for output in &lineage.outputs {
            let columns = lineage.columns.iter().filter(|column| column.table.as_ref() == Some(output));
            self.keep_built(output, Built::new(lineage.inputs.clone(), columns.cloned().collect()));
        }
    }

    /// Whether a statement over these tables means the same as in a session without a past.
    pub(in crate::sql) fn knows_none_of<'t>(&self, mut tables: impl Iterator<Item = &'t TableName>) -> bool {
        self.temps.is_empty() && tables.all(|table| self.schema(table).is_none())
    }

    /// Whether nothing but what was written, for later renames, has come since `before`.
    pub(in crate::sql) fn has_only_written_since(&self, before: &Self) -> bool {
        self.defaults == before.defaults && self.temps == before.temps && self.schemas == before.schemas
    }

    pub(in crate::sql) fn keep_built(&mut self, table: &TableName, built: Built) {
        if built.columns.len() > KEPT_COLUMNS {
            return;
        }
        let key = table.to_string().to_lowercase();
        // What is known and not old need not be kept again: a session that repeats itself stays as it is.
        if self.built.get(&key).is_some_and(|known| self.sequence < known.nth + FRESH && known.value.holds(&built)) {
            return;
        }
        self.sequence += 1;
        let all = Arc::make_mut(&mut self.built);
        // A second INSERT adds to the first; the same one again adds nothing.
        let built = match all.remove(&key) {
            Some(Kept { value: mut known, .. }) => {
                Arc::make_mut(&mut known).join(built);
                known
            }
            None => Arc::new(built),
        };
        all.insert(key, Kept { nth: self.sequence, value: built });
        drop_oldest(all);
        while all.len() > 1 && all.values().map(|kept| kept.value.columns.len()).sum::<usize>() > KEPT_COLUMNS {
            forget_oldest(all);
        }
    }

    pub(in crate::sql) fn take_built(&mut self, table: &TableName) -> Option<Built> {
        if self.built.is_empty() {
            return None;
        }
        let key = table.to_string().to_lowercase();
        self.built
            .contains_key(&key)
            .then(|| Arc::make_mut(&mut self.built).remove(&key))?
            .map(|kept| Arc::unwrap_or_clone(kept.value))
    }
}

/// Adds what is not there yet, up to a bound.
fn add_new<T: Ord + Clone>(known: &mut Vec<T>, new: Vec<T>) {
    let there: BTreeSet<T> = known.iter().cloned().collect();
    let room = KEPT_COLUMNS.saturating_sub(known.len());
    known.extend(new.into_iter().filter(|one| !there.contains(one)).take(room));
}

fn drop_oldest<T>(map: &mut BTreeMap<String, Kept<T>>) {
    if map.len() > KEPT {
        forget_oldest(map);
    }
}

fn forget_oldest<T>(map: &mut BTreeMap<String, Kept<T>>) {
    if let Some(oldest) = map.iter().min_by_key(|(_, kept)| kept.nth).map(|(key, _)| key.clone()) {
        map.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> TableName {
        TableName { parts: vec!["s".into(), name.into()] }
    }

    /// What was stored before must not be stored again in the place of what has come since.
    #[test]
    fn what_is_stored_is_what_is_kept() {
        let read_back =
            |session: &Session| -> Session { serde_json::from_slice(&serde_json::to_vec(session).unwrap()).unwrap() };
        let mut session = Session::default();
        for (source, column) in [("a", "x"), ("b", "y"), ("a", "x")] {
            let source = SourceColumn {
                column: ColumnRef { table: table(source), column: column.into() },
                how: Transformation::Identity,
            };
            let inputs = vec![source.column.table.clone()];
            let columns = vec![ColumnLineage { table: Some(table("t")), column: column.into(), sources: vec![source] }];
            session.keep_built(&table("t"), Built::new(inputs, columns));
            assert_eq!(read_back(&session), session);
            assert_eq!(read_back(&read_back(&session)), session);
        }
        let built = session.take_built(&table("t")).unwrap().of_table(&table("u"));
        assert_eq!((built.inputs().len(), built.columns().len()), (2, 2));
        assert!(built.columns().iter().all(|column| column.table == Some(table("u"))));
        session.keep_built(&table("u"), built);
        assert_eq!(read_back(&session), session);
    }
}
