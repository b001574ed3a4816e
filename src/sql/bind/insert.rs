//! INSERT, into one table or several.

use std::rc::Rc;

use sqlparser::ast::{
    BinaryOperator, Expr, Ident, Insert, MultiTableInsertIntoClause, MultiTableInsertValue, ObjectName, ObjectNamePart,
    OnConflictAction, OnInsert, Query, TableObject,
};

use crate::sql::types::Transformation;

use super::Binder;
use super::names::{Sym, TableId, is_identifier_function};
use super::relation::{Column, Item, Relation};
use super::scope::{FromItem, Scope};
use super::sources::{How, Sources};
use super::write::Target;

impl Binder<'_> {
    pub(super) fn insert(&mut self, insert: &Insert, outer: Option<&Scope<'_>>) -> Rc<Relation> {
        if insert.multi_table_insert_type.is_some() {
            return self.insert_many(insert, outer);
        }
        let relation = match &insert.source {
            Some(query) => self.query(query, outer),
            None => Rc::clone(&self.nothing),
        };
        let target = match &insert.table {
            TableObject::TableName(name) => self.target(name),
            TableObject::TableFunction(function) => {
                let ident = match function.name.0.as_slice() {
                    [ObjectNamePart::Identifier(ident)] if is_identifier_function(&ident.value) => Some(ident),
                    _ => None,
                };
                match (ident, &function.args) {
                    (Some(ident), sqlparser::ast::FunctionArguments::List(list)) => {
                        let written = self.names.identifier_function(ident, &list.args);
                        self.target_written(written)
                    }
                    _ => Target::Nothing,
                }
            }
            TableObject::TableQuery(query) => {
                let inputs = self.answer.inputs.len();
                let relation = self.query(query, outer);
                self.answer.inputs.truncate(inputs);
                Target::Through(relation)
            }
        };
        self.wrote(&target);
        let (fixed, dynamic) = self.partitions(insert.partitioned.as_deref().unwrap_or_default());
        let listed: Vec<Sym> = insert
            .columns
            .iter()
            .filter_map(|column| self.last_name(column))
            .collect::<Vec<_>>()
            .into_iter()
            .chain(insert.after_columns.iter().map(|ident| self.names.fold(ident)).collect::<Vec<_>>())
            .collect();
        let names = if insert.by_name {
            None
        } else if !listed.is_empty() {
            let mut names = listed;
            names.extend(&dynamic);
            Some(names)
        } else {
            self.target_schema(&target).map(|mut schema| {
                let fixed: Vec<Sym> = fixed.iter().map(|&name| self.names.key(name)).collect();
                let moved: Vec<Sym> = dynamic.iter().map(|&name| self.names.key(name)).collect();
                schema.retain(|&name| !fixed.contains(&self.names.key(name)) && !moved.contains(&self.names.key(name)));
                schema.extend(&dynamic);
                schema
            })
        };
        // Generated names of VALUES are nobody's columns.
        let is_values =
            insert.source.as_ref().is_some_and(|query| matches!(*query.body, sqlparser::ast::SetExpr::Values(_)));
        if names.is_some() || !is_values || relation.columns().any(|column| !column.sources.is_empty()) {
            self.derive_all(&target, names.as_deref(), &relation);
        } else if let Target::Temp(_) = target {
            self.derive_all(&target, None, &Relation::default());
        }
        let own = self.own_item(&target, insert.table_alias.as_ref().map(|alias| &alias.alias), &insert.table);
        let mut scope = Scope::under(outer);
        if !insert.assignments.is_empty() {
            self.assign(&insert.assignments, &target, &scope);
        }
        if let Some(on) = &insert.on {
            let inserted = match &names {
                Some(names) => Rc::new(relation.renamed(&mut self.names, names)),
                None => Rc::clone(&relation),
            };
            let alias = match &insert.insert_alias {
                Some(aliases) => self.last_key(&aliases.row_alias).unwrap_or_else(|| self.names.intern("new")),
                None => self.names.intern("excluded"),
            };
            scope.items.push(self.own_item(
                &target,
                insert.table_alias.as_ref().map(|alias| &alias.alias),
                &insert.table,
            ));
            let mut excluded = FromItem::new(Some(alias), None, inserted);
            excluded.visible = false;
            scope.items.push(excluded);
            match on {
                OnInsert::DuplicateKeyUpdate(assignments) => self.assign(assignments, &target, &scope),
                OnInsert::OnConflict(conflict) => {
                    if let OnConflictAction::DoUpdate(update) = &conflict.action {
                        self.assign(&update.assignments, &target, &scope);
                        if let Some(expr) = &update.selection {
                            self.indirect(expr, &scope, Transformation::Filter);
                        }
                    }
                }
                _ => {}
            }
        }
        // RETURNING gives the written values: what they were made of.
        let written = match &names {
            Some(names) => Rc::new(relation.renamed(&mut self.names, names)),
            None => relation,
        };
        let mut scope = Scope::of(outer, FromItem { relation: written, ..own });
        self.returning(insert.returning.as_deref(), insert.output.as_ref(), &mut scope)
    }

    /// The written table as an item that expressions see.
    pub(super) fn own_item(&mut self, target: &Target, alias: Option<&Ident>, table: &TableObject) -> FromItem {
        let relation = self.target_relation(target);
        let id = if let Target::Table(id) = target { Some(*id) } else { None };
        let key = match (alias, table) {
            (Some(alias), _) => Some(self.names.fold_key(alias)),
            (None, TableObject::TableName(name)) if id.is_none() => self.last_key(name),
            _ => None,
        };
        FromItem::new(key, id, relation)
    }

    /// PARTITION (a = 1, b): columns with a fixed value, and those that the query's last columns fill.
    pub(super) fn partitions(&mut self, exprs: &[Expr]) -> (Vec<Sym>, Vec<Sym>) {
        let (mut fixed, mut dynamic) = (Vec::new(), Vec::new());
        for expr in exprs {
            match expr {
                Expr::BinaryOp { left, op: BinaryOperator::Eq, .. } => fixed.extend(self.implied_name(left)),
                other => dynamic.extend(self.implied_name(other)),
            }
        }
        (fixed, dynamic)
    }

    /// Snowflake's INSERT ALL and INSERT FIRST: one query, several targets.
    pub(super) fn insert_many(&mut self, insert: &Insert, outer: Option<&Scope<'_>>) -> Rc<Relation> {
        let relation = match &insert.source {
            Some(query) => self.query(query, outer),
            None => Rc::clone(&self.nothing),
        };
        let scope = Scope::of(outer, FromItem::new(None, None, Rc::clone(&relation)));
        for clause in &insert.multi_table_into_clauses {
            self.insert_into(clause, &relation, &scope);
        }
        for when in &insert.multi_table_when_clauses {
            self.indirect(&when.condition, &scope, Transformation::Filter);
            for clause in &when.into_clauses {
                self.insert_into(clause, &relation, &scope);
            }
        }
        for clause in insert.multi_table_else_clause.iter().flatten() {
            self.insert_into(clause, &relation, &scope);
        }
        Rc::clone(&self.nothing)
    }

    pub(super) fn insert_into(
        &mut self,
        clause: &MultiTableInsertIntoClause,
        relation: &Rc<Relation>,
        scope: &Scope<'_>,
    ) {
        let target = self.target(&clause.table_name);
        self.wrote(&target);
        let listed = self.column_list(&clause.columns);
        let names = if listed.is_empty() { self.target_schema(&target) } else { Some(listed) };
        match &clause.values {
            None => self.derive_all(&target, names.as_deref(), relation),
            Some(values) => {
                let mut items = Vec::new();
                for value in &values.values {
                    let (name, sources) = match value {
                        MultiTableInsertValue::Expr(expr) => (self.implied_name(expr), self.sources_of(expr, scope)),
                        MultiTableInsertValue::Default => (None, Sources::None),
                    };
                    let name = name.unwrap_or_else(|| self.generated_name());
                    items.push(Item::Column(Column { name, key: self.names.key(name), sources }));
                }
                self.derive_all(&target, names.as_deref(), &Relation::new(items));
            }
        }
    }

    /// INSERT of rows as they are, every column to the one of its name.
    pub(super) fn copy_rows(&mut self, target: &ObjectName, source: &ObjectName) {
        let (_, relation) = self.read_named(source);
        let target = self.target(target);
        self.wrote(&target);
        match self.target_schema(&target) {
            Some(schema) if !relation.is_closed() => {
                for name in schema {
                    if let super::relation::Found::Star(star) = relation.find(self.names.key(name)) {
                        let sources = star.column(&mut self.names, name);
                        self.derive(&target, name, sources);
                    }
                }
            }
            _ => self.derive_all(&target, None, &relation),
        }
    }

    /// A query written to a target as it is.
    pub(super) fn write_query(&mut self, target: &Target, names: Option<&[Sym]>, query: &Query) {
        let relation = self.query(query, None);
        self.wrote(target);
        self.derive_all(target, names, &relation);
    }

    /// A column of a file, handed on as it is.
    pub(super) fn file_column(&mut self, file: TableId, name: Sym) -> Sources {
        let column = self.names.column(file, name);
        Sources::One(super::sources::Source::new(column, How::Identity))
    }
}
