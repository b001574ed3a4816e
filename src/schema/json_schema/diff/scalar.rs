//! Differences of strings, numbers and enumerations, and of limits wherever they stand.

use super::{At, Change};
use crate::schema::json_schema::model::{Number, NumberRules, StringRules};

/// What a limit's appearance, disappearance, rise and fall are called.
pub(super) type Limit = [Change; 4];

const MAX_LENGTH: Limit =
    [Change::MaxLengthAdded, Change::MaxLengthRemoved, Change::MaxLengthIncreased, Change::MaxLengthDecreased];
const MIN_LENGTH: Limit =
    [Change::MinLengthAdded, Change::MinLengthRemoved, Change::MinLengthIncreased, Change::MinLengthDecreased];
const MAXIMUM: Limit =
    [Change::MaximumAdded, Change::MaximumRemoved, Change::MaximumIncreased, Change::MaximumDecreased];
const MINIMUM: Limit =
    [Change::MinimumAdded, Change::MinimumRemoved, Change::MinimumIncreased, Change::MinimumDecreased];
const EXCLUSIVE_MAXIMUM: Limit = [
    Change::ExclusiveMaximumAdded,
    Change::ExclusiveMaximumRemoved,
    Change::ExclusiveMaximumIncreased,
    Change::ExclusiveMaximumDecreased,
];
const EXCLUSIVE_MINIMUM: Limit = [
    Change::ExclusiveMinimumAdded,
    Change::ExclusiveMinimumRemoved,
    Change::ExclusiveMinimumIncreased,
    Change::ExclusiveMinimumDecreased,
];

/// Compares a limit under its keyword.
pub(super) fn limit(old: Option<Number>, new: Option<Number>, names: Limit, keyword: &str, at: &mut At<'_>) {
    let [added, removed, increased, decreased] = names;
    match (old, new) {
        (None, Some(_)) => at.add(keyword, added),
        (Some(_), None) => at.add(keyword, removed),
        (Some(old), Some(new)) if old.value() < new.value() => at.add(keyword, increased),
        (Some(old), Some(new)) if old.value() > new.value() => at.add(keyword, decreased),
        _ => {}
    }
}

pub(super) fn strings(old: &StringRules, new: &StringRules, at: &mut At<'_>) {
    limit(old.max_length, new.max_length, MAX_LENGTH, "maxLength", at);
    limit(old.min_length, new.min_length, MIN_LENGTH, "minLength", at);
    match (&old.pattern, &new.pattern) {
        (None, Some(_)) => at.add("pattern", Change::PatternAdded),
        (Some(_), None) => at.add("pattern", Change::PatternRemoved),
        (Some(old), Some(new)) if old != new => at.add("pattern", Change::PatternChanged),
        _ => {}
    }
}

pub(super) fn numbers(old: &NumberRules, new: &NumberRules, at: &mut At<'_>) {
    limit(old.maximum, new.maximum, MAXIMUM, "maximum", at);
    limit(old.minimum, new.minimum, MINIMUM, "minimum", at);
    limit(old.exclusive_maximum, new.exclusive_maximum, EXCLUSIVE_MAXIMUM, "exclusiveMaximum", at);
    limit(old.exclusive_minimum, new.exclusive_minimum, EXCLUSIVE_MINIMUM, "exclusiveMinimum", at);
    match (old.multiple_of, new.multiple_of) {
        (None, Some(_)) => at.add("multipleOf", Change::MultipleOfAdded),
        (Some(_), None) => at.add("multipleOf", Change::MultipleOfRemoved),
        (Some(old), Some(new)) if old != new => {
            let change = if is_multiple(new.value(), old.value()) {
                Change::MultipleOfExpanded
            } else if is_multiple(old.value(), new.value()) {
                Change::MultipleOfReduced
            } else {
                Change::MultipleOfChanged
            };
            at.add("multipleOf", change);
        }
        _ => {}
    }
    match (old.integer, new.integer) {
        (true, false) => at.add("", Change::TypeExtended),
        (false, true) => at.add("", Change::TypeNarrowed),
        _ => {}
    }
}

/// Whether `number` is a multiple of `unit`, as nearly as doubles can tell.
fn is_multiple(number: f64, unit: f64) -> bool {
    let times = number / unit;
    times.is_finite() && (times - times.round()).abs() < 1e-9 && times.round() != 0.0
}

pub(super) fn enums(old: &[String], new: &[String], at: &mut At<'_>) {
    if let Some(change) = sets(old, new, Change::EnumArrayExtended, Change::EnumArrayNarrowed, Change::EnumArrayChanged)
    {
        at.add("enum", change);
    }
}

/// How a sorted set changed, if it did.
pub(super) fn sets(old: &[String], new: &[String], more: Change, fewer: Change, other: Change) -> Option<Change> {
    let within = |part: &[String], whole: &[String]| part.iter().all(|value| whole.binary_search(value).is_ok());
    match (within(old, new), within(new, old)) {
        (true, true) => None,
        (true, false) => Some(more),
        (false, true) => Some(fewer),
        (false, false) => Some(other),
    }
}
