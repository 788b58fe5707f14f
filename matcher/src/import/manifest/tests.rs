//! Lists that are in order, and each way they are not.

use proptest::prelude::*;

use super::*;

const TODAY: Date = Date::constant(2026, 11, 22);

fn read(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::read(text.as_bytes(), Encoding::Auto, TODAY)
}

#[track_caller]
fn check_file(text: &str, expected: &str) {
    assert_eq!(read(text).unwrap_err().to_string(), expected);
}

/// One row under all columns.
#[track_caller]
fn check_row(row: &str, expected: &str) {
    let manifest = read(&format!("card,photo,identity_number,region,photo_taken_on\n{row}\n")).unwrap();
    assert_eq!(manifest.rows, []);
    let [refused] = manifest.refused.as_slice() else { panic!("{:?}", manifest.refused) };
    assert_eq!((refused.row, refused.reason, refused.detail.as_str()), (2, "malformed_row", expected));
}

#[test]
fn a_row_is_a_person() {
    let manifest =
        read("photo, Card ,name,region,photo_taken_on,identity_number\r\n a.jpg , 330203 001 ,某人,330200,2020-02-29,\r\n").unwrap();
    assert_eq!((manifest.refused.as_slice(), manifest.unused.as_slice()), (&[][..], &["name".to_owned()][..]));
    let [row] = manifest.rows.as_slice() else { panic!("{:?}", manifest.rows) };
    assert_eq!((row.number, row.photo.as_str(), row.card().as_str()), (2, "a.jpg", "*****3001"));
    assert_eq!(row.identifiers[0].region().as_str(), "330200");
    assert_eq!(row.about.taken_on, Some(Date::constant(2020, 2, 29)));
}

#[test]
fn an_identity_number_is_a_second_identifier_of_no_region() {
    let manifest = read("card,photo,identity_number,region\nA12345678,a.jpg,11010519491231002x,330200\n").unwrap();
    let [card, identity] = manifest.rows[0].identifiers.as_slice() else { panic!("{manifest:?}") };
    assert_eq!((card.kind(), card.region().as_str()), (IdentifierKind::SocialSecurityCard, "330200"));
    assert_eq!((identity.kind(), identity.region().as_str()), (IdentifierKind::ResidentIdentity, ""));
}

#[test]
fn a_row_may_say_more_about_photo_and_person() {
    let text = "card,photo,further_cards,source,valid_from,valid_until,birth\n\
                A12345678,a.jpg,330100/B12345678; C12345678,document_chip,2020-01-01,2020-01-01,1949\nD12345678,b.jpg,,,,,\n";
    let manifest = read(text).unwrap();
    assert_eq!(manifest.refused, []);
    let cards: Vec<_> = manifest.rows[0].identifiers.iter().map(|card| (card.region().as_str(), card.masked())).collect();
    assert_eq!(cards, [("", "*****5678".to_owned()), ("330100", "*****5678".to_owned()), ("", "*****5678".to_owned())]);
    let about = manifest.rows[0].about;
    assert_eq!((about.source.word(), about.valid_until.unwrap() - about.valid_from.unwrap()), ("document_chip", 86_400_000));
    assert_eq!(manifest.rows[0].birth, Some(Birth::new("1949").unwrap()));
    assert_eq!((manifest.rows[1].about, manifest.rows[1].birth), (PhotoFacts::default(), None));
}

#[track_caller]
fn check_facts(row: &str, expected: &str) {
    let header = "card,photo,identity_number,further_cards,source,valid_from,valid_until,birth";
    let manifest = read(&format!("{header}\nA12345678,a.jpg,{row}\n")).unwrap();
    assert_eq!(manifest.refused.iter().map(|refused| refused.detail.as_str()).collect::<Vec<_>>(), [expected]);
}

#[test]
fn what_a_row_says_about_photo_and_person_is_checked() {
    check_facts(",,selfie,,,", "source: expected one of card_photo, document_chip, counter, other, or nothing");
    check_facts(",,,2020-1-1,,", "valid_from: expected a day as YYYY-MM-DD");
    check_facts(",,,2020-01-02,2020-01-01,", "valid_until: expected a day not before valid_from");
    check_facts(",,,,,born", "birth: expected a year from 1850 (YYYY) or a day (YYYY-MM-DD)");
    check_facts("11010519491231002X,,,,,1950", "birth: expected the year that the identity number has");
    check_facts(",33/A12345678,,,,", "further_cards: expected 6 digits (GB/T 2260) or nothing");
    check_facts(",A1,,,,", "further_cards: expected 6 to 32 letters and digits, got 2 characters");
    check_facts(&format!(",{},,,,", ["B12345678"; 8].join(";")), "further_cards: expected at most 8 numbers with the others");
}

#[test]
fn an_identity_number_says_when_the_person_was_born() {
    let manifest = read("card,photo,identity_number,birth\nA12345678,a.jpg,11010519491231002x,1949\n").unwrap();
    assert_eq!(manifest.rows[0].birth, Some(Birth::new("1949-12-31").unwrap()));
}

#[test]
fn columns_that_are_missing_or_come_twice_are_named_with_what_was_found() {
    check_file("card,picture\n", "manifest: column `photo` is missing; found `card`, `picture`");
    check_file("card;photo\n1;2\n", "manifest: column `card` is missing; found `card;photo`");
    check_file("", "manifest: column `card` is missing; found ");
    check_file("card,photo,card\n", "manifest: column `card` comes twice");
}

#[test]
fn an_open_quotation_mark_does_not_swallow_the_rest_in_silence() {
    check_file(
        "card,photo\n330203001,a.jpg\n330203002,\"b.jpg\n330203003,c.jpg\n",
        "manifest: row 3, field `photo`: expected no line break; is a quotation mark left open?",
    );
}

#[test]
fn a_malformed_row_names_its_field_and_the_others_go_on() {
    check_row("330203001,a.jpg", "expected 5 fields, found 2");
    check_row("12345,a.jpg,,,", "card: expected 6 to 32 letters and digits, got 5 characters");
    check_row(",a.jpg,,,", "card: expected 6 to 32 letters and digits, got 0 characters");
    check_row(
        "330203001,a.jpg,110105194912310021,,",
        "identity_number: the identity number's check digit is wrong; expected the last character to follow from the others",
    );
    check_row("330203001,a.jpg,,33020,", "region: expected 6 digits (GB/T 2260) or nothing");
    check_row("330203001,,,,", "photo: expected the path of a picture, found nothing");
    check_row("330203001,a.jpg,,,29.02.2020", "photo_taken_on: expected a day as YYYY-MM-DD");
    check_row("330203001,a.jpg,,,2021-02-29", "photo_taken_on: expected a day as YYYY-MM-DD");
    check_row("330203001,a.jpg,,,2026-11-23", "photo_taken_on: expected a day that has come");
    let manifest = read("card,photo\n1,a.jpg\n330203002,b.jpg\n").unwrap();
    assert_eq!((manifest.rows.len(), manifest.refused.len()), (1, 1));
}

#[test]
fn a_number_of_two_rows_refuses_both_and_names_them() {
    let text = "card,photo,identity_number\n330203001,a.jpg,\n330203002,b.jpg,11010519491231002X\n３３０２０３ 001,c.jpg,\n\
                330203004,d.jpg,11010519491231002x\n330203005,e.jpg,\n";
    let manifest = read(text).unwrap();
    let refused: Vec<_> = manifest.refused.iter().map(|r| (r.row, r.reason, r.detail.as_str())).collect();
    assert_eq!(
        refused,
        [
            (2, "duplicate_card", "rows 2 and 4 have the same number"),
            (3, "duplicate_identity_number", "rows 3 and 5 have the same number"),
            (4, "duplicate_card", "rows 2 and 4 have the same number"),
            (5, "duplicate_identity_number", "rows 3 and 5 have the same number"),
        ]
    );
    assert_eq!(manifest.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [6]);
}

#[test]
fn the_same_number_in_two_regions_is_two_cards() {
    let manifest = read("card,photo,region\n330203001,a.jpg,330200\n330203001,b.jpg,330100\n").unwrap();
    assert_eq!((manifest.rows.len(), manifest.refused.len()), (2, 0));
}

#[test]
fn no_message_shows_a_number_or_a_name() {
    let text = "card,photo,identity_number,name\n330203194910010027,330203194910010027.jpg,330203194910010028,王小明\n";
    let manifest = read(text).unwrap();
    let shown = format!("{manifest:?} {}", manifest.refused[0]);
    assert!(!shown.contains("33020319") && !shown.contains("王"), "{shown}");
}

#[track_caller]
fn check_encoding(bytes: &[u8], encoding: Encoding, expected: Result<&str, &str>) {
    let got = Manifest::read(bytes, encoding, TODAY).map(|manifest| manifest.rows[0].photo.clone()).map_err(|error| error.to_string());
    assert_eq!(got.as_deref().map_err(String::as_str), expected, "{encoding:?}");
}

#[test]
fn lists_come_in_utf_8_and_gb18030() {
    let text = "card,photo\n330203001,照片/𠮷.jpg\n";
    let gb18030 = GB18030.encode(text).0.into_owned();
    let with_mark = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    for encoding in [Encoding::Auto, Encoding::Utf8] {
        check_encoding(text.as_bytes(), encoding, Ok("照片/𠮷.jpg"));
        check_encoding(&with_mark, encoding, Ok("照片/𠮷.jpg"));
    }
    for encoding in [Encoding::Auto, Encoding::Gb18030] {
        check_encoding(&gb18030, encoding, Ok("照片/𠮷.jpg"));
    }
    check_encoding(&gb18030, Encoding::Utf8, Err("manifest: expected UTF-8; the bytes of row 2 are not"));
    let neither = b"card,photo\n330203001,a.jpg\n330203002,\xff\xff.jpg\n";
    check_encoding(neither, Encoding::Auto, Err("manifest: expected UTF-8 or GB18030; the bytes of row 3 are not"));
    check_encoding(neither, Encoding::Gb18030, Err("manifest: expected GB18030; the bytes of row 3 are not"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for encoding in [Encoding::Auto, Encoding::Utf8, Encoding::Gb18030] {
            let _ = Manifest::read(&bytes, encoding, TODAY);
        }
    }

    #[test]
    fn no_row_is_lost(fields in prop::collection::vec(("[0-9]{4,8}", "[a-z]{0,3}"), 1..40)) {
        let rows: String = fields.iter().map(|(card, photo)| format!("{card},{photo}\n")).collect();
        let manifest = read(&format!("card,photo\n{rows}")).unwrap();
        prop_assert_eq!(manifest.rows.len() + manifest.refused.len(), fields.len());
    }
}
