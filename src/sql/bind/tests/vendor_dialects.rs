//! What single vendors say in their own way, the other half: each was refused or misread once.

use super::{Case, check};
use crate::sql::Dialect;

#[test]
fn duckdb() {
    check(&[
        Case {
            dialect: Dialect::DuckDb,
            catalog: "t(id, k, v)",
            sql: "PIVOT t ON k IN ('a', 'b') USING sum(v) GROUP BY id",
            expected: &["t ->", "id < t.id", "a < t.v", "b < t.v"],
        },
        Case {
            dialect: Dialect::DuckDb,
            catalog: "t(id, a, b)",
            sql: "UNPIVOT t ON a, b INTO NAME k VALUE v",
            expected: &["t ->", "id < t.id", "k < t.a, t.b", "v < t.a, t.b"],
        },
        Case {
            dialect: Dialect::DuckDb,
            catalog: "",
            sql: "FROM (UNPIVOT t ON COLUMNS(* EXCLUDE id) INTO NAME k VALUE v) SELECT v",
            expected: &["t ->"],
        },
        Case {
            dialect: Dialect::DuckDb,
            catalog: "t(id, a, b)",
            sql: "WITH p AS (UNPIVOT t ON a, b INTO NAME k VALUE v) SELECT v FROM p",
            expected: &["t ->", "v < t.a, t.b"],
        },
        Case { dialect: Dialect::DuckDb, catalog: "", sql: "EXPORT DATABASE 'd' (FORMAT parquet)", expected: &["->"] },
        Case { dialect: Dialect::DuckDb, catalog: "", sql: "IMPORT DATABASE 'd'", expected: &["->"] },
        Case { dialect: Dialect::DuckDb, catalog: "", sql: "SUMMARIZE SELECT a FROM t", expected: &["t ->"] },
        Case {
            dialect: Dialect::DuckDb,
            catalog: "",
            sql: "SELECT x: a, y: b + 1 FROM t",
            expected: &["t ->", "x < t.a", "y < t.b"],
        },
        Case {
            dialect: Dialect::DuckDb,
            catalog: "",
            sql: "SELECT [x * 2 FOR x IN l IF x > a] AS y FROM t",
            expected: &["t ->", "y < t.a, t.l"],
        },
        Case {
            dialect: Dialect::DuckDb,
            catalog: "",
            sql: "CREATE OR REPLACE MACRO m(x) AS TABLE SELECT a FROM s WHERE b = x",
            expected: &["s ->"],
        },
        Case {
            dialect: Dialect::DuckDb,
            catalog: "",
            sql: "SELECT a IS DISTINCT FROM b AS x, a // b AS y, a ** 2 AS z FROM t",
            expected: &["t ->", "x < t.a, t.b", "y < t.a, t.b", "z < t.a"],
        },
        Case {
            dialect: Dialect::DuckDb,
            catalog: "",
            sql: "CREATE TABLE x AS SELECT #1 FROM t",
            expected: &["t -> x"],
        },
        Case {
            dialect: Dialect::DuckDb,
            catalog: "",
            sql: "MERGE INTO t USING s USING (id) WHEN MATCHED THEN UPDATE WHEN NOT MATCHED THEN INSERT",
            expected: &["s -> t", "t.* < s.*"],
        },
        Case {
            dialect: Dialect::DuckDb,
            catalog: "",
            sql: "SELECT a FROM t WHERE b IN [1, 2] AND 'x' IN l",
            expected: &["t ->", "a < t.a"],
        },
    ]);
}

#[test]
fn teradata() {
    check(&[
        Case { dialect: Dialect::Teradata, catalog: "", sql: "INS t (1, 2)", expected: &["-> t"] },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: "INSERT INTO t (1, 'x', CURRENT_DATE)",
            expected: &["-> t"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: "MERGE INTO t USING (SEL id, a FROM s) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = s.a WHEN NOT MATCHED THEN INSERT (s.id, s.a)",
            expected: &["s -> t", "t.a < s.a", "t.id < s.id"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: "LOCK ROW ACCESS SEL a FROM t",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: "SELECT a FROM t WHERE b EQ 1 AND c NE 2 AND d GE 3 AND e MOD 2 = 0 AND f NOT= 3 AND g ^= 1",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: "SELECT RANK(a DESC) x FROM t",
            expected: &["t ->", "x < t.a"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: "CREATE MACRO m (x INT) AS (SELECT a FROM t WHERE b = :x; INSERT INTO u SELECT a FROM s;)",
            expected: &["s, t -> u", "u.a < s.a"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: ".LOGON x/y,z\nSELECT a FROM t;\n.IF ERRORCODE <> 0 THEN .QUIT 8\nINSERT INTO u SELECT a FROM s;\n.LOGOFF",
            expected: &["s, t -> u", "a < t.a", "u.a < s.a"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: ".EXPORT FILE = x.txt\nSEL a FROM t;\n.EXPORT RESET",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: "BT; INSERT INTO t SELECT a FROM s; ET;",
            expected: &["s -> t", "t.a < s.a"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: "SELECT a FROM t EXPAND ON p AS q BY ANCHOR MONTH",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: "SELECT CASE_N(a < 1, a < 2, NO CASE) x FROM t",
            expected: &["t ->", "x < t.a"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: "SELECT a FROM t SAMPLE .25, .25",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: "UPDATE t SET a = b ELSE INSERT INTO t (a) VALUES (1)",
            expected: &["-> t", "t.a < t.b"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: "SELECT ADD_MONTHS(a, -1) x, a - INTERVAL '1' MONTH y, (a - b) DAY(4) z, EXTRACT(YEAR FROM a) w FROM t",
            expected: &["t ->", "x < t.a", "y < t.a", "z < t.a, t.b", "w < t.a"],
        },
    ]);
}

#[test]
fn db2() {
    check(&[
        Case {
            dialect: Dialect::Db2,
            catalog: "",
            sql: "SELECT a FROM FINAL TABLE (INSERT INTO t (a) SELECT a FROM s)",
            expected: &["s -> t", "t.a < s.a", "a < s.a"],
        },
        Case {
            dialect: Dialect::Db2,
            catalog: "",
            sql: "DECLARE GLOBAL TEMPORARY TABLE session.x (a INT) WITH REPLACE; INSERT INTO session.x SELECT a FROM s; INSERT INTO t (a) SELECT a FROM session.x",
            expected: &["s -> t", "t.a < s.a"],
        },
        Case {
            dialect: Dialect::Db2,
            catalog: "",
            sql: "SELECT a FROM t FOR SYSTEM_TIME AS OF CURRENT TIMESTAMP - 1 DAY",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Db2,
            catalog: "",
            sql: "SELECT a FROM t FOR BUSINESS_TIME FROM '2020-01-01' TO '2021-01-01'",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Db2,
            catalog: "",
            sql: "SELECT CURRENT DATE - 1 MONTH AS x, a FROM t",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Db2,
            catalog: "",
            sql: "SELECT a CONCAT b AS x FROM t",
            expected: &["t ->", "x < t.a, t.b"],
        },
        Case {
            dialect: Dialect::Db2,
            catalog: "",
            sql: "LOAD FROM x.del OF DEL INSERT INTO t",
            expected: &["x.del -> t"],
        },
        Case {
            dialect: Dialect::Db2,
            catalog: "",
            sql: "EXPORT TO x.del OF DEL SELECT a FROM t",
            expected: &["t -> x.del", "x.del.a < t.a"],
        },
        Case {
            dialect: Dialect::Db2,
            catalog: "",
            sql: "SELECT a, b FROM t, TABLE (SELECT c AS b FROM u WHERE u.id = t.id) AS x",
            expected: &["t, u ->", "a < t.a", "b < u.c"],
        },
        Case {
            dialect: Dialect::Db2,
            catalog: "",
            sql: "SET CURRENT SCHEMA = 'x'; SELECT a FROM t",
            expected: &["x.t ->", "a < x.t.a"],
        },
    ]);
}

#[test]
fn snowflake() {
    check(&[
        Case {
            dialect: Dialect::Snowflake,
            catalog: "",
            sql: "CREATE SEMANTIC VIEW v TABLES (x AS db.s PRIMARY KEY (id), y AS db.r) RELATIONSHIPS (x_y AS x (id) REFERENCES y) FACTS (x.f AS a) DIMENSIONS (y.d AS b) METRICS (x.m AS SUM(f))",
            expected: &["-> v"],
        },
        Case {
            dialect: Dialect::Snowflake,
            catalog: "",
            sql: "SELECT a FROM t ->> SELECT a FROM $1",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Snowflake,
            catalog: "",
            sql: "MERGE INTO t USING (SELECT * FROM s) s ON t.id = s.id WHEN MATCHED AND s.d THEN DELETE WHEN NOT MATCHED THEN INSERT ALL BY NAME",
            expected: &["s -> t", "t.* < s.*"],
        },
        Case {
            dialect: Dialect::Snowflake,
            catalog: "",
            sql: "SELECT {'a': a, 'b': b} AS o, {*} AS p FROM t",
            expected: &["t ->", "o < t.a, t.b", "p < t.*"],
        },
    ]);
}

#[test]
fn bigquery() {
    check(&[
        Case {
            dialect: Dialect::BigQuery,
            catalog: "",
            sql: "LOAD DATA INTO d.t FROM FILES (format = 'CSV', uris = ['gs://b/x.csv', 'gs://b/y.csv'])",
            expected: &["gs://b/x.csv, gs://b/y.csv -> d.t"],
        },
        Case {
            dialect: Dialect::BigQuery,
            catalog: "",
            sql: "LOAD DATA OVERWRITE d.t (a INT64) PARTITION BY a FROM FILES (uris = ['gs://b/x.csv'], format = 'CSV') WITH PARTITION COLUMNS",
            expected: &["gs://b/x.csv -> d.t"],
        },
        Case {
            dialect: Dialect::BigQuery,
            catalog: "",
            sql: "CREATE TABLE d.t COPY d.s",
            expected: &["d.s -> d.t", "d.t.* < d.s.*"],
        },
        Case {
            dialect: Dialect::BigQuery,
            catalog: "",
            sql: "SELECT a FROM ML.PREDICT(MODEL `d.m`, (SELECT a, b FROM d.t))",
            expected: &["d.t ->", "a < d.t.a, d.t.b"],
        },
        Case {
            dialect: Dialect::BigQuery,
            catalog: "",
            sql: "SELECT a FROM ML.PREDICT(MODEL d.m, TABLE d.t)",
            expected: &["d.t ->", "a < d.t.*"],
        },
        Case {
            dialect: Dialect::BigQuery,
            catalog: "",
            sql: "CREATE MODEL d.m OPTIONS (model_type = 'x') AS SELECT a FROM d.t",
            expected: &["d.t ->"],
        },
        Case {
            dialect: Dialect::BigQuery,
            catalog: "",
            sql: "CREATE TEMP TABLE x AS SELECT a FROM d.s; SELECT a FROM _SESSION.x",
            expected: &["d.s ->", "a < d.s.a"],
        },
        Case {
            dialect: Dialect::BigQuery,
            catalog: "",
            sql: "SELECT WITH DIFFERENTIAL_PRIVACY OPTIONS (epsilon = 1) COUNT(a) AS x FROM t",
            expected: &["t ->", "x < t.a"],
        },
        Case {
            dialect: Dialect::BigQuery,
            catalog: "",
            sql: "SELECT a FROM APPENDS(TABLE d.t, NULL, NULL)",
            expected: &["d.t ->", "a < d.t.*"],
        },
        Case {
            dialect: Dialect::BigQuery,
            catalog: "",
            sql: "ASSERT (SELECT COUNT(*) FROM d.t) > 0 AS 'x'",
            expected: &["d.t ->"],
        },
    ]);
}

#[test]
fn trino() {
    check(&[
        Case {
            dialect: Dialect::Trino,
            catalog: "",
            sql: "SELECT * FROM TABLE(f(input => TABLE(t)))",
            expected: &["t ->"],
        },
        Case {
            dialect: Dialect::Trino,
            catalog: "",
            sql: "SELECT * FROM TABLE(exclude_columns(input => TABLE(c.s.t), columns => DESCRIPTOR(a)))",
            expected: &["c.s.t ->"],
        },
        Case {
            dialect: Dialect::Trino,
            catalog: "",
            sql: "SELECT * FROM TABLE(f(input => TABLE(SELECT a FROM t) PARTITION BY a ORDER BY b, n => 1)) x",
            expected: &["t ->"],
        },
        Case {
            dialect: Dialect::Trino,
            catalog: "",
            sql: "SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY a ORDER BY b MEASURES A.c AS m, CLASSIFIER() AS cl ALL ROWS PER MATCH PATTERN (A B+) SUBSET U = (A, B) DEFINE B AS c > 1)",
            expected: &["t ->", "* < t.*", "m < t.c"],
        },
        Case {
            dialect: Dialect::Trino,
            catalog: "",
            sql: "WITH FUNCTION f(x INT) RETURNS INT RETURN x + 1 SELECT f(a) AS y FROM t",
            expected: &["t ->", "y < t.a"],
        },
    ]);
}

#[test]
fn mysql() {
    check(&[
        Case {
            dialect: Dialect::MySql,
            catalog: "",
            sql: "UPDATE t, s SET t.a = s.a, s.b = t.b WHERE t.id = s.id",
            expected: &["-> s, t", "t.a < s.a", "s.b < t.b"],
        },
        Case {
            dialect: Dialect::MySql,
            catalog: "",
            sql: "SELECT a INTO OUTFILE '/x' FIELDS TERMINATED BY ',' FROM t",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::MySql,
            catalog: "",
            sql: "CREATE TABLE t (id INT) SELECT a FROM s",
            expected: &["s -> t", "t.a < s.a"],
        },
        Case {
            dialect: Dialect::MySql,
            catalog: "",
            sql: "CREATE ALGORITHM=MERGE DEFINER=`root`@`%` SQL SECURITY INVOKER VIEW v AS SELECT a FROM t WITH CASCADED CHECK OPTION",
            expected: &["t -> v", "v.a < t.a"],
        },
        Case {
            dialect: Dialect::MySql,
            catalog: "",
            sql: "SELECT a FROM t WHERE b REGEXP 'x' AND c <=> d AND NOT e XOR f AND a DIV 2 = 1 AND a MOD 2 = 1",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::MySql,
            catalog: "",
            sql: "SELECT a FROM (t, u) LEFT JOIN w ON t.id = w.id",
            expected: &["t, u, w ->"],
        },
        Case {
            dialect: Dialect::MySql,
            catalog: "",
            sql: "SELECT MATCH (a, b) AGAINST ('x' IN BOOLEAN MODE) AS s FROM t",
            expected: &["t ->", "s < t.a, t.b"],
        },
        Case { dialect: Dialect::MySql, catalog: "", sql: "DO SLEEP(1)", expected: &["->"] },
    ]);
}

#[test]
fn redshift() {
    check(&[
        Case {
            dialect: Dialect::Redshift,
            catalog: "",
            sql: "SELECT LISTAGG(a, ',') WITHIN GROUP (ORDER BY b) x, APPROXIMATE COUNT(DISTINCT c) y, MEDIAN(d) z FROM t",
            expected: &["t ->", "x < t.a, t.b", "y < t.c", "z < t.d"],
        },
        Case {
            dialect: Dialect::Redshift,
            catalog: "",
            sql: "CREATE MODEL m FROM (SELECT a, b FROM t) TARGET b FUNCTION f IAM_ROLE 'x' SETTINGS (S3_BUCKET 'y')",
            expected: &["t ->"],
        },
    ]);
}

#[test]
fn postgres() {
    check(&[
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "CREATE RECURSIVE VIEW v (n) AS SELECT a FROM t UNION ALL SELECT n + 1 FROM v WHERE n < 9",
            expected: &["t -> v", "v.n < t.a"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "CREATE FOREIGN TABLE t (a int OPTIONS (x 'y')) SERVER z OPTIONS (u 'v')",
            expected: &["-> t"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "IMPORT FOREIGN SCHEMA x FROM SERVER y INTO z",
            expected: &["->"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "PREPARE q (int) AS INSERT INTO t (a) SELECT a FROM s WHERE b = $1; EXECUTE q (1)",
            expected: &["s -> t", "t.a < s.a"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "DECLARE c CURSOR WITH HOLD FOR SELECT a FROM s; FETCH ALL FROM c",
            expected: &["s ->"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "WITH RECURSIVE r AS (SELECT a, p FROM t UNION SELECT t.a, t.p FROM t, r WHERE t.p = r.a) SEARCH BREADTH FIRST BY a SET o CYCLE a SET c USING pa SELECT a FROM r",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "SELECT jt.* FROM t, JSON_TABLE(t.doc, '$[*]' AS p PASSING 1 AS x COLUMNS (id FOR ORDINALITY, a int PATH '$.a' DEFAULT 0 ON EMPTY)) AS jt",
            expected: &["t ->", "a < t.doc"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "SELECT sum(a) OVER (w ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) AS x FROM t WINDOW w AS (PARTITION BY b ORDER BY c)",
            expected: &["t ->", "x < t.a, t.b, t.c"],
        },
    ]);
}

#[test]
fn ansi() {
    check(&[
        Case {
            dialect: Dialect::Ansi,
            catalog: "",
            sql: "SELECT a FROM t WHERE b BETWEEN SYMMETRIC 1 AND 2 AND c LIKE 'x' ESCAPE '!' AND d SIMILAR TO 'y'",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Ansi,
            catalog: "",
            sql: "INSERT INTO t SELECT a FROM s\nINSERT INTO u SELECT b FROM r",
            expected: &["r, s -> t, u", "t.a < s.a", "u.b < r.b"],
        },
        Case {
            dialect: Dialect::Ansi,
            catalog: "",
            sql: "SELECT a FROM s\nSELECT b FROM r",
            expected: &["r, s ->", "a < s.a", "b < r.b"],
        },
    ]);
}
