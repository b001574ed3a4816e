//! Registers of one entity: what each source said, by version, and how that lies in the state.
//!
//! A register keeps a short list of versions, not only the newest: a rename or drop that arrives late falls between
//! two of them, and what is before it belongs to another era. Knows nothing of heads and outputs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::fact::{Aspect, Joined, LocationMoved, Origin, Source, Statement, Version};
use crate::model::id::EntityId;
use crate::model::state::{State, StateError};

use super::changes::Unsettled;
use super::routes::is_from;
use super::slots::{Boundary, Slot, informs, insert_slot};

/// Values up to this many bytes lie in the index itself.
const INLINE_BYTES: usize = 400;
/// Version-free statements kept per aspect and source.
const MAX_MENTIONED: usize = 5_000;

/// Which register.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RegKey {
    pub aspect: Aspect,
    pub sub_key: String,
    pub source: Source,
    /// The entity that forwarded it here; empty for what was said of this entity itself.
    pub sender: String,
}

/// Version-free statements of one source: the result depends on the set of mentions only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Mention {
    pub first: Version,
    pub origin: Origin,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<EntityId>,
    pub said: BTreeMap<Aspect, BTreeMap<String, Arc<Statement>>>,
}

/// Where an aspect's registers lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the index record of (entity, source, sender); loaded with every event.
    Index,
    /// A record of its own, loaded with every event.
    Keyed,
    /// A record of its own that is read only when needed: there may be very many.
    Bulk,
}

/// See [`Place`].
pub(super) fn place(aspect: Aspect) -> Place {
    match aspect {
        Aspect::Constraint
        | Aspect::AliasOf
        | Aspect::Alias
        | Aspect::LocationAsked
        | Aspect::RenamedTo
        | Aspect::LocationMoved => Place::Keyed,
        Aspect::Partition | Aspect::ColumnStats | Aspect::Quality => Place::Bulk,
        _ => Place::Index,
    }
}

/// Everything of an entity that its head depends on.
#[derive(Clone, Debug)]
pub(super) struct Core {
    pub entity: EntityId,
    pub regs: BTreeMap<RegKey, Vec<Slot>>,
    pub mentions: BTreeMap<(Source, String), Mention>,
    /// Earliest event time per (source, sender).
    pub firsts: BTreeMap<(Source, String), i64>,
    /// Ordinal of the newest schema version.
    pub schema_version: i32,
    /// Set while statements are on their way back here.
    pub unsettled: Option<Unsettled>,
    stored_values: BTreeSet<String>,
    packs: Packs,
    dirty_index: BTreeSet<(Source, String)>,
    dirty_keyed: BTreeSet<RegKey>,
    dirty_mentions: BTreeSet<(Source, String)>,
    dirty_schema_version: bool,
}

/// How an index record lies in the state: slots refer to the facts that carried them.
#[derive(Serialize, Deserialize, Default)]
struct IndexRecord {
    first: i64,
    facts: Vec<FactRecord>,
    regs: BTreeMap<Aspect, BTreeMap<String, Vec<SlotRecord>>>,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct FactRecord {
    #[serde(rename = "n")]
    version: Version,
    #[serde(rename = "j", default, skip_serializing_if = "Option::is_none")]
    joined: Option<Joined>,
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    via: Vec<EntityId>,
    #[serde(rename = "o")]
    origin: (String, i32, i64),
}

#[derive(Serialize, Deserialize)]
struct SlotRecord {
    f: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    h: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    v: Option<Arc<Statement>>,
}

/// A key part may not hold the separator.
pub(super) fn key_part(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// Joins key parts with the separator.
pub(super) fn state_key(parts: &[&str]) -> Vec<u8> {
    let parts: Vec<_> = parts.iter().map(|part| key_part(part)).collect();
    parts.join("\0").into_bytes()
}

/// Hash of a value, 16 hex digits, by its JSON.
pub(super) fn hash_text(text: &[u8]) -> String {
    let digest = Sha256::digest(text);
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// JSON of one of our own values.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("values of the model serialize: string keys, no failing impls")
}

/// A record of the state; a record that cannot be read is a fault of the store.
pub(super) fn from_json<T: for<'de> Deserialize<'de>>(key: &[u8], bytes: &[u8]) -> Result<T, StateError> {
    serde_json::from_slice(bytes).map_err(|error| StateError {
        message: format!("record {:?} is unreadable; rebuild the state", String::from_utf8_lossy(key)),
        source: Some(Box::new(error)),
    })
}

impl Core {
    /// Loads what the state holds of `entity`.
    pub fn load(entity: &EntityId, state: &dyn State) -> Result<Self, StateError> {
        let mut core = Self {
            entity: entity.clone(),
            regs: BTreeMap::new(),
            mentions: BTreeMap::new(),
            firsts: BTreeMap::new(),
            schema_version: 0,
            unsettled: None,
            dirty_schema_version: false,
            stored_values: BTreeSet::new(),
            packs: Packs::default(),
            dirty_index: BTreeSet::new(),
            dirty_keyed: BTreeSet::new(),
            dirty_mentions: BTreeSet::new(),
        };
        let mut values: BTreeMap<String, Arc<Statement>> = BTreeMap::new();
        let mut indexes = Vec::new();
        let prefix = state_key(&[entity.as_str(), "c", ""]);
        for (key, bytes) in state.scan(&prefix)? {
            let text = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
            let parts: Vec<&str> = text.split('\0').collect();
            match parts.as_slice() {
                ["v", hash] => {
                    values.insert((*hash).to_owned(), from_json(&key, &bytes)?);
                }
                ["i", source, sender] => {
                    let record: IndexRecord = from_json(&key, &bytes)?;
                    indexes.push((Source::parse(*source), (*sender).to_owned(), record));
                }
                ["k", aspect, sub_key, source, sender] => {
                    let aspect: Aspect = from_json(&key, format!("\"{aspect}\"").as_bytes())?;
                    let (sub_key, sender) = ((*sub_key).to_owned(), (*sender).to_owned());
                    let reg = RegKey { aspect, sub_key, source: Source::parse(*source), sender };
                    core.regs.insert(reg, from_json(&key, &bytes)?);
                }
                ["m", source, sender] => {
                    core.mentions.insert((Source::parse(*source), (*sender).to_owned()), from_json(&key, &bytes)?);
                }
                ["n"] => core.schema_version = from_json(&key, &bytes)?,
                ["u"] => core.unsettled = Some(from_json(&key, &bytes)?),
                _ => {}
            }
        }
        core.stored_values = values.keys().cloned().collect();
        for (source, sender, record) in indexes {
            core.unpack(source, sender, record, &values);
        }
        Ok(core)
    }

    fn unpack(
        &mut self,
        source: Source,
        sender: String,
        record: IndexRecord,
        values: &BTreeMap<String, Arc<Statement>>,
    ) {
        self.firsts.insert((source.clone(), sender.clone()), record.first);
        for (aspect, subs) in record.regs {
            for (sub_key, slots) in subs {
                let slots = slots.into_iter().filter_map(|slot| {
                    let fact = record.facts.get(slot.f)?;
                    let value = slot.v.or_else(|| slot.h.as_ref().and_then(|hash| values.get(hash).cloned()));
                    let (topic, partition, offset) = fact.origin.clone();
                    Some(Slot {
                        version: fact.version,
                        joined: fact.joined.clone(),
                        via: fact.via.clone(),
                        origin: Origin { topic, partition, offset },
                        value,
                    })
                });
                let key = RegKey { aspect, sub_key, source: source.clone(), sender: sender.clone() };
                self.regs.insert(key, slots.collect());
            }
        }
    }

    /// Puts a statement into its register. Returns whether the register changed.
    pub fn insert(&mut self, key: RegKey, slot: Slot, limit: usize) -> bool {
        let first = self.firsts.entry((key.source.clone(), key.sender.clone())).or_insert(i64::MAX);
        let earlier = place(key.aspect) == Place::Index && slot.version.time < *first;
        if earlier {
            *first = slot.version.time;
            self.dirty_index.insert((key.source.clone(), key.sender.clone()));
        }
        let slots = self.regs.entry(key.clone()).or_default();
        if !insert_slot(slots, slot, &key.source, limit) {
            return earlier;
        }
        match place(key.aspect) {
            Place::Index => {
                self.dirty_index.insert((key.source, key.sender));
            }
            _ => {
                self.dirty_keyed.insert(key);
            }
        }
        true
    }

    /// Joins a version-free statement. Returns whether anything changed.
    pub fn mention(
        &mut self,
        source: &Source,
        sender: &str,
        seen: (Version, &Origin, &[EntityId]),
        said: Option<(String, Statement)>,
    ) -> bool {
        let (version, origin, via) = seen;
        let key = (source.clone(), sender.to_owned());
        let mut changed = !self.mentions.contains_key(&key);
        let mention = self.mentions.entry(key.clone()).or_insert_with(|| Mention {
            first: version,
            origin: origin.clone(),
            via: via.to_vec(),
            said: BTreeMap::new(),
        });
        if version < mention.first {
            (mention.first, mention.origin, mention.via) = (version, origin.clone(), via.to_vec());
            changed = true;
        }
        if let Some((sub_key, statement)) = said {
            let subs = mention.said.entry(statement.aspect()).or_default();
            let better = subs.get(&sub_key).is_none_or(|old| **old != statement && informs(&statement) > informs(old));
            // Keeping the smallest keys is the same whatever comes first.
            let fits = subs.len() < MAX_MENTIONED || subs.last_key_value().is_some_and(|(last, _)| sub_key < *last);
            if better && (fits || subs.contains_key(&sub_key)) {
                subs.insert(sub_key, Arc::new(statement));
                if subs.len() > MAX_MENTIONED {
                    subs.pop_last();
                }
                changed = true;
            }
        }
        if changed {
            self.dirty_mentions.insert(key);
        }
        changed
    }

    /// Removes everything that `sender` forwarded here. Returns the statements and the number of mentions.
    pub fn withdraw(&mut self, sender: &str) -> (Vec<(RegKey, Slot)>, usize) {
        let gone: Vec<RegKey> = self.regs.keys().filter(|key| is_from(&key.sender, sender)).cloned().collect();
        let mut removed = Vec::new();
        for key in &gone {
            removed.extend(self.regs.remove(key).into_iter().flatten().map(|slot| (key.clone(), slot)));
            match place(key.aspect) {
                Place::Index => self.dirty_index.insert((key.source.clone(), key.sender.clone())),
                _ => self.dirty_keyed.insert(key.clone()),
            };
        }
        let mentions: Vec<_> = self.mentions.keys().filter(|(_, from)| is_from(from, sender)).cloned().collect();
        for key in &mentions {
            self.mentions.remove(key);
            self.dirty_mentions.insert(key.clone());
        }
        self.firsts.retain(|(_, from), _| !is_from(from, sender));
        (removed, mentions.len())
    }

    /// Whether the source has named a listing's scope for the entity.
    pub fn names_scope(&self, source: &Source) -> bool {
        self.regs.iter().any(|(key, slots)| {
            key.aspect == Aspect::Existence
                && key.source == *source
                && key.sender.is_empty()
                && slots.iter().any(|slot| slot.existence().is_some_and(|existence| existence.scope.is_some()))
        })
    }

    /// Notes the ordinal of the newest schema version.
    pub fn set_schema_version(&mut self, ordinal: i32) {
        self.dirty_schema_version |= self.schema_version != ordinal;
        self.schema_version = ordinal;
    }

    /// Writes what changed: one record per changed index, keyed register, value and mention.
    pub fn save(&mut self, state: &mut dyn State) {
        let entity = self.entity.as_str().to_owned();
        if std::mem::take(&mut self.dirty_schema_version) {
            state.put(state_key(&[&entity, "c", "n"]), json(&self.schema_version));
        }
        for (source, sender) in std::mem::take(&mut self.dirty_mentions) {
            let key = state_key(&[&entity, "c", "m", source.as_str(), &sender]);
            match self.mentions.get(&(source, sender)) {
                Some(mention) => state.put(key, json(mention)),
                None => state.delete(key),
            }
        }
        for reg in std::mem::take(&mut self.dirty_keyed) {
            let (aspect, source) = (reg.aspect.as_str(), reg.source.as_str());
            let key = state_key(&[&entity, "c", "k", aspect, &reg.sub_key, source, &reg.sender]);
            match self.regs.get(&reg) {
                Some(slots) => state.put(key, json(slots)),
                None => state.delete(key),
            }
        }
        let dirty = std::mem::take(&mut self.dirty_index);
        if dirty.is_empty() {
            return;
        }
        let mut used = BTreeSet::new();
        let mut packs = Packs::default();
        let mut packed: BTreeMap<(Source, String), IndexRecord> = BTreeMap::new();
        for (reg, slots) in self.regs.iter().filter(|(reg, _)| place(reg.aspect) == Place::Index) {
            let owner = (reg.source.clone(), reg.sender.clone());
            let write = dirty.contains(&owner);
            for slot in slots {
                let hash = slot.value.as_ref().and_then(|value| packs.hash(reg.aspect, value, &self.packs));
                let value = if hash.is_none() { slot.value.clone() } else { None };
                if let (Some(hash), Some(value)) = (&hash, &slot.value)
                    && used.insert(hash.clone())
                    && !self.stored_values.contains(hash)
                {
                    state.put(state_key(&[&entity, "c", "v", hash]), json(value.as_ref()));
                }
                if write {
                    let record = packed.entry(owner.clone()).or_default();
                    record.first = self.firsts.get(&owner).copied().unwrap_or(slot.version.time);
                    let f = fact_index(&mut record.facts, slot);
                    let subs = record.regs.entry(reg.aspect).or_default();
                    subs.entry(reg.sub_key.clone()).or_default().push(SlotRecord { f, h: hash, v: value });
                }
            }
        }
        for (source, sender) in dirty {
            let key = state_key(&[&entity, "c", "i", source.as_str(), &sender]);
            match packed.get(&(source, sender)) {
                Some(record) => state.put(key, json(record)),
                None => state.delete(key),
            }
        }
        for hash in self.stored_values.difference(&used) {
            state.delete(state_key(&[&entity, "c", "v", hash]));
        }
        self.stored_values = used;
        self.packs = packs;
    }

    /// The move of data that goes with a rename.
    fn moved(&self, rename: &RegKey) -> Option<LocationMoved> {
        let key = RegKey { aspect: Aspect::LocationMoved, ..rename.clone() };
        match self.regs.get(&key)?.last()?.value.as_deref() {
            Some(Statement::LocationMoved(moved)) => Some(moved.clone()),
            _ => None,
        }
    }

    /// Version-free statements of an aspect: (source, mention, sub-key, value).
    pub fn mentioned(&self, aspect: Aspect) -> impl Iterator<Item = (&Source, &Mention, &str, &Arc<Statement>)> {
        self.mentions.iter().flat_map(move |((source, _), mention)| {
            let said = mention.said.get(&aspect).into_iter().flatten();
            said.map(move |(sub_key, value)| (source, mention, sub_key.as_str(), value))
        })
    }

    /// Renames away, oldest first.
    pub fn boundaries(&self) -> Vec<Boundary> {
        let mut out: Vec<Boundary> = self
            .regs
            .iter()
            .filter(|(key, _)| key.aspect == Aspect::RenamedTo)
            .filter_map(|(key, slots)| {
                let slot = slots.last()?;
                match slot.value.as_deref() {
                    Some(Statement::RenamedTo(to)) => Some(Boundary {
                        source: key.source.clone(),
                        version: slot.version,
                        to: to.clone(),
                        moved: self.moved(key),
                    }),
                    _ => None,
                }
            })
            .collect();
        out.sort_by(|a, b| (a.version, &a.source, &a.to).cmp(&(b.version, &b.source, &b.to)));
        out
    }
}

fn fact_index(facts: &mut Vec<FactRecord>, slot: &Slot) -> usize {
    let Origin { topic, partition, offset } = slot.origin.clone();
    let fact = FactRecord {
        version: slot.version,
        joined: slot.joined.clone(),
        via: slot.via.clone(),
        origin: (topic, partition, offset),
    };
    facts.iter().position(|known| *known == fact).unwrap_or_else(|| {
        facts.push(fact);
        facts.len() - 1
    })
}

/// How values lie in the state, by their address; holding them keeps the addresses theirs.
#[derive(Clone, Debug, Default)]
struct Packs(HashMap<usize, (Arc<Statement>, Option<String>)>);

impl Packs {
    /// The hash under which a value lies apart, `None` if it lies in the index; `known` spares working it out again.
    fn hash(&mut self, aspect: Aspect, value: &Arc<Statement>, known: &Self) -> Option<String> {
        // These change with every run: apart from the index each would cost a record of its own.
        if matches!(aspect, Aspect::Existence | Aspect::Stats | Aspect::Write | Aspect::DatasetVersion) {
            return None;
        }
        let address = Arc::as_ptr(value) as usize;
        let hash = match self.0.get(&address).or_else(|| known.0.get(&address)) {
            Some((_, hash)) => hash.clone(),
            None => {
                let text = json(value.as_ref());
                (text.len() > INLINE_BYTES).then(|| hash_text(&text))
            }
        };
        self.0.entry(address).or_insert_with(|| (Arc::clone(value), hash.clone()));
        hash
    }
}
