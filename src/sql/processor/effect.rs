//! What a query's statements did, in ids: what was read and how, what was written, edges, what was made and dropped.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::super::log::Access;
use super::super::types::{
    ColumnLineage, ColumnRef, IndirectUse, SourceColumn, StatementKind, StatementLineage, Status, TableName,
    Transformation,
};
use super::names::{Named, Names};
use crate::model::fact::{Column, ColumnEdge, JoinedColumn};
use crate::model::id::EntityId;

/// How a query used a dataset.
#[derive(Clone, Debug, Default)]
pub(super) struct Use {
    pub columns: BTreeSet<String>,
    pub filters: BTreeSet<String>,
    pub joins: BTreeSet<JoinedColumn>,
}

/// One statement that carried data into datasets.
#[derive(Clone, Debug, Default)]
pub(super) struct Effect {
    pub inputs: BTreeSet<EntityId>,
    pub outputs: BTreeSet<EntityId>,
    pub edges: BTreeSet<ColumnEdge>,
    /// The statement's place in the text; `None` if it is the whole text's.
    pub span: Option<(usize, usize)>,
    /// Number of the statement in its text.
    pub nth: usize,
    /// The statement whose flow it is, if this one has only put what that one made under another name.
    pub maker: Option<Maker>,
}

/// A statement that has made a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Maker {
    pub fingerprint: String,
    pub text: String,
}

/// A dataset was made or dropped.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ddl {
    pub dataset: EntityId,
    pub what: Made,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Made {
    /// It is there from now on; with all its columns where they are known.
    Created { kind: Option<&'static str>, columns: Vec<Column>, span: (usize, usize) },
    /// It is gone.
    Dropped,
}

/// Everything that a query did.
#[derive(Clone, Debug, Default)]
pub(super) struct Effects {
    pub names: BTreeMap<EntityId, Named>,
    pub reads: BTreeMap<EntityId, Use>,
    pub writes: BTreeSet<EntityId>,
    pub flows: Vec<Effect>,
    pub ddl: Vec<Ddl>,
    /// Every statement was understood, every name bound.
    pub complete: bool,
    /// The first statement that says most about what the text does.
    pub kind: Option<StatementKind>,
}

impl Effects {
    /// What `statements` of `text` did.
    pub fn of_statements(statements: &[StatementLineage], text: &str, names: &Names<'_>) -> Self {
        let mut effects = Self { complete: !statements.is_empty(), ..Self::default() };
        let is_script = statements.iter().filter(|one| !is_frame(one.kind)).count() > 1;
        for (nth, statement) in statements.iter().enumerate() {
            effects.complete &= statement.status == Status::Complete;
            effects.read(statement, names);
            effects.written(statement, nth, names, is_script);
            effects.made(statement, text, names);
            if effects.kind.is_none_or(is_frame) {
                effects.kind = Some(statement.kind);
            }
        }
        effects
    }

    /// Puts what the platform itself says in the place of what the text says: tables by the platform, columns and what they
    /// are used for by the text as far as it goes.
    pub fn correct(&mut self, reads: Option<&[Access]>, writes: Option<&[Access]>, names: &Names<'_>) {
        if reads.is_none() && writes.is_none() {
            return;
        }
        if let Some(reads) = reads {
            let mut by_text = std::mem::take(&mut self.reads);
            for access in reads {
                let Some(named) = names.dataset(&access.table) else { continue };
                let mut known = by_text.remove(&named.id).unwrap_or_default();
                known.columns.extend(access.columns.iter().map(|column| named.column(&column.name)));
                let into = self.reads.entry(named.id.clone()).or_default();
                into.columns.append(&mut known.columns);
                into.filters.append(&mut known.filters);
                into.joins.append(&mut known.joins);
                self.names.insert(named.id.clone(), named);
            }
        }
        if let Some(writes) = writes {
            self.writes.clear();
            for access in writes {
                let Some(named) = names.dataset(&access.table) else { continue };
                self.writes.insert(named.id.clone());
                self.names.insert(named.id.clone(), named);
            }
        }
        let told = writes.map(|writes| platform_edges(writes, names)).unwrap_or_default();
        let mut edges: BTreeSet<ColumnEdge> = self.flows.iter().flat_map(|flow| flow.edges.iter().cloned()).collect();
        if !self.complete && !told.is_empty() {
            edges.retain(|edge| edge.kind == "INDIRECT");
            edges.extend(told.iter().cloned());
        } else if edges.is_empty() {
            edges = told.clone();
        }
        let inputs: BTreeSet<EntityId> =
            self.reads.keys().cloned().chain(told.iter().map(|edge| edge.source.clone())).collect();
        edges.retain(|edge| inputs.contains(&edge.source) && self.writes.contains(&edge.target));
        if self.flows.len() > 1 && self.complete {
            // A script: which statement carried what is known from the text alone.
            for flow in &mut self.flows {
                flow.inputs.retain(|id| inputs.contains(id));
                flow.outputs.retain(|id| self.writes.contains(id));
                flow.edges.retain(|edge| edges.contains(edge));
            }
            self.flows.retain(|flow| !flow.outputs.is_empty());
        } else {
            let maker = self.flows.iter().find_map(|flow| flow.maker.clone());
            self.flows.clear();
            if !self.writes.is_empty() {
                self.flows.push(Effect { inputs, outputs: self.writes.clone(), edges, span: None, nth: 0, maker });
            }
        }
    }

    /// The query had no effect: what it read it has read, or tried to.
    pub fn undone(&mut self) {
        self.writes.clear();
        self.flows.clear();
        self.ddl.clear();
    }

    fn read(&mut self, statement: &StatementLineage, names: &Names<'_>) {
        for table in &statement.inputs {
            self.used(table, names);
        }
        for source in statement.columns.iter().flat_map(|column| &column.sources) {
            self.used_column(&source.column, names);
        }
        for IndirectUse { column, how } in &statement.indirect {
            let Some((id, path)) = self.used_column(column, names) else { continue };
            if *how == Transformation::Filter
                && let Some(known) = self.reads.get_mut(&id)
            {
                known.filters.insert(path);
            }
        }
        for join in &statement.joins {
            let (left, right) = (self.used_column(&join.left, names), self.used_column(&join.right, names));
            let (Some(left), Some(right)) = (left, right) else { continue };
            for ((id, column), (other, other_column)) in [(&left, &right), (&right, &left)] {
                if let Some(known) = self.reads.get_mut(id) {
                    let (column, other) = (column.clone(), other.clone());
                    known.joins.insert(JoinedColumn { column, other, other_column: other_column.clone() });
                }
            }
        }
    }

    fn used(&mut self, table: &TableName, names: &Names<'_>) -> Option<EntityId> {
        let named = self.named(table, names)?;
        self.reads.entry(named.id.clone()).or_default();
        Some(named.id)
    }

    fn used_column(&mut self, column: &ColumnRef, names: &Names<'_>) -> Option<(EntityId, String)> {
        let named = self.named(&column.table, names)?;
        let into = self.reads.entry(named.id.clone()).or_default();
        let path = path(&named, &column.column)?;
        into.columns.insert(path.clone());
        Some((named.id, path))
    }

    fn named(&mut self, table: &TableName, names: &Names<'_>) -> Option<Named> {
        let named = names.dataset(table)?;
        self.names.entry(named.id.clone()).or_insert_with(|| named.clone());
        Some(named)
    }

    fn written(&mut self, statement: &StatementLineage, nth: usize, names: &Names<'_>, is_script: bool) {
        if statement.kind == StatementKind::Drop {
            return;
        }
        let span = is_script.then_some(statement.span);
        if let Some(effect) = self.flow(statement, &statement.outputs, names) {
            self.writes.extend(effect.outputs.iter().cloned());
            self.flows.push(Effect { span, nth, ..effect });
        }
        let emptied = matches!(statement.kind, StatementKind::Truncate | StatementKind::Delete);
        for subject in statement.subjects.iter().filter(|_| emptied) {
            let named = self.named(subject, names);
            self.writes.extend(named.map(|named| named.id));
        }
    }

    /// The flow of data of `statement` into `outputs`.
    pub fn flow(&mut self, statement: &StatementLineage, outputs: &[TableName], names: &Names<'_>) -> Option<Effect> {
        let outputs: Vec<Named> = outputs.iter().filter_map(|table| self.named(table, names)).collect();
        if outputs.is_empty() {
            return None;
        }
        let mut effect = Effect::default();
        for table in &statement.inputs {
            effect.inputs.extend(self.named(table, names).map(|named| named.id));
        }
        for column in &statement.columns {
            let target = column.table.as_ref().and_then(|table| self.named(table, names));
            // Where what was written has another name by now, its only one counts.
            let target = target.filter(|target| outputs.contains(target)).or_else(|| match outputs.as_slice() {
                [one] => Some(one.clone()),
                _ => None,
            });
            let Some(target) = target else { continue };
            self.column_edges(column, &target, names, &mut effect);
        }
        for IndirectUse { column, how } in &statement.indirect {
            let Some(source) = self.named(&column.table, names) else { continue };
            let Some(source_field) = path(&source, &column.column) else { continue };
            effect.inputs.insert(source.id.clone());
            for target in &outputs {
                let (target, source) = (target.id.clone(), source.id.clone());
                effect.edges.insert(edge((target, String::new()), (source, source_field.clone()), Some(*how)));
            }
        }
        effect.outputs = outputs.into_iter().map(|named| named.id).collect();
        Some(effect)
    }

    /// The flow of data of a plain query into the dataset `target`.
    pub fn flow_into(&mut self, query: &StatementLineage, target: &EntityId, names: &Names<'_>) -> Option<Effect> {
        let mut effect = Effect { outputs: [target.clone()].into(), ..Effect::default() };
        for table in &query.inputs {
            effect.inputs.extend(self.named(table, names).map(|named| named.id));
        }
        let folds_case = query.inputs.iter().filter_map(|table| names.dataset(table)).any(|named| named.folds_case);
        let target =
            Named { id: target.clone(), folds_case, namespace: String::new(), name: String::new(), issues: Vec::new() };
        for column in &query.columns {
            self.column_edges(column, &target, names, &mut effect);
        }
        for IndirectUse { column, how } in &query.indirect {
            let Some(source) = self.named(&column.table, names) else { continue };
            let Some(source_field) = path(&source, &column.column) else { continue };
            effect.inputs.insert(source.id.clone());
            effect.edges.insert(edge((target.id.clone(), String::new()), (source.id, source_field), Some(*how)));
        }
        (!effect.inputs.is_empty()).then_some(effect)
    }

    fn column_edges(&mut self, column: &ColumnLineage, target: &Named, names: &Names<'_>, effect: &mut Effect) {
        let Some(target_field) = path(target, &column.column) else { return };
        for SourceColumn { column, how } in &column.sources {
            let Some(source) = self.named(&column.table, names) else { continue };
            effect.inputs.insert(source.id.clone());
            let Some(source_field) = path(&source, &column.column) else { continue };
            let target = (target.id.clone(), target_field.clone());
            effect.edges.insert(edge(target, (source.id, source_field), Some(*how)));
        }
    }

    fn made(&mut self, statement: &StatementLineage, text: &str, names: &Names<'_>) {
        let kind = match statement.kind {
            StatementKind::CreateTable | StatementKind::CreateTableAs => Some("table"),
            StatementKind::CreateView => Some("view"),
            StatementKind::CreateMaterializedView => Some("materialized_view"),
            StatementKind::Drop => {
                for table in statement.subjects.iter().chain(&statement.outputs) {
                    if let Some(named) = self.named(table, names) {
                        self.ddl.push(Ddl { dataset: named.id, what: Made::Dropped });
                    }
                }
                return;
            }
            _ => return,
        };
        // It may have been there before, with other columns.
        let head = text.get(statement.span.0..statement.span.1).unwrap_or_default();
        let head: String = head.chars().take(200).collect::<String>().to_lowercase();
        let is_conditional =
            head.split_whitespace().collect::<Vec<_>>().windows(3).any(|w| w == ["if", "not", "exists"]);
        for table in &statement.outputs {
            let Some(named) = self.named(table, names) else { continue };
            self.writes.insert(named.id.clone());
            let columns = if is_conditional { Vec::new() } else { columns_of(statement, table, &named) };
            let made = Made::Created { kind, columns, span: statement.span };
            self.ddl.push(Ddl { dataset: named.id, what: made });
        }
    }
}

/// Statements around those that do something.
fn is_frame(kind: StatementKind) -> bool {
    matches!(kind, StatementKind::Use | StatementKind::Set | StatementKind::Transaction | StatementKind::Other)
}

/// All columns of what a statement makes, where it says all of them.
fn columns_of(statement: &StatementLineage, table: &TableName, named: &Named) -> Vec<Column> {
    if !statement.declares.is_empty() {
        let declared = statement.declares.iter();
        return declared
            .map(|column| Column {
                name: named.column(&column.name),
                data_type: column.data_type.to_string(),
                ..Column::default()
            })
            .collect();
    }
    let made: Vec<&ColumnLineage> = statement.columns.iter().filter(|one| one.table.as_ref() == Some(table)).collect();
    if statement.status != Status::Complete || made.iter().any(|column| &*column.column == "*") {
        return Vec::new();
    }
    let mut seen = BTreeSet::new();
    let names = made.iter().map(|column| named.column(&column.column)).filter(|name| seen.insert(name.clone()));
    names.map(|name| Column { name, ..Column::default() }).collect()
}

/// The path of a column; `None` for what is none: a star that could not be expanded.
fn path(named: &Named, column: &str) -> Option<String> {
    (!column.is_empty() && column != "*").then(|| named.column(column))
}

fn edge(target: (EntityId, String), source: (EntityId, String), how: Option<Transformation>) -> ColumnEdge {
    use Transformation as T;
    let (kind, subtype) = match how {
        None => ("DIRECT", ""),
        Some(T::Identity) => ("DIRECT", "IDENTITY"),
        Some(T::Transformation) => ("DIRECT", "TRANSFORMATION"),
        Some(T::Aggregation) => ("DIRECT", "AGGREGATION"),
        Some(T::Conditional) => ("INDIRECT", "CONDITIONAL"),
        Some(T::Window) => ("INDIRECT", "WINDOW"),
        Some(T::Filter) => ("INDIRECT", "FILTER"),
        Some(T::Join) => ("INDIRECT", "JOIN"),
        Some(T::GroupBy) => ("INDIRECT", "GROUP_BY"),
        Some(T::Sort) => ("INDIRECT", "SORT"),
    };
    ColumnEdge {
        target: target.0,
        target_field: target.1,
        source: source.0,
        source_field: source.1,
        kind: kind.to_owned(),
        subtype: subtype.to_owned(),
        description: String::new(),
        masking: false,
        unmapped: false,
    }
}

/// Column lineage as the platform tells it; how values flow it does not say.
fn platform_edges(writes: &[Access], names: &Names<'_>) -> BTreeSet<ColumnEdge> {
    let mut edges = BTreeSet::new();
    for access in writes {
        let Some(target) = names.dataset(&access.table) else { continue };
        for column in &access.columns {
            for source in &column.sources {
                let Some(named) = names.dataset(&source.table) else { continue };
                if let (Some(to), Some(from)) = (path(&target, &column.name), path(&named, &source.column)) {
                    edges.insert(edge((target.id.clone(), to), (named.id, from), None));
                }
            }
        }
    }
    edges
}
