//! Phrases of single vendors, by what they are about.

use super::{Case, check};
use crate::sql::Dialect;

#[test]
fn samples_and_versions() {
    check(&[
        Case {
            dialect: Dialect::DuckDb,
            catalog: "",
            sql: "SELECT a FROM t USING SAMPLE 10%",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::DuckDb,
            catalog: "",
            sql: "SELECT x.a FROM (SELECT a, b FROM t USING SAMPLE reservoir(50 ROWS) REPEATABLE (100)) x WHERE b > 1 ORDER BY a",
            expected: &["t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Spark,
            catalog: "",
            sql: "SELECT x.a FROM t@v3 x JOIN d.u@20190101000000000 y ON x.id = y.id",
            expected: &["d.u, t ->", "a < t.a"],
        },
        Case {
            dialect: Dialect::Databricks,
            catalog: "",
            sql: "SELECT x.a FROM t@v3 x JOIN d.u@20190101000000000 y ON x.id = y.id",
            expected: &["d.u, t ->", "a < t.a"],
        },
    ]);
}

#[test]
fn scripts_of_hive() {
    check(&[
        Case {
            dialect: Dialect::Hive,
            catalog: "",
            sql: "FROM t MAP t.a, t.b USING '/bin/cat' AS k, v CLUSTER BY k",
            expected: &["t ->", "k < t.a, t.b", "v < t.a, t.b"],
        },
        Case {
            dialect: Dialect::Hive,
            catalog: "",
            sql: "FROM (FROM src MAP src.key, src.value USING 'cat' AS k, v CLUSTER BY k) m INSERT OVERWRITE TABLE dest REDUCE m.k, m.v USING 'cat' AS a, b",
            expected: &["src -> dest", "dest.a < src.key, src.value", "dest.b < src.key, src.value"],
        },
        Case {
            dialect: Dialect::Hive,
            catalog: "",
            sql: "SELECT TRANSFORM (a, b) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' USING 'x' AS (c INT, d DECIMAL(10, 2)) ROW FORMAT DELIMITED FROM t WHERE e > 1",
            expected: &["t ->", "c < t.a, t.b", "d < t.a, t.b"],
        },
        Case {
            dialect: Dialect::Hive,
            catalog: "",
            sql: "SELECT map(a, b) AS m FROM t",
            expected: &["t ->", "m < t.a, t.b"],
        },
    ]);
}

#[test]
fn rows_that_are_there_already() {
    check(&[Case {
        dialect: Dialect::MySql,
        catalog: "",
        sql: "INSERT INTO t (a, b) SELECT x, y FROM s ON DUPLICATE KEY UPDATE a = VALUES(a), b = t.b + VALUES(b)",
        expected: &["s -> t", "t.a < s.x", "t.b < s.y, t.b"],
    }]);
}

#[test]
fn documents() {
    check(&[
        Case {
            dialect: Dialect::TSql,
            catalog: "",
            sql: "SELECT n.value('(x)[1]', 'int') AS x FROM t CROSS APPLY t.doc.nodes('/r') AS q(n)",
            expected: &["t ->", "x < t.doc"],
        },
        Case {
            dialect: Dialect::TSql,
            catalog: "",
            sql: "SELECT doc.value('(x)[1]', 'int') AS x, t.doc.query('y') AS y FROM t",
            expected: &["t ->", "x < t.doc", "y < t.doc"],
        },
        Case {
            dialect: Dialect::Oracle,
            catalog: "",
            sql: "SELECT XMLELEMENT(\"e\", a) AS x FROM t",
            expected: &["t ->", "x < t.a"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "SELECT xmltable.* FROM x, XMLTABLE('/r' PASSING x.d COLUMNS a int PATH 'a')",
            expected: &["x ->", "a < x.d"],
        },
    ]);
}

#[test]
fn operators_and_functions() {
    check(&[
        Case {
            dialect: Dialect::Databricks,
            catalog: "",
            sql: "SELECT b ?:: int AS y FROM t",
            expected: &["t ->", "y < t.b"],
        },
        Case {
            dialect: Dialect::ClickHouse,
            catalog: "",
            sql: "SELECT sumIf(a, b > 1) AS s FROM t WITH TOTALS",
            expected: &["t ->", "s < t.a, t.b"],
        },
        Case {
            dialect: Dialect::DuckDb,
            catalog: "",
            sql: "PIVOT (SELECT id, k, v FROM t) ON k IN ('a', 'b') USING sum(v) GROUP BY id",
            expected: &["t ->", "id < t.id", "a < t.v", "b < t.v"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: "SELECT * FROM TD_UNPIVOT(ON d.t PARTITION BY a USING VALUE_COLUMNS('v')) AS x",
            expected: &["d.t ->"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: "SELECT x.k FROM f(ON (SELECT a, b FROM t) AS i PARTITION BY a ON u AS o DIMENSION USING p(1)) AS x",
            expected: &["t, u ->", "k < t.a, t.b, u.*"],
        },
    ]);
}

#[test]
fn tables_and_values() {
    check(&[
        Case {
            dialect: Dialect::Teradata,
            catalog: "s(a, b)",
            sql: "CREATE TABLE d.t AS s WITH DATA",
            expected: &["s -> d.t", "d.t.a < s.a", "d.t.b < s.b"],
        },
        Case {
            dialect: Dialect::Teradata,
            catalog: "",
            sql: "CREATE TABLE d.t AS s WITH NO DATA",
            expected: &["-> d.t"],
        },
        Case {
            dialect: Dialect::Db2,
            catalog: "",
            sql: "VALUES (SELECT max(a) AS m FROM t)",
            expected: &["t ->", "column1 < t.a"],
        },
        Case {
            dialect: Dialect::Trino,
            catalog: "",
            sql: "EXECUTE IMMEDIATE 'SELECT a, b FROM t'",
            expected: &["t ->", "a < t.a", "b < t.b"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "t(a, b)",
            sql: "SELECT md5(t.*::text) AS h FROM t",
            expected: &["t ->", "h < t.a, t.b"],
        },
        Case {
            dialect: Dialect::TSql,
            catalog: "",
            sql: "INSERT INTO OPENQUERY(srv, 'SELECT a FROM db.dbo.t') SELECT x FROM s",
            expected: &["s ->"],
        },
    ]);
}
