//! What is kept of a session between its records.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use serde::{Deserialize, Serialize};

use super::super::Session;
use super::super::types::{Defaults, StatementKind, StatementLineage, TableName};
use super::effect::{Effects, Maker};
use super::kept::{DAY, Kept, Kind, key};
use crate::model::fact::Origin;
use crate::model::state::{Epoch, StateError};

/// What is kept of one session, bytes; one that has grown beyond begins anew.
const MAX_BYTES: usize = 1 << 20;
/// Tables made in a session whose makers are remembered.
const MAX_MAKERS: usize = 64;
/// Longest text of a maker that is remembered.
const MAKER_TEXT_BYTES: usize = 8 << 10;
/// Sessions that need not be read again, and the largest of them as it is kept: together some 100 MB at most.
const OPEN: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");
const OPEN_BYTES: usize = 32 << 10;

/// A session as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sitting {
    /// The defaults that the log itself told last. What the session says of them holds until the log tells others.
    #[serde(default)]
    base: Defaults,
    /// Temporary tables, defaults, renames.
    #[serde(default)]
    pub session: Session,
    /// A statement whose outcome is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Begun>,
    /// Tables made here and what made them: who fills a table under one name and puts it under another one afterwards
    /// has filled that.
    #[serde(default)]
    makers: Arc<Vec<(TableName, Maker)>>,
}

/// A record that said that a statement began; it is decoded again when its outcome is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub value: String,
    pub timestamp_ms: Option<i64>,
    pub origin: Origin,
}

/// The sessions of the partitions. A memory that changes no answer: what is remembered counts only while nothing but what
/// went through here has changed a partition's state.
pub(super) struct Sittings {
    open: LruCache<Vec<u8>, Open>,
}

/// A session as it was read or written, in an epoch of its partition's state.
struct Open {
    epoch: Epoch,
    /// Until when it is of use; `None` if there is none.
    known: Option<(i64, Sitting)>,
}

impl Default for Sittings {
    fn default() -> Self {
        Self { open: LruCache::new(OPEN) }
    }
}

impl Sittings {
    /// The session `name` at `time`; a new one if it is not known or was silent for a day.
    pub fn open(&mut self, kept: &Kept<'_>, name: &[&str], time: i64) -> Result<Sitting, StateError> {
        let key = key(Kind::Session, name);
        let at_time = |known: &Option<(i64, Sitting)>| {
            known.as_ref().filter(|(due, _)| time < *due).map(|(_, sitting)| sitting.clone()).unwrap_or_default()
        };
        if let Some(open) = self.open.get(&key).filter(|open| open.epoch == *kept.epoch()) {
            return Ok(at_time(&open.known));
        }
        let entry = kept.due(&key)?;
        let is_small = entry.as_ref().is_none_or(|(_, bytes)| bytes.len() <= OPEN_BYTES);
        let known = entry.and_then(|(due, bytes)| Some((due, serde_json::from_slice(&bytes).ok()?)));
        let sitting = at_time(&known);
        if is_small {
            self.open.put(key, Open { epoch: kept.epoch().clone(), known });
        }
        Ok(sitting)
    }

    /// Keeps a session, if there is something to keep; `before` is what was kept.
    pub fn close(
        &mut self,
        sitting: Sitting,
        before: &Sitting,
        kept: &mut Kept<'_>,
        name: &[&str],
        time: i64,
    ) -> Result<(), StateError> {
        if sitting == *before {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&sitting).unwrap_or_default();
        if sitting.says_nothing() || bytes.is_empty() || bytes.len() > MAX_BYTES {
            return self.end(kept, name);
        }
        let due = time.saturating_add(DAY);
        kept.put(Kind::Session, name, due, &bytes);
        let key = key(Kind::Session, name);
        if bytes.len() <= OPEN_BYTES {
            self.open.put(key, Open { epoch: kept.epoch().clone(), known: Some((due, sitting)) });
        } else {
            self.open.pop(&key);
        }
        Ok(())
    }

    /// Forgets a session.
    pub fn end(&mut self, kept: &mut Kept<'_>, name: &[&str]) -> Result<(), StateError> {
        kept.remove(Kind::Session, name)?;
        self.open.pop(&key(Kind::Session, name));
        Ok(())
    }
}

impl Sitting {
    /// The same session with another statement under way, or none.
    pub fn with_begun(&self, begun: Option<Begun>) -> Self {
        Self { begun, ..self.clone() }
    }

    fn says_nothing(&self) -> bool {
        self.begun.is_none() && self.makers.is_empty() && self.session == self.plain()
    }

    fn plain(&self) -> Session {
        Session::new(self.base.clone())
    }

    /// The log says where unqualified names belong.
    pub fn told(&mut self, defaults: &Defaults) {
        if self.base != *defaults {
            self.base = defaults.clone();
            self.session.defaults = defaults.clone();
        }
    }

    /// Follows what `statements` make and rename: what got another name is its maker's.
    pub fn follow(
        &mut self,
        statements: &[StatementLineage],
        mut identify: impl FnMut(&StatementLineage) -> Maker,
        effects: &mut Effects,
    ) {
        for (nth, statement) in statements.iter().enumerate() {
            if !statement.renames.is_empty() {
                let flow = effects.flows.iter_mut().find(|flow| flow.nth == nth);
                let makers = self.renamed(&statement.renames);
                if let (Some(flow), Some(maker)) = (flow, makers.into_iter().next()) {
                    flow.maker = Some(maker);
                }
                continue;
            }
            let makes = matches!(
                statement.kind,
                StatementKind::CreateTable
                    | StatementKind::CreateTableAs
                    | StatementKind::CreateView
                    | StatementKind::CreateMaterializedView
            );
            for table in &statement.outputs {
                let known = self.makers.iter().position(|(name, _)| name == table);
                if !makes && known.is_none() {
                    continue;
                }
                // What fills a table says more than what made it empty.
                let mut maker = identify(statement);
                if maker.text.len() > MAKER_TEXT_BYTES {
                    maker.text.clear();
                }
                let makers = Arc::make_mut(&mut self.makers);
                if let Some(at) = known.or((makers.len() >= MAX_MAKERS).then_some(0)) {
                    makers.remove(at);
                }
                makers.push((table.clone(), maker));
            }
            let is_gone = |(name, _): &(TableName, Maker)| statement.subjects.contains(name);
            if statement.kind == StatementKind::Drop && self.makers.iter().any(is_gone) {
                Arc::make_mut(&mut self.makers).retain(|maker| !is_gone(maker));
            }
        }
    }

    /// Moves makers from old names to new ones, and says whose tables these are.
    fn renamed(&mut self, renames: &[(TableName, TableName)]) -> Vec<Maker> {
        let mut found = Vec::new();
        let mut moved = Vec::new();
        if self.makers.is_empty() {
            return found;
        }
        let makers = Arc::make_mut(&mut self.makers);
        for (old, new) in renames {
            if let Some(at) = makers.iter().position(|(name, _)| name == old) {
                let (_, maker) = makers.remove(at);
                found.push(maker.clone());
                moved.push((new.clone(), maker));
            }
        }
        makers.extend(moved);
        found
    }
}
