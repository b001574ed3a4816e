//! CREATE, ALTER, DROP and renames.

use std::rc::Rc;
use std::sync::Arc;

use sqlparser::ast::{
    AlterTable, AlterTableOperation, AlterView, AlterViewOperation, CreateTable, CreateTableLikeKind, CreateView,
    ObjectName, ObjectNamePart, Query, RenameTableNameKind,
};

use crate::sql::types::{ColumnDef, Dialect, StatementKind};

use super::Binder;
use super::names::{Parts, Sym, TableId, Written};
use super::relation::{Column, Item, Relation};
use super::sources::Sources;
use super::write::Target;

impl Binder<'_> {
    pub(super) fn create_table(&mut self, create: &CreateTable) -> StatementKind {
        let hash = matches!(create.name.0.last(), Some(ObjectNamePart::Identifier(ident)) if ident.value.starts_with(['#', '@']));
        let temporary = create.temporary || create.volatile || hash;
        let declared = self.column_list(create.columns.iter().map(|column| &column.name));
        for column in &create.columns {
            let name = self.names.fold(&column.name);
            let data_type = match &column.data_type {
                sqlparser::ast::DataType::Unspecified => Arc::from(""),
                data_type => Arc::from(data_type.to_string()),
            };
            self.answer.declares.push(ColumnDef { name: Arc::clone(self.names.text(name)), data_type });
        }
        if let Some(query) = &create.query {
            // MySQL adds the query's columns to the declared ones; with types they name nothing of the query.
            let added = self.dialect == Dialect::MySql
                && create.columns.iter().any(|column| column.data_type != sqlparser::ast::DataType::Unspecified);
            self.create_as(&create.name, temporary, if added { &[] } else { &declared }, query);
            return StatementKind::CreateTableAs;
        }
        let copied = match (&create.like, &create.clone) {
            (Some(CreateTableLikeKind::Parenthesized(like) | CreateTableLikeKind::Plain(like)), _) => {
                Some((&like.name, false))
            }
            (None, Some(clone)) => Some((clone, true)),
            (None, None) => None,
        };
        if let Some((source, rows)) = copied {
            self.create_copy(&create.name, temporary, source, rows);
            return if rows { StatementKind::CreateTableAs } else { StatementKind::CreateTable };
        }
        if temporary {
            let relation = self.declared_relation(&declared);
            self.create_temp(&create.name, relation, !declared.is_empty());
            return StatementKind::CreateTable;
        }
        let target = self.created(&create.name);
        self.wrote(&target);
        if let Target::Table(id) = target
            && !declared.is_empty()
        {
            self.remember_names(id, &declared);
        }
        StatementKind::CreateTable
    }

    pub(super) fn declared_relation(&mut self, columns: &[Sym]) -> Rc<Relation> {
        let items = columns
            .iter()
            .map(|&name| Item::Column(Column { name, key: self.names.key(name), sources: Sources::None }))
            .collect();
        Rc::new(Relation::new(items))
    }

    /// What a CREATE makes: a new table, even where a temporary one of that name is in sight.
    pub(super) fn created(&mut self, name: &ObjectName) -> Target {
        match self.names.written(name) {
            Written::Parts(parts) => {
                self.drop_temp(&parts);
                Target::Table(self.resolve(&parts))
            }
            other => self.target_written(other),
        }
    }

    pub(super) fn create_as(&mut self, name: &ObjectName, temporary: bool, declared: &[Sym], query: &Query) {
        let relation = self.query(query, None);
        let relation =
            if declared.is_empty() { relation } else { Rc::new(relation.renamed(&mut self.names, declared)) };
        if temporary {
            self.create_temp(name, relation, false);
            return;
        }
        let target = self.created(name);
        self.wrote(&target);
        self.derive_all(&target, None, &relation);
        self.remember_columns(&target, &relation);
    }

    /// LIKE (columns only) and CLONE or COPY (rows too).
    pub(super) fn create_copy(&mut self, name: &ObjectName, temporary: bool, source: &ObjectName, rows: bool) {
        let (_, relation) = self.read_named(source);
        if temporary {
            let relation = if rows || !relation.is_closed() {
                relation
            } else {
                let names: Vec<Sym> = relation.columns().map(|column| column.name).collect();
                self.declared_relation(&names)
            };
            self.create_temp(name, relation, !rows);
            return;
        }
        let target = self.created(name);
        self.wrote(&target);
        if rows {
            self.derive_all(&target, None, &relation);
        }
        self.remember_columns(&target, &relation);
    }

    pub(super) fn create_view(&mut self, view: &CreateView) -> StatementKind {
        let kind = if view.materialized { StatementKind::CreateMaterializedView } else { StatementKind::CreateView };
        let declared = self.column_list(view.columns.iter().map(|column| &column.name));
        match &view.to {
            Some(to) => {
                // The view keeps nothing itself: it is a rule that fills its target.
                let target = self.target(to);
                let relation = self.query(&view.query, None);
                let relation =
                    if declared.is_empty() { relation } else { Rc::new(relation.renamed(&mut self.names, &declared)) };
                self.wrote(&target);
                self.derive_all(&target, None, &relation);
                self.subject(&view.name);
            }
            None => self.create_as(&view.name, view.temporary, &declared, &view.query),
        }
        kind
    }

    pub(super) fn alter_view(&mut self, alter: &AlterView) -> StatementKind {
        match &alter.operation {
            AlterViewOperation::As { columns, query, .. } => {
                let declared = self.column_list(columns);
                self.create_as(&alter.name, false, &declared, query);
                StatementKind::CreateView
            }
            AlterViewOperation::RenameTo { new_name } => {
                self.rename(&alter.name, new_name);
                StatementKind::Rename
            }
            _ => {
                self.subject(&alter.name);
                StatementKind::Alter
            }
        }
    }

    pub(super) fn alter_table(&mut self, alter: &AlterTable) -> StatementKind {
        let mut kind = StatementKind::Alter;
        for operation in &alter.operations {
            match operation {
                AlterTableOperation::RenameTable {
                    table_name: RenameTableNameKind::As(new) | RenameTableNameKind::To(new),
                } => {
                    self.rename(&alter.name, new);
                    kind = StatementKind::Rename;
                }
                AlterTableOperation::SwapWith { table_name } => {
                    self.swap(&alter.name, table_name);
                    kind = StatementKind::Swap;
                }
                AlterTableOperation::AddColumn { column_def, .. } => self.add_column(&alter.name, &column_def.name),
                AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
                    let old = self.names.fold(old_column_name);
                    let new = self.names.fold(new_column_name);
                    self.change_columns(&alter.name, |items, key| {
                        for item in items {
                            if let Item::Column(column) = item
                                && column.key == key(old)
                            {
                                column.name = new;
                                column.key = key(new);
                            }
                        }
                    });
                }
                AlterTableOperation::DropColumn { column_names, .. } => {
                    let dropped = self.column_list(column_names);
                    self.change_columns(&alter.name, |items, key| {
                        items.retain(|item| match item {
                            Item::Column(column) => !dropped.iter().any(|&name| key(name) == column.key),
                            Item::Star(_) => true,
                        });
                    });
                }
                _ => {}
            }
        }
        if kind == StatementKind::Alter {
            self.subject(&alter.name);
        }
        kind
    }

    fn add_column(&mut self, table: &ObjectName, column: &sqlparser::ast::Ident) {
        let name = self.names.fold(column);
        let Written::Parts(parts) = self.names.written(table) else { return };
        let id = self.temporary_id(&parts);
        let sources = match id {
            Some(_) => Sources::None,
            None => {
                let table = self.resolve(&parts);
                Sources::one(self.names.column(table, name))
            }
        };
        self.change_columns(table, |items, key| {
            items.push(Item::Column(Column { name, key: key(name), sources }));
        });
    }

    /// Changes what is known of a table's columns, if all are known.
    fn change_columns(&mut self, table: &ObjectName, change: impl FnOnce(&mut Vec<Item>, &dyn Fn(Sym) -> Sym)) {
        let Written::Parts(parts) = self.names.written(table) else { return };
        if let Some(id) = self.temporary_id(&parts) {
            let Some(temp) = self.temps.get_mut(&id) else { return };
            let mut items = temp.relation.items.clone();
            change(&mut items, &|name| self.names.key(name));
            temp.relation = Rc::new(Relation::new(items));
            return;
        }
        let id = self.resolve(&parts);
        let relation = self.table_relation(id);
        if relation.is_closed() && !relation.items.is_empty() {
            let mut items = relation.items.clone();
            change(&mut items, &|name| self.names.key(name));
            let names: Vec<Sym> = Relation::new(items).columns().map(|column| column.name).collect();
            self.remember_names(id, &names);
        }
    }

    /// A table that a statement without data flow is about.
    pub(super) fn subject(&mut self, name: &ObjectName) {
        if let Written::Parts(parts) = self.names.written(name) {
            if self.temporary_id(&parts).is_some() {
                return;
            }
            let id = self.resolve(&parts);
            self.answer.subjects.push(id);
        }
    }

    pub(super) fn drop_table(&mut self, name: &ObjectName) {
        if let Written::Parts(parts) = self.names.written(name) {
            if self.drop_temp(&parts) {
                return;
            }
            let id = self.resolve(&parts);
            self.names.set_relation(id, None);
            let table = self.names.table_name(id).clone();
            self.session.forget(&table);
            self.answer.subjects.push(id);
        }
    }

    /// The old name's parts, for a new name that is written with fewer.
    fn beside(&mut self, old: TableId, new: &ObjectName) -> Option<TableId> {
        let Written::Parts(parts) = self.names.written(new) else { return None };
        if parts.len() > 1 {
            return Some(self.resolve(&parts));
        }
        let mut full: Parts = Parts::new();
        let name = self.names.table_name(old).clone();
        for part in &name.parts[..name.parts.len().saturating_sub(1)] {
            full.push(self.names.intern_arc(part));
        }
        full.push(parts[0]);
        Some(self.names.table(&full))
    }

    pub(super) fn rename(&mut self, old: &ObjectName, new: &ObjectName) {
        let Written::Parts(parts) = self.names.written(old) else { return };
        if let Some(id) = self.temporary_id(&parts) {
            let temp = self.temps.remove(&id);
            self.drop_temp(&parts);
            if let (Some(temp), Written::Parts(new)) = (temp, self.names.written(new))
                && let Some(&last) = new.last()
            {
                let id = self.resolve(&new);
                let key = self.names.key(last);
                self.bare_temps.insert(key, id);
                self.dropped_temps.retain(|&dropped| dropped != id);
                self.temps.insert(id, temp);
            }
            return;
        }
        let id = self.resolve(&parts);
        let Some(new) = self.beside(id, new) else { return };
        let columns = self.schema(id);
        self.names.set_relation(id, None);
        self.answer.renames.push((id, new));
        let table = self.names.table_name(id).clone();
        self.session.forget(&table);
        match columns {
            Some(columns) => self.remember_names(new, &columns),
            None => self.names.set_relation(new, Some(Rc::new(Relation::open(new)))),
        }
    }

    pub(super) fn swap(&mut self, left: &ObjectName, right: &ObjectName) {
        let (Written::Parts(one), Written::Parts(other)) = (self.names.written(left), self.names.written(right)) else {
            return;
        };
        let one = self.resolve(&one);
        let other = match (right.0.len(), self.dialect) {
            (1, Dialect::Snowflake) => self.beside(one, right).unwrap_or(one),
            _ => self.resolve(&other),
        };
        self.answer.renames.push((one, other));
        self.answer.renames.push((other, one));
        let columns = (self.schema(one), self.schema(other));
        if let (Some(one_columns), Some(other_columns)) = columns {
            self.remember_names(one, &other_columns);
            self.remember_names(other, &one_columns);
        } else {
            self.names.set_relation(one, None);
            self.names.set_relation(other, None);
        }
    }
}
