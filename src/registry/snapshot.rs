//! What the `_schemas` topic says up to some offset: immutable once published, cheap to clone, free of I/O.
//! `apply` is the only way to change one; `query` reads it and `decide` says what to write next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::error::RegistryError;
use super::format::{Record, SchemaValue};
use super::parsed::ParsedSchemas;
use super::shards::Shards;
use super::types::{
    Config, Content, ContentKey, DEFAULT_CONTEXT, Mode, SchemaReference, SchemaVersion, Subject, VersionSpec,
};
use super::versions::{VersionNames, Versions};
use crate::schema::{self, Level, MAX_REFERENCES, ParsedSchema, ResolvedReference, SchemaType, Validation};

/// Configuration that holds for all contexts.
pub const GLOBAL_CONTEXT: &str = ":.__GLOBAL:";

/// The registry's state.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    contexts: BTreeMap<String, Context>,
    /// Contexts that were written down as such; they stay when their subjects go.
    named_contexts: BTreeSet<String>,
    /// By subject text; the empty text is the default context.
    configs: Shards<String, Arc<Config>>,
    modes: Shards<String, Mode>,
    /// Referenced version → versions that refer to it.
    referrers: Shards<(Subject, i32), Arc<VersionNames>>,
    /// No state: what parsing the stored texts gives.
    parsed: Arc<ParsedSchemas>,
}

#[derive(Debug, Clone, Default)]
struct Context {
    subjects: Shards<Subject, Arc<Versions>>,
    ids: Shards<i32, Arc<IdEntry>>,
    by_content: Shards<ContentKey, i32>,
    by_md5: Shards<ContentKey, i32>,
    /// Ids whose versions do not all have the id's own content: the same text with another contract.
    mixed: BTreeSet<i32>,
    max_id: i32,
}

impl Context {
    /// The lowest id with such content, be it that of one version only.
    fn lowest_id(&self, fits: impl Fn(&Content) -> bool) -> Option<i32> {
        let own = self.ids.iter().filter(|(_, entry)| fits(&entry.content)).map(|(id, _)| *id);
        let version = |(subject, version): &(Subject, i32)| self.subjects.get(subject)?.get(*version);
        let has = |entry: &IdEntry| entry.versions.iter().filter_map(version).any(|version| fits(&version.content));
        let mixed = self.mixed.iter().filter(|id| self.ids.get(*id).is_some_and(|entry| has(entry)));
        own.chain(mixed.copied()).min()
    }

    /// Finds another id for content that a version with this one had; imported schemas may have several.
    fn release(&mut self, content: &Content, id: i32) {
        let (key, md5) = (content.key, content.md5);
        if self.by_content.get(&key) == Some(&id) {
            match self.lowest_id(|content| content.key == key) {
                Some(id) => self.by_content.insert(key, id),
                None => self.by_content.remove(&key),
            }
        }
        if self.by_md5.get(&md5) == Some(&id) {
            match self.lowest_id(|content| content.md5 == md5) {
                Some(id) => self.by_md5.insert(md5, id),
                None => self.by_md5.remove(&md5),
            }
        }
    }
}

/// An id: its content and where it is used.
#[derive(Debug, Clone)]
pub struct IdEntry {
    /// What the id stands for.
    pub content: Arc<Content>,
    /// Versions with this id, soft-deleted ones included.
    pub versions: VersionNames,
}

impl Snapshot {
    /// Takes one record of the topic, `timestamp` in ms since 1970. False where it is passed over, which the log tells.
    pub fn apply(&mut self, record: Record, timestamp: i64) -> bool {
        match record {
            Record::Schema(subject, version, Some(value)) => {
                return self.put_version(subject, version, value, timestamp);
            }
            Record::Schema(subject, version, None) => self.forget_version(&subject, version),
            Record::Config(subject, config) => {
                let key = subject.map(|subject| subject.as_str().to_owned()).unwrap_or_default();
                match config {
                    Some(config) => self.configs.insert(key, Arc::new(config)),
                    None => self.configs.remove(&key),
                }
            }
            Record::Mode(subject, mode) => {
                let key = subject.map(|subject| subject.as_str().to_owned()).unwrap_or_default();
                match mode {
                    Some(mode) => self.modes.insert(key, mode),
                    None => self.modes.remove(&key),
                }
            }
            Record::DeleteSubject(subject, up_to) => {
                let context = self.contexts.get_mut(subject.context());
                if let Some(versions) = context.and_then(|context| context.subjects.get_mut(&subject)) {
                    Arc::make_mut(versions).delete_up_to(up_to);
                }
            }
            Record::ClearSubject(scope) => {
                let deleted: Vec<(Subject, i32)> =
                    self.deleted(scope.as_ref()).map(|version| (version.subject.clone(), version.version)).collect();
                for (subject, version) in deleted {
                    self.forget_version(&subject, version);
                }
            }
            Record::Context(context, true) => drop(self.named_contexts.insert(context)),
            Record::Context(context, false) => drop(self.named_contexts.remove(&context)),
            Record::Noop => {}
        }
        true
    }

    fn put_version(&mut self, subject: Subject, version: i32, value: SchemaValue, timestamp: i64) -> bool {
        let Ok(schema_type) = value.schema_type.as_deref().unwrap_or("AVRO").parse::<SchemaType>() else {
            tracing::warn!(%subject, version, schema_type = ?value.schema_type, "schema of an unknown type is passed over");
            return false;
        };
        let id = value.id;
        let text: Arc<str> = value.schema.into();
        let references = value.references.unwrap_or_default();
        let mut content = Content::new(schema_type, text.clone(), &text, references, value.metadata, value.rule_set);
        if !self.parsed.has_canonical(&content) {
            // Another writer's text may be spelled differently; identity is over the canonical text, answers over the
            // stored.
            let parsed = schema::parse(schema_type, &text, &[], Validation::Unresolved);
            if let Some(parsed) = parsed.ok().filter(|parsed| parsed.canonical() != &*text) {
                content = content.with_canonical(parsed.canonical());
            }
        }
        let referred: Vec<(Subject, i32)> = targets(&subject, &content.references).collect();
        let this = (subject.clone(), version);
        let is_another = |entry: &IdEntry| {
            let known = &entry.content;
            // Texts may be spelled differently and mean the same.
            let canonical = |text: &str| {
                let parsed = schema::parse(schema_type, text, &[], Validation::Unresolved);
                parsed.ok().map(|parsed| parsed.canonical().to_owned())
            };
            let means_the_same = || {
                let canonical = [&known.schema, &content.schema].map(|text| canonical(text));
                matches!(canonical, [Some(one), Some(other)] if one == other)
            };
            let differs = known.schema_type != schema_type || (known.schema != content.schema && !means_the_same());
            known.key != content.key && differs && entry.versions.iter().any(|user| *user != this)
        };
        if self.id(subject.context(), id).is_some_and(is_another) {
            tracing::warn!(%subject, version, id, "a schema is passed over whose id stands for another one");
            return false;
        }
        self.forget_version(&subject, version);
        let context = self.context_mut(&subject);
        let name = (subject.clone(), version);
        let mut replaced = None;
        let content = match context.ids.get_mut(&id).map(Arc::make_mut) {
            Some(entry) => {
                if entry.content.key != content.key {
                    replaced = Some(std::mem::replace(&mut entry.content, Arc::new(content)));
                }
                entry.versions.insert(name.clone());
                entry.content.clone()
            }
            None => {
                let (content, mut versions) = (Arc::new(content), VersionNames::default());
                versions.insert(name.clone());
                context.ids.insert(id, Arc::new(IdEntry { content: content.clone(), versions }));
                content
            }
        };
        context.max_id = context.max_id.max(id);
        if context.by_content.get(&content.key).is_none() {
            context.by_content.insert(content.key, id);
        }
        if context.by_md5.get(&content.md5).is_none() {
            context.by_md5.insert(content.md5, id);
        }
        let added = SchemaVersion { subject: subject.clone(), version, id, content, deleted: value.deleted, timestamp };
        match context.subjects.get_mut(&subject) {
            Some(versions) => Arc::make_mut(versions).insert(added),
            None => {
                let mut versions = Versions::default();
                versions.insert(added);
                context.subjects.insert(subject, Arc::new(versions));
            }
        }
        if let Some(replaced) = replaced {
            context.mixed.insert(id);
            context.release(&replaced, id);
        }
        for target in referred {
            match self.referrers.get_mut(&target) {
                Some(referrers) => Arc::make_mut(referrers).insert(name.clone()),
                None => {
                    let mut referrers = VersionNames::default();
                    referrers.insert(name.clone());
                    self.referrers.insert(target, Arc::new(referrers));
                }
            }
        }
        true
    }

    fn forget_version(&mut self, subject: &Subject, version: i32) {
        if self.versions(subject).is_none_or(|versions| versions.get(version).is_none()) {
            return;
        }
        let context = self.context_mut(subject);
        let Some(versions) = context.subjects.get_mut(subject).map(Arc::make_mut) else { return };
        let Some(gone) = versions.remove(version) else { return };
        if versions.is_empty() {
            context.subjects.remove(subject);
        }
        let name = (subject.clone(), version);
        if let Some(entry) = context.ids.get_mut(&gone.id).map(Arc::make_mut) {
            entry.versions.remove(&name);
            let (content, is_gone) = (entry.content.clone(), entry.versions.is_empty());
            if is_gone {
                context.ids.remove(&gone.id);
                context.mixed.remove(&gone.id);
                context.release(&content, gone.id);
            }
            if gone.content.key != content.key {
                context.release(&gone.content, gone.id);
            }
        }
        for target in targets(subject, &gone.content.references) {
            let Some(referrers) = self.referrers.get_mut(&target).map(Arc::make_mut) else { continue };
            referrers.remove(&name);
            if referrers.is_empty() {
                self.referrers.remove(&target);
            }
        }
    }

    fn context_mut(&mut self, subject: &Subject) -> &mut Context {
        self.contexts.entry(subject.context().to_owned()).or_default()
    }

    /// Whether the state is as the record says: tells, after a write of unknown outcome, if it was committed.
    pub fn reflects(&self, record: &Record) -> bool {
        match record {
            Record::Schema(subject, version, value) => {
                let found = self.versions(subject).and_then(|versions| versions.get(*version));
                match (found, value) {
                    (Some(found), Some(value)) => found.id == value.id && found.deleted == value.deleted,
                    (None, None) => true,
                    _ => false,
                }
            }
            Record::Config(subject, config) => self.config(subject.as_ref()) == config.as_ref(),
            Record::Mode(subject, mode) => self.mode(subject.as_ref()) == *mode,
            Record::DeleteSubject(subject, up_to) => self.live(subject).all(|version| version.version > *up_to),
            Record::ClearSubject(scope) => self.deleted(scope.as_ref()).next().is_none(),
            Record::Context(context, exists) => self.named_contexts.contains(context) == *exists,
            Record::Noop => true,
        }
    }

    /// All versions of a subject.
    pub fn versions(&self, subject: &Subject) -> Option<&Versions> {
        self.contexts.get(subject.context())?.subjects.get(subject).map(Arc::as_ref)
    }

    /// The live versions of a subject, ascending.
    pub fn live(&self, subject: &Subject) -> impl DoubleEndedIterator<Item = &SchemaVersion> {
        self.versions(subject).into_iter().flat_map(Versions::iter).filter(|version| !version.deleted)
    }

    /// All subjects of all contexts, in no order.
    pub fn subjects(&self) -> impl Iterator<Item = (&Subject, &Versions)> {
        let contexts = self.contexts.values();
        contexts.flat_map(|context| context.subjects.iter()).map(|(subject, versions)| (subject, versions.as_ref()))
    }

    /// The versions of a scope: of one subject, of a context, of all.
    pub fn in_scope<'a>(&'a self, scope: Option<&'a Subject>) -> impl Iterator<Item = &'a SchemaVersion> {
        let own = scope.filter(|scope| !scope.is_context()).and_then(|subject| self.versions(subject));
        let context = scope.filter(|scope| scope.is_context()).map(Subject::context);
        let all = self.contexts.iter().filter(move |(name, _)| match scope {
            None => true,
            Some(scope) => scope.as_str() == GLOBAL_CONTEXT || context == Some(name.as_str()),
        });
        let all = all.flat_map(|(_, context)| context.subjects.iter()).flat_map(|(_, versions)| versions.iter());
        own.into_iter().flat_map(Versions::iter).chain(all)
    }

    /// The soft-deleted versions of a scope.
    fn deleted<'a>(&'a self, scope: Option<&'a Subject>) -> impl Iterator<Item = &'a SchemaVersion> {
        self.in_scope(scope).filter(|version| version.deleted)
    }

    /// Whether a context was written down as such.
    pub fn is_named_context(&self, context: &str) -> bool {
        self.named_contexts.contains(context)
    }

    /// How many ids stand for a schema, in all contexts.
    pub fn schema_count(&self) -> usize {
        self.contexts.values().map(|context| context.ids.len()).sum()
    }

    /// The contexts that were written down or hold subjects, sorted; the default one always.
    pub fn contexts(&self) -> Vec<String> {
        let used = self.contexts.iter().filter(|(_, context)| context.subjects.len() > 0);
        let mut names: BTreeSet<&str> = used.map(|(name, _)| name.as_str()).collect();
        names.extend(self.named_contexts.iter().map(String::as_str));
        names.insert(DEFAULT_CONTEXT);
        names.into_iter().map(str::to_owned).collect()
    }

    /// An id of a context.
    pub fn id(&self, context: &str, id: i32) -> Option<&IdEntry> {
        self.contexts.get(context)?.ids.get(&id).map(Arc::as_ref)
    }

    /// The id that this content has in a context.
    pub fn id_of(&self, context: &str, key: &ContentKey) -> Option<i32> {
        self.contexts.get(context)?.by_content.get(key).copied()
    }

    /// The id that content with this hash of the reference's has in a context.
    pub fn id_of_md5(&self, context: &str, md5: &ContentKey) -> Option<i32> {
        self.contexts.get(context)?.by_md5.get(md5).copied()
    }

    /// The highest id ever given in a context; 0 before the first.
    pub fn max_id(&self, context: &str) -> i32 {
        self.contexts.get(context).map_or(0, |context| context.max_id)
    }

    /// The subject that a name stands for: the one whose alias it is configured to be, or itself.
    pub fn aliased(&self, subject: Subject) -> Subject {
        let alias = self.config(Some(&subject)).and_then(|config| config.alias.as_deref());
        match alias.filter(|alias| !alias.is_empty()) {
            Some(alias) => subject.sibling(alias),
            None => subject,
        }
    }

    /// All aliases, sorted, by the subject that they stand for.
    pub fn aliases(&self) -> BTreeMap<Subject, Vec<String>> {
        let mut names: Vec<&String> =
            self.configs.iter().filter(|(_, config)| config.alias.is_some()).map(|(name, _)| name).collect();
        names.sort_unstable();
        let mut aliases: BTreeMap<Subject, Vec<String>> = BTreeMap::new();
        for name in names {
            let alias = Subject::from_stored(name);
            let subject = self.aliased(alias.clone());
            if subject != alias {
                aliases.entry(subject).or_default().push(name.clone());
            }
        }
        aliases
    }

    /// The first answer about a subject; one that names no context is looked for in all contexts, its own first.
    ///
    /// # Errors
    /// Those of the subject itself.
    pub fn somewhere<T>(
        &self,
        subject: &Subject,
        ask: impl Fn(&Subject) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let first = ask(subject);
        if subject.context_subject().is_some() || !first.as_ref().is_err_and(RegistryError::is_miss) {
            return first;
        }
        let others = self.contexts.keys().filter(|context| *context != DEFAULT_CONTEXT);
        let elsewhere = others.map(|context| Subject::from_stored(&format!(":{context}:{}", subject.name())));
        elsewhere
            .filter(|subject| self.versions(subject).is_some())
            .find_map(|subject| ask(&subject).ok())
            .map_or(first, Ok)
    }

    /// Versions that refer to a version.
    pub fn referrers(&self, subject: &Subject, version: i32) -> impl Iterator<Item = &SchemaVersion> {
        let users = self.referrers.get(&(subject.clone(), version)).into_iter().flat_map(|users| users.iter());
        users.filter_map(|(subject, version)| self.versions(subject)?.get(*version))
    }

    /// One version, soft-deleted ones only where `deleted` asks for them.
    ///
    /// # Errors
    /// Subject or version not found.
    pub fn version(
        &self,
        subject: &Subject,
        version: VersionSpec,
        deleted: Deleted,
    ) -> Result<&SchemaVersion, RegistryError> {
        let shown = |version: &&SchemaVersion| deleted != Deleted::Hidden || !version.deleted;
        let versions = self.versions(subject).filter(|versions| versions.iter().any(|version| shown(&version)));
        let versions = versions.ok_or_else(|| RegistryError::SubjectNotFound(subject.to_string()))?;
        let found = match version {
            VersionSpec::Latest => versions.iter().rev().find(|version| !version.deleted),
            VersionSpec::Number(number) => versions.get(number).filter(shown),
        };
        found.ok_or_else(|| match version {
            VersionSpec::Latest => RegistryError::VersionNotFound("-1".to_owned()),
            VersionSpec::Number(number) => RegistryError::VersionNotFound(number.to_string()),
        })
    }

    /// Configuration set on exactly this subject or context; no subject is the default context.
    pub fn config(&self, subject: Option<&Subject>) -> Option<&Config> {
        self.configs.get(subject.map_or("", Subject::as_str)).map(Arc::as_ref)
    }

    /// Configuration that holds for a subject: its own, its context's or the global one, the nearest alone. A subject's
    /// own is completed with what the default context says of checks; other settings do not mix.
    pub fn effective_config(&self, subject: Option<&Subject>) -> Config {
        let found = scopes(subject).into_iter().find_map(|scope| Some((scope, self.configs.get(scope)?)));
        let Some((scope, found)) = found else { return Config::default() };
        let mut config = Config::clone(found);
        let is_own = subject.is_some_and(|subject| subject.as_str() == scope);
        if let Some(default) = self.configs.get("").filter(|_| is_own) {
            config.normalize = config.normalize.or(default.normalize);
            config.validate_fields = config.validate_fields.or(default.validate_fields);
            config.validate_new_schemas = config.validate_new_schemas.or(default.validate_new_schemas);
            config.validate_rules = config.validate_rules.or(default.validate_rules);
            config.compatibility_policy = config.compatibility_policy.or_else(|| default.compatibility_policy.clone());
            config.compatibility_group = config.compatibility_group.or_else(|| default.compatibility_group.clone());
        }
        config
    }

    /// The compatibility level that holds for a subject.
    pub fn level(&self, subject: &Subject) -> Level {
        self.effective_config(Some(subject)).level().unwrap_or_default()
    }

    /// Mode set on exactly this subject or context; no subject is the default context.
    pub fn mode(&self, subject: Option<&Subject>) -> Option<Mode> {
        self.modes.get(subject.map_or("", Subject::as_str)).copied()
    }

    /// What has a mode of its own in a context: subjects and the context itself.
    pub fn modes_in<'a>(&'a self, context: &'a str) -> impl Iterator<Item = Subject> + 'a {
        let named = self.modes.iter().map(|(name, _)| name).filter(|name| !name.is_empty());
        named.map(|name| Subject::from_stored(name)).filter(move |subject| subject.context() == context)
    }

    /// The mode that holds for a subject.
    pub fn effective_mode(&self, subject: Option<&Subject>) -> Mode {
        if self.modes.get("") == Some(&Mode::ReadonlyOverride) {
            return Mode::ReadonlyOverride;
        }
        scopes(subject).into_iter().find_map(|scope| self.modes.get(scope)).copied().unwrap_or_default()
    }

    /// Texts of references and of their references, those referred to first.
    ///
    /// # Errors
    /// A reference does not exist, refers to itself, or there are too many.
    pub fn resolve(
        &self,
        owner: &Subject,
        references: &[SchemaReference],
        deleted: Deleted,
    ) -> Result<Vec<ResolvedReference>, RegistryError> {
        let mut resolved = Vec::new();
        let mut seen = BTreeSet::new();
        self.resolve_into(owner, references, deleted, &mut seen, 0, &mut resolved)?;
        Ok(resolved)
    }

    fn resolve_into(
        &self,
        owner: &Subject,
        references: &[SchemaReference],
        deleted: Deleted,
        seen: &mut BTreeSet<(Subject, i32)>,
        depth: usize,
        resolved: &mut Vec<ResolvedReference>,
    ) -> Result<(), RegistryError> {
        if depth > MAX_REFERENCE_DEPTH {
            return Err(RegistryError::InvalidSchema(format!("references nest deeper than {MAX_REFERENCE_DEPTH}")));
        }
        // Counted as they are written: the same one many times is as much to look up as many.
        if references.len() > MAX_REFERENCES {
            return Err(RegistryError::TooLarge(format!("schema has more than {MAX_REFERENCES} references")));
        }
        for reference in references {
            let version = self.referenced(owner, reference, deleted)?;
            // A version seen before is already in the list, or is being resolved further up: then the texts refer to each
            // other, and the parser reports the name that is not defined yet.
            if !seen.insert((version.subject.clone(), version.version)) {
                // Files have the name by which they are referred to: of those, one text may have several.
                let text = &*version.content.schema;
                let again = |known: &ResolvedReference| known.schema == text && known.name != reference.name;
                let is_new = || !resolved.iter().any(|known| known.name == reference.name);
                if version.content.schema_type != SchemaType::Avro && resolved.iter().any(again) && is_new() {
                    resolved.push(ResolvedReference { name: reference.name.clone(), schema: text.to_owned() });
                }
                continue;
            }
            if seen.len() > MAX_REFERENCES {
                return Err(RegistryError::TooLarge(format!("schema pulls in more than {MAX_REFERENCES} references")));
            }
            self.resolve_into(&version.subject, &version.content.references, deleted, seen, depth + 1, resolved)?;
            // Before they are copied: many large ones would take gigabytes.
            schema::check_size(&version.content.schema, resolved)?;
            let schema = version.content.schema.to_string();
            resolved.push(ResolvedReference { name: reference.name.clone(), schema });
        }
        Ok(())
    }

    /// The version a reference means.
    ///
    /// # Errors
    /// It does not exist.
    pub fn referenced(
        &self,
        owner: &Subject,
        reference: &SchemaReference,
        deleted: Deleted,
    ) -> Result<&SchemaVersion, RegistryError> {
        let target = owner.sibling(&reference.subject);
        let spec = if reference.version == -1 { VersionSpec::Latest } else { VersionSpec::Number(reference.version) };
        self.version(&target, spec, deleted).map_err(|_| {
            RegistryError::InvalidSchema(format!(
                "No schema reference found for subject \"{}\" and version {}",
                reference.subject, reference.version
            ))
        })
    }

    /// Remembers that the text of a content is canonical: taken from the topic it need not be parsed for that.
    pub(super) fn note_canonical(&self, content: &Content) {
        self.parsed.note_canonical(content);
    }

    /// The parsed schema of a version, shared by all snapshots while it is in use.
    ///
    /// # Errors
    /// The stored text, or a reference, is no readable schema.
    pub fn parsed(&self, version: &SchemaVersion) -> Result<Arc<dyn ParsedSchema>, RegistryError> {
        if let Some(parsed) = self.parsed.get(&version.content) {
            return Ok(parsed);
        }
        let references = self.resolve(&version.subject, &version.content.references, Deleted::Shown)?;
        let parsed =
            schema::parse(version.content.schema_type, &version.content.schema, &references, Validation::Lenient)?;
        let referenced: usize = references.iter().map(|reference| reference.schema.len()).sum();
        self.parsed.keep(&version.content, parsed.clone(), version.content.schema.len() + referenced);
        Ok(parsed)
    }
}

/// Deepest chain of references.
const MAX_REFERENCE_DEPTH: usize = 64;

/// Which versions a read sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deleted {
    /// Live ones.
    #[default]
    Hidden,
    /// Soft-deleted ones, too.
    Shown,
    /// Soft-deleted ones only.
    Only,
}

impl Deleted {
    /// Whether a list of versions has this one.
    pub fn lists(self, version: &SchemaVersion) -> bool {
        match self {
            Deleted::Hidden => !version.deleted,
            Deleted::Shown => true,
            Deleted::Only => version.deleted,
        }
    }
}

fn targets<'a>(owner: &'a Subject, references: &'a [SchemaReference]) -> impl Iterator<Item = (Subject, i32)> + 'a {
    references.iter().map(|reference| (owner.sibling(&reference.subject), reference.version))
}

/// Keys of configuration that may hold for a subject, the nearest first. What is set without a subject is the default
/// context's; other contexts do not see it.
fn scopes(subject: Option<&Subject>) -> Vec<&str> {
    let own = subject.map(Subject::as_str);
    let context = subject.and_then(Subject::context_subject).unwrap_or_default();
    own.into_iter().chain([context, GLOBAL_CONTEXT]).collect()
}
