//! Readers of identity documents: a port, and a simulator that reads a folder.
//!
//! A chip's photo becomes a template for one attempt; neither is written anywhere. Not here: what the center makes of it.

use std::{fs, path::PathBuf};

use capture_core::{DocumentKind, DocumentNumber, PersonName};
use models::picture::Picture;
use models_core::{FaceRule, Quality, dominant_face};
use proto::v1;
use serde::Deserialize;
use thiserror::Error;

use crate::{
    config::{ReaderConfig, ReaderKind},
    vision::{Chosen, FaceReader, VisionError},
};

/// A document could not be read.
#[derive(Debug, Error)]
pub enum ReaderError {
    /// There is no reader.
    #[error("this counter has no reader of documents")]
    Absent,
    /// No document is on it.
    #[error("no document is on the reader")]
    NoDocument,
    /// What is on it cannot be read.
    #[error("the document on the reader cannot be read: {0}")]
    Unreadable(&'static str),
}

/// What a chip says.
pub struct Document {
    /// Which document.
    pub kind: DocumentKind,
    /// Its number.
    pub number: DocumentNumber,
    /// The name in it; may be empty.
    pub name: PersonName,
    /// The photo in its chip.
    pub photo: Picture,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Reads the document that lies on a reader. Blocking.
pub trait DocumentReader: Send + Sync + 'static {
    /// Reads it.
    ///
    /// # Errors
    /// When there is no reader or document, or it cannot be read.
    fn read(&self) -> Result<Document, ReaderError>;
}

/// No reader at all.
#[derive(Debug, Clone, Copy)]
pub struct NoReader;

impl DocumentReader for NoReader {
    fn read(&self) -> Result<Document, ReaderError> {
        Err(ReaderError::Absent)
    }
}

/// A folder in a reader's place: the first `.toml` by name is the document that lies on it, with `kind`, `number`, `name` and
/// the file name of its `photo`.
#[derive(Debug, Clone)]
pub struct Simulator {
    folder: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chip {
    kind: String,
    number: String,
    #[serde(default)]
    name: String,
    photo: String,
}

impl DocumentReader for Simulator {
    fn read(&self) -> Result<Document, ReaderError> {
        let files = fs::read_dir(&self.folder).map_err(|_| ReaderError::Unreadable("the folder"))?;
        let files = files.filter_map(|file| Some(file.ok()?.path()));
        let first = files.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).min().ok_or(ReaderError::NoDocument)?;
        let text = fs::read_to_string(first).map_err(|_| ReaderError::Unreadable("the file"))?;
        let chip: Chip = toml::from_str(&text).map_err(|_| ReaderError::Unreadable("expected kind, number, name and photo"))?;
        let photo = fs::read(self.folder.join(&chip.photo)).map_err(|_| ReaderError::Unreadable("the photo"))?;
        Ok(Document {
            kind: chip.kind.parse().map_err(|_| ReaderError::Unreadable("its kind"))?,
            number: chip.number.parse().map_err(|_| ReaderError::Unreadable("its number"))?,
            name: chip.name.parse().map_err(|_| ReaderError::Unreadable("its name"))?,
            photo: Picture::decode(&photo).map_err(|_| ReaderError::Unreadable("the photo"))?,
        })
    }
}

/// The reader that the configuration names.
#[must_use]
pub fn from_config(config: &ReaderConfig) -> Box<dyn DocumentReader> {
    match config.kind {
        ReaderKind::None => Box::new(NoReader),
        ReaderKind::Simulator => Box::new(Simulator { folder: PathBuf::from(&config.folder) }),
    }
}

/// The template of the one face of a photo; nothing where none is clearly on it. Where the recipe fuses several frames the photo
/// is each of them: the template is then that of the one.
///
/// # Errors
/// When a network fails.
pub fn template_of(reader: &dyn FaceReader, photo: &Picture) -> Result<Option<v1::Template>, VisionError> {
    // A chip's photo is about 100 pixels wide and the face fills it.
    let rule = FaceRule { inter_eye_distance_min_px: 12.0, share_inside_min: 0.7, ..FaceRule::default() };
    #[expect(clippy::cast_precision_loss, reason = "photos are far smaller than 2^24 pixels wide")]
    let (width, height) = (photo.width() as f32, photo.height() as f32);
    let Ok(face) = dominant_face(&reader.detect(photo)?, width, height, &rule) else { return Ok(None) };
    let quality = Quality::default();
    let frames: Vec<Chosen<'_>> = (0..reader.frames().max(1)).map(|_| (photo, &face, &quality)).collect();
    Ok(reader.probe(&frames)?.template)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let read = Simulator { folder: folder.path().to_owned() }.read();
        assert_eq!(read.map_or_else(|error| error.to_string(), |document| format!("{document:?}")), expected);
    }

    #[test]
    fn what_lies_on_the_simulator_is_read_and_not_shown() {
        let ppm = format!("P6\n64 64\n255\n{}", "a".repeat(64 * 64 * 3));
        let document = "kind = \"passport\"\nnumber = \"E12345678\"\nname = \"n\"\nphoto = \"p.ppm\"\n";
        check(&[("a.toml", document), ("p.ppm", &ppm)], "Document { kind: Passport, .. }");
        check(&[], "no document is on the reader");
        check(&[("a.toml", "kind = 1")], "the document on the reader cannot be read: expected kind, number, name and photo");
        check(&[("a.toml", document)], "the document on the reader cannot be read: the photo");
        check(&[("a.toml", &document.replace("passport", "card")), ("p.ppm", &ppm)], "the document on the reader cannot be read: its kind");
    }

    #[test]
    fn a_counter_without_a_reader_says_so() {
        assert!(matches!(NoReader.read(), Err(ReaderError::Absent)));
    }
}
