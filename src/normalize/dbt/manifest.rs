//! A manifest, or a part of one: datasets, jobs with declared lineage, what tests are about, and the listing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;
use serde_json::value::RawValue;

use crate::codec::json::pointer;
use crate::model::fact::{
    DeclaredLineage, EntityKind, Entry, ExistenceState, Job, ListingPage, SqlText, Statement, Subject,
};
use crate::model::id::EntityId;
use crate::model::raw::Normalized;
use crate::model::reject::Rejection;
use crate::normalize::openlineage::collect::Collector;

use super::names::{Home, Named, package};
use super::wire::{Group, Manifest, Metadata, Node, Person, Relation};
use super::{Seen, Told, node, read, said};

/// The facts of a manifest.
pub(super) fn facts(
    seen: &Seen<'_>,
    metadata: &Metadata,
    manifest: &Manifest<'_>,
    told: &Told,
) -> Result<Normalized, Rejection> {
    let time = seen.time(metadata)?;
    let nodes = nodes(manifest)?;
    let packages = packages(nodes.iter().map(|node| node.package_name.as_str()));
    let home = seen.home(told, metadata, &packages)?;
    let (scope, source) = home.scope("manifest");
    let mut reader = Reader {
        home: &home,
        groups: groups(manifest)?,
        places: places(&home, manifest, &nodes),
        ephemeral: ephemeral(manifest, &nodes),
        names: BTreeSet::new(),
        members: BTreeSet::new(),
        facts: seen.collector(&source, time),
    };
    for node in &nodes {
        reader.node(node)?;
    }
    let listing = listing_id(metadata, seen.hash);
    let Reader { members, mut facts, .. } = reader;
    facts.add(&scope, EntityKind::Scope, listing_entries(listing, told, members));
    Ok(Normalized::Facts(facts.finish()))
}

/// All parts of an artifact share it.
pub(super) fn listing_id(metadata: &Metadata, hash: u64) -> String {
    if metadata.invocation_id.is_empty() {
        return format!("{}|{hash:016x}", metadata.generated_at);
    }
    format!("{}|{}", metadata.generated_at, metadata.invocation_id)
}

/// A page of a listing, before which its own members are made known to the scope.
pub(super) fn listing_entries(listing: String, told: &Told, members: BTreeSet<EntityId>) -> Vec<Entry> {
    let mut entries: Vec<Entry> =
        members.iter().map(|member| Entry::keyed(member.as_str(), Statement::Member(true))).collect();
    let page = ListingPage { listing, page: told.part, pages: told.parts, members: members.into_iter().collect() };
    entries.push(Entry::keyed(told.part.to_string(), Statement::Listing(page)));
    entries
}

/// Package names, the one of most nodes first: a manifest before version 12 does not name its project.
pub(super) fn packages<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for name in names.filter(|name| !name.is_empty()) {
        *counts.entry(name).or_default() += 1;
    }
    let mut names: Vec<(&str, usize)> = counts.into_iter().collect();
    names.sort_by(|(a, many), (b, more)| (more, a).cmp(&(many, b)));
    names.into_iter().map(|(name, _)| name).collect()
}

fn nodes<'a>(manifest: &Manifest<'a>) -> Result<Vec<Node<'a>>, Rejection> {
    let groups = [
        ("nodes", &manifest.nodes),
        ("sources", &manifest.sources),
        ("exposures", &manifest.exposures),
        ("metrics", &manifest.metrics),
        ("semantic_models", &manifest.semantic_models),
        ("saved_queries", &manifest.saved_queries),
        ("unit_tests", &manifest.unit_tests),
    ];
    let mut nodes = Vec::new();
    for (field, members) in groups {
        for (unique_id, raw) in &members.0 {
            let mut node = one(field, unique_id, raw)?;
            if node.unique_id.is_empty() {
                node.unique_id = unique_id.to_string();
            }
            if node.resource_type.is_empty() {
                node.resource_type = super::names::resource_type(&node.unique_id).to_owned();
            }
            if node.package_name.is_empty() {
                node.package_name = package(&node.unique_id).unwrap_or_default().to_owned();
            }
            if node.config.enabled != Some(false) {
                nodes.push(node);
            }
        }
    }
    Ok(nodes)
}

fn one<'a>(field: &str, unique_id: &str, raw: &'a RawValue) -> Result<Node<'a>, Rejection> {
    let unique_id: String = unique_id.chars().take(200).collect();
    read(raw.get(), &format!("/{field}/{}", pointer(&unique_id)))
}

fn groups(manifest: &Manifest<'_>) -> Result<BTreeMap<String, Person>, Rejection> {
    let mut groups = BTreeMap::new();
    for (unique_id, raw) in &manifest.groups.0 {
        let group: Group = read(raw.get(), &format!("/groups/{}", pointer(unique_id)))?;
        groups.insert(group.name, group.owner);
    }
    Ok(groups)
}

/// Where a node's relation lies, if it has one.
pub(super) fn relation(node: &Node<'_>) -> Option<Relation> {
    let name = match node.resource_type.as_str() {
        "model" | "seed" | "snapshot" => said(node.alias.as_deref()).unwrap_or(&node.name),
        "source" => said(node.identifier.as_deref()).unwrap_or(&node.name),
        _ => return None,
    };
    let is_virtual = node::kind(node).1 == ExistenceState::Virtual;
    let reads = if is_virtual { node.depends_on.nodes.clone() } else { Vec::new() };
    Some(Relation { database: node.database.clone(), schema: node.schema.clone(), name: name.to_owned(), reads })
}

/// Whether a node of this type is a dataset that no database holds.
fn is_abstract(resource_type: &str) -> bool {
    matches!(resource_type, "exposure" | "metric" | "semantic_model" | "saved_query")
}

/// The dataset of each node, those in other parts of the manifest among them.
fn places(home: &Home<'_>, manifest: &Manifest<'_>, nodes: &[Node<'_>]) -> HashMap<String, Named> {
    let mut places: HashMap<String, Named> =
        manifest.relations.iter().map(|(id, relation)| (id.clone(), home.relation(relation))).collect();
    for node in nodes {
        let named = match relation(node) {
            Some(relation) => home.relation(&relation),
            None if is_abstract(&node.resource_type) => home.abstract_node(&node.unique_id),
            None => continue,
        };
        places.insert(node.unique_id.clone(), named);
    }
    places
}

/// What each ephemeral model reads, those in other parts of the manifest among them.
fn ephemeral(manifest: &Manifest<'_>, nodes: &[Node<'_>]) -> HashMap<String, Vec<String>> {
    let elsewhere = manifest.relations.iter().map(|(id, relation)| (id.clone(), relation.reads.clone()));
    let here = nodes.iter().filter_map(|node| Some((node.unique_id.clone(), relation(node)?.reads)));
    elsewhere.chain(here).filter(|(_, reads)| !reads.is_empty()).collect()
}

struct Reader<'a> {
    home: &'a Home<'a>,
    groups: BTreeMap<String, Person>,
    places: HashMap<String, Named>,
    /// What ephemeral models read.
    ephemeral: HashMap<String, Vec<String>>,
    /// Names of checks that datasets have already.
    names: BTreeSet<(EntityId, String)>,
    members: BTreeSet<EntityId>,
    facts: Collector,
}

impl Reader<'_> {
    fn node(&mut self, node: &Node<'_>) -> Result<(), Rejection> {
        match node.resource_type.as_str() {
            "test" | "unit_test" => self.test(node),
            "model" | "seed" | "snapshot" | "source" => self.dataset(node)?,
            kind if is_abstract(kind) => self.dataset(node)?,
            // Analyses, operations, documentation blocks: nothing that anybody reads or writes.
            _ => {}
        }
        Ok(())
    }

    /// The dataset that a node is, in the catalog.
    fn place(&self, unique_id: &str) -> Option<Named> {
        match self.places.get(unique_id) {
            Some(named) => Some(named.clone()),
            // In another part, and without a relation.
            None if is_abstract(super::names::resource_type(unique_id)) => Some(self.home.abstract_node(unique_id)),
            None => None,
        }
    }

    fn add(&mut self, id: &EntityId, kind: EntityKind, entries: Vec<Entry>) {
        self.members.insert(id.clone());
        self.facts.add(id, kind, entries);
    }

    fn dataset(&mut self, node: &Node<'_>) -> Result<(), Rejection> {
        let Some(named) = self.place(&node.unique_id) else { return Ok(()) };
        if !named.resolved.ignored {
            let entries = node::entries(node, &named, &self.groups, &self.home.adapter)?;
            self.add(&named.resolved.id, EntityKind::Dataset, entries);
        }
        if node.resource_type == "source" {
            self.freshness(node, &named);
        } else {
            let job = self.home.job(&node.unique_id);
            let entries = self.job(node, &named);
            self.add(&job, EntityKind::Job, entries);
        }
        Ok(())
    }

    /// The datasets of nodes, without doubles.
    fn datasets<'b>(&self, unique_ids: impl IntoIterator<Item = &'b String>) -> Vec<EntityId> {
        let named = unique_ids.into_iter().filter_map(|unique_id| self.place(unique_id));
        let ids = named.filter(|named| !named.resolved.ignored).map(|named| named.resolved.id);
        ids.collect::<BTreeSet<EntityId>>().into_iter().collect()
    }

    /// Nodes whose tables the SQL of a node names because the models between them are ephemeral.
    fn read_through(&self, node: &Node<'_>) -> BTreeSet<String> {
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut ahead: Vec<&String> = node.depends_on.nodes.iter().collect();
        while let Some(unique_id) = ahead.pop() {
            for read in self.ephemeral.get(unique_id).into_iter().flatten() {
                if seen.insert(read.clone()) {
                    ahead.push(read);
                }
            }
        }
        seen
    }

    fn job(&self, node: &Node<'_>, named: &Named) -> Vec<Entry> {
        let compiled = node::compiled(node);
        let job = Job {
            namespace: self.home.jobs.clone(),
            name: node.unique_id.clone(),
            integration: "DBT".to_owned(),
            job_type: node.resource_type.to_uppercase(),
            processing: "BATCH".to_owned(),
            parent: None,
            source_location: said(Some(&node.original_file_path)).map(str::to_owned),
            source_code: node::raw(node).map(str::to_owned),
            sql: compiled.map(str::to_owned),
            dialect: compiled.map(|_| self.home.adapter.clone()),
        };
        let outputs = if named.resolved.ignored { Vec::new() } else { vec![named.resolved.id.clone()] };
        let inputs = self.datasets(&node.depends_on.nodes);
        let through = self.datasets(&self.read_through(node));
        let through = through.into_iter().filter(|id| !inputs.contains(id)).collect();
        let declared = DeclaredLineage { inputs, through, outputs, ..DeclaredLineage::default() };
        let mut entries = vec![Entry::of(Statement::Job(job)), Entry::of(Statement::Declared(declared))];
        if let Some(text) = said(Some(&node.description)) {
            entries.push(Entry::of(Statement::Description(text.to_owned())));
        }
        let owners = node::owners(node, &self.groups);
        if !owners.is_empty() {
            entries.push(Entry::of(Statement::Owners(owners)));
        }
        if let Some(text) = compiled {
            let defaults = [&node.database, &node.schema].into_iter().flatten().cloned().collect();
            let dialect = self.home.adapter.clone();
            let sql = SqlText { text: text.to_owned(), dialect, defaults, ..SqlText::default() };
            entries.push(Entry::of(Statement::Sql(sql)));
        }
        entries
    }

    fn freshness(&mut self, node: &Node<'_>, named: &Named) {
        // Sources without criteria have no results; a check that is never made costs nothing.
        let details = json!({ "assertion": "freshness", "criteria": node.freshness });
        let subject = Subject {
            check: "freshness".to_owned(),
            datasets: vec![named.resolved.id.clone()],
            field: said(node.loaded_at_field.as_deref()).map(str::to_owned),
            details,
        };
        let check = self.home.check(&node.unique_id);
        self.add(&check, EntityKind::Scope, vec![Entry::of(Statement::Subject(subject))]);
    }

    fn test(&mut self, node: &Node<'_>) {
        let datasets: BTreeSet<EntityId> = tested(node)
            .into_iter()
            .filter_map(|unique_id| self.place(unique_id))
            .filter(|named| !named.resolved.ignored)
            .map(|named| named.resolved.id)
            .collect();
        if datasets.is_empty() {
            return;
        }
        let metadata = node.test_metadata.as_ref();
        let kwarg = |name: &str| metadata.and_then(|metadata| metadata.kwargs.get(name)?.as_str());
        let field = said(node.column_name.as_deref()).or_else(|| kwarg("column_name"));
        let assertion = metadata.map(|metadata| metadata.name.as_str()).filter(|name| !name.is_empty());
        let assertion = assertion.unwrap_or(if node.resource_type == "unit_test" { "unit_test" } else { "singular" });
        let mut details = json!({
            "assertion": assertion,
            "dbt": node.unique_id,
            "severity": node.config.severity.as_deref().map(str::to_lowercase),
        });
        if let Some(metadata) = metadata {
            let arguments =
                metadata.kwargs.iter().filter(|(name, _)| !matches!(name.as_str(), "model" | "column_name"));
            let arguments: serde_json::Map<_, _> =
                arguments.map(|(name, value)| (name.clone(), value.clone())).collect();
            if !arguments.is_empty() {
                details["arguments"] = arguments.into();
            }
        }
        // Packages may have tests of the same name on one table.
        let is_new = datasets.iter().all(|id| !self.names.contains(&(id.clone(), node.name.clone())));
        let check = if is_new { node.name.clone() } else { node.unique_id.clone() };
        self.names.extend(datasets.iter().map(|id| (id.clone(), check.clone())));
        let subject = Subject {
            check,
            datasets: datasets.into_iter().collect(),
            field: field.map(|name| crate::model::id::child_path("", name.trim_matches(['"', '`']))),
            details,
        };
        let check = self.home.check(&node.unique_id);
        self.add(&check, EntityKind::Scope, vec![Entry::of(Statement::Subject(subject))]);
    }
}

/// Nodes that a test is about. A generic test is about the one it is attached to, also where it reads a second one
/// (`relationships`); a singular test about all it reads.
fn tested<'a>(node: &'a Node<'_>) -> Vec<&'a str> {
    if let Some(attached) = said(node.attached_node.as_deref()) {
        return vec![attached];
    }
    let read = || node.depends_on.nodes.iter().map(String::as_str);
    let model = node.test_metadata.as_ref().and_then(|metadata| metadata.kwargs.get("model")?.as_str());
    let Some(model) = model else { return read().collect() };
    // `{{ get_where_subquery(ref('orders')) }}`, `{{ source('erp', 'suppliers') }}`: the texts name it, package and
    // version aside.
    let words: Vec<&str> = model.split(['\'', '"']).skip(1).step_by(2).collect();
    let fits = |unique_id: &&str| {
        let parts: Vec<&str> = unique_id.split('.').skip(1).collect();
        !words.is_empty() && words.iter().all(|word| parts.contains(word))
    };
    match read().find(fits) {
        Some(unique_id) => vec![unique_id],
        None => read().collect(),
    }
}
