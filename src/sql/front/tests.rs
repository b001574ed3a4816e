//! What becomes of statements: by dialect, by repair, in blocks.

use proptest::prelude::*;

use super::super::types::{Dialect, Limits, StatementKind};
use super::{Body, Extra, Piece, Place, RowsOf, pieces};

fn read(dialect: Dialect, text: &str) -> Vec<Piece> {
    pieces(text, dialect, &Limits::default())
}

/// The statements, one a line, as the parser writes them; blocks in braces.
fn shown(pieces: &[Piece]) -> Vec<String> {
    let mut out = Vec::new();
    for piece in pieces {
        match &piece.body {
            Body::Parsed(statement) => out.push(statement.to_string()),
            Body::Extra(Extra::Reads { query, .. }) => out.push(format!("reads {query}")),
            Body::Extra(Extra::Swap { left, right }) => out.push(format!("swap {left} {right}")),
            Body::Extra(Extra::Exchange { target, source }) => out.push(format!("exchange {target} {source}")),
            Body::Extra(Extra::Use { database, schema }) => {
                let name = |part: &Option<sqlparser::ast::Ident>| {
                    part.as_ref().map_or("-".to_owned(), |part| part.value.clone())
                };
                out.push(format!("use {} {}", name(database), name(schema)));
            }
            Body::Extra(Extra::Rename { pairs }) => {
                out.extend(pairs.iter().map(|(old, new)| format!("rename {old} {new}")));
            }
            Body::Extra(Extra::Load { from, to, .. }) => out.push(format!("load {} to {}", place(from), place(to))),
            Body::Extra(Extra::Utility { kind, subjects }) => {
                let names: Vec<String> = subjects.iter().map(ToString::to_string).collect();
                out.push(format!("{kind:?} {}", names.join(",")).trim_end().to_owned());
            }
            Body::Extra(Extra::Opaque { note, .. }) => out.push(format!("opaque: {note}")),
            Body::Rows { names, of, pieces } => {
                let names: Vec<String> = names.iter().map(ToString::to_string).collect();
                out.push(match of {
                    RowsOf::Query(query) => format!("{} of {query} {{", names.join(", ")),
                    RowsOf::Table(table) => format!("{} of {table} {{", names.join(", ")),
                });
                out.extend(shown(pieces));
                out.push("}".to_owned());
            }
            Body::Block { pieces, .. } => {
                out.push("{".to_owned());
                out.extend(shown(pieces));
                out.push("}".to_owned());
            }
            Body::Failed { reason, reads, writes, .. } => {
                let names = |names: &[sqlparser::ast::ObjectName]| {
                    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
                };
                out.push(format!("failed reads {} writes {}: {reason}", names(reads), names(writes)));
            }
        }
    }
    out
}

fn place(place: &Place) -> String {
    match place {
        Place::Table(name) => name.to_string(),
        Place::Path(path) => format!("'{path}'"),
        Place::Query(query) => format!("({query})"),
        Place::Paths(paths) => paths.join(", "),
        Place::Client => "client".to_owned(),
    }
}

#[track_caller]
fn check(dialect: Dialect, text: &str, expected: &[&str]) {
    assert_eq!(shown(&read(dialect, text)), expected, "{text}");
}

#[test]
fn places_are_told_in_lines_and_bytes() {
    let found = read(Dialect::Ansi, "SELECT 'é;';\n  SELECT b FROM t; ;");
    let places: Vec<_> = found.iter().map(|piece| (piece.at.line, piece.at.column, piece.span)).collect();
    assert_eq!(places, [(1, 1, (0, 12)), (2, 3, (16, 31))]);
}

#[test]
fn a_bad_statement_leaves_its_neighbours() {
    let found = shown(&read(Dialect::Ansi, "SELECT 1; SELEC a FROMM (; INSERT INTO t SELECT a FROM s"));
    assert_eq!(found.len(), 3);
    assert!(found[1].starts_with("failed"), "{found:?}");
    assert_eq!(found[2], "INSERT INTO t SELECT a FROM s");
}

#[test]
fn what_is_refused_is_scanned_for_names() {
    let found = shown(&read(
        Dialect::Ansi,
        "INSERT INTO a.t WITH c AS (SELECT x FROM s) SELECT EXTRACT(YEAR FROM d) FROM c JOIN u ON ~~ ) WHERE",
    ));
    assert!(found[0].starts_with("failed reads s,u writes a.t:"), "{found:?}");
}

#[test]
fn tsql_needs_no_semicolons() {
    check(
        Dialect::TSql,
        "DECLARE @x INT = (SELECT MAX(a) FROM s)\nSELECT a INTO #t FROM s (NOLOCK)\nINSERT INTO d (a) SELECT a FROM #t UNION ALL SELECT b FROM u\n\
         UPDATE d SET a = 1 WHERE b = 2\nIF @x > 1 BEGIN DELETE FROM d WHERE a = 3 END ELSE TRUNCATE TABLE e\nGO\nSELECT 2",
        &[
            "reads SELECT MAX(a) FROM s",
            "SELECT a INTO #t FROM s",
            "INSERT INTO d (a) SELECT a FROM #t UNION ALL SELECT b FROM u",
            "UPDATE d SET a = 1 WHERE b = 2",
            "DELETE FROM d WHERE a = 3",
            "TRUNCATE TABLE e",
            "SELECT 2",
        ],
    );
}

#[test]
fn procedures_of_each_language() {
    let inner = ["{", "INSERT INTO d (a) SELECT a FROM s", "}"];
    for (dialect, text) in [
        (
            Dialect::TSql,
            "CREATE OR ALTER PROC dbo.p @a INT = 1, @b VARCHAR(10) AS SET NOCOUNT ON BEGIN TRY INSERT INTO d (a) SELECT a FROM s END TRY BEGIN CATCH THROW END CATCH",
        ),
        (
            Dialect::Oracle,
            "CREATE OR REPLACE PROCEDURE p (x IN NUMBER) IS v NUMBER; BEGIN INSERT INTO d (a) SELECT a FROM s; EXCEPTION WHEN OTHERS THEN NULL; END p;\n/",
        ),
        (
            Dialect::Postgres,
            "CREATE FUNCTION p() RETURNS void LANGUAGE plpgsql AS $f$ DECLARE v int; BEGIN INSERT INTO d (a) SELECT a FROM s; END; $f$",
        ),
        (
            Dialect::MySql,
            "CREATE PROCEDURE p(IN x INT) BEGIN DECLARE done INT DEFAULT 0; INSERT INTO d (a) SELECT a FROM s; END",
        ),
        (
            Dialect::BigQuery,
            "CREATE OR REPLACE PROCEDURE p(x INT64) BEGIN DECLARE y INT64; INSERT INTO d (a) SELECT a FROM s; END",
        ),
        (
            Dialect::Snowflake,
            "CREATE PROCEDURE p() RETURNS STRING LANGUAGE SQL AS 'BEGIN LET x := 1; INSERT INTO d (a) SELECT a FROM s; RETURN ''ok''; END'",
        ),
        (Dialect::Databricks, "CREATE PROCEDURE p() LANGUAGE SQL AS BEGIN INSERT INTO d (a) SELECT a FROM s; END"),
    ] {
        let found: Vec<String> =
            shown(&read(dialect, text)).into_iter().filter(|line| line != "Set" && line != "SET NOCOUNT ON").collect();
        let found: Vec<String> = found.into_iter().filter(|line| !line.starts_with("THROW")).collect();
        assert_eq!(found, inner, "{dialect:?} {text}");
    }
}

#[test]
fn variables_are_no_tables() {
    check(
        Dialect::Postgres,
        "DO $$ DECLARE n int; BEGIN SELECT count(*) INTO n FROM s; IF n > 0 THEN DELETE FROM t; ELSIF EXISTS (SELECT 1 FROM u) THEN UPDATE v SET a = 1; END IF; END $$",
        &["{", "reads SELECT count(*) FROM s", "DELETE FROM t", "reads SELECT 1 FROM u", "UPDATE v SET a = 1", "}"],
    );
}

#[test]
fn loops_and_cursors() {
    check(
        Dialect::Postgres,
        "DO $$ BEGIN FOR r IN SELECT a FROM s LOOP INSERT INTO t VALUES (r.a); END LOOP; WHILE true LOOP DELETE FROM u; EXIT; END LOOP; END $$",
        &["{", "r of SELECT a FROM s {", "INSERT INTO t VALUES (r.a)", "}", "DELETE FROM u", "}"],
    );
}

#[test]
fn dynamic_sql_that_is_known() {
    check(
        Dialect::TSql,
        "DECLARE @q NVARCHAR(MAX) = N'INSERT INTO t (a) '; SET @q = @q + N'SELECT b FROM s'; EXEC sp_executesql @q; EXEC(@unknown)",
        &[
            "SET @q = @q + N'SELECT b FROM s'",
            "{",
            "INSERT INTO t (a) SELECT b FROM s",
            "}",
            "opaque: the text of dynamic SQL is made at run time",
        ],
    );
    check(
        Dialect::BigQuery,
        "EXECUTE IMMEDIATE CONCAT('DELETE FROM t ', \"WHERE a = 1\") USING 1",
        &["DELETE FROM t WHERE a = 1"],
    );
}

#[test]
fn several_targets_become_several_inserts() {
    check(
        Dialect::Snowflake,
        "INSERT ALL WHEN a > 1 THEN INTO x (p) VALUES (a) ELSE INTO y SELECT a, b FROM s",
        &[
            "{",
            "INSERT INTO x (p) SELECT a FROM (SELECT a, b FROM s) AS multi_insert_source",
            "INSERT INTO y SELECT a, b FROM s",
            "}",
        ],
    );
    check(
        Dialect::Hive,
        "FROM (SELECT a, b FROM s) q INSERT OVERWRITE TABLE x PARTITION (d = 1) SELECT a WHERE b = 1 INSERT INTO TABLE y SELECT b GROUP BY b",
        &[
            "{",
            "INSERT OVERWRITE TABLE x PARTITION (d = 1) SELECT a FROM (SELECT a, b FROM s) q WHERE b = 1",
            "INSERT INTO TABLE y SELECT b FROM (SELECT a, b FROM s) q GROUP BY b",
            "}",
        ],
    );
}

#[test]
fn statements_without_a_tree() {
    check(Dialect::ClickHouse, "EXCHANGE TABLES a.x AND a.y ON CLUSTER c", &["swap a.x a.y"]);
    check(Dialect::TSql, "EXEC sp_rename 'dbo.a', 'b'", &["rename dbo.a b"]);
    check(Dialect::Hive, "ALTER TABLE t EXCHANGE PARTITION (d = '1') WITH TABLE s", &["exchange t s"]);
    check(Dialect::TSql, "ALTER TABLE s SWITCH PARTITION 1 TO t PARTITION 2", &["exchange t s"]);
    check(Dialect::Redshift, "ALTER TABLE t APPEND FROM s", &["exchange t s"]);
    check(Dialect::Oracle, "ALTER SESSION SET CURRENT_SCHEMA = hr", &["use - hr"]);
    check(
        Dialect::Redshift,
        "UNLOAD ('SELECT a FROM t WHERE b = ''x''') TO 's3://b/k' PARQUET",
        &["load (SELECT a FROM t WHERE b = 'x') to 's3://b/k'"],
    );
    check(Dialect::Spark, "ADD JAR /tmp/x.jar", &["Other"]);
}

#[test]
fn clauses_that_change_nothing_go() {
    for (dialect, text, expected) in [
        (
            Dialect::Snowflake,
            "CREATE VIEW v (a WITH MASKING POLICY p USING (a, b), b) WITH ROW ACCESS POLICY r ON (a) AS SELECT a, b FROM s",
            "CREATE VIEW v (a, b) AS SELECT a, b FROM s",
        ),
        (
            Dialect::Snowflake,
            "CREATE OR REPLACE DYNAMIC TABLE t TARGET_LAG = '1 minute' WAREHOUSE = w INITIALIZE = ON_CREATE AS SELECT a FROM s",
            "",
        ),
        (
            Dialect::Spark,
            "CREATE TABLE t USING parquet CLUSTERED BY (a) INTO 4 BUCKETS SELECT a FROM s",
            "CREATE TABLE t AS SELECT a FROM s",
        ),
        (
            Dialect::Teradata,
            "CREATE MULTISET VOLATILE TABLE t, NO FALLBACK AS (SEL a FROM s) WITH DATA PRIMARY INDEX (a) ON COMMIT PRESERVE ROWS",
            "CREATE TEMPORARY TABLE t AS (SELECT a FROM s)",
        ),
        (
            Dialect::Teradata,
            "LOCKING ROW FOR ACCESS SEL a (TITLE 'x') FROM s WHERE b EQ 1",
            "SELECT a FROM s WHERE b = 1",
        ),
        (
            Dialect::BigQuery,
            "SELECT a FROM s FULL OUTER UNION ALL BY NAME SELECT a FROM u",
            "SELECT a FROM s UNION ALL BY NAME SELECT a FROM u",
        ),
        (
            Dialect::Ansi,
            "INSERT INTO t (WITH c AS (SELECT a FROM s) SELECT a FROM c)",
            "INSERT INTO t WITH c AS (SELECT a FROM s) SELECT a FROM c",
        ),
        (Dialect::Ansi, "SELECT a FROM s CROSS JOIN u ON s.x = u.x", "SELECT a FROM s JOIN u ON s.x = u.x"),
        (Dialect::TSql, "SELECT a FROM s WITH (NOLOCK, INDEX(i)) OPTION (RECOMPILE)", ""),
        (Dialect::Oracle, "SELECT a FROM hr.emp@remote e WHERE e.x = &v", ""),
        (Dialect::Postgres, "SELECT a FROM s WHERE b = %(name)s AND c = %s", "SELECT a FROM s WHERE b = ? AND c = ?"),
        (Dialect::MySql, "SELECT SQL_NO_CACHE a FROM s USE INDEX (i) WHERE b = 1", ""),
    ] {
        let found = shown(&read(dialect, text));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(!found[0].starts_with("failed"), "{text}: {found:?}");
        if !expected.is_empty() {
            assert_eq!(found[0], expected, "{text}");
        }
    }
}

#[test]
fn templates_that_never_end_are_none() {
    for text in ["{%}", "{#}", "{{}", "{{ a }", "SELECT 1 {%"] {
        assert!(!read(Dialect::Snowflake, text).is_empty(), "{text}");
    }
}

#[test]
fn templates_and_commands_of_clients() {
    check(
        Dialect::Snowflake,
        "{{ config(materialized='table') }}\nSELECT a FROM {{ ref('orders') }} JOIN {{ source('raw', 'x') }} ON {% if a %} true {% endif %}",
        &["SELECT a FROM orders JOIN raw.x ON true"],
    );
    check(Dialect::Postgres, "\\set x 1\nSELECT a FROM t;\n\\q", &["SELECT a FROM t"]);
    check(
        Dialect::MySql,
        "DELIMITER //\nCREATE PROCEDURE p() BEGIN DELETE FROM t; END //\nDELIMITER ;\nSELECT 1;",
        &["{", "DELETE FROM t", "}", "SELECT 1"],
    );
}

#[test]
fn long_chains_fit_on_the_stack_of_a_thread() {
    for (term, between) in [("a", "+"), ("a = 1", " AND "), ("a", "::int::"), ("SELECT a FROM t", " UNION ALL ")] {
        let text = if term.starts_with("SELECT") {
            vec![term; 1_400].join(between)
        } else {
            format!("SELECT {} FROM t", vec![term; 1_400].join(between))
        };
        read(Dialect::Postgres, &text);
    }
    for opening in
        ["IF a THEN ", "BEGIN ", "CREATE PROCEDURE p AS BEGIN ", "WHILE a LOOP ", "CASE WHEN a THEN ", "EXPLAIN "]
    {
        for dialect in [Dialect::TSql, Dialect::Oracle, Dialect::MySql, Dialect::Snowflake] {
            read(dialect, &opening.repeat(5_000));
        }
    }
}

#[test]
fn bounds_are_told() {
    let limits = Limits { text_bytes: 100, statements: 2, depth: 5, ..Limits::default() };
    let many = pieces("SELECT 1; SELECT 2; SELECT 3; SELECT 4", Dialect::Ansi, &limits);
    assert_eq!(many.len(), 3);
    for text in ["SELECT ((((((1))))))", &format!("SELECT {}", "x".repeat(200)), "SELECT 1; SELECT 2; SELECT 3"] {
        let found = pieces(text, Dialect::Ansi, &limits);
        assert!(matches!(found.last().map(|piece| &piece.body), Some(Body::Failed { .. })), "{text}");
    }
    let chain = format!("SELECT {} FROM t", vec!["a"; 50_000].join("+"));
    let found = read(Dialect::Ansi, &chain);
    assert!(matches!(&found[0].body, Body::Failed { kind: StatementKind::Select, reads, .. } if reads.len() == 1));
}

/// Words and symbols that mean something to the walk over blocks or to a repair.
const SOUP: [&str; 86] = [
    "select",
    "from",
    "where",
    "insert",
    "into",
    "values",
    "update",
    "set",
    "delete",
    "merge",
    "using",
    "when",
    "matched",
    "then",
    "create",
    "or",
    "replace",
    "table",
    "view",
    "procedure",
    "function",
    "as",
    "is",
    "begin",
    "end",
    "if",
    "else",
    "elsif",
    "while",
    "loop",
    "for",
    "in",
    "do",
    "declare",
    "exception",
    "case",
    "return",
    "execute",
    "immediate",
    "exec",
    "union",
    "all",
    "by",
    "name",
    "join",
    "cross",
    "on",
    "with",
    "(",
    ")",
    "[",
    "]",
    ",",
    ";",
    ".",
    "*",
    "=",
    "+",
    "-",
    "@x",
    ":v",
    "?",
    "%",
    "'a'",
    "'select 1 from t'",
    "$$",
    "$$ begin end $$",
    "1",
    "a",
    "b.c",
    "#t",
    "pivot",
    "unload",
    "copy",
    "to",
    "alter",
    "swap",
    "exchange",
    "rename",
    "nolock",
    "go\n",
    "output",
    "model",
    "transform",
    "array<",
    ">",
];

fn dialects() -> impl Strategy<Value = Dialect> {
    prop::sample::select(vec![
        Dialect::Ansi,
        Dialect::BigQuery,
        Dialect::ClickHouse,
        Dialect::Databricks,
        Dialect::DuckDb,
        Dialect::Hive,
        Dialect::MySql,
        Dialect::Oracle,
        Dialect::Postgres,
        Dialect::Redshift,
        Dialect::Snowflake,
        Dialect::Spark,
        Dialect::Teradata,
        Dialect::TSql,
    ])
}

proptest! {
    /// Nothing that looks like SQL brings the front down, and every piece lies inside of the text.
    #[test]
    fn any_soup_is_taken(words in prop::collection::vec(prop::sample::select(SOUP.to_vec()), 0..60), dialect in dialects()) {
        let text = words.join(" ");
        for piece in read(dialect, &text) {
            prop_assert!(piece.span.0 <= piece.span.1 && piece.span.1 <= text.len(), "{text:?} {:?}", piece.span);
        }
    }

    /// Nor does any text.
    #[test]
    fn any_text_is_taken(text in "\\PC{0,120}", dialect in dialects()) {
        for piece in read(dialect, &text) {
            prop_assert!(piece.span.1 <= text.len());
        }
    }
}
