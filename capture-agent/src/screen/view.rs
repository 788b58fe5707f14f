//! What the screen shows: one [`View`], made of the running transaction and of how the counter stands. Nothing here knows a
//! decision: `review` cannot look other than `match`.

use capture_core::{State, Told, Way};
use proto::v1::CameraState;

use super::state::ScreenState;
use crate::till::Shown;

/// The camera, as the screen names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameraSeen {
    /// Somebody is being looked at.
    InUse,
    /// As last seen.
    Last(CameraState),
}

/// The line to the center.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineSeen {
    /// No call was made yet.
    Unknown,
    /// The wanted one answers.
    Up,
    /// Another than the wanted one answers.
    Backup,
    /// None answers; whether the counter may answer by itself.
    Down {
        /// Whether a lease allows it.
        alone: bool,
    },
}

/// What waits for the center.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolSeen {
    /// It cannot be read.
    Unknown,
    /// So many envelopes.
    Waiting(u32),
    /// As many as may.
    Full(u32),
}

/// What may be done now; each is one touch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offers {
    /// A face.
    pub begin: bool,
    /// What waits is sent again.
    pub again: bool,
    /// Another way.
    pub other_way: bool,
    /// The operator looks at a document.
    pub document: bool,
    /// A document's chip.
    pub chip: bool,
    /// Somebody collects for the holder.
    pub proxy: bool,
    /// Calls it off.
    pub end: bool,
}

/// The whole screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// What it is.
    pub state: ScreenState,
    /// The transaction; empty where none runs.
    pub transaction: String,
    /// The card's last digits; may be empty.
    pub card_ends: String,
    /// What may be done.
    pub offers: Offers,
    /// Whether a face was tried before in this transaction.
    pub tried: bool,
    /// Version of the consent that is asked for; may be empty.
    pub consent: String,
    /// Whether the operator is known.
    pub operator_known: bool,
    /// Whether the picture of the camera is shown.
    pub live: bool,
    /// The camera.
    pub camera: CameraSeen,
    /// The line.
    pub line: LineSeen,
    /// What waits.
    pub spool: SpoolSeen,
    /// Version of the notice; empty where no policy was fetched.
    pub notice: String,
}

/// How the counter stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// Whether somebody has the camera open.
    pub camera_open: bool,
    /// The camera as last seen.
    pub camera: CameraState,
    /// The line.
    pub line: LineSeen,
    /// What waits.
    pub spool: SpoolSeen,
    /// Whether there is a reader of documents.
    pub reader: bool,
    /// Whether a drill is under way.
    pub drill: bool,
    /// Version of the notice.
    pub notice: String,
}

impl View {
    /// The screen of a counter and what runs at it.
    #[must_use]
    pub fn of(shown: Option<&Shown>, counter: &Counter) -> Self {
        let state = match shown {
            None if counter.drill => ScreenState::Drill,
            None => ScreenState::Idle,
            Some(shown) => state(shown, counter),
        };
        let live = shown.is_some_and(seeks_face) && counter.camera_open;
        Self {
            state,
            transaction: shown.map(|shown| shown.transaction.clone()).unwrap_or_default(),
            card_ends: shown.map(|shown| shown.card_ends.clone()).unwrap_or_default(),
            offers: shown.map(|shown| offers(shown, counter)).unwrap_or_default(),
            tried: shown.is_some_and(|shown| shown.told.is_some() || shown.problem.is_some()),
            consent: shown.map(|shown| shown.consent_asked.clone()).unwrap_or_default(),
            operator_known: shown.is_some_and(|shown| shown.operator_known),
            live,
            camera: if live { CameraSeen::InUse } else { CameraSeen::Last(counter.camera) },
            line: counter.line,
            spool: counter.spool,
            notice: counter.notice.clone(),
        }
    }

    /// A screen as it is in a state, for printing and for tests: everything that is open in that state is offered.
    #[must_use]
    pub fn specimen(state: ScreenState) -> Self {
        let resting = matches!(state, ScreenState::Idle | ScreenState::Drill | ScreenState::Disconnected);
        let over = matches!(state, ScreenState::Confirmed | ScreenState::Reversed | ScreenState::Cancelled | ScreenState::Expired);
        let settled = matches!(state, ScreenState::Settled | ScreenState::SettledAlone);
        let busy = state.is_guidance()
            || matches!(state, ScreenState::Starting | ScreenState::Comparing | ScreenState::Recording | ScreenState::ChipReading);
        let open = !(resting || over || settled || busy);
        let waits = matches!(state, ScreenState::Unanswered | ScreenState::RecordedOnly);
        let fresh = matches!(state, ScreenState::Ready | ScreenState::Consent);
        let faces = open && !waits && state != ScreenState::AttemptsSpent;
        Self {
            state,
            transaction: if resting { String::new() } else { "20261122-0001".into() },
            card_ends: if resting { String::new() } else { "0027".into() },
            offers: Offers {
                begin: faces,
                again: waits,
                other_way: open || state.is_guidance(),
                document: open,
                chip: open,
                proxy: fresh,
                end: open || busy,
            },
            tried: faces && !fresh && state != ScreenState::ReadyProxy,
            consent: if state == ScreenState::Consent { "C-1".into() } else { String::new() },
            operator_known: state != ScreenState::OperatorMissing,
            live: false,
            camera: CameraSeen::Last(camera_of(state)),
            line: if line_is_down(state) { LineSeen::Down { alone: state == ScreenState::SettledAlone } } else { LineSeen::Up },
            spool: if state == ScreenState::SpoolFull { SpoolSeen::Full(500) } else { SpoolSeen::Waiting(0) },
            notice: "N-1".into(),
        }
    }
}

/// Whether an attempt by the face is under way: nothing of the camera is shown otherwise.
pub(super) fn seeks_face(shown: &Shown) -> bool {
    shown.state == State::Capturing && matches!(shown.way, Some(Way::Face | Way::Chip))
}

/// Whether the camera is looked into and nothing is taken yet: the other way is open then, too.
fn is_guided(shown: &Shown, counter: &Counter) -> bool {
    seeks_face(shown) && shown.instruction.is_some() && counter.camera_open
}

fn state(shown: &Shown, counter: &Counter) -> ScreenState {
    match shown.state {
        State::Capturing => capturing(shown, counter),
        State::Waiting => shown.problem.map_or(ScreenState::Unanswered, ScreenState::of_problem),
        State::Confirmed => ScreenState::Confirmed,
        State::Reversed => ScreenState::Reversed,
        State::Cancelled => ScreenState::Cancelled,
        State::Expired => ScreenState::Expired,
        State::Open | State::Answered => match (shown.problem, shown.told) {
            (Some(code), _) => ScreenState::of_problem(code),
            // Once more, and not by the camera: the button for it is gone.
            (None, Some(Told::Retry)) if !shown.ways.contains(&Way::Face) => ScreenState::AttemptsSpent,
            (None, Some(told)) => of_told(told, shown.degraded),
            (None, None) if !shown.consent_asked.is_empty() => ScreenState::Consent,
            (None, None) if shown.proxy => ScreenState::ReadyProxy,
            (None, None) => ScreenState::Ready,
        },
    }
}

fn capturing(shown: &Shown, counter: &Counter) -> ScreenState {
    let is_well = matches!(counter.camera, CameraState::Unspecified | CameraState::Ready);
    match (shown.way, shown.instruction) {
        (Some(Way::DocumentCheck | Way::OtherWay), _) => ScreenState::Recording,
        (Some(Way::Chip), None) => ScreenState::ChipReading,
        (Some(Way::Face) | None, None) => ScreenState::Starting,
        (Some(Way::Face | Way::Chip) | None, Some(instruction)) if counter.camera_open => instruction.into(),
        // Closed after it was looked at: what was taken is compared, unless the camera failed and is opened again.
        (Some(Way::Face | Way::Chip) | None, Some(_)) if is_well => ScreenState::Comparing,
        (Some(Way::Face | Way::Chip) | None, Some(_)) => ScreenState::Starting,
    }
}

/// What the till was told. Flagged or not is nobody's business at the counter.
fn of_told(told: Told, degraded: bool) -> ScreenState {
    match told {
        Told::Settle | Told::SettleFlagged if degraded => ScreenState::SettledAlone,
        Told::Settle | Told::SettleFlagged => ScreenState::Settled,
        Told::DocumentCheck => ScreenState::DocumentCheck,
        Told::OtherWay => ScreenState::TakeOtherWay,
        Told::Hold => ScreenState::Hold,
        Told::Retry => ScreenState::Retry,
    }
}

fn offers(shown: &Shown, counter: &Counter) -> Offers {
    let may = |way: Way| shown.ways.contains(&way);
    let waits = shown.state == State::Waiting;
    let settles = shown.state == State::Answered && matches!(shown.told, Some(Told::Settle | Told::SettleFlagged));
    Offers {
        begin: may(Way::Face) && !waits,
        again: waits,
        other_way: may(Way::OtherWay) || is_guided(shown, counter),
        document: may(Way::DocumentCheck),
        chip: may(Way::Chip) && counter.reader,
        proxy: may(Way::Face) && shown.proxy_may_come,
        // What may be settled is the till's to end.
        end: !shown.state.is_terminal() && shown.state != State::Confirmed && !settles,
    }
}

fn camera_of(state: ScreenState) -> CameraState {
    let states = [
        (ScreenState::CameraAbsent, CameraState::Absent),
        (ScreenState::CameraFailed, CameraState::Absent),
        (ScreenState::CameraBusy, CameraState::Busy),
        (ScreenState::CameraLost, CameraState::Unplugged),
        (ScreenState::CameraStalled, CameraState::Stalled),
        (ScreenState::CameraFrozen, CameraState::Frozen),
        (ScreenState::CameraCovered, CameraState::Black),
        (ScreenState::CameraUpsideDown, CameraState::UpsideDown),
    ];
    states.into_iter().find(|(known, _)| *known == state).map_or(CameraState::Ready, |(_, camera)| camera)
}

fn line_is_down(state: ScreenState) -> bool {
    let down = [
        ScreenState::SettledAlone,
        ScreenState::Unanswered,
        ScreenState::RecordedOnly,
        ScreenState::LeaseMissing,
        ScreenState::LeaseUsedUp,
        ScreenState::LeaseExpired,
        ScreenState::ClockSetBack,
        ScreenState::SpoolTooOld,
        ScreenState::SpoolFull,
        ScreenState::Disconnected,
    ];
    down.contains(&state)
}
