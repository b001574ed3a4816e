//! Handlers through the router, without servers: what does not need a store.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, RwLock};

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use sqlx_free::unreachable_reader;
use tower::ServiceExt;

use super::*;
use crate::catalog::SearchQuery;
use crate::catalog::ports::{PortError, SearchIndex};
use crate::graph::Graph;
use crate::model::id::Identity;
use crate::search::Found;

mod sqlx_free {
    use crate::store::read::Reader;

    /// A reader whose server does not answer: nothing listens on port 1.
    pub fn unreachable_reader() -> Reader {
        Reader::connect_lazy("postgres://nobody@127.0.0.1:1/none", std::time::Duration::from_millis(200))
            .expect("the address is well-formed")
    }
}

struct NoIndex;

impl SearchIndex for NoIndex {
    fn find(&self, _query: &SearchQuery) -> Result<Found, PortError> {
        Err("the index is not open".into())
    }
}

/// Remembers what was produced; refuses values with `refuse` in them, does not answer for such with `down`.
#[derive(Default)]
struct Memory(Mutex<Vec<Produced>>);

/// Topic, key, value.
type Produced = (String, Option<String>, Vec<u8>);

impl EventProducer for Memory {
    fn produce<'a>(&'a self, topic: &'a str, key: Option<&'a str>, value: &'a [u8]) -> ProduceFuture<'a> {
        Box::pin(async move {
            let text = String::from_utf8_lossy(value);
            if text.contains("refuse") {
                return Err(ProduceError::Refused { reason: "too large for the topic".to_owned() });
            }
            if text.contains("down") {
                return Err(ProduceError::Unavailable("no broker at secret-host:9092".into()));
            }
            let mut taken = self.0.lock().unwrap();
            taken.push((topic.to_owned(), key.map(str::to_owned), value.to_vec()));
            Ok(Receipt { partition: 3, offset: taken.len() as i64 - 1 })
        })
    }
}

struct App {
    router: Router,
    producer: Arc<Memory>,
}

fn app_with(options: ApiOptions, components: Vec<ComponentStatus>) -> App {
    let producer = Arc::new(Memory::default());
    let catalog =
        Catalog::new(unreachable_reader(), Arc::new(NoIndex), Arc::new(RwLock::new(Graph::new())), Identity::default());
    let parts = ApiParts {
        catalog: Arc::new(catalog),
        producer: Arc::clone(&producer) as Arc<dyn EventProducer>,
        status: Arc::new(move || components.clone()),
        metrics: Arc::new(|| "up 1\n".to_owned()),
    };
    App { router: router(parts, options), producer }
}

fn app() -> App {
    app_with(ApiOptions { body_limit: 4096, ..ApiOptions::default() }, vec![ComponentStatus::ready("kafka")])
}

async fn send(app: &App, request: Request<Body>) -> (Response<()>, Vec<u8>) {
    let (parts, body) = app.router.clone().oneshot(request).await.unwrap().into_parts();
    let body = axum::body::to_bytes(body, 1 << 24).await.unwrap();
    (Response::from_parts(parts, ()), body.to_vec())
}

async fn get(app: &App, path: &str) -> (Response<()>, Value) {
    let (response, body) = send(app, Request::get(path).body(Body::empty()).unwrap()).await;
    (response, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn post(app: &App, path: &str, encoding: Option<&str>, body: Vec<u8>) -> (StatusCode, Value) {
    let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    if let Some(encoding) = encoding {
        request = request.header(header::CONTENT_ENCODING, encoding);
    }
    let (response, body) = send(app, request.body(Body::from(body)).unwrap()).await;
    (response.status(), serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn event() -> Value {
    json!({"eventType": "COMPLETE", "run": {"runId": "r", "facets": {"parent": {
        "job": {"namespace": "ns", "name": "app"}, "run": {"runId": "p"}}}},
        "job": {"namespace": "ns", "name": "app.step"}})
}

#[tokio::test]
async fn an_event_reaches_the_topic_as_it_was_sent() {
    let app = app();
    let body = format!(" {} ", event()).into_bytes();
    let (status, receipt) = post(&app, "/api/v1/lineage", None, body.clone()).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(receipt, json!({"topic": "openlineage.events", "partition": 3, "offset": 0}));
    let (status, _) = post(&app, "/api/v1/lineage", Some("gzip"), gzip(&body)).await;
    assert_eq!(status, StatusCode::CREATED);
    let taken = app.producer.0.lock().unwrap().clone();
    let expected = ("openlineage.events".to_owned(), Some("run:ns/app".to_owned()), body);
    assert_eq!(taken, [expected.clone(), expected]);
}

#[tokio::test]
async fn bodies_that_cannot_be_events() {
    let app = app();
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(5000)).into_bytes();
    let cases: [(Option<&str>, Vec<u8>, StatusCode, &str); 7] = [
        (None, b"[1]".to_vec(), StatusCode::BAD_REQUEST, "invalid_event"),
        (None, b"{".to_vec(), StatusCode::BAD_REQUEST, "invalid_json"),
        (None, long.clone(), StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
        (Some("gzip"), gzip(&long), StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
        (Some("gzip"), b"{}".to_vec(), StatusCode::BAD_REQUEST, "invalid_compression"),
        (Some("br"), b"{}".to_vec(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding"),
        (None, br#"{"refuse": 1}"#.to_vec(), StatusCode::BAD_REQUEST, "event_refused"),
    ];
    for (encoding, body, status, code) in cases {
        let (answered, problem) = post(&app, "/api/v1/lineage", encoding, body).await;
        assert_eq!((answered, problem["code"].as_str()), (status, Some(code)), "{problem}");
        assert!(problem["request_id"].as_str().is_some_and(|id| !id.is_empty()));
    }
    assert!(app.producer.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_an_acknowledgement_there_is_no_201() {
    let app = app();
    let (status, problem) = post(&app, "/api/v1/lineage", None, br#"{"down": 1}"#.to_vec()).await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("unavailable")));
    assert!(!problem.to_string().contains("secret-host"), "causes are for the log");
}

#[tokio::test]
async fn a_batch_tells_what_became_of_each_event() {
    let app = app();
    let batch = json!([event(), 7, {"refuse": 1}, {"down": 1}, {"dataset": {"namespace": "s3://b", "name": "k"}}]);
    let (status, result) = post(&app, "/api/v1/lineage/batch", None, batch.to_string().into_bytes()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(result["status"], "partial_success");
    assert_eq!(
        result["summary"],
        json!({"received": 5, "successful": 2, "failed": 3, "retriable": 1, "non_retriable": 2})
    );
    let failed: Vec<_> = result["failed_events"].as_array().unwrap().iter().map(|event| &event["index"]).collect();
    assert_eq!(failed, [1, 2, 3]);
    let keys: Vec<_> = app.producer.0.lock().unwrap().iter().map(|(_, key, _)| key.clone().unwrap()).collect();
    assert_eq!(keys, ["run:ns/app", "dataset:s3://b/k"], "in the batch's order");
    let (status, problem) = post(&app, "/api/v1/lineage/batch", None, b"[{\"down\": 1}]".to_vec()).await;
    assert_eq!((status, problem["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("unavailable")));
    let (status, result) = post(&app, "/api/v1/lineage/batch", None, b"[]".to_vec()).await;
    assert_eq!((status, result["status"].as_str()), (StatusCode::OK, Some("success")));
}

#[tokio::test]
async fn a_long_batch_keeps_its_order() {
    let app = app_with(ApiOptions::default(), Vec::new());
    let batch: Vec<_> = (0..1000).map(|n| json!({"job": {"namespace": "n", "name": n.to_string()}})).collect();
    let (status, result) = post(&app, "/api/v1/lineage/batch", None, json!(batch).to_string().into_bytes()).await;
    assert_eq!((status, result["summary"]["successful"].as_u64()), (StatusCode::OK, Some(1000)));
    let keys: Vec<_> = app.producer.0.lock().unwrap().iter().map(|(_, key, _)| key.clone().unwrap()).collect();
    assert_eq!(keys, (0..1000).map(|n| format!("job:n/{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn questions_that_cannot_be_answered_name_the_parameter() {
    let app = app();
    let cases = [
        ("/api/v1/search?q=x&filters=colour:red", "filters", "unknown key"),
        ("/api/v1/search?q=x&limit=0", "limit", "not within 1 to 100"),
        ("/api/v1/search?q=x&limit=101", "limit", "not within 1 to 100"),
        ("/api/v1/search?q=x&limit=ten", "query", "invalid digit"),
        ("/api/v1/search?q=x&offset=9990", "offset", "reach over 10000"),
        ("/api/v1/search?query=x", "query", "unknown field `query`"),
        ("/api/v1/lineage?dataset=x&depth=0", "depth", "not within 1 to 1000"),
        ("/api/v1/lineage?dataset=x&depth=1001", "depth", "not within 1 to 1000"),
        ("/api/v1/lineage?dataset=x&depth=-1", "depth", "'-1' is no number from 1 to 1000"),
        ("/api/v1/lineage?dataset=x&direction=sideways", "query", "unknown variant `sideways`"),
        ("/api/v1/lineage?dataset=x&level=table&column=a", "level", "level=column only"),
        ("/api/v1/lineage?dataset=x&column=", "column", "empty"),
        ("/api/v1/lineage", "query", "missing field `dataset`"),
        ("/api/v1/datasets", "query", "missing field `id`"),
        ("/api/v1/datasets/%FF", "id", "percent-encoded UTF-8"),
        ("/api/v1/unresolved?limit=0", "limit", "not within 1 to 100"),
    ];
    for (path, parameter, message) in cases {
        let (response, problem) = get(&app, path).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}: {problem}");
        assert_eq!(problem["code"], "invalid_parameter", "{path}");
        assert_eq!(problem["details"]["parameter"], parameter, "{path}");
        assert!(problem["message"].as_str().unwrap().contains(message), "{path}: {problem}");
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_503_and_tells_no_addresses() {
    let app = app();
    for (path, component) in [
        ("/api/v1/datasets/hive%3A%2F%2Fh%3A9083%2Fa%2Fb", "postgres"),
        ("/api/v1/jobs/job%3A%2F%2Fa%2Fb", "postgres"),
        ("/api/v1/search?q=x", "search"),
    ] {
        let (response, problem) = get(&app, path).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}: {problem}");
        assert_eq!(problem["details"]["component"], component);
        assert!(!problem.to_string().contains("127.0.0.1"), "{problem}");
    }
    let (response, problem) = get(&app, "/api/v1/datasets/a%00b").await;
    assert_eq!((response.status(), &problem["code"]), (StatusCode::NOT_FOUND, &json!("dataset_not_found")));
}

#[tokio::test]
async fn unknown_paths_and_methods_have_the_same_body() {
    let app = app();
    let (response, problem) = get(&app, "/api/v1/nothing").await;
    assert_eq!((response.status(), &problem["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    let request = Request::builder().method(Method::DELETE).uri("/api/v1/search").body(Body::empty()).unwrap();
    let (response, body) = send(&app, request).await;
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((response.status(), &problem["code"]), (StatusCode::METHOD_NOT_ALLOWED, &json!("method_not_allowed")));
    assert!(response.headers().contains_key(header::ALLOW));
}

#[tokio::test]
async fn the_request_id_comes_back() {
    let app = app();
    for (given, kept) in [("abc-1", true), ("with space", false), (&"x".repeat(129) as &str, false)] {
        let request = Request::get("/api/v1/nothing").header(REQUEST_ID, given).body(Body::empty()).unwrap();
        let (response, body) = send(&app, request).await;
        let problem: Value = serde_json::from_slice(&body).unwrap();
        let answered = response.headers()[REQUEST_ID].to_str().unwrap();
        assert_eq!(problem["request_id"], answered);
        assert_eq!(answered == given, kept, "{given}");
    }
}

#[tokio::test]
async fn a_configured_token_is_demanded() {
    let token = Arc::new(BearerToken::new("s3cret".into()));
    let app = app_with(ApiOptions { token: Some(token), ..ApiOptions::default() }, Vec::new());
    let ask = async |path: &str, header: Option<&str>| {
        let mut request = Request::get(path);
        if let Some(value) = header {
            request = request.header(header::AUTHORIZATION, value);
        }
        send(&app, request.body(Body::empty()).unwrap()).await.0
    };
    for wrong in
        [None, Some("Bearer s3cre"), Some("Bearer s3cretx"), Some("Basic s3cret"), Some("s3cret"), Some("Bearer ")]
    {
        let response = ask("/api/v1/openapi.json", wrong).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{wrong:?}");
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
    assert_eq!(ask("/metrics", None).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(ask("/api/v1/nothing", None).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(ask("/api/v1/openapi.json", Some("bearer s3cret")).await.status(), StatusCode::OK);
    assert_eq!(ask("/metrics", Some("Bearer s3cret")).await.status(), StatusCode::OK);
    for open in ["/healthz", "/livez", "/readyz", "/"] {
        assert_eq!(ask(open, None).await.status(), StatusCode::OK, "{open}");
    }
}

#[tokio::test]
async fn readiness_tells_the_worst_part_and_why() {
    let ready = app();
    let (response, report) = get(&ready, "/readyz").await;
    assert_eq!((response.status(), &report["status"]), (StatusCode::OK, &json!("ready")));
    let parts = vec![
        ComponentStatus::ready("kafka"),
        ComponentStatus::not_ready("postgres", ComponentState::Degraded, "1 record in sink_rejects"),
    ];
    let degraded = app_with(ApiOptions::default(), parts);
    let (response, report) = get(&degraded, "/readyz").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        report,
        json!({"status": "degraded", "components": [
            {"name": "kafka", "state": "ready"},
            {"name": "postgres", "state": "degraded", "reason": "1 record in sink_rejects"}]})
    );
    let (response, report) = get(&degraded, "/healthz").await;
    assert_eq!((response.status(), report), (StatusCode::OK, json!({"status": "ok"})));
}

#[tokio::test]
async fn metrics_are_on_both_routers() {
    let (_, body) = send(&app(), Request::get("/metrics").body(Body::empty()).unwrap()).await;
    assert_eq!(body, b"up 1\n");
    let admin = admin_router(Arc::new(Vec::new), Arc::new(|| "up 2\n".to_owned()));
    let response = admin.oneshot(Request::get("/metrics").body(Body::empty()).unwrap()).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 99).await.unwrap();
    assert_eq!(&body[..], b"up 2\n");
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let (response, body) = send(&app(), Request::get("/").body(Body::empty()).unwrap()).await;
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self';"));
    assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let html = String::from_utf8(body).unwrap();
    assert!(!html.contains("://"), "no address of another server");
    assert!(!html.contains("style=") && !html.contains("onclick"), "the policy forbids inline code");
    for file in ["/app.js", "/app.css"] {
        assert!(html.contains(file));
        let (response, body) = send(&app(), Request::get(file).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!String::from_utf8(body).unwrap().contains("innerHTML"), "text goes in as text");
    }
}

#[tokio::test]
async fn slow_and_panicking_handlers_end_in_a_problem() {
    async fn slow() {
        std::future::pending::<()>().await;
    }
    async fn broken() {
        panic!("secret detail");
    }
    let edge = edge::Edge { token: None, time_limit: Duration::from_millis(20) };
    let routes = Router::new().route("/slow", axum::routing::get(slow)).route("/broken", axum::routing::get(broken));
    let router = guarded(routes, edge);
    for (path, status, code) in [
        ("/slow", StatusCode::SERVICE_UNAVAILABLE, "timeout"),
        ("/broken", StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    ] {
        let response = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), status);
        let body = axum::body::to_bytes(response.into_body(), 9999).await.unwrap();
        let problem: Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem.code, code);
        assert!(!problem.message.contains("secret"));
    }
}

/// The checked-in document is what the handlers say. `TRIBUTARY_UPDATE=1 cargo test` writes it anew.
#[test]
fn the_checked_in_document_is_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let mut generated = openapi().to_pretty_json().unwrap();
    generated.push('\n');
    if std::env::var_os("TRIBUTARY_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &generated).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == generated, "docs/openapi.json has drifted: run TRIBUTARY_UPDATE=1 cargo test api::");
}

#[test]
fn the_document_has_a_schema_for_every_reply() {
    let document = serde_json::to_value(openapi()).unwrap();
    let mut seen = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(response["content"].is_object(), "{method} {path} {status} has no body");
            }
            seen.insert(format!("{method} {path}"), operation["operationId"].clone());
        }
    }
    for route in ["get /api/v1/search", "get /api/v1/datasets/{id}", "get /api/v1/lineage", "post /api/v1/lineage"] {
        assert!(seen.contains_key(route), "{route} is not in the document");
    }
    let ids: std::collections::BTreeSet<_> = seen.values().map(Value::to_string).collect();
    assert_eq!(ids.len(), seen.len(), "operation ids are unique");
}

#[tokio::test]
async fn the_server_answers_on_a_free_port_until_it_is_told_to_stop() {
    let (listener, address) = bind("127.0.0.1:0").await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, app().router, async move {
        let _ = stopped.await;
    }));
    crate::registry::tls::install_provider();
    let answer = reqwest::get(format!("http://{address}/healthz")).await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let taken = bind(&address.to_string()).await.unwrap_err();
    assert!(taken.to_string().contains(&address.to_string()), "{taken}");
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
