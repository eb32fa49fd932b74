"""Shared libraries with the handlers' C interface, opened once per process.

    uint32_t tasker_abi_version(void);                                               /* 1 */
    int32_t  handle(const uint8_t *in, size_t in_len, uint8_t **out, size_t *out_len);
    void     tasker_free(uint8_t *out, size_t out_len);

`handle` must be safe to call from many threads at once; the interpreter's lock is released while it runs. What it puts
into `out` belongs to it and goes back through `tasker_free`; `out` stays NULL for no output.
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
_SUFFIXES = {"darwin": ".dylib", "win32": ".dll"}
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
        function = self._function(symbol)
        function.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(_BYTES), ctypes.POINTER(ctypes.c_size_t)]
        function.restype = ctypes.c_int32
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
            raise PayloadTooLarge(message)
        return ctypes.string_at(out, length)

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


def open_library(name: str, directories: tuple[str, ...] = ()) -> Library:
    """Find and open a library.

    Args:
        name: A path or a file name; without a suffix the system's own is added.
        directories: Where relative names are looked up, before the working directory.

    Raises:
        NativeError: There is none, or it cannot be used.
    """
    tried = list(_candidates(name, directories))
    path = next((one for one in tried if one.is_file()), None)
    if path is None:
        message = f"expected the shared library {name!r}, found none of {', '.join(map(str, tried))}; build it there"
        raise NativeError(message, code="LIBRARY_NOT_FOUND")
    key = str(path.resolve())
    library = _Opened.libraries.get(key)
    if library is None:
        with _Opened.lock:
            library = _Opened.libraries.get(key)
            if library is None:
                library = _Opened.libraries[key] = Library(key)
    return library


def _candidates(name: str, directories: tuple[str, ...]) -> Iterator[Path]:
    file = Path(name)
    if file.suffix not in {".so", ".dylib", ".dll"}:
        file = file.with_name(file.name + _SUFFIXES.get(sys.platform, ".so"))
    for directory in ("",) if file.is_absolute() else (*directories, "."):
        yield Path(directory) / file
