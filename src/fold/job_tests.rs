//! Jobs: states of runs, supporters of edges, and how old edges are.

use crate::model::fact::*;
use crate::model::id::EntityId;
use crate::model::record::{CatalogRecord, CatalogTopic};

use super::tests::*;
use super::*;

fn run(job: &EntityId, run: &str, state: &str, time: i64, inputs: &[&str], outputs: &[&str]) -> Fact {
    let event = RunEvent {
        run_id: run.into(),
        state: state.into(),
        time: time * 1_000_000,
        inputs: inputs.iter().map(|name| table(name)).collect(),
        outputs: outputs.iter().map(|name| table(name)).collect(),
        error: (state == "FAIL").then(|| "broken".to_owned()),
        ..RunEvent::default()
    };
    let entry = Entry::keyed(format!("{run}|{state}"), Statement::Run(event));
    Fact { kind: EntityKind::Job, ..spark(job, time, vec![entry]) }
}

/// Of one column of a table to one of another.
fn column_edge(source: (&str, &str), target: (&str, &str)) -> ColumnEdge {
    ColumnEdge {
        target: table(target.0),
        target_field: target.1.to_owned(),
        source: table(source.0),
        source_field: source.1.to_owned(),
        kind: "DIRECT".into(),
        subtype: "IDENTITY".into(),
        description: String::new(),
        masking: false,
        unmapped: false,
    }
}

fn edges(folded: &Folded) -> Vec<(String, i64, bool)> {
    folded
        .records
        .values()
        .filter_map(|record| match record {
            CatalogRecord::Lineage(e) => {
                let name = |id: &str| id.rsplit('/').next().unwrap_or_default().to_owned();
                Some((format!("{}>{} {}", name(&e.source), name(&e.target), e.kind), e.runs, e.stale))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn a_run_that_fails_in_the_end_supports_nothing() {
    let job = id("job://n/j");
    let facts = [
        run(&job, "r1", "START", 1, &["a"], &["b"]),
        run(&job, "r1", "COMPLETE", 2, &["a"], &["b"]),
        run(&job, "r1", "FAIL", 2, &[], &["b"]),
    ];
    assert_eq!(edges(&folded(&facts[..2])), [("a>b write".to_owned(), 1, false)]);
    for order in [[0, 1, 2], [2, 1, 0], [2, 0, 1]] {
        let after = fold_all(FoldConfig::default(), order.map(|nth: usize| &facts[nth])).expect("memory is readable");
        assert_eq!(edges(&after), []);
        let key = (CatalogTopic::Runs, format!("{job}|r1"));
        let Some(CatalogRecord::Run(record)) = after.records.get(&key) else { panic!("the run is there") };
        assert_eq!((record.state.as_str(), record.error.as_deref()), ("FAIL", Some("broken")));
        assert_eq!((record.started_at, record.ended_at), (Some(1_000_000), Some(2_000_000)));
        assert_eq!(after.changes.iter().filter(|change| change.kind == "run_failed").count(), 1);
    }
}

#[test]
fn an_edge_goes_stale_after_five_runs_without_it_and_retires_a_week_later() {
    let job = id("job://n/j");
    let day = 86_400;
    let mut facts = vec![run(&job, "old", "COMPLETE", 0, &["a", "x"], &["b"])];
    facts.extend((1..=4).map(|n| run(&job, &format!("r{n}"), "COMPLETE", n, &["a"], &["b"])));
    // A run that reads nothing says nothing.
    facts.push(run(&job, "silent", "COMPLETE", 5, &[], &["b"]));
    let fresh = |stale| vec![("a>b write".to_owned(), 4, false), ("x>b write".to_owned(), 1, stale)];
    assert_eq!(edges(&folded(&facts)), fresh(false));
    facts.push(run(&job, "r5", "COMPLETE", 6, &["a"], &["b"]));
    assert_eq!(edges(&folded(&facts)), fresh(true));
    facts.push(run(&job, "r6", "COMPLETE", 8 * day, &["a"], &["b"]));
    let after = folded(&facts);
    assert_eq!(edges(&after), [("a>b write".to_owned(), 4, false)]);
    assert_eq!(after.changes.iter().filter(|change| change.kind == "lineage_retired").count(), 1);
}

/// (first seen, last seen) of the column edges, in hours.
fn column_times(folded: &Folded) -> Vec<(String, Option<i64>, Option<i64>)> {
    let hours = |time: Option<i64>| time.map(|time| time / 3_600_000_000);
    let columns = folded.records.values().filter_map(|record| match record {
        CatalogRecord::ColumnLineage(c) => Some((c.source_field.clone(), hours(c.first_seen), hours(c.last_seen))),
        _ => None,
    });
    columns.collect()
}

#[test]
fn a_column_edge_is_as_old_as_its_table_edge_unless_it_was_left_out() {
    let (job, hour) = (id("job://n/j"), 3_600);
    let reads = |nth: i64, fields: &[&str]| {
        let mut fact = run(&job, &format!("r{nth}"), "COMPLETE", nth * hour, &["a"], &["b"]);
        if let Some(Statement::Run(event)) = &mut fact.entries[0].value {
            event.column_edges = fields.iter().map(|field| column_edge(("a", field), ("b", "y"))).collect();
        }
        fact
    };
    let mut facts: Vec<Fact> = (1..=5).map(|nth| reads(nth, &["x", "z"])).collect();
    let mut after = folded(&facts);
    assert_eq!(column_times(&after), [("x".to_owned(), Some(1), None), ("z".to_owned(), Some(1), None)]);
    // Another hour of the same costs the table edge and the run, not each column.
    let published = after.published;
    facts.push(reads(6, &["x", "z"]));
    after.fold(&mut Folder::new(FoldConfig::default()), &facts[5]).expect("memory state is readable");
    assert_eq!(after.published - published, 3, "run, job and edge");
    facts.push(reads(8, &["x"]));
    let expected = [("x".to_owned(), Some(1), None), ("z".to_owned(), Some(1), Some(6))];
    assert_eq!(column_times(&folded(&facts)), expected);
    facts.reverse();
    assert_eq!(column_times(&folded(&facts)), expected);
}

#[test]
fn a_repeated_run_costs_two_records_of_state_and_publishes_one() {
    let job = id("job://n/j");
    let described = |n: i64| {
        let mut fact = run(&job, &format!("r{n}"), "COMPLETE", n, &["a"], &["a", "b"]);
        let text = Job { namespace: "n".into(), name: "j".into(), sql: Some("x".repeat(5_000)), ..Job::default() };
        fact.entries.push(Entry::of(Statement::Job(text)));
        fact
    };
    let mut after = folded(&(1..=5).map(described).collect::<Vec<_>>());
    let (writes, published) = (after.state.writes(), after.published);
    after.fold(&mut Folder::new(FoldConfig::default()), &described(6)).expect("memory state is readable");
    assert_eq!((after.state.writes() - writes, after.published - published), (2, 1));
    assert_eq!(edges(&after)[0], ("a>a modifies".to_owned(), 4, false));
}

/// A definition that says of columns, too, needs no run: the newest one counts, whatever the order.
#[test]
fn a_definition_replaces_the_former_one_with_its_columns() {
    let job = id("job://n/v");
    let declares = |time: i64, source: &str, fields: &[&str]| {
        let lineage = DeclaredLineage {
            inputs: vec![table(source)],
            outputs: vec![table("v")],
            columns: fields.iter().map(|field| column_edge((source, field), ("v", "y"))).collect(),
            ..DeclaredLineage::default()
        };
        Fact { kind: EntityKind::Job, ..spark(&job, time, vec![Entry::of(Statement::Declared(lineage))]) }
    };
    let dropped = |time: i64| {
        let gone = Existence { state: ExistenceState::Dropped, evidence: Evidence::Owner, floor: true, scope: None };
        Fact { kind: EntityKind::Job, ..spark(&job, time, vec![Entry::of(Statement::Existence(gone))]) }
    };
    let hour = 3_600;
    let facts = [
        declares(hour, "a", &["x", "z"]),
        declares(2 * hour, "a", &["x"]),
        declares(3 * hour, "b", &["x"]),
        dropped(4 * hour),
        declares(5 * hour, "a", &["x", "z"]),
    ];
    // Tables, and columns with the hour since when.
    type Edges<'a> = (&'a [&'a str], &'a [(&'a str, i64)]);
    let expected: [Edges<'_>; 5] = [
        (&["a>v write"], &[("x", 1), ("z", 1)]),
        (&["a>v write"], &[("x", 2)]),
        (&["b>v write"], &[("x", 3)]),
        (&[], &[]),
        (&["a>v write"], &[("x", 1), ("z", 1)]),
    ];
    for (nth, (tables, columns)) in expected.into_iter().enumerate() {
        let columns: Vec<_> = columns.iter().map(|(name, hour)| ((*name).to_owned(), Some(*hour), None)).collect();
        let forth = folded(&facts[..=nth]);
        let mut turned = facts[..=nth].to_vec();
        turned.reverse();
        for after in [forth, folded(&turned)] {
            assert_eq!(edges(&after).into_iter().map(|(edge, _, _)| edge).collect::<Vec<_>>(), tables, "step {nth}");
            assert_eq!(column_times(&after), columns, "step {nth}");
        }
    }
}
