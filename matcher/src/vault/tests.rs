//! What the vault must refuse, and what it must not show.

use proptest::prelude::*;

use super::*;

const SUBJECT: SubjectId = SubjectId([1; 16]);
const RECORD: RecordId = RecordId([2; 16]);
const OPENS_NOT: VaultError = VaultError::Record { table: "reference", column: "template" };

fn vault() -> Vault {
    Vault::new(KeyEncryptionKey::new([7; 32]))
}

fn place() -> RecordContext<'static> {
    RecordContext::reference_template(SUBJECT, RECORD, "m@1")
}

#[test]
fn a_record_opens_at_its_place_and_with_a_data_key_from_the_store() {
    let (key, wrapped) = vault().new_data_key(SUBJECT);
    let sealed = key.seal(&place(), b"features");
    assert_eq!(sealed.0.len(), b"features".len() + cipher::OVERHEAD);
    let key = vault().unwrap_data_key(SUBJECT, &wrapped).unwrap();
    assert_eq!(key.open(&place(), &sealed).unwrap().as_slice(), b"features");
}

#[test]
fn a_record_moved_elsewhere_does_not_open() {
    let (key, _) = vault().new_data_key(SUBJECT);
    let sealed = key.seal(&place(), b"features");
    let elsewhere = [
        RecordContext { table: "probe", ..place() },
        RecordContext { column: "photo", ..place() },
        RecordContext { subject: SubjectId([9; 16]), ..place() },
        RecordContext { record: RecordId([9; 16]), ..place() },
        RecordContext { model: "m@2", ..place() },
        RecordContext { model: "", ..place() },
    ];
    for context in elsewhere {
        assert!(key.open(&context, &sealed).is_err(), "{context:?}");
    }
}

#[test]
fn swapped_rows_of_two_people_do_not_open() {
    let (a, b) = (SubjectId([1; 16]), SubjectId([2; 16]));
    let ((key_a, wrapped_a), (key_b, wrapped_b)) = (vault().new_data_key(a), vault().new_data_key(b));
    let at = |subject| RecordContext::reference_template(subject, RECORD, "m@1");
    let (sealed_a, sealed_b) = (key_a.seal(&at(a), b"a"), key_b.seal(&at(b), b"b"));
    assert_eq!(key_a.open(&at(a), &sealed_b).unwrap_err(), OPENS_NOT);
    assert_eq!(key_b.open(&at(b), &sealed_a).unwrap_err(), OPENS_NOT);
    assert_eq!(vault().unwrap_data_key(a, &wrapped_b).unwrap_err(), VaultError::DataKey);
    assert_eq!(vault().unwrap_data_key(b, &wrapped_a).unwrap_err(), VaultError::DataKey);
}

#[test]
fn another_key_encryption_key_opens_nothing() {
    let (_, wrapped) = vault().new_data_key(SUBJECT);
    let other = Vault::new(KeyEncryptionKey::new([8; 32]));
    assert_eq!(other.unwrap_data_key(SUBJECT, &wrapped).unwrap_err(), VaultError::DataKey);
}

#[test]
fn no_two_places_have_the_same_associated_data() {
    // Without lengths, these two would run together to the same bytes.
    let one = RecordContext { table: "ab", column: "c", ..place() };
    let two = RecordContext { table: "a", column: "bc", ..place() };
    assert_ne!(one.associated_data(), two.associated_data());
}

#[test]
fn the_same_record_never_has_the_same_ciphertext() {
    let (key, _) = vault().new_data_key(SUBJECT);
    assert_ne!(key.seal(&place(), b"x"), key.seal(&place(), b"x"));
}

#[test]
fn photo_macs_tell_photos_and_people_apart() {
    let ((a, _), (b, _)) = (vault().new_data_key(SUBJECT), vault().new_data_key(SUBJECT));
    assert_eq!(a.photo_mac(b"photo"), a.photo_mac(b"photo"));
    assert_ne!(a.photo_mac(b"photo"), a.photo_mac(b"other"));
    assert_ne!(a.photo_mac(b"photo"), b.photo_mac(b"photo"));
}

#[test]
fn debug_shows_no_key() {
    let (key, _) = vault().new_data_key(SUBJECT);
    let shown = format!("{:?} {:?} {key:?}", KeyEncryptionKey::new([7; 32]), vault());
    assert_eq!(shown, "KeyEncryptionKey([redacted]) Vault { keys: Watched { file: None, .. } } DataKey([redacted])");
}

fn row(hash: u8) -> IdentifierKey {
    IdentifierKey { kind: matcher_core::IdentifierKind::SocialSecurityCard, region: "330200".into(), hash: [hash; 32] }
}

#[test]
fn a_number_opens_in_its_row_of_its_person_and_nowhere_else() {
    let (key, _) = vault().new_data_key(SUBJECT);
    let number = Identifier::new(row(1).kind, Region::new("330200").unwrap(), "330203001").unwrap();
    let here = row(1);
    let context = IdentifierContext { subject: SUBJECT, key: &here };
    let sealed = key.seal_number(&context, &number);
    assert_eq!(key.open_number(&context, &sealed).unwrap(), number);
    let elsewhere = [row(2), IdentifierKey { region: String::new(), ..row(1) }];
    for key_elsewhere in &elsewhere {
        assert!(key.open_number(&IdentifierContext { key: key_elsewhere, ..context }, &sealed).is_err());
    }
    assert!(key.open_number(&IdentifierContext { subject: SubjectId([9; 16]), ..context }, &sealed).is_err());
    let (other, _) = vault().new_data_key(SUBJECT);
    assert!(other.open_number(&context, &sealed).is_err());
}

#[test]
fn what_a_key_says_about_numbers_is_a_part_of_its_wrapping() {
    let (key, wrapped) = vault().new_data_key(SUBJECT);
    assert_eq!(vault().unwrap_data_key(SUBJECT, &wrapped).unwrap().numbers(), Numbers::Sealed);
    let older = vault().wrap(SUBJECT, &key.with_unsealed_numbers());
    let opened = vault().unwrap_data_key(SUBJECT, &older).unwrap();
    assert_eq!((opened.numbers(), opened.with_sealed_numbers().numbers()), (Numbers::MayBeUnsealed, Numbers::Sealed));
    let sealed = key.seal(&place(), b"features");
    assert!(opened.open(&place(), &sealed).is_ok(), "it is the same key");
}

proptest! {
    #[test]
    fn any_altered_byte_is_found(plaintext in prop::collection::vec(any::<u8>(), 0..64), at in any::<prop::sample::Index>(), by in 1_u8..) {
        let (key, wrapped) = vault().new_data_key(SUBJECT);
        let mut sealed = key.seal(&place(), &plaintext);
        prop_assert_eq!(key.open(&place(), &sealed).unwrap().to_vec(), plaintext);
        let at_byte = at.index(sealed.0.len());
        sealed.0[at_byte] ^= by;
        prop_assert_eq!(key.open(&place(), &sealed).unwrap_err(), OPENS_NOT);
        let mut altered = wrapped;
        let at_byte = at.index(altered.0.len());
        altered.0[at_byte] ^= by;
        prop_assert_eq!(vault().unwrap_data_key(SUBJECT, &altered).unwrap_err(), VaultError::DataKey);
    }

    #[test]
    fn bytes_that_are_no_ciphertext_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let (key, _) = vault().new_data_key(SUBJECT);
        prop_assert!(key.open(&place(), &Sealed(bytes.clone())).is_err());
        prop_assert!(vault().unwrap_data_key(SUBJECT, &Sealed(bytes)).is_err());
    }

    #[test]
    fn a_shortened_ciphertext_is_refused(plaintext in prop::collection::vec(any::<u8>(), 0..64), keep in any::<prop::sample::Index>()) {
        let (key, _) = vault().new_data_key(SUBJECT);
        let mut sealed = key.seal(&place(), &plaintext);
        sealed.0.truncate(keep.index(sealed.0.len()));
        prop_assert!(key.open(&place(), &sealed).is_err());
    }
}

#[test]
fn the_newest_key_wraps_and_older_ones_unwrap() {
    let kek = |byte| KeyEncryptionKey::new([byte; 32]);
    let (old, both, new) = (Vault::new(kek(7)), Vault::with_older(kek(8), vec![kek(7)]), Vault::new(kek(8)));
    let (key, by_old) = old.new_data_key(SUBJECT);
    let same = |opened: Result<DataKey, VaultError>| opened.is_ok_and(|opened| opened.photo_mac(b"x") == key.photo_mac(b"x"));
    assert!(same(both.unwrap_data_key(SUBJECT, &by_old)) && !same(new.unwrap_data_key(SUBJECT, &by_old)));
    let by_new = both.rewrap(SUBJECT, &by_old).unwrap();
    assert_eq!((Vault::wrapped_by(&by_old), Vault::wrapped_by(&by_new)), (Some(kek(7).id()), Some(kek(8).id())));
    assert!(same(new.unwrap_data_key(SUBJECT, &by_new)) && !same(old.unwrap_data_key(SUBJECT, &by_new)));
    assert_eq!(both.key_ids(), [kek(8).id(), kek(7).id()]);
}

#[test]
fn data_keys_of_releases_that_did_not_name_the_key_still_open() {
    let (_, wrapped) = vault().new_data_key(SUBJECT);
    let unnamed = Sealed(wrapped.0[9..].to_vec());
    assert_eq!(Vault::wrapped_by(&unnamed), None);
    let both = Vault::with_older(KeyEncryptionKey::new([8; 32]), vec![KeyEncryptionKey::new([7; 32])]);
    both.unwrap_data_key(SUBJECT, &unnamed).unwrap();
    assert_eq!(Vault::wrapped_by(&both.rewrap(SUBJECT, &unnamed).unwrap()), Some(both.newest()));
}

#[test]
fn a_key_that_was_just_made_is_looked_for_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key-encryption.key");
    let now = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    let one = crate::keys::secrets::with_new("", &[7; 32], now);
    crate::durable::write(&path, one.as_bytes()).unwrap();
    let running = Vault::of(KeySource::File(path.clone())).unwrap();
    crate::durable::write(&path, crate::keys::secrets::with_new(&one, &[8; 32], now).as_bytes()).unwrap();
    let (_, by_new) = Vault::new(KeyEncryptionKey::new([8; 32])).new_data_key(SUBJECT);
    running.unwrap_data_key(SUBJECT, &by_new).unwrap();
    assert_eq!(running.newest(), KeyEncryptionKey::new([8; 32]).id());
}
