//! What `catalog.changes` tells: each transition once, and nothing that only changes its way.

use crate::model::fact::*;
use crate::model::id::EntityId;
use crate::model::record::ChangeRecord;

use super::tests::*;
use super::*;

/// `kind after` of an entity's changes, in the order told.
fn told(folded: &Folded, of: &EntityId) -> Vec<String> {
    let of = folded.changes.iter().filter(|change| change.entity == of.as_str());
    of.map(|change| format!("{} {}", change.kind, change.after.as_deref().unwrap_or("-"))).collect()
}

fn ids(changes: &[ChangeRecord]) -> std::collections::BTreeSet<&str> {
    changes.iter().map(|change| change.id.as_str()).collect()
}

fn describes(text: &str) -> Entry {
    Entry::of(Statement::Description(text.into()))
}

fn located(at: &EntityId, of: &EntityId, time: i64) -> Fact {
    let alias = AliasOf { kind: "location".into(), valid_from: time * 1_000_000 };
    hms(at, time, vec![Entry::keyed(of.as_str(), Statement::AliasOf(alias))])
}

fn renamed(old: &EntityId, new: &EntityId, time: i64, schema: &[(&str, &str)]) -> [Fact; 2] {
    let away = hms(old, time, vec![Entry::of(Statement::RenamedTo(new.clone()))]);
    [away, hms(new, time, vec![altered(), columns(schema)])]
}

/// A reader who drops ids that it knows must not miss the second coming, or it would end with the wrong text.
#[test]
fn what_goes_and_comes_back_under_its_own_version_is_told_under_another_id() {
    let (path, t) = (id("s3://w/t"), table("t"));
    let said = Fact { via: vec![path.clone()], ..spark(&t, 2, vec![describes("x")]) };
    let gone = Entry::keyed(path.as_str(), Statement::Withdraw(true));
    let gone = Fact { via: vec![path.clone()], ..spark(&t, 3, vec![gone]) };
    let after = folded(&[hms(&t, 1, vec![created()]), said.clone(), gone, said]);
    let (x, none) = ("description_changed \"x\"", "description_changed null");
    assert_eq!(told(&after, &t), ["created \"table\"", x, none, x]);
    assert_eq!(ids(&after.changes).len(), 4);
}

#[test]
fn the_same_change_of_two_schema_versions_is_two_changes() {
    let t = table("t");
    let (narrow, wide): (&[_], &[_]) = (&[("a", "int")], &[("a", "int"), ("b", "int")]);
    let mut facts = vec![hms(&t, 1, vec![created(), columns(narrow)])];
    for (time, schema) in [(2, narrow), (3, wide), (4, narrow), (5, wide)] {
        facts.push(spark(&t, time, vec![output(), columns(schema)]));
    }
    let changed = |folded: &Folded| told(folded, &t).iter().filter(|told| told.starts_with("schema_changed")).count();
    assert_eq!(changed(&folded(&facts)), 0, "the metastore's columns count");
    // It turns out to be a Delta table, of which the runs know the columns: their whole sequence counts at once.
    let delta = [("spark.sql.sources.provider".to_owned(), "delta".to_owned())].into();
    facts.push(hms(&t, 6, vec![altered(), Entry::of(Statement::Properties(delta))]));
    let after = folded(&facts);
    let added = told(&after, &t).into_iter().filter(|told| told.contains("\"kind\":\"added\""));
    assert_eq!((changed(&after), added.count()), (3, 2));
    assert_eq!(ids(&after.changes).len(), after.changes.len());
}

#[test]
fn statements_that_are_sent_again_are_no_news() {
    let (path, a, b) = (id("s3://w/t"), table("a"), table("b"));
    let schemas: [&[(&str, &str)]; 3] = [&[("x", "int")], &[("x", "int"), ("y", "int")], &[("x", "int")]];
    let mut facts = vec![hms(&a, 1, vec![created()]), located(&path, &a, 1)];
    for (time, schema) in (2..).zip(schemas) {
        facts.push(spark(&path, time, vec![output(), columns(schema), describes("by a run")]));
    }
    let before = folded(&facts);
    let expected = ["created", "description_changed", "schema_changed", "schema_changed"];
    let kinds = |folded: &Folded, of: &EntityId| -> Vec<String> {
        told(folded, of).iter().map(|told| told.split(' ').next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(kinds(&before, &a), expected);
    // It lay there only until the third moment: everything is withdrawn, and what was before is sent again.
    facts.extend([hms(&b, 3, vec![created()]), located(&path, &b, 3)]);
    let after = folded(&facts);
    assert_eq!(dataset(&after, &b).expect("it is there").columns.len(), 1);
    assert!(after.facts - before.facts > 5, "the statements did travel again");
    assert_eq!(kinds(&after, &a), expected);
}

#[test]
fn a_renamed_table_does_not_tell_its_history_again_but_what_comes_late() {
    let (old, new) = (table("old"), table("new"));
    let (first, second, third): (&[_], &[_], &[_]) =
        (&[("a", "int")], &[("a", "int"), ("b", "int")], &[("a", "int"), ("b", "int"), ("c", "int")]);
    let mut facts = vec![
        hms(&old, 1, vec![created(), columns(first), describes("about it")]),
        hms(&old, 2, vec![altered(), columns(second), describes("about it")]),
    ];
    facts.extend(renamed(&old, &new, 5, third));
    let after = folded(&facts);
    assert_eq!(told(&after, &old).len(), 3);
    assert_eq!(told(&after, &old)[2], format!("renamed \"{new}\""));
    // It came with all that it was; then the metastore's own statement at the rename, with a column more.
    let expected = |change: &str| format!("schema_changed [{{\"kind\":\"added\",\"path\":\"{change}\"");
    let of_new = told(&after, &new);
    assert_eq!(of_new.len(), 2, "{of_new:?}");
    assert_eq!(of_new[0], "created \"table\"");
    assert!(of_new[1].starts_with(&expected("c")), "{of_new:?}");
    // A statement about the old name that only comes now.
    facts.push(hms(&old, 3, vec![altered(), columns(&[("a", "int")])]));
    let late = folded(&facts);
    assert_eq!(told(&late, &new).len(), 3);
    assert_eq!(ids(&late.changes).len(), late.changes.len());
}

#[test]
fn a_rename_is_told_once_whatever_comes_late() {
    let (t, first, second) = (table("t"), table("t1"), table("t2"));
    let mut facts = vec![hms(&t, 1, vec![created()])];
    facts.extend(renamed(&t, &first, 2, &[]));
    facts.push(hms(&t, 4, vec![created()]));
    facts.extend(renamed(&t, &second, 6, &[]));
    // It was created anew earlier than known: the alias has another interval, not another rename.
    facts.push(hms(&t, 3, vec![created()]));
    let after = folded(&facts);
    let renames = told(&after, &t).into_iter().filter(|told| told.starts_with("renamed"));
    assert_eq!(renames.collect::<Vec<_>>(), [format!("renamed \"{first}\""), format!("renamed \"{second}\"")]);
}
