//! Reads type texts of Hive, Spark, Trino, Postgres, BigQuery and OpenLineage. Bounded depth, no failure: what it cannot
//! read becomes a named type.

use super::{ColumnType, MAX_DEPTH, TypeField};

/// See [`ColumnType::parse`].
pub(super) fn parse(text: &str) -> ColumnType {
    let mut parser = Parser { text, at: 0 };
    let parsed = parser.parse_type(0);
    parser.skip_space();
    match parsed {
        Some(kind) if parser.at == text.len() => kind,
        _ if text.trim().is_empty() => ColumnType::Unknown,
        _ => ColumnType::Plain { name: squeeze(text), params: Vec::new() },
    }
}

/// Lower case, runs of white space as one space.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.bump();
        }
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.skip_space();
        let found = self.peek() == Some(wanted);
        if found {
            self.bump();
        }
        found
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&keep) {
            self.bump();
        }
        self.text.get(start..self.at).unwrap_or("").to_owned()
    }

    fn eat_word(&mut self, word: &str) -> bool {
        self.skip_space();
        let rest = self.rest();
        let Some(head) = rest.get(..word.len()) else { return false };
        let ends = rest.get(word.len()..).and_then(|r| r.chars().next()).is_none_or(|c| !is_word(c));
        let found = ends && head.eq_ignore_ascii_case(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn parse_type(&mut self, depth: usize) -> Option<ColumnType> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.skip_space();
        let word = self.take_while(is_word).to_lowercase();
        if word.is_empty() {
            return None;
        }
        let mut kind = match word.as_str() {
            "array" | "list" => self.parse_array(depth)?,
            "map" => self.parse_map(depth)?,
            "struct" | "row" | "record" => self.parse_struct(depth)?,
            "uniontype" | "union" => self.parse_union(depth)?,
            _ => self.parse_plain(word)?,
        };
        // Postgres writes arrays behind the element.
        let mut arrays = depth;
        while self.rest().trim_start().starts_with("[]") {
            self.eat('[');
            self.eat(']');
            kind = ColumnType::Array(Box::new(kind));
            arrays += 1;
            if arrays > MAX_DEPTH {
                return None;
            }
        }
        Some(kind)
    }

    fn open(&mut self) -> Option<char> {
        if self.eat('<') {
            Some('>')
        } else if self.eat('(') {
            Some(')')
        } else {
            None
        }
    }

    fn parse_array(&mut self, depth: usize) -> Option<ColumnType> {
        let Some(close) = self.open() else { return Some(named("array")) };
        let element = self.parse_type(depth + 1)?;
        self.eat(close).then_some(ColumnType::Array(Box::new(element)))
    }

    fn parse_map(&mut self, depth: usize) -> Option<ColumnType> {
        let Some(close) = self.open() else { return Some(named("map")) };
        let key = self.parse_type(depth + 1)?;
        self.eat(',').then_some(())?;
        let value = self.parse_type(depth + 1)?;
        self.eat(close).then_some(ColumnType::Map(Box::new(key), Box::new(value)))
    }

    fn parse_union(&mut self, depth: usize) -> Option<ColumnType> {
        let Some(close) = self.open() else { return Some(named("union")) };
        let mut kinds = Vec::new();
        loop {
            kinds.push(self.parse_type(depth + 1)?);
            if self.eat(close) {
                return Some(ColumnType::Union(kinds));
            }
            self.eat(',').then_some(())?;
        }
    }

    fn parse_struct(&mut self, depth: usize) -> Option<ColumnType> {
        let Some(close) = self.open() else { return Some(named("struct")) };
        let mut fields = Vec::new();
        if self.eat(close) {
            return Some(ColumnType::Struct(fields));
        }
        loop {
            let name = self.parse_name()?;
            self.eat(':');
            let kind = self.parse_type(depth + 1)?;
            if self.eat_word("not") {
                self.eat_word("null").then_some(())?;
            }
            let comment = if self.eat_word("comment") { Some(self.parse_quoted()?) } else { None };
            fields.push(TypeField { name, kind, comment });
            if self.eat(close) {
                return Some(ColumnType::Struct(fields));
            }
            self.eat(',').then_some(())?;
        }
    }

    fn parse_name(&mut self) -> Option<String> {
        self.skip_space();
        match self.peek()? {
            quote @ ('`' | '"') => {
                self.bump();
                let name = self.take_while(|c| c != quote);
                self.bump();
                Some(name)
            }
            // Hive prints names bare, whatever they hold; only these end them.
            _ => {
                let name = self.take_while(|c| !matches!(c, ':' | '<' | '>' | ',' | '(' | ')') && !c.is_whitespace());
                (!name.is_empty()).then_some(name)
            }
        }
    }

    fn parse_quoted(&mut self) -> Option<String> {
        self.skip_space();
        let quote = self.peek().filter(|c| matches!(c, '\'' | '"'))?;
        self.bump();
        let text = self.take_while(|c| c != quote);
        self.bump();
        Some(text)
    }

    fn parse_plain(&mut self, first: String) -> Option<ColumnType> {
        let mut words = first;
        // Only these words continue a type; any other ends it, so that struct fields can follow.
        for next in ["precision", "varying", "unsigned"] {
            if self.eat_word(next) {
                words.push(' ');
                words.push_str(next);
            }
        }
        let mut params = Vec::new();
        if self.eat('(') {
            loop {
                self.skip_space();
                let number = self.take_while(|c| c.is_ascii_digit() || c == '-');
                if number.is_empty() {
                    // `varchar(max)`: as good as no length.
                    self.take_while(|c| c.is_ascii_alphabetic());
                }
                params.push(number.parse::<u32>().ok());
                if self.eat(')') {
                    break;
                }
                self.eat(',').then_some(())?;
            }
        }
        if self.eat_word("with") {
            words.push_str(if self.eat_word("local") { " with local" } else { " with" });
            (self.eat_word("time") && self.eat_word("zone")).then_some(())?;
            words.push_str(" time zone");
        } else if self.eat_word("without") {
            (self.eat_word("time") && self.eat_word("zone")).then_some(())?;
        }
        Some(plain(&words, params.into_iter().flatten().collect()))
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

fn named(name: &str) -> ColumnType {
    ColumnType::Plain { name: name.to_owned(), params: Vec::new() }
}

/// Canonical name of a plain type; parameters are dropped where they change nothing for a reader.
fn plain(words: &str, params: Vec<u32>) -> ColumnType {
    let name = match words {
        "long" | "bigint" | "int8" | "int64" | "bigserial" => "bigint",
        "int" | "integer" | "int4" | "int32" | "serial" => "int",
        "smallint" | "short" | "int2" | "int16" => "smallint",
        "tinyint" | "byte" => "tinyint",
        "boolean" | "bool" => "boolean",
        "double" | "double precision" | "float8" | "float64" => "double",
        "float" | "real" | "float4" | "float32" => "float",
        "decimal" | "numeric" | "number" | "dec" | "bignumeric" => "decimal",
        "varchar" | "character varying" | "varchar2" | "nvarchar" if params.is_empty() => "string",
        "varchar" | "character varying" | "varchar2" | "nvarchar" => "varchar",
        "char" | "character" | "bpchar" | "nchar" => "char",
        "string" | "text" | "clob" | "utf8" => "string",
        "binary" | "bytea" | "bytes" | "varbinary" | "blob" => "binary",
        "timestamp" | "datetime" | "timestamp_ntz" | "timestampntz" => "timestamp",
        "timestamptz" | "timestamp_tz" | "timestamp_ltz" | "timestamplocaltz" => "timestamptz",
        "timestamp with time zone" | "timestamp with local time zone" => "timestamptz",
        "timetz" | "time with time zone" => "timetz",
        "null" | "void" | "unknown" | "nulltype" => return ColumnType::Unknown,
        other => other,
    };
    let keeps = matches!(name, "decimal" | "varchar" | "char") || !matches!(words, w if w.starts_with("time"));
    let meaningless =
        matches!(name, "bigint" | "int" | "smallint" | "tinyint" | "string" | "double" | "float" | "binary");
    let params = if keeps && !meaningless { params } else { Vec::new() };
    ColumnType::Plain { name: name.to_owned(), params }
}
