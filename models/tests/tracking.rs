//! The search around the last face finds what the search of the whole frame finds.
//!
//! Needs the files of `models fetch` and `datasets fetch registry-mini`; without them the tests print
//! SKIPPED and pass, unless `COUNTERSIGN_REQUIRE_MODELS=1`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::env;

use datasets::Pack;
use models::{DetectedFace, FaceRule, cache, compare, dominant_face, manifest::Manifest, picture::Picture, pipeline::Pipeline};

/// Mean distance of the five landmarks from those of the whole search, as a share of the distance between
/// the eyes.
const OFF_MAX: f32 = 0.2;
/// The same, over all pictures and moves.
const OFF_MEAN_MAX: f32 = 0.07;

fn ready() -> Option<(Pipeline, Pack)> {
    let pack = Pack::registry_mini(&datasets::default_dir());
    match Pipeline::load(&Manifest::shipped(), &cache::default_dir()) {
        Ok(pipeline) if pack.missing.is_empty() => Some((pipeline, pack)),
        other => {
            let reason = other.err().map_or_else(|| format!("pictures missing: {}", pack.missing.join(", ")), |error| error.to_string());
            assert!(env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "{reason}");
            eprintln!("SKIPPED: {reason}");
            None
        }
    }
}

/// A counter camera's frame, 640 × 480, with the picture's face `width` pixels wide around `(x, y)`.
fn frame(picture: &Picture, face: &DetectedFace, width: f32, x: f32, y: f32) -> Picture {
    let (columns, rows) = (picture.width() as f32, picture.height() as f32);
    let per_pixel = face.face_box.width() / width;
    let center = face.face_box.center();
    let pixel = |column: f32, row: f32, channel: usize| {
        let at = (row.min(rows - 1.0) as usize * picture.width() as usize + column.min(columns - 1.0) as usize) * 3 + channel;
        f32::from(picture.pixels()[at])
    };
    let mut pixels = Vec::new();
    for row in 0..480 {
        for column in 0..640 {
            let from_x = (center.x + (column as f32 - x) * per_pixel).clamp(0.0, columns - 1.0);
            let from_y = (center.y + (row as f32 - y) * per_pixel).clamp(0.0, rows - 1.0);
            let (right, below) = (from_x.fract(), from_y.fract());
            for channel in 0..3 {
                let line = |row: f32| pixel(from_x, row, channel) * (1.0 - right) + pixel(from_x + 1.0, row, channel) * right;
                pixels.push((line(from_y) * (1.0 - below) + line(from_y + 1.0) * below).round() as u8);
            }
        }
    }
    Picture::from_rgb8(640, 480, pixels).unwrap()
}

fn one(pipeline: &Pipeline, picture: &Picture) -> Option<DetectedFace> {
    dominant_face(&pipeline.detect(picture).unwrap(), picture.width() as f32, picture.height() as f32, &FaceRule::default()).ok()
}

fn off(a: &DetectedFace, b: &DetectedFace) -> f32 {
    let all = a.landmarks.0.iter().zip(&b.landmarks.0).map(|(a, b)| (a.x - b.x).hypot(a.y - b.y));
    all.sum::<f32>() / 5.0 / b.landmarks.inter_eye_distance()
}

/// Width and centre of the face one frame later, at 15 frames a second: nearer, aside, both and gone back.
const MOVES: [(f32, f32, f32); 5] =
    [(150.0, 320.0, 240.0), (165.0, 330.0, 236.0), (150.0, 362.0, 240.0), (138.0, 300.0, 270.0), (172.0, 285.0, 215.0)];

#[test]
fn a_face_that_moved_is_found_where_the_whole_search_finds_it() {
    let Some((pipeline, pack)) = ready() else { return };
    let (mut worst, mut sum, mut count, mut lost, mut lowest) = (0.0_f32, 0.0, 0, 0, 1.0_f32);
    for entry in &pack.pictures {
        let picture = Picture::decode(&entry.read().unwrap()).unwrap();
        let Some(anchor) = one(&pipeline, &picture) else { continue };
        let Some(last) = one(&pipeline, &frame(&picture, &anchor, 150.0, 320.0, 240.0)) else { continue };
        for (width, x, y) in MOVES {
            let now = frame(&picture, &anchor, width, x, y);
            let Some(whole) = one(&pipeline, &now) else { continue };
            let near = pipeline.detect_near(&now, &last).unwrap();
            let near = near.iter().min_by(|a, b| off(a, &whole).total_cmp(&off(b, &whole)));
            let Some(near) = near else {
                eprintln!("{}: lost at {width} {x} {y}, score of the whole search {:.2}", entry.id, whole.score);
                lost += 1;
                continue;
            };
            let far = off(near, &whole);
            assert!(far <= OFF_MAX, "{}: landmarks off by {far} at {width} {x} {y}", entry.id);
            (worst, sum, count) = (worst.max(far), sum + far, count + 1);
            if width == 165.0 {
                let score = compare(&pipeline.template(&now, near).unwrap(), &pipeline.template(&now, &whole).unwrap()).unwrap().get();
                lowest = lowest.min(score);
                assert!(score > 0.8, "{}: template of the face found nearby {score}", entry.id);
            }
        }
    }
    eprintln!(
        "{count} frames: landmarks off by {:.3} on average, {worst:.3} at most; lowest cosine of templates {lowest:.3}",
        sum / count as f32
    );
    assert!(count >= 150 && sum / count as f32 <= OFF_MEAN_MAX);
    // A loss costs one search of the whole frame, no more.
    assert!(lost * 50 <= count, "{lost} of {count} frames lost");
}

#[test]
fn a_face_that_went_away_is_lost_and_nothing_is_made_up() {
    let Some((pipeline, pack)) = ready() else { return };
    let picture = Picture::decode(&pack.picture("cl_franck_02888.jpg").unwrap().read().unwrap()).unwrap();
    let face = one(&pipeline, &picture).unwrap();
    let empty = Picture::from_rgb8(640, 480, vec![120; 640 * 480 * 3]).unwrap();
    assert_eq!(pipeline.detect_near(&empty, &face).unwrap(), []);
    let mut beyond = face;
    beyond.face_box.left += 5000.0;
    beyond.face_box.right += 5000.0;
    assert_eq!(pipeline.detect_near(&picture, &beyond).unwrap(), []);
}
