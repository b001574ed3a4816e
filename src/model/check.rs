//! Whether a fact keeps within the limits: the last gate before facts are written, and the first before they are folded.
//!
//! Behind it the fold can rely on ids that fit an index entry, on values that nest no deeper than its state can hold,
//! and on times that every store knows. Knows no source's format.

use serde_json::Value;

use super::fact::{Aspect, Column, ColumnEdge, Fact, QueryRun, Statement, UsagePart, Version};
use super::id::{Canon, EntityId};
use super::raw::Normalized;
use super::reject::{ReasonCode, Rejection};
use super::types::{MAX_DEPTH, count_fields};

/// How much one fact may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactLimits {
    /// Largest fact, bytes of its texts: one that is larger than its topic takes need not even be encoded.
    pub bytes: usize,
    /// Longest id and longest name of a column, bytes.
    pub name_bytes: usize,
    /// Nesting of JSON values.
    pub depth: usize,
    /// Columns of a dataset, nested fields among them.
    pub columns: usize,
    /// Facets of a dataset, job or run.
    pub facets: usize,
    /// Edges of lineage, from each dataset read to each one written, and from column to column.
    pub edges: usize,
}

impl Default for FactLimits {
    fn default() -> Self {
        Self { bytes: 8 << 20, name_bytes: 2_000, depth: 64, columns: 20_000, facets: 200, edges: 50_000 }
    }
}

/// A sub-key is made of up to two names, and what encoding adds to them.
const NAMES_IN_SUB_KEY: usize = 4;
/// Entities through which a fact is forwarded, at most.
const MAX_VIA: usize = 8;
/// Year 0 and year 10,000, microseconds since 1970, each with a day for time zones.
const TIMES: std::ops::Range<i64> = -62_167_305_600_000_000..253_402_387_200_000_000;

/// Whether an event time is one that all stores can hold.
pub fn is_time(micros: i64) -> bool {
    TIMES.contains(&micros)
}

/// Checks a fact that a source's normaliser has made.
///
/// # Errors
/// `limit_exceeded` or `invalid_field` for the whole raw record: the message names the fact.
pub fn check_made(fact: &Fact, limits: &FactLimits) -> Result<(), Rejection> {
    check(fact, limits).map_err(|fault| {
        let entity: String = fact.entity.as_str().chars().take(200).collect();
        let message = format!("what it says of {entity} cannot be kept: {} (at {})", fault.message, fault.path);
        Rejection::new(fault.code, "", message)
    })
}

/// [`check_made`] for all that a source's normaliser has made of a record.
///
/// # Errors
/// As [`check_made`], of the first fact at fault.
pub fn checked(normalized: Normalized, limits: &FactLimits) -> Result<Normalized, Rejection> {
    if let Normalized::Facts(facts) = &normalized {
        facts.iter().try_for_each(|fact| check_made(fact, limits))?;
    }
    Ok(normalized)
}

/// Checks a fact that was read from its topic, where anybody may have written it.
///
/// # Errors
/// `limit_exceeded` or `invalid_field` with the path in the fact.
pub fn check_read(fact: &Fact, limits: &FactLimits) -> Result<(), Rejection> {
    if let Err(error) = Canon::parse(fact.entity.as_str()) {
        return Err(Rejection::new(ReasonCode::InvalidField, "/entity", error.to_string()));
    }
    check(fact, limits)
}

fn check(fact: &Fact, limits: &FactLimits) -> Result<(), Rejection> {
    id(&fact.entity, limits, "/entity")?;
    text(fact.source.as_str(), limits.name_bytes, "/source")?;
    // Notices of another name are as old as that name; only the fold sends them.
    let is_notice = !fact.via.is_empty() && fact.version.time == Version::MIN.time;
    if !is_notice {
        time(fact.version.time, "/version/time")?;
    }
    if fact.via.len() > MAX_VIA {
        return Err(over("/via", format!("{} entities, at most {MAX_VIA}", fact.via.len())));
    }
    for (index, via) in fact.via.iter().enumerate() {
        id(via, limits, &format!("/via/{index}"))?;
    }
    let mut seen = Seen::default();
    let mut facets = 0;
    for (index, entry) in fact.entries.iter().enumerate() {
        let within = |fault: Rejection| fault.within(&format!("/entries/{index}"));
        text(&entry.sub_key, limits.name_bytes.saturating_mul(NAMES_IN_SUB_KEY), "/sub_key").map_err(within)?;
        facets += usize::from(entry.aspect == Aspect::Facet);
        if let Some(statement) = &entry.value {
            check_statement(statement, limits, &mut seen).map_err(|fault| within(fault.within("/value")))?;
        }
    }
    if seen.bytes > limits.bytes {
        let message =
            format!("more than {} bytes of text, the limit (limits.output_bytes) is {}", seen.bytes, limits.bytes);
        return Err(over("/entries", message));
    }
    if seen.columns > limits.columns {
        return Err(over(
            "/entries",
            format!("more than {} columns and nested fields, the limit (limits.columns)", limits.columns),
        ));
    }
    count_facets(facets, limits, "/entries")
}

/// What is summed up over a fact's statements.
#[derive(Default)]
struct Seen {
    columns: usize,
    /// Of the texts that can be long.
    bytes: usize,
}

impl Seen {
    fn text(&mut self, text: &str) {
        self.bytes += text.len();
    }

    fn texts<'a>(&mut self, texts: impl IntoIterator<Item = &'a Option<String>>) {
        texts.into_iter().flatten().for_each(|text| self.text(text));
    }
}

fn check_statement(statement: &Statement, limits: &FactLimits, seen: &mut Seen) -> Result<(), Rejection> {
    match statement {
        Statement::Columns(stated) => {
            stated.columns.iter().try_for_each(|column| check_column(column, limits, seen, MAX_DEPTH))?;
            if seen.bytes <= limits.bytes {
                seen.columns += count_fields(&stated.columns, limits.columns);
            }
            Ok(())
        }
        Statement::Native(value)
        | Statement::Constraint(value)
        | Statement::ColumnStats(value)
        | Statement::Facet(value) => depth(value, limits, seen),
        Statement::Partition(partition) => depth(&partition.native, limits, seen),
        Statement::Stats(stats) => depth(&stats.extra, limits, seen),
        Statement::Quality(quality) => depth(&quality.value, limits, seen),
        Statement::Description(text) | Statement::Location(text) => {
            seen.text(text);
            Ok(())
        }
        Statement::Properties(properties) => {
            properties.iter().flat_map(|(key, value)| [key, value]).for_each(|text| seen.text(text));
            Ok(())
        }
        Statement::ViewText(view) => {
            seen.texts([&view.original, &view.expanded]);
            Ok(())
        }
        Statement::Write(mark) => {
            id(&mark.job, limits, "/job")?;
            time(mark.time, "/time")
        }
        Statement::RenamedTo(to) => id(to, limits, ""),
        Statement::AliasOf(alias) => time(alias.valid_from, "/valid_from"),
        Statement::Job(job) => {
            seen.texts([&job.sql, &job.source_code]);
            job.parent.iter().try_for_each(|parent| id(parent, limits, "/parent"))
        }
        Statement::Declared(lineage) => {
            let all = [(&lineage.inputs, "/inputs"), (&lineage.through, "/through"), (&lineage.outputs, "/outputs")];
            all.into_iter().try_for_each(|(ids, path)| ids.iter().try_for_each(|one| id(one, limits, path)))?;
            check_columns(&lineage.columns, limits)?;
            let tables = lineage.inputs.len().saturating_mul(lineage.outputs.len());
            count_edges(tables.saturating_add(lineage.columns.len()), limits)
        }
        Statement::Subject(subject) => {
            text(&subject.check, limits.name_bytes, "/check")?;
            subject.field.iter().try_for_each(|field| text(field, limits.name_bytes, "/field"))?;
            subject.datasets.iter().try_for_each(|dataset| id(dataset, limits, "/datasets"))?;
            depth(&subject.details, limits, seen)
        }
        Statement::Listing(page) => page.members.iter().try_for_each(|member| id(member, limits, "/members")),
        Statement::Run(run) => {
            text(&run.run_id, limits.name_bytes, "/run_id")?;
            text(&run.state, limits.name_bytes, "/state")?;
            [Some(run.time), run.nominal_start, run.nominal_end]
                .into_iter()
                .flatten()
                .try_for_each(|at| time(at, ""))?;
            run.parent_job.iter().try_for_each(|job| id(job, limits, "/parent_job"))?;
            run.inputs.iter().try_for_each(|input| id(input, limits, "/inputs"))?;
            run.outputs.iter().try_for_each(|output| id(output, limits, "/outputs"))?;
            count_facets(run.facets.len(), limits, "/facets")?;
            seen.texts([&run.error]);
            run.facets.values().try_for_each(|facet| depth(facet, limits, seen))?;
            check_columns(&run.column_edges, limits)?;
            let edges = run.inputs.len().saturating_mul(run.outputs.len()).saturating_add(run.column_edges.len());
            count_edges(edges, limits)
        }
        Statement::Sql(sql) => {
            seen.text(&sql.text);
            Ok(())
        }
        Statement::Query(query) => check_query(query, limits, seen),
        Statement::Usage(part) => check_usage(part, limits, seen),
        Statement::Existence(_)
        | Statement::Owners(_)
        | Statement::Tags(_)
        | Statement::Format(_)
        | Statement::DatasetKind(_)
        | Statement::Name(_)
        | Statement::Symlink(_)
        | Statement::DatasetVersion(_)
        | Statement::LocationMoved(_)
        | Statement::JobDependency(_)
        | Statement::Member(_)
        | Statement::Withdraw(_)
        | Statement::Resending(_)
        | Statement::Joined(_)
        | Statement::Alias(_)
        | Statement::LocationAsked(_) => Ok(()),
    }
}

fn check_columns(edges: &[ColumnEdge], limits: &FactLimits) -> Result<(), Rejection> {
    edges.iter().try_for_each(|edge| {
        id(&edge.source, limits, "/column_edges")?;
        id(&edge.target, limits, "/column_edges")?;
        text(&edge.source_field, limits.name_bytes, "/column_edges")?;
        text(&edge.target_field, limits.name_bytes, "/column_edges")
    })
}

fn check_query(query: &QueryRun, limits: &FactLimits, seen: &mut Seen) -> Result<(), Rejection> {
    for (name, path) in [(&query.query_id, "/query_id"), (&query.instance, "/instance"), (&query.status, "/status")] {
        text(name, limits.name_bytes, path)?;
    }
    query.user.iter().try_for_each(|user| text(user, limits.name_bytes, "/user"))?;
    for (at, path) in [(query.start, "/start"), (query.end, "/end"), (query.expires_at, "/expires_at")] {
        time(at, path)?;
    }
    query.job.iter().try_for_each(|job| id(job, limits, "/job"))?;
    query.writes.iter().try_for_each(|written| id(written, limits, "/writes"))?;
    seen.texts([&query.session, &query.application, &query.error, &query.text]);
    let mut edges = query.writes.len();
    for read in &query.reads {
        id(&read.dataset, limits, "/reads")?;
        for column in read.columns.iter().chain(&read.filters) {
            text(column, limits.name_bytes, "/reads")?;
            seen.text(column);
        }
        for join in &read.joins {
            id(&join.other, limits, "/reads")?;
            text(&join.column, limits.name_bytes, "/reads")?;
            text(&join.other_column, limits.name_bytes, "/reads")?;
        }
        edges = edges.saturating_add(1 + read.columns.len() + read.filters.len() + read.joins.len());
    }
    if edges > limits.edges {
        let message = format!("{edges} datasets, columns and joins, the limit (limits.edges) is {}", limits.edges);
        return Err(over("", message));
    }
    Ok(())
}

fn count_edges(edges: usize, limits: &FactLimits) -> Result<(), Rejection> {
    if edges > limits.edges {
        let message = format!("{edges} edges of lineage, the limit (limits.edges) is {}", limits.edges);
        return Err(over("", message));
    }
    Ok(())
}

/// Only the size, and that its users name columns that it has: the fold has made it from queries that were checked.
fn check_usage(part: &UsagePart, limits: &FactLimits, seen: &mut Seen) -> Result<(), Rejection> {
    seen.texts([&part.sketch]);
    for (place, user) in part.users.iter().enumerate() {
        seen.text(&user.user);
        // What a column takes besides its name.
        seen.bytes += user.columns.len() * size_of::<(u32, i64)>();
        if seen.bytes > limits.bytes {
            return Ok(());
        }
        if let Some((name, _)) = user.columns.iter().find(|(name, _)| *name as usize >= part.names.len()) {
            let path = format!("/users/{place}/c");
            let message =
                format!("name {name} of {}; has another program than this one's fold made it?", part.names.len());
            return Err(Rejection::new(ReasonCode::InvalidField, path, message));
        }
    }
    let counted = part.columns.keys().chain(part.filters.keys());
    part.names.iter().chain(counted).for_each(|column| seen.text(column));
    for join in &part.joins {
        [&join.column, &join.other, &join.other_column].into_iter().for_each(|name| seen.text(name));
    }
    Ok(())
}

fn check_column(column: &Column, limits: &FactLimits, seen: &mut Seen, depth_left: usize) -> Result<(), Rejection> {
    text(&column.name, limits.name_bytes, "/name")?;
    seen.text(&column.name);
    seen.text(&column.data_type);
    seen.texts([&column.description]);
    let Some(depth_left) = depth_left.checked_sub(1) else {
        return Err(over("", format!("columns nest deeper than {MAX_DEPTH} levels")));
    };
    column.fields.iter().try_for_each(|field| check_column(field, limits, seen, depth_left))
}

/// Refuses more facets than are kept.
///
/// # Errors
/// `limit_exceeded` at `path`.
pub fn count_facets(facets: usize, limits: &FactLimits, path: &str) -> Result<(), Rejection> {
    if facets <= limits.facets {
        return Ok(());
    }
    Err(over(path, format!("{facets} facets, the limit (limits.facets) is {}", limits.facets)))
}

fn id(id: &EntityId, limits: &FactLimits, path: &str) -> Result<(), Rejection> {
    text(id.as_str(), limits.name_bytes, path)
}

fn text(text: &str, limit: usize, path: &str) -> Result<(), Rejection> {
    if text.len() <= limit {
        return Ok(());
    }
    Err(over(path, format!("a name or id of {} bytes, the limit (limits.name_bytes) is {limit}", text.len())))
}

fn time(micros: i64, path: &str) -> Result<(), Rejection> {
    if is_time(micros) {
        return Ok(());
    }
    let message = format!("{micros} microseconds since 1970 is no time between the years 0 and 9999");
    Err(Rejection::new(ReasonCode::InvalidField, path, message))
}

fn depth(value: &Value, limits: &FactLimits, seen: &mut Seen) -> Result<(), Rejection> {
    if is_deeper(value, limits.depth, seen) {
        return Err(over("", format!("nested deeper than {} levels, the limit (limits.depth)", limits.depth)));
    }
    Ok(())
}

/// Whether a value nests deeper than `levels`; adds up its texts on the way.
fn is_deeper(value: &Value, levels: usize, seen: &mut Seen) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| is_deeper(item, levels - 1, seen)),
        Value::Object(fields) => {
            levels == 0
                || fields.iter().any(|(name, field)| {
                    seen.text(name);
                    is_deeper(field, levels - 1, seen)
                })
        }
        Value::String(text) => {
            seen.text(text);
            false
        }
        _ => false,
    }
}

fn over(path: &str, message: String) -> Rejection {
    Rejection::new(ReasonCode::LimitExceeded, path, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fact::*;
    use super::*;

    fn fact(statement: Statement) -> Fact {
        Fact {
            entity: EntityId::from_canonical("hive://h:1/d/t"),
            kind: EntityKind::Dataset,
            source: Source::hms("hive://h:1"),
            version: Version { epoch: 0, time: 1, seq: 0, hash: 0 },
            origin: Origin { topic: "t".into(), partition: 0, offset: 0 },
            via: Vec::new(),
            entries: vec![Entry::of(statement)],
        }
    }

    fn limits() -> FactLimits {
        FactLimits { bytes: 100, name_bytes: 20, depth: 3, columns: 3, facets: 2, edges: 4 }
    }

    #[track_caller]
    fn refused(fact: &Fact, path: &str) {
        let fault = check_read(fact, &limits()).unwrap_err();
        assert_eq!((fault.code, fault.path.as_str()), (ReasonCode::LimitExceeded, path), "{fault}");
    }

    fn columns(list: &[(&str, &str)]) -> Statement {
        let column = |(name, kind): &(&str, &str)| Column {
            name: (*name).to_owned(),
            data_type: (*kind).to_owned(),
            ..Column::default()
        };
        let columns = list.iter().map(column).collect();
        Statement::Columns(Columns { completeness: Completeness::Complete, columns })
    }

    #[test]
    fn each_limit_holds_at_the_limit_and_not_one_over_it() {
        let named = |length: usize| Fact {
            entity: EntityId::from_canonical(format!("s3://b/{}", "n".repeat(length - 7))),
            ..fact(Statement::Description(String::new()))
        };
        assert!(check_read(&named(20), &limits()).is_ok());
        refused(&named(21), "/entity");

        assert!(check_read(&fact(Statement::Facet(json!([[[1]]]))), &limits()).is_ok());
        refused(&fact(Statement::Facet(json!([[[[]]]]))), "/entries/0/value");

        assert!(check_read(&fact(columns(&[("a", "int"), ("b", "struct<x:decimal(3,1)>")])), &limits()).is_ok());
        refused(&fact(columns(&[("a", "int"), ("b", "struct<x:int,y:int>")])), "/entries");
        refused(&fact(columns(&[("a", ""), ("b", ""), ("c", ""), ("d", "")])), "/entries");
        assert!(check_read(&fact(columns(&[(&"n".repeat(20), "")])), &limits()).is_ok());
        refused(&fact(columns(&[(&"n".repeat(21), "")])), "/entries/0/value/name");

        assert!(check_read(&fact(Statement::Description("d".repeat(100))), &limits()).is_ok());
        refused(&fact(Statement::Description("d".repeat(101))), "/entries");
        refused(&fact(Statement::Facet(json!({ "name": "v".repeat(97) }))), "/entries");
        refused(&fact(columns(&[("a", &"t".repeat(100))])), "/entries");

        let facets = |count: usize| {
            let entries = (0..count).map(|n| Entry::keyed(n.to_string(), Statement::Facet(json!(1)))).collect();
            Fact { entries, ..fact(Statement::Description(String::new())) }
        };
        assert!(check_read(&facets(2), &limits()).is_ok());
        refused(&facets(3), "/entries");

        let ids = |count: usize| (0..count).map(|n| EntityId::from_canonical(format!("s3://{n}"))).collect();
        let run = |read: usize, written: usize| {
            fact(Statement::Run(RunEvent { inputs: ids(read), outputs: ids(written), ..RunEvent::default() }))
        };
        assert!(check_read(&run(2, 2), &limits()).is_ok());
        refused(&run(5, 1), "/entries/0/value");

        let query = |columns: usize, text: usize| {
            let dataset = EntityId::from_canonical("s3://b");
            let columns = (0..columns).map(|n| n.to_string()).collect();
            let read = DatasetUse { dataset, columns, filters: Vec::new(), joins: Vec::new() };
            let text = Some("t".repeat(text));
            fact(Statement::Query(QueryRun { reads: vec![read], text, ..QueryRun::default() }))
        };
        assert!(check_read(&query(3, 97), &limits()).is_ok());
        refused(&query(4, 0), "/entries/0/value");
        refused(&query(3, 98), "/entries");
        let part = |size: usize| {
            let columns = [("c".repeat(size), 1)].into();
            fact(Statement::Usage(UsagePart { columns, ..UsagePart::default() }))
        };
        assert!(check_read(&part(100), &limits()).is_ok());
        refused(&part(101), "/entries");
        let named = |place: u32| {
            let user = PartUser { user: "u".into(), queries: 1, failed: 0, columns: vec![(place, 1)] };
            fact(Statement::Usage(UsagePart { names: vec!["c".into()], users: vec![user], ..UsagePart::default() }))
        };
        assert!(check_read(&named(0), &limits()).is_ok());
        let fault = check_read(&named(1), &limits()).unwrap_err();
        assert_eq!((fault.code, fault.path.as_str()), (ReasonCode::InvalidField, "/entries/0/value/users/0/c"));
    }

    #[test]
    fn columns_nest_as_deep_as_they_are_shown() {
        let nested = |levels: usize| {
            let mut column = Column { name: "x".into(), ..Column::default() };
            for _ in 1..levels {
                column = Column { name: "x".into(), fields: vec![column], ..Column::default() };
            }
            fact(Statement::Columns(Columns { completeness: Completeness::Complete, columns: vec![column] }))
        };
        let limits = FactLimits::default();
        assert!(check_read(&nested(MAX_DEPTH), &limits).is_ok());
        assert_eq!(check_read(&nested(MAX_DEPTH + 1), &limits).unwrap_err().code, ReasonCode::LimitExceeded);
    }

    #[test]
    fn times_and_ids_of_nowhere_are_refused() {
        let at = |time: i64| Fact { version: Version { time, ..Version::MIN }, ..fact(columns(&[])) };
        for time in [TIMES.start, 0, TIMES.end - 1] {
            assert!(check_read(&at(time), &limits()).is_ok(), "{time}");
        }
        for time in [i64::MIN, TIMES.start - 1, TIMES.end, i64::MAX] {
            let fault = check_read(&at(time), &limits()).unwrap_err();
            assert_eq!((fault.code, fault.path.as_str()), (ReasonCode::InvalidField, "/version/time"));
        }
        let notice = Fact { via: vec![EntityId::from_canonical("s3://b")], ..at(i64::MIN) };
        assert!(check_read(&notice, &limits()).is_ok());
        for text in ["", "t", "hive://h:1/a b", "hive://h:1/a\0", "hive://h:1/%61", "HIVE://h"] {
            let fact = Fact { entity: EntityId::from_canonical(text), ..at(0) };
            let fault = check_read(&fact, &limits()).unwrap_err();
            assert_eq!((fault.code, fault.path.as_str()), (ReasonCode::InvalidField, "/entity"), "{text:?}");
            assert!(check_made(&fact, &limits()).is_ok(), "normalisers make ids by the rules");
        }
        let fault = check_made(&at(i64::MAX), &limits()).unwrap_err();
        assert_eq!((fault.code, fault.path.as_str()), (ReasonCode::InvalidField, ""));
    }
}
