//! The differences between two schemas, after the reference's rules: a writer's schema against a reader's.
//!
//! Every pair of nodes is compared once. A pair met again while it is still being compared, as in recursive schemas,
//! counts as compatible there. If it turns out otherwise, all is compared once more with that known, until no guess was
//! wrong. The work is bounded: past the bounds the comparison is given up, which is a difference of its own.

mod array;
mod changes;
mod combined;
mod object;
mod scalar;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

pub use changes::Change;

use super::model::{Arena, Kind, Node, NodeId};

/// Most units of work: a pair of nodes, a property, a difference passed on.
const MAX_WORK: usize = 1_000_000;
/// As many bytes that are copied or compared count as a unit.
const BYTES_PER_UNIT: usize = 64;
/// Most differences of a pair that are told again where the pair is met again.
const MAX_REPEATED: usize = 20;
/// Most pairs of nodes that are compared inside one another. A schema nests no deeper; only references go further.
const MAX_DEPTH: usize = 280;

/// A difference, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What kind.
    pub change: Change,
    /// Steps joined by slashes, relative to the pair that is compared; empty for the pair itself.
    pub path: String,
}

impl Difference {
    /// The place as the reference writes it.
    pub fn location(&self) -> String {
        format!("#/{}", self.path)
    }
}

/// Differences of a pair, with paths relative to it.
type Found = Rc<Vec<Difference>>;

/// A schema with its nodes.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The nodes.
    pub arena: &'a Arena,
    /// The schema itself.
    pub root: NodeId,
}

/// The differences of `reader` to `writer`, harmless ones included.
pub fn differences(writer: Side<'_>, reader: Side<'_>) -> Vec<Difference> {
    let mut comparer = Comparer {
        sides: [writer.arena, reader.arena],
        memo: HashMap::new(),
        open: HashSet::new(),
        guessed: HashSet::new(),
        wrong: HashMap::new(),
        patterns: HashMap::new(),
        work: 0,
        given_up: None,
    };
    loop {
        let mut found = Vec::new();
        comparer.compare(Pair { old: writer.root, new: reader.root, swapped: false }, "", &mut found);
        if let Some(path) = comparer.given_up {
            return vec![Difference { change: Change::ComparisonGivenUp, path }];
        }
        // Every round knows more pairs that do not fit, so there is a last one.
        if comparer.guessed.iter().all(|pair| !comparer.wrong.contains_key(pair)) {
            return found;
        }
        comparer.memo.clear();
        comparer.guessed.clear();
    }
}

/// A writer's node and a reader's. Under `not` they change places: then `old` is a node of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Pair {
    old: NodeId,
    new: NodeId,
    swapped: bool,
}

struct Comparer<'a> {
    /// The writer's nodes and the reader's.
    sides: [&'a Arena; 2],
    /// Pairs compared in this round.
    memo: HashMap<Pair, Found>,
    /// Pairs being compared.
    open: HashSet<Pair>,
    /// Pairs taken for compatible in this round while they were still being compared.
    guessed: HashSet<Pair>,
    /// Pairs known not to be compatible.
    wrong: HashMap<Pair, Found>,
    patterns: HashMap<String, Option<object::Pattern>>,
    work: usize,
    given_up: Option<String>,
}

impl<'a> Comparer<'a> {
    fn arenas(&self, swapped: bool) -> (&'a Arena, &'a Arena) {
        let [writer, reader] = self.sides;
        if swapped { (reader, writer) } else { (writer, reader) }
    }

    /// Whether there is still work left to spend; takes some of it.
    fn spend(&mut self, units: usize, path: &str) -> bool {
        self.work = self.work.saturating_add(units);
        if self.work > MAX_WORK && self.given_up.is_none() {
            self.given_up = Some(path.to_owned());
        }
        self.given_up.is_none()
    }

    /// Adds the differences of a pair to `out`, `path` before their paths.
    fn compare(&mut self, pair: Pair, path: &str, out: &mut Vec<Difference>) {
        let found = self.differences_of(pair, path);
        let bytes = found.iter().map(|difference| path.len() + difference.path.len()).sum::<usize>();
        if self.spend(found.len() + bytes / BYTES_PER_UNIT, path) {
            out.extend(found.iter().map(|found| Difference { change: found.change, path: join(path, &found.path) }));
        }
    }

    /// As [`Self::compare`], either node possibly absent.
    fn compare_maybe(&mut self, old: Option<NodeId>, new: Option<NodeId>, at: &mut At<'_>, step: &str) {
        match (old, new) {
            (None, None) => {}
            (None, Some(_)) => at.add(step, Change::SchemaAdded),
            (Some(_), None) => at.add(step, Change::SchemaRemoved),
            (Some(old), Some(new)) => self.compare_at(old, new, at, step),
        }
    }

    /// Compares two parts of the pair that `at` stands for.
    fn compare_at(&mut self, old: NodeId, new: NodeId, at: &mut At<'_>, step: &str) {
        self.compare(Pair { old, new, swapped: at.swapped }, step, at.found);
    }

    /// The differences of two parts of the pair that `at` stands for, apart from its own.
    fn compare_apart(&mut self, old: NodeId, new: NodeId, at: &At<'_>, step: &str) -> Vec<Difference> {
        let mut found = Vec::new();
        self.compare(Pair { old, new, swapped: at.swapped }, step, &mut found);
        found
    }

    /// The differences of a pair, from memory if it was compared before.
    fn differences_of(&mut self, pair: Pair, path: &str) -> Found {
        let nothing = Found::default();
        if !self.spend(1, path) {
            return nothing;
        }
        let (olds, news) = self.arenas(pair.swapped);
        let (old, new) = match (olds.follow(pair.old), news.follow(pair.new)) {
            (Some(old), Some(new)) => (old, new),
            // References in a circle say nothing; two of them say the same.
            (_, None) => return nothing,
            (None, Some(new)) if is_empty(news.node(new)) => return nothing,
            (None, Some(_)) => {
                return Rc::new(vec![Difference { change: Change::TypeChanged, path: String::new() }]);
            }
        };
        let pair = Pair { old, new, ..pair };
        if let Some(found) = self.memo.get(&pair) {
            return repeated(found);
        }
        if self.open.contains(&pair) {
            if let Some(found) = self.wrong.get(&pair) {
                return repeated(found);
            }
            self.guessed.insert(pair);
            return nothing;
        }
        if self.open.len() >= MAX_DEPTH {
            self.given_up.get_or_insert_with(|| path.to_owned());
            return nothing;
        }
        self.open.insert(pair);
        let mut found = Vec::new();
        let mut at = At { found: &mut found, swapped: pair.swapped };
        self.pair(olds.node(old), news.node(new), pair, &mut at);
        self.open.remove(&pair);
        let found = if found.is_empty() { nothing } else { Rc::new(found) };
        if !is_compatible(&found) {
            // What does not fit even by favourable guesses does not fit.
            self.wrong.entry(pair).or_insert_with(|| repeated(&found));
        }
        self.memo.insert(pair, Rc::clone(&found));
        found
    }

    /// Compares two nodes that are no references.
    fn pair(&mut self, old: &'a Node, new: &'a Node, pair: Pair, at: &mut At<'_>) {
        if self.single(old, new, pair, at) {
            return;
        }
        if std::mem::discriminant(&old.kind) != std::mem::discriminant(&new.kind) {
            // The reference's converters write decimals in more than one way; they are all bytes.
            if old.kind != Kind::False && !is_empty(new) && !(old.bytes && new.bytes) {
                at.add("", Change::TypeChanged);
            }
            return;
        }
        let described = [
            (old.id != new.id, Change::IdChanged),
            (old.title != new.title, Change::TitleChanged),
            (old.description != new.description, Change::DescriptionChanged),
            (old.default != new.default, Change::DefaultChanged),
        ];
        for (_, change) in described.into_iter().filter(|(changed, _)| *changed) {
            at.add("", change);
        }
        match (&old.kind, &new.kind) {
            (Kind::String(old), Kind::String(new)) => scalar::strings(old, new, at),
            (Kind::Number(old), Kind::Number(new)) => scalar::numbers(old, new, at),
            (Kind::Enum(old), Kind::Enum(new)) if self.spend(weight(old) + weight(new), "enum") => {
                scalar::enums(old, new, at);
            }
            (Kind::Const(old), Kind::Const(new)) if old != new => at.add("const", Change::EnumArrayChanged),
            (Kind::Foreign(old), Kind::Foreign(new)) if old != new => at.add("", Change::TypeChanged),
            (Kind::Not(old), Kind::Not(new)) => self.negations(*old, *new, at),
            (Kind::Object(old), Kind::Object(new)) => self.objects(old, new, at),
            (Kind::Array(old), Kind::Array(new)) => self.arrays(old, new, at),
            (
                Kind::Combined { criterion, parts, .. },
                Kind::Combined { criterion: new_criterion, parts: new_parts, .. },
            ) => self.combinations((*criterion, parts), (*new_criterion, new_parts), at),
            _ => {}
        }
    }

    /// What is forbidden is compared the other way round: less of it is more.
    fn negations(&mut self, old: NodeId, new: NodeId, at: &mut At<'_>) {
        let mut found = Vec::new();
        self.compare(Pair { old: new, new: old, swapped: !at.swapped }, "not", &mut found);
        at.add("not", if is_compatible(&found) { Change::NotTypeNarrowed } else { Change::NotTypeExtended });
    }
}

/// The pair being compared: what was found so far, and which side is which.
struct At<'f> {
    found: &'f mut Vec<Difference>,
    swapped: bool,
}

impl At<'_> {
    fn add(&mut self, path: &str, change: Change) {
        self.found.push(Difference { change, path: path.to_owned() });
    }
}

/// What reading these texts costs, in units of work.
fn weight<T: AsRef<str>>(texts: &[T]) -> usize {
    texts.iter().map(|text| 1 + text.as_ref().len() / BYTES_PER_UNIT).sum()
}

/// Of many differences the first, those that harm before those that do not: in recursive schemas they multiply.
fn repeated(found: &Found) -> Found {
    if found.len() <= MAX_REPEATED {
        return Rc::clone(found);
    }
    let (harmless, harmful): (Vec<_>, Vec<_>) = found.iter().partition(|found| found.change.is_harmless());
    Rc::new(harmful.into_iter().chain(harmless).take(MAX_REPEATED).cloned().collect())
}

fn join(front: &str, back: &str) -> String {
    match (front, back) {
        ("", path) | (path, "") => path.to_owned(),
        (front, back) => format!("{front}/{back}"),
    }
}

fn is_compatible(found: &[Difference]) -> bool {
    found.iter().all(|difference| difference.change.is_harmless())
}

fn is_empty(node: &Node) -> bool {
    matches!(node.kind, Kind::Empty | Kind::True)
}
