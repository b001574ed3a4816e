//! Made-up workloads against a simulated metastore: other names, orders and values than the recorded ones.

use proptest::prelude::*;
use serde_json::{Value, json};

use tributary::fold::{FoldConfig, fold_all};

use super::simulator::Simulator;
use super::{Metastore, comparable, differences, export, normalize};

type Name = (String, String, String);

fn name(catalog: &str, database: &str, table: &str) -> Name {
    (catalog.to_owned(), database.to_owned(), table.to_owned())
}

fn values(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[track_caller]
fn check(simulator: &Simulator) {
    let (facts, _) = normalize(&simulator.lines);
    let ours = export(fold_all(FoldConfig::default(), &facts).unwrap());
    let mut ours = comparable(ours, Metastore::V3);
    let mut truth = comparable(simulator.truth(), Metastore::V3);
    // The simulator has no database of its own making and no answer about catalogs.
    for document in [&mut ours, &mut truth] {
        document.retain(|name, _| !name.starts_with("catalog ") && !name.starts_with("database hive.default"));
        document.retain(|name, _| name != "database .default");
    }
    let found = differences(&ours, &truth);
    assert!(found.is_empty(), "{} events, {} differences:\n{}", simulator.lines.len(), found.len(), found.join("\n"));
}

/// Partition values with every character that Hive's paths or our keys treat specially.
fn odd_values() -> Vec<Vec<String>> {
    let odd = [
        "a/b",
        "a=b",
        "50%",
        "12:30",
        "x|y",
        "#1",
        "w?",
        "back\\slash",
        "a b",
        "ünï",
        "日本",
        "__HIVE_DEFAULT_PARTITION__",
        "{x}",
        "[y]",
        "'q'",
        "\"d\"",
        "a*",
        "^",
        "tab\there",
        "%2F",
        "A",
        "a",
        "..",
        ".",
    ];
    odd.iter().flat_map(|value| [values(&[value, "2026-01-01"]), values(&["eu", value])]).collect()
}

#[test]
fn odd_partition_values_in_one_large_event() {
    for gzip in [false, true] {
        let mut metastore = Simulator::new(gzip);
        metastore.create_database("hive", "shop");
        let table = name("hive", "shop", "orders");
        metastore.create_table(&table, 2, true, Some("a comment"));
        let odd = odd_values();
        assert!(odd.len() > 40);
        metastore.add_partitions(&table, &odd, false);
        metastore.add_partitions(&table, &[], false);
        for nth in [40, 30, 20, 10, 0] {
            metastore.drop_partition(&table, nth);
        }
        metastore.alter_partition(&table, 3, &values(&["new/value", "2027"]));
        check(&metastore);
    }
}

#[test]
fn partitions_follow_a_managed_table_through_many_renames() {
    let mut metastore = Simulator::new(false);
    metastore.create_database("hive", "shop");
    metastore.create_database("hive", "archive");
    let mut table = name("hive", "shop", "t0");
    metastore.create_table(&table, 1, true, None);
    for step in 1..=7 {
        metastore.add_partitions(&table, &[values(&[&format!("before {step}")])], step == 3);
        let next = name("hive", if step % 3 == 0 { "archive" } else { "shop" }, &format!("t{step}"));
        metastore.rename_table(&table, &next);
        table = next;
        metastore.alter_table(&table, |object| object["parameters"]["step"] = json!(step.to_string()));
        metastore.add_unique(&table, &format!("uq_{step}"));
    }
    metastore.alter_partition(&table, 2, &[]);
    metastore.drop_constraint(&table, "uq_2");
    check(&metastore);
}

#[test]
fn build_and_swap_keeps_each_tables_partitions_apart() {
    let mut metastore = Simulator::new(false);
    metastore.create_database("hive", "shop");
    let (live, staging, old) =
        (name("hive", "shop", "t"), name("hive", "shop", "t_new"), name("hive", "shop", "t_old"));
    metastore.create_table(&live, 1, true, Some("live"));
    metastore.add_partitions(&live, &[values(&["1"]), values(&["2"])], false);
    for round in 0..3 {
        metastore.create_table(&staging, 1, true, None);
        metastore.add_partitions(&staging, &[values(&[&format!("r{round}")])], false);
        if round % 2 == 0 {
            metastore.drop_table(&live);
        } else {
            metastore.drop_table(&old);
            metastore.rename_table(&live, &old);
        }
        metastore.rename_table(&staging, &live);
        metastore.add_partitions(&live, &[values(&["after"])], false);
        check(&metastore);
    }
}

#[test]
fn names_swap_and_come_back() {
    let mut metastore = Simulator::new(false);
    metastore.create_database("hive", "shop");
    let (a, b, c) = (name("hive", "shop", "a"), name("hive", "shop", "b"), name("hive", "shop", "c"));
    metastore.create_table(&a, 1, true, None);
    metastore.create_table(&b, 1, false, Some("b"));
    metastore.add_partitions(&a, &[values(&["a"])], false);
    metastore.add_partitions(&b, &[values(&["b"])], false);
    metastore.rename_table(&a, &c);
    metastore.rename_table(&b, &a);
    metastore.rename_table(&c, &b);
    check(&metastore);
    metastore.rename_table(&b, &c);
    metastore.rename_table(&c, &b);
    metastore.add_partitions(&b, &[values(&["later"])], false);
    check(&metastore);
}

#[test]
fn drop_and_create_again_forgets_what_was() {
    let mut metastore = Simulator::new(false);
    metastore.create_database("c2", "größe");
    let table = name("c2", "größe", "tä");
    for round in 0..3 {
        metastore.create_table(&table, 1 + round % 2, true, (round == 0).then_some("first"));
        metastore.add_unique(&table, "uq");
        metastore.add_partitions(&table, &[values(&["x"]), values(&["x", "y"])], false);
        metastore.create_function(&table);
        check(&metastore);
        if round < 2 {
            metastore.drop_table(&table);
            metastore.drop_function(&table);
        }
    }
    metastore.drop_database("c2", "größe");
    check(&metastore);
    metastore.create_database("c2", "größe");
    metastore.create_table(&table, 1, true, None);
    check(&metastore);
}

#[derive(Clone, Debug)]
enum Step {
    Database(usize),
    DropDatabase(usize),
    Table { at: usize, keys: usize, managed: bool, comment: bool },
    Drop(usize),
    Rename(usize, usize),
    Comment(usize, bool),
    AddPartitions(usize, Vec<usize>, bool),
    AlterPartition(usize, usize, usize),
    DropPartition(usize, usize),
    Unique(usize, bool),
    Function(usize, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let table = 0..6_usize;
    let step = prop_oneof![
        2 => (0..3_usize).prop_map(Step::Database),
        1 => (0..3_usize).prop_map(Step::DropDatabase),
        5 => (table.clone(), 0..3_usize, any::<bool>(), any::<bool>())
            .prop_map(|(at, keys, managed, comment)| Step::Table { at, keys, managed, comment }),
        2 => table.clone().prop_map(Step::Drop),
        5 => (table.clone(), table.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => (table.clone(), any::<bool>()).prop_map(|(at, set)| Step::Comment(at, set)),
        6 => (table.clone(), prop::collection::vec(0..48_usize, 0..6), any::<bool>())
            .prop_map(|(at, picks, elsewhere)| Step::AddPartitions(at, picks, elsewhere)),
        2 => (table.clone(), 0..4_usize, 0..48_usize).prop_map(|(at, nth, to)| Step::AlterPartition(at, nth, to)),
        2 => (table.clone(), 0..4_usize).prop_map(|(at, nth)| Step::DropPartition(at, nth)),
        1 => (table.clone(), any::<bool>()).prop_map(|(at, add)| Step::Unique(at, add)),
        1 => (table, any::<bool>()).prop_map(|(at, create)| Step::Function(at, create)),
    ];
    prop::collection::vec(step, 1..60)
}

fn run(steps: &[Step], gzip: bool) -> Simulator {
    let databases = [("hive", "shop"), ("hive", "wärehouse"), ("other", "shop")];
    let tables: Vec<Name> = databases.iter().flat_map(|(c, d)| [name(c, d, "a"), name(c, d, "b")]).collect();
    let odd = odd_values();
    let mut metastore = Simulator::new(gzip);
    for step in steps {
        match step {
            Step::Database(at) => {
                let (catalog, database) = databases[*at];
                if !metastore.has_database(catalog, database) {
                    metastore.create_database(catalog, database);
                }
            }
            Step::DropDatabase(at) => metastore.drop_database(databases[*at].0, databases[*at].1),
            Step::Table { at, keys, managed, comment } => {
                let table = &tables[*at];
                if metastore.has_database(&table.0, &table.1) && !metastore.has_table(table) {
                    metastore.create_table(table, *keys, *managed, comment.then_some("said"));
                }
            }
            Step::Drop(at) => metastore.drop_table(&tables[*at]),
            Step::Rename(from, to) => {
                if tables[*from].0 == tables[*to].0 {
                    metastore.rename_table(&tables[*from], &tables[*to]);
                }
            }
            Step::Comment(at, set) => metastore.alter_table(&tables[*at], |object| {
                let parameters = object["parameters"].as_object_mut().unwrap();
                match set {
                    true => parameters.insert("comment".to_owned(), Value::from("new")),
                    false => parameters.remove("comment"),
                };
            }),
            Step::AddPartitions(at, picks, elsewhere) => {
                let picked: Vec<Vec<String>> = picks.iter().map(|pick| odd[*pick].clone()).collect();
                let short = picked.iter().map(|values| values[..1].to_vec());
                let all: Vec<Vec<String>> = picked.iter().cloned().chain(short).collect();
                metastore.add_partitions(&tables[*at], &all, *elsewhere);
            }
            Step::AlterPartition(at, nth, to) => metastore.alter_partition(&tables[*at], *nth, &odd[*to]),
            Step::DropPartition(at, nth) => metastore.drop_partition(&tables[*at], *nth),
            Step::Unique(at, true) => metastore.add_unique(&tables[*at], "uq"),
            Step::Unique(at, false) => metastore.drop_constraint(&tables[*at], "uq"),
            Step::Function(at, create) => {
                if *create && metastore.has_database(&tables[*at].0, &tables[*at].1) {
                    metastore.create_function(&tables[*at]);
                } else {
                    metastore.drop_function(&tables[*at]);
                }
            }
        }
    }
    metastore
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_workload_ends_as_the_metastore_does(steps in steps(), gzip in any::<bool>()) {
        check(&run(&steps, gzip));
    }
}
