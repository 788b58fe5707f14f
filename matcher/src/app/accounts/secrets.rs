//! Passwords and codes: how they are made, hashed and compared.

use std::sync::OnceLock;

use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use super::{AccountError, Token};
use crate::{store::TimeMs, surroundings::os_random};

/// Bytes of a second factor's secret: as long as the digest it goes into.
pub(super) const SECRET_LEN: usize = 20;

/// Whether a password is that of an Argon2id string.
pub(super) fn verify(password: &str, hash: &str) -> Result<bool, AccountError> {
    let hash = PasswordHash::new(hash).map_err(|_| AccountError::Hash)?;
    Ok(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// A password of five groups that can be read out, for a first sign-in.
#[must_use]
pub fn generated_password() -> Zeroizing<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let random = Zeroizing::new(os_random::<20>());
    let letter = |byte: &u8| char::from(LETTERS.get(usize::from(byte & 31)).copied().unwrap_or(b'a'));
    let groups: Vec<String> = random.chunks(4).map(|group| group.iter().map(letter).collect()).collect();
    Zeroizing::new(groups.join("-"))
}

pub(super) fn offered(token: &Token) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(token.derive("second factor").into_iter().take(SECRET_LEN).collect())
}

pub(super) fn totp(secret: &[u8]) -> Totp {
    Builder::new().with_secret(secret).build_noncompliant()
}

pub(super) fn seconds(now: TimeMs) -> u64 {
    u64::try_from(now / 1000).unwrap_or_default()
}

pub(super) fn hash(password: &str) -> Result<String, AccountError> {
    let salt: [u8; 16] = os_random();
    let hash: PasswordHash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt).map_err(|_| AccountError::Hash)?;
    Ok(hash.to_string())
}

/// What a password is compared with where there is no user: as much work, and never right.
pub(super) fn dummy_hash() -> String {
    static DUMMY: OnceLock<String> = OnceLock::new();
    DUMMY.get_or_init(|| hash(&Zeroizing::new(crate::keys::hex(&os_random::<32>()))).unwrap_or_default()).clone()
}
