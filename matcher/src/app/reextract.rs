//! References are made again from the enrolled photos, under another model or recipe.
//!
//! They stand beside the older ones, and a probe is compared with those of its own model and recipe: which one counters
//! use is the policy's thresholds, so that a policy switches over and the policy before it switches back. A run that
//! was killed has written what it has written; the next one goes on. Not here: which references are deleted, and when.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use thiserror::Error;
use tracing::warn;

use super::enrol::PhotoModel;
use crate::{
    center::Center,
    store::{
        MadeBy, StoreError,
        extractions::{Extraction, PhotoToExtract},
    },
    surroundings::Surroundings,
    vault::RecordContext,
};

/// Photos of one commit.
const CHUNK_LEN: u32 = 64;
/// Why a photo gave no reference: it does not open as the person's.
const UNREADABLE: &str = "photo_unreadable";

/// A run that broke off; what was written stays.
#[derive(Debug, Error)]
pub enum ReextractError {
    /// The store failed.
    #[error("the store could not be asked; start the same command again to go on")]
    Store(#[source] StoreError),
    /// The worker threads ended without an answer.
    #[error("the workers stopped; start the same command again to go on")]
    Interrupted,
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reextracted {
    /// References that were made.
    pub made: u64,
    /// Photos that gave none; the reasons are in the store.
    pub refused: u64,
    /// Photos whose networks failed; the next run tries them again.
    pub failed: u64,
    /// Whether it was stopped before the end.
    pub stopped: bool,
}

/// What a model and recipe are called in the store.
#[must_use]
pub fn made_by(model: &dyn PhotoModel) -> MadeBy {
    MadeBy { model: model.model().to_string(), recipe: model.recipe().to_string() }
}

/// Makes a reference of every photo in use that lacks one by this model, until done or told to stop. `advance` is told
/// how many photos are done, after each chunk is durable.
///
/// # Errors
/// When the store fails or the threads end.
pub async fn reextract<M: PhotoModel + Clone + 'static>(
    center: &Center,
    model: &M,
    surroundings: Arc<dyn Surroundings>,
    stop: &AtomicBool,
    mut advance: impl FnMut(u64),
) -> Result<Reextracted, ReextractError> {
    let made_by = made_by(model);
    let (mut done, mut after) = (Reextracted::default(), None);
    loop {
        let chunk = center.store.lacking(&made_by, after, CHUNK_LEN).await.map_err(ReextractError::Store)?;
        let Some(last) = chunk.last() else { break };
        if stop.load(Ordering::Relaxed) {
            done.stopped = true;
            break;
        }
        after = Some((last.subject, last.photo));
        let len = chunk.len();
        let (center_of, model_of, surroundings_of) = (center.clone(), model.clone(), Arc::clone(&surroundings));
        let work = move || -> Vec<Option<Extraction>> {
            chunk.par_iter().map(|photo| extract(&center_of, &model_of, surroundings_of.as_ref(), photo)).collect()
        };
        let extractions = tokio::task::spawn_blocking(work).await.map_err(|_| ReextractError::Interrupted)?;
        let extractions: Vec<Extraction> = extractions.into_iter().flatten().collect();
        let made = extractions.iter().filter(|extraction| extraction.made.is_ok()).count();
        done.made += made as u64;
        done.refused += (extractions.len() - made) as u64;
        done.failed += (len - extractions.len()) as u64;
        center.store.put_extractions(&made_by, extractions).await.map_err(ReextractError::Store)?;
        advance(done.made + done.refused + done.failed);
    }
    if done.made > 0 {
        let noted = center.store.note_extractions(&made_by, done.made, 0, surroundings.now_ms()).await;
        noted.map_err(ReextractError::Store)?;
    }
    Ok(done)
}

/// What becomes of one photo; nothing when the networks failed.
fn extract<M: PhotoModel>(center: &Center, model: &M, surroundings: &dyn Surroundings, photo: &PhotoToExtract) -> Option<Extraction> {
    let (subject, at) = (photo.subject, surroundings.now_ms());
    let refused = |reason| Some(Extraction { subject, photo: photo.photo, made: Err(reason), at });
    let Ok(key) = center.vault.unwrap_data_key(subject, &photo.data_key) else { return refused(UNREADABLE) };
    let Ok(content) = key.open(&RecordContext::enrolment_photo(subject, photo.photo), &photo.content) else { return refused(UNREADABLE) };
    match model.extract(&content) {
        Ok(Ok(extracted)) => {
            let record = surroundings.new_record();
            let place = RecordContext::reference_template(subject, record, model.model().as_str());
            let template = key.seal(&place, &extracted.template.to_f16_le_bytes());
            Some(Extraction { subject, photo: photo.photo, made: Ok((record, template)), at })
        }
        Ok(Err(refusal)) => refused(refusal.word()),
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "the networks failed on a photo");
            None
        }
    }
}

#[cfg(test)]
mod tests;
