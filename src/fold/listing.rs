//! Listings: what a complete list of a scope no longer names has lost that source's support.
//!
//! The scope's owner knows who was ever reported in it. A listing is effective when its last page is there; only the
//! newest effective one counts, so that pages and listings may come in any order.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::fact::{
    EntityKind, Entry, Evidence, Existence, ExistenceState, Fact, ListingPage, Statement, Version, kind_of_members,
};
use crate::model::id::EntityId;
use crate::model::state::{State, StateError};

use super::registers::{from_json, json, state_key};
use super::{FoldOutcome, FoldOutput, checks};

/// The newest effective listing of a source. Whom it names is in a record for each of them: they may be millions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Effective {
    listing: String,
    version: Version,
}

/// A page in the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Page {
    version: Version,
    page: ListingPage,
}

/// Applies a fact about a scope.
pub(super) fn apply(fact: &Fact, state: &mut dyn State, out: &mut FoldOutput) -> Result<FoldOutcome, StateError> {
    let mut changed = false;
    for entry in &fact.entries {
        changed |= match &entry.value {
            Some(Statement::Member(true)) => {
                member(fact, &EntityId::from_canonical(entry.sub_key.as_str()), state, out)?
            }
            Some(Statement::Listing(page)) => listing(fact, page, state, out)?,
            _ if checks::is_check(&fact.entity) => checks::apply(fact, entry, state, out)?,
            _ => false,
        };
    }
    Ok(match (out.forwarded.is_empty(), changed) {
        (false, _) => FoldOutcome::Applied,
        (true, true) => FoldOutcome::NoOp("recorded"),
        (true, false) => FoldOutcome::NoOp("unchanged"),
    })
}

/// The fact by which an entity tells its scope, at its first statement with one.
pub(super) fn membership(fact: &Fact, scope: &EntityId) -> Fact {
    Fact {
        entity: scope.clone(),
        kind: EntityKind::Scope,
        entries: vec![Entry::keyed(fact.entity.as_str(), Statement::Member(true))],
        via: Vec::new(),
        ..fact.clone()
    }
}

/// The scope that a fact names for its entity.
pub(super) fn scope_of(fact: &Fact) -> Option<&EntityId> {
    fact.entries.iter().find_map(|entry| match &entry.value {
        Some(Statement::Existence(existence)) => existence.scope.as_ref(),
        _ => None,
    })
}

fn key(fact: &Fact, parts: &[&str]) -> Vec<u8> {
    let mut all = vec![fact.entity.as_str(), "l", fact.source.as_str()];
    all.extend(parts);
    state_key(&all)
}

fn effective(fact: &Fact, state: &dyn State) -> Result<Option<Effective>, StateError> {
    let key = key(fact, &["effective"]);
    state.get(&key)?.map(|bytes| from_json(&key, &bytes)).transpose()
}

fn member(fact: &Fact, member: &EntityId, state: &mut dyn State, out: &mut FoldOutput) -> Result<bool, StateError> {
    let key = key(fact, &["member", member.as_str()]);
    if state.get(&key)?.is_some() {
        return Ok(false);
    }
    state.put(key, json(&true));
    if let Some(effective) = effective(fact, state)?
        && state.get(&named_key(fact, member))?.is_none()
    {
        out.forwarded.push(verdict(fact, member, effective.version, ExistenceState::Dropped));
    }
    Ok(true)
}

/// Where it stands that the effective listing names `member`.
fn named_key(fact: &Fact, member: &EntityId) -> Vec<u8> {
    key(fact, &["named", member.as_str()])
}

/// Whether the source is the owner of what it lists: its listing is its own word, and states anew whom it names.
fn is_owner(fact: &Fact) -> bool {
    fact.source.family() == "hms"
}

fn verdict(fact: &Fact, member: &EntityId, version: Version, existence: ExistenceState) -> Fact {
    Fact {
        entity: member.clone(),
        kind: kind_of(member, &fact.entity),
        source: fact.source.clone(),
        version,
        origin: fact.origin.clone(),
        via: Vec::new(),
        entries: vec![Entry::of(Statement::Existence(Existence {
            state: existence,
            evidence: if is_owner(fact) { Evidence::Owner } else { Evidence::Listing },
            // What comes back in a later listing is as it was, unless its owner had dropped it.
            floor: is_owner(fact),
            scope: None,
        }))],
    }
}

/// Listings name datasets, and dbt's also jobs and checks; their ids differ.
fn kind_of(member: &EntityId, scope: &EntityId) -> EntityKind {
    match member.as_str().split("://").next() {
        Some("job") => EntityKind::Job,
        _ if checks::is_check(member) => EntityKind::Scope,
        _ => kind_of_members(scope),
    }
}

fn listing(fact: &Fact, page: &ListingPage, state: &mut dyn State, out: &mut FoldOutput) -> Result<bool, StateError> {
    let before = effective(fact, state)?;
    if before.as_ref().is_some_and(|known| known.listing == page.listing) {
        return Ok(false);
    }
    let page_key = |nth: &str| key(fact, &["page", &page.listing, nth]);
    let own = page_key(&format!("{:010}", page.page));
    let record = json(&Page { version: fact.version, page: page.clone() });
    if state.get(&own)?.as_ref() == Some(&record) {
        return Ok(false);
    }
    state.put(own, record);
    let mut pages = Vec::new();
    for (key, bytes) in state.scan(&page_key(""))? {
        pages.push((key.clone(), from_json::<Page>(&key, &bytes)?));
    }
    if pages.len() < page.pages as usize {
        return Ok(true);
    }
    let version = pages.iter().map(|(_, page)| page.version).max().unwrap_or(fact.version);
    let members: BTreeSet<EntityId> = pages.iter().flat_map(|(_, page)| page.page.members.clone()).collect();
    for (key, _) in pages {
        state.delete(key);
    }
    if before.as_ref().is_some_and(|known| known.version >= version) {
        return Ok(true);
    }
    let in_state = |state: &dyn State, what: &str| -> Result<BTreeSet<EntityId>, StateError> {
        let prefix = key(fact, &[what, ""]);
        let keys = state.scan(&prefix)?.into_iter();
        Ok(keys.map(|(key, _)| id_after(&prefix, &key)).collect())
    };
    let named_before = in_state(state, "named")?;
    for member in in_state(state, "member")? {
        let was_missing = before.is_some() && !named_before.contains(&member);
        if !members.contains(&member) {
            out.forwarded.push(verdict(fact, &member, version, ExistenceState::Dropped));
        } else if was_missing && !is_owner(fact) && fact.source.family() != "dbt" {
            // What lists it otherwise says no more of it; a manifest describes all that it lists.
            out.forwarded.push(verdict(fact, &member, version, ExistenceState::Confirmed));
        }
    }
    for member in named_before.difference(&members) {
        state.delete(named_key(fact, member));
    }
    for member in members.difference(&named_before) {
        state.put(named_key(fact, member), json(&true));
    }
    let effective = Effective { listing: page.listing.clone(), version };
    state.put(key(fact, &["effective"]), json(&effective));
    Ok(true)
}

fn id_after(prefix: &[u8], key: &[u8]) -> EntityId {
    EntityId::from_canonical(String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned())
}
