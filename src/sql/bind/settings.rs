//! What a statement sets for those after it: USE, the search path, variables that hold tables.

use std::sync::Arc;

use sqlparser::ast::{Declare, Expr, ObjectName, ObjectNamePart, Set, Use, Value};

use crate::sql::types::Dialect;

use super::Binder;
use super::scope::Scope;
use super::sources::{Gathered, How};

impl Binder<'_> {
    /// Table variables and queries of cursors.
    pub(super) fn declare(&mut self, declare: &Declare) {
        if let Some(query) = &declare.for_query {
            self.query(query, None);
        }
        if let Some(
            sqlparser::ast::DeclareAssignment::Expr(expr)
            | sqlparser::ast::DeclareAssignment::For(expr)
            | sqlparser::ast::DeclareAssignment::Default(expr)
            | sqlparser::ast::DeclareAssignment::MsSqlAssignment(expr)
            | sqlparser::ast::DeclareAssignment::DuckAssignment(expr),
        ) = &declare.assignment
        {
            self.expr(expr, &Scope::default(), How::Skip, &mut Gathered::default());
        }
        if let Some(sqlparser::ast::DataType::Table(columns)) = &declare.data_type {
            let declared = self.column_list(columns.iter().flatten().map(|column| &column.name));
            for name in &declare.names {
                let relation = self.declared_relation(&declared);
                self.create_temp(&ObjectName::from(name.clone()), relation, true);
            }
        }
    }

    pub(super) fn use_statement(&mut self, target: &Use) {
        match target {
            Use::Catalog(name) | Use::Database(name) => {
                let parts = self.name_parts(name);
                if let Some(database) = parts.into_iter().next() {
                    self.set_database(database);
                }
            }
            Use::Schema(name) => {
                let mut parts = self.name_parts(name);
                let Some(schema) = parts.pop() else { return };
                if let Some(database) = parts.pop() {
                    self.session.defaults.database = Some(database);
                }
                self.session.defaults.schemas = vec![schema];
            }
            Use::Object(name) => {
                let mut parts = self.name_parts(name);
                let Some(last) = parts.pop() else { return };
                match parts.pop() {
                    Some(database) => {
                        self.session.defaults.database = Some(database);
                        self.session.defaults.schemas = vec![last];
                    }
                    None => self.use_one(last),
                }
            }
            Use::Default => self.session.defaults.schemas = vec![Arc::from("default")],
            Use::Warehouse(_) | Use::Role(_) | Use::SecondaryRoles(_) => {}
        }
    }

    /// `USE x`: a schema where there is nothing above it or that is what the dialect means; a database elsewhere.
    pub(super) fn use_one(&mut self, name: Arc<str>) {
        let defaults = &mut self.session.defaults;
        match self.dialect {
            Dialect::MySql | Dialect::Hive | Dialect::ClickHouse
                if defaults.database.is_some() && defaults.schemas.is_empty() =>
            {
                defaults.database = Some(name);
            }
            Dialect::MySql
            | Dialect::Hive
            | Dialect::ClickHouse
            | Dialect::Spark
            | Dialect::Databricks
            | Dialect::Trino
            | Dialect::Athena
            | Dialect::DuckDb
            | Dialect::Teradata => defaults.schemas = vec![name],
            _ => self.set_database(name),
        }
    }

    pub(super) fn set_database(&mut self, name: Arc<str>) {
        let defaults = &mut self.session.defaults;
        let changed = defaults.database.as_ref() != Some(&name);
        defaults.database = Some(name);
        if self.dialect == Dialect::Snowflake && changed && !defaults.schemas.is_empty() {
            defaults.schemas = vec![Arc::from("public")];
        }
    }

    pub(super) fn name_parts(&mut self, name: &ObjectName) -> Vec<Arc<str>> {
        let mut parts = Vec::new();
        for part in &name.0 {
            if let ObjectNamePart::Identifier(ident) = part {
                let sym = self.names.fold(ident);
                parts.push(Arc::clone(self.names.text(sym)));
            }
        }
        parts
    }

    /// SET: the search path, and subqueries of values.
    pub(super) fn set(&mut self, set: &Set) {
        let Set::SingleAssignment { variable, values, .. } = set else { return };
        let scope = Scope::default();
        for value in values {
            self.expr(value, &scope, How::Skip, &mut Gathered::default());
        }
        let Some(name) = self.last_key(variable) else { return };
        let name = self.names.text(name).to_string();
        if !matches!(name.as_str(), "search_path" | "schema" | "current_schema") {
            return;
        }
        let mut schemas = Vec::new();
        for value in values {
            let texts: Vec<String> = match value {
                Expr::Identifier(ident) => {
                    let sym = self.names.fold(ident);
                    vec![self.names.text(sym).to_string()]
                }
                Expr::Value(value) => match &value.value {
                    Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => {
                        text.split(',').map(|part| part.trim().trim_matches('"').to_lowercase()).collect()
                    }
                    _ => Vec::new(),
                },
                _ => Vec::new(),
            };
            schemas.extend(texts.into_iter().filter(|text| !text.starts_with('$') && !text.is_empty()).map(Arc::from));
        }
        if !schemas.is_empty() {
            self.session.defaults.schemas = schemas;
        }
    }
}
