//! What each event does to a task and its steps.

mod common;

use common::{TIME, heads, pair, task};
use tasker_fold::summary::{
    completion_percentage, counts_json, execution_status, health_status, recommended_action,
};
use tasker_fold::{Plan, StepStatus, TaskStatus};

/// The happy way: children become ready as parents are satisfied, and versions name what a reader must look up.
#[test]
fn a_task_runs_to_its_end() {
    let plan = pair();
    let all = heads(&[
        (1, -1),
        (2, -1),
        (20, 0),
        (21, 0),
        (20, 1),
        (21, 1),
        (3, -1),
    ]);
    let begun = task(&plan, &all[..3]);
    assert_eq!(
        (begun.status, begun.ready, begun.timeout_at),
        (TaskStatus::InProgress, 0, Some(62 * TIME))
    );
    assert_eq!(execution_status(&plan, &begun), "processing");
    let half = task(&plan, &all[..4]);
    assert_eq!(
        (half.ready, half.steps[1].blockers, half.steps[1].ready_at),
        (1, 0, 4 * TIME)
    );
    assert_eq!(
        (
            execution_status(&plan, &half),
            half.count(StepStatus::Complete)
        ),
        ("has_ready_steps", 1)
    );
    let done = task(&plan, &all);
    assert_eq!(
        (done.status, done.version, done.count(StepStatus::Complete)),
        (TaskStatus::Complete, 7, 2)
    );
    assert_eq!(
        (
            done.timeout_at,
            done.ended_at,
            done.first_position,
            done.last_position
        ),
        (None, Some(7 * TIME), 10, 70)
    );
    let step = &done.steps[1];
    assert_eq!(
        (step.outcome, step.started_version, step.outcomes.as_str()),
        (6, 5, "c")
    );
    assert_eq!(
        (execution_status(&plan, &done), recommended_action(&done)),
        ("all_complete", None)
    );
}

/// A failed attempt counts once, its delay is pending until the next attempt, and a final failure asks for a person.
#[test]
fn failures_are_counted_and_kept() {
    let plan = pair();
    let mut all = heads(&[
        (1, -1),
        (2, -1),
        (20, 0),
        (22, 0),
        (24, 0),
        (20, 0),
        (23, 0),
        (4, -1),
    ]);
    all[4].due = Some(99);
    let waiting = task(&plan, &all[..5]);
    let step = &waiting.steps[0];
    assert_eq!(
        (step.status, step.failures, step.retry_version, step.due),
        (StepStatus::WaitingForRetry, 1, 5, Some(99))
    );
    assert_eq!(
        (health_status(&waiting), execution_status(&plan, &waiting)),
        ("recovering", "has_ready_steps")
    );
    let failed = task(&plan, &all);
    let step = &failed.steps[0];
    assert_eq!(
        (
            step.failures,
            step.failure_version,
            step.error,
            step.outcomes.as_str()
        ),
        (2, 7, 7, "ff")
    );
    assert_eq!((step.retry_version, step.due), (0, None));
    assert_eq!(
        (health_status(&failed), execution_status(&plan, &failed)),
        ("blocked", "blocked_by_failures")
    );
    assert_eq!(recommended_action(&failed), Some("retry"));
}

/// Lost attempts count and stopped ones do not; a reset gives a new budget; an update is noted by its version.
#[test]
fn people_and_lost_workers_move_steps() {
    let plan = pair();
    let all = heads(&[
        (1, -1),
        (20, 0),
        (25, 0),
        (20, 0),
        (26, 0),
        (32, 0),
        (30, 0),
        (27, 0),
        (31, 0),
        (29, 1),
    ]);
    let lost = task(&plan, &all[..5]);
    assert_eq!(
        (
            lost.steps[0].failures,
            lost.steps[0].outcomes.as_str(),
            lost.ready
        ),
        (1, "aa", 1)
    );
    let reset = task(&plan, &all[..7]);
    assert_eq!(
        (reset.steps[0].failures, reset.steps[0].ready_at),
        (0, 7 * TIME)
    );
    assert_eq!(
        (
            reset.resets(0).collect::<Vec<_>>(),
            reset.updates(0).collect::<Vec<_>>()
        ),
        (vec![7], vec![6])
    );
    assert_eq!((reset.resets(1).count(), reset.updates(1).count()), (0, 0));
    assert_eq!(
        recommended_action(&task(&plan, &all[..8])),
        Some("complete_step")
    );
    let settled = task(&plan, &all);
    assert_eq!(settled.steps[0].outcome, 9);
    assert_eq!(
        (
            settled.count(StepStatus::ResolvedManually),
            settled.count(StepStatus::Cancelled)
        ),
        (1, 1)
    );
}

/// Pauses, notes, updates and erasure are kept by version; custom events move the version alone.
#[test]
fn notes_keep_their_versions() {
    let plan = pair();
    let all = heads(&[
        (1, -1),
        (6, -1),
        (11, -1),
        (10, -1),
        (1000, 1),
        (5000, -1),
        (7, -1),
        (5, -1),
        (12, -1),
    ]);
    let paused = task(&plan, &all[..6]);
    assert_eq!(
        (paused.paused_version, execution_status(&plan, &paused)),
        (2, "paused")
    );
    assert_eq!(recommended_action(&paused), Some("resume"));
    let ended = task(&plan, &all);
    assert_eq!(
        (
            ended.paused_version,
            ended.annotations.as_slice(),
            ended.updated.as_slice()
        ),
        (0, &[3][..], &[4][..])
    );
    assert_eq!(
        (ended.erased_version, ended.status, ended.version),
        (9, TaskStatus::Cancelled, 9)
    );
    assert_eq!(execution_status(&plan, &ended), "cancelled");
}

/// A step that was satisfied twice takes two from what its children wait for, as the reference does.
#[test]
fn blockers_may_go_below_zero() {
    let plan = pair();
    let all = heads(&[(1, -1), (21, 0), (30, 0), (21, 0)]);
    let twice = task(&plan, &all);
    assert_eq!(
        (twice.steps[1].blockers, twice.steps[1].ready(), twice.ready),
        (-1, false, 1)
    );
}

/// A task that is not concurrent has nothing ready while a step runs, and waits for the time that the request named.
#[test]
fn one_at_a_time_is_another_word() {
    let (many, single) = (pair(), Plan::new(&[vec![], vec![]], None, false).unwrap());
    let mut all = heads(&[(1, -1), (20, 0), (26, 0)]);
    assert_eq!(
        execution_status(&single, &task(&single, &all[..1])),
        "has_ready_steps"
    );
    assert_eq!(
        execution_status(&single, &task(&single, &all[..2])),
        "processing"
    );
    all[0].due = Some(2 * TIME);
    assert_eq!(
        execution_status(&single, &task(&single, &all[..1])),
        "waiting_for_dependencies"
    );
    assert_eq!(
        execution_status(&many, &task(&many, &all[..1])),
        "waiting_for_dependencies"
    );
    let later = task(&single, &all);
    assert_eq!(
        (later.steps[1].ready_at, execution_status(&single, &later)),
        (2 * TIME, "has_ready_steps")
    );
}

/// Shares are rounded to two decimals, ties to even; no steps are all steps; counts are canonical JSON.
#[test]
fn shares_are_rounded_as_python_rounds() {
    let share = |done: i32, total: usize| {
        let plan = Plan::new(&vec![vec![]; total], None, true).unwrap();
        let mut events = vec![(1, -1)];
        events.extend((0..done).map(|step| (28, step)));
        completion_percentage(&task(&plan, &heads(&events)))
    };
    let found = [
        share(0, 0),
        share(1, 3),
        share(2, 3),
        share(1, 32),
        share(3, 32),
        share(7, 160),
        share(1, 7),
    ];
    let close = |(found, expected): (f64, f64)| (found - expected).abs() < 1e-9;
    let expected = [100.0, 33.33, 66.67, 3.12, 9.38, 4.38, 14.29];
    assert!(found.into_iter().zip(expected).all(close), "{found:?}");
    let text = counts_json(&task(&pair(), &heads(&[(1, -1), (20, 0)])));
    let expected = "{\"cancelled\":0,\"complete\":0,\"error\":0,\"in_progress\":1,\"pending\":1,\"resolved_manually\":0,\
                    \"skipped\":0,\"waiting\":0,\"waiting_for_retry\":0}";
    assert_eq!(text, expected);
}
