//! The Avro schemas of our topics, embedded from `schemas/`. Knows the files and nothing of records.

use std::sync::LazyLock;

use apache_avro::Schema;

use crate::model::record::CatalogTopic;

/// A subject of ours with its versions, oldest first, as text.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The topic whose values it describes.
    pub topic: &'static str,
    /// `<topic>-value`.
    pub name: &'static str,
    /// The schema texts in the order in which they must be registered. The last one is written and read.
    pub versions: &'static [&'static str],
}

impl Subject {
    /// The schema that this program writes and resolves to.
    pub fn current(&self) -> &'static str {
        self.versions.last().copied().unwrap_or_default()
    }
}

macro_rules! subjects {
    ($($topic:literal => [$($version:literal),+],)+) => {
        /// All subjects that `topology apply` registers, sorted by name.
        pub const SUBJECTS: &[Subject] = &[$(Subject {
            topic: $topic,
            name: concat!($topic, "-value"),
            versions: &[$(include_str!(concat!("../../../schemas/", $topic, "-value/", $version, ".avsc"))),+],
        },)+];
    };
}

subjects! {
    "catalog.aliases" => ["v1"],
    "catalog.changes" => ["v1"],
    "catalog.column-lineage" => ["v1", "v2"],
    "catalog.containers" => ["v1"],
    "catalog.dataset-stats" => ["v1"],
    "catalog.datasets" => ["v1"],
    "catalog.facts" => ["v1"],
    "catalog.functions" => ["v1"],
    "catalog.jobs" => ["v1"],
    "catalog.lineage" => ["v1"],
    "catalog.partitions" => ["v1", "v2"],
    "catalog.quality" => ["v1"],
    "catalog.queries" => ["v1"],
    "catalog.runs" => ["v1"],
    "catalog.schemas" => ["v1"],
    "catalog.statements" => ["v1"],
    "catalog.usage" => ["v1"],
    "hms.notifications" => ["v1"],
    "openlineage.events" => ["v1"],
}

/// The subject of a topic's values, if the topic is one of ours.
pub fn subject_of(topic: &str) -> Option<&'static Subject> {
    SUBJECTS.iter().find(|subject| subject.topic == topic)
}

/// A parsed schema of ours with what decoding asks of it.
pub(super) struct Own {
    pub(super) schema: Schema,
    pub(super) canonical: String,
}

static PARSED: LazyLock<Vec<Own>> = LazyLock::new(|| {
    SUBJECTS
        .iter()
        .map(|subject| {
            let schema = Schema::parse_str(subject.current()).expect("embedded schemas are parsed by a test");
            let canonical = schema.canonical_form();
            Own { schema, canonical }
        })
        .collect()
});

/// The parsed current schema of a topic of ours.
pub(super) fn own(topic: &str) -> Option<&'static Own> {
    let place = SUBJECTS.iter().position(|subject| subject.topic == topic)?;
    PARSED.get(place)
}

/// The parsed current schema of a catalog topic.
pub(super) fn own_catalog(topic: CatalogTopic) -> &'static Own {
    own(topic.name()).expect("every catalog topic has a subject, see the test")
}
