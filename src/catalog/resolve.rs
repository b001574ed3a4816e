//! From any spelling of a dataset's id to the id under which the catalog keeps it. The pure part; asking the store is
//! [`super::Catalog`]'s.

use crate::model::record::AliasRecord;

/// Other names of configured instances: `snowflake://prod` for `snowflake://org-account`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceNames {
    /// (other prefix, canonical prefix), longest first.
    rules: Vec<(String, String)>,
}

impl InstanceNames {
    /// From pairs of prefixes without a trailing slash: (other name, canonical).
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut rules: Vec<_> = pairs.into_iter().collect();
        rules.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        Self { rules }
    }

    /// The id with its instance's canonical name, if a rule fits.
    fn rewrite(&self, id: &str) -> Option<String> {
        self.rules.iter().find_map(|(from, to)| {
            let rest = id.strip_prefix(from.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{to}{rest}"))
        })
    }
}

/// Spellings to try, nearest first, each with the word that tells how it led to the dataset.
pub(super) fn spellings(asked: &str, instances: &InstanceNames) -> Vec<(String, &'static str)> {
    let mut all: Vec<(String, &'static str)> = Vec::new();
    let mut add = |id: String, how: &'static str| {
        if !id.is_empty() && all.iter().all(|(known, _)| *known != id) {
            all.push((id, how));
        }
    };
    add(asked.to_owned(), "id");
    let renamed = instances.rewrite(asked);
    for (text, how) in renamed.iter().map(|id| (id.as_str(), "instance")).chain([(asked, "name")]) {
        add(text.to_owned(), how);
        let tidy = tidy(text);
        add(tidy.clone(), how);
        add(tidy.to_lowercase(), how);
        if let Some(dotted) = segments_for_dots(&tidy) {
            add(dotted.clone(), how);
            add(dotted.to_lowercase(), how);
        }
    }
    all
}

/// One spelling for stores and paths: `s3a` and `s3n` are `s3`, trailing slashes say nothing.
fn tidy(id: &str) -> String {
    let trimmed = id.trim();
    let (scheme, rest) = trimmed.split_once("://").unwrap_or(("", trimmed));
    let scheme = scheme.to_lowercase();
    let scheme = if matches!(scheme.as_str(), "s3a" | "s3n") { "s3" } else { scheme.as_str() };
    let rest = rest.trim_end_matches('/');
    if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") }
}

/// `scheme://authority/a.b.c`, as OpenLineage joins namespace and name, with the segments of our ids.
fn segments_for_dots(id: &str) -> Option<String> {
    let (scheme, rest) = id.split_once("://")?;
    let (authority, name) = rest.split_once('/')?;
    (!name.contains('/') && name.contains('.')).then(|| format!("{scheme}://{authority}/{}", name.replace('.', "/")))
}

/// The canonical id behind `name` at `time` (microseconds); without a time, now, else the last there was.
pub(super) fn canonical_at(aliases: &[AliasRecord], name: &str, time: Option<i64>) -> Option<String> {
    let named = aliases.iter().filter(|alias| alias.alias == name);
    let holds = |alias: &&AliasRecord| match time {
        Some(time) => alias.valid_from.is_none_or(|from| from <= time) && alias.valid_to.is_none_or(|to| time < to),
        None => alias.valid_to.is_none(),
    };
    let newest = |alias: &&AliasRecord| (alias.valid_to.is_none(), alias.valid_from, alias.canonical.clone());
    let current = named.clone().filter(holds).max_by_key(newest);
    let chosen = if time.is_none() { current.or_else(|| named.max_by_key(newest)) } else { current };
    chosen.map(|alias| alias.canonical.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fact::Origin;

    fn alias(alias: &str, canonical: &str, valid_from: Option<i64>, valid_to: Option<i64>) -> AliasRecord {
        let origin = Origin { topic: "hms.notifications".into(), partition: 0, offset: 0 };
        let (alias, canonical) = (alias.to_owned(), canonical.to_owned());
        AliasRecord { alias, canonical, kind: "rename".into(), valid_from, valid_to, reason: String::new(), origin }
    }

    #[test]
    fn the_specifications_example_reaches_its_account() {
        let instances = InstanceNames::new([
            ("snowflake://prod".to_owned(), "snowflake://org-account".to_owned()),
            ("snowflake://prod/analytics".to_owned(), "snowflake://other/analytics".to_owned()),
        ]);
        let tried = spellings("snowflake://prod/Analytics/user_events", &instances);
        assert_eq!(tried[0], ("snowflake://prod/Analytics/user_events".to_owned(), "id"));
        assert!(tried.contains(&("snowflake://org-account/analytics/user_events".to_owned(), "instance")));
        let tried = spellings("snowflake://prod/analytics/user_events", &instances);
        assert!(tried.contains(&("snowflake://other/analytics/user_events".to_owned(), "instance")), "longest first");
        assert_eq!(instances.rewrite("snowflake://production/x"), None, "a prefix ends at a segment");
    }

    #[test]
    fn spellings_of_paths_and_dotted_names() {
        let none = InstanceNames::default();
        let tried = |id: &str| spellings(id, &none).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert!(tried("s3a://lake/raw/events/").contains(&"s3://lake/raw/events".to_owned()));
        assert!(tried("hive://h:9083/Sales.Orders").contains(&"hive://h:9083/sales/orders".to_owned()));
        assert_eq!(tried("s3://lake/a.b/c"), ["s3://lake/a.b/c"]);
    }

    #[test]
    fn an_alias_holds_in_its_interval() {
        let aliases = [alias("old", "first", Some(10), Some(20)), alias("old", "second", Some(30), None)];
        let at = |time| canonical_at(&aliases, "old", time);
        assert_eq!(at(Some(5)), None);
        assert_eq!(at(Some(10)).as_deref(), Some("first"));
        assert_eq!(at(Some(20)), None, "the end is not part of it");
        assert_eq!(at(Some(99)).as_deref(), Some("second"));
        assert_eq!(at(None).as_deref(), Some("second"));
        assert_eq!(canonical_at(&aliases[..1], "old", None).as_deref(), Some("first"), "the last there was");
        assert_eq!(canonical_at(&aliases, "new", None), None);
    }
}
