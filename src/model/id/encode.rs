//! Percent-encoding inside ids: the fewest characters that keep ids splittable, always in the same form.

use super::IdError;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Characters that cannot stand in a segment or authority as they are; all are ASCII, so bytes suffice.
pub(super) const RESERVED: fn(u8) -> bool = is_reserved;

fn is_reserved(byte: u8) -> bool {
    byte <= 0x20 || matches!(byte, 0x7F | b'%' | b'/' | b'\\' | b'#' | b'?' | b'|')
}

/// Encodes one segment, authority or other free text for use in an id or composite key.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    encode_into(&mut out, text, is_reserved);
    out
}

/// Appends `text` to `out` with the bytes chosen by `reserved` (ASCII only) as upper-hex escapes.
pub(super) fn encode_into(out: &mut String, text: &str, reserved: impl Fn(u8) -> bool) {
    if !text.bytes().any(&reserved) {
        out.push_str(text);
        return;
    }
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() && reserved(byte) => push_escape(out, byte),
            _ => out.push(character),
        }
    }
}

fn push_escape(out: &mut String, byte: u8) {
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

/// The inverse of [`encode`]; refuses everything that `encode` does not produce, so that equal texts have equal ids.
pub fn decode(text: &str) -> Result<String, IdError> {
    decode_with(text, is_reserved)
}

pub(super) fn decode_with(text: &str, reserved: impl Fn(u8) -> bool) -> Result<String, IdError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.bytes().position(&reserved) {
        let fault = || IdError::Encoding { text: text.to_owned(), at: text.len() - rest.len() + at };
        let (plain, escape) = rest.split_at_checked(at).ok_or_else(fault)?;
        out.push_str(plain);
        let byte = escape
            .strip_prefix('%')
            .and_then(|digits| digits.get(..2))
            .filter(|digits| digits.bytes().all(|b| HEX.contains(&b)))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .filter(|&byte| byte.is_ascii() && reserved(byte))
            .ok_or_else(fault)?;
        out.push(char::from(byte));
        rest = escape.get(3..).ok_or_else(fault)?;
    }
    out.push_str(rest);
    Ok(out)
}
