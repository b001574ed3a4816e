//! Long-running processes: every role at once (`up`), stages and sinks alone (`run`), readers alone (`api`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use clap::{Args, ValueEnum};
use secrecy::ExposeSecret;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::SettingFlags;
use super::context::{Context, load_config};
use super::exit::{Because, Failure, Reason};
use super::readers::{self, LiveReaders};
use super::{lineage, rebuild, registry, serving, topology};
use crate::api::{self, Router};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::dev::{Servers, Stack};
use crate::kafka::{TopicPartition, wait_closed};
use crate::registry::client::RegistryClient;
use crate::sink::PostgresSink;
use crate::stage::{DataDir, TaskState, TaskStatus};
use crate::store::{Store, StoreOptions};
use crate::topology::node::{Node, NodeError};
use crate::topology::quiet::Offsets;
use crate::topology::readable::ReadableError;
use crate::topology::schemas::SubjectError;

/// How to run every role.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Start the servers that are not configured, as `demo` does, without sample data
    #[arg(long)]
    dev: bool,
}

/// What to run.
#[derive(Debug, Args)]
#[command(after_help = "Example: tributary run normalize fold")]
pub struct RunArgs {
    /// Stages and sinks
    #[arg(required = true, value_enum)]
    roles: Vec<Role>,
}

/// A stage or sink that `run` can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Raw records become facts
    Normalize,
    /// Query logs become facts
    Sql,
    /// SQL texts of views, models and jobs become lineage
    Statements,
    /// Facts become the catalog
    Fold,
    /// The catalog becomes tables
    Postgres,
}

/// Under this name the Postgres sink keeps its positions.
pub(super) const POSTGRES_SINK: &str = "postgres";

impl Role {
    /// Every role, in the order of the flow.
    pub(super) const ALL: [Self; 5] = [Self::Normalize, Self::Sql, Self::Statements, Self::Fold, Self::Postgres];

    /// Its name in the topology.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Normalize => "normalize",
            Self::Sql => "sql",
            Self::Statements => "statements",
            Self::Fold => "fold",
            Self::Postgres => POSTGRES_SINK,
        }
    }
}

/// Tells everybody that the process is to end: on SIGINT or SIGTERM, or because a task has failed.
#[derive(Clone)]
pub(super) struct Shutdown {
    sender: Arc<watch::Sender<bool>>,
}

impl Shutdown {
    /// Listens for signals. The second one ends the process at once.
    pub fn on_signal(runtime: &Runtime) -> Result<Self, Failure> {
        let shutdown = Self { sender: Arc::new(watch::channel(false).0) };
        let theirs = shutdown.clone();
        let _guard = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        runtime.spawn(async move {
            for signals in 0.. {
                tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
                if signals > 0 {
                    std::process::exit(130);
                }
                tracing::info!("shutting down; a second signal ends at once");
                theirs.now();
            }
        });
        Ok(shutdown)
    }

    /// Asks everybody to end.
    pub fn now(&self) {
        self.sender.send_replace(true);
    }

    /// Whether somebody has asked.
    pub fn is_asked(&self) -> bool {
        *self.sender.borrow()
    }

    /// Resolves when somebody asks.
    pub fn asked(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut receiver = self.sender.subscribe();
        async move {
            // The sender lives as long as this process serves; an error would mean that it is gone, and so are we.
            let _ = receiver.wait_for(|asked| *asked).await;
        }
    }

    /// Waits until somebody asks.
    pub fn wait(&self) {
        while !self.is_asked() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The asynchronous runtime of listeners and database calls; stages have threads of their own.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("async").enable_all().build()?)
}

/// Serves `router` on `address` until shutdown; returns the address it listens on.
pub(super) fn serve(
    runtime: &Runtime,
    address: &str,
    router: Router,
    shutdown: &Shutdown,
) -> Result<SocketAddr, Failure> {
    let (listener, local) = runtime.block_on(api::bind(address)).because(Reason::Unavailable)?;
    let (asked, everybody) = (shutdown.asked(), shutdown.clone());
    runtime.spawn(async move {
        if let Err(error) = api::serve(listener, router, asked).await {
            tracing::error!(%error, "a listener failed");
            everybody.now();
        }
    });
    Ok(local)
}

/// What one process runs.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub roles: Vec<Role>,
    pub readers: Option<Readers>,
    pub registry: Option<ServeRegistry>,
}

/// Search, lineage and the API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readers;

/// The registry's listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServeRegistry;

impl Plan {
    /// Every role.
    pub fn everything() -> Self {
        Self { roles: Role::ALL.to_vec(), readers: Some(Readers), registry: Some(ServeRegistry) }
    }
}

/// Where a process listens.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    pub api: Option<SocketAddr>,
    /// As the beginning of a URL.
    pub registry: Option<String>,
    pub metrics: Option<SocketAddr>,
}

/// A process with its tasks and listeners.
pub(super) struct Process {
    pub runtime: Arc<Runtime>,
    pub shutdown: Shutdown,
    pub addresses: Addresses,
    pub catalog: Option<Arc<Catalog>>,
    readers: Option<Arc<LiveReaders>>,
    node: Arc<Node>,
}

impl Process {
    /// Starts everything that `plan` asks for.
    pub fn start(context: &Context, plan: &Plan) -> Result<Self, Failure> {
        let config = &context.config;
        let runtime = Arc::new(runtime()?);
        let shutdown = Shutdown::on_signal(&runtime)?;
        let data = DataDir::open(config.data_dir.clone(), config.instance.as_deref(), instance_name)
            .because(Reason::Configuration)?;
        let mut addresses = Addresses::default();

        let store = match needs_store(plan) {
            Some(NeedsStore) => Some(connect(&runtime, config)?),
            None => None,
        };
        let graph = match (plan.readers, &store) {
            (Some(Readers), Some(store)) => Some(readers::load_graph(&runtime, store)),
            _ => None,
        };
        let client = registry::client(context)?;
        if let (Some(ServeRegistry), RegistryClient::InProcess(handle)) = (plan.registry, &client) {
            addresses.registry = Some(registry::serve(context, &runtime, handle, &shutdown)?);
        }
        let folder = data.path().to_owned();
        let mut node = Node::new(config.clone(), context.kafka.clone(), topology::of(config)?, data, &client)
            .map_err(not_started)?;
        for role in &plan.roles {
            match (role, &store) {
                (Role::Normalize, _) => node.start_normalize().map_err(not_started)?,
                (Role::Sql, _) => node.start_sql().map_err(not_started)?,
                (Role::Statements, _) => node.start_statements().map_err(not_started)?,
                (Role::Fold, _) => node.start_fold().map_err(not_started)?,
                (Role::Postgres, Some(store)) => {
                    let (decoder, handle) = (node.decoder().clone(), runtime.handle().clone());
                    let sink = PostgresSink::new(POSTGRES_SINK, store.clone(), decoder, handle);
                    node.start_sink(POSTGRES_SINK, Box::new(sink)).map_err(not_started)?;
                }
                (Role::Postgres, None) => {}
            }
        }
        let readers = match (graph, &store) {
            (Some(graph), Some(store)) => Some(readers::start(&runtime, &mut node, store, graph, &folder)?),
            _ => None,
        }
        .map(Arc::new);
        if let RegistryClient::InProcess(handle) = &client {
            match &readers {
                Some(readers) => lineage::attach(config, handle, &readers.catalog),
                None => lineage::attach_configured(config, handle)?,
            }
        }
        let node = Arc::new(node);
        if let Some(readers) = &readers {
            let router = serving::api_router(context, &readers.catalog, &node)?;
            addresses.api = Some(serve(&runtime, &config.api.listen, router, &shutdown)?);
            rebuild::answer_requests(&folder, readers, &node, shutdown.clone())?;
        }
        let admin = serving::admin_router(&node);
        addresses.metrics = Some(serve(&runtime, &config.metrics.listen, admin, &shutdown)?);
        let catalog = readers.as_ref().map(|readers| Arc::clone(&readers.catalog));
        Ok(Self { runtime, shutdown, addresses, catalog, readers, node })
    }

    /// Waits until every task has its partitions and reads.
    pub fn wait_running(&self, limit: Duration) -> Result<(), Failure> {
        let started = std::time::Instant::now();
        loop {
            let runs = |status: &TaskStatus| status.state == TaskState::Running && !status.positions.is_empty();
            let statuses = self.node.statuses();
            let Some(late) = statuses.iter().find(|status| !runs(status)) else { return Ok(()) };
            if started.elapsed() > limit {
                return Err(anyhow!("{} does not run after {} s: {:?}", late.task, limit.as_secs(), late.state))
                    .because(Reason::Temporary);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until what lies below `ends` can be searched and walked in this process.
    pub fn wait_followers(&self, ends: &Offsets, limit: Duration) -> Result<(), Failure> {
        let started = std::time::Instant::now();
        loop {
            let mut behind = Vec::new();
            for status in self.node.statuses() {
                let seen = match (status.stage.as_str(), &self.readers) {
                    ("search", Some(readers)) => readers.searched(),
                    ("lineage", _) => status.positions.clone(),
                    _ => continue,
                };
                let position = |partition: &TopicPartition| seen.get(partition).copied().unwrap_or(0);
                if status.positions.keys().any(|one| ends.get(one).is_some_and(|end| position(one) < *end)) {
                    behind.push(status.stage);
                }
            }
            if behind.is_empty() {
                return Ok(());
            }
            if started.elapsed() > limit {
                return Err(anyhow!("{} did not catch up in {} s", behind.join(" and "), limit.as_secs()))
                    .because(Reason::Temporary);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for a signal or for a failed task, then drains and stops.
    pub fn run_to_end(self) -> Result<(), Failure> {
        while !self.shutdown.is_asked() && self.node.failure().is_none() {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.stop()
    }

    /// Drains and stops.
    pub fn stop(self) -> Result<(), Failure> {
        self.shutdown.now();
        let failures = self.node.shut_down();
        // Listeners end with the runtime; a request under way gets a moment.
        if let Ok(runtime) = Arc::try_unwrap(self.runtime) {
            runtime.shutdown_timeout(Duration::from_secs(2));
        }
        if failures.is_empty() {
            return Ok(());
        }
        Err(anyhow!("stopped because a task cannot go on:\n  {}", failures.join("\n  "))).because(Reason::Internal)
    }
}

/// A task could not be started.
pub(super) fn not_started(error: NodeError) -> Failure {
    let reason = match &error {
        NodeError::Identity(_) | NodeError::Readable(ReadableError::Unreadable(_)) => Reason::Configuration,
        NodeError::Subject(SubjectError { source, .. })
        | NodeError::Readable(ReadableError::Registry { source, .. }) => registry::reason_of(source),
        NodeError::Thread(_) | NodeError::UnknownStage(_) => Reason::Internal,
    };
    Failure { reason, error: error.into() }
}

/// The plan holds something that reads or writes Postgres.
struct NeedsStore;

fn needs_store(plan: &Plan) -> Option<NeedsStore> {
    (plan.readers.is_some() || plan.roles.contains(&Role::Postgres)).then_some(NeedsStore)
}

/// A name for this instance, unlike those of others, kept from then on.
pub(super) fn instance_name() -> String {
    let id = uuid::Uuid::now_v7().simple().to_string();
    format!("node-{}", &id[id.len() - 8..])
}

/// How to reach the configured database.
pub(super) fn store_options(config: &Config) -> Result<StoreOptions, Failure> {
    let url = config
        .database
        .url
        .as_ref()
        .ok_or_else(|| {
            anyhow!("no database is configured: set DATABASE_URL=postgres://user:password@host:port/database")
        })
        .because(Reason::Configuration)?;
    let mut options = StoreOptions::new(url.expose_secret());
    options.max_connections = config.database.max_connections;
    options.acquire_timeout = config.database.acquire_timeout;
    Ok(options)
}

/// Connects to the configured database and brings its schema up to date.
pub(super) fn connect(runtime: &Runtime, config: &Config) -> Result<Store, Failure> {
    let options = store_options(config)?;
    let store = runtime.block_on(Store::connect(&options)).because(Reason::Unavailable)?;
    runtime.block_on(store.migrate()).because(Reason::Unavailable)?;
    Ok(store)
}

pub(super) fn up(flags: &SettingFlags, args: &UpArgs) -> Result<(), Failure> {
    let mut config = load_config(flags, &[])?.config;
    super::telemetry(&config)?;
    let mut started = Started(None);
    if args.dev {
        started = start_missing(&config)?;
        config = load_config(flags, &started.settings())?.config;
    }
    let context = Context::of(config)?;
    if args.dev {
        topology::apply_quietly(&context)?;
    }
    let process = Process::start(&context, &Plan::everything())?;
    process.announce();
    let end = process.run_to_end();
    drop(started);
    end
}

pub(super) fn run(flags: &SettingFlags, args: &RunArgs) -> Result<(), Failure> {
    let context = Context::load(flags)?;
    super::telemetry(&context.config)?;
    let plan = Plan { roles: args.roles.clone(), readers: None, registry: None };
    Process::start(&context, &plan)?.run_to_end()
}

pub(super) fn api(flags: &SettingFlags) -> Result<(), Failure> {
    let context = Context::load(flags)?;
    super::telemetry(&context.config)?;
    let process = Process::start(&context, &Plan { roles: Vec::new(), readers: Some(Readers), registry: None })?;
    process.announce();
    process.run_to_end()
}

impl Process {
    /// Says where everything listens.
    pub fn announce(&self) {
        let url = |address: SocketAddr| format!("http://{address}");
        let lines = [
            ("API", self.addresses.api.map(url), ""),
            ("schema registry", self.addresses.registry.clone(), "/subjects"),
            ("metrics", self.addresses.metrics.map(url), "/metrics"),
        ];
        for (name, url, path) in lines {
            if let Some(url) = url {
                println!("{name:<16} {url}{path}");
            }
        }
    }
}

/// Servers that this process has started because none were configured.
pub(super) struct Started(pub Option<Stack>);

impl Started {
    /// Settings that lead to them.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let Some(stack) = &self.0 else { return Vec::new() };
        let kafka = stack.bootstrap_servers().map(|servers| ("kafka.bootstrap_servers", servers));
        let postgres = stack.database_url().map(|url| ("database.url", url));
        kafka.into_iter().chain(postgres).collect()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.0.is_some() {
            wait_closed();
        }
    }
}

/// The settings with the servers that they do not name, which are started.
pub(super) fn with_servers(flags: &SettingFlags) -> Result<(Context, Started), Failure> {
    let started = start_missing(&load_config(flags, &[])?.config)?;
    let context = Context::of(load_config(flags, &started.settings())?.config)?;
    Ok((context, started))
}

/// Starts the servers that the configuration does not name, with their data in the data directory.
pub(super) fn start_missing(config: &Config) -> Result<Started, Failure> {
    let servers = match (&config.kafka.bootstrap_servers, &config.database.url) {
        (Some(_), Some(_)) => return Ok(Started(None)),
        (None, None) => Servers::All,
        (None, Some(_)) => Servers::Kafka,
        (Some(_), None) => Servers::Postgres,
    };
    Ok(Started(Some(Stack::start(servers, &config.data_dir.join("dev")).because(Reason::Unavailable)?)))
}
