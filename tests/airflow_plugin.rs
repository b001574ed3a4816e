//! What the listener plugin of config/airflow sent from two real Airflows of one set of DAGs (tests/fixtures/airflow):
//! each DAG, task and try is there once, with its end, whichever version ran it and whether the OpenLineage provider
//! told of it too. Expectations come from the DAGs and from Airflow's own tables.

use std::collections::{BTreeMap, BTreeSet};

use tributary::fold::Folded;
use tributary::model::fact::Fact;
use tributary::model::record::{CatalogRecord, RunRecord};
use tributary::normalize::airflow::{AirflowConfig, AirflowNormalizer};
use tributary::normalize::openlineage::{OpenLineageConfig, OpenLineageNormalizer};

use super::airflow::{datasets, facts, fold, jobs, runs};

const AIRFLOW_2: &[u8] = include_bytes!("fixtures/airflow/plugin_2.11.2.jsonl.gz");
const AIRFLOW_3: &[u8] = include_bytes!("fixtures/airflow/plugin_3.3.2.jsonl.gz");
const PROVIDER: &[u8] = include_bytes!("fixtures/openlineage/airflow_3.3.2.jsonl.gz");

const ORDERS: &str = "postgres://db:5432/shop/public/orders";
const CUSTOMERS: &str = "postgres://db:5432/shop/public/customers";
const REPORT: &str = "s3://lake/reports/orders";

fn of_plugin(gzipped: &[u8]) -> Vec<Fact> {
    let normalizer = AirflowNormalizer::new(AirflowConfig::default());
    facts(gzipped, "airflow.events", |raw| normalizer.normalize(raw).unwrap())
}

fn of_provider() -> Vec<Fact> {
    let normalizer = OpenLineageNormalizer::new(OpenLineageConfig::default());
    facts(PROVIDER, "openlineage.events", |raw| normalizer.normalize(raw).unwrap())
}

fn job(name: &str) -> String {
    format!("job://airflow-shop/{name}")
}

fn facet(run: &RunRecord, name: &str) -> serde_json::Value {
    serde_json::from_str(&run.facets[name]).unwrap()
}

/// Job, map index, try and state of all runs; without index and try those of DAGs.
fn tries(folded: &Folded) -> Vec<String> {
    let mut tries: Vec<String> = runs(folded)
        .into_iter()
        .map(|run| {
            let job = run.job.trim_start_matches("job://airflow-shop/");
            if run.facets.contains_key("airflow_attempt") {
                let attempt = facet(run, "airflow_attempt");
                format!("{job} {} {} {}", attempt["map_index"], attempt["try_number"], run.state)
            } else {
                format!("{job} {}", run.state)
            }
        })
        .collect();
    tries.sort();
    tries
}

/// The tries of one run of each DAG. `done` does nothing, so no worker ran it; `after_gate` and `collect` were never
/// tried; the second try of `killed` ended its process.
const ONCE: [&str; 19] = [
    "orders_load COMPLETE",
    "orders_load.done -1 1 COMPLETE",
    "orders_load.publish -1 1 COMPLETE",
    "orders_load.stage.check -1 1 FAIL",
    "orders_load.stage.check -1 2 COMPLETE",
    "orders_load.stage.extract -1 1 COMPLETE",
    "orders_report COMPLETE",
    "orders_report.render -1 1 COMPLETE",
    "trouble FAIL",
    "trouble.after_gate -1 0 ABORT",
    "trouble.collect -1 0 ABORT",
    "trouble.gate -1 1 COMPLETE",
    "trouble.killed -1 1 FAIL",
    "trouble.killed -1 2 FAIL",
    "trouble.load 0 1 COMPLETE",
    "trouble.load 1 1 FAIL",
    "trouble.load 2 1 COMPLETE",
    "trouble.regions -1 1 COMPLETE",
    "trouble.skipped -1 1 ABORT",
];

/// `ONCE` with the runs of `orders_load` and of `orders_report`, which follows it, `times` times.
fn expected(times: usize) -> Vec<String> {
    let repeated = |line: &&str| if line.starts_with("orders_") { times } else { 1 };
    ONCE.iter().flat_map(|line| vec![(*line).to_owned(); repeated(line)]).collect()
}

#[test]
fn each_try_is_one_run_with_its_end() {
    assert_eq!(tries(&fold(&of_plugin(AIRFLOW_2))), expected(1));
    // A scheduled run and a backfill.
    assert_eq!(tries(&fold(&of_plugin(AIRFLOW_3))), expected(2));
}

#[test]
fn with_the_provider_beside_it_nothing_is_there_twice() {
    let both = fold(&[of_provider(), of_plugin(AIRFLOW_3)].concat());
    assert_eq!(tries(&both), expected(2));
    let mut names: BTreeSet<String> = ONCE.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(jobs(&both).into_keys().map(str::to_owned).collect::<BTreeSet<_>>(), names);
    // The provider knows nothing of tasks that were never on a worker; all that it knows is known to the plugin too.
    let alone = fold(&of_provider());
    for never in ["orders_load.done", "trouble.after_gate", "trouble.collect"] {
        names.remove(never);
    }
    assert_eq!(jobs(&alone).into_keys().map(str::to_owned).collect::<BTreeSet<_>>(), names);
    let ids = |folded: &Folded| runs(folded).into_iter().map(|run| run.id.clone()).collect::<BTreeSet<_>>();
    assert!(ids(&alone).is_subset(&ids(&fold(&of_plugin(AIRFLOW_3)))));
    assert_eq!((ids(&alone).len(), ids(&both).len()), (23, 27));
}

#[test]
fn what_is_told_at_the_end_hides_nothing_that_was_told_before() {
    for gzipped in [AIRFLOW_2, AIRFLOW_3] {
        let folded = fold(&of_plugin(gzipped));
        let try_of = |job_name: &str, map_index: i64, number: i64| {
            let id = job(job_name);
            let is_it = |run: &&RunRecord| {
                run.job == id
                    && facet(run, "airflow_attempt")["map_index"] == map_index
                    && facet(run, "airflow_attempt")["try_number"] == number
            };
            runs(&folded).into_iter().find(is_it).unwrap()
        };
        let failed = try_of("trouble.load", 1, 1);
        // Cut at 20,000 characters.
        assert!(failed.error.as_deref().unwrap().starts_with("no such région us: xxxx"));
        assert_eq!(failed.error.as_deref().unwrap().chars().count(), 20_000);
        let instance = facet(failed, "airflow_task_instance");
        assert_eq!(
            (&instance["error_type"], &instance["previous_state"]),
            (&"AirflowFailException".into(), &"running".into())
        );
        let retried = try_of("orders_load.stage.check", -1, 1);
        assert_eq!(retried.error.as_deref(), Some("connection reset by peer: try again"));
        assert_eq!(facet(retried, "airflow_task_instance")["state"], "up_for_retry");
        assert_eq!(try_of("orders_load.stage.check", -1, 2).error, None);
        for (name, number, state) in
            [("after_gate", 0, "skipped"), ("skipped", 1, "skipped"), ("collect", 0, "upstream_failed")]
        {
            let run = try_of(&format!("trouble.{name}"), -1, number);
            assert_eq!(facet(run, "airflow_task_instance")["state"], state);
            assert!(run.ended_at.is_some());
        }
        let dag_run = runs(&folded).into_iter().find(|run| run.job == job("trouble")).unwrap();
        assert_eq!(dag_run.error.as_deref(), Some("task_failure"));
        let kept = facet(dag_run, "airflow_dag_run");
        // What is called a token is masked as in Airflow's log.
        assert_eq!(kept["conf"], serde_json::json!({ "region": "eu", "api_token": "***" }));
        // All tries of a run of a DAG are below it.
        let parents: BTreeMap<_, BTreeSet<_>> = runs(&folded)
            .into_iter()
            .filter(|run| run.job.starts_with(&job("trouble.")))
            .map(|run| (run.parent_run.clone(), BTreeSet::from([run.job.clone()])))
            .collect();
        assert_eq!(parents.into_keys().collect::<Vec<_>>(), [Some(dag_run.id.clone())]);
    }
}

#[test]
fn jobs_have_owners_tags_schedules_and_operators_in_both_versions() {
    for gzipped in [AIRFLOW_2, AIRFLOW_3] {
        let folded = fold(&of_plugin(gzipped));
        let jobs = jobs(&folded);
        let owners = |name: &str| jobs[name].owners.iter().map(|owner| owner.name.as_str()).collect::<Vec<_>>();
        assert_eq!(owners("orders_load"), ["alice", "bob", "data-team"]);
        assert_eq!(owners("orders_load.stage.check"), ["alice", "bob"]);
        assert_eq!(owners("orders_load.done"), ["data-team"]);
        assert_eq!(owners("trouble.collect"), ["sre"]);
        let tags = |name: &str| jobs[name].tags.iter().map(|tag| tag.key.as_str()).collect::<Vec<_>>();
        assert_eq!(tags("orders_load"), ["nightly", "shop"]);
        assert_eq!(jobs["orders_load"].facets["airflow_schedule"], r#"{"schedule":"0 6 * * *"}"#);
        assert_eq!(jobs["orders_load"].description.as_deref(), Some("# Orders\nLoads *orders* each morning."));
        assert_eq!(jobs["orders_load.stage.check"].description.as_deref(), Some("Fails on its first try."));
        let task =
            |name: &str| -> serde_json::Value { serde_json::from_str(&jobs[name].facets["airflow_task"]).unwrap() };
        for (name, operator) in [
            ("orders_load.stage.extract", "BashOperator"),
            ("orders_load.done", "EmptyOperator"),
            ("trouble.after_gate", "BashOperator"),
            ("trouble.load", "_PythonDecoratedOperator"),
        ] {
            assert_eq!(task(name)["operator"], operator, "{name}");
        }
        assert_eq!(task("orders_load.stage.check")["upstream"], serde_json::json!(["stage.extract"]));
        assert_eq!(task("orders_load.stage.check")["retries"], 2);
    }
}

#[test]
fn assets_are_lineage_and_what_they_trigger_waits_for_their_writer() {
    for gzipped in [AIRFLOW_2, AIRFLOW_3] {
        let folded = fold(&of_plugin(gzipped));
        assert_eq!(datasets(&folded).into_keys().collect::<Vec<_>>(), [CUSTOMERS, ORDERS, REPORT]);
        let confirmed = |id: &str| datasets(&folded)[id].existence == "confirmed";
        assert_eq!([CUSTOMERS, ORDERS, REPORT].map(confirmed), [false, true, true]);
        let asset: serde_json::Value =
            serde_json::from_str(&datasets(&folded)[ORDERS].facets["airflow_asset"]).unwrap();
        assert_eq!(asset["extra"], serde_json::json!({ "team": "sales" }));
        let edges: BTreeSet<(&str, &str, &str)> = folded
            .records
            .values()
            .filter_map(|record| match record {
                CatalogRecord::Lineage(edge) => Some((&*edge.job, &*edge.source, &*edge.target)),
                _ => None,
            })
            .collect();
        let (publish, render) = (job("orders_load.publish"), job("orders_report.render"));
        assert_eq!(edges, BTreeSet::from([(&*publish, CUSTOMERS, ORDERS), (&*render, ORDERS, REPORT)]));
        let waits = jobs(&folded)["orders_report"].dependencies.clone();
        assert_eq!(waits, BTreeMap::from([(publish, "upstream/IMPLICIT_ASSET_DEPENDENCY".to_owned())]));
    }
}
