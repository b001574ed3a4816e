//! On whose behalf one node asks another, over real connections.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::super::handle::{RegistryHandle, RegistryOptions};
use super::super::log::MemoryLog;
use super::access::{self, PeerNames, hash_token};
use super::forward_tests::takeovers;
use super::gate::Peer;
use super::{Guards, NodeSecret, ServeOptions, router_with};

struct Node {
    handle: RegistryHandle,
    url: String,
}

impl Node {
    async fn start(log: &MemoryLog, secret: Option<&str>, peer: Option<Peer>) -> Self {
        let token = hash_token(&SecretString::from("admin"));
        let text = format!(
            "[[principals]]\nname = \"orders\"\ncertificates = [\"cn:orders\"]\n\
             permissions = [{{ prefix = \"orders-\", allow = [\"write\"] }}]\n\
             [[principals]]\nname = \"admin\"\ntokens = [\"{token}\"]\n\
             permissions = [{{ prefix = \"\", allow = [\"write\", \"config\"] }}]\n"
        );
        let access = access::parse(Path::new("access.toml"), &text).unwrap();
        let guards = Guards {
            access: Some(Arc::new(ArcSwap::from_pointee(access))),
            node_secret: secret.map(|secret| NodeSecret::new(&SecretString::from(secret))),
            ..Guards::default()
        };
        let log = Arc::new(log.clone());
        let handle = tokio::task::spawn_blocking(move || RegistryHandle::start(log, &RegistryOptions::default()));
        let handle = handle.await.unwrap().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        handle.announce(&url);
        let mut router = router_with(handle.clone(), ServeOptions { guards, ..ServeOptions::default() }).unwrap();
        if let Some(peer) = peer {
            router = router.layer(axum::Extension(peer));
        }
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { handle, url }
    }

    fn post(&self, subject: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/subjects/{subject}/versions", self.url);
        reqwest::Client::builder().no_proxy().build().unwrap().post(url).json(&json!({"schema": "\"int\""}))
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The certificate of `orders`, as the listener puts it on requests.
fn certified() -> Peer {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "orders");
    let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let names = PeerNames::of_der(certificate.der()).map(Arc::new);
    Peer { address: [127, 0, 0, 1].into(), names }
}

/// A node that writes, and one to which every connection comes with the certificate of `orders`.
async fn pair(log: &MemoryLog, secrets: [Option<&str>; 2]) -> (Node, Node) {
    let writer = Node::start(log, secrets[0], None).await;
    assert_eq!(answer(writer.post("orders-first").bearer_auth("admin")).await.0, 200);
    (writer, Node::start(log, secrets[1], Some(certified())).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_principal_without_a_login_is_known_at_the_writer() {
    let log = MemoryLog::default();
    let (_writer, other) = pair(&log, [Some("s"), Some("s")]).await;
    assert_eq!(answer(other.post("orders-a%22b")).await.0, 200);
    let (status, body) = answer(other.post("secret")).await;
    assert_eq!((status, &body["error_code"]), (403, &json!(40301)));
    assert_eq!(takeovers(&log), 1, "one node has written it all");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_secret_it_is_not() {
    for secrets in [[None, None], [Some("s"), None], [None, Some("s")]] {
        let log = MemoryLog::default();
        let (_writer, other) = pair(&log, secrets).await;
        let (status, body) = answer(other.post("orders-a")).await;
        assert_eq!((status, &body["error_code"]), (401, &json!(401)), "{secrets:?}");
    }
    let log = MemoryLog::default();
    let (_writer, other) = pair(&log, [Some("s"), Some("t")]).await;
    let (status, body) = answer(other.post("orders-a")).await;
    assert_eq!(status, 401);
    assert!(body["message"].as_str().unwrap().contains("registry.node_secret"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_node_says_that_a_request_is_forwarded() {
    let log = MemoryLog::default();
    let (writer, one) = (Node::start(&log, Some("s"), None).await, Node::start(&log, Some("s"), None).await);
    assert_eq!(answer(writer.post("orders-first").bearer_auth("admin")).await.0, 200);
    one.handle.refresh().await.unwrap();
    let claimed = one.post("orders-a").header("x-forward", "true").bearer_auth("admin");
    assert_eq!(answer(claimed).await.0, 200);
    assert_eq!(takeovers(&log), 1, "it was sent on like any other");
    let named = writer.post("orders-b").header("x-forward", "true").header("x-forward-principal", "admin");
    assert_eq!(answer(named).await.0, 401);
    let wrong = format!("{}.{}.{}", 1, "00", "00");
    let proven = writer.post("orders-b").header("x-forward", "true").header("x-forward-principal", "admin");
    assert_eq!(answer(proven.header("x-forward-proof", wrong)).await.0, 401);
}
