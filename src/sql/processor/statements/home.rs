//! Where the names in a text belong, and whose lineage it is.

use super::super::super::types::Dialect;
use crate::model::fact::{EntityKind, Fact, RunEvent, SqlText, Statement};
use crate::model::id::{Canon, EntityId};

/// See the module.
pub(super) struct Home {
    /// Namespace of the server on which the text runs.
    pub instance: String,
    pub job: EntityId,
    /// What the result of a plain query fills.
    pub target: Option<EntityId>,
    /// Schemes of what is known to be read and written, and of the job, the most telling first.
    schemes: Vec<String>,
}

impl Home {
    /// `None` if nothing says on which server the text runs.
    pub fn of(fact: &Fact) -> Option<Self> {
        if fact.kind == EntityKind::Dataset {
            let instance = instance_of(&fact.entity)?;
            let job = EntityId::job(&instance, &fact.entity.display_name());
            let schemes = scheme(&instance).into_iter().collect();
            return Some(Self { instance, job, target: Some(fact.entity.clone()), schemes });
        }
        let job = Canon::parse(fact.entity.as_str()).ok()?;
        let namespace = job.authority().to_owned();
        let declared = declared_outputs(fact);
        let mut datasets: Vec<EntityId> = declared.clone();
        if let Some(run) = run_of(fact) {
            datasets.extend(run.outputs.iter().chain(&run.inputs).cloned());
        }
        let target = match (declared.as_slice(), run_of(fact)) {
            ([one], _) => Some(one.clone()),
            // What a dbt node's text selects is what the node is; of others a program may make anything of it.
            (_, Some(run)) if fact.source.detail() == "dbt" && run.outputs.len() == 1 => run.outputs.first().cloned(),
            _ => None,
        };
        let servers = datasets.iter().filter_map(instance_of);
        let servers: Vec<String> = servers.chain([namespace.clone()]).collect();
        let schemes: Vec<String> = servers.iter().filter_map(|server| scheme(server)).collect();
        // The first that is a database; else where the datasets lie, whatever it is.
        let database = servers.iter().find(|server| scheme(server).is_some_and(|name| of_scheme(&name).is_some()));
        let instance = database.or_else(|| servers.first().filter(|_| !datasets.is_empty()))?.clone();
        Some(Self { instance, job: fact.entity.clone(), target, schemes })
    }

    /// The dialect of a text: as it is said, else that of the engine that speaks, else that of the first server.
    pub fn dialect(&self, sql: &SqlText, fact: &Fact) -> Dialect {
        let said = Some(sql.dialect.trim()).filter(|name| !name.is_empty()).and_then(of_scheme);
        let engine = || {
            let engine = Some(fact.source.detail()).filter(|_| fact.source.family() == "openlineage");
            engine.filter(|name| !name.is_empty()).and_then(of_scheme)
        };
        let server = || self.schemes.iter().find_map(|scheme| of_scheme(scheme));
        said.or_else(engine).or_else(server).unwrap_or(Dialect::Ansi)
    }
}

/// The dialect that is spoken where datasets are called so.
fn of_scheme(scheme: &str) -> Option<Dialect> {
    match scheme.to_ascii_lowercase().as_str() {
        "" => None,
        "awsathena" | "glue" => Some(Dialect::Athena),
        "azuresql" | "azuresynapse" | "microsoft_sql_server" => Some(Dialect::TSql),
        other => Dialect::named(other),
    }
}

fn scheme(namespace: &str) -> Option<String> {
    let scheme = namespace.split("://").next().unwrap_or_default();
    (!scheme.is_empty()).then(|| scheme.to_owned())
}

/// The run that a producer saw.
pub(super) fn run_of(fact: &Fact) -> Option<&RunEvent> {
    fact.entries.iter().find_map(|entry| match &entry.value {
        Some(Statement::Run(run)) => Some(run),
        _ => None,
    })
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
