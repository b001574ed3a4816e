//! Searching: the limits of a question, and hits dressed with what the store knows of them.

use super::error::CatalogError;
use super::filter::Filter;
use super::view::{FacetCount, SearchPage, SearchResult, time};
use crate::search::Found;
use crate::store::read::DatasetCard;

/// Most results on a page.
pub const MAX_LIMIT: usize = 100;

/// Deepest result that can be asked for.
pub const MAX_WINDOW: usize = 10_000;

/// Longest query, bytes.
const MAX_TEXT: usize = 1024;

/// A search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchQuery {
    /// Words; empty finds everything.
    pub text: String,
    /// Conditions.
    pub filters: Vec<Filter>,
    /// Results wanted, 1 to [`MAX_LIMIT`].
    pub limit: usize,
    /// Results to skip.
    pub offset: usize,
}

impl SearchQuery {
    /// Results on a page if the question does not say.
    pub const DEFAULT_LIMIT: usize = 20;

    pub(super) fn check(&self) -> Result<(), CatalogError> {
        check_limit(self.limit)?;
        if self.offset.saturating_add(self.limit) > MAX_WINDOW {
            let message =
                format!("offset {} and limit {} reach over {MAX_WINDOW}; narrow the search", self.offset, self.limit);
            return Err(CatalogError::invalid("offset", message));
        }
        if self.text.len() > MAX_TEXT {
            let message = format!("the query has {} bytes; at most {MAX_TEXT} are taken", self.text.len());
            return Err(CatalogError::invalid("q", message));
        }
        Ok(())
    }
}

/// Refuses a page of no or too many rows.
pub(super) fn check_limit(limit: usize) -> Result<(), CatalogError> {
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(());
    }
    Err(CatalogError::invalid("limit", format!("limit {limit} is not within 1 to {MAX_LIMIT}")))
}

/// The page; a hit without a card left the store since the index saw it, and is left out.
pub(super) fn page(query: SearchQuery, found: Found, cards: Vec<DatasetCard>) -> SearchPage {
    let results = found
        .hits
        .into_iter()
        .filter_map(|hit| {
            let card = cards.iter().find(|card| card.id == hit.id)?.clone();
            let mut tags: Vec<String> = card.tags.into_iter().map(|tag| tag.key).collect();
            tags.sort();
            tags.dedup();
            Some(SearchResult {
                dataset_id: card.id,
                name: card.name,
                kind: card.kind,
                platform: card.platform,
                container: card.container,
                existence: card.existence,
                description: card.description,
                owner: card.owners.into_iter().find(|owner| owner.role != "TECHNICAL").map(|owner| owner.name),
                tags,
                location: card.location,
                last_updated: Some(time(card.last_seen)),
                row_count: card.rows,
                size_bytes: card.bytes,
                file_count: card.files,
                column_count: card.columns.len(),
                relevance_score: hit.score,
                highlighted_fields: hit.highlights,
            })
        })
        .collect();
    // Facets bear the names that results have.
    let named = |field: String| match field.as_str() {
        "kind" => "type".to_owned(),
        "tag" => "tags".to_owned(),
        _ => field,
    };
    let count = |(value, count)| FacetCount { value, count };
    let facets =
        found.facets.into_iter().map(|(field, counts)| (named(field), counts.into_iter().map(count).collect()));
    SearchPage {
        query: query.text,
        total_results: found.total,
        total_count: found.total,
        results,
        facets: facets.collect(),
    }
}
