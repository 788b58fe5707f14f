//! `matcher device list` and `matcher device show`: the registry beside what devices last said, and what to do about it.

use std::{collections::HashMap, fmt::Write as _};

use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use matcher_core::device_health::CLOCK_STEP_MAX_MS;
use serde::Serialize;

use super::{DeviceError, Role, role_word, time};
use crate::{
    app::health::{Camera, DeviceState, Kept},
    keys::hex,
    store::{Device, Store, TimeMs, registry::Report},
};

/// A device that said nothing for this long is not well: ten reports at the usual pace.
const SILENT_MS: i64 = 600_000;
/// A certificate that ends within this time was not renewed as it should have been.
const ENDS_SOON_MS: i64 = 30 * 86_400_000;
/// Less free disk than this is too little for a day without the center.
const DISK_FREE_MIN: u64 = 1 << 30;
/// An envelope that waits for longer than this is late.
const SPOOL_LATE_MS: i64 = 3_600_000;
const WIDTH: u16 = 140;
/// Reports that `show` prints.
const SHOWN: u32 = 20;

/// One device as it is listed.
#[derive(Debug, Serialize)]
pub struct Row {
    device: String,
    institution: String,
    counter: String,
    role: Role,
    issued_at: String,
    certificate_expires_at: String,
    certificate_sha256: String,
    revoked_at: Option<String>,
    last_report: Option<LastReport>,
    findings: Vec<Finding>,
}

/// What a device last said.
#[derive(Debug, Clone, Serialize)]
struct LastReport {
    received_at: String,
    age_s: i64,
    clock_behind_ms: i64,
    #[serde(flatten)]
    said: Option<Kept>,
}

/// Something about a device that is not in order, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A closed word.
    pub what: &'static str,
    /// For people.
    pub remedy: &'static str,
}

/// All devices with what they last said.
///
/// # Errors
/// When the store cannot be asked.
pub async fn rows(store: &dyn Store, now: TimeMs) -> Result<Vec<Row>, DeviceError> {
    let reports = store.last_reports().await.map_err(DeviceError::Store)?;
    let reports: HashMap<&str, &Report> = reports.iter().map(|report| (report.device.as_str(), report)).collect();
    let devices = store.devices().await.map_err(DeviceError::Store)?;
    Ok(devices.iter().map(|device| row(device, reports.get(device.id.as_str()).copied(), now)).collect())
}

/// One device with its last reports, for people or as JSON.
///
/// # Errors
/// When there is no such device, or the store cannot be asked.
pub async fn show(store: &dyn Store, id: &str, json: bool, now: TimeMs) -> Result<String, DeviceError> {
    let device = store.device(id).await.map_err(DeviceError::Store)?.ok_or_else(|| DeviceError::Unknown(id.to_owned()))?;
    let reports = store.reports(id, SHOWN).await.map_err(DeviceError::Store)?;
    let row = row(&device, reports.first(), now);
    if json {
        #[derive(Serialize)]
        struct Shown {
            #[serde(flatten)]
            row: Row,
            reports: Vec<LastReport>,
        }
        let shown = Shown { row, reports: reports.iter().map(|report| last(report, now)).collect() };
        return Ok(serde_json::to_string_pretty(&shown).unwrap_or_default());
    }
    let mut text = table(&[row.of_list()]);
    for finding in &row.findings {
        let _ = write!(text, "\n{}: {}", finding.what, finding.remedy);
    }
    let mut reported = new_table(["received", "agent", "clock behind", "camera", "waiting", "spool", "disk free", "findings"]);
    for report in &reports {
        reported.add_row(reported_row(report));
    }
    let _ = write!(text, "\n{reported}");
    Ok(text)
}

/// The registry as a table.
#[must_use]
pub fn list(rows: &[Row]) -> String {
    table(&rows.iter().map(Row::of_list).collect::<Vec<_>>())
}

/// The registry as one JSON array.
///
/// # Errors
/// When it cannot be encoded, which does not happen with these types.
pub fn json(rows: &[Row]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(rows)
}

fn table(rows: &[[String; 8]]) -> String {
    let mut table = new_table(["device", "institution", "counter", "role", "certificate until", "last report", "state", "look at"]);
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

fn new_table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH).set_header(header);
    table
}

impl Row {
    fn of_list(&self) -> [String; 8] {
        let state = self.revoked_at.as_ref().map_or_else(|| "in use".to_owned(), |at| format!("revoked {at}"));
        let age = self.last_report.as_ref().map_or_else(|| "never".to_owned(), |last| format!("{} ago", age(last.age_s)));
        let found: Vec<&str> = self.findings.iter().map(|finding| finding.what).collect();
        let own = |text: &str| text.to_owned();
        let (device, institution, counter) = (own(&self.device), own(&self.institution), own(&self.counter));
        [device, institution, counter, role_word(self.role), own(&self.certificate_expires_at), age, state, found.join(", ")]
    }
}

fn reported_row(report: &Report) -> [String; 8] {
    let kept = said(report);
    let state = kept.as_ref().and_then(|kept| kept.state.clone()).unwrap_or_default();
    let camera = kept.as_ref().map(|kept| camera_word(kept.camera)).unwrap_or_default();
    let waiting = kept.as_ref().map_or(0, |kept| kept.unanswered_envelopes).to_string();
    let agent = kept.map(|kept| kept.agent_version).unwrap_or_default();
    let clock = format!("{:.1} s", report.behind_ms as f64 / 1000.0);
    let (spool, disk) = (bytes(state.spool_bytes), bytes(state.disk_free_bytes));
    [time(report.received_at), agent, clock, camera.to_owned(), waiting, spool, disk, state.findings.join(", ")]
}

fn row(device: &Device, report: Option<&Report>, now: TimeMs) -> Row {
    Row {
        device: device.id.clone(),
        institution: device.institution.clone(),
        counter: device.counter.clone(),
        role: device.role.into(),
        issued_at: time(device.issued_at),
        certificate_expires_at: time(device.certificate_expires_at),
        certificate_sha256: hex(&device.certificate_sha256),
        revoked_at: device.revoked_at.map(time),
        last_report: report.map(|report| last(report, now)),
        findings: if device.revoked_at.is_some() { Vec::new() } else { findings(device, report, now) },
    }
}

fn last(report: &Report, now: TimeMs) -> LastReport {
    LastReport {
        received_at: time(report.received_at),
        age_s: now.saturating_sub(report.received_at).max(0) / 1000,
        clock_behind_ms: report.behind_ms,
        said: said(report),
    }
}

fn said(report: &Report) -> Option<Kept> {
    serde_json::from_str(&report.detail).ok()
}

/// What is not in order about a device.
fn findings(device: &Device, report: Option<&Report>, now: TimeMs) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut find = |holds: bool, what, remedy| {
        if holds {
            found.push(Finding { what, remedy });
        }
    };
    find(
        device.certificate_expires_at <= now,
        "certificate_ended",
        "start the agent where it reaches the center: it renews; after the grace, invite it anew",
    );
    find(
        device.certificate_expires_at > now && device.certificate_expires_at - now < ENDS_SOON_MS,
        "certificate_ends_soon",
        "the agent renews by itself while it runs; look whether it does, or run `capture-agent renew` there",
    );
    let Some(report) = report else {
        find(true, "never_reported", "start the agent there: `capture-agent serve`; `capture-agent doctor` says what is in the way");
        return found;
    };
    find(now - report.received_at > SILENT_MS, "silent", "ask whether the counter is open; look at its PC and its line");
    find(report.behind_ms.abs() > CLOCK_STEP_MAX_MS, "clock_wrong", "let the counter PC take its time from the network");
    let kept = said(report);
    if let Some((what, remedy)) = kept.as_ref().and_then(|kept| camera_remedy(kept.camera)) {
        find(true, what, remedy);
    }
    find(
        kept.as_ref().is_some_and(|kept| !kept.runs_the_model),
        "model_missing",
        "bring it the center's models: `models fetch`, then start the agent anew",
    );
    if let Some(state) = kept.and_then(|kept| kept.state) {
        of_state(&state, report, &mut find);
    }
    found
}

fn of_state(state: &DeviceState, report: &Report, find: &mut impl FnMut(bool, &'static str, &'static str)) {
    let late = state.spool_oldest > 0 && report.received_at - report.behind_ms - state.spool_oldest > SPOOL_LATE_MS;
    find(late, "spool_late", "captures wait for more than an hour although the device reports: look at refusals in its log");
    find((1..DISK_FREE_MIN).contains(&state.disk_free_bytes), "disk_full", "make room on the counter PC's disk");
    find(!state.findings.is_empty(), "doctor", "run `capture-agent doctor` there; `matcher device show` has its words");
}

/// What to do about a camera.
fn camera_remedy(camera: Camera) -> Option<(&'static str, &'static str)> {
    match camera {
        Camera::Unknown | Camera::Ready => None,
        Camera::Absent => Some(("camera_absent", "connect a camera, or correct camera.device")),
        Camera::Busy => Some(("camera_busy", "close the program that uses the camera")),
        Camera::Stalled => Some(("camera_stalled", "unplug the camera and plug it in again; without a hub, if there is one")),
        Camera::Unplugged => Some(("camera_unplugged", "plug the camera in again and look at its cable")),
        Camera::Frozen => Some(("camera_frozen", "unplug the camera and plug it in again; close programs that filter its picture")),
        Camera::Black => Some(("camera_black", "take the cover off the lens; give light")),
        Camera::UpsideDown => Some(("camera_upside_down", "mount the camera the other way round, or set camera.rotate")),
    }
}

fn camera_word(camera: Camera) -> &'static str {
    match camera {
        Camera::Unknown => "unknown",
        Camera::Ready => "ready",
        Camera::Absent => "absent",
        Camera::Busy => "busy",
        Camera::Stalled => "stalled",
        Camera::Unplugged => "unplugged",
        Camera::Frozen => "frozen",
        Camera::Black => "black",
        Camera::UpsideDown => "upside down",
    }
}

fn age(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800.. => format!("{} days", seconds / 86_400),
    }
}

fn bytes(count: u64) -> String {
    match count {
        0..1_048_576 => format!("{} kB", count / 1_024),
        1_048_576..1_073_741_824 => format!("{} MB", count / 1_048_576),
        _ => format!("{} GB", count / 1_073_741_824),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimeMs = 1_800_000_000_000;

    fn device() -> Device {
        Device {
            id: "till-1".into(),
            institution: "P330200001".into(),
            counter: "1".into(),
            role: Role::Enrolment.into(),
            public_key: [1; 32],
            certificate_sha256: [0xab; 32],
            certificate_expires_at: NOW + 365 * 86_400_000,
            issued_at: 1_700_000_000_000,
            revoked_at: None,
        }
    }

    fn kept(camera: Camera) -> Kept {
        let state = DeviceState { disk_free_bytes: 50 << 30, ..DeviceState::default() };
        Kept {
            agent_version: "0.1.0".into(),
            feature_models: vec!["m@1".into()],
            runs_the_model: true,
            camera,
            unanswered_envelopes: 0,
            state: Some(state),
        }
    }

    fn report(kept: &Kept) -> Report {
        let detail = serde_json::to_string(kept).unwrap();
        Report { device: "till-1".into(), received_at: NOW - 60_000, behind_ms: 5, step_ms: 0, instance: None, detail }
    }

    #[track_caller]
    fn check(device: &Device, report: Option<&Report>, expected: &[&str]) {
        let found: Vec<_> = findings(device, report, NOW).iter().map(|finding| finding.what).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_in_order_is_named_with_a_remedy() {
        let device = device();
        let well = report(&kept(Camera::Ready));
        check(&device, Some(&well), &[]);
        check(&device, None, &["never_reported"]);
        check(&Device { certificate_expires_at: NOW, ..device.clone() }, Some(&well), &["certificate_ended"]);
        check(&Device { certificate_expires_at: NOW + 86_400_000, ..device.clone() }, Some(&well), &["certificate_ends_soon"]);
        check(&device, Some(&Report { received_at: NOW - 700_000, ..well.clone() }), &["silent"]);
        check(&device, Some(&Report { behind_ms: -70_000, ..well.clone() }), &["clock_wrong"]);
        check(&device, Some(&report(&kept(Camera::UpsideDown))), &["camera_upside_down"]);
        check(&device, Some(&report(&Kept { runs_the_model: false, ..kept(Camera::Ready) })), &["model_missing"]);
        let with = |state: DeviceState| report(&Kept { state: Some(state), ..kept(Camera::Ready) });
        check(&device, Some(&with(DeviceState { disk_free_bytes: 5, ..DeviceState::default() })), &["disk_full"]);
        check(&device, Some(&with(DeviceState { spool_oldest: NOW - 4_000_000, ..DeviceState::default() })), &["spool_late"]);
        check(&device, Some(&with(DeviceState { findings: vec!["avx2:missing".into()], ..DeviceState::default() })), &["doctor"]);
        check(&device, Some(&report(&Kept { state: None, ..kept(Camera::Ready) })), &[]);
    }

    #[test]
    fn the_registry_is_listed_for_people_and_programs() {
        let revoked = Device { revoked_at: Some(1_750_000_000_000), ..device() };
        let rows = [row(&revoked, Some(&report(&kept(Camera::Busy))), NOW), row(&device(), None, NOW)];
        let table = list(&rows);
        for word in ["till-1", "enrolment", "revoked", "60 s ago", "never", "never_reported"] {
            assert!(table.contains(word), "{word}: {table}");
        }
        let json: serde_json::Value = serde_json::from_str(&json(&rows).unwrap()).unwrap();
        assert_eq!(json[0]["device"], "till-1");
        assert_eq!(json[0]["certificate_sha256"], "ab".repeat(32));
        assert_eq!(json[0]["last_report"]["camera"], "busy");
        assert_eq!(json[0]["findings"], serde_json::json!([]), "nobody is to look at a device that was put out");
    }
}
