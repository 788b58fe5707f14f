//! Captures of a run: of the form a counter sends, signed and sealed before the clock starts.

use anyhow::Result;
use matcher::{
    store::RequestKey,
    surroundings::{Surroundings, System},
};
use proto::{
    envelope::{Address, seal},
    v1::{self, BodyKind},
};
use rayon::prelude::*;

use super::{
    center::Device,
    people::{self, MadeBy},
};

/// Cosine of most captures with their reference: a match.
const MATED: f32 = 0.8;
/// Cosine of the others: none.
const NON_MATED: f32 = 0.05;

/// What a run's captures are like.
#[derive(Debug, Clone)]
pub struct Form {
    /// People they are drawn from.
    pub people: u64,
    /// Bytes of the sample.
    pub sample_len: usize,
    /// Share of captures whose face is not the card's.
    pub non_mated: f64,
    /// The center's clock minus the devices', in milliseconds.
    pub clock_offset_ms: i64,
    /// Begins the names of transactions, so that runs on one center do not meet.
    pub run: String,
}

/// A capture that is ready to be sent.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Which device sends it, by its place.
    pub device: usize,
    /// The request it makes.
    pub request: RequestKey,
    /// As it travels.
    pub envelope: v1::Envelope,
}

/// Signs and seals captures of devices in turn, numbered from `first` on.
///
/// # Errors
/// When one cannot be sealed.
pub fn make(form: &Form, made_by: &MadeBy, devices: &[Device], first: usize, count: usize) -> Result<Vec<Ready>> {
    (first..first + count).into_par_iter().map(|number| one(form, made_by, devices, number)).collect()
}

fn one(form: &Form, made_by: &MadeBy, devices: &[Device], number: usize) -> Result<Ready> {
    let place = number % devices.len().max(1);
    let device = devices.get(place).ok_or_else(|| anyhow::anyhow!("a run needs devices"))?;
    let mut random = fastrand::Rng::with_seed(number as u64);
    let (person, mated) = (random.u64(0..form.people.max(1)), random.f64() >= form.non_mated);
    let template = made_by.probe(person, if mated { MATED } else { NON_MATED }, number as u64)?;
    let capture = capture(form, made_by, person, template.to_f16_le_bytes(), &mut random);
    let address = Address {
        device: device.id.clone(),
        sequence: number as u64 / devices.len() as u64 + sequence_base(),
        transaction: format!("{}-{number}", form.run),
        attempt: 1,
        body: BodyKind::Capture,
    };
    let envelope = seal(&address, &capture, &device.key, &device.opening_key)?;
    let request = RequestKey { institution: device.institution.clone(), transaction: address.transaction, attempt: 1 };
    Ok(Ready { device: place, request, envelope })
}

/// Sequence numbers start where no earlier run on the same center was: at this program's start in milliseconds.
fn sequence_base() -> u64 {
    static BASE: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *BASE.get_or_init(|| u64::try_from(System.now_ms()).unwrap_or(1))
}

fn capture(form: &Form, made_by: &MadeBy, person: u64, features_f16: Vec<u8>, random: &mut fastrand::Rng) -> v1::Capture {
    let template =
        v1::Template { model_id: made_by.model.as_str().to_owned(), recipe_id: made_by.recipe.as_str().to_owned(), features_f16 };
    let sample = v1::ProbeSample {
        template: Some(template),
        sample: Some(sample(form.sample_len, random)),
        attack: Some(v1::AttackScore { model_id: made_by.attack.clone(), live: 0.95 }),
        detection_score: 0.99,
        further_samples: Vec::new(),
    };
    v1::Capture {
        scene: v1::Scene::Settlement.into(),
        identifier: Some(v1::Identifier {
            kind: v1::IdentifierKind::SocialSecurityCard.into(),
            value: people::card(person),
            region: String::new(),
        }),
        operator: "0417".into(),
        captured_at_ms: System.now_ms(),
        clock_offset_ms: form.clock_offset_ms,
        policy_version: String::new(),
        notice: "N-1".into(),
        consent: String::new(),
        outcome: Some(v1::capture::Outcome::Sample(sample)),
        ..v1::Capture::default()
    }
}

/// Random bytes between a JPEG's marks: as hard to compress as a picture, and nobody's face.
fn sample(len: usize, random: &mut fastrand::Rng) -> v1::Sample {
    let mut jpeg = vec![0xff, 0xd8, 0xff];
    jpeg.extend(std::iter::repeat_with(|| random.u8(..)).take(len.saturating_sub(5)));
    jpeg.extend([0xff, 0xd9]);
    let measure = |component: &str| v1::QualityMeasure { component: component.to_owned(), raw: 0.5, score: 70 };
    v1::Sample {
        jpeg,
        landmarks: (0..10_u8).map(|number| f32::from(number) * 11.0).collect(),
        face_box: vec![120.0, 110.0, 300.0, 340.0],
        quality: ["sharpness", "eyes_open", "illumination_uniformity"].map(measure).to_vec(),
    }
}
