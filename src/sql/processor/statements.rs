//! Texts of views, models and jobs → lineage of their jobs: the core of the stage `statements`.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use super::super::schemas::Schemas;
use super::super::types::{Defaults, Dialect, StatementKind, StatementLineage};
use super::super::{Options, Session};
use super::answers::Answers;
use super::effect::{Effect, Effects};
use super::facts::edge_hash;
use super::kept::HOUR;
use super::names::Names;
use crate::model::check::{FactLimits, check_made};
use crate::model::fact::{EntityKind, Entry, Fact, RunEvent, Source, SqlText, Statement};
use crate::model::id::{Canon, EntityId, Identity, join_key};
use crate::model::raw::Normalized;
use crate::model::reject::Rejection;

/// Names of runs of texts that nobody saw running.
const RUNS: Uuid = Uuid::from_u128(0x2b9d_7e41_03c6_5f28_8d17_c1e0_94ab_56f7);

/// Makes lineage of facts that hold SQL.
pub struct StatementBinder {
    identity: Arc<Identity>,
    limits: FactLimits,
    options: Options,
    answers: Answers,
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
        let mut flows = Vec::new();
        let mut bound = Vec::new();
        for entry in &fact.entries {
            let Some(Statement::Sql(sql)) = &entry.value else { continue };
            flows.extend(self.flows(sql, &home, fact, schemas, &mut bound));
        }
        if flows.is_empty() {
            return Ok(Normalized::NoOp("no_lineage"));
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
        let made = Fact {
            entity: home.job,
            kind: EntityKind::Job,
            source: Source::parse("sql/statement"),
            version: fact.version,
            origin: fact.origin.clone(),
            via: Vec::new(),
            entries,
        };
        check_made(&made, &self.limits)?;
        Ok(Normalized::Facts(vec![made]))
    }

    /// What a text connects.
    fn flows(
        &mut self,
        sql: &SqlText,
        home: &Home,
        fact: &Fact,
        schemas: &Schemas,
        bound: &mut Vec<String>,
    ) -> Vec<Effect> {
        let scheme = home.instance.split("://").next().unwrap_or_default();
        let named = Some(sql.dialect.as_str()).filter(|name| !name.is_empty());
        let dialect = named.and_then(Dialect::named).or_else(|| Dialect::named(scheme)).unwrap_or(Dialect::Ansi);
        let (database, schemas_of) = match sql.defaults.as_slice() {
            [] => (None, Vec::new()),
            [schema] => (None, vec![schema.as_str().into()]),
            [database, schema, ..] => (Some(database.as_str().into()), vec![schema.as_str().into()]),
        };
        let defaults = Defaults { database, schemas: schemas_of };
        let names = Names::new(&self.identity, &home.instance, dialect, &defaults, &fact.origin.topic);
        let mut session = Session::new(defaults.clone());
        let answer = self.answers.statements(&sql.text, dialect, &mut session, schemas, &names, &self.options);
        bound
            .extend(answer.asked.iter().filter_map(|(_, hash)| hash.as_ref()).map(|(id, hash)| format!("{id}@{hash}")));
        let mut effects = Effects::of_statements(&answer.statements, &sql.text, &names);
        if let ([statement], Some(target)) = (queries(&answer.statements).as_slice(), &home.target) {
            // A model's or view's text is the query alone; where its result goes is said beside it.
            return effects.flow_into(statement, target, &names).into_iter().collect();
        }
        let mut flows = std::mem::take(&mut effects.flows);
        flows.retain(|flow| !flow.inputs.is_empty() && !flow.outputs.is_empty());
        flows
    }
}

/// Statements that are queries; none if another one writes.
fn queries(statements: &[StatementLineage]) -> Vec<&StatementLineage> {
    if statements.iter().any(|statement| !statement.outputs.is_empty()) {
        return Vec::new();
    }
    statements.iter().filter(|statement| statement.kind == StatementKind::Select).collect()
}

/// Where the names in a text belong, and whose lineage it is.
struct Home {
    instance: String,
    job: EntityId,
    /// What the result of a plain query fills.
    target: Option<EntityId>,
}

impl Home {
    /// `None` if nothing says on which server the text runs.
    fn of(fact: &Fact) -> Option<Self> {
        if fact.kind == EntityKind::Dataset {
            let instance = instance_of(&fact.entity)?;
            let job = EntityId::job(&instance, &fact.entity.display_name());
            return Some(Self { instance, job, target: Some(fact.entity.clone()) });
        }
        let job = Canon::parse(fact.entity.as_str()).ok()?;
        let namespace = job.authority().to_owned();
        let outputs = declared_outputs(fact);
        let target = if let [one] = outputs.as_slice() { Some(one.clone()) } else { None };
        let instance = match target.as_ref().and_then(instance_of) {
            Some(instance) => instance,
            None => Dialect::named(namespace.split("://").next()?).map(|_| namespace)?,
        };
        Some(Self { instance, job: fact.entity.clone(), target })
    }
}

/// The server of a dataset: the namespace under which its platform reports it.
fn instance_of(id: &EntityId) -> Option<String> {
    let canon = Canon::parse(id.as_str()).ok()?;
    (canon.scheme() != "ol").then(|| format!("{}://{}", canon.scheme(), canon.authority()))
}

/// What a job's definition says that it fills.
fn declared_outputs(fact: &Fact) -> Vec<EntityId> {
    let declared = fact.entries.iter().filter_map(|entry| match &entry.value {
        Some(Statement::Declared(lineage)) => Some(lineage.outputs.clone()),
        _ => None,
    });
    declared.flatten().collect()
}
