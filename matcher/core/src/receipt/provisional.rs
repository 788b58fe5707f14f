//! Provisional receipts: signed by a device while the line is down, until the center has answered.
//!
//! They have a `typ` of their own, so that no check takes one for a receipt. Each names the capture behind it (its
//! digest and the device's sequence number), and brings the device's certificate. Here: reading and checking; how they
//! are written is `receipt-form`'s, and when, the counter's.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{SigningKey, VerifyingKey};
pub use receipt_form::provisional::TYPE;
use receipt_form::{
    jws,
    provisional::{self as form, ProvisionalForm},
};
use sha2::{Digest, Sha256};

use crate::decision::{Disposition, Scene};

use super::{ATTEMPT_MAX, ReceiptNumber, Refusal, VALID_SECONDS_MAX, is_name, known, number};

/// What a provisional receipt says. Nothing was decided: there is no decision, and no card that the settlement side
/// could compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvisionalClaims {
    /// `iss`: the device, by its name in the registry.
    pub device: String,
    /// `aud`: whom it is meant for.
    pub audience: String,
    /// `jti`: its number.
    pub number: ReceiptNumber,
    /// `iat`: when it was made by the device's clock, in seconds since 1970-01-01 UTC.
    pub issued_at: i64,
    /// `exp`: when it ends, in seconds; at most fifteen minutes later.
    pub expires_at: i64,
    /// The institution, as the device was told.
    pub institution: String,
    /// What is to be verified.
    pub transaction: String,
    /// Which attempt of it.
    pub attempt: u32,
    /// Where.
    pub scene: Scene,
    /// What the till was told to do.
    pub disposition: Disposition,
    /// The policy that allowed it.
    pub policy: String,
    /// The lease that allowed it.
    pub lease: String,
    /// `capture`: SHA-256 of the envelope's plaintext, as in its header.
    pub capture_sha256: [u8; 32],
    /// The envelope's sequence number on that device.
    pub sequence: u64,
}

/// What the registry has for a certificate.
#[derive(Debug, Clone)]
pub struct CertifiedDevice {
    /// The device's name.
    pub device: String,
    /// Its institution.
    pub institution: String,
    /// Its key.
    pub key: VerifyingKey,
}

impl ProvisionalClaims {
    /// Signs the claims with a device's key, beside its certificate in DER form.
    #[must_use]
    pub fn sign(&self, key: &SigningKey, certificate: &[u8]) -> String {
        let form = ProvisionalForm {
            iss: self.device.clone(),
            aud: self.audience.clone(),
            jti: self.number.to_string(),
            iat: self.issued_at,
            exp: self.expires_at,
            institution: self.institution.clone(),
            transaction: self.transaction.clone(),
            attempt: self.attempt,
            scene: self.scene.word().to_owned(),
            disposition: self.disposition.word().to_owned(),
            policy: self.policy.clone(),
            lease: self.lease.clone(),
            capture: jws::encode(&self.capture_sha256),
            sequence: self.sequence,
        };
        form::sign(&form, key, certificate)
    }

    /// Whether a token calls itself a provisional receipt.
    #[must_use]
    pub fn is_one(compact: &str) -> bool {
        jws::Parts::new(compact).is_ok_and(|parts| parts.header.typ.as_deref() == Some(TYPE))
    }

    /// Checks a provisional receipt: a certificate the registry knows (`device_of` its SHA-256), signed by that
    /// device's key, about that device and its institution, for this audience.
    ///
    /// # Errors
    /// With the reason why it is not one to look at; [`Refusal::UnknownKey`] for a certificate that is not in the registry.
    pub fn check(compact: &str, audience: &str, device_of: impl FnOnce(&[u8; 32]) -> Option<CertifiedDevice>) -> Result<Self, Refusal> {
        let parts = jws::Parts::new(compact)?;
        if parts.header.typ.as_deref() != Some(TYPE) {
            return Err(Refusal::WrongType);
        }
        let ([certificate], None) = (parts.header.x5c.as_ref().ok_or(Refusal::Malformed)?, &parts.header.kid) else {
            return Err(Refusal::Malformed);
        };
        let certificate = STANDARD.decode(certificate).map_err(|_| Refusal::Malformed)?;
        let device = device_of(&Sha256::digest(certificate).into()).ok_or(Refusal::UnknownKey)?;
        let claims = checked(parts.claims::<ProvisionalForm>(&device.key)?)?;
        if claims.device != device.device {
            return Err(Refusal::ForeignIssuer);
        }
        if claims.audience != audience {
            return Err(Refusal::ForeignAudience);
        }
        if claims.institution != device.institution {
            return Err(Refusal::OtherInstitution);
        }
        if claims.expires_at.saturating_sub(claims.issued_at) > VALID_SECONDS_MAX {
            return Err(Refusal::TooLongLived);
        }
        Ok(claims)
    }
}

fn checked(form: ProvisionalForm) -> Result<ProvisionalClaims, Refusal> {
    let names = [&form.iss, &form.aud, &form.institution, &form.transaction, &form.policy, &form.lease];
    if !names.iter().all(|name| is_name(name)) || !(1..=ATTEMPT_MAX).contains(&form.attempt) || form.exp <= form.iat || form.sequence == 0 {
        return Err(Refusal::Malformed);
    }
    Ok(ProvisionalClaims {
        number: number(&form.jti)?,
        issued_at: form.iat,
        expires_at: form.exp,
        attempt: form.attempt,
        scene: known(Scene::from_word(&form.scene))?,
        disposition: known(Disposition::from_word(&form.disposition))?,
        capture_sha256: <[u8; 32]>::try_from(jws::decode(&form.capture)?).map_err(|_| Refusal::Malformed)?,
        sequence: form.sequence,
        device: form.iss,
        audience: form.aud,
        institution: form.institution,
        transaction: form.transaction,
        policy: form.policy,
        lease: form.lease,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipt::{Checker, Drill, KeySet};

    const CERTIFICATE: &[u8] = b"a certificate in DER form";

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn claims() -> ProvisionalClaims {
        ProvisionalClaims {
            device: "P1-1".into(),
            audience: "settlement".into(),
            number: ReceiptNumber::from_random([5; 16]),
            issued_at: 1_000,
            expires_at: 1_900,
            institution: "P1".into(),
            transaction: "T-1".into(),
            attempt: 1,
            scene: Scene::Settlement,
            disposition: Disposition::SettleFlagged,
            policy: "test-1".into(),
            lease: "L-1".into(),
            capture_sha256: [9; 32],
            sequence: 41,
        }
    }

    fn registry(sha256: &[u8; 32]) -> Option<CertifiedDevice> {
        let known = *sha256 == <[u8; 32]>::from(Sha256::digest(CERTIFICATE));
        known.then(|| CertifiedDevice { device: "P1-1".into(), institution: "P1".into(), key: key().verifying_key() })
    }

    #[track_caller]
    fn check(claims: &ProvisionalClaims, key: &SigningKey, certificate: &[u8], expected: Result<(), Refusal>) {
        let compact = claims.sign(key, certificate);
        assert!(ProvisionalClaims::is_one(&compact));
        let checked = ProvisionalClaims::check(&compact, "settlement", registry);
        assert_eq!(checked, expected.map(|()| claims.clone()));
    }

    #[test]
    fn a_provisional_receipt_is_its_devices() {
        check(&claims(), &key(), CERTIFICATE, Ok(()));
        check(&claims(), &SigningKey::from_bytes(&[8; 32]), CERTIFICATE, Err(Refusal::BadSignature));
        check(&claims(), &key(), b"another certificate", Err(Refusal::UnknownKey));
        check(&ProvisionalClaims { device: "P1-2".into(), ..claims() }, &key(), CERTIFICATE, Err(Refusal::ForeignIssuer));
        check(&ProvisionalClaims { institution: "P2".into(), ..claims() }, &key(), CERTIFICATE, Err(Refusal::OtherInstitution));
        check(&ProvisionalClaims { audience: "x".into(), ..claims() }, &key(), CERTIFICATE, Err(Refusal::ForeignAudience));
        check(&ProvisionalClaims { expires_at: 1_901, ..claims() }, &key(), CERTIFICATE, Err(Refusal::TooLongLived));
        check(&ProvisionalClaims { expires_at: 1_000, ..claims() }, &key(), CERTIFICATE, Err(Refusal::Malformed));
        check(&ProvisionalClaims { sequence: 0, ..claims() }, &key(), CERTIFICATE, Err(Refusal::Malformed));
        check(&ProvisionalClaims { attempt: 0, ..claims() }, &key(), CERTIFICATE, Err(Refusal::Malformed));
    }

    #[test]
    fn no_check_takes_it_for_a_receipt() {
        let compact = claims().sign(&key(), CERTIFICATE);
        let keys = KeySet::new([key().verifying_key()]);
        let drill = Some(Drill { issuer: "drill", keys: &keys });
        let receipt = crate::receipt::tests::claims().sign(&key());
        assert!(
            !ProvisionalClaims::is_one(&receipt) && ProvisionalClaims::check(&receipt, "settlement", registry) == Err(Refusal::WrongType)
        );
        let checker = Checker { issuer: "P1-1", audience: "settlement", keys: &keys, drill };
        assert_eq!(checker.verify(&compact), Err(Refusal::Provisional));
    }
}
