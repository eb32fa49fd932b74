"""A broker behind TLS: everything goes over it, whoever is not trusted is told so, and no secret is ever shown."""

from __future__ import annotations

import json

import pytest

from tasker.errors import TaskerError
from tasker.kafka.client import cluster_id
from tasker.kafka.errors import BrokerUnavailable
from tasker.settings.sections import Kafka
from tests import broker
from tests.integration.api_kit import certificate
from tests.integration.cli_kit import wait_for
from tests.integration.kafka_kit import site

PASSWORD = "correct-horse-battery"
WRONG = "staple-of-nobody"
ENOUGH = 5.0  # seconds for more than one try of a machine that is busy; most of these cases use all of them


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    """A folder with the broker's certificate, and one of somebody else."""
    folder = tmp_path_factory.mktemp("papers")
    return certificate(folder), certificate(folder, days=2)


@pytest.fixture(scope="module")
def kafka(papers):
    """A broker that lets a user with a password in, over TLS alone."""
    with broker.own(password=PASSWORD, tls=broker.Tls(papers[0].file, papers[0].key)) as made:
        yield made


@pytest.fixture(scope="module")
def mutual(papers):
    """A broker whose clients prove themselves by a certificate."""
    with broker.own(tls=broker.Tls(papers[0].file, papers[0].key, papers[0].file)) as made:
        yield made


@pytest.fixture
def trust(kafka, papers):
    """The broker with a password, and the certificates."""
    return kafka, papers


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The present folder, which is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def called(made, *arguments):
    """Call the command in a process of its own; it must succeed. Gives its JSON lines."""
    with made.shell.process(*arguments, "--json", name="called") as process:
        assert process.child.wait(120) == 0, process.err
        assert PASSWORD not in process.out + process.err
        return [json.loads(line) for line in process.out.splitlines()]


def ended(made, tag):
    """Say whether the one task with a tag has ended well."""
    return [one.status for one in made.log.tasks(tag=tag).items] == ["complete"]


def works(made):
    """Make the topics, run a worker, publish a good and a bad request, replay the bad one, see all events go out."""
    assert [line["state"] for line in called(made, "kafka", "topics")] == ["created"] * 4
    with made.worker() as process:
        called(made, "kafka", "publish", "shop", "--tag", "good")
        called(made, "kafka", "publish", "shop", "--context", '{"item": 7}')
        wait_for(lambda: ended(made, "good"))
        wait_for(lambda: [line["reason"] for line in called(made, "kafka", "dlq", "list")] == ["invalid_request"])
        assert len(called(made, "kafka", "dlq", "replay")) == 1
        wait_for(lambda: len(called(made, "kafka", "dlq", "list", "--all")) == 2)
        events = list(made.log.events())
        wait_for(lambda: [one.checkpoint for one in made.log.subscriptions.list()] == [events[-1].position])
        assert process.stop() == 0, process.err
        return process


@pytest.mark.slow
def test_everything_goes_over_tls(kafka, tmp_path):
    """Topics, publishing, the worker, its relay and the dead letters use TLS and the password, which nobody shows."""
    url = f"sqlite:///{tmp_path}/shop.db"
    with site(tmp_path, url, kafka.bootstrap, kafka={"security": kafka.security}) as made:
        process = works(made)
        assert PASSWORD not in process.out + process.err
        assert called(made, "doctor")[0]["checks"]["broker"] == "ok"
    for file in tmp_path.glob("shop.db*"):
        assert PASSWORD.encode() not in file.read_bytes()


@pytest.mark.slow
def test_a_certificate_instead_of_a_password(mutual, tmp_path):
    """Where the broker asks clients for certificates, everything proves itself with the one of the settings."""
    url = f"sqlite:///{tmp_path}/shop.db"
    with site(tmp_path, url, mutual.bootstrap, kafka={"security": mutual.security}) as made:
        process = works(made)
    assert "PRIVATE KEY" not in process.out + process.err


@pytest.mark.parametrize(
    ("command", "change", "says"),
    [
        ("worker", {"ca_file": "other"}, "CERTIFICATE_VERIFY_FAILED"),
        ("topics", {"ca_file": None}, "CERTIFICATE_VERIFY_FAILED"),
        ("topics", {"ca_file": "nothing"}, "kafka.security.ca_file"),
        ("worker", {"ca_file": "key"}, "kafka.security.ca_file"),
        ("worker", {"password": WRONG}, "refused the credentials of 'tasker'"),
        ("worker", {"protocol": "PLAINTEXT"}, "kafka.security.protocol"),
    ],
)
def test_who_is_not_trusted_is_told(trust, here, capfd, command, change, says):
    """A wrong authority, a file that is none, a wrong password, no TLS: one line says where to look; the code is 1."""
    kafka, papers = trust
    files = {"other": papers[1].file, "key": papers[0].key, "nothing": here / "nothing.pem"}
    changed = {name: str(files.get(value, value)) if value else None for name, value in change.items()}
    security = {name: value for name, value in {**kafka.security, **changed}.items() if value is not None}
    settings = {"security": security, "start_timeout": ENOUGH}
    with site(here, "sqlite:///shop.db", kafka.bootstrap, kafka=settings) as made:
        assert made.shell("kafka", command).code == 1
    told = capfd.readouterr().err
    assert says in told
    assert len(told.strip().splitlines()) == 1
    assert not any(secret in told for secret in (PASSWORD, WRONG, "Traceback", "PRIVATE KEY"))


@pytest.mark.parametrize(
    ("own", "key", "says"),
    [(0, 1, "expected a certificate in"), (1, 1, "talk SSL"), (None, None, "talk SSL")],
)
def test_who_has_no_certificate_is_told(mutual, papers, own, key, says):
    """A certificate that the broker does not know, none, and a key of another one: each is said, with the settings."""
    security = {"protocol": "SSL", "ca_file": str(papers[0].file)}
    if own is not None:
        security |= {"certificate_file": str(papers[own].file), "key_file": str(papers[key].key)}
    with pytest.raises(TaskerError, match=r"kafka\.security") as told:
        cluster_id(Kafka(bootstrap=(mutual.bootstrap,), security=security), seconds=ENOUGH)
    assert says in str(told.value)


def test_a_key_with_a_password_is_refused_and_asks_nobody(papers, tmp_path):
    """There is no setting for the password of a key: it is an error at once, and nobody is asked at a terminal."""
    locked = certificate(tmp_path, password=b"hidden-word")
    security = {"protocol": "SSL", "certificate_file": str(locked.file), "key_file": str(locked.key)}
    with pytest.raises(TaskerError, match="the key has no password") as told:
        cluster_id(Kafka(bootstrap=("127.0.0.1:1",), security=security), seconds=1.0)
    assert "hidden-word" not in str(told.value)


def test_tls_to_a_broker_without_it_is_told():
    """A broker that talks plainly is told from one that does not answer."""
    with broker.own() as plain, pytest.raises(BrokerUnavailable, match=r"talk SSL.*kafka\.security"):
        cluster_id(Kafka(bootstrap=(plain.bootstrap,), security={"protocol": "SSL"}), seconds=ENOUGH)
