use std::fmt;

/// Heads that no log ever gives: they were changed, or are not those of the streams that were named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoldError {
    /// Position of the event, 0 where none is known.
    pub position: i64,
    /// What was expected and what was found.
    pub reason: String,
}

impl FoldError {
    /// Names what is wrong at a position.
    #[cold]
    pub fn new(position: i64, reason: impl Into<String>) -> Self {
        Self {
            position,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for FoldError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "position {}: {}", self.position, self.reason)
    }
}

impl std::error::Error for FoldError {}
