//! Free ports on loopback, from below those that systems give to outgoing connections: a server that is stopped for a while
//! finds its port free again.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::Path;

use super::DevError;

/// Linux gives out ports from 32768 on unless told otherwise, others from 49152.
const RANGE: Range<u16> = 10_000..32_000;

/// As many free ports as asked for, the ones remembered in `file` if they are still free; remembers them there.
pub(super) fn pick<const N: usize>(file: &Path) -> Result<[u16; N], DevError> {
    let remembered = fs::read_to_string(file).unwrap_or_default();
    let old: Vec<u16> = remembered.split_whitespace().filter_map(|port| port.parse().ok()).collect();
    if let Ok(old) = <[u16; N]>::try_from(old)
        && old.iter().all(|port| listen(*port).is_ok())
    {
        return Ok(old);
    }
    let picked = free().map_err(|e| DevError::io("find free ports for", file, e))?;
    fs::write(file, picked.map(|port| port.to_string()).join(" ")).map_err(|e| DevError::io("write", file, e))?;
    Ok(picked)
}

/// An address that nobody listened on a moment ago.
///
/// # Errors
/// If there is none.
pub fn free_address() -> io::Result<String> {
    free().map(|[port]| format!("{}:{port}", Ipv4Addr::LOCALHOST))
}

fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

fn free<const N: usize>() -> io::Result<[u16; N]> {
    // Each caller begins elsewhere, so that processes that look at the same time find different ones.
    let skipped = RandomState::new().hash_one(std::process::id()) % RANGE.len() as u64;
    let start = RANGE.start + skipped as u16;
    let ports = (start..RANGE.end).chain(RANGE.start..start);
    let picked: Vec<u16> = ports.filter(|port| listen(*port).is_ok()).take(N).collect();
    picked.try_into().map_err(|_| io::ErrorKind::AddrInUse.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_are_none_of_the_systems_own() {
        let picked: [u16; 3] = free().expect("three of thousands are free");
        let [a, b, c] = picked;
        assert!(a != b && b != c && a != c, "{picked:?}");
        assert!(picked.iter().all(|port| RANGE.contains(port)), "{picked:?}");
    }

    #[test]
    fn remembered_ports_are_taken_again_unless_somebody_has_them() {
        let folder = tempfile::tempdir().expect("there is room");
        let file = folder.path().join("ports");
        let first: [u16; 1] = pick(&file).expect("a port is free");
        assert_eq!(pick(&file).expect("it is free still"), first);
        let _somebody = listen(first[0]).expect("it is free");
        assert_ne!(pick::<1>(&file).expect("another one is free"), first);
    }
}
