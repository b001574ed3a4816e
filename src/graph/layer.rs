//! Edges of one level with their adjacency in both directions. Knows numbers only.

use foldhash::HashMap;
use smallvec::SmallVec;

use super::names::NameId;
use super::walk::Direction;
use super::{EdgeInfo, EdgeKey};

/// Source and target.
pub(super) type Ends = (NameId, NameId);

#[derive(Debug)]
pub(super) struct Edge {
    /// As reported.
    pub(super) reported: Ends,
    pub(super) info: EdgeInfo,
}

/// As large as a `Vec`, and most nodes have no more edges than it holds.
type Numbers = SmallVec<[u32; 4]>;

#[derive(Debug, Default)]
pub(super) struct Layer {
    edges: Vec<Option<Edge>>,
    /// By edge number: its ends as walks see them. Apart from the rest and from each other, since a closure over all edges
    /// then reads little memory.
    sources: Vec<NameId>,
    targets: Vec<NameId>,
    free: Vec<u32>,
    by_key: HashMap<EdgeKey, u32>,
    /// By node: the edges that leave it. The two directions lie apart, for a walk goes only one way.
    out: Vec<Numbers>,
    /// By node: the edges that enter it.
    into: Vec<Numbers>,
    /// Edges that were reported with this end, where walks see another one.
    moved: HashMap<NameId, Vec<u32>>,
}

impl Layer {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn reserve(&mut self, edges: usize) {
        self.edges.reserve(edges);
        self.sources.reserve(edges);
        self.targets.reserve(edges);
        self.by_key.reserve(edges);
    }

    /// All edges with their keys, in no order.
    pub(super) fn keyed(&self) -> impl Iterator<Item = (EdgeKey, Ends, &Edge)> {
        self.by_key.iter().filter_map(|(key, number)| Some((*key, self.ends(*number), self.edge(*number)?)))
    }

    /// Nodes that have edges.
    pub(super) fn nodes(&self) -> usize {
        self.out.iter().zip(&self.into).filter(|(out, into)| !(out.is_empty() && into.is_empty())).count()
    }

    /// One more than the largest node number.
    pub(super) fn node_bound(&self) -> usize {
        self.out.len()
    }

    pub(super) fn put(&mut self, key: EdgeKey, reported: Ends, ends: Ends, info: EdgeInfo) {
        if let Some(number) = self.by_key.get(&key).copied() {
            let same_ends = self.ends(number) == ends;
            let slot = self.edges.get_mut(number as usize).expect("keys point at edges");
            if let Some(edge) = slot
                && edge.reported == reported
                && same_ends
            {
                edge.info = info;
                return;
            }
            self.remove(key);
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.edges.push(None);
            self.sources.push(ends.0);
            self.targets.push(ends.1);
            u32::try_from(self.edges.len() - 1).expect("four billion edges do not fit into memory")
        });
        self.attach(number, reported, ends);
        if let Some(slot) = self.edges.get_mut(number as usize) {
            *slot = Some(Edge { reported, info });
        }
        self.by_key.insert(key, number);
    }

    pub(super) fn remove(&mut self, key: EdgeKey) {
        let Some(number) = self.by_key.remove(&key) else { return };
        let Some(edge) = self.edges.get_mut(number as usize).and_then(Option::take) else { return };
        self.detach(number, edge.reported, self.ends(number));
        self.free.push(number);
    }

    /// Gives an edge other ends.
    pub(super) fn relink(&mut self, number: u32, ends: Ends) {
        let Some(reported) = self.edge(number).map(|edge| edge.reported) else { return };
        let before = self.ends(number);
        if before != ends {
            self.detach(number, reported, before);
            self.attach(number, reported, ends);
        }
    }

    /// Edges that were reported with this end.
    pub(super) fn reported_by(&self, node: NameId) -> Vec<u32> {
        let moved = self.moved.get(&node).map(Vec::as_slice).unwrap_or_default();
        let [out, into] = [Direction::Downstream, Direction::Upstream].map(|direction| self.edges_at(node, direction));
        let there = [out, into, moved].concat().into_iter();
        let mut numbers: Vec<u32> = there
            .filter(|number| self.edge(*number).is_some_and(|edge| edge.reported.0 == node || edge.reported.1 == node))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// The edge of a job between two ends, as reported.
    pub(super) fn reported(&self, job: NameId, ends: Ends) -> Option<&Edge> {
        let moved = |end: NameId| self.moved.get(&end).map(Vec::as_slice).unwrap_or_default();
        let from = [self.edges_at(ends.0, Direction::Downstream), moved(ends.0)];
        let into = [self.edges_at(ends.1, Direction::Upstream), moved(ends.1)];
        let count = |lists: &[&[u32]; 2]| lists.iter().map(|list| list.len()).sum::<usize>();
        let fewer = if count(&from) < count(&into) { from } else { into };
        let mut edges = fewer.into_iter().flatten().filter_map(|number| self.edge(*number));
        edges.find(|edge| edge.reported == ends && edge.info.job == job)
    }

    /// An edge's ends as reported and the time that resolves them.
    pub(super) fn reported_ends(&self, number: u32) -> Option<(Ends, i64)> {
        self.edge(number).map(|edge| (edge.reported, edge.info.last_seen))
    }

    /// Sets when an edge was seen; answers its ends as reported.
    pub(super) fn retime(&mut self, number: u32, last_seen: i64) -> Option<Ends> {
        let edge = self.edges.get_mut(number as usize)?.as_mut()?;
        edge.info.last_seen = last_seen;
        Some(edge.reported)
    }

    pub(super) fn by_key(&self, key: EdgeKey) -> Option<&Edge> {
        self.edge(*self.by_key.get(&key)?)
    }

    pub(super) fn edge(&self, number: u32) -> Option<&Edge> {
        self.edges.get(number as usize).and_then(Option::as_ref)
    }

    /// The node to which an edge leads, as walks see it.
    pub(super) fn far_end(&self, number: u32, direction: Direction) -> NameId {
        let ends = match direction {
            Direction::Downstream => &self.targets,
            Direction::Upstream => &self.sources,
        };
        *ends.get(number as usize).expect("every edge has its ends")
    }

    fn ends(&self, number: u32) -> Ends {
        (self.far_end(number, Direction::Upstream), self.far_end(number, Direction::Downstream))
    }

    /// Edges that leave or enter a node.
    pub(super) fn edges_at(&self, node: NameId, direction: Direction) -> &[u32] {
        let lists = match direction {
            Direction::Downstream => &self.out,
            Direction::Upstream => &self.into,
        };
        lists.get(node.index()).map(Numbers::as_slice).unwrap_or_default()
    }

    fn attach(&mut self, number: u32, reported: Ends, ends: Ends) {
        *self.sources.get_mut(number as usize).expect("every edge has its ends") = ends.0;
        *self.targets.get_mut(number as usize).expect("every edge has its ends") = ends.1;
        let (out, into) = self.lists(ends);
        out.push(number);
        into.push(number);
        for end in moved(reported, ends) {
            self.moved.entry(end).or_default().push(number);
        }
    }

    fn detach(&mut self, number: u32, reported: Ends, ends: Ends) {
        let (out, into) = self.lists(ends);
        forget(out, number);
        forget(into, number);
        for end in moved(reported, ends) {
            if let Some(list) = self.moved.get_mut(&end) {
                list.retain(|candidate| *candidate != number);
                if list.is_empty() {
                    self.moved.remove(&end);
                }
            }
        }
    }

    /// The lists in which an edge with these ends stands.
    fn lists(&mut self, ends: Ends) -> (&mut Numbers, &mut Numbers) {
        let bound = self.out.len().max(ends.0.index() + 1).max(ends.1.index() + 1);
        self.out.resize(bound, Numbers::new());
        self.into.resize(bound, Numbers::new());
        let out = self.out.get_mut(ends.0.index()).expect("resized if it was missing");
        (out, self.into.get_mut(ends.1.index()).expect("resized if it was missing"))
    }
}

/// Ends as reported that are others to walks.
fn moved(reported: Ends, ends: Ends) -> impl Iterator<Item = NameId> {
    [(reported.0, ends.0), (reported.1, ends.1)].into_iter().filter(|(said, is)| said != is).map(|(said, _)| said)
}

/// Removes a number; the order of the rest does not matter, walks sort.
fn forget(list: &mut Numbers, number: u32) {
    if let Some(place) = list.iter().position(|candidate| *candidate == number) {
        list.swap_remove(place);
    }
}
