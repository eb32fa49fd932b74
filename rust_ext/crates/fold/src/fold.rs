use std::ops::Range;

use crate::error::FoldError;
use crate::head::{Head, Heads, StreamId};
use crate::parallel::Pool;
use crate::plan::Plan;
use crate::task::{FIRST_CUSTOM_CODE, Task};

/// A stream that is to be folded: its id, and the plan of its task; without a plan it is handed back.
#[derive(Clone, Copy, Debug)]
pub struct Stream<'a> {
    /// Its id.
    pub id: StreamId,
    /// Its plan.
    pub plan: Option<&'a Plan>,
}

/// Up to where events count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// The last position.
    pub position: Option<i64>,
    /// The last instant.
    pub time: Option<i64>,
}

impl Limits {
    #[inline]
    fn beyond(&self, head: &Head) -> bool {
        self.position.is_some_and(|last| head.position > last)
            || self.time.is_some_and(|last| head.time > last)
    }
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Folded,
    Skipped,
    Returned,
}

/// What a fold of many streams gave.
#[derive(Clone, Debug, Default)]
pub struct Folded<T> {
    /// What was made of the folded tasks; one value for each part of the streams, in order.
    pub parts: Vec<T>,
    /// Places of the streams that another release must fold.
    pub returned: Vec<usize>,
}

const STREAMS_WORTH_A_THREAD: usize = 2;
const HEADS_WORTH_A_THREAD: usize = 8_192;
const PARTS_PER_THREAD: usize = 4;

/// Folds streams, and hands each task that was folded to `visit` with the place of its stream.
///
/// # Errors
/// The first head, in the order of the streams, that no log gives.
pub fn fold<H, T, V>(
    streams: &[Stream<'_>],
    heads: &H,
    limits: Limits,
    pool: Option<&Pool>,
    visit: V,
) -> Result<Folded<T>, FoldError>
where
    H: Heads + ?Sized,
    T: Default + Send,
    V: Fn(&mut T, usize, &mut Task) + Sync,
{
    let ranges = ranges(streams, heads)?;
    let run = |places: Range<usize>| part(streams, heads, limits, &ranges, places, &visit);
    let threads = pool.map_or(1, Pool::threads);
    let small = heads.len() < HEADS_WORTH_A_THREAD * 2 || streams.len() < STREAMS_WORTH_A_THREAD;
    let parts = match pool {
        Some(pool) if threads > 1 && !small => {
            let cuts = cuts(&ranges, heads.len() / (threads * PARTS_PER_THREAD) + 1);
            pool.map(&cuts, run)
        }
        _ => vec![run(0..streams.len())],
    };
    let mut folded = Folded {
        parts: Vec::with_capacity(parts.len()),
        returned: Vec::new(),
    };
    for part in parts {
        let (made, mut returned) = part?;
        folded.parts.push(made);
        folded.returned.append(&mut returned);
    }
    Ok(folded)
}

/// A visitor for [`fold`] that keeps every task.
pub fn keep(kept: &mut Vec<(usize, Task)>, place: usize, task: &mut Task) {
    kept.push((place, std::mem::take(task)));
}

/// Finds the heads of each stream; they stand together, in the order of the streams.
fn ranges<H: Heads + ?Sized>(
    streams: &[Stream<'_>],
    heads: &H,
) -> Result<Vec<Range<usize>>, FoldError> {
    let mut next = 0;
    let mut found = Vec::with_capacity(streams.len());
    for stream in streams {
        let first = next;
        while next < heads.len() && *heads.stream(next) == stream.id {
            next += 1;
        }
        found.push(first..next);
    }
    if next < heads.len() {
        let position = heads
            .head(next)
            .map_or_else(|error| error.position, |head| head.position);
        let reason = "expected heads of the streams that were named, in their order; found one of another stream";
        return Err(FoldError::new(position, reason));
    }
    Ok(found)
}

/// Cuts streams into parts of about as many heads.
fn cuts(ranges: &[Range<usize>], size: usize) -> Vec<Range<usize>> {
    let mut cuts = Vec::new();
    let (mut first, mut goal) = (0, size);
    for (place, range) in ranges.iter().enumerate() {
        if range.end >= goal {
            cuts.push(first..place + 1);
            first = place + 1;
            goal = range.end + size;
        }
    }
    cuts.push(first..ranges.len());
    cuts
}

type Part<T> = Result<(T, Vec<usize>), FoldError>;

fn part<H, T, V>(
    streams: &[Stream<'_>],
    heads: &H,
    limits: Limits,
    ranges: &[Range<usize>],
    places: Range<usize>,
    visit: &V,
) -> Part<T>
where
    H: Heads + ?Sized,
    T: Default,
    V: Fn(&mut T, usize, &mut Task),
{
    let mut made = T::default();
    let mut returned = Vec::new();
    let mut task = Task::default();
    for place in places {
        match one(
            streams[place].plan,
            heads,
            ranges[place].clone(),
            limits,
            &mut task,
        )? {
            End::Folded => {
                task.finish();
                visit(&mut made, place, &mut task);
            }
            End::Returned => returned.push(place),
            End::Skipped => {}
        }
    }
    Ok((made, returned))
}

/// Folds one stream.
fn one<H: Heads + ?Sized>(
    plan: Option<&Plan>,
    heads: &H,
    range: Range<usize>,
    limits: Limits,
    task: &mut Task,
) -> Result<End, FoldError> {
    let Some(plan) = plan else {
        return Ok(if range.is_empty() {
            End::Skipped
        } else {
            End::Returned
        });
    };
    if range.is_empty() {
        return Ok(End::Skipped);
    }
    task.begin(plan);
    for place in range.clone() {
        let head = heads.head(place)?;
        if limits.beyond(&head) {
            return rest(heads, place..range.end, limits, task);
        }
        if !declared(&head) {
            return Ok(End::Returned);
        }
        task.apply(plan, &head)?;
    }
    Ok(End::Folded)
}

/// Says what a stream comes to whose next event is beyond the limits: a clock that went back is another's business.
fn rest<H: Heads + ?Sized>(
    heads: &H,
    range: Range<usize>,
    limits: Limits,
    task: &Task,
) -> Result<End, FoldError> {
    for place in range {
        if !limits.beyond(&heads.head(place)?) {
            return Ok(End::Returned);
        }
    }
    Ok(if task.version == 0 {
        End::Skipped
    } else {
        End::Folded
    })
}

/// Says whether this release knows what an event means.
#[inline]
fn declared(head: &Head) -> bool {
    head.code >= FIRST_CUSTOM_CODE || (head.schema == 1 && matches!(head.code, 1..=12 | 20..=32))
}
