//! Freshness, by the clock that is passed in. Everything else is tested through the service.

use matcher_core::{IdentifierKind, Region};

use super::*;

const NOW: TimeMs = 1_800_000_000_000;
const FRESHNESS: Freshness = Freshness { past_max_ms: 600_000, future_max_ms: 120_000 };

#[track_caller]
fn check(captured_at: TimeMs, clock_offset_ms: i64, expected: Result<TimeMs, &str>) {
    let capture = Capture {
        scene: Scene::Settlement,
        identifier: Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), "A12345678").unwrap(),
        operator: String::new(),
        captured_at,
        clock_offset_ms,
        outcome: Outcome::Failure(AcquisitionFailure::NoFace),
    };
    match (FRESHNESS.check(&capture, NOW), expected) {
        (Ok(at), Ok(expected)) => assert_eq!(at, expected),
        (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
        (got, expected) => panic!("{got:?}, expected {expected:?}"),
    }
}

#[test]
fn a_frame_may_be_neither_too_old_nor_of_the_future() {
    check(NOW, 0, Ok(NOW));
    check(NOW - 600_000, 0, Ok(NOW - 600_000));
    check(NOW - 600_001, 0, Err("capture.captured_at_ms: expected a frame at most 600000 ms old"));
    check(NOW + 120_000, 0, Ok(NOW + 120_000));
    check(NOW + 120_001, 0, Err("capture.captured_at_ms: expected a frame at most 120000 ms ahead"));
}

#[test]
fn the_devices_clock_is_corrected_by_its_offset() {
    check(NOW - 3_600_000, 3_600_000, Ok(NOW));
    check(NOW, -3_600_000, Err("capture.captured_at_ms"));
}

#[test]
fn absurd_times_are_refused_and_do_not_overflow() {
    check(i64::MIN, i64::MIN, Err("capture.captured_at_ms"));
    check(i64::MAX, i64::MAX, Err("capture.captured_at_ms"));
    check(i64::MIN, i64::MAX, Err("capture.captured_at_ms"));
}
