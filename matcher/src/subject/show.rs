//! A person for people's eyes and for programs: numbers masked, no picture, no features.

use serde_json::{Value, json};

use crate::{
    app::{person::open_birth, subjects},
    listing::json::utc,
    store::{BoundIdentifier, subjects::SubjectFile},
    vault::{DataKey, IdentifierContext},
};

/// One JSON object.
pub(super) fn json(file: &SubjectFile, key: &DataKey) -> String {
    format!("{:#}", object(file, key))
}

/// Lines for people.
pub(super) fn text(file: &SubjectFile, key: &DataKey) -> String {
    let mut lines = vec![format!("person {}, enrolled since {}", file.subject.subject, utc(file.created_at))];
    if let Some(withdrawn_at) = file.subject.withdrawn_at {
        lines.push(format!("consent withdrawn {}", utc(withdrawn_at)));
    }
    if let Some(birth) = birth(file, key) {
        lines.push(format!("born {birth}"));
    }
    for identifier in subjects::numbers(file, key) {
        let number = masked(file, key, identifier);
        lines.push(format!("{} {} {number}", identifier.key.kind.word(), region(identifier)));
    }
    for photo in &file.photos {
        let taken = photo.photo_taken_on.as_ref().map(|day| format!(", taken {day}")).unwrap_or_default();
        let until = photo.life.valid_until.map(|until| format!(", valid until {}", utc(until))).unwrap_or_default();
        let (source, state) = (photo.source.word(), photo.life.state.word());
        lines.push(format!("photo {} {source} {state}{taken}{until}", photo.photo));
        for reference in file.subject.references.iter().filter(|reference| reference.photo == photo.photo) {
            lines.push(format!("  reference {} by {} {}", reference.record, reference.model, reference.recipe));
        }
    }
    for hold in &file.holds {
        let released = hold.released.as_ref().map(|(by, at)| format!(", released {} by {by}", utc(*at))).unwrap_or_default();
        let until = hold.until.map(|until| format!(" until {}", utc(until))).unwrap_or_default();
        lines.push(format!("held{until} by {} since {}: {}{released}", hold.placed_by, utc(hold.placed_at), hold.reason));
    }
    let captured = file.verifications.iter().filter(|(_, probe)| probe.is_some()).count();
    lines.push(format!("{} verifications, {captured} with what was captured; {} flags", file.verifications.len(), file.flags.len()));
    lines.join("\n")
}

fn object(file: &SubjectFile, key: &DataKey) -> Value {
    let identifiers = subjects::numbers(file, key).into_iter().map(|identifier| {
        json!({ "kind": identifier.key.kind.word(), "region": identifier.key.region, "masked": masked(file, key, identifier),
                "bound": identifier.number.is_some() })
    });
    let photos = file.photos.iter().map(|photo| {
        json!({ "photo": photo.photo.to_string(), "source": photo.source.word(), "state": photo.life.state.word(),
                "enrolled_at": utc(photo.life.enrolled_at), "taken_on": photo.photo_taken_on,
                "valid_from": photo.life.valid_from.map(utc), "valid_until": photo.life.valid_until.map(utc) })
    });
    let references = file.subject.references.iter().map(|reference| {
        json!({ "reference": reference.record.to_string(), "photo": reference.photo.to_string(), "model": reference.model,
                "recipe": reference.recipe })
    });
    let holds = file.holds.iter().map(|hold| {
        json!({ "reason": hold.reason, "placed_by": hold.placed_by, "placed_at": utc(hold.placed_at), "until": hold.until.map(utc),
                "released_at": hold.released.as_ref().map(|(_, at)| utc(*at)) })
    });
    json!({
        "subject": file.subject.subject.to_string(), "enrolled_since": utc(file.created_at), "birth": birth(file, key),
        "consent_withdrawn_at": file.subject.withdrawn_at.map(utc), "identifiers": identifiers.collect::<Vec<Value>>(), "photos": photos.collect::<Vec<Value>>(),
        "references": references.collect::<Vec<Value>>(), "holds": holds.collect::<Vec<Value>>(), "verifications": file.verifications.len(),
        "captured": file.verifications.iter().filter(|(_, probe)| probe.is_some()).count(), "flags": file.flags.len(),
    })
}

fn birth(file: &SubjectFile, key: &DataKey) -> Option<String> {
    let sealed = file.subject.birth.as_ref()?;
    open_birth(key, file.subject.subject, sealed).map(matcher_core::Birth::text)
}

fn masked(file: &SubjectFile, key: &DataKey, identifier: &BoundIdentifier) -> String {
    let context = IdentifierContext { subject: file.subject.subject, key: &identifier.key };
    match &identifier.number {
        None => "(not sealed yet)".to_owned(),
        Some(sealed) => key.open_number(&context, sealed).map_or_else(|_| "(does not open)".to_owned(), |number| number.masked()),
    }
}

fn region(identifier: &BoundIdentifier) -> &str {
    if identifier.key.region.is_empty() { "own region" } else { &identifier.key.region }
}
