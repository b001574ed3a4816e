//! What a scan of tokens tells of a statement that cannot be parsed.

use sqlparser::ast::{ObjectName, ObjectNamePart};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::types::StatementKind;
use super::tokens::{as_word, ident, is};

/// The kind of a statement by its first words.
pub(super) fn kind(tokens: &[TokenWithSpan]) -> StatementKind {
    let mut words = tokens.iter().filter_map(as_word).map(|word| word.value.to_ascii_uppercase());
    let Some(first) = words.next() else { return StatementKind::Other };
    match first.as_str() {
        "SELECT" | "WITH" | "FROM" | "VALUES" | "TABLE" | "SEL" => StatementKind::Select,
        "INSERT" | "REPLACE" | "UPSERT" | "INS" => StatementKind::Insert,
        "UPDATE" | "UPD" => StatementKind::Update,
        "DELETE" | "DEL" => StatementKind::Delete,
        "MERGE" => StatementKind::Merge,
        "TRUNCATE" => StatementKind::Truncate,
        "CREATE" => created(tokens),
        "ALTER" => StatementKind::Alter,
        "RENAME" => StatementKind::Rename,
        "EXCHANGE" => StatementKind::Swap,
        "DROP" | "UNDROP" | "DETACH" => StatementKind::Drop,
        "COPY" | "LOAD" | "IMPORT" => StatementKind::Copy,
        "UNLOAD" | "EXPORT" => StatementKind::Unload,
        "USE" => StatementKind::Use,
        "SET" | "RESET" | "UNSET" | "DECLARE" | "LET" => StatementKind::Set,
        "CALL" | "EXEC" | "EXECUTE" | "DO" => StatementKind::Call,
        "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" | "ABORT" | "END" => {
            StatementKind::Transaction
        }
        "GRANT" | "REVOKE" | "DENY" => StatementKind::Grant,
        "SHOW" | "DESC" | "DESCRIBE" | "LIST" | "LS" | "HELP" => StatementKind::Show,
        "EXPLAIN" => StatementKind::Explain,
        "COMMENT" => StatementKind::Comment,
        "ANALYZE" | "ANALYSE" | "VACUUM" | "OPTIMIZE" | "COLLECT" => StatementKind::Analyze,
        _ => StatementKind::Other,
    }
}

fn created(tokens: &[TokenWithSpan]) -> StatementKind {
    let mut materialized = false;
    for (at, token) in tokens.iter().enumerate().skip(1).take(12) {
        let Some(word) = as_word(token) else { continue };
        match word.value.to_ascii_uppercase().as_str() {
            "MATERIALIZED" | "DYNAMIC" => materialized = true,
            "VIEW" if materialized => return StatementKind::CreateMaterializedView,
            "VIEW" => return StatementKind::CreateView,
            "PROCEDURE" | "PROC" | "FUNCTION" | "TRIGGER" | "PACKAGE" | "MACRO" => return StatementKind::Procedure,
            "TABLE" => {
                let query = tokens[at..].iter().any(|token| is(Some(token), "SELECT") || is(Some(token), "WITH"));
                return if query { StatementKind::CreateTableAs } else { StatementKind::CreateTable };
            }
            _ => {}
        }
    }
    StatementKind::CreateOther
}

/// Names read and written, by the words before them.
pub(super) fn names(tokens: &[TokenWithSpan]) -> (Vec<ObjectName>, Vec<ObjectName>) {
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    let mut ctes: Vec<String> = Vec::new();
    let first = tokens.iter().find_map(as_word).map(|word| word.value.to_ascii_uppercase()).unwrap_or_default();
    let mut at = 0;
    // FROM inside of the brackets of EXTRACT, SUBSTRING, TRIM names no table: `(` and the word before it.
    let mut brackets: Vec<bool> = Vec::new();
    let mut list = false;
    while at < tokens.len() {
        let token = &tokens[at];
        match &token.token {
            Token::LParen => {
                let inner = ["EXTRACT", "SUBSTRING", "TRIM", "OVERLAY", "POSITION", "DATE_PART"];
                brackets.push(at > 0 && inner.iter().any(|word| is(tokens.get(at - 1), word)));
                list = false;
            }
            Token::RParen => {
                brackets.pop();
            }
            Token::Comma if list => {
                if let Some((name, end)) = name(tokens, at + 1) {
                    reads.push(name);
                    at = end;
                    continue;
                }
            }
            Token::Word(word) if word.quote_style.is_none() => {
                let text = word.value.to_ascii_uppercase();
                let distinct = text == "FROM" && at > 0 && is(tokens.get(at - 1), "DISTINCT");
                match text.as_str() {
                    "FROM" | "JOIN" | "USING" if !distinct && !brackets.last().copied().unwrap_or(false) => {
                        let mut next = at + 1;
                        while is(tokens.get(next), "ONLY")
                            || is(tokens.get(next), "LATERAL")
                            || is(tokens.get(next), "TABLE")
                        {
                            next += 1;
                        }
                        if let Some((name, end)) = name(tokens, next) {
                            list = text == "FROM";
                            if first == "DELETE" && text == "FROM" && writes.is_empty() {
                                writes.push(name);
                            } else {
                                reads.push(name);
                            }
                            at = end;
                            continue;
                        }
                    }
                    "INTO" | "OVERWRITE" | "UPDATE" | "TABLE" | "VIEW" => {
                        list = false;
                        let mut next = at + 1;
                        while ["TABLE", "IF", "NOT", "EXISTS", "INTO"].iter().any(|word| is(tokens.get(next), word)) {
                            next += 1;
                        }
                        let locks = text == "UPDATE"
                            && at > 0
                            && (is(tokens.get(at - 1), "FOR") || is(tokens.get(at - 1), "THEN"));
                        if !locks && let Some((name, end)) = name(tokens, next) {
                            writes.push(name);
                            at = end;
                            continue;
                        }
                    }
                    "AS" if at > 0
                        && matches!(tokens.get(at + 1).map(|token| &token.token), Some(Token::LParen))
                        && is(tokens.get(at + 2), "SELECT") =>
                    {
                        if let Some(word) = as_word(&tokens[at - 1]) {
                            ctes.push(word.value.to_ascii_lowercase());
                        }
                    }
                    "SELECT" | "WHERE" | "ON" | "GROUP" | "ORDER" | "SET" | "VALUES" | "UNION" => list = false,
                    _ => {}
                }
            }
            _ => {}
        }
        at += 1;
    }
    let known = |name: &ObjectName| {
        name.0.len() == 1 && name.0[0].as_ident().is_some_and(|part| ctes.contains(&part.value.to_ascii_lowercase()))
    };
    reads.retain(|name| !known(name));
    (reads, writes)
}

/// The dotted name at a place, and where it ends; nothing if it is a keyword that begins something else or a call.
pub(super) fn name(tokens: &[TokenWithSpan], from: usize) -> Option<(ObjectName, usize)> {
    let mut parts = Vec::new();
    let mut at = from;
    loop {
        let token = tokens.get(at)?;
        let word = as_word(token)?;
        if parts.is_empty() && word.quote_style.is_none() {
            let text = word.value.to_ascii_uppercase();
            if ["SELECT", "WITH", "VALUES", "UNNEST", "SET", "WHERE", "ON", "LATERAL"].contains(&text.as_str()) {
                return None;
            }
        }
        parts.push(ObjectNamePart::Identifier(ident(word, token)));
        at += 1;
        match tokens.get(at).map(|token| &token.token) {
            Some(Token::Period) if matches!(tokens.get(at + 1).map(|token| &token.token), Some(Token::Word(_))) => {
                at += 1;
            }
            // `db..table`
            Some(Token::Period)
                if matches!(tokens.get(at + 1).map(|token| &token.token), Some(Token::Period))
                    && matches!(tokens.get(at + 2).map(|token| &token.token), Some(Token::Word(_))) =>
            {
                at += 2;
            }
            Some(Token::LParen) => return None,
            _ => return Some((ObjectName(parts), at)),
        }
    }
}
