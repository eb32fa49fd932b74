//! Verifies parts of a log one beside the other.
//!
//! A part takes the ends of streams that began before it on trust and says which; whoever knows the true ends joins it,
//! and then stands where one pass over both would have led, or learns that it has to pass over the part itself.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::chain::{Before, Chain, Tip};
use crate::head::StreamId;

const ID: usize = size_of::<StreamId>();
const TIP: usize = ID + 4 + 32;
const HEAD: usize = 7 * 8;

impl Chain {
    /// Begins behind a position.
    #[must_use]
    pub fn part(log: &[u8], after: u64) -> Self {
        let mut chain = Self::new(log);
        chain.position = after;
        chain.before = Some(Before {
            position: after,
            ..Before::default()
        });
        chain
    }

    /// Keeps, of streams and versions before rows, the first of each stream that is not known and did not begin there.
    #[must_use]
    pub fn missing(&self, ends: &[(StreamId, u32)]) -> Vec<(StreamId, u32)> {
        let mut seen = FxHashSet::default();
        let new = ends
            .iter()
            .filter(|(stream, _)| !self.tips.contains_key(stream) && seen.insert(*stream));
        new.filter(|(_, version)| *version > 0).copied().collect()
    }

    /// Takes the end of a stream on trust; false if this is no part, or knows the stream.
    pub fn assume(&mut self, stream: StreamId, tip: Tip) -> bool {
        let Some(before) = &mut self.before else {
            return false;
        };
        if self.tips.contains_key(&stream) {
            return false;
        }
        before.tips.insert(stream, tip);
        self.tips.insert(stream, tip);
        true
    }

    /// Writes what a part came to; nothing where this is none.
    #[must_use]
    pub fn dump(&self) -> Vec<u8> {
        let Some(before) = &self.before else {
            return Vec::new();
        };
        let counts = [
            self.tips.len(),
            before.tips.len(),
            self.gone.len(),
            before.erased.len(),
            self.codes.len(),
        ];
        let mut out = Vec::with_capacity(HEAD + TIP * (counts[0] + counts[1]));
        out.extend(before.position.to_be_bytes());
        out.extend(self.position.to_be_bytes());
        out.extend(
            counts
                .iter()
                .flat_map(|count| (*count as u64).to_be_bytes()),
        );
        for (stream, (version, hash)) in self.tips.iter().chain(&before.tips) {
            out.extend(stream);
            out.extend(version.to_be_bytes());
            out.extend(hash);
        }
        for (stream, position) in &self.gone {
            out.extend(stream);
            out.extend(position.to_be_bytes());
        }
        out.extend(before.erased.iter().flatten());
        out.extend(self.codes.iter().flat_map(|code| code.to_be_bytes()));
        out
    }

    /// Moves on over a part that was verified elsewhere; false, and nothing is changed, if it does not begin here or
    /// the ends of streams that it took on trust are not the true ones.
    pub fn join(&mut self, part: &[u8]) -> bool {
        let Some(part) = Part::read(part).filter(|part| self.fits(part)) else {
            return false;
        };
        self.position = part.position;
        self.tips.extend(part.tips);
        for stream in &part.erased {
            self.gone.remove(stream);
            if let Some(before) = &mut self.before {
                before.erased.insert(*stream);
            }
        }
        for (stream, position) in part.gone {
            self.gone.entry(stream).or_insert(position);
        }
        self.codes.extend(part.codes);
        true
    }

    /// Says whether a part begins here, with every stream at the end from which it went on, or new where it began one.
    fn fits(&self, part: &Part) -> bool {
        let true_end = |stream: &StreamId| self.tips.get(stream) == part.assumed.get(stream);
        part.after == self.position
            && part.tips.len() >= part.assumed.len()
            && part.tips.keys().all(true_end)
    }
}

/// What a part came to.
struct Part {
    after: u64,
    position: u64,
    tips: FxHashMap<StreamId, Tip>,
    assumed: FxHashMap<StreamId, Tip>,
    gone: Vec<(StreamId, u64)>,
    erased: Vec<StreamId>,
    codes: Vec<u32>,
}

impl Part {
    /// Reads what `Chain::dump` wrote; none where it is something else.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        let (after, position) = (rest.number()?, rest.number()?);
        let mut counts = [0; 5];
        for count in &mut counts {
            *count = usize::try_from(rest.number()?).ok()?;
        }
        let found = Self {
            after,
            position,
            tips: rest.each(counts[0], tip)?,
            assumed: rest.each(counts[1], tip)?,
            gone: rest.each(counts[2], gone)?,
            erased: rest.each(counts[3], |id: &[u8; ID]| *id)?,
            codes: rest.each(counts[4], |code| u32::from_be_bytes(*code))?,
        };
        rest.0.is_empty().then_some(found)
    }
}

fn tip(bytes: &[u8; TIP]) -> (StreamId, Tip) {
    let (mut stream, mut version, mut hash) = ([0; ID], [0; 4], [0; 32]);
    stream.copy_from_slice(&bytes[..ID]);
    version.copy_from_slice(&bytes[ID..ID + 4]);
    hash.copy_from_slice(&bytes[ID + 4..]);
    (stream, (u32::from_be_bytes(version), hash))
}

fn gone(bytes: &[u8; ID + 8]) -> (StreamId, u64) {
    let (mut stream, mut position) = ([0; ID], [0; 8]);
    stream.copy_from_slice(&bytes[..ID]);
    position.copy_from_slice(&bytes[ID..]);
    (stream, u64::from_be_bytes(position))
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*number))
    }

    /// Takes so many pieces of one size.
    fn each<const N: usize, T, C: FromIterator<T>>(
        &mut self,
        count: usize,
        read: impl Fn(&[u8; N]) -> T,
    ) -> Option<C> {
        let (pieces, rest) = self.0.split_at_checked(count.checked_mul(N)?)?;
        self.0 = rest;
        let pieces = pieces.chunks_exact(N);
        Some(
            pieces
                .filter_map(|piece| piece.try_into().ok().map(&read))
                .collect(),
        )
    }
}
