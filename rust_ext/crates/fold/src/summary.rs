//! Says in a word how a task stands, as of the time of its last event.

use crate::plan::Plan;
use crate::status::{StepStatus, TaskStatus};
use crate::step::Step;
use crate::task::Task;

fn satisfied(task: &Task) -> u32 {
    task.count(StepStatus::Complete)
        + task.count(StepStatus::Skipped)
        + task.count(StepStatus::ResolvedManually)
}

/// Says whether a step is in error; a task whose own time ran out may be in error without one.
fn blocked(task: &Task) -> bool {
    task.count(StepStatus::Error) > 0 || task.status == TaskStatus::Error
}

/// Gives the first word, in their fixed order, that is true of a task.
#[must_use]
pub fn execution_status(plan: &Plan, task: &Task) -> &'static str {
    if task.status == TaskStatus::Cancelled {
        return "cancelled";
    }
    if task.status == TaskStatus::Complete || satisfied(task) as usize == task.steps.len() {
        return "all_complete";
    }
    if blocked(task) {
        return "blocked_by_failures";
    }
    if task.paused_version > 0 {
        return "paused";
    }
    if has_ready_steps(plan, task) {
        return "has_ready_steps";
    }
    waits(task)
}

fn waits(task: &Task) -> &'static str {
    if task.count(StepStatus::InProgress) > 0 {
        "processing"
    } else if task.count(StepStatus::WaitingForRetry) > 0 {
        "waiting_for_retry"
    } else if task.count(StepStatus::Waiting) > 0 {
        "waiting"
    } else {
        "waiting_for_dependencies"
    }
}

fn has_ready_steps(plan: &Plan, task: &Task) -> bool {
    let now = task.last_at;
    if !task.status.live() {
        return false;
    }
    if !plan.concurrent {
        return task.count(StepStatus::InProgress) == 0
            && task.steps.iter().any(|step| may_start(task, step, now));
    }
    if task.ready != 0 && task.not_before.unwrap_or(0) <= now {
        return true;
    }
    task.count(StepStatus::WaitingForRetry) > 0
        && task
            .steps
            .iter()
            .any(|step| step.status == StepStatus::WaitingForRetry && step.due.unwrap_or(0) <= now)
}

fn may_start(task: &Task, step: &Step, now: i64) -> bool {
    (step.ready() || step.status == StepStatus::WaitingForRetry)
        && step.due.or(task.not_before).is_none_or(|due| due <= now)
}

/// Says `blocked` (a step in error), `recovering` (one waits for a retry) or `healthy`.
#[must_use]
pub fn health_status(task: &Task) -> &'static str {
    if blocked(task) {
        "blocked"
    } else if task.count(StepStatus::WaitingForRetry) > 0 {
        "recovering"
    } else {
        "healthy"
    }
}

/// Gives the share of the steps that are complete, skipped or resolved: 0 to 100, two decimals; 100 for no steps.
#[must_use]
pub fn completion_percentage(task: &Task) -> f64 {
    let total = u32::try_from(task.steps.len()).unwrap_or(u32::MAX);
    percentage(satisfied(task), total)
}

fn percentage(done: u32, total: u32) -> f64 {
    if done == total {
        return 100.0;
    }
    if done == 0 {
        return 0.0;
    }
    let exact = f64::from(done) / f64::from(total) * 100.0;
    // writing two decimals rounds the exact value, ties to even, as Python's round() does
    format!("{exact:.2}").parse().unwrap_or(exact)
}

/// Names the command that helps next, or none if nobody need do anything.
#[must_use]
pub fn recommended_action(task: &Task) -> Option<&'static str> {
    if task.status == TaskStatus::Error {
        Some("retry")
    } else if !task.status.live() {
        None
    } else if task.count(StepStatus::Error) > 0 {
        Some("reset_step")
    } else if task.paused_version > 0 {
        Some("resume")
    } else if task.count(StepStatus::Waiting) > 0 {
        Some("complete_step")
    } else {
        None
    }
}

/// Writes how many steps have each status, as canonical JSON.
#[must_use]
pub fn counts_json(task: &Task) -> String {
    use StepStatus::{
        Cancelled, Complete, Error, InProgress, Pending, ResolvedManually, Skipped, Waiting,
        WaitingForRetry,
    };
    let order = [
        Cancelled,
        Complete,
        Error,
        InProgress,
        Pending,
        ResolvedManually,
        Skipped,
        Waiting,
        WaitingForRetry,
    ];
    let mut text = String::with_capacity(160);
    for status in order {
        text.push(if text.is_empty() { '{' } else { ',' });
        text.push('"');
        text.push_str(StepStatus::NAMES[status as usize]);
        text.push_str("\":");
        text.push_str(&task.count(status).to_string());
    }
    text.push('}');
    text
}
