//! What an event says about one dataset.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::fact::{
    Aspect, Column, Columns, Completeness, Entry, Evidence, Existence, ExistenceState, Format, Owner, Quality,
    ReportedName, Statement, Stats, Symlink, Tag, WriteMark,
};
use crate::model::id::{EntityId, ResolvedName, child_path, encode, name_key, table_directory};

use super::columns::FieldNames;
use super::envelope::{Dataset, Facets};
use super::facets::{self, Keep, is_deleted};

pub(super) type Named = ResolvedName;

/// In which role an event names a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Read, or written by a run that has not succeeded: a mention.
    Mention,
    /// Read by a job.
    Input,
    /// Written by a job as it is declared, not by a run of it.
    Planned,
    /// Written by a run that succeeded.
    Written,
    /// Described by itself, without a run.
    Declared,
}

/// What the statements about datasets depend on.
pub(super) struct Context<'a> {
    pub time: i64,
    /// The job and run that report, if any.
    pub job: Option<&'a EntityId>,
    pub run: Option<&'a str>,
    /// Whether the producer's schemas list all columns.
    pub schemas_are_complete: bool,
    pub keep: Keep,
}

/// What the normalizer needs of a dataset besides its entries.
#[derive(Default)]
pub(super) struct Parts {
    pub entries: Vec<Entry>,
    /// Columns of the schema facet, to read column lineage with.
    pub columns: Vec<Column>,
    pub lineage: Option<facets::ColumnLineage>,
    pub version: Option<String>,
    /// What is said of the run's use of the dataset, or of a plan: for the run.
    pub of_run: Option<Value>,
    /// The name it had before, by its own RENAME.
    pub renamed_from: Option<facets::Identifier>,
}

/// Reads all facets of `dataset`, reported in `role`; `link` resolves other names.
pub(super) fn read(
    dataset: &Dataset<'_>,
    named: &Named,
    role: Role,
    cx: &Context<'_>,
    link: impl Fn(&str, &str) -> Named,
) -> Parts {
    let mut parts = Parts::default();
    let issues = named.issues.iter().map(|issue| issue.as_str().to_owned()).collect();
    let name = ReportedName { namespace: dataset.namespace.to_string(), name: dataset.name.to_string(), issues };
    let key = name_key(&name.namespace, &name.name);
    parts.entries.push(Entry::keyed(key, Statement::Name(name)));
    if named.ignored {
        parts.entries.push(mention(ExistenceState::Ignored));
        return parts;
    }
    let mut reader = Reader { facets: &dataset.facets, cx, entries: Vec::new(), of_run: serde_json::Map::new() };
    let lifecycle: facets::Lifecycle = reader.take("lifecycleStateChange").unwrap_or_default();
    let change = lifecycle.lifecycle_state_change.as_str();
    let is_ephemeral = || {
        let model: facets::DbtModel = reader.peek("dbt_model").unwrap_or_default();
        model.config.materialized.as_deref() == Some("ephemeral")
    };
    // dbt-ol tells of an ephemeral model as if it were a table; there is none.
    let is_virtual = is_ephemeral();
    reader.entries.push(if is_virtual { mention(ExistenceState::Virtual) } else { existence(role, change) });
    parts.lineage = reader.take("columnLineage").filter(|_| !matches!(role, Role::Input | Role::Declared));
    reader.schema(role, &mut parts.columns);
    reader.symlinks(named, link);
    // Only some facets name fields.
    let fields = LazyCell::new(|| FieldNames::of(&parts.columns, named.folds_case));
    reader.descriptive(&|name| fields.path(name));
    reader.quality(cx.run.unwrap_or_default(), &|name| fields.path(name));
    parts.version = reader.take::<facets::DatasetVersion>("version").map(|facet| facet.dataset_version);
    match role {
        Role::Written => reader.written(change),
        Role::Declared | Role::Planned => reader.storage(),
        Role::Input | Role::Mention => {}
    }
    if matches!(role, Role::Written | Role::Declared) {
        reader.entries.extend(parts.version.clone().map(|version| Entry::of(Statement::DatasetVersion(version))));
        parts.renamed_from = lifecycle.previous_identifier.filter(|_| change == "RENAME");
    }
    reader.statistics();
    reader.unknown(role, dataset);
    parts.of_run = (!reader.of_run.is_empty()).then(|| Value::Object(std::mem::take(&mut reader.of_run)));
    parts.entries.append(&mut reader.entries);
    parts
}

/// The statement that somebody named the dataset; a register of its own, so that it never hides what is known better.
pub(super) fn mention(state: ExistenceState) -> Entry {
    let existence = Existence { state, evidence: Evidence::Mention, floor: false, scope: None };
    Entry::keyed("mention", Statement::Existence(existence))
}

fn existence(role: Role, change: &str) -> Entry {
    let state = match (role, change) {
        (Role::Mention | Role::Input | Role::Planned, _) => return mention(ExistenceState::Referenced),
        (Role::Written | Role::Declared, "DROP") => ExistenceState::Dropped,
        (Role::Written | Role::Declared, _) => ExistenceState::Confirmed,
    };
    let floor = state == ExistenceState::Dropped;
    Entry::of(Statement::Existence(Existence { state, evidence: Evidence::Output, floor, scope: None }))
}

struct Reader<'a> {
    facets: &'a Facets<'a>,
    cx: &'a Context<'a>,
    entries: Vec<Entry>,
    /// Changes with every run, so it belongs to the run and not to the dataset.
    of_run: serde_json::Map<String, Value>,
}

impl Reader<'_> {
    /// The facet called `name`, typed, if it parses.
    fn peek<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.facets.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok())
    }

    /// The facet called `name`, typed. One that does not parse is kept as it is.
    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let raw = self.facets.get(name)?;
        if is_deleted(raw) {
            return None;
        }
        match serde_json::from_str(raw.get()) {
            Ok(facet) => Some(facet),
            Err(error) => {
                let value = facets::malformed(raw, &error, self.cx.keep);
                self.entries.push(Entry::keyed(name, Statement::Facet(value)));
                None
            }
        }
    }

    fn schema(&mut self, role: Role, columns: &mut Vec<Column>) {
        let Some(schema) = self.take::<facets::Schema>("schema") else { return };
        *columns = super::columns::columns(schema);
        // Before a run succeeds its schemas are plans; they only help to read its column lineage.
        if role == Role::Mention {
            return;
        }
        if matches!(role, Role::Written | Role::Declared) && self.cx.schemas_are_complete {
            if !columns.is_empty() {
                let columns = Columns { completeness: Completeness::Complete, columns: columns.clone() };
                self.entries.push(Entry::of(Statement::Columns(columns)));
            }
            return;
        }
        self.entries.extend(columns.iter().map(|column| {
            let one = Columns { completeness: Completeness::Partial, columns: vec![column.clone()] };
            Entry::keyed(child_path("", &column.name), Statement::Columns(one))
        }));
    }

    fn symlinks(&mut self, named: &Named, link: impl Fn(&str, &str) -> Named) {
        let Some(symlinks) = self.take::<facets::Symlinks>("symlinks") else { return };
        for other in symlinks.identifiers {
            let target = link(&other.namespace, &other.name);
            let kind = if other.kind.is_empty() { "TABLE".to_owned() } else { other.kind.to_uppercase() };
            let id = if kind == "LOCATION" { table_directory(&target.id) } else { target.id };
            if id == named.id {
                continue;
            }
            let symlink = Symlink { kind, instance: target.instance, namespace: other.namespace, name: other.name };
            self.entries.push(Entry::keyed(id.as_str(), Statement::Symlink(symlink)));
        }
    }

    /// Keeps a field of a facet that has no place beside the rest of it.
    fn rest(&mut self, facet: &str, field: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            let rest = serde_json::Map::from_iter([(field.to_owned(), value.into())]);
            self.entries.push(Entry::keyed(facet, Statement::Facet(Value::Object(rest))));
        }
    }

    fn descriptive(&mut self, field: &dyn Fn(&str) -> String) {
        if let Some(facet) = self.take::<facets::Documentation>("documentation") {
            self.entries.push(Entry::of(Statement::Description(facet.description)));
            self.rest("documentation", "contentType", facet.content_type);
        }
        if let Some(facet) = self.take::<facets::Ownership>("ownership") {
            self.entries.push(Entry::of(Statement::Owners(owners(facet))));
        }
        if let Some(facet) = self.take::<facets::Tags>("tags") {
            self.entries.push(Entry::of(Statement::Tags(tags(facet, field))));
        }
        if let Some(facet) = self.take::<facets::DatasetType>("datasetType") {
            self.entries.push(Entry::of(Statement::DatasetKind(facet.dataset_type.to_lowercase())));
            self.rest("datasetType", "subType", facet.sub_type);
        }
        for (name, aspect) in [
            ("documentation", Aspect::Description),
            ("ownership", Aspect::Owners),
            ("tags", Aspect::Tags),
            ("datasetType", Aspect::DatasetKind),
            ("schema", Aspect::Columns),
            ("storage", Aspect::Format),
        ] {
            if self.facets.get(name).is_some_and(is_deleted) {
                self.entries.push(Entry::retract(aspect, ""));
            }
        }
    }

    fn storage(&mut self) {
        let Some(storage) = self.take::<facets::Storage>("storage") else { return };
        let layer = storage.storage_layer.to_lowercase();
        let is_table_format = matches!(layer.as_str(), "iceberg" | "delta" | "hudi" | "paimon");
        let name = if storage.file_format.is_empty() { layer.clone() } else { storage.file_format.to_lowercase() };
        if !is_table_format && !storage.file_format.is_empty() {
            self.rest("storage", "storageLayer", Some(storage.storage_layer));
        }
        let table_format = if is_table_format { layer } else { String::new() };
        let format = Format { name, table_format, detail: storage.file_format };
        self.entries.push(Entry::of(Statement::Format(format)));
    }

    fn written(&mut self, change: &str) {
        self.storage();
        let statistics: facets::Statistics = self.peek("outputStatistics").unwrap_or_default();
        if let Some(commit) = self.take::<facets::IcebergCommit>("icebergCommitReport") {
            let metrics = commit.commit_metrics;
            let stats = Stats {
                rows: metrics.total_records,
                bytes: metrics.total_files_size_in_bytes,
                files: metrics.total_data_files,
                extra: Value::Null,
            };
            if stats != Stats::default() {
                self.entries.push(Entry::of(Statement::Stats(stats)));
            }
        }
        let changes_data = !matches!(change, "DROP" | "RENAME" | "ALTER");
        if let (Some(job), Some(run), true) = (self.cx.job, self.cx.run, changes_data) {
            let mark = WriteMark {
                time: self.cx.time,
                job: job.clone(),
                run: run.to_owned(),
                rows: statistics.row_count,
                bytes: statistics.size,
            };
            self.entries.push(Entry::of(Statement::Write(mark)));
        }
    }

    /// What was read and written, as far as it is known.
    fn statistics(&mut self) {
        for name in ["inputStatistics", "outputStatistics"] {
            let Some(said) = self.take::<facets::Statistics>(name) else { continue };
            let numbers = [("rowCount", said.row_count), ("size", said.size), ("fileCount", said.file_count)];
            let known = numbers.into_iter().filter_map(|(name, n)| Some((name.to_owned(), Value::from(n?))));
            let known: serde_json::Map<String, Value> = known.collect();
            match (known.is_empty(), self.cx.job) {
                (true, _) => {}
                (false, Some(_)) => drop(self.of_run.insert(name.to_owned(), Value::Object(known))),
                (false, None) => self.entries.push(Entry::keyed(name, Statement::Facet(Value::Object(known)))),
            }
        }
    }

    fn quality(&mut self, run: &str, field: &dyn Fn(&str) -> String) {
        if let Some(facet) = self.take::<facets::QualityMetrics>("dataQualityMetrics") {
            let stats =
                Stats { rows: facet.row_count, bytes: facet.bytes, files: facet.file_count, extra: Value::Null };
            if stats != Stats::default() {
                self.entries.push(Entry::of(Statement::Stats(stats)));
            }
            let column =
                |(name, metrics): (String, Value)| Entry::keyed(encode(&field(&name)), Statement::ColumnStats(metrics));
            self.entries.extend(facet.column_metrics.into_iter().map(column));
            self.rest("dataQualityMetrics", "lastUpdated", facet.last_updated);
        }
        let Some(facet) = self.take::<facets::Assertions>("dataQualityAssertions") else { return };
        let mut checks: BTreeSet<String> = BTreeSet::new();
        for assertion in facet.assertions {
            let own = assertion.name.as_deref().filter(|name| !name.is_empty());
            let on_column = |name: &str| match &assertion.column {
                Some(column) => format!("{name}({column})"),
                None => name.to_owned(),
            };
            let kind = assertion.assertion.as_str();
            // A name is often only that of the kind of check, and a kind may be checked twice.
            let names = [own.map(str::to_owned), Some(on_column(own.unwrap_or(kind)))].into_iter().flatten();
            let numbered = (2..).map(|nth| format!("{} #{nth}", on_column(own.unwrap_or(kind))));
            let check = names.chain(numbered).find(|name| !checks.contains(name)).unwrap_or_default();
            checks.insert(check.clone());
            let mut details = assertion.details;
            details.insert("assertion".to_owned(), Value::String(assertion.assertion));
            let quality = Quality {
                status: if assertion.success { "passed" } else { "failed" }.to_owned(),
                field: assertion.column.map(|column| field(&column)),
                value: Value::Object(details),
                run: run.to_owned(),
            };
            self.entries.push(Entry::keyed(encode(&check), Statement::Quality(quality)));
        }
    }

    /// Keeps every facet that has no place of its own: with the dataset what speaks of the dataset, with the run what
    /// speaks of its use, or comes from a plan or a failed run.
    fn unknown(&mut self, role: Role, dataset: &Dataset<'_>) {
        for (nth, (name, raw)) in self.facets.0.iter().enumerate() {
            let is_own = nth < dataset.own_facets;
            let has_place = match &**name {
                "columnLineage" => !matches!(role, Role::Input | Role::Declared),
                "schema"
                | "symlinks"
                | "lifecycleStateChange"
                | "documentation"
                | "ownership"
                | "tags"
                | "datasetType"
                | "version"
                | "dataQualityMetrics"
                | "dataQualityAssertions"
                | "outputStatistics"
                | "inputStatistics" => true,
                "storage" => !matches!(role, Role::Input | Role::Mention),
                "dataSource" => repeats_namespace(raw, &dataset.namespace),
                _ => false,
            };
            if has_place {
                continue;
            }
            let of_use = role == Role::Mention || (role == Role::Input && (!is_own || &**name == "dataSource"));
            // Without a run to show them with, they stay with the dataset.
            let with_run = of_use && self.cx.job.is_some();
            match (with_run, is_deleted(raw)) {
                (true, true) => {}
                (true, false) => {
                    // It lies below the dataset and its own name among the facets of the run.
                    self.of_run.insert(name.to_string(), facets::kept(raw, self.cx.keep.inside(2)));
                }
                (false, true) => self.entries.push(Entry::retract(Aspect::Facet, &**name)),
                (false, false) => {
                    let kept = facets::kept(raw, self.cx.keep);
                    self.entries.push(Entry::keyed(&**name, Statement::Facet(kept)));
                }
            }
        }
    }
}

/// Whether a dataSource facet says no more than the namespace, which the name has.
fn repeats_namespace(raw: &RawValue, namespace: &str) -> bool {
    let Ok(source) = serde_json::from_str::<facets::DataSource>(raw.get()) else { return false };
    let plain = |text: &str| text.trim_end_matches('/').to_owned();
    [source.name, source.uri].iter().flatten().all(|said| plain(said) == plain(namespace))
}

pub(super) fn owners(facet: facets::Ownership) -> Vec<Owner> {
    let role = |role: String| if role.is_empty() { "OWNER".to_owned() } else { role };
    let mut owners: Vec<Owner> =
        facet.owners.into_iter().map(|owner| Owner { name: owner.name, role: role(owner.role) }).collect();
    owners.sort();
    owners.dedup();
    owners
}

pub(super) fn tags(facet: facets::Tags, path: &dyn Fn(&str) -> String) -> Vec<Tag> {
    let field = |name: Option<String>| name.filter(|name| !name.is_empty()).map(|name| path(&name));
    let mut tags: Vec<Tag> =
        facet.tags.into_iter().map(|tag| Tag { key: tag.key, value: tag.value, field: field(tag.field) }).collect();
    tags.sort();
    tags.dedup();
    tags
}
