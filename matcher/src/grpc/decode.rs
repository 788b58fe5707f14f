//! Wire types end here: messages become values that are checked field by field.
//!
//! Every error names the field as in the `.proto` files and what was expected of it, never the value. Not
//! here: the envelope's own fields (`proto::envelope`), and rules that need the store or the clock.

use jiff::civil::Date;
use matcher_core::{AcquisitionFailure, DocumentKind, DocumentNumber, Identifier, IdentifierError, IdentifierKind, Region, Scene, Way};
use models_core::{Component, ModelId, Quality, Template, TemplateError, template::LENGTH_TOLERANCE};
use proto::{SAMPLE_LEN_MAX, v1};

use crate::{
    app::{
        enrol::{EnrolCommand, IDENTIFIERS_MAX, PhotoFacts},
        health::{Camera, Report},
        sample::Sample,
        verify::{Capture, Outcome, Probe, Proxy},
    },
    feature_models::{FeatureModel, FeatureModels},
    store::TimeMs,
};

use super::field::{FieldError, known, numbers, share, text, wrong};

/// The largest enrolment photo, in bytes: with its envelope it stays below the largest message.
const PHOTO_LEN_MAX: usize = 200_000;
/// Frames of a probe beside the first: with 60 KB each they stay below the largest envelope.
const FURTHER_SAMPLES_MAX: usize = 3;
/// Measures of one sample.
const MEASURES_MAX: usize = 32;
/// Bytes of a component's word.
const COMPONENT_WORD_LEN_MAX: usize = 64;

/// The envelope of a request.
///
/// # Errors
/// When there is none.
pub fn envelope(envelope: Option<v1::Envelope>) -> Result<v1::Envelope, FieldError> {
    envelope.ok_or_else(|| wrong("envelope", "an envelope"))
}

/// A capture.
///
/// # Errors
/// With the field and what was expected of it.
pub fn capture(message: v1::Capture, models: &FeatureModels) -> Result<Capture, FieldError> {
    text("capture.policy_version", message.policy_version, 64)?;
    let operator = text("capture.operator", message.operator, 64)?;
    let capture = Capture {
        scene: scene(message.scene)?,
        identifier: identifier("capture.identifier", message.identifier)?,
        notice: text("capture.notice", message.notice, 128)?,
        consent: text("capture.consent", message.consent, 64)?,
        captured_at: message.captured_at_ms,
        clock_offset_ms: message.clock_offset_ms,
        outcome: match message.outcome {
            Some(v1::capture::Outcome::Sample(sample)) => Outcome::Probe(Box::new(probe(sample, models)?)),
            Some(v1::capture::Outcome::FailureToAcquire(failure)) => Outcome::Failure(
                acquisition_failure(failure.reason)?,
                component("capture.failure_to_acquire.component", &failure.component)?,
            ),
            Some(v1::capture::Outcome::DocumentCheck(check)) => {
                document_kind("capture.document_check.document_kind", check.document_kind)?;
                if operator.is_empty() {
                    return Err(wrong("capture.operator", "the name of the operator who looked at the document"));
                }
                Outcome::Document { same_person: check.same_person }
            }
            Some(v1::capture::Outcome::OtherWay(_)) => Outcome::OtherWay,
            None => return Err(wrong("capture.outcome", "a sample, a failure to acquire, a document check or another way")),
        },
        proxy: message.proxy.map(proxy).transpose()?,
        chip: message.chip.map(|chip| chip_reference(chip, models)).transpose()?,
        operator,
    };
    if capture.chip.is_some() && matches!(capture.way(), Way::DocumentCheck | Way::Other) {
        return Err(wrong("capture.chip", "nothing where no face was captured"));
    }
    Ok(capture)
}

fn proxy(message: v1::Proxy) -> Result<Proxy, FieldError> {
    let kind = document_kind("capture.proxy.document_kind", message.document_kind)?;
    let document = DocumentNumber::new(kind, &message.document_number)
        .map_err(|error| wrong("capture.proxy.document_number", error.to_string().trim_start_matches("expected ").to_owned()))?;
    Ok(Proxy { document, name: text("capture.proxy.name", message.name, 64)? })
}

fn chip_reference(message: v1::ChipReference, models: &FeatureModels) -> Result<Template, FieldError> {
    document_kind("capture.chip.document_kind", message.document_kind)?;
    template("capture.chip.template", message.template, models)
}

fn document_kind(field: &str, value: i32) -> Result<DocumentKind, FieldError> {
    const KINDS: &str = "DOCUMENT_KIND_RESIDENT_IDENTITY, _SOCIAL_SECURITY_CARD, _PASSPORT, _TRAVEL_PERMIT, _PERMANENT_RESIDENCE, _HOUSEHOLD_REGISTER, _SERVICE, _OTHER";
    match known(field, value, KINDS)? {
        v1::DocumentKind::ResidentIdentity => Ok(DocumentKind::ResidentIdentity),
        v1::DocumentKind::SocialSecurityCard => Ok(DocumentKind::SocialSecurityCard),
        v1::DocumentKind::Passport => Ok(DocumentKind::Passport),
        v1::DocumentKind::TravelPermit => Ok(DocumentKind::TravelPermit),
        v1::DocumentKind::PermanentResidence => Ok(DocumentKind::PermanentResidence),
        v1::DocumentKind::HouseholdRegister => Ok(DocumentKind::HouseholdRegister),
        v1::DocumentKind::Service => Ok(DocumentKind::Service),
        v1::DocumentKind::Other => Ok(DocumentKind::Other),
        v1::DocumentKind::Unspecified => Err(wrong(field, format!("one of {KINDS}"))),
    }
}

/// A submission for enrolment, and when it was made by the device's clock.
///
/// # Errors
/// With the field and what was expected of it.
pub fn submission(message: v1::EnrolmentSubmission) -> Result<(EnrolCommand, TimeMs), FieldError> {
    let count = message.identifiers.len();
    if !(1..=IDENTIFIERS_MAX).contains(&count) {
        return Err(wrong("submission.identifiers", format!("1 to {IDENTIFIERS_MAX} identifiers, got {count}")));
    }
    if !(1..=PHOTO_LEN_MAX).contains(&message.photo.len()) {
        return Err(wrong("submission.photo", format!("1 to {PHOTO_LEN_MAX} bytes, got {}", message.photo.len())));
    }
    let number = |(i, number)| identifier(&format!("submission.identifiers[{i}]"), Some(number));
    let command = EnrolCommand {
        identifiers: message.identifiers.into_iter().enumerate().map(number).collect::<Result<_, _>>()?,
        photo: message.photo,
        about: PhotoFacts { taken_on: day("submission.photo_taken_on", &message.photo_taken_on)?, ..PhotoFacts::default() },
        birth: None,
    };
    Ok((command, message.submitted_at_ms))
}

/// A day, `YYYY-MM-DD`, or nothing.
fn day(field: &str, text: &str) -> Result<Option<Date>, FieldError> {
    if text.is_empty() {
        return Ok(None);
    }
    let day = Date::strptime("%Y-%m-%d", text).ok().filter(|_| text.len() == 10);
    day.map(Some).ok_or_else(|| wrong(field, "a day, YYYY-MM-DD, or nothing"))
}

/// A device's health report.
///
/// # Errors
/// With the field and what was expected of it.
pub fn report(message: v1::ReportHealthRequest) -> Result<Report, FieldError> {
    let agent_version = text("agent_version", message.agent_version, 32)?;
    if agent_version.is_empty() {
        return Err(wrong("agent_version", "1 to 32 characters"));
    }
    if message.feature_models.len() > 8 {
        return Err(wrong("feature_models", format!("at most 8 models, got {}", message.feature_models.len())));
    }
    let model = |(i, id): (usize, &String)| ModelId::new(id).map_err(|_| wrong(format!("feature_models[{i}]"), "the id of a model"));
    Ok(Report {
        agent_version,
        feature_models: message.feature_models.iter().enumerate().map(model).collect::<Result<_, _>>()?,
        camera: match known("camera", message.camera, "CAMERA_STATE_READY, _ABSENT, _BUSY, _STALLED")? {
            v1::CameraState::Unspecified => Camera::Unknown,
            v1::CameraState::Ready => Camera::Ready,
            v1::CameraState::Absent => Camera::Absent,
            v1::CameraState::Busy => Camera::Busy,
            v1::CameraState::Stalled => Camera::Stalled,
        },
        device_clock: message.device_clock_ms,
        unanswered_envelopes: message.unanswered_envelopes,
    })
}

/// One of a person's numbers; `at` is the path of the field.
///
/// # Errors
/// With the field and what was expected of it.
pub fn identifier(at: &str, message: Option<v1::Identifier>) -> Result<Identifier, FieldError> {
    const KINDS: &str = "IDENTIFIER_KIND_SOCIAL_SECURITY_CARD, IDENTIFIER_KIND_RESIDENT_IDENTITY";
    let message = message.ok_or_else(|| wrong(at, "an identifier"))?;
    let kind_field = format!("{at}.kind");
    let kind = match known(&kind_field, message.kind, KINDS)? {
        v1::IdentifierKind::SocialSecurityCard => IdentifierKind::SocialSecurityCard,
        v1::IdentifierKind::ResidentIdentity => IdentifierKind::ResidentIdentity,
        v1::IdentifierKind::Unspecified => return Err(wrong(kind_field, format!("one of {KINDS}"))),
    };
    if message.value.chars().count() > 64 {
        return Err(wrong(format!("{at}.value"), "1 to 64 characters"));
    }
    let region = Region::new(&message.region).map_err(|error| identifier_error(at, &error))?;
    Identifier::new(kind, region, &message.value).map_err(|error| identifier_error(at, &error))
}

fn identifier_error(at: &str, error: &IdentifierError) -> FieldError {
    let (field, expected) = match error {
        IdentifierError::CardNumber(got) => ("value", format!("6 to 32 letters and digits, got {got} characters")),
        IdentifierError::IdentityNumber(got) => {
            ("value", format!("an identity number of 17 digits and a digit or X, got {got} characters"))
        }
        IdentifierError::CheckDigit => ("value", "an identity number whose check digit follows from the others".to_owned()),
        IdentifierError::Region => ("region", "6 digits (GB/T 2260) or nothing".to_owned()),
    };
    wrong(format!("{at}.{field}"), expected)
}

fn scene(value: i32) -> Result<Scene, FieldError> {
    const SCENES: &str = "SCENE_REGISTRATION, _RECEPTION, _SETTLEMENT, _ADMISSION, _DISCHARGE, _TRANSFER";
    match known("capture.scene", value, SCENES)? {
        v1::Scene::Settlement => Ok(Scene::Settlement),
        v1::Scene::Reception => Ok(Scene::Reception),
        v1::Scene::Registration => Ok(Scene::Registration),
        v1::Scene::Admission => Ok(Scene::Admission),
        v1::Scene::Discharge => Ok(Scene::Discharge),
        v1::Scene::Transfer => Ok(Scene::Transfer),
        v1::Scene::Unspecified => Err(wrong("capture.scene", format!("one of {SCENES}"))),
    }
}

fn acquisition_failure(value: i32) -> Result<AcquisitionFailure, FieldError> {
    const FIELD: &str = "capture.failure_to_acquire.reason";
    const REASONS: &str = "ACQUISITION_FAILURE_NO_FACE, _SEVERAL_FACES, _TOO_SMALL, _CUT_OFF, _LOW_QUALITY, _FACE_COVERED, _TOO_FEW_FRAMES";
    match known(FIELD, value, REASONS)? {
        v1::AcquisitionFailure::NoFace => Ok(AcquisitionFailure::NoFace),
        v1::AcquisitionFailure::SeveralFaces => Ok(AcquisitionFailure::SeveralFaces),
        v1::AcquisitionFailure::TooSmall => Ok(AcquisitionFailure::TooSmall),
        v1::AcquisitionFailure::CutOff => Ok(AcquisitionFailure::CutOff),
        v1::AcquisitionFailure::LowQuality => Ok(AcquisitionFailure::LowQuality),
        v1::AcquisitionFailure::FaceCovered => Ok(AcquisitionFailure::FaceCovered),
        v1::AcquisitionFailure::TooFewFrames => Ok(AcquisitionFailure::TooFewFrames),
        v1::AcquisitionFailure::Unspecified => Err(wrong(FIELD, format!("one of {REASONS}"))),
    }
}

/// A component of quality by its word; nothing for a word of a later release, and where none is given.
fn component(field: &str, word: &str) -> Result<Option<Component>, FieldError> {
    if word.len() > COMPONENT_WORD_LEN_MAX {
        Err(wrong(field, "the word of a component of quality"))
    } else {
        Ok(Component::from_word(word))
    }
}

fn probe(message: v1::ProbeSample, models: &FeatureModels) -> Result<Probe, FieldError> {
    share("capture.sample.detection_score", message.detection_score)?;
    if message.further_samples.len() > FURTHER_SAMPLES_MAX {
        let got = message.further_samples.len();
        return Err(wrong("capture.sample.further_samples", format!("at most {FURTHER_SAMPLES_MAX} samples, got {got}")));
    }
    let first = message.sample.ok_or_else(|| wrong("capture.sample.sample", "a sample"))?;
    let mut samples = vec![sample("capture.sample.sample", first)?];
    for (i, further) in message.further_samples.into_iter().enumerate() {
        samples.push(sample(&format!("capture.sample.further_samples[{i}]"), further)?);
    }
    Ok(Probe {
        template: template("capture.sample.template", message.template, models)?,
        samples,
        live: message.attack.map(|attack| live(&attack, models)).transpose()?,
    })
}

fn template(at: &str, message: Option<v1::Template>, models: &FeatureModels) -> Result<Template, FieldError> {
    let message = message.ok_or_else(|| wrong(at, "a template"))?;
    let mut named = models.named(&message.model_id).peekable();
    if named.peek().is_none() {
        return Err(wrong(format!("{at}.model_id"), format!("a model the center understands: {}", models.ids())));
    }
    let recipes: Vec<&FeatureModel> = named.collect();
    let Some(model) = recipes.iter().find(|model| model.recipe.as_str() == message.recipe_id) else {
        let recipes: Vec<&str> = recipes.iter().map(|model| model.recipe.as_str()).collect();
        return Err(wrong(format!("{at}.recipe_id"), recipes.join(" or ")));
    };
    Template::from_f16_le_bytes(model.model.clone(), model.recipe.clone(), model.dimension, &message.features_f16)
        .map_err(|error| template_error(at, model.dimension, &error))
}

fn template_error(at: &str, dimension: usize, error: &TemplateError) -> FieldError {
    let expected = match error {
        TemplateError::Dimension { expected, got } => format!("{expected} half-precision numbers, got {got}"),
        TemplateError::OddLength(got) => format!("{dimension} half-precision numbers of two bytes each, got {got} bytes"),
        TemplateError::NotFinite { index } => format!("finite numbers, number {index} is not"),
        TemplateError::NotUnit(got) => format!("Euclidean length 1 within {LENGTH_TOLERANCE}, got {got}"),
    };
    wrong(format!("{at}.features_f16"), expected)
}

fn sample(at: &str, message: v1::Sample) -> Result<Sample, FieldError> {
    let jpeg_field = format!("{at}.jpeg");
    if message.jpeg.len() > SAMPLE_LEN_MAX {
        return Err(wrong(jpeg_field, format!("at most {SAMPLE_LEN_MAX} bytes, got {}", message.jpeg.len())));
    }
    // A JPEG that lost its end decodes without an error, half of it grey: the end mark is looked for.
    if !message.jpeg.starts_with(&[0xff, 0xd8, 0xff]) || !message.jpeg.ends_with(&[0xff, 0xd9]) {
        return Err(wrong(jpeg_field, "a whole JPEG, from its start mark to its end mark"));
    }
    Ok(Sample {
        landmarks: numbers(&format!("{at}.landmarks"), &message.landmarks)?,
        face_box: numbers(&format!("{at}.face_box"), &message.face_box)?,
        quality: quality(&format!("{at}.quality"), &message.quality)?,
        jpeg: message.jpeg,
    })
}

fn quality(at: &str, measures: &[v1::QualityMeasure]) -> Result<Quality, FieldError> {
    if measures.len() > MEASURES_MAX {
        return Err(wrong(at, format!("at most {MEASURES_MAX} measures, got {}", measures.len())));
    }
    let mut quality = Quality::default();
    for (i, measure) in measures.iter().enumerate() {
        let score = u8::try_from(measure.score).ok().filter(|score| *score <= 100);
        let score = score.ok_or_else(|| wrong(format!("{at}[{i}].score"), format!("0 to 100, got {}", measure.score)))?;
        if !measure.raw.is_finite() {
            return Err(wrong(format!("{at}[{i}].raw"), "a finite number"));
        }
        let known = component(&format!("{at}[{i}].component"), &measure.component)?;
        if known.is_some_and(|component| quality.get(component).is_some()) {
            return Err(wrong(format!("{at}[{i}].component"), "each component once"));
        }
        if let Some(component) = known {
            quality.set(component, measure.raw, score);
        }
    }
    Ok(quality)
}

fn live(message: &v1::AttackScore, models: &FeatureModels) -> Result<f32, FieldError> {
    if !models.knows_attack(&message.model_id) {
        let expected = format!("an attack model the center understands: {}", models.attack_id());
        return Err(wrong("capture.sample.attack.model_id", expected));
    }
    share("capture.sample.attack.live", message.live)
}
