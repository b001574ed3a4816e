//! Outcomes of records, which always add up.

use std::collections::BTreeMap;

use super::outputs::Tally;
use crate::model::reject::ReasonCode;

/// How many records a task took in and what became of them. Counted when their transaction has committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records taken in.
    pub records: u64,
    /// Records that became outputs, changed state or were written by a sink.
    pub outputs: u64,
    /// Valid records that say nothing here, by reason.
    pub no_ops: BTreeMap<&'static str, u64>,
    /// Dead letters, by reason.
    pub dead_letters: BTreeMap<&'static str, u64>,
    /// What the stage counts besides.
    pub tallies: BTreeMap<Tally, u64>,
    /// Records written to output topics.
    pub produced: u64,
    /// Committed transactions or sink writes.
    pub commits: u64,
    /// Aborted transactions and undone sink batches.
    pub aborts: u64,
}

impl Counters {
    /// Counts a record that had an effect.
    pub fn output(&mut self) {
        self.records += 1;
        self.outputs += 1;
    }

    /// Counts a no-op.
    pub fn no_op(&mut self, reason: &'static str) {
        self.records += 1;
        *self.no_ops.entry(reason).or_default() += 1;
    }

    /// Counts a dead letter.
    pub fn dead_letter(&mut self, reason: ReasonCode) {
        self.records += 1;
        *self.dead_letters.entry(reason.as_str()).or_default() += 1;
    }

    /// Counts what a record was tallied as.
    pub fn tally(&mut self, tallies: &[Tally]) {
        for tally in tallies {
            *self.tallies.entry(*tally).or_default() += 1;
        }
    }

    /// Whether each record has exactly one outcome.
    pub fn balanced(&self) -> bool {
        self.records == self.outputs + self.no_ops.values().sum::<u64>() + self.dead_letters.values().sum::<u64>()
    }

    /// Adds what a committed batch counted, and tells the metrics.
    pub fn commit(&mut self, stage: &str, batch: &Self) {
        let count = |name: &'static str, key: &'static str, value: &'static str, n: u64| {
            if n > 0 {
                metrics::counter!(name, "stage" => stage.to_owned(), key => value).increment(n);
            }
        };
        count("stage_records_total", "outcome", "output", batch.outputs);
        for (reason, n) in &batch.no_ops {
            count("stage_records_total", "outcome", "no_op", *n);
            count("stage_no_ops_total", "reason", reason, *n);
            *self.no_ops.entry(reason).or_default() += n;
        }
        for (reason, n) in &batch.dead_letters {
            count("stage_records_total", "outcome", "dead_letter", *n);
            count("dlq_records_total", "reason", reason, *n);
            *self.dead_letters.entry(reason).or_default() += n;
        }
        for (tally, n) in &batch.tallies {
            count(tally.counter, tally.label, tally.value, *n);
            *self.tallies.entry(*tally).or_default() += n;
        }
        self.records += batch.records;
        self.outputs += batch.outputs;
        self.produced += batch.produced;
        self.commits += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_has_one_outcome() {
        let mut batch = Counters::default();
        batch.output();
        batch.no_op("unchanged");
        batch.dead_letter(ReasonCode::InvalidJson);
        let tally = Tally { counter: "sql_queries_total", label: "lineage", value: "complete" };
        batch.tally(&[tally, tally]);
        let mut total = Counters::default();
        total.commit("s", &batch);
        total.commit("s", &batch);
        assert!(total.balanced());
        assert_eq!((total.records, total.outputs, total.no_ops["unchanged"], total.commits), (6, 2, 2, 2));
        assert_eq!(total.tallies, BTreeMap::from([(tally, 4)]));
        assert!(!Counters { records: 1, ..Counters::default() }.balanced());
    }
}
