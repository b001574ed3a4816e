//! Forgets what no reader sees any more. By event time: what has expired when the newest query of the partition ended is
//! as if it were not there for whoever reads as of then or later, so that taking it away changes nothing for them.
//!
//! Each end of a batch forgets about as much as the batch brought, at most: no batch becomes long by it.

use crate::model::id::EntityId;
use crate::model::query::{query_record_key, usage_expiry};
use crate::model::record::{CatalogOutput, CatalogTopic};
use crate::model::state::{State, StateError};

use super::super::registers::{from_json, json, state_key};
use super::owner::{self, DAYS};
use super::query_key;
use super::seen::Seen;
use super::tally::{TOTALS, ordered, total_key, user_key};

const MINUTE: i64 = 60_000_000;
/// Where lists of queries lie, by the minute in which they expire.
const EXPIRING: &str = "x";
const WATERMARK: &[u8] = b"\0w";

/// Newest end of a query in this partition, whole minutes.
pub(super) fn watermark(state: &dyn State) -> Result<Option<i64>, StateError> {
    state.get(WATERMARK)?.map(|bytes| from_json(WATERMARK, &bytes)).transpose()
}

/// Moves the watermark on; returns where it is.
pub(super) fn move_watermark(to: Option<i64>, state: &mut dyn State) -> Result<Option<i64>, StateError> {
    let known = watermark(state)?;
    let to = to.map(|time| time.div_euclid(MINUTE) * MINUTE);
    if to > known
        && let Some(to) = to
    {
        state.put(WATERMARK.to_vec(), json(&to));
        return Ok(Some(to));
    }
    Ok(known)
}

/// The minute at whose end a query has expired.
pub(super) fn minute_of(expires_at: i64) -> i64 {
    expires_at.div_euclid(MINUTE) + 1
}

/// Notes the queries of a batch that expire in one minute.
pub(super) fn note(minute: i64, queries: &[EntityId], state: &mut dyn State) -> Result<(), StateError> {
    let Some(first) = queries.first() else { return Ok(()) };
    let key = state_key(&["", EXPIRING, &ordered(minute), first.as_str()]);
    let mut noted: Vec<EntityId> = match state.get(&key)? {
        Some(bytes) => from_json(&key, &bytes)?,
        None => Vec::new(),
    };
    noted.extend_from_slice(queries);
    state.put(key, json(&noted));
    Ok(())
}

/// A list that is due, and where it lies.
type Chunk = (Vec<u8>, Vec<u8>);

/// Day (or minute) and rest of a key under `kind`.
fn split<'k>(key: &'k [u8], kind: &str) -> Option<(i64, &'k str)> {
    let text = std::str::from_utf8(key).ok()?.strip_prefix('\0')?.strip_prefix(kind)?.strip_prefix('\0')?;
    let (number, rest) = text.split_once('\0')?;
    Some(((u64::from_str_radix(number, 16).ok()? ^ (1 << 63)) as i64, rest))
}

fn first(kind: &str, state: &dyn State) -> Result<Option<Chunk>, StateError> {
    Ok(state.scan_first(&state_key(&["", kind, ""]), 1)?.pop())
}

/// Forgets queries that expired before `watermark`, until `allowance` is used up.
pub(super) fn forget_queries(
    watermark: i64,
    allowance: &mut usize,
    state: &mut dyn State,
    out: &mut Vec<CatalogOutput>,
) -> Result<(), StateError> {
    while *allowance > 0
        && let Some((key, bytes)) = first(EXPIRING, state)?
    {
        if split(&key, EXPIRING).is_none_or(|(minute, _)| minute.saturating_mul(MINUTE) > watermark) {
            return Ok(());
        }
        let queries: Vec<EntityId> = from_json(&key, &bytes)?;
        for query in &queries {
            let query_key = query_key(query);
            let Some(bytes) = state.get(&query_key)? else { continue };
            let seen = Seen::read(&query_key, &bytes)?;
            // A richer source may have told of another end; it has noted it anew.
            if seen.expires_at <= watermark {
                state.delete(query_key);
                out.push(CatalogOutput {
                    topic: CatalogTopic::Queries,
                    key: query_record_key(query),
                    owner: query.as_str().to_owned(),
                    value: None,
                });
            }
        }
        state.delete(key);
        *allowance = allowance.saturating_sub(queries.len().max(1));
    }
    Ok(())
}

/// Forgets what this partition's queries added to days that have expired. Returns the tallies that are gone.
pub(super) fn forget_tallies(
    watermark: i64,
    allowance: &mut usize,
    state: &mut dyn State,
) -> Result<Vec<(i64, EntityId)>, StateError> {
    let mut gone = Vec::new();
    while *allowance > 0
        && let Some((key, _)) = first(TOTALS, state)?
        && let Some((day, dataset)) = split(&key, TOTALS).filter(|(day, _)| usage_expiry(*day) <= watermark)
    {
        let users = state.scan_first(&user_key(day, dataset, ""), *allowance)?;
        let all = users.len() < *allowance;
        *allowance = allowance.saturating_sub(users.len().max(1));
        users.into_iter().for_each(|(key, _)| state.delete(key));
        if all {
            state.delete(total_key(day, dataset));
            gone.push((day, EntityId::from_canonical(dataset)));
        }
    }
    Ok(gone)
}

/// Forgets the usage of datasets on days that have expired.
pub(super) fn forget_usage(
    watermark: i64,
    allowance: &mut usize,
    state: &mut dyn State,
    out: &mut Vec<CatalogOutput>,
) -> Result<(), StateError> {
    while *allowance > 0
        && let Some((key, _)) = first(DAYS, state)?
        && let Some((day, dataset)) = split(&key, DAYS).filter(|(day, _)| usage_expiry(*day) <= watermark)
    {
        owner::forget(dataset, day, state)?;
        let key = owner::record_key(dataset, day);
        out.push(CatalogOutput { topic: CatalogTopic::Usage, key, owner: dataset.to_owned(), value: None });
        *allowance -= 1;
    }
    Ok(())
}
