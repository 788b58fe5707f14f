//! Running as a service: one process for a folder, units that are closed, logs within bounds, a configuration read again.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{center::Center, eyes::NOBODY, folder::Folder};

struct Agent {
    child: Child,
}

impl Agent {
    fn serve(folder: &Folder) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_capture-agent"));
        command.arg("--dir").arg(folder.path()).arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let _ = fs::remove_file(folder.path().join("api.addr"));
        let agent = Self { child: command.spawn().unwrap() };
        until("it serves", || folder.path().join("api.addr").exists());
        agent
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), signal).unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn log(folder: &Folder) -> String {
    fs::read_to_string(folder.path().join("logs/agent.log")).unwrap_or_default()
}

const CARD: &str = "330203194910010027";
const LOGGED: &str = "[log]\nfolder = \"logs\"\nfile_mb = 1\nfiles = 2\n";

#[tokio::test(flavor = "multi_thread")]
async fn one_process_serves_a_folder_and_reads_its_configuration_again() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    center.says(|facts| (facts.feature_model, facts.recipe) = (String::new(), String::new()));
    folder.show(NOBODY);
    folder.configure(&address, LOGGED);
    let mut agent = Agent::serve(&folder);
    let second = Command::new(env!("CARGO_BIN_EXE_capture-agent")).arg("--dir").arg(folder.path()).arg("serve").output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(said.contains(&format!("served by another process, number {}", agent.child.id())), "{said}");

    // A bad file: the one before stays, and the log says why.
    let path = folder.path().join("agent.toml");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replace("[log]", "[log]\nfilter = \"a=b=c\"")).unwrap();
    agent.signal(Signal::HUP);
    until("the bad file is refused", || log(&folder).contains("the one before stays") && log(&folder).contains("log.filter: expected"));
    // A good one: the filter counts, the rest is named.
    fs::write(&path, good.replace("[log]", "[api]\nrequests_per_s = 7\n[log]\nfilter = \"debug\"")).unwrap();
    agent.signal(Signal::HUP);
    until("the good file counts", || log(&folder).contains("log.filter=\"debug\"") && log(&folder).contains("keys=\"api.requests_per_s\""));

    // What is logged of a verification, at the most talkative, names no card.
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let before = log(&folder).len();
    let request = serde_json::json!({ "transaction": "T-1", "scene": "settlement", "card": CARD });
    let call = ureq::post(format!("http://{}/v1/verifications", read("api.addr")))
        .header("Authorization", format!("Bearer {}", read("api.token").trim()))
        .send_json(request);
    assert!(call.is_ok(), "{call:?}\n{}", log(&folder));
    assert!(log(&folder).len() > before, "{}", log(&folder));
    assert!(!log(&folder).contains(CARD) && !log(&folder).contains(&CARD[4..]));
    // It ends in order when it is asked to.
    agent.signal(Signal::TERM);
    assert!(agent.child.wait().unwrap().success());
    assert!(log(&folder).contains("stopped") && !folder.path().join("api.token").exists());
    drop(Agent::serve(&folder));
}

/// A call of the local API, in a thread of its own; its status and body.
fn call(folder: &Folder, path: &str, body: serde_json::Value) -> std::thread::JoinHandle<(u16, serde_json::Value)> {
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let (url, token) = (format!("http://{}{path}", read("api.addr")), format!("Bearer {}", read("api.token").trim()));
    std::thread::spawn(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut response = agent.post(url).header("Authorization", token).send_json(body).expect("an answer, not a cut connection");
        (response.status().as_u16(), response.body_mut().read_json().unwrap())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_an_attempt_end_and_the_transaction_goes_on_afterwards() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    center.says(|facts| (facts.feature_model, facts.recipe) = (String::new(), String::new()));
    folder.show(NOBODY);
    folder.configure(&address, LOGGED);
    let open = || serde_json::json!({ "transaction": "T-1", "scene": "settlement", "card": CARD });
    let mut agent = Agent::serve(&folder);
    assert_eq!(call(&folder, "/v1/transactions", open()).join().unwrap().0, 201);
    // Asked to end while the camera looks: nobody stands there, which takes the whole deadline of a second.
    let attempt = call(&folder, "/v1/transactions/T-1/attempts", serde_json::json!({}));
    std::thread::sleep(Duration::from_millis(300));
    agent.signal(Signal::TERM);
    let (status, answer) = attempt.join().unwrap();
    assert_eq!((status, &answer["decision"], &answer["reasons"][0]), (200, &"no_decision".into(), &"no_face".into()), "{answer}");
    assert!(agent.child.wait().unwrap().success());
    assert_eq!(center.records.lock().unwrap().captures.len(), 1, "it was answered by the center, not given up");
    let again = Agent::serve(&folder);
    let (_, found) = call(&folder, "/v1/transactions", open()).join().unwrap();
    assert_eq!(found["next_attempt"], 2, "{found}");
    drop(again);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_count_at_once_does_and_a_bad_file_changes_nothing() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    center.says(|facts| (facts.feature_model, facts.recipe) = (String::new(), String::new()));
    folder.show(NOBODY);
    folder.configure(&address, LOGGED);
    let agent = Agent::serve(&folder);
    let tried = |name: &str| {
        let opening = serde_json::json!({ "transaction": name, "scene": "settlement", "card": CARD });
        assert!(call(&folder, "/v1/transactions", opening).join().unwrap().0 < 300);
        call(&folder, &format!("/v1/transactions/{name}/attempts"), serde_json::json!({})).join().unwrap().1
    };
    assert_eq!(tried("T-1")["reasons"][0], "no_face");
    // Another camera, and fewer attempts: from the next one and the next opening.
    let path = folder.path().join("agent.toml");
    let good = fs::read_to_string(&path).unwrap();
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("playback.toml"), "opens = \"absent\"\n").unwrap();
    let pictures = folder.pictures.path().display().to_string();
    let changed = good.replace(&pictures, &other.path().display().to_string()).replace("[log]", "[transactions]\nfaces_max = 1\n[log]");
    // Not in order, and not in order for these models: what stood before stays, all of it.
    for (bad, field) in [
        (changed.replace("faces_max = 1", "faces_max = 0"), "transactions.faces_max: expected 1 to 10, got 0"),
        (changed.replace("deadline_ms = 1000", "deadline_ms = 1000\ngood_frames = 0"), "acquisition.good_frames: expected"),
        (changed.replace("faces_max", "faces_mx"), "faces_mx"),
    ] {
        fs::write(&path, bad).unwrap();
        agent.signal(Signal::HUP);
        until(field, || log(&folder).contains(field));
        assert_eq!(tried(field.get(..8).unwrap())["reasons"][0], "no_face", "{field}");
    }
    fs::write(&path, changed).unwrap();
    agent.signal(Signal::HUP);
    until("it is read", || log(&folder).contains("keys=\"camera.folder, transactions.faces_max\""));
    assert!(!log(&folder).contains("from the next start"), "{}", log(&folder));
    until("the other camera is used", || tried("T-2")["error"]["code"] == "camera_absent");
    fs::write(other.path().join("playback.toml"), "").unwrap();
    fs::copy(folder.pictures.path().join("a.ppm"), other.path().join("a.ppm")).unwrap();
    assert_eq!(tried("T-2")["reasons"][0], "no_face");
    assert_eq!(tried("T-2")["error"]["code"], "attempts_spent");
    // What is open works by what it was opened with.
    assert_eq!(tried("T-1")["reasons"][0], "no_face");
}

#[test]
fn the_units_are_in_order_and_closed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("service");
    let dir = tempfile::tempdir().unwrap();
    for name in ["countersign-agent.service", "countersign-relay.service", "countersign-matcher.service"] {
        // The programs are not installed here.
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let unit = dir.path().join(name);
        fs::write(
            &unit,
            text.replace("/opt/countersign/current/capture-agent", "/bin/true").replace("/opt/countersign/current/matcher", "/bin/true"),
        )
        .unwrap();
        let run = |arguments: &[&str]| Command::new("systemd-analyze").args(arguments).arg(&unit).output();
        let Ok(verified) = run(&["verify", "--man=no"]) else {
            eprintln!("SKIPPED: there is no systemd-analyze here");
            return;
        };
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && !said.contains(name), "{said}");
        // In tenths: 2.0 and less is what systemd calls OK.
        let exposed = run(&["security", "--offline=true", "--threshold=20", "--no-pager"]).unwrap();
        assert!(exposed.status.success(), "{}", String::from_utf8_lossy(&exposed.stdout));
    }
}
