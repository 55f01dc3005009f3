/** The time machine: shows the fleet of any kept moment on a live page, until it is live again. */

import { parts, setText, svg } from "./dom.js";
import { clock, full, iso, moment, utc } from "./times.js";

/** @import {Live} from "./live.js" */
/** @import {Store} from "./store.js" */

/** @typedef {{began: number, ended: number | null}} Span */

const DAY_S = 86_400;
/** Figures are kept by ten seconds for a day, then by the minute, then by the hour. */
const LEVELS = [
  [DAY_S, 10],
  [14 * DAY_S, 60],
  [Infinity, 3600],
];
const ASK_AFTER_MS = 120;
const PAGES = ["/", "/map", "/tv"];

/** How far apart moments are that differ. @param {number} age seconds */
export const stepOf = (age) => LEVELS.find(([kept]) => age <= kept)?.[1] ?? 3600;

/** A moment out of an address, as ISO 8601 or Unix seconds. @param {string} text
 * @returns {number | null} */
export function parsed(text) {
  if (!text) return null;
  const at = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Date.parse(text) / 1000;
  return Number.isFinite(at) && at > 0 ? at : null;
}

export class TimeMachine {
  /** @param {HTMLElement} panel @param {Store} store @param {Live} live */
  constructor(panel, store, live) {
    this.panel = panel;
    this.store = store;
    this.live = live;
    this.parts = parts(panel);
    this.scrub = /** @type {HTMLInputElement} */ (this.parts.scrub);
    this.range = /** @type {HTMLSelectElement} */ (this.parts.range);
    /** The end of what the scrubber covers, Unix seconds. */
    this.end = 0;
    this.begin = 0;
    this.asked = 0;
    this.timer = 0;
    /** @type {Span[]} */
    this.outages = [];
    /** Since when history is kept; null where there is none. @type {number | null} */
    this.oldest = null;
    this.#listen();
    const at = parsed(new URLSearchParams(location.search).get("at") ?? "");
    if (at !== null) this.#begin(at);
  }

  #listen() {
    for (const each of document.querySelectorAll("[data-time-machine]")) {
      each.addEventListener("click", () => {
        if (this.store.moment === null) this.#begin(Date.now() / 1000 + this.store.skew - 60);
        else this.goLive();
      });
    }
    this.scrub.addEventListener("input", () => this.#show(Number(this.scrub.value)));
    this.range.addEventListener("change", () => this.#cover(this.store.now()));
    for (const each of this.panel.querySelectorAll("[data-by]")) {
      each.addEventListener("click", () => this.#move(Number(/** @type {HTMLElement} */ (each).dataset.by)));
    }
    this.parts.live.addEventListener("click", () => this.goLive());
    document.addEventListener("keydown", (event) => {
      if (this.store.moment === null || event.ctrlKey || event.metaKey || event.altKey) return;
      const target = /** @type {HTMLElement} */ (event.target);
      if (target.matches?.("input:not([type=range]):not([type=checkbox]), textarea, select")) return;
      if (event.key.toLowerCase() === "l") this.goLive();
    });
    document.addEventListener("click", (event) => this.#carry(event), true);
    addEventListener("resize", () => this.store.moment !== null && this.#drawStrip());
  }

  /** Leave the present. @param {number} at Unix seconds */
  #begin(at) {
    this.live.pause();
    this.panel.hidden = false;
    document.body.classList.add("is-past");
    const age = Date.now() / 1000 + this.store.skew - at;
    const wide = [...this.range.options].find((each) => Number(each.value) >= age);
    this.range.value = (wide ?? this.range.options[this.range.options.length - 1]).value;
    this.#cover(at);
  }

  /** Back to the present. */
  goLive() {
    clearTimeout(this.timer);
    this.asked += 1;
    this.store.moment = null;
    this.panel.hidden = true;
    document.body.classList.remove("is-past");
    this.#address(null);
    this.live.resume();
  }

  /** Let the scrubber cover the chosen range up to now, or around the moment if that is older.
   * @param {number} at */
  async #cover(at) {
    const now = Date.now() / 1000 + this.store.skew;
    const span = Number(this.range.value);
    const step = stepOf(span);
    this.end = Math.ceil((at < now - span ? at + span / 2 : now) / step) * step;
    this.begin = this.end - span;
    this.scrub.min = String(this.begin);
    this.scrub.max = String(this.end);
    this.scrub.step = String(step);
    this.#show(at);
    const query = `from=${this.begin}&to=${this.end}`;
    const answer = await fetch(`${this.panel.dataset.moments}?${query}`).catch(() => null);
    if (!answer?.ok) return;
    const { outages, oldest } = await answer.json();
    this.outages = outages;
    this.oldest = oldest;
    this.#drawStrip();
  }

  /** @param {number} by steps */
  #move(by) {
    const step = Number(this.scrub.step) || 10;
    const at = Math.min(Date.now() / 1000 + this.store.skew, this.store.now() + by * step);
    if (at < Number(this.scrub.min) || at > this.end) this.#cover(at);
    else this.#show(at);
  }

  /** @param {number} at Unix seconds */
  #show(at) {
    this.store.moment = at;
    if (Number(this.scrub.value) !== at) this.scrub.value = String(at);
    const now = Date.now() / 1000 + this.store.skew;
    setText(this.parts.at, moment(at, now));
    this.parts.at.title = utc(at);
    this.scrub.setAttribute("aria-valuetext", full(at));
    this.#address(at);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#fetch(at), ASK_AFTER_MS);
  }

  /** @param {number} at */
  async #fetch(at) {
    const turn = ++this.asked;
    const answer = await fetch(`${this.panel.dataset.moment}?at=${at.toFixed(3)}`).catch(() => null);
    // A later movement waits for another answer.
    if (turn !== this.asked || this.store.moment === null) return;
    if (!answer?.ok) {
      const said = answer ? (await answer.json().catch(() => ({}))).message : "the dashboard cannot be reached";
      setText(this.parts.note, `Not shown: ${said ?? answer?.status}`);
      return;
    }
    const snapshot = await answer.json();
    const of = { 10: "ten seconds", 60: "a minute" }[/** @type {10 | 60} */ (snapshot.step_s)] ?? "an hour";
    const none = snapshot.services.length === 0;
    const before = none && this.oldest && at < this.oldest;
    setText(
      this.parts.note,
      before ? `History begins at ${full(this.oldest ?? 0)}` : none ? "Nothing was reported then" : `Figures of ${of} before ${clock(at)}`,
    );
    const skew = this.store.skew;
    this.store.reset(snapshot);
    this.store.skew = skew;
  }

  #drawStrip() {
    const strip = /** @type {any} */ (this.parts.strip);
    const width = strip.clientWidth || 600;
    strip.setAttribute("viewBox", `0 0 ${width} 10`);
    const { begin } = this;
    const x = (/** @type {number} */ at) => (Math.max(0, Math.min(1, (at - begin) / (this.end - begin))) * width).toFixed(1);
    const known = this.oldest ? [svg("rect", { x: x(this.oldest), y: 4, width: width - Number(x(this.oldest)), height: 2, class: "kept" })] : [];
    strip.replaceChildren(
      ...known,
      ...this.outages.map((each) => {
        const from = Number(x(each.began));
        return svg("rect", { x: from, y: 0, width: Math.max(2, Number(x(each.ended ?? this.end)) - from), height: 10, class: "lane-bar" });
      }),
    );
  }

  /** Links to wall, map and TV carry the moment; those to a breaker the range around it.
   * @param {MouseEvent} event */
  #carry(event) {
    const at = this.store.moment;
    const link = /** @type {Element} */ (event.target).closest?.("a[href]");
    if (at === null || !link) return;
    const url = new URL(/** @type {any} */ (link).href?.baseVal ?? /** @type {HTMLAnchorElement} */ (link).href, location.href);
    if (url.origin !== location.origin) return;
    if (PAGES.includes(url.pathname)) url.searchParams.set("at", iso(at));
    else if (/^\/services\/[^/]+\/breakers\/[^/]+$/.test(url.pathname)) {
      url.searchParams.set("from", (at - 900).toFixed(0));
      url.searchParams.set("to", (at + 900).toFixed(0));
    } else return;
    link.setAttribute("href", url.pathname + url.search);
  }

  /** @param {number | null} at */
  #address(at) {
    const url = new URL(location.href);
    if (at === null) url.searchParams.delete("at");
    else url.searchParams.set("at", `${iso(at).slice(0, 19)}Z`);
    history.replaceState(null, "", url);
  }
}
