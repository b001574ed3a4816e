//! Figures of this process from Linux's `/proc`; elsewhere they are missing.

use std::fs;

/// Units of processor time in `/proc/*/stat`: 100 a second on every architecture Linux has today.
const TICKS_PER_SECOND: u64 = 100;

/// Sets the process metrics to what they are now.
pub(super) fn record() {
    metrics::gauge!("tributary_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
        // The recorder's counters are whole numbers.
        metrics::counter!("process_cpu_seconds_total").absolute(stat.cpu_ticks / TICKS_PER_SECOND);
        let boot = fs::read_to_string("/proc/stat").ok().as_deref().and_then(boot_time);
        if let Some(boot) = boot {
            metrics::gauge!("process_start_time_seconds").set((boot + stat.start_ticks / TICKS_PER_SECOND) as f64);
        }
    }
    if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident_bytes) {
        metrics::gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        metrics::gauge!("process_open_fds").set(files.count() as f64);
    }
}

/// What we read of `/proc/*/stat`, see proc_pid_stat(5).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field, the name, is in parentheses and may hold anything.
        let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self { cpu_ticks: number(14)? + number(15)?, start_ticks: number(22)? })
    }
}

/// `btime` of `/proc/stat`: seconds since the epoch.
fn boot_time(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// `VmRSS` of `/proc/*/status`, in bytes.
fn resident_bytes(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read_as_their_manual_says() {
        // Field 14 is 250, 15 is 50, 22 is 12345; the name holds a parenthesis.
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 9 0 0 0 250 50 0 0 20 0 8 0 12345 1000 200 18446744073709551615";
        assert_eq!(Stat::parse(stat), Some(Stat { cpu_ticks: 300, start_ticks: 12_345 }));
        assert_eq!(Stat::parse("7 (a"), None);
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\nprocesses 5\n"), Some(1_700_000_000));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
    }
}
