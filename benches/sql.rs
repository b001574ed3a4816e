//! SQL: lineage of a mixed set of statements, the parser alone on the same ones as the floor, and the fingerprint.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sqlparser::dialect::{Dialect as Grammar, GenericDialect, MsSqlDialect, PostgreSqlDialect, SnowflakeDialect};
use sqlparser::parser::Parser;
use tributary::sql::{Catalog, ColumnDef, Dialect, Options, Session, TableName, analyse, merge, normalise};

/// What the parser reads as it stands.
const STATEMENTS: &[(Dialect, &str)] = &[
    (
        Dialect::Ansi,
        "INSERT INTO marts.daily (day, total) SELECT o.day, sum(o.amount) FROM raw.orders o GROUP BY o.day",
    ),
    (
        Dialect::Ansi,
        "WITH a AS (SELECT id, max(at) AS at FROM raw.events GROUP BY id), b AS (SELECT e.*, a.at AS latest FROM raw.events e JOIN a ON a.id = e.id) SELECT b.id, b.latest, coalesce(c.name, 'none') AS name FROM b LEFT JOIN raw.customers c ON c.id = b.id WHERE b.at > 5",
    ),
    (
        Dialect::Postgres,
        "UPDATE raw.orders SET amount = s.amount * 2, day = now() FROM raw.events s WHERE s.id = orders.id RETURNING *",
    ),
    (
        Dialect::Postgres,
        "CREATE VIEW marts.ranked AS SELECT *, row_number() OVER (PARTITION BY day ORDER BY amount DESC) AS place FROM raw.orders",
    ),
    (
        Dialect::Snowflake,
        "MERGE INTO raw.orders t USING (SELECT * FROM raw.events) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET t.amount = s.amount WHEN NOT MATCHED THEN INSERT (id, amount) VALUES (s.id, s.amount)",
    ),
    (
        Dialect::Snowflake,
        "SELECT t.id, f.value:price::int AS price FROM raw.events t, LATERAL FLATTEN(input => t.payload:items) f QUALIFY row_number() OVER (PARTITION BY t.id ORDER BY price) = 1",
    ),
    (
        Dialect::TSql,
        "SELECT TOP 10 o.id, x.total INTO dbo.top_orders FROM raw.orders AS o CROSS APPLY (SELECT sum(amount) AS total FROM raw.events AS e WHERE e.id = o.id) AS x",
    ),
];

/// What is rewritten before the parser reads it, scripts and bodies.
const SCRIPTS: &[(Dialect, &str)] = &[
    (
        Dialect::TSql,
        "SELECT id, amount * 2 AS d INTO #a FROM raw.orders\nINSERT dbo.fact (id, d) SELECT id, sum(d) FROM #a GROUP BY id\nDROP TABLE #a",
    ),
    (
        Dialect::Snowflake,
        "EXECUTE IMMEDIATE $$ BEGIN INSERT INTO marts.daily SELECT * FROM raw.orders; RETURN 1; END $$",
    ),
    (
        Dialect::Oracle,
        "SELECT o.id, e.amount FROM raw.orders AS OF TIMESTAMP SYSDATE - 1 o, raw.events e WHERE o.id = e.id (+)",
    ),
    (
        Dialect::Spark,
        "FROM raw.orders INSERT OVERWRITE TABLE marts.a SELECT id, day INSERT INTO marts.b SELECT id, amount",
    ),
    (
        Dialect::DuckDb,
        "CREATE TABLE marts.wide AS PIVOT raw.orders ON day IN ('mon', 'tue') USING sum(amount) GROUP BY id",
    ),
];

/// Three tables.
struct Three {
    tables: [(&'static str, Arc<[ColumnDef]>); 3],
}

impl Three {
    fn new() -> Self {
        let columns = |names: &[&str]| {
            names.iter().map(|name| ColumnDef { name: Arc::from(*name), data_type: Arc::from("") }).collect()
        };
        Self {
            tables: [
                ("orders", columns(&["id", "day", "amount", "customer_id", "state"])),
                ("events", columns(&["id", "at", "amount", "payload", "kind"])),
                ("customers", columns(&["id", "name", "country"])),
            ],
        }
    }
}

impl Catalog for Three {
    fn columns(&self, name: &TableName) -> Option<Arc<[ColumnDef]>> {
        let last = name.parts.last()?;
        self.tables.iter().find(|(table, _)| **table == **last).map(|(_, columns)| Arc::clone(columns))
    }

    fn view(&self, _name: &TableName) -> Option<Arc<str>> {
        None
    }
}

fn grammar(dialect: Dialect) -> &'static dyn Grammar {
    match dialect {
        Dialect::Postgres => &PostgreSqlDialect {},
        Dialect::Snowflake => &SnowflakeDialect {},
        Dialect::TSql => &MsSqlDialect {},
        _ => &GenericDialect {},
    }
}

fn sql(criterion: &mut Criterion) {
    let catalog = Three::new();
    let options = Options::default();
    for (name, texts) in [("sql_lineage", STATEMENTS), ("sql_lineage_scripts", SCRIPTS)] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(texts.len() as u64));
        group.bench_function("analyse", |b| {
            b.iter_batched(
                Session::default,
                |mut session| {
                    for (dialect, text) in texts {
                        black_box(merge(&analyse(black_box(text), *dialect, &mut session, &catalog, &options)));
                    }
                },
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
    let mut group = criterion.benchmark_group("sql_text");
    group.throughput(Throughput::Elements(STATEMENTS.len() as u64));
    group.bench_function("parse", |b| {
        b.iter(|| {
            for (dialect, text) in STATEMENTS {
                black_box(Parser::parse_sql(grammar(*dialect), black_box(text)).ok());
            }
        });
    });
    group.bench_function("fingerprint", |b| {
        b.iter(|| {
            for (dialect, text) in STATEMENTS {
                black_box(normalise(black_box(text), *dialect));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, sql);
criterion_main!(benches);
