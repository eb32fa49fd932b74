"""Read one YAML document into maps and lists that know their lines: no objects, no surprises, bounded in every way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import yaml
from yaml import events as ev

from tasker.definitions.marked import Marked, MarkedList
from tasker.domain.declared import shown
from tasker.errors import InvalidDefinition

MAX_BYTES = 8 * 1024 * 1024
MAX_NODES = 1_000_000  # after aliases are followed; 10,000 steps have about a third
MAX_DEPTH = 100
_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_RESOLVE: Callable[..., object] = yaml.resolver.Resolver().resolve
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def scalar_tag(text: str, implicit: tuple[bool, bool] = (True, False)) -> str:
    """Give the tag that YAML finds for a scalar without one.

    Args:
        text: The scalar.
        implicit: Whether it is plain, and whether it is quoted, as the parser tells it.
    """
    return str(_RESOLVE(yaml.ScalarNode, text, implicit))


class _Node(NamedTuple):
    """A value, its line, and how many nodes it has."""

    value: object
    line: int
    size: int
    merge: bool = False


def read(text: str) -> object:
    """Read a document.

    Args:
        text: YAML 1.1, one document, with text as keys.

    Returns:
        Null, bools, numbers, text, dates, `Marked` maps and `MarkedList` lists.

    Raises:
        InvalidDefinition: It is no YAML, or beyond what a definition may be; `where` is the line alone.
    """
    try:
        return _Document(yaml.parse(text, Loader=_LOADER)).read()
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "a character it does not allow"
        # What is never closed is found at the end of the file and is wrong where it begins.
        mark = getattr(error, "context_mark" if "end of stream" in problem else "problem_mark", None)
        line = mark.line + 1 if mark else text.count("\n", 0, getattr(error, "position", 0)) + 1
        raise _wrong(f"expected YAML, found an error: {problem}", line) from None


def _wrong(message: str, line: int) -> InvalidDefinition:
    return InvalidDefinition(message, where=str(line))


class _Document:
    """One pass over the events of a document."""

    def __init__(self, events: Iterator[ev.Event]) -> None:
        """Take the events."""
        self._events = events
        self._anchors: dict[str, _Node] = {}
        self._constructor = yaml.constructor.SafeConstructor()

    def read(self) -> object:
        found: object = None
        documents = 0
        for event in self._events:
            if isinstance(event, ev.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _wrong("expected one document in a file, found another; write a file for each", _line(event))
                found = self._node(next(self._events), 0).value
        return found

    def _node(self, event: ev.Event, depth: int) -> _Node:
        if isinstance(event, ev.AliasEvent):
            return self._alias(event)
        if depth > MAX_DEPTH:
            raise _wrong(f"expected at most {MAX_DEPTH} levels of maps and lists, found more", _line(event))
        if isinstance(event, ev.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, ev.MappingStartEvent):
            node = self._map(event, depth)
        else:
            node = self._list(event, depth)
        if node.size > MAX_NODES:
            raise _wrong(f"expected at most {MAX_NODES} values with aliases followed, found more", node.line)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._anchors[anchor] = node
        return node

    def _alias(self, event: ev.AliasEvent) -> _Node:
        known = self._anchors.get(event.anchor or "")
        if known is None:
            raise _wrong(f"expected the name of an anchor that ended above, found *{event.anchor}", _line(event))
        return known._replace(line=_line(event), merge=False)

    def _scalar(self, event: ev.ScalarEvent) -> _Node:
        line = _line(event)
        tag = event.tag
        if tag is None or tag == "!":
            tag = scalar_tag(event.value, event.implicit)
        if tag == f"{_TAG}str":
            return _Node(event.value, line, 1)
        if tag == _MERGE:
            return _Node(event.value, line, 1, merge=True)
        try:
            value = self._constructor.construct_object(yaml.ScalarNode(tag, event.value))
        except yaml.YAMLError as error:
            raise _wrong(f"expected plain YAML, found an error: {getattr(error, 'problem', error)}", line) from None
        except (ValueError, TypeError, KeyError) as error:
            kind = tag.removeprefix(_TAG)
            message = f"expected a {kind}, found {shown(event.value)} ({error}); put it in quotes to make it text"
            raise _wrong(message, line) from None
        return _Node(value, line, 1)

    def _list(self, event: ev.Event, depth: int) -> _Node:
        self._check_tag(event, "seq")
        items: list[_Node] = []
        for inner in self._events:
            if isinstance(inner, ev.SequenceEndEvent):
                break
            items.append(self._node(inner, depth + 1))
        line = _line(event)
        value = MarkedList((item.value for item in items), [item.line for item in items], line=line)
        return _Node(value, line, 1 + sum(item.size for item in items))

    def _map(self, event: ev.Event, depth: int) -> _Node:
        self._check_tag(event, "map")
        value = Marked({}, {}, line=_line(event))
        merges: list[_Node] = []
        size = 1
        for inner in self._events:
            if isinstance(inner, ev.MappingEndEvent):
                break
            key, child = self._node(inner, depth + 1), self._node(next(self._events), depth + 1)
            size += 1 + child.size
            if key.merge:
                merges.append(child)
                continue
            name = self._key(key, value)
            value[name] = child.value
            value.lines[name] = key.line
        self._merge(value, merges)
        return _Node(value, value.line, size)

    @staticmethod
    def _key(key: _Node, known: Marked) -> str:
        name = key.value
        if not isinstance(name, str):
            raise _wrong(f"expected text as a key, found {shown(name)}; put it in quotes", key.line)
        if name in known:
            raise _wrong(f"expected each key once, found {name!r} again; remove one of the two", key.line)
        return name

    @staticmethod
    def _merge(value: Marked, merges: list[_Node]) -> None:
        """Fill in what `<<` names: keys that are written win, then earlier maps."""
        for node in merges:
            for source in node.value if isinstance(node.value, list) else [node.value]:
                if not isinstance(source, Marked):
                    raise _wrong(f"expected after '<<' a map or a list of maps, found {shown(source)}", node.line)
                for name in source.keys() - value.keys():
                    value.lines[name] = source.lines[name]
                value.update({name: child for name, child in source.items() if name not in value})

    @staticmethod
    def _check_tag(event: ev.Event, kind: str) -> None:
        tag = getattr(event, "tag", None)
        if tag not in {None, "!", f"{_TAG}{kind}"}:
            raise _wrong(f"expected plain YAML, found the tag {tag!r}; remove it", _line(event))


def _line(event: ev.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
