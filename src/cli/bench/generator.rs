//! Seeded, realistic raw events for load runs: the same seed gives the same bytes on every machine.
//!
//! The mix follows the recorded samples: OpenLineage RunEvents of about 4 KB (START without datasets, COMPLETE with one
//! or two inputs, one output, eight columns, schema, column lineage and SQL facets) and HMS notifications (CREATE_TABLE,
//! ALTER_TABLE with two full tables, ADD_PARTITION), and queries of the warehouse (`bench::queries`). Knows nothing of
//! Kafka.

use serde_json::{Value, json};

use crate::cli::draw::draw as hash;

/// The topics that a mix may write to.
pub const TOPICS: [&str; 3] = ["openlineage.events", "hms.notifications", "warehouse.query-logs"];

/// One raw record to produce.
#[derive(Clone, Debug)]
pub struct RawEvent {
    /// One of [`TOPICS`].
    pub topic: &'static str,
    /// Record key as the real producers send it.
    pub key: String,
    /// JSON text.
    pub value: Vec<u8>,
}

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Chooses every random detail.
    pub seed: u64,
    /// Number of jobs; each writes one table.
    pub jobs: u64,
    /// Of 100 events, how many are HMS notifications.
    pub hms_percent: u64,
    /// Of 100 events, how many are queries; if any are, the first `jobs` events create the tables that they use.
    pub query_percent: u64,
}

pub(super) const COLUMN_TYPES: [(&str, &str); 8] = [
    ("id", "bigint"),
    ("customer_id", "bigint"),
    ("amount", "decimal(12,2)"),
    ("currency", "string"),
    ("created_at", "timestamp"),
    ("country", "string"),
    ("payload", "string"),
    ("ratio", "double"),
];

/// Event time of event 0: 2026-01-01T00:00:00Z, in seconds.
const EPOCH_SECONDS: i64 = 1_767_225_600;

impl Mix {
    /// Event number `index` of this mix.
    pub fn event(&self, index: u64) -> RawEvent {
        let draw = hash(self.seed, index);
        if self.query_percent > 0 && index < self.jobs {
            // Kind 0 of notifications is a creation.
            return self.notification(index, index);
        }
        match draw % 100 {
            kind if kind < self.hms_percent => self.notification(index, draw / 100),
            kind if kind < self.hms_percent + self.query_percent => {
                super::queries::query(index, draw / 100, self.jobs, EPOCH_SECONDS * 1_000 + (index as i64) * 250)
            }
            _ => self.run_event(index, draw / 100),
        }
    }

    /// A COMPLETE of one job's next run; its inputs are the outputs of jobs with smaller numbers.
    fn run_event(&self, index: u64, draw: u64) -> RawEvent {
        let job = draw % self.jobs;
        let source = if job == 0 { 0 } else { hash(self.seed, job) % job };
        let time = timestamp(EPOCH_SECONDS * 1_000 + (index as i64) * 250);
        let name = format!("load.insert_into.job_{job:06}");
        let event = json!({
            "eventTime": time,
            "eventType": "COMPLETE",
            "producer": "https://tributary.example/bench",
            "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
            "run": {
                "runId": uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, format!("{}/{index}", self.seed).as_bytes()),
                "facets": {
                    "processing_engine": facet("ProcessingEngineRunFacet", json!({"version": "3.5.6", "name": "spark", "openlineageAdapterVersion": "1.37.0"})),
                },
            },
            "job": {
                "namespace": "load",
                "name": name,
                "facets": {
                    "jobType": facet("JobTypeJobFacet", json!({"processingType": "BATCH", "integration": "SPARK", "jobType": "SQL_JOB"})),
                    "sql": facet("SQLJobFacet", json!({"query": select_text(job, source), "dialect": "spark"})),
                },
            },
            "inputs": [dataset(source, None)],
            "outputs": [dataset(job, Some(source))],
        });
        RawEvent { topic: "openlineage.events", key: format!("run:load/{name}"), value: event.to_string().into_bytes() }
    }

    fn notification(&self, index: u64, draw: u64) -> RawEvent {
        let table = draw % self.jobs;
        let database = format!("load_{}", table % 20);
        let name = format!("t_{table:06}");
        let seconds = EPOCH_SECONDS + (index as i64) / 4;
        let object = thrift_table(&database, &name, table, seconds, draw / self.jobs % 3).to_string();
        let (event_type, message) = match draw / self.jobs % 4 {
            0 => ("CREATE_TABLE", json!({"tableObjJson": object, "files": []})),
            1 => (
                "ALTER_TABLE",
                json!({
                    "tableObjBeforeJson": thrift_table(&database, &name, table, seconds, 0).to_string(),
                    "tableObjAfterJson": object,
                    "isTruncateOp": "false",
                }),
            ),
            _ => ("ADD_PARTITION", add_partition(&database, &name, &object, seconds, index)),
        };
        let mut message = message;
        if let Value::Object(fields) = &mut message {
            fields.insert("server".into(), json!("thrift://load-hms:9083"));
            fields.insert("servicePrincipal".into(), json!(""));
            fields.insert("db".into(), json!(database));
            fields.insert("table".into(), json!(name));
            fields.insert("tableType".into(), json!("MANAGED_TABLE"));
            fields.insert("timestamp".into(), json!(seconds));
        }
        let envelope = json!({
            "eventId": index + 1,
            "eventTime": seconds,
            "eventType": event_type,
            "catName": "hive",
            "dbName": database,
            "tableName": name,
            "message": message.to_string(),
            "messageFormat": "json-0.2",
        });
        RawEvent {
            topic: "hms.notifications",
            key: format!("{database}.{name}"),
            value: envelope.to_string().into_bytes(),
        }
    }
}

fn select_text(job: u64, source: u64) -> String {
    let columns: Vec<_> = COLUMN_TYPES.iter().map(|(name, _)| format!("s.{name}")).collect();
    format!(
        "INSERT OVERWRITE TABLE load_{}.t_{job:06} SELECT {} FROM load_{}.t_{source:06} s WHERE s.created_at >= date_sub(current_date(), 1)",
        job % 20,
        columns.join(", "),
        source % 20
    )
}

fn facet(schema: &str, mut body: Value) -> Value {
    if let Value::Object(fields) = &mut body {
        fields.insert("_producer".into(), json!("https://tributary.example/bench"));
        fields.insert(
            "_schemaURL".into(),
            json!(format!("https://openlineage.io/spec/facets/1-1-0/{schema}.json#/$defs/{schema}")),
        );
    }
    body
}

fn path_of(table: u64) -> String {
    format!("/warehouse/load_{}.db/t_{table:06}", table % 20)
}

/// A dataset of the run; `source` makes it an output with column lineage.
fn dataset(table: u64, source: Option<u64>) -> Value {
    let columns: Vec<_> = COLUMN_TYPES.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
    let mut facets = json!({
        "dataSource": facet("DatasourceDatasetFacet", json!({"name": "hdfs://load:8020", "uri": "hdfs://load:8020"})),
        "schema": facet("SchemaDatasetFacet", json!({"fields": columns})),
    });
    if let (Some(source), Value::Object(fields)) = (source, &mut facets) {
        let lineage: serde_json::Map<_, _> = COLUMN_TYPES
            .iter()
            .map(|(name, _)| {
                let input = json!({
                    "namespace": "hdfs://load:8020",
                    "name": path_of(source),
                    "field": name,
                    "transformations": [{"type": "DIRECT", "subtype": "IDENTITY", "description": "", "masking": false}],
                });
                ((*name).to_owned(), json!({"inputFields": [input]}))
            })
            .collect();
        fields.insert("columnLineage".into(), facet("ColumnLineageDatasetFacet", json!({"fields": lineage})));
    }
    json!({"namespace": "hdfs://load:8020", "name": path_of(table), "facets": facets})
}

/// A Table in Thrift JSON; `variant` widens or adds a column.
fn thrift_table(database: &str, name: &str, table: u64, seconds: i64, variant: u64) -> Value {
    let mut columns: Vec<Value> = vec![json!("rec"), json!(0)];
    for (column, kind) in COLUMN_TYPES {
        let kind = if variant == 1 && column == "amount" { "decimal(18,2)" } else { kind };
        columns.push(json!({"1": {"str": column}, "2": {"str": kind}}));
    }
    if variant == 2 {
        columns.push(json!({"1": {"str": "extra"}, "2": {"str": "string"}, "3": {"str": "added later"}}));
    }
    columns[1] = json!(columns.len() - 2);
    json!({
        "1": {"str": name},
        "2": {"str": database},
        "3": {"str": "etl"},
        "4": {"i32": EPOCH_SECONDS},
        "5": {"i32": 0},
        "6": {"i32": 0},
        "7": {"rec": {
            "1": {"lst": columns},
            "2": {"str": format!("hdfs://load:8020{}", path_of(table))},
            "3": {"str": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"},
            "4": {"str": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"},
            "5": {"tf": 0},
            "6": {"i32": -1},
            "7": {"rec": {
                "1": {"str": name},
                "2": {"str": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
                "3": {"map": ["str", "str", 1, {"serialization.format": "1"}]},
            }},
            "8": {"lst": ["str", 0]},
            "9": {"lst": ["rec", 0]},
            "10": {"map": ["str", "str", 0, {}]},
        }},
        "8": {"lst": ["rec", 1, {"1": {"str": "dt"}, "2": {"str": "string"}}]},
        "9": {"map": ["str", "str", 1, {"transient_lastDdlTime": seconds.to_string()}]},
        "12": {"str": "MANAGED_TABLE"},
        "15": {"tf": 0},
        "17": {"str": "hive"},
        "18": {"i32": 1},
    })
}

fn add_partition(database: &str, name: &str, table_object: &str, seconds: i64, index: u64) -> Value {
    let day = format!("2026-{:02}-{:02}", index % 12 + 1, index % 28 + 1);
    let partition = json!({
        "1": {"lst": ["str", 1, day]},
        "2": {"str": database},
        "3": {"str": name},
        "4": {"i32": seconds},
        "5": {"i32": 0},
        "6": {"rec": {
            "1": {"lst": ["rec", 0]},
            "2": {"str": format!("hdfs://load:8020/warehouse/{database}.db/{name}/dt={day}")},
            "3": {"str": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"},
        }},
        "7": {"map": ["str", "str", 2, {"numRows": "1000", "totalSize": "524288"}]},
        "9": {"str": "hive"},
    });
    json!({
        "tableObjJson": table_object,
        "partitionListJson": [partition.to_string()],
        "partitions": [{"dt": day}],
        "partitionFiles": [],
    })
}

/// RFC 3339 with milliseconds.
pub(super) fn timestamp(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis)
        .unwrap_or_default()
        .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        let mix = Mix { seed: 1, jobs: 50, hms_percent: 30, query_percent: 30 };
        let other = Mix { seed: 2, ..mix };
        let bytes = |mix: Mix| (0..200).map(|i| mix.event(i).value).collect::<Vec<_>>();
        assert_eq!(bytes(mix), bytes(mix));
        assert_ne!(bytes(mix), bytes(other));
    }

    #[test]
    fn an_openlineage_event_is_about_four_kilobytes_as_the_samples_are() {
        let mix = Mix { seed: 1, jobs: 50, hms_percent: 0, query_percent: 0 };
        let mean = (0..100).map(|i| mix.event(i).value.len()).sum::<usize>() / 100;
        assert!((3_500..4_800).contains(&mean), "mean size {mean}");
    }
}
