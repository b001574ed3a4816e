//! Brings a partition's local store to the end of its changelog before the partition's input is resumed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::failpoint;
use crate::kafka::{Admin, Isolation, KafkaConfig, PartitionReader, ReadProgress, TopicId, TopicPartition};

use super::fault::Fault;
use super::overlay::Overlay;
use super::spec::StageSpec;
use super::store::LocalStore;

/// Entries written to the store in one go while restoring.
const CHUNK: usize = 20_000;

/// A store that was written last so long ago may lack deletions: tombstones stay readable for seven days.
const STALE: Duration = Duration::from_secs(6 * 24 * 3600);

/// What is known of a stage's changelog besides its records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChangelogKnown {
    /// Its id, if it can be told.
    pub(super) id: Option<TopicId>,
    /// The group's offset was committed together with this very changelog: whatever another one held does not count.
    pub(super) is_the_groups: bool,
}

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
        known: ChangelogKnown,
    ) -> Result<Self, Fault> {
        let changelog = TopicPartition::new(spec.changelog(), partition);
        let path = spec.store_path(partition);
        let stale = is_stale(&path);
        let mut store = LocalStore::open(&path, spec.timeouts.durable)?;
        let ends = admin.watermarks(&changelog, Isolation::Uncommitted)?;
        let others = matches!((store.changelog_id()?, known.id), (Some(theirs), Some(ours)) if theirs != ours);
        if others || store.changelog_offset() > ends.high {
            if !known.is_the_groups {
                let what = format!(
                    "the local state holds it up to offset {}, it ends at {}",
                    store.changelog_offset(),
                    ends.high
                );
                return Err(state_lost(spec, &changelog, &what));
            }
            store.clear()?;
        }
        if stale || store.changelog_offset() < ends.low {
            store.clear()?;
        }
        if let Some(id) = known.id.filter(|id| !matches!(store.changelog_id(), Ok(Some(kept)) if kept == *id)) {
            store.set_changelog_id(id)?;
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

/// The changelog that held a partition's state is gone.
pub(super) fn state_lost(spec: &StageSpec, changelog: &TopicPartition, what: &str) -> Fault {
    Fault::fatal(format!(
        "changelog {changelog} was deleted and created again ({what}): the state of stage {} that it held is lost there. \
         Where local state is left, in the data directory of the process that ran the partition last, `tributary rebuild \
         state --from-local` writes it into the new changelog. Without it, `tributary topology apply --accept-loss` lets \
         the stage begin anew with what its input still holds",
        spec.stage
    ))
}

fn is_stale(path: &std::path::Path) -> bool {
    let written = std::fs::metadata(path).and_then(|meta| meta.modified());
    written.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > STALE))
}
