//! Differences of objects.

use super::array::{Rest, RestChanges, rest};
use super::scalar::{Limit, limit, sets};
use super::{At, BYTES_PER_UNIT, Change, Comparer, is_empty, weight};
use crate::schema::json_schema::model::{Arena, Kind, NodeId, ObjectRules};

const MAX_PROPERTIES: Limit = [
    Change::MaxPropertiesAdded,
    Change::MaxPropertiesRemoved,
    Change::MaxPropertiesIncreased,
    Change::MaxPropertiesDecreased,
];
const MIN_PROPERTIES: Limit = [
    Change::MinPropertiesAdded,
    Change::MinPropertiesRemoved,
    Change::MinPropertiesIncreased,
    Change::MinPropertiesDecreased,
];
const ADDITIONAL: RestChanges = [
    Change::AdditionalPropertiesAdded,
    Change::AdditionalPropertiesRemoved,
    Change::AdditionalPropertiesExtended,
    Change::AdditionalPropertiesNarrowed,
];
const UNEVALUATED: RestChanges = [
    Change::UnevaluatedPropertiesAdded,
    Change::UnevaluatedPropertiesRemoved,
    Change::UnevaluatedPropertiesExtended,
    Change::UnevaluatedPropertiesNarrowed,
];

/// Longest regular expression that is tried, in bytes, and how far it may look for a match.
const MAX_PATTERN_BYTES: usize = 4096;
const MAX_BACKTRACKS: usize = 10_000;
const MAX_COMPILED_BYTES: usize = 1 << 20;
/// What trying a regular expression costs, in units of work.
const PATTERN_WORK: usize = 20;
/// What compiling one costs, and what it costs with counted repetitions, which grow when compiled.
const COMPILE_WORK: usize = 1000;
const COMPILE_COUNTED_WORK: usize = 10_000;

impl Comparer<'_> {
    pub(super) fn objects(&mut self, old: &ObjectRules, new: &ObjectRules, at: &mut At<'_>) {
        if !self.spend(load(old) + load(new), "properties") {
            return;
        }
        self.required(old, new, at);
        self.properties(old, new, at);
        self.dependencies(old, new, at);
        let (olds, news) = ((old.open, old.additional), (new.open, new.additional));
        self.additional(olds, news, ADDITIONAL, "additionalProperties", at);
        self.unevaluated(old.unevaluated, new.unevaluated, UNEVALUATED, "unevaluatedProperties", at);
        limit(old.max, new.max, MAX_PROPERTIES, "maxProperties", at);
        limit(old.min, new.min, MIN_PROPERTIES, "minProperties", at);
    }

    /// Properties that both schemas name and one of them requires.
    fn required(&mut self, old: &ObjectRules, new: &ObjectRules, at: &mut At<'_>) {
        let (_, news) = self.arenas(at.swapped);
        for (name, in_old, in_new) in merged(&old.properties, &new.properties) {
            let (Some(_), Some(schema)) = (in_old, in_new) else { continue };
            let change = match (requires(old, name), requires(new, name)) {
                (true, false) => Change::RequiredAttributeRemoved,
                (false, true) if has_default(news, *schema) => Change::RequiredAttributeWithDefaultAdded,
                (false, true) => Change::RequiredAttributeAdded,
                _ => continue,
            };
            at.add(&format!("required/{name}"), change);
        }
    }

    fn properties(&mut self, old: &ObjectRules, new: &ObjectRules, at: &mut At<'_>) {
        for (name, in_old, in_new) in merged(&old.properties, &new.properties) {
            let step = format!("properties/{name}");
            match (in_old, in_new) {
                (Some(&schema), Some(&new_schema)) => self.compare_at(schema, new_schema, at, &step),
                (Some(&schema), None) => self.property_removed(name, schema, new, at, &step),
                (None, Some(&schema)) => self.property_added(name, old, (new, schema), at, &step),
                (None, None) => {}
            }
            if self.given_up.is_some() {
                return;
            }
        }
    }

    /// Whether data with the property is still read depends on what the reader allows besides those it names.
    fn property_removed(&mut self, name: &str, schema: NodeId, new: &ObjectRules, at: &mut At<'_>, step: &str) {
        let (olds, news) = self.arenas(at.swapped);
        let change = match self.rest_for(name, new, news) {
            Rest::Open => Change::PropertyRemovedFromOpen,
            Rest::Partial(rule) => {
                let covered = (Change::PropertyRemovedIsCovered, Change::PropertyRemovedNotCovered);
                self.covered(schema, rule, covered, at, step)
            }
            Rest::Closed if olds.node(schema).kind == Kind::False => Change::PropertyWithFalseRemovedFromClosed,
            Rest::Closed => Change::PropertyRemovedFromClosed,
        };
        at.add(step, change);
    }

    /// Whether old data fits the property depends on what the writer allowed besides those it names.
    fn property_added(
        &mut self,
        name: &str,
        old: &ObjectRules,
        (new, schema): (&ObjectRules, NodeId),
        at: &mut At<'_>,
        step: &str,
    ) {
        let (olds, news) = self.arenas(at.swapped);
        let (required, default) = (requires(new, name), has_default(news, schema));
        let rest = self.rest_for(name, old, olds);
        let change = match rest {
            Rest::Open if is_empty(news.node(schema)) => Change::PropertyWithEmptySchemaAddedToOpen,
            Rest::Open if required && default => Change::RequiredPropertyWithDefaultAddedToOpen,
            Rest::Open if required => Change::RequiredPropertyAddedToOpen,
            Rest::Open => Change::OptionalPropertyAddedToOpen,
            _ if required && default => Change::RequiredPropertyWithDefaultAddedToUnopen,
            _ if required => Change::RequiredPropertyAddedToUnopen,
            _ => Change::OptionalPropertyAddedToUnopen,
        };
        if let Rest::Partial(rule) = rest {
            let covered = (Change::PropertyAddedIsCovered, Change::PropertyAddedNotCovered);
            let change = self.covered(rule, schema, covered, at, step);
            at.add(step, change);
        }
        at.add(step, change);
    }

    fn dependencies(&mut self, old: &ObjectRules, new: &ObjectRules, at: &mut At<'_>) {
        for (name, in_old, in_new) in merged(&old.dependent_names, &new.dependent_names) {
            let change = match (in_old, in_new) {
                (Some(_), None) => Some(Change::DependencyArrayRemoved),
                (None, Some(_)) => Some(Change::DependencyArrayAdded),
                (Some(old), Some(new)) => sets(
                    old,
                    new,
                    Change::DependencyArrayExtended,
                    Change::DependencyArrayNarrowed,
                    Change::DependencyArrayChanged,
                ),
                (None, None) => None,
            };
            if let Some(change) = change {
                at.add(&format!("dependencies/{name}"), change);
            }
        }
        for (name, in_old, in_new) in merged(&old.dependent_schemas, &new.dependent_schemas) {
            let step = format!("dependencies/{name}");
            match (in_old, in_new) {
                (Some(_), None) => at.add(&step, Change::DependencySchemaRemoved),
                (None, Some(_)) => at.add(&step, Change::DependencySchemaAdded),
                (Some(&old), Some(&new)) => self.compare_at(old, new, at, &step),
                (None, None) => {}
            }
        }
    }

    /// What the schema allows for a property that it does not name.
    fn rest_for(&mut self, name: &str, rules: &ObjectRules, arena: &Arena) -> Rest {
        for (pattern, schema) in &rules.patterns {
            if self.matches(pattern, name) {
                return Rest::Partial(*schema);
            }
        }
        match rest(rules.open, rules.additional, rules.unevaluated, arena) {
            // With patterns a model is partially open; what no pattern speaks of is then as in a closed one.
            Rest::Open if !rules.patterns.is_empty() => Rest::Closed,
            other => other,
        }
    }

    /// Whether the regular expression is found in the name. Where that cannot be told, because it cannot be read or takes
    /// too long, the comparison is given up: a guess could let a breaking change pass.
    fn matches(&mut self, pattern: &str, name: &str) -> bool {
        if !self.spend(PATTERN_WORK + name.len() / 16, "properties") {
            return false;
        }
        if !self.patterns.contains_key(pattern) {
            self.work += if pattern.contains('{') { COMPILE_COUNTED_WORK } else { COMPILE_WORK };
            self.patterns.insert(pattern.to_owned(), Pattern::compile(pattern));
        }
        let found = self.patterns.get(pattern).and_then(Option::as_ref).and_then(|compiled| compiled.is_in(name));
        if found.is_none() {
            self.given_up.get_or_insert_with(|| "patternProperties".to_owned());
        }
        found.unwrap_or(false)
    }
}

/// A regular expression that can be tried in bounded time.
pub(super) enum Pattern {
    /// With counted repetitions: they may repeat what takes nothing, without an end. This library has no such parts.
    Plain(regex::Regex),
    /// With looks ahead and behind.
    Fancy(Box<fancy_regex::Regex>),
}

impl Pattern {
    fn compile(text: &str) -> Option<Self> {
        if text.len() > MAX_PATTERN_BYTES {
            return None;
        }
        if text.contains('{') {
            let compiled = regex::RegexBuilder::new(text).size_limit(MAX_COMPILED_BYTES).build();
            return compiled.ok().map(Self::Plain);
        }
        let compiled = fancy_regex::RegexBuilder::new(text)
            .backtrack_limit(MAX_BACKTRACKS)
            .delegate_size_limit(MAX_COMPILED_BYTES)
            .build();
        compiled.ok().map(|compiled| Self::Fancy(Box::new(compiled)))
    }

    /// Whether it is found in a name; none if that takes too long.
    fn is_in(&self, name: &str) -> Option<bool> {
        match self {
            Self::Plain(compiled) => Some(compiled.is_match(name)),
            Self::Fancy(compiled) => compiled.is_match(name).ok(),
        }
    }
}

/// What reading the names costs, in units of work.
fn load(rules: &ObjectRules) -> usize {
    let name = |name: &str| 1 + name.len() / BYTES_PER_UNIT;
    rules.properties.iter().chain(&rules.dependent_schemas).map(|(text, _)| name(text)).sum::<usize>()
        + rules.dependent_names.iter().map(|(text, names)| name(text) + weight(names)).sum::<usize>()
        + weight(&rules.required)
}

fn requires(rules: &ObjectRules, name: &str) -> bool {
    rules.required.binary_search_by(|required| required.as_str().cmp(name)).is_ok()
}

fn has_default(arena: &Arena, schema: NodeId) -> bool {
    arena.node(schema).default.is_some()
}

/// Two lists sorted by name, as one: each name with what the one and the other has for it.
fn merged<'l, T>(
    old: &'l [(String, T)],
    new: &'l [(String, T)],
) -> impl Iterator<Item = (&'l str, Option<&'l T>, Option<&'l T>)> {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    std::iter::from_fn(move || {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return None,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((left, _)), Some((right, _))) => left.cmp(right),
        };
        let left = if order.is_gt() { None } else { old.next() };
        let right = if order.is_lt() { None } else { new.next() };
        let (name, _) = left.or(right)?;
        Some((name.as_str(), left.map(|(_, value)| value), right.map(|(_, value)| value)))
    })
}
