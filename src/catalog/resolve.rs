//! From any spelling of a dataset's id to the id under which the catalog keeps it. The pure part; asking the store is
//! [`super::Catalog`]'s.

use crate::model::id::{Identity, ReportedBy, split_name_key};
use crate::model::record::AliasRecord;

/// Ids to try, nearest first, each with the word that tells how it came about: `id` as it stands, `spelling` by the
/// rules of its platform and the configured instances.
pub(super) fn spellings(asked: &str, identity: &Identity) -> Vec<(String, &'static str)> {
    let mut all: Vec<(String, &'static str)> = vec![(asked.to_owned(), "id")];
    let mut add = |id: &str| {
        if all.iter().all(|(known, _)| known != id) {
            all.push((id.to_owned(), "spelling"));
        }
    };
    let trimmed = asked.trim();
    if let Ok(id) = identity.canonical_id(trimmed) {
        add(id.as_str());
    }
    for (namespace, name) in namespaces_and_names(trimmed) {
        add(identity.dataset(&namespace, &name, ReportedBy::default()).id.as_str());
    }
    all
}

/// The text as namespace and name of a report: `namespace|name`, or `scheme://authority` and the rest.
fn namespaces_and_names(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    if text.contains('|')
        && let Ok(pair) = split_name_key(text)
    {
        pairs.push(pair);
    }
    let path = text.split_once("://").and_then(|(scheme, rest)| {
        let (authority, name) = rest.split_once('/')?;
        Some((format!("{scheme}://{authority}"), name.to_owned()))
    });
    pairs.extend(path);
    pairs
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
    use crate::model::id::{IdentityConfig, InstanceConfig};

    fn alias(alias: &str, canonical: &str, valid_from: Option<i64>, valid_to: Option<i64>) -> AliasRecord {
        let origin = Origin { topic: "hms.notifications".into(), partition: 0, offset: 0 };
        let (alias, canonical) = (alias.to_owned(), canonical.to_owned());
        AliasRecord { alias, canonical, kind: "rename".into(), valid_from, valid_to, reason: String::new(), origin }
    }

    fn tried(id: &str, identity: &Identity) -> Vec<String> {
        spellings(id, identity).into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn the_specifications_example_reaches_its_account() {
        let instance =
            InstanceConfig { id: "snowflake://org-account".into(), names: vec!["prod".into()], ..Default::default() };
        let config = IdentityConfig { instances: vec![instance], ..Default::default() };
        let identity = Identity::new(config).unwrap();
        let tried = spellings("snowflake://prod/analytics/public/USER_EVENTS", &identity);
        assert_eq!(tried[0], ("snowflake://prod/analytics/public/USER_EVENTS".to_owned(), "id"));
        assert!(tried.contains(&("snowflake://org-account/analytics/public/user_events".to_owned(), "spelling")));
    }

    #[test]
    fn spellings_of_paths_and_reported_names() {
        let none = Identity::default();
        assert!(tried("s3a://lake/raw/events/", &none).contains(&"s3://lake/raw/events".to_owned()));
        assert!(tried("hive://h:9083/Sales.Orders", &none).contains(&"hive://h:9083/sales/orders".to_owned()));
        assert!(tried("hive://h:9083|Sales.Orders", &none).contains(&"hive://h:9083/sales/orders".to_owned()));
        assert_eq!(tried("s3://lake/a.b/c", &none), ["s3://lake/a.b/c"]);
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
