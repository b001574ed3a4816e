//! How usage lies in the state: binary, because there are very many records and every batch writes some of them anew.
//!
//! A record begins with [`FORM`]. Then, in the order in which its type writes them: whole numbers in groups of seven bits,
//! the lowest first (LEB128), those that may be negative with the sign in the lowest bit (zigzag); texts in UTF-8, and
//! lists, after their length. Nothing follows the last one. What is read borrows from the bytes.

use crate::model::fact::{Origin, Version};
use crate::model::state::StateError;

/// The form that is written and read. JSON, which was there before, begins with another byte.
const FORM: u8 = 2;

/// Why bytes are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormError {
    #[error("it is of form {0}, not {FORM}: another version of this program has written it")]
    Form(u8),
    #[error("it ends too early")]
    Short,
    #[error("{0} bytes follow after its end")]
    Longer(usize),
    #[error("a number in it is too large")]
    Number,
    #[error("a text in it is not UTF-8")]
    Text,
    #[error("it refers to name {0}, which it does not have")]
    Name(usize),
}

/// Writes a record.
#[derive(Debug)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// An empty record, with room for `bytes`.
    pub fn new(bytes: usize) -> Self {
        let mut record = Vec::with_capacity(bytes + 1);
        record.push(FORM);
        Self(record)
    }

    pub fn unsigned(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub fn number(&mut self, number: i64) {
        self.unsigned(((number << 1) ^ (number >> 63)) as u64);
    }

    pub fn length(&mut self, length: usize) {
        self.unsigned(length as u64);
    }

    pub fn flag(&mut self, flag: bool) {
        self.0.push(u8::from(flag));
    }

    pub fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    pub fn version(&mut self, version: &Version) {
        self.unsigned(version.epoch.into());
        self.number(version.time);
        self.number(version.seq);
        self.unsigned(version.hash);
    }

    pub fn origin(&mut self, origin: &Origin) {
        self.text(&origin.topic);
        self.number(origin.partition.into());
        self.number(origin.offset);
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a record.
#[derive(Debug)]
pub(super) struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn byte(&mut self) -> Result<u8, FormError> {
        let (first, rest) = self.0.split_first().ok_or(FormError::Short)?;
        self.0 = rest;
        Ok(*first)
    }

    pub fn unsigned(&mut self) -> Result<u64, FormError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(FormError::Number);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(FormError::Number)
    }

    pub fn number(&mut self) -> Result<i64, FormError> {
        let number = self.unsigned()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// The length of a text or list. Every item takes a byte at least, so that no more room is ever asked for than there
    /// are bytes.
    pub fn length(&mut self) -> Result<usize, FormError> {
        let length = usize::try_from(self.unsigned()?).map_err(|_| FormError::Short)?;
        if length > self.0.len() { Err(FormError::Short) } else { Ok(length) }
    }

    pub fn flag(&mut self) -> Result<bool, FormError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FormError::Number),
        }
    }

    pub fn text(&mut self) -> Result<&'b str, FormError> {
        let length = self.length()?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(FormError::Short)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| FormError::Text)
    }

    pub fn version(&mut self) -> Result<Version, FormError> {
        Ok(Version {
            epoch: u32::try_from(self.unsigned()?).map_err(|_| FormError::Number)?,
            time: self.number()?,
            seq: self.number()?,
            hash: self.unsigned()?,
        })
    }

    pub fn origin(&mut self) -> Result<Origin, FormError> {
        Ok(Origin {
            topic: self.text()?.to_owned(),
            partition: i32::try_from(self.number()?).map_err(|_| FormError::Number)?,
            offset: self.number()?,
        })
    }

    /// As many items as the record says.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, FormError>) -> Result<Vec<T>, FormError> {
        let length = self.length()?;
        let mut list = Vec::new();
        for _ in 0..length {
            list.push(item(self)?);
        }
        Ok(list)
    }
}

/// Reads a whole record by `of`.
pub(super) fn whole<'b, T>(
    bytes: &'b [u8],
    of: impl FnOnce(&mut Reader<'b>) -> Result<T, FormError>,
) -> Result<T, FormError> {
    let mut reader = Reader(bytes);
    match reader.byte()? {
        FORM => {}
        other => return Err(FormError::Form(other)),
    }
    let read = of(&mut reader)?;
    if reader.0.is_empty() { Ok(read) } else { Err(FormError::Longer(reader.0.len())) }
}

/// The fault of the store that a record which cannot be read is.
pub(super) fn unreadable(key: &[u8]) -> impl Fn(FormError) -> StateError {
    move |error| StateError {
        message: format!("usage record {:?} is unreadable: {error}; rebuild the state", String::from_utf8_lossy(key)),
        source: Some(Box::new(error)),
    }
}
