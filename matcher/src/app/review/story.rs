//! What a case is made of, for whoever has judged its faces: captures by face, what was measured, what surrounds it.

use matcher_core::evidence::CaseStep;

use super::{
    CaseFile, Review, ReviewError,
    faces::{Measured, Pair, pair},
};
use crate::{
    app::ways::{Entry, masked_name},
    store::{
        TimeMs, Verification,
        cases::CaseMember,
        desk::{CaseContents, CaseSurroundings, Judged},
        proxies::StoredProxy,
    },
};

/// A capture of a case.
#[derive(Debug, Clone)]
pub struct Capture {
    /// Which face it is of, and whether it speaks against the holder.
    pub member: CaseMember,
    /// Its record; none once retention deleted it.
    pub record: Option<Verification>,
    /// Whether its picture is still there.
    pub pictured: bool,
}

/// Somebody who came in the holder's place, as the register has it, masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxied {
    /// The transaction.
    pub transaction: String,
    /// When.
    pub at: TimeMs,
    /// The document's number, masked; empty where the entry is gone.
    pub document: String,
    /// The first character of the name, and a star for each other.
    pub name: String,
}

/// All of a case.
#[derive(Debug, Clone)]
pub struct Story {
    /// The captures, by time.
    pub captures: Vec<Capture>,
    /// What surrounds it.
    pub around: CaseSurroundings,
    /// Who came in the holder's place.
    pub proxies: Vec<Proxied>,
    /// What is compared by eye.
    pub pair: Pair,
    /// What was measured of that.
    pub measured: Measured,
    /// What happened, as far as the reader may know.
    pub steps: Vec<CaseStep>,
    /// What was seen, likewise.
    pub judgements: Vec<Judged>,
}

impl Story {
    /// Faces that were told apart, each with its captures; 0 is the one most like the photo.
    #[must_use]
    pub fn faces(&self) -> Vec<(u32, Vec<&Capture>)> {
        let mut faces: Vec<u32> = self.captures.iter().map(|capture| capture.member.face).collect();
        faces.sort_unstable();
        faces.dedup();
        let of = |face: u32| self.captures.iter().filter(move |capture| capture.member.face == face).collect();
        faces.into_iter().map(|face| (face, of(face))).collect()
    }
}

impl Review {
    /// A case's story for a reader: nothing of what others saw and decided while the reader may judge next.
    ///
    /// # Errors
    /// [`ReviewError::NotJudged`] where the reader is to judge the faces first; when the store fails.
    pub async fn story(&self, file: &CaseFile, reader: &str) -> Result<Story, ReviewError> {
        if !file.told_to(reader) {
            return Err(ReviewError::NotJudged);
        }
        let members = &file.view.stored.case.members;
        let captures = members.iter().map(|member| member.verification).collect();
        let contents = self.center.store.case_contents(file.subject(), file.id(), captures).await;
        let CaseContents { around, records, proxies: register } = contents.map_err(ReviewError::Store)?;
        let capture = |(member, record): (&CaseMember, Option<Verification>)| Capture {
            member: *member,
            record,
            pictured: around.with_sample.contains(&member.verification),
        };
        let captures: Vec<Capture> = members.iter().zip(records).map(capture).collect();
        let mut pair = pair(file, &around.photos, &around.with_sample);
        if let Some(judged) = file.judged_by(reader).and_then(|judged| judged.verification) {
            pair.capture = Some(judged);
        }
        let measured = self.measured(file, pair).await?;
        let proxied = |stored: &StoredProxy| {
            let entry = Entry::open(&self.center.vault, stored);
            Proxied {
                transaction: stored.record.request.transaction.clone(),
                at: stored.record.captured_at,
                document: entry.as_ref().map(Entry::masked).unwrap_or_default(),
                name: entry.map(|entry| masked_name(&entry.name)).unwrap_or_default(),
            }
        };
        let proxies = register.iter().map(proxied).collect();
        let blind = file.blind_to(reader);
        let steps = file.case().steps().iter().filter(|step| !blind || step.by == reader);
        let judgements = file.judgements.iter().filter(|judged| !blind || judged.by == reader);
        Ok(Story { captures, proxies, pair, measured, steps: steps.cloned().collect(), judgements: judgements.cloned().collect(), around })
    }
}
