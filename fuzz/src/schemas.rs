//! What must be true of every schema, whatever its language.

use std::sync::Arc;

use tributary::schema::{
    self, EntityTags, Level, ParsedSchema, ResolvedReference, SchemaError, SchemaType, Validation, compat,
};

/// Separates the texts of one input: no text in UTF-8 has this byte.
pub const SEPARATOR: u8 = 0xff;

/// All levels of compatibility.
pub const LEVELS: [Level; 7] = [
    Level::None,
    Level::Backward,
    Level::BackwardTransitive,
    Level::Forward,
    Level::ForwardTransitive,
    Level::Full,
    Level::FullTransitive,
];

/// The texts of an input; what is not UTF-8 is left out.
pub fn texts(input: &[u8]) -> Vec<&str> {
    input.split(|byte| *byte == SEPARATOR).filter_map(|part| std::str::from_utf8(part).ok()).collect()
}

/// Texts as references: `a.json`, `b.json`, …; those that others refer to come first.
pub fn references(schema_type: SchemaType, texts: &[&str]) -> Vec<ResolvedReference> {
    let ending = match schema_type {
        SchemaType::Avro => "avsc",
        SchemaType::Json => "json",
        SchemaType::Protobuf => "proto",
    };
    let named = texts.iter().zip('a'..='z');
    named
        .map(|(text, name)| ResolvedReference { name: format!("{name}.{ending}"), schema: (*text).to_owned() })
        .collect()
}

/// The first text with the others as its references, judged in every way.
pub fn check(schema_type: SchemaType, input: &[u8]) {
    let texts = texts(input);
    let Some((text, others)) = texts.split_first() else { return };
    let references = references(schema_type, others);
    let parse = |text: &str, validation| parse(schema_type, text, &references, validation);
    let strict = parse(text, Validation::Strict);
    let lenient = parse(text, Validation::Lenient);
    let unresolved = parse(text, Validation::Unresolved);
    if let Some(strict) = &strict {
        let lenient = lenient.as_ref().expect("what a strict judge takes, a lenient one does");
        assert_eq!(strict.canonical(), lenient.canonical());
        let again = parse(strict.canonical(), Validation::Strict).expect("a new schema's canonical text is one");
        assert_eq!(strict.canonical(), again.canonical());
        if let Some(descriptor) = strict.serialized() {
            let read = parse(&descriptor, Validation::Lenient).expect("a new schema's descriptor is readable");
            assert_eq!(strict.canonical(), read.canonical(), "the descriptor says what the text says");
        }
    }
    if lenient.is_some() {
        assert!(unresolved.is_some(), "what a lenient judge takes passes unresolved");
    }
    if let Some(unresolved) = unresolved {
        read_all(&*unresolved);
        let again = parse(unresolved.canonical(), Validation::Unresolved).expect("a canonical text is readable");
        assert_eq!(unresolved.canonical(), again.canonical());
    }
    if let Some(lenient) = lenient {
        check_parsed(&lenient, &parse);
    }
}

type Parsed = Arc<dyn ParsedSchema>;

fn parse(
    schema_type: SchemaType,
    text: &str,
    references: &[ResolvedReference],
    validation: Validation,
) -> Option<Parsed> {
    match schema::parse(schema_type, text, references, validation) {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

fn check_parsed(schema: &Parsed, parse: &impl Fn(&str, Validation) -> Option<Parsed>) {
    read_all(&**schema);
    let readable = |text: &str, what: &str| {
        parse(text, Validation::Lenient).unwrap_or_else(|| panic!("the {what} text is readable: {text}"))
    };
    let again = readable(schema.canonical(), "canonical");
    assert_eq!(schema.canonical(), again.canonical(), "the canonical text is its own");
    let normalized = readable(&schema.normalized(), "normalised");
    assert_eq!(schema.normalized(), normalized.normalized(), "normalising twice is normalising once");
    if schema.schema_type() == SchemaType::Avro {
        // All that was referred to is written out: it stands alone.
        schema::parse(SchemaType::Avro, &schema.resolved(), &[], Validation::Lenient).expect("it is resolved");
    } else {
        readable(&schema.resolved(), "resolved");
    }
    for same in [schema, &again, &normalized] {
        for level in LEVELS {
            let found = compat::check_pair(&**schema, &**same, level);
            assert!(found.is_empty(), "a schema is compatible with itself: {found:?}");
        }
    }
    check_tags(&**schema, &readable);
}

/// Asks a schema all that it answers by itself.
fn read_all(schema: &dyn ParsedSchema) {
    schema.name();
    schema.normalized();
    schema.resolved();
    schema.serialized();
    schema.field_names();
    schema.tagged_entities();
}

/// Tags that are there can be set again, which changes nothing, and taken away.
fn check_tags(schema: &dyn ParsedSchema, readable: &impl Fn(&str, &str) -> Parsed) {
    let tagged: Vec<EntityTags> = schema.tagged_entities();
    match schema.tagged(&tagged, &[]) {
        Ok(text) => assert_eq!(schema.canonical(), readable(&text, "tagged").canonical()),
        Err(error) => assert!(matches!(error, SchemaError::NoTags(_)), "tags are on parts that are there: {error}"),
    }
    if let Ok(text) = schema.tagged(&[], &tagged) {
        assert_eq!(readable(&text, "untagged").tagged_entities(), []);
    }
}

/// Two schemas of a language, compared at all levels.
pub fn compare(schema_type: SchemaType, new: &str, old: &str, references: &[ResolvedReference]) {
    let parse = |text: &str| parse(schema_type, text, references, Validation::Lenient);
    let (Some(new), Some(old)) = (parse(new), parse(old)) else { return };
    let found = |level| compat::check_pair(&*new, &*old, level);
    let (backward, forward) = (found(Level::Backward), found(Level::Forward));
    assert_eq!(found(Level::None), []);
    assert_eq!(found(Level::BackwardTransitive), backward);
    assert_eq!(found(Level::ForwardTransitive), forward);
    assert_eq!(found(Level::Full), [backward.clone(), forward.clone()].concat(), "full is both directions");
    assert_eq!(found(Level::FullTransitive), [backward.clone(), forward.clone()].concat());
    let turned = compat::check_pair(&*old, &*new, Level::Forward);
    let told = |found: &[(schema::Direction, schema::Incompatibility)]| -> Vec<schema::Incompatibility> {
        found.iter().map(|(_, incompatibility)| incompatibility.clone()).collect()
    };
    assert_eq!(told(&backward), told(&turned), "backward is forward from the other side");
    if new.canonical() == old.canonical() {
        assert_eq!(backward, []);
        assert_eq!(forward, []);
    }
    for level in LEVELS {
        let messages = compat::check_version(&*new, 1, &*old, level, false);
        assert_eq!(messages.is_empty(), found(level).is_empty());
        assert!(messages.iter().all(|message| !message.is_empty()));
    }
}
