//! Run ids that are those of Airflow's OpenLineage provider, so that both of its streams tell of one run.
//!
//! The provider makes a UUID of version 7 whose random part is a hash: of the instant of the DAG run and of what names
//! the run within it. The instant is the logical date, or where a run has none (Airflow 3: manual and asset-triggered
//! runs) the time after which it may run. The rule: documentation of `openlineage.client.uuid` (since 1.15) and of the
//! provider's `build_dag_run_id` and `build_task_instance_run_id`.

use chrono::{DateTime, SecondsFormat};
use sha1_smol::Sha1;
use uuid::Uuid;

use crate::codec::time::parse_micros;

/// Bits of the hash that are used.
const HASH_BITS: u32 = 76;

/// The id of a DAG run.
pub(super) fn of_dag_run(namespace: &str, instant: i64, dag: &str, clear_number: i64) -> Option<Uuid> {
    static_uuid(instant, &format!("{namespace}.{dag}.{clear_number}"))
}

/// The id of one try of a task instance.
pub(super) fn of_task(
    namespace: &str,
    instant: i64,
    dag: &str,
    task: &str,
    try_number: i64,
    map_index: i64,
) -> Option<Uuid> {
    static_uuid(instant, &format!("{namespace}.{dag}.{task}.{try_number}.{map_index}"))
}

/// An id for a run whose instant nobody says: no other source can have the same.
pub(super) fn without_instant(parts: &[&str]) -> Uuid {
    let name = serde_json::to_string(parts).expect("texts are JSON");
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
}

/// The instant that Airflow puts into the ids of its DAG runs: `manual__2026-11-21T06:13:15.226926+00:00`, sometimes
/// with `_` and random letters behind.
pub(super) fn instant_in(run_id: &str) -> Option<i64> {
    let (_, rest) = run_id.split_once("__")?;
    parse_micros(rest.split('_').next()?)
}

/// `None` if the instant is beyond the calendar.
fn static_uuid(micros: i64, data: &str) -> Option<Uuid> {
    // Python leaves out a fraction of zero.
    let fraction = if micros.rem_euclid(1_000_000) == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
    let instant = DateTime::from_timestamp_micros(micros)?.to_rfc3339_opts(fraction, false);
    // It also goes by way of a float, which now and then is a millisecond less.
    let millis = ((micros as f64 / 1e6) * 1e3) as i64;
    let mut hash = Sha1::new();
    hash.update(instant.as_bytes());
    hash.update(data.as_bytes());
    let digest = hash.digest().bytes();
    let leading = digest.first_chunk::<16>().map(|bytes| u128::from_be_bytes(*bytes))?;
    let random = leading >> (u128::BITS - HASH_BITS);
    let time = (millis as u128 & 0xFFFF_FFFF_FFFF) << 80;
    let plain = (time | random) & !(0xF_u128 << 76) & !(0b11_u128 << 62);
    Some(Uuid::from_u128(plain | (7_u128 << 76) | (0b10_u128 << 62)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        parse_micros(text).expect("a time")
    }

    /// Ids that provider 2.20.3 sent for runs of Airflow 3.1.8.
    #[test]
    fn ids_are_those_that_the_provider_sent() {
        let id = |uuid: Option<Uuid>| uuid.expect("in the calendar").to_string();
        let scheduled = micros("2026-11-21T00:00:00+00:00");
        assert_eq!(id(of_dag_run("airflow-shop", scheduled, "shop_ingest", 0)), "01a1fb67-1800-7a8b-ba11-e886a8284108");
        assert_eq!(
            id(of_task("airflow-shop", scheduled, "shop_ingest", "create", 1, -1)),
            "01a1fb67-1800-7db3-8dd0-4b4a2234764b"
        );
        let manual = micros("2026-11-21T06:13:57.872839+00:00");
        assert_eq!(
            id(of_task("airflow-shop", manual, "shop_flaky", "per_region", 2, 2)),
            "01a1fcbd-77f0-7f61-83ed-265e9fb6a614"
        );
        // The same instant in another zone.
        assert_eq!(
            of_task("airflow-shop", micros("2026-11-21T08:13:57.872839+02:00"), "shop_flaky", "sometimes", 2, -1),
            of_task("airflow-shop", manual, "shop_flaky", "sometimes", 2, -1)
        );
    }

    #[test]
    fn instants_are_found_in_the_ids_of_dag_runs() {
        for (id, instant) in [
            ("scheduled__2026-11-21T00:00:00+00:00", Some("2026-11-21T00:00:00Z")),
            ("asset_triggered__2026-11-21T06:14:25.503058+00:00_lmdC1JDq", Some("2026-11-21T06:14:25.503058Z")),
            ("manual__nightly", None),
            ("mine", None),
            ("", None),
        ] {
            assert_eq!(instant_in(id), instant.map(micros), "{id}");
        }
    }

    #[test]
    fn no_instant_breaks_it() {
        for instant in [i64::MIN, i64::MAX, -1, 0] {
            let id = of_dag_run("n", instant, "d", 0);
            assert!(id.is_none_or(|id| id.get_version_num() == 7), "{instant}");
        }
    }
}
