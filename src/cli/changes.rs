//! Files that are read again when they change. What cannot be read leaves in force what was read before.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::runtime::Runtime;

/// Looks at `paths` every so often and calls `renew` when one of them has changed.
pub(super) fn watch<E: std::error::Error + Send + 'static>(
    runtime: &Runtime,
    what: &'static str,
    paths: Vec<PathBuf>,
    every: Duration,
    renew: impl Fn() -> Result<(), E> + Send + 'static,
) {
    let mut known = marks(&paths);
    runtime.spawn(async move {
        loop {
            tokio::time::sleep(every).await;
            let now = marks(&paths);
            if now == known {
                continue;
            }
            known = now;
            match tokio::task::block_in_place(&renew) {
                Ok(()) => tracing::info!(what, "changed files are in force"),
                Err(error) => tracing::error!(what, %error, "changed files are not taken over"),
            }
        }
    });
}

/// What tells that a file is another: its time and size; none where it is not there.
fn marks(paths: &[PathBuf]) -> Vec<Option<(SystemTime, u64)>> {
    let mark = |path: &PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    paths.iter().map(mark).collect()
}
