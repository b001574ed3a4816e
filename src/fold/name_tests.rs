//! Names of names: LOCATION symlinks, circles and long chains. Nothing that was said may vanish.

use crate::model::fact::*;
use crate::model::id::EntityId;
use crate::model::record::{AliasRecord, CatalogRecord, DatasetRecord};

use super::tests::*;
use super::*;

fn link(at: &EntityId, to: &EntityId, kind: &str, instance: bool, time: i64) -> Fact {
    let link = Symlink { kind: kind.into(), instance, namespace: "n".into(), name: "x".into() };
    spark(at, time, vec![mention(), Entry::keyed(to.as_str(), Statement::Symlink(link))])
}

fn located(at: &EntityId, of: &EntityId, time: i64) -> Fact {
    let alias = AliasOf { kind: "location".into(), valid_from: time * 1_000_000 };
    hms(at, time, vec![Entry::keyed(of.as_str(), Statement::AliasOf(alias))])
}

fn heads(folded: &Folded) -> Vec<&DatasetRecord> {
    let heads = folded.records.values().filter_map(|record| match record {
        CatalogRecord::Dataset(head) => Some(head.as_ref()),
        _ => None,
    });
    heads.collect()
}

fn aliases(folded: &Folded) -> Vec<(&str, &str, &str)> {
    let aliases = folded.records.values().filter_map(|record| match record {
        CatalogRecord::Alias(alias) => Some(alias.as_ref()),
        _ => None,
    });
    aliases.map(|alias: &AliasRecord| (&*alias.alias, &*alias.canonical, &*alias.kind)).collect()
}

/// Every order of up to 5 facts.
fn orders(facts: &[Fact]) -> Vec<Vec<Fact>> {
    let [first, rest @ ..] = facts else { return vec![Vec::new()] };
    let mut out = Vec::new();
    for order in orders(rest) {
        for at in 0..=order.len() {
            let mut order = order.clone();
            order.insert(at, first.clone());
            out.push(order);
        }
    }
    out
}

#[test]
fn what_lies_where_a_table_lies_is_that_table_in_any_order() {
    let (path, t, other) = (id("s3://w/t"), table("t"), id("glue://1.eu/db/t"));
    let facts = [
        hms(&t, 1, vec![created(), columns(&[("a", "bigint")])]),
        located(&path, &t, 1),
        link(&other, &path, "LOCATION", false, 2),
        spark(&other, 3, vec![output(), columns(&[("a", "int")])]),
    ];
    for order in orders(&facts) {
        let after = folded(&order);
        let [head] = heads(&after)[..] else { panic!("{:?}", heads(&after)) };
        assert_eq!(head.id, t.as_str());
        assert_eq!(head.columns[0].conflicts, ["openlineage/spark: int"]);
        assert_eq!(head.aliases, [other.as_str(), path.as_str()]);
        assert_eq!(
            aliases(&after),
            [(other.as_str(), t.as_str(), "location"), (path.as_str(), t.as_str(), "location")]
        );
    }
    let unknown = folded(&facts[2..]);
    assert_eq!(heads(&unknown)[0].id, other.as_str(), "nobody's location yet");
}

#[test]
fn a_location_comes_before_a_table_symlink_and_a_metastores_table_stays_itself() {
    let (path, t, wrong) = (id("s3://w/t"), table("t"), id("hive://other:9083/db/t"));
    let other = id("trino://h:1/c/s/t");
    let facts = [
        hms(&t, 1, vec![created()]),
        located(&path, &t, 1),
        link(&other, &wrong, "TABLE", true, 2),
        link(&other, &path, "LOCATION", false, 3),
    ];
    for order in orders(&facts) {
        let after = folded(&order);
        assert_eq!(heads(&after).iter().map(|head| head.id.as_str()).collect::<Vec<_>>(), [t.as_str()]);
    }
    // Another table of a metastore at the same place is a table of its own.
    let twin = table("twin");
    let facts = [
        hms(&t, 1, vec![created()]),
        located(&path, &t, 1),
        link(&twin, &path, "LOCATION", false, 2),
        hms(&twin, 3, vec![created()]),
    ];
    for order in orders(&facts) {
        let after = folded(&order);
        let ids: Vec<_> = heads(&after).iter().map(|head| head.id.as_str()).collect();
        assert_eq!(ids, [t.as_str(), twin.as_str()]);
    }
}

#[test]
fn a_location_that_moves_on_takes_its_names_along() {
    let (path, t, new, other) = (id("s3://w/t"), table("t"), table("new"), id("ol://n/t"));
    let until = hms(&path, 5, vec![Entry::retract(Aspect::AliasOf, t.as_str())]);
    let facts = [
        link(&other, &path, "LOCATION", false, 2),
        hms(&t, 1, vec![created()]),
        located(&path, &t, 1),
        until,
        located(&path, &new, 6),
        hms(&new, 6, vec![created()]),
        spark(&other, 7, vec![output(), columns(&[("z", "int")])]),
    ];
    let mut reversed = facts.to_vec();
    reversed.reverse();
    for facts in [facts.to_vec(), reversed] {
        let after = folded(&facts);
        let columns = |of: &EntityId| dataset(&after, of).map(|head| head.columns.len());
        assert_eq!((columns(&t), columns(&new), columns(&other)), (Some(0), Some(1), None));
    }
}

#[test]
fn names_in_a_circle_are_the_best_of_them_which_is_listed() {
    let (a, b, c) = (id("hive://a:1/d/t"), id("hive://b:1/d/t"), id("trino://c:1/x/d/t"));
    let facts = [
        link(&b, &c, "TABLE", true, 1),
        link(&c, &a, "TABLE", true, 2),
        link(&a, &b, "TABLE", true, 3),
        spark(&c, 4, vec![output(), columns(&[("x", "int")])]),
        spark(&b, 5, vec![Entry::of(Statement::Description("of b".into()))]),
    ];
    for order in orders(&facts) {
        let after = folded(&order);
        let [head] = heads(&after)[..] else { panic!("{:?}", heads(&after)) };
        assert_eq!((head.id.as_str(), head.issues.as_slice()), (a.as_str(), ["cycle".to_owned()].as_slice()));
        assert_eq!(head.aliases, [b.as_str(), c.as_str()]);
        assert_eq!((head.columns.len(), head.description.as_deref()), (1, Some("of b")));
        assert_eq!(aliases(&after).iter().map(|(alias, _, _)| *alias).collect::<Vec<_>>(), [b.as_str(), c.as_str()]);
    }
    // Once one of them is known to lie where a table lies, there is no circle.
    let (path, t) = (id("s3://w/t"), table("t"));
    let resolved = [hms(&t, 1, vec![created()]), located(&path, &t, 1), link(&b, &path, "LOCATION", false, 6)];
    let mut facts: Vec<Fact> = facts.iter().chain(&resolved).cloned().collect();
    for _ in 0..facts.len() {
        facts.rotate_left(1);
        let after = folded(&facts);
        let [head] = heads(&after)[..] else { panic!("{:?}", heads(&after)) };
        assert_eq!((head.id.as_str(), head.issues.len()), (t.as_str(), 0));
        assert_eq!((head.columns.len(), head.description.as_deref()), (1, Some("of b")));
    }
}

/// A chain that is too long, and a circle so long that nobody sees it: what cannot go on is shown where it is.
#[test]
fn what_cannot_go_on_stays_and_is_listed() {
    let name = |nth: usize| id(&format!("hive://h{nth:02}:1/d/t"));
    for (length, closed) in [(12, false), (10, true), (9, true), (30, true)] {
        let mut facts: Vec<Fact> =
            (0..length - 1).map(|nth| link(&name(nth), &name(nth + 1), "TABLE", true, nth as i64)).collect();
        facts.extend(closed.then(|| link(&name(length - 1), &name(0), "TABLE", true, 100)));
        for nth in 0..length {
            let facet = Statement::Facet(serde_json::json!(nth));
            facts.push(spark(&name(nth), 200 + nth as i64, vec![output(), Entry::keyed(nth.to_string(), facet)]));
        }
        let mut reversed = facts.clone();
        reversed.reverse();
        let (one, two) = (folded(&facts), folded(&reversed));
        // Mentions are joined on the way, so how early a mention comes that just gets this far depends on the order.
        let said = |folded: &Folded| -> Vec<_> {
            heads(folded).iter().map(|head| (head.id.clone(), head.facets.clone(), head.issues.clone())).collect()
        };
        assert_eq!(said(&one), said(&two), "{length} {closed}");
        let mut shown = std::collections::BTreeSet::new();
        for head in heads(&one) {
            shown.extend(head.facets.keys().cloned());
            let is_end = !closed && head.id == name(length - 1).as_str();
            assert_eq!(head.issues.contains(&"cycle".to_owned()), !is_end, "{} of {length}", head.id);
        }
        assert_eq!(shown.len(), length, "{length} {closed}: {shown:?}");
    }
}

#[test]
fn spellings_that_could_be_two_tables_are_listed() {
    let t = id("postgres://h:5432/shop/public/orders");
    let named = |source: &str, name: &str, time: i64| {
        let name = ReportedName { namespace: "postgres://h:5432".into(), name: name.into(), issues: vec![] };
        let key = format!("n|{}", name.name);
        fact(Source::parse(source), &t, time, vec![mention(), Entry::keyed(key, Statement::Name(name))])
    };
    let facts =
        [named("openlineage/dbt", "shop.public.orders", 1), named("openlineage/spark", "shop.public.Orders", 2)];
    let issues = |config: FoldConfig, facts: &[Fact]| {
        let folded = fold_all(config, facts).expect("memory state is readable");
        dataset(&folded, &t).expect("it is listed").issues.clone()
    };
    for order in orders(&facts) {
        assert_eq!(issues(FoldConfig::default(), &order), ["case_collision"]);
    }
    // Case does not count there, by configuration; and nothing is known of what a statement's author quoted.
    let blind = FoldConfig { case_blind: vec!["postgres://h:5432/".to_owned()], ..FoldConfig::default() };
    assert_eq!(issues(blind, &facts), [""; 0]);
    let typed = [facts[0].clone(), named("sql/trino", "shop.public.Orders", 2)];
    assert_eq!(issues(FoldConfig::default(), &typed), [""; 0]);
}
