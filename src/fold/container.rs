//! Heads of containers and functions.

use crate::model::fact::{Aspect, Origin, Statement};
use crate::model::record::{ContainerRecord, FunctionRecord};

use std::collections::BTreeMap;

use super::dataset::{natives, owners};
use super::names;
use super::view::{View, state_name};

/// The head of a container.
pub(super) fn container(view: &View<'_>, origin: &Origin) -> Option<ContainerRecord> {
    let existence = view.existence()?;
    let entity = &view.core.entity;
    let id = entity.as_str();
    let text = |aspect: Aspect| match view.best(aspect)?.value {
        Statement::Description(text) | Statement::Location(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let properties = match view.best(Aspect::Properties).map(|said| said.value) {
        Some(Statement::Properties(properties)) => properties.clone(),
        _ => BTreeMap::new(),
    };
    Some(ContainerRecord {
        id: id.to_owned(),
        platform: entity.platform().to_owned(),
        name: names::display(view),
        existence: state_name(existence).to_owned(),
        description: text(Aspect::Description),
        owners: owners(view),
        location: text(Aspect::Location),
        properties,
        native: natives(view),
        origin: origin.clone(),
    })
}

/// The head of a function.
pub(super) fn function(view: &View<'_>, origin: &Origin) -> Option<FunctionRecord> {
    let existence = view.existence()?;
    Some(FunctionRecord {
        id: view.core.entity.as_str().to_owned(),
        name: names::display(view),
        existence: state_name(existence).to_owned(),
        native: natives(view),
        origin: origin.clone(),
    })
}
