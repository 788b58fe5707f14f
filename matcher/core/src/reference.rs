//! The life of references: where they come from, when they hold, and which of them a probe is compared with.
//!
//! A person may have a photo from each source, at most [`REFERENCES_MAX`] in use at a time. The best score counts,
//! so that n references multiply the chance of a false match of one attempt by up to n, as k attempts multiply it
//! by up to k: a target per transaction of FMR f asks for a threshold at f ÷ (n · k) per comparison. The cap keeps
//! that factor small and known. Not here: what a score means (`decision`), and how references are stored.

use crate::words::words;

/// Photos of one person that are in use at a time, at most.
pub const REFERENCES_MAX: usize = 3;

words! {
    /// Where the photo of a reference comes from. A new one supersedes the older one of the same source.
    ReferenceSource {
        /// The photo library of the card's issuer.
        CardPhoto = "card_photo",
        /// The chip of a document.
        DocumentChip = "document_chip",
        /// Taken at a counter of the center's own.
        Counter = "counter",
        /// Anywhere else.
        Other = "other",
    }
}

words! {
    /// What became of a photo.
    PhotoState {
        /// It is in use.
        Active = "active",
        /// A newer one took its place; it is kept for a while, for captures that were made before.
        Superseded = "superseded",
        /// It was wrong and is never compared with again.
        Revoked = "revoked",
    }
}

/// When a photo's references hold. Times are milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// What became of it.
    pub state: PhotoState,
    /// When that was.
    pub changed_at: i64,
    /// When it was enrolled.
    pub enrolled_at: i64,
    /// From when it holds, where that is said.
    pub valid_from: Option<i64>,
    /// Until when, that moment excluded, where that is said.
    pub valid_until: Option<i64>,
}

impl Life {
    /// The life of a photo that is in use from now on and holds without an end.
    #[must_use]
    pub fn begun(at: i64) -> Self {
        Self { state: PhotoState::Active, changed_at: at, enrolled_at: at, valid_from: None, valid_until: None }
    }

    /// Whether it could be compared with a capture of a time: it held then, and was not superseded before.
    #[must_use]
    pub fn holds_at(&self, captured_at: i64) -> bool {
        let in_use = match self.state {
            PhotoState::Active => true,
            PhotoState::Superseded => captured_at < self.changed_at,
            PhotoState::Revoked => false,
        };
        in_use && self.valid_from.is_none_or(|from| from <= captured_at) && self.valid_until.is_none_or(|until| captured_at < until)
    }
}

/// Which photos a capture of a time is compared with: those that were enrolled by then, and only where there were
/// none those that came afterwards (a capture may have waited in a spool while the person was enrolled).
#[must_use]
pub fn in_force(lives: &[Life], captured_at: i64) -> Vec<usize> {
    let holding = || lives.iter().enumerate().filter(|(_, life)| life.holds_at(captured_at));
    let then: Vec<usize> = holding().filter(|(_, life)| life.enrolled_at <= captured_at).map(|(index, _)| index).collect();
    if then.is_empty() { holding().map(|(index, _)| index).collect() } else { then }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn life(enrolled_at: i64) -> Life {
        Life::begun(enrolled_at)
    }

    #[track_caller]
    fn check(lives: &[Life], captured_at: i64, expected: &[usize]) {
        assert_eq!(in_force(lives, captured_at), expected, "{lives:?} at {captured_at}");
    }

    #[test]
    fn a_capture_meets_the_photos_of_its_time() {
        let superseded = Life { state: PhotoState::Superseded, changed_at: 50, ..life(10) };
        let revoked = Life { state: PhotoState::Revoked, changed_at: 50, ..life(10) };
        check(&[superseded, life(50)], 49, &[0]);
        check(&[superseded, life(50)], 50, &[1]);
        check(&[revoked, life(50)], 20, &[1]);
        check(&[life(50), life(60)], 20, &[0, 1]);
        check(&[life(10), life(60)], 20, &[0]);
        check(&[], 20, &[]);
    }

    #[test]
    fn validity_includes_its_start_and_not_its_end() {
        let bounded = Life { valid_from: Some(20), valid_until: Some(30), ..life(0) };
        for (at, expected) in [(19, false), (20, true), (29, true), (30, false)] {
            assert_eq!(bounded.holds_at(at), expected, "{at}");
        }
    }

    proptest! {
        #[test]
        fn a_revoked_photo_is_never_in_force(at in -100_i64..100, enrolled in -100_i64..100, changed in -100_i64..100) {
            let revoked = Life { state: PhotoState::Revoked, changed_at: changed, ..life(enrolled) };
            prop_assert!(in_force(&[revoked], at).is_empty());
        }
    }
}
