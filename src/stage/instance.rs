//! The data directory of a process: one owner at a time, and a name that survives restarts.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A locked data directory. The lock goes with the process, however it ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    instance: String,
    _lock: File,
}

/// The data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process holds it.
    #[error("data directory {path} is in use by another process; give each process its own")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("data directory {path}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The instance name does not fit into ids.
    #[error("instance name {name:?} may hold letters, digits, `-` and `_` only")]
    Name {
        /// The name.
        name: String,
    },
}

impl DataDir {
    /// Locks `path`, creating it if needed. The instance name is `configured`, or else the one kept in the directory,
    /// or else `fresh` (a random one), which is then kept.
    pub fn open(
        path: impl Into<PathBuf>,
        configured: Option<&str>,
        fresh: impl FnOnce() -> String,
    ) -> Result<Self, DataDirError> {
        let path = path.into();
        let io = |source| DataDirError::Io { path: path.clone(), source };
        fs::create_dir_all(&path).map_err(io)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join("lock")).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataDirError::Locked { path }),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let instance = match configured {
            Some(name) => name.to_owned(),
            None => kept_name(&path.join("instance"), fresh).map_err(io)?,
        };
        if instance.is_empty() || !instance.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return Err(DataDirError::Name { name: instance });
        }
        Ok(Self { path, instance, _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of this instance.
    pub fn instance(&self) -> &str {
        &self.instance
    }
}

fn kept_name(file: &Path, fresh: impl FnOnce() -> String) -> io::Result<String> {
    match fs::read_to_string(file) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let name = fresh();
    // Written beside and moved, so that a crash leaves no half of a name.
    let beside = file.with_extension("new");
    let mut new = File::create(&beside)?;
    new.write_all(name.as_bytes())?;
    new.sync_all()?;
    fs::rename(&beside, file)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_kept_and_the_directory_has_one_owner() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let first = DataDir::open(dir.path(), None, || "n1".into()).expect("free");
        assert_eq!(first.instance(), "n1");
        let second = DataDir::open(dir.path(), None, || "n2".into());
        assert!(matches!(second, Err(DataDirError::Locked { .. })), "{second:?}");
        drop(first);
        let third = DataDir::open(dir.path(), None, || "n3".into()).expect("free again");
        assert_eq!(third.instance(), "n1");
        drop(third);
        assert_eq!(DataDir::open(dir.path(), Some("mine"), String::new).expect("free").instance(), "mine");
    }

    #[test]
    fn names_fit_into_ids() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let error = DataDir::open(dir.path(), Some("a.b"), String::new);
        assert!(matches!(error, Err(DataDirError::Name { .. })), "{error:?}");
    }
}
