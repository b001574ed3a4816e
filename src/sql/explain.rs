//! Lineage for a person to read.

use std::fmt::Write;

use super::{ColumnLineage, StatementLineage, Status, TableName, Transformation};

/// Each statement's kind, status, tables and columns.
pub fn explain(statements: &[StatementLineage]) -> String {
    let mut text = String::new();
    for (nth, statement) in statements.iter().enumerate() {
        if nth > 0 {
            text.push('\n');
        }
        one(&mut text, nth + 1, statement);
    }
    text
}

fn one(text: &mut String, number: usize, statement: &StatementLineage) {
    let mut line = |line: String| {
        text.push_str(line.trim_end());
        text.push('\n');
    };
    let status = match &statement.status {
        Status::Complete => "complete".to_owned(),
        Status::Partial { .. } => "partial".to_owned(),
        Status::Failed { reason, at } => format!("failed at line {}, column {}: {reason}", at.line, at.column),
    };
    line(format!(
        "{number}. {} at line {}, column {}: {status}",
        name_of(statement),
        statement.at.line,
        statement.at.column
    ));
    if let Status::Partial { notes } = &statement.status {
        for note in notes {
            line(format!("   note     {note}"));
        }
    }
    for (title, tables) in
        [("reads", &statement.inputs), ("writes", &statement.outputs), ("about", &statement.subjects)]
    {
        if !tables.is_empty() {
            line(format!("   {title:<8} {}", tables.iter().map(TableName::to_string).collect::<Vec<_>>().join(", ")));
        }
    }
    if !statement.columns.is_empty() {
        let targets: Vec<String> = statement.columns.iter().map(target).collect();
        let width = targets.iter().map(|target| target.chars().count()).max().unwrap_or(0).min(60);
        line("   columns".to_owned());
        for (target, column) in targets.iter().zip(&statement.columns) {
            if column.sources.is_empty() {
                line(format!("     {target:<width$} <- (no column)"));
            }
            for (nth, source) in column.sources.iter().enumerate() {
                let left = if nth == 0 { target.as_str() } else { "" };
                let from = format!("{}.{}", source.column.table, source.column.column);
                line(format!("     {left:<width$} <- {from}  {}", how(source.how)));
            }
        }
    }
    for used in &statement.indirect {
        line(format!("   {:<8} {}.{}", how(used.how), used.column.table, used.column.column));
    }
    for join in &statement.joins {
        line(format!(
            "   {:<8} {}.{} = {}.{}",
            "equates", join.left.table, join.left.column, join.right.table, join.right.column
        ));
    }
}

/// The kind as it is written in JSON, with blanks.
fn name_of(statement: &StatementLineage) -> String {
    let mut name = String::new();
    for (nth, letter) in format!("{:?}", statement.kind).chars().enumerate() {
        if letter.is_uppercase() && nth > 0 {
            name.push(' ');
        }
        let _ = write!(name, "{}", letter.to_ascii_uppercase());
    }
    name
}

fn target(column: &ColumnLineage) -> String {
    match &column.table {
        Some(table) => format!("{table}.{}", column.column),
        None => column.column.to_string(),
    }
}

fn how(how: Transformation) -> &'static str {
    match how {
        Transformation::Identity => "identity",
        Transformation::Transformation => "transformation",
        Transformation::Aggregation => "aggregation",
        Transformation::Conditional => "conditional",
        Transformation::Window => "window",
        Transformation::Filter => "filter",
        Transformation::Join => "join",
        Transformation::GroupBy => "group by",
        Transformation::Sort => "sort",
    }
}
