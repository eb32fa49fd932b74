"""The peer beside which Tasker is measured, DBOS: installed into a folder of its own, run by a Python of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import postgres
from bench.setting import CACHE, QUICK, ROOT, Figures, Size

HOME = CACHE / "peer"
ASKED = ROOT / "bench" / "peer-requirements.in"
LOCK = ASKED.with_suffix(".lock")
PROGRAM = ROOT / "bench" / "peers" / "dbos_chain.py"
JOURNALS = ("wal", "default")
THREADS = (4, 16)
POSTGRES_THREADS = (4, 16, 64)
_INSTALL_SECONDS = 180.0
_QUICK_SECONDS = 20.0
_RUN_SECONDS = 120.0
_STAMP = "installed"

Found = tuple[Figures, dict[str, str]]


def install(size: Size) -> str:
    """Install the peer unless it is there; give why that is impossible, or the empty text.

    A quick run waits for it no longer than a moment.
    """
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    stamp = HOME / _STAMP
    if stamp.exists() and stamp.read_text() == digest:
        return ""
    print("installing the peer, once", file=sys.stderr, flush=True)
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.parent.mkdir(parents=True, exist_ok=True)
    seconds = _QUICK_SECONDS if size is QUICK else _INSTALL_SECONDS
    try:
        for line in _commands():
            subprocess.run(line, check=True, capture_output=True, text=True, timeout=seconds, env=_trusting())
    except subprocess.TimeoutExpired:
        return f"not installed: it took longer than {seconds:g} s"
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines() or ["no reason given"]
        return f"not installed: {said[-1][:200]}"
    stamp.write_text(digest)
    return ""


def measure(size: Size, server: str = "") -> Found:
    """Run the peer's program with each journal mode, or on a PostgreSQL server; give what it says."""
    if server:
        with postgres.database(server) as url:
            return _said("peer_pg", size, url, POSTGRES_THREADS)
    figures: Figures = {}
    notes: dict[str, str] = {}
    for journal in JOURNALS[:1] if size is QUICK else JOURNALS:
        numbers, texts = _said(f"peer_{journal}", size, journal, THREADS)
        figures |= numbers
        notes |= texts
    return figures, notes


def _said(name: str, size: Size, where: str, threads: tuple[int, ...]) -> Found:
    """Run the program once; give its figures, and what it says of itself."""
    workflows, chains = (100, 40) if size is QUICK else (250, 100)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        line: list[str | Path] = [HOME / "bin" / "python", PROGRAM, folder, where]
        line += [str(number) for number in (workflows, chains, *threads)]
        done = subprocess.run(
            line, check=False, capture_output=True, text=True, timeout=_RUN_SECONDS, cwd=folder, env=_trusting()
        )
    if done.returncode:
        raise RuntimeError(f"the peer failed:\n{done.stderr}")
    said = {f"{name}_{key}": value for key, value in json.loads(done.stdout.splitlines()[-1]).items()}
    texts = {key: value for key, value in said.items() if isinstance(value, str)}
    return {key: value for key, value in said.items() if key not in texts}, texts


def _commands() -> list[list[str | Path]]:
    """Give the lines that make the folder: with uv if there is one, else with what Python brings."""
    uv, python = _uv(), HOME / "bin" / "python"
    if uv is None:
        pip: list[str | Path] = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
            LOCK,
        ]
        return [[sys.executable, "-m", "venv", HOME], pip]
    return [
        [uv, "venv", "--quiet", "--python", sys.executable, HOME],
        [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", LOCK],
    ]


def _uv() -> Path | None:
    places = (shutil.which("uv"), Path(sys.executable).with_name("uv"), ROOT / ".uv" / "bin" / "uv")
    return next((Path(place) for place in places if place is not None and Path(place).exists()), None)


def _trusting() -> dict[str, str]:
    """Have uv trust the certificates that the system trusts, as the Makefile has it."""
    return {"UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true", **os.environ}


def lock() -> None:
    """Write the lock: every version with its hashes, and no address."""
    uv = _uv()
    if uv is None:
        raise SystemExit("writing the lock needs uv: install it, or put it on PATH")
    line: list[str | Path] = [
        *(uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"),
        *("--no-emit-index-url", "--custom-compile-command", "python -m bench.peer lock", ASKED.relative_to(ROOT)),
        *("-o", LOCK.relative_to(ROOT)),
    ]
    subprocess.run(line, check=True, cwd=ROOT, env=_trusting())


if __name__ == "__main__" and sys.argv[1:] == ["lock"]:
    lock()
