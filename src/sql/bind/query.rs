//! Queries: WITH, set operations, VALUES, and the order that a whole query is in.

use std::rc::Rc;

use sqlparser::ast::{
    Cte as CteSyntax, OrderBy, OrderByKind, Query, SelectFlavor, SetExpr, SetOperator, SetQuantifier, TableAlias,
    Values, With,
};

use crate::sql::types::{Dialect, Transformation};

use super::names::Sym;
use super::relation::{Column, Item, Relation, Star};
use super::scope::{FromItem, Scope};
use super::sources::{Gathered, How, Sources};
use super::{Binder, Cte};

impl Binder<'_> {
    /// What a query yields. `outer` is the scope around it, if it may refer to it.
    pub(super) fn query(&mut self, query: &Query, outer: Option<&Scope<'_>>) -> Rc<Relation> {
        if !self.enter() {
            return Rc::clone(&self.nothing);
        }
        let base = self.ctes.len();
        if let Some(with) = &query.with {
            self.with(with, outer);
        }
        let relation = match &*query.body {
            // FROM alone keeps the names of its items for the operators after it.
            SetExpr::Select(select)
                if !query.pipe_operators.is_empty() && select.flavor == SelectFlavor::FromFirstNoSelect =>
            {
                let mut scope = Scope::under(outer);
                for table in &select.from {
                    self.table_with_joins(&mut scope, table);
                }
                self.pipes(scope, &query.pipe_operators)
            }
            body => {
                let relation = self.set_expr(body, outer, query.order_by.as_ref());
                if query.pipe_operators.is_empty() {
                    relation
                } else {
                    let scope = Scope::of(outer, FromItem::new(None, None, relation));
                    self.pipes(scope, &query.pipe_operators)
                }
            }
        };
        if let Some(limit) = &query.limit_clause {
            self.limit(limit, outer);
        }
        self.ctes.truncate(base);
        self.leave();
        relation
    }

    fn limit(&mut self, limit: &sqlparser::ast::LimitClause, outer: Option<&Scope<'_>>) {
        use sqlparser::ast::LimitClause;
        let scope = Scope::under(outer);
        let mut out = Gathered::default();
        match limit {
            LimitClause::LimitOffset { limit, offset, .. } => {
                for expr in limit.iter().chain(offset.iter().map(|offset| &offset.value)) {
                    self.expr(expr, &scope, How::Skip, &mut out);
                }
            }
            LimitClause::OffsetCommaLimit { offset, limit } => {
                self.expr(offset, &scope, How::Skip, &mut out);
                self.expr(limit, &scope, How::Skip, &mut out);
            }
        }
    }

    /// Puts common table expressions in sight; the caller takes them away.
    pub(super) fn with(&mut self, with: &With, outer: Option<&Scope<'_>>) {
        // Dialects that have recursion without saying so.
        let implied = matches!(
            self.dialect,
            Dialect::TSql | Dialect::Oracle | Dialect::Db2 | Dialect::Snowflake | Dialect::Teradata
        );
        for cte in &with.cte_tables {
            let key = self.names.fold_key(&cte.alias.name);
            let relation = if with.recursive || implied {
                self.recursive_cte(cte, key, outer)
            } else {
                let relation = self.query(&cte.query, outer);
                self.with_alias_columns(relation, Some(&cte.alias))
            };
            self.ctes.push(Cte { key, relation, used: false });
        }
    }

    /// A common table expression that may read itself: its first branch, then the others over what is known so far,
    /// until nothing new comes.
    fn recursive_cte(&mut self, cte: &CteSyntax, key: Sym, outer: Option<&Scope<'_>>) -> Rc<Relation> {
        let mut branches: Vec<(&SetExpr, SetOperator, SetQuantifier)> = Vec::new();
        let mut anchor: &SetExpr = &cte.query.body;
        while let SetExpr::SetOperation { left, op, set_quantifier, right } = anchor {
            branches.push((right, *op, *set_quantifier));
            anchor = left;
        }
        if branches.is_empty() || !self.enter() {
            let relation = self.query(&cte.query, outer);
            return self.with_alias_columns(relation, Some(&cte.alias));
        }
        branches.reverse();
        let base = self.ctes.len();
        if let Some(with) = &cte.query.with {
            self.with(with, outer);
        }
        let anchor = self.set_expr(anchor, outer, None);
        let mut known = Rc::clone(&anchor);
        for _ in 0..32 {
            let visible = self.with_alias_columns(Rc::clone(&known), Some(&cte.alias));
            let own = self.ctes.len();
            self.ctes.push(Cte { key, relation: visible, used: false });
            let mut next = Rc::clone(&known);
            for &(branch, op, quantifier) in &branches {
                let relation = self.set_expr(branch, outer, None);
                next = self.combined(&next, &relation, op, quantifier);
            }
            let used = self.ctes.get(own).is_some_and(|cte| cte.used);
            self.ctes.truncate(own);
            let settled = same(&known, &next);
            known = next;
            if settled || !used || self.is_exhausted() {
                break;
            }
        }
        self.ctes.truncate(base);
        self.leave();
        self.with_alias_columns(known, Some(&cte.alias))
    }

    /// Column names given by `AS t(a, b)`.
    pub(super) fn with_alias_columns(&mut self, relation: Rc<Relation>, alias: Option<&TableAlias>) -> Rc<Relation> {
        let Some(alias) = alias.filter(|alias| !alias.columns.is_empty()) else { return relation };
        let aliases: Vec<Sym> = alias.columns.iter().map(|column| self.names.fold(&column.name)).collect();
        self.step(relation.items.len());
        Rc::new(relation.renamed(&mut self.names, &aliases))
    }

    pub(super) fn set_expr(
        &mut self,
        body: &SetExpr,
        outer: Option<&Scope<'_>>,
        order_by: Option<&OrderBy>,
    ) -> Rc<Relation> {
        match body {
            SetExpr::Select(select) => self.select(select, outer, order_by),
            SetExpr::Query(query) => {
                let relation = self.query(query, outer);
                self.order_whole(&relation, order_by, outer);
                relation
            }
            SetExpr::SetOperation { .. } => {
                // Chains lean to the left and may be long.
                let mut branches = Vec::new();
                let mut first = body;
                while let SetExpr::SetOperation { left, op, set_quantifier, right } = first {
                    branches.push((&**right, *op, *set_quantifier));
                    first = left;
                }
                if !self.enter() {
                    return Rc::clone(&self.nothing);
                }
                let first = self.set_expr(first, outer, None);
                let rest = branches
                    .into_iter()
                    .rev()
                    .map(|(right, op, quantifier)| (self.set_expr(right, outer, None), op, quantifier))
                    .collect();
                let relation = self.chain(first, rest);
                self.leave();
                self.order_whole(&relation, order_by, outer);
                relation
            }
            SetExpr::Values(values) => self.values(values, outer),
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement)
            | SetExpr::Merge(statement) => self.modification(statement, outer),
            SetExpr::Table(table) => {
                let mut parts = Vec::new();
                parts.extend(table.schema_name.clone());
                parts.extend(table.table_name.clone());
                if parts.is_empty() {
                    return Rc::clone(&self.nothing);
                }
                self.read_named(&sqlparser::ast::ObjectName::from(parts)).1
            }
        }
    }

    /// ORDER BY over the result of a set operation.
    fn order_whole(&mut self, relation: &Rc<Relation>, order_by: Option<&OrderBy>, outer: Option<&Scope<'_>>) {
        let Some(OrderBy { kind: OrderByKind::Expressions(list), .. }) = order_by else { return };
        let scope = Scope::of(outer, FromItem::new(None, None, Rc::clone(relation)));
        for by in list {
            self.indirect(&by.expr, &scope, Transformation::Sort);
        }
    }

    pub(super) fn values(&mut self, values: &Values, outer: Option<&Scope<'_>>) -> Rc<Relation> {
        let scope = Scope::under(outer);
        let mut columns: Vec<Sources> = Vec::new();
        for row in &values.rows {
            if self.is_exhausted() {
                break;
            }
            for (nth, expr) in row.content.iter().enumerate() {
                if matches!(expr, sqlparser::ast::Expr::Value(_)) {
                    if nth >= columns.len() {
                        columns.push(Sources::None);
                    }
                    continue;
                }
                let mut out = Gathered::default();
                self.expr(expr, &scope, if self.want_columns { How::Identity } else { How::Skip }, &mut out);
                let sources = out.finish();
                match columns.get_mut(nth) {
                    Some(column) => *column = column.union(&sources),
                    None => columns.push(sources),
                }
            }
        }
        let mut items = Vec::with_capacity(columns.len());
        for (nth, sources) in columns.into_iter().enumerate() {
            let name = match self.dialect {
                Dialect::DuckDb => format!("col{nth}"),
                Dialect::Spark | Dialect::Databricks => format!("col{}", nth + 1),
                Dialect::MySql => format!("column_{nth}"),
                _ => format!("column{}", nth + 1),
            };
            let name = self.names.intern(&name);
            items.push(Item::Column(Column { name, key: name, sources }));
        }
        Rc::new(Relation::new(items))
    }

    /// The result of a chain of set operations. A long one by position is gathered at once: one by one, the growing
    /// sets would be copied at each.
    fn chain(&mut self, first: Rc<Relation>, rest: Vec<(Rc<Relation>, SetOperator, SetQuantifier)>) -> Rc<Relation> {
        let plain = self.want_columns
            && rest.len() > 1
            && first.is_closed()
            && rest.iter().all(|(right, op, quantifier)| {
                right.is_closed()
                    && matches!(op, SetOperator::Union | SetOperator::Intersect)
                    && matches!(quantifier, SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None)
            });
        if !plain {
            let mut relation = first;
            for (right, op, quantifier) in rest {
                relation = self.combined(&relation, &right, op, quantifier);
            }
            return relation;
        }
        let mut columns: Vec<Gathered> = first.columns().map(|_| Gathered::default()).collect();
        for relation in std::iter::once(&first).chain(rest.iter().map(|(right, ..)| right)) {
            self.step(relation.items.len());
            for (gathered, column) in columns.iter_mut().zip(relation.columns()) {
                self.add(&column.sources, How::Identity, gathered);
            }
            if self.is_exhausted() {
                return first;
            }
        }
        let items = first
            .columns()
            .zip(columns)
            .map(|(column, gathered)| Item::Column(Column { sources: gathered.finish(), ..column.clone() }))
            .collect();
        Rc::new(Relation::new(items))
    }

    /// The result of a set operation. UNION and INTERSECT hand on values of both sides, EXCEPT those of the left.
    pub(super) fn combined(
        &mut self,
        left: &Rc<Relation>,
        right: &Rc<Relation>,
        op: SetOperator,
        quantifier: SetQuantifier,
    ) -> Rc<Relation> {
        if !self.want_columns || matches!(op, SetOperator::Except | SetOperator::Minus) || Rc::ptr_eq(left, right) {
            return Rc::clone(left);
        }
        self.step(left.items.len() + right.items.len());
        if self.is_exhausted() {
            return Rc::clone(left);
        }
        let by_name =
            matches!(quantifier, SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName);
        Rc::new(if by_name { self.union_by_name(left, right) } else { self.union_by_position(left, right) })
    }

    fn union_by_position(&mut self, left: &Relation, right: &Relation) -> Relation {
        if left.is_closed() && right.is_closed() {
            let mut items = Vec::with_capacity(left.items.len());
            let mut others = right.columns();
            for column in left.columns() {
                self.step(column.sources.as_slice().len() / 8);
                let sources = match others.next() {
                    Some(other) => column.sources.union(&other.sources),
                    None => column.sources.clone(),
                };
                items.push(Item::Column(Column { sources, ..column.clone() }));
            }
            return Relation::new(items);
        }
        if let ([Item::Star(one)], [Item::Star(other)]) = (left.items.as_slice(), right.items.as_slice()) {
            return Relation::new(vec![Item::Star(both_stars(one, other))]);
        }
        // Positions are not known: names are likely the same on both sides.
        self.union_by_name(left, right)
    }

    fn union_by_name(&mut self, left: &Relation, right: &Relation) -> Relation {
        let mut items: Vec<Item> = Vec::with_capacity(left.items.len());
        let mut taken: Vec<Sym> = Vec::new();
        let star_of = |relation: &Relation| {
            relation.items.iter().find_map(|item| match item {
                Item::Star(star) => Some(star.clone()),
                Item::Column(_) => None,
            })
        };
        let (left_star, right_star) = (star_of(left), star_of(right));
        for column in left.columns() {
            let mut sources = column.sources.clone();
            if let Some(other) = right.named(column.key) {
                sources = sources.union(&other.sources);
            } else if let Some(star) = &right_star
                && star.may_hold(column.key)
                && right.stars == 1
            {
                sources = sources.union(&star.column(&mut self.names, column.name));
            }
            taken.push(column.key);
            items.push(Item::Column(Column { sources, ..column.clone() }));
        }
        if left_star.is_some() || !left.is_closed() {
            for column in right.columns() {
                if left.named(column.key).is_some() {
                    continue;
                }
                let mut sources = column.sources.clone();
                if let Some(star) = &left_star
                    && star.may_hold(column.key)
                    && left.stars == 1
                {
                    sources = star.column(&mut self.names, column.name).union(&sources);
                }
                taken.push(column.key);
                items.push(Item::Column(Column { sources, ..column.clone() }));
            }
        } else {
            items.extend(
                right
                    .columns()
                    .filter(|column| left.named(column.key).is_none())
                    .map(|column| Item::Column(column.clone())),
            );
        }
        match (left_star, right_star) {
            (Some(one), Some(other)) => items.push(Item::Star(both_stars(&one, &other).without(&taken))),
            (Some(one), None) | (None, Some(one)) => items.push(Item::Star(one.without(&taken))),
            (None, None) => {}
        }
        Relation::new(items)
    }
}

/// A star whose columns come from the tables of both.
fn both_stars(one: &Star, other: &Star) -> Star {
    let mut star = one.clone();
    for &origin in &other.origins {
        if !star.origins.contains(&origin) {
            star.origins.push(origin);
        }
    }
    star.value = star.value.union(&other.value);
    star
}

/// Whether two steps of a recursion know the same.
fn same(one: &Relation, other: &Relation) -> bool {
    one.items.len() == other.items.len()
        && one.items.iter().zip(&other.items).all(|(one, other)| match (one, other) {
            (Item::Column(one), Item::Column(other)) => {
                one.key == other.key && one.sources.as_slice() == other.sources.as_slice()
            }
            (Item::Star(one), Item::Star(other)) => one.origins == other.origins,
            _ => false,
        })
}
