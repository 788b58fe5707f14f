//! States that few people ever see, in the browser, each brought about at a running agent: an end that came late, a camera on its
//! head, documents that cannot be read, a center that fails, and lines that are down for too long.

use std::time::Duration;

use capture_agent::line::spool::Spool;
use capture_core::degraded::KnownTime;
use proto::v1;
use rusqlite::Connection;
use serde_json::{Value, json};
use tonic::Code;

use super::{CARD, Shop, browser::Browser, walk::wait_until_fetched};
use crate::{
    center::{Center, Fault},
    eyes::{NOBODY, ONE_PERSON},
    folder::{Folder, policy_key},
    http::Api,
};

const HOUR_MS: i64 = 3_600_000;

/// Swipes, waits until the screen is ready, and begins by the key.
async fn begins(browser: &mut Browser, shop: &Shop, transaction: &str, card: &str) {
    shop.swipe(transaction, card).await;
    browser.tell(&json!({ "do": "wait", "state": "ready" }));
    browser.press(&["F2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_ends_documents_and_cameras_are_met_in_the_browser() {
    let Some(mut browser) = Browser::start() else { return };
    let shop = Shop::open_with(|folder| {
        folder.longer();
        // Long enough to be looked at while somebody holds still, and so that a second person finds the camera taken.
        folder.instead("frame_gap_ms = 10\n", "frame_gap_ms = 1000\n");
        folder.instead("frame_interval_ms = 33\n", "frame_interval_ms = 33\nwaiting_max = 0\n");
        let reader = folder.path().join("reader");
        std::fs::create_dir_all(&reader).unwrap();
        format!("[transactions]\ntime_out_s = 60\n[reader]\nkind = \"simulator\"\nfolder = '{}'\n", reader.display())
    })
    .await;
    browser.enter(&shop.api.address, shop.folder.path().join("screen.url"));
    tries(&mut browser, &shop).await;
    documents(&mut browser, &shop).await;
    cameras(&mut browser, &shop).await;
    // The center fails at it, and then has other models in use.
    begins(&mut browser, &shop, "N1", CARD).await;
    shop.center.next(&[Fault::Code(Code::Internal)]);
    browser.look_closely("center_trouble");
    shop.api.to("/v1/transactions/N1/cancel", json!({})).await;
    // What is written about transactions cannot be written.
    shop.swipe("N2", CARD).await;
    browser.tell(&json!({ "do": "wait", "state": "ready" }));
    let spool = Connection::open(shop.folder.path().join("state.db")).unwrap();
    spool.execute_batch("ALTER TABLE envelope RENAME TO gone").unwrap();
    browser.press(&["F2"]);
    browser.look_closely("storage_trouble");
    spool.execute_batch("ALTER TABLE gone RENAME TO envelope").unwrap();
    // Nobody does anything, and the transaction ends by itself; with a short patience.
    let Shop { center, folder, api } = shop;
    browser.tell(&json!({ "do": "leave" }));
    api.stop().await;
    let address = format!("https://{}", center.address().unwrap());
    let api = Api::start(&folder, &address, "[transactions]\ntime_out_s = 10\n").await;
    let shop = Shop { center, folder, api };
    browser.enter(&shop.api.address, shop.folder.path().join("screen.url"));
    shop.swipe("M1", CARD).await;
    browser.tell(&json!({ "do": "wait", "state": "ready" }));
    browser.look_closely("expired");
}

/// The camera once more, until it was tried often enough; and a settlement that is taken back.
async fn tries(browser: &mut Browser, shop: &Shop) {
    begins(browser, shop, "R1", "again").await;
    browser.look("hold_still");
    browser.look_closely("retry");
    browser.press(&["F2"]);
    browser.tell(&json!({ "do": "wait", "state": "hold_still" }));
    browser.tell(&json!({ "do": "wait", "state": "retry" }));
    browser.press(&["F2"]);
    browser.look_closely("attempts_spent");
    // The way that is left is recorded, however long the center takes.
    shop.center.next(&[Fault::Silent(Duration::from_millis(900))]);
    browser.press(&["F4"]);
    browser.tell(&json!({ "do": "wait", "state": "recording" }));
    browser.tell(&json!({ "do": "wait", "state": "settled" }));
    let end = json!({ "settlement": "S-R1", "amount_fen": 1250 });
    assert_eq!(shop.api.to("/v1/transactions/R1/confirm", end).await.0, 200);
    assert_eq!(shop.api.to("/v1/transactions/R1/reverse", json!({})).await.0, 200);
    browser.look_closely("reversed");
}

/// Documents whose chip is of no help.
async fn documents(browser: &mut Browser, shop: &Shop) {
    let reader = shop.folder.path().join("reader");
    let lies = |number: &str, photo: &str| {
        let document = format!("kind = \"social_security_card\"\nnumber = \"{number}\"\nname = \"n\"\nphoto = \"{photo}\"\n");
        std::fs::write(reader.join("document.toml"), document).unwrap();
    };
    shop.folder.show(NOBODY);
    std::fs::copy(shop.folder.pictures.path().join("a.ppm"), reader.join("nobody.ppm")).unwrap();
    shop.folder.show(ONE_PERSON);
    shop.swipe("P1", CARD).await;
    browser.tell(&json!({ "do": "wait", "state": "ready" }));
    for (number, photo, state) in [
        (CARD, "missing.ppm", "document_unreadable"),
        (CARD, "nobody.ppm", "no_face_on_chip"),
        ("330203194910010035", "nobody.ppm", "other_document"),
    ] {
        lies(number, photo);
        browser.press(&["F6"]);
        browser.look_closely(state);
    }
}

/// Cameras that nobody can look into.
async fn cameras(browser: &mut Browser, shop: &Shop) {
    shop.folder.show_turned(ONE_PERSON, NOBODY);
    begins(browser, shop, "K1", CARD).await;
    browser.look_closely("camera_upside_down");
    std::fs::write(shop.folder.pictures.path().join("playback.toml"), "no timings").unwrap();
    browser.press(&["F2"]);
    browser.look_closely("camera_failed");
    shop.folder.cure();
    // Somebody else has it.
    shop.folder.show(NOBODY);
    shop.swipe("K2", CARD).await;
    let first = shop.api.to("/v1/transactions/K2/attempts", json!({}));
    let second = async {
        browser.tell(&json!({ "do": "wait", "state": "look_at_camera" }));
        begins(browser, shop, "K3", CARD).await;
        browser.look_closely("camera_queue");
    };
    tokio::join!(first, second);
    shop.folder.show(ONE_PERSON);
}

/// The counter answers by itself where it may.
fn policy() -> v1::DevicePolicy {
    v1::DevicePolicy {
        version: "p1".into(),
        scenes: vec![v1::DeviceScene {
            scene: v1::Scene::Settlement.into(),
            attempts_max: 3,
            center_unreachable: v1::Disposition::SettleFlagged.into(),
            ..v1::DeviceScene::default()
        }],
        ..v1::DevicePolicy::default()
    }
}

/// Waits until the agent says this of its line.
async fn until(api: &Api, is_so: impl Fn(&Value) -> bool) {
    let mut looks = 0;
    while !is_so(&api.get("/v1/health").await.1["line"]) {
        looks += 1;
        assert!(looks < 400, "never so: {:?}", api.get("/v1/health").await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_down_for_too_long_is_met_in_the_browser() {
    let Some(mut browser) = Browser::start() else { return };
    let mut center = Center::new();
    let folder = center.folder();
    center.start(&folder);
    center.applies(&policy(), &policy_key());
    folder.show(ONE_PERSON);
    // A lease that is over when it is given, one for a day, and one that a clock set back would lengthen.
    center.leases(9, 0);
    let (folder, center) = without_center(&mut browser, center, folder, "lease_expired", |_| {}).await;
    center.leases(9, 24 * HOUR_MS);
    let waits = |folder: &Folder| {
        let state = Connection::open(folder.path().join("state.db")).unwrap();
        assert!(state.execute("UPDATE envelope SET made_at_ms = made_at_ms - ?1", [200 * HOUR_MS]).unwrap() > 0);
    };
    let (folder, center) = without_center(&mut browser, center, folder, "spool_too_old", waits).await;
    let ahead = |folder: &Folder| {
        let config = capture_agent::config::load(folder.path()).unwrap();
        let spool = Spool::open(folder.path(), config.outbox).unwrap();
        let latest = spool.latest().unwrap().unwrap();
        spool.remember_latest(&KnownTime { date_ms: latest.date_ms + HOUR_MS, boot: "before".into(), uptime_ms: 1 }).unwrap();
    };
    without_center(&mut browser, center, folder, "clock_set_back", ahead).await;
}

/// Starts with the center, loses it, changes what stands in the folder, and starts anew without it: then the screen is so.
async fn without_center(
    browser: &mut Browser,
    mut center: Center,
    folder: Folder,
    state: &str,
    change: impl Fn(&Folder),
) -> (Folder, Center) {
    let address = format!("https://{}", center.address().unwrap());
    let api = Api::start(&folder, &address, "").await;
    wait_until_fetched(&api).await;
    if state != "lease_expired" {
        // Another lease has come, and what an earlier scene left for too long has gone.
        until(&api, |line| line["lease"]["scenes"][0]["alone"] == "allowed").await;
    }
    center.stop().await;
    let mut shop = Shop { center, folder, api };
    let enter = |browser: &mut Browser, shop: &Shop| browser.enter(&shop.api.address, shop.folder.path().join("screen.url"));
    enter(browser, &shop);
    begins(browser, &shop, &format!("{state}-1"), CARD).await;
    browser.tell(&json!({ "do": "wait", "state": if state == "lease_expired" { state } else { "settled_alone" } }));
    browser.tell(&json!({ "do": "leave" }));
    shop.api.stop().await;
    change(&shop.folder);
    shop.api = Api::start(&shop.folder, &address, "").await;
    until(&shop.api, |line| line["endpoints"][0]["answers"] == false).await;
    enter(browser, &shop);
    begins(browser, &shop, &format!("{state}-2"), CARD).await;
    browser.look_closely(state);
    let Shop { mut center, folder, api } = shop;
    browser.tell(&json!({ "do": "leave" }));
    api.stop().await;
    center.start(&folder);
    (folder, center)
}
