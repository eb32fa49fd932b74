use tasker_fold::{
    FoldError, Head, Heads, Limits, Packed, Stream, Tally, Task, fold, keep, summary, tally,
};

use crate::generate::Case;
use crate::random::Random;

type Kept = (Vec<(usize, Task)>, Vec<usize>);

fn states<H: Heads + ?Sized>(
    streams: &[Stream<'_>],
    heads: &H,
    limits: Limits,
) -> Result<Kept, FoldError> {
    let folded = fold(streams, heads, limits, None, keep)?;
    Ok((
        folded.parts.into_iter().flatten().collect(),
        folded.returned,
    ))
}

fn ensure(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// Checks what must hold of a history that a log could hold.
pub(crate) fn valid(case: &Case) -> Result<(), String> {
    let streams = case.streams();
    let packed = Packed::new(&case.buffer).map_err(|error| error.to_string())?;
    let (tasks, returned) =
        states(&streams, &packed, Limits::default()).map_err(|error| error.to_string())?;
    ensure(
        returned == case.foreign,
        "exactly the streams with an event of another release come back",
    )?;
    all_hold(&streams, &tasks)?;
    ensure_tally(&streams, &packed, Limits::default(), &tasks, &returned)?;
    prefixes(case, &streams, &packed)
}

/// Checks that a fold up to each position has just the events up to it.
fn prefixes(case: &Case, streams: &[Stream<'_>], packed: &Packed<'_>) -> Result<(), String> {
    let last = 3 * 60 + 100;
    for position in (0..last).step_by(7) {
        let limits = Limits {
            position: Some(position),
            time: None,
        };
        let (tasks, _) = states(streams, packed, limits).map_err(|error| error.to_string())?;
        for (place, task) in &tasks {
            let own = heads(case)
                .into_iter()
                .filter(|head| head.stream == streams[*place].id);
            let expected = own.filter(|head| head.position <= position).count();
            ensure(
                task.version as usize == expected,
                "the version counts the events up to a position",
            )?;
            ensure(
                task.last_position <= position,
                "nothing behind the position counts",
            )?;
        }
    }
    Ok(())
}

fn heads(case: &Case) -> Vec<Head> {
    let (chunks, _) = case.buffer.as_chunks();
    chunks
        .iter()
        .filter_map(|bytes| Head::unpack(bytes).ok())
        .collect()
}

/// Checks what must hold of any bytes: a state or an error, and the same one however the heads are kept.
pub(crate) fn any(case: &Case, random: &mut Random) -> Result<(), String> {
    let streams = case.streams();
    let Ok(packed) = Packed::new(&case.buffer) else {
        return ensure(
            !case.buffer.len().is_multiple_of(tasker_fold::HEAD_LEN),
            "whole heads are taken",
        );
    };
    let limits = Limits {
        position: random.one_in(2).then(|| i64::from(random.small(200))),
        time: random
            .one_in(3)
            .then(|| 1_795_269_600_000_000 + i64::from(random.small(20_000))),
    };
    let found = states(&streams, &packed, limits);
    let read = heads(case);
    if read.len() == packed.len() {
        ensure(
            states(&streams, read.as_slice(), limits) == found,
            "packed heads and others fold alike",
        )?;
        ensure(
            read.iter()
                .flat_map(Head::pack)
                .eq(case.buffer.iter().copied()),
            "a head keeps its bytes",
        )?;
    }
    read.iter().try_for_each(columns)?;
    match found {
        Ok((tasks, returned)) => {
            all_hold(&streams, &tasks)?;
            ensure_tally(&streams, &packed, limits, &tasks, &returned)
        }
        Err(error) => ensure(
            tally(&streams, &packed, limits, None) == Err(error),
            "a tally refuses what states refuse",
        ),
    }
}

fn all_hold(streams: &[Stream<'_>], tasks: &[(usize, Task)]) -> Result<(), String> {
    for (place, task) in tasks {
        let plan = streams[*place]
            .plan
            .ok_or("a stream without a plan was folded")?;
        ensure(task.version > 0, "a task has an event")?;
        ensure(
            task.steps.len() == plan.len(),
            "a task has the steps of its plan",
        )?;
        ensure(
            task.counts.iter().sum::<u32>() as usize == plan.len(),
            "counts sum to the number of steps",
        )?;
        for (status, count) in task.counts.iter().enumerate() {
            let found = task
                .steps
                .iter()
                .filter(|step| step.status as usize == status)
                .count();
            ensure(found == *count as usize, "counts are those of the steps")?;
        }
        let share = summary::completion_percentage(task);
        ensure(
            (0.0..=100.0).contains(&share),
            "the share is one of a hundred",
        )?;
        ensure(
            !summary::execution_status(plan, task).is_empty(),
            "a word is true of every task",
        )?;
        ensure(summary::counts_json(task).len() > 100, "counts are written")?;
    }
    Ok(())
}

fn ensure_tally(
    streams: &[Stream<'_>],
    packed: &Packed<'_>,
    limits: Limits,
    tasks: &[(usize, Task)],
    returned: &[usize],
) -> Result<(), String> {
    let mut sum = Tally {
        tasks: tasks.len() as u64,
        ..Tally::default()
    };
    for (_, task) in tasks {
        sum.events += u64::from(task.version);
        sum.by_task[task.status as usize] += 1;
        task.steps
            .iter()
            .for_each(|step| sum.by_step[step.status as usize] += 1);
    }
    let found = tally(streams, packed, limits, None).map_err(|error| error.to_string())?;
    ensure(
        found == (sum, returned.to_vec()),
        "a tally is the sum over the states",
    )
}

/// Checks that the columns of a query say the same as the packed head, where they have room for it.
fn columns(head: &Head) -> Result<(), String> {
    if head.code > 0xFFFF || head.schema > 0xFFFF {
        return Ok(());
    }
    let kind = i64::from(head.version) << 32 | i64::from(head.code) << 16 | i64::from(head.schema);
    let place = i64::from(head.step + 1) << 32 | i64::from(head.attempt);
    let read = Head::from_columns(head.stream, head.position, kind, place, head.time, head.due);
    ensure(read == Ok(*head), "columns and packed heads say the same")
}
