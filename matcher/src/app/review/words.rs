//! Words of a case at rest: each statement's under a data key of its own, bound to its place.
//!
//! A key of its own, because what was said in a case stays for its legal time when the person's key is destroyed.

use matcher_core::console::Statement;

use crate::{
    center::Center,
    store::{
        RecordId, StoreError, SubjectId,
        desk::{SealedWords, StoredStatement},
    },
    vault::{RecordContext, Vault},
};

/// Statements that are sealed in one change.
const AT_ONCE: u32 = 500;

/// Where a statement stands: whose case, which, and its number.
type Place = (SubjectId, RecordId, u32);

/// A statement with its words sealed.
#[must_use]
pub fn sealed(vault: &Vault, place: Place, said: Statement) -> StoredStatement {
    let words = seal(vault, place, &said.text);
    StoredStatement { said: Statement { text: String::new(), ..said }, words: Some(words) }
}

fn seal(vault: &Vault, (subject, case, number): Place, text: &str) -> SealedWords {
    let (key, data_key) = vault.new_data_key(subject);
    let number = number.to_string();
    SealedWords { data_key, sealed: key.seal(&RecordContext::statement(subject, case, &number), text.as_bytes()) }
}

/// A statement with its words opened; empty where they are not of this place.
#[must_use]
pub fn opened(vault: &Vault, (subject, case, number): Place, stored: StoredStatement) -> Statement {
    let number = number.to_string();
    let open = |words: &SealedWords| {
        let key = vault.unwrap_data_key(subject, &words.data_key).ok()?;
        let bytes = key.open(&RecordContext::statement(subject, case, &number), &words.sealed).ok()?;
        String::from_utf8(bytes.to_vec()).ok()
    };
    match &stored.words {
        Some(words) => Statement { text: open(words).unwrap_or_default(), ..stored.said },
        None => stored.said,
    }
}

/// Seals what an older release stored in clear; says how many statements.
///
/// # Errors
/// When the store fails; what was not sealed is the next time.
pub async fn seal_all(center: &Center) -> Result<u64, StoreError> {
    let mut done = 0;
    loop {
        let clear = center.store.clear_words(AT_ONCE).await?;
        if clear.is_empty() {
            return Ok(done);
        }
        done += clear.len() as u64;
        let one = |(subject, case, number, text): (SubjectId, RecordId, u32, String)| {
            (subject, case, number, seal(&center.vault, (subject, case, number), &text))
        };
        center.store.seal_words(clear.into_iter().map(one).collect()).await?;
    }
}
