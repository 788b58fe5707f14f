//! Each settlement against its receipt.

use std::collections::HashMap;

use ed25519_dalek::VerifyingKey;
use matcher_core::{
    Decision,
    receipt::{
        Checker, Claims, Drill, KeySet, ReceiptNumber, ReceiptState, Refusal, Settlement, SettlementKey, check, life,
        provisional::{CertifiedDevice, ProvisionalClaims},
    },
};

use super::{Finding, FindingKind, Row, Summary};
use crate::{
    config::ReceiptsConfig,
    receipt_keys::{ReceiptKeys, ReceiptKind},
    store::{RequestKey, Store, StoreError, TimeMs, receipts::StoredReceipt},
};

/// What a row turns out to be.
enum Verdict {
    Settled,
    /// Provisional, and not for too long yet.
    Waiting,
    Found(FindingKind),
}

/// Judges rows as they come.
pub(super) struct Judge<'a> {
    store: &'a dyn Store,
    config: &'a ReceiptsConfig,
    keys: KeySet,
    drill_keys: KeySet,
    settlement_key: SettlementKey,
    devices: HashMap<[u8; 32], CertifiedDevice>,
    /// A receipt that is provisional since before is so for too long.
    provisional_since: TimeMs,
    /// The settlements each receipt served: in the list, or by the store.
    served: HashMap<ReceiptNumber, Vec<Served>>,
    times: Option<(TimeMs, TimeMs)>,
    summary: Summary,
}

struct Served {
    settlement: String,
    listed: bool,
}

/// What a row's receipt is.
enum Given {
    None,
    Unreadable(Refusal),
    Number(ReceiptNumber),
    Provisional(Box<ProvisionalClaims>),
}

impl<'a> Judge<'a> {
    pub(super) async fn new(
        store: &'a dyn Store,
        config: &'a ReceiptsConfig,
        keys: &ReceiptKeys,
        settlement_key: SettlementKey,
        provisional_since: TimeMs,
    ) -> Result<Self, StoreError> {
        let certified = store.devices().await?.into_iter().filter_map(|device| {
            let key = VerifyingKey::from_bytes(&device.public_key).ok()?;
            Some((device.certificate_sha256, CertifiedDevice { device: device.id, institution: device.institution, key }))
        });
        Ok(Self {
            store,
            config,
            keys: keys.verifying(ReceiptKind::Production),
            drill_keys: keys.verifying(ReceiptKind::Drill),
            settlement_key,
            devices: certified.collect(),
            provisional_since,
            served: HashMap::new(),
            times: None,
            summary: Summary::default(),
        })
    }

    /// Judges some rows.
    pub(super) async fn batch(&mut self, rows: Vec<Result<Row, Box<Finding>>>) -> Result<(), StoreError> {
        let given: Vec<Given> = rows.iter().flatten().map(|row| self.given(&row.receipt)).collect();
        let numbers = given.iter().filter_map(|given| match given {
            Given::Number(number) => Some(*number),
            Given::None | Given::Unreadable(_) | Given::Provisional(_) => None,
        });
        let stored = self.store.receipts(numbers.collect()).await?;
        let stored: HashMap<ReceiptNumber, StoredReceipt> = stored.into_iter().map(|stored| (stored.receipt.number, stored)).collect();
        let mut given = given.into_iter();
        for row in rows {
            self.summary.rows += 1;
            match row {
                Err(bad) => self.summary.findings.push(*bad),
                Ok(row) => {
                    let given = given.next().unwrap_or(Given::None);
                    self.row(&row, given, &stored).await?;
                }
            }
        }
        Ok(())
    }

    async fn row(&mut self, row: &Row, given: Given, stored: &HashMap<ReceiptNumber, StoredReceipt>) -> Result<(), StoreError> {
        self.times = Some(
            self.times.map_or((row.settled_at, row.settled_at), |(first, last)| (first.min(row.settled_at), last.max(row.settled_at))),
        );
        let settled_at = self.summary.settled_at.entry(row.institution.clone()).or_insert(row.settled_at);
        *settled_at = row.settled_at.max(*settled_at);
        let mut number = None;
        let verdict = match given {
            Given::None => Verdict::Found(FindingKind::NoReceipt),
            Given::Unreadable(refusal) => Verdict::Found(FindingKind::Refused(refusal)),
            Given::Number(given) => {
                number = Some(given);
                self.receipt(row, stored.get(&given))
            }
            Given::Provisional(claims) => {
                number = Some(claims.number);
                self.provisional(row, &claims).await?
            }
        };
        match verdict {
            Verdict::Settled => self.summary.settled += 1,
            Verdict::Waiting => self.summary.waiting += 1,
            Verdict::Found(kind) => self.summary.findings.push(finding(row, kind, number)),
        }
        Ok(())
    }

    fn given(&self, text: &str) -> Given {
        if text.is_empty() {
            return Given::None;
        }
        if !text.contains('.') {
            return text.parse().map_or(Given::Unreadable(Refusal::Malformed), Given::Number);
        }
        if ProvisionalClaims::is_one(text) {
            let checked = ProvisionalClaims::check(text, &self.config.audience, |sha256| self.devices.get(sha256).cloned());
            return checked.map_or_else(Given::Unreadable, |claims| Given::Provisional(Box::new(claims)));
        }
        self.verify(text).map_or_else(Given::Unreadable, |claims| Given::Number(claims.number))
    }

    fn verify(&self, compact: &str) -> Result<Claims, Refusal> {
        let drill = Some(Drill { issuer: &self.config.drill_issuer, keys: &self.drill_keys });
        let config = self.config;
        Checker { issuer: &config.issuer, audience: &config.audience, keys: &self.keys, drill }.verify(compact)
    }

    fn receipt(&mut self, row: &Row, stored: Option<&StoredReceipt>) -> Verdict {
        let refused = |refusal| Verdict::Found(FindingKind::Refused(refusal));
        let Some(stored) = stored else { return refused(Refusal::UnknownNumber) };
        let claims = match self.verify(&stored.receipt.compact) {
            Ok(claims) => claims,
            Err(refusal) => return refused(refusal),
        };
        let twice = self.serve(stored, &row.settlement);
        if let Err(refusal) = self.compare(row, &claims, row.settled_at, stored) {
            return refused(refusal);
        }
        let taken = stored.uses.iter().find(|taken| taken.settlement == row.settlement);
        if stored.reversed_at.is_some() || taken.is_some_and(|taken| taken.reversed_at.is_some()) {
            return refused(Refusal::Reversed);
        }
        if taken.is_some_and(|taken| taken.amount_fen != row.amount_fen) {
            return refused(Refusal::OtherAmount);
        }
        // Whoever came first keeps their use.
        let place = self.served.get(&stored.receipt.number).and_then(|served| served.iter().position(|s| s.settlement == row.settlement));
        if place.is_some_and(|place| place >= stored.receipt.uses_max as usize) {
            return refused(Refusal::Used);
        }
        if twice { Verdict::Found(FindingKind::SettlementTwice) } else { Verdict::Settled }
    }

    /// Notes that a receipt served a settlement of the list; true when it was noted before.
    fn serve(&mut self, stored: &StoredReceipt, settlement: &str) -> bool {
        let confirmed = || stored.uses.iter().map(|taken| Served { settlement: taken.settlement.clone(), listed: false }).collect();
        let served = self.served.entry(stored.receipt.number).or_insert_with(confirmed);
        match served.iter_mut().find(|served| served.settlement == settlement) {
            Some(served) => std::mem::replace(&mut served.listed, true),
            None => {
                served.push(Served { settlement: settlement.to_owned(), listed: true });
                false
            }
        }
    }

    fn compare(&self, row: &Row, claims: &Claims, at_ms: TimeMs, stored: &StoredReceipt) -> Result<(), Refusal> {
        let confirmed = stored.uses.iter().find(|taken| taken.settlement == row.settlement);
        let named = Some(row.document_checked_by.as_str()).filter(|name| !name.is_empty());
        let settlement = Settlement {
            id: &row.settlement,
            institution: &row.institution,
            transaction: &row.transaction,
            scene: row.scene,
            card: row.card.card_mac(&self.settlement_key),
            amount_fen: row.amount_fen,
            document_checked_by: named.or(confirmed.map(|taken| taken.document_checked_by.as_str())).unwrap_or_default(),
            at_ms,
        };
        check::compare(claims, &settlement)
    }

    /// A provisional receipt is as good as what the center answered later.
    async fn provisional(&mut self, row: &Row, given: &ProvisionalClaims) -> Result<Verdict, StoreError> {
        let refused = |refusal| Verdict::Found(FindingKind::Refused(refusal));
        if given.institution != row.institution {
            return Ok(refused(Refusal::OtherInstitution));
        }
        if given.transaction != row.transaction {
            return Ok(refused(Refusal::OtherTransaction));
        }
        if row.settled_at >= given.expires_at.saturating_mul(1000) {
            return Ok(refused(Refusal::Expired));
        }
        if let Err(refusal) = life::settles(given.disposition, &row.document_checked_by) {
            return Ok(refused(refusal));
        }
        let (institution, transaction) = (given.institution.clone(), given.transaction.clone());
        let request = RequestKey { institution, transaction, attempt: given.attempt };
        let Some(stored) = self.store.receipt_of(&request).await? else {
            if let Some(verdict) = self.late(row, &request, given.number).await? {
                return Ok(verdict);
            }
            let too_long = given.issued_at.saturating_mul(1000) < self.provisional_since;
            return Ok(if too_long { Verdict::Found(FindingKind::ProvisionalTooLong) } else { Verdict::Waiting });
        };
        let twice = self.serve(&stored, &row.settlement);
        // The center answered later than the settlement: its receipt is looked at as of then.
        let judged = self.verify(&stored.receipt.compact).and_then(|claims| self.compare(row, &claims, stored.receipt.issued_at, &stored));
        Ok(match judged {
            Err(refusal) => refused(refusal),
            Ok(()) if twice => Verdict::Found(FindingKind::SettlementTwice),
            Ok(()) => Verdict::Settled,
        })
    }

    /// A capture that came late has no receipt of the center's: its decision is what counts. Nothing while it waits.
    async fn late(&mut self, row: &Row, request: &RequestKey, number: ReceiptNumber) -> Result<Option<Verdict>, StoreError> {
        let Some(resolved) = self.store.resolved(request).await? else { return Ok(None) };
        let Some(decision) = resolved.decision else { return Ok(None) };
        // It serves one settlement, as it was made for one transaction.
        let served = self.served.entry(number).or_default();
        if served.iter().any(|served| served.settlement == row.settlement) {
            return Ok(Some(Verdict::Found(FindingKind::SettlementTwice)));
        }
        served.push(Served { settlement: row.settlement.clone(), listed: true });
        if served.len() > 1 {
            return Ok(Some(Verdict::Found(FindingKind::Refused(Refusal::Used))));
        }
        let masked = &resolved.identifier_masked;
        Ok(Some(match decision {
            _ if !masked.is_empty() && *masked != row.card.masked() => Verdict::Found(FindingKind::ProvisionalOtherCard),
            Decision::NonMatch => Verdict::Found(FindingKind::ProvisionalNonMatch),
            Decision::Match | Decision::Review | Decision::NoDecision(_) => Verdict::Settled,
        }))
    }

    /// The times of the first and the last settlement, the end a moment after it.
    pub(super) fn times(&self) -> (Option<TimeMs>, Option<TimeMs>) {
        (self.times.map(|(first, _)| first), self.times.map(|(_, last)| last.saturating_add(1)))
    }

    /// Looks at a receipt that was issued: was it used?
    pub(super) fn issued(&mut self, stored: &StoredReceipt) {
        let receipt = &stored.receipt;
        self.summary.receipts += 1;
        let listed = self.served.get(&receipt.number).is_some_and(|served| served.iter().any(|served| served.listed));
        let to_settle = life::settles(receipt.disposition, "").is_ok() && !receipt.drill;
        if listed || !to_settle || stored.state() == ReceiptState::Reversed {
            return;
        }
        let detail = match stored.state() {
            ReceiptState::Confirmed => "a till confirmed it for a settlement that is not in the list",
            ReceiptState::Issued | ReceiptState::Reversed => "",
        };
        self.summary.findings.push(Finding {
            kind: FindingKind::Unused,
            line: None,
            settlement: stored.uses.first().map(|taken| taken.settlement.clone()).unwrap_or_default(),
            institution: receipt.request.institution.clone(),
            transaction: receipt.request.transaction.clone(),
            card: String::new(),
            receipt_number: receipt.number.to_string(),
            detail: detail.to_owned(),
        });
    }

    pub(super) fn finish(self) -> Summary {
        self.summary
    }
}

fn finding(row: &Row, kind: FindingKind, number: Option<ReceiptNumber>) -> Finding {
    Finding {
        kind,
        line: Some(row.line),
        settlement: row.settlement.clone(),
        institution: row.institution.clone(),
        transaction: row.transaction.clone(),
        card: row.card.masked(),
        receipt_number: number.map(|number| number.to_string()).unwrap_or_default(),
        detail: String::new(),
    }
}
