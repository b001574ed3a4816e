//! The SQL of an event: what the stage that binds texts has to know of it, and the job that a query is.

use super::envelope::{Facets, Job, Run};
use super::facets;
use crate::model::fact::{RunEvent, STATEMENT_BYTES, SqlText};
use crate::model::id::EntityId;

/// What all queries of one kind have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryKind {
    /// What their job is called: the fingerprint.
    pub name: String,
    /// Their text without literals.
    pub text: String,
}

/// The kind of a query, by its text and the name of its dialect: a port, for SQL is read elsewhere.
pub type QueryKinds = fn(text: &str, dialect: &str) -> QueryKind;

/// Engines that report what their own plans read and write.
const ENGINES: [&str; 4] = ["flink", "hive", "spark", "trino"];

/// The text of a run that succeeded, if it can say more than `said` does: where no columns are told of what was written,
/// or a tool that reads no plans has told of no dataset at all.
pub(super) fn statement(job: &Job<'_>, run: &Run<'_>, integration: &str, said: &RunEvent) -> Option<SqlText> {
    let is_told = |output: &EntityId| said.column_edges.iter().any(|edge| edge.target == *output);
    let lacks_columns = !said.inputs.is_empty() && !said.outputs.iter().all(is_told);
    let lacks_all = said.inputs.is_empty() && said.outputs.is_empty() && !ENGINES.contains(&integration);
    if !lacks_columns && !lacks_all {
        return None;
    }
    // Older producers put it with the run.
    let sql = sql(&job.facets).or_else(|| sql(&run.facets))?;
    let is_bindable = !sql.query.trim().is_empty() && sql.query.len() <= STATEMENT_BYTES;
    is_bindable.then(|| SqlText { text: sql.query, dialect: sql.dialect.unwrap_or_default(), ..SqlText::default() })
}

/// The kind of the query after whose id Trino names the job.
pub(super) fn query_kind(job: &Job<'_>, integration: &str, kinds: QueryKinds) -> Option<QueryKind> {
    if integration != "trino" || !is_query_id(&job.name) {
        return None;
    }
    let sql = sql(&job.facets).filter(|sql| !sql.query.trim().is_empty())?;
    Some(kinds(&sql.query, integration))
}

/// `20261121_063050_00000_wermn`: when the coordinator took it, its number, and the coordinator's own id.
fn is_query_id(name: &str) -> bool {
    let parts: Vec<&str> = name.split('_').collect();
    let [day, time, number, coordinator] = parts.as_slice() else { return false };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    day.len() == 8
        && time.len() == 6
        && number.len() >= 5
        && [day, time, number].into_iter().all(|part| digits(part))
        && coordinator.len() == 5
        && coordinator.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// The facet `sql`; `None` if it is not there or is none.
pub(super) fn sql(facets: &Facets<'_>) -> Option<facets::Sql> {
    facets.get("sql").and_then(|raw| serde_json::from_str(raw.get()).ok())
}

#[cfg(test)]
mod tests {
    use super::is_query_id;

    #[test]
    fn query_ids_are_told_from_names() {
        assert!(is_query_id("20261121_063050_00000_wermn"));
        assert!(is_query_id("20261121_063050_123456_2abc9"));
        for name in ["", "load_orders", "20261121_063050_00000", "20261121_063050_00000_WERMN", "2026_06_00000_wermn"] {
            assert!(!is_query_id(name), "{name}");
        }
    }
}
