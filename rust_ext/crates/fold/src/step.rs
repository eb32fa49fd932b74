use crate::error::FoldError;
use crate::head::Head;
use crate::outcomes::Outcomes;
use crate::status::StepStatus;

/// Where one step stands, and the versions under which the log has the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Its status.
    pub status: StepStatus,
    /// Parents that are not satisfied yet; below zero where one was satisfied twice.
    pub blockers: i32,
    /// Number of the latest attempt.
    pub attempt: u32,
    /// Counted attempts of the present budget.
    pub failures: u32,
    /// A letter for each attempt.
    pub outcomes: Outcomes,
    /// When it last became ready.
    pub ready_at: i64,
    /// When a retry or the end of a wait falls due.
    pub due: Option<i64>,
    /// Start of the latest attempt.
    pub started_at: Option<i64>,
    /// When it finished.
    pub ended_at: Option<i64>,
    /// Version of the latest `step.started`, 0 for none; it names the worker.
    pub started_version: u32,
    /// Version of the event with its results, 0 for none.
    pub outcome: u32,
    /// Version of the event with its error, 0 for none.
    pub error: u32,
    /// Version of the `step.retry_scheduled` whose delay is pending, 0 for none.
    pub retry_version: u32,
    /// Version of the final failure that still counts, 0 for none.
    pub failure_version: u32,
}

impl Step {
    /// Says whether only time and pauses keep it from starting for the first time in this budget.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.status == StepStatus::Pending && self.blockers == 0
    }

    /// Takes in one of its events.
    ///
    /// # Errors
    /// The code is that of no event of a step.
    #[inline]
    pub(crate) fn apply(&mut self, head: &Head) -> Result<(), FoldError> {
        match head.code {
            20 => self.started(head),
            21 => self.ended(StepStatus::Complete, Outcomes::COMPLETED, head),
            22 => self.failed(head, false),
            23 => self.failed(head, true),
            24 => self.retry(head),
            25 => self.abandoned(head, true),
            26 => self.abandoned(head, false),
            27 => self.waiting(head),
            28 => self.finished(StepStatus::Skipped, head.time),
            29 => self.cancelled(head),
            30 => self.reset(head.time),
            31 => self.ended(StepStatus::ResolvedManually, Outcomes::FENCED, head),
            32 => {}
            code => {
                return Err(FoldError::new(
                    head.position,
                    format!("expected an event of a step, found code {code}"),
                ));
            }
        }
        Ok(())
    }

    fn started(&mut self, head: &Head) {
        self.status = StepStatus::InProgress;
        self.attempt = head.attempt;
        self.outcomes.begin();
        self.due = None;
        self.retry_version = 0;
        self.started_at = Some(head.time);
        self.started_version = head.version;
    }

    fn ended(&mut self, status: StepStatus, letter: u8, head: &Head) {
        self.outcomes.mark(letter);
        self.finished(status, head.time);
        self.outcome = head.version;
    }

    fn finished(&mut self, status: StepStatus, at: i64) {
        self.status = status;
        self.ended_at = Some(at);
        self.due = None;
        self.retry_version = 0;
        self.failure_version = 0;
        self.error = 0;
    }

    /// Counts the attempt, unless its abandonment or its own failure has counted it already.
    fn failed(&mut self, head: &Head, last: bool) {
        self.failures += u32::from(matches!(
            self.status,
            StepStatus::InProgress | StepStatus::Waiting
        ));
        self.status = if last {
            StepStatus::Error
        } else {
            StepStatus::WaitingForRetry
        };
        self.outcomes.mark(Outcomes::FAILED);
        self.error = head.version;
        self.due = if last { None } else { Some(head.time) };
        self.retry_version = 0;
        if last {
            self.failure_version = head.version;
        }
    }

    fn retry(&mut self, head: &Head) {
        let due = head.due.filter(|due| *due != 0).unwrap_or(head.time);
        self.status = StepStatus::WaitingForRetry;
        self.due = Some(due);
        self.retry_version = head.version;
        self.ready_at = due;
    }

    fn abandoned(&mut self, head: &Head, lost: bool) {
        self.status = StepStatus::Pending;
        self.failures += u32::from(lost);
        self.outcomes.mark(Outcomes::ABANDONED);
        self.ready_at = head.time;
    }

    fn waiting(&mut self, head: &Head) {
        self.status = StepStatus::Waiting;
        self.due = head.due;
        self.outcomes.mark(Outcomes::WAITING);
    }

    /// A cancelled step keeps what its last failure said.
    fn cancelled(&mut self, head: &Head) {
        let error = self.error;
        self.outcomes.mark(Outcomes::CANCELLED);
        self.finished(StepStatus::Cancelled, head.time);
        self.error = error;
    }

    fn reset(&mut self, at: i64) {
        self.status = StepStatus::Pending;
        self.failures = 0;
        self.failure_version = 0;
        self.error = 0;
        self.due = None;
        self.retry_version = 0;
        self.ready_at = at;
        self.ended_at = None;
    }
}
