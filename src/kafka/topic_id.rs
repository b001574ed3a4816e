//! Topic ids: what tells a recreated topic from the one of the same name before it.
//!
//! The client library does not hand them out, so this asks for them itself: one `Metadata` request (key 3, version 12:
//! flexible, the first whose answers carry ids for topics asked for by name) over a plain connection. Over TLS or SASL
//! it does not ask, and ids are unknown; a recreated topic is then noticed by its missing committed offset or by a
//! position outside of its log. The format: <https://kafka.apache.org/protocol.html#The_Messages_Metadata>.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::config::KafkaConfig;
use super::error::{Class, KafkaError};

const TIMEOUT: Duration = Duration::from_secs(5);
const METADATA: i16 = 3;
const VERSION: i16 = 12;
/// An answer about a few hundred topics has some hundred kilobytes.
const MAX_ANSWER: usize = 64 << 20;

/// The UUID a cluster gives a topic at its creation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub [u8; 16]);

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for TopicId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32);
        number.map(|n| Self(n.to_be_bytes())).ok_or_else(|| format!("{text}: expected 32 hexadecimal digits"))
    }
}

/// The ids of those of `topics` that exist. Empty where they cannot be asked for, see the module.
pub fn topic_ids(config: &KafkaConfig, topics: &[&str]) -> Result<BTreeMap<String, TopicId>, KafkaError> {
    if config.security_protocol() != "plaintext" || topics.is_empty() {
        return Ok(BTreeMap::new());
    }
    let request = request(topics);
    let mut last = io::Error::other("no server is named");
    for server in config.bootstrap_servers().split(',') {
        match ask(server.trim(), &request) {
            Ok(answer) => return Ok(answer),
            Err(error) => last = error,
        }
    }
    let context = format!("ask {} for topic ids", config.bootstrap_servers());
    Err(KafkaError { class: Class::Transient, context, source: Box::new(last) })
}

fn ask(server: &str, request: &[u8]) -> io::Result<BTreeMap<String, TopicId>> {
    let bare = server.split_once("://").map_or(server, |(_, rest)| rest);
    let with_port = if bare.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        bare.to_owned()
    } else {
        format!("{bare}:9092")
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{with_port} has no address"));
    for address in with_port.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => return exchange(stream, request),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(mut stream: TcpStream, request: &[u8]) -> io::Result<BTreeMap<String, TopicId>> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let length = i32::try_from(request.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_ANSWER {
        return Err(io::Error::other(format!("an answer of {length} bytes is not Kafka's")));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::other("the answer is not a metadata answer of version 12"))
}

/// Header 2 (key, version, correlation id, client id, tags), then topics by name, no auto-creation, no authorisations.
fn request(topics: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(METADATA.to_be_bytes());
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend(1_i32.to_be_bytes());
    let client = b"tributary";
    bytes.extend((client.len() as i16).to_be_bytes());
    bytes.extend(client);
    bytes.push(0);
    varint(&mut bytes, topics.len() + 1);
    for topic in topics {
        bytes.extend([0; 16]);
        varint(&mut bytes, topic.len() + 1);
        bytes.extend(topic.as_bytes());
        bytes.push(0);
    }
    bytes.extend([0, 0, 0]);
    bytes
}

fn varint(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn parse(answer: &[u8]) -> Option<BTreeMap<String, TopicId>> {
    let mut cursor = Cursor(answer);
    cursor.take(4)?; // correlation id
    cursor.tags()?;
    cursor.take(4)?; // throttle time
    for _ in 0..cursor.length()? {
        cursor.take(4)?; // broker id
        cursor.text()?; // host
        cursor.take(4)?; // port
        cursor.text()?; // rack
        cursor.tags()?;
    }
    cursor.text()?; // cluster id
    cursor.take(4)?; // controller
    let mut ids = BTreeMap::new();
    for _ in 0..cursor.length()? {
        let error = i16::from_be_bytes(cursor.take(2)?.try_into().ok()?);
        let name = cursor.text()?;
        let id: [u8; 16] = cursor.take(16)?.try_into().ok()?;
        cursor.take(1)?; // internal
        for _ in 0..cursor.length()? {
            cursor.take(2 + 4 + 4 + 4)?; // error, partition, leader, leader epoch
            for _ in 0..3 {
                // replicas, in-sync replicas, offline replicas
                let count = cursor.length()?;
                cursor.take(count.checked_mul(4)?)?;
            }
            cursor.tags()?;
        }
        cursor.take(4)?; // authorised operations
        cursor.tags()?;
        if let (0, Some(name)) = (error, name)
            && id != [0; 16]
        {
            ids.insert(name, TopicId(id));
        }
    }
    Some(ids)
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0_usize;
        for shift in (0..35).step_by(7) {
            let [byte] = self.take(1)? else { return None };
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Entries of a compact array; 0 for null.
    fn length(&mut self) -> Option<usize> {
        Some(self.varint()?.saturating_sub(1))
    }

    /// A compact nullable string; the inner `None` is null.
    fn text(&mut self) -> Option<Option<String>> {
        match self.varint()? {
            0 => Some(None),
            length => Some(Some(String::from_utf8(self.take(length - 1)?.to_vec()).ok()?)),
        }
    }

    fn tags(&mut self) -> Option<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let size = self.varint()?;
            self.take(size)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_and_written_as_hexadecimal() {
        let id = TopicId([0xab; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("ab".parse::<TopicId>().is_err());
    }

    #[test]
    fn cut_and_hostile_answers_are_refused() {
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]), None);
        // No brokers, null cluster id, controller, one topic `a` without partitions; the last byte is not looked at.
        let mut answer = vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 0, 0, 2, b'a'];
        answer.extend([7; 16]);
        answer.extend([0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parse(&answer), Some(BTreeMap::from([("a".to_owned(), TopicId([7; 16]))])));
        assert_eq!(parse(&answer[..answer.len() - 2]), None);
    }
}
