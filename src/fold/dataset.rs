//! Heads of datasets: the record of `catalog.datasets` and that of `catalog.dataset-stats`, from the registers.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::fact::{Aspect, ExistenceState, Origin, Owner, Statement, Tag};
use crate::model::id::case_collides;
use crate::model::record::{DatasetRecord, DatasetStatsRecord, Provenance};

use super::FoldConfig;
use super::columns;
use super::forward::is_stuck;
use super::names;
use super::precedence;
use super::routes::circles;
use super::view::{Said, View, best_of, state_name};

/// JSON text of a value for a record's field.
pub(super) fn json_text<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("values of the model serialize: string keys, no failing impls")
}

/// Layer above files: what decides whose columns are believed.
pub(super) fn provider(view: &View<'_>) -> String {
    for said in view.said(Aspect::Properties) {
        if let Statement::Properties(properties) = said.value {
            let provider = properties.get("spark.sql.sources.provider").or_else(|| properties.get("table_type"));
            if let Some(provider) = provider.map(|p| p.to_lowercase()).filter(|p| is_layer(p)) {
                return provider;
            }
        }
    }
    let mut formats: Vec<String> = view
        .said(Aspect::Format)
        .into_iter()
        .filter_map(|said| match said.value {
            Statement::Format(format) => Some(format.table_format.to_lowercase()),
            _ => None,
        })
        .filter(|name| is_layer(name))
        .collect();
    formats.sort();
    formats.into_iter().next().unwrap_or_default()
}

fn is_layer(name: &str) -> bool {
    matches!(name, "delta" | "iceberg" | "hudi")
}

/// The head of a dataset; `None` if there is nothing to show under this id.
pub(super) fn head(view: &View<'_>, config: &FoldConfig, origin: &Origin) -> Option<DatasetRecord> {
    let mut existence = view.existence()?;
    let entity = &view.core.entity;
    let id = entity.as_str();
    let weak = matches!(existence, ExistenceState::Referenced | ExistenceState::Confirmed);
    if weak && config.ignored.matches(id) {
        existence = ExistenceState::Ignored;
    }
    let platform = entity.platform();
    let mut provenance = BTreeMap::new();
    let head_columns = columns::derive(view, platform, &provider(view));
    let columns_by = head_columns.authority.or_else(|| {
        let (source, slot) = head_columns.best_partial?;
        Some((source, slot?))
    });
    if let Some((source, slot)) = columns_by {
        provenance.insert("columns".to_owned(), provenance_of(source.as_str(), slot));
    }
    let mut pick = |aspect: Aspect| -> Option<&Statement> {
        let said = view.best(aspect)?;
        provenance.insert(aspect.as_str().to_owned(), provenance_of(said.source.as_str(), said.slot));
        Some(said.value)
    };
    pick(Aspect::Existence);
    let description = match pick(Aspect::Description) {
        Some(Statement::Description(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let location = match pick(Aspect::Location).or_else(|| mentioned(view, Aspect::Location)) {
        Some(Statement::Location(location)) => Some(location.clone()),
        _ => None,
    };
    let format = match pick(Aspect::Format).or_else(|| mentioned(view, Aspect::Format)) {
        Some(Statement::Format(format)) => Some(format.clone()),
        _ => None,
    };
    let properties = match pick(Aspect::Properties) {
        Some(Statement::Properties(properties)) => properties.clone(),
        _ => BTreeMap::new(),
    };
    let kind = match pick(Aspect::DatasetKind).or_else(|| mentioned(view, Aspect::DatasetKind)) {
        Some(Statement::DatasetKind(kind)) => kind.clone(),
        _ => names::default_kind(entity).to_owned(),
    };
    let (view_original, view_expanded) = match pick(Aspect::ViewText) {
        Some(Statement::ViewText(text)) => (text.original.clone(), text.expanded.clone()),
        _ => (None, None),
    };
    let dropped = existence == ExistenceState::Dropped;
    Some(DatasetRecord {
        id: id.to_owned(),
        platform: platform.to_owned(),
        name: names::display(view),
        container: entity.container().map(|id| id.as_str().to_owned()),
        kind,
        existence: state_name(existence).to_owned(),
        incarnation: view.incarnation(),
        names: names::reported(view),
        aliases: view.by_sub(Aspect::Alias).into_keys().filter(|other| *other != id).map(str::to_owned).collect(),
        columns: head_columns.records,
        authority: head_columns.authority.map(|(source, _)| source.as_str().to_owned()).unwrap_or_default(),
        schema_version: view.core.schema_version,
        description,
        owners: owners(view),
        tags: tags(view),
        location,
        table_format: format.as_ref().map(|f| f.table_format.clone()).filter(|name| !name.is_empty()),
        format: format.map(|f| f.name).filter(|name| !name.is_empty()),
        properties,
        view_original,
        view_expanded,
        constraints: if dropped { BTreeMap::new() } else { constraints(view) },
        facets: facets(view),
        native: natives(view),
        issues: issues(view, config),
        provenance,
        first_seen: view.first_seen(),
        last_seen: view.last_seen(),
        origin: origin.clone(),
    })
}

fn provenance_of(source: &str, slot: &super::slots::Slot) -> Provenance {
    Provenance {
        source: source.to_owned(),
        origin: slot.origin.clone(),
        via: slot.via.iter().map(|id| id.as_str().to_owned()).collect(),
    }
}

/// A version-free statement, where nobody made a versioned one; the largest text, so that order does not matter.
fn mentioned<'a>(view: &View<'a>, aspect: Aspect) -> Option<&'a Statement> {
    let all = view.mentioned(aspect);
    all.into_iter().map(|(_, _, _, value)| value.as_ref()).max_by_key(|value: &&Statement| json_text(*value))
}

/// The best source's owners, and the technical account that owns the metastore's object beside them.
pub(super) fn owners(view: &View<'_>) -> Vec<Owner> {
    let said = view.said(Aspect::Owners);
    let mut out = BTreeSet::new();
    let of = |said: &Said<'_>| match said.value {
        Statement::Owners(owners) => owners.clone(),
        _ => Vec::new(),
    };
    for one in &said {
        out.extend(of(one).into_iter().filter(|owner| owner.role == "TECHNICAL"));
    }
    let speaking = said.into_iter().filter(|one| of(one).iter().any(|owner| owner.role != "TECHNICAL")).collect();
    if let Some(best) = best_of(Aspect::Owners, speaking) {
        out.extend(of(&best));
    }
    out.into_iter().collect()
}

/// The union of all sources' tags.
pub(super) fn tags(view: &View<'_>) -> Vec<Tag> {
    let mut out = BTreeSet::new();
    for said in view.said(Aspect::Tags) {
        if let Statement::Tags(tags) = said.value {
            out.extend(tags.iter().cloned());
        }
    }
    out.into_iter().collect()
}

fn constraints(view: &View<'_>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (sub_key, said) in view.by_sub(Aspect::Constraint) {
        if let Some(Statement::Constraint(value)) = best_of(Aspect::Constraint, said).map(|said| said.value) {
            out.insert(sub_key.to_owned(), json_text(value));
        }
    }
    out
}

/// Facets without a place of their own.
pub(super) fn facets(view: &View<'_>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (sub_key, said) in view.by_sub(Aspect::Facet) {
        if let Some(Statement::Facet(value)) = best_of(Aspect::Facet, said).map(|said| said.value) {
            out.insert(sub_key.to_owned(), json_text(value));
        }
    }
    out
}

/// Each source's own fields.
pub(super) fn natives(view: &View<'_>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for said in view.said(Aspect::Native) {
        if let Statement::Native(value) = said.value {
            out.insert(said.source.as_str().to_owned(), json_text(value));
        }
    }
    out
}

fn issues(view: &View<'_>, config: &FoldConfig) -> Vec<String> {
    let mut out = BTreeSet::new();
    let mut spelled = Vec::new();
    for (source, mention, _, value) in view.mentioned(Aspect::Name) {
        if let Statement::Name(name) = value.as_ref() {
            out.extend(name.issues.iter().cloned());
            // Statements are typed by people, and names of other names have their own spelling.
            if source.family() != "sql" && mention.via.is_empty() {
                spelled.push((source.as_str(), name.name.as_str()));
            }
        }
    }
    let id = &view.core.entity;
    if !config.case_blind.iter().any(|prefix| id.as_str().starts_with(prefix)) && case_collides(id, spelled) {
        out.insert("case_collision".to_owned());
    }
    if circles(view.core).next().is_some() || is_stuck(view.core, &view.seen.routes) {
        out.insert("cycle".to_owned());
    }
    let aliases = view.by_sub(Aspect::Alias);
    let is_own = |id: &str| id == view.core.entity.as_str() || aliases.contains_key(id);
    for said in aliases.values().flatten() {
        // A table that is called otherwise now does not compete with itself for its location.
        if matches!(said.value, Statement::Alias(alias) if alias.shared_with.iter().any(|id| !is_own(id.as_str()))) {
            out.insert("ambiguous_location".to_owned());
        }
    }
    out.into_iter().collect()
}

/// Measures, each the newest by event time from any source; `None` if nobody measured.
pub(super) fn stats(
    view: &View<'_>,
    column_stats: &BTreeMap<String, String>,
    origin: &Origin,
) -> Option<DatasetStatsRecord> {
    let newest = |aspect: Aspect, said: Vec<Said<'_>>, keep: &dyn Fn(&Statement) -> Option<i64>| {
        said.into_iter()
            .filter_map(|s| {
                Some((s.slot.version.time, s.slot.version, precedence::aspect(aspect, s.source), keep(s.value)?))
            })
            .max()
            .map(|(_, _, _, value)| value)
    };
    let measure = |field: fn(&crate::model::fact::Stats) -> Option<i64>| {
        newest(Aspect::Stats, view.said(Aspect::Stats), &|value| match value {
            Statement::Stats(stats) => field(stats),
            _ => None,
        })
    };
    let last_write = view
        .said(Aspect::Write)
        .into_iter()
        .filter_map(|said| match said.value {
            Statement::Write(mark) => Some((mark.time, said.slot.version, mark)),
            _ => None,
        })
        .max_by_key(|(time, version, _)| (*time, *version))
        .map(|(_, _, mark)| mark);
    let data_version = view
        .said(Aspect::DatasetVersion)
        .into_iter()
        .filter_map(|said| match said.value {
            Statement::DatasetVersion(version) => Some((said.slot.version.time, said.slot.version, version)),
            _ => None,
        })
        .max()
        .map(|(_, _, version)| version.clone());
    let record = DatasetStatsRecord {
        id: view.core.entity.as_str().to_owned(),
        rows: measure(|stats| stats.rows),
        bytes: measure(|stats| stats.bytes),
        files: measure(|stats| stats.files),
        last_write: last_write.map(|mark| mark.time),
        last_job: last_write.map(|mark| mark.job.as_str().to_owned()).filter(|job| !job.is_empty()),
        last_run: last_write.map(|mark| mark.run.clone()).filter(|run| !run.is_empty()),
        dataset_version: data_version,
        column_stats: column_stats.clone(),
        origin: origin.clone(),
    };
    let empty = record.rows.is_none()
        && record.bytes.is_none()
        && record.files.is_none()
        && record.last_write.is_none()
        && record.dataset_version.is_none()
        && record.column_stats.is_empty();
    (!empty).then_some(record)
}
