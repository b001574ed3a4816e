//! Lineage by class, as tables of (dialect, catalog, text, expected). An expectation is `inputs -> outputs`, then one line
//! `target < sources` for each column.

mod hostile;
mod modifications;
mod mutations;
mod pipes;
mod queries;
mod rows;
mod scripts;
mod sessions;
mod stars;
mod tables;
mod vendor_dialects;
mod vendor_phrases;
mod vendor_statements;

use std::collections::HashMap;
use std::sync::Arc;

use crate::sql::{Catalog, ColumnDef, Dialect, NoCatalog, Options, Session, TableName, analyse, merge};

/// One line of such a table.
struct Case {
    dialect: Dialect,
    /// `t(a, b type); v as SELECT …`
    catalog: &'static str,
    sql: &'static str,
    expected: &'static [&'static str],
}

/// A catalog written down in a test.
#[derive(Default)]
struct Written {
    tables: HashMap<String, Arc<[ColumnDef]>>,
    views: HashMap<String, Arc<str>>,
}

impl Written {
    fn read(text: &str) -> Self {
        let mut catalog = Self::default();
        for entry in text.split("; ").filter(|entry| !entry.is_empty()) {
            if let Some((name, query)) = entry.split_once(" as ") {
                catalog.views.insert(name.to_owned(), Arc::from(query));
                continue;
            }
            let (name, columns) = entry.strip_suffix(')').and_then(|entry| entry.split_once('(')).expect("t(a, b)");
            catalog.tables.insert(name.to_owned(), columns_of(columns));
        }
        catalog
    }
}

/// Columns with their types, split at commas outside of brackets.
fn columns_of(text: &str) -> Arc<[ColumnDef]> {
    let mut depth = 0;
    text.split(|c| {
        match c {
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(|column| {
        let (name, data_type) = column.trim().split_once(' ').unwrap_or((column.trim(), ""));
        ColumnDef { name: Arc::from(name), data_type: Arc::from(data_type) }
    })
    .collect()
}

impl Catalog for Written {
    fn columns(&self, name: &TableName) -> Option<Arc<[ColumnDef]>> {
        self.tables.get(&name.to_string()).cloned()
    }

    fn view(&self, name: &TableName) -> Option<Arc<str>> {
        self.views.get(&name.to_string()).cloned()
    }
}

fn check(cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        let catalog = Written::read(case.catalog);
        let statements = analyse(case.sql, case.dialect, &mut Session::default(), &catalog, &Options::default());
        let found = lines(&merge(&statements));
        if found != case.expected {
            wrong.push(format!(
                "{:?}: {}\n  expected {:?}\n  found    {found:?}",
                case.dialect, case.sql, case.expected
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn lines(answer: &crate::sql::ScriptLineage) -> Vec<String> {
    let names = |tables: &[TableName]| tables.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut lines = vec![format!("{} -> {}", names(&answer.inputs), names(&answer.outputs)).trim().to_owned()];
    for column in &answer.columns {
        let sources: Vec<String> =
            column.sources.iter().map(|source| format!("{}.{}", source.column.table, source.column.column)).collect();
        let target = match &column.table {
            Some(table) => format!("{table}.{}", column.column),
            None => column.column.to_string(),
        };
        lines.push(format!("{target} < {}", sources.join(", ")));
    }
    lines.extend(answer.errors.iter().map(|error| format!("error: {error}")));
    lines
}

/// The answer without a catalog.
fn plain(dialect: Dialect, sql: &str) -> Vec<crate::sql::StatementLineage> {
    analyse(sql, dialect, &mut Session::default(), &NoCatalog, &Options::default())
}
