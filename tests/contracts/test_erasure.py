"""Contract of erasure: every copy of what users wrote follows, whoever holds it; the rest stays, and verifies."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from tasker.audit import keygen
from tasker.errors import InvalidRequest
from tasker.kafka.relay import Relay
from tests.contracts.shop import SECRET, Heard, shop, sold

KINDS = [{}, {"fails": True}]


@pytest.fixture
def app(place):
    """Give a shop on a database of each adapter."""
    place.open()
    with shop(place.url) as found:
        yield found


def stored(app, place):
    """Give every row of every table of the database, as text, that holds the secret."""
    store = app._engine.context.store
    names = "SELECT name FROM sqlite_master WHERE type = 'table'"
    if not place.adapter.sqlite:
        names = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    found = []
    for (name,) in place.adapter.raw(store, names):
        rows = place.adapter.raw(store, f'SELECT * FROM "{name}"')
        found += [(name, row) for row in rows if SECRET in repr(row)]
    return found


def erased(app, task_ids):
    """Erase tasks, and let every reader of the log follow."""
    for task_id in task_ids:
        app.erase(task_id, reason="asked for")
    app.run_until_idle()


def test_no_row_of_the_database_has_it(app, place):
    """Events, read models, subscriptions and parked events of an erased task hold nothing that its users wrote."""
    heard = Heard()
    app.subscribe(heard, start="beginning")
    heard.fails = True
    tasks = [sold(app, **kind) for kind in KINDS]
    assert {"events", "subscription_events", "subscriptions"} < {name for name, _ in stored(app, place)}
    erased(app, tasks)
    assert stored(app, place) == []
    assert [one.error for one in app.subscriptions.parked("heard")] == [None] * 2
    assert app.subscriptions.list()[0].error.count("(erased)") == 1


def test_the_text_of_another_task_stays(app):
    """What a subscriber said about a task that was not erased is kept."""
    heard = Heard()
    app.subscribe(heard, start="beginning")
    heard.fails = True
    sold(app)
    erased(app, [sold(app)])
    assert [SECRET in (one.error or "") for one in app.subscriptions.parked("heard")] == [True, False]


def test_read_models_follow_and_can_be_rebuilt(app, place):
    """An erased task is not found by its annotations any more; folding the log anew gives the same rows."""
    gone, kept = sold(app), sold(app)
    erased(app, [gone])
    by_name = ("person", "name", SECRET)
    assert [one.id for one in app.tasks(annotation=by_name).items] == [kept]
    assert app.replay().differences == []
    app.projections.rebuild()
    assert app.replay().differences == []
    assert [one.id for one in app.tasks(annotation=by_name).items] == [kept]
    erased(app, [kept])
    assert stored(app, place) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_subscriber_hears_of_it_without_contents(app, kind):
    """What a subscription had not delivered yet comes without contents, and task.erased comes as the last."""
    heard = Heard()
    app.subscribe(heard, start="beginning")
    app.subscriptions.pause("heard")
    task = sold(app, **kind)
    erased(app, [task])
    app.subscriptions.resume("heard")
    app.run_until_idle()
    assert [one.type for one in heard.events] == [one.type for one in app.events(task)]
    assert heard.events[-1].type == "task.erased"
    assert SECRET not in repr([(one.body, one.cloudevent()) for one in heard.events])


def test_a_parked_event_is_delivered_without_contents(app):
    """An event that was parked before the erasure goes out without contents once somebody retries it."""
    heard = Heard()
    app.subscribe(heard, start="beginning")
    heard.fails = True
    erased(app, [sold(app)])
    heard.fails = False
    (parked,) = app.subscriptions.parked("heard")
    app.subscriptions.retry("heard", parked.position)
    app.run_until_idle()
    assert (heard.events[0].type, heard.events[-1].type) == ("task.created", "task.erased")
    assert SECRET not in repr([one.body for one in heard.events])
    assert app.subscriptions.list()[0].error is None


def test_the_relay_publishes_without_contents(app):
    """What was not published yet goes to Kafka without contents, and so does what is published again."""
    sent = []
    task = sold(app)
    erased(app, [task])
    relay = Relay(app._engine.context.store, SimpleNamespace(publish=sent.extend), "events")
    while relay.step():
        pass
    relay.release()
    assert len(sent) == sum(1 for _ in app.events())
    assert SECRET.encode() not in b"".join(one.value for one in sent)
    assert b'"tasker.task.erased"' in sent[-1].value


def test_exports_and_proofs_are_without_contents(app, tmp_path):
    """An export made afterwards has no contents; seals from before hold, proofs too once the erasure is sealed."""
    task = sold(app)
    keygen(tmp_path / "key.pem")
    seal = app.audit.seal(tmp_path / "key.pem")
    before = app.audit.prove(task)
    erased(app, [task])
    lines = io.BytesIO()
    app.audit.export(lines)
    assert SECRET.encode() not in lines.getvalue()
    assert app.audit.verify(kept=[seal]).seals == 1
    with pytest.raises(InvalidRequest, match="its erasure is sealed"):
        app.audit.prove(task)
    app.audit.seal(tmp_path / "key.pem")
    assert (SECRET in before, SECRET in app.audit.prove(task)) == (True, False)


def test_the_key_still_belongs_to_the_task(app):
    """The identity is kept as its hash: the same request with the same key still is the erased task."""
    task = app.submit(name="order", context={"name": SECRET}, idempotency_key=SECRET)
    app.run_until_idle()
    erased(app, [task.id])
    again = app.submit(name="order", context={"name": SECRET}, idempotency_key=SECRET)
    assert (again.id, again.created, again.context) == (task.id, False, None)


def test_what_was_noted_since_is_erased_too(app, place):
    """A task that was annotated after its erasure is erased again; without anything new that is a repeat."""
    task = sold(app)
    erased(app, [task])
    position = app.task(task).position
    assert app.erase(task, reason="once more").position == position
    app.annotate(task, "person", {"name": SECRET})
    app.run_until_idle()
    assert stored(app, place) != []
    erased(app, [task])
    assert stored(app, place) == []
    assert [one.type for one in app.events(task)][-3:] == ["task.erased", "task.annotated", "task.erased"]
    assert app.audit.verify().events == app.task(task).position
    assert app.replay().differences == []
