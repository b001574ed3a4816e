//! How one node tells another on whose behalf it forwards a request: a name and an HMAC under a secret that only nodes
//! have. Without a right proof nothing that a forwarded request says of itself is believed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::forward::FORWARDED_SINCE;

/// Who has asked the node that forwards; empty where nobody has to say who it is.
const PRINCIPAL: HeaderName = HeaderName::from_static("x-forward-principal");
/// `<seconds>.<SHA-256 of the body>.<HMAC>`
const PROOF: HeaderName = HeaderName::from_static("x-forward-proof");
/// Sets these proofs apart from whatever else the secret is used for, and from later forms.
const LABEL: &str = "tributary-forward-1";
/// How far the clocks of two nodes may be apart, and how long a proof holds.
const WINDOW: Duration = Duration::from_secs(60);

/// The secret that all nodes of a registry share.
#[derive(Clone)]
pub struct NodeSecret {
    key: hmac::Key,
}

impl std::fmt::Debug for NodeSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeSecret")
    }
}

/// What a right proof proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proven {
    /// Who asks; empty where the other node has no access control.
    pub(super) principal: String,
    body: String,
}

impl Proven {
    /// Whether the proof was made for this body.
    pub(super) fn holds_for(&self, body: &[u8]) -> bool {
        self.body == digest(body)
    }
}

/// A proof is there, and it is not right or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrongProof;

impl NodeSecret {
    /// The secret from the settings.
    pub fn new(secret: &SecretString) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes()) }
    }

    /// What a node adds to a request that it forwards for a principal.
    pub(super) fn headers(
        &self,
        principal: Option<&str>,
        (method, target): (&Method, &Uri),
        (body, mark): (&[u8], &str),
        now: SystemTime,
    ) -> [(HeaderName, HeaderValue); 2] {
        let principal = principal.unwrap_or_default();
        let (time, body) = (seconds(now), digest(body));
        let tag = hmac::sign(&self.key, signed(principal, (method, target), time, &body, mark).as_bytes());
        let proof = format!("{time}.{body}.{}", hex(tag.as_ref()));
        let value =
            |text: &str| HeaderValue::from_str(text).expect("names of principals and digits are printable ASCII");
        [(PRINCIPAL, value(principal)), (PROOF, value(&proof))]
    }

    /// What the headers of a request prove; none where they claim nothing.
    pub(super) fn verify(
        &self,
        headers: &HeaderMap,
        (method, target): (&Method, &Uri),
        now: SystemTime,
    ) -> Result<Option<Proven>, WrongProof> {
        let Some(proof) = headers.get(PROOF) else { return Ok(None) };
        let principal = headers.get(PRINCIPAL).and_then(|name| name.to_str().ok()).ok_or(WrongProof)?;
        let mut parts = proof.to_str().map_err(|_| WrongProof)?.split('.');
        let (Some(time), Some(body), Some(tag), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(WrongProof);
        };
        let time: u64 = time.parse().map_err(|_| WrongProof)?;
        let tag = unhex(tag).ok_or(WrongProof)?;
        let mark = headers.get(FORWARDED_SINCE).and_then(|mark| mark.to_str().ok()).unwrap_or_default();
        let text = signed(principal, (method, target), time, body, mark);
        hmac::verify(&self.key, text.as_bytes(), &tag).map_err(|_| WrongProof)?;
        if seconds(now).abs_diff(time) > WINDOW.as_secs() {
            tracing::warn!("a forwarded request is too old or too new: are the clocks of the nodes right?");
            return Err(WrongProof);
        }
        Ok(Some(Proven { principal: principal.to_owned(), body: body.to_owned() }))
    }
}

/// Takes out what only nodes may say.
pub(super) fn strip(headers: &mut HeaderMap) {
    headers.remove(PRINCIPAL);
    headers.remove(PROOF);
}

fn signed(principal: &str, (method, target): (&Method, &Uri), time: u64, body: &str, mark: &str) -> String {
    let target = target.path_and_query().map_or("/", |target| target.as_str());
    // None of the parts can hold a line break.
    format!("{LABEL}\n{principal}\n{method}\n{}\n{time}\n{body}\n{mark}", normal(target))
}

/// A target in one spelling: clients differ in what they escape.
fn normal(target: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escaped = |byte: u8| format!("%{byte:02X}");
    let bytes = target.as_bytes();
    let mut out = String::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hidden =
            (byte == b'%').then(|| target.get(at + 1..at + 3).and_then(|pair| u8::from_str_radix(pair, 16).ok()));
        match hidden.flatten() {
            Some(hidden) => {
                out.push_str(&if plain(hidden) { char::from(hidden).to_string() } else { escaped(hidden) });
                at += 3;
            }
            None => {
                let is_literal = plain(byte) || b"/?&=:@!$'()*+,;%".contains(&byte);
                out.push_str(&if is_literal { char::from(byte).to_string() } else { escaped(byte) });
                at += 1;
            }
        }
    }
    out
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn digest(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..text.len()).step_by(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> NodeSecret {
        NodeSecret::new(&SecretString::from(text))
    }

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    fn headers(secret: &NodeSecret, now: SystemTime) -> HeaderMap {
        secret
            .headers(Some("orders"), (&Method::POST, &uri("/subjects/a%2Fb/versions?x=1")), (b"{}", ""), now)
            .into_iter()
            .collect()
    }

    #[test]
    fn a_proof_holds_for_one_request_for_a_minute() {
        let (ours, now) = (secret("s"), SystemTime::now());
        let given = headers(&ours, now);
        let target = uri("/subjects/a%2fb/versions?x=1");
        let verify = |at: SystemTime| ours.verify(&given, (&Method::POST, &target), at);
        let proven = verify(now).unwrap().unwrap();
        assert_eq!(proven.principal, "orders");
        assert!(proven.holds_for(b"{}") && !proven.holds_for(b"{ }"));
        assert!(verify(now + WINDOW).is_ok() && verify(now - WINDOW).is_ok());
        assert_eq!(verify(now + WINDOW * 2), Err(WrongProof));
        assert_eq!(verify(now - WINDOW * 2), Err(WrongProof));
    }

    #[test]
    fn nothing_of_it_can_be_changed() {
        let (ours, now) = (secret("s"), SystemTime::now());
        let given = headers(&ours, now);
        let right = uri("/subjects/a%2Fb/versions?x=1");
        assert_eq!(secret("t").verify(&given, (&Method::POST, &right), now), Err(WrongProof));
        assert_eq!(ours.verify(&given, (&Method::PUT, &right), now), Err(WrongProof));
        for other in ["/subjects/a/b/versions?x=1", "/subjects/a%2Fb/versions", "/subjects/a%2Fb/versions?x=2"] {
            assert_eq!(ours.verify(&given, (&Method::POST, &uri(other)), now), Err(WrongProof), "{other}");
        }
        let mut renamed = given.clone();
        renamed.insert(PRINCIPAL, HeaderValue::from_static("admin"));
        assert_eq!(ours.verify(&renamed, (&Method::POST, &right), now), Err(WrongProof));
        for broken in ["", "1", "1.2", "1.2.3", "1.2.3.4", "x.y.z", "1.é.é"] {
            let mut broken_headers = given.clone();
            broken_headers.insert(PROOF, HeaderValue::from_str(broken).unwrap());
            assert_eq!(ours.verify(&broken_headers, (&Method::POST, &right), now), Err(WrongProof), "{broken}");
        }
        let mut nameless = given.clone();
        nameless.remove(PRINCIPAL);
        assert_eq!(ours.verify(&nameless, (&Method::POST, &right), now), Err(WrongProof));
        strip(&mut renamed);
        assert_eq!(ours.verify(&renamed, (&Method::POST, &right), now), Ok(None));
    }

    #[test]
    fn spellings_of_a_target_are_one() {
        for (one, other) in [
            ("/subjects/a%22b", "/subjects/a\"b"),
            ("/subjects/%61", "/subjects/a"),
            ("/a?b=%7b", "/a?b={"),
            ("/%e4", "/%E4"),
        ] {
            assert_eq!(normal(one), normal(other));
        }
        for (one, other) in [("/a%2Fb", "/a/b"), ("/a%3Fb", "/a?b"), ("/a%26b", "/a&b"), ("/a%25", "/a%2525")] {
            assert_ne!(normal(one), normal(other));
        }
    }
}
