//! One GET over plain HTTP, for health checks and metrics on this machine: a client crate would be the larger part of
//! the commands that ask.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Longest wait for the connection and for each part of the answer.
const PATIENCE: Duration = Duration::from_secs(2);
const MAX_ANSWER: u64 = 4 << 20;

/// Status and body of `GET path` at `host:port`.
pub(super) fn get(address: &str, path: &str) -> io::Result<(u16, String)> {
    let nowhere = || io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address"));
    let resolved = address.to_socket_addrs()?.next().ok_or_else(nowhere)?;
    let mut stream = TcpStream::connect_timeout(&resolved, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("{address} does not speak HTTP")))?;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Ok((status, body.to_owned()))
}
