//! The one property that everything rests on: the catalog depends on the set of facts, not on their order, their
//! repetition, or on when forwarded facts arrive.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use crate::model::fact::*;
use crate::model::id::EntityId;
use crate::model::record::{CatalogRecord, CatalogTopic, ChangeRecord};
use crate::model::state::State;

use super::tests::*;
use super::*;

/// One step of a metastore's life; names are small numbers.
#[derive(Clone, Debug)]
enum Step {
    Create(usize),
    Alter(usize, usize),
    AddPartition(usize, usize),
    DropPartition(usize, usize),
    Rename(usize, usize),
    Drop(usize),
    /// A run writes to the table's path.
    Write(usize, usize),
    /// A run reads from the table's path.
    Read(usize),
    /// A producer names a table's id for a path that no metastore knows.
    Symlinked(usize),
    /// A producer with names of its own says that one of them lies at a path.
    Lies(usize, usize),
    /// A producer says that one of its names is another one, of a known server or not.
    Named(usize, usize, bool),
    /// A run writes to one of these names.
    WriteNamed(usize, usize),
    /// Somebody describes a table by its id.
    Describe(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = 0..3usize;
    let step = prop_oneof![
        3 => name.clone().prop_map(Step::Create),
        2 => (name.clone(), 0..3usize).prop_map(|(t, n)| Step::Alter(t, n)),
        3 => (name.clone(), 0..2usize).prop_map(|(t, n)| Step::AddPartition(t, n)),
        1 => (name.clone(), 0..2usize).prop_map(|(t, n)| Step::DropPartition(t, n)),
        4 => (name.clone(), name.clone()).prop_map(|(a, b)| Step::Rename(a, b)),
        1 => name.clone().prop_map(Step::Drop),
        2 => (name.clone(), 0..3usize).prop_map(|(t, n)| Step::Write(t, n)),
        1 => name.clone().prop_map(Step::Read),
        1 => name.clone().prop_map(Step::Symlinked),
        1 => (name.clone(), 0..3usize).prop_map(|(t, n)| Step::Describe(t, n)),
        1 => (0..NAMES, name).prop_map(|(x, t)| Step::Lies(x, t)),
        2 => (0..NAMES, 0..NAMES, any::<bool>()).prop_map(|(x, y, known)| Step::Named(x, y, known)),
        1 => (0..NAMES, 0..3usize).prop_map(|(x, n)| Step::WriteNamed(x, n)),
    ];
    prop::collection::vec(step, 1..20)
}

fn name(nth: usize) -> EntityId {
    table(["a", "b", "c"][nth % 3])
}

/// Names of a producer of its own, catalogs and others.
const NAMES: usize = 4;

fn other(nth: usize) -> EntityId {
    id(["hive://o:9083/d/x", "glue://1.r/d/x", "trino://o:8080/c/s/x", "ol://o/x"][nth % NAMES])
}

fn path(nth: usize) -> EntityId {
    id(&format!("s3://w/{}", ["a", "b", "c"][nth % 3]))
}

const SCHEMAS: [&[(&str, &str)]; 3] =
    [&[("x", "int")], &[("x", "bigint"), ("y", "string")], &[("x", "bigint"), ("z", "struct<p:int>")]];

/// Plays the steps on a model metastore with managed tables (a rename moves the data). Emits the facts, and the
/// partitions that it holds in the end.
fn play(steps: &[Step]) -> (Vec<Fact>, Vec<(String, Option<String>)>) {
    let mut tables: BTreeMap<usize, usize> = BTreeMap::new();
    let mut partitions: BTreeMap<(usize, usize), String> = BTreeMap::new();
    let mut facts = Vec::new();
    let place = |t: usize| location(&format!("s3://w/{}", ["a", "b", "c"][t % 3]));
    let alias = |t: usize, time: i64| {
        let alias = AliasOf { kind: "location".into(), valid_from: time * 1_000_000 };
        hms(&path(t), time, vec![Entry::keyed(name(t).as_str(), Statement::AliasOf(alias))])
    };
    let no_alias = |t: usize, time: i64| hms(&path(t), time, vec![Entry::retract(Aspect::AliasOf, name(t).as_str())]);
    for (nth, step) in steps.iter().enumerate() {
        let time = nth as i64 + 1;
        match *step {
            Step::Create(t) if !tables.contains_key(&t) => {
                tables.insert(t, 0);
                facts.push(hms(&name(t), time, vec![created(), columns(SCHEMAS[0]), place(t)]));
                facts.push(alias(t, time));
            }
            Step::Alter(t, schema) if tables.contains_key(&t) => {
                tables.insert(t, schema);
                facts.push(hms(&name(t), time, vec![altered(), columns(SCHEMAS[schema]), place(t)]));
            }
            Step::AddPartition(t, n) if tables.contains_key(&t) => {
                let base = ["a", "b", "c"][t % 3];
                partitions.insert((t, n), format!("s3://w/{base}/d={n}"));
                let entry = partition(&format!("d={n}"), &format!("s3://w/{base}/d={n}"));
                facts.push(hms(&name(t), time, vec![altered(), entry]));
            }
            Step::DropPartition(t, n) if tables.contains_key(&t) => {
                partitions.remove(&(t, n));
                let entry = Entry::retract(Aspect::Partition, format!("d={n}"));
                facts.push(hms(&name(t), time, vec![altered(), entry]));
            }
            Step::Rename(a, b) if tables.contains_key(&a) && !tables.contains_key(&b) => {
                let schema = tables.remove(&a).unwrap_or(0);
                tables.insert(b, schema);
                let at = |t: usize| path(t).as_str().to_owned();
                for n in 0..2 {
                    if let Some(place) = partitions.remove(&(a, n)) {
                        partitions.insert((b, n), place.replace(&at(a), &at(b)));
                    }
                }
                let moved = LocationMoved { from: at(a), to: at(b) };
                let entries =
                    vec![Entry::of(Statement::RenamedTo(name(b))), Entry::of(Statement::LocationMoved(moved))];
                facts.push(hms(&name(a), time, entries));
                facts.push(hms(&name(b), time, vec![altered(), columns(SCHEMAS[schema]), place(b)]));
                facts.push(no_alias(a, time));
                facts.push(alias(b, time));
            }
            Step::Drop(t) if tables.contains_key(&t) => {
                let schema = tables.remove(&t).unwrap_or(0);
                partitions.retain(|(of, _), _| *of != t);
                facts.push(hms(&name(t), time, vec![dropped(), columns(SCHEMAS[schema]), place(t)]));
                facts.push(no_alias(t, time));
            }
            Step::Write(t, n) => {
                let mark = WriteMark {
                    time: time * 1_000_000,
                    job: id("job://n/j"),
                    run: format!("r{time}"),
                    rows: None,
                    bytes: None,
                };
                let entries = vec![output(), columns(SCHEMAS[n]), Entry::of(Statement::Write(mark))];
                facts.push(spark(&path(t), time, entries));
            }
            Step::Read(t) => {
                let spelled = ReportedName { namespace: "s3://w".into(), name: format!("{t}"), issues: vec![] };
                let entries = vec![
                    mention(),
                    partial("x", "long", None),
                    Entry::keyed(format!("s3|{t}"), Statement::Name(spelled)),
                ];
                facts.push(spark(&path(t), time, entries));
            }
            Step::Symlinked(t) => {
                let link = Symlink { kind: "TABLE".into(), instance: true, namespace: "n".into(), name: "n".into() };
                let entries = vec![mention(), Entry::keyed(name(t + 1).as_str(), Statement::Symlink(link))];
                facts.push(spark(&path(t), time, entries));
            }
            Step::Lies(x, t) => {
                let link =
                    Symlink { kind: "LOCATION".into(), instance: false, namespace: "n".into(), name: "n".into() };
                let entries = vec![mention(), Entry::keyed(path(t).as_str(), Statement::Symlink(link))];
                facts.push(spark(&other(x), time, entries));
            }
            Step::Named(x, y, instance) if x != y => {
                let link = Symlink { kind: "TABLE".into(), instance, namespace: "n".into(), name: "n".into() };
                let entries = vec![mention(), Entry::keyed(other(y).as_str(), Statement::Symlink(link))];
                facts.push(spark(&other(x), time, entries));
            }
            Step::WriteNamed(x, n) => {
                facts.push(spark(&other(x), time, vec![output(), columns(SCHEMAS[n])]));
            }
            Step::Describe(t, n) => {
                let dbt = Source::openlineage("dbt");
                let text = Entry::of(Statement::Description(format!("text {n}")));
                facts.push(fact(dbt, &name(t), time, vec![output(), text, partial("x", "", Some("doc"))]));
            }
            _ => {}
        }
    }
    let there = partitions.into_iter().map(|((t, n), place)| (format!("{}|d={n}", name(t)), Some(place)));
    (facts, there.collect())
}

/// Class A of the digest: everything but histories and changes, without origin and what moves with it.
pub(super) fn digest(folded: &Folded) -> Vec<String> {
    folded
        .records
        .iter()
        .filter(|((topic, _), _)| !matches!(topic, CatalogTopic::Schemas | CatalogTopic::Changes))
        .map(|((topic, key), record)| {
            let mut record = record.clone();
            blank_origins(&mut record);
            if let CatalogRecord::Dataset(dataset) = &mut record {
                dataset.last_seen = 0;
                dataset.schema_version = 0;
            }
            format!("{} {key} {record:#?}", topic.name())
        })
        .collect()
}

/// Folds in an order that random numbers choose: facts are shuffled and some come twice; a forwarded fact may come
/// much later than it was sent, but never before an older one from the same sender to the same entity.
fn chaotic(facts: &[Fact], choices: &[u16]) -> Folded {
    let mut choices = choices.iter().copied().cycle();
    let mut choose = |below: usize| usize::from(choices.next().unwrap_or(0)) % below.max(1);
    let mut lanes: Vec<VecDeque<Fact>> = Vec::new();
    for fact in facts {
        lanes.push(VecDeque::from([fact.clone()]));
        if choose(4) == 0 {
            lanes.push(VecDeque::from([fact.clone()]));
        }
    }
    let mut routes: BTreeMap<(EntityId, EntityId), usize> = BTreeMap::new();
    let mut folder = Folder::new(FoldConfig { history: 64, ..FoldConfig::default() });
    let mut folded = Folded::default();
    loop {
        let open: Vec<usize> = (0..lanes.len()).filter(|lane| !lanes[*lane].is_empty()).collect();
        if open.is_empty() {
            return folded;
        }
        assert!(folded.facts < 3_000, "forwards never end");
        let lane = open[choose(open.len())];
        let fact = lanes[lane].pop_front().expect("open lanes are not empty");
        for sent in folded.fold_one(&mut folder, &fact).expect("memory state is readable") {
            let route = (fact.entity.clone(), sent.entity.clone());
            let lane = *routes.entry(route).or_insert_with(|| {
                lanes.push(VecDeque::new());
                lanes.len() - 1
            });
            lanes[lane].push_back(sent);
        }
    }
}

/// No change is told under the id of another one, and nothing waits to be told.
fn check_changes(folded: &Folded) -> Result<(), TestCaseError> {
    let mut told: BTreeMap<&str, &ChangeRecord> = BTreeMap::new();
    for change in &folded.changes {
        let before = told.insert(&change.id, change);
        prop_assert!(before.is_none(), "told twice: {:?} and {:?}", before, change);
    }
    let waits = |(key, _): &(Vec<u8>, Vec<u8>)| key.ends_with(b"\0c\0u");
    let waiting = folded.state.scan(b"").expect("memory state is readable").into_iter().filter(waits).count();
    prop_assert_eq!(waiting, 0, "something is never told");
    Ok(())
}

fn config() -> FoldConfig {
    FoldConfig { history: 64, ..FoldConfig::default() }
}

/// What is remembered between facts is a shortcut: with none, with little room and with much, everything that is
/// published and kept is the same, to the last origin.
fn remembering_changes_nothing(facts: &[Fact]) {
    let fold = |remembered| fold_all(FoldConfig { remembered, ..config() }, facts).expect("memory state is readable");
    let plain = fold(0);
    for remembered in [1, 2_000] {
        let folded = fold(remembered);
        assert_eq!(plain.records, folded.records);
        assert_eq!(plain.changes, folded.changes);
        assert_eq!((plain.published, &plain.no_ops), (folded.published, &folded.no_ops));
        let all = |folded: &Folded| folded.state.scan(b"").expect("memory state is readable");
        assert_eq!(all(&plain), all(&folded));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn datasets_depend_on_the_set_of_facts(
        steps in steps(),
        choices in prop::collection::vec(any::<u16>(), 64..128),
    ) {
        let (facts, there) = play(&steps);
        remembering_changes_nothing(&facts);
        let expected = fold_all(config(), &facts).expect("memory state is readable");
        prop_assert_eq!(partitions(&expected), there);
        let shuffled = chaotic(&facts, &choices);
        prop_assert_eq!(digest(&expected), digest(&shuffled));
        check_changes(&expected)?;
        check_changes(&shuffled)?;
    }
}

/// Events of runs of one job: (run, state, time, what it reads, what it writes).
fn run_events() -> impl Strategy<Value = Vec<(usize, usize, i64, usize, usize)>> {
    prop::collection::vec((0..7usize, 0..5usize, 0..20i64, 0..3usize, 0..3usize), 1..24)
}

fn run_fact(nth: usize, (run, state, day, read, written): (usize, usize, i64, usize, usize)) -> Fact {
    let time = day * 86_400 + nth as i64;
    let datasets = |n: usize| if n == 0 { Vec::new() } else { vec![path(n)] };
    let edges = (read > 0 && written > 0 && nth.is_multiple_of(2)).then(|| ColumnEdge {
        target: path(written),
        target_field: "x".into(),
        source: path(read),
        source_field: "y".into(),
        kind: "DIRECT".into(),
        subtype: ["IDENTITY", "AGGREGATION"][nth / 2 % 2].into(),
        description: String::new(),
        masking: false,
        unmapped: false,
    });
    let event = RunEvent {
        run_id: format!("run-{run}"),
        state: ["START", "RUNNING", "COMPLETE", "COMPLETE", "FAIL"][state].into(),
        time: time * 1_000_000,
        inputs: datasets(read),
        outputs: datasets(written),
        column_edges: edges.into_iter().collect(),
        ..RunEvent::default()
    };
    let key = format!("{}|{}", event.run_id, event.state);
    let job = Job {
        namespace: "n".into(),
        name: "j".into(),
        sql: (nth.is_multiple_of(3)).then(|| format!("select {nth}")),
        ..Job::default()
    };
    let entries = vec![Entry::of(Statement::Job(job)), Entry::keyed(key, Statement::Run(event))];
    Fact { kind: EntityKind::Job, ..spark(&id("job://n/j"), time, entries) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn jobs_depend_on_the_set_of_facts(
        events in run_events(),
        choices in prop::collection::vec(any::<u16>(), 64..128),
    ) {
        let facts: Vec<Fact> = events.into_iter().enumerate().map(|(nth, event)| run_fact(nth, event)).collect();
        remembering_changes_nothing(&facts);
        let expected = fold_all(config(), &facts).expect("memory state is readable");
        let shuffled = chaotic(&facts, &choices);
        prop_assert_eq!(digest(&expected), digest(&shuffled));
        check_changes(&expected)?;
        check_changes(&shuffled)?;
    }
}
