//! Receipts, their numbers and key sets of any bytes: an answer, never a panic. `cargo fuzz run receipt` in `matcher/core/`
//! (on stable with `--sanitizer none`).
#![no_main]

use libfuzzer_sys::fuzz_target;
use matcher_core::receipt::{Claims, KeySet, ReceiptNumber, provisional::ProvisionalClaims};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(number) = text.parse::<ReceiptNumber>() {
        assert_eq!(number.to_string().parse(), Ok(number));
    }
    if let Ok(set) = KeySet::from_jwks(&text) {
        assert_eq!(KeySet::from_jwks(&set.to_jwks()).ok(), Some(set));
    }
    let _ = Claims::unverified(&text);
    assert!(Claims::verified(&text, &KeySet::default()).is_err());
    assert!(ProvisionalClaims::check(&text, "settlement", |_| None).is_err());
});
