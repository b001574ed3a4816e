//! Questions: words to ranked datasets, with facets and highlights.

use std::collections::BTreeMap;

use tantivy::collector::{Count, TopDocs};
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery, FuzzyTermQuery, Occur,
    PhraseQuery, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption, Value};
use tantivy::snippet::SnippetGenerator;
use tantivy::{DocAddress, DocId, Index, IndexReader, Score, SegmentReader, TantivyDocument, Term};

use super::SearchError;
use super::document;
use super::facets::FacetCollector;
use super::fields::Fields;
use super::tokenize::{PLAIN, WHOLE, WORDS, terms};
use crate::model::record::DatasetRecord;

/// Most words of a question that count.
const MAX_TERMS: usize = 24;
/// Most values of a facet.
const MAX_FACET_VALUES: usize = 50;
/// Longest highlighted piece of a description, in characters.
const SNIPPET_CHARS: usize = 200;
/// Most columns, tags or aliases in one highlight.
const MAX_HIGHLIGHTED: usize = 5;
/// Shortest word in which a typing error is looked for, and the shortest in which two are.
const FUZZY_FROM: usize = 4;
const FUZZY_TWO_FROM: usize = 8;

/// Words by which people ask and which say nothing about what they look for. Dropped if others remain.
const FILLERS: [&str; 42] = [
    "a", "about", "all", "an", "and", "any", "are", "by", "can", "contain", "contains", "data", "dataset", "datasets",
    "do", "does", "find", "for", "from", "get", "has", "have", "how", "i", "in", "is", "it", "list", "me", "of", "on",
    "show", "table", "tables", "the", "to", "we", "what", "where", "which", "who", "with",
];

/// What a filter looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FilterField {
    /// Platform.
    Platform,
    /// table, view, ….
    Kind,
    /// confirmed, dropped, referenced, virtual, ignored. Without it the first two are found.
    Existence,
    /// Container's id, or its last segment.
    Container,
    /// Tag's key, or `key=value`.
    Tag,
    /// Owner's name.
    Owner,
    /// Storage or table format.
    Format,
}

/// A condition. Those on one field are alternatives; all fields must hold. Letters' case does not count, except in
/// container ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// What it looks at.
    pub field: FilterField,
    /// What it must be.
    pub value: String,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchRequest {
    /// Words; empty finds everything that passes the filters.
    pub text: String,
    /// Conditions.
    pub filters: Vec<Filter>,
    /// Results wanted; 0 gives only counts.
    pub limit: usize,
    /// Results to skip.
    pub offset: usize,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Matching datasets in all.
    pub total: usize,
    /// The page asked for, best first; equal ones in a fixed order.
    pub hits: Vec<Hit>,
    /// platform, kind, container, tag, owner, format → (value, datasets), most first.
    pub facets: BTreeMap<String, Vec<(String, u64)>>,
}

/// A dataset found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Its id.
    pub id: String,
    /// Comparable within one answer.
    pub score: f64,
    /// name, description, columns, tags, aliases → HTML-escaped text with `<em>` around what matched.
    pub highlights: BTreeMap<String, String>,
}

/// Searches what is committed. Cheap to clone; blocks, so call it off the runtime's threads.
#[derive(Clone)]
pub struct Searcher {
    index: Index,
    reader: IndexReader,
    fields: Fields,
}

impl Searcher {
    pub(super) fn new(index: Index, reader: IndexReader, fields: Fields) -> Self {
        Self { index, reader, fields }
    }

    /// How many datasets are committed, found or not.
    pub fn len(&self) -> u64 {
        self.reader.searcher().num_docs()
    }

    /// Whether nothing is committed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Answers a question.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn search(&self, request: &SearchRequest) -> Result<Found, SearchError> {
        let searcher = self.reader.searcher();
        let words = self.words(&searcher, &request.text)?;
        let query = self.filtered(words.query, &request.filters);
        let page = TopDocs::with_limit(request.limit.max(1)).and_offset(request.offset).tweak_score(
            |segment: &SegmentReader| {
                let weight = segment.fast_fields().f64("weight").ok();
                let tie = segment.fast_fields().u64("tie").ok();
                move |doc: DocId, score: Score| {
                    let weight = weight.as_ref().and_then(|column| column.first(doc)).unwrap_or_default();
                    let tie = tie.as_ref().and_then(|column| column.first(doc)).unwrap_or_default();
                    (f64::from(score) * weight, tie)
                }
            },
        );
        let (top, total, counts) = searcher.search(&query, &(page, Count, FacetCollector))?;
        let mut hits = Vec::with_capacity(top.len());
        if request.limit > 0 {
            let highlighter = Highlighter::new(&searcher, &*query, &self.fields)?;
            for ((score, _), address) in top {
                hits.push(self.hit(&searcher, &highlighter, score, address)?);
            }
        }
        let facets = counts.into_iter().map(|(field, values)| {
            let mut values: Vec<(String, u64)> = values.into_iter().collect();
            values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            values.truncate(MAX_FACET_VALUES);
            (field.to_owned(), values)
        });
        Ok(Found { total, hits, facets: facets.collect() })
    }

    fn hit(
        &self,
        searcher: &tantivy::Searcher,
        highlighter: &Highlighter,
        score: f64,
        address: DocAddress,
    ) -> Result<Hit, SearchError> {
        let stored: TantivyDocument = searcher.doc(address)?;
        let id = stored.get_first(self.fields.id).and_then(|value| value.as_str()).ok_or(SearchError::Damaged)?;
        let record = document::read(&self.fields, &stored)?.dataset.ok_or(SearchError::Damaged)?;
        Ok(Hit { id: id.to_owned(), score, highlights: highlighter.highlight(&record) })
    }

    /// The question's words as a scoring query.
    fn words(&self, searcher: &tantivy::Searcher, text: &str) -> Result<Words, SearchError> {
        let tokenizers = self.index.tokenizers();
        let mut pairs: Vec<(String, String)> =
            terms(tokenizers, WORDS, text).into_iter().zip(terms(tokenizers, PLAIN, text)).collect();
        pairs.truncate(MAX_TERMS);
        if pairs.iter().any(|(_, plain)| !FILLERS.contains(&plain.as_str())) {
            pairs.retain(|(_, plain)| !FILLERS.contains(&plain.as_str()));
        }
        if pairs.is_empty() {
            let query: Box<dyn Query> = if text.trim().is_empty() { Box::new(AllQuery) } else { Box::new(EmptyQuery) };
            return Ok(Words { query });
        }
        let unfinished = !text.ends_with(char::is_whitespace);
        let last = pairs.len() - 1;
        let mut each: Vec<Box<dyn Query>> = Vec::with_capacity(pairs.len());
        for (place, (stem, plain)) in pairs.iter().enumerate() {
            each.push(self.word(searcher, stem, plain, unfinished && place == last)?);
        }
        let mut clauses: Vec<(Occur, Box<dyn Query>)> =
            each.iter().map(|query| (Occur::Should, query.box_clone())).collect();
        if pairs.len() > 1 {
            clauses.push((Occur::Should, scored(Box::new(BooleanQuery::intersection(each)), 12.0)));
            let stems: Vec<Term> =
                pairs.iter().map(|(stem, _)| Term::from_field_text(self.fields.name, stem)).collect();
            clauses.push((Occur::Should, boosted(Box::new(PhraseQuery::new(stems.clone())), 3.0)));
            clauses.push((Occur::Should, self.all_in(self.fields.name, &pairs, 10.0)));
            clauses.push((Occur::Should, self.all_in(self.fields.description, &pairs, 12.0)));
        }
        let whole = terms(tokenizers, WHOLE, text.trim()).concat();
        let joined = pairs.iter().map(|(_, plain)| plain.as_str()).collect::<String>();
        for (value, score) in [(whole.as_str(), 40.0), (joined.as_str(), 30.0)] {
            clauses.push((Occur::Should, scored(self.term(self.fields.name_whole, value), score)));
        }
        // A single word that is also a column's name is more often meant as a subject.
        let column_score = if pairs.len() > 1 { 32.0 } else { 14.0 };
        clauses.push((Occur::Should, scored(self.term(self.fields.columns_whole, &whole), column_score)));
        Ok(Words { query: Box::new(BooleanQuery::new(clauses)) })
    }

    /// One word in all fields; the best field counts, others add a little.
    fn word(
        &self,
        searcher: &tantivy::Searcher,
        stem: &str,
        plain: &str,
        unfinished: bool,
    ) -> Result<Box<dyn Query>, SearchError> {
        let f = &self.fields;
        let boosts = [
            (f.name, 5.0),
            (f.aliases, 3.0),
            (f.tag_words, 2.0),
            (f.columns, 1.6),
            (f.description, 1.8),
            (f.context, 1.2),
            (f.column_docs, 0.8),
            (f.properties, 0.5),
        ];
        let mut ways: Vec<Box<dyn Query>> = Vec::with_capacity(boosts.len() + 2);
        let mut known = false;
        for (field, boost) in boosts {
            let term = Term::from_field_text(field, stem);
            if searcher.doc_freq(&term)? > 0 {
                known = true;
                ways.push(boosted(Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)), boost));
            }
        }
        if unfinished && plain.chars().count() >= 2 {
            let prefix = FuzzyTermQuery::new_prefix(Term::from_field_text(f.name_plain, plain), 0, true);
            ways.push(scored(Box::new(prefix), 9.0));
        }
        let letters = plain.chars().count();
        if !known && letters >= FUZZY_FROM {
            for (field, one, two) in [(f.name_plain, 16.0, 8.0), (f.columns, 6.0, 3.0), (f.description, 5.0, 2.0)] {
                let word = if field == f.name_plain { plain } else { stem };
                let near = |distance| FuzzyTermQuery::new(Term::from_field_text(field, word), distance, true);
                ways.push(scored(Box::new(near(1)), one));
                if letters >= FUZZY_TWO_FROM {
                    ways.push(scored(Box::new(near(2)), two));
                }
            }
        }
        Ok(Box::new(DisjunctionMaxQuery::with_tie_breaker(ways, 0.15)))
    }

    fn all_in(&self, field: Field, pairs: &[(String, String)], score: f32) -> Box<dyn Query> {
        let each = pairs.iter().map(|(stem, _)| self.term(field, stem)).collect();
        scored(Box::new(BooleanQuery::intersection(each)), score)
    }

    fn term(&self, field: Field, text: &str) -> Box<dyn Query> {
        Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic))
    }

    /// The query under the filters, and under the default existence if they do not speak of it.
    fn filtered(&self, words: Box<dyn Query>, filters: &[Filter]) -> Box<dyn Query> {
        let mut by_field: BTreeMap<FilterField, Vec<Box<dyn Query>>> = BTreeMap::new();
        for filter in filters {
            by_field.entry(filter.field).or_default().extend(self.condition(filter));
        }
        by_field.entry(FilterField::Existence).or_insert_with(|| {
            ["confirmed", "dropped"].map(|state| self.term(self.fields.existence, state)).into_iter().collect()
        });
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = vec![(Occur::Must, words)];
        for alternatives in by_field.into_values() {
            clauses.push((Occur::Must, scored(Box::new(BooleanQuery::union(alternatives)), 0.0)));
        }
        Box::new(BooleanQuery::new(clauses))
    }

    fn condition(&self, filter: &Filter) -> Vec<Box<dyn Query>> {
        let folded = terms(self.index.tokenizers(), WHOLE, &filter.value).concat();
        let f = &self.fields;
        match filter.field {
            FilterField::Platform => vec![self.term(f.platform, &folded)],
            FilterField::Kind => vec![self.term(f.kind, &folded)],
            FilterField::Existence => vec![self.term(f.existence, &folded)],
            FilterField::Container => {
                vec![self.term(f.container, &filter.value), self.term(f.container_name, &folded)]
            }
            FilterField::Tag => vec![self.term(f.tag, &folded)],
            FilterField::Owner => vec![self.term(f.owner, &folded)],
            FilterField::Format => vec![self.term(f.format, &folded)],
        }
    }
}

struct Words {
    query: Box<dyn Query>,
}

fn boosted(query: Box<dyn Query>, boost: f32) -> Box<dyn Query> {
    Box::new(BoostQuery::new(query, boost))
}

fn scored(query: Box<dyn Query>, score: f32) -> Box<dyn Query> {
    Box::new(ConstScoreQuery::new(query, score))
}

/// Marks what matched.
struct Highlighter {
    name: SnippetGenerator,
    description: SnippetGenerator,
    columns: SnippetGenerator,
    tags: SnippetGenerator,
    aliases: SnippetGenerator,
}

impl Highlighter {
    fn new(searcher: &tantivy::Searcher, query: &dyn Query, fields: &Fields) -> Result<Self, SearchError> {
        let generator = |field| -> Result<SnippetGenerator, SearchError> {
            let mut generator = SnippetGenerator::create(searcher, query, field)?;
            generator.set_max_num_chars(SNIPPET_CHARS);
            Ok(generator)
        };
        Ok(Self {
            name: generator(fields.name)?,
            description: generator(fields.description)?,
            columns: generator(fields.columns)?,
            tags: generator(fields.tag_words)?,
            aliases: generator(fields.aliases)?,
        })
    }

    fn highlight(&self, record: &DatasetRecord) -> BTreeMap<String, String> {
        let aliases = record.aliases.iter().map(|alias| document::last_segment(alias));
        let found = [
            ("name", marked(&self.name, [record.name.as_str()])),
            ("description", marked(&self.description, record.description.as_deref())),
            ("columns", marked(&self.columns, record.columns.iter().map(|column| column.path.as_str()))),
            ("tags", marked(&self.tags, record.tags.iter().map(|tag| tag.key.as_str()))),
            ("aliases", marked(&self.aliases, aliases)),
        ];
        found.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.to_owned(), text)).collect()
    }
}

fn marked<'t>(generator: &SnippetGenerator, texts: impl IntoIterator<Item = &'t str>) -> String {
    let pieces: Vec<String> = texts
        .into_iter()
        .filter_map(|text| {
            let mut snippet = generator.snippet(text);
            snippet.set_snippet_prefix_postfix("<em>", "</em>");
            (!snippet.highlighted().is_empty()).then(|| snippet.to_html())
        })
        .take(MAX_HIGHLIGHTED)
        .collect();
    pieces.join(", ")
}
