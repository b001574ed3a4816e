//! Counts of facet values over all matching documents, and documents by id.

use std::collections::BTreeMap;

use tantivy::collector::{Collector, SegmentCollector, TopDocs};
use tantivy::columnar::StrColumn;
use tantivy::query::TermQuery;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader, Term};

use super::fields::FACETS;

/// Field → value → documents.
pub(super) type Counts = BTreeMap<&'static str, BTreeMap<String, u64>>;

/// Counts every facet field.
pub(super) struct FacetCollector;

pub(super) struct SegmentCounts {
    columns: Vec<(&'static str, StrColumn, Vec<u64>)>,
}

impl Collector for FacetCollector {
    type Fruit = Counts;
    type Child = SegmentCounts;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<SegmentCounts> {
        let mut columns = Vec::with_capacity(FACETS.len());
        for field in FACETS {
            if let Some(column) = segment.fast_fields().str(field)? {
                let counts = vec![0; column.num_terms()];
                columns.push((field, column, counts));
            }
        }
        Ok(SegmentCounts { columns })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<tantivy::Result<Counts>>) -> tantivy::Result<Counts> {
        let mut merged = Counts::new();
        for segment in segments {
            for (field, counts) in segment? {
                let field = merged.entry(field).or_default();
                for (value, count) in counts {
                    *field.entry(value).or_default() += count;
                }
            }
        }
        Ok(merged)
    }
}

impl SegmentCollector for SegmentCounts {
    type Fruit = tantivy::Result<Counts>;

    fn collect(&mut self, doc: DocId, _: Score) {
        for (_, column, counts) in &mut self.columns {
            for ordinal in column.term_ords(doc) {
                if let Some(count) = usize::try_from(ordinal).ok().and_then(|ordinal| counts.get_mut(ordinal)) {
                    *count += 1;
                }
            }
        }
    }

    fn harvest(self) -> tantivy::Result<Counts> {
        let mut found = Counts::new();
        for (field, column, counts) in self.columns {
            let values = found.entry(field).or_default();
            for (ordinal, count) in (0..).zip(counts).filter(|(_, count)| *count > 0) {
                let mut value = String::new();
                if column.ord_to_str(ordinal, &mut value)? {
                    values.insert(value, count);
                }
            }
        }
        Ok(found)
    }
}

/// The document with an id.
pub(super) fn document_of(searcher: &tantivy::Searcher, field: Field, id: &str) -> tantivy::Result<Option<DocAddress>> {
    let query = TermQuery::new(Term::from_field_text(field, id), IndexRecordOption::Basic);
    let found = searcher.search(&query, &TopDocs::with_limit(1).order_by_score())?;
    Ok(found.first().map(|(_, address)| *address))
}
