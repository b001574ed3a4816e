//! Statements: which part of the binder each goes to, and what is given out about it.

use std::sync::Arc;

use sqlparser::ast::{
    CopySource, CopyTarget, Declare, Expr, Ident, ObjectName, ObjectNamePart, ObjectType, Set, Statement, Use, Value,
};

use crate::sql::front::{Body, Extra, Piece, Place};
use crate::sql::types::{Dialect, IndirectUse, JoinUse, StatementKind, StatementLineage, Status, TableName};

use super::names::{TableId, Written};
use super::relation::{Column, Item, Relation};
use super::scope::{FromItem, Scope};
use super::sources::{Gathered, How, Sources};
use super::write::Target;
use super::{Answer, Binder, Derived};

impl Binder<'_> {
    /// Binds a piece and adds what is known about it and the pieces inside of it.
    pub(in crate::sql) fn piece(&mut self, piece: &Piece, out: &mut Vec<StatementLineage>) {
        self.answer = Answer::default();
        self.into_target = false;
        self.generated = 0;
        let share = self.options.limits.steps;
        if self.steps > share {
            out.push(failed(piece, StatementKind::Other, "the script takes too many steps to bind".to_owned()));
            return;
        }
        match &piece.body {
            Body::Parsed(statement) => {
                let kind = self.statement(statement);
                let lineage = self.finish(piece, kind, None);
                out.push(lineage);
            }
            Body::Extra(extra) => {
                let kind = self.extra(extra);
                let lineage = self.finish(piece, kind, None);
                out.push(lineage);
            }
            Body::Block { kind, pieces, .. } => {
                if out.len() >= self.options.limits.statements || !self.enter() {
                    out.push(failed(piece, *kind, "too many statements, or nested too deep".to_owned()));
                    return;
                }
                let body = usize::from(*kind != StatementKind::Insert);
                if body == 1 || pieces.is_empty() {
                    let lineage = self.finish(piece, *kind, None);
                    out.push(lineage);
                }
                self.in_body += body;
                let depth = self.depth;
                for inner in pieces {
                    self.piece(inner, out);
                    self.depth = depth;
                }
                self.in_body -= body;
                self.leave();
            }
            Body::Failed { kind, reason, reads, writes } => {
                for name in reads {
                    self.read_named(name);
                }
                let subjects = matches!(
                    kind,
                    StatementKind::Delete
                        | StatementKind::Drop
                        | StatementKind::Truncate
                        | StatementKind::Alter
                        | StatementKind::Show
                        | StatementKind::Analyze
                        | StatementKind::Comment
                        | StatementKind::Grant
                );
                for name in writes {
                    if subjects {
                        self.subject(name);
                    } else {
                        let target = self.target(name);
                        self.wrote(&target);
                    }
                }
                let lineage = self.finish(piece, *kind, Some(reason.clone()));
                out.push(lineage);
            }
        }
    }

    fn statement(&mut self, statement: &Statement) -> StatementKind {
        use StatementKind as K;
        match statement {
            Statement::Query(query) => {
                let relation = self.query(query, None);
                let kind = match &*query.body {
                    sqlparser::ast::SetExpr::Insert(_) => K::Insert,
                    sqlparser::ast::SetExpr::Update(_) => K::Update,
                    sqlparser::ast::SetExpr::Delete(_) => K::Delete,
                    sqlparser::ast::SetExpr::Merge(_) => K::Merge,
                    _ if self.into_target => K::CreateTableAs,
                    _ => K::Select,
                };
                if kind == K::Select && self.in_body == 0 {
                    self.result(&relation);
                }
                kind
            }
            Statement::Insert(insert) => {
                self.insert(insert, None);
                K::Insert
            }
            Statement::Update(update) => {
                self.update(update, None);
                K::Update
            }
            Statement::Delete(delete) => {
                self.delete(delete, None);
                K::Delete
            }
            Statement::Merge(merge) => {
                self.merge(merge, None);
                K::Merge
            }
            Statement::CreateTable(create) => self.create_table(create),
            Statement::CreateView(view) => self.create_view(view),
            Statement::AlterTable(alter) => self.alter_table(alter),
            Statement::AlterView(alter) => self.alter_view(alter),
            Statement::Truncate(truncate) => {
                for target in &truncate.table_names {
                    self.subject(&target.name);
                }
                K::Truncate
            }
            Statement::Drop { object_type, names, .. } => {
                if matches!(object_type, ObjectType::Table | ObjectType::View | ObjectType::MaterializedView) {
                    for name in names {
                        self.drop_table(name);
                    }
                }
                K::Drop
            }
            Statement::RenameTable(pairs) => {
                for pair in pairs {
                    self.rename(&pair.old_name, &pair.new_name);
                }
                K::Rename
            }
            Statement::Cache { table_name, query, .. } => {
                if let Some(query) = query {
                    let relation = self.query(query, None);
                    self.create_temp(table_name, relation, false);
                } else {
                    self.subject(table_name);
                }
                K::Other
            }
            Statement::Directory { path, source, .. } => {
                let path = self.names.intern(path);
                let target = Target::Table(self.names.table(&[path]));
                self.write_query(&target, None, source);
                K::Insert
            }
            Statement::Copy { source, to, target, .. } => {
                self.copy(source, *to, target);
                K::Copy
            }
            Statement::CopyIntoSnowflake { .. } => self.copy_into(statement),
            Statement::Unload { query, to, .. } => {
                let text = self.names.intern(&to.value);
                let target = Target::Table(self.names.table(&[text]));
                match query {
                    Some(query) => self.write_query(&target, None, query),
                    None => self.wrote(&target),
                }
                K::Unload
            }
            Statement::LoadData { inpath, table_name, .. } => {
                let path = self.names.intern(inpath);
                let path = self.names.table(&[path]);
                self.read(path);
                let target = self.target(table_name);
                self.wrote(&target);
                K::Copy
            }
            Statement::ExportData(export) => {
                let uri = export.options.iter().find_map(|option| match option {
                    sqlparser::ast::SqlOption::KeyValue { key, value: Expr::Value(value) }
                        if key.to_string().eq_ignore_ascii_case("uri") =>
                    {
                        match &value.value {
                            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Some(text.clone()),
                            _ => None,
                        }
                    }
                    _ => None,
                });
                match uri {
                    Some(uri) => {
                        let text = self.names.intern(&uri);
                        let target = Target::Table(self.names.table(&[text]));
                        self.write_query(&target, None, &export.query);
                    }
                    None => {
                        self.query(&export.query, None);
                    }
                }
                K::Unload
            }
            Statement::Use(target) => {
                self.use_statement(target);
                K::Use
            }
            Statement::Set(set) => {
                self.set(set);
                K::Set
            }
            Statement::Declare { stmts, .. } => {
                for declare in stmts {
                    self.declare(declare);
                }
                K::Set
            }
            Statement::Analyze(analyze) => {
                if let Some(name) = &analyze.table_name {
                    self.subject(name);
                }
                K::Analyze
            }
            Statement::Comment { object_name, .. } => {
                self.subject(object_name);
                K::Comment
            }
            Statement::ExplainTable { table_name, .. } => {
                self.subject(table_name);
                K::Show
            }
            Statement::Explain { .. } => K::Explain,
            Statement::Call(_) | Statement::Execute { .. } => K::Call,
            Statement::Prepare { statement, .. } => {
                if self.enter() {
                    self.statement(statement);
                    self.leave();
                }
                K::Other
            }
            Statement::CreateProcedure { .. } | Statement::CreateFunction(_) | Statement::CreateTrigger(_) => {
                K::Procedure
            }
            Statement::StartTransaction { .. }
            | Statement::Commit { .. }
            | Statement::Rollback { .. }
            | Statement::Savepoint { .. } => K::Transaction,
            Statement::Grant(_) | Statement::Revoke(_) | Statement::Deny(_) => K::Grant,
            Statement::ShowFunctions { .. }
            | Statement::ShowVariable { .. }
            | Statement::ShowCreate { .. }
            | Statement::ShowColumns { .. }
            | Statement::ShowTables { .. }
            | Statement::ShowDatabases { .. }
            | Statement::ShowSchemas { .. }
            | Statement::ShowViews { .. } => K::Show,
            Statement::CreateSchema { .. }
            | Statement::CreateDatabase { .. }
            | Statement::CreateIndex(_)
            | Statement::CreateStage { .. }
            | Statement::CreateSequence { .. }
            | Statement::CreateType { .. }
            | Statement::CreateMacro { .. }
            | Statement::CreateVirtualTable { .. }
            | Statement::CreateRole(_) => K::CreateOther,
            _ => K::Other,
        }
    }

    /// The result of a plain query.
    fn result(&mut self, relation: &Relation) {
        let star = self.names.intern("*");
        for item in &relation.items {
            if self.answer.columns.len() >= self.options.limits.edges {
                self.exhaust();
                return;
            }
            match item {
                Item::Column(column) => {
                    self.step(1 + column.sources.as_slice().len() / 8);
                    self.answer.columns.push(Derived {
                        table: None,
                        column: column.name,
                        sources: column.sources.clone(),
                    });
                }
                Item::Star(open) => {
                    let mut gathered = Gathered::default();
                    for &origin in &open.origins {
                        let column = self.names.column(origin, star);
                        gathered.push(column, How::Identity);
                    }
                    self.answer.columns.push(Derived { table: None, column: star, sources: gathered.finish() });
                }
            }
        }
    }

    fn extra(&mut self, extra: &Extra) -> StatementKind {
        match extra {
            Extra::Use { database, schema } => {
                if let Some(database) = database {
                    let name = self.names.fold(database);
                    self.session.defaults.database = Some(Arc::clone(self.names.text(name)));
                }
                if let Some(schema) = schema {
                    let name = self.names.fold(schema);
                    self.session.defaults.schemas = vec![Arc::clone(self.names.text(name))];
                }
                StatementKind::Use
            }
            Extra::Swap { left, right } => {
                self.swap(left, right);
                StatementKind::Swap
            }
            Extra::Rename { pairs } => {
                for (old, new) in pairs {
                    self.rename(old, new);
                }
                StatementKind::Rename
            }
            Extra::Exchange { target, source } => {
                self.copy_rows(target, source);
                StatementKind::Insert
            }
            Extra::Load { kind, from, to, columns } => {
                self.load(from, to, columns);
                *kind
            }
            Extra::Reads { kind, query } => {
                self.query(query, None);
                *kind
            }
            Extra::Utility { kind, subjects } => {
                for name in subjects {
                    if *kind == StatementKind::Drop {
                        self.drop_table(name);
                    } else {
                        self.subject(name);
                    }
                }
                *kind
            }
            Extra::Opaque { kind, note } => {
                self.note(note.clone());
                *kind
            }
        }
    }

    /// COPY, LOAD, UNLOAD and the like.
    fn load(&mut self, from: &Place, to: &Place, columns: &[Ident]) {
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
            Place::Query(query) => Some(self.query(query, None)),
            Place::Client => None,
        };
        let target = match to {
            Place::Table(name) => self.target(name),
            Place::Path(path) => {
                let text = self.names.intern(path);
                Target::Table(self.names.table(&[text]))
            }
            Place::Query(_) | Place::Client => Target::Nothing,
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
    fn touch_temp(&mut self, target: &Target, file: Option<TableId>) {
        if let (Target::Temp(id), Some(file)) = (target, file)
            && let Some(temp) = self.temps.get_mut(id)
        {
            temp.bases.push(file);
        }
    }

    /// Postgres' COPY.
    fn copy(&mut self, source: &CopySource, to: bool, target: &CopyTarget) {
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
    fn copy_into(&mut self, statement: &Statement) -> StatementKind {
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

    /// Table variables and queries of cursors.
    fn declare(&mut self, declare: &Declare) {
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

    fn use_statement(&mut self, target: &Use) {
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
    fn use_one(&mut self, name: Arc<str>) {
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

    fn set_database(&mut self, name: Arc<str>) {
        let defaults = &mut self.session.defaults;
        let changed = defaults.database.as_ref() != Some(&name);
        defaults.database = Some(name);
        if self.dialect == Dialect::Snowflake && changed && !defaults.schemas.is_empty() {
            defaults.schemas = vec![Arc::from("public")];
        }
    }

    fn name_parts(&mut self, name: &ObjectName) -> Vec<Arc<str>> {
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
    fn set(&mut self, set: &Set) {
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

    /// What is given out about the statement that was just bound.
    fn finish(&mut self, piece: &Piece, kind: StatementKind, failed: Option<String>) -> StatementLineage {
        let columns = self.public_columns();
        let mut answer = std::mem::take(&mut self.answer);
        let inputs = self.public_tables(&mut answer.inputs);
        let outputs = self.public_tables(&mut answer.outputs);
        let subjects = self.public_tables(&mut answer.subjects);
        answer.indirect.sort_unstable_by_key(|&(column, how)| (column, how));
        answer.indirect.dedup();
        let mut indirect: Vec<IndirectUse> = answer
            .indirect
            .iter()
            .map(|&(column, how)| IndirectUse {
                column: self.column_ref(super::sources::Source::new(column, How::Identity)),
                how,
            })
            .collect();
        indirect.sort_unstable();
        let mut joins: Vec<JoinUse> = answer
            .joins
            .iter()
            .map(|&(left, right)| {
                let left = self.column_ref(super::sources::Source::new(left, How::Identity));
                let right = self.column_ref(super::sources::Source::new(right, How::Identity));
                if left <= right { JoinUse { left, right } } else { JoinUse { left: right, right: left } }
            })
            .collect();
        joins.sort_unstable();
        joins.dedup();
        let renames = answer
            .renames
            .iter()
            .map(|&(old, new)| (self.names.table_name(old).clone(), self.names.table_name(new).clone()))
            .collect();
        let mut notes = answer.notes;
        if answer.exhausted {
            notes.push("the work on this script was cut: it exceeds its limits".to_owned());
        }
        if answer.too_deep {
            notes.push("nested deeper than the limit".to_owned());
        }
        notes.extend(answer.ambiguous.iter().map(|&name| format!("column {} is ambiguous", self.names.text(name))));
        notes.extend(answer.unknown.iter().map(|&name| format!("column {} is not known", self.names.text(name))));
        if columns.iter().any(|column| &*column.column == "*") {
            notes.push("a star could not be expanded".to_owned());
        }
        let status = match failed {
            Some(reason) => Status::Failed { reason, at: piece.at },
            None if notes.is_empty() => Status::Complete,
            None => Status::Partial { notes },
        };
        StatementLineage {
            at: piece.at,
            span: piece.span,
            kind,
            status,
            inputs,
            outputs,
            subjects,
            columns,
            indirect,
            joins,
            declares: answer.declares,
            renames,
        }
    }

    fn public_tables(&self, ids: &mut Vec<TableId>) -> Vec<TableName> {
        if ids.len() > 1 {
            ids.sort_unstable();
            ids.dedup();
        }
        let mut names: Vec<TableName> = ids.iter().map(|&id| self.names.table_name(id).clone()).collect();
        if names.len() > 1 {
            names.sort_unstable();
        }
        names
    }
}

fn failed(piece: &Piece, kind: StatementKind, reason: String) -> StatementLineage {
    StatementLineage {
        at: piece.at,
        span: piece.span,
        kind,
        status: Status::Failed { reason, at: piece.at },
        inputs: Vec::new(),
        outputs: Vec::new(),
        subjects: Vec::new(),
        columns: Vec::new(),
        indirect: Vec::new(),
        joins: Vec::new(),
        declares: Vec::new(),
        renames: Vec::new(),
    }
}
