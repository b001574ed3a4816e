//! What the state keeps of a query: the source that counts, and what it added to the usage of datasets, so that it can
//! be taken out again. Field names are short, because there are very many.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::fact::{Fact, QueryRun, Version};
use crate::model::id::EntityId;
use crate::model::query::day_of;

use super::super::registers::key_part;

/// A query that was counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen {
    #[serde(rename = "k")]
    pub rank: Rank,
    #[serde(rename = "x")]
    pub expires_at: i64,
    #[serde(rename = "c")]
    pub counted: Contribution,
}

/// Of several sources that tell of a query, the largest counts: by richness, then by version, then by name.
pub(super) type Rank = (u8, Version, String);

/// What a query adds to the usage of datasets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Contribution {
    #[serde(rename = "d")]
    pub day: i64,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(rename = "f", default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    pub rows: i64,
    #[serde(rename = "b", default, skip_serializing_if = "is_zero")]
    pub bytes: i64,
    #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
    pub duration_us: i64,
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<Read>,
    #[serde(rename = "w", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub writes: BTreeSet<EntityId>,
}

/// How it used one dataset; each dataset, column and join once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Read {
    #[serde(rename = "d")]
    pub dataset: EntityId,
    #[serde(rename = "c", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub columns: BTreeSet<String>,
    #[serde(rename = "f", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub filters: BTreeSet<String>,
    /// Column, other dataset, its column.
    #[serde(rename = "j", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub joins: BTreeSet<(String, EntityId, String)>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Seen {
    /// What `fact` says of its query.
    pub fn of(fact: &Fact, query: &QueryRun) -> Self {
        let mut reads: BTreeMap<&EntityId, Read> = BTreeMap::new();
        for used in &query.reads {
            let read = reads.entry(&used.dataset).or_insert_with(|| Read {
                dataset: used.dataset.clone(),
                columns: BTreeSet::new(),
                filters: BTreeSet::new(),
                joins: BTreeSet::new(),
            });
            read.columns.extend(used.columns.iter().cloned());
            read.filters.extend(used.filters.iter().cloned());
            let joins = used.joins.iter();
            read.joins.extend(joins.map(|join| (join.column.clone(), join.other.clone(), join.other_column.clone())));
        }
        let counted = Contribution {
            day: day_of(query.end),
            user: query.user.as_deref().map(|user| key_part(user).into_owned()),
            failed: query.status != "success",
            rows: query.rows.unwrap_or(0).max(0),
            bytes: query.bytes.unwrap_or(0).max(0),
            duration_us: query.duration_us.unwrap_or(0).max(0),
            reads: reads.into_values().collect(),
            writes: query.writes.iter().cloned().collect(),
        };
        let rank = (query.richness, fact.version, fact.source.as_str().to_owned());
        Self { rank, expires_at: query.expires_at, counted }
    }

    /// The datasets it read or wrote.
    pub fn datasets(&self) -> BTreeSet<&EntityId> {
        self.counted.reads.iter().map(|read| &read.dataset).chain(&self.counted.writes).collect()
    }
}
