//! A sample of a native handler: functions with Tasker's C interface. Its pointers stand in `boundary`.

mod boundary;

use boundary::{Failure, export};
use serde_json::{Value, json};

export!(handle, answer);
export!(refuse, refused);
export!(panics, panicked);

/// Answers `{"dummy": true}`, whatever the step is given.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature is that of every handler; this one never fails"
)]
fn answer(_input: &[u8]) -> Result<Option<Value>, Failure> {
    Ok(Some(json!({ "dummy": true })))
}

/// Fails as its input `{"error", "retryable"}` says.
fn refused(input: &[u8]) -> Result<Option<Value>, Failure> {
    let given: Value =
        serde_json::from_slice(input).map_err(|error| Failure::permanent(error.to_string()))?;
    let Some(error) = given["error"].as_str() else {
        return Ok(None);
    };
    Err(if given["retryable"] == true {
        Failure::retryable(error)
    } else {
        Failure::permanent(error)
    })
}

/// Breaks down: a defect of a handler fails its step, and the worker goes on.
fn panicked(input: &[u8]) -> Result<Option<Value>, Failure> {
    panic!("a handler broke down over {} bytes", input.len());
}
