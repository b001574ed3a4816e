//! Changes that reach a node which is not the writer, over real connections.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::super::handle::{RegistryHandle, RegistryOptions};
use super::super::log::MemoryLog;
use super::router;

struct Node {
    handle: RegistryHandle,
    url: String,
    serving: tokio::task::JoinHandle<()>,
}

impl Node {
    async fn start(log: &MemoryLog) -> Self {
        let log = Arc::new(log.clone());
        let handle = tokio::task::spawn_blocking(move || RegistryHandle::start(log, &RegistryOptions::default()));
        let handle = handle.await.unwrap().unwrap();
        let (listener, url) = listen().await;
        handle.announce(&url);
        let router = router(handle.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { handle, url, serving }
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: Value) -> (u16, Value) {
        let request = reqwest::Client::new().request(method, format!("{}{path}", self.url)).json(&body);
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/vnd.schemaregistry.v1+json");
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn register(&self, subject: &str, schema: &str) -> (u16, Value) {
        self.send(reqwest::Method::POST, &format!("/subjects/{subject}/versions"), json!({"schema": schema})).await
    }

    /// As a connection refused: nothing listens there any more.
    async fn stop_listening(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// How often a node has become the writer: each time it sets a mark.
pub(super) fn takeovers(log: &MemoryLog) -> usize {
    log.records().iter().filter(|record| record.value.is_none()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_go_to_the_writer_and_are_seen_where_they_were_asked_for() {
    let log = MemoryLog::default();
    let (one, two) = (Node::start(&log).await, Node::start(&log).await);
    assert_eq!(one.register("a", "\"int\"").await.0, 200);
    // Until it has read of another writer, a node takes itself for one.
    two.handle.refresh().await.unwrap();
    let (status, body) = two.register("b", "\"long\"").await;
    assert_eq!((status, &body["id"], &body["version"]), (200, &json!(2), &json!(1)));
    let shown = two.handle.snapshot();
    assert!(shown.id(".", 2).is_some(), "a client reads its own writes");
    let (status, body) = two.send(reqwest::Method::PUT, "/config/a", json!({"compatibility": "NONE"})).await;
    assert_eq!((status, body), (200, json!({"compatibility": "NONE"})));
    let (status, body) = two.send(reqwest::Method::PUT, "/config/a", json!({"compatibility": "SOME"})).await;
    assert_eq!((status, &body["error_code"]), (422, &json!(42203)), "the writer's refusals are the answer");
    let (status, body) = two.send(reqwest::Method::DELETE, "/subjects/a", Value::Null).await;
    assert_eq!((status, body), (200, json!([1])));
    assert_eq!(two.send(reqwest::Method::POST, "/subjects/b", json!({"schema": "\"long\""})).await.0, 200);
    assert_eq!(takeovers(&log), 1, "one node has written it all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_gone_is_replaced() {
    let log = MemoryLog::default();
    let (mut one, two, three) = (Node::start(&log).await, Node::start(&log).await, Node::start(&log).await);
    one.register("a", "\"int\"").await;
    two.handle.refresh().await.unwrap();
    one.stop_listening().await;
    let (status, body) = two.register("b", "\"long\"").await;
    assert_eq!((status, &body["id"]), (200, &json!(2)));
    three.handle.refresh().await.unwrap();
    assert_eq!(three.handle.writer_elsewhere().map(|writer| writer.url.to_string()).as_ref(), Some(&two.url));
    assert_eq!(three.register("c", "\"string\"").await.1["id"], json!(3));
    assert_eq!(takeovers(&log), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_writer_is_replaced_and_what_it_may_have_done_is_not_denied() {
    let log = MemoryLog::default();
    let (one, two) = (Node::start(&log).await, Node::start(&log).await);
    one.register("a", "\"int\"").await;
    // As a stopped process: connections are taken, and nothing is ever answered.
    let (listener, url) = listen().await;
    let silent = log.clone();
    let mut writer = super::super::log::SchemaLog::writer(&silent).unwrap();
    writer.acquire().unwrap();
    writer.append(vec![(br#"{"keytype":"NOOP","magic":0}"#.to_vec(), None)], Some(&url)).unwrap();
    two.handle.refresh().await.unwrap();
    assert_eq!(two.handle.writer_elsewhere().map(|writer| writer.url.to_string()), Some(url));
    let (status, body) = two.send(reqwest::Method::DELETE, "/subjects/none", Value::Null).await;
    assert_eq!((status, &body["error_code"]), (500, &json!(50003)), "it may have been there, and gone now");
    assert_eq!(two.register("b", "\"long\"").await.0, 200);
    assert_eq!(two.handle.writer_elsewhere(), None);
    drop(listener);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_forwarded_once() {
    let log = MemoryLog::default();
    let (one, two) = (Node::start(&log).await, Node::start(&log).await);
    one.register("a", "\"int\"").await;
    two.handle.refresh().await.unwrap();
    let request = reqwest::Client::new().post(format!("{}/subjects/b/versions", two.url)).header("x-forward", "true");
    let response = request.json(&json!({"schema": "\"long\""})).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(two.handle.writer_elsewhere(), None, "it has been written here");
    assert_eq!(takeovers(&log), 2);
}
