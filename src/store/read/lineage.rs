//! Edges between datasets and between columns, ends as reported.

use super::rows::{ColumnLineageRow, LineageRow};
use super::{ReadError, Reader, reading};
use crate::model::record::{ColumnLineageRecord, LineageRecord};

impl Reader {
    /// The edges of `jobs`.
    pub async fn edges_of_jobs(&self, jobs: &[String]) -> Result<Vec<LineageRecord>, ReadError> {
        let rows: Vec<LineageRow> = sqlx::query_as("SELECT * FROM lineage_edges WHERE job_id = ANY($1)")
            .bind(jobs)
            .fetch_all(&self.pool)
            .await
            .map_err(reading("lineage edges"))?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// The column edges of `jobs`.
    pub async fn column_edges_of_jobs(&self, jobs: &[String]) -> Result<Vec<ColumnLineageRecord>, ReadError> {
        let rows: Vec<ColumnLineageRow> = sqlx::query_as("SELECT * FROM column_lineage_edges WHERE job_id = ANY($1)")
            .bind(jobs)
            .fetch_all(&self.pool)
            .await
            .map_err(reading("column lineage"))?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}
