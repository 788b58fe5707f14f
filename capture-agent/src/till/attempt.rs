//! One attempt of a transaction, by any way.

use super::*;
use crate::document::Document;

/// Which way is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedWay {
    /// The face, against the enrolled photo.
    Face,
    /// The face, against the chip of the document on the reader.
    Chip,
    /// The operator looked at a document.
    Document {
        /// Which document.
        kind: capture_core::DocumentKind,
        /// What the operator says.
        same_person: bool,
    },
    /// Another way.
    OtherWay,
}

impl AskedWay {
    fn way(&self) -> Way {
        match self {
            Self::Face => Way::Face,
            Self::Chip => Way::Chip,
            Self::Document { .. } => Way::DocumentCheck,
            Self::OtherWay => Way::OtherWay,
        }
    }
}

/// An attempt that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// By which way.
    pub way: AskedWay,
    /// Its number; the next one where none is named.
    pub attempt: Option<Attempt>,
    /// Who operates the counter; who did before where it is empty.
    pub operator: Operator,
    /// The consent given since the transaction was opened; as it was where it is empty.
    pub consent: Consent,
}

impl Till {
    /// Makes an attempt, or gives the answer to one again.
    ///
    /// # Errors
    /// When the transaction, its rules or the verification does not let it be.
    pub async fn attempt(&self, id: &str, asked: Asked) -> Result<VerifyAnswer, TillError> {
        let live = self.opened(id).await?;
        let (begun, operator) = {
            let mut inner = live.lock();
            let operator = if asked.operator.as_str().is_empty() { inner.opening.operator.clone() } else { asked.operator.clone() };
            if matches!(asked.way, AskedWay::Document { .. }) && operator.as_str().is_empty() {
                return Err(TillError::OperatorMissing);
            }
            (inner.transaction.begin(asked.way.way(), asked.attempt, self.clock.now()).map_err(TillError::Transaction)?, operator)
        };
        match begun {
            Begun::New(number) => {
                self.save(&live).await?;
                self.announce(&live);
                self.is_current(&live);
                let command = match self.command(&live, &asked, (number, operator)).await {
                    Ok(command) => command,
                    Err(error) => return Err(self.came_to_nothing(&live, error).await),
                };
                live.lock().commands.insert(number.get(), command.clone());
                self.make(&live, command).await
            }
            Begun::Again(number) => {
                let before = live.lock().commands.get(&number.get()).cloned();
                let command = match before {
                    Some(command) => command,
                    None => self.command(&live, &asked, (number, operator)).await?,
                };
                self.make(&live, command).await
            }
        }
    }

    async fn make(&self, live: &Arc<Live>, command: VerifyCommand) -> Result<VerifyAnswer, TillError> {
        let (attempt, way) = (command.attempt, command.by.way());
        let watched = Arc::clone(live);
        let guide: Guide = Arc::new(move |instruction| {
            let (word, text_en, text_zh) = instruction_words(instruction);
            let data = json!({ "instruction": word, "text_en": text_en, "text_zh": text_zh });
            watched.events.add(EventKind::Instruction, data);
        });
        let outcome = self.verifier.verify(&command, guide).await;
        let kept = outcome.is_ok() || self.verifier.is_kept(&command).await;
        let now = self.clock.now();
        {
            let mut inner = live.lock();
            if kept {
                inner.transaction.captured(attempt, way, now);
            } else {
                inner.transaction.failed(now);
                inner.commands.remove(&attempt.get());
            }
            if let Ok(answer) = &outcome {
                inner.transaction.answered(attempt, told(answer.disposition), now);
                let issued = Issued { number: answer.receipt_number.clone(), provisional: answer.degraded };
                inner.receipts.insert(attempt.get(), issued);
                inner.verdicts.insert(attempt.get(), answer.clone());
            }
        }
        self.save(live).await?;
        match &outcome {
            Ok(answer) => live.events.add(EventKind::Verdict, serde_json::to_value(answer).unwrap_or_default()),
            Err(error) => live.events.add(EventKind::Error, serde_json::to_value(ErrorBody::of(error)).unwrap_or_default()),
        }
        self.announce(live);
        outcome.map_err(TillError::Verify)
    }

    /// What is to be sent; for a chip, once the document was read.
    async fn command(&self, live: &Arc<Live>, asked: &Asked, (attempt, operator): (Attempt, Operator)) -> Result<VerifyCommand, TillError> {
        let by = match &asked.way {
            AskedWay::Face => By::Face,
            AskedWay::Document { kind, same_person } => By::Document { kind: *kind, same_person: *same_person },
            AskedWay::OtherWay => By::OtherWay,
            AskedWay::Chip => {
                let document = self.read_document().await?;
                is_of(&document, &live.lock())?;
                let template = self.verifier.chip_template(document.photo).await.map_err(TillError::Verify)?;
                By::Chip { kind: document.kind, template: template.ok_or(TillError::NoFaceOnChip)? }
            }
        };
        let inner = live.lock();
        let opening = inner.opening.clone();
        Ok(VerifyCommand {
            transaction: opening.transaction,
            attempt,
            scene: opening.scene,
            id_kind: opening.id_kind,
            number: opening.number,
            region: opening.region,
            operator,
            notice: opening.notice,
            consent: if asked.consent.as_str().is_empty() { opening.consent } else { asked.consent.clone() },
            by,
            proxy: inner.proxy.clone(),
        })
    }

    async fn read_document(&self) -> Result<Document, TillError> {
        let reader = Arc::clone(&self.reader);
        let read = tokio::task::spawn_blocking(move || reader.read()).await;
        read.map_err(|_| TillError::Book(BookError::Interrupted))?.map_err(TillError::Reader)
    }

    /// An attempt that was given a number and left nothing.
    async fn came_to_nothing(&self, live: &Arc<Live>, error: TillError) -> TillError {
        live.lock().transaction.failed(self.clock.now());
        let body = serde_json::to_value(ErrorBody::new(error.code(), error.to_string())).unwrap_or_default();
        live.events.add(EventKind::Error, body);
        self.announce(live);
        match self.save(live).await {
            Ok(()) => error,
            Err(failed) => failed,
        }
    }
}

/// Whether a document is of who stands at the counter: the proxy, or the holder where the numbers are of one kind.
fn is_of(document: &Document, inner: &Inner) -> Result<(), TillError> {
    let same = |a: &str, b: &str| a.trim().eq_ignore_ascii_case(b.trim());
    let number = document.number.as_str();
    let fits = match (&inner.proxy, inner.opening.id_kind, document.kind) {
        (Some(proxy), ..) => proxy.kind == document.kind && same(proxy.number.as_str(), number),
        (None, IdentifierKind::ResidentIdentity, capture_core::DocumentKind::ResidentIdentity)
        | (None, IdentifierKind::SocialSecurityCard, capture_core::DocumentKind::SocialSecurityCard) => {
            same(inner.opening.number.as_str(), number)
        }
        (None, ..) => true,
    };
    if fits { Ok(()) } else { Err(TillError::OtherDocument) }
}
