//! The golden table: what the pipeline gives for each picture of `registry-mini`, with tolerances.
//!
//! A template is biometric data and does not belong in a source tree, so the table holds 16 fixed
//! pseudo-random projections of it: enough to notice any change, too few to get the features back.
//!
//! Needs the files of `models fetch` and `datasets fetch registry-mini`; without them the tests print
//! SKIPPED and pass, unless `COUNTERSIGN_REQUIRE_MODELS=1`. To write the table anew after an intended change:
//! `COUNTERSIGN_WRITE_GOLDEN=1 cargo test -p models --test golden`, and raise the recipe's number.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, env, fmt::Write as _, fs, path::Path};

use datasets::{Identity, Pack, PackPicture};
use models::{
    DetectedFace, FaceRule, Template, cache, compare, dominant_face, manifest::Manifest, picture::Picture, pipeline::Pipeline, sample,
};
use serde::Deserialize;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.toml");
const PROJECTIONS: usize = 16;
/// Of boxes and landmarks, in pixels of the network's input (320 a side): engines round differently.
const PIXELS: f32 = 0.1;
/// Of scores of detection and attack detection.
const SCORE: f32 = 0.01;
/// Of each projection, which is about ±1: a template at cosine 0.9999 of the stated one passes.
const PROJECTION: f32 = 0.05;
/// Of each component's score, of 100.
const QUALITY: u8 = 4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    detector: String,
    features: String,
    recipe: String,
    attack: String,
    picture: Vec<Row>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    faces: usize,
    refusal: Option<String>,
    score: Option<f32>,
    live: Option<f32>,
    #[serde(rename = "box")]
    face_box: Option<[f32; 4]>,
    landmarks: Option<[f32; 10]>,
    projections: Option<[f32; PROJECTIONS]>,
    quality: Option<BTreeMap<String, u8>>,
}

/// Pipeline and pictures, or a loud skip.
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

fn decode(picture: &PackPicture) -> Picture {
    Picture::decode(&picture.read().unwrap()).unwrap()
}

fn dominant(pipeline: &Pipeline, picture: &Picture) -> (usize, Result<DetectedFace, models::FaceRefusal>) {
    let faces = pipeline.detect(picture).unwrap();
    (faces.len(), dominant_face(&faces, picture.width() as f32, picture.height() as f32, &FaceRule::default()))
}

/// Sums of the features with signs from a fixed generator (xorshift64*).
fn projections(template: &Template) -> [f32; PROJECTIONS] {
    let features = template.to_f32();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut sign = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        if state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 63 == 0 { 1.0 } else { -1.0 }
    };
    std::array::from_fn(|_| features.iter().map(|feature| feature * sign()).sum())
}

fn row(pipeline: &Pipeline, picture: &PackPicture) -> (Row, f32) {
    let pixels = decode(picture);
    let all = pipeline.detect(&pixels).unwrap();
    let (faces, face) = dominant(pipeline, &pixels);
    let per_pixel = pixels.width().max(pixels.height()) as f32 / 320.0;
    let mut row = Row {
        id: picture.id.clone(),
        faces,
        refusal: None,
        score: None,
        live: None,
        face_box: None,
        landmarks: None,
        projections: None,
        quality: None,
    };
    match face {
        Err(refusal) => row.refusal = Some(refusal.word().into()),
        Ok(face) => {
            row.score = Some(face.score);
            row.live = pipeline.attack_score(&pixels, &face).unwrap().map(|score| score.live);
            row.face_box = Some([face.face_box.left, face.face_box.top, face.face_box.right, face.face_box.bottom]);
            row.landmarks =
                Some(std::array::from_fn(|at| if at % 2 == 0 { face.landmarks.0[at / 2].x } else { face.landmarks.0[at / 2].y }));
            row.projections = Some(projections(&pipeline.template(&pixels, &face).unwrap()));
            let quality = pipeline.quality(&pixels, &all, &face).unwrap();
            row.quality = Some(quality.iter().map(|(component, measure)| (component.word().to_owned(), measure.score)).collect());
        }
    }
    (row, per_pixel)
}

fn near<const N: usize>(what: &str, id: &str, expected: Option<[f32; N]>, got: Option<[f32; N]>, tolerance: f32) {
    match (expected, got) {
        (Some(expected), Some(got)) => {
            let worst = expected.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= tolerance, "{id}: {what}: differs by {worst}, allowed {tolerance}: {expected:?} {got:?}");
        }
        (expected, got) => assert_eq!(expected.is_some(), got.is_some(), "{id}: {what}"),
    }
}

fn near_quality(id: &str, expected: Option<&BTreeMap<String, u8>>, got: Option<&BTreeMap<String, u8>>) {
    let words = |measured: Option<&BTreeMap<String, u8>>| measured.map(|all| all.keys().cloned().collect::<Vec<_>>());
    assert_eq!(words(expected), words(got), "{id}");
    for ((component, expected), got) in expected.into_iter().flatten().zip(got.into_iter().flat_map(BTreeMap::values)) {
        assert!(expected.abs_diff(*got) <= QUALITY, "{id}: {component}: expected {expected}, got {got}");
    }
}

#[test]
fn the_pipeline_gives_what_the_golden_table_says() {
    let Some((pipeline, pack)) = ready() else { return };
    let rows: Vec<(Row, f32)> = pack.pictures.iter().map(|picture| row(&pipeline, picture)).collect();
    if env::var_os("COUNTERSIGN_WRITE_GOLDEN").is_some() {
        fs::write(TABLE, text(&pipeline, &rows)).unwrap();
    }
    let golden: Golden = toml::from_str(&fs::read_to_string(TABLE).unwrap()).unwrap();
    let ids = [pipeline.detector_model(), pipeline.feature_model(), pipeline.attack_model()].map(ToString::to_string);
    assert_eq!(ids, [golden.detector, golden.features, golden.attack]);
    assert_eq!(pipeline.recipe().as_str(), golden.recipe);
    assert_eq!(golden.picture.len(), rows.len());
    for (expected, (got, per_pixel)) in golden.picture.iter().zip(&rows) {
        let id = &got.id;
        assert_eq!((&expected.id, expected.faces, &expected.refusal), (id, got.faces, &got.refusal));
        near("score", id, expected.score.map(|x| [x]), got.score.map(|x| [x]), SCORE);
        near("live", id, expected.live.map(|x| [x]), got.live.map(|x| [x]), SCORE);
        near("box", id, expected.face_box, got.face_box, PIXELS * per_pixel);
        near("landmarks", id, expected.landmarks, got.landmarks, PIXELS * per_pixel);
        near("projections", id, expected.projections, got.projections, PROJECTION);
        near_quality(id, expected.quality.as_ref(), got.quality.as_ref());
    }
}

fn text(pipeline: &Pipeline, rows: &[(Row, f32)]) -> String {
    let list = |numbers: &[f32], digits: usize| numbers.iter().map(|x| format!("{x:.digits$}")).collect::<Vec<_>>().join(", ");
    let mut text = String::from(
        "# What the pipeline gives for each picture of registry-mini. Written by the golden test, see golden.rs there.\n\
         # Boxes (left, top, right, bottom) and landmarks (x, y) in pixels of the upright picture. Templates are\n\
         # biometric data and are not kept: each is represented by 16 fixed pseudo-random projections.\n\n",
    );
    let (detector, features, recipe, attack) =
        (pipeline.detector_model(), pipeline.feature_model(), pipeline.recipe(), pipeline.attack_model());
    write!(text, "detector = \"{detector}\"\nfeatures = \"{features}\"\nrecipe = \"{recipe}\"\nattack = \"{attack}\"\n").unwrap();
    for (row, _) in rows {
        write!(text, "\n[[picture]]\nid = \"{}\"\nfaces = {}\n", row.id, row.faces).unwrap();
        if let Some(refusal) = &row.refusal {
            writeln!(text, "refusal = \"{refusal}\"").unwrap();
        }
        if let Some(score) = row.score {
            writeln!(text, "score = {score:.3}").unwrap();
        }
        if let Some(live) = row.live {
            writeln!(text, "live = {live:.3}").unwrap();
        }
        if let (Some(face_box), Some(landmarks), Some(projections)) = (row.face_box, row.landmarks, row.projections) {
            writeln!(text, "box = [{}]\nlandmarks = [{}]", list(&face_box, 2), list(&landmarks, 2)).unwrap();
            writeln!(text, "projections = [{}]", list(&projections, 2)).unwrap();
        }
        if let Some(quality) = &row.quality {
            let scores = quality.iter().map(|(component, score)| format!("{component} = {score}")).collect::<Vec<_>>().join(", ");
            writeln!(text, "quality = {{ {scores} }}").unwrap();
        }
    }
    text
}

#[test]
fn one_persons_pictures_are_closer_than_two_peoples() {
    let Some((pipeline, pack)) = ready() else { return };
    let template = |picture: &PackPicture| {
        let pixels = decode(picture);
        dominant(&pipeline, &pixels).1.ok().map(|face| pipeline.template(&pixels, &face).unwrap())
    };
    let templates: Vec<(&str, Option<Template>)> = pack.pictures.iter().map(|picture| (picture.id.as_str(), template(picture))).collect();
    let of = |id: &str| templates.iter().find(|(known, _)| *known == id).and_then(|(_, template)| template.as_ref());
    let (mut mated, mut non_mated) = (Vec::new(), Vec::new());
    for pair in pack.pairs() {
        if let (Some(a), Some(b)) = (of(&pair.a.id), of(&pair.b.id)) {
            let scores = if pair.mated { &mut mated } else { &mut non_mated };
            scores.push((compare(a, b).unwrap().get(), &pair.a.id, &pair.b.id));
        }
    }
    let mut people: Vec<&Identity> = pack.pictures.iter().map(|picture| &picture.identity).collect();
    people.retain(|identity| matches!(identity, Identity::Person(_)));
    people.sort();
    people.dedup();
    mated.sort_by(|a, b| a.0.total_cmp(&b.0));
    non_mated.sort_by(|a, b| b.0.total_cmp(&a.0));
    eprintln!(
        "registry-mini: {} subjects; {} mated comparisons, lowest {:?}; {} non-mated, highest {:?}",
        people.len(),
        mated.len(),
        mated[0],
        non_mated.len(),
        non_mated[0]
    );
    assert!(people.len() >= 20 && mated.len() >= 60 && non_mated.len() >= 500);
    assert!(mated.iter().all(|(score, ..)| *score >= 0.40), "{:?}", mated[0]);
    assert!(non_mated.iter().all(|(score, ..)| *score < 0.30), "{:?}", non_mated[0]);
}

#[test]
fn the_sample_keeps_what_the_picture_says() {
    let Some((pipeline, pack)) = ready() else { return };
    let mut lowest = 1.0_f32;
    for picture in &pack.pictures {
        let pixels = decode(picture);
        let Ok(face) = dominant(&pipeline, &pixels).1 else { continue };
        let cut = sample::crop(&pixels, &face).unwrap();
        assert!(cut.jpeg.len() <= sample::BYTES_MAX, "{}", picture.id);
        let again = Picture::decode(&cut.jpeg).unwrap();
        let there = DetectedFace { face_box: cut.face_box, landmarks: cut.landmarks, score: face.score };
        let score = compare(&pipeline.template(&pixels, &face).unwrap(), &pipeline.template(&again, &there).unwrap()).unwrap().get();
        lowest = lowest.min(score);
        let (Some(live), Some(kept)) = (pipeline.attack_score(&pixels, &face).unwrap(), pipeline.attack_score(&again, &there).unwrap())
        else {
            continue;
        };
        let (live, kept) = (live.live, kept.live);
        assert!(score > 0.97, "{}: template of the sample {score}", picture.id);
        assert!((live - kept).abs() < 0.15, "{}: attack score {live}, of the sample {kept}", picture.id);
    }
    eprintln!("lowest cosine of a picture's template and its sample's: {lowest:.4}");
}

/// A face at counter distance in a full-HD frame: 84 pixels wide, 14 in the network's input.
#[test]
fn a_small_face_in_a_large_frame_is_found() {
    let Some((pipeline, pack)) = ready() else { return };
    let small = decode(pack.picture("sk_astronaut.png").unwrap());
    let (width, height) = (1920_usize, 1080_usize);
    let mut pixels = vec![60_u8; width * height * 3];
    for (y, line) in small.pixels().chunks(small.width() as usize * 3).enumerate() {
        let at = ((y + 300) * width + 700) * 3;
        pixels[at..at + line.len()].copy_from_slice(line);
    }
    let frame = Picture::from_rgb8(width as u32, height as u32, pixels).unwrap();
    let there = dominant(&pipeline, &small).1.unwrap();
    let found = dominant(&pipeline, &frame).1.unwrap();
    let score = compare(&pipeline.template(&small, &there).unwrap(), &pipeline.template(&frame, &found).unwrap()).unwrap().get();
    eprintln!("a face 84 px wide in 1920 × 1080: detection {:.2}, cosine to the same face larger {score:.3}", found.score);
    assert!((found.face_box.left - there.face_box.left - 700.0).abs() < 20.0);
    assert!(score > 0.8, "{score}");
}

#[test]
fn the_table_is_in_the_tree() {
    assert!(Path::new(TABLE).is_file());
}
