//! What parsing has given, so that it need not be done again: the parsed schemas of stored versions, and which contents
//! have canonical texts. A parsed schema takes many times the room of its text, and a check against all versions of a
//! subject parses each: only those used last are kept.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::types::{Content, ContentKey};
use crate::schema::ParsedSchema;

/// Most text whose parsed form is kept, in bytes, referenced texts included; one schema always is.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// How many contents with canonical texts are remembered: more than are registered before their records come back.
const CANONICAL: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");

/// A memory of parsed schemas that all snapshots of one reader share.
#[derive(Debug)]
pub(super) struct ParsedSchemas {
    kept: Mutex<Kept>,
    canonical: Mutex<LruCache<ContentKey, ()>>,
}

#[derive(Debug)]
struct Kept {
    /// By the address of the content, which an entry holds, so that it is no other's meanwhile.
    by_content: LruCache<usize, Entry>,
    text_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    _content: Arc<Content>,
    parsed: Arc<dyn ParsedSchema>,
    text_bytes: usize,
}

impl Default for ParsedSchemas {
    fn default() -> Self {
        let kept = Kept { by_content: LruCache::unbounded(), text_bytes: 0 };
        Self { kept: Mutex::new(kept), canonical: Mutex::new(LruCache::new(CANONICAL)) }
    }
}

impl ParsedSchemas {
    /// The parsed form of a content, where it is kept.
    pub(super) fn get(&self, content: &Arc<Content>) -> Option<Arc<dyn ParsedSchema>> {
        self.lock().by_content.get(&address(content)).map(|entry| entry.parsed.clone())
    }

    /// Keeps the parsed form of a content, made from so much text.
    pub(super) fn keep(&self, content: &Arc<Content>, parsed: Arc<dyn ParsedSchema>, text_bytes: usize) {
        let entry = Entry { _content: content.clone(), parsed, text_bytes };
        // Dropped after the lock: large schemas take a while.
        let mut gone = Vec::new();
        let mut kept = self.lock();
        kept.text_bytes += text_bytes;
        if let Some(before) = kept.by_content.put(address(content), entry) {
            kept.text_bytes -= before.text_bytes;
            gone.push(before);
        }
        while kept.text_bytes > MAX_TEXT_BYTES && kept.by_content.len() > 1 {
            let Some((_, oldest)) = kept.by_content.pop_lru() else { break };
            kept.text_bytes -= oldest.text_bytes;
            gone.push(oldest);
        }
        drop(kept);
    }

    /// Remembers that a content's text is canonical.
    pub(super) fn note_canonical(&self, content: &Content) {
        self.canonical.lock().unwrap_or_else(PoisonError::into_inner).put(content.key, ());
    }

    /// Whether the text of a content is known to be canonical. Its key must have been made as if it were.
    pub(super) fn has_canonical(&self, content: &Content) -> bool {
        self.canonical.lock().unwrap_or_else(PoisonError::into_inner).contains(&content.key)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn address(content: &Arc<Content>) -> usize {
    Arc::as_ptr(content).addr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{self, SchemaType, Validation};

    #[test]
    fn those_used_last_are_kept_up_to_so_much_text() {
        let schemas = ParsedSchemas::default();
        let parsed = schema::parse(SchemaType::Avro, "\"int\"", &[], Validation::Lenient).unwrap();
        let content = || Arc::new(Content::new(SchemaType::Avro, "x".into(), "x", Vec::new(), None, None));
        let [one, two, three, large] = std::array::from_fn(|_| content());
        schemas.keep(&one, parsed.clone(), MAX_TEXT_BYTES / 2);
        schemas.keep(&two, parsed.clone(), MAX_TEXT_BYTES / 2);
        assert!(schemas.get(&one).is_some() && schemas.get(&two).is_some(), "equal contents are not one content");
        schemas.keep(&two, parsed.clone(), MAX_TEXT_BYTES / 2);
        assert!(schemas.get(&two).is_some() && schemas.get(&one).is_some(), "kept again it counts once");
        schemas.keep(&three, parsed.clone(), 1);
        assert!(schemas.get(&one).is_some() && schemas.get(&two).is_none(), "the one used longest ago goes");
        schemas.keep(&large, parsed, MAX_TEXT_BYTES + 1);
        assert!(schemas.get(&large).is_some() && schemas.get(&one).is_none() && schemas.get(&three).is_none());
        assert_eq!(schemas.lock().text_bytes, MAX_TEXT_BYTES + 1);
    }
}
