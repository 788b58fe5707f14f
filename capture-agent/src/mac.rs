//! HMAC-SHA256 under keys of 32 bytes.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The HMAC of the fields, each with its length, so that no two lists of fields look alike.
pub(crate) fn of_fields(key: &[u8; 32], fields: &[&[u8]]) -> [u8; 32] {
    // A key shorter than the block stands for itself with zeros behind it (RFC 2104).
    let mut block = Zeroizing::new([0_u8; 64]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut mac = Hmac::<Sha256>::new(&(*block).into());
    for field in fields {
        mac.update(&(field.len() as u64).to_be_bytes());
        mac.update(field);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_into_each_other() {
        assert_ne!(of_fields(&[1; 32], &[b"ab", b"c"]), of_fields(&[1; 32], &[b"a", b"bc"]));
        assert_ne!(of_fields(&[1; 32], &[b"ab"]), of_fields(&[2; 32], &[b"ab"]));
    }

    #[test]
    fn it_is_hmac_sha256() {
        let mut mac = Hmac::<Sha256>::new_from_slice(&[1; 32]).unwrap();
        mac.update(&[0, 0, 0, 0, 0, 0, 0, 2, b'a', b'b']);
        assert_eq!(of_fields(&[1; 32], &[b"ab"])[..], mac.finalize().into_bytes()[..]);
    }
}
