//! `tributary schema`: a registry's subjects and versions, whoever runs it. Speaks REST only, so that what it shows is
//! what any client sees.

mod change;
mod check;
mod diff;
mod dump;
mod entry;
mod export;
mod import;
mod lines;
mod order;
mod plan;
mod pretty;
mod show;
mod source;

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::SettingFlags;
use super::context::load_config;
use super::exit::{Because, Failure, Reason};
use super::registry::{client_tls, login};
use crate::config::{Config, value};
use crate::registry::client::Login;
use crate::registry::rest::{RestClient, RestError};
use crate::registry::tls::Trust;
use crate::registry::types::VersionSpec;

const HOW_TO_SET: &str = "name the registry with --url URL, SCHEMA_REGISTRY_URL or schema_registry.url; without them it \
is our own, at registry.advertised_url or registry.listen";

/// Which registry, and what to do there.
#[derive(Debug, Args)]
#[command(after_help = "The registry: --url; else schema_registry.url (SCHEMA_REGISTRY_URL) with the login of \
                  schema_registry.username\nand schema_registry.password; else our own at registry.advertised_url or \
                  registry.listen. Another registry at --url gets\nthe login with --login only.\n\n\
                  Examples: tributary schema list --url http://registry:8081\n          \
                  tributary schema check orders-value order.avsc && tributary schema register orders-value order.avsc\n          \
                  tributary schema export all.jsonl && tributary schema import all.jsonl --url http://other:8081")]
pub struct SchemaArgs {
    /// The registry's URL; several are separated by commas
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// Send the login of schema_registry.username to --url, too
    #[arg(long, global = true)]
    login: bool,
    /// Send the bearer token in this file
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "login")]
    token_file: Option<PathBuf>,
    /// Authorities that the registry's certificate may be of, in PEM
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Our certificate, in PEM
    #[arg(long, global = true, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Our certificate's private key, in PEM
    #[arg(long, global = true, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    #[command(subcommand)]
    command: SchemaCommand,
}

#[derive(Debug, Subcommand)]
enum SchemaCommand {
    /// Register a schema as a subject's next version, or find the version that it is
    Register(change::RegisterArgs),
    /// Print a schema by subject and version, or by id
    Get(show::GetArgs),
    /// List subjects with their latest version, its id and type
    List(show::ListArgs),
    /// Check a schema against a subject's versions: exit code 0 compatible, 1 not compatible, 2 could not check
    Check(check::CheckArgs),
    /// Show what changed between two versions or files, and who reads whose data
    Diff(diff::DiffArgs),
    /// Write the registry's schemas and settings as JSON Lines
    Export(export::ExportArgs),
    /// Bring an export into a registry, ids and versions included
    Import(import::ImportArgs),
    /// Delete a subject or one of its versions
    Delete(change::DeleteArgs),
}

pub(super) fn run(flags: &SettingFlags, args: &SchemaArgs) -> Result<(), Failure> {
    let client = || connect(flags, args);
    match &args.command {
        SchemaCommand::Register(args) => change::register(&client()?, args),
        SchemaCommand::Get(args) => show::get(&client()?, args),
        SchemaCommand::List(args) => show::list(&client()?, args),
        SchemaCommand::Check(args) => check::run(client, args),
        SchemaCommand::Diff(args) => diff::run(&client()?, args),
        SchemaCommand::Export(args) => export::run(&client()?, args),
        SchemaCommand::Import(args) => import::run(&client()?, args),
        SchemaCommand::Delete(args) => change::delete(&client()?, args),
    }
}

fn connect(flags: &SettingFlags, args: &SchemaArgs) -> Result<RestClient, Failure> {
    let config = load_config(flags, &[])?.config;
    let given = args.url.as_deref().map(|text| {
        let problem = |why: String| anyhow!("--url: {why}");
        text.split(',').try_for_each(|url| value::http_url(url.trim()).map(drop)).map_err(problem)?;
        Ok::<_, anyhow::Error>(text.to_owned())
    });
    let given = given.transpose().because(Reason::Usage)?;
    let configured = config.schema_registry.url.clone();
    let (urls, login) = match given.or_else(|| configured.clone()) {
        Some(urls) if args.login || Some(&urls) == configured.as_ref() => (urls, login(&config)?),
        Some(urls) => (urls, None),
        // The login is for a registry that others run, unless it is said to be for ours.
        None => (own_url(&config), if args.login { login(&config)? } else { None }),
    };
    let login = args.token_file.as_deref().map(token).transpose()?.or(login);
    let mut tls = client_tls(&config);
    if let Some(authorities) = &args.ca {
        tls.trust = Trust::File(authorities.clone());
    }
    if let (Some(certificate), Some(key)) = (&args.cert, &args.key) {
        tls.identity = Some((certificate.clone(), key.clone()));
    }
    RestClient::new(&urls, login, &tls).answered()
}

fn token(path: &Path) -> Result<Login, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| anyhow!("--token-file {}: {error}", path.display()));
    let text = text.because(Reason::Usage)?;
    match text.trim() {
        "" => Err(anyhow!("--token-file {}: it is empty", path.display())).because(Reason::Usage),
        token => Ok(Login::Token(SecretString::from(token))),
    }
}

/// Where our own registry is reached from this machine.
fn own_url(config: &Config) -> String {
    let registry = &config.registry;
    let scheme = if registry.tls.is_some() { "https" } else { "http" };
    registry.advertised_url.clone().unwrap_or_else(|| format!("{scheme}://{}", reachable(&registry.listen)))
}

/// "All addresses" is none to connect to.
fn reachable(listen: &str) -> String {
    match listen.rsplit_once(':') {
        Some(("0.0.0.0" | "", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => listen.to_owned(),
    }
}

/// Ends a command by what a registry answered.
trait Answered<T> {
    /// Says what is to be done about it.
    fn answered(self) -> Result<T, Failure>;
}

impl<T> Answered<T> for Result<T, RestError> {
    fn answered(self) -> Result<T, Failure> {
        let Err(error) = self else { return self.because(Reason::Internal) };
        let reason = reason_of(&error);
        let error = match &error {
            RestError::Unreachable { .. } => {
                let said = format!("{error}; {HOW_TO_SET}");
                anyhow!(error).context(said)
            }
            RestError::Refused { status: 404 | 405, code: 404 | 405, .. } | RestError::Foreign { .. } => {
                let said = format!("{error}; is this a schema registry's URL? {HOW_TO_SET}");
                anyhow!(error).context(said)
            }
            RestError::Refused { status: 401 | 403, .. } => {
                let said = format!(
                    "{error}; log in with --login (schema_registry.username, schema_registry.token), --token-file or --cert"
                );
                anyhow!(error).context(said)
            }
            _ => anyhow!(error),
        };
        Err(Failure { reason, error })
    }
}

fn reason_of(error: &RestError) -> Reason {
    match error {
        RestError::Unreachable { .. } => Reason::Unavailable,
        RestError::Address { .. } | RestError::Foreign { .. } => Reason::Configuration,
        RestError::Refused { status: 401 | 403, .. } | RestError::Refused { code: 404 | 405, .. } => {
            Reason::Configuration
        }
        RestError::Refused { status: 409, .. } => Reason::Negative,
        RestError::Refused { status: 408 | 429 | 500.., .. } => Reason::Temporary,
        RestError::Refused { .. } => Reason::Usage,
    }
}

/// An answer in the shape it should have.
fn read<T: DeserializeOwned>(answer: Value, what: &str) -> Result<T, Failure> {
    serde_json::from_value(answer)
        .map_err(|error| anyhow!("the schema registry's answer to {what} cannot be read: {error}"))
        .because(Reason::Configuration)
}

/// Writes a line to standard output; a reader that has gone away, such as `head`, is no failure worth a panic.
fn say(line: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}")
        .map_err(|error| anyhow!("standard output: {error}"))
        .because(Reason::Temporary)
}

/// A subject as an argument.
fn subject(text: &str) -> Result<String, String> {
    match crate::registry::types::Subject::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A version as an argument.
fn version(text: &str) -> Result<String, String> {
    match text.parse::<VersionSpec>() {
        Ok(VersionSpec::Latest) => Ok("latest".to_owned()),
        Ok(VersionSpec::Number(number)) => Ok(number.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_this_machine() {
        for (listen, reached) in [
            ("0.0.0.0:8081", "127.0.0.1:8081"),
            (":8081", "127.0.0.1:8081"),
            ("[::]:8081", "[::1]:8081"),
            ("127.0.0.1:9", "127.0.0.1:9"),
            ("registry:8081", "registry:8081"),
        ] {
            assert_eq!(reachable(listen), reached);
        }
    }

    #[test]
    fn refusals_have_their_exit_codes() {
        let refused = |status: u16, code: u32| {
            reason_of(&RestError::Refused { status, code, message: String::new(), call: String::new() }).code()
        };
        assert_eq!(refused(409, 40901), 1);
        assert_eq!(refused(404, 40401), 64);
        assert_eq!(refused(422, 42201), 64);
        assert_eq!(refused(404, 404), 78);
        assert_eq!(refused(401, 40101), 78);
        assert_eq!(refused(429, 429), 75);
        assert_eq!(refused(500, 50001), 75);
    }

    #[test]
    fn versions_are_numbers_or_the_latest() {
        assert_eq!(version("7").as_deref(), Ok("7"));
        assert_eq!(version("LATEST").as_deref(), Ok("latest"));
        assert!(version("0").is_err() && version("two").is_err());
        assert!(subject("").is_err() && subject("a\nb").is_err());
        assert_eq!(subject(":.c:a/b").as_deref(), Ok(":.c:a/b"));
    }
}
