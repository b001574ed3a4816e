//! Brings a partition's local store to the end of its changelog before the partition's input is resumed.

use std::sync::Arc;
use std::time::Duration;

use crate::failpoint;
use crate::kafka::{Admin, Isolation, KafkaConfig, PartitionReader, ReadProgress, TopicPartition};

use super::fault::Fault;
use super::overlay::Overlay;
use super::spec::StageSpec;
use super::store::LocalStore;

/// Entries written to the store in one go while restoring.
const CHUNK: usize = 20_000;

/// A store on its way to the changelog's end.
pub(super) struct Restore {
    overlay: Overlay,
    reader: PartitionReader,
}

impl Restore {
    /// Opens the store and captures the changelog's end.
    ///
    /// The end is the high watermark: a committed reader's end would be the last stable offset, which can lie before
    /// the last committed transaction while another one is open.
    pub(super) fn start(
        kafka: &KafkaConfig,
        admin: &Arc<Admin>,
        spec: &StageSpec,
        partition: i32,
    ) -> Result<Self, Fault> {
        let changelog = TopicPartition::new(spec.changelog(), partition);
        let mut store = LocalStore::open(&spec.store_path(partition), spec.timeouts.durable)?;
        let ends = admin.watermarks(&changelog, Isolation::Uncommitted)?;
        if store.changelog_offset() > ends.high {
            return Err(Fault::fatal(format!(
                "local state of {} holds {changelog} up to offset {}, but that log ends at {}: the changelog was deleted \
                 and created again, so the state of the partition is lost; run `tributary rebuild state`",
                spec.stage,
                store.changelog_offset(),
                ends.high,
            )));
        }
        if store.changelog_offset() < ends.low {
            store.clear()?;
        }
        let from = store.changelog_offset().max(ends.low);
        let reader = PartitionReader::new(kafka, Arc::clone(admin), changelog, from, ends.high, Isolation::Committed)?;
        Ok(Self { overlay: Overlay::new(store), reader })
    }

    /// Replays for about `budget`; the state when the end is reached.
    pub(super) fn step(mut self, budget: Duration) -> Result<Result<Overlay, Self>, Fault> {
        let mut changes: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
        let before = self.reader.position();
        let progress = self.reader.read(budget, &mut |record| {
            if let Some(key) = record.key {
                changes.push((key, record.value));
            }
        })?;
        if self.reader.position() != before || !changes.is_empty() {
            let store = self.overlay.store_mut();
            let end = self.reader.position();
            let mut chunks = changes.chunks(CHUNK).peekable();
            while let Some(chunk) = chunks.next() {
                // The offset moves with the last chunk only: replaying a part again gives the same.
                let offset = if chunks.peek().is_some() { store.changelog_offset() } else { end };
                store.write(chunk.iter().map(|(k, v)| (k.as_slice(), v.as_deref())), offset)?;
            }
            if changes.is_empty() {
                store.write(std::iter::empty(), end)?;
            }
        }
        if progress == ReadProgress::Reading {
            return Ok(Err(self));
        }
        failpoint::hit("stage.restore.after");
        Ok(Ok(self.overlay))
    }

    /// How far it is: (next offset, end).
    pub(super) fn progress(&self) -> (i64, i64) {
        (self.reader.position(), self.reader.end())
    }
}
