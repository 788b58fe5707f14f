//! Playback, stalls, and drivers that misbehave.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const SOON: Duration = Duration::from_millis(50);
const LATER: Duration = Duration::from_secs(10);

fn playback(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Camera) {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    let source = playback::Playback::new(dir.path().to_owned(), Duration::from_millis(5));
    (dir, Camera::new(Arc::new(source), Clock::start(), LATER))
}

fn shown(frame: Frame) -> (Vec<u8>, Fingerprint) {
    match frame.grabbed.pixels {
        Pixels::Encoded(bytes) => (bytes.to_vec(), frame.grabbed.fingerprint),
        Pixels::Rgb8(..) | Pixels::Bgr8(..) | Pixels::Grey8(..) | Pixels::Yuyv(..) | Pixels::Nv12(..) => panic!("playback is encoded"),
    }
}

/// Reads until a frame shows `last`, and tells what was seen on the way, without repetitions.
fn play_to(camera: &Camera, last: &[u8]) -> Vec<Vec<u8>> {
    let mut session = camera.open().unwrap();
    let mut seen: Vec<Vec<u8>> = Vec::new();
    while seen.last().is_none_or(|bytes| bytes != last) {
        let (bytes, _) = shown(session.next(LATER).unwrap().unwrap());
        if seen.last() != Some(&bytes) {
            seen.push(bytes);
        }
    }
    seen
}

#[test]
fn pictures_play_in_the_order_of_their_names_and_other_files_do_not() {
    let (_dir, camera) = playback(&[("b.JPG", b"two"), ("a.png", b"one"), ("notes.txt", b"no")]);
    let seen = play_to(&camera, b"two");
    assert!(seen.last().unwrap() == b"two" && seen.iter().all(|bytes| bytes != b"no"), "{seen:?}");
}

#[test]
fn the_last_picture_goes_on_as_new_frames() {
    let (_dir, camera) = playback(&[("a.png", b"one")]);
    let mut session = camera.open().unwrap();
    let first = shown(session.next(LATER).unwrap().unwrap());
    let second = shown(session.next(LATER).unwrap().unwrap());
    assert_eq!(first.0, second.0);
    assert_ne!(first.1, second.1);
}

#[test]
fn the_folder_is_read_anew_at_each_opening() {
    let (dir, camera) = playback(&[("a.png", b"one")]);
    assert_eq!(play_to(&camera, b"one"), [b"one"]);
    std::fs::write(dir.path().join("a.png"), b"someone else").unwrap();
    assert_eq!(play_to(&camera, b"someone else"), [b"someone else"]);
}

#[test]
fn timings_choose_files_and_the_end() {
    let timings = b"at_end = \"unplug\"\n[[picture]]\nfile = \"b.png\"\nduration_ms = 20\n";
    let (_dir, camera) = playback(&[("a.png", b"one"), ("b.png", b"two"), ("playback.toml", timings)]);
    let mut session = camera.open().unwrap();
    assert_eq!(shown(session.next(LATER).unwrap().unwrap()).0, b"two");
    let end = loop {
        match session.next(LATER) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(end, CameraError::Lost("the playback was unplugged".into()));
}

#[test]
fn a_stalled_camera_is_not_waited_for_and_can_be_opened_again() {
    let timings = b"at_end = \"stall\"\n[[picture]]\nfile = \"a.png\"\nduration_ms = 1\n";
    let (dir, camera) = playback(&[("a.png", b"one"), ("playback.toml", timings)]);
    let mut session = camera.open().unwrap();
    assert!(session.next(LATER).unwrap().is_some());
    assert!(session.next(SOON).unwrap().is_none());
    drop(session);
    std::fs::remove_file(dir.path().join("playback.toml")).unwrap();
    play_to(&camera, b"one");
}

#[test]
fn what_cannot_be_played_is_named() {
    let refused = |files: &[(&str, &[u8])]| playback(files).1.open().unwrap_err().to_string();
    assert!(refused(&[]).contains("expected at least one JPEG"));
    assert!(refused(&[("playback.toml", b"speed = 2")]).contains("unknown field `speed`"));
    assert!(refused(&[("playback.toml", b"[[picture]]\nfile = \"../a.png\"\nduration_ms = 1")]).contains("without a folder"));
    assert!(
        refused(&[("playback.toml", b"[[picture]]\nfile = \"a.png\"\nduration_ms = 1")]).contains("a.png: expected a readable picture")
    );
}

/// A driver that hangs in its opening the first time, until `release` is set, and panics the third time.
struct Hangs {
    opened: AtomicU32,
    release: Arc<Stop>,
}

impl Source for Hangs {
    fn open(&self) -> Result<Box<dyn Grabber>, CameraError> {
        match self.opened.fetch_add(1, Ordering::SeqCst) {
            0 => self.release.wait(),
            1 => {}
            // As a panic does, without the time a backtrace takes.
            _ => std::panic::resume_unwind(Box::new("driver")),
        }
        Err(CameraError::Busy)
    }
}

#[test]
fn a_driver_that_hangs_or_panics_hangs_and_panics_nobody_else() {
    let release = Arc::new(Stop::default());
    let source = Hangs { opened: AtomicU32::new(0), release: Arc::clone(&release) };
    let camera = Camera::new(Arc::new(source), Clock::start(), Duration::from_millis(500));
    assert_eq!(camera.open().unwrap_err(), CameraError::OpenTimeout(500));
    assert_eq!(camera.open().unwrap_err(), CameraError::OpenTimeout(500), "no second thread while the first hangs");
    release.set();
    let ended = std::iter::repeat_with(|| camera.open().unwrap_err()).find(|error| *error != CameraError::OpenTimeout(500));
    assert_eq!(ended, Some(CameraError::Busy));
    assert_eq!(camera.open().unwrap_err(), CameraError::Failed("its driver broke down".into()));
}
