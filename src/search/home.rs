//! Where an index lives: one folder is searched, another may be under construction beside it, and a file says which is which.
//!
//! `CURRENT` names the folder that is searched and is replaced in one step; `BUILDING` names the one that is being filled.
//! Whatever else lies there is left over and goes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::SearchError;

const CURRENT: &str = "CURRENT";
const BUILDING: &str = "BUILDING";

/// A half-built index older than this may lack deletions whose tombstones Kafka has dropped since.
const LEFTOVER: Duration = Duration::from_secs(24 * 3600);

/// The folder with all generations of an index. Its owner holds the lock of the data directory.
#[derive(Clone, Debug)]
pub struct IndexHome {
    folder: PathBuf,
}

impl IndexHome {
    /// The generations in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// If the folder cannot be used.
    pub fn open(folder: &Path) -> Result<Self, SearchError> {
        let home = Self { folder: folder.to_owned() };
        if folder.join("meta.json").exists() {
            // An index without generations, as they were made before; it is filled again like one that was lost.
            home.wrap(fs::remove_dir_all(folder))?;
        }
        home.wrap(fs::create_dir_all(folder))?;
        Ok(home)
    }

    /// The folder that is searched; a new one if there is none.
    ///
    /// # Errors
    /// If the folder cannot be used.
    pub fn current(&self) -> Result<PathBuf, SearchError> {
        if let Some(name) = self.wrap(self.named(CURRENT))? {
            return Ok(self.folder.join(name));
        }
        let name = self.wrap(self.fresh())?;
        self.wrap(self.name(CURRENT, &name))?;
        Ok(self.folder.join(name))
    }

    /// The folder to build a new index in: the one that an earlier build has left, if it is young, or a new one.
    ///
    /// # Errors
    /// If the folder cannot be used.
    pub fn beside(&self) -> Result<PathBuf, SearchError> {
        if let Some(name) = self.wrap(self.named(BUILDING))? {
            let folder = self.folder.join(name);
            if is_young(&folder.join("meta.json")) {
                return Ok(folder);
            }
        }
        let name = self.wrap(self.fresh())?;
        self.wrap(self.name(BUILDING, &name))?;
        Ok(self.folder.join(name))
    }

    /// Throws away what an earlier build has left in `built`.
    ///
    /// # Errors
    /// If the folder cannot be removed.
    pub fn start_over(&self, built: &Path) -> Result<(), SearchError> {
        self.wrap(if built.exists() { fs::remove_dir_all(built) } else { Ok(()) })
    }

    /// Makes the index that was built the one that is searched, in one step. The old one stays until [`Self::clean`].
    ///
    /// # Errors
    /// If the folder cannot be used; then the old one is still the one.
    pub fn promote(&self, built: &Path) -> Result<(), SearchError> {
        let name = built.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.wrap(self.name(CURRENT, &name))?;
        self.wrap(remove_file(&self.folder.join(BUILDING)))
    }

    /// Removes what is neither searched nor built. Readers of a removed index go on: the system keeps what they hold open.
    ///
    /// # Errors
    /// If a folder cannot be removed.
    pub fn clean(&self) -> Result<(), SearchError> {
        let kept = [self.wrap(self.named(CURRENT))?, self.wrap(self.named(BUILDING))?];
        for entry in self.wrap(fs::read_dir(&self.folder))? {
            let path = self.wrap(entry)?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            if path.is_dir() && !kept.contains(&name) {
                self.wrap(fs::remove_dir_all(&path))?;
            }
        }
        Ok(())
    }

    fn named(&self, file: &str) -> io::Result<Option<String>> {
        match fs::read_to_string(self.folder.join(file)) {
            // A name of ours is a number; anything else would lead out of the folder.
            Ok(name) => Ok(Some(name.trim().to_owned()).filter(|name| name.parse::<u64>().is_ok())),
            // Nor does a file name anything that is no text any more: the index it named is filled again.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces `file` in one step.
    fn name(&self, file: &str, name: &str) -> io::Result<()> {
        let beside = self.folder.join(format!("{file}.new"));
        let mut new = File::create(&beside)?;
        new.write_all(name.as_bytes())?;
        new.sync_all()?;
        fs::rename(&beside, self.folder.join(file))?;
        // The name is lost in a power failure unless the folder is written too.
        File::open(&self.folder)?.sync_all()
    }

    /// A number above all that are there.
    fn fresh(&self) -> io::Result<String> {
        let mut last = 0;
        for entry in fs::read_dir(&self.folder)? {
            if let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()) {
                last = last.max(number);
            }
        }
        Ok((last + 1).to_string())
    }

    fn wrap<T>(&self, outcome: io::Result<T>) -> Result<T, SearchError> {
        outcome.map_err(|source| SearchError::Folder { path: self.folder.clone(), source })
    }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn is_young(file: &Path) -> bool {
    let written = fs::metadata(file).and_then(|meta| meta.modified());
    written.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age < LEFTOVER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_takes_the_place_of_what_is_searched_in_one_step() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let home = IndexHome::open(&dir.path().join("index")).expect("new");
        let first = home.current().expect("usable");
        fs::create_dir_all(&first).expect("usable");
        assert_eq!(home.current().expect("usable"), first);
        let second = home.beside().expect("usable");
        fs::create_dir_all(&second).expect("usable");
        fs::write(second.join("meta.json"), "{}").expect("writable");
        assert_ne!(first, second);
        assert_eq!(home.beside().expect("usable"), second, "a young build goes on");
        home.clean().expect("usable");
        assert!(first.exists() && second.exists());
        home.promote(&second).expect("usable");
        assert_eq!(home.current().expect("usable"), second);
        home.clean().expect("usable");
        assert!(!first.exists() && second.exists());
        assert_ne!(home.beside().expect("usable"), second, "the next build is another one");
    }

    #[test]
    fn a_name_that_is_none_of_ours_is_not_followed() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let home = IndexHome::open(dir.path()).expect("new");
        for damaged in [&b"../elsewhere"[..], b"\xff\xfe\x00", b""] {
            fs::write(dir.path().join(CURRENT), damaged).expect("writable");
            assert_eq!(home.current().expect("usable"), dir.path().join("1"));
        }
    }
}
