//! Tests of ids: one table per platform, and the bijection as a property.

use proptest::prelude::*;

use super::*;

/// (namespace, name, id) for every row and example of the platform table.
const CANONICAL: &[(&str, &str, &str)] = &[
    // Hive
    ("hive://host:9083", "db.table", "hive://host:9083/db/table"),
    ("hive://Host:9083", "Db.TABLE", "hive://host:9083/db/table"),
    ("thrift://host:9083", "db.table", "hive://host:9083/db/table"),
    ("hive://host:9083", "`my db`.`a.b`", "hive://host:9083/my%20db/a.b"),
    ("hive://host:9083", "lager.Größe", "hive://host:9083/lager/größe"),
    ("hive://host:9083", "hive.db.table", "hive://host:9083/db/table"),
    ("hive://host:9083", "spark_catalog.db.table", "hive://host:9083/db/table"),
    ("hive://host:9083", "cat.db.table", "hive://host:9083/@cat%23db/table"),
    ("hive://metastore", "default.test", "hive://metastore/default/test"),
    ("hive://127.0.0.1:29083", "spark_shop.customers", "hive://127.0.0.1:29083/spark_shop/customers"),
    // Snowflake
    ("snowflake://org-account", "DB.SCHEMA.TABLE", "snowflake://org-account/db/schema/table"),
    ("snowflake://org-account", "\"DB\".\"Schema\".\"a.\"\"b\"\"\"", "snowflake://org-account/db/schema/a.\"b\""),
    (
        "snowflake://mysnowflakeaccount.us-east-1.aws",
        "REPORTING.TEST_GENERAL.orders",
        "snowflake://mysnowflakeaccount.us-east-1.aws/reporting/test_general/orders",
    ),
    // Postgres, Redshift
    ("postgres://host:5432", "db.schema.table", "postgres://host:5432/db/schema/table"),
    ("postgres://127.0.0.1:15498", "shop.dbt_dev.stg_x", "postgres://127.0.0.1:15498/shop/dbt_dev/stg_x"),
    ("postgres://127.0.0.1:15498", "first_last", "postgres://127.0.0.1:15498/first_last"),
    ("postgresql://production:5432", "public.transactions", "postgres://production:5432/public/transactions"),
    ("postgres://me:secret@host:5432/shop?ssl=1", "public.t", "postgres://host:5432/shop/public/t"),
    ("redshift://cluster.region:5439", "DEV.PuBliC.Load_Test", "redshift://cluster.region:5439/dev/public/load_test"),
    // MySQL, Trino, Unity Catalog
    ("mysql://h:3306", "db.t", "mysql://h:3306/db/t"),
    ("mysql://localhost:3306", "DataHub.Aspect_V2", "mysql://localhost:3306/DataHub/Aspect_V2"),
    ("trino://h:8080", "cat.sch.t", "trino://h:8080/cat/sch/t"),
    ("trino://h:8080", "iceberg.sales.\"orders$partitions\"", "trino://h:8080/iceberg/sales/orders$partitions"),
    ("unitycatalog://h", "Cat.sch.t", "unitycatalog://h/cat/sch/t"),
    ("oracle://h:1521", "SVC.HR.EMP", "oracle://h:1521/svc/hr/emp"),
    // BigQuery
    ("bigquery", "project.dataset.table", "bigquery://project/dataset/table"),
    ("bigquery", "google.com:proj.ds.T", "bigquery://google.com:proj/ds/T"),
    ("bigquery", "`p.d.t_20240131`", "bigquery://p/d/t_*"),
    ("bigquery", "p.d.t_*", "bigquery://p/d/t_*"),
    ("bigquery", "p.d.t_20241331", "bigquery://p/d/t_20241331"),
    ("bigquery", "p.d.t_123", "bigquery://p/d/t_123"),
    ("bigquery", "p.d.t$20240131", "bigquery://p/d/t"),
    ("bigquery://p", "d.t", "bigquery://p/d/t"),
    // Glue
    ("arn:aws:glue:eu-west-1:1234", "table/db/table", "glue://1234.eu-west-1/db/table"),
    ("aws:glue:us-west-2:123456789012", "my_db.my_t", "glue://123456789012.us-west-2/my_db/my_t"),
    ("arn:aws-cn:glue:cn-north-1:1", "table/Db/T", "glue://1.cn-north-1/db/t"),
    // Kafka
    ("kafka://host:9092", "topic", "kafka://host:9092/topic"),
    ("kafka://Cluster:9092", "io.Topic.a", "kafka://Cluster:9092/io.Topic.a"),
    // Stores
    ("s3://b", "/key/", "s3://b/key"),
    ("s3a://b", "key", "s3://b/key"),
    ("s3n://b", "/a//b/", "s3://b/a//b"),
    ("gs://mock-bucket", "copied.csv", "gs://mock-bucket/copied.csv"),
    ("hdfs://nn:8020", "/user/hive/warehouse/t1", "hdfs://nn:8020/user/hive/warehouse/t1"),
    ("viewfs://lake", "/warehouse/Shop.db/Orders", "viewfs://lake/warehouse/Shop.db/Orders"),
    ("viewfs://m", "/", "viewfs://m"),
    ("abfss://c@acc.dfs.core.windows.net", "/x", "abfss://c@acc.dfs.core.windows.net/x"),
    ("abfs://c@acc.dfs.core.windows.net", "/x", "abfss://c@acc.dfs.core.windows.net/x"),
    ("wasbs://c@acc.blob.core.windows.net", "/x", "wasb://c@acc.blob.core.windows.net/x"),
    ("dbfs", "/demo-warehouse/document", "dbfs:///demo-warehouse/document"),
    ("dbfs:", "/x", "dbfs:///x"),
    ("dbfs:/demo-warehouse/document", "raw.document", "dbfs:///demo-warehouse/document/raw.document"),
    ("s3://my-bucket/my-warehouse/", "db.t", "s3://my-bucket/my-warehouse/db.t"),
    ("s3://my-bucket-test", "mydata _output", "s3://my-bucket-test/mydata%20_output"),
    ("s3://b", "s3a://b/key", "s3://b/key"),
    ("s3://b", "100%/a#b?c|d\\e", "s3://b/100%25/a%23b%3Fc%7Cd%5Ce"),
    // Files
    ("file", "/files/temp/data.txt", "file:///files/temp/data.txt"),
    ("file:", "/p", "file:///p"),
    ("file://host", "/path", "file:///path"),
    ("file", "C:\\x", "file:///C:/x"),
    ("file", "c:\\Data\\x.csv", "file:///C:/Data/x.csv"),
    ("file", "/C:/x", "file:///C:/x"),
    ("file://C:/x", "", "file:///C:/x"),
    ("file:/tmp/iceberg", "default.events", "file:///tmp/iceberg/default.events"),
    // Anything with a scheme
    ("cassandra://prod:9042", "flink.sink_event", "cassandra://prod:9042/flink.sink_event"),
    ("duckdb://clinic.duckdb", "clinic.main.t", "duckdb://clinic.duckdb/clinic.main.t"),
    ("airflow://production", "daily.transform", "airflow://production/daily.transform"),
    ("elastic://h:9200", "A.b", "elastic://h:9200/A.b"),
    ("mongodb://me:secret@h:27017", "db.c", "mongodb://h:27017/db.c"),
    // No scheme, or a path on a non-store
    ("food_delivery", "public.categories", "ol://food_delivery/public.categories"),
    ("my namespace/x", "a/b", "ol://my%20namespace%2Fx/a%2Fb"),
    ("file.localhost", "file://localhost/in", "ol://file.localhost/file:%2F%2Flocalhost%2Fin"),
    ("/tmp/alter_test", "default.t", "ol://%2Ftmp%2Falter_test/default.t"),
    ("hive://h:9083", "/warehouse/t", "ol://hive:%2F%2Fh:9083/%2Fwarehouse%2Ft"),
    ("kafka://h:9092", "/t", "ol://kafka:%2F%2Fh:9092/%2Ft"),
    ("ol://x", "y", "ol://ol:%2F%2Fx/y"),
    ("", "", "ol:///"),
    ("C:", "x", "ol://C:/x"),
    ("123", "1", "ol://123/1"),
];

#[test]
fn names_of_every_platform_become_their_ids() {
    for (namespace, name, id) in CANONICAL {
        let canon = canon(namespace, name);
        assert_eq!(canon.id().as_str(), *id, "{namespace:?} {name:?}");
        assert_eq!(Canon::parse(id).as_ref(), Ok(&canon), "{id}");
    }
}

fn identity(instances: &str) -> Identity {
    Identity::new(toml::from_str(instances).expect("configuration")).expect("identity")
}

fn resolve(identity: &Identity, namespace: &str, name: &str) -> ResolvedName {
    identity.dataset(namespace, name, ReportedBy { job_namespace: Some("jobs"), topic: "raw" })
}

const CONFIG: &str = r#"
    [[instances]]
    id = "snowflake://org-account"
    names = ["prod"]
    default_schema = "public"
    [[instances]]
    id = "postgres://db:5432"
    names = ["postgres://10.0.0.7:5432", "postgres://localhost:5432"]
    default_database = "shop"
    default_schema = "public"
    [[instances]]
    id = "mysql://h:3306"
    case_sensitive = false
    [[instances]]
    id = "trino://h:8080"
    case_sensitive = true
    [[rewrites]]
    from = "trino://h:8080/pg/**"
    to = "postgres://db:5432/shop/**"
    [[rewrites]]
    from = "trino://h:8080/pg/audit/**"
    to = "postgres://audit:5432/audit/public/**"
    [[rewrites]]
    from = "s3://old/x"
    to = "s3://new/x"
    job_namespace = "jobs"
"#;

#[test]
fn instances_are_found_by_every_name() {
    let identity = identity(CONFIG);
    for (namespace, name, id) in [
        ("prod", "analytics.user_events", "snowflake://org-account/analytics/public/user_events"),
        ("snowflake://prod", "A.B.C", "snowflake://org-account/a/b/c"),
        ("snowflake://ORG-ACCOUNT", "A.B.C", "snowflake://org-account/a/b/c"),
        ("postgres://10.0.0.7:5432", "a.b.c", "postgres://db:5432/a/b/c"),
        ("postgresql://localhost:5432", "sales.orders", "postgres://db:5432/shop/sales/orders"),
        ("postgres://db:5432", "orders", "postgres://db:5432/shop/public/orders"),
        ("postgres://db:5432/crm", "public.orders", "postgres://db:5432/crm/public/orders"),
        ("mysql://h:3306", "DB.T", "mysql://h:3306/db/t"),
        ("trino://h:8080", "Hive.s.T", "trino://h:8080/Hive/s/T"),
    ] {
        let resolved = resolve(&identity, namespace, name);
        assert_eq!((resolved.id.as_str(), resolved.instance), (id, true), "{namespace} {name}");
        assert_eq!(resolved.issues, [], "{namespace} {name}");
    }
    assert!(!resolve(&identity, "postgres://prod", "a.b.c").instance, "a plain name is of one scheme");
}

#[test]
fn an_id_is_known_by_its_instances_other_names() {
    let identity = identity(CONFIG);
    for (asked, id) in [
        ("snowflake://prod/analytics/user_events", "snowflake://org-account/analytics/public/user_events"),
        ("trino://h:8080/pg/public/t", "postgres://db:5432/shop/public/t"),
        ("s3a://b/k%20k/", "s3://b/k%20k"),
        ("s3://b/100% k", "s3://b/100%25%20k"),
        ("s3://b/k%20k", "s3://b/k%20k"),
        ("ol://ns/a%2Fb", "ol://ns/a%2Fb"),
        ("kafka://h:9092/t", "kafka://h:9092/t"),
        ("hive://H:9083/Db/T", "hive://h:9083/db/t"),
    ] {
        assert_eq!(identity.canonical_id(asked).expect(asked).as_str(), id, "{asked}");
    }
    assert!(identity.canonical_id("no id").is_err());
}

#[test]
fn rewrites_take_the_longest_prefix_once_and_within_their_scope() {
    let identity = identity(CONFIG);
    for (namespace, name, id) in [
        ("trino://h:8080", "pg.public.t", "postgres://db:5432/shop/public/t"),
        ("trino://h:8080", "pg.audit.log", "postgres://audit:5432/audit/public/log"),
        ("trino://h:8080", "pgx.public.t", "trino://h:8080/pgx/public/t"),
        ("s3://old", "x", "s3://new/x"),
        ("s3://old", "x/y", "s3://old/x/y"),
    ] {
        assert_eq!(resolve(&identity, namespace, name).id.as_str(), id, "{namespace} {name}");
    }
    let elsewhere = identity.dataset("s3://old", "x", ReportedBy { job_namespace: Some("others"), topic: "raw" });
    assert_eq!(elsewhere.id.as_str(), "s3://old/x");
}

fn rewrites(pairs: &[(&str, &str)]) -> Result<Rewrites, IdError> {
    let config = |&(from, to): &(&str, &str)| RewriteConfig { from: from.into(), to: to.into(), ..Default::default() };
    Rewrites::new(pairs.iter().map(config).collect())
}

#[test]
fn rewrites_that_lead_back_are_refused() {
    for cyclic in [
        &[("s3://a/**", "s3://b/**"), ("s3://b/**", "s3://a/**")][..],
        &[("s3://a/**", "s3://a/sub/**")],
        &[("s3://a/**", "s3://a/**")],
        &[("s3://a/x", "s3://b/x"), ("s3://b/**", "s3://c/**"), ("s3://c/**", "s3://a/**")],
    ] {
        let error = rewrites(cyclic).expect_err("cycle");
        assert!(matches!(error, IdError::RewriteCycle { .. }), "{error}");
        assert!(error.to_string().contains("s3://a"), "{error}");
    }
    assert!(matches!(rewrites(&[("s3://a/**", "s3://b")]), Err(IdError::RewriteShape { .. })));
    assert!(matches!(rewrites(&[("s3://a/**", "nowhere/**")]), Err(IdError::Scheme { .. })));
    assert!(matches!(
        rewrites(&[("s3://a/x", "s3://b/x"), ("s3://a/x", "s3://c/x")]),
        Err(IdError::RewriteTwice { .. })
    ));
    let chain = rewrites(&[("s3://a/**", "s3://b/**"), ("s3://b/**", "s3://c/**")]).expect("a chain is no cycle");
    let id = chain.apply(&EntityId::from_canonical("s3://a/x"), None, "raw").expect("fits");
    assert_eq!(id.as_str(), "s3://b/x", "applied once");
}

#[test]
fn instances_must_be_namespaces_and_names_unique() {
    let instance = |id: &str, names: &[&str]| InstanceConfig {
        id: id.into(),
        names: names.iter().map(|&n| n.into()).collect(),
        ..Default::default()
    };
    assert!(matches!(Instances::new(vec![instance("prod", &[])]), Err(IdError::InstanceId { .. })));
    assert!(matches!(Instances::new(vec![instance("hive://h/db", &[])]), Err(IdError::InstanceId { .. })));
    let twice = Instances::new(vec![instance("hive://a", &["prod"]), instance("hive://b", &["prod"])]);
    assert!(matches!(twice, Err(IdError::AmbiguousInstance { .. })));
    assert!(Instances::new(vec![instance("hive://a", &["thrift://A"])]).is_ok(), "a name may repeat the id");
}

/// A cluster has a name of its own and one of each of its servers; the metastore and producers use any.
#[test]
fn locations_have_the_ids_of_paths_that_are_reported_there() {
    let identity = identity(
        r#"
        [[instances]]
        id = "hdfs://cluster"
        names = ["hdfs://nn1:8020", "hdfs://nn2:8020"]
        [[rewrites]]
        from = "s3://old/**"
        to = "s3://new/lake/**"
        "#,
    );
    for (uri, namespace, name, id) in [
        ("hdfs://nn2:8020/w/t", "hdfs://nn1:8020", "/w/t", "hdfs://cluster/w/t"),
        ("hdfs://cluster/w/t/day=1", "hdfs://nn1:8020", "/w/t", "hdfs://cluster/w/t"),
        ("s3a://old/x/t/", "s3://old", "x/t", "s3://new/lake/x/t"),
        ("file:/tmp/x", "file", "/tmp/x", "file:///tmp/x"),
    ] {
        assert_eq!(identity.location(uri, "raw").expect(uri).as_str(), id, "{uri}");
        assert_eq!(resolve(&identity, namespace, name).id.as_str(), id, "{namespace} {name}");
    }
    assert_eq!(identity.location("C:\\x", "raw").map(|id| id.to_string()).as_deref(), Some("file:///C:/x"));
    assert_eq!(identity.location("/w/t", "raw"), None);
    for uri in ["viewfs://lake/warehouse/shop.db/t", "abfs://c@acc.dfs.core.windows.net/x", "s3n://b//a//b/"] {
        assert_eq!(Identity::default().location(uri, "raw"), path_id(uri), "{uri}");
    }
}

#[test]
fn doubtful_names_say_why() {
    let identity = identity(CONFIG);
    let issues = |namespace, name| resolve(&identity, namespace, name).issues;
    assert_eq!(issues("postgres://127.0.0.1:15498", "first_last"), [NameIssue::Incomplete, NameIssue::Loopback]);
    assert_eq!(issues("hive://[::1]:9083", "a.b"), [NameIssue::Loopback]);
    assert_eq!(issues("hdfs://localhost:8020", "/x"), [NameIssue::Loopback]);
    assert_eq!(issues("bigquery", "dataset.table"), [NameIssue::Incomplete]);
    assert_eq!(issues("file://localhost", "/x"), []);
    assert_eq!(issues("kafka://broker:9092", "t"), []);
    assert_eq!(issues("postgres://localhost:5432", "a.b.c"), [], "a configured instance is known");
}

#[test]
fn bookkeeping_names_are_ignored() {
    let identity = Identity::default();
    for (namespace, name) in [
        ("viewfs://lake", "/warehouse/t/_delta_log"),
        ("viewfs://lake", "/warehouse/t/_temporary/0"),
        ("postgres://h:5432", "__dbt__cte__sessions"),
        ("postgres://h:5432", "db.s.model__dbt_tmp"),
        ("trino://h:8080", "hive.s.tmp_trino_ab12"),
        ("snowflake://a", "d.s.generator(rowcount => 5)"),
    ] {
        assert!(resolve(&identity, namespace, name).ignored, "{name}");
    }
    for (namespace, name) in [("viewfs://lake", "/warehouse/my_delta_log"), ("postgres://h:5432", "d.s.dbt_tmp")] {
        assert!(!resolve(&identity, namespace, name).ignored, "{name}");
    }
}

#[test]
fn partition_directories_belong_to_their_table() {
    for (uri, id) in [
        ("viewfs://lake/warehouse/shop.db/t/day=2024-01-01/h=1", Some("viewfs://lake/warehouse/shop.db/t")),
        ("s3a://b/t/", Some("s3://b/t")),
        ("file:/tmp/x", Some("file:///tmp/x")),
        ("file:///tmp/x", Some("file:///tmp/x")),
        ("C:\\x", Some("file:///C:/x")),
        ("s3://b/a=b", Some("s3://b/a=b")),
        ("s3://b/t/=x", Some("s3://b/t/=x")),
        ("kudu://h/t", Some("kudu://h/t")),
        ("/warehouse/t", None),
        ("hive://h/db/t", None),
        ("", None),
    ] {
        assert_eq!(path_id(uri).as_ref().map(EntityId::as_str), id, "{uri}");
    }
}

#[test]
fn spellings_of_one_id_may_mean_two_tables() {
    let collide =
        |id: &str, names: &[(&str, &str)]| case_collides(&EntityId::from_canonical(id), names.iter().copied());
    let (pg, snow) = ("postgres://h:5432/d/s/orders", "snowflake://a/d/s/orders");
    for (id, names, expected) in [
        (pg, &[("a", "d.s.orders"), ("b", "d.s.Orders")][..], true),
        (pg, &[("a", "d.s.orders"), ("b", "D.S.ORDERS")], false),
        (pg, &[("a", "d.s.orders"), ("a", "D.S.ORDERS")], true),
        (pg, &[("a", "d.s.orders"), ("b", "d.s.\"ORDERS\"")], true),
        (pg, &[("a", "d.s.orders"), ("b", "\"d\".\"s\".\"orders\"")], false),
        (pg, &[("a", "d.s.orders"), ("b", "s.orders")], false),
        (pg, &[("a", "d.S1.orders"), ("b", "s1.orders")], false),
        (pg, &[("a", "d.Sales.orders"), ("b", "sales.orders")], true),
        (snow, &[("a", "D.S.ORDERS"), ("b", "d.s.orders")], false),
        (snow, &[("a", "D.S.ORDERS"), ("b", "d.s.\"orders\"")], true),
        (snow, &[("a", "D.S.ORDERS"), ("b", "D.S.Orders")], true),
        ("hive://h:9083/d/orders", &[("a", "d.orders"), ("a", "D.Orders")], false),
        ("kafka://h:9092/Orders", &[("a", "Orders")], false),
    ] {
        assert_eq!(collide(id, names), expected, "{id} {names:?}");
    }
}

#[test]
fn a_transaction_log_lies_in_its_table() {
    for (path, table) in [
        ("s3://b/t/_delta_log", "s3://b/t"),
        ("s3://b/t/_delta_log/00000000000000000000.json", "s3://b/t"),
        ("s3://b/t/day=1/h=2", "s3://b/t"),
        ("s3://b/t//day=1//h=2", "s3://b/t"),
        ("s3://b/t", "s3://b/t"),
        ("s3://b/_delta_log", "s3://b/_delta_log"),
        ("hive://h:9083/db/_delta_log", "hive://h:9083/db/_delta_log"),
        ("no id", "no id"),
    ] {
        assert_eq!(table_directory(&EntityId::from_canonical(path)).as_str(), table, "{path}");
    }
}

#[test]
fn ids_know_container_platform_and_display_name() {
    for (id, container, platform, name) in [
        ("hive://h:9083/db/t", Some("hive://h:9083/db"), "hive", "db.t"),
        ("postgres://h/db/s/t", Some("postgres://h/db/s"), "postgres", "db.s.t"),
        ("bigquery://p/d/t", Some("bigquery://p/d"), "bigquery", "d.t"),
        ("kafka://h:9092/t", None, "kafka", "t"),
        ("s3://b/a/b%20c", None, "s3", "a/b c"),
        ("s3://b", None, "s3", "b"),
        ("ol://ns/a%2Fb", None, "openlineage", "a/b"),
    ] {
        let id = EntityId::from_canonical(id);
        assert_eq!(id.container().as_ref().map(EntityId::as_str), container, "{id}");
        assert_eq!((id.platform(), id.display_name().as_str()), (platform, name), "{id}");
    }
}

#[test]
fn partitions_are_named_as_hive_names_them() {
    let name = partition_name([("Day", "2024-01-01"), ("c", "a/b:c 100%")]);
    assert_eq!(name, "day=2024-01-01/c=a%2Fb%3Ac 100%25");
    assert_eq!(partition_name([("c", "")]), "c=__HIVE_DEFAULT_PARTITION__");
    assert_eq!(partition_key([("d", "1"), ("c", "a/b")]), "d=1%2Fc=a%252Fb");
}

#[test]
fn texts_that_no_canon_produces_are_no_ids() {
    for text in ["", "a", "s3:/b", "S3://b", "1s://b", "s3://a b", "s3://a/%41", "s3://a/%2f", "s3://a/%", "s3://a/x#y"]
    {
        assert!(Canon::parse(text).is_err(), "{text:?}");
    }
    let error = Canon::parse("s3://a/x%zz").expect_err("bad escape");
    assert_eq!(error, IdError::Encoding { text: "x%zz".into(), at: 1 });
}

fn canons() -> impl Strategy<Value = Canon> {
    ("[a-z][a-z0-9+.-]{0,8}", any::<String>(), prop::collection::vec(any::<String>(), 0..5))
        .prop_map(|(scheme, authority, segments)| Canon::new(scheme, authority, segments).expect("valid scheme"))
}

proptest! {
    #[test]
    fn canon_to_id_and_back(canon in canons()) {
        prop_assert_eq!(Canon::parse(canon.id().as_str()), Ok(canon));
    }

    #[test]
    fn id_to_canon_and_back(text in "[a-z]{1,4}://[a-zA-Z0-9%/#.| é]{0,20}") {
        if let Ok(canon) = Canon::parse(&text) {
            let id = canon.id();
            prop_assert_eq!(id.as_str(), text.as_str());
        }
    }

    #[test]
    fn every_reported_name_has_a_well_formed_id(namespace in any::<String>(), name in any::<String>()) {
        let canon = canon(&namespace, &name);
        prop_assert_eq!(Canon::parse(canon.id().as_str()), Ok(canon));
    }

    #[test]
    fn odd_names_on_known_platforms_have_a_well_formed_id(
        namespace in "(jdbc:)?(hive|s3a|file|bigquery|snowflake|arn:aws:glue:r|kafka|x)(:|://|:/)[a-zA-Z:/@?.]{0,8}",
        name in "[a-zA-Z/\\\\.\"`:*$0-9|#% é]{0,16}",
    ) {
        let canon = canon(&namespace, &name);
        let id = canon.id();
        prop_assert_eq!(Canon::parse(id.as_str()), Ok(canon));
        // Asking for a canonical id by itself leads to itself.
        let resolved = resolve(&Identity::default(), &namespace, &name).id;
        prop_assert_eq!(Identity::default().canonical_id(resolved.as_str()), Ok(resolved));
    }

    #[test]
    fn text_encodes_and_back(text in any::<String>()) {
        let encoded = encode(&text);
        prop_assert!(!encoded.contains(['/', '#', '|', '?', '\\', ' ']));
        prop_assert_eq!(decode(&encoded), Ok(text));
    }

    #[test]
    fn columns_and_keys_split_as_they_were_joined(
        names in prop::collection::vec("[a-z.%|#/ é\\[\\]]{1,6}", 0..4), texts in prop::array::uniform3(any::<String>()),
    ) {
        let path = field_path(names.iter().map(String::as_str));
        prop_assert_eq!(split_field_path(&path), Ok(names));
        let dataset = EntityId::from_canonical("s3://b/t");
        let column = column_id(&dataset, &path);
        prop_assert_eq!(split_column_id(&column), Ok((dataset, path)));
        let encoded = texts.each_ref().map(|text| encode(text));
        let key = join_key(&[&encoded[0], &encoded[1], &column]);
        prop_assert_eq!(split_key(&key), Some([encoded[0].as_str(), encoded[1].as_str(), column.as_str()]));
        prop_assert_eq!(split_name_key(&name_key(&texts[0], &texts[1])), Ok((texts[0].clone(), texts[1].clone())));
    }
}
