//! What a till or an operator asks for: verify who stands here against this card.

use capture_core::{Attempt, Consent, IdentifierKind, IdentifierNumber, Notice, Operator, Region, Scene, TransactionId};
use proto::v1;

use crate::mac;

/// One request to verify, from either front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyCommand {
    /// The institution's transaction.
    pub transaction: TransactionId,
    /// Which attempt within it.
    pub attempt: Attempt,
    /// Where in the visit.
    pub scene: Scene,
    /// Which kind of number identifies the card's holder.
    pub id_kind: IdentifierKind,
    /// The number.
    pub number: IdentifierNumber,
    /// Who issued the card.
    pub region: Region,
    /// Who operates the counter.
    pub operator: Operator,
    /// The notice shown; where it is empty, the policy's.
    pub notice: Notice,
    /// The consent given; empty where none was asked for.
    pub consent: Consent,
}

impl VerifyCommand {
    /// A keyed digest of whom and what is verified (scene and identifier, not operator and notice): tells a
    /// repeated request from another one under the same transaction, without keeping the number.
    #[must_use]
    pub fn digest(&self, key: &[u8; 32]) -> [u8; 32] {
        let fields = [self.scene.word(), self.id_kind.word(), self.region.as_str(), self.number.as_str().trim()];
        mac::of_fields(key, &fields.map(str::as_bytes))
    }

    /// The identifier as it travels.
    #[must_use]
    pub fn identifier(&self) -> v1::Identifier {
        let kind = match self.id_kind {
            IdentifierKind::SocialSecurityCard => v1::IdentifierKind::SocialSecurityCard,
            IdentifierKind::ResidentIdentity => v1::IdentifierKind::ResidentIdentity,
        };
        v1::Identifier { kind: kind.into(), value: self.number.as_str().trim().to_owned(), region: self.region.as_str().to_owned() }
    }

    /// The scene as it travels.
    #[must_use]
    pub fn wire_scene(&self) -> v1::Scene {
        match self.scene {
            Scene::Registration => v1::Scene::Registration,
            Scene::Reception => v1::Scene::Reception,
            Scene::Settlement => v1::Scene::Settlement,
            Scene::Admission => v1::Scene::Admission,
            Scene::Discharge => v1::Scene::Discharge,
            Scene::Transfer => v1::Scene::Transfer,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn command(transaction: &str, number: &str) -> VerifyCommand {
        VerifyCommand {
            transaction: transaction.parse().unwrap(),
            attempt: Attempt::FIRST,
            scene: Scene::Settlement,
            id_kind: IdentifierKind::SocialSecurityCard,
            number: number.parse().unwrap(),
            region: Region::new("").unwrap(),
            operator: Operator::new("").unwrap(),
            notice: Notice::new("").unwrap(),
            consent: Consent::new("").unwrap(),
        }
    }

    #[test]
    fn the_digest_tells_card_and_scene_apart_and_nothing_else() {
        let base = command("T1", "100");
        let same = VerifyCommand { operator: Operator::new("0417").unwrap(), number: " 100 ".parse().unwrap(), ..base.clone() };
        assert_eq!(base.digest(&[1; 32]), same.digest(&[1; 32]));
        let others = [
            VerifyCommand { scene: Scene::Reception, ..base.clone() },
            VerifyCommand { number: "101".parse().unwrap(), ..base.clone() },
            VerifyCommand { id_kind: IdentifierKind::ResidentIdentity, ..base.clone() },
            VerifyCommand { region: "330200".parse().unwrap(), ..base.clone() },
        ];
        for other in others {
            assert_ne!(base.digest(&[1; 32]), other.digest(&[1; 32]), "{other:?}");
        }
        assert_ne!(base.digest(&[1; 32]), base.digest(&[2; 32]));
    }

    #[test]
    fn debug_shows_no_number() {
        assert!(!format!("{:?}", command("T1", "330203194910010027")).contains("330203"));
    }
}
