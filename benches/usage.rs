//! What a query costs the fold of usage: counting it, sending the datasets what has changed, summing that up. Four
//! partitions, as in a small installation; each iteration folds one batch on top of what is there.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tributary::fold::{FoldConfig, FoldOutput, Folder};
use tributary::model::fact::{
    DatasetUse, EntityKind, Entry, Fact, JoinedColumn, Origin, QueryRun, Source, Statement, Version,
};
use tributary::model::id::EntityId;
use tributary::model::state::MemoryState;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PARTITIONS: usize = 4;
const DAY: i64 = 86_400_000_000;
/// Columns that one query uses, of all its datasets together, and that each of these has.
const COLUMNS: (u64, u64) = (30, 40);

/// Queries over datasets of which the n-th is used 1/n as often as the first.
struct Load {
    seed: u64,
    /// Up to which share of all uses each dataset and those before it come.
    shares: Vec<f64>,
    users: u64,
    told: i64,
}

impl Load {
    fn new(datasets: usize, users: u64) -> Self {
        let sums = (1..=datasets).scan(0.0, |sum, n| {
            *sum += 1.0 / n as f64;
            Some(*sum)
        });
        let mut shares: Vec<f64> = sums.collect();
        let all = shares.last().copied().unwrap_or(1.0);
        shares.iter_mut().for_each(|share| *share /= all);
        Self { seed: 1, shares, users, told: 0 }
    }

    /// A linear congruential generator: the same queries in every run.
    fn below(&mut self, limit: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % limit
    }

    fn dataset(&mut self) -> EntityId {
        let share = self.below(1 << 30) as f64 / (1_u64 << 30) as f64;
        let place = self.shares.partition_point(|known| *known < share);
        EntityId::from_canonical(format!("snowflake://org-account/analytics/public/table_{place:04}"))
    }

    fn query(&mut self) -> Fact {
        let count = 1 + self.below(4);
        let mut reads: Vec<DatasetUse> = Vec::new();
        for _ in 0..count {
            let dataset = self.dataset();
            let mut column = || format!("column_name_{}", self.below(COLUMNS.1));
            let columns = (0..COLUMNS.0 / count).map(|_| column()).collect();
            let filters = vec![column(), column()];
            let join = reads.last().map(|other| JoinedColumn {
                column: "id".into(),
                other: other.dataset.clone(),
                other_column: "parent_id".into(),
            });
            reads.push(DatasetUse { dataset, columns, filters, joins: join.into_iter().collect() });
        }
        self.told += 1;
        let end = 1_700_000_000_000_000 + self.told * 200;
        let query = QueryRun {
            platform: "snowflake".into(),
            instance: "snowflake://org-account".into(),
            query_id: format!("01b2c3d4-0000-{:012}", self.told),
            user: Some(format!("user_{}@example.com", self.below(self.users))),
            start: end - 1_000_000,
            end,
            status: "success".into(),
            statement_type: "SELECT".into(),
            fingerprint: "0123456789abcdef".into(),
            text: Some("select a, b from t join u on t.id = u.parent_id where x = ? and y in (?, ?)".into()),
            reads,
            rows: Some(10),
            bytes: Some(1_000),
            duration_us: Some(1_000_000),
            richness: 3,
            expires_at: end + 30 * DAY,
            ..QueryRun::default()
        };
        Fact {
            entity: EntityId::query(&query.instance, &query.query_id),
            kind: EntityKind::Query,
            source: Source::query_log("snowflake"),
            version: Version { epoch: 0, time: end, seq: 0, hash: 0 },
            origin: Origin { topic: "warehouse.query-logs".into(), partition: 0, offset: self.told },
            via: Vec::new(),
            entries: vec![Entry::of(Statement::Query(query))],
        }
    }

    fn batch(&mut self, queries: usize) -> Vec<Fact> {
        (0..queries).map(|_| self.query()).collect()
    }
}

struct Site {
    folder: Folder,
    states: Vec<MemoryState>,
}

impl Site {
    fn new() -> Self {
        let states = (0..PARTITIONS).map(|_| MemoryState::default()).collect();
        Self { folder: Folder::new(FoldConfig::default()), states }
    }

    /// Folds a batch, and what it sends in a second one.
    fn fold(&mut self, facts: &[Fact]) {
        let usage = self.pass(facts).forwarded;
        self.pass(&usage);
    }

    fn pass(&mut self, facts: &[Fact]) -> FoldOutput {
        let mut out = FoldOutput::default();
        for fact in facts {
            let sum = fact.entity.as_str().bytes().fold(7_usize, |sum, byte| sum.wrapping_mul(31) ^ usize::from(byte));
            let place = sum % PARTITIONS;
            let state = self.states.get_mut(place).expect("one state for each partition");
            self.folder.apply(place as i32, fact, state, &mut out).expect("memory is readable");
        }
        for (place, state) in self.states.iter_mut().enumerate() {
            self.folder.flush(place as i32, state, &mut out).expect("memory is readable");
        }
        out
    }
}

fn fold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("usage");
    group.sample_size(10);
    let loads = [("2000 datasets", 2_000, 300), ("one dataset, 5000 users", 1, 5_000)];
    for (name, datasets, users) in loads {
        for batch in [1, 100, 1_000] {
            let (mut site, mut load) = (Site::new(), Load::new(datasets, users));
            for _ in 0..20 {
                site.fold(&load.batch(1_000));
            }
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(format!("{name}, batches of {batch}"), |b| {
                b.iter_batched(|| load.batch(batch), |facts| site.fold(&facts), BatchSize::LargeInput);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, fold);
criterion_main!(benches);
