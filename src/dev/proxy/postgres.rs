//! Postgres' framing, as far as finding `COMMIT` asks for it:
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::{Message, Messages, read_more, read_start};

/// Codes in the place of a protocol version.
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const MAX_BYTES: usize = 1 << 30;
const WHOSE: &str = "postgres";

/// Carries the first message, which has no kind; offers of encryption are declined.
pub(super) fn greet(client: &mut TcpStream, mut server: &TcpStream) -> io::Result<()> {
    loop {
        let start = read_start::<8>(client)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let [length, code] =
            [&start[..4], &start[4..]].map(|part| u32::from_be_bytes(part.try_into().unwrap_or_default()));
        if matches!(code, SSL_REQUEST | GSS_REQUEST) {
            client.write_all(b"N")?;
            continue;
        }
        let mut bytes = start.to_vec();
        read_more(client, &mut bytes, (length as usize).saturating_sub(start.len()))?;
        return server.write_all(&bytes);
    }
}

pub(super) fn directions() -> (Box<dyn Messages>, Box<dyn Messages>) {
    (Box::new(Stream { kind: b'Q', text: b"COMMIT\0" }), Box::new(Stream { kind: b'C', text: b"COMMIT\0" }))
}

/// A direction in which a commit is a message of this kind and text: a simple query, or the tag of a done command.
struct Stream {
    kind: u8,
    text: &'static [u8],
}

impl Messages for Stream {
    fn next(&mut self, from: &mut dyn Read) -> io::Result<Option<Message>> {
        let Some(start) = read_start::<5>(from)? else { return Ok(None) };
        let [kind, length @ ..] = start;
        let length = (u32::from_be_bytes(length) as usize).saturating_sub(4);
        if length > MAX_BYTES {
            return Err(io::Error::other(format!("a message of {length} bytes is not Postgres'")));
        }
        let mut bytes = start.to_vec();
        read_more(from, &mut bytes, length)?;
        let commits = kind == self.kind && bytes[5..].eq_ignore_ascii_case(self.text);
        Ok(Some(Message { bytes, commit: commits.then(|| WHOSE.to_owned()) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_commit_is_one() {
        let message = |kind: u8, text: &str| {
            let length = (text.len() as u32 + 4).to_be_bytes();
            [&[kind], &length[..], text.as_bytes()].concat()
        };
        let (mut requests, mut answers) = directions();
        let mut sent = |bytes: Vec<u8>| requests.next(&mut &bytes[..]).unwrap().unwrap();
        let commit = sent(message(b'Q', "COMMIT\0"));
        assert_eq!((commit.commit.as_deref(), commit.bytes), (Some("postgres"), message(b'Q', "COMMIT\0")));
        assert_eq!(sent(message(b'Q', "BEGIN\0")).commit, None);
        assert_eq!(sent(message(b'P', "COMMIT\0")).commit, None);
        let mut answered = |bytes: Vec<u8>| answers.next(&mut &bytes[..]).unwrap().unwrap().commit;
        assert_eq!(answered(message(b'C', "COMMIT\0")).as_deref(), Some("postgres"));
        assert_eq!(answered(message(b'C', "ROLLBACK\0")), None);
    }
}
