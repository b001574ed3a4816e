//! The one graph of a metastore and a Spark run against it, edge by edge and column by column, whichever stream comes
//! first.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use tributary::fold::{FoldConfig, Folded, fold_all};
use tributary::graph::{EdgeKey, Graph};
use tributary::model::fact::{Fact, Origin};
use tributary::model::raw::{Normalized, RawRecord};
use tributary::model::record::{CatalogRecord, CatalogTopic};
use tributary::normalize::hms::{HmsNormalizer, HmsSourceConfig};
use tributary::normalize::openlineage::{OpenLineageConfig, OpenLineageNormalizer};

use crate::support::events;

const METASTORE: &str = "hive://hms-1.lake:9083/spark_shop";
const WAREHOUSE: &str = "viewfs://lake/warehouse/spark_shop.db/";

#[derive(Deserialize)]
struct Expected {
    datasets: BTreeMap<String, String>,
    edges: Vec<ExpectedEdge>,
    no_edges_to: Vec<String>,
}

#[derive(Deserialize)]
struct ExpectedEdge {
    target: String,
    sources: Vec<String>,
    /// Target field, source, source field, TYPE/SUBTYPE.
    columns: Vec<(String, String, String, String)>,
}

type Edges = BTreeSet<(String, String)>;
type Columns = BTreeSet<(String, String, String, String, String)>;

fn expected() -> (Edges, Columns, Vec<String>) {
    let expected: Expected =
        serde_json::from_str(include_str!("fixtures/openlineage/spark_graph.expected.json")).unwrap();
    let id = |name: &str| table(expected.datasets.get(name).map_or(name, String::as_str));
    let mut edges = Edges::new();
    let mut columns = Columns::new();
    for edge in &expected.edges {
        for source in &edge.sources {
            edges.insert((id(source), id(&edge.target)));
        }
        for (field, source, source_field, kind) in &edge.columns {
            columns.insert((id(source), source_field.clone(), id(&edge.target), field.clone(), kind.clone()));
        }
    }
    (edges, columns, expected.no_edges_to.iter().map(|name| id(name)).collect())
}

/// The metastore's id of what was reported by its path; `u` is called `u_renamed` by the end of the run.
fn table(reported: &str) -> String {
    match reported.strip_prefix(WAREHOUSE) {
        Some("u") => format!("{METASTORE}/u_renamed"),
        Some(name) => format!("{METASTORE}/{name}"),
        None => reported.to_owned(),
    }
}

fn facts() -> (Vec<Fact>, Vec<Fact>) {
    let hms = HmsNormalizer::new(HmsSourceConfig::default()).unwrap();
    let openlineage = OpenLineageNormalizer::new(OpenLineageConfig::default());
    let (mut metastore, mut runs) = (Vec::new(), Vec::new());
    for (offset, event) in events::site(0).iter().enumerate() {
        let raw = RawRecord {
            origin: Origin { topic: event.topic.to_owned(), partition: 0, offset: offset as i64 },
            timestamp_ms: None,
            key: None,
            value: Some(event.value.as_bytes()),
        };
        let (normalized, facts) = match event.topic {
            "hms.notifications" => (hms.normalize(&raw), &mut metastore),
            _ => (openlineage.normalize(&raw), &mut runs),
        };
        if let Normalized::Facts(some) = normalized.unwrap() {
            facts.extend(some);
        }
    }
    (metastore, runs)
}

fn graph_of(folded: &Folded) -> Graph {
    let mut graph = Graph::new();
    for ((_, key), record) in &folded.records {
        match record {
            CatalogRecord::Alias(alias) => graph.put_alias(EdgeKey::of(key), alias),
            CatalogRecord::Lineage(edge) => graph.put_lineage(EdgeKey::of(key), edge),
            CatalogRecord::ColumnLineage(edge) => graph.put_column_lineage(EdgeKey::of(key), edge),
            _ => {}
        }
    }
    graph
}

fn assert_graph(folded: &Folded) {
    let graph = graph_of(folded);
    let resolve = |id: &str| graph.resolve(id, i64::MAX);
    let mut edges = Edges::new();
    let mut columns = Columns::new();
    for record in folded.records.values() {
        match record {
            CatalogRecord::Lineage(edge) => {
                assert_eq!(edge.kind, if edge.source == edge.target { "modifies" } else { "write" });
                assert!(!edge.stale);
                edges.insert((resolve(&edge.source), resolve(&edge.target)));
            }
            CatalogRecord::ColumnLineage(edge) => {
                for kind in &edge.transformations {
                    columns.insert((
                        resolve(&edge.source),
                        edge.source_field.clone(),
                        resolve(&edge.target),
                        edge.target_field.clone(),
                        kind.clone(),
                    ));
                }
            }
            _ => {}
        }
    }
    let (expected_edges, expected_columns, without) = expected();
    let difference = |ours: &BTreeSet<_>, theirs: &BTreeSet<_>| ours.difference(theirs).cloned().collect::<Vec<_>>();
    assert_eq!(difference(&edges, &expected_edges), Vec::new(), "edges that nobody expects");
    assert_eq!(difference(&expected_edges, &edges), Vec::new(), "edges that are missing");
    let missing: Vec<_> = expected_columns.difference(&columns).collect();
    let invented: Vec<_> = columns.difference(&expected_columns).collect();
    assert!(missing.is_empty() && invented.is_empty(), "missing {missing:#?}\ninvented {invented:#?}");
    for target in without {
        assert!(!edges.iter().any(|(_, to)| *to == target), "{target} has an edge");
    }
}

#[test]
fn the_graph_is_the_hand_checked_one_whichever_stream_comes_first() {
    let (metastore, runs) = facts();
    let first = fold_all(FoldConfig::default(), metastore.iter().chain(&runs)).unwrap();
    assert_graph(&first);
    let second = fold_all(FoldConfig::default(), runs.iter().chain(&metastore)).unwrap();
    assert_graph(&second);
}

#[test]
fn tables_known_from_both_streams_are_one_dataset() {
    let (metastore, runs) = facts();
    let folded = fold_all(FoldConfig::default(), runs.iter().chain(&metastore)).unwrap();
    for ((_, key), record) in &folded.records {
        let CatalogRecord::Dataset(dataset) = record else { continue };
        // A path that is a table of the metastore is a name of it, and no dataset of its own; a log inside is no table.
        let beside = key.starts_with(WAREHOUSE) && dataset.existence != "ignored";
        assert!(!beside, "{key} stands beside its table as {}", dataset.existence);
    }
    let page = |name: &str| match folded.records.get(&(CatalogTopic::Datasets, format!("{METASTORE}/{name}"))) {
        Some(CatalogRecord::Dataset(dataset)) => dataset.clone(),
        other => panic!("{name}: {other:?}"),
    };
    let known = page("orders_by_country");
    assert_eq!((known.existence.as_str(), known.authority.as_str()), ("confirmed", "hms/hive://hms-1.lake:9083"));
    assert!(known.aliases.iter().any(|alias| alias.ends_with("/orders_by_country")), "{:?}", known.aliases);
    let columns: Vec<_> = known.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["country", "dt", "total", "n", "last_ts", "note"]);
    assert_eq!(page("failed_ctas").existence, "dropped");
    // Delta keeps its columns where HMS shows a dummy; the run's output schema is the authority.
    assert_eq!(page("delta_carts").authority, "openlineage/spark");
}
