//! What a live verification reads, on one connection at a time.

use async_trait::async_trait;

use super::{Connection, SqlStore, devices, enrolments, params, subjects, verifications};
use crate::store::{
    Device, IdentifierKey, RequestKey, StoreError, StoredSubject, Verification,
    live::{Circumstances, Known, Live},
};

#[async_trait]
impl Live for SqlStore {
    async fn device_and_answer(
        &self,
        certificate_sha256: [u8; 32],
        transaction: &str,
        attempt: u32,
    ) -> Result<Option<(Device, Option<Verification>)>, StoreError> {
        let transaction = transaction.to_owned();
        let read = move |connection: &Connection| {
            let found = devices::by_certificate_asking(connection, &certificate_sha256, &transaction, attempt)?;
            let Some((device, answered)) = found else { return Ok(None) };
            let request = RequestKey { institution: device.institution.clone(), transaction, attempt };
            let answer = if answered { verifications::answer(connection, &request)? } else { None };
            Ok(Some((device, answer)))
        };
        self.readers.look(read).await
    }

    async fn circumstances(&self, about: Circumstances) -> Result<Known, StoreError> {
        let read = move |connection: &Connection| {
            let Circumstances { request, rows, .. } = &about;
            if let [IdentifierKey { kind, region, hash }] = rows.as_slice() {
                let person = (&*enrolments::of_identifier(), params![kind.word(), region, hash]);
                connection.ahead(&[person, (verifications::DECISIONS_OF, params![request.institution, request.transaction])])?;
            }
            let subject = subject_of(connection, &about.rows)?;
            let forgotten = subject.is_none() && subjects::is_forgotten(connection, &about.tombstones)?;
            let decisions = verifications::decisions_of(connection, &about.request.institution, &about.request.transaction)?;
            Ok(Known { subject, forgotten, decisions })
        };
        self.readers.look(read).await
    }
}

fn subject_of(connection: &Connection, rows: &[IdentifierKey]) -> Result<Option<(StoredSubject, IdentifierKey)>, StoreError> {
    for row in rows {
        if let Some(stored) = enrolments::subject_of(connection, row)? {
            return Ok(Some((stored, row.clone())));
        }
    }
    Ok(None)
}
