"""The handlers that one `Tasker` knows, by the names under which definitions pin them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tasker.domain.definition import registry_name
from tasker.errors import InvalidDefinition, UnknownHandler, near
from tasker.handlers.attempt import Handler, check_handler
from tasker.handlers.step_handler import Manual
from tasker.instrument import logger

if TYPE_CHECKING:
    from tasker.domain.definition import TaskDefinition


class HandlerRegistry:
    """Names and their handlers; any thread may register and look up. `tasker.Manual` is always there."""

    def __init__(self) -> None:
        """Begin with `tasker.Manual`."""
        self._lock = threading.Lock()
        self._handlers: dict[str, Handler] = {}
        self._warned: set[str] = set()
        self.register(Manual)

    def register(self, handler: Handler, *, replace: bool = False) -> str:
        """Make a handler known under its name and its aliases.

        Args:
            handler: A class with `process`, or a function of task, sequence and step.
            replace: Let it take names that another handler has.

        Returns:
            Its name.

        Raises:
            InvalidDefinition: It is no handler, its aliases are no names, or another handler has one of its names.
        """
        check_handler(handler)
        names = _names(handler)
        with self._lock:
            if not replace:
                self._refuse_others(names, handler)
            self._handlers.update(dict.fromkeys(names, handler))
            warn = "__main__" in names[0] and names[0] not in self._warned
            self._warned.update(names[:1])
        if warn:
            logger("handlers").warning(
                "the handler %s has a name that other processes cannot find; give it a name of its own (the attribute"
                " `name`), or move it to a module",
                names[0],
            )
        return names[0]

    def register_all(self, definition: TaskDefinition, *, replace: bool = False) -> None:
        """Make all handlers of a definition known; those that it names by text are left to others.

        Raises:
            InvalidDefinition: See `register`; `path` leads to the step.
        """
        seen: set[int] = set()
        for place, template in enumerate(definition.step_templates):
            handler = template.handler_class
            if isinstance(handler, str) or id(handler) in seen:
                continue
            seen.add(id(handler))
            try:
                self.register(handler, replace=replace)
            except InvalidDefinition as error:
                message = f"step {template.name!r}: {error.message}"
                raise InvalidDefinition(message, path=("step_templates", place, "handler_class")) from None

    def find(self, name: str) -> Handler:
        """Give the handler of a name.

        Raises:
            UnknownHandler: Nobody registered one; near names are offered.
        """
        handler = self._handlers.get(name)
        if handler is None:
            message = f"expected the name of a registered handler, found {name!r}; register its definition here first."
            raise UnknownHandler(message + near(name, self.names()))
        return handler

    def names(self) -> frozenset[str]:
        """Give all names, aliases too."""
        with self._lock:
            return frozenset(self._handlers)

    def _refuse_others(self, names: tuple[str, ...], handler: Handler) -> None:
        for name in names:
            known = self._handlers.get(name)
            if known is not None and known is not handler and known != handler:
                message = (
                    f"two different handlers under one name: {name!r} is {known!r} and now {handler!r}; give one of"
                    " them a name of its own (the attribute `name`), or register with replace=True"
                )
                raise InvalidDefinition(message)


def _names(handler: Handler) -> tuple[str, ...]:
    """Give name and aliases; a class does not inherit them, or two classes would claim one name."""
    try:
        name = registry_name(handler)
        own = getattr(handler, "__dict__", {})  # a compiled function has none
    except AttributeError:
        message = f"expected a handler with a name, found {handler!r}; give it the attribute `name`"
        raise InvalidDefinition(message) from None
    aliases = own.get("aliases", ())
    if isinstance(aliases, str) or not all(isinstance(alias, str) and alias for alias in aliases):
        message = f"expected for aliases of {name} a list of names, found {aliases!r}"
        raise InvalidDefinition(message)
    return tuple(dict.fromkeys((name, *aliases)))
