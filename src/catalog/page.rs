//! A dataset's page out of its records. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{
    AliasView, ColumnView, DatasetPage, DatasetStatistics, LineageSummary, OriginView, PartitionSummary,
    ProvenanceView, QualityCheck, QualityView, ReportedNameView, SourceView, json, time,
};
use crate::model::id::split_name_key;
use crate::model::record::{
    AliasRecord, ColumnRecord, DatasetRecord, DatasetStatsRecord, PartitionRecord, Provenance, QualityRecord,
};

/// The records that one page shows.
#[derive(Debug)]
pub(super) struct PageParts {
    pub(super) dataset: DatasetRecord,
    pub(super) aliases: Vec<AliasRecord>,
    pub(super) stats: Option<DatasetStatsRecord>,
    pub(super) quality: Vec<QualityRecord>,
    pub(super) partition_count: i64,
    pub(super) partitions: Vec<PartitionRecord>,
    /// One hop of lineage.
    pub(super) lineage: LineageSummary,
    /// Event time of the authority's newest schema version.
    pub(super) last_schema_change: Option<i64>,
    /// Whether another dataset's id differs only by case.
    pub(super) has_case_twin: bool,
}

/// The page, asked for as `dataset_id`.
pub(super) fn page(dataset_id: &str, resolved_by: &str, parts: PageParts) -> DatasetPage {
    let PageParts {
        mut dataset,
        aliases,
        stats,
        quality,
        partition_count,
        partitions,
        lineage,
        last_schema_change,
        has_case_twin,
    } = parts;
    if has_case_twin {
        note_case_twin(&mut dataset.issues);
    }
    let (database, schema) = container_names(&dataset);
    let provenance: BTreeMap<_, _> =
        dataset.provenance.into_iter().map(|(aspect, said)| (aspect, ProvenanceView::from(said))).collect();
    let keys = dataset.columns.iter().filter(|column| column.partition_key && column.depth == 0);
    let partitions = PartitionSummary {
        count: partition_count,
        keys: keys.map(|column| column.name.clone()).collect(),
        last: partitions
            .into_iter()
            .map(|partition| super::view::PartitionView {
                name: partition.name,
                values: partition.values,
                location: partition.location,
                columns: partition.column_stats.into_iter().map(|(column, text)| (column, json(text))).collect(),
                origin: partition.origin.into(),
            })
            .collect(),
    };
    let statistics = statistics(stats, &dataset.columns);
    let tags: Vec<super::view::TagView> = dataset.tags.into_iter().map(Into::into).collect();
    // Without an authority the columns are put together from partial statements; the best of them stands for all.
    let columns_by = provenance.get("columns").map_or_else(|| dataset.authority.clone(), |said| said.source.clone());
    let columns = dataset.columns.into_iter().map(|column| self::column(column, &tags, &columns_by));
    DatasetPage {
        dataset_id: dataset_id.to_owned(),
        resolved_by: resolved_by.to_owned(),
        name: dataset.name,
        kind: dataset.kind,
        platform: dataset.platform,
        database,
        schema,
        container: dataset.container,
        existence: dataset.existence,
        incarnation: dataset.incarnation,
        names: dataset.names.iter().map(|name| reported_name(name)).collect(),
        aliases: self::aliases(&dataset.id, dataset.aliases, aliases),
        canonical_id: dataset.id,
        description: dataset.description,
        owners: dataset.owners.into_iter().map(Into::into).collect(),
        columns: columns.collect(),
        tags,
        authority: dataset.authority,
        schema_version: dataset.schema_version,
        last_schema_change: last_schema_change.map(time),
        location: dataset.location,
        format: dataset.format,
        table_format: dataset.table_format,
        properties: dataset.properties,
        view_original: dataset.view_original,
        view_expanded: dataset.view_expanded,
        constraints: dataset.constraints.into_iter().map(|(key, text)| (key, json(text))).collect(),
        statistics,
        quality: self::quality(quality),
        partitions,
        lineage,
        facets: dataset.facets.into_iter().map(|(name, text)| (name, json(text))).collect(),
        native: dataset.native.into_iter().map(|(source, text)| (source, json(text))).collect(),
        issues: dataset.issues,
        sources: sources(&provenance),
        provenance,
        first_seen: time(dataset.first_seen),
        last_seen: time(dataset.last_seen),
        origin: dataset.origin.into(),
    }
}

/// Adds the issue that another id differs only by case: one fact alone cannot show it.
pub(super) fn note_case_twin(issues: &mut Vec<String>) {
    const ISSUE: &str = "case_collision";
    if !issues.iter().any(|issue| issue == ISSUE) {
        issues.push(ISSUE.to_owned());
        issues.sort();
    }
}

/// A spelling as records keep it, `namespace|name`, both encoded.
pub(super) fn reported_name(text: &str) -> ReportedNameView {
    let (namespace, name) = split_name_key(text).unwrap_or_else(|_| (String::new(), text.to_owned()));
    ReportedNameView { namespace, name }
}

/// Database and schema as the path of the container's id names them.
fn container_names(dataset: &DatasetRecord) -> (Option<String>, Option<String>) {
    let path =
        dataset.container.as_deref().and_then(|id| id.split_once("://")).and_then(|(_, rest)| rest.split_once('/'));
    let mut segments = path.map_or("", |(_, path)| path).split('/').filter(|segment| !segment.is_empty());
    (segments.next().map(str::to_owned), segments.next().map(str::to_owned))
}

fn column(column: ColumnRecord, tags: &[super::view::TagView], source: &str) -> ColumnView {
    ColumnView {
        tags: tags
            .iter()
            .filter(|tag| tag.column.as_deref() == Some(column.path.as_str()))
            .map(|tag| tag.name.clone())
            .collect(),
        source: source.to_owned(),
        path: column.path,
        name: column.name,
        depth: column.depth,
        ordinal: column.ordinal,
        data_type: column.data_type,
        canonical_type: column.canonical_type,
        description: column.description,
        nullable: column.nullable,
        partition_key: column.partition_key,
        conflicts: column.conflicts,
    }
}

/// Aliases with their intervals, and those that only the head names.
fn aliases(id: &str, of_head: Vec<String>, records: Vec<AliasRecord>) -> Vec<AliasView> {
    let known: BTreeSet<String> = records.iter().map(|record| record.alias.clone()).collect();
    let mut views: Vec<_> = records
        .into_iter()
        .filter(|record| record.canonical == id)
        .map(|record| AliasView {
            alias: record.alias,
            kind: record.kind,
            valid_from: record.valid_from.map(time),
            valid_to: record.valid_to.map(time),
            reason: record.reason,
            origin: Some(record.origin.into()),
        })
        .collect();
    views.extend(of_head.into_iter().filter(|alias| !known.contains(alias)).map(|alias| AliasView {
        alias,
        kind: String::new(),
        valid_from: None,
        valid_to: None,
        reason: String::new(),
        origin: None,
    }));
    views.sort_by(|a, b| (&a.alias, &a.valid_from).cmp(&(&b.alias, &b.valid_from)));
    views
}

fn statistics(stats: Option<DatasetStatsRecord>, columns: &[ColumnRecord]) -> DatasetStatistics {
    let column_count = columns.iter().filter(|column| column.depth == 0).count();
    stats.map_or_else(
        || DatasetStatistics { column_count, ..DatasetStatistics::default() },
        |stats| DatasetStatistics {
            row_count: stats.rows,
            size_bytes: stats.bytes,
            file_count: stats.files,
            column_count,
            last_write: stats.last_write.map(time),
            last_job: stats.last_job,
            last_run: stats.last_run,
            dataset_version: stats.dataset_version,
            columns: stats.column_stats.into_iter().map(|(key, text)| (key, json(text))).collect(),
        },
    )
}

fn quality(records: Vec<QualityRecord>) -> QualityView {
    QualityView {
        last_checked: records.iter().map(|record| record.time).max().map(time),
        checks: records
            .into_iter()
            .map(|record| QualityCheck {
                name: record.check,
                status: record.status,
                column: record.field,
                value: json(record.value),
                time: time(record.time),
                run: record.run,
                origin: record.origin.into(),
            })
            .collect(),
    }
}

impl From<Provenance> for ProvenanceView {
    fn from(said: Provenance) -> Self {
        Self { source: said.source, origin: said.origin.into(), via: said.via }
    }
}

fn sources(provenance: &BTreeMap<String, ProvenanceView>) -> Vec<SourceView> {
    let mut by_source: BTreeMap<&str, (Vec<String>, BTreeSet<OriginView>)> = BTreeMap::new();
    for (aspect, said) in provenance {
        let (aspects, origins) = by_source.entry(&said.source).or_default();
        aspects.push(aspect.clone());
        origins.insert(said.origin.clone());
    }
    by_source
        .into_iter()
        .map(|(source, (aspects, origins))| SourceView {
            source: source.to_owned(),
            aspects,
            origins: origins.into_iter().collect(),
        })
        .collect()
}
