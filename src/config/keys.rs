//! The catalogue of settings: every key with its kind and default. The file, the environment, `check-config` and the
//! example file are all checked against it.

/// What a setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text that is not empty.
    Text,
    /// `host:port` to listen on.
    Listen,
    /// `http://…` or `https://…`, without credentials.
    Url,
    /// Text that is never shown. Its `_file` form names a file that holds it.
    Secret,
    /// A URL whose password is never shown. Its `_file` form names a file that holds it.
    SecretUrl,
    /// A whole number, at least 1.
    Count,
    /// A whole number, at least 0.
    Number,
    /// `30s`, `25ms`, `2m`.
    Duration,
    /// `8MiB`, `512KiB` or a number of bytes.
    Bytes,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Yes or no.
    Switch,
    /// A list of texts.
    Texts,
    /// A list of tables; their keys stand in the catalogue below `[]`.
    Tables,
    /// A map of text to text; dots in the names need no quotes.
    Properties,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Dotted path; `*` stands for a name of the user's choice, `[]` for an entry of a list.
    pub path: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Its value where nothing else is said; `None` = not set.
    pub default: Option<&'static str>,
    /// A variable that other tools use for it too.
    pub variable: Option<&'static str>,
}

const fn key(path: &'static str, kind: Kind) -> Key {
    Key { path, kind, default: None, variable: None }
}

const fn with(path: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { path, kind, default: Some(default), variable: None }
}

const fn known(path: &'static str, kind: Kind, variable: &'static str) -> Key {
    Key { path, kind, default: None, variable: Some(variable) }
}

/// All settings.
pub const KEYS: &[Key] = &[
    key("instance", Kind::Text),
    with("data_dir", Kind::Text, ".tributary"),
    with("shutdown_timeout", Kind::Duration, "30s"),
    known("kafka.bootstrap_servers", Kind::Text, "KAFKA_BOOTSTRAP_SERVERS"),
    with("kafka.cluster", Kind::Text, "tributary"),
    key("kafka.partitions", Kind::Count),
    key("kafka.replication", Kind::Count),
    key("kafka.properties", Kind::Properties),
    key("kafka.properties_file", Kind::Properties),
    known("database.url", Kind::SecretUrl, "DATABASE_URL"),
    key("database.password", Kind::Secret),
    with("database.max_connections", Kind::Count, "8"),
    with("database.acquire_timeout", Kind::Duration, "10s"),
    known("schema_registry.url", Kind::Url, "SCHEMA_REGISTRY_URL"),
    key("schema_registry.username", Kind::Text),
    key("schema_registry.password", Kind::Secret),
    key("schema_registry.token", Kind::Secret),
    key("schema_registry.tls.ca_file", Kind::Text),
    key("schema_registry.tls.certificate_file", Kind::Text),
    key("schema_registry.tls.key_file", Kind::Text),
    with("registry.listen", Kind::Listen, "127.0.0.1:8081"),
    key("registry.advertised_url", Kind::Url),
    key("registry.catalog_url", Kind::Url),
    key("registry.access_file", Kind::Text),
    key("registry.node_secret", Kind::Secret),
    key("registry.rate_limit", Kind::Count),
    key("registry.rate_burst", Kind::Count),
    with("registry.body_limit", Kind::Bytes, "8MiB"),
    with("registry.read_timeout", Kind::Duration, "30s"),
    key("registry.tls.certificate_file", Kind::Text),
    key("registry.tls.key_file", Kind::Text),
    key("registry.tls.ca_file", Kind::Text),
    with("registry.tls.client_auth", Kind::Choice(&["none", "request", "required"]), "none"),
    with("api.listen", Kind::Listen, "127.0.0.1:8080"),
    key("api.token", Kind::Secret),
    with("api.body_limit", Kind::Bytes, "8MiB"),
    with("api.time_limit", Kind::Duration, "30s"),
    with("metrics.listen", Kind::Listen, "127.0.0.1:9464"),
    Key { path: "log.filter", kind: Kind::Text, default: Some("info"), variable: Some("RUST_LOG") },
    with("log.format", Kind::Choice(&["text", "json"]), "text"),
    with("log.color", Kind::Choice(&["auto", "always", "never"]), "auto"),
    with("limits.record_bytes", Kind::Bytes, "16MiB"),
    with("limits.decompressed_bytes", Kind::Bytes, "16MiB"),
    with("limits.output_bytes", Kind::Bytes, "8MiB"),
    with("limits.depth", Kind::Count, "64"),
    with("limits.values", Kind::Count, "250000"),
    with("limits.name_bytes", Kind::Count, "2000"),
    with("limits.columns", Kind::Count, "20000"),
    with("limits.facets", Kind::Count, "200"),
    with("limits.facet_bytes", Kind::Bytes, "64KiB"),
    with("limits.edges", Kind::Count, "50000"),
    with("airflow.namespace", Kind::Text, "default"),
    with("limits.usage_users", Kind::Count, "100"),
    key("hms", Kind::Tables),
    key("hms.[].topic", Kind::Text),
    key("hms.[].instance", Kind::Text),
    key("hms.[].epoch", Kind::Number),
    key("hms.[].names", Kind::Texts),
    key("dbt", Kind::Tables),
    key("dbt.[].project", Kind::Text),
    key("dbt.[].target", Kind::Text),
    key("dbt.[].adapter", Kind::Text),
    key("dbt.[].namespace", Kind::Text),
    key("instances", Kind::Tables),
    key("instances.[].id", Kind::Text),
    key("instances.[].names", Kind::Texts),
    key("instances.[].default_database", Kind::Text),
    key("instances.[].default_schema", Kind::Text),
    key("instances.[].case_sensitive", Kind::Switch),
    key("rewrites", Kind::Tables),
    key("rewrites.[].from", Kind::Text),
    key("rewrites.[].to", Kind::Text),
    key("rewrites.[].job_namespace", Kind::Text),
    key("rewrites.[].topic", Kind::Text),
    key("ignore", Kind::Texts),
    key("sources.query_logs.*.instance", Kind::Text),
    key("sources.query_logs.*.servers", Kind::Properties),
    with("sql.keep_literals", Kind::Switch, "false"),
    with("stages.*.tasks", Kind::Count, "1"),
    with("stages.*.batch_records", Kind::Count, "5000"),
    with("stages.*.batch_bytes", Kind::Bytes, "4MiB"),
    with("stages.*.batch_delay", Kind::Duration, "25ms"),
];

/// Variables with our prefix that are not settings.
pub const OTHER_VARIABLES: &[&str] = &["TRIBUTARY_CONFIG"];

/// Variables with these prefixes drive tests and failpoints, not the configuration.
pub const RESERVED_PREFIXES: &[&str] = &["TRIBUTARY_FAIL", "TRIBUTARY_TEST_", "TRIBUTARY_DEV_"];

/// What a concrete path such as `stages.fold.tasks` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A setting of this kind.
    Setting(Kind),
    /// A section that holds settings.
    Section,
    /// Nothing known.
    Unknown,
}

/// Looks a concrete path up.
pub fn place(path: &[String]) -> Place {
    let fits = |pattern: &str, exact: bool| {
        let parts: Vec<&str> = pattern.split('.').collect();
        let long_enough = if exact { parts.len() == path.len() } else { parts.len() > path.len() };
        long_enough && path.iter().zip(&parts).all(|(name, part)| *part == "*" || part == name)
    };
    for key in KEYS {
        if fits(key.path, true) {
            return Place::Setting(key.kind);
        }
        if matches!(key.kind, Kind::Secret | Kind::SecretUrl) && fits(&format!("{}_file", key.path), true) {
            return Place::Setting(Kind::Text);
        }
    }
    if KEYS.iter().any(|key| fits(key.path, false)) { Place::Section } else { Place::Unknown }
}

/// The known names that could stand where the last name of `path` stands.
pub fn siblings(path: &[String]) -> Vec<String> {
    let Some(depth) = path.len().checked_sub(1) else { return Vec::new() };
    let mut names = Vec::new();
    for key in KEYS {
        let parts: Vec<&str> = key.path.split('.').collect();
        let Some(name) = parts.get(depth) else { continue };
        let same_parent = path.iter().take(depth).zip(&parts).all(|(ours, part)| *part == "*" || part == ours);
        if same_parent && !matches!(*name, "*" | "[]") && !names.iter().any(|known| known == name) {
            names.push((*name).to_owned());
        }
        let last = parts.len() == path.len();
        if same_parent && last && matches!(key.kind, Kind::Secret | Kind::SecretUrl) {
            names.push(format!("{name}_file"));
        }
    }
    names
}
