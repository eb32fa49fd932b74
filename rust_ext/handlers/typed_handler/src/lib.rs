//! A sample of a typed handler: an extension module whose functions take a step and give it back with its results.

mod step;

use pyo3::prelude::*;

/// Handlers that take a step and give it back with its results.
#[pymodule]
mod typed_handler {
    use std::panic::set_hook;

    use pyo3::prelude::*;
    use pyo3::types::PyDict;

    #[pymodule_export]
    use super::step::Step;

    /// Answers with the results `{"dummy": True}`, whatever the step is.
    #[pyfunction]
    fn handle(step: &Bound<'_, PyAny>) -> PyResult<Step> {
        let results = PyDict::new(step.py());
        results.set_item("dummy", true)?;
        Ok(Step::read(step)?.with_results(results.into_any().unbind()))
    }

    /// Breaks down: a defect of a handler fails its step, and the worker goes on.
    #[pyfunction]
    fn panics(step: &Bound<'_, PyAny>) -> PyResult<Step> {
        Step::read(step)?;
        panic!("a handler broke down");
    }

    /// Keeps panics off the standard error: what one says may hold a secret, and comes to Python as an exception.
    #[pymodule_init]
    #[expect(clippy::unnecessary_wraps, reason = "the signature is pyo3's")]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        set_hook(Box::new(|_| ()));
        Ok(())
    }
}
