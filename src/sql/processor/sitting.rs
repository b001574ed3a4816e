//! What is kept of a session between its records.

use serde::{Deserialize, Serialize};

use super::super::Session;
use super::super::types::{Defaults, StatementKind, StatementLineage, TableName};
use super::effect::{Effects, Maker};
use super::kept::{DAY, Kept, Kind};
use crate::model::fact::Origin;
use crate::model::state::StateError;

/// What is kept of one session, bytes; one that has grown beyond begins anew.
const MAX_BYTES: usize = 1 << 20;
/// Tables made in a session whose makers are remembered.
const MAX_MAKERS: usize = 64;
/// Longest text of a maker that is remembered.
const MAKER_TEXT_BYTES: usize = 8 << 10;

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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    makers: Vec<(TableName, Maker)>,
}

/// A record that said that a statement began; it is decoded again when its outcome is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub value: String,
    pub timestamp_ms: Option<i64>,
    pub origin: Origin,
}

impl Sitting {
    /// The session `name` at `time`; a new one if it is not known or was silent for a day.
    pub fn open(kept: &Kept<'_>, name: &[&str], time: i64) -> Result<Self, StateError> {
        let known = kept.get(Kind::Session, name, time)?;
        Ok(known.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    /// The same session with another statement under way, or none.
    pub fn with_begun(&self, begun: Option<Begun>) -> Self {
        Self { begun, ..self.clone() }
    }

    /// Keeps it, if there is something to keep; `before` is what was kept.
    pub fn close(self, before: &Self, kept: &mut Kept<'_>, name: &[&str], time: i64) -> Result<(), StateError> {
        if self == *before {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&self).unwrap_or_default();
        let says_nothing = self.begun.is_none() && self.makers.is_empty() && self.session == self.plain();
        if says_nothing || bytes.is_empty() || bytes.len() > MAX_BYTES {
            return kept.remove(Kind::Session, name);
        }
        kept.put(Kind::Session, name, time.saturating_add(DAY), &bytes);
        Ok(())
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
                if let Some(at) = known.or((self.makers.len() >= MAX_MAKERS).then_some(0)) {
                    self.makers.remove(at);
                }
                self.makers.push((table.clone(), maker));
            }
            if statement.kind == StatementKind::Drop {
                self.makers.retain(|(name, _)| !statement.subjects.contains(name));
            }
        }
    }

    /// Moves makers from old names to new ones, and says whose tables these are.
    fn renamed(&mut self, renames: &[(TableName, TableName)]) -> Vec<Maker> {
        let mut found = Vec::new();
        let mut moved = Vec::new();
        for (old, new) in renames {
            if let Some(at) = self.makers.iter().position(|(name, _)| name == old) {
                let (_, maker) = self.makers.remove(at);
                found.push(maker.clone());
                moved.push((new.clone(), maker));
            }
        }
        self.makers.extend(moved);
        found
    }
}
