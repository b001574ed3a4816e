//! The structs of the calls themselves, from `hive_metastore.thrift`; the objects are those of the codec.

use crate::codec::hms::thrift::{
    DATABASE, FUNCTION, Field, PARTITION, SQL_CHECK, SQL_DEFAULT, SQL_FOREIGN_KEY, SQL_NOT_NULL, SQL_PRIMARY_KEY,
    SQL_UNIQUE, Struct, TABLE, Wire, structs, wire,
};

structs! {
    /// One entry of the notification log.
    NOTIFICATION_EVENT = "NotificationEvent" {
        1 "eventId": (int), 2 "eventTime": (int), 3 "eventType": (text), 4 "dbName": (text), 5 "tableName": (text),
        6 "message": (text), 7 "messageFormat": (text), 8 "catName": (text),
    }
    /// Entries of the notification log.
    NOTIFICATION_EVENT_RESPONSE = "NotificationEventResponse" { 1 "events": (list NOTIFICATION_EVENT) }
    /// Where the notification log ends.
    CURRENT_NOTIFICATION_EVENT_ID = "CurrentNotificationEventId" { 1 "eventId": (int) }
    /// Names of catalogs.
    GET_CATALOGS_RESPONSE = "GetCatalogsResponse" { 1 "names": (list text) }
    /// Tables.
    GET_TABLES_RESULT = "GetTablesResult" { 1 "tables": (list TABLE) }
    /// Primary keys.
    PRIMARY_KEYS = "PrimaryKeysResponse" { 1 "columns": (list SQL_PRIMARY_KEY) }
    /// Foreign keys.
    FOREIGN_KEYS = "ForeignKeysResponse" { 1 "columns": (list SQL_FOREIGN_KEY) }
    /// Unique keys.
    UNIQUE_CONSTRAINTS = "UniqueConstraintsResponse" { 1 "columns": (list SQL_UNIQUE) }
    /// NOT NULL.
    NOT_NULL_CONSTRAINTS = "NotNullConstraintsResponse" { 1 "columns": (list SQL_NOT_NULL) }
    /// DEFAULT.
    DEFAULT_CONSTRAINTS = "DefaultConstraintsResponse" { 1 "columns": (list SQL_DEFAULT) }
    /// CHECK.
    CHECK_CONSTRAINTS = "CheckConstraintsResponse" { 1 "columns": (list SQL_CHECK) }
}

// Types of answers.

pub(super) static TEXT: Wire = Wire::Text;
pub(super) static TEXTS: Wire = Wire::List(&Wire::Text);
pub(super) static A_DATABASE: Wire = Wire::Struct(&DATABASE);
pub(super) static A_FUNCTION: Wire = Wire::Struct(&FUNCTION);
pub(super) static PARTITIONS: Wire = Wire::List(&Wire::Struct(&PARTITION));
pub(super) static TABLES: Wire = Wire::List(&Wire::Struct(&TABLE));
