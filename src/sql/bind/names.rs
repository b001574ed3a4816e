//! Names: folding by dialect, interning, and the resolution of table names.
//!
//! A [`Sym`] is an interned spelling. Every symbol knows its lower-case twin, the key by which names are compared: an
//! exact comparison would split `"Id"` and `id` where a catalog folds differently from the text.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use foldhash::fast::FixedState;
use smallvec::SmallVec;
use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Value};

use crate::sql::types::{Defaults, Dialect, TableName};

use super::relation::Relation;

/// An interned spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Sym(u32);

/// A table met in this script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TableId(u32);

/// A column of such a table, met in this script; 29 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ColumnId(pub(super) u32);

/// The parts of a table's name, outermost first.
pub(super) type Parts = SmallVec<[Sym; 4]>;

/// What a table name in the text is.
pub(super) enum Written {
    /// Parts as written, folded.
    Parts(Parts),
    /// A path, URL or stage: one part, never completed by defaults.
    Literal(Sym),
    /// Not known from the text: a variable, a parameter, a computed name.
    Unknowable,
}

/// What an answer relied on besides its text and the catalog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sql) struct Relied {
    /// A name was completed by a default schema.
    pub(in crate::sql) on_default_schema: bool,
    /// The session knew a table's columns.
    pub(in crate::sql) on_known_columns: bool,
}

struct Table {
    name: TableName,
    /// Its columns, once asked for.
    relation: Option<Rc<Relation>>,
}

/// All names of a script.
pub(super) struct Names {
    dialect: Dialect,
    spellings: Vec<Arc<str>>,
    keys: Vec<Sym>,
    symbols: HashMap<Arc<str>, Sym, FixedState>,
    tables: Vec<Table>,
    table_ids: HashMap<Parts, TableId, FixedState>,
    columns: Vec<(TableId, Sym)>,
    column_ids: HashMap<(TableId, Sym), ColumnId, FixedState>,
    /// What was asked of the session.
    pub(super) relied: Relied,
}

impl Names {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            spellings: Vec::with_capacity(64),
            keys: Vec::with_capacity(64),
            symbols: HashMap::with_capacity_and_hasher(64, FixedState::default()),
            tables: Vec::new(),
            table_ids: HashMap::default(),
            columns: Vec::with_capacity(32),
            column_ids: HashMap::default(),
            relied: Relied::default(),
        }
    }

    pub(super) fn intern(&mut self, text: &str) -> Sym {
        if let Some(&known) = self.symbols.get(text) {
            return known;
        }
        self.intern_new(Arc::from(text))
    }

    pub(super) fn intern_arc(&mut self, text: &Arc<str>) -> Sym {
        if let Some(&known) = self.symbols.get(&**text) {
            return known;
        }
        self.intern_new(Arc::clone(text))
    }

    fn intern_new(&mut self, text: Arc<str>) -> Sym {
        let sym = Sym(u32::try_from(self.spellings.len()).unwrap_or(u32::MAX));
        self.spellings.push(Arc::clone(&text));
        self.keys.push(sym);
        self.symbols.insert(Arc::clone(&text), sym);
        if text.bytes().any(|byte| byte.is_ascii_uppercase() || byte >= 0x80) {
            let lower = text.to_lowercase();
            if *lower != *text {
                let key = self.intern(&lower);
                self.keys[sym.0 as usize] = key;
            }
        }
        sym
    }

    pub(super) fn text(&self, sym: Sym) -> &Arc<str> {
        &self.spellings[sym.0 as usize]
    }

    /// The lower-case twin, by which names are compared.
    pub(super) fn key(&self, sym: Sym) -> Sym {
        self.keys[sym.0 as usize]
    }

    /// An identifier, folded by the dialect: lower case where the dialect does not tell unquoted cases apart.
    pub(super) fn fold(&mut self, ident: &Ident) -> Sym {
        let text = ident.value.as_str();
        let quoted = ident.quote_style.is_some();
        let upper = text.bytes().any(|byte| byte.is_ascii_uppercase() || byte >= 0x80);
        if !upper {
            return self.intern(text);
        }
        let keep = if quoted {
            // Where unquoted names are stored in upper case, a quoted upper-case name is the same name.
            let stored_upper = matches!(
                self.dialect,
                Dialect::Snowflake | Dialect::Oracle | Dialect::Db2 | Dialect::Teradata | Dialect::Ansi
            );
            let insensitive = matches!(
                self.dialect,
                Dialect::Hive
                    | Dialect::Spark
                    | Dialect::Databricks
                    | Dialect::Trino
                    | Dialect::Athena
                    | Dialect::Redshift
                    | Dialect::DuckDb
                    | Dialect::Sqlite
                    | Dialect::TSql
            );
            !insensitive && (!stored_upper || text.bytes().any(|byte| byte.is_ascii_lowercase() || byte >= 0x80))
        } else {
            matches!(self.dialect, Dialect::ClickHouse)
        };
        if keep { self.intern(text) } else { self.intern(&text.to_lowercase()) }
    }

    /// The key of an identifier.
    pub(super) fn fold_key(&mut self, ident: &Ident) -> Sym {
        let sym = self.fold(ident);
        self.key(sym)
    }

    /// A table by its full name.
    pub(super) fn table(&mut self, parts: &[Sym]) -> TableId {
        let keys: Parts = parts.iter().map(|&part| self.key(part)).collect();
        if let Some(&known) = self.table_ids.get(&keys) {
            return known;
        }
        let id = TableId(u32::try_from(self.tables.len()).unwrap_or(u32::MAX));
        let name = TableName { parts: parts.iter().map(|&part| Arc::clone(self.text(part))).collect() };
        self.tables.push(Table { name, relation: None });
        self.table_ids.insert(keys, id);
        id
    }

    pub(super) fn table_of(&mut self, name: &TableName) -> TableId {
        let parts: Parts = name.parts.iter().map(|part| self.intern_arc(part)).collect();
        self.table(&parts)
    }

    pub(super) fn table_name(&self, id: TableId) -> &TableName {
        &self.tables[id.0 as usize].name
    }

    pub(super) fn relation(&self, id: TableId) -> Option<&Rc<Relation>> {
        self.tables[id.0 as usize].relation.as_ref()
    }

    pub(super) fn set_relation(&mut self, id: TableId, relation: Option<Rc<Relation>>) {
        self.tables[id.0 as usize].relation = relation;
    }

    /// A column of a table; compared by key.
    pub(super) fn column(&mut self, table: TableId, name: Sym) -> ColumnId {
        let key = self.key(name);
        if let Some(&known) = self.column_ids.get(&(table, key)) {
            return known;
        }
        let id = ColumnId(u32::try_from(self.columns.len()).unwrap_or(u32::MAX >> 3) & (u32::MAX >> 3));
        self.columns.push((table, name));
        self.column_ids.insert((table, key), id);
        id
    }

    pub(super) fn column_parts(&self, id: ColumnId) -> (TableId, Sym) {
        self.columns[id.0 as usize]
    }

    /// Folds a table name as it is written.
    pub(super) fn written(&mut self, name: &ObjectName) -> Written {
        if let [ObjectNamePart::Identifier(only)] = name.0.as_slice() {
            return self.written_one(only);
        }
        let mut parts = Parts::new();
        for part in &name.0 {
            match part {
                ObjectNamePart::Identifier(ident) => {
                    if ident.value.starts_with('@') && ident.quote_style.is_none() {
                        let text = name.to_string();
                        return Written::Literal(self.intern(&text));
                    }
                    if self.dialect == Dialect::BigQuery && ident.quote_style.is_some() && ident.value.contains('.') {
                        for piece in ident.value.split('.') {
                            let sym = self.fold(&Ident { value: piece.to_owned(), ..ident.clone() });
                            parts.push(sym);
                        }
                    } else {
                        parts.push(self.fold(ident));
                    }
                }
                ObjectNamePart::Function(function) => return self.identifier_function(&function.name, &function.args),
            }
        }
        if parts.is_empty() {
            return Written::Unknowable;
        }
        // `parquet`.`/path`: a path read directly.
        if let [ObjectNamePart::Identifier(format), ObjectNamePart::Identifier(path)] = name.0.as_slice()
            && path.quote_style.is_some()
            && path.value.contains(['/', ':'])
            && is_file_format(&format.value)
        {
            return Written::Literal(self.intern(&path.value));
        }
        Written::Parts(parts)
    }

    fn written_one(&mut self, ident: &Ident) -> Written {
        let text = ident.value.as_str();
        if ident.quote_style == Some('\'') || (ident.quote_style.is_some() && text.contains('/')) {
            return Written::Literal(self.intern(text));
        }
        if ident.quote_style.is_none() {
            match text.as_bytes().first() {
                Some(b'@') if self.dialect == Dialect::TSql => {
                    return Written::Parts(SmallVec::from_iter([self.fold(ident)]));
                }
                Some(b'@') => return Written::Literal(self.intern(text)),
                Some(b'$' | b':' | b'?') => return Written::Unknowable,
                _ => {}
            }
        }
        if ident.quote_style.is_some() && self.dialect == Dialect::BigQuery && text.contains('.') {
            let mut parts = Parts::new();
            for piece in text.split('.') {
                let sym = self.fold(&Ident { value: piece.to_owned(), ..ident.clone() });
                parts.push(sym);
            }
            return Written::Parts(parts);
        }
        Written::Parts(SmallVec::from_iter([self.fold(ident)]))
    }

    /// `IDENTIFIER('db.t')`, `IDENTIFIER(t)`: a name, if it is spelled out.
    pub(super) fn identifier_function(&mut self, name: &Ident, args: &[FunctionArg]) -> Written {
        if !is_identifier_function(&name.value) {
            return Written::Unknowable;
        }
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))] = args else { return Written::Unknowable };
        match arg {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => self.written_text(text),
                _ => Written::Unknowable,
            },
            Expr::Identifier(ident) => self.written_one(ident),
            Expr::CompoundIdentifier(idents) => {
                let parts = idents.iter().map(|ident| self.fold(ident)).collect();
                Written::Parts(parts)
            }
            _ => Written::Unknowable,
        }
    }

    /// A name given as text: parts split at dots outside of quotes.
    pub(super) fn written_text(&mut self, text: &str) -> Written {
        if text.starts_with(['@', '$', ':', '?']) || text.is_empty() {
            return if text.starts_with('@') { Written::Literal(self.intern(text)) } else { Written::Unknowable };
        }
        let mut parts = Parts::new();
        let mut part = String::new();
        let mut quote = None;
        let mut quoted = None;
        for c in text.trim().chars() {
            match (quote, c) {
                (None, '"' | '`' | '[') => {
                    quote = Some(if c == '[' { ']' } else { c });
                    quoted = Some(if c == '[' { '[' } else { c });
                }
                (Some(end), _) if c == end => quote = None,
                (None, '.') => {
                    let value = std::mem::take(&mut part);
                    let ident = Ident { value, quote_style: quoted.take(), span: sqlparser::tokenizer::Span::empty() };
                    parts.push(self.fold(&ident));
                }
                _ => part.push(c),
            }
        }
        let ident = Ident { value: part, quote_style: quoted, span: sqlparser::tokenizer::Span::empty() };
        parts.push(self.fold(&ident));
        Written::Parts(parts)
    }

    /// The full name by the defaults; the first schema of the search path, or the one of `choose`'s liking.
    pub(super) fn complete(
        &mut self,
        parts: &[Sym],
        defaults: &Defaults,
        mut choose: impl FnMut(&TableName) -> bool,
    ) -> TableId {
        let mut full = Parts::new();
        if parts.len() < 3
            && let Some(database) = &defaults.database
        {
            full.push(self.intern_arc(database));
        }
        self.relied.on_default_schema |= parts.len() == 1;
        if parts.len() == 1 && !defaults.schemas.is_empty() {
            if defaults.schemas.len() > 1 {
                for schema in &defaults.schemas {
                    let mut candidate: Vec<Arc<str>> = full.iter().map(|&part| Arc::clone(self.text(part))).collect();
                    candidate.push(Arc::clone(schema));
                    candidate.push(Arc::clone(self.text(parts[0])));
                    let candidate = TableName { parts: candidate };
                    if choose(&candidate) {
                        return self.table_of(&candidate);
                    }
                }
            }
            full.push(self.intern_arc(&defaults.schemas[0]));
        }
        for &part in parts {
            if self.text(part).is_empty() {
                // `db..t`: the default schema of the database.
                self.relied.on_default_schema = true;
                let schema = defaults.schemas.first().cloned();
                let schema =
                    schema.unwrap_or_else(|| Arc::from(if self.dialect == Dialect::TSql { "dbo" } else { "public" }));
                full.push(self.intern_arc(&schema));
            } else {
                full.push(part);
            }
        }
        self.table(&full)
    }
}

/// `IDENTIFIER(…)` of Snowflake and Databricks, and `TABLE(…)` around a name.
pub(super) fn is_identifier_function(name: &str) -> bool {
    name.eq_ignore_ascii_case("identifier")
}

fn is_file_format(name: &str) -> bool {
    ["parquet", "csv", "json", "orc", "delta", "avro", "text", "binaryfile", "iceberg", "hudi", "xml"]
        .iter()
        .any(|format| name.eq_ignore_ascii_case(format))
}
