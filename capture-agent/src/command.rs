//! What a till or an operator asks for: verify who stands here against this card.

use capture_core::{
    Attempt, Consent, DocumentKind, DocumentNumber, IdentifierKind, IdentifierNumber, Notice, Operator, PersonName, Region, Scene,
    TransactionId, Way,
};
use proto::v1;

use crate::mac;

/// One request to verify, from either front.
#[derive(Debug, Clone, PartialEq)]
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
    /// What is looked at.
    pub by: By,
    /// Who came in the holder's place.
    pub proxy: Option<Proxy>,
}

/// What is looked at in an attempt.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum By {
    /// A face, compared with the enrolled photo.
    #[default]
    Face,
    /// A face, compared with the photo in a document's chip.
    Chip {
        /// Whose chip it is of.
        kind: DocumentKind,
        /// The template of its photo. For this attempt alone; kept nowhere.
        template: v1::Template,
    },
    /// No face: the operator looked at a document.
    Document {
        /// Which document.
        kind: DocumentKind,
        /// What the operator says.
        same_person: bool,
    },
    /// No face: another way.
    OtherWay,
}

impl By {
    /// The way it is.
    #[must_use]
    pub fn way(&self) -> Way {
        match self {
            Self::Face => Way::Face,
            Self::Chip { .. } => Way::Chip,
            Self::Document { .. } => Way::DocumentCheck,
            Self::OtherWay => Way::OtherWay,
        }
    }

    /// What travels where no camera is asked.
    #[must_use]
    pub fn without_camera(&self) -> Option<v1::capture::Outcome> {
        match self {
            Self::Face | Self::Chip { .. } => None,
            Self::Document { kind, same_person } => {
                let check = v1::DocumentCheck { same_person: *same_person, document_kind: wire_document(*kind).into() };
                Some(v1::capture::Outcome::DocumentCheck(check))
            }
            Self::OtherWay => Some(v1::capture::Outcome::OtherWay(v1::OtherWay {})),
        }
    }
}

/// Who came in a holder's place, by their own document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Which document.
    pub kind: DocumentKind,
    /// Its number.
    pub number: DocumentNumber,
    /// The name in it; may be empty.
    pub name: PersonName,
}

/// A document's kind as it travels.
#[must_use]
pub fn wire_document(kind: DocumentKind) -> v1::DocumentKind {
    match kind {
        DocumentKind::ResidentIdentity => v1::DocumentKind::ResidentIdentity,
        DocumentKind::SocialSecurityCard => v1::DocumentKind::SocialSecurityCard,
        DocumentKind::Passport => v1::DocumentKind::Passport,
        DocumentKind::TravelPermit => v1::DocumentKind::TravelPermit,
        DocumentKind::PermanentResidence => v1::DocumentKind::PermanentResidence,
        DocumentKind::HouseholdRegister => v1::DocumentKind::HouseholdRegister,
        DocumentKind::Service => v1::DocumentKind::Service,
        DocumentKind::Other => v1::DocumentKind::Other,
    }
}

impl VerifyCommand {
    /// A keyed digest of whom and what is verified, and by which way (not operator and notice): tells a
    /// repeated request from another one under the same transaction, without keeping the number.
    #[must_use]
    pub fn digest(&self, key: &[u8; 32]) -> [u8; 32] {
        let fields = [self.scene.word(), self.id_kind.word(), self.region.as_str(), self.number.as_str().trim()];
        let said = match &self.by {
            By::Face | By::Chip { .. } | By::OtherWay => "",
            By::Document { same_person: true, .. } => "same_person",
            By::Document { same_person: false, .. } => "not_the_person",
        };
        let mut fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
        // A face of the holder's own has the digest it had before there were other ways.
        if self.by.way() != Way::Face || self.proxy.is_some() {
            let proxy = self.proxy.as_ref().map_or(("", ""), |proxy| (proxy.kind.word(), proxy.number.as_str().trim()));
            fields.extend([self.by.way().word(), said, proxy.0, proxy.1].map(str::as_bytes));
        }
        mac::of_fields(key, &fields)
    }

    /// The proxy as they travel.
    #[must_use]
    pub fn wire_proxy(&self) -> Option<v1::Proxy> {
        self.proxy.as_ref().map(|proxy| v1::Proxy {
            document_kind: wire_document(proxy.kind).into(),
            document_number: proxy.number.as_str().trim().to_owned(),
            name: proxy.name.as_str().to_owned(),
        })
    }

    /// The chip's reference as it travels.
    #[must_use]
    pub fn wire_chip(&self) -> Option<v1::ChipReference> {
        match &self.by {
            By::Chip { kind, template } => {
                Some(v1::ChipReference { template: Some(template.clone()), document_kind: wire_document(*kind).into() })
            }
            By::Face | By::Document { .. } | By::OtherWay => None,
        }
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
            by: By::Face,
            proxy: None,
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
            VerifyCommand { by: By::OtherWay, ..base.clone() },
            VerifyCommand { by: By::Document { kind: DocumentKind::Passport, same_person: true }, ..base.clone() },
            VerifyCommand { by: By::Document { kind: DocumentKind::Passport, same_person: false }, ..base.clone() },
            VerifyCommand { proxy: Some(proxy()), ..base.clone() },
        ];
        for other in others {
            assert_ne!(base.digest(&[1; 32]), other.digest(&[1; 32]), "{other:?}");
        }
        assert_ne!(base.digest(&[1; 32]), base.digest(&[2; 32]));
    }

    fn proxy() -> Proxy {
        Proxy { kind: DocumentKind::Passport, number: "E12345678".parse().unwrap(), name: "孙浩".parse().unwrap() }
    }

    #[test]
    fn debug_shows_no_proxy() {
        let shown = format!("{:?}", VerifyCommand { proxy: Some(proxy()), ..command("T1", "100") });
        assert!(!shown.contains("E1234") && !shown.contains('孙'), "{shown}");
    }

    #[test]
    fn debug_shows_no_number() {
        assert!(!format!("{:?}", command("T1", "330203194910010027")).contains("330203"));
    }
}
