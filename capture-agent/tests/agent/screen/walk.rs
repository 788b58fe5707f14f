//! A day at the counter in the browser: a running agent, its playback camera, and a center that answers, is slow, or is away.

use std::{fs::File, time::Duration};

use proto::v1;
use serde_json::{Value, json};
use tonic::Code;

use super::{CARD, Shop, browser::Browser};
use crate::{
    center::Fault,
    eyes::{BLURRED, BRIGHT, CUT_OFF, DARK, MASKED, NOBODY, ONE_PERSON, SMALL, TOO_NEAR, TURNED, TWO_PEOPLE},
    folder::{Folder, policy_key},
    http::Api,
};

/// How long each picture stands before the camera while four screens look at what it asks for.
const EACH_MS: u32 = 7_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_guided_compared_and_settled_by_the_keyboard_alone() {
    let Some(mut browser) = Browser::start() else { return };
    let shop = Shop::open(Folder::staged).await;
    let enter = |browser: &mut Browser| browser.enter(&shop.api.address, shop.folder.path().join("screen.url"));
    enter(&mut browser);
    browser.look_closely("idle");
    browser.tell(&json!({ "do": "voice" }));
    browser.tell(&json!({ "do": "large" }));
    let stages = [
        (NOBODY, "look_at_camera"),
        (TWO_PEOPLE, "one_person_only"),
        (SMALL, "come_closer"),
        (TOO_NEAR, "move_back"),
        (CUT_OFF, "move_to_middle"),
        (TURNED, "face_the_camera"),
        (DARK, "more_light"),
        (BRIGHT, "too_bright"),
        (MASKED, "take_off_mask"),
        (BLURRED, "hold_still"),
        (ONE_PERSON, ""),
    ];
    // In two walks: an attempt has a deadline.
    for (transaction, half) in [("T1", &stages[..5]), ("T2", &stages[5..])] {
        let colours: Vec<[u8; 3]> = half.iter().map(|(colour, _)| *colour).chain([ONE_PERSON]).collect();
        shop.folder.plays(&colours, EACH_MS, "repeat");
        shop.swipe(transaction, CARD).await;
        browser.look_closely("ready");
        browser.tell(&json!({ "do": "picture", "shown": false }));
        shop.center.next(&[Fault::Silent(Duration::from_secs(5))]);
        browser.press(&["F2"]);
        for (_, state) in half.iter().filter(|(_, state)| !state.is_empty()) {
            browser.look(state);
            browser.tell(&json!({ "do": "picture", "shown": true }));
        }
        browser.look("comparing");
        browser.tell(&json!({ "do": "picture", "shown": false }));
        browser.look_closely("settled");
        let end = json!({ "settlement": format!("S-{transaction}"), "amount_fen": 1250 });
        assert_eq!(shop.api.to(&format!("/v1/transactions/{transaction}/confirm"), end).await.0, 200);
        browser.look("confirmed");
    }
    let spoken = browser.tell(&json!({ "do": "spoken" }));
    let spoken: Vec<&str> = spoken.as_array().unwrap().iter().map(|said| said[0].as_str().unwrap()).collect();
    assert!(spoken.contains(&"请看摄像头") && spoken.contains(&"核验完成，请结算"), "{spoken:?}");
    let voices = browser.tell(&json!({ "do": "spoken" }));
    assert!(voices.as_array().unwrap().iter().all(|said| said[1] == "here" && said[2] == true), "a voice that sends words away: {voices}");
    // A camera that gives nothing that is a picture, and then nothing at all.
    shop.folder.plays(&[NOBODY], 4_500, "stall");
    shop.folder.garbles();
    shop.swipe("T3", CARD).await;
    browser.tell(&json!({ "do": "wait", "state": "ready" }));
    browser.press(&["F2"]);
    browser.look("wait_for_camera");
    browser.look_closely("camera_stalled");
    shop.api.stop().await;
    browser.tell(&json!({ "do": "away" }));
}

/// Settlement goes on without the center; at reception a face is looked at with consent alone.
fn policy() -> v1::DevicePolicy {
    let scene = |scene: v1::Scene, asks_consent| v1::DeviceScene {
        scene: scene.into(),
        attempts_max: 3,
        asks_consent,
        proxy_allowed: true,
        center_unreachable: v1::Disposition::SettleFlagged.into(),
        ..v1::DeviceScene::default()
    };
    v1::DevicePolicy {
        version: "p1".into(),
        notice_version: "N-7".into(),
        consent_version: "C-7".into(),
        scenes: vec![scene(v1::Scene::Settlement, false), scene(v1::Scene::Reception, true)],
        ..v1::DevicePolicy::default()
    }
}

pub(super) async fn wait_until_fetched(api: &Api) {
    let mut tries = 0;
    while api.get("/v1/health").await.1["line"]["lease"] == Value::Null {
        tries += 1;
        assert!(tries < 200, "no lease was fetched");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_proxies_cameras_and_lines_are_met_in_the_browser() {
    let Some(mut browser) = Browser::start() else { return };
    let mut shop = Shop::open_with(|folder| {
        folder.longer();
        format!("[outbox]\nwaiting_max = 1\n[reader]\nkind = \"simulator\"\nfolder = '{}'\n", folder.path().join("reader").display())
    })
    .await;
    browser.enter(&shop.api.address, shop.folder.path().join("screen.url"));
    ways(&mut browser, &shop).await;
    documents(&mut browser, &shop).await;
    cameras(&mut browser, &shop).await;
    // A device that the center does not know any more.
    shop.swipe("D1", CARD).await;
    browser.tell(&json!({ "do": "wait", "state": "ready" }));
    shop.center.next(&[Fault::Code(Code::PermissionDenied)]);
    browser.press(&["F2"]);
    browser.look_closely("device_refused");
    // A drill, seen between transactions.
    assert_eq!(shop.api.to("/v1/transactions/D1/cancel", json!({})).await.0, 200);
    browser.look("cancelled");
    let drill = File::create(shop.folder.path().join("drill.lock")).unwrap();
    drill.try_lock().unwrap();
    browser.look_closely("drill");
    drop(drill);
    browser.tell(&json!({ "do": "wait", "state": "idle" }));
    // The line is down, and nothing allows the counter to answer; then it is back.
    shop.swipe("L1", CARD).await;
    browser.tell(&json!({ "do": "wait", "state": "ready" }));
    shop.center.stop().await;
    browser.press(&["F2"]);
    browser.look_closely("unanswered");
    // One more than may wait: nobody is captured in vain.
    shop.swipe("L0", CARD).await;
    browser.tell(&json!({ "do": "wait", "state": "ready" }));
    browser.press(&["F2"]);
    browser.look_closely("spool_full");
    let spool = browser.tell(&json!({ "do": "text", "selector": "#status" }));
    assert!(spool.as_str().unwrap().contains("1 (已满)"), "{spool}");
    shop.center.start(&shop.folder);
    shop.swiped_again("L1").await;
    browser.tell(&json!({ "do": "wait", "state": "unanswered" }));
    browser.press(&["F2"]);
    browser.look("settled");
    // Another start, with a policy and a lease.
    let Shop { mut center, folder, api } = shop;
    api.stop().await;
    center.applies(&policy(), &policy_key());
    center.leases(1, 3_600_000);
    let address = format!("https://{}", center.address().unwrap());
    let api = Api::start(&folder, &address, "").await;
    browser.enter(&api.address, folder.path().join("screen.url"));
    wait_until_fetched(&api).await;
    let opening = json!({ "transaction": "C1", "scene": "reception", "card": CARD, "operator": "0417" });
    assert_eq!(api.to("/v1/transactions", opening).await.0, 201);
    browser.look_closely("consent");
    browser.press(&["F2"]);
    browser.look("settled");
    assert_eq!(center.records.lock().unwrap().captures.last().unwrap().consent, "C-7");
    center.stop().await;
    for (transaction, state) in [("L2", "settled_alone"), ("L3", "lease_used_up")] {
        let opening = json!({ "transaction": transaction, "scene": "settlement", "card": CARD, "operator": "0417" });
        assert_eq!(api.to("/v1/transactions", opening).await.0, 201);
        browser.tell(&json!({ "do": "wait", "state": "ready" }));
        browser.press(&["F2"]);
        browser.look_closely(state);
    }
    browser.press(&["F4"]);
    browser.look("recorded_only");
}

/// Document check, other way, somebody who collects, and the notice.
async fn ways(browser: &mut Browser, shop: &Shop) {
    shop.swipe("W1", "other").await;
    browser.look("ready");
    browser.press(&["F2"]);
    browser.look_closely("document_check");
    browser.press(&["F7"]);
    browser.tell(&json!({ "do": "dialog", "name": "document" }));
    browser.tell(&json!({ "do": "tab", "until": "[value=no]" }));
    browser.press(&["Space"]);
    browser.look_closely("hold");
    browser.press(&["F7"]);
    browser.tell(&json!({ "do": "tab", "until": "[value=yes]" }));
    browser.press(&["Enter"]);
    browser.tell(&json!({ "do": "wait", "state": "settled" }));
    // One touch, from the start, and nobody asks why.
    shop.swipe("W2", CARD).await;
    browser.tell(&json!({ "do": "wait", "state": "ready" }));
    browser.tell(&json!({ "do": "touch", "selector": "#other-way", "who": 3 }));
    browser.tell(&json!({ "do": "wait", "state": "settled" }));
    assert_eq!(shop.api.get("/v1/transactions/W2").await.1["attempts"][0]["way"], "other_way");
    // Keys and notice, and back; a card reader that types ends with Enter, which presses nothing.
    shop.swipe("W3", CARD).await;
    browser.tell(&json!({ "do": "wait", "state": "ready" }));
    for (key, name) in [("F1", "keys"), ("F9", "notice")] {
        browser.press(&[key]);
        browser.tell(&json!({ "do": "dialog", "name": name }));
        browser.press(&["Escape"]);
    }
    browser.tell(&json!({ "do": "tab", "until": "#other-way" }));
    browser.tell(&json!({ "do": "type", "text": "330203194910010027" }));
    browser.press(&["Enter"]);
    assert_eq!(shop.api.get("/v1/transactions/W3").await.1["attempts"], json!([]), "typed by a reader, not pressed by a person");
    browser.press(&["F8"]);
    browser.tell(&json!({ "do": "dialog", "name": "proxy" }));
    browser.tell(&json!({ "do": "tab", "until": "#proxy-number" }));
    browser.tell(&json!({ "do": "type", "text": "E12345678" }));
    browser.press(&["Enter"]);
    browser.look_closely("ready_proxy");
    browser.press(&["F2"]);
    browser.tell(&json!({ "do": "wait", "state": "settled" }));
    assert_eq!(shop.center.records.lock().unwrap().captures.last().unwrap().proxy.as_ref().unwrap().document_number, "E12345678");
    // Nobody comes before the camera: the other way is offered.
    shop.folder.show(NOBODY);
    shop.swipe("W4", CARD).await;
    browser.tell(&json!({ "do": "wait", "state": "ready" }));
    browser.press(&["F2"]);
    browser.look_closely("take_other_way");
    browser.press(&["F10"]);
    browser.tell(&json!({ "do": "wait", "state": "cancelled" }));
    shop.folder.show(ONE_PERSON);
}

/// Somebody whom the till does not name looks at a document; and a document with a chip.
async fn documents(browser: &mut Browser, shop: &Shop) {
    shop.swiped("P1", CARD, "").await;
    browser.tell(&json!({ "do": "wait", "state": "ready" }));
    browser.press(&["F7"]);
    browser.tell(&json!({ "do": "tab", "until": "[value=yes]" }));
    browser.press(&["Space"]);
    browser.tell(&json!({ "do": "note", "says": "工作人员请填写自己的工号，再记录。" }));
    browser.press(&["F7"]);
    browser.tell(&json!({ "do": "tab", "until": "#document-operator" }));
    browser.tell(&json!({ "do": "type", "text": "0418" }));
    browser.press(&["Enter"]);
    browser.tell(&json!({ "do": "dialog", "name": "document", "shot": "operator" }));
    assert_eq!(shop.api.get("/v1/transactions/P1").await.1["attempts"], json!([]), "what is said of a document is pressed");
    browser.tell(&json!({ "do": "tab", "until": "[value=yes]" }));
    browser.press(&["Enter"]);
    browser.tell(&json!({ "do": "wait", "state": "settled" }));
    assert_eq!(shop.center.records.lock().unwrap().captures.last().unwrap().operator, "0418");
    // Nothing lies on the reader; then the document does, and its chip's photo is what the face is held against.
    let reader = shop.folder.path().join("reader");
    std::fs::create_dir_all(&reader).unwrap();
    shop.swipe("P2", CARD).await;
    browser.tell(&json!({ "do": "wait", "state": "ready" }));
    browser.press(&["F6"]);
    browser.look_closely("no_document");
    std::fs::copy(shop.folder.pictures.path().join("a.ppm"), reader.join("photo.ppm")).unwrap();
    let document = format!("kind = \"social_security_card\"\nnumber = \"{CARD}\"\nname = \"n\"\nphoto = \"photo.ppm\"\n");
    std::fs::write(reader.join("document.toml"), document).unwrap();
    browser.press(&["F6"]);
    browser.tell(&json!({ "do": "wait", "state": "settled" }));
    assert_eq!(shop.api.get("/v1/transactions/P2").await.1["attempts"][0]["way"], "chip");
}

/// Cameras that fail.
async fn cameras(browser: &mut Browser, shop: &Shop) {
    let folder = &shop.folder;
    for (number, (fault, state)) in ["unplug", "freeze", "black", "absent", "busy"]
        .into_iter()
        .zip(["camera_lost", "camera_frozen", "camera_covered", "camera_absent", "camera_busy"])
        .enumerate()
    {
        folder.show(NOBODY);
        match fault {
            "black" => folder.show([2, 3, 2]),
            "absent" | "busy" => folder.opens(fault),
            _ => folder.at_end(fault),
        }
        shop.swipe(&format!("K{number}"), CARD).await;
        browser.tell(&json!({ "do": "wait", "state": "ready" }));
        browser.press(&["F2"]);
        browser.look_closely(state);
        folder.cure();
        folder.show(ONE_PERSON);
    }
    // The last is well again, and the same person tries again.
    browser.press(&["F2"]);
    browser.tell(&json!({ "do": "wait", "state": "settled" }));
}
