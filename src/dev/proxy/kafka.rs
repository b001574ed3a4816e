//! Kafka's framing, as far as finding `EndTxn` asks for it: <https://kafka.apache.org/protocol.html#protocol_messages>.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use super::{Message, Messages, lock, read_more, read_start};

const END_TXN: i16 = 26;
/// From this version on the header has tags and texts are compact.
const FLEXIBLE_FROM: i16 = 3;
/// No request or answer of ours is larger.
const MAX_BYTES: usize = 128 << 20;

/// Correlation ids of commits that have not been answered, with their transactional ids.
type Waiting = Arc<Mutex<HashMap<[u8; 4], String>>>;

pub(super) fn directions() -> (Box<dyn Messages>, Box<dyn Messages>) {
    let waiting = Waiting::default();
    (Box::new(Requests(Arc::clone(&waiting))), Box::new(Answers(waiting)))
}

struct Requests(Waiting);

impl Messages for Requests {
    fn next(&mut self, from: &mut dyn Read) -> io::Result<Option<Message>> {
        let Some(bytes) = framed(from)? else { return Ok(None) };
        let commit = parse_commit(&bytes[4..]);
        if let Some((correlation, whose)) = &commit {
            lock(&self.0).insert(*correlation, whose.clone());
        }
        Ok(Some(Message { bytes, commit: commit.map(|(_, whose)| whose) }))
    }
}

struct Answers(Waiting);

impl Messages for Answers {
    fn next(&mut self, from: &mut dyn Read) -> io::Result<Option<Message>> {
        let Some(bytes) = framed(from)? else { return Ok(None) };
        let commit = bytes.get(4..8).and_then(|correlation| lock(&self.0).remove(correlation));
        Ok(Some(Message { bytes, commit }))
    }
}

fn framed(from: &mut dyn Read) -> io::Result<Option<Vec<u8>>> {
    let Some(start) = read_start::<4>(from)? else { return Ok(None) };
    let length = u32::from_be_bytes(start) as usize;
    if length > MAX_BYTES {
        return Err(io::Error::other(format!("a message of {length} bytes is not Kafka's")));
    }
    let mut bytes = start.to_vec();
    read_more(from, &mut bytes, length)?;
    Ok(Some(bytes))
}

/// Correlation id and transactional id, if the request is an `EndTxn` that commits.
fn parse_commit(request: &[u8]) -> Option<([u8; 4], String)> {
    let mut rest = request;
    let mut take = |length: usize| {
        let (head, tail) = rest.split_at_checked(length)?;
        rest = tail;
        Some(head)
    };
    let number = |bytes: &[u8]| Some(i16::from_be_bytes(bytes.try_into().ok()?));
    if number(take(2)?)? != END_TXN {
        return None;
    }
    let version = number(take(2)?)?;
    let correlation: [u8; 4] = take(4)?.try_into().ok()?;
    let client = number(take(2)?)?;
    take(usize::try_from(client).unwrap_or(0))?;
    let length = if version >= FLEXIBLE_FROM {
        // No tags, and an id of less than 127 bytes: ours are short.
        if take(1)? != [0] {
            return None;
        }
        usize::from(*take(1)?.first()?).checked_sub(1)?
    } else {
        usize::try_from(number(take(2)?)?).ok()?
    };
    let id = String::from_utf8_lossy(take(length)?).into_owned();
    // Producer id and epoch.
    take(10)?;
    (take(1)? == [1]).then_some((correlation, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_txn(version: i16, commit: u8) -> Vec<u8> {
        let mut request = END_TXN.to_be_bytes().to_vec();
        request.extend(version.to_be_bytes());
        request.extend(77_i32.to_be_bytes());
        request.extend(3_i16.to_be_bytes());
        request.extend(b"cli");
        if version >= FLEXIBLE_FROM {
            request.extend([0, 5]);
        } else {
            request.extend(4_i16.to_be_bytes());
        }
        request.extend(b"id.0");
        request.extend([0; 10]);
        request.push(commit);
        request
    }

    #[test]
    fn commits_are_told_from_aborts_and_everything_else() {
        for version in [1, 3] {
            let expected = Some((77_i32.to_be_bytes(), "id.0".to_owned()));
            assert_eq!(parse_commit(&end_txn(version, 1)), expected);
            assert_eq!(parse_commit(&end_txn(version, 0)), None);
        }
        assert_eq!(parse_commit(&[0, 18, 0, 0]), None);
        assert_eq!(parse_commit(&end_txn(1, 1)[..20]), None);
    }

    #[test]
    fn the_answer_is_found_by_its_correlation_id() {
        let (mut requests, mut answers) = directions();
        let frame = |body: Vec<u8>| [(body.len() as u32).to_be_bytes().to_vec(), body].concat();
        let request = requests.next(&mut &frame(end_txn(1, 1))[..]).unwrap().unwrap();
        assert_eq!(request.commit.as_deref(), Some("id.0"));
        let mut answer = |correlation: i32| {
            answers.next(&mut &frame(correlation.to_be_bytes().to_vec())[..]).unwrap().unwrap().commit
        };
        assert_eq!(answer(76), None);
        assert_eq!(answer(77).as_deref(), Some("id.0"));
        assert_eq!(answer(77), None, "a correlation id counts once");
        assert!(requests.next(&mut &[][..]).unwrap().is_none());
    }
}
