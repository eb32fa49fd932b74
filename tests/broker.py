"""A real Apache Kafka for tests: one broker of our own, started when the first test asks.

It runs on Java 17; Maven brings its jars once, into `.kafka/lib` of the checkout, and is not asked again while
`tests/kafka_broker/pom.xml` stays as it is. With `TASKER_TEST_KAFKA=HOST:PORT` any other broker is used; what tests
make there has names of its own. `python -m tests.broker start` leaves a broker running, `stop` ends it.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "tests" / "kafka_broker"
CACHE = ROOT / ".kafka"
ADVICE = "no Kafka broker: install Java 17 or newer and Maven, or set TASKER_TEST_KAFKA to HOST:PORT of a broker"
JAVA = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

USER = "tasker"
_LOGIN = """
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.{listener}.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
  username="{user}" password="{password}" user_{user}="{password}";
"""
_TLS = """
ssl.keystore.type=PEM
ssl.keystore.location={store}
ssl.truststore.type=PEM
ssl.truststore.location={trusted}
ssl.client.auth={clients}
"""

_CLUSTER = "tasker-kafka-test00000"  # 22 characters of base64url
_START_SECONDS = 120.0
_STOP_SECONDS = 20.0
_DOWNLOAD_SECONDS = 300.0
_LOOK_SECONDS = 0.05
# The shell outlives nobody: when this process ends, however it ends, its input ends, and the broker goes.
_KEEPER = '"$@" & p=$!; echo $p; read -r how; kill -s "${how:-KILL}" $p; wait $p; exit 0'


def missing() -> list[str]:
    """Name the programs that a broker of our own needs and that are not there."""
    return [name for name in ("java", "mvn") if shutil.which(name) is None]


def jars() -> Path:
    """Give the folder with the jars of the broker; Maven copies them where the recipe is new."""
    lib, stamp = CACHE / "lib", CACHE / "stamp"
    recipe = RECIPE / "pom.xml"
    digest = hashlib.sha256(recipe.read_bytes()).hexdigest()
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if lib.is_dir() and stamp.exists() and stamp.read_text() == digest:
            return lib
        shutil.rmtree(lib, ignore_errors=True)
        command = ["mvn", "-q", "-B", "-f", str(recipe), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        done = subprocess.run(
            [*command, f"-DoutputDirectory={lib}"],
            capture_output=True, text=True, check=False, timeout=_DOWNLOAD_SECONDS, cwd=CACHE,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"Maven could not bring the broker:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")
        stamp.write_text(digest)
        return lib


class Tls(NamedTuple):
    """A certificate for 127.0.0.1 that whoever trusts it as an authority accepts, and its key, as PEM files.

    Attributes:
        file: The certificate.
        key: Its key.
        clients: The certificates by which clients have to prove themselves; None: nobody has to.
    """

    file: Path
    key: Path
    clients: Path | None = None


class Broker:
    """One broker, its own controller, on free ports of 127.0.0.1, with its data in a folder."""

    def __init__(
        self, folder: Path | None = None, *, port: int = 0, password: str | None = None, tls: Tls | None = None
    ) -> None:
        """Format the data and start.

        Args:
            folder: Where data and log lie, and stay; None for a temporary folder.
            port: Where clients connect; 0 for a free one.
            password: Of the user `tasker`, whom alone it lets in; None for a broker that lets everybody in.
            tls: What it proves itself with; None for a broker without TLS.
        """
        self._tls = tls
        self.security = _security(password, tls)
        self._temporary = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="tasker-kafka-")) if folder is None else folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lib = jars()
        self._keeper: subprocess.Popen[str] | None = None
        self.pid = 0
        self.port = port or _free_port()
        self._configure()
        try:
            self._format()
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def bootstrap(self) -> str:
        """Give the address for clients."""
        return f"127.0.0.1:{self.port}"

    def start(self, *, wait: bool = True) -> None:
        """Start it on its port and, unless told otherwise, wait until it answers."""
        command = ["sh", "-c", _KEEPER, "keeper", *self._java("kafka.Kafka")]
        with (self.folder / "log").open("ab") as log:
            self._keeper = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                start_new_session=True, cwd=self.folder,
            )  # fmt: skip
        assert self._keeper.stdout is not None
        self.pid = int(self._keeper.stdout.readline())
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        _await(self.bootstrap, self.pid, self.folder / "log", self.security)

    def stop(self, how: str = "TERM") -> None:
        """Stop it: by TERM in order, by KILL as if its machine had lost power; safe to repeat."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.communicate(f"{how}\n", timeout=_STOP_SECONDS)

    def close(self) -> None:
        """Stop it, and remove its folder if it is a temporary one."""
        self.stop("KILL" if self._temporary else "TERM")
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def leave(self) -> None:
        """Start it again so that it stays when this process ends; `pid` ends it."""
        self.stop()
        with (self.folder / "log").open("ab") as log:
            child = subprocess.Popen(
                self._java("kafka.Kafka"), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, cwd=self.folder,
            )  # fmt: skip
        self.pid = child.pid
        self.wait()

    def _java(self, main: str, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={RECIPE / 'log4j2.xml'}"
        own = arguments or (str(self.folder / "server.properties"),)
        return ["java", *JAVA, logging, "-cp", f"{self._lib}/*", main, *own]

    def _configure(self) -> None:
        """Write the configuration; data that is there already knows the port of its controller."""
        noted = self.folder / "controller"
        if not noted.exists():
            noted.write_text(str(_free_port()))
        text = (RECIPE / "server.properties").read_text().replace("{port}", str(self.port))
        text = text.replace("{controller}", noted.read_text()).replace("{data}", str(self.folder / "data"))
        protocol = self.security.get("protocol", "PLAINTEXT")
        text = text.replace("PLAINTEXT:PLAINTEXT", f"{protocol}:{protocol}").replace("=PLAINTEXT", f"={protocol}")
        if "password" in self.security:
            text += _LOGIN.format(listener=protocol.lower(), user=USER, password=self.security["password"])
        if self._tls is not None:
            text += self._keystore(self._tls)
        (self.folder / "server.properties").write_text(text)

    def _keystore(self, tls: Tls) -> str:
        """Write key and certificate as one file, as Kafka takes them, and give the lines that name it."""
        store = self.folder / "keystore.pem"
        store.write_bytes(tls.key.read_bytes() + tls.file.read_bytes())
        clients = "none" if tls.clients is None else "required"
        return _TLS.format(store=store, trusted=tls.clients or tls.file, clients=clients)

    def _format(self) -> None:
        properties = str(self.folder / "server.properties")
        options = ("format", "--standalone", "-t", _CLUSTER, "-c", properties, "--ignore-formatted")
        command = self._java("kafka.tools.StorageTool", *options)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=self.folder)
        assert done.returncode == 0, f"the broker's data could not be formatted:\n{done.stdout}\n{done.stderr}"


def _security(password: str | None, tls: Tls | None) -> dict[str, str]:
    """Give the settings with which the broker itself can be reached."""
    login = {} if password is None else {"mechanism": "PLAIN", "username": USER, "password": password}
    proof = {} if tls is None else {"ca_file": str(tls.file)}
    if tls is not None and tls.clients is not None:
        proof |= {"certificate_file": str(tls.file), "key_file": str(tls.key)}
    if not login and not proof:
        return {}
    return {"protocol": f"{'SASL_' if login else ''}{'SSL' if proof else 'PLAINTEXT'}", **login, **proof}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(bootstrap: str, pid: int, log: Path, security: dict[str, str]) -> None:
    """Wait until a broker answers; it is a failure if its process ends first."""
    from tasker.kafka.client import cluster_id
    from tasker.settings.sections import Kafka

    deadline = time.monotonic() + _START_SECONDS
    host, _, port = bootstrap.partition(":")
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection((host, int(port)), timeout=1).close()
            settings = Kafka(bootstrap=(bootstrap,), security=security)  # type: ignore[arg-type]
            cluster_id(settings, seconds=max(1.0, deadline - time.monotonic()))
            return
        if not _alive(pid) or time.monotonic() > deadline:
            raise RuntimeError(f"Kafka did not start:\n{log.read_text('utf-8', 'replace')[-4000:]}")
        time.sleep(_LOOK_SECONDS)


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class _Shared:
    """What this process has started; stopped when its tests are done."""

    broker: Broker | None = None


def required() -> None:
    """Skip the test where no broker can run; in CI fail it."""
    if absent := missing():
        text = f"{ADVICE} (missing: {', '.join(absent)})"
        if os.environ.get("CI"):
            pytest.fail(f"CI may not skip Kafka; {text}")
        pytest.skip(text)


def shared() -> str:
    """Give the address of the broker of this process; the first test that asks starts it, or is skipped without one."""
    if given := os.environ.get("TASKER_TEST_KAFKA"):
        return given
    if _Shared.broker is None:
        required()
        _Shared.broker = Broker()
        atexit.register(stop)
    return _Shared.broker.bootstrap


def stop() -> None:
    """Stop what this process has started; safe to repeat."""
    broker, _Shared.broker = _Shared.broker, None
    if broker is not None:
        broker.close()


@contextlib.contextmanager
def own(*, password: str | None = None, tls: Tls | None = None) -> Iterator[Broker]:
    """Hold a broker that a test may stop and kill."""
    required()
    broker = Broker(password=password, tls=tls)
    try:
        yield broker
    finally:
        broker.close()


def prefix() -> str:
    """Give a prefix for the names of one test: topics and groups of others never meet them."""
    return f"t{uuid.uuid4().hex[:10]}"


def main(wish: str) -> int:
    """Start a broker that stays, or stop it."""
    place = CACHE / "broker"
    noted = place / "pid"
    running = int(noted.read_text()) if noted.exists() else 0
    running = running if running and _alive(running) else 0
    if wish == "start":
        if running:
            sys.stdout.write(f"A broker runs already, as process {running}\n")
            return 0
        broker = Broker(place, port=int(os.environ.get("KAFKA_PORT", "9092")))
        broker.leave()
        noted.write_text(str(broker.pid))
        sys.stdout.write(f"Kafka runs as process {broker.pid}\nexport TASKER_KAFKA__BOOTSTRAP={broker.bootstrap}\n")
        return 0
    if running:
        os.kill(running, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while _alive(running) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
    noted.unlink(missing_ok=True)
    sys.stdout.write("No broker runs\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "start"))
