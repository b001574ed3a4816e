//! Names that could not be resolved.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{OriginView, ReportedNameView};

/// Names that could not be resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UnresolvedList {
    /// How many there are.
    pub total: i64,
    /// This page, by id.
    pub items: Vec<UnresolvedItem>,
    /// Rewrite rules that would resolve items of this page, most first; for the configuration.
    pub proposed_rules: Vec<ProposedRule>,
}

/// One name that nobody who owns data confirms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UnresolvedItem {
    /// Id it has meanwhile.
    pub dataset_id: String,
    /// Existence: mostly `referenced`.
    pub existence: String,
    /// Why: unconfirmed, incomplete, loopback, ambiguous_location; case_collision (spellings that could be two things,
    /// or another id that differs only by case), cycle (names that lead in a circle or over more than 8 others).
    pub reasons: Vec<String>,
    /// Spellings.
    pub names: Vec<ReportedNameView>,
    /// Datasets it could be, best first.
    pub candidates: Vec<Candidate>,
    /// The record that mentioned it.
    pub origin: OriginView,
}

/// A dataset that an unresolved name could mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Candidate {
    /// Its id.
    pub dataset_id: String,
    /// Equal last segments of both ids.
    pub equal_segments: usize,
    /// Top-level columns that both have.
    pub common_columns: usize,
    /// Whether all columns known of the unresolved name are columns of the candidate.
    pub columns_agree: bool,
    /// The rule that would make them one.
    pub rule: Option<String>,
}

/// A rewrite rule with what it would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"from": "trino://trino:8080/pg/**", "to": "postgres://db:5432/shop/**", "resolves": 7}))]
pub struct ProposedRule {
    /// Canonical prefix that is reported.
    pub from: String,
    /// Canonical prefix that is meant.
    pub to: String,
    /// How many items of this page it would resolve.
    pub resolves: usize,
}
