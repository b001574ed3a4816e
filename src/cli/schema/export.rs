//! `tributary schema export`: everything a registry holds, in an order in which it can be brought into another.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::exit::{Because, Failure, Reason};
use super::dump::{self, Line, Scope};
use super::source::is_standard_input;
use super::{Answered, entry, order, read};
use crate::registry::rest::{Resource, RestClient, RestError};

/// What Confluent's registry calls the context whose settings hold for all contexts.
const ALL_CONTEXTS: &str = ":.__GLOBAL:";

/// Where to.
#[derive(Debug, Args)]
#[command(
    after_help = "Configuration and modes come first, then schemas: those that others refer to before them, versions \
                  ascending,\nsoft-deleted ones among them. Equal registries give equal files.\n\n\
                  Example: tributary schema export registry.jsonl --url http://registry:8081"
)]
pub(super) struct ExportArgs {
    /// File; - is standard output
    #[arg(default_value = "-")]
    file: PathBuf,
}

pub(super) fn run(client: &RestClient, args: &ExportArgs) -> Result<(), Failure> {
    let lines = lines(client)?;
    let mut bytes = Vec::new();
    for line in &lines {
        serde_json::to_writer(&mut bytes, line)?;
        bytes.push(b'\n');
    }
    if is_standard_input(&args.file) {
        let written = std::io::stdout().write_all(&bytes);
        return written.map_err(|error| anyhow!("standard output: {error}")).because(Reason::Temporary);
    }
    // Written when everything has been read: a file that is there is a whole one.
    let written = std::fs::write(&args.file, &bytes);
    written.map_err(|error| anyhow!("{} cannot be written: {error}", args.file.display())).because(Reason::Usage)?;
    let schemas = lines.iter().filter(|line| matches!(line, Line::Schema(_))).count();
    let settings = lines.len() - schemas;
    super::say(&format!("{schemas} versions and {settings} settings from {}", client.url()))
}

/// Everything the registry holds, but for settings of subjects without versions that are no aliases: REST names none.
fn lines(client: &RestClient) -> Result<Vec<Line>, Failure> {
    let entries = entry::everything(client)?;
    let mut scopes: BTreeSet<Scope> = BTreeSet::from([None, Some(ALL_CONTEXTS.to_owned())]);
    let contexts = contexts(client)?;
    scopes.extend(contexts.iter().map(|name| dump::named_context(name)));
    for entry in &entries {
        scopes.insert(dump::context_scope(&entry.subject));
        scopes.insert(Some(entry.subject.clone()));
        // An alias is configured on a name that has no versions of its own.
        scopes.extend(entry.aliases.iter().cloned().map(Some));
    }
    let (mut configs, mut modes) = (Vec::new(), Vec::new());
    for scope in scopes {
        if let Some(config) = config_of(client, scope.as_deref())? {
            configs.push(Line::Config { subject: scope.clone(), config });
        }
        if let Some(mode) = mode_of(client, scope.as_deref())? {
            modes.push(Line::Mode { subject: scope, mode });
        }
    }
    if contexts.is_empty() {
        drop_echoes(&mut modes);
    }
    let schemas = order::in_order(entries).into_iter().map(Line::Schema);
    Ok(configs.into_iter().chain(modes).chain(schemas).collect())
}

/// Karapace answers for every subject with the mode of all, which then is none of the subject's own.
fn drop_echoes(modes: &mut Vec<Line>) {
    let of_all = modes.iter().find_map(|line| match line {
        Line::Mode { subject: None, mode } => Some(mode.clone()),
        _ => None,
    });
    let echoes = |line: &Line| matches!(line, Line::Mode { mode, .. } if Some(mode) == of_all.as_ref());
    if modes.iter().all(echoes) {
        modes.retain(|line| matches!(line, Line::Mode { subject: None, .. }));
    }
}

/// Names of contexts; a registry that knows no contexts has none.
fn contexts(client: &RestClient) -> Result<Vec<String>, Failure> {
    match client.get(&Resource::new(&["contexts"])) {
        Err(RestError::Refused { status: 404 | 405, .. }) => Ok(Vec::new()),
        answer => read(answer.answered()?, "the list of contexts"),
    }
}

/// The path of a setting.
pub(super) fn setting(kind: &str, scope: Option<&str>) -> Resource {
    let mut path = vec![kind];
    path.extend(scope);
    Resource::new(&path)
}

/// Configuration that is set on a scope.
pub(super) fn config_of(client: &RestClient, scope: Option<&str>) -> Result<Option<Map<String, Value>>, Failure> {
    match client.find(&setting("config", scope)).answered()? {
        Some(answer) => {
            let config: Map<String, Value> = read(answer, "a configuration")?;
            Ok(Some(config).filter(|config| !(is_for_all(scope) && *config == unset_config())))
        }
        None => Ok(None),
    }
}

/// Whether a scope is that of all contexts, which a registry answers for also where nothing is set: what is then shown
/// is what holds without it.
fn is_for_all(scope: Option<&str>) -> bool {
    scope == Some(ALL_CONTEXTS)
}

fn unset_config() -> Map<String, Value> {
    Map::from_iter([("compatibilityLevel".to_owned(), Value::from("BACKWARD"))])
}

#[derive(Deserialize)]
struct ModeAnswer {
    mode: String,
}

/// The mode that is set on a scope.
pub(super) fn mode_of(client: &RestClient, scope: Option<&str>) -> Result<Option<String>, Failure> {
    match client.find(&setting("mode", scope)).answered()? {
        Some(answer) => {
            let mode = read::<ModeAnswer>(answer, "a mode")?.mode;
            Ok(Some(mode).filter(|mode| !(is_for_all(scope) && mode == "READWRITE")))
        }
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_that_only_echo_that_of_all_are_no_settings() {
        let mode = |subject: Option<&str>, mode: &str| Line::Mode {
            subject: subject.map(str::to_owned),
            mode: mode.to_owned(),
        };
        let kept = |mut modes: Vec<Line>| {
            drop_echoes(&mut modes);
            modes.len()
        };
        assert_eq!(kept(vec![mode(None, "READWRITE"), mode(Some("a"), "READWRITE"), mode(Some("b"), "READWRITE")]), 1);
        assert_eq!(kept(vec![mode(None, "READWRITE"), mode(Some("a"), "READWRITE"), mode(Some("b"), "READONLY")]), 3);
        assert_eq!(kept(vec![mode(Some("a"), "READONLY")]), 1);
    }
}
