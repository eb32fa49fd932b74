"""Keys of seals: make a pair, read either half from its file, sign. The library for it is an extra."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tasker.errors import InvalidRequest, TaskerError

if TYPE_CHECKING:
    from types import ModuleType

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_DIGITS = 64
_SECRET_MODE, _PUBLIC_MODE = 0o600, 0o644
_MAKE = "Make one with `tasker audit keygen PATH`"


class SealKey:
    """The secret half of a key, which signs seals."""

    def __init__(self, secret: Ed25519PrivateKey) -> None:
        """Take it."""
        self._secret = secret
        self.key_id: bytes = secret.public_key().public_bytes_raw()

    @classmethod
    def read(cls, path: str | Path) -> SealKey:
        """Read it from its file.

        Raises:
            InvalidRequest: There is no such file, or it holds something else; what it holds is never shown.
            TaskerError: The extra is not installed.
        """
        ed25519, pem = _libraries()
        try:
            secret = pem.load_pem_private_key(Path(path).read_bytes(), password=None)
        except OSError as error:
            raise _no_key(f"key {path}", f"{error.strerror}. {_MAKE}") from error
        except (ValueError, TypeError) as error:
            raise _no_key(f"key {path}", f"no unencrypted PEM of a private key. {_MAKE}") from error
        if not isinstance(secret, ed25519.Ed25519PrivateKey):
            raise _no_key(f"key {path}", f"a key of another kind. {_MAKE}")
        return cls(secret)

    def sign(self, statement: bytes) -> bytes:
        """Give the signature of some bytes."""
        return self._secret.sign(statement)


def keygen(path: str | Path) -> str:
    """Make a key: its secret half in a file that only this user can read, the public one beside it as `PATH.pub`.

    Args:
        path: Where it shall be.

    Returns:
        The id of the key: the 32 bytes of its public half as hexadecimal digits.

    Raises:
        InvalidRequest: One of the files is there already, or cannot be written.
        TaskerError: The extra is not installed.
    """
    ed25519, pem = _libraries()
    secret = ed25519.Ed25519PrivateKey.generate()
    public = secret.public_key()
    hidden = secret.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    place = Path(path)
    beside = place.with_name(place.name + ".pub")
    if beside.exists():
        raise InvalidRequest(f"{beside}: expected no file, found one; a key is never replaced. Name another path")
    _write(place, hidden, _SECRET_MODE)
    _write(beside, public.public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo), _PUBLIC_MODE)
    return str(public.public_bytes_raw().hex())


def key_id_of(named: str | Path) -> str:
    """Give the id of a key.

    Args:
        named: The id itself, 64 hexadecimal digits, or the file with the public half as PEM.

    Raises:
        InvalidRequest: It is neither.
        TaskerError: The extra is not installed.
    """
    text = str(named)
    if len(text) == _DIGITS and not set(text) - set("0123456789abcdef"):
        return text
    ed25519, pem = _libraries()
    try:
        public = pem.load_pem_public_key(Path(named).read_bytes())
    except OSError as error:
        raise _no_key(f"public key {text}", f"{error.strerror}. {_MAKE}") from error
    except ValueError as error:
        raise _no_key(f"public key {text}", "something else. Name the file that ends in .pub") from error
    if not isinstance(public, ed25519.Ed25519PublicKey):
        raise _no_key(f"public key {text}", f"a key of another kind. {_MAKE}")
    return str(public.public_bytes_raw().hex())


def need_libraries() -> None:
    """Find out now whether signatures can be checked.

    Raises:
        TaskerError: The extra is not installed.
    """
    _libraries()


def _libraries() -> tuple[ModuleType, ModuleType]:
    try:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - the same
    except ImportError as error:
        message = f"seals need the extra 'audit' ({error}). Run: pip install 'tasker-engine[audit]'"
        raise TaskerError(message) from error
    return ed25519, serialization


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a new file that has its mode from the beginning."""
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise InvalidRequest(
            f"{path}: expected no file, found one; a key is never replaced. Name another path"
        ) from error
    except OSError as error:
        raise InvalidRequest(f"{path}: expected a place for a new file, found {error.strerror}") from error
    with os.fdopen(number, "wb") as file:
        file.write(content)


def _no_key(what: str, found: str) -> InvalidRequest:
    return InvalidRequest(f"{what}: expected an Ed25519 key in PEM, found {found}")
