"""The dashboard in a real browser: the system's Chromium, started once for a module, a fresh context for each test.

Playwright's loop lives in the thread of the tests, so the browser goes with its module: tests that run a loop of their
own there come in other modules.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ADVICE = "no Chromium: `apt install chromium`, or set TASKER_TEST_CHROMIUM to the path of one"
PATIENCE = 30_000  # milliseconds
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
#: What a browser writes into its console where a page answers 404 or 422, which some tests want, or a server stops.
_UNLOADED = "Failed to load resource"


def chromium() -> str:
    """Give the path of a Chromium; without one, skip the test, or in CI fail it."""
    found = os.environ.get("TASKER_TEST_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI may not skip the browser; {ADVICE}")
        pytest.skip(ADVICE)
    return found


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """Give a browser."""
    path = chromium()
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*_SWITCHES], timeout=2 * PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """Give what pages complained of: errors of scripts, dialogs, what the policy of a page forbade."""
    return []


@pytest.fixture
def watched(complaints):
    """Give what watches a page for complaints."""

    def watch(page: Page) -> Page:
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("console", lambda line: complaints.append(line.text) if line.type in {"error", "warning"} else None)
        return page

    yield watch
    assert [one for one in complaints if not one.startswith(_UNLOADED)] == []


@pytest.fixture
def page(chrome, watched) -> Iterator[Page]:
    """Give a page of a browser that knows nothing; in the end, it must not have complained."""
    context = chrome.new_context(viewport={"width": 1280, "height": 900})
    yield watched(context.new_page())
    context.close()
