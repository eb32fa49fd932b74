"""Logs with seals, and proofs of their tasks."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from tasker.audit import Audit, keygen
from tasker.audit.standalone.verify_proof import canonical
from tasker.codec.decode import text_id
from tasker.log.open import open_store
from tasker.log.port import Store
from tests.contracts.lives import control, populate


class Sealed(NamedTuple):
    """A store whose log was sealed several times, by one key."""

    store: Store
    audit: Audit
    key: object
    key_id: str
    kept: list[str]
    erased: str


def sealed(folder, url=None):
    """Make a log with many tasks, some of them erased, and seal it four times."""
    store, seed, lives = open_store(url or f"sqlite:///{folder / 'log.db'}"), Random(1), []
    audit, key, kept = Audit(store), folder / "key.pem", []
    key_id = keygen(key)
    for rounds in (20, 30, 5, 30):
        populate(store.log, seed, lives, rounds=rounds)
        kept.append(audit.seal(key).line)
        if len(kept) == 1:
            control(store.log)
    while not any(life.task.erased for life in lives):
        populate(store.log, seed, lives, rounds=20)
    populate(store.log, seed, lives, rounds=40)
    kept.append(audit.seal(key).line)
    gone = next(life for life in lives if life.task.erased)
    return Sealed(store, audit, key, key_id, kept, text_id(gone.stream_id))


def grow(store):
    """Append some events of a new task; give its id."""
    lives, head = [], store.log.head()
    while store.log.head() == head:
        populate(store.log, Random(head), lives, rounds=1)
    return text_id(next(life.stream_id for life in lives if life.appended))


def task_ids(store):
    """Give the ids of all tasks."""
    return [text_id(found) for found, header in store.archive.streams() if header.namespace != "$control"]


def changed(proof, value):
    """Put a proof together again after a change of its parsed form."""
    return canonical(proof | value).encode()
