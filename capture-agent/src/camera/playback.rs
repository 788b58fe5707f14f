//! A camera that plays a folder of pictures, for rehearsals and tests.
//!
//! The folder is read anew at each opening, so that changing its content (or a symbolic link to it) changes
//! who stands at the counter. Pictures are played in the order of their names, each for one frame, unless a
//! `playback.toml` beside them says otherwise; the last one goes on as new frames. A playback can also stall,
//! freeze or be unplugged at its end, and be absent or busy from the start, as cameras are.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use capture_core::Fingerprint;
use serde::Deserialize;

use super::{CameraError, Grabbed, Grabber, Pixels, Source, Stop};
use crate::config::CameraConfig;

/// Name of the optional file with timings.
pub const TIMINGS_FILE: &str = "playback.toml";

const EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "png", "pnm", "ppm", "pgm", "pbm", "pam"];

/// What comes after the last picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AtEnd {
    /// The last picture, as new frames.
    #[default]
    Repeat,
    /// Nothing at all, as from a camera whose driver hangs.
    Stall,
    /// The error of a camera that was unplugged.
    Unplug,
    /// The last frame, as the very same one.
    Freeze,
    /// The last picture to the last pixel, as frames of their own: no sensor does that.
    Copy,
}

/// How opening ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Opens {
    /// It plays.
    #[default]
    Well,
    /// There is no camera.
    Absent,
    /// Another program has it.
    Busy,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Timings {
    #[serde(default)]
    opens: Opens,
    #[serde(default)]
    at_end: AtEnd,
    #[serde(default, rename = "picture")]
    pictures: Vec<Timed>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Timed {
    file: String,
    duration_ms: u64,
}

/// A folder of pictures.
#[derive(Debug, Clone)]
pub struct Playback {
    folder: PathBuf,
    interval: Duration,
}

impl Playback {
    /// Plays this folder, one frame every `interval`.
    #[must_use]
    pub fn new(folder: PathBuf, interval: Duration) -> Self {
        Self { folder, interval }
    }

    /// The folder the configuration names.
    #[must_use]
    pub fn from_config(config: &CameraConfig) -> Self {
        Self::new(PathBuf::from(&config.folder), Duration::from_millis(config.frame_interval_ms))
    }
}

impl Source for Playback {
    fn open(&self) -> Result<Box<dyn Grabber>, CameraError> {
        let (pictures, at_end) = script(&self.folder, self.interval)?;
        Ok(Box::new(Playing { pictures, at_end, interval: self.interval, started: Instant::now(), frames: 0 }))
    }
}

fn wrong(path: &Path, expected: impl Into<String>) -> CameraError {
    CameraError::Playback { path: path.to_owned(), expected: expected.into() }
}

/// A picture, and how long after the start it ends.
struct Scene {
    bytes: Arc<[u8]>,
    ends: Duration,
}

fn script(folder: &Path, interval: Duration) -> Result<(Vec<Scene>, AtEnd), CameraError> {
    let timings = folder.join(TIMINGS_FILE);
    let (entries, at_end) = if timings.exists() { timed(&timings)? } else { (Vec::new(), AtEnd::Repeat) };
    let entries = if entries.is_empty() { by_name(folder, interval)? } else { entries };
    let mut ends = Duration::ZERO;
    let mut scenes = Vec::with_capacity(entries.len());
    for (name, duration) in entries {
        let path = folder.join(name);
        let bytes = fs::read(&path).map_err(|error| wrong(&path, format!("a readable picture: {error}")))?;
        ends += duration;
        scenes.push(Scene { bytes: bytes.into(), ends });
    }
    Ok((scenes, at_end))
}

fn timed(path: &Path) -> Result<(Vec<(String, Duration)>, AtEnd), CameraError> {
    let text = fs::read_to_string(path).map_err(|error| wrong(path, format!("a readable file: {error}")))?;
    let timings: Timings =
        toml::from_str(&text).map_err(|error| wrong(path, format!("at_end and [[picture]] tables: {}", error.message())))?;
    match timings.opens {
        Opens::Well => {}
        Opens::Absent => return Err(CameraError::Absent("the playback has none".into())),
        Opens::Busy => return Err(CameraError::Busy),
    }
    let mut entries = Vec::with_capacity(timings.pictures.len());
    for picture in timings.pictures {
        if picture.file.contains(['/', '\\']) || !(1..=600_000).contains(&picture.duration_ms) {
            return Err(wrong(path, "picture.file without a folder and picture.duration_ms from 1 to 600000"));
        }
        entries.push((picture.file, Duration::from_millis(picture.duration_ms)));
    }
    Ok((entries, timings.at_end))
}

fn by_name(folder: &Path, interval: Duration) -> Result<Vec<(String, Duration)>, CameraError> {
    let listing = fs::read_dir(folder).map_err(|error| wrong(folder, format!("a readable folder of pictures: {error}")))?;
    let picture =
        |name: &String| Path::new(name).extension().is_some_and(|end| EXTENSIONS.iter().any(|known| end.eq_ignore_ascii_case(known)));
    let mut names: Vec<String> = listing.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(picture).collect();
    if names.is_empty() {
        return Err(wrong(folder, "at least one JPEG, PNG or PNM file"));
    }
    names.sort();
    Ok(names.into_iter().map(|name| (name, interval)).collect())
}

struct Playing {
    pictures: Vec<Scene>,
    at_end: AtEnd,
    interval: Duration,
    started: Instant,
    frames: u32,
}

impl Grabber for Playing {
    fn grab(&mut self, stop: &Stop) -> Result<Grabbed, CameraError> {
        let due = self.interval * self.frames;
        stop.sleep(due.saturating_sub(self.started.elapsed()));
        let playing = self.pictures.iter().find(|scene| due < scene.ends);
        let scene = match (playing, self.at_end) {
            (Some(scene), _) => scene,
            (None, AtEnd::Repeat | AtEnd::Freeze | AtEnd::Copy) => {
                self.pictures.last().ok_or(CameraError::Lost("nothing to play".into()))?
            }
            (None, AtEnd::Stall) => {
                stop.wait();
                return Err(CameraError::Lost("the playback stalled".into()));
            }
            (None, AtEnd::Unplug) => return Err(CameraError::Lost("the playback was unplugged".into())),
        };
        self.frames += 1;
        let stands_in = playing.is_some() || self.at_end == AtEnd::Repeat;
        let number = if playing.is_none() && self.at_end == AtEnd::Freeze { u64::MAX } else { u64::from(self.frames) };
        Ok(Grabbed { fingerprint: Fingerprint(number), pixels: Pixels::Encoded(Arc::clone(&scene.bytes)), stands_in })
    }
}
