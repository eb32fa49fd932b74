//! Chains: what verifies, and what must not.

use tasker_fold::chain::{Chain, Hash, Headers, Row, event_hash, payload_hash, root};
use tasker_fold::{StreamId, pool};

const LOG: &[u8] = &[1; 16];
const STREAM: StreamId = [2; 16];
const SALT: [u8; 16] = [3; 16];

fn row<'a>(
    position: u64,
    hash: &'a Hash,
    payload: Option<&'a [u8]>,
    sealed: Option<&'a [u8]>,
) -> Row<'a> {
    Row {
        position,
        stream: &STREAM,
        event: &[4; 16],
        hash,
        version: u32::try_from(position).unwrap(),
        code: 11,
        name: b"task.annotated",
        schema: 1,
        time: 5,
        step: None,
        attempt: None,
        due: None,
        actor: Some(b"someone"),
        causation: None,
        metadata: None,
        data: b"{}",
        payload,
        sealed,
    }
}

fn headers() -> Headers<'static> {
    Headers::from_iter([(STREAM, &b"header"[..])])
}

/// Hashes of a chain of rows with the same payload.
fn hashes(count: u64, payload: &[u8]) -> Vec<Hash> {
    let mut tip = root(LOG, &STREAM, b"header");
    let next = |position| {
        tip = event_hash(
            &tip,
            &row(position, &[0; 32], None, None),
            Some(&payload_hash(&SALT, payload)),
        )
        .unwrap();
        tip
    };
    (1..=count).map(next).collect()
}

/// A chain verifies page by page or at once, on one thread or on several, and knows where it stands.
#[test]
fn a_chain_verifies() {
    let payload = vec![9; 4_000];
    let sealed = [&SALT[..], &payload_hash(&SALT, &payload)].concat();
    let hashes = hashes(200, &payload);
    let rows: Vec<_> = (1..)
        .zip(&hashes)
        .map(|(place, hash)| row(place, hash, Some(&payload), Some(&sealed)))
        .collect();
    for (size, pool) in [(200, pool()), (7, None), (200, None)] {
        let mut chain = Chain::new(LOG);
        let good: usize = rows
            .chunks(size)
            .map(|page| chain.feed(page, &headers(), pool))
            .sum();
        assert_eq!(
            (good, chain.position(), chain.streams(), chain.codes()),
            (200, 200, 1, vec![11])
        );
        assert_eq!(chain.tip(&STREAM), Some(&(200, hashes[199])));
        assert_eq!((chain.tip(&[0; 16]), chain.gone()), (None, vec![]));
    }
    let mut changed = rows.clone();
    changed[120].data = b"{ }";
    assert_eq!(Chain::new(LOG).feed(&changed, &headers(), pool()), 120);
    assert_eq!(Chain::new(LOG).feed(&rows[1..], &headers(), None), 0);
    assert_eq!(Chain::new(LOG).feed(&rows, &Headers::default(), None), 0);
    assert_eq!(Chain::new(b"another").feed(&rows, &headers(), None), 0);
}

/// A payload that is gone as a whole is noted once, until its stream says that it was erased; half of one is refused.
#[test]
fn payloads_may_be_erased() {
    let hashes = hashes(3, b"secret");
    let hash = payload_hash(&SALT, b"secret");
    let sealed = [&SALT[..], &hash].concat();
    let feed = |chain: &mut Chain, payload, sealed| {
        chain.feed(&[row(1, &hashes[0], payload, sealed)], &headers(), None)
    };
    assert_eq!(feed(&mut Chain::new(LOG), Some(b"other"), Some(&sealed)), 0);
    assert_eq!(feed(&mut Chain::new(LOG), None, Some(&sealed)), 0);
    assert_eq!(feed(&mut Chain::new(LOG), Some(b"secret"), Some(&hash)), 0);
    assert_eq!(
        feed(&mut Chain::new(LOG), Some(b"secret"), Some(&sealed[1..])),
        0
    );
    assert_eq!(feed(&mut Chain::new(LOG), Some(b"secret"), None), 0);
    let mut chain = Chain::new(LOG);
    assert_eq!(feed(&mut chain, None, Some(&hash)), 1);
    assert_eq!(chain.gone(), [(1, STREAM)]);
    assert_eq!(
        chain.feed(
            &[row(2, &hashes[1], Some(b"secret"), Some(&sealed))],
            &headers(),
            None
        ),
        1
    );
    assert_eq!(chain.gone(), [(1, STREAM)]);
    chain.take(STREAM, 3, hashes[2], 12, false, true);
    assert_eq!(
        (chain.gone(), chain.position(), chain.codes()),
        (vec![], 3, vec![11, 12])
    );
}
