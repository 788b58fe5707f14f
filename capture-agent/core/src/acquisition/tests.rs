//! Acquisition, frame by frame, and over arbitrary sequences of frames.

use std::collections::HashSet;

use models_core::{FaceBox, FaceRule, Landmarks, Point};
use proptest::prelude::*;

use super::*;

/// What a frame of 640 × 480 shows.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shows {
    Nobody,
    Two,
    Small,
    Cut,
    Blurred,
    Good(f32),
}

fn face(left: f32, size: f32, score: f32) -> DetectedFace {
    let at = |x: f32, y: f32| Point { x: left + x * size, y: 100.0 + y * size };
    DetectedFace {
        face_box: FaceBox { left, top: 100.0, right: left + size, bottom: 100.0 + size },
        landmarks: Landmarks([at(0.3, 0.4), at(0.7, 0.4), at(0.5, 0.6), at(0.35, 0.8), at(0.65, 0.8)]),
        score,
    }
}

fn faces(shows: Shows) -> Vec<DetectedFace> {
    match shows {
        Shows::Nobody => vec![],
        Shows::Two => vec![face(50.0, 150.0, 0.9), face(350.0, 150.0, 0.9)],
        Shows::Small => vec![face(100.0, 50.0, 0.9)],
        Shows::Cut => vec![face(-60.0, 150.0, 0.9)],
        Shows::Blurred => vec![face(100.0, 150.0, 0.55)],
        Shows::Good(size) => vec![face(100.0, size, 0.9)],
    }
}

fn seen(at_ms: u64, fingerprint: u64, shows: Shows) -> Observation<u64> {
    let taken_at = Moment::from_ms(at_ms);
    Observation { taken_at, fingerprint: Fingerprint(fingerprint), width: 640, height: 480, faces: faces(shows), frame: fingerprint }
}

const RULE: AcquisitionRule = AcquisitionRule {
    deadline_ms: 1_000,
    good_frames: 2,
    face: FaceRule { inter_eye_distance_min_px: 24.0, detection_score_min: 0.5, rival_area_min: 0.35, share_inside_min: 0.85 },
    good_detection_score_min: 0.6,
    stale_after_ms: 100,
    stall_after_ms: 600,
};

/// Feeds one frame every 100 ms and tells how it ended, or the last instruction.
fn play(frames: &[Shows]) -> String {
    let mut machine = Acquisition::start(RULE, Moment::from_ms(0));
    let mut word = "";
    for (number, shows) in frames.iter().enumerate() {
        let at_ms = 100 * (number as u64 + 1);
        match machine.observe(Moment::from_ms(at_ms), seen(at_ms, number as u64, *shows)) {
            Progress::Continue(next, instruction) => (machine, word) = (next, instruction.word()),
            end @ (Progress::Acquired(_) | Progress::Failed(_) | Progress::CameraStalled) => return describe(&end),
        }
    }
    word.to_owned()
}

fn describe(end: &Progress<u64>) -> String {
    match end {
        Progress::Continue(_, instruction) => instruction.word().to_owned(),
        Progress::Acquired(acquired) => format!("frame {}", acquired.frame),
        Progress::Failed(failure) => format!("failed: {}", failure.word()),
        Progress::CameraStalled => "stalled".to_owned(),
    }
}

#[track_caller]
fn check(frames: &[Shows], expected: &str) {
    assert_eq!(play(frames), expected);
}

#[test]
fn each_refusal_has_its_one_instruction() {
    check(&[Shows::Nobody], "look_at_camera");
    check(&[Shows::Two], "one_person_only");
    check(&[Shows::Small], "come_closer");
    check(&[Shows::Cut], "move_to_middle");
    check(&[Shows::Blurred], "face_the_light");
    check(&[Shows::Good(150.0)], "hold_still");
}

#[test]
fn the_best_of_the_good_frames_is_chosen() {
    check(&[Shows::Good(150.0), Shows::Good(200.0)], "frame 1");
    check(&[Shows::Good(200.0), Shows::Good(150.0)], "frame 0");
    check(&[Shows::Nobody, Shows::Good(150.0), Shows::Small, Shows::Good(120.0)], "frame 1");
}

#[test]
fn who_leaves_or_is_joined_by_another_starts_anew() {
    check(&[Shows::Good(200.0), Shows::Nobody, Shows::Good(150.0)], "hold_still");
    check(&[Shows::Good(200.0), Shows::Nobody, Shows::Good(150.0), Shows::Good(140.0)], "frame 2");
    check(&[Shows::Good(200.0), Shows::Two, Shows::Good(150.0), Shows::Good(140.0)], "frame 2");
}

#[test]
fn the_deadline_ends_with_the_commonest_of_the_latest_reasons() {
    check(&[Shows::Nobody; 10], "failed: no_face");
    check(&[Shows::Two; 10], "failed: several_faces");
    check(&[Shows::Small; 10], "failed: too_small");
    check(&[Shows::Cut; 10], "failed: cut_off");
    check(&[Shows::Blurred; 10], "failed: low_quality");
    let mut arrives = [Shows::Nobody; 10];
    arrives[5..].fill(Shows::Small);
    check(&arrives, "failed: too_small");
}

#[test]
fn one_good_frame_at_the_deadline_is_enough() {
    let mut late = [Shows::Nobody; 10];
    late[9] = Shows::Good(150.0);
    check(&late, "frame 9");
}

#[test]
fn a_frozen_camera_never_gives_a_face() {
    let mut machine = Acquisition::start(RULE, Moment::from_ms(0));
    for at_ms in (100..600).step_by(100) {
        let Progress::Continue(next, _) = machine.observe(Moment::from_ms(at_ms), seen(at_ms, 7, Shows::Good(150.0))) else {
            panic!("a repeated frame ended the acquisition")
        };
        machine = next;
    }
    assert_eq!(describe(&machine.observe(Moment::from_ms(700), seen(700, 7, Shows::Good(150.0)))), "stalled");
}

#[test]
fn frames_older_than_the_bound_do_not_count() {
    let machine = Acquisition::start(RULE, Moment::from_ms(0));
    let Progress::Continue(machine, instruction) = machine.observe(Moment::from_ms(201), seen(100, 1, Shows::Good(150.0))) else {
        panic!("a stale frame ended the acquisition")
    };
    assert_eq!(instruction, Instruction::WaitForCamera);
    assert_eq!(machine.wake_at(), Moment::from_ms(600));
    let Progress::Continue(machine, instruction) = machine.observe(Moment::from_ms(300), seen(200, 2, Shows::Good(150.0))) else {
        panic!("one good frame is not enough")
    };
    assert_eq!(instruction, Instruction::HoldStill);
    assert_eq!(machine.wake_at(), Moment::from_ms(900));
}

#[test]
fn a_silent_camera_stalls_before_the_deadline() {
    assert_eq!(describe(&Acquisition::<u64>::start(RULE, Moment::from_ms(0)).wait(Moment::from_ms(599))), "wait_for_camera");
    assert_eq!(describe(&Acquisition::<u64>::start(RULE, Moment::from_ms(0)).wait(Moment::from_ms(600))), "stalled");
}

#[test]
fn rules_name_the_field_outside_its_range() {
    assert_eq!(AcquisitionRule::default().checked(), Ok(AcquisitionRule::default()));
    let refused = |rule: AcquisitionRule| rule.checked().unwrap_err().to_string();
    assert_eq!(refused(AcquisitionRule { good_frames: 0, ..RULE }), "acquisition.good_frames: expected 1 to 100");
    assert_eq!(
        refused(AcquisitionRule { good_detection_score_min: f32::NAN, ..RULE }),
        "acquisition.good_detection_score_min: expected 0 to 1"
    );
}

fn any_shows() -> impl Strategy<Value = Shows> {
    prop_oneof![
        Just(Shows::Nobody),
        Just(Shows::Two),
        Just(Shows::Small),
        Just(Shows::Cut),
        Just(Shows::Blurred),
        (80.0_f32..300.0).prop_map(Shows::Good),
    ]
}

proptest! {
    /// Whatever is seen, in whatever order and freshness: the machine ends by its deadline, and the face it
    /// acquires was good and fresh, and seen since nobody or several people were.
    #[test]
    fn it_ends_and_what_it_acquires_was_fresh_and_good(
        frames in prop::collection::vec((any_shows(), 0_u64..150, 0_u64..300, 0_u64..12), 1..40),
    ) {
        let mut machine = Acquisition::start(RULE, Moment::from_ms(0));
        let (mut now, mut counted, mut eligible) = (0, HashSet::new(), HashSet::new());
        for (number, (shows, step, age, fingerprint)) in (0_u64..).zip(frames) {
            now += step;
            let taken = now.saturating_sub(age);
            let fresh = now - taken <= RULE.stale_after_ms && !counted.contains(&fingerprint);
            prop_assert_eq!(fresh, machine.is_fresh(Moment::from_ms(now), Moment::from_ms(taken), Fingerprint(fingerprint)));
            if fresh {
                counted.insert(fingerprint);
                match shows {
                    Shows::Nobody | Shows::Two => eligible.clear(),
                    Shows::Good(_) => { eligible.insert(number); }
                    Shows::Small | Shows::Cut | Shows::Blurred => {}
                }
            }
            match machine.observe(Moment::from_ms(now), Observation { frame: number, ..seen(taken, fingerprint, shows) }) {
                Progress::Continue(next, _) => {
                    prop_assert!(now < RULE.deadline_ms, "went on after the deadline");
                    machine = next;
                }
                Progress::Acquired(acquired) => {
                    prop_assert!(eligible.contains(&acquired.frame));
                    prop_assert!(now >= RULE.deadline_ms || eligible.len() >= RULE.good_frames as usize);
                    return Ok(());
                }
                Progress::Failed(_) => {
                    prop_assert!(now >= RULE.deadline_ms && eligible.is_empty());
                    return Ok(());
                }
                Progress::CameraStalled => return Ok(()),
            }
        }
        let end = machine.wait(Moment::from_ms(now.max(RULE.deadline_ms)));
        prop_assert!(!matches!(end, Progress::Continue(..)), "still going at the deadline");
    }
}
