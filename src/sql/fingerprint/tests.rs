//! What is left of a text, and that no literal is.

use proptest::prelude::*;

use super::super::types::Dialect;
use super::{normalise, shape};

const ALL: [Dialect; 18] = [
    Dialect::Ansi,
    Dialect::Athena,
    Dialect::BigQuery,
    Dialect::ClickHouse,
    Dialect::Databricks,
    Dialect::Db2,
    Dialect::DuckDb,
    Dialect::Hive,
    Dialect::MySql,
    Dialect::Oracle,
    Dialect::Postgres,
    Dialect::Redshift,
    Dialect::Snowflake,
    Dialect::Spark,
    Dialect::Sqlite,
    Dialect::Teradata,
    Dialect::Trino,
    Dialect::TSql,
];

fn redacted(text: &str, dialect: Dialect) -> String {
    normalise(text, dialect).redacted
}

#[test]
fn literals_become_question_marks() {
    let found = normalise("SELECT  a, 'it''s' FROM T -- why\nWHERE x = -1.5e-3 AND y <> 0xFF;", Dialect::Ansi);
    assert_eq!(found.text, "select a, ? from t where x = ? and y < > ?");
    assert_eq!(found.redacted, "SELECT  a, ? FROM T \nWHERE x = -? AND y <> ?;");
    assert_eq!(found.fingerprint.len(), 16);
}

#[test]
fn a_difference_keeps_its_operator() {
    let one = normalise("select a - 1 from t", Dialect::Ansi).text;
    let other = normalise("select a, -1 from t", Dialect::Ansi).text;
    assert_eq!(one, "select a - ? from t");
    assert_eq!(other, "select a, ? from t");
}

#[test]
fn lengths_of_lists_do_not_matter() {
    let short = normalise("select * from t where a in (1) and b in ('x', 'y')", Dialect::Postgres);
    let long = normalise("SELECT * FROM t WHERE a IN (1, 2, -3) AND b IN ( 'x' )", Dialect::Postgres);
    assert_eq!(short.fingerprint, long.fingerprint);
    let few = normalise("insert into t values (1, 'a')", Dialect::Postgres);
    let many = normalise("INSERT INTO t VALUES (2, 'b'), (3, 'c'),\n(4, 'd')", Dialect::Postgres);
    assert_eq!(few.text, many.text);
    assert_eq!(many.redacted, "INSERT INTO t VALUES (?, ?) /* × 3 */");
}

#[test]
fn subqueries_and_columns_of_lists_stay() {
    let found = normalise("select * from t where a in (select b from u where c = 1)", Dialect::Ansi);
    assert_eq!(found.text, "select * from t where a in (select b from u where c = ?)");
}

#[test]
fn each_kind_of_string() {
    for (text, dialect) in [
        ("select N'secret'", Dialect::TSql),
        ("select E'se\\'secret'", Dialect::Postgres),
        ("select $$secret$$, $tag$ secret $$ secret $tag$", Dialect::Postgres),
        ("select r'secret', \"secret\", '''a ' secret''', \"\"\"secret\"\"\"", Dialect::BigQuery),
        ("select 'a\\'secret', \"secret\"", Dialect::MySql),
        ("select q'[it's a secret]', nq'{secret}'", Dialect::Oracle),
        ("select X'5ec', b'secret', U&'secret'", Dialect::Postgres),
        ("select /* secret */ 1 -- secret", Dialect::Ansi),
        ("select 1 # secret", Dialect::MySql),
        ("select 1 // secret", Dialect::Snowflake),
        ("exec sp_executesql N'select * from t where a = ''secret'''", Dialect::TSql),
        ("select * from t where a = 'secret and the log ends he", Dialect::Redshift),
        ("insert into t values (1, 'secret'), (2, 'secret", Dialect::Redshift),
        ("copy t (a) from stdin;\nsecret\tsecret\n\\.\nselect 1", Dialect::Postgres),
        ("insert into t format CSV secret,secret", Dialect::ClickHouse),
        ("create function f() as 'return \"secret\"' language javascript", Dialect::Snowflake),
        ("create function f() returns int language python as $$ return \"secret\" $$", Dialect::Snowflake),
    ] {
        let found = normalise(text, dialect);
        assert!(!found.redacted.contains("secret"), "{text} leaves {}", found.redacted);
        assert!(!found.text.contains("secret"), "{text} leaves {}", found.text);
    }
}

#[test]
fn bodies_in_sql_are_read() {
    let text = "create procedure p() language plpgsql as $$ begin insert into t select 'x', 5 from s; end $$";
    assert_eq!(
        redacted(text, Dialect::Postgres),
        "create procedure p() language plpgsql as $$ begin insert into t select ?, ? from s; end $$"
    );
}

#[test]
fn names_stay_as_they_are() {
    let text = "SELECT \"Total 2024\", [x 1], t1.c2 FROM #tmp1";
    assert_eq!(redacted(text, Dialect::TSql), text);
}

/// A literal in any quoting, with something secret in it.
fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("'zq7secret'".to_owned()),
        Just("'it''s zq7secret'".to_owned()),
        Just("N'zq7secret'".to_owned()),
        Just("987650123".to_owned()),
        Just("-98765.0123e7".to_owned()),
        Just("/* zq7secret */".to_owned()),
        Just("-- zq7secret\n".to_owned()),
    ]
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        literal(),
        prop::sample::select(vec![
            "select",
            "values",
            "in",
            "(",
            ")",
            "[",
            "]",
            ",",
            ";",
            "a",
            "t.b",
            "=",
            "-",
            "+",
            "::",
            "as",
            "from",
            "{",
            "}",
            "\n",
            "%",
            "<",
            "insert into t",
            "interval",
            "?",
            ":x",
            "é",
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    /// Plain quotes mean the same in every dialect: what stands in them is gone, whatever stands around them.
    #[test]
    fn no_literal_survives(parts in prop::collection::vec(part(), 0..40), cut: bool, dialect in prop::sample::select(ALL.to_vec())) {
        let mut text = parts.join(" ");
        // A log may cut a text in the middle of a literal.
        if cut {
            text.push_str(" 'zq7secret");
        }
        // There brackets are quotes of names.
        prop_assume!(dialect != Dialect::TSql || !text.contains('['));
        let found = normalise(&text, dialect);
        for left in [&found.redacted, &found.text] {
            prop_assert!(!left.contains("zq7secret"), "{text:?} leaves {left:?}");
            prop_assert!(!left.contains("98765"), "{text:?} leaves {left:?}");
        }
    }

    /// Any text is taken, and the normal text is its own normal text's fingerprint.
    #[test]
    fn any_text_is_taken(text in "\\PC{0,200}", dialect in prop::sample::select(ALL.to_vec())) {
        let found = normalise(&text, dialect);
        prop_assert_eq!(found.fingerprint.len(), 16);
    }

    /// Quotes, brackets and escapes in any order.
    #[test]
    fn any_quotes_are_taken(text in "[a'\"`\\[\\]$\\\\(),.\\-/*#:;@ \n0qNEé]{0,80}", dialect in prop::sample::select(ALL.to_vec())) {
        normalise(&text, dialect);
    }
}

#[test]
fn a_shape_is_the_text_without_the_values_that_rows_are_chosen_by() {
    let shape = |text: &str, dialect| String::from_utf8(shape(text, dialect)).unwrap();
    let text = "SELECT a * 1.05, 7 FROM t JOIN u ON u.x='q' WHERE b = 'x y' -- 5 = 5\n AND (c BETWEEN DATE '2026-01-01' \
                AND DATE '2026-02-02' OR d<>12) LIMIT 10";
    let left = "SELECT a * 0.00, 7 FROM t JOIN u ON u.x='x' WHERE b = 'xxx' -- 5 = 5\n AND (c BETWEEN DATE '0000x00x00' \
                AND DATE '0000x00x00' OR d<>00) LIMIT 00";
    assert_eq!(shape(text, Dialect::Postgres), left);
    let text = "SELECT CASE WHEN a > 5 THEN 'x' ELSE 'y' END FROM t WHERE EXISTS (SELECT 8 FROM f(p = 'a') WHERE z = 9) AND y = 3";
    let left = "SELECT CASE WHEN a > 0 THEN 'x' ELSE 'y' END FROM t WHERE EXISTS (SELECT 8 FROM f(p = 'a') WHERE z = 0) AND y = 0";
    assert_eq!(shape(text, Dialect::Snowflake), left);
    for same in [
        "SELECT 1, 'a', x = 'a' FROM t GROUP BY 1 ORDER BY 2",
        "COPY INTO t FROM @s FILE_FORMAT = (TYPE = 'CSV')",
        "SELECT a[1], b -> 'k' FROM t WHERE c ->> 'd' IN ('x') AND f(x => 'y')",
        "SELECT a FROM t WHERE b = 'it''s' AND c = 'a\\b' AND d = 'é' AND e = N'x' AND f = 0x1F AND g = 1e5",
        "SELECT a FROM t WHERE b = 'the end",
        "SET x = 5; EXECUTE IMMEDIATE 'a' || 'b'",
        "SELECT * FROM read_csv(path = 'x') WHERE \"a = 5\" AND -5 AND = 5",
    ] {
        for dialect in ALL {
            assert_eq!(shape(same, dialect), same, "{dialect:?}");
        }
    }
}
