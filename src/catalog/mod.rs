//! The catalog's use cases: find a dataset, show it, its history, its lineage, and what could not be resolved.
//!
//! Combines the store's reader, the search index and the lineage graph. Knows no HTTP, no SQL, no Kafka; answers in
//! the types of [`view`], which describe themselves for OpenAPI.

pub mod digest;
mod error;
pub mod export_hms;
pub mod filter;
mod history;
mod impact;
mod job;
mod lineage;
mod page;
pub mod ports;
mod resolve;
mod search;
mod unresolved;
mod usage;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::Utc;

use crate::graph::{self, Direction as Way, Walk, WalkLimits};
use crate::model::id::Identity;
use crate::model::query::day_of;
use crate::model::record::{ColumnLineageRecord, DatasetRecord, LineageRecord};
use crate::search::Found;
use crate::store::read::{ReadError, Reader};
use lineage::{JobHead, NodeHead, Walks, Wardrobe};
use ports::{LineageGraph, SearchIndex};
use resolve::{canonical_at, spellings};
use view::{
    ChangeList, ClosureView, DatasetPage, DatasetUsage, Direction, JobPage, Level, LineageView, QueryList, QueryView,
    RunList, SchemaHistory, SearchPage, UnresolvedItem, UnresolvedList,
};

pub use error::CatalogError;
pub use impact::{MAX_AFFECTED, MAX_COLUMNS};
pub use lineage::{LineageQuery, MAX_DEPTH};
pub use search::{MAX_LIMIT, MAX_WINDOW, SearchQuery};
pub use usage::MAX_USAGE_DAYS;

/// Most hops from alias to alias.
const MAX_ALIAS_HOPS: usize = 8;

/// Suggestions for an id that nobody knows.
const MAX_SUGGESTIONS: usize = 5;

/// Datasets that are looked at as candidates for one page of unresolved names.
const MAX_CANDIDATES_READ: i64 = 2_000;

/// Answers the questions of readers.
pub struct Catalog {
    reader: Reader,
    index: Arc<dyn SearchIndex>,
    graph: Arc<dyn LineageGraph>,
    identity: Identity,
}

/// An id that was found.
struct Resolved {
    id: String,
    how: &'static str,
}

impl Catalog {
    /// A catalog over these stores; `identity` holds the configured instances and their other names.
    pub fn new(reader: Reader, index: Arc<dyn SearchIndex>, graph: Arc<dyn LineageGraph>, identity: Identity) -> Self {
        Self { reader, index, graph, identity }
    }

    /// Searches datasets.
    pub async fn search(&self, query: SearchQuery) -> Result<SearchPage, CatalogError> {
        query.check()?;
        let found = self.find(query.clone()).await?;
        let ids: Vec<String> = found.hits.iter().map(|hit| hit.id.clone()).collect();
        let cards = self.reader.cards(&ids).await.map_err(postgres)?;
        Ok(search::page(query, found, cards))
    }

    /// A dataset's page, by any spelling of its id.
    pub async fn dataset(&self, asked: &str) -> Result<DatasetPage, CatalogError> {
        let resolved = self.resolve(asked).await?;
        let bundle = self.reader.dataset(&resolved.id, &self.case_counts()).await.map_err(postgres)?;
        // It may have been dropped from the store between both questions.
        let Some(bundle) = bundle else {
            return Err(self.not_found(asked).await);
        };
        let limits = WalkLimits { depth: Some(1), ..WalkLimits::default() };
        let walk = |way| self.graph.walk(&[&resolved.id], graph::Level::Table, way, limits);
        let walks = Walks { up: walk(Way::Upstream), down: walk(Way::Downstream) };
        let wardrobe = self.wardrobe(&walks, Pairs::Leave).await?;
        let parts = page::PageParts {
            lineage: lineage::summary(&resolved.id, &walks, &wardrobe),
            dataset: bundle.dataset,
            aliases: bundle.aliases,
            stats: bundle.stats,
            quality: bundle.quality,
            partition_count: bundle.partition_count,
            partitions: bundle.partitions,
            last_schema_change: bundle.last_schema_change,
            has_case_twin: bundle.has_case_twin,
        };
        Ok(page::page(asked, resolved.how, parts))
    }

    /// A dataset's schema versions, by any spelling of its id.
    pub async fn schema_history(&self, asked: &str) -> Result<SchemaHistory, CatalogError> {
        let resolved = self.resolve(asked).await?;
        let head = self.reader.datasets(std::slice::from_ref(&resolved.id)).await.map_err(postgres)?.pop();
        let Some(head) = head else {
            return Err(self.not_found(asked).await);
        };
        let records = self.reader.schema_versions(&head.id).await.map_err(postgres)?;
        Ok(history::history(asked, &head.id, &head.authority, records))
    }

    /// Lineage around a dataset or column.
    pub async fn lineage(&self, query: LineageQuery) -> Result<LineageView, CatalogError> {
        if !(1..=MAX_DEPTH).contains(&query.depth) {
            let message = format!("depth {} is not within 1 to {MAX_DEPTH}", query.depth);
            return Err(CatalogError::invalid("depth", message));
        }
        if query.column.as_deref() == Some("") {
            return Err(CatalogError::invalid("column", "the column is empty; leave it out for all columns"));
        }
        let id = self.resolve(&query.dataset).await?.id;
        let starts = self.starts(&query, &id).await?;
        let level = match query.level {
            Level::Table => graph::Level::Table,
            Level::Column => graph::Level::Column,
        };
        let limits = WalkLimits { depth: Some(query.depth), ..WalkLimits::default() };
        let from: Vec<&str> = starts.iter().map(String::as_str).collect();
        let walk = |way| self.graph.walk(&from, level, way, limits);
        let walks = Walks {
            up: if query.direction == Direction::Downstream { Walk::default() } else { walk(Way::Upstream) },
            down: if query.direction == Direction::Upstream { Walk::default() } else { walk(Way::Downstream) },
        };
        let pairs = if query.level == Level::Table { Pairs::Read } else { Pairs::Leave };
        let wardrobe = self.wardrobe(&walks, pairs).await?;
        Ok(lineage::compose(&query, &id, &starts, &walks, &wardrobe))
    }

    /// How many datasets lie before and behind one, at any depth; by any spelling of its id.
    pub async fn closure(&self, asked: &str) -> Result<ClosureView, CatalogError> {
        let id = self.resolve(asked).await?.id;
        let [upstream, downstream] = [Way::Upstream, Way::Downstream].map(|way| self.graph.reach(&id, way));
        Ok(ClosureView { dataset: asked.to_owned(), canonical_id: id, upstream, downstream })
    }

    /// Names that no owner of data confirms, with candidates and proposed rules.
    pub async fn unresolved(&self, limit: usize, offset: usize) -> Result<UnresolvedList, CatalogError> {
        search::check_limit(limit)?;
        let counts = self.case_counts();
        let mut page = self.reader.unresolved(&counts, as_i64(limit), as_i64(offset)).await.map_err(postgres)?;
        for dataset in page.datasets.iter_mut().filter(|dataset| page.case_twins.contains(&dataset.id)) {
            page::note_case_twin(&mut dataset.issues);
        }
        let segments: BTreeSet<String> =
            page.datasets.iter().filter_map(|dataset| unresolved::last_segment(&dataset.id)).collect();
        let segments: Vec<String> = segments.into_iter().collect();
        let ids = self.reader.ids_by_last_segment(&segments, MAX_CANDIDATES_READ).await.map_err(postgres)?;
        let cards = self.reader.cards(&ids).await.map_err(postgres)?;
        let known: Vec<_> = cards
            .into_iter()
            .filter(|card| card.existence == "confirmed")
            .map(|card| unresolved::Known { id: card.id, columns: card.columns })
            .collect();
        let items: Vec<_> = page.datasets.into_iter().map(|dataset| unresolved_item(dataset, &known)).collect();
        let proposed_rules = unresolved::rules(items.iter().map(|item| item.candidates.as_slice()));
        Ok(UnresolvedList { total: page.total, items, proposed_rules })
    }

    /// A job.
    pub async fn job(&self, id: &str) -> Result<JobPage, CatalogError> {
        let missing = || CatalogError::JobNotFound { id: id.to_owned() };
        storable(id).then_some(()).ok_or_else(missing)?;
        let bundle = self.reader.job(id, Utc::now()).await.map_err(postgres)?;
        bundle.map(job::page).ok_or_else(missing)
    }

    /// The runs of a job, newest first.
    pub async fn runs(&self, job_id: &str, limit: usize, offset: usize) -> Result<RunList, CatalogError> {
        search::check_limit(limit)?;
        let missing = || CatalogError::JobNotFound { id: job_id.to_owned() };
        storable(job_id).then_some(()).ok_or_else(missing)?;
        let page = self.reader.runs(job_id, as_i64(limit), as_i64(offset), Utc::now()).await.map_err(postgres)?;
        if page.total == 0 && self.reader.jobs(&[job_id.to_owned()]).await.map_err(postgres)?.is_empty() {
            return Err(missing());
        }
        let runs = page.runs.into_iter().map(job::run).collect();
        Ok(RunList { job_id: job_id.to_owned(), total: page.total, runs })
    }

    /// How a dataset was used from day to day, by any spelling of its id; lists hold the first `limit`.
    pub async fn usage(
        &self,
        asked: &str,
        (from, to): (Option<&str>, Option<&str>),
        limit: usize,
    ) -> Result<DatasetUsage, CatalogError> {
        search::check_limit(limit)?;
        let now = Utc::now();
        let days = usage::days(from, to, day_of(now.timestamp_micros()))?;
        let id = self.resolve(asked).await?.id;
        let records = self.reader.usage(&id, (&days.0, &days.1), now).await.map_err(postgres)?;
        Ok(usage::usage(asked, &id, days, &records, limit))
    }

    /// The queries that read or wrote a dataset, newest first, and the most frequent ones; by any spelling of its id.
    pub async fn queries(&self, asked: &str, limit: usize, offset: usize) -> Result<QueryList, CatalogError> {
        search::check_limit(limit)?;
        let id = self.resolve(asked).await?.id;
        let page = (as_i64(limit), as_i64(offset));
        let page = self.reader.queries(&id, page, as_i64(limit), Utc::now()).await.map_err(postgres)?;
        Ok(usage::queries(asked, &id, page))
    }

    /// A query.
    pub async fn query(&self, id: &str) -> Result<QueryView, CatalogError> {
        let missing = || CatalogError::QueryNotFound { id: id.to_owned() };
        storable(id).then_some(()).ok_or_else(missing)?;
        let record = self.reader.query(id, Utc::now()).await.map_err(postgres)?;
        record.map(usage::query).ok_or_else(missing)
    }

    /// What changed, newest first; of one entity if it is given.
    pub async fn changes(&self, entity: Option<&str>, limit: usize) -> Result<ChangeList, CatalogError> {
        search::check_limit(limit)?;
        let id = match entity {
            Some(asked) => Some(match self.resolve(asked).await {
                Ok(resolved) => resolved.id,
                Err(CatalogError::DatasetNotFound { .. }) if storable(asked) => asked.to_owned(),
                Err(error) => return Err(error),
            }),
            None => None,
        };
        let changes = self.reader.changes(id.as_deref(), as_i64(limit)).await.map_err(postgres)?;
        Ok(ChangeList { changes: changes.into_iter().map(job::change).collect() })
    }

    /// Prefixes of ids in which case counts, by configuration.
    fn case_counts(&self) -> Vec<String> {
        self.identity.instances().with_case_sensitive(true)
    }

    /// The dataset that any spelling of an id means.
    async fn resolve(&self, asked: &str) -> Result<Resolved, CatalogError> {
        if !storable(asked) {
            return Err(self.not_found(asked).await);
        }
        let tried = spellings(asked, &self.identity);
        let ids: Vec<String> = tried.iter().map(|(id, _)| id.clone()).collect();
        let existing = self.reader.existing(&ids).await.map_err(postgres)?;
        let is_dataset = tried.iter().find(|(id, _)| existing.contains(id));
        if let Some((id, how)) = is_dataset {
            return Ok(Resolved { id: id.clone(), how });
        }
        let mut names = ids;
        for _ in 0..MAX_ALIAS_HOPS {
            let aliases = self.reader.aliases_named(&names).await.map_err(postgres)?;
            let targets: Vec<String> = names.iter().filter_map(|name| canonical_at(&aliases, name, None)).collect();
            let existing = self.reader.existing(&targets).await.map_err(postgres)?;
            if let Some(id) = targets.iter().find(|target| existing.contains(target)) {
                return Ok(Resolved { id: id.clone(), how: "alias" });
            }
            if targets.is_empty() {
                break;
            }
            names = targets;
        }
        Err(self.not_found(asked).await)
    }

    /// The error for an unknown id; suggestions are a courtesy and may be missing.
    async fn not_found(&self, asked: &str) -> CatalogError {
        let mut suggestions = Vec::new();
        if storable(asked) {
            let segment = unresolved::last_segment(asked).unwrap_or_else(|| asked.to_lowercase());
            let by_name =
                self.reader.ids_by_last_segment(std::slice::from_ref(&segment), as_i64(MAX_SUGGESTIONS)).await;
            suggestions.extend(by_name.unwrap_or_default());
            if suggestions.len() < MAX_SUGGESTIONS {
                let words = segment.split(|c: char| !c.is_alphanumeric()).collect::<Vec<_>>().join(" ");
                let query = SearchQuery { text: words, filters: Vec::new(), limit: MAX_SUGGESTIONS, offset: 0 };
                let found = self.find(query).await.unwrap_or_default();
                suggestions.extend(found.hits.into_iter().map(|hit| hit.id));
            }
            let mut seen = BTreeSet::new();
            suggestions.retain(|id| seen.insert(id.clone()));
            suggestions.truncate(MAX_SUGGESTIONS);
        }
        CatalogError::DatasetNotFound { id: asked.to_owned(), suggestions }
    }

    async fn find(&self, query: SearchQuery) -> Result<Found, CatalogError> {
        let index = Arc::clone(&self.index);
        let searched = tokio::task::spawn_blocking(move || index.find(&query)).await;
        let failed = |source| CatalogError::Unavailable { component: "search", source };
        searched.map_err(|stopped| failed(stopped.into()))?.map_err(failed)
    }

    /// The nodes at which a walk begins.
    async fn starts(&self, query: &LineageQuery, id: &str) -> Result<Vec<String>, CatalogError> {
        if query.level == Level::Table {
            return Ok(vec![id.to_owned()]);
        }
        let with_lineage = self.graph.column_nodes(id);
        let head = self.reader.datasets(&[id.to_owned()]).await.map_err(postgres)?.pop();
        let columns: Vec<String> =
            head.map(|head| head.columns.into_iter().map(|column| column.path).collect()).unwrap_or_default();
        let Some(asked) = &query.column else {
            let mut starts: BTreeSet<String> = with_lineage.into_iter().collect();
            starts.extend(columns.iter().map(|column| lineage::column_node(id, column)));
            return Ok(starts.into_iter().collect());
        };
        // A column that only lineage knows is a column too: the schema may never have been stated.
        let mut known = columns;
        known.extend(with_lineage.iter().filter_map(|node| lineage::node_parts(node).1.map(str::to_owned)));
        known.sort();
        known.dedup();
        let exact = known.iter().find(|column| *column == asked);
        let found = exact.or_else(|| known.iter().find(|column| column.to_lowercase() == asked.to_lowercase()));
        match found {
            Some(column) => Ok(vec![lineage::column_node(id, column)]),
            None => Err(CatalogError::ColumnNotFound { dataset: id.to_owned(), column: asked.clone(), columns: known }),
        }
    }

    /// Names, jobs and records behind what was walked.
    async fn wardrobe(&self, walks: &Walks, pairs: Pairs) -> Result<Wardrobe, CatalogError> {
        let datasets: BTreeSet<&str> = walks.nodes().into_iter().map(|node| lineage::node_parts(node).0).collect();
        let datasets: Vec<String> = datasets.into_iter().map(str::to_owned).collect();
        let heads = self.reader.names(&datasets).await.map_err(postgres)?;
        let heads = heads
            .into_iter()
            .map(|[id, name, platform, kind, existence]| (id, NodeHead { name, platform, kind, existence }));
        let ids = walks.jobs();
        let jobs = self.reader.jobs(&ids).await.map_err(postgres)?.into_iter().map(|job| {
            let head = JobHead {
                name: job.name,
                integration: job.integration,
                job_type: job.job_type,
                description: job.description,
                sql: job.sql,
            };
            (job.id, head)
        });
        // Records keep the names that were reported; the graph knows what they mean.
        let edges = self.reader.edges_of_jobs(&ids).await.map_err(postgres)?;
        let reported = |edge: &LineageRecord| (edge.job.clone(), edge.source.clone(), edge.target.clone());
        let seen: BTreeMap<_, i64> = edges.iter().map(|edge| (reported(edge), edge.last_seen)).collect();
        let tables = edges.into_iter().map(|edge| {
            let source = self.graph.resolve(&edge.source, edge.last_seen);
            let target = self.graph.resolve(&edge.target, edge.last_seen);
            ((edge.job.clone(), source, target), edge)
        });
        let mut columns: BTreeMap<(String, String), Vec<ColumnLineageRecord>> = BTreeMap::new();
        if pairs == Pairs::Read {
            for edge in self.reader.column_edges_of_jobs(&ids).await.map_err(postgres)? {
                let of_table = seen.get(&(edge.job.clone(), edge.source.clone(), edge.target.clone()));
                let at = edge.last_seen.or(of_table.copied()).unwrap_or(i64::MAX);
                let ends = (self.graph.resolve(&edge.source, at), self.graph.resolve(&edge.target, at));
                columns.entry(ends).or_default().push(edge);
            }
        }
        Ok(Wardrobe { heads: heads.collect(), jobs: jobs.collect(), tables: tables.collect(), columns })
    }
}

/// Whether the column pairs behind table edges are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pairs {
    Read,
    Leave,
}

fn unresolved_item(dataset: DatasetRecord, known: &[unresolved::Known]) -> UnresolvedItem {
    let mut reasons = dataset.issues;
    if dataset.existence == "referenced" {
        reasons.insert(0, "unconfirmed".to_owned());
    }
    let columns = dataset.columns.iter().filter(|column| column.depth == 0).map(|column| column.name.clone());
    let name = unresolved::Known { id: dataset.id.clone(), columns: columns.collect() };
    UnresolvedItem {
        candidates: unresolved::candidates(&name, known),
        dataset_id: dataset.id,
        existence: dataset.existence,
        reasons,
        names: dataset.names.iter().map(|name| page::reported_name(name)).collect(),
        origin: dataset.origin.into(),
    }
}

fn postgres(error: ReadError) -> CatalogError {
    CatalogError::Unavailable { component: "postgres", source: Box::new(error) }
}

/// Whether a text can be asked for at all: Postgres takes no U+0000, and no id is longer than this.
fn storable(id: &str) -> bool {
    const MAX_ID: usize = 8 * 1024;
    !id.is_empty() && id.len() <= MAX_ID && !id.contains('\0')
}

fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
