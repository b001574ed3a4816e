//! Scopes: which names an expression can see, and what a name means.
//!
//! A scope holds the FROM items of one SELECT, the columns that USING and NATURAL merged, the aliases of its select
//! list and its named windows. Its parent is the scope of the query around it (correlation).

use std::collections::HashMap;
use std::rc::Rc;

use foldhash::fast::FixedState;
use smallvec::SmallVec;
use sqlparser::ast::Ident;

use crate::sql::types::Dialect;

use super::Binder;
use super::names::{Sym, TableId};
use super::relation::{Found, Relation, Star};
use super::sources::Sources;

/// One item of FROM.
pub(super) struct FromItem {
    /// Key of its alias, if it has one.
    pub(super) alias: Option<Sym>,
    /// The table behind it, if it is one.
    pub(super) table: Option<TableId>,
    pub(super) relation: Rc<Relation>,
    /// The right side of a semi or anti join is not: only conditions see it.
    pub(super) visible: bool,
    /// Keys of its columns that a USING or NATURAL join has merged.
    pub(super) merged: SmallVec<[Sym; 2]>,
}

impl FromItem {
    pub(super) fn new(alias: Option<Sym>, table: Option<TableId>, relation: Rc<Relation>) -> Self {
        Self { alias, table, relation, visible: true, merged: SmallVec::new() }
    }
}

/// A column that USING or NATURAL made of both sides'.
pub(super) struct Merged {
    pub(super) name: Sym,
    pub(super) key: Sym,
    pub(super) sources: Sources,
}

/// See the module.
#[derive(Default)]
pub(super) struct Scope<'p> {
    pub(super) parent: Option<&'p Scope<'p>>,
    pub(super) items: SmallVec<[FromItem; 3]>,
    pub(super) merged: Vec<Merged>,
    /// Aliases of the select list so far.
    pub(super) aliases: HashMap<Sym, Sources, FixedState>,
    /// An alias is taken before a column that is only guessed.
    pub(super) lateral: bool,
    pub(super) windows: Vec<(Sym, Sources)>,
}

impl<'p> Scope<'p> {
    pub(super) fn under(parent: Option<&'p Scope<'p>>) -> Self {
        Self { parent, ..Self::default() }
    }

    /// A scope of one relation.
    pub(super) fn of(parent: Option<&'p Scope<'p>>, item: FromItem) -> Self {
        let mut scope = Self::under(parent);
        scope.items.push(item);
        scope
    }

    /// The item with that alias, or the table of that name.
    pub(super) fn aliased(&self, key: Sym) -> Option<&FromItem> {
        self.items.iter().find(|item| item.alias == Some(key))
    }
}

impl Binder<'_> {
    /// What an unqualified name is made of; `None` if nobody can know.
    pub(super) fn lookup(&mut self, scope: &Scope<'_>, name: Sym) -> Option<Sources> {
        let key = self.names.key(name);
        if self.locals.contains(&key) {
            return None;
        }
        let mut level = Some(scope);
        while let Some(scope) = level {
            self.step(1 + scope.items.len());
            if let Some(merged) = scope.merged.iter().find(|merged| merged.key == key) {
                return Some(merged.sources.clone());
            }
            let mut open: Option<&Star> = None;
            let mut weak: Option<&Star> = None;
            let mut hidden: Option<&Sources> = None;
            let mut ambiguous = false;
            for item in &scope.items {
                if !item.relation.is_closed() {
                    self.step(item.relation.items.len() / 16);
                }
                match item.relation.find(key) {
                    Found::Column(column) if item.visible => return Some(column.sources.clone()),
                    Found::Column(column) => hidden = hidden.or(Some(&column.sources)),
                    Found::Star(star) if !item.visible || star.is_weak() => weak = weak.or(Some(star)),
                    Found::Star(star) => {
                        self.step(star.except.as_ref().map_or(0, |except| except.len() / 16));
                        ambiguous |= open.is_some();
                        open = Some(star);
                    }
                    Found::Ambiguous => ambiguous = true,
                    Found::Nothing => {}
                }
            }
            let alias = scope.aliases.get(&key);
            if open.is_some() || ambiguous {
                if scope.lateral
                    && let Some(sources) = alias
                {
                    return Some(sources.clone());
                }
                if let Some(item) = scope.aliased(key)
                    && item.relation.is_closed()
                {
                    return Some(Rc::clone(&item.relation).all_sources(&mut self.names));
                }
                if self.is_pseudo_column(name) {
                    return None;
                }
                if !ambiguous && let Some(star) = open {
                    return Some(star.column(&mut self.names, name));
                }
                self.note_ambiguous(name);
                return None;
            }
            if let Some(sources) = alias.or(hidden) {
                return Some(sources.clone());
            }
            // The name of a FROM item is the whole row.
            if let Some(item) = scope.aliased(key).or_else(|| self.table_named(scope, key)) {
                return Some(Rc::clone(&item.relation).all_sources(&mut self.names));
            }
            if let Some(star) = weak {
                if self.is_pseudo_column(name) {
                    return None;
                }
                return Some(star.column(&mut self.names, name));
            }
            level = scope.parent;
        }
        if self.is_pseudo_column(name) {
            return None;
        }
        if let Some(found) = self.whole_row(key) {
            return Some(found);
        }
        // A schema that does not have it may be an old one.
        let mut visible = scope.items.iter().filter(|item| item.visible);
        if let (Some(FromItem { table: Some(table), .. }), None) = (visible.next(), visible.next()) {
            let column = self.names.column(*table, name);
            self.note_unknown(name);
            return Some(Sources::one(column));
        }
        self.note_unknown(name);
        None
    }

    /// What `a.b.c` is made of: the longest qualifier that names a FROM item, then its column, then a path inside it.
    pub(super) fn lookup_qualified(&mut self, scope: &Scope<'_>, idents: &[Ident]) -> Option<Sources> {
        let mut parts: SmallVec<[Sym; 4]> = SmallVec::new();
        for ident in idents {
            // BigQuery quotes a whole table name at once: `p.d.t`.a
            if self.dialect == Dialect::BigQuery && ident.quote_style.is_some() && ident.value.contains('.') {
                for part in ident.value.split('.') {
                    let part = Ident { value: part.to_owned(), ..ident.clone() };
                    parts.push(self.names.fold(&part));
                }
            } else {
                parts.push(self.names.fold(ident));
            }
        }
        let keys: SmallVec<[Sym; 4]> = parts.iter().map(|&part| self.names.key(part)).collect();
        if self.locals.contains(keys.first()?) {
            return None;
        }
        let mut level = Some(scope);
        while let Some(at) = level {
            self.step(1 + at.items.len());
            if let Some((item, qualifier)) = self.qualified_item(at, &keys) {
                return self.item_column(item, &parts[qualifier..]);
            }
            level = at.parent;
        }
        if let Some(found) = self.row_column(&parts) {
            return found;
        }
        // No such item: a column and a path inside it, where the dialect writes paths so.
        let paths = !matches!(
            self.dialect,
            Dialect::Postgres
                | Dialect::MySql
                | Dialect::TSql
                | Dialect::Oracle
                | Dialect::Snowflake
                | Dialect::Teradata
                | Dialect::Db2
                | Dialect::Sqlite
        );
        if let Some(found) = self.lookup_path(scope, &parts) {
            return Some(found);
        }
        if paths || self.is_known_column(scope, keys[0]) {
            return self.lookup(scope, parts[0]);
        }
        self.note_unknown(parts[0]);
        None
    }

    /// A nested column that the catalog lists by its whole path.
    fn lookup_path(&mut self, scope: &Scope<'_>, parts: &[Sym]) -> Option<Sources> {
        for item in scope.items.iter().filter(|item| item.relation.is_closed()) {
            if let Some(sources) = self.nested(&item.relation, parts) {
                return Some(sources);
            }
        }
        None
    }

    fn nested(&mut self, relation: &Relation, parts: &[Sym]) -> Option<Sources> {
        if parts.len() < 2 {
            return None;
        }
        for end in (2..=parts.len()).rev() {
            let path: Vec<&str> = parts[..end].iter().map(|&part| &**self.names.text(part)).collect();
            let path = path.join(".").to_lowercase();
            let path = self.names.intern(&path);
            if let Some(column) = relation.named(path) {
                return Some(column.sources.clone());
            }
        }
        None
    }

    fn is_known_column(&self, scope: &Scope<'_>, key: Sym) -> bool {
        let mut level = Some(scope);
        while let Some(scope) = level {
            if scope.merged.iter().any(|merged| merged.key == key)
                || scope.items.iter().any(|item| item.relation.named(key).is_some())
            {
                return true;
            }
            level = scope.parent;
        }
        false
    }

    /// The item that the first parts name, and how many parts that takes.
    pub(super) fn qualified_item<'s>(&self, scope: &'s Scope<'_>, keys: &[Sym]) -> Option<(&'s FromItem, usize)> {
        let longest = keys.len().saturating_sub(1);
        for take in (1..=longest).rev() {
            if take == 1
                && let Some(item) = scope.aliased(keys[0])
            {
                return Some((item, 1));
            }
            for unaliased in [true, false] {
                for item in scope.items.iter().filter(|item| item.alias.is_none() == unaliased) {
                    let Some(table) = item.table else { continue };
                    let name = &self.names.table_name(table).parts;
                    let matches = name.len() >= take
                        && name[name.len() - take..]
                            .iter()
                            .zip(keys)
                            .all(|(part, &key)| part.eq_ignore_ascii_case(self.names.text(key)));
                    if matches {
                        return Some((item, take));
                    }
                }
            }
        }
        None
    }

    /// A column of one item; with a path behind it.
    pub(super) fn item_column(&mut self, item: &FromItem, parts: &[Sym]) -> Option<Sources> {
        let name = *parts.first()?;
        if parts.len() > 1
            && let Some(sources) = self.nested(&item.relation, parts)
        {
            return Some(sources);
        }
        if let Some(position) = positional(self.names.text(name)) {
            return self.positional_column(&item.relation, position, name);
        }
        let key = self.names.key(name);
        match item.relation.find(key) {
            Found::Column(column) => Some(column.sources.clone()),
            Found::Star(star) => Some(star.column(&mut self.names, name)),
            Found::Ambiguous => {
                self.note_ambiguous(name);
                None
            }
            Found::Nothing => {
                if self.is_pseudo_column(name) {
                    return None;
                }
                self.note_unknown(name);
                let table = item.table?;
                Some(Sources::one(self.names.column(table, name)))
            }
        }
    }

    /// Snowflake's `$1`.
    pub(super) fn positional_column(&mut self, relation: &Relation, position: usize, name: Sym) -> Option<Sources> {
        if let Some(column) = relation.at(position.checked_sub(1)?) {
            return Some(column.sources.clone());
        }
        // Only a file's columns are really known by their number.
        match relation.find(name) {
            Found::Star(star) if star.origins.iter().all(|&origin| self.is_file(origin)) => {
                Some(star.column(&mut self.names, name))
            }
            _ => None,
        }
    }

    /// The item without an alias whose table is called so.
    fn table_named<'s>(&self, scope: &'s Scope<'_>, key: Sym) -> Option<&'s FromItem> {
        let text = self.names.text(key);
        scope.items.iter().find(|item| {
            item.alias.is_none()
                && item.relation.is_closed()
                && item.table.is_some_and(|table| {
                    self.names.table_name(table).parts.last().is_some_and(|part| part.eq_ignore_ascii_case(text))
                })
        })
    }

    fn is_file(&self, table: TableId) -> bool {
        matches!(self.names.table_name(table).parts.as_slice(), [only] if only.starts_with('@') || only.contains('/'))
    }

    /// The name of the column that a select item `$2` or `t.$2` hands on.
    pub(super) fn positional_name(&self, scope: &Scope<'_>, idents: &[Ident]) -> Option<Sym> {
        let (last, qualifier) = idents.split_last()?;
        let position = positional(&last.value)?;
        let item = match qualifier {
            [] => scope.items.first(),
            [.., alias] => scope.items.iter().find(|item| {
                item.alias.is_some_and(|key| self.names.text(key).eq_ignore_ascii_case(&alias.value))
                    || item.table.is_some_and(|table| {
                        self.names
                            .table_name(table)
                            .parts
                            .last()
                            .is_some_and(|part| part.eq_ignore_ascii_case(&alias.value))
                    })
            }),
        };
        Some(item?.relation.at(position.checked_sub(1)?)?.name)
    }

    /// Names that are no columns although they stand where one could: unquoted built-in values.
    pub(super) fn is_pseudo_column(&self, name: Sym) -> bool {
        let text = &**self.names.text(name);
        if text.starts_with(['@', ':', '?']) {
            return true;
        }
        match text {
            "current_date" | "current_timestamp" | "current_time" | "current_user" | "session_user" | "localtime"
            | "localtimestamp" | "current_role" | "current_schema" | "current_catalog" | "default" | "system_user" => {
                true
            }
            "sysdate" | "systimestamp" | "rownum" | "rowid" | "level" | "uid" | "user" | "connect_by_isleaf" => {
                matches!(self.dialect, Dialect::Oracle) || (text == "sysdate" && self.dialect != Dialect::Ansi)
            }
            _ if positional(text).is_some() => true,
            "_partitiontime" | "_partitiondate" | "_table_suffix" => self.dialect == Dialect::BigQuery,
            _ => false,
        }
    }
}

/// The number of `$1`.
pub(super) fn positional(text: &str) -> Option<usize> {
    let digits = text.strip_prefix('$')?;
    if digits.is_empty() || digits.len() > 4 { None } else { digits.parse().ok() }
}
