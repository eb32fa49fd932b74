"""Shared libraries with the handlers' C interface, opened once per process; `tasker_handler.h` beside this is its text.

The interpreter's lock is released while a handler runs, and a handler runs in many threads at once. What it puts into
`out` belongs to it and goes back through `tasker_free`.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tasker.errors import PayloadTooLarge, PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterator

ABI_VERSION = 1
MAX_OUTPUT = 8 * 1024 * 1024
"""Bytes; a larger output is not even copied."""
_SUFFIXES = {"linux": ".so", "darwin": ".dylib", "win32": ".dll"}
_BYTES = ctypes.POINTER(ctypes.c_uint8)


class NativeError(PermanentError):
    """A native handler cannot be called, or breaks the interface; `code` says in which way."""


class Library:
    """One opened library."""

    def __init__(self, path: str) -> None:
        """Open it and check its version.

        Raises:
            NativeError: It cannot be opened, lacks a function of the interface, or has another version.
        """
        self.path = path
        try:
            self._dll = ctypes.CDLL(path)
        except OSError as error:
            message = f"expected a shared library at {path}, which cannot be opened: {error}; build it for this machine"
            raise NativeError(message, code="LIBRARY_UNUSABLE") from None
        version = self._function("tasker_abi_version")
        version.argtypes, version.restype = [], ctypes.c_uint32
        found = version()
        if found != ABI_VERSION:
            message = f"expected version {ABI_VERSION} of the interface from {path}, found {found}; rebuild it"
            raise NativeError(message, code="ABI_VERSION")
        self._free = self._function("tasker_free")
        self._free.argtypes, self._free.restype = [_BYTES, ctypes.c_size_t], None
        self._handlers: dict[str, ctypes._NamedFuncPointer] = {}

    def call(self, symbol: str, given: bytes) -> tuple[int, bytes]:
        """Call a handler.

        Args:
            symbol: Its name.
            given: JSON in UTF-8.

        Returns:
            Its status and its output.

        Raises:
            NativeError: There is no such function, or it gives a length without an output.
            PayloadTooLarge: The output has more than `MAX_OUTPUT` bytes.
        """
        function = self._handlers.get(symbol) or self._handler(symbol)
        out, length = _BYTES(), ctypes.c_size_t(0)
        status = int(function(given, len(given), ctypes.byref(out), ctypes.byref(length)))
        if not out:
            if length.value:
                message = f"expected an output from {symbol} of {self.path}, found NULL with a length of {length.value}"
                raise NativeError(message, code="NULL_OUTPUT")
            return status, b""
        try:
            return status, self._copied(symbol, out, length.value)
        finally:
            self._free(out, length)

    def _copied(self, symbol: str, out: ctypes._Pointer[ctypes.c_uint8], length: int) -> bytes:
        if length > MAX_OUTPUT:
            message = f"expected at most {MAX_OUTPUT} bytes from {symbol} of {self.path}, found {length}"
            raise PayloadTooLarge(f"{message}; keep large data elsewhere and give a reference to it")
        return ctypes.string_at(out, length)

    def _handler(self, symbol: str) -> ctypes._NamedFuncPointer:
        function = self._function(symbol)
        function.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(_BYTES), ctypes.POINTER(ctypes.c_size_t)]
        function.restype = ctypes.c_int32
        self._handlers[symbol] = function  # last: another thread uses what it finds here
        return function

    def _function(self, symbol: str) -> ctypes._NamedFuncPointer:
        try:
            return self._dll[symbol]
        except AttributeError:
            message = f"expected a function {symbol} in {self.path}, found none; export it under this name"
            raise NativeError(message, code="SYMBOL_NOT_FOUND") from None


class _Opened:
    """The libraries of this process; like the system's loader, it opens a file once and never closes it."""

    lock = threading.Lock()
    libraries: ClassVar[dict[str, Library]] = {}
    names: ClassVar[dict[tuple[str, tuple[str, ...]], Library]] = {}


def open_library(name: str, directories: tuple[str, ...] = ()) -> Library:
    """Find and open a library; what was found once is not looked for again.

    Args:
        name: A path or a file name; without a suffix the system's own is added, and `lib` in front where that is there.
        directories: Where relative names are looked up, before the working directory.

    Raises:
        NativeError: There is none, or it cannot be used.
    """
    known = _Opened.names.get((name, directories))
    if known is not None:
        return known
    tried = list(_candidates(name, directories))
    path = next((one for one in tried if one.is_file()), None)
    if path is None:
        message = f"expected the shared library {name!r}, found none of {', '.join(map(str, tried))}; build it there"
        raise NativeError(message, code="LIBRARY_NOT_FOUND")
    key = str(path.resolve())
    with _Opened.lock:
        library = _Opened.libraries.get(key)
        if library is None:
            library = _Opened.libraries[key] = Library(key)
        if path.is_absolute():  # the working directory may be another one next time
            _Opened.names[name, directories] = library
    return library


def _candidates(name: str, directories: tuple[str, ...]) -> Iterator[Path]:
    file = Path(name)
    if file.suffix not in _SUFFIXES.values() and ".so." not in file.name:
        file = file.with_name(file.name + _SUFFIXES.get(sys.platform, ".so"))
    prefixes = ("",) if file.name.startswith("lib") or sys.platform == "win32" else ("", "lib")
    for directory in ("",) if file.is_absolute() else (*directories, "."):
        for prefix in prefixes:
            yield Path(directory) / file.with_name(prefix + file.name)
