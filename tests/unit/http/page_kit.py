"""What the tests of the dashboard share: somebody with a browser, as far as HTTP goes, and a look into what it gets."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from starlette.testclient import TestClient

from tasker.http.page.steering import WRITTEN
from tests.integration.http_kit import ADDRESS, client, key_of

ORIGIN = {"Origin": ADDRESS}
TOKEN = re.compile(r'name="token" value="(\w+)"')


class Looked(HTMLParser):
    """The elements of a page and its text."""

    def __init__(self, text: str) -> None:
        """Read a page."""
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Take an element."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data):
        """Take a text."""
        self.text += data

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        """Give the attributes of every such element."""
        return [found for name, found in self.elements if name == tag and wanted.items() <= found.items()]

    def commands(self) -> set[str]:
        """Give the commands that can be given."""
        return {one["value"] for one in self.all("button", name="do")}

    def buttons(self) -> set[str]:
        """Give those of them that are no more than a button."""
        return self.commands() - {order.name for order in WRITTEN}


def browser(app, **keywords) -> TestClient:
    """Give a client that keeps cookies and goes where it is sent only if asked."""
    return client(app, follow_redirects=False, **keywords)


def token_of(http: TestClient, path: str = "/sign-in", **headers: str) -> str:
    """Give the token of the session, which a page begins where there is none."""
    return TOKEN.search(http.get(path, headers=headers).text)[1]


def sign_in(http: TestClient, name: str, onwards: str = "/"):
    """Sign in with somebody's key."""
    form = {"token": token_of(http), "key": key_of(name), "next": onwards}
    return http.post("/sign-in", data=form, headers=ORIGIN)


def signed_in(app, name: str) -> TestClient:
    """Give a browser in which somebody has signed in."""
    http = browser(app)
    assert sign_in(http, name).status_code == 303
    return http


def send(http: TestClient, path: str, **form: str):
    """Send a form of a page of this server."""
    return http.post(path, data={"token": token_of(http), **form}, headers=ORIGIN)
