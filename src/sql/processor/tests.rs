//! Query logs and statement texts through the processors, record by record. What is expected was worked out by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::model::fact::{
    Column, Columns, Completeness, DeclaredLineage, EntityKind, Entry, Evidence, ExistenceState, QueryRun, RunEvent,
    Source, SqlText, Statement, Version,
};
use crate::model::id::{EntityId, IdentityConfig};
use crate::model::state::MemoryState;
use crate::sql::log::LogInstances;
use crate::sql::schemas::tests::dataset;

const DB: &str = "postgres://db:5432";
/// 2026-11-27T12:00:00Z in milliseconds, when the broker took everything.
const RECEIVED: i64 = 1_795_780_800_000;

struct Log {
    processor: QueryProcessor,
    state: MemoryState,
    schemas: Schemas,
    offset: i64,
    noted: Vec<&'static str>,
}

impl Log {
    fn new() -> Self {
        let instance = LogInstances { instance: Some(DB.to_owned()), ..LogInstances::default() };
        let platforms: BTreeMap<_, _> = [("postgres".to_owned(), instance)].into();
        let config = ProcessorConfig {
            identity: Arc::new(Identity::new(IdentityConfig::default()).unwrap()),
            logs: LogConfig { platforms, ..LogConfig::default() },
            facts: FactLimits::default(),
            options: Options::default(),
            keep_literals: false,
        };
        Self {
            processor: QueryProcessor::new(config),
            state: MemoryState::default(),
            schemas: Schemas::default(),
            offset: 0,
            noted: Vec::new(),
        }
    }

    fn feed(&mut self, value: &Value) -> Vec<Fact> {
        let text = value.to_string();
        self.offset += 1;
        let origin = Origin { topic: "warehouse.query-logs".to_owned(), partition: 0, offset: self.offset };
        let record = RawRecord { origin, timestamp_ms: Some(RECEIVED), key: None, value: Some(text.as_bytes()) };
        match self.processor.process(&record, &self.schemas, &mut self.state).unwrap() {
            Normalized::Facts(facts) => facts,
            Normalized::NoOp(reason) => {
                self.noted.push(reason);
                Vec::new()
            }
        }
    }

    fn all(&mut self, values: &[Value]) -> Vec<Fact> {
        values.iter().flat_map(|value| self.feed(value)).collect()
    }
}

/// A query of the common shape in session `s1`, in minute `minute` after 10:00.
fn query(id: &str, minute: u32, text: &str) -> Value {
    json!({
        "platform": "postgres", "instance": DB, "query_id": id, "session_id": "s1", "user": "ann", "text": text,
        "start": format!("2026-11-27T10:{minute:02}:00Z"), "end": format!("2026-11-27T10:{minute:02}:01Z"),
        "database": "shop", "schemas": ["public"],
    })
}

fn id(table: &str) -> EntityId {
    EntityId::from_canonical(format!("{DB}/shop/public/{table}"))
}

fn queries(facts: &[Fact]) -> Vec<&QueryRun> {
    let of = |entry: &Entry| entry.aspect == crate::model::fact::Aspect::Query;
    let statements = facts.iter().flat_map(|fact| fact.entries.iter().filter(|entry| of(entry)));
    statements
        .filter_map(|entry| match &entry.value {
            Some(Statement::Query(run)) => Some(run),
            _ => None,
        })
        .collect()
}

/// Runs with the job that they are runs of.
fn runs(facts: &[Fact]) -> Vec<(&EntityId, &RunEvent)> {
    let mut found = Vec::new();
    for fact in facts {
        for entry in &fact.entries {
            if let Some(Statement::Run(run)) = &entry.value {
                found.push((&fact.entity, run));
            }
        }
    }
    found
}

/// `target <- source` of direct edges.
fn direct(run: &RunEvent) -> Vec<String> {
    let name = |id: &EntityId, field: &str| format!("{}.{field}", id.as_str().rsplit('/').next().unwrap_or_default());
    let edges = run.column_edges.iter().filter(|edge| edge.kind == "DIRECT");
    edges
        .map(|edge| format!("{} <- {}", name(&edge.target, &edge.target_field), name(&edge.source, &edge.source_field)))
        .collect()
}

fn said<'a>(facts: &'a [Fact], entity: &EntityId) -> Vec<&'a Statement> {
    let of = facts.iter().filter(|fact| fact.entity == *entity);
    of.flat_map(|fact| fact.entries.iter().filter_map(|entry| entry.value.as_ref())).collect()
}

fn existence(facts: &[Fact], entity: &EntityId) -> Option<(ExistenceState, Evidence)> {
    said(facts, entity).into_iter().find_map(|statement| match statement {
        Statement::Existence(existence) => Some((existence.state, existence.evidence)),
        _ => None,
    })
}

#[test]
fn a_temporary_table_is_followed_through_the_records_of_its_session() {
    let mut log = Log::new();
    let made = log.feed(&query("1", 0, "CREATE TEMP TABLE t AS SELECT id, amount * 2 AS twice FROM orders"));
    assert_eq!(queries(&made).len(), 1);
    assert!(runs(&made).is_empty(), "nothing lasting was written");
    let used = log.feed(&query("2", 1, "INSERT INTO totals (id, total) SELECT id, twice FROM t"));
    let found = runs(&used);
    assert_eq!(found.len(), 1);
    let (job, run) = found[0];
    assert!(job.as_str().starts_with("job://postgres:%2F%2Fdb:5432/"), "{job}");
    assert_eq!((run.inputs.clone(), run.outputs.clone()), (vec![id("orders")], vec![id("totals")]));
    assert_eq!(direct(run), ["totals.id <- orders.id", "totals.total <- orders.amount"]);
    assert_eq!(existence(&made, &id("orders")), Some((ExistenceState::Referenced, Evidence::Mention)));
    assert!(said(&used, &id("t")).is_empty(), "the temporary table is no dataset");
    let other = json!({"session_id": "s2"});
    let mut elsewhere = query("3", 2, "INSERT INTO totals (id, total) SELECT id, twice FROM t");
    elsewhere["session_id"] = other["session_id"].clone();
    assert_eq!(runs(&log.feed(&elsewhere))[0].1.inputs, [id("t")], "another session knows nothing of it");
}

#[test]
fn records_read_again_say_nothing() {
    let mut log = Log::new();
    let records = [
        query("1", 0, "CREATE TABLE a (x int, y text)"),
        query("2", 1, "INSERT INTO a SELECT x, y FROM b WHERE x > 7"),
        query("3", 2, "SELECT x FROM a"),
    ];
    let first = log.all(&records);
    assert_eq!(queries(&first).len(), 3);
    assert_eq!(log.all(&records), []);
    assert_eq!(log.noted, ["seen"; 3]);
    // Another record of the same query that says more is told, under the same id.
    let mut richer = query("3", 2, "SELECT x FROM a");
    richer["reads"] = json!([{"table": "shop.public.a", "columns": ["x"]}]);
    let again = log.feed(&richer);
    assert_eq!(queries(&again).len(), 1);
    assert!(queries(&again)[0].richness > queries(&first)[2].richness);
    assert_eq!(log.feed(&richer), []);
}

#[test]
fn a_statement_is_counted_when_its_session_says_how_it_ended() {
    let line = |number: i64, seconds: &str, message: &str| {
        json!({"timestamp": format!("2026-11-27 10:00:{seconds} UTC"), "user": "ann", "dbname": "shop", "pid": 7,
            "session_id": "abc.1", "line_num": number, "error_severity": "LOG", "message": message,
            "application_name": "psql", "backend_type": "client backend"})
    };
    let mut log = Log::new();
    assert_eq!(log.feed(&line(1, "01.000", "statement: INSERT INTO a SELECT x FROM b")), []);
    assert_eq!(log.feed(&line(1, "01.000", "statement: INSERT INTO a SELECT x FROM b")), [], "no outcome either");
    assert_eq!(log.noted, ["waits_for_its_outcome", "seen"]);
    let facts = log.feed(&line(2, "03.500", "duration: 2500.000 ms"));
    let found = queries(&facts);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].duration_us, found[0].status.as_str()), (Some(2_500_000), "success"));
    assert_eq!(found[0].end - found[0].start, 2_500_000);
    assert_eq!(runs(&facts).len(), 1);
    assert!(facts.iter().all(|fact| fact.origin.offset == 1), "the record that told of it");
    assert_eq!(log.feed(&line(2, "03.500", "duration: 2500.000 ms")), []);
    assert_eq!(log.noted.last(), Some(&"duration_without_statement"));

    // One that fails is the one that had begun.
    assert_eq!(log.feed(&line(3, "04.000", "statement: INSERT INTO a SELECT z FROM b")), []);
    let mut failed = line(4, "04.100", "column \"z\" does not exist");
    failed["error_severity"] = "ERROR".into();
    failed["state_code"] = "42703".into();
    failed["statement"] = "INSERT INTO a SELECT z FROM b".into();
    let facts = log.feed(&failed);
    assert_eq!(queries(&facts).iter().map(|run| run.status.as_str()).collect::<Vec<_>>(), ["failed"]);
    assert!(runs(&facts).is_empty());
    // Read again, neither record is a query of its own.
    assert_eq!(log.feed(&line(3, "04.000", "statement: INSERT INTO a SELECT z FROM b")), []);
    assert_eq!(log.feed(&failed), []);

    // Without a duration the next statement says that the one before is over.
    assert_eq!(log.feed(&line(5, "05.000", "statement: SELECT x FROM b")), []);
    let facts = log.feed(&line(6, "06.000", "statement: SELECT y FROM b"));
    assert_eq!(queries(&facts).len(), 1);
    let facts = log.feed(&line(7, "07.000", "disconnection: session time: 0:00:06.000 user=ann database=shop host=x"));
    assert_eq!(queries(&facts).len(), 1);
    assert_eq!(
        log.state.scan(b"").unwrap().iter().filter(|(key, _)| key.contains(&b's')).count(),
        0,
        "no session left"
    );
}

#[test]
fn a_star_is_what_the_catalog_knows_and_the_schema_is_noted() {
    let mut log = Log::new();
    let text = "INSERT INTO archive SELECT * FROM orders";
    let blind = log.feed(&query("1", 0, text));
    assert!(direct(runs(&blind)[0].1).iter().all(|edge| !edge.contains(".id")));
    assert!(queries(&blind)[0].bound.is_empty());

    log.schemas.put(&dataset(id("orders").as_str(), &["id", "amount"]));
    log.schemas.put(&dataset(id("archive").as_str(), &["key", "value"]));
    // The same text again: what is remembered of it does not hold any more.
    let facts = log.feed(&query("2", 1, text));
    assert_eq!(direct(runs(&facts)[0].1), ["archive.key <- orders.id", "archive.value <- orders.amount"]);
    let run = queries(&facts)[0];
    assert_eq!(run.bound.len(), 2);
    assert!(run.bound[1].starts_with(&format!("{}@", id("orders"))), "{:?}", run.bound);
    assert_eq!(run.reads[0].columns, ["amount", "id"]);
}

#[test]
fn a_failed_query_has_read_and_done_nothing() {
    let mut log = Log::new();
    let mut failed = query("1", 0, "INSERT INTO a SELECT x FROM b WHERE y = 'secret'");
    failed["status"] = "failed".into();
    failed["error"] = "42P01: no such table".into();
    let facts = log.feed(&failed);
    let run = queries(&facts)[0];
    assert_eq!((run.status.as_str(), run.error.as_deref()), ("failed", Some("42P01: no such table")));
    assert_eq!(run.reads.iter().map(|read| &read.dataset).collect::<Vec<_>>(), [&id("b")]);
    assert_eq!(run.reads[0].filters, ["y"]);
    assert!(run.writes.is_empty() && run.job.is_none() && runs(&facts).is_empty());
    assert_eq!(existence(&facts, &id("a")), None);
    assert!(!run.text.as_deref().unwrap().contains("secret"), "{:?}", run.text);
    // Nor has it changed its session.
    let mut made = query("2", 1, "CREATE TEMP TABLE t AS SELECT x FROM b");
    made["status"] = "failed".into();
    log.feed(&made);
    assert_eq!(runs(&log.feed(&query("3", 2, "INSERT INTO a SELECT x FROM t")))[0].1.inputs, [id("t")]);
}

/// dbt on Postgres: built beside, exchanged by names, in one session; each statement says whose it is.
#[test]
fn what_is_built_beside_and_renamed_is_the_models() {
    let comment = r#"/* {"app": "dbt", "node_id": "model.shop.totals", "target_name": "prod"} */ "#;
    let statements = [
        r#"create table "shop"."public"."totals__dbt_tmp" as (select "id", sum("amount") as "total" from "shop"."public"."orders" group by "id")"#,
        r#"alter table "shop"."public"."totals" rename to "totals__dbt_backup""#,
        r#"alter table "shop"."public"."totals__dbt_tmp" rename to "totals""#,
        r#"drop table if exists "shop"."public"."totals__dbt_backup" cascade"#,
    ];
    let mut log = Log::new();
    let mut facts = Vec::new();
    for (nth, statement) in statements.iter().enumerate() {
        facts.extend(log.feed(&query(&nth.to_string(), nth as u32, &format!("{comment}{statement}"))));
    }
    let found = runs(&facts);
    assert_eq!(found.len(), 1, "{found:?}");
    let (job, run) = found[0];
    assert_eq!(*job, EntityId::job(DB, "model.shop.totals"));
    assert_eq!((run.inputs.clone(), run.outputs.clone()), (vec![id("orders")], vec![id("totals")]));
    assert_eq!(direct(run), ["totals.id <- orders.id", "totals.total <- orders.amount"]);
    assert_eq!(queries(&facts).len(), 4);
    assert!(facts.iter().all(|fact| !fact.entity.as_str().contains("__dbt")), "they never show");
    let dropped =
        |statement: &&Statement| matches!(statement, Statement::Existence(e) if e.state == ExistenceState::Dropped);
    assert_eq!(said(&facts, &id("totals")).iter().filter(|said| dropped(said)).count(), 0);
}

#[test]
fn a_test_of_dbt_checks_data_and_makes_none() {
    let mut log = Log::new();
    let comment = r#"/* {"app": "dbt", "node_id": "test.shop.not_null_orders_id.1"} */ "#;
    let facts =
        log.feed(&query("1", 0, &format!("{comment}create table failures as select id from orders where id is null")));
    assert!(runs(&facts).is_empty());
    assert_eq!(queries(&facts)[0].reads[0].dataset, id("orders"));
}

#[test]
fn a_job_is_told_once_an_hour_and_a_query_each_time() {
    let mut log = Log::new();
    let insert = |n: u32| format!("INSERT INTO a SELECT x FROM b WHERE day = '{n}'");
    let first = log.feed(&query("1", 0, &insert(1)));
    let second = log.feed(&query("2", 30, &insert(2)));
    assert_eq!((runs(&first).len(), runs(&second).len()), (1, 0));
    assert_eq!(second.len(), 1, "the query alone: {second:?}");
    assert_eq!(queries(&second)[0].job.as_ref(), Some(runs(&first)[0].0), "the same job, whatever the literals");
    let mut later = query("3", 0, &insert(3));
    later["start"] = "2026-11-27T11:00:00Z".into();
    later["end"] = "2026-11-27T11:00:01Z".into();
    let third = log.feed(&later);
    assert_eq!(runs(&third).len(), 1);
    assert_ne!(runs(&third)[0].1.run_id, runs(&first)[0].1.run_id);
}

#[test]
fn what_is_made_has_its_columns_and_what_is_dropped_is_gone() {
    let mut log = Log::new();
    let made = log.feed(&query("1", 0, "CREATE TABLE a (x int NOT NULL, \"Y\" varchar(10))"));
    assert_eq!(existence(&made, &id("a")), Some((ExistenceState::Confirmed, Evidence::Ddl)));
    let column = |name: &str, data_type: &str| Column {
        name: name.to_owned(),
        data_type: data_type.to_owned(),
        ..Column::default()
    };
    let columns = said(&made, &id("a")).into_iter().find_map(|statement| match statement {
        Statement::Columns(Columns { completeness, columns }) => Some((*completeness, columns.clone())),
        _ => None,
    });
    let (completeness, columns) = columns.expect("columns are stated");
    assert_eq!(completeness, Completeness::Complete);
    let lower: Vec<Column> = columns.into_iter().map(|c| column(&c.name, &c.data_type.to_lowercase())).collect();
    assert_eq!(lower, [column("x", "int"), column("y", "varchar(10)")]);
    let perhaps = log.feed(&query("2", 1, "CREATE TABLE IF NOT EXISTS a (z int)"));
    assert!(said(&perhaps, &id("a")).iter().all(|statement| !matches!(statement, Statement::Columns(_))));
    let dropped = log.feed(&query("3", 2, "DROP TABLE a"));
    assert_eq!(existence(&dropped, &id("a")), Some((ExistenceState::Dropped, Evidence::Ddl)));
    // Within the hour it is made again, and that is told.
    let again = log.feed(&query("4", 3, "CREATE TABLE a (x int)"));
    assert_eq!(existence(&again, &id("a")), Some((ExistenceState::Confirmed, Evidence::Ddl)));
}

#[test]
fn the_platforms_own_lists_go_before_the_text() {
    let mut log = Log::new();
    let mut told = query("1", 0, "CALL fill()");
    told["reads"] =
        json!([{"table": "shop.public.orders", "columns": ["ID", "amount"]}, {"table": "shop.pg_catalog.pg_class"}]);
    told["writes"] = json!([{"table": "shop.public.totals", "columns": [
        {"name": "total", "sources": [{"table": "shop.public.orders", "column": "amount"}]}]}]);
    let facts = log.feed(&told);
    let (_, run) = runs(&facts)[0];
    assert_eq!((run.inputs.clone(), run.outputs.clone()), (vec![id("orders")], vec![id("totals")]));
    assert_eq!(direct(run), ["totals.total <- orders.amount"]);
    assert_eq!(queries(&facts)[0].reads[0].columns, ["amount", "id"]);
    assert!(facts.iter().all(|fact| !fact.entity.as_str().contains("pg_class")));
}

#[test]
fn what_engines_keep_about_themselves_is_no_dataset() {
    let mut log = Log::new();
    let facts = log.feed(&query(
        "1",
        0,
        "SELECT c.relname FROM pg_catalog.pg_class c JOIN information_schema.tables t ON true",
    ));
    assert_eq!(facts.len(), 1);
    assert!(queries(&facts)[0].reads.is_empty());
    assert_eq!(queries(&facts)[0].statement_type, "SELECT");
}

#[test]
fn joins_and_users_of_columns_are_told() {
    let mut log = Log::new();
    log.schemas.put(&dataset(id("orders").as_str(), &["id", "customer"]));
    log.schemas.put(&dataset(id("customers").as_str(), &["id", "name"]));
    let facts =
        log.feed(&query("1", 0, "SELECT name FROM orders o JOIN customers c ON o.customer = c.id WHERE o.id > 5"));
    let run = queries(&facts)[0];
    let reads: Vec<_> =
        run.reads.iter().map(|read| (&read.dataset, read.columns.clone(), read.filters.clone())).collect();
    let texts = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        reads,
        [
            (&id("customers"), texts(&["id", "name"]), vec![]),
            (&id("orders"), texts(&["customer", "id"]), texts(&["id"]))
        ]
    );
    let join = &run.reads[1].joins;
    assert_eq!(join.len(), 1);
    assert_eq!(
        (&join[0].other, join[0].column.as_str(), join[0].other_column.as_str()),
        (&id("customers"), "customer", "id")
    );
    assert_eq!(run.expires_at - run.end, 30 * 86_400 * 1_000_000);
}

#[test]
fn a_clock_that_runs_ahead_is_held_back() {
    let mut log = Log::new();
    let mut ahead = query("1", 0, "SELECT x FROM a");
    ahead["start"] = "2030-01-01T00:00:00Z".into();
    ahead["end"] = "2030-01-01T00:00:01Z".into();
    let facts = log.feed(&ahead);
    assert_eq!(queries(&facts)[0].end, (RECEIVED + 3_600_000) * 1_000);
}

#[test]
fn a_session_is_over_after_a_day_of_silence() {
    let mut log = Log::new();
    log.feed(&query("1", 0, "SET search_path TO sales"));
    let same_day = log.feed(&query("2", 30, "SELECT x FROM a"));
    let sales = EntityId::from_canonical(format!("{DB}/shop/sales/a"));
    assert_eq!(queries(&same_day)[0].reads[0].dataset, sales);
    let mut later = query("3", 0, "SELECT x FROM a");
    later["start"] = "2026-11-28T10:31:00Z".into();
    later["end"] = "2026-11-28T10:31:01Z".into();
    let mut log_received_later = |value: &Value| {
        let text = value.to_string();
        let origin = Origin { topic: "warehouse.query-logs".to_owned(), partition: 0, offset: 99 };
        let received = Some(RECEIVED + 2 * 86_400_000);
        let record = RawRecord { origin, timestamp_ms: received, key: None, value: Some(text.as_bytes()) };
        match log.processor.process(&record, &log.schemas, &mut log.state).unwrap() {
            Normalized::Facts(facts) => facts,
            Normalized::NoOp(reason) => panic!("{reason}"),
        }
    };
    assert_eq!(queries(&log_received_later(&later))[0].reads[0].dataset, id("a"));
}

#[test]
fn two_statements_of_one_text_are_two_jobs() {
    let mut log = Log::new();
    let facts = log.feed(&query("1", 0, "INSERT INTO a SELECT x FROM b; INSERT INTO c SELECT y FROM d"));
    let found = runs(&facts);
    assert_eq!(found.len(), 2);
    assert_ne!(found[0].0, found[1].0);
    assert_eq!((found[0].1.inputs.clone(), found[0].1.outputs.clone()), (vec![id("b")], vec![id("a")]));
    assert_eq!((found[1].1.inputs.clone(), found[1].1.outputs.clone()), (vec![id("d")], vec![id("c")]));
    assert_eq!(queries(&facts).len(), 1);
}

#[test]
fn a_models_text_is_lineage_into_what_it_is_declared_to_fill() {
    let mut binder = StatementBinder::new(Arc::new(Identity::default()), FactLimits::default(), Options::default());
    let mut schemas = Schemas::default();
    schemas.put(&dataset(id("orders").as_str(), &["id", "amount"]));
    let job = EntityId::job(DB, "model.shop.totals");
    let sql = SqlText {
        text: "select id, sum(amount) as total from orders where amount > 0 group by 1".to_owned(),
        dialect: "postgres".to_owned(),
        defaults: vec!["shop".to_owned(), "public".to_owned()],
        ..SqlText::default()
    };
    let declared =
        DeclaredLineage { inputs: vec![id("orders")], outputs: vec![id("totals")], ..DeclaredLineage::default() };
    let fact = |entries: Vec<Entry>| Fact {
        entity: job.clone(),
        kind: EntityKind::Job,
        source: Source::parse("dbt/manifest/shop"),
        version: Version { epoch: 0, time: 7, seq: 0, hash: 9 },
        origin: Origin { topic: "dbt.events".to_owned(), partition: 0, offset: 3 },
        via: Vec::new(),
        entries,
    };
    let both = fact(vec![Entry::of(Statement::Declared(declared)), Entry::of(Statement::Sql(sql.clone()))]);
    let Normalized::Facts(facts) = binder.bind(&both, &schemas).unwrap() else { panic!("lineage is expected") };
    assert_eq!(facts.len(), 1);
    assert_eq!((facts[0].source.as_str(), &facts[0].origin), ("sql/statement", &both.origin));
    let (of, run) = runs(&facts)[0];
    assert_eq!((of, run.inputs.clone(), run.outputs.clone()), (&job, vec![id("orders")], vec![id("totals")]));
    assert_eq!(direct(run), ["totals.id <- orders.id", "totals.total <- orders.amount"]);
    let indirect: Vec<_> =
        run.column_edges.iter().filter(|edge| edge.kind == "INDIRECT").map(|e| &*e.subtype).collect();
    assert!(indirect.contains(&"FILTER"), "{indirect:?}");
    let alone = fact(vec![Entry::of(Statement::Sql(sql))]);
    assert_eq!(binder.bind(&alone, &schemas).unwrap(), Normalized::NoOp("no_lineage"));
}

#[test]
fn queries_without_a_text_are_jobs_by_what_they_connect() {
    let mut log = Log::new();
    let row = |id: &str, from: &str, to: &str| {
        json!({"platform": "snowflake", "instance": "snowflake://org-account", "record": {
            "QUERY_ID": id, "QUERY_START_TIME": "2026-11-27T10:00:00Z", "USER_NAME": "ANA",
            "DIRECT_OBJECTS_ACCESSED": [{"objectName": from, "objectDomain": "Table", "columns": [{"columnName": "A"}]}],
            "OBJECTS_MODIFIED": [{"objectName": to, "objectDomain": "Table", "columns": [
                {"columnName": "B", "directSources": [{"objectName": from, "objectDomain": "Table", "columnName": "A"}]}]}],
        }})
    };
    let facts = log.all(&[row("1", "DB.S.X", "DB.S.Y"), row("2", "DB.S.P", "DB.S.Q")]);
    let found = runs(&facts);
    assert_eq!(found.len(), 2);
    assert_ne!(found[0].0, found[1].0, "what has no text is not all one job");
    let table = |name: &str| EntityId::from_canonical(format!("snowflake://org-account/db/s/{name}"));
    assert_eq!((found[1].1.inputs.clone(), found[1].1.outputs.clone()), (vec![table("p")], vec![table("q")]));
    assert_eq!(direct(found[0].1), ["y.b <- x.a"]);
    let again = log.all(&[row("3", "DB.S.X", "DB.S.Y")]);
    let job = queries(&again)[0].job.as_ref();
    assert_eq!(job, Some(found[0].0), "the same again is the same job");
}
