//! A patient's walk, timed: from the swiped card to the verdict on the counter's screen in headless Chromium, with a real center,
//! a real agent, the real networks and the playback camera.
//!
//! The build is a debug build on a busy machine, so the bound is wide; the time is printed. What is exact is the number of touches.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tests::{people, process::run, site::Site};

const CARD: &str = "330203194910010027";
/// Far above what a walk takes, and far below what anybody would wait for at a counter.
const WALK_MS_MAX: u64 = 20_000;

struct Browser(Child);

impl Browser {
    fn tell(&mut self, said: &mut impl BufRead, task: &Value) -> Value {
        writeln!(self.0.stdin.as_mut().unwrap(), "{task}").unwrap();
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["faults"], json!([]), "{task}");
        answer["said"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn from_the_swipe_to_the_verdict_with_at_most_one_touch() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    if !folder.join("node_modules").is_dir() {
        assert!(std::env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "run .ci/setup test");
        eprintln!("SKIPPED: no browser tests without `npm ci` in tests/browser");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let site = Site::new(place.path()).unwrap();
    site.init_center().unwrap();
    site.join_counter("P330212", "1").unwrap();
    site.enrol(&[(CARD, people::picture("cl_franck_01829.jpg").unwrap())]).unwrap();
    let center = site.start_center("127.0.0.1:0").unwrap();
    site.stand_before_the_camera(&[people::picture("cl_franck_02221.jpg").unwrap()]).unwrap();
    // As long as it ships with: nothing here depends on a quick machine.
    let counter = site.start_counter_with(center.address(), &[("ACQUISITION__DEADLINE_MS", "8000")]).unwrap();
    let shots = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots");
    fs::create_dir_all(&shots).unwrap();
    let mut node = Command::new("node");
    node.arg("counter.mjs").arg(&shots).current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut browser = Browser(node.spawn().unwrap());
    let mut said = BufReader::new(browser.0.stdout.take().unwrap());
    let (base, state) = (counter.address().to_owned(), site.counter_folder());
    // The notice as the center prints it is what people read here.
    let notice = state.join("notice.zh.html");
    run(&mut site.matcher(&["law", "notice", "--language", "zh", "--out", &notice.to_string_lossy()]).unwrap()).unwrap();
    browser.tell(&mut said, &json!({ "do": "enter", "base": base, "links": state.join("screen.url") }));
    let shown = browser.tell(&mut said, &json!({ "do": "text", "selector": "#notice" }));
    let shown = shown.as_str().unwrap();
    assert!(shown.contains("不需要说明理由") && shown.contains("您的权利") && shown.contains("告知版本"), "{shown}");
    assert!(!shown.contains("font-"), "its words alone");
    let token = fs::read_to_string(state.join("api.token")).unwrap();
    for (transaction, touch) in [("W-1", true), ("W-2", false)] {
        let task = json!({ "do": "walk", "base": base, "token": token.trim(), "card": CARD, "transaction": transaction, "touch": touch, "state": "settled" });
        let walk = browser.tell(&mut said, &task);
        eprintln!("{transaction}: {} ms from the swipe to the verdict, {} touches, by {}", walk["ms"], walk["touches"], walk["states"]);
        assert_eq!(walk["touches"], u64::from(touch), "{walk}");
        assert!(walk["ms"].as_u64().unwrap() < WALK_MS_MAX, "{walk}");
        assert_eq!(walk["states"].as_array().unwrap().last(), Some(&json!("settled")), "{walk}");
    }
    counter.stop().unwrap();
    center.stop().unwrap();
}
