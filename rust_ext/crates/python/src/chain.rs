use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use tasker_fold::chain::{Chain as Core, Headers, Row};
use tasker_fold::{StreamId, pool};

use crate::errors::contained;
use crate::input::{each, id, maybe, tuple};

const COLUMNS: usize = 13;
const LOW: i64 = 0xFFFF_FFFF;

/// Verifies rows page by page.
#[pyclass(module = "tasker.fold._native")]
pub(crate) struct Chain(Core);

#[pymethods]
impl Chain {
    #[new]
    fn new(log_id: &[u8]) -> Self {
        Self(Core::new(log_id))
    }

    /// Position of the last row that verified.
    #[getter]
    fn position(&self) -> u64 {
        self.0.position()
    }

    /// How many streams occurred.
    #[getter]
    fn streams(&self) -> usize {
        self.0.streams()
    }

    /// Says whether an event of this stream occurred.
    fn knows(&self, stream_id: &[u8]) -> bool {
        StreamId::try_from(stream_id).is_ok_and(|stream| self.0.tip(&stream).is_some())
    }

    /// Gives version and hash of the last event of a stream that verified.
    fn end<'py>(&self, py: Python<'py>, stream_id: &[u8]) -> Option<(u32, Bound<'py, PyBytes>)> {
        let stream = StreamId::try_from(stream_id).ok()?;
        self.0
            .tip(&stream)
            .map(|(version, hash)| (*version, PyBytes::new(py, hash)))
    }

    /// Gives the first payload, for each stream, that is gone unexplained.
    fn gone<'py>(&self, py: Python<'py>) -> Vec<(u64, Bound<'py, PyBytes>)> {
        self.0
            .gone()
            .iter()
            .map(|(position, stream)| (*position, PyBytes::new(py, stream)))
            .collect()
    }

    /// Gives the type codes that occurred, sorted.
    fn codes(&self) -> Vec<u32> {
        self.0.codes()
    }

    /// Verifies the next rows, and gives how many did.
    fn feed(
        &mut self,
        py: Python<'_>,
        rows: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        types: &Bound<'_, PyDict>,
    ) -> PyResult<usize> {
        contained(|| {
            let mut held = Vec::with_capacity(rows.len()?);
            each(rows, |row| {
                held.push(row.cast_into::<PyTuple>()?);
                Ok(())
            })?;
            let starts = starts(headers)?;
            let headers: Headers<'_> = starts
                .iter()
                .map(|(stream, header)| (*stream, header.as_bytes()))
                .collect();
            let mut names = Names {
                types,
                held: Vec::new(),
            };
            let codes: Vec<_> = held.iter().map_while(|row| names.place(row)).collect();
            let read: Vec<_> = held
                .iter()
                .zip(codes)
                .map_while(|(row, place)| columns(row, names.get(place)).ok())
                .collect();
            let chain = &mut self.0;
            Ok(py.detach(|| chain.feed(&read, &headers, pool())))
        })
    }

    /// Moves on over the next row, which Python has verified.
    #[pyo3(signature = (stream_id, version, hash, code, gone = false, erased = false))]
    fn take(
        &mut self,
        stream_id: &[u8],
        version: u32,
        hash: &[u8],
        code: u32,
        gone: bool,
        erased: bool,
    ) -> PyResult<()> {
        self.0.take(
            stream_id.try_into()?,
            version,
            hash.try_into()?,
            code,
            gone,
            erased,
        );
        Ok(())
    }
}

fn starts<'py>(headers: &Bound<'py, PyAny>) -> PyResult<Vec<(StreamId, Bound<'py, PyBytes>)>> {
    let mut found = Vec::new();
    each(headers, |row| {
        let row = tuple(&row, 2)?;
        found.push((
            id(row.get_borrowed_item(0)?)?,
            row.get_item(1)?.cast_into()?,
        ));
        Ok(())
    })?;
    Ok(found)
}

/// Names of types, each looked up once.
struct Names<'a, 'py> {
    types: &'a Bound<'py, PyDict>,
    held: Vec<(u32, Bound<'py, PyBytes>)>,
}

impl Names<'_, '_> {
    /// Gives the place of the name of a row's type; none if it has none.
    fn place(&mut self, row: &Bound<'_, PyTuple>) -> Option<usize> {
        let kind: i64 = row.get_borrowed_item(2).ok()?.extract().ok()?;
        let code = u32::try_from(kind & LOW).ok()?;
        if let Some(place) = self.held.iter().position(|(known, _)| *known == code) {
            return Some(place);
        }
        let name = self.types.get_item(code).ok()??.cast_into().ok()?;
        self.held.push((code, name));
        Some(self.held.len() - 1)
    }

    fn get(&self, place: usize) -> &[u8] {
        self.held[place].1.as_bytes()
    }
}

/// Reads the columns of a row; an error where one is not what the log writes, so that Python says what is wrong.
fn columns<'a>(row: &'a Bound<'_, PyTuple>, name: &'a [u8]) -> PyResult<Row<'a>> {
    let row = tuple(row, COLUMNS)?;
    let number = |place| row.get_borrowed_item(place)?.extract::<i64>();
    let ids: &[u8; 64] = row.get_borrowed_item(1)?.extract::<&[u8]>()?.try_into()?;
    let (kind, place) = (number(2)?, number(3)?);
    let (stream, rest) = ids.split_first_chunk().ok_or_else(unfit)?;
    let (event, hash) = rest.split_first_chunk().ok_or_else(unfit)?;
    Ok(Row {
        position: number(0)?.try_into()?,
        stream,
        event,
        hash: hash.try_into()?,
        version: u32::try_from(kind >> 32)?,
        code: u32::try_from(kind & LOW)?,
        name,
        schema: number(12)?.try_into()?,
        time: number(4)?,
        step: less_one(place >> 32)?,
        attempt: less_one(place & LOW)?,
        due: maybe(row.get_borrowed_item(5)?)?,
        actor: maybe::<&str>(row.get_borrowed_item(6)?)?.map(str::as_bytes),
        causation: maybe(row.get_borrowed_item(7)?)?,
        metadata: maybe(row.get_borrowed_item(8)?)?,
        data: row.get_borrowed_item(9)?.extract()?,
        payload: maybe(row.get_borrowed_item(10)?)?,
        sealed: maybe(row.get_borrowed_item(11)?)?,
    })
}

/// Takes one from a number that is 0 for NULL.
fn less_one(number: i64) -> PyResult<Option<i32>> {
    match number {
        ..0 => Err(unfit()),
        0 => Ok(None),
        _ => Ok(Some(i32::try_from(number - 1)?)),
    }
}

#[cold]
fn unfit() -> PyErr {
    PyValueError::new_err("expected a column that fits")
}
