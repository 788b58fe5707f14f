//! The center makes agents' templates again: with the real networks on public faces, against an honest counter,
//! a thief of a template, and somebody who writes the database.
//!
//! Needs `models fetch` and `datasets fetch registry-mini`; without them the tests print SKIPPED and pass,
//! unless `COUNTERSIGN_REQUIRE_MODELS=1`.

use std::{env, sync::Arc};

use datasets::Pack;
use matcher::{app::recheck::Rechecker, networks::Networks, surroundings::System};
use matcher_core::{FlagKind, RecheckOutcome, RecheckRule};
use models::{
    manifest::Manifest,
    picture::Picture,
    pipeline::Pipeline,
    sample::{self, FaceSample},
};
use models_core::{DetectedFace, FaceRule, Template, dominant_face};
use proto::v1::{self, capture::Outcome};

use crate::support::{TestCenter, TestDevice, attempt, capture, probe};

const CARD: &str = "A10020001";
const RULE: RecheckRule = RecheckRule { share: 1.0, agreement_min: 0.8 };

/// Networks and pictures, or a loud skip.
pub(crate) struct Eyes {
    pub(crate) pipeline: Pipeline,
    pub(crate) pack: Pack,
}

impl Eyes {
    pub(crate) fn open() -> Option<Self> {
        let (loaded, pack) =
            (Pipeline::load(&Manifest::shipped(), &models::cache::default_dir()), Pack::registry_mini(&datasets::default_dir()));
        let reason = match loaded {
            Ok(pipeline) if pack.missing.is_empty() => return Some(Self { pipeline, pack }),
            Ok(_) => "pictures are missing: datasets fetch registry-mini".to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "{reason}");
        eprintln!("SKIPPED: {reason}");
        None
    }

    fn face(&self, id: &str) -> (Picture, DetectedFace) {
        let picture = Picture::decode(&self.pack.picture(id).unwrap().read().unwrap()).unwrap();
        let faces = self.pipeline.detect(&picture).unwrap();
        let rule = FaceRule::default();
        let face = dominant_face(&faces, picture.width() as f32, picture.height() as f32, &rule).unwrap();
        (picture, face)
    }

    pub(crate) fn template(&self, id: &str) -> Template {
        let (picture, face) = self.face(id);
        self.pipeline.template(&picture, &face).unwrap()
    }

    pub(crate) fn sample(&self, id: &str) -> v1::Sample {
        let (picture, face) = self.face(id);
        let FaceSample { jpeg, landmarks, face_box } = sample::crop(&picture, &face).unwrap();
        let landmarks = landmarks.0.iter().flat_map(|point| [point.x, point.y]).collect();
        let face_box = vec![face_box.left, face_box.top, face_box.right, face_box.bottom];
        v1::Sample { jpeg, landmarks, face_box, quality: Vec::new() }
    }
}

/// A capture with this template and this picture.
pub(crate) fn claim(template: &Template, sample: v1::Sample) -> v1::Capture {
    let made = v1::Template {
        model_id: template.model().to_string(),
        recipe_id: template.recipe().to_string(),
        features_f16: template.to_f16_le_bytes(),
    };
    attempt(CARD, Outcome::Sample(v1::ProbeSample { template: Some(made), sample: Some(sample), further_samples: vec![], ..probe(0.8) }))
}

/// A center that checks every capture, when it is told to.
async fn center() -> (TestCenter, TestDevice, Rechecker) {
    let center = TestCenter::init_with(|config| config.recheck.share = 1.0).await;
    let device = center.device("1").await;
    let networks = Networks::new(Manifest::shipped(), models::cache::default_dir());
    let rechecker = Rechecker { center: center.center.clone(), networks, surroundings: Arc::new(System), rule: RULE };
    (center, device, rechecker)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_counter_agrees_and_a_template_that_is_not_the_samples_is_suspected() {
    let Some(eyes) = Eyes::open() else { return };
    let (center, device, rechecker) = center().await;
    let reference = eyes.template("cl_franck_01829.jpg");
    center.enrol_with(CARD, &reference).await;
    assert_eq!(rechecker.next().await.unwrap(), None, "nothing is due");

    let honest = claim(&eyes.template("cl_franck_02221.jpg"), eyes.sample("cl_franck_02221.jpg"));
    assert_eq!(device.verify("T-1", &honest).await.unwrap().decision(), v1::Decision::Match);
    assert_eq!(rechecker.next().await.unwrap(), Some(RecheckOutcome::Agrees));

    // Somebody else's face, and a template like the card's.
    let stolen = claim(&reference, eyes.sample("fr_obama.jpg"));
    assert_eq!(device.verify("T-2", &stolen).await.unwrap().decision(), v1::Decision::Match);
    assert_eq!(rechecker.next().await.unwrap(), Some(RecheckOutcome::Disagrees));

    let mut elsewhere = eyes.sample("cl_franck_02221.jpg");
    elsewhere.face_box = vec![0.0, 0.0, 20.0, 20.0];
    device.verify("T-3", &claim(&reference, elsewhere)).await.unwrap();
    assert_eq!(rechecker.next().await.unwrap(), Some(RecheckOutcome::NoFace));

    device.verify("T-4", &capture(CARD, 0.8)).await.unwrap();
    assert_eq!(rechecker.next().await.unwrap(), Some(RecheckOutcome::NoFace), "a sample that is no picture");
    assert_eq!(rechecker.next().await.unwrap(), None, "each is checked once");

    let flags = center.flags().await;
    let suspected = flags.iter().rev().filter(|flag| flag.kind == FlagKind::TamperingSuspected);
    assert_eq!(suspected.map(|flag| flag.transaction.as_str()).collect::<Vec<_>>(), ["T-2", "T-3", "T-4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_is_not_its_rows_is_suspected_without_any_network() {
    let (center, device, mut rechecker) = center().await;
    rechecker.networks = Networks::new(Manifest::shipped(), "nothing-here".into());
    center.enrol(CARD).await;
    device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    assert!(rechecker.next().await.is_err(), "without networks it stays due");
    device.verify("T-2", &capture(CARD, 0.8)).await.unwrap();
    let database = rusqlite::Connection::open(center.dir.store()).unwrap();
    database.execute_batch("UPDATE probe SET template = sample; UPDATE recheck SET due_at = 0").unwrap();
    for _ in 0..2 {
        assert_eq!(rechecker.next().await.unwrap(), Some(RecheckOutcome::Unreadable));
    }
    assert_eq!(center.flag_words().await, ["tampering_suspected", "tampering_suspected"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_honest_counter_sends_agrees_on_every_face() {
    let Some(eyes) = Eyes::open() else { return };
    let (center, device, rechecker) = center().await;
    center.enrol_with(CARD, &eyes.template("cl_franck_01829.jpg")).await;
    let people: Vec<String> =
        ["cl_cage.jpg", "sk_astronaut.png", "cl_SeanConnery.jpg", "fr_obama.jpg", "fr_biden.jpg", "cl_cage2_crop.jpg"]
            .map(str::to_owned)
            .to_vec();
    for id in &people {
        device.verify(&format!("T-{id}"), &claim(&eyes.template(id), eyes.sample(id))).await.unwrap();
        assert_eq!(rechecker.next().await.unwrap(), Some(RecheckOutcome::Agrees), "{id}");
    }
    let database = rusqlite::Connection::open(center.dir.store()).unwrap();
    let lowest: f64 = database.query_row("SELECT min(agreement) FROM recheck", [], |row| row.get(0)).unwrap();
    eprintln!("agreement of {} honest captures: lowest {lowest:.3}", people.len());
    assert!(lowest > 0.9, "{lowest}");
    assert!(center.flag_words().await.iter().all(|word| *word != "tampering_suspected"));
}
