//! Statements with words taken out, doubled, exchanged, and cut anywhere: every text is answered, within the limits.

use proptest::prelude::*;

use crate::sql::{
    Defaults, Dialect, Limits, Lines, NoCatalog, Options, Session, StatementLineage, Status, analyse, explain, merge,
    normalise, shape,
};

/// One for each way in which a statement is rewritten before it is parsed, and of each kind of block.
const STATEMENTS: &[(Dialect, &str)] = &[
    (
        Dialect::TSql,
        "INSERT TOP (5) PERCENT INTO dbo.t (a) EXEC sp_executesql N'SELECT a FROM dbo.s' ; BULK INSERT t FROM 'f' WITH (x = 1)",
    ),
    (
        Dialect::TSql,
        "UPDATE TOP (2) d SET @v = a = b, c += 1 OUTPUT deleted.a INTO log (a) FROM t d (NOLOCK) CROSS APPLY (VALUES (1)) v(x)",
    ),
    (
        Dialect::TSql,
        "SELECT a FROM OPENROWSET(BULK 'x', FORMAT='CSV') r FOR SYSTEM_TIME FROM 'x' TO 'y' FOR XML PATH('p')\nGO 5\nIF a = 1 BEGIN SELECT 1 END ELSE PRINT 'x'",
    ),
    (
        Dialect::Oracle,
        "SELECT MAX(a) KEEP (DENSE_RANK FIRST ORDER BY b) x, PRIOR c FROM t@l AS OF TIMESTAMP SYSDATE - 1 / 24 PARTITION FOR (1) u MODEL DIMENSION BY (a) MEASURES (b) RULES (b[1] = 2)",
    ),
    (
        Dialect::Oracle,
        "SET SERVEROUTPUT ON\nDECLARE v NUMBER; BEGIN FOR r IN (SELECT a FROM s) LOOP EXECUTE IMMEDIATE 'INSERT INTO t (a) SELECT a FROM s'; END LOOP; END;\n/",
    ),
    (
        Dialect::Oracle,
        "INSERT ALL WHEN a > 1 THEN INTO x (a) VALUES (p) ELSE INTO y SELECT p FROM (SELECT t.a p FROM t) SAMPLE (10) SEED (1)",
    ),
    (
        Dialect::Hive,
        "FROM t INSERT OVERWRITE DIRECTORY '/d' SELECT TRANSFORM (a, b) USING 'x' AS (c, d) WHERE e DIV 2 = ${x} INSERT INTO TABLE y PARTITION (d) SELECT f",
    ),
    (
        Dialect::Spark,
        "INSERT OVERWRITE DIRECTORY USING parquet OPTIONS ('path' '/d') SELECT a, k FROM delta.`/p` LATERAL VIEW OUTER explode(m) e AS k, v",
    ),
    (
        Dialect::Spark,
        "CACHE LAZY TABLE x OPTIONS ('a' 'b') AS SELECT a FROM t VERSION AS OF 3; CREATE TEMP VIEW v (a, b) USING csv OPTIONS (path '/p', header true)",
    ),
    (
        Dialect::Databricks,
        "CREATE OR REFRESH STREAMING TABLE t AS SELECT * FROM STREAM read_files('/p'); CREATE FLOW f AS AUTO CDC INTO t FROM STREAM(s) KEYS (id)",
    ),
    (
        Dialect::ClickHouse,
        "WITH 1 AS x, (SELECT max(b) FROM u) AS m, c AS (SELECT 1) SELECT a ? x : m, * APPLY(sum) FROM t FINAL GLOBAL ANY LEFT JOIN u USING id, k ARRAY JOIN l AS i SAMPLE 1/10",
    ),
    (
        Dialect::ClickHouse,
        "CREATE MATERIALIZED VIEW mv TO t (a Int32) AS SELECT a FROM s; ALTER TABLE t UPDATE a = b WHERE c; CREATE DICTIONARY d (a Int32) SOURCE(CLICKHOUSE(TABLE 's' DB 'x'))",
    ),
    (
        Dialect::DuckDb,
        "UNPIVOT t ON a, b INTO NAME k VALUE v, w; PIVOT t ON k IN ('a', 'b') USING sum(v) AS s GROUP BY id ORDER BY 1",
    ),
    (
        Dialect::DuckDb,
        "SELECT x: a, [y * 2 FOR y IN l IF y > a] z, #1, b // c ** 2 FROM t WHERE a IN [1, 2] AND b IN t.l USING SAMPLE 10%",
    ),
    (
        Dialect::DuckDb,
        "MERGE INTO t USING s USING (id) WHEN MATCHED THEN UPDATE BY NAME WHEN NOT MATCHED THEN INSERT BY NAME * RETURNING *",
    ),
    (
        Dialect::Teradata,
        ".LOGON x\nLOCKING ROW FOR ACCESS SEL a (TITLE 'x'), RANK(b DESC), CASE_N(c < 1, NO CASE OR UNKNOWN), (d - e) DAY(4) TO SECOND FROM t SAMPLE .1, .2",
    ),
    (
        Dialect::Teradata,
        "INS t (1, 'x'); UPD t SET a = b ELSE INSERT INTO t (1); CREATE MACRO m (x INT) AS (SEL a FROM t; INS u SEL b FROM s;)",
    ),
    (
        Dialect::Teradata,
        "MERGE INTO t USING (SEL a FROM s) s ON t.a EQ s.a WHEN MATCHED THEN UPD SET b = s.b WHEN NOT MATCHED THEN INS (s.a, s.b)",
    ),
    (
        Dialect::Db2,
        "SELECT CURRENT DATE - 1 MONTH, a CONCAT b FROM FINAL TABLE (INSERT INTO t (a) SELECT a FROM s), TABLE (SELECT c FROM u) x FOR BUSINESS_TIME AS OF CURRENT TIMESTAMP",
    ),
    (Dialect::Db2, "LOAD FROM x.del OF DEL INSERT INTO t (a, b); EXPORT TO y.del OF DEL SELECT a FROM t WITH UR"),
    (
        Dialect::Snowflake,
        "SELECT {*}, {'a': b}, $1:x.y FROM @s/p (FILE_FORMAT => 'f') x AT (OFFSET => -1) ->> SELECT a FROM $1 ->> INSERT INTO t SELECT * FROM $2",
    ),
    (
        Dialect::Snowflake,
        "EXECUTE IMMEDIATE $$ DECLARE c CURSOR FOR SELECT a FROM s; BEGIN LET x := (SELECT 1); FOR r IN c DO INSERT INTO t VALUES (r.a); END FOR; END $$",
    ),
    (
        Dialect::BigQuery,
        "LOAD DATA OVERWRITE d.t FROM FILES (format = 'CSV', uris = ['a', 'b']); EXPORT DATA OPTIONS (uri = 'x') AS SELECT WITH DIFFERENTIAL_PRIVACY OPTIONS (e = 1) a FROM ML.PREDICT(MODEL d.m, TABLE d.t)",
    ),
    (
        Dialect::Trino,
        "SELECT * FROM TABLE(f(input => TABLE(c.s.t) PARTITION BY a ORDER BY b, d => DESCRIPTOR(x), n => 1)) MATCH_RECOGNIZE (MEASURES FINAL LAST(A.c) AS m PATTERN (A B+) SUBSET U = (A, B) DEFINE B AS c > 1)",
    ),
    (
        Dialect::MySql,
        "DELIMITER //\nCREATE PROCEDURE p() BEGIN UPDATE t, (s) SET t.a = s.a; SELECT a INTO OUTFILE '/x' FROM (t, u) LEFT JOIN w ON 1; END //\nDELIMITER ;",
    ),
    (
        Dialect::Postgres,
        "\\set x 1\nCREATE RECURSIVE VIEW v (n) AS SELECT 1 UNION ALL SELECT n FROM v; UPDATE ONLY t SET l[1] = s.x FROM s; DO $$ BEGIN PERFORM f() FROM t; END $$",
    ),
    (
        Dialect::Ansi,
        "WITH RECURSIVE r AS (SELECT a FROM t UNION SELECT a FROM r) SEARCH DEPTH FIRST BY a, b SET o CYCLE a SET c TO 1 DEFAULT 0 SELECT a FROM r\nINSERT INTO t SELECT JSON_TABLE(d, '$' AS p COLUMNS (a int)) FROM s",
    ),
];

/// Small enough to be reached.
const LIMITS: Limits = Limits { text_bytes: 1 << 16, statements: 50, depth: 40, edges: 500, steps: 20_000 };

fn answered(dialect: Dialect, text: &str) {
    let options = Options { limits: LIMITS, ..Options::default() };
    let mut session = Session::default();
    let statements = analyse(text, dialect, &mut session, &NoCatalog, &options);
    // Each text inside of a text may say once more that there are too many.
    assert!(statements.len() <= LIMITS.statements * 4, "{} statements of {text}", statements.len());
    for statement in &statements {
        assert!(statement.columns.len() <= LIMITS.edges * 2, "{} columns of {text}", statement.columns.len());
        assert!(
            statement.span.0 <= statement.span.1 && statement.span.1 <= text.len(),
            "{:?} in {text}",
            statement.span
        );
    }
    merge(&statements);
    explain(&statements);
}

/// The text with other values: everything that its shape leaves out is another character of the same kind.
fn with_other_values(text: &str, dialect: Dialect) -> String {
    let shape = shape(text, dialect);
    let other = text.bytes().zip(&shape).map(|(byte, left)| match byte {
        _ if byte == *left => byte,
        b'0'..=b'9' if *left == b'0' => b'1' + (byte - b'0') % 9,
        _ => b'y',
    });
    String::from_utf8(other.collect()).expect("only ASCII was exchanged")
}

/// What can be relied on of statements that were understood.
fn understood(dialect: Dialect, text: &str) -> Option<(Vec<StatementLineage>, Session)> {
    let options = Options { limits: LIMITS, ..Options::default() };
    let mut session = Session::default();
    let statements = analyse(text, dialect, &mut session, &NoCatalog, &options);
    statements.iter().all(|one| one.status == Status::Complete).then_some((statements, session))
}

fn does_the_same_with_other_values(dialect: Dialect, text: &str) -> bool {
    let other = with_other_values(text, dialect);
    assert_eq!(shape(text, dialect), shape(&other, dialect), "{text}");
    assert_eq!(normalise(text, dialect), normalise(&other, dialect), "{text}");
    let Some(known) = understood(dialect, text) else { return false };
    assert_eq!(understood(dialect, &other), Some(known), "{text}\n{other}");
    other != text
}

#[test]
fn texts_of_one_shape_do_the_same() {
    let texts = [
        "SELECT a, b * 1.5 x FROM t WHERE c = 'x' AND d BETWEEN 5 AND 10 LIMIT 3",
        "WITH r AS (SELECT a FROM t WHERE b > 5) SELECT CASE WHEN a = 'q' THEN 1 END y FROM r JOIN u ON u.i = 3 HAVING max(b) > 2",
        "INSERT INTO x SELECT a - 5, b FROM (SELECT * FROM t WHERE k = '2026-01-01') s WHERE s.n <> 7",
        "CREATE TABLE y AS SELECT a / 3 AS z FROM t WHERE d >= DATE '2026-01-01' AND (e = 'f' OR g < 12)",
    ];
    for text in texts {
        for dialect in [Dialect::Ansi, Dialect::Postgres, Dialect::Snowflake, Dialect::Spark, Dialect::BigQuery] {
            assert!(does_the_same_with_other_values(dialect, text), "{text}");
        }
    }
    for (dialect, text) in STATEMENTS {
        does_the_same_with_other_values(*dialect, text);
    }
}

/// Cut before any blank, bracket, comma or quote.
fn words(text: &str) -> Vec<&str> {
    text.split_inclusive([' ', '(', ')', ',', '\'', '.', '\n']).collect()
}

#[test]
fn every_beginning_of_every_statement_is_answered() {
    for (dialect, text) in STATEMENTS {
        for (at, _) in text.char_indices() {
            answered(*dialect, &text[..at]);
            if at % 7 == 0 {
                answered(*dialect, &text[at..]);
            }
        }
    }
}

#[test]
fn statements_deep_inside_of_brackets_are_answered() {
    for (dialect, text) in STATEMENTS {
        for depth in [1, 30, 500] {
            answered(*dialect, &format!("SELECT * FROM {}{text}{}", "(".repeat(depth), ")".repeat(depth)));
            answered(*dialect, &format!("{}{text}", "(".repeat(depth)));
            answered(*dialect, &format!("{}{text}{}", "BEGIN ".repeat(depth), " END;".repeat(depth)));
        }
    }
}

#[test]
fn requests_are_answered_line_by_line_however_broken() {
    let request = r#"{"id": 1, "dialect": "snowflake", "sql": "SELECT * FROM t ->> SELECT a FROM $1", "schemas": {"t": ["a", "b"]}, "types": {"t": {"a": "int"}}, "views": {"v": "SELECT a FROM v"}, "options": {"detail": true}}"#;
    let mut lines = Lines::new(Dialect::Ansi, Defaults::default());
    for at in 0..=request.len() {
        for text in [request[..at].to_owned(), format!("{}{}", &request[..at], &request[(at + 1).min(request.len())..])]
        {
            let mut out = Vec::new();
            lines.answer(&text, &mut out);
            let answer: serde_json::Value = serde_json::from_slice(&out).expect("an answer is JSON");
            assert!(answer.get("inputs").is_some() && answer.get("error").is_some(), "{answer}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_statements_are_answered(
        which in 0..STATEMENTS.len(),
        changes in proptest::collection::vec((0_u8..4, 0_usize..200, 0_usize..200), 1..6),
        other in 0..STATEMENTS.len(),
    ) {
        let (_, text) = STATEMENTS[which];
        let mut parts = words(text);
        for (change, one, two) in changes {
            if parts.is_empty() {
                break;
            }
            let (one, two) = (one % parts.len(), two % parts.len());
            match change {
                0 => {
                    parts.remove(one);
                }
                1 => parts.insert(two, parts[one]),
                2 => parts.swap(one, two),
                _ => parts[one] = "x ",
            }
        }
        // In its own dialect and in somebody else's.
        answered(STATEMENTS[which].0, &parts.concat());
        answered(STATEMENTS[other].0, &parts.concat());
        does_the_same_with_other_values(STATEMENTS[which].0, &parts.concat());
    }

    #[test]
    fn conditions_of_any_words_leave_the_answer_as_it_is(
        words in proptest::collection::vec(
            prop::sample::select(vec![
                "a", "t.b", "=", "<", "5", "12", "'x'", "'y z'", "AND", "OR", "BETWEEN", "(", ")", ",", "WHERE", "ON", "SELECT",
                "FROM", "u", "JOIN", "LIMIT", "*", "+", "-", "CASE", "WHEN", "THEN", "END", "DATE", "GROUP BY", "IN", "f(", "[",
                "]", "AS", "UNION ALL",
            ]),
            0..14,
        ),
        dialect in prop::sample::select(vec![
            Dialect::Ansi, Dialect::Postgres, Dialect::Snowflake, Dialect::Spark, Dialect::BigQuery, Dialect::TSql, Dialect::DuckDb,
        ]),
    ) {
        let end = words.join(" ");
        does_the_same_with_other_values(dialect, &format!("INSERT INTO x SELECT a, b c FROM t WHERE {end}"));
        does_the_same_with_other_values(dialect, &format!("SELECT a, {end} FROM t WHERE d = 5"));
    }
}
