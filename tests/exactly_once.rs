//! Kill -9 anywhere, any number of times: the catalog ends where an undisturbed run ends (invariant 1).

use std::time::{Duration, Instant};

use tributary::failpoint;

use crate::support::events::{self, Event};
use crate::support::site::{Running, Site};

/// Everything between the raw topics and Postgres.
const STAGES: [&str; 4] = ["run", "normalize", "fold", "postgres"];
const RANDOM_KILLS: u64 = 10;
/// Copies of the recorded run; each has 1,058 events.
const SITES: usize = 5;

fn all_events() -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    for copy in 0..SITES {
        all.extend(events::site(copy));
        all.extend(events::poison());
    }
    all
}

/// SplitMix64: the same "random" moments in each run.
fn draw(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 27)
}

/// Failpoints that this process passes: those of the transform stages and of the Postgres sink.
fn failpoints() -> impl Iterator<Item = &'static str> {
    let ours = ["stage.", "sink.", "postgres."];
    failpoint::NAMES.iter().copied().filter(move |name| ours.iter().any(|prefix| name.starts_with(prefix)))
}

/// Runs until the process has ended at its failpoint, or the failpoint turns out not to be passed any more.
fn run_to_failpoint(site: &Site, name: &str, at: u64) -> bool {
    let mut running = site.spawn(&STAGES, Some(&format!("{name}=kill@{at}")));
    let started = Instant::now();
    while running.is_running() {
        if started.elapsed() > Duration::from_secs(20) {
            running.kill();
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

#[test]
fn kills_at_random_moments_and_at_every_failpoint_change_nothing() {
    let events = all_events();
    assert!(events.len() >= 5_000, "{} events", events.len());

    let undisturbed = Site::start();
    undisturbed.produce(&events);
    let calm = undisturbed.spawn(&STAGES, None);
    let expected = undisturbed.quiet_digest();
    calm.kill();
    drop(undisturbed);

    let site = Site::start();
    let mut passed = Vec::new();
    let points: Vec<&str> = failpoints().collect();
    // A slice of the log for each failpoint, so that each process has something to do; the rest for random kills.
    let slice = events.len() / (points.len() + 1);
    let mut rest = events.as_slice();
    for name in &points {
        let (now, later) = rest.split_at(slice.min(rest.len()));
        rest = later;
        site.produce(now);
        if run_to_failpoint(&site, name, 1) {
            passed.push(*name);
        }
    }
    site.produce(rest);
    for kill in 0..RANDOM_KILLS {
        let running: Running = site.spawn(&STAGES, None);
        std::thread::sleep(Duration::from_millis(300 + draw(kill) % 2_500));
        running.kill();
    }
    let last = site.spawn(&STAGES, None);
    let survived = site.quiet_digest();
    last.kill();

    // Rebalance failpoints need a second member; everything else must have been passed by one process alone.
    let missed: Vec<_> =
        points.iter().filter(|name| !passed.contains(*name) && !name.starts_with("stage.revoke")).collect();
    assert!(missed.is_empty(), "failpoints never passed: {missed:?}");
    for class in ["class_a", "class_b", "class_c"] {
        assert_eq!(survived[class], expected[class], "{class}\nexpected {expected:#}\nsurvived {survived:#}");
    }
}
