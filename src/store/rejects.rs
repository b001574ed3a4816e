//! Records that Postgres refused: counted for readiness, and forgotten once their key has been written after all.

use std::sync::atomic::Ordering;

use sqlx::PgConnection;

use super::write::CatalogWrite;
use super::{Store, StoreError};
use crate::model::record::CatalogTopic;

impl Store {
    /// How many records of a sink have been put aside.
    ///
    /// # Errors
    /// As the database answers.
    pub async fn count_rejects(&self, sink: &str) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM sink_rejects WHERE sink = $1")
            .bind(sink)
            .fetch_one(&self.pool)
            .await?;
        self.has_rejects.store(count > 0, Ordering::Relaxed);
        Ok(count.unsigned_abs())
    }

    /// Topic and key of each record of a sink that was put aside.
    ///
    /// # Errors
    /// As the database answers.
    pub async fn rejected_keys(&self, sink: &str) -> Result<Vec<(String, String)>, StoreError> {
        let keys =
            sqlx::query_as("SELECT topic, record_key FROM sink_rejects WHERE sink = $1 ORDER BY topic, record_key");
        Ok(keys.bind(sink).fetch_all(&self.pool).await?)
    }

    /// There is something to forget from now on.
    pub(super) fn note_rejects(&self) {
        self.has_rejects.store(true, Ordering::Relaxed);
    }

    /// Forgets the rejects whose key a later record of `writes` has written or deleted: what was refused is not what
    /// should stand there any more.
    pub(super) async fn forget_superseded(
        &self,
        connection: &mut PgConnection,
        sink: &str,
        writes: impl Iterator<Item = &CatalogWrite>,
    ) -> Result<(), sqlx::Error> {
        if !self.has_rejects.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (mut topics, mut partitions, mut offsets, mut keys) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        // Changes share their entity's key: one does not make up for another.
        for write in writes.filter(|write| write.topic != CatalogTopic::Changes) {
            topics.push(write.topic.name());
            partitions.push(write.partition);
            offsets.push(write.offset);
            keys.push(write.key.replace('\0', "\u{FFFD}"));
        }
        sqlx::query(
            "DELETE FROM sink_rejects r USING UNNEST($2::text[], $3::int[], $4::bigint[], $5::text[])
                 AS w(topic, partition, record_offset, key)
             WHERE r.sink = $1 AND r.topic = w.topic AND r.partition = w.partition AND r.record_key = w.key
               AND r.record_offset < w.record_offset",
        )
        .bind(sink)
        .bind(topics)
        .bind(partitions)
        .bind(offsets)
        .bind(keys)
        .execute(connection)
        .await?;
        Ok(())
    }
}
