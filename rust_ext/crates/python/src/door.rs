use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use tasker_fold::{FoldError, Folded, Heads, Limits, Stream, Task, fold, keep, pool};

use crate::errors::{contained, refused};
use crate::input::{Input, Streams, heads as read, packed};
use crate::rows::Table;
use crate::states::state;

type Kept = (Vec<Option<Task>>, Vec<usize>);

/// Folds without the interpreter's lock, so that other threads of Python go on.
fn detached<'py, T: Send>(
    py: Python<'py>,
    streams: &Streams<'py>,
    input: &Input<'py>,
    work: impl Work<T>,
) -> PyResult<T> {
    let core = streams.core();
    let folded = match input {
        Input::Rows(heads) => py.detach(|| work.run(&core, heads.as_slice())),
        Input::Buffer(buffer) => {
            let heads = packed(buffer)?;
            py.detach(|| work.run(&core, &heads))
        }
    };
    folded.map_err(refused)
}

/// What is to be done with heads of either kind.
trait Work<T>: Send {
    fn run<H: Heads + ?Sized>(self, streams: &[Stream<'_>], heads: &H) -> Result<T, FoldError>;
}

struct Keep(Limits);

impl Work<Kept> for Keep {
    fn run<H: Heads + ?Sized>(self, streams: &[Stream<'_>], heads: &H) -> Result<Kept, FoldError> {
        let Folded { parts, returned } = fold(streams, heads, self.0, pool(), keep)?;
        let mut tasks = vec![None; streams.len()];
        for (place, task) in parts.into_iter().flatten() {
            tasks[place] = Some(task);
        }
        Ok((tasks, returned))
    }
}

struct Count(Limits);

impl Work<(tasker_fold::Tally, Vec<usize>)> for Count {
    fn run<H: Heads + ?Sized>(
        self,
        streams: &[Stream<'_>],
        heads: &H,
    ) -> Result<(tasker_fold::Tally, Vec<usize>), FoldError> {
        tasker_fold::tally(streams, heads, self.0, pool())
    }
}

/// Folds streams into states.
#[pyfunction]
#[pyo3(signature = (plans, streams, heads, position = None, time = None))]
pub(crate) fn states<'py>(
    plans: &Bound<'py, PyAny>,
    streams: &Bound<'py, PyAny>,
    heads: &Bound<'py, PyAny>,
    position: Option<i64>,
    time: Option<i64>,
) -> PyResult<(Bound<'py, PyList>, Vec<usize>)> {
    contained(|| {
        let py = heads.py();
        let streams = Streams::read(plans, streams)?;
        let (tasks, returned) =
            detached(py, &streams, &read(heads)?, Keep(Limits { position, time }))?;
        let found = tasks
            .iter()
            .map(|task| task.as_ref().map(|task| state(py, task)).transpose());
        Ok((
            PyList::new(py, found.collect::<PyResult<Vec<_>>>()?)?,
            returned,
        ))
    })
}

type Rows<'py> = (
    Bound<'py, PyList>,
    Bound<'py, PyList>,
    Bound<'py, PyList>,
    Vec<usize>,
);

/// Folds streams into rows of the read models.
#[pyfunction]
#[pyo3(signature = (plans, streams, heads, position = None, time = None))]
pub(crate) fn rows<'py>(
    plans: &Bound<'py, PyAny>,
    streams: &Bound<'py, PyAny>,
    heads: &Bound<'py, PyAny>,
    position: Option<i64>,
    time: Option<i64>,
) -> PyResult<Rows<'py>> {
    contained(|| {
        let py = heads.py();
        let streams = Streams::read(plans, streams)?;
        let (tasks, returned) =
            detached(py, &streams, &read(heads)?, Keep(Limits { position, time }))?;
        let table = Table::new(py);
        let mut found: Vec<Option<Bound<'py, PyTuple>>> = Vec::with_capacity(streams.len());
        for (place, task) in tasks.iter().enumerate() {
            let row = streams
                .plan(place)
                .zip(task.as_ref())
                .map(|(plan, task)| table.add(place, plan, task));
            found.push(row.transpose()?);
        }
        Ok((PyList::new(py, found)?, table.steps, table.needs, returned))
    })
}

type Tallied<'py> = (
    u64,
    u64,
    Bound<'py, PyTuple>,
    Bound<'py, PyTuple>,
    Vec<usize>,
);

/// Folds streams and counts what they come to.
#[pyfunction]
#[pyo3(signature = (plans, streams, heads, position = None, time = None))]
pub(crate) fn tally<'py>(
    plans: &Bound<'py, PyAny>,
    streams: &Bound<'py, PyAny>,
    heads: &Bound<'py, PyAny>,
    position: Option<i64>,
    time: Option<i64>,
) -> PyResult<Tallied<'py>> {
    contained(|| {
        let py = heads.py();
        let streams = Streams::read(plans, streams)?;
        let (found, returned) = detached(
            py,
            &streams,
            &read(heads)?,
            Count(Limits { position, time }),
        )?;
        let (tasks, steps) = (
            PyTuple::new(py, found.by_task)?,
            PyTuple::new(py, found.by_step)?,
        );
        Ok((found.events, found.tasks, tasks, steps, returned))
    })
}
