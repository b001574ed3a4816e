//! INSERT, UPDATE, DELETE, MERGE.

use super::{Case, check};
use crate::sql::Dialect::*;

#[test]
fn lineage() {
    check(&[
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "INSERT ALL INTO t1 (a,b) VALUES (x, y) INTO t2 (c) VALUES (z) SELECT x, y, z FROM s",
            expected: &["s -> t1, t2", "t1.a < s.x", "t1.b < s.y", "t2.c < s.z"],
        },
        Case {
            dialect: Snowflake,
            catalog: "",
            sql: "INSERT FIRST WHEN x > 1 THEN INTO t1 WHEN x > 2 THEN INTO t2 (q) VALUES (y) ELSE INTO t3 SELECT x, y FROM s",
            expected: &["s -> t1, t2, t3", "t1.x < s.x", "t1.y < s.y", "t2.q < s.y", "t3.x < s.x", "t3.y < s.y"],
        },
        Case {
            dialect: Oracle,
            catalog: "",
            sql: "INSERT ALL INTO t1 (a) VALUES (x) INTO t2 (b) VALUES (y) SELECT x, y FROM s",
            expected: &["s -> t1, t2", "t1.a < s.x", "t2.b < s.y"],
        },
        Case {
            dialect: Postgres,
            catalog: "",
            sql: "WITH moved AS (DELETE FROM live WHERE ts < now() RETURNING id, amt) INSERT INTO archive (id, amt) SELECT id, amt FROM moved",
            expected: &["live -> archive", "archive.id < live.id", "archive.amt < live.amt"],
        },
        Case {
            dialect: Postgres,
            catalog: "",
            sql: "WITH ins AS (INSERT INTO a (x) SELECT y FROM b RETURNING x) INSERT INTO c (z) SELECT x FROM ins",
            expected: &["b -> a, c", "a.x < b.y", "c.z < b.y"],
        },
        Case {
            dialect: Postgres,
            catalog: "",
            sql: "WITH up AS (UPDATE acc SET bal = bal + d.amt FROM d WHERE d.id = acc.id RETURNING acc.id, acc.bal) INSERT INTO log (id, bal) SELECT id, bal FROM up",
            expected: &["d -> acc, log", "acc.bal < acc.bal, d.amt", "log.id < acc.id", "log.bal < acc.bal, d.amt"],
        },
        Case {
            dialect: Snowflake,
            catalog: "v as SELECT a AS p, b AS q FROM w; w as SELECT k AS a, l AS b FROM base",
            sql: "INSERT INTO t (x, y) SELECT q, p FROM v",
            expected: &["v -> t", "t.x < base.l", "t.y < base.k"],
        },
        Case {
            dialect: BigQuery,
            catalog: "",
            sql: "MERGE d.t USING d.s ON t.id = s.id WHEN NOT MATCHED THEN INSERT ROW",
            expected: &["d.s -> d.t", "d.t.* < d.s.*"],
        },
        Case {
            dialect: BigQuery,
            catalog: "d.t(id, v); d.s(id, v)",
            sql: "MERGE d.t USING d.s ON t.id = s.id WHEN NOT MATCHED THEN INSERT ROW WHEN MATCHED THEN UPDATE SET v = s.v",
            expected: &["d.s -> d.t", "d.t.id < d.s.id", "d.t.v < d.s.v"],
        },
        Case {
            dialect: TSql,
            catalog: "",
            sql: "MERGE INTO dbo.d AS t USING dbo.s AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET t.v = s.v + t.v WHEN NOT MATCHED BY TARGET THEN INSERT (id, v) VALUES (s.id, s.v) WHEN NOT MATCHED BY SOURCE THEN DELETE;",
            expected: &["dbo.s -> dbo.d", "dbo.d.v < dbo.d.v, dbo.s.v", "dbo.d.id < dbo.s.id"],
        },
        Case {
            dialect: MySql,
            catalog: "",
            sql: "UPDATE a JOIN b ON a.id = b.id SET a.x = b.y, b.z = a.w",
            expected: &["-> a, b", "a.x < b.y", "b.z < a.w"],
        },
        Case {
            dialect: Oracle,
            catalog: "",
            sql: "UPDATE t SET (a, b) = (SELECT x, y FROM s WHERE s.id = t.id)",
            expected: &["s -> t", "t.a < s.x", "t.b < s.y"],
        },
        Case {
            dialect: Postgres,
            catalog: "",
            sql: "UPDATE t SET (a, b) = (s.x, s.y) FROM s WHERE s.id = t.id",
            expected: &["s -> t", "t.a < s.x", "t.b < s.y"],
        },
        Case {
            dialect: MySql,
            catalog: "",
            sql: "INSERT INTO t (a, b) SELECT x, y FROM s ON DUPLICATE KEY UPDATE b = VALUES(b) + t.b",
            expected: &["s -> t", "t.a < s.x", "t.b < s.y, t.b"],
        },
        Case {
            dialect: Postgres,
            catalog: "",
            sql: "INSERT INTO t (id, n) SELECT id, n FROM s ON CONFLICT (id) DO UPDATE SET n = t.n + EXCLUDED.n",
            expected: &["s -> t", "t.id < s.id", "t.n < s.n, t.n"],
        },
        Case {
            dialect: MySql,
            catalog: "",
            sql: "REPLACE INTO t (a) SELECT x FROM s",
            expected: &["s -> t", "t.a < s.x"],
        },
        Case {
            dialect: Hive,
            catalog: "t(a, b, ds)",
            sql: "INSERT OVERWRITE TABLE t PARTITION (ds='2020') SELECT x, y FROM s",
            expected: &["s -> t", "t.a < s.x", "t.b < s.y"],
        },
        Case {
            dialect: Hive,
            catalog: "t(a, b, ds)",
            sql: "INSERT OVERWRITE TABLE t PARTITION (ds) SELECT x, y, z FROM s",
            expected: &["s -> t", "t.a < s.x", "t.b < s.y", "t.ds < s.z"],
        },
        Case {
            dialect: Hive,
            catalog: "",
            sql: "INSERT OVERWRITE DIRECTORY '/tmp/x' SELECT a FROM s",
            expected: &["s -> /tmp/x", "/tmp/x.a < s.a"],
        },
        Case {
            dialect: Spark,
            catalog: "a(id, x); b(id, y)",
            sql: "INSERT INTO t SELECT * FROM a JOIN b USING (id)",
            expected: &["a, b -> t", "t.id < a.id, b.id", "t.x < a.x", "t.y < b.y"],
        },
        Case {
            dialect: Spark,
            catalog: "",
            sql: "INSERT INTO t SELECT id, explode(tags) AS tag FROM s",
            expected: &["s -> t", "t.id < s.id", "t.tag < s.tags"],
        },
        Case {
            dialect: ClickHouse,
            catalog: "",
            sql: "INSERT INTO t SELECT a AS x, x + 1 AS y FROM s",
            expected: &["s -> t", "t.x < s.a", "t.y < s.a"],
        },
        Case {
            dialect: Oracle,
            catalog: "",
            sql: "MERGE INTO d USING (SELECT id, v FROM s) x ON (d.id = x.id) WHEN MATCHED THEN UPDATE SET d.v = x.v WHERE x.v > 0 WHEN NOT MATCHED THEN INSERT (id, v) VALUES (x.id, x.v)",
            expected: &["s -> d", "d.v < s.v", "d.id < s.id"],
        },
        Case {
            dialect: Hive,
            catalog: "",
            sql: "FROM s INSERT INTO TABLE a SELECT x INSERT INTO TABLE b PARTITION (d='1') SELECT y, z WHERE q > 1",
            expected: &["s -> a, b", "a.x < s.x", "b.y < s.y", "b.z < s.z"],
        },
        Case {
            dialect: Hive,
            catalog: "",
            sql: "FROM (SELECT id, nm FROM src WHERE x > 1) q INSERT OVERWRITE TABLE a SELECT q.id INSERT OVERWRITE TABLE b SELECT q.nm",
            expected: &["src -> a, b", "a.id < src.id", "b.nm < src.nm"],
        },
        Case {
            dialect: TSql,
            catalog: "",
            sql: "UPDATE t SET t.a = s.b FROM dbo.tgt AS t INNER JOIN dbo.src AS s ON s.id = t.id",
            expected: &["dbo.src -> dbo.tgt", "dbo.tgt.a < dbo.src.b"],
        },
        Case {
            dialect: TSql,
            catalog: "",
            sql: "INSERT INTO dbo.t (a) OUTPUT inserted.a INTO dbo.log (a) SELECT x FROM dbo.s",
            expected: &["dbo.s -> dbo.log, dbo.t", "dbo.t.a < dbo.s.x", "dbo.log.a < dbo.s.x"],
        },
        Case {
            dialect: DuckDb,
            catalog: "",
            sql: "INSERT INTO t BY NAME SELECT a, b FROM s",
            expected: &["s -> t", "t.a < s.a", "t.b < s.b"],
        },
        Case {
            dialect: TSql,
            catalog: "",
            sql: "DELETE FROM dbo.tgt OUTPUT deleted.id INTO dbo.log (id) WHERE x = 1",
            expected: &["dbo.tgt -> dbo.log", "dbo.log.id < dbo.tgt.id"],
        },
    ]);
}
