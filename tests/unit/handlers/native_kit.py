"""A library of native handlers in C, right and wrong ones, compiled for the tests that call it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tasker.handlers.native_include import INCLUDE

SOURCE = r"""
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tasker_handler.h"

static atomic_long held = 0, inside = 0;

#ifndef WITHOUT_VERSION
TASKER_EXPORT uint32_t tasker_abi_version(void) { return ABI; }
#endif
#ifndef WITHOUT_FREE
TASKER_EXPORT void tasker_free(uint8_t *out, size_t out_len) { (void)out_len; atomic_fetch_sub(&held, 1); free(out); }
#endif

static int32_t give(const void *text, size_t length, uint8_t **out, size_t *out_len, int32_t status) {
    *out = malloc(length ? length : 1);
    memcpy(*out, text, length);
    *out_len = length;
    atomic_fetch_add(&held, 1);
    return status;
}
#define HANDLER(name) TASKER_EXPORT int32_t name(const uint8_t *in, size_t in_len, uint8_t **out, size_t *out_len)
#define SAYS(name, text, status) HANDLER(name) { (void)in; (void)in_len; \
    return give(text, sizeof(text) - 1, out, out_len, status); }
tasker_handler handle;

HANDLER(handle) { return give(in, in_len, out, out_len, 0); }
HANDLER(size) {
    char text[32];
    (void)in;
    return give(text, (size_t)snprintf(text, sizeof text, "%zu", in_len), out, out_len, 0);
}
HANDLER(empty) { (void)in; (void)in_len; (void)out; (void)out_len; return 0; }
HANDLER(no_address) { (void)in; (void)in_len; *out = NULL; *out_len = 7; return 0; }
HANDLER(silent) { (void)in; (void)in_len; (void)out; (void)out_len; return 3; }
HANDLER(huge) {
    (void)in; (void)in_len;
    *out = calloc(10000000, 1);
    *out_len = 10000000;
    atomic_fetch_add(&held, 1);
    return 0;
}
HANDLER(count) { (void)in; (void)in_len; return give(atomic_load(&held) ? "1" : "0", 1, out, out_len, 0); }
HANDLER(meet) { /* answers true once two threads are in here at the same time, false when nobody came in a minute */
    struct timespec pause = {0, 1000000};
    int waited = 0;
    (void)in; (void)in_len;
    atomic_fetch_add(&inside, 1);
    while (atomic_load(&inside) < 2 && waited++ < 60000) nanosleep(&pause, NULL);
    return waited < 60000 ? give("true", 4, out, out_len, 0) : give("false", 5, out, out_len, 0);
}
HANDLER(aborts) { (void)in; (void)in_len; (void)out; (void)out_len; abort(); }
SAYS(nothing, "null", 0)
SAYS(bad_json, "{\"a\": ", 0)
SAYS(not_utf8, "\"\xff\"", 0)
SAYS(nul, "{}\0", 0)
SAYS(nul_in_text, "{\"a\": \"\\u0000\"}", 0)
SAYS(retry, "{\"error\": \"busy\", \"retryable\": true}", 1)
SAYS(fail, "{\"error\": \"no\", \"retryable\": false}", 2)
SAYS(coded, "{\"error\": \"no\", \"code\": \"GONE\"}", -2)
SAYS(odd, "[1]", 9)
SAYS(garbled, "no JSON", 9)
"""


def compiled(folder: Path) -> Path:
    """Compile the library, one of another version, and such as lack a function; without a compiler, skip the test."""
    for name, defines in {
        "libsample": ["-DABI=TASKER_ABI_VERSION"],
        "newer": ["-DABI=2"],
        "without_version": ["-DWITHOUT_VERSION"],
        "without_free": ["-DABI=1", "-DWITHOUT_FREE"],
    }.items():
        shared(SOURCE, folder / f"{name}.so", *defines)
    (folder / "text.so").write_text("no library")
    (folder / "empty.so").touch()
    (folder / "folder.so").mkdir()
    return folder


def shared(source: str, target: Path, *defines: str) -> None:
    """Compile C to a shared library; without a compiler, skip the test, but in CI fail it."""
    compiler = shutil.which("cc")
    if compiler is None:
        if os.environ.get("CI"):
            pytest.fail("CI may not skip native handlers; no C compiler (cc) on PATH")
        pytest.skip("no C compiler (cc) on PATH")
    options = ["-shared", "-fPIC", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{INCLUDE}"]
    command = [compiler, *options, *defines, "-x", "c", "-o", target, "-"]
    subprocess.run(command, input=source, text=True, check=True)


def resident() -> int:
    """Give the bytes of memory that this process has; skip the test where the system does not tell."""
    status = Path("/proc/self/statm")
    if not status.exists():
        pytest.skip("no /proc/self/statm, which tells how much memory this process has")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
