//! Files of weights that are missing, altered, or do not keep the manifest's word are refused, and the
//! message says which and why.
//!
//! Needs the files of `models fetch`; without them the tests print SKIPPED and pass, unless
//! `COUNTERSIGN_REQUIRE_MODELS=1`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{env, fs, path::Path};

use models::{
    FaceRule, Gate, cache,
    manifest::{Manifest, SHIPPED},
    pipeline::{LoadError, PhotoRefusal, Pipeline},
};

/// A copy of the cache that a test may spoil, or a loud skip.
fn copy_of_cache() -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    for model in Manifest::shipped().models().iter().filter(|model| model.runner) {
        match cache::read(model, &cache::default_dir()) {
            Ok(bytes) => fs::write(model.path(folder.path()), bytes).unwrap(),
            Err(error) => {
                assert!(env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "{error}");
                eprintln!("SKIPPED: {error}");
                return None;
            }
        }
    }
    Some(folder)
}

fn refusal(manifest: &Manifest, folder: &Path) -> LoadError {
    match Pipeline::load(manifest, folder) {
        Ok(_) => panic!("loaded"),
        Err(error) => error,
    }
}

#[test]
fn a_missing_file_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let text = refusal(&Manifest::shipped(), folder.path()).to_string();
    assert!(text.starts_with("model centerface@1: expected the file ") && text.ends_with("run `models fetch`"), "{text}");
}

#[test]
fn a_tampered_file_is_refused() {
    let Some(folder) = copy_of_cache() else { return };
    for name in ["centerface.onnx", "fr_feature.onnx", "fr_liveness.onnx"] {
        let path = folder.path().join(name);
        let sound = fs::read(&path).unwrap();
        let mut altered = sound.clone();
        let middle = altered.len() / 2;
        *altered.get_mut(middle).unwrap() ^= 1;
        fs::write(&path, altered).unwrap();
        let text = refusal(&Manifest::shipped(), folder.path()).to_string();
        assert!(text.contains(name) && text.contains("sha256") && text.ends_with("the file is not used"), "{text}");
        fs::write(&path, sound).unwrap();
    }
    assert!(Pipeline::load(&Manifest::shipped(), folder.path()).is_ok());
}

/// The shipped manifest with changes, and a part of what loading must say.
#[track_caller]
fn check(folder: &Path, changes: &[(&str, &str)], expected: &str) {
    let mut text = SHIPPED.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let error = refusal(&Manifest::parse(&text, "test", Path::new("")).unwrap(), folder).to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_file_that_does_not_keep_the_manifests_word_is_refused() {
    let Some(folder) = copy_of_cache() else { return };
    check(
        folder.path(),
        &[("dimension = 512", "dimension = 256"), ("shape = [1, 512]", "shape = [1, 256]")],
        "model faceplugin-mfn512@1: shape of output output: expected 1 × 256 as the manifest says, the file has 1 × 512",
    );
    check(folder.path(), &[("input.1", "data")], "model centerface@1: input: expected data as the manifest says, the file has input.1");
    check(
        folder.path(),
        &[("name = \"538\"", "name = \"999\"")],
        "outputs: expected 999 as the manifest says, the file has 537, 538, 539, 540",
    );
    check(
        folder.path(),
        &[("width = 128, height = 128", "width = 96, height = 96")],
        "model faceplugin-liveness@1: shape of the input: expected 1 × 3 × 96 × 96 as the manifest says, the file has 1 × 3 × 128 × 128",
    );
    check(folder.path(), &[("kind = \"live_logits\", shape = [1, 3]", "kind = \"live_logits\", shape = [1, 2]")], "shape of output output");
}

#[test]
fn a_file_that_is_no_network_is_refused() {
    let Some(folder) = copy_of_cache() else { return };
    fs::write(folder.path().join("centerface.onnx"), b"no network").unwrap();
    let digest = models::digest::Digest::of(b"no network").to_string();
    let sound = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc";
    check(folder.path(), &[(sound, &digest)], "model centerface@1: expected");
}

#[test]
fn a_photo_that_cannot_be_enrolled_is_an_outcome_with_a_word() {
    let Some(folder) = copy_of_cache() else { return };
    let pipeline = Pipeline::load(&Manifest::shipped(), folder.path()).unwrap();
    let rule = FaceRule::default();
    let refused = pipeline.enrol(b"no picture", &rule, &Gate::none()).unwrap().unwrap_err();
    assert!(matches!(refused, PhotoRefusal::Unreadable(_)));
    assert_eq!((refused.word(), refused.to_string().as_str()), ("unreadable", "picture: expected a JPEG, PNG or PNM file"));
    let blank = [b"P5 64 64 255\n".as_slice(), &[128; 64 * 64]].concat();
    let refused = pipeline.enrol(&blank, &rule, &Gate::none()).unwrap().unwrap_err();
    assert_eq!((refused.word(), refused.to_string().as_str()), ("no_face", "no face"));
}

#[test]
fn one_pipeline_serves_many_threads_with_the_same_answers() {
    let Some(folder) = copy_of_cache() else { return };
    let pipeline = Pipeline::load(&Manifest::shipped(), folder.path()).unwrap();
    let noise: Vec<u8> = (0..320 * 240 * 3_u32).map(|x| (x.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let picture = models::picture::Picture::from_rgb8(320, 240, noise).unwrap();
    let face = models::DetectedFace {
        face_box: models::FaceBox { left: 100.0, top: 60.0, right: 200.0, bottom: 180.0 },
        landmarks: models::Landmarks(
            [(120.0, 100.0), (180.0, 100.0), (150.0, 130.0), (130.0, 155.0), (170.0, 155.0)].map(|(x, y)| models::Point { x, y }),
        ),
        score: 0.9,
    };
    let expected = pipeline.template(&picture, &face).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let pipeline = pipeline.clone();
            let (picture, expected) = (&picture, &expected);
            scope.spawn(move || assert_eq!(pipeline.template(picture, &face).unwrap(), *expected));
        }
    });
}
