//! Every snippet of the integration guide, run in its order in one shell: `sh` as it stands, `c` compiled and run, `python` run,
//! `toml` written as script.toml. A `json` block is what the `sh` block before it answers: "…" stands for any value, and further
//! fields may be there. A block of another kind, or one that is not reached, fails the test.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::built::{here, library};

/// The agent's program, built beside this one.
fn agent() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let found = this.ancestors().skip(1).take(2).map(|folder| folder.join("capture-agent")).find(|path| path.is_file());
    found.expect("capture-agent is not built; build it first: cargo build --workspace --bins")
}

/// The fenced blocks of a text: language, content and the line it begins in.
fn blocks(text: &str) -> Vec<(String, String, usize)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String, usize)> = None;
    for (line, number) in text.lines().zip(1..) {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => open = Some((language.trim().to_owned(), String::new(), number)),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some((language, content, at))) => open = Some((language, content + line + "\n", at)),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block does not end");
    blocks
}

/// Whether an answer says what the guide shows.
fn agrees(shown: &Value, said: &Value) -> bool {
    match (shown, said) {
        (Value::String(any), _) if any == "…" => true,
        (Value::Object(shown), Value::Object(said)) => {
            shown.iter().all(|(name, shown)| said.get(name).is_some_and(|said| agrees(shown, said)))
        }
        (Value::Array(shown), Value::Array(said)) => shown.len() == said.len() && shown.iter().zip(said).all(|(a, b)| agrees(a, b)),
        (shown, said) => shown == said,
    }
}

/// The script that runs every block, and what each `json` block shows: the number of the block before it, its line, the JSON.
fn script(guide: &str, folder: &Path) -> (String, Vec<(usize, usize, Value)>) {
    let mut script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n".to_owned();
    let (mut shown, mut last_sh) = (Vec::new(), None);
    for (number, (language, content, line)) in blocks(guide).into_iter().enumerate() {
        let file = folder.join(format!("guide-{number}.{language}"));
        let run = match language.as_str() {
            "sh" => format!("{{\n{content}}} > out-{number}\n"),
            "c" => format!(
                "cc -std=c99 -Wall -Wextra -Werror -pedantic -I {} guide-{number}.c -L . -lcountersign -o guide-{number}\n\
                 ./guide-{number} > out-{number}\n",
                here("include").display()
            ),
            "python" => format!("python3 guide-{number}.python > out-{number}\n"),
            "toml" => "".to_owned(),
            "json" => {
                let before = last_sh.unwrap_or_else(|| panic!("line {line}: expected an sh block before a json block"));
                shown.push((before, line, serde_json::from_str(&content).unwrap_or_else(|error| panic!("line {line}: {error}"))));
                continue;
            }
            other => panic!("line {line}: a block of language {other:?} is not run: expected sh, c, python, toml or json"),
        };
        fs::write(if language == "toml" { folder.join("script.toml") } else { file }, &content).unwrap();
        write!(script, "echo {number} > reached; : line {line}\n{run}").unwrap();
        last_sh = (language == "sh").then_some(number);
    }
    script.push_str("echo all > reached\n");
    (script, shown)
}

fn check(guide: &str) {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(here(guide)).unwrap();
    let (script, shown) = script(&text, folder.path());
    assert!(shown.len() > 5, "{guide} shows hardly anything");
    symlink(agent(), folder.path().join("capture-agent")).unwrap();
    symlink(library(), folder.path().join("libcountersign.so")).unwrap();
    fs::write(folder.path().join("script.sh"), script).unwrap();
    let output = Command::new("timeout")
        .args(["120", "bash", "script.sh"])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap()))
        .env("LD_LIBRARY_PATH", folder.path())
        .output()
        .unwrap();
    let reached = fs::read_to_string(folder.path().join("reached")).unwrap_or_default();
    let told = |number: usize| fs::read_to_string(folder.path().join(format!("out-{number}"))).unwrap_or_default();
    let so_far = reached.trim().parse().map(told).unwrap_or_default();
    assert_eq!(reached.trim(), "all", "{guide}: {}\n{so_far}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{guide}: {}", String::from_utf8_lossy(&output.stderr));
    for (number, line, shown) in shown {
        let told = told(number);
        let said = told.lines().last().and_then(|last| serde_json::from_str(last).ok()).unwrap_or(Value::Null);
        assert!(agrees(&shown, &said), "{guide}, line {line}: shows {shown}\nand is {told}");
    }
}

#[test]
fn every_snippet_of_the_guide_does_what_it_says() {
    check("../integration/README.md");
}

#[test]
fn every_snippet_of_the_chinese_guide_does_what_it_says() {
    check("../integration/README.zh.md");
}

#[test]
fn a_block_that_is_not_run_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |text: &str| std::panic::catch_unwind(|| script(text, folder.path())).is_err();
    assert!(refused("```\nls\n```\n") && refused("```java\nx\n```\n") && refused("```json\n{}\n```\n") && refused("```sh\nls\n"));
    assert!(!refused("```sh\nls\n```\n"));
    let (shown, said) = (serde_json::json!({ "a": ["…", 1] }), serde_json::json!({ "a": [7, 1], "b": 2 }));
    assert!(agrees(&shown, &said) && !agrees(&said, &shown) && !agrees(&serde_json::json!({ "a": [7] }), &said));
}
