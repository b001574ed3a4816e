//! Operations of trouble: each stops or degrades with a message that names what was lost and the command that repairs it,
//! and that command repairs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tributary::kafka::{Admin, Isolation, TopicPartition, TopicSpec};

use crate::support::events::{self, Event};
use crate::support::site::{PATIENCE, Running, STAGES, Site, TASKS};

fn admin(site: &Site) -> Admin {
    Admin::new(&site.kafka()).unwrap()
}

fn sql(site: &Site, statement: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(&site.stack.database_url().unwrap()).await.unwrap();
        connection.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
    });
}

/// What a process says that ends because it cannot go on.
fn last_words(mut running: Running) -> String {
    let status = running.wait_end(PATIENCE).unwrap_or_else(|| panic!("it goes on:\n{}", running.log_text()));
    assert_eq!(status.code(), Some(70), "{}", running.log_text());
    running.log_text()
}

/// The committed offset of a group of this site.
fn committed(site: &Site, stage: &str, partition: &TopicPartition) -> i64 {
    let group = format!("tributary.{stage}");
    admin(site).committed(&group, std::slice::from_ref(partition)).unwrap()[partition].unwrap()
}

/// Feeds `log` and stops when it has been carried to the end.
fn carry(site: &Site, log: &[Event]) -> Value {
    site.produce(log);
    let running = site.spawn(&STAGES, &[]);
    let digest = site.quiet_digest();
    running.terminate();
    digest
}

/// Deletes a topic and creates it again as it was.
fn recreate(site: &Site, topic: &str) {
    let admin = admin(site);
    let partitions = admin.partition_count(topic).unwrap().unwrap();
    admin.delete_topics(&[topic]).unwrap();
    wait("the topic is gone", || admin.partition_count(topic).unwrap().is_none());
    // The brokers remove what is left of it in the background, and refuse the name until then.
    wait("the topic is there again", || admin.create_topics(&[TopicSpec::new(topic, partitions)]).is_ok());
    wait("it has leaders", || admin.topic_watermarks(topic, Isolation::Uncommitted).is_ok_and(|m| !m.is_empty()));
}

/// Offsets can be committed from outside once nobody is in the group: a static member stays in it for its session.
fn commit_from_outside(site: &Site, partition: &TopicPartition, offset: i64, note: &str) {
    let group = "tributary.normalize";
    let admin = admin(site);
    wait("the group is empty", || admin.group(group).unwrap().members.is_empty());
    admin.commit_noted(group, &[(partition.clone(), (offset, note.to_owned()))].into()).unwrap();
}

fn wait(what: &str, mut reached: impl FnMut() -> bool) {
    let started = Instant::now();
    while !reached() {
        assert!(started.elapsed() < PATIENCE, "waited for {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn records_that_retention_has_overtaken_are_named_and_skipped_only_when_told() {
    let site = Site::start();
    let log = events::site(0);
    carry(&site, &log[..200]);
    // More comes while nothing runs, and a part of one partition is deleted before it was read.
    site.produce(&log[200..600]);
    let admin = admin(&site);
    let marks = admin.topic_watermarks("hms.notifications", Isolation::Committed).unwrap();
    let lost = marks.into_iter().find_map(|(partition, log)| {
        let partition = TopicPartition::new("hms.notifications", partition);
        let at = committed(&site, "normalize", &partition);
        (log.high > at + 2).then_some((partition, at, log.high - 1))
    });
    let (partition, from, to) = lost.expect("a partition has unread records");
    admin.delete_records(&partition, to).unwrap();
    let before: Vec<i64> =
        (0..4).map(|p| committed(&site, "normalize", &TopicPartition::new("openlineage.events", p))).collect();

    let words = last_words(site.spawn(&STAGES, &[]));
    let range = format!("offsets {from}..{to} of {partition}");
    assert!(words.contains(&range) && words.contains("tributary topology apply --accept-loss"), "{words}");

    // Without the word nothing moves; a rehearsal moves nothing either.
    let said = site.expect_success(&["topology", "apply"]);
    assert!(said.contains("notice: cannot go on") && said.contains(&range), "{said}");
    site.expect_success(&["topology", "apply", "--accept-loss", "--dry-run"]);
    assert_eq!(committed(&site, "normalize", &partition), from);
    let said = site.expect_success(&["topology", "apply", "--accept-loss"]);
    let skipped: Vec<&str> = said.lines().filter(|line| line.starts_with("group ")).collect();
    assert_eq!(skipped.len(), 1, "{said}");
    assert!(skipped[0].starts_with(&format!("group tributary.normalize skips {range}")), "{said}");
    assert_eq!(committed(&site, "normalize", &partition), to);
    let after: Vec<i64> =
        (0..4).map(|p| committed(&site, "normalize", &TopicPartition::new("openlineage.events", p))).collect();
    assert_eq!(before, after, "others are left alone");
    assert!(site.expect_success(&["topology", "apply", "--accept-loss"]).contains("no group has lost anything"));

    carry(&site, &log[600..]);
    site.assert_tables_equal_topics();
}

#[test]
fn a_raw_topic_that_was_created_again_is_read_from_its_beginning_when_told() {
    let site = Site::start();
    let log = events::site(0);
    carry(&site, &log);
    recreate(&site, "hms.notifications");
    let words = last_words(site.spawn(&STAGES, &[]));
    // The broker forgets the offsets of a topic that is deleted.
    assert!(words.contains("no committed offset for hms.notifications"), "{words}");
    assert!(words.contains("tributary topology apply"), "{words}");
    let said = site.expect_success(&["topology", "apply"]);
    assert!(said.contains("let group tributary.normalize start at the beginning of hms.notifications"), "{said}");
    let digest = carry(&site, &events::site(1));
    assert!(digest["topics"].as_array().unwrap().iter().all(|line| line["entries"].is_u64()));

    // Offsets that somebody has brought back from the old topic lie within the new one, and are not of it.
    let partition = TopicPartition::new("hms.notifications", 0);
    commit_from_outside(&site, &partition, 0, "topic=00000000000000000000000000000001");
    let words = last_words(site.spawn(&STAGES, &[]));
    assert!(words.contains("deleted and created again") && words.contains("--accept-loss"), "{words}");
    let said = site.expect_success(&["topology", "apply", "--accept-loss"]);
    assert!(said.contains("group tributary.normalize stood at 0 of another topic"), "{said}");
    carry(&site, &[]);

    // An offset beyond the end: the log was cut.
    let end = admin(&site).watermarks(&partition, Isolation::Committed).unwrap().high;
    commit_from_outside(&site, &partition, end + 100, "");
    let words = last_words(site.spawn(&STAGES, &[]));
    assert!(words.contains(&format!("stands at offset {} of {partition}", end + 100)), "{words}");
    let said = site.expect_success(&["topology", "apply", "--accept-loss"]);
    assert!(said.contains(&format!("stands at {} of {partition}, which ends at {end}", end + 100)), "{said}");
    carry(&site, &[]);
    site.assert_tables_equal_topics();
}

#[test]
fn a_lost_changelog_comes_back_from_local_state_or_is_given_up_when_told() {
    let log = events::site(0);
    let (first, rest) = log.split_at(log.len() / 2);
    let calm = {
        let site = Site::start();
        carry(&site, first);
        carry(&site, rest)
    };
    let site = Site::start();
    carry(&site, first);
    let changelog = "tributary-fold-changelog";
    recreate(&site, changelog);
    let words = last_words(site.spawn(&STAGES, &[]));
    assert!(words.contains(changelog) && words.contains("rebuild state --from-local"), "{words}");
    // The plain rebuild does not take an empty changelog for the state.
    let refused = site.run(&["rebuild", "state"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        refused.status.code() == Some(69) && said.contains("--from-local") && said.contains("--accept-loss"),
        "{said}"
    );

    // Killed half-way, it is done by the next one; the third finds nothing to do.
    let mut killed = site.command(&["rebuild", "state", "--from-local"]);
    let killed = killed.env("TRIBUTARY_FAILPOINTS", "rebuild.changelog.after=kill@2").output().unwrap();
    assert_eq!(killed.status.code(), None, "{killed:?}");
    let said = site.expect_success(&["rebuild", "state", "--from-local"]);
    assert!(said.contains("group tributary.fold reads catalog.facts-0 again"), "{said}");
    let whole = site.run(&["rebuild", "state", "--from-local"]);
    let words = String::from_utf8_lossy(&whole.stderr).into_owned();
    assert!(!whole.status.success() && words.contains("nothing to bring back"), "{words}");
    let mended = carry(&site, rest);
    assert_eq!((&mended["class_a"], &mended["class_b"]), (&calm["class_a"], &calm["class_b"]));
    site.expect_success(&["rebuild", "state", "--verify"]);
    drop(site);

    // Without local state: what the facts still hold is folded anew, which here is everything.
    let site = Site::start();
    carry(&site, first);
    recreate(&site, changelog);
    fs::remove_dir_all(site.data_dir().join("state")).unwrap();
    let words = last_words(site.spawn(&STAGES, &[]));
    assert!(words.contains("--accept-loss"), "{words}");
    let said = site.expect_success(&["topology", "apply", "--accept-loss"]);
    assert_eq!(said.matches("group tributary.fold gives up the state of catalog.facts-").count(), 4, "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("group ")).count(), 4, "{said}");
    let anew = carry(&site, rest);
    assert_eq!(anew["class_a"], calm["class_a"]);
    site.assert_tables_equal_topics();
    drop(site);

    // Given up although a node still has the old state: what it has does not come back by itself.
    let site = Site::start();
    carry(&site, first);
    recreate(&site, changelog);
    site.expect_success(&["topology", "apply", "--accept-loss"]);
    let anew = carry(&site, rest);
    assert_eq!(anew["class_a"], calm["class_a"]);
    site.expect_success(&["rebuild", "state", "--verify"]);
}

#[test]
fn views_of_a_catalog_topic_that_was_created_again_name_their_rebuild() {
    let site = Site::start();
    carry(&site, &events::site(0));
    let running = site.spawn(&["up"], &[]);
    site.quiet_digest();
    running.terminate();
    recreate(&site, "catalog.aliases");
    let words = last_words(site.spawn(&["up"], &[]));
    assert!(words.contains("catalog.aliases") && words.contains("deleted and created again"), "{words}");
    let named: Vec<&str> = ["`tributary rebuild postgres`", "`tributary rebuild search`"]
        .into_iter()
        .filter(|command| words.contains(command))
        .collect();
    assert!(!named.is_empty(), "{words}");
    site.expect_success(&["rebuild", "postgres", "--verify"]);
    site.expect_success(&["rebuild", "search", "--verify"]);
    let mut running = site.spawn(&["up"], &[]);
    running.wait_until("everything is well", |running| running.tasks_running() == 8);
    site.produce(&events::site(1));
    site.quiet_digest();
    running.terminate();
    site.assert_tables_equal_topics();
}

#[test]
fn a_row_that_the_database_refuses_is_put_aside_and_brought_in_once_it_is_not() {
    let site = Site::start();
    let running = site.spawn(&STAGES, &[]);
    site.quiet_digest();
    running.terminate();
    sql(&site, "ALTER TABLE datasets ADD CONSTRAINT theirs CHECK (id NOT LIKE '%/orders')");
    let log = events::site(0);
    site.produce(&log);
    let mut running = site.spawn(&STAGES, &[]);
    let digest = site.quiet_digest();
    let refused = site.rejected_rows();
    assert!(refused > 0);
    // Degraded, and everything else goes on; also after a restart, which has seen no refusal itself.
    let is_degraded = |running: &Running| {
        let ready = running.readiness();
        ready.contains("degraded") && ready.contains("sink_rejects") && ready.contains("tributary rebuild postgres")
    };
    running.wait_until("readiness tells", is_degraded);
    assert_eq!(running.tasks_running(), TASKS - 1, "{}", running.readiness());
    running.terminate();
    let mut running = site.spawn(&STAGES, &[]);
    running.wait_until("readiness tells after a restart", is_degraded);

    // The cause is mended; the named command brings the rows in, and readiness notices by itself.
    sql(&site, "ALTER TABLE datasets DROP CONSTRAINT theirs");
    site.expect_success(&["rebuild", "postgres", "--verify"]);
    assert_eq!(site.rejected_rows(), 0);
    site.assert_tables_equal_topics();
    running.wait_until("all is well", |running| running.tasks_running() == TASKS);
    assert_eq!(site.quiet_digest()["class_a"], digest["class_a"]);
    running.terminate();
}

#[test]
fn missing_tables_name_the_rebuild_that_makes_them() {
    let site = Site::start();
    carry(&site, &events::site(0));
    sql(&site, "DROP TABLE positions, datasets CASCADE");
    let words = last_words(site.spawn(&STAGES, &[]));
    assert!(words.contains("tables are not complete") && words.contains("tributary rebuild postgres"), "{words}");
    site.expect_success(&["rebuild", "postgres", "--verify"]);
    carry(&site, &events::site(1));
    site.assert_tables_equal_topics();
}

#[test]
fn a_member_that_is_fenced_says_by_whom() {
    let site = Site::start();
    site.produce(&events::site(0));
    let same = [("TRIBUTARY_INSTANCE", "same")];
    let mut first = site.spawn_in("first", &STAGES, &same);
    first.wait_until("it works", |first| first.tasks_running() == TASKS);
    let mut second = site.spawn_in("second", &STAGES, &same);
    let words = last_words(first);
    assert!(
        words.contains("another process runs as tributary.") && words.contains("its own data directory"),
        "{words}"
    );
    second.wait_until("the second goes on", |second| second.tasks_running() == TASKS);
    site.quiet_digest();
    second.terminate();
    site.assert_tables_equal_topics();
}

/// A small file system of its own, for a data directory that runs full.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one of `megabytes`; `None` where that is not allowed.
    fn mount(folder: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self { folder: folder.to_owned() })
    }

    fn free(&self) -> u64 {
        let output = Command::new("df").args(["--output=avail", "-B1"]).arg(&self.folder).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().nth(1).unwrap().trim().parse().unwrap()
    }

    /// Leaves `left` bytes.
    fn fill(&self, left: u64) {
        let ballast = self.free().saturating_sub(left);
        fs::write(self.folder.join("ballast"), vec![1; ballast as usize]).unwrap();
    }

    fn empty(&self) {
        fs::remove_file(self.folder.join("ballast")).unwrap();
    }

    fn read_only(&self) {
        let done = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.folder).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

#[test]
fn a_full_disk_stops_what_needs_it_and_is_left_by_itself() {
    let site = Site::start();
    let folder = site.data_dir();
    // Without the right to mount, a limit on the size of files is the next best thing: also a write that fails.
    let disk = SmallDisk::mount(&folder, 256);
    let mut running = match &disk {
        Some(_) => site.spawn(&["up"], &[]),
        None => site.spawn_limited(&["up"], 64),
    };
    running.wait_until("everything is well", |running| running.tasks_running() == 8);
    site.produce(&events::site(0));
    site.quiet_digest();

    match &disk {
        Some(disk) => disk.fill(16 << 10),
        None => running.limit_files(1),
    }
    for copy in 1..5 {
        site.produce(&events::site(copy));
    }
    // The stages that need the disk say so; the one that does not has done its work.
    running.wait_until("the full disk is told of", |running| {
        let ready = running.readiness();
        let told = ready.contains("No space left") || ready.contains("File too large");
        told && ready.contains("degraded") && running.tasks_running() >= 1
    });
    running.wait_records("normalize", 5 * 1_058);

    match &disk {
        Some(disk) => disk.empty(),
        None => running.limit_files(4 << 20),
    }
    running.wait_until("everything is well again", |running| running.tasks_running() == 8);
    let digest = site.quiet_digest();
    running.terminate();
    site.assert_tables_equal_topics();
    // Nothing was lost on the way: state and index are what the topics hold.
    site.expect_success(&["rebuild", "all", "--verify"]);
    assert_eq!(site.quiet_digest()["class_a"], digest["class_a"]);

    // A folder that cannot be written at all is told at the start.
    if let Some(disk) = &disk {
        disk.read_only();
        let refused = site.run(&["up"]);
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        let named = words.contains(&format!("data directory {}", folder.display())) && words.contains("Read-only");
        assert!(refused.status.code() == Some(78) && named, "{words}");
    }
}
