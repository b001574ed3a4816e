//! Canonical column types: one tree for Hive, Spark, SQL and OpenLineage spellings, and paths of nested fields.
//!
//! Pure text work on foreign input: bounded depth, never fails; what it cannot read stays a named type of its own.

use super::fact::Column;
use super::id::child_path;

/// How deep types nest before the rest is kept as text.
const MAX_DEPTH: usize = 32;
/// How many fields are flattened of one dataset.
pub const MAX_FIELDS: usize = 20_000;

/// A type in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// The source does not say.
    Unknown,
    /// `bigint`, `decimal(10,2)`, …: canonical name, parameters as far as known.
    Plain {
        /// Canonical name, lower case.
        name: String,
        /// Precision and scale, or length; empty if unknown.
        params: Vec<u32>,
    },
    /// Sequence of one type.
    Array(Box<Self>),
    /// Key and value.
    Map(Box<Self>, Box<Self>),
    /// Named fields in order.
    Struct(Vec<TypeField>),
    /// One of several.
    Union(Vec<Self>),
}

/// A field of a struct type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeField {
    /// Name as written, without quotes.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
    /// Comment inside the type text.
    pub comment: Option<String>,
}

/// What became of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeChange {
    /// Nothing a reader could notice, as far as is known.
    Same,
    /// Every old value fits.
    Widened,
    /// Some old values do not fit.
    Narrowed,
    /// Another type.
    Changed,
}

impl ColumnType {
    /// Reads a type in any of the known spellings.
    pub fn parse(text: &str) -> Self {
        let mut parser = Parser { text, at: 0 };
        let parsed = parser.parse_type(0);
        parser.skip_space();
        match parsed {
            Some(kind) if parser.at == text.len() => kind,
            _ if text.trim().is_empty() => Self::Unknown,
            _ => Self::Plain { name: squeeze(text), params: Vec::new() },
        }
    }

    /// The type of a column with its nested fields, where the source nests them.
    pub fn of_column(column: &Column) -> Self {
        of_column(column, 0)
    }

    /// Canonical spelling.
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Unknown => {}
            Self::Plain { name, params } => {
                out.push_str(name);
                if !params.is_empty() {
                    let params: Vec<String> = params.iter().map(u32::to_string).collect();
                    out.push('(');
                    out.push_str(&params.join(","));
                    out.push(')');
                }
            }
            Self::Array(element) => {
                out.push_str("array<");
                element.write(out);
                out.push('>');
            }
            Self::Map(key, value) => {
                out.push_str("map<");
                key.write(out);
                out.push(',');
                value.write(out);
                out.push('>');
            }
            Self::Struct(fields) => {
                out.push_str("struct<");
                for (nth, field) in fields.iter().enumerate() {
                    if nth > 0 {
                        out.push(',');
                    }
                    out.push_str(&field.name.to_lowercase());
                    out.push(':');
                    field.kind.write(out);
                }
                out.push('>');
            }
            Self::Union(kinds) => {
                out.push_str("union<");
                for (nth, kind) in kinds.iter().enumerate() {
                    if nth > 0 {
                        out.push(',');
                    }
                    kind.write(out);
                }
                out.push('>');
            }
        }
    }

    /// What happens to a reader of `self` when the type becomes `after`.
    pub fn change_to(&self, after: &Self) -> TypeChange {
        use ColumnType::{Array, Map, Plain, Struct, Union, Unknown};
        match (self, after) {
            (Unknown, _) | (_, Unknown) => TypeChange::Same,
            (Plain { name: a, params: p }, Plain { name: b, params: q }) => plain_change((a, p), (b, q)),
            (Array(a), Array(b)) => a.change_to(b),
            (Map(k, v), Map(l, w)) => worse(k.change_to(l), v.change_to(w)),
            (Struct(a), Struct(b)) => struct_change(a, b),
            (Union(a), Union(b)) if a.len() == b.len() => {
                a.iter().zip(b).fold(TypeChange::Same, |sum, (a, b)| worse(sum, a.change_to(b)))
            }
            // A producer that names only the outer kind says nothing about the inner one.
            (Plain { name, .. }, Array(_)) | (Array(_), Plain { name, .. }) if name == "array" => TypeChange::Same,
            (Plain { name, .. }, Map(..)) | (Map(..), Plain { name, .. }) if name == "map" => TypeChange::Same,
            (Plain { name, .. }, Struct(_)) | (Struct(_), Plain { name, .. }) if name == "struct" => TypeChange::Same,
            _ => TypeChange::Changed,
        }
    }

    /// Whether the two do not contradict each other: unknown parts equal anything.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.change_to(other) == TypeChange::Same
    }
}

fn worse(a: TypeChange, b: TypeChange) -> TypeChange {
    match (a, b) {
        (TypeChange::Same, other) | (other, TypeChange::Same) => other,
        (a, b) if a == b => a,
        _ => TypeChange::Changed,
    }
}

fn struct_change(before: &[TypeField], after: &[TypeField]) -> TypeChange {
    let same_names =
        before.len() == after.len() && before.iter().zip(after).all(|(a, b)| a.name.eq_ignore_ascii_case(&b.name));
    if !same_names {
        return TypeChange::Changed;
    }
    before.iter().zip(after).fold(TypeChange::Same, |sum, (a, b)| worse(sum, a.kind.change_to(&b.kind)))
}

const INTEGERS: [&str; 4] = ["tinyint", "smallint", "int", "bigint"];

fn plain_change((a, p): (&str, &[u32]), (b, q): (&str, &[u32])) -> TypeChange {
    if a == b {
        return params_change(a, p, q);
    }
    let rank = |name: &str| INTEGERS.iter().position(|n| *n == name);
    match (rank(a), rank(b)) {
        (Some(x), Some(y)) => return if x < y { TypeChange::Widened } else { TypeChange::Narrowed },
        (Some(x), None) if matches!(b, "double" | "decimal") || (b == "float" && x < 2) => return TypeChange::Widened,
        (None, Some(_)) if matches!(a, "double" | "float" | "decimal") => return TypeChange::Narrowed,
        _ => {}
    }
    match (a, b) {
        ("float", "double") | ("date", "timestamp") | ("varchar" | "char", "string") | ("char", "varchar") => {
            TypeChange::Widened
        }
        ("double", "float") | ("timestamp", "date") | ("string", "varchar" | "char") | ("varchar", "char") => {
            TypeChange::Narrowed
        }
        _ => TypeChange::Changed,
    }
}

fn params_change(name: &str, before: &[u32], after: &[u32]) -> TypeChange {
    if before == after || before.is_empty() || after.is_empty() {
        return TypeChange::Same;
    }
    let part = |list: &[u32], nth: usize| i64::from(list.get(nth).copied().unwrap_or(0));
    let (scale_before, scale_after) = (part(before, 1), part(after, 1));
    // For decimals both the digits before the point and those behind it must still fit.
    let whole = |list: &[u32]| if name == "decimal" { part(list, 0) - part(list, 1) } else { part(list, 0) };
    let (whole_before, whole_after) = (whole(before), whole(after));
    match (whole_after >= whole_before, scale_after >= scale_before) {
        (true, true) if (whole_after, scale_after) == (whole_before, scale_before) => TypeChange::Same,
        (true, true) => TypeChange::Widened,
        (false, false) => TypeChange::Narrowed,
        _ if whole_after <= whole_before && scale_after <= scale_before => TypeChange::Narrowed,
        _ => TypeChange::Changed,
    }
}

fn of_column(column: &Column, depth: usize) -> ColumnType {
    if column.fields.is_empty() || depth > MAX_DEPTH {
        return ColumnType::parse(&column.data_type);
    }
    let child = |name: &str| column.fields.iter().find(|f| f.name == name).map(|f| of_column(f, depth + 1));
    if let Some(element) = child("[]") {
        return ColumnType::Array(Box::new(element));
    }
    if let Some(value) = child("{}") {
        let key = match ColumnType::parse(&column.data_type) {
            ColumnType::Map(key, _) => *key,
            _ => ColumnType::Unknown,
        };
        return ColumnType::Map(Box::new(key), Box::new(value));
    }
    let fields = column
        .fields
        .iter()
        .map(|f| TypeField { name: f.name.clone(), kind: of_column(f, depth + 1), comment: f.description.clone() })
        .collect();
    ColumnType::Struct(fields)
}

/// Lower case, runs of white space as one space.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// One field of a flattened list of columns; parents come before their children.
#[derive(Clone, Debug, PartialEq)]
pub struct FlatField {
    /// Path from the dataset.
    pub path: String,
    /// Name as displayed.
    pub name: String,
    /// 0 for a column.
    pub depth: usize,
    /// As the source writes it; canonical text where only the type's text of an outer column has it.
    pub data_type: String,
    /// Parsed.
    pub kind: ColumnType,
    /// Comment.
    pub description: Option<String>,
    /// Nullability.
    pub nullable: Option<bool>,
    /// Partition key.
    pub partition_key: bool,
}

/// Flattens columns with their nested fields, from nested lists as well as from type text; at most [`MAX_FIELDS`].
pub fn flatten(columns: &[Column]) -> Vec<FlatField> {
    let mut out = Vec::new();
    for column in columns {
        flatten_column(column, "", 0, &mut out);
    }
    out
}

fn flatten_column(column: &Column, parent: &str, depth: usize, out: &mut Vec<FlatField>) {
    if out.len() >= MAX_FIELDS || depth > MAX_DEPTH {
        return;
    }
    let path = child_path(parent, &column.name);
    let kind = of_column(column, depth);
    out.push(FlatField {
        path: path.clone(),
        name: column.name.clone(),
        depth,
        data_type: column.data_type.clone(),
        kind: kind.clone(),
        description: column.description.clone(),
        nullable: column.nullable,
        partition_key: column.partition_key,
    });
    if column.fields.is_empty() {
        flatten_type(&kind, &path, depth + 1, out);
    }
    for field in &column.fields {
        flatten_column(field, &path, depth + 1, out);
    }
}

fn flatten_type(kind: &ColumnType, parent: &str, depth: usize, out: &mut Vec<FlatField>) {
    if out.len() >= MAX_FIELDS || depth > MAX_DEPTH {
        return;
    }
    let mut child = |name: &str, kind: &ColumnType, comment: Option<String>| {
        let path = child_path(parent, name);
        out.push(FlatField {
            path: path.clone(),
            name: name.to_owned(),
            depth,
            data_type: kind.canonical(),
            kind: kind.clone(),
            description: comment,
            nullable: None,
            partition_key: false,
        });
        flatten_type(kind, &path, depth + 1, out);
    };
    match kind {
        ColumnType::Struct(fields) => {
            for field in fields {
                child(&field.name, &field.kind, field.comment.clone());
            }
        }
        // Element and value are fields of their own only where something nests in them.
        ColumnType::Array(element) if nests(element) => child("[]", element, None),
        ColumnType::Map(_, value) if nests(value) => child("{}", value, None),
        _ => {}
    }
}

fn nests(kind: &ColumnType) -> bool {
    match kind {
        ColumnType::Struct(_) => true,
        ColumnType::Array(inner) | ColumnType::Map(_, inner) => nests(inner),
        _ => false,
    }
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
        while self.rest().trim_start().starts_with("[]") {
            self.eat('[');
            self.eat(']');
            kind = ColumnType::Array(Box::new(kind));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        ColumnType::parse(text).canonical()
    }

    #[test]
    fn synonyms_become_one_spelling() {
        for (written, expected) in [
            ("long", "bigint"),
            ("INT8", "bigint"),
            ("integer", "int"),
            ("int4", "int"),
            ("numeric(16, 2)", "decimal(16,2)"),
            ("character varying(20)", "varchar(20)"),
            ("varchar", "string"),
            ("double precision", "double"),
            ("timestamp without time zone", "timestamp"),
            ("timestamp(3) with time zone", "timestamptz"),
            ("text[]", "array<string>"),
            ("array(row(a bigint, \"B c\" varchar(3)))", "array<struct<a:bigint,b c:varchar(3)>>"),
            ("struct<a:int,b:map<string,array<long>>>", "struct<a:int,b:map<string,array<bigint>>>"),
            ("struct<a: int not null comment 'x, y', b: date>", "struct<a:int,b:date>"),
            ("uniontype<int,string>", "union<int,string>"),
            ("geometry(point,4326)", "geometry(4326)"),
            ("enum('a','b')", "enum('a','b')"),
            ("", ""),
        ] {
            assert_eq!(canonical(written), expected, "{written}");
        }
    }

    #[test]
    fn unknown_parts_agree_with_anything() {
        for (a, b) in [("decimal", "decimal(10,2)"), ("", "bigint"), ("array", "array<int>"), ("int8", "long")] {
            assert!(ColumnType::parse(a).agrees_with(&ColumnType::parse(b)), "{a} {b}");
        }
        assert!(!ColumnType::parse("int").agrees_with(&ColumnType::parse("string")));
    }

    #[test]
    fn changes_are_judged_for_a_reader() {
        for (before, after, expected) in [
            ("int", "bigint", TypeChange::Widened),
            ("bigint", "int", TypeChange::Narrowed),
            ("decimal(10,2)", "decimal(12,2)", TypeChange::Widened),
            ("decimal(10,2)", "decimal(10,4)", TypeChange::Changed),
            ("varchar(20)", "string", TypeChange::Widened),
            ("int", "string", TypeChange::Changed),
            ("array<int>", "array<bigint>", TypeChange::Widened),
            ("struct<a:int>", "struct<a:int,b:int>", TypeChange::Changed),
        ] {
            let change = ColumnType::parse(before).change_to(&ColumnType::parse(after));
            assert_eq!(change, expected, "{before} -> {after}");
        }
    }

    #[test]
    fn nested_text_and_nested_lists_flatten_alike() {
        let text =
            Column { name: "a.b".into(), data_type: "array<struct<x:int,y:string>>".into(), ..Column::default() };
        let field = |name: &str, kind: &str| Column { name: name.into(), data_type: kind.into(), ..Column::default() };
        let element = Column { fields: vec![field("x", "int"), field("y", "string")], ..field("[]", "struct") };
        let nested = Column { fields: vec![element], ..field("a.b", "array") };
        let paths = |column: &Column| -> Vec<(String, String)> {
            flatten(std::slice::from_ref(column)).into_iter().map(|f| (f.path, f.kind.canonical())).collect()
        };
        assert_eq!(paths(&text), paths(&nested));
        let only: Vec<String> = paths(&text).into_iter().map(|(path, _)| path).collect();
        assert_eq!(only, ["a%2Eb", "a%2Eb.[]", "a%2Eb.[].x", "a%2Eb.[].y"]);
    }

    #[test]
    fn hostile_depth_is_kept_as_text() {
        let deep = "array<".repeat(500);
        assert!(matches!(ColumnType::parse(&deep), ColumnType::Plain { .. }));
    }
}
