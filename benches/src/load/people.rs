//! Synthetic people: a card number, a template of random direction, an enrolment sealed by the center's own vault.
//!
//! Nobody's face is behind them. A person is found again by their number alone: the direction follows from it.

use matcher::{
    center::Center,
    store::{BoundIdentifier, NewEnrolment, StoredReference, TimeMs},
    surroundings::{Surroundings, System},
    vault::{IdentifierContext, RecordContext},
};
use matcher_core::{Identifier, IdentifierError, IdentifierKind, Life, ReferenceSource, Region};
use models::manifest::Manifest;
use models_core::{ModelId, RecipeId, Template, TemplateError};

/// What makes templates, as the shipped manifest has it.
#[derive(Debug, Clone)]
pub struct MadeBy {
    /// Feature model.
    pub model: ModelId,
    /// Recipe.
    pub recipe: RecipeId,
    /// Numbers of a template.
    pub dimension: usize,
    /// The attack model.
    pub attack: String,
}

impl MadeBy {
    /// The current model of the shipped manifest.
    ///
    /// # Errors
    /// When the manifest has none.
    pub fn shipped() -> anyhow::Result<Self> {
        let models = matcher::feature_models::FeatureModels::from_manifest(&Manifest::shipped())?;
        let current = models.current();
        let (model, recipe, dimension) = (current.model.clone(), current.recipe.clone(), current.dimension);
        Ok(Self { model, recipe, dimension, attack: models.attack_id().to_owned() })
    }

    fn template(&self, features: &[f32]) -> Result<Template, TemplateError> {
        let length = features.iter().map(|x| x * x).sum::<f32>().sqrt();
        let unit: Vec<f32> = features.iter().map(|x| x / length).collect();
        Template::from_features(self.model.clone(), self.recipe.clone(), &unit)
    }

    /// The reference of a person.
    ///
    /// # Errors
    /// Never for a dimension above 0.
    pub fn reference(&self, person: u64) -> Result<Template, TemplateError> {
        self.template(&direction(person, self.dimension))
    }

    /// A probe whose cosine with a person's reference is about this one.
    ///
    /// # Errors
    /// Never for a dimension above 0.
    pub fn probe(&self, person: u64, cosine: f32, seed: u64) -> Result<Template, TemplateError> {
        let (reference, noise) = (direction(person, self.dimension), direction(seed ^ 0x5bd1_e995, self.dimension));
        // Random directions of so many dimensions stand nearly at right angles.
        let across = (1.0 - cosine * cosine).sqrt();
        let mixed: Vec<f32> = reference.iter().zip(&noise).map(|(along, noise)| cosine * along + across * noise).collect();
        self.template(&mixed)
    }
}

/// The card number of a person.
#[must_use]
pub fn card(person: u64) -> String {
    format!("S{person:09}")
}

/// The identifier of that card.
///
/// # Errors
/// Never for numbers below 10⁹.
pub fn identifier(person: u64) -> Result<Identifier, IdentifierError> {
    Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), &card(person))
}

/// A person's enrolment, sealed for a center, with a photo of so many bytes (zeros: there is no face).
///
/// # Errors
/// When the person's number is no card number.
pub fn enrolment(center: &Center, made_by: &MadeBy, person: u64, photo_len: usize, at: TimeMs) -> anyhow::Result<NewEnrolment> {
    let (subject, record) = (System.new_subject(), System.new_record());
    let (key, data_key) = center.vault.new_data_key(subject);
    let template = made_by.reference(person)?;
    let model = made_by.model.as_str().to_owned();
    let photo = vec![0; photo_len];
    let reference = StoredReference {
        subject,
        record,
        photo: record,
        template: key.seal(&RecordContext::reference_template(subject, record, &model), &template.to_f16_le_bytes()),
        model,
        recipe: made_by.recipe.as_str().to_owned(),
        photo_mac: key.photo_mac(&photo),
        source: ReferenceSource::CardPhoto,
        life: Life::begun(at),
        photo_taken_on: None,
    };
    let identifier = identifier(person)?;
    let row = center.lookup.row(&identifier);
    let number = Some(key.seal_number(&IdentifierContext { subject, key: &row }, &identifier));
    Ok(NewEnrolment {
        identifiers: vec![BoundIdentifier { key: row, lookup_key_id: center.lookup.id(), number }],
        data_key,
        strict_data_key: None,
        birth: None,
        reference,
        photo: key.seal(&RecordContext::enrolment_photo(subject, record), &photo),
        quality: key.seal(&RecordContext::enrolment_quality(subject, record), &[0]),
    })
}

/// A random direction of length 1 (normal numbers, scaled), the same for the same seed.
fn direction(seed: u64, dimension: usize) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut features: Vec<f32> = Vec::with_capacity(dimension + 1);
    while features.len() < dimension {
        let (radius, angle) = ((-2.0 * (1.0 - random.f32()).ln()).sqrt(), std::f32::consts::TAU * random.f32());
        features.extend([radius * angle.cos(), radius * angle.sin()]);
    }
    features.truncate(dimension);
    let length = features.iter().map(|x| x * x).sum::<f32>().sqrt();
    features.iter().map(|x| x / length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &Template, b: &Template) -> f32 {
        models_core::compare(a, b).unwrap().get()
    }

    #[test]
    fn a_probe_is_as_near_to_its_reference_as_was_asked_and_far_from_others() {
        let made_by = MadeBy::shipped().unwrap();
        for wanted in [0.8, 0.1] {
            let probe = made_by.probe(7, wanted, 99).unwrap();
            assert!((cosine(&made_by.reference(7).unwrap(), &probe) - wanted).abs() < 0.12);
            assert!(cosine(&made_by.reference(8).unwrap(), &probe).abs() < 0.3);
        }
    }

    #[test]
    fn every_person_has_a_card_number_that_is_one() {
        for person in [0, 1, 9_999_999] {
            identifier(person).unwrap();
        }
    }
}
