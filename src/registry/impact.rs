//! What a change of a schema does to those who use the data: the port to column lineage, what it is asked and answers,
//! and how the answer is told. Knows subjects and fields; where lineage comes from is the port's business.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use super::types::{Config, Content, Subject};
use crate::schema::{ChangedField, FieldChange};

/// The metadata property that names the dataset of a subject's records, by any spelling of its id.
pub const DATASET_PROPERTY: &str = "tributary.dataset";
/// The kind of the messages about lineage.
const MESSAGE_KIND: &str = "LINEAGE_IMPACT";
/// Most messages about lineage in one answer.
pub const MAX_MESSAGES: usize = 50;
/// Most changes that an answer lists.
pub const MAX_CHANGES: usize = 1_000;
/// Most owners that one message names.
const MAX_OWNERS: usize = 10;

/// What is asked of lineage about a new schema.
#[derive(Debug, Clone, PartialEq)]
pub struct LineageQuestion {
    /// The version that it was compared with.
    pub version: i32,
    /// Datasets that the subject is linked to by name. All of them must be known.
    pub datasets: Vec<String>,
    /// Without such: topics that it may be the schema of, the likeliest first. The first that is known counts.
    pub topics: Vec<String>,
    /// What becomes of the old version's fields; at least one.
    pub changes: Vec<ChangedField>,
}

/// What lineage answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    /// Datasets that were found for the subject; none where no lineage knows it.
    pub datasets: Vec<String>,
    /// The changed fields that something is made of, in the order asked.
    pub columns: Vec<ColumnReach>,
    /// Whether a limit has left something out.
    pub truncated: bool,
}

/// What is made of a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnReach {
    /// The field's path.
    pub column: String,
    /// The nearest first.
    pub affected: Vec<Affected>,
}

/// A column, or a dataset as a whole, that is made of a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Affected {
    /// Id of the dataset.
    pub dataset: String,
    /// The column; absent where the whole dataset depends on the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Ids of the jobs on the way.
    pub jobs: Vec<String>,
    /// Owners of the dataset and of the jobs that write it.
    pub owners: Vec<String>,
    /// A shortest way from the field to the column, both included.
    pub path: Vec<Step>,
}

/// A place on the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Id of the dataset.
    pub dataset: String,
    /// The column; absent where it is the whole dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Ids of the jobs that lead here from the place before; none for the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
}

impl Step {
    fn text(&self) -> String {
        place(&self.dataset, self.column.as_deref())
    }
}

fn place(dataset: &str, column: Option<&str>) -> String {
    column.map_or_else(|| dataset.to_owned(), |column| format!("{dataset}#{column}"))
}

/// Why lineage does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LineageError(pub String);

/// An answer to come.
pub type LineageFuture<'a> = Pin<Box<dyn Future<Output = Result<Reach, LineageError>> + Send + 'a>>;

/// Where column lineage comes from.
pub trait LineageSource: Send + Sync {
    /// What is made of the changed fields.
    fn reach<'a>(&'a self, question: &'a LineageQuestion) -> LineageFuture<'a>;
}

/// A question in the JSON in which a catalog's API is asked. `clusters` are where topics are looked for first.
pub fn request(question: &LineageQuestion, clusters: &[String]) -> serde_json::Value {
    let columns: Vec<&str> = question.changes.iter().map(|changed| changed.path.as_str()).collect();
    serde_json::json!({
        "datasets": question.datasets,
        "topics": question.topics,
        "clusters": clusters,
        "columns": columns,
    })
}

/// A question with its answer. It speaks for a registration only as long as the registration leads to this very question.
#[derive(Debug, Clone, PartialEq)]
pub struct LineageFinding {
    /// What was asked.
    pub question: LineageQuestion,
    /// What was answered.
    pub reach: Reach,
}

/// The datasets that the parts of a subject's contract name.
pub(super) fn links(new: &Content, old: &Content, config: &Config) -> Vec<String> {
    let configured = [&config.override_metadata, &config.default_metadata].map(Option::as_ref);
    // What the old version said counts as well: whoever breaks a link breaks what hangs on it.
    let all = [&new.metadata, &old.metadata].map(Option::as_deref).into_iter().chain(configured).flatten();
    let mut links: Vec<String> = Vec::new();
    for link in all.filter_map(|metadata| metadata.properties.get(DATASET_PROPERTY)) {
        let link = link.trim();
        if !link.is_empty() && links.iter().all(|known| known != link) {
            links.push(link.to_owned());
        }
    }
    links
}

/// The topics whose records may have the schemas of a subject, by the ways in which serializers name subjects: by topic,
/// by topic and record, and by nothing but the topic's own name. Of a record's name alone no topic follows.
pub(super) fn topics(subject: &Subject, records: &[Option<&str>]) -> Vec<String> {
    let name = subject.name();
    let by_topic = ["-value", "-key"].into_iter().filter_map(|suffix| name.strip_suffix(suffix));
    let records = records.iter().flatten();
    let by_record = records.filter_map(|record| name.strip_suffix(*record).and_then(|rest| rest.strip_suffix('-')));
    let mut topics: Vec<String> = Vec::new();
    for topic in by_topic.chain(by_record).chain([name]) {
        if !topic.is_empty() && topics.iter().all(|known| known != topic) {
            topics.push(topic.to_owned());
        }
    }
    topics
}

/// The answer in the form that messages about compatibility have; none where nothing is reached.
pub fn messages(question: &LineageQuestion, reach: &Reach) -> Vec<String> {
    let changes = by_path(question);
    let mut messages = Vec::new();
    let mut more = 0;
    for column in &reach.columns {
        let change = changes.get(column.column.as_str()).map(|changed| changed_words(&changed.change));
        let change = change.unwrap_or_default();
        for affected in &column.affected {
            if messages.len() == MAX_MESSAGES {
                more += 1;
                continue;
            }
            let description = format!(
                "The field '{}' of the old schema {change} in the new schema, and {} is made of it",
                column.column,
                place(&affected.dataset, affected.column.as_deref()),
            );
            let additional = format!("{}; path: {}", owned_by(&affected.owners), way(&affected.path));
            messages.push(format!(
                "{{errorType:'{MESSAGE_KIND}', description:'{description}', additionalInfo:'{additional}'}}"
            ));
        }
    }
    if more > 0 || reach.truncated && !messages.is_empty() {
        let number = if reach.truncated { "further".to_owned() } else { more.to_string() };
        messages
            .push(format!("{{errorType:'{MESSAGE_KIND}', description:'{number} columns are made of changed fields'}}"));
    }
    messages
}

fn changed_words(change: &FieldChange) -> String {
    match change {
        FieldChange::Removed => "is removed".to_owned(),
        FieldChange::Renamed { to } => format!("is renamed to '{to}'"),
        FieldChange::Retyped { from, to } => format!("is retyped from {from} to {to}"),
    }
}

fn owned_by(owners: &[String]) -> String {
    let named = owners.iter().take(MAX_OWNERS).map(String::as_str).collect::<Vec<_>>().join(", ");
    match owners.len() {
        0 => "no owner is known".to_owned(),
        count if count > MAX_OWNERS => format!("owners: {named} and {} more", count - MAX_OWNERS),
        _ => format!("owners: {named}"),
    }
}

/// The way in one line.
pub fn way(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        if !step.jobs.is_empty() {
            // Writing to a text cannot fail.
            let _ = write!(text, " -> [{}] -> ", step.jobs.join(", "));
        }
        text.push_str(&step.text());
    }
    text
}

fn by_path(question: &LineageQuestion) -> HashMap<&str, &ChangedField> {
    question.changes.iter().map(|changed| (changed.path.as_str(), changed)).collect()
}

/// The answer as a part of the answer to a compatibility check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Impact {
    /// Whether lineage was asked and answered, where there was something to ask.
    pub checked: bool,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The version that was compared with; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// Datasets that were found for the subject.
    #[serde(default)]
    pub datasets: Vec<String>,
    /// The fields that changed.
    #[serde(default)]
    pub changes: Vec<FieldImpact>,
    /// Whether a limit has left something out.
    #[serde(default)]
    pub truncated: bool,
}

/// A field that changed, and what is made of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldImpact {
    /// The field's path in the old version.
    pub column: String,
    /// `removed`, `renamed` or `retyped`.
    pub change: String,
    /// The old type, where that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The new name or type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What is made of it.
    #[serde(default)]
    pub affected: Vec<Affected>,
}

/// Whether a message is one of [`messages`].
pub fn is_about_lineage(message: &str) -> bool {
    message.starts_with(&format!("{{errorType:'{MESSAGE_KIND}'"))
}

impl Impact {
    /// Where there is nothing to compare with.
    pub fn nothing() -> Self {
        Self::of(None, Ok(Reach::default()))
    }

    /// Of a question and its answer; none was asked where nothing changed that lineage could tell of.
    pub fn of(question: Option<&LineageQuestion>, answer: Result<Reach, LineageError>) -> Self {
        let (reach, reason) = match answer {
            Ok(reach) => (reach, None),
            Err(error) => (Reach::default(), Some(error.to_string())),
        };
        let mut affected: HashMap<String, Vec<Affected>> =
            reach.columns.into_iter().map(|column| (column.column, column.affected)).collect();
        let changes = question.map(|question| question.changes.as_slice()).unwrap_or_default();
        // Those that something is made of come first, lest the limit hide them.
        let (reaching, others): (Vec<_>, Vec<_>) =
            changes.iter().partition(|changed| affected.contains_key(&changed.path));
        let listed = reaching.into_iter().chain(others).take(MAX_CHANGES).map(|changed| {
            let (word, from, to) = match &changed.change {
                FieldChange::Removed => ("removed", None, None),
                FieldChange::Renamed { to } => ("renamed", None, Some(to.clone())),
                FieldChange::Retyped { from, to } => ("retyped", Some(from.clone()), Some(to.clone())),
            };
            let affected = affected.remove(&changed.path).unwrap_or_default();
            FieldImpact { column: changed.path.clone(), change: word.to_owned(), from, to, affected }
        });
        Self {
            checked: reason.is_none(),
            reason,
            version: question.map(|question| question.version),
            datasets: reach.datasets,
            changes: listed.collect(),
            truncated: reach.truncated || changes.len() > MAX_CHANGES,
        }
    }
}

#[cfg(test)]
mod tests;
