"""Find the compiled fold, where this process may use it.

The variable TASKER_NATIVE decides, when the package is built and again here, when it runs: 0 never imports the
compiled module, 1 does not run without it, and unset uses it where it is there. A checkout keeps a module that was
built earlier, perhaps from other sources, so its version is compared before it is believed.
"""

from __future__ import annotations

import os
import warnings
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from tasker.errors import InvalidDefinition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasker.codec.rows import NewEvent
    from tasker.fold import _native

FOLD_VERSION = 2
"""The version of the interface that this release speaks; `rust_ext` carries the same number."""

_VARIABLE = "TASKER_NATIVE"
_REBUILD = "`make core` in a checkout, or `pip install --force-reinstall tasker-engine`, builds it again with Rust"


class Native(Protocol):
    """The compiled module; `_native.pyi` describes what goes in and comes out."""

    @property
    def FOLD_VERSION(self) -> int:
        """The version of the interface that the module speaks."""

    @property
    def FoldError(self) -> type[_native.FoldError]:
        """What is raised for columns that no log ever gives."""

    @property
    def Plan(self) -> type[_native.Plan]:
        """A definition as the fold needs it."""

    @property
    def Chain(self) -> type[_native.Chain]:
        """The verification of chains."""

    def states(
        self,
        plans: Sequence[_native.Plan],
        streams: Sequence[tuple[bytes, int]],
        heads: _native.Heads,
        position: int | None = None,
        time: int | None = None,
    ) -> tuple[list[_native.State | None], list[int]]:
        """Fold streams into states."""

    def rows(
        self,
        plans: Sequence[_native.Plan],
        streams: Sequence[tuple[bytes, int]],
        heads: _native.Heads,
        position: int | None = None,
        time: int | None = None,
    ) -> tuple[list[_native.TaskRow | None], list[_native.StepRow], list[_native.Need], list[int]]:
        """Fold streams into rows of the read models."""

    def tally(
        self,
        plans: Sequence[_native.Plan],
        streams: Sequence[tuple[bytes, int]],
        heads: _native.Heads,
        position: int | None = None,
        time: int | None = None,
    ) -> tuple[int, int, tuple[int, ...], tuple[int, ...], list[int]]:
        """Fold streams and count what they come to."""

    def link(
        self,
        previous: bytes,
        position: int,
        stream_id: bytes,
        version: int,
        events: Sequence[NewEvent],
        salts: bytes,
        /,
    ) -> tuple[list[tuple[object, ...]], bytes]:
        """Give new events of one stream their places, salts and hashes."""


@cache
def native() -> Native | None:
    """Give the compiled fold; None where Python folds.

    The variable is read once, at first use, and here rather than from the settings: it belongs to the installation, as
    PYTHONPATH does, the build reads it too, and the fold stands below everything that holds settings.

    Raises:
        InvalidDefinition: TASKER_NATIVE is neither 0 nor 1, or is 1 and there is no compiled fold of this version.
    """
    wish = os.environ.get(_VARIABLE, "")
    if wish not in {"", "0", "1"}:
        raise _refused(f"expected 0 or 1, found {wish!r}; correct it, or unset it to use what is there")
    if wish == "0":
        return None
    module, obstacle = load()
    if module is None and wish == "1":
        raise _refused(f"1 asks for the compiled fold, but {obstacle or 'there is none'}; {_REBUILD}; 0 does without")
    if obstacle:
        warnings.warn(f"Python folds, because {obstacle}; {_REBUILD}; {_VARIABLE}=0 does without", RuntimeWarning, 2)
    return module


def load() -> tuple[Native | None, str]:
    """Import the compiled fold; with None comes what is wrong with it, or the empty text where there is none."""
    if find_spec("tasker.fold._native") is None:
        return None, ""
    try:
        from tasker.fold import _native  # noqa: PLC0415 - with TASKER_NATIVE=0 it is never imported
    except ImportError as error:
        return None, f"the compiled module cannot be loaded ({error})"
    found = getattr(_native, "FOLD_VERSION", None)
    if found != FOLD_VERSION:
        return None, f"a stale extension stands in {_native.__file__}: expected version {FOLD_VERSION}, found {found}"
    return _native, ""


def _refused(text: str) -> InvalidDefinition:
    return InvalidDefinition(text, where=f"variable {_VARIABLE}")
