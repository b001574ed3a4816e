//! Clients that others wrote, against the real binary: `tributary registry` on a real `_schemas` topic, and `tributary
//! up` with that registry as its configured one.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use apache_avro::types::Value as AvroValue;
use flate2::read::GzDecoder;
use schema_registry_converter::async_impl::avro::{AvroDecoder, AvroEncoder};
use schema_registry_converter::async_impl::schema_registry::SrSettings;
use schema_registry_converter::avro_common::get_supplied_schema;
use schema_registry_converter::schema_registry_common::SubjectNameStrategy;
use serde_json::{Value, json};

use crate::support::java::program;
use crate::support::python::script;
use crate::support::site::{Running, Site};

/// 40 notifications of a Hive Metastore 4.0.1, from the first on.
const NOTIFICATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/hms/hms-4.0.1_json-0.2.jsonl.gz");
const METASTORE: &str = "hive://hms-1.lake:9083";
const LIMIT: Duration = Duration::from_secs(60);

/// One installation and everything that talks to it, one client after the other: servers are the dear part.
#[test]
fn third_party_clients_work() {
    let site = Site::start();
    let mut registry = site.spawn_in("registry", &["registry"], &[]);
    let registry_url = address(&mut registry, "schema registry  ").replace("/subjects", "");
    let mut up = site.spawn(&["up", "--set", &format!("schema_registry.url={registry_url}")], &[]);
    let api_url = address(&mut up, "API              ");
    let kafka = site.bootstrap_servers();
    let variables = [("REGISTRY_URL", &*registry_url), ("API_URL", &*api_url), ("KAFKA", &*kafka)];
    let web = Web::new();

    script("registry.py", &[], &variables);
    assert_eq!(registry.tasks_running(), 1, "{}", registry.readiness());
    let counted = registry.metrics();
    let refused = r#"registry_requests_total{operation="POST /subjects/{subject}/versions",status="409"}"#;
    assert_eq!(counted.get(refused), Some(&1.0), "one registration is refused as incompatible: {counted:#?}");
    web.runtime.block_on(rust_client(&registry_url));
    script("registry_types.py", &[], &variables);
    program("ConfluentClient.java", &variables);

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
    let said =
        |running: &Running| running.log_text().lines().find_map(|line| Some(line.strip_prefix(word)?.to_owned()));
    process.wait_until(&format!("it says where the {} is", word.trim()), |running| said(running).is_some());
    said(process).unwrap()
}

struct Web {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

impl Web {
    fn new() -> Self {
        tributary::registry::tls::install_provider();
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
        let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        self.send(self.client.get(format!("{url}?{}", pairs.join("&"))))
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

/// Percent-encoded.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
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
    let (daily, report_id) = ("s3://py-lake/daily/orders", "postgres://db.shop:5432/shop/public/report");
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

/// The columns of web_analytics.campaigns as the 13th notification has them, and the two letters of the end.
fn framed_notifications_are_in_the_catalog(site: &Site, web: &Web, api_url: &str) {
    let query = [("q", "campaigns"), ("filters", "platform:hive")];
    let found = |answer: &Value| answer["total_results"].as_u64().is_some_and(|total| total > 0);
    let answer = web.eventually(&format!("{api_url}/api/v1/search"), &query, found);
    let id = format!("{METASTORE}/web_analytics/campaigns");
    assert_eq!(answer["results"][0]["dataset_id"], id);
    let page = web.eventually(&format!("{api_url}/api/v1/datasets"), &[("id", &id)], |_| true);
    let columns = page["columns"].as_array().unwrap().iter().filter(|column| column["depth"] == 0);
    let names: Vec<&str> = columns.map(|column| column["name"].as_str().unwrap()).collect();
    let expected = [
        "payload",
        "discount",
        "line_items",
        "user_agent",
        "tiny_no",
        "ip_address",
        "address",
        "qty",
        "score",
        "phone_number",
        "is_gift",
    ];
    assert_eq!(names, expected);

    let letters = site.expect_success(&["dlq", "list"]);
    let heads: Vec<&str> = letters.lines().filter(|line| line.contains(" attempt ")).collect();
    assert_eq!(heads.len(), 2, "{letters}");
    for (code, place) in [("invalid_avro", "at /eventType"), ("unknown_schema", "")] {
        assert!(heads.iter().any(|head| head.contains(code) && head.contains(place)), "{code}:\n{letters}");
    }
    assert!(letters.contains("no schema with id 987654"), "{letters}");
}

/// Each record of these topics, as a reader sees it that has only the registry's schema.
fn downstream_reads_the_catalog(variables: &[(&str, &str)]) {
    let text = script("catalog_consumer.py", &["catalog.datasets", "catalog.lineage"], variables);
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |topic: &str| records.iter().filter(|record| record["topic"] == topic).collect::<Vec<_>>();
    let mut tables = BTreeSet::new();
    for record in of("catalog.datasets") {
        let value = &record["value"];
        assert_eq!(record["key"], value["id"]);
        assert!(value["origin"]["offset"].as_i64().is_some(), "{record:#}");
        if value["platform"] == "hive" && value["existence"] == "confirmed" {
            tables.insert(value["id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(tables, created_tables());
    let edge = |record: &Value| {
        let text = |field: &str| record["value"][field].as_str().unwrap().to_owned();
        (text("job"), text("source"), text("target"))
    };
    let edges: BTreeSet<_> = of("catalog.lineage").into_iter().map(edge).collect();
    let own = |job: &str| edges.iter().filter(|edge| edge.0 == job).collect::<Vec<_>>();
    assert_eq!(own("job://py-etl/aggregate_orders").len(), 1, "{edges:#?}");
    assert_eq!(own("job://py-etl/publish_report").len(), 1, "{edges:#?}");
    assert_eq!(own("job://py-etl/aggregate_orders")[0].2, own("job://py-etl/publish_report")[0].1);
}

/// The tables that the notifications create, by their envelopes; none is dropped or renamed again.
fn created_tables() -> BTreeSet<String> {
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(NOTIFICATIONS).unwrap()).read_to_string(&mut text).unwrap();
    let events = text.lines().take(40).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let created = events.filter(|event| event["eventType"] == "CREATE_TABLE");
    let id = |event: Value| {
        let name = |field: &str| event[field].as_str().unwrap().to_owned();
        format!("{METASTORE}/{}/{}", name("dbName"), name("tableName"))
    };
    let tables: BTreeSet<String> = created.map(id).collect();
    assert_eq!(tables.len(), 15);
    tables
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
        let mut command = site.command(&args);
        let output = command.env("TRIBUTARY_DATA_DIR", site.data_dir().join("refused")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{text}");
        for field in ["eventId", "message"] {
            assert!(text.contains(&format!("{subject} version 2 (id {}): field {field}: ", answer["id"])), "{text}");
        }
    }
    // The other stages do not read that topic.
    let mut fold = site.spawn_in("fold-alone", &["run", "fold"], &[]);
    fold.wait_until("its task starts", |fold| fold.readiness().contains("tributary.fold."));
    fold.terminate();
}

/// `up --dev`: everything from nothing, with servers of its own.
#[test]
fn up_starts_from_nothing_serves_and_ends_on_a_signal() {
    let _turn = crate::support::own_kafka();
    let folder = tempfile::tempdir().unwrap();
    // Jars come from the tests' cache, not from the network.
    let (cache, servers) = (crate::support::site::cache(), folder.path().join("data/dev"));
    std::fs::create_dir_all(cache).unwrap();
    std::fs::create_dir_all(&servers).unwrap();
    std::os::unix::fs::symlink(cache, servers.join("cache")).unwrap();
    let mut up = Running::start(alone(folder.path()).args(["up", "--dev"]), folder.path().join("process.log"));
    let metrics = address(&mut up, "metrics          ");
    let (api, registry) = (address(&mut up, "API              "), address(&mut up, "schema registry  "));
    let web = Web::new();

    let ready = web.eventually(&metrics.replace("/metrics", "/readyz"), &[], |answer| answer["status"] == "ready");
    assert_eq!(ready["components"].as_array().unwrap().len(), 8, "{ready:#}");
    let listener = up.metrics_address().to_owned();
    let healthy = || {
        let mut command = alone(folder.path());
        command.args(["status", "--healthy"]).env("TRIBUTARY_METRICS__LISTEN", &listener).output().unwrap()
    };
    assert_eq!(healthy().status.code(), Some(0));

    let (status, subjects) = web.get(&registry, &[]);
    let names: Vec<String> = serde_json::from_value(subjects).unwrap();
    let ours: Vec<&str> = tributary::codec::avro::SUBJECTS.iter().map(|subject| subject.name).collect();
    assert_eq!((status, names.iter().map(String::as_str).collect()), (200, ours));
    let level = registry.replace("/subjects", "/config/catalog.facts-value");
    let (status, level) = web.get(&level, &[]);
    assert_eq!((status, &level["compatibilityLevel"]), (200, &json!("FULL_TRANSITIVE")));
    let (status, page) = web.get(&format!("{api}/api/v1/search"), &[("q", "")]);
    assert_eq!((status, &page["total_results"]), (200, &json!(0)));
    assert_eq!(web.get(&format!("{api}/api/v1/datasets"), &[("id", "hive://a/b/c")]).0, 404);
    let exposed = up.metrics();
    for name in ["tributary_build_info", "registry_schemas", "api_requests_total", "registry_requests_total"] {
        assert!(exposed.keys().any(|sample| sample.starts_with(name)), "{name} is missing in {exposed:#?}");
    }

    up.terminate();
    assert_eq!(healthy().status.code(), Some(69), "nobody is there any more");
}

/// The binary without servers configured.
fn alone(folder: &Path) -> Command {
    let mut command = Command::new(crate::support::site::BINARY);
    command.current_dir(folder);
    for name in ["KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "SCHEMA_REGISTRY_URL", "TRIBUTARY_FAILPOINTS"] {
        command.env_remove(name);
    }
    for name in ["API", "REGISTRY"] {
        command.env(format!("TRIBUTARY_{name}__LISTEN"), "127.0.0.1:0");
    }
    command.env("RUST_LOG", "warn").env("TRIBUTARY_DATA_DIR", folder.join("data"));
    command
}
