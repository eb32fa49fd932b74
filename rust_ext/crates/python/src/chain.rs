use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use tasker_fold::chain::{Chain as Core, Headers, Row};
use tasker_fold::{StreamId, pool};

use crate::errors::contained;
use crate::input::{each, id, maybe, tuple};

const COLUMNS: usize = 13;
const STREAM_COLUMNS: usize = 7;
const LOW: i64 = 0xFFFF_FFFF;

/// Verifies rows page by page.
#[pyclass(module = "tasker.fold._native")]
pub(crate) struct Chain(Core);

#[pymethods]
impl Chain {
    #[new]
    #[pyo3(signature = (log_id, after = None))]
    fn new(log_id: &[u8], after: Option<u64>) -> Self {
        Self(after.map_or_else(|| Core::new(log_id), |after| Core::part(log_id, after)))
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
                .map(|(stream, header)| (*stream, header.as_slice()))
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

    /// Gives the end before the first of some rows of each stream that is not known and did not begin with it.
    fn missing<'py>(
        &self,
        py: Python<'py>,
        rows: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, u32)>> {
        contained(|| {
            let mut ends = Vec::new();
            each(rows, |row| {
                ends.extend(end_before(&row));
                Ok(())
            })?;
            let missing = self.0.missing(&ends);
            let give = |(stream, version): &(StreamId, u32)| (PyBytes::new(py, stream), *version);
            Ok(missing.iter().map(give).collect())
        })
    }

    /// Takes the end of a stream from whoever verifies the part before this one.
    fn assume(&mut self, stream_id: &[u8], version: u32, hash: &[u8]) -> PyResult<bool> {
        let tip = (version, hash.try_into()?);
        Ok(self.0.assume(stream_id.try_into()?, tip))
    }

    /// Gives what this part came to.
    fn dump<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.dump())
    }

    /// Moves on over a part that was verified elsewhere, if it fits.
    fn join(&mut self, py: Python<'_>, part: &[u8]) -> PyResult<bool> {
        let chain = &mut self.0;
        contained(|| Ok(py.detach(|| chain.join(part))))
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

/// Reads the rows of streams as they enter their roots, but those in which a column is not what the log writes.
fn starts(headers: &Bound<'_, PyAny>) -> PyResult<Vec<(StreamId, Vec<u8>)>> {
    let mut found = Vec::new();
    each(headers, |row| {
        found.extend(start(&row).ok());
        Ok(())
    })?;
    Ok(found)
}

fn start(row: &Bound<'_, PyAny>) -> PyResult<(StreamId, Vec<u8>)> {
    let row = tuple(row, STREAM_COLUMNS)?;
    let mut header = Vec::with_capacity(128);
    for place in 1..STREAM_COLUMNS {
        let Some(bytes) = stored(row.get_borrowed_item(place)?)? else {
            header.extend(u32::MAX.to_be_bytes());
            continue;
        };
        header.extend(u32::try_from(bytes.len())?.to_be_bytes());
        header.extend(bytes);
    }
    Ok((id(row.get_borrowed_item(0)?)?, header))
}

/// Gives the bytes of a column; none for NULL.
fn stored<'a>(column: Borrowed<'a, '_, PyAny>) -> PyResult<Option<&'a [u8]>> {
    if column.is_none() {
        Ok(None)
    } else if column.is_instance_of::<PyString>() {
        Ok(Some(column.extract::<&str>()?.as_bytes()))
    } else {
        column.extract().map(Some).map_err(Into::into)
    }
}

/// Gives the stream of a row and the version before it; none where a column is not what the log writes.
fn end_before(row: &Bound<'_, PyAny>) -> Option<(StreamId, u32)> {
    let row = tuple(row, COLUMNS).ok()?;
    let ids = row.get_borrowed_item(1).ok()?;
    let stream = *ids.extract::<&[u8]>().ok()?.first_chunk()?;
    let kind: i64 = row.get_borrowed_item(2).ok()?.extract().ok()?;
    let version = u32::try_from(kind >> 32).ok()?.checked_sub(1)?;
    Some((stream, version))
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
