//! Texts of views and jobs to lineage. What is expected was worked out by hand.

use std::sync::Arc;

use super::*;
use crate::model::fact::{Aspect, Origin, Version};
use crate::sql::schemas::tests::dataset;

const HMS: &str = "hive://hms:9083";

fn at(instance: &str, path: &str) -> EntityId {
    EntityId::from_canonical(format!("{instance}/{path}"))
}

fn fact(entity: EntityId, kind: EntityKind, source: &str, entries: Vec<Entry>) -> Fact {
    Fact {
        entity,
        kind,
        source: Source::parse(source),
        version: Version { epoch: 0, time: 7, seq: 0, hash: 9 },
        origin: Origin { topic: "raw".to_owned(), partition: 0, offset: 3 },
        via: Vec::new(),
        entries,
    }
}

fn view(sql: Option<SqlText>) -> Fact {
    let entry = match sql {
        Some(sql) => Entry::of(Statement::Sql(sql)),
        None => Entry::retract(Aspect::Sql, ""),
    };
    fact(at(HMS, "shop/v"), EntityKind::Dataset, "hms/hive://hms:9083", vec![entry])
}

fn sql(dialect: &str, text: &str, defaults: &[&str], columns: &[&str]) -> SqlText {
    let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
    SqlText {
        text: text.to_owned(),
        dialect: dialect.to_owned(),
        defaults: owned(defaults),
        columns: owned(columns),
        ..SqlText::default()
    }
}

#[track_caller]
fn bind(fact: &Fact, schemas: &Schemas) -> Fact {
    let mut binder = StatementBinder::new(Arc::new(Identity::default()), FactLimits::default(), Options::default());
    match binder.bind(fact, schemas).unwrap() {
        Normalized::Facts(facts) => {
            let [one] = <[Fact; 1]>::try_from(facts).unwrap();
            one
        }
        Normalized::NoOp(reason) => panic!("{reason}"),
    }
}

fn is_no_op(fact: &Fact) -> bool {
    let mut binder = StatementBinder::new(Arc::new(Identity::default()), FactLimits::default(), Options::default());
    matches!(binder.bind(fact, &Schemas::default()).unwrap(), Normalized::NoOp(_))
}

fn declared(fact: &Fact) -> &DeclaredLineage {
    let mut all = fact.entries.iter().filter_map(|entry| match &entry.value {
        Some(Statement::Declared(declared)) => Some(declared),
        _ => None,
    });
    all.next().expect("a view declares")
}

/// `target field <- source field` of direct edges, tables without their server.
fn direct(edges: &[ColumnEdge]) -> Vec<String> {
    let table = |id: &EntityId| id.as_str().split_once("://").map_or("", |(_, rest)| rest).to_owned();
    let name = |id: &EntityId| table(id).split_once('/').map(|(_, path)| path.to_owned()).unwrap_or_default();
    let edges = edges.iter().filter(|edge| edge.kind == "DIRECT");
    edges.map(|edge| format!("{} <- {}.{}", edge.target_field, name(&edge.source), edge.source_field)).collect()
}

#[test]
fn a_view_declares_what_it_reads_under_a_job_of_its_own() {
    let text = "SELECT `o`.`id` AS `a`, `o`.`n` + 1 AS `b` FROM `shop`.`orders` `o` WHERE `o`.`day` > 1";
    let made = bind(&view(Some(sql("hive", text, &["shop"], &["key", "next"]))), &Schemas::default());
    assert_eq!(made.entity, EntityId::job(HMS, "shop.v"));
    assert_eq!((made.source.as_str(), made.version.time), ("sql/statement", 7));
    let lineage = declared(&made);
    assert_eq!((&lineage.inputs, &lineage.outputs), (&vec![at(HMS, "shop/orders")], &vec![at(HMS, "shop/v")]));
    assert_eq!(
        direct(&lineage.columns),
        ["key <- shop/orders.id", "next <- shop/orders.n"],
        "columns by the view's names"
    );
    assert!(lineage.columns.iter().any(|edge| edge.subtype == "FILTER" && edge.source_field == "day"));
    let job = made.entries.iter().find_map(|entry| match &entry.value {
        Some(Statement::Job(job)) => Some(job),
        _ => None,
    });
    let job = job.unwrap();
    assert_eq!((job.integration.as_str(), job.job_type.as_str(), job.name.as_str()), ("HIVE", "VIEW", "shop.v"));
    assert_eq!(job.sql.as_deref(), Some(text));
}

#[test]
fn a_text_that_tells_nothing_replaces_the_former_one_and_a_view_that_is_gone_reads_nothing() {
    let made = bind(&view(Some(sql("hive", "SELECT 1", &["shop"], &["one"]))), &Schemas::default());
    assert_eq!(declared(&made).inputs, []);
    assert_eq!(declared(&made).outputs, [at(HMS, "shop/v")]);
    let gone = bind(&view(None), &Schemas::default());
    assert_eq!(gone.entity, EntityId::job(HMS, "shop.v"));
    let dropped = gone
        .entries
        .iter()
        .any(|entry| matches!(&entry.value, Some(Statement::Existence(e)) if e.state == ExistenceState::Dropped));
    assert!(dropped, "{gone:?}");
}

#[test]
fn a_star_over_a_table_that_nobody_knows_has_the_columns_of_the_view() {
    let mut text = sql("spark", "SELECT * FROM orders", &["shop"], &["a", "b"]);
    text.query_columns = vec!["id".to_owned(), "total".to_owned()];
    let made = bind(&view(Some(text.clone())), &Schemas::default());
    assert_eq!(direct(&declared(&made).columns), ["a <- shop/orders.id", "b <- shop/orders.total"]);
    let mut schemas = Schemas::default();
    schemas.put(&dataset(at(HMS, "shop/orders").as_str(), &["id", "total"]));
    assert_eq!(direct(&declared(&bind(&view(Some(text)), &schemas)).columns).len(), 2);
    let two = sql("spark", "SELECT * FROM orders, customers", &["shop"], &["a", "b"]);
    assert_eq!(direct(&declared(&bind(&view(Some(two)), &Schemas::default())).columns), [""; 0], "which is whose?");
}

#[test]
fn spark_names_the_metastore_by_its_catalog() {
    let text = "SELECT o.id, c.name FROM spark_catalog.shop.orders o JOIN customers c ON o.c = c.id";
    let made = bind(&view(Some(sql("spark", text, &["crm"], &["id", "name"]))), &Schemas::default());
    assert_eq!(declared(&made).inputs, [at(HMS, "crm/customers"), at(HMS, "shop/orders")]);
}

#[test]
fn tables_of_trinos_other_catalogs_lie_elsewhere() {
    let text = "SELECT o.id, p.x FROM orders o, lake.crm.c, pg.public.p WHERE o.id = p.id";
    let mut text = sql("trino", text, &["shop"], &["id", "x"]);
    text.catalog = Some("lake".to_owned());
    let made = bind(&view(Some(text)), &Schemas::default());
    let elsewhere = EntityId::from_canonical("trino:///pg/public/p".to_owned());
    assert_eq!(declared(&made).inputs, [at(HMS, "crm/c"), at(HMS, "shop/orders"), elsewhere]);
}

const PG: &str = "postgres://db:5432";

fn ran(job: EntityId, source: &str, text: SqlText, inputs: Vec<EntityId>, outputs: Vec<EntityId>) -> Fact {
    let run = RunEvent {
        run_id: "r1".to_owned(),
        state: "COMPLETE".to_owned(),
        time: 7,
        inputs,
        outputs,
        ..RunEvent::default()
    };
    let entries = vec![Entry::of(Statement::Sql(text)), Entry::keyed("r1|COMPLETE", Statement::Run(run))];
    fact(job, EntityKind::Job, source, entries)
}

fn run_in(fact: &Fact) -> &RunEvent {
    let [Entry { value: Some(Statement::Run(run)), .. }] = fact.entries.as_slice() else { panic!("{fact:?}") };
    run
}

#[test]
fn a_runs_text_connects_the_datasets_of_the_run_and_no_others() {
    let (orders, totals) = (at(PG, "shop/public/orders"), at(PG, "shop/mart/totals"));
    let job = EntityId::job("airflow", "dag.task");
    let text =
        "INSERT INTO mart.totals (id, n) SELECT o.id, count(o.x) FROM orders o JOIN rates r ON r.a = o.a GROUP BY o.id";
    let raw =
        ran(job.clone(), "openlineage/airflow", sql("", text, &[], &[]), vec![orders.clone()], vec![totals.clone()]);
    let made = bind(&raw, &Schemas::default());
    assert_eq!((&made.entity, made.source.as_str()), (&job, "sql/statement"));
    let run = run_in(&made);
    assert_eq!((run.run_id.as_str(), run.state.as_str()), ("r1", "COMPLETE"), "the producer's run");
    assert_eq!((&run.inputs, &run.outputs), (&vec![orders.clone()], &vec![totals.clone()]));
    assert_eq!(direct(&run.column_edges), ["id <- shop/public/orders.id", "n <- shop/public/orders.x"]);
    assert!(run.column_edges.iter().all(|edge| edge.source == orders), "rates is not of this run");

    // What the producer says of a dataset's columns stands.
    let Some(Statement::Run(told)) = raw.entries[1].value.clone() else { panic!() };
    let edges = run.column_edges.iter().take(1).cloned().collect();
    let told = Entry::keyed("r1|COMPLETE", Statement::Run(RunEvent { column_edges: edges, ..told }));
    assert!(is_no_op(&Fact { entries: vec![raw.entries[0].clone(), told], ..raw.clone() }));
    // Of a query alone nobody knows what became of its result, unless it is a model of dbt's.
    let select = sql("postgres", "SELECT id, x AS n FROM orders", &[], &[]);
    let of = |source: &str| ran(job.clone(), source, select.clone(), vec![orders.clone()], vec![totals.clone()]);
    assert!(is_no_op(&of("openlineage/airflow")));
    let model = bind(&of("openlineage/dbt"), &Schemas::default());
    assert_eq!(direct(&run_in(&model).column_edges), ["id <- shop/public/orders.id", "n <- shop/public/orders.x"]);
}

#[test]
fn an_end_of_a_name_that_two_datasets_have_is_neither() {
    let inputs = vec![at(PG, "shop/a/orders"), at(PG, "shop/b/orders")];
    let totals = at(PG, "shop/mart/totals");
    let job = EntityId::job("airflow", "dag.task");
    let text = |text: &str| sql("", text, &[], &[]);
    let raw = |text| ran(job.clone(), "openlineage/other", text, inputs.clone(), vec![totals.clone()]);
    assert!(is_no_op(&raw(text("INSERT INTO totals SELECT o.id FROM orders o"))));
    let made = bind(&raw(text("INSERT INTO totals SELECT o.id AS id FROM b.orders o")), &Schemas::default());
    assert_eq!(direct(&run_in(&made).column_edges), ["id <- shop/b/orders.id"]);
}

#[test]
fn the_text_says_all_where_a_run_names_no_dataset() {
    let job = EntityId::job("trino://t:8080", "load");
    let text = sql("", "INSERT INTO lake.mart.t (a) SELECT x FROM lake.raw.s", &[], &[]);
    let made = bind(&ran(job, "openlineage/trino", text.clone(), Vec::new(), Vec::new()), &Schemas::default());
    let run = run_in(&made);
    assert_eq!(
        (&run.inputs[..], &run.outputs[..]),
        (&[at("trino://t:8080", "lake/raw/s")][..], &[at("trino://t:8080", "lake/mart/t")][..])
    );
    assert_eq!(direct(&run.column_edges), ["a <- lake/raw/s.x"]);
    // A scheduler is no server of tables.
    let nowhere = EntityId::job("airflow", "dag.task");
    assert!(is_no_op(&ran(nowhere, "openlineage/airflow", text, Vec::new(), Vec::new())));
}

#[test]
fn the_dialect_is_that_which_is_said_else_the_engines_else_the_servers() {
    let (athena, spark) = ("awsathena://athena.eu-1.amazonaws.com", "openlineage/spark");
    let home = |source: &str, server: &str, said: &str| {
        let outputs = vec![at(server, "a/b/c")];
        let raw = ran(EntityId::job("airflow", "t"), source, sql(said, "", &[], &[]), Vec::new(), outputs);
        Home::of(&raw).unwrap().dialect(&sql(said, "", &[], &[]), &raw)
    };
    for (source, server, said, expected) in [
        ("openlineage/airflow", "snowflake://org-acc", "", Dialect::Snowflake),
        ("openlineage/airflow", "bigquery://project", "", Dialect::BigQuery),
        ("openlineage/airflow", athena, "", Dialect::Athena),
        ("openlineage/airflow", "mssql://h:1433", "", Dialect::TSql),
        ("openlineage/airflow", "oracle://h:1521", "", Dialect::Oracle),
        ("openlineage/airflow", "mysql://h:3306", "", Dialect::MySql),
        ("openlineage/airflow", "redshift://c.r:5439", "", Dialect::Redshift),
        ("openlineage/airflow", "s3://bucket", "", Dialect::Ansi),
        (spark, "hive://h:9083", "", Dialect::Spark),
        (spark, "hive://h:9083", "hive", Dialect::Hive),
        ("openlineage/trino", "postgres://h:5432", "", Dialect::Trino),
        ("openlineage/airflow", "postgres://h:5432", "no such", Dialect::Postgres),
    ] {
        assert_eq!(home(source, server, said), expected, "{source} {server} {said}");
    }
}
