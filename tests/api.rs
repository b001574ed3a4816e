//! The read API over a real Postgres, a real search index and the real graph, seeded through the store's write path.

mod fixture;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use fixture::{App, ORDERS, app};

async fn get(app: &App, path: &str) -> (StatusCode, Value) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = app.router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// Percent-encodes everything but unreserved characters.
fn enc(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

async fn ok(app: &App, path: &str) -> Value {
    let (status, body) = get(app, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

/// The values at `field` of each item of an array.
fn each<'a>(array: &'a Value, field: &str) -> Vec<&'a Value> {
    array.as_array().unwrap().iter().map(|item| &item[field]).collect()
}

#[tokio::test]
async fn a_page_shows_what_both_streams_said() {
    let app = app().await;
    let page = ok(&app, &format!("/api/v1/datasets/{}", enc(ORDERS))).await;
    assert_eq!(page, ok(&app, &format!("/api/v1/datasets?id={}", enc(ORDERS))).await);
    assert_eq!(
        (&page["dataset_id"], &page["canonical_id"], &page["resolved_by"]),
        (&json!(ORDERS), &json!(ORDERS), &json!("id"))
    );
    assert_eq!(
        (&page["name"], &page["type"], &page["platform"]),
        (&json!("sales.orders"), &json!("table"), &json!("hive"))
    );
    assert_eq!((&page["database"], &page["schema"]), (&json!("sales"), &Value::Null));
    assert_eq!(page["names"], json!([{"namespace": "hive://h:9083", "name": "sales.orders"}]));
    assert_eq!(
        page["owners"],
        json!([{"name": "team:sales", "role": "OWNER", "technical": false},
               {"name": "hive", "role": "TECHNICAL", "technical": true}])
    );
    let columns = page["columns"].as_array().unwrap();
    assert_eq!(each(&page["columns"], "path"), ["id", "address", "address.city", "day"]);
    assert_eq!(columns[0]["tags"], json!(["pii"]));
    assert_eq!((&columns[2]["depth"], &columns[3]["partition_key"]), (&json!(1), &json!(true)));
    assert!(columns.iter().all(|column| column["source"] == "hms/h"));
    assert_eq!(columns[0]["conflicts"], json!(["openlineage/spark: int"]));
    assert_eq!(page["statistics"]["row_count"], 1200);
    assert_eq!(page["statistics"]["column_count"], 3, "nested fields are no columns");
    assert_eq!(page["statistics"]["last_write"], "2026-01-05T10:00:00.250Z");
    assert_eq!(page["constraints"]["primary_key/pk/1"], json!({"column_name": "id"}));
    assert_eq!(page["facets"]["custom"], json!({"a": [1]}));
    assert_eq!(
        page["quality"]["checks"],
        json!([{"name": "id_unique", "status": "passed", "column": "id", "value": {"rows": 0},
            "time": "2026-01-05T11:00:00Z", "run": "q1",
            "origin": {"topic": "openlineage.events", "partition": 0, "offset": 9}}])
    );
    assert_eq!((&page["partitions"]["count"], &page["partitions"]["keys"]), (&json!(25), &json!(["day"])));
    let shown = page["partitions"]["last"].as_array().unwrap();
    assert_eq!((shown.len(), &shown[0]["values"]), (20, &json!(["2026-01-25"])));
    assert_eq!(
        page["sources"],
        json!([
            {"source": "hms/h", "aspects": ["columns", "existence", "location"],
             "origins": [{"topic": "hms.notifications", "partition": 0, "offset": 3}]},
            {"source": "openlineage/spark", "aspects": ["description"],
             "origins": [{"topic": "openlineage.events", "partition": 1, "offset": 7}]}])
    );
    let upstream = &page["lineage"]["upstream"];
    assert_eq!(each(upstream, "dataset_id"), ["hive://h:9083/raw/events"], "a path is the table at that location");
    assert_eq!(each(upstream, "job_name"), ["nightly.load"]);
    assert_eq!(each(&page["lineage"]["downstream"], "dataset_id"), ["hive://h:9083/mart/daily"]);
    assert_eq!(page["last_schema_change"], "2026-01-03T00:00:00Z");
    assert_eq!(page["issues"], json!([]));
}

#[tokio::test]
async fn every_name_of_a_dataset_leads_to_its_page() {
    let app = app().await;
    for (asked, how) in [
        ("HIVE://H:9083/Sales/Orders", "spelling"),
        ("hive://h:9083/sales.orders", "spelling"),
        ("hive://10.0.0.7:9083/sales/orders", "spelling"),
        ("s3://lake/warehouse/orders", "alias"),
        ("s3a://lake/warehouse/orders/", "alias"),
        ("hive://h:9083/sales/orders_v1", "alias"),
        ("hive://h:9083/sales/orders_v0", "alias"),
    ] {
        let page = ok(&app, &format!("/api/v1/datasets/{}", enc(asked))).await;
        assert_eq!((&page["dataset_id"], &page["canonical_id"]), (&json!(asked), &json!(ORDERS)), "{asked}");
        assert_eq!(page["resolved_by"], how, "{asked}");
    }
    let page = ok(&app, &format!("/api/v1/datasets/{}", enc(ORDERS))).await;
    let aliases = &page["aliases"];
    assert_eq!(each(aliases, "alias"), ["hive://h:9083/sales/orders_v1", "s3://lake/warehouse/orders"]);
    assert_eq!(each(aliases, "kind"), ["rename", "location"]);
    assert_eq!(aliases[0]["valid_to"], "2026-01-02T00:00:00Z");
}

#[tokio::test]
async fn an_unknown_id_is_404_with_suggestions() {
    let app = app().await;
    let (status, problem) = get(&app, "/api/v1/datasets/hive%3A%2F%2Fh%3A9083%2Fshop%2Forders").await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("dataset_not_found")));
    assert_eq!(problem["details"]["suggestions"][0], ORDERS);
    assert_eq!(
        problem["message"],
        format!("no dataset has the id 'hive://h:9083/shop/orders'; did you mean '{ORDERS}'?")
    );
    for path in ["/api/v1/jobs?id=job%3A%2F%2Fa%2Fb", "/api/v1/runs?job=job%3A%2F%2Fa%2Fb"] {
        let (status, problem) = get(&app, path).await;
        assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("job_not_found")), "{path}");
    }
    let (status, _) = get(&app, "/api/v1/lineage?dataset=nothing").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_history_is_the_authoritys_sequence() {
    let app = app().await;
    let asked = "s3://lake/warehouse/orders";
    let history = ok(&app, &format!("/api/v1/datasets/{}/schema-history", enc(asked))).await;
    assert_eq!(history, ok(&app, &format!("/api/v1/schema-history?id={}", enc(asked))).await);
    assert_eq!((&history["dataset_id"], &history["canonical_id"]), (&json!(asked), &json!(ORDERS)));
    assert_eq!((&history["authority"], &history["total"]), (&json!("hms/h"), &json!(3)));
    let versions = &history["versions"];
    assert_eq!(each(versions, "ordinal"), [1, 2, 3]);
    assert_eq!(each(versions, "time"), ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"]);
    assert_eq!(each(versions, "level"), ["initial", "minor", "major"]);
    assert_eq!(each(versions, "late"), [false, true, false], "it came last and stands second");
    assert_eq!(each(versions, "breaking"), [false, false, true]);
    assert_eq!(
        versions[2]["changes"],
        json!([{"kind": "type_narrowed", "path": "id", "before": "bigint", "after": "int", "breaking": true}])
    );
    assert_eq!(each(&versions[1]["columns"], "path"), ["id", "day"]);
    assert_eq!(each(&history["others"], "source"), ["openlineage/spark"]);
}

#[tokio::test]
async fn lineage_goes_both_ways_and_stops_at_the_depth() {
    let app = app().await;
    let walk = async |rest: &str| ok(&app, &format!("/api/v1/lineage?dataset={}{rest}", enc(ORDERS))).await;
    let both = walk("&depth=1").await;
    assert_eq!(
        (&both["total_upstream"], &both["total_downstream"], &both["more"]),
        (&json!(1), &json!(1), &json!(true))
    );
    let both = walk("").await;
    assert_eq!((&both["direction"], &both["depth"], &both["level"]), (&json!("both"), &json!(3), &json!("table")));
    let down = &both["lineage"]["downstream"];
    assert_eq!(each(down, "dataset_id"), ["hive://h:9083/mart/daily", "trino://t:8080/pg/public/report"]);
    assert_eq!(each(down, "distance"), [1, 2]);
    assert_eq!(down[0]["transformation"]["job_id"], "job://spark/daily.insert");
    assert_eq!(down[0]["transformation"]["job_type"], "SPARK/SQL_JOB");
    assert_eq!(each(&both["lineage"]["upstream"], "dataset_id"), ["hive://h:9083/raw/events"]);
    assert_eq!(both["nodes"][0]["id"], ORDERS, "the dataset asked for stands first");
    assert_eq!(each(&both["nodes"], "existence"), ["confirmed", "confirmed", "confirmed", "referenced"]);
    let edges = both["edges"].as_array().unwrap();
    assert_eq!(edges.len(), 3);
    let into = edges.iter().find(|edge| edge["target"] == ORDERS).unwrap();
    assert_eq!(into["source"], "hive://h:9083/raw/events");
    assert_eq!((&into["kind"], &into["confidence"], &into["stale"]), (&json!("write"), &json!(100), &json!(false)));
    assert_eq!(into["supporters"][0]["job_name"], "nightly.load");
    assert_eq!(into["supporters"][0]["run"], "r2");
    assert_eq!(into["supporters"][0]["runs"], 4);
    assert_eq!(
        into["columns"],
        json!([{"source_column": "id", "target_column": "id", "transformations": ["DIRECT/IDENTITY"],
            "masking": false, "unmapped": false}])
    );
    let stale = edges.iter().find(|edge| edge["target"] == "trino://t:8080/pg/public/report").unwrap();
    assert_eq!((&stale["stale"], &stale["confidence"]), (&json!(true), &json!(60)));
    let up = walk("&direction=upstream").await;
    assert_eq!((&up["total_upstream"], &up["total_downstream"]), (&json!(1), &json!(0)));
    assert_eq!(up["edges"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_closure_counts_what_lies_at_any_depth() {
    let app = app().await;
    let counts = async |id: &str| {
        let closure = ok(&app, &format!("/api/v1/lineage/closure?dataset={}", enc(id))).await;
        (closure["upstream"].clone(), closure["downstream"].clone())
    };
    assert_eq!(counts(ORDERS).await, (json!(1), json!(2)), "the report is made of the daily table");
    assert_eq!(counts("trino://t:8080/pg/public/report").await, (json!(3), json!(0)));
    let (status, problem) = get(&app, "/api/v1/lineage/closure?dataset=nowhere").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
}

#[tokio::test]
async fn column_lineage_follows_one_column() {
    let app = app().await;
    let base = format!("/api/v1/lineage?dataset={}", enc(ORDERS));
    let walk = ok(&app, &format!("{base}&column=ID&depth=5")).await;
    assert_eq!((&walk["level"], &walk["column"]), (&json!("column"), &json!("ID")));
    assert_eq!(walk["nodes"][0]["id"], format!("{ORDERS}#id"), "columns are found in any case");
    let up = &walk["lineage"]["upstream"];
    assert_eq!(
        (each(up, "dataset_id"), each(up, "column")),
        (vec![&json!("hive://h:9083/raw/events")], vec![&json!("id")])
    );
    let down = &walk["lineage"]["downstream"];
    assert_eq!(
        (each(down, "dataset_id"), each(down, "column")),
        (vec![&json!("hive://h:9083/mart/daily")], vec![&json!("ids")])
    );
    let edge = walk["edges"].as_array().unwrap().iter().find(|edge| edge["source"] == format!("{ORDERS}#id")).unwrap();
    assert_eq!(edge["target"], "hive://h:9083/mart/daily#ids");
    assert_eq!(edge["supporters"][0]["transformations"], json!(["DIRECT/AGGREGATION"]));
    assert_eq!(edge["supporters"][0]["masking"], true);
    let all = ok(&app, &format!("{base}&level=column")).await;
    assert_eq!((&all["total_upstream"], &all["total_downstream"]), (&json!(1), &json!(1)));
    let (status, problem) = get(&app, &format!("{base}&column=colour")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("column_not_found")));
    assert_eq!(problem["details"]["columns"], json!(["address", "address.city", "day", "id"]));
}

#[tokio::test]
async fn search_finds_filters_and_counts() {
    let app = app().await;
    let page = ok(&app, "/api/v1/search?q=orders").await;
    assert_eq!((&page["query"], &page["results"][0]["dataset_id"]), (&json!("orders"), &json!(ORDERS)));
    assert_eq!(page["total_results"], page["totalCount"]);
    let hit = &page["results"][0];
    assert_eq!(
        (&hit["name"], &hit["owner"], &hit["row_count"]),
        (&json!("sales.orders"), &json!("team:sales"), &json!(1200))
    );
    assert_eq!((&hit["column_count"], &hit["tags"]), (&json!(3), &json!(["gold", "pii"])));
    assert!(hit["relevance_score"].as_f64().unwrap() > 0.0);
    assert_eq!(hit["highlighted_fields"]["name"], "sales.<em>orders</em>");
    let ids = async |query: &str| {
        let page = ok(&app, &format!("/api/v1/search?{query}")).await;
        let mut ids: Vec<String> =
            each(&page["results"], "dataset_id").into_iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids("filters=tag:pii").await, [ORDERS]);
    assert_eq!(ids("filters=kind:view").await, ["hive://h:9083/mart/daily"]);
    assert_eq!(ids("filters=owner:%22team:sales%22,platform:hive").await, [ORDERS]);
    assert_eq!(ids("filters=tag:pii,kind:view").await, [] as [&str; 0], "different keys must all hold");
    assert_eq!(ids("filters=platform:hive").await, ["hive://h:9083/mart/daily", "hive://h:9083/raw/events", ORDERS]);
    assert_eq!(ids("q=report").await, ["postgres://db:5432/shop/public/report"], "what is only mentioned is not found");
    assert_eq!(ids("q=report&filters=existence:referenced").await, ["trino://t:8080/pg/public/report"]);
    let facet = |page: &Value, field: &str| page["facets"][field].clone();
    let page = ok(&app, "/api/v1/search?q=&limit=1").await;
    assert_eq!(page["total_results"], 4);
    assert_eq!(page["results"].as_array().unwrap().len(), 1);
    assert_eq!(facet(&page, "platform"), json!([{"value": "hive", "count": 3}, {"value": "postgres", "count": 1}]));
    let all = ids("q=").await;
    let mut paged = Vec::new();
    for offset in 0..4 {
        paged.extend(ids(&format!("q=&limit=1&offset={offset}")).await);
    }
    paged.sort();
    assert_eq!(paged, all, "pages neither repeat nor skip");
}

#[tokio::test]
async fn unresolved_names_come_with_a_rule() {
    let app = app().await;
    let list = ok(&app, "/api/v1/unresolved").await;
    let reasons: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["dataset_id"].as_str().unwrap(), item["reasons"].to_string()))
        .collect();
    let expected = [
        ("hive://a:1/d/circle", r#"["unconfirmed","cycle"]"#),
        ("kafka://k:9092/GRÖßEN", r#"["unconfirmed","case_collision"]"#),
        ("kafka://k:9092/Größen", r#"["unconfirmed","case_collision"]"#),
        ("trino://t:8080/pg/public/report", r#"["unconfirmed"]"#),
    ];
    assert_eq!(reasons, expected.map(|(id, reasons)| (id, reasons.to_owned())));
    assert_eq!(list["total"], expected.len());
    let page = ok(&app, &format!("/api/v1/datasets/{}", enc("kafka://k:9092/Größen"))).await;
    assert_eq!(page["issues"], json!(["case_collision"]));
    let item = &list["items"][3];
    assert_eq!(
        (&item["dataset_id"], &item["reasons"]),
        (&json!("trino://t:8080/pg/public/report"), &json!(["unconfirmed"]))
    );
    assert_eq!(each(&item["candidates"], "dataset_id"), ["postgres://db:5432/shop/public/report"]);
    assert_eq!(
        list["proposed_rules"],
        json!([{"from": "trino://t:8080/pg/**", "to": "postgres://db:5432/shop/**", "resolves": 1}])
    );
}

#[tokio::test]
async fn jobs_runs_and_changes() {
    let app = app().await;
    let id = "job://spark/nightly.load";
    let job = ok(&app, &format!("/api/v1/jobs/{}", enc(id))).await;
    assert_eq!(job, ok(&app, &format!("/api/v1/jobs?id={}", enc(id))).await);
    assert_eq!((&job["name"], &job["children"]), (&json!("nightly.load"), &json!(["job://spark/daily.insert"])));
    assert_eq!((&job["inputs"], &job["outputs"]), (&json!(["s3://lake/raw/events"]), &json!([ORDERS])));
    assert_eq!(job["owners"], json!([{"name": "team:data", "role": "OWNER", "technical": false}]));
    assert_eq!(job["last_run"]["run_id"], "r2");
    let runs = ok(&app, &format!("/api/v1/jobs/{}/runs", enc(id))).await;
    assert_eq!(
        (&runs["total"], each(&runs["runs"], "run_id")),
        (&json!(2), vec![&json!("r2"), &json!("r1")]),
        "r0 has expired"
    );
    assert_eq!((&runs["runs"][0]["state"], &runs["runs"][0]["duration_ms"]), (&json!("COMPLETE"), &json!(60_000)));
    assert_eq!(runs["runs"][1]["error"], "boom");
    let second = ok(&app, &format!("/api/v1/runs?job={}&limit=1&offset=1", enc(id))).await;
    assert_eq!(each(&second["runs"], "run_id"), ["r1"]);
    let changes = ok(&app, &format!("/api/v1/changes?entity={}", enc("s3://lake/warehouse/orders"))).await;
    assert_eq!(each(&changes["changes"], "kind"), ["schema_changed", "created"]);
    assert_eq!(changes["changes"][0]["after"], json!({"schema_version": 3}));
    assert_eq!(ok(&app, "/api/v1/changes?limit=1").await["changes"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn usage_is_summed_up_over_the_names_of_a_dataset() {
    let app = app().await;
    let days = "from=2026-01-01&to=2026-01-31";
    let usage = ok(&app, &format!("/api/v1/datasets/{}/usage?{days}", enc(ORDERS))).await;
    assert_eq!(usage, ok(&app, &format!("/api/v1/usage?id={}&{days}", enc(ORDERS))).await);
    assert_eq!(
        (&usage["canonical_id"], &usage["from"], &usage["to"]),
        (&json!(ORDERS), &json!("2026-01-01"), &json!("2026-01-31"))
    );
    let day = |day: &str, queries: i64, failed: i64, users: i64| {
        json!({"day": day, "queries": queries, "failed": failed, "writes": 0, "users": users, "users_exact": true,
               "rows": 7 * queries, "bytes": 0, "duration_ms": 2000 * queries})
    };
    assert_eq!(usage["days"], json!([day("2026-01-02", 7, 2, 2), day("2026-01-04", 1, 1, 1)]), "one has expired");
    assert_eq!((&usage["total"]["queries"], &usage["total"]["users"]), (&json!(8), &json!(2)));
    assert_eq!(
        usage["users"],
        json!([{"user": "bob", "queries": 5, "failed": 0, "columns": [{"column": "id", "queries": 5}]},
               {"user": "ann", "queries": 3, "failed": 0, "columns": [{"column": "id", "queries": 3}]}])
    );
    assert_eq!(
        usage["columns"],
        json!([{"column": "id", "queries": 8, "filters": 0}, {"column": "day", "queries": 0, "filters": 3}])
    );
    assert_eq!(
        usage["joins"],
        json!([{"column": "id", "other": "hive://h:9083/raw/events", "other_column": "order_id", "queries": 3}])
    );
    let (status, problem) = get(&app, &format!("/api/v1/usage?id={}&from=2026-01-32", enc(ORDERS))).await;
    assert_eq!((status, &problem["details"]["parameter"]), (StatusCode::BAD_REQUEST, &json!("from")));
    assert_eq!(get(&app, "/api/v1/usage?id=hive://h:9083/no/where").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn queries_of_a_dataset_come_with_the_frequent_ones() {
    let app = app().await;
    let list = ok(&app, &format!("/api/v1/datasets/{}/queries", enc(ORDERS))).await;
    assert_eq!(each(&list["queries"], "query_id"), ["3", "2", "1"], "newest first, one has expired");
    assert_eq!(list["has_more"], json!(false));
    let frequent: Vec<_> =
        list["frequent"].as_array().unwrap().iter().map(|f| (&f["queries"], &f["last"]["query_id"])).collect();
    assert_eq!(frequent, [(&json!(2), &json!("3")), (&json!(1), &json!("2"))]);
    let page = ok(&app, &format!("/api/v1/dataset-queries?dataset={}&limit=1&offset=1", enc(ORDERS))).await;
    assert_eq!((each(&page["queries"], "query_id"), &page["has_more"]), (vec![&json!("2")], &json!(true)));
    let id = list["queries"][1]["id"].as_str().unwrap();
    let query = ok(&app, &format!("/api/v1/queries/{}", enc(id))).await;
    assert_eq!(query, ok(&app, &format!("/api/v1/queries?id={}", enc(id))).await);
    assert_eq!(query, list["queries"][1]);
    assert_eq!((&query["user"], &query["duration_ms"]), (&json!("bob"), &json!(2000)));
    assert_eq!(
        (&query["started_at"], &query["ended_at"]),
        (&json!("2026-01-03T01:00:00Z"), &json!("2026-01-03T01:00:02Z"))
    );
    let (status, problem) = get(&app, &format!("/api/v1/queries/{}", enc("query://trino:%2F%2Ft:8080/old"))).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("query_not_found")), "expired");
}
