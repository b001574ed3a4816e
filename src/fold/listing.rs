//! Listings: what a complete list of a scope no longer names has lost that source's support.
//!
//! The scope's owner knows who was ever reported in it. A listing is effective when its last page is there; only the
//! newest effective one counts, so that pages and listings may come in any order.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::fact::{
    EntityKind, Entry, Evidence, Existence, ExistenceState, Fact, ListingPage, Statement, Version,
};
use crate::model::id::EntityId;
use crate::model::state::{State, StateError};

use super::registers::{from_json, json, state_key};
use super::{FoldOutcome, FoldOutput, checks};

/// The newest effective listing of a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Effective {
    listing: String,
    version: Version,
    members: BTreeSet<EntityId>,
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
        && !effective.members.contains(member)
    {
        out.forwarded.push(verdict(fact, member, effective.version, ExistenceState::Dropped));
    }
    Ok(true)
}

fn verdict(fact: &Fact, member: &EntityId, version: Version, existence: ExistenceState) -> Fact {
    Fact {
        entity: member.clone(),
        kind: kind_of(member),
        source: fact.source.clone(),
        version,
        origin: fact.origin.clone(),
        via: Vec::new(),
        entries: vec![Entry::of(Statement::Existence(Existence {
            state: existence,
            evidence: Evidence::Listing,
            // What comes back in a later listing is as it was.
            floor: false,
            scope: None,
        }))],
    }
}

/// Listings name datasets, and dbt's also jobs and checks; their ids differ.
fn kind_of(member: &EntityId) -> EntityKind {
    match member.as_str().split("://").next() {
        Some("job") => EntityKind::Job,
        _ if checks::is_check(member) => EntityKind::Scope,
        _ => EntityKind::Dataset,
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
    let prefix = key(fact, &["member", ""]);
    for (key, _) in state.scan(&prefix)? {
        let text = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
        let member = EntityId::from_canonical(text);
        let was_missing = before.as_ref().is_some_and(|known| !known.members.contains(&member));
        if !members.contains(&member) {
            out.forwarded.push(verdict(fact, &member, version, ExistenceState::Dropped));
        } else if was_missing {
            out.forwarded.push(verdict(fact, &member, version, ExistenceState::Confirmed));
        }
    }
    let effective = Effective { listing: page.listing.clone(), version, members };
    state.put(key(fact, &["effective"]), json(&effective));
    Ok(true)
}
