"""How kafka-python is reached: options from the settings, errors as ours, and its own log lines kept down."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from warnings import catch_warnings, simplefilter

from tasker.errors import InvalidDefinition, TaskerError
from tasker.kafka.errors import BrokerUnavailable, PublishRefused
from tasker.kafka.security import tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

    from tasker.settings.sections import Kafka

INSTALL = "pip install 'tasker-engine[kafka]'"
ADMIN_SECONDS = 10.0
_Client = TypeVar("_Client")
_TRUST = "look at kafka.security: protocol, ca_file (whom we trust), certificate_file and key_file (who we are)"
_OPEN = "it may ask for TLS or a password: look at kafka.security.protocol"
_COMPRESSION = "gzip"  # the checksum over a batch is plain Python: over fewer bytes it costs a fifth
KEYS_REMEMBERED = 20_000
"""How many keys keep their place among the partitions in memory: the hash is plain Python."""
_MAX_REQUEST_BYTES = 16 * 1024 * 1024
_MOST_BACKOFF = 1_000  # milliseconds


def connection(settings: Kafka) -> dict[str, Any]:
    """Give the options that every client takes, of kafka-python and of aiokafka.

    Raises:
        InvalidDefinition: `kafka.bootstrap` is not set, or a file that `kafka.security` names cannot be read.
    """
    if not settings.bootstrap:
        msg = "kafka.bootstrap: expected the address of a broker such as localhost:9092, found none; set it in"
        raise InvalidDefinition(f"{msg} tasker.yaml or as TASKER_KAFKA__BOOTSTRAP")
    security = settings.security
    options = {
        "bootstrap_servers": list(settings.bootstrap),
        "client_id": settings.client_id,
        "security_protocol": security.protocol,
        "ssl_context": tls(security),
        "sasl_mechanism": security.mechanism,
        "sasl_plain_username": security.username,
        "sasl_plain_password": security.password,
    }
    return {name: value for name, value in options.items() if value is not None}


def producer(settings: Kafka, *, linger: float = 0.005, delivery: float = 20.0) -> KafkaProducer:
    """Connect a producer that is idempotent and waits for all replicas.

    Args:
        settings: Where the broker is.
        linger: Seconds for which messages wait for company.
        delivery: Seconds after which a message that was not acknowledged has failed.

    Raises:
        BrokerUnavailable: Nothing answers.
    """
    with told(settings):
        from kafka import KafkaProducer  # noqa: PLC0415 - an extra

        return _built(
            KafkaProducer, **connection(settings), bootstrap_timeout_ms=int(delivery * 1000), acks="all",
            enable_idempotence=True, compression_type=_COMPRESSION, max_request_size=_MAX_REQUEST_BYTES,
            linger_ms=int(linger * 1000), batch_size=131_072,
            delivery_timeout_ms=int(delivery * 1000), request_timeout_ms=int(min(delivery - 1, 10) * 1000),
            max_block_ms=int(min(delivery, ADMIN_SECONDS) * 1000), allow_auto_create_topics=False,
            partitioner=_partitioner(),
        )  # fmt: skip


def consumer(settings: Kafka, group: str | None = None) -> KafkaConsumer:
    """Connect a consumer that is given its partitions by hand and commits when it is told.

    Raises:
        BrokerUnavailable: Nothing answers.
    """
    with told(settings):
        from kafka import KafkaConsumer  # noqa: PLC0415 - an extra

        return _built(
            KafkaConsumer,
            **connection(settings), **_patience(settings), group_id=group, enable_auto_commit=False,
            auto_offset_reset="earliest", allow_auto_create_topics=False,
        )  # fmt: skip


@contextmanager
def admin(settings: Kafka, *, seconds: float = ADMIN_SECONDS) -> Iterator[KafkaAdminClient]:
    """Hold a client for topics.

    Raises:
        BrokerUnavailable: Nothing answers within so many seconds.
    """
    with told(settings):
        from kafka import KafkaAdminClient  # noqa: PLC0415 - an extra

        client = _built(KafkaAdminClient, **connection(settings), bootstrap_timeout_ms=int(seconds * 1000))
        try:
            yield client
        finally:
            client.close()


def cluster_id(settings: Kafka, *, seconds: float | None = None) -> str:
    """Wait for the broker, and give the id of its cluster.

    Args:
        settings: Where the broker is.
        seconds: How long at most; None for `kafka.start_timeout`.

    Raises:
        BrokerUnavailable: It has not answered in time.
    """
    wait = settings.start_timeout if seconds is None else seconds
    with admin(settings, seconds=wait) as client:
        return str(client.describe_cluster()["cluster_id"])


@cache
def load() -> None:
    """Import kafka-python, before anything else does, without what it has to say while it is imported.

    Raises:
        TaskerError: It is not installed.
    """
    try:
        with catch_warnings():
            simplefilter("ignore", DeprecationWarning)  # of Python 3.11 and 3.12, about how it reads its own files
            import kafka  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        msg = f"Kafka needs the package kafka-python, which is not installed ({error}); run {INSTALL}"
        raise TaskerError(msg) from error
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it logs each reconnect as an error; we say it once
    manager = logging.getLogger("kafka.net.manager")
    manager.setLevel(logging.WARNING)
    manager.addFilter(_heard)


class _Heard(logging.Filter):
    """Keeps how connecting failed: kafka-python says it in its log, and in the end only that the time is over."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""
        """Why connecting failed, as the last try tells that tells something; empty if it did not."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Take note, and let nothing through; that the time was over in the last try says less than those before it."""
        if str(record.msg).startswith("Bootstrap connection"):
            before, self.last = self.last, record.getMessage().partition(" failed: ")[2].partition(" (backoff")[0]
            if before and not (self.untrusted or self.hung_up):
                self.last = before
        return False

    @property
    def untrusted(self) -> bool:
        """Say whether one side would not go on under TLS; with TLS 1.3 a broker says so after the handshake."""
        return "Handshake failed" in self.last or "SSL:" in self.last

    @property
    def hung_up(self) -> bool:
        """Say whether the broker was there and closed the connection, as it does with wrong credentials."""
        return "disconnected" in self.last or "SaslAuthenticationFailed" in self.last


_heard = _Heard()


@contextmanager
def told(settings: Kafka) -> Iterator[None]:
    """Turn errors of kafka-python into ours, and its absence too.

    Raises:
        BrokerUnavailable: The broker did not answer, or refused the credentials.
        PublishRefused: The broker refused what was asked for good.
        TaskerError: kafka-python is not installed.
    """
    load()
    from kafka import errors  # noqa: PLC0415 - an extra

    where = ", ".join(settings.bootstrap)
    try:
        yield
    except errors.SaslAuthenticationFailedError as error:
        user = settings.security.username
        msg = f"Kafka at {where} refused the credentials of {user!r}, or expects others; look at kafka.security"
        raise BrokerUnavailable(msg) from error
    except errors.KafkaConfigurationError as error:
        msg = f"kafka: the settings do not fit together: {error}"
        raise InvalidDefinition(msg) from error
    except errors.RetriableError as error:
        hint = "is it running, is the address right, and are the topics there (`tasker kafka topics`)?"
        msg = f"expected an answer of Kafka at {where}, found none ({error}); {hint}"
        raise BrokerUnavailable(msg) from error
    except errors.KafkaError as error:
        raise PublishRefused(f"Kafka at {where} refuses: {error}") from error
    except OSError as error:
        raise BrokerUnavailable(f"Kafka at {where} cannot be reached: {error}") from error


def _partitioner() -> object:
    """Give what sends a key where every other producer sends it, and remembers where: its hash is plain Python."""
    from kafka.partitioner.default import DefaultPartitioner, murmur2  # noqa: PLC0415 - an extra

    hashed = lru_cache(maxsize=KEYS_REMEMBERED)(murmur2)

    class Remembering(DefaultPartitioner):  # type: ignore[misc]  # kafka-python has no types
        def partition(
            self, topic: str, key: bytes, serialized_key: bytes | None, value: bytes, serialized_value: bytes,
            cluster: Any,  # noqa: ANN401
        ) -> int:  # fmt: skip
            partitions = cluster.partitions_for_topic(topic)
            if serialized_key is None or not partitions:
                return int(super().partition(topic, key, serialized_key, value, serialized_value, cluster))
            return int((hashed(serialized_key) & 0x7FFFFFFF) % len(partitions))

    return Remembering()


def _built(kind: Callable[..., _Client], **options: Any) -> _Client:  # noqa: ANN401 - kafka-python has no types
    """Make a client that connects when it is made; one that cannot leaves no thread and no socket behind."""
    from kafka.net.compat import KafkaNetClient  # noqa: PLC0415 - an extra

    made: list[Any] = []

    def connect(**given: Any) -> Any:  # noqa: ANN401
        made.append(KafkaNetClient(**given))
        return made[-1]

    _heard.last = ""
    try:
        return kind(kafka_client=connect, reconnect_backoff_max_ms=_MOST_BACKOFF, **options)
    except BaseException as error:
        from kafka.errors import KafkaTimeoutError, SaslAuthenticationFailedError  # noqa: PLC0415 - an extra

        for one in made:
            one._net.stop(timeout_ms=1_000)  # noqa: SLF001 - nobody else can: who would have it was not made
            one.close()
        if isinstance(error, KafkaTimeoutError) and _heard.untrusted:
            raise BrokerUnavailable(f"{_expected(options)}, found {_heard.last}; {_TRUST}") from error
        if isinstance(error, KafkaTimeoutError) and _heard.hung_up:
            if str(options["security_protocol"]).startswith("SASL"):
                raise SaslAuthenticationFailedError(_heard.last) from error
            raise BrokerUnavailable(f"{_expected(options)}, found that it hangs up; {_OPEN}") from error
        raise


def _expected(options: Mapping[str, Any]) -> str:
    return f"expected Kafka at {', '.join(options['bootstrap_servers'])} to talk {options['security_protocol']}"


def _patience(settings: Kafka) -> dict[str, Any]:
    return {"bootstrap_timeout_ms": int(settings.start_timeout * 1000)}
