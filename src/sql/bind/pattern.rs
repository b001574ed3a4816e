//! MATCH_RECOGNIZE: rows that match a pattern.

use std::rc::Rc;

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, RowsPerMatch, TableFactor};

use crate::sql::types::Transformation;

use super::Binder;
use super::names::Sym;
use super::relation::{Column, Item, Relation};
use super::scope::{FromItem, Scope};

impl Binder<'_> {
    pub(super) fn match_recognize(&mut self, scope: &mut Scope<'_>, factor: &TableFactor) {
        let TableFactor::MatchRecognize {
            table, partition_by, order_by, measures, rows_per_match, symbols, alias, ..
        } = factor
        else {
            return;
        };
        let input = self.input_of(scope, table);
        let mut inner = Scope::of(Some(scope), FromItem::new(None, None, Rc::clone(&input)));
        // `A.price` means the rows that matched A. A symbol may stand in the pattern only.
        let mut named: Vec<Sym> = symbols.iter().map(|symbol| self.names.fold_key(&symbol.symbol)).collect();
        for measure in measures {
            qualifiers(&measure.expr, 0, &mut |ident| {
                let key = self.names.fold_key(ident);
                if !named.contains(&key) {
                    named.push(key);
                }
            });
        }
        for symbol in named {
            let mut item = FromItem::new(Some(symbol), None, Rc::clone(&input));
            item.visible = false;
            inner.items.push(item);
        }
        let mut items: Vec<Item> = Vec::new();
        if matches!(rows_per_match, Some(RowsPerMatch::AllRows(_))) {
            items.extend(input.items.iter().cloned());
        } else {
            for expr in partition_by {
                if let Some(name) = self.implied_name(expr) {
                    let sources = self.sources_of(expr, &inner);
                    items.push(Item::Column(Column { name, key: self.names.key(name), sources }));
                }
            }
        }
        for measure in measures {
            let sources = self.value_of(&measure.expr, &inner);
            let item = self.made_column(&measure.alias, sources);
            items.push(item);
        }
        for by in order_by {
            self.indirect(&by.expr, &inner, Transformation::Sort);
        }
        for symbol in symbols {
            self.indirect(&symbol.definition, &inner, Transformation::Filter);
        }
        let relation = self.with_alias_columns(Rc::new(Relation::new(items)), alias.as_ref());
        self.push_made(scope, alias.as_ref(), table, relation);
    }
}

/// First parts of compound names in an expression.
fn qualifiers(expr: &Expr, depth: usize, found: &mut impl FnMut(&Ident)) {
    if depth > 16 {
        return;
    }
    match expr {
        Expr::CompoundIdentifier(idents) => {
            if let [first, _, ..] = idents.as_slice() {
                found(first);
            }
        }
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } | Expr::UnaryOp { expr: inner, .. } => {
            qualifiers(inner, depth + 1, found);
        }
        Expr::BinaryOp { left, right, .. } => {
            qualifiers(left, depth + 1, found);
            qualifiers(right, depth + 1, found);
        }
        Expr::Function(function) => {
            if let FunctionArguments::List(list) = &function.args {
                for arg in &list.args {
                    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg {
                        qualifiers(expr, depth + 1, found);
                    }
                }
            }
        }
        _ => {}
    }
}
