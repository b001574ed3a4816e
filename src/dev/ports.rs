//! Free ports on loopback.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use super::DevError;

/// As many free ports as asked for, the ones remembered in `file` if they are still free; remembers them there.
pub(super) fn pick<const N: usize>(file: &Path) -> Result<[u16; N], DevError> {
    let remembered = fs::read_to_string(file).unwrap_or_default();
    let old: Vec<u16> = remembered.split_whitespace().filter_map(|port| port.parse().ok()).collect();
    if let Ok(old) = <[u16; N]>::try_from(old)
        && old.iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
    {
        return Ok(old);
    }
    let free = |e| DevError::io("find free ports for", file, e);
    // All are held until all are known, so that they differ.
    let held =
        (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>().map_err(free)?;
    let mut picked = [0; N];
    for (slot, listener) in picked.iter_mut().zip(&held) {
        *slot = listener.local_addr().map_err(free)?.port();
    }
    fs::write(file, picked.map(|port| port.to_string()).join(" ")).map_err(|e| DevError::io("write", file, e))?;
    Ok(picked)
}
