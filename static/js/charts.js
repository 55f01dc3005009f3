/** The charts of one breaker: a range that slides on with the seconds, or a zoom into the past. */

import { heatTable, latencyTable, rateTable, stateTable } from "./chart-tables.js";
import { severity } from "./condition.js";
import { setText } from "./dom.js";
import { listMarkers, markerShapes } from "./markers.js";
import { escaped } from "./markup.js";
import { Crosshair } from "./crosshair.js";
import { shortened } from "./names.js";
import { CONFIG, LANE_LETTERS, heatAxis, heatTraces, latencyTraces, layout, rateTraces, stateTraces } from "./plots.js";
import { fromWall, moment, utc, wall } from "./times.js";

/** @import {Piece, Series} from "./plots.js" */
/** @import {Marker} from "./markers.js" */
/** @import {BreakerAtInstance} from "./types.js" */

/** @type {Record<string, number>} */
const RANGES_S = { "5m": 300, "15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000 };
const SHORTEST_S = 30;
const MOST_LANES = 40;
const IDS = { rate: "chart-rate", latency: "chart-latency", heat: "chart-heat", states: "chart-states" };

/** @type {() => any} */
const plotly = () => /** @type {any} */ (window).Plotly;
const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

export class Charts {
  /** @param {HTMLElement} root @param {() => number} now the server's clock, Unix seconds */
  constructor(root, now) {
    this.root = root;
    this.now = now;
    /** In ms, each since a time. @type {[number, number | null][]} */
    this.timeouts = [];
    /** @type {Series | null} */
    this.series = null;
    /** @type {Record<string, {from: number, to: number, state: string, cause: string}[]>} */
    this.strips = {};
    /** @type {BreakerAtInstance[]} */
    this.instances = [];
    /** A range of the past that was zoomed into; null follows the present.
     * @type {[number, number] | null} */
    this.zoomed = null;
    /** @type {Marker[]} */
    this.markers = [];
    this.asked = 0;
    this.askedTo = 0;
    this.range = "15m";
    this.crosshair = new Crosshair(Object.values(IDS).map(byId));
    this.#fromAddress();
    this.#listen();
    this.#turned();
    this.#tick();
  }

  /** @param {BreakerAtInstance[]} instances */
  setStates(instances) {
    const signature = JSON.stringify(instances.map((each) => [each.id, each.state, each.stale]));
    const changed = signature !== this.signature;
    this.signature = signature;
    this.instances = instances;
    if (!changed || !this.series) return;
    this.#drawStates();
    clearTimeout(this.soon);
    // The transition is stored within a second.
    this.soon = setTimeout(() => this.fetch(), 1500);
  }

  async fetch() {
    const turn = ++this.asked;
    const [from, to] = this.#span();
    const step = this.zoomed ? "" : `&step=${Math.floor((to - from) / 380)}`;
    const query = `from=${from.toFixed(3)}&to=${to.toFixed(3)}`;
    const [series, strips, marked] = await Promise.all([
      json(`${this.root.dataset.history}?${query}${step}`),
      json(`${this.root.dataset.strips}?${query}`),
      json(`${this.root.dataset.markers}?${query}`),
    ]);
    // A later click waits for another answer.
    if (turn !== this.asked || !series || !strips) return;
    this.askedTo = to;
    this.series = series;
    this.strips = strips.instances;
    this.markers = marked?.markers ?? this.markers;
    this.timeouts = marked?.timeouts ?? this.timeouts;
    this.draw();
  }

  draw() {
    if (!this.series) return;
    const series = this.series;
    byId("no-history").hidden = series.total.calls > 0;
    const range = this.#span();
    listMarkers(byId("chart-markers"), this.markers, this.now());
    if (plotly()) {
      const marks = markerShapes(this.markers, range);
      react(IDS.rate, rateTraces(series), layout(range, { barmode: "stack", bargap: 0, ...marks }));
      react(IDS.latency, latencyTraces(series, this.timeouts), layout(range, marks));
      react(IDS.heat, heatTraces(series), layout(range, { yaxis: heatAxis(series), showlegend: false, ...marks }));
      this.#hearZoom();
    }
    this.#drawStates();
    this.#tables();
  }

  #drawStates() {
    const lanes = [...this.instances].sort(
      (a, b) => severity(a.stale ? "stale" : a.state) - severity(b.stale ? "stale" : b.state) || a.id.localeCompare(b.id),
    );
    const shown = lanes.slice(0, MOST_LANES);
    const left = lanes.length - shown.length;
    setText(byId("states-note"), left > 0 ? `the ${MOST_LANES} worst of ${lanes.length}; the others are in the table` : "");
    if (!plotly() || !this.series) return;
    const ids = shown.map((each) => each.id).sort().reverse();
    const among = new Set(ids);
    const pieces = this.#pieces().filter((each) => among.has(each.id));
    const more = {
      ...markerShapes(this.markers, this.#span()),
      barmode: "overlay",
      height: Math.max(240, 64 + 25 * ids.length),
      yaxis: {
        categoryorder: "array",
        categoryarray: ids.map(escaped),
        showgrid: false,
        type: "category",
        tickmode: "array",
        tickvals: ids.map(escaped),
        ticktext: ids.map((each) => escaped(shortened(each, innerWidth < 760 ? LANE_LETTERS / 2 : LANE_LETTERS))),
      },
    };
    react(IDS.states, stateTraces(pieces), layout(this.#span(), more));
    this.#hearZoom();
  }

  /** The spans each instance spent in each state. One that never changed is in what it is in now,
   * since anything was reported first; what was before, nobody knows.
   * @returns {Piece[]} */
  #pieces() {
    const [, end] = this.#span();
    const began = this.#began();
    const known = new Set(Object.keys(this.strips));
    const pieces = Object.entries(this.strips).flatMap(([id, those]) =>
      those.map((each) => ({
        id,
        ...each,
        // What it was in before its first change is known since anything was reported.
        from: each.cause ? each.from : Math.max(each.from, began ?? each.to),
        to: Math.min(each.to, end),
      })),
    );
    for (const each of this.instances) {
      const state = each.stale ? "stale" : each.state;
      const last = known.has(each.id) ? pieces.findLast((piece) => piece.id === each.id) : null;
      // What it was in when history was asked last goes on until what it says it is in now.
      const goesOn = last && last.to >= Math.min(this.askedTo, end) - 1;
      if (last?.state === state && each.since_at <= last.from + 2) {
        if (goesOn) last.to = end;
        continue;
      }
      if (last && goesOn) last.to = Math.min(each.since_at, end);
      const from = Math.max(this.#known().from, each.since_at);
      pieces.push({ id: each.id, from, to: end, state, cause: each.cause });
    }
    return pieces.filter((each) => each.to > each.from);
  }

  /** When anything was called first in this span; null where nothing was. */
  #began() {
    const { t, counts } = this.#known();
    const columns = Object.values(counts);
    const first = t.findIndex((_, i) => columns.some((column) => column[i] > 0));
    return first < 0 ? null : t[first];
  }

  #tables() {
    const draw = {
      rate: (/** @type {HTMLElement} */ into) => rateTable(into, this.#known(), this.now()),
      latency: (/** @type {HTMLElement} */ into) => latencyTable(into, this.#known(), this.now()),
      heat: (/** @type {HTMLElement} */ into) => heatTable(into, this.#known(), this.now()),
      states: (/** @type {HTMLElement} */ into) => stateTable(into, this.#pieces(), this.now()),
    };
    for (const [name, fill] of Object.entries(draw)) {
      const into = /** @type {HTMLElement} */ (this.root.querySelector(`[data-chart=${name}] .chart-table`));
      if (!into.hidden && this.series) fill(into);
    }
  }

  #known() {
    return /** @type {Series} */ (this.series);
  }

  /** Unix seconds, both. @returns {[number, number]} */
  #span() {
    if (this.zoomed) return this.zoomed;
    const now = this.now();
    return [now - RANGES_S[this.range], now];
  }

  #listen() {
    for (const button of this.root.querySelectorAll("[data-range]")) {
      button.addEventListener("click", () => {
        this.range = /** @type {HTMLElement} */ (button).dataset.range ?? this.range;
        this.zoomed = null;
        this.#turned();
      });
    }
    byId("unzoom").addEventListener("click", () => {
      this.zoomed = null;
      this.#turned();
    });
    for (const button of this.root.querySelectorAll("[data-move]")) {
      button.addEventListener("click", () => this.#move(/** @type {HTMLElement} */ (button).dataset.move ?? ""));
    }
    for (const toggle of this.root.querySelectorAll(".table-toggle")) {
      toggle.addEventListener("click", () => this.#toggle(/** @type {HTMLElement} */ (toggle)));
    }
    document.addEventListener("themechange", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && !this.zoomed) this.fetch();
    });
  }

  /** @param {HTMLElement} toggle */
  #toggle(toggle) {
    const figure = /** @type {HTMLElement} */ (toggle.closest("figure"));
    const table = /** @type {HTMLElement} */ (figure.querySelector(".chart-table"));
    const plot = /** @type {HTMLElement} */ (figure.querySelector(".plot"));
    table.hidden = !table.hidden;
    plot.hidden = !table.hidden;
    toggle.setAttribute("aria-pressed", String(!table.hidden));
    if (table.hidden) this.draw();
    else this.#tables();
  }

  /** Another range or another zoom: say so, keep it in the address, ask for its data. */
  #turned() {
    for (const each of this.root.querySelectorAll("[data-range]")) {
      const own = /** @type {HTMLElement} */ (each).dataset.range;
      each.setAttribute("aria-pressed", String(!this.zoomed && own === this.range));
    }
    const unzoom = byId("unzoom");
    unzoom.hidden = !this.zoomed;
    const words = this.root.querySelector(`[data-range="${this.range}"]`)?.textContent ?? "";
    setText(unzoom, `Back to ${words}`);
    const [from, to] = this.#span();
    const span = byId("span-words");
    setText(span, this.zoomed ? `Then: ${moment(from, this.now())} to ${moment(to, this.now())}` : "Up to now");
    this.root.classList.toggle("shows-then", Boolean(this.zoomed));
    span.title = this.zoomed ? `${utc(from)} to ${utc(to)}` : "";
    const url = new URL(location.href);
    for (const name of ["range", "from", "to"]) url.searchParams.delete(name);
    if (this.range !== "15m") url.searchParams.set("range", this.range);
    if (this.zoomed) {
      url.searchParams.set("from", from.toFixed(0));
      url.searchParams.set("to", to.toFixed(0));
    }
    history.replaceState(null, "", url);
    this.fetch();
  }

  #fromAddress() {
    const query = new URLSearchParams(location.search);
    const range = query.get("range") ?? "";
    if (range in RANGES_S) this.range = range;
    const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
    if (from > 0 && to > from) this.zoomed = [from, to];
  }

  /** A drag on one chart zooms all of them, and brings finer data. */
  #hearZoom() {
    for (const id of Object.values(IDS)) {
      const element = /** @type {any} */ (byId(id));
      if (!element.on || element.dataset.hears) continue;
      element.dataset.hears = "yes";
      element.on("plotly_relayout", (/** @type {any} */ change) => {
        const [from, to] = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
        if (from === undefined || to === undefined) return;
        this.#zoom(fromWall(from), fromWall(to));
      });
    }
  }

  /** @param {number} from @param {number} to */
  #zoom(from, to) {
    const middle = (from + to) / 2;
    const half = Math.max(SHORTEST_S, to - from) / 2;
    this.zoomed = [middle - half, Math.min(middle + half, this.now())];
    this.#turned();
  }

  /** What the buttons do: for keyboards, and for thumbs, whose drag scrolls. @param {string} way */
  #move(way) {
    const [from, to] = this.#span();
    const [middle, span] = [(from + to) / 2, to - from];
    if (way === "in") this.#zoom(middle - span / 4, middle + span / 4);
    else if (way === "out") this.#zoom(middle - span, Math.min(middle + span, this.now()));
    else if (way === "earlier") this.#zoom(from - span / 2, to - span / 2);
    else if (to + span / 2 < this.now()) this.#zoom(from + span / 2, to + span / 2);
    else {
      this.zoomed = null;
      this.#turned();
    }
  }

  /** The window slides with the clock, as often as a pixel of it passes; data come each ten seconds,
   * or less often where a point is longer. */
  #tick() {
    const span = RANGES_S[this.range];
    const every = Math.max(1000, Math.min(60_000, (span / 700) * 1000));
    setTimeout(() => {
      this.#slide();
      this.#tick();
    }, every);
    const due = Math.max(10_000, Math.min(120_000, (span / 400) * 1000));
    if (!this.zoomed && !document.hidden && Date.now() - (this.fetchedAt ?? 0) >= due) {
      this.fetchedAt = Date.now();
      this.fetch();
    }
  }

  #slide() {
    if (!plotly() || !this.series || document.hidden || this.zoomed) return;
    const range = this.#span().map(wall);
    for (const id of [IDS.rate, IDS.latency, IDS.heat]) {
      if (!byId(id).hidden) plotly().update(id, {}, { "xaxis.range": range });
    }
    if (!byId(IDS.states).hidden) this.#drawStates();
  }
}

/** @param {string} id @param {any[]} traces @param {any} shape */
function react(id, traces, shape) {
  const element = byId(id);
  if (element.hidden) return;
  plotly().react(element, traces, shape, CONFIG);
}

/** @param {string} url */
async function json(url) {
  const answer = await fetch(url).catch(() => null);
  return answer?.ok ? answer.json() : null;
}
