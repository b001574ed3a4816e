//! Atomic batch writes: rows and positions together, or nothing.

mod apply;
mod queries;
mod rows;
mod tables;

use std::collections::HashMap;

use sqlx::PgConnection;

use super::error::data_fault;
use super::positions::{self, PositionDelta};
use super::text::{self, Cleaner};
use super::{Store, StoreError};
use crate::codec::avro::{HEADER_BYTES, encode_record};
use crate::failpoint;
use crate::model::record::{CatalogRecord, CatalogTopic};

/// One record of a catalog topic, to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogWrite {
    /// Its topic.
    pub topic: CatalogTopic,
    /// Partition it was read from.
    pub partition: i32,
    /// Offset it was read at.
    pub offset: i64,
    /// Its Kafka key.
    pub key: String,
    /// The value; `None` is a tombstone.
    pub value: Option<CatalogRecord>,
    /// [`content_hash`] of the value's bytes, where they are at hand; else the value is encoded for it.
    pub hash: Option<[u8; 16]>,
}

/// Hash of a framed value without its frame: a row that was written from the same content is not written again, under
/// whatever id its schema is registered.
pub fn content_hash(framed: &[u8]) -> [u8; 16] {
    text::hash(framed.get(HEADER_BYTES..).unwrap_or_default())
}

/// A record that the sink could not even decode: its place and the reason go into `sink_rejects`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// Its topic.
    pub topic: String,
    /// Partition it was read from.
    pub partition: i32,
    /// Offset it was read at.
    pub offset: i64,
    /// Its Kafka key, as far as it is text.
    pub key: String,
    /// Short code.
    pub reason: String,
    /// For a person.
    pub message: String,
}

/// What became of a batch. Every record of it is in exactly one of the first five.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchOutcome {
    /// Records that changed their row.
    pub written: u64,
    /// Tombstones, whether or not there was a row.
    pub deleted: u64,
    /// Records equal to their row.
    pub unchanged: u64,
    /// Records followed by another one of the same key in this batch.
    pub superseded: u64,
    /// Records put into `sink_rejects`.
    pub rejected: u64,
    /// Characters U+0000 replaced by U+FFFD.
    pub replaced_zeros: u64,
}

/// A write that is ready for SQL.
struct Prepared<'a> {
    write: &'a CatalogWrite,
    key_hash: [u8; 16],
    row_hash: [u8; 16],
}

fn reject(write: &CatalogWrite, reason: &str, message: String) -> Undecodable {
    Undecodable {
        topic: write.topic.name().to_owned(),
        partition: write.partition,
        offset: write.offset,
        key: write.key.clone(),
        reason: reason.to_owned(),
        message,
    }
}

impl Store {
    /// Writes records and moves positions in one transaction. Of several records under one key the last counts.
    ///
    /// A record that the server refuses for its own sake (SQLSTATE classes 22, 23 and 54) is put into `sink_rejects` in
    /// the same transaction, and the rest is written.
    ///
    /// # Errors
    /// [`StoreError::PositionMoved`] or [`StoreError::TopicRecreated`] if a position is not where its delta starts;
    /// then, and on any other error before the commit, nothing was written. After a transient error the outcome is
    /// unknown: read the positions.
    pub async fn apply_batch(
        &self,
        sink: &str,
        writes: &[CatalogWrite],
        deltas: &[PositionDelta],
    ) -> Result<BatchOutcome, StoreError> {
        self.apply_batch_with_rejects(sink, writes, &[], deltas).await
    }

    /// As [`Store::apply_batch`], and notes the records that could not be decoded.
    ///
    /// # Errors
    /// As [`Store::apply_batch`].
    pub async fn apply_batch_with_rejects(
        &self,
        sink: &str,
        writes: &[CatalogWrite],
        undecodable: &[Undecodable],
        deltas: &[PositionDelta],
    ) -> Result<BatchOutcome, StoreError> {
        let (prepared, mut rejects, superseded) = prepare(writes);
        rejects.extend_from_slice(undecodable);
        match self.try_apply(sink, &prepared, &rejects, deltas, Faults::Surface).await {
            Err(StoreError::Database(error)) if data_fault(&error).is_some() => {
                self.try_apply(sink, &prepared, &rejects, deltas, Faults::Isolate).await
            }
            outcome => outcome,
        }
        .map(|outcome| BatchOutcome { superseded, ..outcome })
    }

    async fn try_apply(
        &self,
        sink: &str,
        prepared: &[Prepared<'_>],
        rejects: &[Undecodable],
        deltas: &[PositionDelta],
        faults: Faults,
    ) -> Result<BatchOutcome, StoreError> {
        let mut transaction = self.pool.begin().await?;
        if !positions::advance(&mut transaction, sink, deltas).await? {
            transaction.rollback().await?;
            let mut connection = self.pool.acquire().await?;
            return Err(positions::explain(&mut connection, sink, deltas).await?);
        }
        let mut outcome = BatchOutcome::default();
        put_aside(&mut transaction, sink, rejects, &mut outcome).await?;
        match faults {
            Faults::Surface => apply::apply(&mut transaction, prepared, &mut outcome).await?,
            Faults::Isolate => isolate(&mut transaction, sink, prepared, &mut outcome).await?,
        }
        if outcome.rejected > 0 {
            self.note_rejects();
        }
        self.forget_superseded(&mut transaction, sink, prepared.iter().map(|p| p.write)).await?;
        failpoint::hit("postgres.commit.before");
        transaction.commit().await?;
        failpoint::hit("postgres.commit.after");
        Ok(outcome)
    }
}

/// What a refused record does to its batch.
#[derive(Clone, Copy)]
enum Faults {
    /// Ends the transaction: the fast path, without savepoints.
    Surface,
    /// Is found by halving and put aside.
    Isolate,
}

/// The last write of each key, sorted by topic and key, and the writes that need not be tried.
fn prepare(writes: &[CatalogWrite]) -> (Vec<Prepared<'_>>, Vec<Undecodable>, u64) {
    let mut last: HashMap<(CatalogTopic, &str), &CatalogWrite> = HashMap::with_capacity(writes.len());
    for write in writes {
        let key = match &write.value {
            // Changes share their entity's key and are rows of their own.
            Some(CatalogRecord::Change(change)) => change.id.as_str(),
            _ => write.key.as_str(),
        };
        last.insert((write.topic, key), write);
    }
    let superseded = (writes.len() - last.len()) as u64;
    let mut kept: Vec<_> = last.into_iter().collect();
    kept.sort_unstable_by_key(|(key, _)| *key);

    let mut prepared = Vec::with_capacity(kept.len());
    let mut rejects = Vec::new();
    for (_, write) in kept {
        match check(write) {
            Ok(row_hash) => prepared.push(Prepared { write, key_hash: text::hash(write.key.as_bytes()), row_hash }),
            Err((reason, message)) => rejects.push(reject(write, reason, message)),
        }
    }
    (prepared, rejects, superseded)
}

/// The hash of the record, or why it cannot be stored.
fn check(write: &CatalogWrite) -> Result<[u8; 16], (&'static str, String)> {
    let Some(record) = &write.value else { return Ok([0; 16]) };
    if record.topic() != write.topic {
        return Err(("wrong_topic", format!("a record of {} lies in {}", record.topic().name(), write.topic.name())));
    }
    tables::check_times(record)
        .map_err(|bad| ("time_out_of_range", format!("{} is {} microseconds since 1970", bad.field, bad.micros)))?;
    if let Some(hash) = write.hash {
        return Ok(hash);
    }
    let bytes = encode_record(record, 0).map_err(|error| ("not_encodable", error.to_string()))?;
    Ok(content_hash(&bytes))
}

/// Applies `all`, halving what the server refuses until single records remain, which are put aside.
async fn isolate(
    connection: &mut PgConnection,
    sink: &str,
    all: &[Prepared<'_>],
    outcome: &mut BatchOutcome,
) -> Result<(), StoreError> {
    let mut open = vec![all];
    while let Some(part) = open.pop() {
        if part.is_empty() {
            continue;
        }
        sqlx::query("SAVEPOINT part").execute(&mut *connection).await?;
        let before = *outcome;
        let error = match apply::apply(connection, part, outcome).await {
            Ok(()) => {
                sqlx::query("RELEASE SAVEPOINT part").execute(&mut *connection).await?;
                continue;
            }
            Err(error) => error,
        };
        *outcome = before;
        let Some((code, message)) = data_fault(&error) else { return Err(error.into()) };
        sqlx::query("ROLLBACK TO SAVEPOINT part").execute(&mut *connection).await?;
        if let [single] = part {
            put_aside(connection, sink, &[reject(single.write, &code, message)], outcome).await?;
        } else {
            let (left, right) = part.split_at(part.len() / 2);
            open.push(right);
            open.push(left);
        }
    }
    Ok(())
}

async fn put_aside(
    connection: &mut PgConnection,
    sink: &str,
    rejects: &[Undecodable],
    outcome: &mut BatchOutcome,
) -> Result<(), StoreError> {
    for reject in rejects {
        let mut cleaner = Cleaner::default();
        sqlx::query(
            "INSERT INTO sink_rejects (sink, topic, partition, record_offset, record_key, reason, message)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(sink)
        .bind(&reject.topic)
        .bind(reject.partition)
        .bind(reject.offset)
        .bind(cleaner.text(&reject.key))
        .bind(&reject.reason)
        .bind(cleaner.text(&reject.message))
        .execute(&mut *connection)
        .await?;
        outcome.rejected += 1;
    }
    Ok(())
}
