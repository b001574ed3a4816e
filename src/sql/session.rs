//! The state of a session: what one statement leaves for the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Packed<TableName, Arc<str>>")]
pub(in crate::sql) struct Built {
    pub(in crate::sql) inputs: Vec<TableName>,
    pub(in crate::sql) columns: Vec<ColumnLineage>,
}

/// [`Built`] as it is stored: tables once each, and by their places in everything else. A session is stored as often as it
/// changes, and this is most of it.
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
        Packed { tables, inputs, columns }.serialize(serializer)
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
        Ok(Self { inputs, columns })
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
            self.keep_built(output, Built { inputs: lineage.inputs.clone(), columns: columns.cloned().collect() });
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
                let all = Arc::make_mut(&mut known);
                add_new(&mut all.inputs, built.inputs);
                add_new(&mut all.columns, built.columns);
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

impl Built {
    fn holds(&self, other: &Self) -> bool {
        let inputs: BTreeSet<&TableName> = self.inputs.iter().collect();
        let columns: BTreeSet<&ColumnLineage> = self.columns.iter().collect();
        other.inputs.iter().all(|input| inputs.contains(input))
            && other.columns.iter().all(|column| columns.contains(column))
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
