//! What a session carries from one text to the next, and what is told of rows rather than values.

use crate::sql::{Dialect, NoCatalog, Options, Session, Status, Transformation, analyse, merge};

use super::{lines, plain};

fn in_session(session: &mut Session, dialect: Dialect, sql: &str) -> Vec<String> {
    // The state is stored and taken up again between two texts.
    let stored = serde_json::to_string(session).expect("a session is JSON");
    *session = serde_json::from_str(&stored).expect("what was stored");
    lines(&merge(&analyse(sql, dialect, session, &NoCatalog, &Options::default())))
}

#[test]
fn temporary_tables_live_from_text_to_text() {
    let mut session = Session::default();
    let dialect = Dialect::Snowflake;
    assert_eq!(in_session(&mut session, dialect, "CREATE TEMPORARY TABLE a AS SELECT x, y + z AS w FROM s"), ["s ->"]);
    assert_eq!(in_session(&mut session, dialect, "INSERT INTO a SELECT p, q FROM r"), ["r ->"]);
    assert_eq!(
        in_session(&mut session, dialect, "CREATE TABLE t AS SELECT w, x FROM a"),
        ["r, s -> t", "t.w < r.q, s.y, s.z", "t.x < r.p, s.x"]
    );
    assert_eq!(in_session(&mut session, dialect, "DROP TABLE a"), ["->"]);
    assert_eq!(in_session(&mut session, dialect, "INSERT INTO u SELECT x FROM a"), ["a -> u", "u.x < a.x"]);
}

#[test]
fn defaults_live_from_text_to_text() {
    let mut session = Session::default();
    in_session(&mut session, Dialect::Snowflake, "USE SCHEMA db.sales");
    assert_eq!(
        in_session(&mut session, Dialect::Snowflake, "INSERT INTO t SELECT a FROM other.s"),
        ["db.other.s -> db.sales.t", "db.sales.t.a < db.other.s.a"]
    );
}

#[test]
fn a_rename_in_a_later_text_gets_what_was_built_before() {
    let mut session = Session::default();
    in_session(&mut session, Dialect::Postgres, "CREATE TABLE t_new AS SELECT a FROM s");
    let renamed =
        analyse("ALTER TABLE t_new RENAME TO t", Dialect::Postgres, &mut session, &NoCatalog, &Options::default());
    let [statement] = renamed.as_slice() else { panic!("one statement") };
    assert_eq!(statement.outputs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["t"]);
    assert_eq!(statement.columns[0].table.as_ref().map(ToString::to_string).as_deref(), Some("t"));
    assert_eq!(statement.columns[0].sources[0].column.table.to_string(), "s");
}

#[test]
fn the_columns_of_a_made_table_are_known_later() {
    let mut session = Session::default();
    in_session(&mut session, Dialect::Postgres, "CREATE TABLE t (a int, b text)");
    assert_eq!(in_session(&mut session, Dialect::Postgres, "SELECT * FROM t"), ["t ->", "a < t.a", "b < t.b"]);
}

#[test]
fn filters_joins_groups_and_orders_are_told() {
    let statements = plain(
        Dialect::Postgres,
        "SELECT a.x, sum(b.y) AS s FROM a JOIN b ON a.id = b.a_id WHERE b.z > 1 GROUP BY a.x HAVING max(b.q) > 2 ORDER BY 2",
    );
    let statement = &statements[0];
    let told: Vec<String> = statement
        .indirect
        .iter()
        .map(|told| format!("{}.{} {:?}", told.column.table, told.column.column, told.how))
        .collect();
    assert_eq!(told, ["a.id Join", "a.x GroupBy", "b.a_id Join", "b.q Filter", "b.y Sort", "b.z Filter"]);
    let joins: Vec<String> = statement
        .joins
        .iter()
        .map(|join| format!("{}.{} = {}.{}", join.left.table, join.left.column, join.right.table, join.right.column))
        .collect();
    assert_eq!(joins, ["a.id = b.a_id"]);
    assert_eq!(statement.columns[1].sources[0].how, Transformation::Aggregation);
    assert_eq!(statement.columns[0].sources[0].how, Transformation::Identity);
}

#[test]
fn the_stronger_way_is_told() {
    let statements = plain(
        Dialect::Snowflake,
        "SELECT CASE WHEN a > 0 THEN b END AS x, iff(c, d, c) AS y, sum(e) OVER (PARTITION BY f) AS z, g AS v FROM t",
    );
    let told: Vec<String> = statements[0]
        .columns
        .iter()
        .flat_map(|column| column.sources.iter().map(|source| format!("{} {:?}", source.column.column, source.how)))
        .collect();
    assert_eq!(
        told,
        [
            "a Conditional",
            "b Transformation",
            "c Transformation",
            "d Transformation",
            "e Aggregation",
            "f Window",
            "g Identity"
        ]
    );
}

#[test]
fn what_is_not_known_is_said() {
    let statements = plain(Dialect::Postgres, "SELECT a FROM t1 JOIN t2 ON t1.id = t2.id");
    let Status::Partial { notes } = &statements[0].status else { panic!("{:?}", statements[0].status) };
    assert_eq!(notes, &["column a is ambiguous"]);
    let statements = plain(Dialect::Postgres, "SELECT * FROM t1");
    let Status::Partial { notes } = &statements[0].status else { panic!("{:?}", statements[0].status) };
    assert_eq!(notes, &["a star could not be expanded"]);
    assert_eq!(plain(Dialect::Postgres, "SELECT a FROM t1")[0].status, Status::Complete);
}

#[test]
fn what_was_written_is_stored_with_each_table_once() {
    let mut session = Session::default();
    let text = "INSERT INTO s.new (a, b) SELECT x, max(y) FROM s.old GROUP BY x";
    analyse(text, Dialect::Postgres, &mut session, &NoCatalog, &Options::default());
    let stored = serde_json::to_value(&session).expect("a session is JSON");
    let kept = serde_json::json!({
        "tables": [{"parts": ["s", "old"]}, {"parts": ["s", "new"]}],
        "inputs": [0],
        "columns": [[1, "a", [[0, "x", "IDENTITY"]]], [1, "b", [[0, "y", "AGGREGATION"]]]],
    });
    assert_eq!(stored["built"]["s.new"]["value"], kept);
    let mut damaged = stored.clone();
    damaged["built"]["s.new"]["value"]["inputs"] = serde_json::json!([7]);
    let error = serde_json::from_value::<Session>(damaged).expect_err("there are two tables");
    assert_eq!(error.to_string(), "there is no table 7 among 2");
    assert_eq!(serde_json::from_value::<Session>(stored).expect("what was stored"), session);
}
