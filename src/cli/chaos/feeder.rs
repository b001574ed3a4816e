//! Brings the log of events into Kafka, slice by slice, at a steady pace, whatever happens to the broker.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::events::Event;
use crate::kafka::{KafkaConfig, KafkaError, OutgoingRecord, Producer};

/// A portion is sent each so often.
const BEAT: Duration = Duration::from_millis(25);
/// Beats that a slice takes at least.
const BEATS: usize = 60;

/// A thread that produces events up to a bound which others raise.
pub(super) struct Feeder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    events: Vec<Event>,
    /// Events may be sent up to here.
    allowed: AtomicUsize,
    /// Events most at a time.
    portion: AtomicUsize,
    sent: AtomicUsize,
    stopped: AtomicBool,
    failure: Mutex<Option<String>>,
}

impl Feeder {
    /// A feeder that has nothing to send yet.
    pub fn start(kafka: &KafkaConfig, events: Vec<Event>) -> anyhow::Result<Self> {
        let producer = Producer::new(kafka)?;
        let shared = Arc::new(Shared {
            events,
            allowed: AtomicUsize::new(0),
            portion: AtomicUsize::new(1),
            sent: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            failure: Mutex::default(),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("feeder".to_owned()).spawn(move || {
            if let Err(error) = feed(&producer, &theirs) {
                *theirs.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Lets `count` more events go, little by little.
    pub fn allow(&self, count: usize) {
        let allowed = self.allowed() + count;
        let waiting = allowed.saturating_sub(self.sent());
        self.shared.portion.store((waiting / BEATS).max(1), Ordering::SeqCst);
        self.shared.allowed.store(allowed.min(self.shared.events.len()), Ordering::SeqCst);
    }

    /// Lets `count` more events go at once.
    pub fn allow_at_once(&self, count: usize) {
        let allowed = (self.allowed() + count).min(self.shared.events.len());
        self.shared.portion.store(self.shared.events.len(), Ordering::SeqCst);
        self.shared.allowed.store(allowed, Ordering::SeqCst);
    }

    /// Lets everything go at once.
    pub fn allow_all(&self) {
        self.allow_at_once(self.shared.events.len());
    }

    /// How far events may be sent.
    pub fn allowed(&self) -> usize {
        self.shared.allowed.load(Ordering::SeqCst)
    }

    /// How many events have been sent.
    pub fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// Waits until Kafka has all that was allowed.
    pub fn wait(&self, limit: Duration) -> anyhow::Result<()> {
        let started = Instant::now();
        while self.sent() < self.allowed() {
            if let Some(failure) = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                return Err(anyhow!("events could not be produced: {failure}"));
            }
            if started.elapsed() > limit {
                return Err(anyhow!("only {} of {} events were produced", self.sent(), self.allowed()));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn feed(producer: &Producer, shared: &Shared) -> Result<(), KafkaError> {
    let mut sent = 0;
    while !shared.stopped.load(Ordering::SeqCst) {
        let until = shared.allowed.load(Ordering::SeqCst).min(sent + shared.portion.load(Ordering::SeqCst));
        let mut last = Vec::new();
        for event in &shared.events[sent..until] {
            let key = event.key.clone().map(String::into_bytes);
            last.push(producer.send(&OutgoingRecord::new(event.topic, key, Some(event.value.clone())))?);
        }
        // Counted once Kafka has them: only then can a stage be expected to take them.
        last.into_iter().try_for_each(|delivery| delivery.wait().map(drop))?;
        sent = until;
        shared.sent.store(sent, Ordering::SeqCst);
        thread::sleep(BEAT);
    }
    Ok(())
}
