//! Texts without their literals: what is stored of a query, and what tells equal queries.
//!
//! A scan over characters, not a parse: it has to work for texts that no parser takes. What does not end (a string cut
//! by its platform) is a literal up to the end of the text, so that nothing of it is stored.

use sha2::{Digest, Sha256};

use super::super::types::Dialect;

/// A text in two forms without literals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Normalised {
    /// Literals and comments out, whitespace and case of words canonical, lists of literals as one.
    pub text: String,
    /// Of that: the first 16 hex digits of its SHA-256.
    pub fingerprint: String,
    /// As written, with a `?` for each literal.
    pub redacted: String,
}

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Space,
    Comment,
    Literal,
    /// A name in quotes.
    Quoted(&'a str),
    Word(&'a str),
    Sign(&'a str),
}

/// `text` without its literals.
pub(super) fn normalise(text: &str, dialect: Dialect) -> Normalised {
    let rules = Rules::of(dialect);
    let mut redacted = String::with_capacity(text.len());
    let mut canonical = String::with_capacity(text.len());
    let mut rest = text;
    // Of `(?, ?, ?)` and `(?, ?), (?, ?)` the first is enough.
    let mut last_was_space = false;
    while !rest.is_empty() {
        let (piece, length) = rules.next(rest);
        let (taken, tail) = rest.split_at_checked(length.max(1)).unwrap_or((rest, ""));
        match piece {
            Piece::Literal => redacted.push('?'),
            _ => redacted.push_str(taken),
        }
        let word = match piece {
            Piece::Space | Piece::Comment => {
                last_was_space = true;
                rest = tail;
                continue;
            }
            Piece::Literal => "?".to_owned(),
            Piece::Quoted(name) => name.to_owned(),
            Piece::Word(word) => word.to_lowercase(),
            Piece::Sign(sign) => sign.to_owned(),
        };
        let glued = |c: char| c.is_alphanumeric() || matches!(c, '_' | '?' | '"' | '`' | ')' | '*');
        let needs_space = last_was_space
            && canonical.chars().next_back().is_some_and(|c| glued(c) || c == ',')
            && word.chars().next().is_some_and(|c| glued(c) && c != ')' || c == '(');
        if needs_space {
            canonical.push(' ');
        }
        canonical.push_str(&word);
        last_was_space = false;
        rest = tail;
    }
    let text = without_repeats(canonical.trim_end_matches([';', ' ']));
    let fingerprint = Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Normalised { text, fingerprint, redacted }
}

/// Lists of literals, and lists of such lists, shortened to their first element.
fn without_repeats(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('?') {
        let (head, tail) = rest.split_at(at + 1);
        out.push_str(head);
        rest = tail;
        while let Some(next) = rest.strip_prefix(',').map(str::trim_start).and_then(|next| next.strip_prefix('?')) {
            rest = next;
        }
        while let Some(next) = rest
            .strip_prefix("),")
            .map(str::trim_start)
            .and_then(|next| next.strip_prefix('('))
            .filter(|next| next.starts_with('?') && out.ends_with("(?"))
        {
            let end = next.find(|c| !matches!(c, '?' | ',' | ' ')).unwrap_or(next.len());
            let (_, after) = next.split_at(end);
            if !after.starts_with(')') {
                break;
            }
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// What a dialect writes in quotes.
struct Rules {
    backslashes: bool,
    double_is_text: bool,
    hash_comments: bool,
    dollars: bool,
    brackets: bool,
}

impl Rules {
    fn of(dialect: Dialect) -> Self {
        use Dialect as D;
        Self {
            backslashes: matches!(
                dialect,
                D::BigQuery | D::MySql | D::Hive | D::Spark | D::Databricks | D::ClickHouse | D::Snowflake
            ),
            double_is_text: matches!(dialect, D::BigQuery | D::MySql | D::Hive | D::Spark | D::Databricks),
            hash_comments: matches!(dialect, D::BigQuery | D::MySql),
            dollars: matches!(dialect, D::Postgres | D::Redshift | D::Snowflake | D::DuckDb | D::Ansi),
            brackets: matches!(dialect, D::TSql),
        }
    }

    /// The first piece of `text`, which is not empty, and its length in bytes.
    fn next<'a>(&self, text: &'a str) -> (Piece<'a>, usize) {
        let first = text.chars().next().unwrap_or(' ');
        let until = |end: Option<usize>| end.unwrap_or(text.len());
        match first {
            c if c.is_whitespace() => (Piece::Space, until(text.find(|c: char| !c.is_whitespace()))),
            '-' if text.starts_with("--") => (Piece::Comment, until(text.find('\n'))),
            '#' if self.hash_comments => (Piece::Comment, until(text.find('\n'))),
            '/' if text.starts_with("/*") => (Piece::Comment, until(text.find("*/").map(|at| at + 2))),
            '\'' => (Piece::Literal, self.quoted(text, '\'', self.backslashes)),
            '"' if self.double_is_text => (Piece::Literal, self.quoted(text, '"', true)),
            '"' | '`' => {
                let length = self.quoted(text, first, false);
                (Piece::Quoted(text.get(..length).unwrap_or(text)), length)
            }
            '[' if self.brackets => {
                let length = until(text.find(']').map(|at| at + 1));
                (Piece::Quoted(text.get(..length).unwrap_or(text)), length)
            }
            '$' if self.dollars => match self.dollar(text) {
                Some(length) => (Piece::Literal, length),
                None => (Piece::Sign("$"), 1),
            },
            c if c.is_ascii_digit() => {
                let number = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
                (Piece::Literal, until(text.find(|c| !number(c))))
            }
            c if c.is_alphabetic() || c == '_' || c == '@' => {
                let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '@');
                let length = until(text.find(|c| !part(c)));
                let word = text.get(..length).unwrap_or(text);
                // Prefixes of strings: E'…', N'…', B'…', X'…', r'…'.
                let after = text.get(length..).unwrap_or_default();
                if word.len() <= 2 && after.starts_with('\'') {
                    let escapes = self.backslashes || word.eq_ignore_ascii_case("e");
                    return (Piece::Literal, length + self.quoted(after, '\'', escapes));
                }
                (Piece::Word(word), length)
            }
            c => {
                let length = c.len_utf8();
                (Piece::Sign(text.get(..length).unwrap_or(text)), length)
            }
        }
    }

    /// The length of what stands in quotes, quotes included.
    fn quoted(&self, text: &str, quote: char, escapes: bool) -> usize {
        let mut chars = text.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if c == '\\' && escapes {
                chars.next();
            } else if c == quote {
                if chars.peek().is_some_and(|(_, next)| *next == quote) {
                    chars.next();
                } else {
                    return at + quote.len_utf8();
                }
            }
        }
        text.len()
    }

    /// The length of `$tag$…$tag$`; `None` for another use of the sign.
    fn dollar(&self, text: &str) -> Option<usize> {
        let rest = text.get(1..)?;
        let end = rest.find('$')?;
        let tag = rest.get(..end)?;
        if tag.starts_with(|c: char| c.is_ascii_digit()) || !tag.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let mark = text.get(..end + 2)?;
        let body = text.get(mark.len()..)?;
        Some(body.find(mark).map_or(text.len(), |at| mark.len() * 2 + at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> String {
        normalise(text, Dialect::Postgres).text
    }

    #[test]
    fn equal_but_for_literals_case_and_space_is_equal() {
        let one = normalise("SELECT a, b FROM t  WHERE x = 'it''s' AND y > 1.5e3 -- why\n;", Dialect::Postgres);
        let other = normalise("select a,b from T where x='other' and /* c */ y>7", Dialect::Postgres);
        assert_eq!(one.fingerprint, other.fingerprint, "{} / {}", one.text, other.text);
        assert_eq!(one.fingerprint.len(), 16);
        assert_ne!(one.fingerprint, normalise("select a, b from u where x='o' and y>7", Dialect::Postgres).fingerprint);
        assert_ne!(text("select \"A\" from t"), text("select \"a\" from t"), "quoted names keep their case");
    }

    #[test]
    fn lists_of_literals_are_one() {
        assert_eq!(text("insert into t values (1, 'a'), (2, 'b'),(3,'c')"), text("insert into t values (9, 'z')"));
        assert_eq!(text("select * from t where a in (1, 2, 3)"), text("select * from t where a in (4)"));
        assert_ne!(text("insert into t values (1, x)"), text("insert into t values (1)"));
    }

    #[test]
    fn no_literal_is_kept() {
        let all = [
            (Dialect::Postgres, "select 'secret', E'a\\'secret', $$secret$$, $x$secret $$ $x$, 'secret", "secret"),
            (Dialect::BigQuery, "select \"secret\", r'secret', 'a\\'secret' # secret?", "secret\""),
            (Dialect::TSql, "select N'secret', [a'b] from t where x = 0xBEEF", "BEEF"),
            (Dialect::MySql, "select \"se\\\"cret\" from `a'b` where c = 'secret'", "secret"),
        ];
        for (dialect, text, secret) in all {
            let found = normalise(text, dialect);
            assert!(!found.redacted.contains(secret), "{}", found.redacted);
            assert!(!found.text.contains(secret), "{}", found.text);
        }
        let kept = normalise("select \"a\" -- note\nfrom t where b = 'x'", Dialect::Postgres);
        assert_eq!(kept.redacted, "select \"a\" -- note\nfrom t where b = ?");
        assert_eq!(normalise("select $1, a$b from t1", Dialect::Postgres).text, "select $?, a$b from t1");
    }

    #[test]
    fn any_text_is_taken() {
        for odd in ["", "'", "\"", "$", "$$", "/*", "--", "é'ü", "'\\", "\\'", "(?,", "),(", "[", "`"] {
            for dialect in [Dialect::Postgres, Dialect::BigQuery, Dialect::TSql, Dialect::Snowflake] {
                normalise(odd, dialect);
            }
        }
    }
}
