//! Tables by name and what is written to them: resolution, schemas, views, temporary tables, and the columns that a
//! statement derives.

use std::rc::Rc;
use std::sync::Arc;

use sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, SelectInto, Statement};

use crate::sql::front::{Body, pieces};
use crate::sql::types::{ColumnLineage, ColumnRef, Dialect, SourceColumn, TableName};

use super::names::{Sym, TableId, Written};
use super::relation::{Item, Relation, Star};
use super::sources::{Gathered, Source, Sources};
use super::{Binder, Derived, Temp};

/// What a statement writes to.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Table(TableId),
    /// Of the session; never an output.
    Temp(TableId),
    /// A common table expression that stands for the tables behind it.
    Through(Rc<Relation>),
    /// Not known from the text, or no table.
    Nothing,
}

impl Binder<'_> {
    /// The table of that name, completed by the defaults.
    pub(super) fn resolve(&mut self, parts: &[Sym]) -> TableId {
        let catalog = self.catalog;
        let id = self.names.complete(parts, &self.session.defaults, |name| {
            catalog.columns(name).is_some() || catalog.view(name).is_some()
        });
        if self.dialect == Dialect::BigQuery { self.shard(id) } else { id }
    }

    /// BigQuery's daily tables are one table in a catalog that lists them as `t_yyyymmdd`.
    pub(super) fn shard(&mut self, id: TableId) -> TableId {
        let name = self.names.table_name(id);
        let Some(last) = name.parts.last() else { return id };
        let Some(stem) = last.len().checked_sub(8).and_then(|at| last.get(..at)) else { return id };
        if stem.is_empty() || !last[stem.len()..].bytes().all(|byte| byte.is_ascii_digit()) {
            return id;
        }
        let mut group = name.clone();
        if let Some(last) = group.parts.last_mut() {
            *last = Arc::from(format!("{stem}yyyymmdd"));
        }
        let known = self.catalog.columns(&group).is_some() && self.catalog.columns(name).is_none();
        if known { self.names.table_of(&group) } else { id }
    }

    /// The columns that a table offers.
    pub(super) fn table_relation(&mut self, id: TableId) -> Rc<Relation> {
        if let Some(known) = self.names.relation(id) {
            return Rc::clone(known);
        }
        let name = self.names.table_name(id).clone();
        let relation = if let Some(columns) = self.session.schema(&name) {
            self.names.relied.on_known_columns = true;
            let columns: Vec<Sym> = columns.iter().map(|column| self.names.intern_arc(column)).collect();
            Relation::known(&mut self.names, id, columns.into_iter())
        } else if let Some(view) = self.view_relation(id, &name) {
            self.names.set_relation(id, Some(Rc::clone(&view)));
            return view;
        } else if let Some(columns) = self.catalog.columns(&name) {
            self.step(columns.len());
            let columns: Vec<Sym> = columns.iter().map(|column| self.names.intern_arc(&column.name)).collect();
            Relation::known(&mut self.names, id, columns.into_iter())
        } else {
            Relation::open(id)
        };
        let relation = Rc::new(relation);
        self.names.set_relation(id, Some(Rc::clone(&relation)));
        relation
    }

    /// The names of a table's columns, if all are known.
    pub(super) fn schema(&mut self, id: TableId) -> Option<Vec<Sym>> {
        let relation = self.table_relation(id);
        if relation.items.is_empty() || !relation.is_closed() {
            return None;
        }
        // Nested columns that a catalog lists by their path are no columns of their own.
        Some(
            relation.columns().map(|column| column.name).filter(|&name| !self.names.text(name).contains('.')).collect(),
        )
    }

    /// What a catalog view is made of.
    pub(super) fn view_relation(&mut self, id: TableId, name: &TableName) -> Option<Rc<Relation>> {
        let text = self.catalog.view(name)?;
        if self.views.contains(&id) || self.views.len() >= 32 || !self.enter() {
            return None;
        }
        self.views.push(id);
        let parsed = pieces(&text, self.dialect, &self.options.limits);
        let query = parsed.into_iter().find_map(|piece| match piece.body {
            Body::Parsed(statement) => match *statement {
                Statement::Query(query) => Some((query, Vec::new())),
                Statement::CreateView(view) => Some((view.query, view.columns)),
                _ => None,
            },
            _ => None,
        });
        let relation = query.map(|(query, columns)| {
            let inputs = self.answer.inputs.len();
            let indirect = self.answer.indirect.len();
            let joins = self.answer.joins.len();
            let base = std::mem::replace(&mut self.cte_base, self.ctes.len());
            let locals = std::mem::take(&mut self.locals);
            let rows = std::mem::take(&mut self.rows);
            let want = std::mem::replace(&mut self.want_columns, true);
            let relation = self.query(&query, None);
            self.want_columns = want;
            self.locals = locals;
            self.rows = rows;
            self.cte_base = base;
            self.answer.inputs.truncate(inputs);
            self.answer.indirect.truncate(indirect);
            self.answer.joins.truncate(joins);
            let mut names: Vec<Sym> = columns.iter().map(|column| self.names.fold(&column.name)).collect();
            if names.is_empty()
                && let Some(columns) = self.catalog.columns(name)
                && (!relation.is_closed() || columns.len() == relation.items.len())
            {
                names = columns.iter().map(|column| self.names.intern_arc(&column.name)).collect();
            }
            if names.is_empty() { relation } else { Rc::new(relation.renamed(&mut self.names, &names)) }
        });
        self.views.pop();
        self.leave();
        relation
    }

    /// What a name written to is; not counted as read or written yet.
    pub(super) fn target(&mut self, name: &ObjectName) -> Target {
        if let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() {
            let key = self.names.fold_key(ident);
            if let Some(cte) = self.ctes[self.cte_base..].iter().rev().find(|cte| cte.key == key) {
                return Target::Through(Rc::clone(&cte.relation));
            }
        }
        let written = self.names.written(name);
        self.target_written(written)
    }

    pub(super) fn target_written(&mut self, written: Written) -> Target {
        match written {
            Written::Unknowable => {
                self.note("the name of the written table is computed");
                Target::Nothing
            }
            Written::Literal(text) => Target::Table(self.names.table(&[text])),
            Written::Parts(parts) => {
                if let Some(id) = self.temporary_id(&parts) {
                    return Target::Temp(id);
                }
                if self.names.text(parts[0]).starts_with('@') {
                    return Target::Nothing;
                }
                if self.is_session_schema(&parts) {
                    // Temporary by its schema, declared or not.
                    let id = self.resolve(&parts);
                    let key = self.names.key(parts[1]);
                    self.bare_temps.insert(key, id);
                    let relation = Rc::clone(&self.nothing);
                    self.temps.insert(id, Temp { relation, bases: Vec::new(), declared: false });
                    return Target::Temp(id);
                }
                Target::Table(self.resolve(&parts))
            }
        }
    }

    /// The columns of what is written to.
    pub(super) fn target_relation(&mut self, target: &Target) -> Rc<Relation> {
        match target {
            Target::Table(id) => self.table_relation(*id),
            Target::Temp(id) => {
                let relation = self.temps.get(id).map(|temp| Rc::clone(&temp.relation));
                relation.unwrap_or_else(|| Rc::clone(&self.nothing))
            }
            Target::Through(relation) => Rc::clone(relation),
            Target::Nothing => Rc::new(Relation::weak(Sources::None)),
        }
    }

    pub(super) fn target_schema(&mut self, target: &Target) -> Option<Vec<Sym>> {
        match target {
            Target::Table(id) => self.schema(*id),
            Target::Temp(_) | Target::Through(_) => {
                let relation = self.target_relation(target);
                let known = relation.is_closed() && !relation.items.is_empty();
                known.then(|| relation.columns().map(|column| column.name).collect())
            }
            Target::Nothing => None,
        }
    }

    /// Counts it as written.
    pub(super) fn wrote(&mut self, target: &Target) {
        match target {
            Target::Table(id) => {
                if !self.answer.outputs.contains(id) {
                    self.answer.outputs.push(*id);
                }
            }
            Target::Through(relation) => {
                let tables = self.tables_behind(relation);
                self.answer.outputs.extend(tables);
            }
            Target::Temp(_) | Target::Nothing => {}
        }
    }

    /// The table behind one column of what is written through.
    pub(super) fn wrote_column(&mut self, target: &Target, column: Sym) {
        let Target::Through(relation) = target else { return self.wrote(target) };
        match self.column_behind(relation, column) {
            Some((table, _)) => self.wrote(&Target::Table(table)),
            None => self.wrote(target),
        }
    }

    fn column_behind(&mut self, relation: &Relation, column: Sym) -> Option<(TableId, Sym)> {
        let key = self.names.key(column);
        match relation.find(key) {
            super::relation::Found::Column(column) => match column.sources.as_slice() {
                [only] => Some(self.names.column_parts(only.column())),
                _ => None,
            },
            super::relation::Found::Star(star) => star.origins.first().map(|&origin| (origin, column)),
            _ => None,
        }
    }

    pub(super) fn tables_behind(&mut self, relation: &Relation) -> Vec<TableId> {
        let mut tables: Vec<TableId> = Vec::new();
        for item in &relation.items {
            match item {
                Item::Column(column) => {
                    if let [only] = column.sources.as_slice() {
                        tables.push(self.names.column_parts(only.column()).0);
                    }
                }
                Item::Star(star) => tables.extend(&star.origins),
            }
        }
        tables.sort_unstable();
        tables.dedup();
        tables
    }

    /// One derived column of what is written.
    pub(super) fn derive(&mut self, target: &Target, column: Sym, sources: Sources) {
        if self.answer.columns.len() >= self.options.limits.edges {
            self.exhaust();
            return;
        }
        self.step(1 + sources.as_slice().len() / 8);
        match target {
            Target::Table(id) => self.answer.columns.push(Derived { table: Some(*id), column, sources }),
            Target::Temp(id) => self.fill_temp(*id, column, &sources),
            Target::Through(relation) => {
                if let Some((table, column)) = self.column_behind(relation, column) {
                    self.answer.columns.push(Derived { table: Some(table), column, sources });
                }
            }
            Target::Nothing => {}
        }
    }

    /// All columns of a query, written in order to `names`, or to columns of the query's own names.
    pub(super) fn derive_all(&mut self, target: &Target, names: Option<&[Sym]>, relation: &Relation) {
        if let Target::Temp(id) = target {
            self.fill_temp_all(*id, names, relation);
            return;
        }
        let star = self.names.intern("*");
        let Some(names) = names else {
            for item in &relation.items {
                match item {
                    Item::Column(column) => self.derive(target, column.name, column.sources.clone()),
                    Item::Star(open) => self.derive_star(target, star, open),
                }
                if self.is_exhausted() {
                    return;
                }
            }
            return;
        };
        if relation.is_closed() {
            for (&name, column) in names.iter().zip(relation.columns()) {
                self.derive(target, name, column.sources.clone());
            }
            return;
        }
        // One star stands for as many names as the other items leave; more stars than one for nobody knows which.
        let before = relation.items.iter().take_while(|item| matches!(item, Item::Column(_))).count();
        let after = if relation.stars == 1 { relation.items.len() - before - 1 } else { 0 };
        for (&name, item) in names.iter().zip(&relation.items[..before]) {
            if let Item::Column(column) = item {
                self.derive(target, name, column.sources.clone());
            }
        }
        if let Some(Item::Star(open)) = relation.items.get(before) {
            self.derive_star(target, star, open);
        }
        if after > 0 && names.len() >= before + after {
            let tail = &names[names.len() - after..];
            for (&name, item) in tail.iter().zip(&relation.items[before + 1..]) {
                if let Item::Column(column) = item {
                    self.derive(target, name, column.sources.clone());
                }
            }
        }
        self.note("a star over a table whose columns are not known");
    }

    pub(super) fn derive_star(&mut self, target: &Target, star: Sym, open: &Star) {
        let mut gathered = Gathered::default();
        for &origin in &open.origins {
            let column = self.names.column(origin, star);
            gathered.push(column, super::sources::How::Identity);
        }
        self.derive(target, star, gathered.finish());
    }

    /// SELECT … INTO: a table in dialects that have it so, variables elsewhere and in routines.
    pub(super) fn select_into(&mut self, into: &SelectInto, relation: &Rc<Relation>) {
        for target in &into.targets {
            let name = match target {
                Expr::Identifier(ident) => ObjectName::from(ident.clone()),
                Expr::CompoundIdentifier(idents) => ObjectName::from(idents.clone()),
                _ => continue,
            };
            let variable = matches!(name.0.first(), Some(ObjectNamePart::Identifier(ident)) if ident.value.starts_with(['@', ':']));
            let tables = into.table
                || into.temporary
                || into.unlogged
                || (!matches!(self.dialect, Dialect::Oracle | Dialect::MySql | Dialect::Snowflake | Dialect::BigQuery)
                    && (self.in_body == 0 || self.dialect == Dialect::TSql));
            if variable || !tables {
                continue;
            }
            let hash = matches!(name.0.last(), Some(ObjectNamePart::Identifier(ident)) if ident.value.starts_with('#'));
            if into.temporary || hash {
                self.create_temp(&name, Rc::clone(relation), false);
            } else {
                let written = self.names.written(&name);
                let target = self.target_written(written);
                self.wrote(&target);
                self.derive_all(&target, None, relation);
                self.remember_columns(&target, relation);
            }
            self.into_target = true;
        }
    }

    /// A table made by this script has the columns of the query that made it.
    pub(super) fn remember_columns(&mut self, target: &Target, relation: &Relation) {
        let Target::Table(id) = target else { return };
        if !relation.is_closed() || relation.items.is_empty() {
            self.names.set_relation(*id, Some(Rc::new(Relation::open(*id))));
            return;
        }
        let columns: Vec<Sym> = relation.columns().map(|column| column.name).collect();
        self.remember_names(*id, &columns);
    }

    pub(super) fn remember_names(&mut self, id: TableId, columns: &[Sym]) {
        let known = Relation::known(&mut self.names, id, columns.iter().copied());
        self.names.set_relation(id, Some(Rc::new(known)));
        if self.options.remember {
            let names = columns.iter().map(|&column| Arc::clone(self.names.text(column))).collect();
            self.session.keep_schema(self.names.table_name(id), names);
        }
    }

    /// Names of columns in a list.
    pub(super) fn column_list<'i>(&mut self, idents: impl IntoIterator<Item = &'i Ident>) -> Vec<Sym> {
        idents.into_iter().map(|ident| self.names.fold(ident)).collect()
    }

    pub(super) fn column_ref(&self, source: Source) -> ColumnRef {
        let (table, column) = self.names.column_parts(source.column());
        ColumnRef { table: self.names.table_name(table).clone(), column: Arc::clone(self.names.text(column)) }
    }

    pub(super) fn public_sources(&self, sources: &Sources) -> Vec<SourceColumn> {
        let mut list: Vec<SourceColumn> = sources
            .as_slice()
            .iter()
            .map(|&source| SourceColumn { column: self.column_ref(source), how: source.how().public() })
            .collect();
        if list.len() > 1 {
            list.sort_unstable();
        }
        list
    }

    pub(super) fn public_columns(&mut self) -> Vec<ColumnLineage> {
        let columns = std::mem::take(&mut self.answer.columns);
        let mut list: Vec<ColumnLineage> = Vec::with_capacity(columns.len());
        let mut edges = 0;
        for derived in columns {
            edges += derived.sources.as_slice().len();
            if edges > self.options.limits.edges {
                self.answer.exhausted = true;
                break;
            }
            list.push(ColumnLineage {
                table: derived.table.map(|table| self.names.table_name(table).clone()),
                column: Arc::clone(self.names.text(derived.column)),
                sources: self.public_sources(&derived.sources),
            });
        }
        list
    }
}
