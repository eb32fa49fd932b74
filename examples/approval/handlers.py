"""The steps of approval: one waits for a person, the other does what the person has said."""

from tasker import Wait

BY_RULE = 1000
"""Euros below which nobody is asked."""

APPROVERS = ("manager", "director")
"""Who is asked at the first attempt, and who when the first one has let the time pass."""

DAY = 86_400


def approve(task, sequence, step):
    """Ask somebody; the step waits without a thread or a slot, over every restart, until it is completed."""
    amount = task.context["amount"]
    if amount < BY_RULE:
        return {"approved": True, "by": "rule"}
    who = APPROVERS[min(step.attempt, len(APPROVERS)) - 1]
    return Wait(task.context.get("decide_within_seconds", DAY), f"the {who} decides about {amount} EUR")


def pay_out(task, sequence, step):
    """Pay what was approved; a refusal is an answer like any other, and no failure."""
    decision = sequence["approve"].results
    return {"paid": task.context["amount"] if decision["approved"] is True else 0, "decided_by": decision["by"]}
