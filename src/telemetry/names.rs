//! The catalogue of metrics: every name with its kind, unit, labels and help text. Code, dashboards and rules use no others.

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Name as it is scraped.
    pub name: &'static str,
    /// How it counts.
    pub kind: Kind,
    /// What it counts.
    pub unit: Unit,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// For people; one line.
    pub help: &'static str,
}

/// How a metric counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many observations were at most so large; these are the bounds.
    Histogram(&'static [f64]),
}

/// What a metric counts, in base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// From 0.5 ms, a commit on a quiet machine, to the 10 s after which a transaction is given up.
const COMMIT_SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// From an answer out of memory to the API's limit of 30 s.
const REQUEST_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit: Unit::Count, labels, help }
}

const fn gauge(name: &'static str, unit: Unit, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, labels, help }
}

const fn seconds(
    name: &'static str,
    bounds: &'static [f64],
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Histogram(bounds), unit: Unit::Seconds, labels, help }
}

/// All metrics.
pub const METRICS: &[Metric] = &[
    counter(
        "stage_records_total",
        &["stage", "outcome"],
        "Records that a stage or sink has dealt with; outcome is output, no_op or dead_letter and each record has one",
    ),
    counter("stage_no_ops_total", &["stage", "reason"], "Valid records that say nothing to the catalog, by reason"),
    counter(
        "sql_queries_total",
        &["stage", "lineage"],
        "Queries counted once each, by how their text was bound: complete, partial, failed or no_text",
    ),
    counter("dlq_records_total", &["stage", "reason"], "Records sent to a dead-letter topic, by reason"),
    counter(
        "stage_aborts_total",
        &["stage"],
        "Transactions aborted and sink batches undone; their records are read again",
    ),
    gauge("stage_lag_records", Unit::Count, &["stage", "topic", "partition"], "Records that wait to be read"),
    seconds("stage_commit_seconds", COMMIT_SECONDS, &["stage"], "From the end of a batch to its committed transaction"),
    seconds("sink_write_seconds", COMMIT_SECONDS, &["sink"], "Time to write a batch and its positions to the store"),
    counter(
        "tributary_sink_records_total",
        &["sink", "outcome"],
        "Records that a sink has handed to its store, by what it did",
    ),
    counter("tributary_sink_replaced_zeros_total", &["sink"], "U+0000 characters replaced, which Postgres refuses"),
    counter("api_requests_total", &["route", "status"], "Requests answered by the API"),
    seconds("api_request_duration_seconds", REQUEST_SECONDS, &["route"], "From a request to its answer"),
    counter("registry_requests_total", &["operation", "status"], "Requests answered by the schema registry"),
    counter(
        "registry_compatibility_checks_total",
        &["type", "level", "result"],
        "Schemas compared with earlier versions, by registration or on request",
    ),
    seconds(
        "registry_request_duration_seconds",
        REQUEST_SECONDS,
        &["operation"],
        "From a request to the schema registry to its answer",
    ),
    counter(
        "registry_refused_requests_total",
        &["reason"],
        "Requests that came no further than the schema registry's door: unauthenticated, rate, too_large, slow, unproven",
    ),
    gauge("registry_schemas", Unit::Count, &[], "Ids of schemas that the registry of this process knows"),
    counter(
        "registry_errors_total",
        &["code"],
        "Requests that the schema registry answered with an error, by its code",
    ),
    counter("registry_reader_restarts_total", &[], "Times the schema registry had to reopen its reader of _schemas"),
    counter("registry_records_skipped_total", &[], "Records of _schemas that are no registry records"),
    counter("registry_write_retries_total", &[], "Schema registry writes tried again after being fenced or unsure"),
    counter("registry_takeovers_total", &[], "Times this node has become the writer of _schemas"),
    counter(
        "registry_forwarded_requests_total",
        &["outcome"],
        "Changes sent on to the node that writes _schemas, by what became of them",
    ),
    gauge("registry_log_end_offset", Unit::Count, &[], "Where _schemas ended when an idle registry last looked"),
    gauge("registry_log_end_lag", Unit::Count, &[], "Offsets of _schemas that this registry had not read then"),
    counter(
        "hms_tail_events_total",
        &["kind"],
        "Notifications of a metastore sent to Kafka; late are those whose id the tail had passed",
    ),
    counter("hms_tail_listed_total", &[], "Records of full listings of a metastore sent to Kafka"),
    counter("hms_tail_repairs_total", &["reason"], "Full listings made because events were missing or ids began again"),
    counter(
        "hms_tail_failures_total",
        &["side"],
        "Times that the tail had to try again, by whether metastore or kafka failed",
    ),
    gauge("hms_tail_position", Unit::Count, &[], "Event id up to which everything is sent"),
    gauge("hms_tail_lag_events", Unit::Count, &[], "Event ids between the metastore's newest and the tail's position"),
    counter("process_cpu_seconds_total", &[], "User and system time of this process, in whole seconds")
        .of(Unit::Seconds),
    gauge("process_resident_memory_bytes", Unit::Bytes, &[], "Memory of this process that is in use"),
    gauge("process_open_fds", Unit::Count, &[], "Files and sockets that this process has open"),
    gauge("process_start_time_seconds", Unit::Seconds, &[], "When this process started, seconds since the epoch"),
    gauge("tributary_build_info", Unit::Count, &["version"], "Always 1; its label is the version that runs"),
];

impl Metric {
    const fn of(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }
}

/// The declaration of a name, also of the series a histogram is scraped as.
pub fn metric(scraped: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| match metric.kind {
        Kind::Counter | Kind::Gauge => metric.name == scraped,
        Kind::Histogram(_) => {
            let suffix = scraped.strip_prefix(metric.name);
            suffix.is_some_and(|suffix| matches!(suffix, "_bucket" | "_sum" | "_count"))
        }
    })
}
