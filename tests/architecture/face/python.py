"""The side of the face that is imported: names, signatures and defaults of all that Python code may hold of Tasker."""

from __future__ import annotations

import ast
import enum
import inspect
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from types import FunctionType, MappingProxyType
from typing import ForwardRef

import tasker
import tasker_subscribers
from tasker import errors, testing

#: What nobody imports but everybody holds: what `Tasker` gives, what handlers and subscribers are handed.
HELD = {
    "tasker.app.aio": ("AsyncTasker",),
    "tasker.audit.archive": ("Archived",),
    "tasker.audit.audit": ("Audit",),
    "tasker.audit.export": ("Exported",),
    "tasker.audit.seals": ("Seal",),
    "tasker.audit.verify": ("Verified",),
    "tasker.bus.bus": ("Bus",),
    "tasker.catalog.catalog": ("Catalog",),
    "tasker.catalog.entry": ("CatalogEntry",),
    "tasker.codec.recorded": ("RecordedEvent",),
    "tasker.domain.divergence": ("Difference", "Verdict"),
    "tasker.domain.events": ("StepError",),
    "tasker.domain.graph": ("Graph",),
    "tasker.domain.why": ("Reason",),
    "tasker.handlers.attempt_step": ("AttemptStep",),
    "tasker.handlers.step_view": (
        "HistoryEntry",
        "Step",
    ),
    "tasker.handlers.views": (
        "Annotation",
        "Sequence",
        "Task",
    ),
    "tasker.runtime.comparing": ("Compared",),
    "tasker.runtime.membership": ("WorkerInfo",),
    "tasker.runtime.reading": (
        "Replayed",
        "TaskPage",
    ),
    "tasker.settings": ("Settings",),
    "tasker.subscriptions.subscriptions": ("Subscriptions",),
}
#: Public in form only: the engine's own ways into the objects that it hands out.
OWN = {
    "attempt_step",
    "facts",
    "finished",
    "published",
    "results_assigned",
    "secrets",
    "tools",
    "model_config",
    "model_post_init",
}
PROTOCOLS = ("__call__", "__contains__", "__enter__", "__getitem__", "__iter__", "__len__")
_PLAIN = (str, int, float, bool, tuple, frozenset, type(None))


def lines() -> Iterator[str]:
    """Describe every name of the face, module by module."""
    for module in (tasker, errors, testing, tasker_subscribers):
        yield f"# {module.__name__}"
        for name in names(module):
            yield from _described(f"{module.__name__}.{name}", getattr(module, name))
    yield "# held"
    for home, held in HELD.items():
        for name in held:
            yield from _described(name, getattr(import_module(home), name))


def names(module: object) -> list[str]:
    """Give the public names of a module: its list of them, or what is defined in it."""
    listed = getattr(module, "__all__", None)
    own = (name for name, one in vars(module).items() if getattr(one, "__module__", "") == module.__name__)
    return sorted(name for name in (listed or own) if not name.startswith("_"))


def _described(name: str, found: object) -> Iterator[str]:
    if isinstance(found, FunctionType):
        yield f"{name}{_signature(found)}"
    elif isinstance(found, enum.EnumType):
        yield f"{name}: {' '.join(f'{one.name}={one.value!r}' for one in found)}"
    elif isinstance(found, type):
        bases = [base.__name__ for base in found.__bases__ if base is not object]
        yield f"class {name}{_construction(found)}" + (f" is {', '.join(bases)}" if bases else "")
        yield from (f"    option {line}" for line in sorted(_options(found)))
        yield from (f"    {line}" for line in sorted(_members(found)))
    else:
        yield f"{name} = {found!r}"


def _construction(cls: type) -> str:
    maker = cls.__init__ if isinstance(cls.__init__, FunctionType) else cls.__new__
    if not isinstance(maker, FunctionType):
        return "()"
    return _signature(maker, bound=True)


def _options(cls: type) -> Iterator[str]:
    """Give the keywords of a class that takes them as `**config: Unpack[Options]`."""
    for given in getattr(cls.__init__, "__annotations__", {}).values():
        if unpacked := re.fullmatch(r"Unpack\[(\w+)\]", str(given)):
            keys = vars(import_module(cls.__module__))[unpacked[1]].__annotations__
            yield from (f"{name}: {_type(kind)}" for name, kind in keys.items())


def _members(cls: type) -> Iterator[str]:
    seen = {*getattr(cls, "_fields", ()), *getattr(cls, "__dataclass_fields__", ())}  # they stand in the signature
    for home in cls.__mro__:
        if home.__module__.partition(".")[0] in {"tasker", "tasker_subscribers"}:
            for name in [*vars(home), *_assigned(home)]:
                public = not name.startswith("_") and name not in OWN
                if name not in seen and (public or name in PROTOCOLS):
                    seen.add(name)
                    yield _member(name, vars(home).get(name, ...))


def _member(name: str, found: object) -> str:
    if isinstance(found, property):
        given = inspect.signature(found.fget).return_annotation
        return f"{name}: {_type(given)}" + (" (may be set)" if found.fset else "")
    if isinstance(found, classmethod | staticmethod):
        word = type(found).__name__
        return f"{word} {name}{_signature(found.__func__, bound=isinstance(found, classmethod))}"
    if isinstance(found, FunctionType):
        word = "async " if inspect.iscoroutinefunction(found) else ""
        return f"{word}{name}{_signature(found, bound=True)}"
    return f"{name} = {found!r}" if isinstance(found, _PLAIN) else name


def _assigned(cls: type) -> list[str]:
    """Name what a class assigns to itself when it is built: `self.name = …`."""
    built = vars(cls).get("__init__")
    if not isinstance(built, FunctionType) or built.__code__.co_filename.startswith("<"):
        return []
    tree = ast.parse(textwrap.dedent(inspect.getsource(built)))
    stored = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
    return [node.attr for node in stored if getattr(node.value, "id", "") == "self"]


def _signature(function: FunctionType, *, bound: bool = False) -> str:
    """Write a signature the same way for every release of Python, without `self` if it is bound."""
    signature = inspect.signature(function)
    places = list(signature.parameters.values())[1 if bound else 0 :]
    written, starred = list[str](), False
    for one in places:
        if one.kind is one.KEYWORD_ONLY and not starred:
            written.append("*")
        starred = starred or one.kind in {one.KEYWORD_ONLY, one.VAR_POSITIONAL}
        written.append(_parameter(one))
    given = signature.return_annotation
    arrow = "" if bound and function.__name__ in {"__init__", "__new__"} else f" -> {_type(given)}"
    return f"({', '.join(written)}){arrow}"


def _parameter(one: inspect.Parameter) -> str:
    star = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
    default = "" if one.default is one.empty else f" = {_value(one.default)}"
    return f"{star}{one.name}: {_type(one.annotation)}{default}"


def _value(value: object) -> str:
    if isinstance(value, MappingProxyType):
        return repr(dict(value))
    return repr(value) if isinstance(value, _PLAIN) else "…"


def _type(given: object) -> str:
    if given is inspect.Signature.empty:
        return "-"
    if isinstance(given, ForwardRef):
        return given.__forward_arg__
    return given if isinstance(given, str) else getattr(given, "__name__", repr(given))
