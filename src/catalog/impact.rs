//! What is made of columns that change: the pure part, a graph in and ways out, and the question to the catalog.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::lineage::node_parts;
use super::ports::LineageGraph;
use super::view::{AffectedColumn, ColumnImpact, ImpactQuery, ImpactStep, ImpactView};
use super::{Catalog, CatalogError, as_i64, postgres, storable, unresolved};
use crate::graph::{Direction, Level, Walk, WalkEdge, WalkLimits};
use crate::model::id::{ARRAY_ELEMENT, Canon, MAP_VALUE, ReportedBy};

/// Most columns of one question.
pub const MAX_COLUMNS: usize = 20_000;
/// Most datasets and topics of one question, each.
const MAX_NAMES: usize = 100;
/// Most hops of a way.
const MAX_HOPS: u32 = 32;
/// Most columns that one walk looks at.
const MAX_NODES: usize = 10_000;
/// Most affected columns of one answer.
pub const MAX_AFFECTED: usize = 500;
/// Most places on all ways of one answer.
const MAX_STEPS: usize = 5_000;
/// Most datasets that may have the name of a topic.
const MAX_SAME_NAME: usize = 1_000;

impl Catalog {
    /// What is made of columns of a dataset.
    pub async fn impact(&self, query: &ImpactQuery) -> Result<ImpactView, CatalogError> {
        let names = [("datasets", &query.datasets), ("topics", &query.topics), ("clusters", &query.clusters)];
        let too_long = names.into_iter().find(|(_, names)| names.len() > MAX_NAMES);
        if let Some((parameter, names)) = too_long {
            let message = format!("{} {parameter} are asked for; ask for at most {MAX_NAMES}", names.len());
            return Err(CatalogError::invalid(parameter, message));
        }
        if query.columns.len() > MAX_COLUMNS {
            let message = format!("{} columns are asked for; ask for at most {MAX_COLUMNS}", query.columns.len());
            return Err(CatalogError::invalid("columns", message));
        }
        let datasets = self.impact_datasets(query).await?;
        let (graph, ids, columns) = (Arc::clone(&self.graph), datasets.clone(), query.columns.clone());
        let walked = tokio::task::spawn_blocking(move || find(&*graph, &ids, &columns)).await;
        let stopped =
            |error: tokio::task::JoinError| CatalogError::Unavailable { component: "lineage", source: error.into() };
        let mut view = ImpactView { datasets, ..walked.map_err(stopped)? };
        self.name_owners(&mut view).await?;
        Ok(view)
    }

    /// The datasets that a question means.
    async fn impact_datasets(&self, query: &ImpactQuery) -> Result<Vec<String>, CatalogError> {
        let mut found = BTreeSet::new();
        for asked in &query.datasets {
            found.insert(self.resolve(asked).await?.id);
        }
        if !query.datasets.is_empty() {
            return Ok(found.into_iter().collect());
        }
        for topic in query.topics.iter().filter(|topic| storable(topic)) {
            let id = |cluster: &String| self.identity.dataset(cluster, topic, ReportedBy::default()).id.to_string();
            let at_home: Vec<String> = query.clusters.iter().map(id).collect();
            let mut ids = self.reader.existing(&at_home).await.map_err(postgres)?;
            if ids.is_empty() {
                ids = self.topics_named(topic).await?;
            }
            if !ids.is_empty() {
                let canonical = ids.iter().map(|id| self.graph.resolve(id, i64::MAX));
                return Ok(canonical.collect::<BTreeSet<_>>().into_iter().collect());
            }
        }
        Ok(Vec::new())
    }

    /// The topics of a name, in whatever cluster.
    async fn topics_named(&self, topic: &str) -> Result<Vec<String>, CatalogError> {
        let anywhere = self.identity.dataset("kafka://any", topic, ReportedBy::default()).id;
        let Some(segment) = unresolved::last_segment(anywhere.as_str()) else { return Ok(Vec::new()) };
        let ids = self.reader.ids_by_last_segment(&[segment], as_i64(MAX_SAME_NAME)).await.map_err(postgres)?;
        let is_topic =
            |id: &String| Canon::parse(id).is_ok_and(|canon| canon.scheme() == "kafka" && canon.segments() == [topic]);
        Ok(ids.into_iter().filter(is_topic).collect())
    }

    async fn name_owners(&self, view: &mut ImpactView) -> Result<(), CatalogError> {
        let affected = || view.columns.iter().flat_map(|column| &column.affected);
        let datasets: BTreeSet<String> = affected().map(|affected| affected.dataset.clone()).collect();
        let jobs: BTreeSet<String> =
            affected().filter_map(|affected| affected.path.last()).flat_map(|step| step.jobs.clone()).collect();
        let (datasets, jobs): (Vec<_>, Vec<_>) = (datasets.into_iter().collect(), jobs.into_iter().collect());
        let mut owners: HashMap<String, Vec<String>> = HashMap::new();
        for record in self.reader.datasets(&datasets).await.map_err(postgres)? {
            owners.insert(record.id, record.owners.into_iter().map(|owner| owner.name).collect());
        }
        for record in self.reader.jobs(&jobs).await.map_err(postgres)? {
            owners.insert(record.id, record.owners.into_iter().map(|owner| owner.name).collect());
        }
        for affected in view.columns.iter_mut().flat_map(|column| &mut column.affected) {
            let jobs = affected.path.last().map(|step| step.jobs.as_slice()).unwrap_or_default();
            let of = [&affected.dataset].into_iter().chain(jobs).filter_map(|id| owners.get(id)).flatten();
            affected.owners = of.cloned().collect::<BTreeSet<_>>().into_iter().collect();
        }
        Ok(())
    }
}

/// The ways from each asked column of the datasets to all that is made of it. Edges that the newest runs no longer
/// report lead nowhere: nobody reads the column there any more.
fn find(graph: &dyn LineageGraph, datasets: &[String], asked: &[String]) -> ImpactView {
    let known = KnownColumns::of(datasets.iter().flat_map(|dataset| graph.column_nodes(dataset)));
    let limits = WalkLimits { depth: Some(MAX_HOPS), nodes: MAX_NODES };
    let mut view = ImpactView::default();
    let (mut room, mut steps) = (MAX_AFFECTED, MAX_STEPS);
    for column in asked {
        let starts = known.concerned(column);
        if starts.is_empty() {
            continue;
        }
        let from: Vec<&str> = starts.iter().map(String::as_str).collect();
        let walk = graph.walk(&from, Level::Column, Direction::Downstream, limits);
        view.truncated |= walk.more || walk.truncated;
        let mut affected = Vec::new();
        for way in ways(&walk, &from) {
            if room == 0 || steps < way.len() {
                view.truncated = true;
                break;
            }
            (room, steps) = (room - 1, steps - way.len());
            affected.extend(at_end_of(way));
        }
        if !affected.is_empty() {
            view.columns.push(ColumnImpact { column: column.clone(), affected });
        }
        if room == 0 {
            view.truncated = true;
            break;
        }
    }
    view
}

/// The columns of some datasets that lineage knows, by path without the steps into arrays and maps, which producers of
/// lineage write or leave out as they like.
struct KnownColumns {
    exact: BTreeMap<String, Vec<String>>,
    folded: BTreeMap<String, Vec<String>>,
}

impl KnownColumns {
    fn of(nodes: impl Iterator<Item = String>) -> Self {
        let mut known = Self { exact: BTreeMap::new(), folded: BTreeMap::new() };
        for node in nodes {
            let Some(path) = node_parts(&node).1.map(plain) else { continue };
            known.folded.entry(path.to_lowercase()).or_default().push(node.clone());
            known.exact.entry(path).or_default().push(node);
        }
        known
    }

    /// The column itself, what lies inside of it and what it lies inside of. Case counts if it makes a difference.
    fn concerned(&self, column: &str) -> Vec<String> {
        let column = plain(column);
        let exact = within(&self.exact, &column);
        if exact.is_empty() { within(&self.folded, &column.to_lowercase()) } else { exact }
    }
}

fn within(known: &BTreeMap<String, Vec<String>>, path: &str) -> Vec<String> {
    let inside = format!("{path}.");
    let around = path.match_indices('.').filter_map(|(dot, _)| path.get(..dot));
    let around = around.chain([path]).filter_map(|path| known.get(path));
    let inner =
        known.range(inside.clone()..).take_while(|(known, _)| known.starts_with(&inside)).map(|(_, nodes)| nodes);
    around.chain(inner).flatten().cloned().collect()
}

fn plain(path: &str) -> String {
    let names = path.split('.').filter(|step| *step != ARRAY_ELEMENT && *step != MAP_VALUE);
    names.collect::<Vec<_>>().join(".")
}

/// A shortest way to each node of a walk, the nearest first.
fn ways(walk: &Walk, starts: &[&str]) -> Vec<Vec<ImpactStep>> {
    let mut leaving: HashMap<&str, Vec<&WalkEdge>> = HashMap::new();
    for edge in walk.edges.iter().filter(|edge| !edge.is_stale()) {
        leaving.entry(&edge.source).or_default().push(edge);
    }
    let mut came_by: HashMap<&str, Option<&WalkEdge>> = starts.iter().map(|start| (*start, None)).collect();
    let mut open: VecDeque<&str> = starts.iter().copied().collect();
    let mut reached = Vec::new();
    while let Some(node) = open.pop_front() {
        for edge in leaving.get(node).into_iter().flatten().copied() {
            if !came_by.contains_key(edge.target.as_str()) {
                came_by.insert(&edge.target, Some(edge));
                open.push_back(&edge.target);
                reached.push(edge.target.as_str());
            }
        }
    }
    let way = |node: &str| {
        let (mut steps, mut at) = (Vec::new(), node);
        while let Some(edge) = came_by.get(at).copied().flatten() {
            steps.push(step(at, jobs(edge)));
            at = &edge.source;
        }
        steps.push(step(at, Vec::new()));
        steps.reverse();
        steps
    };
    reached.into_iter().map(way).collect()
}

fn jobs(edge: &WalkEdge) -> Vec<String> {
    let living = edge.supporters.iter().filter(|supporter| !supporter.stale);
    living.map(|supporter| supporter.job.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

fn step(node: &str, jobs: Vec<String>) -> ImpactStep {
    let (dataset, column) = node_parts(node);
    ImpactStep { dataset: dataset.to_owned(), column: column.map(str::to_owned), jobs }
}

/// What a way leads to; owners are named later.
fn at_end_of(path: Vec<ImpactStep>) -> Option<AffectedColumn> {
    let ImpactStep { dataset, column, .. } = path.last()?.clone();
    let mut jobs: Vec<String> = Vec::new();
    for job in path.iter().flat_map(|step| &step.jobs) {
        if !jobs.contains(job) {
            jobs.push(job.clone());
        }
    }
    Some(AffectedColumn { dataset, column, jobs, owners: Vec::new(), path })
}

#[cfg(test)]
mod tests {
    use std::sync::RwLock;

    use super::*;
    use crate::graph::{EdgeKey, Graph};
    use crate::model::fact::Origin;
    use crate::model::record::ColumnLineageRecord;

    const TOPIC: &str = "kafka://b:9092/orders";

    /// A graph of edges given as (job, source column, target column), stale ones with a `!` before the job.
    fn graph(edges: &[(&str, &str, &str)]) -> RwLock<Graph> {
        let mut graph = Graph::new();
        for (job, source, target) in edges {
            let (source, source_field) = source.split_once('#').unwrap();
            let (target, target_field) = target.split_once('#').unwrap_or((target, ""));
            let record = ColumnLineageRecord {
                job: job.trim_start_matches('!').to_owned(),
                source: source.to_owned(),
                source_field: source_field.to_owned(),
                target: target.to_owned(),
                target_field: target_field.to_owned(),
                transformations: Vec::new(),
                description: String::new(),
                masking: false,
                confidence: 90,
                stale: job.starts_with('!'),
                unmapped: false,
                first_seen: None,
                last_seen: None,
                origin: Origin { topic: "t".into(), partition: 0, offset: 0 },
            };
            graph.put_column_lineage(
                EdgeKey::of(&format!("{job}|{source}#{source_field}|{target}#{target_field}")),
                &record,
            );
        }
        RwLock::new(graph)
    }

    /// Asked column → the ways as text.
    fn told(edges: &[(&str, &str, &str)], asked: &[&str]) -> Vec<(String, Vec<String>)> {
        let asked: Vec<String> = asked.iter().map(|column| (*column).to_owned()).collect();
        let view = find(&graph(edges), &[TOPIC.to_owned()], &asked);
        assert!(!view.truncated);
        let text = |step: &ImpactStep| {
            let column = step.column.as_deref().map(|column| format!("#{column}")).unwrap_or_default();
            format!("{}{}{column}", step.jobs.iter().map(|job| format!("[{job}] ")).collect::<String>(), step.dataset)
        };
        let way = |affected: &AffectedColumn| affected.path.iter().map(text).collect::<Vec<_>>().join(" > ");
        view.columns.iter().map(|column| (column.column.clone(), column.affected.iter().map(way).collect())).collect()
    }

    #[test]
    fn each_column_has_its_shortest_ways() {
        let (a, b) = (format!("{TOPIC}#a"), format!("{TOPIC}#b"));
        let edges = [
            ("j1", a.as_str(), "pg://d/t#x"),
            ("j2", "pg://d/t#x", "pg://d/u#y"),
            ("j3", &a, "pg://d/u#y"),
            ("j4", "pg://d/u#y", "pg://d/v"),
            ("j5", &b, "pg://d/w#z"),
        ];
        let of_a = ["j1] pg://d/t#x", "j3] pg://d/u#y", "j3] pg://d/u#y > [j4] pg://d/v"];
        let of_a = of_a.map(|way| format!("{TOPIC}#a > [{way}")).to_vec();
        assert_eq!(told(&edges, &["none", "a"]), [("a".to_owned(), of_a)]);
        let both = told(&edges, &["b", "a"]);
        assert_eq!((both[0].0.as_str(), both[1].0.as_str()), ("b", "a"));
    }

    #[test]
    fn stale_edges_lead_nowhere() {
        let (a, b) = (format!("{TOPIC}#a"), format!("{TOPIC}#b"));
        let edges = [("!j1", a.as_str(), "pg://d/t#x"), ("j2", "pg://d/t#x", "pg://d/u#y"), ("j3", &b, "pg://d/t#x")];
        assert!(told(&edges, &["a"]).is_empty());
        assert_eq!(told(&edges, &["b"])[0].1.len(), 2);
    }

    #[test]
    fn nested_columns_concern_those_around_and_inside() {
        let column = |path: &str| format!("{TOPIC}#{path}");
        let sources = ["address", "address.city", "items.sku", "ID", "addresses"].map(column);
        let targets = ["pg://d/t#1", "pg://d/t#2", "pg://d/t#3", "pg://d/t#4", "pg://d/t#5"];
        let edges: Vec<_> =
            sources.iter().zip(targets).map(|(source, target)| ("j", source.as_str(), target)).collect();
        let reached = |asked: &str| {
            let ways = told(&edges, &[asked]).pop().map(|(_, ways)| ways).unwrap_or_default();
            ways.iter().map(|way| way.rsplit('#').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(reached("address"), ["1", "2"], "what lies inside goes with it");
        assert_eq!(reached("address.zip"), ["1"], "who takes the whole takes this part");
        assert_eq!(reached("address.city"), ["1", "2"]);
        assert_eq!(reached("items.[].sku"), ["3"], "lineage may leave out the step into the array");
        assert_eq!(reached("id"), ["4"], "case counts only where it makes a difference");
        assert!(reached("addr").is_empty());
    }

    #[test]
    fn answers_are_limited_and_say_so() {
        let targets: Vec<String> = (0..MAX_AFFECTED + 1).map(|number| format!("pg://d/t{number}#x")).collect();
        let source = format!("{TOPIC}#a");
        let edges: Vec<_> = targets.iter().map(|target| ("j", source.as_str(), target.as_str())).collect();
        let view = find(&graph(&edges), &[TOPIC.to_owned()], &["a".to_owned(), "b".to_owned()]);
        assert_eq!(view.columns[0].affected.len(), MAX_AFFECTED);
        assert!(view.truncated);
        // A chain longer than a way may be.
        let nodes: Vec<String> = (0..40).map(|number| format!("pg://d/t{number:02}#x")).collect();
        let mut edges = vec![("j", source.as_str(), nodes[0].as_str())];
        edges.extend(nodes.windows(2).map(|pair| ("j", pair[0].as_str(), pair[1].as_str())));
        let view = find(&graph(&edges), &[TOPIC.to_owned()], &["a".to_owned()]);
        assert_eq!(view.columns[0].affected.len(), MAX_HOPS as usize);
        assert!(view.truncated);
    }
}
