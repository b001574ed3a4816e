//! FROM: tables, subqueries and joins.

use std::rc::Rc;

use smallvec::SmallVec;
use sqlparser::ast::{
    BinaryOperator, Expr, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, TableAlias, TableFactor,
    TableFunctionArgs, TableWithJoins,
};

use crate::sql::types::{Dialect, Transformation};

use super::Binder;
use super::names::{Sym, TableId, Written, is_identifier_function};
use super::relation::{Column, Item, Relation};
use super::scope::{FromItem, Merged, Scope};
use super::sources::{Gathered, How, Sources};

impl Binder<'_> {
    /// Puts a table and its joins in sight.
    pub(super) fn table_with_joins(&mut self, scope: &mut Scope<'_>, table: &TableWithJoins) {
        let start = scope.items.len();
        self.factor(scope, &table.relation, false);
        for join in &table.joins {
            if self.is_exhausted() {
                return;
            }
            self.join(scope, join, start);
        }
    }

    pub(super) fn join(&mut self, scope: &mut Scope<'_>, join: &Join, start: usize) {
        use JoinOperator as J;
        let right = scope.items.len();
        if matches!(join.join_operator, J::ArrayJoin | J::LeftArrayJoin | J::InnerArrayJoin) {
            self.array_join(scope, &join.relation);
            return;
        }
        let apply = matches!(join.join_operator, J::CrossApply | J::OuterApply);
        self.factor(scope, &join.relation, apply);
        let constraint = match &join.join_operator {
            J::Join(constraint)
            | J::Inner(constraint)
            | J::Left(constraint)
            | J::LeftOuter(constraint)
            | J::Right(constraint)
            | J::RightOuter(constraint)
            | J::FullOuter(constraint)
            | J::CrossJoin(constraint)
            | J::StraightJoin(constraint) => constraint,
            J::Semi(constraint) | J::LeftSemi(constraint) | J::Anti(constraint) | J::LeftAnti(constraint) => {
                self.semi_join(scope, constraint, start, right, right);
                return;
            }
            J::RightSemi(constraint) | J::RightAnti(constraint) => {
                self.semi_join(scope, constraint, start, right, start);
                return;
            }
            J::AsOf { match_condition, constraint } => {
                self.indirect(match_condition, scope, Transformation::Join);
                constraint
            }
            J::CrossApply | J::OuterApply | J::ArrayJoin | J::LeftArrayJoin | J::InnerArrayJoin => return,
        };
        match constraint {
            JoinConstraint::On(expr) => self.indirect(expr, scope, Transformation::Join),
            JoinConstraint::Using(columns) | JoinConstraint::UsingAlias(columns, _) => {
                for column in columns {
                    if let Some(name) = self.last_name(column) {
                        self.merge_column(scope, name, start, right);
                    }
                }
            }
            JoinConstraint::Natural => {
                let mut shared: Vec<Sym> = Vec::new();
                for item in &scope.items[right..] {
                    for column in item.relation.columns() {
                        let on_left =
                            scope.items[start..right].iter().any(|left| left.relation.named(column.key).is_some());
                        if on_left && !shared.contains(&column.name) {
                            shared.push(column.name);
                        }
                    }
                }
                if scope.items[start..].iter().any(|item| !item.relation.is_closed()) && self.want_columns {
                    self.note("NATURAL JOIN over a table whose columns are not known");
                }
                for name in shared {
                    self.merge_column(scope, name, start, right);
                }
            }
            JoinConstraint::None => {}
        }
    }

    /// Semi and anti joins: one side is seen by the condition only.
    fn semi_join(
        &mut self,
        scope: &mut Scope<'_>,
        constraint: &JoinConstraint,
        start: usize,
        right: usize,
        hidden: usize,
    ) {
        match constraint {
            JoinConstraint::On(expr) => self.indirect(expr, scope, Transformation::Join),
            JoinConstraint::Using(columns) | JoinConstraint::UsingAlias(columns, _) => {
                for column in columns {
                    let Some(name) = self.last_name(column) else { continue };
                    let left = self.side_column(scope, name, start..right);
                    let other = self.side_column(scope, name, right..scope.items.len());
                    self.join_use(&left, &other);
                }
            }
            JoinConstraint::Natural | JoinConstraint::None => {}
        }
        let end = if hidden == start { right } else { scope.items.len() };
        for item in &mut scope.items[hidden..end] {
            item.visible = false;
        }
    }

    /// A column that USING or NATURAL makes of both sides'.
    fn merge_column(&mut self, scope: &mut Scope<'_>, name: Sym, start: usize, right: usize) {
        if !self.want_columns {
            return;
        }
        let key = self.names.key(name);
        let earlier = scope.merged.iter().position(|merged| merged.key == key);
        let left = match earlier {
            Some(at) => scope.merged[at].sources.clone(),
            None => self.side_column(scope, name, start..right),
        };
        let other = self.side_column(scope, name, right..scope.items.len());
        self.join_use(&left, &other);
        self.use_indirectly(&left, Transformation::Join);
        self.use_indirectly(&other, Transformation::Join);
        let sources = left.union(&other);
        match earlier {
            Some(at) => scope.merged[at].sources = sources,
            None => scope.merged.push(Merged { name, key, sources }),
        }
        for item in &mut scope.items[start..] {
            if item.visible && !item.merged.contains(&key) {
                item.merged.push(key);
            }
        }
    }

    fn side_column(&mut self, scope: &Scope<'_>, name: Sym, side: std::ops::Range<usize>) -> Sources {
        let key = self.names.key(name);
        let items = &scope.items[side];
        for item in items {
            if item.visible
                && let Some(column) = item.relation.named(key)
            {
                return column.sources.clone();
            }
        }
        let mut open = items.iter().filter(|item| item.visible && !item.relation.is_closed());
        match (open.next(), open.next()) {
            (Some(only), None) => self.item_column(only, &[name]).unwrap_or_default(),
            _ => Sources::None,
        }
    }

    fn join_use(&mut self, left: &Sources, right: &Sources) {
        if let ([left], [right]) = (left.as_slice(), right.as_slice())
            && self.options.usage
            && left.column() != right.column()
        {
            self.answer.joins.push((left.column(), right.column()));
        }
    }

    /// Columns that a condition equates, at its top level.
    pub(super) fn equated(&mut self, expr: &Expr, scope: &Scope<'_>) {
        let mut pending = vec![expr];
        let mut seen = 0;
        while let Some(expr) = pending.pop() {
            seen += 1;
            if seen > 1_000 {
                return;
            }
            match expr {
                Expr::Nested(inner) => pending.push(inner),
                Expr::BinaryOp { left, op: BinaryOperator::And, right } => pending.extend([&**left, &**right]),
                Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::Spaceship, right }
                    if is_column(left) && is_column(right) =>
                {
                    let left = self.sources_of(left, scope);
                    let right = self.sources_of(right, scope);
                    if let ([one], [other]) = (left.as_slice(), right.as_slice())
                        && one.how() == How::Identity
                        && other.how() == How::Identity
                    {
                        self.join_use(&left, &right);
                    }
                }
                _ => {}
            }
        }
    }

    /// Puts one item of FROM in sight. `lateral`: it sees the items before it.
    pub(super) fn factor(&mut self, scope: &mut Scope<'_>, factor: &TableFactor, lateral: bool) {
        if !self.enter() {
            return;
        }
        match factor {
            TableFactor::Table { name, alias, args, with_ordinality, .. } => match args {
                Some(args) => self.named_function(scope, name, args, alias.as_ref(), *with_ordinality),
                None => self.named_table(scope, name, alias.as_ref()),
            },
            TableFactor::Derived { lateral: said, subquery, alias, .. } => {
                let relation = if *said || lateral {
                    self.query(subquery, Some(scope))
                } else {
                    self.query(subquery, scope.parent)
                };
                let relation = self.with_alias_columns(relation, alias.as_ref());
                self.push(scope, alias.as_ref(), None, relation);
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                if alias.is_none() {
                    self.table_with_joins(scope, table_with_joins);
                } else {
                    let mut inner = Scope::under(Some(scope));
                    self.table_with_joins(&mut inner, table_with_joins);
                    let mut items = Vec::new();
                    self.all_columns(&inner, &mut items);
                    let relation = self.with_alias_columns(Rc::new(Relation::new(items)), alias.as_ref());
                    self.push(scope, alias.as_ref(), None, relation);
                }
            }
            _ => self.special_factor(scope, factor),
        }
        self.leave();
    }

    pub(super) fn push(
        &mut self,
        scope: &mut Scope<'_>,
        alias: Option<&TableAlias>,
        table: Option<TableId>,
        relation: Rc<Relation>,
    ) {
        let key = alias.map(|alias| self.names.fold_key(&alias.name));
        scope.items.push(FromItem::new(key, table, relation));
        if let Some(offset) = alias.and_then(|alias| alias.at.as_ref()) {
            // `FROM arr AS x AT i`: the position is a column of its own.
            let name = self.names.fold(offset);
            let column = Column { name, key: self.names.key(name), sources: Sources::None };
            scope.items.push(FromItem::new(None, None, Rc::new(Relation::new(vec![Item::Column(column)]))));
        }
    }

    fn named_table(&mut self, scope: &mut Scope<'_>, name: &ObjectName, alias: Option<&TableAlias>) {
        // `FROM t, t.items`: an array of an item in sight.
        if name.0.len() > 1
            && matches!(self.dialect, Dialect::BigQuery | Dialect::Redshift | Dialect::Hive)
            && self.array_of_item(scope, name, alias)
        {
            return;
        }
        let (table, relation) = self.read_named(name);
        let relation = self.with_alias_columns(relation, alias);
        match alias {
            Some(_) => self.push(scope, alias, table, relation),
            None => {
                // A common table expression or temporary table is known by its own name.
                let key = if name.0.len() == 1 { self.last_key(name) } else { None };
                let alias = if table.is_none() { key.or_else(|| self.last_key(name)) } else { None };
                scope.items.push(FromItem::new(alias, table, relation));
            }
        }
    }

    fn array_of_item(&mut self, scope: &mut Scope<'_>, name: &ObjectName, alias: Option<&TableAlias>) -> bool {
        let mut idents = Vec::with_capacity(name.0.len());
        for part in &name.0 {
            let ObjectNamePart::Identifier(ident) = part else { return false };
            idents.push(ident.clone());
        }
        let first = self.names.fold_key(&idents[0]);
        if scope.aliased(first).is_none() && self.qualified_item(scope, &[first, first]).is_none() {
            return false;
        }
        let value = self.lookup_qualified(scope, &idents).unwrap_or_default();
        let value = value.used(How::Transformation);
        let relation = self.element_relation(alias, idents.last().map(|ident| ident.value.as_str()), value);
        self.push(scope, alias, None, relation);
        true
    }

    /// `f(…)` in FROM, or `IDENTIFIER(…)`.
    fn named_function(
        &mut self,
        scope: &mut Scope<'_>,
        name: &ObjectName,
        args: &TableFunctionArgs,
        alias: Option<&TableAlias>,
        ordinality: bool,
    ) {
        if let [ObjectNamePart::Identifier(ident)] = name.0.as_slice()
            && is_identifier_function(&ident.value)
        {
            let written = self.names.identifier_function(ident, &args.args);
            let (table, relation) = self.read_written(written);
            let relation = self.with_alias_columns(relation, alias);
            self.push(scope, alias, table, relation);
            return;
        }
        // `@stage (FILE_FORMAT => …)` is read like a table.
        if matches!(name.0.first(), Some(ObjectNamePart::Identifier(ident)) if ident.value.starts_with('@') && ident.quote_style.is_none())
        {
            self.named_table(scope, name, alias);
            return;
        }
        self.table_function(scope, name, &args.args, alias, ordinality);
    }

    /// Reads a table by name: its number, unless it is a common table expression, a temporary table or unknowable, and
    /// its columns.
    pub(super) fn read_named(&mut self, name: &ObjectName) -> (Option<TableId>, Rc<Relation>) {
        if let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() {
            let key = self.names.fold_key(ident);
            self.step(1 + (self.ctes.len() - self.cte_base) / 8);
            if let Some(cte) = self.ctes[self.cte_base..].iter_mut().rev().find(|cte| cte.key == key) {
                cte.used = true;
                return (None, Rc::clone(&cte.relation));
            }
            if let Some(relation) = self.row_table(key) {
                return (None, relation);
            }
        }
        let written = self.names.written(name);
        self.read_written(written)
    }

    pub(super) fn read_written(&mut self, written: Written) -> (Option<TableId>, Rc<Relation>) {
        let id = match written {
            Written::Unknowable => {
                self.note("a table whose name is computed");
                return (None, Rc::new(Relation::weak(Sources::None)));
            }
            Written::Literal(text) => {
                let id = self.names.table(&[text]);
                self.read(id);
                return (Some(id), Rc::new(Relation::open(id)));
            }
            Written::Parts(parts) => {
                if let Some(temp) = self.temporary(&parts) {
                    let temp = temp.clone();
                    for base in temp.bases {
                        self.read(base);
                    }
                    return (None, temp.relation);
                }
                let first = Rc::clone(&self.nothing);
                if self.names.text(parts[0]).starts_with('@') {
                    // A variable that holds a table nobody declared.
                    return (None, if self.want_columns { Rc::new(Relation::weak(Sources::None)) } else { first });
                }
                self.resolve(&parts)
            }
        };
        self.read(id);
        if !self.want_columns {
            return (Some(id), Rc::clone(&self.nothing));
        }
        (Some(id), self.table_relation(id))
    }

    pub(super) fn read(&mut self, id: TableId) {
        if self.answer.inputs.last() != Some(&id) {
            self.answer.inputs.push(id);
        }
    }

    /// ClickHouse's ARRAY JOIN: columns that stand for their elements, or new ones made of them.
    pub(super) fn array_join(&mut self, scope: &mut Scope<'_>, factor: &TableFactor) {
        let (expr, alias) = match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let idents: Vec<_> = name
                    .0
                    .iter()
                    .filter_map(|part| match part {
                        ObjectNamePart::Identifier(ident) => Some(ident.clone()),
                        ObjectNamePart::Function(_) => None,
                    })
                    .collect();
                let expr = match idents.as_slice() {
                    [one] => Expr::Identifier(one.clone()),
                    _ => Expr::CompoundIdentifier(idents),
                };
                (Some(expr), alias)
            }
            TableFactor::Table { name, alias, args: Some(args), .. } => {
                let mut out = Gathered::default();
                self.function_args(&args.args, scope, &mut out);
                let sources = out.finish();
                let name = match alias {
                    Some(alias) => self.names.fold(&alias.name),
                    None => match self.last_name(name) {
                        Some(name) => name,
                        None => return,
                    },
                };
                scope.merged.push(Merged { name, key: self.names.key(name), sources });
                return;
            }
            _ => (None, &None),
        };
        let (Some(expr), Some(alias)) = (expr, alias) else { return };
        let sources = self.sources_of(&expr, scope);
        let name = self.names.fold(&alias.name);
        scope.merged.push(Merged { name, key: self.names.key(name), sources: sources.used(How::Transformation) });
    }

    /// One column made of `value`, known by the alias.
    pub(super) fn element_relation(
        &mut self,
        alias: Option<&TableAlias>,
        default: Option<&str>,
        value: Sources,
    ) -> Rc<Relation> {
        let mut items = Vec::new();
        match alias {
            Some(alias) if !alias.columns.is_empty() => {
                for column in &alias.columns {
                    let name = self.names.fold(&column.name);
                    items.push(Item::Column(Column { name, key: self.names.key(name), sources: value.clone() }));
                }
            }
            _ => {
                let name = match alias {
                    Some(alias) => self.names.fold(&alias.name),
                    None => self.names.intern(&default.unwrap_or("value").to_lowercase()),
                };
                items.push(Item::Column(Column { name, key: self.names.key(name), sources: value.clone() }));
                // An element may be a row of its own, with fields.
                let key = self.names.key(name);
                items.push(Item::Star(super::relation::Star {
                    origins: SmallVec::new(),
                    value,
                    except: Some(Rc::from([key])),
                }));
            }
        }
        Rc::new(Relation::new(items))
    }
}

fn is_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}
