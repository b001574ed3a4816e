//! A registry as its users see it: the one in this process, or another over REST. Knows no rules of its own; the only
//! module that names the client crate.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_all_versions, get_schema_by_id, get_schema_by_subject_and_version, is_compatible_schema,
    post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{
    RawError, RegisteredSchema, SchemaType as RestType, SuppliedReference, SuppliedSchema,
};
use secrecy::{ExposeSecret, SecretString};

use super::decide::{self, Command, RegisterRequest, Reply};
use super::error::RegistryError;
use super::handle::RegistryHandle;
use super::log::{LogError, reason};
use super::query;
use super::snapshot::{Deleted, Snapshot};
use super::tls::{ClientTls, TlsError};
use super::types::{SchemaReference, SchemaVersion, Subject, VersionSpec};
use crate::schema::{MAX_REFERENCES, ResolvedReference, SchemaType};

/// How long one REST call may take.
const REST_TIMEOUT: Duration = Duration::from_secs(10);

/// What a registry answered, sorted by what the asker can do about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// It does not exist; the registry has read its topic to the end before it said so. Poison.
    #[error("not in the schema registry: {0}")]
    NotFound(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The registry cannot be asked now. Transient.
    #[error("the schema registry does not answer: {0}")]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The registry refuses: an invalid or incompatible schema, a read-only subject, missing permission.
    #[error("the schema registry refuses: {0}")]
    Invalid(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

/// A schema as a registry holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSchema {
    /// Its id.
    pub id: i32,
    /// Its version in the subject asked for, where one was.
    pub version: Option<i32>,
    /// Language.
    pub schema_type: SchemaType,
    /// Text.
    pub schema: String,
    /// Its references with their texts, those referred to first.
    pub references: Vec<ResolvedReference>,
    /// Its references as written.
    pub written_references: Vec<SchemaReference>,
}

/// Access to a registry. Clones share it.
#[derive(Clone)]
pub enum RegistryClient {
    /// The registry of this process.
    InProcess(RegistryHandle),
    /// Another process's registry.
    Rest(RestRegistry),
}

impl RegistryClient {
    /// The schema with an id of the default context.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn schema_by_id(&self, id: i32) -> Result<FoundSchema, ClientError> {
        match self {
            Self::InProcess(registry) => {
                Ok(registry.read(|snapshot| found(snapshot, query::by_id(snapshot, id, None, |_| true)?)).await?)
            }
            Self::Rest(rest) => {
                let unsigned =
                    u32::try_from(id).map_err(|_| ClientError::NotFound(reason(format!("schema id {id}"))))?;
                rest.received(get_schema_by_id(unsigned, &rest.settings).await?).await
            }
        }
    }

    /// The latest version of a subject.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn latest(&self, subject: &str) -> Result<FoundSchema, ClientError> {
        match self {
            Self::InProcess(registry) => Ok(registry
                .read(|snapshot| {
                    let subject = Subject::parse(subject)?;
                    found(snapshot, snapshot.version(&subject, VersionSpec::Latest, Deleted::Hidden)?)
                })
                .await?),
            Self::Rest(rest) => {
                rest.received(get_schema_by_subject_and_version(&rest.settings, &escaped(subject), None).await?).await
            }
        }
    }

    /// The live versions of a subject, oldest first, as they are now: the registry's topic is read to its end. None for
    /// a subject that does not exist.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn versions(&self, subject: &str) -> Result<Vec<FoundSchema>, ClientError> {
        match self {
            Self::InProcess(registry) => {
                registry.refresh().await?;
                let subject = Subject::parse(subject)?;
                let live = |snapshot: &Snapshot| {
                    snapshot.live(&subject).map(|version| found(snapshot, version)).collect::<Result<_, _>>()
                };
                Ok(registry.read(live).await?)
            }
            Self::Rest(rest) => {
                let numbers = match get_all_versions(&rest.settings, escaped(subject)).await.map_err(ClientError::from)
                {
                    Err(ClientError::NotFound(_)) => return Ok(Vec::new()),
                    outcome => outcome?,
                };
                let mut versions = Vec::new();
                for number in numbers {
                    let version =
                        get_schema_by_subject_and_version(&rest.settings, &escaped(subject), Some(number)).await?;
                    versions.push(rest.received(version).await?);
                }
                Ok(versions)
            }
        }
    }

    /// Registers an AVRO schema, or finds it registered; answers its id.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn register(&self, subject: &str, schema: &str) -> Result<i32, ClientError> {
        match self {
            Self::InProcess(registry) => {
                let subject = Subject::parse(subject)?;
                let request = RegisterRequest { schema: schema.to_owned(), ..RegisterRequest::default() };
                match registry.write(Command::Register { subject, request: Box::new(request) }).await? {
                    Reply::Registered { id, .. } => Ok(id),
                    other => Err(ClientError::Invalid(reason(format!("unexpected reply {other:?}")))),
                }
            }
            Self::Rest(rest) => {
                let registered = post_schema(&rest.settings, escaped(subject), supplied(schema)).await?;
                signed(registered.id)
            }
        }
    }

    /// Whether a new AVRO schema is compatible with a subject's versions, as its level asks; a subject without versions
    /// takes all.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn is_compatible(&self, subject: &str, schema: &str) -> Result<bool, ClientError> {
        match self {
            Self::InProcess(registry) => Ok(registry
                .read(|snapshot| {
                    let request = RegisterRequest { schema: schema.to_owned(), ..RegisterRequest::default() };
                    let messages = decide::check_compatibility(snapshot, &Subject::parse(subject)?, None, &request)?;
                    Ok(messages.is_empty())
                })
                .await?),
            Self::Rest(rest) => Ok(is_compatible_schema(&rest.settings, escaped(subject), supplied(schema)).await?),
        }
    }

    /// As [`Self::schema_by_id`], for threads outside an asynchronous runtime.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn schema_by_id_blocking(&self, id: i32) -> Result<FoundSchema, ClientError> {
        self.block_on(self.schema_by_id(id))
    }

    /// As [`Self::latest`], for threads outside an asynchronous runtime.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn latest_blocking(&self, subject: &str) -> Result<FoundSchema, ClientError> {
        self.block_on(self.latest(subject))
    }

    /// As [`Self::versions`], for threads outside an asynchronous runtime.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn versions_blocking(&self, subject: &str) -> Result<Vec<FoundSchema>, ClientError> {
        self.block_on(self.versions(subject))
    }

    /// As [`Self::register`], for threads outside an asynchronous runtime.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn register_blocking(&self, subject: &str, schema: &str) -> Result<i32, ClientError> {
        self.block_on(self.register(subject, schema))
    }

    /// As [`Self::is_compatible`], for threads outside an asynchronous runtime.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn is_compatible_blocking(&self, subject: &str, schema: &str) -> Result<bool, ClientError> {
        self.block_on(self.is_compatible(subject, schema))
    }

    /// Runs to the end on this thread. Calls are rare (schemas are cached by their users), so a runtime for each is cheap
    /// enough and leaves nothing behind.
    fn block_on<T>(&self, call: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| ClientError::Unavailable(Arc::new(error)))?.block_on(call)
    }
}

/// A registry over REST.
#[derive(Clone)]
pub struct RestRegistry {
    settings: Arc<SrSettings>,
}

/// Who we are to a registry.
#[derive(Debug, Clone)]
pub enum Login {
    /// HTTP basic authentication.
    Basic {
        /// Name, or API key.
        username: String,
        /// Password, or API secret.
        password: Option<SecretString>,
    },
    /// A bearer token.
    Token(SecretString),
}

impl RestRegistry {
    /// The registry at one or several URLs, separated by commas and tried in order.
    ///
    /// # Errors
    /// No URL is given, or the HTTP client cannot be made.
    pub fn new(urls: &str, login: Option<&Login>, tls: &ClientTls) -> Result<Self, ClientError> {
        let urls: Vec<String> = urls
            .split(',')
            .map(|url| url.trim().trim_end_matches('/').to_owned())
            .filter(|url| !url.is_empty())
            .collect();
        let client = tls.for_urls(urls.iter().map(String::as_str)).client().map_err(reason_of)?;
        let mut urls = urls.into_iter();
        let first = urls.next().ok_or_else(|| ClientError::Invalid(reason("no schema registry URL is given")))?;
        let mut builder = SrSettings::new_builder(first);
        for url in urls {
            builder.add_url(url);
        }
        match login {
            Some(Login::Basic { username, password }) => {
                builder.set_basic_authorization(username, password.as_ref().map(ExposeSecret::expose_secret));
            }
            Some(Login::Token(token)) => {
                builder.set_token_authorization(token.expose_secret());
            }
            None => {}
        }
        builder.set_timeout(REST_TIMEOUT);
        Ok(Self { settings: Arc::new(builder.build_with(client)?) })
    }

    async fn received(&self, schema: RegisteredSchema) -> Result<FoundSchema, ClientError> {
        let schema_type = match &schema.schema_type {
            RestType::Avro => SchemaType::Avro,
            RestType::Json => SchemaType::Json,
            RestType::Protobuf => SchemaType::Protobuf,
            other => return Err(ClientError::Invalid(reason(format!("schema type {other:?} is not supported")))),
        };
        let written = written_references(&schema)?;
        Ok(FoundSchema {
            id: signed(schema.id)?,
            version: schema.version.map(signed).transpose()?,
            schema_type,
            schema: schema.schema,
            references: self.resolve(&written).await?,
            written_references: written,
        })
    }

    /// Fetches references and their references; those referred to come first.
    async fn resolve(&self, references: &[SchemaReference]) -> Result<Vec<ResolvedReference>, ClientError> {
        let mut resolved = Vec::new();
        let mut seen = HashSet::new();
        let mut waiting: Vec<Step> = references.iter().rev().cloned().map(Step::Fetch).collect();
        while let Some(step) = waiting.pop() {
            let reference = match step {
                Step::Ready(reference) => {
                    resolved.push(reference);
                    continue;
                }
                Step::Fetch(reference) => reference,
            };
            if !seen.insert((reference.subject.clone(), reference.version)) {
                continue;
            }
            if seen.len() > MAX_REFERENCES {
                return Err(ClientError::Invalid(reason(format!("schema has more than {MAX_REFERENCES} references"))));
            }
            let version = u32::try_from(reference.version).map_err(|error| ClientError::Invalid(Arc::new(error)))?;
            let subject = escaped(&reference.subject);
            let schema = get_schema_by_subject_and_version(&self.settings, &subject, Some(version)).await?;
            let inner = written_references(&schema)?;
            waiting.push(Step::Ready(ResolvedReference { name: reference.name, schema: schema.schema }));
            waiting.extend(inner.into_iter().rev().map(Step::Fetch));
        }
        Ok(resolved)
    }
}

fn reason_of(error: TlsError) -> ClientError {
    ClientError::Invalid(Arc::new(error))
}

enum Step {
    Fetch(SchemaReference),
    Ready(ResolvedReference),
}

fn signed(number: u32) -> Result<i32, ClientError> {
    i32::try_from(number).map_err(|error| ClientError::Invalid(Arc::new(error)))
}

fn written_references(schema: &RegisteredSchema) -> Result<Vec<SchemaReference>, ClientError> {
    let written = schema.references.iter().map(|reference| {
        let version = signed(reference.version)?;
        Ok(SchemaReference { name: reference.name.clone(), subject: reference.subject.clone(), version })
    });
    written.collect()
}

fn found(snapshot: &Snapshot, version: &SchemaVersion) -> Result<FoundSchema, RegistryError> {
    let content = &version.content;
    Ok(FoundSchema {
        id: version.id,
        version: Some(version.version),
        schema_type: content.schema_type,
        schema: content.schema.to_string(),
        references: snapshot.resolve(&version.subject, &content.references, Deleted::Shown)?,
        written_references: content.references.clone(),
    })
}

fn supplied(schema: &str) -> SuppliedSchema {
    SuppliedSchema::new(None, RestType::Avro, schema.to_owned()).with_references(Vec::<SuppliedReference>::new())
}

/// The client crate puts subjects into paths as they are.
pub(super) fn escaped(subject: &str) -> String {
    let mut out = String::with_capacity(subject.len());
    for byte in subject.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

impl From<RegistryError> for ClientError {
    fn from(error: RegistryError) -> Self {
        match &error {
            error if error.is_miss() => ClientError::NotFound(Arc::new(error.clone())),
            RegistryError::Store(LogError::Closed) | RegistryError::Store(_) | RegistryError::Timeout => {
                ClientError::Unavailable(Arc::new(error))
            }
            _ => ClientError::Invalid(Arc::new(error)),
        }
    }
}

impl From<SRCError> for ClientError {
    fn from(error: SRCError) -> Self {
        let code = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<RawError>());
        let code = code.map(|raw| raw.error_code);
        let retriable = error.retriable;
        let error: Arc<dyn std::error::Error + Send + Sync> = Arc::new(error);
        match code {
            Some(404 | 40401..=40499) => ClientError::NotFound(error),
            Some(429 | 500..=599 | 50000..=59999) => ClientError::Unavailable(error),
            // No code at all: the server was not reached, or something else than a registry answered.
            None | Some(0) if retriable => ClientError::Unavailable(error),
            _ => ClientError::Invalid(error),
        }
    }
}

#[cfg(test)]
mod tests;
