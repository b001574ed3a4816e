//! Precedence, origins, errors and secrets of the settings; the example file.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::keys::{KEYS, Kind};
use super::*;

fn sources(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Sources {
    Sources {
        file: Some(FileText { path: PathBuf::from("t.toml"), text: file.to_owned() }),
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        flags: flags.iter().map(|(key, value)| (format!("--{key}"), (*key).to_owned(), (*value).to_owned())).collect(),
    }
}

fn problems(file: &str, variables: &[(&str, &str)]) -> Vec<String> {
    match load(sources(file, variables, &[])) {
        Err(ConfigError::Invalid { problems }) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("expected problems, got {other:?}"),
    }
}

fn origin(loaded: &Loaded, path: &str) -> String {
    loaded.effective.iter().find(|one| one.path == path).map_or("unset".to_owned(), |one| one.origin.to_string())
}

fn shown(loaded: &Loaded, path: &str) -> String {
    loaded.effective.iter().find(|one| one.path == path).map_or("unset".to_owned(), |one| one.shown.clone())
}

#[test]
fn the_defaults_are_those_of_the_manual() {
    let config = load(Sources::default()).unwrap().config;
    assert_eq!(config.api.listen, "127.0.0.1:8080");
    assert_eq!(config.registry.listen, "127.0.0.1:8081");
    assert_eq!(config.metrics.listen, "127.0.0.1:9464");
    assert_eq!(config.data_dir, PathBuf::from(".tributary"));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(30));
    assert_eq!(config.stage("normalize"), Stage::of("normalize"));
    let larger = Stage { batch_records: 20_000, batch_bytes: 16 << 20, ..Stage::of("normalize") };
    assert_eq!([config.stage("fold"), config.stage("sql")], [larger.clone(), larger]);
    assert!(config.kafka.bootstrap_servers.is_none() && config.database.url.is_none());
    // The catalogue repeats the defaults of stages for people; they are the same.
    let spelt =
        load(sources("[stages.x]\ntasks=1\nbatch_records=5000\nbatch_bytes='4MiB'\nbatch_delay='25ms'", &[], &[]));
    assert_eq!(spelt.unwrap().config.stage("x"), Stage::of("y"));
}

#[test]
fn flags_beat_variables_beat_the_file_beats_defaults() {
    let file = "[api]\nlisten = '127.0.0.1:1'\nbody_limit = '1MiB'\ntime_limit = '1s'\n";
    let variables = [("TRIBUTARY_API__LISTEN", "127.0.0.1:2"), ("TRIBUTARY_API__TIME_LIMIT", "2s")];
    let loaded = load(sources(file, &variables, &[("api.listen", "127.0.0.1:3")])).unwrap();
    assert_eq!(loaded.config.api.listen, "127.0.0.1:3");
    assert_eq!(loaded.config.api.time_limit, Duration::from_secs(2));
    assert_eq!(loaded.config.api.body_limit, 1 << 20);
    assert_eq!(origin(&loaded, "api.listen"), "flag --api.listen");
    assert_eq!(origin(&loaded, "api.time_limit"), "environment TRIBUTARY_API__TIME_LIMIT");
    assert_eq!(origin(&loaded, "api.body_limit"), "t.toml:3");
    assert_eq!(origin(&loaded, "metrics.listen"), "default");
}

#[test]
fn well_known_variables_work_and_ours_say_more() {
    let variables = [
        ("TRIBUTARY_KAFKA__BOOTSTRAP_SERVERS", "ours:9092"),
        ("KAFKA_BOOTSTRAP_SERVERS", "theirs:9092"),
        ("SCHEMA_REGISTRY_URL", "http://registry:8081/"),
        ("DATABASE_URL", "postgres://u:p@h/d"),
        ("RUST_LOG", "debug"),
        ("NO_COLOR", "1"),
        ("HOME", "/home/x"),
    ];
    let loaded = load(sources("", &variables, &[])).unwrap();
    assert_eq!(loaded.config.kafka.bootstrap_servers.as_deref(), Some("ours:9092"));
    assert_eq!(loaded.config.schema_registry.url.as_deref(), Some("http://registry:8081"));
    assert_eq!(loaded.config.log.filter, "debug");
    assert_eq!(loaded.config.log.color, LogColor::Never);
    assert_eq!(origin(&loaded, "database.url"), "environment DATABASE_URL");
    // Compose files pass variables that are not set as empty ones.
    let empty = load(sources("", &[("DATABASE_URL", ""), ("NO_COLOR", "")], &[])).unwrap().config;
    assert!(empty.database.url.is_none() && empty.log.color == LogColor::Auto);
}

#[test]
fn unknown_names_are_refused_with_the_nearest_known_one() {
    let found = problems("[api]\nlisen = 'x:1'\n[kafak]\ncluster = 'a'\n[[hms]]\ntopik = 'x'\n", &[]);
    assert_eq!(
        found[..3],
        [
            "api.lisen: unknown setting; did you mean api.listen? (t.toml:2)",
            "kafak: unknown setting; did you mean kafka? (t.toml:3)",
            "hms[].topik: unknown setting; did you mean hms[].topic? (t.toml:6)",
        ]
    );
    assert_eq!(
        problems("", &[("TRIBUTARY_API__LISEN", "x:1")]),
        ["api.lisen: unknown setting; did you mean TRIBUTARY_API__LISTEN? (environment TRIBUTARY_API__LISEN)"]
    );
    // One underscore is the commonest slip.
    let slip = problems("", &[("TRIBUTARY_API_LISTEN", "x:1")]);
    assert_eq!(
        slip,
        ["api_listen: unknown setting; did you mean TRIBUTARY_API__LISTEN? (environment TRIBUTARY_API_LISTEN)"]
    );
    assert!(problems("zzzzzz = 1", &[])[0].contains("known here: instance, data_dir"));
    assert!(problems("listen = 'a:1'", &[])[0].contains("did you mean registry.listen?"));
}

#[test]
fn all_problems_are_told_at_once_with_their_places() {
    let found = problems(
        "shutdown_timeout = 'soon'\n[api]\nlisten = '8080'\n[log]\nformat = 'xml'\n[limits]\ndepth = 0\n[stages.fold]\ntasks = -1\n",
        &[("TRIBUTARY_METRICS__LISTEN", "nowhere")],
    );
    assert_eq!(found.len(), 6, "{found:#?}");
    for expected in [
        "(t.toml:1)",
        "(t.toml:3)",
        "(t.toml:5)",
        "(t.toml:7)",
        "(t.toml:9)",
        "(environment TRIBUTARY_METRICS__LISTEN)",
    ] {
        assert!(found.iter().any(|problem| problem.ends_with(expected)), "{expected} in {found:#?}");
    }
    assert!(found.iter().any(|problem| problem.contains("\"xml\" is none of text, json")));
}

#[test]
fn broken_toml_is_told_by_line_without_showing_it() {
    let found = problems("[database]\npassword = 'hunter2\n", &[]);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("t.toml:2") && !found[0].contains("hunter2"), "{}", found[0]);
}

#[test]
fn secrets_are_not_shown_and_may_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "hunter2\n").unwrap();
    let file = format!(
        "[database]\nurl = 'postgres://me@h:5432/d'\npassword_file = '{0}'\n[api]\ntoken = 'hunter2'\n[kafka.properties]\nsecurity.protocol = 'sasl_ssl'\n'ssl.key.pem' = 'hunter2'\n[kafka.properties_file]\nsasl.password = '{0}'\n",
        path.display()
    );
    let loaded = load(sources(&file, &[], &[])).unwrap();
    assert_eq!(loaded.config.database.url.as_ref().unwrap().expose_secret(), "postgres://me:hunter2@h:5432/d");
    assert_eq!(loaded.config.api.token.as_ref().unwrap().expose_secret(), "hunter2");
    assert_eq!(loaded.config.kafka.properties["sasl.password"], "hunter2");
    assert_eq!(loaded.config.kafka.properties["security.protocol"], "sasl_ssl");
    assert_eq!(shown(&loaded, "api.token"), "***");
    assert_eq!(shown(&loaded, "kafka.properties.\"ssl.key.pem\""), "***");
    assert_eq!(shown(&loaded, "kafka.properties.\"security.protocol\""), "sasl_ssl");
    assert!(!format!("{loaded:?}").contains("hunter2"));

    let url = load(sources("", &[("DATABASE_URL", "postgres://u:hunter2@h/d")], &[])).unwrap();
    assert_eq!(shown(&url, "database.url"), "postgres://u:***@h/d");
    assert!(!format!("{url:?}").contains("hunter2"));
}

#[test]
fn a_secret_given_twice_in_one_layer_is_refused_and_a_higher_layer_replaces_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "from file").unwrap();
    let both = format!("[api]\ntoken = 'a'\ntoken_file = '{}'\n", path.display());
    assert!(problems(&both, &[])[0].contains("given twice"));
    let higher =
        load(sources("[api]\ntoken = 'a'\n", &[("TRIBUTARY_API__TOKEN_FILE", path.to_str().unwrap())], &[])).unwrap();
    assert_eq!(higher.config.api.token.unwrap().expose_secret(), "from file");
    let missing = problems("[api]\ntoken_file = '/nowhere/token'\n", &[]);
    assert!(missing[0].contains("/nowhere/token") && missing[0].contains("t.toml:2"), "{}", missing[0]);
}

#[test]
fn properties_and_lists_come_through_variables_and_flags() {
    let variables = [
        ("TRIBUTARY_KAFKA__PROPERTIES__SECURITY_PROTOCOL", "ssl"),
        ("TRIBUTARY_IGNORE", "['_tmp*', 'scratch']"),
        ("TRIBUTARY_HMS", "[{topic = 'hms.notifications', instance = 'hive://m:9083', epoch = 2}]"),
        ("TRIBUTARY_STAGES__FOLD__TASKS", "4"),
    ];
    let config = load(sources("", &variables, &[("kafka.properties.client.rack", "a")])).unwrap().config;
    assert_eq!(config.kafka.properties["security.protocol"], "ssl");
    assert_eq!(config.kafka.properties["client.rack"], "a");
    assert_eq!(config.identity.ignore.clone().unwrap(), ["_tmp*", "scratch"]);
    assert_eq!(config.hms[0].epoch, 2);
    assert_eq!(config.stage("fold").tasks, 4);
    assert!(problems("", &[("TRIBUTARY_IGNORE", "not toml")])[0].contains("write it as in the file"));
}

#[test]
fn contradictions_are_found() {
    assert!(problems("[[hms]]\ntopic = 'a'\n[[hms]]\ntopic = 'a'\n", &[])[0].contains("listed twice"));
    assert!(problems("[[hms]]\ntopic = 'a'\ninstance = 'metastore'\n", &[])[0].contains("must be a namespace"));
    assert!(problems("[[hms]]\nepoch = 1\n", &[])[0].contains("missing field `topic`"));
    assert!(problems("instance = 'a.b'", &[])[0].contains("letters, digits"));
    let cycle = "[[rewrites]]\nfrom = 'a://x/**'\nto = 'b://x/**'\n[[rewrites]]\nfrom = 'b://x/**'\nto = 'a://x/**'\n";
    assert!(problems(cycle, &[])[0].starts_with("rewrites: ") && problems(cycle, &[])[0].ends_with("(t.toml:1)"));
    let doubled = problems("[database]\nurl = 'postgres://u:p@h/d'\npassword = 'x'\n", &[]);
    assert!(doubled[0].contains("the URL has one already"), "{}", doubled[0]);
    assert!(problems("[schema_registry]\nurl = 'http://u:hunter2@h'\n", &[]).iter().all(|p| !p.contains("hunter2")));
}

#[test]
fn the_registry_is_guarded_by_settings_that_go_together() {
    let open = load(Sources::default()).unwrap().config.registry;
    assert!(open.access_file.is_none() && open.node_secret.is_none() && open.rate.is_none() && open.tls.is_none());
    assert_eq!((open.body_limit, open.read_timeout), (8 << 20, Duration::from_secs(30)));
    let file = "[registry]\naccess_file = 'a.toml'\nnode_secret = 'hunter2'\nrate_limit = 50\n\
                [registry.tls]\ncertificate_file = 'c.pem'\nkey_file = 'k.pem'\nca_file = 'ca.pem'\nclient_auth = 'required'\n";
    let loaded = load(sources(file, &[], &[])).unwrap();
    assert_eq!(loaded.config.registry.rate, Some((50, 100)));
    assert_eq!(shown(&loaded, "registry.node_secret"), "***");
    assert!(!format!("{:?}", loaded.config).contains("hunter2"));
    let tls = loaded.config.registry.tls.unwrap();
    assert_eq!(tls.client_auth, ClientAuth::Required);
    for (file, problem) in [
        ("[registry]\nrate_burst = 5\n", "registry.rate_burst: it is of no use without registry.rate_limit (t.toml:2)"),
        (
            "[registry.tls]\ncertificate_file = 'c'\n",
            "registry.tls.certificate_file: it is of no use without registry.tls.key_file (t.toml:2)",
        ),
        (
            "[registry.tls]\ncertificate_file = 'c'\nkey_file = 'k'\nclient_auth = 'request'\n",
            "registry.tls.client_auth: it needs registry.tls.ca_file, the authorities of clients (t.toml:4)",
        ),
        (
            "[registry.tls]\nclient_auth = 'maybe'\n",
            "registry.tls.client_auth: \"maybe\" is none of none, request, required",
        ),
    ] {
        assert!(problems(file, &[])[0].starts_with(problem), "{:?}", problems(file, &[]));
    }
}

/// The example documents every setting: the lines that are commented out with `#` directly before the key count.
#[test]
fn the_example_file_is_valid_and_names_every_setting() {
    let text = include_str!("../../config/tributary.toml");
    let plain = load(sources(text, &[], &[])).unwrap();
    let defaults = load(Sources::default()).unwrap();
    for (example, default) in plain.effective.iter().zip(&defaults.effective) {
        assert_eq!((&example.path, &example.shown), (&default.path, &default.shown), "the example says the defaults");
    }

    // With every setting switched on it is valid, too.
    let switched: String = text
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .filter(|line| !line.contains("/run/secrets/"))
        .map(|line| format!("{line}\n"))
        .collect();
    let all = load(sources(&switched, &[], &[])).unwrap();
    let table: toml::Table = toml::from_str(&switched).unwrap();
    for key in KEYS.iter().filter(|key| !matches!(key.kind, Kind::Properties)) {
        let mut at = vec![toml::Value::Table(table.clone())];
        for part in key.path.split('.') {
            at = at
                .into_iter()
                .flat_map(|value| match (part, value) {
                    ("[]", toml::Value::Array(entries)) => entries,
                    ("*", toml::Value::Table(table)) => table.into_iter().map(|(_, value)| value).collect(),
                    (name, toml::Value::Table(mut table)) => table.remove(name).into_iter().collect(),
                    _ => Vec::new(),
                })
                .collect();
        }
        assert!(!at.is_empty(), "config/tributary.toml does not document {}", key.path);
    }
    let identity = &all.config.identity;
    assert!(!identity.rewrites.is_empty() && !all.config.hms.is_empty());
    let ids: Vec<&str> = identity.instances.iter().map(|instance| instance.id.as_str()).collect();
    assert_eq!(ids, ["snowflake://org-account", "hive://metastore:9083"]);
    let secrets: BTreeSet<String> = KEYS
        .iter()
        .filter(|key| matches!(key.kind, Kind::Secret | Kind::SecretUrl))
        .map(|key| format!("{}_file", key.path.rsplit('.').next().unwrap()))
        .collect();
    for name in secrets {
        assert!(text.contains(&format!("#{name} =")), "config/tributary.toml does not document {name}");
    }
}
