//! Two counters, a relay with a backup line, and a center, as real processes: lines are cut, the relay is killed, a counter is
//! switched off, and nothing that was captured is lost.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking; indexing a JSON value never does"
)]

use std::{
    fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tests::{
    people,
    process::{Server, run},
    site::Site,
};

const CARD: &str = "A10020001";

/// A line to the center that can be cut.
struct Cable {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
    ends: Arc<Mutex<Vec<TcpStream>>>,
}

impl Cable {
    fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let cable = Self { address: listener.local_addr().unwrap(), is_cut: Arc::default(), ends: Arc::default() };
        let (is_cut, ends) = (Arc::clone(&cable.is_cut), Arc::clone(&cable.ends));
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(target) else { continue };
                ends.lock().unwrap().extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                let (near_too, far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                thread::spawn(move || carry(near, far));
                thread::spawn(move || carry(far_too, near_too));
            }
        });
        cable
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for end in self.ends.lock().unwrap().drain(..) {
            let _ = end.shutdown(std::net::Shutdown::Both);
        }
    }

    fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Both);
}

struct Shop {
    _folder: tempfile::TempDir,
    site: Site,
    second: Site,
    center: Option<Server>,
    listen: String,
    primary: Cable,
    backup: Cable,
}

impl Shop {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(folder.path()).unwrap();
        site.init_center().unwrap();
        site.enrol(&[(CARD, people::picture("cl_franck_01829.jpg").unwrap())]).unwrap();
        site.stand_before_the_camera(&[people::picture("cl_franck_02221.jpg").unwrap()]).unwrap();
        let second = site.second_counter();
        site.join_counter("P330212", "1").unwrap();
        second.join_counter("P330212", "2").unwrap();
        let center = site.start_center("127.0.0.1:0").unwrap();
        let listen = center.address().trim_start_matches("https://").to_owned();
        let (primary, backup) = (Cable::to(listen.parse().unwrap()), Cable::to(listen.parse().unwrap()));
        // The relay joins with a code; its name is the one counters reach it under.
        let arguments = ["device", "invite", "--role", "relay", "--institution", "P330212", "--counter", "127.0.0.1", "--json"];
        let invited: Value = serde_json::from_str(&run(&mut site.matcher(&arguments).unwrap()).unwrap()).unwrap();
        let joining = site.joining_address().unwrap();
        let said = run(&mut site.relay(&["join", "--center", &joining, "--code", invited["code"].as_str().unwrap()]).unwrap()).unwrap();
        assert!(said.contains("relay P330212-127.0.0.1 of institution P330212 is ready; counters reach it as 127.0.0.1"), "{said}");
        let lines = [("primary", primary.address), ("backup", backup.address)];
        let mut text = fs::read_to_string(site.relay_folder().join("relay.toml")).unwrap();
        for (name, address) in lines {
            text += &format!("\n[[center.endpoint]]\nname = \"{name}\"\naddress = \"https://{address}\"\n");
        }
        fs::write(site.relay_folder().join("relay.toml"), text).unwrap();
        Self { _folder: folder, site, second, center: Some(center), listen, primary, backup }
    }

    fn start_relay(&self, listen: &str) -> Server {
        self.start_relay_with(listen, "false")
    }

    fn start_relay_with(&self, listen: &str, page_always_protected: &str) -> Server {
        let mut command = self.site.relay(&["serve"]).unwrap();
        command.env("COUNTERSIGN_RELAY__RELAY__LISTEN", listen).env("COUNTERSIGN_RELAY__CENTER__RETURN_AFTER_MS", "2000");
        command.env("COUNTERSIGN_RELAY__CENTER__HEALTH_EVERY_S", "2");
        command.env("COUNTERSIGN_RELAY__PAGE__ALWAYS_PROTECTED", page_always_protected);
        Server::start(&mut command, &self.site.log("relay")).unwrap()
    }

    fn status(&self) -> Value {
        let output = self.site.relay(&["status", "--json"]).unwrap().output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// Waits until the relay's state is so.
    #[track_caller]
    fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let status = self.status();
            if is_so(&status) {
                return status;
            }
            assert!(started.elapsed() < Duration::from_secs(90), "not within 90 s: {what}: {status}\n{}", self.logs());
            thread::sleep(Duration::from_millis(300));
        }
    }

    /// People look at the relay's page in a browser on the relay itself, in both languages and sizes.
    #[track_caller]
    fn look_at_the_page(&self, name: &str) {
        let browser = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
        if !browser.join("node_modules").is_dir() {
            assert!(std::env::var_os("COUNTERSIGN_REQUIRE_MODELS").is_none(), "run .ci/setup test");
            eprintln!("SKIPPED: no browser tests without `npm ci` in tests/browser");
            return;
        }
        let shots = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots").join(name);
        fs::create_dir_all(&shots).unwrap();
        let folder = self.site.relay_folder();
        let address = fs::read_to_string(folder.join("page.addr")).unwrap();
        let mut node = Command::new("node");
        let password = fs::read_to_string(folder.join("page.token")).unwrap_or_default();
        node.arg("relay.mjs").arg(address).arg(shots).arg(password.trim());
        let output = node.args(["P330212-1", "P330212-2"]).current_dir(browser).output().unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert_eq!(said, serde_json::json!({ "faults": [] }), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn logs(&self) -> String {
        let last = |name: &str| {
            let text = fs::read_to_string(self.site.log(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(12).collect();
            format!("--- {name}\n{}\n", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
        };
        ["relay", "center", "counter", "counter-2"].map(last).concat()
    }

    fn start_center(&mut self) {
        self.center = Some(self.site.start_center(&self.listen).unwrap());
    }

    fn kill_center(&mut self) {
        self.center.take().unwrap().kill().unwrap();
    }

    /// Transactions the center has decided, sorted.
    fn decided(&self) -> Vec<String> {
        let records = self.site.listing("verifications").unwrap();
        let mut transactions: Vec<String> = records.iter().map(|record| record["transaction"].as_str().unwrap().to_owned()).collect();
        transactions.sort_unstable();
        transactions
    }
}

const SETTINGS: [(&str, &str); 2] = [("CENTER__HEALTH_EVERY_S", "2"), ("CENTER__DEGRADE_AFTER_MS", "2500")];

#[test]
fn nothing_is_lost_behind_a_relay_whatever_fails() {
    let mut shop = Shop::open();
    let relay = shop.start_relay("127.0.0.1:0");
    let address = relay.address().to_owned();
    // The counters need nothing but the relay's address.
    let first = shop.site.start_counter_with(&address, &SETTINGS).unwrap();
    let second = shop.second.start_counter_with(&address, &SETTINGS).unwrap();
    assert_eq!(first.verified(CARD, "settlement", "T-1").unwrap()["decision"], "match", "{}", shop.logs());
    let status = shop.until("both counters are seen", |status| status["counters"].as_array().is_some_and(|all| all.len() == 2));
    assert_eq!((&status["line"], &status["counters"][0]["let_in"]), (&"primary".into(), &true.into()), "{status}");

    shop.look_at_the_page("well");
    // The primary line is cut: the relay goes over to the backup line, and nobody at a counter notices.
    shop.primary.cut();
    assert_eq!(second.verified(CARD, "settlement", "T-2").unwrap()["degraded"], false);
    shop.until("the backup line is used", |status| status["line"] == "backup");
    shop.primary.mend();
    shop.until("the primary line is used again", |status| status["line"] == "primary");

    // No line at all: counters answer under their leases, and the relay keeps what they captured.
    shop.kill_center();
    for (counter, transaction) in [(&first, "T-3"), (&second, "T-4")] {
        let answer = counter.verified(CARD, "settlement", transaction).unwrap();
        assert_eq!((&answer["degraded"], answer["receipt"].as_str().is_some()), (&true.into(), true), "{answer}");
    }
    shop.until("both captures are kept", |status| status["waiting"] == 2 && status["is_down"] == true);
    check_nothing_readable(&shop.site.relay_folder());
    let output = shop.site.relay(&["status"]).unwrap().output().unwrap();
    assert_eq!(output.status.code(), Some(10), "no line is something to look at");

    shop.look_at_the_page("down");

    // The relay is killed, and one counter switched off; then the center is there again.
    relay.kill().unwrap();
    first.kill().unwrap();
    assert_eq!(shop.status()["running"], false);
    let relay = shop.start_relay_with(address.trim_start_matches("https://"), "true");
    shop.until("what was kept is still there", |status| status["waiting"] == 2);
    shop.start_center();
    shop.until("what was kept is at the center", |status| status["waiting"] == 0);
    // The counter that was off learns from the relay what the center said.
    let first = shop.site.start_counter_with(&address, &SETTINGS).unwrap();
    shop.until("no counter has anything left", |status| {
        status["counters"].as_array().is_some_and(|all| {
            all.len() == 2 && all.iter().all(|counter| counter["waiting_there"] == 0 && counter["last_seen_ms"].is_i64())
        })
    });
    shop.look_at_the_page("protected");
    let answered = |transaction: &str| shop.decided().iter().any(|decided| decided == transaction);
    let started = Instant::now();
    while !(answered("T-3") && answered("T-4")) {
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}\n{}", shop.decided(), shop.logs());
        thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(first.verified(CARD, "settlement", "T-5").unwrap()["decision"], "match");
    assert_eq!(shop.decided(), ["T-1", "T-2", "T-3", "T-4", "T-5"], "each once");

    // A counter that is revoked is out on its next call, through the relay too.
    run(&mut shop.site.matcher(&["device", "revoke", "P330212-2"]).unwrap()).unwrap();
    let (status, answer) = second.verify(CARD, "settlement", "T-6").unwrap();
    assert_eq!((status, &answer["error"]["code"]), (502, &"device_refused".into()), "{answer}");
    shop.until("the page says so", |status| status["counters"][1]["let_in"] == false);

    // And a relay that is revoked refuses no counter anything: they work as with a dead line.
    run(&mut shop.site.matcher(&["device", "revoke", "P330212-127.0.0.1"]).unwrap()).unwrap();
    let answer = first.verified(CARD, "settlement", "T-7").unwrap();
    assert_eq!(answer["degraded"], true, "{answer}");
    assert!(relay.stop().unwrap().success());
    assert_eq!(shop.status()["running"], false);
    check_nothing_readable(&shop.site.relay_folder());
    drop((second, first, shop.backup));
}

/// No card number lies open in a folder, its database's log and free pages included.
#[track_caller]
fn check_nothing_readable(folder: &Path) {
    let files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    assert!(files.iter().any(|path| path.ends_with("relay.db")));
    for path in files {
        let bytes = fs::read(&path).unwrap_or_default();
        assert!(!bytes.windows(CARD.len()).any(|window| window == CARD.as_bytes()), "{}", path.display());
    }
}
