//! How a relay names the device it calls for.
//!
//! A relay stands between counters and center: it ends their TLS connections and makes one of its own. Each call it makes
//! for a counter names the certificate that the counter showed it, by its SHA-256. The center believes that only of a
//! device with the role of a relay, and only about devices of the relay's own institution. Not here: that rule.

/// The metadata entry that names the certificate: 64 lower-case hexadecimal digits.
pub const FOR_CERTIFICATE: &str = "countersign-for-certificate";

/// The entry's value for a certificate.
#[must_use]
pub fn to_text(certificate_sha256: &[u8; 32]) -> String {
    certificate_sha256.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The certificate that an entry names; nothing when it is not in order.
#[must_use]
pub fn from_text(text: &str) -> Option<[u8; 32]> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 64 || !text.bytes().all(is_digit) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_named_in_one_way() {
        let named = to_text(&[0xab; 32]);
        assert_eq!(from_text(&named), Some([0xab; 32]));
        for wrong in ["", &named[1..], &named.to_uppercase(), &"+f".repeat(32), &format!("{named}0")] {
            assert_eq!(from_text(wrong), None, "{wrong}");
        }
    }
}
