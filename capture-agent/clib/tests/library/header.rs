//! The committed header is what the code says. `COUNTERSIGN_WRITE=1` writes it.

use std::fs;

use crate::built::here;

/// Every exported function, by its undecorated name.
const FUNCTIONS: [&str; 7] = ["init", "call", "result", "confirm", "reverse", "last", "close"];

/// The header as cbindgen makes it. It reads `extern "C"`; the calling convention of the platform is put in afterwards, as a
/// macro that is nothing but on 32-bit Windows.
fn made() -> String {
    let folder = tempfile::tempdir().unwrap();
    let boundary = fs::read_to_string(here("src/boundary.rs")).unwrap().replace("extern \"system\"", "extern \"C\"");
    // Rust's section on safety says what the header's first words say.
    let mut source = String::new();
    let mut safety = false;
    for line in boundary.lines().filter(|line| !line.starts_with("//!") && !line.starts_with("#![")) {
        safety = line.starts_with("///") && (safety || line.contains("# Safety"));
        if !safety {
            source.push_str(line);
            source.push('\n');
        }
    }
    let answer = fs::read_to_string(here("src/answer.rs")).unwrap();
    let codes = answer.split("pub mod code {").nth(1).unwrap().split("\n}").next().unwrap();
    let path = folder.path().join("lib.rs");
    fs::write(&path, format!("{}\n{codes}", source.replace("///\n#[", "#["))).unwrap();
    let config = cbindgen::Config::from_file(here("cbindgen.toml")).unwrap();
    let mut bytes = Vec::new();
    cbindgen::Builder::new().with_src(path).with_config(config).generate().unwrap().write(&mut bytes);
    let text =
        String::from_utf8(bytes).unwrap().replace("\nint32_t countersign_", "\nCOUNTERSIGN_API int32_t COUNTERSIGN_STDCALL countersign_");
    text.replace(" \n", "\n")
}

#[test]
fn the_header_is_what_the_code_says() {
    let (path, made) = (here("include/countersign.h"), made());
    if std::env::var_os("COUNTERSIGN_WRITE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), made, "COUNTERSIGN_WRITE=1 writes it");
    for function in FUNCTIONS {
        assert!(made.contains(&format!("COUNTERSIGN_API int32_t COUNTERSIGN_STDCALL countersign_{function}(")), "{function}");
    }
    assert_eq!(made.matches("COUNTERSIGN_API int32_t").count(), FUNCTIONS.len());
}

#[test]
fn the_library_exports_these_names_and_no_others_of_ours() {
    let listed = std::process::Command::new("nm").args(["-D", "--defined-only"]).arg(crate::built::library()).output().unwrap();
    let text = crate::built::wrote(&listed, 0);
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    names.sort_unstable();
    let mut expected: Vec<String> = FUNCTIONS.iter().map(|function| format!("countersign_{function}")).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
}
