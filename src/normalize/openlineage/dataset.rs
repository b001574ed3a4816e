//! What an event says about one dataset.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::fact::{
    Aspect, Column, Columns, Completeness, Entry, Evidence, Existence, ExistenceState, Format, Owner, Quality,
    ReportedName, Statement, Stats, Symlink, Tag, WriteMark,
};
use crate::model::id::{EntityId, ResolvedName, child_path, encode, name_key};

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
    /// Statistics of what the run read, for the run.
    pub read: Option<Value>,
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
    let mut reader = Reader { facets: &dataset.facets, cx, entries: Vec::new() };
    let lifecycle: facets::Lifecycle = reader.take("lifecycleStateChange").unwrap_or_default();
    let change = lifecycle.lifecycle_state_change.as_str();
    reader.entries.push(existence(role, change));
    parts.lineage = reader.take("columnLineage").filter(|_| !matches!(role, Role::Input | Role::Declared));
    reader.schema(role, &mut parts.columns);
    reader.symlinks(named, link);
    reader.descriptive();
    reader.quality(cx.run.unwrap_or_default());
    parts.version = reader.take::<facets::DatasetVersion>("version").map(|facet| facet.dataset_version);
    match role {
        Role::Written => {
            reader.written(change);
            reader.entries.extend(parts.version.clone().map(|version| Entry::of(Statement::DatasetVersion(version))));
            parts.renamed_from = lifecycle.previous_identifier.filter(|_| change == "RENAME");
        }
        Role::Declared => reader.storage(),
        Role::Input => parts.read = reader.read_by_run(dataset.own_facets),
        Role::Mention => {}
    }
    let kept = if role == Role::Input { dataset.own_facets } else { usize::MAX };
    reader.unknown(role, kept);
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
        (Role::Mention | Role::Input, _) => return mention(ExistenceState::Referenced),
        (Role::Written, "DROP") => ExistenceState::Dropped,
        (Role::Written | Role::Declared, _) => ExistenceState::Confirmed,
    };
    let floor = state == ExistenceState::Dropped;
    Entry::of(Statement::Existence(Existence { state, evidence: Evidence::Output, floor, scope: None }))
}

struct Reader<'a> {
    facets: &'a Facets<'a>,
    cx: &'a Context<'a>,
    entries: Vec<Entry>,
}

impl Reader<'_> {
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
        if role != Role::Input && self.cx.schemas_are_complete {
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
            if target.id == named.id {
                continue;
            }
            let kind = if other.kind.is_empty() { "TABLE".to_owned() } else { other.kind.to_uppercase() };
            let symlink = Symlink { kind, instance: target.instance, namespace: other.namespace, name: other.name };
            self.entries.push(Entry::keyed(target.id.as_str(), Statement::Symlink(symlink)));
        }
    }

    fn descriptive(&mut self) {
        if let Some(facet) = self.take::<facets::Documentation>("documentation") {
            self.entries.push(Entry::of(Statement::Description(facet.description)));
        }
        if let Some(facet) = self.take::<facets::Ownership>("ownership") {
            self.entries.push(Entry::of(Statement::Owners(owners(facet))));
        }
        if let Some(facet) = self.take::<facets::Tags>("tags") {
            self.entries.push(Entry::of(Statement::Tags(tags(facet))));
        }
        if let Some(facet) = self.take::<facets::DatasetType>("datasetType") {
            self.entries.push(Entry::of(Statement::DatasetKind(facet.dataset_type.to_lowercase())));
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
        let table_format = if is_table_format { layer } else { String::new() };
        let format = Format { name, table_format, detail: storage.file_format };
        self.entries.push(Entry::of(Statement::Format(format)));
    }

    fn written(&mut self, change: &str) {
        self.storage();
        let statistics = self.take::<facets::Statistics>("outputStatistics").unwrap_or_default();
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

    /// What the run says of its reading: it changes with every run, so it belongs to the run and not to the dataset.
    fn read_by_run(&mut self, own_facets: usize) -> Option<Value> {
        let mut said = serde_json::Map::new();
        for (name, raw) in self.facets.0.iter().skip(own_facets) {
            match &**name {
                "dataQualityMetrics" | "dataQualityAssertions" => {}
                "inputStatistics" => {
                    let read = self.take::<facets::Statistics>("inputStatistics").unwrap_or_default();
                    let numbers = [("rowCount", read.row_count), ("size", read.size), ("fileCount", read.file_count)];
                    let known = numbers.into_iter().filter_map(|(name, n)| Some((name.to_owned(), Value::from(n?))));
                    let known: serde_json::Map<String, Value> = known.collect();
                    if !known.is_empty() {
                        said.insert(name.to_string(), Value::Object(known));
                    }
                }
                _ => {
                    // It lies below the dataset and its own name among the facets of the run.
                    said.insert(name.to_string(), facets::kept(raw, self.cx.keep.inside(2)));
                }
            }
        }
        (!said.is_empty()).then_some(Value::Object(said))
    }

    fn quality(&mut self, run: &str) {
        if let Some(facet) = self.take::<facets::QualityMetrics>("dataQualityMetrics") {
            let stats =
                Stats { rows: facet.row_count, bytes: facet.bytes, files: facet.file_count, extra: Value::Null };
            if stats != Stats::default() {
                self.entries.push(Entry::of(Statement::Stats(stats)));
            }
            let column = |(name, metrics): (String, Value)| {
                Entry::keyed(encode(&child_path("", &name)), Statement::ColumnStats(metrics))
            };
            self.entries.extend(facet.column_metrics.into_iter().map(column));
        }
        let Some(facet) = self.take::<facets::Assertions>("dataQualityAssertions") else { return };
        for assertion in facet.assertions {
            let check = match (&assertion.name, &assertion.column) {
                (Some(name), _) if !name.is_empty() => name.clone(),
                (_, Some(column)) => format!("{}({column})", assertion.assertion),
                (_, None) => assertion.assertion.clone(),
            };
            let mut details = assertion.details;
            details.insert("assertion".to_owned(), Value::String(assertion.assertion));
            let quality = Quality {
                status: if assertion.success { "passed" } else { "failed" }.to_owned(),
                field: assertion.column.map(|column| child_path("", &column)),
                value: Value::Object(details),
                run: run.to_owned(),
            };
            self.entries.push(Entry::keyed(encode(&check), Statement::Quality(quality)));
        }
    }

    /// Keeps every facet that has no place of its own.
    fn unknown(&mut self, role: Role, kept: usize) {
        // What a plan or a failed run carries is kept with its success, or is the run's.
        if role == Role::Mention {
            return;
        }
        for (name, raw) in self.facets.0.iter().take(kept) {
            let has_place = match &**name {
                "schema" | "columnLineage" if role == Role::Declared => &**name == "schema",
                "schema"
                | "columnLineage"
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
                "storage" => role != Role::Input,
                // It repeats the namespace; the name entry has it.
                "dataSource" => true,
                _ => false,
            };
            if has_place {
                continue;
            }
            self.entries.push(if is_deleted(raw) {
                Entry::retract(Aspect::Facet, &**name)
            } else {
                Entry::keyed(&**name, Statement::Facet(facets::kept(raw, self.cx.keep)))
            });
        }
    }
}

pub(super) fn owners(facet: facets::Ownership) -> Vec<Owner> {
    let role = |role: String| if role.is_empty() { "OWNER".to_owned() } else { role };
    let mut owners: Vec<Owner> =
        facet.owners.into_iter().map(|owner| Owner { name: owner.name, role: role(owner.role) }).collect();
    owners.sort();
    owners.dedup();
    owners
}

pub(super) fn tags(facet: facets::Tags) -> Vec<Tag> {
    let field = |name: Option<String>| name.filter(|name| !name.is_empty()).map(|name| child_path("", &name));
    let mut tags: Vec<Tag> =
        facet.tags.into_iter().map(|tag| Tag { key: tag.key, value: tag.value, field: field(tag.field) }).collect();
    tags.sort();
    tags.dedup();
    tags
}
