//! `tributary registry`: the schema registry alone; hashes for its access file; and how other commands reach a registry.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use arc_swap::ArcSwap;
use clap::{Args, Subcommand};
use secrecy::SecretString;
use tokio::runtime::Runtime;

use super::SettingFlags;
use super::changes;
use super::context::Context;
use super::exit::{Because, Failure, Reason};
use super::processes::{self, Shutdown};
use super::{lineage, serving};
use crate::codec::avro::SUBJECTS;
use crate::config::{self, ClientAuth, Config};
use crate::registry::client::{ClientError, Login, RegistryClient, RestRegistry};
use crate::registry::decide::{Command, ConfigUpdate};
use crate::registry::http::access::{self, hash_password, hash_token};
use crate::registry::http::{Guards, Identity, Listener, NodeSecret, Rate, ServeOptions};
use crate::registry::tls::{self, ClientTls, ServerFiles, ServerTls, Trust};
use crate::registry::types::{Config as SubjectConfig, Subject};
use crate::registry::{KafkaLog, RegistryHandle, RegistryOptions, http};

/// Confluent's name of the topic.
const TOPIC: &str = "_schemas";
/// The name of the group of registries on one topic, as Confluent's is by default.
const CLUSTER: &str = "schema-registry";
/// Consumers of our topics are never broken, in either direction, by any later version.
const LEVEL: &str = "FULL_TRANSITIVE";

/// How often access file and certificates are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Serving, or making what its access file holds.
#[derive(Debug, Args)]
pub struct RegistryArgs {
    #[command(subcommand)]
    command: Option<RegistryCommand>,
}

#[derive(Debug, Subcommand)]
enum RegistryCommand {
    /// Read a password from standard input and print its hash for the access file
    HashPassword,
    /// Read a token from standard input and print its digest for the access file
    HashToken,
}

pub(super) fn run(flags: &SettingFlags, args: &RegistryArgs) -> Result<(), Failure> {
    match args.command {
        Some(RegistryCommand::HashPassword) => {
            let hash = hash_password(&from_stdin()?).map_err(|error| anyhow!("no hash: {error}"));
            println!("{}", hash.because(Reason::Internal)?);
            Ok(())
        }
        Some(RegistryCommand::HashToken) => {
            println!("{}", hash_token(&from_stdin()?));
            Ok(())
        }
        None => serve_alone(flags),
    }
}

/// A secret, without the line break at its end.
fn from_stdin() -> Result<SecretString, Failure> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).because(Reason::Usage)?;
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() {
        return Err(anyhow!("standard input is empty; write `echo -n … | tributary registry hash-password`"))
            .because(Reason::Usage);
    }
    Ok(SecretString::from(secret))
}

fn serve_alone(flags: &SettingFlags) -> Result<(), Failure> {
    let context = Context::load(flags)?;
    super::telemetry(&context.config)?;
    let runtime = processes::runtime()?;
    let handle = start(&context)?;
    lineage::attach_configured(&context.config, &handle)?;
    let shutdown = Shutdown::on_signal(&runtime)?;
    let registry = serve(&context, &runtime, &handle, &shutdown)?;
    let admin = serving::registry_admin_router();
    let metrics = processes::serve(&runtime, &context.config.metrics.listen, admin, &shutdown)?;
    println!("{:<16} {registry}/subjects\n{:<16} http://{metrics}/metrics", "schema registry", "metrics");
    shutdown.wait();
    Ok(())
}

/// Starts the registry of this process.
pub(super) fn start(context: &Context) -> Result<RegistryHandle, Failure> {
    let writer = format!("{}.schema-registry", context.config.kafka.cluster);
    let log = KafkaLog::new(context.kafka.clone(), TOPIC, &writer);
    log.ensure_topic().because(Reason::Unavailable)?;
    RegistryHandle::start(Arc::new(log), &RegistryOptions::default()).because(Reason::Unavailable)
}

/// Serves the registry over HTTP until shutdown; returns the URL at which it listens.
pub(super) fn serve(
    context: &Context,
    runtime: &Runtime,
    handle: &RegistryHandle,
    shutdown: &Shutdown,
) -> Result<String, Failure> {
    let config = &context.config.registry;
    let tls =
        config.tls.as_ref().map(|tls| ServerTls::load(server_files(tls))).transpose().because(Reason::Configuration)?;
    let guards = guards(config)?;
    watch(config, runtime, &tls, &guards);
    let identity = Identity {
        kafka_cluster: handle.cluster_id().because(Reason::Unavailable)?,
        registry_cluster: CLUSTER.to_owned(),
    };
    let options = ServeOptions { identity, guards, nodes: node_tls(config) };
    let router = http::router_with(handle.clone(), options).because(Reason::Configuration)?;
    let listener = runtime.block_on(Listener::bind(&config.listen, tls)).because(Reason::Unavailable)?;
    let (address, url) = (listener.local_addr(), format!("{}://{}", listener.scheme(), listener.local_addr()));
    runtime.spawn(listener.serve(router, shutdown.asked()));
    match (&config.advertised_url, address.ip().is_unspecified()) {
        (Some(url), _) => handle.announce(url),
        (None, false) => handle.announce(&url),
        (None, true) => tracing::info!("other registries cannot forward changes here: set registry.advertised_url"),
    }
    Ok(url)
}

fn server_files(tls: &config::RegistryTls) -> ServerFiles {
    let client_auth = match (tls.client_auth, &tls.ca_file) {
        (ClientAuth::Request, Some(authorities)) => tls::ClientAuth::Request(authorities.clone()),
        (ClientAuth::Required, Some(authorities)) => tls::ClientAuth::Required(authorities.clone()),
        // The settings have no other without authorities.
        _ => tls::ClientAuth::None,
    };
    ServerFiles { certificate: tls.certificate_file.clone(), key: tls.key_file.clone(), client_auth }
}

/// How this node reaches others: as they reach it.
fn node_tls(config: &config::Registry) -> ClientTls {
    let Some(tls) = &config.tls else {
        let is_tls = config.advertised_url.as_ref().is_some_and(|url| url.starts_with("https:"));
        return ClientTls { trust: if is_tls { Trust::System } else { Trust::Nobody }, identity: None };
    };
    let trust = tls.ca_file.clone().map_or(Trust::System, Trust::File);
    ClientTls { trust, identity: Some((tls.certificate_file.clone(), tls.key_file.clone())) }
}

fn guards(config: &config::Registry) -> Result<Guards, Failure> {
    let access = config.access_file.as_deref().map(access::read).transpose().because(Reason::Configuration)?;
    if access.is_some() && config.node_secret.is_none() {
        tracing::info!(
            "registry.node_secret is not set: changes of principals known by a certificate cannot be sent on to other nodes"
        );
    }
    Ok(Guards {
        access: access.map(|access| Arc::new(ArcSwap::from_pointee(access))),
        node_secret: config.node_secret.as_ref().map(NodeSecret::new),
        rate: config.rate.map(|(per_second, burst)| Rate { per_second, burst }),
        body_limit: config.body_limit,
        read_timeout: config.read_timeout,
    })
}

/// Takes over a new access file and new certificates.
fn watch(config: &config::Registry, runtime: &Runtime, tls: &Option<ServerTls>, guards: &Guards) {
    if let (Some(path), Some(shared)) = (config.access_file.clone(), guards.access.clone()) {
        changes::watch(runtime, "access file", vec![path.clone()], LOOK_AGAIN, move || {
            access::read(&path).map(|access| shared.store(Arc::new(access)))
        });
    }
    if let (Some(settings), Some(tls)) = (&config.tls, tls.clone()) {
        let paths = server_files(settings).paths();
        changes::watch(runtime, "certificates", paths, LOOK_AGAIN, move || tls.renew());
    }
}

/// The login of the registry that others run, where one is set.
pub(super) fn login(config: &Config) -> Result<Option<Login>, Failure> {
    let theirs = &config.schema_registry;
    let wrong = match (&theirs.username, &theirs.password, &theirs.token) {
        (Some(username), password, None) => {
            return Ok(Some(Login::Basic { username: username.clone(), password: password.clone() }));
        }
        (None, None, Some(token)) => return Ok(Some(Login::Token(token.clone()))),
        (None, None, None) => return Ok(None),
        (None, Some(_), _) => "schema_registry.password is set without schema_registry.username; set both",
        (Some(_), _, Some(_)) => "schema_registry.token is set beside schema_registry.username; keep one",
    };
    Err(anyhow!(wrong)).because(Reason::Configuration)
}

/// How the registry that others run is reached where its URL asks for TLS.
pub(super) fn client_tls(config: &Config) -> ClientTls {
    let theirs = &config.schema_registry;
    let trust = theirs.ca_file.clone().map_or(Trust::System, Trust::File);
    ClientTls { trust, identity: theirs.identity.clone() }
}

/// The configured registry over REST, or else that of this process.
pub(super) fn client(context: &Context) -> Result<RegistryClient, Failure> {
    let login = login(&context.config)?;
    match &context.config.schema_registry.url {
        Some(url) => {
            let rest =
                RestRegistry::new(url, login.as_ref(), &client_tls(&context.config)).because(Reason::Configuration)?;
            Ok(RegistryClient::Rest(rest))
        }
        None => Ok(RegistryClient::InProcess(start(context)?)),
    }
}

/// Why a registry's answer ends the command: it does not answer, or it or we have to be set up otherwise.
pub(super) fn reason_of(error: &ClientError) -> Reason {
    match error {
        ClientError::Unavailable(_) => Reason::Unavailable,
        ClientError::NotFound(_) | ClientError::Invalid(_) => Reason::Configuration,
    }
}

/// Puts the subjects of our topics under full transitive compatibility. A registry that others run is theirs to set up.
pub(super) fn protect_subjects(client: &RegistryClient) -> Result<(), Failure> {
    let RegistryClient::InProcess(handle) = client else { return Ok(()) };
    for subject in SUBJECTS {
        let name = Subject::parse(subject.name).because(Reason::Internal)?;
        let current = handle.snapshot().config(Some(&name)).and_then(|config| config.compatibility_level.clone());
        if current.is_some() {
            continue;
        }
        let set = SubjectConfig { compatibility_level: Some(LEVEL.to_owned()), ..SubjectConfig::default() };
        let update = ConfigUpdate { set, ..ConfigUpdate::default() };
        handle
            .write_blocking(Command::SetConfig { subject: Some(name), update: Box::new(update) })
            .map_err(|error| anyhow!(error).context(format!("could not set the level of {}", subject.name)))
            .because(Reason::Unavailable)?;
    }
    Ok(())
}
