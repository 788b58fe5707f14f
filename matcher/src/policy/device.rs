//! What a policy tells devices: gates, attempts, bounds. Thresholds stay at the center.

use matcher_core::{Basis, Decision, Disposition, Mode, NoDecision, Policy, Scene, ScenePolicy};
use models_core::Gate;
use prost::Message;
use proto::v1;

use crate::store::TimeMs;

/// The part of a policy for devices, encoded once and signed in that form.
#[must_use]
pub fn encode(policy: &Policy, applied_at: TimeMs) -> Vec<u8> {
    v1::DevicePolicy {
        version: policy.version().to_owned(),
        applied_at_ms: applied_at,
        model_id: policy.model().to_string(),
        recipe_id: policy.recipe().to_string(),
        notice_version: policy.notices().notice.clone(),
        consent_version: policy.notices().consent.clone(),
        scenes: Scene::ALL.iter().map(|scene| of_scene(*scene, policy.scene(*scene))).collect(),
        shadow: policy.mode() == Mode::Shadow,
    }
    .encode_to_vec()
}

fn of_scene(scene: Scene, rules: &ScenePolicy) -> v1::DeviceScene {
    v1::DeviceScene {
        scene: wire_scene(scene).into(),
        attempts_max: rules.attempts_max,
        gate: minima(&rules.probe.gate),
        floor: minima(&rules.probe.floor),
        asks_consent: rules.basis == Basis::Consent,
        center_unreachable: wire_disposition(rules.disposition(Decision::NoDecision(NoDecision::CenterUnreachable))).into(),
        degraded_captures_max: rules.degraded.captures_max,
        degraded_hours_max: rules.degraded.hours_max,
        proxy_allowed: rules.proxy.allowed,
        proxy_principals_per_day_max: rules.proxy.principals_per_day_max,
        proxy_face_against_document: rules.proxy.face_against_document,
    }
}

fn minima(gate: &Gate) -> Vec<v1::QualityMinimum> {
    let minimum = |(component, at_least): (models_core::Component, u8)| v1::QualityMinimum {
        component: component.word().to_owned(),
        at_least: at_least.into(),
    };
    gate.iter().map(minimum).collect()
}

/// A scene as it travels.
#[must_use]
pub fn wire_scene(scene: Scene) -> v1::Scene {
    match scene {
        Scene::Registration => v1::Scene::Registration,
        Scene::Reception => v1::Scene::Reception,
        Scene::Settlement => v1::Scene::Settlement,
        Scene::Admission => v1::Scene::Admission,
        Scene::Discharge => v1::Scene::Discharge,
        Scene::Transfer => v1::Scene::Transfer,
    }
}

/// A disposition as it travels.
#[must_use]
pub fn wire_disposition(disposition: Disposition) -> v1::Disposition {
    match disposition {
        Disposition::Settle => v1::Disposition::Settle,
        Disposition::SettleFlagged => v1::Disposition::SettleFlagged,
        Disposition::DocumentCheck => v1::Disposition::DocumentCheck,
        Disposition::OtherWay => v1::Disposition::OtherWay,
        Disposition::Hold => v1::Disposition::Hold,
        Disposition::Retry => v1::Disposition::Retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_gates_and_bounds_and_no_threshold() {
        let policy = Policy::from_toml(Policy::SHIPPED).unwrap();
        let told = v1::DevicePolicy::decode(encode(&policy, 7).as_slice()).unwrap();
        assert_eq!((told.version.as_str(), told.applied_at_ms, told.shadow, told.scenes.len()), ("shadow-1", 7, true, 6));
        let settlement = told.scenes.iter().find(|scene| scene.scene() == v1::Scene::Settlement).unwrap();
        assert_eq!((settlement.attempts_max, settlement.gate.len(), settlement.floor.len(), settlement.asks_consent), (3, 11, 4, false));
        assert_eq!((settlement.center_unreachable(), settlement.proxy_allowed), (v1::Disposition::SettleFlagged, true));
    }
}
