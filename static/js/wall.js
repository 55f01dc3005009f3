import { ask, openActs } from "./act.js";
import { DEFAULTS, read, write } from "./address.js";
import { Choice, targetsOf } from "./choice.js";
import { breakerUrl, byId, setText } from "./dom.js";
import { Heading } from "./heading.js";
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
/** @import {Entry} from "./types.js" */

/** Figures are painted at most this often; input of the user is painted at once. */
const PAINT_EVERY_MS = 200;
/** Rows move at most this often: a row must not jump away from under a finger. */
const ARRANGE_EVERY_MS = 500;
/** The same where figures decide the order, which change all the time. */
const REORDER_EVERY_MS = 2000;
/** So much of the screen is above the rows and below them. */
const MARGIN_PX = 24;
const TILES = /** @type {const} */ ({ group: "state", density: "tiles" });

/** The live wall: entries, how they are looked at, the cursor, and when to paint. */
class Wall {
  constructor() {
    this.root = byId("wall");
    this.filter = /** @type {HTMLInputElement} */ (byId("filter"));
    this.help = /** @type {HTMLDialogElement} */ (byId("help"));
    this.operates = "operates" in this.root.dataset;
    /** @type {Look} */
    this.look = read(location.search);
    this.query = parse(this.look.q);
    /** @type {Map<string, Entry>} */
    this.entries = new Map();
    /** @type {Entry[]} Sorted by name. */
    this.inOrder = [];
    this.isUnordered = false;
    /** Row keys in the order they are shown. @type {string[]} */
    this.shownKeys = [];
    /** Headings that somebody opened. @type {Set<string>} */
    this.opened = new Set();
    this.cursor = "";
    this.hasMoved = true;
    this.isPressed = false;
    this.arrangedAt = 0;
    this.paintedAt = 0;
    this.timer = 0;
    this.scrollFrame = 0;
    /** @type {Set<string>} */
    this.dirty = new Set();
    this.store = start(["*"], "wall");
    this.choice = new Choice(this.store, () => this.shownKeys);
    this.progress = new Progress(this.store);
    this.viewport = new Viewport(this.root, (kind) => (kind === "group" ? new Heading(this.store) : this.#row()));
    this.#listenToFleet();
    this.#listenToControls();
    this.#listenToWindow();
    this.#listenToPointer();
    this.#listenToKeys();
    openActs(this.store);
    rowMenu(this.root);
    this.#take(this.store.breakers.keys());
    this.#see(this.look);
    this.#schedule(0);
  }

  #row() {
    return new Row({
      chosen: (key) => this.choice.keys.has(key),
      now: () => this.store.now(),
      cursor: () => this.cursor || this.shownKeys[0] || "",
    });
  }

  // -- Changes of the fleet --------------------------------------------------------------------------

  #listenToFleet() {
    this.store.addEventListener("change", (event) => {
      this.#take(/** @type {CustomEvent<Set<string>>} */ (event).detail);
      this.#schedule(PAINT_EVERY_MS);
    });
    document.addEventListener("acted", () => {
      this.choice.clear();
      this.#schedule(0);
    });
    this.choice.addEventListener("change", () => this.#mark());
    setInterval(() => {
      if (!document.hidden) for (const row of this.#rows()) row.tick();
    }, 1000);
  }

  /** @param {Iterable<string>} keys */
  #take(keys) {
    for (const key of keys) {
      const view = this.store.breakers.get(key);
      const entry = this.entries.get(key);
      this.dirty.add(key);
      if (!view) {
        if (this.entries.delete(key)) this.hasMoved = this.isUnordered = true;
      } else if (!entry) {
        const { service, name } = view;
        this.entries.set(key, { key, view, service, name, text: `${service} ${name}`.toLowerCase() });
        this.hasMoved = this.isUnordered = true;
      } else {
        const before = entry.view;
        if (before.state !== view.state || Boolean(before.override) !== Boolean(view.override)) this.hasMoved = true;
        entry.view = view;
      }
    }
  }

  /** @param {number} apart at least so many ms after the last time */
  #schedule(apart) {
    if (this.timer) return;
    const wait = Math.max(0, this.paintedAt + apart - performance.now());
    this.timer = setTimeout(() => requestAnimationFrame(() => this.#frame()), wait);
  }

  /** Paint everything that came since the last frame. A hidden page gets no frames. */
  #frame() {
    this.timer = 0;
    const now = (this.paintedAt = performance.now());
    const reorders = this.query.moves || this.#figuresDecide();
    const every = reorders ? REORDER_EVERY_MS : ARRANGE_EVERY_MS;
    if ((this.hasMoved || reorders) && now - this.arrangedAt >= every && !this.#isBusy()) this.#arrange();
    else if (this.hasMoved) this.#schedule(ARRANGE_EVERY_MS);
    for (const key of this.dirty) {
      const row = this.viewport.shown.get(key);
      if (row instanceof Row) row.update();
    }
    this.dirty = new Set();
    summarise(this.store.breakers.values(), this.store.services.size);
    this.choice.refresh();
    this.progress.refresh();
  }

  #figuresDecide() {
    const { sort, group } = this.look;
    return !["worst", "name"].includes(sort) || group === "attention" || group === "dependency";
  }

  /** Whether somebody is about to press something: nothing must move. */
  #isBusy() {
    return this.isPressed || Boolean(document.querySelector("[popover]:popover-open"));
  }

  /** Filter, sort, group and place the entries. */
  #arrange() {
    this.hasMoved = false;
    this.arrangedAt = performance.now();
    if (this.isUnordered) {
      this.inOrder = [...this.entries.values()].sort(byName);
      this.isUnordered = false;
    }
    const facts = (/** @type {string} */ service) => this.store.facts(service);
    const { query, look } = this;
    const found = query.empty ? [...this.inOrder] : this.inOrder.filter((each) => query.test(each, facts));
    const space = { open: this.opened, lines: this.#lines(), now: this.store.now() };
    const groups = arranged(found, look.sort, look.group, space);
    this.shownKeys = groups.flatMap((group) => (group.collapsed ? [] : group.entries.map((each) => each.key)));
    if (this.cursor && !this.entries.has(this.cursor)) this.cursor = "";
    this.viewport.place(groups);
    this.root.classList.toggle("is-empty", !this.entries.size);
    if (this.entries.size) byId("empty").hidden = true;
    byId("no-match").hidden = !this.entries.size || found.length > 0;
  }

  /** How many rows fit on the screen below the toolbar. */
  #lines() {
    const { top, headH, groupH, rowH, tileW } = this.viewport;
    if (tileW) return Infinity;
    return Math.max(4, Math.floor((innerHeight - top - headH - groupH - MARGIN_PX) / Math.max(1, rowH)));
  }

  // -- How it is looked at ---------------------------------------------------------------------------

  /** @param {Partial<Look>} change @param {boolean} typed as against written into the field here */
  #see(change, typed = false) {
    this.look = { ...this.look, ...change };
    const { look } = this;
    this.query = parse(look.q);
    const search = write(look);
    const at = new URLSearchParams(location.search).get("at");
    const address = [search, at ? `at=${at}` : ""].filter(Boolean).join("&");
    history.replaceState(null, "", address ? `?${address}` : location.pathname);
    if (!typed && this.filter.value !== look.q) this.filter.value = look.q;
    for (const key of /** @type {const} */ (["sort", "group", "density"])) {
      /** @type {HTMLSelectElement} */ (byId(key)).value = look[key];
    }
    setText(byId("complaint"), this.query.complaints.join(" "));
    markPills(look.q);
    this.root.dataset.density = look.density;
    this.root.dataset.group = look.group;
    if ("density" in change || "group" in change) this.viewport.measure();
    this.#arrange();
  }

  #listenToControls() {
    this.filter.addEventListener("input", () => this.#see({ q: this.filter.value }, true));
    for (const key of ["sort", "group", "density"]) {
      byId(key).addEventListener("change", (event) => {
        this.#see({ [key]: /** @type {HTMLSelectElement} */ (event.target).value });
      });
    }
    onPill((state) => this.#see({ q: toggleState(this.look.q, state) }));
    document.querySelector("[data-clear-filter]")?.addEventListener("click", () => this.#see({ q: "" }));
    document.querySelector("[data-help]")?.addEventListener("click", () => this.help.showModal());
    addEventListener("popstate", () => this.#see(read(location.search)));
    savedViews({ query: () => write(this.look), open: (text) => this.#see({ ...DEFAULTS, ...read(text) }) });
  }

  #listenToWindow() {
    const paint = () => {
      this.scrollFrame = 0;
      this.viewport.paint();
    };
    addEventListener("scroll", () => (this.scrollFrame ||= requestAnimationFrame(paint)), { passive: true });
    new ResizeObserver(() => {
      this.viewport.measure();
      this.#arrange();
    }).observe(byId("main"));
    for (const [name, all] of /** @type {const} */ ([["beforeprint", true], ["afterprint", false]])) {
      addEventListener(name, () => {
        this.viewport.all = all;
        this.viewport.paint();
      });
    }
  }

  // -- Pointer and keys ------------------------------------------------------------------------------

  #rows() {
    return [...this.viewport.shown.values()].filter((each) => each instanceof Row);
  }

  #mark() {
    for (const row of this.#rows()) row.mark();
  }

  #listenToPointer() {
    const { root } = this;
    root.addEventListener("pointerdown", () => (this.isPressed = true));
    addEventListener("pointerup", () => (this.isPressed = false));
    addEventListener("pointercancel", () => (this.isPressed = false));
    root.addEventListener("click", (event) => this.#click(event));
    // Shift and a click choose a range; they must not select its text as well.
    root.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault());
    root.addEventListener("focusin", (event) => {
      const row = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest(".breaker"));
      if (row?.dataset.key) this.viewport.kept = this.cursor = row.dataset.key;
      this.#mark();
    });
    document.getElementById("bulk")?.addEventListener("click", (event) => {
      const button = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("[data-bulk]"));
      if (button) this.#act(button.dataset.bulk ?? "");
    });
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const target = /** @type {Element} */ (event.target);
    const heading = /** @type {HTMLElement | null} */ (target.closest(".group"));
    if (heading && target.closest("button")) {
      this.#clickHeading(heading.dataset.group ?? "", Boolean(target.closest("[data-choose]")));
      return;
    }
    const key = /** @type {HTMLElement | null} */ (target.closest(".breaker"))?.dataset.key;
    if (!key) return;
    this.cursor = key;
    if (target.closest(".pick")) this.choice.toggle(key, event.shiftKey);
    else if (event.shiftKey && this.operates && !target.closest("a, button")) this.choice.toggle(key, true);
    this.#mark();
  }

  /** @param {string} id @param {boolean} chooses all of its breakers, instead of folding them */
  #clickHeading(id, chooses) {
    if (chooses) {
      const group = this.viewport.cells.find((cell) => !cell.entry && cell.group.id === id)?.group;
      if (group && this.operates) this.choice.set(group.entries.map((each) => each.key));
      return;
    }
    if (!this.opened.delete(id)) this.opened.add(id);
    this.#arrange();
  }

  /** @param {number} at where in what is shown */
  #moveTo(at) {
    const key = this.shownKeys[Math.max(0, Math.min(this.shownKeys.length - 1, at))];
    const cell = key === undefined ? undefined : this.viewport.find(key);
    if (!cell) return;
    this.viewport.kept = this.cursor = cell.id;
    const bulk = document.getElementById("bulk");
    this.viewport.reveal(cell, 130, (bulk && !bulk.hidden ? bulk.offsetHeight : 0) + 24);
    this.viewport.shown.get(cell.id)?.element.focus({ preventScroll: true });
    this.#mark();
  }

  /** Act on the chosen breakers, or on the one at the cursor. @param {string} slug */
  #act(slug) {
    if (!this.operates || this.store.moment !== null) return;
    const keys = this.choice.keys.size ? this.choice.keys : this.cursor ? [this.cursor] : [];
    const targets = targetsOf(this.store, keys);
    if (targets.length) ask(slug, targets);
  }

  #listenToKeys() {
    const { choice, operates } = this;
    listenToKeys({
      move: (by, choose) => {
        const from = this.shownKeys.indexOf(this.cursor);
        this.#moveTo(from < 0 ? 0 : from + by);
        if (choose && operates && this.cursor && !choice.keys.has(this.cursor)) choice.toggle(this.cursor);
      },
      ends: (last) => this.#moveTo(last ? this.shownKeys.length - 1 : 0),
      enter: () => {
        const view = this.store.breakers.get(this.cursor);
        if (view) location.href = breakerUrl(view.service, view.name);
      },
      choose: (toHere) => operates && this.cursor && choice.toggle(this.cursor, toHere),
      act: (slug) => this.#act(slug),
      tiles: () => this.#see(this.look.density === "tiles" ? { group: DEFAULTS.group, density: DEFAULTS.density } : TILES),
      escape: () => {
        if (choice.keys.size) choice.clear();
        else if (this.look.q) this.#see({ q: "" });
        this.filter.blur();
      },
      search: () => {
        this.filter.focus();
        this.filter.select();
      },
      undo: () => this.progress.undoLast(),
      help: () => this.help.showModal(),
    });
  }
}

new Wall();
