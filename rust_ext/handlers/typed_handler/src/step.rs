use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyMapping;

/// A step as a handler sees it. Times are RFC 3339; inputs and results are any JSON value.
#[pyclass(frozen, get_all, module = "typed_handler")]
pub(crate) struct Step {
    id: String,
    task_id: String,
    name: String,
    depends_on: Vec<String>,
    status: String,
    retryable: bool,
    retry_limit: u32,
    attempts: u32,
    last_attempted_at: Option<String>,
    completed_at: Option<String>,
    backoff_seconds: Option<f64>,
    inputs: Py<PyAny>,
    results: Py<PyAny>,
}

impl Step {
    /// Reads a mapping with these keys, or an object with these attributes.
    pub(crate) fn read(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            id: field(given, "id", "a text")?,
            task_id: field(given, "task_id", "a text")?,
            name: field(given, "name", "a text")?,
            depends_on: field(given, "depends_on", "a list of texts")?,
            status: field(given, "status", "a text")?,
            retryable: field(given, "retryable", "a bool")?,
            retry_limit: field(given, "retry_limit", "a whole number")?,
            attempts: field(given, "attempts", "a whole number")?,
            last_attempted_at: field(given, "last_attempted_at", "a text or None")?,
            completed_at: field(given, "completed_at", "a text or None")?,
            backoff_seconds: field(given, "backoff_seconds", "a number or None")?,
            inputs: field(given, "inputs", "any value")?,
            results: field(given, "results", "any value")?,
        })
    }

    /// Gives the same step with its results.
    pub(crate) fn with_results(self, results: Py<PyAny>) -> Self {
        Self { results, ..self }
    }
}

#[pymethods]
impl Step {
    /// Lets the answer be read as a mapping, too.
    fn __getitem__<'py>(this: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let found = if name.starts_with('_') {
            None
        } else {
            this.getattr_opt(name)?
        };
        found.ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }
}

/// Reads one field; the error names it, and holds nothing of its value.
fn field<'py, T>(given: &Bound<'py, PyAny>, name: &str, expected: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    let py = given.py();
    let refused = |found: &str, cause: PyErr| {
        let error = PyTypeError::new_err(format!(
            "expected for the field {name} of a step {expected}, found {found}"
        ));
        error.set_cause(py, Some(cause));
        error
    };
    let value = match given.cast::<PyMapping>() {
        Ok(mapping) => mapping.get_item(name),
        Err(_) => given.getattr(name),
    };
    let value = value.map_err(|cause| refused("none", cause))?;
    value.extract().map_err(|cause: T::Error| {
        let kind = value
            .get_type()
            .name()
            .map_or_else(|_| "another".into(), |kind| kind.to_string());
        refused(&kind, cause.into())
    })
}
