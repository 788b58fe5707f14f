//! Whether a camera shows what is before it: pictures that stand still, black ones, ones on their head.
//!
//! A [`CameraWatch`] is shown every frame: a [`Glance`] of its pixels, and now and then whether a face was found in it upright or
//! turned round. Noise makes every exposure differ from the one before, however still the scene is, so that a picture that comes
//! again and again comes from no sensor. Each fault must last before it is named. Not here: cameras that give no frames at all
//! (`acquisition`'s stall), and what is done about a fault.

use crate::{Fingerprint, Moment};

/// Places of a picture that a glance looks at, in rows and columns.
const ROWS: usize = 48;
const COLUMNS: usize = 64;

/// What is the matter with a camera that gives frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CameraFault {
    /// One picture comes again and again.
    Frozen,
    /// The pictures are black.
    Black,
    /// The pictures stand on their head.
    UpsideDown,
}

/// When a fault is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WatchRule {
    /// A fault is named after it lasted this long, in milliseconds, 100–10,000.
    pub fault_after_ms: u64,
    /// A picture is black when nearly all of its places are below this brightness, 0–255.
    pub dark_below: u8,
    /// Share of places that may be brighter, 0–1: dead pixels, a lamp of the camera's own.
    pub bright_share_max: f32,
    /// Two pictures are one when their places differ by no more than this on average, in levels of brightness.
    pub same_within: f32,
    /// Pictures are turned round to look for a face this often, in milliseconds, 0–10,000, while none is found upright.
    pub turn_every_ms: u64,
    /// A picture stands on its head after a face was found in this many turned ones, 1–100, and in no upright one.
    pub turned_faces: u32,
}

impl Default for WatchRule {
    fn default() -> Self {
        Self { fault_after_ms: 1_800, dark_below: 16, bright_share_max: 0.005, same_within: 0.002, turn_every_ms: 500, turned_faces: 3 }
    }
}

/// A few thousand places of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    levels: Vec<u8>,
}

impl Glance {
    /// Looks at a picture: 3 bytes (red, green, blue) a pixel, row by row. Nothing where the bytes do not fit the size.
    #[must_use]
    pub fn of(width: u32, height: u32, rgb: &[u8]) -> Option<Self> {
        let (width, height) = (usize::try_from(width).ok()?, usize::try_from(height).ok()?);
        if width == 0 || height == 0 || rgb.len() != width.checked_mul(height)?.checked_mul(3)? {
            return None;
        }
        let mut levels = Vec::with_capacity(ROWS * COLUMNS);
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                let at = ((row * height / ROWS) * width + column * width / COLUMNS) * 3;
                if let Some([red, green, blue]) = rgb.get(at..at + 3) {
                    let level = (u32::from(*red) * 77 + u32::from(*green) * 150 + u32::from(*blue) * 29) >> 8;
                    levels.push(u8::try_from(level).unwrap_or(u8::MAX));
                }
            }
        }
        Some(Self { levels })
    }

    /// Mean brightness, 0–255.
    #[must_use]
    pub fn brightness(&self) -> f32 {
        mean(self.levels.iter().map(|level| u32::from(*level)), self.levels.len())
    }

    /// Share of places above a brightness.
    fn share_above(&self, level: u8) -> f32 {
        mean(self.levels.iter().map(|place| u32::from(*place > level)), self.levels.len())
    }

    fn differs_by(&self, other: &Self) -> f32 {
        let pairs = self.levels.iter().zip(&other.levels);
        mean(pairs.map(|(here, there)| u32::from(here.abs_diff(*there))), self.levels.len())
    }
}

fn mean(values: impl Iterator<Item = u32>, count: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand places of at most 255")]
    let (sum, count) = (values.sum::<u32>() as f32, count.max(1) as f32);
    sum / count
}

/// One frame, as the watch sees it.
#[derive(Debug, Clone)]
pub struct Sight {
    /// Tells it from other frames.
    pub fingerprint: Fingerprint,
    /// What it shows; nothing where a frame with this fingerprint was shown before, or it is no picture.
    pub glance: Option<Glance>,
    /// Whether a picture stands in for a live scene on purpose: then it may stay the same.
    pub stands_in: bool,
}

/// Watches one opened camera.
#[derive(Debug)]
pub struct CameraWatch {
    rule: WatchRule,
    last: Option<(Fingerprint, Option<Glance>)>,
    same_since: Option<Moment>,
    dark_since: Option<Moment>,
    turned_at: Option<Moment>,
    turned_since: Option<Moment>,
    turned_faces: u32,
    brightness: Option<f32>,
}

impl CameraWatch {
    /// Starts watching.
    #[must_use]
    pub fn new(rule: WatchRule) -> Self {
        Self {
            rule,
            last: None,
            same_since: None,
            dark_since: None,
            turned_at: None,
            turned_since: None,
            turned_faces: 0,
            brightness: None,
        }
    }

    /// Whether a frame is the very one before.
    #[must_use]
    pub fn is_last(&self, fingerprint: Fingerprint) -> bool {
        self.last.as_ref().is_some_and(|(last, _)| *last == fingerprint)
    }

    /// Mean brightness of the last picture, 0–255.
    #[must_use]
    pub fn brightness(&self) -> Option<f32> {
        self.brightness
    }

    /// Looks at a frame; says what is the matter once it has been for long enough.
    pub fn see(&mut self, now: Moment, sight: Sight) -> Option<CameraFault> {
        let Sight { fingerprint, glance, stands_in } = sight;
        let same = self.last.as_ref().is_some_and(|(last, before)| {
            let alike = |(here, there): (&Glance, &Glance)| here.differs_by(there) <= self.rule.same_within;
            *last == fingerprint || (!stands_in && glance.as_ref().zip(before.as_ref()).is_some_and(alike))
        });
        self.same_since = if same { self.same_since.or(Some(now)) } else { None };
        if let Some(glance) = &glance {
            self.brightness = Some(glance.brightness());
            let dark = glance.share_above(self.rule.dark_below) <= self.rule.bright_share_max;
            self.dark_since = if dark { self.dark_since.or(Some(now)) } else { None };
        }
        // A picture that is the very same one again keeps what was seen in it.
        if glance.is_some() || !same {
            self.last = Some((fingerprint, glance));
        }
        if self.lasts(now, self.dark_since) {
            Some(CameraFault::Black)
        } else if self.lasts(now, self.same_since) {
            Some(CameraFault::Frozen)
        } else {
            None
        }
    }

    /// Whether to turn this picture round and look for a face: none was found in it.
    #[must_use]
    pub fn wants_turned(&self, now: Moment) -> bool {
        self.turned_at.is_none_or(|at| now.ms_since(at) >= self.rule.turn_every_ms)
    }

    /// A face was found upright.
    pub fn upright(&mut self) {
        self.turned_since = None;
        self.turned_faces = 0;
    }

    /// Says whether a face was found in a picture that was turned round, and in none upright.
    pub fn turned(&mut self, now: Moment, found: bool) -> Option<CameraFault> {
        self.turned_at = Some(now);
        if !found {
            self.upright();
            return None;
        }
        self.turned_since = self.turned_since.or(Some(now));
        self.turned_faces += 1;
        let enough = self.turned_faces >= self.rule.turned_faces;
        // It lasts as long as it takes to find that many.
        enough.then_some(CameraFault::UpsideDown)
    }

    fn lasts(&self, now: Moment, since: Option<Moment>) -> bool {
        since.is_some_and(|since| now.ms_since(since) >= self.rule.fault_after_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(level: u8, noise: u8) -> Glance {
        let rgb: Vec<u8> = (0..128_usize * 96 * 3).map(|at| level.saturating_add(if at % 7 == 0 { noise } else { 0 })).collect();
        Glance::of(128, 96, &rgb).unwrap()
    }

    fn sight(number: u64, glance: Option<Glance>) -> Sight {
        Sight { fingerprint: Fingerprint(number), glance, stands_in: false }
    }

    /// Shows frames every 33 ms for so long; the first fault and when it was named.
    fn watch(for_ms: u64, frame: impl Fn(u64) -> Sight) -> Option<(CameraFault, u64)> {
        let mut watch = CameraWatch::new(WatchRule::default());
        (0..for_ms / 33).find_map(|at| watch.see(Moment::from_ms(at * 33), frame(at)).map(|fault| (fault, at * 33)))
    }

    #[track_caller]
    fn check(frame: impl Fn(u64) -> Sight, expected: Option<CameraFault>) {
        let found = watch(10_000, frame);
        assert_eq!(found.map(|(fault, _)| fault), expected);
        assert!(found.is_none_or(|(_, at)| at <= 2_000), "named within 3 seconds, with time left to open and to tell: {found:?}");
    }

    #[test]
    fn one_frame_again_and_again_is_frozen_and_so_is_one_picture_under_new_names() {
        check(|_| sight(7, None), Some(CameraFault::Frozen));
        check(|at| sight(at, Some(picture(100, 3))), Some(CameraFault::Frozen));
        check(|at| sight(7, (at == 0).then(|| picture(100, 0))), Some(CameraFault::Frozen));
    }

    #[test]
    fn a_still_scene_with_a_sensors_noise_is_not_frozen() {
        check(|at| sight(at, Some(picture(100, 4 * u8::from(at % 2 == 0)))), None);
        check(|at| Sight { stands_in: true, ..sight(at, Some(picture(100, 0))) }, None);
    }

    #[test]
    fn a_cover_before_the_lens_is_black_and_a_dark_room_is_not() {
        check(|at| sight(at, Some(picture(u8::try_from(at % 4).unwrap(), 2))), Some(CameraFault::Black));
        check(|at| sight(at, Some(picture(40 + u8::try_from(at % 4).unwrap(), 2))), None);
        // Black and frozen is black: that is what can be mended first.
        check(|_| sight(7, Some(picture(0, 0))), Some(CameraFault::Black));
    }

    #[test]
    fn what_is_cured_in_time_is_no_fault() {
        let flicker = |at: u64| if at % 40 == 39 { picture(100, u8::try_from(at % 5).unwrap()) } else { picture(0, 4) };
        check(|at| sight(at, Some(flicker(at))), None);
    }

    #[test]
    fn faces_in_turned_pictures_alone_stand_on_their_head() {
        let mut watch = CameraWatch::new(WatchRule::default());
        let at = Moment::from_ms;
        assert!(watch.wants_turned(at(0)));
        assert_eq!(watch.turned(at(0), true), None);
        assert!(!watch.wants_turned(at(499)) && watch.wants_turned(at(500)));
        assert_eq!(watch.turned(at(500), true), None);
        assert_eq!(watch.turned(at(1_000), true), Some(CameraFault::UpsideDown), "within 3 seconds");
        watch.upright();
        assert_eq!(watch.turned(at(1_500), true), None, "a face upright starts it anew");
        assert_eq!(watch.turned(at(2_000), false), None);
        assert_eq!(watch.turned(at(2_500), true), None);
    }

    #[test]
    fn a_glance_of_what_is_no_picture_is_none() {
        assert_eq!(Glance::of(2, 2, &[0; 11]), None);
        assert_eq!(Glance::of(0, 2, &[]), None);
        assert!(Glance::of(1, 1, &[9, 9, 9]).is_some_and(|glance| (glance.brightness() - 9.0).abs() < 0.1));
    }
}
