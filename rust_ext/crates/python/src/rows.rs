use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyList, PyString, PyTuple};
use tasker_fold::{Step, StepStatus, Task, TaskStatus, summary};

use crate::convert::{Words, int, int_or_none, text, versions};
use crate::plan::Plan;

const WORKER: i64 = 1;
const ERROR_TYPE: i64 = 2;
const LIMIT: i64 = 3;

/// Rows of the read models, as far as columns tell them, and what is still needed.
pub(crate) struct Table<'py> {
    py: Python<'py>,
    task_words: Words<'py, { TaskStatus::COUNT }>,
    step_words: Words<'py, { StepStatus::COUNT }>,
    /// Rows of steps.
    pub(crate) steps: Bound<'py, PyList>,
    /// What rows of steps still need.
    pub(crate) needs: Bound<'py, PyList>,
}

impl<'py> Table<'py> {
    /// Begins an empty table.
    pub(crate) fn new(py: Python<'py>) -> Self {
        Self {
            py,
            task_words: Words::new(py, TaskStatus::NAMES),
            step_words: Words::new(py, StepStatus::NAMES),
            steps: PyList::empty(py),
            needs: PyList::empty(py),
        }
    }

    /// Adds the steps of a task and gives the row of the task itself.
    pub(crate) fn add(
        &self,
        stream: usize,
        plan: &Plan,
        task: &Task,
    ) -> PyResult<Bound<'py, PyTuple>> {
        for (number, step) in task.steps.iter().enumerate() {
            self.need(stream, task, number, step)?;
            self.steps.append(self.step(plan, task, number, step)?)?;
        }
        self.task(plan, task)
    }

    fn task(&self, plan: &Plan, task: &Task) -> PyResult<Bound<'py, PyTuple>> {
        let py = self.py;
        let word = |word: &str| PyString::intern(py, word).into_any();
        let columns = [
            int(py, task.first_position),
            self.task_words.get(task.status as usize),
            PyBool::new(py, task.paused_version > 0)
                .to_owned()
                .into_any(),
            int_or_none(py, task.started_at),
            int_or_none(py, task.ended_at),
            word(summary::execution_status(&plan.core, task)),
            word(summary::health_status(task)),
            PyFloat::new(py, summary::completion_percentage(task)).into_any(),
            summary::recommended_action(task).map_or_else(|| py.None().into_bound(py), word),
            text(py, &summary::counts_json(task)),
            int(py, task.version.into()),
            int(py, task.last_position),
            int(py, task.created_at),
            versions(py, &task.updated)?,
        ];
        PyTuple::new(py, columns)
    }

    fn step(
        &self,
        plan: &Plan,
        task: &Task,
        number: usize,
        step: &Step,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let py = self.py;
        let none = || py.None().into_bound(py);
        let columns = [
            int(py, task.first_position),
            number.into_pyobject(py)?.into_any(),
            plan.names[number].bind(py).clone().into_any(),
            plan.systems[number].bind(py).clone().into_any(),
            self.step_words.get(step.status as usize),
            int(py, step.attempt.into()),
            plan.limits[number].bind(py).clone().into_any(),
            none(),
            int_or_none(py, step.started_at),
            int_or_none(py, step.ended_at),
            int_or_none(py, step.due),
            none(),
        ];
        PyTuple::new(py, columns)
    }

    /// Notes which events have what the columns of a step do not tell.
    fn need(&self, stream: usize, task: &Task, number: usize, step: &Step) -> PyResult<()> {
        if step.status == StepStatus::InProgress && step.started_version > 0 {
            self.note(stream, WORKER, &[step.started_version])?;
        }
        if step.failure_version > 0 {
            self.note(stream, ERROR_TYPE, &[step.failure_version])?;
        }
        if !task.step_updates.is_empty() {
            let updates: Vec<u32> = task.updates(number).collect();
            if !updates.is_empty() {
                self.note(stream, LIMIT, &updates)?;
            }
        }
        Ok(())
    }

    fn note(&self, stream: usize, kind: i64, found: &[u32]) -> PyResult<()> {
        self.needs
            .append((self.steps.len(), kind, versions(self.py, found)?, stream))
    }
}
