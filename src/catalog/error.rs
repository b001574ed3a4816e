//! Why the catalog gives no answer.

/// Why the catalog gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No dataset has this id, alias or former name.
    #[error("no dataset has the id '{id}'{}", hint(suggestions))]
    DatasetNotFound {
        /// As asked for.
        id: String,
        /// Ids that look alike, best first.
        suggestions: Vec<String>,
    },
    /// No job has this id.
    #[error("no job has the id '{id}'")]
    JobNotFound {
        /// As asked for.
        id: String,
    },
    /// No query has this id, or it has expired.
    #[error("no query has the id '{id}', or it has expired")]
    QueryNotFound {
        /// As asked for.
        id: String,
    },
    /// The dataset has no such column.
    #[error("the dataset '{dataset}' has no column '{column}'")]
    ColumnNotFound {
        /// The dataset's canonical id.
        dataset: String,
        /// As asked for.
        column: String,
        /// The columns it has.
        columns: Vec<String>,
    },
    /// The question cannot be answered as it stands.
    #[error("{message}")]
    Invalid {
        /// The parameter at fault.
        parameter: &'static str,
        /// What is wrong and what is right.
        message: String,
    },
    /// A store does not answer now.
    #[error("{component} does not answer")]
    Unavailable {
        /// `postgres`, `search` or `lineage`.
        component: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl CatalogError {
    /// A parameter that has to be changed.
    pub(super) fn invalid(parameter: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { parameter, message: message.into() }
    }
}

fn hint(suggestions: &[String]) -> String {
    suggestions.first().map(|first| format!("; did you mean '{first}'?")).unwrap_or_default()
}
