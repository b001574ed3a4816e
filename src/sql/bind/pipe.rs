//! Pipe syntax: each operator makes a relation of the one before.

use std::rc::Rc;

use sqlparser::ast::{PipeOperator, SelectItem, SetOperator};

use crate::sql::types::Transformation;

use super::Binder;
use super::names::Sym;
use super::relation::{Column, Item, Relation};
use super::scope::{FromItem, Scope};
use super::select::without;

impl Binder<'_> {
    pub(super) fn pipes(
        &mut self,
        start: Rc<Relation>,
        operators: &[PipeOperator],
        outer: Option<&Scope<'_>>,
    ) -> Rc<Relation> {
        let mut relation = start;
        let mut alias: Option<Sym> = None;
        for operator in operators {
            if self.is_exhausted() {
                break;
            }
            let mut scope = Scope::of(outer, FromItem::new(alias, None, Rc::clone(&relation)));
            match operator {
                PipeOperator::Where { expr } => self.indirect(expr, &scope, Transformation::Filter),
                PipeOperator::OrderBy { exprs } => {
                    for by in exprs {
                        self.indirect(&by.expr, &scope, Transformation::Sort);
                    }
                }
                PipeOperator::Select { exprs } => {
                    let mut items = Vec::new();
                    for item in exprs {
                        self.select_item(item, &mut scope, &mut items);
                    }
                    relation = Rc::new(Relation::new(items));
                }
                PipeOperator::Extend { exprs } => {
                    let mut items = relation.items.clone();
                    self.extend(exprs, &mut scope, &mut items);
                    relation = Rc::new(Relation::new(items));
                }
                PipeOperator::Set { assignments } => {
                    let mut items = relation.items.clone();
                    for assignment in assignments {
                        let sources = self.sources_of(&assignment.value, &scope);
                        if let sqlparser::ast::AssignmentTarget::ColumnName(name) = &assignment.target
                            && let Some(name) = self.last_name(name)
                        {
                            self.set_column(&mut items, 0, name, name, sources);
                        }
                    }
                    relation = Rc::new(Relation::new(items));
                }
                PipeOperator::Drop { columns } => {
                    let keys: Vec<Sym> = columns.iter().map(|column| self.names.fold_key(column)).collect();
                    let mut items = relation.items.clone();
                    without(&mut items, 0, &keys);
                    relation = Rc::new(Relation::new(items));
                }
                PipeOperator::Rename { mappings } => {
                    let mut items = relation.items.clone();
                    for mapping in mappings {
                        let old = self.names.fold(&mapping.ident);
                        let new = self.names.fold(&mapping.alias);
                        if let Some(sources) = self.lookup(&scope, old) {
                            self.set_column(&mut items, 0, old, new, sources);
                        }
                    }
                    relation = Rc::new(Relation::new(items));
                }
                PipeOperator::As { alias: name } => alias = Some(self.names.fold_key(name)),
                PipeOperator::Aggregate { full_table_exprs, group_by_expr } => {
                    let mut items = Vec::new();
                    for (grouped, list) in [(true, group_by_expr), (false, full_table_exprs)] {
                        for item in list {
                            let expr = &item.expr.expr;
                            let sources = self.sources_of(expr, &scope);
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
                    relation = Rc::new(Relation::new(items));
                    alias = None;
                }
                PipeOperator::Union { set_quantifier, queries } => {
                    for query in queries {
                        let right = self.query(query, outer);
                        relation = self.combined(&relation, &right, SetOperator::Union, *set_quantifier);
                    }
                }
                PipeOperator::Intersect { set_quantifier, queries } => {
                    for query in queries {
                        let right = self.query(query, outer);
                        relation = self.combined(&relation, &right, SetOperator::Intersect, *set_quantifier);
                    }
                }
                PipeOperator::Except { queries, .. } => {
                    for query in queries {
                        self.query(query, outer);
                    }
                }
                PipeOperator::Join(join) => {
                    self.join(&mut scope, join, 0);
                    let mut items = Vec::new();
                    self.all_columns(&scope, &mut items);
                    relation = Rc::new(Relation::new(items));
                }
                PipeOperator::Pivot { aggregate_functions, value_column, value_source, .. } => {
                    let columns: Vec<_> =
                        value_column.iter().map(|ident| sqlparser::ast::Expr::Identifier(ident.clone())).collect();
                    relation = self.pivot(&scope, &relation, aggregate_functions, &columns, value_source);
                }
                PipeOperator::Unpivot { value_column, name_column, unpivot_columns, .. } => {
                    let columns: Vec<_> =
                        unpivot_columns.iter().map(|ident| sqlparser::ast::Expr::Identifier(ident.clone())).collect();
                    let groups: Vec<_> = columns.iter().collect();
                    relation = self.unpivot(&relation, std::slice::from_ref(value_column), name_column, &groups);
                }
                PipeOperator::Call { .. } => {
                    self.note("a table function in a pipe");
                    relation = self.weak_relation();
                }
                PipeOperator::Limit { .. } | PipeOperator::TableSample { .. } => {}
            }
        }
        relation
    }

    fn extend(&mut self, exprs: &[SelectItem], scope: &mut Scope<'_>, items: &mut Vec<Item>) {
        for item in exprs {
            self.select_item(item, scope, items);
        }
    }
}
