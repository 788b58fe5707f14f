//! Every field that is out of order is named, with what was expected; nothing is recorded.

use proto::v1::{self, capture::Outcome};
use tonic::Code;

use crate::support::{TestCenter, attempt, capture, measure, models, probe, sample};

const CARD: &str = "A10020001";

type Spoil = fn(&mut v1::Capture);

/// Spoils the probe of a capture.
fn probe_of(capture: &mut v1::Capture) -> &mut v1::ProbeSample {
    match &mut capture.outcome {
        Some(Outcome::Sample(probe)) => probe,
        other => panic!("{other:?}"),
    }
}

fn template_of(capture: &mut v1::Capture) -> &mut v1::Template {
    probe_of(capture).template.as_mut().unwrap()
}

fn sample_of(capture: &mut v1::Capture) -> &mut v1::Sample {
    probe_of(capture).sample.as_mut().unwrap()
}

const CASES: &[(&str, Spoil)] = &[
    ("capture.scene: expected one of SCENE_REGISTRATION, _RECEPTION", |c| c.scene = 0),
    ("capture.scene: expected one of SCENE_REGISTRATION, _RECEPTION", |c| c.scene = 9),
    ("capture.identifier: expected an identifier", |c| c.identifier = None),
    ("capture.identifier.kind: expected one of", |c| c.identifier.as_mut().unwrap().kind = 0),
    ("capture.identifier.value: expected 6 to 32 letters and digits, got 3 characters", |c| {
        c.identifier.as_mut().unwrap().value = "123".into()
    }),
    ("capture.identifier.value: expected 1 to 64 characters", |c| c.identifier.as_mut().unwrap().value = "1".repeat(65)),
    ("capture.identifier.value: expected an identity number whose check digit", |c| {
        *c.identifier.as_mut().unwrap() =
            v1::Identifier { kind: v1::IdentifierKind::ResidentIdentity.into(), value: "110105194912310021".into(), region: String::new() };
    }),
    ("capture.identifier.region: expected 6 digits", |c| c.identifier.as_mut().unwrap().region = "Ningbo".into()),
    ("capture.operator: expected at most 64 characters, got 65", |c| c.operator = "工".repeat(65)),
    ("capture.operator: expected text without control characters", |c| c.operator = "04\n17".into()),
    ("capture.notice: expected at most 128 characters", |c| c.notice = "x".repeat(129)),
    ("capture.policy_version: expected at most 64 characters", |c| c.policy_version = "x".repeat(65)),
    ("capture.outcome: expected a sample, a failure to acquire, a document check or another way", |c| c.outcome = None),
    ("capture.failure_to_acquire.reason: expected one of", |c| {
        c.outcome = Some(Outcome::FailureToAcquire(v1::FailureToAcquire::default()));
    }),
    ("capture.sample.template: expected a template", |c| probe_of(c).template = None),
    ("capture.sample.template.model_id: expected a model the center understands: ", |c| template_of(c).model_id = "unheard-of@1".into()),
    ("capture.sample.template.recipe_id: expected ", |c| template_of(c).recipe_id = "unheard-of@1".into()),
    ("capture.sample.template.features_f16: expected 512 half-precision numbers, got 511", |c| {
        template_of(c).features_f16.truncate(1022);
    }),
    ("capture.sample.template.features_f16: expected 512 half-precision numbers of two bytes each, got 1023 bytes", |c| {
        template_of(c).features_f16.truncate(1023);
    }),
    ("capture.sample.template.features_f16: expected finite numbers, number 3 is not", |c| {
        template_of(c).features_f16[6..8].copy_from_slice(&[0x00, 0x7e]);
    }),
    ("capture.sample.template.features_f16: expected finite numbers, number 0 is not", |c| {
        template_of(c).features_f16[0..2].copy_from_slice(&[0x00, 0x7c]);
    }),
    ("capture.sample.template.features_f16: expected Euclidean length 1 within 0.01", |c| {
        template_of(c).features_f16[0..4].copy_from_slice(&[0; 4]);
    }),
    ("capture.sample.sample: expected a sample", |c| probe_of(c).sample = None),
    ("capture.sample.sample.jpeg: expected at most 61440 bytes, got 61441", |c| *sample_of(c) = sample(61_441)),
    ("capture.sample.sample.jpeg: expected a whole JPEG", |c| sample_of(c).jpeg = vec![0; 100]),
    ("capture.sample.sample.jpeg: expected a whole JPEG", |c| sample_of(c).jpeg.truncate(500)),
    ("capture.sample.sample.landmarks: expected 10 numbers, got 9", |c| sample_of(c).landmarks.truncate(9)),
    ("capture.sample.sample.landmarks: expected finite numbers", |c| sample_of(c).landmarks[0] = f32::NAN),
    ("capture.sample.sample.face_box: expected 4 numbers, got 0", |c| sample_of(c).face_box.clear()),
    ("capture.failure_to_acquire.component: expected the word of a component", |c| {
        let reason = v1::AcquisitionFailure::LowQuality.into();
        c.outcome = Some(Outcome::FailureToAcquire(v1::FailureToAcquire { reason, component: "x".repeat(65) }));
    }),
    ("capture.sample.sample.quality: expected at most 32 measures, got 33", |c| sample_of(c).quality = vec![measure("later", 1); 33]),
    ("capture.sample.sample.quality[1].score: expected 0 to 100, got 101", |c| sample_of(c).quality.push(measure("eyes_open", 101))),
    ("capture.sample.sample.quality[0].raw: expected a finite number", |c| sample_of(c).quality[0].raw = f32::INFINITY),
    ("capture.sample.sample.quality[1].component: expected each component once", |c| sample_of(c).quality.push(measure("sharpness", 1))),
    ("capture.sample.further_samples: expected at most 3 samples, got 4", |c| probe_of(c).further_samples = vec![sample(100); 4]),
    ("capture.sample.further_samples[1].jpeg: expected a whole JPEG", |c| probe_of(c).further_samples[1].jpeg.truncate(50)),
    ("capture.sample.detection_score: expected a number from 0 to 1", |c| probe_of(c).detection_score = 1.5),
    ("capture.sample.attack.model_id: expected an attack model the center understands: ", |c| {
        probe_of(c).attack.as_mut().unwrap().model_id.clear();
    }),
    ("capture.sample.attack.live: expected a number from 0 to 1", |c| probe_of(c).attack.as_mut().unwrap().live = f32::NAN),
];

#[tokio::test]
async fn a_field_out_of_order_is_named_with_what_was_expected() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    for (expected, spoil) in CASES {
        let mut capture = capture(CARD, 0.8);
        spoil(&mut capture);
        let status = device.verify("T-1", &capture).await.expect_err(expected);
        assert_eq!(status.code(), Code::InvalidArgument, "{expected}");
        assert!(status.message().starts_with(expected), "{}", status.message());
        assert!(!status.message().contains("unheard-of") && !status.message().contains("Ningbo"), "{}", status.message());
    }
    assert!(center.verifications().await.is_empty() && center.flags().await.is_empty());
    // What is at the edge passes, without an attack score too.
    let mut largest = sample(61_440);
    largest.quality.push(measure("a_word_of_a_later_release", 100));
    let edge = v1::ProbeSample { sample: Some(largest), further_samples: vec![sample(61_440); 3], attack: None, ..probe(0.8) };
    device.verify("T-1", &attempt(CARD, Outcome::Sample(edge))).await.unwrap();
}

#[tokio::test]
async fn the_model_expected_is_named() {
    let (_center, device) = TestCenter::with_device().await;
    let mut capture = capture(CARD, 0.8);
    template_of(&mut capture).model_id = "unheard-of@1".into();
    let status = device.verify("T-1", &capture).await.unwrap_err();
    assert!(status.message().ends_with(models().current().model.as_str()), "{}", status.message());
}

#[tokio::test]
async fn a_message_over_the_bound_is_refused() {
    let (center, device) = TestCenter::with_device().await;
    let mut envelope = device.seal(&device.address("T-1", 1), &capture(CARD, 0.8));
    envelope.ciphertext = vec![0; proto::MESSAGE_LEN_MAX];
    let status = device.send(envelope).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{}", status.message());
    assert!(center.verifications().await.is_empty());
}

#[tokio::test]
async fn a_report_of_health_is_checked_too() {
    let (_center, device) = TestCenter::with_device().await;
    let good = v1::ReportHealthRequest { agent_version: "0.1.0".into(), ..Default::default() };
    let cases: [(&str, v1::ReportHealthRequest); 5] = [
        ("agent_version: expected 1 to 32 characters", v1::ReportHealthRequest::default()),
        ("agent_version: expected at most 32 characters", v1::ReportHealthRequest { agent_version: "x".repeat(33), ..good.clone() }),
        (
            "feature_models: expected at most 8 models, got 9",
            v1::ReportHealthRequest { feature_models: vec!["m@1".into(); 9], ..good.clone() },
        ),
        (
            "feature_models[1]: expected the id of a model",
            v1::ReportHealthRequest { feature_models: vec!["m@1".into(), "M 1".into()], ..good.clone() },
        ),
        ("camera: expected one of", v1::ReportHealthRequest { camera: 9, ..good }),
    ];
    for (expected, report) in cases {
        let status = device.report(report).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(expected), "{}", status.message());
    }
}
