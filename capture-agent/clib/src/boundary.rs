//! The functions that C sees, and all that is unsafe: reading texts that end with a NUL, writing into buffers of the caller.
//!
//! Nothing is read beyond a bound, nothing is written beyond a length, every buffer that is taken ends with a NUL, and nothing
//! unwinds into the caller. What a function does is in [`session`](crate::session).
#![expect(unsafe_code, reason = "the one place where pointers of the caller are followed")]

use std::{
    ffi::c_char,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr, slice,
};

use crate::{
    answer::{Failure, code},
    session,
    text::Encoding,
};

/// The longest text taken, in bytes: more is refused without being looked at.
const TEXT_LEN_MAX: usize = 64 * 1024;

/// Opens the one session of this process. `config_json` (UTF-8, or GBK) is
/// `{"dir": "…"}`, the agent's state folder, or `{"address": "127.0.0.1:…", "key": "…"}`; also `encoding` ("utf-8" or
/// "gbk", for all other texts both ways), `connect_timeout_ms`, `request_timeout_ms` and `call_timeout_ms`. Asks the agent
/// nothing. Returns 0, or a code below 0 and why in `err`, a buffer of `err_len` bytes.
///
/// # Safety
/// `config_json` is null or ends with a NUL; `err` is null or has room for `err_len` bytes. Any thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn countersign_init(config_json: *const c_char, err: *mut c_char, err_len: i32) -> i32 {
    // SAFETY: the caller keeps the contract of this function, which is the one of `text` and `answered`.
    unsafe {
        answered(err, err_len, || {
            let bytes = text("config_json", config_json)?;
            let config = Encoding::Utf8.read(&bytes).or_else(|| Encoding::Gbk.read(&bytes));
            let config = config.ok_or_else(|| Failure::Invalid("config_json: expected UTF-8 or GBK".to_owned()))?;
            session::open(&config).map(|()| String::new())
        })
    }
}

/// Makes a call: `code` is verify, open, show, attempt, document_check, chip, other_way, proxy, confirm, reverse, cancel,
/// operator or health; `in_json` the fields of the local API's resource, and `transaction` where its path names one. Returns
/// 0 and the answer in `out`, a buffer of `out_len` bytes; or a code below 0 and `{"error": …}` in `out`, cut where it does
/// not fit. The agent's code stands in `error.code`.
///
/// # Safety
/// `code` and `in_json` are null or end with a NUL; `out` is null or has room for `out_len` bytes. Any thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn countersign_call(code: *const c_char, in_json: *const c_char, out: *mut c_char, out_len: i32) -> i32 {
    // SAFETY: the caller keeps the contract of this function, which is the one of `text` and `answered`.
    unsafe { answered(out, out_len, || session::call(&text("code", code)?, &text("in_json", in_json)?)) }
}

/// How a transaction stands: its state, the ways that are open, the last answer with its receipt, its settlements.
/// `transaction` is its name. Returns as `countersign_call`.
///
/// # Safety
/// `transaction` is null or ends with a NUL; `out` is null or has room for `out_len` bytes. Any thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn countersign_result(transaction: *const c_char, out: *mut c_char, out_len: i32) -> i32 {
    // SAFETY: the caller keeps the contract of this function, which is the one of `text` and `answered`.
    unsafe { answered(out, out_len, || session::result(&text("transaction", transaction)?)) }
}

/// After the settlement: `in_json` has `transaction`, `settlement`, `amount_fen`, and `document_checked_by` where the
/// disposition was document_check. Returns as `countersign_call`. What the center makes of it stands in `settlements`.
///
/// # Safety
/// `in_json` is null or ends with a NUL; `out` is null or has room for `out_len` bytes. Any thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn countersign_confirm(in_json: *const c_char, out: *mut c_char, out_len: i32) -> i32 {
    // SAFETY: the caller keeps the contract of this function, which is the one of `text` and `answered`.
    unsafe { answered(out, out_len, || session::call(b"confirm", &text("in_json", in_json)?)) }
}

/// On a refund, days later too: `in_json` has `transaction`, and `settlement` where one of several is taken back. Returns as
/// `countersign_call`.
///
/// # Safety
/// `in_json` is null or ends with a NUL; `out` is null or has room for `out_len` bytes. Any thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn countersign_reverse(in_json: *const c_char, out: *mut c_char, out_len: i32) -> i32 {
    // SAFETY: the caller keeps the contract of this function, which is the one of `text` and `answered`.
    unsafe { answered(out, out_len, || session::call(b"reverse", &text("in_json", in_json)?)) }
}

/// The last answer of this thread once more, in full and without a call: for a buffer that was too short. With a null `out`
/// and an `out_len` of 0, returns how many bytes it needs, the NUL included.
///
/// # Safety
/// `out` is null or has room for `out_len` bytes. Any thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn countersign_last(out: *mut c_char, out_len: i32) -> i32 {
    let last = catch_unwind(session::last).unwrap_or_default();
    if out.is_null() && out_len == 0 {
        return i32::try_from(last.len().saturating_add(1)).unwrap_or(code::INTERNAL);
    }
    let Some(room) = room(out, out_len) else { return code::INVALID };
    let fits = last.len() <= room;
    // SAFETY: `out` has room for `out_len` bytes, which is `room` and one more.
    unsafe { put(out, room, if fits { &last } else { &[] }) };
    if fits { code::OK } else { code::TOO_SHORT }
}

/// Ends the session. Calls of other threads that are under way end as they would. Returns 0, or a code below 0 where there
/// was none.
#[unsafe(no_mangle)]
pub extern "system" fn countersign_close() -> i32 {
    match catch_unwind(session::close) {
        Ok(true) => code::OK,
        Ok(false) => code::NOT_OPEN,
        Err(_) => code::INTERNAL,
    }
}

/// The bytes of a text, without its NUL.
///
/// # Safety
/// `from` is null or ends with a NUL.
unsafe fn text(name: &'static str, from: *const c_char) -> Result<Vec<u8>, Failure> {
    if from.is_null() {
        return Err(Failure::Invalid(format!("{name}: expected no null pointer")));
    }
    for len in 0..=TEXT_LEN_MAX {
        // SAFETY: every byte before this one is no NUL, so this one still belongs to the text.
        if unsafe { from.add(len).read() } == 0 {
            // SAFETY: `len` bytes were just read, and they are not changed while the function runs.
            return Ok(unsafe { slice::from_raw_parts(from.cast::<u8>(), len) }.to_vec());
        }
    }
    Err(Failure::Invalid(format!("{name}: expected at most {TEXT_LEN_MAX} bytes")))
}

/// Bytes of text that a buffer has room for beside the NUL; nothing where it is no buffer.
fn room(out: *const c_char, out_len: i32) -> Option<usize> {
    usize::try_from(out_len).ok()?.checked_sub(1).filter(|_| !out.is_null())
}

/// Does the work and writes what came of it.
///
/// # Safety
/// `out` is null or has room for `out_len` bytes.
unsafe fn answered(out: *mut c_char, out_len: i32, work: impl FnOnce() -> Result<String, Failure>) -> i32 {
    // Nothing is done that could not be answered.
    let Some(room) = room(out, out_len) else { return code::INVALID };
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Failure::Internal));
        let encoding = session::encoding();
        let (code, text) = outcome.map_or_else(|failure| (failure.code(), failure.text()), |text| (code::OK, text));
        let whole = encoding.write(&text);
        session::keep(&whole);
        match code {
            _ if whole.len() <= room => (code, whole),
            code::OK => (code::TOO_SHORT, Vec::new()),
            _ => (code, encoding.cut(&text, room)),
        }
    }));
    let (code, bytes) = ended.unwrap_or((code::INTERNAL, Vec::new()));
    // SAFETY: `out` has room for `out_len` bytes, which is `room` and one more.
    unsafe { put(out, room, &bytes) };
    code
}

/// Writes bytes and a NUL.
///
/// # Safety
/// `out` has room for `room` bytes and one more.
unsafe fn put(out: *mut c_char, room: usize, bytes: &[u8]) {
    let len = bytes.len().min(room);
    // SAFETY: `len` is at most `room` and at most the length of `bytes`; the two do not overlap, for `bytes` is ours.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), out.cast::<u8>(), len) };
    // SAFETY: `len` is at most `room`, and one more byte belongs to the buffer.
    unsafe { out.add(len).write(0) };
}

#[cfg(test)]
mod tests {
    //! Anything at all thrown at the functions, in one process: nothing crashes, nothing beyond a buffer changes, every code is
    //! one of the list. No agent runs here.

    use std::{ffi::CString, sync::Mutex};

    use proptest::prelude::*;

    use super::*;

    /// The session is one for the process.
    static ALONE: Mutex<()> = Mutex::new(());

    const CODES: [i32; 12] = [
        code::OK,
        code::INVALID,
        code::TOO_SHORT,
        code::NOT_OPEN,
        code::ALREADY_OPEN,
        code::CONFIGURATION,
        code::NO_AGENT,
        code::TIMED_OUT,
        code::REFUSED,
        code::FAILED,
        code::NOT_UNDERSTOOD,
        code::INTERNAL,
    ];

    /// Calls with a buffer of `len` bytes before a guard; gives the code and the text.
    fn into(len: usize, call: impl Fn(*mut std::ffi::c_char, i32) -> i32) -> (i32, Vec<u8>) {
        let mut buffer = vec![0xA5_u8; len + 16];
        let code = call(buffer.as_mut_ptr().cast(), i32::try_from(len).unwrap());
        assert!(CODES.contains(&code) && code != code::INTERNAL, "{code}");
        assert!(buffer[len..].iter().all(|byte| *byte == 0xA5), "written beyond {len}");
        let end = buffer[..len].iter().position(|byte| *byte == 0);
        assert!(len == 0 || end.is_some(), "no NUL in {len}");
        (code, buffer[..end.unwrap_or(0)].to_vec())
    }

    fn text(mut bytes: Vec<u8>) -> CString {
        bytes.retain(|byte| *byte != 0);
        CString::new(bytes).unwrap()
    }

    /// Opens a session with an agent that is not there.
    fn open(encoding: &str) {
        countersign_close();
        let config = text(format!(r#"{{"dir": "/nowhere", "connect_timeout_ms": 1, "encoding": "{encoding}"}}"#).into_bytes());
        // SAFETY: a text with its NUL, and a buffer of its length.
        let opened = into(200, |out, len| unsafe { countersign_init(config.as_ptr(), out, len) });
        assert_eq!(opened, (code::OK, Vec::new()));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_and_lengths_end_in_a_code(
            gbk in any::<bool>(),
            call in prop_oneof![any::<Vec<u8>>(), Just(b"open".to_vec()), Just(b"show".to_vec()), Just(b"health".to_vec())],
            json in prop_oneof![any::<Vec<u8>>(), "\\{\"transaction\": ?\"?.{0,70}\"?\\}".prop_map(String::into_bytes)],
            len in 0_usize..400,
        ) {
            let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            open(if gbk { "gbk" } else { "utf-8" });
            let (call, json) = (text(call), text(json));
            // SAFETY: texts with their NUL, and buffers of their lengths.
                    let outcomes = unsafe {[
                into(len, |out, len| countersign_call(call.as_ptr(), json.as_ptr(), out, len)),
                into(len, |out, len| countersign_result(json.as_ptr(), out, len)),
                into(len, |out, len| countersign_confirm(json.as_ptr(), out, len)),
                into(len, |out, len| countersign_reverse(json.as_ptr(), out, len)),
                into(len, |out, len| countersign_last(out, len)),
            ]};
            for (code, _) in &outcomes[..4] {
                prop_assert!(*code == code::INVALID || *code == code::NO_AGENT, "{code}");
            }
            countersign_close();
            let after = into(len, |out, len| {
                // SAFETY: as above.
                            unsafe { countersign_init(json.as_ptr(), out, len) }
            });
            prop_assert!(len == 0 || after.0 == code::CONFIGURATION || after.0 == code::INVALID || after.0 == code::OK);
            countersign_close();
        }
    }
}
