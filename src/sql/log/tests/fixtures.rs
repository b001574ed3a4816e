//! Logs of real software.

use std::io::Read;

use super::*;

const JSONLOG: &str = include_str!("../../../../tests/fixtures/query_logs/postgres_jsonlog.jsonl");
const CSVLOG: &[u8] = include_bytes!("../../../../tests/fixtures/query_logs/postgres_csvlog.csv");

fn trino() -> Vec<String> {
    let packed = include_bytes!("../../../../tests/fixtures/query_logs/trino.jsonl.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn session(id: &str) -> Vec<LogLine<'static>> {
    JSONLOG.lines().filter(|text| text.contains(&format!("\"session_id\":\"{id}\""))).map(line).collect()
}

#[test]
fn a_created_query_of_trino_waits_for_its_completion() {
    assert_eq!(line(&trino()[0]), LogLine::NoOp("query_created"));
    assert_eq!(key(trino()[0].as_bytes()), None);
}

#[test]
fn trino_names_what_it_reads_and_writes() {
    let lines = trino();
    let created = query(&lines[1]);
    assert_eq!(created.query_id, "20261121_063050_00000_wermn");
    assert_eq!(created.instance, "trino://127.0.0.1:18081");
    assert_eq!((created.user.as_deref(), created.application.as_deref()), (Some("ana"), Some("superset")));
    assert_eq!(created.start, micros_of("2026-11-21T06:30:51.048Z"));
    assert_eq!(created.end, Some(micros_of("2026-11-21T06:30:51.620Z")));
    // wallTime 0.573000000 s
    assert_eq!(created.duration_us, Some(573_000));
    assert_eq!((reads(&created), writes(&created)), (None, None), "the text tells what a definition defines");
    assert_eq!(created.statement_type.as_deref(), Some("CREATE SCHEMA"));

    let table = query(&lines[2]);
    assert_eq!(writes(&table), some(["memory.mart.cust(custkey, name, segment, spend)"]));

    let view = query(&lines[3]);
    assert_eq!(reads(&view), some(["memory.mart.cust(segment, spend)"]));
    let columns = "memory.mart.v_seg(segment<memory.mart.cust.segment, n, avg_spend<memory.mart.cust.spend)";
    assert_eq!(writes(&view), some([columns]));
    assert_eq!(key(lines[3].as_bytes()).as_deref(), Some("trino|ana"));

    let read = query(&lines[4]);
    assert_eq!(reads(&read), some(["memory.mart.v_seg(segment, n, avg_spend)"]), "the view, not what lies below it");
    assert_eq!(writes(&read), some([]));
    assert_eq!(read.status, QueryStatus::Success);

    let failed = query(&lines[5]);
    assert_eq!(failed.status, QueryStatus::Failed);
    let error = "COLUMN_NOT_FOUND: line 1:22: Column 'o.total_amount' cannot be resolved";
    assert_eq!(failed.error.as_deref(), Some(error));
    assert_eq!((reads(&failed), writes(&failed)), (None, None));

    let delete = query(&lines[6]);
    assert_eq!(writes(&delete), some(["pg.public.trino_rollup"]));

    let prepared = query(&lines[7]);
    let text = "SELECT count(*)\nFROM\n  memory.mart.orders\nWHERE (custkey = ?)\n";
    assert_eq!(prepared.text.as_deref(), Some(text));
    assert_eq!(reads(&prepared), some(["memory.mart.orders(custkey)"]));
}

#[test]
fn an_event_of_trinos_http_listener_is_the_payload_alone() {
    let text = trino()[3].clone();
    let event: Value = serde_json::from_str(&text).unwrap();
    let bare = event["eventPayload"].to_string();
    assert_eq!(query(&bare), query(&text));
}

#[test]
fn a_build_of_dbt_in_postgres_is_begun_timed_and_ended() {
    let lines = session("6b013296.1cb8");
    let kinds: Vec<&str> = lines
        .iter()
        .map(|line| match line {
            LogLine::Query(_) => "query",
            LogLine::Duration(_) => "duration",
            LogLine::SessionEnd { .. } => "end",
            LogLine::NoOp(why) => why,
            LogLine::Accessed(_) => "accessed",
        })
        .collect();
    let statements = ["query", "duration"].repeat(5);
    assert_eq!(kinds, [vec!["connection", "connection"], statements, vec!["end"]].concat());
    let LogLine::Query(build) = &lines[4] else { panic!("{:?}", lines[4]) };
    assert_eq!(build.query_id, "6b013296.1cb8/5");
    assert_eq!(build.session_id.as_deref(), Some("6b013296.1cb8"));
    assert_eq!(build.start, micros_of("2026-11-21T05:56:39.011Z"));
    assert_eq!((build.end, build.status), (None, QueryStatus::Running));
    assert_eq!(job(build).as_deref(), Some("dbt:model.shop.fct_category_margin"));
    assert_eq!(build.application.as_deref(), Some("dbt"));
    assert_eq!(build.defaults.database.as_deref(), Some("shop"));
    assert_eq!(build.statement_type, None, "the tag is what the session did before");
    assert!(build.text.as_deref().unwrap().starts_with("/* {\"app\": \"dbt\""));
    assert!(build.text.as_deref().unwrap().contains("create  table \"shop\".\"dbt_dev_finance\""));
    let expected = DurationLine {
        instance: "postgres://127.0.0.1:15498".to_owned(),
        session_id: "6b013296.1cb8".into(),
        line: 6,
        end: micros_of("2026-11-21T05:56:39.031Z"),
        duration_us: 20_462,
        statement_type: Some("CREATE TABLE AS".into()),
    };
    assert_eq!(lines[5], LogLine::Duration(expected));
    let ended = LogLine::SessionEnd {
        platform: Platform::Postgres,
        instance: "postgres://127.0.0.1:15498".to_owned(),
        session_id: "6b013296.1cb8".into(),
        at: micros_of("2026-11-21T05:56:39.242Z"),
    };
    assert_eq!(lines[12], ended);
}

#[test]
fn an_error_of_postgres_holds_its_statement() {
    let lines = session("6b0135c8.737e");
    let (LogLine::Query(begun), LogLine::Query(failed)) = (&lines[4], &lines[5]) else { panic!("{lines:?}") };
    assert_eq!(failed.status, QueryStatus::Failed);
    assert_eq!(failed.error.as_deref(), Some("42703: column \"revenu\" does not exist"));
    assert_eq!(failed.text, begun.text);
    assert_eq!(failed.statement_type.as_deref(), Some("CREATE TABLE AS"));
    assert_eq!(job(failed).as_deref(), Some("dbt:model.shop.fct_revenue_monthly"));
    // A statement that does not parse has no line before its error.
    let adhoc = session("6b0139f9.19fe");
    let LogLine::Query(broken) = &adhoc[32] else { panic!("{:?}", adhoc[32]) };
    assert_eq!(broken.text.as_deref(), Some("selec 1;"));
    assert_eq!(broken.statement_type, None);
}

#[test]
fn what_was_prepared_in_postgres_is_what_is_executed() {
    let adhoc = session("6b0139f9.19fe");
    let LogLine::Query(executed) = &adhoc[14] else { panic!("{:?}", adhoc[14]) };
    assert_eq!(executed.text.as_deref(), Some("select * from dbt_dev_core.fct_orders where customer_id=$1;"));
}

#[test]
fn the_extended_protocol_has_steps_that_are_no_queries() {
    let jdbc = session("6b013aa5.2cdd");
    let texts: Vec<&str> = jdbc
        .iter()
        .filter_map(|line| match line {
            LogLine::Query(event) => event.text.as_deref().and_then(|text| text.get(..12)),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["CREATE TABLE", "INSERT INTO ", "INSERT INTO ", "DROP TABLE \"", "DROP TABLE \""]);
    let steps = jdbc.iter().filter(|line| **line == LogLine::NoOp("protocol_step")).count();
    let durations = jdbc.iter().filter(|line| matches!(line, LogLine::Duration(_))).count();
    assert_eq!((steps, durations), (10, 5));
    let LogLine::Query(insert) = &jdbc[8] else { panic!("{:?}", jdbc[8]) };
    assert!(!format!("{insert:?}").contains("4294967296"), "values of parameters are nobody's business");
}

#[test]
fn csvlog_says_what_jsonlog_says() {
    let records: Vec<Record> = Records::new(CSVLOG).map(Result::unwrap).collect();
    let texts: Vec<&str> = records.iter().map(|record| std::str::from_utf8(&record.value).unwrap()).collect();
    let of_csv: Vec<LogLine<'_>> = texts.iter().map(|text| line(text)).collect();
    let of_json: Vec<LogLine<'_>> = JSONLOG.lines().take(2).map(line).chain(session("6b013296.1cb8")).collect();
    assert_eq!(of_csv, of_json);
    let keys: Vec<Option<&str>> = records.iter().map(|record| record.key.as_deref()).collect();
    let (without, with) = keys.split_at(4);
    assert!(without.iter().all(Option::is_none) && with.iter().all(|key| *key == Some("postgres|6b013296.1cb8")));
    // In an envelope, where it is a text.
    let envelope = |text: &str| {
        serde_json::json!({"platform": "postgres", "instance": "postgres://other:5432", "record": text}).to_string()
    };
    let wrapped = envelope(texts[6]);
    let LogLine::Query(build) = line(&wrapped) else { panic!("{wrapped}") };
    assert_eq!(build.instance, "postgres://other:5432");
    assert_eq!(build.query_id, "6b013296.1cb8/5");
}
