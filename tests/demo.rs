//! `tributary demo`, as a newcomer runs it: its own servers, the whole pipeline, every chapter of the report.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tributary::dev::free_address;

use crate::support::site::{BINARY, PATIENCE, cache};

/// A folder in which somebody tries the demo, with nothing configured.
struct Newcomer {
    folder: tempfile::TempDir,
}

/// A demo that stays up.
struct Demo {
    child: Child,
    kafka: String,
    text: String,
}

impl Newcomer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The jars of earlier test runs, so that the test does not depend on the network being fast.
        let dev = folder.path().join(".tributary/dev");
        std::fs::create_dir_all(&dev).unwrap();
        std::os::unix::fs::symlink(cache(), dev.join("cache")).unwrap();
        Self { folder }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        for variable in ["KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "SCHEMA_REGISTRY_URL", "TRIBUTARY_FAILPOINTS"] {
            command.env_remove(variable);
        }
        command
            .args(args)
            .current_dir(self.folder.path())
            .env("NO_COLOR", "1")
            .env("RUST_LOG", "warn")
            .env("TRIBUTARY_API__LISTEN", free_address().unwrap())
            .env("TRIBUTARY_REGISTRY__LISTEN", free_address().unwrap())
            .env("TRIBUTARY_METRICS__LISTEN", free_address().unwrap())
            .stdin(Stdio::null());
        command
    }

    fn demo_exit(&self) -> String {
        let output = self.command(&["demo", "--exit"]).output().unwrap();
        succeeded(&output)
    }

    /// Starts the demo and waits until it has told everything.
    fn demo(&self) -> Demo {
        let path = self.folder.path().join("demo.out");
        let out = std::fs::File::create(&path).unwrap();
        let child = self.command(&["demo"]).stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
        let mut demo = Demo { child, kafka: String::new(), text: String::new() };
        let started = Instant::now();
        while !demo.text.contains("Ctrl-C ends it") {
            assert!(demo.child.try_wait().unwrap().is_none(), "the demo ended:\n{}", demo.text);
            assert!(started.elapsed() < PATIENCE, "the demo did not get there:\n{}", demo.text);
            std::thread::sleep(Duration::from_millis(20));
            demo.text = read(&path);
        }
        let (_, kafka) = demo.text.split_once("Kafka at ").unwrap();
        demo.kafka = kafka.lines().next().unwrap().trim().to_owned();
        demo
    }

    /// A command beside a demo that runs.
    fn beside(&self, demo: &Demo, args: &[&str]) -> String {
        succeeded(&self.command(args).env("KAFKA_BOOTSTRAP_SERVERS", &demo.kafka).output().unwrap())
    }
}

impl Demo {
    /// Ctrl-C.
    fn interrupt(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("sh").args(["-c", "kill -s INT $0", &pid]).status().unwrap().success());
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(40), "no end after Ctrl-C");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

fn succeeded(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}:\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// The lines of the chapter whose title contains `title`.
fn chapter<'a>(report: &'a str, title: &str) -> &'a str {
    let mut chapters = report.split("\n── ");
    let found = chapters.find(|chapter| chapter.lines().next().is_some_and(|line| line.contains(title)));
    found.unwrap_or_else(|| panic!("no chapter {title:?} in\n{report}"))
}

/// The chapters without what differs from run to run: times of the servers and addresses.
fn chapters(report: &str) -> &str {
    let (_, told) = report.split_once("\n── ").unwrap();
    told.split_once("\nAPI ").unwrap().0
}

fn line_with<'a>(text: &'a str, parts: &[&str]) -> &'a str {
    let found = text.lines().find(|line| parts.iter().all(|part| line.contains(part)));
    found.unwrap_or_else(|| panic!("no line with {parts:?} in\n{text}"))
}

#[test]
fn the_demo_tells_its_story_and_a_second_one_goes_on_with_its_data() {
    let _turn = crate::support::own_kafka();
    let newcomer = Newcomer::new();
    let report = newcomer.demo_exit();

    let both = chapter(&report, "known from both streams");
    line_with(both, &["hive://hms-1.lake:9083/spark_shop/orders_by_country", "confirmed"]);
    line_with(both, &["hms", "says", "hms.notifications-"]);
    line_with(both, &["◄", "hive://hms-1.lake:9083/spark_shop/orders"]);
    line_with(both, &["◄", "hive://hms-1.lake:9083/spark_shop/customers"]);
    line_with(both, &["►", "postgres://", "/public/orders_by_country"]);
    line_with(both, &["origin openlineage.events-"]);

    let breaking = chapter(&report, "breaking");
    line_with(breaking, &["hive://hms-1.lake:9083/mart_customer/reviews_hourly_bak", "hms"]);
    assert!(breaking.lines().filter(|line| line.starts_with("  v")).count() > 1, "{breaking}");
    line_with(breaking, &["BREAKING"]);

    let names = chapter(&report, "found by each of its names");
    for name in ["inventory.reviews:", "inventory.reviews_r64:"] {
        line_with(names, &[name, "hive://hms-1.lake:9083/inventory/reviews_r64", "dropped"]);
    }
    let found = names.lines().filter(|line| line.contains("search ") && line.contains("inventory/reviews_r64"));
    assert_eq!(found.count(), 2, "{names}");

    // from_pg.country came out of a table in Postgres, which was loaded from customers: two hops or more.
    let path = chapter(&report, "country comes from");
    assert!(path.matches('◄').count() >= 2, "{path}");
    line_with(path, &["spark_shop/from_pg", "country ◄"]);
    line_with(path, &["◄", "spark_shop/customers", "country"]);

    line_with(chapter(&report, "CREATE TABLE AS SELECT that failed"), &["failed_ctas", "0 edges"]);
    line_with(chapter(&report, "no source has confirmed"), &["postgres://", "/public/orders_by_country"]);

    let letters = chapter(&report, "Dead letters");
    line_with(letters, &["hms.notifications.dlq-0@", "/message"]);
    line_with(letters, &["tributary dlq replay hms.notifications"]);

    // Twice more in the same folder: nothing is fed again, everything is still there.
    let mut digests = Vec::new();
    for _ in 0..2 {
        let demo = newcomer.demo();
        assert!(demo.text.contains("from an earlier run"), "{}", demo.text);
        assert_eq!(chapters(&demo.text), chapters(&report));
        newcomer.beside(&demo, &["status", "--wait-quiet", "--timeout", "60"]);
        let exported: Value = serde_json::from_str(&newcomer.beside(&demo, &["export", "hms"])).unwrap();
        assert!(exported["databases"].is_object() || exported["databases"].is_array(), "{exported}");
        assert!(exported.to_string().contains("\"orders_by_country\""));
        let digest: Value = serde_json::from_str(&newcomer.beside(&demo, &["digest", "--json"])).unwrap();
        digests.push(digest);
        demo.interrupt();
    }
    assert_eq!(digests[0], digests[1]);
    assert!(
        digests[0]["topics"]
            .as_array()
            .unwrap()
            .iter()
            .all(|line| line["topic"] != "catalog.datasets" || line["entries"].as_u64() > Some(100))
    );
}
