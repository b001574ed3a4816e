//! Names, dashboards and rules agree with the catalogue of metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::names::{Kind, METRICS, Metric, Unit, metric};
use super::recorder;

#[test]
fn names_follow_prometheus_rules() {
    let name = Regex::new("^[a-z][a-z0-9_]*$").unwrap();
    let mut seen = BTreeSet::new();
    for metric in METRICS {
        assert!(seen.insert(metric.name), "{} is declared twice", metric.name);
        assert!(name.is_match(metric.name), "{}", metric.name);
        assert_eq!(
            metric.kind == Kind::Counter,
            metric.name.ends_with("_total"),
            "{}: counters end in _total",
            metric.name
        );
        let stem = metric.name.trim_end_matches("_total");
        assert_eq!(
            metric.unit == Unit::Seconds,
            stem.ends_with("_seconds"),
            "{}: the unit is part of the name",
            metric.name
        );
        assert_eq!(
            metric.unit == Unit::Bytes,
            stem.ends_with("_bytes"),
            "{}: the unit is part of the name",
            metric.name
        );
        for reserved in ["_bucket", "_sum", "_count", "_milliseconds", "_ms", "_info_total"] {
            assert!(!metric.name.ends_with(reserved), "{} ends in {reserved}", metric.name);
        }
        assert!(!metric.help.is_empty() && !metric.help.contains('\n'), "{}", metric.name);
        for label in metric.labels {
            assert!(name.is_match(label) && !matches!(*label, "le" | "quantile" | "job" | "instance"), "{label}");
        }
        if let Kind::Histogram(bounds) = metric.kind {
            assert!(bounds.is_sorted_by(|a, b| a < b) && !bounds.is_empty(), "{}", metric.name);
        }
    }
}

#[test]
fn histograms_are_histograms_and_have_help() {
    let recorder = recorder::recorder().unwrap();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        recorder::describe();
        metrics::counter!("stage_records_total", "stage" => "fold", "outcome" => "output").increment(3);
        metrics::histogram!("stage_commit_seconds", "stage" => "fold").record(0.003);
        super::process::record();
    });
    let text = handle.render();
    for line in [
        "# TYPE stage_records_total counter",
        "stage_records_total{stage=\"fold\",outcome=\"output\"} 3",
        "# HELP stage_commit_seconds From the end of a batch to its committed transaction",
        "# TYPE stage_commit_seconds histogram",
        "stage_commit_seconds_bucket{stage=\"fold\",le=\"0.0025\"} 0",
        "stage_commit_seconds_bucket{stage=\"fold\",le=\"0.005\"} 1",
        "stage_commit_seconds_bucket{stage=\"fold\",le=\"+Inf\"} 1",
        "stage_commit_seconds_count{stage=\"fold\"} 1",
        "tributary_build_info{version=\"0.1.0\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
    }
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).unwrap();
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
    }
    if cfg!(target_os = "linux") {
        let memory = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes ")).unwrap();
        assert!(memory.parse::<f64>().unwrap() > 1e6, "{memory}");
    }
}

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

/// The code uses declared names only, with the declared kind and labels.
#[test]
fn code_uses_declared_metrics() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let call = Regex::new(r#"\b(counter|gauge|histogram)!\(\s*"([a-z0-9_]+)"([^;]*?)\)\s*\."#).unwrap();
    let label = Regex::new(r#""([a-z_]+)"\s*=>"#).unwrap();
    let total = Regex::new(r#""([a-z0-9_]+_total)""#).unwrap();
    let mut calls = 0;
    for path in files.iter().filter(|path| !path.starts_with(root.join("telemetry")) || path.ends_with("process.rs")) {
        let text = fs::read_to_string(path).unwrap();
        for hit in call.captures_iter(&text) {
            calls += 1;
            let place = format!("{}: {}", path.display(), &hit[2]);
            let declared = METRICS.iter().find(|metric| metric.name == &hit[2]);
            let declared = declared.unwrap_or_else(|| panic!("{place} is not declared in telemetry/names.rs"));
            let kind = match declared.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            assert_eq!(&hit[1], kind, "{place}");
            let labels: BTreeSet<&str> =
                label.captures_iter(&hit[3]).map(|label| label.get(1).unwrap().as_str()).collect();
            for label in labels {
                assert!(declared.labels.contains(&label), "{place} has no label {label}");
            }
        }
        for hit in total.captures_iter(&text) {
            assert!(metric(&hit[1]).is_some(), "{}: {} is not declared in telemetry/names.rs", path.display(), &hit[1]);
        }
    }
    assert!(calls >= 8, "the pattern finds only {calls} uses; has the code changed its ways?");
}

/// Nothing is declared that no code records: its name stands as a text in some module besides the catalogue.
#[test]
fn declared_metrics_are_recorded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let catalogue = ["telemetry/names.rs", "telemetry/tests.rs"].map(|name| root.join(name));
    let code: String =
        files.iter().filter(|path| !catalogue.contains(path)).map(|path| fs::read_to_string(path).unwrap()).collect();
    for metric in METRICS {
        assert!(code.contains(&format!("\"{}\"", metric.name)), "nothing records {}", metric.name);
    }
}

/// What is neither metric nor label in an expression.
const WORDS: &[&str] = &[
    "sum",
    "rate",
    "increase",
    "max",
    "min",
    "avg",
    "count",
    "histogram_quantile",
    "by",
    "without",
    "on",
    "ignoring",
    "and",
    "or",
    "unless",
    "time",
    "clamp_min",
    "absent",
    "changes",
    "deriv",
    "topk",
    "max_over_time",
    "min_over_time",
    "vector",
    "group_left",
    "offset",
];

/// Metrics (with the labels asked of each) and labels of groupings in a PromQL expression.
fn names_in(expression: &str) -> (Vec<(String, Vec<String>)>, Vec<String>) {
    let text = expression.replace("$__rate_interval", "5m");
    let grouping = Regex::new(r"\b(?:by|without|on|ignoring|group_left)\s*\(([^)]*)\)").unwrap();
    let words =
        |list: &str| list.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect();
    let grouped = grouping.captures_iter(&text).flat_map(|hit| -> Vec<String> { words(&hit[1]) }).collect();
    let text = grouping.replace_all(&text, " ").into_owned();
    let text = Regex::new(r"\[[^\]]*\]").unwrap().replace_all(&text, " ").into_owned();
    let selector = Regex::new(r#"\b([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([^}]*)\})?"#).unwrap();
    let label = Regex::new(r#"([a-zA-Z_]+)\s*(?:=~|!~|!=|=)"#).unwrap();
    let metrics = selector
        .captures_iter(&text)
        .filter(|hit| !WORDS.contains(&&hit[1]))
        .map(|hit| {
            let labels = hit.get(2).map_or("", |matchers| matchers.as_str());
            (hit[1].to_owned(), label.captures_iter(labels).map(|label| label[1].to_owned()).collect())
        })
        .collect();
    (metrics, grouped)
}

fn check_expression(place: &str, expression: &str) {
    let (used, grouped) = names_in(expression);
    assert!(!used.is_empty(), "{place}: no metric in {expression}");
    let mut known: Vec<&Metric> = Vec::new();
    for (name, labels) in &used {
        // Prometheus' own: whether a target answers.
        if name == "up" {
            continue;
        }
        let declared = metric(name).unwrap_or_else(|| panic!("{place}: {name} is not declared in telemetry/names.rs"));
        known.push(declared);
        for label in labels {
            assert!(
                declared.labels.contains(&label.as_str()) || label == "job",
                "{place}: {name} has no label {label}"
            );
        }
    }
    for label in grouped {
        let ours = known.iter().any(|metric| metric.labels.contains(&label.as_str()));
        assert!(ours || matches!(label.as_str(), "le" | "instance" | "job"), "{place}: nothing has a label {label}");
    }
}

fn expressions(value: &serde_json::Value, at: &str, found: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(map) => {
            let title = map.get("title").and_then(|title| title.as_str()).unwrap_or(at).to_owned();
            for (key, inner) in map {
                match inner.as_str() {
                    Some(text) if key == "expr" => found.push((title.clone(), text.to_owned())),
                    _ => expressions(inner, &title, found),
                }
            }
        }
        serde_json::Value::Array(entries) => entries.iter().for_each(|entry| expressions(entry, at, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_uses_declared_metrics() {
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../../config/grafana/dashboards/tributary.json")).unwrap();
    let mut found = Vec::new();
    expressions(&dashboard, "dashboard", &mut found);
    assert!(found.len() >= 10, "the dashboard has {} expressions", found.len());
    for (panel, expression) in &found {
        check_expression(panel, expression);
    }
    let mut ids: BTreeMap<i64, &str> = BTreeMap::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert_eq!(ids.insert(panel["id"].as_i64().unwrap(), title), None, "panel ids are unique");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}: the chosen data source");
        if panel["type"] == "row" {
            continue;
        }
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{title} says what it shows");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has a unit");
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let rated = ["rate(", "increase("].iter().any(|function| expression.contains(function));
            assert!(!rated || expression.contains("[$__rate_interval]"), "{title}: {expression}");
        }
    }
    let variable = &dashboard["templating"]["list"][0];
    assert_eq!((&variable["name"], &variable["type"]), (&"datasource".into(), &"datasource".into()));
    assert_eq!(variable["current"]["value"], "prometheus", "the provisioned one is chosen at first");
    let provisioned = include_str!("../../config/grafana/provisioning/datasources/prometheus.yaml");
    assert!(provisioned.contains("uid: prometheus"));
}

#[test]
fn rules_use_declared_metrics() {
    let rules = include_str!("../../config/prometheus/rules.yml");
    let expressions: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert_eq!(expressions.len(), rules.matches("- alert: ").count(), "every rule has its expression on one line");
    for part in ["summary: ", "description: ", "severity: "] {
        assert_eq!(expressions.len(), rules.matches(part).count(), "every rule has a {part}");
    }
    assert!(expressions.len() >= 5);
    for expression in expressions {
        check_expression("rules.yml", expression.trim_matches('\''));
    }
}

#[test]
fn expressions_are_taken_apart() {
    let (metrics, labels) =
        names_in("sum by (stage, le) (rate(a_bucket{stage=\"x\", b!~\"y|z\"}[5m])) / on (topic) c > 0.5");
    assert_eq!(labels, ["stage", "le", "topic"]);
    assert_eq!(metrics[0], ("a_bucket".to_owned(), vec!["stage".to_owned(), "b".to_owned()]));
    assert_eq!(metrics[1], ("c".to_owned(), Vec::new()));
    assert_eq!(metrics.len(), 2);
}
