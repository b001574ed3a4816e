//! Poison ends as a dead letter, once, with everything a person needs; replayed after a repair, the catalog ends where
//! it would have been (invariant 6).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::events::{self, Event};
use crate::support::site::Site;

const STAGES: [&str; 4] = ["run", "normalize", "fold", "postgres"];
/// A notification of the recording is up to some 10 KB; this limit refuses the larger ones.
const LOW_LIMIT: (&str, &str) = ("TRIBUTARY_LIMITS__RECORD_BYTES", "4KiB");

fn letters(site: &Site) -> Vec<Value> {
    let listed = site.expect_success(&["dlq", "list", "--json"]);
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn count_by<'a>(letters: impl IntoIterator<Item = &'a Value>, field: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for letter in letters {
        let value = letter[field].as_str().map_or_else(|| letter[field].to_string(), str::to_owned);
        *counts.entry(value).or_default() += 1;
    }
    counts
}

fn dead_topic(letter: &Value) -> &str {
    letter["source"]["topic"].as_str().unwrap()
}

#[test]
fn dead_letters_are_written_once_and_come_back_after_a_repair() {
    let site = Site::start();
    let mut sent: Vec<Event> = events::site(0);
    sent.extend(events::poison());
    let size = |event: &Event| event.value.len() + event.key.as_ref().map_or(0, String::len);
    let large = |topic: &str| sent.iter().filter(|event| event.topic == topic && size(event) > 4096).count();
    let (large_hms, large_openlineage) = (large("hms.notifications"), large("openlineage.events"));
    assert!(large_hms > 0 && large_openlineage > 0, "{large_hms} and {large_openlineage} are over the limit");

    site.produce(&sent);
    let first = site.spawn(&STAGES, &[LOW_LIMIT]);
    let poisoned = site.quiet_digest();
    first.terminate();
    let before = letters(&site);
    let reasons = count_by(&before, "reason");
    assert_eq!(reasons["limit_exceeded"], large_hms + large_openlineage);
    assert_eq!(before.len(), large_hms + large_openlineage + events::poison().len(), "{reasons:?}");

    // Each letter says what, where, and which record; each record has one letter.
    let sources: BTreeSet<String> = before.iter().map(|letter| letter["source"].to_string()).collect();
    assert_eq!(sources.len(), before.len());
    for letter in &before {
        assert_eq!(letter["source"], letter["origin"], "not replayed yet: {letter}");
        assert_eq!((letter["attempt"].as_u64(), letter["stage"].as_str()), (Some(1), Some("normalize")), "{letter}");
        assert!(!letter["message"].as_str().unwrap().is_empty() && letter["path"].is_string(), "{letter}");
    }
    let path_of = |reason: &str, topic: &str| {
        let mut found = before.iter().filter(|letter| letter["reason"] == reason && dead_topic(letter) == topic);
        found.next().map(|letter| letter["path"].as_str().unwrap().to_owned())
    };
    assert_eq!(path_of("invalid_json", "hms.notifications").as_deref(), Some(""));
    assert_eq!(path_of("invalid_field", "openlineage.events").as_deref(), Some("/run/runId"));
    let place = before[0]["place"].as_str().unwrap();
    let shown: Value = serde_json::from_str(&site.expect_success(&["dlq", "show", place])).unwrap();
    assert!(sent.iter().any(|event| Some(event.value.as_str()) == shown["value"].as_str()), "{shown}");

    // The limit is raised and the letters go back, those of a topic at a time, while the stages run.
    let repaired = site.spawn(&STAGES, &[]);
    for (topic, letters) in [("hms.notifications", large_hms + 2), ("openlineage.events", large_openlineage + 2)] {
        let said = site.expect_success(&["dlq", "replay", topic]);
        assert!(said.contains(&format!("{letters} dead letters sent back to {topic}")), "{said}");
    }
    let replayed = site.quiet_digest();
    assert_ne!(replayed["class_a"], poisoned["class_a"], "what was too large is in the catalog now");

    // What is wrong for good is back: second attempt, first origin, another place in the log.
    let after = letters(&site);
    assert_eq!(count_by(&after, "attempt"), BTreeMap::from([("1".into(), before.len()), ("2".into(), 4)]));
    for letter in after.iter().filter(|letter| letter["attempt"] == 2) {
        assert_ne!(letter["source"], letter["origin"]);
        let first = before.iter().find(|first| first["source"] == letter["origin"]).unwrap();
        assert_eq!((&letter["reason"], &letter["path"]), (&first["reason"], &first["path"]));
    }
    // A second replay takes only what was not sent back yet.
    let said = site.expect_success(&["dlq", "replay", "hms.notifications"]);
    assert!(said.contains("2 dead letters sent back"), "{said}");
    assert_eq!(site.quiet_digest()["class_a"], replayed["class_a"]);

    // Everything once more, none of it refused now: if the replay had lost or bent anything, this would mend it.
    site.produce(&sent);
    assert_eq!(site.quiet_digest()["class_a"], replayed["class_a"]);
    repaired.terminate();
    site.assert_tables_equal_topics();
}
