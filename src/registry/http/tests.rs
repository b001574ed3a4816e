//! The REST face through its router, without a network.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::super::handle::{RegistryHandle, RegistryOptions};
use super::super::log::MemoryLog;

pub(super) const V1: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
pub(super) const V2: &str =
    r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"int","default":0}]}"#;
pub(super) const BAD: &str =
    r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"c","type":"int"}]}"#;

pub(super) struct Client {
    router: axum::Router,
}

impl Client {
    pub(super) fn new() -> Self {
        Self::of(RegistryHandle::start(Arc::new(MemoryLog::default()), &RegistryOptions::default()).unwrap())
    }

    pub(super) fn of(handle: RegistryHandle) -> Self {
        Self { router: super::router(handle) }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> (u16, String, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let media_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&bytes)));
        (status, media_type.unwrap_or_default(), body)
    }

    pub(super) async fn respond(&self, request: Request<Body>) -> axum::response::Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(super) async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/vnd.schemaregistry.v1+json");
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let (status, _, body) = self.send(request.body(body).unwrap()).await;
        (status, body)
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, Value::Null).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, body).await
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::PUT, path, body).await
    }

    /// Deletes what leaves no body behind; answers the status.
    pub(super) async fn gone(&self, path: &str) -> u16 {
        let request = Request::builder().method(Method::DELETE).uri(path).body(Body::empty()).unwrap();
        self.router.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    pub(super) async fn delete(&self, path: &str) -> (u16, Value) {
        self.call(Method::DELETE, path, Value::Null).await
    }

    pub(super) async fn register(&self, subject: &str, schema: &str) -> i64 {
        let (status, body) = self.post(&format!("/subjects/{subject}/versions"), json!({"schema": schema})).await;
        assert_eq!(status, 200, "{body}");
        body["id"].as_i64().unwrap()
    }
}

pub(super) fn code(answer: (u16, Value)) -> (u16, i64) {
    let fields: Vec<_> = answer.1.as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["error_code", "message"], "an error has exactly these fields");
    (answer.0, answer.1["error_code"].as_i64().unwrap())
}

#[tokio::test]
async fn register_then_read_by_all_paths() {
    let client = Client::new();
    let (status, body) = client.post("/subjects/s-value/versions", json!({"schema": V1, "unknown": 1})).await;
    assert_eq!((status, &body["id"], &body["version"], &body["schema"]), (200, &json!(1), &json!(1), &json!(V1)));
    assert!(body.get("references").is_none() && body.get("metadata").is_none() && body.get("deleted").is_none());
    let guid = body["guid"].as_str().unwrap().to_owned();
    assert_eq!(client.register("s-value", V2).await, 2);
    assert_eq!(client.register("t-value", V2).await, 2);
    assert_eq!(client.get("/subjects").await, (200, json!(["s-value", "t-value"])));
    assert_eq!(client.get("/subjects?subjectPrefix=t").await, (200, json!(["t-value"])));
    assert_eq!(client.get("/subjects?offset=1&limit=1").await, (200, json!(["t-value"])));
    assert_eq!(client.get("/subjects?limit=-1").await, (200, json!(["s-value", "t-value"])));
    assert_eq!(client.get("/subjects/s-value/versions").await, (200, json!([1, 2])));
    for version in ["2", "latest", "LATEST", "-1"] {
        let (_, body) = client.get(&format!("/subjects/s-value/versions/{version}")).await;
        assert_eq!((&body["subject"], &body["id"], &body["version"]), (&json!("s-value"), &json!(2), &json!(2)));
    }
    assert_eq!(client.get("/schemas/ids/1").await.1["schema"], json!(V1));
    assert_eq!(client.get("/schemas/ids/1/schema").await, (200, serde_json::from_str(V1).unwrap()));
    assert_eq!(client.get("/subjects/s-value/versions/1/schema").await, (200, serde_json::from_str(V1).unwrap()));
    assert_eq!(client.get("/schemas/ids/2/subjects").await, (200, json!(["s-value", "t-value"])));
    assert_eq!(
        client.get("/schemas/ids/2/versions").await,
        (200, json!([{"subject": "s-value", "version": 2}, {"subject": "t-value", "version": 1}]))
    );
    assert_eq!(client.get(&format!("/schemas/guids/{guid}")).await.1["schema"], json!(V1));
    assert_eq!(client.get(&format!("/schemas/guids/{guid}/ids")).await, (200, json!([{"context": ".", "id": 1}])));
    let (status, body) = client.post("/subjects/s-value?deleted=False&normalize=False", json!({"schema": V1})).await;
    assert_eq!((status, &body["version"], &body["id"]), (200, &json!(1), &json!(1)));
    assert_eq!(client.get("/schemas?latestOnly=true").await.1.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn misses_have_their_codes() {
    let client = Client::new();
    client.register("s", V1).await;
    for (path, expected) in [
        ("/subjects/none/versions", (404, 40401)),
        ("/subjects/none/versions/1", (404, 40401)),
        ("/subjects/s/versions/9", (404, 40402)),
        ("/subjects/s/versions/0", (422, 42202)),
        ("/subjects/s/versions/two", (422, 42202)),
        ("/schemas/ids/9", (404, 40403)),
        ("/schemas/ids/9/subjects", (404, 40403)),
        ("/config/s", (404, 40408)),
        ("/mode/s", (404, 40409)),
        ("/associations/resources/-/t?resourceType=topic&associationType=value", (404, 40410)),
        ("/nothing/here", (404, 404)),
    ] {
        assert_eq!(code(client.get(path).await), expected, "{path}");
    }
    assert_eq!(code(client.post("/subjects/none", json!({"schema": V1})).await), (404, 40401));
    assert_eq!(code(client.post("/subjects/s", json!({"schema": V2})).await), (404, 40403));
    assert_eq!(code(client.post("/subjects/s/versions", json!({"schema": "{"})).await), (422, 42201));
    assert_eq!(code(client.post("/subjects/s/versions", json!({"schema": BAD})).await), (409, 40901));
    assert_eq!(code(client.post("/subjects/%01/versions", json!({"schema": V1})).await), (422, 42208));
    assert_eq!(code(client.delete("/config/s").await), (404, 40401));
    assert_eq!(code(client.delete("/mode/s").await), (404, 40401));
    assert_eq!(code(client.put("/config", json!({"compatibility": "MAYBE"})).await), (422, 42203));
    assert_eq!(code(client.put("/mode", json!({"mode": "MAYBE"})).await), (422, 42204));
    assert_eq!(code(client.put("/subjects/s", json!({})).await), (405, 405));
    assert_eq!(client.get("/").await, (200, json!({})));
    assert_eq!(client.get("/schemas/types").await, (200, json!(["JSON", "PROTOBUF", "AVRO"])));
}

#[tokio::test]
async fn deletes_soft_then_for_good() {
    let client = Client::new();
    client.register("s", V1).await;
    client.register("s", V2).await;
    assert_eq!(code(client.delete("/subjects/s/versions/1?permanent=true").await), (404, 40407));
    assert_eq!(client.delete("/subjects/s/versions/1").await, (200, json!(1)));
    assert_eq!(code(client.delete("/subjects/s/versions/1").await), (404, 40406));
    assert_eq!(client.get("/subjects/s/versions").await, (200, json!([2])));
    assert_eq!(client.get("/subjects/s/versions?deleted=true").await, (200, json!([1, 2])));
    assert_eq!(client.get("/subjects/s/versions?deletedOnly=TRUE").await, (200, json!([1])));
    assert_eq!(client.get("/subjects/s/versions?deleted=true&deletedAsNegative=true").await, (200, json!([-1, 2])));
    assert_eq!(client.get("/subjects/s/versions/1?deleted=true").await.1["deleted"], json!(true));
    assert_eq!(client.get("/schemas/ids/1").await.0, 200);
    assert_eq!(code(client.delete("/subjects/s?permanent=true").await), (404, 40405));
    assert_eq!(client.delete("/subjects/s").await, (200, json!([2])));
    assert_eq!(code(client.delete("/subjects/s").await), (404, 40404));
    assert_eq!(client.get("/subjects").await, (200, json!([])));
    assert_eq!(client.get("/subjects?deleted=true").await, (200, json!(["s"])));
    assert_eq!(client.get("/subjects?deletedOnly=true").await, (200, json!(["s"])));
    assert_eq!(client.delete("/subjects/s?permanent=true").await, (200, json!([1, 2])));
    assert_eq!(code(client.get("/schemas/ids/1").await), (404, 40403));
}

#[tokio::test]
async fn compatibility_checks_with_and_without_messages() {
    let client = Client::new();
    let latest = "/compatibility/subjects/s/versions/latest";
    assert_eq!(client.post(latest, json!({"schema": V1})).await, (200, json!({"is_compatible": true})));
    client.register("s", V1).await;
    assert_eq!(client.post(latest, json!({"schema": BAD})).await, (200, json!({"is_compatible": false})));
    let (_, body) = client.post(&format!("{latest}?verbose=true"), json!({"schema": BAD})).await;
    assert_eq!(
        body["messages"],
        json!([
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'c' at path '/fields/1' in the new \
             schema has no default value and is missing in the old schema', additionalInfo:'c'}",
            "{oldSchemaVersion: 1}",
            format!("{{oldSchema: '{V1}'}}"),
            "{validateFields: 'false', compatibility: 'BACKWARD'}",
        ])
    );
    let (_, body) = client.post(&format!("{latest}?verbose=True"), json!({"schema": V2})).await;
    assert_eq!(body, json!({"is_compatible": true, "messages": []}));
    assert_eq!(code(client.post(latest, json!({"schema": "{"})).await), (422, 42201));
    let (status, body) = client.post(&format!("{latest}?verbose=true"), json!({"schema": "{"})).await;
    assert_eq!((status, &body["is_compatible"]), (200, &json!(false)));
    assert_eq!(code(client.post("/compatibility/subjects/s/versions/7", json!({"schema": V1})).await), (404, 40402));
    let all = "/compatibility/subjects/s/versions";
    assert_eq!(client.post(all, json!({"schema": V2})).await, (200, json!({"is_compatible": true})));
}

#[tokio::test]
async fn configuration_and_modes() {
    let client = Client::new();
    assert_eq!(client.get("/config").await, (200, json!({"compatibilityLevel": "BACKWARD"})));
    let full = json!({"compatibility": "full"});
    assert_eq!(client.put("/config/s", full).await, (200, json!({"compatibility": "FULL"})));
    assert_eq!(client.get("/config/s").await, (200, json!({"compatibilityLevel": "FULL"})));
    assert_eq!(client.get("/config/t?defaultToGlobal=true").await, (200, json!({"compatibilityLevel": "BACKWARD"})));
    assert_eq!(client.delete("/config/s").await, (200, json!({"compatibilityLevel": "FULL"})));
    assert_eq!(client.get("/mode").await, (200, json!({"mode": "READWRITE"})));
    assert_eq!(client.put("/mode/s", json!({"mode": "READONLY"})).await, (200, json!({"mode": "READONLY"})));
    assert_eq!(code(client.post("/subjects/s/versions", json!({"schema": V1})).await), (422, 42205));
    assert_eq!(client.delete("/mode/s").await, (200, json!({"mode": "READONLY"})));
    assert_eq!(client.register("s", V1).await, 1);
    assert_eq!(code(client.put("/mode/s", json!({"mode": "IMPORT"})).await), (422, 42205));
    assert_eq!(client.put("/mode/s?force=true", json!({"mode": "IMPORT"})).await, (200, json!({"mode": "IMPORT"})));
}

#[tokio::test]
async fn references_are_listed_and_resolved() {
    let client = Client::new();
    client.register("item", r#"{"type":"record","name":"Item","fields":[]}"#).await;
    let order = r#"{"type":"record","name":"Order","fields":[{"name":"i","type":"Item"}]}"#;
    let references = json!([{"name": "Item", "subject": "item", "version": 1}]);
    let (_, body) = client.post("/subjects/order/versions", json!({"schema": order, "references": references})).await;
    assert_eq!(body["references"], references);
    assert_eq!(client.get("/subjects/item/versions/1/referencedby").await, (200, json!([2])));
    let (_, body) = client.get("/schemas/ids/2?format=resolved").await;
    assert_eq!(
        body["schema"],
        json!(
            r#"{"type":"record","name":"Order","fields":[{"name":"i","type":{"type":"record","name":"Item","fields":[]}}]}"#
        )
    );
    assert_eq!(code(client.delete("/subjects/item").await), (422, 42206));
}

#[tokio::test]
async fn contexts_by_name_and_by_path() {
    let client = Client::new();
    client.register("s", V1).await;
    assert_eq!(client.register(":.c:s", V2).await, 1, "each context counts its own ids");
    assert_eq!(client.get("/contexts").await, (200, json!([".", ".c"])));
    assert_eq!(client.get("/contexts/.c/subjects").await, (200, json!([":.c:s"])));
    assert_eq!(client.get("/contexts/.c/subjects/s/versions/1").await.1["schema"], json!(V2));
    assert_eq!(client.get("/contexts/.c/schemas/ids/1").await.1["schema"], json!(V2));
    assert_eq!(client.get("/schemas/ids/1").await.1["schema"], json!(V1));
    assert_eq!(client.get("/schemas/ids/1?subject=:.c:s").await.1["schema"], json!(V2));
}

#[tokio::test]
async fn metadata_is_kept_and_searched() {
    let client = Client::new();
    let metadata = json!({"properties": {"owner": "me"}});
    let body = json!({"schema": V1, "metadata": metadata, "ruleSet": null, "references": null});
    let (_, body) = client.post("/subjects/s/versions", body).await;
    assert_eq!(body["metadata"], metadata);
    assert_eq!(client.get("/subjects/s/metadata?key=owner&value=me").await.1["version"], json!(1));
    assert_eq!(code(client.get("/subjects/s/metadata?key=owner&value=you").await), (404, 40403));
}

#[tokio::test]
async fn tags_metadata_and_rules_make_a_new_version() {
    let client = Client::new();
    let rule = |name: &str| json!({"name": name, "kind": "CONDITION", "mode": "WRITE", "type": "CEL", "expr": "true", "disabled": false});
    let first = json!({"schema": V1, "metadata": {"properties": {"owner": "me"}},
        "ruleSet": {"domainRules": [rule("a"), rule("b")]}});
    assert_eq!(client.post("/subjects/s/versions", first).await.0, 200);
    let field = json!({"schemaEntity": {"entityPath": "R.a", "entityType": "sr_field"}, "tags": ["PII"]});
    let change = json!({"newVersion": 2, "tagsToAdd": [field], "rulesToRemove": ["a"],
        "rulesToMerge": {"domainRules": [rule("c")]}});
    let (status, body) = client.post("/subjects/s/versions/1/tags", change).await;
    assert_eq!((status, &body["version"], &body["id"]), (200, &json!(2), &json!(2)), "{body}");
    let tagged = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","confluent:tags":["PII"]}]}"#;
    assert_eq!(body["schema"], json!(tagged));
    assert_eq!(body["metadata"], json!({"properties": {"owner": "me", "confluent:version": "2"}}));
    assert_eq!(client.get("/subjects/s/versions/2?findTags=*").await.1["schemaTags"], json!([field]));
    assert_eq!(client.get("/schemas/ids/2?findTags=PII&findTags=X").await.1["schemaTags"], json!([field]));
    assert_eq!(client.get("/schemas/ids/2?findTags=X").await.1.get("schemaTags"), None);
    assert_eq!(client.get("/schemas?ruleType=CEL").await.1.as_array().unwrap().len(), 2);
    assert_eq!(client.get("/schemas?ruleType=JSONATA").await, (200, json!([])));
    assert_eq!(body["ruleSet"], json!({"domainRules": [rule("b"), rule("c")]}));
    let (_, body) = client.post("/subjects/s/versions/latest/tags", json!({"tagsToRemove": [field]})).await;
    assert_eq!((&body["version"], &body["schema"]), (&json!(3), &json!(V1)));
    assert_eq!(body["metadata"], json!({"properties": {"owner": "me", "confluent:version": "3"}}));
    let nowhere =
        json!({"tagsToAdd": [{"schemaEntity": {"entityPath": "R.z", "entityType": "sr_field"}, "tags": ["X"]}]});
    assert_eq!(code(client.post("/subjects/s/versions/1/tags", nowhere).await), (422, 42201));
    assert_eq!(code(client.post("/subjects/s/versions/9/tags", json!({})).await), (404, 40402));
    let both = json!({"ruleSet": {}, "rulesToRemove": ["b"]});
    assert_eq!(code(client.post("/subjects/s/versions/1/tags", both).await), (422, 42210));
}

#[tokio::test]
async fn media_types_and_sizes() {
    let client = Client::new();
    let request = |content_type: &str, accept: &str, body: Body| {
        let request = Request::builder().method(Method::POST).uri("/subjects/s/versions");
        request.header("content-type", content_type).header("accept", accept).body(body).unwrap()
    };
    let schema = || Body::from(json!({"schema": V1}).to_string());
    let (status, media_type, _) =
        client.send(request("application/json; charset=utf-8", "application/json", schema())).await;
    assert_eq!((status, media_type.as_str()), (200, "application/json"));
    let (status, media_type, _) = client.send(request("application/octet-stream", "*/*", schema())).await;
    assert_eq!((status, media_type.as_str()), (200, "application/vnd.schemaregistry.v1+json"));
    let (status, _, body) = client.send(request("text/plain", "*/*", schema())).await;
    assert_eq!((status, &body["error_code"]), (415, &json!(415)));
    let (status, _, body) = client.send(request("application/json", "text/html", schema())).await;
    assert_eq!((status, &body["error_code"]), (406, &json!(406)));
    let (status, _, body) = client.send(request("application/json", "*/*", Body::from("{"))).await;
    assert_eq!((status, &body["error_code"]), (400, &json!(400)));
    let large = Body::from(vec![b' '; super::MAX_BODY_BYTES + 1]);
    let (status, _, body) = client.send(request("application/json", "*/*", large)).await;
    assert_eq!(
        (StatusCode::from_u16(status).unwrap(), &body["error_code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!(42209))
    );
    let (status, _, body) = client.send(Request::builder().uri("/schemas/ids/abc").body(Body::empty()).unwrap()).await;
    assert_eq!((status, &body["error_code"]), (404, &json!(404)));
}
