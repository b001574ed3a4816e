//! The fault campaign in brief: processes are killed at each failpoint, and one fault of each kind that is over in
//! seconds happens (invariants 1 and 4). `tributary chaos` runs it at any length, with everything that takes longer.

use std::collections::BTreeSet;
use std::path::Path;

use tributary::cli::chaos::schedule::Plan;
use tributary::cli::chaos::{Options, campaign};
use tributary::failpoint;

use crate::support::own_kafka;
use crate::support::site::{BINARY, cache};

/// Those planned, with some to spare: a process that is killed at its failpoint was killed at work before.
const KILLS: u64 = 56;
const EVENTS: usize = 5_000;

/// How long recoveries take is told and not judged: this machine may have other things to do.
#[test]
fn killed_at_every_failpoint_the_catalog_is_that_of_an_undisturbed_run() {
    let _turn = own_kafka();
    let plan = Plan { seed: 7, kills: KILLS, failpoints: true, only: None, brief: true };
    let options = Options {
        plan,
        events: EVENTS,
        binary: BINARY.into(),
        cache: cache().to_owned(),
        // Left there if something is wrong.
        folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos"),
    };
    let report = campaign(&options, &mut |line| eprintln!("{line}")).unwrap_or_else(|error| panic!("{error:?}"));
    eprint!("{report}");
    assert_eq!(report.violations, Vec::<String>::new());
    assert!(report.kills >= 50, "{} kills", report.kills);
    let kinds: BTreeSet<&str> = report.faults.iter().map(|fault| fault.kind.as_str()).collect();
    // The registry is killed when the topology is applied; commands have points of their own, which their tests pass.
    let elsewhere = ["registry.", "rebuild.", "dlq.", "tail."];
    let of_processes = failpoint::NAMES.iter().filter(|name| !elsewhere.iter().any(|start| name.starts_with(start)));
    let missing: Vec<_> = of_processes.filter(|name| !kinds.contains(format!("kill at {name}").as_str())).collect();
    assert!(missing.is_empty(), "not killed at {missing:?}");
    assert!(kinds.len() > 30, "{kinds:?}");
    let raw = report.records["hms.notifications"] + report.records["openlineage.events"];
    assert_eq!(raw, EVENTS as u64, "the whole log was there");
    assert!(report.records["catalog.datasets"] > 0 && report.records["hms.notifications.dlq"] > 0, "{report:?}");
}
