//! A dataset's owner is told what has changed, and puts it together as it was.

use super::*;
use crate::model::fact::{PartUser, UsagePart};

/// What one partition sends of `facts`, folded in batches.
fn sent(facts: &[Fact], batch: usize, config: &FoldConfig) -> Vec<Fact> {
    let mut folder = Folder::new(config.clone());
    let mut state = MemoryState::default();
    let mut sent = Vec::new();
    for taken in facts.chunks(batch) {
        let mut out = FoldOutput::default();
        for fact in taken {
            folder.apply(0, fact, &mut state, &mut out).expect("memory is readable");
        }
        folder.flush(0, &mut state, &mut out).expect("memory is readable");
        sent.extend(out.forwarded);
    }
    sent
}

/// The records of an owner who gets `changes` one after the other.
fn received(changes: &[Fact], config: &FoldConfig) -> BTreeMap<String, Option<CatalogRecord>> {
    let mut folder = Folder::new(config.clone());
    let mut state = MemoryState::default();
    let mut records = BTreeMap::new();
    for change in changes {
        let mut out = FoldOutput::default();
        folder.apply(1, change, &mut state, &mut out).expect("memory is readable");
        folder.flush(1, &mut state, &mut out).expect("memory is readable");
        let told = out.records.into_iter().filter(|record| record.topic == CatalogTopic::Usage);
        records.extend(told.map(|record| (record.key, record.value)));
    }
    records.retain(|_, record| record.is_some());
    records
}

fn part(fact: &Fact) -> &UsagePart {
    let Some(Statement::Usage(part)) = &fact.entries[0].value else { panic!("{fact:?}") };
    part
}

#[test]
fn only_what_has_changed_is_told() {
    let run = |name: &str, user: &str, columns: &[&str]| {
        let reads = vec![uses("t", columns)];
        fact("x", QueryRun { reads, ..query(name, user, 10) })
    };
    let mut again = run("1", "ann", &["a"]);
    let Some(Statement::Query(richer)) = &mut again.entries[0].value else { panic!() };
    (richer.richness, richer.user) = (1, Some("eve".into()));
    let facts = [run("1", "ann", &["a", "b"]), run("2", "bob", &["b"]), again];
    let sent = sent(&facts, 1, &FoldConfig::default());
    let user = |user: &str, columns: &[(u32, i64)]| PartUser {
        user: user.into(),
        queries: i64::from(!columns.is_empty()),
        failed: 0,
        columns: columns.to_vec(),
    };
    let counts = |counts: &[(&str, i64)]| counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    let known: Vec<_> = sent.iter().map(|fact| (part(fact).since, fact.version.seq, part(fact).queries)).collect();
    assert_eq!(known, [(0, 1, 1), (1, 2, 2), (2, 4, 2)]);
    assert_eq!(part(&sent[0]).columns, counts(&[("a", 1), ("b", 1)]));
    assert_eq!(part(&sent[1]).columns, counts(&[("b", 2)]));
    assert_eq!((&part(&sent[1]).names, &part(&sent[1]).users), (&vec!["b".to_owned()], &vec![user("bob", &[(0, 1)])]));
    assert_eq!(part(&sent[2]).columns, counts(&[("a", 1), ("b", 1)]));
    assert_eq!(part(&sent[2]).users, [user("ann", &[]), user("eve", &[(0, 1)])]);
}

#[test]
fn the_sketch_of_users_is_told_when_it_has_changed() {
    let config = FoldConfig { usage: UsageLimits { users: 1, ..UsageLimits::default() }, ..FoldConfig::default() };
    let facts = ["ann", "bob", "ann", "eve"].into_iter().enumerate();
    let facts: Vec<Fact> = facts.map(|(n, user)| fact("x", query(&n.to_string(), user, 10))).collect();
    let changes = sent(&facts, 1, &config);
    let told: Vec<bool> = changes.iter().map(|fact| part(fact).sketch.is_some()).collect();
    assert_eq!(told, [false, true, false, true]);
    let records = received(&changes, &config);
    let Some(Some(CatalogRecord::Usage(record))) = records.values().next() else { panic!("{records:?}") };
    assert_eq!(record.distinct_users, 3);
}

#[test]
fn a_change_waits_for_the_one_before_it() {
    let config = FoldConfig::default();
    let facts: Vec<Fact> = (0..4).map(|n| fact("x", query(&n.to_string(), &format!("u{n}"), 100 + n))).collect();
    let changes = sent(&facts, 1, &config);
    let queries = |order: &[usize]| {
        let order: Vec<Fact> = order.iter().map(|at| changes[*at].clone()).collect();
        let records = received(&order, &config);
        records.into_values().next().and_then(|record| match record {
            Some(CatalogRecord::Usage(record)) => Some((record.queries, record.users.len())),
            _ => None,
        })
    };
    assert_eq!(queries(&[1]), None);
    assert_eq!(queries(&[3, 1]), None);
    assert_eq!(queries(&[3, 0]), Some((1, 1)));
    assert_eq!(queries(&[3, 1, 0]), Some((2, 2)));
    assert_eq!(queries(&[3, 1, 0, 0, 1, 2]), Some((4, 4)));
    assert_eq!(queries(&[0, 3, 2, 1]), Some((4, 4)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn changes_may_come_in_any_order(
        facts in prop::collection::vec(told(), 1..50),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        seed in any::<u64>(),
        batch in 1..9_usize,
        is_bounded in any::<bool>(),
    ) {
        let bounded = UsageLimits { users: 2, names: 2, names_of_user: 2, joins: 1, columns_of_user: 1, ..UsageLimits::default() };
        let usage = if is_bounded { bounded } else { UsageLimits::default() };
        let config = FoldConfig { usage, ..FoldConfig::default() };
        let changes = sent(&facts, batch, &config);
        let mut shuffled = changes.clone();
        if !changes.is_empty() {
            shuffled.extend(again.iter().map(|choice| choice.get(&changes).clone()));
        }
        shuffled.sort_by_key(|fact| counts::hash(&format!("{seed}{}{:?}", fact.entity, fact.version)));
        let expected = received(&changes, &config);
        prop_assert_eq!(&received(&shuffled, &config), &expected);
        // What is sent in one batch says the same.
        let whole = sent(&facts, facts.len(), &config);
        if !is_bounded {
            let mut whole = received(&whole, &config);
            let mut expected = expected;
            whole.values_mut().chain(expected.values_mut()).flatten().for_each(blank_origins);
            prop_assert_eq!(whole, expected);
        }
    }
}
