//! What an unresolved name could mean, and the rewrite rule that would say so. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{Candidate, ProposedRule};

/// Candidates shown for one name.
const MAX_CANDIDATES: usize = 5;

/// A dataset as far as guessing needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: String,
    /// Names of top-level columns.
    pub(super) columns: Vec<String>,
}

/// An id's prefix (`scheme://authority`) and path segments.
fn split(id: &str) -> (&str, Vec<&str>) {
    let path_at = id.find("://").map_or(0, |scheme| scheme + 3);
    let (_, after_scheme) = id.split_at(path_at);
    match after_scheme.find('/') {
        Some(slash) => {
            let (prefix, path) = id.split_at(path_at + slash);
            (prefix, path.split('/').skip(1).collect())
        }
        None => (id, Vec::new()),
    }
}

/// The last segment of an id in lower case: what both sides of a rule have in common at least.
pub(super) fn last_segment(id: &str) -> Option<String> {
    let (_, segments) = split(id);
    segments.last().filter(|segment| !segment.is_empty()).map(|segment| segment.to_lowercase())
}

/// The datasets that `name` could be, best first.
pub(super) fn candidates(name: &Known, known: &[Known]) -> Vec<Candidate> {
    let lower = |columns: &[String]| columns.iter().map(|column| column.to_lowercase()).collect::<BTreeSet<_>>();
    let columns = lower(&name.columns);
    let mut found: Vec<_> = known
        .iter()
        .filter(|other| other.id != name.id)
        .filter_map(|other| {
            let equal_segments = equal_tail(&name.id, &other.id);
            let theirs = lower(&other.columns);
            let common_columns = columns.intersection(&theirs).count();
            let columns_agree = !columns.is_empty() && common_columns == columns.len();
            // With columns on both sides that contradict, an equal name is chance.
            let contradiction = !columns.is_empty() && !theirs.is_empty() && common_columns == 0;
            (equal_segments > 0 && !contradiction).then(|| {
                let by_name = equal_segments >= 2 && (columns.is_empty() || columns_agree);
                let by_columns = columns_agree && columns.len() >= 2;
                let rule = (by_name || by_columns).then(|| rule(&name.id, &other.id, equal_segments)).flatten();
                Candidate {
                    dataset_id: other.id.clone(),
                    equal_segments,
                    common_columns,
                    columns_agree,
                    rule: rule.map(|(from, to)| format!("{from} -> {to}")),
                }
            })
        })
        .collect();
    found.sort_by(|a, b| {
        let rank = |c: &Candidate| (c.rule.is_none(), std::cmp::Reverse((c.equal_segments, c.common_columns)));
        rank(a).cmp(&rank(b)).then_with(|| a.dataset_id.cmp(&b.dataset_id))
    });
    found.truncate(MAX_CANDIDATES);
    found
}

/// How many last segments are equal, in any case of letters.
fn equal_tail(a: &str, b: &str) -> usize {
    let (_, a) = split(a);
    let (_, b) = split(b);
    a.iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(a, b)| !a.is_empty() && a.to_lowercase() == b.to_lowercase())
        .count()
}

/// The canonical prefixes in front of the equal segments, or nothing if they are the same or a rule would be too wide.
fn rule(from: &str, to: &str, equal: usize) -> Option<(String, String)> {
    let prefix = |id: &str| {
        let (authority, segments) = split(id);
        let kept = segments.len().checked_sub(equal)?;
        let path: String = segments.iter().take(kept).map(|segment| format!("/{segment}")).collect();
        // `file:///` and the like: everything would match.
        (!(authority.ends_with("://") && path.is_empty())).then(|| format!("{authority}{path}/**"))
    };
    let (from, to) = (prefix(from)?, prefix(to)?);
    (from != to).then_some((from, to))
}

/// The rules of all items together: only where every item agrees on where a prefix leads; most items first.
pub(super) fn rules<'a>(items: impl Iterator<Item = &'a [Candidate]>) -> Vec<ProposedRule> {
    let mut votes: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for candidates in items {
        // Two equally good candidates are no answer.
        let best = candidates.first().filter(|best| {
            candidates.get(1).is_none_or(|second| {
                second.rule.is_none()
                    || (second.equal_segments, second.common_columns) != (best.equal_segments, best.common_columns)
            })
        });
        if let Some((from, to)) = best.and_then(|best| best.rule.as_deref()).and_then(|rule| rule.split_once(" -> ")) {
            *votes.entry(from.to_owned()).or_default().entry(to.to_owned()).or_default() += 1;
        }
    }
    let mut rules: Vec<_> = votes
        .into_iter()
        .filter_map(|(from, targets)| {
            let mut targets = targets.into_iter();
            let (to, resolves) = targets.next()?;
            targets.next().is_none().then_some(ProposedRule { from, to, resolves })
        })
        .collect();
    rules.sort_by(|a, b| b.resolves.cmp(&a.resolves).then_with(|| a.from.cmp(&b.from)));
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(id: &str, columns: &[&str]) -> Known {
        Known { id: id.to_owned(), columns: columns.iter().map(|&c| c.to_owned()).collect() }
    }

    #[test]
    fn a_table_seen_through_trino_is_the_postgres_table() {
        let postgres = known("postgres://db:5432/shop/public/orders", &["id", "amount", "day"]);
        let other = known("postgres://db:5432/crm/sales/orders", &["nr"]);
        let found = candidates(&known("trino://t:8080/pg/public/orders", &["ID", "Amount"]), &[other, postgres]);
        assert_eq!(found.len(), 1, "the other table has none of the columns");
        assert_eq!(found[0].dataset_id, "postgres://db:5432/shop/public/orders");
        assert_eq!((found[0].equal_segments, found[0].common_columns, found[0].columns_agree), (2, 2, true));
        assert_eq!(found[0].rule.as_deref(), Some("trino://t:8080/pg/** -> postgres://db:5432/shop/**"));
    }

    #[test]
    fn one_equal_word_is_no_rule_without_columns() {
        let candidate = known("hive://m:9083/sales/orders", &["id", "amount"]);
        let found = candidates(&known("s3://lake/raw/orders", &[]), std::slice::from_ref(&candidate));
        assert_eq!((found.len(), found[0].rule.as_deref()), (1, None));
        let found = candidates(&known("s3://lake/raw/orders", &["id", "amount"]), &[candidate]);
        assert_eq!(found[0].rule.as_deref(), Some("s3://lake/raw/** -> hive://m:9083/sales/**"));
    }

    #[test]
    fn a_whole_metastore_under_another_name() {
        let found = candidates(
            &known("hive://localhost:9083/sales/orders", &[]),
            &[known("hive://metastore:9083/sales/orders", &["id"])],
        );
        assert_eq!(found[0].rule.as_deref(), Some("hive://localhost:9083/** -> hive://metastore:9083/**"));
    }

    #[test]
    fn rules_count_items_and_disagreement_is_no_rule() {
        let shop = [known("postgres://db/shop/public/a", &["x"]), known("postgres://db/shop/public/b", &["x"])];
        let a = candidates(&known("trino://t/pg/public/a", &[]), &shop);
        let b = candidates(&known("trino://t/pg/public/b", &[]), &shop);
        let proposed = rules([a.as_slice(), b.as_slice()].into_iter());
        assert_eq!(
            proposed,
            [ProposedRule { from: "trino://t/pg/**".into(), to: "postgres://db/shop/**".into(), resolves: 2 }]
        );
        let twins = [known("postgres://db/shop/public/a", &["x"]), known("postgres://db/test/public/a", &["x"])];
        let torn = candidates(&known("trino://t/pg/public/a", &[]), &twins);
        assert_eq!(torn.len(), 2);
        assert_eq!(rules([torn.as_slice()].into_iter()), []);
    }

    #[test]
    fn a_rule_never_rewrites_every_file() {
        let found = candidates(&known("file:///orders", &["a", "b"]), &[known("hive://m/sales/orders", &["a", "b"])]);
        assert_eq!((found.len(), found[0].rule.as_deref()), (1, None));
    }

    #[test]
    fn ids_without_a_path_have_no_last_segment() {
        assert_eq!(last_segment("kafka://h:9092/Orders").as_deref(), Some("orders"));
        assert_eq!(last_segment("s3://bucket"), None);
        assert_eq!(last_segment("odd"), None);
        assert_eq!(last_segment("s3://bucket/"), None);
    }
}
