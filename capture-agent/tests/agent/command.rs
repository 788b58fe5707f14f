//! The real binary: exit codes, JSON, and the life of `serve`. Models are those of the cache (`models fetch`).

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::{
    center::Center,
    eyes::NOBODY,
    folder::{Authority, Folder},
};

fn binary(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_capture-agent"));
    command.arg("--dir").arg(dir).stdin(Stdio::null());
    command
}

pub(crate) async fn run(dir: &Path, args: &str) -> Output {
    let mut command = binary(dir);
    command.args(args.split(' '));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[track_caller]
fn check(output: &Output, code: i32, stdout: &str, stderr: &str) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    assert!(out.contains(stdout), "stdout: {out}");
    assert!(err.contains(stderr), "stderr: {err}");
}

const VERIFY: &str = "verify --card 100 --scene settlement --transaction T1";

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_made_and_installed_by_command() {
    let center = Center::new();
    let made = Folder::made(&center.authority, center.opening_key.public());
    check(&run(made.path(), "init").await, 0, "device.csr", "");
    check(&run(made.path(), VERIFY).await, 64, "", "expected what the center issued");
    let bundle = format!("install --bundle {}", made.bundle.path().display());
    check(&run(made.path(), &bundle).await, 0, "device counter-1 of institution P001", "");
    fs::write(made.bundle.path().join("ca.crt"), Authority::new().pem).unwrap();
    check(&run(made.path(), &bundle).await, 64, "", "expected a valid certificate by the authority");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_has_its_exit_code() {
    let empty = tempfile::tempdir().unwrap();
    check(
        &run(empty.path(), "verify --card 100 --scene ward --transaction T1").await,
        2,
        "",
        "expected registration, reception, settlement",
    );
    check(&run(empty.path(), "verify").await, 2, "", "--card");
    check(&run(empty.path(), VERIFY).await, 64, "", "capture-agent init");
    check(&run(empty.path(), &format!("{VERIFY} --json")).await, 64, "\"code\":\"state_folder\"", "");
    fs::write(empty.path().join("agent.toml"), "[camera]\nfps = 30\n").unwrap();
    check(&run(empty.path(), VERIFY).await, 64, "", "fps");
    check(&run(empty.path(), "verify --help").await, 0, "20  the center does not answer", "");
    check(&run(empty.path(), "completions bash").await, 0, "capture-agent", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_counter_is_no_decision_and_a_dead_line_is_said() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    center.says(|facts| (facts.feature_model, facts.recipe) = (String::new(), String::new()));
    folder.show(NOBODY);
    folder.configure(&address, "");
    check(
        &run(folder.path(), VERIFY).await,
        12,
        "NO DECISION: offer another way of verifying\nreasons: no_face",
        "please look at the camera",
    );
    let output = run(folder.path(), &format!("{VERIFY} --json")).await;
    check(&output, 12, "", "");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["decision"], &answer["repeated_answer"]), (&"no_decision".into(), &true.into()));
    center.stop().await;
    check(&run(folder.path(), &format!("{VERIFY} --attempt 2 --json")).await, 20, "\"code\":\"center_unreachable\"", "");
    assert!(!String::from_utf8_lossy(&fs::read(folder.path().join("state.db")).unwrap()).contains("card"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_a_camera_says_so() {
    let mut center = Center::new();
    let folder = center.folder();
    let address = center.start(&folder);
    center.says(|facts| (facts.feature_model, facts.recipe) = (String::new(), String::new()));
    fs::write(folder.path().join("agent.toml"), format!("[center]\naddress = \"{address}\"\n[camera]\ndevice = 9999\n")).unwrap();
    let listed = run(folder.path(), "cameras --json").await;
    let cameras: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
    if cameras.is_empty() {
        check(&run(folder.path(), "cameras").await, 0, "no camera", "");
    }
    check(&run(folder.path(), VERIFY).await, 1, "", "no camera");
    check(&run(folder.path(), &format!("{VERIFY} --json")).await, 1, "\"code\":\"camera_absent\"", "");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn serve_says_where_listens_alone_and_ends_when_asked() {
    let mut center = Center::new();
    let folder = center.folder();
    folder.show(NOBODY);
    folder.configure(&center.start(&folder), "");
    let mut serving = binary(folder.path()).arg("serve").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(serving.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let address = fs::read_to_string(folder.path().join("api.addr")).unwrap();
    assert_eq!(first, format!("listening on http://{address}"));
    check(&run(folder.path(), "serve").await, 1, "", "served by another process");
    check(&run(folder.path(), "screen").await, 0, &format!("http://{address}/screen/open?link="), "");
    let asked = Command::new("kill").arg("-TERM").arg(serving.id().to_string()).status().unwrap();
    assert!(asked.success() && serving.wait().unwrap().success());
    assert!(!folder.path().join("api.token").exists());
    check(&run(folder.path(), "screen").await, 1, "", "the agent does not run");
}
