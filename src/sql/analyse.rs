//! Scripts: every statement of a text in its session, and one answer for all of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::bind::{Binder, Relied};
use super::front;
use super::session::{Built, Session};
use super::types::{
    Catalog, ColumnLineage, Dialect, Limits, SourceColumn, StatementKind, StatementLineage, Status, TableName,
    Transformation,
};

/// How to analyse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bounds of the work.
    pub limits: Limits,
    /// Whether an alias of the same select list may be referred to; `None`: as the dialect has it.
    pub lateral_column_alias: Option<bool>,
    /// Whether to tell of columns that filter, join, group and sort.
    pub usage: bool,
    /// Whether the session goes on after this text.
    pub remember: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { limits: Limits::default(), lateral_column_alias: None, usage: true, remember: true }
    }
}

/// What the statements of a text read, write and derive, one after the other in `session`.
pub fn analyse(
    text: &str,
    dialect: Dialect,
    session: &mut Session,
    catalog: &dyn Catalog,
    options: &Options,
) -> Vec<StatementLineage> {
    analyse_by(text, dialect, session, catalog, options).0
}

/// As [`analyse`]; and what the answer relies on of the session as it was.
pub(super) fn analyse_by(
    text: &str,
    dialect: Dialect,
    session: &mut Session,
    catalog: &dyn Catalog,
    options: &Options,
) -> (Vec<StatementLineage>, Relied) {
    let pieces = front::pieces(text, dialect, &options.limits);
    let several = pieces.len() > 1
        || pieces.iter().any(|piece| matches!(piece.body, front::Body::Block { .. } | front::Body::Rows { .. }));
    let mut lineages = Vec::with_capacity(pieces.len());
    let mut binder = Binder::new(dialect, session, catalog, options);
    let mut told = 0;
    for piece in &pieces {
        binder.piece(piece, &mut lineages);
        if several || options.remember {
            for lineage in &mut lineages[told..] {
                binder.follow(lineage);
            }
        }
        told = lineages.len();
    }
    let relied = binder.end();
    (lineages, relied)
}

impl Binder<'_> {
    /// Keeps what was written, and gives to a rename what was written under the old name.
    fn follow(&mut self, lineage: &mut StatementLineage) {
        if lineage.renames.is_empty() {
            self.session().keep_written(lineage);
            return;
        }
        let moved: Vec<(TableName, Option<Built>)> =
            lineage.renames.iter().map(|(old, new)| (new.clone(), self.session().take_built(old))).collect();
        for (new, built) in moved {
            let Some(built) = built.map(|built| built.of_table(&new)) else { continue };
            lineage.outputs.push(new.clone());
            lineage.inputs.extend(built.inputs().iter().filter(|&input| *input != new).cloned());
            lineage.columns.extend(built.columns().iter().cloned());
            self.session().keep_built(&new, built);
        }
        lineage.inputs.sort_unstable();
        lineage.inputs.dedup();
        lineage.outputs.sort_unstable();
        lineage.outputs.dedup();
    }
}

/// One answer for a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScriptLineage {
    /// Tables read, sorted; no temporary ones.
    pub inputs: Vec<TableName>,
    /// Tables created or written, sorted, by their final names.
    pub outputs: Vec<TableName>,
    /// Target columns that have a source, in order of their first appearance.
    pub columns: Vec<ColumnLineage>,
    /// Why statements failed.
    pub errors: Vec<String>,
}

/// Puts the answers of a text's statements into one: temporary tables are resolved away already, tables that are
/// renamed have their last name, a target written twice has the sources of both.
pub fn merge(statements: &[StatementLineage]) -> ScriptLineage {
    let mut answer = ScriptLineage::default();
    let mut places: HashMap<(Option<TableName>, Arc<str>), usize, FixedState> = HashMap::default();
    let mut several: Vec<usize> = Vec::new();
    let moves = Moves::of(statements);
    for (nth, statement) in statements.iter().enumerate() {
        if let Status::Failed { reason, .. } = &statement.status {
            answer.errors.push(reason.clone());
        }
        if !statement.renames.is_empty() {
            // Its lineage is that of the statements before it, which get the new name below.
            continue;
        }
        let last_name = |table: &TableName| moves.last_name(table, nth + 1);
        // What is read has the name it had then, unless this script wrote it.
        let read_name =
            |table: &TableName| if moves.wrote(table, nth) { moves.last_name(table, nth + 1) } else { table.clone() };
        answer.inputs.extend(statement.inputs.iter().map(read_name));
        answer.outputs.extend(statement.outputs.iter().map(last_name));
        for column in &statement.columns {
            if column.sources.is_empty() {
                continue;
            }
            let table = column.table.as_ref().map(last_name);
            let place = *places.entry((table.clone(), Arc::clone(&column.column))).or_insert(answer.columns.len());
            let mut sources = column.sources.clone();
            if !moves.renames.is_empty() {
                for source in &mut sources {
                    source.column.table = read_name(&source.column.table);
                }
            }
            match answer.columns.get_mut(place) {
                Some(known) => {
                    known.sources.extend(sources);
                    several.push(place);
                }
                None => answer.columns.push(ColumnLineage { table, column: Arc::clone(&column.column), sources }),
            }
        }
    }
    several.sort_unstable();
    several.dedup();
    for place in several {
        sort_sources(&mut answer.columns[place].sources);
    }
    // Made and dropped again.
    if statements.iter().any(|statement| statement.kind == StatementKind::Drop) {
        let gone = dropped(statements);
        answer.outputs.retain(|table| !gone.contains(table));
    }
    for list in [&mut answer.inputs, &mut answer.outputs] {
        list.sort_unstable();
        list.dedup();
    }
    answer
}

/// What becomes of names in a script; empty if nothing is renamed.
#[derive(Default)]
struct Moves<'s> {
    /// By old name: (statement, new name), in order.
    renames: HashMap<&'s TableName, Vec<(usize, &'s TableName)>, FixedState>,
    /// The first statement that writes a table.
    written: HashMap<&'s TableName, usize, FixedState>,
}

impl<'s> Moves<'s> {
    fn of(statements: &'s [StatementLineage]) -> Self {
        let mut moves = Self::default();
        if statements.iter().all(|statement| statement.renames.is_empty()) {
            return moves;
        }
        for (nth, statement) in statements.iter().enumerate() {
            for (old, new) in &statement.renames {
                moves.renames.entry(old).or_default().push((nth, new));
            }
            for output in &statement.outputs {
                moves.written.entry(output).or_insert(nth);
            }
        }
        moves
    }

    /// The name that a table has at the end, when it is called so before statement `from`.
    fn last_name(&self, table: &TableName, mut from: usize) -> TableName {
        let mut name = table;
        // An exchange lists both ways: only one applies.
        while let Some(&(nth, new)) =
            self.renames.get(name).and_then(|moves| moves.iter().find(|(nth, _)| *nth >= from))
        {
            name = new;
            from = nth + 1;
        }
        name.clone()
    }

    fn wrote(&self, table: &TableName, before: usize) -> bool {
        self.written.get(table).is_some_and(|&nth| nth < before)
    }
}

/// The tables that the script ends without: dropped, and not made again after that.
fn dropped(statements: &[StatementLineage]) -> HashSet<&TableName, FixedState> {
    let mut gone: HashSet<&TableName, FixedState> = HashSet::default();
    for statement in statements {
        if statement.kind == StatementKind::Drop {
            gone.extend(&statement.subjects);
        }
        for table in statement.outputs.iter().chain(statement.renames.iter().map(|(_, new)| new)) {
            gone.remove(table);
        }
    }
    gone
}

/// Sorted, without doubles; the stronger way where a column comes in several.
fn sort_sources(sources: &mut Vec<SourceColumn>) {
    sources.sort_unstable_by(|one, other| {
        one.column.cmp(&other.column).then_with(|| strength(other.how).cmp(&strength(one.how)))
    });
    sources.dedup_by(|later, first| later.column == first.column);
}

fn strength(how: Transformation) -> u8 {
    match how {
        Transformation::Aggregation => 4,
        Transformation::Transformation => 3,
        Transformation::Identity => 2,
        Transformation::Conditional => 1,
        _ => 0,
    }
}
