// Pages work without this. With it they follow the log: when something has changed, the page is fetched again, and only
// its sections marked data-live are put in place of the old ones; focus, what is being typed, and what was opened stay.
"use strict";

const AGAIN = 1000; // milliseconds between two loads, at least
const PATIENCE = 3000; // before a lost connection is tried again
let source = null;
let timer = null;
let last = 0;
let turn = 0;
const opened = new Map(); // id of a <details> -> whether the reader has opened or closed it

const byId = (id) => (id ? document.getElementById(id) : null);

function tell(text, off) {
  const live = byId("live");
  live.hidden = false;
  live.classList.toggle("off", off);
  byId("live-text").textContent = text;
}

function typed(section) {
  const fields = [...section.querySelectorAll("input[id]:not([type=hidden]), textarea[id], select[id]")];
  return fields.filter((one) => one.value !== one.defaultValue && one.type !== "range").map((one) => [one.id, one.value]);
}

function keep(old, fresh) {
  for (const [id, value] of typed(old)) {
    const field = fresh.querySelector(`#${CSS.escape(id)}`);
    if (field) field.value = value;
  }
  for (const details of fresh.querySelectorAll("details[id]")) {
    if (opened.has(details.id)) details.open = opened.get(details.id);
  }
}

function put(old, fresh) {
  const focus = old.contains(document.activeElement) ? document.activeElement : null;
  const [id, begin, end] = [focus?.id, focus?.selectionStart, focus?.selectionEnd];
  const scrolls = [...old.querySelectorAll(".scroll[id], .json[id]")].map((one) => [one.id, one.scrollLeft, one.scrollTop]);
  keep(old, fresh);
  old.replaceWith(fresh);
  for (const [name, left, top] of scrolls) byId(name)?.scrollTo(left, top);
  const again = byId(id);
  if (!again) return;
  again.focus({ preventScroll: true });
  if (typeof begin === "number" && again.setSelectionRange) again.setSelectionRange(begin, end);
}

function show(page) {
  const before = byId("summary")?.dataset.say;
  for (const fresh of page.querySelectorAll("[data-live]")) {
    const old = byId(fresh.id);
    if (old && old.outerHTML !== fresh.outerHTML) put(old, document.adoptNode(fresh));
  }
  document.title = page.title;
  const now = byId("summary")?.dataset.say;
  if (now !== before) byId("said").textContent = now;
}

async function load(url) {
  const mine = ++turn;
  last = Date.now();
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (answer.redirected) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== turn) return true; // a later one is under way
    show(page);
    return answer.ok;
  } catch {
    return false;
  }
}

function changed() {
  if (timer === null) {
    timer = setTimeout(async () => {
      timer = null;
      await load(location.href);
    }, Math.max(50, AGAIN - (Date.now() - last)));
  }
}

function listen() {
  const place = document.querySelector("[data-listen]");
  if (!place || document.hidden || source) return;
  source = new EventSource(`${place.dataset.listen}after=${place.dataset.after}`);
  source.addEventListener("open", () => tell("Live", false));
  source.addEventListener("changed", changed);
  source.addEventListener("error", () => {
    quiet();
    tell("Connecting", true);
    setTimeout(wake, PATIENCE);
  });
}

function quiet() {
  source?.close();
  source = null;
}

async function wake() {
  if (document.hidden || source) return;
  if (document.querySelector("[data-listen]")) {
    if (await load(location.href)) listen();
    else setTimeout(wake, PATIENCE);
  }
}

function slide(event) {
  if (event.target.id !== "at") return;
  const url = new URL(event.target.form.action);
  if (event.target.value !== event.target.max) url.searchParams.set("at", event.target.value);
  byId("at-text").textContent = `${event.target.value} of ${event.target.max}`;
  clearTimeout(slide.timer);
  slide.timer = setTimeout(() => travel(url), 120);
}

async function travel(url) {
  history.replaceState(null, "", url);
  quiet();
  await load(url.href);
  listen();
}

function reach() {
  const step = byId(decodeURIComponent(location.hash.slice(1)));
  if (step?.tagName === "DETAILS") {
    step.open = true;
    opened.set(step.id, true);
    step.querySelector("summary").focus();
  }
}

document.addEventListener("click", (event) => {
  const details = event.target.closest?.("summary")?.parentElement;
  if (details?.id) setTimeout(() => opened.set(details.id, details.open));
});
document.addEventListener("input", slide);
document.addEventListener("visibilitychange", () => (document.hidden ? quiet() : wake()));
window.addEventListener("pagehide", quiet);
window.addEventListener("pageshow", (event) => event.persisted && wake());
window.addEventListener("hashchange", reach);

if (new URLSearchParams(location.search).has("did")) history.replaceState(null, "", location.pathname);
reach();
listen();
const every = document.querySelector("[data-every]")?.dataset.every;
if (every) setInterval(() => document.hidden || load(location.href), every * 1000);
