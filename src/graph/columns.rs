//! Columns as small numbers: pairs of dataset and field, grouped by dataset.

use foldhash::HashMap;

use super::names::NameId;

#[derive(Debug, Default)]
pub(super) struct Columns {
    ids: HashMap<(NameId, NameId), NameId>,
    parts: Vec<(NameId, NameId)>,
    by_dataset: HashMap<NameId, Vec<NameId>>,
}

impl Columns {
    pub(super) fn intern(&mut self, dataset: NameId, field: NameId) -> NameId {
        if let Some(id) = self.ids.get(&(dataset, field)) {
            return *id;
        }
        let id = NameId(u32::try_from(self.parts.len()).expect("four billion columns do not fit into memory"));
        self.parts.push((dataset, field));
        self.ids.insert((dataset, field), id);
        self.by_dataset.entry(dataset).or_default().push(id);
        id
    }

    pub(super) fn get(&self, dataset: NameId, field: NameId) -> Option<NameId> {
        self.ids.get(&(dataset, field)).copied()
    }

    /// Dataset and field of a column.
    pub(super) fn parts(&self, column: NameId) -> (NameId, NameId) {
        *self.parts.get(column.index()).expect("ids come from these columns")
    }

    pub(super) fn of_dataset(&self, dataset: NameId) -> Vec<NameId> {
        self.by_dataset.get(&dataset).cloned().unwrap_or_default()
    }
}
