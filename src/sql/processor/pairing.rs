//! Statements that one record says began and another how they ended: Postgres writes two lines of each, Hive's hook two
//! records.

use super::kept::{DAY, Kept, Kind};
use super::sitting::Begun;
use super::{Input, Outcome, ProcessError, QueryProcessor, hash};
use crate::model::fact::Fact;
use crate::model::raw::RawRecord;
use crate::model::state::StateError;
use crate::sql::log::{self, DurationLine, LogLine, Platform, QueryEvent, QueryStatus};
use crate::sql::schemas::Schemas;

/// A record that is larger is not kept until its outcome comes.
const BEGUN_BYTES: usize = 1 << 20;

impl QueryProcessor {
    /// A statement begins. In a session it is kept until the session says more; of Hive, until the same query ends.
    pub(super) fn begins(
        &mut self,
        event: &QueryEvent<'_>,
        value: &[u8],
        input: &Input<'_>,
        schemas: &Schemas,
        kept: &mut Kept<'_>,
        facts: &mut Vec<Fact>,
    ) -> Result<Outcome, ProcessError> {
        let time = input.clamped(event.start);
        kept.advance(time)?;
        if self.is_seen(event, event.richness, kept, time)? {
            return Ok(Err("seen"));
        }
        let begun = Begun {
            value: String::from_utf8_lossy(value).into_owned(),
            timestamp_ms: input.timestamp_ms,
            origin: input.origin.clone(),
        };
        match (&event.platform, &event.session_id) {
            (Platform::Postgres, Some(session)) => {
                let name = [event.platform.as_str(), &event.instance, session];
                let known = self.sittings.open(kept, &name, time)?.begun;
                if known.is_some_and(|known| known.value == begun.value) {
                    // The same record again says nothing of the outcome.
                    return Ok(Err("seen"));
                }
                tolerated(self.begun_succeeded(&name, None, (time, input), schemas, kept, facts))?;
                if value.len() > BEGUN_BYTES {
                    // Too large to wait for its duration.
                    let event = QueryEvent { status: QueryStatus::Success, end: Some(event.start), ..event.clone() };
                    return self.count(event, input, schemas, kept, facts);
                }
                let before = self.sittings.open(kept, &name, time)?;
                self.sittings.close(before.with_begun(Some(begun)), &before, kept, &name, time)?;
                Ok(Err("waits_for_its_outcome"))
            }
            (Platform::Hive, _) if value.len() <= BEGUN_BYTES => {
                let name = [event.instance.as_str(), &event.query_id];
                let bytes = serde_json::to_vec(&begun).unwrap_or_default();
                kept.put(Kind::Begun, &name, time.saturating_add(DAY), &bytes);
                Ok(Err("waits_for_its_outcome"))
            }
            // The record that tells the outcome tells the rest as well.
            _ => Ok(Err("running")),
        }
    }

    /// A record that tells of a query and how it ended.
    pub(super) fn ended(
        &mut self,
        mut event: QueryEvent<'_>,
        input: &Input<'_>,
        schemas: &Schemas,
        kept: &mut Kept<'_>,
        facts: &mut Vec<Fact>,
    ) -> Result<Outcome, ProcessError> {
        let time = input.clamped(event.end.unwrap_or(event.start));
        kept.advance(time)?;
        if event.platform == Platform::Postgres
            && let Some(session) = event.session_id.clone()
        {
            let name = [event.platform.as_str(), &event.instance, &session];
            let before = self.sittings.open(kept, &name, time)?;
            let is_same = before.begun.as_ref().is_some_and(|begun| self.tells_of(begun, &event));
            if is_same {
                let begun = before.begun.clone();
                self.sittings.close(before.with_begun(None), &before, kept, &name, time)?;
                if let Some(begun) = begun
                    && let Ok(LogLine::Query(first)) = log::decode(&begun.record(), &self.config.logs)
                {
                    let (query_id, start) = (first.query_id.into_owned(), first.start);
                    // Read again, this record meets no beginning, and must not be taken for a query of its own.
                    self.pass_over(&event, kept, time);
                    event.start = start.min(event.start);
                    event.query_id = query_id.into();
                    return self.count(event, input, schemas, kept, facts);
                }
            }
            tolerated(self.begun_succeeded(&name, None, (time, input), schemas, kept, facts))?;
        }
        if event.platform == Platform::Hive {
            let name = [event.instance.clone(), event.query_id.to_string()];
            let name = [name[0].as_str(), name[1].as_str()];
            let bytes = kept.get(Kind::Begun, &name, time)?;
            if let Some(begun) = bytes.and_then(|bytes| serde_json::from_slice::<Begun>(&bytes).ok()) {
                kept.remove(Kind::Begun, &name)?;
                if let Ok(LogLine::Query(first)) = log::decode(&begun.record(), &self.config.logs) {
                    let joined = with_beginning(event, *first);
                    return self.count(joined, input, schemas, kept, facts);
                }
            }
        }
        self.count(event, input, schemas, kept, facts)
    }

    /// A statement of a session succeeded, in so long.
    pub(super) fn took(
        &mut self,
        line: &DurationLine<'_>,
        input: &Input<'_>,
        schemas: &Schemas,
        kept: &mut Kept<'_>,
        facts: &mut Vec<Fact>,
    ) -> Result<Outcome, ProcessError> {
        let time = input.clamped(line.end);
        kept.advance(time)?;
        let name = [Platform::Postgres.as_str(), &line.instance, &line.session_id];
        if self.begun_succeeded(&name, Some(line), (time, input), schemas, kept, facts)? {
            return Ok(Ok(()));
        }
        Ok(Err("duration_without_statement"))
    }

    pub(super) fn session_ends(
        &mut self,
        (platform, instance, session): (&Platform, &str, &str),
        at: i64,
        input: &Input<'_>,
        schemas: &Schemas,
        kept: &mut Kept<'_>,
        facts: &mut Vec<Fact>,
    ) -> Result<Outcome, ProcessError> {
        let time = input.clamped(at);
        kept.advance(time)?;
        let name = [platform.as_str(), instance, session];
        self.begun_succeeded(&name, None, (time, input), schemas, kept, facts)?;
        self.sittings.end(kept, &name)?;
        Ok(Err("session_end"))
    }

    /// The statement that has begun in a session, if there is one, did what it says. Returns whether there was one.
    fn begun_succeeded(
        &mut self,
        name: &[&str; 3],
        line: Option<&DurationLine<'_>>,
        (time, input): (i64, &Input<'_>),
        schemas: &Schemas,
        kept: &mut Kept<'_>,
        facts: &mut Vec<Fact>,
    ) -> Result<bool, ProcessError> {
        let before = self.sittings.open(kept, name, time)?;
        let Some(begun) = before.begun.clone() else { return Ok(false) };
        self.sittings.close(before.with_begun(None), &before, kept, name, time)?;
        let Ok(LogLine::Query(first)) = log::decode(&begun.record(), &self.config.logs) else { return Ok(false) };
        let mut event = *first;
        event.status = QueryStatus::Success;
        event.end = Some(line.map_or(event.start, |line| line.end.max(event.start)));
        event.duration_us = line.map(|line| line.duration_us);
        if let Some(told) = line.and_then(|line| line.statement_type.as_deref()) {
            event.statement_type = Some(told.to_owned().into());
        }
        event.richness = event.rank();
        // Its facts are those of the record that told of it.
        let own = Input {
            topic: input.topic,
            origin: &begun.origin,
            timestamp_ms: input.timestamp_ms,
            hash: hash(begun.value.as_bytes()),
        };
        let _outcome = self.count(event, &own, schemas, kept, facts)?;
        Ok(true)
    }

    /// Whether a record that tells of a failure is about the statement that has begun.
    fn tells_of(&self, begun: &Begun, event: &QueryEvent<'_>) -> bool {
        let Ok(LogLine::Query(first)) = log::decode(&begun.record(), &self.config.logs) else { return false };
        first.query_id == event.query_id || (first.text.is_some() && first.text == event.text)
    }
}

/// That the statement before cannot be kept is no reason to refuse the record of the next one: only a record that tells
/// of that statement itself is refused for it.
fn tolerated(outcome: Result<bool, ProcessError>) -> Result<(), StateError> {
    match outcome {
        Ok(_) | Err(ProcessError::Rejected(_)) => Ok(()),
        Err(ProcessError::State(error)) => Err(error),
    }
}

impl Begun {
    fn record(&self) -> RawRecord<'_> {
        let value = Some(self.value.as_bytes());
        RawRecord { origin: self.origin.clone(), timestamp_ms: self.timestamp_ms, key: None, value }
    }
}

/// The outcome of a query together with what its beginning told.
fn with_beginning<'a>(event: QueryEvent<'a>, first: QueryEvent<'a>) -> QueryEvent<'a> {
    let mut joined = QueryEvent {
        start: first.start.min(event.start),
        session_id: event.session_id.or(first.session_id),
        user: event.user.or(first.user),
        role: event.role.or(first.role),
        application: event.application.or(first.application),
        truncated: if event.text.is_some() { event.truncated } else { first.truncated },
        text: event.text.or(first.text),
        statement_type: event.statement_type.or(first.statement_type),
        defaults: if event.defaults == Default::default() { first.defaults } else { event.defaults },
        reads: event.reads.or(first.reads),
        writes: event.writes.or(first.writes),
        named_job: event.named_job.or(first.named_job),
        ..event
    };
    joined.duration_us = joined.duration_us.or_else(|| joined.end.map(|end| end.saturating_sub(joined.start)));
    joined.richness = joined.rank();
    joined
}
