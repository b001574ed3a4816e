//! Scripts: temporary tables, renames, defaults, blocks.

use super::{Case, check};
use crate::sql::Dialect::*;

#[test]
fn lineage() {
    check(&[
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "CREATE TABLE tmp AS SELECT id, amt FROM src; ALTER TABLE tgt SWAP WITH tmp; DROP TABLE tmp",
            expected: &["src -> tgt", "tgt.id < src.id", "tgt.amt < src.amt"],
        },
        Case {
            dialect: Postgres,
            catalog: "",
            sql: "CREATE TABLE t_new AS SELECT id, upper(nm) AS nm FROM src; DROP TABLE IF EXISTS t; ALTER TABLE t_new RENAME TO t",
            expected: &["src -> t", "t.id < src.id", "t.nm < src.nm"],
        },
        Case {
            dialect: Redshift,
            catalog: "",
            sql: "CREATE TABLE dev.t_new (LIKE dev.t); INSERT INTO dev.t_new SELECT a, b FROM dev.s; ALTER TABLE dev.t RENAME TO t_old; ALTER TABLE dev.t_new RENAME TO t; DROP TABLE dev.t_old",
            expected: &["dev.s, dev.t -> dev.t", "dev.t.a < dev.s.a", "dev.t.b < dev.s.b"],
        },
        Case {
            dialect: MySql,
            catalog: "",
            sql: "CREATE TABLE t_new AS SELECT a FROM s; RENAME TABLE t TO t_old, t_new TO t; DROP TABLE t_old",
            expected: &["s -> t", "t.a < s.a"],
        },
        Case {
            dialect: ClickHouse,
            catalog: "",
            sql: "INSERT INTO t_new SELECT a FROM s; EXCHANGE TABLES t_new AND t",
            expected: &["s -> t", "t.a < s.a"],
        },
        Case {
            dialect: TSql,
            catalog: "",
            sql: "USE mydb; INSERT INTO dbo.t (a) SELECT x FROM dbo.s",
            expected: &["mydb.dbo.s -> mydb.dbo.t", "mydb.dbo.t.a < mydb.dbo.s.x"],
        },
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "USE DATABASE db1; USE SCHEMA sc; CREATE TABLE t AS SELECT a FROM s",
            expected: &["db1.sc.s -> db1.sc.t", "db1.sc.t.a < db1.sc.s.a"],
        },
        Case {
            dialect: Postgres,
            catalog: "",
            sql: "SET search_path TO sales, public; INSERT INTO t SELECT a FROM s",
            expected: &["sales.s -> sales.t", "sales.t.a < sales.s.a"],
        },
        Case {
            dialect: MySql,
            catalog: "",
            sql: "USE shop; INSERT INTO t SELECT a FROM s",
            expected: &["shop.s -> shop.t", "shop.t.a < shop.s.a"],
        },
        Case {
            dialect: Spark,
            catalog: "",
            sql: "CREATE TEMPORARY VIEW tv AS SELECT id, x*2 AS y FROM src; INSERT OVERWRITE TABLE out SELECT id, y FROM tv",
            expected: &["src -> out", "out.id < src.id", "out.y < src.x"],
        },
        Case {
            dialect: TSql,
            catalog: "",
            sql: "DECLARE @t TABLE (id INT, v INT); INSERT INTO @t SELECT id, amt FROM dbo.src; INSERT INTO dbo.out (id, v) SELECT id, v FROM @t",
            expected: &["dbo.src -> dbo.out", "dbo.out.id < dbo.src.id", "dbo.out.v < dbo.src.amt"],
        },
        Case {
            dialect: TSql,
            catalog: "",
            sql: "CREATE TABLE #a (id INT, v INT); INSERT INTO #a (id, v) SELECT id, amt FROM dbo.src; UPDATE #a SET v = v * r.rate FROM #a JOIN dbo.r r ON r.id = #a.id; INSERT INTO dbo.out (id, v) SELECT id, v FROM #a; DROP TABLE #a",
            expected: &["dbo.r, dbo.src -> dbo.out", "dbo.out.id < dbo.src.id", "dbo.out.v < dbo.r.rate, dbo.src.amt"],
        },
        Case {
            dialect: BigQuery,
            catalog: "",
            sql: "CREATE TEMP TABLE tt AS SELECT a FROM d.s; CREATE TABLE d.t AS SELECT * FROM tt",
            expected: &["d.s -> d.t", "d.t.a < d.s.a"],
        },
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "CREATE OR REPLACE TEMPORARY TABLE a AS SELECT x FROM s; CREATE OR REPLACE TABLE b AS SELECT a.x, c.y FROM a JOIN c ON a.x = c.x; INSERT INTO d SELECT * FROM b",
            expected: &["b, c, s -> b, d", "b.x < s.x", "b.y < c.y", "d.x < b.x", "d.y < b.y"],
        },
        Case {
            dialect: Teradata,
            catalog: "",
            sql: "CREATE VOLATILE TABLE vt AS (SELECT a FROM s) WITH DATA ON COMMIT PRESERVE ROWS; INSERT INTO t SELECT a FROM vt",
            expected: &["s -> t", "t.a < s.a"],
        },
    ]);
}
