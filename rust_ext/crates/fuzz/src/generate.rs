use tasker_fold::{Head, Plan, Stream, StreamId};

use crate::random::Random;

const MOST_STEPS: usize = 9;
const MOST_STREAMS: usize = 5;
const MOST_EVENTS: usize = 40;
const TASK_CODES: [u32; 11] = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
const UNDECLARED: [u32; 5] = [0, 13, 33, 40, 999];

/// Streams, their plans, and packed heads.
pub(crate) struct Case {
    plans: Vec<Plan>,
    streams: Vec<(StreamId, usize)>,
    /// Which streams hold an event of another release.
    pub(crate) foreign: Vec<usize>,
    pub(crate) buffer: Vec<u8>,
}

impl Case {
    pub(crate) fn streams(&self) -> Vec<Stream<'_>> {
        let stream = |(id, plan): &(StreamId, usize)| Stream {
            id: *id,
            plan: self.plans.get(*plan),
        };
        self.streams.iter().map(stream).collect()
    }
}

/// Makes histories that every log could hold.
pub(crate) fn case(random: &mut Random) -> Case {
    let plans: Vec<Plan> = (0..=random.below(3)).map(|_| plan(random)).collect();
    let mut case = Case {
        plans,
        streams: Vec::new(),
        foreign: Vec::new(),
        buffer: Vec::new(),
    };
    for number in 0..=random.below(MOST_STREAMS) {
        let mut id: StreamId = random.fill();
        id[0] = u8::try_from(number).unwrap_or(u8::MAX);
        let plan = random.below(case.plans.len());
        let steps = case.plans[plan].len();
        let heads = history(random, id, steps);
        if heads.iter().any(undeclared) {
            case.foreign.push(number);
        }
        case.streams.push((id, plan));
        case.buffer.extend(heads.iter().flat_map(Head::pack));
    }
    case
}

fn undeclared(head: &Head) -> bool {
    UNDECLARED.contains(&head.code) || (head.code < 1000 && head.schema != 1)
}

fn plan(random: &mut Random) -> Plan {
    let size = random.below(MOST_STEPS);
    let parents: Vec<Vec<i64>> = (0..size)
        .map(|step| {
            (0..step)
                .filter(|_| random.one_in(3))
                .filter_map(|parent| i64::try_from(parent).ok())
                .collect()
        })
        .collect();
    let timeout = random.one_in(2).then_some(60_000_000);
    Plan::new(&parents, timeout, random.one_in(2)).unwrap_or_else(|error| panic!("{error}"))
}

fn history(random: &mut Random, stream: StreamId, steps: usize) -> Vec<Head> {
    let mut position = i64::from(random.small(100));
    let mut time = 1_795_269_600_000_000;
    let size = if random.one_in(10) {
        0
    } else {
        1 + random.small(u32::try_from(MOST_EVENTS).unwrap_or(1))
    };
    let mut heads = Vec::new();
    for version in 1..=size {
        position += 1 + i64::from(random.small(3));
        time += i64::from(random.small(1000));
        let (code, step) = if version == 1 {
            (1, -1)
        } else {
            kind(random, steps)
        };
        let schema = if code >= 1000 {
            random.small(4)
        } else {
            1 + u32::from(random.one_in(2000))
        };
        let due = random
            .one_in(4)
            .then(|| time + i64::from(random.small(100)));
        let attempt = if step < 0 { 0 } else { random.small(5) };
        heads.push(Head {
            stream,
            position,
            version,
            code,
            schema,
            step,
            attempt,
            time,
            due,
        });
    }
    heads
}

fn kind(random: &mut Random, steps: usize) -> (u32, i32) {
    if random.one_in(1000) {
        return (random.pick(&UNDECLARED), -1);
    }
    if steps == 0 || random.one_in(5) {
        return (random.pick(&TASK_CODES), -1);
    }
    let step = i32::try_from(random.below(steps)).unwrap_or(0);
    if random.one_in(20) {
        return (1000 + random.small(3), step - i32::from(step == 0));
    }
    (20 + random.small(13), step)
}
