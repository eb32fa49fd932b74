"""A group of appends on PostgreSQL: what the log holds, asked at once or remembered, and the call that writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.log.group import FIRST_CUSTOM_CODE
from tasker.log.postgres_pack import WORK, Boolean, Bytea, bigint, bigints, byteas, integers, pack, texts
from tasker.log.postgres_pipe import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg.pq.abc import PGresult

    from tasker.log.group import Group, Known
    from tasker.log.limits import Holder, Limits
    from tasker.log.port import Append
    from tasker.log.postgres_pack import Packed

_LOOK = b"SELECT kind, key, number, value FROM tasker_look_2($1, $2, $3, $4, $5, $6)"
_EVENT_KINDS = (
    byteas, integers, byteas, integers, integers, bigints, integers, integers, bigints, texts, byteas, byteas, byteas,
    byteas, byteas, byteas, byteas,
)  # fmt: skip
_STREAM_KINDS = (byteas, texts, texts, texts, byteas, texts, byteas)
_PAIRS = ((byteas, byteas), (integers, texts), (byteas, integers))
_PARAMETERS = 3 + len(_EVENT_KINDS) + len(_STREAM_KINDS) + len(WORK) + 2 * (len(_PAIRS) + 1)
_APPEND = f"SELECT tasker_append_1({', '.join(f'${number}' for number in range(1, _PARAMETERS + 1))})".encode()
_HOLD = b"SELECT tasker_hold_2($1, $2, $3, $4, $5, $6, $7)"
_FREED, _TAKEN = (texts, byteas, integers), (texts, byteas, integers, integers)
_HEAD, _END, _OWNER, _DEFINITION, _TYPE, _WORKER, _HOLDER, _STALE = range(8)
_HALF, _LOW = 32, 0xFFFF_FFFF


class Unremembered(Exception):
    """The memory of this process does not have a fact that a group needs."""


class Head(NamedTuple):
    """The head of the log: its last position, and a token that changes with every append."""

    position: int
    token: bytes


class Remembered:
    """The log from memory, good as long as nobody else has written; see `tasker.log.group.Facts`.

    What cannot be remembered, because it should not exist, is looked at by the call that writes.

    Attributes:
        absent: Streams that are known not to exist.
        living: Workers that are known to live.
    """

    def __init__(self, batch: Sequence[Append], absent: set[bytes], living: set[str]) -> None:
        """Take what is to be appended, streams that are known not to exist, and workers that are known to live."""
        self.absent, self.living = absent, living
        self._absent = absent.union(append.stream_id for append in batch if append.header is not None)

    def end(self, stream_id: bytes) -> tuple[int, bytes] | None:
        """Give None for a stream that does not exist."""
        if stream_id in self._absent:
            return None
        raise Unremembered

    def owner(self, identity: bytes) -> bytes | None:  # noqa: ARG002 - the call looks
        """Assume that an identity is new."""
        return None

    def has_definition(self, digest: bytes) -> bool:  # noqa: ARG002 - the call looks
        """Assume that a definition is new."""
        return False

    def name(self, code: int) -> str | None:
        """Remember no name beside those in `Known`."""
        raise Unremembered(code)

    def code(self, name: str) -> int | None:
        """Remember no code beside those in `Known`."""
        raise Unremembered(name)

    def last_code(self) -> int:
        """Remember no code beside those in `Known`."""
        raise Unremembered

    def lives(self, worker_id: str) -> bool:
        """Give True for a worker that lived as of the head; whoever ends one changes the token of the head."""
        if worker_id in self.living:
            return True
        raise Unremembered(worker_id)

    def holders(self, scope: str) -> list[Holder]:
        """Remember no places under limits."""
        raise Unremembered(scope)


class Stored:
    """The log as it was found under the lock; see `tasker.log.group.Facts`."""

    def __init__(self, found: PGresult) -> None:
        """Take what the statement of `look` has found."""
        self.log_id = b""
        self.head = Head(0, b"")
        self._ends: dict[bytes, tuple[int, bytes]] = {}
        self._owners: dict[bytes, bytes] = {}
        self._definitions: set[bytes] = set()
        self._names: dict[int, str] = {}
        self._living: set[str] = set()
        self._holders: dict[str, list[Holder]] = {}
        for row in range(found.ntuples):
            kind, key, number, value = (found.get_value(row, column) or b"" for column in range(4))
            self._take(int.from_bytes(kind, "big"), key, int.from_bytes(number, "big", signed=True), value)
        self._codes = {name: code for code, name in self._names.items() if code >= FIRST_CUSTOM_CODE}

    def _take(self, kind: int, key: bytes, number: int, value: bytes) -> None:
        """Take one row."""
        if kind == _HEAD:
            self.log_id, self.head = key, Head(number, value)
        elif kind == _END:
            self._ends[key] = number, value
        elif kind == _OWNER:
            self._owners[key] = value
        elif kind == _DEFINITION:
            self._definitions.add(key)
        elif kind == _TYPE:
            self._names[number] = key.decode()
        elif kind == _WORKER:
            self._living.add(key.decode())
        else:
            holder = value, number >> _HALF, number & _LOW, kind == _HOLDER
            self._holders.setdefault(key.decode(), []).append(holder)

    def end(self, stream_id: bytes) -> tuple[int, bytes] | None:
        """Give version and hash of the last event of a stream, or None."""
        return self._ends.get(stream_id)

    def owner(self, identity: bytes) -> bytes | None:
        """Give the stream that has an identity, or None."""
        return self._owners.get(identity)

    def has_definition(self, digest: bytes) -> bool:
        """Tell whether a definition is stored."""
        return digest in self._definitions

    def name(self, code: int) -> str | None:
        """Give the name that is stored for the code of a type, or None."""
        return self._names.get(code)

    def code(self, name: str) -> int | None:
        """Give the code that is stored for a custom type, or None."""
        return self._codes.get(name)

    def last_code(self) -> int:
        """Give the largest code of a type; 0 where there is none."""
        return max(self._names, default=0)

    def lives(self, worker_id: str) -> bool:
        """Tell whether a worker is alive or draining."""
        return worker_id in self._living

    def holders(self, scope: str) -> list[Holder]:
        """Give the rows of a scope under a limit, stale ones too."""
        return self._holders.get(scope, [])


def look(batch: Sequence[Append], known: Known) -> Statement:
    """Give the statement that locks the head and finds all that appends need; `Stored` takes its result."""
    streams = dict.fromkeys(append.stream_id for append in batch)
    streams |= dict.fromkeys(append.guard[0] for append in batch if append.guard is not None)
    identities = [one.header.identity for one in batch if one.header is not None and one.header.identity is not None]
    digests = {one.definition[0] for one in batch if one.definition is not None} - known.definitions
    types = Boolean(b"\0" if all(_named(append, known) for append in batch) else b"\1")
    workers = texts(list({append.worker for append in batch if append.worker is not None}))
    scopes = texts(list({holding.scope for append in batch for holding in append.holdings}))
    values = byteas(list(streams)), byteas(identities), byteas(list(digests)), types, workers, scopes
    return Statement(_LOOK, values)


def _named(append: Append, known: Known) -> bool:
    """Tell whether the codes of all types of an append are remembered."""
    return all(
        known.names.get(event.code) == event.type if event.code else event.type in known.codes
        for event in append.events
    )


def write(group: Group, head: Head, token: bytes) -> Statement:
    """Give the statement that writes a group, if the head is still as given, and says whether it was.

    Args:
        group: What is to be written.
        head: The head of the log as this process believes it to be.
        token: The token that the head shall have afterwards.
    """
    work = [(*key, *item[1:]) for key, item in group.work.items() if item is not None]
    gone = [key for key, item in group.work.items() if item is None]
    streams = [(key, *header) for key, header in group.headers.items()]
    values: list[Packed] = [
        bigint(head.position),
        Bytea(head.token),
        Bytea(token),
        *pack(_EVENT_KINDS, [row[1:] for row in group.rows]),
        *pack(_STREAM_KINDS, streams),
        *pack(_PAIRS[0], list(group.definitions.items())),
        *pack(_PAIRS[1], list(group.types.items())),
        *pack(_PAIRS[2], gone),
        *pack(WORK, work),
        *pack(_PAIRS[2], group.erased),
    ]
    return Statement(_APPEND, values)


def hold(limits: Limits) -> Statement:
    """Give the statement that stores who took places under limits, and removes the rows of those that hold none."""
    taken = [(*key, attempt) for key, attempt in limits.taken.items()]
    return Statement(_HOLD, (*pack(_FREED, list(limits.freed)), *pack(_TAKEN, taken)))
