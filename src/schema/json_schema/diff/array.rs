//! Differences of arrays.

use super::scalar::{Limit, limit};
use super::{At, Change, Comparer, is_compatible, is_empty};
use crate::schema::json_schema::model::{Arena, ArrayRules, Kind, NodeId};

const MAX_ITEMS: Limit =
    [Change::MaxItemsAdded, Change::MaxItemsRemoved, Change::MaxItemsIncreased, Change::MaxItemsDecreased];
const MIN_ITEMS: Limit =
    [Change::MinItemsAdded, Change::MinItemsRemoved, Change::MinItemsIncreased, Change::MinItemsDecreased];
const MAX_CONTAINS: Limit =
    [Change::MaxContainsAdded, Change::MaxContainsRemoved, Change::MaxContainsIncreased, Change::MaxContainsDecreased];
const MIN_CONTAINS: Limit =
    [Change::MinContainsAdded, Change::MinContainsRemoved, Change::MinContainsIncreased, Change::MinContainsDecreased];

/// What the rule for the rest of an object or array is, where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Anything may follow.
    Open,
    /// What follows has this schema.
    Partial(NodeId),
    /// Nothing may follow.
    Closed,
}

/// What may follow, by the `additional` keyword and, where it says nothing, the `unevaluated` one.
pub(super) fn rest(open: bool, additional: Option<NodeId>, unevaluated: Option<NodeId>, arena: &Arena) -> Rest {
    match (open, additional, unevaluated) {
        (_, Some(schema), _) => Rest::Partial(schema),
        (false, None, _) => Rest::Closed,
        (true, None, None) => Rest::Open,
        (true, None, Some(schema)) if is_empty(arena.node(schema)) => Rest::Open,
        (true, None, Some(schema)) if arena.node(schema).kind == Kind::False => Rest::Closed,
        (true, None, Some(schema)) => Rest::Partial(schema),
    }
}

/// What changes of an `additional` or `unevaluated` keyword are called: added, removed, extended, narrowed.
pub(super) type RestChanges = [Change; 4];

const ADDITIONAL: RestChanges = [
    Change::AdditionalItemsAdded,
    Change::AdditionalItemsRemoved,
    Change::AdditionalItemsExtended,
    Change::AdditionalItemsNarrowed,
];
const UNEVALUATED: RestChanges = [
    Change::UnevaluatedItemsAdded,
    Change::UnevaluatedItemsRemoved,
    Change::UnevaluatedItemsExtended,
    Change::UnevaluatedItemsNarrowed,
];

impl Comparer<'_> {
    pub(super) fn arrays(&mut self, old: &ArrayRules, new: &ArrayRules, at: &mut At<'_>) {
        self.compare_maybe(old.all, new.all, at, "items");
        self.tuples(old, new, at);
        let (olds, news) = ((old.open, old.additional), (new.open, new.additional));
        self.additional(olds, news, ADDITIONAL, "additionalItems", at);
        self.unevaluated(old.unevaluated, new.unevaluated, UNEVALUATED, "unevaluatedItems", at);
        limit(old.max, new.max, MAX_ITEMS, "maxItems", at);
        limit(old.min, new.min, MIN_ITEMS, "minItems", at);
        match (old.unique, new.unique) {
            (true, false) => at.add("uniqueItems", Change::UniqueItemsRemoved),
            (false, true) => at.add("uniqueItems", Change::UniqueItemsAdded),
            _ => {}
        }
        limit(old.max_contains, new.max_contains, MAX_CONTAINS, "maxContains", at);
        limit(old.min_contains, new.min_contains, MIN_CONTAINS, "minContains", at);
    }

    fn tuples(&mut self, old: &ArrayRules, new: &ArrayRules, at: &mut At<'_>) {
        let (olds, news) = self.arenas(at.swapped);
        let old_rest = rest(old.open, old.additional, old.unevaluated, olds);
        let new_rest = rest(new.open, new.additional, new.unevaluated, news);
        for index in 0..old.tuple.len().max(new.tuple.len()) {
            let step = format!("items/{index}");
            if !self.spend(1, &step) {
                return;
            }
            match (old.tuple.get(index), new.tuple.get(index)) {
                (Some(&old), Some(&new)) => self.compare_at(old, new, at, &step),
                (Some(&old), None) => {
                    let change = match new_rest {
                        Rest::Open => Change::ItemRemovedFromOpen,
                        Rest::Partial(schema) => {
                            let covered = (Change::ItemRemovedIsCovered, Change::ItemRemovedNotCovered);
                            self.covered(old, schema, covered, at, &step)
                        }
                        Rest::Closed if olds.node(old).kind == Kind::False => Change::ItemWithFalseRemovedFromClosed,
                        Rest::Closed => Change::ItemRemovedFromClosed,
                    };
                    at.add(&step, change);
                }
                (None, Some(&new)) => {
                    let change = match old_rest {
                        Rest::Open if is_empty(news.node(new)) => Change::ItemWithEmptySchemaAddedToOpen,
                        Rest::Open => Change::ItemAddedToOpen,
                        Rest::Partial(schema) => {
                            let covered = (Change::ItemAddedIsCovered, Change::ItemAddedNotCovered);
                            self.covered(schema, new, covered, at, &step)
                        }
                        Rest::Closed => Change::ItemAddedToClosed,
                    };
                    at.add(&step, change);
                }
                (None, None) => {}
            }
        }
    }

    /// Adds the differences of a named part and the rule for the rest, and says which of two changes that makes.
    pub(super) fn covered(
        &mut self,
        old: NodeId,
        new: NodeId,
        (is, is_not): (Change, Change),
        at: &mut At<'_>,
        step: &str,
    ) -> Change {
        let found = self.compare_apart(old, new, at, step);
        let change = if is_compatible(&found) { is } else { is_not };
        at.found.extend(found);
        change
    }

    /// Compares an `additional` keyword: whether more is allowed, and of what schema.
    pub(super) fn additional(
        &mut self,
        (old_open, old): (bool, Option<NodeId>),
        (new_open, new): (bool, Option<NodeId>),
        [added, removed, extended, narrowed]: RestChanges,
        keyword: &str,
        at: &mut At<'_>,
    ) {
        match (old_open, new_open, old, new) {
            (false, true, ..) => at.add(keyword, added),
            (true, false, ..) => at.add(keyword, removed),
            (_, _, None, Some(_)) => at.add(keyword, narrowed),
            (_, _, Some(_), None) => at.add(keyword, extended),
            (_, _, Some(old), Some(new)) => self.compare_at(old, new, at, keyword),
            (_, _, None, None) => {}
        }
    }

    /// Compares an `unevaluated` keyword.
    pub(super) fn unevaluated(
        &mut self,
        old: Option<NodeId>,
        new: Option<NodeId>,
        [added, removed, extended, narrowed]: RestChanges,
        keyword: &str,
        at: &mut At<'_>,
    ) {
        let (olds, news) = self.arenas(at.swapped);
        let is_false = |arena: &Arena, id: NodeId| arena.node(id).kind == Kind::False;
        match (old, new) {
            (None, None) => {}
            (None, Some(new)) => at.add(keyword, if is_false(news, new) { removed } else { narrowed }),
            (Some(old), None) => at.add(keyword, if is_false(olds, old) { added } else { extended }),
            (Some(old), Some(new)) => match (is_false(olds, old), is_false(news, new)) {
                (true, false) => at.add(keyword, added),
                (false, true) => at.add(keyword, removed),
                _ => match (is_empty(olds.node(old)), is_empty(news.node(new))) {
                    (true, false) => at.add(keyword, narrowed),
                    (false, true) => at.add(keyword, extended),
                    _ => self.compare_at(old, new, at, keyword),
                },
            },
        }
    }
}
