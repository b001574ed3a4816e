//! From a reported name to its id in one installation: instances, then platform rules, then rewrites.

use serde::Deserialize;

use super::canon::{Canon, NameOptions, Root, canon_parts, canon_with};
use super::instance::{InstanceConfig, Instances};
use super::platform::{Platform, canonical_scheme, is_loopback, platform_of};
use super::rewrite::{RewriteConfig, Rewrites};
use super::{EntityId, IdError, path_id, strip_partition_directories};

/// Names that no catalog wants: bookkeeping of table formats and engines, common table expressions, table functions, also
/// those that producers' parsers take for tables.
const DEFAULT_IGNORE: &[&str] = &[
    "_delta_log",
    "_temporary",
    "__dbt__cte__*",
    "*__dbt_tmp",
    "*__dbt_backup",
    "tmp_trino_*",
    "*(*)",
    "generate_series",
];

/// What an installation configures about identity.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityConfig {
    /// Known servers and accounts.
    pub instances: Vec<InstanceConfig>,
    /// Rewrites of ids.
    pub rewrites: Vec<RewriteConfig>,
    /// Patterns (`*` = any characters) of segments; a name with a matching segment is ignored. Absent: the defaults.
    pub ignore: Option<Vec<String>>,
}

/// Why a name cannot be fully trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameIssue {
    /// Parts are missing and no instance's defaults fill them.
    Incomplete,
    /// The server is "this machine" of an unknown machine.
    Loopback,
}

impl NameIssue {
    /// As it stands in facts and on the unresolved list.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Loopback => "loopback",
        }
    }
}

/// Who reports a name; rewrites may be restricted to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReportedBy<'a> {
    /// Namespace of the reporting job, if a job reports.
    pub job_namespace: Option<&'a str>,
    /// Raw topic.
    pub topic: &'a str,
}

/// A reported name's id and what is doubtful about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedName {
    /// The id, after rewrites, without partition directories.
    pub id: EntityId,
    /// Doubts, sorted.
    pub issues: Vec<NameIssue>,
    /// The name matches an ignore pattern.
    pub ignored: bool,
    /// The namespace is a name of a configured instance.
    pub instance: bool,
    /// Names on its server do not depend on case, column names neither.
    pub folds_case: bool,
}

/// The identity rules of one installation.
#[derive(Clone, Debug)]
pub struct Identity {
    instances: Instances,
    rewrites: Rewrites,
    ignore: Vec<String>,
}

impl Default for Identity {
    fn default() -> Self {
        let ignore = DEFAULT_IGNORE.iter().map(|&pattern| pattern.to_owned()).collect();
        Self { instances: Instances::default(), rewrites: Rewrites::default(), ignore }
    }
}

impl Identity {
    /// Checks the configuration; see [`Instances::new`] and [`Rewrites::new`].
    pub fn new(config: IdentityConfig) -> Result<Self, IdError> {
        Ok(Self {
            instances: Instances::new(config.instances)?,
            rewrites: Rewrites::new(config.rewrites)?,
            ignore: config.ignore.unwrap_or_else(|| Self::default().ignore),
        })
    }

    /// The configured instances.
    pub fn instances(&self) -> &Instances {
        &self.instances
    }

    /// A namespace in one spelling: that of the configured instance of which it is a name, else scheme and authority
    /// without credentials. Texts without a scheme stay as they are.
    pub fn namespace(&self, namespace: &str) -> String {
        if let Some(instance) = self.instances.find(namespace) {
            return instance.namespace.clone();
        }
        match Root::parse(namespace) {
            Some(root) if root.authority.is_empty() && root.path.is_empty() => root.scheme,
            Some(root) => root.spelling(),
            None => namespace.to_owned(),
        }
    }

    /// The id of a dataset that is reported as (namespace, name).
    pub fn dataset(&self, namespace: &str, name: &str, by: ReportedBy<'_>) -> ResolvedName {
        let instance = self.instances.find(namespace);
        let named = match instance {
            Some(instance) => {
                let path = Root::parse(namespace).map(|root| root.path).unwrap_or_default();
                canon_with(&format!("{}{path}", instance.namespace), name, &instance.options)
            }
            None => canon_with(namespace, name, &NameOptions::default()),
        };
        let canon = strip_partition_directories(named.canon);
        let reported = canon.id();
        let rewritten = self.rewrites.apply(&reported, by.job_namespace, by.topic);
        let mut issues = Vec::new();
        if named.incomplete && rewritten.is_none() {
            issues.push(NameIssue::Incomplete);
        }
        let has_host = !matches!(platform_of(canon.scheme()), Platform::Files | Platform::Reserved);
        if has_host && is_loopback(canon.authority()) && instance.is_none() && rewritten.is_none() {
            issues.push(NameIssue::Loopback);
        }
        let ignored = self.is_ignored(&canon);
        let options = instance.map(|instance| &instance.options);
        let folds_case = match platform_of(canon.scheme()) {
            Platform::Database(rules) => {
                !options.and_then(|options| options.case_sensitive).unwrap_or(rules.case_sensitive)
            }
            _ => false,
        };
        ResolvedName { id: rewritten.unwrap_or(reported), issues, ignored, instance: instance.is_some(), folds_case }
    }

    /// The id of a place that a catalog gives as a URI, by the same rules as a path that a producer reports there; see
    /// [`path_id`]. `topic` is the raw topic.
    pub fn location(&self, uri: &str, topic: &str) -> Option<EntityId> {
        let plain = path_id(uri)?;
        match Root::parse(uri) {
            Some(_) => Some(self.dataset(uri, "", ReportedBy { job_namespace: None, topic }).id),
            // A path of Windows has no scheme.
            None => Some(self.rewrites.apply(&plain, None, topic).unwrap_or(plain)),
        }
    }

    /// The id of the dataset that an id in any spelling stands for (`snowflake://prod/analytics/user_events`), for
    /// questions of people and programs. Fails if the text is no id.
    pub fn canonical_id(&self, text: &str) -> Result<EntityId, IdError> {
        let typed = match Canon::parse(text) {
            Ok(canon) => Canon::new(canonical_scheme(canon.scheme()), canon.authority(), canon.segments().to_vec())?,
            // People type spaces and percent signs as they are.
            Err(error) => {
                let root = Root::parse(text).filter(|root| platform_of(&root.scheme) != Platform::Reserved);
                let root = root.ok_or(error)?;
                let segments = root.path.split('/').map(str::to_owned).collect();
                Canon::new(root.scheme, root.authority, segments)?
            }
        };
        let (scheme, mut segments) = (typed.scheme(), typed.segments());
        let is_path = matches!(platform_of(scheme), Platform::Store | Platform::Files | Platform::Other);
        while let [inner @ .., last] = segments
            && is_path
            && last.is_empty()
        {
            segments = inner;
        }
        while let [first, inner @ ..] = segments
            && is_path
            && first.is_empty()
        {
            segments = inner;
        }
        let id = match platform_of(scheme) {
            Platform::Reserved => return Ok(typed.id()),
            Platform::Files => Canon::new(scheme, "", segments.to_vec())?.id(),
            Platform::Database(_) | Platform::Topics | Platform::Store | Platform::Other => {
                match self.instances.find(&format!("{scheme}://{}", typed.authority())) {
                    Some(instance) => {
                        let home = Root::parse(&instance.namespace).expect("an instance's namespace was parsed before");
                        canon_parts(&home.scheme, &home.authority, segments.to_vec(), &instance.options).canon.id()
                    }
                    None => {
                        canon_parts(scheme, typed.authority(), segments.to_vec(), &NameOptions::default()).canon.id()
                    }
                }
            }
        };
        Ok(self.rewrites.apply(&id, None, "").unwrap_or(id))
    }

    fn is_ignored(&self, canon: &Canon) -> bool {
        canon.segments().iter().any(|segment| self.ignore.iter().any(|pattern| glob(pattern, segment)))
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters. Linear in both, without backtracking.
fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.split_once(piece) {
            Some((_, tail)) => rest = tail,
            None => return false,
        }
    }
    true
}
