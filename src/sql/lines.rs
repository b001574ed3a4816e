//! SQL lineage as JSON Lines: one request per line, one answer per line.
//!
//! A request is `{id, dialect, sql, default_db, default_schema, schemas, types, views, options}`, all but `sql`
//! optional; an answer is `{id, inputs, outputs, column_lineage: [{target, sources}], error}`, names in lower case, and
//! with `options.detail` also `statements`. A line that is no request is answered with an error.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use foldhash::fast::FixedState;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::{
    Catalog, ColumnDef, Defaults, Dialect, Options, ScriptLineage, Session, StatementKind, StatementLineage, Status,
    TableName, analyse, merge,
};

/// Catalogs that are remembered: lines of one origin mostly carry the same one.
const CATALOGS: usize = 8;

type Map<K, V> = std::collections::HashMap<K, V, FixedState>;

/// Answers lines. What it remembers between them changes no answer.
#[derive(Debug)]
pub struct Lines {
    dialect: Dialect,
    defaults: Defaults,
    catalogs: Vec<(Key, Arc<Given>)>,
}

impl Lines {
    /// For requests that name no dialect and no defaults of their own.
    pub fn new(dialect: Dialect, defaults: Defaults) -> Self {
        Self { dialect, defaults, catalogs: Vec::new() }
    }

    /// Writes the answer to one line, without a line feed.
    pub fn answer(&mut self, line: &str, out: &mut Vec<u8>) {
        let request: Request<'_> = match serde_json::from_str(line) {
            Ok(request) => request,
            Err(error) => {
                // The id may be readable where the rest is not.
                let id = serde_json::from_str::<Identity<'_>>(line).ok().and_then(|identity| identity.id);
                return write(out, &Answer::failed(id, format!("the line is no request: {error}")));
            }
        };
        let mut problem = None;
        let dialect = match request.dialect.as_deref() {
            None => self.dialect,
            Some(name) => Dialect::named(name).unwrap_or_else(|| {
                problem = Some(format!("dialect {name:?} is not known, read as ANSI"));
                Dialect::Ansi
            }),
        };
        let catalog = match self.catalog(&request) {
            Ok(catalog) => catalog,
            Err(error) => return write(out, &Answer::failed(request.id, format!("schemas, types or views: {error}"))),
        };
        let mut session = Session::new(Defaults {
            database: request.default_db.as_deref().map(Arc::from).or_else(|| self.defaults.database.clone()),
            schemas: match request.default_schema.as_deref() {
                Some(schema) => vec![Arc::from(schema)],
                None => self.defaults.schemas.clone(),
            },
        });
        let settings = request.options.unwrap_or_default();
        let options = Options {
            lateral_column_alias: settings.lateral_column_alias,
            usage: settings.detail,
            remember: false,
            ..Options::default()
        };
        let statements = analyse(&request.sql, dialect, &mut session, &*catalog, &options);
        let merged = merge(&statements);
        let mut answer = Answer::of(request.id, &merged, problem);
        if settings.detail {
            answer.statements = Some(statements.iter().map(Detail::of).collect());
        }
        write(out, &answer);
    }

    fn catalog(&mut self, request: &Request<'_>) -> Result<Arc<Given>, serde_json::Error> {
        let key = [request.schemas, request.types, request.views].map(|value| value.map_or("", RawValue::get));
        if let Some(at) = self.catalogs.iter().position(|(kept, _)| kept.iter().map(|part| &**part).eq(key)) {
            return Ok(Arc::clone(&self.catalogs[at].1));
        }
        let catalog = Arc::new(Given::read(request)?);
        if self.catalogs.len() >= CATALOGS {
            self.catalogs.remove(0);
        }
        self.catalogs.push((key.map(Box::from), Arc::clone(&catalog)));
        Ok(catalog)
    }
}

type Key = [Box<str>; 3];

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    dialect: Option<Cow<'a, str>>,
    #[serde(borrow)]
    sql: Cow<'a, str>,
    #[serde(borrow, default)]
    default_db: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    default_schema: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    schemas: Option<&'a RawValue>,
    #[serde(borrow, default)]
    types: Option<&'a RawValue>,
    #[serde(borrow, default)]
    views: Option<&'a RawValue>,
    #[serde(default)]
    options: Option<Settings>,
}

#[derive(Deserialize)]
struct Identity<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Settings {
    #[serde(default)]
    lateral_column_alias: Option<bool>,
    #[serde(default)]
    detail: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    id: Option<&'a RawValue>,
    inputs: Vec<String>,
    outputs: Vec<String>,
    column_lineage: Vec<Entry>,
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statements: Option<Vec<Detail<'a>>>,
}

#[derive(Serialize)]
struct Entry {
    target: String,
    sources: Vec<String>,
}

#[derive(Serialize)]
struct Detail<'a> {
    line: u32,
    column: u32,
    span: (usize, usize),
    kind: StatementKind,
    #[serde(flatten)]
    status: &'a Status,
}

impl<'a> Answer<'a> {
    fn failed(id: Option<&'a RawValue>, error: String) -> Self {
        Self {
            id,
            inputs: Vec::new(),
            outputs: Vec::new(),
            column_lineage: Vec::new(),
            error: Some(error),
            statements: None,
        }
    }

    fn of(id: Option<&'a RawValue>, script: &ScriptLineage, problem: Option<String>) -> Self {
        let columns = script.columns.iter().filter(|column| !column.sources.is_empty()).map(|column| Entry {
            target: match &column.table {
                Some(table) => qualified(table, &column.column),
                None => column.column.to_lowercase(),
            },
            sources: column
                .sources
                .iter()
                .map(|source| qualified(&source.column.table, &source.column.column))
                .collect(),
        });
        let mut errors: Vec<&str> = problem.as_deref().into_iter().collect();
        errors.extend(script.errors.iter().map(String::as_str));
        Self {
            id,
            inputs: script.inputs.iter().map(lower).collect(),
            outputs: script.outputs.iter().map(lower).collect(),
            column_lineage: columns.collect(),
            error: if errors.is_empty() { None } else { Some(errors.join("; ")) },
            statements: None,
        }
    }
}

impl<'a> Detail<'a> {
    fn of(statement: &'a StatementLineage) -> Self {
        Self {
            line: statement.at.line,
            column: statement.at.column,
            span: statement.span,
            kind: statement.kind,
            status: &statement.status,
        }
    }
}

fn write(out: &mut Vec<u8>, answer: &Answer<'_>) {
    serde_json::to_writer(out, answer).expect("strings, numbers and JSON that was read serialise into memory");
}

fn lower(table: &TableName) -> String {
    let mut text = String::with_capacity(table.parts.iter().map(|part| part.len() + 1).sum());
    for (nth, part) in table.parts.iter().enumerate() {
        if nth > 0 {
            text.push('.');
        }
        text.push_str(part);
    }
    lowered(text)
}

fn qualified(table: &TableName, column: &str) -> String {
    let mut text = lower(table);
    if !text.is_empty() {
        text.push('.');
    }
    text.push_str(&lowered(column.to_owned()));
    text
}

fn lowered(mut text: String) -> String {
    if text.is_ascii() {
        text.make_ascii_lowercase();
        return text;
    }
    text.to_lowercase()
}

/// The tables and views of a request.
#[derive(Debug, Default)]
struct Given {
    /// By the last part of the name.
    tables: Map<String, Vec<Table>>,
}

#[derive(Debug)]
struct Table {
    parts: Vec<String>,
    columns: Option<Arc<[ColumnDef]>>,
    view: Option<Arc<str>>,
}

impl Given {
    fn read(request: &Request<'_>) -> Result<Self, serde_json::Error> {
        let mut given = Self::default();
        let schemas: Ordered<Columns> = read(request.schemas)?;
        let types: Ordered<Ordered<String>> = read(request.types)?;
        let views: Ordered<String> = read(request.views)?;
        for (table, columns) in schemas.0 {
            let known = types.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(&table)).map(|(_, types)| types);
            let columns = match columns {
                Columns::Names(names) => names
                    .iter()
                    .map(|name| {
                        let data_type = known
                            .and_then(|types| types.0.iter().find(|(column, _)| column.eq_ignore_ascii_case(name)));
                        column(name, data_type.map_or("", |(_, data_type)| data_type))
                    })
                    .collect(),
                Columns::Typed(columns) => columns.0.iter().map(|(name, data_type)| column(name, data_type)).collect(),
            };
            given.table(&table).columns = Some(columns);
        }
        for (table, columns) in types.0 {
            let known = given.table(&table);
            if known.columns.is_none() {
                known.columns = Some(columns.0.iter().map(|(name, data_type)| column(name, data_type)).collect());
            }
        }
        for (view, query) in views.0 {
            given.table(&view).view = Some(Arc::from(query));
        }
        Ok(given)
    }

    fn table(&mut self, name: &str) -> &mut Table {
        let parts = parts(name);
        let last = parts.last().cloned().unwrap_or_default();
        let tables = self.tables.entry(last).or_default();
        if let Some(at) = tables.iter().position(|table| table.parts == parts) {
            return &mut tables[at];
        }
        tables.push(Table { parts, columns: None, view: None });
        let last = tables.len() - 1;
        &mut tables[last]
    }

    /// The table whose name ends as this one or is the end of it: of several the one with the most parts in common,
    /// of equals none.
    fn find<T>(&self, name: &TableName, wanted: impl Fn(&Table) -> Option<T>) -> Option<T> {
        if self.tables.is_empty() {
            return None;
        }
        let last = name.parts.last()?.to_lowercase();
        let mut best: Option<(usize, bool, T)> = None;
        let mut tied = false;
        for table in self.tables.get(&last)? {
            let common = table
                .parts
                .iter()
                .rev()
                .zip(name.parts.iter().rev())
                .take_while(|(ours, theirs)| ours.eq_ignore_ascii_case(theirs) || **ours == theirs.to_lowercase())
                .count();
            if common < table.parts.len().min(name.parts.len()) {
                continue;
            }
            let Some(found) = wanted(table) else { continue };
            let exact = table.parts.len() == name.parts.len();
            match best.as_ref().map(|(parts, is_exact, _)| (*parts, *is_exact).cmp(&(common, exact))) {
                None | Some(std::cmp::Ordering::Less) => {
                    best = Some((common, exact, found));
                    tied = false;
                }
                Some(std::cmp::Ordering::Equal) => tied = true,
                Some(std::cmp::Ordering::Greater) => {}
            }
        }
        if tied { None } else { best.map(|(_, _, found)| found) }
    }
}

impl Catalog for Given {
    fn columns(&self, name: &TableName) -> Option<Arc<[ColumnDef]>> {
        self.find(name, |table| table.columns.clone())
    }

    fn view(&self, name: &TableName) -> Option<Arc<str>> {
        self.find(name, |table| table.view.clone())
    }
}

fn column(name: &str, data_type: &str) -> ColumnDef {
    ColumnDef { name: Arc::from(name), data_type: Arc::from(data_type) }
}

/// Parts of a dotted name, in lower case, quotes dropped.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    for letter in name.chars() {
        match (quote, letter) {
            (None, '"' | '`') => quote = Some(letter),
            (None, '[') => quote = Some(']'),
            (None, '.') => parts.push(String::new()),
            (Some(end), letter) if letter == end => quote = None,
            _ => {
                if let Some(part) = parts.last_mut() {
                    part.extend(letter.to_lowercase());
                }
            }
        }
    }
    parts
}

fn read<'a, T: Deserialize<'a> + Default>(value: Option<&'a RawValue>) -> Result<T, serde_json::Error> {
    match value {
        None => Ok(T::default()),
        Some(value) if value.get() == "null" => Ok(T::default()),
        Some(value) => serde_json::from_str(value.get()),
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Columns {
    Names(Vec<String>),
    Typed(Ordered<String>),
}

/// An object in its own order.
struct Ordered<V>(Vec<(String, V)>);

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Ordered<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Ordered<V>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}
