//! FROM items that are made rather than read.

use super::{Case, check};
use crate::sql::Dialect::*;

#[test]
fn lineage() {
    check(&[
        Case {
            dialect: Oracle,
            catalog: "",
            sql: "CREATE OR REPLACE VIEW v AS SELECT jt.name, jt.price FROM orders o, JSON_TABLE(o.doc, '$.items[*]' COLUMNS (name VARCHAR2(20) PATH '$.name', price NUMBER PATH '$.price')) jt",
            expected: &["orders -> v", "v.name < orders.doc", "v.price < orders.doc"],
        },
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "CREATE TABLE t AS SELECT f.value:name::string AS nm, g.value AS tag FROM raw r, LATERAL FLATTEN(input => r.payload:items) f, LATERAL FLATTEN(input => f.value:tags) g",
            expected: &["raw -> t", "t.nm < raw.payload", "t.tag < raw.payload"],
        },
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "SELECT f.key, f.index, r.id FROM raw r, TABLE(FLATTEN(r.doc)) f",
            expected: &["raw ->", "key < raw.doc", "index < raw.doc", "id < raw.id"],
        },
        Case {
            dialect: Postgres,
            catalog: "",
            sql: "SELECT a.id, b.v FROM a LEFT JOIN LATERAL (SELECT v FROM c WHERE c.id = a.id ORDER BY ts LIMIT 1) b ON true",
            expected: &["a, c ->", "id < a.id", "v < c.v"],
        },
        Case {
            dialect: BigQuery,
            catalog: "",
            sql: "SELECT t.id, item.sku, off FROM d.orders t, UNNEST(t.items) AS item WITH OFFSET AS off",
            expected: &["d.orders ->", "id < d.orders.id", "sku < d.orders.items"],
        },
        Case {
            dialect: BigQuery,
            catalog: "",
            sql: "SELECT id, i.sku FROM d.orders AS o, o.items AS i",
            expected: &["d.orders ->", "id < d.orders.id", "sku < d.orders.items"],
        },
        Case {
            dialect: BigQuery,
            catalog: "",
            sql: "SELECT ARRAY(SELECT x.a FROM UNNEST(t.arr) x) AS xs FROM d.t t",
            expected: &["d.t ->", "xs < d.t.arr"],
        },
        Case {
            dialect: BigQuery,
            catalog: "",
            sql: "SELECT * FROM d.sales PIVOT(SUM(amt) AS s FOR q IN ('Q1','Q2'))",
            expected: &["d.sales ->", "* < d.sales.*", "s_Q1 < d.sales.amt", "s_Q2 < d.sales.amt"],
        },
        Case {
            dialect: BigQuery,
            catalog: "d.sales(id, q, amt)",
            sql: "SELECT id, s_Q1, s_Q2 FROM d.sales PIVOT(SUM(amt) AS s FOR q IN ('Q1','Q2'))",
            expected: &["d.sales ->", "id < d.sales.id", "s_q1 < d.sales.amt", "s_q2 < d.sales.amt"],
        },
        Case {
            dialect: Snowflake,
            catalog: "sales(id, mon, amt)",
            sql: "SELECT * FROM sales PIVOT(SUM(amt) FOR mon IN ('JAN','FEB')) AS p (id, jan, feb)",
            expected: &["sales ->", "id < sales.id", "jan < sales.amt", "feb < sales.amt"],
        },
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "SELECT id, mon, amt FROM wide UNPIVOT(amt FOR mon IN (jan, feb))",
            expected: &["wide ->", "id < wide.id", "mon < wide.feb, wide.jan", "amt < wide.feb, wide.jan"],
        },
        Case {
            dialect: TSql,
            catalog: "",
            sql: "SELECT id, yr, amt FROM (SELECT id, y1, y2 FROM dbo.w) p UNPIVOT (amt FOR yr IN (y1, y2)) AS u",
            expected: &["dbo.w ->", "id < dbo.w.id", "yr < dbo.w.y1, dbo.w.y2", "amt < dbo.w.y1, dbo.w.y2"],
        },
        Case {
            dialect: Databricks,
            catalog: "",
            sql: "SELECT * FROM s PIVOT (SUM(amt) AS a, AVG(amt) AS b FOR yr IN (2019 AS y19, 2020 AS y20))",
            expected: &["s ->", "* < s.*", "y19_a < s.amt", "y19_b < s.amt", "y20_a < s.amt", "y20_b < s.amt"],
        },
        Case {
            dialect: Oracle,
            catalog: "",
            sql: "SELECT * FROM (SELECT deptno, job, sal FROM emp) PIVOT (SUM(sal) FOR job IN ('CLERK' AS clerk, 'MANAGER' AS mgr))",
            expected: &["emp ->", "deptno < emp.deptno", "clerk < emp.sal", "mgr < emp.sal"],
        },
        Case {
            dialect: Spark,
            catalog: "",
            sql: "SELECT id, k, v FROM s LATERAL VIEW explode(m) t AS k, v",
            expected: &["s ->", "id < s.id", "k < s.m", "v < s.m"],
        },
        Case {
            dialect: Hive,
            catalog: "",
            sql: "SELECT id, pos, val FROM s LATERAL VIEW posexplode(arr) t AS pos, val",
            expected: &["s ->", "id < s.id", "val < s.arr"],
        },
        Case {
            dialect: Hive,
            catalog: "",
            sql: "SELECT a.id, b.f1, b.f2 FROM s a LATERAL VIEW json_tuple(a.js, 'f1','f2') b AS f1, f2",
            expected: &["s ->", "id < s.id", "f1 < s.js", "f2 < s.js"],
        },
        Case {
            dialect: Spark,
            catalog: "",
            sql: "SELECT id, col FROM s LATERAL VIEW explode(arr) t",
            expected: &["s ->", "id < s.id", "col < s.arr"],
        },
        Case {
            dialect: Trino,
            catalog: "",
            sql: "SELECT t.id, u.n, u.ord FROM t CROSS JOIN UNNEST(t.arr) WITH ORDINALITY AS u(n, ord)",
            expected: &["t ->", "id < t.id", "n < t.arr"],
        },
        Case {
            dialect: Trino,
            catalog: "",
            sql: "SELECT id, a, b FROM t CROSS JOIN UNNEST(arr1, arr2) AS u(a, b)",
            expected: &["t ->", "id < t.id", "a < t.arr1", "b < t.arr2"],
        },
        Case {
            dialect: TSql,
            catalog: "",
            sql: "SELECT s.id, j.name FROM dbo.s s CROSS APPLY OPENJSON(s.doc) WITH (name NVARCHAR(50) '$.name', age INT '$.age') j",
            expected: &["dbo.s ->", "id < dbo.s.id", "name < dbo.s.doc"],
        },
        Case {
            dialect: TSql,
            catalog: "",
            sql: "SELECT s.id, x.value FROM dbo.s s CROSS APPLY STRING_SPLIT(s.tags, ',') x",
            expected: &["dbo.s ->", "id < dbo.s.id", "value < dbo.s.tags"],
        },
        Case {
            dialect: TSql,
            catalog: "",
            sql: "SELECT d.id, a.tot INTO dbo.out FROM dbo.d d OUTER APPLY (SELECT SUM(x.amt) AS tot FROM dbo.x x WHERE x.id = d.id) a",
            expected: &["dbo.d, dbo.x -> dbo.out", "dbo.out.id < dbo.d.id", "dbo.out.tot < dbo.x.amt"],
        },
        Case {
            dialect: ClickHouse,
            catalog: "",
            sql: "SELECT id, a FROM t ARRAY JOIN arr AS a",
            expected: &["t ->", "id < t.id", "a < t.arr"],
        },
        Case {
            dialect: Postgres,
            catalog: "",
            sql: "SELECT generate_series, x FROM t, generate_series(1, t.n)",
            expected: &["t ->", "generate_series < t.n", "x < t.x"],
        },
        Case {
            dialect: Oracle,
            catalog: "",
            sql: "SELECT x.id, t.column_value FROM x, TABLE(x.coll) t",
            expected: &["x ->", "id < x.id", "column_value < x.coll"],
        },
        Case {
            dialect: Oracle,
            catalog: "",
            sql: "CREATE TABLE t AS SELECT xt.nm FROM p, XMLTABLE('/a/b' PASSING p.doc COLUMNS nm VARCHAR2(10) PATH 'nm') xt",
            expected: &["p -> t", "t.nm < p.doc"],
        },
    ]);
}
