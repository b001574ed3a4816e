//! Scripts of SQL: the first byte chooses the dialect. Every statement has its place in the text and an answer that can be
//! told; the text without literals is the same each time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary::sql::{Defaults, Dialect, NoCatalog, Options, Session, analyse, explain, normalise};

const DIALECTS: [&str; 14] = [
    "ansi", "snowflake", "bigquery", "redshift", "postgres", "hive", "spark", "trino", "mysql", "tsql", "oracle", "duckdb",
    "clickhouse", "teradata",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, text)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let name = DIALECTS[usize::from(*choice) % DIALECTS.len()];
    let dialect = Dialect::named(name).expect("these are dialects");
    let statements =
        analyse(&text, dialect, &mut Session::new(Defaults::default()), &NoCatalog, &Options::default());
    for statement in &statements {
        let (from, to) = statement.span;
        assert!(text.get(from..to).is_some(), "{from}..{to} is no part of the text");
    }
    assert_eq!(explain(&statements).is_empty(), statements.is_empty());
    assert_eq!(normalise(&text, dialect), normalise(&text, dialect));
});
