//! `tributary registry`: the schema registry alone; and how other commands reach a registry.

use std::sync::Arc;

use anyhow::anyhow;
use tokio::runtime::Runtime;

use super::SettingFlags;
use super::context::Context;
use super::exit::{Because, Failure, Reason};
use super::processes::{self, Shutdown};
use super::{lineage, serving};
use crate::codec::avro::SUBJECTS;
use crate::config::Config;
use crate::registry::client::{ClientError, Login, RegistryClient, RestRegistry};
use crate::registry::decide::{Command, ConfigUpdate};
use crate::registry::http::Identity;
use crate::registry::types::{Config as SubjectConfig, Subject};
use crate::registry::{KafkaLog, RegistryHandle, RegistryOptions, http};

/// Confluent's name of the topic.
const TOPIC: &str = "_schemas";
/// The name of the group of registries on one topic, as Confluent's is by default.
const CLUSTER: &str = "schema-registry";
/// Consumers of our topics are never broken, in either direction, by any later version.
const LEVEL: &str = "FULL_TRANSITIVE";

pub(super) fn run(flags: &SettingFlags) -> Result<(), Failure> {
    let context = Context::load(flags)?;
    super::telemetry(&context.config)?;
    let runtime = processes::runtime()?;
    let handle = start(&context)?;
    lineage::attach_configured(&context.config, &handle)?;
    let shutdown = Shutdown::on_signal(&runtime)?;
    let address = serve(&context, &runtime, &handle, &shutdown)?;
    let admin = serving::registry_admin_router();
    let metrics = processes::serve(&runtime, &context.config.metrics.listen, admin, &shutdown)?;
    println!("{:<16} http://{address}/subjects\n{:<16} http://{metrics}/metrics", "schema registry", "metrics");
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

/// Serves the registry over HTTP until shutdown; returns the address it listens on.
pub(super) fn serve(
    context: &Context,
    runtime: &Runtime,
    handle: &RegistryHandle,
    shutdown: &Shutdown,
) -> Result<std::net::SocketAddr, Failure> {
    let identity = Identity {
        kafka_cluster: handle.cluster_id().because(Reason::Unavailable)?,
        registry_cluster: CLUSTER.to_owned(),
    };
    let router = http::router_named(handle.clone(), identity);
    let address = processes::serve(runtime, &context.config.registry.listen, router, shutdown)?;
    match (&context.config.registry.advertised_url, address.ip().is_unspecified()) {
        (Some(url), _) => handle.announce(url),
        (None, false) => handle.announce(&format!("http://{address}")),
        (None, true) => tracing::info!("other registries cannot forward changes here: set registry.advertised_url"),
    }
    Ok(address)
}

/// The login of the registry that others run, where one is set.
pub(super) fn login(config: &Config) -> Result<Option<Login>, Failure> {
    let theirs = &config.schema_registry;
    match (&theirs.username, &theirs.password) {
        (Some(username), password) => Ok(Some(Login { username: username.clone(), password: password.clone() })),
        (None, None) => Ok(None),
        (None, Some(_)) => {
            let error = anyhow!("schema_registry.password is set without schema_registry.username; set both");
            Err(error).because(Reason::Configuration)
        }
    }
}

/// The configured registry over REST, or else that of this process.
pub(super) fn client(context: &Context) -> Result<RegistryClient, Failure> {
    let login = login(&context.config)?;
    match &context.config.schema_registry.url {
        Some(url) => {
            let rest = RestRegistry::new(url, login.as_ref()).because(Reason::Configuration)?;
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
