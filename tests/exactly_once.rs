//! What comes and goes in order, and a database that crashes, leave the catalog where an undisturbed run ends
//! (invariants 1, 4, 6 and 16). Kills and everything else are `chaos.rs`.
//!
//! One undisturbed run over all events is the measure; a test then runs the same events through a misfortune.
//!
//! What is compared: class A, class B and the dead letters must be equal. The feed makes that a fair demand for B: all
//! events of a site have one key, so they lie in source order in one partition of each raw topic. The facts of raw
//! records are compared one by one, none may be missing or doubled: the offsets behind them are the same in each run.
//! `catalog.changes` tells what became of merged heads, step by step; which steps there were depends on how the two raw
//! topics interleave, which Kafka does not order. So of class C is compared what is determined: changes of entities that
//! one raw topic alone speaks of, all jobs among them, are the same records with the same ids in the same order. Of all
//! others holds the definition of the class: no reader sees an id twice, the last change of a kind leads to what the head
//! says, and the table holds exactly what the log says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::Value;
use tributary::model::record::CatalogTopic;

use crate::support::compare::{self, Entries, Told};
use crate::support::events::{self, Event};
use crate::support::site::{STAGES, Site, TASKS};

/// Copies of the recorded run; each has 1,058 events.
const SITES: usize = 5;

const RAW: [&str; 2] = ["hms.notifications", "openlineage.events"];
fn all_events() -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    for copy in 0..SITES {
        let key = |event: Event| Event { key: Some(format!("site-{copy}")), ..event };
        all.extend(events::site(copy).into_iter().map(key));
        all.extend(events::poison());
    }
    assert!(all.len() >= 5_000, "{} events", all.len());
    all
}

/// What an undisturbed run comes to.
struct Calm {
    digest: Value,
    /// Records dealt with by stage and outcome.
    outcomes: BTreeMap<&'static str, BTreeMap<String, u64>>,
    /// Committed records in each stage's input topics.
    inputs: BTreeMap<&'static str, u64>,
    /// Dead letters.
    letters: u64,
    /// Facts of raw records.
    facts: BTreeMap<String, u64>,
    /// What is told of entities that one raw topic alone speaks of.
    told: Told,
    /// To say what is different in another run.
    entries: Entries,
}

fn calm() -> &'static Calm {
    static CALM: OnceLock<Calm> = OnceLock::new();
    CALM.get_or_init(|| {
        let site = Site::start();
        site.produce(&all_events());
        let running = site.spawn(&STAGES, &[]);
        let digest = site.quiet_digest();
        let outcomes =
            ["normalize", "statements", "fold", "postgres"].map(|stage| (stage, running.outcomes(stage))).into();
        running.terminate();
        let rows = site.assert_tables_equal_topics();
        eprintln!("undisturbed run: {rows:?}");
        assert_eq!(site.rejected_rows(), 0);
        let viewed = CatalogTopic::ALL.map(CatalogTopic::name);
        let inputs = [
            ("normalize", &RAW[..]),
            ("statements", &["catalog.statements"]),
            ("fold", &["catalog.facts"]),
            ("postgres", &viewed),
        ];
        let letters = site.committed_records(&[
            "hms.notifications.dlq",
            "openlineage.events.dlq",
            "catalog.facts.dlq",
            "catalog.statements.dlq",
        ]);
        Calm {
            digest,
            outcomes,
            inputs: inputs.map(|(stage, topics)| (stage, site.committed_records(topics))).into(),
            letters,
            facts: site.facts_of_raw_records(),
            told: told_in_one_order(&site),
            entries: site.entries(),
        }
    })
}

/// Changes that are determined: see the head of this file.
fn told_in_one_order(site: &Site) -> Told {
    let determined = site.entities_of_one_topic();
    site.told().into_iter().filter(|(entity, _)| determined.contains(entity)).collect()
}

/// The lines of a digest that must be equal: see the head of this file.
fn comparable(digest: &Value) -> BTreeMap<String, String> {
    let lines = digest["topics"].as_array().unwrap().iter();
    let comparable = lines.filter(|line| line["topic"] != "catalog.changes");
    comparable.map(|line| (line["topic"].as_str().unwrap().to_owned(), line.to_string())).collect()
}

fn assert_ended_as_calm(site: &Site, digest: &Value) {
    let facts = site.facts_of_raw_records();
    assert!(facts.values().all(|times| *times == 1), "a fact was written twice");
    assert!(facts == calm().facts, "{} facts, expected {}", facts.len(), calm().facts.len());
    let told = told_in_one_order(site);
    assert_eq!(told.keys().collect::<Vec<_>>(), calm().told.keys().collect::<Vec<_>>());
    for (entity, changes) in &calm().told {
        assert_eq!(&told[entity], changes, "{entity}");
    }
    let (found, expected) = (comparable(digest), comparable(&calm().digest));
    if found != expected {
        let lines = expected.iter().filter(|(topic, line)| found.get(*topic) != Some(line));
        let lines: Vec<_> =
            lines.map(|(topic, line)| format!("expected {line}\n   found {:?}", found.get(topic))).collect();
        panic!("{}\n{}", lines.join("\n"), compare::differences(&calm().entries, &site.entries()));
    }
    assert_eq!(digest["class_a"], calm().digest["class_a"]);
    assert_eq!(digest["class_b"], calm().digest["class_b"]);
    let rows = site.assert_tables_equal_topics();
    assert!(rows["datasets"] > 0 && rows["aliases"] > 0, "{rows:?}");
    assert_eq!(site.rejected_rows(), 0);
}

#[test]
fn each_record_of_each_stage_has_one_outcome() {
    let calm = calm();
    assert_eq!(calm.inputs["normalize"], all_events().len() as u64);
    for (stage, records) in &calm.inputs {
        let outcomes = &calm.outcomes[stage];
        assert_eq!(outcomes.values().sum::<u64>(), *records, "{stage}: {outcomes:?}");
    }
    let letters: u64 = calm.outcomes.values().filter_map(|outcomes| outcomes.get("dead_letter")).sum();
    assert_eq!((letters, calm.letters), ((SITES * events::poison().len()) as u64, letters));
}

#[test]
fn what_one_topic_says_is_told_of_jobs_and_tables() {
    let kinds: BTreeSet<&str> = calm().told.values().flatten().map(|change| change.kind.as_str()).collect();
    for kind in ["created", "dropped", "renamed", "schema_changed", "lineage_added", "run_failed"] {
        assert!(kinds.contains(kind), "{kind} is not among {kinds:?}: it would not be compared");
    }
}

#[test]
fn stops_second_members_and_a_database_crash_change_nothing() {
    calm();
    let events = all_events();
    let mut slices = events.chunks(events.len().div_ceil(5));
    let mut next = || slices.next().unwrap();
    let mut site = Site::start();

    // SIGTERM under load: it drains, ends with 0, and the next process goes on.
    site.produce(next());
    let mut first = site.spawn(&STAGES, &[]);
    first.wait_records("fold", 1);
    eprintln!("drained {:?} after SIGTERM", first.terminate());

    // A second process comes while events flow, takes its part, and leaves in order.
    let mut first = site.spawn(&STAGES, &[]);
    site.produce(next());
    first.wait_records("normalize", 1);
    let mut second = site.spawn_in("second", &STAGES, &[]);
    second.wait_until("the second process has a part", |second| second.tasks_running() == TASKS);
    site.produce(next());
    second.wait_until("the second process works", |second| !second.outcomes("fold").is_empty());
    second.terminate();

    // The database crashes under load and comes back: nobody restarts the process.
    site.produce(next());
    let written = first.outcomes("postgres").values().sum::<u64>();
    first.wait_records("postgres", written + 1);
    site.stack.postgres().unwrap().stop_immediate().unwrap();
    site.produce(next());
    first.wait_until("the sink notices", |first| first.readiness().contains("degraded"));
    site.stack.postgres().unwrap().restart().unwrap();
    let digest = site.quiet_digest();
    first.wait_until("everything is well again", |first| first.tasks_running() == TASKS);
    first.terminate();
    assert_ended_as_calm(&site, &digest);
}

#[test]
fn a_process_that_stands_still_within_a_transaction_holds_nobody_up() {
    calm();
    let site = Site::start();
    site.produce(&all_events());
    let mut first = site.spawn(&STAGES, &[("TRIBUTARY_FAILPOINTS", "postgres.commit.before=stop@3")]);
    first.wait_until("it is within an SQL transaction", |_| site.idle_transactions() > 0);
    first.signal("STOP");
    // The connection is open, and the transaction has moved positions that the next process has to move.
    let second = site.spawn_in("second", &STAGES, &[]);
    let digest = site.quiet_digest();
    second.terminate();
    assert_ended_as_calm(&site, &digest);
}
