//! Queries: names, scopes, common table expressions, expressions.

use super::{Case, check};
use crate::sql::Dialect::*;

#[test]
fn lineage() {
    check(&[
        Case {
            dialect: ClickHouse,
            catalog: "",
            sql: "CREATE MATERIALIZED VIEW mv TO tgt AS SELECT id, sum(x) AS sx FROM src GROUP BY id",
            expected: &["src -> tgt", "tgt.id < src.id", "tgt.sx < src.x"],
        },
        Case {
            dialect: TSql,
            catalog: "",
            sql: "WITH c AS (SELECT id, v FROM dbo.t) UPDATE c SET v = 1",
            expected: &["dbo.t -> dbo.t"],
        },
        Case {
            dialect: BigQuery,
            catalog: "",
            sql: "SELECT ARRAY_AGG(STRUCT(a, b) ORDER BY c LIMIT 1)[OFFSET(0)].a AS last_a FROM d.t",
            expected: &["d.t ->", "last_a < d.t.a, d.t.b, d.t.c"],
        },
        Case {
            dialect: BigQuery,
            catalog: "",
            sql: "CREATE OR REPLACE TABLE d.t CLONE d.s",
            expected: &["d.s -> d.t", "d.t.* < d.s.*"],
        },
        Case {
            dialect: Databricks,
            catalog: "",
            sql: "SELECT id, raw:owner.name AS nm, raw:items[0].price::double AS price FROM s",
            expected: &["s ->", "id < s.id", "nm < s.raw", "price < s.raw"],
        },
        Case {
            dialect: BigQuery,
            catalog: "",
            sql: "SELECT a FROM d.t FOR SYSTEM_TIME AS OF TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 1 HOUR)",
            expected: &["d.t ->", "a < d.t.a"],
        },
        Case {
            dialect: DuckDb,
            catalog: "",
            sql: "SELECT a FROM 's3://b/x.parquet'",
            expected: &["s3://b/x.parquet ->", "a < s3://b/x.parquet.a"],
        },
        Case {
            dialect: Databricks,
            catalog: "",
            sql: "SELECT a FROM delta.`/mnt/x`",
            expected: &["/mnt/x ->", "a < /mnt/x.a"],
        },
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "SELECT a, sum(b) OVER w AS sb FROM t WINDOW w AS (PARTITION BY c ORDER BY d)",
            expected: &["t ->", "a < t.a", "sb < t.b, t.c, t.d"],
        },
        Case {
            dialect: Postgres,
            catalog: "",
            sql: "SELECT a, sum(b) OVER w AS sb FROM t WINDOW w AS (PARTITION BY c ORDER BY d)",
            expected: &["t ->", "a < t.a", "sb < t.b, t.c, t.d"],
        },
        Case {
            dialect: Postgres,
            catalog: "",
            sql: "CREATE TABLE x AS SELECT a, b FROM t1 INTERSECT SELECT c, d FROM t2",
            expected: &["t1, t2 -> x", "x.a < t1.a, t2.c", "x.b < t1.b, t2.d"],
        },
        Case { dialect: Snowflake, catalog: "", sql: "CREATE TABLE a CLONE b", expected: &["b -> a", "a.* < b.*"] },
        Case { dialect: Spark, catalog: "", sql: "CREATE TABLE a LIKE b", expected: &["b -> a"] },
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "CREATE DYNAMIC TABLE dt TARGET_LAG='1 minute' WAREHOUSE=w AS SELECT a FROM s",
            expected: &["s -> dt", "dt.a < s.a"],
        },
        Case {
            dialect: Ansi,
            catalog: "",
            sql: "SELECT a FROM (SELECT x AS a FROM t1) q WHERE EXISTS (SELECT 1 FROM t2 WHERE t2.id = q.a)",
            expected: &["t1, t2 ->", "a < t1.x"],
        },
        Case {
            dialect: Ansi,
            catalog: "",
            sql: "SELECT (SELECT max(v) FROM t2 WHERE t2.id = t1.id) AS m, t1.id IN (SELECT k FROM t3) AS f FROM t1",
            expected: &["t1, t2, t3 ->", "m < t2.v", "f < t1.id, t3.k"],
        },
        Case {
            dialect: Ansi,
            catalog: "",
            sql: "WITH a AS (WITH b AS (SELECT x FROM t) SELECT x AS y FROM b), b AS (SELECT y AS z FROM a) SELECT z FROM b",
            expected: &["t ->", "z < t.x"],
        },
        Case {
            dialect: Ansi,
            catalog: "",
            sql: "WITH t AS (SELECT a FROM t) SELECT a FROM t",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Ansi,
            catalog: "",
            sql: "WITH t AS (SELECT a FROM s), u AS (WITH t AS (SELECT b AS a FROM r) SELECT a FROM t) SELECT t.a AS x, u.a AS y FROM t, u",
            expected: &["r, s ->", "x < s.a", "y < r.b"],
        },
        Case {
            dialect: Postgres,
            catalog: "",
            sql: "WITH RECURSIVE g(n, path) AS (SELECT id, nm FROM e WHERE mgr IS NULL UNION ALL SELECT e.id, g.path || e.nm FROM e JOIN g ON e.mgr = g.n) SELECT n, path FROM g",
            expected: &["e ->", "n < e.id", "path < e.nm"],
        },
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "SELECT a AS x, x + b AS y FROM t1",
            expected: &["t1 ->", "x < t1.a", "y < t1.a, t1.b"],
        },
        Case {
            dialect: BigQuery,
            catalog: "",
            sql: "SELECT a AS x, x + b AS y FROM d.t1",
            expected: &["d.t1 ->", "x < d.t1.a", "y < d.t1.b, d.t1.x"],
        },
        Case {
            dialect: Postgres,
            catalog: "",
            sql: r#"SELECT "A", b."C" FROM "T" b"#,
            expected: &["T ->", "A < T.A", "C < T.C"],
        },
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: r#"SELECT "a", "B", c FROM "My"."T""#,
            expected: &["My.t ->", "a < My.t.a", "b < My.t.b", "c < My.t.c"],
        },
        Case { dialect: MySql, catalog: "", sql: "SELECT `a` FROM `db`.`T`", expected: &["db.T ->", "a < db.T.a"] },
        Case {
            dialect: TSql,
            catalog: "",
            sql: "SELECT [a b] FROM [db]..[t]",
            expected: &["db.dbo.t ->", "a b < db.dbo.t.a b"],
        },
        Case {
            dialect: TSql,
            catalog: "",
            sql: "SELECT t.a FROM srv.db.dbo.t t",
            expected: &["srv.db.dbo.t ->", "a < srv.db.dbo.t.a"],
        },
        Case {
            dialect: Ansi,
            catalog: "",
            sql: "SELECT db.s.t.a FROM db.s.t",
            expected: &["db.s.t ->", "a < db.s.t.a"],
        },
        Case {
            dialect: Postgres,
            catalog: "t(a, b)",
            sql: "SELECT row_to_json(t) AS j FROM t",
            expected: &["t ->", "j < t.a, t.b"],
        },
        Case {
            dialect: Oracle,
            catalog: "",
            sql: "SELECT d.x FROM t d, sys.dual WHERE ROWNUM < 3 AND d.y > SYSDATE",
            expected: &["sys.dual, t ->", "x < t.x"],
        },
        Case {
            dialect: TSql,
            catalog: "",
            sql: "SELECT DATEDIFF(day, a, b) AS n, DATEPART(month, c) AS m FROM t",
            expected: &["t ->", "n < t.a, t.b", "m < t.c"],
        },
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "SELECT DATEADD(day, n, ts) AS x, DATE_TRUNC(month, ts) AS y, TIMESTAMPDIFF(hour, a, b) AS z FROM t",
            expected: &["t ->", "x < t.n, t.ts", "y < t.ts", "z < t.a, t.b"],
        },
        Case {
            dialect: BigQuery,
            catalog: "",
            sql: "SELECT DATE_DIFF(a, b, DAY) AS n, DATE_TRUNC(c, WEEK(MONDAY)) AS w, EXTRACT(YEAR FROM d) AS y, TIMESTAMP_TRUNC(e, HOUR) z FROM t",
            expected: &["t ->", "n < t.a, t.b", "w < t.c", "y < t.d", "z < t.e"],
        },
        Case {
            dialect: Spark,
            catalog: "",
            sql: "SELECT transform(arr, x -> x + b) AS t1, filter(arr, (x, i) -> x > i) AS t2 FROM t",
            expected: &["t ->", "t1 < t.arr, t.b", "t2 < t.arr"],
        },
        Case {
            dialect: ClickHouse,
            catalog: "",
            sql: "SELECT arrayMap(x -> x + y, arr) AS z FROM t",
            expected: &["t ->", "z < t.arr, t.y"],
        },
        Case {
            dialect: Databricks,
            catalog: "",
            sql: "SELECT aggregate(arr, 0, (acc, v) -> acc + v.amt) AS s FROM t",
            expected: &["t ->", "s < t.arr"],
        },
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "SELECT IFF(a > 1, b, c) AS x, NVL(d, e) AS y, DECODE(f, 1, g, h) AS z FROM t",
            expected: &["t ->", "x < t.a, t.b, t.c", "y < t.d, t.e", "z < t.f, t.g, t.h"],
        },
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "SELECT LISTAGG(a, ',') WITHIN GROUP (ORDER BY b) AS l, ARRAY_AGG(c) WITHIN GROUP (ORDER BY d) AS m FROM t",
            expected: &["t ->", "l < t.a, t.b", "m < t.c, t.d"],
        },
        Case {
            dialect: Postgres,
            catalog: "",
            sql: "SELECT DISTINCT ON (a) a, b, array_agg(c ORDER BY d) FILTER (WHERE e > 0) AS cs FROM t ORDER BY a, f",
            expected: &["t ->", "a < t.a", "b < t.b", "cs < t.c, t.d, t.e"],
        },
        Case {
            dialect: Ansi,
            catalog: "a(id, x); b(id, y)",
            sql: "SELECT id FROM a FULL OUTER JOIN b USING (id)",
            expected: &["a, b ->", "id < a.id, b.id"],
        },
        Case {
            dialect: Ansi,
            catalog: "",
            sql: "SELECT id FROM a JOIN b USING (id) JOIN c USING (id)",
            expected: &["a, b, c ->", "id < a.id, b.id, c.id"],
        },
        Case { dialect: DuckDb, catalog: "", sql: "FROM s SELECT a, b", expected: &["s ->", "a < s.a", "b < s.b"] },
        Case {
            dialect: Trino,
            catalog: "t(id, one row(a integer, b varchar))",
            sql: "SELECT one.a, t.one.b FROM t",
            expected: &["t ->", "a < t.one", "b < t.one"],
        },
    ]);
}
