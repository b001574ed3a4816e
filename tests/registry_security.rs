//! The registry's listener with real TLS: certificates of both sides, logins, two nodes, clients that others wrote. The
//! schemas are in memory; what is tested lies before them.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use secrecy::SecretString;
use serde_json::json;
use tributary::registry::client::{ClientError, Login, RestRegistry};
use tributary::registry::http::access::{self, hash_token};
use tributary::registry::http::{Guards, Listener, NodeSecret, ServeOptions, router_with};
use tributary::registry::log::MemoryLog;
use tributary::registry::rest::{Resource, RestClient, RestError};
use tributary::registry::tls::{ClientAuth, ClientTls, ServerFiles, ServerTls, Trust};
use tributary::registry::{RegistryClient, RegistryHandle, RegistryOptions};

use crate::support::python::script;
use crate::support::site::BINARY;

/// An authority and where its files are.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
    name: &'static str,
}

impl Authority {
    fn new(folder: &Path, name: &'static str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), issuer.pem()).unwrap();
        Self { issuer, folder: folder.to_owned(), name }
    }

    fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.pem", self.name))
    }

    /// Files of a certificate, for both sides of a connection, and of its key.
    fn certify(&self, name: &str) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        params.distinguished_name = common_name(name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |kind: &str| self.folder.join(format!("{}-{name}-{kind}.pem", self.name));
        std::fs::write(file("cert"), certificate.pem()).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        (file("cert"), file("key"))
    }
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// What a person gets from the command for an access file.
fn hash_password(password: &str) -> String {
    let mut command = Command::new(BINARY);
    command.args(["registry", "hash-password"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

struct Node {
    handle: RegistryHandle,
    tls: ServerTls,
    url: String,
}

struct Site {
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
    authority: Authority,
    access: String,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "authority");
        let (hash, token) = (hash_password("secret"), hash_token(&SecretString::from("a-token")));
        let access = format!(
            "[[principals]]\nname = \"orders\"\ncertificates = [\"cn:orders\"]\n\
             permissions = [{{ prefix = \"orders-\", allow = [\"write\"] }}]\n\
             [[principals]]\nname = \"user\"\npassword = \"{hash}\"\n\
             permissions = [{{ prefix = \"users-\", allow = [\"write\"] }}]\n\
             [[principals]]\nname = \"robot\"\ntokens = [\"{token}\"]\n\
             permissions = [{{ prefix = \"\", allow = [\"read\"] }}]\n"
        );
        Self { runtime: tokio::runtime::Runtime::new().unwrap(), folder, authority, access }
    }

    fn node(&self, log: &MemoryLog, client_auth: ClientAuth) -> Node {
        let (certificate, key) = self.authority.certify("node");
        let identity = Some((certificate.clone(), key.clone()));
        let nodes = ClientTls { trust: Trust::File(self.authority.file()), identity };
        let tls = ServerTls::load(ServerFiles { certificate, key, client_auth }).unwrap();
        let access = access::parse(Path::new("access.toml"), &self.access).unwrap();
        let guards = Guards {
            access: Some(Arc::new(ArcSwap::from_pointee(access))),
            node_secret: Some(NodeSecret::new(&SecretString::from("of the nodes"))),
            ..Guards::default()
        };
        let handle = RegistryHandle::start(Arc::new(log.clone()), &RegistryOptions::default()).unwrap();
        let router = router_with(handle.clone(), ServeOptions { guards, nodes, ..ServeOptions::default() }).unwrap();
        let listener = self.runtime.block_on(Listener::bind("127.0.0.1:0", Some(tls.clone()))).unwrap();
        let url = format!("{}://{}", listener.scheme(), listener.local_addr());
        handle.announce(&url);
        self.runtime.spawn(listener.serve(router, std::future::pending()));
        Node { handle, tls, url }
    }

    /// A client that believes the authority.
    fn tls(&self, identity: Option<(PathBuf, PathBuf)>) -> ClientTls {
        ClientTls { trust: Trust::File(self.authority.file()), identity }
    }
}

fn versions(subject: &str) -> Resource {
    Resource::new(&["subjects", subject, "versions"])
}

fn status(outcome: Result<serde_json::Value, RestError>) -> u16 {
    match outcome {
        Ok(_) => 200,
        Err(error) => error.status().unwrap_or_else(|| panic!("no answer: {error:?}")),
    }
}

#[test]
fn certificates_and_logins_over_tls() {
    let site = Site::new();
    let node = site.node(&MemoryLog::default(), ClientAuth::Request(site.authority.file()));
    let orders = site.authority.certify("orders");
    let schema = json!({"schema": "\"int\""});

    // Known by the certificate, and only for what it may do.
    let certified = RestClient::new(&node.url, None, &site.tls(Some(orders.clone()))).unwrap();
    assert_eq!(status(certified.post(&versions("orders-value"), &schema)), 200);
    assert_eq!(certified.post(&versions("users-value"), &schema).unwrap_err().code(), Some(40301));
    // A certificate that names nobody, and none.
    let node_identity = site.authority.certify("somebody");
    let unknown = RestClient::new(&node.url, None, &site.tls(Some(node_identity))).unwrap();
    assert_eq!(status(unknown.get(&versions("orders-value"))), 401);
    let nobody = RestClient::new(&node.url, None, &site.tls(None)).unwrap();
    assert_eq!(status(nobody.get(&versions("orders-value"))), 401);
    // A login says more than a certificate.
    let basic = |password: &str| Login::Basic { username: "user".into(), password: Some(SecretString::from(password)) };
    let user = RestClient::new(&node.url, Some(basic("secret")), &site.tls(Some(orders.clone()))).unwrap();
    assert_eq!(status(user.post(&versions("users-value"), &schema)), 200);
    assert_eq!(status(user.post(&versions("orders-value"), &schema)), 403);
    let wrong = RestClient::new(&node.url, Some(basic("wrong")), &site.tls(Some(orders.clone()))).unwrap();
    assert_eq!(status(wrong.get(&versions("users-value"))), 401);
    let robot = Some(Login::Token(SecretString::from("a-token")));
    let robot = RestClient::new(&node.url, robot, &site.tls(None)).unwrap();
    assert_eq!(robot.get(&Resource::new(&["subjects"])).unwrap(), json!(["orders-value", "users-value"]));
    // The client of our own stages.
    let stages = RestRegistry::new(&node.url, None, &site.tls(Some(orders.clone()))).unwrap();
    let stages = RegistryClient::Rest(stages);
    assert_eq!(stages.latest_blocking("orders-value").unwrap().schema, "\"int\"");
    assert!(matches!(stages.latest_blocking("users-value"), Err(ClientError::Invalid(_))));

    // A certificate of another authority is none of ours, on either side.
    let other = Authority::new(site.folder.path(), "other");
    let stranger = RestClient::new(&node.url, None, &site.tls(Some(other.certify("orders")))).unwrap();
    assert!(matches!(stranger.get(&versions("orders-value")), Err(RestError::Unreachable { .. })));
    let trusting = ClientTls { trust: Trust::File(other.file()), identity: None };
    let deceived = RestClient::new(&node.url, None, &trusting).unwrap();
    assert!(matches!(deceived.get(&versions("orders-value")), Err(RestError::Unreachable { .. })));
    let plain = RestClient::new(&node.url.replace("https", "http"), None, &ClientTls::default()).unwrap();
    assert!(plain.get(&versions("orders-value")).is_err());

    let (certificate, key) = &orders;
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let variables = [
        ("REGISTRY_URL", node.url.clone()),
        ("CA", text(&site.authority.file())),
        ("CERTIFICATE", text(certificate)),
        ("KEY", text(key)),
    ];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    script("registry_security.py", &[], &variables);

    // Renewed by another authority: connections from now on show the new certificate.
    let (new_certificate, new_key) = other.certify("node");
    let (old_certificate, old_key) =
        (site.folder.path().join("authority-node-cert.pem"), site.folder.path().join("authority-node-key.pem"));
    std::fs::write(&old_certificate, "no certificate").unwrap();
    assert!(node.tls.renew().unwrap_err().to_string().contains("holds no readable certificate"));
    assert_eq!(status(nobody.get(&versions("orders-value"))), 401, "the old one is still there");
    std::fs::copy(new_certificate, old_certificate).unwrap();
    std::fs::copy(new_key, old_key).unwrap();
    node.tls.renew().unwrap();
    let trusting = RestClient::new(&node.url, None, &trusting).unwrap();
    assert_eq!(status(trusting.get(&versions("orders-value"))), 401, "it is believed now");
}

#[test]
fn nodes_that_ask_for_certificates_reach_each_other() {
    let site = Site::new();
    let log = MemoryLog::default();
    let required = || ClientAuth::Required(site.authority.file());
    let (writer, other) = (site.node(&log, required()), site.node(&log, required()));
    let tls = site.tls(Some(site.authority.certify("orders")));
    let schema = |name: &str| json!({"schema": json!({"type": "fixed", "name": name, "size": 1}).to_string()});
    let through = |node: &Node| RestClient::new(&node.url, None, &tls).unwrap();
    assert_eq!(status(through(&writer).post(&versions("orders-a"), &schema("A"))), 200);
    other.handle.refresh_blocking().unwrap();
    assert_eq!(other.handle.writer_elsewhere().map(|found| found.url.to_string()).as_ref(), Some(&writer.url));
    assert_eq!(status(through(&other).post(&versions("orders-b"), &schema("B"))), 200);
    assert_eq!(status(through(&other).post(&versions("users-b"), &schema("B"))), 403);
    let takeovers = log.records().iter().filter(|record| record.value.is_none()).count();
    assert_eq!(takeovers, 1, "one node has written it all");
    let without = RestClient::new(&other.url, None, &site.tls(None)).unwrap();
    assert!(matches!(without.get(&versions("orders-a")), Err(RestError::Unreachable { .. })));
    // Whoever speaks no TLS holds up nobody.
    let silent = TcpStream::connect(other.url.trim_start_matches("https://")).unwrap();
    assert_eq!(status(through(&other).get(&versions("orders-b"))), 200);
    drop(silent);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let (certificate, key) = authority.certify("node");
    let (_, other_key) = authority.certify("other");
    let load = |certificate: &Path, key: &Path, client_auth: ClientAuth| {
        let files = ServerFiles { certificate: certificate.to_owned(), key: key.to_owned(), client_auth };
        ServerTls::load(files).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(load(&certificate, &key, ClientAuth::None), "");
    let missing = folder.path().join("missing.pem");
    for (problem, named, what) in [
        (load(&missing, &key, ClientAuth::None), &missing, "holds no readable certificate"),
        (load(&certificate, &missing, ClientAuth::None), &missing, "holds no readable private key"),
        (load(&key, &key, ClientAuth::None), &key, "holds no readable certificate: there is none"),
        (load(&certificate, &certificate, ClientAuth::None), &certificate, "holds no readable private key"),
        (load(&certificate, &other_key, ClientAuth::None), &certificate, "and its key cannot be used"),
        (load(&certificate, &key, ClientAuth::Required(key.clone())), &key, "holds no readable certificate"),
    ] {
        assert!(problem.contains(what) && problem.contains(named.to_str().unwrap()), "{problem}");
    }
    let trust = ClientTls { trust: Trust::File(missing.clone()), identity: None };
    let problem = RestClient::new("https://h", None, &trust).err().unwrap().to_string();
    assert!(problem.contains("missing.pem"), "{problem}");
}
