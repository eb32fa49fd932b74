//! Many streams: what is refused, what comes back, and what limits leave.

mod common;

use common::{ID, TIME, heads, one, pair};
use tasker_fold::{
    FoldError, Head, Limits, NO_DUE, Packed, Plan, PlanError, Stream, fold, keep, pool, tally,
};

fn refused(change: impl Fn(&mut Vec<Head>)) -> FoldError {
    let mut all = heads(&[(1, -1), (2, -1), (20, 0), (21, 0)]);
    change(&mut all);
    one(&pair(), &all, Limits::default()).unwrap_err()
}

/// What no log gives is refused with its position and a reason that says what was expected.
#[test]
fn malformed_heads_are_refused() {
    let cases: [(FoldError, i64, &str); 9] = [
        (
            refused(|all| all.retain(|head| head.version != 3)),
            40,
            "expected version 3",
        ),
        (
            refused(|all| all.retain(|head| head.version != 1)),
            20,
            "expected version 1",
        ),
        (refused(|all| all[0].code = 2), 10, "expected task.created"),
        (refused(|all| all[1].code = 1), 20, "expected task.created"),
        (refused(|all| all[2].step = -1), 30, "expected a step"),
        (
            refused(|all| all[2].step = 2),
            30,
            "expected one of 2 steps",
        ),
        (refused(|all| all[1].step = 0), 20, "expected no step"),
        (
            refused(|all| all[3].position = 30),
            30,
            "expected a position above 30",
        ),
        (
            refused(|all| all[3].stream = [8; 16]),
            40,
            "expected heads of the streams that were named",
        ),
    ];
    for (error, position, reason) in cases {
        assert_eq!(
            (error.position, error.reason.starts_with(reason)),
            (position, true),
            "{error}"
        );
    }
}

/// An event of another release sends its stream back, but not if it lies beyond the limits.
#[test]
fn undeclared_events_send_the_stream_back() {
    let plan = pair();
    for (code, schema) in [
        (0, 1),
        (13, 1),
        (33, 1),
        (40, 1),
        (41, 1),
        (999, 1),
        (2, 2),
        (20, 0),
    ] {
        let mut all = heads(&[(1, -1), (2, -1)]);
        (all[1].code, all[1].schema) = (code, schema);
        assert_eq!(
            one(&plan, &all, Limits::default()).unwrap(),
            (None, vec![0]),
            "{code} {schema}"
        );
        let limits = Limits {
            position: Some(10),
            time: None,
        };
        assert_eq!(one(&plan, &all, limits).unwrap().0.unwrap().version, 1);
    }
    let mut custom = heads(&[(1, -1), (1000, 0)]);
    custom[1].schema = 9;
    assert_eq!(
        one(&plan, &custom, Limits::default())
            .unwrap()
            .0
            .unwrap()
            .version,
        2
    );
}

/// A stream without a plan comes back, unless it has no events.
#[test]
fn a_stream_without_a_plan_comes_back() {
    let streams = [
        Stream { id: ID, plan: None },
        Stream {
            id: [8; 16],
            plan: None,
        },
    ];
    let folded = fold(
        &streams,
        heads(&[(40, -1)]).as_slice(),
        Limits::default(),
        None,
        keep,
    )
    .unwrap();
    assert_eq!(folded.returned, [0]);
}

/// Limits cut a history; a clock that went back is for Python to judge.
#[test]
fn limits_cut() {
    let plan = pair();
    let mut all = heads(&[(1, -1), (2, -1), (20, 0)]);
    let until = |time| Limits {
        position: None,
        time: Some(time),
    };
    assert_eq!(
        one(&plan, &all, until(2 * TIME))
            .unwrap()
            .0
            .unwrap()
            .version,
        2
    );
    assert_eq!(one(&plan, &all, until(0)).unwrap(), (None, vec![]));
    all[2].time = TIME;
    assert_eq!(one(&plan, &all, until(TIME)).unwrap(), (None, vec![0]));
    assert_eq!(
        one(&plan, &all, until(3 * TIME))
            .unwrap()
            .0
            .unwrap()
            .version,
        3
    );
}

/// Packed heads keep their columns, and a buffer holds whole heads whose numbers are in range.
#[test]
fn packed_heads_are_checked() {
    let mut head = heads(&[(20, 3)])[0];
    for due in [None, Some(5), Some(-5)] {
        head.due = due;
        assert_eq!(Head::unpack(&head.pack()), Ok(head));
    }
    assert_eq!(head.pack()[52..], (-5_i64).to_be_bytes());
    assert!(Packed::new(&[0; 59]).is_err_and(|error| error.reason.contains("multiple of 60")));
    for place in [24, 28, 32, 36, 40] {
        let mut bytes = head.pack();
        bytes[place] = 0x80;
        assert_eq!(Head::unpack(&bytes).unwrap_err().position, head.position);
    }
    assert_eq!(NO_DUE, i64::MIN);
}

/// Columns of a query hold what a packed head holds, and numbers out of range are refused.
#[test]
fn columns_are_taken_apart() {
    let head = heads(&[(1, -1), (20, 1)])[1];
    let kind = i64::from(head.version) << 32 | i64::from(head.code) << 16 | 1;
    let read = |kind, place| Head::from_columns(ID, head.position, kind, place, head.time, None);
    assert_eq!(read(kind, 2 << 32 | 1), Ok(head));
    assert_eq!(
        read(kind, 0).map(|head| (head.step, head.attempt)),
        Ok((-1, 0))
    );
    for (kind, place) in [(-1, 0), (kind, -1), (kind, 1 << 31), (kind, i64::MIN)] {
        assert_eq!(read(kind, place).unwrap_err().position, head.position);
    }
}

/// A plan names parents that are other steps.
#[test]
fn plans_are_checked() {
    let refused = |parents: &[Vec<i64>]| Plan::new(parents, None, true).unwrap_err();
    assert_eq!(
        refused(&[vec![1]]),
        PlanError::NoSuchParent { step: 0, parent: 1 }
    );
    assert_eq!(
        refused(&[vec![-1]]),
        PlanError::NoSuchParent {
            step: 0,
            parent: -1
        }
    );
    assert_eq!(
        refused(&[vec![], vec![1]]),
        PlanError::OwnParent { step: 1 }
    );
}

/// Several threads find what one finds, errors included.
#[test]
fn threads_change_nothing() {
    let plan = pair();
    let history = heads(&[
        (1, -1),
        (2, -1),
        (20, 0),
        (21, 0),
        (20, 1),
        (21, 1),
        (3, -1),
    ]);
    let id = |number: u32| std::array::from_fn(|place| number.to_be_bytes()[place % 4]);
    let streams: Vec<_> = (0..6_000)
        .map(|number| Stream {
            id: id(number),
            plan: Some(&plan),
        })
        .collect();
    let of = |stream: &Stream<'_>| {
        history
            .iter()
            .map(|head| Head {
                stream: stream.id,
                ..*head
            })
            .collect::<Vec<_>>()
    };
    let mut all: Vec<Head> = streams.iter().flat_map(of).collect();
    all[7_001].schema = 2;
    let both = |all: &[Head]| {
        let (alone, together) = (
            tally(&streams, all, Limits::default(), None),
            tally(&streams, all, Limits::default(), pool()),
        );
        assert_eq!(alone, together);
        alone
    };
    let (found, returned) = both(&all).unwrap();
    assert_eq!(
        (found.tasks, found.events, returned),
        (5_999, 41_993, vec![1_000])
    );
    let kept = fold(&streams, all.as_slice(), Limits::default(), pool(), keep).unwrap();
    let places: Vec<usize> = kept
        .parts
        .iter()
        .flatten()
        .map(|(place, _)| *place)
        .collect();
    assert!(
        places
            .iter()
            .copied()
            .eq((0..6_000).filter(|place| *place != 1_000))
    );
    all[20_002].version = 9;
    all[40_001].version = 9;
    assert!(both(&all).unwrap_err().reason.contains("found 9"));
}
