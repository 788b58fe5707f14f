//! A till at a counter: what its software asks of the agent, by the local API alone.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::site::Counter;

/// A transaction at a counter.
#[derive(Debug)]
pub struct Till<'a> {
    counter: &'a Counter,
    transaction: String,
}

impl<'a> Till<'a> {
    /// Opens a transaction, as when a card is swiped.
    ///
    /// # Errors
    /// When the agent does not open it.
    pub fn swipe(counter: &'a Counter, transaction: &str, card: &str, scene: &str, operator: &str) -> Result<Self> {
        let opening = json!({ "transaction": transaction, "scene": scene, "card": card, "operator": operator, "opened_by": "card_swipe" });
        let (status, answer) = counter.post("/v1/transactions", &opening)?;
        ensure!(matches!(status, 200 | 201), "opening {transaction} was answered {status}: {answer}");
        Ok(Self { counter, transaction: transaction.to_owned() })
    }

    /// The face; the answer, or the agent's refusal.
    ///
    /// # Errors
    /// When the agent cannot be asked.
    pub fn face(&self) -> Result<(u16, Value)> {
        self.to("attempts", &json!({}))
    }

    /// The operator looked at a document.
    ///
    /// # Errors
    /// When the agent cannot be asked.
    pub fn document_check(&self, same_person: bool) -> Result<(u16, Value)> {
        self.to("document-checks", &json!({ "same_person": same_person, "document_kind": "resident_identity" }))
    }

    /// Another way than the face.
    ///
    /// # Errors
    /// When the agent cannot be asked.
    pub fn other_way(&self) -> Result<(u16, Value)> {
        self.to("other-way", &json!({}))
    }

    /// Somebody came in the holder's place.
    ///
    /// # Errors
    /// When the agent cannot be asked.
    pub fn proxy(&self, document_number: &str, name: &str) -> Result<(u16, Value)> {
        self.to("proxy", &json!({ "document_kind": "resident_identity", "document_number": document_number, "name": name }))
    }

    /// The settlement was made.
    ///
    /// # Errors
    /// When the agent cannot be asked.
    pub fn confirm(&self, amount_fen: u64) -> Result<(u16, Value)> {
        self.to("confirm", &json!({ "settlement": format!("S-{}", self.transaction), "amount_fen": amount_fen }))
    }

    /// The settlement was taken back.
    ///
    /// # Errors
    /// When the agent cannot be asked.
    pub fn reverse(&self) -> Result<(u16, Value)> {
        self.to("reverse", &json!({}))
    }

    /// Nothing comes of it.
    ///
    /// # Errors
    /// When the agent cannot be asked.
    pub fn cancel(&self) -> Result<(u16, Value)> {
        self.to("cancel", &json!({}))
    }

    fn to(&self, resource: &str, body: &Value) -> Result<(u16, Value)> {
        self.counter.post(&format!("/v1/transactions/{}/{resource}", self.transaction), body)
    }
}
