//! A [`View`] as HTML: the whole page, or the three parts of it that change. The same templates for both.

use askama::Template;
use capture_core::DocumentKind;
use proto::v1::CameraState;
use serde::Serialize;

use super::{
    state::ScreenState,
    view::{CameraSeen, LineSeen, SpoolSeen, View},
    words::{Language, Words},
};

/// How somebody wants the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// In which language.
    pub language: Language,
    /// Larger still.
    pub large: bool,
    /// With a voice, where the machine has one.
    pub voice: bool,
}

impl Settings {
    /// As one word, for a cookie and a link.
    #[must_use]
    pub fn word(self) -> String {
        let part = |on: bool, word: &str| if on { format!(".{word}") } else { String::new() };
        format!("{}{}{}", self.language.code(), part(self.large, "large"), part(self.voice, "voice"))
    }

    /// What a word says; what it does not say is as it ships.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        let has = |part: &str| word.split('.').any(|known| known == part);
        Self { language: if has("en") { Language::En } else { Language::Zh }, large: has("large"), voice: has("voice") }
    }
}

/// Something of the counter and how it stands: a mark, a name, a word. The mark says by its form what the word says.
struct Light {
    mark: &'static str,
    well: bool,
    name: &'static str,
    word: String,
}

#[derive(Template)]
#[template(path = "screen/page.html")]
struct Page<'a> {
    p: Parts<'a>,
    notice: &'a [String],
    disconnected: ScreenState,
}

#[derive(Template)]
#[template(path = "screen/status.html")]
struct Status<'a> {
    p: &'a Parts<'a>,
}

#[derive(Template)]
#[template(path = "screen/stage.html")]
struct Stage<'a> {
    p: &'a Parts<'a>,
}

#[derive(Template)]
#[template(path = "screen/actions.html")]
struct Actions<'a> {
    p: &'a Parts<'a>,
}

#[derive(Template)]
#[template(path = "screen/shut.html")]
struct Shut {
    words: [&'static Words; 2],
}

struct Parts<'a> {
    v: &'a View,
    s: Settings,
    w: &'static Words,
}

impl Parts<'_> {
    fn says(&self) -> &'static str {
        self.s.language.of(self.v.state.says())
    }

    fn next(&self) -> &'static str {
        self.s.language.of(self.v.state.next())
    }

    fn shape(&self) -> &'static str {
        self.v.state.shape().word()
    }

    fn begin_label(&self) -> &'static str {
        match (self.v.tried, self.v.consent.is_empty()) {
            (_, false) => self.w.agree,
            (true, true) => self.w.retry,
            (false, true) => self.w.begin,
        }
    }

    /// A link that sets the settings otherwise.
    fn with(&self, change: &str) -> String {
        let s = match change {
            "language" => Settings { language: self.s.language.other(), ..self.s },
            "large" => Settings { large: !self.s.large, ..self.s },
            _ => Settings { voice: !self.s.voice, ..self.s },
        };
        format!("/screen/display?as={}", s.word())
    }

    fn lights(&self) -> [Light; 3] {
        [camera(self.v.camera, self.w), line(self.v.line, self.w), spool(self.v.spool, self.w)]
    }

    fn documents(&self) -> Vec<(&'static str, &'static str)> {
        DocumentKind::ALL.into_iter().map(|kind| (kind.word(), document(kind, self.w))).collect()
    }
}

fn light(well: bool, name: &'static str, word: impl Into<String>) -> Light {
    Light { mark: if well { "○" } else { "△" }, well, name, word: word.into() }
}

fn camera(seen: CameraSeen, w: &'static Words) -> Light {
    let (well, word) = match seen {
        CameraSeen::InUse => return Light { mark: "●", ..light(true, w.camera, w.camera_in_use) },
        CameraSeen::Last(CameraState::Unspecified) => (true, w.camera_resting),
        CameraSeen::Last(CameraState::Ready) => (true, w.camera_ready),
        CameraSeen::Last(CameraState::Absent) => (false, w.camera_absent),
        CameraSeen::Last(CameraState::Busy) => (false, w.camera_busy),
        CameraSeen::Last(CameraState::Stalled) => (false, w.camera_stalled),
        CameraSeen::Last(CameraState::Unplugged) => (false, w.camera_unplugged),
        CameraSeen::Last(CameraState::Frozen) => (false, w.camera_frozen),
        CameraSeen::Last(CameraState::Black) => (false, w.camera_black),
        CameraSeen::Last(CameraState::UpsideDown) => (false, w.camera_upside_down),
    };
    light(well, w.camera, word)
}

fn line(seen: LineSeen, w: &'static Words) -> Light {
    let (well, word) = match seen {
        LineSeen::Unknown => (true, w.line_unknown),
        LineSeen::Up => (true, w.line_up),
        LineSeen::Backup => (true, w.line_backup),
        LineSeen::Down { alone: true } => (false, w.line_alone),
        LineSeen::Down { alone: false } => (false, w.line_down),
    };
    light(well, w.line, word)
}

fn spool(seen: SpoolSeen, w: &'static Words) -> Light {
    match seen {
        SpoolSeen::Unknown => light(false, w.spool, w.spool_unknown),
        SpoolSeen::Waiting(count) => light(true, w.spool, count.to_string()),
        SpoolSeen::Full(count) => light(false, w.spool, format!("{count} ({})", w.spool_full)),
    }
}

fn document(kind: DocumentKind, w: &'static Words) -> &'static str {
    match kind {
        DocumentKind::ResidentIdentity => w.resident_identity,
        DocumentKind::SocialSecurityCard => w.social_security_card,
        DocumentKind::Passport => w.passport,
        DocumentKind::TravelPermit => w.travel_permit,
        DocumentKind::PermanentResidence => w.permanent_residence,
        DocumentKind::HouseholdRegister => w.household_register,
        DocumentKind::Service => w.service,
        DocumentKind::Other => w.other,
    }
}

/// What of the page changes, as the script takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changing {
    /// The state's word.
    pub state: &'static str,
    /// Whether the picture of the camera is to be asked for.
    pub live: bool,
    /// What a voice says.
    pub say: &'static str,
    /// State of the counter.
    pub status: String,
    /// Instruction, drawing and next step.
    pub stage: String,
    /// What may be done.
    pub actions: String,
}

/// The whole page.
///
/// # Errors
/// When a template fails.
pub fn page(view: &View, settings: Settings, notice: &[String]) -> Result<String, askama::Error> {
    let p = Parts { v: view, s: settings, w: settings.language.words() };
    Page { p, notice, disconnected: ScreenState::Disconnected }.render()
}

/// What of it changes.
///
/// # Errors
/// When a template fails.
pub fn changing(view: &View, settings: Settings) -> Result<Changing, askama::Error> {
    let p = Parts { v: view, s: settings, w: settings.language.words() };
    Ok(Changing {
        state: view.state.word(),
        live: view.live,
        say: p.says(),
        status: Status { p: &p }.render()?,
        stage: Stage { p: &p }.render()?,
        actions: Actions { p: &p }.render()?,
    })
}

/// The page for somebody without a way in.
///
/// # Errors
/// When a template fails.
pub(super) fn shut() -> Result<String, askama::Error> {
    Shut { words: Language::ALL.map(Language::words) }.render()
}
