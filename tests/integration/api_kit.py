"""A real server on loopback that answers API steps as a test says, well or badly, plain or with TLS; and such steps."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tasker import ApiStepHandler
from tests.integration.runner_kit import PATIENCE, memory_app, plan, step

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)  # a FrozenClock's


class Request(NamedTuple):
    """What the server got; `connection` counts the connections, names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


Answer = bytes | Callable[[socket.socket, Request], None]
"""Bytes to send, or what sends them; the connection is closed after the latter."""


class Stub:
    """A server that answers by path; the last answer of a path's list stays."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """Listen."""
        self.seen: list[Request] = []
        self.connections = 0
        self.open = 0
        self.stopped = threading.Event()
        self._answers: dict[str, list[Answer]] = {}
        self._tls = tls
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        self._run(self._accept)

    def on(self, path: str, *answers: Answer) -> str:
        """Set the answers of a path; gives its URL."""
        self._answers[path] = list(answers)
        return self.url + path

    def of(self, path: str) -> list[Request]:
        """Give what was asked of a path."""
        return [one for one in self.seen if one.target.split("?")[0] == path]

    def close(self) -> None:
        """End every connection and every thread."""
        self.stopped.set()
        for one in (self._listener, *list(self._sockets)):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _run(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                one, _ = self._listener.accept()
            except OSError:
                return
            self._run(self._serve, one)

    def _serve(self, plain: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self.open += 1
            number = self.connections
            self._sockets.add(plain)
        one = plain
        try:
            if self._tls is not None:
                one = self._tls.wrap_socket(plain, server_side=True)
                self._sockets.add(one)
            self._speak(one, number)
        except OSError:
            return  # the client went, or the server is closed
        finally:
            one.close()
            with self._lock:
                self.open -= 1
                self._sockets -= {plain, one}

    def _speak(self, one: socket.socket, number: int) -> None:
        with one.makefile("rb") as read:
            while (request := _request(read, number)) is not None:
                self.seen.append(request)
                answer = self._answer(request.target.split("?")[0])
                if isinstance(answer, bytes):
                    one.sendall(answer)
                else:
                    answer(one, request)
                    return

    def _answer(self, path: str) -> Answer:
        with self._lock:
            answers = self._answers.get(path, [reply(404, b"no such path")])
            return answers.pop(0) if len(answers) > 1 else answers[0]


def _request(read, number: int) -> Request | None:
    head = read.readline().decode("latin-1").split()
    if len(head) != 3 or not head[2].startswith("HTTP/"):  # the end, or TLS
        return None
    headers: dict[str, str] = {}
    while line := read.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return Request(head[0], head[1], headers, read.read(int(headers.get("content-length", 0))), number)


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Write a whole answer; underscores in names of headers are hyphens."""
    told = {"content_length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status} Said", *(f"{name.replace('_', '-')}: {value}" for name, value in told.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def redirect(status: int, location: str) -> bytes:
    """Lead somewhere else."""
    return reply(status, b"elsewhere", location=location)


def cut(text: bytes) -> Answer:
    """Send this and close."""
    return lambda one, _: one.sendall(text)


def hang(stub: Stub, text: bytes = b"") -> Answer:
    """Send this, then nothing more until the server is closed."""

    def answer(one: socket.socket, _: Request) -> None:
        one.sendall(text)
        stub.stopped.wait()

    return answer


def endless(piece: bytes, head: bytes) -> Answer:
    """Send a head and then pieces, until the client has had enough."""

    def answer(one: socket.socket, _: Request) -> None:
        one.sendall(head)
        while True:
            one.sendall(piece)

    return answer


@contextmanager
def stub(tls: ssl.SSLContext | None = None) -> Iterator[Stub]:
    """Run a server for as long as the block lasts."""
    server = Stub(tls)
    try:
        yield server
    finally:
        server.close()


def closed_port() -> int:
    """Give a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


class Certificate(NamedTuple):
    """A certificate of its own making; `file` has it, `key` its key."""

    file: Path
    key: Path

    def server(self) -> ssl.SSLContext:
        """Give what serves with it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context


def certificate(folder: Path, *, host: str = "127.0.0.1", days: int = 1, password: bytes | None = None) -> Certificate:
    """Make a certificate for a host that is good until so many days from now; in the past with days below 0."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a stub")])
    now = dt.datetime.now(dt.UTC)
    try:
        subject: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        subject = x509.DNSName(host)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=30))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([subject]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    found = Certificate(folder / f"{host}{days}.pem", folder / f"{host}{days}.key")
    found.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    found.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, hidden))
    return found


class Call(ApiStepHandler):
    """Asks what its configuration says."""

    def process(self, task, sequence, step):
        """Ask."""
        config = self.config
        return self.connection.request(config.get("method", "GET"), config.get("path", ""), **config.get("send", {}))


class CallLater(ApiStepHandler):
    """Asks what its configuration says, on the loop."""

    async def process(self, task, sequence, step):
        """Ask."""
        config = self.config
        asked = self.connection.request(config.get("method", "GET"), config.get("path", ""), **config.get("send", {}))
        return await asked


class Ended(NamedTuple):
    """How a step of a task ended, or waits: its status, its results, its error, and the retry that is due."""

    status: str
    results: object
    error: object
    retry: Mapping[str, object] | None


def run_api(handler: type = Call, clock=None, keys: Mapping[str, object] | None = None, **config: object) -> Ended:
    """Run a task of one API step until nothing can run; without jitter."""
    declared = step("call", handler, handler_config={"type": "api", **config}, jitter=0, **(keys or {}))
    with memory_app(plan(declared), clock=clock) as app:
        task = app.submit(name="plan")
        app.run_until_idle()
        found = app.task(task.id).step("call")
        retries = [event.body for event in app.events(task.id, types="step.retry_scheduled")]
        return Ended(found.status, found.results, found.error, retries[-1] if retries else None)
