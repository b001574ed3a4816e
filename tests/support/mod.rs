//! What integration tests share: real servers, the real binary, real events.

pub mod compare;
pub mod events;
pub mod java;
pub mod order;
pub mod python;
pub mod site;
pub mod wire;

use std::process::{Command, Output};
use std::sync::{Condvar, Mutex, PoisonError};

/// Kafkas that tests have of their own at a time, beside the one that the tests of the runtime share. Most of a test's time
/// is waiting, but two servers and two programs are all that a small machine holds.
const OWN_KAFKAS: usize = 2;

static OWN: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// A turn to run a Kafka of one's own.
pub struct OwnKafka(());

/// Taken by each test that starts a Kafka of its own, for as long as that runs, however many tests run side by side.
pub fn own_kafka() -> OwnKafka {
    let (running, changed) = &OWN;
    let running = running.lock().unwrap_or_else(PoisonError::into_inner);
    let mut running =
        changed.wait_while(running, |running| *running >= OWN_KAFKAS).unwrap_or_else(PoisonError::into_inner);
    *running += 1;
    OwnKafka(())
}

impl Drop for OwnKafka {
    fn drop(&mut self) {
        let (running, changed) = &OWN;
        *running.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        changed.notify_one();
    }
}

/// What a foreign program printed; it has to succeed. `help` says what it needs.
fn succeed(what: &str, help: &str, command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("could not {what}: {error}; {help}"));
    assert!(
        output.status.success(),
        "could not {what}: {}\n{}{}\n{help}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
