//! The use case of a till: a transaction from opening to refund, by whatever way.
//!
//! The rules are `capture-core`'s, each attempt goes through [`Verifier`], and what became of it is in the [`book`] before the till
//! is told. Whom a transaction is about is held in memory alone: after a restart the till opens it again with the same fields and
//! finds it as it was. Not here: HTTP, and the center's answers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use capture_core::{
    Answered, Attempt, Begun, Consent, IdentifierKind, IdentifierNumber, Notice, OpenedBy, Operator, Region, Scene, State, Told,
    Transaction, TransactionId, TransactionRule, Way,
};
use serde_json::json;
use tokio::sync::watch;
use tracing::warn;
use zeroize::Zeroizing;

use self::{
    book::{Book, BookError, Made, Record},
    events::{EventKind, Events},
    view::TransactionView,
};
use crate::{
    answer::{Disposition, VerifyAnswer},
    clock::Clock,
    command::{By, Proxy, VerifyCommand},
    config::{Config, TransactionsConfig},
    document::{self, DocumentReader},
    mac,
    output::instruction_words,
    problem::ErrorBody,
    verify::{Guide, Verifier},
};

mod attempt;
pub mod book;
mod error;
pub mod events;
mod settle;
mod shown;
pub mod view;

pub use attempt::{Asked, AskedWay};
pub use error::TillError;
pub use shown::Shown;

/// How often idle transactions and untold settlements are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What opens a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Its name.
    pub transaction: TransactionId,
    /// What opened it.
    pub opened_by: OpenedBy,
    /// Where in the visit.
    pub scene: Scene,
    /// Which kind of number identifies the card's holder.
    pub id_kind: IdentifierKind,
    /// The number.
    pub number: IdentifierNumber,
    /// Who issued the card.
    pub region: Region,
    /// Who operates the counter; where it is empty, who does now.
    pub operator: Operator,
    /// The notice shown; where it is empty, the policy's.
    pub notice: Notice,
    /// The consent given; empty where none was asked for.
    pub consent: Consent,
}

impl Opening {
    /// Whom and what it is about, without keeping the number.
    fn digest(&self, key: &[u8; 32]) -> [u8; 32] {
        let fields = [self.scene.word(), self.id_kind.word(), self.region.as_str(), self.number.as_str().trim()];
        mac::of_fields(key, &fields.map(str::as_bytes))
    }
}

/// A transaction that this process knows whole.
struct Live {
    digest: [u8; 32],
    inner: Mutex<Inner>,
    events: Events,
}

struct Inner {
    opening: Opening,
    transaction: Transaction,
    proxy: Option<Proxy>,
    commands: BTreeMap<u32, VerifyCommand>,
    verdicts: BTreeMap<u32, VerifyAnswer>,
    receipts: BTreeMap<u32, Issued>,
}

/// The receipt of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Issued {
    /// Its number; empty where there is none.
    number: String,
    /// Whether it is the device's own, while the center did not answer.
    provisional: bool,
}

impl Live {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything a till does with this agent.
pub struct Till {
    verifier: Arc<Verifier>,
    book: Arc<Book>,
    reader: Arc<dyn DocumentReader>,
    clock: Clock,
    digest_key: Zeroizing<[u8; 32]>,
    live: Mutex<HashMap<String, Arc<Live>>>,
    operator: Mutex<Operator>,
    telling: tokio::sync::Mutex<()>,
    /// What the counter's screen is about: the transaction that was opened or tried last.
    current: watch::Sender<Option<Arc<Live>>>,
    stopping: watch::Sender<bool>,
}

impl std::fmt::Debug for Till {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Till").finish_non_exhaustive()
    }
}

impl Till {
    /// A till on this verifier.
    #[must_use]
    pub fn new(config: &Config, verifier: Arc<Verifier>, book: Book) -> Self {
        let digest_key = verifier.derived_key("transaction digests");
        Self {
            verifier,
            book: Arc::new(book),
            reader: Arc::from(document::from_config(&config.reader)),
            clock: Clock::start(),
            digest_key,
            live: Mutex::default(),
            operator: Mutex::new(Operator::nobody()),
            telling: tokio::sync::Mutex::new(()),
            current: watch::Sender::new(None),
            stopping: watch::Sender::new(false),
        }
    }

    /// What makes verifications.
    #[must_use]
    pub fn verifier(&self) -> &Arc<Verifier> {
        &self.verifier
    }

    fn transactions(&self) -> TransactionsConfig {
        self.verifier.tuned().transactions
    }

    fn time_out_ms(&self) -> u64 {
        self.transactions().time_out_s.saturating_mul(1_000)
    }

    /// Opens a transaction; true where it was not there. The same fields again find it as it is, after a restart too.
    ///
    /// # Errors
    /// When one of the name is about another card or scene, too many are open, or the disk fails.
    pub async fn open(&self, opening: Opening) -> Result<(TransactionView, bool), TillError> {
        let id = opening.transaction.to_string();
        let digest = opening.digest(&self.digest_key);
        let kept = self.with_book(move |book| book.entry(&id)).await?;
        if kept.as_ref().is_some_and(|(before, _)| *before != digest) {
            return Err(TillError::Conflict);
        }
        let (id, now) = (opening.transaction.to_string(), self.clock.now());
        let live = {
            let mut all = self.all();
            if let Some(live) = all.get(&id) {
                Arc::clone(live)
            } else {
                make_room(&mut all, self.transactions().open_max)?;
                let live = Arc::new(self.begun(opening, digest, kept.as_ref().map(|(_, record)| record), now));
                all.insert(id.clone(), Arc::clone(&live));
                live
            }
        };
        if kept.is_none() {
            self.save(&live).await?;
            self.announce(&live);
        }
        self.is_current(&live);
        Ok((self.view(&live).await?, kept.is_none()))
    }

    fn begun(&self, mut opening: Opening, digest: [u8; 32], kept: Option<&Record>, now: capture_core::Moment) -> Live {
        if opening.operator.as_str().is_empty() {
            opening.operator = self.operator();
        }
        let scene = self.verifier.policy().and_then(|policy| policy.scene(opening.scene).map(|rules| rules.attempts_max));
        let rule = TransactionRule { faces_max: scene.unwrap_or(self.transactions().faces_max), time_out_ms: self.time_out_ms() };
        let (transaction, receipts) = match kept {
            None => (Transaction::open(rule, opening.opened_by, now), BTreeMap::new()),
            Some(record) => restored(rule, record, now),
        };
        let (commands, verdicts) = (BTreeMap::new(), BTreeMap::new());
        let inner = Inner { opening, transaction, proxy: None, commands, verdicts, receipts };
        Live { digest, inner: Mutex::new(inner), events: Events::default() }
    }

    /// A transaction as it stands, whether this process knows it whole or not.
    ///
    /// # Errors
    /// When there is none of the name, or the disk fails.
    pub async fn show(&self, id: &str) -> Result<TransactionView, TillError> {
        if let Ok(live) = self.known(id) {
            self.pass(&live).await;
            return self.view(&live).await;
        }
        let name = id.to_owned();
        let found = self.with_book(move |book| Ok((book.entry(&name)?, book.steps_of(&name)?))).await?;
        let (Some((_, record)), steps) = found else { return Err(TillError::Unknown) };
        Ok(TransactionView::of_record(id, &record, &steps))
    }

    /// Calls a transaction off.
    ///
    /// # Errors
    /// When there is none, it was settled or has ended otherwise, or the disk fails.
    pub async fn cancel(&self, id: &str) -> Result<TransactionView, TillError> {
        let live = self.opened(id).await?;
        self.give_up(&live).await;
        live.lock().transaction.cancel(self.clock.now()).map_err(TillError::Transaction)?;
        self.save(&live).await?;
        self.announce(&live);
        self.view(&live).await
    }

    /// Names who came in the holder's place; for the attempts that follow.
    ///
    /// # Errors
    /// When there is no such transaction, the scene allows nobody, or another was named before.
    pub async fn proxy(&self, id: &str, proxy: Proxy) -> Result<TransactionView, TillError> {
        let live = self.opened(id).await?;
        {
            let mut inner = live.lock();
            let policy = self.verifier.policy();
            let rules = policy.as_ref().and_then(|policy| policy.scene(inner.opening.scene));
            if rules.is_some_and(|rules| !rules.proxy_allowed) {
                return Err(TillError::ProxyNotAllowed);
            }
            if inner.proxy.as_ref().is_some_and(|before| *before != proxy) {
                return Err(TillError::OtherProxy);
            }
            inner.proxy = Some(proxy);
        }
        self.announce(&live);
        self.view(&live).await
    }

    /// Another operator works the counter from now on; says in how many open transactions that was recorded.
    pub fn shift(&self, operator: &Operator) -> u32 {
        let changed = {
            let mut current = self.operator.lock().unwrap_or_else(PoisonError::into_inner);
            let changed = *current != *operator;
            *current = operator.clone();
            changed
        };
        let live: Vec<Arc<Live>> = self.all().values().cloned().collect();
        let mut recorded = 0;
        for live in live.iter().filter(|_| changed) {
            let mut inner = live.lock();
            if inner.opening.operator != *operator && inner.transaction.shift(self.clock.now()) {
                inner.opening.operator = operator.clone();
                recorded += 1;
                live.events.add(EventKind::Shift, json!({ "operator_changes": inner.transaction.shifts() }));
            }
        }
        recorded
    }

    /// Who operates the counter.
    fn operator(&self) -> Operator {
        self.operator.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The events of a transaction, while this process knows it whole.
    ///
    /// # Errors
    /// When it does not.
    pub fn events(&self, id: &str) -> Result<Watcher, TillError> {
        Ok(Watcher { live: self.known(id)?, stopping: self.stopping.subscribe() })
    }

    /// Transactions that may still go on, and settlements the center was not told of.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn standing(&self) -> Result<(u32, u32), TillError> {
        let open = self.all().values().filter(|live| is_open(live.lock().transaction.state())).count();
        let untold = self.with_book(Book::waiting_steps).await?.len();
        Ok((u32::try_from(open).unwrap_or(u32::MAX), u32::try_from(untold).unwrap_or(u32::MAX)))
    }

    /// Ends idle transactions and tells the center of settlements, until dropped.
    pub async fn keep_looking(&self) {
        let (now_ms, days) = (self.clock.date_ms(), self.transactions().keep_days);
        if let Err(error) = self.with_book(move |book| book.prune(now_ms, days)).await {
            warn!(error = &error as &dyn std::error::Error, "till.db could not be pruned");
        }
        loop {
            let live: Vec<Arc<Live>> = self.all().values().cloned().collect();
            for live in live {
                self.pass(&live).await;
            }
            self.tell().await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Lets those who watch go.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    async fn pass(&self, live: &Arc<Live>) {
        let ended = live.lock().transaction.pass(self.clock.now());
        if ended {
            self.announce(live);
            if let Err(error) = self.save(live).await {
                warn!(error = &error as &dyn std::error::Error, "a transaction's end could not be kept");
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, id: &str) -> Result<Arc<Live>, TillError> {
        self.all().get(id).cloned().ok_or(TillError::Unknown)
    }

    /// A transaction that something can be done with.
    async fn opened(&self, id: &str) -> Result<Arc<Live>, TillError> {
        match self.known(id) {
            Ok(live) => {
                self.pass(&live).await;
                Ok(live)
            }
            Err(unknown) => {
                let name = id.to_owned();
                let kept = self.with_book(move |book| book.entry(&name)).await?;
                Err(if kept.is_some() { TillError::NotOpen } else { unknown })
            }
        }
    }

    async fn view(&self, live: &Live) -> Result<TransactionView, TillError> {
        let id = live.lock().opening.transaction.to_string();
        let steps = self.with_book(move |book| book.steps_of(&id)).await?;
        let inner = live.lock();
        let (receipts, verdict) = (&inner.receipts, inner.verdicts.last_key_value().map(|(_, verdict)| verdict.clone()));
        Ok(TransactionView::of(&inner.opening, &inner.transaction, (receipts, verdict, inner.proxy.is_some()), &steps))
    }

    fn announce(&self, live: &Live) {
        let inner = live.lock();
        let ways: Vec<&str> = inner.transaction.ways().iter().map(|way| way.word()).collect();
        let (state, next) = (inner.transaction.state().word(), inner.transaction.next_number());
        live.events.add(EventKind::State, json!({ "state": state, "ways": ways, "next_attempt": next }));
    }

    async fn save(&self, live: &Live) -> Result<(), TillError> {
        let (id, digest, record, now_ms) = {
            let inner = live.lock();
            (inner.opening.transaction.to_string(), live.digest, inner.record(), self.clock.date_ms())
        };
        self.with_book(move |book| book.keep(&id, &digest, &record, now_ms)).await
    }

    async fn with_book<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Book) -> Result<T, BookError> + Send + 'static,
    ) -> Result<T, TillError> {
        let book = Arc::clone(&self.book);
        tokio::task::spawn_blocking(move || work(&book)).await.unwrap_or(Err(BookError::Interrupted)).map_err(TillError::Book)
    }
}

/// Somebody who watches a transaction.
pub struct Watcher {
    live: Arc<Live>,
    stopping: watch::Receiver<bool>,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}

impl Watcher {
    /// The event after this one; nothing when the transaction has ended and all was told, or the agent stops.
    pub async fn after(&mut self, id: u64) -> Option<events::Event> {
        let mut count = self.live.events.count();
        loop {
            count.borrow_and_update();
            if let Some(event) = self.live.events.after(id) {
                return Some(event);
            }
            if self.live.lock().transaction.state().is_terminal() || *self.stopping.borrow() {
                return None;
            }
            tokio::select! {
                _ = count.changed() => {}
                _ = self.stopping.wait_for(|stop| *stop) => return None,
            }
        }
    }
}

impl Inner {
    fn record(&self) -> Record {
        let told = |number: u32| {
            let attempt = Attempt::new(number).ok()?;
            self.transaction.answer_to(attempt).map(|answer| answer.told.word().to_owned())
        };
        let receipt = |number: u32| self.receipts.get(&number).cloned().unwrap_or_default();
        let ways = self.transaction.made().iter().copied().chain(self.transaction.under_way().map(|(_, way)| way));
        let made = ways.zip(1_u32..).map(|(way, number)| {
            let Issued { number: receipt_number, provisional } = receipt(number);
            Made { way: way.word().to_owned(), told: told(number), receipt_number, provisional }
        });
        let state = self.transaction.state();
        Record {
            opened_by: self.transaction.opened_by().word().to_owned(),
            scene: self.opening.scene.word().to_owned(),
            made: made.collect(),
            end: (state.is_terminal() || state == State::Confirmed).then(|| state.word().to_owned()),
        }
    }
}

fn restored(rule: TransactionRule, record: &Record, now: capture_core::Moment) -> (Transaction, BTreeMap<u32, Issued>) {
    let ways = record.made.iter().map(|made| Way::from_word(&made.way).unwrap_or(Way::Face)).collect::<Vec<_>>();
    let answer = |(made, number): (&Made, u32)| {
        let told = Told::from_word(made.told.as_deref()?)?;
        Some(Answered { attempt: Attempt::new(number).ok()?, way: Way::from_word(&made.way)?, told })
    };
    let answers = record.made.iter().zip(1_u32..).filter_map(answer).collect();
    let end = record.end.as_deref().and_then(State::from_word);
    let opened_by = OpenedBy::from_word(&record.opened_by).unwrap_or(OpenedBy::Till);
    let issued = |made: &Made| Issued { number: made.receipt_number.clone(), provisional: made.provisional };
    let receipts = record.made.iter().zip(1_u32..).map(|(made, number)| (number, issued(made))).collect();
    (Transaction::restore(rule, opened_by, now, (ways, answers), end), receipts)
}

fn is_open(state: State) -> bool {
    !state.is_terminal() && state != State::Confirmed
}

/// Lets go of what has ended where there are too many.
fn make_room(all: &mut HashMap<String, Arc<Live>>, open_max: usize) -> Result<(), TillError> {
    let open = |live: &Arc<Live>| is_open(live.lock().transaction.state());
    if all.values().filter(|live| open(live)).count() >= open_max {
        return Err(TillError::TooManyOpen(open_max));
    }
    if all.len() >= open_max.saturating_mul(4) {
        all.retain(|_, live| open(live));
    }
    Ok(())
}

/// The center's disposition as the transaction takes it.
fn told(disposition: Disposition) -> Told {
    match disposition {
        Disposition::Settle => Told::Settle,
        Disposition::SettleFlagged => Told::SettleFlagged,
        Disposition::DocumentCheck => Told::DocumentCheck,
        Disposition::OtherWay => Told::OtherWay,
        Disposition::Hold => Told::Hold,
        Disposition::Retry => Told::Retry,
    }
}
