//! A thief's copy of the counter PC's disk, with the known plaintext at hand: no face, template or card number in clear.
//!
//! The real binary with the real models captures a real face; the center opens what it gets, so that the test knows every byte
//! that was sealed. Each file of the state folder is searched whole: the database's write-ahead log and free pages too.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use half::f16;
use models::{cache, manifest::Manifest};
use prost::Message;
use proto::v1::{Capture, Sample, capture::Outcome};
use tonic::Code;

use crate::{
    center::{Center, Fault},
    command::run,
    folder::Folder,
};

const CARD: &str = "330203194910010027";
/// Length of the pieces that are searched for: too long to be there by chance.
const PIECE: usize = 24;

/// Every form of what a thief looks for, by name.
struct Wanted(BTreeMap<String, Vec<u8>>);

impl Wanted {
    fn of(captures: &[Capture]) -> Self {
        let mut wanted = Self(BTreeMap::new());
        wanted.add("card", CARD.as_bytes());
        wanted.0.insert("card, UTF-16 LE".into(), CARD.encode_utf16().flat_map(u16::to_le_bytes).collect());
        wanted.0.insert("card, UTF-16 BE".into(), CARD.encode_utf16().flat_map(u16::to_be_bytes).collect());
        for (i, capture) in captures.iter().enumerate() {
            let sample = |outcome| if let Outcome::Sample(probe) = outcome { Some(probe) } else { None };
            let probe = capture.outcome.clone().and_then(sample).unwrap();
            let features = &probe.template.as_ref().unwrap().features_f16;
            let single: Vec<u8> =
                features.as_chunks::<2>().0.iter().flat_map(|two| f16::from_le_bytes(*two).to_f32().to_le_bytes()).collect();
            wanted.pieces(&format!("template {i}, half precision"), features);
            wanted.pieces(&format!("template {i}, single precision"), &single);
            let samples: Vec<&Sample> = probe.sample.iter().chain(&probe.further_samples).collect();
            for (j, sample) in samples.into_iter().enumerate() {
                assert!(sample.jpeg.len() > 2_000, "a face");
                // The first bytes of JPEG files are alike.
                wanted.pieces(&format!("sample {i}.{j}"), &sample.jpeg[700..]);
            }
        }
        wanted
    }

    /// The beginning, the middle and the end.
    fn pieces(&mut self, name: &str, bytes: &[u8]) {
        for at in [0, bytes.len() / 2, bytes.len() - PIECE] {
            self.add(&format!("{name} at {at}"), &bytes[at..at + PIECE]);
        }
    }

    /// As it is, in hexadecimal digits, and in base64 wherever it begins.
    fn add(&mut self, name: &str, bytes: &[u8]) {
        let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        self.0.insert(name.to_owned(), bytes.to_vec());
        self.0.insert(format!("{name}, hex"), hex.clone().into_bytes());
        self.0.insert(format!("{name}, HEX"), hex.to_uppercase().into_bytes());
        for skipped in 0..3 {
            let text = STANDARD.encode([&vec![0; skipped], bytes].concat());
            // Characters at both ends depend on what is beside.
            let inner = &text[4..text.len() - 4];
            self.0.insert(format!("{name}, base64 {skipped}"), inner.as_bytes().to_vec());
        }
    }

    /// What of it is in a folder.
    fn found_in(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for path in files(folder) {
            let bytes = fs::read(&path).unwrap();
            let names = self.0.iter().filter(|(_, wanted)| bytes.windows(wanted.len()).any(|window| window == wanted.as_slice()));
            found.extend(names.map(|(name, _)| format!("{}: {name}", path.display())));
        }
        found
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&path, target).unwrap();
    }
}

/// Puts the picture of a face before the camera that comes with the models.
fn stand(folder: &Folder) {
    let manifest = Manifest::shipped();
    let picture = manifest.pictures().first().unwrap().path(&cache::default_dir());
    fs::copy(&picture, folder.pictures.path().join("a.jpg")).unwrap();
}

async fn verify(folder: &Folder, transaction: &str, code: i32) {
    let output = run(folder.path(), &format!("verify --card {CARD} --scene settlement --transaction {transaction} --json")).await;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(!said.contains(CARD), "the card's number is shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thief_with_the_known_plaintext_finds_nothing_of_it() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    center.says(|facts| (facts.feature_model, facts.recipe) = (String::new(), String::new()));
    folder.configure(&address, "good_frames = 3\n[log]\nfilter = \"debug\"\n");
    let text = fs::read_to_string(folder.path().join("agent.toml")).unwrap();
    let text = text.replace("deadline_ms = 1000", "deadline_ms = 8000").replace("frame_interval_ms = 5", "frame_interval_ms = 33");
    fs::write(folder.path().join("agent.toml"), text.replace("retry_for_ms = 3000", "retry_for_ms = 0")).unwrap();
    stand(&folder);
    verify(&folder, "T1", 0).await;
    // The line is dead: this one is on the disk alone, when the disk is copied.
    center.next(&[Fault::Code(Code::Unavailable)]);
    verify(&folder, "T2", 20).await;
    let stolen = tempfile::tempdir().unwrap();
    copy(folder.path(), stolen.path());
    verify(&folder, "T2", 0).await;
    let captures = center.records.lock().unwrap().captures.clone();
    assert_eq!(captures.len(), 2);
    let wanted = Wanted::of(&captures);
    assert_eq!(wanted.found_in(stolen.path()), Vec::<String>::new());
    assert_eq!(wanted.found_in(folder.path()), Vec::<String>::new());
    // The same search finds what lies open.
    let open = tempfile::tempdir().unwrap();
    fs::write(open.path().join("capture"), captures[1].encode_to_vec()).unwrap();
    fs::write(open.path().join("text"), STANDARD.encode(captures[0].encode_to_vec())).unwrap();
    let found = wanted.found_in(open.path()).join("\n");
    for name in ["capture: card", "capture: template 1, half", "capture: sample 1.0", "text: sample 0.0 at 0, base64", "text: card, base64"]
    {
        assert!(found.contains(name), "{name} is not in:\n{found}");
    }
}
