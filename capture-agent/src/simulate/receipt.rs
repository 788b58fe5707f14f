//! Receipts of the simulator: in the form of real ones, by an issuer, an audience and a key of its own, so that every check in
//! production refuses them. What became of each is kept in memory, as a center keeps it.
//!
//! Not here: provisional receipts (the agent makes them, as it always does).

use std::collections::HashMap;

use ed25519_dalek::{SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use proto::v1::{self, ReceiptState};
use receipt_form::{jws, number::ReceiptNumber};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

/// The `iss` and `aud` of the simulator: no center's.
pub const ISSUER: &str = "countersign-simulator";
/// The simulator's settlement key, under which it names cards; known to everybody.
pub const SETTLEMENT_KEY: [u8; 32] = *b"the simulator's settlement key!!";
const TYPE: &str = "countersign-receipt+jwt";
const VALID_SECONDS: i64 = 15 * 60;

/// A receipt's claims, as real ones are written.
#[derive(Debug, Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    jti: String,
    iat: i64,
    exp: i64,
    institution: &'a str,
    transaction: &'a str,
    attempt: u32,
    scene: &'a str,
    decision: &'a str,
    disposition: &'a str,
    policy: &'a str,
    card_mac: String,
}

/// What a receipt is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) institution: &'a str,
    pub(super) transaction: &'a str,
    pub(super) attempt: u32,
    pub(super) scene: &'a str,
    pub(super) decision: &'a str,
    pub(super) disposition: &'a str,
    pub(super) policy: &'a str,
    pub(super) identifier: &'a v1::Identifier,
    pub(super) at_ms: i64,
}

/// What became of a receipt.
#[derive(Debug)]
struct Kept {
    compact: String,
    disposition: String,
    expires_at: i64,
    settlement: Option<(String, u64)>,
    reversed: bool,
}

/// The simulator's receipts.
#[derive(Debug)]
pub(super) struct Receipts {
    key: SigningKey,
    kept: HashMap<String, Kept>,
}

impl Receipts {
    pub(super) fn new(key: SigningKey) -> Self {
        Self { key, kept: HashMap::new() }
    }

    /// Makes a receipt: compact form and number.
    pub(super) fn issue(&mut self, about: About<'_>, random: [u8; 16]) -> (String, String) {
        let (number, iat) = (ReceiptNumber::from_random(random).to_string(), about.at_ms.div_euclid(1000));
        let claims = Claims {
            iss: ISSUER,
            aud: ISSUER,
            jti: number.clone(),
            iat,
            exp: iat.saturating_add(VALID_SECONDS),
            institution: about.institution,
            transaction: about.transaction,
            attempt: about.attempt,
            scene: about.scene,
            decision: about.decision,
            disposition: about.disposition,
            policy: about.policy,
            card_mac: jws::encode(&card_mac(about.identifier)),
        };
        let compact = jws::sign(&jws::Header::new(TYPE, Some(key_id(&self.key.verifying_key())), None), &claims, &self.key);
        let kept = Kept {
            compact: compact.clone(),
            disposition: about.disposition.to_owned(),
            expires_at: claims.exp,
            settlement: None,
            reversed: false,
        };
        self.kept.insert(number.clone(), kept);
        (compact, number)
    }

    /// Binds a settlement to a receipt: a refusal as a word, its state, and whether it was so before.
    pub(super) fn confirm(&mut self, request: &v1::ConfirmReceiptRequest, now_ms: i64) -> (&'static str, ReceiptState, bool) {
        let Some(kept) = self.kept.get_mut(&request.receipt_number) else { return ("unknown_number", ReceiptState::Unspecified, false) };
        let wanted = (request.settlement.clone(), request.amount_fen);
        let refusal = match (&kept.settlement, kept.disposition.as_str()) {
            _ if kept.reversed => "reversed",
            (Some((settlement, amount)), _) if *settlement == wanted.0 => {
                if *amount == wanted.1 {
                    return ("", kept.state(), true);
                }
                "other_amount"
            }
            (Some(_), _) => "used",
            (None, _) if now_ms.div_euclid(1000) >= kept.expires_at => "expired",
            (None, "document_check") if request.document_checked_by.is_empty() => "document_not_checked",
            (None, "settle" | "settle_flagged" | "document_check") => {
                kept.settlement = Some(wanted);
                ""
            }
            (None, _) => "not_for_settlement",
        };
        (refusal, kept.state(), false)
    }

    /// Takes a settlement back.
    pub(super) fn reverse(&mut self, request: &v1::ReverseReceiptRequest) -> (&'static str, ReceiptState, bool) {
        let Some(kept) = self.kept.get_mut(&request.receipt_number) else { return ("unknown_number", ReceiptState::Unspecified, false) };
        let of_it = |settlement: &(String, u64)| request.settlement.is_empty() || settlement.0 == request.settlement;
        let before = kept.reversed;
        if !request.settlement.is_empty() && !kept.settlement.as_ref().is_some_and(of_it) {
            return ("not_confirmed", kept.state(), false);
        }
        kept.reversed = true;
        ("", kept.state(), before)
    }

    /// What a number names.
    pub(super) fn find(&self, number: &str) -> v1::FindReceiptResponse {
        self.kept.get(number).map_or_else(
            || v1::FindReceiptResponse { refusal: "unknown_number".into(), ..v1::FindReceiptResponse::default() },
            |kept| v1::FindReceiptResponse { refusal: String::new(), state: kept.state().into(), receipt: kept.compact.clone() },
        )
    }
}

impl Kept {
    fn state(&self) -> ReceiptState {
        match (self.reversed, &self.settlement) {
            (true, _) => ReceiptState::Reversed,
            (false, Some(_)) => ReceiptState::Confirmed,
            (false, None) => ReceiptState::Issued,
        }
    }
}

/// The simulator's key as a center publishes its own (RFC 7517).
pub(super) fn jwks(key: &VerifyingKey) -> String {
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": jws::encode(key.as_bytes()), "kid": key_id(key), "use": "sig", "alg": "EdDSA" });
    json!({ "keys": [key] }).to_string()
}

/// The name of a key: its thumbprint (RFC 7638).
fn key_id(key: &VerifyingKey) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, jws::encode(key.as_bytes()));
    jws::encode(&Sha256::digest(members))
}

/// The card as center and settlement side name it.
fn card_mac(identifier: &v1::Identifier) -> [u8; 32] {
    let kind = match identifier.kind() {
        v1::IdentifierKind::ResidentIdentity => "resident_identity",
        v1::IdentifierKind::SocialSecurityCard | v1::IdentifierKind::Unspecified => "social_security_card",
    };
    let mut block = [0_u8; 64];
    block.iter_mut().zip(SETTLEMENT_KEY).for_each(|(to, from)| *to = from);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    for part in ["card", kind, &identifier.region, &identifier.value] {
        mac.update(part.as_bytes());
        mac.update(&[0]);
    }
    mac.finalize().into_bytes().into()
}
