//! Envelopes as the center gets them, whole and altered.

use proptest::prelude::*;

use super::*;
use crate::v1::Capture;

fn device() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn address() -> Address {
    Address { device: "counter-1".into(), sequence: 1, transaction: "T1".into(), attempt: 1, body: BodyKind::Capture }
}

fn capture() -> Capture {
    Capture { operator: "0417".into(), ..Default::default() }
}

fn sealed(center: &OpeningKey) -> Envelope {
    seal(&address(), &capture(), &device(), center.public()).unwrap()
}

fn receive(envelope: Envelope, center: &OpeningKey) -> Result<Capture, EnvelopeError> {
    Parsed::new(envelope)?.authenticate(&device().verifying_key())?.open(center)?.message(BodyKind::Capture)
}

#[test]
fn the_center_reads_what_the_device_sealed() {
    let made = OpeningKey::generate();
    let center = OpeningKey::from_bytes(&*made.to_bytes()).unwrap();
    assert_eq!(center.public(), made.public());
    assert_eq!(receive(sealed(&center), &center).unwrap().operator, "0417");
}

#[test]
fn the_outside_is_the_one_that_was_signed() {
    let center = OpeningKey::generate();
    let envelope = sealed(&center);
    let parsed = Parsed::new(envelope.clone()).unwrap();
    assert_eq!((parsed.header().device.as_str(), parsed.header().recipient_key.clone()), ("counter-1", center.public().id()));
    let authentic = parsed.authenticate(&device().verifying_key()).unwrap();
    assert_eq!(authentic.header().encode_to_vec(), envelope.header);
    let error = authentic.open(&center).unwrap().message::<Capture>(BodyKind::Unspecified).unwrap_err();
    assert!(error.to_string().starts_with("envelope.header.body: expected "), "{error}");
}

#[test]
fn a_signature_is_over_the_very_bytes_that_are_documented() {
    let envelope = sealed(&OpeningKey::generate());
    let signed = [b"countersign.v1 envelope\0", envelope.header.as_slice()].concat();
    device().verifying_key().verify_strict(&signed, &Signature::from_slice(&envelope.signature).unwrap()).unwrap();
    let mut header = EnvelopeHeader::decode(envelope.header.as_slice()).unwrap();
    header.sequence += 1;
    let altered = Parsed::new(Envelope { header: header.encode_to_vec(), ..envelope }).unwrap();
    assert_eq!(altered.authenticate(&device().verifying_key()).unwrap_err(), EnvelopeError::BadSignature);
}

/// An envelope with one part changed is refused by that part's name.
#[track_caller]
fn check_part(field: &str, change: fn(&mut Envelope)) {
    let mut envelope = sealed(&OpeningKey::generate());
    change(&mut envelope);
    let error = Parsed::new(envelope).unwrap_err();
    assert!(error.to_string().starts_with(&format!("envelope.{field}: expected ")), "{error}");
}

#[test]
fn parts_of_another_length_are_named() {
    check_part("header", |e| e.header = Vec::new());
    check_part("header", |e| e.header.resize(1025, 0));
    check_part("signature", |e| e.signature.truncate(63));
    check_part("signature", |e| e.signature.push(0));
    check_part("encapsulated_key", |e| e.encapsulated_key.truncate(31));
    check_part("encapsulated_key", |e| e.encapsulated_key.push(0));
    check_part("ciphertext", |e| e.ciphertext.truncate(e.ciphertext.len() - 1));
    check_part("ciphertext", |e| e.ciphertext.push(0));
}

/// Whether a header with one field changed is in order, or the field that is not.
#[track_caller]
fn check_field(change: impl Fn(&mut EnvelopeHeader), expected: Option<&str>) {
    let mut header = EnvelopeHeader::decode(sealed(&OpeningKey::generate()).header.as_slice()).unwrap();
    change(&mut header);
    let error = check_header(&header).err().map(|error| error.to_string());
    let named = error.as_deref().map(|text| text.trim_start_matches("envelope.").split(':').next().unwrap());
    assert_eq!(named, expected);
}

#[test]
fn every_field_of_a_header_has_its_bounds() {
    check_field(|_| (), None);
    check_field(|h| h.version = 2, Some("header.version"));
    for (device, expected) in [
        ("", Some("header.device")),
        ("a b", Some("header.device")),
        (&*"x".repeat(65), Some("header.device")),
        (&*"x".repeat(64), None),
        ("A.b_c-9", None),
    ] {
        check_field(|h| h.device = device.into(), expected);
    }
    for (sequence, expected) in
        [(0, Some("header.sequence")), (1, None), (i64::MAX as u64, None), (i64::MAX as u64 + 1, Some("header.sequence"))]
    {
        check_field(|h| h.sequence = sequence, expected);
    }
    for (transaction, expected) in [
        ("", Some("header.transaction")),
        ("a b", Some("header.transaction")),
        (&*"/".repeat(65), Some("header.transaction")),
        (&*"/".repeat(64), None),
    ] {
        check_field(|h| h.transaction = transaction.into(), expected);
    }
    for (attempt, expected) in [(0, Some("header.attempt")), (99, None), (100, Some("header.attempt"))] {
        check_field(|h| h.attempt = attempt, expected);
    }
    check_field(|h| h.plaintext_sha256.truncate(31), Some("header.plaintext_sha256"));
    let len = Some("header.plaintext_len");
    for (plaintext_len, expected) in [(0, len), (31, len), (32, None), (33, None), (262_128, None), (262_129, len), (u32::MAX, len)] {
        check_field(|h| h.plaintext_len = plaintext_len, expected);
    }
    check_field(|h| h.body = 0, Some("header.body"));
}

#[test]
fn another_key_of_the_center_is_named() {
    let (center, other) = (OpeningKey::generate(), OpeningKey::generate());
    let error = receive(sealed(&center), &other).unwrap_err();
    assert_eq!(error, EnvelopeError::UnknownRecipient(center.public().id()));
}

#[test]
fn a_body_moved_under_another_header_does_not_open() {
    let center = OpeningKey::generate();
    let (mut a, b) = (sealed(&center), sealed(&center));
    a.ciphertext = b.ciphertext;
    a.encapsulated_key = b.encapsulated_key;
    assert_eq!(receive(a, &center).unwrap_err(), EnvelopeError::DoesNotOpen);
}

#[test]
fn a_device_that_signs_for_another_body_is_found_out() {
    let center = OpeningKey::generate();
    let mut header = EnvelopeHeader::decode(sealed(&center).header.as_slice()).unwrap();
    header.plaintext_sha256 = vec![0; 32];
    let (header, plaintext) = (header.encode_to_vec(), vec![0_u8; header.plaintext_len as usize]);
    let signature = device().sign(&signed_bytes(&header)).to_bytes();
    let public = <Kem as hpke::Kem>::PublicKey::from_bytes(center.public().as_bytes()).unwrap();
    let aad = associated_data(&header, &signature);
    let (key, ciphertext) = hpke::single_shot_seal::<Aead, Kdf, Kem>(&OpModeS::Base, &public, HPKE_INFO, &plaintext, &aad).unwrap();
    let forged = Envelope { header, signature: signature.to_vec(), encapsulated_key: key.to_bytes().to_vec(), ciphertext };
    assert_eq!(receive(forged, &center).unwrap_err(), EnvelopeError::DigestDiffers);
}

#[test]
fn the_same_capture_sealed_twice_gives_two_digests() {
    let center = OpeningKey::generate();
    let digest = |e| Parsed::new(e).unwrap().authenticate(&device().verifying_key()).unwrap().digest();
    assert_ne!(digest(sealed(&center)), digest(sealed(&center)));
}

#[test]
fn fields_of_the_header_are_named() {
    let center = OpeningKey::generate();
    let cases = [
        ("header.device", Address { device: "till 1".into(), ..address() }),
        ("header.sequence", Address { sequence: 0, ..address() }),
        ("header.transaction", Address { transaction: "x".repeat(65), ..address() }),
        ("header.attempt", Address { attempt: 100, ..address() }),
        ("header.body", Address { body: BodyKind::Unspecified, ..address() }),
    ];
    for (field, address) in cases {
        let error = seal(&address, &capture(), &device(), center.public()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("envelope.{field}: expected ")), "{error}");
    }
}

#[test]
fn a_body_over_the_bound_is_refused() {
    let center = OpeningKey::generate();
    let huge = Capture { notice: "x".repeat(CIPHERTEXT_LEN_MAX), ..Default::default() };
    assert!(matches!(
        seal(&address(), &huge, &device(), center.public()),
        Err(EnvelopeError::Malformed { field: "header.plaintext_len", .. })
    ));
}

proptest! {
    #[test]
    fn no_single_altered_byte_passes(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let center = OpeningKey::generate();
        let mut envelope = sealed(&center);
        let len = envelope.header.len() + envelope.signature.len() + envelope.encapsulated_key.len() + envelope.ciphertext.len();
        let mut at = at.index(len);
        for part in [&mut envelope.header, &mut envelope.signature, &mut envelope.encapsulated_key, &mut envelope.ciphertext] {
            if at < part.len() {
                part[at] ^= flip;
                break;
            }
            at -= part.len();
        }
        prop_assert!(receive(envelope, &center).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(header: Vec<u8>, signature: Vec<u8>, key: Vec<u8>, ciphertext: Vec<u8>) {
        let _ = Parsed::new(Envelope { header, signature, encapsulated_key: key, ciphertext });
    }
}
