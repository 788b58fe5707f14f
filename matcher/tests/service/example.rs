//! The Python example, run as a settlement side runs it: a stock JWT library, the key set over HTTPS, a database of its own.
//!
//! `.ci/setup test` makes its environment; without it the test says SKIPPED and passes, unless
//! `COUNTERSIGN_REQUIRE_MODELS=1`.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ed25519_dalek::SigningKey;
use matcher::{
    config::Config,
    receipt_keys::{ReceiptKeys, ReceiptKind},
    surroundings::{Surroundings, System},
};
use matcher_core::{
    Disposition, Scene,
    receipt::{Claims, ReceiptNumber, provisional::ProvisionalClaims},
};

use crate::support::{TestCenter, capture};

const CARD: &str = "A10020001";

/// The interpreter with the example's requirements.
fn python() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))?;
    let folder = cache.join("countersign/receipt-example");
    let wanted = fs::read(example().with_file_name("requirements.txt")).unwrap();
    (fs::read(folder.join("requirements.txt")).ok()? == wanted).then(|| folder.join("bin/python"))
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/check_receipt.py")
}

/// A settlement side.
struct Side {
    python: PathBuf,
    center: TestCenter,
    keys: ReceiptKeys,
    folder: tempfile::TempDir,
}

impl Side {
    fn open(python: PathBuf, center: TestCenter) -> Self {
        let config = Config::load(&center.dir).unwrap().receipts;
        let keys = ReceiptKeys::load(&center.dir, &config).unwrap();
        Self { python, center, keys, folder: tempfile::tempdir().unwrap() }
    }

    /// What the example says about a receipt for a settlement of the transaction T-1, some of it changed.
    #[track_caller]
    fn check(&self, receipt: &str, changed: &[(&str, &str)], expected: &str) {
        let mut options = vec![
            ("--jwks", format!("https://localhost:{}/.well-known/jwks.json", self.center.published.port())),
            ("--ca", self.center.dir.authority_certificate().display().to_string()),
            ("--settlement-key", self.center.dir.settlement_key().display().to_string()),
            ("--burned", self.folder.path().join("burned.db").display().to_string()),
            ("--settlement", "S-1".to_owned()),
            ("--institution", "P1".to_owned()),
            ("--transaction", "T-1".to_owned()),
            ("--scene", "settlement".to_owned()),
            ("--card", "a1002-0001".to_owned()),
            ("--amount-fen", "1250".to_owned()),
        ];
        for (name, value) in changed {
            options.retain(|(option, _)| option != name);
            options.push((name, (*value).to_owned()));
        }
        let arguments = options.iter().flat_map(|(name, value)| [(*name).to_owned(), value.clone()]);
        let mut command = Command::new(&self.python);
        command.arg(example()).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(receipt.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let (said, wrong) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let answer: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{wrong}"));
        let reason = if answer["holds"] == true { "holds" } else { answer["reason"].as_str().unwrap() };
        assert_eq!((reason, output.status.code()), (expected, Some(i32::from(expected != "holds"))), "{changed:?}");
    }

    /// The receipt with changed claims, signed by the center all the same.
    fn signed(&self, claims: &Claims) -> String {
        self.keys.sign(ReceiptKind::Production, System.now_ms(), |key| claims.sign(key))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_library_holds_receipts_to_every_claim() {
    let Some(python) = python() else {
        let reason = "the example's environment is not made; run: .ci/setup test";
        assert!(env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "{reason}");
        eprintln!("SKIPPED: {reason}");
        return;
    };
    let (center, device) = TestCenter::live().await;
    center.enrol(CARD).await;
    let answer = device.verify("T-1", &capture(CARD, 0.8)).await.unwrap();
    let mismatch = device.verify("T-2", &capture(CARD, 0.1)).await.unwrap();
    let side = Side::open(python, center);
    let done = tokio::task::spawn_blocking(move || {
        holds_once(&side, &answer.receipt);
        says_what_differs(&side, &answer.receipt);
        side.check(&mismatch.receipt, &[("--transaction", "T-2")], "document_not_checked");
        side.check(&mismatch.receipt, &[("--transaction", "T-2"), ("--document-checked-by", "0417")], "holds");
        knows_what_is_no_receipt_of_ours(&side, &Claims::unverified(&answer.receipt).unwrap());
    });
    done.await.unwrap();
}

fn holds_once(side: &Side, receipt: &str) {
    side.check(receipt, &[], "holds");
    side.check(receipt, &[], "holds");
    side.check(receipt, &[("--settlement", "S-2")], "used");
    side.check(receipt, &[("--amount-fen", "1251")], "other_amount");
}

fn says_what_differs(side: &Side, receipt: &str) {
    side.check(receipt, &[("--card", "A10020002")], "other_card");
    side.check(receipt, &[("--region", "330200")], "other_card");
    side.check(receipt, &[("--institution", "P2")], "other_institution");
    side.check(receipt, &[("--transaction", "T-9")], "other_transaction");
    side.check(receipt, &[("--scene", "reception")], "other_scene");
    side.check(receipt, &[("--audience", "somebody-else")], "foreign_audience");
    side.check(receipt, &[("--issuer", "another-center")], "foreign_issuer");
}

fn knows_what_is_no_receipt_of_ours(side: &Side, claims: &Claims) {
    let now = System.now_ms() / 1000;
    let with = |change: &dyn Fn(&mut Claims)| {
        let mut claims = Claims { number: ReceiptNumber::from_random(System.random_id()), ..claims.clone() };
        change(&mut claims);
        claims
    };
    side.check(&side.signed(&with(&|c| (c.issued_at, c.expires_at) = (now - 900, now - 1))), &[], "expired");
    side.check(&side.signed(&with(&|c| (c.issued_at, c.expires_at) = (now + 90, now + 190))), &[], "not_yet_valid");
    side.check(&side.signed(&with(&|c| c.expires_at = c.issued_at + 901)), &[], "too_long_lived");
    side.check(&side.signed(&with(&|c| c.amount_max_fen = Some(1_249))), &[], "other_amount");
    side.check(&side.signed(&with(&|c| c.disposition = Disposition::Hold)), &[], "not_for_settlement");
    side.check(&side.signed(&with(&|c| (c.scene, c.scenes, c.uses) = (Scene::Reception, vec![Scene::Settlement], 2))), &[], "holds");
    let stranger = SigningKey::from_bytes(&[5; 32]);
    side.check(&with(&|_| ()).sign(&stranger), &[], "unknown_key");
    let drill = with(&|c| c.issuer = "countersign-drill".into());
    side.check(&side.keys.sign(ReceiptKind::Drill, now * 1000, |key| drill.sign(key)), &[], "drill");
    let good = side.signed(&with(&|_| ()));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    side.check(&format!("{signed}.{other}{}", &signature[1..]), &[], "bad_signature");
    // {"alg":"none","typ":"countersign-receipt+jwt"}
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiY291bnRlcnNpZ24tcmVjZWlwdCtqd3QifQ";
    side.check(&format!("{none}.{}.", signed.split_once('.').unwrap().1), &[], "wrong_algorithm");
    let provisional = ProvisionalClaims {
        device: "P1-1".into(),
        audience: "settlement".into(),
        number: ReceiptNumber::from_random([1; 16]),
        issued_at: now,
        expires_at: now + 900,
        institution: "P1".into(),
        transaction: "T-1".into(),
        attempt: 1,
        scene: Scene::Settlement,
        disposition: Disposition::SettleFlagged,
        lease: "L-1".into(),
        policy: "p".into(),
        capture_sha256: [0; 32],
        sequence: 1,
    };
    side.check(&provisional.sign(&stranger, b"certificate"), &[], "provisional");
    side.check("no receipt", &[], "malformed");
}
