//! Rows between tables, queries and files: COPY, LOAD, UNLOAD.

use sqlparser::ast::{CopySource, CopyTarget, Ident, Statement};

use crate::sql::front::Place;
use crate::sql::types::StatementKind;

use super::Binder;
use super::names::{TableId, Written};
use super::relation::{Column, Item, Relation};
use super::scope::{FromItem, Scope};
use super::sources::Sources;
use super::write::Target;

impl Binder<'_> {
    /// COPY, LOAD, UNLOAD and the like.
    pub(super) fn load(&mut self, from: &Place, to: &Place, columns: &[Ident]) {
        let listed = self.column_list(columns);
        let mut file: Option<TableId> = None;
        let relation = match from {
            Place::Table(name) => {
                let (_, relation) = self.read_named(name);
                if listed.is_empty() || matches!(to, Place::Table(_)) {
                    Some(relation)
                } else {
                    let scope = Scope::of(None, FromItem::new(None, None, relation));
                    let items = listed
                        .iter()
                        .map(|&name| {
                            let sources = self.lookup(&scope, name).unwrap_or_default();
                            Item::Column(Column { name, key: self.names.key(name), sources })
                        })
                        .collect();
                    Some(std::rc::Rc::new(Relation::new(items)))
                }
            }
            Place::Path(path) => {
                let text = self.names.intern(path);
                let id = self.names.table(&[text]);
                self.read(id);
                file = Some(id);
                None
            }
            Place::Paths(paths) => {
                for path in paths {
                    let text = self.names.intern(path);
                    let id = self.names.table(&[text]);
                    self.read(id);
                    file = Some(id);
                }
                None
            }
            Place::Query(query) => Some(self.query(query, None)),
            Place::Client => None,
        };
        let target = match to {
            Place::Table(name) => self.target(name),
            Place::Path(path) => {
                let text = self.names.intern(path);
                Target::Table(self.names.table(&[text]))
            }
            Place::Query(_) | Place::Paths(_) | Place::Client => Target::Nothing,
        };
        self.wrote(&target);
        match relation {
            Some(relation) => {
                let names = match to {
                    Place::Table(_) if listed.is_empty() => self.target_schema(&target),
                    Place::Table(_) => Some(listed),
                    _ => None,
                };
                self.derive_all(&target, names.as_deref(), &relation);
            }
            None => self.touch_temp(&target, file),
        }
    }

    /// A temporary table filled from a file.
    pub(super) fn touch_temp(&mut self, target: &Target, file: Option<TableId>) {
        if let (Target::Temp(id), Some(file)) = (target, file)
            && let Some(temp) = self.temps.get_mut(id)
        {
            temp.bases.push(file);
        }
    }

    /// Postgres' COPY.
    pub(super) fn copy(&mut self, source: &CopySource, to: bool, target: &CopyTarget) {
        let file = match target {
            CopyTarget::File { filename } => Place::Path(filename.clone()),
            _ => Place::Client,
        };
        match (source, to) {
            (CopySource::Table { table_name, columns }, true) => {
                self.load(&Place::Table(table_name.clone()), &file, columns)
            }
            (CopySource::Table { table_name, columns }, false) => {
                self.load(&file, &Place::Table(table_name.clone()), columns)
            }
            (CopySource::Query(query), _) => {
                let target = match &file {
                    Place::Path(path) => {
                        let text = self.names.intern(path);
                        Target::Table(self.names.table(&[text]))
                    }
                    _ => Target::Nothing,
                };
                self.write_query(&target, None, query);
            }
        }
    }

    /// Snowflake's COPY INTO, both ways.
    pub(super) fn copy_into(&mut self, statement: &Statement) -> StatementKind {
        use sqlparser::ast::helpers::stmt_data_loading::StageLoadSelectItemKind;
        let Statement::CopyIntoSnowflake {
            into,
            into_columns,
            from_obj,
            from_obj_alias,
            from_transformations,
            from_query,
            ..
        } = statement
        else {
            return StatementKind::Copy;
        };
        let target = self.target(into);
        self.wrote(&target);
        let literal = matches!(self.names.written(into), Written::Literal(_));
        let listed = self.column_list(into_columns.iter().flatten());
        if let Some(query) = from_query {
            let relation = self.query(query, None);
            let names = if listed.is_empty() { self.target_schema(&target) } else { Some(listed.clone()) };
            self.derive_all(&target, names.as_deref(), &relation);
        }
        if let Some(from) = from_obj {
            let (file, relation) = self.read_named(from);
            if let Some(transformations) = from_transformations {
                let alias = from_obj_alias.as_ref().map(|alias| self.names.fold_key(alias));
                let mut scope = Scope::of(None, FromItem::new(alias, file, relation));
                let mut items = Vec::new();
                for item in transformations {
                    match item {
                        StageLoadSelectItemKind::SelectItem(item) => self.select_item(item, &mut scope, &mut items),
                        StageLoadSelectItemKind::StageLoadSelectItem(item) => {
                            let name = self.names.intern(&format!("${}", item.file_col_num));
                            let sources = match file {
                                Some(file) => self.file_column(file, name),
                                None => Sources::None,
                            };
                            let name = item.item_as.as_ref().map_or(name, |alias| self.names.fold(alias));
                            items.push(Item::Column(Column { name, key: self.names.key(name), sources }));
                        }
                    }
                }
                let names = if listed.is_empty() { self.target_schema(&target) } else { Some(listed) };
                self.derive_all(&target, names.as_deref(), &Relation::new(items));
            } else if literal {
                self.derive_all(&target, None, &relation);
            } else {
                self.touch_temp(&target, file);
            }
        }
        if literal { StatementKind::Unload } else { StatementKind::Copy }
    }
}
