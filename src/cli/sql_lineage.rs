//! `tributary sql-lineage`: from SQL to table and column lineage.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::exit::{Because, Failure, Reason};
use crate::sql::{Defaults, Dialect, Lines, NoCatalog, Options, Session, analyse, explain};

/// What to read, and how.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --explain each line is a request {id, dialect, sql, default_db, default_schema, schemas, \
types, views, options} and is answered by a line {id, inputs, outputs, column_lineage, error}.\n\
Example: tributary sql-lineage --explain --dialect snowflake build.sql"
)]
pub struct SqlLineageArgs {
    /// File with JSON Lines, or with SQL (--explain); standard input if left out or `-`
    file: Option<PathBuf>,
    /// Print the lineage of plain SQL for a person
    #[arg(long)]
    explain: bool,
    /// Dialect where a line names none
    #[arg(long, default_value = "ansi", value_parser = dialect)]
    dialect: Dialect,
    /// Database of names that have none
    #[arg(long, value_name = "NAME")]
    default_db: Option<String>,
    /// Schema of names that have none
    #[arg(long, value_name = "NAME")]
    default_schema: Option<String>,
}

fn dialect(name: &str) -> Result<Dialect, String> {
    Dialect::named(name).ok_or_else(|| format!("no dialect is called {name:?}"))
}

pub(super) fn run(args: &SqlLineageArgs) -> Result<(), Failure> {
    let defaults = Defaults {
        database: args.default_db.as_deref().map(Arc::from),
        schemas: args.default_schema.as_deref().map(Arc::from).into_iter().collect(),
    };
    let input: Box<dyn Read> = match &args.file {
        Some(path) if path.as_os_str() != "-" => Box::new(
            File::open(path).with_context(|| format!("could not open {}", path.display())).because(Reason::Usage)?,
        ),
        _ => Box::new(std::io::stdin()),
    };
    if args.explain {
        return print(args.dialect, defaults, input);
    }
    answer(args.dialect, defaults, input).because(Reason::Internal)
}

fn print(dialect: Dialect, defaults: Defaults, mut input: Box<dyn Read>) -> Result<(), Failure> {
    let mut text = String::new();
    input.read_to_string(&mut text).context("the input is no UTF-8 text").because(Reason::Usage)?;
    let statements = analyse(&text, dialect, &mut Session::new(defaults), &NoCatalog, &Options::default());
    print!("{}", explain(&statements));
    Ok(())
}

fn answer(dialect: Dialect, defaults: Defaults, input: Box<dyn Read>) -> anyhow::Result<()> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut output = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let mut lines = Lines::new(dialect, defaults);
    let (mut line, mut answer) = (Vec::new(), Vec::new());
    loop {
        // Somebody may wait for the answer before sending more.
        if input.buffer().is_empty() {
            output.flush()?;
        }
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(|error| anyhow!(error).context("could not read a line"))? == 0 {
            output.flush()?;
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        answer.clear();
        lines.answer(text, &mut answer);
        answer.push(b'\n');
        output.write_all(&answer)?;
    }
}
