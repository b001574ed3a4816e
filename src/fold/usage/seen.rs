//! What the state keeps of a query: the source that counts, and what it added to the usage of datasets, so that it can
//! be taken out again.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::fact::{Fact, QueryRun, Version};
use crate::model::id::EntityId;
use crate::model::query::{day_of, day_start};
use crate::model::state::StateError;

use super::super::registers::key_part;
use super::form::{FormError, Reader, Writer, unreadable, whole};

/// A query that was counted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub rank: Rank,
    pub expires_at: i64,
    pub counted: Contribution,
}

/// Of several sources that tell of a query, the largest counts: by richness, then by version, then by name.
pub(super) type Rank = (u8, Version, String);

/// What a query adds to the usage of datasets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Contribution {
    pub day: i64,
    pub user: Option<String>,
    pub failed: bool,
    pub rows: i64,
    pub bytes: i64,
    pub duration_us: i64,
    /// Each dataset once, in order.
    pub reads: Vec<Read>,
    /// Each once, in order.
    pub writes: Vec<EntityId>,
}

/// How it used one dataset; each column and join once, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Read {
    pub dataset: EntityId,
    pub columns: Vec<String>,
    pub filters: Vec<String>,
    /// Column, other dataset, its column.
    pub joins: Vec<(String, EntityId, String)>,
}

fn sort<T: Ord>(list: &mut Vec<T>) {
    list.sort_unstable();
    list.dedup();
}

impl Seen {
    /// What `fact` says of its query.
    pub fn of(fact: &Fact, query: &QueryRun) -> Self {
        let mut reads: BTreeMap<&EntityId, Read> = BTreeMap::new();
        for used in &query.reads {
            let read = reads.entry(&used.dataset).or_insert_with(|| Read {
                dataset: used.dataset.clone(),
                columns: Vec::with_capacity(used.columns.len()),
                filters: Vec::with_capacity(used.filters.len()),
                joins: Vec::with_capacity(used.joins.len()),
            });
            read.columns.extend(used.columns.iter().cloned());
            read.filters.extend(used.filters.iter().cloned());
            let joins = used.joins.iter();
            read.joins.extend(joins.map(|join| (join.column.clone(), join.other.clone(), join.other_column.clone())));
        }
        for read in reads.values_mut() {
            sort(&mut read.columns);
            sort(&mut read.filters);
            sort(&mut read.joins);
        }
        let mut writes = query.writes.clone();
        sort(&mut writes);
        let counted = Contribution {
            day: day_of(query.end),
            user: query.user.as_deref().map(|user| key_part(user).into_owned()),
            failed: query.status != "success",
            rows: query.rows.unwrap_or(0).max(0),
            bytes: query.bytes.unwrap_or(0).max(0),
            duration_us: query.duration_us.unwrap_or(0).max(0),
            reads: reads.into_values().collect(),
            writes,
        };
        let rank = (query.richness, fact.version, fact.source.as_str().to_owned());
        Self { rank, expires_at: query.expires_at, counted }
    }

    /// The datasets it read or wrote.
    pub fn datasets(&self) -> BTreeSet<&EntityId> {
        self.counted.reads.iter().map(|read| &read.dataset).chain(&self.counted.writes).collect()
    }

    /// As a record of the state.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Writer::new(1_000);
        let (richness, version, source) = &self.rank;
        out.unsigned((*richness).into());
        out.version(version);
        out.text(source);
        out.number(self.expires_at);
        let counted = &self.counted;
        out.number(counted.day);
        out.flag(counted.user.is_some());
        if let Some(user) = &counted.user {
            out.text(user);
        }
        out.flag(counted.failed);
        out.number(counted.rows);
        out.number(counted.bytes);
        out.number(counted.duration_us);
        out.length(counted.reads.len());
        for read in &counted.reads {
            out.text(read.dataset.as_str());
            for names in [&read.columns, &read.filters] {
                out.length(names.len());
                names.iter().for_each(|name| out.text(name));
            }
            out.length(read.joins.len());
            for (column, other, other_column) in &read.joins {
                out.text(column);
                out.text(other.as_str());
                out.text(other_column);
            }
        }
        out.length(counted.writes.len());
        counted.writes.iter().for_each(|dataset| out.text(dataset.as_str()));
        out.finish()
    }

    /// From a record of the state.
    pub fn read(key: &[u8], bytes: &[u8]) -> Result<Self, StateError> {
        whole(bytes, Self::parse).map_err(unreadable(key))
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, FormError> {
        let richness = u8::try_from(from.unsigned()?).map_err(|_| FormError::Number)?;
        let rank = (richness, from.version()?, from.text()?.to_owned());
        let expires_at = from.number()?;
        let day = from.number()?;
        if day_of(day_start(day)) != day {
            return Err(FormError::Number);
        }
        let counted = Contribution {
            day,
            user: if from.flag()? { Some(from.text()?.to_owned()) } else { None },
            failed: from.flag()?,
            rows: from.number()?,
            bytes: from.number()?,
            duration_us: from.number()?,
            reads: from.list(Read::parse)?,
            writes: from.list(id)?,
        };
        Ok(Self { rank, expires_at, counted })
    }
}

impl Read {
    fn parse(from: &mut Reader<'_>) -> Result<Self, FormError> {
        Ok(Self {
            dataset: id(from)?,
            columns: from.list(name)?,
            filters: from.list(name)?,
            joins: from.list(|from| Ok((name(from)?, id(from)?, name(from)?)))?,
        })
    }
}

fn id(from: &mut Reader<'_>) -> Result<EntityId, FormError> {
    Ok(EntityId::from_canonical(from.text()?))
}

fn name(from: &mut Reader<'_>) -> Result<String, FormError> {
    Ok(from.text()?.to_owned())
}
