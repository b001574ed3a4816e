//! `tributary schema import`: an export into another registry, ids and versions included. Can be run again after a
//! failure: what is there already is passed over.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::exit::{Because, Failure, Reason};
use super::dump::{self, Line, Numbered, Scope};
use super::entry::Entry;
use super::export::{config_of, mode_of, setting};
use super::plan::{Plan, name, plan};
use super::source::{name_of, read_file};
use super::{Answered, entry, read, say};
use crate::registry::rest::{Resource, RestClient};

const IMPORT: &str = "IMPORT";
/// The mode of a registry that nobody has set.
const READWRITE: &str = "READWRITE";
/// The version is soft-deleted already.
const DELETED_ALREADY: u32 = 40406;

/// What to bring in.
#[derive(Debug, Args)]
#[command(after_help = "The registry is put into mode IMPORT, in which it takes ids and versions and refuses other \
                  registrations, and afterwards\ninto the mode that the export says.\n\n\
                  Example: tributary schema import registry.jsonl --url http://other:8081 --dry-run")]
pub(super) struct ImportArgs {
    /// File; - is standard input
    file: PathBuf,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Add to live schemas that are not in the export
    #[arg(long)]
    into_existing: bool,
}

pub(super) fn run(client: &RestClient, args: &ImportArgs) -> Result<(), Failure> {
    let file = name_of(&args.file);
    let text = read_file(&args.file)?;
    let lines =
        dump::parse(&text).map_err(|(line, why)| anyhow!("{file} line {line}: {why}")).because(Reason::Usage)?;
    let there = entry::everything(client)?;
    let work = plan(&lines, &there, args.into_existing);
    let work = work.map_err(|obstacle| anyhow!("{file} into {}: {obstacle}", client.url())).because(Reason::Usage)?;
    if args.dry_run {
        let Plan { register, delete, present, .. } = &work;
        return say(&format!(
            "{} versions would be registered, {present} are there already, {} would be soft-deleted",
            register.len(),
            delete.len()
        ));
    }
    let import = Import { client, file: &file, is_in_use: !there.is_empty() };
    let before = import.begin(&work)?;
    let outcome = import.write(&work).and_then(|()| import.settle(&lines, &before));
    let (configs, modes) = outcome.map_err(|failure| import.explained(failure, &before))?;
    say(&format!(
        "{} versions registered, {} were there already, {} soft-deleted, {configs} configurations and {modes} modes set",
        work.register.len(),
        work.present,
        work.delete.len()
    ))
}

/// The modes that were set before, by scope.
type Before = BTreeMap<Scope, Option<String>>;

struct Import<'a> {
    client: &'a RestClient,
    file: &'a str,
    /// Mode IMPORT has to be forced upon a registry that holds schemas: otherwise it is refused, or what is soft-deleted
    /// there is forgotten.
    is_in_use: bool,
}

#[derive(Deserialize)]
struct Registered {
    id: i32,
    version: Option<i32>,
}

impl Import<'_> {
    /// Sets mode IMPORT where it is needed.
    fn begin(&self, work: &Plan<'_>) -> Result<Before, Failure> {
        let mut before = Before::new();
        for scope in &work.scopes {
            before.insert(scope.clone(), mode_of(self.client, scope.as_deref())?);
        }
        for scope in &work.scopes {
            let set = self.set_mode(scope.as_deref(), IMPORT, self.is_in_use);
            set.map_err(|failure| {
                let why = format!("the registry does not take ids, for mode IMPORT cannot be set: {failure}");
                self.explained(Failure { reason: failure.reason, error: anyhow!(why) }, &before)
            })?;
        }
        Ok(before)
    }

    /// Registers and deletes.
    fn write(&self, work: &Plan<'_>) -> Result<(), Failure> {
        for (line, entry) in &work.register {
            self.register(entry).map_err(|failure| self.at(*line, entry, failure))?;
        }
        for (line, entry) in &work.delete {
            let version = entry.version.to_string();
            match self.client.delete(&Resource::new(&["subjects", &entry.subject, "versions", &version])) {
                Err(error) if error.code() == Some(DELETED_ALREADY) => {}
                deleted => drop(deleted.answered().map_err(|failure| self.at(*line, entry, failure))?),
            }
        }
        Ok(())
    }

    fn register(&self, entry: &Entry) -> Result<(), Failure> {
        let mut body = json!({"schema": entry.schema, "id": entry.id, "version": entry.version});
        if entry.schema_type != "AVRO" {
            body["schemaType"] = json!(entry.schema_type);
        }
        if !entry.references.is_empty() {
            body["references"] = json!(entry.references);
        }
        if let Some(metadata) = &entry.metadata {
            body["metadata"] = metadata.clone();
        }
        if let Some(rules) = &entry.rule_set {
            body["ruleSet"] = rules.clone();
        }
        let answer = self.client.post(&Resource::new(&["subjects", &entry.subject, "versions"]), &body).answered()?;
        let Registered { id, version } = read(answer, "a registration")?;
        if id != entry.id || version.is_some_and(|version| version != entry.version) {
            let got = version.map_or(String::new(), |version| format!("version {version} with "));
            return Err(anyhow!("the registry made it {got}id {id}, not id {}", entry.id)).because(Reason::Internal);
        }
        Ok(())
    }

    /// Sets configurations, then modes; answers how many were set.
    fn settle(&self, lines: &[Numbered], before: &Before) -> Result<(usize, usize), Failure> {
        let mut configs = 0;
        for (number, line) in lines {
            let Line::Config { subject, config } = line else { continue };
            // What is as it should be is left alone: it may be read-only by now.
            let set = config_of(self.client, subject.as_deref()).and_then(|current| {
                if current.as_ref() == Some(config) {
                    return Ok(0);
                }
                let resource = setting("config", subject.as_deref());
                self.client.put(&resource, &dump::config_request(config)).answered()?;
                Ok(1)
            });
            configs += set.map_err(|failure| self.at_setting(*number, "configuration", subject, failure))?;
        }
        let mut wanted: BTreeMap<Scope, (Option<usize>, Option<String>)> = before
            .iter()
            .map(|(scope, mode)| (scope.clone(), (None, mode.clone().filter(|mode| mode != IMPORT))))
            .collect();
        for (number, line) in lines {
            let Line::Mode { subject, mode } = line else { continue };
            wanted.insert(subject.clone(), (Some(*number), Some(mode.clone())));
        }
        let mut modes = 0;
        // The whole registry's mode comes last: it may stop all others from being set.
        for (scope, (number, mode)) in wanted.iter().rev() {
            let set = self.bring_mode(scope.as_deref(), mode.as_deref());
            let was_set = set.map_err(|failure| match number {
                Some(number) => self.at_setting(*number, "mode", scope, failure),
                None => failure,
            })?;
            modes += usize::from(was_set && number.is_some());
        }
        Ok((configs, modes))
    }

    /// Makes a mode what it should be, or unset; answers whether that was a change.
    fn bring_mode(&self, scope: Option<&str>, wanted: Option<&str>) -> Result<bool, Failure> {
        let current = mode_of(self.client, scope)?;
        // The whole registry has a mode always.
        let wanted = wanted.or(scope.is_none().then_some(READWRITE));
        if current.as_deref() == wanted {
            return Ok(false);
        }
        match wanted {
            Some(mode) => self.set_mode(scope, mode, mode == IMPORT)?,
            None => drop(self.client.delete(&setting("mode", scope)).answered()?),
        }
        Ok(true)
    }

    fn set_mode(&self, scope: Option<&str>, mode: &str, force: bool) -> Result<(), Failure> {
        let resource = setting("mode", scope).flag("force", force);
        self.client.put(&resource, &json!({"mode": mode})).answered().map(drop)
    }

    fn at(&self, line: usize, entry: &Entry, failure: Failure) -> Failure {
        let said = format!("{} line {line}, {}: {failure}", self.file, name(entry));
        Failure { reason: failure.reason, error: anyhow!(said) }
    }

    fn at_setting(&self, line: usize, what: &str, scope: &Scope, failure: Failure) -> Failure {
        let of = scope.as_deref().unwrap_or("the whole registry");
        Failure { reason: failure.reason, error: anyhow!("{} line {line}, {what} of {of}: {failure}", self.file) }
    }

    /// A failure with what to do about the mode that stays set: nobody is to register schemas in between.
    fn explained(&self, failure: Failure, before: &Before) -> Failure {
        let mut said = format!("{failure}\nRun the import again when that is mended; it goes on where it stopped.");
        if !before.is_empty() {
            said.push_str(" Until then the registry may stay in mode IMPORT. To give the import up:");
        }
        for (scope, mode) in before {
            said.push_str("\n  ");
            said.push_str(&reset_command(&self.client.url(), scope.as_deref(), mode.as_deref()));
        }
        Failure { reason: failure.reason, error: anyhow!(said) }
    }
}

/// What brings a mode back by hand.
fn reset_command(url: &str, scope: Option<&str>, before: Option<&str>) -> String {
    let path = setting("mode", scope);
    let before = before.filter(|mode| *mode != IMPORT).or(scope.is_none().then_some(READWRITE));
    match before {
        Some(mode) => {
            let body: Value = json!({"mode": mode});
            format!("curl -X PUT -H 'Content-Type: application/json' -d '{body}' '{url}{path}'")
        }
        None => format!("curl -X DELETE '{url}{path}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_told() {
        assert_eq!(
            reset_command("http://h", None, Some(IMPORT)),
            "curl -X PUT -H 'Content-Type: application/json' -d '{\"mode\":\"READWRITE\"}' 'http://h/mode'"
        );
        assert_eq!(reset_command("http://h", Some(":.c:"), None), "curl -X DELETE 'http://h/mode/:.c:'");
        assert!(reset_command("http://h", Some(":.c:"), Some("READONLY")).contains("READONLY"));
    }
}
