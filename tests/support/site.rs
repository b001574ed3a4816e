//! A whole installation for one test: its own Kafka, Postgres and data folder, driven through the binary as a person would.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tributary::dev::{Servers, Stack, free_address};
use tributary::kafka::{KafkaConfig, OutgoingRecord, Producer};

use super::OwnKafka;
use super::events::Event;

/// Everything between the raw topics and Postgres.
pub const STAGES: [&str; 6] = ["run", "normalize", "fold", "postgres", "sql", "statements"];
/// Tasks of a process that runs them: one of each, and the table of schemas behind the last two.
pub const TASKS: usize = 6;
pub const BINARY: &str = env!("CARGO_BIN_EXE_tributary");
/// For whatever has to come about; a loaded machine is slow, a broken one never gets there.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Where tests keep jars between runs.
pub fn cache() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/dev-cache"))
}

pub struct Site {
    pub stack: Stack,
    folder: tempfile::TempDir,
    /// Declared last: the servers are gone when the next test gets its turn.
    _turn: OwnKafka,
}

impl Site {
    /// Starts servers and applies the topology.
    pub fn start() -> Self {
        let turn = super::own_kafka();
        let stack = Stack::throw_away(Servers::All, cache()).unwrap();
        let site = Self { stack, folder: tempfile::tempdir().unwrap(), _turn: turn };
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

    /// Starts a process in the background, as the site's only or first one.
    pub fn spawn(&self, args: &[&str], settings: &[(&str, &str)]) -> Running {
        self.spawn_in("data", args, settings)
    }

    /// Starts a process with a data folder, and so an instance name, of its own.
    pub fn spawn_in(&self, folder: &str, args: &[&str], settings: &[(&str, &str)]) -> Running {
        let mut command = self.command(args);
        command.env("TRIBUTARY_DATA_DIR", self.folder.path().join(folder)).envs(settings.iter().copied());
        Running::start(&mut command, self.folder.path().join(format!("{folder}.log")))
    }

    /// As [`Site::spawn`], with files of at most `megabytes`, a limit that [`Running::limit_files`] can move.
    pub fn spawn_limited(&self, args: &[&str], megabytes: u64) -> Running {
        let ours = self.command(args);
        let mut command = Command::new("sh");
        // Ignored, so that a write beyond the limit fails instead of ending the process; in blocks of 1 KiB.
        let script = "trap '' XFSZ; ulimit -S -f $0; exec \"$@\"";
        command.args(["-c", script, &(megabytes * 1024).to_string(), BINARY]).args(args);
        for (name, value) in ours.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(self.folder.path());
        Running::start(&mut command, self.folder.path().join("data.log"))
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
        serde_json::from_str(&self.expect_success(&["digest", "--json", "--timeout", "180"])).unwrap()
    }
}

/// A process of ours in the background; killed when dropped.
pub struct Running {
    child: Child,
    log: PathBuf,
    metrics: String,
}

impl Running {
    /// Starts `command` with its metrics at an address of its own; what it says is added to the file `log`.
    pub fn start(command: &mut Command, log: PathBuf) -> Self {
        let out = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let metrics = free_address().unwrap();
        command.env("TRIBUTARY_METRICS__LISTEN", &metrics).stdin(Stdio::null());
        command.stdout(out.try_clone().unwrap()).stderr(out);
        Self { child: command.spawn().unwrap(), log, metrics }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the process to end by itself; `None` if it has not ended in time.
    pub fn wait_end(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        let started = Instant::now();
        loop {
            match self.child.try_wait().unwrap() {
                None if started.elapsed() < limit => std::thread::sleep(Duration::from_millis(5)),
                status => return status,
            }
        }
    }

    /// Moves the limit on the size of files of a process that was started with one, to bytes.
    pub fn limit_files(&self, bytes: u64) {
        let limit = format!("--fsize={bytes}:");
        let pid = self.child.id().to_string();
        let done = Command::new("prlimit").args([&limit, "--pid", &pid]).status().unwrap();
        assert!(done.success());
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("sh").args(["-c", "kill -s $0 $1", name, &pid]).status().unwrap().success());
    }

    /// SIGTERM: the process has to drain and to end well within the time the design gives it.
    pub fn terminate(mut self) -> Duration {
        let asked = Instant::now();
        self.signal("TERM");
        let status = self.wait_end(Duration::from_secs(30));
        let status = status.unwrap_or_else(|| panic!("no end within 30 s of SIGTERM:\n{}", self.log_text()));
        assert!(status.success(), "{status} after SIGTERM:\n{}", self.log_text());
        asked.elapsed()
    }

    /// The samples of `/metrics` of this process by their name with labels; nothing while it does not listen.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        let text = self.get("/metrics").unwrap_or_default();
        text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
    }

    fn get(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(&self.metrics)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.metrics)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }

    /// Where it serves metrics and health.
    pub fn metrics_address(&self) -> &str {
        &self.metrics
    }

    /// What `/readyz` says.
    pub fn readiness(&self) -> String {
        self.get("/readyz").unwrap_or_default()
    }

    /// Tasks that say they are ready.
    pub fn tasks_running(&self) -> usize {
        self.readiness().matches("\"state\":\"ready\"").count()
    }

    /// Records that a stage of this process has dealt with, by outcome.
    pub fn outcomes(&self, stage: &str) -> BTreeMap<String, u64> {
        let label = format!("stage=\"{stage}\"");
        let ours = self
            .metrics()
            .into_iter()
            .filter(|(name, _)| name.starts_with("stage_records_total{") && name.contains(&label));
        ours.filter_map(|(name, value)| {
            let (_, rest) = name.split_once("outcome=\"")?;
            Some((rest.split_once('"')?.0.to_owned(), value as u64))
        })
        .collect()
    }

    /// Waits until a stage of this process has dealt with `records` records.
    pub fn wait_records(&mut self, stage: &str, records: u64) {
        self.wait_until(&format!("{stage} deals with {records} records"), |running| {
            running.outcomes(stage).values().sum::<u64>() >= records
        });
    }

    /// Waits until `reached` holds while the process runs.
    pub fn wait_until(&mut self, what: &str, mut reached: impl FnMut(&Self) -> bool) {
        let started = Instant::now();
        while !reached(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended with {ended:?} before {what}:\n{}", self.log_text());
            let late = || format!("waited for {PATIENCE:?}: {what}\n{}\n{}", self.readiness(), self.log_text());
            assert!(started.elapsed() < PATIENCE, "{}", late());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The end of what it wrote, errors included.
    pub fn log_text(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of a process of this test:\n{}", self.log_text());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
