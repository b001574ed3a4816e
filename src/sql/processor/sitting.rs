//! What is kept of a session between its records.

use serde::{Deserialize, Serialize};

use super::super::Session;
use super::super::types::{Defaults, StatementKind, StatementLineage, TableName};
use super::effect::{Before, Effect, Effects};
use super::kept::{DAY, Kept, Kind};
use super::names::Names;
use crate::model::fact::Origin;
use crate::model::state::StateError;

/// What is kept of one session, bytes; one that has grown beyond begins anew.
const MAX_BYTES: usize = 1 << 20;
/// Tables made in a session whose makers are remembered.
const MAX_BUILT: usize = 64;

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
    built: Vec<Built>,
}

/// A record that said that a statement began; it is decoded again when its outcome is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub value: String,
    pub timestamp_ms: Option<i64>,
    pub origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Built {
    name: TableName,
    statement: StatementLineage,
    fingerprint: String,
    text: String,
}

impl Sitting {
    /// The session `name` at `time`; a new one if it is not known or was silent for a day.
    pub fn open(kept: &Kept<'_>, name: &[&str], time: i64) -> Result<Self, StateError> {
        let known = kept.get(Kind::Session, name, time)?;
        Ok(known.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    /// Keeps it, if there is something to keep; `before` is what was kept.
    pub fn close(self, before: &Self, kept: &mut Kept<'_>, name: &[&str], time: i64) -> Result<(), StateError> {
        if self == *before {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&self).unwrap_or_default();
        let says_nothing = self.begun.is_none() && self.built.is_empty() && self.session == self.plain();
        if says_nothing || bytes.is_empty() || bytes.len() > MAX_BYTES {
            return kept.remove(Kind::Session, name);
        }
        kept.put(Kind::Session, name, time.saturating_add(DAY), &bytes);
        Ok(())
    }

    fn plain(&self) -> Session {
        Session { defaults: self.base.clone(), ..Session::default() }
    }

    /// The log says where unqualified names belong.
    pub fn told(&mut self, defaults: &Defaults) {
        if self.base != *defaults {
            self.base = defaults.clone();
            self.session.defaults = defaults.clone();
        }
    }

    /// Follows what `statements` make and rename; the flows into tables that got another name are added to `effects`.
    pub fn follow(
        &mut self,
        statements: &[StatementLineage],
        mut identify: impl FnMut(&StatementLineage) -> Before,
        effects: &mut Effects,
        names: &Names<'_>,
    ) {
        for statement in statements {
            match statement.kind {
                StatementKind::CreateTable
                | StatementKind::CreateTableAs
                | StatementKind::CreateView
                | StatementKind::CreateMaterializedView => {
                    for table in &statement.outputs {
                        self.built.retain(|built| built.name != *table);
                        self.build(table, statement, identify(statement));
                    }
                }
                StatementKind::Insert | StatementKind::Copy | StatementKind::Merge => {
                    for table in &statement.outputs {
                        let is_ours = self.built.iter().any(|built| built.name == *table);
                        let is_new = !self.built.iter().any(|built| {
                            built.name == *table
                                && built.statement.inputs == statement.inputs
                                && built.statement.columns == statement.columns
                        });
                        if is_ours && is_new {
                            self.build(table, statement, identify(statement));
                        }
                    }
                }
                StatementKind::Drop => {
                    self.built.retain(|built| !statement.subjects.contains(&built.name));
                }
                StatementKind::Rename | StatementKind::Swap => {
                    for (from, to) in renames(statement) {
                        self.rename(&from, &to, effects, names);
                    }
                }
                _ => {}
            }
        }
    }

    fn build(&mut self, table: &TableName, statement: &StatementLineage, identity: Before) {
        if self.built.len() >= MAX_BUILT {
            self.built.remove(0);
        }
        let Before { fingerprint, text } = identity;
        self.built.push(Built { name: table.clone(), statement: statement.clone(), fingerprint, text });
    }

    fn rename(&mut self, from: &TableName, to: &TableName, effects: &mut Effects, names: &Names<'_>) {
        self.built.retain(|built| built.name != *to);
        for built in self.built.iter_mut().filter(|built| built.name == *from) {
            built.name = to.clone();
            let before = Before { fingerprint: built.fingerprint.clone(), text: built.text.clone() };
            if let Some(effect) = effects.flow(&built.statement, std::slice::from_ref(to), names) {
                effects.writes.extend(effect.outputs.iter().cloned());
                effects.flows.push(Effect { before: Some(before), ..effect });
            }
        }
    }
}

/// Old and new names of a statement that renames.
fn renames(statement: &StatementLineage) -> Vec<(TableName, TableName)> {
    match (statement.kind, statement.subjects.as_slice(), statement.inputs.as_slice()) {
        (StatementKind::Swap, [one, other], _) | (StatementKind::Swap, _, [one, other]) => {
            vec![(one.clone(), other.clone())]
        }
        (StatementKind::Rename, subjects, inputs) => {
            let old = if subjects.is_empty() { inputs } else { subjects };
            old.iter().cloned().zip(statement.outputs.iter().cloned()).collect()
        }
        _ => Vec::new(),
    }
}
