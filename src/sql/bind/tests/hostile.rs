//! Inputs that are meant to cost time, memory or stack.

use proptest::prelude::*;

use crate::sql::{Dialect, Limits, NoCatalog, Options, Session, Status, analyse, merge};

use super::plain;

fn columns(count: usize, of: impl Fn(usize) -> String) -> String {
    (0..count).map(of).collect::<Vec<_>>().join(", ")
}

#[test]
fn sources_that_double_are_one_set() {
    let ctes = columns(1_000, |nth| match nth {
        0 => "c0 AS (SELECT a, b FROM t)".to_owned(),
        _ => {
            let before = nth - 1;
            format!(
                "c{nth} AS (SELECT x.a || y.b AS a, x.b || y.a AS b FROM c{before} x JOIN c{before} y ON x.a = y.b)"
            )
        }
    });
    let statements = plain(Dialect::Ansi, &format!("WITH {ctes} SELECT * FROM c999"));
    assert_eq!(statements[0].columns.len(), 2);
    assert_eq!(statements[0].columns[0].sources.len(), 2);
    assert_eq!(statements[0].status, Status::Complete);
}

#[test]
fn columns_that_double_are_cut_and_it_is_said() {
    let ctes = columns(60, |nth| match nth {
        0 => "c0 AS (SELECT a, b FROM t)".to_owned(),
        _ => format!("c{nth} AS (SELECT x.*, y.* FROM c{before} x CROSS JOIN c{before} y)", before = nth - 1),
    });
    let options = Options { limits: Limits { steps: 50_000, ..Limits::default() }, ..Options::default() };
    let sql = format!("WITH {ctes} SELECT * FROM c59");
    let statements = analyse(&sql, Dialect::Ansi, &mut Session::default(), &NoCatalog, &options);
    assert!(matches!(&statements[0].status, Status::Partial { notes } if notes[0].contains("limits")));
    assert_eq!(statements[0].inputs.len(), 1);
}

#[test]
fn what_follows_a_used_up_script_fails_and_says_so() {
    let options = Options { limits: Limits { steps: 200, ..Limits::default() }, ..Options::default() };
    let sql = (0..200).map(|nth| format!("INSERT INTO t{nth} SELECT a, b FROM s{nth}")).collect::<Vec<_>>().join(";");
    let statements = analyse(&sql, Dialect::Ansi, &mut Session::default(), &NoCatalog, &options);
    assert_eq!(statements.len(), 200);
    assert!(matches!(statements[199].status, Status::Failed { .. }));
}

#[test]
fn nesting_within_the_limit_is_bound() {
    let sql = format!("SELECT * FROM {}t{}", "(SELECT a FROM ".repeat(45), ") x".repeat(45));
    let statements = plain(Dialect::Ansi, &sql);
    assert_eq!(statements[0].columns[0].sources.len(), 1);
}

#[test]
fn long_unions_are_gathered_at_once() {
    let sql = (0..1_400).map(|nth| format!("SELECT a, b FROM t{nth}")).collect::<Vec<_>>().join(" UNION ALL ");
    let statements = plain(Dialect::Ansi, &sql);
    assert_eq!(statements[0].inputs.len(), 1_400);
    assert_eq!(statements[0].columns[0].sources.len(), 1_400);
}

/// Texts of many shapes, to be cut and mixed.
const SEEDS: &[&str] = &[
    "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT * FROM a JOIN b USING (x)",
    "MERGE INTO d USING s ON d.a = s.a WHEN MATCHED THEN UPDATE SET b = s.b WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a)",
    "INSERT INTO t (a, b) SELECT x.*, y.c FROM x, LATERAL (SELECT c FROM z WHERE z.id = x.id) y ON CONFLICT DO NOTHING",
    "CREATE TEMP TABLE t AS SELECT * EXCEPT (a) FROM s; ALTER TABLE t RENAME TO u; DROP TABLE u",
    "SELECT * FROM s PIVOT (SUM(a) FOR b IN ('x', 'y')) UNPIVOT (v FOR n IN (x, y))",
    "UPDATE d SET (a, b) = (SELECT x, y FROM s), c = CASE WHEN q THEN 1 ELSE (SELECT max(z) FROM w) END FROM d JOIN e ON true",
    "SELECT sum(a) OVER (PARTITION BY b ORDER BY c), f.value:x[0]::int, $1, t.$2 FROM t, LATERAL FLATTEN(input => t.v) f",
    "FROM s |> WHERE a > 1 |> AGGREGATE sum(b) AS x GROUP BY c |> EXTEND x * 2 AS y |> DROP c",
    "DELETE t FROM dbo.a t CROSS APPLY OPENJSON(t.d) WITH (x INT '$.x') j WHERE EXISTS (SELECT 1 FROM #tmp)",
    "CREATE VIEW v (a, b) AS TABLE t; USE db; SELECT DISTINCT ON (a) COLUMNS('x.*') FROM v NATURAL JOIN w",
];

const DIALECTS: &[Dialect] = &[
    Dialect::Ansi,
    Dialect::BigQuery,
    Dialect::ClickHouse,
    Dialect::DuckDb,
    Dialect::Hive,
    Dialect::Oracle,
    Dialect::Postgres,
    Dialect::Snowflake,
    Dialect::Spark,
    Dialect::TSql,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mixed_statements_never_panic(
        first in 0..SEEDS.len(),
        second in 0..SEEDS.len(),
        cut in 0_usize..120,
        join in 0_usize..120,
        noise in "[ -~]{0,12}",
        dialect in 0..DIALECTS.len(),
    ) {
        let head: String = SEEDS[first].chars().take(cut).collect();
        let tail: String = SEEDS[second].chars().skip(join).collect();
        let statements = plain(DIALECTS[dialect], &format!("{head} {noise} {tail}"));
        merge(&statements);
    }

    #[test]
    fn shuffled_words_never_panic(picks in proptest::collection::vec((0..SEEDS.len(), 0_usize..30), 1..40), dialect in 0..DIALECTS.len()) {
        let words: Vec<&str> = picks
            .iter()
            .filter_map(|&(seed, word)| SEEDS[seed].split(' ').nth(word))
            .collect();
        let statements = plain(DIALECTS[dialect], &words.join(" "));
        merge(&statements);
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,80}", dialect in 0..DIALECTS.len()) {
        let statements = plain(DIALECTS[dialect], &text);
        merge(&statements);
    }
}
