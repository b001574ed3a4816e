//! `tributary schema check`: an answer by exit code, for build pipelines.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::super::exit::{Because, Failure, Reason};
use super::source::{Facts, name_of};
use super::{Answered, read, say};
use crate::registry::impact::{Impact, is_about_lineage, way};
use crate::registry::rest::{Resource, RestClient, RestError};

/// The registry knows no such subject.
const NO_SUBJECT: u32 = 40401;

/// What to check.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 compatible (so is every schema where the subject has no versions), 1 not compatible, \
                  2 could not check\n\n\
                  Examples: tributary schema check orders-value order.avsc\n          \
                  tributary schema check orders-value order.avsc --version latest\n          \
                  tributary schema check orders-value order.avsc --lineage"
)]
pub(super) struct CheckArgs {
    /// Subject
    #[arg(value_parser = super::subject)]
    subject: String,
    /// File; - is standard input
    file: PathBuf,
    #[command(flatten)]
    facts: Facts,
    /// Against this version; else against those that the subject's level asks for
    #[arg(long, value_name = "N|latest", value_parser = super::version)]
    version: Option<String>,
    /// Not compatible either, whatever the level, where something downstream is made of a field that is removed, renamed
    /// or retyped
    #[arg(long)]
    lineage: bool,
}

#[derive(Debug, Deserialize)]
struct Verdict {
    is_compatible: bool,
    #[serde(default)]
    messages: Option<Vec<String>>,
    /// Only from registries of ours.
    #[serde(default)]
    impact: Option<Impact>,
}

pub(super) fn run(client: impl Fn() -> Result<RestClient, Failure>, args: &CheckArgs) -> Result<(), Failure> {
    let verdict = client().and_then(|client| verdict(&client, args));
    // Whatever went wrong: the question has no answer, and that must not look like "no".
    let unanswered = |failure: Failure| Failure { reason: Reason::Unanswered, error: failure.error };
    let verdict = verdict.map_err(unanswered)?;
    let reached = verdict.impact.iter().flat_map(|impact| &impact.changes).any(|change| !change.affected.is_empty());
    if args.lineage && verdict.is_compatible {
        lineage_was_asked(&verdict).because(Reason::Unanswered)?;
    }
    let compatible = verdict.is_compatible && !(args.lineage && reached);
    if compatible {
        say("compatible").map_err(unanswered)?;
    }
    let about_lineage = |message: &&String| verdict.impact.is_some() && is_about_lineage(message);
    for message in verdict.messages.iter().flatten().filter(|message| !about_lineage(message)) {
        say(message).map_err(unanswered)?;
    }
    for line in verdict.impact.iter().flat_map(impact_lines) {
        say(&line).map_err(unanswered)?;
    }
    if compatible {
        return Ok(());
    }
    Err(anyhow!("{} is not compatible with {}", name_of(&args.file), args.subject)).because(Reason::Negative)
}

/// Whoever asks for lineage wants to know, not to be told "compatible" by a registry that has not looked.
fn lineage_was_asked(verdict: &Verdict) -> anyhow::Result<()> {
    match &verdict.impact {
        Some(Impact { checked: true, .. }) => Ok(()),
        Some(impact) => {
            let reason = impact.reason.as_deref().unwrap_or("the registry does not say why");
            Err(anyhow!("column lineage could not be checked: {reason}"))
        }
        None => Err(anyhow!("this schema registry does not know column lineage")),
    }
}

/// What is made of the fields that changed, a line for each column and one for its way.
fn impact_lines(impact: &Impact) -> Vec<String> {
    let mut lines = Vec::new();
    for change in &impact.changes {
        for affected in &change.affected {
            let column = affected.column.as_deref().map(|column| format!("#{column}")).unwrap_or_default();
            let owners =
                if affected.owners.is_empty() { "no known owner".to_owned() } else { affected.owners.join(", ") };
            let what = match (&change.from, &change.to) {
                (Some(from), Some(to)) => format!("retyped from {from} to {to}"),
                (None, Some(to)) => format!("renamed to {to}"),
                _ => change.change.clone(),
            };
            lines.push(format!("{} is {what}: {}{column} is made of it ({owners})", change.column, affected.dataset));
            lines.push(format!("    {}", way(&affected.path)));
        }
    }
    if impact.truncated {
        lines.push("there is more downstream than is listed".to_owned());
    }
    lines
}

/// With all that a registry has to say.
fn in_full(resource: &Resource) -> Resource {
    resource.clone().flag("verbose", true).flag("impact", true)
}

fn verdict(client: &RestClient, args: &CheckArgs) -> Result<Verdict, Failure> {
    let body = Value::Object(args.facts.body(&args.file)?);
    let below = |version: Option<&str>| {
        let mut path = vec!["compatibility", "subjects", &args.subject, "versions"];
        path.extend(version);
        Resource::new(&path)
    };
    let mut resource = below(args.version.as_deref());
    let mut outcome = client.post(&in_full(&resource), &body);
    if let Err(RestError::Refused { code: 404 | 405, .. }) = &outcome
        && args.version.is_none()
    {
        // Not every registry has the path that takes all versions together.
        for version in versions_to_compare(client, &args.subject)? {
            resource = below(Some(&version));
            outcome = client.post(&in_full(&resource), &body);
            let compatible = |answer: &Value| answer.get("is_compatible") == Some(&Value::Bool(true));
            if !outcome.as_ref().is_ok_and(compatible) {
                break;
            }
        }
    }
    let names_a_number = args.version.as_deref().is_some_and(|version| version != "latest");
    match outcome {
        Err(error) if error.code() == Some(NO_SUBJECT) && !names_a_number => {
            Ok(Verdict { is_compatible: true, messages: None, impact: Some(Impact::nothing()) })
        }
        outcome => {
            let verdict: Verdict = read(outcome.answered()?, "a compatibility check")?;
            if !verdict.is_compatible {
                // With messages, what is no schema at all is called incompatible; without them it is an error.
                client.post(&resource, &body).answered()?;
            }
            Ok(verdict)
        }
    }
}

/// The versions that the subject's level compares a new one with, the newest first.
fn versions_to_compare(client: &RestClient, subject: &str) -> Result<Vec<String>, Failure> {
    let config = client.get(&Resource::new(&["config", subject]).flag("defaultToGlobal", true)).answered()?;
    let level = config.get("compatibilityLevel").and_then(Value::as_str).unwrap_or_default();
    if !level.ends_with("_TRANSITIVE") {
        return Ok(vec!["latest".to_owned()]);
    }
    let versions = client.find(&Resource::new(&["subjects", subject, "versions"])).answered()?;
    let versions: Vec<i32> =
        versions.map_or_else(|| Ok(Vec::new()), |versions| read(versions, "a list of versions"))?;
    let newest_first = versions.iter().rev().map(i32::to_string).collect::<Vec<_>>();
    // A subject without versions is asked for all the same, and says so.
    Ok(if newest_first.is_empty() { vec!["latest".to_owned()] } else { newest_first })
}
