//! The one session of a process, and the last answer of each thread.

use std::{
    cell::RefCell,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{answer::Failure, calls::Request, client::Client, config::Config, text::Encoding};

static SESSION: RwLock<Option<Arc<Client>>> = RwLock::new(None);

thread_local! {
    /// The bytes of this thread's last answer, without the NUL.
    static LAST: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Opens the session.
pub(crate) fn open(config: &str) -> Result<(), Failure> {
    let config = Config::read(config)?;
    let mut session = SESSION.write().unwrap_or_else(PoisonError::into_inner);
    if session.is_some() {
        return Err(Failure::AlreadyOpen);
    }
    *session = Some(Arc::new(Client::new(config)));
    Ok(())
}

/// Closes it; calls under way end as they would. False where there was none.
pub(crate) fn close() -> bool {
    SESSION.write().unwrap_or_else(PoisonError::into_inner).take().is_some()
}

fn client() -> Result<Arc<Client>, Failure> {
    SESSION.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Failure::NotOpen)
}

/// The encoding of the session, or of none.
pub(crate) fn encoding() -> Encoding {
    client().map(|client| client.config().encoding).unwrap_or_default()
}

/// Makes a call.
pub(crate) fn call(code: &[u8], json: &[u8]) -> Result<String, Failure> {
    let client = client()?;
    let encoding = client.config().encoding;
    let read = |name: &str, bytes: &[u8]| {
        encoding.read(bytes).ok_or_else(|| Failure::Invalid(format!("{name}: expected text in the encoding of the configuration")))
    };
    let request = Request::new(&read("code", code)?, &read("in_json", json)?)?;
    client.call(&request)
}

/// How a transaction stands.
pub(crate) fn result(transaction: &[u8]) -> Result<String, Failure> {
    let client = client()?;
    let read = client.config().encoding.read(transaction);
    let name = read.ok_or_else(|| Failure::Invalid("transaction: expected text in the encoding of the configuration".to_owned()))?;
    client.call(&Request::of_transaction(&name)?)
}

/// Keeps this thread's answer.
pub(crate) fn keep(bytes: &[u8]) {
    LAST.with_borrow_mut(|last| {
        last.clear();
        last.extend_from_slice(bytes);
    });
}

/// This thread's last answer.
pub(crate) fn last() -> Vec<u8> {
    LAST.with_borrow(Clone::clone)
}
