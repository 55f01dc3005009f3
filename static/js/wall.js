import { ask, openActs } from "./act.js";
import { DEFAULTS, read, write } from "./address.js";
import { Choice, targetsOf } from "./choice.js";
import { breakerUrl, cloneTemplate, parts, setText } from "./dom.js";
import { noRoom } from "./format.js";
import { listenToKeys } from "./keys.js";
import { rowMenu } from "./menu.js";
import { arranged, byName } from "./order.js";
import { Progress } from "./progress.js";
import { parse, toggleState } from "./query.js";
import { Row } from "./row.js";
import { start } from "./shell.js";
import { markPills, onPill, summarise } from "./summary.js";
import { savedViews } from "./views.js";
import { Viewport } from "./viewport.js";

/** @import {Look} from "./address.js" */
/** @import {Group} from "./order.js" */
/** @import {Entry} from "./types.js" */
/** @import {Cell, Part} from "./viewport.js" */

/** Figures are painted so often at most; what a person does is painted at once. */
const PAINT_EVERY_MS = 200;
/** Rows move so often at most for what the fleet does: a row must not jump from under a finger. */
const ARRANGE_EVERY_MS = 500;
/** Where figures decide the order, they change all the time. */
const REORDER_EVERY_MS = 2000;

const $ = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const root = $("wall");
const filter = /** @type {HTMLInputElement} */ ($("filter"));
const operates = "operates" in root.dataset;

/** @type {Look} */
let look = read(location.search);
let query = parse(look.q);
/** @type {Map<string, Entry>} */
const entries = new Map();
/** @type {Entry[]} Sorted by name. */
let inOrder = [];
let unordered = false;
/** Row keys in the order they are shown. @type {string[]} */
let shownKeys = [];
let cursor = "";
let moved = true;
let arrangedAt = 0;
let paintedAt = 0;
let asked = 0;
/** @type {Set<string>} */
let dirty = new Set();

const store = start(["*"], "wall");
const choice = new Choice(store, () => shownKeys);
const progress = new Progress(store);
const viewport = new Viewport(root, (kind) =>
  kind === "group" ? new Heading() : new Row({
    chosen: (key) => choice.keys.has(key),
    now: () => store.now(),
    cursor: () => cursor,
    grouped: () => look.group === "service",
  }),
);

/** The heading of a group. @implements {Part} */
class Heading {
  constructor() {
    this.element = /** @type {HTMLElement} */ (cloneTemplate("group-template").firstElementChild);
    this.parts = parts(this.element);
  }

  /** @param {Cell} cell */
  show({ group }) {
    setText(this.parts.name, group.title);
    const n = group.entries.length;
    const said = [`${n} breaker${n === 1 ? "" : "s"}`];
    let full = "";
    if (group.service !== null) {
      const { total, stale } = store.facts(group.service);
      said.push(`${total} instance${total === 1 ? "" : "s"}`);
      if (stale) said.push(`${stale} stale`);
      const turned = store.overCapacity.get(group.service);
      full = turned ? noRoom(turned) : "";
    }
    setText(this.parts.note, said.join(" · "));
    setText(this.parts.full, full);
  }
}

// -- What the fleet does ---------------------------------------------------------------------------

/** @param {Iterable<string>} keys */
function take(keys) {
  for (const key of keys) {
    const view = store.breakers.get(key);
    const entry = entries.get(key);
    dirty.add(key);
    if (!view) {
      if (entries.delete(key)) moved = unordered = true;
    } else if (!entry) {
      const { service, name } = view;
      entries.set(key, { key, view, service, name, text: `${service} ${name}`.toLowerCase() });
      moved = unordered = true;
    } else {
      const before = entry.view;
      if (before.state !== view.state || Boolean(before.override) !== Boolean(view.override)) {
        moved = true;
      }
      entry.view = view;
    }
  }
}

store.addEventListener("change", (event) => {
  take(/** @type {CustomEvent<Set<string>>} */ (event).detail);
  schedule(PAINT_EVERY_MS);
});

/** @param {number} apart at least so many ms after the last time */
function schedule(apart) {
  if (asked) return;
  const wait = Math.max(0, paintedAt + apart - performance.now());
  asked = setTimeout(() => requestAnimationFrame(frame), wait);
}

/** Everything that came since the last frame, at once. A hidden page gets no frames. */
function frame() {
  asked = 0;
  const now = (paintedAt = performance.now());
  const every = query.moves || figuresDecide() ? REORDER_EVERY_MS : ARRANGE_EVERY_MS;
  if ((moved || every === REORDER_EVERY_MS) && now - arrangedAt >= every && !isBusy()) arrange();
  else if (moved) schedule(ARRANGE_EVERY_MS);
  for (const key of dirty) {
    const row = viewport.shown.get(key);
    if (row instanceof Row) row.update();
  }
  dirty = new Set();
  summarise(store.breakers.values(), store.services.size);
  choice.refresh();
  progress.refresh();
}

const figuresDecide = () => !["worst", "name"].includes(look.sort);

/** Somebody is about to press something: nothing must move. */
const isBusy = () => Boolean(document.querySelector("[popover]:popover-open")) || pressed;
let pressed = false;
root.addEventListener("pointerdown", () => (pressed = true));
addEventListener("pointerup", () => (pressed = false));
addEventListener("pointercancel", () => (pressed = false));

/** Filter, sort, group and place what there is. */
function arrange() {
  moved = false;
  arrangedAt = performance.now();
  if (unordered) {
    inOrder = [...entries.values()].sort(byName);
    unordered = false;
  }
  const facts = (/** @type {string} */ service) => store.facts(service);
  const found = query.empty ? [...inOrder] : inOrder.filter((each) => query.test(each, facts));
  const groups = arranged(found, look.sort, look.group);
  shownKeys = groups.flatMap((group) => group.entries.map((each) => each.key));
  if (cursor && !entries.has(cursor)) cursor = "";
  viewport.lay(groups, look.group !== "none");
  root.classList.toggle("is-empty", !entries.size);
  if (entries.size) $("empty").hidden = true;
  $("no-match").hidden = !entries.size || found.length > 0;
}

setInterval(() => {
  if (document.hidden) return;
  for (const row of viewport.shown.values()) if (row instanceof Row) row.tick();
}, 1000);

// -- How it is looked at ---------------------------------------------------------------------------

/** @param {Partial<Look>} change @param {boolean} typed as against written into the field here */
function see(change, typed = false) {
  look = { ...look, ...change };
  query = parse(look.q);
  const search = write(look);
  history.replaceState(null, "", search ? `?${search}` : location.pathname);
  if (!typed && filter.value !== look.q) filter.value = look.q;
  for (const key of /** @type {const} */ (["sort", "group", "density"])) {
    /** @type {HTMLSelectElement} */ ($(key)).value = look[key];
  }
  setText($("complaint"), query.complaints.join(" "));
  markPills(look.q);
  root.dataset.density = look.density;
  root.dataset.group = look.group;
  if ("density" in change || "group" in change) viewport.measure();
  arrange();
}

filter.addEventListener("input", () => see({ q: filter.value }, true));
for (const key of ["sort", "group", "density"]) {
  $(key).addEventListener("change", (event) => {
    see({ [key]: /** @type {HTMLSelectElement} */ (event.target).value });
  });
}
onPill((state) => see({ q: toggleState(look.q, state) }));
document.querySelector("[data-clear-filter]")?.addEventListener("click", () => see({ q: "" }));
addEventListener("popstate", () => see(read(location.search)));
savedViews({ query: () => write(look), open: (text) => see({ ...DEFAULTS, ...read(text) }) });

let scrolled = 0;
addEventListener(
  "scroll",
  () => {
    scrolled ||= requestAnimationFrame(() => {
      scrolled = 0;
      viewport.paint();
    });
  },
  { passive: true },
);
new ResizeObserver(() => {
  viewport.measure();
  arrange();
}).observe($("main"));
addEventListener("beforeprint", () => {
  viewport.all = true;
  viewport.paint();
});
addEventListener("afterprint", () => {
  viewport.all = false;
  viewport.paint();
});

// -- Hands -----------------------------------------------------------------------------------------

function mark() {
  for (const row of viewport.shown.values()) if (row instanceof Row) row.mark();
}

choice.addEventListener("change", mark);

root.addEventListener("click", (event) => {
  const target = /** @type {Element} */ (event.target);
  const key = /** @type {HTMLElement | null} */ (target.closest(".breaker"))?.dataset.key;
  if (!key) return;
  cursor = key;
  if (target.closest(".pick")) choice.toggle(key, event.shiftKey);
  else if (event.shiftKey && operates && !target.closest("a, button")) choice.toggle(key, true);
  mark();
});
// Shift and a click choose a range; they must not select its text as well.
root.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault());
root.addEventListener("focusin", (event) => {
  const row = /** @type {HTMLElement} */ (event.target).closest(".breaker");
  if (row instanceof HTMLElement && row.dataset.key) viewport.kept = cursor = row.dataset.key;
  mark();
});

/** @param {number} at where in what is shown */
function moveTo(at) {
  const key = shownKeys[Math.max(0, Math.min(shownKeys.length - 1, at))];
  const cell = key === undefined ? undefined : viewport.find(key);
  if (!cell) return;
  viewport.kept = cursor = cell.id;
  const bulk = document.getElementById("bulk");
  viewport.reveal(cell, 130, (bulk && !bulk.hidden ? bulk.offsetHeight : 0) + 24);
  viewport.shown.get(cell.id)?.element.focus({ preventScroll: true });
  mark();
}

const help = /** @type {HTMLDialogElement} */ ($("help"));
document.querySelector("[data-help]")?.addEventListener("click", () => help.showModal());

/** Act on the chosen breakers, or on the one where the cursor is. @param {string} slug */
function act(slug) {
  if (!operates) return;
  const keys = choice.keys.size ? choice.keys : cursor ? [cursor] : [];
  const targets = targetsOf(store, keys);
  if (targets.length) ask(slug, targets);
}

listenToKeys({
  move: (by, choose) => {
    const from = shownKeys.indexOf(cursor);
    moveTo(from < 0 ? 0 : from + by);
    if (choose && operates && cursor && !choice.keys.has(cursor)) choice.toggle(cursor);
  },
  ends: (last) => moveTo(last ? shownKeys.length - 1 : 0),
  enter: () => {
    const view = store.breakers.get(cursor);
    if (view) location.href = breakerUrl(view.service, view.name);
  },
  choose: (toHere) => operates && cursor && choice.toggle(cursor, toHere),
  act,
  escape: () => {
    if (choice.keys.size) choice.clear();
    else if (look.q) see({ q: "" });
    filter.blur();
  },
  search: () => {
    filter.focus();
    filter.select();
  },
  undo: () => progress.undoLast(),
  help: () => help.showModal(),
});
document.getElementById("bulk")?.addEventListener("click", (event) => {
  const button = /** @type {Element} */ (event.target).closest("[data-bulk]");
  if (button instanceof HTMLElement) act(button.dataset.bulk ?? "");
});
document.addEventListener("acted", () => {
  choice.clear();
  schedule(0);
});
openActs();
rowMenu(root);

take(store.breakers.keys());
see(look);
schedule(0);
