//! What each refusal says to people.

use matcher_core::receipt::Refusal;

/// A refusal in a sentence.
pub(crate) fn says(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Malformed => "it is no receipt, or is not in order",
        Refusal::WrongAlgorithm => "its header names another algorithm than EdDSA",
        Refusal::WrongType => "it is a token of another type",
        Refusal::Provisional => "it is provisional: a device signed it while the line was down",
        Refusal::UnknownKey => "its key is not in the key set",
        Refusal::BadSignature => "its signature is not by its key",
        Refusal::Drill => "it is of a drill, a simulator or a demonstration",
        Refusal::ForeignIssuer => "another center made it",
        Refusal::ForeignAudience => "it is meant for somebody else",
        Refusal::TooLongLived => "it claims a longer life than receipts have",
        Refusal::NotYetValid => "it was made after the settlement",
        Refusal::Expired => "it had expired",
        Refusal::OtherInstitution => "it is of another institution",
        Refusal::OtherTransaction => "it is of another transaction",
        Refusal::OtherScene => "it is of another scene and does not serve this one",
        Refusal::OtherCard => "it is of another card",
        Refusal::OtherAmount => "it is for another amount",
        Refusal::DocumentNotChecked => "the till was told to look at the document, and nobody says that they did",
        Refusal::NotForSettlement => "the till was told not to settle on it",
        Refusal::Used => "other settlements used it up",
        Refusal::Reversed => "it was reversed",
        Refusal::NotConfirmed => "the settlement never used it",
        Refusal::UnknownNumber => "there is no receipt of this number",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_refusals_say_the_same() {
        let said: BTreeSet<_> = Refusal::ALL.iter().map(|refusal| says(*refusal)).collect();
        assert_eq!(said.len(), Refusal::ALL.len());
    }
}
