import { openActs } from "./act.js";
import { cloneTemplate, parts, setText } from "./dom.js";
import { rank, rate, word } from "./format.js";
import { Row } from "./row.js";
import { start } from "./shell.js";

/** @import {BreakerView} from "./types.js" */

const wall = /** @type {HTMLElement} */ (document.getElementById("wall"));
const summary = /** @type {HTMLElement} */ (document.getElementById("summary"));
const filter = /** @type {HTMLInputElement} */ (document.getElementById("filter"));
const empty = /** @type {HTMLElement} */ (document.getElementById("empty"));
const noMatch = /** @type {HTMLElement} */ (document.getElementById("no-match"));

/** @type {Map<string, Row>} */
const rows = new Map();
/** @type {Map<string, {element: HTMLElement, list: HTMLElement, note: HTMLElement}>} */
const sections = new Map();
/** @type {Set<string>} */
let dirty = new Set();
let asked = false;

const store = start(["*"]);
store.addEventListener("change", (event) => {
  for (const key of /** @type {CustomEvent<Set<string>>} */ (event).detail) dirty.add(key);
  schedule();
});
for (const key of store.breakers.keys()) dirty.add(key);
schedule();
setInterval(() => {
  const now = store.now();
  for (const row of rows.values()) row.tick(now);
}, 1000);

filter.value = new URLSearchParams(location.search).get("q") ?? "";
filter.addEventListener("input", () => {
  const url = new URL(location.href);
  if (filter.value) url.searchParams.set("q", filter.value);
  else url.searchParams.delete("q");
  history.replaceState(null, "", url);
  arrange();
});
document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    filter.focus();
  }
});
openActs();

function schedule() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    render();
  });
}

function render() {
  const now = store.now();
  let moved = false;
  for (const key of dirty) {
    const view = store.breakers.get(key);
    const row = rows.get(key);
    if (!view) {
      row?.element.remove();
      moved = rows.delete(key) || moved;
    } else if (!row) {
      const made = new Row(view);
      rows.set(key, made);
      made.update(view, now);
      moved = true;
    } else {
      moved = moved || row.view.state !== view.state;
      row.update(view, now);
    }
  }
  dirty = new Set();
  if (moved) arrange();
  summarise();
}

/** Put sections and rows in order, worst first, and hide what the filter leaves out. */
function arrange() {
  const words = filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const sorted = [...rows.values()].sort((a, b) => compare(a.view, b.view));
  /** @type {Map<string, HTMLElement[]>} */
  const lists = new Map();
  for (const row of sorted) {
    const { service, name, state } = row.view;
    const text = `${service} ${name} ${state} ${word(state)}`.toLowerCase();
    row.element.hidden = !words.every((each) => text.includes(each));
    const list = lists.get(service) ?? [];
    list.push(row.element);
    lists.set(service, list);
  }
  for (const [service, elements] of lists) {
    const section = sectionOf(service);
    if (!sameOrder(section.list, elements)) section.list.append(...elements);
    section.element.hidden = elements.every((each) => each.hidden);
  }
  for (const [service, section] of sections) {
    if (!lists.has(service)) {
      section.element.remove();
      sections.delete(service);
    }
  }
  const order = [...lists.keys()].map((service) => sectionOf(service).element);
  if (!sameOrder(wall, order)) wall.append(...order);
  empty.hidden = rows.size > 0 || empty.hidden;
  noMatch.hidden = !rows.size || order.some((each) => !each.hidden);
}

/** @param {BreakerView} a @param {BreakerView} b */
function compare(a, b) {
  return (
    rank(a.state) - rank(b.state) ||
    a.service.localeCompare(b.service) ||
    a.name.localeCompare(b.name)
  );
}

/** @param {HTMLElement} parent @param {HTMLElement[]} wanted */
function sameOrder(parent, wanted) {
  const there = [...parent.children].filter((each) => !each.classList.contains("head"));
  return there.length === wanted.length && there.every((each, i) => each === wanted[i]);
}

/** @param {string} service */
function sectionOf(service) {
  let section = sections.get(service);
  if (!section) {
    const element = /** @type {HTMLElement} */ (cloneTemplate("service-template").firstElementChild);
    const part = parts(element);
    setText(part.name, service);
    const list = /** @type {HTMLElement} */ (element.querySelector(".rows"));
    section = { element, list, note: part.note };
    sections.set(service, section);
  }
  return section;
}

/** How the fleet is, in one line. */
function summarise() {
  const views = [...store.breakers.values()];
  for (const [service, section] of sections) {
    const instances = [...(store.services.get(service)?.values() ?? [])];
    const stale = instances.filter((each) => each.stale).length;
    const note = `${instances.length} instance${instances.length === 1 ? "" : "s"}`;
    setText(section.note, stale ? `${note}, ${stale} stale` : note);
  }
  if (!views.length) {
    setText(summary, store.services.size ? "Waiting for the first report" : "No breakers yet");
    return;
  }
  const count = (/** @type {string} */ state) => views.filter((v) => v.state === state).length;
  const said = [`${count("open")} of ${views.length} breakers open`];
  const forced = views.filter((v) => v.override).length;
  if (forced) said.push(`${forced} forced`);
  if (count("half_open")) said.push(`${count("half_open")} half-open`);
  if (count("stale")) said.push(`${count("stale")} stale`);
  const calls = views.reduce((sum, v) => sum + v.rate, 0);
  said.push(`${rate(calls)} calls/s`);
  const worst = views.reduce((w, v) => (rank(v.state) < rank(w) ? v.state : w), "closed");
  setText(summary, said.join(", "));
  summary.dataset.worst = worst;
  const alarm = count("open") + count("forced_open");
  document.title = `${alarm ? `(${alarm}) ` : ""}Wall · Switchgear`;
}
