//! This test binary, started again as a process of its own that can be killed.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tributary::kafka::KafkaConfig;
use tributary::stage::{StageSpec, StopToken, TaskState, spawn_keyed};

use super::support::{Count, PATIENCE};

const SERVERS: &str = "TRIBUTARY_TEST_SERVERS";
const CLUSTER: &str = "TRIBUTARY_TEST_CLUSTER";
const DATA: &str = "TRIBUTARY_TEST_DATA";
const UNTIL: &str = "TRIBUTARY_TEST_UNTIL";
/// Session time-out of a child.
pub const SESSION: Duration = Duration::from_secs(6);
/// Exit code of a child whose task failed.
pub const FAILED: i32 = 3;

/// Starts a counting stage in a child that ends when its partitions stand at `until` in sum.
pub fn start(kafka: &KafkaConfig, spec: &StageSpec, failpoints: &str, until: i64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "runtime::child::process", "--nocapture"])
        .env(SERVERS, kafka.bootstrap_servers())
        .env(CLUSTER, &spec.cluster)
        .env(DATA, &spec.data_dir)
        .env(UNTIL, until.to_string())
        .env("TRIBUTARY_FAILPOINTS", failpoints)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Runs as a child if the environment says so, and checks that it does not otherwise.
#[test]
fn process() {
    let Ok(servers) = std::env::var(SERVERS) else {
        assert!(std::env::var(CLUSTER).is_err(), "a child without servers");
        return;
    };
    let cluster = std::env::var(CLUSTER).unwrap();
    let until: i64 = std::env::var(UNTIL).unwrap().parse().unwrap();
    let mut spec = StageSpec::new(cluster.as_str(), "count", "i0", std::env::var(DATA).unwrap());
    spec.inputs = vec![tributary::stage::InputTopic::new(format!("{cluster}.in"))];
    spec.outputs = vec![tributary::stage::OutputTopic::new(format!("{cluster}.out"))];
    spec.batch.records = 50;
    spec.timeouts.session = SESSION;
    let transform = Count { topic: format!("{cluster}.out") };
    let task = spawn_keyed(&KafkaConfig::plain(servers).unwrap(), spec, Box::new(transform), StopToken::new()).unwrap();
    task.wait_until(PATIENCE * 2, |status| {
        matches!(status.state, TaskState::Failed(_)) || status.positions.values().sum::<i64>() >= until
    });
    task.stop();
    if let Err(reason) = task.join() {
        eprintln!("{reason}");
        std::process::exit(FAILED);
    }
}
