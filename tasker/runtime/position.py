"""A place in the whole log, told apart from a version of one stream."""

from __future__ import annotations

from typing import NamedTuple


class Position(NamedTuple):
    """The position of an event in the log, for `at=`; a bare int there is a version of the stream."""

    value: int
