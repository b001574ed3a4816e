//! Passwords as Argon2 PHC strings and tokens as SHA-256 digests. What has been verified is remembered under a key of
//! this process, so that a password is hashed once and not with each request.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Argon2, Params};
use lru::LruCache;
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

/// Most passwords that are remembered as right.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4_096).expect("a number above 0");
/// Hashes computed at a time: each one takes a core and tens of megabytes.
const AT_A_TIME: usize = 2;
/// Largest memory that a hash may ask for, KiB.
const MAX_MEMORY: u32 = 1 << 20;

/// Verifies passwords.
pub(super) struct Verifier {
    key: hmac::Key,
    right: Mutex<LruCache<[u8; 32], ()>>,
    turns: Semaphore,
    /// Verified for names that nobody has, so that they take as long.
    example: Option<String>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    pub(super) fn new(example: Option<String>) -> Self {
        let random = ring::rand::SystemRandom::new();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random).expect("the system has random numbers");
        Self { key, right: Mutex::new(LruCache::new(REMEMBERED)), turns: Semaphore::new(AT_A_TIME), example }
    }

    /// Whether this password was found right for this hash before.
    pub(super) fn remembers(&self, hash: &str, password: &SecretString) -> bool {
        let mark = self.mark(hash, password);
        self.right.lock().unwrap_or_else(PoisonError::into_inner).get(&mark).is_some()
    }

    /// Whether the password is right; not on this thread.
    pub(super) async fn verify(&self, hash: Option<&str>, password: &SecretString) -> bool {
        let Some(checked) = hash.or(self.example.as_deref()).map(str::to_owned) else { return false };
        let Ok(_turn) = self.turns.acquire().await else { return false };
        // Requests of one client come together; the first one's result is there when the next has its turn.
        if hash.is_some_and(|hash| self.remembers(hash, password)) {
            return true;
        }
        let given = password.clone();
        let verified = tokio::task::spawn_blocking(move || is_right(&checked, &given));
        let is_right = verified.await.unwrap_or(false);
        match hash {
            Some(hash) if is_right => {
                let mark = self.mark(hash, password);
                self.right.lock().unwrap_or_else(PoisonError::into_inner).put(mark, ());
                true
            }
            _ => false,
        }
    }

    /// Stands for a hash and a password without telling either.
    fn mark(&self, hash: &str, password: &SecretString) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(hash.as_bytes());
        context.update(&[0]);
        context.update(password.expose_secret().as_bytes());
        let tag = context.sign();
        <[u8; 32]>::try_from(tag.as_ref()).expect("HMAC-SHA256 has 32 bytes")
    }
}

fn is_right(hash: &str, password: &SecretString) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash).is_ok()
}

/// Checks that a text is a hash that can be verified here.
///
/// # Errors
/// It is none. The message does not repeat it.
pub(super) fn check_hash(text: &str) -> Result<(), String> {
    let advice = "make one with `tributary registry hash-password`";
    let hash = PasswordHash::new(text).map_err(|_| format!("it is no PHC string ($argon2id$…); {advice}"))?;
    if hash.algorithm.as_str() != "argon2id" || hash.salt.is_none() || hash.hash.is_none() {
        return Err(format!("it is no Argon2id hash with a salt; {advice}"));
    }
    let params = Params::try_from(&hash).map_err(|_| format!("its Argon2 parameters are not valid; {advice}"))?;
    if params.m_cost() > MAX_MEMORY {
        return Err(format!("it asks for more than {MAX_MEMORY} KiB of memory"));
    }
    Ok(())
}

/// The hash of a password, as access files hold it.
///
/// # Errors
/// The system has no random numbers.
pub fn hash_password(password: &SecretString) -> Result<String, argon2::password_hash::Error> {
    Ok(Argon2::default().hash_password(password.expose_secret().as_bytes())?.to_string())
}

/// The digest of a token, as access files hold it. Tokens are long and random, so one round is enough.
pub fn hash_token(token: &SecretString) -> String {
    let digits = token_digest(token).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{digits}")
}

pub(super) fn token_digest(token: &SecretString) -> [u8; 32] {
    Sha256::digest(token.expose_secret().as_bytes()).into()
}

/// # Errors
/// The text is no digest. The message does not repeat it.
pub(super) fn parse_digest(text: &str) -> Result<[u8; 32], String> {
    let wrong =
        || "it is no \"sha256:\" with 64 hexadecimal digits; make one with `tributary registry hash-token`".to_owned();
    let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64).ok_or_else(wrong)?;
    let mut digest = [0; 32];
    for (at, byte) in digest.iter_mut().enumerate() {
        let pair = digits.get(2 * at..2 * at + 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(digest)
}

/// Compares in a time that does not depend on the content.
pub(super) fn equal(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let difference = one.iter().zip(other).fold(0_u8, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(difference) == 0
}
