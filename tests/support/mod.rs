//! What integration tests share: real servers, the real binary, real events.

pub mod compare;
pub mod events;
pub mod java;
pub mod order;
pub mod python;
pub mod site;
pub mod wire;

use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Taken by each test that starts a Kafka of its own, for as long as that runs: together with the one that the tests
/// of the runtime share, no more than two run at a time, however many tests run side by side.
pub fn own_kafka() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
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
