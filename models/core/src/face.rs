//! Faces in a frame, and the rule that chooses the one that counts.
//!
//! Coordinates are pixels of the upright frame, x to the right, y down, origin at its top left corner.

use thiserror::Error;

/// A point in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// To the right.
    pub x: f32,
    /// Down.
    pub y: f32,
}

/// An upright rectangle in pixels; may reach beyond the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaceBox {
    /// Left edge.
    pub left: f32,
    /// Upper edge.
    pub top: f32,
    /// Right edge.
    pub right: f32,
    /// Lower edge.
    pub bottom: f32,
}

impl FaceBox {
    /// Width in pixels, never negative.
    #[must_use]
    pub fn width(&self) -> f32 {
        (self.right - self.left).max(0.0)
    }

    /// Height in pixels, never negative.
    #[must_use]
    pub fn height(&self) -> f32 {
        (self.bottom - self.top).max(0.0)
    }

    /// Area in square pixels.
    #[must_use]
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// The middle.
    #[must_use]
    pub fn center(&self) -> Point {
        Point { x: self.left.midpoint(self.right), y: self.top.midpoint(self.bottom) }
    }

    /// Area in common with another box over the area of both, 0–1.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> f32 {
        let common = FaceBox {
            left: self.left.max(other.left),
            top: self.top.max(other.top),
            right: self.right.min(other.right),
            bottom: self.bottom.min(other.bottom),
        };
        let both = self.area() + other.area() - common.area();
        if both > 0.0 { common.area() / both } else { 0.0 }
    }

    /// Share of the box that lies inside a frame of this size, 0–1.
    #[must_use]
    pub fn share_inside(&self, frame_width: f32, frame_height: f32) -> f32 {
        let inside = FaceBox {
            left: self.left.max(0.0),
            top: self.top.max(0.0),
            right: self.right.min(frame_width),
            bottom: self.bottom.min(frame_height),
        };
        if self.area() > 0.0 { inside.area() / self.area() } else { 0.0 }
    }
}

/// Left eye, right eye, tip of the nose, left and right corner of the mouth, as seen in the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Landmarks(pub [Point; 5]);

impl Landmarks {
    /// Distance between the eyes in pixels.
    #[must_use]
    pub fn inter_eye_distance(&self) -> f32 {
        let [left, right, ..] = self.0;
        (right.x - left.x).hypot(right.y - left.y)
    }
}

/// A face the detector found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectedFace {
    /// Where it is.
    pub face_box: FaceBox,
    /// Its five landmarks.
    pub landmarks: Landmarks,
    /// The detector's score, 0–1. Says "a face", nothing about whose.
    pub score: f32,
}

/// When one face of a frame counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaceRule {
    /// Smallest distance between the eyes, in pixels.
    pub inter_eye_distance_min_px: f32,
    /// Smallest detection score, 0–1. Faces below it are not seen at all.
    pub detection_score_min: f32,
    /// A second face counts as another person at the counter when its area is at least this share of the
    /// largest face's, 0–1.
    pub rival_area_min: f32,
    /// Smallest share of the face's box inside the frame, 0–1.
    pub share_inside_min: f32,
}

impl Default for FaceRule {
    fn default() -> Self {
        Self { inter_eye_distance_min_px: 24.0, detection_score_min: 0.5, rival_area_min: 0.35, share_inside_min: 0.85 }
    }
}

/// Why no face of a frame counts. An outcome, not a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum FaceRefusal {
    /// No face.
    #[error("no face")]
    NoFace,
    /// Several faces of similar size.
    #[error("several faces of similar size")]
    SeveralFaces,
    /// The largest face is too small.
    #[error("the face is too small")]
    TooSmall,
    /// The largest face is cut off by the edge of the frame.
    #[error("the face is cut off by the edge of the picture")]
    CutOff,
}

impl FaceRefusal {
    /// The word for it on the wire, in records and in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoFace => "no_face",
            Self::SeveralFaces => "several_faces",
            Self::TooSmall => "too_small",
            Self::CutOff => "cut_off",
        }
    }
}

/// Which face of a picture counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FaceChoice {
    /// The one that is clearly the person's: [`dominant_face`].
    #[default]
    Dominant,
    /// The one nearest the middle of the picture, however many there are (LFW's own convention).
    Central,
    /// The only one; two are a refusal, however small one is.
    Only,
}

/// Chooses the one face of a frame that counts, or says why there is none.
///
/// # Errors
/// The refusal, when no face counts.
pub fn choose_face(
    faces: &[DetectedFace],
    frame_width: f32,
    frame_height: f32,
    rule: &FaceRule,
    choice: FaceChoice,
) -> Result<DetectedFace, FaceRefusal> {
    let seen = || faces.iter().filter(|face| face.score >= rule.detection_score_min);
    match choice {
        FaceChoice::Dominant => dominant_face(faces, frame_width, frame_height, rule),
        FaceChoice::Central => {
            let off = |face: &&DetectedFace| off_centre(face, frame_width, frame_height);
            let central = seen().min_by(|a, b| off(a).total_cmp(&off(b))).ok_or(FaceRefusal::NoFace)?;
            usable(central, frame_width, frame_height, rule)
        }
        FaceChoice::Only => match seen().collect::<Vec<_>>().as_slice() {
            [] => Err(FaceRefusal::NoFace),
            [only] => usable(only, frame_width, frame_height, rule),
            _ => Err(FaceRefusal::SeveralFaces),
        },
    }
}

/// Chooses the one dominant face of a frame, or says why there is none.
///
/// The face that is largest, and nearest the middle among similar ones, counts when no other stands out as
/// nearly as much: a passer-by behind the patient, or a helper at the edge who leans in, is no refusal, and
/// two people side by side are.
///
/// # Errors
/// The refusal, when no face counts.
pub fn dominant_face(faces: &[DetectedFace], frame_width: f32, frame_height: f32, rule: &FaceRule) -> Result<DetectedFace, FaceRefusal> {
    let mut seen: Vec<(f32, &DetectedFace)> = faces
        .iter()
        .filter(|face| face.score >= rule.detection_score_min)
        .map(|face| (prominence(face, frame_width, frame_height), face))
        .collect();
    seen.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let ((most, chosen), others) = seen.split_first().ok_or(FaceRefusal::NoFace)?;
    if others.first().is_some_and(|(second, _)| *second >= rule.rival_area_min * most) {
        return Err(FaceRefusal::SeveralFaces);
    }
    usable(chosen, frame_width, frame_height, rule)
}

/// Area, weighed by how near the middle the face is: 1 there, falling to about a third at the edge's middle.
fn prominence(face: &DetectedFace, frame_width: f32, frame_height: f32) -> f32 {
    let off = off_centre(face, frame_width, frame_height);
    face.face_box.area() / (1.0 + 2.0 * off * off)
}

/// Distance of the face's middle from the frame's, 0 in the middle, 1 at the middle of a side.
fn off_centre(face: &DetectedFace, frame_width: f32, frame_height: f32) -> f32 {
    let at = face.face_box.center();
    let (x, y) = (at.x / frame_width.max(1.0) - 0.5, at.y / frame_height.max(1.0) - 0.5);
    2.0 * x.hypot(y)
}

fn usable(face: &DetectedFace, frame_width: f32, frame_height: f32, rule: &FaceRule) -> Result<DetectedFace, FaceRefusal> {
    if face.landmarks.inter_eye_distance() < rule.inter_eye_distance_min_px {
        Err(FaceRefusal::TooSmall)
    } else if face.face_box.share_inside(frame_width, frame_height) < rule.share_inside_min {
        Err(FaceRefusal::CutOff)
    } else {
        Ok(*face)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A face `size` pixels wide whose box starts at `left`, in a frame of 640 × 480.
    fn face(left: f32, size: f32, score: f32) -> DetectedFace {
        let at = |x: f32, y: f32| Point { x: left + x * size, y: 100.0 + y * size };
        DetectedFace {
            face_box: FaceBox { left, top: 100.0, right: left + size, bottom: 100.0 + size },
            landmarks: Landmarks([at(0.3, 0.4), at(0.7, 0.4), at(0.5, 0.6), at(0.35, 0.8), at(0.65, 0.8)]),
            score,
        }
    }

    #[track_caller]
    fn check(faces: &[DetectedFace], expected: Result<f32, FaceRefusal>) {
        let chosen = dominant_face(faces, 640.0, 480.0, &FaceRule::default());
        assert_eq!(chosen.map(|face| face.face_box.left), expected);
    }

    #[test]
    fn an_empty_frame_has_no_face() {
        check(&[], Err(FaceRefusal::NoFace));
        check(&[face(100.0, 150.0, 0.3)], Err(FaceRefusal::NoFace));
    }

    #[test]
    fn a_passer_by_behind_is_no_refusal() {
        check(&[face(400.0, 60.0, 0.9), face(100.0, 150.0, 0.9)], Ok(100.0));
    }

    #[test]
    fn two_people_side_by_side_are() {
        check(&[face(400.0, 140.0, 0.9), face(100.0, 150.0, 0.9)], Err(FaceRefusal::SeveralFaces));
    }

    #[test]
    fn a_helper_at_the_edge_is_none_even_with_a_face_as_large() {
        let mut helper = face(540.0, 150.0, 0.9);
        helper.face_box.bottom -= 60.0;
        check(&[helper, face(245.0, 150.0, 0.9)], Ok(245.0));
    }

    #[test]
    fn overlap_is_the_common_share_of_both() {
        let square = |left: f32, side: f32| FaceBox { left, top: 0.0, right: left + side, bottom: side };
        for (a, b, expected) in [
            (square(0.0, 10.0), square(0.0, 10.0), 1.0),
            (square(0.0, 10.0), square(5.0, 10.0), 1.0 / 3.0),
            (square(0.0, 10.0), square(20.0, 10.0), 0.0),
            (square(0.0, 0.0), square(0.0, 0.0), 0.0),
        ] {
            assert!((a.overlap(&b) - expected).abs() < 1e-6, "{a:?} {b:?}");
        }
    }

    #[test]
    fn the_choice_says_which_face_counts() {
        let faces = [face(20.0, 150.0, 0.9), face(290.0, 60.0, 0.9)];
        let rule = FaceRule { inter_eye_distance_min_px: 20.0, ..FaceRule::default() };
        let chosen = |choice| choose_face(&faces, 640.0, 480.0, &rule, choice).map(|face| face.face_box.left);
        assert_eq!(chosen(FaceChoice::Dominant), Ok(20.0));
        assert_eq!(chosen(FaceChoice::Central), Ok(290.0));
        assert_eq!(chosen(FaceChoice::Only), Err(FaceRefusal::SeveralFaces));
    }

    #[test]
    fn small_and_cut_off_faces_are_named() {
        check(&[face(100.0, 50.0, 0.9)], Err(FaceRefusal::TooSmall));
        check(&[face(-60.0, 150.0, 0.9)], Err(FaceRefusal::CutOff));
    }
}
