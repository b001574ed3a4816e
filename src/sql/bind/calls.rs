//! Calls of functions: what their results are made of.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, Value, WindowType,
};

use crate::sql::types::Dialect;

use super::Binder;
use super::functions::{self, Kind};
use super::scope::Scope;
use super::sources::{Gathered, How, Sources};

impl Binder<'_> {
    /// A call: what its arguments and clauses are made of.
    pub(super) fn function(&mut self, function: &Function, scope: &Scope<'_>, how: How, out: &mut Gathered) {
        let name = match function.name.0.last() {
            Some(ObjectNamePart::Identifier(ident)) => ident.value.as_str(),
            _ => "",
        };
        let kind = functions::kind(name);
        let inner = match kind {
            _ if how <= How::Conditional => how,
            Kind::Aggregate => How::Aggregation,
            _ => how.computed(),
        };
        // T-SQL's XML type: `t.doc.value('…', 'int')`. Objects of Oracle and ClickHouse are not followed.
        if let Some(sources) = self.method_receiver(&function.name, &["value", "query", "exist"], scope) {
            self.add(&sources, inner, out);
        }
        if let Some(sources) = self.inserted_value(function, scope) {
            return self.add(&sources, how, out);
        }
        match &function.args {
            FunctionArguments::None => {}
            FunctionArguments::Subquery(query) => self.subquery(query, scope, inner, out),
            FunctionArguments::List(list) => {
                let last = list.args.len().saturating_sub(1);
                self.higher_order += usize::from(kind == Kind::HigherOrder);
                for (nth, arg) in list.args.iter().enumerate() {
                    let arg_how = if kind == Kind::Choice && nth == 0 { How::Conditional.min(inner) } else { inner };
                    if kind == Kind::DateUnit && last > 0 && (nth == 0 || nth == last) && is_unit(arg) {
                        continue;
                    }
                    if nth == 0 && name.eq_ignore_ascii_case("xmlelement") && is_name(arg) {
                        continue;
                    }
                    if kind == Kind::Dictionary && nth == 0 && self.dictionary(arg) {
                        continue;
                    }
                    self.function_arg(arg, name, scope, arg_how, out);
                }
                self.higher_order -= usize::from(kind == Kind::HigherOrder);
                for clause in &list.clauses {
                    match clause {
                        FunctionArgumentClause::OrderBy(by) => self.order_by(by, scope, How::Window.min(inner), out),
                        FunctionArgumentClause::Where(expr) | FunctionArgumentClause::Limit(expr) => {
                            self.expr(expr, scope, How::Conditional.min(inner), out);
                        }
                        FunctionArgumentClause::Having(bound) => {
                            self.expr(&bound.1, scope, How::Conditional.min(inner), out);
                        }
                        _ => {}
                    }
                }
            }
        }
        if let FunctionArguments::List(list) = &function.parameters {
            for arg in &list.args {
                self.function_arg(arg, name, scope, inner, out);
            }
        }
        self.order_by(&function.within_group, scope, inner, out);
        if let Some(filter) = &function.filter {
            self.expr(filter, scope, How::Conditional.min(inner), out);
        }
        match &function.over {
            None => {}
            Some(WindowType::WindowSpec(spec)) => self.window_spec(spec, scope, How::Window.min(inner), out),
            Some(WindowType::NamedWindow(name)) => self.named_window(name, scope, How::Window.min(inner), out),
        }
    }

    fn function_arg(&mut self, arg: &FunctionArg, function: &str, scope: &Scope<'_>, how: How, out: &mut Gathered) {
        let arg = match arg {
            FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } | FunctionArg::Unnamed(arg) => arg,
        };
        match arg {
            FunctionArgExpr::Expr(expr) => self.expr(expr, scope, how, out),
            FunctionArgExpr::QualifiedWildcard(name) => {
                if !counts(function) {
                    self.qualified_star(name, scope, how, out);
                }
            }
            FunctionArgExpr::Wildcard | FunctionArgExpr::WildcardWithOptions(_) => {
                if !counts(function) && how != How::Skip {
                    for item in &scope.items {
                        let relation = std::rc::Rc::clone(&item.relation);
                        let sources = relation.all_sources(&mut self.names);
                        self.add(&sources, how, out);
                    }
                }
            }
        }
    }

    /// What stands before the dot of a call of one of these methods of T-SQL's, if it is a column.
    pub(super) fn method_receiver(
        &mut self,
        name: &ObjectName,
        methods: &[&str],
        scope: &Scope<'_>,
    ) -> Option<Sources> {
        if self.dialect != Dialect::TSql || name.0.len() < 2 {
            return None;
        }
        let (method, receiver) = name.0.split_last()?;
        let method = method.as_ident()?;
        if !methods.iter().any(|name| method.value.eq_ignore_ascii_case(name)) {
            return None;
        }
        let idents: Vec<Ident> = receiver.iter().filter_map(|part| part.as_ident().cloned()).collect();
        match idents.as_slice() {
            [column] => self.identifier(column, scope),
            _ => self.lookup_qualified(scope, &idents),
        }
    }

    /// MySQL's VALUES(a) in ON DUPLICATE KEY UPDATE: what would have been inserted.
    fn inserted_value(&mut self, function: &Function, scope: &Scope<'_>) -> Option<Sources> {
        if self.dialect != Dialect::MySql {
            return None;
        }
        let ([name], FunctionArguments::List(list)) = (function.name.0.as_slice(), &function.args) else { return None };
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(column)))] = list.args.as_slice() else {
            return None;
        };
        if !name.as_ident()?.value.eq_ignore_ascii_case("values") {
            return None;
        }
        let inserted = scope.items.iter().find(|item| !item.visible)?;
        let column = self.names.fold(column);
        self.item_column(inserted, &[column])
    }

    /// Reads the dictionary that the first argument names.
    fn dictionary(&mut self, arg: &FunctionArg) -> bool {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else { return false };
        let written = match expr {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) => self.names.written_text(text),
                _ => return false,
            },
            Expr::Identifier(ident) => self.names.written(&ObjectName::from(ident.clone())),
            Expr::CompoundIdentifier(idents) => self.names.written(&ObjectName::from(idents.clone())),
            _ => return false,
        };
        self.read_written(written);
        true
    }
}

fn is_unit(arg: &FunctionArg) -> bool {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(ident))) => {
            ident.quote_style.is_none() && functions::is_date_unit(&ident.value)
        }
        // WEEK(MONDAY)
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(function))) => {
            function.to_string().to_ascii_lowercase().starts_with("week(")
        }
        _ => false,
    }
}

fn is_name(arg: &FunctionArg) -> bool {
    matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(_))))
}

/// Whether a function counts rows, whatever is in them.
fn counts(function: &str) -> bool {
    ["count", "count_big", "countif", "approx_count"].iter().any(|name| function.eq_ignore_ascii_case(name))
}
