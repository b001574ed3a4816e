//! What an id and the reported spellings tell a reader: kind, display name, ignore patterns.

use std::collections::BTreeSet;

use crate::model::fact::{Aspect, Statement};
use crate::model::id::EntityId;

use super::view::View;

/// `topic` for Kafka, `table` where there are databases, else `path`: used where nobody says the kind.
pub(super) fn default_kind(id: &EntityId) -> &'static str {
    match id.platform() {
        "kafka" => "topic",
        _ if id.container().is_some() => "table",
        "openlineage" => "dataset",
        _ => "path",
    }
}

/// Every spelling that was reported, `namespace|name`.
pub(super) fn reported(view: &View<'_>) -> Vec<String> {
    let mut out = BTreeSet::new();
    for (_, _, _, value) in view.mentioned(Aspect::Name) {
        if let Statement::Name(name) = value.as_ref() {
            out.insert(format!("{}|{}", name.namespace, name.name));
        }
    }
    out.into_iter().collect()
}

/// The best source's spelling: a metastore's, else one that was reported of this very id, else what the id says.
pub(super) fn display(view: &View<'_>) -> String {
    let best = view
        .mentioned(Aspect::Name)
        .into_iter()
        .filter_map(|(source, mention, _, value)| match value.as_ref() {
            Statement::Name(name) => {
                let owner = source.family() == "hms" && mention.via.is_empty();
                Some(((!owner, !mention.via.is_empty(), &name.namespace, &name.name), &name.name))
            }
            _ => None,
        })
        .filter(|((_, forwarded, _, _), _)| !forwarded)
        .min();
    best.map_or_else(|| view.core.entity.display_name(), |(_, name)| name.clone())
}

/// Patterns of names that are not worth showing; `*` stands for any text inside a segment of the id.
#[derive(Clone, Debug)]
pub struct Patterns(Vec<String>);

impl Default for Patterns {
    fn default() -> Self {
        let defaults = ["_delta_log", "_temporary", "__dbt__cte__*", "*__dbt_tmp", "*__dbt_backup", "tmp_trino_*"];
        Self(defaults.map(str::to_owned).to_vec())
    }
}

impl Patterns {
    /// Patterns from the configuration.
    pub fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    /// Whether a segment of the id matches a pattern.
    pub fn matches(&self, id: &str) -> bool {
        let path = id.split_once("://").map_or(id, |(_, rest)| rest);
        path.split('/').skip(1).any(|segment| self.0.iter().any(|pattern| glob(pattern, segment)))
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or(""),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_segments() {
        let patterns = Patterns::default();
        for id in ["s3://b/t/_delta_log", "postgres://h:1/d/s/fct__dbt_tmp", "hive://h/d/__dbt__cte__x"] {
            assert!(patterns.matches(id), "{id}");
        }
        for id in ["s3://b/t/_delta_log2", "postgres://h:1/d/s/fct", "hive://_temporary/d/t"] {
            assert!(!patterns.matches(id), "{id}");
        }
    }
}
