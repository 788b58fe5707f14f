//! Codes, JSON, lengths and encodings of any bytes at the C functions: a code, never a crash, never a byte beyond the buffer. No
//! agent runs. `cargo fuzz run call` in `capture-agent/clib/` (on stable with `--sanitizer none`).
#![no_main]
#![expect(unsafe_code, reason = "the functions take pointers")]

use std::{ffi::CString, sync::Once};

use countersign::{
    boundary::{countersign_call, countersign_confirm, countersign_init, countersign_last, countersign_result},
    code,
};
use libfuzzer_sys::fuzz_target;

static OPEN: Once = Once::new();

fuzz_target!(|input: (u8, &[u8], &[u8])| {
    let (len, first, second) = input;
    let text = |bytes: &[u8]| CString::new(bytes.iter().copied().filter(|byte| *byte != 0).collect::<Vec<u8>>());
    let (Ok(first), Ok(second)) = (text(first), text(second)) else { return };
    let size = usize::from(len);
    let mut out = vec![0xA5_u8; size + 8];
    let (at, length) = (out.as_mut_ptr().cast(), i32::from(len));
    OPEN.call_once(|| {
        let mut err = [0_u8; 200];
        let config = c"{\"dir\": \"/nowhere\", \"connect_timeout_ms\": 1, \"encoding\": \"gbk\"}";
        // SAFETY: a text with its NUL, and a buffer of its length.
        unsafe { countersign_init(config.as_ptr(), err.as_mut_ptr().cast(), 200) };
    });
    // SAFETY: texts with their NUL, and a buffer that is longer than its length.
    let codes = unsafe {
        [
            countersign_init(second.as_ptr(), at, length),
            countersign_call(first.as_ptr(), second.as_ptr(), at, length),
            countersign_call(c"open".as_ptr(), second.as_ptr(), at, length),
            countersign_result(first.as_ptr(), at, length),
            countersign_confirm(second.as_ptr(), at, length),
            countersign_last(at, length),
        ]
    };
    assert!(codes.iter().all(|code| *code <= code::OK && *code != code::INTERNAL), "{codes:?}");
    assert!(out[size..].iter().all(|byte| *byte == 0xA5));
    assert!(size == 0 || out[..size].contains(&0));
});
