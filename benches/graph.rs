//! The lineage graph: closure and walk over 500,000 edges.

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use tributary::graph::{Direction, EdgeKey, Graph, Level, WalkLimits};
use tributary::model::fact::Origin;
use tributary::model::record::LineageRecord;

const DATASETS: u64 = 100_000;
const EDGES: u64 = 500_000;

fn build() -> Graph {
    let mut graph = Graph::new();
    let mut state = 1_u64;
    for number in 0..EDGES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Data flows to higher numbers, mostly to near ones, as through layers of a warehouse.
        let source = (state >> 33) % (DATASETS - 1);
        let target = source + 1 + (state >> 20) % (DATASETS - source - 1).clamp(1, 5_000);
        let record = LineageRecord {
            job: format!("job://spark/job{}", number % 10_000),
            source: format!("hive://h:9083/db/t{source}"),
            target: format!("hive://h:9083/db/t{target}"),
            kind: "write".to_owned(),
            confidence: 100,
            first_seen: 0,
            last_seen: 0,
            runs: 1,
            stale: false,
            run: String::new(),
            origin: Origin { topic: "openlineage.events".to_owned(), partition: 0, offset: 0 },
        };
        graph.put_lineage(EdgeKey::of(&number.to_string()), &record);
    }
    graph
}

fn walks(criterion: &mut Criterion) {
    let graph = build();
    let start = "hive://h:9083/db/t100";
    criterion.bench_function("reach_all_500k_edges", |b| b.iter(|| graph.reach(start, Direction::Downstream).len()));
    let mut times: Vec<_> = (0..1_000)
        .map(|number| {
            let (id, begin) = (format!("hive://h:9083/db/t{}", number * (DATASETS / 1_000)), Instant::now());
            let direction = if number % 2 == 0 { Direction::Downstream } else { Direction::Upstream };
            let reached = black_box(graph.reach(&id, direction)).len();
            (begin.elapsed(), reached)
        })
        .collect();
    times.sort_unstable();
    for (name, place) in [("p50", 500), ("p99", 990), ("most", 999)] {
        println!("closure of 1,000 starts, {name}: {:?}, {} datasets", times[place].0, times[place].1);
    }
    let limits = WalkLimits { depth: Some(5), nodes: 1_000 };
    criterion.bench_function("walk_depth_5_cap_1000", |b| {
        b.iter(|| graph.walk(&[start], Level::Table, Direction::Downstream, limits).nodes.len());
    });
}

criterion_group!(benches, walks);
criterion_main!(benches);
