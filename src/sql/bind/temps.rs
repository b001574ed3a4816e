//! Temporary tables and views of the session: resolved away wherever they are read.

use std::rc::Rc;
use std::sync::Arc;

use sqlparser::ast::ObjectName;

use crate::sql::session::{SavedColumn, SavedTemp};
use crate::sql::types::Dialect;

use super::names::{Sym, TableId, Written};
use super::relation::{Column, Item, Relation, Star};
use super::sources::{Gathered, Sources};
use super::{Binder, Temp};

impl Binder<'_> {
    /// The temporary table of that name.
    pub(super) fn temporary(&mut self, parts: &[Sym]) -> Option<&Temp> {
        let id = self.temporary_id(parts)?;
        self.temps.get(&id)
    }

    pub(super) fn temporary_id(&mut self, parts: &[Sym]) -> Option<TableId> {
        let last = *parts.last()?;
        let bare = parts.len() == 1 || self.names.text(last).starts_with('#') || self.is_session_schema(parts);
        let key = self.names.key(last);
        if bare && let Some(&id) = self.bare_temps.get(&key) {
            return Some(id);
        }
        if self.session.temps.is_empty() && self.temps.is_empty() {
            return None;
        }
        if bare && let Some(saved) = self.session.temps.get(&**self.names.text(key)).cloned() {
            let id = self.load_temp(&saved);
            if !self.dropped_temps.contains(&id) {
                self.bare_temps.insert(key, id);
                return Some(id);
            }
        }
        if bare {
            return None;
        }
        let id = self.resolve(parts);
        self.temps.contains_key(&id).then_some(id)
    }

    /// Db2's SESSION, Postgres' pg_temp, Spark's global_temp, BigQuery's _SESSION.
    pub(super) fn is_session_schema(&self, parts: &[Sym]) -> bool {
        parts.len() == 2
            && match self.dialect {
                Dialect::Db2 => &**self.names.text(self.names.key(parts[0])) == "session",
                Dialect::Postgres | Dialect::Redshift => &**self.names.text(self.names.key(parts[0])) == "pg_temp",
                Dialect::Spark | Dialect::Databricks => &**self.names.text(self.names.key(parts[0])) == "global_temp",
                Dialect::BigQuery => self.names.text(parts[0]).eq_ignore_ascii_case("_session"),
                _ => false,
            }
    }

    pub(super) fn load_temp(&mut self, saved: &SavedTemp) -> TableId {
        let id = self.names.table_of(&saved.name);
        if self.temps.contains_key(&id) {
            return id;
        }
        let mut items = Vec::with_capacity(saved.columns.len() + 1);
        for column in &saved.columns {
            let mut gathered = Gathered::default();
            for source in &column.sources {
                let table = self.names.table_of(&source.column.table);
                let name = self.names.intern_arc(&source.column.column);
                let base = self.names.column(table, name);
                gathered.push(base, super::sources::How::from_public(source.how));
            }
            let name = self.names.intern_arc(&column.name);
            items.push(Item::Column(Column { name, key: self.names.key(name), sources: gathered.finish() }));
        }
        if !saved.open.is_empty() {
            let origins = saved.open.iter().map(|name| self.names.table_of(name)).collect();
            items.push(Item::Star(Star { origins, ..Star::default() }));
        }
        let bases = saved.bases.iter().map(|name| self.names.table_of(name)).collect();
        self.temps.insert(id, Temp { relation: Rc::new(Relation::new(items)), bases, declared: saved.declared });
        id
    }

    /// Puts the temporary tables back into the session.
    pub(super) fn save_temps(&mut self) {
        let bare: Vec<(Sym, TableId)> = self.bare_temps.iter().map(|(&key, &id)| (key, id)).collect();
        for (key, id) in bare {
            let Some(temp) = self.temps.get(&id).cloned() else { continue };
            let columns = temp
                .relation
                .columns()
                .map(|column| SavedColumn {
                    name: Arc::clone(self.names.text(column.name)),
                    sources: self.public_sources(&column.sources),
                })
                .collect();
            let mut open = Vec::new();
            for item in &temp.relation.items {
                if let Item::Star(star) = item {
                    open.extend(star.origins.iter().map(|&origin| self.names.table_name(origin).clone()));
                }
            }
            let bases = temp.bases.iter().map(|&base| self.names.table_name(base).clone()).collect();
            let saved =
                SavedTemp { name: self.names.table_name(id).clone(), columns, open, bases, declared: temp.declared };
            self.session.keep_temp(self.names.text(key), saved);
        }
    }

    /// Makes a temporary table of the session.
    pub(super) fn create_temp(&mut self, name: &ObjectName, relation: Rc<Relation>, declared: bool) {
        let Written::Parts(parts) = self.names.written(name) else { return };
        let Some(&last) = parts.last() else { return };
        let id = self.temporary_table(&parts);
        let key = self.names.key(last);
        self.bare_temps.insert(key, id);
        self.dropped_temps.retain(|&dropped| dropped != id);
        let mut bases = self.answer.inputs.clone();
        bases.sort_unstable();
        bases.dedup();
        self.temps.insert(id, Temp { relation, bases, declared });
    }

    pub(super) fn temporary_table(&mut self, parts: &[Sym]) -> TableId {
        let last = parts[parts.len() - 1];
        if self.names.text(last).starts_with(['#', '@']) { self.names.table(&[last]) } else { self.resolve(parts) }
    }

    pub(super) fn drop_temp(&mut self, parts: &[Sym]) -> bool {
        let Some(id) = self.temporary_id(parts) else { return false };
        self.temps.remove(&id);
        self.bare_temps.retain(|_, temp| *temp != id);
        self.dropped_temps.push(id);
        if let Some(&last) = parts.last() {
            let key = self.names.key(last);
            self.session.forget_temp(self.names.text(key));
        }
        true
    }

    pub(super) fn fill_temp(&mut self, id: TableId, column: Sym, sources: &Sources) {
        let key = self.names.key(column);
        let inputs = self.answer.inputs.clone();
        let width = self.temps.get(&id).map_or(0, |temp| temp.relation.items.len() + temp.bases.len());
        self.step(width);
        if self.is_exhausted() {
            return;
        }
        let Some(temp) = self.temps.get_mut(&id) else { return };
        let mut items = temp.relation.items.clone();
        let known = items.iter_mut().find_map(|item| match item {
            Item::Column(known) if known.key == key => Some(known),
            _ => None,
        });
        match known {
            Some(known) => known.sources = known.sources.union(sources),
            None => items.push(Item::Column(Column { name: column, key, sources: sources.clone() })),
        }
        temp.relation = Rc::new(Relation::new(items));
        temp.bases.extend(inputs);
        temp.bases.sort_unstable();
        temp.bases.dedup();
    }

    pub(super) fn fill_temp_all(&mut self, id: TableId, names: Option<&[Sym]>, relation: &Relation) {
        let inputs = self.answer.inputs.clone();
        let Some(temp) = self.temps.get(&id).cloned() else { return };
        let known: Option<Vec<Sym>> = match names {
            Some(names) => Some(names.to_vec()),
            None if temp.declared => Some(temp.relation.columns().map(|column| column.name).collect()),
            None => None,
        };
        let incoming = match known {
            Some(names) => relation.renamed(&mut self.names, &names),
            None => Relation::new(relation.items.clone()),
        };
        let filled = if temp.relation.items.is_empty() {
            Rc::new(incoming)
        } else if names.is_some() || temp.declared {
            self.combined(
                &temp.relation,
                &Rc::new(incoming),
                sqlparser::ast::SetOperator::Union,
                sqlparser::ast::SetQuantifier::ByName,
            )
        } else {
            self.combined(
                &temp.relation,
                &Rc::new(incoming),
                sqlparser::ast::SetOperator::Union,
                sqlparser::ast::SetQuantifier::All,
            )
        };
        if let Some(temp) = self.temps.get_mut(&id) {
            temp.relation = filled;
            temp.bases.extend(inputs);
            temp.bases.sort_unstable();
            temp.bases.dedup();
        }
    }
}
