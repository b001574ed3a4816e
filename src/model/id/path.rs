//! Ids of places in stores and file systems.

use super::EntityId;
use super::canon::{Canon, Root};
use super::platform::{Platform, canonical_scheme, platform_of};

/// The id of a location URI (`viewfs://lake/warehouse/t`, `file:/tmp/x`, `C:\x`): equal to the id of a dataset that is
/// reported at that place. Trailing partition directories are left out, as a partition's files belong to its table.
/// `None` if the text has no scheme, as it then depends on the reader's default file system.
pub fn path_id(uri: &str) -> Option<EntityId> {
    let root = Root::parse(uri).or_else(|| drive_path(uri).map(|_| file_root(uri)))?;
    match platform_of(&root.scheme) {
        Platform::Store | Platform::Files | Platform::Other => {
            Some(strip_partition_directories(path_canon(&root, "")).id())
        }
        Platform::Database(_) | Platform::Topics | Platform::Reserved => None,
    }
}

/// Leaves out trailing `key=value` segments of a path in a store; other names stay as they are.
#[must_use]
pub fn strip_partition_directories(canon: Canon) -> Canon {
    if !matches!(platform_of(canon.scheme()), Platform::Store | Platform::Files) {
        return canon;
    }
    let is_partition = |segment: &str| {
        segment.split_once('=').is_some_and(|(key, _)| !key.is_empty() && !key.contains(char::is_whitespace))
    };
    // Doubled slashes before them end no name either.
    let is_table = |segment: &String| !segment.is_empty() && !is_partition(segment);
    let kept = canon.segments().iter().rposition(is_table).map_or(0, |last| last + 1);
    // A path of nothing but `key=value` has no table above it.
    if kept == 0 || kept == canon.segments().len() {
        return canon;
    }
    let table = canon.segments().iter().take(kept).cloned().collect();
    canon.with_segments(table)
}

/// The directory of the table that a path in a store lies in: without a transaction log and partition directories.
#[must_use]
pub fn table_directory(path: &EntityId) -> EntityId {
    let Ok(canon) = Canon::parse(path.as_str()) else { return path.clone() };
    if !matches!(platform_of(canon.scheme()), Platform::Store | Platform::Files) {
        return path.clone();
    }
    let kept: Vec<String> = canon.segments().iter().take_while(|segment| *segment != "_delta_log").cloned().collect();
    if kept.is_empty() { path.clone() } else { strip_partition_directories(canon.with_segments(kept)).id() }
}

/// The canonical name of `name` below a namespace that is a store or unknown.
pub(super) fn path_canon(root: &Root, name: &str) -> Canon {
    // Some producers repeat the whole URI as the name.
    let repeated = name.split_once("://").filter(|(scheme, _)| canonical_scheme(scheme) == root.scheme);
    let whole = repeated
        .and_then(|_| Root::parse(name))
        .filter(|whole| whole.authority == root.authority || root.authority.is_empty());
    let (root, name) = whole.as_ref().map_or((root, name), |whole| (whole, ""));
    if platform_of(&root.scheme) == Platform::Files {
        return file_canon(root, name);
    }
    build(&root.scheme, &root.authority, &join(&root.path, name))
}

fn build(scheme: &str, authority: &str, path: &str) -> Canon {
    let path = path.trim_matches('/');
    let segments = if path.is_empty() { Vec::new() } else { path.split('/').map(str::to_owned).collect() };
    Canon::new(scheme, authority, segments).expect("the scheme of a parsed namespace is valid")
}

fn join(outer: &str, inner: &str) -> String {
    match (outer.trim_end_matches('/'), inner.trim_start_matches('/')) {
        ("", inner) => inner.to_owned(),
        (outer, "") => outer.to_owned(),
        (outer, inner) => format!("{outer}/{inner}"),
    }
}

fn file_root(path: &str) -> Root {
    Root { scheme: "file".to_owned(), authority: String::new(), path: path.to_owned() }
}

/// A local path; the host is left out, since producers that write one write their own.
fn file_canon(root: &Root, name: &str) -> Canon {
    // `file://C:/x` puts the drive where the host belongs.
    let drive = drive_path(&root.authority).is_some();
    let outer = if drive { format!("{}{}", root.authority, root.path) } else { root.path.clone() };
    let path = match drive_path(name).or_else(|| name.strip_prefix("\\\\")) {
        Some(_) => name.to_owned(),
        None => join(&outer, name),
    };
    let bare = path.trim_start_matches('/');
    match drive_path(bare) {
        Some(rest) => {
            let letter = bare.chars().next().unwrap_or('C').to_ascii_uppercase();
            build("file", "", &format!("{letter}:/{}", rest.replace('\\', "/").trim_start_matches('/')))
        }
        None if path.starts_with("\\\\") => build("file", "", &path.replace('\\', "/")),
        None => build("file", "", &path),
    }
}

/// What follows the drive of a Windows path: `C:\x`, `c:/x`, `C:`.
fn drive_path(text: &str) -> Option<&str> {
    let mut characters = text.chars();
    let is_drive = characters.next().is_some_and(|c| c.is_ascii_alphabetic()) && characters.next() == Some(':');
    let rest = characters.as_str();
    (is_drive && (rest.is_empty() || rest.starts_with(['/', '\\']))).then_some(rest)
}
