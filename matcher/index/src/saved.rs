//! An index as bytes: a header of what it is, the table of records, the engine's own form. Nothing here is secret to whoever
//! reads it, so the bytes are to be sealed.

use std::io::{Read, Write};

use crate::{
    FaceIndex, IndexError, Settings,
    engine::{Exact, Inverted},
    face_index::Form,
    machine, pipe,
    slots::Slots,
};

/// What a saved index starts with: its kind and the version of its form.
const MAGIC: [u8; 8] = *b"CSINDEX\x01";
const ENTRY_LEN: usize = 36;

impl FaceIndex {
    /// Writes the index.
    ///
    /// # Errors
    /// When the stream or the engine fails.
    pub fn save<W: Write + Send>(&self, to: &mut W) -> Result<(), IndexError> {
        let form = u8::from(!self.is_exact());
        let numbers = [self.settings.dimension, self.trained_for, self.slots.numbers(), self.len()];
        let lists = self.lists().map_or(0, |(_, looks_into)| looks_into);
        let mut head = MAGIC.to_vec();
        head.push(form);
        head.extend(numbers.iter().flat_map(|number| (*number as u64).to_le_bytes()));
        head.extend(lists.to_le_bytes());
        to.write_all(&head).map_err(IndexError::Io)?;
        for slot in 0..self.slots.numbers() {
            to.write_all(&self.slots.saved(slot)).map_err(IndexError::Io)?;
        }
        match &self.form {
            Form::Exact(exact) => pipe::written(to, |name| exact.write(name)),
            Form::Inverted(inverted) => pipe::written(to, |name| inverted.write(name)),
        }
    }

    /// Bytes before the engine's own form in a saved index that gave out so many numbers.
    #[must_use]
    pub const fn saved_head_len(numbers: usize) -> usize {
        MAGIC.len() + 1 + 4 * 8 + 4 + numbers * ENTRY_LEN
    }

    /// Reads an index that was saved. The bytes must be known to be those that were written: the engine trusts them.
    ///
    /// # Errors
    /// When it does not fit the settings or itself, or needs more memory than it may have.
    pub fn load<R: Read + Send>(settings: Settings, from: &mut R) -> Result<Self, IndexError> {
        machine::check()?;
        let wrong = |field, expected| IndexError::Saved { field, expected };
        if bytes::<8, _>(from)? != MAGIC {
            return Err(wrong("header", "an index of this version"));
        }
        let [form] = bytes::<1, _>(from)?;
        let mut number = || Ok(usize::try_from(u64::from_le_bytes(bytes(from)?)).unwrap_or(usize::MAX));
        let (dimension, trained_for, numbers, len) = (number()?, number()?, number()?, number()?);
        if dimension != settings.dimension {
            return Err(wrong("dimension", "that of the model"));
        }
        let looks_into = u32::from_le_bytes(bytes(from)?);
        let needed = (numbers as u64).saturating_mul(dimension as u64);
        if needed > settings.bytes_max {
            return Err(IndexError::Memory { entries: len, bytes: needed, max: settings.bytes_max });
        }
        let mut slots = Slots::default();
        for _ in 0..numbers {
            slots.restore(&bytes::<ENTRY_LEN, _>(from)?)?;
        }
        slots.shrink();
        let (form, shape) = match form {
            0 => pipe::read(from, Exact::read).map(|exact| (exact.shape(), Form::Exact(exact))).map(swap)?,
            1 => pipe::read(from, Inverted::read).map(|inverted| (inverted.shape(), Form::Inverted(inverted))).map(swap)?,
            _ => return Err(wrong("form", "0 or 1")),
        };
        if shape != (u32::try_from(dimension).unwrap_or(u32::MAX), len as u64) || slots.len() != len {
            return Err(wrong("templates", "one for each entry"));
        }
        let mut index = Self { settings, slots, form, trained_for };
        if let Form::Inverted(inverted) = &mut index.form {
            inverted.look_into(looks_into.clamp(1, inverted.lists().max(1)));
        }
        Ok(index)
    }
}

fn swap<A, B>((a, b): (A, B)) -> (B, A) {
    (b, a)
}

fn bytes<const N: usize, R: Read>(from: &mut R) -> Result<[u8; N], IndexError> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).map_err(IndexError::Io)?;
    Ok(bytes)
}
