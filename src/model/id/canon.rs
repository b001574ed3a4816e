//! Canonical names: the parsed form of an id, and the rules that make it from a reported (namespace, name).

use super::encode::{decode, encode};
use super::platform::{Database, Platform, Style, canonical_scheme, is_scheme, platform_of};
use super::{EntityId, IdError, path};

/// A canonical name; stands in a bijection to [`EntityId`] by [`Canon::id`] and [`Canon::parse`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Canon {
    scheme: String,
    authority: String,
    segments: Vec<String>,
}

impl Canon {
    /// From its parts, unencoded. Fails if the scheme is not `[a-z][a-z0-9+.-]*`.
    pub fn new(
        scheme: impl Into<String>,
        authority: impl Into<String>,
        segments: Vec<String>,
    ) -> Result<Self, IdError> {
        let scheme = scheme.into();
        if !is_scheme(&scheme) {
            return Err(IdError::Scheme { text: scheme });
        }
        Ok(Self { scheme, authority: authority.into(), segments })
    }

    /// From the written form of an id. Fails on every text that [`Canon::id`] does not produce.
    pub fn parse(id: &str) -> Result<Self, IdError> {
        let (scheme, rest) = id.split_once("://").ok_or_else(|| IdError::Scheme { text: id.to_owned() })?;
        if !is_scheme(scheme) {
            return Err(IdError::Scheme { text: id.to_owned() });
        }
        let mut parts = rest.split('/');
        let authority = decode(parts.next().unwrap_or_default())?;
        let segments = parts.map(decode).collect::<Result<_, _>>()?;
        Ok(Self { scheme: scheme.to_owned(), authority, segments })
    }

    /// The written form.
    pub fn id(&self) -> EntityId {
        let mut text = format!("{}://{}", self.scheme, encode(&self.authority));
        for segment in &self.segments {
            text.push('/');
            super::encode::encode_into(&mut text, segment, super::encode::RESERVED);
        }
        EntityId::from_canonical(text)
    }

    /// The platform's scheme.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Server, account, bucket, project; may be empty.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Database, schema, table; or the parts of a path.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The same place with other segments.
    #[must_use]
    pub fn with_segments(&self, segments: Vec<String>) -> Self {
        Self { scheme: self.scheme.clone(), authority: self.authority.clone(), segments }
    }

    fn known(scheme: &str, authority: impl Into<String>, segments: Vec<String>) -> Self {
        Self { scheme: scheme.to_owned(), authority: authority.into(), segments }
    }
}

/// What an installation knows of the server that a name lives on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameOptions {
    /// Fills in a missing database (catalog, project).
    pub default_database: Option<String>,
    /// Fills in a missing schema.
    pub default_schema: Option<String>,
    /// Overrides whether ids of the platform keep case.
    pub case_sensitive: Option<bool>,
}

/// A canonical name and whether parts of it are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub canon: Canon,
    /// The platform's names have more parts than were given, and no default fills them.
    pub incomplete: bool,
}

/// The canonical name of a reported dataset, by the rules of its platform alone.
pub fn canon(namespace: &str, name: &str) -> Canon {
    canon_with(namespace, name, &NameOptions::default()).canon
}

/// The canonical name of a reported dataset on a server of which `options` are known.
pub fn canon_with(namespace: &str, name: &str, options: &NameOptions) -> Named {
    let plain = || complete(Canon::known("ol", namespace, vec![name.to_owned()]));
    if let Some(authority) = glue_authority(namespace) {
        return if name.starts_with('/') { plain() } else { database("glue", &authority, Vec::new(), name, options) };
    }
    let Some(root) = Root::parse(namespace) else { return plain() };
    match platform_of(&root.scheme) {
        Platform::Reserved => plain(),
        Platform::Database(_) | Platform::Topics if name.starts_with('/') => plain(),
        Platform::Database(_) => {
            let outer = root.path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
            database(&root.scheme, &root.authority, outer, name, options)
        }
        Platform::Topics => {
            let incomplete = name.is_empty();
            Named { canon: Canon::known(&root.scheme, root.authority, vec![name.to_owned()]), incomplete }
        }
        Platform::Store | Platform::Files | Platform::Other => complete(path::path_canon(&root, name)),
    }
}

/// The canonical name of segments that are already apart, as in an id that somebody typed.
pub(super) fn canon_parts(scheme: &str, authority: &str, parts: Vec<String>, options: &NameOptions) -> Named {
    match platform_of(scheme) {
        Platform::Database(rules) if rules.style == Style::BigQuery => fill(scheme, authority, parts, rules, options),
        Platform::Database(rules) => fill(scheme, &authority.to_lowercase(), parts, rules, options),
        _ => complete(Canon::known(scheme, authority, parts)),
    }
}

fn complete(canon: Canon) -> Named {
    Named { canon, incomplete: false }
}

/// A namespace taken apart: its scheme canonical, the rest as reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Root {
    pub scheme: String,
    pub authority: String,
    /// What follows the authority, with its leading slash.
    pub path: String,
}

impl Root {
    /// `None` if the namespace has no scheme.
    pub fn parse(namespace: &str) -> Option<Self> {
        let text = namespace.trim();
        let text = text.strip_prefix("jdbc:").unwrap_or(text);
        if let Some((scheme, rest)) = text.split_once("://") {
            let scheme = canonical_scheme(scheme);
            return is_scheme(&scheme).then(|| Self::with_authority(scheme, rest));
        }
        let (scheme, path) = match text.split_once(':') {
            Some((scheme, path)) if path.is_empty() || path.starts_with('/') => (scheme, path),
            Some(_) => return None,
            None => (text, ""),
        };
        let scheme = canonical_scheme(scheme);
        // Only these stand alone: they are the names of the one local or default store, or of the one service.
        let stands_alone = matches!(scheme.as_str(), "file" | "dbfs" | "hdfs" | "viewfs" | "bigquery");
        stands_alone.then(|| Self { scheme, authority: String::new(), path: path.to_owned() })
    }

    fn with_authority(scheme: String, rest: &str) -> Self {
        let (authority, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
        match platform_of(&scheme) {
            Platform::Store | Platform::Files | Platform::Reserved => {
                Self { scheme, authority: authority.to_owned(), path: path.to_owned() }
            }
            // Connection strings may carry credentials before `@` and after `?`; neither belongs into an id.
            platform => {
                let host = authority.split('?').next().unwrap_or_default();
                let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
                let host = match platform {
                    Platform::Database(_) if scheme != "bigquery" => host.to_lowercase(),
                    _ => host.to_owned(),
                };
                let host = match (scheme.as_str(), host.strip_suffix(".snowflakecomputing.com")) {
                    ("snowflake", Some(account)) => account.to_owned(),
                    _ => host,
                };
                let path = path.split('?').next().unwrap_or_default().to_owned();
                Self { scheme, authority: host, path }
            }
        }
    }

    /// The namespace in one spelling, for comparing: `scheme://authority`.
    pub fn spelling(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

/// `account.region` of `[arn:]<partition>:glue:<region>:<account>`.
fn glue_authority(namespace: &str) -> Option<String> {
    let mut parts = namespace.strip_prefix("arn:").unwrap_or(namespace).split(':');
    let (partition, service, region, account) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_glue = partition.starts_with("aws") && service == "glue" && !region.is_empty() && !account.is_empty();
    (is_glue && parts.next().is_none()).then(|| format!("{account}.{region}").to_lowercase())
}

fn database(scheme: &str, authority: &str, mut parts: Vec<String>, name: &str, options: &NameOptions) -> Named {
    let Platform::Database(rules) = platform_of(scheme) else {
        return complete(Canon::known(scheme, authority, vec![name.to_owned()]));
    };
    match rules.style {
        Style::BigQuery => parts.extend(split_from_right(&name.replace('`', ""), rules.arity)),
        Style::Glue => {
            let table = name.strip_prefix("table/").unwrap_or(name);
            match table.split_once('/') {
                Some((db, table)) => parts.extend([db.to_owned(), table.to_owned()]),
                None => parts.extend(split_parts(table, rules.arity)),
            }
        }
        Style::Hive => parts.extend(split_parts(name, rules.arity + 1)),
        Style::Plain | Style::Snowflake => parts.extend(split_parts(name, rules.arity)),
    }
    fill(scheme, authority, parts, rules, options)
}

/// Brings parts to the platform's number and case.
fn fill(scheme: &str, authority: &str, parts: Vec<String>, rules: Database, options: &NameOptions) -> Named {
    let mut parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let mut authority = authority.to_owned();
    if rules.style == Style::BigQuery && !authority.is_empty() && parts.len() + 1 == rules.arity {
        parts.insert(0, std::mem::take(&mut authority));
    }
    if rules.style == Style::Hive {
        fold_catalog(&mut parts);
    }
    if parts.len() > rules.arity {
        // More parts than the platform has: what is left over belongs to the outermost or innermost name.
        let at = if rules.style == Style::BigQuery { parts.len() - rules.arity + 1 } else { rules.arity - 1 };
        let tail = parts.split_off(at);
        parts = match rules.style {
            Style::BigQuery => [vec![parts.join(".")], tail].concat(),
            _ => [parts, vec![tail.join(".")]].concat(),
        };
    }
    let lacks = |parts: &[String], n: usize| !parts.is_empty() && parts.len() + n == rules.arity;
    if let Some(schema) = &options.default_schema {
        let schema_is_missing = match rules.style {
            Style::Snowflake => lacks(&parts, 1) || lacks(&parts, 2),
            _ => rules.arity == 3 && lacks(&parts, 2),
        };
        if schema_is_missing {
            parts.insert(parts.len() - 1, schema.clone());
        }
    }
    if let Some(database) = options.default_database.as_ref().filter(|_| lacks(&parts, 1)) {
        parts.insert(0, database.clone());
    }
    if !options.case_sensitive.unwrap_or(rules.case_sensitive) {
        parts.iter_mut().for_each(|part| *part = part.to_lowercase());
    }
    let incomplete = parts.len() < rules.arity;
    if rules.style == Style::BigQuery {
        if let Some(table) = parts.last_mut().filter(|_| !incomplete) {
            *table = unsharded(table);
        }
        if !incomplete {
            authority = parts.remove(0);
        }
    }
    Named { canon: Canon::known(scheme, authority, parts), incomplete }
}

/// Hive 3 puts a catalog before the database. The default one is left out; another is written as the metastore writes
/// it in full database names, so that `catalog.database` cannot be taken for `database.table`.
fn fold_catalog(parts: &mut Vec<String>) {
    if parts.len() < 3 {
        return;
    }
    let catalog = parts.remove(0);
    if let Some(database) = parts.first_mut().filter(|_| !matches!(catalog.as_str(), "hive" | "spark_catalog")) {
        *database = format!("@{catalog}#{database}");
    }
}

/// BigQuery: date shards and the partition decorator belong to one table.
fn unsharded(table: &str) -> String {
    let table = table.split_once('$').map_or(table, |(stem, _)| if stem.is_empty() { table } else { stem });
    let shard_start = table.len().checked_sub(8);
    let Some((stem, date)) = shard_start.and_then(|at| table.split_at_checked(at)) else { return table.to_owned() };
    let in_range = |from: usize, to: usize, range: std::ops::RangeInclusive<u32>| {
        date.get(from..to).and_then(|digits| digits.parse().ok()).is_some_and(|n| range.contains(&n))
    };
    let is_date = date.bytes().all(|b| b.is_ascii_digit()) && in_range(4, 6, 1..=12) && in_range(6, 8, 1..=31);
    if is_date && stem.len() > 1 && stem.ends_with('_') { format!("{stem}*") } else { table.to_owned() }
}

fn split_from_right(name: &str, arity: usize) -> Vec<String> {
    let mut parts: Vec<String> = name.rsplitn(arity, '.').map(str::to_owned).collect();
    parts.reverse();
    parts
}

/// Splits at dots outside quotes into at most `limit` parts; the last keeps what is left. Quotes are removed.
fn split_parts(name: &str, limit: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = name;
    while parts.len() + 1 < limit {
        let Some((part, tail)) = next_part(rest) else { break };
        parts.push(part);
        rest = tail;
    }
    parts.push(unquoted(rest).filter(|(_, tail)| tail.is_empty()).map_or_else(|| rest.to_owned(), |(part, _)| part));
    parts
}

/// The parts of a database name, each with whether it stood in quotes.
pub(super) fn quoted_parts(name: &str) -> Vec<(String, bool)> {
    let mut parts = Vec::new();
    let mut rest = name;
    loop {
        let quoted = unquoted(rest).is_some_and(|(_, tail)| tail.is_empty() || tail.starts_with('.'));
        let Some((part, tail)) = next_part(rest) else {
            parts.push((split_parts(rest, 1).concat(), quoted));
            return parts;
        };
        parts.push((part, quoted));
        rest = tail;
    }
}

/// The part before the next separating dot, and what follows the dot; `None` if no dot separates.
fn next_part(text: &str) -> Option<(String, &str)> {
    match unquoted(text) {
        Some((_, "")) => None,
        Some((part, tail)) if tail.starts_with('.') => tail.split_once('.').map(|(_, tail)| (part, tail)),
        _ => text.split_once('.').map(|(part, tail)| (part.to_owned(), tail)),
    }
}

/// A quoted part at the start of `text`, with doubled quotes undone, and what follows; `None` if there is none.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '`'))?;
    let mut part = String::new();
    let mut rest = text.get(1..)?;
    loop {
        let (plain, tail) = rest.split_once(quote)?;
        part.push_str(plain);
        match tail.strip_prefix(quote) {
            Some(tail) => {
                part.push(quote);
                rest = tail;
            }
            None => return Some((part, tail)),
        }
    }
}
