//! Views to statement facts, each expectation written by hand.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{HmsNormalizer, HmsSourceConfig};
use crate::model::fact::{Aspect, Columns, Completeness, Fact, STATEMENT_BYTES, SqlText, Statement};
use crate::model::raw::{Normalized, RawRecord};

/// A table of database `D` in Thrift's JSON: texts, parameters, type, names of columns.
fn table(name: &str, texts: (&str, &str), parameters: Value, kind: &str, columns: &[&str]) -> Value {
    let columns = columns.iter().map(|name| json!({ "1": { "str": name }, "2": { "str": "int" } }));
    let mut list = vec![json!("rec"), json!(columns.len())];
    list.extend(columns);
    let parameters = parameters.as_object().unwrap();
    let mut table = json!({
        "1": { "str": name }, "2": { "str": "D" }, "3": { "str": "bob" },
        "7": { "rec": { "1": { "lst": list } } },
        "9": { "map": ["str", "str", parameters.len(), parameters] },
        "12": { "str": kind },
    });
    for (field, text) in [("10", texts.0), ("11", texts.1)] {
        if !text.is_empty() {
            table[field] = json!({ "str": text });
        }
    }
    table
}

fn view(texts: (&str, &str), parameters: Value, columns: &[&str]) -> Value {
    table("V", texts, parameters, "VIRTUAL_VIEW", columns)
}

fn plain() -> Value {
    table("V", ("", ""), json!({}), "MANAGED_TABLE", &["a"])
}

fn facts(kind: &str, mut message: Value) -> Vec<Fact> {
    message["server"] = json!("thrift://h:1");
    let event =
        json!({ "eventId": 5, "eventTime": 100, "eventType": kind, "catName": "hive", "message": message.to_string() });
    let text = event.to_string();
    let origin = crate::model::fact::Origin { topic: "t".to_owned(), partition: 1, offset: 7 };
    let record = RawRecord { origin, timestamp_ms: Some(50), key: None, value: Some(text.as_bytes()) };
    match HmsNormalizer::new(HmsSourceConfig::default()).unwrap().normalize(&record).unwrap() {
        Normalized::Facts(facts) => facts,
        other => panic!("{other:?}"),
    }
}

fn created(table: &Value) -> Vec<Fact> {
    facts("CREATE_TABLE", json!({ "tableObjJson": table.to_string() }))
}

fn altered(before: &Value, after: &Value) -> Vec<Fact> {
    let message = json!({ "tableObjBeforeJson": before.to_string(), "tableObjAfterJson": after.to_string() });
    facts("ALTER_TABLE", message)
}

/// What is said of SQL, by entity: a text, or `None` where one is taken back.
fn sql(facts: &[Fact]) -> Vec<(&str, Option<&SqlText>)> {
    let entries = facts.iter().flat_map(|fact| fact.entries.iter().map(move |entry| (fact.entity.as_str(), entry)));
    let of_sql = entries.filter(|(_, entry)| entry.aspect == Aspect::Sql);
    of_sql
        .map(|(entity, entry)| match &entry.value {
            Some(Statement::Sql(sql)) => (entity, Some(sql)),
            _ => (entity, None),
        })
        .collect()
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| (*one).to_owned()).collect()
}

#[test]
fn hives_expanded_text_goes_before_the_original() {
    let expanded = "SELECT `x`.`a` AS `p`, `x`.`b` AS `q` FROM `d`.`x`";
    let facts = created(&view(("SELECT * FROM x", expanded), json!({}), &["P", "q"]));
    let expected = SqlText {
        text: expanded.to_owned(),
        dialect: "hive".to_owned(),
        defaults: texts(&["d"]),
        columns: texts(&["p", "q"]),
        ..SqlText::default()
    };
    assert_eq!(sql(&facts), [("hive://h:1/d/v", Some(&expected))]);
    let only = created(&view(("SELECT a FROM x", ""), json!({}), &["a"]));
    assert_eq!(sql(&only)[0].1.unwrap().text, "SELECT a FROM x");
}

#[test]
fn sparks_parameters_say_what_names_mean_and_columns_were_called() {
    let text = "SELECT * FROM orders";
    let parameters = |catalog: &str| {
        json!({
            "spark.sql.create.version": "3.5.6",
            "view.catalogAndNamespace.numParts": "2",
            "view.catalogAndNamespace.part.0": catalog,
            "view.catalogAndNamespace.part.1": "shop",
            "view.query.out.numCols": "2",
            "view.query.out.col.0": "id",
            "view.query.out.col.1": "total",
        })
    };
    let facts = created(&view((text, text), parameters("spark_catalog"), &["order_id", "amount"]));
    let expected = SqlText {
        text: text.to_owned(),
        dialect: "spark".to_owned(),
        defaults: texts(&["shop"]),
        catalog: None,
        columns: texts(&["order_id", "amount"]),
        query_columns: texts(&["id", "total"]),
    };
    assert_eq!(sql(&facts), [("hive://h:1/d/v", Some(&expected))]);
    let elsewhere = created(&view((text, text), parameters("ice"), &["order_id", "amount"]));
    assert_eq!(sql(&elsewhere)[0].1.unwrap().defaults, texts(&["ice", "shop"]));
    let old = json!({ "view.default.database": "old", "view.query.out.numCols": "3", "view.query.out.col.0": "id" });
    let facts = created(&view((text, text), old, &["id"]));
    let old = sql(&facts)[0].1.unwrap();
    assert_eq!(
        (&old.defaults, &old.query_columns),
        (&texts(&["old"]), &Vec::new()),
        "a list that is not whole is none"
    );
}

#[test]
fn trinos_views_are_unpacked() {
    let query = "SELECT o.id, o.total * 2 twice FROM orders o";
    let packed = |value: &Value| STANDARD.encode(value.to_string());
    let definition = json!({
        "originalSql": query, "catalog": "lake", "schema": "sales", "owner": "ann", "runAsInvoker": false, "path": [],
        "columns": [{ "name": "id", "type": "bigint" }, { "name": "Twice", "type": "double", "comment": "both" }],
    });
    let parameters = json!({ "presto_view": "true", "comment": "Presto View" });
    for kind in ["View", "Materialized View"] {
        let original = format!("/* Presto {kind}: {} */", packed(&definition));
        let expanded = format!("/* Presto {kind} */");
        let facts = created(&view((&original, &expanded), parameters.clone(), &["dummy"]));
        let expected = SqlText {
            text: query.to_owned(),
            dialect: "trino".to_owned(),
            defaults: texts(&["sales"]),
            catalog: Some("lake".to_owned()),
            columns: texts(&["id", "twice"]),
            query_columns: Vec::new(),
        };
        assert_eq!(sql(&facts), [("hive://h:1/d/v", Some(&expected))]);
        let columns = facts[0].entries.iter().find_map(|entry| match &entry.value {
            Some(Statement::Columns(Columns { completeness, columns })) => Some((*completeness, columns)),
            _ => None,
        });
        let (completeness, columns) = columns.unwrap();
        assert_eq!(completeness, Completeness::Complete);
        let named: Vec<_> = columns.iter().map(|c| (&*c.name, &*c.data_type, c.description.as_deref())).collect();
        assert_eq!(named, [("id", "bigint", None), ("twice", "double", Some("both"))]);
        let Some(Statement::ViewText(kept)) = facts[0]
            .entries
            .iter()
            .find(|entry| entry.aspect == Aspect::ViewText)
            .and_then(|entry| entry.value.clone())
        else {
            panic!("an export needs the text as it was")
        };
        assert_eq!((kept.original, kept.expanded), (Some(original), Some(expanded)));
    }
}

#[test]
fn what_is_no_text_says_nothing() {
    let trino = json!({ "presto_view": "true" });
    let broken = STANDARD.encode(r#"{"originalSql": 5}"#);
    let long = STANDARD.encode(json!({ "originalSql": " ".repeat(STATEMENT_BYTES + 1) }).to_string());
    for original in [
        "/* Presto View: ?!? */".to_owned(),
        format!("/* Presto View: {broken} */"),
        format!("/* Presto View: {long} */"),
        "/* Presto View */".to_owned(),
        " ".to_owned(),
        format!("select 1 -- {}", "x".repeat(STATEMENT_BYTES)),
    ] {
        let facts = created(&view((&original, "/* Presto View */"), trino.clone(), &["dummy"]));
        assert_eq!(sql(&facts), [], "{}", &original[..original.len().min(60)]);
    }
    // A table may carry a text from the time when it was a view.
    let left = table("V", ("SELECT 1", "SELECT 1"), json!({}), "MANAGED_TABLE", &["a"]);
    assert_eq!(sql(&created(&left)), []);
}

#[test]
fn what_is_no_view_any_more_takes_its_text_back() {
    let text = ("SELECT a FROM x", "SELECT a FROM x");
    let before = view(text, json!({}), &["a"]);
    let dropped = facts("DROP_TABLE", json!({ "tableObjJson": before.to_string() }));
    assert_eq!(sql(&dropped), [("hive://h:1/d/v", None)]);
    assert_eq!(sql(&altered(&before, &plain())), [("hive://h:1/d/v", None)]);
    let emptied = view(("", ""), json!({}), &["a"]);
    assert_eq!(sql(&altered(&before, &emptied)), [("hive://h:1/d/v", None)]);
    let renamed = table("W", text, json!({}), "VIRTUAL_VIEW", &["a"]);
    let facts_of_rename = altered(&before, &renamed);
    let said = sql(&facts_of_rename);
    assert_eq!(said.len(), 2);
    assert!(said[0].0 == "hive://h:1/d/w" && said[0].1.is_some(), "{said:?}");
    assert_eq!(said[1], ("hive://h:1/d/v", None));
    // Tables that never were views cost nothing.
    assert_eq!(sql(&altered(&plain(), &plain())), []);
    assert_eq!(sql(&facts("DROP_TABLE", json!({ "tableObjJson": plain().to_string() }))), []);
    let made = altered(&plain(), &before);
    assert!(sql(&made)[0].1.is_some());
}
