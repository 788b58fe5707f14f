//! What a person is handed who asks what is held about them: one ZIP archive with everything, opened.
//!
//! `person.json` says what the other files are. The archive is as readable as its content; who gets it is the
//! operator's business, and the file is made for the operator alone.

use std::io::{self, Cursor, Write};

use serde::Serialize;
use serde_json::Value;
use thiserror::Error;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    app::{person::open_birth, sample::samples_from_bytes},
    listing::json::{self, utc},
    store::{
        Flag, StoredReference, SubjectId, TimeMs, Verification,
        subjects::{Hold, SubjectFile},
    },
    vault::{DataKey, IdentifierContext, RecordContext},
};

/// An archive that could not be made.
#[derive(Debug, Error)]
pub enum ExportError {
    /// A part cannot be written as JSON.
    #[error("could not write the records as JSON")]
    Json(#[source] serde_json::Error),
    /// The archive cannot be written.
    #[error("could not write the archive")]
    Archive(#[source] zip::result::ZipError),
    /// A file in it cannot be.
    #[error("could not write a file of the archive")]
    File(#[source] io::Error),
}

#[derive(Serialize)]
struct PersonJson {
    about: &'static str,
    subject: String,
    exported_at: String,
    enrolled_since: String,
    birth: Option<String>,
    consent_withdrawn_at: Option<String>,
    identifiers: Vec<IdentifierJson>,
    photos: Vec<PhotoJson>,
    references: Vec<ReferenceJson>,
    holds: Vec<HoldJson>,
    verifications: Value,
    flags: Value,
    unreadable: Vec<String>,
}

#[derive(Serialize)]
struct IdentifierJson {
    kind: &'static str,
    region: String,
    number: Option<String>,
}

#[derive(Serialize)]
struct PhotoJson {
    id: String,
    source: &'static str,
    state: &'static str,
    enrolled_at: String,
    taken_on: Option<String>,
    valid_from: Option<String>,
    valid_until: Option<String>,
}

#[derive(Serialize)]
struct ReferenceJson {
    id: String,
    photo: String,
    model: String,
    recipe: String,
}

#[derive(Serialize)]
struct HoldJson {
    reason: String,
    placed_at: String,
    until: Option<String>,
    released_at: Option<String>,
}

const ABOUT: &str = "Everything the center holds about this person. photos/: what was enrolled. references/ and probes/: features \
                     made of faces, half-precision numbers, little endian. samples/: what counters captured, by verification.";

/// The archive, and how many records did not open (they are listed in it). `models` are those that may have made a
/// probe which was compared with nothing.
///
/// # Errors
/// When it cannot be written.
pub fn archive(file: &SubjectFile, key: &DataKey, models: &[String], now: TimeMs) -> Result<(Vec<u8>, usize), ExportError> {
    let mut archive = Archive { zip: ZipWriter::new(Cursor::new(Vec::new())), unreadable: Vec::new() };
    let subject = file.subject.subject;
    for photo in &file.photos {
        let opened = key.open(&RecordContext::enrolment_photo(subject, photo.photo), &photo.content);
        let name = |content: &[u8]| format!("photos/{}.{}", photo.photo, extension(content));
        archive.add_opened(name, opened.ok().as_deref().map(Vec::as_slice), &format!("photo {}", photo.photo))?;
    }
    for reference in &file.subject.references {
        let opened = key.open(&RecordContext::reference_template(subject, reference.record, &reference.model), &reference.template);
        let name = |_: &[u8]| format!("references/{}.f16", reference.record);
        archive.add_opened(name, opened.ok().as_deref().map(Vec::as_slice), &format!("reference {}", reference.record))?;
    }
    for (record, probe) in &file.verifications {
        if let Some(probe) = probe {
            archive.add_probe(key, subject, models, record, probe)?;
        }
    }
    let unreadable = archive.unreadable.len();
    let person = person(file, key, now, std::mem::take(&mut archive.unreadable))?;
    archive.add("person.json", &person)?;
    let bytes = archive.zip.finish().map_err(ExportError::Archive)?.into_inner();
    Ok((bytes, unreadable))
}

struct Archive {
    zip: ZipWriter<Cursor<Vec<u8>>>,
    unreadable: Vec<String>,
}

impl Archive {
    fn add(&mut self, name: &str, content: &[u8]) -> Result<(), ExportError> {
        self.zip.start_file(name, SimpleFileOptions::default()).map_err(ExportError::Archive)?;
        self.zip.write_all(content).map_err(ExportError::File)
    }

    fn add_opened(&mut self, name: impl Fn(&[u8]) -> String, content: Option<&[u8]>, what: &str) -> Result<(), ExportError> {
        match content {
            Some(content) => self.add(&name(content), content),
            None => {
                self.unreadable.push(what.to_owned());
                Ok(())
            }
        }
    }

    fn add_probe(
        &mut self,
        key: &DataKey,
        subject: SubjectId,
        models: &[String],
        record: &Verification,
        probe: &crate::store::SealedProbe,
    ) -> Result<(), ExportError> {
        let open = |model: &String| key.open(&RecordContext::probe_template(subject, record.id, model), &probe.template).ok();
        let template = std::iter::once(&record.model).chain(models).find_map(open);
        let what = format!("probe {}", record.id);
        self.add_opened(|_| format!("probes/{}.f16", record.id), template.as_deref().map(Vec::as_slice), &what)?;
        if probe.sample.0.is_empty() {
            return Ok(());
        }
        let opened = key.open(&RecordContext::probe_sample(subject, record.id), &probe.sample).ok();
        let Some(samples) = opened.and_then(|opened| samples_from_bytes(&opened)) else {
            self.unreadable.push(format!("sample {}", record.id));
            return Ok(());
        };
        for (index, sample) in samples.iter().enumerate() {
            self.add(&format!("samples/{}-{}.jpg", record.id, index + 1), &sample.jpeg)?;
        }
        Ok(())
    }
}

fn person(file: &SubjectFile, key: &DataKey, now: TimeMs, mut unreadable: Vec<String>) -> Result<Vec<u8>, ExportError> {
    let subject = file.subject.subject;
    let raw = |text: serde_json::Result<String>| -> Result<Value, _> {
        text.and_then(|text| serde_json::from_str(&text)).map_err(ExportError::Json)
    };
    let records: Vec<Verification> = file.verifications.iter().map(|(record, _)| record.clone()).collect();
    let flags: &[Flag] = &file.flags;
    let birth = file.subject.birth.as_ref().map(|sealed| open_birth(key, subject, sealed).map(matcher_core::Birth::text));
    if birth == Some(None) {
        unreadable.push("birth".to_owned());
    }
    let person = PersonJson {
        about: ABOUT,
        subject: subject.to_string(),
        exported_at: utc(now),
        enrolled_since: utc(file.created_at),
        birth: birth.flatten(),
        consent_withdrawn_at: file.subject.withdrawn_at.map(utc),
        identifiers: identifiers(file, key),
        photos: photos(file),
        references: file.subject.references.iter().map(reference).collect(),
        holds: file.holds.iter().map(hold).collect(),
        verifications: raw(json::verifications(&records))?,
        flags: raw(json::flags(flags))?,
        unreadable,
    };
    serde_json::to_vec_pretty(&person).map_err(ExportError::Json)
}

fn identifiers(file: &SubjectFile, key: &DataKey) -> Vec<IdentifierJson> {
    let open = |identifier: &crate::store::BoundIdentifier| {
        let context = IdentifierContext { subject: file.subject.subject, key: &identifier.key };
        let number = identifier.number.as_ref().and_then(|sealed| key.open_number(&context, sealed).ok());
        IdentifierJson {
            kind: identifier.key.kind.word(),
            region: identifier.key.region.clone(),
            number: number.map(|number| number.expose().to_owned()),
        }
    };
    super::numbers(file, key).into_iter().map(open).collect()
}

fn photos(file: &SubjectFile) -> Vec<PhotoJson> {
    let photo = |photo: &crate::store::subjects::StoredPhoto| PhotoJson {
        id: photo.photo.to_string(),
        source: photo.source.word(),
        state: photo.life.state.word(),
        enrolled_at: utc(photo.life.enrolled_at),
        taken_on: photo.photo_taken_on.clone(),
        valid_from: photo.life.valid_from.map(utc),
        valid_until: photo.life.valid_until.map(utc),
    };
    file.photos.iter().map(photo).collect()
}

fn reference(reference: &StoredReference) -> ReferenceJson {
    ReferenceJson {
        id: reference.record.to_string(),
        photo: reference.photo.to_string(),
        model: reference.model.clone(),
        recipe: reference.recipe.clone(),
    }
}

fn hold(hold: &Hold) -> HoldJson {
    HoldJson {
        reason: hold.reason.clone(),
        placed_at: utc(hold.placed_at),
        until: hold.until.map(utc),
        released_at: hold.released.as_ref().map(|(_, at)| utc(*at)),
    }
}

/// The ending of a picture's name, by its first bytes.
fn extension(content: &[u8]) -> &'static str {
    match content {
        [0xff, 0xd8, ..] => "jpg",
        [0x89, b'P', b'N', b'G', ..] => "png",
        [b'P', b'1'..=b'7', ..] => "pnm",
        _ => "bin",
    }
}
