use crate::error::FoldError;
use crate::head::Head;
use crate::plan::Plan;
use crate::status::{StepStatus, TaskStatus};
use crate::step::Step;

const RESET: u32 = 30;
const UPDATED: u32 = 32;
const FIRST_STEP_CODE: u32 = 20;
pub(crate) const FIRST_CUSTOM_CODE: u32 = 1000;

/// Where a task stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// Its status.
    pub status: TaskStatus,
    /// Version of its last event.
    pub version: u32,
    /// How many steps have each status.
    pub counts: [u32; StepStatus::COUNT],
    /// How many pending steps have no unsatisfied parent, as the reference counts them.
    pub ready: i64,
    /// When it was created.
    pub created_at: i64,
    /// When the request wanted it to begin.
    pub not_before: Option<i64>,
    /// When its first attempt began.
    pub started_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// Time of its last event.
    pub last_at: i64,
    /// When it expires.
    pub timeout_at: Option<i64>,
    /// Version of the `task.paused` that holds it, 0 for none.
    pub paused_version: u32,
    /// Version of the last `task.erased`, 0 for none.
    pub erased_version: u32,
    /// Position of its first event.
    pub first_position: i64,
    /// Position of its last event.
    pub last_position: i64,
    /// Versions of its annotations.
    pub annotations: Vec<u32>,
    /// Versions of its `task.updated`.
    pub updated: Vec<u32>,
    /// Step and version of each `step.reset`, sorted once the stream is folded.
    pub step_resets: Vec<(u32, u32)>,
    /// Step and version of each `step.updated`, sorted once the stream is folded.
    pub step_updates: Vec<(u32, u32)>,
    /// Its steps, by ordinal.
    pub steps: Vec<Step>,
}

impl Task {
    /// Goes back to the state before the first event; what was allocated stays for the next stream.
    pub fn begin(&mut self, plan: &Plan) {
        let Self {
            mut annotations,
            mut updated,
            mut step_resets,
            mut step_updates,
            mut steps,
            ..
        } = std::mem::take(self);
        annotations.clear();
        updated.clear();
        step_resets.clear();
        step_updates.clear();
        steps.clear();
        let blank = |parents: &u32| Step {
            blockers: parents.cast_signed(),
            ..Step::default()
        };
        steps.extend(plan.parents().iter().map(blank));
        *self = Self {
            ready: plan.roots().into(),
            annotations,
            updated,
            step_resets,
            step_updates,
            steps,
            ..Self::default()
        };
        self.counts[0] = u32::try_from(plan.len()).unwrap_or(u32::MAX);
    }

    /// Gives how many steps have a status.
    #[must_use]
    pub fn count(&self, status: StepStatus) -> u32 {
        self.counts[status as usize]
    }

    /// Sorts by step what is noted of steps, so that it can be found; to be called after the last event.
    pub(crate) fn finish(&mut self) {
        self.step_resets.sort_unstable();
        self.step_updates.sort_unstable();
    }

    /// Gives the versions of the `step.reset` of one step.
    pub fn resets(&self, step: usize) -> impl Iterator<Item = u32> {
        of(&self.step_resets, step)
    }

    /// Gives the versions of the `step.updated` of one step.
    pub fn updates(&self, step: usize) -> impl Iterator<Item = u32> {
        of(&self.step_updates, step)
    }

    /// Takes in the next event of its stream.
    ///
    /// # Errors
    /// The event is none that can come next, or not one of this definition; the state is then of no use.
    #[inline]
    pub fn apply(&mut self, plan: &Plan, head: &Head) -> Result<(), FoldError> {
        self.check(head)?;
        if self.version == 0 {
            self.first_position = head.position;
        }
        if head.code >= FIRST_CUSTOM_CODE {
            self.check_step(head)?;
        } else if head.code >= FIRST_STEP_CODE {
            self.evolve_step(plan, head)?;
        } else {
            self.evolve(plan, head)?;
        }
        self.version = head.version;
        self.last_at = head.time;
        self.last_position = head.position;
        Ok(())
    }

    fn check(&self, head: &Head) -> Result<(), FoldError> {
        if head.version.wrapping_sub(1) != self.version {
            let reason = format!(
                "expected version {} of its stream, found {}",
                u64::from(self.version) + 1,
                head.version
            );
            return Err(FoldError::new(head.position, reason));
        }
        if head.position <= self.last_position {
            let reason = format!(
                "expected a position above {}, found {}",
                self.last_position, head.position
            );
            return Err(FoldError::new(head.position, reason));
        }
        if (head.code == 1) != (self.version == 0) {
            let reason = format!(
                "expected task.created (code 1) as version 1 only, found code {} as version {}",
                head.code, head.version
            );
            return Err(FoldError::new(head.position, reason));
        }
        Ok(())
    }

    fn check_step(&self, head: &Head) -> Result<(), FoldError> {
        if usize::try_from(head.step).is_ok_and(|step| step >= self.steps.len()) {
            return Err(self.no_step(head));
        }
        Ok(())
    }

    #[cold]
    fn no_step(&self, head: &Head) -> FoldError {
        let reason = match head.step {
            -1 => format!("expected a step with code {}, found none", head.code),
            step => format!(
                "expected one of {} steps by its ordinal, found {step}",
                self.steps.len()
            ),
        };
        FoldError::new(head.position, reason)
    }

    fn evolve(&mut self, plan: &Plan, head: &Head) -> Result<(), FoldError> {
        if head.step >= 0 {
            let reason = format!(
                "expected no step with code {}, found step {}",
                head.code, head.step
            );
            return Err(FoldError::new(head.position, reason));
        }
        match head.code {
            1 => self.created(plan, head),
            2 => {
                self.status = TaskStatus::InProgress;
                self.started_at = Some(head.time);
                self.timeout_at = plan.expiry(head.time);
            }
            3 => self.ended(TaskStatus::Complete, head.time),
            4 => self.ended(TaskStatus::Error, head.time),
            5 => self.ended(TaskStatus::Cancelled, head.time),
            6 => self.paused_version = head.version,
            7 => self.paused_version = 0,
            8 => {
                self.status = TaskStatus::InProgress;
                self.ended_at = None;
                self.timeout_at = plan.expiry(head.time);
            }
            9 => self.ended(TaskStatus::ResolvedManually, head.time),
            10 => self.updated.push(head.version),
            11 => self.annotations.push(head.version),
            12 => self.erased_version = head.version,
            code => {
                return Err(FoldError::new(
                    head.position,
                    format!("expected an event of a task, found code {code}"),
                ));
            }
        }
        Ok(())
    }

    fn created(&mut self, plan: &Plan, head: &Head) {
        self.created_at = head.time;
        self.not_before = head.due;
        let ready_at = head.time.max(head.due.unwrap_or(0));
        for (step, parents) in self.steps.iter_mut().zip(plan.parents()) {
            if *parents == 0 {
                step.ready_at = ready_at;
            }
        }
    }

    fn ended(&mut self, status: TaskStatus, at: i64) {
        self.status = status;
        self.ended_at = Some(at);
        self.timeout_at = None;
    }

    /// Changes one step, the counters, and what the step's children wait for.
    #[inline]
    fn evolve_step(&mut self, plan: &Plan, head: &Head) -> Result<(), FoldError> {
        let number = usize::try_from(head.step).unwrap_or(usize::MAX);
        let Some(step) = self.steps.get_mut(number) else {
            return Err(self.no_step(head));
        };
        let (before, was_ready) = (step.status, step.ready());
        step.apply(head)?;
        let after = step.status;
        self.ready += i64::from(step.ready()) - i64::from(was_ready);
        if head.code == RESET {
            self.step_resets
                .push((head.step.cast_unsigned(), head.version));
        } else if head.code == UPDATED {
            self.step_updates
                .push((head.step.cast_unsigned(), head.version));
        }
        if after != before {
            self.counts[before as usize] -= 1;
            self.counts[after as usize] += 1;
        }
        if after.satisfied() && !before.satisfied() {
            for child in plan.children(number) {
                let state = &mut self.steps[*child as usize];
                state.blockers -= 1;
                state.ready_at = head.time;
                self.ready += i64::from(state.ready());
            }
        }
        Ok(())
    }
}

/// Finds the notes of one step among sorted ones.
fn of(notes: &[(u32, u32)], step: usize) -> impl Iterator<Item = u32> {
    let first = notes.partition_point(|note| (note.0 as usize) < step);
    let own = notes[first..]
        .iter()
        .take_while(move |note| note.0 as usize == step);
    own.map(|note| note.1)
}
