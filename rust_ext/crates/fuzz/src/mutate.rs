use tasker_fold::HEAD_LEN;

use crate::random::Random;

const NOISE: usize = 400;
const EXTREMES: [u64; 6] = [0, 1, u64::MAX, 1 << 63, (1 << 63) - 1, 1 << 31];

/// Changes a buffer of packed heads in one way.
pub(crate) fn mutate(random: &mut Random, buffer: &mut Vec<u8>) {
    if buffer.is_empty() {
        *buffer = random.bytes(NOISE);
        return;
    }
    let at = random.below(buffer.len());
    match random.below(9) {
        0..=2 => buffer[at] ^= 1 << random.below(8),
        3 => buffer.truncate(at),
        4 => extreme(random, buffer, at),
        5 => splice(random, buffer, at),
        6 => drop_head(buffer, at),
        7 => swap_heads(random, buffer, at),
        _ => noise(random, buffer),
    }
}

fn extreme(random: &mut Random, buffer: &mut [u8], at: usize) {
    let value = random.pick(&EXTREMES).to_be_bytes();
    for (place, byte) in buffer[at..].iter_mut().zip(value) {
        *place = byte;
    }
}

fn splice(random: &mut Random, buffer: &mut Vec<u8>, at: usize) {
    let aligned = |place: usize| place - place % HEAD_LEN;
    let from = random.below(buffer.len());
    let (at, from) = if random.one_in(4) {
        (at, from)
    } else {
        (aligned(at), aligned(from))
    };
    let to = (from + HEAD_LEN * (1 + random.below(3))).min(buffer.len());
    let part = buffer[from..to].to_vec();
    buffer.splice(at..at, part);
}

fn drop_head(buffer: &mut Vec<u8>, at: usize) {
    let first = at - at % HEAD_LEN;
    let last = (first + HEAD_LEN).min(buffer.len());
    buffer.drain(first..last);
}

fn swap_heads(random: &mut Random, buffer: &mut [u8], at: usize) {
    let count = buffer.len() / HEAD_LEN;
    if count < 2 {
        return;
    }
    let (one, other) = (
        at / HEAD_LEN % count * HEAD_LEN,
        random.below(count) * HEAD_LEN,
    );
    for place in 0..HEAD_LEN {
        buffer.swap(one + place, other + place);
    }
}

fn noise(random: &mut Random, buffer: &mut Vec<u8>) {
    let mut bytes = random.bytes(NOISE);
    if random.one_in(2) {
        bytes.truncate(bytes.len() - bytes.len() % HEAD_LEN);
    }
    *buffer = bytes;
}
