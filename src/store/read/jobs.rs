//! Jobs, runs and changes.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::datasets::owners;
use super::rows::{ChangeRow, JobRow, RunRow};
use super::{ReadError, Reader, reading};
use crate::model::record::{ChangeRecord, JobRecord, RunRecord};

/// A job with what its page shows, all of one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct JobBundle {
    /// The job.
    pub job: JobRecord,
    /// Ids of the jobs that it encloses.
    pub children: Vec<String>,
    /// Datasets that its edges read.
    pub inputs: Vec<String>,
    /// Datasets that its edges write.
    pub outputs: Vec<String>,
    /// Its newest run that has not expired.
    pub last_run: Option<RunRecord>,
}

/// One page of runs.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPage {
    /// How many there are.
    pub total: i64,
    /// Newest first.
    pub runs: Vec<RunRecord>,
}

/// A run's place among the others of its job: by its start; without one, by its end.
const NEWEST_RUNS: &str = "SELECT * FROM runs WHERE job_id = $1 AND expires_at > $2
    ORDER BY coalesce(started_at, ended_at, nominal_start) DESC NULLS LAST, id DESC LIMIT $3 OFFSET $4";

impl Reader {
    /// The job with this id; runs that expired by `as_of` do not count.
    pub async fn job(&self, id: &str, as_of: DateTime<Utc>) -> Result<Option<JobBundle>, ReadError> {
        let mut snapshot = self.snapshot().await?;
        let connection: &mut PgConnection = &mut snapshot;
        let row: Option<JobRow> = sqlx::query_as("SELECT * FROM jobs WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *connection)
            .await
            .map_err(reading("jobs"))?;
        let Some(row) = row else {
            return Ok(None);
        };
        let ids = [id.to_owned()];
        let owners = owners(connection, "job", &ids).await?.remove(id).unwrap_or_default();
        let children: Vec<String> = sqlx::query_scalar("SELECT id FROM jobs WHERE parent_id = $1 ORDER BY id")
            .bind(id)
            .fetch_all(&mut *connection)
            .await
            .map_err(reading("jobs"))?;
        let inputs = sqlx::query_scalar("SELECT DISTINCT source_id FROM lineage_edges WHERE job_id = $1 ORDER BY 1")
            .bind(id)
            .fetch_all(&mut *connection)
            .await
            .map_err(reading("lineage edges"))?;
        let outputs = sqlx::query_scalar("SELECT DISTINCT target_id FROM lineage_edges WHERE job_id = $1 ORDER BY 1")
            .bind(id)
            .fetch_all(&mut *connection)
            .await
            .map_err(reading("lineage edges"))?;
        let last_run: Option<RunRow> = sqlx::query_as(NEWEST_RUNS)
            .bind(id)
            .bind(as_of)
            .bind(1_i64)
            .bind(0_i64)
            .fetch_optional(&mut *connection)
            .await
            .map_err(reading("runs"))?;
        let job = row.record(owners);
        Ok(Some(JobBundle { job, children, inputs, outputs, last_run: last_run.map(Into::into) }))
    }

    /// The jobs with these ids, by id, without their owners.
    pub async fn jobs(&self, ids: &[String]) -> Result<Vec<JobRecord>, ReadError> {
        let rows: Vec<JobRow> = sqlx::query_as("SELECT * FROM jobs WHERE id = ANY($1) ORDER BY id")
            .bind(ids)
            .fetch_all(&self.pool)
            .await
            .map_err(reading("jobs"))?;
        Ok(rows.into_iter().map(|row| row.record(Vec::new())).collect())
    }

    /// The runs of a job that have not expired by `as_of`, newest first.
    pub async fn runs(&self, job: &str, limit: i64, offset: i64, as_of: DateTime<Utc>) -> Result<RunPage, ReadError> {
        let mut snapshot = self.snapshot().await?;
        let total: i64 = sqlx::query_scalar("SELECT count(*) FROM runs WHERE job_id = $1 AND expires_at > $2")
            .bind(job)
            .bind(as_of)
            .fetch_one(&mut *snapshot)
            .await
            .map_err(reading("runs"))?;
        let rows: Vec<RunRow> = sqlx::query_as(NEWEST_RUNS)
            .bind(job)
            .bind(as_of)
            .bind(limit)
            .bind(offset)
            .fetch_all(&mut *snapshot)
            .await
            .map_err(reading("runs"))?;
        Ok(RunPage { total, runs: rows.into_iter().map(Into::into).collect() })
    }

    /// Changes of `entity`, or of all, newest first.
    pub async fn changes(&self, entity: Option<&str>, limit: i64) -> Result<Vec<ChangeRecord>, ReadError> {
        let rows: Vec<ChangeRow> = match entity {
            Some(entity) => {
                sqlx::query_as("SELECT * FROM changes WHERE entity_id = $1 ORDER BY \"time\" DESC, id LIMIT $2")
                    .bind(entity)
                    .bind(limit)
                    .fetch_all(&self.pool)
                    .await
            }
            None => {
                sqlx::query_as("SELECT * FROM changes ORDER BY \"time\" DESC, id LIMIT $1")
                    .bind(limit)
                    .fetch_all(&self.pool)
                    .await
            }
        }
        .map_err(reading("changes"))?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}
