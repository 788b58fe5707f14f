//! Receipts and the settlements that used them.

use async_trait::async_trait;
use matcher_core::{
    Disposition,
    receipt::{Asking, ReceiptNumber, ReceiptUse, Refusal, Step, life},
};

use super::{
    Connection, SqlStore, audit,
    columns::{Columns, execute, insert, query, query_one},
    params,
};
use crate::store::{
    RecordId, RequestKey, StoreError,
    audit::events,
    receipts::{ConfirmReceipt, Receipt, ReceiptPage, Receipts, ReverseReceipt, Stepped, StoredReceipt},
};

const TABLE: &str = "receipt";
const USES: &str = "receipt_use";
const SELECT: &str = "SELECT number, institution, transaction_id, attempt, verification_id, device_id, drill, disposition, uses_max,
     amount_max_fen, issued_at, expires_at, compact, reversed_at FROM receipt";

/// Writes a receipt; called inside the write of its verification.
pub(super) fn put(connection: &Connection, receipt: &Receipt) -> Result<(), StoreError> {
    let values = params![
        receipt.number.to_string(),
        receipt.request.institution,
        receipt.request.transaction,
        receipt.request.attempt,
        receipt.verification.0,
        receipt.device,
        receipt.drill,
        receipt.disposition.word(),
        receipt.uses_max,
        receipt.amount_max_fen.map(|fen| amount(TABLE, fen)).transpose()?,
        receipt.issued_at,
        receipt.expires_at,
        receipt.compact,
    ];
    let sql = "INSERT INTO receipt (number, institution, transaction_id, attempt, verification_id, device_id, drill, disposition,
             uses_max, amount_max_fen, issued_at, expires_at, compact)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    insert(connection, sql, values, TABLE)?;
    audit::append(connection, &events::receipt_issued(receipt))
}

fn of_request(connection: &Connection, request: &RequestKey) -> Result<Option<StoredReceipt>, StoreError> {
    let sql = format!("{SELECT} WHERE institution = ?1 AND transaction_id = ?2 AND attempt = ?3");
    let found = query_one(connection, &sql, params![request.institution, request.transaction, request.attempt], TABLE, decode)?;
    found.map(|receipt| with_uses(connection, receipt)).transpose()
}

fn by_number(connection: &Connection, number: ReceiptNumber) -> Result<Option<StoredReceipt>, StoreError> {
    let found = query_one(connection, &format!("{SELECT} WHERE number = ?1"), params![number.to_string()], TABLE, decode)?;
    found.map(|receipt| with_uses(connection, receipt)).transpose()
}

fn issued(connection: &Connection, page: &ReceiptPage) -> Result<Vec<StoredReceipt>, StoreError> {
    let sql =
        format!("{SELECT} WHERE issued_at >= ?1 AND issued_at < ?2 AND (issued_at, number) > (?3, ?4) ORDER BY issued_at, number LIMIT ?5");
    let (at, number) = page.after.map_or((i64::MIN, String::new()), |(at, number)| (at, number.to_string()));
    let found = query(connection, &sql, params![page.from, page.until, at, number, page.limit], TABLE, decode)?;
    found.into_iter().map(|receipt| with_uses(connection, receipt)).collect()
}

/// Runs in the writer's transaction, so that two tills that ask at once are told apart here and nowhere else.
fn confirm(connection: &Connection, confirm: &ConfirmReceipt) -> Result<Stepped, StoreError> {
    let Some(stored) = by_number(connection, confirm.number)? else { return Ok(Err(Refusal::UnknownNumber)) };
    let asking = Asking {
        institution: &confirm.institution,
        settlement: &confirm.settlement,
        amount_fen: confirm.amount_fen,
        document_checked_by: &confirm.document_checked_by,
        at: confirm.at,
    };
    let step = match life::confirm(&stored.terms(), &stored.life(), &asking) {
        Ok(Step::New) => Step::New,
        Ok(Step::Before) => return Ok(Ok((stored, Step::Before))),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let (number, amount) = (confirm.number.to_string(), amount(USES, confirm.amount_fen)?);
    let values = params![number, confirm.settlement, amount, confirm.document_checked_by, confirm.device, confirm.at];
    let sql = "INSERT INTO receipt_use (number, settlement_id, amount_fen, document_checked_by, device_id, confirmed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    execute(connection, sql, values, USES)?;
    audit::append(connection, &events::receipt_confirmed(confirm))?;
    Ok(Ok((with_uses(connection, stored)?, step)))
}

fn reverse(connection: &Connection, reverse: &ReverseReceipt) -> Result<Stepped, StoreError> {
    let Some(stored) = by_number(connection, reverse.number)? else { return Ok(Err(Refusal::UnknownNumber)) };
    if stored.receipt.request.institution != reverse.institution {
        return Ok(Err(Refusal::OtherInstitution));
    }
    match stored.life().reverse(reverse.settlement.as_deref()) {
        Ok(Step::New) => {}
        Ok(Step::Before) => return Ok(Ok((stored, Step::Before))),
        Err(refusal) => return Ok(Err(refusal)),
    }
    let number = reverse.number.to_string();
    match &reverse.settlement {
        Some(settlement) => {
            let sql = "UPDATE receipt_use SET reversed_at = ?3 WHERE number = ?1 AND settlement_id = ?2 AND reversed_at IS NULL";
            execute(connection, sql, params![number, settlement, reverse.at], USES)?;
        }
        None => {
            execute(connection, "UPDATE receipt SET reversed_at = ?2 WHERE number = ?1", params![number, reverse.at], TABLE)?;
        }
    }
    audit::append(connection, &events::receipt_reversed(reverse))?;
    let stored = by_number(connection, reverse.number)?.ok_or(StoreError::Corrupt { table: TABLE, field: "number" })?;
    Ok(Ok((stored, Step::New)))
}

fn with_uses(connection: &Connection, stored: StoredReceipt) -> Result<StoredReceipt, StoreError> {
    let sql = "SELECT settlement_id, amount_fen, document_checked_by, confirmed_at, reversed_at FROM receipt_use
         WHERE number = ?1 ORDER BY confirmed_at, settlement_id";
    let decode = |columns: &Columns<'_>| {
        Ok(ReceiptUse {
            settlement: columns.get("settlement_id")?,
            amount_fen: columns.unsigned("amount_fen")?,
            document_checked_by: columns.get("document_checked_by")?,
            confirmed_at: columns.get("confirmed_at")?,
            reversed_at: columns.get("reversed_at")?,
        })
    };
    let uses = query(connection, sql, params![stored.receipt.number.to_string()], USES, decode)?;
    Ok(StoredReceipt { uses, ..stored })
}

fn decode(columns: &Columns<'_>) -> Result<StoredReceipt, StoreError> {
    let amount_max: Option<i64> = columns.get("amount_max_fen")?;
    let receipt = Receipt {
        number: columns.word("number", |text| text.parse().ok())?,
        request: RequestKey {
            institution: columns.get("institution")?,
            transaction: columns.get("transaction_id")?,
            attempt: columns.unsigned("attempt")?,
        },
        verification: RecordId(columns.get("verification_id")?),
        device: columns.get("device_id")?,
        drill: columns.get("drill")?,
        disposition: columns.word("disposition", Disposition::from_word)?,
        uses_max: columns.unsigned("uses_max")?,
        amount_max_fen: amount_max.map(|fen| u64::try_from(fen).map_err(|_| columns.corrupt("amount_max_fen"))).transpose()?,
        issued_at: columns.get("issued_at")?,
        expires_at: columns.get("expires_at")?,
        compact: columns.get("compact")?,
    };
    Ok(StoredReceipt { receipt, reversed_at: columns.get("reversed_at")?, uses: Vec::new() })
}

fn amount(table: &'static str, fen: u64) -> Result<i64, StoreError> {
    i64::try_from(fen).map_err(|_| StoreError::Corrupt { table, field: "amount" })
}

#[async_trait]
impl Receipts for SqlStore {
    async fn receipt_of(&self, request: &RequestKey) -> Result<Option<StoredReceipt>, StoreError> {
        let request = request.clone();
        self.readers.read(move |connection| of_request(connection, &request)).await
    }

    async fn receipts(&self, numbers: Vec<ReceiptNumber>) -> Result<Vec<StoredReceipt>, StoreError> {
        let all = move |connection: &Connection| numbers.iter().filter_map(|number| by_number(connection, *number).transpose()).collect();
        self.readers.read(all).await
    }

    async fn receipts_issued(&self, page: ReceiptPage) -> Result<Vec<StoredReceipt>, StoreError> {
        self.readers.read(move |connection| issued(connection, &page)).await
    }

    async fn confirm_receipt(&self, asked: ConfirmReceipt) -> Result<Stepped, StoreError> {
        self.writer.write(move |connection| confirm(connection, &asked)).await
    }

    async fn reverse_receipt(&self, asked: ReverseReceipt) -> Result<Stepped, StoreError> {
        self.writer.write(move |connection| reverse(connection, &asked)).await
    }
}
