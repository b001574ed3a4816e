//! What a campaign came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::recovery::Recovery;

/// No fault may hold anything up for longer.
pub const RECOVERY_LIMIT: Duration = Duration::from_secs(10);

/// One fault that was endured.
#[derive(Clone, Debug)]
pub struct FaultReport {
    /// What kind of fault.
    pub kind: String,
    /// With its times and places.
    pub text: String,
    /// How long it took to recover.
    pub recovery: Recovery,
}

/// What a campaign came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Says everything about the schedule.
    pub seed: u64,
    /// Raw events.
    pub events: usize,
    /// Processes of ours that were killed.
    pub kills: u64,
    /// Each fault, in order.
    pub faults: Vec<FaultReport>,
    /// Records by topic, at the end.
    pub records: BTreeMap<String, u64>,
    /// What is not as it has to be. Empty if nothing was lost, doubled or invented.
    pub violations: Vec<String>,
    /// How long everything took, the undisturbed run included.
    pub elapsed: Duration,
}

impl Report {
    /// Recoveries that took too long.
    pub fn slow(&self) -> Vec<&FaultReport> {
        self.faults.iter().filter(|fault| fault.recovery.total > RECOVERY_LIMIT).collect()
    }

    /// The recovery that `share` of all are not slower than, of those of `kind` or of all.
    fn percentile(&self, share: f64, kind: Option<&str>) -> Duration {
        let of_kind = |fault: &&FaultReport| kind.is_none_or(|kind| fault.kind == kind);
        let mut times: Vec<Duration> = self.faults.iter().filter(of_kind).map(|fault| fault.recovery.total).collect();
        times.sort();
        let place = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len().max(1)) - 1;
        times.get(place).copied().unwrap_or_default()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let seconds = |time: Duration| (time.as_secs_f64() * 1e3).round() / 1e3;
        let fault = |fault: &FaultReport| {
            let stages = fault.recovery.stages.iter().map(|(stage, time)| (stage.clone(), json!(seconds(*time))));
            json!({
                "kind": fault.kind,
                "fault": fault.text,
                "recovery_seconds": seconds(fault.recovery.total),
                "stages": stages.collect::<serde_json::Map<_, _>>(),
            })
        };
        json!({
            "seed": self.seed,
            "events": self.events,
            "kills": self.kills,
            "faults": self.faults.iter().map(fault).collect::<Vec<_>>(),
            "records": self.records,
            "recovery_seconds": {
                "p50": seconds(self.percentile(0.5, None)),
                "p99": seconds(self.percentile(0.99, None)),
                "max": seconds(self.percentile(1.0, None)),
            },
            "violations": self.violations,
            "seconds": seconds(self.elapsed),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        self.faults.iter().for_each(|fault| *kinds.entry(&fault.kind).or_default() += 1);
        writeln!(f, "\n{:<52} {:>5} {:>8} {:>8}", "recovery, in seconds", "times", "median", "longest")?;
        let mut line = |name: &str, times: usize, kind: Option<&str>| {
            let [median, longest] = [0.5, 1.0].map(|share| self.percentile(share, kind).as_secs_f64());
            writeln!(f, "{name:<52} {times:>5} {median:>8.1} {longest:>8.1}")
        };
        for (kind, times) in &kinds {
            line(kind, *times, Some(kind))?;
        }
        line("all", self.faults.len(), None)?;
        let minutes = self.elapsed.as_secs_f64() / 60.0;
        writeln!(
            f,
            "\nseed {}: {} events, {} kills, {} faults in {minutes:.1} minutes",
            self.seed,
            self.events,
            self.kills,
            self.faults.len()
        )?;
        match self.violations.as_slice() {
            [] => writeln!(f, "nothing was lost, nothing doubled, nothing invented")?,
            violations => violations.iter().try_for_each(|violation| writeln!(f, "VIOLATED: {violation}"))?,
        }
        for fault in self.slow() {
            writeln!(f, "SLOW: {} took {}", fault.text, fault.recovery)?;
        }
        Ok(())
    }
}
