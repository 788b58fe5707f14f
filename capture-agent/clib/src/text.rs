//! The caller's encoding: UTF-8, or GBK as older till software has it.

use encoding_rs::{GBK, UTF_8};
use serde::Deserialize;

/// How texts are encoded at the boundary, both ways.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum Encoding {
    /// UTF-8.
    #[default]
    #[serde(rename = "utf-8", alias = "UTF-8", alias = "utf8")]
    Utf8,
    /// GBK. What has no character in it is written as a numeric reference such as `&#128512;`.
    #[serde(rename = "gbk", alias = "GBK")]
    Gbk,
}

impl Encoding {
    /// Reads bytes; nothing where they are not of this encoding.
    pub(crate) fn read(self, bytes: &[u8]) -> Option<String> {
        let encoding = match self {
            Self::Utf8 => UTF_8,
            Self::Gbk => GBK,
        };
        encoding.decode_without_bom_handling_and_without_replacement(bytes).map(std::borrow::Cow::into_owned)
    }

    /// Writes a text; a NUL in it would end it early and becomes a space.
    pub(crate) fn write(self, text: &str) -> Vec<u8> {
        let mut bytes = match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Gbk => GBK.encode(text).0.into_owned(),
        };
        bytes.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
        bytes
    }

    /// As many bytes of a text as fit into `room`, ending with a whole character.
    pub(crate) fn cut(self, text: &str, room: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for c in text.chars() {
            let more = self.write(c.encode_utf8(&mut [0; 4]));
            if bytes.len() + more.len() > room {
                break;
            }
            bytes.extend(more);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(encoding: Encoding, text: &str, bytes: &[u8]) {
        assert_eq!(encoding.write(text), bytes);
        assert_eq!(encoding.read(bytes).as_deref(), Some(text));
    }

    #[test]
    fn texts_go_both_ways() {
        check(Encoding::Utf8, "医保", "医保".as_bytes());
        check(Encoding::Gbk, "医保", b"\xd2\xbd\xb1\xa3");
        check(Encoding::Gbk, "A-1", b"A-1");
        assert_eq!(Encoding::Utf8.read(b"\xd2\xbd\xb1\xa3"), None);
        assert_eq!(Encoding::Gbk.read(b"\xff"), None);
        assert_eq!(Encoding::Gbk.write("\u{1f600}"), b"&#128512;");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(Encoding::Utf8.cut("a医保", 6), "a医".as_bytes());
        assert_eq!(Encoding::Gbk.cut("a医保", 4), b"a\xd2\xbd");
        assert_eq!(Encoding::Gbk.cut("医", 1), b"");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>(), room in 0_usize..64) {
            for encoding in [Encoding::Utf8, Encoding::Gbk] {
                if let Some(text) = encoding.read(&bytes) {
                    let cut = encoding.cut(&text, room);
                    prop_assert!(cut.len() <= room && !cut.contains(&0));
                    prop_assert!(encoding.read(&cut).is_some());
                }
            }
        }
    }
}
