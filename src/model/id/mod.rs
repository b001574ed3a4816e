//! Ids of entities (model §7): how a reported name becomes the one id that keys facts, topics and rows.
//!
//! [`Canon`] is the parsed form and stands in a bijection to [`EntityId`]; [`canon`] maps a reported (namespace, name)
//! to it by the rules of its platform and loses spelling on purpose. [`Identity`] adds what an installation configures:
//! instances, rewrites, ignore patterns. Pure; knows no source's event format.

mod canon;
mod column;
mod encode;
mod identity;
mod instance;
mod key;
mod path;
mod platform;
mod rewrite;
mod spelling;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use canon::{Canon, NameOptions, Named, canon, canon_with};
pub use column::{ARRAY_ELEMENT, MAP_VALUE, child_path, column_id, field_path, split_column_id, split_field_path};
pub use encode::{decode, encode};
pub use identity::{Identity, IdentityConfig, NameIssue, ReportedBy, ResolvedName};
pub use instance::{Instance, InstanceConfig, Instances};
pub use key::{join_key, name_key, partition_key, partition_name, split_key, split_name_key};
pub use path::{path_id, strip_partition_directories, table_directory};
pub use platform::is_loopback;
pub use rewrite::{RewriteConfig, Rewrites};
pub use spelling::case_collides;

/// The id of an entity as it stands in Kafka keys, tables and URLs.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntityId(Arc<str>);

impl EntityId {
    /// An id from its written form; the caller vouches that it is canonical.
    pub fn from_canonical(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The written form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of a job: `job://<enc(namespace)>/<enc(name)>`.
    pub fn job(namespace: &str, name: &str) -> Self {
        Self::from_canonical(format!("job://{}/{}", encode(namespace), encode(name)))
    }

    /// The database or schema that holds a dataset; `None` where the platform has none (topics, paths, plain names).
    pub fn container(&self) -> Option<Self> {
        let canon = Canon::parse(self.as_str()).ok()?;
        let has_containers = platform::platform_of(canon.scheme()).has_containers();
        let (_, outer) = canon.segments().split_last()?;
        (has_containers && !outer.is_empty()).then(|| canon.with_segments(outer.to_vec()).id())
    }

    /// The platform as shown to people and used in filters: `hive`, `s3`, `postgres`, …; `openlineage` for plain names.
    pub fn platform(&self) -> &str {
        match self.0.split_once("://") {
            Some(("ol", _)) | None => "openlineage",
            Some((scheme, _)) => scheme,
        }
    }

    /// A short name for people: `db.table` on databases, the path in stores, the decoded text otherwise.
    pub fn display_name(&self) -> String {
        let Ok(canon) = Canon::parse(self.as_str()) else { return self.0.to_string() };
        let separator = if platform::platform_of(canon.scheme()).has_containers() { "." } else { "/" };
        if canon.segments().is_empty() { canon.authority().to_owned() } else { canon.segments().join(separator) }
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is no id, or a configuration of identity cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// No `scheme://`, or a scheme with other characters than `a-z 0-9 + . -`.
    #[error("id {text:?} has no valid scheme; an id starts like hive:// or s3://")]
    Scheme {
        /// The text.
        text: String,
    },
    /// A character that must be encoded is not, or an escape is not one the encoding makes.
    #[error(
        "id {text:?} is not encoded canonically at byte {at}; encode only % / \\ # ? | and controls, in upper-case hex"
    )]
    Encoding {
        /// The text.
        text: String,
        /// Byte offset of the fault.
        at: usize,
    },
    /// An instance's id does not name a server or account.
    #[error("instance id {id:?} must be a namespace like hive://host:9083 without a path")]
    InstanceId {
        /// The configured id.
        id: String,
    },
    /// Two instances claim a name.
    #[error("instance name {name:?} belongs to both {first:?} and {second:?}; remove it from one")]
    AmbiguousInstance {
        /// The name.
        name: String,
        /// One owner.
        first: String,
        /// The other.
        second: String,
    },
    /// A rewrite whose two sides are not both prefixes (`…/**`) or both single ids.
    #[error("rewrite {from:?} -> {to:?} must end in /** on both sides or on neither")]
    RewriteShape {
        /// Left side.
        from: String,
        /// Right side.
        to: String,
    },
    /// Rewrites that lead back to where they started.
    #[error("rewrites form a cycle: {cycle}; remove one of them")]
    RewriteCycle {
        /// The rules on the way, `a -> b, b -> a`.
        cycle: String,
    },
    /// Two rewrites of the same left side and scope.
    #[error("rewrite of {from:?} is given twice for the same job namespace and topic")]
    RewriteTwice {
        /// Left side.
        from: String,
    },
}
