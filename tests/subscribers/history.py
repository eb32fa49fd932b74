"""Real histories: a shop in memory whose card is declined, and one that sells."""

from __future__ import annotations

from functools import cache

from tasker import PermanentError, StepTemplate, TaskDefinition, Tasker, Wait, testing

DECLINED = "card declined"
PASSWORD = "pw-12345"  # by name below, for the source line of a failure is part of its backtrace
HOSTILE = "<!channel> & <https://evil.example|click> ```*_~\x01\x1b[31m\u202egpj.exe?token=tok-12345&x=1 \U0001f600"


def look(task, sequence, step):
    """Sell something."""
    step.publish("order.sold", {"order_id": task.context.get("order_id", 7), "api_key": "key-12345", "note": HOSTILE})
    return {"item": "tea"}


def pay(task, sequence, step):
    """Take the money, or do not."""
    message = task.context.get("declined")
    if message:
        raise PermanentError(message, code="DECLINED", context={"password": PASSWORD, "amount": 3})
    return {"paid": True}


def sign(task, sequence, step):
    """Wait for nobody."""
    return Wait(5, "a signature")


look.name, pay.name, sign.name = "sells.look", "sells.pay", "sells.sign"

SHOP = TaskDefinition(
    name="shop",
    step_templates=[
        StepTemplate(name="look", handler_class=look),
        StepTemplate(name="pay", handler_class=pay, depends_on_step="look"),
    ],
)
SLOW = TaskDefinition(name="slow", timeout_seconds=5, step_templates=[StepTemplate(name="sign", handler_class=sign)])


def shop(url="memory://", clock=None) -> Tasker:
    """Give an application with the shop in it."""
    return testing.app(SHOP, SLOW, url=url, clock=clock or testing.FrozenClock())


def events(context: dict | None = None) -> dict:
    """Run one task and give its events by type; of several the last."""
    return dict(_events((context or {}).get("declined", DECLINED if context is None else None)))


@cache
def _events(declined: str | None) -> dict:
    with shop() as app:
        app.submit(name="shop", context={} if declined is None else {"declined": declined})
        app.run_until_idle()
        app.pause(scope="all", reason="tea time", actor="me")
        return {event.type: event for event in app.events()}
