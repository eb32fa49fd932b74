//! Histories for tests.
#![allow(dead_code)] // every test file takes what it needs

use tasker_fold::{FoldError, Head, Limits, Plan, Stream, StreamId, Task, fold, keep};

pub const ID: StreamId = [7; 16];
pub const TIME: i64 = 1_000_000;

/// Two steps, the second after the first.
pub fn pair() -> Plan {
    Plan::new(&[vec![], vec![0]], Some(60_000_000), true).unwrap()
}

/// Heads of one stream: the code and the step of each; a second passes between two.
pub fn heads(events: &[(u32, i32)]) -> Vec<Head> {
    (1..)
        .zip(events)
        .map(|(version, (code, step))| Head {
            stream: ID,
            position: i64::from(version) * 10,
            version,
            code: *code,
            schema: 1,
            step: *step,
            attempt: u32::from(*step >= 0),
            time: TIME * i64::from(version),
            due: None,
        })
        .collect()
}

/// Folds one stream.
pub fn one(
    plan: &Plan,
    heads: &[Head],
    limits: Limits,
) -> Result<(Option<Task>, Vec<usize>), FoldError> {
    let streams = [Stream {
        id: ID,
        plan: Some(plan),
    }];
    let folded = fold(&streams, heads, limits, None, keep)?;
    Ok((
        folded
            .parts
            .into_iter()
            .flatten()
            .next()
            .map(|(_, task)| task),
        folded.returned,
    ))
}

/// Folds one stream that must fold.
pub fn task(plan: &Plan, heads: &[Head]) -> Task {
    one(plan, heads, Limits::default()).unwrap().0.unwrap()
}
