//! Airflow tells of its runs twice, through a listener and through its OpenLineage provider: in the catalog each DAG and
//! each task is one job, each try of a task one run. Expectations were counted from the events by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use flate2::read::GzDecoder;
use tributary::fold::{FoldConfig, Folded, fold_all};
use tributary::model::fact::{Fact, Origin};
use tributary::model::raw::{Normalized, RawRecord};
use tributary::model::record::{CatalogRecord, DatasetRecord, JobRecord, RunRecord};
use tributary::normalize::airflow::{AirflowConfig, AirflowNormalizer};
use tributary::normalize::openlineage::{OpenLineageConfig, OpenLineageNormalizer};

const LISTENER: &[u8] = include_bytes!("fixtures/airflow/listener_3.1.8.jsonl.gz");
const PROVIDER: &[u8] = include_bytes!("fixtures/openlineage/airflow_3.1.8.jsonl.gz");
const POSTGRES: &str = "postgres://127.0.0.1:15498/shop/public";

pub(super) fn facts(gzipped: &[u8], topic: &str, normalize: impl Fn(&RawRecord<'_>) -> Normalized) -> Vec<Fact> {
    let mut text = String::new();
    GzDecoder::new(gzipped).read_to_string(&mut text).unwrap();
    let mut facts = Vec::new();
    for (offset, line) in text.lines().enumerate() {
        let origin = Origin { topic: topic.into(), partition: 0, offset: offset as i64 };
        let raw = RawRecord { origin, timestamp_ms: None, key: None, value: Some(line.as_bytes()) };
        match normalize(&raw) {
            Normalized::Facts(some) => facts.extend(some),
            Normalized::NoOp(reason) => panic!("event {offset}: {reason}"),
        }
    }
    facts
}

fn of_listener() -> Vec<Fact> {
    let config = AirflowConfig { namespace: "airflow-shop".into(), ..AirflowConfig::default() };
    let normalizer = AirflowNormalizer::new(config);
    facts(LISTENER, "airflow.events", |raw| normalizer.normalize(raw).unwrap())
}

fn of_provider() -> Vec<Fact> {
    let normalizer = OpenLineageNormalizer::new(OpenLineageConfig::default());
    facts(PROVIDER, "openlineage.events", |raw| normalizer.normalize(raw).unwrap())
}

pub(super) fn fold(facts: &[Fact]) -> Folded {
    fold_all(FoldConfig::default(), facts).unwrap()
}

fn both() -> Folded {
    fold(&[of_provider(), of_listener()].concat())
}

pub(super) fn jobs(folded: &Folded) -> BTreeMap<&str, &JobRecord> {
    let jobs = folded.records.values().filter_map(|record| match record {
        CatalogRecord::Job(job) => Some((job.name.as_str(), &**job)),
        _ => None,
    });
    jobs.collect()
}

pub(super) fn runs(folded: &Folded) -> Vec<&RunRecord> {
    let runs = folded.records.values().filter_map(|record| match record {
        CatalogRecord::Run(run) => Some(&**run),
        _ => None,
    });
    runs.collect()
}

pub(super) fn datasets(folded: &Folded) -> BTreeMap<&str, &DatasetRecord> {
    let datasets = folded.records.values().filter_map(|record| match record {
        CatalogRecord::Dataset(dataset) => Some((dataset.id.as_str(), &**dataset)),
        _ => None,
    });
    datasets.collect()
}

fn job(name: &str) -> String {
    format!("job://airflow-shop/{name}")
}

/// Runs by job and state.
fn states(folded: &Folded) -> BTreeMap<(String, String), usize> {
    let mut states = BTreeMap::new();
    for run in runs(folded) {
        let name = run.job.trim_start_matches("job://airflow-shop/").to_owned();
        *states.entry((name, run.state.clone())).or_insert(0) += 1;
    }
    states
}

/// What a reader groups tries by: DAG run, task, index within a mapped task; and the tries' numbers with their states.
fn tries(folded: &Folded, task: &str) -> BTreeMap<(String, i64), Vec<(i64, String)>> {
    let mut tries = BTreeMap::<_, Vec<_>>::new();
    for run in runs(folded).into_iter().filter(|run| run.job == job(task)) {
        let attempt: serde_json::Value = serde_json::from_str(&run.facets["airflow_attempt"]).unwrap();
        let number = |field: &str| attempt[field].as_i64().unwrap();
        let group = (run.parent_run.clone().unwrap(), number("map_index"));
        tries.entry(group).or_default().push((number("try_number"), run.state.clone()));
    }
    tries.values_mut().for_each(|tries| tries.sort());
    tries
}

const FLAKY_RUNS: [&str; 2] = ["01a1fcbd-77f0-70d0-95b9-ef2187db42ce", "01a1fcc9-eaee-75e0-ad83-1496d8a87105"];

#[test]
fn each_dag_and_task_is_one_job_and_each_try_one_run() {
    let expected: BTreeMap<(String, String), usize> = [
        ("shop_facts", "COMPLETE", 4),
        ("shop_facts.build_facts", "COMPLETE", 4),
        ("shop_facts.ctas_customer_rollup", "COMPLETE", 4),
        ("shop_flaky", "FAIL", 2),
        ("shop_flaky.bad_sql", "FAIL", 2),
        ("shop_flaky.br", "COMPLETE", 2),
        ("shop_flaky.gen", "COMPLETE", 2),
        // Two runs of the DAG: three regions, of which the third fails twice.
        ("shop_flaky.per_region", "COMPLETE", 4),
        ("shop_flaky.per_region", "FAIL", 4),
        // Fails first, then succeeds.
        ("shop_flaky.sometimes", "COMPLETE", 2),
        ("shop_flaky.sometimes", "FAIL", 2),
        ("shop_ingest", "COMPLETE", 3),
        ("shop_ingest", "FAIL", 1),
        ("shop_ingest.create", "COMPLETE", 3),
        // Lost by the executor: it never started.
        ("shop_ingest.create", "FAIL", 1),
        ("shop_ingest.load_raw", "COMPLETE", 3),
        ("shop_ingest.post.notify", "COMPLETE", 3),
        ("shop_ingest.validate", "COMPLETE", 3),
    ]
    .map(|(name, state, count)| ((name.to_owned(), state.to_owned()), count))
    .into();
    let names: BTreeSet<&str> = expected.keys().map(|(name, _)| name.as_str()).collect();
    for folded in [both(), fold(&of_listener()), fold(&of_provider())] {
        assert_eq!(jobs(&folded).keys().copied().collect::<BTreeSet<_>>(), names);
        assert_eq!(states(&folded), expected);
    }
}

#[test]
fn tries_are_grouped_by_dag_run_and_map_index() {
    let state = |number: i64, state: &str| (number, state.to_owned());
    let once = || vec![state(1, "COMPLETE")];
    for folded in [both(), fold(&of_listener()), fold(&of_provider())] {
        for task in ["shop_flaky.per_region", "shop_flaky.sometimes"] {
            let mut expected = BTreeMap::new();
            for run in FLAKY_RUNS.map(str::to_owned) {
                if task.ends_with("sometimes") {
                    expected.insert((run, -1), vec![state(1, "FAIL"), state(2, "COMPLETE")]);
                } else {
                    expected.insert((run.clone(), 0), once());
                    expected.insert((run.clone(), 1), once());
                    expected.insert((run, 2), vec![state(1, "FAIL"), state(2, "FAIL")]);
                }
            }
            assert_eq!(tries(&folded, task), expected, "{task}");
        }
    }
}

#[test]
fn jobs_have_their_dag_their_schedule_owners_tags_and_words() {
    let folded = both();
    let jobs = jobs(&folded);
    for (name, record) in &jobs {
        let dag = name.split_once('.').map(|(dag, _)| job(dag));
        assert_eq!(record.parent, dag, "{name}");
        assert_eq!(record.id, job(name));
        let kind = if dag.is_some() { "TASK" } else { "DAG" };
        assert_eq!((record.integration.as_str(), record.job_type.as_str()), ("AIRFLOW", kind), "{name}");
        let team = match name.split('.').next().unwrap() {
            "shop_ingest" => "ingest-team",
            "shop_facts" => "finance",
            _ => "sre",
        };
        assert_eq!(record.owners.iter().map(|owner| owner.name.as_str()).collect::<Vec<_>>(), [team], "{name}");
    }
    let tags = |name: &str| jobs[name].tags.iter().map(|tag| tag.key.as_str()).collect::<Vec<_>>();
    assert_eq!(tags("shop_ingest"), ["ingest", "shop"]);
    assert_eq!(tags("shop_facts"), ["facts", "finance"]);
    assert_eq!(tags("shop_flaky"), ["flaky"]);
    let schedule = |name: &str| jobs[name].facets["airflow_schedule"].as_str();
    assert_eq!(schedule("shop_ingest"), r#"{"schedule":"0 0 * * *"}"#);
    assert_eq!(schedule("shop_facts"), r#"{"schedule":"Asset"}"#);
    assert_eq!(schedule("shop_flaky"), r#"{"schedule":"None"}"#);
    // The provider sends the DAG's long text, the listener had the short one.
    assert_eq!(jobs["shop_ingest"].description.as_deref(), Some("# Ingest\nraw orders"));
    assert_eq!(jobs["shop_ingest"].source_location.as_deref(), Some("shop_dags.py"));
    let of_listener = fold(&of_listener());
    let described = self::jobs(&of_listener);
    assert_eq!(described["shop_ingest"].description.as_deref(), Some("Loads raw orders"));
    assert_eq!(described["shop_ingest.validate"].description.as_deref(), Some("validates counts"));
    // The scheduler, which reports the lost task, knows it as a stand-in.
    for (name, operator) in
        [("shop_ingest.create", "SQLExecuteQueryOperator"), ("shop_flaky.per_region", "_PythonDecoratedOperator")]
    {
        let task: serde_json::Value = serde_json::from_str(&jobs[name].facets["airflow_task"]).unwrap();
        assert_eq!(task["operator"], operator, "{name}");
    }
}

#[test]
fn failures_say_why_and_times_are_those_of_the_run() {
    let lost = "01a1fb67-1800-7db3-8dd0-4b4a2234764b";
    for folded in [both(), fold(&of_listener()), fold(&of_provider())] {
        let run = |id: &str| runs(&folded).into_iter().find(|run| run.id == id).unwrap();
        let error = |id: &str| run(id).error.as_deref().unwrap();
        assert_eq!(error("01a1fcbd-77f0-71a5-845a-7de41d664dae"), "transient: connection reset");
        assert_eq!(error("01a1fcbd-77f0-7379-bb72-96f084200b7c"), "bad region 'us': Ünicode \"quote\"");
        assert!(
            error("01a1fcbd-77f0-707d-a82e-300a4c67dbcb").starts_with("relation \"missing_table\" does not exist\n")
        );
        assert!(error(lost).starts_with("Executor LocalExecutor(parallelism=2) reported that the task instance"));
        assert_eq!(error(FLAKY_RUNS[0]), "task_failure");
        assert_eq!((run(lost).started_at, run(lost).state.as_str()), (None, "FAIL"));
        // 2026-11-21T06:13:23.614500Z; the second try of `sometimes` succeeded, so it has no error.
        assert_eq!(run("01a1fcbc-d15a-7382-93b2-5a26935917df").started_at, Some(1_795_241_603_614_500));
        assert_eq!(run("01a1fcbd-77f0-7352-b07a-5ff0c5ea9a51").error, None);
        assert!(runs(&folded).iter().all(|run| run.ended_at.is_some()));
    }
    // Skipped and retried are states of Airflow's own.
    let folded = fold(&of_listener());
    let retried = runs(&folded).into_iter().find(|run| run.id == "01a1fcbd-77f0-71a5-845a-7de41d664dae").unwrap();
    let instance: serde_json::Value = serde_json::from_str(&retried.facets["airflow_task_instance"]).unwrap();
    assert_eq!((&instance["state"], &instance["error_type"]), (&"up_for_retry".into(), &"RuntimeError".into()));
}

#[test]
fn assets_are_the_tables_that_they_name() {
    let folded = both();
    let datasets = datasets(&folded);
    let existing: BTreeSet<&str> =
        datasets.iter().filter(|(_, dataset)| dataset.existence == "confirmed").map(|(id, _)| *id).collect();
    let tables = ["customer_rollup", "customers_dim", "order_facts", "orders_raw"].map(|t| format!("{POSTGRES}/{t}"));
    assert_eq!(existing, tables.iter().map(String::as_str).collect());
    let asset: serde_json::Value = serde_json::from_str(&datasets[tables[3].as_str()].facets["airflow_asset"]).unwrap();
    assert_eq!(asset["name"], "orders_raw");
    assert_eq!(asset["extra"]["team"], "sales");
    // By the listener alone it is known that the two tasks write them.
    let of_listener = fold(&of_listener());
    let names: BTreeSet<&str> = self::datasets(&of_listener).into_keys().collect();
    assert_eq!(names, BTreeSet::from([tables[2].as_str(), tables[3].as_str()]));
    let writers: BTreeMap<&str, &str> = of_listener
        .records
        .values()
        .filter_map(|record| match record {
            CatalogRecord::DatasetStats(stats) => Some((stats.id.as_str(), stats.last_job.as_deref()?)),
            _ => None,
        })
        .collect();
    let (load, build) = (job("shop_ingest.load_raw"), job("shop_facts.build_facts"));
    assert_eq!(writers, BTreeMap::from([(tables[2].as_str(), &*build), (tables[3].as_str(), &*load)]));
}

#[test]
fn edges_belong_to_tasks_and_dags_wait_for_tasks() {
    let folded = both();
    let edges: BTreeSet<(String, String, String)> = folded
        .records
        .values()
        .filter_map(|record| match record {
            CatalogRecord::Lineage(edge) => Some((edge.job.clone(), edge.source.clone(), edge.target.clone())),
            _ => None,
        })
        .collect();
    let edge = |task: &str, from: &str, to: &str| (job(task), format!("{POSTGRES}/{from}"), format!("{POSTGRES}/{to}"));
    let expected = BTreeSet::from([
        // `load_raw` reads nothing but the function `generate_series`, which the provider's parser takes for a table.
        edge("shop_facts.build_facts", "orders_raw", "order_facts"),
        edge("shop_facts.ctas_customer_rollup", "customers_dim", "customer_rollup"),
        edge("shop_facts.ctas_customer_rollup", "orders_raw", "customer_rollup"),
    ]);
    assert_eq!(edges, expected);
    let waits = jobs(&folded)["shop_facts"].dependencies.clone();
    let expected = BTreeMap::from([(job("shop_ingest.load_raw"), "upstream/IMPLICIT_ASSET_DEPENDENCY".to_owned())]);
    assert_eq!(waits, expected);
}

#[test]
fn which_stream_comes_first_and_how_often_changes_nothing() {
    let records = |facts: &[Fact]| {
        let mut folded = fold(facts);
        let blank = |record: &mut CatalogRecord| tributary::fold::blank_origins(record);
        folded.records.values_mut().for_each(blank);
        // Whether a version of a schema came late is the one thing that depends on the order.
        folded.records.retain(|_, record| !matches!(record, CatalogRecord::SchemaVersion(_)));
        folded.records
    };
    let (provider, listener) = (of_provider(), of_listener());
    let expected = records(&[provider.clone(), listener.clone()].concat());
    let mut backwards = [provider.clone(), listener.clone(), provider].concat();
    backwards.reverse();
    assert_eq!(records(&[listener.clone(), of_provider(), listener].concat()), expected);
    assert_eq!(records(&backwards), expected);
}
