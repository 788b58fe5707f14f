//! What was found, and the word for it.

use super::*;
use crate::{camera::look::Examined, config, identity::Validity, line::spool::Holdings};

#[track_caller]
fn check(found: &Check, grade: Grade, word: &str) {
    assert_eq!((found.grade, found.word), (grade, word), "{found:?}");
    assert_eq!(found.remedy.is_none(), grade == Grade::Ok, "a remedy where something is to be done: {found:?}");
    assert!(found.found.zh.chars().any(|c| c > '\u{3000}'), "in both languages");
}

fn facts() -> Cheap {
    let dir = tempfile::tempdir().unwrap().path().to_owned();
    Cheap {
        now_ms: 50 * 86_400_000,
        clock_offset_ms: Some(0),
        validity: Some(Validity { from_ms: 0, until_ms: 100 * 86_400_000 }),
        holdings: Some(Holdings::default()),
        config: config::load(&dir).unwrap().device,
        dir,
    }
}

#[test]
fn cameras() {
    let seen = |brightness, rate_fps| Camera::Well(Examined { brightness, rate_fps });
    check(&camera(&seen(100.0, 30.0)), Grade::Ok, "ok");
    check(&camera(&seen(100.0, 5.0)), Grade::Warn, "slow");
    let bad = [
        (CameraError::Absent("none".into()), "absent"),
        (CameraError::Busy, "busy"),
        (CameraError::Lost("gone".into()), "unplugged"),
        (CameraError::Stalled(2_000), "stalled"),
        (CameraError::OpenTimeout(2_000), "stalled"),
        (CameraError::Frozen, "frozen"),
        (CameraError::Black, "black"),
        (CameraError::UpsideDown, "upside_down"),
        (CameraError::Failed("driver".into()), "failed"),
    ];
    for (error, word) in bad {
        check(&camera(&Camera::Bad(error)), Grade::Fail, word);
    }
    check(&camera(&Camera::NotLookedAt("ready".into())), Grade::Ok, "ok");
    check(&camera(&Camera::NotLookedAt("frozen".into())), Grade::Fail, "failed");
    check(&light(&seen(20.0, 30.0)).unwrap(), Grade::Warn, "dark");
    check(&light(&seen(240.0, 30.0)).unwrap(), Grade::Warn, "bright");
    check(&light(&seen(120.0, 30.0)).unwrap(), Grade::Ok, "ok");
    assert_eq!(light(&Camera::Bad(CameraError::Busy)), None);
}

#[test]
fn line_and_lease() {
    check(&line(&Line::Answers(40)), Grade::Ok, "ok");
    check(&line(&Line::Answers(900)), Grade::Warn, "slow");
    check(&line(&Line::Refuses("revoked".into())), Grade::Fail, "refused");
    check(&line(&Line::Silent("no route".into())), Grade::Fail, "silent");
    check(&line(&Line::NotAsked), Grade::Warn, "not_looked_at");
    check(&lease(None, 5), Grade::Warn, "none");
    check(&lease(Some(&Lease { until_ms: 5, left: 3 }), 5), Grade::Warn, "ended");
    check(&lease(Some(&Lease { until_ms: 6, left: 0 }), 5), Grade::Warn, "used_up");
    check(&lease(Some(&Lease { until_ms: 6, left: 3 }), 5), Grade::Ok, "ok");
}

#[test]
fn clocks_and_certificates() {
    check(&clock(Some(-4_999), 5_000), Grade::Ok, "ok");
    check(&clock(Some(-5_001), 5_000), Grade::Warn, "wrong");
    check(&clock(None, 5_000), Grade::Warn, "unknown");
    let day = 86_400_000;
    let at = |days: i64| certificate(&Cheap { now_ms: days * day, ..facts() });
    check(&at(50), Grade::Ok, "ok");
    check(&at(70), Grade::Warn, "due");
    check(&at(101), Grade::Fail, "ended");
    check(&at(-1), Grade::Fail, "not_yet");
    let behind = Cheap { now_ms: 50 * day, clock_offset_ms: Some(60 * day), ..facts() };
    check(&certificate(&behind), Grade::Fail, "ended");
    check(&certificate(&Cheap { validity: None, ..facts() }), Grade::Warn, "not_looked_at");
}

#[test]
fn disk_spool_and_rights() {
    check(&disk(Some(2_000_000_000), 1_000), Grade::Ok, "ok");
    check(&disk(Some(999_000_000), 1_000), Grade::Warn, "full");
    check(&disk(None, 1_000), Grade::Ok, "ok");
    let with = |holdings| spool(&Cheap { holdings, ..facts() });
    check(&with(Some(Holdings::default())), Grade::Ok, "ok");
    let now = facts().now_ms;
    check(&with(Some(Holdings { waiting: 1, oldest_ms: Some(now - 3_600_001), ..Holdings::default() })), Grade::Warn, "late");
    check(&with(Some(Holdings { refused: 1, ..Holdings::default() })), Grade::Warn, "refused");
    check(&with(None), Grade::Fail, "unreadable");
    check(&permissions(&Permissions::Well), Grade::Ok, "ok");
    check(&permissions(&Permissions::Open("device.key".into())), Grade::Fail, "open");
    check(&permissions(&Permissions::NotWritable("read-only".into())), Grade::Fail, "not_writable");
}

#[test]
fn everything_else() {
    check(&configuration(None), Grade::Ok, "ok");
    check(&configuration(Some("camera.device: expected")), Grade::Fail, "wrong");
    check(&identity(None), Grade::Ok, "ok");
    check(&identity(Some("expected the device's key")), Grade::Fail, "missing");
    check(&models(&Models::Well("m@1".into())), Grade::Ok, "ok");
    check(&models(&Models::Bad("sha256 differs".into())), Grade::Fail, "bad");
    check(&avx2(Some(false)), Grade::Warn, "missing");
    check(&avx2(Some(true)), Grade::Ok, "ok");
}

#[test]
fn words_name_what_is_not_in_order() {
    let checks = [clock(Some(0), 5), avx2(Some(false)), disk(Some(0), 1)];
    assert_eq!(crate::doctor::words(&checks), ["avx2:missing", "disk:full"]);
    assert_eq!(crate::doctor::worst(&checks), Grade::Warn);
    let text = crate::doctor::text(&checks);
    assert!(text.contains("warn  avx2") && text.contains("→ make room"), "{text}");
}
