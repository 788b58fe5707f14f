//! Searching one face among many people's: indexes of references and probes, and what they are asked.
//!
//! An index is derived from the store: built in the background, kept up to date by the feed of changes ([`held`]), saved
//! sealed ([`sealed`]) and built again when anything disagrees ([`role`]). Its candidates are opened from the store and
//! compared exactly; an index decides nothing. It is asked for duplicates of new references, for one face on several cards
//! ([`jobs`]), and by people for who else somebody is ([`ask`]). All of it only while the policy says what searching among
//! other people's faces rests on. Not here: the engine (`matcher-index`), the rules (`matcher_core::identification`).

use matcher_core::Policy;
use matcher_index::{FaceIndex, IndexError};
use models_core::{CompareError, ModelId, RecipeId, Template};
use thiserror::Error;

use crate::{
    store::{MadeBy, RecordId, StoreError, SubjectId, TimeMs, feed::SearchRecord},
    vault::{RecordContext, Vault},
};

pub mod ask;
pub mod held;
pub mod jobs;
pub mod role;
pub mod sealed;
pub mod threads;

/// A search that could not be made.
#[derive(Debug, Error)]
pub enum IdentifyError {
    /// The policy does not say what it rests on.
    #[error("the policy in force does not enable cross_card_search; nothing was searched")]
    NoBasis,
    /// The model in force is not known here.
    #[error("the manifest has no model {0} with the policy's recipe")]
    UnknownModel(ModelId),
    /// The index refuses or failed.
    #[error("the index could not be used")]
    Index(#[source] IndexError),
    /// Templates that cannot be compared.
    #[error("two templates could not be compared")]
    Compare(#[source] CompareError),
    /// Changes were missed: the index is built again.
    #[error("changes were removed from the feed before they were read; the index is built again")]
    Behind,
    /// A saved index does not open or does not fit.
    #[error("the saved index is not used: {0}")]
    Saved(&'static str),
    /// A file could not be read or written.
    #[error("the saved index could not be read or written")]
    File(#[source] std::io::Error),
    /// The work was interrupted.
    #[error("the work was interrupted")]
    Interrupted,
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
}

/// The model and recipe that are searched: those in force, while searching has a basis.
///
/// # Errors
/// [`IdentifyError::NoBasis`].
pub fn searched(policy: &Policy) -> Result<MadeBy, IdentifyError> {
    policy.cross_card_search().basis.ok_or(IdentifyError::NoBasis)?;
    Ok(MadeBy { model: policy.model().as_str().to_owned(), recipe: policy.recipe().as_str().to_owned() })
}

/// A record with its template open.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Whose.
    pub subject: SubjectId,
    /// Which.
    pub record: RecordId,
    /// Its template.
    pub template: Template,
    /// The region of a reference, the institution of a probe.
    pub scope: String,
    /// When it came.
    pub at: TimeMs,
    /// Of a probe: whether it matched its card's reference.
    pub matched: bool,
    /// Of a probe: whether the visit is explained.
    pub explained: bool,
}

impl Opened {
    /// Opens a record with its person's key; nothing when it is not that person's or not in order, which re-extraction finds.
    #[must_use]
    pub fn open(vault: &Vault, kind: crate::store::feed::Searchable, stored: &SearchRecord) -> Option<Self> {
        use crate::store::feed::Searchable;
        let key = vault.unwrap_data_key(stored.subject, &stored.data_key).ok()?;
        let place = match kind {
            Searchable::Reference => RecordContext::reference_template(stored.subject, stored.record, &stored.made_by.model),
            Searchable::Probe => RecordContext::probe_template(stored.subject, stored.record, &stored.made_by.model),
        };
        let features = key.open(&place, &stored.template).ok()?;
        let (model, recipe) = (ModelId::new(&stored.made_by.model).ok()?, RecipeId::new(&stored.made_by.recipe).ok()?);
        let template = Template::from_f16_le_bytes(model, recipe, features.len() / 2, &features).ok()?;
        let SearchRecord { subject, record, at, matched, explained, .. } = *stored;
        Some(Self { subject, record, template, scope: stored.scope.clone(), at, matched, explained })
    }
}

/// Works with an index on a thread that may be busy for long.
async fn busy<T: Send + 'static>(
    index: FaceIndex,
    work: impl FnOnce(&mut FaceIndex) -> Result<T, IndexError> + Send + 'static,
) -> Result<(FaceIndex, T), IdentifyError> {
    let run = move || {
        let mut index = index;
        let done = work(&mut index)?;
        Ok((index, done))
    };
    tokio::task::spawn_blocking(run).await.map_err(|_| IdentifyError::Interrupted)?.map_err(IdentifyError::Index)
}

#[cfg(test)]
mod tests;
