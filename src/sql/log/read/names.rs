//! Names of tables as logs write them.

use std::sync::Arc;

use super::super::super::types::TableName;

/// A table's name of parts that are apart; parts that are absent are left out.
pub(in crate::sql::log) fn table<'p>(parts: impl IntoIterator<Item = &'p str>) -> TableName {
    TableName { parts: parts.into_iter().filter(|part| !part.is_empty()).map(Arc::from).collect() }
}

/// The parts of a dotted name, quotes undone, each as `fold` leaves it.
pub(in crate::sql::log) fn dotted(name: &str, fold: impl Fn(&str) -> String) -> TableName {
    let mut parts: Vec<Arc<str>> = Vec::new();
    let mut rest = name.trim();
    loop {
        let (part, tail) = match rest.chars().next().filter(|c| matches!(c, '"' | '`')) {
            Some(quote) => quoted(rest, quote),
            None => rest.split_once('.').map_or((rest.to_owned(), None), |(part, tail)| (part.to_owned(), Some(tail))),
        };
        parts.push(fold(&part).into());
        match tail {
            Some(tail) => rest = tail,
            None => return TableName { parts },
        }
    }
}

/// A quoted part at the start of `text` and what follows its dot. What is not closed is taken as it stands.
fn quoted(text: &str, quote: char) -> (String, Option<&str>) {
    let mut part = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((_, character)) = characters.next() {
        if character != quote {
            part.push(character);
        } else if characters.next_if(|&(_, next)| next == quote).is_some() {
            part.push(quote);
        } else {
            let rest = characters.peek().and_then(|&(at, _)| text.get(at..)).unwrap_or_default();
            return match rest.strip_prefix('.') {
                Some(tail) => (part, Some(tail)),
                None => {
                    part.push_str(rest);
                    (part, None)
                }
            };
        }
    }
    (part, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parted_outside_of_quotes() {
        let parts = |name: &str| dotted(name, str::to_owned).parts.iter().map(|p| p.to_string()).collect::<Vec<_>>();
        assert_eq!(parts("DB.SCHEMA.T"), ["DB", "SCHEMA", "T"]);
        assert_eq!(parts("DB.\"My.Schema\".\"a\"\"b\""), ["DB", "My.Schema", "a\"b"]);
        assert_eq!(parts("`p-1`.d.t"), ["p-1", "d", "t"]);
        assert_eq!(parts("\"open.t"), ["open.t"]);
        assert_eq!(parts("\"a\"x.y"), ["ax.y"]);
        assert_eq!(parts(""), [""]);
    }
}
