use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use tasker_fold::{Head, Packed, Stream, StreamId};

use crate::errors::{malformed, refused};
use crate::plan::Plan;

const HEAD: &str = "heads as (16 bytes, int, int, int, int, int or None)";
const STREAM: &str = "streams as (16 bytes, int)";

/// The pieces of a list, or of anything that can be gone through.
pub(crate) fn each<'py>(
    items: &Bound<'py, PyAny>,
    mut visit: impl FnMut(Bound<'py, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    if let Ok(list) = items.cast::<PyList>() {
        return list.iter().try_for_each(visit);
    }
    items.try_iter()?.try_for_each(|item| visit(item?))
}

/// Takes a row of so many columns.
pub(crate) fn tuple<'a, 'py>(
    row: &'a Bound<'py, PyAny>,
    size: usize,
) -> PyResult<&'a Bound<'py, PyTuple>> {
    let row = row.cast::<PyTuple>()?;
    if row.len() == size {
        return Ok(row);
    }
    Err(PyTypeError::new_err(format!(
        "expected a tuple of {size}, found one of {}",
        row.len()
    )))
}

/// Reads a column that may be NULL.
pub(crate) fn maybe<'a, 'py, T>(column: Borrowed<'a, 'py, PyAny>) -> PyResult<Option<T>>
where
    T: FromPyObject<'a, 'py>,
{
    if column.is_none() {
        Ok(None)
    } else {
        column.extract().map(Some).map_err(Into::into)
    }
}

/// Reads the id of a stream.
pub(crate) fn id(column: Borrowed<'_, '_, PyAny>) -> PyResult<StreamId> {
    let column = column.cast::<PyBytes>()?;
    let bytes = column.as_bytes();
    bytes.try_into().map_err(|_| {
        PyValueError::new_err(format!("expected an id of 16 bytes, found {}", bytes.len()))
    })
}

/// Which plan belongs to which stream, with what keeps the plans alive.
pub(crate) struct Streams<'py> {
    plans: Vec<Bound<'py, Plan>>,
    streams: Vec<(StreamId, Option<usize>)>,
}

impl<'py> Streams<'py> {
    /// Reads plans, and streams as (id, index of the plan or -1).
    pub(crate) fn read(plans: &Bound<'py, PyAny>, streams: &Bound<'py, PyAny>) -> PyResult<Self> {
        let mut read = Self {
            plans: Vec::new(),
            streams: Vec::new(),
        };
        each(plans, |plan| {
            read.plans.push(plan.cast_into::<Plan>()?);
            Ok(())
        })?;
        let known = read.plans.len();
        each(streams, |stream| {
            let (stream, index) =
                one(&stream).map_err(|error| malformed(stream.py(), error, 0, STREAM))?;
            let plan = usize::try_from(index).ok();
            if plan.is_some_and(|plan| plan >= known) || index < -1 {
                let message =
                    format!("expected the index of one of {known} plans, or -1; found {index}");
                return Err(PyValueError::new_err(message));
            }
            read.streams.push((stream, plan));
            Ok(())
        })
        .map(|()| read)
    }

    /// Gives the streams as the core takes them.
    pub(crate) fn core(&self) -> Vec<Stream<'_>> {
        let plan = |index: Option<usize>| index.map(|index| &self.plans[index].get().core);
        self.streams
            .iter()
            .map(|(id, index)| Stream {
                id: *id,
                plan: plan(*index),
            })
            .collect()
    }

    /// Gives the plan of a stream that was folded.
    pub(crate) fn plan(&self, place: usize) -> Option<&Plan> {
        self.streams[place].1.map(|index| self.plans[index].get())
    }

    /// Counts the streams.
    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }
}

fn one(stream: &Bound<'_, PyAny>) -> PyResult<(StreamId, i64)> {
    let row = tuple(stream, 2)?;
    Ok((
        id(row.get_borrowed_item(0)?)?,
        row.get_borrowed_item(1)?.extract()?,
    ))
}

/// Heads as they were handed in.
pub(crate) enum Input<'py> {
    Rows(Vec<Head>),
    Buffer(Bound<'py, PyBytes>),
}

/// Reads heads from tuples, or takes a packed buffer as it is.
pub(crate) fn heads<'py>(heads: &Bound<'py, PyAny>) -> PyResult<Input<'py>> {
    if let Ok(buffer) = heads.cast::<PyBytes>() {
        return Ok(Input::Buffer(buffer.clone()));
    }
    let mut read = Vec::with_capacity(
        heads
            .len()
            .map_err(|error| malformed(heads.py(), error, 0, HEAD))?,
    );
    each(heads, |row| {
        read.push(head(&row).map_err(|error| malformed(row.py(), error, position(&row), HEAD))?);
        Ok(())
    })?;
    Ok(Input::Rows(read))
}

/// Gives the packed heads of a buffer.
pub(crate) fn packed<'a>(buffer: &'a Bound<'_, PyBytes>) -> PyResult<Packed<'a>> {
    Packed::new(buffer.as_bytes()).map_err(refused)
}

fn head(row: &Bound<'_, PyAny>) -> PyResult<Head> {
    let row = tuple(row, 6)?;
    let column = |place| row.get_borrowed_item(place);
    let number = |place| column(place)?.extract::<i64>();
    let stream = id(column(0)?)?;
    Head::from_columns(
        stream,
        number(1)?,
        number(2)?,
        number(3)?,
        number(4)?,
        maybe(column(5)?)?,
    )
    .map_err(refused)
}

fn position(row: &Bound<'_, PyAny>) -> i64 {
    row.get_item(1)
        .and_then(|column| column.extract())
        .unwrap_or(0)
}
