//! What the catalog made of the recorded events, told to a person: one short chapter for each thing it has to get right.

use std::io::{self, Write};

use crate::catalog::filter::{self, FilterError};
use crate::catalog::view::{DatasetPage, Direction, Level};
use crate::catalog::{Catalog, CatalogError, LineageQuery, SearchQuery};
use crate::stage::DeadLetter;

/// The recorded metastore.
pub(super) const METASTORE: &str = "hive://hms-1.lake:9083";

/// Why the report could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error("could not write the report")]
    Io(#[from] io::Error),
}

type Result = std::result::Result<(), ReportError>;

fn id(table: &str) -> String {
    format!("{METASTORE}/{}", table.replace('.', "/"))
}

/// Writes all chapters.
pub(super) async fn write(catalog: &Catalog, letters: &[(String, DeadLetter)], out: &mut impl Write) -> Result {
    both_streams(catalog, out).await?;
    breaking_change(catalog, out).await?;
    former_names(catalog, out).await?;
    column_path(catalog, out).await?;
    failed_run(catalog, out).await?;
    unresolved(catalog, out).await?;
    dead_letters(letters, out)?;
    Ok(())
}

fn chapter(out: &mut impl Write, title: &str) -> io::Result<()> {
    writeln!(out, "\n── {title}")
}

async fn both_streams(catalog: &Catalog, out: &mut impl Write) -> Result {
    chapter(out, "A table known from both streams, on one page")?;
    let page = catalog.dataset(&id("spark_shop.orders_by_country")).await?;
    head(&page, out)?;
    for column in page.columns.iter().filter(|column| column.depth == 0) {
        writeln!(out, "    {:<12} {:<16} from {}", column.name, column.data_type, column.source)?;
    }
    for (arrow, neighbours) in [("◄", &page.lineage.upstream), ("►", &page.lineage.downstream)] {
        for one in neighbours {
            let origin = &one.supporter.origin;
            writeln!(out, "  {arrow} {}", one.dataset_id)?;
            writeln!(out, "      by {}", one.supporter.job_name)?;
            writeln!(out, "      origin {}-{}@{}", origin.topic, origin.partition, origin.offset)?;
        }
    }
    for source in &page.sources {
        let origins: Vec<_> =
            source.origins.iter().take(2).map(|o| format!("{}-{}@{}", o.topic, o.partition, o.offset)).collect();
        writeln!(out, "  {} says {}; origin {}", source.source, source.aspects.join(", "), origins.join(", "))?;
    }
    Ok(())
}

fn head(page: &DatasetPage, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "  {}  {} {}, {}", page.canonical_id, page.platform, page.kind, page.existence)?;
    if let Some(location) = &page.location {
        writeln!(out, "  at {location}")?;
    }
    Ok(())
}

async fn breaking_change(catalog: &Catalog, out: &mut impl Write) -> Result {
    chapter(out, "A table with several schema versions, one of them breaking")?;
    let history = catalog.schema_history(&id("mart_customer.reviews_hourly_bak")).await?;
    writeln!(out, "  {}  by {}", history.canonical_id, history.authority)?;
    for version in &history.versions {
        let mark = if version.breaking { "  BREAKING" } else { "" };
        writeln!(out, "  v{} {} {}{mark}", version.ordinal, version.time, version.level)?;
        for change in &version.changes {
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".to_owned());
            writeln!(
                out,
                "      {} {}: {} → {}",
                change.kind,
                change.path,
                value(&change.before),
                value(&change.after)
            )?;
        }
    }
    Ok(())
}

async fn former_names(catalog: &Catalog, out: &mut impl Write) -> Result {
    chapter(out, "A renamed and dropped table, found by each of its names")?;
    for name in ["inventory.reviews", "inventory.reviews_r64"] {
        let page = catalog.dataset(&id(name)).await?;
        writeln!(out, "  {name}: {} ({}), found by {}", page.canonical_id, page.existence, page.resolved_by)?;
        let text = name.rsplit('.').next().unwrap_or(name).to_owned();
        let filters = filter::parse("existence:dropped")?;
        let found = catalog.search(SearchQuery { text: text.clone(), filters, limit: 3, offset: 0 }).await?;
        let ids: Vec<_> = found.results.iter().map(|result| result.dataset_id.as_str()).collect();
        writeln!(out, "    search {text:?} among dropped: {}", ids.join(", "))?;
    }
    Ok(())
}

async fn column_path(catalog: &Catalog, out: &mut impl Write) -> Result {
    chapter(out, "Where the column spark_shop.from_pg.country comes from, hop by hop")?;
    let query = LineageQuery {
        dataset: id("spark_shop.from_pg"),
        direction: Direction::Upstream,
        depth: 5,
        level: Level::Column,
        column: Some("country".to_owned()),
    };
    let view = catalog.lineage(query).await?;
    let direct = view.edges.iter().filter(|edge| {
        // Joins and filters of the same statements are in the answer too; the path of the values is told here.
        let of_values = edge.supporters.iter().any(|one| one.transformations.iter().any(|t| t.starts_with("DIRECT")));
        of_values && edge.source.split('#').next() != edge.target.split('#').next()
    });
    for edge in direct {
        let jobs: Vec<_> = edge.supporters.iter().map(|one| one.job_name.as_str()).collect();
        writeln!(out, "  {} ◄ {}\n      by {}", edge.target, edge.source, jobs.join(", "))?;
    }
    Ok(())
}

async fn failed_run(catalog: &Catalog, out: &mut impl Write) -> Result {
    chapter(out, "A CREATE TABLE AS SELECT that failed: the table was there, and no edge is")?;
    let page = catalog.dataset(&id("spark_shop.failed_ctas")).await?;
    let edges = page.lineage.upstream.len() + page.lineage.downstream.len();
    writeln!(out, "  {}  {}, {edges} edges", page.canonical_id, page.existence)?;
    Ok(())
}

async fn unresolved(catalog: &Catalog, out: &mut impl Write) -> Result {
    chapter(out, "Names that no source has confirmed")?;
    let list = catalog.unresolved(10, 0).await?;
    for item in &list.items {
        writeln!(out, "  {}  {}  {}", item.dataset_id, item.existence, item.reasons.join(", "))?;
    }
    if list.total > list.items.len() as i64 {
        writeln!(out, "  … {} in all: GET /api/v1/unresolved", list.total)?;
    }
    for rule in &list.proposed_rules {
        writeln!(out, "  proposed rule: {} → {} (resolves {})", rule.from, rule.to, rule.resolves)?;
    }
    Ok(())
}

fn dead_letters(letters: &[(String, DeadLetter)], out: &mut impl Write) -> Result {
    chapter(out, "Dead letters")?;
    for (place, letter) in letters {
        let path = if letter.path.is_empty() { "the whole value" } else { &letter.path };
        writeln!(out, "  {place}  {} at {path}\n      {}", letter.reason, letter.message)?;
        writeln!(out, "      look: tributary dlq show {place}")?;
        writeln!(out, "      after a repair, back again: tributary dlq replay {}", letter.source.topic)?;
    }
    Ok(())
}
