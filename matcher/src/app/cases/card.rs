//! One person's visits: opened with the person's key, compared with each other, judged together.

use matcher_core::evidence::{EvidenceModel, Visit, judge_card};
use models_core::{ModelId, RecipeId, Template, compare};

use super::{CaseRunner, CasesError, Judged, day_number};
use crate::{
    store::{
        RecordId, SubjectId, TimeMs,
        cases::{CaseMember, Finding, PersonVisits, StoredVisit},
    },
    vault::{DataKey, RecordContext},
};

/// A visit that can speak.
struct Opened {
    visit: Visit,
    decided_at: TimeMs,
    template: Template,
}

impl CaseRunner {
    /// Judges a person by the visits of the window; nothing when the person's key is gone.
    pub(super) async fn judge(&self, subject: SubjectId, now: TimeMs) -> Result<Option<Judged>, CasesError> {
        let stored = self.center.store.visits_of(subject, self.window_start(now)).await.map_err(CasesError::Store)?;
        let Some(stored) = stored else { return Ok(None) };
        let in_force = self.center.policies.current();
        let evidence = in_force.policy.evidence().unwrap_or(&self.evidence);
        let opened = self.open_visits(evidence, subject, &stored)?;
        if opened.is_empty() {
            return Ok(Some(Judged::nothing(subject, now, self.settings.rule.prior())));
        }
        Ok(Some(self.judge_opened(evidence, subject, now, &opened)))
    }

    fn judge_opened(&self, evidence: &EvidenceModel, subject: SubjectId, now: TimeMs, opened: &[Opened]) -> Judged {
        let visits: Vec<Visit> = opened.iter().map(|opened| opened.visit).collect();
        let score = |a: usize, b: usize| match (opened.get(a), opened.get(b)) {
            (Some(a), Some(b)) => compare(&a.template, &b.template).map_or(0.0, models_core::SimilarityScore::get),
            _ => 0.0,
        };
        let found = judge_card(evidence, &self.settings.rule, &visits, &score);
        let suspects = found.suspects();
        let of_face = |(face, ids): (u32, &Vec<[u8; 16]>)| {
            let member = |id: &[u8; 16]| CaseMember { verification: RecordId(*id), face, suspect: suspects.contains(id) };
            ids.iter().map(member).collect::<Vec<_>>()
        };
        let finding = Finding {
            subject,
            judged_at: now,
            last_visit_at: opened.iter().map(|opened| opened.decided_at).max().unwrap_or_default(),
            kind: found.kind,
            log_odds: found.log_odds,
            days: u32::try_from(found.days).unwrap_or(u32::MAX),
            faces: u32::try_from(found.faces.len()).unwrap_or(u32::MAX),
        };
        Judged { finding, members: (0..).zip(&found.faces).flat_map(of_face).collect() }
    }

    /// The visits made with the model and recipe that the evidence is of. What does not open as this person's is left
    /// out: making templates again finds it, and flags it.
    fn open_visits(&self, evidence: &EvidenceModel, subject: SubjectId, stored: &PersonVisits) -> Result<Vec<Opened>, CasesError> {
        let Ok(key) = self.center.vault.unwrap_data_key(subject, &stored.data_key) else { return Ok(Vec::new()) };
        let mut opened = Vec::with_capacity(stored.visits.len());
        for visit in &stored.visits {
            let Some(template) = open_template(&key, subject, visit) else { continue };
            if evidence.is_of(template.model(), template.recipe()) {
                let day = day_number(self.date(visit.captured_at)?);
                let (id, explained) = (visit.verification.0, visit.explained);
                let visit_of = Visit { id, day, to_reference: visit.score, explained };
                opened.push(Opened { visit: visit_of, decided_at: visit.decided_at, template });
            }
        }
        Ok(opened)
    }
}

fn open_template(key: &DataKey, subject: SubjectId, visit: &StoredVisit) -> Option<Template> {
    let place = RecordContext::probe_template(subject, visit.verification, &visit.made_by.model);
    let features = key.open(&place, &visit.template).ok()?;
    let (model, recipe) = (ModelId::new(&visit.made_by.model).ok()?, RecipeId::new(&visit.made_by.recipe).ok()?);
    Template::from_f16_le_bytes(model, recipe, features.len() / 2, &features).ok()
}
