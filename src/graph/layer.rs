//! Edges of one level with their adjacency in both directions. Knows numbers only.

use std::collections::HashMap;

use super::names::NameId;
use super::{EdgeInfo, EdgeKey};

/// Source and target.
pub(super) type Ends = (NameId, NameId);

#[derive(Debug)]
pub(super) struct Edge {
    /// As reported.
    reported: Ends,
    /// As walks see them.
    pub(super) ends: Ends,
    pub(super) info: EdgeInfo,
}

/// Edge numbers of one node.
#[derive(Clone, Debug, Default)]
struct Node {
    reported: Vec<u32>,
    out: Vec<u32>,
    into: Vec<u32>,
}

#[derive(Debug, Default)]
pub(super) struct Layer {
    edges: Vec<Option<Edge>>,
    free: Vec<u32>,
    by_key: HashMap<EdgeKey, u32>,
    nodes: Vec<Node>,
}

impl Layer {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// All edges with their keys, in no order.
    pub(super) fn keyed(&self) -> impl Iterator<Item = (EdgeKey, &Edge)> {
        self.by_key.iter().filter_map(|(key, number)| Some((*key, self.edge(*number)?)))
    }

    /// Nodes that have edges.
    pub(super) fn nodes(&self) -> usize {
        self.nodes.iter().filter(|node| !(node.out.is_empty() && node.into.is_empty())).count()
    }

    /// One more than the largest node number.
    pub(super) fn node_bound(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn put(&mut self, key: EdgeKey, reported: Ends, ends: Ends, info: EdgeInfo) {
        if let Some(number) = self.by_key.get(&key).copied() {
            let slot = self.edges.get_mut(number as usize).expect("keys point at edges");
            if let Some(edge) = slot
                && edge.reported == reported
                && edge.ends == ends
            {
                edge.info = info;
                return;
            }
            self.remove(key);
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.edges.push(None);
            u32::try_from(self.edges.len() - 1).expect("four billion edges do not fit into memory")
        });
        for end in [reported.0, reported.1] {
            let list = &mut self.node(end).reported;
            if list.last() != Some(&number) {
                list.push(number);
            }
        }
        self.attach(number, ends);
        if let Some(slot) = self.edges.get_mut(number as usize) {
            *slot = Some(Edge { reported, ends, info });
        }
        self.by_key.insert(key, number);
    }

    pub(super) fn remove(&mut self, key: EdgeKey) {
        let Some(number) = self.by_key.remove(&key) else { return };
        let Some(edge) = self.edges.get_mut(number as usize).and_then(Option::take) else { return };
        self.detach(number, edge.ends);
        for end in [edge.reported.0, edge.reported.1] {
            forget(&mut self.node(end).reported, number);
        }
        self.free.push(number);
    }

    /// Gives an edge other ends.
    pub(super) fn relink(&mut self, number: u32, ends: Ends) {
        let Some(Some(edge)) = self.edges.get_mut(number as usize) else { return };
        let before = std::mem::replace(&mut edge.ends, ends);
        if before != ends {
            self.detach(number, before);
            self.attach(number, ends);
        }
    }

    pub(super) fn reported_by(&self, node: NameId) -> Vec<u32> {
        self.nodes.get(node.index()).map(|node| node.reported.clone()).unwrap_or_default()
    }

    /// An edge's ends as reported and the time that resolves them.
    pub(super) fn reported_ends(&self, number: u32) -> Option<(Ends, i64)> {
        self.edge(number).map(|edge| (edge.reported, edge.info.last_seen))
    }

    /// Sets when an edge was seen; answers its number and its ends as reported.
    pub(super) fn retime(&mut self, key: EdgeKey, last_seen: i64) -> Option<(u32, Ends)> {
        let number = *self.by_key.get(&key)?;
        let edge = self.edges.get_mut(number as usize)?.as_mut()?;
        edge.info.last_seen = last_seen;
        Some((number, edge.reported))
    }

    /// Who supports an edge, and its ends as reported.
    pub(super) fn supporter_of(&self, key: EdgeKey) -> Option<(NameId, Ends)> {
        let edge = self.edge(*self.by_key.get(&key)?)?;
        Some((edge.info.job, edge.reported))
    }

    pub(super) fn edge(&self, number: u32) -> Option<&Edge> {
        self.edges.get(number as usize).and_then(Option::as_ref)
    }

    /// Edges that leave a node.
    pub(super) fn outgoing(&self, node: NameId) -> &[u32] {
        self.nodes.get(node.index()).map(|node| node.out.as_slice()).unwrap_or_default()
    }

    /// Edges that enter a node.
    pub(super) fn incoming(&self, node: NameId) -> &[u32] {
        self.nodes.get(node.index()).map(|node| node.into.as_slice()).unwrap_or_default()
    }

    fn attach(&mut self, number: u32, ends: Ends) {
        self.node(ends.0).out.push(number);
        self.node(ends.1).into.push(number);
    }

    fn detach(&mut self, number: u32, ends: Ends) {
        forget(&mut self.node(ends.0).out, number);
        forget(&mut self.node(ends.1).into, number);
    }

    fn node(&mut self, node: NameId) -> &mut Node {
        if self.nodes.len() <= node.index() {
            self.nodes.resize(node.index() + 1, Node::default());
        }
        self.nodes.get_mut(node.index()).expect("resized if it was missing")
    }
}

/// Removes a number; the order of the rest does not matter, walks sort.
fn forget(list: &mut Vec<u32>, number: u32) {
    if let Some(place) = list.iter().position(|candidate| *candidate == number) {
        list.swap_remove(place);
    }
}
