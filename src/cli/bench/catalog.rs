//! `tributary bench catalog`: a catalog of any size, folded in memory and written straight into the catalog topics and the
//! changelog. What it leaves is what the stages would have left of as many events, without the time they take: for
//! measuring rebuilds, starts, memory and walks.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use crate::cli::SettingFlags;
use crate::cli::context::Context;
use crate::cli::draw::draw as hash;
use crate::cli::exit::{Because, Failure, Reason};
use crate::cli::processes::with_servers;
use crate::cli::{rebuild, registry, topology};
use crate::codec::avro::encode_record;
use crate::fold::{FoldConfig, FoldOutput, Folder};
use crate::kafka::{Admin, Isolation, OutgoingRecord, Producer, partition_for};
use crate::model::fact::{
    Column, ColumnEdge, Columns, Completeness, EntityKind, Entry, Evidence, Existence, ExistenceState, Fact, Format,
    Job, Origin, Owner, RunEvent, Source, Statement, Stats, Tag, Version, WriteMark,
};
use crate::model::id::EntityId;
use crate::model::record::CatalogTopic;
use crate::model::state::{MemoryState, State};
use crate::stage::changelog_topic;
use crate::topology::schemas::{SubjectError, register_all};
use crate::topology::stages::SchemaIds;

/// Event time of the first fact: 2026-01-01T00:00:00Z, in microseconds.
const EPOCH: i64 = 1_767_225_600_000_000;
const DATABASES: u64 = 100;
const FLUSH_LIMIT: Duration = Duration::from_secs(600);
const TYPES: [&str; 8] =
    ["bigint", "string", "decimal(12,2)", "timestamp", "string", "double", "date", "struct<city:string,zip:string>"];

/// The catalog.
#[derive(Debug, Args)]
#[command(after_help = "Example: tributary bench catalog --datasets 100000 --rebuild --data-dir /tmp/catalog")]
pub struct CatalogArgs {
    /// Datasets, each written by a job of its own
    #[arg(long, default_value_t = 100_000)]
    datasets: u64,
    /// Columns of each
    #[arg(long, default_value_t = 20)]
    columns: u64,
    /// Table edges in all, shared out among the jobs
    #[arg(long, default_value_t = 500_000)]
    edges: u64,
    /// Column edges of each job
    #[arg(long, default_value_t = 4)]
    column_edges: u64,
    /// Seed of the generator
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Bring all views back from it afterwards, and say what took how long
    #[arg(long)]
    rebuild: bool,
    /// With --rebuild: compare each view with the topics
    #[arg(long, requires = "rebuild")]
    verify: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(flags: &SettingFlags, args: &CatalogArgs) -> Result<(), Failure> {
    let (context, started) = with_servers(flags)?;
    topology::apply_quietly(&context)?;
    let clock = Instant::now();
    let filled = fill(&context, args)?;
    let seconds = clock.elapsed().as_secs_f64();
    if !args.json {
        println!("{} records of {} datasets in {seconds:.1} s", filled.values().sum::<u64>(), args.datasets);
    }
    let mut report = json!({"datasets": args.datasets, "records": filled, "seconds": seconds});
    if args.rebuild {
        report["rebuild"] = rebuild::everything(&context, args.verify, args.json)?;
    }
    if args.json {
        println!("{report:#}");
    }
    drop(started);
    Ok(())
}

/// Folds the catalog partition by partition and produces what comes out; records by topic.
fn fill(context: &Context, args: &CatalogArgs) -> Result<BTreeMap<String, u64>, Failure> {
    let topology = topology::of(&context.config)?;
    let admin = Admin::new(&context.kafka).because(Reason::Unavailable)?;
    let changelog = changelog_topic(&context.config.kafka.cluster, "fold");
    let topics: Vec<&str> = CatalogTopic::ALL.iter().map(|topic| topic.name()).chain([changelog.as_str()]).collect();
    for topic in &topics {
        let marks = admin.topic_watermarks(topic, Isolation::Uncommitted).because(Reason::Unavailable)?;
        if marks.values().any(|log| log.high > 0) {
            let error = anyhow!("{topic} holds records already: this command fills empty topics, and no others");
            return Err(error).because(Reason::Usage);
        }
    }
    let ids = register_all(&registry::client(context)?)
        .map_err(|error: SubjectError| Failure { reason: registry::reason_of(&error.source), error: error.into() })?;
    let partitions = topology.topic(&changelog).map_or(1, |topic| topic.partitions);
    let partitions = i32::try_from(partitions).because(Reason::Configuration)?;
    let mut filling = Filling {
        generator: Generator { args },
        producer: Producer::new(&context.kafka).because(Reason::Unavailable)?,
        ids,
        partitions,
        counts: BTreeMap::new(),
    };
    for partition in 0..partitions {
        filling.partition(partition, &changelog)?;
    }
    filling.producer.flush(FLUSH_LIMIT).because(Reason::Unavailable)?;
    for topic in topics {
        let marks = admin.topic_watermarks(topic, Isolation::Uncommitted).because(Reason::Unavailable)?;
        let there: i64 = marks.values().map(|log| log.high).sum();
        let sent = filling.counts.get(topic).copied().unwrap_or(0);
        if there.unsigned_abs() != sent {
            return Err(anyhow!("{topic} holds {there} records, {sent} were sent")).because(Reason::Temporary);
        }
    }
    Ok(filling.counts)
}

struct Filling<'a> {
    generator: Generator<'a>,
    producer: Producer,
    ids: SchemaIds,
    partitions: i32,
    counts: BTreeMap<String, u64>,
}

impl Filling<'_> {
    /// Folds the facts of all entities of a partition. They are made anew for each partition: all at once would be large.
    fn partition(&mut self, partition: i32, changelog: &str) -> Result<(), Failure> {
        let mut state = MemoryState::default();
        let mut folder = Folder::new(FoldConfig::default());
        let facts = self.generator.facts();
        let ours = |fact: &Fact| partition_for(fact.entity.as_str().as_bytes(), self.partitions) == partition;
        let mut queue: VecDeque<Fact> = VecDeque::new();
        for fact in facts.filter(ours) {
            queue.push_back(fact);
            while let Some(fact) = queue.pop_front() {
                let mut out = FoldOutput::default();
                folder.apply(partition, &fact, &mut state, &mut out).because(Reason::Internal)?;
                // Nothing of what is generated belongs to another entity.
                queue.extend(out.forwarded);
                for output in out.records {
                    let id = self.ids.records.get(&output.topic).copied().unwrap_or_default();
                    let value = output.value.map(|record| encode_record(&record, id)).transpose();
                    let value = value.because(Reason::Internal)?;
                    let topic = output.topic.name();
                    send(&self.producer, topic, partition, output.key.into_bytes(), value)?;
                    *self.counts.entry(topic.to_owned()).or_default() += 1;
                }
            }
        }
        for (key, value) in state.scan(b"").because(Reason::Internal)? {
            send(&self.producer, changelog, partition, key, Some(value))?;
            *self.counts.entry(changelog.to_owned()).or_default() += 1;
        }
        Ok(())
    }
}

fn send(producer: &Producer, topic: &str, partition: i32, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), Failure> {
    let record = OutgoingRecord::new(topic, Some(key), value).to_partition(partition);
    // What is lost on the way is noticed at the end, by the topic's end.
    producer.send(&record).because(Reason::Unavailable).map(drop)
}

struct Generator<'a> {
    args: &'a CatalogArgs,
}

impl Generator<'_> {
    /// All facts, those of one entity in order.
    fn facts(&self) -> impl Iterator<Item = Fact> + '_ {
        let databases = (0..DATABASES.min(self.args.datasets)).map(|number| self.database(number));
        let datasets = (0..self.args.datasets).flat_map(|number| self.dataset(number));
        let jobs = (0..self.args.datasets).map(|number| self.job(number));
        databases.chain(datasets).chain(jobs)
    }

    fn fact(&self, entity: EntityId, kind: EntityKind, source: Source, order: u64, entries: Vec<Entry>) -> Fact {
        let order = i64::try_from(order).unwrap_or(i64::MAX);
        let topic = if kind == EntityKind::Job { "openlineage.events" } else { "hms.notifications" };
        Fact {
            entity,
            kind,
            source,
            version: Version { epoch: 0, time: EPOCH + order * 1_000_000, seq: order, hash: order.unsigned_abs() },
            origin: Origin { topic: topic.to_owned(), partition: 0, offset: order },
            via: Vec::new(),
            entries,
        }
    }

    fn database(&self, number: u64) -> Fact {
        let entries = vec![
            Entry::of(Statement::Existence(there(Evidence::Owner))),
            Entry::of(Statement::Location(format!("hdfs://load:8020/warehouse/load_{number}.db"))),
        ];
        let id = EntityId::from_canonical(format!("hive://load-hms:9083/load_{number}"));
        self.fact(id, EntityKind::Container, Source::hms("load"), number, entries)
    }

    /// What the metastore says of a table, and what the run that wrote it says.
    fn dataset(&self, number: u64) -> [Fact; 2] {
        let draw = hash(self.args.seed, number);
        let columns = (0..self.args.columns).map(|index| Column {
            name: column(index),
            data_type: TYPES.get((index % 8) as usize).copied().unwrap_or("string").to_owned(),
            description: (index % 4 == 1).then(|| format!("column {index} of table {number}")),
            ..Column::default()
        });
        let columns = Columns { completeness: Completeness::Complete, columns: columns.collect() };
        let properties = [("transient_lastDdlTime", number.to_string()), ("numFiles", (draw % 50).to_string())];
        let tag = |key: &str| Tag { key: key.to_owned(), value: String::new(), field: None };
        let mut entries = vec![
            Entry::of(Statement::Existence(there(Evidence::Owner))),
            Entry::of(Statement::DatasetKind("table".to_owned())),
            Entry::of(Statement::Columns(columns)),
            Entry::of(Statement::Description(format!("Orders of region {} by day, load {number}", draw % 97))),
            Entry::of(Statement::Owners(vec![Owner { name: format!("team:{}", draw % 40), role: "OWNER".to_owned() }])),
            Entry::of(Statement::Location(format!(
                "hdfs://load:8020/warehouse/load_{}.db/t_{number:06}",
                number % DATABASES
            ))),
            Entry::of(Statement::Format(Format { name: "parquet".to_owned(), ..Format::default() })),
            Entry::of(Statement::Properties(properties.map(|(key, value)| (key.to_owned(), value)).into())),
        ];
        if draw.is_multiple_of(5) {
            entries.push(Entry::of(Statement::Tags(vec![tag("gold")])));
        }
        let id = table(number);
        let told = self.fact(id.clone(), EntityKind::Dataset, Source::hms("load"), number, entries);
        let time = told.version.time;
        let rows = Some(i64::try_from(draw % 1_000_000).unwrap_or(0));
        let written = vec![
            Entry::of(Statement::Existence(there(Evidence::Output))),
            Entry::of(Statement::Stats(Stats { rows, bytes: rows.map(|rows| rows * 120), ..Stats::default() })),
            Entry::of(Statement::Write(WriteMark { time, job: job(number), run: run_id(number), rows, bytes: None })),
        ];
        [told, self.fact(id, EntityKind::Dataset, Source::openlineage("spark"), number + 1, written)]
    }

    /// The job that writes a table, with one run of it.
    fn job(&self, number: u64) -> Fact {
        let each = self.args.edges / self.args.datasets.max(1);
        let more = u64::from(number < self.args.edges % self.args.datasets.max(1));
        let inputs: Vec<EntityId> = (0..each + more).map(|index| self.input(number, index)).map(table).collect();
        let target = table(number);
        let column_edges = (0..self.args.column_edges).filter_map(|index| {
            let source = inputs.get((index % (inputs.len().max(1) as u64)) as usize)?.clone();
            Some(ColumnEdge {
                target: target.clone(),
                target_field: column(index % self.args.columns.max(1)),
                source,
                source_field: column((index * 3) % self.args.columns.max(1)),
                kind: "DIRECT".to_owned(),
                subtype: "IDENTITY".to_owned(),
                description: String::new(),
                masking: false,
                unmapped: false,
            })
        });
        let event = RunEvent {
            run_id: run_id(number),
            state: "COMPLETE".to_owned(),
            time: EPOCH + i64::try_from(number).unwrap_or(0) * 1_000_000,
            engine: Some("spark 3.5.6".to_owned()),
            column_edges: column_edges.collect(),
            outputs: vec![target.clone()],
            inputs,
            ..RunEvent::default()
        };
        let said = Job {
            namespace: "load".to_owned(),
            name: format!("load.write.t_{number:06}"),
            integration: "SPARK".to_owned(),
            job_type: "SQL_JOB".to_owned(),
            processing: "BATCH".to_owned(),
            sql: Some(format!("INSERT INTO load_{}.t_{number:06} SELECT * FROM sources", number % DATABASES)),
            dialect: Some("spark".to_owned()),
            ..Job::default()
        };
        let entries = vec![
            Entry::of(Statement::Job(said)),
            Entry::keyed(format!("{}|COMPLETE", event.run_id), Statement::Run(event)),
        ];
        self.fact(job(number), EntityKind::Job, Source::openlineage("spark"), number, entries)
    }

    /// The `index`-th input of table `number`: mostly near it, as pipelines are, and all different.
    fn input(&self, number: u64, index: u64) -> u64 {
        let all = self.args.datasets.max(1);
        let draw = hash(self.args.seed, number.wrapping_mul(64).wrapping_add(index));
        let stride = 1 + index * 16 + draw % 16;
        if draw.is_multiple_of(10) { (number + all / 2 + stride) % all } else { (number + all - stride % all) % all }
    }
}

fn there(evidence: Evidence) -> Existence {
    Existence { state: ExistenceState::Confirmed, evidence, floor: false, scope: None }
}

pub(super) fn table(number: u64) -> EntityId {
    EntityId::from_canonical(format!("hive://load-hms:9083/load_{}/t_{number:06}", number % DATABASES))
}

fn job(number: u64) -> EntityId {
    EntityId::job("load", &format!("load.write.t_{number:06}"))
}

fn run_id(number: u64) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, format!("catalog/{number}").as_bytes()).to_string()
}

fn column(index: u64) -> String {
    format!("c_{index:02}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_is_as_large_as_asked_and_no_fact_leaves_its_entity() {
        let args = CatalogArgs {
            datasets: 1_000,
            columns: 20,
            edges: 4_800,
            column_edges: 4,
            seed: 1,
            rebuild: false,
            verify: false,
            json: false,
        };
        let (mut state, mut folder) = (MemoryState::default(), Folder::new(FoldConfig::default()));
        let mut keys: BTreeSet<(CatalogTopic, String)> = BTreeSet::new();
        for fact in (Generator { args: &args }).facts() {
            let mut out = FoldOutput::default();
            folder.apply(0, &fact, &mut state, &mut out).unwrap();
            assert_eq!(out.forwarded, []);
            keys.extend(out.records.into_iter().map(|output| (output.topic, output.key)));
        }
        let count = |topic| keys.iter().filter(|(of, _)| *of == topic).count();
        assert_eq!(count(CatalogTopic::Datasets), 1_000);
        assert_eq!(count(CatalogTopic::Lineage), 4_800);
        assert_eq!(count(CatalogTopic::ColumnLineage), 4_000);
        assert_eq!((count(CatalogTopic::Jobs), count(CatalogTopic::Runs)), (1_000, 1_000));
        assert_eq!(count(CatalogTopic::Containers) as u64, DATABASES);
    }
}
