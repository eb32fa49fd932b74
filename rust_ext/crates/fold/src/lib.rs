//! Folds the columns of recorded events into task states, and verifies hash chains.
//!
//! Nothing here reads what users wrote: everything that a status depends on is a column of its own. Each rule equals
//! its namesake in Tasker's Python domain, which is the reference; streams that hold an event of another release are
//! handed back unfolded.
#![forbid(unsafe_code)]

pub mod chain;
mod error;
mod fold;
mod head;
mod outcomes;
mod parallel;
mod part;
mod plan;
mod status;
mod step;
pub mod summary;
mod tally;
mod task;

pub use error::FoldError;
pub use fold::{Folded, Limits, Stream, fold, keep};
pub use head::{HEAD_LEN, Head, Heads, NO_DUE, Packed, StreamId};
pub use outcomes::Outcomes;
pub use parallel::{Pool, pool};
pub use plan::{Plan, PlanError};
pub use status::{StepStatus, TaskStatus};
pub use step::Step;
pub use tally::{Tally, tally};
pub use task::Task;
