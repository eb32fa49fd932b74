"""Configuration: what is missing or wrong is said when a subscriber is made, with where it comes from."""

from __future__ import annotations

import sys

import pytest

from tasker.cli.loading import subscribe
from tasker.errors import InvalidDefinition
from tasker.settings import Settings
from tasker_subscribers import (
    LogSubscriber,
    PagerDutySubscriber,
    SentrySubscriber,
    SlackSubscriber,
    WebhookSubscriber,
)
from tests.subscribers.history import events, shop
from tests.subscribers.services import KEY, SERVICES, SIGNING, TOKEN

WHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("kind", "config", "parts"),
    [
        (SlackSubscriber, {}, ["a bot token", "SLACK_BOT_TOKEN", "token=…", "found neither", "xoxb-", "webhook_url"]),
        (SlackSubscriber, {"token": TOKEN}, ["a channel", "SLACK_CHANNEL", "channel='#orders'", "found neither"]),
        (PagerDutySubscriber, {}, ["a routing key", "PAGERDUTY_ROUTING_KEY", "found neither", "Events API v2"]),
        (SentrySubscriber, {}, ["a DSN", "SENTRY_DSN", "found neither", "Client Keys"]),
        (WebhookSubscriber, {}, ["an address", "WEBHOOK_URL", "found neither"]),
        (WebhookSubscriber, {"url": WHERE}, ["a signing secret", "WEBHOOK_SECRET", "found neither", "unsigned=True"]),
        (SlackSubscriber, {"token_env": "NOT_SET", "channel": "x"}, ["the variable NOT_SET", "not set"]),
    ],
)
def test_what_is_missing(kind, config, parts):
    """A missing token is named, with the variable, the option, and where people get one."""
    with pytest.raises(InvalidDefinition) as raised:
        kind(**config)
    text = str(raised.value)
    assert text.startswith(f"{kind.__name__}: expected ")
    assert [part for part in parts if part not in text] == []


@pytest.mark.parametrize("name", SERVICES)
def test_unknown_options(name):
    """An option that does not exist is refused, with those that resemble it."""
    with pytest.raises(InvalidDefinition, match=r"found 'tiemout'\. Did you mean 'timeout'") as raised:
        SERVICES[name].make(WHERE, tiemout=3)
    assert raised.value.path == ("tiemout",)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"timeout": 0}, "found 0"),
        ({"timeout": "5"}, "found '5'"),
        ({"timeout": True}, "found True"),
        ({"timeout": float("nan")}, "found nan"),
        ({"timeout": 3600}, "at most 60"),
        ({"events": []}, "a text or a list of texts"),
        ({"events": {"a": 1}}, "a text or a list of texts"),
        ({"name": " "}, "a text that is not empty"),
        ({"filter": "yes"}, "a function of the event"),
        ({"filter": {"a": None}}, "filter.a"),
        ({"task_url": "/tasks/{task_id}"}, "an absolute URL"),
        ({"task_url": "https://x/"}, "{task_id}"),
        ({"task_url": "https://x/{task_id.__class__}"}, "plain names"),
        ({"task_url": "https://x/{"}, "found 'https://x/{'"),
        ({"filter": {}, "source": 7}, "a text that is not empty, found 7"),
        ({"severity": "bad"}, "critical, error, warning or info, found 'bad'"),
        ({"routing_key": "short"}, "32 letters and digits, found 5 characters"),
        ({"routing_key": f"{KEY[:-2]} x"}, "in one word"),
        ({"routing_key": 7}, "a value of type int"),
        ({"api_url": "events.pagerduty.com"}, "an absolute URL"),
    ],
)
def test_wrong_values(config, found):
    """A wrong value is refused with what was expected and what was found; a secret is not shown."""
    with pytest.raises(InvalidDefinition) as raised:
        PagerDutySubscriber(**{"routing_key": KEY, **config})
    assert found in str(raised.value)
    assert KEY[:-2] not in str(raised.value)


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize(("timeout", "least"), [(1, 60), (10, 60), (11, 66), (60, 360)])
def test_a_long_timeout_is_no_hanging_delivery(name, timeout, least):
    """A delivery counts as hanging only after all phases of its request could have run into the timeout."""
    assert SERVICES[name].make(WHERE, timeout=timeout).delivery_timeout == least


def test_a_class_may_wait_longer():
    """What a derived class says stands, unless its timeout needs more."""

    class Patient(PagerDutySubscriber):
        delivery_timeout = 90.0

    assert [Patient(routing_key=KEY, timeout=seconds).delivery_timeout for seconds in (10, 12, 20)] == [90, 90, 120]


@pytest.mark.parametrize(
    "dsn", ["nonsense", "https://host/1", "https://key@host/", "https://key@host/shop", "ftp://k@h/1"]
)
def test_a_wrong_dsn(dsn):
    """What is no DSN is refused, and not shown."""
    with pytest.raises(InvalidDefinition, match="expected a DSN") as raised:
        SentrySubscriber(dsn=dsn)
    assert dsn not in str(raised.value)


def test_slack_takes_one_way():
    """Slack is given a token or a webhook; both is a mistake, and of variables the token comes first."""
    with pytest.raises(InvalidDefinition, match="found both"):
        SlackSubscriber(token=TOKEN, webhook_url=WHERE)


@pytest.mark.parametrize(
    ("variables", "paths"),
    [
        ({"SLACK_BOT_TOKEN": TOKEN, "SLACK_CHANNEL": "#a", "SLACK_WEBHOOK_URL": "{url}/hook"}, "/api/chat.postMessage"),
        ({"SLACK_WEBHOOK_URL": "{url}/hook"}, "/hook"),
    ],
)
def test_the_environment(endpoint, monkeypatch, variables, paths):
    """Tokens, channels and addresses come from the usual variables."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(url=endpoint.url))
    endpoint.usual = SERVICES["slack"].success if "api" in paths else endpoint.usual
    SlackSubscriber(api_url=f"{endpoint.url}/api").handle(events()["task.failed"])
    assert [seen.path for seen in endpoint.seen] == [paths]


def test_another_variable(monkeypatch):
    """`…_env` names another variable: two subscribers of a kind have a secret each."""
    monkeypatch.setenv("ORDERS_KEY", KEY)
    subscriber = PagerDutySubscriber(routing_key_env="ORDERS_KEY", name="orders")
    subscriber.close()
    assert subscriber.name == "orders"


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ({"task_name": "sh*"}, True),
        ({"task_name": ["other", "shop"], "final": True, "attempt": 1}, True),
        ({"final": "false"}, False),
        ({"nothing": "*"}, False),
        (lambda event: event.step == "pay", True),
        (lambda event: None, False),
    ],
    ids=["glob", "all of them", "another value", "no such key", "function", "nothing said"],
)
def test_the_filter(wanted, taken):
    """The option `filter` is a function, or globs for keys of the event, all of which have to fit."""
    assert LogSubscriber(filter=wanted).deliver(events()["step.failed"]) is taken


@pytest.mark.parametrize(
    ("library", "module", "make"),
    [
        ("slack_sdk", "tasker_subscribers.slack_client", lambda: SlackSubscriber(token=TOKEN, channel="#orders")),
        ("sentry_sdk", "tasker_subscribers.sentry_client", lambda: SentrySubscriber(dsn="https://key@host/1")),
    ],
)
def test_a_missing_extra(monkeypatch, library, module, make):
    """Without its library a subscriber says which line installs it."""
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    extra = library.removesuffix("_sdk")
    with pytest.raises(InvalidDefinition, match=rf"pip install 'tasker-subscribers\[{extra}\]'"):
        make()


def test_from_the_settings(endpoint, monkeypatch):
    """The subscribers of `tasker.yaml` are made from `class`, `name`, `events` and `config`."""
    monkeypatch.setenv("SHOP_SECRET", SIGNING)
    listed = [
        {"class": "tasker_subscribers:LogSubscriber", "config": {"data": False}},
        {
            "class": "tasker_subscribers:WebhookSubscriber",
            "name": "shop",
            "events": ["order.*"],
            "start": "beginning",
            "config": {"url": f"{endpoint.url}/shop", "secret_env": "SHOP_SECRET", "headers": {"X-Shop": "tea"}},
        },
    ]
    with shop() as app:
        app.submit(name="shop")
        app.run_until_idle()
        assert subscribe(app, Settings.of({"subscribers": listed})) == ["log", "shop"]
        app.run_until_idle()
    assert [seen.json["type"] for seen in endpoint.seen] == ["tasker.order.sold"]


@pytest.mark.parametrize("config", [{"timout": 3}, {}], ids=["an unknown option", "no secret"])
def test_wrong_settings(config):
    """What is wrong in the settings stops the start with Tasker's own error."""
    listed = [{"class": "tasker_subscribers:WebhookSubscriber", "config": {"url": WHERE, **config}}]
    with shop() as app, pytest.raises(InvalidDefinition, match="expected"):
        subscribe(app, Settings.of({"subscribers": listed}))
