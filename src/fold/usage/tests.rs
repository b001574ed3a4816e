//! Counts equal those of distinct queries, in any order, however often told, and however the facts are spread.

mod changes;
mod forms;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::fold::{FoldConfig, Folder, blank_origins};
use crate::model::fact::{DatasetUse, JoinUse, JoinedColumn, UserUse};
use crate::model::record::UsageRecord;
use crate::model::state::MemoryState;

const DAY: i64 = 86_400_000_000;

/// A fold with several partitions, batches and all.
struct Site {
    folder: Folder,
    states: Vec<MemoryState>,
    records: BTreeMap<(CatalogTopic, String), CatalogRecord>,
    /// Usage facts sent.
    sent: usize,
}

impl Site {
    fn new(partitions: usize, config: FoldConfig) -> Self {
        let states = (0..partitions).map(|_| MemoryState::default()).collect();
        Self { folder: Folder::new(config), states, records: BTreeMap::new(), sent: 0 }
    }

    fn place(&self, entity: &EntityId) -> usize {
        entity.as_str().bytes().map(usize::from).sum::<usize>() % self.states.len()
    }

    /// Folds facts in batches of `batch`, and what they cause, until it is quiet.
    fn fold(&mut self, facts: &[Fact], batch: usize) {
        let mut queue: VecDeque<Fact> = facts.iter().cloned().collect();
        while !queue.is_empty() {
            let taken: Vec<Fact> = queue.drain(..batch.min(queue.len())).collect();
            let mut out = FoldOutput::default();
            let mut touched = BTreeSet::new();
            for fact in &taken {
                let place = self.place(&fact.entity);
                touched.insert(place);
                self.folder.apply(place as i32, fact, &mut self.states[place], &mut out).expect("memory is readable");
            }
            for place in touched {
                self.folder.flush(place as i32, &mut self.states[place], &mut out).expect("memory is readable");
            }
            let keys: BTreeSet<_> = out.forwarded.iter().map(|fact| (&fact.entity, &fact.entries[0].sub_key)).collect();
            assert_eq!(keys.len(), out.forwarded.len(), "each dataset, day and part at most once in a batch");
            self.sent += out.forwarded.len();
            queue.extend(out.forwarded);
            for record in out.records {
                match record.value {
                    Some(value) => self.records.insert((record.topic, record.key), value),
                    None => self.records.remove(&(record.topic, record.key)),
                };
            }
        }
    }

    fn usage(&self, name: &str, day: &str) -> Option<&UsageRecord> {
        match self.records.get(&(CatalogTopic::Usage, format!("{}|{day}", table(name))))? {
            CatalogRecord::Usage(record) => Some(record),
            _ => None,
        }
    }

    /// What a reader sees as of `now`.
    fn seen(&self, now: i64) -> BTreeMap<(CatalogTopic, String), CatalogRecord> {
        let alive = |record: &&CatalogRecord| match record {
            CatalogRecord::Query(record) => record.expires_at > now,
            CatalogRecord::Usage(record) => record.expires_at > now,
            _ => true,
        };
        let alive = self.records.iter().filter(|(_, record)| alive(record));
        let mut seen: BTreeMap<_, _> = alive.map(|(key, record)| (key.clone(), record.clone())).collect();
        seen.values_mut().for_each(blank_origins);
        seen
    }
}

fn table(name: &str) -> EntityId {
    EntityId::from_canonical(format!("snowflake://a/db/s/{name}"))
}

fn uses(name: &str, columns: &[&str]) -> DatasetUse {
    let columns = columns.iter().map(|column| (*column).to_owned()).collect();
    DatasetUse { dataset: table(name), columns, filters: Vec::new(), joins: Vec::new() }
}

/// A query of `user` that ends at `end` seconds and reads `t` by its column `c`.
fn query(name: &str, user: &str, end: i64) -> QueryRun {
    QueryRun {
        platform: "snowflake".into(),
        instance: "snowflake://a".into(),
        query_id: name.into(),
        user: Some(user.into()),
        start: (end - 1) * 1_000_000,
        end: end * 1_000_000,
        status: "success".into(),
        statement_type: "SELECT".into(),
        reads: vec![uses("t", &["c"])],
        duration_us: Some(1_000_000),
        expires_at: end * 1_000_000 + 30 * DAY,
        ..QueryRun::default()
    }
}

fn fact(source: &str, query: QueryRun) -> Fact {
    Fact {
        entity: EntityId::query(&query.instance, &query.query_id),
        kind: EntityKind::Query,
        source: Source::query_log(source),
        version: Version { epoch: 0, time: query.end, seq: 0, hash: u64::from(query.richness) },
        origin: Origin { topic: "warehouse.query-logs".into(), partition: 0, offset: query.end },
        via: Vec::new(),
        entries: vec![Entry::of(Statement::Query(query))],
    }
}

fn site() -> Site {
    Site::new(3, FoldConfig::default())
}

fn user(name: &str, queries: i64, failed: i64, columns: &[(&str, i64)]) -> UserUse {
    let columns = columns.iter().map(|(column, count)| ((*column).to_owned(), *count)).collect();
    UserUse { user: name.into(), queries, failed, columns }
}

#[test]
fn a_day_of_a_dataset_by_hand() {
    let mut site = site();
    let join = JoinedColumn { column: "id".into(), other: table("u"), other_column: "t_id".into() };
    let joined = DatasetUse { filters: vec!["d".into()], joins: vec![join], ..uses("t", &["id", "d"]) };
    let facts = [
        fact("x", QueryRun { rows: Some(5), bytes: Some(70), ..query("1", "ann", 10) }),
        // Names the table twice: a self-join is one query.
        fact("x", QueryRun { reads: vec![joined, uses("t", &["id"])], ..query("2", "bob", 20) }),
        fact("x", QueryRun { status: "failed".into(), ..query("3", "bob", 30) }),
        fact("x", QueryRun { reads: vec![], writes: vec![table("t")], ..query("4", "etl", 40) }),
        fact("x", QueryRun { user: None, ..query("5", "", 50) }),
        fact("x", query("6", "ann", 86_400)),
    ];
    site.fold(&facts, 2);
    let day = site.usage("t", "1970-01-01").expect("it was used");
    assert_eq!((day.queries, day.failed, day.writes), (4, 1, 1));
    assert_eq!((day.rows, day.bytes, day.duration_us), (5, 70, 4_000_000));
    assert_eq!((day.distinct_users, day.users_exact), (2, true));
    assert_eq!(day.users, [user("bob", 2, 1, &[("c", 1), ("d", 1), ("id", 1)]), user("ann", 1, 0, &[("c", 1)])]);
    assert_eq!(day.columns, [("c", 3), ("d", 1), ("id", 1)].map(|(name, count)| (name.to_owned(), count)).into());
    assert_eq!(day.filters, [("d".to_owned(), 1)].into());
    let other = table("u").as_str().to_owned();
    assert_eq!(day.joins, [JoinUse { column: "id".into(), other, other_column: "t_id".into(), queries: 1 }]);
    assert_eq!(day.expires_at, 401 * DAY);
    assert_eq!(site.usage("t", "1970-01-02").map(|day| day.queries), Some(1), "days are those of the end");
    let queries = site.records.keys().filter(|(topic, _)| *topic == CatalogTopic::Queries);
    assert!(queries.map(|(_, key)| key.as_str()).eq((1..=6).map(|n| format!("snowflake:%2F%2Fa|{n}"))));
}

#[test]
fn the_richest_source_counts_alone() {
    let poor = fact("text", QueryRun { richness: 1, reads: vec![uses("u", &["x"])], ..query("1", "ann", 10) });
    let rich = fact("access", QueryRun { richness: 3, status: "failed".into(), ..query("1", "ann", 9) });
    for order in [[&poor, &rich], [&rich, &poor]] {
        for batch in [1, 2] {
            let mut site = site();
            site.fold(&order.map(Clone::clone), batch);
            let day = site.usage("t", "1970-01-01").expect("it was used");
            assert_eq!((day.queries, day.failed, day.distinct_users), (1, 1, 1));
            assert_eq!(site.usage("u", "1970-01-01"), None, "what the poorer one said is taken out");
            let record = site.records.get(&(CatalogTopic::Queries, "snowflake:%2F%2Fa|1".into()));
            let Some(CatalogRecord::Query(record)) = record else { panic!("{record:?}") };
            assert_eq!((record.source.as_str(), record.ended_at), ("query_log/access", 9_000_000));
        }
    }
}

#[test]
fn a_batch_sends_each_dataset_and_day_once_and_a_repetition_sends_nothing() {
    let facts: Vec<Fact> = (0..500).map(|n| fact("x", query(&n.to_string(), "ann", 100 + n))).collect();
    let mut one = Site::new(1, FoldConfig::default());
    one.fold(&facts, 100);
    assert_eq!(one.sent, 5);
    let writes = one.states[0].writes();
    one.fold(&facts, 100);
    assert_eq!((one.sent, one.states[0].writes()), (5, writes));
    assert_eq!(one.usage("t", "1970-01-01").map(|day| day.queries), Some(500));
}

/// Users beyond the bound: those with the most queries are listed, all are counted roughly; also when some are taken out.
#[test]
fn many_users_are_listed_by_their_queries_and_counted_roughly() {
    let usage = UsageLimits { users: 10, ..UsageLimits::default() };
    let config = FoldConfig { usage, ..FoldConfig::default() };
    let mut facts = Vec::new();
    for user in 0..300_i64 {
        for nth in 0..1 + user / 100 {
            facts.push(fact("x", query(&format!("{user}-{nth}"), &format!("u{user:03}"), 10)));
        }
    }
    let mut site = Site::new(1, config);
    site.fold(&facts, 7);
    let day = site.usage("t", "1970-01-01").expect("it was used").clone();
    assert_eq!((day.queries, day.users_exact, day.users.len()), (600, false, 10));
    assert!((285..315).contains(&day.distinct_users), "{}", day.distinct_users);
    let names: Vec<&str> = day.users.iter().map(|user| user.user.as_str()).collect();
    assert_eq!(names, ["u200", "u201", "u202", "u203", "u204", "u205", "u206", "u207", "u208", "u209"]);
    // A richer source says that u200 never came, and then that nobody but eight has come.
    let other = |query: QueryRun| QueryRun { richness: 9, reads: vec![], ..query };
    site.fold(&[fact("x", other(query("200-0", "u200", 10)))], 1);
    let day = site.usage("t", "1970-01-01").expect("it was used");
    assert_eq!(day.users.first().map(|user| user.user.as_str()), Some("u201"));
    assert!(day.users.iter().all(|user| user.queries == 3), "another one with as many moves up");
    let gone: Vec<Fact> = facts.iter().filter(|fact| {
        !matches!(&fact.entries[0].value, Some(Statement::Query(query)) if query.user.as_deref() < Some("u008"))
    }).map(|fact| {
        let Some(Statement::Query(query)) = &fact.entries[0].value else { panic!() };
        super::tests::fact("x", other(query.clone()))
    }).collect();
    site.fold(&gone, 50);
    let day = site.usage("t", "1970-01-01").expect("it was used");
    assert_eq!((day.queries, day.distinct_users, day.users_exact, day.users.len()), (8, 8, true, 8));
}

#[test]
fn what_nobody_sees_any_more_is_forgotten_bit_by_bit() {
    let mut site = Site::new(1, FoldConfig::default());
    let old: Vec<Fact> = (0..300).map(|n| fact("x", query(&format!("o{n}"), &format!("u{n}"), 100 + n))).collect();
    site.fold(&old, 300);
    let size = |site: &Site| site.states[0].scan(b"").expect("memory is readable").len();
    let full = size(&site);
    // 29 days later nothing has expired, 31 days later the queries have, 402 days later their day has.
    site.fold(&[fact("x", query("a", "ann", 29 * 86_400))], 1);
    assert!(size(&site) > full);
    let queries = |site: &Site| site.records.keys().filter(|(topic, _)| *topic == CatalogTopic::Queries).count();
    site.fold(&[fact("x", query("b", "ann", 31 * 86_400))], 1);
    let left = queries(&site);
    assert!((3..300).contains(&left), "some in each batch: {left}");
    for n in 0..20 {
        site.fold(&[fact("x", query(&format!("d{n}"), "ann", 31 * 86_400 + n))], 1);
    }
    assert_eq!(queries(&site), 22, "none of the old ones is left");
    assert_eq!(site.usage("t", "1970-01-01").map(|day| day.queries), Some(300));
    for n in 0..20 {
        site.fold(&[fact("x", query(&format!("c{n}"), "ann", 402 * 86_400 + n))], 1);
    }
    assert_eq!(site.usage("t", "1970-01-01"), None);
    assert!(site.usage("t", "1971-02-07").is_some());
    assert!(size(&site) < 60, "{}", size(&site));
    // Too late for its day: nobody would see it.
    site.fold(&[fact("x", query("late", "ann", 200))], 1);
    assert_eq!(site.usage("t", "1970-01-01"), None);
}

#[test]
fn what_an_aborted_batch_brought_is_counted_with_its_repetition_only() {
    let facts: Vec<Fact> = (0..4).map(|n| fact("x", query(&n.to_string(), "ann", 100 + n))).collect();
    let mut site = Site::new(1, FoldConfig::default());
    site.fold(&facts[..1], 1);
    // A copy has another transaction, as a state has after an abort.
    let before = site.states[0].clone();
    let mut out = FoldOutput::default();
    for fact in &facts[1..3] {
        site.folder.apply(0, fact, &mut site.states[0], &mut out).expect("memory is readable");
    }
    site.states[0] = before;
    site.fold(&facts[3..], 1);
    assert_eq!(site.usage("t", "1970-01-01").map(|day| day.queries), Some(2));
    site.fold(&facts[1..3], 2);
    assert_eq!(site.usage("t", "1970-01-01").map(|day| day.queries), Some(4));
}

/// A record that is refused leaves its writes out of the state, but not those of others in the batch.
#[test]
fn a_refused_record_is_not_counted() {
    let facts: Vec<Fact> = (0..3).map(|n| fact("x", query(&n.to_string(), "ann", 100 + n))).collect();
    let mut site = Site::new(1, FoldConfig::default());
    let mut out = FoldOutput::default();
    for fact in &facts {
        site.folder.apply(0, fact, &mut site.states[0], &mut out).expect("memory is readable");
    }
    site.states[0].delete(query_key(&facts[1].entity));
    site.folder.flush(0, &mut site.states[0], &mut out).expect("memory is readable");
    let Some(Statement::Usage(part)) = &out.forwarded[0].entries[0].value else { panic!() };
    assert_eq!(part.queries, 2);
}

/// One of few queries, told by one of two sources in one of two ways.
fn told() -> impl Strategy<Value = Fact> {
    let read = (0..3_usize, prop::collection::vec(0..4_usize, 0..3), any::<bool>(), any::<bool>());
    let reads = prop::collection::vec(read, 0..3);
    (0..14_usize, 0..2_u8, 0..7_usize, reads, 0..4_usize, 0..3_usize).prop_map(
        |(id, richness, user, reads, written, day)| {
            let reads = reads.into_iter().map(|(name, columns, filtered, joined)| {
                let columns: Vec<String> = columns.into_iter().map(|n| format!("c{n}")).collect();
                let join = JoinedColumn { column: "c0".into(), other: table("t0"), other_column: format!("c{name}") };
                DatasetUse {
                    dataset: table(&format!("t{name}")),
                    filters: columns.iter().filter(|_| filtered).cloned().collect(),
                    columns,
                    joins: joined.then_some(join).into_iter().collect(),
                }
            });
            let run = QueryRun {
                richness,
                status: ["success", "failed", "cancelled"][(id + user) % 3].into(),
                user: (user < 6).then(|| format!("u{user}")),
                reads: reads.collect(),
                writes: (written < 3).then(|| table(&format!("t{written}"))).into_iter().collect(),
                rows: Some(id as i64),
                ..query(&format!("q{id}"), "", 80_000 + 3_000 * day as i64)
            };
            let mut fact = fact(["a", "b"][id % 2], run);
            // Two ways of one source to tell of one query are two versions of it.
            fact.version.hash = counts::hash(&format!("{:?}", fact.entries));
            fact
        },
    )
}

/// The counts by a second, naive way: queries, failed, writes, rows, users, columns, filters, joins by dataset and day.
fn expected(facts: &[Fact]) -> BTreeMap<String, UsageRecord> {
    let mut heads: BTreeMap<&EntityId, (seen::Rank, &QueryRun)> = BTreeMap::new();
    for fact in facts {
        let Some(Statement::Query(query)) = &fact.entries[0].value else { panic!() };
        let rank = (query.richness, fact.version, fact.source.as_str().to_owned());
        if heads.get(&fact.entity).is_none_or(|(known, _)| *known < rank) {
            heads.insert(&fact.entity, (rank, query));
        }
    }
    let mut out: BTreeMap<String, UsageRecord> = BTreeMap::new();
    for (_, query) in heads.into_values() {
        let day = query.end / DAY;
        let datasets: BTreeSet<&EntityId> = query.reads.iter().map(|read| &read.dataset).chain(&query.writes).collect();
        for dataset in datasets {
            let record = out.entry(format!("{dataset}|1970-01-0{}", day + 1)).or_insert_with(|| UsageRecord {
                dataset: dataset.as_str().into(),
                day: format!("1970-01-0{}", day + 1),
                queries: 0,
                failed: 0,
                writes: 0,
                rows: 0,
                bytes: 0,
                duration_us: 0,
                distinct_users: 0,
                users_exact: true,
                users: Vec::new(),
                columns: BTreeMap::new(),
                filters: BTreeMap::new(),
                joins: Vec::new(),
                expires_at: (day + 401) * DAY,
                origin: Origin { topic: String::new(), partition: 0, offset: 0 },
            });
            record.writes += i64::from(query.writes.contains(dataset));
            let reads: Vec<&DatasetUse> = query.reads.iter().filter(|read| read.dataset == *dataset).collect();
            if reads.is_empty() {
                continue;
            }
            let failed = i64::from(query.status != "success");
            record.queries += 1;
            record.failed += failed;
            record.rows += query.rows.unwrap_or(0);
            record.duration_us += 1_000_000;
            let columns: BTreeSet<&String> = reads.iter().flat_map(|read| &read.columns).collect();
            let filters: BTreeSet<&String> = reads.iter().flat_map(|read| &read.filters).collect();
            let joins: BTreeSet<&JoinedColumn> = reads.iter().flat_map(|read| &read.joins).collect();
            for column in &columns {
                *record.columns.entry((*column).clone()).or_default() += 1;
            }
            for column in filters {
                *record.filters.entry(column.clone()).or_default() += 1;
            }
            for join in joins {
                let is_it = |known: &&mut JoinUse| known.other_column == join.other_column;
                match record.joins.iter_mut().find(is_it) {
                    Some(known) => known.queries += 1,
                    None => record.joins.push(JoinUse {
                        column: join.column.clone(),
                        other: join.other.as_str().into(),
                        other_column: join.other_column.clone(),
                        queries: 1,
                    }),
                }
            }
            if let Some(name) = &query.user {
                if !record.users.iter().any(|user| user.user == *name) {
                    record.users.push(UserUse { user: name.clone(), ..UserUse::default() });
                }
                let user = record.users.iter_mut().find(|user| user.user == *name).expect("pushed");
                user.queries += 1;
                user.failed += failed;
                for column in columns {
                    *user.columns.entry(column.clone()).or_default() += 1;
                }
            }
        }
    }
    for record in out.values_mut() {
        record.distinct_users = record.users.len() as i64;
        record.users.sort_by_key(|user| (-user.queries, user.user.clone()));
        record.joins.sort_by_key(|join| (-join.queries, join.other_column.clone()));
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn usage_depends_on_the_set_of_facts(
        facts in prop::collection::vec(told(), 1..50),
        choices in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        seed in any::<u64>(),
        batch in 1..9_usize,
        partitions in 1..5_usize,
    ) {
        let mut plain = Site::new(3, FoldConfig::default());
        plain.fold(&facts, facts.len());
        let usage: BTreeMap<String, UsageRecord> = plain.seen(i64::MIN).into_iter().filter_map(|((_, key), record)| match record {
            CatalogRecord::Usage(record) => Some((key, *record)),
            _ => None,
        }).collect();
        prop_assert_eq!(&usage, &expected(&facts));
        let mut again = facts.clone();
        again.extend(choices.iter().map(|choice| choice.get(&facts).clone()));
        again.sort_by_key(|fact| counts::hash(&format!("{seed}{}{:?}", fact.entity, fact.version)));
        again.extend(choices.iter().take(3).map(|choice| choice.get(&facts).clone()));
        let mut other = Site::new(partitions, FoldConfig::default());
        other.fold(&again, batch);
        prop_assert_eq!(plain.seen(i64::MIN), other.seen(i64::MIN));
    }

    /// Bounds that are reached leave a result that depends on the set, too, as long as the partitions are the same.
    #[test]
    fn bounded_lists_depend_on_the_set_of_facts(
        facts in prop::collection::vec(told(), 1..50),
        seed in any::<u64>(),
        batch in 1..9_usize,
    ) {
        let usage = UsageLimits { users: 2, shown_users: 3, columns_of_user: 1, shown_columns: 2, shown_joins: 1, ..UsageLimits::default() };
        let config = FoldConfig { usage, ..FoldConfig::default() };
        let mut plain = Site::new(2, config.clone());
        plain.fold(&facts, facts.len());
        let mut again = facts.clone();
        again.sort_by_key(|fact| counts::hash(&format!("{seed}{}{:?}", fact.entity, fact.version)));
        let mut other = Site::new(2, config);
        other.fold(&again, batch);
        prop_assert_eq!(plain.seen(i64::MIN), other.seen(i64::MIN));
    }

    /// Batches of any size, and a fold that begins without memories in between, end as one query after the other does.
    #[test]
    fn batches_of_any_size_end_alike(
        facts in prop::collection::vec(told(), 1..50),
        batches in prop::collection::vec((1..20_usize, any::<bool>()), 1..12),
        users in prop::sample::select(vec![2_usize, 100]),
    ) {
        let usage = UsageLimits { users, columns_of_user: 2, ..UsageLimits::default() };
        let config = FoldConfig { usage, ..FoldConfig::default() };
        let mut single = Site::new(2, config.clone());
        single.fold(&facts, 1);
        let mut batched = Site::new(2, config.clone());
        let mut rest = facts.as_slice();
        for (batch, forget) in batches.iter().cycle() {
            let (taken, later) = rest.split_at((*batch).min(rest.len()));
            batched.fold(taken, *batch);
            if *forget {
                batched.folder = Folder::new(config.clone());
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(single.seen(i64::MIN), batched.seen(i64::MIN));
    }
}
