//! INSERT, UPDATE, DELETE and MERGE.

use std::rc::Rc;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, ObjectName, ObjectNamePart, OutputClause, SelectItem,
    Statement, TableAlias, TableFactor, TableWithJoins, Update, UpdateTableFromKind,
};

use crate::sql::types::Transformation;

use super::Binder;
use super::names::{Sym, TableId, Written};
use super::relation::{Column, Item, Relation};
use super::scope::{FromItem, Scope};
use super::sources::Sources;
use super::write::Target;

impl Binder<'_> {
    /// A modification as a query: what its RETURNING yields.
    pub(super) fn modification(&mut self, statement: &Statement, outer: Option<&Scope<'_>>) -> Rc<Relation> {
        let want = std::mem::replace(&mut self.want_columns, true);
        let relation = match statement {
            Statement::Insert(insert) => self.insert(insert, outer),
            Statement::Update(update) => self.update(update, outer),
            Statement::Delete(delete) => self.delete(delete, outer),
            Statement::Merge(merge) => self.merge(merge, outer),
            _ => Rc::clone(&self.nothing),
        };
        self.want_columns = want;
        relation
    }

    /// The written column of an assignment: `t.col`, `col`, `col.field`.
    pub(super) fn assigned(&mut self, name: &ObjectName, target: &Target, scope: &Scope<'_>) -> Option<(Target, Sym)> {
        let mut parts: Vec<Sym> = Vec::with_capacity(name.0.len());
        for part in &name.0 {
            let ObjectNamePart::Identifier(ident) = part else { return None };
            parts.push(self.names.fold(ident));
        }
        if parts.len() > 1 {
            let keys: Vec<Sym> = parts.iter().map(|&part| self.names.key(part)).collect();
            if let Some((item, taken)) = self.qualified_item(scope, &keys) {
                // MySQL writes to any table of a join.
                let written = match (item.table, target) {
                    (Some(id), Target::Table(_) | Target::Nothing) => Target::Table(id),
                    _ => target.clone(),
                };
                return Some((written, parts[taken]));
            }
        }
        let target_named = match target {
            Target::Table(id) => {
                let name = &self.names.table_name(*id).parts;
                name.last().is_some_and(|last| parts.len() > 1 && last.eq_ignore_ascii_case(self.names.text(parts[0])))
            }
            _ => false,
        };
        let column = parts.get(usize::from(target_named)).copied()?;
        Some((target.clone(), column))
    }

    pub(super) fn assign(&mut self, assignments: &[Assignment], target: &Target, scope: &Scope<'_>) {
        for assignment in assignments {
            if self.is_exhausted() {
                return;
            }
            match &assignment.target {
                AssignmentTarget::ColumnName(name) => {
                    let sources = self.sources_of(&assignment.value, scope);
                    if let Some((target, column)) = self.assigned(name, target, scope) {
                        self.wrote_column(&target, column);
                        self.derive(&target, column, sources);
                    }
                }
                AssignmentTarget::Tuple(names) => self.assign_tuple(names, &assignment.value, target, scope),
            }
        }
    }

    pub(super) fn assign_tuple(&mut self, names: &[ObjectName], value: &Expr, target: &Target, scope: &Scope<'_>) {
        let sources: Vec<Sources> = match value {
            Expr::Tuple(list) => list.iter().map(|expr| self.sources_of(expr, scope)).collect(),
            Expr::Subquery(query) => {
                let relation = self.query(query, Some(scope));
                relation.columns().map(|column| column.sources.clone()).collect()
            }
            Expr::Nested(inner) => return self.assign_tuple(names, inner, target, scope),
            Expr::Function(function) => match &function.args {
                // ROW(a, b)
                sqlparser::ast::FunctionArguments::List(list) => list
                    .args
                    .iter()
                    .map(|arg| match arg {
                        sqlparser::ast::FunctionArg::Unnamed(sqlparser::ast::FunctionArgExpr::Expr(expr)) => {
                            self.sources_of(expr, scope)
                        }
                        _ => Sources::None,
                    })
                    .collect(),
                _ => Vec::new(),
            },
            other => vec![self.sources_of(other, scope)],
        };
        for (name, sources) in names.iter().zip(sources) {
            if let Some((target, column)) = self.assigned(name, target, scope) {
                self.wrote(&target);
                self.derive(&target, column, sources);
            }
        }
    }

    /// The name and alias of a written table.
    pub(super) fn written_factor<'f>(
        &mut self,
        factor: &'f TableFactor,
    ) -> Option<(Written, Option<&'f ObjectName>, Option<&'f TableAlias>)> {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let written = self.names.written(name);
                Some((written, Some(name), alias.as_ref()))
            }
            TableFactor::Table { name, alias, args: Some(args), .. } => match name.0.as_slice() {
                [ObjectNamePart::Identifier(ident)] => {
                    Some((self.names.identifier_function(ident, &args.args), None, alias.as_ref()))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Finds what a statement writes to, where the name may be an alias of one of the FROM items already in sight;
    /// otherwise puts it in sight.
    pub(super) fn written_item(&mut self, scope: &mut Scope<'_>, factor: &TableFactor) -> Target {
        let Some((written, name, alias)) = self.written_factor(factor) else {
            // A subquery or function is written through.
            let start = scope.items.len();
            let inputs = self.answer.inputs.len();
            self.factor(scope, factor, false);
            self.answer.inputs.truncate(inputs);
            return match scope.items.get(start) {
                Some(item) => Target::Through(Rc::clone(&item.relation)),
                None => Target::Nothing,
            };
        };
        if let (None, Some(ObjectName(parts))) = (alias, name)
            && let [ObjectNamePart::Identifier(ident)] = parts.as_slice()
        {
            let key = self.names.fold_key(ident);
            if let Some(item) = scope.aliased(key) {
                return match item.table {
                    Some(id) => {
                        self.answer.inputs.retain(|&input| input != id);
                        Target::Table(id)
                    }
                    None => match self.temporary_id(&[key]) {
                        Some(temp) => Target::Temp(temp),
                        None => Target::Through(Rc::clone(&item.relation)),
                    },
                };
            }
        }
        let target = match name {
            Some(name) => self.target(name),
            None => self.target_written(written),
        };
        if let Target::Table(id) = target {
            if alias.is_none() && scope.items.iter().any(|item| item.table == Some(id)) {
                self.answer.inputs.retain(|&input| input != id);
                return target;
            }
        } else if alias.is_none()
            && let Some(name) = name
        {
            let key = self.last_key(name);
            if key.is_some() && scope.items.iter().any(|item| item.alias == key) {
                return target;
            }
        }
        let relation = self.target_relation(&target);
        let id = if let Target::Table(id) = target { Some(id) } else { None };
        let key = match (alias, name) {
            (Some(alias), _) => Some(self.names.fold_key(&alias.name)),
            (None, Some(name)) if id.is_none() => self.last_key(name),
            _ => None,
        };
        scope.items.insert(0, FromItem::new(key, id, relation));
        target
    }

    pub(super) fn update(&mut self, update: &Update, outer: Option<&Scope<'_>>) -> Rc<Relation> {
        let mut scope = Scope::under(outer);
        let from: &[TableWithJoins] = match &update.from {
            Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) => from,
            None => &[],
        };
        for table in from {
            self.table_with_joins(&mut scope, table);
        }
        let start = scope.items.len();
        let target = self.written_item(&mut scope, &update.table.relation);
        for join in &update.table.joins {
            self.join(&mut scope, join, start);
        }
        let through = matches!(target, Target::Through(_));
        if update.table.joins.is_empty() && !through {
            self.wrote(&target);
        }
        self.know_assigned(&mut scope, &target, &update.assignments);
        let before = self.answer.columns.len();
        self.assign(&update.assignments, &target, &scope);
        if update.returning.is_some() || update.output.is_some() {
            self.show_assigned(&mut scope, &target, before);
        }
        if self.answer.outputs.is_empty() {
            self.wrote(&target);
        }
        if let Target::Through(relation) = &target {
            for table in self.tables_behind(relation) {
                if !self.answer.outputs.contains(&table) {
                    self.read(table);
                }
            }
        }
        if !update.table.joins.is_empty() {
            let outputs = self.answer.outputs.clone();
            self.answer.inputs.retain(|input| !outputs.contains(input));
        }
        if let Some(expr) = &update.selection {
            self.indirect(expr, &scope, Transformation::Filter);
        }
        self.returning(update.returning.as_deref(), update.output.as_ref(), &mut scope)
    }

    /// What SET assigns to is a column of the written table, even where its schema is not known.
    pub(super) fn know_assigned(&mut self, scope: &mut Scope<'_>, target: &Target, assignments: &[Assignment]) {
        let Target::Table(id) = *target else { return };
        let relation = self.table_relation(id);
        if relation.is_closed() {
            return;
        }
        let mut items: Vec<Item> = Vec::new();
        let mut keys = Vec::new();
        for assignment in assignments {
            let names = match &assignment.target {
                AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
                AssignmentTarget::Tuple(names) => names,
            };
            for name in names {
                if let Some((Target::Table(table), name)) = self.assigned(name, target, scope)
                    && table == id
                {
                    let column = self.names.column(id, name);
                    let key = self.names.key(name);
                    keys.push(key);
                    items.push(Item::Column(Column { name, key, sources: Sources::one(column) }));
                }
            }
        }
        for item in &relation.items {
            match item {
                Item::Star(star) => items.push(Item::Star(star.without(&keys))),
                Item::Column(column) => items.push(Item::Column(column.clone())),
            }
        }
        let known = Rc::new(Relation::new(items));
        for item in scope.items.iter_mut().filter(|item| item.table == Some(id)) {
            item.relation = Rc::clone(&known);
        }
    }

    /// RETURNING shows the values as assigned.
    pub(super) fn show_assigned(&mut self, scope: &mut Scope<'_>, target: &Target, before: usize) {
        let Target::Table(id) = *target else { return };
        let Some(item) = scope.items.iter_mut().find(|item| item.table == Some(id)) else { return };
        let mut items = item.relation.items.clone();
        let work = items.len().saturating_mul(self.answer.columns.len() - before);
        if work > 1 << 22 {
            self.answer.exhausted = true;
            return;
        }
        for derived in self.answer.columns.iter().skip(before).filter(|derived| derived.table == Some(id)) {
            let key = self.names.key(derived.column);
            for item in &mut items {
                if let Item::Column(column) = item
                    && column.key == key
                {
                    column.sources = derived.sources.clone();
                }
            }
        }
        item.relation = Rc::new(Relation::new(items));
    }

    pub(super) fn delete(&mut self, delete: &Delete, outer: Option<&Scope<'_>>) -> Rc<Relation> {
        let mut scope = Scope::under(outer);
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        for table in delete.using.iter().flatten() {
            self.table_with_joins(&mut scope, table);
        }
        let mut targets: Vec<TableId> = Vec::new();
        if delete.tables.is_empty() {
            for table in from {
                let start = scope.items.len();
                let target = self.written_item(&mut scope, &table.relation);
                targets.extend(self.target_tables(&target));
                for join in &table.joins {
                    self.join(&mut scope, join, start);
                }
            }
        } else {
            for table in from {
                self.table_with_joins(&mut scope, table);
            }
            for name in &delete.tables {
                let Some(key) = self.last_key(name) else { continue };
                match self.qualified_item(&scope, &[key, key]) {
                    Some((item, _)) => match item.table {
                        Some(id) => targets.push(id),
                        None => {
                            let relation = Rc::clone(&item.relation);
                            if self.temporary_id(&[key]).is_none() {
                                targets.extend(self.tables_behind(&relation));
                            }
                        }
                    },
                    None => {
                        let target = self.target(name);
                        targets.extend(self.target_tables(&target));
                    }
                }
            }
            self.answer.inputs.retain(|input| !targets.contains(input));
        }
        if delete.returning.as_ref().is_some_and(|items| !items.is_empty()) || delete.output.is_some() {
            // The deleted rows are handed on.
            for &table in &targets {
                self.read(table);
            }
        }
        self.answer.subjects.extend(targets);
        if let Some(expr) = &delete.selection {
            self.indirect(expr, &scope, Transformation::Filter);
        }
        self.returning(delete.returning.as_deref(), delete.output.as_ref(), &mut scope)
    }

    pub(super) fn target_tables(&mut self, target: &Target) -> Vec<TableId> {
        match target {
            Target::Table(id) => vec![*id],
            Target::Through(relation) => self.tables_behind(relation),
            Target::Temp(_) | Target::Nothing => Vec::new(),
        }
    }

    /// RETURNING and OUTPUT … INTO.
    pub(super) fn returning(
        &mut self,
        returning: Option<&[SelectItem]>,
        output: Option<&OutputClause>,
        scope: &mut Scope<'_>,
    ) -> Rc<Relation> {
        let mut items = Vec::new();
        for item in returning.unwrap_or_default() {
            self.select_item(item, scope, &mut items);
        }
        match output {
            None => {}
            Some(OutputClause::Returning { select_items, .. }) => {
                for item in select_items {
                    self.select_item(item, scope, &mut items);
                }
            }
            Some(OutputClause::Output { select_items, into_table, .. }) => {
                // INSERTED and DELETED are the written table's rows.
                let mut visible = Vec::new();
                self.all_columns(scope, &mut visible);
                let whole = Rc::new(Relation::new(visible));
                for name in ["inserted", "deleted"] {
                    let key = self.names.intern(name);
                    let relation =
                        scope.items.first().map_or_else(|| Rc::clone(&whole), |item| Rc::clone(&item.relation));
                    let table = scope.items.first().and_then(|item| item.table);
                    let mut item = FromItem::new(Some(key), table, relation);
                    item.visible = false;
                    scope.items.push(item);
                }
                for item in select_items {
                    self.select_item(item, scope, &mut items);
                }
                if let Some(into) = into_table {
                    let relation = Rc::new(Relation::new(items.clone()));
                    self.output_into(into, &relation);
                }
            }
        }
        if items.is_empty() { Rc::clone(&self.nothing) } else { Rc::new(Relation::new(items)) }
    }

    pub(super) fn output_into(&mut self, into: &sqlparser::ast::SelectInto, relation: &Rc<Relation>) {
        for target in &into.targets {
            let (name, columns) = match target {
                Expr::Identifier(ident) => (ObjectName::from(ident.clone()), Vec::new()),
                Expr::CompoundIdentifier(idents) => (ObjectName::from(idents.clone()), Vec::new()),
                Expr::Function(function) => {
                    let mut columns = Vec::new();
                    if let sqlparser::ast::FunctionArguments::List(list) = &function.args {
                        for arg in &list.args {
                            if let sqlparser::ast::FunctionArg::Unnamed(sqlparser::ast::FunctionArgExpr::Expr(expr)) =
                                arg
                            {
                                columns.extend(self.implied_name(expr));
                            }
                        }
                    }
                    (function.name.clone(), columns)
                }
                _ => continue,
            };
            let target = self.target(&name);
            self.wrote(&target);
            let names = if columns.is_empty() { self.target_schema(&target) } else { Some(columns) };
            self.derive_all(&target, names.as_deref(), relation);
        }
    }
}
