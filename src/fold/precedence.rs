//! Who is believed first: the precedence table of the model, as numbers. Lower wins.

use crate::model::fact::{Aspect, Completeness, Evidence, Existence, Source};

/// Systems whose tables' columns are best known from their own catalog.
fn is_warehouse(platform: &str) -> bool {
    matches!(platform, "postgres" | "snowflake" | "bigquery" | "redshift" | "mysql" | "oracle" | "sqlserver" | "mssql")
}

/// Rank of a speaker on existence; see [`Evidence`].
pub(super) fn existence(source: &Source, existence: &Existence) -> u16 {
    match (source.family(), existence.evidence) {
        // What dbt lists it has not made yet, or not itself.
        ("dbt", _) => 5,
        ("hms", Evidence::Owner) | (_, Evidence::Listing) => 0,
        ("person", _) | (_, Evidence::Registered) => 1,
        (_, Evidence::Owner | Evidence::Output) => 2,
        (_, Evidence::Ddl) => 3,
        (_, Evidence::Mention) => 4,
    }
}

/// Rank of a statement about columns. `provider` is the layer above files (`delta`, `iceberg`, …).
pub(super) fn columns(source: &Source, completeness: Completeness, platform: &str, provider: &str) -> u16 {
    // Listed projects follow the word (`dbt/catalog/shop`).
    let (family, detail) = (source.family(), source.detail().split('/').next().unwrap_or_default());
    let base = match completeness {
        Completeness::Complete => 0,
        Completeness::Partial => 100,
        Completeness::Placeholder => 200,
    };
    let rank = match (family, detail) {
        ("person", _) => 0,
        ("registry", _) if platform == "kafka" => 1,
        ("dbt", "catalog") if is_warehouse(platform) => 2,
        ("dbt", _) if is_warehouse(platform) => 3,
        ("openlineage", "airflow") if is_warehouse(platform) => 4,
        ("sql" | "query_log", _) if is_warehouse(platform) => 5,
        ("openlineage", "dbt") if is_warehouse(platform) => 8,
        ("openlineage", "spark") if is_warehouse(platform) => 7,
        ("openlineage", _) if is_warehouse(platform) => 6,
        ("openlineage", _) if provider == "delta" => 10 + producer(detail),
        ("hms", _) => 20,
        ("openlineage", _) => 30 + producer(detail),
        ("dbt", "catalog") => 40,
        ("registry", _) => 41,
        ("dbt", _) => 42,
        _ => 50,
    };
    base + rank
}

/// Among OpenLineage producers: those that plan the query themselves before those that guess from text.
fn producer(detail: &str) -> u16 {
    match detail {
        "spark" => 0,
        "trino" => 1,
        "flink" => 2,
        "airflow" => 3,
        "dbt" => 5,
        _ => 4,
    }
}

/// Rank of a source on any other aspect.
pub(super) fn aspect(aspect: Aspect, source: &Source) -> u16 {
    let dbt = source.family() == "dbt" || (source.family() == "openlineage" && source.detail() == "dbt");
    let rank = |order: [&str; 3]| {
        let name = if dbt { "dbt" } else { source.family() };
        order.iter().position(|family| *family == name).map_or(8, |at| at as u16 + 1)
    };
    if source.family() == "person" {
        return 0;
    }
    match aspect {
        Aspect::Description | Aspect::Columns => rank(["dbt", "hms", "openlineage"]),
        Aspect::Owners => rank(["dbt", "openlineage", "hms"]),
        Aspect::ViewText => rank(["hms", "dbt", "openlineage"]),
        _ => rank(["hms", "openlineage", "dbt"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delta_turns_the_order_of_metastore_and_producer() {
        let (hms, spark) = (Source::hms("m"), Source::openlineage("spark"));
        let rank = |source: &Source, provider: &str| columns(source, Completeness::Complete, "hive", provider);
        assert!(rank(&hms, "") < rank(&spark, ""));
        assert!(rank(&hms, "iceberg") < rank(&spark, "iceberg"));
        assert!(rank(&spark, "delta") < rank(&hms, "delta"));
        let placeholder = columns(&hms, Completeness::Placeholder, "hive", "delta");
        assert!(placeholder > columns(&spark, Completeness::Partial, "hive", "delta"));
    }

    #[test]
    fn a_warehouse_is_best_known_from_its_catalog() {
        let order = [
            "dbt/catalog/shop",
            "dbt/manifest/shop/prod",
            "openlineage/airflow",
            "sql/x",
            "openlineage/spark",
            "openlineage/dbt",
        ];
        let ranks: Vec<u16> = order
            .iter()
            .map(|source| columns(&Source::parse(*source), Completeness::Complete, "postgres", ""))
            .collect();
        assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]), "{ranks:?}");
    }
}
