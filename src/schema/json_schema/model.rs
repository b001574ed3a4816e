//! The nodes of a JSON Schema. The reference sorts a schema's keywords by the type they speak of, and compares schemas
//! of the same class only; the node kinds here are those classes.
//!
//! Equal nodes of one schema are one node: a pair of nodes can be remembered by its indexes, and duplicate members of
//! a combination fall together.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Index of a node in its schema's arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

/// Index of a place that a `$ref` points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TargetId(pub(super) u32);

/// A number of the schema text; comparable by identity of its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number(u64);

impl Number {
    /// The number one.
    pub const ONE: Self = Self(1.0_f64.to_bits());

    /// Wraps a finite double; both zeros are one.
    pub fn new(value: f64) -> Self {
        Self(if value == 0.0 { 0 } else { value.to_bits() })
    }

    /// The double.
    pub fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// The version of the language a document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Draft {
    /// Draft 4.
    Draft4,
    /// Draft 6.
    Draft6,
    /// Draft 7; what a schema without `$schema`, or with one of somebody's own, is read as.
    Draft7,
    /// Draft 2019-09.
    Draft201909,
    /// Draft 2020-12.
    Draft202012,
}

impl Draft {
    /// The draft that a `$schema` names.
    pub fn of_uri(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://"))?;
        Some(match rest.trim_end_matches('#') {
            "json-schema.org/draft-04/schema" => Draft::Draft4,
            "json-schema.org/draft-06/schema" => Draft::Draft6,
            "json-schema.org/draft-07/schema" => Draft::Draft7,
            "json-schema.org/draft/2019-09/schema" => Draft::Draft201909,
            "json-schema.org/draft/2020-12/schema" => Draft::Draft202012,
            _ => return None,
        })
    }

    /// Where the draft's own schema lives.
    pub fn meta_schema(self) -> &'static str {
        match self {
            Draft::Draft4 => "http://json-schema.org/draft-04/schema#",
            Draft::Draft6 => "http://json-schema.org/draft-06/schema#",
            Draft::Draft7 => "http://json-schema.org/draft-07/schema#",
            Draft::Draft201909 => "https://json-schema.org/draft/2019-09/schema",
            Draft::Draft202012 => "https://json-schema.org/draft/2020-12/schema",
        }
    }

    /// The keyword that names a schema.
    pub fn id_keyword(self) -> &'static str {
        if self == Draft::Draft4 { "id" } else { "$id" }
    }

    /// Whether the draft has anchors, `prefixItems` and the like, and lets keywords stand beside `$ref`.
    pub fn is_modern(self) -> bool {
        self >= Draft::Draft201909
    }
}

/// How many members of a combination must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Criterion {
    /// `allOf`
    All,
    /// `anyOf`
    Any,
    /// `oneOf`
    One,
}

impl Criterion {
    /// The keyword.
    pub fn as_str(self) -> &'static str {
        match self {
            Criterion::All => "allOf",
            Criterion::Any => "anyOf",
            Criterion::One => "oneOf",
        }
    }
}

/// Keywords about strings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct StringRules {
    /// Most characters.
    pub max_length: Option<Number>,
    /// Fewest characters.
    pub min_length: Option<Number>,
    /// A regular expression.
    pub pattern: Option<String>,
}

/// Keywords about numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct NumberRules {
    /// Greatest value.
    pub maximum: Option<Number>,
    /// Smallest value.
    pub minimum: Option<Number>,
    /// What the value stays below.
    pub exclusive_maximum: Option<Number>,
    /// What the value stays above.
    pub exclusive_minimum: Option<Number>,
    /// What the value is a multiple of.
    pub multiple_of: Option<Number>,
    /// The type is `integer`.
    pub integer: bool,
}

/// Keywords about objects. Lists by name are sorted by it, and have each name once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectRules {
    /// Schemas of the named properties.
    pub properties: Vec<(String, NodeId)>,
    /// Names that must be there.
    pub required: Vec<String>,
    /// Schemas by regular expression, in written order.
    pub patterns: Vec<(String, NodeId)>,
    /// `additionalProperties` is not false.
    pub open: bool,
    /// `additionalProperties`, where it is a schema.
    pub additional: Option<NodeId>,
    /// `unevaluatedProperties`.
    pub unevaluated: Option<NodeId>,
    /// Most properties.
    pub max: Option<Number>,
    /// Fewest properties.
    pub min: Option<Number>,
    /// Names that a property brings along.
    pub dependent_names: Vec<(String, Vec<String>)>,
    /// Schemas that a property brings along.
    pub dependent_schemas: Vec<(String, NodeId)>,
    /// `propertyNames`.
    pub names: Option<NodeId>,
}

/// Keywords about arrays.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ArrayRules {
    /// The schema of all items.
    pub all: Option<NodeId>,
    /// Schemas by position.
    pub tuple: Vec<NodeId>,
    /// Items behind the tuple are allowed.
    pub open: bool,
    /// The schema of the items behind the tuple.
    pub additional: Option<NodeId>,
    /// `unevaluatedItems`.
    pub unevaluated: Option<NodeId>,
    /// Most items.
    pub max: Option<Number>,
    /// Fewest items.
    pub min: Option<Number>,
    /// No two items are equal.
    pub unique: bool,
    /// `contains`.
    pub contains: Option<NodeId>,
    /// Most items that match `contains`.
    pub max_contains: Option<Number>,
    /// Fewest items that match `contains`.
    pub min_contains: Option<Number>,
}

/// What a schema says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The schema `true`.
    True,
    /// A schema without keywords that restrict anything.
    Empty,
    /// The schema `false`.
    False,
    /// Strings.
    String(StringRules),
    /// Numbers.
    Number(NumberRules),
    /// `true` and `false`.
    Boolean,
    /// `null`.
    Null,
    /// One of these values, as sorted JSON texts.
    Enum(Vec<String>),
    /// This value, as JSON text with sorted keys.
    Const(String),
    /// Anything else than this.
    Not(NodeId),
    /// `if`, `then`, `else`.
    Conditional([Option<NodeId>; 3]),
    /// Objects.
    Object(Box<ObjectRules>),
    /// Arrays.
    Array(Box<ArrayRules>),
    /// A combination.
    Combined {
        /// How many must hold.
        criterion: Criterion,
        /// The members; combinations among them come first, as the reference has it.
        parts: Vec<NodeId>,
        /// Not written as `allOf`: it holds together the keywords of one schema.
        implied: bool,
    },
    /// What stands elsewhere.
    Ref(TargetId),
    /// A `$ref` to a text that is not at hand: a draft's own schema, or with `Validation::Unresolved` anything.
    Foreign(String),
}

/// A schema: what it says and how it is described.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    /// `$id`
    pub id: Option<String>,
    /// `title`
    pub title: Option<String>,
    /// `description`
    pub description: Option<String>,
    /// `default`, as JSON text with sorted keys.
    pub default: Option<String>,
    /// `connect.type` is `bytes`.
    pub bytes: bool,
    /// What it says.
    pub kind: Kind,
}

impl Node {
    /// A node without description.
    pub fn plain(kind: Kind) -> Self {
        Self { id: None, title: None, description: None, default: None, bytes: false, kind }
    }
}

/// All nodes of a schema.
#[derive(Debug, Default)]
pub struct Arena {
    nodes: Vec<Node>,
    targets: Vec<Option<NodeId>>,
}

impl Arena {
    /// The node behind an id of this arena.
    pub fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id.0 as usize).expect("node ids come from this arena")
    }

    /// The node that `id` stands for when references are followed; none when they lead in a circle.
    pub fn follow(&self, id: NodeId) -> Option<NodeId> {
        match self.node(id).kind {
            Kind::Ref(target) => self.targets.get(target.0 as usize).copied().flatten(),
            _ => Some(id),
        }
    }

    /// Makes every target lead to its end at once: chains of references may be long, and are followed often.
    fn shorten(&mut self) {
        // In which chain a target was seen.
        let mut seen: Vec<Option<usize>> = vec![None; self.targets.len()];
        for start in 0..self.targets.len() {
            let (mut chain, mut at) = (Vec::new(), start);
            let end = loop {
                let node = self.targets.get(at).copied().flatten();
                match seen.get_mut(at).map(|slot| slot.replace(start)) {
                    Some(None) => chain.push(at),
                    // In this very chain: a circle.
                    Some(Some(chain)) if chain == start => break None,
                    _ => break node,
                }
                let Some(node) = node else { break None };
                match self.node(node).kind {
                    Kind::Ref(target) => at = target.0 as usize,
                    _ => break Some(node),
                }
            };
            for at in chain {
                if let Some(slot) = self.targets.get_mut(at) {
                    *slot = end;
                }
            }
        }
    }
}

/// Fills an [`Arena`], equal nodes falling together.
#[derive(Debug, Default)]
pub struct Builder {
    arena: Arena,
    by_hash: HashMap<u64, Vec<NodeId>>,
    hasher: RandomState,
}

impl Builder {
    /// The id of this node.
    pub fn add(&mut self, node: Node) -> NodeId {
        let hash = self.hasher.hash_one(&node);
        let same = self.by_hash.entry(hash).or_default();
        if let Some(&id) = same.iter().find(|&&id| *self.arena.node(id) == node) {
            return id;
        }
        // A text of at most a few megabytes has fewer schemas than that.
        let id = NodeId(u32::try_from(self.arena.nodes.len()).unwrap_or(u32::MAX));
        same.push(id);
        self.arena.nodes.push(node);
        id
    }

    /// A node added before.
    pub fn node(&self, id: NodeId) -> &Node {
        self.arena.node(id)
    }

    /// A new place for references to point to.
    pub fn add_target(&mut self) -> TargetId {
        let id = TargetId(u32::try_from(self.arena.targets.len()).unwrap_or(u32::MAX));
        self.arena.targets.push(None);
        id
    }

    /// Says what stands at that place.
    pub fn set_target(&mut self, target: TargetId, node: NodeId) {
        if let Some(slot) = self.arena.targets.get_mut(target.0 as usize) {
            *slot = Some(node);
        }
    }

    /// The finished arena.
    pub fn finish(mut self) -> Arena {
        self.arena.shorten();
        self.arena
    }
}
