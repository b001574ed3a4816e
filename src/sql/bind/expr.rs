//! Expressions: the base columns whose values flow into one.

use sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Ident, InTarget, JsonPathElem, ObjectName, ObjectNamePart, OneOrManyWithParens,
    OrderByExpr, Query, Subscript, Value, WindowSpec,
};

use crate::sql::types::Dialect;

use super::Binder;
use super::names::Sym;
use super::scope::{Scope, positional};
use super::sources::{Gathered, How, Sources};

impl Binder<'_> {
    /// The sources of an expression as a set.
    pub(super) fn sources_of(&mut self, expr: &Expr, scope: &Scope<'_>) -> Sources {
        if let Expr::Identifier(ident) = expr {
            return self.identifier(ident, scope).unwrap_or_default();
        }
        let mut out = Gathered::default();
        self.expr(expr, scope, How::Identity, &mut out);
        out.finish()
    }

    pub(super) fn identifier(&mut self, ident: &Ident, scope: &Scope<'_>) -> Option<Sources> {
        let name = self.names.fold(ident);
        if ident.quote_style.is_none()
            && let Some(position) = positional(&ident.value)
            && let Some(item) = scope.items.first()
        {
            let relation = std::rc::Rc::clone(&item.relation);
            return self.positional_column(&relation, position, name);
        }
        self.lookup(scope, name)
    }

    /// Walks an expression. `how` says in which way its value is used; with `How::Skip` only the tables that its
    /// subqueries read are of interest.
    pub(super) fn expr(&mut self, expr: &Expr, scope: &Scope<'_>, how: How, out: &mut Gathered) {
        if !self.enter() {
            return;
        }
        self.expr_inner(expr, scope, how, out);
        self.leave();
    }

    fn exprs<'e>(
        &mut self,
        exprs: impl IntoIterator<Item = &'e Expr>,
        scope: &Scope<'_>,
        how: How,
        out: &mut Gathered,
    ) {
        for expr in exprs {
            self.expr(expr, scope, how, out);
        }
    }

    fn expr_inner(&mut self, expr: &Expr, scope: &Scope<'_>, how: How, out: &mut Gathered) {
        let inner = how.computed();
        match expr {
            Expr::Identifier(ident) => {
                if how != How::Skip
                    && let Some(sources) = self.identifier(ident, scope)
                {
                    self.add(&sources, how, out);
                }
            }
            Expr::CompoundIdentifier(idents) => {
                if how != How::Skip
                    && let Some(sources) = self.lookup_qualified(scope, idents)
                {
                    self.add(&sources, how, out);
                }
            }
            Expr::Value(value) => {
                if how != How::Skip
                    && let Value::Placeholder(text) = &value.value
                    && self.dialect == Dialect::Snowflake
                    && let Some(sources) = self.identifier(&Ident::new(text), scope)
                {
                    self.add(&sources, how, out);
                }
            }
            Expr::TypedString(_) | Expr::Wildcard(_) => {}
            Expr::MatchAgainst { columns, .. } => {
                for column in columns {
                    let mut idents: Vec<Ident> = column.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
                    let column = match idents.len() {
                        1 => Expr::Identifier(idents.remove(0)),
                        _ => Expr::CompoundIdentifier(idents),
                    };
                    self.expr(&column, scope, how.computed(), out);
                }
            }
            Expr::Nested(expr) | Expr::Collate { expr, .. } | Expr::OuterJoin(expr) | Expr::Prior(expr) => {
                self.expr(expr, scope, how, out);
            }
            Expr::Named { expr, .. } => self.expr(expr, scope, how, out),
            Expr::Prefixed { value, .. } => self.expr(value, scope, inner, out),
            Expr::BinaryOp { .. } => self.binary(expr, scope, inner, out),
            Expr::CompoundFieldAccess { root, access_chain } => {
                self.field_access(root, access_chain, scope, how, out);
            }
            Expr::JsonAccess { value, path } => {
                self.expr(value, scope, inner, out);
                for element in &path.path {
                    if let JsonPathElem::Bracket { key } | JsonPathElem::ColonBracket { key } = element {
                        self.expr(key, scope, inner, out);
                    }
                }
            }
            Expr::IsFalse(expr)
            | Expr::IsNotFalse(expr)
            | Expr::IsTrue(expr)
            | Expr::IsNotTrue(expr)
            | Expr::IsNull(expr)
            | Expr::IsNotNull(expr)
            | Expr::IsUnknown(expr)
            | Expr::IsNotUnknown(expr)
            | Expr::IsJson { expr, .. }
            | Expr::IsNormalized { expr, .. }
            | Expr::UnaryOp { expr, .. }
            | Expr::Cast { expr, .. }
            | Expr::Extract { expr, .. }
            | Expr::Ceil { expr, .. }
            | Expr::Floor { expr, .. } => self.expr(expr, scope, inner, out),
            Expr::Convert { expr, styles, .. } => {
                self.expr(expr, scope, inner, out);
                self.exprs(styles, scope, inner, out);
            }
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.expr(left, scope, inner, out);
                self.expr(right, scope, inner, out);
            }
            Expr::AnyOp { left, right, .. } | Expr::AllOp { left, right, .. } => {
                self.expr(left, scope, inner, out);
                self.expr(right, scope, inner, out);
            }
            Expr::In { expr, target, .. } => {
                self.expr(expr, scope, inner, out);
                match target {
                    InTarget::List(list) => self.exprs(list, scope, inner, out),
                    InTarget::Subquery(query) => self.subquery(query, scope, inner, out),
                    InTarget::Unnest(array) => self.expr(array, scope, inner, out),
                    InTarget::Table { name, args } => {
                        if args.is_none() {
                            self.read_named(name);
                        }
                    }
                }
            }
            Expr::Between { expr, low, high, .. } => self.exprs([&**expr, low, high], scope, inner, out),
            Expr::Like { expr, pattern, escape_char, .. }
            | Expr::ILike { expr, pattern, escape_char, .. }
            | Expr::SimilarTo { expr, pattern, escape_char, .. } => {
                self.expr(expr, scope, inner, out);
                self.expr(pattern, scope, inner, out);
                if let Some(escape) = escape_char {
                    self.expr(escape, scope, inner, out);
                }
            }
            Expr::RLike { expr, pattern, .. } => self.exprs([&**expr, pattern], scope, inner, out),
            Expr::AtTimeZone { timestamp, time_zone } => self.exprs([&**timestamp, time_zone], scope, inner, out),
            Expr::Position { expr, r#in } => self.exprs([&**expr, r#in], scope, inner, out),
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                self.expr(expr, scope, inner, out);
                self.exprs(substring_from.as_deref(), scope, inner, out);
                self.exprs(substring_for.as_deref(), scope, inner, out);
            }
            Expr::Trim { expr, trim_what, trim_characters, .. } => {
                self.expr(expr, scope, inner, out);
                self.exprs(trim_what.as_deref(), scope, inner, out);
                self.exprs(trim_characters.iter().flatten(), scope, inner, out);
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                self.exprs([&**expr, overlay_what, overlay_from], scope, inner, out);
                self.exprs(overlay_for.as_deref(), scope, inner, out);
            }
            Expr::Function(function) => self.function(function, scope, how, out),
            Expr::Case { operand, conditions, else_result, .. } => {
                let condition = How::Conditional.min(inner);
                self.exprs(operand.as_deref(), scope, condition, out);
                for when in conditions {
                    self.expr(&when.condition, scope, condition, out);
                    self.expr(&when.result, scope, inner, out);
                }
                self.exprs(else_result.as_deref(), scope, inner, out);
            }
            Expr::Exists { subquery, .. } => self.subquery(subquery, scope, How::Skip, out),
            Expr::Subquery(query) => self.subquery(query, scope, how, out),
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                for set in sets {
                    self.exprs(set, scope, inner, out);
                }
            }
            Expr::Tuple(list) | Expr::Struct { values: list, .. } => self.exprs(list, scope, inner, out),
            Expr::Array(array) => self.exprs(&array.elem, scope, inner, out),
            Expr::Dictionary(fields) => self.exprs(fields.iter().map(|field| &*field.value), scope, inner, out),
            Expr::Map(map) => {
                for entry in &map.entries {
                    self.exprs([&*entry.key, &*entry.value], scope, inner, out);
                }
            }
            Expr::Interval(interval) => self.expr(&interval.value, scope, inner, out),
            Expr::QualifiedWildcard(name, _) => self.qualified_star(name, scope, inner, out),
            Expr::Lambda(lambda) => {
                let before = self.locals.len();
                let params = match &lambda.params {
                    OneOrManyWithParens::One(one) => std::slice::from_ref(one),
                    OneOrManyWithParens::Many(many) => many,
                };
                for param in params {
                    let key = self.names.fold_key(&param.name);
                    self.locals.push(key);
                }
                self.expr(&lambda.body, scope, inner, out);
                self.locals.truncate(before);
            }
            Expr::MemberOf(member) => self.exprs([&*member.value, &*member.array], scope, inner, out),
        }
    }

    /// `t.*` as a value: everything that `t` offers.
    pub(super) fn qualified_star(&mut self, name: &ObjectName, scope: &Scope<'_>, how: How, out: &mut Gathered) {
        if how == How::Skip {
            return;
        }
        let Some(ObjectNamePart::Identifier(ident)) = name.0.last() else { return };
        let key = self.names.fold_key(ident);
        if let Some((item, _)) = self.qualified_item(scope, &[key, key]) {
            let relation = std::rc::Rc::clone(&item.relation);
            let sources = relation.all_sources(&mut self.names);
            self.add(&sources, how, out);
        }
    }

    pub(super) fn add(&mut self, sources: &Sources, how: How, out: &mut Gathered) {
        self.step(1 + sources.as_slice().len() / 8);
        out.add(sources, how);
        if out.len() > self.options.limits.edges {
            self.exhaust();
        }
    }

    /// Operators chain to the left, thousands deep in generated text; the chain is walked, not descended.
    fn binary(&mut self, expr: &Expr, scope: &Scope<'_>, how: How, out: &mut Gathered) {
        let mut left = expr;
        while let Expr::BinaryOp { left: next, op, right } = left {
            if *op == BinaryOperator::Arrow && self.higher_order > 0 && self.arrow_lambda(next, right, scope, how, out)
            {
                return;
            }
            self.step(1);
            self.expr(right, scope, how, out);
            left = next;
        }
        self.expr(left, scope, how, out);
    }

    /// `x -> x + 1` where the parser takes the arrow for an operator.
    fn arrow_lambda(&mut self, left: &Expr, body: &Expr, scope: &Scope<'_>, how: How, out: &mut Gathered) -> bool {
        let mut params: Vec<&Ident> = Vec::new();
        match left {
            Expr::Identifier(ident) => params.push(ident),
            Expr::Nested(inner) => match &**inner {
                Expr::Identifier(ident) => params.push(ident),
                _ => return false,
            },
            Expr::Tuple(list) => {
                for param in list {
                    let Expr::Identifier(ident) = param else { return false };
                    params.push(ident);
                }
            }
            _ => return false,
        }
        let before = self.locals.len();
        for param in params {
            let key = self.names.fold_key(param);
            self.locals.push(key);
        }
        self.expr(body, scope, how, out);
        self.locals.truncate(before);
        true
    }

    fn field_access(&mut self, root: &Expr, chain: &[AccessExpr], scope: &Scope<'_>, how: How, out: &mut Gathered) {
        // The path may be all identifiers: then it is a compound name like any other.
        let mut idents: Vec<Ident> = match root {
            Expr::Identifier(ident) => vec![ident.clone()],
            Expr::CompoundIdentifier(idents) => idents.clone(),
            _ => self.bound_row(root).into_iter().collect(),
        };
        let mut rest = chain;
        if !idents.is_empty() {
            while let [AccessExpr::Dot(Expr::Identifier(ident)), tail @ ..] = rest {
                idents.push(ident.clone());
                rest = tail;
            }
        }
        let inner = how.computed();
        if idents.len() > 1 {
            if how != How::Skip
                && let Some(sources) = self.lookup_qualified(scope, &idents)
            {
                self.add(&sources, inner, out);
            }
        } else {
            self.expr(root, scope, inner, out);
        }
        for access in rest {
            match access {
                AccessExpr::Subscript(Subscript::Index { index }) => self.expr(index, scope, inner, out),
                AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) => {
                    self.exprs(lower_bound.iter().chain(upper_bound).chain(stride), scope, inner, out);
                }
                // BigQuery's arr[OFFSET(i)] is a function in a subscript; a field has no columns of its own.
                AccessExpr::Dot(Expr::Function(function)) => self.function(function, scope, inner, out),
                AccessExpr::Dot(_) => {}
            }
        }
    }

    /// A subquery as a value: what its select list is made of.
    pub(super) fn subquery(&mut self, query: &Query, scope: &Scope<'_>, how: How, out: &mut Gathered) {
        let values = how != How::Skip;
        let before = self.want_columns;
        self.want_columns &= values || self.options.usage;
        let relation = self.query(query, Some(scope));
        self.want_columns = before;
        if values {
            let sources = relation.all_sources(&mut self.names);
            self.add(&sources, how, out);
        }
    }

    pub(super) fn order_by(&mut self, list: &[OrderByExpr], scope: &Scope<'_>, how: How, out: &mut Gathered) {
        for by in list {
            self.expr(&by.expr, scope, how, out);
        }
    }

    /// What a window is partitioned and ordered by.
    pub(super) fn window_spec(&mut self, spec: &WindowSpec, scope: &Scope<'_>, how: How, out: &mut Gathered) {
        if let Some(name) = &spec.window_name {
            self.named_window(name, scope, how, out);
        }
        self.exprs(&spec.partition_by, scope, how, out);
        self.order_by(&spec.order_by, scope, how, out);
    }

    pub(super) fn named_window(&mut self, name: &Ident, scope: &Scope<'_>, how: How, out: &mut Gathered) {
        let key = self.names.fold_key(name);
        let sources = scope.windows.iter().find(|(window, _)| *window == key).map(|(_, sources)| sources.clone());
        if let Some(sources) = sources {
            self.add(&sources, how, out);
        }
    }

    /// The last name of an expression that hands a column on, by which an unnamed select item is known.
    pub(super) fn implied_name(&mut self, expr: &Expr) -> Option<Sym> {
        match expr {
            Expr::Identifier(ident) => Some(self.names.fold(ident)),
            Expr::CompoundIdentifier(idents) => idents.last().map(|ident| self.names.fold(ident)),
            Expr::Nested(expr) | Expr::Collate { expr, .. } | Expr::Prior(expr) => self.implied_name(expr),
            Expr::Cast { expr, .. } => self.implied_name(expr),
            Expr::Named { name, .. } => Some(self.names.fold(name)),
            Expr::CompoundFieldAccess { root, access_chain } => {
                let field = access_chain.iter().rev().find_map(|access| match access {
                    AccessExpr::Dot(Expr::Identifier(ident)) => Some(ident),
                    _ => None,
                });
                match field {
                    Some(ident) => Some(self.names.fold(ident)),
                    None => self.implied_name(root),
                }
            }
            Expr::JsonAccess { path, .. } => path.path.iter().rev().find_map(|element| match element {
                JsonPathElem::Dot { key, .. } => Some(self.names.intern(&key.to_lowercase())),
                _ => None,
            }),
            _ => None,
        }
    }
}
