//! Statements: which part of the binder each goes to, and what is given out about it.

use std::sync::Arc;

use sqlparser::ast::{Expr, MacroDefinition, ObjectType, Statement, Value};

use crate::sql::front::{Body, Extra, Piece};
use crate::sql::types::{IndirectUse, JoinUse, StatementKind, StatementLineage, Status, TableName, Transformation};

use super::names::TableId;
use super::relation::{Item, Relation};
use super::scope::Scope;
use super::sources::{Gathered, How};
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
                self.inner(pieces, out);
                self.in_body -= body;
                self.leave();
            }
            Body::Rows { names, of, pieces } => {
                if out.len() >= self.options.limits.statements || !self.enter() {
                    out.push(failed(piece, StatementKind::Other, "too many statements, or nested too deep".to_owned()));
                    return;
                }
                self.rows(piece, names, of, pieces, out);
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

    /// Binds the pieces inside of another one.
    pub(super) fn inner(&mut self, pieces: &[Piece], out: &mut Vec<StatementLineage>) {
        let depth = self.depth;
        for inner in pieces {
            self.piece(inner, out);
            self.depth = depth;
        }
    }

    pub(super) fn statement(&mut self, statement: &Statement) -> StatementKind {
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
            Statement::Assert { condition, .. } => {
                let condition = std::iter::once(condition);
                self.read_conditions(condition);
                K::Other
            }
            Statement::CreateMacro { definition: MacroDefinition::Table(query), .. } => {
                self.query(query, None);
                K::Procedure
            }
            Statement::CreateForeignTable(create) => {
                let target = self.target(&create.name);
                self.wrote(&target);
                K::CreateTable
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

    /// Conditions over nothing but the queries in them.
    fn read_conditions<'e>(&mut self, conditions: impl Iterator<Item = &'e Expr>) {
        let scope = Scope::under(None);
        for condition in conditions {
            self.indirect(condition, &scope, Transformation::Filter);
        }
    }

    /// The result of a plain query.
    pub(super) fn result(&mut self, relation: &Relation) {
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

    pub(super) fn extra(&mut self, extra: &Extra) -> StatementKind {
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

    /// What is given out about the statement that was just bound.
    pub(super) fn finish(&mut self, piece: &Piece, kind: StatementKind, failed: Option<String>) -> StatementLineage {
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

    pub(super) fn public_tables(&self, ids: &mut Vec<TableId>) -> Vec<TableName> {
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
