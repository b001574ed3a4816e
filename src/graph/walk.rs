//! Walks: what lies before or behind datasets and columns, with the edges in between.

use std::collections::{BTreeMap, VecDeque};

use super::layer::Layer;
use super::names::NameId;
use super::{EdgeInfo, Graph, NodeKind};
use crate::model::fact::Origin;

/// Which way to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Against the flow of data: what is it made of.
    Upstream,
    /// With the flow of data: what is made of it.
    Downstream,
}

/// What the nodes of a walk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Datasets, by id.
    Table,
    /// Columns, by `dataset id#field path`; a dependency of a whole dataset is the bare dataset id.
    Column,
}

/// Where a walk ends.
#[derive(Clone, Copy, Debug)]
pub struct WalkLimits {
    /// Most hops; `None` walks to the end.
    pub depth: Option<u32>,
    /// Most nodes; the nearest ones are kept and [`Walk::truncated`] is set.
    pub nodes: usize,
}

impl Default for WalkLimits {
    fn default() -> Self {
        Self { depth: None, nodes: usize::MAX }
    }
}

/// What a walk found. Equal graphs give equal walks, whatever the order in which they were fed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Walk {
    /// Starts included, by distance, then id.
    pub nodes: Vec<WalkNode>,
    /// By source, then target.
    pub edges: Vec<WalkEdge>,
    /// Whether further nodes lie behind the last hop.
    pub more: bool,
    /// Whether the limit on nodes cut the walk.
    pub truncated: bool,
}

/// A node of a walk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WalkNode {
    /// Fewest hops from a start.
    pub distance: u32,
    /// Canonical id.
    pub id: String,
}

/// An edge of a walk, as data flows.
#[derive(Clone, Debug, PartialEq)]
pub struct WalkEdge {
    /// Node that is read.
    pub source: String,
    /// Node that is written.
    pub target: String,
    /// Virtual datasets that it leads through, in order of the flow.
    pub via: Vec<String>,
    /// Who says so, by job.
    pub supporters: Vec<Supporter>,
}

impl WalkEdge {
    /// Whether every supporter is stale.
    pub fn is_stale(&self) -> bool {
        self.supporters.iter().all(|supporter| supporter.stale)
    }
}

/// A job that supports an edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Supporter {
    /// Job id.
    pub job: String,
    /// Table edges: `write` or `modifies`. Column edges: the producer's words.
    pub kind: String,
    /// 0–100.
    pub confidence: i32,
    /// Absent from the newest runs.
    pub stale: bool,
    /// Last success, microseconds, whole hours; `None` if it is not known.
    pub last_seen: Option<i64>,
    /// Transformations, `KIND/SUBTYPE`; empty for table edges.
    pub transformations: Vec<String>,
    /// Whether values are hidden.
    pub masking: bool,
    /// The raw record that caused the edge.
    pub origin: Origin,
}

/// One step to a neighbour that is shown.
pub(super) struct Hop {
    pub(super) node: NameId,
    pub(super) edges: Vec<u32>,
    /// In the order walked.
    pub(super) via: Vec<NameId>,
}

const UNSEEN: u32 = u32::MAX;

/// (read, written, virtual nodes in between) → edge numbers.
type Links = BTreeMap<(NameId, NameId, Vec<NameId>), Vec<u32>>;

impl Graph {
    /// Walks from `starts`, each an id of `level`; other names of datasets are resolved as they are known now.
    pub fn walk(&self, starts: &[&str], level: Level, direction: Direction, limits: WalkLimits) -> Walk {
        let mut distance = vec![UNSEEN; self.layer(level).node_bound().max(self.layer(Level::Table).node_bound())];
        let mut order: Vec<NameId> = Vec::new();
        let mut alone: Vec<String> = Vec::new();
        for start in starts {
            match self.start(start, level) {
                Some(node) if distance.get(node.index()) == Some(&UNSEEN) => {
                    mark(&mut distance, node, 0);
                    order.push(node);
                }
                Some(node) if distance.get(node.index()).is_some() => {}
                _ => alone.push(self.canonical_start(start, level)),
            }
        }
        let mut links = Links::new();
        let mut walk = Walk::default();
        let mut frontier = order.clone();
        let mut depth = 0;
        while !frontier.is_empty() {
            let last_hop = limits.depth.is_some_and(|limit| depth >= limit);
            let mut next = Vec::new();
            for node in frontier {
                for hop in self.hops(level, node, direction) {
                    let seen = distance.get(hop.node.index()).is_some_and(|known| *known != UNSEEN);
                    if last_hop {
                        walk.more |= !seen;
                        continue;
                    }
                    if !seen {
                        mark(&mut distance, hop.node, depth + 1);
                        next.push(hop.node);
                    }
                    let (source, target, mut via) = match direction {
                        Direction::Downstream => (node, hop.node, hop.via),
                        Direction::Upstream => (hop.node, node, hop.via),
                    };
                    if direction == Direction::Upstream {
                        via.reverse();
                    }
                    links.entry((source, target, via)).or_default().extend(hop.edges);
                }
            }
            let room = limits.nodes.saturating_sub(order.len());
            if next.len() > room {
                next.sort_by_cached_key(|node| self.node_text(level, *node));
                for cut in next.split_off(room) {
                    mark(&mut distance, cut, UNSEEN);
                }
                walk.truncated = true;
            }
            order.extend(&next);
            frontier = next;
            depth += 1;
        }
        let kept = |node: NameId| distance.get(node.index()).is_some_and(|known| *known != UNSEEN);
        walk.edges = links
            .into_iter()
            .filter(|((source, target, _), _)| kept(*source) && kept(*target))
            .map(|((source, target, via), edges)| self.edge(level, (source, target), &via, edges))
            .collect();
        walk.edges.sort_by(|a, b| (&a.source, &a.target, &a.via).cmp(&(&b.source, &b.target, &b.via)));
        walk.nodes = order
            .into_iter()
            .map(|node| WalkNode {
                distance: distance.get(node.index()).copied().unwrap_or_default(),
                id: self.node_text(level, node),
            })
            .chain(alone.into_iter().map(|id| WalkNode { distance: 0, id }))
            .collect();
        walk.nodes.sort();
        walk.nodes.dedup();
        walk
    }

    /// Every dataset that lies before or behind one, in no order, without itself. The fastest answer to "how many".
    pub fn reach(&self, start: &str, direction: Direction) -> Vec<&str> {
        let Some(start) = self.start(start, Level::Table) else { return Vec::new() };
        let mut seen = vec![false; self.tables.node_bound()];
        for (seen, kind) in seen.iter_mut().zip(&self.kinds) {
            *seen = *kind == NodeKind::Ignored;
        }
        // Every node is written where the next one goes, and only a new one moves that place on: whether a node is new
        // cannot be foretold, and a branch on it would cost more than all the rest.
        let mut reached = vec![start; seen.len() + 1];
        let (mut next, mut end) = (0, 1);
        if let Some(first) = seen.get_mut(start.index()) {
            *first = true;
        }
        while next < end {
            let node = reached.get(next).copied().unwrap_or_default();
            next += 1;
            for number in self.tables.edges_at(node, direction) {
                let other = self.tables.far_end(*number, direction);
                if let (Some(seen), Some(place)) = (seen.get_mut(other.index()), reached.get_mut(end)) {
                    *place = other;
                    end += usize::from(!*seen);
                    *seen = true;
                }
            }
        }
        let shown = reached.into_iter().take(end).skip(1).filter(|node| self.kind(*node) == NodeKind::Plain);
        shown.map(|node| self.names.text(node)).collect()
    }

    /// The columns of a dataset that take part in column lineage, as node ids, sorted.
    pub fn column_nodes(&self, dataset: &str) -> Vec<String> {
        let Some(name) = self.names.get(dataset) else { return Vec::new() };
        let mut nodes: Vec<String> = self
            .columns
            .of_dataset(self.resolved(name, i64::MAX))
            .into_iter()
            .filter(|column| {
                let both = [Direction::Downstream, Direction::Upstream];
                both.into_iter().any(|direction| !self.fields.edges_at(*column, direction).is_empty())
            })
            .map(|column| self.node_text(Level::Column, column))
            .collect();
        nodes.sort_unstable();
        nodes
    }

    fn layer(&self, level: Level) -> &Layer {
        match level {
            Level::Table => &self.tables,
            Level::Column => &self.fields,
        }
    }

    /// The number of a start, if the graph knows it.
    pub(super) fn start(&self, id: &str, level: Level) -> Option<NameId> {
        match level {
            Level::Table => self.names.get(id).map(|name| self.resolved(name, i64::MAX)),
            Level::Column => {
                let (dataset, field) = split_column(id);
                let dataset = self.names.get(dataset).map(|name| self.resolved(name, i64::MAX))?;
                self.columns.get(dataset, self.names.get(field)?)
            }
        }
    }

    fn canonical_start(&self, id: &str, level: Level) -> String {
        match level {
            Level::Table => self.resolve(id, i64::MAX),
            Level::Column => {
                let (dataset, field) = split_column(id);
                column_text(&self.resolve(dataset, i64::MAX), field)
            }
        }
    }

    pub(super) fn node_text(&self, level: Level, node: NameId) -> String {
        match level {
            Level::Table => self.names.text(node).to_owned(),
            Level::Column => {
                let (dataset, field) = self.columns.parts(node);
                column_text(self.names.text(dataset), self.names.text(field))
            }
        }
    }

    fn kind_of(&self, level: Level, node: NameId) -> NodeKind {
        match level {
            Level::Table => self.kind(node),
            Level::Column => self.kind(self.columns.parts(node).0),
        }
    }

    /// The neighbours that a walk shows: virtual nodes are walked through, each by the shortest way and of several such
    /// ways by the first in alphabetical order, so that it does not matter how the graph came about; ignored ones are left
    /// out.
    pub(super) fn hops(&self, level: Level, node: NameId, direction: Direction) -> Vec<Hop> {
        let mut hops = Vec::new();
        let mut passed: Vec<NameId> = Vec::new();
        let mut open: VecDeque<(NameId, Vec<u32>, Vec<NameId>)> = VecDeque::from([(node, Vec::new(), Vec::new())]);
        while let Some((from, edges, via)) = open.pop_front() {
            let mut through: BTreeMap<String, (NameId, Vec<u32>)> = BTreeMap::new();
            for (other, number) in self.neighbours(level, from, direction) {
                match self.kind_of(level, other) {
                    NodeKind::Ignored => {}
                    NodeKind::Plain => {
                        let edges = edges.iter().copied().chain([number]).collect();
                        hops.push(Hop { node: other, edges, via: via.clone() });
                    }
                    NodeKind::Virtual if passed.contains(&other) || other == node => {}
                    NodeKind::Virtual => {
                        let name = self.node_text(level, other);
                        through.entry(name).or_insert_with(|| (other, Vec::new())).1.push(number);
                    }
                }
            }
            for (other, numbers) in through.into_values() {
                passed.push(other);
                let edges = edges.iter().copied().chain(numbers).collect();
                let via = via.iter().copied().chain([other]).collect();
                open.push_back((other, edges, via));
            }
        }
        hops
    }

    /// Ends and numbers of the edges at a node. Columns also take part in what concerns their whole dataset.
    fn neighbours(&self, level: Level, node: NameId, direction: Direction) -> Vec<(NameId, u32)> {
        let layer = self.layer(level);
        let places = match level {
            Level::Table => vec![node],
            Level::Column => self.column_places(node, direction),
        };
        let mut found = Vec::new();
        for place in places {
            let numbers = layer.edges_at(place, direction).iter();
            found.extend(numbers.map(|number| (layer.far_end(*number, direction), *number)));
        }
        found
    }

    /// A whole dataset that depends on something passes it on to everything made of any of its columns; a column
    /// depends on what its whole dataset depends on.
    fn column_places(&self, column: NameId, direction: Direction) -> Vec<NameId> {
        let (dataset, field) = self.columns.parts(column);
        let is_whole = self.names.text(field).is_empty();
        match (is_whole, direction) {
            (true, Direction::Downstream) => self.columns.of_dataset(dataset),
            (true, Direction::Upstream) => vec![column],
            (false, _) => {
                let whole = self.names.get("").and_then(|empty| self.columns.get(dataset, empty));
                [column].into_iter().chain(whole).collect()
            }
        }
    }

    pub(super) fn edge(&self, level: Level, ends: (NameId, NameId), via: &[NameId], mut numbers: Vec<u32>) -> WalkEdge {
        numbers.sort_unstable();
        numbers.dedup();
        let layer = self.layer(level);
        let mut supporters: Vec<Supporter> =
            numbers.iter().filter_map(|number| layer.edge(*number)).map(|edge| self.supporter(&edge.info)).collect();
        supporters.sort_by(|a, b| {
            (&a.job, &a.kind, &a.transformations, &a.origin).cmp(&(&b.job, &b.kind, &b.transformations, &b.origin))
        });
        WalkEdge {
            source: self.node_text(level, ends.0),
            target: self.node_text(level, ends.1),
            via: via.iter().map(|node| self.node_text(level, *node)).collect(),
            supporters,
        }
    }

    fn supporter(&self, info: &EdgeInfo) -> Supporter {
        let transformations = self.names.text(info.transformations);
        Supporter {
            job: self.names.text(info.job).to_owned(),
            kind: self.names.text(info.kind).to_owned(),
            confidence: info.confidence,
            stale: info.stale,
            last_seen: Some(info.last_seen).filter(|at| *at != i64::MAX),
            transformations: transformations.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            masking: info.masking,
            origin: self.origin(info),
        }
    }
}

fn mark(distance: &mut [u32], node: NameId, value: u32) {
    if let Some(place) = distance.get_mut(node.index()) {
        *place = value;
    }
}

/// Ids encode `#`, so the first one ends the dataset's id.
fn split_column(id: &str) -> (&str, &str) {
    id.split_once('#').unwrap_or((id, ""))
}

fn column_text(dataset: &str, field: &str) -> String {
    if field.is_empty() { dataset.to_owned() } else { format!("{dataset}#{field}") }
}
