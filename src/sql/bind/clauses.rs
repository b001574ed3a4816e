//! The clauses of a SELECT that decide about rows: no values, but columns and tables.

use std::rc::Rc;

use sqlparser::ast::{
    ConnectByKind, Distinct, Expr, GroupByExpr, GroupByWithModifier, OrderBy, OrderByKind, Select, Value,
};

use crate::sql::types::Transformation;

use super::Binder;
use super::relation::Relation;
use super::scope::Scope;
use super::sources::{Gathered, How, Sources};

impl Binder<'_> {
    /// WHERE, GROUP BY and the like: no values, but their columns and the tables of their subqueries.
    pub(super) fn select_clauses(
        &mut self,
        select: &Select,
        scope: &Scope<'_>,
        relation: &Rc<Relation>,
        order_by: Option<&OrderBy>,
    ) {
        for expr in select.selection.iter().chain(&select.prewhere) {
            self.indirect(expr, scope, Transformation::Filter);
        }
        for expr in select.having.iter().chain(&select.qualify) {
            self.indirect(expr, scope, Transformation::Filter);
        }
        for connect in &select.connect_by {
            match connect {
                ConnectByKind::ConnectBy { relationships, .. } => {
                    for expr in relationships {
                        self.indirect(expr, scope, Transformation::Join);
                    }
                }
                ConnectByKind::StartWith { condition, .. } => self.indirect(condition, scope, Transformation::Filter),
            }
        }
        match &select.group_by {
            GroupByExpr::All(_) => {}
            GroupByExpr::Expressions(list, modifiers) => {
                for expr in list {
                    self.position_or_expr(expr, relation, scope, Transformation::GroupBy);
                }
                for modifier in modifiers {
                    if let GroupByWithModifier::GroupingSets(expr) = modifier {
                        self.indirect(expr, scope, Transformation::GroupBy);
                    }
                }
            }
        }
        if let Some(Distinct::On(list)) = &select.distinct {
            for expr in list {
                self.position_or_expr(expr, relation, scope, Transformation::GroupBy);
            }
        }
        for expr in select.cluster_by.iter().chain(&select.distribute_by) {
            self.indirect(expr, scope, Transformation::Sort);
        }
        for by in &select.sort_by {
            self.indirect(&by.expr, scope, Transformation::Sort);
        }
        if let Some(OrderBy { kind: OrderByKind::Expressions(list), .. }) = order_by {
            for by in list {
                self.position_or_expr(&by.expr, relation, scope, Transformation::Sort);
            }
        }
    }

    /// `GROUP BY 2` means an item of the select list.
    pub(super) fn position_or_expr(
        &mut self,
        expr: &Expr,
        relation: &Rc<Relation>,
        scope: &Scope<'_>,
        how: Transformation,
    ) {
        if let Expr::Value(value) = expr
            && let Value::Number(number, _) = &value.value
        {
            if let Some(column) =
                number.to_string().parse::<usize>().ok().and_then(|nth| relation.at(nth.checked_sub(1)?))
            {
                let sources = column.sources.clone();
                self.use_indirectly(&sources, how);
            }
            return;
        }
        self.indirect(expr, scope, how);
    }

    /// An expression that decides about rows.
    pub(super) fn indirect(&mut self, expr: &Expr, scope: &Scope<'_>, how: Transformation) {
        if self.options.usage && self.want_columns {
            let mut out = Gathered::default();
            self.expr(expr, scope, How::Transformation, &mut out);
            let sources = out.finish();
            self.use_indirectly(&sources, how);
            if matches!(how, Transformation::Join | Transformation::Filter) {
                self.equated(expr, scope);
            }
        } else {
            let before = std::mem::replace(&mut self.want_columns, false);
            self.expr(expr, scope, How::Skip, &mut Gathered::default());
            self.want_columns = before;
        }
    }

    pub(super) fn use_indirectly(&mut self, sources: &Sources, how: Transformation) {
        if self.options.usage {
            self.answer.indirect.extend(sources.as_slice().iter().map(|source| (source.column(), how)));
        }
    }
}
