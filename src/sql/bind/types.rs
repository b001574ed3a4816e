//! Types of columns, as far as `struct.*` needs them.

use sqlparser::ast::{AccessExpr, DataType, Expr};
use sqlparser::dialect::{BigQueryDialect, DatabricksDialect, DuckDbDialect};
use sqlparser::parser::Parser;

use super::Binder;
use super::relation::{Column, Item, Star};
use super::scope::Scope;
use super::sources::How;

impl Binder<'_> {
    /// `col.*`: the fields of a structured column, each made of that column.
    pub(super) fn struct_columns(
        &mut self,
        root: &Expr,
        path: &[AccessExpr],
        scope: &Scope<'_>,
        items: &mut Vec<Item>,
    ) {
        if !self.want_columns {
            return;
        }
        let root = if let Expr::Nested(inner) = root { inner } else { root };
        let sources = self.sources_of(root, scope);
        let mut fields: Vec<String> = Vec::new();
        if let [only] = sources.as_slice()
            && only.how() == How::Identity
            && let Some(text) = self.data_type(only.column())
            && let Some(data_type) = parse(&text)
        {
            let mut inside = &data_type;
            let mut steps: Vec<String> = match root {
                // Which of the parts is the column is known by its name.
                Expr::CompoundIdentifier(idents) => {
                    let column = self.names.column_parts(only.column()).1;
                    let column = self.names.text(self.names.key(column));
                    let at = idents.iter().position(|ident| ident.value.to_lowercase() == **column);
                    idents.iter().skip(at.map_or(idents.len(), |at| at + 1)).map(|ident| ident.value.clone()).collect()
                }
                _ => Vec::new(),
            };
            steps.extend(path.iter().filter_map(|access| match access {
                AccessExpr::Dot(Expr::Identifier(ident)) => Some(ident.value.clone()),
                _ => None,
            }));
            let mut known = true;
            for step in steps {
                let field = members(inside).into_iter().find(|(name, _)| name.eq_ignore_ascii_case(&step));
                match field {
                    Some((_, field)) => inside = field,
                    None => {
                        known = false;
                        break;
                    }
                }
            }
            if known {
                fields = members(inside).into_iter().map(|(name, _)| name.to_owned()).collect();
            }
        }
        if fields.is_empty() {
            items.push(Item::Star(Star { value: sources, ..Star::default() }));
            return;
        }
        for field in fields {
            let name = self.names.intern(&field.to_lowercase());
            items.push(Item::Column(Column { name, key: name, sources: sources.used(How::Transformation) }));
        }
    }
}

/// A type as a catalog writes it, in whichever dialect reads it.
fn parse(text: &str) -> Option<DataType> {
    if text.len() > 1 << 16 {
        return None;
    }
    let databricks = DatabricksDialect {};
    let bigquery = BigQueryDialect {};
    let duckdb = DuckDbDialect {};
    // Trino's ROW(a x), ClickHouse's Tuple(a x) and Snowflake's OBJECT(a x) are DuckDB's STRUCT(a x).
    let text =
        text.to_lowercase().replace("row(", "struct(").replace("tuple(", "struct(").replace("object(", "struct(");
    let dialects: [&dyn sqlparser::dialect::Dialect; 3] = [&bigquery, &databricks, &duckdb];
    dialects.into_iter().find_map(|dialect| {
        let data_type = Parser::new(dialect).try_with_sql(&text).ok()?.parse_data_type().ok()?;
        (!members(&data_type).is_empty()).then_some(data_type)
    })
}

/// Fields of a structure; those of its elements if it is an array.
fn members(data_type: &DataType) -> Vec<(&str, &DataType)> {
    match data_type {
        DataType::Struct(fields, _) => fields
            .iter()
            .filter_map(|field| Some((field.field_name.as_ref()?.value.as_str(), &field.field_type)))
            .collect(),
        DataType::Tuple(fields) => fields
            .iter()
            .filter_map(|field| Some((field.field_name.as_ref()?.value.as_str(), &field.field_type)))
            .collect(),
        _ => Vec::new(),
    }
}
