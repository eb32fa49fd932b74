use crate::error::FoldError;
use crate::fold::{Folded, Limits, Stream, fold};
use crate::head::Heads;
use crate::parallel::Pool;
use crate::status::{StepStatus, TaskStatus};
use crate::task::Task;

/// How many events, tasks and steps there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events that were folded.
    pub events: u64,
    /// Tasks that were folded.
    pub tasks: u64,
    /// Tasks by status.
    pub by_task: [u64; TaskStatus::COUNT],
    /// Steps by status.
    pub by_step: [u64; StepStatus::COUNT],
}

impl Tally {
    /// Counts a task.
    pub fn add(&mut self, task: &Task) {
        self.events += u64::from(task.version);
        self.tasks += 1;
        self.by_task[task.status as usize] += 1;
        for (sum, count) in self.by_step.iter_mut().zip(task.counts) {
            *sum += u64::from(count);
        }
    }

    fn join(&mut self, other: &Self) {
        self.events += other.events;
        self.tasks += other.tasks;
        for (sum, count) in self.by_task.iter_mut().zip(other.by_task) {
            *sum += count;
        }
        for (sum, count) in self.by_step.iter_mut().zip(other.by_step) {
            *sum += count;
        }
    }
}

/// Folds streams and counts what they come to; gives the places of those that another release must fold as well.
///
/// # Errors
/// The first head that no log gives.
pub fn tally<H: Heads + ?Sized>(
    streams: &[Stream<'_>],
    heads: &H,
    limits: Limits,
    pool: Option<&Pool>,
) -> Result<(Tally, Vec<usize>), FoldError> {
    let Folded { parts, returned } = fold(
        streams,
        heads,
        limits,
        pool,
        |tally: &mut Tally, _, task| tally.add(task),
    )?;
    let mut sum = Tally::default();
    for part in &parts {
        sum.join(part);
    }
    Ok((sum, returned))
}
