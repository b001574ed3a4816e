//! Metastore events against what that metastore answered: normalize, fold, export, compare.
//!
//! The fixtures were recorded from real metastores; `.truth.json` is the state each answered after its last event.
//! What events cannot tell is a closed list; each rule below names its line of it and nothing else is forgiven.

#[path = "hms_truth/generated.rs"]
mod generated;
#[path = "hms_truth/simulator.rs"]
pub mod simulator;

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::{Map, Value, json};

use tributary::catalog::export_hms::export_hms;
use tributary::fold::{FoldConfig, Folded, fold_all};
use tributary::model::fact::{Aspect, Entry, Fact, Origin, Partition, Statement, Version};
use tributary::model::raw::{Normalized, RawRecord};
use tributary::model::record::CatalogRecord;
use tributary::normalize::hms::{HmsNormalizer, HmsSourceConfig};

const INSTANCE: &str = "hive://hms-1.lake:9083";

fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/hms/{name}.gz", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

fn normalize(lines: impl IntoIterator<Item = impl AsRef<[u8]>>) -> (Vec<Fact>, BTreeMap<&'static str, usize>) {
    let config = HmsSourceConfig { instance: Some(INSTANCE.to_owned()), ..HmsSourceConfig::default() };
    let normalizer = HmsNormalizer::new(config).unwrap();
    let (mut facts, mut no_ops) = (Vec::new(), BTreeMap::new());
    for (offset, line) in (0_i64..).zip(lines) {
        let origin = Origin { topic: "hms.events".to_owned(), partition: 0, offset };
        let record = RawRecord { origin, timestamp_ms: None, key: None, value: Some(line.as_ref()) };
        match normalizer.normalize(&record).unwrap_or_else(|rejection| panic!("line {offset}: {rejection}")) {
            Normalized::Facts(new) => {
                assert!((1..=3).contains(&new.len()), "line {offset} gives {} facts", new.len());
                facts.extend(new);
            }
            Normalized::NoOp(reason) => *no_ops.entry(reason).or_default() += 1,
        }
    }
    (facts, no_ops)
}

fn export(folded: Folded) -> Value {
    let (mut containers, mut datasets, mut partitions, mut functions) = (vec![], vec![], vec![], vec![]);
    for record in folded.records.into_values() {
        match record {
            CatalogRecord::Container(record) => containers.push(*record),
            CatalogRecord::Dataset(record) => datasets.push(*record),
            CatalogRecord::Partition(record) => partitions.push(*record),
            CatalogRecord::Function(record) => functions.push(*record),
            _ => {}
        }
    }
    export_hms(INSTANCE, &containers, &datasets, &partitions, &functions)
}

/// Up to event 248, the last about this partition's statistics; its numbers are read off that event.
#[test]
fn statistics_of_a_partitions_columns_are_on_the_partition() {
    let text = fixture("hms-4.0.1_json-0.2.jsonl");
    let (facts, _) = normalize(text.lines().take(248));
    let folded = fold_all(FoldConfig::default(), &facts).unwrap();
    let partition = |folded: &Folded, key: &str| {
        folded.records.values().find_map(|record| match record {
            CatalogRecord::Partition(record) if format!("{}|{}", record.dataset, record.name) == key => {
                Some(record.as_ref().clone())
            }
            _ => None,
        })
    };
    let key = format!("{INSTANCE}/inventory/order_items_agg|dt=2026-03-03");
    let found = partition(&folded, &key).unwrap();
    assert_eq!(found.column_stats.keys().collect::<Vec<_>>(), ["ratio"]);
    let ratio: Value = serde_json::from_str(&found.column_stats["ratio"]).unwrap();
    assert!(found.column_stats["ratio"].contains("932175.1348933359"), "{}", found.column_stats["ratio"]);
    assert_eq!((&ratio["colType"], &ratio["lastAnalyzed"]), (&json!("float"), &json!(1_795_241_672)));
    let expected = json!({ "lowValue": 0.5, "highValue": 932_175.134_893_335_9, "numNulls": 1, "numDVs": 77 });
    assert_eq!(ratio["statsData"]["doubleStats"], expected);
    let other = format!("{INSTANCE}/finance_dw/products_snapshot|country=DE%2Fdt=2026-01-17");
    assert_eq!(partition(&folded, &other).unwrap().column_stats.keys().collect::<Vec<_>>(), ["user_agent"]);
    // Whichever comes first; and a partition that is dropped takes them along.
    let reversed = fold_all(FoldConfig { history: 64, ..FoldConfig::default() }, facts.iter().rev()).unwrap();
    assert_eq!(partition(&reversed, &key).unwrap().column_stats, found.column_stats);
    let drop = |time: i64, value: Option<Statement>| Fact {
        version: Version { time, ..facts.last().unwrap().version },
        entries: vec![Entry { aspect: Aspect::Partition, sub_key: "dt=2026-03-03".to_owned(), value }],
        ..facts.last().unwrap().clone()
    };
    let again = Partition { values: vec![], location: None, properties: BTreeMap::new(), native: Value::Null };
    let later = facts.last().unwrap().version.time + 1;
    let gone = [drop(later, None), drop(later + 1, Some(Statement::Partition(again)))];
    let after = fold_all(FoldConfig::default(), facts.iter().chain(&gone)).unwrap();
    assert_eq!(partition(&after, &key).unwrap().column_stats, BTreeMap::new());
}

fn replay(name: &str) -> Value {
    let (facts, _) = normalize(fixture(name).lines());
    export(fold_all(FoldConfig::default(), &facts).unwrap())
}

/// Versions differ in what their events tell.
#[derive(Clone, Copy, PartialEq)]
enum Metastore {
    V2,
    V3,
    V4,
    /// The Kafka listener with 2.3: tables and partitions only.
    Listener,
}

/// Brings both documents to a form in which only unforgivable differences show.
fn comparable(mut document: Value, metastore: Metastore) -> BTreeMap<String, Value> {
    let mut entries = BTreeMap::new();
    let mut take = |group: &str| match document.get_mut(group).map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    for database in take("databases") {
        if metastore == Metastore::Listener {
            continue;
        }
        let text = |field: &str| database.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (catalog, name) = (text("catalogName"), text("name"));
        let is_seeded = name == "default" && matches!(catalog.as_str(), "" | "hive");
        let mut database = database.as_object().unwrap().clone();
        if is_seeded {
            // "database `default` of catalog `hive` has no event": seeded, but nothing tells when it was made.
            database.remove("createTime");
            database.remove("type");
        } else if metastore == Metastore::V2 {
            // "2.3.9 CREATE_DATABASE message carries only `db`".
            database.retain(|field, _| field == "name");
        } else if metastore == Metastore::V4 {
            // "alter_database changing only the description: no event".
            database.remove("description");
        }
        entries.insert(format!("database {catalog}.{name}"), Value::Object(database));
    }
    for table in take("tables") {
        let mut table = table.as_object().unwrap().clone();
        let text = |field: &str| table.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = format!("table {}.{}.{}", text("catName"), text("dbName"), text("tableName"));
        let partitions = table.remove("partitions");
        for mut partition in partitions.as_ref().and_then(Value::as_array).into_iter().flatten().cloned() {
            drop_stats_accuracy(&mut partition);
            entries.insert(format!("{name} partition {}", partition["values"]), partition);
        }
        match metastore {
            // Constraints came with 3.0.
            Metastore::V2 | Metastore::Listener => {
                table.remove("constraints");
            }
            Metastore::V3 => {
                // Quirks: "3.1.3: default and check constraints emit nothing".
                let constraints = table.get_mut("constraints").and_then(Value::as_object_mut).unwrap();
                constraints.remove("default");
                constraints.remove("check");
            }
            Metastore::V4 => {}
        }
        let object = table.get_mut("table").unwrap();
        drop_stats_accuracy(object);
        // "bucketCols [] vs absent (Iceberg tables)".
        let sd = object.get_mut("sd").and_then(Value::as_object_mut).unwrap();
        if sd.get("bucketCols") == Some(&json!([])) {
            sd.remove("bucketCols");
        }
        entries.insert(name, Value::Object(table));
    }
    for function in take("functions") {
        entries.insert(format!("function {}.{}", function["dbName"], function["functionName"]), function);
    }
    for catalog in take("catalogs") {
        // "No catalog event": a catalog shows by its databases, which tell its name and place.
        let known: Map<String, Value> =
            ["name", "locationUri"].iter().filter_map(|f| Some(((*f).to_owned(), catalog.get(*f)?.clone()))).collect();
        entries.insert(format!("catalog {}", catalog["name"]), Value::Object(known));
    }
    entries
}

/// "COLUMN_STATS_ACCURATE table/partition parameter after stats update".
fn drop_stats_accuracy(object: &mut Value) {
    if let Some(parameters) = object.get_mut("parameters").and_then(Value::as_object_mut) {
        parameters.remove("COLUMN_STATS_ACCURATE");
    }
}

fn differences(ours: &BTreeMap<String, Value>, truth: &BTreeMap<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for name in ours.keys().chain(truth.keys().filter(|name| !ours.contains_key(*name))) {
        match (ours.get(name), truth.get(name)) {
            (Some(ours), Some(truth)) => differing("", ours, truth, &mut |path, ours, truth| {
                found.push(format!("{name} {path}: ours {ours}, truth {truth}"));
            }),
            (Some(_), None) => found.push(format!("{name}: not in truth")),
            _ => found.push(format!("{name}: missing")),
        }
    }
    found
}

fn differing(path: &str, ours: &Value, truth: &Value, report: &mut dyn FnMut(&str, &Value, &Value)) {
    match (ours, truth) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let (a, b) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                differing(&format!("{path}/{key}"), a, b, report);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differing(&format!("{path}/{index}"), a, b, report);
            }
        }
        _ if ours == truth => {}
        _ => report(path, ours, truth),
    }
}

fn assert_truth(events: &str, truth: &str, metastore: Metastore, entities: usize) {
    let ours = comparable(replay(&format!("{events}.jsonl")), metastore);
    let mut truth: Value = serde_json::from_str(&fixture(&format!("{truth}.truth.json"))).unwrap();
    if truth.get("catalogs").is_none() {
        truth["catalogs"] = json!([{ "name": "hive", "locationUri": "viewfs://lake/warehouse" }]);
    }
    let truth = comparable(truth, metastore);
    assert!(truth.len() >= entities, "only {} entities to compare", truth.len());
    let found = differences(&ours, &truth);
    assert!(found.is_empty(), "{} differences in {} entities:\n{}", found.len(), truth.len(), found.join("\n"));
}

#[test]
fn hms_2_3_9() {
    assert_truth("hms-2.3.9_json-0.2", "hms-2.3.9_json-0.2", Metastore::V2, 50);
}

#[test]
fn hms_3_1_3() {
    assert_truth("hms-3.1.3_json-0.2", "hms-3.1.3_json-0.2", Metastore::V3, 250);
}

#[test]
fn hms_4_0_1() {
    assert_truth("hms-4.0.1_json-0.2", "hms-4.0.1_json-0.2", Metastore::V4, 200);
}

#[test]
fn hms_4_0_1_gzip() {
    assert_truth("hms-4.0.1_gzip", "hms-4.0.1_gzip", Metastore::V4, 150);
}

#[test]
fn apiary_listener() {
    assert_truth("hms-2.3.9_apiary-kafka-6.0.2", "hms-2.3.9_json-0.2", Metastore::Listener, 40);
}
