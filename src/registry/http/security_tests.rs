//! Who may do what through the router: every route, and the ways around each of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, header};
use secrecy::SecretString;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::super::handle::{RegistryHandle, RegistryOptions};
use super::super::log::MemoryLog;
use super::access::{self, hash_token};
use super::tests::{BAD, V1, V2};
use super::{Guards, Rate, ServeOptions, router_with};

/// Argon2id of "secret", at the smallest cost.
const SECRET: &str = "$argon2id$v=19$m=64,t=1,p=1$eAuoPCPsh+WAiq2E7NY9pA$PKRBwS61RWCJM8YVt+9abOLVFtbsDjVoIijy+JDxCX0";

/// Principals whose token is their name.
const PEOPLE: [(&str, &str); 9] = [
    ("admin", r#"[{ prefix = "", allow = ["read", "write", "delete", "compatibility", "config"] }]"#),
    ("nobody", "[]"),
    ("orders", r#"[{ prefix = "orders-", allow = ["write"] }]"#),
    ("reader", r#"[{ prefix = "orders-", allow = ["read"] }]"#),
    ("default", r#"[{ prefix = ":.:", allow = ["read", "write", "delete", "compatibility", "config"] }]"#),
    ("europe", r#"[{ prefix = ":.eu:", allow = ["read", "write", "delete", "compatibility", "config"] }]"#),
    ("checker", r#"[{ prefix = "orders-", allow = ["compatibility"] }]"#),
    ("settings", r#"[{ prefix = "orders-", allow = ["config"] }]"#),
    ("remover", r#"[{ prefix = "orders-", allow = ["delete"] }]"#),
];

fn people(more: &str) -> Arc<ArcSwap<access::Access>> {
    let principal = |(name, permissions): &(&str, &str)| {
        let token = hash_token(&SecretString::from(*name));
        format!("[[principals]]\nname = \"{name}\"\ntokens = [\"{token}\"]\npermissions = {permissions}\n")
    };
    let text = PEOPLE.iter().map(principal).collect::<String>() + more;
    Arc::new(ArcSwap::from_pointee(access::parse(Path::new("access.toml"), &text).unwrap()))
}

struct Site {
    router: Router,
}

impl Site {
    fn with(guards: Guards) -> Self {
        let handle = RegistryHandle::start(Arc::new(MemoryLog::default()), &RegistryOptions::default()).unwrap();
        Self { router: router_with(handle, ServeOptions { guards, ..ServeOptions::default() }).unwrap() }
    }

    fn new() -> Self {
        Self::with(Guards { access: Some(people("")), ..Guards::default() })
    }

    /// With `orders-value` (id 1), `secret-value` (id 2), `:.eu:orders-value` (id 1 of its context) and `:.eu:only`.
    async fn filled() -> Self {
        let site = Self::new();
        for (subject, schema) in
            [("orders-value", V1), ("secret-value", V2), (":.eu:orders-value", V1), (":.eu:only", BAD)]
        {
            let path = format!("/subjects/{subject}/versions");
            assert_eq!(site.call("admin", Method::POST, &path, json!({"schema": schema})).await.0, 200);
        }
        site
    }

    async fn send(&self, request: Request<Body>) -> (u16, HeaderMap, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        (status, headers, body)
    }

    async fn call(&self, token: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let (status, _, body) = self.send(request.body(body).unwrap()).await;
        (status, body)
    }

    async fn get(&self, token: &str, path: &str) -> (u16, Value) {
        self.call(token, Method::GET, path, Value::Null).await
    }

    async fn post(&self, token: &str, path: &str, body: Value) -> (u16, Value) {
        self.call(token, Method::POST, path, body).await
    }

    /// Status and code of a refusal, or status and 0.
    async fn code(&self, token: &str, method: Method, path: &str, body: Value) -> (u16, u64) {
        let (status, body) = self.call(token, method, path, body).await;
        (status, body["error_code"].as_u64().unwrap_or(0))
    }
}

const DENIED: (u16, u64) = (403, 40301);

/// What somebody without permissions gets.
enum Without {
    Denied,
    Nothing,
    Open,
}

#[tokio::test]
async fn no_route_is_forgotten() {
    use Without::{Denied, Nothing, Open};
    let site = Site::filled().await;
    let schema = || json!({"schema": V1});
    let level = || json!({"compatibility": "NONE"});
    let mode = || json!({"mode": "READONLY"});
    let none = || Value::Null;
    let guid = site.get("admin", "/schemas/ids/1").await.1["guid"].as_str().unwrap().to_owned();
    let table: Vec<(&str, &str, Value, Without)> = vec![
        ("GET", "/", none(), Open),
        ("POST", "/", none(), Open),
        ("GET", "/contexts", none(), Nothing),
        ("DELETE", "/contexts/{context}", none(), Denied),
        ("GET", "/schemas", none(), Nothing),
        ("GET", "/schemas/types", none(), Open),
        ("GET", "/schemas/ids/{id}", none(), Denied),
        ("GET", "/schemas/ids/{id}/schema", none(), Denied),
        ("GET", "/schemas/ids/{id}/subjects", none(), Nothing),
        ("GET", "/schemas/ids/{id}/versions", none(), Nothing),
        ("GET", "/schemas/guids/{guid}/ids", none(), Nothing),
        ("GET", "/subjects", none(), Nothing),
        ("POST", "/subjects/{subject}", schema(), Denied),
        ("DELETE", "/subjects/{subject}", none(), Denied),
        ("GET", "/subjects/{subject}/metadata", none(), Denied),
        ("GET", "/subjects/{subject}/versions", none(), Denied),
        ("POST", "/subjects/{subject}/versions", schema(), Denied),
        ("GET", "/subjects/{subject}/versions/{version}", none(), Denied),
        ("DELETE", "/subjects/{subject}/versions/{version}", none(), Denied),
        ("GET", "/subjects/{subject}/versions/{version}/schema", none(), Denied),
        ("GET", "/subjects/{subject}/versions/{version}/referencedby", none(), Denied),
        ("POST", "/subjects/{subject}/versions/{version}/tags", json!({}), Denied),
        ("POST", "/compatibility/subjects/{subject}/versions", schema(), Denied),
        ("POST", "/compatibility/subjects/{subject}/versions/{version}", schema(), Denied),
        ("GET", "/config", none(), Denied),
        ("PUT", "/config", level(), Denied),
        ("DELETE", "/config", none(), Denied),
        ("GET", "/config/{subject}", none(), Denied),
        ("PUT", "/config/{subject}", level(), Denied),
        ("DELETE", "/config/{subject}", none(), Denied),
        ("GET", "/mode", none(), Denied),
        ("PUT", "/mode", mode(), Denied),
        ("DELETE", "/mode", none(), Denied),
        ("GET", "/mode/{subject}", none(), Denied),
        ("PUT", "/mode/{subject}", mode(), Denied),
        ("DELETE", "/mode/{subject}", none(), Denied),
        ("GET", "/v1/metadata/id", none(), Open),
        ("GET", "/v1/metadata/version", none(), Open),
        ("GET", "/v1/metadata/deployment", none(), Open),
    ];
    // Whoever adds a route says here what it asks for.
    let route = regex::Regex::new(r#"(?s)\.route\(\s*"([^"]+)""#).unwrap();
    let routes: BTreeSet<&str> =
        route.captures_iter(include_str!("mod.rs")).map(|found| found.extract::<1>().1[0]).collect();
    let mut listed: BTreeSet<&str> = table.iter().map(|(_, path, ..)| *path).collect();
    // Told as unknown, not as denied: see below.
    listed.insert("/schemas/guids/{guid}");
    assert_eq!(routes, listed);
    for (method, path, body, expected) in table {
        let concrete = path
            .replace("{context}", ".eu")
            .replace("{id}", "1")
            .replace("{guid}", &guid)
            .replace("{subject}", "orders-value")
            .replace("{version}", "1");
        let method: Method = method.parse().unwrap();
        let (status, answer) = site.call("nobody", method.clone(), &concrete, body).await;
        match expected {
            Denied => assert_eq!((status, &answer["error_code"]), (403, &json!(40301)), "{method} {path}: {answer}"),
            Nothing => assert_eq!((status, answer), (200, json!([])), "{method} {path}"),
            Open => assert_eq!((status, &answer["error_code"]), (200, &Value::Null), "{method} {path}"),
        }
        let unknown = site.call("stranger", method.clone(), &concrete, Value::Null).await;
        assert_eq!(unknown, (401, json!({"error_code": 401, "message": "Unauthorized"})), "{method} {path}");
    }
    let (status, answer) = site.get("nobody", &format!("/schemas/guids/{guid}")).await;
    assert_eq!((status, &answer["error_code"]), (404, &json!(40403)));
    // Nothing has changed.
    assert_eq!(site.get("admin", "/subjects/orders-value/versions").await, (200, json!([1])));
    assert_eq!(site.get("admin", "/config").await.1["compatibilityLevel"], "BACKWARD");
    assert_eq!(site.get("stranger", "/nothing").await.0, 401);
}

#[tokio::test]
async fn lists_show_what_may_be_read() {
    let site = Site::filled().await;
    assert_eq!(site.get("reader", "/subjects").await.1, json!(["orders-value"]));
    assert_eq!(site.get("reader", "/subjects?subjectPrefix=:*:").await.1, json!(["orders-value"]));
    assert_eq!(site.get("reader", "/subjects?subjectPrefix=secret").await.1, json!([]));
    assert_eq!(site.get("default", "/subjects").await.1, json!(["orders-value", "secret-value"]));
    assert_eq!(
        site.get("default", "/subjects?offset=1").await.1,
        json!(["secret-value"]),
        "pages are of what is shown"
    );
    assert_eq!(site.get("europe", "/subjects").await.1, json!([":.eu:only", ":.eu:orders-value"]));
    assert_eq!(site.get("europe", "/contexts/.eu/subjects").await.1, json!([":.eu:only", ":.eu:orders-value"]));
    assert_eq!(site.get("reader", "/contexts/.eu/subjects").await.1, json!([]));
    let listed = site.get("reader", "/schemas?subjectPrefix=:*:").await.1;
    let subjects: Vec<&Value> = listed.as_array().unwrap().iter().map(|schema| &schema["subject"]).collect();
    assert_eq!(subjects, ["orders-value"]);
    assert_eq!(site.get("admin", "/contexts").await.1, json!([".", ".eu"]));
    assert_eq!(site.get("reader", "/contexts").await.1, json!(["."]));
    assert_eq!(site.get("europe", "/contexts").await.1, json!([".eu"]));
    assert_eq!(site.get("settings", "/contexts").await.1, json!([]));
}

#[tokio::test]
async fn an_id_is_read_by_whoever_may_read_a_subject_that_has_it() {
    let site = Site::filled().await;
    site.post("admin", "/subjects/a-copy/versions", json!({"schema": V1})).await;
    let (status, found) = site.get("reader", "/schemas/ids/1").await;
    assert_eq!((status, &found["subject"]), (200, &json!("orders-value")), "not a subject that may not be seen");
    assert_eq!(site.get("reader", "/schemas/ids/1?subject=a-copy").await.1["subject"], "orders-value");
    assert_eq!(site.get("reader", "/schemas/ids/1/subjects").await.1, json!(["orders-value"]));
    let versions = json!([{"subject": "orders-value", "version": 1}]);
    assert_eq!(site.get("reader", "/schemas/ids/1/versions").await.1, versions);
    let denied = json!({"error_code": 40301, "message": "User is denied operation Read on Schema: 2"});
    for path in ["/schemas/ids/2", "/schemas/ids/2?subject=orders-value", "/schemas/ids/2/schema"] {
        assert_eq!(site.get("reader", path).await, (403, denied.clone()), "{path}");
    }
    assert_eq!(site.code("reader", Method::GET, "/schemas/ids/99", Value::Null).await, (404, 40403));
    assert_eq!(site.code("reader", Method::GET, "/schemas/ids/1?subject=:.eu:", Value::Null).await, DENIED);
    assert_eq!(site.get("europe", "/schemas/ids/1?subject=:.eu:").await.1["subject"], ":.eu:orders-value");
    let guid = site.get("admin", "/schemas/ids/2").await.1["guid"].as_str().unwrap().to_owned();
    assert_eq!(site.code("reader", Method::GET, &format!("/schemas/guids/{guid}"), Value::Null).await, (404, 40403));
    assert_eq!(site.get("reader", &format!("/schemas/guids/{guid}/ids")).await.1, json!([]));
    assert_eq!(site.get("default", &format!("/schemas/guids/{guid}/ids")).await.1, json!([{"context": ".", "id": 2}]));
}

#[tokio::test]
async fn a_name_leads_to_no_other_context() {
    let site = Site::filled().await;
    assert_eq!(site.get("admin", "/subjects/only/versions/1").await.1["subject"], ":.eu:only");
    assert_eq!(site.code("default", Method::GET, "/subjects/only/versions/1", Value::Null).await, (404, 40401));
    assert_eq!(site.code("default", Method::GET, "/subjects/only/versions/1/schema", Value::Null).await, (404, 40401));
    assert_eq!(site.code("default", Method::POST, "/subjects/only", json!({"schema": BAD})).await, (404, 40401));
    for path in [
        "/subjects/:.eu:only/versions/1",
        "/subjects/%3A.eu%3Aonly/versions/1",
        "/contexts/.eu/subjects/only/versions/1",
        "/contexts/eu/subjects/only/versions/1/",
        "/contexts/.eu/config/only",
        "/contexts/.eu/mode",
        "/config/:.eu:",
        "/config/:.eu",
        "/subjects/:.::.eu:only/versions",
    ] {
        assert_eq!(site.code("default", Method::GET, path, Value::Null).await, DENIED, "{path}");
    }
    let schema = json!({"schema": V1});
    let hidden = site.code("default", Method::POST, "/subjects/:.::.eu:only/versions", schema).await;
    assert_eq!(hidden, DENIED, "the topic would give it back as a subject of the other context");
    assert_eq!(site.code("europe", Method::GET, "/subjects/:.eu:only/versions/1", Value::Null).await, (200, 0));
    assert_eq!(site.code("europe", Method::GET, "/config/:.eu:?defaultToGlobal=true", Value::Null).await, (200, 0));
    assert_eq!(site.code("europe", Method::GET, "/subjects/orders-value/versions", Value::Null).await, DENIED);
}

#[tokio::test]
async fn an_alias_opens_nothing() {
    let site = Site::filled().await;
    // Whoever may configure orders-… may point its names elsewhere; nobody gets further by that.
    let alias = json!({"alias": "secret-value"});
    assert_eq!(site.call("settings", Method::PUT, "/config/orders-alias", alias).await.0, 200);
    let (status, answer) = site.get("reader", "/subjects/orders-alias/versions/latest").await;
    let message = "User is denied operation Read on Subject: orders-alias";
    assert_eq!((status, answer), (403, json!({"error_code": 40301, "message": message})));
    for (who, method, path, body) in [
        ("orders", Method::POST, "/subjects/orders-alias/versions", json!({"schema": V1})),
        ("orders", Method::POST, "/subjects/orders-alias", json!({"schema": V2})),
        ("checker", Method::POST, "/compatibility/subjects/orders-alias/versions", json!({"schema": V1})),
        ("remover", Method::DELETE, "/subjects/orders-alias", Value::Null),
        ("remover", Method::DELETE, "/subjects/orders-alias/versions/1", Value::Null),
    ] {
        assert_eq!(site.code(who, method, path, body).await, DENIED, "{who} {path}");
    }
    assert_eq!(site.get("default", "/subjects/orders-alias/versions/latest").await.1["subject"], "secret-value");
    // Other names are told to whoever may read them.
    let aliases =
        |listed: Value| listed.as_array().unwrap().iter().map(|one| one["aliases"].clone()).collect::<Vec<_>>();
    let all = "/schemas?subjectPrefix=secret&aliases=true";
    assert_eq!(aliases(site.get("default", all).await.1), [json!(["orders-alias"])]);
    let europe = json!({"alias": ":.eu:only"});
    assert_eq!(site.call("admin", Method::PUT, "/config/other-name", europe).await.0, 200);
    assert_eq!(aliases(site.get("europe", "/schemas?subjectPrefix=:.eu:only&aliases=true").await.1), [Value::Null]);
}

const SECRET_TYPE: &str = r#"{"type":"record","name":"Hidden","fields":[{"name":"a","type":"int"}]}"#;

#[tokio::test]
async fn references_need_reading() {
    let site = Site::filled().await;
    site.post("admin", "/subjects/secret-type/versions", json!({"schema": SECRET_TYPE})).await;
    let using = |name: &str, reference: &str, subject: &str| {
        let schema = json!({"type": "record", "name": name, "fields": [{"name": "f", "type": reference}]}).to_string();
        json!({"schema": schema, "references": [{"name": reference, "subject": subject, "version": 1}]})
    };
    let direct = using("Direct", "Hidden", "secret-type");
    for path in [
        "/subjects/orders-new/versions",
        "/subjects/orders-new",
        "/compatibility/subjects/orders-new/versions",
        "/compatibility/subjects/orders-new/versions/latest?verbose=true",
    ] {
        assert_eq!(site.code("orders", Method::POST, path, direct.clone()).await, DENIED, "{path}");
    }
    assert_eq!(site.code("default", Method::POST, "/subjects/orders-direct/versions", direct).await, (200, 0));
    // What others have built on it can be seen, but not what is inside of it.
    let text = site.get("reader", "/subjects/orders-direct/versions/1").await;
    assert_eq!(text.0, 200);
    for path in ["/subjects/orders-direct/versions/1", "/subjects/orders-direct/versions/1/schema"] {
        let resolved = format!("{path}?format=resolved");
        assert_eq!(site.code("reader", Method::GET, &resolved, Value::Null).await, DENIED, "{path}");
        assert_eq!(site.get("default", &resolved).await.0, 200, "{path}");
    }
    let id = text.1["id"].clone();
    assert_eq!(
        site.code("reader", Method::GET, &format!("/schemas/ids/{id}?format=resolved"), Value::Null).await,
        DENIED
    );
    let indirect = using("Indirect", "Direct", "orders-direct");
    let path = "/subjects/orders-indirect/versions";
    assert_eq!(site.code("orders", Method::POST, &format!("{path}?format=resolved"), indirect.clone()).await, DENIED);
    assert_eq!(site.code("orders", Method::POST, path, indirect).await, (200, 0));
    let hidden = "/subjects/orders-indirect/versions/1?format=resolved";
    assert_eq!(site.code("orders", Method::GET, hidden, Value::Null).await, DENIED);
    // Who refers to a version is told to whoever may read both.
    site.post("admin", "/subjects/other/versions", using("Other", "Direct", "orders-direct")).await;
    let path = "/subjects/orders-direct/versions/1/referencedby";
    assert_eq!(site.get("admin", path).await.1.as_array().unwrap().len(), 2);
    assert_eq!(site.get("reader", path).await.1.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn each_operation_has_its_permission() {
    let site = Site::filled().await;
    let (subject, check) = ("/subjects/orders-value/versions", "/compatibility/subjects/orders-value/versions/latest");
    // Writing includes reading and checking.
    assert_eq!(site.code("orders", Method::POST, subject, json!({"schema": V2})).await, (200, 0));
    assert_eq!(site.code("orders", Method::GET, subject, Value::Null).await, (200, 0));
    assert_eq!(
        site.code("orders", Method::POST, &format!("{check}?verbose=true"), json!({"schema": V2})).await,
        (200, 0)
    );
    // But not what goes around the checks.
    let forced = site.code("orders", Method::POST, &format!("{subject}?force=true"), json!({"schema": BAD})).await;
    assert_eq!(forced, DENIED);
    assert_eq!(site.code("orders", Method::POST, subject, json!({"schema": BAD, "id": 7, "version": 9})).await, DENIED);
    assert_eq!(
        site.code("default", Method::POST, &format!("{subject}?force=true"), json!({"schema": BAD})).await,
        (200, 0)
    );
    assert_eq!(site.code("orders", Method::DELETE, "/subjects/orders-value", Value::Null).await, DENIED);
    assert_eq!(site.code("orders", Method::PUT, "/mode/orders-value", json!({"mode": "IMPORT"})).await, DENIED);
    // Reading alone.
    assert_eq!(site.code("reader", Method::POST, subject, json!({"schema": V1})).await, DENIED, "registered or not");
    assert_eq!(site.code("reader", Method::POST, "/subjects/orders-value", json!({"schema": V1})).await, (200, 0));
    assert_eq!(site.code("reader", Method::POST, check, json!({"schema": V1})).await, DENIED);
    assert_eq!(
        site.code("reader", Method::GET, "/config/orders-value?defaultToGlobal=true", Value::Null).await,
        (200, 0)
    );
    assert_eq!(site.code("reader", Method::PUT, "/config/orders-value", json!({"alias": "x"})).await, DENIED);
    // Checking alone: the messages quote older schemas.
    assert_eq!(site.code("checker", Method::POST, check, json!({"schema": V1})).await, (200, 0));
    assert_eq!(
        site.code("checker", Method::POST, &format!("{check}?verbose=true"), json!({"schema": V1})).await,
        DENIED
    );
    assert_eq!(site.code("checker", Method::GET, subject, Value::Null).await, DENIED);
    // Settings alone.
    assert_eq!(site.code("settings", Method::PUT, "/mode/orders-value", json!({"mode": "READONLY"})).await, (200, 0));
    assert_eq!(site.code("settings", Method::DELETE, "/mode/orders-value", Value::Null).await, (200, 0));
    assert_eq!(
        site.code("settings", Method::GET, "/mode/orders-value?defaultToGlobal=true", Value::Null).await,
        (200, 0)
    );
    assert_eq!(site.code("settings", Method::GET, subject, Value::Null).await, DENIED);
    // Deleting alone.
    assert_eq!(site.call("remover", Method::DELETE, &format!("{subject}/1"), Value::Null).await, (200, json!(1)));
    assert_eq!(site.code("remover", Method::GET, subject, Value::Null).await, DENIED);
}

#[tokio::test]
async fn settings_of_many_contexts_are_those_of_the_empty_prefix() {
    let site = Site::filled().await;
    let level = json!({"compatibility": "NONE"});
    for who in ["default", "europe", "settings"] {
        for path in
            ["/config", "/config/:.:", "/config/:.__GLOBAL:", "/contexts/./config", "/mode", "/mode/:.__GLOBAL:"]
        {
            assert_eq!(site.code(who, Method::GET, path, Value::Null).await, DENIED, "{who} {path}");
            assert_eq!(site.code(who, Method::PUT, path, level.clone()).await, DENIED, "{who} {path}");
            assert_eq!(site.code(who, Method::DELETE, path, Value::Null).await, DENIED, "{who} {path}");
        }
    }
    assert_eq!(site.code("europe", Method::PUT, "/config/:.eu:", level.clone()).await, (200, 0));
    assert_eq!(site.code("europe", Method::DELETE, "/mode/:.eu:?recursive=true", Value::Null).await, (200, 0));
    assert_eq!(site.code("europe", Method::DELETE, "/contexts/.eu", Value::Null).await, (422, 42211));
    assert_eq!(site.code("default", Method::DELETE, "/contexts/.eu", Value::Null).await, DENIED);
    assert_eq!(site.code("default", Method::DELETE, "/contexts/.", Value::Null).await, (405, 405), "nobody may");
    assert_eq!(site.code("admin", Method::PUT, "/config", level).await, (200, 0));
}

fn get(path: &str) -> axum::http::request::Builder {
    Request::builder().uri(path)
}

fn empty(request: axum::http::request::Builder) -> Request<Body> {
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn logins() {
    let more = format!("[[principals]]\nname = \"with-password\"\npassword = \"{SECRET}\"\n");
    let site = Site::with(Guards { access: Some(people(&more)), ..Guards::default() });
    // base64 of "with-password:secret", "with-password:wrong", "nobody:secret".
    let right = "Basic d2l0aC1wYXNzd29yZDpzZWNyZXQ=";
    for (login, status) in [
        (right, 200),
        ("basic  d2l0aC1wYXNzd29yZDpzZWNyZXQ=", 200),
        ("Basic d2l0aC1wYXNzd29yZDpzZWNyZXQ", 200),
        ("Basic d2l0aC1wYXNzd29yZDp3cm9uZw==", 401),
        ("Basic bm9ib2R5OnNlY3JldA==", 401),
        ("Basic %%%", 401),
        ("Basic", 401),
        ("Bearer admin", 200),
        ("BEARER admin", 200),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Digest admin", 401),
    ] {
        let (found, headers, _) = site.send(empty(get("/schemas/types").header("authorization", login))).await;
        assert_eq!(found, status, "{login}");
        let schemes: Vec<_> = headers.get_all(header::WWW_AUTHENTICATE).iter().collect();
        assert_eq!(schemes.len(), if status == 401 { 2 } else { 0 }, "{login}");
    }
    let (status, headers, body) = site.send(empty(get("/subjects"))).await;
    assert_eq!((status, body), (401, json!({"error_code": 401, "message": "Unauthorized"})));
    assert_eq!(headers[header::CONTENT_TYPE], "application/vnd.schemaregistry.v1+json");
    let two = get("/subjects").header("authorization", "Bearer admin").header("authorization", "Bearer nobody");
    assert_eq!(site.send(empty(two)).await.0, 401);
    // What only a node may say is not believed.
    let claimed = get("/subjects").header("x-forward", "true").header("x-forward-principal", "admin");
    assert_eq!(site.send(empty(claimed)).await.0, 401);
    // Guessing ends after a while; whoever knows the password is not kept out.
    let mut guesses = Vec::new();
    for _ in 0..25 {
        let guess = get("/subjects").header("authorization", "Basic d2l0aC1wYXNzd29yZDp3cm9uZw==");
        guesses.push(site.send(empty(guess)).await.0);
    }
    assert_eq!(guesses.last(), Some(&429), "{guesses:?}");
    assert_eq!(site.send(empty(get("/subjects").header("authorization", right))).await.0, 200);
}

#[tokio::test]
async fn anonymous_is_a_principal_too() {
    let more = "[[principals]]\nname = \"anonymous\"\npermissions = [{ prefix = \"orders-\", allow = [\"read\"] }]\n";
    let site = Site::with(Guards { access: Some(people(more)), ..Guards::default() });
    for subject in ["orders-value", "secret-value"] {
        let path = format!("/subjects/{subject}/versions");
        assert_eq!(site.post("admin", &path, json!({"schema": V1})).await.0, 200);
    }
    let (status, _, body) = site.send(empty(get("/subjects"))).await;
    assert_eq!((status, body), (200, json!(["orders-value"])));
    assert_eq!(site.send(empty(get("/subjects/secret-value/versions"))).await.0, 403);
    // A wrong login does not become none.
    assert_eq!(site.send(empty(get("/subjects").header("authorization", "Bearer wrong"))).await.0, 401);
}

#[tokio::test]
async fn permissions_can_change_while_it_runs() {
    let access = people("");
    let site = Site::with(Guards { access: Some(access.clone()), ..Guards::default() });
    assert_eq!(site.get("admin", "/config").await.0, 200);
    let nobody = access::parse(Path::new("access.toml"), "").unwrap();
    access.store(Arc::new(nobody));
    assert_eq!(site.get("admin", "/config").await.0, 401);
}

#[tokio::test]
async fn requests_are_counted_by_principal() {
    let rate = Some(Rate { per_second: 1, burst: 3 });
    let site = Site::with(Guards { access: Some(people("")), rate, ..Guards::default() });
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(site.send(empty(get("/subjects").header("authorization", "Bearer nobody"))).await);
    }
    let (status, headers, body) = answers.pop().unwrap();
    assert_eq!((status, &body["error_code"]), (429, &json!(42901)));
    assert_eq!(headers[header::RETRY_AFTER], "1");
    assert_eq!(answers[0].0, 200);
    assert_eq!(site.get("admin", "/subjects").await.0, 200, "others have their own allowance");
    // Without principals an address pays.
    let open = Site::with(Guards { rate, ..Guards::default() });
    let mut last = 0;
    for _ in 0..10 {
        last = open.send(empty(get("/subjects"))).await.0;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn bodies_are_limited() {
    let guards = Guards { body_limit: 100, read_timeout: Duration::from_millis(1), ..Guards::default() };
    let site = Site::with(guards);
    let post = |body: Body| Request::builder().method(Method::POST).uri("/subjects/s/versions").body(body).unwrap();
    let schema = json!({"schema": "\"int\""}).to_string();
    assert_eq!(site.send(post(Body::from(schema))).await.0, 200);
    let large = Bytes::from(vec![b' '; 101]);
    let (status, _, body) = site.send(post(Body::from(large.clone()))).await;
    assert_eq!((status, &body["error_code"]), (422, &json!(42209)));
    let mut told = post(Body::empty());
    told.headers_mut().insert(header::CONTENT_LENGTH, 101.into());
    assert_eq!(site.send(told).await.2["error_code"], json!(42209));
    // A body that never ends.
    let slow = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::convert::Infallible>>());
    let (status, _, body) = site.send(post(slow)).await;
    assert_eq!((status, &body["error_code"]), (408, &json!(408)));
}
