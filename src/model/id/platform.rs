//! What is known of each platform: which schemes are one, how deep its names are, whether case counts.

/// How names of a scheme become segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Platform {
    /// Names of dot-joined parts.
    Database(Database),
    /// One flat name.
    Topics,
    /// Paths.
    Store,
    /// Local paths, perhaps of Windows; the host does not count.
    Files,
    /// Nothing is known: the name stands as it is.
    Other,
    /// Schemes of our own making, never a producer's.
    Reserved,
}

/// How a database platform forms names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Database {
    pub arity: usize,
    /// Whether ids keep case when the instance does not say.
    pub case_sensitive: bool,
    pub style: Style,
}

/// Peculiarities in how a database writes names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    /// Catalogs before the database.
    Hive,
    /// A two-part id lacks its schema, not its database.
    Snowflake,
    /// The project is the authority; date shards are one table.
    BigQuery,
    /// `table/db/table`.
    Glue,
}

impl Platform {
    pub fn has_containers(self) -> bool {
        matches!(self, Self::Database(_))
    }
}

/// One spelling for schemes that name the same thing.
pub(super) fn canonical_scheme(scheme: &str) -> String {
    let lower = scheme.to_ascii_lowercase();
    match lower.as_str() {
        "s3a" | "s3n" => "s3",
        "gcs" => "gs",
        "abfs" => "abfss",
        "wasbs" => "wasb",
        "postgresql" => "postgres",
        "thrift" => "hive",
        "presto" => "trino",
        _ => return lower,
    }
    .to_owned()
}

pub(super) fn platform_of(scheme: &str) -> Platform {
    let database = |arity, case_sensitive, style| Platform::Database(Database { arity, case_sensitive, style });
    match scheme {
        "hive" => database(2, false, Style::Hive),
        "glue" => database(2, false, Style::Glue),
        "snowflake" => database(3, false, Style::Snowflake),
        "bigquery" => database(3, true, Style::BigQuery),
        "postgres" | "redshift" | "trino" | "unitycatalog" | "databricks" | "oracle" => {
            database(3, false, Style::Plain)
        }
        "mysql" | "mariadb" => database(2, true, Style::Plain),
        "kafka" => Platform::Topics,
        "file" => Platform::Files,
        "s3" | "gs" | "hdfs" | "webhdfs" | "viewfs" | "abfss" | "wasb" | "adl" | "dbfs" | "oss" | "cosn" | "obs"
        | "swift" | "ofs" | "o3fs" | "alluxio" | "maprfs" | "har" => Platform::Store,
        "ol" | "job" | "query" | "check" => Platform::Reserved,
        _ => Platform::Other,
    }
}

/// Whether a scheme is well-formed: RFC 3986, lower case.
pub(super) fn is_scheme(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'.' | b'-'))
}

/// Whether an authority names the machine that speaks, so that two producers may mean different servers by it.
pub fn is_loopback(authority: &str) -> bool {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map_or(v6, |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let host = host.to_ascii_lowercase();
    let v4_loopback = host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified());
    let v6_loopback = host.parse::<std::net::Ipv6Addr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified());
    v4_loopback || v6_loopback || host == "localhost" || host.ends_with(".localhost") || host == "localhost.localdomain"
}
