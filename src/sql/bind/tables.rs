//! FROM items that are made rather than read: table functions, UNNEST, JSON and XML tables, PIVOT, UNPIVOT,
//! MATCH_RECOGNIZE, lateral views.

use std::rc::Rc;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, JsonTableColumn, LateralView, ObjectName,
    ObjectNamePart, TableAlias, TableFactor, Value,
};

use crate::sql::types::{Dialect, Transformation};

use super::Binder;
use super::names::Written;
use super::relation::{Column, Item, Relation};
use super::scope::{FromItem, Scope};
use super::sources::{Gathered, How, Sources};

impl Binder<'_> {
    pub(super) fn function_args(&mut self, args: &[FunctionArg], scope: &Scope<'_>, out: &mut Gathered) {
        let how = if self.want_columns { How::Transformation } else { How::Skip };
        for arg in args {
            let (FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } | FunctionArg::Unnamed(arg)) = arg;
            if let FunctionArgExpr::Expr(expr) = arg {
                self.expr(expr, scope, how, out);
            }
        }
    }

    /// A table function by name, with columns where they are known to be fixed.
    pub(super) fn table_function(
        &mut self,
        scope: &mut Scope<'_>,
        name: &ObjectName,
        args: &[FunctionArg],
        alias: Option<&TableAlias>,
        ordinality: bool,
    ) {
        let last = match name.0.last() {
            Some(
                ObjectNamePart::Identifier(ident)
                | ObjectNamePart::Function(sqlparser::ast::ObjectNamePartFunction { name: ident, .. }),
            ) => ident.value.to_ascii_lowercase(),
            None => String::new(),
        };
        // TABLE(f(…)) is f.
        if let ("table" | "lateral", [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(inner)))]) =
            (last.as_str(), args)
        {
            let inner_args = match &inner.args {
                FunctionArguments::List(list) => list.args.as_slice(),
                _ => &[],
            };
            self.table_function(scope, &inner.name, inner_args, alias, ordinality);
            return;
        }
        if let Some(written) = self.table_argument(&last, args) {
            let (table, relation) = self.read_written(written);
            let relation = self.with_alias_columns(relation, alias);
            self.push(scope, alias, table, relation);
            return;
        }
        if matches!(last.as_str(), "openquery" | "openrowset" | "opendatasource" | "external_query") {
            self.note("what another server is asked for");
        }
        let mut out = Gathered::default();
        self.function_args(args, scope, &mut out);
        if let Some(column) = self.method_receiver(name, &["nodes"], scope) {
            out.add(&column, How::Transformation);
        }
        let value = out.finish();
        let relation = self.function_relation(&last, args, alias, &value, ordinality);
        self.push_called(scope, alias, &last, relation);
    }

    /// Puts what a function gives in sight, under its alias or the function's name.
    fn push_called(
        &mut self,
        scope: &mut Scope<'_>,
        alias: Option<&TableAlias>,
        function: &str,
        relation: Rc<Relation>,
    ) {
        let known_by = match alias {
            Some(alias) => self.names.fold_key(&alias.name),
            None => self.names.intern(function),
        };
        scope.items.push(FromItem::new(Some(known_by), None, relation));
    }

    /// The table that a function hands on as it is: Databricks' STREAM(t) and table_changes('t', …).
    fn table_argument(&mut self, function: &str, args: &[FunctionArg]) -> Option<Written> {
        let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) = args.first() else { return None };
        if !matches!(self.dialect, Dialect::Databricks | Dialect::Spark) {
            return None;
        }
        match (function, first) {
            ("stream", Expr::Identifier(ident)) => Some(self.names.written(&ObjectName::from(ident.clone()))),
            ("stream", Expr::CompoundIdentifier(idents)) => Some(self.names.written(&ObjectName::from(idents.clone()))),
            ("table_changes", Expr::Value(value)) => match &value.value {
                Value::SingleQuotedString(text) => Some(self.names.written_text(text)),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn function_relation(
        &mut self,
        name: &str,
        args: &[FunctionArg],
        alias: Option<&TableAlias>,
        value: &Sources,
        ordinality: bool,
    ) -> Rc<Relation> {
        if let Some(alias) = alias
            && !alias.columns.is_empty()
        {
            return self.element_relation(Some(alias), None, value.clone());
        }
        let fixed: &[&str] = match name {
            "flatten" => &["seq", "key", "path", "index", "value", "this"],
            "split_to_table" => &["seq", "index", "value"],
            "openjson" => &["key", "value", "type"],
            "string_split" => &["value", "ordinal"],
            "json_each" | "jsonb_each" | "json_each_text" | "jsonb_each_text" => &["key", "value"],
            "json_array_elements"
            | "jsonb_array_elements"
            | "json_array_elements_text"
            | "jsonb_array_elements_text" => &["value"],
            "posexplode" | "posexplode_outer" => &["pos", "col"],
            "explode" | "explode_outer" => &["col"],
            "variant_explode" | "variant_explode_outer" => &["pos", "key", "value"],
            _ => &[],
        };
        if !fixed.is_empty() {
            let mut items: Vec<Item> = Vec::with_capacity(fixed.len() + 1);
            for column in fixed {
                let name = self.names.intern(column);
                let sources = if matches!(*column, "seq" | "pos" | "ordinal") { Sources::None } else { value.clone() };
                items.push(Item::Column(Column { name, key: name, sources }));
            }
            return Rc::new(Relation::new(items));
        }
        match name {
            "json_tuple" => {
                let items = (0..args.len().saturating_sub(1))
                    .map(|nth| {
                        let name = self.names.intern(&format!("c{nth}"));
                        Item::Column(Column { name, key: name, sources: value.clone() })
                    })
                    .collect();
                Rc::new(Relation::new(items))
            }
            "generate_series"
            | "range"
            | "sequence"
            | "generate_date_array"
            | "generate_array"
            | "unnest"
            | "generate_timestamp_array"
            | "regexp_split_to_table"
            | "string_to_table"
            | "generate_subscripts"
            | "json_object_keys"
            | "jsonb_object_keys"
            | "values" => {
                let relation = self.element_relation(alias, Some(name), value.clone());
                if ordinality { self.with_ordinality(&relation) } else { relation }
            }
            _ => Rc::new(Relation::weak(value.clone())),
        }
    }

    pub(super) fn with_ordinality(&mut self, relation: &Relation) -> Rc<Relation> {
        let mut items = relation.items.clone();
        let name = self.names.intern("ordinality");
        items.push(Item::Column(Column { name, key: name, sources: Sources::None }));
        Rc::new(Relation::new(items))
    }

    /// Hive's and Spark's LATERAL VIEW.
    pub(super) fn lateral_view(&mut self, scope: &mut Scope<'_>, view: &LateralView) {
        let mut out = Gathered::default();
        let how = if self.want_columns { How::Transformation } else { How::Skip };
        let mut name = String::new();
        let mut args: &[FunctionArg] = &[];
        match &view.lateral_view {
            Expr::Function(Function { name: function, args: FunctionArguments::List(list), .. }) => {
                name = function.to_string().to_ascii_lowercase();
                args = &list.args;
                self.function_args(args, scope, &mut out);
            }
            expr => self.expr(expr, scope, how, &mut out),
        }
        let value = out.finish();
        let alias = self.last_key(&view.lateral_view_name);
        let relation = if view.lateral_col_alias.is_empty() {
            // Of `LATERAL VIEW explode(a) c` the name is also read as the column's: the whole row.
            self.function_relation(&name, args, None, &value, false)
        } else {
            let position = name.starts_with("posexplode");
            let items = view
                .lateral_col_alias
                .iter()
                .enumerate()
                .map(|(nth, ident)| {
                    let name = self.names.fold(ident);
                    let sources = if position && nth == 0 { Sources::None } else { value.clone() };
                    Item::Column(Column { name, key: self.names.key(name), sources })
                })
                .collect();
            Rc::new(Relation::new(items))
        };
        scope.items.push(FromItem::new(alias, None, relation));
    }

    /// The FROM items that are neither tables nor subqueries.
    pub(super) fn special_factor(&mut self, scope: &mut Scope<'_>, factor: &TableFactor) {
        match factor {
            TableFactor::TableFunction { expr, alias } => match expr {
                Expr::Function(function) => {
                    let args = match &function.args {
                        FunctionArguments::List(list) => list.args.as_slice(),
                        FunctionArguments::Subquery(query) => {
                            let relation = self.query(query, Some(scope));
                            let relation = self.with_alias_columns(relation, alias.as_ref());
                            self.push(scope, alias.as_ref(), None, relation);
                            return;
                        }
                        FunctionArguments::None => &[],
                    };
                    self.table_function(scope, &function.name, args, alias.as_ref(), false);
                }
                Expr::Value(value) => {
                    // TABLE('db.t')
                    if let Value::SingleQuotedString(text) = &value.value {
                        let written = self.names.written_text(text);
                        let (table, relation) = self.read_written(written);
                        self.push(scope, alias.as_ref(), table, relation);
                    }
                }
                expr => {
                    let value = self.sources_of(expr, scope).used(How::Transformation);
                    let relation = self.element_relation(alias.as_ref(), Some("column_value"), value);
                    self.push(scope, alias.as_ref(), None, relation);
                }
            },
            TableFactor::Function { name, args, alias, with_ordinality, .. } => {
                self.table_function(scope, name, args, alias.as_ref(), *with_ordinality);
            }
            TableFactor::UNNEST { alias, array_exprs, with_offset, with_offset_alias, with_ordinality } => {
                self.unnest(
                    scope,
                    alias.as_ref(),
                    array_exprs,
                    *with_offset,
                    with_offset_alias.as_ref(),
                    *with_ordinality,
                );
            }
            TableFactor::JsonTable { json_expr, columns, alias, .. } => {
                let value = self.value_of(json_expr, scope);
                let mut items = Vec::new();
                self.json_columns(columns, &value, &mut items);
                self.push(scope, alias.as_ref(), None, Rc::new(Relation::new(items)));
            }
            TableFactor::OpenJsonTable { json_expr, columns, alias, .. } => {
                let value = self.value_of(json_expr, scope);
                let items = if columns.is_empty() {
                    ["key", "value", "type"]
                        .into_iter()
                        .map(|column| {
                            let name = self.names.intern(column);
                            Item::Column(Column { name, key: name, sources: value.clone() })
                        })
                        .collect()
                } else {
                    columns.iter().map(|column| self.made_column(&column.name, value.clone())).collect()
                };
                let relation = self.with_alias_columns(Rc::new(Relation::new(items)), alias.as_ref());
                self.push(scope, alias.as_ref(), None, relation);
            }
            TableFactor::XmlTable { row_expression, passing, columns, alias, .. } => {
                let mut out = Gathered::default();
                let how = if self.want_columns { How::Transformation } else { How::Skip };
                self.expr(row_expression, scope, how, &mut out);
                for argument in &passing.arguments {
                    self.expr(&argument.expr, scope, how, &mut out);
                }
                let value = out.finish();
                let items = columns.iter().map(|column| self.made_column(&column.name, value.clone())).collect();
                let relation = self.with_alias_columns(Rc::new(Relation::new(items)), alias.as_ref());
                self.push_called(scope, alias.as_ref(), "xmltable", relation);
            }
            TableFactor::Pivot { table, aggregate_functions, value_column, value_source, alias, .. } => {
                let input = self.input_of(scope, table);
                let relation = self.pivot(scope, &input, aggregate_functions, value_column, value_source);
                let relation = self.with_alias_columns(relation, alias.as_ref());
                self.push_made(scope, alias.as_ref(), table, relation);
            }
            TableFactor::Unpivot { table, value, name, columns, alias, .. } => {
                let input = self.input_of(scope, table);
                let values: Vec<&Expr> = match value {
                    Expr::Tuple(list) => list.iter().collect(),
                    Expr::Nested(inner) => vec![inner],
                    other => vec![other],
                };
                let values: Vec<Ident> = values
                    .into_iter()
                    .filter_map(|value| match value {
                        Expr::Identifier(ident) => Some(ident.clone()),
                        _ => None,
                    })
                    .collect();
                let groups: Vec<&Expr> = columns.iter().map(|column| &column.expr).collect();
                let relation = self.unpivot(&input, &values, name, &groups);
                let relation = self.with_alias_columns(relation, alias.as_ref());
                self.push_made(scope, alias.as_ref(), table, relation);
            }
            TableFactor::UnpivotExpr { expression, value_alias, attribute_alias } => {
                let value = self.value_of(expression, scope);
                let mut items = vec![self.made_column(value_alias, value.clone())];
                if let Some(attribute) = attribute_alias {
                    items.push(self.made_column(attribute, value));
                }
                scope.items.push(FromItem::new(None, None, Rc::new(Relation::new(items))));
            }
            TableFactor::MatchRecognize { .. } => self.match_recognize(scope, factor),
            TableFactor::SemanticView { name, dimensions, metrics, facts, where_clause, alias } => {
                let (table, relation) = self.read_named(name);
                let inner = Scope::of(Some(scope), FromItem::new(None, table, Rc::clone(&relation)));
                let mut items = Vec::new();
                for expr in dimensions.iter().chain(metrics).chain(facts) {
                    if let Some(name) = self.implied_name(expr) {
                        let sources = self.sources_of(expr, &inner);
                        items.push(Item::Column(Column { name, key: self.names.key(name), sources }));
                    }
                }
                if let Some(expr) = where_clause {
                    self.indirect(expr, &inner, Transformation::Filter);
                }
                items.extend(relation.items.iter().filter(|item| matches!(item, Item::Star(_))).cloned());
                self.push(scope, alias.as_ref(), table, Rc::new(Relation::new(items)));
            }
            // Tables, subqueries and joins are the caller's.
            TableFactor::Table { .. } | TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => {}
        }
    }

    /// A computed value's sources.
    pub(super) fn value_of(&mut self, expr: &Expr, scope: &Scope<'_>) -> Sources {
        let mut out = Gathered::default();
        let how = if self.want_columns { How::Transformation } else { How::Skip };
        self.expr(expr, scope, how, &mut out);
        out.finish()
    }

    pub(super) fn made_column(&mut self, ident: &Ident, sources: Sources) -> Item {
        let name = self.names.fold(ident);
        Item::Column(Column { name, key: self.names.key(name), sources })
    }

    pub(super) fn json_columns(&mut self, columns: &[JsonTableColumn], value: &Sources, items: &mut Vec<Item>) {
        if !self.enter() {
            return;
        }
        for column in columns {
            match column {
                JsonTableColumn::Named(named) => {
                    let item = self.made_column(&named.name, value.clone());
                    items.push(item);
                }
                JsonTableColumn::ForOrdinality(name) => {
                    let item = self.made_column(name, Sources::None);
                    items.push(item);
                }
                JsonTableColumn::Nested(nested) => self.json_columns(&nested.columns, value, items),
            }
        }
        self.leave();
    }

    pub(super) fn unnest(
        &mut self,
        scope: &mut Scope<'_>,
        alias: Option<&TableAlias>,
        arrays: &[Expr],
        with_offset: bool,
        offset_alias: Option<&Ident>,
        ordinality: bool,
    ) {
        let values: Vec<Sources> = arrays.iter().map(|array| self.value_of(array, scope)).collect();
        let mut all = Gathered::default();
        for value in &values {
            all.add(value, How::Identity);
        }
        let all = all.finish();
        let relation = match alias {
            Some(alias) if !alias.columns.is_empty() => {
                // Several arrays give one column each; one array of rows gives all of them.
                let given = alias.columns.len();
                let mut items = Vec::with_capacity(given);
                for (nth, column) in alias.columns.iter().enumerate() {
                    let sources = match values.get(nth) {
                        Some(value) if values.len() > 1 => value.clone(),
                        None if values.len() > 1 => Sources::None,
                        _ if ordinality && given > 1 && nth + 1 == given => Sources::None,
                        _ => all.clone(),
                    };
                    let item = self.made_column(&column.name, sources);
                    items.push(item);
                }
                Rc::new(Relation::new(items))
            }
            _ => self.element_relation(alias, Some("unnest"), all),
        };
        self.push(scope, alias, None, relation);
        if with_offset {
            let name = match offset_alias {
                Some(ident) => self.names.fold(ident),
                None => self.names.intern("offset"),
            };
            let column = Item::Column(Column { name, key: self.names.key(name), sources: Sources::None });
            scope.items.push(FromItem::new(None, None, Rc::new(Relation::new(vec![column]))));
        }
    }

    /// The relation of a FROM item that PIVOT and the like work on.
    pub(super) fn input_of(&mut self, scope: &Scope<'_>, table: &TableFactor) -> Rc<Relation> {
        let mut inner = Scope::under(Some(scope));
        self.factor(&mut inner, table, true);
        if let [only] = inner.items.as_slice()
            && inner.merged.is_empty()
        {
            return Rc::clone(&only.relation);
        }
        let mut items = Vec::new();
        self.all_columns(&inner, &mut items);
        Rc::new(Relation::new(items))
    }

    /// Known by its own alias, else by the name or alias of what it was made from.
    pub(super) fn push_made(
        &mut self,
        scope: &mut Scope<'_>,
        alias: Option<&TableAlias>,
        from: &TableFactor,
        relation: Rc<Relation>,
    ) {
        let key = match alias {
            Some(alias) => Some(self.names.fold_key(&alias.name)),
            None => match from {
                TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
                    Some(self.names.fold_key(&alias.name))
                }
                TableFactor::Table { name, .. } => self.last_key(name),
                _ => None,
            },
        };
        scope.items.push(FromItem::new(key, None, relation));
    }
}
