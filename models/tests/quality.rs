//! Quality and gates on real pictures: what a person would refuse is refused for the reason a person would give,
//! angles follow the picture, and worse pictures never score better.
//!
//! Needs the files of `models fetch` and `datasets fetch registry-mini`; without them the tests print SKIPPED and
//! pass, unless `COUNTERSIGN_REQUIRE_MODELS=1`. One test also needs `EVAL_DATA`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{env, fs, path::Path};

use datasets::Pack;
use models::{
    Component, DetectedFace, FaceBox, FaceRule, Landmarks, Point, Quality, cache, dominant_face,
    manifest::Manifest,
    picture::Picture,
    pipeline::Pipeline,
    quality::{probe_gate, reference_gate, reference_rule},
};

fn ready() -> Option<(Pipeline, Pack)> {
    let pack = Pack::registry_mini(&datasets::default_dir());
    match Pipeline::load(&Manifest::shipped(), &cache::default_dir()) {
        Ok(pipeline) if pack.missing.is_empty() => Some((pipeline, pack)),
        _ => {
            assert!(env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "models or pictures are missing");
            eprintln!("SKIPPED: models or pictures are missing");
            None
        }
    }
}

fn decode(pack: &Pack, id: &str) -> Picture {
    Picture::decode(&pack.picture(id).unwrap().read().unwrap()).unwrap()
}

fn face_of(pipeline: &Pipeline, picture: &Picture) -> DetectedFace {
    let faces = pipeline.detect(picture).unwrap();
    dominant_face(&faces, picture.width() as f32, picture.height() as f32, &FaceRule::default()).unwrap()
}

fn measure(pipeline: &Pipeline, picture: &Picture, face: &DetectedFace) -> Quality {
    pipeline.quality(picture, &[*face], face).unwrap()
}

fn raw(quality: &Quality, component: Component) -> f32 {
    quality.get(component).unwrap().raw
}

/// The picture with every pixel passed through `change`, given its place.
fn changed(picture: &Picture, change: impl Fn(u32, u32, [u8; 3]) -> [u8; 3]) -> Picture {
    let width = picture.width();
    let pixels = picture.pixels().as_chunks::<3>().0.iter().zip(0_u32..);
    let pixels = pixels.flat_map(|(pixel, at)| change(at % width, at / width, *pixel)).collect();
    Picture::from_rgb8(width, picture.height(), pixels).unwrap()
}

fn pixel(picture: &Picture, x: i64, y: i64) -> [u8; 3] {
    let x = x.clamp(0, i64::from(picture.width()) - 1) as usize;
    let y = y.clamp(0, i64::from(picture.height()) - 1) as usize;
    picture.pixels().as_chunks::<3>().0[y * picture.width() as usize + x]
}

/// A box blur of this radius, twice.
fn blurred(picture: &Picture, radius: i64) -> Picture {
    let pass = |picture: &Picture, along_x: bool| {
        changed(picture, |x, y, _| {
            let mut sum = [0_u32; 3];
            for step in -radius..=radius {
                let (dx, dy) = if along_x { (step, 0) } else { (0, step) };
                let near = pixel(picture, i64::from(x) + dx, i64::from(y) + dy);
                (0..3).for_each(|channel| sum[channel] += u32::from(near[channel]));
            }
            sum.map(|sum| (sum / (2 * radius as u32 + 1)) as u8)
        })
    };
    pass(&pass(&pass(&pass(picture, true), false), true), false)
}

/// Turned clockwise as seen, by degrees, around the middle.
fn turned(picture: &Picture, degrees: f32) -> Picture {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (cx, cy) = (picture.width() as f32 / 2.0, picture.height() as f32 / 2.0);
    changed(picture, |x, y, _| {
        let (dx, dy) = (x as f32 - cx, y as f32 - cy);
        pixel(picture, (cx + cos * dx + sin * dy).round() as i64, (cy - sin * dx + cos * dy).round() as i64)
    })
}

fn mirrored(picture: &Picture) -> Picture {
    changed(picture, |x, y, _| pixel(picture, i64::from(picture.width() - 1 - x), i64::from(y)))
}

/// Every `step`th pixel of every `step`th row of a picture that was blurred for it.
fn shrunk(picture: &Picture, face: &DetectedFace, step: u32) -> (Picture, DetectedFace) {
    let smooth = blurred(picture, i64::from(step) / 2);
    let (width, height) = (picture.width() / step, picture.height() / step);
    let pixels = (0..height).flat_map(|y| {
        (0..width).flat_map({
            let smooth = &smooth;
            move |x| pixel(smooth, i64::from(x * step), i64::from(y * step))
        })
    });
    let by = step as f32;
    let at = |point: Point| Point { x: point.x / by, y: point.y / by };
    let FaceBox { left, top, right, bottom } = face.face_box;
    let face_box = FaceBox { left: left / by, top: top / by, right: right / by, bottom: bottom / by };
    let face = DetectedFace { face_box, landmarks: Landmarks(face.landmarks.0.map(at)), score: face.score };
    (Picture::from_rgb8(width, height, pixels.collect()).unwrap(), face)
}

/// Mouth and chin covered with one colour.
fn masked(picture: &Picture, face: &DetectedFace, colour: [u8; 3]) -> Picture {
    let [.., left, right] = face.landmarks.0;
    let eyes = face.landmarks.inter_eye_distance();
    let (cx, cy) = (left.x.midpoint(right.x), left.y.midpoint(right.y) + 0.1 * eyes);
    changed(picture, |x, y, pixel| {
        let inside = ((x as f32 - cx) / eyes).hypot((y as f32 - cy) / (0.8 * eyes)) <= 1.0;
        if inside { colour } else { pixel }
    })
}

#[test]
fn angles_follow_the_picture() {
    let Some((pipeline, pack)) = ready() else { return };
    let picture = decode(&pack, "pf_45-m7-di-ph.jpg");
    let straight = measure(&pipeline, &picture, &face_of(&pipeline, &picture));
    let mirror = mirrored(&picture);
    let other = measure(&pipeline, &mirror, &face_of(&pipeline, &mirror));
    let (yaw, mirrored_yaw) = (raw(&straight, Component::HeadPoseYaw), raw(&other, Component::HeadPoseYaw));
    assert!((30.0..60.0).contains(&yaw.abs()) && (yaw + mirrored_yaw).abs() < 6.0, "{yaw} {mirrored_yaw}");
    let picture = decode(&pack, "sk_astronaut.png");
    let roll = |picture: &Picture| raw(&measure(&pipeline, picture, &face_of(&pipeline, picture)), Component::HeadPoseRoll);
    let before = roll(&picture);
    for degrees in [-15.0, 12.0] {
        let after = roll(&turned(&picture, degrees));
        assert!((after - before - degrees).abs() < 4.0, "{before} {after}");
    }
}

#[test]
fn worse_pictures_never_score_better() {
    let Some((pipeline, pack)) = ready() else { return };
    for id in ["fr_obama.jpg", "sk_astronaut.png", "cl_franck_01829.jpg", "pf_single_face.jpg"] {
        let picture = decode(&pack, id);
        let face = face_of(&pipeline, &picture);
        let of = |picture: &Picture, component| raw(&measure(&pipeline, picture, &face), component);
        let blur = [0, 2, 5, 9].map(|radius| of(&blurred(&picture, radius), Component::Sharpness));
        assert!(blur.windows(2).all(|pair| pair[0] > pair[1]), "{id}: {blur:?}");
        let dark = |factor: f32| changed(&picture, |_, _, pixel| pixel.map(|value| (f32::from(value) * factor) as u8));
        let under = [1.0, 0.5, 0.25, 0.1].map(|factor| of(&dark(factor), Component::UnderExposurePrevention));
        assert!(under.windows(2).all(|pair| pair[0] <= pair[1]) && under[3] > 0.5, "{id}: {under:?}");
        let over = [1.0, 1.5, 2.5, 6.0].map(|factor| of(&dark(factor), Component::OverExposurePrevention));
        assert!(over.windows(2).all(|pair| pair[0] <= pair[1]) && over[3] > 0.5, "{id}: {over:?}");
        let range = [1.0, 0.5, 0.25, 0.1].map(|factor| of(&dark(factor), Component::DynamicRange));
        assert!(range.windows(2).all(|pair| pair[0] > pair[1]), "{id}: {range:?}");
        let small = [1, 2, 4].map(|step| {
            let (picture, face) = shrunk(&picture, &face, step);
            raw(&measure(&pipeline, &picture, &face), Component::InterEyeDistance)
        });
        assert!(small.windows(2).all(|pair| pair[0] > 1.6 * pair[1]), "{id}: {small:?}");
    }
}

#[test]
fn gates_refuse_what_a_person_would_and_name_the_component() {
    let Some((pipeline, pack)) = ready() else { return };
    let refusal = |picture: &Picture, face: &DetectedFace, gate: &models::Gate| {
        gate.check(&measure(&pipeline, picture, face)).err().map(|refusal| refusal.component)
    };
    for (id, expected) in [
        ("cl_franck_03979.jpg", Some(Component::EyesOpen)),
        ("cl_franck_04000.jpg", Some(Component::EyesOpen)),
        ("pf_45-m7-di-ph.jpg", Some(Component::HeadPoseYaw)),
        ("fr_obama.jpg", None),
        ("sk_astronaut.png", None),
    ] {
        let picture = decode(&pack, id);
        assert_eq!(refusal(&picture, &face_of(&pipeline, &picture), &reference_gate()), expected, "{id}");
    }
    for id in ["fr_obama.jpg", "cl_franck_01829.jpg", "pf_single_face.jpg"] {
        let picture = decode(&pack, id);
        let face = face_of(&pipeline, &picture);
        for colour in [[150, 190, 215], [225, 225, 225], [35, 35, 38]] {
            let covered = masked(&picture, &face, colour);
            assert_eq!(refusal(&covered, &face, &probe_gate()), Some(Component::MouthOcclusionPrevention), "{id} {colour:?}");
        }
        let dark = changed(&picture, |_, _, pixel| pixel.map(|value| value / 12));
        assert_eq!(refusal(&dark, &face, &probe_gate()), Some(Component::UnderExposurePrevention), "{id}");
        let radius = (0.12 * face.landmarks.inter_eye_distance()) as i64;
        assert_eq!(refusal(&blurred(&picture, radius), &face, &probe_gate()), Some(Component::Sharpness), "{id}");
    }
}

#[test]
fn no_faces_of_the_pack_are_refused_but_those_three() {
    let Some((pipeline, pack)) = ready() else { return };
    let mut refused = Vec::new();
    let mut enrolled = 0;
    for picture in &pack.pictures {
        match pipeline.enrol(&picture.read().unwrap(), &reference_rule(), &reference_gate()).unwrap() {
            Ok(_) => enrolled += 1,
            Err(refusal) => refused.push((picture.id.as_str(), refusal.word())),
        }
    }
    refused.retain(|(_, word)| Component::from_word(word).is_some());
    refused.sort_unstable();
    assert_eq!(
        refused,
        [("cl_franck_03979.jpg", "eyes_open"), ("cl_franck_04000.jpg", "eyes_open"), ("pf_45-m7-di-ph.jpg", "head_pose_yaw")]
    );
    assert_eq!(enrolled, 35);
}

/// A file whose EXIF says that it lies on its side holds an upright face once decoded.
#[test]
fn a_picture_on_its_side_comes_upright() {
    let Some((pipeline, _)) = ready() else { return };
    let Some(folder) = env::var_os("EVAL_DATA").map(|root| Path::new(&root).join("pad-extra/images")) else {
        eprintln!("SKIPPED: EVAL_DATA is not set");
        return;
    };
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        if !bytes
            .windows(12)
            .any(|window| window == [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0] || window == [0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0])
        {
            continue;
        }
        let picture = Picture::decode(&bytes).unwrap();
        assert!(picture.height() > picture.width());
        let roll = raw(&measure(&pipeline, &picture, &face_of(&pipeline, &picture)), Component::HeadPoseRoll);
        assert!(roll.abs() < 25.0, "{roll}");
        seen += 1;
    }
    assert!(seen > 0, "no picture with orientation 6");
}
