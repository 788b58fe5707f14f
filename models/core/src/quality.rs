//! Quality of a face picture, component by component, and the gates that ask for enough of each.
//!
//! Components carry the names of ISO/IEC 29794-5; those that cannot be computed with the models at hand are
//! absent rather than guessed. Each has the raw measure (its unit is the component's) and a score from 0 to
//! 100, where more is better. There is no single overall number: a refusal names the component. Not here:
//! how a component is measured (`models::quality`).

use std::{collections::BTreeMap, fmt};

use thiserror::Error;

macro_rules! components {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// One component of quality.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Component { $($(#[$doc])* $name,)+ }

        impl Component {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word for it on the wire, in policies, records and reports.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            /// What a word stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

components! {
    /// Whether another face competes. Raw: area of the second largest face over the largest's, 0–1.
    SingleFacePresent = "single_face_present",
    /// Raw: pixels between the eyes, divided by the cosine of yaw.
    InterEyeDistance = "inter_eye_distance",
    /// Raw: height of the face's box over the picture's, 0–1.
    HeadSize = "head_size",
    /// Raw: space left of the face, in box widths; negative when cut off.
    LeftwardCrop = "leftward_crop_of_the_face",
    /// Raw: space right of the face, in box widths; negative when cut off.
    RightwardCrop = "rightward_crop_of_the_face",
    /// Raw: space above the face, in box heights; negative when cut off.
    MarginAbove = "margin_above_of_the_face",
    /// Raw: space below the face, in box heights; negative when cut off.
    MarginBelow = "margin_below_of_the_face",
    /// Raw: degrees of yaw, positive when the face turns to the picture's right.
    HeadPoseYaw = "head_pose_yaw",
    /// Raw: degrees of pitch, positive when the face looks up.
    HeadPosePitch = "head_pose_pitch",
    /// Raw: degrees of roll, of the line between the eyes; positive clockwise as seen.
    HeadPoseRoll = "head_pose_roll",
    /// Raw: how open the eyes are, 0–1: for each the network's probability or, where that is larger, how far the lids
    /// are apart (0.20 to 0.30 of the eye's width); the mean of both. Narrow eyes count as open.
    EyesOpen = "eyes_open",
    /// Raw: variance of the Laplacian of the aligned face's luminance, in percent of the mean luminance, squared:
    /// about 60 in a good picture, below 5 in a blurred one, the same in the dark.
    Sharpness = "sharpness",
    /// Raw: share of the face's pixels that are nearly black, 0–1.
    UnderExposurePrevention = "under_exposure_prevention",
    /// Raw: share of the face's pixels that are nearly white, 0–1.
    OverExposurePrevention = "over_exposure_prevention",
    /// Raw: overlap of the luminance histograms of the face's two halves, 0–1.
    IlluminationUniformity = "illumination_uniformity",
    /// Raw: entropy of the face's luminance in bits, 0–8.
    DynamicRange = "dynamic_range",
    /// Raw: mean step across the borders of JPEG's 8 × 8 blocks over that elsewhere, 1 when there are none.
    NoCompressionArtifacts = "no_compression_artifacts",
    /// Raw: share of mouth and chin that has the colour of the same face's skin below the eyes, 0–1; low when a mask
    /// of another colour covers them. A mask of skin's colour is not seen, nor any in a grey picture.
    MouthOcclusionPrevention = "mouth_occlusion_prevention",
    /// Raw: detection score of the whole face, 0–1; low when hair, hands or objects cover it.
    FaceOcclusionPrevention = "face_occlusion_prevention",
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One component as measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// In the component's own unit; finite.
    pub raw: f32,
    /// 0 (unusable) to 100 (nothing to wish for).
    pub score: u8,
}

/// What was measured of one face. Empty when nothing was.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Quality(BTreeMap<Component, Measure>);

impl Quality {
    /// Records a component; a later measure replaces an earlier one. The score is capped at 100, and a raw
    /// value that is not finite is not recorded.
    pub fn set(&mut self, component: Component, raw: f32, score: u8) {
        if raw.is_finite() {
            self.0.insert(component, Measure { raw, score: score.min(100) });
        }
    }

    /// A component as measured, if it was.
    #[must_use]
    pub fn get(&self, component: Component) -> Option<Measure> {
        self.0.get(&component).copied()
    }

    /// All measures in the order of [`Component::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Component, Measure)> + '_ {
        self.0.iter().map(|(component, measure)| (*component, *measure))
    }

    /// How many components were measured.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lowest score among these components: what limits the picture. Nothing when none was measured.
    #[must_use]
    pub fn worst_of(&self, components: &[Component]) -> Option<(Component, Measure)> {
        self.iter().filter(|(component, _)| components.contains(component)).min_by_key(|(_, measure)| measure.score)
    }
}

impl FromIterator<(Component, Measure)> for Quality {
    fn from_iter<I: IntoIterator<Item = (Component, Measure)>>(measures: I) -> Self {
        let mut quality = Self::default();
        for (component, measure) in measures {
            quality.set(component, measure.raw, measure.score);
        }
        quality
    }
}

/// A picture falls short of a gate. An outcome, not a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{component}: expected a score of at least {at_least}, got {score}")]
pub struct QualityRefusal {
    /// The component furthest below what the gate asks.
    pub component: Component,
    /// What was measured, 0–100.
    pub score: u8,
    /// What the gate asks, 1–100.
    pub at_least: u8,
}

/// What a picture must reach, component by component. A component that the gate names and that could not be
/// measured is no refusal: only what was seen can be held against a picture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gate(BTreeMap<Component, u8>);

impl Gate {
    /// Lets everything pass.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// A gate of these minima, 0–100 each.
    #[must_use]
    pub fn of(minima: &[(Component, u8)]) -> Self {
        minima.iter().copied().collect()
    }

    /// The minimum for one component.
    #[must_use]
    pub fn at_least(&self, component: Component) -> Option<u8> {
        self.0.get(&component).copied()
    }

    /// All minima in the order of [`Component::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Component, u8)> + '_ {
        self.0.iter().map(|(component, at_least)| (*component, *at_least))
    }

    /// Whether a picture of this quality passes.
    ///
    /// # Errors
    /// With the component that is furthest below its minimum.
    pub fn check(&self, quality: &Quality) -> Result<(), QualityRefusal> {
        let short = self.iter().filter_map(|(component, at_least)| {
            let score = quality.get(component)?.score;
            (score < at_least).then_some(QualityRefusal { component, score, at_least })
        });
        short.max_by_key(|refusal| refusal.at_least - refusal.score).map_or(Ok(()), Err)
    }
}

impl FromIterator<(Component, u8)> for Gate {
    fn from_iter<I: IntoIterator<Item = (Component, u8)>>(minima: I) -> Self {
        Self(minima.into_iter().map(|(component, at_least)| (component, at_least.min(100))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality(measures: &[(Component, u8)]) -> Quality {
        measures.iter().map(|(component, score)| (*component, Measure { raw: 0.0, score: *score })).collect()
    }

    #[track_caller]
    fn check(measures: &[(Component, u8)], expected: Option<(Component, u8, u8)>) {
        let gate = Gate::of(&[(Component::Sharpness, 30), (Component::EyesOpen, 50)]);
        let refusal = gate.check(&quality(measures)).err().map(|refusal| (refusal.component, refusal.score, refusal.at_least));
        assert_eq!(refusal, expected);
    }

    #[test]
    fn a_refusal_names_the_component_furthest_below() {
        check(&[(Component::Sharpness, 30), (Component::EyesOpen, 50)], None);
        check(&[(Component::Sharpness, 29), (Component::EyesOpen, 50)], Some((Component::Sharpness, 29, 30)));
        check(&[(Component::Sharpness, 20), (Component::EyesOpen, 10)], Some((Component::EyesOpen, 10, 50)));
    }

    #[test]
    fn what_was_not_measured_is_not_held_against_a_picture() {
        check(&[], None);
        check(&[(Component::HeadSize, 0)], None);
    }

    #[test]
    fn words_are_read_back_and_differ() {
        for component in Component::ALL {
            assert_eq!(Component::from_word(component.word()), Some(*component));
        }
        assert_eq!(Component::from_word("beauty"), None);
    }

    #[test]
    fn a_raw_value_that_is_no_number_is_not_recorded() {
        let mut quality = Quality::default();
        quality.set(Component::Sharpness, f32::NAN, 50);
        quality.set(Component::EyesOpen, 0.5, 255);
        assert_eq!((quality.len(), quality.get(Component::EyesOpen).map(|measure| measure.score)), (1, Some(100)));
    }
}
