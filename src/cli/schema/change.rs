//! `tributary schema register` and `delete`.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::exit::{Because, Failure, Reason};
use super::source::{Facts, property};
use super::{Answered, read, say};
use crate::registry::rest::{Resource, RestClient, RestError};

/// Soft-deleted already: a subject, a version.
const DELETED_ALREADY: [u32; 2] = [40404, 40406];

/// What to register.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples: tributary schema register orders-value order.avsc --reference org.acme.Money=money-value:1\n          \
                  tributary schema register orders-value - --type json < order.json\n\n\
                  Exit code 1: the registry refuses the schema as incompatible."
)]
pub(super) struct RegisterArgs {
    /// Subject; `:.CONTEXT:NAME` is one of a context
    #[arg(value_parser = super::subject)]
    subject: String,
    /// File; - is standard input
    file: PathBuf,
    #[command(flatten)]
    facts: Facts,
    /// Spelling that means nothing is removed first
    #[arg(long)]
    normalize: bool,
    /// A property of the schema's metadata; may be given several times
    #[arg(long = "property", value_name = "KEY=VALUE", value_parser = property)]
    properties: Vec<(String, String)>,
    /// Only as this version: refused if another is next
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    version: Option<i32>,
}

/// What to delete.
#[derive(Debug, Args)]
#[command(after_help = "Without --permanent the ids stay readable and the versions can be seen with --deleted.\n\n\
                  Example: tributary schema delete orders-value --version 3")]
pub(super) struct DeleteArgs {
    /// Subject
    #[arg(value_parser = super::subject)]
    subject: String,
    /// Only this version
    #[arg(long, value_name = "N|latest", value_parser = super::version)]
    version: Option<String>,
    /// For good, ids included
    #[arg(long)]
    permanent: bool,
}

#[derive(Debug, Default, Deserialize)]
struct Registered {
    id: i32,
    version: Option<i32>,
}

pub(super) fn register(client: &RestClient, args: &RegisterArgs) -> Result<(), Failure> {
    let mut body = args.facts.body(&args.file)?;
    if !args.properties.is_empty() {
        let properties: serde_json::Map<String, Value> =
            args.properties.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        body.insert("metadata".to_owned(), json!({"properties": properties}));
    }
    if let Some(version) = args.version {
        body.insert("version".to_owned(), json!(version));
    }
    let body = Value::Object(body);
    let resource = Resource::new(&["subjects", &args.subject, "versions"]).flag("normalize", args.normalize);
    let answer = client.post(&resource, &body).answered()?;
    let registered: Registered = read(answer, "a registration")?;
    let Registered { id, version } = match registered.version {
        Some(_) => registered,
        // Older registries and Karapace answer with the id alone.
        None => {
            let lookup = Resource::new(&["subjects", &args.subject]).flag("normalize", args.normalize);
            let found: Registered = read(client.post(&lookup, &body).answered()?, "a lookup")?;
            Registered { id: registered.id, version: found.version }
        }
    };
    // A registry that does not know the wish passes over it.
    if let (Some(wanted), Some(version)) = (args.version, version)
        && wanted != version
    {
        let message = format!("{} has this schema as version {version} id {id}, not as {wanted}", args.subject);
        return Err(anyhow!(message)).because(Reason::Usage);
    }
    say(&format!("{} version {} id {id}", args.subject, version.unwrap_or_default()))
}

pub(super) fn delete(client: &RestClient, args: &DeleteArgs) -> Result<(), Failure> {
    let subject = &args.subject;
    let deleted = match &args.version {
        None => {
            let resource = Resource::new(&["subjects", subject]);
            let soft = client.delete(&resource);
            let soft = or_already(soft, args.permanent).answered()?;
            match args.permanent {
                true => client.delete(&resource.flag("permanent", true)).answered()?,
                false => soft.unwrap_or_default(),
            }
        }
        Some(version) => {
            let soft = client.delete(&Resource::new(&["subjects", subject, "versions", version]));
            let soft = or_already(soft, args.permanent).answered()?;
            match args.permanent {
                true => {
                    // Once it is deleted, "latest" is another version.
                    let number = soft.map_or_else(|| version.clone(), |number| number.to_string());
                    let resource = Resource::new(&["subjects", subject, "versions", &number]);
                    json!([client.delete(&resource.flag("permanent", true)).answered()?])
                }
                false => json!([soft.unwrap_or_default()]),
            }
        }
    };
    let numbers: Vec<i32> = read(deleted, "a deletion")?;
    let how = if args.permanent { "deleted for good" } else { "deleted" };
    let what = if numbers.len() == 1 { "version" } else { "versions" };
    let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
    say(&format!("{subject} {what} {} {how}", numbers.join(", ")))
}

/// A soft deletion; before a permanent one it does not matter if it was made before.
fn or_already(soft: Result<Value, RestError>, permanent: bool) -> Result<Option<Value>, RestError> {
    match soft {
        Ok(value) => Ok(Some(value)),
        Err(error) if permanent && error.code().is_some_and(|code| DELETED_ALREADY.contains(&code)) => Ok(None),
        Err(error) => Err(error),
    }
}
