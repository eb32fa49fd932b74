//! What must hold of any history, and of any bytes.

mod common;

use common::{ID, pair};
use proptest::collection::vec;
use proptest::prelude::*;
use tasker_fold::{
    FoldError, HEAD_LEN, Head, Heads, Limits, Outcomes, Packed, Plan, Stream, Task, fold, keep,
    tally,
};

type Found = Result<(Vec<(usize, Task)>, Vec<usize>), FoldError>;

fn states<H: Heads + ?Sized>(plan: &Plan, heads: &H, limits: Limits) -> Found {
    let streams = [Stream {
        id: ID,
        plan: Some(plan),
    }];
    let folded = fold(&streams, heads, limits, None, keep)?;
    Ok((
        folded.parts.into_iter().flatten().collect(),
        folded.returned,
    ))
}

fn packed(heads: &[Head]) -> Vec<u8> {
    heads.iter().flat_map(Head::pack).collect()
}

/// Histories over the plan of two steps that a log could hold.
fn histories() -> impl Strategy<Value = Vec<Head>> {
    let event = prop_oneof![
        1 => (2..=12_u32, Just(-1)),
        4 => (20..=32_u32, 0..2),
        1 => (1000..1003_u32, -1..2),
    ];
    let columns = (event, 0..4_u32, 0..50_i64, proptest::option::of(0..500_i64));
    vec(columns, 0..40).prop_map(|events| {
        let mut time = 0;
        let first = ((1, -1), 0, 0, None);
        let all = std::iter::once(first).chain(events);
        (1..)
            .zip(all)
            .map(|(version, ((code, step), attempt, passed, due))| {
                time += passed;
                let position = i64::from(version) * 3;
                Head {
                    stream: ID,
                    position,
                    version,
                    code,
                    schema: 1,
                    step,
                    attempt,
                    time,
                    due,
                }
            })
            .collect()
    })
}

proptest! {
    /// However heads are kept, and wherever a limit cuts them, the fold is the same; its counters are those of its steps.
    #[test]
    fn a_fold_is_one_fold(heads in histories(), cut in 0..45_usize) {
        let plan = pair();
        let buffer = packed(&heads);
        let found = states(&plan, heads.as_slice(), Limits::default());
        prop_assert_eq!(&found, &states(&plan, &Packed::new(&buffer).unwrap(), Limits::default()));
        let cut = cut.min(heads.len());
        let limits = Limits { position: Some(3 * i64::try_from(cut).unwrap()), time: None };
        let part = states(&plan, heads.as_slice(), limits);
        prop_assert_eq!(&part, &states(&plan, &heads[..cut], Limits::default()));
        let (tasks, _) = part.unwrap();
        prop_assert_eq!(tasks.len(), usize::from(cut > 0));
        for (_, task) in tasks {
            prop_assert_eq!(task.version as usize, cut);
            prop_assert_eq!(task.counts.iter().sum::<u32>() as usize, task.steps.len());
        }
    }

    /// A fold that goes on from the state of any prefix gives the same state.
    #[test]
    fn a_fold_goes_on(heads in histories(), cut in 0..45_usize) {
        let plan = pair();
        let mut task = Task::default();
        task.begin(&plan);
        let (some, rest) = heads.split_at(cut.min(heads.len()));
        for head in some {
            task.apply(&plan, head).unwrap();
        }
        let mut other = task.clone();
        for head in rest {
            other.apply(&plan, head).unwrap();
        }
        let mut whole = Task::default();
        whole.begin(&pair());
        for head in &heads {
            whole.apply(&plan, head).unwrap();
        }
        prop_assert_eq!(other, whole);
    }

    /// Any bytes give states or an error.
    #[test]
    fn noise_is_survived(bytes in vec(any::<u8>(), 0..400), whole in any::<bool>()) {
        let size = if whole { bytes.len() - bytes.len() % HEAD_LEN } else { bytes.len() };
        if let Ok(heads) = Packed::new(&bytes[..size]) {
            let _ = states(&pair(), &heads, Limits::default());
        }
    }

    /// A changed byte gives states or an error, and tuples agree with the buffer.
    #[test]
    fn a_changed_byte_is_survived(heads in histories(), place in any::<prop::sample::Index>(), by in 1..=u8::MAX) {
        let mut buffer = packed(&heads);
        let place = place.index(buffer.len());
        buffer[place] ^= by;
        let plan = pair();
        let found = states(&plan, &Packed::new(&buffer).unwrap(), Limits::default());
        let read: Result<Vec<Head>, _> = buffer.as_chunks().0.iter().map(Head::unpack).collect();
        if let Ok(read) = read {
            prop_assert_eq!(&found, &states(&plan, read.as_slice(), Limits::default()));
        }
        let streams = [Stream { id: ID, plan: Some(&plan) }];
        let counted = tally(&streams, &Packed::new(&buffer).unwrap(), Limits::default(), None);
        prop_assert_eq!(found.map(|(_, returned)| returned), counted.map(|(_, returned)| returned));
    }

    /// Attempts and their outcomes are kept, however many there are.
    #[test]
    fn outcomes_are_a_string(moves in vec(prop_oneof![Just(b'r'), Just(b'f'), Just(b'w')], 0..60)) {
        let (mut outcomes, mut expected) = (Outcomes::default(), String::new());
        for letter in moves {
            if letter == Outcomes::RUNNING {
                outcomes.begin();
                expected.push('r');
            } else {
                outcomes.mark(letter);
                if expected.ends_with('r') {
                    expected.pop();
                    expected.push(char::from(letter));
                }
            }
            prop_assert_eq!(outcomes.as_str(), expected.as_str());
        }
    }
}
