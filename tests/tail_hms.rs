//! `tail-hms` and `snapshot hms` against a real metastore: the topic holds its notification log exactly once, whatever is
//! killed; a listing makes up for what the log has lost.

mod client;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;
use tributary::dev::{MetastoreOptions, MetastoreServer};
use tributary::kafka::{Isolation, KafkaConfig, LogReader};
use tributary::metastore::Notification;

use self::client::Client;
use super::support::site::{PATIENCE, Running, STAGES, Site, TASKS, cache};

const TOPIC: &str = "hms.notifications";

struct Metastore {
    server: MetastoreServer,
    _folder: tempfile::TempDir,
}

impl Metastore {
    fn start(options: MetastoreOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = MetastoreServer::start(folder.path(), cache(), options).unwrap();
        Self { server, _folder: folder }
    }

    fn client(&self) -> Client {
        Client::connect(&self.server.address())
    }

    /// Empties the notification log as its own cleaner does, by letting events live for no time at all.
    fn clean_log(&mut self) {
        self.server.stop().unwrap();
        self.server.restart(MetastoreOptions { seconds_to_live: 1, ..MetastoreOptions::default() }).unwrap();
        let mut client = self.client();
        until("the notification log is empty", || client.log().is_empty());
        self.server.stop().unwrap();
        self.server.restart(MetastoreOptions::default()).unwrap();
    }
}

fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let started = Instant::now();
    while !reached() {
        assert!(started.elapsed() < PATIENCE, "waited for {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The committed values of the topic. A broker that has just come back may not lead its partitions yet.
fn on_topic(site: &Site) -> Vec<Value> {
    let config = KafkaConfig::plain(site.bootstrap_servers()).unwrap();
    let mut values = Vec::new();
    until("the topic can be read", || {
        values.clear();
        let reader = LogReader::new(&config, Isolation::Committed).unwrap();
        let read = reader
            .read_topic(TOPIC, &mut |record| values.push(serde_json::from_slice(&record.value.unwrap()).unwrap()));
        match read {
            Ok(_) => true,
            Err(error) if error.is_transient() => false,
            Err(error) => panic!("{error}"),
        }
    });
    values
}

/// What makes a notification what it is.
fn identity(value: &Value) -> (i64, String, String) {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    (value["eventId"].as_i64().unwrap(), text("eventType"), text("message"))
}

fn events(values: &[Value]) -> Vec<(i64, String, String)> {
    let mut events: Vec<_> = values.iter().filter(|value| value.get("listing").is_none()).map(identity).collect();
    events.sort();
    events
}

fn logged(log: &[Notification]) -> Vec<(i64, String, String)> {
    let of = |event: &Notification| (event.event_id, event.event_type.clone(), event.message.clone());
    let mut events: Vec<_> = log.iter().map(of).collect();
    events.sort();
    events
}

fn tail(site: &Site, metastore: &Metastore, name: &str, settings: &[(&str, &str)]) -> Running {
    site.spawn_in(name, &["tail-hms", &metastore.server.address(), "--poll", "50ms"], settings)
}

fn run_to_current(site: &Site, metastore: &Metastore) -> String {
    site.expect_success(&["tail-hms", &metastore.server.address(), "--poll", "50ms", "--until-current"])
}

/// What the catalog holds of the metastore, by name: a table's whole entry, a function's, a database's.
fn exported(site: &Site) -> BTreeMap<String, Value> {
    let text = site.expect_success(&["export", "hms", "--instance", "hive://metastore.test:9083"]);
    let export: Value = serde_json::from_str(&text).unwrap();
    let mut found = BTreeMap::new();
    for (list, name) in [("databases", "name"), ("tables", "tableName"), ("functions", "functionName")] {
        for entry in export[list].as_array().unwrap() {
            let database = entry["dbName"].as_str().unwrap_or_default();
            found.insert(format!("{list} {database}.{}", entry[name].as_str().unwrap()), entry.clone());
        }
    }
    found
}

/// Runs the pipeline over what is on the topic.
fn digested(site: &Site) -> BTreeMap<String, Value> {
    let mut stages = site.spawn(&STAGES, &[]);
    stages.wait_until("the stages run", |running| running.tasks_running() == TASKS);
    site.quiet_digest();
    stages.terminate();
    exported(site)
}

#[test]
fn the_topic_is_the_notification_log_whatever_is_killed() {
    let mut site = Site::start();
    let mut metastore = Metastore::start(MetastoreOptions::default());
    let mut client = metastore.client();
    client.lake("first");
    // Killed before and after a commit, and at any other moment.
    for failpoint in ["tail.commit.before=kill@1", "tail.commit.after=kill@1"] {
        let mut tail = tail(&site, &metastore, "tail", &[("TRIBUTARY_FAILPOINTS", failpoint)]);
        assert!(tail.wait_end(PATIENCE).is_some_and(|status| !status.success()), "{}", tail.log_text());
        client.table(&format!("first.{}", failpoint.replace(['.', '=', '@'], "_")), &["a"], &[]);
    }
    let mut first = tail(&site, &metastore, "tail", &[]);
    until("the tail has sent something", || !on_topic(&site).is_empty());
    first.signal("KILL");
    first.wait_end(PATIENCE).unwrap();
    // The broker goes while there is something to send.
    let mut second = tail(&site, &metastore, "tail", &[]);
    site.stack.kafka().unwrap().kill().unwrap();
    client.lake("second");
    site.stack.kafka().unwrap().restart().unwrap();
    second.wait_until("the broker is found again", |_| events(&on_topic(&site)) == logged(&client.log()));
    // And the metastore.
    metastore.server.stop().unwrap();
    second.wait_until("the tail says what it waits for", |running| running.readiness().contains("degraded"));
    metastore.server.restart(MetastoreOptions::default()).unwrap();
    let mut client = metastore.client();
    client.drop_database("first");
    second.wait_until("the metastore is found again", |_| events(&on_topic(&site)) == logged(&client.log()));
    // Another tail takes over; this one says so and ends.
    let third = tail(&site, &metastore, "third", &[]);
    until("the third tail follows", || third.tasks_running() == 1);
    client.table("second.late", &["a"], &[]);
    let status = second.wait_end(PATIENCE).expect("the second tail is fenced");
    let said = second.log_text();
    assert!(!status.success() && said.contains("another process writes for"), "{status} {said}");
    until("everything is sent", || events(&on_topic(&site)) == logged(&client.log()));
    third.terminate();
    let said = run_to_current(&site, &metastore);
    assert!(said.contains("0 notifications sent (0 late), 0 listings made"), "{said}");
    let log = client.log();
    assert_eq!(events(&on_topic(&site)), logged(&log));
    let kinds: BTreeSet<&str> = log.iter().map(|event| event.event_type.as_str()).collect();
    for kind in ["CREATE_DATABASE", "DROP_DATABASE", "CREATE_TABLE", "ADD_PARTITION", "ALTER_TABLE", "CREATE_FUNCTION"]
    {
        assert!(kinds.contains(kind), "the log has no {kind}: {kinds:?}");
    }
}

#[test]
fn a_snapshot_says_what_the_history_says_and_a_gap_is_listed() {
    let site = Site::start();
    let mut metastore = Metastore::start(MetastoreOptions { framed: true, ..MetastoreOptions::default() });
    let mut client = metastore.client();
    client.lake("sales");
    client.lake("crm");
    client.drop_database("crm");
    run_to_current(&site, &metastore);
    let by_events = digested(&site);
    assert!(by_events.contains_key("tables sales.orders"), "{:?}", by_events.keys());
    // Into the same catalog: nothing changes. (A topic of its own could not be normalized beside this one.)
    let said = site.expect_success(&["snapshot", "hms", &metastore.server.address()]);
    assert!(said.contains("2 databases, 3 tables, 5 partitions, 1 functions"), "{said}");
    let pages = on_topic(&site).iter().filter(|value| value["eventType"] == "LISTING").count();
    assert_eq!(pages, 3);
    let both = digested(&site);
    // The database `default` has no event; only a listing tells what is known of it.
    let different: Vec<String> = differences(&by_events, &both);
    let different: Vec<&String> = different.iter().filter(|line| !line.starts_with("databases .default:")).collect();
    assert_eq!(different, Vec::<&String>::new());
    // Things happen that no log tells of any more.
    metastore.server.stop().unwrap();
    metastore.server.restart(MetastoreOptions::default()).unwrap();
    let mut client = metastore.client();
    client.table("sales.new", &["x"], &[]);
    client.drop_table("sales.plain");
    client.drop_partition("sales.orders", &["2024-01-02"]);
    metastore.clean_log();
    let refused =
        site.run(&["tail-hms", &metastore.server.address(), "--poll", "50ms", "--until-current", "--no-repair"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("are not in the log"), "{text}");
    let said = run_to_current(&site, &metastore);
    assert!(said.contains("1 listings made"), "{said}");
    let mut client = metastore.client();
    client.table("sales.after", &["y"], &[]);
    let said = run_to_current(&site, &metastore);
    assert!(said.contains("1 notifications sent (0 late), 0 listings made"), "{said}");
    let repaired = digested(&site);
    let mut names: BTreeSet<&str> = by_events.keys().map(String::as_str).collect();
    names.remove("tables sales.plain");
    names.extend(["tables sales.new", "tables sales.after", "databases .default"]);
    assert_eq!(repaired.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    assert_eq!(repaired["tables sales.orders"]["partitionCount"], 4);
    // While the log is empty a listing is still this metastore's: nothing has changed, so nothing of the catalog does.
    metastore.clean_log();
    site.expect_success(&["snapshot", "hms", &metastore.server.address()]);
    assert_eq!(differences(&repaired, &digested(&site)), Vec::<String>::new());
}

#[test]
fn a_metastore_that_was_there_before_its_tail_is_listed_first() {
    let site = Site::start();
    let mut metastore = Metastore::start(MetastoreOptions::default());
    metastore.client().lake("old");
    let history = {
        let mut client = metastore.client();
        let tables = client.table_names("old");
        metastore.clean_log();
        tables
    };
    let mut client = metastore.client();
    client.table("old.fresh", &["a"], &[]);
    let said = run_to_current(&site, &metastore);
    assert!(said.contains("1 notifications sent (0 late), 1 listings made"), "{said}");
    assert_eq!(events(&on_topic(&site)), logged(&client.log()));
    let found = digested(&site);
    for table in history.iter().chain([&"fresh".to_owned()]) {
        assert!(found.contains_key(&format!("tables old.{table}")), "{table} of {:?}", found.keys());
    }
}

/// What of two exports is not the same.
fn differences(one: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>) -> Vec<String> {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differ = |name: &&&String| one.get(**name) != other.get(**name);
    names
        .iter()
        .filter(differ)
        .map(|name| format!("{name}:\n  {:?}\n  {:?}", one.get(*name), other.get(*name)))
        .collect()
}
