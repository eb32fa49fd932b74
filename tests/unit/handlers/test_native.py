"""Native handlers: a small C library is compiled and called; everything that can be wrong with one is a typed error."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tasker.errors import InvalidDefinition
from tasker.handlers import native_library
from tasker.handlers.native import NativeStepHandler
from tasker.handlers.publishing import Tools
from tests.unit.handlers.kit import run

SOURCE = r"""
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdatomic.h>
static atomic_long held = 0;
uint32_t tasker_abi_version(void) { return ABI; }
void tasker_free(uint8_t *p, size_t n) { (void)n; atomic_fetch_sub(&held, 1); free(p); }
static int32_t give(const char *text, size_t n, uint8_t **out, size_t *len, int32_t status) {
    *out = malloc(n ? n : 1); memcpy(*out, text, n); *len = n; atomic_fetch_add(&held, 1); return status;
}
#define SAYS(name, text, status) \
    int32_t name(const uint8_t *in, size_t n, uint8_t **out, size_t *len) \
    { (void)in; (void)n; return give(text, sizeof(text) - 1, out, len, status); }
int32_t handle(const uint8_t *in, size_t n, uint8_t **out, size_t *len)
{ return give((const char *)in, n, out, len, 0); }
int32_t empty(const uint8_t *in, size_t n, uint8_t **out, size_t *len)
{ (void)in; (void)n; (void)out; (void)len; return 0; }
int32_t null(const uint8_t *in, size_t n, uint8_t **out, size_t *len)
{ (void)in; (void)n; *out = 0; *len = 7; return 0; }
int32_t silent(const uint8_t *in, size_t n, uint8_t **out, size_t *len)
{ (void)in; (void)n; (void)out; (void)len; return 3; }
int32_t huge(const uint8_t *in, size_t n, uint8_t **out, size_t *len)
{ (void)in; (void)n; *out = malloc(10000000); memset(*out, ' ', 10000000); *len = 10000000;
  atomic_fetch_add(&held, 1); return 0; }
int32_t count(const uint8_t *in, size_t n, uint8_t **out, size_t *len) {
    (void)in; (void)n; return give(atomic_load(&held) ? "1" : "0", 1, out, len, 0);
}
SAYS(bad_json, "{\"a\": ", 0)
SAYS(not_utf8, "\"\xff\"", 0)
SAYS(nul, "{}\0", 0)
SAYS(nul_in_text, "{\"a\": \"\\u0000\"}", 0)
SAYS(retry, "{\"error\": \"busy\", \"retryable\": true}", 1)
SAYS(fail, "{\"error\": \"no\", \"retryable\": false}", 2)
SAYS(odd, "[1]", 9)
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Compile the library in two versions of the interface."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) on PATH")
    folder = tmp_path_factory.mktemp("native")
    (folder / "lib.c").write_text(SOURCE)
    for name, version in (("sample", 1), ("newer", 2)):
        command = [compiler, "-shared", "-fPIC", f"-DABI={version}", "-o", folder / f"{name}.so", folder / "lib.c"]
        subprocess.run(command, check=True)
    (folder / "broken.so").write_text("no library")
    (folder / "other.c").write_text("int other(void) { return 0; }")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "other.so", folder / "other.c"], check=True)
    return folder


def call(folder: Path, symbol: str = "handle", library: str = "sample", **keys):
    """Run a symbol as a step, the library looked up in a folder."""
    return run(NativeStepHandler(library, symbol=symbol, **keys), tools=Tools(directories=(str(folder),)))


def test_inputs(compiled):
    """The function gets the step's inputs, the context, the whole step, or what a callable gives."""
    assert call(compiled).results == call(compiled, input="context").results == {"id": 7}
    assert call(compiled, input=lambda task, sequence, step: [step.name, "\0"[:0]]).results == ["b", ""]
    whole = call(compiled, input="step").results
    assert whole.pop("last_attempted_at").endswith("Z")
    assert whole == {
        "id": "t:b", "task_id": "t", "name": "b", "depends_on": ["a"], "status": "in_progress", "retryable": True,
        "retry_limit": 3, "attempts": 1, "completed_at": None, "backoff_seconds": None, "inputs": {"id": 7},
        "results": {},
    }  # fmt: skip


def test_in_yaml(compiled):
    """As a class it reads library, symbol and input from its handler_config."""
    config = {"type": "native", "library": "sample", "symbol": "handle", "input": "context"}
    assert run(NativeStepHandler, config=config, tools=Tools(directories=(str(compiled),))).results == {"id": 7}


def test_an_empty_output_is_no_results(compiled):
    """A handler may give nothing."""
    assert call(compiled, "empty").results is None


@pytest.mark.parametrize(
    ("symbol", "kind", "code"),
    [
        ("bad_json", "permanent", "BAD_JSON"),
        ("not_utf8", "permanent", "NOT_UTF8"),
        ("nul", "permanent", "EMBEDDED_NUL"),
        ("nul_in_text", "permanent", None),
        ("null", "permanent", "NULL_OUTPUT"),
        ("huge", "too_large", None),
        ("retry", "retryable", None),
        ("fail", "permanent", "STATUS_2"),
        ("silent", "permanent", "STATUS_3"),
        ("odd", "permanent", "STATUS_9"),
        ("missing", "permanent", "SYMBOL_NOT_FOUND"),
    ],
)
def test_bad_outputs(compiled, symbol, kind, code):
    """Each way to be wrong has its error, and nothing of the output stays allocated."""
    error = call(compiled, symbol).error
    assert (error.kind, error.code) == (kind, code)
    assert call(compiled, "count").results == 0


@pytest.mark.parametrize(
    ("library", "code"),
    [
        ("newer", "ABI_VERSION"),
        ("broken", "LIBRARY_UNUSABLE"),
        ("nowhere", "LIBRARY_NOT_FOUND"),
        ("other", "SYMBOL_NOT_FOUND"),
    ],
)
def test_bad_libraries(compiled, library, code):
    """A library that is missing, unusable or of another version is told as such."""
    error = call(compiled, library=library).error
    assert (error.kind, error.code, library in error.message) == ("permanent", code, True)


def test_paths(compiled):
    """An absolute path needs no folder, with or without its suffix."""
    for path in (compiled / "sample", compiled / "sample.so"):
        assert run(NativeStepHandler(str(path))).results == {"id": 7}


def test_a_large_input(compiled):
    """What goes in may be large; what comes out is bound by the size of results."""
    large = call(compiled, input=lambda task, sequence, step: "x" * 5_000_000)
    assert large.error.kind == "too_large"


def test_many_threads_open_one_library(compiled, monkeypatch):
    """The library is opened once, whoever comes first, and calls run side by side."""
    monkeypatch.setattr(native_library._Opened, "libraries", {})
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(call(compiled).results)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"id": 7}] * 8
    assert len(native_library._Opened.libraries) == 1


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"library": ""}, "library"),
        ({"library": "x", "symbol": 3}, "symbol"),
        ({"library": "x", "input": "y"}, "input"),
    ],
)
def test_wrong_declarations(keys, words):
    """What is wrong in a declaration is told when the handler is made."""
    with pytest.raises(InvalidDefinition, match=words):
        NativeStepHandler(**keys)
    assert run(NativeStepHandler, config=keys).error.kind == "permanent"
