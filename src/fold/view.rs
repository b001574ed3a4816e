//! What of an entity's registers holds now: eras, floors and the newest statement of each source.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::fact::{Aspect, Evidence, Existence, ExistenceState, Source, Statement};

use super::precedence;
use super::registers::{Core, Mention, RegKey};
use super::routes::Routes;
use super::slots::{Boundary, Order, Slot};

/// Decides which slots count.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Eras {
    /// Renames away, oldest first.
    pub boundaries: Vec<Boundary>,
    /// Per source: what is below is void.
    pub floors: BTreeMap<Source, Order>,
}

impl Eras {
    pub fn of(core: &Core) -> Self {
        let mut spoken: BTreeMap<&Source, Vec<(Order, &Existence)>> = BTreeMap::new();
        for (key, slots) in core.regs.iter().filter(|(key, _)| key.aspect == Aspect::Existence) {
            let slots = slots.iter().filter_map(|slot| Some((slot.order(&key.source), slot.existence()?)));
            spoken.entry(&key.source).or_default().extend(slots);
        }
        let mut floors = BTreeMap::new();
        for (source, said) in spoken {
            let newest = said.iter().max_by_key(|(order, _)| order.clone());
            let is_dropped = newest.is_some_and(|(_, existence)| existence.state == ExistenceState::Dropped);
            // What was dropped is shown as it last was, though its drop ends what was said before.
            let counts =
                |existence: &Existence| existence.floor && !(is_dropped && existence.state == ExistenceState::Dropped);
            let floor = said.iter().filter(|(_, existence)| counts(existence)).map(|(order, _)| order.clone()).max();
            floors.extend(floor.map(|floor| (source.clone(), floor)));
        }
        Self { boundaries: core.boundaries(), floors }
    }

    /// Whether the slot speaks of the present incarnation of this entity.
    pub fn is_live(&self, source: &Source, slot: &Slot) -> bool {
        !self.is_away(source, slot) && self.floors.get(source).is_none_or(|floor| slot.order(source) >= *floor)
    }

    /// Whether a rename took the slot elsewhere. What a person said stays dormant and wakes.
    pub fn is_away(&self, source: &Source, slot: &Slot) -> bool {
        !is_about_name(source) && self.boundaries.iter().any(|boundary| slot.before(source, boundary))
    }
}

/// The newest live statement of a source.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub source: &'a Source,
    pub slot: &'a Slot,
    pub value: &'a Statement,
}

/// What is to be known of all registers before one of them can be read.
#[derive(Debug)]
pub(super) struct Seen {
    pub eras: Eras,
    pub routes: Routes,
}

/// An entity as it is now.
pub(super) struct View<'a> {
    pub core: &'a Core,
    pub seen: Seen,
}

impl<'a> View<'a> {
    pub fn of(core: &'a Core) -> Self {
        Self { core, seen: Seen { eras: Eras::of(core), routes: Routes::of(core) } }
    }

    /// Newest live statement of each source, by sub-key, for one aspect.
    pub fn by_sub(&self, aspect: Aspect) -> BTreeMap<&'a str, Vec<Said<'a>>> {
        let mut newest: BTreeMap<(&'a str, &'a Source), (Order, &'a Slot)> = BTreeMap::new();
        let from = RegKey { aspect, sub_key: String::new(), source: Source::parse(""), sender: String::new() };
        for (key, slots) in self.core.regs.range(from..).take_while(|(key, _)| key.aspect == aspect) {
            // A name stays a name of what it meant, also when that is dropped.
            let counts = |slot: &&Slot| match aspect {
                Aspect::Alias => !self.seen.eras.is_away(&key.source, slot),
                _ => self.seen.eras.is_live(&key.source, slot),
            };
            let Some(slot) = slots.last().filter(counts) else { continue };
            let order = slot.order(&key.source);
            let entry = newest.entry((&key.sub_key, &key.source)).or_insert_with(|| (order.clone(), slot));
            // Two senders may bring the same version; the smaller text wins whatever came first.
            if order > entry.0 || (order == entry.0 && key.sender.is_empty()) {
                *entry = (order, slot);
            }
        }
        let mut out: BTreeMap<&'a str, Vec<Said<'a>>> = BTreeMap::new();
        for ((sub_key, source), (_, slot)) in newest {
            if let Some(value) = slot.value.as_deref() {
                out.entry(sub_key).or_default().push(Said { source, slot, value });
            }
        }
        out
    }

    /// Newest live statement of each source under the empty sub-key.
    pub fn said(&self, aspect: Aspect) -> Vec<Said<'a>> {
        self.by_sub(aspect).remove("").unwrap_or_default()
    }

    /// The statement that is shown: by rank, then newest, then by name of the source.
    pub fn best(&self, aspect: Aspect) -> Option<Said<'a>> {
        best_of(aspect, self.said(aspect))
    }

    /// See [`Core::mentioned`].
    pub fn mentioned(&self, aspect: Aspect) -> Vec<(&'a Source, &'a Mention, &'a str, &'a Arc<Statement>)> {
        self.core.mentioned(aspect).collect()
    }

    /// State of being, by the precedence of evidence; `None` if nothing is said of the entity.
    pub fn existence(&self) -> Option<ExistenceState> {
        let mut spoken: Vec<(u16, std::cmp::Reverse<i64>, &Source, &Existence)> = self
            .said(Aspect::Existence)
            .into_iter()
            .filter_map(|said| match said.value {
                Statement::Existence(existence) => {
                    let rank = precedence::existence(said.source, existence);
                    Some((rank, std::cmp::Reverse(said.slot.version.time), said.source, existence))
                }
                _ => None,
            })
            .collect();
        spoken.sort_by(|a, b| (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)));
        let mut unsupported: Vec<&Source> = Vec::new();
        let mut weak = None;
        for (_, _, source, existence) in spoken {
            match (existence.state, existence.evidence) {
                // A listing takes back one source's support only; the owner's own word ends it.
                (ExistenceState::Dropped, Evidence::Listing) => unsupported.push(source),
                (ExistenceState::Referenced, _) => weak = weak.or(Some(ExistenceState::Referenced)),
                (state, _) => return Some(state),
            }
        }
        let mentioned = self.mentioned(Aspect::Existence);
        // Who lists what is not his takes back no more than that he knew of it: others may still read it.
        let is_gone = |source: &&Source| {
            let read_by_others = weak.is_some() || mentioned.iter().any(|(other, _, _, _)| other != source);
            source.family() != "dbt" || !read_by_others
        };
        if unsupported.iter().any(is_gone) {
            return Some(ExistenceState::Dropped);
        }
        let states = mentioned.iter().filter_map(|(_, _, _, value)| match value.as_ref() {
            Statement::Existence(existence) => Some(existence.state),
            _ => None,
        });
        // Somebody reading it is worth more than a guess that it is ephemeral or uninteresting.
        let state = weak.into_iter().chain(states).min_by_key(|state| match state {
            ExistenceState::Confirmed => 0,
            ExistenceState::Referenced => 1,
            ExistenceState::Virtual => 2,
            ExistenceState::Ignored => 3,
            ExistenceState::Dropped => 4,
        });
        state.or_else(|| self.speaks().then_some(ExistenceState::Referenced))
    }

    /// Whether anything describes the entity itself (a mere name for something else does not).
    fn speaks(&self) -> bool {
        let describes = |aspect: Aspect| dates(aspect) && aspect != Aspect::Symlink;
        let live = |(key, slots): (&RegKey, &Vec<Slot>)| {
            describes(key.aspect)
                && slots.last().is_some_and(|slot| slot.value.is_some() && self.seen.eras.is_live(&key.source, slot))
        };
        self.core.regs.iter().any(live)
            || self.core.mentions.values().any(|mention| mention.said.keys().any(|aspect| describes(*aspect)))
    }

    /// After a rename away: whether somebody who may do so created the name anew.
    pub fn is_reborn(&self) -> bool {
        let Some(last) = self.seen.eras.boundaries.last() else { return true };
        self.said(Aspect::Existence).into_iter().any(|said| match said.value {
            Statement::Existence(existence) if existence.state != ExistenceState::Dropped => {
                !is_about_name(said.source)
                    && (precedence::existence(said.source, existence) != 2 || last.source.family() != "hms")
            }
            _ => false,
        })
    }

    /// How often the present entity was created, at least 1.
    pub fn incarnation(&self) -> i32 {
        let mut creations: Vec<(&Source, Order)> = Vec::new();
        for (key, slots) in self.core.regs.iter().filter(|(key, _)| key.aspect == Aspect::Existence) {
            for slot in slots.iter().filter(|slot| !self.seen.eras.is_away(&key.source, slot)) {
                let creates = slot.existence().is_some_and(Existence::creates);
                if creates {
                    creations.push((&key.source, slot.order(&key.source)));
                }
            }
        }
        creations.sort_unstable();
        creations.dedup();
        let mut per_source: BTreeMap<&Source, i32> = BTreeMap::new();
        for (source, _) in creations {
            *per_source.entry(source).or_default() += 1;
        }
        per_source.into_values().max().unwrap_or(1)
    }

    /// Earliest event time of what is said of the entity since its last rename away.
    pub fn first_seen(&self) -> i64 {
        let since = self.seen.eras.boundaries.last().map_or(i64::MIN, |boundary| boundary.version.time);
        let firsts = self.core.firsts.values().copied().filter(|time| *time >= since);
        let mentions = self.core.mentions.values().map(|mention| mention.first.time).filter(|time| *time >= since);
        let slots = self.core.regs.iter().filter(|(key, _)| dates(key.aspect)).flat_map(|(key, slots)| {
            slots.iter().filter(|slot| !self.seen.eras.is_away(&key.source, slot)).map(|slot| slot.version.time)
        });
        firsts.chain(mentions).chain(slots).min().unwrap_or(0)
    }

    /// Newest event time of a statement, in whole hours.
    pub fn last_seen(&self) -> i64 {
        let dated = self.core.regs.iter().filter(|(key, _)| dates(key.aspect));
        let slots = dated.filter_map(|(_, slots)| slots.last()).map(|slot| slot.version.time);
        let mentions = self.core.mentions.values().map(|mention| mention.first.time);
        whole_hour(slots.chain(mentions).max().unwrap_or(0))
    }
}

/// Whether a source speaks of whatever has the name: a rename takes nothing of it away. A person's edits wake with the
/// next table of that name; a dbt model is its name, and each build renames the table that was there.
pub(super) fn is_about_name(source: &Source) -> bool {
    matches!(source.family(), "person" | "dbt")
}

/// Whether a register's versions tell when the entity itself was seen.
fn dates(aspect: Aspect) -> bool {
    !matches!(
        aspect,
        Aspect::Alias | Aspect::AliasOf | Aspect::LocationAsked | Aspect::RenamedTo | Aspect::LocationMoved
    )
}

/// The best of several sources' statements; see [`View::best`].
pub(super) fn best_of<'a>(aspect: Aspect, said: Vec<Said<'a>>) -> Option<Said<'a>> {
    said.into_iter()
        .min_by_key(|s| (precedence::aspect(aspect, s.source), std::cmp::Reverse(s.slot.version.time), s.source))
}

/// Down to the hour, microseconds.
pub(super) fn whole_hour(time: i64) -> i64 {
    const HOUR: i64 = 3_600_000_000;
    time.div_euclid(HOUR).saturating_mul(HOUR)
}

/// How a state is written in records.
pub(super) fn state_name(state: ExistenceState) -> &'static str {
    match state {
        ExistenceState::Confirmed => "confirmed",
        ExistenceState::Dropped => "dropped",
        ExistenceState::Referenced => "referenced",
        ExistenceState::Virtual => "virtual",
        ExistenceState::Ignored => "ignored",
    }
}
