//! Settings: file, environment and flags laid over defaults, checked, with the origin of each value. Layer 0.
//!
//! Precedence: flag > environment > file > default. Unknown keys are errors, all errors are told at once, secrets are
//! never shown. Knows nothing of the parts it configures.

pub mod keys;
mod layers;
mod reader;
mod settings;
mod sources;
mod suggest;
mod typed;
pub mod value;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

pub use layers::{FileText, SettingPath, VARIABLE_PREFIX};
pub use settings::{
    Airflow, Api, ClientAuth, Config, Database, DbtProject, HmsSource, Kafka, Limits, Log, LogColor, LogFormat,
    Metrics, Registry, RegistryTls, SchemaRegistry, Stage,
};
pub use sources::QueryLogSource;
pub use suggest::nearest;

use layers::Layers;

/// Who said a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: it is the default.
    Default,
    /// A line of a file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
}

impl Origin {
    fn layer(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Variable(_) => 2,
            Self::Flag(_) => 3,
        }
    }

    /// For sorting: by layer, then by line.
    fn place(&self) -> (u8, usize) {
        (self.layer(), if let Self::File { line, .. } = self { *line } else { 0 })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which setting; `None` = the file as a whole.
    pub path: Option<SettingPath>,
    /// Who said it.
    pub origin: Option<Origin>,
    /// What is wrong with it and what to do.
    pub message: String,
}

impl Problem {
    fn new(path: Option<SettingPath>, origin: Option<Origin>, message: &str) -> Self {
        Self { path, origin, message: message.to_owned() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.origin {
            Some(origin) if *origin != Origin::Default => write!(f, " ({origin})"),
            _ => Ok(()),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// Settings are wrong; all of them are listed.
    #[error("the configuration is wrong:{}", .problems.iter().map(|problem| format!("\n  {problem}")).collect::<String>())]
    Invalid {
        /// What is wrong.
        problems: Vec<Problem>,
    },
}

/// Where settings come from, besides the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, read.
    pub file: Option<FileText>,
    /// Environment variables; others than ours and the well-known ones are ignored.
    pub variables: Vec<(String, String)>,
    /// (Flag as typed, dotted key, value).
    pub flags: Vec<(String, String, String)>,
}

impl Sources {
    /// The process' environment, the file, and these flags. Without a named file `tributary.toml` of the working
    /// directory is taken if it is there.
    pub fn of_process(file: Option<&Path>, flags: Vec<(String, String, String)>) -> Result<Self, ConfigError> {
        let found = match file {
            Some(path) => Some(path.to_owned()),
            None => Some(PathBuf::from("tributary.toml")).filter(|path| path.is_file()),
        };
        let file = match found {
            Some(path) => match std::fs::read_to_string(&path) {
                Ok(text) => Some(FileText { path, text }),
                Err(source) => return Err(ConfigError::Unreadable { path, source }),
            },
            None => None,
        };
        // A variable that is no Unicode cannot be one of ours.
        let variables = std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)));
        Ok(Self { file, variables: variables.collect(), flags })
    }
}

/// One effective setting, for `check-config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its path.
    pub path: String,
    /// Its value as it may be shown: secrets are replaced by `***`.
    pub shown: String,
    /// Who said it.
    pub origin: Origin,
}

/// A checked configuration and where each value came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Each of them with its origin, sorted by path; those that are not set are missing.
    pub effective: Vec<Effective>,
}

/// Merges and checks the settings.
///
/// # Errors
/// [`ConfigError::Invalid`] with everything that is wrong.
pub fn load(sources: Sources) -> Result<Loaded, ConfigError> {
    let mut layers = Layers::defaults();
    if let Some(FileText { path, text }) = &sources.file {
        layers.file(path, text);
    }
    layers.environment(sources.variables);
    for (flag, key, value) in sources.flags {
        let mut path = SettingPath::dotted(&key);
        if let [section, kind, property @ ..] = path.0.as_slice()
            && section == "kafka"
            && kind.starts_with("properties")
            && property.len() > 1
        {
            path = SettingPath(vec![section.clone(), kind.clone(), property.join(".")]);
        }
        layers.text(path, &value, Origin::Flag(flag));
    }
    typed::read(layers)
}
