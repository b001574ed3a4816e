//! Names that stand for rows: records of loops, the rows of a trigger.

use super::{Case, check};
use crate::sql::Dialect;

#[test]
fn a_loops_record_is_a_row_of_its_query() {
    check(&[
        Case {
            dialect: Dialect::Oracle,
            catalog: "",
            sql: "BEGIN FOR r IN (SELECT a, b AS c FROM s) LOOP INSERT INTO t(x, y) VALUES (r.a, r.c + 1); END LOOP; END;",
            expected: &["s -> t", "t.x < s.a", "t.y < s.b"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "DO $$ DECLARE r record; BEGIN FOR r IN SELECT a FROM s LOOP UPDATE t SET x = r.a WHERE id = 1; END LOOP; END $$",
            expected: &["s -> t", "t.x < s.a"],
        },
        Case {
            dialect: Dialect::BigQuery,
            catalog: "",
            sql: "FOR r IN (SELECT a FROM d.s) DO INSERT INTO d.t(x) VALUES (r.a); END FOR; SELECT r.b FROM d.u",
            expected: &["d.s, d.u -> d.t", "d.t.x < d.s.a", "b < d.u.r"],
        },
        Case {
            dialect: Dialect::Databricks,
            catalog: "",
            sql: "BEGIN FOR r AS SELECT a FROM s DO INSERT INTO t(x) VALUES (r.a); END FOR; END",
            expected: &["s -> t", "t.x < s.a"],
        },
        Case {
            dialect: Dialect::Db2,
            catalog: "",
            sql: "BEGIN FOR r AS c CURSOR FOR SELECT a FROM s DO INSERT INTO t(x) VALUES (r.a); END FOR; END",
            expected: &["s -> t", "t.x < s.a"],
        },
        Case {
            dialect: Dialect::Oracle,
            catalog: "",
            sql: "BEGIN FOR r IN (SELECT a FROM s) LOOP FOR r IN (SELECT a FROM u) LOOP INSERT INTO t(x) VALUES (r.a); END LOOP; INSERT INTO v(x) VALUES (r.a); END LOOP; END;",
            expected: &["s, u -> t, v", "t.x < u.a", "v.x < s.a"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "DO $$ BEGIN FOR r IN SELECT a FROM s LOOP INSERT INTO t(x) SELECT r.a FROM u r; END LOOP; END $$",
            expected: &["s, u -> t", "t.x < u.a"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "DO $$ BEGIN FOR i IN 1..(SELECT max(n) FROM s) LOOP INSERT INTO t(x) SELECT a FROM u WHERE b = i; END LOOP; END $$",
            expected: &["s, u -> t", "t.x < u.a"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "DO $$ BEGIN FOR r IN WITH data AS (SELECT a FROM s) SELECT a FROM data LOOP INSERT INTO t(x) VALUES (r.a); END LOOP; END $$",
            expected: &["s -> t", "t.x < s.a"],
        },
    ]);
}

#[test]
fn a_cursors_record_is_a_row_of_its_query() {
    check(&[
        Case {
            dialect: Dialect::Oracle,
            catalog: "",
            sql: "DECLARE CURSOR c IS SELECT a FROM s; BEGIN FOR r IN c LOOP INSERT INTO t(x) VALUES (r.a); END LOOP; END;",
            expected: &["s -> t", "t.x < s.a"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "DO $$ DECLARE c CURSOR FOR SELECT a FROM s; BEGIN FOR r IN c LOOP INSERT INTO t(x) VALUES (r.a); END LOOP; END $$",
            expected: &["s -> t", "t.x < s.a"],
        },
        Case {
            dialect: Dialect::Snowflake,
            catalog: "",
            sql: "DECLARE c CURSOR FOR SELECT a FROM s; BEGIN FOR r IN c DO INSERT INTO t(x) VALUES (:r.a); END FOR; END",
            expected: &["s -> t", "t.x < s.a"],
        },
        Case {
            dialect: Dialect::Snowflake,
            catalog: "",
            sql: "DECLARE res RESULTSET DEFAULT (SELECT a FROM s); BEGIN FOR r IN res DO LET v := r.a; INSERT INTO t(x) SELECT r.a; END FOR; END",
            expected: &["s -> t", "t.x < s.a"],
        },
        Case {
            dialect: Dialect::Oracle,
            catalog: "",
            sql: "DECLARE CURSOR c(n NUMBER) IS SELECT a FROM s WHERE b = n; BEGIN FOR r IN c(3) LOOP INSERT INTO t(x) VALUES (r.a); END LOOP; END;",
            expected: &["s -> t", "t.x < s.a"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "DO $$ DECLARE c CURSOR WITH HOLD FOR WITH data (x) AS (SELECT a FROM s) SELECT x FROM data; BEGIN FOR r IN c LOOP INSERT INTO t(x) VALUES (r.x); END LOOP; END $$",
            expected: &["s -> t", "t.x < s.a"],
        },
    ]);
}

#[test]
fn a_triggers_rows_are_rows_of_its_table() {
    check(&[
        Case {
            dialect: Dialect::MySql,
            catalog: "",
            sql: "CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW INSERT INTO log(x, y) VALUES (NEW.a, now())",
            expected: &["t -> log", "log.x < t.a"],
        },
        Case {
            dialect: Dialect::Oracle,
            catalog: "",
            sql: "CREATE OR REPLACE TRIGGER tr AFTER UPDATE OF a ON d.t FOR EACH ROW BEGIN INSERT INTO d.log(x, y) VALUES (:NEW.a, :OLD.b); END;",
            expected: &["d.t -> d.log", "d.log.x < d.t.a", "d.log.y < d.t.b"],
        },
        Case {
            dialect: Dialect::Sqlite,
            catalog: "",
            sql: "CREATE TRIGGER tr AFTER UPDATE ON t BEGIN INSERT INTO log(x) VALUES (new.a); END",
            expected: &["t -> log", "log.x < t.a"],
        },
        Case {
            dialect: Dialect::TSql,
            catalog: "",
            sql: "CREATE TRIGGER tr ON dbo.t AFTER INSERT AS INSERT INTO log(x) SELECT i.a FROM inserted i JOIN u ON u.id = i.id",
            expected: &["dbo.t, u -> log", "log.x < dbo.t.a"],
        },
        Case {
            dialect: Dialect::Db2,
            catalog: "",
            sql: "CREATE TRIGGER tr AFTER INSERT ON t REFERENCING NEW AS n FOR EACH ROW INSERT INTO log(x) VALUES (n.a)",
            expected: &["t -> log", "log.x < t.a"],
        },
        Case {
            dialect: Dialect::MySql,
            catalog: "",
            sql: "CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW INSERT INTO log(x) SELECT a FROM s",
            expected: &["s -> log", "log.x < s.a"],
        },
        Case {
            dialect: Dialect::TSql,
            catalog: "",
            sql: "INSERT INTO log(x) SELECT a FROM inserted",
            expected: &["inserted -> log", "log.x < inserted.a"],
        },
    ]);
}

#[test]
fn rows_of_known_texts_and_whole_rows() {
    check(&[
        Case {
            dialect: Dialect::Oracle,
            catalog: "s(a, b); t(x, y)",
            sql: "BEGIN FOR r IN (SELECT * FROM s) LOOP INSERT INTO t VALUES r; END LOOP; END;",
            expected: &["s -> t", "t.x < s.a", "t.y < s.b"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "CREATE FUNCTION f() RETURNS void AS $$ DECLARE r RECORD; BEGIN FOR r IN EXECUTE 'SELECT a FROM s' LOOP INSERT INTO t(x) VALUES (r.a); END LOOP; END $$ LANGUAGE plpgsql",
            expected: &["s -> t", "t.x < s.a"],
        },
        Case {
            dialect: Dialect::Postgres,
            catalog: "",
            sql: "CREATE FUNCTION f() RETURNS SETOF s AS $$ BEGIN RETURN QUERY EXECUTE 'SELECT a FROM s WHERE b = $1' USING 1; END $$ LANGUAGE plpgsql",
            expected: &["s ->"],
        },
        Case {
            dialect: Dialect::Oracle,
            catalog: "",
            sql: "CREATE PROCEDURE p(c OUT SYS_REFCURSOR) IS BEGIN OPEN c FOR 'SELECT a FROM s'; END;",
            expected: &["s ->"],
        },
        Case {
            dialect: Dialect::Snowflake,
            catalog: "",
            sql: "BEGIN LET r RESULTSET := (SELECT a FROM s); LET c CURSOR FOR r; FOR x IN c DO INSERT INTO t(b) VALUES (x.a); END FOR; END",
            expected: &["s -> t", "t.b < s.a"],
        },
        Case {
            dialect: Dialect::MySql,
            catalog: "",
            sql: "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = (SELECT max(b) FROM s)",
            expected: &["s ->"],
        },
    ]);
}
