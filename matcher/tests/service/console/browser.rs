//! The console in headless Chromium against the program itself: a reviewer clears a queue of thirty cases with the keyboard
//! alone, and every page of every role is looked at in both languages.
//!
//! What the browser does is in `tests/browser`; pictures are of the demo's cached people and never leave the machine.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use matcher::config::Config;
use matcher_core::console::Role;

use super::{PASSWORD, add};
use crate::{cases::Town, support::TestCenter};

/// Cases that the reviewer clears, and some for those who come after.
const CASES: u32 = 33;

/// The program, ended with the test.
pub(super) struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_do_their_work_in_a_browser() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/browser");
    let pictures = datasets::default_dir().join("registry-mini");
    if !tests.join("node_modules").is_dir() || !pictures.is_dir() {
        assert!(std::env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "run .ci/setup test, and datasets fetch registry-mini");
        eprintln!("SKIPPED: no browser tests without `npm ci` in tests/browser and the pictures of registry-mini");
        return;
    }
    let picture = |name: &str| fs::read(pictures.join(name)).unwrap();
    let (photo, holder, stranger) = (picture("cl_franck_02888.jpg"), picture("cl_franck_04035.jpg"), picture("cl_sean_guru2_crop.jpg"));
    let mut town = Town::with(TestCenter::init().await).await;
    town.pictured([&photo, &holder, &stranger]);
    for card in 0..CASES {
        town.shared_card(&format!("A10020{card:03}")).await;
    }
    assert_eq!(town.run().await.opened, CASES);
    for (name, role) in [
        ("anna", Role::Reviewer),
        ("ben", Role::Reviewer),
        ("susan", Role::Supervisor),
        ("otto", Role::Auditor),
        ("adam", Role::Administrator),
        ("mia", Role::StoreManager),
    ] {
        add(&town.center, name, role).await;
    }
    let folder = town.center.stop().await;
    let data = folder.path().join("center");
    let (_program, address) = serve(&data).await;
    let shots = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots");
    fs::create_dir_all(&shots).unwrap();
    let mut node = Command::new("node");
    node.arg("journey.mjs").args([address.trim(), PASSWORD]).arg(&shots).current_dir(&tests);
    let output = tokio::task::spawn_blocking(move || node.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("30 cases decided") && said.contains("every page was looked at"), "{said}");
}

/// Starts the program on free ports.
pub(super) async fn serve(data: &Path) -> (Program, String) {
    let shipped = Config::shipped().unwrap();
    assert!(shipped.console.second_factor, "what is switched off below");
    let setting = |name: &str| format!("COUNTERSIGN_MATCHER__{name}");
    let child = Command::new(env!("CARGO_BIN_EXE_matcher"))
        .arg("--data")
        .arg(data)
        .arg("serve")
        .env(setting("SERVER__LISTEN"), "127.0.0.1:0")
        .env(setting("PUBLISHED__LISTEN"), "127.0.0.1:0")
        .env(setting("JOINING__LISTEN"), "127.0.0.1:0")
        .env(setting("CONSOLE__LISTEN"), "127.0.0.1:0")
        .env(setting("CONSOLE__SECOND_FACTOR"), "false")
        .env(setting("CONSOLE__SIGN_INS_A_MINUTE"), "100")
        .env(setting("RECHECK__HERE"), "false")
        .env(setting("CASES__HERE"), "false")
        .env(setting("LOG__FILTER"), "warn")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let program = Program(child);
    let file = data.join("console.addr");
    let address = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            match fs::read_to_string(&file) {
                Ok(address) if address.ends_with('\n') => break address,
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    });
    (program, address.await.unwrap())
}
