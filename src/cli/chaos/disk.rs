//! A disk that can be made to refuse: a small file system of its own where we may mount one, and limits of the process.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, gone when dropped.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
}

/// More than any campaign needs; what is not used takes no memory.
const ROOM: &str = "size=4g";

impl Disk {
    /// Mounts one at `folder`; `None` if this user may not.
    pub fn mount(folder: &Path) -> io::Result<Option<Self>> {
        std::fs::create_dir_all(folder)?;
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", ROOM, "tributary-chaos"]).arg(folder).output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Some(Self { folder: folder.to_owned() })),
            // Without the tool, the right or the capability.
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// No block is left.
    pub fn fill(&self) -> io::Result<()> {
        // A file system cannot be made smaller than its content, which changes: the first size that is taken will do.
        let mut refused = io::Error::other("it was never asked");
        for spare in [0, 64, 256, 1_024, 4_096] {
            let used = used_kibibytes(&self.folder)?;
            match self.remount(&format!("size={}k", used + spare)) {
                Ok(()) => return Ok(()),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// Nothing can be written; fails while files are open for writing.
    pub fn protect(&self) -> io::Result<()> {
        self.remount("ro")
    }

    /// As at the beginning.
    pub fn recover(&self) -> io::Result<()> {
        self.remount(&format!("rw,{ROOM}"))
    }

    fn remount(&self, options: &str) -> io::Result<()> {
        run(Command::new("mount").arg("-o").arg(format!("remount,{options}")).arg(&self.folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still holds a file keeps it until it lets go.
        let _ = run(Command::new("umount").arg("-l").arg(&self.folder));
    }
}

fn used_kibibytes(folder: &Path) -> io::Result<u64> {
    let output = Command::new("df").args(["-k", "--output=used"]).arg(folder).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let used = text.lines().nth(1).and_then(|line| line.trim().parse().ok());
    used.ok_or_else(|| io::Error::other(format!("df did not say what is used: {text}")))
}

/// Lets a process write no byte to any file, or all again. Its open files are no exception.
pub(super) fn limit_writes(process: u32, limit: Writes) -> io::Result<()> {
    let soft = match limit {
        Writes::Refused => "--fsize=0:",
        Writes::Allowed => "--fsize=unlimited:",
    };
    run(Command::new("prlimit").args(["--pid", &process.to_string(), soft]))
}

/// See [`limit_writes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writes {
    Refused,
    Allowed,
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("{command:?}: {said}")))
}
