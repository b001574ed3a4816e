//! Semantic changes of `catalog.changes`, from the difference of two heads.

use crate::model::fact::Fact;
use crate::model::record::CatalogOutput;

use super::output::Derived;

/// Changes of a dataset.
pub(super) fn of_dataset(_fact: &Fact, _old: &Derived, _new: &Derived, _out: &mut Vec<CatalogOutput>) {}
