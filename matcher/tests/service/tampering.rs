//! Envelopes altered on the way, and records altered in the database.

use proto::v1;
use tonic::Code;

use crate::support::{TestCenter, TestDevice, capture};

const CARD: &str = "A10020001";
const OTHER: &str = "A10020002";

#[tokio::test]
async fn an_altered_envelope_is_refused_whichever_part_was_altered() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    type Alter<'a> = &'a dyn Fn(&mut v1::Envelope);
    let flip = |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1;
    let cases: [(&str, Code, Alter<'_>); 6] = [
        ("envelope.signature: expected the device's signature", Code::PermissionDenied, &|e| flip(&mut e.signature)),
        ("envelope.ciphertext: expected a body sealed under this header", Code::InvalidArgument, &|e| flip(&mut e.ciphertext)),
        ("envelope.ciphertext: expected a body sealed under this header", Code::InvalidArgument, &|e| flip(&mut e.encapsulated_key)),
        ("envelope.ciphertext: expected", Code::InvalidArgument, &|e| e.ciphertext.push(0)),
        ("envelope.header: expected", Code::InvalidArgument, &|e| e.header.clear()),
        ("envelope.signature: expected 64 bytes, got 63", Code::InvalidArgument, &|e| e.signature.truncate(63)),
    ];
    for (expected, code, alter) in cases {
        let mut envelope = device.seal(&device.address("T-1", 1), &capture(CARD, 0.8));
        alter(&mut envelope);
        let status = device.send(envelope).await.unwrap_err();
        assert_eq!(status.code(), code, "{}", status.message());
        assert!(status.message().starts_with(expected), "{}", status.message());
    }
    assert!(center.verifications().await.is_empty());
}

#[tokio::test]
async fn a_header_altered_on_the_way_is_found_by_its_signature() {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    let mut envelope = device.seal(&device.address("T-1", 1), &capture(CARD, 0.8));
    let mut header: v1::EnvelopeHeader = prost::Message::decode(envelope.header.as_slice()).unwrap();
    header.transaction = "T-2".into();
    envelope.header = prost::Message::encode_to_vec(&header);
    let status = device.send(envelope).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{}", status.message());
    assert!(status.message().starts_with("envelope.signature"), "{}", status.message());
}

#[tokio::test]
async fn a_body_for_another_center_and_no_envelope_at_all_are_named() {
    let (center, other) = (TestCenter::init().await, TestCenter::init().await);
    let (device, foreign) = (center.device("1").await, other.device("1").await);
    let key = proto::envelope::OpeningKey::generate();
    let envelope = device.seal_to(&device.address("T-1", 1), &capture(CARD, 0.8), key.public());
    let status = device.send(envelope).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(
        status.message().starts_with("envelope.header.recipient_key: expected one of the center's opening keys"),
        "{}",
        status.message()
    );
    // Same name at two centers, another key.
    let status = device.send(foreign.seal_to(&foreign.address("T-1", 1), &capture(CARD, 0.8), &device.opening_key())).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let mut client = v1::verification_service_client::VerificationServiceClient::new(device.channel());
    let status = client.verify(v1::VerifyRequest { envelope: None }).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "envelope: expected an envelope"));
}

#[tokio::test]
async fn a_body_of_another_kind_is_named() {
    let (_center, device) = TestCenter::with_device().await;
    let address = proto::envelope::Address { body: v1::BodyKind::Enrolment, ..device.address("T-1", 1) };
    let status = device.send(device.seal(&address, &capture(CARD, 0.8))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("envelope.header.body: expected BODY_KIND_CAPTURE"), "{}", status.message());
}

/// Every way to swap what two people's rows hold makes both fail closed.
async fn check_fails_closed(center: &TestCenter, device: &TestDevice, transactions: [&str; 2]) {
    for (transaction, card) in transactions.into_iter().zip([CARD, OTHER]) {
        let answer = device.verify(transaction, &capture(card, 1.0)).await.unwrap();
        assert_eq!(answer.decision(), v1::Decision::NoDecision, "{transaction}");
        assert_eq!(answer.reasons, ["reference_unreadable"], "{transaction}");
        assert_eq!(answer.disposition(), v1::Disposition::DocumentCheck);
        assert_eq!(answer.score, None);
    }
    assert!(center.flag_words().await.iter().all(|word| *word == "tampering_suspected"));
}

const SWAP: &str = "
    CREATE TEMP TABLE pair AS SELECT row_number() OVER () AS n, subject_id FROM reference;
    CREATE TEMP TABLE swap AS
        SELECT a.subject_id AS here, b.subject_id AS there FROM pair a, pair b WHERE a.n <> b.n;
";

async fn two_people() -> (TestCenter, TestDevice) {
    let (center, device) = TestCenter::with_device().await;
    center.enrol(CARD).await;
    center.enrol(OTHER).await;
    (center, device)
}

#[tokio::test]
async fn swapped_templates_open_for_nobody() {
    let (center, device) = two_people().await;
    center.meddle(&format!(
        "{SWAP} CREATE TEMP TABLE kept AS SELECT * FROM reference;
         UPDATE reference SET template = (SELECT k.template FROM kept k, swap s WHERE s.here = reference.subject_id AND k.subject_id = s.there);"
    ));
    check_fails_closed(&center, &device, ["T-1", "T-2"]).await;
    assert_eq!(center.flags().await.len(), 2);
}

#[tokio::test]
async fn swapped_rows_open_for_nobody() {
    let (center, device) = two_people().await;
    let swapped = |table: &str| {
        format!(
            "CREATE TEMP TABLE {table}_kept AS SELECT * FROM {table};
             UPDATE {table}_kept SET subject_id = (SELECT s.there FROM swap s WHERE s.here = subject_id);"
        )
    };
    center.meddle(&format!(
        "PRAGMA foreign_keys = 0; {SWAP} {} {}
         DELETE FROM reference; DELETE FROM enrolment;
         INSERT INTO enrolment SELECT * FROM enrolment_kept; INSERT INTO reference SELECT * FROM reference_kept;",
        swapped("enrolment"),
        swapped("reference")
    ));
    check_fails_closed(&center, &device, ["T-1", "T-2"]).await;
}

#[tokio::test]
async fn a_card_that_is_pointed_at_somebody_else_finds_nobody() {
    let (center, device) = two_people().await;
    center.meddle(&format!("{SWAP} UPDATE identifier SET subject_id = (SELECT s.there FROM swap s WHERE s.here = identifier.subject_id);"));
    check_fails_closed(&center, &device, ["T-1", "T-2"]).await;
    assert_eq!(center.flags().await.len(), 2);
    assert!(center.verifications().await.iter().all(|record| record.subject.is_none()), "nothing is recorded about the wrong person");
    assert_eq!(center.count("SELECT count(*) FROM probe"), 0, "and no face is kept under the wrong person's key");
}

#[tokio::test]
async fn a_card_whose_seal_is_taken_away_or_copied_finds_nobody() {
    let (center, device) = two_people().await;
    let swap = "UPDATE identifier SET subject_id = (SELECT s.there FROM swap s WHERE s.here = identifier.subject_id)";
    center.meddle(&format!("{SWAP} {swap}; UPDATE identifier SET number = NULL, lookup_key_id = '';"));
    check_fails_closed(&center, &device, ["T-1", "T-2"]).await;
    let (center, device) = two_people().await;
    center.meddle(&format!(
        "{SWAP} CREATE TEMP TABLE seals AS SELECT * FROM identifier; {swap};
         UPDATE identifier SET number = (SELECT number FROM seals WHERE seals.subject_id = identifier.subject_id);"
    ));
    check_fails_closed(&center, &device, ["T-3", "T-4"]).await;
}

#[tokio::test]
async fn swapped_data_keys_open_for_nobody() {
    let (center, device) = two_people().await;
    center.meddle(&format!(
        "{SWAP} CREATE TEMP TABLE kept AS SELECT * FROM data_key;
         UPDATE data_key SET wrapped = (SELECT k.wrapped FROM kept k, swap s WHERE s.here = data_key.subject_id AND k.subject_id = s.there);"
    ));
    check_fails_closed(&center, &device, ["T-1", "T-2"]).await;
}

#[tokio::test]
async fn one_altered_bit_of_a_template_opens_for_nobody() {
    let (center, device) = two_people().await;
    center.meddle("UPDATE reference SET template = CAST(substr(template, 1, 100) || x'00' || substr(template, 102) AS BLOB)");
    check_fails_closed(&center, &device, ["T-1", "T-2"]).await;
}
