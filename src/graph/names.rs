//! Strings as small numbers. Names are never forgotten: a graph sees the same ones again and again.

use std::sync::Arc;

use foldhash::HashMap;

/// A string of the interner, or a column of [`super::columns::Columns`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NameId(pub(super) u32);

impl NameId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a string is to an edge. Edges come as they were written, those of a job and its tables together: most often a part
/// is that of the edge before, which is told by comparing instead of by looking it up.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Job,
    Kind,
    Source,
    SourceField,
    Target,
    TargetField,
    Topic,
    Transformations,
}

#[derive(Debug, Default)]
pub(super) struct Interner {
    ids: HashMap<Arc<str>, NameId>,
    texts: Vec<Arc<str>>,
    /// By part: that of the edge before.
    before: [NameId; Part::Transformations as usize + 1],
}

impl Interner {
    /// As [`Self::intern`], of a part of an edge.
    pub(super) fn part(&mut self, part: Part, text: &str) -> NameId {
        let before = self.before.get(part as usize).copied().unwrap_or_default();
        if self.texts.get(before.index()).is_some_and(|known| **known == *text) {
            return before;
        }
        let id = self.intern(text);
        if let Some(before) = self.before.get_mut(part as usize) {
            *before = id;
        }
        id
    }

    pub(super) fn intern(&mut self, text: &str) -> NameId {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = NameId(u32::try_from(self.texts.len()).expect("four billion names do not fit into memory"));
        let text: Arc<str> = Arc::from(text);
        self.texts.push(Arc::clone(&text));
        self.ids.insert(text, id);
        id
    }

    pub(super) fn get(&self, text: &str) -> Option<NameId> {
        self.ids.get(text).copied()
    }

    pub(super) fn text(&self, id: NameId) -> &str {
        self.texts.get(id.index()).expect("ids come from this interner")
    }
}
