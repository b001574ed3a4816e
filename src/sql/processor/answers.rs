//! Texts that were bound before. A memory that changes no answer: an entry counts only while everything that was asked
//! of the catalog would be answered as it was, and only texts that did not need what their session had done before.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use sha2::{Digest, Sha256};

use super::super::schemas::Schemas;
use super::super::types::{Defaults, Dialect, StatementLineage};
use super::super::{Normalised, Options, Session, analyse, normalise};
use super::bound::{Asked, Bound};
use super::names::Names;

/// Texts that are remembered at most.
const ENTRIES: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");
/// Longer ones are worked out each time: together the others stay below some 100 MB.
const TEXT_BYTES: usize = 16 << 10;
/// Edges of an answer that is remembered.
const EDGES: usize = 2_000;

/// What a text does, in names.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub statements: Vec<StatementLineage>,
    pub asked: Asked,
    /// The session afterwards, if it is another one than before.
    after: Option<Session>,
}

impl Answer {
    /// Schemas that it depends on, as `id@hash`, each once, in order.
    pub fn bound(&self) -> Vec<String> {
        let bound = self.asked.iter().filter_map(|(_, hash)| hash.as_ref());
        let mut bound: Vec<String> = bound.map(|(id, hash)| format!("{id}@{hash}")).collect();
        bound.sort();
        bound.dedup();
        bound
    }
}

type Key = [u8; 32];

/// Remembers answers.
pub(super) struct Answers {
    bound: LruCache<Key, Arc<Answer>>,
    texts: LruCache<Key, Arc<Normalised>>,
}

impl Default for Answers {
    fn default() -> Self {
        Self { bound: LruCache::new(ENTRIES), texts: LruCache::new(ENTRIES) }
    }
}

impl Answers {
    /// What `text` does in `session`.
    pub fn statements(
        &mut self,
        text: &str,
        dialect: Dialect,
        session: &mut Session,
        schemas: &Schemas,
        names: &Names<'_>,
        options: &Options,
    ) -> Arc<Answer> {
        let catalog = Bound::new(schemas, names);
        let plain = Session::new(session.defaults.clone());
        let is_kept = text.len() <= TEXT_BYTES && *session == plain;
        let key = is_kept.then(|| key(text, dialect, Some((&session.defaults, options.remember))));
        if let Some(known) = key.as_ref().and_then(|key| self.bound.get(key))
            && catalog.still_holds(&known.asked)
        {
            if let Some(after) = &known.after {
                *session = after.clone();
            }
            return Arc::clone(known);
        }
        let statements = analyse(text, dialect, session, &catalog, options);
        let edges: usize = statements.iter().flat_map(|one| &one.columns).map(|column| column.sources.len() + 1).sum();
        let after = (*session != plain).then(|| session.clone());
        let answer = Arc::new(Answer { statements, asked: catalog.asked(), after });
        if let Some(key) = key.filter(|_| edges <= EDGES) {
            self.bound.put(key, Arc::clone(&answer));
        }
        answer
    }

    /// The text without its literals.
    pub fn normalised(&mut self, text: &str, dialect: Dialect) -> Arc<Normalised> {
        if text.len() > TEXT_BYTES {
            return Arc::new(normalise(text, dialect));
        }
        let key = key(text, dialect, None);
        if let Some(known) = self.texts.get(&key) {
            return Arc::clone(known);
        }
        let normalised = Arc::new(normalise(text, dialect));
        self.texts.put(key, Arc::clone(&normalised));
        normalised
    }
}

fn key(text: &str, dialect: Dialect, session: Option<(&Defaults, bool)>) -> Key {
    let mut hash = Sha256::new();
    hash.update([dialect as u8]);
    let part = |hash: &mut Sha256, part: &str| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    };
    if let Some((defaults, remember)) = session {
        hash.update([u8::from(remember)]);
        part(&mut hash, defaults.database.as_deref().unwrap_or("\u{0}"));
        defaults.schemas.iter().for_each(|schema| part(&mut hash, schema));
    }
    hash.update([0xff]);
    hash.update(text.as_bytes());
    hash.finalize().into()
}
