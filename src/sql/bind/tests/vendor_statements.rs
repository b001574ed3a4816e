//! What single vendors say in their own way: each was refused or misread once.

use super::{Case, check};
use crate::sql::Dialect;

#[test]
fn tsql() {
    check(&[
        Case { dialect: Dialect::TSql, catalog: "", sql: "INSERT t EXEC p", expected: &["-> t"] },
        Case {
            dialect: Dialect::TSql,
            catalog: "",
            sql: "INSERT INTO dbo.t (a, b) EXEC dbo.p @x = 1",
            expected: &["-> dbo.t"],
        },
        Case {
            dialect: Dialect::TSql,
            catalog: "",
            sql: "INSERT INTO dbo.t EXEC sp_executesql N'select a, b from dbo.s'",
            expected: &["dbo.s -> dbo.t", "dbo.t.a < dbo.s.a", "dbo.t.b < dbo.s.b"],
        },
        Case {
            dialect: Dialect::TSql,
            catalog: "",
            sql: "INSERT INTO t EXEC ('select a from s')",
            expected: &["s -> t", "t.a < s.a"],
        },
        Case { dialect: Dialect::TSql, catalog: "", sql: "BULK INSERT t FROM 'f.csv'", expected: &["f.csv -> t"] },
        Case {
            dialect: Dialect::TSql,
            catalog: "",
            sql: "BULK INSERT dbo.t FROM 'c:\\x\\f.csv' WITH (FIELDTERMINATOR = ',', ROWTERMINATOR = '\n')",
            expected: &["c:\\x\\f.csv -> dbo.t"],
        },
        Case {
            dialect: Dialect::TSql,
            catalog: "",
            sql: "SELECT * FROM OPENROWSET(BULK 'https://x/y.parquet', FORMAT='PARQUET') AS r",
            expected: &["https://x/y.parquet ->", "* < https://x/y.parquet.*"],
        },
        Case {
            dialect: Dialect::TSql,
            catalog: "",
            sql: "SELECT a FROM t FOR SYSTEM_TIME BETWEEN '2020-01-01' AND '2021-01-01' AS x",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::TSql,
            catalog: "",
            sql: "INSERT TOP (10) INTO t (a) SELECT a FROM s",
            expected: &["s -> t", "t.a < s.a"],
        },
        Case { dialect: Dialect::TSql, catalog: "", sql: "UPDATE STATISTICS t", expected: &["->"] },
        Case {
            dialect: Dialect::TSql,
            catalog: "",
            sql: "SELECT COUNT_BIG(*) AS c, GROUPING(a) AS g FROM t GROUP BY ROLLUP(a)",
            expected: &["t ->", "g < t.a"],
        },
        Case {
            dialect: Dialect::TSql,
            catalog: "",
            sql: "SELECT a INTO t FROM s\nGO\nINSERT INTO u (a) SELECT a FROM t\nGO 5",
            expected: &["s, t -> t, u", "t.a < s.a", "u.a < t.a"],
        },
    ]);
}

#[test]
fn oracle() {
    check(&[
        Case {
            dialect: Dialect::Oracle,
            catalog: "",
            sql: "SELECT a FROM t AS OF TIMESTAMP SYSTIMESTAMP - INTERVAL '1' HOUR",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Oracle,
            catalog: "",
            sql: "SELECT a FROM t AS OF TIMESTAMP x - 1",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Oracle,
            catalog: "",
            sql: "SELECT a FROM t VERSIONS BETWEEN SCN MINVALUE AND MAXVALUE",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Oracle,
            catalog: "",
            sql: "SELECT PRIOR a AS x FROM t CONNECT BY PRIOR id = pid",
            expected: &["t ->", "x < t.a"],
        },
        Case {
            dialect: Dialect::Oracle,
            catalog: "",
            sql: "SELECT a FROM t PARTITION FOR (DATE '2020-01-01') x",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Oracle,
            catalog: "",
            sql: "SELECT MAX(a) KEEP (DENSE_RANK FIRST ORDER BY b) AS x FROM t",
            expected: &["t ->", "x < t.a, t.b"],
        },
        Case {
            dialect: Dialect::Oracle,
            catalog: "",
            sql: "WITH FUNCTION f (x NUMBER) RETURN NUMBER IS BEGIN RETURN x; END; SELECT f(a) z FROM t",
            expected: &["t ->", "z < t.a"],
        },
        Case {
            dialect: Dialect::Oracle,
            catalog: "",
            sql: "WITH r (n, p) AS (SELECT id, pid FROM t UNION ALL SELECT t.id, t.pid FROM t JOIN r ON r.n = t.pid) SEARCH DEPTH FIRST BY n SET o CYCLE n SET cyc TO 1 DEFAULT 0 SELECT n FROM r",
            expected: &["t ->", "n < t.id"],
        },
    ]);
}

#[test]
fn hive() {
    check(&[
        Case { dialect: Dialect::Hive, catalog: "", sql: "IMPORT TABLE t FROM '/p'", expected: &["/p -> t"] },
        Case {
            dialect: Dialect::Hive,
            catalog: "",
            sql: "IMPORT EXTERNAL TABLE t PARTITION (d='x') FROM '/p' LOCATION '/q'",
            expected: &["/p -> t"],
        },
        Case {
            dialect: Dialect::Hive,
            catalog: "",
            sql: "EXPORT TABLE t PARTITION (d='x') TO '/p'",
            expected: &["t -> /p", "/p.* < t.*"],
        },
        Case {
            dialect: Dialect::Hive,
            catalog: "",
            sql: "SELECT a FROM t JOIN u USING (id) WHERE a RLIKE 'x' AND b <=> c AND d DIV 2 = 1",
            expected: &["t, u ->"],
        },
    ]);
}

#[test]
fn spark() {
    check(&[
        Case {
            dialect: Dialect::Spark,
            catalog: "",
            sql: "CREATE TEMP VIEW v USING parquet OPTIONS (path '/p/x')",
            expected: &["/p/x ->"],
        },
        Case {
            dialect: Dialect::Spark,
            catalog: "",
            sql: "CREATE TEMPORARY VIEW v USING csv OPTIONS (path '/p/x', header 'true'); INSERT INTO t SELECT * FROM v",
            expected: &["/p/x -> t", "t.* < /p/x.*"],
        },
        Case {
            dialect: Dialect::Spark,
            catalog: "",
            sql: "INSERT OVERWRITE DIRECTORY '/d' USING parquet OPTIONS (compression 'x') SELECT a FROM t",
            expected: &["t -> /d", "/d.a < t.a"],
        },
        Case {
            dialect: Dialect::Spark,
            catalog: "",
            sql: "INSERT OVERWRITE DIRECTORY USING parquet OPTIONS ('path' '/d') SELECT a FROM t",
            expected: &["t -> /d", "/d.a < t.a"],
        },
        Case {
            dialect: Dialect::Spark,
            catalog: "",
            sql: "CACHE LAZY TABLE x OPTIONS ('storageLevel' 'DISK_ONLY') SELECT a FROM s; INSERT INTO t SELECT a FROM x",
            expected: &["s -> t", "t.a < s.a"],
        },
        Case {
            dialect: Dialect::Spark,
            catalog: "",
            sql: "MERGE WITH SCHEMA EVOLUTION INTO t USING s ON t.id = s.id WHEN NOT MATCHED BY SOURCE THEN DELETE WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a)",
            expected: &["s -> t", "t.a < s.a"],
        },
        Case {
            dialect: Dialect::Spark,
            catalog: "",
            sql: "CREATE OR REPLACE GLOBAL TEMPORARY VIEW v AS SELECT a FROM s; SELECT a FROM global_temp.v",
            expected: &["s ->", "a < s.a"],
        },
        Case {
            dialect: Dialect::Spark,
            catalog: "",
            sql: "DECLARE OR REPLACE VARIABLE v INT DEFAULT 5; SET VAR v = (SELECT max(a) FROM t)",
            expected: &["t ->"],
        },
    ]);
}

#[test]
fn databricks() {
    check(&[
        Case {
            dialect: Dialect::Databricks,
            catalog: "",
            sql: "CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('/p', format => 'json')",
            expected: &["-> t"],
        },
        Case {
            dialect: Dialect::Databricks,
            catalog: "",
            sql: "APPLY CHANGES INTO LIVE.t FROM STREAM(LIVE.s) KEYS (id) SEQUENCE BY ts STORED AS SCD TYPE 2",
            expected: &["live.s -> live.t", "live.t.* < live.s.*"],
        },
        Case {
            dialect: Dialect::Databricks,
            catalog: "",
            sql: "CREATE TABLE t SHALLOW CLONE s",
            expected: &["s -> t", "t.* < s.*"],
        },
        Case {
            dialect: Dialect::Databricks,
            catalog: "",
            sql: "CREATE OR REPLACE TABLE t DEEP CLONE s VERSION AS OF 3 LOCATION '/p'",
            expected: &["s -> t", "t.* < s.*"],
        },
        Case {
            dialect: Dialect::Databricks,
            catalog: "",
            sql: "CREATE VIEW v WITH METRICS LANGUAGE YAML AS $$ x $$",
            expected: &["-> v"],
        },
    ]);
}

#[test]
fn clickhouse() {
    check(&[
        Case {
            dialect: Dialect::ClickHouse,
            catalog: "",
            sql: "WITH 1 AS x SELECT a, x FROM t",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::ClickHouse,
            catalog: "",
            sql: "WITH (SELECT max(b) FROM u) AS m, now() AS n SELECT a, m FROM t",
            expected: &["t, u ->", "a < t.a", "m < u.b"],
        },
        Case {
            dialect: Dialect::ClickHouse,
            catalog: "",
            sql: "SELECT t.a FROM t GLOBAL ANY LEFT JOIN u USING id",
            expected: &["t, u ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::ClickHouse,
            catalog: "",
            sql: "SELECT * APPLY(sum) FROM t",
            expected: &["t ->", "* < t.*"],
        },
        Case {
            dialect: Dialect::ClickHouse,
            catalog: "",
            sql: "INSERT INTO t (* EXCEPT (b)) SELECT a FROM s",
            expected: &["s -> t", "t.a < s.a"],
        },
        Case {
            dialect: Dialect::ClickHouse,
            catalog: "",
            sql: "INSERT INTO t FROM INFILE 'x.csv' FORMAT CSV",
            expected: &["x.csv -> t"],
        },
        Case {
            dialect: Dialect::ClickHouse,
            catalog: "",
            sql: "CREATE DICTIONARY d (id UInt64, v String) PRIMARY KEY id SOURCE(CLICKHOUSE(TABLE 's' DB 'db')) LAYOUT(FLAT()) LIFETIME(300)",
            expected: &["db.s -> d", "d.* < db.s.*"],
        },
        Case {
            dialect: Dialect::ClickHouse,
            catalog: "",
            sql: "CREATE WINDOW VIEW v AS SELECT count(a) FROM t GROUP BY tumble(ts, INTERVAL '1' HOUR)",
            expected: &["t -> v", "v._c0 < t.a"],
        },
        Case {
            dialect: Dialect::ClickHouse,
            catalog: "",
            sql: "ALTER TABLE t UPDATE a = b WHERE c = 1",
            expected: &["-> t", "t.a < t.b"],
        },
        Case {
            dialect: Dialect::ClickHouse,
            catalog: "",
            sql: "SELECT if(a > 1, b, c) x, multiIf(a=1, b, c) y, a ? b : c AS z FROM t",
            expected: &["t ->", "x < t.a, t.b, t.c", "y < t.a, t.b, t.c", "z < t.a, t.b, t.c"],
        },
        Case {
            dialect: Dialect::ClickHouse,
            catalog: "",
            sql: "SELECT a FROM (SELECT a FROM s) AS x PASTE JOIN (SELECT b FROM r) AS y",
            expected: &["r, s ->", "a < s.a"],
        },
    ]);
}
