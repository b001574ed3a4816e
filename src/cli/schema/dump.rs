//! An export's format: one JSON object a line, each of a kind. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::entry::Entry;
use crate::registry::types::{DEFAULT_CONTEXT, Subject};

/// A line of an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Line {
    /// Configuration that is set there.
    Config {
        /// Where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Scope,
        /// As the registry shows it.
        config: Map<String, Value>,
    },
    /// The mode that is set there.
    Mode {
        /// Where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Scope,
        /// Its name.
        mode: String,
    },
    /// A version of a subject.
    Schema(Entry),
}

/// Where configuration or a mode is set: on a subject, on a context (`:.context:`) or, with none, on the whole registry.
pub(super) type Scope = Option<String>;

/// A line with its number, from 1.
pub(super) type Numbered = (usize, Line);

/// The scope of a subject's context; the default context has that of the whole registry.
pub(super) fn context_scope(subject: &str) -> Scope {
    let subject = Subject::from_stored(subject);
    subject.context_subject().map(str::to_owned)
}

/// The scope of a context by its name, as `GET /contexts` gives it; none for the default context.
pub(super) fn named_context(name: &str) -> Scope {
    let name = name.trim_matches(':');
    (name != DEFAULT_CONTEXT && !name.is_empty()).then(|| format!(":{name}:"))
}

/// Reads an export; empty lines are passed over. An error begins with the number of its line.
pub(super) fn parse(text: &str) -> Result<Vec<Numbered>, (usize, String)> {
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let read = lines.map(|(line, number)| match serde_json::from_str::<Line>(line) {
        Ok(line) => sound(&line).map(|()| (number, line)).map_err(|why| (number, why)),
        Err(error) => Err((number, format!("this is no line of an export: {error}"))),
    });
    read.collect()
}

fn sound(line: &Line) -> Result<(), String> {
    let subject = match line {
        Line::Config { subject, .. } | Line::Mode { subject, .. } => subject.as_deref(),
        Line::Schema(entry) if entry.version < 1 || entry.id < 0 => {
            return Err(format!("version {} with id {} cannot be", entry.version, entry.id));
        }
        Line::Schema(entry) if Subject::from_stored(&entry.subject).name().is_empty() => {
            return Err(format!("a schema needs a subject, and {:?} is none", entry.subject));
        }
        Line::Schema(entry) => Some(entry.subject.as_str()),
    };
    subject.map_or(Ok(()), |subject| Subject::parse(subject).map(drop).map_err(|error| error.to_string()))
}

/// What a registry takes for a configuration that it shows.
pub(super) fn config_request(config: &Map<String, Value>) -> Value {
    let renamed = config.iter().map(|(key, value)| match key.as_str() {
        "compatibilityLevel" => ("compatibility".to_owned(), value.clone()),
        _ => (key.clone(), value.clone()),
    });
    Value::Object(renamed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"kind":"config","config":{"compatibilityLevel":"FULL","normalize":true}}
{"kind":"mode","subject":":.c:","mode":"READONLY"}
{"kind":"schema","subject":":.c:s","version":2,"id":7,"schemaType":"AVRO","references":[{"name":"N","subject":"t","version":1}],"metadata":{"properties":{"a":"b"}},"schema":"\"int\"","deleted":true}
"#;

    #[test]
    fn lines_are_written_as_they_are_read() {
        let lines = parse(TEXT).unwrap();
        let written: String = lines.iter().map(|(_, line)| serde_json::to_string(line).unwrap() + "\n").collect();
        assert_eq!(written, TEXT);
        assert_eq!(lines.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_damaged_line_is_named() {
        for (line, why) in [
            ("{", "this is no line of an export"),
            (r#"{"kind":"other"}"#, "this is no line of an export"),
            (r#"{"kind":"schema","subject":"s","version":0,"id":1,"schema":""}"#, "version 0 with id 1"),
            (r#"{"kind":"schema","subject":":.c:","version":1,"id":1,"schema":""}"#, "needs a subject"),
            (r#"{"kind":"mode","subject":"","mode":"IMPORT"}"#, "The specified subject '' is not a valid"),
        ] {
            let (number, said) = parse(&format!("\n\n{line}\n")).unwrap_err();
            assert_eq!(number, 3, "{line}");
            assert!(said.contains(why), "{line}: {said}");
        }
    }

    #[test]
    fn contexts_are_scopes() {
        assert_eq!(context_scope("s"), None);
        assert_eq!(context_scope(":.c:s").as_deref(), Some(":.c:"));
        assert_eq!(named_context("."), None);
        assert_eq!(named_context(".c").as_deref(), Some(":.c:"));
        assert_eq!(named_context(":.c:").as_deref(), Some(":.c:"));
    }

    #[test]
    fn the_level_has_another_name_in_requests() {
        let config = serde_json::json!({"compatibilityLevel": "FULL", "alias": "x"});
        let request = config_request(config.as_object().unwrap());
        assert_eq!(request, serde_json::json!({"compatibility": "FULL", "alias": "x"}));
    }
}
