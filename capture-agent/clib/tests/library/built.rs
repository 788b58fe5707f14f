//! Programs in C, compiled against the library and its header with every warning an error.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

const STRICT: [&str; 7] = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-g"];

pub(crate) fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The shared library of this build.
pub(crate) fn library() -> PathBuf {
    let built = std::env::current_exe().unwrap().parent().unwrap().join("libcountersign.so");
    assert!(built.is_file(), "{} is not built", built.display());
    built
}

/// Compiles a program and gives its path.
pub(crate) fn program(source: &Path, into: &Path, more: &[&str]) -> PathBuf {
    program_with(library().parent().unwrap(), source, into, more)
}

/// The same with the shared library of another folder.
pub(crate) fn program_with(folder: &Path, source: &Path, into: &Path, more: &[&str]) -> PathBuf {
    let program = into.join(source.file_stem().unwrap());
    let output = Command::new("cc")
        .args(STRICT)
        .args(more)
        .arg("-I")
        .arg(here("include"))
        .arg(source)
        .arg("-o")
        .arg(&program)
        .arg("-L")
        .arg(folder)
        .arg("-lcountersign")
        .arg(format!("-Wl,-rpath,{}", folder.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// What a program wrote, once it ended with this exit code.
#[track_caller]
pub(crate) fn wrote(output: &Output, code: i32) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    out.into_owned()
}
