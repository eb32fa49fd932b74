//! Recomputes hash chains over stored columns, in the order of the log.

use rustc_hash::{FxHashMap, FxHashSet};
use sha2::{Digest, Sha256};

use crate::head::StreamId;
use crate::parallel::Pool;

/// A SHA-256 digest.
pub type Hash = [u8; 32];

const ERASED: u32 = 12;
const ABSENT: u32 = u32::MAX;
const SALT: usize = 16;
const BYTES_WORTH_A_THREAD: usize = 4 * 1024 * 1024;

/// The columns of one stored event.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its place in the log.
    pub position: u64,
    /// Its stream.
    pub stream: &'a StreamId,
    /// Its own id.
    pub event: &'a [u8; 16],
    /// Its stored hash.
    pub hash: &'a Hash,
    /// Its place in the stream.
    pub version: u32,
    /// Code of its type.
    pub code: u32,
    /// Name of its type.
    pub name: &'a [u8],
    /// Version of its data.
    pub schema: u16,
    /// When it happened.
    pub time: i64,
    /// Its step.
    pub step: Option<i32>,
    /// Its attempt.
    pub attempt: Option<i32>,
    /// When something falls due.
    pub due: Option<i64>,
    /// Who asked for it.
    pub actor: Option<&'a [u8]>,
    /// The event that caused it.
    pub causation: Option<&'a [u8]>,
    /// What else travels with it.
    pub metadata: Option<&'a [u8]>,
    /// Its readable data.
    pub data: &'a [u8],
    /// Its opaque payload.
    pub payload: Option<&'a [u8]>,
    /// Salt and hash of the payload, or the hash alone.
    pub sealed: Option<&'a [u8]>,
}

impl<'a> Row<'a> {
    /// Takes salt and payload hash apart; an error where the length is that of neither form.
    fn seal(&self) -> Option<(&'a [u8], Option<&'a Hash>)> {
        let Some(sealed) = self.sealed else {
            return Some((&[], None));
        };
        let at = sealed
            .len()
            .checked_sub(size_of::<Hash>())
            .filter(|salt| [0, SALT].contains(salt))?;
        let (salt, hash) = sealed.split_at(at);
        Some((salt, hash.try_into().ok()))
    }

    fn size(&self) -> usize {
        self.data.len() + self.payload.map_or(0, <[u8]>::len) + 256
    }
}

/// Gives the hash from which version 1 of a stream chains.
#[must_use]
pub fn root(log: &[u8], stream: &StreamId, header: &[u8]) -> Hash {
    Sha256::new()
        .chain_update(log)
        .chain_update(stream)
        .chain_update(header)
        .finalize()
        .into()
}

/// Gives the hash that stands for a payload, also after its erasure.
#[must_use]
pub fn payload_hash(salt: &[u8], payload: &[u8]) -> Hash {
    Sha256::new()
        .chain_update(salt)
        .chain_update(payload)
        .finalize()
        .into()
}

fn length(column: Option<&[u8]>) -> Option<u32> {
    column.map_or(Some(ABSENT), |bytes| {
        u32::try_from(bytes.len())
            .ok()
            .filter(|length| *length != ABSENT)
    })
}

/// Gives the hash of an event whose payload hash was taken out of its seal; none where a column is too long.
#[must_use]
pub fn event_hash(previous: &Hash, row: &Row<'_>, payload: Option<&Hash>) -> Option<Hash> {
    let flags = u8::from(row.step.is_some())
        | u8::from(row.attempt.is_some()) << 1
        | u8::from(row.due.is_some()) << 2
        | u8::from(payload.is_some()) << 3;
    let mut fixed = [0; 64];
    fixed[0] = 1;
    fixed[1] = flags;
    fixed[2..4].copy_from_slice(&row.schema.to_be_bytes());
    fixed[4..12].copy_from_slice(&row.position.to_be_bytes());
    fixed[12..16].copy_from_slice(&row.version.to_be_bytes());
    fixed[16..20].copy_from_slice(&row.code.to_be_bytes());
    fixed[20..28].copy_from_slice(&row.time.to_be_bytes());
    fixed[28..32].copy_from_slice(&row.step.unwrap_or(0).to_be_bytes());
    fixed[32..36].copy_from_slice(&row.attempt.unwrap_or(0).to_be_bytes());
    fixed[36..44].copy_from_slice(&row.due.unwrap_or(0).to_be_bytes());
    fixed[45] = 16;
    fixed[47] = 16;
    fixed[48..52].copy_from_slice(&length(Some(row.name))?.to_be_bytes());
    fixed[52..56].copy_from_slice(&length(row.actor)?.to_be_bytes());
    fixed[56..60].copy_from_slice(&length(row.causation)?.to_be_bytes());
    fixed[60..64].copy_from_slice(&length(row.metadata)?.to_be_bytes());
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update(fixed);
    hasher.update(row.stream);
    hasher.update(row.event);
    hasher.update(row.name);
    for column in [row.actor, row.causation, row.metadata]
        .into_iter()
        .flatten()
    {
        hasher.update(column);
    }
    hasher.update(Sha256::digest(row.data));
    hasher.update(payload.unwrap_or(&[0; 32]));
    Some(hasher.finalize().into())
}

/// What is known of a stream's last verified event: version and hash.
pub type Tip = (u32, Hash);

/// Recomputes chains over rows that it is fed page by page.
#[derive(Clone, Debug)]
pub struct Chain {
    log: Vec<u8>,
    pub(crate) position: u64,
    pub(crate) tips: FxHashMap<StreamId, Tip>,
    pub(crate) gone: FxHashMap<StreamId, u64>,
    pub(crate) codes: FxHashSet<u32>,
    pub(crate) before: Option<Before>,
}

/// What a chain that does not begin with the log leaves to whoever verifies the part before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Before {
    /// The position behind which it begins.
    pub(crate) position: u64,
    /// What it was told of streams that had begun.
    pub(crate) tips: FxHashMap<StreamId, Tip>,
    /// Streams whose payloads before it may be gone.
    pub(crate) erased: FxHashSet<StreamId>,
}

/// The columns of the `streams` rows of streams that begin in a page, as they enter the root.
pub type Headers<'a> = FxHashMap<StreamId, &'a [u8]>;

impl Chain {
    /// Takes the bytes that name the log.
    #[must_use]
    pub fn new(log: &[u8]) -> Self {
        Self {
            log: log.to_vec(),
            position: 0,
            tips: FxHashMap::default(),
            gone: FxHashMap::default(),
            codes: FxHashSet::default(),
            before: None,
        }
    }

    /// Gives the position of the last row that verified.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Counts the streams that occurred.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.tips.len()
    }

    /// Gives version and hash of the last event of a stream that verified.
    #[must_use]
    pub fn tip(&self, stream: &StreamId) -> Option<&Tip> {
        self.tips.get(stream)
    }

    /// Gives, for each stream with payloads that no `task.erased` explains so far, the first; in log order.
    #[must_use]
    pub fn gone(&self) -> Vec<(u64, StreamId)> {
        let mut found: Vec<_> = self
            .gone
            .iter()
            .map(|(stream, position)| (*position, *stream))
            .collect();
        found.sort_unstable();
        found
    }

    /// Gives the type codes that occurred, sorted.
    #[must_use]
    pub fn codes(&self) -> Vec<u32> {
        let mut found: Vec<_> = self.codes.iter().copied().collect();
        found.sort_unstable();
        found
    }

    /// Verifies the next rows and gives how many did; the state is then as after the last of those.
    ///
    /// Each row is checked against the stored hash of the one before it, so that all of a page can be hashed at once:
    /// where the first row fails, all before it are what they claim to be.
    pub fn feed(&mut self, rows: &[Row<'_>], headers: &Headers<'_>, pool: Option<&Pool>) -> usize {
        let previous = self.link(rows, headers);
        let check = |place: usize| verifies(&rows[place], &previous[place]);
        let size: usize = rows.iter().map(Row::size).sum();
        let failing = match pool {
            Some(pool) if size >= BYTES_WORTH_A_THREAD => pool.first_failing(previous.len(), check),
            _ => (0..previous.len()).find(|place| !check(*place)),
        };
        let good = failing.unwrap_or(previous.len());
        for row in &rows[..good] {
            let gone = row.payload.is_none() && row.sealed.is_some();
            let erased = row.code == ERASED && row.payload.is_none() && row.sealed.is_none();
            self.take(*row.stream, row.version, *row.hash, row.code, gone, erased);
        }
        good
    }

    /// Moves on over the next row, which somebody else has verified.
    pub fn take(
        &mut self,
        stream: StreamId,
        version: u32,
        hash: Hash,
        code: u32,
        gone: bool,
        erased: bool,
    ) {
        self.position += 1;
        self.tips.insert(stream, (version, hash));
        self.codes.insert(code);
        if gone {
            self.gone.entry(stream).or_insert(self.position);
        } else if erased {
            self.gone.remove(&stream);
            if let Some(before) = &mut self.before {
                before.erased.insert(stream);
            }
        }
    }

    /// Gives the hash from which each row must chain, up to the first that has the wrong place.
    fn link(&self, rows: &[Row<'_>], headers: &Headers<'_>) -> Vec<Hash> {
        let mut last: FxHashMap<&StreamId, Tip> = FxHashMap::default();
        let mut previous = Vec::with_capacity(rows.len());
        for (row, position) in rows.iter().zip(self.position + 1..) {
            let known = last.get(row.stream).or_else(|| self.tips.get(row.stream));
            let tip = match (known, headers.get(row.stream)) {
                (Some(tip), _) => *tip,
                (None, Some(header)) => (0, root(&self.log, row.stream, header)),
                (None, None) => break,
            };
            if row.position != position || row.version.checked_sub(1) != Some(tip.0) {
                break;
            }
            previous.push(tip.1);
            last.insert(row.stream, (row.version, *row.hash));
        }
        previous
    }
}

/// Says whether a row is what was appended after an event with this hash.
fn verifies(row: &Row<'_>, previous: &Hash) -> bool {
    row.seal().is_some_and(|(salt, payload)| {
        event_hash(previous, row, payload).as_ref() == Some(row.hash) && kept(row, salt, payload)
    })
}

/// Says whether the payload has its hash; one that is gone as a whole may have been erased.
fn kept(row: &Row<'_>, salt: &[u8], hash: Option<&Hash>) -> bool {
    row.payload.map_or(salt.is_empty(), |payload| {
        hash == Some(&payload_hash(salt, payload))
    })
}
