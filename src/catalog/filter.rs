//! The grammar of search filters. Pure.
//!
//! ```text
//! filters = filter *( "," filter )
//! filter  = key ":" value
//! key     = "platform" | "kind" | "type" | "owner" | "tag" | "tags" | "existence" | "container" | "database"
//!         | "format"
//! value   = bare / quoted
//! bare    = 1*( any character but "," and a leading '"' )
//! quoted  = '"' *( any character but '"' and "\" / '\"' / "\\" ) '"'
//! ```
//! Filters of one key are alternatives; different keys must all hold. White space around parts is ignored.

use std::fmt;

/// What a filter looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FilterKey {
    /// Platform: hive, postgres, ….
    Platform,
    /// table, view, ….
    Kind,
    /// Owner's name.
    Owner,
    /// Tag's key, or `key=value`.
    Tag,
    /// confirmed, referenced, dropped, virtual, ignored. Without it the first and third are found: a dropped table is
    /// found by its names, one that is only mentioned is not.
    Existence,
    /// Container's id or name.
    Container,
    /// Storage or table format.
    Format,
}

impl FilterKey {
    /// The words of the grammar, in the order in which messages list them.
    pub const WORDS: [(&'static str, Self); 10] = [
        ("platform", Self::Platform),
        ("kind", Self::Kind),
        ("type", Self::Kind),
        ("owner", Self::Owner),
        ("tag", Self::Tag),
        ("tags", Self::Tag),
        ("existence", Self::Existence),
        ("container", Self::Container),
        ("database", Self::Container),
        ("format", Self::Format),
    ];

    fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, key)| *key)
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// What it looks at.
    pub key: FilterKey,
    /// What it wants; never empty.
    pub value: String,
}

/// A filter text that breaks the grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FilterError {
    /// The part at fault as it was given.
    pub part: String,
    /// Byte at which it starts.
    pub at: usize,
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    NoColon,
    UnknownKey,
    EmptyValue,
    OpenQuote,
    AfterQuote,
    UnknownExistence,
    TooMany,
}

/// Most filters in one query: more is no person's question.
pub const MAX_FILTERS: usize = 64;

const EXISTENCES: [&str; 5] = ["confirmed", "dropped", "referenced", "virtual", "ignored"];

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter '{}' at byte {}: ", self.part, self.at)?;
        match self.reason {
            Reason::NoColon => f.write_str("write it as key:value"),
            Reason::UnknownKey => {
                f.write_str("unknown key; use one of ")?;
                let words: Vec<_> = FilterKey::WORDS.iter().map(|(word, _)| *word).collect();
                f.write_str(&words.join(", "))
            }
            Reason::EmptyValue => f.write_str("the value is empty"),
            Reason::OpenQuote => f.write_str("the quoted value has no closing quote"),
            Reason::AfterQuote => f.write_str("a comma must follow the closing quote"),
            Reason::UnknownExistence => write!(f, "existence is one of {}", EXISTENCES.join(", ")),
            Reason::TooMany => write!(f, "more than {MAX_FILTERS} filters"),
        }
    }
}

/// Parses the grammar above. Empty text is no filter.
pub fn parse(text: &str) -> Result<Vec<Filter>, FilterError> {
    let mut filters = Vec::new();
    let mut rest = text;
    if text.trim().is_empty() {
        return Ok(filters);
    }
    loop {
        let at = text.len() - rest.len();
        let (part, after) = take_part(rest);
        let fault = |reason| FilterError { part: part.trim().to_owned(), at, reason };
        let after = after.map_err(fault)?;
        filters.push(one(part).map_err(fault)?);
        if filters.len() > MAX_FILTERS {
            return Err(fault(Reason::TooMany));
        }
        match after {
            Some(next) => rest = next,
            None => return Ok(filters),
        }
    }
}

/// The text up to the next comma outside of quotes, and what follows that comma.
fn take_part(text: &str) -> (&str, Result<Option<&str>, Reason>) {
    let mut quoted = false;
    let mut escaped = false;
    let mut value_began = false;
    let mut value_is_blank = true;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if quoted => quoted = false,
            '"' if value_began && value_is_blank => {
                quoted = true;
                value_is_blank = false;
            }
            ',' if !quoted => {
                let (part, comma_and_rest) = text.split_at(at);
                return (part, Ok(comma_and_rest.strip_prefix(',')));
            }
            ':' if !value_began => value_began = true,
            other if value_began && !other.is_whitespace() => value_is_blank = false,
            _ => {}
        }
    }
    (text, if quoted { Err(Reason::OpenQuote) } else { Ok(None) })
}

fn one(part: &str) -> Result<Filter, Reason> {
    let (key, value) = part.split_once(':').ok_or(Reason::NoColon)?;
    let key = FilterKey::parse(key.trim()).ok_or(Reason::UnknownKey)?;
    let value = value.trim();
    let value = match value.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => value.to_owned(),
    };
    if value.trim().is_empty() {
        return Err(Reason::EmptyValue);
    }
    if key == FilterKey::Existence && !EXISTENCES.contains(&value.as_str()) {
        return Err(Reason::UnknownExistence);
    }
    Ok(Filter { key, value })
}

/// The value behind its opening quote.
fn unquote(text: &str) -> Result<String, Reason> {
    let mut value = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => value.extend(characters.next()),
            '"' if characters.as_str().trim().is_empty() => return Ok(value),
            '"' => return Err(Reason::AfterQuote),
            other => value.push(other),
        }
    }
    Err(Reason::OpenQuote)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(key: FilterKey, value: &str) -> Filter {
        Filter { key, value: value.to_owned() }
    }

    #[test]
    fn the_grammar() {
        let cases = [
            ("", vec![]),
            ("  ", vec![]),
            ("platform:hive", vec![filter(FilterKey::Platform, "hive")]),
            (
                "platform:snowflake,tags:pii",
                vec![filter(FilterKey::Platform, "snowflake"), filter(FilterKey::Tag, "pii")],
            ),
            (
                " Owner : team:data , kind:view ",
                vec![filter(FilterKey::Owner, "team:data"), filter(FilterKey::Kind, "view")],
            ),
            (r#"owner:"Doe, \"Jo\" \\ Co""#, vec![filter(FilterKey::Owner, r#"Doe, "Jo" \ Co"#)]),
            (r#"tag:a"b,tag:c"#, vec![filter(FilterKey::Tag, "a\"b"), filter(FilterKey::Tag, "c")]),
            ("container:hive://h:9083/db", vec![filter(FilterKey::Container, "hive://h:9083/db")]),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_error_names_the_part_and_its_place() {
        let cases = [
            (
                "platform:hive,colour:red",
                "filter 'colour:red' at byte 14: unknown key; use one of platform, kind, type, owner, tag, tags, existence, container, database, format",
            ),
            ("hive", "filter 'hive' at byte 0: write it as key:value"),
            ("tag:,kind:view", "filter 'tag:' at byte 0: the value is empty"),
            ("tag:pii,", "filter '' at byte 8: write it as key:value"),
            (r#"tag:"pii"#, r#"filter 'tag:"pii' at byte 0: the quoted value has no closing quote"#),
            (r#"tag:"a" b"#, r#"filter 'tag:"a" b' at byte 0: a comma must follow the closing quote"#),
            (
                "existence:gone",
                "filter 'existence:gone' at byte 0: existence is one of confirmed, dropped, referenced, virtual, ignored",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(parse(text).unwrap_err().to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn a_quoted_value_comes_back_whole(value in ".*[^\\s].*") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("kind:view,owner:\"{quoted}\",tag:x");
            let expected =
                vec![filter(FilterKey::Kind, "view"), filter(FilterKey::Owner, &value), filter(FilterKey::Tag, "x")];
            prop_assert_eq!(parse(&text), Ok(expected));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = parse(&text);
        }
    }
}
