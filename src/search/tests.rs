//! Commits with positions, and questions with answers known beforehand.

use std::collections::BTreeMap;

use super::tokenize::{PLAIN, WORDS, terms};
use super::*;
use crate::model::fact::{Origin, Owner, Tag};
use crate::model::record::{ColumnRecord, DatasetRecord, DatasetStatsRecord};

fn origin() -> Origin {
    Origin { topic: "t".to_owned(), partition: 0, offset: 0 }
}

fn dataset(path: &str, description: &str, columns: &[&str]) -> DatasetRecord {
    let (container, name) = path.rsplit_once('/').unwrap();
    DatasetRecord {
        id: format!("hive://h/{path}"),
        platform: "hive".to_owned(),
        name: name.to_owned(),
        container: Some(format!("hive://h/{container}")),
        kind: "table".to_owned(),
        existence: "confirmed".to_owned(),
        incarnation: 1,
        names: vec![],
        aliases: vec![],
        columns: columns
            .iter()
            .map(|name| ColumnRecord { path: (*name).to_owned(), name: (*name).to_owned(), ..ColumnRecord::default() })
            .collect(),
        authority: String::new(),
        schema_version: 1,
        description: (!description.is_empty()).then(|| description.to_owned()),
        owners: vec![],
        tags: vec![],
        location: None,
        format: None,
        table_format: None,
        properties: BTreeMap::new(),
        view_original: None,
        view_expanded: None,
        constraints: BTreeMap::new(),
        facets: BTreeMap::new(),
        native: BTreeMap::new(),
        issues: vec![],
        provenance: BTreeMap::new(),
        first_seen: 0,
        last_seen: 0,
        origin: origin(),
    }
}

fn stats(id: &str) -> DatasetStatsRecord {
    DatasetStatsRecord {
        id: id.to_owned(),
        rows: Some(5),
        bytes: None,
        files: None,
        last_write: Some(1),
        last_job: None,
        last_run: None,
        dataset_version: None,
        column_stats: BTreeMap::new(),
        origin: origin(),
    }
}

fn position(next_offset: i64) -> IndexPosition {
    IndexPosition { topic: "catalog.datasets".to_owned(), partition: 0, topic_id: None, next_offset }
}

fn put(writer: &mut IndexWriter, record: DatasetRecord) {
    writer.apply(IndexOp::PutDataset(Box::new(record))).unwrap();
}

fn ask(searcher: &Searcher, text: &str, filters: &[(FilterField, &str)]) -> Found {
    let filters = filters.iter().map(|(field, value)| Filter { field: *field, value: (*value).to_owned() }).collect();
    searcher.search(&SearchRequest { text: text.to_owned(), filters, limit: 10, offset: 0 }).unwrap()
}

fn ids(found: &Found) -> Vec<&str> {
    found.hits.iter().map(|hit| hit.id.trim_start_matches("hive://h/")).collect()
}

/// A small catalog that every question below is asked of.
fn shop() -> (tempfile::TempDir, Searcher) {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = IndexWriter::open(folder.path()).unwrap();
    let mut orders = dataset("shop/orders", "All orders & returns", &["order_id", "customer_id", "amount"]);
    orders.tags = vec![Tag { key: "PII".to_owned(), value: "email".to_owned(), field: None }];
    orders.owners = vec![Owner { name: "team:Shop".to_owned(), role: "OWNER".to_owned() }];
    put(&mut writer, orders);
    put(&mut writer, dataset("shop/orders_backup", "", &["order_id"]));
    put(&mut writer, dataset("shop/dimUserEvents", "Clicks of the web site", &["user_id", "event_type"]));
    put(&mut writer, dataset("crm/customers", "People who buy", &["customer_id", "email"]));
    let mut renamed = dataset("crm/accounts", "", &["iban"]);
    renamed.aliases = vec!["hive://h/crm/ledger".to_owned()];
    put(&mut writer, renamed);
    let mut seen = dataset("raw/orders", "", &[]);
    seen.existence = "referenced".to_owned();
    put(&mut writer, seen);
    writer.commit(vec![position(6)]).unwrap();
    let searcher = writer.searcher();
    (folder, searcher)
}

#[test]
fn names_split_into_words() {
    let manager = tantivy::tokenizer::TokenizerManager::default();
    tokenize::register(&manager);
    assert_eq!(terms(&manager, PLAIN, "dimUserEvents_v2"), ["dim", "user", "events", "v", "2"]);
    assert_eq!(terms(&manager, PLAIN, "shop.HTTPServer-Größe  é"), ["shop", "http", "server", "grosse", "e"]);
    assert_eq!(terms(&manager, WORDS, "orders Order"), ["order", "order"]);
    assert!(terms(&manager, PLAIN, "._- ").is_empty());
}

#[test]
fn names_descriptions_columns_and_former_names_are_found() {
    let (_folder, searcher) = shop();
    for (question, best) in [
        ("orders", "shop/orders"),
        ("shop.orders", "shop/orders"),
        ("hive://h/shop/orders", "shop/orders"),
        ("user events", "shop/dimUserEvents"),
        ("user_event", "shop/dimUserEvents"),
        ("clicks", "shop/dimUserEvents"),
        ("email", "crm/customers"),
        ("event_type", "shop/dimUserEvents"),
        ("ledger", "crm/accounts"),
        ("cust", "crm/customers"),
        ("custmers", "crm/customers"),
        ("which table has customers", "crm/customers"),
        ("iban", "crm/accounts"),
    ] {
        assert_eq!(ids(&ask(&searcher, question, &[])).first(), Some(&best), "{question}");
    }
    assert_eq!(ids(&ask(&searcher, "orders", &[])), ["shop/orders", "shop/orders_backup"]);
    assert_eq!(ask(&searcher, "zzzzzz", &[]).total, 0);
    assert_eq!(ask(&searcher, "...", &[]).total, 0);
}

#[test]
fn filters_hold_and_facets_count() {
    let (_folder, searcher) = shop();
    let all = ask(&searcher, "", &[]);
    assert_eq!(all.total, 5);
    assert_eq!(all.facets["platform"], [("hive".to_owned(), 5)]);
    assert_eq!(all.facets["container"], [("hive://h/shop".to_owned(), 3), ("hive://h/crm".to_owned(), 2)]);
    assert_eq!(ask(&searcher, "", &[(FilterField::Container, "crm")]).total, 2);
    assert_eq!(ask(&searcher, "", &[(FilterField::Container, "hive://h/crm")]).total, 2);
    assert_eq!(ids(&ask(&searcher, "", &[(FilterField::Tag, "pii")])), ["shop/orders"]);
    assert_eq!(ids(&ask(&searcher, "", &[(FilterField::Tag, "pii=email")])), ["shop/orders"]);
    assert_eq!(ids(&ask(&searcher, "", &[(FilterField::Owner, "Team:shop")])), ["shop/orders"]);
    assert_eq!(ids(&ask(&searcher, "orders", &[(FilterField::Existence, "referenced")])), ["raw/orders"]);
    let either = [(FilterField::Container, "crm"), (FilterField::Container, "shop")];
    assert_eq!(ask(&searcher, "", &either).total, 5);
    assert_eq!(ask(&searcher, "", &[(FilterField::Container, "crm"), (FilterField::Tag, "pii")]).total, 0);
}

#[test]
fn what_matched_is_marked_and_escaped() {
    let (_folder, searcher) = shop();
    let hit = &ask(&searcher, "order amount", &[]).hits[0];
    assert_eq!(hit.highlights["name"], "<em>orders</em>");
    assert_eq!(hit.highlights["description"], "All <em>orders</em> &amp; returns");
    assert_eq!(hit.highlights["columns"], "<em>order</em>_id, <em>amount</em>");
}

#[test]
fn pages_do_not_overlap_and_equal_scores_have_a_fixed_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = IndexWriter::open(folder.path()).unwrap();
    // In several segments, so that document numbers cannot decide.
    for n in 0..30 {
        put(&mut writer, dataset(&format!("db/t{n:02}x/same"), "", &[]));
        if n % 7 == 0 {
            writer.commit(vec![]).unwrap();
        }
    }
    writer.commit(vec![]).unwrap();
    let searcher = writer.searcher();
    let page = |offset, limit| {
        let request = SearchRequest { text: "same".to_owned(), filters: vec![], limit, offset };
        searcher.search(&request).unwrap().hits.into_iter().map(|hit| hit.id).collect::<Vec<_>>()
    };
    let all = page(0, 30);
    assert_eq!(all.len(), 30);
    let paged: Vec<String> = (0..30).step_by(7).flat_map(|offset| page(offset, 7)).collect();
    assert_eq!(paged, all);
}

#[test]
fn a_commit_carries_its_positions_and_an_interrupted_one_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = IndexWriter::open(folder.path()).unwrap();
    assert_eq!(writer.positions(), []);
    put(&mut writer, dataset("a/one", "", &[]));
    writer.commit(vec![position(1)]).unwrap();
    put(&mut writer, dataset("a/two", "", &[]));
    assert_eq!(writer.pending(), 1);
    drop(writer); // as if killed: the second document was never committed
    let mut writer = IndexWriter::open(folder.path()).unwrap();
    assert_eq!(writer.positions(), [position(1)]);
    let searcher = writer.searcher();
    assert_eq!(ids(&ask(&searcher, "", &[])), ["a/one"]);

    writer.apply(IndexOp::RemoveDataset("hive://h/a/one".to_owned())).unwrap();
    assert_eq!(ask(&searcher, "", &[]).total, 1, "nothing is seen before the commit");
    writer.commit(vec![position(2)]).unwrap();
    assert_eq!(ask(&searcher, "", &[]).total, 0);
    assert!(searcher.is_empty());
}

#[test]
fn statistics_and_dataset_may_come_in_any_order_and_go_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = IndexWriter::open(folder.path()).unwrap();
    let searcher = writer.searcher();
    let id = "hive://h/a/one";
    writer.apply(IndexOp::PutStats(Box::new(stats(id)))).unwrap();
    writer.commit(vec![]).unwrap();
    assert_eq!((ask(&searcher, "", &[]).total, searcher.len()), (0, 1));
    put(&mut writer, dataset("a/one", "", &[]));
    put(&mut writer, dataset("a/one", "newer", &[]));
    writer.commit(vec![]).unwrap();
    assert_eq!((ids(&ask(&searcher, "newer", &[])), searcher.len()), (vec!["a/one"], 1));
    writer.apply(IndexOp::RemoveDataset(id.to_owned())).unwrap();
    writer.commit(vec![]).unwrap();
    assert_eq!((ask(&searcher, "", &[]).total, searcher.len()), (0, 1));
    writer.apply(IndexOp::RemoveStats(id.to_owned())).unwrap();
    writer.commit(vec![]).unwrap();
    assert_eq!(searcher.len(), 0);
}

#[test]
fn a_folder_of_another_kind_is_filled_anew() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("meta.json"), "{}").unwrap();
    let writer = IndexWriter::open(folder.path()).unwrap();
    assert_eq!(writer.positions(), []);
    assert!(writer.searcher().is_empty());
}

#[test]
fn a_folder_with_a_damaged_segment_is_filled_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = IndexWriter::open(folder.path()).unwrap();
    put(&mut writer, dataset("a/one", "something", &["c"]));
    writer.commit(vec![position(7)]).unwrap();
    drop(writer);
    assert_eq!(IndexWriter::open(folder.path()).unwrap().positions(), [position(7)], "nothing is damaged yet");
    let mut scarred = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "store") {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[0] ^= 0xff;
            std::fs::write(&path, bytes).unwrap();
            scarred += 1;
        }
    }
    assert_eq!(scarred, 1);
    let writer = IndexWriter::open(folder.path()).unwrap();
    assert_eq!(writer.positions(), []);
    assert!(writer.searcher().is_empty());
}
