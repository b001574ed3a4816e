//! How far each sink has come, moved by compare-and-set in the transaction of the rows.

use sqlx::{PgConnection, Row};

use super::{Store, StoreError};

/// A partition of a catalog topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PositionKey {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
}

/// Where a sink stands in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which partition.
    pub key: PositionKey,
    /// Kafka's id of the topic, to notice that it was recreated; `None` if it was never known.
    pub topic_id: Option<String>,
    /// Offset of the next record to write.
    pub next_offset: i64,
}

/// How a batch moves a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionDelta {
    /// Which partition.
    pub key: PositionKey,
    /// Kafka's id of the topic, if it is known.
    pub topic_id: Option<String>,
    /// The stored next offset that the batch starts from; `None` if the sink never wrote this partition.
    pub from: Option<i64>,
    /// The next offset after the batch.
    pub to: i64,
}

impl Store {
    /// All stored positions of a sink, sorted.
    ///
    /// # Errors
    /// As the database answers.
    pub async fn positions(&self, sink: &str) -> Result<Vec<Position>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        read(&mut connection, sink).await
    }
}

pub(super) async fn read(connection: &mut PgConnection, sink: &str) -> Result<Vec<Position>, StoreError> {
    let rows = sqlx::query(
        "SELECT topic, partition, topic_id, next_offset FROM positions WHERE sink = $1 ORDER BY topic, partition",
    )
    .bind(sink)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Position {
                key: PositionKey { topic: row.try_get(0)?, partition: row.try_get(1)? },
                topic_id: row.try_get::<Option<String>, _>(2)?,
                next_offset: row.try_get(3)?,
            })
        })
        .collect()
}

/// How long the server waits for the rest of a transaction that has moved positions. Whoever takes over cannot move them
/// before: a process that stands still would hold its successors up for ever.
const PATIENCE: &str = "5s";

/// Moves every position from exactly its start to its end. `false` if one stands elsewhere: then roll back.
///
/// The statements that follow find their rows by key, however many they are: one plan does for every batch.
pub(super) async fn advance(
    connection: &mut PgConnection,
    sink: &str,
    deltas: &[PositionDelta],
) -> Result<bool, StoreError> {
    if deltas.is_empty() {
        return Ok(true);
    }
    let topics: Vec<&str> = deltas.iter().map(|delta| delta.key.topic.as_str()).collect();
    let partitions: Vec<i32> = deltas.iter().map(|delta| delta.key.partition).collect();
    let topic_ids: Vec<Option<&str>> = deltas.iter().map(|delta| delta.topic_id.as_deref()).collect();
    let starts: Vec<Option<i64>> = deltas.iter().map(|delta| delta.from).collect();
    let ends: Vec<i64> = deltas.iter().map(|delta| delta.to).collect();
    let moved = sqlx::query(
        "WITH delta AS (
             SELECT * FROM UNNEST($2::text[], $3::int[], $4::text[], $5::bigint[], $6::bigint[])
                 AS d(topic, partition, topic_id, start, \"end\")),
         moved AS (
             UPDATE positions p
             SET next_offset = d.\"end\", topic_id = COALESCE(d.topic_id, p.topic_id), updated_at = now()
             FROM delta d
             WHERE d.start IS NOT NULL AND p.sink = $1 AND p.topic = d.topic AND p.partition = d.partition
               AND COALESCE(p.topic_id = d.topic_id, true) AND p.next_offset = d.start
             RETURNING 1),
         begun AS (
             INSERT INTO positions (sink, topic, partition, topic_id, next_offset)
             SELECT $1, topic, partition, topic_id, \"end\" FROM delta WHERE start IS NULL
             ON CONFLICT DO NOTHING
             RETURNING 1)
         SELECT (SELECT count(*) FROM moved) + (SELECT count(*) FROM begun),
                set_config('idle_in_transaction_session_timeout', $7, true),
                set_config('plan_cache_mode', 'force_generic_plan', true)",
    )
    .bind(sink)
    .bind(topics)
    .bind(partitions)
    .bind(topic_ids)
    .bind(starts)
    .bind(ends)
    .bind(PATIENCE)
    .fetch_one(&mut *connection)
    .await?
    .try_get::<i64, _>(0)?;
    Ok(usize::try_from(moved).ok() == Some(deltas.len()))
}

/// Which delta does not start where the sink stands; to be asked after the failed transaction was rolled back.
pub(super) async fn explain(
    connection: &mut PgConnection,
    sink: &str,
    deltas: &[PositionDelta],
) -> Result<StoreError, StoreError> {
    let stored = read(connection, sink).await?;
    let found = |delta: &PositionDelta| stored.iter().find(|position| position.key == delta.key);
    if let Some((delta, expected, found)) = deltas
        .iter()
        .filter_map(|delta| Some((delta, found(delta)?)))
        .filter_map(|(delta, position)| Some((delta, delta.topic_id.as_ref()?, position.topic_id.as_ref()?)))
        .find(|(_, expected, found)| expected != found)
    {
        return Ok(StoreError::TopicRecreated {
            topic: delta.key.topic.clone(),
            expected: expected.clone(),
            found: found.clone(),
        });
    }
    let next_offset = |delta: &PositionDelta| found(delta).map(|position| position.next_offset);
    let first = deltas.first().expect("only batches with deltas can fail to advance");
    let delta = deltas.iter().find(|delta| next_offset(delta) != delta.from).unwrap_or(first);
    Ok(StoreError::PositionMoved {
        sink: sink.to_owned(),
        topic: delta.key.topic.clone(),
        partition: delta.key.partition,
        expected: delta.from,
        found: next_offset(delta),
    })
}
