//! `ReceiptService`.

use matcher_core::{
    overload::Class,
    receipt::{ReceiptNumber, ReceiptState, Refusal},
};
use proto::v1::{self, receipt_service_server::ReceiptService};
use tonic::{Request, Response, Status};
use tracing::{info, instrument};

use crate::{
    app::{
        admission::Admission,
        receipts::{self, Confirm, Receipts, Reverse},
    },
    store::{Device, receipts::Stepped},
};

use super::{
    Gate, Peer,
    field::{FieldError, name, text, wrong},
    status::Failure,
};

/// The largest amount of a settlement, in hundredths of a yuan.
const AMOUNT_MAX: u64 = 1_000_000_000_000;

/// Confirms, reverses and finds receipts.
#[derive(Clone)]
pub struct ReceiptFront {
    /// The use case.
    pub app: Receipts,
    /// Who is calling, and what time it is.
    pub admission: Admission,
    /// Bounds on calls.
    pub gate: Gate,
}

#[tonic::async_trait]
impl ReceiptService for ReceiptFront {
    #[instrument(name = "confirm_receipt", skip_all)]
    async fn confirm_receipt(&self, request: Request<v1::ConfirmReceiptRequest>) -> Result<Response<v1::ConfirmReceiptResponse>, Status> {
        self.gate.answer(Class::Other, request, |peer, message| self.confirm(peer, message)).await
    }

    #[instrument(name = "reverse_receipt", skip_all)]
    async fn reverse_receipt(&self, request: Request<v1::ReverseReceiptRequest>) -> Result<Response<v1::ReverseReceiptResponse>, Status> {
        self.gate.answer(Class::Other, request, |peer, message| self.reverse(peer, message)).await
    }

    #[instrument(name = "find_receipt", skip_all)]
    async fn find_receipt(&self, request: Request<v1::FindReceiptRequest>) -> Result<Response<v1::FindReceiptResponse>, Status> {
        self.gate.answer(Class::Other, request, |peer, message| self.find(peer, message)).await
    }
}

impl ReceiptFront {
    async fn confirm(&self, peer: Peer, message: v1::ConfirmReceiptRequest) -> Result<v1::ConfirmReceiptResponse, Failure> {
        let device = self.device(peer).await?;
        let asked = confirmation(message).map_err(Failure::Field)?;
        let stepped = self.app.confirm(device, asked, self.admission.surroundings.now_ms()).await.map_err(Failure::Store)?;
        let (refusal, state, repeated) = outcome("confirmed", &stepped);
        Ok(v1::ConfirmReceiptResponse { refusal, state: state.into(), repeated })
    }

    async fn reverse(&self, peer: Peer, message: v1::ReverseReceiptRequest) -> Result<v1::ReverseReceiptResponse, Failure> {
        let device = self.device(peer).await?;
        let asked = reversal(message).map_err(Failure::Field)?;
        let stepped = self.app.reverse(device, asked, self.admission.surroundings.now_ms()).await.map_err(Failure::Store)?;
        let (refusal, state, repeated) = outcome("reversed", &stepped);
        Ok(v1::ReverseReceiptResponse { refusal, state: state.into(), repeated })
    }

    async fn find(&self, peer: Peer, message: v1::FindReceiptRequest) -> Result<v1::FindReceiptResponse, Failure> {
        let device = self.device(peer).await?;
        let number = number(&message.receipt_number).map_err(Failure::Field)?;
        Ok(match self.app.find(&device, number).await.map_err(Failure::Store)? {
            Ok(stored) => {
                v1::FindReceiptResponse { refusal: String::new(), state: state(stored.state()).into(), receipt: stored.receipt.compact }
            }
            Err(refusal) => v1::FindReceiptResponse { refusal: refusal.word().to_owned(), ..v1::FindReceiptResponse::default() },
        })
    }

    async fn device(&self, peer: Peer) -> Result<Device, Failure> {
        self.admission.acting(peer).await.map_err(Failure::Admission)
    }
}

fn confirmation(message: v1::ConfirmReceiptRequest) -> Result<Confirm, FieldError> {
    if message.amount_fen > AMOUNT_MAX {
        return Err(wrong("amount_fen", format!("at most {AMOUNT_MAX}")));
    }
    Ok(Confirm {
        number: number(&message.receipt_number)?,
        settlement: name("settlement", message.settlement)?,
        amount_fen: message.amount_fen,
        document_checked_by: text("document_checked_by", message.document_checked_by, 64)?.trim().to_owned(),
    })
}

fn reversal(message: v1::ReverseReceiptRequest) -> Result<Reverse, FieldError> {
    let settlement = if message.settlement.is_empty() { None } else { Some(name("settlement", message.settlement)?) };
    Ok(Reverse { number: number(&message.receipt_number)?, settlement })
}

fn number(text: &str) -> Result<ReceiptNumber, FieldError> {
    text.parse().map_err(|error: matcher_core::receipt::NumberError| {
        let message = error.to_string();
        wrong("receipt_number", message.split_once("expected ").map_or(message.as_str(), |(_, expected)| expected))
    })
}

/// Refusal, state and whether it was so before, for the wire; said in the log.
fn outcome(done: &'static str, stepped: &Stepped) -> (String, v1::ReceiptState, bool) {
    match stepped {
        Ok((stored, step)) => {
            let repeated = receipts::repeated(*step);
            info!(receipt.number = %stored.receipt.number, repeated, "a receipt was {done}");
            (String::new(), state(stored.state()), repeated)
        }
        Err(refusal) => {
            info!(refusal = refusal.word(), "a receipt was not {done}");
            (refusal.word().to_owned(), refused_state(*refusal), false)
        }
    }
}

/// What a refusal itself says about the state.
fn refused_state(refusal: Refusal) -> v1::ReceiptState {
    if refusal == Refusal::Reversed { v1::ReceiptState::Reversed } else { v1::ReceiptState::Unspecified }
}

fn state(state: ReceiptState) -> v1::ReceiptState {
    match state {
        ReceiptState::Issued => v1::ReceiptState::Issued,
        ReceiptState::Confirmed => v1::ReceiptState::Confirmed,
        ReceiptState::Reversed => v1::ReceiptState::Reversed,
    }
}
