//! Stars: what they leave out, replace and rename, and the calls that stand for several columns.

use sqlparser::ast::{
    ExcludeSelectItem, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectNamePart, RenameSelectItem, Value,
    WildcardAdditionalOptions,
};

use crate::sql::types::Dialect;

use super::Binder;
use super::names::Sym;
use super::relation::{Column, Found, Item, Relation};
use super::scope::Scope;
use super::sources::{How, Sources};

impl Binder<'_> {
    /// EXCEPT, EXCLUDE, REPLACE, RENAME and ILIKE on what a star put after `start`.
    pub(super) fn star_options(
        &mut self,
        options: &WildcardAdditionalOptions,
        scope: &Scope<'_>,
        items: &mut Vec<Item>,
        start: usize,
    ) {
        if no_options(options) || !self.want_columns {
            return;
        }
        if let Some(ilike) = &options.opt_ilike {
            let pattern = ilike.pattern.to_lowercase();
            let names = &self.names;
            let mut nth = 0;
            items.retain(|item| {
                nth += 1;
                match item {
                    Item::Column(column) if nth > start => like(&pattern, names.text(column.key)),
                    _ => true,
                }
            });
        }
        let mut keys: Vec<Sym> = Vec::new();
        if let Some(exclude) = &options.opt_exclude {
            keys.extend(self.excluded(exclude));
        }
        if let Some(except) = &options.opt_except {
            keys.push(self.names.fold_key(&except.first_element));
            keys.extend(except.additional_elements.iter().map(|ident| self.names.fold_key(ident)));
        }
        self.step((items.len() - start).saturating_mul(keys.len()) / 64);
        if self.is_exhausted() {
            return;
        }
        without(items, start, &keys);
        if let Some(replace) = &options.opt_replace {
            for element in &replace.items {
                let name = self.names.fold(&element.column_name);
                let sources = self.sources_of(&element.expr, scope);
                self.set_column(items, start, name, name, sources);
            }
        }
        let renames: &[_] = match &options.opt_rename {
            Some(RenameSelectItem::Single(one)) => std::slice::from_ref(one),
            Some(RenameSelectItem::Multiple(many)) => many,
            None => &[],
        };
        for rename in renames {
            let old = self.names.fold(&rename.ident);
            let new = self.names.fold(&rename.alias);
            let key = self.names.key(old);
            self.step(items.len());
            if self.is_exhausted() {
                return;
            }
            let relation = Relation::new(items[start..].to_vec());
            let sources = match relation.find(key) {
                Found::Column(column) => column.sources.clone(),
                Found::Star(star) => star.column(&mut self.names, old),
                Found::Ambiguous | Found::Nothing => continue,
            };
            self.set_column(items, start, old, new, sources);
        }
    }

    /// Gives the column `old` a new name and new sources; takes it out of a star that may hold it.
    pub(super) fn set_column(&mut self, items: &mut Vec<Item>, start: usize, old: Sym, new: Sym, sources: Sources) {
        self.step(items.len() / 16);
        if self.is_exhausted() {
            return;
        }
        let old = self.names.key(old);
        let column = Column { name: new, key: self.names.key(new), sources };
        for item in &mut items[start..] {
            if let Item::Column(known) = item
                && known.key == old
            {
                *known = column;
                return;
            }
        }
        let star = items[start..].iter().position(|item| matches!(item, Item::Star(_)));
        if let Some(at) = star {
            without(items, start, &[old]);
            items.insert(start + at, Item::Column(column));
        }
    }

    pub(super) fn excluded(&mut self, exclude: &ExcludeSelectItem) -> Vec<Sym> {
        let names = match exclude {
            ExcludeSelectItem::Single(one) => std::slice::from_ref(one),
            ExcludeSelectItem::Multiple(many) => many,
        };
        names.iter().filter_map(|name| self.last_key(name)).collect()
    }
    /// `COLUMNS('regex')`, alone or inside an expression: one column for each that matches.
    pub(super) fn columns_call(
        &mut self,
        expr: &Expr,
        alias: Option<Sym>,
        scope: &Scope<'_>,
        items: &mut Vec<Item>,
    ) -> bool {
        if !matches!(self.dialect, Dialect::DuckDb | Dialect::ClickHouse) {
            return false;
        }
        let Some(arg) = find_columns_call(expr, 0) else { return false };
        let mut all = Vec::new();
        self.all_columns(scope, &mut all);
        match arg {
            ColumnsArg::Pattern(pattern) => {
                let Ok(regex) = regex::RegexBuilder::new(pattern).case_insensitive(true).size_limit(1 << 18).build()
                else {
                    return false;
                };
                all.retain(|item| match item {
                    Item::Column(column) => regex.is_match(self.names.text(column.name)),
                    Item::Star(_) => true,
                });
            }
            ColumnsArg::Star(options) => {
                if let Some(options) = options {
                    self.star_options(options, scope, &mut all, 0);
                }
            }
            ColumnsArg::Names(names) => {
                let names: Vec<Sym> = names.iter().map(|name| self.names.intern(&name.to_lowercase())).collect();
                all.retain(|item| match item {
                    Item::Column(column) => names.contains(&column.key),
                    Item::Star(_) => true,
                });
            }
        }
        let plain = matches!(expr, Expr::Function(function) if is_columns(function));
        for item in &mut all {
            if let Item::Column(column) = item {
                if !plain {
                    let how = if let Expr::Function(outer) = expr
                        && let Some(ObjectNamePart::Identifier(name)) = outer.name.0.last()
                        && super::functions::kind(&name.value) == super::functions::Kind::Aggregate
                    {
                        How::Aggregation
                    } else {
                        How::Transformation
                    };
                    column.sources = column.sources.used(how);
                }
                if let Some(alias) = alias
                    && !self.names.text(alias).contains('\\')
                {
                    column.name = alias;
                    column.key = self.names.key(alias);
                }
            }
        }
        items.extend(all);
        true
    }
}

pub(super) fn no_options(options: &WildcardAdditionalOptions) -> bool {
    options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none()
}

/// Takes columns out of what lies after `start`.
pub(super) fn without(items: &mut Vec<Item>, start: usize, keys: &[Sym]) {
    if keys.is_empty() {
        return;
    }
    let mut nth = 0;
    items.retain_mut(|item| {
        nth += 1;
        if nth <= start {
            return true;
        }
        match item {
            Item::Column(column) => !keys.contains(&column.key),
            Item::Star(star) => {
                *star = star.without(keys);
                true
            }
        }
    });
}

/// The argument of COLUMNS.
enum ColumnsArg<'e> {
    Pattern(&'e str),
    Star(Option<&'e WildcardAdditionalOptions>),
    Names(Vec<&'e str>),
}

fn is_columns(function: &sqlparser::ast::Function) -> bool {
    matches!(function.name.0.last(), Some(ObjectNamePart::Identifier(name)) if name.value.eq_ignore_ascii_case("columns"))
}

fn find_columns_call(expr: &Expr, depth: usize) -> Option<ColumnsArg<'_>> {
    if depth > 8 {
        return None;
    }
    match expr {
        Expr::Function(function) => {
            let FunctionArguments::List(list) = &function.args else { return None };
            if !is_columns(function) {
                return list.args.iter().find_map(|arg| match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => find_columns_call(expr, depth + 1),
                    _ => None,
                });
            }
            match list.args.as_slice() {
                [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] => Some(ColumnsArg::Star(None)),
                [FunctionArg::Unnamed(FunctionArgExpr::WildcardWithOptions(options))] => {
                    Some(ColumnsArg::Star(Some(options)))
                }
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))] => match &value.value {
                    Value::SingleQuotedString(text) => Some(ColumnsArg::Pattern(text)),
                    _ => None,
                },
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Array(array)))] => Some(ColumnsArg::Names(
                    array
                        .elem
                        .iter()
                        .filter_map(|expr| match expr {
                            Expr::Value(value) => match &value.value {
                                Value::SingleQuotedString(text) => Some(text.as_str()),
                                _ => None,
                            },
                            Expr::Identifier(ident) => Some(ident.value.as_str()),
                            _ => None,
                        })
                        .collect(),
                )),
                args => {
                    let names: Vec<&str> = args
                        .iter()
                        .filter_map(|arg| match arg {
                            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(ident))) => {
                                Some(ident.value.as_str())
                            }
                            _ => None,
                        })
                        .collect();
                    if names.is_empty() { None } else { Some(ColumnsArg::Names(names)) }
                }
            }
        }
        Expr::BinaryOp { left, right, .. } => {
            find_columns_call(left, depth + 1).or_else(|| find_columns_call(right, depth + 1))
        }
        Expr::Nested(expr) | Expr::Cast { expr, .. } | Expr::UnaryOp { expr, .. } => find_columns_call(expr, depth + 1),
        _ => None,
    }
}

/// `(col).*`, `col.field.*` where the parser gives them as field access ending in a star.
pub(super) fn struct_star(expr: &Expr) -> Option<(&Expr, &[sqlparser::ast::AccessExpr])> {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else { return None };
    match access_chain.as_slice() {
        [path @ .., sqlparser::ast::AccessExpr::Dot(Expr::Wildcard(_))] => Some((root, path)),
        _ => None,
    }
}

/// SQL's LIKE with `%` and `_`, on lower-case text.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('%') => {
                back = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '_' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((percent, at)) => {
                    p = percent + 1;
                    t = at + 1;
                    back = Some((percent, at + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '%')
}
