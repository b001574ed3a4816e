//! INSERT, UPDATE, DELETE and MERGE.

use std::rc::Rc;

use sqlparser::ast::{
    Assignment, AssignmentTarget, BinaryOperator, Delete, Expr, FromTable, Ident, Insert, Merge, MergeAction,
    MergeInsertKind, MergeUpdateKind, MultiTableInsertIntoClause, MultiTableInsertValue, ObjectName, ObjectNamePart,
    OnConflictAction, OnInsert, OutputClause, Query, SelectItem, Statement, TableAlias, TableFactor, TableObject,
    TableWithJoins, Update, UpdateTableFromKind,
};

use crate::sql::types::Transformation;

use super::Binder;
use super::names::{Sym, TableId, Written, is_identifier_function};
use super::relation::{Column, Item, Relation};
use super::scope::{FromItem, Scope};
use super::sources::{How, Sources};
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
    fn own_item(&mut self, target: &Target, alias: Option<&Ident>, table: &TableObject) -> FromItem {
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
    fn partitions(&mut self, exprs: &[Expr]) -> (Vec<Sym>, Vec<Sym>) {
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
    fn insert_many(&mut self, insert: &Insert, outer: Option<&Scope<'_>>) -> Rc<Relation> {
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

    fn insert_into(&mut self, clause: &MultiTableInsertIntoClause, relation: &Rc<Relation>, scope: &Scope<'_>) {
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

    /// The written column of an assignment: `t.col`, `col`, `col.field`.
    fn assigned(&mut self, name: &ObjectName, target: &Target, scope: &Scope<'_>) -> Option<(Target, Sym)> {
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
        Some((target.clone(), parts[usize::from(target_named)]))
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
                        self.wrote(&target);
                        self.derive(&target, column, sources);
                    }
                }
                AssignmentTarget::Tuple(names) => self.assign_tuple(names, &assignment.value, target, scope),
            }
        }
    }

    fn assign_tuple(&mut self, names: &[ObjectName], value: &Expr, target: &Target, scope: &Scope<'_>) {
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
    fn written_factor<'f>(
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
    fn written_item(&mut self, scope: &mut Scope<'_>, factor: &TableFactor) -> Target {
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
        if update.table.joins.is_empty() {
            self.wrote(&target);
        }
        self.know_assigned(&mut scope, &target, &update.assignments);
        let before = self.answer.columns.len();
        self.assign(&update.assignments, &target, &scope);
        if update.returning.is_some() || update.output.is_some() {
            self.show_assigned(&mut scope, &target, before);
        }
        if !update.table.joins.is_empty() && self.answer.outputs.is_empty() {
            self.wrote(&target);
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
    fn know_assigned(&mut self, scope: &mut Scope<'_>, target: &Target, assignments: &[Assignment]) {
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
    fn show_assigned(&mut self, scope: &mut Scope<'_>, target: &Target, before: usize) {
        let Target::Table(id) = *target else { return };
        let Some(item) = scope.items.iter_mut().find(|item| item.table == Some(id)) else { return };
        let mut items = item.relation.items.clone();
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

    fn target_tables(&mut self, target: &Target) -> Vec<TableId> {
        match target {
            Target::Table(id) => vec![*id],
            Target::Through(relation) => self.tables_behind(relation),
            Target::Temp(_) | Target::Nothing => Vec::new(),
        }
    }

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
    fn merge_target(&mut self, scope: &mut Scope<'_>, factor: &TableFactor) -> Target {
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
    fn merge_all(&mut self, target: &Target, sources: &Rc<Relation>) {
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

    /// RETURNING and OUTPUT … INTO.
    fn returning(
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

    fn output_into(&mut self, into: &sqlparser::ast::SelectInto, relation: &Rc<Relation>) {
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

    /// Keeps `How` in use for readers of this file: values of files are handed on as they are.
    pub(super) fn file_column(&mut self, file: TableId, name: Sym) -> Sources {
        let column = self.names.column(file, name);
        Sources::One(super::sources::Source::new(column, How::Identity))
    }
}
