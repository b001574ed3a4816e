//! Stars and what is taken out of them.

use super::{Case, check};
use crate::sql::Dialect::*;

#[test]
fn lineage() {
    check(&[
        Case {
            dialect: DuckDb,
            catalog: "x(id, amt_a, amt_b, nm)",
            sql: "CREATE TABLE t AS SELECT id, COLUMNS('amt_.*') FROM x",
            expected: &["x -> t", "t.id < x.id", "t.amt_a < x.amt_a", "t.amt_b < x.amt_b"],
        },
        Case {
            dialect: DuckDb,
            catalog: "x(id, amt_a, amt_b, nm)",
            sql: "CREATE TABLE t AS SELECT min(COLUMNS('amt_.*')) FROM x",
            expected: &["x -> t", "t.amt_a < x.amt_a", "t.amt_b < x.amt_b"],
        },
        Case {
            dialect: DuckDb,
            catalog: "x(id, amt_a, amt_b, nm)",
            sql: "SELECT COLUMNS(* EXCLUDE (id)) FROM x",
            expected: &["x ->", "amt_a < x.amt_a", "amt_b < x.amt_b", "nm < x.nm"],
        },
        Case {
            dialect: Snowflake,
            catalog: "v as SELECT a AS p, b AS q FROM s",
            sql: "SELECT * FROM v",
            expected: &["v ->", "p < s.a", "q < s.b"],
        },
        Case {
            dialect: BigQuery,
            catalog: "",
            sql: "SELECT * EXCEPT(a), b AS bb FROM d.t",
            expected: &["d.t ->", "* < d.t.*", "bb < d.t.b"],
        },
        Case {
            dialect: BigQuery,
            catalog: "d.t(a, b, c)",
            sql: "CREATE TABLE d.x AS SELECT * EXCEPT(a) REPLACE (b+1 AS b) FROM d.t",
            expected: &["d.t -> d.x", "d.x.b < d.t.b", "d.x.c < d.t.c"],
        },
        Case {
            dialect: Snowflake,
            catalog: "t(a, b, c_x, c_y)",
            sql: "SELECT * ILIKE 'c%' FROM t",
            expected: &["t ->", "c_x < t.c_x", "c_y < t.c_y"],
        },
        Case {
            dialect: Snowflake,
            catalog: "t(a, b, c)",
            sql: "SELECT * EXCLUDE (a) RENAME (b AS bb) FROM t",
            expected: &["t ->", "bb < t.b", "c < t.c"],
        },
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "SELECT * FROM t AT(TIMESTAMP => '2020-01-01'::timestamp) x",
            expected: &["t ->", "* < t.*"],
        },
        Case {
            dialect: BigQuery,
            catalog: "",
            sql: "SELECT a FROM `p.d.events_*` WHERE _TABLE_SUFFIX > '2020'",
            expected: &["p.d.events_* ->", "a < p.d.events_*.a"],
        },
        Case {
            dialect: BigQuery,
            catalog: "",
            sql: "FROM d.s AS s |> SET x = x + 1 |> DROP y |> AGGREGATE COUNT(*) AS n, MAX(x) AS mx GROUP BY z",
            expected: &["d.s ->", "z < d.s.z", "mx < d.s.x"],
        },
        Case {
            dialect: Redshift,
            catalog: "",
            sql: "SELECT a AS x, x*2 AS y, y*2 AS z FROM t1",
            expected: &["t1 ->", "x < t1.a", "y < t1.a", "z < t1.a"],
        },
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "SELECT OBJECT_CONSTRUCT(*) AS o FROM t",
            expected: &["t ->", "o < t.*"],
        },
        Case {
            dialect: Ansi,
            catalog: "t(a, b)",
            sql: "SELECT count(*) AS n, count(a) AS m FROM t",
            expected: &["t ->", "m < t.a"],
        },
        Case {
            dialect: BigQuery,
            catalog: "t(id, one STRUCT<a INT64, b STRUCT<c STRING>>)",
            sql: "SELECT id, one.* FROM t",
            expected: &["t ->", "id < t.id", "a < t.one", "b < t.one"],
        },
        Case {
            dialect: BigQuery,
            catalog: "t(id, one STRUCT<a INT64, b STRUCT<c STRING, d INT64>>)",
            sql: "SELECT t.one.b.* FROM t",
            expected: &["t ->", "c < t.one", "d < t.one"],
        },
        Case {
            dialect: Spark,
            catalog: "t(id, one struct<a:int,b:string>)",
            sql: "SELECT one.*, one.a AS z FROM t",
            expected: &["t ->", "a < t.one", "b < t.one", "z < t.one"],
        },
        Case {
            dialect: DuckDb,
            catalog: "t(id, one STRUCT(a INTEGER, b VARCHAR))",
            sql: "SELECT one.* FROM t",
            expected: &["t ->", "a < t.one", "b < t.one"],
        },
        Case {
            dialect: Trino,
            catalog: "",
            sql: "SELECT reduce(arr, 0, (s, x) -> s + x * k, s -> s) AS r FROM t",
            expected: &["t ->", "r < t.arr, t.k"],
        },
        Case {
            dialect: Ansi,
            catalog: "a(id, x); b(id, y); c(id, z)",
            sql: "SELECT * FROM a NATURAL JOIN b NATURAL LEFT JOIN c",
            expected: &["a, b, c ->", "id < a.id, b.id, c.id", "x < a.x", "y < b.y", "z < c.z"],
        },
    ]);
}
