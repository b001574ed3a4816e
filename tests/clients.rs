//! Clients that others wrote, against the real binary: `tributary registry` on a real `_schemas` topic, and `tributary
//! up` with that registry as its configured one.

use std::time::{Duration, Instant};

use apache_avro::types::Value as AvroValue;
use schema_registry_converter::async_impl::avro::{AvroDecoder, AvroEncoder};
use schema_registry_converter::async_impl::schema_registry::SrSettings;
use schema_registry_converter::avro_common::get_supplied_schema;
use schema_registry_converter::schema_registry_common::SubjectNameStrategy;
use serde_json::{Value, json};

use crate::support::python::script;
use crate::support::site::{Running, Site};

/// 40 notifications of a Hive Metastore 4.0.1, from the first on.
const NOTIFICATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/hms/hms-4.0.1_json-0.2.jsonl.gz");
const LIMIT: Duration = Duration::from_secs(60);

/// One installation and everything that talks to it, one client after the other: servers are the dear part.
#[test]
fn third_party_clients_work() {
    let site = Site::start();
    let mut registry = site.spawn_in("registry", &["registry"], &[]);
    let registry_url = address(&mut registry, "schema registry on ");
    let mut up = site.spawn(&["up", "--set", &format!("schema_registry.url={registry_url}")], &[]);
    let api_url = address(&mut up, "API              ");
    let kafka = site.bootstrap_servers();
    let variables = [("REGISTRY_URL", &*registry_url), ("API_URL", &*api_url), ("KAFKA", &*kafka)];
    let web = Web::new();

    script("registry.py", &[], &variables);
    web.runtime.block_on(rust_client(&registry_url));

    script("openlineage_events.py", &[], &variables);
    reported_lineage_is_in_the_catalog(&web, &api_url);

    script("framed_notifications.py", &[NOTIFICATIONS, "40"], &variables);
    site.quiet_digest();
    framed_notifications_are_in_the_catalog(&site, &web, &api_url);
    downstream_reads_the_catalog(&variables);

    unreadable_versions_stop_the_start(&site, &web, &registry_url);
    up.terminate();
    registry.terminate();
}

/// The URL that a process says after `word`.
fn address(process: &mut Running, word: &str) -> String {
    let started = Instant::now();
    loop {
        let log = process.log_text();
        let said = log.lines().filter(|_| log.ends_with('\n')).find_map(|line| line.strip_prefix(word));
        if let Some(url) = said {
            return url.to_owned();
        }
        process.assert_running();
        assert!(started.elapsed() < LIMIT, "no {word:?} in its log:\n{log}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Web {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

impl Web {
    fn new() -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
        Self { runtime: tokio::runtime::Runtime::new().unwrap(), client }
    }

    fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        self.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap())
        })
    }

    fn get(&self, url: &str, query: &[(&str, &str)]) -> (u16, Value) {
        let mut url = url::with_query(url, query);
        url.retain(|c| c != ' ');
        self.send(self.client.get(url))
    }

    /// The answer once it is as wanted: readers follow the topics at their own pace.
    fn eventually(&self, url: &str, query: &[(&str, &str)], wanted: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let (status, answer) = self.get(url, query);
            if status == 200 && wanted(&answer) {
                return answer;
            }
            assert!(started.elapsed() < LIMIT, "{url} {query:?} still answers {status} {answer:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

mod url {
    /// A URL with a query, percent-encoded.
    pub fn with_query(base: &str, query: &[(&str, &str)]) -> String {
        let escaped = |text: &str| -> String {
            text.bytes()
                .map(|byte| match byte {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
                    other => format!("%{other:02X}"),
                })
                .collect()
        };
        let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        format!("{base}?{}", pairs.join("&"))
    }
}

/// `schema_registry_converter`: registers, encodes, decodes, by its own HTTP client.
async fn rust_client(registry_url: &str) {
    let settings = SrSettings::new_builder(registry_url.to_owned()).no_proxy().build().unwrap();
    let schema = r#"{"type":"record","name":"Beat","namespace":"rust","fields":[
        {"name":"at","type":"long"},{"name":"host","type":["null","string"],"default":null}]}"#;
    let schema = get_supplied_schema(&apache_avro::Schema::parse_str(schema).unwrap());
    let strategy = SubjectNameStrategy::TopicNameStrategyWithSchema("rust.beats".to_owned(), false, schema);
    let encoder = AvroEncoder::new(settings.clone());
    let host = AvroValue::Union(1, Box::new(AvroValue::String("a".to_owned())));
    let framed = encoder.encode(vec![("at", AvroValue::Long(3)), ("host", host.clone())], strategy).await.unwrap();
    assert_eq!(framed.first(), Some(&0));
    assert_eq!(framed[5..], [6, 2, 2, b'a'], "zigzag 3, branch 1, length 1, a");
    let latest = SubjectNameStrategy::TopicNameStrategy("rust.beats".to_owned(), false);
    let other = AvroEncoder::new(settings.clone());
    let again = other.encode(vec![("at", AvroValue::Long(3)), ("host", host.clone())], latest).await.unwrap();
    assert_eq!(again, framed, "the latest version of the subject is what was registered");
    let decoded = AvroDecoder::new(settings).decode(Some(&framed)).await.unwrap();
    assert_eq!(decoded.name.unwrap().fullname(None), "rust.Beat");
    let expected = vec![("at".to_owned(), AvroValue::Long(3)), ("host".to_owned(), host)];
    assert_eq!(decoded.value, AvroValue::Record(expected));
}

/// What `openlineage_events.py` reports: orders → daily/orders over HTTP, daily/orders → report over Kafka.
fn reported_lineage_is_in_the_catalog(web: &Web, api_url: &str) {
    let (orders, report) = ("postgres://db.shop:5432/shop.public.orders", "postgres://db.shop:5432/shop.public.report");
    let lineage = format!("{api_url}/api/v1/lineage");
    let reaches = |answer: &Value, distance: u32| {
        let found = answer["lineage"]["downstream"].as_array().cloned().unwrap_or_default();
        found.iter().any(|item| item["distance"] == distance)
    };
    let query = [("dataset", orders), ("direction", "downstream"), ("depth", "3")];
    let answer = web.eventually(&lineage, &query, |answer| reaches(answer, 2));
    let downstream = answer["lineage"]["downstream"].as_array().unwrap();
    let distances: Vec<_> =
        downstream.iter().map(|item| (item["distance"].clone(), item["dataset_id"].clone())).collect();
    let daily = distances[0].1.as_str().unwrap().to_owned();
    assert!(daily.contains("py-lake") && daily.contains("daily/orders"), "{daily}");
    let report_id = distances[1].1.as_str().unwrap().to_owned();
    assert_eq!(distances, [(json!(1), json!(daily)), (json!(2), json!(report_id))]);
    assert_eq!(downstream[0]["transformation"]["job_id"], "job://py-etl/aggregate_orders");
    assert_eq!(downstream[1]["transformation"]["job_id"], "job://py-etl/publish_report");

    let columns = [("dataset", orders), ("direction", "downstream"), ("depth", "3"), ("column", "amount")];
    let answer = web.eventually(&lineage, &columns, |answer| reaches(answer, 2));
    let downstream = answer["lineage"]["downstream"].as_array().unwrap();
    let found: Vec<_> = downstream.iter().map(|item| (&item["dataset_id"], &item["column"])).collect();
    assert_eq!(found, [(&json!(daily), &json!("total")), (&json!(report_id), &json!("total"))]);

    let page = web.eventually(&format!("{api_url}/api/v1/datasets"), &[("id", report)], |_| true);
    assert_eq!(page["canonical_id"], report_id);
    let names: Vec<&str> =
        page["columns"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["total"]);
    for job in ["aggregate_orders", "publish_report"] {
        let id = format!("job://py-etl/{job}");
        let page = web.eventually(&format!("{api_url}/api/v1/jobs"), &[("id", &id)], |_| true);
        assert_eq!((&page["namespace"], &page["name"]), (&json!("py-etl"), &json!(job)));
        let complete = |answer: &Value| answer["runs"][0]["state"] == "COMPLETE" && answer["total"] == 1;
        web.eventually(&format!("{api_url}/api/v1/runs"), &[("job", &id)], complete);
    }
}

fn framed_notifications_are_in_the_catalog(site: &Site, web: &Web, api_url: &str) {
    let query = [("q", "stock_levels_dim"), ("filters", "platform:hive")];
    let is_there = |answer: &Value| answer["total"].as_u64().is_some_and(|total| total > 0);
    let answer = web.eventually(&format!("{api_url}/api/v1/search"), &query, is_there);
    eprintln!("{answer:#}");
    let letters = site.expect_success(&["dlq", "list"]);
    eprintln!("{letters}");
}

/// Each record of these topics, as a reader sees it that has only the registry's schema.
fn downstream_reads_the_catalog(variables: &[(&str, &str)]) {
    let text = script("catalog_consumer.py", &["catalog.datasets", "catalog.lineage"], variables);
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    eprintln!("{} records: {:#}", records.len(), records[0]);
}

/// Somebody registers, past the check, a version that lacks eventId and has a number for the message.
fn unreadable_versions_stop_the_start(site: &Site, web: &Web, registry_url: &str) {
    let subject = "hms.notifications-value";
    let level = web.client.put(format!("{registry_url}/config/{subject}")).json(&json!({"compatibility": "NONE"}));
    assert_eq!(web.send(level).0, 200);
    let schema = r#"{"type":"record","name":"NotificationEvent","namespace":"tributary.raw.v1","fields":[
        {"name":"eventType","type":"string"},{"name":"message","type":"long"}]}"#;
    let register = web.client.post(format!("{registry_url}/subjects/{subject}/versions"));
    let (status, answer) = web.send(register.json(&json!({ "schema": schema })));
    assert_eq!(status, 200, "{answer}");
    let over_rest = format!("schema_registry.url={registry_url}");
    for args in [vec!["run", "normalize"], vec!["run", "normalize", "--set", &over_rest]] {
        let output = site.run(&args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{text}");
        for field in ["eventId", "message"] {
            assert!(text.contains(&format!("{subject} version 2 (id {}): field {field}: ", answer["id"])), "{text}");
        }
    }
    // The other stages do not read that topic.
    site.spawn_in("fold-alone", &["run", "fold"], &[]).terminate();
}
