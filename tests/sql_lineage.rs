//! `tributary sql-lineage` as a program: JSON Lines in and out, and lineage for people to read.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::site::BINARY;

fn sql_lineage(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(BINARY)
        .arg("sql-lineage")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn each_line_is_answered_by_a_line() {
    let requests = [
        json!({ "id": "star", "dialect": "postgres", "default_schema": "public", "schemas": { "public.orders": ["id", "amount"] },
            "sql": "INSERT INTO sums SELECT o.*, c.name FROM orders o JOIN crm.customers c USING (id)" })
        .to_string(),
        "no request".to_owned(),
        json!({ "id": "script", "dialect": "tsql",
            "sql": "SELECT id, amt * 2 AS d INTO #a FROM dbo.src; INSERT INTO dbo.fact (id, total) SELECT id, SUM(d) FROM #a GROUP BY id" })
        .to_string(),
    ];
    let output = sql_lineage(&[], &requests.join("\n"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 3, "{text}");
    assert_eq!((&answers[0]["id"], &answers[0]["error"]), (&json!("star"), &Value::Null));
    assert_eq!(answers[0]["inputs"], json!(["crm.customers", "public.orders"]));
    assert_eq!(answers[0]["outputs"], json!(["public.sums"]));
    let made_of = |answer: &Value, target: &str| {
        let columns = answer["column_lineage"].as_array().unwrap();
        columns.iter().find(|column| column["target"] == target).map(|column| column["sources"].clone())
    };
    assert_eq!(made_of(&answers[0], "public.sums.amount"), Some(json!(["public.orders.amount"])));
    assert_eq!(made_of(&answers[0], "public.sums.name"), Some(json!(["crm.customers.name"])));
    assert!(answers[1]["error"].is_string(), "{}", answers[1]);
    assert_eq!(answers[2]["inputs"], json!(["dbo.src"]));
    assert_eq!(answers[2]["outputs"], json!(["dbo.fact"]));
    assert_eq!(made_of(&answers[2], "dbo.fact.total"), Some(json!(["dbo.src.amt"])));
}

#[test]
fn a_script_is_explained_and_a_bad_statement_names_its_place() {
    let sql =
        "CREATE TABLE marts.daily AS SELECT day, count(id) AS orders FROM raw.orders GROUP BY day;\nSELEC nothing;";
    let output = sql_lineage(&["--explain", "--dialect", "spark"], sql);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["marts.daily", "raw.orders", "orders", "raw.orders.id", "AGGREGATION"] {
        assert!(text.to_uppercase().contains(&part.to_uppercase()), "{part} is missing in\n{text}");
    }
    assert!(text.contains("2:1") || text.contains("line 2"), "the bad statement's place is missing in\n{text}");
    let unknown = sql_lineage(&["--dialect", "klingon"], "");
    assert_eq!(unknown.status.code(), Some(64));
}
