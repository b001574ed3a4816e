//! A process of ours in the background, as a person or a supervisor would run it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::cli::http;
use crate::dev::free_address;

/// Lines of a log that a message quotes.
const QUOTED_LINES: usize = 60;

/// A child process with its log and its metrics; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
    /// Where its own part of the log begins.
    log_start: u64,
    metrics: String,
}

impl Running {
    /// Starts `command` with its metrics at an address of its own; what it says is added to the file `log`.
    ///
    /// # Errors
    /// If the log cannot be written or the program not be started.
    pub fn start(command: &mut Command, log: PathBuf) -> io::Result<Self> {
        let out = fs::File::options().create(true).append(true).open(&log)?;
        let log_start = out.metadata()?.len();
        let metrics = free_address()?;
        command.env("TRIBUTARY_METRICS__LISTEN", &metrics).stdin(Stdio::null());
        command.stdout(out.try_clone()?).stderr(out);
        Ok(Self { child: command.spawn()?, log, log_start, metrics })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// kill -9, and waits for the end.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Sends a signal by name (`TERM`, `STOP`, `CONT`, …).
    ///
    /// # Errors
    /// If it has ended, or the system refuses.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        let pid = self.child.id().to_string();
        let status = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill -s {name} {pid}: {status}"))) }
    }

    /// How it has ended, if it has.
    ///
    /// # Errors
    /// If the system cannot tell.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for it to end by itself; `None` if it has not ended in time.
    ///
    /// # Errors
    /// If the system cannot tell.
    pub fn wait_end(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let started = Instant::now();
        loop {
            match self.ended()? {
                None if started.elapsed() < limit => std::thread::sleep(Duration::from_millis(5)),
                status => return Ok(status),
            }
        }
    }

    /// The samples of `/metrics` by their name with labels; nothing while it does not listen.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        let text = self.get("/metrics");
        text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
    }

    /// What `/readyz` says; nothing while it does not listen.
    pub fn readiness(&self) -> String {
        self.get("/readyz")
    }

    /// Tasks that say they are ready.
    pub fn tasks_running(&self) -> usize {
        self.readiness().matches("\"state\":\"ready\"").count()
    }

    /// Records that a stage of this process has dealt with, by outcome.
    pub fn outcomes(&self, stage: &str) -> BTreeMap<String, u64> {
        let label = format!("stage=\"{stage}\"");
        let of_stage = |name: &String| name.starts_with("stage_records_total{") && name.contains(&label);
        let samples = self.metrics().into_iter().filter(|(name, _)| of_stage(name));
        samples
            .filter_map(|(name, value)| {
                let (_, rest) = name.split_once("outcome=\"")?;
                Some((rest.split_once('"')?.0.to_owned(), value as u64))
            })
            .collect()
    }

    /// Records that a stage of this process has dealt with.
    pub fn records(&self, stage: &str) -> u64 {
        self.outcomes(stage).values().sum()
    }

    /// All that it wrote, errors included.
    pub fn whole_log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let own = bytes.get(self.log_start as usize..).unwrap_or_default();
        String::from_utf8_lossy(own).into_owned()
    }

    /// The end of what it wrote.
    pub fn log_text(&self) -> String {
        let text = self.whole_log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n")
    }

    fn get(&self, path: &str) -> String {
        http::get(&self.metrics, path).map(|(_, body)| body).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
