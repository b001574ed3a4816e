//! Names, directions, contraction and order, on graphs small enough to check by hand; and against a naive walk.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn origin() -> Origin {
    Origin { topic: "t".to_owned(), partition: 0, offset: 1 }
}

const HOUR: i64 = 3_600_000_000;

fn edge_at(job: &str, source: &str, target: &str, hour: i64) -> (EdgeKey, LineageRecord) {
    let record = LineageRecord {
        job: job.to_owned(),
        source: source.to_owned(),
        target: target.to_owned(),
        kind: if source == target { "modifies" } else { "write" }.to_owned(),
        confidence: 100,
        first_seen: hour * HOUR,
        last_seen: hour * HOUR,
        runs: 1,
        stale: false,
        run: "r".to_owned(),
        origin: origin(),
    };
    (EdgeKey::of(&format!("{job}|{source}|{target}")), record)
}

fn graph(edges: &[(&str, &str)]) -> Graph {
    let mut graph = Graph::new();
    for (source, target) in edges {
        put(&mut graph, source, target, 10);
    }
    graph
}

fn put(graph: &mut Graph, source: &str, target: &str, hour: i64) -> EdgeKey {
    let (key, record) = edge_at("job", source, target, hour);
    graph.put_lineage(key, &record);
    key
}

fn reach<'a>(graph: &'a Graph, start: &str, direction: Direction) -> Vec<&'a str> {
    let mut found = graph.reach(start, direction);
    found.sort_unstable();
    found
}

fn alias(graph: &mut Graph, name: &str, canonical: &str, kind: &str, from: Option<i64>, to: Option<i64>) -> EdgeKey {
    let key = EdgeKey::of(&format!("{name}|{canonical}|{from:?}"));
    let record = AliasRecord {
        alias: name.to_owned(),
        canonical: canonical.to_owned(),
        kind: kind.to_owned(),
        valid_from: from.map(|hour| hour * HOUR),
        valid_to: to.map(|hour| hour * HOUR),
        reason: String::new(),
        origin: origin(),
    };
    graph.put_alias(key, &record);
    key
}

fn column(graph: &mut Graph, source: &str, target: &str) {
    column_at(graph, source, target, None);
}

fn column_at(graph: &mut Graph, source: &str, target: &str, hour: Option<i64>) {
    let (source, source_field) = source.split_once('#').unwrap_or((source, ""));
    let (target, target_field) = target.split_once('#').unwrap_or((target, ""));
    let record = ColumnLineageRecord {
        job: "job".to_owned(),
        target: target.to_owned(),
        target_field: target_field.to_owned(),
        source: source.to_owned(),
        source_field: source_field.to_owned(),
        transformations: vec!["DIRECT/IDENTITY".to_owned()],
        description: String::new(),
        masking: false,
        confidence: 100,
        unmapped: false,
        stale: false,
        first_seen: None,
        last_seen: hour.map(|hour| hour * HOUR),
        origin: origin(),
    };
    graph.put_column_lineage(EdgeKey::of(&format!("{source}#{source_field}{target}#{target_field}")), &record);
}

fn nodes(walk: &Walk) -> Vec<String> {
    walk.nodes.iter().map(|node| format!("{}:{}", node.distance, node.id)).collect()
}

fn edges(walk: &Walk) -> Vec<String> {
    walk.edges.iter().map(|e| format!("{}>{}", e.source, e.target)).collect()
}

fn down(graph: &Graph, start: &str) -> Walk {
    graph.walk(&[start], Level::Table, Direction::Downstream, WalkLimits::default())
}

fn up(graph: &Graph, start: &str) -> Walk {
    graph.walk(&[start], Level::Table, Direction::Upstream, WalkLimits::default())
}

#[test]
fn a_diamond_is_walked_both_ways_with_the_fewest_hops() {
    let graph = graph(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d"), ("x", "c")]);
    assert_eq!(nodes(&down(&graph, "a")), ["0:a", "1:b", "1:c", "1:d"]);
    assert_eq!(edges(&down(&graph, "a")), ["a>b", "a>c", "a>d", "b>d", "c>d"]);
    assert_eq!(nodes(&up(&graph, "d")), ["0:d", "1:a", "1:b", "1:c", "2:x"]);
    assert_eq!(reach(&graph, "a", Direction::Downstream), ["b", "c", "d"]);
    assert_eq!(reach(&graph, "d", Direction::Upstream), ["a", "b", "c", "x"]);
}

#[test]
fn depth_and_cap_say_what_they_left_out() {
    let graph = graph(&[("a", "b"), ("b", "c"), ("a", "z"), ("a", "y")]);
    let limits = |depth, nodes| WalkLimits { depth, nodes };
    let walk = |limits| graph.walk(&["a"], Level::Table, Direction::Downstream, limits);
    let one = walk(limits(Some(1), 99));
    assert_eq!(
        (nodes(&one), one.more, one.truncated),
        (vec!["0:a".into(), "1:b".into(), "1:y".into(), "1:z".into()], true, false)
    );
    let two = walk(limits(Some(2), 99));
    assert_eq!((two.nodes.len(), two.more), (5, false));
    let capped = walk(limits(None, 3));
    assert_eq!((nodes(&capped), capped.truncated), (vec!["0:a".into(), "1:b".into(), "1:y".into()], true));
    assert_eq!(edges(&capped), ["a>b", "a>y"]);
    assert_eq!(nodes(&down(&graph, "nobody")), ["0:nobody"]);
}

#[test]
fn cycles_and_self_edges_end() {
    let graph = graph(&[("a", "b"), ("b", "a"), ("b", "b")]);
    assert_eq!(nodes(&down(&graph, "a")), ["0:a", "1:b"]);
    assert_eq!(edges(&down(&graph, "a")), ["a>b", "b>a", "b>b"]);
    assert_eq!(reach(&graph, "a", Direction::Downstream), ["b"]);
}

#[test]
fn a_location_is_the_table_whenever_it_was_registered() {
    let mut graph = graph(&[("s3://b/raw", "s3://b/t"), ("hive/t", "hive/u")]);
    assert_eq!(nodes(&down(&graph, "s3://b/raw")), ["0:s3://b/raw", "1:s3://b/t"]);
    let key = alias(&mut graph, "s3://b/t", "hive/t", "location", Some(500), None);
    assert_eq!(nodes(&down(&graph, "s3://b/raw")), ["0:s3://b/raw", "1:hive/t", "2:hive/u"]);
    assert_eq!(nodes(&up(&graph, "s3://b/t")), ["0:hive/t", "1:s3://b/raw"]);
    assert_eq!(graph.resolve("s3://b/t", i64::MAX), "hive/t");
    graph.remove_alias(key);
    assert_eq!(nodes(&down(&graph, "s3://b/raw")), ["0:s3://b/raw", "1:s3://b/t"]);
}

#[test]
fn a_renamed_table_keeps_its_lineage_and_the_reused_name_starts_anew() {
    let mut graph = Graph::new();
    put(&mut graph, "src", "old", 5); // before the rename
    put(&mut graph, "src2", "old", 30); // the name was created again at hour 20
    alias(&mut graph, "old", "new", "rename", None, Some(20));
    assert_eq!(nodes(&up(&graph, "new")), ["0:new", "1:src"]);
    assert_eq!(nodes(&up(&graph, "old")), ["0:old", "1:src2"]);
    assert_eq!(graph.resolve("old", 5 * HOUR), "new");
    assert_eq!(graph.resolve("old", i64::MAX), "old");
}

#[test]
fn names_chain_and_cycles_of_names_end() {
    let mut graph = graph(&[("a", "path")]);
    alias(&mut graph, "path", "t1", "location", None, None);
    alias(&mut graph, "t1", "t2", "rename", None, None);
    assert_eq!(nodes(&down(&graph, "a")), ["0:a", "1:t2"]);
    let closing = alias(&mut graph, "t2", "path", "name", None, None);
    assert_eq!(down(&graph, "a").nodes.len(), 2);
    graph.remove_alias(closing);
    assert_eq!(nodes(&down(&graph, "a")), ["0:a", "1:t2"]);
}

#[test]
fn virtual_datasets_are_walked_through_and_ignored_ones_not_entered() {
    let mut graph = graph(&[("a", "v1"), ("v1", "v2"), ("v2", "b"), ("v2", "c"), ("a", "i"), ("i", "d"), ("v2", "v1")]);
    graph.put_node("v1", NodeKind::Virtual);
    graph.put_node("v2", NodeKind::Virtual);
    graph.put_node("i", NodeKind::Ignored);
    let walk = down(&graph, "a");
    assert_eq!(nodes(&walk), ["0:a", "1:b", "1:c"]);
    assert_eq!(edges(&walk), ["a>b", "a>c"]);
    assert_eq!(walk.edges[0].via, ["v1", "v2"]);
    assert_eq!(up(&graph, "b").edges[0].via, ["v1", "v2"]);
    assert_eq!(reach(&graph, "a", Direction::Downstream), ["b", "c"]);
}

#[test]
fn supporters_come_and_go_one_by_one() {
    let mut graph = Graph::new();
    let (first, record) = edge_at("j1", "a", "b", 1);
    graph.put_lineage(first, &record);
    let (second, mut stale) = edge_at("j2", "a", "b", 1);
    stale.stale = true;
    graph.put_lineage(second, &stale);
    let walk = down(&graph, "a");
    assert_eq!(walk.edges.len(), 1);
    assert_eq!(
        walk.edges[0].supporters.iter().map(|s| (s.job.as_str(), s.stale)).collect::<Vec<_>>(),
        [("j1", false), ("j2", true)]
    );
    assert!(!walk.edges[0].is_stale());
    graph.remove_lineage(first);
    assert!(down(&graph, "a").edges[0].is_stale());
    graph.remove_lineage(second);
    graph.remove_lineage(second);
    assert_eq!(nodes(&down(&graph, "a")), ["0:a"]);
    assert_eq!(graph.size().edges, 0);
}

#[test]
fn columns_are_followed_over_hops_and_through_whole_dataset_dependencies() {
    let mut graph = Graph::new();
    column(&mut graph, "a#x", "b#x");
    column(&mut graph, "a#y", "b#x");
    column(&mut graph, "b#x", "c#z");
    column(&mut graph, "a#f", "b"); // a filter: all of b depends on it
    column(&mut graph, "a#x", "c#z");
    let down = |start: &str| nodes(&graph.walk(&[start], Level::Column, Direction::Downstream, WalkLimits::default()));
    assert_eq!(down("a#y"), ["0:a#y", "1:b#x", "2:c#z"]);
    assert_eq!(down("a#f"), ["0:a#f", "1:b", "2:c#z"]);
    let up = graph.walk(&["c#z"], Level::Column, Direction::Upstream, WalkLimits::default());
    assert_eq!(nodes(&up), ["0:c#z", "1:a#x", "1:b#x", "2:a#f", "2:a#y"]);
    assert_eq!(graph.column_nodes("b"), ["b", "b#x"]);

    let paths = graph.column_paths("a#x", "c#z", PathLimits::default());
    let hops = |p: &ColumnPath| p.steps.iter().map(|s| format!("{}>{}", s.source, s.target)).collect::<Vec<_>>();
    assert_eq!(paths.iter().map(hops).collect::<Vec<_>>(), [vec!["a#x>c#z"], vec!["a#x>b#x", "b#x>c#z"]]);
    assert_eq!(graph.column_paths("c#z", "a#x", PathLimits::default()), []);
    assert_eq!(paths[0].steps[0].supporters[0].transformations, ["DIRECT/IDENTITY"]);
}

#[test]
fn columns_follow_the_names_of_their_datasets() {
    let mut graph = Graph::new();
    column(&mut graph, "path#x", "b#x");
    let key = alias(&mut graph, "path", "t", "location", None, None);
    let up = |graph: &Graph| nodes(&graph.walk(&["b#x"], Level::Column, Direction::Upstream, WalkLimits::default()));
    assert_eq!(up(&graph), ["0:b#x", "1:t#x"]);
    assert_eq!(graph.column_nodes("path"), ["t#x"]);
    graph.remove_alias(key);
    assert_eq!(up(&graph), ["0:b#x", "1:path#x"]);
}

/// As tables do: what was read from the name before it was given away was read from the table that is called otherwise
/// now. A column is as old as its table edge, unless it says otherwise.
#[test]
fn columns_are_of_the_table_that_had_the_name_then() {
    let feed: [fn(&mut Graph); 5] = [
        |graph| {
            put(graph, "name", "b", 5);
        },
        |graph| column(graph, "name#x", "b#x"),
        |graph| {
            put(graph, "name", "c", 30);
        },
        |graph| column(graph, "name#x", "c#x"),
        |graph| {
            alias(graph, "name", "renamed", "rename", None, Some(20));
        },
    ];
    let before = |graph: &Graph, at: &str| {
        nodes(&graph.walk(&[at], Level::Column, Direction::Upstream, WalkLimits::default())).pop()
    };
    for first in 0..feed.len() {
        let mut graph = Graph::new();
        (0..feed.len()).for_each(|nth| feed[(first + nth) % feed.len()](&mut graph));
        assert_eq!(before(&graph, "b#x").as_deref(), Some("1:renamed#x"), "{first}");
        assert_eq!(before(&graph, "c#x").as_deref(), Some("1:name#x"), "{first}");
        let edge = &graph.walk(&["b#x"], Level::Column, Direction::Upstream, WalkLimits::default()).edges[0];
        assert_eq!(edge.supporters[0].last_seen, Some(5 * HOUR));

        // The job ran again after the name was used anew, still with that column.
        put(&mut graph, "name", "b", 40);
        assert_eq!(before(&graph, "b#x").as_deref(), Some("1:name#x"));
        // And once more, without it.
        put(&mut graph, "name", "b", 50);
        column_at(&mut graph, "name#x", "b#x", Some(6));
        assert_eq!(before(&graph, "b#x").as_deref(), Some("1:renamed#x"));
        graph.remove_lineage(EdgeKey::of("job|name|c"));
        let edge = &graph.walk(&["c#x"], Level::Column, Direction::Upstream, WalkLimits::default()).edges[0];
        assert_eq!(edge.supporters[0].last_seen, None);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Remove(u8, u8),
    Alias(u8, u8),
    Unalias(u8),
    Kind(u8, NodeKind),
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..6_u8;
    prop_oneof![
        4 => (node.clone(), node.clone()).prop_map(|(a, b)| Step::Put(a, b)),
        1 => (node.clone(), node.clone()).prop_map(|(a, b)| Step::Remove(a, b)),
        2 => (node.clone(), node.clone()).prop_map(|(a, b)| Step::Alias(a, b)),
        1 => node.clone().prop_map(Step::Unalias),
        1 => (node, prop_oneof![Just(NodeKind::Plain), Just(NodeKind::Virtual), Just(NodeKind::Ignored)])
            .prop_map(|(node, kind)| Step::Kind(node, kind)),
    ]
}

/// One alias per name, under a key that does not depend on what it names.
fn name_alias(graph: &mut Graph, name: u8, canonical: u8) {
    let record = AliasRecord {
        alias: name.to_string(),
        canonical: canonical.to_string(),
        kind: "name".to_owned(),
        valid_from: None,
        valid_to: None,
        reason: String::new(),
        origin: origin(),
    };
    graph.put_alias(EdgeKey::of(&name.to_string()), &record);
}

proptest! {
    /// However a state was reached, walks are those of a graph built of that state at once.
    #[test]
    fn only_the_latest_state_counts(steps in proptest::collection::vec(step(), 0..40)) {
        let (mut live, mut kept, mut aliases) = (Graph::new(), BTreeSet::new(), BTreeMap::new());
        let mut kinds = BTreeMap::new();
        for step in &steps {
            match *step {
                Step::Put(a, b) => { put(&mut live, &a.to_string(), &b.to_string(), 1); kept.insert((a, b)); }
                Step::Remove(a, b) => { live.remove_lineage(EdgeKey::of(&format!("job|{a}|{b}"))); kept.remove(&(a, b)); }
                Step::Alias(a, b) => { name_alias(&mut live, a, b); aliases.insert(a, b); }
                Step::Unalias(a) => { live.remove_alias(EdgeKey::of(&a.to_string())); aliases.remove(&a); }
                Step::Kind(a, kind) => { live.put_node(&a.to_string(), kind); kinds.insert(a.to_string(), kind); }
            }
        }
        let mut fresh = Graph::new();
        for (node, kind) in &kinds { fresh.put_node(node, *kind); }
        let kind = |node: &str| kinds.get(node).copied().unwrap_or(NodeKind::Plain);
        for (name, canonical) in aliases.iter().rev() { name_alias(&mut fresh, *name, *canonical); }
        for (a, b) in kept.iter().rev() { put(&mut fresh, &a.to_string(), &b.to_string(), 1); }
        prop_assert_eq!(live.fingerprint(), fresh.fingerprint());
        if let Some((a, b)) = kept.first() {
            fresh.remove_lineage(EdgeKey::of(&format!("job|{a}|{b}")));
            prop_assert_ne!(live.fingerprint(), fresh.fingerprint());
            put(&mut fresh, &a.to_string(), &b.to_string(), 1);
        }
        for start in 0..6_u8 {
            let start = start.to_string();
            for direction in [Direction::Upstream, Direction::Downstream] {
                let walk = |g: &Graph| g.walk(&[&start], Level::Table, direction, WalkLimits::default());
                prop_assert_eq!(walk(&live), walk(&fresh));
                // The naive closure over resolved edges.
                let mut reach = BTreeSet::from([fresh.resolve(&start, i64::MAX)]);
                loop {
                    let before = reach.len();
                    for (a, b) in &kept {
                        let a = fresh.resolve(&a.to_string(), HOUR);
                        let b = fresh.resolve(&b.to_string(), HOUR);
                        let (from, to) = if direction == Direction::Downstream { (a, b) } else { (b, a) };
                        if reach.contains(&from) && kind(&to) != NodeKind::Ignored { reach.insert(to); }
                    }
                    if reach.len() == before { break; }
                }
                // A start is shown whatever it is; what is virtual is only walked through.
                let canonical = fresh.resolve(&start, i64::MAX);
                reach.retain(|node| kind(node) == NodeKind::Plain || *node == canonical);
                let ids: BTreeSet<String> = walk(&live).nodes.into_iter().map(|n| n.id).collect();
                prop_assert_eq!(&ids, &reach);
                reach.remove(&canonical);
                let reached = self::reach(&live, &start, direction);
                prop_assert_eq!(reached, reach.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
    }
}
