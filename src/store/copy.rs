//! Rows as `COPY … TO STDOUT (FORMAT binary)` sends them: many rows cost both sides less than as the result of a query.
//!
//! The format is that of "File Formats, Binary Format" under COPY in the Postgres manual: a signature, then for each row
//! the number of its fields and for each field its length and its bytes in network order.

use futures_util::TryStreamExt;
use sqlx::PgConnection;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags and the length of the extension, which is empty in all versions there are.
const HEADER_BYTES: usize = 19;
/// The server counts from 2000-01-01T00:00:00Z.
const SERVER_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Takes the fields of one row.
pub(super) type EachRow<'e> = dyn FnMut(&mut Fields<'_>) -> Result<(), sqlx::Error> + Send + 'e;

/// Runs a COPY statement and hands its rows to `each` as they come.
///
/// # Errors
/// As the server answers, or `each`; what was sent after it is thrown away by the connection.
pub(super) async fn read(
    connection: &mut PgConnection,
    statement: &'static str,
    each: &mut EachRow<'_>,
) -> Result<(), sqlx::Error> {
    let mut rows = Rows::default();
    let mut chunks = connection.copy_out_raw(statement).await?;
    while let Some(chunk) = chunks.try_next().await? {
        rows.feed(&chunk, each)?;
    }
    if rows.ended { Ok(()) } else { Err(malformed("the stream ends within a row")) }
}

/// Finds the rows in chunks that may end anywhere.
#[derive(Default)]
struct Rows {
    /// Begun and not complete.
    pending: Vec<u8>,
    begun: bool,
    ended: bool,
}

impl Rows {
    fn feed(&mut self, chunk: &[u8], each: &mut EachRow<'_>) -> Result<(), sqlx::Error> {
        if self.pending.is_empty() {
            let rest = self.take(chunk, each)?;
            self.pending.extend_from_slice(rest);
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.pending);
        joined.extend_from_slice(chunk);
        let rest = self.take(&joined, each)?.len();
        joined.drain(..joined.len() - rest);
        self.pending = joined;
        Ok(())
    }

    /// Takes the rows that are complete; answers the rest.
    fn take<'d>(&mut self, mut data: &'d [u8], each: &mut EachRow<'_>) -> Result<&'d [u8], sqlx::Error> {
        if !self.begun {
            let Some((header, rest)) = data.split_at_checked(HEADER_BYTES) else { return Ok(data) };
            if !header.starts_with(SIGNATURE) || !header.ends_with(&[0; 4]) {
                return Err(malformed("the stream does not begin as one"));
            }
            self.begun = true;
            data = rest;
        }
        while let Some((count, fields)) = data.split_first_chunk() {
            let count = i16::from_be_bytes(*count);
            if count < 0 {
                self.ended = true;
                return Ok(&[]);
            }
            let Some(rest) = behind(fields, count)? else { break };
            let row = fields.get(..fields.len() - rest.len()).expect("the rest is a part of it");
            each(&mut Fields { rest: row })?;
            data = rest;
        }
        Ok(data)
    }
}

/// What follows `count` fields; `None` if they are not all there.
fn behind(mut data: &[u8], count: i16) -> Result<Option<&[u8]>, sqlx::Error> {
    for _ in 0..count {
        match field(data)? {
            Some((_, rest)) => data = rest,
            None => return Ok(None),
        }
    }
    Ok(Some(data))
}

/// A field, which may be NULL.
type Field<'d> = Option<&'d [u8]>;

/// The first field and what follows it; `None` if it is not all there.
fn field(data: &[u8]) -> Result<Option<(Field<'_>, &[u8])>, sqlx::Error> {
    let Some((length, rest)) = data.split_first_chunk() else { return Ok(None) };
    match i32::from_be_bytes(*length) {
        -1 => Ok(Some((None, rest))),
        length => {
            let length = usize::try_from(length).map_err(|_| malformed("a field has a negative length"))?;
            Ok(rest.split_at_checked(length).map(|(field, rest)| (Some(field), rest)))
        }
    }
}

fn malformed(what: &str) -> sqlx::Error {
    sqlx::Error::Protocol(format!("COPY: {what}"))
}

/// Fields of a row, to be taken in the order of the statement.
pub(super) struct Fields<'d> {
    rest: &'d [u8],
}

impl<'d> Fields<'d> {
    fn next(&mut self) -> Result<Field<'d>, sqlx::Error> {
        let (field, rest) = field(self.rest)?.ok_or_else(|| malformed("a row has fewer fields than expected"))?;
        self.rest = rest;
        Ok(field)
    }

    fn value(&mut self) -> Result<&'d [u8], sqlx::Error> {
        self.next()?.ok_or_else(|| malformed("a field is NULL that must have a value"))
    }

    /// A value of a type that has `N` bytes.
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], sqlx::Error> {
        sized(self.value()?)
    }

    pub(super) fn text(&mut self) -> Result<&'d str, sqlx::Error> {
        std::str::from_utf8(self.value()?).map_err(|error| malformed(&error.to_string()))
    }

    /// `jsonb`, whose text follows the number of its version.
    pub(super) fn jsonb<T: serde::Deserialize<'d>>(&mut self) -> Result<T, sqlx::Error> {
        match self.value()?.split_first() {
            Some((1, json)) => serde_json::from_slice(json).map_err(|error| malformed(&error.to_string())),
            _ => Err(malformed("a jsonb is of an unknown version")),
        }
    }

    pub(super) fn int(&mut self) -> Result<i32, sqlx::Error> {
        self.bytes().map(i32::from_be_bytes)
    }

    pub(super) fn big(&mut self) -> Result<i64, sqlx::Error> {
        self.bytes().map(i64::from_be_bytes)
    }

    pub(super) fn bool(&mut self) -> Result<bool, sqlx::Error> {
        self.bytes().map(|[byte]| byte != 0)
    }

    /// `timestamptz` in microseconds since 1970.
    pub(super) fn opt_micros(&mut self) -> Result<Option<i64>, sqlx::Error> {
        let Some(field) = self.next()? else { return Ok(None) };
        let micros = i64::from_be_bytes(sized(field)?).checked_add(SERVER_EPOCH_MICROS);
        micros.map(Some).ok_or_else(|| malformed("a time is infinite"))
    }

    /// As [`Self::opt_micros`], where there must be one.
    pub(super) fn micros(&mut self) -> Result<i64, sqlx::Error> {
        self.opt_micros()?.ok_or_else(|| malformed("a time is NULL that must be there"))
    }
}

fn sized<const N: usize>(field: &[u8]) -> Result<[u8; N], sqlx::Error> {
    field.try_into().map_err(|_| malformed(&format!("a field has {} bytes, not {N}", field.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows of an int4, a text, a jsonb and a timestamptz, as the manual describes them; the second has no time.
    fn stream() -> Vec<u8> {
        let mut stream = SIGNATURE.to_vec();
        stream.extend([0; 8]);
        for (number, time) in [(7_i32, Some(1_i64)), (-1, None)] {
            stream.extend(4_i16.to_be_bytes());
            stream.extend(4_i32.to_be_bytes());
            stream.extend(number.to_be_bytes());
            stream.extend(2_i32.to_be_bytes());
            stream.extend("ä".as_bytes());
            stream.extend(6_i32.to_be_bytes());
            stream.extend(b"\x01[\"x\"]");
            match time {
                Some(time) => {
                    stream.extend(8_i32.to_be_bytes());
                    stream.extend(time.to_be_bytes());
                }
                None => stream.extend((-1_i32).to_be_bytes()),
            }
        }
        stream.extend((-1_i16).to_be_bytes());
        stream
    }

    fn read_in_chunks(stream: &[u8], size: usize) -> Result<Vec<String>, sqlx::Error> {
        let mut seen = Vec::new();
        let mut rows = Rows::default();
        for chunk in stream.chunks(size) {
            rows.feed(chunk, &mut |row| {
                let row = (row.int()?, row.text()?, row.jsonb::<Vec<String>>()?, row.opt_micros()?);
                seen.push(format!("{row:?}"));
                Ok(())
            })?;
        }
        assert!(rows.ended && rows.pending.is_empty());
        Ok(seen)
    }

    #[test]
    fn rows_are_found_wherever_a_chunk_ends() {
        let stream = stream();
        for size in 1..=stream.len() {
            let seen = read_in_chunks(&stream, size).expect("well formed");
            assert_eq!(
                seen,
                [r#"(7, "ä", ["x"], Some(946684800000001))"#, r#"(-1, "ä", ["x"], None)"#],
                "in chunks of {size}"
            );
        }
    }

    #[test]
    fn what_is_no_such_stream_is_an_error() {
        let mut foreign = stream();
        foreign[0] = b'p';
        let mut negative = stream();
        negative[HEADER_BYTES + 2] = 0x80;
        let mut short = stream();
        short[HEADER_BYTES + 1] = 3;
        for (stream, what) in [(foreign, "begin"), (negative, "negative length"), (short, "fewer fields")] {
            let error = read_in_chunks(&stream, 1 << 10).expect_err(what).to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
