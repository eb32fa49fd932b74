use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::{PyOverflowError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;

pyo3::create_exception!(
    tasker.fold._native,
    FoldError,
    PyValueError,
    "Heads that no log ever gives; `args` are the position (0: unknown) and the reason."
);

const PANIC: &str = "the compiled fold broke down, which is a defect in Tasker; set TASKER_NATIVE=0 to fold in Python";

/// Says what the core found wrong.
pub(crate) fn refused(error: tasker_fold::FoldError) -> PyErr {
    FoldError::new_err((error.position, error.reason))
}

/// Says that a column is not what was expected; errors of any other kind pass.
pub(crate) fn malformed(py: Python<'_>, error: PyErr, position: i64, expected: &str) -> PyErr {
    let wrong = [
        error.is_instance_of::<PyTypeError>(py),
        error.is_instance_of::<PyOverflowError>(py),
        error.is_instance_of::<PyValueError>(py) && !error.is_instance_of::<FoldError>(py),
    ];
    if !wrong.contains(&true) {
        return error;
    }
    FoldError::new_err((
        position,
        format!("expected {expected}; found another ({})", error.value(py)),
    ))
}

/// Runs what must not take the process with it: a panic becomes an exception that says nothing of its cause.
pub(crate) fn contained<T>(work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(PyRuntimeError::new_err(PANIC)))
}
