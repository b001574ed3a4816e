//! Pipe syntax: each operator works on what the one before left in sight.

use std::rc::Rc;

use sqlparser::ast::{Expr, ExprWithAliasAndOrderBy, PipeOperator, SelectItem, SetOperator, SetQuantifier};

use crate::sql::types::Transformation;

use super::Binder;
use super::names::Sym;
use super::relation::{Column, Item, Relation};
use super::scope::{FromItem, Scope};
use super::stars::without;

impl Binder<'_> {
    /// What the last operator leaves of `scope`.
    pub(super) fn pipes(&mut self, mut scope: Scope<'_>, operators: &[PipeOperator]) -> Rc<Relation> {
        for operator in operators {
            if self.is_exhausted() {
                break;
            }
            self.pipe(&mut scope, operator);
        }
        self.whole(&scope)
    }

    /// All that is in sight, as one relation.
    fn whole(&mut self, scope: &Scope<'_>) -> Rc<Relation> {
        if let [only] = scope.items.as_slice()
            && scope.merged.is_empty()
        {
            return Rc::clone(&only.relation);
        }
        let mut items = Vec::new();
        self.all_columns(scope, &mut items);
        Rc::new(Relation::new(items))
    }

    /// Leaves only these columns in sight.
    fn becomes(scope: &mut Scope<'_>, alias: Option<Sym>, relation: Rc<Relation>) {
        scope.items.clear();
        scope.merged.clear();
        scope.aliases.clear();
        scope.items.push(FromItem::new(alias, None, relation));
    }

    /// The columns in sight, changed.
    fn changed(&mut self, scope: &mut Scope<'_>, change: impl FnOnce(&mut Self, &Scope<'_>, &mut Vec<Item>)) {
        let alias = if let [only] = scope.items.as_slice() { only.alias } else { None };
        let mut items = self.whole(scope).items.clone();
        change(self, scope, &mut items);
        Self::becomes(scope, alias, Rc::new(Relation::new(items)));
    }

    fn pipe(&mut self, scope: &mut Scope<'_>, operator: &PipeOperator) {
        match operator {
            PipeOperator::Where { expr } => self.indirect(expr, scope, Transformation::Filter),
            PipeOperator::OrderBy { exprs } => {
                for by in exprs {
                    self.indirect(&by.expr, scope, Transformation::Sort);
                }
            }
            PipeOperator::Select { exprs } => {
                let mut items = Vec::new();
                self.pipe_items(exprs, scope, &mut items);
                Self::becomes(scope, None, Rc::new(Relation::new(items)));
            }
            PipeOperator::Extend { exprs } => {
                let mut items = Vec::new();
                self.pipe_items(exprs, scope, &mut items);
                scope.aliases.clear();
                scope.items.push(FromItem::new(None, None, Rc::new(Relation::new(items))));
            }
            PipeOperator::Set { assignments } => self.changed(scope, |binder, scope, items| {
                for assignment in assignments {
                    let sources = binder.sources_of(&assignment.value, scope);
                    if let sqlparser::ast::AssignmentTarget::ColumnName(name) = &assignment.target
                        && let Some(name) = binder.last_name(name)
                    {
                        binder.set_column(items, 0, name, name, sources);
                    }
                }
            }),
            PipeOperator::Drop { columns } => self.changed(scope, |binder, _, items| {
                let keys: Vec<Sym> = columns.iter().map(|column| binder.names.fold_key(column)).collect();
                without(items, 0, &keys);
            }),
            PipeOperator::Rename { mappings } => self.changed(scope, |binder, scope, items| {
                for mapping in mappings {
                    let old = binder.names.fold(&mapping.ident);
                    let new = binder.names.fold(&mapping.alias);
                    if let Some(sources) = binder.lookup(scope, old) {
                        binder.set_column(items, 0, old, new, sources);
                    }
                }
            }),
            PipeOperator::As { alias } => {
                let relation = self.whole(scope);
                let alias = self.names.fold_key(alias);
                Self::becomes(scope, Some(alias), relation);
            }
            PipeOperator::Aggregate { full_table_exprs, group_by_expr } => {
                let mut items = Vec::new();
                self.aggregated(group_by_expr, true, scope, &mut items);
                self.aggregated(full_table_exprs, false, scope, &mut items);
                Self::becomes(scope, None, Rc::new(Relation::new(items)));
            }
            PipeOperator::Union { set_quantifier, queries } => {
                self.pipe_set(scope, SetOperator::Union, *set_quantifier, queries);
            }
            PipeOperator::Intersect { set_quantifier, queries } => {
                self.pipe_set(scope, SetOperator::Intersect, *set_quantifier, queries);
            }
            PipeOperator::Except { set_quantifier, queries } => {
                self.pipe_set(scope, SetOperator::Except, *set_quantifier, queries);
            }
            PipeOperator::Join(join) => self.join(scope, join, 0),
            PipeOperator::Pivot { aggregate_functions, value_column, value_source, alias } => {
                let columns: Vec<Expr> = value_column.iter().map(|ident| Expr::Identifier(ident.clone())).collect();
                let relation = self.whole(scope);
                let relation = self.pivot(scope, &relation, aggregate_functions, &columns, value_source);
                let alias = alias.as_ref().map(|alias| self.names.fold_key(alias));
                Self::becomes(scope, alias, relation);
            }
            PipeOperator::Unpivot { value_column, name_column, unpivot_columns, alias } => {
                let columns: Vec<Expr> = unpivot_columns.iter().map(|ident| Expr::Identifier(ident.clone())).collect();
                let groups: Vec<&Expr> = columns.iter().collect();
                let relation = self.whole(scope);
                let relation = self.unpivot(&relation, std::slice::from_ref(value_column), name_column, &groups);
                let alias = alias.as_ref().map(|alias| self.names.fold_key(alias));
                Self::becomes(scope, alias, relation);
            }
            PipeOperator::Call { alias, .. } => {
                self.note("a table function in a pipe");
                let alias = alias.as_ref().map(|alias| self.names.fold_key(alias));
                Self::becomes(scope, alias, Rc::new(Relation::weak(super::sources::Sources::None)));
            }
            PipeOperator::Limit { .. } | PipeOperator::TableSample { .. } => {}
        }
    }

    fn pipe_items(&mut self, exprs: &[SelectItem], scope: &mut Scope<'_>, items: &mut Vec<Item>) {
        for item in exprs {
            self.select_item(item, scope, items);
        }
    }

    fn aggregated(
        &mut self,
        list: &[ExprWithAliasAndOrderBy],
        grouped: bool,
        scope: &Scope<'_>,
        items: &mut Vec<Item>,
    ) {
        for item in list {
            let expr = &item.expr.expr;
            let sources = self.sources_of(expr, scope);
            if grouped {
                self.use_indirectly(&sources, Transformation::GroupBy);
            }
            let name = match &item.expr.alias {
                Some(alias) => self.names.fold(alias),
                None => match self.implied_name(expr) {
                    Some(name) => name,
                    None => self.generated_name(),
                },
            };
            items.push(Item::Column(Column { name, key: self.names.key(name), sources }));
        }
    }

    fn pipe_set(
        &mut self,
        scope: &mut Scope<'_>,
        op: SetOperator,
        quantifier: SetQuantifier,
        queries: &[sqlparser::ast::Query],
    ) {
        let mut relation = self.whole(scope);
        for query in queries {
            let right = self.query(query, scope.parent);
            relation = self.combined(&relation, &right, op, quantifier);
        }
        Self::becomes(scope, None, relation);
    }
}
