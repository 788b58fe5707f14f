//! A day's list against receipts of every fate.

use std::{fs, sync::Arc};

use clap::Parser;
use matcher_core::{
    Disposition, Identifier, IdentifierKind, Mode, Region, Scene, policy::ReceiptRule, receipt::provisional::ProvisionalClaims,
};
use tempfile::TempDir;

use super::*;
use crate::{
    app::receipts::Issuer,
    config::Config,
    init::{InitArgs, init},
    store::{
        NewVerification, Verification,
        contract::{self, verification},
        receipts::{ConfirmReceipt, Receipt, ReverseReceipt},
    },
};

const NOW: TimeMs = 1_800_000_000_000;
const HEADER: &str = "settlement,institution,transaction,card,amount,settled_at,receipt,document_checked_by,备注\n";

struct Day {
    _folder: TempDir,
    dir: DataDir,
    config: ReceiptsConfig,
    center: Center,
    issuer: Issuer,
}

impl Day {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::new(folder.path().join("center"));
        init(&dir, &InitArgs { server_names: vec!["localhost".into()], demonstration: false, store_url: None }, NOW).await.unwrap();
        let config = Config::shipped().unwrap().receipts;
        let keys = Arc::new(ReceiptKeys::load(&dir, &config).unwrap());
        let issuer = Issuer { config: config.clone(), keys };
        Self { center: Center::open(&dir).await.unwrap(), _folder: folder, dir, config, issuer }
    }

    /// A verification at a time, with its receipt.
    async fn verified(&self, transaction: &str, envelope: u8, disposition: Disposition, at: TimeMs) -> Receipt {
        let NewVerification { record, .. } = verification(transaction, envelope);
        let record = Verification { decided_at: at, disposition, scene: Scene::Settlement, mode: Mode::Live, ..record };
        let rule = ReceiptRule { valid_seconds: 900, settlements_max: 1, serves: vec![Scene::Settlement] };
        let receipt = self.issuer.issue(&record, &rule, &card("A10020001"), [envelope; 16]);
        let new = NewVerification { receipt: Some(receipt.clone()), ..verification(transaction, envelope) };
        self.center.store.record_verification(NewVerification { record, ..new }).await.unwrap();
        receipt
    }

    async fn confirm(&self, receipt: &Receipt, settlement: &str, amount_fen: u64) {
        let confirm = ConfirmReceipt {
            number: receipt.number,
            institution: "pharmacy-1".into(),
            device: "counter-1".into(),
            settlement: settlement.into(),
            amount_fen,
            document_checked_by: String::new(),
            at: receipt.issued_at,
        };
        self.center.store.confirm_receipt(confirm).await.unwrap().unwrap();
    }

    async fn reverse(&self, receipt: &Receipt) {
        let (institution, device) = ("pharmacy-1".into(), "counter-1".into());
        let reverse = ReverseReceipt { number: receipt.number, institution, device, settlement: None, at: NOW };
        self.center.store.reverse_receipt(reverse).await.unwrap().unwrap();
    }

    async fn reconcile(&self, list: &[u8]) -> Result<Summary, ReconcileError> {
        let path = self.dir.path().join("day.csv");
        fs::write(&path, list).unwrap();
        let args = Cli::try_parse_from(["x", "--settlements", path.to_str().unwrap()]).unwrap().args;
        reconcile(&args, &self.dir, &self.config, self.center.store.as_ref(), NOW).await
    }

    /// Line and word of every finding.
    async fn found(&self, rows: &[String]) -> Vec<(u64, &'static str)> {
        let summary = self.reconcile(format!("{HEADER}{}", rows.concat()).as_bytes()).await.unwrap();
        summary.findings.iter().map(|finding| (finding.line.unwrap_or_default(), finding.kind.word())).collect()
    }
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: ReconcileArgs,
}

fn card(number: &str) -> Identifier {
    Identifier::new(IdentifierKind::SocialSecurityCard, Region::default(), number).unwrap()
}

/// A row of the list, half a minute after the hour.
fn row(settlement: &str, transaction: &str, card: &str, amount: &str, receipt: &str) -> String {
    format!("{settlement},pharmacy-1,{transaction},{card},{amount},{},{receipt},,可疑\n", at(NOW + 30_000))
}

fn at(time: TimeMs) -> String {
    jiff::Timestamp::from_millisecond(time).unwrap().to_string()
}

#[tokio::test]
async fn every_fate_of_a_settlement_has_its_word() {
    let day = Day::new().await;
    let mut rows = Vec::new();
    let mut receipts = Vec::new();
    for (i, disposition) in (1..=8).zip([Disposition::Settle; 8]) {
        receipts.push(day.verified(&format!("T{i}"), i, disposition, NOW).await);
    }
    let number = |i: usize| receipts[i - 1].number.to_string();
    rows.push(row("S1", "T1", "A10020001", "12.50", &number(1)));
    rows.push(row("S2", "T2", "A1002 0001", "1", &receipts[1].compact));
    rows.push(row("S3", "T3", "A10020001", "1", ""));
    rows.push(row("S4", "T4", "A10020002", "1", &number(4)));
    rows.push(row("S5", "T1", "A10020001", "1", &number(1)));
    rows.push(row("S6", "T6", "A10020001", "1", &number(5)));
    day.reverse(&receipts[6]).await;
    rows.push(row("S7", "T7", "A10020001", "1", &number(7)));
    day.confirm(&receipts[7], "S8", 100).await;
    rows.push(row("S8", "T8", "A10020001", "1.01", &receipts[7].number.grouped()));
    rows.push(row("S9", "T9", "A10020001", "1", "28T5CY4TQKFF00938NKRG0"));
    rows.push(row("S10", "T9", "A10020001", "1", "28T5CY4TQKFF00938NKRG1"));
    let hold = day.verified("T11", 11, Disposition::Hold, NOW).await;
    rows.push(row("S11", "T11", "A10020001", "1", &hold.number.to_string()));
    let old = day.verified("T12", 12, Disposition::Settle, NOW - 900_000).await;
    rows.push(row("S12", "T12", "A10020001", "1", &old.number.to_string()));
    rows.push(row("S1", "T1", "A10020001", "12.50", &number(1)));
    let expected = [
        (4, "no_receipt"),
        (5, "other_card"),
        (6, "used"),
        (7, "other_transaction"),
        (8, "reversed"),
        (9, "other_amount"),
        (10, "unknown_number"),
        (11, "malformed"),
        (12, "not_for_settlement"),
        (13, "expired"),
        (14, "settlement_twice"),
        (0, "unused"),
        (0, "unused"),
    ];
    assert_eq!(day.found(&rows).await, expected);
}

#[tokio::test]
async fn a_day_in_order_finds_nothing_and_a_settlement_twice_is_named() {
    let day = Day::new().await;
    let (first, to_check) =
        (day.verified("T1", 1, Disposition::Settle, NOW).await, day.verified("T2", 2, Disposition::DocumentCheck, NOW).await);
    let checked = row("S2", "T2", "A10020001", "3", &to_check.number.to_string());
    let named = checked.replace(",,可疑", ",0417,");
    let rows = [row("S1", "T1", "A10020001", "12.50", &first.number.to_string()), named];
    assert_eq!(day.found(&rows).await, []);
    assert_eq!(day.found(&[rows[0].clone(), rows[0].clone()]).await, [(3, "settlement_twice")]);
    assert_eq!(day.found(&[rows[0].clone(), checked]).await, [(3, "document_not_checked")]);
}

#[tokio::test]
async fn receipts_of_drills_settle_nothing_and_are_not_missed() {
    let day = Day::new().await;
    let mut drills = day.issuer.clone();
    drills.config.drill = true;
    let drill = Day { issuer: drills, ..day };
    let receipt = drill.verified("T1", 1, Disposition::Settle, NOW).await;
    assert_eq!(drill.found(&[row("S1", "T1", "A10020001", "1", &receipt.number.to_string())]).await, [(2, "drill")]);
    assert_eq!(drill.found(&[row("S1", "T1", "A10020001", "1", &receipt.compact)]).await, [(2, "drill")]);
}

#[tokio::test]
async fn a_provisional_receipt_waits_for_the_center_but_not_for_ever() {
    let day = Day::new().await;
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let certificate = b"certificate".as_slice();
    let sha256 = crate::pki::certificate_sha256(certificate);
    let device = contract::device("counter-1");
    let public_key = key.verifying_key().to_bytes();
    day.center.store.put_device(crate::store::Device { public_key, certificate_sha256: sha256, ..device }).await.unwrap();
    let claims = |transaction: &str, issued_ms: TimeMs| ProvisionalClaims {
        device: "counter-1".into(),
        audience: "settlement".into(),
        number: ReceiptNumber::from_random([9; 16]),
        issued_at: issued_ms / 1000,
        expires_at: issued_ms / 1000 + 900,
        institution: "pharmacy-1".into(),
        transaction: transaction.into(),
        attempt: 1,
        scene: Scene::Settlement,
        disposition: Disposition::SettleFlagged,
        lease: "L-1".into(),
        policy: "test-1".into(),
        capture_sha256: [1; 32],
        sequence: 1,
    };
    let listed = |transaction: &str, issued: TimeMs| {
        let compact = claims(transaction, issued).sign(&key, certificate);
        format!("S-{transaction},pharmacy-1,{transaction},A10020001,1,{},{compact},,\n", at(issued + 1_000))
    };
    let waiting = listed("T1", NOW - 3_600_000);
    let summary = day.reconcile(format!("{HEADER}{waiting}").as_bytes()).await.unwrap();
    assert_eq!((summary.waiting, summary.findings.len()), (1, 0));
    let too_long = listed("T1", NOW - 25 * 3_600_000);
    assert_eq!(day.found(std::slice::from_ref(&too_long)).await, [(2, "provisional_too_long")]);
    day.verified("T1", 1, Disposition::Settle, NOW).await;
    day.verified("T2", 2, Disposition::Hold, NOW).await;
    assert_eq!(day.found(&[too_long, listed("T2", NOW - 3_600_000)]).await, [(3, "not_for_settlement")]);
    let foreign = listed("T1", NOW).replace("pharmacy-1,T1", "pharmacy-2,T1");
    assert_eq!(day.found(&[foreign]).await, [(2, "other_institution"), (0, "unused")]);
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_named_by_line_and_column() {
    let day = Day::new().await;
    let good = row("S1", "T1", "A10020001", "1", "");
    let rows = [
        good.replace("A10020001", "1"),
        good.replace(",1,", ",1.234,"),
        good.replace("2027", "soon"),
        good.replace("S1,", ","),
        good.replace("可疑", ""),
        "one,field\n".to_owned(),
        good.replace("S1", "\"S\n1\""),
    ];
    let summary = day.reconcile(format!("{HEADER}{}", rows.concat()).as_bytes()).await.unwrap();
    let details: Vec<&str> = summary.findings.iter().map(|finding| finding.detail.as_str()).collect();
    let expected = [
        "line 2, column card: expected a number of its kind",
        "line 3, column amount: expected yuan with at most two decimals",
        "line 4, column settled_at: expected a time",
        "line 5, column settlement: expected a name",
        "",
        "line 7, column of all: expected 9 fields, found 2",
        "line 8, column settlement: expected no control characters; is a quotation mark left open?",
    ];
    assert_eq!(details, expected);
    assert!(!summary.text().contains("A10020001") && !summary.json().unwrap().contains("A10020001"), "cards are masked");
}

#[tokio::test]
async fn lists_in_gb18030_and_with_a_byte_order_mark_are_read() {
    let day = Day::new().await;
    let receipt = day.verified("T1", 1, Disposition::Settle, NOW).await;
    let text = format!("{HEADER}{}", row("结算一", "T1", "A10020001", "1", &receipt.number.to_string()));
    let (gb18030, ..) = encoding_rs::GB18030.encode(&text);
    for list in [gb18030.into_owned(), [b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat(), text.replace('\n', "\r\n").into_bytes()] {
        let summary = day.reconcile(&list).await.unwrap();
        assert_eq!((summary.rows, summary.settled, summary.findings.len()), (1, 1, 0));
    }
}

#[tokio::test]
async fn a_file_that_is_no_list_is_refused() {
    let day = Day::new().await;
    let missing = day.reconcile(b"settlement,institution\n").await.unwrap_err();
    assert!(missing.to_string().contains("column `transaction` is missing"), "{missing}");
    let twice = day.reconcile(format!("card,{HEADER}").as_bytes()).await.unwrap_err();
    assert!(twice.to_string().contains("column `card` comes twice"), "{twice}");
}

#[tokio::test]
async fn a_long_list_is_judged_in_batches_and_receipts_page_by_page() {
    let day = Day::new().await;
    let receipt = day.verified("T1", 1, Disposition::Settle, NOW).await;
    let rows: Vec<String> = (0..1_201).map(|i| row(&format!("S{i}"), "T1", "A10020001", "1", &receipt.number.to_string())).collect();
    let summary = day.reconcile(format!("{HEADER}{}", rows.concat()).as_bytes()).await.unwrap();
    assert_eq!((summary.rows, summary.settled, summary.receipts), (1_201, 1, 1));
    assert!(summary.findings.iter().all(|finding| finding.kind.word() == "used") && summary.findings.len() == 1_200);
    assert!(summary.text().contains("700 more: see --json"), "{}", summary.text().lines().last().unwrap());
}
