//! PIVOT and UNPIVOT.

use std::rc::Rc;

use sqlparser::ast::{
    Expr, ExprWithAlias, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, PivotValueSource, Value,
};

use crate::sql::types::{Dialect, Transformation};

use super::Binder;
use super::names::Sym;
use super::relation::{Column, Found, Item, Relation, Star};
use super::scope::{FromItem, Scope};
use super::sources::{Gathered, How, Sources};
use super::stars::without;

impl Binder<'_> {
    pub(super) fn pivot(
        &mut self,
        scope: &Scope<'_>,
        input: &Rc<Relation>,
        aggregates: &[ExprWithAlias],
        value_columns: &[Expr],
        source: &PivotValueSource,
    ) -> Rc<Relation> {
        let inner = Scope::of(Some(scope), FromItem::new(None, None, Rc::clone(input)));
        let mut used: Vec<Sym> = Vec::new();
        let mut made: Vec<(Option<Sym>, Sources)> = Vec::new();
        for aggregate in aggregates {
            let sources = self.value_of(&aggregate.expr, &inner);
            self.columns_in(&aggregate.expr, &mut used);
            let alias = aggregate.alias.as_ref().map(|alias| self.names.fold(alias));
            made.push((alias, sources));
        }
        for column in value_columns {
            self.columns_in(column, &mut used);
            self.indirect(column, &inner, Transformation::GroupBy);
        }
        let mut items: Vec<Item> = input.items.clone();
        without(&mut items, 0, &used);
        let values: Vec<String> = match source {
            PivotValueSource::List(list) => list.iter().map(|value| self.pivot_name(value)).collect(),
            PivotValueSource::Any(_) => Vec::new(),
            PivotValueSource::Subquery(query) => {
                self.query(query, Some(&inner));
                Vec::new()
            }
        };
        if matches!(source, PivotValueSource::List(_)) {
            self.step(values.len().saturating_mul(made.len()));
            if self.is_exhausted() {
                return Rc::clone(input);
            }
            for value in &values {
                for (alias, sources) in &made {
                    let name = match alias {
                        None => value.clone(),
                        Some(alias) => {
                            let alias = self.names.text(*alias);
                            if self.dialect == Dialect::BigQuery {
                                format!("{alias}_{value}")
                            } else if made.len() == 1
                                && matches!(self.dialect, Dialect::Spark | Dialect::Databricks | Dialect::Redshift)
                            {
                                value.clone()
                            } else {
                                format!("{value}_{alias}")
                            }
                        }
                    };
                    let name = self.names.intern(&name);
                    items.push(Item::Column(Column { name, key: self.names.key(name), sources: sources.clone() }));
                }
            }
        } else {
            let mut all = Gathered::default();
            for (_, sources) in &made {
                all.add(sources, How::Identity);
            }
            items.push(Item::Star(Star { value: all.finish(), ..Star::default() }));
        }
        Rc::new(Relation::new(items))
    }

    /// The name of the column that a pivoted value becomes.
    pub(super) fn pivot_name(&mut self, value: &ExprWithAlias) -> String {
        if let Some(alias) = &value.alias {
            let name = self.names.fold(alias);
            return self.names.text(name).to_string();
        }
        match &value.expr {
            Expr::Identifier(ident) => {
                let name = self.names.fold(ident);
                self.names.text(name).to_string()
            }
            Expr::Value(literal) => match &literal.value {
                Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => match self.dialect {
                    Dialect::Snowflake | Dialect::Oracle => format!("'{text}'"),
                    _ => text.clone(),
                },
                other => match self.dialect {
                    Dialect::BigQuery => format!("_{other}"),
                    _ => other.to_string(),
                },
            },
            other => other.to_string(),
        }
    }

    /// Keys of the columns that stand in an expression, for those that PIVOT uses up.
    pub(super) fn columns_in(&mut self, expr: &Expr, used: &mut Vec<Sym>) {
        match expr {
            Expr::Identifier(ident) => used.push(self.names.fold_key(ident)),
            Expr::CompoundIdentifier(idents) => {
                if let Some(last) = idents.last() {
                    used.push(self.names.fold_key(last));
                }
            }
            Expr::Nested(inner) | Expr::Cast { expr: inner, .. } | Expr::UnaryOp { expr: inner, .. } => {
                self.columns_in(inner, used)
            }
            Expr::BinaryOp { left, right, .. } if self.enter() => {
                self.columns_in(left, used);
                self.columns_in(right, used);
                self.leave();
            }
            Expr::Tuple(list) => {
                for expr in list {
                    self.columns_in(expr, used);
                }
            }
            Expr::Function(function) => {
                if let FunctionArguments::List(list) = &function.args {
                    for arg in &list.args {
                        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg {
                            self.columns_in(expr, used);
                        }
                    }
                }
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                for expr in operand.iter().chain(else_result) {
                    self.columns_in(expr, used);
                }
                for when in conditions {
                    self.columns_in(&when.condition, used);
                    self.columns_in(&when.result, used);
                }
            }
            _ => {}
        }
    }

    /// Rows out of columns: the value columns and the column of names are made of all the columns turned.
    pub(super) fn unpivot(
        &mut self,
        input: &Rc<Relation>,
        values: &[Ident],
        name: &Ident,
        groups: &[&Expr],
    ) -> Rc<Relation> {
        let width = values.len().max(1);
        let mut gathered: Vec<Gathered> = (0..width).map(|_| Gathered::default()).collect();
        let mut all = Gathered::default();
        let mut used: Vec<Sym> = Vec::new();
        for group in groups {
            let parts: &[Expr] = match group {
                Expr::Tuple(list) => list,
                other => std::slice::from_ref(*other),
            };
            for (nth, part) in parts.iter().enumerate() {
                let part = if let Expr::Nested(inner) = part { inner } else { part };
                let Some(column) = self.implied_name(part) else { continue };
                let key = self.names.key(column);
                used.push(key);
                let sources = match input.find(key) {
                    Found::Column(column) => column.sources.clone(),
                    Found::Star(star) => star.column(&mut self.names, column),
                    Found::Ambiguous | Found::Nothing => continue,
                };
                gathered[nth.min(width - 1)].add(&sources, How::Identity);
                all.add(&sources, How::Conditional);
            }
        }
        let mut items = input.items.clone();
        without(&mut items, 0, &used);
        let item = self.made_column(name, all.finish());
        items.push(item);
        for (value, sources) in values.iter().zip(gathered) {
            let item = self.made_column(value, sources.finish());
            items.push(item);
        }
        Rc::new(Relation::new(items))
    }
}
