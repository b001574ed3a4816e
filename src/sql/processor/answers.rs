//! Texts that were bound before. A memory that changes no answer: an entry counts only while everything that was asked
//! of the catalog would be answered as it was, and only where nothing that it names is of the session's own making.
//!
//! Texts of one shape, which differ in values only, share an entry: a dashboard asks the same for every day.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use sha2::{Digest, Sha256};

use super::super::analyse::analyse_by;
use super::super::schemas::Schemas;
use super::super::types::{Defaults, Dialect, StatementKind, StatementLineage, Status};
use super::super::{Normalised, Options, Session, normalise, shape};
use super::bound::{Asked, Bound};
use super::kept::add;
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
    after: After,
}

/// What becomes of the session.
#[derive(Clone, Debug)]
enum After {
    /// It keeps what its statements wrote.
    Written,
    /// One without a past becomes this one.
    Session(Session),
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

    /// Whether its text does the same in `session`.
    fn fits(&self, session: &Session) -> bool {
        match self.after {
            After::Written => {
                let named = self.statements.iter().flat_map(|one| one.outputs.iter().chain(&one.subjects));
                session.knows_none_of(self.asked.iter().map(|(table, _)| table).chain(named))
            }
            After::Session(_) => *session == Session::new(session.defaults.clone()),
        }
    }

    /// Does to `session` what its text does.
    fn follow(&self, session: &mut Session, options: &Options) {
        match &self.after {
            After::Written if options.remember => self.statements.iter().for_each(|one| session.keep_written(one)),
            After::Written => {}
            After::Session(after) => *session = after.clone(),
        }
    }
}

type Key = [u8; 32];

/// A text and its shape.
pub(super) struct Shaped<'t> {
    pub text: &'t str,
    pub dialect: Dialect,
    /// `None` if it is too long to be remembered.
    shape: Option<Vec<u8>>,
}

impl<'t> Shaped<'t> {
    pub fn new(text: &'t str, dialect: Dialect) -> Self {
        Self { text, dialect, shape: (text.len() <= TEXT_BYTES).then(|| shape(text, dialect)) }
    }
}

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
    /// What a text does in `session`.
    pub fn statements(
        &mut self,
        shaped: &Shaped<'_>,
        session: &mut Session,
        schemas: &Schemas,
        names: &Names<'_>,
        options: &Options,
    ) -> Arc<Answer> {
        let Shaped { text, dialect, .. } = *shaped;
        let catalog = Bound::new(schemas, names);
        let keys = shaped.shape.as_ref().map(|shape| Keys::new(shaped, shape, &session.defaults, options));
        for key in keys.iter().flat_map(Keys::all) {
            if let Some(known) = self.bound.get(key)
                && known.fits(session)
                && catalog.still_holds(&known.asked)
            {
                known.follow(session, options);
                return Arc::clone(known);
            }
        }
        let before = session.clone();
        let (statements, relied) = analyse_by(text, dialect, session, &catalog, options);
        let edges: usize = statements.iter().flat_map(|one| &one.columns).map(|column| column.sources.len() + 1).sum();
        let is_written = is_one_query(&statements, text, dialect) && session.has_only_written_since(&before);
        let after = if is_written { After::Written } else { After::Session(session.clone()) };
        let answer = Arc::new(Answer { statements, asked: catalog.asked(), after });
        if let Some(keys) = keys.filter(|_| edges <= EDGES && !relied.on_known_columns && answer.fits(&before)) {
            let key = match (is_written, relied.on_default_schema) {
                (true, false) => keys.shape,
                (true, true) => keys.shape_in_schema,
                (false, _) => keys.text_in_schema,
            };
            self.bound.put(key, Arc::clone(&answer));
        }
        answer
    }

    /// The text without its literals.
    pub fn normalised(&mut self, Shaped { text, dialect, shape }: &Shaped<'_>) -> Arc<Normalised> {
        let Some(shape) = shape else { return Arc::new(normalise(text, *dialect)) };
        let key = hash(&[&[*dialect as u8], shape]).finalize().into();
        if let Some(known) = self.texts.get(&key) {
            return Arc::clone(known);
        }
        let normalised = Arc::new(normalise(text, *dialect));
        self.texts.put(key, Arc::clone(&normalised));
        normalised
    }
}

/// Whether a text is one statement that is wholly understood, and of a kind that asks a session for nothing but names.
fn is_one_query(statements: &[StatementLineage], text: &str, dialect: Dialect) -> bool {
    let [one] = statements else { return false };
    let is_query = matches!(
        one.kind,
        StatementKind::Select
            | StatementKind::Insert
            | StatementKind::Update
            | StatementKind::Delete
            | StatementKind::Merge
            | StatementKind::CreateTableAs
    );
    let says_nothing = |rest: Option<&str>| rest.is_some_and(|rest| normalise(rest, dialect).text.is_empty());
    is_query
        && one.status == Status::Complete
        && one.renames.is_empty()
        && says_nothing(text.get(..one.span.0))
        && says_nothing(text.get(one.span.1..))
}

/// Under what an answer is remembered.
struct Keys {
    /// If it depends on nothing else.
    shape: Key,
    /// If it depends on the default schemas.
    shape_in_schema: Key,
    /// If it may depend on anything.
    text_in_schema: Key,
}

impl Keys {
    fn new(text: &Shaped<'_>, shape: &[u8], defaults: &Defaults, options: &Options) -> Self {
        let database = defaults.database.as_deref().unwrap_or("\u{0}");
        let begin = hash(&[&[text.dialect as u8, u8::from(options.remember)], database.as_bytes()]);
        let mut in_schema = begin.clone();
        defaults.schemas.iter().for_each(|schema| add(&mut in_schema, schema.as_bytes()));
        let ending = |mut hash: Sha256, kind: u8, text: &[u8]| {
            hash.update([kind]);
            hash.update(text);
            hash.finalize().into()
        };
        Self {
            shape: ending(begin, 0, shape),
            shape_in_schema: ending(in_schema.clone(), 1, shape),
            text_in_schema: ending(in_schema, 2, text.text.as_bytes()),
        }
    }

    fn all(&self) -> [&Key; 3] {
        [&self.shape, &self.shape_in_schema, &self.text_in_schema]
    }
}

fn hash(parts: &[&[u8]]) -> Sha256 {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| add(&mut hash, part));
    hash
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::id::{Identity, IdentityConfig};

    /// Texts that depend on what came before them, change what comes after, or do neither.
    const TEXTS: [&str; 18] = [
        "SELECT a FROM t WHERE b = 5",
        "SELECT a FROM s1.t WHERE b = 6",
        "SELECT a FROM s1.t WHERE b = 7",
        "INSERT INTO s1.u SELECT * FROM s1.t WHERE b = 8",
        "INSERT INTO s1.u SELECT * FROM s1.t WHERE b = 9",
        "INSERT INTO u (a) SELECT b FROM w",
        "CREATE TABLE s1.t AS SELECT a, b FROM s1.w WHERE c = 1",
        "CREATE TEMPORARY TABLE t AS SELECT x, y FROM s1.w WHERE c = 2",
        "CREATE TEMPORARY TABLE t AS SELECT x, y FROM s1.w WHERE c = 3",
        "DROP TABLE s1.t",
        "DROP TABLE t",
        "ALTER TABLE s1.u RENAME TO v",
        "ALTER TABLE u RENAME TO s1.v",
        "SET search_path = s2",
        "SET search_path = s1",
        "SELECT * FROM s1.v; SELECT * FROM t",
        "MERGE INTO s1.u USING t ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = t.b",
        "SELECT nothing FROM FROM",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        /// Texts in several sessions, one after the other: with a memory as without one.
        #[test]
        fn what_is_remembered_changes_no_answer(
            told in prop::collection::vec((0..3_usize, 0..TEXTS.len(), any::<bool>()), 1..60),
        ) {
            let identity = Identity::new(IdentityConfig::default()).unwrap();
            let schemas = Schemas::default();
            let begin = |schema: &str| {
                Session::new(Defaults { database: Some("d".into()), schemas: vec![schema.into()] })
            };
            let mut sessions = ["s1", "s2", "s1"].map(begin);
            let mut memory = Answers::default();
            for (session, text, remember) in told {
                let session = &mut sessions[session];
                let defaults = session.defaults.clone();
                let names = Names::new(&identity, "postgres://db:5432", Dialect::Postgres, &defaults, "q");
                let options = Options { remember, ..Options::default() };
                let answer = |answers: &mut Answers, session: &mut Session| {
                    let text = Shaped::new(TEXTS[text], Dialect::Postgres);
                    let answer = answers.statements(&text, session, &schemas, &names, &options);
                    (answer.statements.clone(), answer.asked.clone(), answers.normalised(&text))
                };
                let mut plain = session.clone();
                let expected = answer(&mut Answers::default(), &mut plain);
                prop_assert_eq!(answer(&mut memory, session), expected, "{}", TEXTS[text]);
                prop_assert_eq!(&*session, &plain, "{}", TEXTS[text]);
            }
        }
    }

    #[test]
    fn one_shape_in_sessions_with_a_past_is_worked_out_once() {
        let identity = Identity::new(IdentityConfig::default()).unwrap();
        let schemas = Schemas::default();
        let mut answers = Answers::default();
        let mut first: Option<Arc<Answer>> = None;
        for (schema, value) in [("s1", 10), ("s2", 20), ("s3", 30)] {
            let defaults = Defaults { database: None, schemas: vec![schema.into()] };
            let names = Names::new(&identity, "hive://hms:9083", Dialect::Spark, &defaults, "q");
            let mut session = Session::new(defaults.clone());
            let options = Options::default();
            let mut ask = |text: &str| {
                answers.statements(&Shaped::new(text, Dialect::Spark), &mut session, &schemas, &names, &options)
            };
            ask(&format!("INSERT INTO s1.x SELECT a FROM s1.t{value}"));
            let answer = ask(&format!("SELECT a FROM s1.t WHERE b > {value}"));
            assert!(Arc::ptr_eq(first.get_or_insert_with(|| Arc::clone(&answer)), &answer), "{schema}");
            let of_schema = ask("SELECT a FROM t");
            assert_eq!(of_schema.statements[0].inputs[0].to_string(), format!("{schema}.t"));
        }
    }
}
