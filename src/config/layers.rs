//! What is said where: defaults, file, environment and flags, laid over each other, each value with its origin.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::keys::{self, KEYS, Key, Kind, OTHER_VARIABLES, Place, RESERVED_PREFIXES};
use super::suggest::nearest;
use super::{Origin, Problem};

/// The prefix of our environment variables; sections are divided from keys by `__`.
pub const VARIABLE_PREFIX: &str = "TRIBUTARY_";

/// The path of a setting, such as `kafka.properties."security.protocol"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettingPath(pub Vec<String>);

impl SettingPath {
    /// The path of a dotted key without quoted parts.
    pub fn dotted(text: &str) -> Self {
        Self(text.split('.').map(str::to_owned).collect())
    }

    fn child(&self, name: &str) -> Self {
        let mut names = self.0.clone();
        names.push(name.to_owned());
        Self(names)
    }
}

impl fmt::Display for SettingPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.0.iter().enumerate() {
            if at > 0 && name != "[]" {
                f.write_str(".")?;
            }
            let bare = name == "[]" || name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            if bare { f.write_str(name)? } else { write!(f, "{name:?}")? }
        }
        Ok(())
    }
}

/// One value and who said it.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The value as written.
    pub value: Value,
    /// Who said it.
    pub origin: Origin,
}

/// All values that hold, by path; later layers have replaced earlier ones.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The values.
    pub said: BTreeMap<SettingPath, Said>,
    /// What could not be understood.
    pub problems: Vec<Problem>,
}

impl Layers {
    /// The defaults of all settings without a name of the user's choice.
    pub fn defaults() -> Self {
        let mut layers = Self::default();
        for key in KEYS.iter().filter(|key| !key.path.contains('*')) {
            if let Some(default) = key.default {
                layers.set(SettingPath::dotted(key.path), Value::String(default.to_owned()), Origin::Default);
            }
        }
        layers
    }

    /// Lays a file over what is there.
    pub fn file(&mut self, path: &Path, text: &str) {
        let place = |offset: usize| Origin::File {
            path: path.to_owned(),
            line: text.get(..offset).unwrap_or(text).matches('\n').count() + 1,
        };
        let (spans, values) = match (DeTable::parse(text), toml::from_str::<toml::Table>(text)) {
            (Ok(spans), Ok(values)) => (spans, values),
            (Err(error), _) | (_, Err(error)) => {
                // Not the error's own picture of the line: it could show a secret.
                let offset = error.span().map_or(0, |span| span.start);
                self.problems.push(Problem::new(None, Some(place(offset)), error.message()));
                return;
            }
        };
        self.table(&SettingPath::default(), spans.get_ref(), &values, &place);
    }

    fn table(&mut self, at: &SettingPath, spans: &DeTable<'_>, values: &toml::Table, place: &dyn Fn(usize) -> Origin) {
        for (name, span) in spans {
            let path = at.child(name.get_ref());
            let origin = place(name.span().start);
            let Some(value) = values.get(name.get_ref().as_ref()) else { continue };
            match keys::place(&path.0) {
                Place::Setting(Kind::Properties) => match value {
                    Value::Table(inner) => self.properties(&path, "", inner, &origin),
                    _ => self.refuse(path, origin, "it must be a table of names and values"),
                },
                Place::Setting(Kind::Tables) => {
                    if let DeValue::Array(entries) = span.get_ref() {
                        for entry in entries {
                            if let DeValue::Table(entry) = entry.get_ref() {
                                self.known_only(&path.child("[]"), entry, place);
                            }
                        }
                    }
                    self.set(path, value.clone(), origin);
                }
                Place::Setting(_) => self.set(path, value.clone(), origin),
                Place::Section => match (span.get_ref(), value) {
                    (DeValue::Table(inner_spans), Value::Table(inner)) => self.table(&path, inner_spans, inner, place),
                    _ => self.refuse(path, origin, "it is a section, not a value"),
                },
                Place::Unknown => self.unknown(path, origin),
            }
        }
    }

    fn known_only(&mut self, at: &SettingPath, entry: &DeTable<'_>, place: &dyn Fn(usize) -> Origin) {
        for name in entry.keys() {
            let path = at.child(name.get_ref());
            if keys::place(&path.0) == Place::Unknown {
                self.unknown(path, place(name.span().start));
            }
        }
    }

    /// Dots in property names need no quotes in the file, where they make nested tables.
    fn properties(&mut self, section: &SettingPath, prefix: &str, table: &toml::Table, origin: &Origin) {
        for (name, value) in table {
            let name = format!("{prefix}{name}");
            match value {
                Value::Table(inner) => self.properties(section, &format!("{name}."), inner, origin),
                _ => self.set(section.child(&name), value.clone(), origin.clone()),
            }
        }
    }

    /// Lays environment variables over what is there. Empty ones count as not set.
    pub fn environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        let variables: Vec<(String, String)> = variables.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        for (name, value) in &variables {
            if let Some(key) = KEYS.iter().find(|key| key.variable == Some(name.as_str())) {
                self.set(SettingPath::dotted(key.path), Value::String(value.clone()), Origin::Variable(name.clone()));
            }
            if name == "NO_COLOR" {
                let never = Value::String("never".to_owned());
                self.set(SettingPath::dotted("log.color"), never, Origin::Variable(name.clone()));
            }
        }
        // Ours say more than everybody's, so they come second.
        for (name, value) in variables {
            let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else { continue };
            let other = OTHER_VARIABLES.contains(&name.as_str());
            if other || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let origin = Origin::Variable(name.clone());
            let mut names: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
            // librdkafka's names have dots, which variables cannot have, and no underscores.
            let property = matches!(names.as_slice(), [kafka, section, _] if kafka == "kafka" && section.starts_with("properties"));
            if let Some(last) = names.last_mut().filter(|_| property) {
                *last = last.replace('_', ".");
            }
            self.text(SettingPath(names), &value, origin);
        }
    }

    /// Lays one value given as text over what is there: a flag or a variable. Lists and tables are written as in TOML.
    pub fn text(&mut self, path: SettingPath, text: &str, origin: Origin) {
        let kind = match keys::place(&path.0) {
            Place::Setting(kind) => kind,
            Place::Section if is_property(&path) => Kind::Text,
            Place::Section => return self.refuse(path, origin, "it is a section, not a value"),
            Place::Unknown if is_property(&path) => Kind::Text,
            Place::Unknown => return self.unknown(path, origin),
        };
        match kind {
            Kind::Texts | Kind::Tables | Kind::Properties => {
                let parsed = toml::from_str::<toml::Table>(&format!("value = {text}"));
                match (parsed.ok().and_then(|mut table| table.remove("value")), kind) {
                    (Some(Value::Table(inner)), Kind::Properties) => self.properties(&path, "", &inner, &origin),
                    (Some(value), Kind::Texts | Kind::Tables) => self.set(path, value, origin),
                    _ => self.refuse(
                        path,
                        origin,
                        "write it as in the file, such as [\"a\", \"b\"] or [{key = \"value\"}]",
                    ),
                }
            }
            _ => self.set(path, Value::String(text.to_owned()), origin),
        }
    }

    fn set(&mut self, path: SettingPath, value: Value, origin: Origin) {
        // A secret said again in its other form is replaced as well, but not if one layer says both.
        let other = other_form(&path);
        if self.said.get(&other).is_some_and(|said| said.origin.layer() != origin.layer()) {
            self.said.remove(&other);
        }
        self.said.insert(path, Said { value, origin });
    }

    fn refuse(&mut self, path: SettingPath, origin: Origin, message: &str) {
        self.problems.push(Problem::new(Some(path), Some(origin), message));
    }

    fn unknown(&mut self, path: SettingPath, origin: Origin) {
        let name = path.0.last().map_or("", String::as_str);
        let siblings = keys::siblings(&path.0);
        let parent = || path.0.iter().rev().skip(1).rev().map(|name| format!("{name}.")).collect::<String>();
        let near = nearest(name, siblings.iter().map(String::as_str)).map(|sibling| format!("{}{sibling}", parent()));
        // Perhaps the name is right and the section is not.
        let elsewhere =
            || KEYS.iter().find(|key| key.path.rsplit('.').next() == Some(name)).map(|key| key.path.to_owned());
        let all = || nearest(&path.0.join("."), KEYS.iter().map(|key| key.path)).map(str::to_owned);
        let message = match near.or_else(all).or_else(elsewhere) {
            Some(known) if matches!(origin, Origin::Variable(_)) => {
                let variable = known.replace('.', "__").to_ascii_uppercase();
                format!("unknown setting; did you mean {VARIABLE_PREFIX}{variable}?")
            }
            Some(known) => format!("unknown setting; did you mean {}?", known.replace(".[]", "[]")),
            None if siblings.is_empty() => "unknown setting; config/tributary.toml documents all of them".to_owned(),
            None => format!("unknown setting; known here: {}", siblings.join(", ")),
        };
        self.problems.push(Problem::new(Some(path), Some(origin), &message));
    }
}

fn is_property(path: &SettingPath) -> bool {
    matches!(path.0.as_slice(), [kafka, section, _] if kafka == "kafka" && matches!(section.as_str(), "properties" | "properties_file"))
}

/// `x_file` for `x`, and `x` for `x_file`.
fn other_form(path: &SettingPath) -> SettingPath {
    let mut names = path.0.clone();
    let swap =
        |name: &mut String| *name = name.strip_suffix("_file").map_or_else(|| format!("{name}_file"), str::to_owned);
    match names.as_mut_slice() {
        [_, section, _] if section.starts_with("properties") => swap(section),
        [.., last] => swap(last),
        [] => {}
    }
    SettingPath(names)
}

/// The catalogue's entry of a concrete path.
pub fn key_of(path: &SettingPath) -> Option<&'static Key> {
    KEYS.iter().find(|key| {
        let parts: Vec<&str> = key.path.split('.').collect();
        parts.len() == path.0.len() && path.0.iter().zip(&parts).all(|(name, part)| *part == "*" || part == name)
    })
}

/// A file that is there, with its text.
#[derive(Clone, Debug)]
pub struct FileText {
    /// Its path, for messages.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}
