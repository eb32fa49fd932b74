/// Where a task stands, in the order in which Python declares it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum TaskStatus {
    /// Nothing has begun.
    #[default]
    Pending,
    /// A step has begun.
    InProgress,
    /// Ended well.
    Complete,
    /// Failed; a person may reopen it.
    Error,
    /// Cancelled for good.
    Cancelled,
    /// Settled by a person.
    ResolvedManually,
}

impl TaskStatus {
    /// How many there are.
    pub const COUNT: usize = 6;
    /// Their names, by number.
    pub const NAMES: [&'static str; Self::COUNT] = [
        "pending",
        "in_progress",
        "complete",
        "error",
        "cancelled",
        "resolved_manually",
    ];

    /// Says whether the task still has something to do.
    #[must_use]
    pub const fn live(self) -> bool {
        matches!(self, Self::Pending | Self::InProgress)
    }
}

/// Where a step stands, in the order in which Python declares it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum StepStatus {
    /// Waits for its parents or for a worker.
    #[default]
    Pending,
    /// An attempt is under way.
    InProgress,
    /// The next attempt has a time.
    WaitingForRetry,
    /// Something outside must end it.
    Waiting,
    /// Ended well.
    Complete,
    /// Failed for good, unless a person resets it.
    Error,
    /// Cancelled for good.
    Cancelled,
    /// Bypassed, as the request asked.
    Skipped,
    /// Settled by a person.
    ResolvedManually,
}

impl StepStatus {
    /// How many there are.
    pub const COUNT: usize = 9;
    /// Their names, by number.
    pub const NAMES: [&'static str; Self::COUNT] = [
        "pending",
        "in_progress",
        "waiting_for_retry",
        "waiting",
        "complete",
        "error",
        "cancelled",
        "skipped",
        "resolved_manually",
    ];

    /// Says whether a step in this status lets its children run.
    #[must_use]
    pub const fn satisfied(self) -> bool {
        matches!(
            self,
            Self::Complete | Self::Skipped | Self::ResolvedManually
        )
    }
}
