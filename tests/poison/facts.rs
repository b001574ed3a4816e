//! Poison on the topic of facts, where only our own stages should write.

use serde_json::json;
use tributary::codec::avro::encode_fact;
use tributary::model::fact::{Aspect, EntityKind, Entry, Fact, Origin, Source, Statement, Stats, Version};
use tributary::model::id::EntityId;

use super::kinds::{Becomes, Ids, Kind, NO_SCHEMA, frame, lists, long, text};

pub const TOPIC: &str = "catalog.facts";
pub const ENTITY: &str = "hive://poison:9083/d/t";

fn letter(name: &'static str, value: impl Into<Vec<u8>>, reason: &'static str, path: &str) -> Kind {
    Kind::letter(name, TOPIC, value, (reason, path)).keyed(Some(ENTITY.as_bytes().to_vec()))
}

fn fact() -> Fact {
    Fact {
        entity: EntityId::from_canonical(ENTITY),
        kind: EntityKind::Dataset,
        source: Source::hms("hive://poison:9083"),
        version: Version { epoch: 0, time: 1_795_000_000_000_000, seq: 1, hash: 1 },
        origin: Origin { topic: "foreign".into(), partition: 0, offset: 0 },
        via: Vec::new(),
        entries: vec![Entry::of(Statement::Description("d".into()))],
    }
}

fn with(change: impl FnOnce(&mut Fact), ids: Ids) -> Vec<u8> {
    let mut fact = fact();
    change(&mut fact);
    encode_fact(&fact, ids.fact).unwrap()
}

/// A datum written by hand, so that it can say what our own types cannot.
fn datum(kind: &str, epoch: i64, entry: [&str; 3]) -> Vec<u8> {
    let [aspect, sub_key, value] = entry;
    let parts = [
        text(ENTITY),
        text(kind),
        text("hms/x"),
        [long(epoch), long(1), long(1), long(1)].concat(),
        [text("foreign"), long(0), long(0)].concat(),
        long(0),
        [long(1), text(aspect), text(sub_key), long(1), text(value), long(0)].concat(),
    ];
    parts.concat()
}

/// All kinds. Each lies in the partition of its entity unless that is what is wrong with it.
pub fn kinds(ids: Ids) -> Vec<Kind> {
    let whole = with(|_| {}, ids);
    let named = |id: &str| with(|fact| fact.entity = EntityId::from_canonical(id), ids);
    let said = |kind: &str, epoch: i64, entry| frame(ids.fact, &datum(kind, epoch, entry));
    let good = [Aspect::Description.as_str(), "", r#"{"description":"d"}"#];
    let run = {
        let many = |prefix: &str| (0..300).map(|n| json!(format!("s3://poison/{prefix}{n}"))).collect::<Vec<_>>();
        let run = json!({ "run": { "run_id": "r", "state": "COMPLETE", "time": 1, "inputs": many("a"), "outputs": many("b") } });
        run.to_string()
    };
    let stats = |extra| Statement::Stats(Stats { extra, ..Stats::default() });
    let deep = serde_json::from_str(&lists(100)).unwrap();
    vec![
        letter("not framed", "{}", "invalid_avro", ""),
        letter("tombstone", "", "empty_value", "").without_value(),
        letter("unknown schema id", frame(NO_SCHEMA, &whole[5..]), "unknown_schema", ""),
        letter("Avro cut off", &whole[..8], "invalid_avro", "/entity"),
        letter("bytes behind the datum", [&whole[..], b"x"].concat(), "invalid_avro", ""),
        letter("Avro of another type", frame(ids.int, &long(1)), "invalid_avro", ""),
        letter("wrong Avro types", frame(ids.dataset, &[text(ENTITY), text("hive")].concat()), "invalid_avro", "/name"),
        letter("unknown kind of entity", said("planet", 0, good), "invalid_field", "/kind"),
        letter("negative epoch", said("dataset", -1, good), "invalid_field", "/version/epoch"),
        letter("unknown aspect", said("dataset", 0, ["colour", "", "{}"]), "unknown_type", "/entries/0/aspect"),
        letter(
            "statement that is not JSON",
            said("dataset", 0, ["description", "", "{"]),
            "invalid_json",
            "/entries/0/value",
        ),
        letter(
            "statement of another aspect",
            said("dataset", 0, ["owners", "", good[2]]),
            "invalid_field",
            "/entries/0/value",
        ),
        letter(
            "10,000 levels",
            said("dataset", 0, ["facet", "x", &format!("{{\"facet\":{}}}", lists(10_000))]),
            "invalid_json",
            "/entries/0/value",
        ),
        letter(
            "100 levels",
            with(|fact| fact.entries = vec![Entry::of(stats(deep))], ids),
            "limit_exceeded",
            "/entries/0/value",
        ),
        letter(
            "90,000 edges of lineage",
            said("job", 0, ["run", "r|COMPLETE", &run]),
            "limit_exceeded",
            "/entries/0/value",
        ),
        letter("empty names", named(""), "invalid_field", "/entity").keyed(None),
        letter("ids that are none", named("not an id"), "invalid_field", "/entity").keyed(Some(b"not an id".to_vec())),
        letter("ids that are none", named("hive://h/a\0"), "invalid_field", "/entity")
            .keyed(Some(b"hive://h/a\0".to_vec())),
        letter("names of 1 MB", named(&large()), "limit_exceeded", "/entity").keyed(Some(large().into_bytes())),
        letter("year 99999", with(|fact| fact.version.time = i64::MAX, ids), "invalid_field", "/version/time"),
        letter("year -1", with(|fact| fact.version.time = i64::MIN, ids), "invalid_field", "/version/time"),
        // The key decides the partition, and it is not the entity's.
        Kind {
            becomes: Becomes::Letter("invalid_field", "/entity".to_owned()),
            ..letter("facts in the partition of others", whole.clone(), "", "").keyed(Some(elsewhere().into_bytes()))
        },
    ]
}

fn large() -> String {
    format!("s3://poison/{}", "n".repeat(1 << 20))
}

/// A key that does not lie with the entity, for two to sixteen partitions.
fn elsewhere() -> String {
    let place = |key: &str, partitions| tributary::kafka::partition_for(key.as_bytes(), partitions);
    (0..).map(|n| format!("other-{n}")).find(|key| (2..=16).all(|p| place(key, p) != place(ENTITY, p))).unwrap()
}
