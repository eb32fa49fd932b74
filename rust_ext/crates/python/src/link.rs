use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyNone, PyTuple};
use tasker_fold::StreamId;
use tasker_fold::chain::{Hash, Row, event_hash, payload_hash};

use crate::convert::int;
use crate::errors::contained;
use crate::input::{each, maybe, tuple};

const COLUMNS: usize = 13;
const SALT: usize = 16;
const NO_HASH: Hash = [0; 32];

type Column<'py> = Bound<'py, PyAny>;

/// Gives new events of one stream their places, salts and hashes: the rows that are stored, and the last hash.
#[pyfunction]
#[pyo3(signature = (previous, position, stream_id, version, events, salts, /))]
pub(crate) fn link<'py>(
    previous: &[u8],
    position: u64,
    stream_id: &Bound<'py, PyBytes>,
    version: u32,
    events: &Bound<'py, PyAny>,
    salts: &[u8],
) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyBytes>)> {
    contained(|| {
        let py = stream_id.py();
        let mut last = Last {
            hash: previous.try_into()?,
            position,
            version,
            stream: stream_id.as_bytes().try_into()?,
            salts,
        };
        let rows = PyList::empty(py);
        each(events, |event| {
            rows.append(last.follow(stream_id, tuple(&event, COLUMNS)?)?)
        })?;
        Ok((rows, PyBytes::new(py, &last.hash)))
    })
}

/// Where a stream ends, and the salts that are left.
struct Last<'a> {
    hash: Hash,
    position: u64,
    version: u32,
    stream: StreamId,
    salts: &'a [u8],
}

impl Last<'_> {
    /// Puts an event behind the last one and gives its row.
    fn follow<'py>(
        &mut self,
        stream_id: &Bound<'py, PyBytes>,
        event: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let py = event.py();
        self.position += 1;
        self.version += 1;
        let column = |place: usize| event.get_item(place);
        let payload = column(12)?;
        let none = || PyNone::get(py).to_owned().into_any();
        let (mut salt, mut seal) = (none(), none());
        let mut digest = None;
        if !payload.is_none() {
            let (own, left) = self.salts.split_at_checked(SALT).ok_or_else(|| {
                PyValueError::new_err("expected 16 bytes of salt for each payload, found fewer")
            })?;
            self.salts = left;
            digest = Some(payload_hash(own, payload.extract()?));
            salt = PyBytes::new(py, own).into_any();
            seal = PyBytes::new(py, digest.as_ref().unwrap_or(&NO_HASH)).into_any();
        }
        self.hash = self.hashed(event, digest.as_ref())?;
        let hash = PyBytes::new(py, &self.hash).into_any();
        let row: [Column<'py>; 18] = [
            int(py, i64::try_from(self.position)?),
            stream_id.clone().into_any(),
            int(py, i64::from(self.version)),
            column(0)?,
            column(1)?,
            column(3)?,
            column(4)?,
            column(5)?,
            column(6)?,
            column(7)?,
            column(8)?,
            column(9)?,
            column(10)?,
            column(11)?,
            payload,
            salt,
            seal,
            hash,
        ];
        PyTuple::new(py, row)
    }

    fn hashed(&self, event: &Bound<'_, PyTuple>, payload: Option<&Hash>) -> PyResult<Hash> {
        let column = |place: usize| event.get_borrowed_item(place);
        let name: &str = column(2)?.extract()?;
        let row = Row {
            position: self.position,
            stream: &self.stream,
            event: column(0)?.extract::<&[u8]>()?.try_into()?,
            hash: &NO_HASH,
            version: self.version,
            code: column(1)?.extract()?,
            name: name.as_bytes(),
            schema: column(3)?.extract()?,
            time: column(4)?.extract()?,
            step: maybe(column(5)?)?,
            attempt: maybe(column(6)?)?,
            due: maybe(column(7)?)?,
            actor: maybe::<&str>(column(8)?)?.map(str::as_bytes),
            causation: maybe(column(9)?)?,
            metadata: maybe(column(10)?)?,
            data: column(11)?.extract()?,
            payload: None,
            sealed: None,
        };
        event_hash(&self.hash, &row, payload)
            .ok_or_else(|| PyValueError::new_err("expected a column of less than 4 GiB"))
    }
}
