use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString, PyTuple};

/// Makes an int.
pub(crate) fn int(py: Python<'_>, value: i64) -> Bound<'_, PyAny> {
    PyInt::new(py, value).into_any()
}

/// Makes an int or None.
pub(crate) fn int_or_none(py: Python<'_>, value: Option<i64>) -> Bound<'_, PyAny> {
    value.map_or_else(|| py.None().into_bound(py), |value| int(py, value))
}

/// Makes a str.
pub(crate) fn text<'py>(py: Python<'py>, value: &str) -> Bound<'py, PyAny> {
    PyString::new(py, value).into_any()
}

/// Makes a tuple of versions.
pub(crate) fn versions<'py>(py: Python<'py>, found: &[u32]) -> PyResult<Bound<'py, PyAny>> {
    Ok(PyTuple::new(py, found)?.into_any())
}

/// Texts that occur again and again, each made once.
pub(crate) struct Words<'py, const N: usize>([Bound<'py, PyAny>; N]);

impl<'py, const N: usize> Words<'py, N> {
    /// Makes them.
    pub(crate) fn new(py: Python<'py>, names: [&str; N]) -> Self {
        Self(names.map(|name| PyString::intern(py, name).into_any()))
    }

    /// Gives one by its number.
    pub(crate) fn get(&self, number: usize) -> Bound<'py, PyAny> {
        self.0[number].clone()
    }
}
