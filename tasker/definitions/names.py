"""Find the class or function that a declaration names."""

from __future__ import annotations

import importlib
import re
from types import ModuleType

from tasker.domain.declared import refused, shown
from tasker.errors import near

_NAME = re.compile(r"\.?[^\W\d]\w*(?:\.[^\W\d]\w*)*(?::[^\W\d]\w*(?:\.[^\W\d]\w*)*)?")
_ABSENT = object()


def named_object(name: str, namespace: str | None, what: str) -> object:
    """Import what a name means.

    Args:
        name: `pkg.module:Class`, `pkg.module.Class`, the original's `A::B::C` (read as `A.B.C`), or any of them
            relative to `namespace`.
        namespace: The package against which relative names resolve, tried first.
        what: What is looked for, for the error.

    Raises:
        InvalidDefinition: The name means nothing here; the text tells what was tried and why it failed.
    """
    plain, package = _plain(name), None if namespace is None else _plain(namespace).replace(":", ".")
    if not _NAME.fullmatch(plain):
        raise refused(f"expected as {what} a name such as pkg.module:Class, found {shown(name)}")
    tried: list[str] = []
    for candidate in _candidates(plain, package):
        found = _looked_up(candidate, tried, name, what)
        if found is not _ABSENT:
            return found
    if not tried:
        message = f"expected as {what} a name such as pkg.module:Class, found {name!r} without a module"
        raise refused(f"{message}; write the module, or give the definition a module_namespace")
    raise refused(f"expected as {what} something that can be imported, found {name!r}: {'; '.join(tried)}")


def _plain(name: str) -> str:
    return name.strip().removeprefix("::").replace("::", ".")


def _candidates(name: str, package: str | None) -> list[str]:
    relative = name.lstrip(".")
    found = [] if package is None else [f"{package}.{relative}"]
    if package is not None and ":" not in relative and "." not in relative:
        found = [f"{package}:{relative}"]
    if not name.startswith(".") and (":" in name or "." in name):
        found.append(relative)
    return found


def _looked_up(name: str, tried: list[str], asked: str, what: str) -> object:
    """Try a name; with a colon the module is known, else the longest dotted part that is one is the module."""
    module, _, inner = name.partition(":")
    if inner:
        return _inside(module, inner.split("."), tried, asked, what)
    parts = module.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        failures: list[str] = []
        found = _inside(".".join(parts[:cut]), parts[cut:], failures, asked, what)
        if found is not _ABSENT:
            return found
        tried.extend(one for one in failures if one not in tried)
        if not failures[0].startswith("no module"):
            break
    return _ABSENT


def _inside(module: str, attributes: list[str], tried: list[str], asked: str, what: str) -> object:
    found: object = _imported(module, asked, what)
    if found is None:
        tried.append(f"no module {module!r} was found")
        return _ABSENT
    for attribute in attributes:
        inner = _attribute(found, attribute, asked, what)
        if inner is _ABSENT:
            tried.append(f"the module {module!r} has no {'.'.join(attributes)!r}.{near(attribute, dir(found))}")
            return _ABSENT
        found = inner
    return found


def _attribute(owner: object, name: str, asked: str, what: str) -> object:
    """Give an attribute; a module may import it only now, and that may fail."""
    try:
        return getattr(owner, name, _ABSENT)
    except Exception as error:
        message = f"expected as {what} something that can be imported, found {asked!r}: {name!r} failed with"
        raise refused(f"{message} {type(error).__name__}: {error}") from error


def _imported(module: str, asked: str, what: str) -> ModuleType | None:
    """Import a module; None where there is none. A module that exists and cannot be imported is an error of its own."""
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
            return None
        message = f"expected as {what} something that can be imported, found {asked!r}"
        raise refused(f"{message}: importing {module!r} failed with {type(error).__name__}: {error}") from error
