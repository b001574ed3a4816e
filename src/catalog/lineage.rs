//! Lineage around a dataset or column: what the graph walked, dressed with names, jobs and confidence. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::ports::Walked;
use super::view::{
    ColumnPair, Direction, Level, LineageEdge, LineageItem, LineageLists, LineageNode, LineageView, Supporter,
    Transformation, time,
};
use crate::model::record::{ColumnLineageRecord, LineageRecord};

/// Most hops of one question; real graphs are far flatter.
pub const MAX_DEPTH: usize = 1000;

/// A question for lineage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineageQuery {
    /// Any spelling of a dataset's id.
    pub dataset: String,
    /// Which way.
    pub direction: Direction,
    /// Hops at most, 1 to [`MAX_DEPTH`].
    pub depth: usize,
    /// What the nodes are.
    pub level: Level,
    /// Start at this column; only at column level. Without it, at all columns of the dataset.
    pub column: Option<String>,
}

/// What is shown of a dataset in a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NodeHead {
    pub(super) name: String,
    pub(super) platform: String,
    pub(super) kind: String,
    pub(super) existence: String,
}

/// What is shown of a job at an edge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct JobHead {
    pub(super) name: String,
    pub(super) integration: String,
    pub(super) job_type: String,
    pub(super) description: Option<String>,
    pub(super) sql: Option<String>,
}

/// Everything that dresses a walk. Endpoints of the records are canonical already.
#[derive(Debug, Default)]
pub(super) struct Wardrobe {
    pub(super) heads: BTreeMap<String, NodeHead>,
    pub(super) jobs: BTreeMap<String, JobHead>,
    pub(super) tables: Vec<LineageRecord>,
    pub(super) columns: Vec<ColumnLineageRecord>,
}

/// The dataset and column of a node.
pub(super) fn node_parts(node: &str) -> (&str, Option<&str>) {
    match node.split_once('#') {
        Some((dataset, column)) => (dataset, Some(column)),
        None => (node, None),
    }
}

/// A column's node.
pub(super) fn column_node(dataset: &str, column: &str) -> String {
    format!("{dataset}#{column}")
}

/// The answer to `query`, whose dataset is `canonical_id`.
pub(super) fn compose(
    query: &LineageQuery,
    canonical_id: &str,
    up: Walked,
    down: Walked,
    wardrobe: &Wardrobe,
) -> LineageView {
    let edges = edges(query.level, up.edges.union(&down.edges), wardrobe);
    let upstream = items(&up, &edges, wardrobe, |edge| (&edge.target, &edge.source));
    let downstream = items(&down, &edges, wardrobe, |edge| (&edge.source, &edge.target));
    LineageView {
        dataset: query.dataset.clone(),
        canonical_id: canonical_id.to_owned(),
        column: query.column.clone(),
        direction: query.direction,
        depth: query.depth,
        level: query.level,
        total_upstream: upstream.len(),
        total_downstream: downstream.len(),
        nodes: nodes(query, canonical_id, &up, &down, wardrobe),
        lineage: LineageLists { upstream, downstream },
        edges,
        more: up.more || down.more,
    }
}

fn nodes(
    query: &LineageQuery,
    canonical_id: &str,
    up: &Walked,
    down: &Walked,
    wardrobe: &Wardrobe,
) -> Vec<LineageNode> {
    let node = |id: &str| {
        let (dataset_id, column) = node_parts(id);
        let head = head(dataset_id, wardrobe);
        LineageNode {
            id: id.to_owned(),
            dataset_id: dataset_id.to_owned(),
            column: column.map(str::to_owned),
            name: head.name,
            platform: head.platform,
            kind: head.kind,
            existence: head.existence,
            upstream_distance: up.distance.get(id).copied(),
            downstream_distance: down.distance.get(id).copied(),
        }
    };
    let start = match (query.level, &query.column) {
        (Level::Column, Some(column)) => column_node(canonical_id, column),
        _ => canonical_id.to_owned(),
    };
    // At column level without a column the walk starts at every column: they are found among the edges' ends.
    let ends = up.edges.iter().chain(&down.edges).flat_map(|(source, target)| [source, target]);
    let mut rest: BTreeSet<&str> =
        up.distance.keys().chain(down.distance.keys()).chain(ends).map(String::as_str).collect();
    rest.remove(start.as_str());
    std::iter::once(start.as_str()).chain(rest).map(node).collect()
}

/// The head of a dataset; its id's last segment stands for the name of one without a page.
fn head(dataset_id: &str, wardrobe: &Wardrobe) -> NodeHead {
    wardrobe.heads.get(dataset_id).cloned().unwrap_or_else(|| NodeHead {
        name: dataset_id.rsplit('/').next().unwrap_or(dataset_id).to_owned(),
        existence: "unknown".to_owned(),
        ..NodeHead::default()
    })
}

fn items<'a>(
    walked: &Walked,
    edges: &'a [LineageEdge],
    wardrobe: &Wardrobe,
    // The edge's end nearer to the start, and the other one.
    near_far: impl Fn(&'a LineageEdge) -> (&'a String, &'a String),
) -> Vec<LineageItem> {
    // For each node, the edges that reach it from one hop nearer.
    let mut reached_by: BTreeMap<&str, Vec<&LineageEdge>> = BTreeMap::new();
    for edge in edges {
        let (near, far) = near_far(edge);
        let hops = |node: &String| walked.distance.get(node).copied().unwrap_or(0);
        if hops(near) + 1 == hops(far) {
            reached_by.entry(far).or_default().push(edge);
        }
    }
    let mut items: Vec<_> = walked
        .distance
        .iter()
        .map(|(node, &distance)| {
            let (dataset_id, column) = node_parts(node);
            let head = head(dataset_id, wardrobe);
            let supporters = reached_by.get(node.as_str()).into_iter().flatten().flat_map(|edge| &edge.supporters);
            let best = supporters.min_by_key(|supporter| (supporter.stale, &supporter.job_id));
            LineageItem {
                dataset_id: dataset_id.to_owned(),
                column: column.map(str::to_owned),
                name: head.name,
                platform: head.platform,
                distance,
                transformation: best.map(|supporter| transformation(supporter, wardrobe)),
            }
        })
        .collect();
    items.sort_by(|a, b| (a.distance, &a.dataset_id, &a.column).cmp(&(b.distance, &b.dataset_id, &b.column)));
    items
}

fn transformation(supporter: &Supporter, wardrobe: &Wardrobe) -> Transformation {
    let job = wardrobe.jobs.get(&supporter.job_id).cloned().unwrap_or_default();
    Transformation {
        job_id: supporter.job_id.clone(),
        job_type: [job.integration, job.job_type]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/"),
        description: job.description,
        sql: job.sql,
        last_run: supporter.last_seen.clone(),
    }
}

fn edges<'a>(
    level: Level,
    walked: impl Iterator<Item = &'a (String, String)>,
    wardrobe: &Wardrobe,
) -> Vec<LineageEdge> {
    let mut supporters: BTreeMap<(String, String), Vec<(Supporter, String)>> = BTreeMap::new();
    let mut pairs: BTreeMap<(String, String), BTreeMap<(String, String), ColumnPair>> = BTreeMap::new();
    match level {
        Level::Table => {
            for record in &wardrobe.tables {
                let supporter = (table_supporter(record, wardrobe), record.kind.clone());
                supporters.entry((record.source.clone(), record.target.clone())).or_default().push(supporter);
            }
            for record in &wardrobe.columns {
                let key = (record.source_field.clone(), record.target_field.clone());
                let ends = (record.source.clone(), record.target.clone());
                pairs
                    .entry(ends)
                    .or_default()
                    .entry(key)
                    .and_modify(|pair| widen(pair, record))
                    .or_insert_with(|| pair(record));
            }
        }
        Level::Column => {
            for record in &wardrobe.columns {
                let source = column_node(&record.source, &record.source_field);
                let target = column_node(&record.target, &record.target_field);
                let kind = if source == target { "modifies" } else { "write" };
                let supporter = (column_supporter(record, wardrobe), kind.to_owned());
                supporters.entry((source, target)).or_default().push(supporter);
            }
        }
    }
    walked
        .map(|ends| {
            let mut supporters = supporters.remove(ends).unwrap_or_default();
            supporters.sort_by(|(a, _), (b, _)| (a.stale, &a.job_id).cmp(&(b.stale, &b.job_id)));
            let (source, target) = ends.clone();
            LineageEdge {
                kind: supporters.first().map_or_else(
                    || if source == target { "modifies" } else { "write" }.to_owned(),
                    |(_, kind)| kind.clone(),
                ),
                confidence: supporters.iter().map(|(supporter, _)| supporter.confidence).max().unwrap_or(0),
                stale: !supporters.is_empty() && supporters.iter().all(|(supporter, _)| supporter.stale),
                columns: pairs.remove(ends).map(|pairs| pairs.into_values().collect()).unwrap_or_default(),
                supporters: supporters.into_iter().map(|(supporter, _)| supporter).collect(),
                source,
                target,
            }
        })
        .collect()
}

fn pair(record: &ColumnLineageRecord) -> ColumnPair {
    ColumnPair {
        source_column: record.source_field.clone(),
        target_column: record.target_field.clone(),
        transformations: record.transformations.clone(),
        masking: record.masking,
        unmapped: record.unmapped,
    }
}

/// Two jobs that write the same pair: all transformations; values are hidden only if every job hides them.
fn widen(pair: &mut ColumnPair, record: &ColumnLineageRecord) {
    let all: BTreeSet<_> = pair.transformations.drain(..).chain(record.transformations.iter().cloned()).collect();
    pair.transformations = all.into_iter().collect();
    pair.masking &= record.masking;
    pair.unmapped &= record.unmapped;
}

fn job_words(job: &str, wardrobe: &Wardrobe) -> (String, String) {
    wardrobe
        .jobs
        .get(job)
        .map_or_else(|| (job.to_owned(), String::new()), |head| (head.name.clone(), head.integration.clone()))
}

fn table_supporter(record: &LineageRecord, wardrobe: &Wardrobe) -> Supporter {
    let (job_name, integration) = job_words(&record.job, wardrobe);
    Supporter {
        job_id: record.job.clone(),
        job_name,
        integration,
        confidence: record.confidence,
        stale: record.stale,
        transformations: Vec::new(),
        masking: false,
        first_seen: Some(time(record.first_seen)),
        last_seen: Some(time(record.last_seen)),
        runs: Some(record.runs),
        run: Some(record.run.clone()),
        origin: record.origin.clone().into(),
    }
}

fn column_supporter(record: &ColumnLineageRecord, wardrobe: &Wardrobe) -> Supporter {
    let (job_name, integration) = job_words(&record.job, wardrobe);
    Supporter {
        job_id: record.job.clone(),
        job_name,
        integration,
        confidence: record.confidence,
        stale: record.stale,
        transformations: record.transformations.clone(),
        masking: record.masking,
        first_seen: None,
        last_seen: None,
        runs: None,
        run: None,
        origin: record.origin.clone().into(),
    }
}
