//! The one-time code a counter joins with: what the center's operator reads out and somebody types at the counter.
//!
//! 35 characters in seven groups of five, of 32 letters and digits that are not mistaken for one another (Crockford's
//! alphabet): 4 that find the invitation, 13 that prove it (65 random bits), 16 of the SHA-256 of the center's authority
//! (80 bits), so that the counter knows the right center before it says anything, and 2 that catch slips of the hand.
//! Not here: who is invited to what, and how often a code may be tried.

use std::fmt;

use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroize;

/// Characters of the locator.
pub const LOCATOR_LEN: usize = 4;
/// Characters of the secret.
pub const SECRET_LEN: usize = 13;
/// Characters of the fingerprint.
pub const FINGERPRINT_LEN: usize = 16;
const CHECK_LEN: usize = 2;
const GROUP_LEN: usize = 5;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// First of what a stored digest is over.
const DIGEST_PREFIX: &[u8] = b"countersign invitation v1\0";
/// First of what a late renewal's signature is over.
const RENEWAL_PREFIX: &[u8] = b"countersign late renewal v1\0";

/// A text that is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CodeError {
    /// Too short, too long, or with a character that no code has.
    #[error("code: expected 35 letters and digits in seven groups of five")]
    Form,
    /// A character was mistyped, or two were swapped.
    #[error("code: expected it as it was read out; a character is wrong or two are swapped")]
    Mistyped,
}

/// A code.
#[derive(Clone, PartialEq, Eq)]
pub struct InvitationCode {
    locator: String,
    secret: String,
    fingerprint: String,
}

impl Drop for InvitationCode {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// The locator alone: it opens nothing.
impl fmt::Debug for InvitationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvitationCode({}, [redacted])", self.locator)
    }
}

impl InvitationCode {
    /// A code from random bytes, for the center whose authority has this certificate (DER).
    #[must_use]
    pub fn new(random: [u8; LOCATOR_LEN + SECRET_LEN], authority_der: &[u8]) -> Self {
        // 5 bits of each random byte.
        let text: String = random.iter().map(|byte| letter(u16::from(*byte))).collect();
        let (locator, secret) = text.split_at(LOCATOR_LEN);
        Self { locator: locator.to_owned(), secret: secret.to_owned(), fingerprint: fingerprint(authority_der) }
    }

    /// Reads a code as people type it: small letters, spaces and hyphens do not matter, O is 0, I and L are 1.
    ///
    /// # Errors
    /// When it is not in the form of a code, or was mistyped.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let typed: Option<String> = text.chars().filter(|c| !c.is_whitespace() && *c != '-').map(canonical).collect();
        let typed = typed.filter(|typed| typed.len() == LOCATOR_LEN + SECRET_LEN + FINGERPRINT_LEN + CHECK_LEN).ok_or(CodeError::Form)?;
        let (body, check) = typed.split_at(typed.len() - CHECK_LEN);
        if check != check_of(body) {
            return Err(CodeError::Mistyped);
        }
        let (locator, rest) = body.split_at(LOCATOR_LEN);
        let (secret, fingerprint) = rest.split_at(SECRET_LEN);
        Ok(Self { locator: locator.to_owned(), secret: secret.to_owned(), fingerprint: fingerprint.to_owned() })
    }

    /// What finds the invitation.
    #[must_use]
    pub fn locator(&self) -> &str {
        &self.locator
    }

    /// What proves it.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Whether this certificate (DER) is that of the inviting center's authority.
    #[must_use]
    pub fn is_of_authority(&self, der: &[u8]) -> bool {
        self.fingerprint == fingerprint(der)
    }

    /// The code as it is read out.
    #[must_use]
    pub fn text(&self) -> String {
        let body = [self.locator.as_str(), &self.secret, &self.fingerprint].concat();
        let all = [body.as_str(), &check_of(&body)].concat();
        let groups: Vec<String> = all.as_bytes().chunks(GROUP_LEN).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
        groups.join("-")
    }
}

/// What a center keeps of a code: a digest of locator and secret, each in the form of [`InvitationCode`].
#[must_use]
pub fn digest(locator: &str, secret: &str) -> [u8; 32] {
    Sha256::new_with_prefix(DIGEST_PREFIX).chain_update(locator).chain_update(b"\0").chain_update(secret).finalize().into()
}

/// What the signature of a late renewal is over.
#[must_use]
pub fn late_renewal(certificate_sha256: &[u8], csr_pem: &str) -> Vec<u8> {
    [RENEWAL_PREFIX, certificate_sha256, csr_pem.as_bytes()].concat()
}

/// The first 80 bits of a certificate's SHA-256.
fn fingerprint(der: &[u8]) -> String {
    let digest = Sha256::digest(der);
    let bits = digest.iter().take(FINGERPRINT_LEN * 5 / 8).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    (0..FINGERPRINT_LEN).rev().map(|at| letter(u16::try_from(bits >> (at * 5) & 31).unwrap_or_default())).collect()
}

/// 10 bits over all other characters: any one wrong, and any two swapped, is found but for one in a thousand.
fn check_of(body: &str) -> String {
    let digest = Sha256::new_with_prefix(b"countersign invitation check\0").chain_update(body).finalize();
    digest.iter().take(CHECK_LEN).map(|byte| letter(u16::from(*byte))).collect()
}

fn letter(value: u16) -> char {
    ALPHABET.get(usize::from(value & 31)).map_or('0', |byte| char::from(*byte))
}

fn canonical(typed: char) -> Option<char> {
    match typed.to_ascii_uppercase() {
        'O' => Some('0'),
        'I' | 'L' => Some('1'),
        known => u8::try_from(known).ok().filter(|byte| ALPHABET.contains(byte)).map(char::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> InvitationCode {
        InvitationCode::new(std::array::from_fn(|at| u8::try_from(at * 37 % 256).unwrap()), b"authority")
    }

    #[test]
    fn a_code_is_read_as_it_is_written_and_as_people_type_it() {
        let text = code().text();
        assert_eq!((text.len(), text.split('-').count()), (41, 7), "{text}");
        assert_eq!(InvitationCode::parse(&text), Ok(code()));
        let typed = format!("  {} ", text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l"));
        assert_eq!(InvitationCode::parse(&typed), Ok(code()));
    }

    #[test]
    fn every_slip_of_one_character_and_every_swap_of_neighbours_is_noticed() {
        let text = code().text().replace('-', "");
        let mut missed = 0;
        let mut check = |typed: &[u8]| missed += u32::from(InvitationCode::parse(std::str::from_utf8(typed).unwrap()).is_ok());
        for at in 0..text.len() {
            for other in ALPHABET.iter().filter(|other| **other != text.as_bytes()[at]) {
                let mut typed = text.clone().into_bytes();
                typed[at] = *other;
                check(&typed);
            }
            let mut swapped = text.clone().into_bytes();
            if at + 1 < swapped.len() && swapped[at] != swapped[at + 1] {
                swapped.swap(at, at + 1);
                check(&swapped);
            }
        }
        assert!(missed <= 5, "{missed} of about 1100");
    }

    #[test]
    fn what_is_no_code_is_named() {
        for wrong in ["", "K7QF3", &"A".repeat(36), &"U".repeat(35), &"é".repeat(35)] {
            assert_eq!(InvitationCode::parse(wrong), Err(CodeError::Form), "{wrong}");
        }
    }

    #[test]
    fn a_code_names_one_authority_and_is_kept_as_a_digest() {
        assert!(code().is_of_authority(b"authority") && !code().is_of_authority(b"another"));
        let code = code();
        assert_ne!(digest(code.locator(), code.secret()), digest(code.secret(), code.locator()));
    }

    #[test]
    fn debug_shows_no_secret() {
        let code = code();
        assert!(!format!("{code:?}").contains(code.secret()));
    }
}
