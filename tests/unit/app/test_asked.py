"""A signal may come at any place of the wait for it."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from tasker.app.running import _Asked


def interrupted(place):
    """Wait for a signal that comes at a place of the wait; give what a second wait says; nothing if one never ends."""
    asked, said, seen = _Asked(), [], []

    def profile(_frame, event, _arg):
        seen.append(event)
        if len(seen) == place:
            sys.setprofile(None)
            asked(signal.SIGTERM, None)

    def wait():
        sys.setprofile(profile)
        asked.wait(0.001)
        sys.setprofile(None)
        said.append(asked.wait(0))

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(30)
    return said


def places():
    """Count the calls and returns that a wait makes, up to its end."""
    asked, seen = _Asked(), []
    sys.setprofile(lambda _frame, event, _arg: seen.append(event))
    try:
        asked.wait(0.001)
    finally:
        sys.setprofile(None)
    return len(seen)


def test_a_signal_that_interrupts_the_wait_ends_it():
    """Wherever the handler runs inside of the wait, nothing is waited for that the wait itself holds."""
    for place in range(1, places() - 1):
        assert interrupted(place) == [True], f"at place {place}"


def test_a_second_signal_ends_the_process():
    """Who asks twice does not want to wait."""
    asked = _Asked()
    asked(signal.SIGTERM, None)
    with pytest.raises(SystemExit) as end:
        asked(signal.SIGTERM, None)
    assert end.value.code == 128 + signal.SIGTERM
    assert asked.wait(0)
