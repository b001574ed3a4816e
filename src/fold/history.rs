//! Schema history.

use crate::model::fact::Fact;
use crate::model::state::{State, StateError};

use super::FoldConfig;
use super::output::Derived;
use super::registers::{Core, RegKey, Slot};

/// Adds the schema versions to both sides.
pub(super) fn apply(
    _config: &FoldConfig,
    _fact: &Fact,
    _core: &Core,
    _state: &mut dyn State,
    _sides: (&mut Derived, &mut Derived),
) -> Result<(), StateError> {
    Ok(())
}

pub(super) fn travelling(_core: &Core, _state: &dyn State) -> Result<Vec<(RegKey, Slot)>, StateError> {
    Ok(Vec::new())
}

pub(super) fn withdraw(_core: &Core, _sender: &str, _state: &mut dyn State) -> Result<Vec<(RegKey, Slot)>, StateError> {
    Ok(Vec::new())
}
