//! Names in client certificates, and the rules by which a principal is known by them.

use std::net::IpAddr;

use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// The names of a verified client certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerNames {
    /// Attributes of the subject in the order of the certificate, each with the short name of its type.
    subject: Vec<(String, String)>,
    dns: Vec<String>,
    uris: Vec<String>,
    emails: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl PeerNames {
    /// The names in a certificate; none where it cannot be read.
    pub fn of_der(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut names = Self::default();
        for attribute in certificate.subject().iter_attributes() {
            let kind = attribute.attr_type().to_id_string();
            let value = attribute.as_str().ok()?;
            names.subject.push((short_name(&kind).to_owned(), value.to_owned()));
        }
        let alternatives = certificate.subject_alternative_name().ok()?;
        for name in alternatives.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::DNSName(name) => names.dns.push((*name).to_owned()),
                GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
                GeneralName::RFC822Name(address) => names.emails.push((*address).to_owned()),
                GeneralName::IPAddress(bytes) => names.addresses.extend(address(bytes)),
                _ => {}
            }
        }
        Some(names)
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// RFC 4514's names of attribute types; others keep their number.
fn short_name(kind: &str) -> &str {
    match kind {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "EMAILADDRESS",
        other => other,
    }
}

/// One name by which a certificate is a principal's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CertificateRule {
    /// `cn:`: the subject has exactly one common name, and it is this.
    CommonName(String),
    /// `dn:`: the whole subject, in either order.
    DistinguishedName(Vec<(String, String)>),
    /// `dns:`
    Dns(String),
    /// `uri:`, such as a SPIFFE id.
    Uri(String),
    /// `email:`
    Email(String),
    /// `ip:`
    Address(IpAddr),
}

impl CertificateRule {
    /// # Errors
    /// The text is no rule.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let unknown = || format!("{text:?} names no certificate; write cn:…, dn:…, dns:…, uri:…, email:… or ip:…");
        let (kind, value) = text.split_once(':').filter(|(_, value)| !value.is_empty()).ok_or_else(unknown)?;
        match kind {
            "cn" => Ok(Self::CommonName(value.to_owned())),
            "dn" => distinguished_name(value).map(Self::DistinguishedName),
            "dns" => Ok(Self::Dns(value.to_owned())),
            "uri" => Ok(Self::Uri(value.to_owned())),
            "email" => Ok(Self::Email(value.to_owned())),
            "ip" => value.parse().map(Self::Address).map_err(|_| format!("{value:?} is no IP address")),
            _ => Err(unknown()),
        }
    }

    pub(super) fn fits(&self, names: &PeerNames) -> bool {
        match self {
            Self::CommonName(name) => {
                let mut common = names.subject.iter().filter(|(kind, _)| kind == "CN");
                // Of several names none is the one that was meant.
                common.next().is_some_and(|(_, value)| value == name) && common.next().is_none()
            }
            Self::DistinguishedName(parts) => *parts == names.subject || parts.iter().rev().eq(names.subject.iter()),
            Self::Dns(name) => names.dns.iter().any(|known| known.eq_ignore_ascii_case(name)),
            Self::Uri(uri) => names.uris.contains(uri),
            Self::Email(address) => names.emails.contains(address),
            Self::Address(address) => names.addresses.contains(address),
        }
    }
}

/// `CN=orders,O=Example`; a backslash takes the meaning from a comma.
fn distinguished_name(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, parts.last_mut()) {
            (',', _) => parts.push(String::new()),
            ('\\', Some(part)) => part.extend(letters.next()),
            (letter, Some(part)) => part.push(letter),
            (_, None) => {}
        }
    }
    let pair = |part: String| match part.split_once('=') {
        Some((kind, value)) if !kind.trim().is_empty() && !value.trim().is_empty() => {
            Ok((kind.trim().to_ascii_uppercase(), value.trim().to_owned()))
        }
        _ => Err(format!("{text:?} is no distinguished name; write it as CN=orders,O=Example")),
    };
    parts.into_iter().map(pair).collect()
}
