//! A dataset and its statistics as one document.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tantivy::TantivyDocument;
use tantivy::schema::Value;
use tantivy::tokenizer::TokenizerManager;

use super::SearchError;
use super::fields::Fields;
use super::rank;
use super::tokenize::{PLAIN, terms};
use crate::model::record::{DatasetRecord, DatasetStatsRecord};

/// What the index knows of one dataset. Statistics may come before the dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Indexed {
    /// The dataset.
    pub dataset: Option<DatasetRecord>,
    /// Its statistics.
    pub stats: Option<DatasetStatsRecord>,
}

/// Most bytes of properties that are searched.
const MAX_PROPERTY_BYTES: usize = 8 << 10;

/// The document of `id`.
pub(super) fn build(
    fields: &Fields,
    tokenizers: &TokenizerManager,
    id: &str,
    indexed: &Indexed,
) -> Result<TantivyDocument, SearchError> {
    let mut document = TantivyDocument::default();
    document.add_text(fields.id, id);
    document.add_u64(fields.tie, tie(id));
    let source = serde_json::to_vec(indexed).expect("records have no failing serializers");
    document.add_bytes(fields.source, &source);
    let Some(record) = &indexed.dataset else {
        document.add_text(fields.existence, "unknown");
        document.add_f64(fields.weight, 0.0);
        return Ok(document);
    };
    // A schema called `backups` says as much as a table called `x_backup`.
    let container = record.container.as_deref().unwrap_or_default();
    let mut name_words = terms(tokenizers, PLAIN, &record.name);
    name_words.extend(terms(tokenizers, PLAIN, last_segment(container)));
    let mut tag_words: Vec<String> = Vec::new();

    document.add_text(fields.name, &record.name);
    document.add_text(fields.name_plain, &record.name);
    for whole in whole_names(record, container) {
        document.add_text(fields.name_whole, &whole);
        document.add_text(fields.name_whole, terms(tokenizers, PLAIN, &whole).concat());
    }
    for name in &record.names {
        let spelled = name.split_once('|').map_or(name.as_str(), |(_, name)| name);
        document.add_text(fields.aliases, spelled);
        document.add_text(fields.name_whole, spelled);
    }
    for alias in &record.aliases {
        document.add_text(fields.aliases, last_segment(alias));
        document.add_text(fields.name_whole, alias);
        document.add_text(fields.name_whole, last_segment(alias));
    }
    for column in &record.columns {
        document.add_text(fields.columns, &column.path);
        document.add_text(fields.columns_whole, &column.path);
        if let Some(description) = &column.description {
            document.add_text(fields.column_docs, description);
        }
    }
    if let Some(description) = &record.description {
        document.add_text(fields.description, description);
    }
    for tag in &record.tags {
        tag_words.extend(terms(tokenizers, PLAIN, &tag.key));
        document.add_text(fields.tag_words, &tag.key);
        document.add_text(fields.tag_words, &tag.value);
        document.add_text(fields.tag, &tag.key);
        if !tag.value.is_empty() {
            document.add_text(fields.tag, format!("{}={}", tag.key, tag.value));
        }
    }
    for owner in &record.owners {
        document.add_text(fields.owner, &owner.name);
        document.add_text(fields.context, &owner.name);
    }
    document.add_text(fields.context, last_segment(container));
    document.add_text(fields.context, &record.platform);
    document.add_text(fields.context, &record.kind);
    let mut left = MAX_PROPERTY_BYTES;
    for (name, value) in &record.properties {
        left = left.saturating_sub(name.len() + value.len());
        if left == 0 {
            break;
        }
        document.add_text(fields.properties, name);
        document.add_text(fields.properties, value);
    }
    document.add_text(fields.platform, &record.platform);
    document.add_text(fields.kind, &record.kind);
    document.add_text(fields.existence, &record.existence);
    if !container.is_empty() {
        document.add_text(fields.container, container);
        document.add_text(fields.container_name, last_segment(container));
    }
    for format in [&record.format, &record.table_format].into_iter().flatten().filter(|format| !format.is_empty()) {
        document.add_text(fields.format, format);
    }
    let weight = rank::weight(record, indexed.stats.as_ref(), &name_words, &tag_words);
    document.add_f64(fields.weight, weight);
    Ok(document)
}

/// The records of a stored document.
pub(super) fn read(fields: &Fields, document: &TantivyDocument) -> Result<Indexed, SearchError> {
    let source = document.get_first(fields.source).and_then(|value| value.as_bytes()).ok_or(SearchError::Damaged)?;
    serde_json::from_slice(source).map_err(|_| SearchError::Damaged)
}

/// Name, container.name and id: what people type or paste when they know what they want.
fn whole_names(record: &DatasetRecord, container: &str) -> Vec<String> {
    let mut names = vec![record.name.clone(), record.id.clone(), last_segment(&record.id).to_owned()];
    if !container.is_empty() {
        names.push(format!("{}.{}", last_segment(container), last_segment(&record.id)));
        names.push(format!("{}.{}", last_segment(container), record.name));
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// What follows the last slash of an id.
pub(super) fn last_segment(id: &str) -> &str {
    id.trim_end_matches('/').rsplit('/').next().unwrap_or(id)
}

fn tie(id: &str) -> u64 {
    let digest = Sha256::digest(id.as_bytes());
    digest.iter().take(8).fold(0, |tie, byte| tie << 8 | u64::from(*byte))
}
