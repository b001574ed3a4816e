//! Free ports on loopback, from below those that systems give to outgoing connections: a server that is stopped for a while
//! finds its port free again.

use std::collections::HashSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::DevError;

/// Linux gives out ports from 32768 on unless told otherwise, others from 49152.
const RANGE: Range<u16> = 10_000..32_000;

/// Ports of one server, given to no other while this lives, even while the server does not listen: it takes a second or two
/// to start, and may be stopped and started again.
///
/// A port is claimed by its twin among the UDP ports, which no server here uses. The system releases it with the process.
#[derive(Debug)]
pub(super) struct Ports<const N: usize> {
    numbers: [u16; N],
    _claims: Vec<UdpSocket>,
}

impl<const N: usize> Ports<N> {
    /// As many as asked for, the ones remembered in `file` if they are still free; remembers them there.
    pub fn pick(file: &Path) -> Result<Self, DevError> {
        let remembered = fs::read_to_string(file).unwrap_or_default();
        let old: Vec<u16> = remembered.split_whitespace().filter_map(|port| port.parse().ok()).collect();
        if let Ok(numbers) = <[u16; N]>::try_from(old)
            && let Ok(claims) = numbers.iter().map(|port| claim(*port)).collect()
        {
            return Ok(Self { numbers, _claims: claims });
        }
        let picked = Self::free().map_err(|e| DevError::io("find free ports for", file, e))?;
        let text = picked.numbers.map(|port| port.to_string()).join(" ");
        fs::write(file, text).map_err(|e| DevError::io("write", file, e))?;
        Ok(picked)
    }

    pub fn numbers(&self) -> [u16; N] {
        self.numbers
    }

    fn free() -> io::Result<Self> {
        /// Ports that this process has given out. Who got one by [`free_address`] may not listen yet.
        static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        let given = given.get_or_insert_default();
        // Each caller begins elsewhere, so that processes that look at the same time find different ones.
        let skipped = RandomState::new().hash_one(std::process::id()) % RANGE.len() as u64;
        let start = RANGE.start + skipped as u16;
        let ports = (start..RANGE.end).chain(RANGE.start..start).filter(|port| !given.contains(port));
        let (numbers, claims): (Vec<u16>, Vec<UdpSocket>) =
            ports.filter_map(|port| Some((port, claim(port).ok()?))).take(N).unzip();
        given.extend(&numbers);
        let numbers = numbers.try_into().map_err(|_| io::ErrorKind::AddrInUse)?;
        Ok(Self { numbers, _claims: claims })
    }
}

/// An address on which nobody listened a moment ago, and that this process has not given out before.
///
/// # Errors
/// If there is none.
pub fn free_address() -> io::Result<String> {
    let [port] = Ports::free()?.numbers;
    Ok(format!("{}:{port}", Ipv4Addr::LOCALHOST))
}

/// Claims a port on which nobody listens.
fn claim(port: u16) -> io::Result<UdpSocket> {
    let claim = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    Ok(claim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_are_none_of_the_systems_own() {
        let [a, b, c] = Ports::free().expect("three of thousands are free").numbers();
        assert!(a != b && b != c && a != c, "{a} {b} {c}");
        assert!([a, b, c].iter().all(|port| RANGE.contains(port)), "{a} {b} {c}");
    }

    #[test]
    fn remembered_ports_are_taken_again_unless_somebody_listens() {
        let folder = tempfile::tempdir().expect("there is room");
        let file = folder.path().join("ports");
        let first = Ports::<1>::pick(&file).expect("a port is free").numbers();
        assert_eq!(Ports::pick(&file).expect("it is free still").numbers(), first);
        let _somebody = TcpListener::bind((Ipv4Addr::LOCALHOST, first[0])).expect("it is free");
        assert_ne!(Ports::pick(&file).expect("another one is free").numbers(), first);
    }

    #[test]
    fn a_port_is_its_owners_while_nobody_listens() {
        let folder = tempfile::tempdir().expect("there is room");
        let file = folder.path().join("ports");
        let owner = Ports::<1>::pick(&file).expect("a port is free");
        let other = Ports::<1>::pick(&file).expect("another one is free");
        assert_ne!(owner.numbers(), other.numbers());
        drop(TcpListener::bind((Ipv4Addr::LOCALHOST, owner.numbers()[0])).expect("the owner can listen"));
    }
}
