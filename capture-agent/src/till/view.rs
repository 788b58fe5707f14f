//! A transaction as the local API shows it.

use std::collections::BTreeMap;

use capture_core::{Attempt, OpenedBy, State, Told, Transaction, Way};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::{
    Issued, Opening,
    book::{Made, PROVISIONAL, Record, StandingStep, Step},
};
use crate::answer::VerifyAnswer;

fn words<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> Schema {
    let words: Vec<&str> = all.iter().map(|one| word(*one)).collect();
    json_schema!({ "type": "string", "enum": words })
}

fn state(_: &mut SchemaGenerator) -> Schema {
    words(State::ALL, State::word)
}

fn opened_by(_: &mut SchemaGenerator) -> Schema {
    words(OpenedBy::ALL, OpenedBy::word)
}

fn way(_: &mut SchemaGenerator) -> Schema {
    words(Way::ALL, Way::word)
}

fn ways(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": way(generator) })
}

fn told(_: &mut SchemaGenerator) -> Schema {
    let mut words: Vec<Option<&str>> = Told::ALL.iter().map(|told| Some(told.word())).collect();
    words.push(None);
    json_schema!({ "type": ["string", "null"], "enum": words })
}

/// A transaction as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TransactionView {
    /// Its name.
    pub transaction: String,
    /// How far it is.
    #[schemars(schema_with = "state")]
    pub state: String,
    /// What opened it.
    #[schemars(schema_with = "opened_by")]
    pub opened_by: String,
    /// Where in the visit.
    pub scene: String,
    /// Ways of verifying that are open now. The other way is among them from the start, and needs no reason.
    #[schemars(schema_with = "ways")]
    pub ways: Vec<String>,
    /// The number of the next attempt.
    pub next_attempt: u32,
    /// Whether somebody came in the holder's place.
    pub proxy: bool,
    /// How often the operator changed while it was open.
    pub operator_changes: u32,
    /// Its attempts, by number.
    pub attempts: Vec<AttemptView>,
    /// The answer to the latest attempt that has one; null where the agent was started anew since: ask for the attempt again.
    pub verdict: Option<VerifyAnswer>,
    /// Confirmations and reversals, in order.
    pub settlements: Vec<SettlementView>,
}

/// An attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AttemptView {
    /// Its number.
    pub attempt: u32,
    /// By which way.
    #[schemars(schema_with = "way")]
    pub way: String,
    /// What the till was told; null while no answer came.
    #[schemars(schema_with = "told")]
    pub disposition: Option<String>,
    /// The number of its receipt; empty where there is none.
    pub receipt_number: String,
}

/// How a confirmation or reversal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettlementState {
    /// It is durable here; the center does not answer yet and is told when it does.
    Queued,
    /// The center has it.
    Done,
    /// It rests on a provisional receipt, which the settlement side holds against the capture when that has arrived.
    Provisional,
    /// The center refuses: this settlement is not covered by a receipt.
    Refused,
}

/// Which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettlementKind {
    /// A settlement was made.
    Confirm,
    /// A settlement was taken back.
    Reverse,
}

/// A confirmation or reversal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SettlementView {
    /// Which of the two.
    pub kind: SettlementKind,
    /// The settlement; empty for all.
    pub settlement: String,
    /// Its amount in hundredths of a yuan; null for a reversal.
    pub amount_fen: Option<u64>,
    /// How it stands.
    pub state: SettlementState,
    /// Why the center refuses, as a word; empty where it does not.
    pub refusal: String,
}

impl TransactionView {
    /// A transaction that this process knows whole.
    pub(super) fn of(
        opening: &Opening,
        transaction: &Transaction,
        (receipts, verdict, proxy): (&BTreeMap<u32, Issued>, Option<VerifyAnswer>, bool),
        steps: &[StandingStep],
    ) -> Self {
        let attempt = |(way, number): (&Way, u32)| AttemptView {
            attempt: number,
            way: way.word().to_owned(),
            disposition: Attempt::new(number).ok().and_then(|number| transaction.answer_to(number)).map(|a| a.told.word().to_owned()),
            receipt_number: receipts.get(&number).map(|issued| issued.number.clone()).unwrap_or_default(),
        };
        Self {
            transaction: opening.transaction.to_string(),
            state: transaction.state().word().to_owned(),
            opened_by: transaction.opened_by().word().to_owned(),
            scene: opening.scene.word().to_owned(),
            ways: transaction.ways().iter().map(|way| way.word().to_owned()).collect(),
            next_attempt: transaction.next_number(),
            proxy,
            operator_changes: transaction.shifts(),
            attempts: transaction.made().iter().zip(1_u32..).map(attempt).collect(),
            verdict,
            settlements: steps.iter().map(settlement).collect(),
        }
    }

    /// A transaction of before a restart: nothing is open until it is opened again.
    pub(super) fn of_record(id: &str, record: &Record, steps: &[StandingStep]) -> Self {
        let attempt = |(made, number): (&Made, u32)| AttemptView {
            attempt: number,
            way: made.way.clone(),
            disposition: made.told.clone(),
            receipt_number: made.receipt_number.clone(),
        };
        let answered = record.made.last().is_some_and(|made| made.told.is_some());
        let resting = match (record.made.is_empty(), answered) {
            (true, _) => State::Open,
            (false, true) => State::Answered,
            (false, false) => State::Waiting,
        };
        Self {
            transaction: id.to_owned(),
            state: record.end.clone().unwrap_or_else(|| resting.word().to_owned()),
            opened_by: record.opened_by.clone(),
            scene: record.scene.clone(),
            ways: Vec::new(),
            next_attempt: u32::try_from(record.made.len()).unwrap_or(u32::MAX).saturating_add(1),
            proxy: false,
            operator_changes: 0,
            attempts: record.made.iter().zip(1_u32..).map(attempt).collect(),
            verdict: None,
            settlements: steps.iter().map(settlement).collect(),
        }
    }
}

fn settlement(standing: &StandingStep) -> SettlementView {
    let (state, refusal) = match standing.answered.as_deref() {
        None => (SettlementState::Queued, ""),
        Some("") => (SettlementState::Done, ""),
        Some(PROVISIONAL) => (SettlementState::Provisional, ""),
        Some(refusal) => (SettlementState::Refused, refusal),
    };
    let (kind, settlement, amount_fen) = match &standing.step {
        Step::Confirm { settlement, amount_fen, .. } => (SettlementKind::Confirm, settlement, Some(*amount_fen)),
        Step::Reverse { settlement, .. } => (SettlementKind::Reverse, settlement, None),
    };
    SettlementView { kind, settlement: settlement.clone(), amount_fen, state, refusal: refusal.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answered: Option<&str>, state: SettlementState, refusal: &str) {
        let step = Step::Reverse { receipt_number: "28T5".into(), settlement: "S-1".into() };
        let shown = settlement(&StandingStep { id: 1, entry: "T1".into(), step, answered: answered.map(str::to_owned) });
        assert_eq!((shown.state, shown.refusal.as_str(), shown.kind), (state, refusal, SettlementKind::Reverse));
    }

    #[test]
    fn a_settlement_says_how_it_stands() {
        check(None, SettlementState::Queued, "");
        check(Some(""), SettlementState::Done, "");
        check(Some(PROVISIONAL), SettlementState::Provisional, "");
        check(Some("used"), SettlementState::Refused, "used");
    }

    #[test]
    fn an_attempt_that_waits_over_a_restart_still_waits() {
        let made = vec![Made { way: "face".into(), told: None, receipt_number: String::new(), provisional: false }];
        let record = Record { opened_by: "till".into(), scene: "settlement".into(), made, end: None };
        let shown = TransactionView::of_record("T1", &record, &[]);
        assert_eq!((shown.state.as_str(), shown.next_attempt, shown.ways.len()), ("waiting", 2, 0));
    }
}
