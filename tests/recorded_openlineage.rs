//! Every event that a real producer sent becomes facts or a counted no-op; folding them in reverse or twice changes
//! nothing that readers see (invariant 3).

use std::io::Read;

use flate2::read::GzDecoder;
use tributary::catalog::digest::{Digest, DigestBuilder};
use tributary::cli::bench::generator::Mix;
use tributary::fold::{FoldConfig, Folded, Folder, fold_all};
use tributary::model::fact::{Fact, Origin};
use tributary::model::raw::{Normalized, RawRecord};
use tributary::normalize::openlineage::{OpenLineageConfig, OpenLineageNormalizer};

struct Recording {
    name: &'static str,
    gzipped: &'static [u8],
    /// Lines in the file, and how many of them say nothing to the catalog.
    events: usize,
    no_ops: usize,
}

/// Counts of no-ops: Spark statements without datasets; dbt's SQL children, which name no
/// dataset, and tests without results.
const RECORDINGS: [Recording; 4] = [
    Recording {
        name: "spark",
        gzipped: include_bytes!("fixtures/openlineage/spark_3.5.6_ol-1.37.0.jsonl.gz"),
        events: 261,
        no_ops: 97,
    },
    Recording {
        name: "airflow",
        gzipped: include_bytes!("fixtures/openlineage/airflow_3.1.8.jsonl.gz"),
        events: 97,
        no_ops: 0,
    },
    Recording {
        name: "trino",
        gzipped: include_bytes!("fixtures/openlineage/trino_470.jsonl.gz"),
        events: 65,
        no_ops: 0,
    },
    Recording {
        name: "dbt",
        gzipped: include_bytes!("fixtures/openlineage/dbt_1.11.jsonl.gz"),
        events: 762,
        no_ops: 399,
    },
];

fn normalize(recording: &Recording) -> (Vec<Fact>, usize) {
    let mut text = String::new();
    GzDecoder::new(recording.gzipped).read_to_string(&mut text).unwrap();
    let normalizer = OpenLineageNormalizer::new(OpenLineageConfig::default());
    let (mut facts, mut no_ops, mut events) = (Vec::new(), 0, 0);
    for (offset, line) in text.lines().enumerate() {
        let origin = Origin { topic: "openlineage.events".into(), partition: 0, offset: offset as i64 };
        let raw = RawRecord { origin, timestamp_ms: None, key: None, value: Some(line.as_bytes()) };
        events += 1;
        match normalizer.normalize(&raw) {
            Ok(Normalized::Facts(some)) => facts.extend(some),
            Ok(Normalized::NoOp(_)) => no_ops += 1,
            Err(rejection) => panic!("{} event {offset}: {rejection}", recording.name),
        }
    }
    assert_eq!(events, recording.events, "{}", recording.name);
    (facts, no_ops)
}

fn digest<'a>(facts: impl IntoIterator<Item = &'a Fact>) -> Digest {
    let folded = fold_all(FoldConfig::default(), facts).unwrap();
    let mut builder = DigestBuilder::new(None);
    for ((topic, key), record) in &folded.records {
        builder.observe(*topic, key, Some(record));
    }
    builder.finish()
}

#[test]
fn every_recorded_event_becomes_facts_or_a_counted_no_op() {
    for recording in &RECORDINGS {
        let (facts, no_ops) = normalize(recording);
        assert_eq!(no_ops, recording.no_ops, "{}", recording.name);
        assert!(!facts.is_empty());
    }
}

#[test]
fn reversed_and_doubled_events_give_the_same_catalog() {
    for recording in &RECORDINGS {
        let (facts, _) = normalize(recording);
        let expected = digest(&facts);
        let reversed = digest(facts.iter().rev());
        let doubled = digest(facts.iter().chain(facts.iter().rev()));
        for (other, how) in [(&reversed, "reversed"), (&doubled, "doubled")] {
            for (ours, theirs) in
                expected.topics.iter().zip(&other.topics).filter(|(ours, _)| ours.topic != "catalog.schemas")
            {
                assert_eq!(ours, theirs, "{} {how}", recording.name);
            }
        }
    }
}

#[test]
fn a_repeated_event_costs_at_most_three_facts_three_records_and_three_state_records() {
    // The same job over the same tables with the same schemas, two runs within an hour; hours move `last_seen`.
    let mix = Mix { seed: 7, jobs: 2, hms_percent: 0, query_percent: 0 };
    let of_job = |index: &u64| mix.event(*index).key.ends_with("job_000001");
    let runs: Vec<u64> = (0..100).filter(of_job).take(3).collect();
    let normalizer = OpenLineageNormalizer::new(OpenLineageConfig::default());
    let facts_of = |index: u64| {
        let value = mix.event(index).value;
        let origin = Origin { topic: "openlineage.events".into(), partition: 0, offset: index as i64 };
        let raw = RawRecord { origin, timestamp_ms: None, key: None, value: Some(&value) };
        match normalizer.normalize(&raw).unwrap() {
            Normalized::Facts(facts) => facts,
            Normalized::NoOp(reason) => panic!("{reason}"),
        }
    };
    let mut folder = Folder::new(FoldConfig::default());
    let mut folded = Folded::default();
    for fact in facts_of(runs[0]) {
        folded.fold(&mut folder, &fact).unwrap();
    }
    for repeat in &runs[1..] {
        let (published, written, seen) = (folded.published, folded.state.writes(), folded.facts);
        let facts = facts_of(*repeat);
        for fact in &facts {
            folded.fold(&mut folder, fact).unwrap();
        }
        assert!(facts.len() <= 3 && folded.facts - seen <= 3, "{} facts", folded.facts - seen);
        assert!(folded.published - published <= 3, "{} records", folded.published - published);
        assert!(folded.state.writes() - written <= 3, "{} state records", folded.state.writes() - written);
    }
}
