//! What each kind of metastore event states. Knows no formats.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::names::{DEFAULT_CATALOG, Metastore, column_stats_sub_key, identifier, partition_sub_key};
use super::table::{
    Absent, database_entries, function_entries, location, partition, partition_keys, stats, table_entries,
};
use super::view::is_view;
use crate::codec::hms::event::{Change, ConstraintKind, constraint_table_fields};
use crate::codec::hms::synthetic::{Listed, ListedKind, ListingMark};
use crate::codec::hms::thrift::Object;
use crate::model::fact::{
    AliasOf, Aspect, EntityKind, Entry, Evidence, Existence, ExistenceState, Fact, ListingPage, LocationMoved, Origin,
    ReportedName, Source, Statement, Version, WriteMark,
};
use crate::model::id::{EntityId, Identity, encode, name_key};
use crate::model::raw::Normalized;

/// Facets that mark changes of columns, by which an export tells what became of constraints. With `/column` appended it
/// is about that column only.
pub const COLUMNS_FACET: &str = "hms_columns_changed";

/// What all facts of a record share.
pub(super) struct Context<'a> {
    pub source: Source,
    pub version: Version,
    pub origin: &'a Origin,
    pub catalog: Option<&'a str>,
    pub metastore: &'a Metastore,
    pub identity: &'a Identity,
    /// Set where a listing speaks and not an event.
    pub listing: Option<&'a ListingMark>,
}

/// The facts of one event.
pub(super) fn facts(context: &Context<'_>, change: &Change) -> Normalized {
    let facts = match change {
        Change::CreateDatabase(database) => {
            vec![context.database(database, context.created(ListedKind::Database), Absent::Omit)]
        }
        Change::AlterDatabase(database) => {
            vec![context.database(database, context.altered_still(ListedKind::Database), Absent::Retract)]
        }
        Change::DropDatabase(database) => vec![context.database(database, dropped(), Absent::Omit)],
        Change::CreateTable(table) => {
            let mut facts = vec![context.table(table, context.created(ListedKind::Table), Absent::Omit)];
            facts.extend(context.location_alias(table));
            facts
        }
        Change::DropTable(table) => {
            let mut fact = context.table(table, dropped(), Absent::Omit);
            if is_view(table) {
                fact.entries.retain(|entry| entry.aspect != Aspect::Sql);
                fact.entries.push(Entry::retract(Aspect::Sql, ""));
            }
            vec![fact]
        }
        Change::AlterTable { before, after } => context.altered(before, after),
        Change::AddPartitions { table, partitions } => {
            if partitions.is_empty() {
                return Normalized::NoOp("hms_no_partitions");
            }
            vec![context.partitions(table, None, partitions)]
        }
        Change::AlterPartitions { table, before, after } => {
            if after.is_empty() {
                return Normalized::NoOp("hms_no_partitions");
            }
            vec![context.partitions(table, before.as_ref(), after)]
        }
        Change::DropPartitions { table, values } => {
            if values.is_empty() {
                return Normalized::NoOp("hms_no_partitions");
            }
            let keys = partition_keys(table);
            let names = values.iter().map(|values| partition_sub_key(&keys, values));
            let entries = unique(names.map(|name| Entry::retract(Aspect::Partition, name)));
            vec![context.fact(context.table_id(table), EntityKind::Dataset, entries)]
        }
        Change::Insert { table } => {
            // The metastore does not know who wrote.
            let mark = WriteMark {
                time: context.version.time,
                job: EntityId::from_canonical(""),
                run: String::new(),
                rows: None,
                bytes: None,
            };
            let entries = vec![Entry::of(Statement::Write(mark))];
            vec![context.fact(context.table_id(table), EntityKind::Dataset, entries)]
        }
        Change::CreateFunction(function) => {
            let mut entries = vec![Entry::of(context.created(ListedKind::Function))];
            entries.extend(function_entries(function, context.catalog));
            let text = |name: &str| function.text(name).unwrap_or_default();
            let catalog = context.catalog(function.text("catName"));
            let id = context.metastore.function(catalog, text("dbName"), text("functionName"));
            vec![context.fact(id, EntityKind::Function, entries)]
        }
        Change::DropFunction { database, name } => {
            let id = context.metastore.function(context.catalog(None), database, name);
            vec![context.fact(id, EntityKind::Function, vec![Entry::of(dropped())])]
        }
        Change::AddConstraints { kind, columns } => {
            if columns.is_empty() {
                return Normalized::NoOp("hms_no_constraints");
            }
            context.constraints(*kind, columns)
        }
        Change::DropConstraint { database, table, name } => {
            let id = context.metastore.table(context.catalog(None), database, table);
            let entries = vec![Entry::retract(Aspect::Constraint, encode(&identifier(name)))];
            vec![context.fact(id, EntityKind::Dataset, entries)]
        }
        Change::UpdateColumnStats { stats, table_parameters } => {
            let fact = context.column_stats(stats, table_parameters.as_ref());
            if fact.entries.is_empty() {
                return Normalized::NoOp("hms_no_statistics");
            }
            vec![fact]
        }
        Change::DeleteColumnStats { database, table, partition, column } => {
            let id = context.metastore.table(context.catalog(None), database, table);
            let sub_key = column_stats_sub_key(partition.as_deref(), column);
            vec![context.fact(id, EntityKind::Dataset, vec![Entry::retract(Aspect::ColumnStats, sub_key)])]
        }
        Change::Listing { kind, page, pages, members } => match context.listing {
            Some(mark) => vec![context.listing_page(mark, *kind, (*page, *pages), members)],
            // The decoder gives none without.
            None => return Normalized::NoOp("hms_no_listing"),
        },
        Change::Silent(reason) => return Normalized::NoOp(reason),
    };
    Normalized::Facts(facts)
}

fn dropped() -> Statement {
    let state = ExistenceState::Dropped;
    Statement::Existence(Existence { state, evidence: Evidence::Owner, floor: true, scope: None })
}

/// The last entry of each register.
fn unique(entries: impl Iterator<Item = Entry>) -> Vec<Entry> {
    let by_key: BTreeMap<(Aspect, String), Entry> =
        entries.map(|entry| ((entry.aspect, entry.sub_key.clone()), entry)).collect();
    by_key.into_values().collect()
}

impl Context<'_> {
    /// It was created, or a listing found it: either way all that was said of it before is void.
    fn created(&self, kind: ListedKind) -> Statement {
        self.alive(kind, true)
    }

    /// It was there before.
    fn altered_still(&self, kind: ListedKind) -> Statement {
        self.alive(kind, false)
    }

    /// It is there, and so a listing that does not name it says that it is gone.
    fn alive(&self, kind: ListedKind, floor: bool) -> Statement {
        let evidence = if self.listing.is_some() { Evidence::Listing } else { Evidence::Owner };
        let scope = Some(self.metastore.scope(kind));
        Statement::Existence(Existence { state: ExistenceState::Confirmed, evidence, floor, scope })
    }

    fn listing_page(
        &self,
        mark: &ListingMark,
        kind: ListedKind,
        (page, pages): (u32, u32),
        members: &[Listed],
    ) -> Fact {
        let members = members.iter().map(|listed| self.metastore.listed(kind, listed)).collect();
        let listing = ListingPage { listing: mark.id.clone(), page, pages, members };
        let entry = Entry::keyed(page.to_string(), Statement::Listing(listing));
        self.fact(self.metastore.scope(kind), EntityKind::Scope, vec![entry])
    }

    fn fact(&self, entity: EntityId, kind: EntityKind, entries: Vec<Entry>) -> Fact {
        Fact {
            entity,
            kind,
            source: self.source.clone(),
            version: self.version,
            origin: self.origin.clone(),
            via: Vec::new(),
            entries,
        }
    }

    /// The object's own catalog, else the envelope's, else the default one.
    fn catalog<'b>(&'b self, own: Option<&'b str>) -> &'b str {
        own.filter(|name| !name.is_empty()).or(self.catalog).unwrap_or(DEFAULT_CATALOG)
    }

    fn table_id(&self, table: &Object) -> EntityId {
        let text = |name: &str| table.text(name).unwrap_or_default();
        self.metastore.table(self.catalog(table.text("catName")), text("dbName"), text("tableName"))
    }

    fn database(&self, database: &Object, existence: Statement, absent: Absent) -> Fact {
        let catalog = self.catalog(database.text("catalogName"));
        let id = self.metastore.container(catalog, database.text("name").unwrap_or_default());
        let mut entries = vec![Entry::of(existence)];
        entries.extend(database_entries(database, absent));
        self.fact(id, EntityKind::Container, entries)
    }

    fn table(&self, table: &Object, existence: Statement, absent: Absent) -> Fact {
        let mut entries = vec![Entry::of(existence)];
        // A drop may give no more than the name, which says nothing of columns.
        if table.map("sd").is_some() {
            entries.push(self.name(table));
            entries.extend(table_entries(table, absent));
        }
        self.fact(self.table_id(table), EntityKind::Dataset, entries)
    }

    /// The spelling under which the metastore knows the table.
    fn name(&self, table: &Object) -> Entry {
        let text = |name: &str| identifier(table.text(name).unwrap_or_default());
        let mut name = format!("{}.{}", text("dbName"), text("tableName"));
        let catalog = self.catalog(table.text("catName"));
        if catalog != DEFAULT_CATALOG {
            name = format!("{catalog}.{name}");
        }
        let namespace = self.metastore.namespace();
        let key = name_key(&namespace, &name);
        Entry::keyed(key, Statement::Name(ReportedName { namespace, name, issues: Vec::new() }))
    }

    /// That the table's location is a name of it, from now on.
    fn location_alias(&self, table: &Object) -> Option<Fact> {
        let path = self.identity.location(location(table)?, &self.origin.topic)?;
        // A listing finds what has been there for long.
        let created = self.listing.and_then(|_| table.int("createTime")).filter(|seconds| *seconds > 0);
        let valid_from = created.map_or(self.version.time, |seconds| seconds.saturating_mul(1_000_000));
        let alias = AliasOf { kind: "location".to_owned(), valid_from };
        let entry = Entry::keyed(self.table_id(table).as_str(), Statement::AliasOf(alias));
        Some(self.fact(path, EntityKind::Dataset, vec![entry]))
    }

    fn altered(&self, before: &Object, after: &Object) -> Vec<Fact> {
        let (old, new) = (self.table_id(before), self.table_id(after));
        let mut facts = vec![self.table(after, self.altered_still(ListedKind::Table), Absent::Retract)];
        if let Some(fact) = facts.first_mut() {
            fact.entries.extend(self.constraint_losses(before, after));
            // Of what never was a view nothing has to be taken back.
            if is_view(before) && fact.entries.iter().all(|entry| entry.aspect != Aspect::Sql) {
                fact.entries.push(Entry::retract(Aspect::Sql, ""));
            }
        }
        if old != new || location(before) != location(after) {
            facts.extend(self.location_alias(after));
        }
        if old != new {
            let mut entries = vec![Entry::of(Statement::RenamedTo(new))];
            entries.extend(moved(before, after).map(|moved| Entry::of(Statement::LocationMoved(moved))));
            entries.extend(is_view(before).then(|| Entry::retract(Aspect::Sql, "")));
            facts.push(self.fact(old, EntityKind::Dataset, entries));
        }
        facts
    }

    fn partitions(&self, table: &Object, before: Option<&Object>, after: &[Object]) -> Fact {
        let keys = partition_keys(table);
        let sub_key = |object: &Object| partition_sub_key(&keys, &object.texts("values"));
        // A renamed partition leaves its old name; an unchanged name is overwritten by what follows.
        let left = before.map(|object| Entry::retract(Aspect::Partition, sub_key(object)));
        let set = after.iter().map(|object| Entry::keyed(sub_key(object), Statement::Partition(partition(object))));
        self.fact(self.table_id(table), EntityKind::Dataset, unique(left.into_iter().chain(set)))
    }

    fn constraints(&self, kind: ConstraintKind, columns: &[Object]) -> Vec<Fact> {
        let (_, _, name_field) = kind.layout();
        let (database, table) = constraint_table_fields(kind);
        let mut tables: BTreeMap<EntityId, BTreeMap<String, Vec<Value>>> = BTreeMap::new();
        for column in columns {
            let text = |name: &str| column.text(name).unwrap_or_default();
            let id = self.metastore.table(self.catalog(column.text("catName")), text(database), text(table));
            let named = tables.entry(id).or_default().entry(identifier(text(name_field))).or_default();
            named.push(Value::Object(lower_names(&column.0)));
        }
        let fact = |(id, constraints): (EntityId, BTreeMap<String, Vec<Value>>)| {
            let entry = |(name, columns): (String, Vec<Value>)| {
                let stated = self.version.sortable();
                let value = json!({ "type": kind.as_str(), "columns": columns, "stated": stated });
                Entry::keyed(encode(&name), Statement::Constraint(value))
            };
            self.fact(id, EntityKind::Dataset, constraints.into_iter().map(entry).collect())
        };
        tables.into_iter().map(fact).collect()
    }

    /// A change of columns breaks constraints in the metastore without an event of its own: 4.x drops those of columns
    /// that are gone or redefined, 3.x forgets the columns of all. No event tells which constraints there are, so the
    /// change is marked here and the constraint carries the version at which it was stated.
    fn constraint_losses(&self, before: &Object, after: &Object) -> Vec<Entry> {
        let (old, new) = (stored_columns(before), stored_columns(after));
        let mark = |name: String| Entry::keyed(name, Statement::Facet(json!({ "version": self.version.sortable() })));
        if old == new {
            return Vec::new();
        }
        if after.int("id").is_none() {
            // Constraints came with catalogs, in 3.0.
            return after.text("catName").map(|_| mark(COLUMNS_FACET.to_owned())).into_iter().collect();
        }
        let kept: BTreeSet<_> = new.iter().collect();
        let gone = old.iter().filter(|column| !kept.contains(column));
        unique(gone.map(|column| mark(format!("{COLUMNS_FACET}/{}", column.0))))
    }

    fn column_stats(&self, statistics: &Object, parameters: Option<&BTreeMap<String, String>>) -> Fact {
        let description = statistics.map("statsDesc").cloned().map(Object).unwrap_or_default();
        let text = |name: &str| description.text(name).unwrap_or_default();
        let id = self.metastore.table(self.catalog(description.text("catName")), text("dbName"), text("tableName"));
        let partition = description.non_empty("partName");
        let column = |column: &Value| {
            let name = column.get("colName").and_then(Value::as_str)?;
            let mut value = column.as_object()?.clone();
            value.insert("colName".to_owned(), Value::from(identifier(name)));
            value.extend(description.0.get("lastAnalyzed").map(|time| ("lastAnalyzed".to_owned(), time.clone())));
            value.extend(statistics.0.get("engine").map(|engine| ("engine".to_owned(), engine.clone())));
            let sub_key = column_stats_sub_key(partition, name);
            Some(Entry::keyed(sub_key, Statement::ColumnStats(Value::Object(value))))
        };
        let mut entries = unique(statistics.list("statsObj").iter().filter_map(column));
        if let Some(parameters) = parameters.filter(|parameters| !parameters.is_empty()) {
            entries.extend(stats(parameters).map(|stats| Entry::of(Statement::Stats(stats))));
            entries.push(Entry::of(Statement::Properties(parameters.clone())));
        }
        self.fact(id, EntityKind::Dataset, entries)
    }
}

/// Name, type and comment of the columns as the metastore stores them.
fn stored_columns(table: &Object) -> Vec<(String, Option<&str>, Option<&str>)> {
    let columns = table.map("sd").and_then(|sd| sd.get("cols")).and_then(Value::as_array).into_iter().flatten();
    columns
        .map(|column| {
            let text = |field: &str| column.get(field).and_then(Value::as_str);
            (text("name").unwrap_or_default().to_lowercase(), text("type"), text("comment"))
        })
        .collect()
}

/// Whether a rename moved the table's data: the metastore moves it to a directory named as the table, and takes along
/// the partitions below. Any other new location was set by the client and moves nothing.
fn moved(before: &Object, after: &Object) -> Option<LocationMoved> {
    let (from, to) = (location(before)?, location(after)?);
    let directory = to.trim_end_matches('/').rsplit('/').next()?;
    let is_own = directory.to_lowercase() == identifier(after.text("tableName")?);
    (from != to && is_own).then(|| LocationMoved { from: from.to_owned(), to: to.to_owned() })
}

/// Identifiers of a constraint as the metastore stores them.
fn lower_names(constraint: &Map<String, Value>) -> Map<String, Value> {
    let is_identifier = |field: &str| field.contains("table_") || field.ends_with("column_name") || is_name(field);
    let entries = constraint.iter().map(|(field, value)| match value.as_str() {
        Some(text) if is_identifier(field) => (field.clone(), Value::from(identifier(text))),
        _ => (field.clone(), value.clone()),
    });
    entries.collect()
}

fn is_name(field: &str) -> bool {
    matches!(field, "pk_name" | "fk_name" | "uk_name" | "nn_name" | "dc_name")
}
