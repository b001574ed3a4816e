//! The raw events of a campaign: recorded ones, multiplied as if several sites existed side by side, generated ones,
//! doubled ones and poisoned ones. A pure function of a seed.
//!
//! All events of a site or world have one key, so they lie in source order in one partition of each raw topic: that
//! makes it a fair demand that schema histories (class B of the digest) end the same.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::cli::bench::generator::Mix;
use crate::cli::draw::Dice;
use crate::cli::recorded::{HMS, HMS_TOPIC, OPENLINEAGE, OPENLINEAGE_TOPIC};
use crate::codec::avro::start_frame;

/// A raw record to produce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Raw topic.
    pub topic: &'static str,
    /// Record key.
    pub key: Option<String>,
    /// Record value.
    pub value: Vec<u8>,
}

/// Of so many events one comes from a recorded site; the rest are generated.
const SITE_EVENTS: usize = 2_500;
/// Generated worlds, each with its own metastore and jobs.
const WORLDS: usize = 12;
/// Jobs, each of which writes one table, of a world.
const JOBS: u64 = 40;
const HMS_PERCENT: u64 = 30;
/// Of a hundred events, how many can never succeed, are sent twice, are in Confluent's framing.
const POISON_PERCENT: u64 = 1;
const DOUBLED_PERCENT: u64 = 1;
const FRAMED_PERCENT: u64 = 3;
/// How many of the last events of a stream may come again.
const REMEMBERED: usize = 50;
/// No registry of ours gets there.
const UNKNOWN_SCHEMA: u32 = 999_999;

fn lines(gzipped: &[u8]) -> Vec<String> {
    let mut text = String::new();
    GzDecoder::new(gzipped).read_to_string(&mut text).expect("the bundled events are gzipped text");
    text.lines().map(str::to_owned).collect()
}

/// The recorded run as the `copy`-th site: another metastore, another lake, other run ids. Copy 0 is the recording
/// itself. Keys are those that the real producers send.
pub fn site(copy: usize) -> Vec<Event> {
    let localise = |line: String| {
        if copy == 0 {
            return line;
        }
        line.replace("hms-1.lake", &format!("hms-1.lake{copy}"))
            .replace("viewfs://lake", &format!("viewfs://lake{copy}"))
            .replace("etl-shop", &format!("etl-shop-{copy}"))
            .replace("01a1fcc", &format!("01a1f{copy:02}"))
            .replace("127.0.0.1", &format!("127.0.{copy}.1"))
    };
    let hms = lines(HMS).into_iter().map(|line| {
        let envelope: Value = serde_json::from_str(&line).expect("a recorded notification is JSON");
        let name = |field: &str| envelope[field].as_str().unwrap_or_default().to_owned();
        let key = format!("{}.{}", name("dbName"), name("tableName"));
        Event { topic: HMS_TOPIC, key: Some(key), value: localise(line).into_bytes() }
    });
    let openlineage = lines(OPENLINEAGE).into_iter().map(|line| {
        let value = localise(line);
        let event: Value = serde_json::from_str(&value).expect("a recorded run event is JSON");
        let root = &event["run"]["facets"]["parent"]["root"]["job"];
        let job = if root.is_object() { root } else { &event["job"] };
        let text = |field: &str| job[field].as_str().unwrap_or_default();
        let key = format!("run:{}/{}", text("namespace"), text("name"));
        Event { topic: OPENLINEAGE_TOPIC, key: Some(key), value: value.into_bytes() }
    });
    hms.chain(openlineage).collect()
}

/// Records that can never succeed, one of each kind, for both raw topics.
pub fn poison() -> Vec<Event> {
    let of = |topic, value: &str| Event { topic, key: Some("poison".to_owned()), value: value.as_bytes().to_vec() };
    vec![
        of(HMS_TOPIC, "not json"),
        of(
            HMS_TOPIC,
            r#"{"eventId":1,"eventTime":1,"eventType":"CREATE_TABLE","message":"{","messageFormat":"json-0.2"}"#,
        ),
        of(OPENLINEAGE_TOPIC, r#"{"eventType":"COMPLETE"}"#),
        of(
            OPENLINEAGE_TOPIC,
            r#"{"eventTime":"2026-01-01T00:00:00Z","eventType":"COMPLETE","producer":"https://x","schemaURL":"https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent","run":{"runId":"not-a-uuid"},"job":{"namespace":"n","name":"j"}}"#,
        ),
    ]
}

/// Poison in Confluent's framing: cut off, and of a schema that nobody registered.
fn framed_poison() -> Vec<Event> {
    let of = |topic, value: Vec<u8>| Event { topic, key: Some("poison".to_owned()), value };
    let mut unknown = start_frame(UNKNOWN_SCHEMA);
    unknown.extend(b"datum");
    vec![of(HMS_TOPIC, vec![0, 0, 0]), of(OPENLINEAGE_TOPIC, unknown)]
}

/// Event `index` of a generated world: another metastore, another lake, other jobs than those of other worlds.
fn of_world(seed: u64, world: usize, index: u64) -> Event {
    let mix = Mix { seed: seed.wrapping_add(world as u64), jobs: JOBS, hms_percent: HMS_PERCENT, query_percent: 0 };
    let event = mix.event(index);
    let text = String::from_utf8(event.value).expect("generated events are text");
    let value = text.replace("load", &format!("load{world}")).into_bytes();
    Event { topic: event.topic, key: Some(format!("world-{world}")), value }
}

/// The log of a campaign: `count` events. `notification_schema` is the id of our schema of notifications.
pub fn mixed(seed: u64, count: usize, notification_schema: u32) -> Vec<Event> {
    let mut dice = Dice::new(seed);
    let mut poisons = poison();
    poisons.extend(framed_poison());
    let mut sites: Vec<std::vec::IntoIter<Event>> = (0..count.div_ceil(SITE_EVENTS))
        .map(|copy| {
            let key = |event: Event| Event { key: Some(format!("site-{copy}")), ..event };
            site(copy).into_iter().map(key).collect::<Vec<_>>().into_iter()
        })
        .collect();
    let mut next_of_world = [0; WORLDS];
    let mut recent: BTreeMap<usize, Vec<Event>> = BTreeMap::new();
    let mut log = Vec::with_capacity(count);
    while log.len() < count {
        let kind = dice.below(100);
        if kind < POISON_PERCENT {
            log.push(poisons[dice.below(poisons.len() as u64) as usize].clone());
            continue;
        }
        if kind < POISON_PERCENT + FRAMED_PERCENT {
            log.push(framed_notification(seed, log.len() as u64, notification_schema));
            continue;
        }
        let stream = dice.below((sites.len() + WORLDS) as u64) as usize;
        let remembered = recent.entry(stream).or_default();
        if kind < POISON_PERCENT + FRAMED_PERCENT + DOUBLED_PERCENT && !remembered.is_empty() {
            log.push(remembered[dice.below(remembered.len() as u64) as usize].clone());
            continue;
        }
        let event = match stream.checked_sub(sites.len()) {
            None => sites[stream].next(),
            Some(world) => {
                next_of_world[world] += 1;
                Some(of_world(seed, world, next_of_world[world]))
            }
        };
        // A site that has told everything is silent.
        let Some(event) = event else { continue };
        if remembered.len() == REMEMBERED {
            remembered.remove(0);
        }
        remembered.push(event.clone());
        log.push(event);
    }
    log
}

/// A notification of a world of its own, as datum of `schemas/hms.notifications-value`.
fn framed_notification(seed: u64, index: u64, schema: u32) -> Event {
    let mix = Mix { seed, jobs: JOBS, hms_percent: 100, query_percent: 0 };
    let text = String::from_utf8(mix.event(index).value).expect("generated events are text");
    let envelope: Value = serde_json::from_str(&text.replace("load", "framed")).expect("generated events are JSON");
    let mut datum = start_frame(schema);
    long(&mut datum, envelope["eventId"].as_i64().unwrap_or_default());
    long(&mut datum, 0);
    long(&mut datum, envelope["eventTime"].as_i64().unwrap_or_default());
    let mut text = |field: &str, branch: Option<i64>| {
        branch.into_iter().for_each(|branch| long(&mut datum, branch));
        let text = envelope[field].as_str().unwrap_or_default();
        long(&mut datum, text.len() as i64);
        datum.extend(text.as_bytes());
    };
    text("eventType", None);
    ["catName", "dbName", "tableName"].into_iter().for_each(|field| text(field, Some(1)));
    text("message", None);
    text("messageFormat", Some(1));
    long(&mut datum, 0);
    Event { topic: HMS_TOPIC, key: Some("framed".to_owned()), value: datum }
}

/// Avro's zigzag number of variable length.
fn long(datum: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    while rest >= 0x80 {
        datum.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    datum.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::codec::avro::{Decoder, RawSubject, SUBJECTS, SchemaLookupError, WriterSchema, WriterSchemas};

    #[test]
    fn the_log_is_mixed_and_a_function_of_its_seed() {
        let log = mixed(1, 4_000, 7);
        assert_eq!(log, mixed(1, 4_000, 7));
        assert_ne!(log, mixed(2, 4_000, 7));
        let of = |topic: &str| log.iter().filter(|event| event.topic == topic).count();
        assert!(of(HMS_TOPIC) > 1_000 && of(OPENLINEAGE_TOPIC) > 1_000);
        let keyed = |start: &str| {
            log.iter().filter(|event| event.key.as_deref().is_some_and(|key| key.starts_with(start))).count()
        };
        assert!(keyed("site-") > 400 && keyed("world-") > 2_000 && keyed("poison") > 10);
        assert!((80..160).contains(&keyed("framed")));
        let twice = log.len() - log.iter().map(|event| &event.value).collect::<std::collections::HashSet<_>>().len();
        assert!(twice > keyed("poison"), "{twice} values come again");
    }

    /// Answers with our schema for each id.
    struct Ours;

    impl WriterSchemas for Ours {
        fn schema(&self, _: u32) -> Result<WriterSchema, SchemaLookupError> {
            let subject = SUBJECTS.iter().find(|subject| subject.topic == HMS_TOPIC).expect("a subject of ours");
            Ok(WriterSchema { text: subject.current().to_owned(), references: Vec::new() })
        }
    }

    #[test]
    fn a_framed_notification_is_a_datum_of_our_schema() {
        let event = framed_notification(1, 3, 7);
        assert_eq!(event.value[..5], [0, 0, 0, 0, 7]);
        let decoder = Decoder::new(Arc::new(Ours));
        let json = decoder.raw_json(RawSubject::HmsNotifications, &event.value).expect("a datum of the schema");
        let envelope: Value = serde_json::from_slice(&json).expect("JSON");
        assert_eq!((&envelope["eventId"], &envelope["messageFormat"]), (&4.into(), &"json-0.2".into()));
        assert!(envelope["message"].as_str().is_some_and(|text| text.contains("framed-hms")), "{envelope}");
    }
}
