use axum::http::StatusCode;

use super::super::handle::RegistryOptions;
use super::super::log::MemoryLog;
use super::*;

const ITEM: &str = r#"{"type":"record","name":"Item","fields":[{"name":"id","type":"long"}]}"#;

async fn ask(client: &RegistryClient, registry: &RegistryHandle) {
    let id = client.register("item", ITEM).await.unwrap();
    assert_eq!(client.register("item", ITEM).await.unwrap(), id);
    assert_eq!(client.latest("item").await.unwrap().schema, ITEM);
    assert_eq!(client.schema_by_id(id).await.unwrap().schema, ITEM);
    assert!(client.is_compatible("item", ITEM).await.unwrap());
    assert!(!client.is_compatible("item", "\"int\"").await.unwrap());
    assert!(client.is_compatible("odd name/with%signs", "\"int\"").await.unwrap());
    assert!(matches!(client.register("item", "\"int\"").await, Err(ClientError::Invalid(_))));
    assert!(matches!(client.register("item", "{").await, Err(ClientError::Invalid(_))));
    assert!(matches!(client.schema_by_id(99).await, Err(ClientError::NotFound(_))));
    assert!(matches!(client.latest("nothing").await, Err(ClientError::NotFound(_))));
    assert_eq!(client.versions("nothing").await.unwrap(), []);
    let versions = client.versions("item").await.unwrap();
    assert_eq!(versions.iter().map(|found| (found.version, found.id)).collect::<Vec<_>>(), [(Some(1), id)]);
    let request = RegisterRequest {
        schema: r#"{"type":"array","items":"Item"}"#.to_owned(),
        references: vec![SchemaReference { name: "Item".into(), subject: "item".into(), version: 1 }],
        ..RegisterRequest::default()
    };
    let subject = Subject::parse("items").unwrap();
    registry.write(Command::Register { subject, request: Box::new(request) }).await.unwrap();
    let items = client.latest("items").await.unwrap();
    assert_eq!(items.references, [ResolvedReference { name: "Item".into(), schema: ITEM.into() }]);
}

fn start() -> RegistryHandle {
    RegistryHandle::start(Arc::new(MemoryLog::default()), &RegistryOptions::default()).unwrap()
}

#[tokio::test]
async fn in_process_and_over_rest_answers_are_the_same() {
    let registry = start();
    ask(&RegistryClient::InProcess(registry.clone()), &registry).await;

    let registry = start();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = super::super::http::router(registry.clone());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    ask(&RegistryClient::Rest(RestRegistry::new(&url, None, &ClientTls::default()).unwrap()), &registry).await;
    server.abort();
    let _ = server.await;
    let gone = RegistryClient::Rest(RestRegistry::new(&url, None, &ClientTls::default()).unwrap());
    assert!(matches!(gone.schema_by_id(1).await, Err(ClientError::Unavailable(_))));
}

#[test]
fn blocking_calls_work_on_plain_threads() {
    let client = RegistryClient::InProcess(start());
    let id = client.register_blocking("item", ITEM).unwrap();
    assert_eq!(client.schema_by_id_blocking(id).unwrap().version, Some(1));
    assert_eq!(client.latest_blocking("item").unwrap().id, id);
    assert!(!client.is_compatible_blocking("item", "\"int\"").unwrap());
}

#[tokio::test]
async fn a_login_is_sent_and_a_refusal_is_told() {
    use axum::http::HeaderMap;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = |headers: HeaderMap| async move {
        // "key:secret" in base64.
        let known = headers.get("authorization").is_some_and(|value| value == "Basic a2V5OnNlY3JldA==");
        match known {
            true => (StatusCode::OK, "[]"),
            false => (StatusCode::UNAUTHORIZED, r#"{"error_code":401,"message":"Unauthorized"}"#),
        }
    };
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let login = Login::Basic { username: "key".into(), password: Some("secret".to_owned().into()) };
    let known = RegistryClient::Rest(RestRegistry::new(&url, Some(&login), &ClientTls::default()).unwrap());
    assert_eq!(known.versions("any").await.unwrap(), []);
    let unknown = RegistryClient::Rest(RestRegistry::new(&url, None, &ClientTls::default()).unwrap());
    assert!(matches!(unknown.versions("any").await, Err(ClientError::Invalid(_))));
}

#[tokio::test]
async fn a_token_is_sent_as_such() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = |headers: axum::http::HeaderMap| async move {
        let known = headers.get("authorization").is_some_and(|value| value == "Bearer a-token");
        (if known { StatusCode::OK } else { StatusCode::UNAUTHORIZED }, "[]")
    };
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let login = Login::Token("a-token".to_owned().into());
    let known = RegistryClient::Rest(RestRegistry::new(&url, Some(&login), &ClientTls::default()).unwrap());
    assert_eq!(known.versions("any").await.unwrap(), []);
}
