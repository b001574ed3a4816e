//! Which job an event is about: producers report one piece of work under several names.

use super::envelope::{Job, Run, State};
use super::facets;

/// Integrations by the word that their producer URL holds.
const INTEGRATIONS: &[&str] =
    &["spark", "airflow", "dbt", "trino", "flink", "hive", "dagster", "debezium", "great_expectations"];

/// Longest word for an integration, characters.
const MAX_INTEGRATION: usize = 64;

/// The facets that decide which job it is.
#[derive(Clone)]
pub(super) struct JobFacets {
    /// Lower case.
    pub integration: String,
    pub job_type: String,
    /// Whether there is a jobType facet that could be read.
    pub job_type_is_read: bool,
    pub processing: String,
    pub emission_pattern: Option<serde_json::Value>,
    pub parent: Option<facets::Parent>,
}

impl JobFacets {
    pub fn of(job: &Job<'_>, run: Option<&Run<'_>>, producer: &str) -> Self {
        let raw = job.facets.get("jobType");
        let read: Option<facets::JobType> = raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let job_type_is_read = read.is_some();
        let job_type = read.unwrap_or_default();
        // The facet was called parentRun before version 1.0.
        let parent = run.and_then(|run| run.facets.get("parent").or_else(|| run.facets.get("parentRun")));
        Self {
            integration: integration(&job_type.integration, producer),
            job_type: job_type.job_type.to_uppercase(),
            job_type_is_read,
            processing: job_type.processing_type.to_uppercase(),
            emission_pattern: job_type.emission_pattern,
            parent: parent.and_then(|raw| serde_json::from_str(raw.get()).ok()),
        }
    }

    /// Streaming jobs never complete; what they say while they run holds.
    pub fn succeeded(&self, state: State) -> bool {
        let is_streaming = self.processing == "STREAMING";
        state == State::Complete || (is_streaming && matches!(state, State::Start | State::Running))
    }
}

/// The word for a [`crate::model::fact::Source`].
pub(super) fn integration(by_facet: &str, producer: &str) -> String {
    if !by_facet.is_empty() {
        // It becomes part of keys: a word, and not a long one.
        let word = |c: char| if c.is_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' };
        return by_facet.to_lowercase().chars().take(MAX_INTEGRATION).map(word).collect();
    }
    let producer = producer.to_lowercase();
    // Clients name the integration after the repository; the host may hold any word.
    let path = producer.split_once("://").map_or(producer.as_str(), |(_, rest)| rest);
    INTEGRATIONS.iter().find(|word| path.contains(**word)).map_or("other", |word| *word).to_owned()
}

/// What a job name stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The job is what it is called.
    Plain,
    /// A statement of a Spark application, by the root of its plan; which one, its outputs decide.
    SparkStatement { application: String, node: String },
    /// A dbt node under one of its names.
    DbtNode { unique_id: String },
    /// A dbt test: it checks data and makes none.
    DbtTest,
    /// One SQL statement of a dbt node.
    DbtSql { unique_id: String, ordinal: String },
}

impl Shape {
    pub fn of(job: &Job<'_>, facets: &JobFacets) -> Self {
        match facets.integration.as_str() {
            "spark" => Self::of_spark(&job.name, facets),
            "dbt" => Self::of_dbt(job, facets),
            _ => Self::Plain,
        }
    }

    fn of_spark(name: &str, facets: &JobFacets) -> Self {
        if facets.job_type == "APPLICATION" {
            return Self::Plain;
        }
        let of_parent = facets.parent.as_ref().and_then(|parent| {
            let rest = name.strip_prefix(parent.job.name.as_str())?.strip_prefix('.')?;
            Some((parent.job.name.as_str(), rest))
        });
        // The application may have been started by a scheduler's task, which then is the parent.
        let Some((application, statement)) = of_parent.or_else(|| name.split_once('.')) else { return Self::Plain };
        let node = statement.split('.').next().unwrap_or(statement);
        Self::SparkStatement { application: application.to_owned(), node: node.to_owned() }
    }

    fn of_dbt(job: &Job<'_>, facets: &JobFacets) -> Self {
        if facets.job_type == "SQL"
            && let Some(((_, ordinal), parent)) = job.name.rsplit_once(".sql.").zip(facets.parent.as_ref())
        {
            return Self::DbtSql { unique_id: parent.job.name.clone(), ordinal: ordinal.to_owned() };
        }
        let node = job.facets.get("dbt_node").and_then(|raw| serde_json::from_str::<facets::DbtNode>(raw.get()).ok());
        let unique_id = node.and_then(|node| node.unique_id).filter(|id| !id.is_empty());
        let is_test = |id: &str| id.starts_with("test.") || id.starts_with("unit_test.");
        if facets.job_type == "TEST" || is_test(&job.name) || unique_id.as_deref().is_some_and(is_test) {
            return Self::DbtTest;
        }
        let unique_id = unique_id.or_else(|| unique_id_of(&job.name, &facets.job_type));
        unique_id.map_or(Self::Plain, |unique_id| Self::DbtNode { unique_id })
    }
}

/// What a default-mode name ends with; a plain `dbt run` adds nothing.
const DBT_COMMANDS: [&str; 7] =
    [".build.run", ".build.snapshot", ".build.seed", ".run", ".snapshot", ".seed", ".build"];

/// The unique id of a dbt node whose event has no `dbt_node` facet, by how dbt-ol names jobs: by the unique id where it
/// follows dbt's log, else `database.schema.package.node[.command…]`.
fn unique_id_of(name: &str, job_type: &str) -> Option<String> {
    let kind = match job_type {
        "MODEL" => "model",
        "SEED" => "seed",
        "SNAPSHOT" => "snapshot",
        _ => return None,
    };
    if name.strip_prefix(kind).is_some_and(|rest| rest.starts_with('.')) {
        return Some(name.to_owned());
    }
    let name = DBT_COMMANDS.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    let mut parts = name.rsplit('.');
    let (node, package, schema) = (parts.next()?, parts.next()?, parts.next()?);
    let is_known = ![node, package, schema].iter().any(|part| part.is_empty());
    is_known.then(|| format!("{kind}.{package}.{node}"))
}

/// Spark names a statement after the root of its plan, and both halves of one `CREATE TABLE AS SELECT` differently: what
/// fills a table is one verb, whatever the plan.
pub(super) fn spark_verb(node: &str) -> String {
    let verb = node.strip_prefix("execute_").unwrap_or(node);
    let verb = verb.strip_suffix("_command").unwrap_or(verb);
    let fills = verb.ends_with("as_select")
        || ["insert_into", "append_data", "overwrite_", "save_into", "write_to", "write_files"]
            .iter()
            .any(|p| verb.starts_with(p))
        || matches!(
            verb,
            "adaptive_spark_plan" | "adaptive_execution" | "collect_limit" | "project" | "sort" | "hash_aggregate"
        );
    if fills { "write".to_owned() } else { verb.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{integration, spark_verb, unique_id_of};

    #[test]
    fn both_halves_of_a_ctas_have_one_verb() {
        for node in [
            "execute_create_data_source_table_as_select_command",
            "execute_create_hive_table_as_select_command",
            "adaptive_spark_plan",
            "execute_insert_into_hadoop_fs_relation_command",
            "execute_insert_into_hive_table",
            "atomic_create_table_as_select",
            "append_data",
            "append_data_exec_v1",
            "execute_save_into_data_source_command",
        ] {
            assert_eq!(spark_verb(node), "write", "{node}");
        }
        assert_eq!(spark_verb("execute_merge_into_command"), "merge_into");
        assert_eq!(spark_verb("execute_create_data_source_table_command"), "create_data_source_table");
        assert_eq!(spark_verb("alter_table"), "alter_table");
    }

    #[test]
    fn names_of_both_modes_lead_to_one_node() {
        for name in [
            "model.shop.fct_orders",
            "shop.dbt_dev_core.shop.fct_orders",
            "shop.dbt_dev_core.shop.fct_orders.run",
            "shop.dbt_dev_core.shop.fct_orders.build.run",
        ] {
            assert_eq!(unique_id_of(name, "MODEL").as_deref(), Some("model.shop.fct_orders"), "{name}");
        }
        let snapshot = unique_id_of("shop.snap.shop.products.build.snapshot", "SNAPSHOT");
        assert_eq!(snapshot.as_deref(), Some("snapshot.shop.products"));
        assert_eq!(unique_id_of("dbt-run-shop", "JOB"), None);
        assert_eq!(unique_id_of("orders", "MODEL"), None);
    }

    #[test]
    fn integrations_are_named_by_facet_or_producer() {
        assert_eq!(integration("SPARK", "x"), "spark");
        assert_eq!(
            integration("", "https://github.com/OpenLineage/OpenLineage/tree/1.37.0/integration/spark"),
            "spark"
        );
        assert_eq!(integration("", "https://github.com/apache/airflow/tree/providers-openlineage/2.20.3"), "airflow");
        assert_eq!(integration("", "producer"), "other");
        assert_eq!(integration("My Tool/2\0", "x"), "my_tool_2_");
        assert_eq!(integration(&"x".repeat(1_000), "x").len(), 64);
    }
}
