//! Forwards.

use crate::model::fact::{Aspect, Fact, Origin};
use crate::model::id::EntityId;
use crate::model::record::AliasRecord;
use crate::model::state::{State, StateError};

use super::FoldOutput;
use super::bulk::Touched;
use super::registers::Core;
use super::view::View;

pub(super) struct Routes;

impl Routes {
    pub fn of(_core: &Core) -> Self {
        Self
    }
    pub fn alias_targets(&self) -> Vec<EntityId> {
        Vec::new()
    }
}

pub(super) fn alias_records(_core: &Core, _view: &View<'_>, _origin: &Origin) -> Vec<AliasRecord> {
    Vec::new()
}

pub(super) fn forward(
    _fact: &Fact,
    _core: &Core,
    _before: &Routes,
    _touched: &[(Aspect, Touched)],
    _withdrawn: bool,
    _state: &dyn State,
    _out: &mut FoldOutput,
) -> Result<(), StateError> {
    Ok(())
}
