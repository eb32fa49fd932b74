"""Rules of settings: where they come from, what is refused, what is shown."""

from __future__ import annotations

import textwrap
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from tasker.errors import InvalidDefinition, InvalidRequest
from tasker.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, text: str, name: str = "tasker.yaml") -> None:
    """Put a settings file into a folder."""
    (folder / name).write_text(textwrap.dedent(text), encoding="utf-8")


def refused(folder: Path, environ: dict[str, str] | None = None) -> str:
    """Return the sentence with which loading is refused."""
    with pytest.raises(InvalidDefinition) as caught:
        Settings.load(environ or {}, folder)
    return str(caught.value)


def test_defaults(tmp_path: Path) -> None:
    """Without file and variables every setting has the documented default, and says so."""
    settings = Settings.load({}, tmp_path)
    assert (settings.url, settings.concurrency, settings.max_server_delay) == ("sqlite:///tasker.db", 16, 3600)
    assert (settings.leases.heartbeat, settings.leases.timeout, settings.shutdown_timeout) == (5, 30, 25)
    assert settings.identity.strategy == "always_unique"
    assert settings.sizes.model_dump() == {
        "context": 262144,
        "results": 262144,
        "event": 921600,
        "error_message": 4096,
        "backtrace": 16384,
        "steps": 10000,
    }
    assert set(settings.sources.values()) == {"default"}


def test_the_file_is_read_with_its_lines(tmp_path: Path) -> None:
    """Each key of the file counts, an empty section is its default, and its place is known, also inside lists."""
    write(
        tmp_path,
        """\
        url: memory://
        definitions: tasks/
        leases:
        sizes: {steps: 5}
        limits:
          tasks: {default.orders: 3}
        subscribers:
          - class: shop:Notify
            config: {channel: C1}
        kafka: {bootstrap: "a:9092, b:9092"}
        telemetry: {log_level: DEBUG}
        """,
    )
    settings = Settings.load({}, tmp_path)
    assert (settings.url, settings.definitions, settings.leases.heartbeat) == ("memory://", ("tasks/",), 5)
    assert (settings.sizes.steps, settings.limits.tasks, settings.telemetry.log_level) == (
        5,
        {"default.orders": 3},
        "debug",
    )
    assert settings.kafka.bootstrap == ("a:9092", "b:9092")
    assert (settings.subscribers[0].class_, settings.subscribers[0].start) == ("shop:Notify", "now")
    assert settings.sources["sizes.steps"] == "tasker.yaml:4"
    assert settings.sources["sizes.event"] == "default"
    assert settings.sources["leases.heartbeat"] == "default"
    assert settings.where("subscribers.0.class") == "tasker.yaml:8"
    assert settings.where("subscribers.0.config.channel") == "tasker.yaml:9"
    assert settings.where("subscribers.0.name") == "tasker.yaml:8"


def test_references_and_starts() -> None:
    """References are module:name, and a subscriber starts now, at the beginning or after a position."""
    subscribers = [{"class": "a", "start": start} for start in ("now", "beginning", 7)]
    settings = Settings.of(
        {"app": "shop.main:setup", "identity": {"strategy": "shop:identity"}, "subscribers": subscribers}
    )
    assert (settings.app, settings.identity.strategy) == ("shop.main:setup", "shop:identity")
    assert [subscriber.start for subscriber in settings.subscribers] == ["now", "beginning", 7]


def test_variables_win_over_the_file(tmp_path: Path) -> None:
    """A TASKER_ variable wins; lists, maps and sections are JSON or YAML; the deeper of two variables wins."""
    write(tmp_path, "url: memory://\nenvironment: file\nleases: {heartbeat: 1, timeout: 9}\nconcurrency: 3\n")
    environ = {
        "TASKER_URL": "sqlite:///other.db",
        "TASKER_ENV": "production",
        "TASKER_ENVIRONMENT": "loses",
        "TASKER_CONCURRENCY": "",
        "TASKER_LEASES": '{"heartbeat": 2}',
        "TASKER_LEASES__HEARTBEAT": "2.5",
        "TASKER_LIMITS__SYSTEMS": "{bank: 2}",
        "TASKER_DEFINITIONS": '["a", "b"]',
        "TASKER_HTTP__AUTH__ALLOW_ANONYMOUS": "yes",
        "TASKER_TELEMETRY__ENABLED": "0",
        "TASKER_KAFKA__SECURITY__PASSWORD": "12345",
        "OTHER": "x",
    }
    settings = Settings.load(environ, tmp_path)
    assert (settings.url, settings.environment, settings.concurrency) == ("sqlite:///other.db", "production", 3)
    assert (settings.leases.heartbeat, settings.leases.timeout) == (2.5, 9)
    assert (settings.limits.systems, settings.definitions) == ({"bank": 2}, ("a", "b"))
    assert (settings.http.auth.allow_anonymous, settings.telemetry.enabled) == (True, False)
    assert settings.kafka.security.password == "12345"  # text stays text, whatever YAML would read
    assert settings.sources["environment"] == "variable TASKER_ENV"
    assert settings.sources["leases.heartbeat"] == "variable TASKER_LEASES__HEARTBEAT"
    assert settings.sources["leases.timeout"] == "tasker.yaml:3"
    assert settings.sources["concurrency"] == "tasker.yaml:4"


def test_variables_that_are_no_settings(tmp_path: Path) -> None:
    """Tasker's other variables, those of tests, and what Kubernetes sets for a service named tasker are no settings."""
    environ = {
        "TASKER_NATIVE": "0",
        "TASKER_TEST_ANYTHING": "1",
        "TASKER_SERVICE_HOST": "10.0.0.1",
        "TASKER_WEB_SERVICE_PORT_HTTP": "80",
        "TASKER_PORT": "tcp://10.0.0.1:80",
        "TASKER_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert set(Settings.load(environ, tmp_path).sources.values()) == {"default"}


def test_tasker_config_names_the_file(tmp_path: Path) -> None:
    """TASKER_CONFIG is looked up from the working directory, wins over tasker.yaml, and must exist."""
    write(tmp_path, "concurrency: 1\n")
    write(tmp_path, "concurrency: 2\n", "other.yaml")
    settings = Settings.load({"TASKER_CONFIG": "other.yaml"}, tmp_path)
    assert (settings.concurrency, settings.sources["concurrency"]) == (2, "other.yaml:1")
    text = refused(tmp_path, {"TASKER_CONFIG": "none.yaml"})
    assert text == (
        "variable TASKER_CONFIG: expected a settings file, found nothing at 'none.yaml'; "
        "correct the path or unset the variable"
    )
    assert "expected a readable file" in refused(tmp_path, {"TASKER_CONFIG": "."})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nconcurency: 3\n", "tasker.yaml:1: a: unknown key"),
        ("concurency: 3\n", "tasker.yaml:1: concurency: unknown key. Did you mean 'concurrency'"),
        ("\nleases:\n  hartbeat: 3\n", "tasker.yaml:3: leases.hartbeat: unknown key. Did you mean 'heartbeat'?"),
        ("concurrency: many\n", "tasker.yaml:1: concurrency: expected a valid integer, found 'many'"),
        ("concurrency: 0\n", "concurrency: expected greater than or equal to 1, found 0"),
        ("concurrency: true\n", "concurrency: expected a valid integer, found True"),
        ("leases: 5\n", "tasker.yaml:1: leases: expected a map, found 5"),
        ("leases: {timeout: 4}\n", "tasker.yaml:1: leases: expected a timeout longer than the heartbeat"),
        ("limits:\n  tasks:\n    a.b: 0\n", "tasker.yaml:3: limits.tasks.a.b: expected greater than or equal to 1"),
        ("limits: {tasks: [1]}\n", "limits.tasks: expected a map, found a list"),
        ("definitions: {a: 1}\n", "definitions: expected a list, found a map"),
        ("http: {host: 1}\n", "http.host: expected text, found 1"),
        ("app: shop\n", "app: expected a reference such as package.module:name, found 'shop'"),
        ("identity: {strategy: sometimes}\n", "expected always_unique, strict or module:function, found 'sometimes'"),
        ("telemetry: {log_format: xml}\n", "expected 'json', 'logfmt' or 'console', found 'xml'"),
        ("subscribers:\n  - {class: a.b}\n  - {name: x}\n", "tasker.yaml:3: subscribers.1.class: expected a value"),
        (
            "subscribers:\n  - {class: a.b, strat: now}\n",
            "tasker.yaml:2: subscribers.0.strat: unknown key. Did you mean",
        ),
        ("subscribers:\n  - {clas: a.b}\n", "tasker.yaml:2: subscribers.0.clas: unknown key. Did you mean 'class'?"),
        ("subscribers:\n  - {class: a.b, start: -1}\n", "start: expected now, beginning or a position"),
        (
            "http: {keys: [{name: a}]}\n",
            "tasker.yaml:1: http.keys.0.hash: expected a value, found none; add the key (and 2 more)",
        ),
        ("url: 1\nurl: 2\n", "tasker.yaml:2: expected each key once, found 'url' again"),
        ("url: [\n", "tasker.yaml:2: expected YAML, found an error"),
        ("url: !x y\n", "tasker.yaml:1: expected YAML"),
        ("url: \x01\n", "tasker.yaml: expected YAML"),
        ("- url\n", "tasker.yaml:1: expected keys and values, found a list"),
        ("1: x\n", "tasker.yaml:1: 1: expected"),
    ],
)
def test_what_the_file_gets_wrong_is_told_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    """A wrong file is an InvalidDefinition: file:line, key, expectation, finding, near names."""
    write(tmp_path, text)
    assert expected in refused(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (
            "TASKER_CONCURENCY",
            "1",
            "variable TASKER_CONCURENCY: no setting has this variable. Did you mean 'TASKER_CONCURRENCY'",
        ),
        ("TASKER_LEASES__X", "1", "variable TASKER_LEASES__X: no setting has this variable"),
        ("TASKER_LIMITS__TASKS__A", "1", "Did you mean 'TASKER_LIMITS__TASKS'"),
        (
            "TASKER_CONCURRENCY",
            "many",
            "variable TASKER_CONCURRENCY: concurrency: expected a valid integer, found 'many'",
        ),
        ("TASKER_LEASES__TIMEOUT", "1", "variable TASKER_LEASES__TIMEOUT: leases: expected a timeout longer"),
        ("TASKER_LEASES", "{x: 1}", "variable TASKER_LEASES: leases.x: unknown key"),
        ("TASKER_SUBSCRIBERS", "[{", "variable TASKER_SUBSCRIBERS: expected JSON or YAML"),
    ],
)
def test_what_a_variable_gets_wrong_is_told_with_its_name(tmp_path: Path, name: str, value: str, expected: str) -> None:
    """A wrong variable is an InvalidDefinition that names it."""
    assert expected in refused(tmp_path, {name: value})


def test_a_variable_does_not_hide_what_the_file_gets_wrong(tmp_path: Path) -> None:
    """Where the file has a value in a section's place, the file's line is told."""
    write(tmp_path, "leases: 5\n")
    assert refused(tmp_path, {"TASKER_LEASES__HEARTBEAT": "1"}).startswith("tasker.yaml:1: leases:")


def test_no_settings_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapping is all there is: neither file nor variables are read; None reads both; Settings pass through."""
    write(tmp_path, "concurrency: 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASKER_CONFIG", raising=False)
    monkeypatch.setenv("TASKER_URL", "memory://")
    given = Settings.of({"concurrency": 4, "leases": {"timeout": 60}})
    assert (given.url, given.concurrency, given.leases.timeout) == ("sqlite:///tasker.db", 4, 60)
    assert (given.sources["leases.timeout"], given.sources["leases.heartbeat"]) == ("given", "default")
    loaded = Settings.of(None)
    assert (loaded.url, loaded.concurrency) == ("memory://", 3)
    assert Settings.of(given) is given


@pytest.mark.parametrize(
    ("value", "path"),
    [({"concurency": 1}, "$.concurency"), ({"leases": {"timeout": "x"}}, "$.leases.timeout"), ([], "$")],
)
def test_a_wrong_mapping_is_an_invalid_request(value: dict[str, object], path: str) -> None:
    """What is wrong in a mapping is an InvalidRequest that names its key."""
    with pytest.raises(InvalidRequest) as caught:
        Settings.of(value)
    assert list(caught.value.problems) == [path]


def test_settings_are_frozen() -> None:
    """Nothing in settings can be changed, maps included."""
    settings = Settings.of({"limits": {"tasks": {"a.b": 1}}})
    for name in ("url", "leases"):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(settings, name, "memory://")
    assert isinstance(settings.limits.tasks, MappingProxyType)


def test_secrets_are_masked_in_what_is_shown_and_in_errors() -> None:
    """Passwords, keys and tokens never appear: not in `masked`, in errors, in representations of errors' causes."""
    secret = "hunter2"
    settings = Settings.of(
        {
            "url": f"postgresql+psycopg://u:{secret}@h/db",
            "direct_url": f"postgresql+psycopg://h/db?password={secret}&x=1",
            "kafka": {"security": {"password": secret}},
            "http": {"keys": [{"name": "ops", "hash": secret, "permissions": ["admin"], "namespaces": ["*"]}]},
            "subscribers": [
                {"class": "s", "config": {"webhook_url": secret, "deep": [{"api_key": secret}], "channel": "C"}}
            ],
        }
    )
    shown = settings.masked()
    assert secret not in str(shown)
    assert shown["url"] == "postgresql+psycopg://u:[FILTERED]@h/db"
    assert shown["direct_url"] == "postgresql+psycopg://h/db?password=[FILTERED]&x=1"
    assert "'channel': 'C'" in str(shown)
    assert shown["concurrency"] == 16
    for wrong in ({"kafka": {"security": {"password": [secret]}}}, {"app": f"x://u:{secret}@h"}):
        with pytest.raises(InvalidRequest) as caught:
            Settings.of(wrong)
        assert secret not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
