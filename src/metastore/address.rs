//! Where a metastore listens: `thrift://host:port`, or several of them with commas. Pure.

use std::fmt;

use super::error::MetastoreError;

/// The port of `hive.metastore.port`.
const DEFAULT_PORT: u16 = 9083;

/// One address of a metastore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Host name or address, without the brackets of an IPv6 address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Address {
    /// All addresses in a text such as `hive.metastore.uris` holds; the scheme may be left out, and so may the port.
    ///
    /// # Errors
    /// [`MetastoreError::Address`] for an empty text, another scheme or a port that is none.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, MetastoreError> {
        text.split(',').map(str::trim).map(Self::parse).collect()
    }

    fn parse(text: &str) -> Result<Self, MetastoreError> {
        let wrong = |reason: &str| MetastoreError::Address { text: text.to_owned(), reason: reason.to_owned() };
        let rest = match text.split_once("://") {
            Some(("thrift" | "hive", rest)) => rest,
            Some((scheme, _)) => return Err(wrong(&format!("its scheme is {scheme}, not thrift"))),
            None => text,
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        if host.is_empty() || host.contains(['/', '@', ' ']) {
            return Err(wrong("it names no host"));
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => port.parse().map_err(|_| wrong("its port is no number from 1 to 65535"))?,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "thrift://[{}]:{}", self.host, self.port),
            false => write!(f, "thrift://{}:{}", self.host, self.port),
        }
    }
}
