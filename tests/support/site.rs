//! A whole installation for one test: its own Kafka, Postgres and data folder, driven through the binary as a person would.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tributary::dev::{Servers, Stack};
use tributary::kafka::{KafkaConfig, OutgoingRecord, Producer};

use super::events::Event;

const BINARY: &str = env!("CARGO_BIN_EXE_tributary");

/// Where tests keep jars between runs.
pub fn cache() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/dev-cache"))
}

pub struct Site {
    pub stack: Stack,
    folder: tempfile::TempDir,
}

impl Site {
    /// Starts servers and applies the topology.
    pub fn start() -> Self {
        let stack = Stack::throw_away(Servers::All, cache()).unwrap();
        let site = Self { stack, folder: tempfile::tempdir().unwrap() };
        site.expect_success(&["topology", "apply"]);
        site
    }

    pub fn bootstrap_servers(&self) -> String {
        self.stack.bootstrap_servers().expect("the site has a kafka")
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The binary with this site's settings; listeners on ports of the system's choice.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_remove("TRIBUTARY_FAILPOINTS")
            .env_remove("SCHEMA_REGISTRY_URL")
            .env("RUST_LOG", "warn")
            .env("NO_COLOR", "1")
            .env("KAFKA_BOOTSTRAP_SERVERS", self.bootstrap_servers())
            .env("DATABASE_URL", self.stack.database_url().expect("the site has a database"))
            .env("TRIBUTARY_DATA_DIR", self.data_dir())
            .env("TRIBUTARY_API__LISTEN", "127.0.0.1:0")
            .env("TRIBUTARY_REGISTRY__LISTEN", "127.0.0.1:0")
            .env("TRIBUTARY_METRICS__LISTEN", "127.0.0.1:0")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Standard output of a command that has to succeed.
    pub fn expect_success(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "tributary {args:?} ended with {}:\n{}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Starts the processing stages and sinks in the background.
    pub fn spawn(&self, args: &[&str], failpoints: Option<&str>) -> Running {
        let log = self.folder.path().join("process.log");
        let out = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let mut command = self.command(args);
        command.stdout(out.try_clone().unwrap()).stderr(out);
        if let Some(failpoints) = failpoints {
            command.env("TRIBUTARY_FAILPOINTS", failpoints);
        }
        Running { child: command.spawn().unwrap(), log }
    }

    /// Produces raw events in order.
    pub fn produce(&self, events: &[Event]) {
        let config = KafkaConfig::plain(self.bootstrap_servers()).unwrap();
        let producer = Producer::new(&config).unwrap();
        for event in events {
            let key = event.key.clone().map(String::into_bytes);
            producer.send(&OutgoingRecord::new(event.topic, key, Some(event.value.clone().into_bytes()))).unwrap();
        }
        producer.flush(Duration::from_secs(60)).unwrap();
    }

    /// The digest once everything has been carried to the end, as JSON.
    pub fn quiet_digest(&self) -> serde_json::Value {
        serde_json::from_str(&self.expect_success(&["digest", "--json", "--timeout", "240"])).unwrap()
    }
}

/// A process of ours in the background; killed when dropped.
pub struct Running {
    pub child: Child,
    log: PathBuf,
}

impl Running {
    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the process to end by itself.
    pub fn wait_end(&mut self, limit: Duration) -> std::process::ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < limit, "the process did not end; its log:\n{}", self.log_text());
            std::thread::yield_now();
        }
    }

    /// SIGTERM, and the status it ends with.
    pub fn terminate(&mut self, limit: Duration) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("sh").args(["-c", "kill -s TERM \"$0\"", &pid]).status().unwrap().success());
        self.wait_end(limit)
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
