"""Blocks of Slack messages within Slack's limits, in which texts from outside cannot mention, link or format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker_subscribers.texts import clean, cut, line

if TYPE_CHECKING:
    from collections.abc import Mapping

FEWEST_SECONDS = 1.0  # Slack takes about one message a second in a channel
HEADER, TEXT, FIELD, FIELDS = 150, 3_000, 2_000, 10
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}

Block = dict[str, object]


def escaped(text: str, limit: int) -> str:
    """Escape what Slack reads as a link or a mention, in at most so many characters; entities stay whole."""
    written = [_ENTITIES.get(sign, sign) for sign in clean(text)]
    if sum(map(len, written)) <= limit:
        return "".join(written)
    found, room = "", limit - 1
    for sign in written:
        if len(sign) > room:
            break
        found, room = found + sign, room - len(sign)
    return found + "…"


def header(text: str) -> Block:
    """Give a headline."""
    return {"type": "header", "text": _plain(line(text, HEADER) or "-")}


def plain(text: str) -> Block:
    """Give a section that shows a text as it is."""
    return {"type": "section", "text": _plain(cut(clean(text), TEXT))}


def fields(facts: Mapping[str, str]) -> Block:
    """Give names with their escaped values; those beyond the tenth are left out."""
    shown = [(escaped(line(title, 100), 200), value) for title, value in list(facts.items())[:FIELDS]]
    return {"type": "section", "fields": [_field(f"*{title}*\n{value or '-'}") for title, value in shown]}


def linked(address: str, escaped_text: str) -> str:
    """Give a link, in mrkdwn."""
    return f"<{address}|{escaped_text}>"


def context(text: str) -> Block:
    """Give small print."""
    return {"type": "context", "elements": [_plain(line(text, FIELD))]}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _field(text: str) -> Block:
    return {"type": "mrkdwn", "text": text[:FIELD], "verbatim": True}
