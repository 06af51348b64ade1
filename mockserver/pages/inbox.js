"use strict";

// Everything that is shown comes rendered and escaped from the server; this only asks for it anew.
const at = (id) => document.getElementById(id);
const [main, list, pane, filter, said, live] =
  ["main", "list", "pane", "filter", "said", "live"].map(at);

const parameters = () => new URLSearchParams(location.search);
const rows = () => Array.from(list.querySelectorAll("a.row"));
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

async function load(target, fragment) {
  const asked = parameters();
  asked.set("fragment", fragment);
  const answer = await fetch(`/?${asked}`);
  if (!answer.ok) return location.reload();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = target === list && document.activeElement?.closest("a.row")?.id;
  target.replaceChildren(...page.body.childNodes);
  if (focused) at(focused)?.focus({ preventScroll: true });
  if (target === pane) showCopying();
}

// The list. However fast things happen, one request is under way at most.

let busy = false;
let again = false;
let arrived = 0;

async function refresh() {
  again = true;
  if (busy) return;
  busy = true;
  try {
    while (again) {
      await wait(100);
      again = false;
      const count = arrived;
      arrived = 0;
      await load(list, "list");
      if (count) said.textContent = count === 1 ? "One new call" : `${count} new calls`;
    }
  } catch {
    // The mock has gone away; the event source says so, and asks again when it is back.
  } finally {
    busy = false;
  }
}

function follow() {
  const events = new EventSource(document.body.dataset.events);
  const show = (state) => {
    live.textContent = state;
    live.className = `live ${state}`;
    live.hidden = false;
  };
  let lost = false;
  events.onopen = () => {
    show("live");
    // What happened between the page and the first event is fetched too.
    refresh();
    if (lost) load(pane, "pane").catch(() => {});
    lost = false;
  };
  events.onerror = () => {
    lost = true;
    show("offline");
  };
  events.addEventListener("message", refresh);
  events.addEventListener("request", () => {
    arrived += 1;
    refresh();
  });
  events.addEventListener("reset", () => {
    said.textContent = "Cleared";
    refresh();
    load(pane, "pane").catch(() => {});
  });
}

// The details

async function show(address, focus) {
  if (address) history.pushState(null, "", address);
  const asked = parameters();
  const wanted = asked.get("request") ?? asked.get("message");
  for (const row of rows()) {
    const chosen = row.id === `e-${wanted}`;
    if (chosen) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
  main.classList.toggle("reading", wanted !== null || asked.has("view"));
  await load(pane, "pane");
  pane.scrollTop = 0;
  if (focus) pane.querySelector("h2")?.focus();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-pane]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const asked = new URL(link.href).searchParams;
  const text = filter.value.trim();
  text ? asked.set("q", text) : asked.delete("q");
  show(`/?${asked}`, event.detail === 0); // 0: by the keyboard
});

window.addEventListener("popstate", () => {
  filter.value = parameters().get("q") ?? "";
  refresh();
  show();
});

// The filter and the namespace

let typed;
filter.addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(() => {
    const asked = parameters();
    filter.value.trim() ? asked.set("q", filter.value.trim()) : asked.delete("q");
    history.replaceState(null, "", `/?${asked}`);
    refresh();
  }, 150);
});

at("ask").addEventListener("submit", (event) => event.preventDefault());
at("ask").elements.ns.addEventListener("change", () => HTMLFormElement.prototype.submit.call(at("ask")));
at("ask").querySelector("button").hidden = true;

// Copying

function showCopying() {
  for (const button of pane.querySelectorAll("button[data-copy]")) button.hidden = false;
}

pane.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const text = at(button.dataset.copy);
  getSelection().selectAllChildren(text);
  // Only for a page from this machine or by HTTPS; elsewhere it is selected, to be copied by hand.
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Selected";
  }
});

// Keys

function move(steps) {
  const all = rows();
  const current = all.indexOf(document.activeElement);
  const chosen = all.findIndex((row) => row.hasAttribute("aria-current"));
  const next = current < 0 ? Math.max(chosen, 0) : current + steps;
  all[Math.min(Math.max(next, 0), all.length - 1)]?.focus();
}

function leave() {
  if (document.activeElement !== filter && main.classList.contains("reading")) {
    const asked = parameters();
    const wanted = asked.get("request") ?? asked.get("message");
    for (const name of ["request", "message", "view", "row"]) asked.delete(name);
    return show(`/?${asked}`).then(() => (at(`e-${wanted}`) ?? list).focus());
  }
  (rows()[0] ?? list).focus();
}

const keys = {
  j: () => move(1),
  k: () => move(-1),
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  "/": () => filter.select(),
  "?": () => at("keys").showModal(),
  w: () => document.querySelector("nav a[data-pane]").click(),
  Escape: leave,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || at("keys").open) return;
  const place = event.target;
  const writes = place.matches("input, select, textarea");
  if (writes && event.key !== "Escape") return;
  // In the details the arrows scroll, as they always do.
  if (event.key.startsWith("Arrow") && pane.contains(place)) return;
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

at("help").hidden = false;
at("help").addEventListener("click", () => at("keys").showModal());
showCopying();
follow();
