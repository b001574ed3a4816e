//! The static part of a rank: what makes one of two equally matching datasets the better answer.
//!
//! Weights multiply the text score. They use only what any catalog shows: that something is described and owned, when
//! it was written last, and the words by which people mark copies they do not want found first.

use crate::model::record::{DatasetRecord, DatasetStatsRecord};

/// Words in names and tags of what is kept but not meant to be used, and what they cost.
const DEMOTED: [(&str, f64); 15] = [
    ("deprecated", 0.45),
    ("legacy", 0.6),
    ("obsolete", 0.45),
    ("backup", 0.5),
    ("backups", 0.5),
    ("bak", 0.5),
    ("bkp", 0.5),
    ("old", 0.6),
    ("tmp", 0.5),
    ("temp", 0.5),
    ("scratch", 0.5),
    ("sandbox", 0.55),
    ("test", 0.7),
    ("copy", 0.6),
    ("archive", 0.6),
];

/// Words in tags of what is meant to be used.
const PROMOTED: [(&str, f64); 4] = [("certified", 1.3), ("gold", 1.2), ("production", 1.15), ("verified", 1.2)];

const DAY_MICROS: i64 = 86_400_000_000;

/// The weight of a dataset.
pub(super) fn weight(
    record: &DatasetRecord,
    stats: Option<&DatasetStatsRecord>,
    name_words: &[String],
    tag_words: &[String],
) -> f64 {
    let cost = |words: &[String]| {
        DEMOTED
            .iter()
            .filter(|(word, _)| words.iter().any(|w| w == word))
            .map(|(_, factor)| *factor)
            .fold(1.0, f64::min)
    };
    let gain = PROMOTED
        .iter()
        .filter(|(word, _)| tag_words.iter().any(|w| w == word))
        .map(|(_, gain)| *gain)
        .fold(1.0, f64::max);
    let described = if record.description.as_deref().is_some_and(|text| !text.is_empty()) { 1.08 } else { 1.0 };
    let owned = if record.owners.iter().any(|owner| owner.role != "TECHNICAL") { 1.04 } else { 1.0 };
    let alive = match record.existence.as_str() {
        "dropped" => 0.3,
        "referenced" | "virtual" => 0.5,
        _ => 1.0,
    };
    // Against the dataset's own last event: the index knows no clock, and equal input must give an equal index.
    let stale = stats.and_then(|stats| stats.last_write).map_or(1.0, |write| {
        let age = record.last_seen.saturating_sub(write) / DAY_MICROS;
        if age > 400 { 0.7 } else { 1.0 }
    });
    let dated = if name_words.iter().any(|word| is_date(word)) { 0.6 } else { 1.0 };
    gain * described * owned * alive * stale * cost(name_words).min(cost(tag_words)).min(dated)
}

/// Eight digits that read as a day of this or the last century: a dated copy.
fn is_date(word: &str) -> bool {
    let part = |range: std::ops::Range<usize>| word.get(range).and_then(|text| text.parse::<u32>().ok());
    word.len() == 8
        && word.bytes().all(|byte| byte.is_ascii_digit())
        && part(0..4).is_some_and(|year| (1980..2100).contains(&year))
        && part(4..6).is_some_and(|month| (1..=12).contains(&month))
        && part(6..8).is_some_and(|day| (1..=31).contains(&day))
}
