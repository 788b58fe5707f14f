//! Codes that devices join with, certificates that follow one another, health reports.

use async_trait::async_trait;

use super::{
    Connection, SqlStore, audit,
    columns::{Columns, execute, query, query_one},
    devices, params,
};
use crate::store::{
    Device, StoreError, TimeMs,
    audit::events,
    registry::{Invitation, IssuedCertificate, Joined, Registry, Renewal, Report},
};

const INVITATION: &str = "device_invitation";
const CERTIFICATE: &str = "device_certificate";
const REPORT: &str = "device_report";
const SELECT_INVITATION: &str = "SELECT locator, digest, device_id, institution, counter, role, replaces, made_at, expires_at, wrong,
     used_at, used_key, relay FROM device_invitation";
const SELECT_REPORT: &str = "SELECT device_id, received_at, behind_ms, step_ms, instance, detail FROM device_report AS r";

#[async_trait]
impl Registry for SqlStore {
    async fn invite(&self, invitation: Invitation) -> Result<(), StoreError> {
        self.writer.write(move |connection| invite(connection, &invitation)).await
    }

    async fn invitation(&self, locator: &str) -> Result<Option<Invitation>, StoreError> {
        let locator = locator.to_owned();
        self.readers.read(move |connection| invitation(connection, &locator)).await
    }

    async fn count_wrong(&self, locator: &str, at: TimeMs) -> Result<Option<Invitation>, StoreError> {
        let locator = locator.to_owned();
        self.writer.write(move |connection| count_wrong(connection, &locator, at)).await
    }

    async fn join(&self, locator: &str, device: Device, certificate: IssuedCertificate) -> Result<Joined, StoreError> {
        let locator = locator.to_owned();
        self.writer.write(move |connection| join(connection, &locator, &device, &certificate)).await
    }

    async fn issued_certificate(&self, device: &str) -> Result<Option<IssuedCertificate>, StoreError> {
        let device = device.to_owned();
        self.readers.read(move |connection| issued(connection, &device)).await
    }

    async fn renew(&self, renewal: Renewal) -> Result<bool, StoreError> {
        self.writer.write(move |connection| renew(connection, &renewal)).await
    }

    async fn put_report(&self, report: Report, keep: u32) -> Result<(), StoreError> {
        self.writer.write_beside(move |connection| put_report(connection, &report, keep)).await
    }

    async fn reports(&self, device: &str, limit: u32) -> Result<Vec<Report>, StoreError> {
        let device = device.to_owned();
        let sql = format!("{SELECT_REPORT} WHERE device_id = ?1 ORDER BY received_at DESC LIMIT ?2");
        self.readers.read(move |connection| query(connection, &sql, params![device, limit], REPORT, decode_report)).await
    }

    async fn last_reports(&self) -> Result<Vec<Report>, StoreError> {
        let sql = format!(
            "{SELECT_REPORT} WHERE received_at = (SELECT max(l.received_at) FROM device_report AS l WHERE l.device_id = r.device_id)
             ORDER BY device_id"
        );
        self.readers.read(move |connection| query(connection, &sql, (), REPORT, decode_report)).await
    }
}

fn invite(connection: &Connection, new: &Invitation) -> Result<(), StoreError> {
    let values = params![
        new.locator,
        new.digest,
        new.device,
        new.institution,
        new.counter,
        devices::word(new.role),
        i64::from(new.replaces),
        new.made_at,
        new.expires_at,
        devices::relay(new.role),
    ];
    let sql = "INSERT INTO device_invitation (locator, digest, device_id, institution, counter, role, replaces, made_at, expires_at, relay)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    execute(connection, sql, values, "invitation")?;
    audit::append(connection, &events::device_invited(new))
}

fn invitation(connection: &Connection, locator: &str) -> Result<Option<Invitation>, StoreError> {
    query_one(connection, &format!("{SELECT_INVITATION} WHERE locator = ?1"), [locator], INVITATION, decode_invitation)
}

fn count_wrong(connection: &Connection, locator: &str, at: TimeMs) -> Result<Option<Invitation>, StoreError> {
    execute(connection, "UPDATE device_invitation SET wrong = wrong + 1 WHERE locator = ?1", [locator], INVITATION)?;
    let found = invitation(connection, locator)?;
    if let Some(found) = &found {
        audit::append(connection, &events::invitation_tried(found, at))?;
    }
    Ok(found)
}

fn join(connection: &Connection, locator: &str, device: &Device, certificate: &IssuedCertificate) -> Result<Joined, StoreError> {
    let Some(invitation) = invitation(connection, locator)?.filter(|invitation| invitation.used.is_none()) else {
        return Ok(Joined::CodeSpent);
    };
    if !invitation.replaces && devices::by_id(connection, &device.id)?.is_some() {
        return Ok(Joined::NameTaken);
    }
    let sql = "UPDATE device_invitation SET used_at = ?2, used_key = ?3 WHERE locator = ?1";
    execute(connection, sql, params![locator, certificate.issued_at, device.public_key], INVITATION)?;
    devices::put(connection, device)?;
    put_certificate(connection, &device.id, certificate)?;
    Ok(Joined::Now)
}

fn put_certificate(connection: &Connection, device: &str, certificate: &IssuedCertificate) -> Result<(), StoreError> {
    let IssuedCertificate { sha256, pem, issued_at, previous_sha256 } = certificate;
    let sql = "INSERT INTO device_certificate (device_id, sha256, pem, issued_at, previous_sha256) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (device_id) DO UPDATE SET
             sha256 = excluded.sha256, pem = excluded.pem, issued_at = excluded.issued_at, previous_sha256 = excluded.previous_sha256";
    execute(connection, sql, params![device, *sha256, *pem, *issued_at, *previous_sha256], CERTIFICATE).map(drop)
}

fn issued(connection: &Connection, device: &str) -> Result<Option<IssuedCertificate>, StoreError> {
    let sql = "SELECT sha256, pem, issued_at, previous_sha256 FROM device_certificate WHERE device_id = ?1";
    query_one(connection, sql, [device], CERTIFICATE, |columns| {
        Ok(IssuedCertificate {
            sha256: columns.get("sha256")?,
            pem: columns.get("pem")?,
            issued_at: columns.get("issued_at")?,
            previous_sha256: columns.get("previous_sha256")?,
        })
    })
}

fn renew(connection: &Connection, renewal: &Renewal) -> Result<bool, StoreError> {
    // When the device was let in stays: what it captured before the renewal was captured by it.
    let sql = "UPDATE device SET certificate_sha256 = ?3, certificate_expires_at = ?4
         WHERE id = ?1 AND certificate_sha256 = ?2 AND revoked_at IS NULL";
    let values = params![renewal.device, renewal.from_sha256, renewal.certificate.sha256, renewal.expires_at];
    if execute(connection, sql, values, "device certificate")? != 1 {
        return Ok(false);
    }
    let certificate = IssuedCertificate { previous_sha256: Some(renewal.from_sha256), ..renewal.certificate.clone() };
    put_certificate(connection, &renewal.device, &certificate)?;
    if let Some(device) = devices::by_id(connection, &renewal.device)? {
        audit::append(connection, &events::device_issued(&Device { issued_at: certificate.issued_at, ..device }))?;
    }
    Ok(true)
}

fn put_report(connection: &Connection, report: &Report, keep: u32) -> Result<(), StoreError> {
    let Report { device, received_at, behind_ms, step_ms, instance, detail } = report;
    let sql = "INSERT INTO device_report (device_id, received_at, behind_ms, step_ms, instance, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (device_id, received_at) DO UPDATE SET
             behind_ms = excluded.behind_ms, step_ms = excluded.step_ms, instance = excluded.instance, detail = excluded.detail";
    execute(connection, sql, params![*device, *received_at, *behind_ms, *step_ms, *instance, *detail], REPORT)?;
    let sql = "DELETE FROM device_report WHERE device_id = ?1 AND received_at <=
         (SELECT l.received_at FROM device_report AS l WHERE l.device_id = ?1 ORDER BY l.received_at DESC LIMIT 1 OFFSET ?2)";
    execute(connection, sql, params![*device, keep], REPORT).map(drop)
}

fn decode_invitation(columns: &Columns<'_>) -> Result<Invitation, StoreError> {
    let used = columns.get::<Option<TimeMs>>("used_at")?.zip(columns.get::<Option<[u8; 32]>>("used_key")?);
    Ok(Invitation {
        locator: columns.get("locator")?,
        digest: columns.get("digest")?,
        device: columns.get("device_id")?,
        institution: columns.get("institution")?,
        counter: columns.get("counter")?,
        role: devices::role_of(columns)?,
        replaces: columns.get::<i64>("replaces")? == 1,
        made_at: columns.get("made_at")?,
        expires_at: columns.get("expires_at")?,
        wrong: columns.unsigned("wrong")?,
        used,
    })
}

fn decode_report(columns: &Columns<'_>) -> Result<Report, StoreError> {
    Ok(Report {
        device: columns.get("device_id")?,
        received_at: columns.get("received_at")?,
        behind_ms: columns.get("behind_ms")?,
        step_ms: columns.get("step_ms")?,
        instance: columns.get("instance")?,
        detail: columns.get("detail")?,
    })
}
