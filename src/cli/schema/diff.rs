//! `tributary schema diff`: two versions or files line by line, and who reads whose data.

use std::collections::HashSet;

use anyhow::anyhow;
use clap::Args;

use super::super::exit::{Because, Failure, Reason};
use super::entry::Entry;
use super::source::{Facts, Place, name_of, place, read_file};
use super::{Answered, lines, pretty, read, say};
use crate::registry::rest::{Resource, RestClient};
use crate::registry::types::{SchemaReference, Subject};
use crate::schema::compat::check_pair;
use crate::schema::{self, Direction, Level, MAX_REFERENCES, ResolvedReference, SchemaType, Validation};

/// Unchanged lines shown at both sides of a change.
const AROUND: usize = 3;

/// What to compare.
#[derive(Debug, Args)]
#[command(after_help = "Examples: tributary schema diff orders-value 1 latest\n          \
                  tributary schema diff orders-value latest @order.avsc\n\n\
                  --type and --reference are for files. What reads what is found out here, not by the registry.")]
pub(super) struct DiffArgs {
    /// Subject
    #[arg(value_parser = super::subject)]
    subject: String,
    /// Version, or @FILE
    #[arg(value_name = "N|latest|@FILE", value_parser = place)]
    old: Place,
    /// Version, or @FILE
    #[arg(value_name = "N|latest|@FILE", value_parser = place)]
    new: Place,
    #[command(flatten)]
    facts: Facts,
}

/// One side of the comparison.
#[derive(Debug)]
struct Side {
    name: String,
    schema_type: SchemaType,
    text: String,
    references: Vec<SchemaReference>,
}

pub(super) fn run(client: &RestClient, args: &DiffArgs) -> Result<(), Failure> {
    let old = side(client, args, &args.old)?;
    let new = side(client, args, &args.new)?;
    let (old_text, new_text) = (pretty::pretty(&old.text), pretty::pretty(&new.text));
    let shown = lines::unified(&lines::compare(&old_text, &new_text), AROUND);
    if shown.is_empty() {
        say("no difference")?;
    } else {
        say(&format!("--- {}\n+++ {}\n{}", old.name, new.name, shown.trim_end_matches('\n')))?;
    }
    let owner = Subject::from_stored(&args.subject);
    let old_references = resolve(client, &owner, &old.references)?;
    let new_references = resolve(client, &owner, &new.references)?;
    say("")?;
    for line in readers(&old, &old_references, &new, &new_references) {
        say(&line)?;
    }
    Ok(())
}

fn side(client: &RestClient, args: &DiffArgs, place: &Place) -> Result<Side, Failure> {
    match place {
        Place::File(file) => Ok(Side {
            name: name_of(file),
            schema_type: args.facts.schema_type(file)?,
            text: read_file(file)?,
            references: args.facts.references.clone(),
        }),
        Place::Version(version) => {
            let entry = version_of(client, &args.subject, version)?;
            let schema_type = entry.schema_type.parse().because(Reason::Configuration)?;
            let name = format!("{} version {}", args.subject, entry.version);
            Ok(Side { name, schema_type, text: entry.schema, references: entry.references })
        }
    }
}

fn version_of(client: &RestClient, subject: &str, version: &str) -> Result<Entry, Failure> {
    let resource = Resource::new(&["subjects", subject, "versions", version]);
    read(client.get(&resource).answered()?, "a version")
}

/// Texts of references and of their references, those referred to first.
fn resolve(
    client: &RestClient,
    owner: &Subject,
    references: &[SchemaReference],
) -> Result<Vec<ResolvedReference>, Failure> {
    enum Step {
        Fetch(Subject, SchemaReference),
        Ready(ResolvedReference),
    }
    let fetch = |owner: &Subject, reference: &SchemaReference| {
        Step::Fetch(owner.sibling(&reference.subject), reference.clone())
    };
    let mut resolved = Vec::new();
    let mut seen = HashSet::new();
    let mut waiting: Vec<Step> = references.iter().rev().map(|reference| fetch(owner, reference)).collect();
    while let Some(step) = waiting.pop() {
        match step {
            Step::Ready(reference) => resolved.push(reference),
            Step::Fetch(subject, reference) => {
                if !seen.insert((subject.clone(), reference.version)) {
                    continue;
                }
                if seen.len() > MAX_REFERENCES {
                    return Err(anyhow!("the schema has more than {MAX_REFERENCES} references")).because(Reason::Usage);
                }
                let version = if reference.version == -1 { "latest".to_owned() } else { reference.version.to_string() };
                // A deleted schema still serves those that refer to it.
                let resource = Resource::new(&["subjects", subject.as_str(), "versions", &version]);
                let entry: Entry = read(client.get(&resource.flag("deleted", true)).answered()?, "a reference")?;
                waiting.push(Step::Ready(ResolvedReference { name: reference.name, schema: entry.schema }));
                waiting.extend(entry.references.iter().rev().map(|inner| fetch(&subject, inner)));
            }
        }
    }
    Ok(resolved)
}

/// Who reads whose data, a line for each statement and reason.
fn readers(
    old: &Side,
    old_references: &[ResolvedReference],
    new: &Side,
    new_references: &[ResolvedReference],
) -> Vec<String> {
    if old.schema_type != new.schema_type {
        return vec![format!("Neither reads the other's data: {} and {}", old.schema_type, new.schema_type)];
    }
    let parsed = |side: &Side, references: &[ResolvedReference]| {
        schema::parse(side.schema_type, &side.text, references, Validation::Lenient)
            .map_err(|error| vec![format!("Who reads whose data is not known: {}: {error}", side.name)])
    };
    let both = parsed(old, old_references).and_then(|old| Ok((old, parsed(new, new_references)?)));
    let (old_schema, new_schema) = match both {
        Ok(both) => both,
        Err(said) => return said,
    };
    let found = check_pair(&*new_schema, &*old_schema, Level::Full);
    let mut said = Vec::new();
    for (direction, reader, writer) in
        [(Direction::Backward, &new.name, &old.name), (Direction::Forward, &old.name, &new.name)]
    {
        let reasons = found.iter().filter(|(of, _)| *of == direction);
        let reasons: Vec<String> =
            reasons.map(|(_, why)| format!("  {}", why.render(direction, new_schema.schema_type()))).collect();
        let verb = if reasons.is_empty() { "reads" } else { "does not read" };
        said.push(format!("{reader} {verb} data of {writer}"));
        said.extend(reasons);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(name: &str, schema_type: SchemaType, text: &str) -> Side {
        Side { name: name.to_owned(), schema_type, text: text.to_owned(), references: Vec::new() }
    }

    fn statements(old: &Side, new: &Side) -> Vec<String> {
        readers(old, &[], new, &[])
    }

    #[test]
    fn both_directions_are_told() {
        let (int, long) = (side("v1", SchemaType::Avro, "\"int\""), side("v2", SchemaType::Avro, "\"long\""));
        let said = statements(&int, &long);
        assert_eq!(said.len(), 3, "{said:?}");
        assert_eq!(said[0], "v2 reads data of v1");
        assert_eq!(said[1], "v1 does not read data of v2");
        assert!(said[2].starts_with("  {errorType:'TYPE_MISMATCH'"), "{}", said[2]);
        assert_eq!(statements(&int, &int), ["v1 reads data of v1", "v1 reads data of v1"]);
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let avro = side("v1", SchemaType::Avro, "\"int\"");
        let json = side("v2", SchemaType::Json, "{}");
        assert_eq!(statements(&avro, &json), ["Neither reads the other's data: AVRO and JSON"]);
        let broken = side("f.avsc", SchemaType::Avro, "{");
        let said = statements(&avro, &broken);
        assert!(said.len() == 1 && said[0].starts_with("Who reads whose data is not known: f.avsc: "), "{said:?}");
    }
}
