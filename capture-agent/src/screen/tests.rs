//! The whole table of states, held against what a screen must be: complete, calm, and blind to decisions.

use std::collections::BTreeSet;

use capture_core::{Instruction, State, Told, Way};
use proto::v1::CameraState;

use super::*;
use crate::{output::instruction_words, problem, till::Shown};

/// Words that accuse or alarm somebody.
const ACCUSING: &[&str] = &[
    "mismatch",
    "match",
    "fraud",
    "fake",
    "impost",
    "suspic",
    "suspect",
    "forg",
    "alarm",
    "warning",
    "danger",
    "illegal",
    "cheat",
    "reject",
    "denied",
    "violat",
    "criminal",
    "stolen",
    "blacklist",
    "wrong person",
    "attack",
    "spoof",
    "不符",
    "不匹配",
    "不一致",
    "冒名",
    "冒用",
    "冒充",
    "代刷",
    "嫌疑",
    "可疑",
    "疑点",
    "欺诈",
    "诈骗",
    "骗保",
    "违规",
    "违法",
    "警告",
    "警报",
    "报警",
    "危险",
    "拒绝",
    "假冒",
    "伪造",
    "非本人",
    "不是本人",
    "盗刷",
    "黑名单",
    "攻击",
    "失败",
    "错误",
];

fn settings() -> Vec<Settings> {
    Language::ALL.into_iter().flat_map(|language| [false, true].map(|large| Settings { language, large, voice: large })).collect()
}

#[track_caller]
fn check_calm(text: &str) {
    let text = text.to_lowercase();
    let found: Vec<_> = ACCUSING.iter().filter(|word| text.contains(**word)).collect();
    assert!(found.is_empty(), "{found:?} in: {text}");
}

#[track_caller]
fn check_written([zh, en]: [&str; 2]) {
    let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    assert!(!zh.is_empty() && !en.is_empty() && !is_chinese(en), "{zh} / {en}");
    assert!(is_chinese(zh), "{zh} / {en}");
}

#[test]
fn every_state_has_words_in_both_languages_and_none_of_them_accuses() {
    let mut words = BTreeSet::new();
    for state in ScreenState::ALL {
        assert!(words.insert(state.word()), "{state:?} twice");
        for pair in [state.says(), state.next()] {
            check_written(pair);
            pair.into_iter().for_each(check_calm);
        }
        assert!(SHAPES.contains(&format!("<symbol id=\"{}\"", state.shape().word())), "{state:?} has no drawing");
    }
    for pair in WORDS {
        if pair != &["English", "中文"] {
            check_written(*pair);
        }
        pair.iter().for_each(|word| check_calm(word));
    }
    let dir = tempfile::tempdir().unwrap();
    Language::ALL.iter().flat_map(|language| notice(dir.path(), *language)).for_each(|paragraph| check_calm(&paragraph));
}

#[test]
fn every_page_is_calm_whole_and_without_anything_inline() {
    let dir = tempfile::tempdir().unwrap();
    for (state, settings) in ScreenState::ALL.iter().flat_map(|state| settings().into_iter().map(move |settings| (*state, settings))) {
        let view = View::specimen(state);
        let html = page(&view, settings, &notice(dir.path(), settings.language)).unwrap().replace("&#39;", "'");
        check_calm(&html);
        assert!(html.contains(settings.language.of(state.says())) && html.contains(settings.language.of(state.next())));
        for inline in ["style=", "<style", " onclick", "javascript:", "http://", "https://"] {
            assert!(!html.contains(inline), "{inline} in {state:?}");
        }
        assert_eq!(html.matches("<script").count(), 1);
        let changing = changing(&view, settings).unwrap();
        for part in [&changing.status, &changing.stage, &changing.actions] {
            assert!(html.contains(&part.replace("&#39;", "'")), "{state:?}: the page and its changing parts are one template");
        }
        // What a face was decided to be is in no attribute either.
        for word in ["non_match", "no_decision", "review", "score", "threshold"] {
            assert!(!html.contains(word), "{word} in {state:?}");
        }
    }
}

#[test]
fn wherever_the_camera_is_offered_the_other_way_is_too_and_as_large() {
    let mut offered = 0;
    for state in ScreenState::ALL {
        let view = View::specimen(*state);
        if view.offers.begin || view.offers.again {
            offered += 1;
            let actions = changing(&view, Settings::default()).unwrap().actions;
            let class =
                |id: &str| actions.split(&format!("id=\"{id}\" ")).nth(1).and_then(|rest| rest.split(' ').next()).map(str::to_owned);
            let camera = class("begin").or(class("again"));
            assert!(camera.is_some() && camera == class("other-way"), "{state:?}: {actions}");
        }
    }
    assert!(offered > 20);
}

#[test]
fn nothing_is_red() {
    let mut seen = 0;
    for source in [STYLE, SHAPES, ICON] {
        for colour in source.split('#').skip(1).filter_map(|rest| rest.get(..6)).filter(|hex| hex.chars().all(|c| c.is_ascii_hexdigit())) {
            let part = |at: usize| i32::from_str_radix(&colour[at..at + 2], 16).unwrap();
            let (red, green, blue) = (part(0), part(2), part(4));
            assert!(red - green.max(blue) < 40, "#{colour} is red");
            seen += 1;
        }
        for word in ["red", "crimson", "tomato", "orange"] {
            assert!(!source.contains(&format!(": {word}")), "{word}");
        }
    }
    assert!(seen > 10);
}

#[test]
fn instructions_are_those_of_the_local_api() {
    for instruction in Instruction::ALL {
        let state = ScreenState::from(instruction);
        let (word, _, zh) = instruction_words(instruction);
        assert_eq!((state.word(), state.says()[0]), (word, zh));
        assert!(state.is_guidance());
    }
    assert!(!ScreenState::Comparing.is_guidance());
}

#[test]
fn every_problem_is_a_state_and_the_known_ones_are_their_own() {
    let general: Vec<&str> =
        problem::PROBLEMS.iter().map(|problem| problem.code).filter(|code| ScreenState::of_problem(code) == ScreenState::Trouble).collect();
    for known in ["camera", "lease", "outbox", "center", "document", "proxy", "operator", "reader", "recorded", "device", "consent"] {
        assert!(!general.iter().any(|code| code.contains(known)), "{known}: {general:?}");
    }
}

fn shown(state: State) -> Shown {
    Shown {
        transaction: "T1".into(),
        state,
        way: None,
        ways: Way::ALL.to_vec(),
        told: None,
        degraded: false,
        instruction: None,
        problem: None,
        proxy: false,
        proxy_may_come: true,
        card_ends: "0027".into(),
        consent_asked: String::new(),
        operator_known: true,
    }
}

fn counter() -> Counter {
    Counter {
        camera_open: false,
        camera: CameraState::Ready,
        line: LineSeen::Up,
        spool: SpoolSeen::Waiting(0),
        reader: true,
        drill: false,
        notice: "N-1".into(),
    }
}

#[track_caller]
fn check(change: impl FnOnce(&mut Shown, &mut Counter), expected: ScreenState) {
    let (mut shown, mut counter) = (shown(State::Open), counter());
    change(&mut shown, &mut counter);
    assert_eq!(View::of(Some(&shown), &counter).state, expected, "{shown:?} {counter:?}");
}

#[test]
fn a_transaction_is_shown_as_it_stands() {
    check(|_, _| {}, ScreenState::Ready);
    check(|_, counter| counter.drill = true, ScreenState::Ready);
    check(|shown, _| shown.proxy = true, ScreenState::ReadyProxy);
    check(|shown, _| shown.consent_asked = "C-1".into(), ScreenState::Consent);
    check(|shown, _| shown.problem = Some("camera_black"), ScreenState::CameraCovered);
    check(|shown, _| shown.state = State::Waiting, ScreenState::Unanswered);
    check(|shown, _| (shown.state, shown.problem) = (State::Waiting, Some("recorded_only")), ScreenState::RecordedOnly);
    check(|shown, _| shown.state = State::Confirmed, ScreenState::Confirmed);
    check(|shown, _| shown.state = State::Expired, ScreenState::Expired);
    let told = |told, degraded| {
        move |shown: &mut Shown, _: &mut Counter| (shown.state, shown.told, shown.degraded) = (State::Answered, Some(told), degraded)
    };
    check(told(Told::Settle, false), ScreenState::Settled);
    check(told(Told::SettleFlagged, false), ScreenState::Settled);
    check(told(Told::SettleFlagged, true), ScreenState::SettledAlone);
    check(told(Told::DocumentCheck, true), ScreenState::DocumentCheck);
    check(told(Told::OtherWay, false), ScreenState::TakeOtherWay);
    check(told(Told::Hold, false), ScreenState::Hold);
    check(told(Told::Retry, false), ScreenState::Retry);
    assert_eq!(View::of(None, &counter()).state, ScreenState::Idle);
    assert_eq!(View::of(None, &Counter { drill: true, ..counter() }).state, ScreenState::Drill);
}

#[test]
fn an_attempt_is_shown_from_the_cameras_opening_to_the_comparison() {
    let trying = |way, open, instruction| {
        move |shown: &mut Shown, counter: &mut Counter| {
            (shown.state, shown.way, shown.instruction) = (State::Capturing, Some(way), instruction);
            counter.camera_open = open;
        }
    };
    check(trying(Way::Face, false, None), ScreenState::Starting);
    check(trying(Way::Face, true, None), ScreenState::Starting);
    check(trying(Way::Face, true, Some(Instruction::ComeCloser)), ScreenState::ComeCloser);
    check(trying(Way::Face, false, Some(Instruction::HoldStill)), ScreenState::Comparing);
    check(trying(Way::Chip, false, None), ScreenState::ChipReading);
    check(trying(Way::OtherWay, false, None), ScreenState::Recording);
    check(
        |shown, counter| {
            trying(Way::Face, false, Some(Instruction::HoldStill))(shown, counter);
            counter.camera = CameraState::Stalled;
        },
        ScreenState::Starting,
    );
}

#[test]
fn the_picture_is_shown_while_a_face_is_sought_and_at_no_other_time() {
    for state in State::ALL {
        for (way, open) in Way::ALL.iter().flat_map(|way| [(*way, false), (*way, true)]) {
            let view = View::of(Some(&Shown { way: Some(way), ..shown(*state) }), &Counter { camera_open: open, ..counter() });
            let expected = *state == State::Capturing && open && matches!(way, Way::Face | Way::Chip);
            assert_eq!(view.live, expected, "{state:?} {way:?} {open}");
            let stage = changing(&view, Settings::default()).unwrap().stage;
            assert_eq!(stage.contains("<img"), expected);
        }
    }
    assert!(!View::of(None, &Counter { camera_open: true, ..counter() }).live, "a camera that is examined shows nobody");
}

#[test]
fn settings_are_a_word_and_strange_words_are_as_shipped() {
    for settings in settings() {
        assert_eq!(Settings::from_word(&settings.word()), settings);
    }
    assert_eq!(Settings::from_word("\"><script>"), Settings::default());
}
