//! Lineage around a dataset or column: what the graph walked, dressed with names, jobs and counts. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{
    ColumnPair, Direction, Level, LineageEdge, LineageItem, LineageLists, LineageNode, LineageSummary, LineageView,
    Neighbour, Supporter, Transformation, time,
};
use crate::graph::{self, Walk, WalkEdge};
use crate::model::record::{ColumnLineageRecord, LineageRecord};

/// Most hops of one question; real graphs are far flatter.
pub const MAX_DEPTH: u32 = 1000;

/// A question for lineage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineageQuery {
    /// Any spelling of a dataset's id.
    pub dataset: String,
    /// Which way.
    pub direction: Direction,
    /// Hops at most, 1 to [`MAX_DEPTH`].
    pub depth: u32,
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

/// Everything that dresses a walk.
#[derive(Debug, Default)]
pub(super) struct Wardrobe {
    pub(super) heads: BTreeMap<String, NodeHead>,
    pub(super) jobs: BTreeMap<String, JobHead>,
    /// (job, canonical source, canonical target) → the edge's record.
    pub(super) tables: BTreeMap<(String, String, String), LineageRecord>,
    /// (canonical source, canonical target) → column edges.
    pub(super) columns: BTreeMap<(String, String), Vec<ColumnLineageRecord>>,
}

/// Both directions of a walk; the one that was not asked for is empty.
#[derive(Debug, Default)]
pub(super) struct Walks {
    pub(super) up: Walk,
    pub(super) down: Walk,
}

impl Walks {
    /// The edges of both, each once.
    pub(super) fn edges(&self) -> Vec<&WalkEdge> {
        let mut seen = BTreeSet::new();
        let both = self.up.edges.iter().chain(&self.down.edges);
        both.filter(|edge| seen.insert((&edge.source, &edge.target, &edge.via))).collect()
    }

    /// Every node that is shown, starts included.
    pub(super) fn nodes(&self) -> BTreeSet<&str> {
        self.up.nodes.iter().chain(&self.down.nodes).map(|node| node.id.as_str()).collect()
    }

    /// The jobs that support an edge.
    pub(super) fn jobs(&self) -> Vec<String> {
        let jobs = self.edges().into_iter().flat_map(|edge| &edge.supporters).map(|supporter| supporter.job.clone());
        jobs.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// The dataset and column of a node. Ids encode `#`, so the first one ends the dataset's.
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
    starts: &[String],
    walks: &Walks,
    wardrobe: &Wardrobe,
) -> LineageView {
    let edges: Vec<_> = walks.edges().into_iter().map(|edge| edge_view(edge, wardrobe)).collect();
    let upstream = items(&walks.up, &edges, wardrobe, |edge| (&edge.target, &edge.source));
    let downstream = items(&walks.down, &edges, wardrobe, |edge| (&edge.source, &edge.target));
    LineageView {
        dataset: query.dataset.clone(),
        canonical_id: canonical_id.to_owned(),
        column: query.column.clone(),
        direction: query.direction,
        depth: query.depth,
        level: query.level,
        total_upstream: upstream.len(),
        total_downstream: downstream.len(),
        nodes: nodes(starts, walks, wardrobe),
        lineage: LineageLists { upstream, downstream },
        edges,
        more: walks.up.more || walks.down.more,
    }
}

/// One hop around the dataset `id`, for its page.
pub(super) fn summary(id: &str, walks: &Walks, wardrobe: &Wardrobe) -> LineageSummary {
    let neighbours = |walk: &Walk, far: fn(&LineageEdge) -> &String| -> Vec<Neighbour> {
        let edges = walk.edges.iter().map(|edge| edge_view(edge, wardrobe));
        let mut all: Vec<_> = edges
            .flat_map(|edge| {
                let dataset_id = far(&edge).clone();
                edge.supporters.into_iter().map(move |supporter| Neighbour {
                    dataset_id: dataset_id.clone(),
                    via: edge.via.clone(),
                    kind: edge.kind.clone(),
                    supporter,
                })
            })
            .collect();
        all.sort_by(|a, b| {
            let key = |n: &Neighbour| (n.dataset_id.clone(), n.supporter.stale, n.supporter.job_id.clone());
            key(a).cmp(&key(b))
        });
        all
    };
    let mut downstream = neighbours(&walks.down, |edge| &edge.target);
    // A job that changes the dataset in place stands among what it is made of, once.
    downstream.retain(|neighbour| neighbour.dataset_id != id);
    LineageSummary { upstream: neighbours(&walks.up, |edge| &edge.source), downstream }
}

fn nodes(starts: &[String], walks: &Walks, wardrobe: &Wardrobe) -> Vec<LineageNode> {
    let hops = |walk: &Walk| -> BTreeMap<String, u32> {
        walk.nodes.iter().filter(|node| node.distance > 0).map(|node| (node.id.clone(), node.distance)).collect()
    };
    let (up, down) = (hops(&walks.up), hops(&walks.down));
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
            upstream_distance: up.get(id).copied(),
            downstream_distance: down.get(id).copied(),
        }
    };
    let mut rest = walks.nodes();
    let first: Vec<&str> = starts.iter().map(String::as_str).collect();
    first.iter().for_each(|start| {
        rest.remove(start);
    });
    first.into_iter().chain(rest).map(node).collect()
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
    walk: &Walk,
    edges: &'a [LineageEdge],
    wardrobe: &Wardrobe,
    // The edge's end nearer to the start, and the other one.
    near_far: impl Fn(&'a LineageEdge) -> (&'a String, &'a String),
) -> Vec<LineageItem> {
    let hops: BTreeMap<&str, u32> = walk.nodes.iter().map(|node| (node.id.as_str(), node.distance)).collect();
    // For each node, the edges that reach it from one hop nearer.
    let mut reached_by: BTreeMap<&str, Vec<&LineageEdge>> = BTreeMap::new();
    for edge in edges {
        let (near, far) = near_far(edge);
        if let (Some(near), Some(distance)) = (hops.get(near.as_str()), hops.get(far.as_str()))
            && near + 1 == *distance
        {
            reached_by.entry(far).or_default().push(edge);
        }
    }
    let reached = walk.nodes.iter().filter(|node| node.distance > 0).map(|node| {
        let (dataset_id, column) = node_parts(&node.id);
        let head = head(dataset_id, wardrobe);
        let supporters = reached_by.get(node.id.as_str()).into_iter().flatten().flat_map(|edge| &edge.supporters);
        let best = supporters.min_by_key(|supporter| (supporter.stale, &supporter.job_id));
        LineageItem {
            dataset_id: dataset_id.to_owned(),
            column: column.map(str::to_owned),
            name: head.name,
            platform: head.platform,
            distance: node.distance,
            transformation: best.map(|supporter| transformation(supporter, wardrobe)),
        }
    });
    let mut items: Vec<_> = reached.collect();
    items.sort_by(|a, b| (a.distance, &a.dataset_id, &a.column).cmp(&(b.distance, &b.dataset_id, &b.column)));
    items
}

fn transformation(supporter: &Supporter, wardrobe: &Wardrobe) -> Transformation {
    let job = wardrobe.jobs.get(&supporter.job_id).cloned().unwrap_or_default();
    let words = [job.integration, job.job_type];
    Transformation {
        job_id: supporter.job_id.clone(),
        job_type: words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("/"),
        description: job.description,
        sql: job.sql,
        last_run: supporter.last_seen.clone(),
    }
}

fn edge_view(walked: &WalkEdge, wardrobe: &Wardrobe) -> LineageEdge {
    let mut supporters =
        each_once(walked.supporters.iter().map(|supporter| self::supporter(walked, supporter, wardrobe)));
    supporters.sort_by(|a, b| (a.stale, &a.job_id).cmp(&(b.stale, &b.job_id)));
    let ends = (walked.source.clone(), walked.target.clone());
    LineageEdge {
        kind: if walked.source == walked.target { "modifies" } else { "write" }.to_owned(),
        confidence: supporters.iter().map(|supporter| supporter.confidence).max().unwrap_or(0),
        stale: walked.is_stale(),
        columns: wardrobe.columns.get(&ends).map(|records| pairs(records)).unwrap_or_default(),
        via: walked.via.clone(),
        supporters,
        source: ends.0,
        target: ends.1,
    }
}

/// The column pairs of all jobs, each pair once. Values are hidden only if every job hides them.
fn pairs(records: &[ColumnLineageRecord]) -> Vec<ColumnPair> {
    let mut pairs: BTreeMap<(&str, &str), (BTreeSet<&str>, bool, bool)> = BTreeMap::new();
    for record in records {
        let key = (record.source_field.as_str(), record.target_field.as_str());
        let (transformations, masking, unmapped) = pairs.entry(key).or_insert_with(|| (BTreeSet::new(), true, true));
        transformations.extend(record.transformations.iter().map(String::as_str));
        *masking &= record.masking;
        *unmapped &= record.unmapped;
    }
    let view =
        |((source, target), (transformations, masking, unmapped)): ((&str, &str), (BTreeSet<&str>, bool, bool))| {
            ColumnPair {
                source_column: source.to_owned(),
                target_column: target.to_owned(),
                transformations: transformations.into_iter().map(str::to_owned).collect(),
                masking,
                unmapped,
            }
        };
    pairs.into_iter().map(view).collect()
}

fn supporter(walked: &WalkEdge, supporter: &graph::Supporter, wardrobe: &Wardrobe) -> Supporter {
    let job = wardrobe.jobs.get(&supporter.job);
    let key = (supporter.job.clone(), walked.source.clone(), walked.target.clone());
    let record = wardrobe.tables.get(&key);
    Supporter {
        job_id: supporter.job.clone(),
        job_name: job.map_or_else(|| supporter.job.clone(), |head| head.name.clone()),
        integration: job.map(|head| head.integration.clone()).unwrap_or_default(),
        confidence: supporter.confidence,
        stale: supporter.stale,
        transformations: supporter.transformations.clone(),
        masking: supporter.masking,
        first_seen: record.map(|record| time(record.first_seen)),
        last_seen: supporter.last_seen.map(time),
        runs: record.map(|record| record.runs),
        run: record.map(|record| record.run.clone()),
        origin: supporter.origin.clone().into(),
    }
}

/// Jobs, each once: one may support an edge by several names of its ends, a column edge also by what the whole dataset
/// depends on. Values are hidden only if they are on each way.
fn each_once(supporters: impl Iterator<Item = Supporter>) -> Vec<Supporter> {
    let mut jobs: BTreeMap<String, Supporter> = BTreeMap::new();
    for one in supporters {
        let Some(known) = jobs.get_mut(&one.job_id) else {
            jobs.insert(one.job_id.clone(), one);
            continue;
        };
        known.confidence = known.confidence.max(one.confidence);
        known.stale &= one.stale;
        known.masking &= one.masking;
        known.transformations.extend(one.transformations);
        known.transformations.sort();
        known.transformations.dedup();
        known.first_seen = [known.first_seen.take(), one.first_seen].into_iter().flatten().min();
        // What is known of the newer success; times are all spelled alike.
        if one.last_seen > known.last_seen {
            (known.last_seen, known.runs, known.run, known.origin) = (one.last_seen, one.runs, one.run, one.origin);
        }
    }
    jobs.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{EdgeKey, Graph, NodeKind, WalkLimits};
    use crate::model::fact::Origin;

    const HOUR: i64 = 3_600_000_000;

    fn edge(job: &str, source: &str, target: &str) -> LineageRecord {
        let origin = Origin { topic: "openlineage.events".into(), partition: 0, offset: 1 };
        let [job, source, target] = [job, source, target].map(str::to_owned);
        let (kind, run) = ("write".to_owned(), "r".to_owned());
        let (first_seen, last_seen) = (0, HOUR);
        LineageRecord {
            job,
            source,
            target,
            kind,
            confidence: 80,
            first_seen,
            last_seen,
            runs: 2,
            stale: false,
            run,
            origin,
        }
    }

    fn walks(edges: &[LineageRecord], start: &str) -> (Walks, Wardrobe) {
        let mut graph = Graph::new();
        let mut wardrobe = Wardrobe::default();
        for edge in edges {
            graph.put_lineage(EdgeKey::of(&format!("{}|{}|{}", edge.job, edge.source, edge.target)), edge);
            let key = (edge.job.clone(), edge.source.clone(), edge.target.clone());
            wardrobe.tables.insert(key, edge.clone());
        }
        graph.put_node("s3://b/cte", NodeKind::Virtual);
        let walk = |way| graph.walk(&[start], graph::Level::Table, way, WalkLimits::default());
        (Walks { up: walk(graph::Direction::Upstream), down: walk(graph::Direction::Downstream) }, wardrobe)
    }

    fn ask(direction: Direction) -> LineageQuery {
        LineageQuery { dataset: "s3://b/t".into(), direction, depth: 9, level: Level::Table, column: None }
    }

    #[test]
    fn a_table_changed_in_place_is_its_own_upstream_once() {
        let (walks, wardrobe) = walks(&[edge("job://n/merge", "s3://b/t", "s3://b/t")], "s3://b/t");
        let summary = summary("s3://b/t", &walks, &wardrobe);
        let kinds: Vec<_> = summary.upstream.iter().map(|n| (n.dataset_id.as_str(), n.kind.as_str())).collect();
        assert_eq!(kinds, [("s3://b/t", "modifies")]);
        assert_eq!(summary.downstream, []);
        let view = compose(&ask(Direction::Both), "s3://b/t", &["s3://b/t".to_owned()], &walks, &wardrobe);
        assert_eq!((view.total_upstream, view.total_downstream), (0, 0), "it is no hop away from itself");
        assert_eq!((view.nodes.len(), view.edges.len()), (1, 1));
    }

    #[test]
    fn an_edge_through_an_ephemeral_model_keeps_its_jobs() {
        let edges = [edge("job://n/a", "s3://b/raw", "s3://b/cte"), edge("job://n/b", "s3://b/cte", "s3://b/t")];
        let (walks, wardrobe) = walks(&edges, "s3://b/t");
        let view = compose(&ask(Direction::Upstream), "s3://b/t", &["s3://b/t".to_owned()], &walks, &wardrobe);
        assert_eq!(view.lineage.upstream.len(), 1);
        let [edge] = view.edges.as_slice() else { panic!("{:?}", view.edges) };
        assert_eq!((edge.source.as_str(), edge.via.as_slice()), ("s3://b/raw", &["s3://b/cte".to_owned()][..]));
        let jobs: Vec<_> = edge.supporters.iter().map(|supporter| supporter.job_id.as_str()).collect();
        assert_eq!(jobs, ["job://n/a", "job://n/b"]);
        assert_eq!(edge.supporters[0].run, None, "a half of it is no edge of its own");
    }

    #[test]
    fn a_job_that_supports_a_column_in_several_ways_is_told_once() {
        let column = |field: &str, transformation: &str, masking: bool| ColumnLineageRecord {
            job: "job://n/a".into(),
            source: "s3://b/raw".into(),
            source_field: "x".into(),
            target: "s3://b/t".into(),
            target_field: field.into(),
            transformations: vec![transformation.into()],
            description: String::new(),
            masking,
            unmapped: false,
            confidence: 80,
            stale: false,
            first_seen: None,
            last_seen: None,
            origin: Origin { topic: "openlineage.events".into(), partition: 0, offset: 1 },
        };
        let mut graph = Graph::new();
        for record in [column("y", "DIRECT/IDENTITY", true), column("", "INDIRECT/GROUP_BY", false)] {
            graph.put_column_lineage(EdgeKey::of(&record.target_field), &record);
        }
        let up = graph.walk(&["s3://b/t#y"], graph::Level::Column, graph::Direction::Upstream, WalkLimits::default());
        let walks = Walks { up, down: graph::Walk::default() };
        let query = LineageQuery { level: Level::Column, column: Some("y".into()), ..ask(Direction::Upstream) };
        let view = compose(&query, "s3://b/t", &["s3://b/t#y".to_owned()], &walks, &Wardrobe::default());
        let [edge] = view.edges.as_slice() else { panic!("{:?}", view.edges) };
        let [job] = edge.supporters.as_slice() else { panic!("{:?}", edge.supporters) };
        assert_eq!(job.transformations, ["DIRECT/IDENTITY", "INDIRECT/GROUP_BY"]);
        assert!(!job.masking, "the grouping shows the values");
    }

    #[test]
    fn a_supporter_says_since_when_and_how_often() {
        let (walks, wardrobe) = walks(&[edge("job://n/a", "s3://b/raw", "s3://b/t")], "s3://b/t");
        let view = compose(&ask(Direction::Both), "s3://b/t", &["s3://b/t".to_owned()], &walks, &wardrobe);
        let supporter = &view.edges[0].supporters[0];
        assert_eq!(supporter.first_seen.as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(supporter.last_seen.as_deref(), Some("1970-01-01T01:00:00Z"));
        assert_eq!((supporter.runs, supporter.run.as_deref(), supporter.confidence), (Some(2), Some("r"), 80));
        assert_eq!((supporter.job_name.as_str(), view.nodes[1].existence.as_str()), ("job://n/a", "unknown"));
    }
}
