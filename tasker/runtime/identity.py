"""How streams are named: text ids and bytes, the control stream, the digest under which a repeated request is found."""

from __future__ import annotations

import hashlib
import uuid

from tasker.codec.jsonbytes import dumps
from tasker.domain.control import STREAM
from tasker.errors import UnknownTask


def stream_id(name: str) -> bytes:
    """Give the 16 bytes of a task id or of a named stream such as `$control`.

    Raises:
        UnknownTask: The text is neither.
    """
    if name == STREAM:
        return CONTROL_ID
    try:
        return uuid.UUID(name).bytes
    except (ValueError, AttributeError, TypeError):
        raise UnknownTask(f"expected a task id (a UUID) or {STREAM}, found {name!r}") from None


def _named(name: str) -> bytes:
    """Make the UUIDv8 (RFC 9562, section 5.8) of a stream that is no task from the SHA-256 of its name."""
    digest = bytearray(hashlib.sha256(name.encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)


CONTROL_ID = _named(STREAM)


def identity_digest(namespace: str, name: str, identity: str) -> bytes:
    """Give the 32 bytes under which a task with this identity is found."""
    return hashlib.sha256(dumps([namespace, name, identity])).digest()


def strict_identity(fields: dict[str, object]) -> str:
    """Give the identity of the strategy `strict`: SHA-256 over the canonical JSON of what the request says."""
    return hashlib.sha256(dumps(fields)).hexdigest()
