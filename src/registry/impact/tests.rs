use super::super::types::Metadata;
use super::*;
use crate::schema::SchemaType;

fn removed(path: &str) -> ChangedField {
    ChangedField { path: path.to_owned(), change: FieldChange::Removed }
}

fn question(changes: Vec<ChangedField>) -> LineageQuestion {
    LineageQuestion { version: 3, datasets: Vec::new(), topics: vec!["t".to_owned()], changes }
}

fn affected(dataset: &str, owners: usize) -> Affected {
    let step = |dataset: &str, column: Option<&str>, jobs: &[&str]| Step {
        dataset: dataset.to_owned(),
        column: column.map(str::to_owned),
        jobs: jobs.iter().map(|job| (*job).to_owned()).collect(),
    };
    Affected {
        dataset: dataset.to_owned(),
        column: None,
        jobs: vec!["j".to_owned()],
        owners: (0..owners).map(|number| format!("o{number}")).collect(),
        path: vec![step("k", Some("a"), &[]), step("m", Some("b"), &["i", "j"]), step(dataset, None, &["k"])],
    }
}

fn reach(column: &str, affected: Vec<Affected>) -> Reach {
    let columns = vec![ColumnReach { column: column.to_owned(), affected }];
    Reach { datasets: vec!["k".to_owned()], columns, truncated: false }
}

#[test]
fn subjects_name_topics_as_serializers_do() {
    let topics = |subject: &str, record: Option<&str>| topics(&Subject::from_stored(subject), &[record, None]);
    assert_eq!(topics("orders-value", None), ["orders", "orders-value"]);
    assert_eq!(topics("orders-key", None), ["orders", "orders-key"]);
    assert_eq!(topics(":.ctx:orders-value", None), ["orders", "orders-value"]);
    assert_eq!(topics("orders-com.shop.Order", Some("com.shop.Order")), ["orders", "orders-com.shop.Order"]);
    assert_eq!(topics("com.shop.Order", Some("com.shop.Order")), ["com.shop.Order"]);
    assert_eq!(topics("a-value-value", None), ["a-value", "a-value-value"]);
    assert_eq!(topics("-value", None), ["-value"]);
}

#[test]
fn links_of_all_parts_of_a_contract_count() {
    let metadata = |link: &str| {
        let properties = [(DATASET_PROPERTY.to_owned(), link.to_owned())].into();
        Some(Metadata { properties, ..Metadata::default() })
    };
    let content = |metadata| Content::new(SchemaType::Avro, "x".into(), "x", Vec::new(), metadata, None);
    let config = Config { default_metadata: metadata("d"), override_metadata: metadata("o"), ..Config::default() };
    let (new, old, without) = (content(metadata("n")), content(metadata("d")), content(None));
    assert_eq!(links(&new, &old, &Config::default()), ["n", "d"]);
    assert_eq!(links(&without, &old, &config), ["d", "o"]);
    assert!(links(&without, &content(metadata("  ")), &Config::default()).is_empty());
}

#[test]
fn messages_tell_change_place_owners_and_way() {
    let renamed = ChangedField { path: "a".into(), change: FieldChange::Renamed { to: "b".into() } };
    let told = messages(&question(vec![renamed]), &reach("a", vec![affected("t", 12)]));
    assert_eq!(
        told,
        [
            "{errorType:'LINEAGE_IMPACT', description:'The field 'a' of the old schema is renamed to 'b' in the new schema, \
          and t is made of it', additionalInfo:'owners: o0, o1, o2, o3, o4, o5, o6, o7, o8, o9 and 2 more; path: \
          k#a -> [i, j] -> m#b -> [k] -> t'}"
        ]
    );
    let retyped = FieldChange::Retyped { from: "int".into(), to: "long".into() };
    let retyped = ChangedField { path: "a".into(), change: retyped };
    let told = messages(&question(vec![retyped]), &reach("a", vec![affected("t", 0)]));
    assert!(told[0].contains("is retyped from int to long"), "{told:?}");
    assert!(told[0].contains("no owner is known"), "{told:?}");
    assert!(messages(&question(vec![removed("a")]), &Reach::default()).is_empty());
}

#[test]
fn messages_are_limited_and_say_so() {
    let many = (0..MAX_MESSAGES + 7).map(|number| affected(&format!("t{number}"), 0)).collect();
    let told = messages(&question(vec![removed("a")]), &reach("a", many));
    assert_eq!(told.len(), MAX_MESSAGES + 1);
    assert!(told[MAX_MESSAGES].contains("7 columns are made of changed fields"), "{}", told[MAX_MESSAGES]);
    let truncated = Reach { truncated: true, ..reach("a", vec![affected("t", 0)]) };
    let told = messages(&question(vec![removed("a")]), &truncated);
    assert!(told.len() == 2 && told[1].contains("further columns"), "{told:?}");
}

#[test]
fn the_list_of_changes_is_limited_and_what_reaches_something_comes_first() {
    let mut changes: Vec<_> = (0..=MAX_CHANGES).map(|number| removed(&format!("f{number}"))).collect();
    changes.push(removed("a"));
    let impact = Impact::of(Some(&question(changes)), Ok(reach("a", vec![affected("t", 0)])));
    assert_eq!(impact.changes.len(), MAX_CHANGES);
    assert_eq!((impact.changes[0].column.as_str(), impact.changes[0].affected.len()), ("a", 1));
    assert_eq!(impact.changes[1].column, "f0");
    assert!(impact.truncated && impact.checked);
    assert_eq!(impact.version, Some(3));
}
