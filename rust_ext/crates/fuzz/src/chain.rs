use tasker_fold::StreamId;
use tasker_fold::chain::{Chain, Hash, Headers, Row, event_hash, payload_hash, root};

use crate::random::Random;

const LOG: &[u8] = b"0123456789abcdef";
const MOST_ROWS: usize = 30;
const STREAMS: usize = 3;
const SALT: usize = 16;

/// One stored event, with columns of its own.
#[derive(Clone, PartialEq)]
struct Stored {
    position: u64,
    stream: StreamId,
    event: [u8; 16],
    hash: Hash,
    version: u32,
    code: u32,
    name: Vec<u8>,
    schema: u16,
    time: i64,
    step: Option<i32>,
    due: Option<i64>,
    actor: Option<Vec<u8>>,
    metadata: Option<Vec<u8>>,
    data: Vec<u8>,
    payload: Option<Vec<u8>>,
    sealed: Option<Vec<u8>>,
}

impl Stored {
    fn row(&self) -> Row<'_> {
        Row {
            position: self.position,
            stream: &self.stream,
            event: &self.event,
            hash: &self.hash,
            version: self.version,
            code: self.code,
            name: &self.name,
            schema: self.schema,
            time: self.time,
            step: self.step,
            attempt: self.step.map(|step| step / 2),
            due: self.due,
            actor: self.actor.as_deref(),
            causation: self.metadata.as_deref(),
            metadata: self.metadata.as_deref(),
            data: &self.data,
            payload: self.payload.as_deref(),
            sealed: self.sealed.as_deref(),
        }
    }
}

/// Checks that a log verifies, that one with a changed row verifies up to that row, and that erasure is no change.
pub(crate) fn run(random: &mut Random) -> Result<(), String> {
    let names: Vec<StreamId> = (0..STREAMS).map(|_| random.fill()).collect();
    let headers: Vec<(StreamId, Vec<u8>)> =
        names.iter().map(|name| (*name, random.bytes(40))).collect();
    let mut log = log(random, &headers);
    verify(random, &log, &headers, log.len())?;
    for _ in 0..6 {
        let mut changed = log.clone();
        let place = random.below(log.len());
        change(random, &mut changed[place]);
        let expected = if changed == log { log.len() } else { place };
        verify(random, &changed, &headers, expected)?;
    }
    let place = random.below(log.len());
    erase(&mut log[place]);
    verify(random, &log, &headers, log.len())?;
    log.remove(place);
    verify(random, &log, &headers, place)
}

fn verify(
    random: &mut Random,
    log: &[Stored],
    headers: &[(StreamId, Vec<u8>)],
    expected: usize,
) -> Result<(), String> {
    let headers: Headers<'_> = headers
        .iter()
        .map(|(stream, header)| (*stream, header.as_slice()))
        .collect();
    let rows: Vec<Row<'_>> = log.iter().map(Stored::row).collect();
    in_parts(random, &rows, &headers, expected == rows.len())?;
    let mut chain = Chain::new(LOG);
    let mut good = 0;
    for page in rows.chunks(1 + random.below(rows.len().max(1))) {
        let found = chain.feed(page, &headers, None);
        good += found;
        if found < page.len() {
            break;
        }
    }
    if good == expected && chain.position() == good as u64 {
        return Ok(());
    }
    Err(format!(
        "expected {expected} of {} rows to verify, found {good}",
        rows.len()
    ))
}

/// Checks that a log whose second part is verified on the word of stored hashes verifies exactly if it does at once.
fn in_parts(
    random: &mut Random,
    rows: &[Row<'_>],
    headers: &Headers<'_>,
    expected: bool,
) -> Result<(), String> {
    let cut = random.below(rows.len() + 1);
    let mut chain = Chain::new(LOG);
    let mut part = Chain::part(LOG, cut as u64);
    let ends = |row: &Row<'_>| Some((*row.stream, row.version.checked_sub(1)?));
    let wanted: Vec<_> = rows[cut..].iter().filter_map(ends).collect();
    for (stream, version) in part.missing(&wanted) {
        let mut stored = rows.iter().filter(|row| *row.stream == stream);
        if let Some(row) = stored.find(|row| row.version == version) {
            part.assume(stream, (version, *row.hash));
        }
    }
    let whole = chain.feed(&rows[..cut], headers, None) == cut
        && part.feed(&rows[cut..], headers, None) == rows.len() - cut;
    if (whole && chain.join(&part.dump())) == expected {
        return Ok(());
    }
    Err(format!(
        "cut at {cut}: expected {expected} of {} rows in two parts",
        rows.len()
    ))
}

fn log(random: &mut Random, headers: &[(StreamId, Vec<u8>)]) -> Vec<Stored> {
    let mut tips: Vec<(u32, Hash)> = headers
        .iter()
        .map(|(stream, header)| (0, root(LOG, stream, header)))
        .collect();
    let mut log = Vec::new();
    for position in 1..=1 + random.below(MOST_ROWS) as u64 {
        let number = random.below(headers.len());
        let (version, previous) = tips[number];
        let mut stored = columns(random, position, headers[number].0, version + 1);
        let salt: [u8; SALT] = random.fill();
        let sealed = |payload: &Vec<u8>| [&salt[..], &payload_hash(&salt, payload)].concat();
        stored.sealed = stored.payload.as_ref().map(sealed);
        let payload: Option<Hash> = stored
            .sealed
            .as_ref()
            .and_then(|sealed| sealed[SALT..].try_into().ok());
        stored.hash = event_hash(&previous, &stored.row(), payload.as_ref()).unwrap_or_default();
        tips[number] = (version + 1, stored.hash);
        log.push(stored);
    }
    log
}

fn columns(random: &mut Random, position: u64, stream: StreamId, version: u32) -> Stored {
    let some = |random: &mut Random| (!random.one_in(3)).then(|| random.bytes(12));
    Stored {
        position,
        stream,
        event: random.fill(),
        hash: [0; 32],
        version,
        code: 1 + random.small(1100),
        name: random.bytes(14),
        schema: 1,
        time: i64::from(random.small(u32::MAX)),
        step: random
            .one_in(2)
            .then(|| i32::try_from(random.small(9)).unwrap_or(0)),
        due: random.one_in(4).then(|| i64::from(random.small(9))),
        actor: some(random),
        metadata: some(random),
        data: random.bytes(200),
        payload: some(random),
        sealed: None,
    }
}

/// Takes the payload and its salt away, as an erasure does.
fn erase(stored: &mut Stored) {
    stored.payload = None;
    if let Some(sealed) = &mut stored.sealed
        && sealed.len() > SALT * 2
    {
        sealed.drain(..SALT);
    }
}

/// Changes one column, or none where it is empty.
fn change(random: &mut Random, stored: &mut Stored) {
    let flip = |bytes: &mut [u8], random: &mut Random| {
        if !bytes.is_empty() {
            bytes[random.below(bytes.len())] ^= 1 << random.below(8);
        }
    };
    match random.below(16) {
        0 => stored.position ^= 1 << random.below(64),
        1 => flip(&mut stored.stream, random),
        2 => flip(&mut stored.event, random),
        3 => flip(&mut stored.hash, random),
        4 => stored.version ^= 1 << random.below(32),
        5 => stored.code ^= 1 << random.below(32),
        6 => flip(&mut stored.name, random),
        7 => stored.schema ^= 1 << random.below(16),
        8 => stored.time ^= 1 << random.below(64),
        9 => stored.step = stored.step.map_or(Some(0), |_| None),
        10 => stored.due = stored.due.map_or(Some(0), |_| None),
        11 => stored.actor = stored.actor.take().map_or(Some(Vec::new()), |_| None),
        12 => flip(&mut stored.data, random),
        // a payload without its salt was erased; one whose salt stayed was removed
        13 if stored.sealed.is_some() => stored.payload = None,
        14 => flip(stored.payload.as_deref_mut().unwrap_or_default(), random),
        _ => flip(stored.sealed.as_deref_mut().unwrap_or_default(), random),
    }
}
