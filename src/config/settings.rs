//! The settings as the program reads them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::sources::QueryLogSource;
use crate::model::id::IdentityConfig;

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of this process among those of one cluster; `None` = made once and kept in the data directory.
    pub instance: Option<String>,
    /// Where local state and the search index live.
    pub data_dir: PathBuf,
    /// Longest time from SIGTERM to the end.
    pub shutdown_timeout: Duration,
    /// Kafka.
    pub kafka: Kafka,
    /// Postgres.
    pub database: Database,
    /// A schema registry that others run.
    pub schema_registry: SchemaRegistry,
    /// The schema registry that we serve.
    pub registry: Registry,
    /// The API.
    pub api: Api,
    /// Metrics and health.
    pub metrics: Metrics,
    /// Logs.
    pub log: Log,
    /// Limits on what comes from outside.
    pub limits: Limits,
    /// Airflow deployments whose listeners write to Kafka.
    pub airflow: Airflow,
    /// Hive metastores that write to Kafka.
    pub hms: Vec<HmsSource>,
    /// Where the tables of dbt projects lie.
    pub dbt: Vec<DbtProject>,
    /// Servers and accounts known by name, those of `hms` among them; rewrites of ids; ignored names.
    pub identity: IdentityConfig,
    /// Servers whose query logs come in, by platform.
    pub query_logs: BTreeMap<String, QueryLogSource>,
    /// Whether texts of queries are stored with their literals.
    pub keep_literals: bool,
    /// Settings of stages and sinks that have any; see [`Config::stage`].
    pub stages: BTreeMap<String, Stage>,
}

impl Config {
    /// The settings of a stage or sink; defaults where nothing is said.
    pub fn stage(&self, name: &str) -> Stage {
        self.stages.get(name).cloned().unwrap_or_else(|| Stage::of(name))
    }
}

/// How to reach Kafka.
#[derive(Clone)]
pub struct Kafka {
    /// `host:port[,host:port…]`.
    pub bootstrap_servers: Option<String>,
    /// Prefix of our groups and transactional ids: two installations on one cluster need two.
    pub cluster: String,
    /// Partitions of the topics keyed by entity; `None` = as `topology/topics.toml` says. Fixed once they exist.
    pub partitions: Option<u32>,
    /// Replicas of topics that we create; `None` = the broker's default.
    pub replication: Option<u64>,
    /// librdkafka's own properties. May hold secrets: not to be shown.
    pub properties: BTreeMap<String, String>,
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("cluster", &self.cluster)
            .field("partitions", &self.partitions)
            .field("replication", &self.replication)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// How to reach Postgres.
#[derive(Clone, Debug)]
pub struct Database {
    /// `postgres://…`, the password put in.
    pub url: Option<SecretString>,
    /// Most connections of this process.
    pub max_connections: u32,
    /// Longest wait for a connection.
    pub acquire_timeout: Duration,
}

/// A schema registry that others run; without a URL we use our own.
#[derive(Clone, Debug)]
pub struct SchemaRegistry {
    /// Its base URL.
    pub url: Option<String>,
    /// User for HTTP basic authentication.
    pub username: Option<String>,
    /// That user's password.
    pub password: Option<SecretString>,
    /// Bearer token, in the place of user and password.
    pub token: Option<SecretString>,
    /// Authorities of its certificate, in PEM; by default those of the system.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and its private key, where it asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// The schema registry that we serve.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Address to listen on.
    pub listen: String,
    /// The URL by which other nodes reach it; by default made of `listen`.
    pub advertised_url: Option<String>,
    /// The API of the catalog that it asks for column lineage, where it runs without one beside it.
    pub catalog_url: Option<String>,
    /// Who may do what; without it everybody who reaches the port may do everything.
    pub access_file: Option<PathBuf>,
    /// What the nodes of one registry have in common and nobody else has.
    pub node_secret: Option<SecretString>,
    /// Requests a second of each principal, and at once; none is no limit.
    pub rate: Option<(u32, u32)>,
    /// Largest request body, bytes.
    pub body_limit: usize,
    /// Longest time for a request's body to arrive.
    pub read_timeout: Duration,
    /// TLS of the listener.
    pub tls: Option<RegistryTls>,
}

/// TLS of the registry's listener: PEM files.
#[derive(Clone, Debug)]
pub struct RegistryTls {
    /// Its certificate and those that lead to its authority.
    pub certificate_file: PathBuf,
    /// The certificate's private key.
    pub key_file: PathBuf,
    /// Authorities of the certificates of clients and of other nodes.
    pub ca_file: Option<PathBuf>,
    /// Whether clients show a certificate.
    pub client_auth: ClientAuth,
}

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    None,
    /// They may.
    Request,
    /// They must.
    Required,
}

/// The API.
#[derive(Clone, Debug)]
pub struct Api {
    /// Address to listen on.
    pub listen: String,
    /// Bearer token that requests must carry; without one everybody who reaches the port may read.
    pub token: Option<SecretString>,
    /// Largest request body, bytes.
    pub body_limit: usize,
    /// Longest time for one answer.
    pub time_limit: Duration,
}

/// Metrics and health.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Address to listen on.
    pub listen: String,
}

/// Logs.
#[derive(Clone, Debug)]
pub struct Log {
    /// Filter in the syntax of `RUST_LOG`.
    pub filter: String,
    /// Shape of a line.
    pub format: LogFormat,
    /// Whether lines are coloured.
    pub color: LogColor,
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Whether log lines are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogColor {
    /// If standard error is a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Limits on what comes from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest raw record, bytes.
    pub record_bytes: usize,
    /// Largest message once decompressed, bytes.
    pub decompressed_bytes: usize,
    /// Largest record we write, bytes.
    pub output_bytes: usize,
    /// Deepest nesting of JSON and Avro.
    pub depth: usize,
    /// Most values in one record.
    pub values: usize,
    /// Longest name, and longest id made of names, bytes.
    pub name_bytes: usize,
    /// Most columns of a dataset, nested fields among them.
    pub columns: usize,
    /// Most facets of a dataset, job or run in one event.
    pub facets: usize,
    /// Largest facet without a place of its own that is kept whole, bytes.
    pub facet_bytes: usize,
    /// Most edges of lineage that one event tells.
    pub edges: usize,
    /// Users of a dataset on a day that each partition lists; of more it knows roughly how many they are.
    pub usage_users: usize,
}

/// Airflow deployments whose listeners write to `airflow.events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Airflow {
    /// Namespace of jobs where an event does not name one: that of the OpenLineage provider there.
    pub namespace: String,
}

/// A Hive metastore that writes to a topic.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HmsSource {
    /// The topic.
    pub topic: String,
    /// Its namespace, such as `hive://metastore:9083`; without one the `server` of each message says it.
    pub instance: Option<String>,
    /// Raise it when the metastore's database was rebuilt and its event ids start again.
    #[serde(default)]
    pub epoch: u32,
    /// Other names under which its tables are reported.
    #[serde(default)]
    pub names: Vec<String>,
}

/// Where the tables of a dbt project lie: artifacts name databases and schemas, but not the server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DbtProject {
    /// Name of the project; without one the entry holds for every project that has no entry of its own.
    #[serde(default)]
    pub project: Option<String>,
    /// Target of `profiles.yml`; absent: every target.
    #[serde(default)]
    pub target: Option<String>,
    /// Adapter, such as `postgres`; absent: every adapter.
    #[serde(default)]
    pub adapter: Option<String>,
    /// Namespace of its datasets, such as `postgres://host:5432`.
    pub namespace: String,
}

/// How a stage or sink works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Tasks in this process.
    pub tasks: usize,
    /// A batch is closed at this many records …
    pub batch_records: usize,
    /// … or this many bytes …
    pub batch_bytes: usize,
    /// … or when nothing is waiting and this long has passed since the last commit.
    pub batch_delay: Duration,
}

impl Stage {
    /// What holds for the stage or sink `name` where nothing is said. The fold writes the usage of a dataset once in a batch
    /// and the stage `sql` a session, whatever the number of their queries: behind a backlog, larger ones are less work.
    pub fn of(name: &str) -> Self {
        let (batch_records, batch_bytes) =
            if matches!(name, "fold" | "sql") { (20_000, 16 << 20) } else { (5_000, 4 << 20) };
        Self { tasks: 1, batch_records, batch_bytes, batch_delay: Duration::from_millis(25) }
    }
}
