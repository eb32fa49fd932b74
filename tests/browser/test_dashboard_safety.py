"""Keeping others out of the dashboard, and letting everybody use it, in a real browser."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from playwright.sync_api import expect

from tests.browser.house import SECONDS
from tests.browser.house import house as new_house
from tests.integration.http_kit import key_of, keys, served
from tests.integration.runner_kit import eventually

ELSEWHERE = "http://elsewhere.example/"
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)>"
TURNED = "\u202e\u05d0\u05d1\u05d2 turned \u2066"
LONG = "long-" * 2_000

#: What is wrong with a page for who cannot see it, or has no mouse.
FAULTS = """() => {
  const found = [];
  const say = (what, one) => found.push(`${what}: ${one.outerHTML.slice(0, 120)}`);
  const named = (one) => (one.getAttribute("aria-label") || one.textContent || "").trim();
  if (document.documentElement.lang !== "en") found.push("no language");
  if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
  if (document.querySelectorAll("main").length !== 1) found.push("not one main");
  if (!document.title) found.push("no title");
  for (const one of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (!one.labels.length && !one.getAttribute("aria-label")) say("no label", one);
  for (const one of document.querySelectorAll("a[href], button, summary")) if (!named(one)) say("no name", one);
  for (const one of document.querySelectorAll("img")) if (!one.hasAttribute("alt")) say("no alt", one);
  for (const one of document.querySelectorAll("svg"))
    if (!one.querySelector("title") && !one.closest("[aria-hidden=true]")) say("no title", one);
  for (const one of document.querySelectorAll("table")) if (!one.caption) say("no caption", one);
  for (const one of document.querySelectorAll("th")) if (!one.scope) say("no scope", one);
  for (const one of document.querySelectorAll("nav, form[aria-label], [role=region]"))
    if (!one.getAttribute("aria-label") && !one.getAttribute("aria-labelledby")) say("no label", one);
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  for (const id of ids) if (ids.filter((other) => other === id).length > 1) found.push(`id twice: ${id}`);
  for (const name of ["aria-labelledby", "aria-describedby", "for"])
    for (const one of document.querySelectorAll(`[${name}]`))
      for (const id of one.getAttribute(name).split(" ")) if (!ids.includes(id)) say(`no ${id}`, one);
  let level = 0;
  for (const one of document.querySelectorAll("h1, h2, h3")) {
    if (Number(one.tagName[1]) > level + 1) say("heading skips", one);
    level = Number(one.tagName[1]);
  }
  if (document.documentElement.scrollWidth > window.innerWidth) found.push("wider than the window");
  return found;
}"""

#: Texts whose contrast is below 4.5 to 1 (WCAG AA).
FAINT = """() => {
  const parts = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.map((one) => one / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const one of document.querySelectorAll("body *:not(svg *):not(option)")) {
    const own = [...one.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!own || !one.checkVisibility()) continue;
    const [a, b] = [light(parts(getComputedStyle(one).color).slice(0, 3)), light(behind(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)}: ${one.outerHTML.slice(0, 120)}`);
  }
  return found;
}"""


@pytest.fixture
def house():
    """Give an application that runs."""
    with new_house() as made:
        yield made


def paths(house) -> list[str]:
    """Give every page, with something on each."""
    failed, waiting, done = house.run("failing"), house.submit("signing"), house.run("order")
    house.app.annotate(done, "note", {"seen": True})
    tasks = [f"/tasks/{failed}", f"/tasks/{waiting}", f"/tasks/{done}", f"/tasks/{done}?at=3"]
    lists = ["/", "/?status=odd", "/handlers", "/handlers/default/order", "/subscriptions", "/workers"]
    return [*tasks, *lists, "/tasks/odd", "/sign-in"]


def test_hostile_text_stays_text(house, page, complaints):
    """Scripts, quotes, turned and very long texts in whatever people write: shown, and nothing runs or overflows."""
    value = {HOSTILE: [HOSTILE, TURNED, LONG], "turned": {TURNED: TURNED}, "long": LONG}
    words = {"tags": [HOSTILE, TURNED, "x" * 128], "reason": HOSTILE, "initiator": TURNED, "source_system": HOSTILE}
    task = house.submit("signing", context=value, **words)
    house.app.annotate(task, HOSTILE, value, actor=HOSTILE, reason=TURNED)
    page.goto(f"{house.url}/tasks/{task}")
    expect(page.locator("#context")).to_contain_text("<script>alert(1)</script>")
    expect(page.locator("#annotations")).to_contain_text("onerror=alert(2)")
    expect(page.locator("#facts")).to_contain_text(HOSTILE)
    step = page.get_by_role("form", name="Commands on sign")
    step.get_by_label("Reason").fill(HOSTILE)
    step.get_by_label("Results").fill('{"a": "</textarea><script>alert(4)</script>"')
    step.get_by_role("button", name="Complete").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(step.get_by_label("Results")).to_have_value('{"a": "</textarea><script>alert(4)</script>"')
    step.get_by_label("Results").fill('{"a": "<script>alert(5)</script>"}')
    step.get_by_role("button", name="Complete").click()
    expect(page.locator("#summary .badge").first).to_have_text("complete")
    assert page.evaluate(FAULTS) == []
    page.goto(f"{house.url}/")
    expect(page.locator("tbody")).to_contain_text(HOSTILE)
    page.locator("tbody .tag").first.click()
    expect(page.get_by_label("Tag")).to_have_value(HOSTILE)
    expect(page.locator("tbody tr")).to_have_count(1)
    assert page.evaluate(FAULTS) == []
    assert page.evaluate("document.querySelectorAll('main script, main img, main [onload]').length") == 0
    assert [one for one in complaints if "Failed to load resource" not in one] == []


def test_the_policy_of_the_page_stops_what_would_slip_in(house, page, complaints):
    """If an element with a script did get onto a page, the browser would not run it."""
    page.goto(house.url)
    with page.expect_console_message(lambda line: "Content Security Policy" in line.text):
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.slipped = true\">')")
    # Playwright's `wait_for_function` asks again by `eval`, which the policy stops as well.
    eventually(lambda: page.evaluate("document.querySelector('body > img').complete"))
    assert page.evaluate("window.slipped") is None
    complaints[:] = [one for one in complaints if "Content Security Policy" not in one]


def test_a_command_is_given_by_the_keyboard_alone(house, page):
    """Tab leads past the skip link to the filter, the task, the reason and the button; Enter works them."""
    task = house.run("failing")
    page.goto(house.url)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    tab_to(page, f"t-{task}")
    page.keyboard.press("Enter")
    expect(page.locator("#commands")).to_be_visible()
    tab_to(page, "reason")
    page.keyboard.type("by keyboard")
    tab_to(page, "do-retry")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    house.mended.set()
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_have_text("The task is retried.")
    expect(page.locator("#summary .badge").first).to_have_text("complete")


def tab_to(page, wanted: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == wanted:
            return
    pytest.fail(f"Tab does not lead to #{wanted}")


@pytest.mark.parametrize("size", [(1280, 900), (360, 740)], ids=["desk", "phone"])
def test_every_page_is_labelled(house, page, size):
    """One heading, names and labels for everything, titles of pictures, captions of tables; no page is too wide."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    wrong = {}
    for path in paths(house):
        page.goto(house.url + path)
        wrong[path] = page.evaluate(FAULTS)
    assert {path: faults for path, faults in wrong.items() if faults} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(house, page, scheme):
    """Texts stand out from what is behind them, in the light and in the dark."""
    page.emulate_media(color_scheme=scheme)
    wrong = {}
    for path in paths(house):
        page.goto(house.url + path)
        wrong[path] = page.evaluate(FAINT)
    assert {path: faults for path, faults in wrong.items() if faults} == {}


def test_somebody_signs_in_and_out(page):
    """With a key, to the page that was wanted; scripts cannot see the cookie; afterwards the key is asked for again."""
    with new_house(keys()) as house:
        task = house.run("failing")
        page.goto(f"{house.url}/tasks/{task}")
        page.get_by_label("API key").fill("tsk_made_up")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("not known here")
        page.get_by_label("API key").fill(key_of("root"))
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{house.url}/tasks/{task}")
        expect(page.locator(".who .name")).to_have_text("root")
        expect(page.locator("#live-text")).to_have_text("Live")
        assert page.evaluate("document.cookie") == ""
        page.locator("#reason").fill("seen to")
        page.get_by_role("button", name="Resolve by hand").first.click()
        expect(page.locator("#summary .badge").first).to_have_text("resolved manually")
        assert next(house.app.events(task, types="task.resolved_manually")).actor == "root"
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        page.goto(f"{house.url}/tasks/{task}")
        expect(page.get_by_label("API key")).to_be_visible()


@pytest.mark.parametrize("settings", [{}, keys()], ids=["open", "keys"])
def test_another_site_cannot_act_here(page, settings):
    """A page of another site sends a form to this server, from the browser of somebody who is signed in: refused."""
    with new_house(settings) as house:
        task = house.submit("signing")
        enter(page, house, settings)
        fields = "".join(f'<input name="{name}" value="x">' for name in ("token", "reason"))
        place = f"{house.url}/tasks/{task}"
        form = f'<form method="post" action="{place}">{fields}<button name="do" value="cancel">Go</button></form>'
        page.route(ELSEWHERE, lambda route: route.fulfill(body=form, content_type="text/html"))
        page.goto(ELSEWHERE)
        with page.expect_response(lambda answer: answer.url.startswith(house.url)) as told:
            page.get_by_role("button", name="Go").click()
        assert told.value.status in {401, 403}
        assert not list(house.app.events(task, types="*.cancelled"))


def enter(page, house, settings) -> None:
    """Sign in where that is asked for."""
    page.goto(house.url)
    if settings:
        page.get_by_label("API key").fill(key_of("root"))
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tasks")


def test_a_link_in_a_message_leads_to_the_task(page):
    """From another site the browser keeps the cookie back at first; the task is shown all the same."""
    with new_house(keys()) as house:
        task = house.run("failing")
        enter(page, house, keys())
        link = f'<a href="{house.url}/tasks/{task}">a task has failed</a>'
        page.route(ELSEWHERE, lambda route: route.fulfill(body=link, content_type="text/html"))
        page.goto(ELSEWHERE)
        page.get_by_role("link").click()
        expect(page.locator("#why")).to_contain_text("the card was declined")
        expect(page.locator(".who .name")).to_have_text("root")


def test_it_lives_under_a_prefix(page):
    """Mounted in another application: links, live updates and commands stay below the path."""
    with new_house() as house:
        host = FastAPI()
        host.mount("/tasker", house.app.asgi)
        host.state.service = house.app.asgi.state.service
        task = house.submit("slow")
        with served(SimpleNamespace(asgi=host, settings=house.app.settings)) as url:
            page.goto(f"{url}/tasker/")
            page.get_by_role("link", name="slow").click()
            expect(page).to_have_url(f"{url}/tasker/tasks/{task}")
            expect(page.locator("#live-text")).to_have_text("Live")
            page.locator("#reason").fill("from below")
            page.get_by_role("button", name="Pause").click()
            expect(page.locator("#notice")).to_have_text("The task is paused.")
            page.locator("#reason").fill("go on")
            page.get_by_role("button", name="Resume").click()
            expect(page.locator("#notice")).to_have_text("The task is resumed.")
            house.gate.set()
            expect(page.locator("#summary .badge").first).to_have_text("complete")
            house.app.run_until_complete(task, timeout=SECONDS)
