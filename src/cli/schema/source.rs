//! A schema from a file or standard input, with what a registry has to be told about it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::super::exit::{Because, Failure, Reason};
use crate::registry::types::{SchemaReference, VersionSpec};
use crate::schema::SchemaType;

/// Largest file that is read, in bytes: an export of a large registry.
const MAX_FILE_BYTES: u64 = 2 << 30;

/// What a schema's text does not say itself.
#[derive(Debug, Default, Args)]
pub(super) struct Facts {
    /// Language; else by the file's extension (.avsc, .json, .proto), and AVRO for standard input
    #[arg(long = "type", value_name = "TYPE", value_enum, ignore_case = true)]
    language: Option<Language>,
    /// A schema that this one names: NAME=SUBJECT:VERSION; may be given several times
    #[arg(long = "reference", value_name = "NAME=SUBJECT:VERSION", value_parser = reference)]
    pub references: Vec<SchemaReference>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
enum Language {
    Avro,
    Json,
    Protobuf,
}

impl From<Language> for SchemaType {
    fn from(language: Language) -> Self {
        match language {
            Language::Avro => Self::Avro,
            Language::Json => Self::Json,
            Language::Protobuf => Self::Protobuf,
        }
    }
}

impl Facts {
    /// The language of a file.
    pub fn schema_type(&self, file: &Path) -> Result<SchemaType, Failure> {
        if let Some(language) = self.language {
            return Ok(language.into());
        }
        if is_standard_input(file) {
            return Ok(SchemaType::Avro);
        }
        let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "avsc" => Ok(SchemaType::Avro),
            "json" => Ok(SchemaType::Json),
            "proto" => Ok(SchemaType::Protobuf),
            _ => Err(anyhow!(
                "{}: the extension does not tell the schema's language; give --type AVRO, JSON or PROTOBUF",
                file.display()
            ))
            .because(Reason::Usage),
        }
    }

    /// The body of a request about the schema in a file.
    pub fn body(&self, file: &Path) -> Result<Map<String, Value>, Failure> {
        let schema_type = self.schema_type(file)?;
        let mut body = Map::new();
        body.insert("schema".to_owned(), json!(read_file(file)?));
        // Old registries know no types besides this one, nor the word.
        if schema_type != SchemaType::Avro {
            body.insert("schemaType".to_owned(), json!(schema_type.as_str()));
        }
        if !self.references.is_empty() {
            body.insert("references".to_owned(), json!(self.references));
        }
        Ok(body)
    }
}

/// Whether a file stands for standard input or output.
pub(super) fn is_standard_input(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// The text of a file, or of standard input.
pub(super) fn read_file(file: &Path) -> Result<String, Failure> {
    let open = || -> std::io::Result<Box<dyn std::io::Read>> {
        if is_standard_input(file) { Ok(Box::new(std::io::stdin())) } else { Ok(Box::new(std::fs::File::open(file)?)) }
    };
    let mut text = String::new();
    let read = open().and_then(|source| source.take(MAX_FILE_BYTES + 1).read_to_string(&mut text));
    let name = name_of(file);
    let read = read.map_err(|error| anyhow!("{name} cannot be read: {error}")).because(Reason::Usage)?;
    if u64::try_from(read).is_ok_and(|read| read > MAX_FILE_BYTES) {
        return Err(anyhow!("{name} is larger than {MAX_FILE_BYTES} bytes")).because(Reason::Usage);
    }
    Ok(text)
}

/// How a file is called in messages.
pub(super) fn name_of(file: &Path) -> String {
    if is_standard_input(file) { "standard input".to_owned() } else { file.display().to_string() }
}

/// `NAME=SUBJECT:VERSION`. Names may be URLs with `=`, and subjects have colons where they name a context.
fn reference(text: &str) -> Result<SchemaReference, String> {
    let wrong = || format!("{text:?} is no reference; write NAME=SUBJECT:VERSION, e.g. org.acme.Money=money-value:3");
    let (name, target) = text.rsplit_once('=').ok_or_else(wrong)?;
    let (subject, version) = target.rsplit_once(':').ok_or_else(wrong)?;
    if name.is_empty() || subject.is_empty() {
        return Err(wrong());
    }
    let version = match version.parse::<VersionSpec>() {
        Ok(VersionSpec::Latest) => -1,
        Ok(VersionSpec::Number(number)) => number,
        Err(_) => return Err(wrong()),
    };
    Ok(SchemaReference { name: name.to_owned(), subject: subject.to_owned(), version })
}

/// `KEY=VALUE`.
pub(super) fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is no property; write KEY=VALUE")),
    }
}

/// A version of a registry's subject, or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A version.
    Version(String),
    /// A file.
    File(PathBuf),
}

/// `N`, `latest` or `@FILE`.
pub(super) fn place(text: &str) -> Result<Place, String> {
    match text.strip_prefix('@') {
        Some("") => Err("name the file: @FILE".to_owned()),
        Some(file) => Ok(Place::File(file.into())),
        None => super::version(text).map(Place::Version).map_err(|error| format!("{error} Or write @FILE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_from_the_end() {
        let read = |text: &str| {
            reference(text).map(|reference| (reference.name, reference.subject, reference.version)).map_err(drop)
        };
        let of = |name: &str, subject: &str, version| Ok((name.to_owned(), subject.to_owned(), version));
        assert_eq!(read("org.acme.Money=money-value:3"), of("org.acme.Money", "money-value", 3));
        assert_eq!(read("http://a/b?c=d=:.ctx:money:latest"), of("http://a/b?c=d", ":.ctx:money", -1));
        for text in ["", "a", "a=b", "=b:1", "a=:1", "a=b:0", "a=b:x"] {
            assert_eq!(read(text), Err(()), "{text}");
        }
    }

    #[test]
    fn the_language_is_given_or_told_by_the_extension() {
        let by = |file: &str| Facts::default().schema_type(Path::new(file)).ok();
        assert_eq!(by("a.avsc"), Some(SchemaType::Avro));
        assert_eq!(by("a.JSON"), Some(SchemaType::Json));
        assert_eq!(by("a.proto"), Some(SchemaType::Protobuf));
        assert_eq!(by("-"), Some(SchemaType::Avro));
        assert_eq!(by("a.txt"), None);
        let given = Facts { language: Some(Language::Json), references: Vec::new() };
        assert_eq!(given.schema_type(Path::new("a.txt")).ok(), Some(SchemaType::Json));
    }

    #[test]
    fn places_are_versions_or_files() {
        assert_eq!(place("3"), Ok(Place::Version("3".to_owned())));
        assert_eq!(place("latest"), Ok(Place::Version("latest".to_owned())));
        assert_eq!(place("@a.avsc"), Ok(Place::File("a.avsc".into())));
        assert!(place("@").is_err() && place("a.avsc").is_err());
        assert_eq!(property("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(property("=b").is_err() && property("a").is_err());
    }
}
