"""The OpenAPI document as a page that loads nothing: what each route takes, needs and answers."""

from __future__ import annotations

import base64
import json
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.requests import Request

    from tasker.http.openapi import Document

STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent);
  --soft: color-mix(in srgb, currentColor 6%, transparent) }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; text-transform: capitalize }
h3 { font-size: .85rem; margin: 1rem 0 .3rem } p { margin: .4rem 0 }
nav { margin: 1rem 0; display: flex; flex-wrap: wrap; gap: .3rem 1rem } nav a { text-transform: capitalize }
a:focus-visible, summary:focus-visible { outline: 2px solid Highlight; outline-offset: 2px }
code, pre { font: 13px/1.45 ui-monospace, monospace; overflow-wrap: anywhere }
pre { background: var(--soft); padding: .6rem .8rem; border-radius: 6px; overflow: auto; max-height: 24rem; margin: 0 }
details { border: 1px solid var(--line); border-radius: 6px; margin: .35rem 0 }
details[open] > summary { border-bottom: 1px solid var(--line) }
summary { cursor: pointer; padding: .4rem .7rem; display: flex; gap: .7rem; flex-wrap: wrap; align-items: baseline }
summary b { min-width: 3.6rem } summary span { opacity: .75 } details > div { padding: .4rem .9rem 1rem }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
td:first-child code { overflow-wrap: normal }
th, td { text-align: left; vertical-align: top; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line) }
"""
_HASH = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    )
}
_SAID = frozenset({"title", "description"})
_METHODS = ("get", "post", "put", "patch", "delete")


class Operation(NamedTuple):
    """One route as the page shows it.

    Attributes:
        method: Of HTTP.
        path: With the names of its parameters.
        told: What the document says of it.
        body: The schema of its body as JSON; empty for none.
        curl: A command line that calls it.
    """

    method: str
    path: str
    told: Mapping[str, object]
    body: str
    curl: str


def operations(document: Document, base: str) -> Iterator[Operation]:
    """Give every route of a document.

    Args:
        document: The OpenAPI document.
        base: Where the application answers, without the last slash.
    """
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                told = methods[method]
                content = told.get("requestBody", {}).get("content", {})
                schema = content.get("application/json", {}).get("schema")
                body = "" if schema is None else _json(schema)
                yield Operation(method.upper(), path, told, body, _curl(method, base + path, told, sends=bool(body)))


def _curl(method: str, url: str, told: Mapping[str, object], *, sends: bool) -> str:
    parts = ["curl"] + ([] if method == "get" else ["-X", method.upper()])
    if told.get("security"):
        parts += ["-H", "'Authorization: Bearer KEY'"]
    if sends:
        parts += ["-H", "'Content-Type: application/json'", "-d", "'{…}'"]
    return " ".join([*parts, f"'{url}'"])


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _brief(schema: Mapping[str, object]) -> str:
    return json.dumps({name: value for name, value in schema.items() if name not in _SAID}, ensure_ascii=False)


@cache
def _environment() -> Environment:
    made = Environment(loader=PackageLoader("tasker.http", "."), autoescape=True, undefined=StrictUndefined)
    made.filters |= {"json": _json, "brief": _brief}
    return made


def page(request: Request) -> Response:
    """Show the document."""
    document = request.app.openapi()
    groups: dict[str, list[Operation]] = {}
    for one in operations(document, str(request.base_url).rstrip("/")):
        tags = one.told.get("tags")
        groups.setdefault(str(tags[-1]) if isinstance(tags, list) else "other", []).append(one)
    schemas = document["components"]["schemas"]
    text = _environment().get_template("docs.html")
    shown = text.render(info=document["info"], groups=groups, schemas=schemas, style=STYLE)
    return HTMLResponse(shown, headers=_HEADERS)


ROUTE = Route("/docs", page)
