use crate::error::FoldError;

/// The 16 bytes that name a stream.
pub type StreamId = [u8; 16];

/// Length of a packed head in bytes.
pub const HEAD_LEN: usize = 60;
/// What a packed head holds as `due` where the column is NULL.
pub const NO_DUE: i64 = i64::MIN;

/// The columns of one event that the fold reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its stream.
    pub stream: StreamId,
    /// Its place in the log.
    pub position: i64,
    /// Its place in the stream, from 1.
    pub version: u32,
    /// Code of its type.
    pub code: u32,
    /// Version of its data.
    pub schema: u32,
    /// Ordinal of its step; -1 for none.
    pub step: i32,
    /// Number of its attempt; 0 for none.
    pub attempt: u32,
    /// When it happened, in microseconds.
    pub time: i64,
    /// When something falls due.
    pub due: Option<i64>,
}

fn cut<const N: usize>(bytes: &[u8; HEAD_LEN], from: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[from..from + N]);
    part
}

impl Head {
    /// Reads a head from its 60 bytes.
    ///
    /// # Errors
    /// A number is outside of its range.
    #[inline]
    pub fn unpack(bytes: &[u8; HEAD_LEN]) -> Result<Self, FoldError> {
        let whole = |from| i32::from_be_bytes(cut(bytes, from));
        let (version, code, schema) = (whole(24), whole(28), whole(32));
        let (step, attempt) = (whole(36), whole(40));
        let position = i64::from_be_bytes(cut(bytes, 16));
        let due = i64::from_be_bytes(cut(bytes, 52));
        if (version | code | schema | attempt) < 0 || step < -1 || step == i32::MAX {
            let found = format!("{version}, {code}, {schema}, {step}, {attempt}");
            let reason = format!(
                "expected a version, code, schema version, step and attempt in range, found {found}"
            );
            return Err(FoldError::new(position, reason));
        }
        Ok(Self {
            stream: cut(bytes, 0),
            position,
            version: version.cast_unsigned(),
            code: code.cast_unsigned(),
            schema: schema.cast_unsigned(),
            step,
            attempt: attempt.cast_unsigned(),
            time: i64::from_be_bytes(cut(bytes, 44)),
            due: (due != NO_DUE).then_some(due),
        })
    }

    /// Writes the 60 bytes of a head.
    #[must_use]
    pub fn pack(&self) -> [u8; HEAD_LEN] {
        let mut bytes = [0; HEAD_LEN];
        bytes[..16].copy_from_slice(&self.stream);
        bytes[16..24].copy_from_slice(&self.position.to_be_bytes());
        bytes[24..28].copy_from_slice(&self.version.to_be_bytes());
        bytes[28..32].copy_from_slice(&self.code.to_be_bytes());
        bytes[32..36].copy_from_slice(&self.schema.to_be_bytes());
        bytes[36..40].copy_from_slice(&self.step.to_be_bytes());
        bytes[40..44].copy_from_slice(&self.attempt.to_be_bytes());
        bytes[44..52].copy_from_slice(&self.time.to_be_bytes());
        bytes[52..].copy_from_slice(&self.due.unwrap_or(NO_DUE).to_be_bytes());
        bytes
    }

    /// Reads a head from the columns of a query: `kind` is version, code and schema version in 32, 16 and 16 bits,
    /// `place` is step + 1 (0 for none) and attempt in 32 bits each.
    ///
    /// # Errors
    /// A number is outside of its range.
    #[inline]
    pub fn from_columns(
        stream: StreamId,
        position: i64,
        kind: i64,
        place: i64,
        time: i64,
        due: Option<i64>,
    ) -> Result<Self, FoldError> {
        let attempt = place.cast_unsigned() & 0xFFFF_FFFF;
        let step = i32::try_from((place >> 32) - 1)
            .ok()
            .filter(|_| attempt >> 31 == 0);
        let (Some(step), false) = (step, kind < 0 || place < 0) else {
            let reason = format!(
                "expected a version, code, step and attempt in range, found {kind:#x} and {place:#x}"
            );
            return Err(FoldError::new(position, reason));
        };
        let kind = kind.cast_unsigned();
        Ok(Self {
            stream,
            position,
            version: bits(kind >> 32),
            code: bits(kind >> 16 & 0xFFFF),
            schema: bits(kind & 0xFFFF),
            step,
            attempt: bits(attempt),
            time,
            due,
        })
    }
}

#[allow(clippy::cast_possible_truncation)] // the callers leave no more than 32 bits
fn bits(value: u64) -> u32 {
    value as u32
}

/// A sequence of heads, however they are kept.
pub trait Heads: Sync {
    /// Counts them.
    fn len(&self) -> usize;

    /// Says whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives the stream of one.
    fn stream(&self, place: usize) -> &StreamId;

    /// Gives one.
    ///
    /// # Errors
    /// It cannot be read.
    fn head(&self, place: usize) -> Result<Head, FoldError>;
}

impl Heads for [Head] {
    fn len(&self) -> usize {
        <[Head]>::len(self)
    }

    #[inline]
    fn stream(&self, place: usize) -> &StreamId {
        &self[place].stream
    }

    #[inline]
    fn head(&self, place: usize) -> Result<Head, FoldError> {
        Ok(self[place])
    }
}

/// A buffer of packed heads.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a>(&'a [[u8; HEAD_LEN]]);

impl<'a> Packed<'a> {
    /// Takes a buffer.
    ///
    /// # Errors
    /// Its length is no multiple of 60.
    pub fn new(bytes: &'a [u8]) -> Result<Self, FoldError> {
        let (heads, rest) = bytes.as_chunks();
        if rest.is_empty() {
            return Ok(Self(heads));
        }
        let reason = format!(
            "expected a multiple of {HEAD_LEN} bytes, found {}",
            bytes.len()
        );
        Err(FoldError::new(0, reason))
    }
}

impl Heads for Packed<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn stream(&self, place: usize) -> &StreamId {
        self.0[place].first_chunk().unwrap_or(&[0; 16])
    }

    #[inline]
    fn head(&self, place: usize) -> Result<Head, FoldError> {
        Head::unpack(&self.0[place])
    }
}
