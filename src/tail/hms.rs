//! The tail of a metastore's notification log.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::listing::{self, Found, ListingError};
use super::outbox::{Outbox, OutboxError, Place, key};
use super::window::{LOOK_BACK, Position, Trouble};
use crate::kafka::{KafkaConfig, KafkaError};
use crate::metastore::{Metastore, MetastoreError, Notification};

/// Events asked for in one call.
const EVENTS_AT_ONCE: i32 = 500;
/// For so long after an event the tail looks behind its position again with each poll.
const BUSY: Duration = Duration::from_secs(60);
/// What is missing may belong to a transaction that is not over: a gap is one if so many polls have found it.
const POLLS_OF_A_GAP: u32 = 3;
const FIRST_BACK_OFF: Duration = Duration::from_millis(250);
const LAST_BACK_OFF: Duration = Duration::from_secs(10);

/// How to tail.
#[derive(Clone, Debug)]
pub struct TailOptions {
    /// Where to.
    pub place: Place,
    /// The name of the metastore in listings; `None` as its messages have it.
    pub server: Option<String>,
    /// Time between polls.
    pub poll: Duration,
    /// End once everything is sent that was in the log at the start.
    pub until_current: bool,
    /// Make a listing where events are missing; else end.
    pub repair: bool,
}

/// What a tail is doing, for people and probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TailState {
    /// Not connected to both sides yet.
    Starting,
    /// Everything up to this id is sent.
    Following(i64),
    /// It tries again, for this reason.
    Waiting(String),
    /// It lists the whole metastore.
    Repairing,
}

/// Why a tail has ended.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// Kafka, or another tail.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The metastore will never answer.
    #[error(transparent)]
    Metastore(#[from] MetastoreError),
    /// Events are missing and nobody may make up for them.
    #[error("{0}; a full listing makes up for it: run without --no-repair")]
    Trouble(String),
}

/// What a tail has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Events sent.
    pub sent: u64,
    /// Of those, events behind the position.
    pub late: u64,
    /// Listings made.
    pub repairs: u64,
    /// Where it stands.
    pub id: i64,
}

/// Tails until `stop` says so, or until the end with [`TailOptions::until_current`].
///
/// # Errors
/// [`TailError`] for what no retry can help; everything else is tried again for ever.
pub fn tail(
    metastore: Metastore,
    kafka: &KafkaConfig,
    options: TailOptions,
    stop: &dyn Fn() -> bool,
    tell: &dyn Fn(TailState),
) -> Result<Done, TailError> {
    let mut tail = Tail {
        metastore,
        kafka,
        options,
        stop,
        tell,
        open: None,
        goal: None,
        suspicion: None,
        last_event: Instant::now(),
        done: Done::default(),
    };
    tail.run()
}

struct Tail<'a> {
    metastore: Metastore,
    kafka: &'a KafkaConfig,
    options: TailOptions,
    stop: &'a dyn Fn() -> bool,
    tell: &'a dyn Fn(TailState),
    open: Option<(Outbox, Position)>,
    /// The newest id when the tail began.
    goal: Option<i64>,
    /// What seems to be missing, and how many polls have found that.
    suspicion: Option<(Trouble, u32)>,
    last_event: Instant,
    done: Done,
}

/// One poll.
enum Polled {
    /// There is more to read at once.
    More,
    /// Nothing more for the moment.
    Idle,
    /// Everything is sent that was there at the start.
    AtGoal,
}

impl Tail<'_> {
    fn run(&mut self) -> Result<Done, TailError> {
        (self.tell)(TailState::Starting);
        let mut back_off = FIRST_BACK_OFF;
        while !(self.stop)() {
            match self.poll() {
                Ok(polled) => {
                    back_off = FIRST_BACK_OFF;
                    match polled {
                        Polled::More => {}
                        Polled::Idle => self.pause(self.options.poll),
                        Polled::AtGoal => break,
                    }
                }
                Err(TailError::Outbox(error)) if error.is_transient() => {
                    // Nobody may know what was written: the position says it.
                    self.open = None;
                    self.wait("kafka", &error.to_string(), &mut back_off);
                }
                Err(TailError::Metastore(error)) if error.is_transient() => {
                    self.metastore.disconnect();
                    self.wait("metastore", &error.to_string(), &mut back_off);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.done.clone())
    }

    fn wait(&mut self, side: &'static str, reason: &str, back_off: &mut Duration) {
        metrics::counter!("hms_tail_failures_total", "side" => side).increment(1);
        tracing::warn!(side, reason, "trying again in {back_off:?}");
        (self.tell)(TailState::Waiting(reason.to_owned()));
        self.pause(*back_off);
        *back_off = (*back_off * 2).min(LAST_BACK_OFF);
    }

    fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        while !(self.stop)() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    fn poll(&mut self) -> Result<Polled, TailError> {
        // Asked first: what it names is in the answer, or is not there. And a tail that does not reach its metastore does
        // not fence one that does.
        let current = self.metastore.current_event_id()?;
        let (mut outbox, position) = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        let goal = *self.goal.get_or_insert(current);
        let look_back = if self.last_event.elapsed() < BUSY { LOOK_BACK } else { 1 };
        let after = (position.id - look_back).max(0);
        let (answer, is_all) = self.read(after, position.id)?;
        let sorted = position.sort_out(after, answer, is_all.then_some(current));
        let mut next = position.clone();
        if !sorted.send.is_empty() {
            self.last_event = Instant::now();
            next = position.advanced(&sorted.send);
            for event in &sorted.send {
                outbox.add(key(event.database.as_deref(), event.table.as_deref()), &value_of(event))?;
            }
            outbox.commit(Some(&next))?;
            self.count(sorted.send.len(), sorted.late);
        }
        if let Some(trouble) = sorted.trouble {
            if self.is_certain(trouble) {
                next = self.repair(&mut outbox, &next, trouble)?;
            }
        } else {
            self.suspicion = None;
        }
        metrics::gauge!("hms_tail_position").set(next.id as f64);
        metrics::gauge!("hms_tail_lag_events").set(current.saturating_sub(next.id).max(0) as f64);
        (self.tell)(TailState::Following(next.id));
        self.done.id = next.id;
        let is_done = is_all && self.suspicion.is_none();
        self.open = Some((outbox, next));
        Ok(match (is_all, is_done && self.options.until_current && self.done.id >= goal) {
            (_, true) => Polled::AtGoal,
            (false, _) => Polled::More,
            (true, _) => Polled::Idle,
        })
    }

    /// Opens the way to Kafka and reads where to go on.
    fn begin(&mut self) -> Result<(Outbox, Position), TailError> {
        let place = self.options.place.clone();
        let id = place.tail_id();
        let outbox = Outbox::open(self.kafka, place, &id)?;
        let position = outbox.position(self.kafka)?.unwrap_or_default();
        tracing::info!(id = position.id, metastore = self.metastore.name(), "tailing from here");
        self.last_event = Instant::now();
        Ok((outbox, position))
    }

    /// The events after `after`, and whether that is all of them. Reads on until there is something after `position`:
    /// behind it there may be more than one answer holds.
    fn read(&mut self, after: i64, position: i64) -> Result<(Vec<Notification>, bool), TailError> {
        let most = usize::try_from(EVENTS_AT_ONCE).unwrap_or(usize::MAX);
        let mut events: Vec<Notification> = Vec::new();
        let mut from = after;
        loop {
            let page = self.metastore.notifications(from, EVENTS_AT_ONCE)?;
            let is_last = page.len() < most;
            let Some(last) = page.last().map(|event| event.event_id) else { return Ok((events, true)) };
            events.retain(|event| event.event_id <= from);
            events.extend(page);
            if is_last || last > position {
                return Ok((events, is_last));
            }
            // The last id may have more events than the page had room for.
            from = if last - 1 > from { last - 1 } else { last };
        }
    }

    fn count(&mut self, sent: usize, late: usize) {
        let (sent, late) = (sent as u64, late as u64);
        metrics::counter!("hms_tail_events_total", "kind" => "late").increment(late);
        metrics::counter!("hms_tail_events_total", "kind" => "new").increment(sent - late);
        self.done.sent += sent;
        self.done.late += late;
    }

    /// Whether the same thing was found often enough.
    fn is_certain(&mut self, trouble: Trouble) -> bool {
        let is_same = |known: &Trouble| match (known, &trouble) {
            (Trouble::Missing { from, .. }, Trouble::Missing { from: now, .. }) => from == now,
            (known, now) => known == now,
        };
        let times = match &self.suspicion {
            Some((known, times)) if is_same(known) => times + 1,
            _ => 1,
        };
        self.suspicion = Some((trouble, times));
        times >= POLLS_OF_A_GAP
    }

    fn repair(&mut self, outbox: &mut Outbox, position: &Position, trouble: Trouble) -> Result<Position, TailError> {
        let (reason, text) = match trouble {
            Trouble::Missing { from, to } => {
                ("missing", format!("events {from} to {to} are not in the log of {} any more", self.metastore.name()))
            }
            Trouble::Rebuilt => {
                ("rebuilt", format!("the event ids of {} have started again: it was rebuilt", self.metastore.name()))
            }
        };
        if !self.options.repair {
            return Err(TailError::Trouble(text));
        }
        tracing::warn!("{text}; making up for it with a full listing");
        metrics::counter!("hms_tail_repairs_total", "reason" => reason).increment(1);
        (self.tell)(TailState::Repairing);
        let server = self.options.server.clone();
        let stop = self.stop;
        let found = match listing::list(&mut self.metastore, outbox, server.as_deref(), position.time, stop) {
            Ok(found) => found,
            Err(ListingError::Metastore(error)) => return Err(error.into()),
            Err(ListingError::Outbox(error)) => return Err(error.into()),
            // The loop looks at it next.
            Err(ListingError::Stopped) => return Ok(position.clone()),
        };
        let next = position.repaired(trouble, self.go_on_at(trouble, &found)?, found.event_time);
        outbox.commit(Some(&next))?;
        tracing::warn!(?found, "the listing is complete; events go on after {}", next.id);
        self.suspicion = None;
        self.done.repairs += 1;
        Ok(next)
    }

    /// Up to where the listing stands in: whatever is still in the log is sent as well, for the histories.
    fn go_on_at(&mut self, trouble: Trouble, found: &Found) -> Result<i64, TailError> {
        Ok(match trouble {
            Trouble::Missing { to, .. } => to,
            Trouble::Rebuilt => {
                let first = self.metastore.notifications(0, 1)?.first().map(|event| event.event_id - 1);
                first.unwrap_or(found.event_id)
            }
        })
    }
}

/// The value of a notification on the topic.
pub(super) fn value_of(event: &Notification) -> Value {
    json!({
        "eventId": event.event_id, "eventTime": event.event_time, "eventType": event.event_type,
        "catName": event.catalog, "dbName": event.database, "tableName": event.table,
        "message": event.message, "messageFormat": event.format,
    })
}

impl From<KafkaError> for TailError {
    fn from(error: KafkaError) -> Self {
        Self::Outbox(error.into())
    }
}
