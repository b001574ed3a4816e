//! From texts to checked descriptors: reading, finding imports, and the library's own checks.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use prost_reflect::{DescriptorError, DescriptorPool};
use prost_types::FileDescriptorProto;

use super::super::{ResolvedReference, SchemaError, Validation};
use super::{builtin, check, strict};

/// Deepest nesting of brackets in a text, messages and option values together.
const MAX_BRACKETS: usize = 64;
/// Most steps that the library may take through public imports. It walks on from files that it has seen already, so files
/// that import each other publicly in many ways multiply.
const MAX_PUBLIC_STEPS: usize = 200_000;
/// The name a schema's own file goes by in descriptors; the reference uses the same.
const OWN_NAME: &str = "default";

/// A file with everything it imports.
pub(super) struct Loaded {
    /// The imports, those of imports first, and the schema's own file last.
    pub(super) files: Vec<Source>,
    /// What the library made of them; absent when it refused, which only a strict judge minds.
    pub(super) pool: Option<DescriptorPool>,
}

/// One file.
pub(super) struct Source {
    /// The file as the library resolved it, or as it was read where it did not.
    pub(super) file: FileDescriptorProto,
    /// The same, encoded, with custom options.
    pub(super) bytes: Vec<u8>,
}

/// A file as read.
struct Parsed {
    file: FileDescriptorProto,
    /// The descriptor's bytes, where the text was base64: they keep options that `file` does not know.
    bytes: Option<Vec<u8>>,
}

/// Reads a schema and what it imports.
pub(super) fn load(
    text: &str,
    references: &[ResolvedReference],
    validation: Validation,
) -> Result<Loaded, SchemaError> {
    let mut known = HashMap::new();
    for reference in references {
        let parsed = read(&reference.name, &reference.schema).map_err(|source| because(&reference.name, source))?;
        known.insert(reference.name.as_str(), parsed);
    }
    let own = read(OWN_NAME, text)?;
    let mut finder = Finder { known, order: Vec::new(), done: HashSet::new(), missing: false, validation };
    finder.imports(&own.file, &mut vec![own.file.name().to_owned()])?;
    let Finder { mut order, missing, .. } = finder;
    if validation == Validation::Strict {
        strict::check(&own.file).map_err(|(path, why)| invalid(place(&own.file, &path), why))?;
    }
    let name = own.file.name().to_owned();
    order.push(own);
    let pool = if missing { None } else { build(&order, &name, validation)? };
    let files = order.into_iter().map(|parsed| source(parsed, pool.as_ref())).collect();
    Ok(Loaded { files, pool })
}

fn because(name: &str, source: SchemaError) -> SchemaError {
    SchemaError::Reference { name: name.to_owned(), source: Box::new(source) }
}

fn invalid(path: impl Into<String>, message: impl Into<String>) -> SchemaError {
    SchemaError::Invalid { path: path.into(), message: message.into() }
}

struct Finder<'a> {
    known: HashMap<&'a str, Parsed>,
    order: Vec<Parsed>,
    done: HashSet<String>,
    missing: bool,
    validation: Validation,
}

impl Finder<'_> {
    /// Puts a file's imports in `order`. `path` is the chain of imports that led here; no longer than the number of
    /// references, which is limited.
    fn imports(&mut self, file: &FileDescriptorProto, path: &mut Vec<String>) -> Result<(), SchemaError> {
        for (index, import) in file.dependency.iter().enumerate() {
            if path.contains(import) {
                let cycle = path.iter().chain([import]).map(String::as_str).collect::<Vec<_>>().join(" -> ");
                return Err(invalid(place(file, &[3, to_i32(index)]), format!("imports form a cycle: {cycle}")));
            }
            if self.done.contains(import) {
                continue;
            }
            let found = self.known.remove(import.as_str());
            let found = found.or_else(|| Some(Parsed { file: builtin::file(import)?, bytes: None }));
            let Some(parsed) = found else {
                if self.validation == Validation::Unresolved {
                    self.missing = true;
                    continue;
                }
                let message = format!("import '{import}' cannot be resolved; give a reference with this name");
                let error = invalid(place(file, &[3, to_i32(index)]), message);
                return Err(if file.name() == OWN_NAME { error } else { because(file.name(), error) });
            };
            path.push(import.clone());
            self.imports(&parsed.file, path)?;
            path.pop();
            self.done.insert(import.clone());
            self.order.push(parsed);
        }
        Ok(())
    }
}

fn to_i32(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

/// Gives all files to the library, which checks names, numbers and options. Files that only a strict judge would refuse
/// answer nothing.
fn build(files: &[Parsed], own: &str, validation: Validation) -> Result<Option<DescriptorPool>, SchemaError> {
    let mut pool = DescriptorPool::new();
    let mut public: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut steps = 0;
    for parsed in files {
        let passed_on = passed_on(&parsed.file, &public);
        let missed: Vec<&str> = passed_on.iter().copied().filter(|path| !imports(&parsed.file, path)).collect();
        let mut seen = HashSet::new();
        let mut imported = parsed.file.dependency.iter().map(String::as_str).chain(missed.iter().copied());
        if imported.any(|path| is_entangled(path, &public, &mut seen, &mut steps)) {
            return match validation {
                Validation::Strict => {
                    Err(SchemaError::TooLarge { limit: MAX_PUBLIC_STEPS, unit: "steps through public imports" })
                }
                _ => Ok(None),
            };
        }
        let added = guarded(|| match &parsed.bytes {
            Some(bytes) if missed.is_empty() || parsed.file.name() == own => {
                pool.decode_file_descriptor_proto(bytes.as_slice())
            }
            _ => {
                // Errors would search the places one by one; `place` finds the one that is needed.
                let mut file = FileDescriptorProto { source_code_info: None, ..parsed.file.clone() };
                if file.name() != own {
                    // The library follows public imports one step only; imported files get the further ones as theirs.
                    for path in missed {
                        file.public_dependency.push(to_i32(file.dependency.len()));
                        file.dependency.push(path.to_owned());
                    }
                }
                pool.add_file_descriptor_proto(file)
            }
        });
        public.insert(parsed.file.name(), passed_on);
        let error = match added {
            Some(Ok(())) => continue,
            _ if validation != Validation::Strict => return Ok(None),
            Some(Err(error)) => describe(&error, &parsed.file),
            None => invalid("", "file is beyond what the parser understands"),
        };
        return Err(if parsed.file.name() == own { error } else { because(parsed.file.name(), error) });
    }
    Ok(Some(pool))
}

/// Walks public imports as the library does, and answers whether that takes too many steps.
fn is_entangled<'a>(
    path: &'a str,
    public: &HashMap<&str, Vec<&'a str>>,
    seen: &mut HashSet<&'a str>,
    steps: &mut usize,
) -> bool {
    seen.insert(path);
    public.get(path).into_iter().flatten().copied().any(|next| {
        *steps += 1;
        *steps > MAX_PUBLIC_STEPS || !seen.insert(next) && is_entangled(next, public, seen, steps)
    })
}

fn imports(file: &FileDescriptorProto, path: &str) -> bool {
    file.dependency.iter().any(|import| import == path)
}

/// What a file imports publicly, directly or through such imports, for which `public` has the answer already.
fn passed_on<'a>(file: &'a FileDescriptorProto, public: &HashMap<&str, Vec<&'a str>>) -> Vec<&'a str> {
    let direct = file.public_dependency.iter().filter_map(|index| file.dependency.get(usize::try_from(*index).ok()?));
    let mut seen = HashSet::new();
    let all = direct.flat_map(|path| {
        let further = public.get(path.as_str()).into_iter().flatten().copied();
        further.chain([path.as_str()])
    });
    all.filter(|path| seen.insert(*path)).collect()
}

/// Runs the library's code, which holds panics for what it takes to be impossible. All known ways there are barred by
/// [`check`]; this is for the unknown ones.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

fn describe(error: &DescriptorError, file: &FileDescriptorProto) -> SchemaError {
    let path = error.path().map_or_else(String::new, |path| place(file, path));
    invalid(path, error.to_string())
}

fn source(parsed: Parsed, pool: Option<&DescriptorPool>) -> Source {
    let resolved = pool.and_then(|pool| pool.get_file_by_name(parsed.file.name()));
    match resolved {
        Some(file) => Source { bytes: file.encode_to_vec(), file: file.file_descriptor_proto().clone() },
        None => {
            let file = FileDescriptorProto { source_code_info: None, ..parsed.file };
            Source { bytes: parsed.bytes.unwrap_or_else(|| file.encode_to_vec()), file }
        }
    }
}

/// Line and column of a part of a file that was read from text; empty if unknown.
fn place(file: &FileDescriptorProto, path: &[i32]) -> String {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let nearest =
        locations.filter(|location| path.starts_with(&location.path)).max_by_key(|location| location.path.len());
    match nearest.map(|location| location.span.as_slice()) {
        Some([line, column, ..]) => format!("{}:{}", line.saturating_add(1), column.saturating_add(1)),
        _ => String::new(),
    }
}

/// Reads one file, from its text or from base64 of its descriptor.
fn read(name: &str, text: &str) -> Result<Parsed, SchemaError> {
    let (mut file, bytes) = match decode(text) {
        Some((mut file, bytes)) => {
            // The pool knows files by the name they are imported under.
            file.name = Some(name.to_owned());
            file.source_code_info = None;
            (file, Some(bytes))
        }
        None => (parse_text(name, text)?, None),
    };
    let from_text = bytes.is_none();
    check::check(&mut file, from_text).map_err(|(thing, why)| {
        let message = if thing.is_empty() { why } else { format!("{why}: '{thing}'") };
        invalid("", message)
    })?;
    let bytes = bytes.and_then(|bytes| rename(&bytes, name));
    Ok(Parsed { file, bytes })
}

fn parse_text(name: &str, text: &str) -> Result<FileDescriptorProto, SchemaError> {
    check_brackets(text)?;
    protox_parse::parse(name, text).map_err(|error| {
        let path = error.span().map_or_else(String::new, |span| line_and_column(text, span.start));
        invalid(path, error.to_string())
    })
}

/// A descriptor and its bytes, if the text is base64 of one. No .proto file but the empty one is made of these letters.
fn decode(text: &str) -> Option<(FileDescriptorProto, Vec<u8>)> {
    let text = text.trim();
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\n' | b'\r');
    if text.is_empty() || !text.bytes().all(is_base64) {
        return None;
    }
    let text: Cow<'_, str> =
        if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], "").into() } else { text.into() };
    let bytes = STANDARD.decode(text.as_bytes()).ok()?;
    let file = FileDescriptorProto::decode(bytes.as_slice()).ok()?;
    Some((file, bytes))
}

/// The bytes of a descriptor with another name and without places in the text. All else stays, known or not.
fn rename(bytes: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut message = super::options::reread(bytes, None)?;
    message.clear_field_by_name("source_code_info");
    message.try_set_field_by_name("name", prost_reflect::Value::String(name.to_owned())).ok()?;
    Some(message.encode_to_vec())
}

/// Refuses text that nests too deep, before it is given to parsers that recurse. Brackets in comments and strings do
/// not count. In an option's value, and only there, `#` begins a comment, too: the text has to pass both readings.
fn check_brackets(text: &str) -> Result<(), SchemaError> {
    brackets_within(text, false)?;
    if text.contains('#') { brackets_within(text, true) } else { Ok(()) }
}

fn brackets_within(text: &str, hash_comments: bool) -> Result<(), SchemaError> {
    let mut depth = 0_usize;
    let mut letters = text.bytes().enumerate().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            b'{' | b'[' | b'<' | b'(' => depth += 1,
            b'}' | b']' | b'>' | b')' => depth = depth.saturating_sub(1),
            quote @ (b'"' | b'\'') => {
                while let Some((_, letter)) = letters.next_if(|(_, letter)| *letter != b'\n') {
                    if letter == quote {
                        break;
                    }
                    if letter == b'\\' {
                        letters.next_if(|(_, letter)| *letter != b'\n');
                    }
                }
            }
            b'#' if hash_comments => while letters.next_if(|(_, letter)| *letter != b'\n').is_some() {},
            b'/' if letters.next_if(|(_, next)| *next == b'/').is_some() => {
                while letters.next_if(|(_, letter)| *letter != b'\n').is_some() {}
            }
            b'/' if letters.next_if(|(_, next)| *next == b'*').is_some() => {
                while let Some((_, letter)) = letters.next() {
                    if letter == b'*' && letters.next_if(|(_, next)| *next == b'/').is_some() {
                        break;
                    }
                }
            }
            _ => {}
        }
        if depth > MAX_BRACKETS {
            let message = format!("brackets are nested more than {MAX_BRACKETS} deep");
            return Err(invalid(line_and_column(text, at), message));
        }
    }
    Ok(())
}

fn line_and_column(text: &str, at: usize) -> String {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(before.get(start..).unwrap_or_default()).chars().count() + 1;
    format!("{line}:{column}")
}
