/** The timeline: the list, the axis above it, and what happens meanwhile. */

import { Axis } from "./axis.js";
import { breakerUrl, make, serviceUrl, setText } from "./dom.js";
import { showName } from "./names.js";
import { start } from "./shell.js";
import { clock, moment, timeElement, wall } from "./times.js";

/**
 * @typedef {{id: string, at: number, until: number, kind: string, service: string,
 *   breaker: string, said: string, why: string, who: string, before: string, after: string,
 *   instances: string[], count: number, window: string}} Event
 * @typedef {{service: string, breaker: string, began: number, ended: number | null}} Span
 * @typedef {{from: number, to: number, now: number, more: number | null, events: Event[],
 *   outages: Span[]}} Shown
 */

/** @type {Record<string, string>} */
const KINDS = { outage: "Outage", transition: "Breaker", override: "Override", policy: "Policy", access: "Access", marker: "Marker" };
const SETTLE_MS = 1500;
const EVERY_MS = 15_000;

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const root = byId("timeline");
const list = byId("events");
const older = byId("older");
const follows = root.dataset.follows === "yes";
/** @type {Shown} */
let shown = JSON.parse(byId("shown").textContent ?? "");
let wentBack = false;
/** The rows on screen by what they say, so that what stays is left alone.
 * @type {Map<string, HTMLTableRowElement>} */
let rows = new Map();

const axis = new Axis(byId("axis"), (id) => {
  const row = document.getElementById(`e-${id}`);
  row?.scrollIntoView({ block: "center" });
  row?.classList.add("found");
  setTimeout(() => row?.classList.remove("found"), 2000);
});
const store = start(["*"], "wall");
show();
customFields();
foldFilters();

if (follows) {
  let due = 0;
  const soon = () => {
    due ||= setTimeout(() => {
      due = 0;
      refresh();
      // A busy dashboard may store it later than it tells it.
      setTimeout(refresh, 2 * SETTLE_MS);
    }, SETTLE_MS);
  };
  /** What happened last to each breaker. @type {Map<string, string>} */
  const known = new Map();
  store.addEventListener("change", (event) => {
    let happened = false;
    for (const key of /** @type {CustomEvent<Set<string>>} */ (event).detail) {
      const view = store.breakers.get(key);
      const now = `${view?.last?.at} ${view?.override?.id}`;
      const before = known.get(key);
      if (now === before) continue;
      known.set(key, now);
      happened ||= before !== undefined;
    }
    if (happened) soon();
  });
  setInterval(refresh, EVERY_MS);
}
older.addEventListener("click", goBack);
document.addEventListener("themechange", () => axis.draw(shown));
addEventListener("resize", () => axis.draw(shown));

/** @param {number | null} before */
async function fetchEvents(before) {
  const query = new URLSearchParams(location.search);
  if (before !== null) query.set("before", String(before));
  const answer = await fetch(`${root.dataset.events}?${query}`).catch(() => null);
  return answer?.ok ? /** @type {Shown} */ (await answer.json()) : null;
}

async function refresh() {
  if (document.hidden) return;
  const fresh = await fetchEvents(null);
  if (!fresh) return;
  if (wentBack) {
    // What was fetched further back stays below what is new.
    const first = fresh.events.at(-1)?.at ?? fresh.to;
    const kept = shown.events.filter((each) => each.at < first);
    shown = { ...fresh, events: [...fresh.events, ...kept], more: shown.more };
  } else shown = fresh;
  show();
}

async function goBack() {
  const further = await fetchEvents(shown.more);
  if (!further) return;
  wentBack = true;
  shown = { ...shown, events: [...shown.events, ...further.events], more: further.more };
  show();
}

function show() {
  /** @type {Map<string, HTMLTableRowElement>} */
  const next = new Map();
  const elements = shown.events.map((each) => {
    const says = JSON.stringify(each);
    const row = rows.get(says) ?? rowOf(each, rows.size > 0);
    next.set(says, row);
    return row;
  });
  rows = next;
  if (list.querySelector("[data-part-of]")) return; // Somebody reads the parts of an outage.
  if (elements.some((each, i) => each !== list.children[i]) || elements.length !== list.children.length) {
    list.replaceChildren(...elements);
  }
  const n = shown.events.length;
  setText(byId("count"), n ? `${n}${shown.more === null ? "" : " latest"} event${n === 1 ? "" : "s"}` : "No events");
  byId("nothing").hidden = n > 0;
  older.hidden = shown.more === null;
  axis.draw(shown);
}

/** @param {Event} event @param {boolean} fresh */
function rowOf(event, fresh) {
  const row = document.createElement("tr");
  row.id = `e-${event.id}`;
  row.dataset.kind = event.kind;
  if (event.after) row.dataset.state = event.after;
  if (fresh) row.classList.add("fresh");
  const when = make("td", "", "when");
  when.append(timeElement(event.at, moment(event.at, shown.now)));
  if (event.kind === "outage") when.append(" – ", event.until ? timeElement(event.until, clock(event.until)) : "now");
  const what = make("td", "", "what");
  what.append(make("span", KINDS[event.kind] ?? event.kind, "kind"), make("b", event.said));
  if (event.count > 1) what.title = event.instances.join(", ");
  const why = make("td", event.why, "why");
  if (event.window) why.append(make("span", event.window, "was"));
  if (event.kind === "outage") what.append(" ", expander(event, row));
  row.append(when, where(event), what, why, make("td", event.who || "–", "who"));
  return row;
}

/** Shows the transitions of an outage below its row, and hides them. @param {Event} event
 * @param {HTMLTableRowElement} row */
function expander(event, row) {
  const button = make("button", "Show transitions", "button quiet small");
  button.setAttribute("type", "button");
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", async () => {
    const opens = button.getAttribute("aria-expanded") === "false";
    button.setAttribute("aria-expanded", String(opens));
    setText(button, opens ? "Hide transitions" : "Show transitions");
    for (const each of list.querySelectorAll(`[data-part-of="${event.id}"]`)) each.remove();
    if (!opens) return;
    const query = new URLSearchParams({ service: event.service, breaker: event.breaker, kind: "transition", range: "custom" });
    query.set("since", wall(event.at - 1).slice(0, 19));
    query.set("until", wall((event.until || shown.now) + 2).slice(0, 19));
    const answer = await fetch(`${root.dataset.events}?${query}`).catch(() => null);
    /** @type {Event[]} */
    const parts = answer?.ok ? (await answer.json()).events : [];
    row.after(...parts.map((each) => partOf(event, each)));
  });
  return button;
}

/** @param {Event} outage @param {Event} each */
function partOf(outage, each) {
  const row = rowOf(each, false);
  row.dataset.partOf = outage.id;
  row.classList.add("part");
  return row;
}

/** @param {Event} event */
function where(event) {
  const cell = make("td", "", "where");
  if (event.breaker && event.service) {
    const link = /** @type {HTMLAnchorElement} */ (make("a", ""));
    showName(link, event.breaker);
    link.href = breakerUrl(event.service, event.breaker);
    cell.append(link);
  }
  if (event.service) {
    const link = /** @type {HTMLAnchorElement} */ (make("a", "", "of"));
    showName(link, event.service);
    link.href = serviceUrl(event.service);
    cell.append(link);
  }
  if (!cell.childNodes.length) cell.append("Fleet");
  return cell;
}

/** From and To are asked only where the range says so. */
function customFields() {
  const range = /** @type {HTMLSelectElement} */ (document.querySelector("#filters select"));
  const turn = () => {
    for (const each of document.querySelectorAll("#filters .custom")) {
      /** @type {HTMLElement} */ (each).hidden = range.value !== "custom";
    }
  };
  range.addEventListener("change", turn);
  turn();
}

/** On a phone the filters would hide what they filter: they are folded until they are used. */
function foldFilters() {
  const filters = /** @type {HTMLDetailsElement} */ (byId("filters-fold"));
  const used = new URLSearchParams(location.search).size > 0;
  if (innerWidth < 760 && !used) filters.open = false;
}
