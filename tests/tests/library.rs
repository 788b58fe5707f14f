//! A till that keeps one session of the C library open while the agent it talks to is killed, stopped, and started anew: what it is
//! told meanwhile, that it goes on by itself, and that a receipt asked for again is the same.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking; indexing a JSON value never does")]

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{
    people,
    process::binary,
    site::{Counter, Site},
};

const CARD: &str = "330203194910010027";
const PERSON: &str = "cl_franck_02221.jpg";

/// Calls the library's function for each line it is given.
const SCRIPT: &str = r#"
import json, sys
sys.path.insert(0, sys.argv[1])
from till import Countersign, Failed
till = Countersign(sys.argv[2], sys.argv[3])
for line in sys.stdin:
    code, fields = json.loads(line)
    try:
        answer = [0, till.result(fields["transaction"]) if code == "result" else till.call(code, **fields)]
    except Failed as failed:
        answer = [failed.code, failed.error]
    print(json.dumps(answer), flush=True)
"#;

/// One process with one session.
struct Till {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Till {
    fn open(site: &Site) -> Self {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../capture-agent/clib/examples");
        let config = json!({ "dir": site.counter_folder(), "connect_timeout_ms": 1500 }).to_string();
        let mut python = Command::new("python3");
        python.args(["-c", SCRIPT]).arg(examples).arg(binary("libcountersign.so").unwrap()).arg(config);
        let mut child = python.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    fn asks(&mut self, code: &str, fields: &Value) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{}", json!([code, fields])).unwrap();
    }

    fn answer(&mut self) -> (i64, Value) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        (answer[0].as_i64().unwrap(), answer[1].clone())
    }

    fn call(&mut self, code: &str, fields: &Value) -> (i64, Value) {
        self.asks(code, fields);
        self.answer()
    }
}

impl Drop for Till {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn verification(transaction: &str) -> Value {
    json!({ "transaction": transaction, "scene": "settlement", "card": CARD, "operator": "0417" })
}

fn start(site: &Site, center: &str) -> Counter {
    site.start_counter_with(center, &[("ACQUISITION__DEADLINE_MS", "8000")]).unwrap()
}

/// Clear words within the time that was set for finding an agent, in both languages.
#[track_caller]
fn check_nobody_there(till: &mut Till) {
    let started = Instant::now();
    let (code, error) = till.call("verify", &verification("T-1"));
    assert_eq!((code, &error["code"], &error["action"]), (-6, &"library_no_agent".into(), &"start the agent".into()), "{error}");
    assert_eq!(error["message_zh"], "核验程序未运行");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[test]
fn a_session_outlives_the_agent_and_receipts_are_the_same_again() {
    let place = tempfile::tempdir().unwrap();
    let site = Site::new(place.path()).unwrap();
    site.init_center().unwrap();
    site.join_counter("P330212", "1").unwrap();
    site.enrol(&[(CARD, people::picture("cl_franck_01829.jpg").unwrap())]).unwrap();
    let center = site.start_center("127.0.0.1:0").unwrap();
    let before_the_camera = |people: &[&str]| {
        let pictures: Vec<_> = people.iter().map(|person| people::picture(person).unwrap()).collect();
        site.stand_before_the_camera(&pictures).unwrap();
    };
    before_the_camera(&[PERSON]);
    let counter = start(&site, center.address());
    let mut till = Till::open(&site);
    let (code, first) = till.call("verify", &verification("T-1"));
    assert_eq!((code, &first["decision"], &first["repeated_answer"]), (0, &"match".into(), &false.into()), "{first}");
    assert!(first["receipt"].as_str().is_some_and(|receipt| receipt.len() > 100), "{first}");

    // Killed: its address and token are still there, and nobody behind them. Then another run, at another port, with another token.
    counter.kill().unwrap();
    check_nobody_there(&mut till);
    let counter = start(&site, center.address());
    let (code, again) = till.call("verify", &verification("T-1"));
    assert_eq!((code, &again["receipt"], &again["receipt_number"]), (0, &first["receipt"], &first["receipt_number"]), "{again}");
    assert_eq!(again["repeated_answer"], true, "{again}");

    // A transaction that was opened before: how it stands is asked without what it is about, as far as the book knows it.
    let opened = json!({ "transaction": "T-2", "scene": "settlement", "card": CARD, "operator": "0417" });
    assert_eq!(till.call("open", &opened).0, 0);
    let (code, answer) = till.call("attempt", &json!({ "transaction": "T-2" }));
    assert_eq!((code, &answer["decision"]), (0, &"match".into()), "{answer}");
    // Stopped in order: its files are gone.
    counter.stop().unwrap();
    check_nobody_there(&mut till);
    let counter = start(&site, center.address());
    let (code, found) = till.call("open", &opened);
    assert_eq!((code, &found["attempts"][0]["receipt_number"]), (0, &answer["receipt_number"]), "{found}");
    let (code, same) = till.call("attempt", &json!({ "transaction": "T-2", "attempt": 1 }));
    assert_eq!((code, &same["receipt"]), (0, &answer["receipt"]), "{same}");

    // Killed under a call: nobody knows how far it came, so the till is told to ask the very same again; it was done once.
    let nobody = place.path().join("nobody.ppm");
    std::fs::write(&nobody, [b"P6\n320 240\n255\n".as_slice(), &[90; 320 * 240 * 3]].concat()).unwrap();
    site.stand_before_the_camera(&[nobody]).unwrap();
    till.asks("verify", &verification("T-3"));
    std::thread::sleep(Duration::from_secs(1));
    counter.kill().unwrap();
    let (code, error) = till.answer();
    assert_eq!((code, &error["code"]), (-7, &"library_timed_out".into()), "{error}");
    assert!(error["action"].as_str().unwrap().contains("same transaction and attempt"), "{error}");
    before_the_camera(&[PERSON]);
    let counter = start(&site, center.address());
    let (code, last) = till.call("verify", &verification("T-3"));
    assert_eq!((code, &last["decision"]), (0, &"match".into()), "{last}");
    let records = site.listing("verifications").unwrap();
    let mut decided: Vec<&str> = records.iter().map(|record| record["transaction"].as_str().unwrap()).collect();
    decided.sort_unstable();
    assert_eq!(decided, ["T-1", "T-2", "T-3"], "each once");
    counter.stop().unwrap();
    center.stop().unwrap();
}
