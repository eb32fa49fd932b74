"""Native handlers: a small C library is compiled and called; everything that can be wrong with one is a typed error."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tasker.errors import InvalidDefinition
from tasker.handlers import native_include, native_library
from tasker.handlers.native import NativeStepHandler, check_config
from tasker.handlers.native_library import ABI_VERSION, MAX_OUTPUT, open_library
from tasker.handlers.publishing import Tools
from tests.unit.handlers.kit import run
from tests.unit.handlers.native_kit import compiled as compile_library
from tests.unit.handlers.native_kit import resident

CALLS = 100_000
LEAK = 50 * 1024 * 1024
"""Bytes: half of what a kilobyte lost in each call would come to."""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Compile the library."""
    return compile_library(tmp_path_factory.mktemp("native"))


def beside(folder: Path) -> Tools:
    """Give the tools of a worker whose definitions lie in a folder."""
    return Tools(directories=lambda definition: (str(folder),))


def call(folder: Path, symbol: str = "handle", library: str = "libsample", **keys):
    """Run a symbol as a step, the library looked up in a folder."""
    return run(NativeStepHandler(library, symbol=symbol, **keys), tools=beside(folder))


def together(count: int, work) -> list[object]:
    """Do some work in that many threads, and give what each of them found."""
    found: list[object] = []
    threads = [threading.Thread(target=lambda number=number: found.append(work(number))) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_inputs(compiled):
    """The function gets the step's inputs, the context, the whole step, or what a callable gives."""
    assert call(compiled).results == call(compiled, input="context").results == {"id": 7}
    assert call(compiled, input=lambda task, sequence, step: [step.name, "ä"]).results == ["b", "ä"]
    whole = call(compiled, input="step").results
    assert whole.pop("last_attempted_at").endswith("Z")
    assert whole == {
        "id": "t:b", "task_id": "t", "name": "b", "depends_on": ["a"], "status": "in_progress", "retryable": True,
        "retry_limit": 3, "attempts": 1, "completed_at": None, "backoff_seconds": None, "inputs": {"id": 7},
        "results": {},
    }  # fmt: skip


def test_in_yaml(compiled):
    """As a class it reads library, symbol and input from its handler_config."""
    config = {"type": "native", "library": "libsample", "symbol": "handle", "input": "context"}
    assert run(NativeStepHandler, config=config, tools=beside(compiled)).results == {"id": 7}


def test_no_results(compiled):
    """A handler may give nothing, or null."""
    assert call(compiled, "empty").results is None
    assert call(compiled, "nothing").results is None


@pytest.mark.parametrize(
    ("symbol", "kind", "code", "words"),
    [
        ("bad_json", "permanent", "BAD_JSON", "expected JSON from bad_json of libsample"),
        ("not_utf8", "permanent", "NOT_UTF8", "a wrong byte at 1"),
        ("nul", "permanent", "EMBEDDED_NUL", "found one at 2"),
        ("nul_in_text", "permanent", None, "U+0000"),
        ("no_address", "permanent", "NULL_OUTPUT", "NULL with a length of 7"),
        ("huge", "too_large", None, "found 10000000"),
        ("retry", "retryable", None, "busy"),
        ("fail", "permanent", "STATUS_2", "no"),
        ("coded", "permanent", "GONE", "no"),
        ("silent", "permanent", "STATUS_3", "returned status 3 without an object {error, retryable}"),
        ("odd", "permanent", "STATUS_9", "returned status 9"),
        ("garbled", "permanent", "BAD_JSON", "found b'no JSON'"),
        ("missing", "permanent", "SYMBOL_NOT_FOUND", "expected a function missing"),
    ],
)
def test_bad_outputs(compiled, symbol, kind, code, words):
    """Each way to be wrong has its error, and nothing of the output stays allocated."""
    error = call(compiled, symbol).error
    assert (error.kind, error.code) == (kind, code)
    assert words in error.message
    assert call(compiled, "count").results == 0


@pytest.mark.parametrize(
    ("library", "code", "words"),
    [
        ("newer", "ABI_VERSION", "found 2; rebuild it"),
        ("text", "LIBRARY_UNUSABLE", "cannot be opened"),
        ("empty", "LIBRARY_UNUSABLE", "cannot be opened"),
        ("folder", "LIBRARY_NOT_FOUND", "build it there"),
        ("nowhere", "LIBRARY_NOT_FOUND", "build it there"),
        ("without_version", "SYMBOL_NOT_FOUND", "expected a function tasker_abi_version"),
        ("without_free", "SYMBOL_NOT_FOUND", "expected a function tasker_free"),
    ],
)
def test_bad_libraries(compiled, library, code, words):
    """A library that is missing, unusable, incomplete or of another version is told as such."""
    error = call(compiled, library=library).error
    assert (error.kind, error.code) == ("permanent", code)
    assert library in error.message
    assert words in error.message


@pytest.mark.parametrize("name", ["sample", "sample.so", "libsample", "libsample.so"])
def test_names(compiled, name):
    """A library is found by its path or beside the definition, without its suffix and without `lib` too."""
    assert call(compiled, library=name).results == {"id": 7}
    assert run(NativeStepHandler(str(compiled / name))).results == {"id": 7}


def test_a_large_input(compiled):
    """What goes in may be large; what comes out is bound by the size of results."""
    large = "x" * 10_000_000
    assert call(compiled, "size", input=lambda task, sequence, step: large).results == len(large) + 2
    assert call(compiled, input=lambda task, sequence, step: large[:300_000]).error.kind == "too_large"


def test_many_threads_open_one_library(compiled, monkeypatch):
    """The library is opened once, whoever comes first."""
    for kept in ("libraries", "names"):
        monkeypatch.setattr(native_library._Opened, kept, {})
    assert together(8, lambda number: call(compiled).results) == [{"id": 7}] * 8
    assert len(native_library._Opened.libraries) == 1


def test_two_threads_are_in_a_handler_at_once(compiled):
    """The interpreter's lock is released: two calls that wait for each other inside of the library both return."""
    assert together(2, lambda number: call(compiled, "meet").results) == [True, True]


def test_threads_get_their_own_outputs(compiled):
    """Of many calls at once each gives its caller's input back."""
    library = open_library(str(compiled / "libsample"))

    def work(number: int) -> int:
        given = [b'"%d"' % (number * 1_000 + one) for one in range(500)]
        return sum(library.call("handle", one) == (0, one) for one in given)

    assert together(8, work) == [500] * 8
    assert call(compiled, "count").results == 0


def test_memory_stays_flat(compiled):
    """After 100,000 calls that each give a kilobyte everything was taken back, and the process is not larger."""
    library, given = open_library(str(compiled / "libsample")), b'"' + b"x" * 1_000 + b'"'
    for _ in range(1_000):
        library.call("handle", given)
    before = resident()
    for _ in range(CALLS):
        library.call("handle", given)
    assert resident() - before < LEAK
    assert library.call("count", b"") == (0, b"0")


def test_an_abort_is_fatal(compiled):
    """What ends a C program ends the process of the handler, which the header says; only there is nothing to catch."""
    program = (
        f"from {native_library.__name__} import *; open_library({str(compiled / 'libsample')!r}).call('aborts', b'')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=compiled, capture_output=True, check=False)
    assert done.returncode == -signal.SIGABRT


def test_the_header_says_what_is_so():
    """The header has the version and the largest output of the caller, and its folder is printed for compilers."""
    text = Path(native_include.INCLUDE, "tasker_handler.h").read_text()
    assert re.findall(r"#define TASKER_ABI_VERSION (\d+)", text) == [str(ABI_VERSION)]
    assert f"at most {MAX_OUTPUT // 2**20} MiB" in text
    command = [sys.executable, "-m", "tasker.handlers.native_include"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{native_include.INCLUDE}\n"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"library": ""}, "library"),
        ({"library": "x\0"}, "library"),
        ({"library": "x", "symbol": 3}, "symbol"),
        ({"library": "x", "input": "y"}, "input"),
    ],
)
def test_wrong_declarations(keys, words):
    """What is wrong in a declaration is told when the handler is made, or its handler_config is checked."""
    with pytest.raises(InvalidDefinition, match=words):
        NativeStepHandler(**keys)
    with pytest.raises(InvalidDefinition, match=words) as refused:
        check_config(keys)
    assert refused.value.path == ("handler_config", words)
    assert run(NativeStepHandler, config=keys).error.kind == "permanent"


def test_what_is_known_later_is_not_checked():
    """A key whose value the environment gives is left to the attempt; a library must be named."""
    check_config({"library": "${LIBRARY}", "input": "${INPUT}"}, later={"library", "input"})
    with pytest.raises(InvalidDefinition, match="library"):
        check_config({})
