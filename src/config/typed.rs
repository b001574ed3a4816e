//! All settings out of the layers, and the checks that look at several of them.

use std::path::PathBuf;

use toml::Value;

use super::keys::{KEYS, Kind};
use super::layers::{Layers, SettingPath};
use super::reader::{Reader, plain_text, shown};
use super::settings::{
    Airflow, Api, ClientAuth, Config, Database, DbtProject, HmsSource, Kafka, Limits, Log, LogColor, LogFormat,
    Metrics, Registry, RegistryTls, SchemaRegistry,
};
use super::{ConfigError, Effective, Loaded, Origin, Problem};
use crate::model::id::{Identity, IdentityConfig, InstanceConfig, RewriteConfig};
use crate::model::types::MAX_FIELDS;

/// JSON libraries read 128 levels; state and records put a few around what a source says.
const MAX_DEPTH: usize = 100;
/// An id has to fit an index entry of Postgres, of which three must fit a page.
const MAX_NAME_BYTES: usize = 2_600;
/// More users, each with the longest names, could make a part of a dataset's usage too large for its topic.
const MAX_USAGE_USERS: usize = 500;

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
