//! Composite keys of topics and registers, and partition names.

use super::IdError;
use super::encode::{decode_with, encode, encode_into};

/// Joins parts with `|`. Parts are ids, column ids, or texts that went through [`encode`](super::encode()); a stray
/// `|` is encoded, so that the number of parts never changes.
pub fn join_key(parts: &[&str]) -> String {
    let mut key = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            key.push('|');
        }
        encode_into(&mut key, part, |byte| byte == b'|');
    }
    key
}

/// Splits a key of exactly `N` parts.
pub fn split_key<const N: usize>(key: &str) -> Option<[&str; N]> {
    key.split('|').collect::<Vec<_>>().try_into().ok()
}

/// The register of a reported spelling: `namespace|name` with only `%` and `|` encoded, as it is shown to people.
pub fn name_key(namespace: &str, name: &str) -> String {
    let mut key = String::with_capacity(namespace.len() + name.len() + 1);
    encode_into(&mut key, namespace, reserved_in_name);
    key.push('|');
    encode_into(&mut key, name, reserved_in_name);
    key
}

/// Namespace and name of a [`name_key`].
pub fn split_name_key(key: &str) -> Result<(String, String), IdError> {
    let (namespace, name) =
        key.split_once('|').ok_or_else(|| IdError::Encoding { text: key.to_owned(), at: key.len() })?;
    Ok((decode_with(namespace, reserved_in_name)?, decode_with(name, reserved_in_name)?))
}

fn reserved_in_name(byte: u8) -> bool {
    matches!(byte, b'%' | b'|')
}

/// Hive's own name of a partition: `key=value/…`, escaped as the metastore's warehouse paths are; keys in lower case,
/// an empty value is Hive's default partition.
pub fn partition_name<'a>(keys_and_values: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut name = String::new();
    for (key, value) in keys_and_values {
        if !name.is_empty() {
            name.push('/');
        }
        encode_into(&mut name, &key.to_lowercase(), reserved_in_hive_path);
        name.push('=');
        match value {
            "" => name.push_str("__HIVE_DEFAULT_PARTITION__"),
            value => encode_into(&mut name, value, reserved_in_hive_path),
        }
    }
    name
}

/// The sub-key of a partition: its Hive name, encoded for composite keys.
pub fn partition_key<'a>(keys_and_values: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    encode(&partition_name(keys_and_values))
}

/// The characters that Hive escapes in partition paths.
fn reserved_in_hive_path(byte: u8) -> bool {
    matches!(
        byte,
        0x01..=0x1F
            | 0x7F
            | b'"'
            | b'#'
            | b'%'
            | b'\''
            | b'*'
            | b'/'
            | b':'
            | b'='
            | b'?'
            | b'\\'
            | b'{'
            | b'['
            | b']'
            | b'^'
    )
}
