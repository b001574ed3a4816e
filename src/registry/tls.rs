//! TLS in both directions: the certificates by which the registry is known, those by which it knows its clients, and how
//! clients of ours do the same. The only module that names rustls.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{Error, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or it holds nothing of its kind.
    #[error("{} holds no readable {what}: {why}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
        /// What is wrong. Never the content.
        why: String,
    },
    /// Certificate and key cannot be used, or not together.
    #[error("{} and its key cannot be used: {source}", .certificate.display())]
    Certificate {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why.
        source: Error,
    },
    /// The authorities of client certificates cannot be used.
    #[error("{} cannot be used to verify clients: {source}", .path.display())]
    ClientAuthorities {
        /// Their file.
        path: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
    /// The certificates for connections to others cannot be used.
    #[error("the HTTP client cannot be made: {0}")]
    Client(#[source] reqwest::Error),
}

/// What the listener asks of its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAuth {
    /// No certificate.
    None,
    /// A certificate of these authorities, or none.
    Request(PathBuf),
    /// A certificate of these authorities.
    Required(PathBuf),
}

/// The files of a TLS listener, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    /// Its certificate, followed by those that lead to its authority.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// What it asks of clients.
    pub client_auth: ClientAuth,
}

impl ServerFiles {
    /// All of them.
    pub fn paths(&self) -> Vec<PathBuf> {
        let authorities = match &self.client_auth {
            ClientAuth::None => None,
            ClientAuth::Request(path) | ClientAuth::Required(path) => Some(path.clone()),
        };
        [self.certificate.clone(), self.key.clone()].into_iter().chain(authorities).collect()
    }

    fn config(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let unusable = |source| TlsError::Certificate { certificate: self.certificate.clone(), source };
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?;
        let builder = match &self.client_auth {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Request(path) | ClientAuth::Required(path) => {
                let refused = |source| TlsError::ClientAuthorities { path: path.clone(), source };
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|error| file(path, "certificate", &error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match self.client_auth {
                    ClientAuth::Required(_) => verifier,
                    _ => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(verifier.build().map_err(refused)?)
            }
        };
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| file(&self.key, "private key", &error))?;
        let mut config = builder.with_single_cert(certificates(&self.certificate)?, key).map_err(unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(file(path, "certificate", &"there is none")),
        found => found.map_err(|error| file(path, "certificate", &error)),
    }
}

fn file(path: &Path, what: &'static str, why: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), what, why: why.to_string() }
}

/// The listener's side of TLS. Clones share it, also when it is renewed.
#[derive(Clone)]
pub struct ServerTls {
    files: ServerFiles,
    config: Arc<ArcSwap<ServerConfig>>,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn load(files: ServerFiles) -> Result<Self, TlsError> {
        let config = files.config()?;
        Ok(Self { files, config: Arc::new(ArcSwap::from_pointee(config)) })
    }

    /// Reads the files again, for connections from now on.
    ///
    /// # Errors
    /// One of them cannot be used; what was read before stays.
    pub fn renew(&self) -> Result<(), TlsError> {
        self.config.store(Arc::new(self.files.config()?));
        Ok(())
    }

    /// Agrees on TLS with a client.
    pub(super) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.config.load_full()).accept(stream).await
    }
}

/// The certificate that a client has proved to have.
pub(super) fn peer_certificate(stream: &TlsStream<TcpStream>) -> Option<&[u8]> {
    let (_, connection) = stream.get_ref();
    Some(connection.peer_certificates()?.first()?.as_ref())
}

/// Which servers a client of ours believes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// None: it speaks plain HTTP only.
    #[default]
    Nobody,
    /// Those with a certificate that this machine trusts.
    System,
    /// Those with a certificate of the authorities in this PEM file.
    File(PathBuf),
}

/// TLS of a client of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Whom it believes.
    pub trust: Trust,
    /// Certificate and private key that it shows to servers that ask, in PEM files.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl ClientTls {
    /// As this, or without trust where no URL asks for TLS: a machine may have no authorities at all.
    #[must_use]
    pub fn for_urls<'a>(&self, urls: impl IntoIterator<Item = &'a str>) -> Self {
        let is_tls = |url: &str| url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        if urls.into_iter().any(is_tls) { self.clone() } else { Self::default() }
    }

    /// What HTTP clients are made with.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn client(&self) -> Result<reqwest::ClientBuilder, TlsError> {
        install_provider();
        let mut builder = reqwest::Client::builder().tls_backend_rustls();
        match &self.trust {
            Trust::Nobody => builder = builder.tls_certs_only([]),
            Trust::System => {}
            Trust::File(path) => {
                let found = reqwest::Certificate::from_pem_bundle(&read(path)?);
                let found = found.map_err(|error| file(path, "certificate", &error))?;
                if found.is_empty() {
                    return Err(file(path, "certificate", &"there is none"));
                }
                builder = builder.tls_certs_only(found);
            }
        }
        if let Some((certificate, key)) = &self.identity {
            let mut both = read(key)?;
            both.push(b'\n');
            both.extend(read(certificate)?);
            let identity = reqwest::Identity::from_pem(&both);
            let identity = identity.map_err(|_| file(certificate, "certificate with its key", &"they are no PEM"))?;
            builder = builder.identity(identity);
        }
        Ok(builder)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| file(path, "PEM", &error))
}

/// Makes one implementation of the algorithms that of the whole process. HTTP clients need it, also those that speak plain
/// HTTP; the first call counts.
pub fn install_provider() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster, which is as good.
        let _ = ring::default_provider().install_default();
    }
}
