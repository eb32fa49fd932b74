//! The C interface of native handlers (`tasker_handler.h`), version 1, around functions of safe Rust.
//!
//! Copy this file beside handlers of your own: `export!(price, work)` makes of `fn work(&[u8]) -> Result<Option<Value>,
//! Failure>` the symbol `price`. A panic becomes a failure; nothing but an abort ends the worker.

#![allow(
    unsafe_code,
    reason = "the interface is made of pointers: each use says why it is sound"
)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Once;
use std::{ptr, slice};

use serde_json::{Value, json};

const VERSION: u32 = 1;
const DONE: i32 = 0;
const FAILED: i32 = 1;
const PANICKED: i32 = 101;

/// Why a step fails; Tasker raises it as a `RetryableError` or a `PermanentError`.
pub(crate) struct Failure {
    error: String,
    retryable: bool,
}

impl Failure {
    /// A failure that may not come again.
    pub(crate) fn retryable(error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            retryable: true,
        }
    }

    /// A failure for good.
    pub(crate) fn permanent(error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            retryable: false,
        }
    }
}

/// Makes a symbol of a function.
macro_rules! export {
    ($symbol:ident, $work:path) => {
        #[doc = concat!("`", stringify!($work), "` with the C interface.\n\n# Safety\n\nSee `tasker_handler.h`.")]
        #[allow(unsafe_code, reason = "the symbol is this library's own")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $symbol(
            input: *const u8,
            input_len: usize,
            out: *mut *mut u8,
            out_len: *mut usize,
        ) -> i32 {
            // SAFETY: the caller keeps to `tasker_handler.h`, which is what `call` asks for.
            unsafe { $crate::boundary::call(input, input_len, out, out_len, $work) }
        }
    };
}
pub(crate) use export;

/// Reads the input, does the work, and hands over what it gave.
///
/// # Safety
///
/// `input` is null or `input_len` bytes that nobody changes meanwhile; `out` and `out_len` can be written.
pub(crate) unsafe fn call(
    input: *const u8,
    input_len: usize,
    out: *mut *mut u8,
    out_len: *mut usize,
    work: fn(&[u8]) -> Result<Option<Value>, Failure>,
) -> i32 {
    let given = if input.is_null() {
        &[]
    } else {
        // SAFETY: the caller's promise.
        unsafe { slice::from_raw_parts(input, input_len) }
    };
    let (status, output) = answered(|| work(given));
    let Some(bytes) = output
        .map(Vec::into_boxed_slice)
        .filter(|bytes| !bytes.is_empty())
    else {
        return status;
    };
    // SAFETY: the caller's promise. The bytes belong to the caller until `tasker_free`.
    unsafe {
        out_len.write(bytes.len());
        out.write(Box::into_raw(bytes).cast());
    }
    status
}

/// Does the work; whatever happens becomes a status and an output.
fn answered(work: impl FnOnce() -> Result<Option<Value>, Failure>) -> (i32, Option<Vec<u8>>) {
    static QUIET: Once = Once::new();
    if !cfg!(test) {
        // What a panic says may hold a secret. The hook is that of this library's own standard library.
        QUIET.call_once(|| set_hook(Box::new(|_| ())));
    }
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => (DONE, value.map(|value| value.to_string().into_bytes())),
        Ok(Err(Failure { error, retryable })) => {
            let told = json!({ "error": error, "retryable": retryable });
            (FAILED, Some(told.to_string().into_bytes()))
        }
        Err(panic) => {
            let error = format!("the handler panicked: {}", message(panic.as_ref()));
            let told = json!({ "error": error, "retryable": false, "code": "PANIC" });
            (PANICKED, Some(told.to_string().into_bytes()))
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}

/// Gives the version of the interface.
#[unsafe(no_mangle)]
pub extern "C" fn tasker_abi_version() -> u32 {
    VERSION
}

/// Takes an output back.
///
/// # Safety
///
/// `out` and `out_len` are what one call of a handler gave, and come back once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tasker_free(out: *mut u8, out_len: usize) {
    if !out.is_null() {
        // SAFETY: the caller's promise; `call` made them of a box.
        drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(out, out_len)) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls as Tasker does, and takes the output back.
    fn called(input: &[u8], work: fn(&[u8]) -> Result<Option<Value>, Failure>) -> (i32, Vec<u8>) {
        let (mut out, mut out_len) = (ptr::null_mut(), 0);
        // SAFETY: a slice, and two places of this function.
        let status = unsafe {
            call(
                input.as_ptr(),
                input.len(),
                &raw mut out,
                &raw mut out_len,
                work,
            )
        };
        if out.is_null() {
            assert_eq!(out_len, 0);
            return (status, Vec::new());
        }
        // SAFETY: what `call` gave is read and comes back once.
        let copy = unsafe { slice::from_raw_parts(out, out_len) }.to_vec();
        unsafe { tasker_free(out, out_len) };
        (status, copy)
    }

    #[test]
    fn results_are_json() {
        assert_eq!(
            called(b"{}", |_| Ok(Some(json!({ "a": ["\u{e4}"] })))),
            (0, "{\"a\":[\"\u{e4}\"]}".into())
        );
        assert_eq!(called(b"", |_| Ok(None)), (0, Vec::new()));
        assert_eq!(
            called(b"12", |input| Ok(Some(json!(input.len())))),
            (0, b"2".into())
        );
    }

    #[test]
    fn a_failure_says_whether_it_may_be_tried_again() {
        let told = b"{\"error\":\"busy\",\"retryable\":true}".to_vec();
        assert_eq!(
            called(b"", |_| Err(Failure::retryable("busy"))),
            (FAILED, told)
        );
        let told = b"{\"error\":\"gone\",\"retryable\":false}".to_vec();
        assert_eq!(
            called(b"", |_| Err(Failure::permanent("gone"))),
            (FAILED, told)
        );
    }

    #[test]
    fn a_panic_is_contained() {
        for (work, said) in [
            ((|_| panic!("static")) as fn(&[u8]) -> _, "static"),
            (|input| panic!("of {}", input.len()), "of 0"),
            (|_| std::panic::panic_any(7), "without a message"),
        ] {
            let (status, output) = called(b"", work);
            let told: Value = serde_json::from_slice(&output).expect("JSON");
            assert_eq!((status, told["code"].as_str()), (PANICKED, Some("PANIC")));
            assert_eq!(told["error"], format!("the handler panicked: {said}"));
        }
    }

    #[test]
    fn no_input_and_no_output_are_null() {
        let (mut out, mut out_len) = (ptr::null_mut(), 0);
        // SAFETY: null is no input, and of no output there is nothing to free.
        unsafe {
            assert_eq!(
                call(ptr::null(), 0, &raw mut out, &raw mut out_len, |_| Ok(None)),
                DONE
            );
            tasker_free(out, out_len);
        }
        assert!(out.is_null());
        assert_eq!(tasker_abi_version(), 1);
    }
}
