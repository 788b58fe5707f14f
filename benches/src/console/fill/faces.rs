//! Faces behind the cases that are read: of enrolled people, and of pairs with a known answer, which are nobody's case. The pictures are noise.

use anyhow::Result;
use matcher::{
    app::sample::{Sample, samples_to_bytes},
    center::Center,
    store::{RecordId, Sealed, SubjectId},
    surroundings::{Surroundings, System},
    vault::RecordContext,
};
use models_core::Quality;

use super::{
    super::sink::{Cell, Sink},
    DAY_MS, DAYS, MEMBERS, Of, Plan, READ, VERIFICATION, id,
};
use crate::load::people as made_up;

/// Somebody with a photo that can be opened.
pub(super) struct Face {
    pub(super) subject: SubjectId,
    pub(super) photo: RecordId,
    wrapped: Sealed,
}

/// A picture as far as a browser's door is concerned: how a JPEG begins, and noise.
fn picture() -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xe0];
    bytes.extend((0..20_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8));
    bytes
}

fn samples() -> Vec<u8> {
    samples_to_bytes(&[Sample {
        jpeg: picture(),
        landmarks: [40.0, 60.0, 100.0, 60.0, 70.0, 90.0, 50.0, 110.0, 90.0, 110.0],
        face_box: [20.0, 20.0, 120.0, 140.0],
        quality: Quality::default(),
    }])
}

/// One for each case that is read, in their order: enrolled people, then the subjects of known-answer cases, who are nobody.
pub(super) async fn people(center: &Center) -> Result<Vec<Face>> {
    let made_by = made_up::MadeBy::shipped()?;
    let (mut enrolled, mut faces) = (Vec::new(), Vec::new());
    for case in 0..Of::READ.len() * READ {
        if Of::case(case).is_seeded() {
            let subject = System.new_subject();
            let (_, wrapped) = center.vault.new_data_key(subject);
            faces.push(Face { subject, photo: System.new_record(), wrapped });
            continue;
        }
        let mut new = made_up::enrolment(center, &made_by, case as u64, 16, System.now_ms() - DAYS * DAY_MS)?;
        let (subject, photo) = (new.reference.subject, new.reference.photo);
        let key = center.vault.unwrap_data_key(subject, &new.data_key)?;
        new.photo = key.seal(&RecordContext::enrolment_photo(subject, photo), &picture());
        faces.push(Face { subject, photo, wrapped: new.data_key.clone() });
        enrolled.push(new);
    }
    for done in center.store.put_enrolments(enrolled).await? {
        done?;
    }
    Ok(faces)
}

impl Plan {
    /// The captures of cases that are read, as counters sent them.
    pub(super) async fn pictures(&self, center: &Center, sink: &mut Sink) -> Result<()> {
        let mut rows = Vec::new();
        for (case, face) in self.faces.iter().enumerate().filter(|(case, _)| !Of::case(*case).is_seeded()) {
            for (capture, sealed) in self.sealed(center, case, face)? {
                let at = self.at(capture) + 40;
                rows.push(vec![face.subject.0.into(), id(b'v', capture).into(), vec![1_u8].into(), sealed.into(), at.into()]);
            }
        }
        sink.put("probe", "subject_id, verification_id, template, sample, decided_at", rows.into_iter()).await.map(drop)
    }

    /// The captures of a case, sealed.
    fn sealed(&self, center: &Center, case: usize, face: &Face) -> Result<Vec<(usize, Vec<u8>)>> {
        let key = center.vault.unwrap_data_key(face.subject, &face.wrapped)?;
        let samples = samples();
        let seal =
            |capture: usize| (capture, key.seal(&RecordContext::probe_sample(face.subject, RecordId(id(b'v', capture))), &samples).0);
        Ok((case * MEMBERS..(case + 1) * MEMBERS).map(seal).collect())
    }

    /// Pairs with a known answer, and what stands in the place of people, captures and flags for the cases made of them.
    pub(super) async fn seeds(&self, center: &Center, sink: &mut Sink) -> Result<()> {
        let seeded = || self.faces.iter().enumerate().filter(|(case, _)| Of::case(*case).is_seeded());
        let captures = || seeded().flat_map(|(case, _)| case * MEMBERS..(case + 1) * MEMBERS);
        let (mut cases, mut photos, mut probes) = (Vec::new(), Vec::new(), Vec::new());
        for (case, face) in seeded() {
            let key = center.vault.unwrap_data_key(face.subject, &face.wrapped)?;
            let photo = key.seal(&RecordContext::enrolment_photo(face.subject, face.photo), &picture()).0;
            let quality = key.seal(&RecordContext::enrolment_quality(face.subject, face.photo), &[0]).0;
            photos.push(vec![face.subject.0.into(), face.photo.0.into(), photo.into(), quality.into()]);
            let facts = ["card_photo", "active"].map(Cell::from);
            let head = vec![face.subject.0.into(), id(b'c', case).into(), id(b'p', pair(case)).into(), face.wrapped.0.clone().into()];
            let tail = vec![face.photo.0.into(), facts[0].clone(), facts[1].clone(), (self.now - DAYS * DAY_MS).into(), Cell::Null];
            cases.push([head, tail].concat());
            for (capture, sealed) in self.sealed(center, case, face)? {
                probes.push(vec![face.subject.0.into(), id(b'v', capture).into(), Cell::Bytes(Vec::new()), sealed.into()]);
            }
        }
        let pairs = (0..2 * READ).map(|pair| {
            let name = vec![id(b'p', pair).into(), format!("pair {pair}").into(), "CC0".into(), (pair as i64 % 2).into(), 0.3.into()];
            let made = vec!["m@1".into(), "r@1".into(), self.now.into(), "bench".into()];
            [name, made, vec![vec![1_u8; 60].into(), vec![1_u8; 20_000].into(), vec![1_u8; 60].into()]].concat()
        });
        sink.put("seed_pair", "id, name, licence, mated, score, model, recipe, added_at, added_by, wrapped, photo, quality", pairs).await?;
        let columns = "subject_id, case_id, pair_id, wrapped, photo_id, source, state, enrolled_at, photo_taken_on";
        sink.put("seed_case", columns, cases.into_iter()).await?;
        sink.put("seed_photo", "subject_id, photo_id, photo, quality", photos.into_iter()).await?;
        sink.put("seed_probe", "subject_id, verification_id, template, sample", probes.into_iter()).await?;
        sink.put("seed_verification", VERIFICATION, captures().map(|n| self.verification(n))).await?;
        let flags = captures().filter(|n| *n < self.size.flags).map(|n| {
            let case = n / MEMBERS;
            let head = vec![self.subject(case).into(), id(b'c', case).into(), (n as i64 % MEMBERS as i64).into()];
            [head, vec!["card_person_mismatch".into(), (self.at(n) + 40).into(), self.transaction(n).into()]].concat()
        });
        sink.put("seed_flag", "subject_id, case_id, number, kind, raised_at, transaction_id", flags).await?;
        let answers = Of::SeededClosed.cases().map(|case| {
            vec![id(b'p', pair(case)).into(), "anna".into(), id(b'c', case).into(), self.opened(case).into(), "false_alarm".into()]
        });
        sink.put("seed_answer", "pair_id, actor, case_id, at, verdict", answers).await.map(drop)
    }
}

/// The pair that a known-answer case is made of: those that are over were made of the first ones again.
fn pair(case: usize) -> usize {
    case % (2 * READ)
}
