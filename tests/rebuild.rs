//! Views are functions of the topics: lost completely, or rebuilt under a running process, they come back as they were
//! (invariant 2 of the design), while the old ones are served.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use tributary::dev::free_address;

use crate::support::events::{self, Event};
use crate::support::site::{PATIENCE, Running, STAGES, Site};

/// `GET path` of an API; the status and the body.
fn get(address: &str, path: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer.as_str(), ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, comparable(serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// An answer without what depends on how an index was written: replaced documents count in scores until they are merged
/// away, and results of nearly one score stand in the order of the scores.
fn comparable(mut body: Value) -> Value {
    if let Some(results) = body.get_mut("results").and_then(Value::as_array_mut) {
        results.iter_mut().filter_map(Value::as_object_mut).for_each(|result| drop(result.remove("relevance_score")));
        results.sort_by_key(|result| result["dataset_id"].to_string());
    }
    body
}

const ORDERS: &str = "hive://hms-1.lake:9083/spark_shop/orders_by_country";
const SEARCH: &str = "/api/v1/search?q=orders&limit=100";

fn sql(site: &Site, statement: &str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(&site.stack.database_url().unwrap()).await.unwrap();
        let rows = connection.fetch_all(AssertSqlSafe(statement.to_owned())).await.unwrap();
        rows.iter().map(|row| row.try_get::<String, _>(0).unwrap_or_default()).collect()
    })
}

/// Every table of ours, gone with all views.
fn drop_tables(site: &Site) {
    let drops = sql(
        site,
        "SELECT format('DROP TABLE %I CASCADE', tablename) FROM pg_tables WHERE schemaname = 'public'
         AND tablename <> '_sqlx_migrations'",
    );
    assert!(drops.len() >= 17, "{drops:?}");
    sql(site, &drops.join(";"));
}

/// Everything that is served, by name: digests of the topics, rows of the tables, answers of the API.
fn start_all(site: &Site, api: &str) -> Running {
    site.spawn("up".split(' ').collect::<Vec<_>>().as_slice(), &[("TRIBUTARY_API__LISTEN", api)])
}

fn wait_ready(running: &mut Running) {
    running.wait_until("everything is ready", |running| running.tasks_running() == 8);
}

/// What readers see of one catalog.
fn answers(api: &str) -> [Value; 3] {
    let body = |path: &str| {
        let (status, body) = get(api, path);
        assert_eq!(status, 200, "{path}: {body}");
        body
    };
    [
        body(SEARCH),
        body(&format!("/api/v1/datasets?id={ORDERS}")),
        body(&format!("/api/v1/lineage?dataset={ORDERS}&direction=both&depth=5")),
    ]
}

/// Waits until the process answers as it did: its followers have no position that is known outside.
fn wait_answers(running: &mut Running, api: &str, expected: &[Value; 3]) {
    let started = Instant::now();
    while answers(api) != *expected {
        assert!(started.elapsed() < PATIENCE, "answers differ:\n{:#?}\nexpected\n{expected:#?}", answers(api));
        assert!(running.wait_end(Duration::from_millis(100)).is_none(), "{}", running.log_text());
    }
}

#[test]
fn each_view_that_is_lost_comes_back_as_it_was() {
    let site = Site::start();
    let api = free_address().unwrap();
    site.produce(&events::site(0));
    let mut running = start_all(&site, &api);
    let digest = site.quiet_digest();
    wait_ready(&mut running);
    let rows = site.assert_tables_equal_topics();
    let before = answers(&api);
    running.terminate();
    assert!(before[0]["total_results"].as_u64().unwrap() > 0, "{}", before[0]);

    // All of it at once, each with its own digests compared, before anything runs again.
    drop_tables(&site);
    fs::remove_dir_all(site.data_dir().join("index")).unwrap();
    fs::remove_dir_all(site.data_dir().join("state")).unwrap();
    let said = site.expect_success(&["rebuild", "all", "--verify"]);
    assert_eq!(said.matches("digests A ").count(), 3, "tables, index and the graph's tables: {said}");
    assert!(said.contains("registers are those of the changelog"), "{said}");
    assert!(said.contains("catalog.datasets "), "the position is stated: {said}");
    assert_eq!(site.assert_tables_equal_topics(), rows);
    let again = site.quiet_digest();
    assert_eq!((&again["class_a"], &again["class_b"]), (&digest["class_a"], &digest["class_b"]));

    // What was rebuilt is what a start goes on with, and new events go on top of it.
    let mut running = start_all(&site, &api);
    wait_ready(&mut running);
    wait_answers(&mut running, &api, &before);
    site.produce(&events::site(1));
    let more = site.quiet_digest();
    assert_ne!(more["class_a"], digest["class_a"]);
    assert!(site.assert_tables_equal_topics()["datasets"] > rows["datasets"]);
    running.terminate();

    // Each alone, by its own command, with the others in place.
    drop_tables(&site);
    let said = site.expect_success(&["rebuild", "postgres", "--verify"]);
    assert!(said.contains("digests A "), "{said}");
    site.assert_tables_equal_topics();
    fs::remove_dir_all(site.data_dir().join("index")).unwrap();
    site.expect_success(&["rebuild", "search", "--verify"]);
    fs::write(site.data_dir().join("state/fold/0.redb"), "not a store").unwrap();
    fs::remove_file(site.data_dir().join("state/fold/1.redb")).unwrap();
    site.expect_success(&["rebuild", "state", "--verify"]);
    assert_eq!(site.quiet_digest()["class_a"], more["class_a"]);

    // Folding goes on from the state that came back: the same events again change nothing.
    let mut running = start_all(&site, &api);
    wait_ready(&mut running);
    site.produce(&events::site(1));
    assert_eq!(site.quiet_digest()["class_a"], more["class_a"]);
    running.terminate();
}

/// Asks the API without a pause until told to stop; counts answers, and keeps what was not as it should be.
fn ask_all_the_time(api: &str, stop: &AtomicBool, asked: &AtomicU64, expected: &[Value; 3]) -> Vec<String> {
    let mut wrong = Vec::new();
    let paths = [SEARCH.to_owned(), format!("/api/v1/datasets?id={ORDERS}")];
    while !stop.load(Ordering::Relaxed) {
        for (path, expected) in paths.iter().zip(expected) {
            let (status, body) = get(api, path);
            if status != 200 || body != *expected {
                wrong.push(format!("{path}: {status} {body}"));
            }
            asked.fetch_add(1, Ordering::Relaxed);
        }
    }
    wrong
}

#[test]
fn the_old_views_are_served_while_new_ones_are_built() {
    let site = Site::start();
    let api = free_address().unwrap();
    site.produce(&events::site(0));
    let mut running = start_all(&site, &api);
    let digest = site.quiet_digest();
    wait_ready(&mut running);
    let before = answers(&api);

    // Others have built on the tables: a role of theirs, a view over ours.
    sql(&site, "CREATE ROLE bi_reader");
    sql(&site, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO bi_reader; GRANT UPDATE (name) ON jobs TO bi_reader");
    sql(&site, "CREATE SCHEMA bi; CREATE VIEW bi.names AS SELECT name FROM catalog_datasets");
    let grants = "SELECT table_name || ' ' || privilege_type FROM information_schema.role_table_grants
                  WHERE grantee = 'bi_reader' UNION ALL
                  SELECT table_name || '.' || column_name || ' ' || privilege_type FROM information_schema.column_privileges
                  WHERE grantee = 'bi_reader' ORDER BY 1";
    let granted = sql(&site, grants);
    let names = sql(&site, "SELECT name FROM bi.names ORDER BY 1");
    assert!(granted.len() > 17 && !names.is_empty());

    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask_all_the_time(&api, &stop, &asked, &before));
        for view in ["postgres", "search", "lineage"] {
            let already = asked.load(Ordering::Relaxed);
            let said = site.expect_success(&["rebuild", view, "--verify"]);
            assert!(said.contains("stands at") && said.contains("verified: "), "{view}: {said}");
            assert!(asked.load(Ordering::Relaxed) > already, "nobody asked while {view} was built");
        }
        // State is not exchanged under a stage that uses it.
        for view in ["state", "all"] {
            let refused = site.run(&["rebuild", view]);
            let words = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(refused.status.code() == Some(75) && words.contains("stop it first"), "{words}");
        }
        stop.store(true, Ordering::Relaxed);
        let wrong = asking.join().unwrap();
        assert!(wrong.is_empty(), "{} wrong answers, first {}", wrong.len(), wrong[0]);
    });
    assert_eq!(sql(&site, grants), granted);
    assert_eq!(sql(&site, "SELECT name FROM bi.names ORDER BY 1"), names);

    // The sink, the index and the graph of the running process go on from the exchanged views.
    wait_ready(&mut running);
    site.produce(&events::site(1));
    let more = site.quiet_digest();
    assert_ne!(more["class_a"], digest["class_a"]);
    site.assert_tables_equal_topics();
    let path = "/api/v1/search?q=lake1";
    running.wait_until("new datasets are found", |_| get(&api, path).1["total_results"].as_u64().unwrap_or(0) > 0);
    running.terminate();
}

#[test]
fn a_rebuild_under_load_loses_and_doubles_nothing() {
    let site = Site::start();
    let api = free_address().unwrap();
    let mut running = start_all(&site, &api);
    wait_ready(&mut running);
    let log: Vec<Event> = (0..4).flat_map(events::site).collect();
    let feeding = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            feeding.wait();
            for slice in log.chunks(100) {
                site.produce(slice);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        feeding.wait();
        running.wait_records("postgres", 1);
        for view in ["postgres", "search", "lineage", "postgres"] {
            site.expect_success(&["rebuild", view]);
        }
    });
    site.quiet_digest();
    let rows = site.assert_tables_equal_topics();
    assert!(rows["datasets"] > 100, "{rows:?}");
    assert_eq!(site.rejected_rows(), 0);
    running.wait_until("everything is well", |running| running.tasks_running() == 8);
    // The index of the running process, compared from outside once it has stopped.
    running.terminate();
    let said = site.expect_success(&["rebuild", "search", "--verify"]);
    assert!(said.contains("digests A "), "{said}");
}

#[test]
fn a_killed_rebuild_is_continued_and_leaves_the_old_view_alone() {
    let site = Site::start();
    let api = free_address().unwrap();
    site.produce(&events::site(0));
    let mut running = start_all(&site, &api);
    let digest = site.quiet_digest();
    wait_ready(&mut running);
    let before = answers(&api);
    running.terminate();
    let killed_at = |args: &[&str], point: &str| {
        let mut command = site.command(args);
        let output = command.env("TRIBUTARY_FAILPOINTS", format!("{point}=kill@1")).output().unwrap();
        assert_eq!(output.status.code(), None, "{point} was not passed: {output:?}");
    };
    let staged =
        || sql(&site, "SELECT nspname::text FROM pg_namespace WHERE nspname IN ('tributary_rebuild', 'tributary_old')");

    // In the middle of filling, before and after the exchange is committed.
    killed_at(&["rebuild", "postgres"], "postgres.commit.after");
    assert_eq!(staged(), ["tributary_rebuild"]);
    site.assert_tables_equal_topics();
    let said = site.expect_success(&["rebuild", "postgres", "--verify"]);
    assert!(said.contains("went on where it stood"), "{said}");
    assert!(staged().is_empty());
    site.assert_tables_equal_topics();
    killed_at(&["rebuild", "postgres"], "rebuild.postgres.swap.before");
    site.assert_tables_equal_topics();
    killed_at(&["rebuild", "postgres"], "rebuild.postgres.swap.after");
    assert!(staged().is_empty(), "the exchange was committed");
    site.assert_tables_equal_topics();
    site.expect_success(&["rebuild", "postgres", "--verify"]);

    for point in ["search.commit.after", "rebuild.search.swap.before", "rebuild.search.swap.after"] {
        killed_at(&["rebuild", "search"], point);
    }
    site.expect_success(&["rebuild", "search", "--verify"]);
    for point in ["rebuild.state.swap.before", "rebuild.state.swap.after"] {
        killed_at(&["rebuild", "state"], point);
    }
    site.expect_success(&["rebuild", "state", "--verify"]);

    // One generation is left of the index, and no store beside another.
    let folders =
        |path: &str| fs::read_dir(site.data_dir().join(path)).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    assert_eq!(folders("index").iter().filter(|path| path.is_dir()).count(), 1);
    assert!(folders("state/fold").iter().all(|path| path.extension().is_some_and(|e| e == "redb")));

    // A process that is killed while it builds for somebody tells them so, and its next start serves the old index.
    let mut running = site.spawn(
        &["up"],
        &[("TRIBUTARY_API__LISTEN", &api), ("TRIBUTARY_FAILPOINTS", "rebuild.search.swap.before=kill@1")],
    );
    wait_ready(&mut running);
    let orphaned = site.run(&["rebuild", "search"]);
    let words = String::from_utf8_lossy(&orphaned.stderr).into_owned();
    assert!(orphaned.status.code() == Some(75) && words.contains("has ended"), "{words}");
    assert!(running.wait_end(PATIENCE).is_some());
    let mut running = start_all(&site, &api);
    wait_ready(&mut running);
    wait_answers(&mut running, &api, &before);
    assert_eq!(site.quiet_digest()["class_a"], digest["class_a"]);
    running.terminate();
}

#[test]
fn what_stands_in_the_way_of_an_exchange_is_named() {
    let site = Site::start();
    site.produce(&events::site(0));
    let running = site.spawn(&STAGES, &[]);
    site.quiet_digest();
    // A view of somebody on a table of ours, and not on the stable views.
    sql(&site, "CREATE VIEW theirs AS SELECT id FROM datasets");
    let refused = site.run(&["rebuild", "postgres"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(78), "{words}");
    assert!(words.contains("view public.theirs (reads datasets)") && words.contains("catalog_*"), "{words}");
    sql(&site, "DROP VIEW theirs");

    // Two at a time would build the same tables.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut other = runtime.block_on(PgConnection::connect(&site.stack.database_url().unwrap())).unwrap();
    let lock = "SELECT pg_advisory_lock(('x' || encode('tribrebd', 'hex'))::bit(64)::bigint)";
    runtime.block_on(other.execute(lock)).unwrap();
    let refused = site.run(&["rebuild", "postgres"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(75) && words.contains("another `tributary rebuild postgres`"), "{words}");
    runtime.block_on(other.execute("SELECT pg_advisory_unlock_all()")).unwrap();

    // What others put on our tables goes with them; the report says how to make it again.
    sql(&site, "CREATE INDEX theirs ON datasets (platform)");
    let said = site.expect_success(&["rebuild", "postgres"]);
    assert!(said.contains("CREATE INDEX theirs ON public.datasets"), "{said}");

    // This process has no index: it says so instead of waiting for ever.
    let refused = site.run(&["rebuild", "search"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(69) && words.contains("does not serve search"), "{words}");
    running.terminate();
}

#[test]
fn changes_that_their_topic_has_forgotten_are_kept() {
    let site = Site::start();
    site.produce(&events::site(0));
    let running = site.spawn(&STAGES, &[]);
    site.quiet_digest();
    running.terminate();
    let before = sql(&site, "SELECT id FROM changes ORDER BY 1");
    assert!(!before.is_empty());
    // Retention takes all changes but the last of each partition.
    let admin = tributary::kafka::Admin::new(&site.kafka()).unwrap();
    let marks = admin.topic_watermarks("catalog.changes", tributary::kafka::Isolation::Committed).unwrap();
    for (partition, log) in marks.into_iter().filter(|(_, log)| log.high > 2) {
        let partition = tributary::kafka::TopicPartition::new("catalog.changes", partition);
        admin.delete_records(&partition, log.high - 2).unwrap();
    }
    let said = site.expect_success(&["rebuild", "postgres", "--verify"]);
    assert!(said.contains("changes that their topic does not hold any more were kept"), "{said}");
    assert_eq!(sql(&site, "SELECT id FROM changes ORDER BY 1"), before);
}
