//! The launcher of real servers, with real servers.

use std::path::Path;
use std::time::Instant;

use tributary::dev::{Servers, Stack};

/// Where tests keep jars between runs.
pub fn cache() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/dev-cache"))
}

fn running(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn servers_answer_survive_a_restart_and_stop_with_their_owner() {
    let _turn = crate::support::own_kafka();
    let started = Instant::now();
    let mut stack = Stack::throw_away(Servers::All, cache()).unwrap();
    eprintln!("kafka and postgres answer after {:?}", started.elapsed());
    let kafka = stack.kafka().unwrap();
    let first = kafka.pid().unwrap();
    let servers = kafka.bootstrap_servers();
    kafka.kill().unwrap();
    assert!(!running(first));
    kafka.restart().unwrap();
    assert_eq!(kafka.bootstrap_servers(), servers, "clients find it where it was");
    let second = kafka.pid().unwrap();
    let postgres = stack.postgres().unwrap();
    postgres.stop_immediate().unwrap();
    postgres.restart().unwrap();
    let third = postgres.pid().unwrap();
    assert!(running(second) && running(third));
    drop(stack);
    assert!(!running(second) && !running(third));
}
