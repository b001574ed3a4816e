//! Batches and statements of T-SQL, which need no semicolons.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{as_word, is};

/// GO on a line of its own: where batches end.
pub(super) fn separators(tokens: &[TokenWithSpan]) -> Vec<usize> {
    let alone = |at: usize| {
        let line = tokens[at].span.start.line;
        let begins = at == 0 || tokens[at - 1].span.end.line < line || tokens[at - 1].token == Token::SemiColon;
        // GO may say how often.
        let next = match tokens.get(at + 1).map(|token| &token.token) {
            Some(Token::Number(..)) => at + 2,
            Some(Token::SemiColon) => return begins,
            _ => at + 1,
        };
        begins && tokens.get(next).is_none_or(|token| token.span.start.line > line)
    };
    (0..tokens.len()).filter(|at| is(tokens.get(*at), "GO") && alone(*at)).collect()
}

/// Whether a word begins a statement.
pub(super) fn starts(token: Option<&TokenWithSpan>) -> bool {
    let Some(word) = token.and_then(as_word) else { return false };
    if word.quote_style.is_some() {
        return false;
    }
    match word.keyword {
        Keyword::SELECT
        | Keyword::INSERT
        | Keyword::UPDATE
        | Keyword::DELETE
        | Keyword::MERGE
        | Keyword::WITH
        | Keyword::CREATE
        | Keyword::ALTER
        | Keyword::DROP
        | Keyword::TRUNCATE
        | Keyword::DECLARE
        | Keyword::SET
        | Keyword::IF
        | Keyword::WHILE
        | Keyword::BEGIN
        | Keyword::END
        | Keyword::ELSE
        | Keyword::EXEC
        | Keyword::EXECUTE
        | Keyword::PRINT
        | Keyword::RETURN
        | Keyword::USE
        | Keyword::COMMIT
        | Keyword::ROLLBACK
        | Keyword::OPEN
        | Keyword::CLOSE
        | Keyword::FETCH
        | Keyword::DEALLOCATE
        | Keyword::RAISERROR
        | Keyword::THROW
        | Keyword::GRANT
        | Keyword::DENY
        | Keyword::REVOKE
        | Keyword::CONTINUE
        | Keyword::CALL
        | Keyword::WAITFOR => true,
        _ => ["GOTO", "REVERT", "KILL", "DBCC", "SAVE", "BREAK", "BULK"]
            .iter()
            .any(|text| word.value.eq_ignore_ascii_case(text)),
    }
}

/// Where the statement that begins at `start` ends, at most at `end`.
pub(super) fn boundary(tokens: &[TokenWithSpan], start: usize, end: usize) -> usize {
    let keyword = |at: usize| tokens.get(at).and_then(as_word).map_or(Keyword::NoKeyword, |word| word.keyword);
    let mut first = keyword(start);
    // Whether the query or main statement of INSERT and WITH has come.
    let mut main = false;
    let mut set = false;
    let (mut depth, mut cases) = (0_usize, 0_usize);
    for at in start + 1..end {
        match &tokens[at].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::SemiColon => return at,
            Token::Word(word) if depth == 0 && word.quote_style.is_none() => {
                match word.keyword {
                    Keyword::CASE => cases += 1,
                    Keyword::END if cases > 0 => {
                        cases -= 1;
                        continue;
                    }
                    Keyword::ELSE if cases > 0 => continue,
                    _ => {}
                }
                if cases > 0 || !starts(Some(&tokens[at])) || joined(tokens, at, start) {
                    continue;
                }
                let next = tokens.get(at + 1).map(|token| &token.token);
                let here = word.keyword;
                let belongs = match here {
                    Keyword::SELECT | Keyword::EXEC | Keyword::EXECUTE
                        if !main && matches!(first, Keyword::INSERT | Keyword::WITH) =>
                    {
                        main = true;
                        true
                    }
                    Keyword::INSERT | Keyword::UPDATE | Keyword::DELETE | Keyword::MERGE
                        if first == Keyword::WITH && !main =>
                    {
                        first = here;
                        true
                    }
                    Keyword::SET => {
                        let own = matches!(first, Keyword::UPDATE | Keyword::ALTER | Keyword::MERGE) && !set;
                        set |= own;
                        own
                    }
                    Keyword::UPDATE => matches!(next, Some(Token::LParen)),
                    Keyword::WITH => true,
                    Keyword::ALTER | Keyword::DROP => {
                        first == Keyword::ALTER
                            && ["COLUMN", "CONSTRAINT", "INDEX", "PERIOD"]
                                .iter()
                                .any(|word| is(tokens.get(at + 1), word))
                    }
                    Keyword::IF => matches!(first, Keyword::DROP | Keyword::CREATE | Keyword::ALTER),
                    _ => {
                        matches!(first, Keyword::GRANT | Keyword::DENY | Keyword::REVOKE)
                            && matches!(here, Keyword::SELECT | Keyword::INSERT | Keyword::DELETE | Keyword::EXECUTE)
                    }
                };
                if !belongs {
                    return at;
                }
            }
            _ => {}
        }
    }
    end
}

/// Whether the token before says that the statement goes on.
fn joined(tokens: &[TokenWithSpan], at: usize, start: usize) -> bool {
    let before = &tokens[at - 1];
    match &before.token {
        Token::Word(word) if word.quote_style.is_none() => match word.keyword {
            Keyword::AS => true,
            Keyword::UNION
            | Keyword::ALL
            | Keyword::EXCEPT
            | Keyword::INTERSECT
            | Keyword::THEN
            | Keyword::FOR
            | Keyword::AFTER
            | Keyword::OF
            | Keyword::ROWS
            | Keyword::ROW
            | Keyword::GRANT
            | Keyword::DENY
            | Keyword::REVOKE
            | Keyword::WITH => true,
            // SET NOCOUNT ON ends there, ON DELETE CASCADE does not.
            Keyword::ON => !is(tokens.get(start), "SET"),
            // WHEN MATCHED THEN UPDATE SET
            Keyword::UPDATE => at - 1 > start,
            _ => word.value.eq_ignore_ascii_case("BULK"),
        },
        Token::Comma
        | Token::Period
        | Token::Eq
        | Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::Neq => !matches!(before.token, Token::Mul) || at - 1 > start && !is(tokens.get(at - 2), "SELECT"),
        _ => false,
    }
}
