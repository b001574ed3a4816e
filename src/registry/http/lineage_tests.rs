//! Compatibility that counts column lineage, through the router and over a source of lineage that says what a test wants.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::super::decide::{Command, RegisterRequest};
use super::super::handle::{RegistryHandle, RegistryOptions};
use super::super::impact::{
    Affected, ColumnReach, LineageError, LineageFuture, LineageQuestion, LineageSource, Reach, Step,
};
use super::super::log::MemoryLog;
use super::super::types::Subject;
use super::tests::{Client, code};

const TOPIC: &str = "kafka://broker:9092/orders";
const TABLE: &str = "postgres://db:5432/shop/public/revenue";
const JOB: &str = "job://flink/revenue";

/// A record of int fields with defaults, so that every change of fields is compatible in both directions.
fn record(fields: &[&str]) -> String {
    let field = |name: &&str| format!(r#"{{"name":"{name}","type":"int","default":0}}"#);
    let fields: Vec<String> = fields.iter().map(field).collect();
    format!(r#"{{"type":"record","name":"Order","fields":[{}]}}"#, fields.join(","))
}

/// The table's column `total` is made of the topic's `amount`.
fn reach() -> Reach {
    let step = |dataset: &str, column: &str, jobs: &[&str]| Step {
        dataset: dataset.to_owned(),
        column: Some(column.to_owned()),
        jobs: jobs.iter().map(|job| (*job).to_owned()).collect(),
    };
    let affected = Affected {
        dataset: TABLE.to_owned(),
        column: Some("total".to_owned()),
        jobs: vec![JOB.to_owned()],
        owners: vec!["team:finance".to_owned()],
        path: vec![step(TOPIC, "amount", &[]), step(TABLE, "total", &[JOB])],
    };
    Reach {
        datasets: vec![TOPIC.to_owned()],
        columns: vec![ColumnReach { column: "amount".to_owned(), affected: vec![affected] }],
        truncated: false,
    }
}

/// Answers as [`reach`] to questions about `amount`.
#[derive(Default)]
struct Source {
    asked: Mutex<Vec<LineageQuestion>>,
    is_away: Mutex<bool>,
    /// Registers this while the next question is open.
    meanwhile: Mutex<Option<(RegistryHandle, Command)>>,
}

impl LineageSource for Source {
    fn reach<'a>(&'a self, question: &'a LineageQuestion) -> LineageFuture<'a> {
        self.asked.lock().unwrap().push(question.clone());
        let meanwhile = self.meanwhile.lock().unwrap().take();
        Box::pin(async move {
            if let Some((handle, command)) = meanwhile {
                handle.write(command).await.unwrap();
            }
            if *self.is_away.lock().unwrap() {
                return Err(LineageError("nobody is there".to_owned()));
            }
            let mut reach = reach();
            reach.columns.retain(|column| question.changes.iter().any(|changed| changed.path == column.column));
            Ok(reach)
        })
    }
}

struct World {
    client: Client,
    handle: RegistryHandle,
    source: Arc<Source>,
}

impl World {
    /// A registry with lineage, a subject with one version and a level.
    async fn with(level: &str) -> Self {
        let source = Arc::new(Source::default());
        let world = Self::over(&MemoryLog::default(), source);
        world.client.register("orders-value", &record(&["id", "amount"])).await;
        let put = world.client.put("/config/orders-value", json!({"compatibility": level})).await;
        assert_eq!(put, (200, json!({"compatibility": level})));
        world
    }

    fn over(log: &MemoryLog, source: Arc<Source>) -> Self {
        let handle = RegistryHandle::start(Arc::new(log.clone()), &RegistryOptions::default()).unwrap();
        handle.attach_lineage(source.clone());
        Self { client: Client::of(handle.clone()), handle, source }
    }

    async fn check(&self, query: &str, fields: &[&str]) -> (u16, Value) {
        let path = format!("/compatibility/subjects/orders-value/versions{query}");
        self.client.post(&path, json!({"schema": record(fields)})).await
    }

    async fn register(&self, query: &str, fields: &[&str]) -> (u16, Value) {
        let path = format!("/subjects/orders-value/versions{query}");
        self.client.post(&path, json!({"schema": record(fields)})).await
    }

    fn asked_versions(&self) -> Vec<i32> {
        self.source.asked.lock().unwrap().iter().map(|question| question.version).collect()
    }
}

#[tokio::test]
async fn a_plain_client_sees_the_reply_it_knows() {
    let world = World::with("BACKWARD").await;
    assert_eq!(world.check("", &["id"]).await, (200, json!({"is_compatible": true})));
    let verbose = world.check("/latest?verbose=true", &["id"]).await;
    assert_eq!(verbose, (200, json!({"is_compatible": true, "messages": []})));
    assert!(world.asked_versions().is_empty(), "lineage is asked by those who want it");
}

#[tokio::test]
async fn the_impact_is_told_on_request_and_refuses_nothing() {
    let world = World::with("BACKWARD").await;
    let impact = json!({
        "checked": true, "version": 1, "datasets": [TOPIC], "truncated": false,
        "changes": [{"column": "amount", "change": "removed", "affected": [{
            "dataset": TABLE, "column": "total", "jobs": [JOB], "owners": ["team:finance"],
            "path": [{"dataset": TOPIC, "column": "amount"}, {"dataset": TABLE, "column": "total", "jobs": [JOB]}],
        }]}],
    });
    for path in ["?impact=true", "/latest?impact=true", "/1?impact=TRUE"] {
        let answer = world.check(path, &["id"]).await;
        assert_eq!(answer, (200, json!({"is_compatible": true, "impact": impact})), "{path}");
    }
    let (_, body) = world.check("?impact=true&verbose=true", &["id"]).await;
    let message = format!(
        "{{errorType:'LINEAGE_IMPACT', description:'The field 'amount' of the old schema is removed in the new schema, \
         and {TABLE}#total is made of it', additionalInfo:'owners: team:finance; path: {TOPIC}#amount -> [{JOB}] -> \
         {TABLE}#total'}}"
    );
    assert_eq!(body["messages"], json!([message]));
    assert_eq!(world.register("", &["id"]).await.0, 200);
}

#[tokio::test]
async fn changes_that_reach_nothing_are_listed_all_the_same() {
    let world = World::with("BACKWARD_LINEAGE").await;
    let (status, body) = world.check("?impact=true", &["amount"]).await;
    let changes = json!([{"column": "id", "change": "removed", "affected": []}]);
    assert_eq!((status, &body["is_compatible"], &body["impact"]["changes"]), (200, &json!(true), &changes));
    let (_, body) = world.check("?impact=true", &["id", "amount"]).await;
    let nothing = json!({"checked": true, "datasets": [], "changes": [], "truncated": false});
    assert_eq!(body["impact"], nothing);
    assert_eq!(world.register("", &["amount"]).await.0, 200);
}

#[tokio::test]
async fn the_level_refuses_what_something_is_made_of() {
    for level in ["BACKWARD_LINEAGE", "FULL_LINEAGE"] {
        let world = World::with(level).await;
        let (status, body) = world.register("", &["id"]).await;
        assert_eq!((status, &body["error_code"]), (409, &json!(40901)));
        let message = body["message"].as_str().unwrap();
        for part in ["LINEAGE_IMPACT", "'amount'", &format!("{TABLE}#total"), JOB, "team:finance", level] {
            assert!(message.contains(part), "{part} is missing: {message}");
        }
        assert_eq!(world.check("", &["id"]).await, (200, json!({"is_compatible": false})));
        let (_, body) = world.check("?verbose=true", &["id"]).await;
        assert!(body["messages"][0].as_str().unwrap().contains("LINEAGE_IMPACT"), "{body}");
        assert_eq!(world.register("?force=true", &["id"]).await.0, 200, "who skips the check skips all of it");
    }
}

#[tokio::test]
async fn the_level_checks_data_as_the_one_it_is_named_after() {
    let world = World::with("BACKWARD_LINEAGE").await;
    let new = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"int"},{"name":"x","type":"int"}]}"#;
    let refused = world.client.post("/subjects/orders-value/versions", json!({"schema": new})).await;
    let message = refused.1["message"].as_str().unwrap().to_owned();
    assert_eq!(code(refused), (409, 40901));
    assert!(message.contains("READER_FIELD_MISSING_DEFAULT_VALUE"), "{message}");
    assert!(world.asked_versions().is_empty(), "what readers cannot read is refused without asking");
    let added = world.register("", &["id", "amount", "more"]).await;
    assert_eq!(added.0, 200);
    assert!(world.asked_versions().is_empty(), "nothing was removed, renamed or retyped");
}

#[tokio::test]
async fn without_lineage_the_level_refuses_changes_and_nothing_else() {
    let world = World::with("BACKWARD_LINEAGE").await;
    *world.source.is_away.lock().unwrap() = true;
    for refused in [world.register("", &["id"]).await, world.check("", &["id"]).await] {
        let message = refused.1["message"].as_str().unwrap().to_owned();
        assert_eq!(code(refused), (503, 50301));
        assert!(message.contains("nobody is there"), "{message}");
    }
    assert_eq!(world.register("", &["id", "amount", "more"]).await.0, 200);
    world.client.put("/config/orders-value", json!({"compatibility": "BACKWARD"})).await;
    let (status, body) = world.check("?impact=true", &["id"]).await;
    assert_eq!((status, &body["is_compatible"]), (200, &json!(true)));
    let impact = &body["impact"];
    assert_eq!((&impact["checked"], &impact["reason"]), (&json!(false), &json!("nobody is there")));
    assert_eq!(impact["changes"][0]["column"], "amount");
}

#[tokio::test]
async fn a_registry_without_a_catalog_says_so() {
    let client = Client::new();
    client.register("orders-value", &record(&["id", "amount"])).await;
    client.put("/config", json!({"compatibility": "full_lineage"})).await;
    let refused = client.post("/subjects/orders-value/versions", json!({"schema": record(&["id"])})).await;
    let message = refused.1["message"].as_str().unwrap().to_owned();
    assert_eq!(code(refused), (503, 50301));
    assert!(message.contains("this registry has no catalog to ask"), "{message}");
}

#[tokio::test]
async fn an_answer_counts_for_the_version_that_it_was_asked_about() {
    let world = World::with("BACKWARD_LINEAGE").await;
    let schema = record(&["id", "amount", "more"]);
    let request = RegisterRequest { schema, ..RegisterRequest::default() };
    let between = Command::Register { subject: Subject::from_stored("orders-value"), request: Box::new(request) };
    *world.source.meanwhile.lock().unwrap() = Some((world.handle.clone(), between));
    // Nothing is made of `id`; the answer about version 1 is no answer about version 2.
    assert_eq!(world.register("", &["amount"]).await.0, 200);
    assert_eq!(world.asked_versions(), [1, 2]);
    let asked = world.source.asked.lock().unwrap().clone();
    let paths = |question: &LineageQuestion| question.changes.iter().map(|c| c.path.clone()).collect::<Vec<_>>();
    assert_eq!((paths(&asked[0]), paths(&asked[1])), (vec!["id".to_owned()], vec!["id".to_owned(), "more".to_owned()]));
}

#[tokio::test]
async fn the_level_is_shown_and_kept() {
    let log = MemoryLog::default();
    let world = World::over(&log, Arc::new(Source::default()));
    for (asked, shown) in [("backward_lineage", "BACKWARD_LINEAGE"), ("FULL_LINEAGE", "FULL_LINEAGE")] {
        let put = world.client.put("/config/s", json!({"compatibility": asked})).await;
        assert_eq!(put, (200, json!({"compatibility": shown})));
        assert_eq!(world.client.get("/config/s").await, (200, json!({"compatibilityLevel": shown})));
    }
    let again = World::over(&log, Arc::new(Source::default()));
    assert_eq!(again.client.get("/config/s").await, (200, json!({"compatibilityLevel": "FULL_LINEAGE"})));
    let refused = world.client.put("/config/s", json!({"compatibility": "FORWARD_LINEAGE"})).await;
    assert_eq!(code(refused), (422, 42203));
}

#[tokio::test]
async fn a_subject_is_linked_by_its_name_or_by_its_contract() {
    let world = World::with("BACKWARD").await;
    let asked = || world.source.asked.lock().unwrap().pop().unwrap();
    world.check("?impact=true", &["id"]).await;
    let by_name = asked();
    assert!(by_name.datasets.is_empty());
    assert_eq!(by_name.topics, ["orders", "orders-value"]);
    let link = json!({"properties": {"tributary.dataset": " kafka://other:9092/o "}});
    world.client.put("/config/orders-value", json!({"defaultMetadata": link})).await;
    world.check("?impact=true", &["id"]).await;
    assert_eq!(asked().datasets, ["kafka://other:9092/o"]);
}
