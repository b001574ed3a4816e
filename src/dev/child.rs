//! A child process that cannot outlive us, without unsafe code and without `prctl`.
//!
//! Each server runs under a few lines of `sh` that hold the reading end of a pipe from us. When we end, in whatever way,
//! the kernel closes the pipe and the shell stops the server.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs "$@" in the background, stops it with signal $STOP_SIGNAL when standard input ends, and ends with it.
const WATCHDOG: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
echo "$child" > "$PID_FILE"
(
    cat <&3 >/dev/null
    kill -s "$STOP_SIGNAL" "$child" 2>/dev/null
    waited=0
    while kill -0 "$child" 2>/dev/null && [ "$waited" -lt 150 ]; do sleep 0.1; waited=$((waited + 1)); done
    kill -s KILL "$child" 2>/dev/null
) &
guard=$!
exec 3<&-
wait "$child"
status=$?
kill "$guard" 2>/dev/null
exit "$status"
"#;

/// A server process with its watchdog.
#[derive(Debug)]
pub(super) struct Guarded {
    name: &'static str,
    shell: Child,
    pid_file: PathBuf,
    log: PathBuf,
}

/// How to run a server.
pub(super) struct Launch<'a> {
    pub name: &'static str,
    pub program: &'a Path,
    pub args: Vec<String>,
    /// Signal that makes it stop quickly and cleanly.
    pub stop_signal: &'a str,
    /// Holds its pid file and log.
    pub folder: &'a Path,
    /// User and group to run as.
    pub user: Option<(u32, u32)>,
}

impl Guarded {
    pub fn start(launch: &Launch<'_>) -> io::Result<Self> {
        let log = launch.folder.join(format!("{}.log", launch.name));
        let pid_file = launch.folder.join(format!("{}.pid", launch.name));
        match fs::remove_file(&pid_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let out = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(WATCHDOG)
            .arg("tributary-watchdog")
            .arg(launch.program)
            .args(&launch.args)
            .current_dir(launch.folder)
            .env("STOP_SIGNAL", launch.stop_signal)
            .env("PID_FILE", &pid_file)
            .stdin(Stdio::piped())
            .stdout(out.try_clone()?)
            .stderr(out)
            // Ctrl-C must reach us first, and the server through us.
            .process_group(0);
        if let Some((uid, gid)) = launch.user {
            std::os::unix::fs::chown(&log, Some(uid), Some(gid))?;
            command.uid(uid).gid(gid);
        }
        Ok(Self { name: launch.name, shell: command.spawn()?, pid_file, log })
    }

    /// The server's own process id, once the shell has started it.
    pub fn pid(&self) -> Option<u32> {
        fs::read_to_string(&self.pid_file).ok()?.trim().parse().ok()
    }

    /// The status with which it ended, if it has.
    pub fn ended(&mut self) -> io::Result<Option<std::process::ExitStatus>> {
        self.shell.try_wait()
    }

    /// Sends a signal by name (`KILL`, `STOP`, `CONT`, …) to the server.
    pub fn signal(&self, signal: &str) -> io::Result<()> {
        let pid = self.pid().ok_or_else(|| io::Error::other(format!("{} has no process id yet", self.name)))?;
        let status =
            Command::new("/bin/sh").args(["-c", "kill -s \"$0\" \"$1\"", signal, &pid.to_string()]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill -s {signal} {pid}: {status}"))) }
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> io::Result<()> {
        self.shell.wait().map(drop)
    }

    /// Stops it cleanly and waits for its end.
    pub fn stop(&mut self) -> io::Result<()> {
        drop(self.shell.stdin.take());
        self.wait()
    }

    /// Asks `ready`, with the server's process id, until it says yes; fails early if the server ends, which is looked at
    /// first: what answers in place of a server that could not start is somebody else's.
    pub fn wait_ready(&mut self, limit: Duration, ready: &mut dyn FnMut(u32) -> bool) -> Result<(), String> {
        let started = Instant::now();
        loop {
            if let Ok(Some(status)) = self.ended() {
                return Err(format!("{} ended with {status}; its log ends:\n{}", self.name, self.log_tail()));
            }
            if self.pid().is_some_and(&mut *ready) {
                return Ok(());
            }
            if started.elapsed() > limit {
                let seconds = limit.as_secs();
                return Err(format!(
                    "{} is not ready after {seconds} s; its log ends:\n{}",
                    self.name,
                    self.log_tail()
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log_tail(&self) -> String {
        let text = fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Closing the pipe is what stops it; an error here has nobody left to hear it.
        let _ = self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufRead;

    fn alive(pid: u32) -> bool {
        // A zombie has ended; its parent just has not looked yet.
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[test]
    fn the_child_ends_with_its_owner_even_by_kill_9() {
        let folder = tempfile::tempdir().unwrap();
        // A parent that starts a guarded `sleep` in the same way and is then killed.
        let mut parent = Command::new("/bin/sh")
            .args([
                "-c",
                "mkfifo in; /bin/sh -c \"$0\" watchdog sleep 600 < in & exec 9> in; echo up; read line",
                WATCHDOG,
            ])
            .current_dir(folder.path())
            .env("STOP_SIGNAL", "TERM")
            .env("PID_FILE", folder.path().join("pid"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        io::BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = loop {
            if let Some(pid) =
                fs::read_to_string(folder.path().join("pid")).ok().and_then(|text| text.trim().parse().ok())
            {
                break pid;
            }
            std::thread::yield_now();
        };
        assert!(alive(pid));
        parent.kill().unwrap();
        parent.wait().unwrap();
        let started = Instant::now();
        while alive(pid) {
            assert!(started.elapsed() < Duration::from_secs(20), "the child outlived its owner");
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_early_end_is_told_with_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Guarded::start(&Launch {
            name: "broken",
            program: Path::new("/bin/sh"),
            args: vec!["-c".into(), "echo no such option; exit 3".into()],
            stop_signal: "TERM",
            folder: folder.path(),
            user: None,
        })
        .unwrap();
        let error = child.wait_ready(Duration::from_secs(20), &mut |_| false).unwrap_err();
        assert!(error.contains("broken ended with exit status: 3") && error.contains("no such option"), "{error}");
    }
}
