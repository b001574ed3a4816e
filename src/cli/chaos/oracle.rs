//! What a run came to, and whether two runs came to the same.
//!
//! Compared are the digest (all of classes A and B, and the dead letters), the facts of raw records one by one with the
//! offsets behind them, and the raw records themselves. `catalog.changes` tells what became of merged heads step by
//! step; which steps there were depends on how the two raw topics interleave, which Kafka does not order. So of class C is
//! compared what is determined: changes of entities that one raw topic alone speaks of are the same records with the same
//! ids in the same order. Of all others holds the definition of the class: the table holds exactly what the log says, and
//! each change was told once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use sha2::{Digest as _, Sha256};

use crate::catalog::digest::{Digest, canonical};
use crate::cli::context::Context;
use crate::cli::digest::decoder;
use crate::cli::processes;
use crate::cli::recorded::{HMS_TOPIC, OPENLINEAGE_TOPIC};
use crate::codec::avro::Decoder;
use crate::kafka::{Isolation, LogReader};
use crate::model::fact::{Aspect, Origin};
use crate::model::record::{CatalogRecord, CatalogTopic};
use crate::stage::DeadLetter;
use crate::store::read::{row_key, row_of};
use crate::topology::snapshot;
use crate::topology::stages::{FACTS, STATEMENTS};

const RAW: [&str; 2] = [HMS_TOPIC, OPENLINEAGE_TOPIC];
const DEAD_LETTERS: [&str; 4] =
    ["hms.notifications.dlq", "openlineage.events.dlq", "catalog.facts.dlq", "catalog.statements.dlq"];
/// Who speaks of an entity by a fact that fold has sent on.
const FORWARDED: &str = "forwarded";
/// Differences that a message tells.
const TOLD: usize = 10;

/// Records that a stage has taken in, and what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Committed records of its input topics.
    pub records: u64,
    /// How many ended in which way.
    pub outcomes: BTreeMap<String, u64>,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// Of all catalog topics and dead letters.
    pub digest: Digest,
    /// Hash of each raw topic with its offsets.
    raw: BTreeMap<&'static str, String>,
    /// Committed records by topic.
    pub records: BTreeMap<String, u64>,
    /// Facts of raw records: hash of all that each says, its origin included.
    facts: BTreeSet<[u8; 16]>,
    /// Origins of raw records that became facts.
    became_facts: BTreeSet<String>,
    /// Origins of raw records that became dead letters.
    became_letters: BTreeSet<String>,
    /// Who speaks of each entity: raw topics, and `forwarded` for what fold has sent on.
    speakers: BTreeMap<String, BTreeSet<String>>,
    /// Hashes of what the log of changes tells of each entity, in its order.
    told: BTreeMap<String, Vec<[u8; 16]>>,
    /// Rows by topic.
    pub rows: BTreeMap<&'static str, usize>,
    /// What is wrong with this run, whatever others came to.
    pub faults: Vec<String>,
    /// Every live key with its value, a line each, for finding out where two runs part.
    entries: PathBuf,
}

/// Gathers what the installation of `context`, which is quiet, has come to. `entries` is written.
///
/// # Errors
/// If a server does not answer or `entries` cannot be written.
pub(super) fn gather(context: &Context, entries: &Path) -> anyhow::Result<Outcome> {
    let reader = LogReader::new(&context.kafka, Isolation::Committed)?;
    let decoder = decoder(context).map_err(|failure| failure.error)?;
    let letters = DEAD_LETTERS.map(str::to_owned);
    let mut outcome = Outcome {
        digest: snapshot::digest(&reader, &decoder, &letters, None)?,
        raw: BTreeMap::new(),
        records: BTreeMap::new(),
        facts: BTreeSet::new(),
        became_facts: BTreeSet::new(),
        became_letters: BTreeSet::new(),
        speakers: BTreeMap::new(),
        told: BTreeMap::new(),
        rows: BTreeMap::new(),
        faults: Vec::new(),
        entries: entries.to_owned(),
    };
    outcome.read_raw(&reader)?;
    outcome.read_facts(&reader, &decoder)?;
    outcome.read_letters(&reader)?;
    outcome.read_catalog(&reader, &decoder, context, entries)?;
    Ok(outcome)
}

impl Outcome {
    fn read_raw(&mut self, reader: &LogReader) -> anyhow::Result<()> {
        for topic in RAW {
            let mut hash = Sha256::new();
            let mut count = 0;
            reader.read_topic(topic, &mut |record| {
                count += 1;
                hash.update(format!("{}@{}:{:?}:", record.partition, record.offset, record.key));
                hash.update(record.value.as_deref().unwrap_or_default());
            })?;
            self.raw.insert(topic, hex(&hash.finalize()));
            self.records.insert(topic.to_owned(), count);
        }
        Ok(())
    }

    /// Facts that fold has sent on to other entities are only counted.
    fn read_facts(&mut self, reader: &LogReader, decoder: &Decoder) -> anyhow::Result<()> {
        let mut count = 0;
        // The statement in a record may tell of the same job as the record itself.
        let mut told: BTreeSet<(String, String, String)> = BTreeSet::new();
        let mut failure = None;
        reader.read_topic(FACTS, &mut |record| {
            count += 1;
            let fact = match decoder.fact(record.value.as_deref().unwrap_or_default()) {
                Ok(fact) => fact,
                Err(error) => {
                    return failure = Some(anyhow!("{FACTS}-{}@{}: {error}", record.partition, record.offset));
                }
            };
            let entity = fact.entity.as_str().to_owned();
            if !fact.via.is_empty() {
                // That a path is a name of the table is not told as a change.
                let is_name = |aspect: &Aspect| {
                    matches!(aspect, Aspect::Alias | Aspect::Joined | Aspect::Withdraw | Aspect::Resending)
                };
                if !fact.entries.iter().all(|entry| is_name(&entry.aspect)) {
                    self.speakers.entry(entity).or_default().insert(FORWARDED.to_owned());
                }
                return;
            }
            self.speakers.entry(entity).or_default().insert(fact.origin.topic.clone());
            let origin = place(&fact.origin);
            self.facts.insert(short_hash(format!("{fact:?}").as_bytes()));
            self.became_facts.insert(origin.clone());
            if !told.insert((origin.clone(), fact.entity.as_str().to_owned(), fact.source.as_str().to_owned())) {
                self.faults.push(format!("{origin} told of {} twice in {FACTS}", fact.entity.as_str()));
            }
        })?;
        self.records.insert(FACTS.to_owned(), count);
        let mut statements = 0;
        reader.read_topic(STATEMENTS, &mut |_| statements += 1)?;
        self.records.insert(STATEMENTS.to_owned(), statements);
        failure.map_or(Ok(()), Err)
    }

    fn read_letters(&mut self, reader: &LogReader) -> anyhow::Result<()> {
        for topic in DEAD_LETTERS {
            let mut count = 0;
            reader.read_topic(topic, &mut |record| {
                count += 1;
                match DeadLetter::parse(&record) {
                    Some(letter) if !self.became_letters.insert(place(&letter.source)) => {
                        self.faults.push(format!("{} became a dead letter twice", place(&letter.source)));
                    }
                    Some(_) => {}
                    None => self.faults.push(format!("{topic}@{} is no dead letter", record.offset)),
                }
            })?;
            self.records.insert(topic.to_owned(), count);
        }
        let both: Vec<_> = self.became_facts.intersection(&self.became_letters).take(TOLD).collect();
        if !both.is_empty() {
            self.faults.push(format!("records that became facts and dead letters: {both:?}"));
        }
        Ok(())
    }

    /// The compacted topics against their tables, and each change against all others.
    fn read_catalog(
        &mut self,
        reader: &LogReader,
        decoder: &Decoder,
        context: &Context,
        entries: &Path,
    ) -> anyhow::Result<()> {
        let runtime = processes::runtime().map_err(|failure| failure.error)?;
        let store = processes::connect(&runtime, &context.config).map_err(|failure| failure.error)?;
        let mut out = BufWriter::new(
            std::fs::File::create(entries).with_context(|| format!("could not write {}", entries.display()))?,
        );
        for topic in CatalogTopic::ALL {
            let mut live: BTreeMap<String, CatalogRecord> = BTreeMap::new();
            let mut expected: BTreeMap<String, String> = BTreeMap::new();
            let mut changes: BTreeSet<String> = BTreeSet::new();
            let mut count = 0;
            let mut failure = None;
            snapshot::read_topic(reader, decoder, topic, &mut |key, value| {
                count += 1;
                let Some(record) = value else {
                    expected.remove(&row_key(topic, &key));
                    live.remove(&key);
                    return;
                };
                if let CatalogRecord::Change(change) = &record {
                    let hash = short_hash(format!("{change:?}").as_bytes());
                    self.told.entry(change.entity.clone()).or_default().push(hash);
                    if !changes.insert(change.id.clone()) {
                        let text = format!(
                            "change {} of {} by {} was told twice",
                            change.id,
                            change.entity,
                            place(&change.origin)
                        );
                        self.faults.push(text);
                    }
                }
                match row_of(&key, &record) {
                    Ok((row, hash)) => drop(expected.insert(row, hash)),
                    Err(error) => failure = Some(error),
                }
                if topic != CatalogTopic::Changes {
                    live.insert(key, record);
                }
            })?;
            if let Some(error) = failure {
                return Err(error.into());
            }
            for (key, record) in &live {
                writeln!(out, "{}\t{key}\t{}", topic.name(), canonical(record))?;
            }
            self.records.insert(topic.name().to_owned(), count);
            let found = runtime.block_on(store.reader().row_hashes(topic))?;
            self.rows.insert(topic.name(), found.len());
            if found != expected {
                self.faults.push(unlike(topic, &expected, &found));
            }
        }
        out.flush()?;
        match runtime.block_on(store.reader().rejects())? {
            0 => {}
            count => self.faults.push(format!("{count} records were rejected by Postgres")),
        }
        Ok(())
    }

    /// Whether each record of each stage has one outcome; `accounts` are a process' own words.
    pub fn check_accounts(&mut self, accounts: &BTreeMap<&'static str, Account>) {
        for (stage, account) in accounts {
            let sum: u64 = account.outcomes.values().sum();
            if sum != account.records {
                let text = format!("{stage} took in {} records and accounts for {sum}: {account:?}", account.records);
                self.faults.push(text);
            }
        }
        let letters: u64 = accounts.values().filter_map(|account| account.outcomes.get("dead_letter")).sum();
        if letters != self.became_letters.len() as u64 {
            self.faults.push(format!("{letters} dead letters were counted, {} are there", self.became_letters.len()));
        }
    }

    /// What is told of entities that one raw topic alone speaks of.
    fn determined(&self) -> BTreeMap<&str, &[[u8; 16]]> {
        let alone =
            |entity: &String| self.speakers.get(entity).is_some_and(|by| by.len() == 1 && !by.contains(FORWARDED));
        let told = self.told.iter().filter(|(entity, _)| alone(entity));
        told.map(|(entity, changes)| (entity.as_str(), changes.as_slice())).collect()
    }

    /// Committed records of some topics.
    pub fn records_of(&self, topics: &[String]) -> u64 {
        topics.iter().filter_map(|topic| self.records.get(topic)).sum()
    }

    /// Everything in which `self` is not what `calm` is.
    ///
    /// # Errors
    /// If the entries of either cannot be read again.
    pub fn parts_from(&self, calm: &Self) -> anyhow::Result<Vec<String>> {
        let mut parts = Vec::new();
        for topic in RAW {
            if self.raw.get(topic) != calm.raw.get(topic) {
                parts.push(format!("{topic} does not hold the same records: the campaign itself is at fault"));
            }
        }
        let lost = calm.facts.difference(&self.facts).count();
        let invented = self.facts.difference(&calm.facts).count();
        if lost + invented > 0 {
            parts.push(format!("{lost} facts of raw records are lost, {invented} are invented"));
        }
        let outcomes = [
            ("facts", &calm.became_facts, &self.became_facts),
            ("dead letters", &calm.became_letters, &self.became_letters),
        ];
        for (what, expected, found) in outcomes {
            let unlike: Vec<_> = expected.symmetric_difference(found).collect();
            if !unlike.is_empty() {
                let told: Vec<_> = unlike.iter().take(TOLD).collect();
                parts.push(format!("{} raw records became {what} in one run only: {told:?}", unlike.len()));
            }
        }
        let (expected, found) = (calm.determined(), self.determined());
        let unlike: Vec<_> =
            expected.keys().chain(found.keys()).filter(|entity| expected.get(*entity) != found.get(*entity)).collect();
        if !unlike.is_empty() {
            let told: BTreeSet<_> = unlike.iter().take(TOLD).collect();
            parts.push(format!("of {} entities other changes are told: {told:?}", unlike.len()));
        }
        let lines = |outcome: &Self| -> BTreeMap<String, String> {
            let comparable = outcome.digest.topics.iter().filter(|line| line.topic != CatalogTopic::Changes.name());
            comparable.map(|line| (line.topic.clone(), format!("{} entries, {}", line.entries, line.sha256))).collect()
        };
        let (expected, found) = (lines(calm), lines(self));
        for (topic, line) in &expected {
            if found.get(topic) != Some(line) {
                let other = found.get(topic).map_or("nothing", String::as_str);
                parts.push(format!("{topic}: expected {line}; found {other}"));
            }
        }
        let classes = |outcome: &Self| [outcome.digest.class_a.clone(), outcome.digest.class_b.clone()];
        for (class, (expected, found)) in ["A", "B"].iter().zip(classes(calm).iter().zip(&classes(self))) {
            if expected != found {
                parts.push(format!("digest {class} is {found}, not {expected}"));
            }
        }
        if !parts.is_empty() {
            let differences = differences(&calm.entries, &self.entries)?;
            if !differences.is_empty() {
                let files = format!("{} and {}", calm.entries.display(), self.entries.display());
                parts.push(format!("first differences of {files}:\n{differences}"));
            }
        }
        Ok(parts)
    }
}

fn unlike(topic: CatalogTopic, expected: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> String {
    let missing: Vec<_> = expected.keys().filter(|row| !found.contains_key(*row)).take(TOLD).collect();
    let extra: Vec<_> = found.keys().filter(|row| !expected.contains_key(*row)).take(TOLD).collect();
    let other: Vec<_> =
        expected.iter().filter(|(row, hash)| found.get(*row).is_some_and(|found| found != *hash)).take(TOLD).collect();
    format!(
        "the table of {} has {} rows, the topic {}; missing {missing:?}, extra {extra:?}, other content {other:?}",
        topic.name(),
        found.len(),
        expected.len()
    )
}

/// The first lines that only one of two sorted files has.
fn differences(expected: &Path, found: &Path) -> io::Result<String> {
    let lines =
        |path: &Path| -> io::Result<BTreeSet<String>> { BufReader::new(std::fs::File::open(path)?).lines().collect() };
    let (expected, found) = (lines(expected)?, lines(found)?);
    let mut text = String::new();
    let mut tell = |sign: char, line: &str| {
        let cut: String = line.chars().take(600).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {sign} {cut}");
    };
    expected.difference(&found).take(TOLD).for_each(|line| tell('-', line));
    found.difference(&expected).take(TOLD).for_each(|line| tell('+', line));
    Ok(text)
}

fn place(origin: &Origin) -> String {
    format!("{}-{}@{}", origin.topic, origin.partition, origin.offset)
}

fn short_hash(bytes: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&Sha256::digest(bytes)[..16]);
    short
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
