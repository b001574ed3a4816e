//! CPU time and memory of process trees, read from Linux's /proc (proc(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Clock ticks per second in /proc/PID/stat: 100 on every Linux architecture that Rust supports (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// What a tree of processes has used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// User plus system time of the live processes and of children they have waited for, in seconds.
    pub cpu_seconds: f64,
    /// Sum of the processes' peak resident sizes, in bytes.
    pub peak_bytes: u64,
}

/// Usage of `root` and all its living descendants; zero if it does not run.
pub fn tree_usage(root: u32) -> Usage {
    let parents = parents();
    let mut tree = BTreeSet::from([root]);
    loop {
        let more: Vec<u32> = parents
            .iter()
            .filter(|(pid, parent)| tree.contains(parent) && !tree.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            break;
        }
        tree.extend(more);
    }
    tree.into_iter().fold(Usage::default(), |sum, pid| {
        let one = process_usage(pid);
        Usage { cpu_seconds: sum.cpu_seconds + one.cpu_seconds, peak_bytes: sum.peak_bytes + one.peak_bytes }
    })
}

/// Usage of one process without its children.
pub fn process_usage(pid: u32) -> Usage {
    let cpu_seconds = stat_fields(pid).map_or(0.0, |fields| {
        // Fields 14–17 of stat(5) are utime, stime, cutime, cstime; `fields` starts at field 3.
        let ticks: u64 = (11..=14).filter_map(|index| fields.get(index)?.parse::<u64>().ok()).sum();
        ticks as f64 / TICKS_PER_SECOND
    });
    let peak_bytes = fs::read_to_string(format!("/proc/{pid}/status"))
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map_or(0, |kib| kib * 1024);
    Usage { cpu_seconds, peak_bytes }
}

fn parents() -> BTreeMap<u32, u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| Some((pid, stat_fields(pid)?.get(1)?.parse().ok()?)))
        .collect()
}

/// Fields of /proc/PID/stat from field 3 on: the command in field 2 may hold spaces and parentheses.
fn stat_fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_counts_in_its_parents_tree() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; read line"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("sh starts");
        let mut said = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut said).expect("sh says done");
        let usage = process_usage(child.id());
        assert!(usage.cpu_seconds > 0.0 && usage.peak_bytes > 100_000, "{usage:?}");
        assert!(tree_usage(std::process::id()).cpu_seconds >= usage.cpu_seconds);
        drop(child.stdin.take());
        child.wait().expect("sh ends");
        assert_eq!(process_usage(0), Usage::default());
    }
}
