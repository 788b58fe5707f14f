//! Adding pairs of faces whose answer is known: licensed or volunteers' pictures, through the same networks as every photo and capture.
//!
//! Pictures are cut to what a counter would have sent and an enrolment would have kept, and sealed under a key of the pair's own. Not
//! here: how cases are made of them ([`crate::app::cases::seeding`]).

use models::{
    picture::{DecodeError, Picture},
    pipeline::{Pipeline, RunError},
    sample::{self, SampleError},
};
use models_core::{DetectedFace, Quality, Template};
use thiserror::Error;

use super::{
    cases::seeding::capture_id,
    sample::{Sample, quality_to_bytes, samples_to_bytes},
};
use crate::{
    center::Center,
    store::{
        SealedProbe, StoreError, SubjectId,
        seeds::{SeedCapture, SeedPair, SeedPictures},
    },
    surroundings::Surroundings,
    vault::RecordContext,
};

/// A pair that was not added.
#[derive(Debug, Error)]
pub enum SeedError {
    /// A file is no picture.
    #[error("{0}: expected a JPEG or PNG")]
    Picture(&'static str, #[source] DecodeError),
    /// There is not exactly one face that can be told.
    #[error("{0}: expected one face, found {1}")]
    Faces(&'static str, usize),
    /// A network failed.
    #[error("the networks could not be run")]
    Network(#[source] RunError),
    /// A face could not be cut out.
    #[error("{0}: the face could not be cut out")]
    Sample(&'static str, #[source] SampleError),
    /// Two templates could not be compared.
    #[error("the templates could not be compared")]
    Compare,
    /// A pair without a name, a licence or a capture.
    #[error("{0}: expected something")]
    Missing(&'static str),
    /// There is a pair of that name.
    #[error("name: a pair of this name was added before")]
    Twice,
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[source] StoreError),
}

/// A pair to be added.
#[derive(Debug, Clone)]
pub struct NewPair {
    /// What it is called.
    pub name: String,
    /// What allows its use.
    pub licence: String,
    /// Whether one person is on photo and judged captures.
    pub mated: bool,
    /// The photo's file.
    pub photo: Vec<u8>,
    /// Files of judged captures.
    pub captures: Vec<Vec<u8>>,
    /// Files of captures of the photo's person.
    pub own: Vec<Vec<u8>>,
}

/// A picture with its face.
struct Seen {
    picture: Picture,
    face: DetectedFace,
    quality: Quality,
    template: Template,
}

impl Seen {
    fn of(pipeline: &Pipeline, what: &'static str, bytes: &[u8]) -> Result<Self, SeedError> {
        let picture = Picture::decode(bytes).map_err(|error| SeedError::Picture(what, error))?;
        let faces = pipeline.detect(&picture).map_err(SeedError::Network)?;
        let face = match faces.as_slice() {
            [face] => *face,
            others => return Err(SeedError::Faces(what, others.len())),
        };
        let quality = pipeline.quality(&picture, &faces, &face).map_err(SeedError::Network)?;
        let template = pipeline.template(&picture, &face).map_err(SeedError::Network)?;
        Ok(Self { picture, face, quality, template })
    }
}

/// Adds a pair; its score.
///
/// # Errors
/// When a picture does not show one face, a pair of the name is there, or the store fails.
pub async fn add(center: &Center, surroundings: &dyn Surroundings, pipeline: &Pipeline, new: &NewPair, by: &str) -> Result<f32, SeedError> {
    for (what, missing) in
        [("name", new.name.trim().is_empty()), ("licence", new.licence.trim().is_empty()), ("captures", new.captures.is_empty())]
    {
        if missing {
            return Err(SeedError::Missing(what));
        }
    }
    let id = surroundings.new_record();
    let leading = SubjectId(id.0);
    let (key, data_key) = center.vault.new_data_key(leading);
    let photo = Seen::of(pipeline, "photo", &new.photo)?;
    let mut captures = Vec::new();
    let all = new.captures.iter().map(|bytes| (false, "capture", bytes)).chain(new.own.iter().map(|bytes| (true, "own capture", bytes)));
    for (number, (own, what, bytes)) in all.enumerate() {
        let seen = Seen::of(pipeline, what, bytes)?;
        let score = models_core::compare(&photo.template, &seen.template).map_err(|_| SeedError::Compare)?.get();
        let live = pipeline.attack_score(&seen.picture, &seen.face).map_err(SeedError::Network)?.map(|score| score.live);
        let cut = sample::crop(&seen.picture, &seen.face).map_err(|error| SeedError::Sample(what, error))?;
        let sample = key.seal(&RecordContext::probe_sample(leading, capture_id(number)), &samples_to_bytes(&[kept(cut, seen.quality)]));
        captures.push(SeedCapture { own, score, live, sample });
    }
    let score = captures.first().map(|capture| capture.score).ok_or(SeedError::Missing("captures"))?;
    let pair = SeedPair {
        id,
        name: new.name.trim().to_owned(),
        licence: new.licence.trim().to_owned(),
        mated: new.mated,
        score,
        model: pipeline.feature_model().as_str().to_owned(),
        recipe: pipeline.recipe().as_str().to_owned(),
        added_at: surroundings.now_ms(),
        added_by: by.to_owned(),
        retired_at: None,
    };
    let photo = SealedProbe {
        sample: key.seal(&RecordContext::enrolment_photo(leading, id), &new.photo),
        template: key.seal(&RecordContext::enrolment_quality(leading, id), &quality_to_bytes(&photo.quality)),
    };
    let added = center.store.add_seed_pair(pair, SeedPictures { data_key, photo, captures }).await.map_err(SeedError::Store)?;
    if added { Ok(score) } else { Err(SeedError::Twice) }
}

fn kept(cut: sample::FaceSample, quality: Quality) -> Sample {
    let mut landmarks = [0.0; 10];
    let points = cut.landmarks.0.iter().flat_map(|point| [point.x, point.y]);
    landmarks.iter_mut().zip(points).for_each(|(to, from)| *to = from);
    let of = cut.face_box;
    Sample { jpeg: cut.jpeg, landmarks, face_box: [of.left, of.top, of.right, of.bottom], quality }
}
