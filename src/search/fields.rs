//! The fields of the index.

use tantivy::Index;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions,
};

use super::tokenize::{PLAIN, WHOLE, WORDS};

/// Raised when fields or tokenizers change: an index of another format is thrown away and filled again.
pub(super) const FORMAT: u32 = 1;

/// Handles of the fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    /// Dataset id; the key of documents.
    pub(super) id: Field,
    /// Name in words.
    pub(super) name: Field,
    /// Name in words without stems.
    pub(super) name_plain: Field,
    /// Whole names: name, container.name, id, each also without separators.
    pub(super) name_whole: Field,
    /// Former and other names, in words.
    pub(super) aliases: Field,
    /// Column names, in words.
    pub(super) columns: Field,
    /// Whole column names.
    pub(super) columns_whole: Field,
    /// Descriptions of columns.
    pub(super) column_docs: Field,
    /// Description.
    pub(super) description: Field,
    /// Tags, in words.
    pub(super) tag_words: Field,
    /// Container, platform, kind, owners, in words.
    pub(super) context: Field,
    /// Property values, in words.
    pub(super) properties: Field,
    /// Filters and facets.
    pub(super) platform: Field,
    pub(super) kind: Field,
    pub(super) existence: Field,
    pub(super) container: Field,
    pub(super) container_name: Field,
    pub(super) tag: Field,
    pub(super) owner: Field,
    pub(super) format: Field,
    /// Static weight of the document, see [`super::rank`].
    pub(super) weight: Field,
    /// Breaks ties the same way everywhere.
    pub(super) tie: Field,
    /// The record and statistics that the document was made of.
    pub(super) source: Field,
}

/// The filter and facet fields by the names they have in the index.
pub(super) const FACETS: [&str; 6] = ["platform", "kind", "container", "tag", "owner", "format"];

pub(super) fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let text = |tokenizer: &str, record| {
        TextOptions::default()
            .set_indexing_options(TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(record))
    };
    let words = || text(WORDS, IndexRecordOption::WithFreqsAndPositions);
    let whole = || text(WHOLE, IndexRecordOption::Basic).set_fast(WHOLE);
    let fields = Fields {
        id: builder.add_text_field("id", STRING | STORED | FAST),
        name: builder.add_text_field("name", words()),
        name_plain: builder.add_text_field("name_plain", text(PLAIN, IndexRecordOption::Basic)),
        name_whole: builder.add_text_field("name_whole", text(WHOLE, IndexRecordOption::Basic)),
        aliases: builder.add_text_field("aliases", words()),
        columns: builder.add_text_field("columns", words()),
        columns_whole: builder.add_text_field("columns_whole", text(WHOLE, IndexRecordOption::Basic)),
        column_docs: builder.add_text_field("column_docs", words()),
        description: builder.add_text_field("description", words()),
        tag_words: builder.add_text_field("tag_words", words()),
        context: builder.add_text_field("context", words()),
        properties: builder.add_text_field("properties", words()),
        platform: builder.add_text_field("platform", whole()),
        kind: builder.add_text_field("kind", whole()),
        existence: builder.add_text_field("existence", whole()),
        container: builder.add_text_field("container", STRING | FAST),
        container_name: builder.add_text_field("container_name", text(WHOLE, IndexRecordOption::Basic)),
        tag: builder.add_text_field("tag", whole()),
        owner: builder.add_text_field("owner", whole()),
        format: builder.add_text_field("format", whole()),
        weight: builder.add_f64_field("weight", FAST),
        tie: builder.add_u64_field("tie", FAST | INDEXED),
        source: builder.add_bytes_field("source", STORED),
    };
    (builder.build(), fields)
}

/// Makes the tokenizers known to an index.
pub(super) fn prepare(index: &Index) {
    super::tokenize::register(index.tokenizers());
    super::tokenize::register(index.fast_field_tokenizer());
}
