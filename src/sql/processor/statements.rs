//! Texts of views, models and jobs → lineage: the core of the stage `statements`.
//!
//! - A view has a job of its own, called as the view is: its text *declares* what it reads, so a new text replaces the old
//!   one, and a view that is gone reads nothing.
//! - A model's text (dbt) is lineage into what the model is declared to fill.
//! - The text of a job that somebody saw running says what columns flow between the datasets that the run is known to
//!   have read and written, and nothing of others; where nobody knows any, the text says which they are.

mod home;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use super::super::schemas::Schemas;
use super::super::types::{
    ColumnLineage, ColumnRef, Defaults, Dialect, SourceColumn, StatementKind, StatementLineage, Status, Transformation,
};
use super::super::{Options, Session};
use super::answers::{Answers, Shaped};
use super::effect::{Effect, Effects};
use super::facts::{dialect_name, edge_hash, without_columns};
use super::kept::HOUR;
use super::names::Names;
use crate::model::check::{FactLimits, check_made};
use crate::model::fact::{
    ColumnEdge, DeclaredLineage, EntityKind, Entry, Evidence, Existence, ExistenceState, Fact, Job, RunEvent, Source,
    SqlText, Statement,
};
use crate::model::id::{EntityId, Identity, join_key};
use crate::model::raw::Normalized;
use crate::model::reject::Rejection;

use home::Home;

/// Names of runs of texts that nobody saw running.
const RUNS: Uuid = Uuid::from_u128(0x2b9d_7e41_03c6_5f28_8d17_c1e0_94ab_56f7);

/// Makes lineage of facts that hold SQL.
pub struct StatementBinder {
    identity: Arc<Identity>,
    limits: FactLimits,
    options: Options,
    answers: Answers,
}

/// What a text was found to do.
struct Found {
    flows: Vec<Effect>,
    /// Everything in it was understood.
    complete: bool,
    /// Schemas that it was bound to.
    bound: Vec<String>,
    dialect: Dialect,
}

impl StatementBinder {
    /// A binder that has seen nothing.
    pub fn new(identity: Arc<Identity>, limits: FactLimits, options: Options) -> Self {
        let options = Options { remember: false, ..options };
        Self { identity, limits, options, answers: Answers::default() }
    }

    /// The lineage of the texts in `fact`, bound against `schemas`.
    ///
    /// # Errors
    /// A rejection, if it goes beyond the limits.
    pub fn bind(&mut self, fact: &Fact, schemas: &Schemas) -> Result<Normalized, Rejection> {
        if !matches!(fact.kind, EntityKind::Job | EntityKind::Dataset) {
            return Ok(Normalized::NoOp("no_job"));
        }
        let Some(home) = Home::of(fact) else { return Ok(Normalized::NoOp("no_instance")) };
        let entries = match (fact.kind, home::run_of(fact)) {
            (EntityKind::Dataset, _) => self.view(fact, &home, schemas),
            (_, Some(run)) if !(run.inputs.is_empty() && run.outputs.is_empty()) => self.run(fact, &home, run, schemas),
            _ => self.texts(fact, &home, schemas),
        };
        if entries.is_empty() {
            return Ok(Normalized::NoOp("no_lineage"));
        }
        let mut made = Fact {
            entity: home.job,
            kind: EntityKind::Job,
            source: Source::parse("sql/statement"),
            version: fact.version,
            origin: fact.origin.clone(),
            via: Vec::new(),
            entries,
        };
        if check_made(&made, &self.limits).is_err() {
            without_columns(&mut made);
            check_made(&made, &self.limits)?;
        }
        Ok(Normalized::Facts(vec![made]))
    }

    /// What a view declares. Also a text that tells nothing replaces the one before.
    fn view(&mut self, fact: &Fact, home: &Home, schemas: &Schemas) -> Vec<Entry> {
        let Some(entry) = fact.entries.iter().find(|entry| entry.sub_key.is_empty()) else { return Vec::new() };
        let mut job = Job {
            namespace: home.instance.clone(),
            name: fact.entity.display_name(),
            job_type: "VIEW".to_owned(),
            ..Job::default()
        };
        let Some(Statement::Sql(sql)) = &entry.value else {
            let gone =
                Existence { state: ExistenceState::Dropped, evidence: Evidence::Owner, floor: true, scope: None };
            return vec![Entry::of(Statement::Job(job)), Entry::of(Statement::Existence(gone))];
        };
        let found = self.find(sql, home, fact, schemas, None);
        let dialect = dialect_name(found.dialect);
        job.integration = dialect.to_uppercase();
        job.sql = Some(sql.text.clone());
        job.dialect = Some(dialect);
        let mut declared = DeclaredLineage { outputs: vec![fact.entity.clone()], ..DeclaredLineage::default() };
        // The text is a query alone: there is one flow.
        for flow in found.flows {
            declared.inputs = flow.inputs.into_iter().collect();
            declared.columns = flow.edges.into_iter().collect();
        }
        // What it was bound to is not told: a definition is the same whenever it is read.
        vec![Entry::of(Statement::Job(job)), Entry::of(Statement::Declared(declared))]
    }

    /// Column lineage of a run whose datasets are known.
    fn run(&mut self, fact: &Fact, home: &Home, run: &RunEvent, schemas: &Schemas) -> Vec<Entry> {
        let datasets: BTreeSet<EntityId> = run.inputs.iter().chain(&run.outputs).cloned().collect();
        let told: BTreeSet<&EntityId> = run.column_edges.iter().map(|edge| &edge.target).collect();
        let between = |edge: &ColumnEdge| {
            run.inputs.contains(&edge.source) && run.outputs.contains(&edge.target) && !told.contains(&edge.target)
        };
        let mut edges = BTreeSet::new();
        let (mut bound, mut complete) = (Vec::new(), true);
        for sql in texts_of(fact) {
            let found = self.find(sql, home, fact, schemas, Some(&datasets));
            edges.extend(found.flows.into_iter().flat_map(|flow| flow.edges).filter(between));
            bound.extend(found.bound);
            complete &= found.complete;
        }
        if edges.is_empty() {
            return Vec::new();
        }
        bound.sort();
        bound.dedup();
        let key = join_key(&[&run.run_id, &run.state]);
        // The same run: what its producer says of it stands beside.
        let run = RunEvent {
            run_id: run.run_id.clone(),
            state: run.state.clone(),
            time: run.time,
            facets: [("statement".to_owned(), json!({ "complete": complete, "bound": bound }))].into(),
            inputs: run.inputs.clone(),
            outputs: run.outputs.clone(),
            column_edges: edges.into_iter().collect(),
            ..RunEvent::default()
        };
        vec![Entry::keyed(key, Statement::Run(run))]
    }

    /// What texts do of which nothing else is known: a run for each flow.
    fn texts(&mut self, fact: &Fact, home: &Home, schemas: &Schemas) -> Vec<Entry> {
        let (mut flows, mut bound) = (Vec::new(), Vec::new());
        for sql in texts_of(fact) {
            let found = self.find(sql, home, fact, schemas, None);
            flows.extend(found.flows);
            bound.extend(found.bound);
        }
        bound.sort();
        bound.dedup();
        let mut entries: Vec<Entry> = Vec::new();
        for flow in flows {
            let edges = edge_hash(&flow);
            let hour = fact.version.time.div_euclid(HOUR);
            let run_id = Uuid::new_v5(&RUNS, format!("{}|{edges}|{hour}", home.job).as_bytes()).to_string();
            let key = join_key(&[&run_id, "COMPLETE"]);
            let run = RunEvent {
                run_id,
                state: "COMPLETE".to_owned(),
                time: fact.version.time,
                facets: [("statement".to_owned(), json!({ "bound": bound }))].into(),
                inputs: flow.inputs.into_iter().collect(),
                outputs: flow.outputs.into_iter().collect(),
                column_edges: flow.edges.into_iter().collect(),
                ..RunEvent::default()
            };
            if !entries.iter().any(|known| known.sub_key == key) {
                entries.push(Entry::keyed(key, Statement::Run(run)));
            }
        }
        entries
    }

    /// What a text connects; between `among`, where it is known what there is.
    fn find(
        &mut self,
        sql: &SqlText,
        home: &Home,
        fact: &Fact,
        schemas: &Schemas,
        among: Option<&BTreeSet<EntityId>>,
    ) -> Found {
        let dialect = home.dialect(sql, fact);
        let (database, schemas_of) = match sql.defaults.as_slice() {
            [] => (None, Vec::new()),
            [schema] => (None, vec![schema.as_str().into()]),
            [database, schema, ..] => (Some(database.as_str().into()), vec![schema.as_str().into()]),
        };
        let defaults = Defaults { database, schemas: schemas_of };
        let names = Names::new(&self.identity, &home.instance, dialect, &defaults, &fact.origin.topic);
        let names = names.in_catalog(sql.catalog.as_deref());
        let names = match among {
            Some(datasets) => names.among(datasets),
            None => names,
        };
        let mut session = Session::new(defaults.clone());
        let answer =
            self.answers.statements(&Shaped::new(&sql.text, dialect), &mut session, schemas, &names, &self.options);
        let mut effects = Effects::of_statements(&answer.statements, &sql.text, &names);
        let complete = effects.complete;
        let flows = match (queries(&answer.statements).as_slice(), &home.target) {
            // A model's or view's text is the query alone; where its result goes is said beside it.
            ([statement], Some(target)) => {
                let named = named_as(statement, sql);
                effects.flow_into(named.as_ref().unwrap_or(statement), target, &names).into_iter().collect()
            }
            _ => {
                let mut flows = std::mem::take(&mut effects.flows);
                flows.retain(|flow| !flow.inputs.is_empty() && !flow.outputs.is_empty());
                flows
            }
        };
        Found { flows, complete, bound: answer.bound(), dialect }
    }
}

fn texts_of(fact: &Fact) -> impl Iterator<Item = &SqlText> {
    fact.entries.iter().filter_map(|entry| match &entry.value {
        Some(Statement::Sql(sql)) => Some(sql),
        _ => None,
    })
}

/// Statements that are queries; none if another one writes.
fn queries(statements: &[StatementLineage]) -> Vec<&StatementLineage> {
    if statements.iter().any(|statement| !statement.outputs.is_empty()) {
        return Vec::new();
    }
    statements.iter().filter(|statement| statement.kind == StatementKind::Select).collect()
}

/// The query with the columns of its result called as they are known outside; `None` if they are called so already, or
/// which is which cannot be told.
fn named_as(query: &StatementLineage, sql: &SqlText) -> Option<StatementLineage> {
    let names = &sql.columns;
    if names.is_empty() {
        return None;
    }
    let mut named = query.clone();
    if query.columns.len() == names.len() && query.columns.iter().all(|column| &*column.column != "*") {
        for (column, name) in named.columns.iter_mut().zip(names) {
            column.column = name.as_str().into();
        }
        return Some(named);
    }
    // A star over one table whose columns nobody knows: they are those of the result.
    let [ColumnLineage { column: star, sources, .. }] = query.columns.as_slice() else { return None };
    let ("*", [SourceColumn { column, .. }]) = (&**star, sources.as_slice()) else { return None };
    let inner = if sql.query_columns.len() == names.len() { &sql.query_columns } else { names };
    named.columns = names
        .iter()
        .zip(inner)
        .map(|(name, inner)| ColumnLineage {
            table: None,
            column: name.as_str().into(),
            sources: vec![SourceColumn {
                column: ColumnRef { table: column.table.clone(), column: inner.as_str().into() },
                how: Transformation::Identity,
            }],
        })
        .collect();
    named.status = Status::Complete;
    Some(named)
}
