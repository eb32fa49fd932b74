"""Proofs: one task's stream with the seals that cover it, as a file that is checked without the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.audit.merkle import inclusion
from tasker.audit.reading import DO
from tasker.audit.seals import Seal, rows_of
from tasker.audit.standalone import verify_proof as standalone
from tasker.audit.standalone.verify_proof import Checked, ProofBroken, Unusable
from tasker.codec.decode import id_bytes
from tasker.codec.recorded import CONTROL_NAMESPACE
from tasker.codec.registry import CODES
from tasker.domain.events import TaskErased
from tasker.errors import ChainBroken, InvalidRequest, TaskerError, UnknownTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tasker.codec.rows import StoredEvent, StreamHeader
    from tasker.log.port import Store

_ERASED = CODES[TaskErased]
_SEAL = "Seal it first: `tasker audit seal --key PATH`"


def prove(store: Store, task_id: str) -> str:
    """Write the proof of a task: its events as far as they are sealed, with the seals over them.

    It is checked before it is given, so what is given holds.

    Args:
        store: The log.
        task_id: The task.

    Raises:
        UnknownTask: There is no such task.
        InvalidRequest: Nothing of it is sealed, or it was erased since the last seal.
        ChainBroken: The log is not what was sealed.
        TaskerError: The extra is not installed.
        LogUnavailable: The store failed.
    """
    store.archive.forget()
    stored = store.log.stream(stream_of(store, task_id))
    seals = [Seal(store.log.log_id, *row) for row in rows_of(store)]
    sealed = seals[-1].last if seals else 0
    events = [event for event in stored if event.position <= sealed]
    if not events:
        message = f"prove {task_id}: expected sealed events, found none: the log is sealed up to {sealed}. {_SEAL}"
        raise InvalidRequest(message)
    erased = max((event.position for event in stored if event.code == _ERASED), default=0)
    if erased > sealed:
        message = (
            f"prove {task_id}: expected that its erasure is sealed, found that at position {erased}: the log is sealed"
            f" up to {sealed}, and without it nobody could tell why contents are missing. {_SEAL}"
        )
        raise InvalidRequest(message)
    text = standalone.canonical({
        "format": standalone.FORMAT,
        "log_id": store.log.log_id.hex(),
        "stream": _stream(stored[0].stream_id, stored[0].header),
        "events": [_event(event) for event in events],
        "seals": [one for seal in seals for one in _sealed(store, seal, events)],
    })  # fmt: skip
    check(text.encode())
    return text


def check(text: bytes, keys: Iterable[str] = ()) -> Checked:
    """Check a proof, without any database.

    Args:
        text: The file.
        keys: Ids of the keys that may have signed; none for any.

    Raises:
        ChainBroken: The first thing that is not what was sealed.
        TaskerError: The extra is not installed.
    """
    try:
        return standalone.check(text, set(keys))
    except ProofBroken as error:
        message = f"proof: {error}. It, or the log that it was made of, was changed. {DO}"
        raise ChainBroken(message, position=error.position, expected=error.expected, found=error.found) from error
    except Unusable as error:
        raise TaskerError(
            f"proofs need the extra 'audit'. Run: pip install 'tasker-engine[audit]' ({error})"
        ) from error


def said(found: Checked, *, trusted: bool) -> str:
    """Say what a proof proves; `trusted` where who asks has named the keys."""
    return standalone.said(found, trusted=trusted)


def stream_of(store: Store, task_id: str) -> bytes:
    """Give the stream of a task.

    Raises:
        UnknownTask: There is no such task.
        LogUnavailable: The store failed.
    """
    try:
        stream_id = id_bytes(task_id)
    except ValueError:
        stream_id = b""
    header = store.log.header(stream_id)
    if header is None or header.namespace == CONTROL_NAMESPACE:
        raise UnknownTask(f"expected the id of a task of this log, found {task_id}, which it does not hold")
    return stream_id


def _stream(stream_id: bytes, header: StreamHeader) -> dict[str, object]:
    return {
        "stream_id": stream_id.hex(),
        "namespace": header.namespace,
        "task_name": header.task_name,
        "task_version": header.task_version,
        "definition_digest": header.definition_digest.hex(),
        "correlation_id": header.correlation_id,
        "identity": _hex(header.identity),
    }


def _event(event: StoredEvent) -> dict[str, object]:
    return {
        "position": event.position,
        "version": event.version,
        "event_id": event.event_id.hex(),
        "code": event.code,
        "type": event.type,
        "schema_version": event.schema_version,
        "time": event.time,
        "step": event.step,
        "attempt": event.attempt,
        "due": event.due,
        "actor": event.actor,
        "causation_id": _hex(event.causation_id),
        "metadata": _stored(event.metadata),
        "data": _stored(event.data),
        "payload": _stored(event.payload),
        "salt": _hex(event.salt),
        "payload_hash": _hex(event.payload_hash),
        "hash": event.hash.hex(),
    }


def _sealed(store: Store, seal: Seal, events: Sequence[StoredEvent]) -> list[dict[str, object]]:
    """Give a seal, and that the last of some events under it is in its tree; nothing where there is none."""
    below = [event.position for event in events if seal.first <= event.position <= seal.last]
    if not below:
        return []
    found = inclusion(store.archive, seal.first, seal.last, below[-1])
    shown = {"position": below[-1], "page": found.page.hex(), "path": b"".join(found.path).hex()}
    return [{"seal": seal.as_json(), "inclusion": shown}]


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _stored(value: bytes | None) -> str | dict[str, str] | None:
    """Give stored bytes as people read them, where they are UTF-8."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"hex": value.hex()}
