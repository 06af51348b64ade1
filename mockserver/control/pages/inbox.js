"use strict";

// Everything that is shown comes rendered and escaped from the server; this only asks for it anew.
const at = (id) => document.getElementById(id);
const [main, list, pane, filter, said, live] =
  ["main", "list", "pane", "filter", "said", "live"].map(at);

const parameters = () => new URLSearchParams(location.search);
const rows = () => Array.from(list.querySelectorAll("a.row"));
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

async function fetched(fragment) {
  const asked = parameters();
  asked.set("fragment", fragment);
  const answer = await fetch(`/?${asked}`);
  if (!answer.ok) location.reload();
  return new DOMParser().parseFromString(await answer.text(), "text/html").body;
}

async function showPane() {
  const asked = location.search;
  const fresh = await fetched("pane");
  if (asked !== location.search) return; // another one is on its way
  pane.replaceChildren(...fresh.childNodes);
  showCopying();
}

async function showList() {
  const fresh = await fetched("list");
  for (const part of [".above", ".below"]) {
    list.querySelector(part).replaceChildren(...fresh.querySelector(part).childNodes);
  }
  merge(list.querySelector("ol"), fresh.querySelector("ol"));
  mark();
}

// The list may have been asked for before another entry was selected.
function mark() {
  const wanted = parameters().get("request") ?? parameters().get("message");
  for (const row of rows()) {
    const chosen = wanted && [row.dataset.id, row.dataset.message].includes(wanted);
    if (chosen) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

// A line that stays is not touched: the focus, a click under way and the place in the list remain.
function merge(lines, fresh) {
  const key = (line) => line.firstElementChild.id;
  const known = new Map(Array.from(lines.children, (line) => [key(line), line]));
  const wanted = Array.from(fresh.children, (line) => {
    const old = known.get(key(line));
    return old?.isEqualNode(line) ? old : line;
  });
  const staying = new Set(wanted);
  for (const line of known.values()) if (!staying.has(line)) line.remove();
  let next = lines.firstElementChild;
  for (const line of wanted) {
    if (line === next) next = next.nextElementSibling;
    else lines.insertBefore(line, next);
  }
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
      await showList();
      if (count) said.textContent = count === 1 ? "One new entry" : `${count} new entries`;
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
    if (lost) showPane().catch(() => {});
    lost = false;
  };
  events.onerror = () => {
    lost = true;
    show("offline");
  };
  events.addEventListener("message", (event) => {
    if (JSON.parse(event.data).request_id === null) arrived += 1; // others come with their call
    refresh();
  });
  events.addEventListener("request", () => {
    arrived += 1;
    refresh();
  });
  events.addEventListener("session", () => {
    if (parameters().get("view") === "sessions") showPane().catch(() => {});
  });
  events.addEventListener("reset", () => {
    said.textContent = "Cleared";
    refresh();
    showPane().catch(() => {});
  });
}

// The details

async function show(address, focus) {
  if (address) history.pushState(null, "", address);
  mark();
  const asked = parameters();
  main.classList.toggle("reading", ["request", "message", "view"].some((name) => asked.has(name)));
  await showPane();
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
