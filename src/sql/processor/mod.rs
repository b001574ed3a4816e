//! Query logs → facts: the core of the stage `sql` (design: model §4); and texts of views, models and jobs → lineage: the
//! core of the stage `statements`. Pure: a record, the partition's state and the catalog's schemas go in, facts come out.
//!
//! - A query is counted once. Its id is kept for 8 days of event time; another record of it counts only if it says more.
//! - Statements are bound in their session: temporary tables, `USE`, search paths and renames of earlier records hold. A
//!   session ends with the log's own word or after 24 hours of event time without a record.
//! - A statement that has begun (Postgres, Hive) is counted when a later record says how it ended.
//! - What the platform itself says of tables read and written goes before what the text says.
//! - A query that did not succeed has read what it names, and done nothing.
//! - What engines keep about themselves (`information_schema`, `pg_catalog`, …) and what matches an ignore pattern
//!   (`*__dbt_tmp`, …) is no dataset of the catalog: it stands in the query's text, and nowhere else. What was built under
//!   such a name and renamed in the same session is followed to the name it got.
//!
//! May not know topics, clocks, or how schemas come about.

mod answers;
mod bound;
mod effect;
mod facts;
mod kept;
mod names;
mod pairing;
mod sitting;
mod statements;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::log::{self, AccessPart, LogConfig, LogLine, QueryEvent, QueryStatus};
use super::schemas::Schemas;
use super::types::{Dialect, StatementKind, StatementLineage, Status};
use super::{Options, normalise};
use crate::model::check::FactLimits;
use crate::model::fact::{Fact, Origin};
use crate::model::id::Identity;
use crate::model::raw::{Normalized, RawRecord, hash};
use crate::model::reject::Rejection;
use crate::model::state::{State, StateError};

use answers::{Answers, Shaped};
use effect::{Effect, Effects, Maker};
use facts::{Counted, JobText, Teller};
use kept::{DAY, HOUR, Kept, Kind};
use names::Names;
use sitting::{Sitting, Sittings};
pub use statements::StatementBinder;

/// Queries that were counted are known so long.
const SEEN_FOR: i64 = 8 * DAY;
/// Bytes of a stored text.
const TEXT_BYTES: usize = 64 << 10;

/// What an installation decides about queries.
#[derive(Clone, Debug)]
pub struct ProcessorConfig {
    /// Names of datasets.
    pub identity: Arc<Identity>,
    /// Instances and limits of logs.
    pub logs: LogConfig,
    /// Limits of facts.
    pub facts: FactLimits,
    /// How texts are bound.
    pub options: Options,
    /// Whether texts are stored as they are, with their literals, which may be personal data.
    pub keep_literals: bool,
}

/// Why a record could not be processed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It can never be.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Makes facts of query logs.
pub struct QueryProcessor {
    config: ProcessorConfig,
    answers: Answers,
    sittings: Sittings,
    bound: Option<Bound>,
}

/// How the text of a query was bound: as well as the worst of its statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// There is no text.
    NoText,
    /// Every name was resolved.
    Complete,
    /// A part is missing.
    Partial,
    /// A statement was not understood.
    Failed,
}

impl Bound {
    fn of(text: &str, statements: &[StatementLineage]) -> Self {
        let one = |statement: &StatementLineage| match statement.status {
            Status::Complete => Self::Complete,
            Status::Partial { .. } => Self::Partial,
            Status::Failed { .. } => Self::Failed,
        };
        let least = if text.is_empty() { Self::NoText } else { Self::Complete };
        statements.iter().map(one).max().map_or(least, |worst| worst.max(least))
    }

    /// As metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoText => "no_text",
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

/// A record on its way.
struct Input<'a> {
    topic: &'a str,
    origin: &'a Origin,
    timestamp_ms: Option<i64>,
    /// First bytes of the hash of its value.
    hash: u64,
}

impl Input<'_> {
    /// An event time, which is not later than an hour after the broker took the record: clocks that run ahead must not end
    /// what is kept for a time.
    fn clamped(&self, time: i64) -> i64 {
        let latest =
            self.timestamp_ms.and_then(|ms| ms.checked_mul(1_000)).map(|received| received.saturating_add(HOUR));
        latest.map_or(time, |latest| time.min(latest))
    }
}

impl QueryProcessor {
    /// A processor that has seen nothing.
    pub fn new(config: ProcessorConfig) -> Self {
        Self { config, answers: Answers::default(), sittings: Sittings::default(), bound: None }
    }

    /// What `record` says, with what is kept in `state` of the records before it, bound against `schemas`.
    ///
    /// # Errors
    /// The record's rejection, or a state that cannot be read.
    pub fn process(
        &mut self,
        record: &RawRecord<'_>,
        schemas: &Schemas,
        state: &mut dyn State,
    ) -> Result<Normalized, ProcessError> {
        self.bound = None;
        let line = log::decode(record, &self.config.logs)?;
        let value = record.value.unwrap_or_default();
        let input = Input {
            topic: &record.origin.topic,
            origin: &record.origin,
            timestamp_ms: record.timestamp_ms,
            hash: hash(value),
        };
        let mut kept = Kept::new(state);
        let mut facts = Vec::new();
        let outcome = match line {
            LogLine::NoOp(reason) => Err(reason),
            LogLine::Query(event) if event.status == QueryStatus::Running => {
                self.begins(&event, value, &input, schemas, &mut kept, &mut facts)?
            }
            LogLine::Query(event) => self.ended(*event, &input, schemas, &mut kept, &mut facts)?,
            LogLine::Duration(line) => self.took(&line, &input, schemas, &mut kept, &mut facts)?,
            LogLine::SessionEnd { platform, instance, session_id, at } => {
                self.session_ends((&platform, &instance, &session_id), at, &input, schemas, &mut kept, &mut facts)?
            }
            LogLine::Accessed(part) => self.accessed(&part, &input, &mut kept, &mut facts)?,
        };
        match outcome {
            _ if !facts.is_empty() => Ok(Normalized::Facts(facts)),
            Err(reason) => Ok(Normalized::NoOp(reason)),
            Ok(()) => Ok(Normalized::NoOp("told_this_hour")),
        }
    }

    /// How the text of the query was bound that [`Self::process`] has counted; `None` if it has counted none.
    pub fn bound(&self) -> Option<Bound> {
        self.bound
    }

    fn is_seen(&self, event: &QueryEvent<'_>, richness: u8, kept: &Kept<'_>, time: i64) -> Result<bool, StateError> {
        let seen = kept.get(Kind::Seen, &[&event.instance, &event.query_id], time)?;
        Ok(seen.and_then(|seen| seen.first().copied()).is_some_and(|known| known >= richness))
    }

    /// The record of `event` belongs to another query: what it would be counted as is known already.
    fn pass_over(&self, event: &QueryEvent<'_>, kept: &mut Kept<'_>, time: i64) {
        kept.put(Kind::Seen, &[&event.instance, &event.query_id], time.saturating_add(SEEN_FOR), &[u8::MAX]);
    }

    /// Counts a query that has ended.
    fn count(
        &mut self,
        event: QueryEvent<'_>,
        input: &Input<'_>,
        schemas: &Schemas,
        kept: &mut Kept<'_>,
        facts: &mut Vec<Fact>,
    ) -> Result<Outcome, ProcessError> {
        let time = input.clamped(event.end.unwrap_or(event.start));
        if self.is_seen(&event, event.richness, kept, time)? {
            return Ok(Err("seen"));
        }
        kept.put(Kind::Seen, &[&event.instance, &event.query_id], time.saturating_add(SEEN_FOR), &[event.richness]);
        let config = &self.config;
        let instance = config.identity.instances().find(&event.instance).map(|known| known.namespace.clone());
        let instance = instance.unwrap_or_else(|| event.instance.clone());
        let text = event.text.as_deref().unwrap_or_default();
        let name = event.session_id.as_deref().map(|session| [event.platform.as_str(), &event.instance, session]);
        let before = match &name {
            Some(name) => self.sittings.open(kept, name, time)?,
            None => Sitting::default(),
        };
        let mut sitting = before.clone();
        sitting.told(&event.defaults);
        let defaults = sitting.session.defaults.clone();
        let names = Names::new(&config.identity, &instance, event.dialect, &defaults, input.topic);
        let succeeded = event.status == QueryStatus::Success;

        let mut session = sitting.session.clone();
        let options = Options { remember: name.is_some(), ..config.options };
        let shaped = Shaped::new(text, event.dialect);
        let answer = self.answers.statements(&shaped, &mut session, schemas, &names, &options);
        self.bound = Some(Bound::of(text, &answer.statements));
        let mut effects = Effects::of_statements(&answer.statements, text, &names);
        effects.complete &= !event.truncated;
        if succeeded {
            sitting.session = session;
            if name.is_some() {
                let answers = &mut self.answers;
                let identify = |statement: &StatementLineage| {
                    let span = is_script(&answer.statements).then_some(statement.span);
                    let JobText { fingerprint, text } = job_text(answers, &shaped, span);
                    Maker { fingerprint, text }
                };
                sitting.follow(&answer.statements, identify, &mut effects);
            }
            effects.correct(event.reads.as_deref(), event.writes.as_deref(), &names);
        } else {
            effects.correct(event.reads.as_deref(), None, &names);
            effects.undone();
        }
        let is_test = event.named_job.as_ref().is_some_and(|job| {
            job.tool == "dbt" && (job.name.starts_with("test.") || job.name.starts_with("unit_test."))
        });
        if is_test {
            // It checks data and makes none.
            effects.flows.clear();
        }
        if let Some(name) = &name {
            self.sittings.close(sitting, &before, kept, name, time)?;
        }
        let normalised = (!text.is_empty()).then(|| self.answers.normalised(&shaped));
        let stored = normalised.as_ref().map(|known| {
            let stored = if config.keep_literals { text } else { known.redacted.as_str() };
            cut(stored, TEXT_BYTES).to_owned()
        });
        let counted = Counted {
            event: &event,
            instance: &instance,
            time,
            origin: input.origin.clone(),
            hash: input.hash,
            fingerprint: normalised.as_ref().map(|known| known.fingerprint.clone()).unwrap_or_default(),
            text: stored,
            bound: answer.bound(),
        };
        let teller = Teller { identity: &config.identity, limits: &config.facts, kept, counted };
        let answers = &mut self.answers;
        let text_of = |flow: &Effect| match &flow.maker {
            Some(maker) => JobText { fingerprint: maker.fingerprint.clone(), text: maker.text.clone() },
            None if text.is_empty() => facts::connecting(flow),
            None => job_text(answers, &shaped, flow.span),
        };
        let redacted = normalised.as_ref().filter(|_| !config.keep_literals);
        let definition = match (redacted, is_script(&answer.statements)) {
            (None, _) => text,
            // Spans are those of the text as it was.
            (Some(known), false) => known.redacted.as_str(),
            (Some(_), true) => "",
        };
        let whole = whole_spans(&mut effects, definition.len(), redacted.is_some());
        facts.append(&mut teller.tell(whole, definition, text_of)??);
        Ok(Ok(()))
    }

    /// Tables that a query of another record read and wrote: lineage, without counting the query.
    fn accessed(
        &mut self,
        part: &AccessPart<'_>,
        input: &Input<'_>,
        kept: &mut Kept<'_>,
        facts: &mut Vec<Fact>,
    ) -> Result<Outcome, ProcessError> {
        let time = input.clamped(part.at);
        kept.advance(time)?;
        let config = &self.config;
        let instance = config.identity.instances().find(&part.instance).map(|known| known.namespace.clone());
        let instance = instance.unwrap_or_else(|| part.instance.clone());
        let mut event = QueryEvent::new(part.platform.clone(), part.instance.clone(), part.query_id.clone(), part.at);
        event.named_job = part.named_job.clone();
        let defaults = event.defaults.clone();
        let names = Names::new(&config.identity, &instance, event.dialect, &defaults, input.topic);
        let mut effects = Effects::default();
        effects.correct(Some(&part.reads), Some(&part.writes), &names);
        if effects.flows.iter().all(|flow| flow.inputs.is_empty() || flow.outputs.is_empty()) {
            return Ok(Err("no_lineage"));
        }
        let counted = Counted {
            event: &event,
            instance: &instance,
            time,
            origin: input.origin.clone(),
            hash: input.hash,
            fingerprint: String::new(),
            text: None,
            bound: Vec::new(),
        };
        let teller = Teller { identity: &config.identity, limits: &config.facts, kept, counted };
        let mut told = teller.tell(&effects, "", facts::connecting)??;
        told.retain(|fact| fact.kind != crate::model::fact::EntityKind::Query);
        facts.append(&mut told);
        Ok(Ok(()))
    }
}

/// Facts were made, or a reason why there are none.
type Outcome = Result<(), &'static str>;

/// Whether a text has several statements that do something.
fn is_script(statements: &[StatementLineage]) -> bool {
    let counts = |one: &&StatementLineage| {
        !matches!(one.kind, StatementKind::Use | StatementKind::Set | StatementKind::Transaction | StatementKind::Other)
    };
    statements.iter().filter(counts).count() > 1
}

/// What a statement's job is called and reads: its text without literals.
fn job_text(answers: &mut Answers, whole: &Shaped<'_>, span: Option<(usize, usize)>) -> JobText {
    let part = span.and_then(|(from, to)| whole.text.get(from..to));
    let part = part.map(|part| Shaped::new(part, whole.dialect));
    JobText::of(&answers.normalised(part.as_ref().unwrap_or(whole)))
}

/// What the job of a query is called, and reads: as [`QueryProcessor`] has it for a text of one statement.
pub fn name_of_query(text: &str, dialect: Dialect) -> (String, String) {
    let JobText { fingerprint, text } = JobText::of(&normalise(text, dialect));
    (fingerprint, text)
}

/// Redacting moves places: a statement that is the only one is the whole text.
fn whole_spans(effects: &mut Effects, length: usize, redacted: bool) -> &Effects {
    if redacted {
        for ddl in &mut effects.ddl {
            if let effect::Made::Created { span, .. } = &mut ddl.what {
                *span = (0, length);
            }
        }
    }
    effects
}

/// At most so many bytes of a text.
fn cut(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}
