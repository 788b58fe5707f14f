//! What is to be forwarded, and what a device answered on its own.

use prost::Message;
use proto::v1::Envelope;
use rusqlite::{OptionalExtension, Row, TransactionBehavior, params};
use subtle::ConstantTimeEq;

use super::{Entry, Spool, SpoolError};

/// An envelope that the center is to have.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// Its number on this device.
    pub sequence: u64,
    /// The envelope.
    pub envelope: Envelope,
    /// The provisional receipt that was given for it; empty where none was.
    pub receipt: String,
}

/// What is answered on one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// What the till does now, in the policy's word.
    pub disposition: String,
    /// The provisional receipt.
    pub receipt: String,
    /// Its number.
    pub receipt_number: String,
}

/// What was answered on one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisional {
    /// The envelope's number on this device.
    pub sequence: u64,
    /// The lease it was answered under.
    pub lease_serial: String,
    /// What was answered.
    pub given: Given,
    /// When, by this machine's clock.
    pub answered_at_ms: i64,
    /// Whether it was answered before.
    pub repeated: bool,
}

/// An envelope the center refuses for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Its number on this device.
    pub sequence: u64,
    /// The institution's transaction.
    pub transaction: String,
    /// Which attempt within it.
    pub attempt: u32,
    /// The word it was refused with.
    pub refusal: String,
    /// When, by this machine's clock.
    pub refused_at_ms: i64,
}

impl Spool {
    /// Envelopes to forward, in the order in which they were made, beyond a number: those that were answered on one's own,
    /// and those that were made before a time and nobody has answered. At most so many.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn to_forward(&self, beyond: u64, made_before_ms: i64, limit: u32) -> Result<Vec<Waiting>, SpoolError> {
        let connection = self.lock();
        let mut statement = connection.prepare(
            "SELECT e.sequence, e.body, coalesce(p.receipt, '') FROM envelope AS e LEFT JOIN provisional AS p USING (sequence)
             WHERE e.settled_at_ms IS NULL AND e.sequence > ?1 AND (p.sequence IS NOT NULL OR e.made_at_ms < ?2) ORDER BY e.sequence LIMIT ?3",
        )?;
        let rows = statement.query_map(params![beyond.cast_signed(), made_before_ms, limit], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get(2)?))
        })?;
        let mut waiting = Vec::new();
        for row in rows {
            let (sequence, body, receipt) = row?;
            // What does not decode any more is for the center to refuse: it never goes away unseen.
            let envelope = Envelope::decode(body.as_slice()).unwrap_or_default();
            waiting.push(Waiting { sequence: sequence.cast_unsigned(), envelope, receipt });
        }
        Ok(waiting)
    }

    /// Deletes an envelope that is durable at the center; its number, transaction and provisional answer stay.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn acknowledged(&self, sequence: u64, now_ms: i64) -> Result<(), SpoolError> {
        self.lock().execute(
            "UPDATE envelope SET settled_at_ms = ?2, refusal = '', body = NULL WHERE sequence = ?1",
            params![sequence.cast_signed(), now_ms],
        )?;
        Ok(())
    }

    /// Envelopes that the center refused for good, newest first, at most so many.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn put_aside(&self, limit: u32) -> Result<Vec<Put>, SpoolError> {
        let connection = self.lock();
        let mut statement = connection.prepare(
            "SELECT sequence, transaction_id, attempt, refusal, settled_at_ms FROM envelope
             WHERE refusal <> '' ORDER BY sequence DESC LIMIT ?1",
        )?;
        let put = |row: &Row<'_>| {
            Ok(Put {
                sequence: row.get::<_, i64>(0)?.cast_unsigned(),
                transaction: row.get(1)?,
                attempt: row.get(2)?,
                refusal: row.get(3)?,
                refused_at_ms: row.get(4)?,
            })
        };
        Ok(statement.query_map([limit], put)?.collect::<Result<_, _>>()?)
    }

    /// How many envelopes wait that were answered on one's own.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn waiting_alone(&self) -> Result<u32, SpoolError> {
        let sql = "SELECT count(*) FROM envelope JOIN provisional USING (sequence) WHERE settled_at_ms IS NULL";
        Ok(self.lock().query_row(sql, [], |row| row.get(0))?)
    }

    /// When the oldest envelope that waits was made, by this machine's clock.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn oldest_ms(&self) -> Result<Option<i64>, SpoolError> {
        let sql = "SELECT min(made_at_ms) FROM envelope WHERE settled_at_ms IS NULL";
        Ok(self.lock().query_row(sql, [], |row| row.get(0))?)
    }

    /// How often this lease was used in a scene.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn used(&self, lease_serial: &str, scene: &str) -> Result<u32, SpoolError> {
        let sql = "SELECT count(*) FROM provisional WHERE lease_serial = ?1 AND scene = ?2";
        Ok(self.lock().prepare(sql)?.query_row([lease_serial, scene], |row| row.get(0))?)
    }

    /// How often this lease was used in all.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn used_at_all(&self, lease_serial: &str) -> Result<u32, SpoolError> {
        let sql = "SELECT count(*) FROM provisional WHERE lease_serial = ?1";
        Ok(self.lock().prepare(sql)?.query_row([lease_serial], |row| row.get(0))?)
    }

    /// Answers an envelope on one's own, once: the second time it is the first answer. `give` is told how often the lease
    /// was used in the scene, and nothing is kept when it fails. Durable on return.
    ///
    /// # Errors
    /// When the disk fails; inside, what `give` says.
    pub fn provide<E>(
        &self,
        sequence: u64,
        lease_serial: &str,
        scene: &str,
        now_ms: i64,
        give: impl FnOnce(u32) -> Result<Given, E>,
    ) -> Result<Result<Provisional, E>, SpoolError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let known = transaction.prepare(&format!("{PROVISIONAL} WHERE sequence = ?1"))?.query_row([sequence.cast_signed()], decode);
        if let Some(known) = known.optional()? {
            return Ok(Ok(known));
        }
        let sql = "SELECT count(*) FROM provisional WHERE lease_serial = ?1 AND scene = ?2";
        let used = transaction.prepare(sql)?.query_row([lease_serial, scene], |row| row.get(0))?;
        let given = match give(used) {
            Ok(given) => given,
            Err(error) => return Ok(Err(error)),
        };
        transaction.execute(
            "INSERT INTO provisional (sequence, lease_serial, scene, disposition, receipt, receipt_number, answered_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![sequence.cast_signed(), lease_serial, scene, given.disposition, given.receipt, given.receipt_number, now_ms],
        )?;
        transaction.commit()?;
        let lease_serial = lease_serial.to_owned();
        Ok(Ok(Provisional { sequence, lease_serial, given, answered_at_ms: now_ms, repeated: false }))
    }

    /// What an earlier request for this transaction and attempt was answered on one's own.
    ///
    /// # Errors
    /// When that request was for something else, or the disk fails.
    pub fn provided(&self, entry: &Entry) -> Result<Option<Provisional>, SpoolError> {
        let connection = self.lock();
        let row = connection
            .prepare("SELECT sequence, request_digest FROM envelope WHERE transaction_id = ?1 AND attempt = ?2")?
            .query_row(params![entry.transaction, entry.attempt], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))
            .optional()?;
        let Some((sequence, digest)) = row else { return Ok(None) };
        if !bool::from(digest.ct_eq(&entry.digest)) {
            return Err(SpoolError::AnotherRequest);
        }
        Ok(connection.prepare(&format!("{PROVISIONAL} WHERE sequence = ?1"))?.query_row([sequence], decode).optional()?)
    }
}

const PROVISIONAL: &str = "SELECT sequence, lease_serial, disposition, receipt, receipt_number, answered_at_ms FROM provisional";

fn decode(row: &Row<'_>) -> rusqlite::Result<Provisional> {
    Ok(Provisional {
        sequence: row.get::<_, i64>(0)?.cast_unsigned(),
        lease_serial: row.get(1)?,
        given: Given { disposition: row.get(2)?, receipt: row.get(3)?, receipt_number: row.get(4)? },
        answered_at_ms: row.get(5)?,
        repeated: true,
    })
}
