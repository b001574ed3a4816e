//! A schema of a topic, what a job makes of the topic, and a registry that knows both: from an OpenLineage event to the
//! refusal of a schema, with everything in between as it runs for people.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tributary::dev::free_address;
use tributary::registry::rest::{Resource, RestClient, RestError};
use tributary::registry::tls::ClientTls;

use crate::support::site::{Running, Site};

const TABLE: &str = "postgres://db:5432/shop/public/revenue";
const JOB: &str = "job://flink/revenue";

/// Of int fields with defaults: whatever comes or goes, readers can read.
fn order(fields: &[&str]) -> String {
    let field = |name: &&str| format!(r#"{{"name":"{name}","type":"int","default":0}}"#);
    let fields: Vec<String> = fields.iter().map(field).collect();
    format!(r#"{{"type":"record","name":"Order","fields":[{}]}}"#, fields.join(","))
}

/// A job reads the topic `orders` of this very Kafka and makes the column `total` of a table of its `amount`.
fn event(kafka: &str) -> Value {
    let (producer, facet) = ("https://example.com/p", "https://openlineage.io/spec/facets/1-0-0/F.json");
    let with = |mut facet_of: Value| {
        facet_of["_producer"] = producer.into();
        facet_of["_schemaURL"] = facet.into();
        facet_of
    };
    let topic = json!({"namespace": format!("kafka://{kafka}"), "name": "orders"});
    let mut input = topic.clone();
    input["facets"] = json!({"schema": with(json!({"fields": [
        {"name": "id", "type": "int"}, {"name": "amount", "type": "int"}]}))});
    let source = json!({"namespace": topic["namespace"], "name": topic["name"], "field": "amount"});
    json!({
        "eventType": "COMPLETE", "eventTime": "2026-01-05T10:00:00Z", "producer": producer,
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": "0190a7c2-54e4-7c3e-9a53-6a3f3f7a1c11"},
        "job": {"namespace": "flink", "name": "revenue"},
        "inputs": [input],
        "outputs": [{
            "namespace": "postgres://db:5432", "name": "shop.public.revenue",
            "facets": {
                "schema": with(json!({"fields": [{"name": "total", "type": "int"}]})),
                "ownership": with(json!({"owners": [{"name": "team:finance", "type": "MAINTAINER"}]})),
                "columnLineage": with(json!({"fields": {"total": {"inputFields": [source]}}})),
            },
        }],
    })
}

/// Posts JSON to the API; what it answers, while it answers.
fn post(api: &str, path: &str, body: &Value) -> Option<Value> {
    let mut stream = TcpStream::connect(api).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let body = body.to_string();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {api}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// The registry at an address, once it answers.
fn registry(process: &mut Running, address: &str) -> RestClient {
    let client = RestClient::new(&format!("http://{address}"), None, &ClientTls::default()).unwrap();
    process.wait_until("the registry answers", |_| client.get(&Resource::new(&["subjects"])).is_ok());
    client
}

fn body(fields: &[&str]) -> Value {
    json!({"schema": order(fields)})
}

fn refusal(outcome: Result<Value, RestError>) -> (Option<u16>, Option<u32>, String) {
    let error = outcome.unwrap_err();
    (error.status(), error.code(), error.to_string())
}

#[test]
fn a_field_that_a_table_is_made_of_cannot_go() {
    let site = Site::start();
    let kafka = site.bootstrap_servers();
    let topic = format!("kafka://{kafka}/orders");
    let [api, address] = [free_address().unwrap(), free_address().unwrap()];
    let settings = [("TRIBUTARY_API__LISTEN", api.as_str()), ("TRIBUTARY_REGISTRY__LISTEN", address.as_str())];
    let mut up = site.spawn(&["up"], &settings);
    let ours = registry(&mut up, &address);
    let question = json!({"topics": ["orders"], "columns": ["amount"]});
    up.wait_until("the API takes the event", |_| {
        post(&api, "/api/v1/lineage", &event(&kafka)).is_some_and(|answer| answer["offset"].is_i64())
    });
    let mut known = Value::Null;
    // The way comes from the graph and the owner from Postgres, each in its own time.
    up.wait_until("lineage knows the event", |_| {
        known = post(&api, "/api/v1/lineage/impact", &question).unwrap_or_default();
        known["columns"][0]["affected"][0]["owners"][0].is_string()
    });
    let way = json!([{"dataset": topic, "column": "amount"}, {"dataset": TABLE, "column": "total", "jobs": [JOB]}]);
    let affected = json!([{
        "dataset": TABLE, "column": "total", "jobs": [JOB], "owners": ["team:finance"], "path": way}]);
    let columns = json!([{"column": "amount", "affected": affected}]);
    assert_eq!(known, json!({"datasets": [topic], "columns": columns, "truncated": false}));

    let versions = Resource::new(&["subjects", "orders-value", "versions"]);
    let check = Resource::new(&["compatibility", "subjects", "orders-value", "versions", "latest"]);
    ours.post(&versions, &body(&["id", "amount"])).unwrap();
    assert_eq!(ours.post(&check, &body(&["id"])).unwrap(), json!({"is_compatible": true}));
    let answer = ours.post(&check.clone().flag("impact", true), &body(&["id"])).unwrap();
    let changes = json!([{"column": "amount", "change": "removed", "affected": affected}]);
    let impact = json!({"checked": true, "version": 1, "datasets": [topic], "changes": changes, "truncated": false});
    assert_eq!(answer, json!({"is_compatible": true, "impact": impact}));

    ours.put(&Resource::new(&["config", "orders-value"]), &json!({"compatibility": "BACKWARD_LINEAGE"})).unwrap();
    let (status, code, message) = refusal(ours.post(&versions, &body(&["id"])));
    assert_eq!((status, code), (Some(409), Some(40901)));
    for part in [&format!("{topic}#amount -> [{JOB}] -> {TABLE}#total"), "team:finance", "'amount'"] {
        assert!(message.contains(part), "{part} is missing: {message}");
    }
    // What nothing is made of may go.
    ours.post(&versions, &body(&["amount", "note"])).unwrap();

    let file = |name: &str, fields: &[&str]| {
        let path = site.data_dir().join(name);
        std::fs::write(&path, order(fields)).unwrap();
        path.display().to_string()
    };
    let url = format!("http://{address}");
    let run = |file: &str, more: &[&str]| {
        let arguments = ["schema", "check", "orders-value", file, "--url", &url];
        let output = site.command(&[&arguments, more].concat()).env_remove("TRIBUTARY_CONFIG").output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (without, same) = (file("without.avsc", &["note"]), file("same.avsc", &["amount", "note", "more"]));
    let told = format!(
        "amount is removed: {TABLE}#total is made of it (team:finance)\n    {topic}#amount -> [{JOB}] -> {TABLE}#total\n"
    );
    let (code, out) = run(&without, &[]);
    assert_eq!((code, out.ends_with(&told)), (1, true), "{out}");
    assert_eq!(run(&same, &["--lineage"]), (0, "compatible\n".to_owned()));
    ours.put(&Resource::new(&["config", "orders-value"]), &json!({"compatibility": "BACKWARD"})).unwrap();
    assert_eq!(run(&without, &[]), (0, format!("compatible\n{told}")));
    assert_eq!(run(&without, &["--lineage"]), (1, told.clone()));

    // A registry alone asks the catalog that it is told of, and without one it cannot say.
    let [far, deaf] = [free_address().unwrap(), free_address().unwrap()];
    let catalog = format!("http://{api}");
    let settings =
        [("TRIBUTARY_REGISTRY__LISTEN", far.as_str()), ("TRIBUTARY_REGISTRY__CATALOG_URL", catalog.as_str())];
    let mut alone = site.spawn_in("far", &["registry"], &settings);
    let theirs = registry(&mut alone, &far);
    let answer = theirs.post(&check.clone().flag("impact", true), &body(&["note"])).unwrap();
    assert_eq!(answer["impact"]["changes"], changes);
    let mut without_catalog = site.spawn_in("deaf", &["registry"], &[("TRIBUTARY_REGISTRY__LISTEN", deaf.as_str())]);
    registry(&mut without_catalog, &deaf);
    let output = site
        .command(&["schema", "check", "orders-value", &without, "--lineage", "--url"])
        .arg(format!("http://{deaf}"))
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}
