//! Names and prose as search terms.
//!
//! Names split at everything that is no letter or digit, where lower case meets upper case, and between letters and
//! digits: `dimUserEvents_v2` is dim, user, events, v, 2. Terms are folded to lower case and plain letters and stemmed,
//! so that `orders` finds `order`. Prose goes the same way.

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RawTokenizer, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer,
    TokenizerManager,
};

/// Tokenizer of names and prose.
pub(super) const WORDS: &str = "tributary_words";
/// The same without stems, for prefixes and typing errors.
pub(super) const PLAIN: &str = "tributary_plain";
/// The whole value, folded.
pub(super) const WHOLE: &str = "tributary_whole";

/// Longest term in bytes; longer words are no words.
const MAX_TERM: usize = 80;

pub(super) fn register(manager: &TokenizerManager) {
    let words = TextAnalyzer::builder(NameTokenizer::default())
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(Stemmer::new(Language::English))
        .build();
    let plain = TextAnalyzer::builder(NameTokenizer::default()).filter(LowerCaser).filter(AsciiFoldingFilter).build();
    let whole = TextAnalyzer::builder(RawTokenizer::default()).filter(LowerCaser).filter(AsciiFoldingFilter).build();
    manager.register(WORDS, words);
    manager.register(PLAIN, plain);
    manager.register(WHOLE, whole);
}

/// The terms of a text under one of the tokenizers.
pub(super) fn terms(manager: &TokenizerManager, tokenizer: &str, text: &str) -> Vec<String> {
    let Some(mut analyzer) = manager.get(tokenizer) else { return Vec::new() };
    let mut stream = analyzer.token_stream(text);
    let mut terms = Vec::new();
    while let Some(token) = stream.next() {
        terms.push(token.text.clone());
    }
    terms
}

/// Splits names, see the module's words.
#[derive(Clone, Default)]
pub(super) struct NameTokenizer {
    tokens: Vec<Token>,
}

impl Tokenizer for NameTokenizer {
    type TokenStream<'a> = NameTokens<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> NameTokens<'a> {
        self.tokens.clear();
        split(text, &mut self.tokens);
        NameTokens { tokens: &mut self.tokens, next: 0 }
    }
}

/// Stream over split tokens.
pub(super) struct NameTokens<'a> {
    tokens: &'a mut Vec<Token>,
    next: usize,
}

impl TokenStream for NameTokens<'_> {
    fn advance(&mut self) -> bool {
        self.next += 1;
        self.next <= self.tokens.len()
    }
    fn token(&self) -> &Token {
        self.tokens.get(self.next - 1).expect("advance answered true")
    }
    fn token_mut(&mut self) -> &mut Token {
        self.tokens.get_mut(self.next - 1).expect("advance answered true")
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Digit,
    Other,
}

fn class(c: char) -> Class {
    if c.is_numeric() {
        Class::Digit
    } else if c.is_uppercase() {
        Class::Upper
    } else if c.is_alphanumeric() {
        Class::Lower
    } else {
        Class::Other
    }
}

fn split(text: &str, tokens: &mut Vec<Token>) {
    let mut push = |from: usize, to: usize| {
        let word = text.get(from..to).unwrap_or_default();
        if !word.is_empty() && word.len() <= MAX_TERM {
            let position = tokens.len();
            tokens.push(Token {
                offset_from: from,
                offset_to: to,
                position,
                text: word.to_owned(),
                position_length: 1,
            });
        }
    };
    let mut start = 0;
    let mut before = Class::Other;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let now = class(c);
        let next_is_lower = chars.peek().is_some_and(|(_, next)| class(*next) == Class::Lower);
        let boundary = match (before, now) {
            (Class::Other, _) => false,
            (_, Class::Other) => true,
            (Class::Lower, Class::Upper) => true,
            // The last capital of HTTPServer begins the next word.
            (Class::Upper, Class::Upper) => next_is_lower,
            (Class::Digit, Class::Digit) | (Class::Upper | Class::Lower, Class::Lower) => false,
            (Class::Digit, _) | (_, Class::Digit) => true,
        };
        if boundary {
            push(start, at);
            start = at;
        }
        if now == Class::Other {
            start = at + c.len_utf8();
        }
        before = now;
    }
    push(start, text.len());
}
