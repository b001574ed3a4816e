//! Rows and events of platforms that cannot be run here, written by hand by their vendors' descriptions.

use super::*;

#[test]
fn a_row_of_snowflakes_query_history() {
    let row = r#"{"QUERY_ID":"01b8","QUERY_TEXT":"insert into T select 1","DATABASE_NAME":"PROD","SCHEMA_NAME":"My Schema",
        "QUERY_TYPE":"INSERT","SESSION_ID":9694241081242,"USER_NAME":"ANA","ROLE_NAME":"ANALYST","WAREHOUSE_NAME":"WH",
        "EXECUTION_STATUS":"SUCCESS","ERROR_CODE":null,"ERROR_MESSAGE":null,"START_TIME":"2026-11-20 22:17:05.250 -0800",
        "END_TIME":"2026-11-20 22:17:06.000 -0800","TOTAL_ELAPSED_TIME":"760","BYTES_SCANNED":12,"ROWS_PRODUCED":1,
        "ROWS_INSERTED":3,"ROWS_UPDATED":2,"ROWS_DELETED":0,"CREDITS_USED_CLOUD_SERVICES":1.5e-05,
        "QUERY_TAG":"{\"app\": \"dbt\", \"node_id\": \"model.shop.orders\", \"invocation_id\": \"i-1\"}"}"#;
    let event = query(row);
    assert_eq!((event.platform.as_str(), event.instance.as_str()), ("snowflake", "snowflake://org-account"));
    assert_eq!(event.query_id, "01b8");
    assert_eq!(event.session_id.as_deref(), Some("9694241081242"));
    assert_eq!((event.user.as_deref(), event.role.as_deref()), (Some("ANA"), Some("ANALYST")));
    // 2026-11-21T06:17:05.250Z and :06Z
    assert_eq!((event.start, event.end), (1_795_241_825_250_000, Some(1_795_241_826_000_000)));
    assert_eq!((event.duration_us, event.rows_written, event.rows_read), (Some(760_000), Some(5), Some(1)));
    assert_eq!(event.cost, Some(1.5e-5));
    assert_eq!(event.defaults.database.as_deref(), Some("prod"));
    assert_eq!(event.defaults.schemas, ["My Schema".into()], "quotes were written");
    assert_eq!((reads(&event), writes(&event)), (None, None));
    assert_eq!(job(&event).as_deref(), Some("dbt:model.shop.orders"));
    assert_eq!(event.named_job.as_ref().unwrap().run.as_deref(), Some("i-1"));
    assert_eq!(event.application.as_deref(), Some("dbt"));
    // Outcome, text, duration, user.
    assert_eq!(event.richness, 64 + 32 + 2 + 1);
    assert_eq!(key(row.as_bytes()).as_deref(), Some("snowflake|9694241081242"));
    // The same in lower case, of a named account.
    let lower =
        row.to_lowercase().replace("\"query_tag\"", "\"organization_name\":\"ACME\",\"account_name\":\"EU\",\"x\"");
    assert_eq!(query(&lower).instance, "snowflake://acme-eu");
}

#[test]
fn outcomes_of_snowflake() {
    let of = |fields: &str| {
        let row =
            format!(r#"{{"QUERY_ID":"1","WAREHOUSE_NAME":"W","START_TIME":"2026-01-01 00:00:00 +0000",{fields}}}"#);
        let event = query(&row);
        (event.status, event.error.map(Cow::into_owned))
    };
    let failed = r#""EXECUTION_STATUS":"FAIL","ERROR_CODE":"002003","ERROR_MESSAGE":"no such table""#;
    assert_eq!(of(failed), (QueryStatus::Failed, Some("002003: no such table".to_owned())));
    let cancelled = r#""EXECUTION_STATUS":"FAIL","ERROR_CODE":604,"ERROR_MESSAGE":"canceled""#;
    assert_eq!(of(cancelled), (QueryStatus::Cancelled, Some("604: canceled".to_owned())));
    assert_eq!(of(r#""EXECUTION_STATUS":"INCIDENT""#), (QueryStatus::Failed, None));
    assert_eq!(of(r#""EXECUTION_STATUS":"RUNNING""#), (QueryStatus::Running, None));
    assert_eq!(of(r#""EXECUTION_STATUS":"success""#), (QueryStatus::Success, None));
}

/// A row of ACCESS_HISTORY, `direct` and `modified` as they stand in it.
fn access_history(direct: &str, modified: &str) -> String {
    format!(
        r#"{{"query_id":"01b9","query_start_time":"2026-11-21T06:17:05Z","user_name":"ANA","direct_objects_accessed":{direct},
        "base_objects_accessed":[{{"objectName":"DB.S.BELOW","objectDomain":"Table"}}],"objects_modified":{modified}}}"#
    )
}

#[test]
fn access_lists_of_snowflake_are_json_or_json_in_a_text() {
    let direct = r#"[{"objectDomain":"View","objectName":"DB.S.\"Mixed.View\"","columns":[{"columnId":1,"columnName":"ID"}]},
        {"objectDomain":"Function","objectName":"DB.S.F(VARCHAR):VARCHAR"},{"objectDomain":"Stage","stageKind":"External"}]"#;
    let modified = r#"[{"objectDomain":"Table","objectName":"DB.S.T","columns":[{"columnName":"A","directSources":
        [{"objectName":"DB.S.SRC","objectDomain":"Stream","columnName":"X"},{"objectName":"DB.S.F","objectDomain":"Function","columnName":"Y"}],
        "baseSources":[]},{"columnName":"b"}]}]"#;
    let as_json = access_history(direct, modified);
    let event = query(&as_json);
    assert_eq!(reads(&event), some(["db.s.Mixed.View(id)"]));
    assert_eq!(event.reads.as_ref().unwrap()[0].table.parts.len(), 3);
    assert_eq!(writes(&event), some(["db.s.t(a<db.s.src.x, b)"]));
    assert_eq!((event.status, event.text.as_deref()), (QueryStatus::Success, None));
    assert_eq!(event.richness, 64 + 16 + 8 + 1);
    assert_eq!(key(as_json.as_bytes()).as_deref(), Some("snowflake|ANA"));
    let in_text = |list: &str| Value::from(list).to_string();
    let texts = access_history(&in_text(direct), &in_text(modified));
    assert_eq!(query(&texts), event);
    let absent = access_history("null", "[]");
    assert_eq!((reads(&query(&absent)), writes(&query(&absent))), (some(["db.s.below"]), some([])));
}

const TEXT: &str = "insert into d.t select a from d.s";

/// The same job as each of BigQuery's interfaces tells it.
fn jobs_of_bigquery() -> [String; 4] {
    let v2 = format!(
        r#"{{"protoPayload":{{"authenticationInfo":{{"principalEmail":"a@x.example"}},"metadata":{{"jobChange":{{"after":"DONE","job":{{
        "jobName":"projects/p-1/jobs/j_1","jobConfig":{{"type":"QUERY","queryConfig":{{"query":"{TEXT}","statementType":"INSERT",
        "destinationTable":"projects/p-1/datasets/d/tables/t"}},"labels":{{"airflow-dag":"daily","airflow-task":"load"}}}},
        "jobStatus":{{"jobState":"DONE"}},"jobStats":{{"createTime":"2026-11-21T06:17:04Z","startTime":"2026-11-21T06:17:05Z",
        "endTime":"2026-11-21T06:17:06.5Z","queryStats":{{"totalProcessedBytes":"10","totalBilledBytes":"20",
        "referencedTables":["projects/p-1/datasets/d/tables/s","projects/p-1/datasets/d/tables/t"]}}}}}}}}}}}},
        "timestamp":"2026-11-21T06:17:06.6Z"}}"#
    );
    let v1 = format!(
        r#"{{"protoPayload":{{"authenticationInfo":{{"principalEmail":"a@x.example"}},"serviceData":{{"jobCompletedEvent":{{"job":{{
        "jobName":{{"projectId":"p-1","jobId":"j_1","location":"EU"}},"jobConfiguration":{{"query":{{"query":"{TEXT}",
        "statementType":"INSERT","destinationTable":{{"projectId":"p-1","datasetId":"d","tableId":"t"}}}},
        "labels":{{"airflow-dag":"daily","airflow-task":"load"}}}},"jobStatus":{{"state":"DONE","error":{{}}}},
        "jobStatistics":{{"createTime":"2026-11-21T06:17:04Z","startTime":"2026-11-21T06:17:05Z","endTime":"2026-11-21T06:17:06.500Z",
        "totalProcessedBytes":"10","totalBilledBytes":"20","referencedTables":[{{"projectId":"p-1","datasetId":"d","tableId":"s"}},
        {{"projectId":"p-1","datasetId":"d","tableId":"t"}}]}}}}}}}}}}}}"#
    );
    let row = format!(
        r#"{{"creation_time":"2026-11-21 06:17:04 UTC","project_id":"p-1","user_email":"a@x.example","job_id":"j_1","job_type":"QUERY",
        "statement_type":"INSERT","start_time":"2026-11-21 06:17:05.000000 UTC","end_time":"2026-11-21 06:17:06.500000 UTC",
        "query":"{TEXT}","state":"DONE","total_bytes_processed":10,"total_bytes_billed":20,"error_result":null,
        "destination_table":{{"project_id":"p-1","dataset_id":"d","table_id":"t"}},
        "referenced_tables":[{{"project_id":"p-1","dataset_id":"d","table_id":"s"}},{{"project_id":"p-1","dataset_id":"d","table_id":"t"}}],
        "labels":[{{"key":"airflow-dag","value":"daily"}},{{"key":"airflow-task","value":"load"}}]}}"#
    );
    let rest = format!(
        r#"{{"kind":"bigquery#job","user_email":"a@x.example","jobReference":{{"projectId":"p-1","jobId":"j_1"}},
        "configuration":{{"jobType":"QUERY","query":{{"query":"{TEXT}","destinationTable":{{"projectId":"p-1","datasetId":"d","tableId":"t"}}}},
        "labels":{{"airflow-dag":"daily","airflow-task":"load"}}}},
        "statistics":{{"creationTime":"1795241824000","startTime":"1795241825000","endTime":1795241826500.0,"totalBytesProcessed":"10",
        "query":{{"statementType":"INSERT","totalBytesBilled":"20","referencedTables":[{{"projectId":"p-1","datasetId":"d","tableId":"s"}},
        {{"projectId":"p-1","datasetId":"d","tableId":"t"}}]}}}},"status":{{"state":"DONE"}}}}"#
    );
    [v2, v1, row, rest]
}

#[test]
fn one_job_of_bigquery_is_the_same_by_each_interface() {
    for record in &jobs_of_bigquery() {
        let event = query(record);
        assert_eq!((event.instance.as_str(), &*event.query_id), ("bigquery://p-1", "j_1"), "{record}");
        assert_eq!((event.start, event.end), (1_795_241_825_000_000, Some(1_795_241_826_500_000)));
        assert_eq!((event.user.as_deref(), event.text.as_deref()), (Some("a@x.example"), Some(TEXT)));
        assert_eq!((event.status, event.duration_us), (QueryStatus::Success, Some(1_500_000)));
        assert_eq!((event.bytes_read, event.cost), (Some(10), Some(20.0)));
        assert_eq!(reads(&event), some(["p-1.d.s"]), "what it changes it does not read");
        assert_eq!(writes(&event), some(["p-1.d.t"]));
        assert_eq!(event.defaults.database.as_deref(), Some("p-1"));
        assert_eq!(job(&event).as_deref(), Some("airflow:daily.load"));
        assert_eq!(key(record.as_bytes()).as_deref(), Some("bigquery|a@x.example"));
    }
}

#[test]
fn outcomes_and_hidden_results_of_bigquery() {
    let row = |fields: &str| {
        format!(
            r#"{{"project_id":"p","job_id":"j","user_email":"u","creation_time":"2026-01-01 00:00:00 UTC","query":"select 1",{fields}}}"#
        )
    };
    let text = row(r#""state":"DONE","error_result":{"reason":"invalidQuery","message":"Unrecognized name: a"}"#);
    let failed = query(&text);
    assert_eq!(failed.status, QueryStatus::Failed);
    assert_eq!(failed.error.as_deref(), Some("invalidQuery: Unrecognized name: a"));
    let text = row(r#""state":"DONE","error_result":{"reason":"stopped","message":"Job execution was cancelled"}"#);
    assert_eq!(query(&text).status, QueryStatus::Cancelled);
    assert_eq!(query(&row(r#""state":"RUNNING""#)).status, QueryStatus::Running);
    let hidden =
        row(r#""state":"DONE","destination_table":{"project_id":"p","dataset_id":"_0f3a","table_id":"anon7"}"#);
    assert_eq!(writes(&query(&hidden)), some([]));
    let load =
        r#"{"job_id":"j","project_id":"p","job_type":"LOAD","creation_time":"2026-01-01 00:00:00 UTC","query":null}"#;
    assert_eq!(line(load), LogLine::NoOp("job_without_query"));
    let inserted = r#"{"protoPayload":{"metadata":{"jobInsertion":{"job":{}}}},"timestamp":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(line(inserted), LogLine::NoOp("audit_of_no_finished_job"));
    let copy = r#"{"jobReference":{"projectId":"p","jobId":"c"},"configuration":{"copy":{"sourceTables":[{"projectId":"p","datasetId":"d",
        "tableId":"a"}],"destinationTable":{"projectId":"p","datasetId":"d","tableId":"b"}}},"statistics":{"creationTime":"1795241824000"}}"#;
    assert_eq!((reads(&query(copy)), writes(&query(copy))), (some(["p.d.a"]), some(["p.d.b"])));
    let fault = fault(r#"{"protoPayload":{"metadata":{"jobChange":{"job":{"jobName":"jobs/1"}}}}}"#);
    assert_eq!(
        (fault.code, fault.path.as_str()),
        (ReasonCode::MissingField, "/protoPayload/metadata/jobChange/job/jobName")
    );
}

#[test]
fn rows_of_redshift() {
    let sys = r#"{"user_id":100,"query_id":1220922,"query_label":"default","session_id":1073804249,"database_name":"Dev  ","query_type":"CTAS",
        "status":"success   ","start_time":"2026-11-21 06:17:05.250000","end_time":"2026-11-21 06:17:06","elapsed_time":750000,
        "returned_rows":1,"query_text":"create table t as select 1   ","username":"ana  "}"#;
    let event = query(sys);
    assert_eq!((event.query_id.as_ref(), event.user.as_deref()), ("1220922", Some("ana")));
    assert_eq!((event.start, event.duration_us), (1_795_241_825_250_000, Some(750_000)));
    assert_eq!(event.text.as_deref(), Some("create table t as select 1"));
    assert_eq!((event.status, event.truncated, event.application.as_deref()), (QueryStatus::Success, false, None));
    assert_eq!(event.defaults.database.as_deref(), Some("dev"));
    assert_eq!(key(sys.as_bytes()).as_deref(), Some("redshift|1073804249"));
    let cancelled = sys.replace("success   ", "canceled").replace("create table t as select 1   ", &"x".repeat(4000));
    assert_eq!((query(&cancelled).status, query(&cancelled).truncated), (QueryStatus::Cancelled, true));

    let stl = r#"{"userid":5,"query":17,"label":"load","xid":3,"pid":42,"database":"dev","querytxt":"select 1","starttime":"2026-11-21 06:17:05",
        "endtime":"2026-11-21 06:17:06","aborted":1}"#;
    let event = query(stl);
    assert_eq!((event.query_id.as_ref(), event.status), ("stl/17", QueryStatus::Failed));
    assert_eq!((event.user.as_deref(), event.application.as_deref()), (Some("5"), Some("load")));

    let piece = |sequence: u32, text: &str| {
        format!(
            r#"{{"userid":5,"xid":3,"pid":42,"label":"default","starttime":"2026-11-21 06:17:05","sequence":{sequence},"type":"DDL","text":"{text}"}}"#
        )
    };
    assert_eq!(line(&piece(1, "rest")), LogLine::NoOp("continued_statement_text"));
    let whole = piece(0, r"create table t\\n(a int)");
    assert_eq!(query(&whole).text.as_deref(), Some("create table t\n(a int)"));
    let full = piece(0, &"x".repeat(200));
    assert!(query(&full).truncated && !query(&whole).truncated);
}

#[test]
fn rows_of_databricks() {
    let row = r#"{"account_id":"acc","workspace_id":"6051","statement_id":"01ef","executed_by":"ana@x.example","executed_as":"svc","session_id":"s-1",
        "execution_status":"FAILED","statement_text":"select 1","statement_type":"SELECT","error_message":"boom","client_application":"Tableau",
        "total_duration_ms":63,"start_time":"2026-11-21T06:17:05Z","end_time":"2026-11-21T06:17:05.063Z","read_rows":7,"read_bytes":8,
        "written_rows":9,"query_source":{"job_info":{"job_id":"771","job_run_id":"9"},"notebook_id":null},"query_tags":{}}"#;
    let event = query(row);
    assert_eq!((event.instance.as_str(), event.query_id.as_ref()), ("unitycatalog://adb-6051.example", "01ef"));
    assert_eq!(
        (event.status, event.error.as_deref(), event.role.as_deref()),
        (QueryStatus::Failed, Some("boom"), Some("svc"))
    );
    assert_eq!((event.rows_read, event.rows_written, event.bytes_read), (Some(7), Some(9), Some(8)));
    assert_eq!((event.duration_us, job(&event).as_deref()), (Some(63_000), Some("databricks:job/771")));
    assert_eq!(key(row.as_bytes()).as_deref(), Some("databricks|s-1"));

    let rest = r#"{"query_id":"01ef","status":"FINISHED","query_text":"select 1","query_start_time_ms":1795241825000,"execution_end_time_ms":1795241826000,
        "user_name":"ana","warehouse_id":"w","duration":1001,"statement_type":"SELECT","metrics":{"read_bytes":5,"rows_read_count":6}}"#;
    let refused = fault(rest);
    assert_eq!(refused.code, ReasonCode::UnknownInstance, "which workspace it is of stands nowhere");
    assert!(refused.message.contains("sources.query_logs.databricks.instance"), "{}", refused.message);
    let wrapped = format!(r#"{{"platform":"Databricks","instance":"unitycatalog://h","record":{rest}}}"#);
    let event = query(&wrapped);
    assert_eq!((event.instance.as_str(), event.start), ("unitycatalog://h", 1_795_241_825_000_000));
    assert_eq!((event.duration_us, event.bytes_read, event.rows_read), (Some(1_001_000), Some(5), Some(6)));

    let pair = r#"{"workspace_id":"6051","entity_type":"NOTEBOOK","entity_id":"n1","entity_run_id":"r","source_table_full_name":"Main.S.A",
        "source_column_name":"X","target_table_full_name":"main.s.b","target_column_name":"y","created_by":"ana",
        "event_time":"2026-11-21T06:17:05Z","statement_id":"01ef"}"#;
    let LogLine::Accessed(part) = line(pair) else { panic!("{pair}") };
    assert_eq!((part.query_id.as_ref(), part.at), ("01ef", 1_795_241_825_000_000));
    assert_eq!(shown(Some(&part.reads)), some(["main.s.a(x)"]));
    assert_eq!(shown(Some(&part.writes)), some(["main.s.b(y<main.s.a.x)"]));
    assert_eq!(part.named_job.unwrap().name, "notebook/n1");
    let unknown = pair.replace("\"01ef\"", "null");
    assert_eq!(line(&unknown), LogLine::NoOp("lineage_without_statement"));
}

#[test]
fn records_of_hive() {
    let lineage = r#"{"version":"1.0","user":"hive","timestamp":1795241825,"duration":1500,"jobIds":[],"engine":"tez","database":"Sales",
        "hash":"ab","queryText":"insert into t select a+b, 1 from s where c > 0","edges":[
        {"sources":[2,3],"targets":[0],"expression":"(s.a + s.b)","edgeType":"PROJECTION"},
        {"sources":[],"targets":[1],"edgeType":"PROJECTION"},
        {"sources":[4],"targets":[0,1],"expression":"(s.c > 0)","edgeType":"PREDICATE"}],"vertices":[
        {"id":0,"vertexType":"COLUMN","vertexId":"sales.t.x"},{"id":1,"vertexType":"COLUMN","vertexId":"sales.t.y"},
        {"id":2,"vertexType":"COLUMN","vertexId":"sales.s.a"},{"id":3,"vertexType":"COLUMN","vertexId":"sales.s.B"},
        {"id":4,"vertexType":"COLUMN","vertexId":"sales.s.c"}]}"#;
    let event = query(lineage);
    assert_eq!((event.start, event.end), (1_795_241_825_000_000, Some(1_795_241_826_500_000)));
    assert_eq!(reads(&event), some(["sales.s(a, b, c)"]));
    assert_eq!(writes(&event), some(["sales.t(x<sales.s.a<sales.s.b, y)"]));
    assert_eq!(event.defaults.schemas, ["sales".into()]);
    assert_eq!(query(lineage).query_id, event.query_id);
    let later = lineage.replace("1795241825", "1795241826");
    assert_ne!(query(&later).query_id, event.query_id, "the same text at another time is another query");
    let select = lineage.replace("sales.t.x", "x").replace("sales.t.y", "y");
    assert_eq!(writes(&query(&select)), some([]), "results that are written nowhere");

    let submitted = r#"{"eventType":"QUERY_SUBMITTED","hiveQueryId":"hive_1","timestamp":1795241825000,"requestUser":"ana","tablesRead":["sales.s"],
        "tablesWritten":["sales.t"],"otherInfo":[{"key":"QUERY","value":"{\"queryText\":\"insert into t select 1\",\"queryPlan\":{}}"},
        {"key":"SESSION_ID","value":"s-1"}]}"#;
    let event = query(submitted);
    assert_eq!((event.status, event.text.as_deref()), (QueryStatus::Running, Some("insert into t select 1")));
    assert_eq!((reads(&event), writes(&event)), (some(["sales.s"]), some(["sales.t"])));
    assert_eq!(key(submitted.as_bytes()).as_deref(), Some("hive|s-1"));
    let completed = r#"{"eventType":"QUERY_COMPLETED","hiveQueryId":"hive_1","timestamp":1795241826000,"otherInfo":{"STATUS":"false","SESSION_ID":"s-1"}}"#;
    let event = query(completed);
    assert_eq!((event.status, event.end, event.duration_us), (QueryStatus::Failed, Some(1_795_241_826_000_000), None));
    assert_eq!(key(completed.as_bytes()).as_deref(), Some("hive|s-1"));

    let row = r#"{"query_history_schema_version":1,"hive_version":"4.1","query_id":"hive_2","session_id":"s-2","sql":"select 1","end_user":"ana",
        "cluster_user":"hive","db_name":"sales","query_state":"FINISHED","start_time":"2026-11-21 06:17:05","end_time":"2026-11-21 06:17:06",
        "total_time_ms":1000,"cluster_id":"c"}"#;
    let event = query(row);
    assert_eq!(
        (event.query_id.as_ref(), event.user.as_deref(), event.status),
        ("hive_2", Some("ana"), QueryStatus::Success)
    );
    let audit = r#"{"queryId":"hive_3","queryString":"select 1","user":"ana","startTime":1795241825000,"state":"ERROR","errorMessage":"no"}"#;
    assert_eq!((query(audit).status, query(audit).error.as_deref()), (QueryStatus::Failed, Some("no")));
}

#[test]
fn a_row_of_starbursts_query_log() {
    let row = r#"{"query_id":"q1","usr":"ana","query":"select a from c.s.t","catalog":"C","schema":null,"query_type":"SELECT","query_state":"FINISHED",
        "create_time":"2026-11-21 06:17:05.000 UTC","end_time":"2026-11-21 06:17:06.000 UTC","environment":"prod","server_address":"10.0.0.7:8080",
        "accessed_metadata":"[{\"catalogName\":\"c\",\"schema\":\"s\",\"table\":\"t\",\"columns\":[\"a\",{\"name\":\"b\",\"type\":\"int\"}]}]"}"#;
    let event = query(row);
    assert_eq!((event.instance.as_str(), reads(&event)), ("trino://10.0.0.7:8080", some(["c.s.t(a, b)"])));
    assert_eq!(event.defaults.database.as_deref(), Some("c"));
    let mut named = config();
    let servers = [("prod".to_owned(), "trino://starburst:443".to_owned())].into();
    named.platforms.insert("trino".to_owned(), LogInstances { instance: None, servers });
    let LogLine::Query(event) = decode(&raw(row.as_bytes()), &named).unwrap() else { panic!("{row}") };
    assert_eq!(event.instance, "trino://starburst:443", "as the settings name the environment");
}

#[test]
fn slow_statements_and_timeouts_of_postgres() {
    let record = |message: &str, more: &str| {
        let message = Value::from(message);
        format!(
            r#"{{"timestamp":"2026-11-21 06:17:06.000 UTC","user":"u","dbname":"db","session_id":"s.1","line_num":3,"error_severity":"LOG","message":{message},"backend_type":"client backend"{more}}}"#
        )
    };
    let slow = record("duration: 250.500 ms  statement: select pg_sleep(1)", "");
    let event = query(&slow);
    assert_eq!((event.start, event.end), (1_795_241_825_749_500, Some(1_795_241_826_000_000)));
    assert_eq!((event.status, event.text.as_deref()), (QueryStatus::Success, Some("select pg_sleep(1)")));
    let executed = record("duration: 1 ms  execute S_1/C_2: select 1", "");
    assert_eq!(query(&executed).text.as_deref(), Some("select 1"));
    for (message, why) in [
        ("duration: 1 ms  parse S_1: select 1", "protocol_step"),
        ("duration: 1 ms  plan:\nQuery Text: select 1", "plan"),
        ("execute fetch from S_1/C_2: select 1", "fetch_of_cursor"),
        ("duration: soon", "server_message"),
        ("Anweisung: select 1", "server_message"),
    ] {
        assert_eq!(line(&record(message, "")), LogLine::NoOp(why), "{message}");
    }
    let timeout = record(
        "canceling statement due to user request",
        r#","error_severity":"ERROR","state_code":"57014","statement":"select 1""#,
    );
    assert_eq!(query(&timeout).status, QueryStatus::Cancelled);
}

#[test]
fn the_common_shape() {
    let record = r#"{"platform":"Oracle","instance":"oracle://h:1521","query_id":7,"session_id":"s","user":"SCOTT","role":"r","application":"app",
        "start":1795241825000,"end":"2026-11-21T06:17:06Z","status":"succeeded","text":"select * from EMP","database":"ORCL","schemas":["HR","\"x"],
        "duration_ms":999.5,"rows_read":"3","cost":2,"reads":[{"table":"ORCL.HR.\"Emp.1\"","columns":["ID"]}],
        "writes":[{"table":["ORCL","HR","T"],"columns":[{"name":"A","sources":[{"table":"ORCL.HR.EMP","column":"ID"}]},"B"]}],
        "job":{"tool":"Airflow","name":"d.t","run":"r1"},"unknown":{"deep":[1]}}"#;
    let event = query(record);
    assert_eq!((event.platform.as_str(), event.dialect), ("oracle", super::super::super::Dialect::Oracle));
    assert_eq!((event.instance.as_str(), event.query_id.as_ref()), ("oracle://h:1521", "7"));
    assert_eq!((event.start, event.duration_us), (1_795_241_825_000_000, Some(999_500)));
    assert_eq!(event.defaults.schemas.first().map(AsRef::as_ref), Some("hr"));
    assert_eq!(
        (reads(&event), writes(&event)),
        (some(["orcl.hr.Emp.1(id)"]), some(["orcl.hr.t(a<orcl.hr.emp.id, b)"]))
    );
    assert_eq!(event.reads.as_ref().unwrap()[0].table.parts.len(), 3);
    assert_eq!(job(&event).as_deref(), Some("airflow:d.t"));
    assert_eq!(key(record.as_bytes()).as_deref(), Some("oracle|s"));
    // Without an id, the same record is the same query.
    let anonymous = record.replace("\"query_id\":7,", "");
    assert_eq!(query(&anonymous).query_id, query(&anonymous).query_id);
    assert!(query(&anonymous).query_id.starts_with("content-"));
    for (from, to, path, code) in [
        ("\"text\":", "\"txt\":", "/text", ReasonCode::MissingField),
        ("succeeded", "great", "/status", ReasonCode::InvalidField),
        ("1795241825000", "\"tomorrow\"", "/start", ReasonCode::InvalidField),
        ("\"cost\":2", "\"dialect\":\"klingon\"", "/dialect", ReasonCode::InvalidField),
        ("\"instance\":\"oracle://h:1521\",", "", "", ReasonCode::UnknownInstance),
    ] {
        let fault = fault(&record.replace(from, to));
        assert_eq!((fault.code, fault.path.as_str()), (code, path), "{to}");
    }
}

#[test]
fn records_that_name_no_platform_are_of_the_one_in_the_settings() {
    let record = r#"{"query":"SELECT * FROM db.s.users","timestamp":1795241825,"user":"john.doe","session_id":null}"#;
    let refused = fault(record);
    assert_eq!(refused.code, ReasonCode::UnknownInstance);
    assert!(refused.message.contains("sources.query_logs.common.instance"), "{}", refused.message);
    let mut settings = config();
    let common = LogInstances { instance: Some("mysql://db:3306".to_owned()), ..LogInstances::default() };
    settings.platforms.insert("common".to_owned(), common);
    let LogLine::Query(event) = decode(&raw(record.as_bytes()), &settings).unwrap() else { panic!("{record}") };
    assert_eq!((event.platform.as_str(), event.instance.as_str()), ("mysql", "mysql://db:3306"));
    assert_eq!(event.start, 1_795_241_825_000_000);
    // Without any time: when it was produced.
    let LogLine::Query(event) = decode(&raw(br#"{"sql":"select 1"}"#), &settings).unwrap() else { panic!() };
    assert_eq!(event.start, 1_795_241_825_000_000);
}
