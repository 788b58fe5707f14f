//! From raw measures to scores: one monotone curve for each component, straight between its knots.

use models_core::Component;

/// Knots (raw, score) in rising order of raw.
type Curve = &'static [(f32, f32)];

/// The score of a raw measure, 0–100.
pub(super) fn score(component: Component, raw: f32) -> u8 {
    let raw = if symmetric(component) { raw.abs() } else { raw };
    at(curve(component), raw).round().clamp(0.0, 100.0) as u8
}

/// Angles count the same to both sides.
fn symmetric(component: Component) -> bool {
    matches!(component, Component::HeadPoseYaw | Component::HeadPosePitch | Component::HeadPoseRoll)
}

fn curve(component: Component) -> Curve {
    match component {
        Component::SingleFacePresent => &[(0.0, 100.0), (0.35, 50.0), (1.0, 0.0)],
        Component::InterEyeDistance => &[(10.0, 0.0), (14.0, 20.0), (24.0, 40.0), (60.0, 80.0), (90.0, 100.0)],
        Component::HeadSize => &[(0.05, 0.0), (0.15, 40.0), (0.35, 100.0), (0.75, 100.0), (1.1, 0.0)],
        Component::LeftwardCrop | Component::RightwardCrop | Component::MarginAbove | Component::MarginBelow => {
            &[(-0.3, 0.0), (0.0, 70.0), (0.3, 100.0)]
        }
        Component::HeadPoseYaw | Component::HeadPosePitch => &[(5.0, 100.0), (25.0, 60.0), (35.0, 40.0), (55.0, 15.0), (75.0, 0.0)],
        Component::HeadPoseRoll => &[(5.0, 100.0), (25.0, 60.0), (45.0, 20.0), (75.0, 0.0)],
        Component::EyesOpen => &[(0.0, 0.0), (1.0, 100.0)],
        Component::Sharpness => &[(2.0, 0.0), (6.0, 15.0), (10.0, 25.0), (60.0, 70.0), (200.0, 100.0)],
        Component::UnderExposurePrevention => &[(0.02, 100.0), (0.35, 40.0), (0.6, 20.0), (1.0, 0.0)],
        Component::OverExposurePrevention => &[(0.02, 100.0), (0.4, 40.0), (0.6, 20.0), (1.0, 0.0)],
        Component::IlluminationUniformity => &[(0.05, 0.0), (0.15, 20.0), (0.8, 100.0)],
        Component::DynamicRange => &[(2.5, 0.0), (4.0, 20.0), (5.0, 40.0), (7.0, 100.0)],
        Component::NoCompressionArtifacts => &[(1.1, 100.0), (2.0, 60.0), (3.0, 30.0), (5.0, 0.0)],
        Component::MouthOcclusionPrevention => &[(0.0, 0.0), (0.2, 20.0), (0.4, 40.0), (0.9, 100.0)],
        Component::FaceOcclusionPrevention => &[(0.3, 0.0), (0.5, 20.0), (0.65, 40.0), (0.9, 100.0)],
    }
}

/// The value of a curve, straight between its knots and level beyond them.
fn at(knots: Curve, raw: f32) -> f32 {
    let mut before: Option<(f32, f32)> = None;
    for (x, y) in knots {
        if raw <= *x {
            return before.map_or(*y, |(x0, y0)| y0 + (y - y0) * (raw - x0) / (x - x0));
        }
        before = Some((*x, *y));
    }
    before.map_or(0.0, |(_, y)| y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knots_rise_and_every_curve_uses_the_whole_range() {
        for component in Component::ALL {
            let knots = curve(*component);
            assert!(knots.windows(2).all(|pair| pair[0].0 < pair[1].0), "{component}");
            let scores = || knots.iter().map(|(_, score)| *score);
            assert_eq!((scores().fold(100.0, f32::min), scores().fold(0.0, f32::max)), (0.0, 100.0), "{component}");
        }
    }

    #[test]
    fn between_knots_it_is_straight_and_beyond_them_level() {
        assert_eq!(score(Component::EyesOpen, 0.25), 25);
        assert_eq!(score(Component::EyesOpen, 3.0), 100);
        assert_eq!(score(Component::HeadPoseYaw, -90.0), 0);
        assert_eq!(score(Component::HeadPoseYaw, 90.0), 0);
        assert_eq!(score(Component::HeadPoseYaw, 0.0), 100);
    }
}
