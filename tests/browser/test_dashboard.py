"""Looking and repairing on the dashboard, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.house import house as new_house


@pytest.fixture
def house():
    """Give an application that runs."""
    with new_house() as made:
        yield made


def mark(page):
    """Mark a page, so that one can tell whether it was loaded again as a whole."""
    page.evaluate("window.kept = true")


def expect_unloaded(page):
    """Check that it is still the very same page."""
    assert page.evaluate("window.kept") is True


def expect_live(page):
    """Wait until a page follows the log."""
    expect(page.locator("#live-text")).to_have_text("Live")
    expect(page.locator("#live")).to_be_visible()


def test_a_task_runs_live_on_its_page(house, page):
    """Graph, progress, attempts and the spoken line follow the task to its end; the page is not loaded again."""
    task = house.submit("slow")
    page.goto(f"{house.url}/tasks/{task}")
    expect(page.locator("#box-gate")).to_have_class(re.compile("s-in_progress"))
    expect_live(page)
    mark(page)
    house.gate.set()
    expect(page.locator("#box-gate")).to_have_class(re.compile("s-complete"))
    expect(page.locator("#summary .badge").first).to_have_text("complete")
    expect(page.locator("#summary")).to_contain_text("100 %")
    expect(page.locator("#said")).to_contain_text("slow: complete")
    expect(page.locator("#timeline")).to_contain_text("completed")
    expect(page.locator("#events")).to_contain_text("task.completed")
    expect_unloaded(page)


def test_the_list_is_live(house, page):
    """A new task appears by itself, and its row follows it."""
    page.goto(house.url)
    expect(page.locator("#tasks")).to_contain_text("No task yet")
    expect_live(page)
    mark(page)
    task = house.submit("slow", reason="just came")
    row = page.locator("tr", has=page.locator(f"#t-{task}"))
    expect(row).to_contain_text("just came")
    expect(row).to_contain_text("in progress")
    house.gate.set()
    expect(row.locator(".badge")).to_have_text("complete")
    expect_unloaded(page)


def test_a_failed_task_is_found_explained_retried_and_completes(house, page):
    """By the filter, with the reason in words, and with the operator's reason recorded."""
    house.run("order")
    task = house.run("failing")
    page.goto(house.url)
    page.get_by_label("Status", exact=True).select_option("error")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="failing").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("failing")
    expect(page.locator("#why")).to_contain_text("the card was declined by the bank")
    house.mended.set()
    page.locator("#reason").fill("the bank was called")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#notice")).to_have_text("The task is retried.")
    expect(page.locator("#summary .badge").first).to_have_text("complete")
    expect(page.locator("#commands")).to_contain_text("it has ended")
    event = next(house.app.events(task, types="task.retried"))
    assert (event.actor, event.body["reason"]) == ("anonymous", "the bank was called")


def test_a_command_needs_a_reason(house, page):
    """The browser itself asks for it, and nothing is sent without."""
    task = house.run("failing")
    page.goto(f"{house.url}/tasks/{task}")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#reason:invalid")).to_be_focused()
    assert house.app.task(task).status == "error"


def test_a_waiting_step_is_approved(house, page):
    """It says for what it waits; results and a reason complete it, and the task goes on to its end."""
    task = house.submit("signing")
    page.goto(f"{house.url}/tasks/{task}")
    step = page.get_by_role("form", name="Commands on sign")
    expect(page.locator("#step-sign")).to_contain_text("needs the signature of a manager")
    step.get_by_label("Reason").fill("looks right")
    step.get_by_label("Results").fill('{"approved": true}')
    step.get_by_role("button", name="Complete").click()
    expect(page.locator("#summary .badge").first).to_have_text("complete")
    assert house.app.task(task).step("sign").results == {"approved": True}
    assert next(house.app.events(task, types="step.completed")).body["reason"] == "looks right"


def test_a_refused_command_is_told_and_keeps_what_was_typed(house, page):
    """Results that are no JSON: the page says so and has the words still."""
    task = house.submit("signing")
    page.goto(f"{house.url}/tasks/{task}")
    step = page.get_by_role("form", name="Commands on sign")
    step.get_by_label("Reason").fill("looks right")
    step.get_by_label("Results").fill("{odd")
    step.get_by_role("button", name="Complete").click()
    expect(page.get_by_role("alert")).to_contain_text("expected results as JSON")
    expect(step.get_by_label("Reason")).to_have_value("looks right")
    assert house.app.task(task).step("sign").status == "waiting"


def test_the_slider_shows_the_past(house, page):
    """By the keyboard to the first version and back to now: the graph, the events and the buttons go with it."""
    task = house.run("failing")
    last = house.app.task(task).stream_version
    page.goto(f"{house.url}/tasks/{task}")
    expect_live(page)
    mark(page)
    page.locator("#at").focus()
    page.keyboard.press("Home")
    expect(page.locator("#past")).to_contain_text("This is the past")
    expect(page.locator("#box-pay")).to_have_class(re.compile("s-pending"))
    expect(page.locator("#events tbody tr")).to_have_count(1)
    expect(page.locator("#commands")).to_have_count(0)
    expect(page.locator("#at")).to_be_focused()
    expect(page).to_have_url(f"{house.url}/tasks/{task}?at=1")
    page.keyboard.press("End")
    expect(page.locator("#past")).not_to_contain_text("This is the past")
    expect(page.locator("#box-pay")).to_have_class(re.compile("s-error"))
    expect(page.locator("#events tbody tr")).to_have_count(last)
    expect(page.locator("#commands")).to_have_count(1)
    expect_live(page)
    expect_unloaded(page)


def test_everything_works_without_scripts(house, chrome, watched):
    """Filters, the slider with its button, and commands are plain links and forms."""
    task = house.run("failing")
    context = chrome.new_context(java_script_enabled=False)
    page = watched(context.new_page())
    page.goto(house.url)
    page.get_by_role("link", name="failing").click()
    page.locator("#at").focus()
    page.keyboard.press("Home")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(f"{house.url}/tasks/{task}?at=1")
    expect(page.locator("#past")).to_contain_text("This is the past")
    page.get_by_role("link", name="Back to now").click()
    house.mended.set()
    page.locator("#reason").fill("by hand")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#notice")).to_have_text("The task is retried.")
    context.close()


def test_what_is_typed_and_opened_stays_while_the_task_goes_on(house, page):
    """An update in the midst of typing takes neither the words nor the focus nor what was opened."""
    task = house.submit("slow")
    page.goto(f"{house.url}/tasks/{task}")
    expect_live(page)
    expect(page.locator("#box-gate")).to_have_class(re.compile("s-in_progress"))
    page.locator("#step-before > summary").click()
    page.locator("#reason").fill("half a sent")
    page.keyboard.press("ArrowLeft")
    house.app.annotate(task, "note", {"seen": 1})
    expect(page.locator("#annotations")).to_contain_text("seen")
    house.app.pause(task)
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    expect(page.locator("#reason")).to_be_focused()
    page.keyboard.type("X")
    expect(page.locator("#reason")).to_have_value("half a senXt")
    expect(page.locator("#step-before")).to_have_attribute("open", "")


def test_a_step_of_the_graph_leads_to_its_row(house, page):
    """A click on a box opens the step and puts the focus there."""
    task = house.run("order")
    page.goto(f"{house.url}/tasks/{task}")
    page.locator("#box-ship").click()
    expect(page.locator("#step-ship")).to_have_attribute("open", "")
    expect(page.locator("#step-ship > summary")).to_be_focused()
    expect(page.locator("#step-ship")).to_contain_text('"done": "ship"')


def test_handlers_subscriptions_and_workers_are_a_click_away(house, page):
    """Each page of the navigation opens, says where one is, and shows what there is."""
    page.goto(house.url)
    for name, shown in (("Handlers", "signing"), ("Subscriptions", "no durable"), ("Workers", "alive")):
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        expect(page.locator("nav [aria-current=page]")).to_have_text(name)
        expect(page.locator("main")).to_contain_text(shown)
    page.goto(f"{house.url}/handlers")
    page.get_by_role("link", name="order", exact=True).click()
    expect(page.locator(".graph a.box")).to_have_count(4)
    expect(page.locator(".graph .lines path")).to_have_count(4)


@pytest.mark.slow
def test_ten_thousand_tasks_are_one_page(page):
    """The page holds fifty rows of ten thousand tasks, counts them all, and leads to the older ones."""
    with new_house(running=False) as house:
        last = house.app.submit_many([{"name": "empty"} for _ in range(10_000)])[-1]
        while house.app.tasks(limit=1).as_of < last.position:
            pass  # each call brings the read model on
        page.goto(house.url)
        expect(page.locator("#tasks tbody tr")).to_have_count(50)
        expect(page.locator("#counts")).to_contain_text("10,000 complete")
        first = page.locator("#tasks tbody tr a").first.get_attribute("id")
        page.locator("#older").click()
        expect(page.locator(f"#{first}")).to_have_count(0)
        expect(page.locator("#tasks tbody tr")).to_have_count(50)
        page.locator("#newest").click()
        expect(page.locator(f"#{first}")).to_have_count(1)
