//! Poisoned and oversized records become dead letters; every record has one outcome.

use tributary::stage::{DeadLetter, StopToken, spawn_keyed};

use super::support::{Count, PATIENCE, counting_stage, feed, kafka, read_all, text, unique};

#[test]
fn poison_goes_aside_with_its_reason_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = counting_stage(&unique("letters"), 2, dir.path());
    spec.inputs[0].max_record_bytes = 1000;
    spec.outputs[0].max_record_bytes = 600;
    let input = spec.inputs[0].name.clone();
    let large = "x".repeat(2000);
    let swelling = "y".repeat(700);
    let values = ["one", "poison", "two", &large, &swelling, "three"];
    feed(&input, values.iter().map(|value| ("k".to_owned(), (*value).to_owned())));
    let transform = Count { topic: spec.outputs[0].name.clone() };
    let task = spawn_keyed(&kafka(), spec.clone(), Box::new(transform), StopToken::new()).unwrap();
    assert!(task.wait_until(PATIENCE, |s| s.counters.records == 6), "{:?}", task.status());
    task.stop();
    let counters = task.join().unwrap().counters;
    assert!(counters.balanced());
    assert_eq!(
        (counters.outputs, counters.dead_letters["invalid_field"], counters.dead_letters["limit_exceeded"]),
        (3, 1, 2)
    );

    // The rejected records' writes to the state are taken back, so the count has no holes.
    let outputs: Vec<String> = read_all(&spec.outputs[0].name).iter().map(|r| text(r.value.as_deref())).collect();
    assert_eq!(outputs, ["1 one", "2 two", "3 three"]);

    let letters: Vec<DeadLetter> =
        read_all(&spec.inputs[0].dead_letters.name).iter().map(|r| DeadLetter::parse(r).unwrap()).collect();
    let brief: Vec<_> = letters.iter().map(|l| (l.reason.as_str(), l.path.as_str(), l.source.offset)).collect();
    assert_eq!(brief, [("invalid_field", "/id", 1), ("limit_exceeded", "", 3), ("limit_exceeded", "", 4)]);
    let first = &letters[0];
    assert_eq!((first.value.as_deref(), first.key.as_deref()), (Some(&b"poison"[..]), Some(&b"k"[..])));
    assert_eq!((first.stage.as_str(), first.source.topic.as_str(), first.attempt), ("count", input.as_str(), 1));
    assert!(first.timestamp_ms.is_some());
}
