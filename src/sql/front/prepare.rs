//! What stands in a text but is no SQL: templates, commands of clients, delimiters.
//!
//! It is overwritten byte for byte, so that every place stays where it was.

use std::borrow::Cow;

use super::super::types::Dialect;

/// The text with nothing but SQL in it.
pub(super) fn prepare(text: &str, dialect: Dialect) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    if text.as_bytes().contains(&b'{') && (text.contains("{{") || text.contains("{%") || text.contains("{#")) {
        text = Cow::Owned(templates(&text));
    }
    if matches!(dialect, Dialect::Postgres | Dialect::Redshift) && (text.starts_with('\\') || text.contains("\n\\")) {
        text = Cow::Owned(commands(&text));
    }
    if matches!(
        dialect,
        Dialect::Teradata | Dialect::Sqlite | Dialect::DuckDb | Dialect::Oracle | Dialect::Snowflake | Dialect::TSql
    ) && text.lines().any(|line| client_command(line, dialect))
    {
        text = Cow::Owned(client_commands(&text, dialect));
    }
    if dialect == Dialect::MySql && delimits(&text) {
        text = Cow::Owned(delimiters(&text));
    }
    text
}

/// `{{ ref('t') }}` is t, `{{ source('s', 't') }}` is s.t, any other expression its first name; `{% … %}` and `{# … #}`
/// are nothing.
fn templates(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let close = match rest.as_bytes().get(1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => "#}",
            _ => {
                out.push('{');
                rest = &rest[1..];
                continue;
            }
        };
        // What never ends is no template.
        let Some(length) = rest[2..].find(close).map(|at| at + 2) else { break };
        let end = length + 2;
        let inside = rest[2..length].trim_matches(['-', ' ', '\n', '\t', '\r']);
        let name = if close == "}}" { template_name(inside) } else { String::new() };
        let begins = out.len();
        if name.len() <= end {
            out.push_str(&name);
        }
        let word = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
        let fill = if !name.is_empty() && word(rest[end..].chars().next()) { '_' } else { ' ' };
        while out.len() < begins + end {
            out.push(fill);
        }
        // Lines stay lines.
        if rest[..end].contains('\n') && fill == ' ' {
            let lines: Vec<usize> = rest[..end].match_indices('\n').map(|(at, _)| begins + at).collect();
            let from = begins + name.len();
            for at in lines.into_iter().filter(|at| *at >= from) {
                out.replace_range(at..=at, "\n");
            }
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

fn template_name(inside: &str) -> String {
    let function: String =
        inside.chars().take_while(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '.')).collect();
    let literals: Vec<&str> = inside.split(['\'', '"']).skip(1).step_by(2).collect();
    let name = match (function.as_str(), literals.as_slice()) {
        ("config", _) => String::new(),
        ("ref", [.., table]) => (*table).to_owned(),
        ("source", [schema, table, ..]) => format!("{schema}.{table}"),
        _ => function,
    };
    let plain = name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '.'));
    if plain { name.trim_matches('.').to_owned() } else { String::new() }
}

/// Lines of psql that begin with a backslash.
fn commands(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        // `\.` ends the data of COPY.
        if line.starts_with('\\') && !line.starts_with("\\.") {
            blank(line, &mut out);
        } else {
            out.push_str(line);
        }
    }
    out
}

/// Whether a line is a command of BTEQ, SQL*Plus, sqlcmd, SnowSQL or the shells of SQLite and DuckDB, if it begins a
/// statement.
fn client_command(line: &str, dialect: Dialect) -> bool {
    let line = line.trim_start();
    let letter = |sign: char| {
        line.strip_prefix(sign).and_then(|rest| rest.chars().next()).is_some_and(|next| next.is_ascii_alphabetic())
    };
    match dialect {
        Dialect::Teradata | Dialect::Sqlite | Dialect::DuckDb => letter('.'),
        Dialect::Snowflake => letter('!'),
        Dialect::TSql => letter(':'),
        Dialect::Oracle => {
            let mut words = line.split_whitespace().map(str::to_ascii_uppercase);
            let first = words.next().unwrap_or_default();
            match first.trim_end_matches(';') {
                "PROMPT" | "SPOOL" | "WHENEVER" | "REM" | "REMARK" | "DEFINE" | "UNDEFINE" | "TTITLE" | "BTITLE"
                | "ACCEPT" | "PAUSE" | "CONNECT" | "CONN" | "DISCONNECT" | "EXIT" | "QUIT" | "CLEAR" => {
                    first != "CONNECT" && first != "CONN" || words.next().is_none_or(|word| word != "BY")
                }
                "SET" => words.next().is_some_and(|word| {
                    [
                        "SERVEROUTPUT",
                        "ECHO",
                        "FEEDBACK",
                        "FEED",
                        "DEFINE",
                        "DEF",
                        "LINESIZE",
                        "LINES",
                        "PAGESIZE",
                        "PAGES",
                        "TERMOUT",
                        "TERM",
                        "VERIFY",
                        "VER",
                        "HEADING",
                        "HEAD",
                        "TIMING",
                        "TRIMSPOOL",
                        "SQLBLANKLINES",
                        "AUTOCOMMIT",
                        "COLSEP",
                        "SCAN",
                    ]
                    .contains(&word.trim_end_matches(';'))
                }),
                other => other.starts_with('@'),
            }
        }
        _ => false,
    }
}

/// Overwrites them where no statement goes on.
fn client_commands(text: &str, dialect: Dialect) -> String {
    let mut out = String::with_capacity(text.len());
    let mut ended = true;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if ended && client_command(line, dialect) {
            blank(line, &mut out);
            continue;
        }
        out.push_str(line);
        if !trimmed.is_empty() && !trimmed.starts_with("--") {
            ended = trimmed.ends_with([';', '/']) || trimmed.eq_ignore_ascii_case("go");
        }
    }
    out
}

fn blank(line: &str, out: &mut String) {
    out.extend(line.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
}

fn delimits(text: &str) -> bool {
    text.lines().any(|line| command(line).is_some())
}

/// The delimiter that a line of MySQL's client sets.
fn command(line: &str) -> Option<&str> {
    let line = line.trim();
    let (word, rest) = line.split_at_checked(9)?;
    (word.eq_ignore_ascii_case("delimiter") && rest.starts_with([' ', '\t']))
        .then(|| rest.trim())
        .filter(|rest| !rest.is_empty())
}

/// Other delimiters become semicolons; the lines that set them go.
fn delimiters(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut delimiter = ";".to_owned();
    for line in text.split_inclusive('\n') {
        if let Some(new) = command(line) {
            delimiter = new.to_owned();
            blank(line, &mut out);
        } else if delimiter == ";" {
            out.push_str(line);
        } else {
            let mut rest = line;
            while let Some(at) = rest.find(&delimiter) {
                out.push_str(&rest[..at]);
                out.push(';');
                out.extend(std::iter::repeat_n(' ', delimiter.len() - 1));
                rest = &rest[at + delimiter.len()..];
            }
            out.push_str(rest);
        }
    }
    out
}
