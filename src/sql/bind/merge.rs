//! MERGE.

use std::rc::Rc;

use sqlparser::ast::{Merge, MergeAction, MergeInsertKind, MergeUpdateKind, TableFactor};

use crate::sql::types::Transformation;

use super::Binder;
use super::names::Sym;
use super::relation::{Column, Item, Relation};
use super::scope::{FromItem, Scope};
use super::write::Target;

impl Binder<'_> {
    pub(super) fn merge(&mut self, merge: &Merge, outer: Option<&Scope<'_>>) -> Rc<Relation> {
        let mut scope = Scope::under(outer);
        self.factor(&mut scope, &merge.source, false);
        let sources: Rc<Relation> = match scope.items.as_slice() {
            [only] if scope.merged.is_empty() => Rc::clone(&only.relation),
            _ => {
                let mut items = Vec::new();
                self.all_columns(&scope, &mut items);
                Rc::new(Relation::new(items))
            }
        };
        let own = scope.items.len();
        let target = self.merge_target(&mut scope, &merge.table);
        self.wrote(&target);
        for clause in &merge.clauses {
            if let MergeAction::Update(update) = &clause.action
                && let MergeUpdateKind::Set(assignments) = &update.kind
            {
                self.know_assigned(&mut scope, &target, assignments);
            }
        }
        self.indirect(&merge.on, &scope, Transformation::Join);
        for clause in &merge.clauses {
            if let Some(expr) = &clause.predicate {
                self.indirect(expr, &scope, Transformation::Filter);
            }
            match &clause.action {
                MergeAction::Update(update) => {
                    match &update.kind {
                        MergeUpdateKind::Set(assignments) => self.assign(assignments, &target, &scope),
                        MergeUpdateKind::Wildcard => self.merge_all(&target, &sources),
                    }
                    for expr in update.update_predicate.iter().chain(&update.delete_predicate) {
                        self.indirect(expr, &scope, Transformation::Filter);
                    }
                }
                MergeAction::Insert(insert) => {
                    let listed: Vec<Sym> = insert.columns.iter().filter_map(|column| self.last_name(column)).collect();
                    let names = if listed.is_empty() { self.target_schema(&target) } else { Some(listed) };
                    match &insert.kind {
                        MergeInsertKind::Values(values) => {
                            // The values see the source only; the target has no row yet.
                            let hidden: Vec<FromItem> =
                                if own == 0 { Vec::new() } else { scope.items.drain(own..).collect() };
                            for row in &values.rows {
                                let mut items = Vec::with_capacity(row.content.len());
                                for expr in &row.content {
                                    let sources = self.sources_of(expr, &scope);
                                    let name = match self.implied_name(expr) {
                                        Some(name) => name,
                                        None => self.generated_name(),
                                    };
                                    items.push(Item::Column(Column { name, key: self.names.key(name), sources }));
                                }
                                self.derive_all(&target, names.as_deref(), &Relation::new(items));
                            }
                            scope.items.extend(hidden);
                        }
                        MergeInsertKind::Row => self.derive_all(&target, names.as_deref(), &sources),
                        MergeInsertKind::Wildcard => self.merge_all(&target, &sources),
                    }
                    if let Some(expr) = &insert.insert_predicate {
                        self.indirect(expr, &scope, Transformation::Filter);
                    }
                }
                MergeAction::Delete { .. } | MergeAction::DoNothing { .. } => {}
            }
        }
        self.returning(None, merge.output.as_ref(), &mut scope)
    }

    /// The target of MERGE: always an item of its own.
    pub(super) fn merge_target(&mut self, scope: &mut Scope<'_>, factor: &TableFactor) -> Target {
        let Some((written, name, alias)) = self.written_factor(factor) else { return self.written_item(scope, factor) };
        let target = match name {
            Some(name) => self.target(name),
            None => self.target_written(written),
        };
        let relation = self.target_relation(&target);
        let id = if let Target::Table(id) = target { Some(id) } else { None };
        let key = match (alias, name) {
            (Some(alias), _) => Some(self.names.fold_key(&alias.name)),
            (None, Some(name)) if id.is_none() => self.last_key(name),
            _ => None,
        };
        scope.items.push(FromItem::new(key, id, relation));
        target
    }

    /// SET * and INSERT *: every column of the target from the source's of the same name.
    pub(super) fn merge_all(&mut self, target: &Target, sources: &Rc<Relation>) {
        let Some(schema) = self.target_schema(target) else {
            self.derive_all(target, None, sources);
            return;
        };
        for name in schema {
            let found = match sources.find(self.names.key(name)) {
                super::relation::Found::Column(column) => Some(column.sources.clone()),
                super::relation::Found::Star(star) => Some(star.column(&mut self.names, name)),
                _ => None,
            };
            if let Some(sources) = found {
                self.derive(target, name, sources);
            }
        }
    }
}
