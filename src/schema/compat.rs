//! Compatibility levels and what a check finds, for all schema types. The rules per type live beside their parsers.

use std::fmt;
use std::str::FromStr;

use super::{ParsedSchema, SchemaType};

/// Longest old schema text quoted in a message, in characters.
const QUOTED_SCHEMA_CHARS: usize = 10 * 1024;

/// A subject's compatibility level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Level {
    /// Anything goes.
    None,
    /// New readers read the latest version's data.
    #[default]
    Backward,
    /// New readers read the data of all versions.
    BackwardTransitive,
    /// The latest version's readers read new data.
    Forward,
    /// The readers of all versions read new data.
    ForwardTransitive,
    /// Both directions, latest version.
    Full,
    /// Both directions, all versions.
    FullTransitive,
    /// As `Backward`, and nothing downstream is made of a field that is removed, renamed or retyped.
    BackwardLineage,
    /// As `Full`, and nothing downstream is made of a field that is removed, renamed or retyped.
    FullLineage,
}

/// Not a compatibility level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown compatibility level '{0}'")]
pub struct UnknownLevel(pub String);

impl Level {
    /// The name the REST API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::None => "NONE",
            Level::Backward => "BACKWARD",
            Level::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Level::Forward => "FORWARD",
            Level::ForwardTransitive => "FORWARD_TRANSITIVE",
            Level::Full => "FULL",
            Level::FullTransitive => "FULL_TRANSITIVE",
            Level::BackwardLineage => "BACKWARD_LINEAGE",
            Level::FullLineage => "FULL_LINEAGE",
        }
    }

    /// Whether all live versions count, not only the latest.
    pub fn is_transitive(self) -> bool {
        matches!(self, Level::BackwardTransitive | Level::ForwardTransitive | Level::FullTransitive)
    }

    /// Whether column lineage counts besides what readers can read.
    pub fn checks_lineage(self) -> bool {
        self.with_lineage() == Some(self)
    }

    /// The level without lineage; itself where it checks none.
    pub fn without_lineage(self) -> Level {
        match self {
            Level::BackwardLineage => Level::Backward,
            Level::FullLineage => Level::Full,
            other => other,
        }
    }

    /// The level with lineage, where there is one.
    pub fn with_lineage(self) -> Option<Level> {
        match self.without_lineage() {
            Level::Backward => Some(Level::BackwardLineage),
            Level::Full => Some(Level::FullLineage),
            _ => None,
        }
    }

    /// Directions that must hold, in the order they are reported.
    pub fn directions(self) -> &'static [Direction] {
        match self {
            Level::None => &[],
            Level::Backward | Level::BackwardTransitive | Level::BackwardLineage => &[Direction::Backward],
            Level::Forward | Level::ForwardTransitive => &[Direction::Forward],
            Level::Full | Level::FullTransitive | Level::FullLineage => &[Direction::Backward, Direction::Forward],
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.to_ascii_uppercase().as_str() {
            "NONE" => Level::None,
            "BACKWARD" => Level::Backward,
            "BACKWARD_TRANSITIVE" => Level::BackwardTransitive,
            "FORWARD" => Level::Forward,
            "FORWARD_TRANSITIVE" => Level::ForwardTransitive,
            "FULL" => Level::Full,
            "FULL_TRANSITIVE" => Level::FullTransitive,
            "BACKWARD_LINEAGE" => Level::BackwardLineage,
            "FULL_LINEAGE" => Level::FullLineage,
            _ => return Err(UnknownLevel(text.to_owned())),
        })
    }
}

/// Who reads whose data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The new schema reads data of the old one.
    Backward,
    /// The old schema reads data of the new one.
    Forward,
}

impl Direction {
    /// What the words "reader" and "writer" mean in a message: (reader, writer).
    pub fn reader_and_writer(self) -> (&'static str, &'static str) {
        match self {
            Direction::Backward => ("new", "old"),
            Direction::Forward => ("old", "new"),
        }
    }
}

/// One reason why a reader cannot read a writer's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatibility {
    /// The kind, such as `TYPE_MISMATCH`.
    pub kind: &'static str,
    /// JSON pointer into the reader's (for union branches the writer's) schema.
    pub location: String,
    /// Details.
    pub message: String,
    /// Sentence with the placeholders `{reader}` and `{writer}` for the words "new" and "old".
    pub description: String,
}

impl Incompatibility {
    /// The form the REST API's messages have; it differs by language.
    pub fn render(&self, direction: Direction, schema_type: SchemaType) -> String {
        let (reader, writer) = direction.reader_and_writer();
        let description = self.description.replace("{reader}", reader).replace("{writer}", writer);
        match schema_type {
            SchemaType::Avro => {
                format!("{{errorType:'{}', description:'{description}', additionalInfo:'{}'}}", self.kind, self.message)
            }
            SchemaType::Json | SchemaType::Protobuf => {
                format!("{{errorType:\"{}\", description:\"{description}\"}}", self.kind)
            }
        }
    }
}

/// Incompatibilities of `new` with one old schema under `level`, direction by direction.
pub fn check_pair(new: &dyn ParsedSchema, old: &dyn ParsedSchema, level: Level) -> Vec<(Direction, Incompatibility)> {
    let mut found = Vec::new();
    for &direction in level.directions() {
        let (reader, writer) = match direction {
            Direction::Backward => (new, old),
            Direction::Forward => (old, new),
        };
        found.extend(reader.incompatibilities(writer).into_iter().map(|incompatibility| (direction, incompatibility)));
    }
    found
}

/// What an old version has against `new` under `level`, as the REST API says it; empty where it has nothing.
pub fn check_version(
    new: &dyn ParsedSchema,
    version: i32,
    old: &dyn ParsedSchema,
    level: Level,
    validate_fields: bool,
) -> Vec<String> {
    let found = check_pair(new, old, level);
    if found.is_empty() {
        return Vec::new();
    }
    let mut messages: Vec<String> =
        found.iter().map(|(direction, found)| found.render(*direction, new.schema_type())).collect();
    messages.extend(compared_with(version, old, level, validate_fields));
    messages
}

/// The last messages of a check: which version was compared with, and under which settings.
pub fn compared_with(version: i32, old: &dyn ParsedSchema, level: Level, validate_fields: bool) -> [String; 3] {
    [format!("{{oldSchemaVersion: {version}}}"), quote(old.canonical()), tail(level, validate_fields)]
}

/// The last message: under which settings was compared.
pub fn tail(level: Level, validate_fields: bool) -> String {
    format!("{{validateFields: '{validate_fields}', compatibility: '{level}'}}")
}

fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTED_SCHEMA_CHARS) {
        Some((end, _)) => format!("{{oldSchema: <truncated> '{}...'}}", text.get(..end).unwrap_or_default()),
        None => format!("{{oldSchema: '{text}'}}"),
    }
}
