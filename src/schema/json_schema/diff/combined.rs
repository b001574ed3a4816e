//! Differences of combinations, and of a combination and a schema that is none.

use std::collections::{HashSet, VecDeque};

use super::{At, Change, Comparer, Difference, Pair, is_compatible};
use crate::schema::json_schema::model::{Criterion, Kind, Node, NodeId};

impl Comparer<'_> {
    /// Compares a schema with the members of a combination. Whether that has settled it.
    pub(super) fn single(&mut self, old: &Node, new: &Node, pair: Pair, at: &mut At<'_>) -> bool {
        match (&old.kind, &new.kind) {
            (Kind::Combined { .. }, Kind::Combined { .. }) => false,
            (_, Kind::Combined { criterion, parts, .. }) => {
                // One member that reads the schema is enough, unless all must.
                let enough = parts.len() == 1 || *criterion != Criterion::All;
                let pairs = parts.iter().map(|&part| Pair { new: part, ..pair });
                enough && self.first_fitting(pairs, Change::SumTypeExtended, at)
            }
            (Kind::Combined { criterion, parts, .. }, _) => {
                // One member that is read is enough if data fits all of them.
                let enough = parts.len() == 1 || *criterion == Criterion::All;
                let pairs = parts.iter().map(|&part| Pair { old: part, ..pair });
                enough && self.first_fitting(pairs, Change::ProductTypeNarrowed, at)
            }
            _ => false,
        }
    }

    /// Takes the differences of the first compatible pair, and `change` if there were several to choose from.
    fn first_fitting(&mut self, pairs: impl ExactSizeIterator<Item = Pair>, change: Change, at: &mut At<'_>) -> bool {
        let alone = pairs.len() == 1;
        for pair in pairs {
            let found = self.compare_apart(pair.old, pair.new, at, "");
            if is_compatible(&found) {
                at.found.extend(found);
                if !alone {
                    at.add("", change);
                }
                return true;
            }
        }
        false
    }

    /// Compares two combinations: as many members as possible are paired with compatible ones.
    pub(super) fn combinations(
        &mut self,
        (old_criterion, old_parts): (Criterion, &[NodeId]),
        (new_criterion, new_parts): (Criterion, &[NodeId]),
        at: &mut At<'_>,
    ) {
        if old_criterion != new_criterion {
            let change = criterion_change(old_criterion, old_parts.len(), new_criterion, new_parts.len());
            at.add("", change);
            if change == Change::CombinedTypeChanged {
                return;
            }
        }
        let (olds, news) = (distinct(old_parts), distinct(new_parts));
        match olds.len().cmp(&news.len()) {
            std::cmp::Ordering::Less if new_criterion == Criterion::All => at.add("", Change::ProductTypeExtended),
            std::cmp::Ordering::Less => at.add("", Change::SumTypeExtended),
            std::cmp::Ordering::Greater if old_criterion == Criterion::All => at.add("", Change::ProductTypeNarrowed),
            std::cmp::Ordering::Greater => at.add("", Change::SumTypeNarrowed),
            std::cmp::Ordering::Equal => {}
        }
        let mut edges: Vec<Vec<Edge>> = Vec::with_capacity(olds.len());
        for (index, &old) in olds.iter().enumerate() {
            let step = format!("{}/{index}", old_criterion.as_str());
            let mut fitting = Vec::new();
            for (place, &new) in news.iter().enumerate() {
                let found = self.compare_apart(old, new, at, &step);
                if self.given_up.is_some() {
                    return;
                }
                if is_compatible(&found) {
                    fitting.push(Edge { new: place, found });
                }
            }
            edges.push(fitting);
        }
        let matched = best_matching(&edges, news.len());
        let count = matched.iter().flatten().count();
        for (fitting, new) in edges.into_iter().zip(&matched) {
            if let Some(edge) = fitting.into_iter().find(|edge| Some(edge.new) == *new) {
                at.found.extend(edge.found);
            }
        }
        if count < olds.len().min(news.len()) {
            at.add("", Change::CombinedTypeSubschemasChanged);
        }
    }
}

/// A reader's member that reads what a writer's member allows.
struct Edge {
    new: usize,
    found: Vec<Difference>,
}

fn criterion_change(old: Criterion, old_len: usize, new: Criterion, new_len: usize) -> Change {
    let (old_alone, new_alone) = (old_len == 1, new_len == 1);
    let compatible = match (old, new) {
        (_, Criterion::Any) => true,
        (_, Criterion::One) if old_alone => true,
        (Criterion::All, _) if new_alone => true,
        _ => old_alone && new_alone,
    };
    if compatible { Change::CombinedTypeExtended } else { Change::CombinedTypeChanged }
}

fn distinct(parts: &[NodeId]) -> Vec<NodeId> {
    let mut seen = HashSet::new();
    parts.iter().copied().filter(|part| seen.insert(*part)).collect()
}

/// The most pairs that can be made: for each old member its new one.
fn best_matching(edges: &[Vec<Edge>], news: usize) -> Vec<Option<usize>> {
    let mut partner_of_old: Vec<Option<usize>> = vec![None; edges.len()];
    let mut partner_of_new: Vec<Option<usize>> = vec![None; news];
    for start in 0..edges.len() {
        // Breadth first to a free new member, over pairs that can be changed; `came_from` leads back.
        let mut came_from: Vec<Option<usize>> = vec![None; news];
        let mut queue = VecDeque::from([start]);
        let mut free = None;
        'search: while let Some(old) = queue.pop_front() {
            for edge in edges.get(old).into_iter().flatten() {
                let Some(slot) = came_from.get_mut(edge.new).filter(|slot| slot.is_none()) else { continue };
                *slot = Some(old);
                match partner_of_new.get(edge.new).copied().flatten() {
                    Some(other) => queue.push_back(other),
                    None => {
                        free = Some(edge.new);
                        break 'search;
                    }
                }
            }
        }
        while let Some(new) = free {
            let Some(old) = came_from.get(new).copied().flatten() else { break };
            if let Some(slot) = partner_of_new.get_mut(new) {
                *slot = Some(old);
            }
            free = partner_of_old.get_mut(old).and_then(|slot| slot.replace(new));
        }
    }
    partner_of_old
}
