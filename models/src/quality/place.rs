//! Where the face is in the picture, how large, and whether another competes.

use models_core::{Component, DetectedFace};

use super::Recorder;
use crate::picture::Picture;

pub(super) fn measure(record: &mut Recorder, picture: &Picture, faces: &[DetectedFace], face: &DetectedFace, yaw_deg: f32) {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let of = face.face_box;
    let area = of.area().max(1.0);
    let rival = faces.iter().filter(|other| *other != face).map(|other| other.face_box.area()).fold(0.0, f32::max);
    record.set(Component::SingleFacePresent, (rival / area).min(1.0));
    // A head turned away shows its eyes nearer together than they are.
    let turned = yaw_deg.to_radians().cos().max(0.5);
    record.set(Component::InterEyeDistance, face.landmarks.inter_eye_distance() / turned);
    record.set(Component::HeadSize, of.height() / height);
    let (wide, high) = (of.width().max(1.0), of.height().max(1.0));
    record.set(Component::LeftwardCrop, of.left / wide);
    record.set(Component::RightwardCrop, (width - of.right) / wide);
    record.set(Component::MarginAbove, of.top / high);
    record.set(Component::MarginBelow, (height - of.bottom) / high);
}
