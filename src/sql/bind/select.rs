//! One SELECT: its FROM, its select list with stars, and the clauses that decide about rows.

use std::rc::Rc;

use smallvec::SmallVec;
use sqlparser::ast::{
    Expr, JoinOperator, NamedWindowExpr, ObjectName, ObjectNamePart, OrderBy, Select, SelectFlavor, SelectItem,
    SelectItemQualifiedWildcardKind,
};

use crate::sql::types::Dialect;

use super::Binder;
use super::names::Sym;
use super::relation::{Column, Item, Relation};
use super::scope::Scope;
use super::sources::{Gathered, How};
use super::stars::{no_options, struct_star, without};

impl Binder<'_> {
    pub(super) fn select(
        &mut self,
        select: &Select,
        outer: Option<&Scope<'_>>,
        order_by: Option<&OrderBy>,
    ) -> Rc<Relation> {
        if !self.enter() {
            return Rc::clone(&self.nothing);
        }
        let mut scope = Scope::under(outer);
        scope.lateral = self.options.lateral_column_alias.unwrap_or(matches!(
            self.dialect,
            Dialect::Snowflake
                | Dialect::Redshift
                | Dialect::Databricks
                | Dialect::Spark
                | Dialect::DuckDb
                | Dialect::ClickHouse
                | Dialect::Teradata
        ));
        let mut arrays = false;
        for table in &select.from {
            if arrays && table.joins.is_empty() {
                // The next array of ARRAY JOIN a, b.
                self.array_join(&mut scope, &table.relation);
                continue;
            }
            self.table_with_joins(&mut scope, table);
            arrays = matches!(
                table.joins.last().map(|join| &join.join_operator),
                Some(JoinOperator::ArrayJoin | JoinOperator::LeftArrayJoin | JoinOperator::InnerArrayJoin)
            );
        }
        for view in &select.lateral_views {
            self.lateral_view(&mut scope, view);
        }
        for named in &select.named_window {
            let key = self.names.fold_key(&named.0);
            let mut out = Gathered::default();
            match &named.1 {
                NamedWindowExpr::NamedWindow(other) => {
                    let other = self.names.fold_key(other);
                    if let Some((_, sources)) = scope.windows.iter().find(|(window, _)| *window == other) {
                        out.add(sources, How::Window);
                    }
                }
                NamedWindowExpr::WindowSpec(spec) => {
                    let how = if self.want_columns { How::Window } else { How::Skip };
                    self.window_spec(spec, &scope, how, &mut out);
                }
            }
            scope.windows.push((key, out.finish()));
        }
        let relation = self.select_list(select, &mut scope);
        self.select_clauses(select, &scope, &relation, order_by);
        if let Some(into) = &select.into {
            self.select_into(into, &relation);
        }
        self.leave();
        relation
    }

    pub(super) fn select_list(&mut self, select: &Select, scope: &mut Scope<'_>) -> Rc<Relation> {
        let from_only = select.projection.is_empty() && select.flavor == SelectFlavor::FromFirstNoSelect;
        // `SELECT *` over one derived table hands it on as it is.
        if let [SelectItem::Wildcard(options)] = select.projection.as_slice()
            && let [only] = scope.items.as_slice()
            && scope.merged.is_empty()
            && no_options(options)
            && select.exclude.is_none()
        {
            return Rc::clone(&only.relation);
        }
        let mut items: Vec<Item> = Vec::with_capacity(select.projection.len());
        if from_only {
            self.all_columns(scope, &mut items);
        }
        for item in &select.projection {
            if self.is_exhausted() {
                break;
            }
            self.select_item(item, scope, &mut items);
        }
        if let Some(exclude) = &select.exclude {
            let keys = self.excluded(exclude);
            without(&mut items, 0, &keys);
        }
        Rc::new(Relation::new(items))
    }

    /// Adds what one item of a select list yields.
    pub(super) fn select_item(&mut self, item: &SelectItem, scope: &mut Scope<'_>, items: &mut Vec<Item>) {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                if !self.want_columns {
                    self.expr(expr, scope, How::Skip, &mut Gathered::default());
                    return;
                }
                if self.assigned_variable(expr, scope) || self.columns_call(expr, None, scope, items) {
                    return;
                }
                if let Some((root, path)) = struct_star(expr) {
                    self.struct_columns(root, path, scope, items);
                    return;
                }
                let sources = self.sources_of(expr, scope);
                let positional = match expr {
                    Expr::Identifier(ident) => self.positional_name(scope, std::slice::from_ref(ident)),
                    Expr::CompoundIdentifier(idents) => self.positional_name(scope, idents),
                    _ => None,
                };
                let name = match positional.or_else(|| self.implied_name(expr)) {
                    Some(name) => name,
                    None => self.generated_name(),
                };
                items.push(Item::Column(Column { name, key: self.names.key(name), sources }));
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                if !self.want_columns {
                    self.expr(expr, scope, How::Skip, &mut Gathered::default());
                    return;
                }
                let name = self.names.fold(alias);
                if alias.value.starts_with('@') && alias.quote_style.is_none() {
                    // T-SQL: an assignment to a variable, not a column.
                    self.expr(expr, scope, How::Skip, &mut Gathered::default());
                    return;
                }
                if self.columns_call(expr, Some(name), scope, items) {
                    return;
                }
                let sources = self.sources_of(expr, scope);
                let key = self.names.key(name);
                scope.aliases.insert(key, sources.clone());
                items.push(Item::Column(Column { name, key, sources }));
            }
            SelectItem::ExprWithAliases { expr, aliases } => {
                let mut out = Gathered::default();
                let how = if self.want_columns { How::Transformation } else { How::Skip };
                self.expr(expr, scope, how, &mut out);
                let sources = out.finish();
                for alias in aliases {
                    let name = self.names.fold(alias);
                    let key = self.names.key(name);
                    scope.aliases.insert(key, sources.clone());
                    items.push(Item::Column(Column { name, key, sources: sources.clone() }));
                }
            }
            SelectItem::Wildcard(options) => {
                let start = items.len();
                self.all_columns(scope, items);
                self.star_options(options, scope, items, start);
            }
            SelectItem::QualifiedWildcard(kind, options) => {
                let start = items.len();
                match kind {
                    SelectItemQualifiedWildcardKind::ObjectName(name) => self.qualified_columns(name, scope, items),
                    SelectItemQualifiedWildcardKind::Expr(expr) => self.struct_columns(expr, &[], scope, items),
                }
                self.star_options(options, scope, items, start);
            }
        }
    }

    /// `SELECT @x = …`: nothing that a result would hold.
    pub(super) fn assigned_variable(&mut self, expr: &Expr, scope: &Scope<'_>) -> bool {
        let Expr::BinaryOp { left, right, .. } = expr else { return false };
        let Expr::Identifier(ident) = &**left else { return false };
        if self.dialect != Dialect::TSql || !ident.value.starts_with('@') {
            return false;
        }
        self.expr(right, scope, How::Skip, &mut Gathered::default());
        true
    }

    /// `*`: merged columns first, then those of each item.
    pub(super) fn all_columns(&mut self, scope: &Scope<'_>, items: &mut Vec<Item>) {
        if !self.want_columns {
            return;
        }
        for merged in &scope.merged {
            let sources = merged.sources.clone();
            items.push(Item::Column(Column { name: merged.name, key: merged.key, sources }));
        }
        for from in scope.items.iter().filter(|item| item.visible) {
            self.step(from.relation.items.len());
            if self.is_exhausted() {
                return;
            }
            for item in &from.relation.items {
                match item {
                    Item::Column(column) if from.merged.contains(&column.key) => {}
                    Item::Column(column) => items.push(Item::Column(column.clone())),
                    Item::Star(star) => items.push(Item::Star(star.without(&from.merged))),
                }
            }
        }
    }

    /// `t.*`, or the fields of a column of that name.
    pub(super) fn qualified_columns(&mut self, name: &ObjectName, scope: &Scope<'_>, items: &mut Vec<Item>) {
        if !self.want_columns {
            return;
        }
        let idents: Vec<_> = name
            .0
            .iter()
            .filter_map(|part| match part {
                ObjectNamePart::Identifier(ident) => Some(ident.clone()),
                ObjectNamePart::Function(_) => None,
            })
            .collect();
        let mut keys: SmallVec<[Sym; 4]> = idents.iter().map(|ident| self.names.fold_key(ident)).collect();
        let Some(&last) = keys.last() else { return };
        keys.push(last);
        let mut level = Some(scope);
        while let Some(at) = level {
            if let Some((item, taken)) = self.qualified_item(at, &keys)
                && taken == keys.len() - 1
            {
                let relation = Rc::clone(&item.relation);
                self.step(relation.items.len());
                items.extend(relation.items.iter().cloned());
                return;
            }
            level = at.parent;
        }
        if let [only, _] = keys.as_slice()
            && let Some(relation) = self.row(*only)
        {
            self.step(relation.items.len());
            items.extend(relation.items.iter().cloned());
            return;
        }
        let expr = match idents.as_slice() {
            [] => return,
            [one] => Expr::Identifier(one.clone()),
            _ => Expr::CompoundIdentifier(idents),
        };
        self.struct_columns(&expr, &[], scope, items);
    }

    /// Key of the last part of a name.
    pub(super) fn last_key(&mut self, name: &ObjectName) -> Option<Sym> {
        let sym = self.last_name(name)?;
        Some(self.names.key(sym))
    }

    pub(super) fn last_name(&mut self, name: &ObjectName) -> Option<Sym> {
        match name.0.last() {
            Some(ObjectNamePart::Identifier(ident)) => Some(self.names.fold(ident)),
            _ => None,
        }
    }
}
