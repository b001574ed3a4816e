//! Which platform's shape a record has, by the names of its fields.

use super::event::Platform;
use super::read::Fields;
use crate::model::reject::{ReasonCode, Rejection};

/// A decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Snowflake,
    BigQueryAudit,
    BigQueryJob,
    BigQueryRow,
    RedshiftHistory,
    RedshiftText,
    DatabricksHistory,
    DatabricksLineage,
    TrinoEvent,
    TrinoBareEvent,
    TrinoRow,
    PostgresJson,
    HiveLineage,
    HiveHook,
    HiveRow,
    Common,
}

impl Shape {
    fn platform(self) -> Option<Platform> {
        Some(match self {
            Self::Snowflake => Platform::Snowflake,
            Self::BigQueryAudit | Self::BigQueryJob | Self::BigQueryRow => Platform::BigQuery,
            Self::RedshiftHistory | Self::RedshiftText => Platform::Redshift,
            Self::DatabricksHistory | Self::DatabricksLineage => Platform::Databricks,
            Self::TrinoEvent | Self::TrinoBareEvent | Self::TrinoRow => Platform::Trino,
            Self::PostgresJson => Platform::Postgres,
            Self::HiveLineage | Self::HiveHook | Self::HiveRow => Platform::Hive,
            Self::Common => return None,
        })
    }
}

/// Declares one bit for each name of a field that tells shapes apart.
macro_rules! marks {
    ($($mark:ident = $name:literal),* $(,)?) => {
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "the names of columns")]
        #[derive(Clone, Copy)]
        enum Mark { $($mark),* }

        /// The bit of a name in lower case; 0 for all other names.
        fn bit(name: &[u8]) -> u64 {
            $(const $mark: &[u8] = $name.as_bytes();)*
            match name {
                $($mark => 1 << Mark::$mark as u64,)*
                _ => 0,
            }
        }
    };
}

marks! {
    ACCESSED_METADATA = "accessed_metadata",
    BASE_OBJECTS_ACCESSED = "base_objects_accessed",
    CLUSTER_USER = "cluster_user",
    CONFIGURATION = "configuration",
    CONTEXT = "context",
    CREATE_TIME = "createtime",
    CREATION_TIME = "creation_time",
    DIRECT_OBJECTS_ACCESSED = "direct_objects_accessed",
    EDGES = "edges",
    END_USER = "end_user",
    ENTITY_TYPE = "entity_type",
    ERROR_SEVERITY = "error_severity",
    EVENT_PAYLOAD = "eventpayload",
    EVENT_TIME = "event_time",
    EVENT_TYPE = "eventtype",
    EXECUTION_STATUS = "execution_status",
    HIVE_QUERY_ID = "hivequeryid",
    HIVE_VERSION = "hive_version",
    IO_METADATA = "iometadata",
    JOB_ID = "job_id",
    JOB_REFERENCE = "jobreference",
    JOB_TYPE = "job_type",
    MESSAGE = "message",
    METADATA = "metadata",
    OBJECTS_MODIFIED = "objects_modified",
    OBJECT_MODIFIED_BY_DDL = "object_modified_by_ddl",
    PID = "pid",
    PROTO_PAYLOAD = "protopayload",
    QUERY = "query",
    QUERY_ID = "query_id",
    QUERY_ID_CAMEL = "queryid",
    QUERY_LABEL = "query_label",
    QUERY_START_TIME_MS = "query_start_time_ms",
    QUERY_STR = "querystr",
    QUERY_STRING = "querystring",
    QUERY_TAG = "query_tag",
    QUERY_TEXT = "query_text",
    QUERY_TEXT_CAMEL = "querytext",
    QUERY_TXT = "querytxt",
    REDSHIFT_VERSION = "redshift_version",
    ROLE_NAME = "role_name",
    SEQUENCE = "sequence",
    SESSION_ID = "session_id",
    SOURCE_PATH = "source_path",
    SOURCE_TABLE = "source_table_full_name",
    SQL = "sql",
    STATEMENT = "statement",
    STATEMENT_ID = "statement_id",
    STATEMENT_TEXT = "statement_text",
    STATISTICS = "statistics",
    TARGET_PATH = "target_path",
    TARGET_TABLE = "target_table_full_name",
    TEXT = "text",
    TOTAL_SLOT_MS = "total_slot_ms",
    TRANSACTION_ID = "transaction_id",
    USER_EMAIL = "user_email",
    USR = "usr",
    VERTICES = "vertices",
    WAREHOUSE_NAME = "warehouse_name",
    WORKSPACE_ID = "workspace_id",
    XID = "xid",
}

/// Which of the telling names a record has.
struct Marks(u64);

impl Marks {
    fn of(fields: &Fields<'_>) -> Self {
        let mut lower = [0_u8; 32];
        Self(fields.names().fold(0, |marks, name| {
            let Some(lower) = lower.get_mut(..name.len()) else { return marks };
            lower.copy_from_slice(name.as_bytes());
            lower.make_ascii_lowercase();
            marks | bit(lower)
        }))
    }

    fn has(&self, mark: Mark) -> bool {
        self.0 & (1 << mark as u64) != 0
    }

    fn all(&self, marks: &[Mark]) -> bool {
        marks.iter().all(|&mark| self.has(mark))
    }

    fn any(&self, marks: &[Mark]) -> bool {
        marks.iter().any(|&mark| self.has(mark))
    }

    /// The shapes of platforms that it fits; at most one for each platform.
    fn fitting(&self) -> Vec<Shape> {
        use Mark as M;
        let has_access_lists = self.any(&[
            M::DIRECT_OBJECTS_ACCESSED,
            M::BASE_OBJECTS_ACCESSED,
            M::OBJECTS_MODIFIED,
            M::OBJECT_MODIFIED_BY_DDL,
        ]);
        let is_snowflake_history = self.any(&[M::ROLE_NAME, M::WAREHOUSE_NAME, M::QUERY_TAG])
            || self.all(&[M::EXECUTION_STATUS, M::QUERY_TEXT]);
        let snowflake = self.has(M::QUERY_ID) && (has_access_lists || is_snowflake_history);
        let bigquery = [
            (self.has(M::PROTO_PAYLOAD), Shape::BigQueryAudit),
            (self.has(M::JOB_REFERENCE) && self.any(&[M::STATISTICS, M::CONFIGURATION]), Shape::BigQueryJob),
            (
                self.has(M::JOB_ID) && self.any(&[M::USER_EMAIL, M::JOB_TYPE, M::TOTAL_SLOT_MS, M::CREATION_TIME]),
                Shape::BigQueryRow,
            ),
        ];
        let is_redshift_history = self.any(&[M::REDSHIFT_VERSION, M::QUERY_LABEL])
            || (self.all(&[M::TRANSACTION_ID, M::QUERY_TEXT]) && !self.has(M::EXECUTION_STATUS));
        let redshift = [
            (self.has(M::QUERY_ID) && is_redshift_history && !snowflake, Shape::RedshiftHistory),
            (self.has(M::QUERY_TXT), Shape::RedshiftHistory),
            (self.all(&[M::SEQUENCE, M::TEXT]) && self.any(&[M::XID, M::PID, M::TRANSACTION_ID]), Shape::RedshiftText),
        ];
        let names_a_side = self.any(&[M::SOURCE_TABLE, M::TARGET_TABLE, M::SOURCE_PATH, M::TARGET_PATH]);
        let databricks = [
            (names_a_side && self.any(&[M::ENTITY_TYPE, M::EVENT_TIME, M::STATEMENT_ID]), Shape::DatabricksLineage),
            (
                self.has(M::STATEMENT_ID) && self.any(&[M::STATEMENT_TEXT, M::EXECUTION_STATUS, M::WORKSPACE_ID]),
                Shape::DatabricksHistory,
            ),
            (self.all(&[M::QUERY_ID, M::QUERY_START_TIME_MS]), Shape::DatabricksHistory),
        ];
        let is_bare = self.all(&[M::METADATA, M::CONTEXT, M::CREATE_TIME]);
        let trino = [
            (self.has(M::EVENT_PAYLOAD), Shape::TrinoEvent),
            (is_bare || self.all(&[M::METADATA, M::IO_METADATA]), Shape::TrinoBareEvent),
            (self.has(M::ACCESSED_METADATA) || self.all(&[M::USR, M::QUERY]), Shape::TrinoRow),
        ];
        let postgres = self.has(M::ERROR_SEVERITY) && self.any(&[M::MESSAGE, M::SESSION_ID]);
        let hive = [
            (self.has(M::QUERY_TEXT_CAMEL) && self.any(&[M::EDGES, M::VERTICES]), Shape::HiveLineage),
            (self.has(M::HIVE_QUERY_ID) && self.has(M::EVENT_TYPE), Shape::HiveHook),
            (self.has(M::QUERY_ID) && self.any(&[M::CLUSTER_USER, M::END_USER, M::HIVE_VERSION]), Shape::HiveRow),
            (
                self.any(&[M::QUERY_ID_CAMEL, M::HIVE_QUERY_ID])
                    && self.any(&[M::QUERY_TEXT_CAMEL, M::QUERY_STR, M::QUERY_STRING]),
                Shape::HiveRow,
            ),
        ];
        let first = |cases: &[(bool, Shape)]| cases.iter().find(|(fits, _)| *fits).map(|&(_, shape)| shape);
        [
            first(&[(snowflake, Shape::Snowflake)]),
            first(&bigquery),
            first(&redshift),
            first(&databricks),
            first(&trino),
            first(&[(postgres, Shape::PostgresJson)]),
            first(&hive),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The one shape of a record that does not name its platform.
///
/// # Errors
/// `unknown_type` for none, `invalid_field` for several; the message says how to name the platform.
pub(super) fn of(fields: &Fields<'_>) -> Result<Shape, Rejection> {
    let marks = Marks::of(fields);
    match marks.fitting().as_slice() {
        [shape] => Ok(*shape),
        [] if marks.any(&[Mark::TEXT, Mark::QUERY, Mark::SQL, Mark::QUERY_TEXT, Mark::STATEMENT]) => Ok(Shape::Common),
        [] => {
            let mut names: Vec<&str> = fields.names().take(8).collect();
            names.sort_unstable();
            let names: String = names.join(", ").chars().take(200).collect();
            let message = format!(
                "fields ({names}) of no query log that is known: wrap it into {{\"platform\": …, \"record\": {{…}}}} or \
                 send the common shape"
            );
            Err(Rejection::new(ReasonCode::UnknownType, "", message))
        }
        several => {
            let names: Vec<String> =
                several.iter().filter_map(|shape| shape.platform()).map(|platform| platform.to_string()).collect();
            let message = format!(
                "may come from {}: wrap it into {{\"platform\": …, \"record\": {{…}}}}, which says which",
                names.join(" or ")
            );
            Err(Rejection::new(ReasonCode::InvalidField, "", message))
        }
    }
}

/// The shape of a record whose platform is told. What fits no shape of the platform's own is read as the common one.
///
/// # Errors
/// `invalid_field` if it has another platform's shape and none of its own.
pub(super) fn within(platform: &Platform, fields: &Fields<'_>) -> Result<Shape, Rejection> {
    let fitting = Marks::of(fields).fitting();
    if let Some(shape) = fitting.iter().find(|shape| shape.platform().as_ref() == Some(platform)) {
        return Ok(*shape);
    }
    match fitting.first().and_then(|shape| shape.platform()) {
        Some(other) if !matches!(platform, Platform::Common(_)) => {
            let message = format!("told to be of {platform}, but has the shape of {other}");
            Err(Rejection::new(ReasonCode::InvalidField, "", message))
        }
        _ => Ok(Shape::Common),
    }
}
