//! Secret keys in one text: 64 hexadecimal digits a line, newest first, each after a line `# made <RFC 3339>`.
//!
//! A line of digits without that line before it is a key of unknown age.

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{decode_hex, hex};

/// Before when a key was made.
pub const MADE: &str = "# made ";
/// Before a look-up key that nobody is found under any more.
pub const FORGOTTEN_ONLY: &str = "# for the forgotten only";

/// A key of the text.
pub struct DatedSecret {
    /// When it was made, if the text says so.
    pub made: Option<Timestamp>,
    /// Whether the text says that only the forgotten need it; look-up keys alone.
    pub forgotten_only: bool,
    /// The key.
    pub key: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for DatedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatedSecret").field("made", &self.made).field("key", &"[redacted]").finish()
    }
}

/// The keys of a text, newest first; none when it is not in its form.
#[must_use]
pub fn parse(text: &str) -> Option<Vec<DatedSecret>> {
    let (mut keys, mut made, mut forgotten_only) = (Vec::new(), None, false);
    for line in text.lines().map(str::trim) {
        if let Some(at) = line.strip_prefix(MADE) {
            made = Some(at.parse().ok()?);
        } else if line == FORGOTTEN_ONLY {
            forgotten_only = true;
        } else if !line.is_empty() && !line.starts_with('#') {
            keys.push(DatedSecret { made: made.take(), forgotten_only: std::mem::take(&mut forgotten_only), key: decode_hex(line)? });
        }
    }
    (!keys.is_empty()).then_some(keys)
}

/// A text with a new key before those it has.
#[must_use]
pub fn with_new(text: &str, key: &[u8; 32], now: Timestamp) -> Zeroizing<String> {
    let digits = Zeroizing::new(hex(key));
    Zeroizing::new(format!("{MADE}{}\n{}\n{text}", now.strftime("%Y-%m-%dT%H:%M:%SZ"), *digits))
}

/// A text without any but its newest key, comments included.
#[must_use]
pub fn newest_alone(text: &str) -> Zeroizing<String> {
    let mut seen = false;
    let mut kept = Zeroizing::new(String::new());
    for line in text.lines() {
        let trimmed = line.trim();
        if seen && (!trimmed.starts_with('#') || trimmed.starts_with(MADE.trim_end())) {
            continue;
        }
        seen = seen || !(trimmed.is_empty() || trimmed.starts_with('#'));
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn keys_come_newest_first_with_their_age() {
        let first = with_new("# Wraps the data keys.\n", &[1; 32], at(1));
        let both = with_new(&first, &[2; 32], at(2));
        let keys = parse(&both).unwrap();
        assert_eq!(keys.iter().map(|key| (key.made, key.key[0])).collect::<Vec<_>>(), [(Some(at(2)), 2), (Some(at(1)), 1)]);
        let alone = newest_alone(&both);
        assert_eq!(parse(&alone).unwrap().len(), 1);
        assert_eq!(parse(&alone).unwrap()[0].key[0], 2);
        assert!(alone.contains("Wraps the data keys"));
        assert_eq!(parse(&"3".repeat(64)).unwrap()[0].made, None);
    }

    #[test]
    fn texts_that_are_not_in_order_are_none() {
        for text in ["", "# made 2026-01-01T00:00:00Z", "# made yesterday\n", "123", &format!("{}\nx", "1".repeat(64))] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let keys = parse(&with_new("", &[0xab; 32], at(0))).unwrap();
        assert!(!format!("{keys:?}").contains("abab") && !format!("{keys:?}").contains("171, 171"));
    }
}
