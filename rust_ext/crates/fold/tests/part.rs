//! Parts of a log: joined, they are what one pass gives; whatever does not fit is refused and changes nothing.

use tasker_fold::StreamId;
use tasker_fold::chain::{Chain, Hash, Headers, Row, event_hash, root};

const LOG: &[u8] = &[1; 16];
const ONE: StreamId = [1; 16];
const TWO: StreamId = [2; 16];
const ERASED: u32 = 12;

/// Stream and version of each event, in the order of the log.
const EVENTS: [(&StreamId, u32); 6] = [
    (&ONE, 1),
    (&ONE, 2),
    (&TWO, 1),
    (&ONE, 3),
    (&TWO, 2),
    (&ONE, 4),
];

fn row<'a>(place: usize, hash: &'a Hash, code: u32, sealed: Option<&'a [u8]>) -> Row<'a> {
    let (stream, version) = EVENTS[place];
    Row {
        position: place as u64 + 1,
        stream,
        event: &[4; 16],
        hash,
        version,
        code,
        name: b"task.annotated",
        schema: 1,
        time: 5,
        step: None,
        attempt: None,
        due: None,
        actor: None,
        causation: None,
        metadata: None,
        data: b"{}",
        payload: None,
        sealed,
    }
}

fn headers() -> Headers<'static> {
    Headers::from_iter([(ONE, &b"one"[..]), (TWO, &b"two"[..])])
}

/// Hashes of the events whose places are not the given one without a payload hash.
fn hashes(code: impl Fn(usize) -> u32, sealed: Option<&Hash>) -> Vec<Hash> {
    let mut tips = [root(LOG, &ONE, b"one"), root(LOG, &TWO, b"two")];
    let next = |place: usize| {
        let tip = &mut tips[usize::from(EVENTS[place].0[0]) - 1];
        let sealed = sealed.filter(|_| code(place) != ERASED);
        *tip = event_hash(tip, &row(place, &[0; 32], code(place), None), sealed).unwrap();
        *tip
    };
    (0..EVENTS.len()).map(next).collect()
}

fn part(rows: &[Row<'_>], after: usize) -> Chain {
    let mut chain = Chain::part(LOG, after as u64);
    let ends: Vec<_> = rows[after..]
        .iter()
        .map(|row| (*row.stream, row.version - 1))
        .collect();
    for (stream, version) in chain.missing(&ends) {
        let end = rows
            .iter()
            .find(|row| *row.stream == stream && row.version == version);
        assert!(chain.assume(stream, (version, *end.unwrap().hash)));
    }
    chain.feed(&rows[after..], &headers(), None);
    chain
}

fn facts(chain: &Chain) -> (u64, usize, Vec<u32>, Vec<(u64, StreamId)>) {
    (
        chain.position(),
        chain.streams(),
        chain.codes(),
        chain.gone(),
    )
}

/// Wherever a log is cut, its parts come to what one pass comes to: ends, types, and payloads that are gone.
#[test]
fn joined_parts_are_the_whole() {
    for erased in [0, 3, 5, 6] {
        let code = |place| if place == erased { ERASED } else { 11 };
        let hash = [7; 32];
        let hashes = hashes(code, Some(&hash));
        let sealed = |place| (code(place) != ERASED).then_some(&hash[..]);
        let rows: Vec<_> = (0..EVENTS.len())
            .map(|place| row(place, &hashes[place], code(place), sealed(place)))
            .collect();
        let mut whole = Chain::new(LOG);
        assert_eq!(whole.feed(&rows, &headers(), None), rows.len());
        for (first, second) in [(0, 3), (1, 2), (2, 4), (3, 6), (5, 5)] {
            let mut chain = Chain::new(LOG);
            chain.feed(&rows[..first], &headers(), None);
            assert!(chain.join(&part(&rows[..second], first).dump()));
            assert!(chain.join(&part(&rows, second).dump()));
            assert_eq!(facts(&chain), facts(&whole));
            assert!(
                [ONE, TWO]
                    .iter()
                    .all(|one| chain.tip(one) == whole.tip(one))
            );
        }
    }
}

/// A part that begins elsewhere, trusts another end, begins a stream again, or is cut off, is refused.
#[test]
fn what_does_not_fit_is_refused() {
    let hashes = hashes(|_| 11, None);
    let rows: Vec<_> = (0..EVENTS.len())
        .map(|place| row(place, &hashes[place], 11, None))
        .collect();
    let mut chain = Chain::new(LOG);
    chain.feed(&rows[..3], &headers(), None);
    let before = facts(&chain);
    let good = part(&rows, 3).dump();
    assert!(!chain.join(&part(&rows, 4).dump()));
    assert!((0..good.len()).all(|end| !chain.join(&good[..end])));
    assert!(!chain.join(&[&good[..], &[0]].concat()));
    assert!(!chain.join(&[&good[..16], &[255; 40]].concat()));
    let mut other = Chain::part(LOG, 3);
    assert!(other.assume(ONE, (1, hashes[1])));
    assert!(!other.assume(ONE, (2, hashes[1])));
    assert!(!chain.join(&other.dump()));
    let mut again = Chain::part(LOG, 3);
    again.take(TWO, 1, hashes[2], 11, false, false);
    assert!(!chain.join(&again.dump()));
    assert!(!chain.assume(ONE, (1, hashes[0])));
    assert_eq!((facts(&chain), chain.dump()), (before, vec![]));
    assert!(chain.join(&good));
}
