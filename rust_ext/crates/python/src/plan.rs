use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString};

/// A pinned definition as the fold needs it.
#[pyclass(frozen, module = "tasker.fold._native")]
pub(crate) struct Plan {
    pub(crate) core: tasker_fold::Plan,
    pub(crate) names: Vec<Py<PyString>>,
    pub(crate) systems: Vec<Py<PyString>>,
    pub(crate) limits: Vec<Py<PyInt>>,
}

#[pymethods]
impl Plan {
    #[new]
    #[allow(clippy::needless_pass_by_value)] // what comes from Python is made here
    #[pyo3(signature = (parents, names, systems, limits, timeout, concurrent = true))]
    fn new(
        parents: Vec<Vec<i64>>,
        names: Vec<Py<PyString>>,
        systems: Vec<Py<PyString>>,
        limits: Vec<Py<PyInt>>,
        timeout: Option<i64>,
        concurrent: bool,
    ) -> PyResult<Self> {
        let lengths = [names.len(), systems.len(), limits.len()];
        if lengths.iter().any(|length| *length != parents.len()) {
            let expected = parents.len();
            let message = format!(
                "expected {expected} names, systems and limits as there are steps, found {lengths:?}"
            );
            return Err(PyValueError::new_err(message));
        }
        let made = tasker_fold::Plan::new(&parents, timeout, concurrent);
        let core = made.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self {
            core,
            names,
            systems,
            limits,
        })
    }
}
