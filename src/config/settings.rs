//! The settings as the program reads them, and their checks.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use toml::Value;

use super::keys::{KEYS, Kind};
use super::layers::{Layers, Said, SettingPath, key_of};
use super::sources::QueryLogSource;
use crate::model::id::{Identity, IdentityConfig, InstanceConfig, RewriteConfig};
use crate::model::types::MAX_FIELDS;

use super::{ConfigError, Effective, Loaded, Origin, Problem, value};

/// JSON libraries read 128 levels; state and records put a few around what a source says.
const MAX_DEPTH: usize = 100;
/// An id has to fit an index entry of Postgres, of which three must fit a page.
const MAX_NAME_BYTES: usize = 2_600;
/// More users, each with the longest names, could make a part of a dataset's usage too large for its topic.
const MAX_USAGE_USERS: usize = 500;

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
        self.stages.get(name).cloned().unwrap_or_default()
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

impl Default for Stage {
    fn default() -> Self {
        Self { tasks: 1, batch_records: 5_000, batch_bytes: 4 << 20, batch_delay: Duration::from_millis(25) }
    }
}

/// Reads typed values out of the layers and collects what is wrong.
pub(super) struct Reader {
    pub(super) layers: Layers,
    pub(super) problems: Vec<Problem>,
}

impl Reader {
    fn said(&self, path: &str) -> Option<(SettingPath, Said)> {
        let path = SettingPath::dotted(path);
        self.layers.said.get(&path).map(|said| (path, said.clone()))
    }

    /// Parses a value; an error becomes a problem with the value's origin.
    fn parsed<T>(&mut self, path: &str, parse: impl Fn(&Value) -> Result<T, String>) -> Option<T> {
        let (path, said) = self.said(path)?;
        match parse(&said.value) {
            Ok(value) => Some(value),
            Err(message) => {
                self.problems.push(Problem { path: Some(path), origin: Some(said.origin), message });
                None
            }
        }
    }

    fn text(&mut self, path: &str) -> Option<String> {
        self.parsed(path, plain_text)
    }

    fn duration(&mut self, path: &str) -> Option<Duration> {
        self.parsed(path, |value| plain_text(value).and_then(|text| value::duration(&text)))
    }

    fn bytes(&mut self, path: &str) -> Option<usize> {
        self.parsed(path, |value| plain_text(value).and_then(|text| value::bytes(&text)))
    }

    fn count(&mut self, path: &str) -> Option<usize> {
        self.parsed(path, |value| {
            let text = plain_text(value)?;
            let count = text.replace('_', "").parse::<u32>().ok().filter(|count| *count > 0);
            count.map(|count| count as usize).ok_or_else(|| format!("{text:?} is no whole number above 0"))
        })
    }

    fn count_up_to(&mut self, path: &str, most: usize) -> Option<usize> {
        self.parsed(path, |value| {
            let text = plain_text(value)?;
            let count = text.replace('_', "").parse::<usize>().ok().filter(|count| (1..=most).contains(count));
            count.ok_or_else(|| format!("{text:?} is no whole number from 1 to {most}"))
        })
    }

    fn listen(&mut self, path: &str) -> Option<String> {
        self.parsed(path, |value| plain_text(value).and_then(|text| value::listen(&text)))
    }

    fn url(&mut self, path: &str) -> Option<String> {
        self.parsed(path, |value| plain_text(value).and_then(|text| value::http_url(&text)))
    }

    /// Two files that are of use only together.
    fn pair(&mut self, one: &str, other: &str) -> Option<(PathBuf, PathBuf)> {
        match (self.text(one), self.text(other)) {
            (Some(one), Some(other)) => Some((PathBuf::from(one), PathBuf::from(other))),
            (Some(_), None) => {
                self.complain(one, &format!("it is of no use without {other}"));
                None
            }
            (None, Some(_)) => {
                self.complain(other, &format!("it is of no use without {one}"));
                None
            }
            (None, None) => None,
        }
    }

    /// A problem of a setting that was said.
    fn complain(&mut self, path: &str, message: &str) {
        let origin = self.said(path).map(|(_, said)| said.origin);
        self.problems.push(Problem::new(Some(SettingPath::dotted(path)), origin, message));
    }

    fn list<T: for<'de> Deserialize<'de>>(&mut self, path: &str) -> Option<Vec<T>> {
        let told = |problem: &Problem| {
            problem
                .path
                .as_ref()
                .is_some_and(|told| told.0.len() > 1 && told.0.first().is_some_and(|name| name == path))
        };
        if self.problems.iter().any(told) {
            return None;
        }
        self.parsed(path, |value| value.clone().try_into().map_err(|error: toml::de::Error| error.message().to_owned()))
    }

    /// A secret, from itself or from the file that its `_file` form names.
    fn secret(&mut self, path: &str) -> Option<SecretString> {
        let file = format!("{path}_file");
        let direct = self.parsed(path, |value| match value {
            Value::String(text) if !text.is_empty() => Ok(SecretString::from(text.clone())),
            _ => Err("it must be text that is not empty".to_owned()),
        });
        let read = self.parsed(&file, |value| read_secret(&plain_text(value)?));
        if direct.is_some()
            && let Some((path, said)) = self.said(&file)
        {
            let message = "the secret is given twice, directly and as a file; keep one".to_owned();
            self.problems.push(Problem { path: Some(path), origin: Some(said.origin), message });
        }
        direct.or(read)
    }

    fn properties(&mut self) -> BTreeMap<String, String> {
        let mut properties = BTreeMap::new();
        for (path, said) in self.layers.said.clone() {
            let [section, kind, name] = path.0.as_slice() else { continue };
            if section != "kafka" {
                continue;
            }
            let value = match kind.as_str() {
                "properties" => plain_text(&said.value),
                "properties_file" => plain_text(&said.value)
                    .and_then(|file| read_secret(&file))
                    .map(|secret| secret.expose_secret().to_owned()),
                _ => continue,
            };
            let twice = properties.contains_key(name);
            match value {
                Ok(value) if !twice => {
                    properties.insert(name.clone(), value);
                }
                Ok(_) => self.problems.push(Problem {
                    path: Some(path),
                    origin: Some(said.origin),
                    message: "the property is given twice, directly and as a file; keep one".to_owned(),
                }),
                Err(message) => self.problems.push(Problem { path: Some(path), origin: Some(said.origin), message }),
            }
        }
        properties
    }

    fn stages(&mut self) -> BTreeMap<String, Stage> {
        let paths: Vec<SettingPath> = self.layers.said.keys().cloned().collect();
        let names = paths.into_iter().filter_map(|path| match path.0.as_slice() {
            [stages, name, _] if stages == "stages" => Some(name.clone()),
            _ => None,
        });
        let mut stages = BTreeMap::new();
        for name in names.collect::<std::collections::BTreeSet<_>>() {
            let default = Stage::default();
            let stage = Stage {
                tasks: self.count(&format!("stages.{name}.tasks")).unwrap_or(default.tasks),
                batch_records: self.count(&format!("stages.{name}.batch_records")).unwrap_or(default.batch_records),
                batch_bytes: self.bytes(&format!("stages.{name}.batch_bytes")).unwrap_or(default.batch_bytes),
                batch_delay: self.duration(&format!("stages.{name}.batch_delay")).unwrap_or(default.batch_delay),
            };
            stages.insert(name, stage);
        }
        stages
    }

    fn switch(&mut self, path: &str) -> Option<bool> {
        self.parsed(path, |value| match plain_text(value)?.as_str() {
            "true" | "yes" => Ok(true),
            "false" | "no" => Ok(false),
            other => Err(format!("{other:?} is neither true nor false")),
        })
    }

    fn database_url(&mut self) -> Option<SecretString> {
        let url = self.secret("database.url");
        let password = self.secret("database.password");
        let url = url?;
        let (path, said) = self.said("database.url").or_else(|| self.said("database.url_file"))?;
        if let Err(message) = value::database_url(url.expose_secret()) {
            self.problems.push(Problem { path: Some(path), origin: Some(said.origin), message });
            return None;
        }
        let Some(password) = password else { return Some(url) };
        match value::with_password(url.expose_secret(), password.expose_secret()) {
            Some(url) => Some(SecretString::from(url)),
            None => {
                let message = "a password is set, but the URL has one already or names no user";
                self.problems.push(Problem::new(Some(path), Some(said.origin), message));
                None
            }
        }
    }
}

pub(super) fn plain_text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) if text.trim().is_empty() => Err("it must not be empty".to_owned()),
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(switch) => Ok(switch.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => Err("it must be text or a number".to_owned()),
    }
}

fn read_secret(file: &str) -> Result<SecretString, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read the secret from {file}: {error}"))?;
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() { Err(format!("the secret file {file} is empty")) } else { Ok(SecretString::from(secret)) }
}

/// Whether a librdkafka property must not be shown.
fn is_secret_property(name: &str) -> bool {
    ["password", "secret", "pem", "token", "oauthbearer.config", "jaas"].iter().any(|word| name.contains(word))
}

fn shown(path: &SettingPath, said: &Said) -> String {
    let text = match &said.value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match path.0.as_slice() {
        [section, kind, name] if section == "kafka" && kind == "properties" && is_secret_property(name) => {
            "***".to_owned()
        }
        _ => match key_of(path).map(|key| key.kind) {
            Some(Kind::Secret) => "***".to_owned(),
            Some(Kind::SecretUrl | Kind::Url) => value::without_password(&text),
            _ => text,
        },
    }
}

/// Checks everything; tells all problems at once.
pub(super) fn read(layers: Layers) -> Result<Loaded, ConfigError> {
    let effective = layers
        .said
        .iter()
        .map(|(path, said)| Effective { path: path.to_string(), shown: shown(path, said), origin: said.origin.clone() })
        .collect();
    let problems = layers.problems.clone();
    let mut reader = Reader { layers, problems };
    let config = typed(&mut reader);
    match config {
        Some(config) if reader.problems.is_empty() => Ok(Loaded { config, effective }),
        _ => {
            reader.problems.sort_by_key(|problem| problem.origin.as_ref().map(Origin::place));
            Err(ConfigError::Invalid { problems: reader.problems })
        }
    }
}

fn typed(from: &mut Reader) -> Option<Config> {
    // Read before anything returns early, so that all problems are told at once.
    check_choices(from);
    let instance = from.text("instance");
    if let Some(name) = &instance {
        check_name(from, "instance", name);
    }
    let cluster = from.text("kafka.cluster");
    if let Some(name) = &cluster {
        check_name(from, "kafka.cluster", name);
    }
    let data_dir = from.text("data_dir").map(PathBuf::from);
    let shutdown_timeout = from.duration("shutdown_timeout");
    let bootstrap_servers = from.text("kafka.bootstrap_servers");
    let partitions = from.count("kafka.partitions").and_then(|count| u32::try_from(count).ok());
    let replication = from.count("kafka.replication").map(|count| count as u64);
    let properties = from.properties();
    let url = from.database_url();
    let max_connections = from.count("database.max_connections").map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    let acquire_timeout = from.duration("database.acquire_timeout");
    let schema_registry = SchemaRegistry {
        url: from.url("schema_registry.url"),
        username: from.text("schema_registry.username"),
        password: from.secret("schema_registry.password"),
        token: from.secret("schema_registry.token"),
        ca_file: from.text("schema_registry.tls.ca_file").map(PathBuf::from),
        identity: from.pair("schema_registry.tls.certificate_file", "schema_registry.tls.key_file"),
    };
    let registry = registry(from);
    let api_listen = from.listen("api.listen");
    let token = from.secret("api.token");
    let body_limit = from.bytes("api.body_limit");
    let time_limit = from.duration("api.time_limit");
    let metrics_listen = from.listen("metrics.listen");
    let filter = from.text("log.filter");
    let format = from.text("log.format").map(|word| if word == "json" { LogFormat::Json } else { LogFormat::Text });
    let color = from.text("log.color").map(|word| match word.as_str() {
        "always" => LogColor::Always,
        "never" => LogColor::Never,
        _ => LogColor::Auto,
    });
    let limits = (
        from.bytes("limits.record_bytes"),
        from.bytes("limits.decompressed_bytes"),
        from.bytes("limits.output_bytes"),
        from.count_up_to("limits.depth", MAX_DEPTH),
        from.count("limits.values"),
        from.count_up_to("limits.name_bytes", MAX_NAME_BYTES),
        from.count_up_to("limits.columns", MAX_FIELDS),
        from.count("limits.facets"),
        from.bytes("limits.facet_bytes"),
        from.count("limits.edges"),
        from.count_up_to("limits.usage_users", MAX_USAGE_USERS),
    );
    let airflow_namespace = from.text("airflow.namespace");
    let hms: Vec<HmsSource> = from.list("hms").unwrap_or_default();
    check_hms(from, &hms);
    let dbt: Vec<DbtProject> = from.list("dbt").unwrap_or_default();
    let identity = identity(from, &hms);
    let stages = from.stages();
    let query_logs = from.query_logs();
    let keep_literals = from.switch("sql.keep_literals");
    Some(Config {
        instance,
        data_dir: data_dir?,
        shutdown_timeout: shutdown_timeout?,
        kafka: Kafka { bootstrap_servers, cluster: cluster?, partitions, replication, properties },
        database: Database { url, max_connections: max_connections?, acquire_timeout: acquire_timeout? },
        schema_registry,
        registry: registry?,
        api: Api { listen: api_listen?, token, body_limit: body_limit?, time_limit: time_limit? },
        metrics: Metrics { listen: metrics_listen? },
        log: Log { filter: filter?, format: format?, color: color? },
        limits: Limits {
            record_bytes: limits.0?,
            decompressed_bytes: limits.1?,
            output_bytes: limits.2?,
            depth: limits.3?,
            values: limits.4?,
            name_bytes: limits.5?,
            columns: limits.6?,
            facets: limits.7?,
            facet_bytes: limits.8?,
            edges: limits.9?,
            usage_users: limits.10?,
        },
        airflow: Airflow { namespace: airflow_namespace? },
        hms,
        dbt,
        identity,
        query_logs,
        keep_literals: keep_literals?,
        stages,
    })
}

fn registry(from: &mut Reader) -> Option<Registry> {
    let listen = from.listen("registry.listen");
    let advertised_url = from.url("registry.advertised_url");
    let catalog_url = from.url("registry.catalog_url");
    let access_file = from.text("registry.access_file").map(PathBuf::from);
    let node_secret = from.secret("registry.node_secret");
    let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let per_second = from.count("registry.rate_limit").map(small);
    let burst = from.count("registry.rate_burst").map(small);
    if burst.is_some() && per_second.is_none() {
        from.complain("registry.rate_burst", "it is of no use without registry.rate_limit");
    }
    // Twice the rate at once is what a client that starts needs, and no more than it may have in two seconds.
    let rate = per_second.map(|limit| (limit, burst.unwrap_or(limit.saturating_mul(2))));
    let body_limit = from.bytes("registry.body_limit");
    let read_timeout = from.duration("registry.read_timeout");
    let files = from.pair("registry.tls.certificate_file", "registry.tls.key_file");
    let ca_file = from.text("registry.tls.ca_file").map(PathBuf::from);
    let client_auth = match from.text("registry.tls.client_auth").as_deref() {
        Some("request") => ClientAuth::Request,
        Some("required") => ClientAuth::Required,
        _ => ClientAuth::None,
    };
    if client_auth != ClientAuth::None && files.is_none() {
        from.complain("registry.tls.client_auth", "it needs registry.tls.certificate_file and registry.tls.key_file");
    }
    if client_auth != ClientAuth::None && ca_file.is_none() {
        from.complain("registry.tls.client_auth", "it needs registry.tls.ca_file, the authorities of clients");
    }
    let tls =
        files.map(|(certificate_file, key_file)| RegistryTls { certificate_file, key_file, ca_file, client_auth });
    Some(Registry {
        listen: listen?,
        advertised_url,
        catalog_url,
        access_file,
        node_secret,
        rate,
        body_limit: body_limit?,
        read_timeout: read_timeout?,
        tls,
    })
}

fn check_choices(from: &mut Reader) {
    for key in KEYS {
        let Kind::Choice(words) = key.kind else { continue };
        let check = |value: &Value| {
            let text = plain_text(value)?;
            if words.contains(&text.as_str()) {
                Ok(())
            } else {
                Err(format!("{text:?} is none of {}", words.join(", ")))
            }
        };
        from.parsed(key.path, check);
    }
}

/// The identity rules; a metastore is an instance, too, unless it is listed among them.
fn identity(from: &mut Reader, hms: &[HmsSource]) -> IdentityConfig {
    let mut instances: Vec<InstanceConfig> = from.list("instances").unwrap_or_default();
    let rewrites: Vec<RewriteConfig> = from.list("rewrites").unwrap_or_default();
    let ignore = from.list("ignore");
    for source in hms {
        let Some(id) = &source.instance else { continue };
        match instances.iter_mut().find(|instance| instance.id == *id) {
            Some(instance) => {
                let new = source.names.iter().filter(|name| !instance.names.contains(name));
                let new: Vec<String> = new.cloned().collect();
                instance.names.extend(new);
            }
            None => instances.push(InstanceConfig {
                id: id.clone(),
                names: source.names.clone(),
                ..InstanceConfig::default()
            }),
        }
    }
    // Each list is checked alone, so that an error is told at its own place.
    let checks = [
        ("instances", IdentityConfig { instances: instances.clone(), ..IdentityConfig::default() }),
        ("rewrites", IdentityConfig { rewrites: rewrites.clone(), ..IdentityConfig::default() }),
    ];
    for (path, part) in checks {
        if let Err(error) = Identity::new(part) {
            let origin = from.said(path).or_else(|| from.said("hms")).map(|(_, said)| said.origin);
            let message = error.to_string();
            from.problems.push(Problem { path: Some(SettingPath::dotted(path)), origin, message });
        }
    }
    IdentityConfig { instances, rewrites, ignore }
}

/// Names become parts of group and transactional ids, which are divided by dots.
fn check_name(from: &mut Reader, path: &str, name: &str) {
    if name.len() > 100 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        let origin = from.said(path).map(|(_, said)| said.origin);
        let message = format!("{name:?} must be of letters, digits, - and _ only, at most 100");
        from.problems.push(Problem { path: Some(SettingPath::dotted(path)), origin, message });
    }
}

fn check_hms(from: &mut Reader, sources: &[HmsSource]) {
    let origin = from.said("hms").map(|(_, said)| said.origin);
    let mut complain = |message: String, origin: Option<Origin>| {
        from.problems.push(Problem { path: Some(SettingPath::dotted("hms")), origin, message });
    };
    for (at, source) in sources.iter().enumerate() {
        if sources.iter().take(at).any(|earlier| earlier.topic == source.topic) {
            complain(format!("topic {:?} is listed twice", source.topic), origin.clone());
        }
        if source.instance.is_none() && !source.names.is_empty() {
            let message = format!("topic {:?} has other names for an instance that is not named", source.topic);
            complain(message, origin.clone());
        }
        if source.instance.as_deref().is_some_and(|instance| !instance.contains("://")) {
            let message = format!("instance of topic {:?} must be a namespace such as hive://host:9083", source.topic);
            complain(message, origin.clone());
        }
    }
}
