//! The layer table of ARCHITECTURE.md, enforced: imports point down, one external library has one home module, pure
//! modules know no I/O, files stay readable.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Module → layer. A module may import from strictly lower layers and from itself.
const LAYERS: &[(&str, u8)] = &[
    ("cli", 6),
    ("api", 5),
    ("topology", 5),
    ("catalog", 4),
    ("registry", 4),
    ("sink", 4),
    ("tail", 4),
    ("stage", 3),
    ("kafka", 2),
    ("store", 2),
    ("search", 2),
    ("dev", 2),
    ("metastore", 2),
    ("normalize", 1),
    ("sql", 1),
    ("fold", 1),
    ("codec", 0),
    ("schema", 0),
    ("graph", 0),
    ("model", 0),
    ("config", 0),
    ("telemetry", 0),
    ("failpoint", 0),
];

/// Layer-0 modules that others of layer 0 may use: the vocabulary.
const VOCABULARY: &[&str] = &["model"];

/// Extra arrows inside a layer or upward that the design allows, with the reason.
const ALLOWED: &[(&str, &str, &str)] = &[];

/// External library → modules that may name it.
const HOMES: &[(&str, &[&str])] = &[
    ("rdkafka", &["kafka"]),
    ("sqlx", &["store"]),
    ("futures_util", &["store"]),
    ("tantivy", &["search"]),
    // With its module: the codec has one of the same name, of tables of structs.
    ("thrift::protocol", &["metastore"]),
    ("redb", &["stage"]),
    ("axum", &["api", "registry"]),
    // The catalog's answers describe themselves for OpenAPI, so that no second set of types can drift.
    ("utoipa", &["api", "catalog"]),
    ("schema_registry_converter", &["registry"]),
    ("reqwest", &["registry"]),
    ("tokio_rustls", &["registry"]),
    ("ring", &["registry"]),
    ("argon2", &["registry"]),
    ("x509_parser", &["registry"]),
    ("hyper", &["registry"]),
    ("hyper_util", &["registry"]),
    ("apache_avro", &["codec", "schema"]),
    ("sqlparser", &["sql"]),
    ("fancy_regex", &["schema"]),
    ("jsonschema", &["schema"]),
    ("prost", &["schema"]),
    ("prost_reflect", &["schema"]),
    ("prost_types", &["schema"]),
    ("protox_parse", &["schema"]),
    ("metrics_exporter_prometheus", &["telemetry"]),
    ("tracing_subscriber", &["telemetry"]),
    ("clap", &["cli"]),
    ("anyhow", &["cli"]),
    ("indicatif", &["cli"]),
];

/// Modules without I/O, clock and randomness, and what they must not name.
const PURE: &[&str] = &["model", "codec", "schema", "graph", "normalize", "fold", "sql"];
const IMPURE: &[&str] = &[
    "tokio::",
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::env",
    "std::thread",
    "std::process",
    "SystemTime",
    "Instant::now",
    "Utc::now",
    "new_v4",
    "now_v7",
];

/// Longest file that passes without a word, and at all.
const LINES_WARN: usize = 500;
const LINES_FAIL: usize = 800;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// (module, path, text without comments and without the unit tests at its end)
fn modules() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let comment = Regex::new(r"(?m)//.*$").unwrap();
    files
        .into_iter()
        .filter_map(|path| {
            let inside = path.strip_prefix(&root).unwrap();
            let module = inside.iter().next()?.to_str()?.trim_end_matches(".rs").to_owned();
            let is_test = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .is_some_and(|stem| stem == "tests" || stem.ends_with("_tests"))
                || inside.iter().any(|part| part == "tests");
            if is_test || module == "lib" || module == "main" {
                return None;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            Some((module, path, comment.replace_all(code, "").into_owned()))
        })
        .collect()
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

fn imports(code: &str) -> BTreeSet<String> {
    let single = Regex::new(r"\bcrate::(\w+)").unwrap();
    let group = Regex::new(r"(?s)\bcrate::\{([^;]*?)\};").unwrap();
    let mut found: BTreeSet<String> = single.captures_iter(code).map(|hit| hit[1].to_owned()).collect();
    let first_word = Regex::new(r"^\s*(\w+)").unwrap();
    for hit in group.captures_iter(code) {
        let mut depth = 0;
        let mut part = String::new();
        for letter in hit[1].chars().chain([',']) {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    found.extend(first_word.captures(&part).map(|word| word[1].to_owned()));
                    part.clear();
                    continue;
                }
                _ => {}
            }
            part.push(letter);
        }
    }
    found
}

#[test]
fn every_module_has_a_layer() {
    for (module, path, _) in modules() {
        assert!(
            layer(&module).is_some() || path.parent().unwrap().ends_with("src"),
            "{module} is missing in the layer table"
        );
    }
}

#[test]
fn imports_point_down() {
    let mut upward = Vec::new();
    for (module, path, code) in modules() {
        let Some(own) = layer(&module) else { continue };
        for import in imports(&code) {
            let Some(other) = layer(&import) else { continue };
            let allowed = import == module
                || other < own
                || (own == 0 && VOCABULARY.contains(&import.as_str()))
                || ALLOWED.iter().any(|(from, to, _)| *from == module && *to == import);
            if !allowed {
                upward.push(format!("{}: {module} (L{own}) imports {import} (L{other})", path.display()));
            }
        }
    }
    assert!(upward.is_empty(), "arrows that do not point down:\n{}", upward.join("\n"));
}

#[test]
fn the_api_knows_neither_store_nor_kafka() {
    for (_, path, code) in modules().iter().filter(|(module, ..)| module == "api") {
        for forbidden in ["store", "kafka", "stage", "sink"] {
            assert!(!imports(code).contains(forbidden), "{} imports {forbidden}", path.display());
        }
    }
}

#[test]
fn one_library_has_one_home() {
    let mut strangers = Vec::new();
    for (module, path, code) in modules() {
        for (library, homes) in HOMES {
            let named = Regex::new(&format!(r"\b{library}(::|;)")).unwrap().is_match(&code);
            if named && !homes.contains(&module.as_str()) {
                strangers.push(format!("{} names {library}, at home in {homes:?}", path.display()));
            }
        }
    }
    assert!(strangers.is_empty(), "{}", strangers.join("\n"));
}

#[test]
fn pure_modules_do_no_io() {
    let mut impure = Vec::new();
    for (_, path, code) in modules().iter().filter(|(module, ..)| PURE.contains(&module.as_str())) {
        impure.extend(
            IMPURE.iter().filter(|name| code.contains(**name)).map(|name| format!("{} names {name}", path.display())),
        );
    }
    assert!(impure.is_empty(), "{}", impure.join("\n"));
}

#[test]
fn files_stay_readable() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut too_long = Vec::new();
    for path in files {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        if lines > LINES_WARN {
            eprintln!("{} has {lines} lines; {LINES_WARN} is the aim", path.display());
        }
        if lines > LINES_FAIL {
            too_long.push(format!("{}: {lines}", path.display()));
        }
    }
    assert!(too_long.is_empty(), "files over {LINES_FAIL} lines:\n{}", too_long.join("\n"));
}

#[test]
fn every_module_says_its_job_in_its_first_line() {
    let mut silent = Vec::new();
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    for path in files {
        // Unit tests in a file of their own are named by the module they test.
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        let text = fs::read_to_string(&path).unwrap();
        if !is_test && !text.starts_with("//!") {
            silent.push(path.display().to_string());
        }
    }
    assert!(silent.is_empty(), "modules without a first line about their job:\n{}", silent.join("\n"));
}

#[test]
fn grouped_imports_are_seen() {
    let code = "use crate::{model::{fact, id}, store};\nfn f() { crate::kafka::x(); }";
    let expected: BTreeSet<_> = ["kafka", "model", "store"].map(str::to_owned).into();
    assert_eq!(imports(code), expected);
}
