//! Several registries on one topic while processes are killed and stopped and the broker restarts. What clients saw is
//! written down and judged at the end, in the way of a linearizability checker: registering is taking the next number
//! of a counter, so whatever ended before something else began must have the lower one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tributary::dev::{Servers, Stack, free_address};
use tributary::kafka::{Isolation, KafkaConfig, LogReader};
use tributary::registry::{KafkaLog, RegistryHandle, RegistryOptions};

use crate::support::site::{BINARY, PATIENCE, Running};

const TOPIC: &str = "_schemas";
const CLIENTS: usize = 6;
/// Schemas that every client registers sooner or later.
const COMMON: usize = 12;
/// How long a client waits for an answer; a stopped process gives none.
const LIMIT: Duration = Duration::from_secs(2);

/// One node: a process that always listens at the same address.
struct Node {
    address: String,
    running: Running,
}

struct Cluster {
    stack: Stack,
    folder: tempfile::TempDir,
    nodes: Vec<Node>,
    /// In this process, to look with; it never writes.
    watch: RegistryHandle,
}

impl Cluster {
    fn start(size: usize) -> Self {
        let stack = Stack::throw_away(Servers::Kafka, crate::dev_servers::cache()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let bootstrap = stack.bootstrap_servers().unwrap();
        let log = KafkaLog::new(KafkaConfig::plain(bootstrap.clone()).unwrap(), TOPIC, "tributary.schema-registry");
        log.ensure_topic().unwrap();
        let watch = RegistryHandle::start(Arc::new(log), &RegistryOptions::default()).unwrap();
        watch.announce("http://the-test");
        let start = |number: usize| {
            let address = free_address().unwrap();
            let running = spawn(folder.path(), number, &bootstrap, &address, None);
            Node { address, running }
        };
        let mut nodes: Vec<Node> = (0..size).map(start).collect();
        nodes.iter_mut().for_each(wait);
        Self { stack, folder, nodes, watch }
    }

    fn restart(&mut self, number: usize) {
        let bootstrap = self.stack.bootstrap_servers().unwrap();
        let node = &mut self.nodes[number];
        node.running = spawn(self.folder.path(), number, &bootstrap, &node.address, None);
        wait(node);
    }

    /// The node that wrote last.
    fn writer(&self) -> usize {
        self.watch.refresh_blocking().unwrap();
        let url = self.watch.writer_elsewhere().expect("somebody has written").url;
        self.nodes.iter().position(|node| url.ends_with(&node.address)).expect("a node of this cluster")
    }
}

fn spawn(folder: &Path, number: usize, bootstrap: &str, address: &str, failpoints: Option<&str>) -> Running {
    let mut command = Command::new(BINARY);
    command
        .arg("registry")
        .current_dir(folder)
        .env_remove("SCHEMA_REGISTRY_URL")
        .env("RUST_LOG", "tributary=info")
        .env("KAFKA_BOOTSTRAP_SERVERS", bootstrap)
        .env("TRIBUTARY_DATA_DIR", folder.join(number.to_string()))
        .env("TRIBUTARY_REGISTRY__LISTEN", address);
    match failpoints {
        Some(points) => command.env("TRIBUTARY_FAILPOINTS", points),
        None => command.env_remove("TRIBUTARY_FAILPOINTS"),
    };
    Running::start(&mut command, folder.join(format!("{number}.log")))
}

fn wait(node: &mut Node) {
    node.running.wait_until("the registry answers", |_| std::net::TcpStream::connect(&node.address).is_ok());
}

/// HTTP as clients speak it; each call on a connection of its own, since nodes go and come back.
struct Http {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

impl Http {
    fn new() -> Self {
        tributary::registry::tls::install_provider();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self {
            runtime,
            client: reqwest::Client::builder().no_proxy().timeout(LIMIT).pool_max_idle_per_host(0).build().unwrap(),
        }
    }

    /// Status and body; nothing where it is not known what became of the request.
    fn call(&self, method: Method, address: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let request = self.client.request(method, format!("http://{address}{path}"));
        let request = if body.is_null() { request } else { request.json(body) };
        self.runtime.block_on(async {
            let response = request.send().await.ok()?;
            let status = response.status().as_u16();
            let body = response.json().await.ok()?;
            (status < 500).then_some((status, body))
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct What {
    subject: String,
    schema: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number {
    id: i64,
    version: i64,
}

/// A registration as a client saw it. Without an answer it may be done at any time later, or never.
#[derive(Debug, Clone)]
struct Operation {
    what: What,
    /// Whether nobody else registers this.
    is_unique: bool,
    began: Instant,
    ended: Option<(Instant, Number)>,
}

#[derive(Default)]
struct History {
    operations: Mutex<Vec<Operation>>,
    answered: AtomicUsize,
    lookups: AtomicUsize,
    stop: AtomicBool,
}

impl History {
    /// Waits until clients have had so many more answers.
    fn wait_for(&self, more: usize) {
        let (before, started) = (self.answered.load(Ordering::Relaxed), Instant::now());
        while self.answered.load(Ordering::Relaxed) < before + more {
            assert!(started.elapsed() < PATIENCE, "clients get no answers any more");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn schema(name: &str) -> String {
    json!({"type": "fixed", "name": name, "size": 1}).to_string()
}

/// One client: registers and looks up through any node until told to stop. Its choices depend on its number alone.
fn client(number: usize, addresses: &[String], history: &History) {
    let http = Http::new();
    let mut state = number as u64 + 1;
    let mut choose = |among: usize| {
        // Numerical Recipes' linear congruential generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % among
    };
    let mut turn = 0;
    while !history.stop.load(Ordering::Relaxed) {
        turn += 1;
        let address = &addresses[choose(addresses.len())];
        if choose(5) == 0 {
            look_up(&http, address, history, &mut choose);
            continue;
        }
        let (subject, name, is_unique) = match choose(4) {
            0 => (format!("own-{number}"), format!("Own{number}_{turn}"), true),
            1 => {
                let common = choose(COMMON);
                (format!("common-{common}"), format!("Common{common}"), false)
            }
            _ => ("shared".to_owned(), format!("Shared{number}_{turn}"), true),
        };
        let what = What { subject, schema: schema(&name) };
        let began = Instant::now();
        let path = format!("/subjects/{}/versions", what.subject);
        let answer = http.call(Method::POST, address, &path, &json!({"schema": what.schema}));
        let ended = answer.map(|(status, body)| {
            assert_eq!(status, 200, "{what:?}: {body}");
            history.answered.fetch_add(1, Ordering::Relaxed);
            (Instant::now(), number_in(&body))
        });
        history.operations.lock().unwrap().push(Operation { what, is_unique, began, ended });
    }
}

/// Asks any node for something that has been confirmed: it must be there, under the same numbers.
fn look_up(http: &Http, address: &str, history: &History, choose: &mut impl FnMut(usize) -> usize) {
    let known = {
        let operations = history.operations.lock().unwrap();
        let done: Vec<&Operation> = operations.iter().filter(|operation| operation.ended.is_some()).collect();
        if done.is_empty() {
            return;
        }
        done[choose(done.len())].clone()
    };
    let path = format!("/subjects/{}", known.what.subject);
    if let Some((status, body)) = http.call(Method::POST, address, &path, &json!({"schema": known.what.schema})) {
        assert_eq!(status, 200, "{known:?} was confirmed and is not found at {address}: {body}");
        assert_eq!(Some(number_in(&body)), known.ended.map(|(_, number)| number));
        history.lookups.fetch_add(1, Ordering::Relaxed);
    }
}

fn number_in(body: &Value) -> Number {
    Number { id: body["id"].as_i64().unwrap(), version: body["version"].as_i64().unwrap() }
}

#[test]
fn any_node_writes_and_nothing_is_lost_whatever_falls() {
    let _turn = crate::support::own_kafka();
    let mut cluster = Cluster::start(3);
    let addresses: Vec<String> = cluster.nodes.iter().map(|node| node.address.clone()).collect();
    let http = Http::new();
    let (status, _) =
        http.call(Method::PUT, &addresses[0], "/config", &json!({"compatibility": "NONE"})).expect("all is well yet");
    assert_eq!(status, 200);
    let history = History::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (addresses, history) = (&addresses, &history);
                scope.spawn(move || client(number, addresses, history))
            })
            .collect();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| faults(&mut cluster, &history)));
        history.stop.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().unwrap();
        }
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
    });
    let operations = history.operations.into_inner().unwrap();
    let final_state = agreed(&http, &addresses);
    judge(&operations, &final_state);
    assert!(history.lookups.load(Ordering::Relaxed) > 20);
    nothing_aborted_is_left(&cluster);
}

/// Everything that befalls the cluster, each time after the clients have got on.
fn faults(cluster: &mut Cluster, history: &History) {
    history.wait_for(60);
    let writer = cluster.writer();
    cluster.nodes[writer].running.signal("KILL");
    history.wait_for(40);
    cluster.restart(writer);

    history.wait_for(40);
    let writer = cluster.writer();
    cluster.nodes[writer].running.signal("STOP");
    history.wait_for(20);
    assert_ne!(cluster.writer(), writer, "others have gone on");
    cluster.nodes[writer].running.signal("CONT");

    history.wait_for(40);
    let kafka = cluster.stack.kafka().unwrap();
    kafka.kill().unwrap();
    kafka.restart().unwrap();

    history.wait_for(40);
    let writer = cluster.writer();
    let reader = (writer + 1) % cluster.nodes.len();
    cluster.nodes[reader].running.signal("STOP");
    cluster.nodes[writer].running.signal("KILL");
    history.wait_for(30);
    cluster.nodes[reader].running.signal("CONT");
    cluster.restart(writer);
    history.wait_for(60);
}

/// What all nodes say in the end, which must be the same.
fn agreed(http: &Http, addresses: &[String]) -> BTreeMap<What, Number> {
    let mut views = Vec::new();
    for address in addresses {
        // A miss is answered after reading to the end; what is read next has all of it.
        let (status, _) = http.call(Method::GET, address, "/subjects/none/versions", &Value::Null).unwrap();
        assert_eq!(status, 404);
        let (status, all) = http.call(Method::GET, address, "/schemas", &Value::Null).unwrap();
        assert_eq!(status, 200);
        let mut view = BTreeMap::new();
        for entry in all.as_array().unwrap() {
            let text = |name: &str| entry[name].as_str().unwrap().to_owned();
            let what = What { subject: text("subject"), schema: text("schema") };
            assert_eq!(view.insert(what.clone(), number_in(entry)), None, "{what:?} is there twice");
        }
        views.push(view);
    }
    assert!(views.windows(2).all(|pair| pair[0] == pair[1]), "nodes differ");
    views.pop().unwrap()
}

fn judge(operations: &[Operation], state: &BTreeMap<What, Number>) {
    let spelled = |what: &What| What { subject: what.subject.clone(), schema: canonical(&what.schema) };
    let state: BTreeMap<What, Number> = state.iter().map(|(what, number)| (spelled(what), *number)).collect();
    let asked: BTreeSet<What> = operations.iter().map(|operation| spelled(&operation.what)).collect();
    for what in state.keys() {
        assert!(asked.contains(what), "{what:?} was never asked for");
    }
    let mut confirmed: Vec<(&Operation, Instant, Number)> = Vec::new();
    for operation in operations {
        let Some((ended, number)) = operation.ended else { continue };
        let kept = state.get(&spelled(&operation.what));
        assert_eq!(kept, Some(&number), "{:?} was confirmed as {number:?}", operation.what);
        confirmed.push((operation, ended, number));
    }
    let ids: BTreeSet<i64> = state.values().map(|number| number.id).collect();
    let schemas: BTreeSet<&String> = state.keys().map(|what| &what.schema).collect();
    assert_eq!(ids.len(), schemas.len(), "one id for each schema");
    assert!(ids.iter().copied().eq(1..=ids.len() as i64), "ids have holes: {ids:?}");
    let mut versions: BTreeMap<&String, BTreeSet<i64>> = BTreeMap::new();
    for (what, number) in &state {
        assert!(versions.entry(&what.subject).or_default().insert(number.version), "{what:?}: a version twice");
    }
    for (subject, versions) in versions {
        assert!(versions.iter().copied().eq(1..=versions.len() as i64), "{subject} has holes: {versions:?}");
    }
    // Real time: what ended before something new began came first.
    for (later, _, number) in confirmed.iter().filter(|(operation, ..)| operation.is_unique) {
        for (earlier, _, before) in confirmed.iter().filter(|(_, ended, _)| *ended < later.began) {
            assert!(before.id < number.id, "{earlier:?} had ended when {later:?} began");
            if earlier.what.subject == later.what.subject {
                assert!(before.version < number.version, "{earlier:?} had ended when {later:?} began");
            }
        }
    }
    let unknown = operations.len() - confirmed.len();
    eprintln!("{} registrations confirmed, {unknown} without an answer, {} schemas", confirmed.len(), ids.len());
}

/// Schemas are compared by what they say, however a node spells them.
fn canonical(schema: &str) -> String {
    serde_json::from_str::<Value>(schema).unwrap().to_string()
}

/// The newest value of each key.
type Newest = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn newest(cluster: &Cluster, isolation: Isolation) -> Newest {
    let kafka = KafkaConfig::plain(cluster.stack.bootstrap_servers().unwrap()).unwrap();
    let mut newest = Newest::new();
    let reader = LogReader::new(&kafka, isolation).unwrap();
    reader
        .read_topic(TOPIC, &mut |record| {
            newest.insert(record.key.unwrap_or_default(), record.value);
        })
        .unwrap();
    newest.retain(|_, value| value.is_some());
    newest
}

/// A foreign registry reads without isolation: it must see what is committed and nothing else.
fn nothing_aborted_is_left(cluster: &Cluster) {
    let text = |newest: Newest| -> Vec<String> {
        let record = |(key, value): (Vec<u8>, Option<Vec<u8>>)| {
            String::from_utf8(key).unwrap() + &String::from_utf8(value.unwrap_or_default()).unwrap()
        };
        newest.into_iter().map(record).collect()
    };
    assert_eq!(text(newest(cluster, Isolation::Uncommitted)), text(newest(cluster, Isolation::Committed)));
}

#[test]
fn what_a_killed_writer_had_begun_is_put_right_by_the_next() {
    let _turn = crate::support::own_kafka();
    let mut cluster = Cluster::start(1);
    let http = Http::new();
    let register = |address: &str, schema: &str| {
        http.call(Method::POST, address, "/subjects/s/versions", &json!({"schema": schema}))
    };
    let bootstrap = cluster.stack.bootstrap_servers().unwrap();
    let address = free_address().unwrap();
    // Its commits: the mark of a new writer, a version, the deletion of the subject.
    let dying = spawn(cluster.folder.path(), 7, &bootstrap, &address, Some("registry.commit.before=kill@3"));
    let mut dying = Node { address, running: dying };
    wait(&mut dying);
    assert_eq!(register(&dying.address, "\"int\"").unwrap().0, 200);
    assert_eq!(http.call(Method::DELETE, &dying.address, "/subjects/s", &Value::Null), None);
    assert!(dying.running.wait_end(PATIENCE).is_some());
    let deletion = br#"{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}"#.to_vec();
    assert!(newest(&cluster, Isolation::Uncommitted).contains_key(&deletion), "begun, and left behind");

    let survivor = &cluster.nodes[0].address;
    let (status, body) = register(survivor, "\"int\"").unwrap();
    assert_eq!((status, number_in(&body)), (200, Number { id: 1, version: 1 }), "it was never deleted");
    let (status, body) = http
        .call(Method::POST, survivor, "/subjects/t/versions", &json!({"schema": "\"long\""}))
        .expect("the dead writer is replaced");
    assert_eq!((status, number_in(&body)), (200, Number { id: 2, version: 1 }));
    assert!(!newest(&cluster, Isolation::Uncommitted).contains_key(&deletion));
    nothing_aborted_is_left(&cluster);
    cluster.restart(0);
    let (_, versions) =
        http.call(Method::GET, &cluster.nodes[0].address, "/subjects/s/versions", &Value::Null).unwrap();
    assert_eq!(versions, json!([1]));
}
