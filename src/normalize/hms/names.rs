//! Ids of a metastore's databases, tables, functions and partitions. Knows no events.

use crate::codec::hms::synthetic::{Listed, ListedKind};
use crate::model::fact::{CONTAINERS_SCOPE, FUNCTIONS_SCOPE};
use crate::model::id::{Canon, EntityId, IdError, canon, encode, partition_key};

/// The catalog that ids leave out.
pub const DEFAULT_CATALOG: &str = "hive";

/// Between database and name in the id of a function: a third segment, which no table of a database has.
const FUNCTIONS: &str = "functions";

/// A metastore as the root of ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metastore {
    root: Canon,
}

/// What an id of a metastore names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HiveName {
    /// Catalog.
    pub catalog: String,
    /// Database.
    pub database: String,
    /// Table or function; empty for a database.
    pub name: String,
}

impl Metastore {
    /// From its namespace (`hive://host:9083`), its own name (`thrift://host:9083`, of several with commas the first),
    /// or a plain word.
    ///
    /// # Errors
    /// If the text is no namespace.
    pub fn new(namespace: &str) -> Result<Self, IdError> {
        let first = namespace.split(',').next().unwrap_or_default().trim();
        let first = match first.strip_prefix("thrift://") {
            Some(rest) => format!("hive://{rest}"),
            None if first.contains("://") => first.to_owned(),
            None => format!("hive://{first}"),
        };
        // Canonical spelling of host and scheme is decided where all names are read.
        let named = canon(&first, "database.table");
        Ok(Self { root: Canon::new(named.scheme(), named.authority(), Vec::new())? })
    }

    /// Canonical namespace, e.g. `hive://host:9083`: the name of the instance in sources and exports.
    pub fn namespace(&self) -> String {
        self.root.id().as_str().to_owned()
    }

    /// A database.
    pub fn container(&self, catalog: &str, database: &str) -> EntityId {
        self.id(vec![database_segment(catalog, database)])
    }

    /// A table or view.
    pub fn table(&self, catalog: &str, database: &str, table: &str) -> EntityId {
        self.id(vec![database_segment(catalog, database), identifier(table)])
    }

    /// A function: `hive://host:9083/db/functions/name`.
    pub fn function(&self, catalog: &str, database: &str, function: &str) -> EntityId {
        self.id(vec![database_segment(catalog, database), FUNCTIONS.to_owned(), identifier(function)])
    }

    /// The scope of listings of one kind of things: `hive://host:9083/@tables`, a name that no database has.
    pub fn scope(&self, kind: ListedKind) -> EntityId {
        let suffix = match kind {
            ListedKind::Database => CONTAINERS_SCOPE,
            ListedKind::Table => "@tables",
            ListedKind::Function => FUNCTIONS_SCOPE,
        };
        self.id(vec![suffix.to_owned()])
    }

    /// What a listing names.
    pub fn listed(&self, kind: ListedKind, listed: &Listed) -> EntityId {
        let catalog = listed.catalog.as_deref().unwrap_or(DEFAULT_CATALOG);
        match kind {
            ListedKind::Database => self.container(catalog, &listed.database),
            ListedKind::Table => self.table(catalog, &listed.database, &listed.name),
            ListedKind::Function => self.function(catalog, &listed.database, &listed.name),
        }
    }

    /// What an id names, if it is one of this metastore's.
    pub fn parse(&self, id: &str) -> Option<HiveName> {
        let canon = Canon::parse(id).ok()?;
        if canon.scheme() != self.root.scheme() || canon.authority() != self.root.authority() {
            return None;
        }
        let (database, name) = match canon.segments() {
            [database] => (database, ""),
            [database, table] => (database, table.as_str()),
            [database, marker, function] if marker == FUNCTIONS => (database, function.as_str()),
            _ => return None,
        };
        let (catalog, database) = match database.strip_prefix('@').and_then(|rest| rest.split_once('#')) {
            Some((catalog, database)) => (catalog, database),
            None => (DEFAULT_CATALOG, database.as_str()),
        };
        Some(HiveName { catalog: catalog.to_owned(), database: database.to_owned(), name: name.to_owned() })
    }

    fn id(&self, segments: Vec<String>) -> EntityId {
        self.root.with_segments(segments).id()
    }
}

/// An identifier as the metastore stores it: without space around it, in lower case (also beyond ASCII).
pub fn identifier(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Other catalogs stand before the database as the metastore writes them in full names.
fn database_segment(catalog: &str, database: &str) -> String {
    match identifier(catalog).as_str() {
        "" | DEFAULT_CATALOG => identifier(database),
        catalog => format!("@{catalog}#{}", identifier(database)),
    }
}

/// Sub-key of a partition's register.
pub fn partition_sub_key(keys: &[String], values: &[String]) -> String {
    partition_key(keys.iter().map(String::as_str).zip(values.iter().map(String::as_str)))
}

/// Sub-key of a column's statistics; `partition` is Hive's own, escaped name.
pub fn column_stats_sub_key(partition: Option<&str>, column: &str) -> String {
    let column = encode(&identifier(column));
    partition.map_or_else(|| column.clone(), |partition| format!("{}|{column}", encode(partition)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_model() {
        let metastore = Metastore::new("thrift://HMS-1.lake:9083,thrift://hms-2.lake:9083").unwrap();
        assert_eq!(metastore.namespace(), "hive://hms-1.lake:9083");
        assert_eq!(metastore.container("hive", "Sales").as_str(), "hive://hms-1.lake:9083/sales");
        assert_eq!(metastore.table("", "sales", "GRÖßE 1").as_str(), "hive://hms-1.lake:9083/sales/größe%201");
        assert_eq!(metastore.table("Cat", "d", "t").as_str(), "hive://hms-1.lake:9083/@cat%23d/t");
        assert_eq!(metastore.function("hive", "d", "F").as_str(), "hive://hms-1.lake:9083/d/functions/f");
        assert_ne!(metastore.function("hive", "d", "f"), metastore.table("hive", "d", "f"));
    }

    #[test]
    fn parse_is_the_inverse() {
        let metastore = Metastore::new("hive://h:1").unwrap();
        for (catalog, database, table) in [("hive", "d", "t"), ("c", "d", "t/x"), ("hive", "größe", "a#b|c%")] {
            let id = metastore.table(catalog, database, table);
            let name = metastore.parse(id.as_str()).unwrap();
            assert_eq!((name.catalog.as_str(), name.database.as_str(), name.name.as_str()), (catalog, database, table));
        }
        assert_eq!(metastore.parse("hive://other:1/d/t"), None);
        assert_eq!(metastore.parse("not an id"), None);
    }

    #[test]
    fn partition_keys_are_escaped_twice() {
        let keys = ["Country".to_owned(), "dt".to_owned()];
        let values = ["a b/c=d%".to_owned(), String::new()];
        assert_eq!(partition_sub_key(&keys, &values), "country=a%20b%252Fc%253Dd%2525%2Fdt=__HIVE_DEFAULT_PARTITION__");
    }
}
