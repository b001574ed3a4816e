//! The access file: principals in TOML. Every error names the line, and none shows a hash.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::certificate::CertificateRule;
use super::{ANONYMOUS, Access, Entry, Operation, Permission, Prefix, Principal, password};

/// Longest name of a principal.
const MAX_NAME: usize = 200;

/// Why there is no access control to go by.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The file cannot be read.
    #[error("cannot read the access file {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The file is wrong; everything that is is listed.
    #[error("the access file is wrong:{}", .problems.iter().map(|problem| format!("\n  {problem}")).collect::<String>())]
    Wrong {
        /// Places and what is wrong there.
        problems: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    principals: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Spanned<String>,
    password: Option<Spanned<String>>,
    #[serde(default)]
    tokens: Vec<Spanned<String>>,
    #[serde(default)]
    certificates: Vec<Spanned<String>>,
    #[serde(default)]
    permissions: Vec<WrittenPermission>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPermission {
    prefix: Spanned<String>,
    allow: Vec<Spanned<String>>,
}

/// Reads the access file.
///
/// # Errors
/// It cannot be read, or it is wrong.
pub fn read(path: &Path) -> Result<Access, AccessError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| AccessError::Unreadable { path: path.to_owned(), source })?;
    parse(path, &text)
}

/// Understands the text of an access file.
///
/// # Errors
/// It is wrong.
pub fn parse(path: &Path, text: &str) -> Result<Access, AccessError> {
    let line = |offset: usize| text.get(..offset).unwrap_or(text).matches('\n').count() + 1;
    let place = |offset: usize, message: &str| format!("{}:{}: {message}", path.display(), line(offset));
    let file: File = toml::from_str(text).map_err(|error| {
        // Not the error's own picture of the line: it could show a hash.
        let offset = error.span().map_or(0, |span| span.start);
        AccessError::Wrong { problems: vec![place(offset, error.message())] }
    })?;
    let mut problems = Vec::new();
    let mut entries = Vec::new();
    let mut names = BTreeSet::new();
    let mut proofs = BTreeSet::new();
    for written in file.principals {
        let mut complain = |at: usize, message: String| problems.push(place(at, &message));
        let name = written.name.get_ref().clone();
        let at = written.name.span().start;
        check_name(&name).unwrap_or_else(|message| complain(at, message));
        if !names.insert(name.clone()) {
            complain(at, format!("principal {name:?} is listed twice"));
        }
        let proves = written.password.is_some() || !written.tokens.is_empty() || !written.certificates.is_empty();
        match (name == ANONYMOUS, proves) {
            (true, true) => complain(at, format!("{ANONYMOUS} is who brings no credentials, so it has none")),
            (false, false) => complain(at, format!("principal {name:?} has no password, token or certificate")),
            _ => {}
        }
        if let Some(hash) = &written.password
            && let Err(message) = password::check_hash(hash.get_ref())
        {
            complain(hash.span().start, format!("password of {name:?}: {message}"));
        }
        let mut tokens = Vec::new();
        for token in &written.tokens {
            match password::parse_digest(token.get_ref()) {
                Ok(digest) if proofs.insert(token.get_ref().to_ascii_lowercase()) => tokens.push(digest),
                Ok(_) => complain(token.span().start, format!("a token of {name:?} is listed twice")),
                Err(message) => complain(token.span().start, format!("a token of {name:?}: {message}")),
            }
        }
        let mut certificates = Vec::new();
        for text in &written.certificates {
            match CertificateRule::parse(text.get_ref()) {
                Ok(rule) if proofs.insert(text.get_ref().clone()) => certificates.push(rule),
                Ok(_) => complain(text.span().start, format!("certificate {:?} is listed twice", text.get_ref())),
                Err(message) => complain(text.span().start, message),
            }
        }
        let permissions = permissions(&written.permissions, &mut complain);
        let principal = Arc::new(Principal { name, permissions });
        let password = written.password.map(Spanned::into_inner);
        entries.push(Entry { principal, password, tokens, certificates });
    }
    if problems.is_empty() { Ok(Access::of(entries)) } else { Err(AccessError::Wrong { problems }) }
}

fn permissions(written: &[WrittenPermission], complain: &mut impl FnMut(usize, String)) -> Vec<Permission> {
    let mut permissions = Vec::new();
    for WrittenPermission { prefix, allow } in written {
        let mut operations = Vec::new();
        for word in allow {
            match Operation::ALL.into_iter().find(|operation| operation.word() == word.get_ref()) {
                Some(operation) => operations.push(operation),
                None => {
                    let words = Operation::ALL.map(Operation::word).join(", ");
                    complain(word.span().start, format!("{:?} is none of {words}", word.get_ref()));
                }
            }
        }
        match Prefix::parse(prefix.get_ref()) {
            Ok(prefix) => permissions.push(Permission { prefix, operations }),
            Err(message) => complain(prefix.span().start, message),
        }
    }
    permissions
}

/// Names travel in headers between nodes and stand in logs; basic authentication ends a name at its colon.
fn check_name(name: &str) -> Result<(), String> {
    let is_fit =
        (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    if is_fit {
        return Ok(());
    }
    Err(format!(
        "{name:?} is no name of a principal: 1 to {MAX_NAME} letters, digits and signs without spaces and colons"
    ))
}
