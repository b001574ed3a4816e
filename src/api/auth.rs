//! One bearer token for the whole API. Identities and roles are another module's.

use axum::http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// The token that requests must carry.
#[derive(Debug)]
pub struct BearerToken {
    token: SecretString,
}

impl BearerToken {
    /// The token from the settings, where it cannot be empty.
    pub fn new(token: SecretString) -> Self {
        Self { token }
    }

    /// Whether the request carries the token. Takes the same time for every wrong one.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(given) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let Some((scheme, given)) = given.split_once(' ') else {
            return false;
        };
        // Digests have one length, so that comparing them tells nothing about the token's.
        let expected = Sha256::digest(self.token.expose_secret().as_bytes());
        let given = Sha256::digest(given.trim().as_bytes());
        let difference = expected.iter().zip(given.iter()).fold(0_u8, |sum, (a, b)| sum | (a ^ b));
        scheme.eq_ignore_ascii_case("bearer") && std::hint::black_box(difference) == 0
    }
}
