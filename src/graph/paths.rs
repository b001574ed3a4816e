//! Paths of a column's values through the graph.

use std::collections::HashSet;

use super::Graph;
use super::names::NameId;
use super::walk::{Direction, Hop, Level, WalkEdge};

/// Where the search for paths ends.
#[derive(Clone, Copy, Debug)]
pub struct PathLimits {
    /// Most hops of a path.
    pub hops: u32,
    /// Most paths.
    pub paths: usize,
}

impl Default for PathLimits {
    fn default() -> Self {
        Self { hops: 16, paths: 100 }
    }
}

/// One hop of a path; the edge with all its supporters.
pub type PathStep = WalkEdge;

/// A way from one column to another, in order of the flow.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnPath {
    /// Its hops.
    pub steps: Vec<PathStep>,
}

impl Graph {
    /// All simple paths from one column to another (`dataset id#field path`), shortest first, then by ids.
    pub fn column_paths(&self, from: &str, to: &str, limits: PathLimits) -> Vec<ColumnPath> {
        let (Some(from), Some(to)) = (self.start(from, Level::Column), self.start(to, Level::Column)) else {
            return Vec::new();
        };
        let useful = self.all_before(to);
        let mut found = Vec::new();
        // Breadth first, so that the limit keeps the shortest ones.
        let mut open: Vec<Vec<(NameId, usize)>> = vec![vec![]];
        let mut hops_of: Vec<Hop> = Vec::new();
        for _ in 0..limits.hops {
            let mut next = Vec::new();
            for path in open {
                let end = path.last().map_or(from, |(node, _)| *node);
                let mut hops = self.hops(Level::Column, end, Direction::Downstream);
                hops.retain(|hop| {
                    let again = hop.node == from || path.iter().any(|(node, _)| *node == hop.node);
                    !again && (hop.node == to || useful.contains(&hop.node))
                });
                hops.sort_by_cached_key(|hop| self.node_text(Level::Column, hop.node));
                for hop in merged(hops) {
                    let node = hop.node;
                    hops_of.push(hop);
                    let longer: Vec<_> = path.iter().copied().chain([(node, hops_of.len() - 1)]).collect();
                    if node == to {
                        found.push(longer);
                    } else {
                        next.push(longer);
                    }
                    if found.len() >= limits.paths {
                        return self.as_paths(from, found, &hops_of);
                    }
                }
                // Partial paths may multiply; as many as paths are wanted, of each length, are enough to go on with.
                if next.len() > limits.paths.saturating_mul(64) {
                    break;
                }
            }
            open = next;
        }
        self.as_paths(from, found, &hops_of)
    }

    fn as_paths(&self, from: NameId, found: Vec<Vec<(NameId, usize)>>, hops: &[Hop]) -> Vec<ColumnPath> {
        found
            .into_iter()
            .map(|path| {
                let mut source = from;
                let steps = path
                    .into_iter()
                    .filter_map(|(target, index)| {
                        let hop = hops.get(index)?;
                        let step = self.edge(Level::Column, (source, target), &hop.via, hop.edges.clone());
                        source = target;
                        Some(step)
                    })
                    .collect();
                ColumnPath { steps }
            })
            .collect()
    }

    /// Every column that `to` depends on.
    fn all_before(&self, to: NameId) -> HashSet<NameId> {
        let mut seen = HashSet::new();
        let mut open = vec![to];
        while let Some(node) = open.pop() {
            for hop in self.hops(Level::Column, node, Direction::Upstream) {
                if seen.insert(hop.node) {
                    open.push(hop.node);
                }
            }
        }
        seen
    }
}

/// Hops to the same node through the same virtual nodes as one. `hops` are sorted by node.
fn merged(hops: Vec<Hop>) -> Vec<Hop> {
    let mut merged: Vec<Hop> = Vec::with_capacity(hops.len());
    for hop in hops {
        match merged.iter_mut().find(|known| known.node == hop.node && known.via == hop.via) {
            Some(known) => known.edges.extend(hop.edges),
            None => merged.push(hop),
        }
    }
    merged
}
