//! The center's policy, as far as a counter works by it: signed by the center, checked here, kept over restarts.
//!
//! Gates of the policy take the place of those in `agent.toml`. Not here: what decisions mean; thresholds stay at the center.

use std::collections::BTreeMap;

use capture_core::{AcquisitionRule, Scene};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use models_core::{Component, Gate};
use prost::Message;
use proto::v1;
use thiserror::Error;

use crate::{
    answer::{Disposition, disposition},
    lease,
    line::{client::CallError, spool::SpoolError},
};

const PREFIX: &[u8] = b"countersign device policy v1\0";

/// The center's policy could not be taken.
#[derive(Debug, Error)]
pub enum PolicyError {
    /// The center did not answer or refused.
    #[error("{0}")]
    Call(CallError),
    /// The center answered without one.
    #[error("the center's answer: policy: expected a signed policy")]
    Missing,
    /// It does not carry the signature of the key that the bundle names.
    #[error("the center's policy: signature: expected that of the policy key this device was installed with")]
    Signature,
    /// It cannot be read, or a field is not in order.
    #[error("the center's policy: {0}")]
    Field(&'static str),
    /// It could not be kept.
    #[error("the center's policy could not be kept")]
    Outbox(#[source] SpoolError),
}

/// A checked policy.
#[derive(Debug, Clone, PartialEq)]
pub struct DevicePolicy {
    /// Its version, as captures name it.
    pub version: String,
    /// Version of the notice at the counter.
    pub notice_version: String,
    /// Version of the consent that is asked for; empty where no scene asks for one.
    pub consent_version: String,
    /// True while answers tell nothing but to settle.
    pub shadow: bool,
    scenes: BTreeMap<Scene, SceneRules>,
}

/// What counts in one scene.
#[derive(Debug, Clone, PartialEq)]
pub struct SceneRules {
    /// Attempts a transaction may have, 1–99.
    pub attempts_max: u32,
    /// Whether nobody is captured without consent.
    pub asks_consent: bool,
    /// Whether somebody may come in the holder's place.
    pub proxy_allowed: bool,
    /// Whether their face is to be compared with their document's chip.
    pub proxy_face_against_document: bool,
    /// What the till does when the center cannot be asked.
    pub center_unreachable: Disposition,
    gate: Gate,
    floor: Gate,
}

impl DevicePolicy {
    /// Checks the signature and reads the policy.
    ///
    /// # Errors
    /// When the signature is not that of the key, or a field is not in order.
    pub fn verify(signed: &v1::SignedPolicy, key: &VerifyingKey) -> Result<Self, PolicyError> {
        let signature = Signature::from_slice(&signed.signature).map_err(|_| PolicyError::Signature)?;
        key.verify_strict(&[PREFIX, &signed.policy].concat(), &signature).map_err(|_| PolicyError::Signature)?;
        let policy = v1::DevicePolicy::decode(signed.policy.as_slice()).map_err(|_| PolicyError::Field("expected an encoded policy"))?;
        if policy.version.is_empty() || policy.version.len() > 64 {
            return Err(PolicyError::Field("version: expected 1 to 64 characters"));
        }
        let scenes = policy.scenes.iter().filter_map(scene).collect::<Result<_, _>>()?;
        let v1::DevicePolicy { version, notice_version, consent_version, shadow, .. } = policy;
        Ok(Self { version, notice_version, consent_version, shadow, scenes })
    }

    /// What the till does in a scene when the center cannot be asked; in shadow nothing is told but to settle.
    #[must_use]
    pub fn center_unreachable(&self, scene: Scene) -> Option<Disposition> {
        let told = self.scene(scene)?.center_unreachable;
        Some(if self.shadow { Disposition::Settle } else { told })
    }

    /// What counts in a scene; nothing where the policy does not say.
    #[must_use]
    pub fn scene(&self, scene: Scene) -> Option<&SceneRules> {
        self.scenes.get(&scene)
    }
}

impl SceneRules {
    /// A rule with this scene's gates. They stay as they are in `rule` where the scene asks for nothing at all.
    #[must_use]
    pub fn rule(&self, rule: &AcquisitionRule) -> AcquisitionRule {
        if self.gate == Gate::none() {
            return rule.clone();
        }
        AcquisitionRule { gate: self.gate.clone(), floor: self.floor.clone(), ..rule.clone() }
    }
}

/// Signs a policy as a center does: for drills.
pub(crate) fn sign(policy: &[u8], center: &SigningKey) -> v1::SignedPolicy {
    let signature = center.sign(&[PREFIX, policy].concat()).to_bytes().to_vec();
    v1::SignedPolicy { policy: policy.to_vec(), signature, key_id: String::new() }
}

/// One scene; nothing for one that this release does not know.
fn scene(scene: &v1::DeviceScene) -> Option<Result<(Scene, SceneRules), PolicyError>> {
    let known = lease::known(scene.scene())?;
    if !(1..=99).contains(&scene.attempts_max) {
        return Some(Err(PolicyError::Field("scenes.attempts_max: expected 1 to 99")));
    }
    let (attempts_max, asks_consent) = (scene.attempts_max, scene.asks_consent);
    let (proxy_allowed, proxy_face_against_document) = (scene.proxy_allowed, scene.proxy_face_against_document);
    // A center that does not say lets nobody settle on it.
    let center_unreachable = disposition(scene.center_unreachable()).unwrap_or(Disposition::OtherWay);
    let (gate, floor) = (gate(&scene.gate), gate(&scene.floor));
    Some(Ok((
        known,
        SceneRules { attempts_max, asks_consent, proxy_allowed, proxy_face_against_document, center_unreachable, gate, floor },
    )))
}

/// Components that a later release names are not asked for here.
fn gate(minima: &[v1::QualityMinimum]) -> Gate {
    minima.iter().filter_map(|minimum| Some((Component::from_word(&minimum.component)?, u8::try_from(minimum.at_least).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(policy: &v1::DevicePolicy) -> (v1::SignedPolicy, VerifyingKey) {
        let key = SigningKey::from_bytes(&[3; 32]);
        let policy = policy.encode_to_vec();
        let signature = key.sign(&[PREFIX, &policy].concat()).to_bytes().to_vec();
        (v1::SignedPolicy { policy, signature, key_id: String::new() }, key.verifying_key())
    }

    fn policy() -> v1::DevicePolicy {
        let minimum = |component: &str, at_least| v1::QualityMinimum { component: component.into(), at_least };
        let settlement = v1::DeviceScene {
            scene: v1::Scene::Settlement.into(),
            attempts_max: 2,
            gate: vec![minimum("sharpness", 40), minimum("a_later_one", 1)],
            floor: vec![minimum("sharpness", 20)],
            asks_consent: true,
            ..v1::DeviceScene::default()
        };
        let later = v1::DeviceScene { scene: 77, ..v1::DeviceScene::default() };
        v1::DevicePolicy { version: "p2".into(), scenes: vec![settlement, later], ..v1::DevicePolicy::default() }
    }

    #[test]
    fn a_signed_policy_sets_gates_and_what_is_not_known_is_left_out() {
        let (signed, key) = signed(&policy());
        let policy = DevicePolicy::verify(&signed, &key).unwrap();
        assert!(policy.scene(Scene::Reception).is_none());
        let settlement = policy.scene(Scene::Settlement).unwrap();
        assert!(settlement.asks_consent && settlement.attempts_max == 2);
        let rule = settlement.rule(&AcquisitionRule::default());
        assert_eq!((rule.gate.at_least(Component::Sharpness), rule.gate.iter().count()), (Some(40), 1));
        assert_eq!((rule.floor.at_least(Component::Sharpness), rule.deadline_ms), (Some(20), AcquisitionRule::default().deadline_ms));
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut v1::SignedPolicy), expected: &str) {
        let (mut signed, key) = signed(&policy());
        change(&mut signed);
        let error = DevicePolicy::verify(&signed, &key).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_the_center_did_not_sign_is_refused() {
        check_refused(|signed| signed.policy.push(0), "signature: expected");
        check_refused(|signed| signed.signature[5] ^= 1, "signature: expected");
        check_refused(|signed| signed.signature.clear(), "signature: expected");
        let (other, _) = signed(&v1::DevicePolicy { version: String::new(), ..policy() });
        check_refused(|signed| *signed = other, "version: expected 1 to 64");
        let mut wrong = policy();
        wrong.scenes[0].attempts_max = 0;
        let (other, _) = signed(&wrong);
        check_refused(|signed| *signed = other, "attempts_max: expected 1 to 99");
    }
}
