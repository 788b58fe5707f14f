//! Acquisition, frame by frame, and over arbitrary sequences of frames.

use std::collections::HashSet;

use models_core::{FaceBox, FaceRule, Landmarks, Measure, Point};
use proptest::prelude::*;

use super::*;

/// What a frame of 640 × 480 shows.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shows {
    Refused(FaceRefusal),
    /// A face whose one component has this score, and everything else 90.
    Limited(Component, u8),
    /// A face that fills the picture.
    Huge,
    /// A good face of this sharpness.
    Good(u8),
    /// A good face somewhere else.
    Elsewhere,
}

use Shows::{Elsewhere, Good, Huge, Limited, Refused};

const NOBODY: Shows = Refused(FaceRefusal::NoFace);
const TWO: Shows = Refused(FaceRefusal::SeveralFaces);

fn face(left: f32) -> DetectedFace {
    let at = |x: f32, y: f32| Point { x: left + x * 150.0, y: 100.0 + y * 150.0 };
    DetectedFace {
        face_box: FaceBox { left, top: 100.0, right: left + 150.0, bottom: 250.0 },
        landmarks: Landmarks([at(0.3, 0.4), at(0.7, 0.4), at(0.5, 0.6), at(0.35, 0.8), at(0.65, 0.8)]),
        score: 0.9,
    }
}

fn quality(limited: Option<(Component, u8)>, head_size: f32) -> Quality {
    let mut quality: Quality = Component::ALL.iter().map(|component| (*component, Measure { raw: 0.5, score: 90 })).collect();
    quality.set(Component::HeadSize, head_size, if head_size > 0.6 { 10 } else { 90 });
    if let Some((component, score)) = limited {
        quality.set(component, 0.5, score);
    }
    quality
}

fn seen(shows: Shows) -> Result<Seen, FaceRefusal> {
    let (left, limited, head_size) = match shows {
        Refused(refusal) => return Err(refusal),
        Limited(component, score) => (100.0, Some((component, score)), 0.4),
        Huge => (100.0, None, 0.9),
        Good(sharpness) => (100.0, Some((Component::Sharpness, sharpness)), 0.4),
        Elsewhere => (450.0, Some((Component::Sharpness, 60)), 0.4),
    };
    Ok(Seen { face: face(left), quality: quality(limited, head_size) })
}

fn observation(at_ms: u64, fingerprint: u64, shows: Shows) -> Observation<u64> {
    let taken_at = Moment::from_ms(at_ms);
    Observation { taken_at, fingerprint: Fingerprint(fingerprint), whole: true, seen: seen(shows), frame: fingerprint }
}

/// Two frames are fused, the best of three; everything must score 50, pose, eyes and mask at least 20 later on.
fn rule() -> AcquisitionRule {
    AcquisitionRule {
        deadline_ms: 1_000,
        frames: 2,
        good_frames: 3,
        frame_gap_ms: 50,
        face: FaceRule::default(),
        gate: Component::ALL.iter().map(|component| (*component, 50)).collect(),
        floor: Gate::of(&[
            (Component::HeadPoseYaw, 20),
            (Component::HeadPosePitch, 20),
            (Component::HeadPoseRoll, 20),
            (Component::EyesOpen, 20),
            (Component::MouthOcclusionPrevention, 20),
        ]),
        relax_after_ms: 500,
        whole_every_ms: 300,
        dwell_ms: 0,
        stale_after_ms: 100,
        stall_after_ms: 600,
    }
}

/// Feeds one frame every 100 ms and tells how it ended, or the last instruction.
fn play(rule: AcquisitionRule, frames: &[Shows]) -> String {
    let mut machine = Acquisition::start(rule, Moment::from_ms(0));
    let mut word = "";
    for (number, shows) in frames.iter().enumerate() {
        let at_ms = 100 * (number as u64 + 1);
        match machine.observe(Moment::from_ms(at_ms), observation(at_ms, number as u64, *shows)) {
            Progress::Continue(next, instruction) => (machine, word) = (next, instruction.word()),
            end @ (Progress::Acquired(_) | Progress::Failed(_) | Progress::CameraStalled) => {
                return format!("{} at {at_ms}", describe(&end));
            }
        }
    }
    word.to_owned()
}

fn describe(end: &Progress<u64>) -> String {
    match end {
        Progress::Continue(_, instruction) => instruction.word().to_owned(),
        Progress::Acquired(frames) => {
            let numbers: Vec<String> = frames.iter().map(|frame| frame.frame.to_string()).collect();
            format!("frames {}", numbers.join(" "))
        }
        Progress::Failed(failure) => match failure.component() {
            Some(component) => format!("failed: {} {component}", failure.word()),
            None => format!("failed: {}", failure.word()),
        },
        Progress::CameraStalled => "stalled".to_owned(),
    }
}

#[track_caller]
fn check(frames: &[Shows], expected: &str) {
    assert_eq!(play(rule(), frames), expected);
}

#[test]
fn each_shortfall_has_its_one_instruction() {
    check(&[NOBODY], "look_at_camera");
    check(&[TWO], "one_person_only");
    check(&[Refused(FaceRefusal::TooSmall)], "come_closer");
    check(&[Refused(FaceRefusal::CutOff)], "move_to_middle");
    check(&[Huge], "move_back");
    check(&[Limited(Component::HeadSize, 10)], "come_closer");
    check(&[Limited(Component::LeftwardCrop, 10)], "move_to_middle");
    check(&[Limited(Component::HeadPoseYaw, 10)], "face_the_camera");
    check(&[Limited(Component::EyesOpen, 10)], "face_the_camera");
    check(&[Limited(Component::UnderExposurePrevention, 10)], "more_light");
    check(&[Limited(Component::OverExposurePrevention, 10)], "too_bright");
    check(&[Limited(Component::MouthOcclusionPrevention, 10)], "take_off_mask");
    check(&[Limited(Component::Sharpness, 10)], "hold_still");
    check(&[Good(90)], "hold_still");
}

#[test]
fn the_best_of_the_good_frames_are_chosen_and_always_as_many_as_the_recipe_fuses() {
    check(&[Good(60), Good(80)], "hold_still");
    check(&[Good(60), Good(80), Good(70)], "frames 1 2 at 300");
    check(&[Good(60), Limited(Component::Sharpness, 10), Good(80), Good(70)], "frames 2 3 at 400");
    let mut late = [NOBODY; 10];
    (late[8], late[9]) = (Good(60), Good(70));
    check(&late, "frames 9 8 at 1000");
    late[8] = NOBODY;
    check(&late, "failed: too_few_frames at 1000");
}

#[test]
fn frames_nearer_than_the_gap_count_once() {
    let rule = AcquisitionRule { frame_gap_ms: 150, ..rule() };
    assert_eq!(play(rule.clone(), &[Good(60), Good(80), Good(70)]), "hold_still");
    assert_eq!(play(rule, &[Good(60), Good(80), Good(70), Good(65), Good(66)]), "frames 1 2 at 500");
}

#[test]
fn who_leaves_or_is_joined_or_replaced_by_another_starts_anew() {
    check(&[Good(90), Good(90), NOBODY, Good(60), Good(60)], "hold_still");
    check(&[Good(90), Good(90), NOBODY, Good(60), Good(70), Good(65)], "frames 4 5 at 600");
    check(&[Good(90), Good(90), TWO, Good(60), Good(70), Good(65)], "frames 4 5 at 600");
    check(&[Good(90), Good(90), Elsewhere], "hold_still");
    check(&[Good(90), Good(90), Elsewhere, Elsewhere, Elsewhere], "frames 2 3 at 500");
}

#[test]
fn pose_and_eyes_are_asked_for_and_then_relax_to_a_floor() {
    let bent = Limited(Component::HeadPosePitch, 30);
    check(&[bent; 4], "face_the_camera");
    check(&[bent; 5], "frames 2 3 at 500");
    check(&[Good(90), bent, bent, bent, bent], "frames 0 2 at 500");
    check(&[Limited(Component::EyesOpen, 10); 10], "failed: low_quality eyes_open at 1000");
    check(&[Limited(Component::Sharpness, 30); 10], "failed: low_quality sharpness at 1000");
}

#[test]
fn a_mask_is_asked_about_once_and_then_another_way_is_offered() {
    let masked = Limited(Component::MouthOcclusionPrevention, 5);
    check(&[masked; 5], "take_off_mask");
    check(&[masked; 10], "failed: face_covered mouth_occlusion_prevention at 600");
    check(&[NOBODY, masked, NOBODY, NOBODY, NOBODY, NOBODY, masked], "failed: face_covered mouth_occlusion_prevention at 700");
    check(&[masked, masked, Good(80), Good(80), Good(80)], "frames 2 3 at 500");
    // Above the floor it is let be after it was asked about.
    check(&[Limited(Component::MouthOcclusionPrevention, 30); 6], "frames 3 4 at 600");
}

#[test]
fn the_deadline_ends_with_the_commonest_of_the_latest_reasons() {
    let late = AcquisitionRule { relax_after_ms: 60_000, ..rule() };
    let check = |frames: &[Shows], expected: &str| assert_eq!(play(late.clone(), frames), format!("failed: {expected} at 1000"));
    check(&[NOBODY; 10], "no_face");
    check(&[TWO; 10], "several_faces");
    check(&[Refused(FaceRefusal::TooSmall); 10], "too_small");
    check(&[Refused(FaceRefusal::CutOff); 10], "cut_off");
    check(&[Limited(Component::InterEyeDistance, 10); 10], "low_quality inter_eye_distance");
    let mut arrives = [NOBODY; 10];
    arrives[5..].fill(Refused(FaceRefusal::TooSmall));
    check(&arrives, "too_small");
}

#[test]
fn an_instruction_stays_long_enough_to_be_read() {
    let slow = AcquisitionRule { dwell_ms: 250, ..rule() };
    let dark = Limited(Component::UnderExposurePrevention, 10);
    assert_eq!(play(slow.clone(), &[NOBODY, dark]), "look_at_camera");
    assert_eq!(play(slow.clone(), &[NOBODY, dark, dark, dark]), "more_light");
    assert_eq!(play(slow, &[Good(90), dark]), "more_light");
}

#[test]
fn after_a_full_search_the_next_ones_are_around_the_last_face() {
    let step = |machine: Acquisition<u64>, at_ms: u64, shows: Shows, whole: bool| match machine
        .observe(Moment::from_ms(at_ms), Observation { whole, ..observation(at_ms, at_ms, shows) })
    {
        Progress::Continue(next, _) => next,
        end @ (Progress::Acquired(_) | Progress::Failed(_) | Progress::CameraStalled) => panic!("{}", describe(&end)),
    };
    let blurred = Limited(Component::Sharpness, 10);
    let machine = Acquisition::start(rule(), Moment::from_ms(0));
    assert_eq!(machine.search(Moment::from_ms(50)), Search::Whole);
    let machine = step(machine, 100, blurred, true);
    assert_eq!(machine.search(Moment::from_ms(200)), Search::Around(face(100.0)));
    let machine = step(machine, 200, blurred, false);
    assert_eq!(machine.search(Moment::from_ms(399)), Search::Around(face(100.0)));
    assert_eq!(machine.search(Moment::from_ms(400)), Search::Whole, "somebody may have joined");
    let machine = step(machine, 300, NOBODY, true);
    assert_eq!(machine.search(Moment::from_ms(310)), Search::Whole);
}

#[test]
fn a_frozen_camera_never_gives_a_face() {
    let mut machine = Acquisition::start(rule(), Moment::from_ms(0));
    for at_ms in (100..600).step_by(100) {
        let Progress::Continue(next, _) = machine.observe(Moment::from_ms(at_ms), observation(at_ms, 7, Good(90))) else {
            panic!("a repeated frame ended the acquisition")
        };
        machine = next;
    }
    assert_eq!(describe(&machine.observe(Moment::from_ms(700), observation(700, 7, Good(90)))), "stalled");
}

#[test]
fn frames_older_than_the_bound_do_not_count() {
    let machine = Acquisition::start(rule(), Moment::from_ms(0));
    let Progress::Continue(machine, instruction) = machine.observe(Moment::from_ms(201), observation(100, 1, Good(90))) else {
        panic!("a stale frame ended the acquisition")
    };
    assert_eq!(instruction, Instruction::WaitForCamera);
    assert_eq!(machine.wake_at(), Moment::from_ms(600));
    let Progress::Continue(machine, instruction) = machine.observe(Moment::from_ms(300), observation(200, 2, Good(90))) else {
        panic!("one good frame is not enough")
    };
    assert_eq!(instruction, Instruction::HoldStill);
    assert_eq!(machine.wake_at(), Moment::from_ms(900));
}

#[test]
fn a_silent_camera_stalls_before_the_deadline() {
    let start = || Acquisition::<u64>::start(rule(), Moment::from_ms(0));
    assert_eq!(describe(&start().wait(Moment::from_ms(599))), "wait_for_camera");
    assert_eq!(describe(&start().wait(Moment::from_ms(600))), "stalled");
}

#[test]
fn rules_name_the_field_outside_its_range() {
    assert_eq!(AcquisitionRule::default().checked(), Ok(AcquisitionRule::default()));
    let refused = |rule: AcquisitionRule| rule.checked().unwrap_err().to_string();
    assert_eq!(refused(AcquisitionRule { frames: 0, ..rule() }), "acquisition.frames: expected 1 to 16");
    let few = AcquisitionRule { frames: 3, good_frames: 2, ..rule() };
    assert_eq!(refused(few), "acquisition.good_frames: expected at least the recipe's frames, at most 32");
    let high = AcquisitionRule { floor: Gate::of(&[(Component::EyesOpen, 51)]), ..rule() };
    assert_eq!(refused(high), "acquisition.floor: expected nothing above the gate, and nothing the gate does not ask for");
    let mut nan = rule();
    nan.face.share_inside_min = f32::NAN;
    assert_eq!(refused(nan), "acquisition.share_inside_min: expected 0 to 1");
}

#[test]
fn words_differ() {
    let words: HashSet<_> = Instruction::ALL.iter().map(|instruction| instruction.word()).collect();
    assert_eq!(words.len(), Instruction::ALL.len());
}

fn any_shows() -> impl Strategy<Value = Shows> {
    prop_oneof![
        Just(NOBODY),
        Just(TWO),
        Just(Refused(FaceRefusal::TooSmall)),
        Just(Huge),
        Just(Elsewhere),
        (prop::sample::select(Component::ALL), 0_u8..100).prop_map(|(component, score)| Limited(component, score)),
        (50_u8..100).prop_map(Good),
        (50_u8..100).prop_map(Good),
    ]
}

proptest! {
    /// Whatever is seen, in whatever order and freshness: the machine ends by its deadline, and what it acquires
    /// are exactly as many frames as the recipe fuses, each fresh, at least passable, and of one presence.
    #[test]
    fn it_ends_and_what_it_acquires_was_fresh_and_good(
        frames in prop::collection::vec((any_shows(), 0_u64..150, 0_u64..300, 0_u64..40), 1..40),
    ) {
        let rule = rule();
        let mut machine = Acquisition::start(rule.clone(), Moment::from_ms(0));
        let (mut now, mut counted, mut eligible, mut last_place) = (0, HashSet::new(), HashSet::new(), None);
        for (number, (shows, step, age, fingerprint)) in (0_u64..).zip(frames) {
            now += step;
            let taken = now.saturating_sub(age);
            let fresh = now - taken <= rule.stale_after_ms && !counted.contains(&fingerprint);
            prop_assert_eq!(fresh, machine.is_fresh(Moment::from_ms(now), Moment::from_ms(taken), Fingerprint(fingerprint)));
            if fresh {
                counted.insert(fingerprint);
                let place = match shows { Refused(_) => None, Elsewhere => Some(450), Limited(..) | Huge | Good(_) => Some(100) };
                if matches!(shows, NOBODY | TWO) || place.is_some() && last_place.is_some() && place != last_place {
                    eligible.clear();
                }
                last_place = place;
                if let Ok(seen) = seen(shows) && rule.relaxed_gate().check(&seen.quality).is_ok() {
                    eligible.insert(number);
                }
            }
            match machine.observe(Moment::from_ms(now), Observation { frame: number, ..observation(taken, fingerprint, shows) }) {
                Progress::Continue(next, _) => {
                    prop_assert!(now < rule.deadline_ms, "went on after the deadline");
                    machine = next;
                }
                Progress::Acquired(frames) => {
                    prop_assert_eq!(frames.len(), rule.frames);
                    prop_assert!(frames.iter().all(|frame| eligible.contains(&frame.frame)), "{:?} of {:?}", frames, eligible);
                    return Ok(());
                }
                Progress::Failed(failure) => {
                    prop_assert!(now >= rule.deadline_ms || failure == AcquisitionFailure::FaceCovered);
                    return Ok(());
                }
                Progress::CameraStalled => return Ok(()),
            }
        }
        let end = machine.wait(Moment::from_ms(now.max(rule.deadline_ms)));
        prop_assert!(!matches!(end, Progress::Continue(..)), "still going at the deadline");
    }
}
