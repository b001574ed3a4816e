//! Events of real software, recorded once and carried in the program: what `demo` feeds and `chaos` multiplies.

/// 797 notifications of a Hive Metastore 3.1.3, recorded from the running server; the last 42 belong to the Spark run.
pub(super) const HMS: &[u8] = include_bytes!("../../demo/hms-notifications.jsonl.gz");
/// 261 events of one Spark 3.5.6 run against that metastore.
pub(super) const OPENLINEAGE: &[u8] = include_bytes!("../../demo/openlineage-events.jsonl.gz");

/// Topic of the notifications.
pub(super) const HMS_TOPIC: &str = "hms.notifications";
/// Topic of the run events.
pub(super) const OPENLINEAGE_TOPIC: &str = "openlineage.events";
