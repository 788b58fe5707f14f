//! The center's lease, as this device holds it: checked each time it is read, and its terms in the words of the rules.
//!
//! Not here: whether it allows something now (`capture_core::degraded`), and where it is kept.

use capture_core::{
    Scene,
    degraded::{LeaseTerms, SceneTerms},
};
use ed25519_dalek::VerifyingKey;
use proto::{
    lease::{self, LeaseError},
    v1::{self, SignedLease},
};

/// A lease that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it allows.
    pub terms: LeaseTerms,
    /// Whom provisional receipts are meant for.
    pub audience: String,
}

impl Lease {
    /// Checks a lease for a device. Scenes of a later release are left out.
    ///
    /// # Errors
    /// When it is not in order, not the center's, or another device's.
    pub fn read(signed: &SignedLease, center: &VerifyingKey, device: &str) -> Result<Self, LeaseError> {
        let v1::Lease { serial, policy_version, issued_at_ms, scenes, audience, .. } = lease::check(signed, center, device)?;
        let terms = |scene: &v1::LeaseScene| {
            let (captures_max, until_ms) = (scene.captures_max, scene.until_ms);
            Some(SceneTerms { scene: known(scene.scene())?, captures_max, until_ms })
        };
        let scenes = scenes.iter().filter_map(terms).collect();
        Ok(Self { terms: LeaseTerms { serial, policy_version, issued_at_ms, scenes }, audience })
    }
}

/// A scene of this release.
#[must_use]
pub fn known(scene: v1::Scene) -> Option<Scene> {
    match scene {
        v1::Scene::Unspecified => None,
        v1::Scene::Registration => Some(Scene::Registration),
        v1::Scene::Reception => Some(Scene::Reception),
        v1::Scene::Settlement => Some(Scene::Settlement),
        v1::Scene::Admission => Some(Scene::Admission),
        v1::Scene::Discharge => Some(Scene::Discharge),
        v1::Scene::Transfer => Some(Scene::Transfer),
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    #[test]
    fn a_lease_is_read_in_the_words_of_the_rules() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let scene = |scene: i32| v1::LeaseScene { scene, captures_max: 5, until_ms: 9 };
        let wire = v1::Lease {
            serial: "L-1".into(),
            device: "till-1".into(),
            policy_version: "p1".into(),
            issued_at_ms: 4,
            scenes: vec![scene(v1::Scene::Settlement.into()), scene(77)],
            audience: "settlement".into(),
        };
        let lease = Lease::read(&lease::sign(&wire, &key), &key.verifying_key(), "till-1").unwrap();
        assert_eq!(lease.terms.scenes, [SceneTerms { scene: Scene::Settlement, captures_max: 5, until_ms: 9 }]);
        assert_eq!((lease.audience.as_str(), lease.terms.serial.as_str()), ("settlement", "L-1"));
        assert!(Lease::read(&lease::sign(&wire, &key), &key.verifying_key(), "till-2").is_err());
    }
}
