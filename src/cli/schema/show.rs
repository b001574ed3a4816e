//! `tributary schema list` and `get`.

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;

use super::super::exit::{Because, Failure, Reason};
use super::entry::{self, Wanted};
use super::{Answered, pretty, say};
use crate::registry::rest::{Resource, RestClient};

/// Which to list.
#[derive(Debug, Args)]
#[command(after_help = "Example: tributary schema list --subject-prefix orders --json")]
pub(super) struct ListArgs {
    /// Only subjects that begin so; `:.CONTEXT:` are those of a context
    #[arg(long, value_name = "P")]
    subject_prefix: Option<String>,
    /// Soft-deleted ones, too
    #[arg(long)]
    deleted: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Which to print.
#[derive(Debug, Args)]
#[command(after_help = "Examples: tributary schema get orders-value --version 3\n          \
                  tributary schema get --id 42 --resolved\n          \
                  tributary schema get --id 42 :.team:        (an id of a context)")]
pub(super) struct GetArgs {
    /// Subject; with --id, one of the context in which to look for the id
    #[arg(required_unless_present = "id", value_parser = super::subject)]
    subject: Option<String>,
    /// Version
    #[arg(long, value_name = "N|latest", default_value = "latest", value_parser = super::version, conflicts_with = "id")]
    version: String,
    /// The schema with this id
    #[arg(long, value_name = "N")]
    id: Option<i32>,
    /// References written out in place, where the registry can
    #[arg(long)]
    resolved: bool,
    /// Indented, where the schema is JSON
    #[arg(long, conflicts_with = "json")]
    pretty: bool,
    /// The whole answer, not only the text
    #[arg(long)]
    json: bool,
}

pub(super) fn list(client: &RestClient, args: &ListArgs) -> Result<(), Failure> {
    let wanted = Wanted { prefix: args.subject_prefix.as_deref(), latest: true, deleted: args.deleted };
    let entries = entry::all(client, wanted)?;
    let subject_width = entries.iter().map(|entry| entry.subject.chars().count()).max().unwrap_or_default();
    for entry in &entries {
        let entry::Entry { subject, version, id, schema_type, deleted, .. } = entry;
        if args.json {
            let line = serde_json::json!({
                "subject": subject, "version": version, "id": id, "schemaType": schema_type, "deleted": deleted,
            });
            say(&line.to_string())?;
        } else {
            let mark = if *deleted { "  deleted" } else { "" };
            say(&format!("{subject:<subject_width$}  version {version:<4} id {id:<6} {schema_type}{mark}"))?;
        }
    }
    if entries.is_empty() && !args.json {
        say("no subjects")?;
    }
    Ok(())
}

pub(super) fn get(client: &RestClient, args: &GetArgs) -> Result<(), Failure> {
    let resource = match (args.id, &args.subject) {
        (Some(id), subject) => {
            let resource = Resource::new(&["schemas", "ids", &id.to_string()]);
            match subject {
                Some(subject) => resource.with("subject", subject),
                None => resource,
            }
        }
        (None, Some(subject)) => Resource::new(&["subjects", subject, "versions", &args.version]),
        (None, None) => return Err(anyhow!("name a subject, or an id with --id")).because(Reason::Usage),
    };
    let resource = if args.resolved { resource.with("format", "resolved") } else { resource };
    let answer = client.get(&resource).answered()?;
    if args.json {
        return say(&answer.to_string());
    }
    let text = text_of(&answer)?;
    if args.pretty { say(&pretty::pretty(text)) } else { say(text) }
}

/// The schema's text in an answer.
pub(super) fn text_of(answer: &Value) -> Result<&str, Failure> {
    let text = answer.get("schema").and_then(Value::as_str);
    text.ok_or_else(|| anyhow!("the schema registry's answer holds no schema: {answer}")).because(Reason::Configuration)
}
