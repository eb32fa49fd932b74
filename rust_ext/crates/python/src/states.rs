use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tasker_fold::{Step, Task};

use crate::convert::{int, int_or_none, text, versions};

/// Gives a task as the tuple `State`.
pub(crate) fn state<'py>(py: Python<'py>, task: &Task) -> PyResult<Bound<'py, PyTuple>> {
    let steps = task
        .steps
        .iter()
        .enumerate()
        .map(|(number, step)| one(py, task, number, step));
    let steps: Vec<_> = steps.collect::<PyResult<_>>()?;
    let columns = [
        int(py, task.status as i64),
        int(py, task.version.into()),
        PyTuple::new(py, task.counts)?.into_any(),
        int(py, task.ready),
        int(py, task.created_at),
        int_or_none(py, task.started_at),
        int_or_none(py, task.ended_at),
        int(py, task.last_at),
        int_or_none(py, task.timeout_at),
        int(py, task.paused_version.into()),
        versions(py, &task.annotations)?,
        int(py, task.erased_version.into()),
        int(py, task.first_position),
        int(py, task.last_position),
        versions(py, &task.updated)?,
        PyTuple::new(py, steps)?.into_any(),
    ];
    PyTuple::new(py, columns)
}

fn one<'py>(
    py: Python<'py>,
    task: &Task,
    number: usize,
    step: &Step,
) -> PyResult<Bound<'py, PyTuple>> {
    let resets: Vec<u32> = task.resets(number).collect();
    let updates: Vec<u32> = task.updates(number).collect();
    let columns = [
        int(py, step.status as i64),
        int(py, step.blockers.into()),
        int(py, step.attempt.into()),
        int(py, step.failures.into()),
        text(py, step.outcomes.as_str()),
        int(py, step.ready_at),
        int_or_none(py, step.due),
        int_or_none(py, step.started_at),
        int_or_none(py, step.ended_at),
        int(py, step.started_version.into()),
        int(py, step.outcome.into()),
        int(py, step.error.into()),
        int(py, step.retry_version.into()),
        int(py, step.failure_version.into()),
        versions(py, &resets)?,
        versions(py, &updates)?,
    ];
    PyTuple::new(py, columns)
}
