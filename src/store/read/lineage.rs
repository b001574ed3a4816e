//! Edges between datasets and between columns, ends as reported.

use super::rows::{ColumnLineageRow, LineageRow};
use super::{ReadError, Reader, reading};
use crate::model::record::{ColumnLineageRecord, LineageRecord};

impl Reader {
    /// Edges whose both ends are among `ids`.
    pub async fn edges_among(&self, ids: &[String]) -> Result<Vec<LineageRecord>, ReadError> {
        let rows: Vec<LineageRow> = sqlx::query_as(
            "SELECT * FROM lineage_edges WHERE source_id = ANY($1) AND target_id = ANY($1)
             ORDER BY source_id, target_id, job_id",
        )
        .bind(ids)
        .fetch_all(&self.pool)
        .await
        .map_err(reading("lineage edges"))?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Column edges whose both datasets are among `ids`.
    pub async fn column_edges_among(&self, ids: &[String]) -> Result<Vec<ColumnLineageRecord>, ReadError> {
        let rows: Vec<ColumnLineageRow> = sqlx::query_as(
            "SELECT * FROM column_lineage_edges WHERE source_id = ANY($1) AND target_id = ANY($1)
             ORDER BY source_id, target_id, source_field, target_field, job_id",
        )
        .bind(ids)
        .fetch_all(&self.pool)
        .await
        .map_err(reading("column lineage"))?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}
