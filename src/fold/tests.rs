//! The rules of the model, one test each.

use std::collections::BTreeMap;

use crate::model::fact::*;
use crate::model::id::EntityId;
use crate::model::record::{CatalogRecord, CatalogTopic, DatasetRecord};

use super::*;

pub(super) fn id(text: &str) -> EntityId {
    EntityId::from_canonical(text)
}

/// A table of the metastore under test.
pub(super) fn table(name: &str) -> EntityId {
    id(&format!("hive://h:9083/db/{name}"))
}

pub(super) fn version(time: i64) -> Version {
    Version { epoch: 0, time: time * 1_000_000, seq: time, hash: time as u64 }
}

pub(super) fn fact(source: Source, entity: &EntityId, time: i64, entries: Vec<Entry>) -> Fact {
    Fact {
        entity: entity.clone(),
        kind: EntityKind::Dataset,
        source,
        version: version(time),
        origin: Origin { topic: "t".into(), partition: 0, offset: time },
        via: Vec::new(),
        entries,
    }
}

pub(super) fn hms(entity: &EntityId, time: i64, entries: Vec<Entry>) -> Fact {
    fact(Source::hms("m"), entity, time, entries)
}

pub(super) fn spark(entity: &EntityId, time: i64, entries: Vec<Entry>) -> Fact {
    fact(Source::openlineage("spark"), entity, time, entries)
}

pub(super) fn existence(state: ExistenceState, evidence: Evidence, floor: bool) -> Entry {
    Entry::of(Statement::Existence(Existence { state, evidence, floor, scope: None }))
}

pub(super) fn created() -> Entry {
    existence(ExistenceState::Confirmed, Evidence::Owner, true)
}

pub(super) fn altered() -> Entry {
    existence(ExistenceState::Confirmed, Evidence::Owner, false)
}

pub(super) fn dropped() -> Entry {
    existence(ExistenceState::Dropped, Evidence::Owner, true)
}

pub(super) fn output() -> Entry {
    existence(ExistenceState::Confirmed, Evidence::Output, false)
}

pub(super) fn mention() -> Entry {
    existence(ExistenceState::Referenced, Evidence::Mention, false)
}

pub(super) fn column(name: &str, kind: &str) -> Column {
    Column { name: name.into(), data_type: kind.into(), ..Column::default() }
}

pub(super) fn columns(list: &[(&str, &str)]) -> Entry {
    let columns = list.iter().map(|(name, kind)| column(name, kind)).collect();
    Entry::of(Statement::Columns(Columns { completeness: Completeness::Complete, columns }))
}

pub(super) fn partial(name: &str, kind: &str, text: Option<&str>) -> Entry {
    let column = Column { description: text.map(str::to_owned), ..column(name, kind) };
    Entry::keyed(name, Statement::Columns(Columns { completeness: Completeness::Partial, columns: vec![column] }))
}

pub(super) fn location(text: &str) -> Entry {
    Entry::of(Statement::Location(text.into()))
}

pub(super) fn partition(name: &str, place: &str) -> Entry {
    Entry::keyed(
        name,
        Statement::Partition(Partition {
            values: vec![name.into()],
            location: Some(place.into()),
            properties: BTreeMap::new(),
            native: serde_json::Value::Null,
        }),
    )
}

pub(super) fn folded(facts: &[Fact]) -> Folded {
    fold_all(FoldConfig::default(), facts).expect("memory state is readable")
}

pub(super) fn dataset<'a>(folded: &'a Folded, entity: &EntityId) -> Option<&'a DatasetRecord> {
    match folded.records.get(&(CatalogTopic::Datasets, entity.as_str().to_owned())) {
        Some(CatalogRecord::Dataset(record)) => Some(record),
        _ => None,
    }
}

pub(super) fn partitions(folded: &Folded) -> Vec<(String, Option<String>)> {
    folded
        .records
        .values()
        .filter_map(|record| match record {
            CatalogRecord::Partition(p) => Some((format!("{}|{}", p.dataset, p.name), p.location.clone())),
            _ => None,
        })
        .collect()
}

#[test]
fn a_dropped_table_stays_findable_but_its_partitions_go() {
    let t = table("t");
    let create = hms(&t, 1, vec![created(), columns(&[("a", "int")]), location("s3://b/t")]);
    let add = hms(&t, 2, vec![altered(), partition("d=1", "s3://b/t/d=1")]);
    let before = folded(&[create.clone(), add.clone()]);
    assert_eq!(partitions(&before).len(), 1);
    let drop = hms(&t, 3, vec![dropped(), columns(&[("a", "int")]), location("s3://b/t")]);
    for order in [[&create, &add, &drop], [&drop, &create, &add], [&add, &drop, &create]] {
        let after = fold_all(FoldConfig::default(), order).expect("memory state is readable");
        let record = dataset(&after, &t).expect("the record stays");
        assert_eq!(record.existence, "dropped");
        assert_eq!(record.columns.len(), 1);
        assert_eq!(partitions(&after), []);
    }
}

#[test]
fn created_again_is_the_same_entity_in_its_second_incarnation() {
    let t = table("t");
    let facts = [
        hms(&t, 1, vec![created(), columns(&[("a", "int")])]),
        hms(&t, 2, vec![altered(), partition("d=1", "s3://b/t/d=1")]),
        hms(&t, 3, vec![dropped(), columns(&[("a", "int")])]),
        hms(&t, 4, vec![created(), columns(&[("b", "string")])]),
    ];
    let after = folded(&facts);
    let record = dataset(&after, &t).expect("it is there");
    assert_eq!((record.existence.as_str(), record.incarnation), ("confirmed", 2));
    assert_eq!(record.columns[0].name, "b");
    assert_eq!(partitions(&after), []);
}

#[test]
fn a_mention_only_refers_and_costs_nothing_again() {
    let t = table("t");
    let first = spark(&t, 1, vec![mention(), partial("a", "long", None)]);
    let mut after = folded(std::slice::from_ref(&first));
    let record = dataset(&after, &t).expect("it is listed");
    assert_eq!((record.existence.as_str(), record.authority.as_str()), ("referenced", ""));
    assert_eq!(record.columns[0].canonical_type, "bigint");
    let writes = after.state.writes();
    let again = spark(&t, 100, vec![mention(), partial("a", "long", None)]);
    after.fold(&mut Folder::new(FoldConfig::default()), &again).expect("memory state is readable");
    assert_eq!(after.state.writes(), writes);
}

#[test]
fn the_metastore_speaks_first_and_others_annotate_and_contradict() {
    let t = table("t");
    let facts = [
        spark(&t, 9, vec![output(), columns(&[("a", "string"), ("_file", "string"), ("b", "long")])]),
        hms(&t, 1, vec![created(), columns(&[("a", "int"), ("b", "bigint"), ("c", "date")])]),
        fact(Source::openlineage("dbt"), &t, 2, vec![output(), partial("b", "", Some("the b"))]),
    ];
    let after = folded(&facts);
    let record = dataset(&after, &t).expect("it is there");
    assert_eq!(record.authority, "hms/m");
    let said: Vec<_> = record.columns.iter().map(|c| (c.name.as_str(), c.conflicts.clone())).collect();
    assert_eq!(said[0], ("a", vec!["openlineage/spark: string".to_owned()]));
    assert_eq!(said[1], ("b", vec![]));
    assert_eq!(said[2], ("c", vec!["openlineage/spark: no such column".to_owned()]));
    assert_eq!(record.columns[1].description.as_deref(), Some("the b"));
}

#[test]
fn a_producer_never_revives_what_the_metastore_dropped() {
    let t = table("t");
    let facts = [
        hms(&t, 1, vec![created()]),
        hms(&t, 2, vec![dropped()]),
        spark(&t, 3, vec![output(), columns(&[("a", "int")])]),
    ];
    assert_eq!(dataset(&folded(&facts), &t).map(|r| r.existence.as_str()), Some("dropped"));
}

#[test]
fn a_repeated_output_costs_one_index_record() {
    let t = table("t");
    let run = |time: i64| {
        let mark = WriteMark { time, job: id("job://n/j"), run: format!("r{time}"), rows: Some(time), bytes: None };
        let wide: Vec<(String, String)> = (0..60).map(|n| (format!("column_{n}"), "string".to_owned())).collect();
        let wide: Vec<(&str, &str)> = wide.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
        let stats = Stats { rows: Some(time), ..Stats::default() };
        let entries =
            vec![output(), columns(&wide), Entry::of(Statement::Write(mark)), Entry::of(Statement::Stats(stats))];
        spark(&t, time, entries)
    };
    let mut after = folded(&(1..10).map(run).collect::<Vec<_>>());
    let (writes, published) = (after.state.writes(), after.published);
    after.fold(&mut Folder::new(FoldConfig::default()), &run(10)).expect("memory state is readable");
    assert_eq!(after.state.writes() - writes, 1);
    assert_eq!(after.published - published, 1, "only the measures change");
}

fn rename(old: &EntityId, new: &EntityId, time: i64, entries: Vec<Entry>) -> [Fact; 2] {
    let mut full = vec![altered()];
    full.extend(entries);
    [hms(old, time, vec![Entry::of(Statement::RenamedTo(new.clone()))]), hms(new, time, full)]
}

fn alias_keys(folded: &Folded) -> Vec<(String, String, Option<i64>, Option<i64>)> {
    folded
        .records
        .values()
        .filter_map(|record| match record {
            CatalogRecord::Alias(a) => Some((a.alias.clone(), a.canonical.clone(), a.valid_from, a.valid_to)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_rename_takes_partitions_along_and_moves_their_place() {
    let (old, new) = (table("old"), table("new"));
    let [mut away, full] = rename(&old, &new, 3, vec![columns(&[("a", "int")]), location("s3://w/new")]);
    let moved = LocationMoved { from: "s3://w/old".into(), to: "s3://w/new".into() };
    away.entries.push(Entry::of(Statement::LocationMoved(moved)));
    let facts = [
        hms(&old, 1, vec![created(), columns(&[("a", "int")]), location("s3://w/old")]),
        hms(&old, 2, vec![altered(), partition("d=1", "s3://w/old/d=1"), partition("d=2", "s3://else/d=2")]),
        away,
        full,
        hms(&old, 2, vec![Entry::of(Statement::Description("late".into()))]),
    ];
    let expected = vec![
        (format!("{new}|d=1"), Some("s3://w/new/d=1".to_owned())),
        (format!("{new}|d=2"), Some("s3://else/d=2".to_owned())),
    ];
    for order in [[0, 1, 2, 3, 4], [3, 2, 4, 1, 0], [2, 4, 0, 1, 3]] {
        let after = fold_all(FoldConfig::default(), order.map(|nth: usize| &facts[nth])).expect("memory is readable");
        assert_eq!(dataset(&after, &old), None);
        let record = dataset(&after, &new).expect("the new name is there");
        assert_eq!(record.aliases, [old.as_str()]);
        assert_eq!(record.description.as_deref(), Some("late"));
        assert_eq!(partitions(&after), expected);
        assert_eq!(alias_keys(&after), [(old.to_string(), new.to_string(), None, None)]);
    }
}

#[test]
fn a_swap_exchanges_two_tables() {
    let (a, b, tmp) = (table("a"), table("b"), table("tmp"));
    let mut facts = vec![
        hms(&a, 1, vec![created(), columns(&[("from_a", "int")])]),
        hms(&b, 2, vec![created(), columns(&[("from_b", "int")])]),
        hms(&a, 3, vec![altered(), partition("d=a", "s3://w/a")]),
        hms(&b, 4, vec![altered(), partition("d=b", "s3://w/b")]),
    ];
    facts.extend(rename(&a, &tmp, 5, vec![columns(&[("from_a", "int")])]));
    facts.extend(rename(&b, &a, 6, vec![columns(&[("from_b", "int")])]));
    facts.extend(rename(&tmp, &b, 7, vec![columns(&[("from_a", "int")])]));
    let mut reversed = facts.clone();
    reversed.reverse();
    for facts in [facts, reversed] {
        let after = folded(&facts);
        assert_eq!(dataset(&after, &tmp), None);
        assert_eq!(dataset(&after, &a).expect("a is there").columns[0].name, "from_b");
        assert_eq!(dataset(&after, &b).expect("b is there").columns[0].name, "from_a");
        let expected =
            vec![(format!("{a}|d=b"), Some("s3://w/b".to_owned())), (format!("{b}|d=a"), Some("s3://w/a".to_owned()))];
        assert_eq!(partitions(&after), expected);
    }
}

#[test]
fn a_name_used_again_ends_its_alias_and_wakes_what_people_said() {
    let (t, old) = (table("t"), table("t_old"));
    let mut facts = vec![
        hms(&t, 1, vec![created(), columns(&[("a", "int")])]),
        fact(Source::person(), &t, 2, vec![Entry::of(Statement::Description("by hand".into()))]),
    ];
    facts.extend(rename(&t, &old, 3, vec![columns(&[("a", "int")])]));
    let asleep = folded(&facts);
    assert_eq!(dataset(&asleep, &t), None);
    facts.push(hms(&t, 5, vec![created(), columns(&[("b", "int")])]));
    let after = folded(&facts);
    for name in [&t, &old] {
        assert_eq!(dataset(&after, name).expect("both exist").description.as_deref(), Some("by hand"));
    }
    assert_eq!(alias_keys(&after), [(t.to_string(), old.to_string(), None, Some(5_000_000))]);
}

#[test]
fn a_dropped_table_is_found_by_each_name_it_had() {
    let (old, new) = (table("old"), table("new"));
    let mut facts = vec![hms(&old, 1, vec![created(), columns(&[("a", "int")])])];
    facts.extend(rename(&old, &new, 2, vec![columns(&[("a", "int")])]));
    facts.push(hms(&new, 3, vec![dropped(), columns(&[("a", "int")])]));
    let after = folded(&facts);
    let record = dataset(&after, &new).expect("the record stays");
    assert_eq!((record.existence.as_str(), record.aliases.as_slice()), ("dropped", [old.to_string()].as_slice()));
}

fn located(at: &EntityId, of: &EntityId, time: i64) -> Fact {
    let alias = AliasOf { kind: "location".into(), valid_from: time * 1_000_000 };
    hms(at, time, vec![Entry::keyed(of.as_str(), Statement::AliasOf(alias))])
}

fn linked(at: &EntityId, to: &EntityId, instance: bool, time: i64) -> Fact {
    let link = Symlink { kind: "TABLE".into(), instance, namespace: "n".into(), name: "x".into() };
    spark(at, time, vec![mention(), Entry::keyed(to.as_str(), Statement::Symlink(link))])
}

#[test]
fn a_path_is_the_table_that_lies_there_even_if_a_symlink_said_otherwise_before() {
    let (path, t, wrong) = (id("s3://w/t"), table("t"), id("hive://other:9083/db/t"));
    let facts = [
        linked(&path, &wrong, false, 1),
        spark(&path, 2, vec![output(), columns(&[("a", "int")])]),
        located(&path, &t, 1),
        hms(&t, 1, vec![created(), columns(&[("a", "bigint")])]),
    ];
    let early = folded(&facts[..2]);
    assert_eq!(dataset(&early, &wrong).expect("known by symlink").aliases, [path.as_str()]);
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
        let after = fold_all(FoldConfig::default(), order.map(|nth: usize| &facts[nth])).expect("memory is readable");
        assert_eq!(dataset(&after, &wrong), None);
        assert_eq!(dataset(&after, &path), None);
        let record = dataset(&after, &t).expect("the table is there");
        assert_eq!(record.aliases, [path.as_str()]);
        assert_eq!(record.columns[0].conflicts, ["openlineage/spark: int"]);
    }
}

#[test]
fn two_tables_at_one_location_are_listed_as_ambiguous() {
    let (path, a, b) = (id("s3://w/t"), table("a"), table("b"));
    let facts = [
        hms(&a, 1, vec![created()]),
        hms(&b, 1, vec![created()]),
        located(&path, &a, 1),
        located(&path, &b, 1),
        spark(&path, 2, vec![output(), columns(&[("x", "int")])]),
    ];
    let mut reversed = facts.clone();
    reversed.reverse();
    for facts in [facts, reversed] {
        let after = folded(&facts);
        for t in [&a, &b] {
            assert_eq!(dataset(&after, t).expect("both are there").issues, ["ambiguous_location"]);
        }
        assert_eq!(dataset(&after, &a).expect("it is there").columns.len(), 1, "the smaller id gets the run");
        assert_eq!(dataset(&after, &b).expect("it is there").columns.len(), 0);
    }
}

#[test]
fn two_names_that_point_at_each_other_do_not_both_vanish() {
    let (a, b) = (id("trino://h:1/c/s/a"), id("trino://h:1/c/s/b"));
    let facts = [linked(&a, &b, false, 1), linked(&b, &a, false, 2)];
    let after = folded(&facts);
    assert_eq!(dataset(&after, &a).expect("the smaller id stays").aliases, [b.as_str()]);
    assert_eq!(dataset(&after, &b), None);
}

fn versions(folded: &Folded, of: &EntityId) -> Vec<(String, String, Vec<String>)> {
    let mut out = Vec::new();
    for record in folded.records.values() {
        if let CatalogRecord::SchemaVersion(v) = record
            && v.dataset == of.as_str()
        {
            let changes = v.changes.iter().map(|change| format!("{} {}", change.kind, change.path)).collect();
            out.push((v.version.clone(), v.level.clone(), changes));
        }
    }
    out.sort();
    out
}

fn levels(folded: &Folded, of: &EntityId) -> Vec<String> {
    versions(folded, of).into_iter().map(|(_, level, changes)| format!("{level}: {}", changes.join(", "))).collect()
}

#[test]
fn the_authority_makes_the_versions_and_a_late_one_takes_its_place() {
    let t = table("t");
    let facts = [
        hms(&t, 1, vec![created(), columns(&[("a", "int")])]),
        hms(&t, 2, vec![altered(), columns(&[("a", "int"), ("b", "date")])]),
        hms(&t, 3, vec![altered(), columns(&[("a", "bigint"), ("b", "date")])]),
        hms(&t, 4, vec![altered(), columns(&[("a", "bigint")])]),
        spark(&t, 5, vec![output(), columns(&[("a", "string")])]),
    ];
    let expected = ["initial: ", "minor: added b", "minor: type_widened a", "major: dropped b"];
    for order in [[0, 1, 2, 3, 4], [0, 3, 1, 2, 4], [4, 3, 2, 1, 0]] {
        let after = fold_all(FoldConfig::default(), order.map(|nth: usize| &facts[nth])).expect("memory is readable");
        assert_eq!(levels(&after, &t), expected, "{order:?}");
        assert_eq!(dataset(&after, &t).expect("it is there").schema_version, 4, "{order:?}");
    }
}

#[test]
fn a_change_of_authority_is_no_breaking_change() {
    let t = table("t");
    let facts = [
        spark(&t, 1, vec![output(), columns(&[("a", "long"), ("b", "string")])]),
        hms(&t, 2, vec![altered(), columns(&[("a", "bigint"), ("b", "string")])]),
    ];
    assert_eq!(levels(&folded(&facts), &t), ["initial: "]);
    let other = hms(&t, 2, vec![altered(), columns(&[("a", "bigint")])]);
    let after = folded(&[facts[0].clone(), other]);
    assert_eq!(levels(&after, &t), ["initial: ", "authority_changed: dropped b"]);
    let breaking = after.records.values().any(|r| matches!(r, CatalogRecord::SchemaVersion(v) if v.breaking));
    assert!(!breaking);
}

#[test]
fn the_history_goes_along_with_a_rename() {
    let (old, new) = (table("old"), table("new"));
    let mut facts: Vec<Fact> = (0..8)
        .map(|nth| {
            let all: Vec<(String, &str)> = (0..=nth).map(|n| (format!("c{n}"), "int")).collect();
            let all: Vec<(&str, &str)> = all.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
            hms(&old, nth + 1, vec![if nth == 0 { created() } else { altered() }, columns(&all)])
        })
        .collect();
    let last = facts[7].entries[1].clone();
    facts.extend(rename(&old, &new, 20, vec![last]));
    let after = folded(&facts);
    assert_eq!(levels(&after, &new).len(), 8);
    assert_eq!(levels(&after, &old).len(), 0);
    assert_eq!(dataset(&after, &new).expect("it is there").schema_version, 8);
}

#[test]
fn a_listing_drops_whom_it_does_not_name_once_its_last_page_is_there() {
    let (a, b, c, scope) = (table("a"), table("b"), table("c"), id("hive://h:9083"));
    let scoped = |entity: &EntityId, time: i64| {
        let state = ExistenceState::Confirmed;
        let existence = Existence { state, evidence: Evidence::Owner, floor: true, scope: Some(scope.clone()) };
        hms(entity, time, vec![Entry::of(Statement::Existence(existence))])
    };
    let page = |nth: u32, members: &[&EntityId]| {
        let members = members.iter().map(|id| (*id).clone()).collect();
        let page = ListingPage { listing: "l".into(), page: nth, pages: 2, members };
        let entry = Entry::keyed(nth.to_string(), Statement::Listing(page));
        Fact { kind: EntityKind::Scope, ..hms(&scope, 5, vec![entry]) }
    };
    // c was created after the listing was made.
    let facts = [scoped(&a, 1), scoped(&b, 1), scoped(&c, 9), page(0, &[&a]), page(1, &[])];
    let partly = folded(&facts[..4]);
    assert_eq!(dataset(&partly, &b).map(|r| r.existence.as_str()), Some("confirmed"));
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [3, 1, 4, 0, 2]] {
        let after = fold_all(FoldConfig::default(), order.map(|nth: usize| &facts[nth])).expect("memory is readable");
        let states: Vec<_> = [&a, &b, &c].map(|t| dataset(&after, t).expect("it is there").existence.clone()).into();
        assert_eq!(states, ["confirmed", "dropped", "confirmed"], "{order:?}");
    }
}

/// A metastore that is listed anew: what is there is what the listing says and nothing of before, what is not named is
/// gone for good, and functions and databases stay what they are.
#[test]
fn a_listing_by_the_owner_is_its_own_word() {
    let (a, b) = (table("a"), table("b"));
    let function = id("hive://h:9083/d/functions/f");
    let (tables, functions) = (id("hive://h:9083/@tables"), id("hive://h:9083/@functions"));
    let state = ExistenceState::Confirmed;
    let there = |entity: &EntityId, scope: &EntityId, time: i64, evidence: Evidence, more: Vec<Entry>| {
        let existence = Existence { state, evidence, floor: true, scope: Some(scope.clone()) };
        let mut entries = vec![Entry::of(Statement::Existence(existence))];
        entries.extend(more);
        let kind = if scope == &functions { EntityKind::Function } else { EntityKind::Dataset };
        Fact { kind, ..hms(entity, time, entries) }
    };
    let page = |scope: &EntityId, members: &[&EntityId]| {
        let members = members.iter().map(|id| (*id).clone()).collect();
        let page = ListingPage { listing: "l".into(), page: 0, pages: 1, members };
        Fact { kind: EntityKind::Scope, ..hms(scope, 5, vec![Entry::keyed("0", Statement::Listing(page))]) }
    };
    let described = |text: &str| vec![Entry::of(Statement::Description(text.to_owned()))];
    let facts = [
        there(&a, &tables, 1, Evidence::Owner, described("of before")),
        there(&b, &tables, 1, Evidence::Owner, described("of before")),
        there(&function, &functions, 1, Evidence::Owner, Vec::new()),
        there(&a, &tables, 5, Evidence::Listing, Vec::new()),
        page(&tables, &[&a]),
        page(&functions, &[]),
    ];
    for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [4, 0, 5, 3, 2, 1]] {
        let after = fold_all(FoldConfig::default(), order.map(|nth: usize| &facts[nth])).expect("memory is readable");
        let head = dataset(&after, &a).expect("it is there");
        assert_eq!((head.existence.as_str(), head.description.as_deref(), head.incarnation), ("confirmed", None, 1));
        assert_eq!(dataset(&after, &b).expect("it is there").existence, "dropped", "{order:?}");
        assert!(dataset(&after, &function).is_none(), "a function is no data set");
        let functions = after.records.values().filter_map(|record| match record {
            CatalogRecord::Function(record) => Some(record.existence.as_str()),
            _ => None,
        });
        assert_eq!(functions.collect::<Vec<_>>(), ["dropped"], "{order:?}");
    }
}
