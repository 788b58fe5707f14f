//! An index in a file: sealed in pieces under a key of its own, which the center's key-encryption key wraps.
//!
//! Every piece is sealed at its place in its file, and the last says that it is: a file that was cut, mixed from two or
//! altered does not open. The first piece is a header of what the index is of and how far it has read. Nothing of a face is
//! readable in it, and who was forgotten is gone from it when it is saved next.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use matcher_index::{FaceIndex, Settings};
use serde::{Deserialize, Serialize};

use super::{
    IdentifyError,
    held::{Held, Scopes, What},
};
use crate::{
    durable,
    store::{
        MadeBy, RecordId, Sealed, SubjectId, TimeMs,
        feed::{Position, Searchable},
    },
    surroundings::os_random,
    vault::{DataKey, RecordContext, Vault},
};

/// Kind and version of the file.
const MAGIC: [u8; 8] = *b"CSSEALED";
/// Bytes of a piece before it is sealed.
const PIECE: usize = 1 << 20;
/// Nobody: the key of a file is no person's.
const OF_FILE: SubjectId = SubjectId([0; 16]);
const VERSION: u32 = 1;

/// What a saved index says about itself.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Header {
    version: u32,
    kind: String,
    model: String,
    recipe: String,
    since: TimeMs,
    era: i64,
    number: i64,
    /// Records in it.
    pub records: u64,
    /// When it was saved.
    pub saved_at: TimeMs,
    scopes: Vec<String>,
}

impl Header {
    /// What it is of; nothing when it is of no kind that is known.
    #[must_use]
    pub fn what(&self) -> Option<What> {
        let made_by = MadeBy { model: self.model.clone(), recipe: self.recipe.clone() };
        Some(What { kind: Searchable::from_word(&self.kind)?, made_by, since: self.since })
    }

    /// How far it has read.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { era: self.era, number: self.number }
    }
}

/// The file of an index in a folder.
#[must_use]
pub fn path(folder: &Path, kind: Searchable) -> PathBuf {
    folder.join(format!("{}.index", kind.word()))
}

/// Saves an index, in place of an older file.
///
/// # Errors
/// When the file or the engine fails; an older file is then untouched.
pub fn save(held: &Held, vault: &Vault, path: &Path, now: TimeMs) -> Result<(), IdentifyError> {
    let index = held.index().ok_or(IdentifyError::Interrupted)?;
    let folder = path.parent().ok_or(IdentifyError::Saved("it has no folder"))?;
    durable::create_dir(folder).map_err(IdentifyError::File)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(IdentifyError::File)?;
    let header = Header {
        version: VERSION,
        kind: held.what.kind.word().to_owned(),
        model: held.what.made_by.model.clone(),
        recipe: held.what.made_by.recipe.clone(),
        since: held.what.since,
        era: held.position.era,
        number: held.position.number,
        records: held.len(),
        saved_at: now,
        scopes: held.scopes.names().to_vec(),
    };
    let mut pieces = Pieces::begin(vault, &mut file).map_err(IdentifyError::File)?;
    let header = serde_json::to_vec(&header).map_err(|error| IdentifyError::File(error.into()))?;
    pieces.write_all(&(header.len() as u64).to_le_bytes()).and_then(|()| pieces.write_all(&header)).map_err(IdentifyError::File)?;
    index.save(&mut pieces).map_err(IdentifyError::Index)?;
    pieces.finish().map_err(IdentifyError::File)?;
    file.as_file().sync_all().map_err(IdentifyError::File)?;
    file.persist(path).map_err(|error| IdentifyError::File(error.error))?;
    durable::sync_dir(folder).map_err(IdentifyError::File)
}

/// Reads what a saved index says about itself.
///
/// # Errors
/// When there is none, or it does not open.
pub fn header(vault: &Vault, path: &Path) -> Result<Header, IdentifyError> {
    let file = File::open(path).map_err(IdentifyError::File)?;
    read_header(&mut Opener::begin(vault, BufReader::new(file))?)
}

/// Reads a saved index of exactly this.
///
/// # Errors
/// When there is none, it does not open, is of something else, or does not fit the settings.
pub fn load(vault: &Vault, path: &Path, wanted: &What, settings: Settings) -> Result<Held, IdentifyError> {
    let file = File::open(path).map_err(IdentifyError::File)?;
    let mut opener = Opener::begin(vault, BufReader::new(file))?;
    let header = read_header(&mut opener)?;
    let what = header.what().ok_or(IdentifyError::Saved("its kind is not known"))?;
    if what.kind != wanted.kind || what.made_by != wanted.made_by {
        return Err(IdentifyError::Saved("it is of another model, recipe or kind"));
    }
    let index = FaceIndex::load(settings, &mut opener).map_err(IdentifyError::Index)?;
    if index.len() as u64 != header.records {
        return Err(IdentifyError::Saved("it does not have as many records as it says"));
    }
    let mut scopes = Scopes::of(header.scopes.clone());
    index.entries().for_each(|entry| scopes.count(entry.scope, 1));
    Ok(Held { what, position: header.position(), removed: false, tuned: true, scopes, index: Some(index) })
}

fn read_header(from: &mut impl Read) -> Result<Header, IdentifyError> {
    let mut length = [0; 8];
    from.read_exact(&mut length).map_err(IdentifyError::File)?;
    let length = u64::from_le_bytes(length);
    if length > 64 << 20 {
        return Err(IdentifyError::Saved("its header is too long"));
    }
    let mut header = vec![0; usize::try_from(length).unwrap_or_default()];
    from.read_exact(&mut header).map_err(IdentifyError::File)?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| IdentifyError::Saved("its header is not of this version"))?;
    if header.version == VERSION { Ok(header) } else { Err(IdentifyError::Saved("it is of another version")) }
}

/// The place of a piece in its file.
fn place(file: [u8; 8], number: u32, last: bool) -> RecordContext<'static> {
    let [a, b, c, d, e, f, g, h] = file;
    let [i, j, k, l] = number.to_le_bytes();
    let record = RecordId([a, b, c, d, e, f, g, h, i, j, k, l, u8::from(last), 0, 0, 0]);
    RecordContext { table: "index", column: "piece", subject: OF_FILE, record, model: "" }
}

/// Seals what is written, piece by piece.
struct Pieces<W> {
    to: W,
    key: DataKey,
    file: [u8; 8],
    number: u32,
    piece: Vec<u8>,
}

impl<W: Write> Pieces<W> {
    fn begin(vault: &Vault, mut to: W) -> io::Result<Self> {
        let (key, wrapped) = vault.new_data_key(OF_FILE);
        let file = os_random();
        to.write_all(&MAGIC)?;
        to.write_all(&file)?;
        to.write_all(&u32::try_from(wrapped.0.len()).map_err(io::Error::other)?.to_le_bytes())?;
        to.write_all(&wrapped.0)?;
        Ok(Self { to, key, file, number: 0, piece: Vec::with_capacity(PIECE) })
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let sealed = self.key.seal(&place(self.file, self.number, last), &self.piece);
        self.to.write_all(&u32::try_from(sealed.0.len()).map_err(io::Error::other)?.to_le_bytes())?;
        self.to.write_all(&sealed.0)?;
        self.number = self.number.checked_add(1).ok_or_else(|| io::Error::other("the index has too many pieces"))?;
        self.piece.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.seal(true)?;
        self.to.flush()
    }
}

impl<W: Write> Write for Pieces<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() == PIECE {
            self.seal(false)?;
        }
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens what was sealed, piece by piece.
struct Opener<R> {
    from: R,
    key: DataKey,
    file: [u8; 8],
    number: u32,
    piece: zeroize::Zeroizing<Vec<u8>>,
    read: usize,
    ended: bool,
}

impl<R: Read> Opener<R> {
    fn begin(vault: &Vault, mut from: R) -> Result<Self, IdentifyError> {
        let (mut magic, mut file) = ([0; 8], [0; 8]);
        from.read_exact(&mut magic).and_then(|()| from.read_exact(&mut file)).map_err(IdentifyError::File)?;
        if magic != MAGIC {
            return Err(IdentifyError::Saved("it is no sealed index"));
        }
        let wrapped = sealed(&mut from, 4_096).map_err(IdentifyError::File)?;
        let key = vault.unwrap_data_key(OF_FILE, &wrapped).map_err(|_| IdentifyError::Saved("its key does not open"))?;
        Ok(Self { from, key, file, number: 0, piece: zeroize::Zeroizing::default(), read: 0, ended: false })
    }

    fn next(&mut self) -> io::Result<()> {
        let sealed = sealed(&mut self.from, PIECE + 1_024)?;
        let opened = [false, true].into_iter().find_map(|last| {
            let opened = self.key.open(&place(self.file, self.number, last), &sealed).ok()?;
            Some((opened, last))
        });
        let (piece, last) = opened.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a piece of the index does not open"))?;
        (self.piece, self.read, self.ended) = (piece, 0, last);
        self.number = self.number.wrapping_add(1);
        Ok(())
    }
}

fn sealed(from: &mut impl Read, most: usize) -> io::Result<Sealed> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a piece of the index is too long"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(Sealed(bytes))
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.read == self.piece.len() && !self.ended {
            self.next()?;
        }
        let rest = self.piece.get(self.read..).unwrap_or_default();
        let taken = rest.len().min(to.len());
        to.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.read += taken;
        Ok(taken)
    }
}
