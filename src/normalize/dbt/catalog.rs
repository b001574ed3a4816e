//! `catalog.json`: columns, types, comments and statistics as the warehouse has them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::codec::json::pointer;
use crate::model::fact::{
    Aspect, Column, Columns, Completeness, EntityKind, Entry, ExistenceState, Owner, Statement, Stats,
};
use crate::model::id::EntityId;
use crate::model::raw::Normalized;
use crate::model::reject::Rejection;

use super::manifest::{listing_entries, listing_id, packages};
use super::names::{package, resource_type};
use super::wire::{Catalog, CatalogColumn, CatalogTable, Metadata, Relation, Statistic, whole};
use super::{Seen, Told, node, read, said};

/// The facts of a catalog.
pub(super) fn facts(
    seen: &Seen<'_>,
    metadata: &Metadata,
    catalog: &Catalog<'_>,
    told: &Told,
) -> Result<Normalized, Rejection> {
    let time = seen.time(metadata)?;
    let all = || catalog.nodes.0.iter().chain(&catalog.sources.0);
    if all().next().is_none() {
        // Not that there are no tables: dbt writes this when it was told not to ask.
        return Ok(Normalized::NoOp("dbt_empty_catalog"));
    }
    let packages = packages(all().filter_map(|(unique_id, _)| package(unique_id)));
    let home = seen.home(told, metadata, &packages)?;
    let (scope, source) = home.scope("catalog");
    let mut facts = seen.collector(&source, time);
    let mut members: BTreeSet<EntityId> = BTreeSet::new();
    for (field, tables) in [("nodes", &catalog.nodes), ("sources", &catalog.sources)] {
        // Tables of failing rows belong to their tests.
        let is_node = |id: &str| matches!(resource_type(id), "model" | "seed" | "snapshot" | "source");
        for (unique_id, raw) in tables.0.iter().filter(|(unique_id, _)| is_node(unique_id)) {
            let path = || format!("/{field}/{}", pointer(unique_id));
            let table: CatalogTable<'_> = read(raw.get(), &path())?;
            let place = &table.metadata;
            let (database, schema) = (place.database.clone(), place.schema.clone());
            let relation = Relation { database, schema, name: place.name.clone(), reads: Vec::new() };
            let named = home.relation(&relation);
            if named.resolved.ignored || place.name.is_empty() {
                continue;
            }
            let mut entries = vec![node::name_entry(&named), node::existence(ExistenceState::Confirmed)];
            entries.extend(entries_of(&table, &path())?);
            facts.add(&named.resolved.id, EntityKind::Dataset, entries);
            members.insert(named.resolved.id);
        }
    }
    // A catalog that could not be read to its end lists nothing.
    let is_complete = match &catalog.errors {
        Value::Null => true,
        Value::Array(errors) => errors.is_empty(),
        _ => false,
    };
    if is_complete {
        let listing = listing_id(metadata, seen.hash);
        facts.add(&scope, EntityKind::Scope, listing_entries(listing, told, members));
    }
    Ok(Normalized::Facts(facts.finish()))
}

fn entries_of(table: &CatalogTable<'_>, path: &str) -> Result<Vec<Entry>, Rejection> {
    let mut columns: Vec<(i64, Column)> = Vec::with_capacity(table.columns.0.len());
    for (name, raw) in &table.columns.0 {
        let said_of: CatalogColumn = read(raw.get(), &format!("{path}/columns/{}", pointer(name)))?;
        let column = Column {
            name: if said_of.name.is_empty() { name.to_string() } else { said_of.name },
            data_type: said_of.data_type,
            description: said(said_of.comment.as_deref()).map(str::to_owned),
            ..Column::default()
        };
        columns.push((whole(&said_of.index).unwrap_or(i64::MAX), column));
    }
    columns.sort_by_key(|(index, _)| *index);
    let columns: Vec<Column> = columns.into_iter().map(|(_, column)| column).collect();
    let mut entries = Vec::new();
    if !columns.is_empty() {
        entries.push(Entry::of(Statement::Columns(Columns { completeness: Completeness::Complete, columns })));
    }
    if let Some(kind) = kind(&table.metadata.kind) {
        entries.push(Entry::of(Statement::DatasetKind(kind.to_owned())));
    }
    let comment = said(table.metadata.comment.as_deref()).map(|text| Statement::Description(text.to_owned()));
    entries.push(comment.map_or_else(|| Entry::retract(Aspect::Description, ""), Entry::of));
    if let Some(owner) = said(table.metadata.owner.as_deref()) {
        let owner = Owner { name: owner.to_owned(), role: "TECHNICAL".to_owned() };
        entries.push(Entry::of(Statement::Owners(vec![owner])));
    }
    entries.extend(stats(table, path)?.map(|stats| Entry::of(Statement::Stats(stats))));
    Ok(entries)
}

fn kind(reported: &str) -> Option<&'static str> {
    let reported = reported.to_uppercase();
    Some(match reported.as_str() {
        "" => return None,
        _ if reported.contains("MATERIALIZED") || reported.contains("DYNAMIC TABLE") => "materialized_view",
        _ if reported.contains("VIEW") => "view",
        _ if reported.contains("EXTERNAL") => "external_table",
        _ => "table",
    })
}

/// Adapters name their statistics each in its own way.
fn stats(table: &CatalogTable<'_>, path: &str) -> Result<Option<Stats>, Rejection> {
    let mut stats = Stats::default();
    for (id, raw) in &table.stats.0 {
        let value = read::<Statistic>(raw.get(), &format!("{path}/stats/{}", pointer(id)))?.value;
        let number = whole(&value).filter(|number| *number >= 0);
        match id.as_ref() {
            "num_rows" | "row_count" | "rows" => stats.rows = number,
            "num_bytes" | "bytes" | "size_in_bytes" => stats.bytes = number,
            // Redshift counts blocks of a megabyte.
            "size" => stats.bytes = number.and_then(|blocks| blocks.checked_mul(1 << 20)),
            "num_files" | "files" => stats.files = number,
            _ => {}
        }
    }
    Ok((stats != Stats::default()).then_some(stats))
}
