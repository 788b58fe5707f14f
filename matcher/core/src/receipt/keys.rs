//! Keys of receipts: which one signs now, which are published, and the published set (RFC 7517, RFC 8037).
//!
//! A new key is published at once and signs only after a while, when every checker has fetched it; a retired one
//! stays published until the last receipt it signed has expired. Not here: where private keys are kept.

use std::{collections::BTreeMap, fmt};

use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use receipt_form::jws;

/// A text that is no key set for receipts.
#[derive(Debug, Error)]
pub enum KeySetError {
    /// Not the JSON of a key set.
    #[error("key set: expected {{\"keys\": [...]}} with keys of kty, crv, x, kid, use and alg")]
    Json(#[source] serde_json::Error),
    /// A key is of another kind, or not what its name says.
    #[error("key set: keys[{0}]: expected an Ed25519 key for EdDSA signatures whose kid is its thumbprint (RFC 7638)")]
    Key(usize),
}

/// The name of a key: its thumbprint (RFC 7638), so that two keys never share one.
#[must_use]
pub fn key_id(key: &VerifyingKey) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, jws::encode(key.as_bytes()));
    jws::encode(&Sha256::digest(members))
}

/// Public keys by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeySet(BTreeMap<String, VerifyingKey>);

#[derive(Serialize, Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

/// Members that are not known are passed over, as the standard asks of readers.
#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    kid: String,
    #[serde(rename = "use")]
    usage: String,
    alg: String,
}

impl KeySet {
    /// The set of some keys.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        Self(keys.into_iter().map(|key| (key_id(&key), key)).collect())
    }

    /// Reads a published set.
    ///
    /// # Errors
    /// When it is not in order.
    pub fn from_jwks(text: &str) -> Result<Self, KeySetError> {
        let set: Jwks = serde_json::from_str(text).map_err(KeySetError::Json)?;
        let keys = set.keys.iter().enumerate().map(|(i, jwk)| jwk.key().ok_or(KeySetError::Key(i)));
        keys.collect::<Result<Vec<_>, _>>().map(Self::new)
    }

    /// The set as it is published.
    #[must_use]
    pub fn to_jwks(&self) -> String {
        let jwk = |(kid, key): (&String, &VerifyingKey)| Jwk {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            x: jws::encode(key.as_bytes()),
            kid: kid.clone(),
            usage: "sig".to_owned(),
            alg: "EdDSA".to_owned(),
        };
        let Ok(text) = serde_json::to_string(&Jwks { keys: self.0.iter().map(jwk).collect() }) else { unreachable!("texts become JSON") };
        text
    }

    /// The key of a name.
    #[must_use]
    pub fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.get(kid)
    }

    /// The names.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Jwk {
    fn key(&self) -> Option<VerifyingKey> {
        let bytes = <[u8; 32]>::try_from(jws::decode(&self.x).ok()?).ok()?;
        let key = VerifyingKey::from_bytes(&bytes).ok()?;
        let kind = (self.kty.as_str(), self.crv.as_str(), self.usage.as_str(), self.alg.as_str());
        (kind == ("OKP", "Ed25519", "sig", "EdDSA") && self.kid == key_id(&key)).then_some(key)
    }
}

/// A private key and when it was made.
pub struct DatedKey {
    /// When it was made: milliseconds since 1970-01-01 UTC; nothing where the file does not say, which is long ago.
    pub made_at: Option<i64>,
    /// The key.
    pub key: SigningKey,
}

/// How keys follow one another, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// How long a new key is published before it signs.
    pub publish_ahead_ms: i64,
    /// How long a retired key stays published: the longest life of a receipt, and a little more.
    pub keep_ms: i64,
}

/// The private keys, newest first; never none.
pub struct SigningKeys {
    newest: DatedKey,
    older: Vec<DatedKey>,
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys({} keys, [redacted])", self.all().count())
    }
}

impl SigningKeys {
    /// Takes the keys, newest first; nothing where there is none.
    #[must_use]
    pub fn new(keys: Vec<DatedKey>) -> Option<Self> {
        let mut keys = keys.into_iter();
        let newest = keys.next()?;
        Some(Self { newest, older: keys.collect() })
    }

    fn all(&self) -> impl Iterator<Item = &DatedKey> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    /// The key that signs: the newest that was published long enough, or the oldest where none was.
    #[must_use]
    pub fn signing(&self, now: i64, overlap: Overlap) -> &SigningKey {
        let oldest = self.older.last().unwrap_or(&self.newest);
        &self.all().find(|key| key.signs_from(overlap) <= now).unwrap_or(oldest).key
    }

    /// The keys to publish: those to come, the one that signs, and those whose receipts may not have expired.
    #[must_use]
    pub fn published(&self, now: i64, overlap: Overlap) -> KeySet {
        let mut retired_at = i64::MAX;
        let mut published = Vec::new();
        for key in self.all() {
            if now < retired_at.saturating_add(overlap.keep_ms) {
                published.push(key.key.verifying_key());
            }
            retired_at = retired_at.min(key.signs_from(overlap));
        }
        KeySet::new(published)
    }

    /// All keys, retired ones among them: for looking at receipts of the past.
    #[must_use]
    pub fn verifying(&self) -> KeySet {
        KeySet::new(self.all().map(|key| key.key.verifying_key()))
    }
}

impl DatedKey {
    fn signs_from(&self, overlap: Overlap) -> i64 {
        self.made_at.map_or(i64::MIN, |made_at| made_at.saturating_add(overlap.publish_ahead_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVERLAP: Overlap = Overlap { publish_ahead_ms: 60, keep_ms: 15 };

    fn keys(made: &[Option<i64>]) -> SigningKeys {
        let key = |(byte, made_at): (u8, &Option<i64>)| DatedKey { made_at: *made_at, key: SigningKey::from_bytes(&[byte; 32]) };
        SigningKeys::new((1..).zip(made).map(key).collect()).unwrap()
    }

    /// Which key signs at a time, and which are published, by their place in the file from 1.
    #[track_caller]
    fn check(made: &[Option<i64>], now: i64, signs: u8, published: &[u8]) {
        let keys = keys(made);
        assert_eq!(keys.signing(now, OVERLAP).to_bytes(), [signs; 32], "signs at {now}");
        let expected = published.iter().map(|byte| SigningKey::from_bytes(&[*byte; 32]).verifying_key());
        assert_eq!(keys.published(now, OVERLAP), KeySet::new(expected), "published at {now}");
    }

    #[test]
    fn a_new_key_is_published_before_it_signs_and_a_retired_one_until_its_receipts_expire() {
        let made = [Some(1_000), Some(0)];
        check(&made, 1_000, 2, &[1, 2]);
        check(&made, 1_059, 2, &[1, 2]);
        check(&made, 1_060, 1, &[1, 2]);
        check(&made, 1_074, 1, &[1, 2]);
        check(&made, 1_075, 1, &[1]);
    }

    #[test]
    fn the_first_key_of_a_center_signs_at_once() {
        check(&[Some(1_000)], 1_000, 1, &[1]);
        check(&[None], i64::MIN, 1, &[1]);
        check(&[Some(1_000), None], 1_000, 2, &[1, 2]);
    }

    #[test]
    fn two_rotations_within_the_hour_keep_what_may_be_needed() {
        let made = [Some(1_010), Some(1_000), Some(0)];
        check(&made, 1_015, 3, &[1, 2, 3]);
        check(&made, 1_065, 2, &[1, 2, 3]);
        check(&made, 1_074, 1, &[1, 2, 3]);
        check(&made, 1_080, 1, &[1, 2]);
        check(&made, 1_085, 1, &[1]);
        assert!(SigningKeys::new(Vec::new()).is_none());
    }

    #[test]
    fn a_published_set_comes_back_and_names_each_key_by_its_thumbprint() {
        let set = keys(&[Some(0), None]).verifying();
        let text = set.to_jwks();
        assert_eq!(KeySet::from_jwks(&text).unwrap(), set);
        assert_eq!(set.ids().count(), 2);
        assert!(!text.contains("\"d\""), "no private member: {text}");
    }

    /// The example of RFC 8037, appendix A.3.
    #[test]
    fn the_thumbprint_is_that_of_the_standard() {
        let x = jws::decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let key = VerifyingKey::from_bytes(&x.try_into().unwrap()).unwrap();
        assert_eq!(key_id(&key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[track_caller]
    fn check_refused(from: &str, to: &str, expected: &str) {
        let text = keys(&[None]).verifying().to_jwks();
        assert!(text.contains(from), "{text}");
        let error = KeySet::from_jwks(&text.replace(from, to)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn keys_of_another_kind_are_refused() {
        check_refused("EdDSA", "HS256", "keys[0]: expected an Ed25519 key");
        check_refused("OKP", "oct", "keys[0]");
        check_refused("\"sig\"", "\"enc\"", "keys[0]");
        check_refused("\"kid\":\"", "\"kid\":\"x", "keys[0]");
        check_refused("\"x\":\"", "\"x\":\"!", "keys[0]");
        check_refused("\"keys\"", "\"key\"", "key set: expected");
    }

    #[test]
    fn debug_shows_no_private_key() {
        assert_eq!(format!("{:?}", keys(&[None, None])), "SigningKeys(2 keys, [redacted])");
    }
}
