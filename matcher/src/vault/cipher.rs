//! The cipher of records at rest: the one place that knows it.
//!
//! A ciphertext is `suite (1 byte) ‖ nonce (12) ‖ encrypted bytes ‖ tag (16)`. The suite is
//! AES-256-GCM-SIV (RFC 8452), whose secrecy survives a nonce that comes twice. Another suite (SM4-GCM) would
//! have its own number here and in nothing else. Not here: what the associated data holds.

use aes_gcm_siv::{
    Aes256GcmSiv, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use zeroize::Zeroizing;

use crate::{store::Sealed, surroundings::os_random};

/// AES-256-GCM-SIV with a random nonce.
const SUITE: u8 = 1;
const NONCE_LEN: usize = 12;

/// Bytes that a ciphertext is longer than its plaintext.
#[cfg(test)]
pub(super) const OVERHEAD: usize = 1 + NONCE_LEN + 16;

/// The bytes did not open: wrong key, wrong place, altered, or no ciphertext at all.
#[derive(Debug)]
pub(super) struct DoesNotOpen;

/// Encrypts under a fresh random nonce, bound to `place`.
pub(super) fn seal(key: &[u8; 32], place: &[u8], plaintext: &[u8]) -> Sealed {
    let nonce: [u8; NONCE_LEN] = os_random();
    let payload = Payload { msg: plaintext, aad: place };
    let Ok(encrypted) = Aes256GcmSiv::new(key.into()).encrypt(&Nonce::from(nonce), payload) else {
        unreachable!("records are far below the cipher's 64 GiB")
    };
    let mut sealed = Vec::with_capacity(1 + NONCE_LEN + encrypted.len());
    sealed.push(SUITE);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&encrypted);
    Sealed(sealed)
}

/// Decrypts what [`seal`] made under the same key for the same place.
pub(super) fn open(key: &[u8; 32], place: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
    let (suite, rest) = sealed.0.split_first().ok_or(DoesNotOpen)?;
    let (nonce, encrypted) = rest.split_first_chunk::<NONCE_LEN>().ok_or(DoesNotOpen)?;
    if *suite != SUITE {
        return Err(DoesNotOpen);
    }
    let payload = Payload { msg: encrypted, aad: place };
    let opened = Aes256GcmSiv::new(key.into()).decrypt(&Nonce::from(*nonce), payload);
    opened.map(Zeroizing::new).map_err(|_| DoesNotOpen)
}
