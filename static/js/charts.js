import { colour as ink } from "./colours.js";
import { word } from "./format.js";

/** @import {BreakerAtInstance} from "./types.js" */

const SPAN_S = 900;
const REFETCH_MS = 10_000;

// Bottom to top. The pattern tells them apart without colour.
const OUTCOMES = [
  ["success", "Success", ""],
  ["ignored", "Ignored", "."],
  ["failure", "Failure", "/"],
  ["timeout", "Timeout", "\\"],
  ["rejected", "Refused", "x"],
  ["bulkhead_full", "Bulkhead full", "+"],
];
const LATENCIES = [
  ["p50_ms", "p50", "solid"],
  ["p95_ms", "p95", "dash"],
  ["p99_ms", "p99", "dot"],
];
/** @type {Record<string, string>} */
const PATTERNS = {
  closed: "",
  open: "/",
  half_open: ".",
  forced_open: "x",
  forced_closed: "-",
  metrics_only: "|",
};

/** @type {any} */
const plotly = () => /** @type {any} */ (window).Plotly;

/** The charts of one breaker: the last 15 minutes, sliding on with the seconds. */
export class Charts {
  /** @param {HTMLElement} root @param {() => number} now the server's clock, Unix seconds */
  constructor(root, now) {
    this.url = root.dataset.history ?? "";
    this.timeoutMs = Number(root.dataset.timeoutMs) || null;
    this.now = now;
    /** @type {any} */
    this.series = null;
    /** @type {BreakerAtInstance[]} */
    this.instances = [];
    this.fetch();
    setInterval(() => this.fetch(), REFETCH_MS);
    setInterval(() => this.slide(), 1000);
    document.addEventListener("themechange", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  async fetch() {
    const response = await fetch(`${this.url}?range=15m`).catch(() => null);
    if (!response?.ok) return;
    this.series = await response.json();
    this.draw();
  }

  /** @param {BreakerAtInstance[]} instances */
  setStates(instances) {
    const signature = JSON.stringify(instances.map((each) => [each.id, each.state, each.stale]));
    const changed = signature !== this.signature;
    this.signature = signature;
    this.instances = instances;
    if (changed && this.series) this.drawStates();
  }

  draw() {
    if (!plotly() || !this.series) return;
    this.drawRate();
    this.drawLatency();
    this.drawStates();
  }

  drawRate() {
    const { t, rate, bucket_s: width } = this.series;
    const x = t.map((/** @type {number} */ at) => moment(at + width / 2));
    const traces = OUTCOMES.filter(([name]) => name === "success" || rate[name].some(Boolean)).map(
      ([name, label, pattern]) => ({
        x,
        y: rate[name],
        name: label,
        type: "bar",
        marker: {
          color: ink(`--outcome-${name}`),
          line: { width: 0 },
          pattern: { shape: pattern, fillmode: "overlay", size: 5, solidity: 0.3, fgcolor: ink("--panel") },
        },
        hovertemplate: `%{y:.1f}/s ${label}<extra></extra>`,
      }),
    );
    const layout = this.layout({ barmode: "stack", bargap: 0 });
    plotly().react("chart-rate", traces, layout, CONFIG);
  }

  drawLatency() {
    const { t, latency, bucket_s: width } = this.series;
    const x = t.map((/** @type {number} */ at) => moment(at + width / 2));
    /** @type {any[]} */
    const traces = LATENCIES.map(([name, label, dash]) => ({
      x,
      y: latency[name],
      name: label,
      type: "scatter",
      mode: "lines",
      connectgaps: false,
      line: { width: 2, dash, color: ink(`--latency-${label}`) },
      hovertemplate: `%{y:.0f} ms ${label}<extra></extra>`,
    }));
    if (this.timeoutMs) {
      traces.push({
        x: [moment(this.series.from - 60), moment(this.series.to + 3600)],
        y: [this.timeoutMs, this.timeoutMs],
        name: "timeout",
        mode: "lines",
        line: { width: 1.5, dash: "longdash", color: ink("--state-open") },
        hoverinfo: "skip",
      });
    }
    plotly().react("chart-latency", traces, this.layout({ yaxis: { rangemode: "tozero" } }), CONFIG);
  }

  drawStates() {
    if (!plotly()) return;
    const ids = this.instances.map((each) => each.id).sort().reverse();
    /** @type {Map<string, {base: Date[], x: number[], y: string[]}>} */
    const byState = new Map();
    for (const each of this.instances) {
      for (const piece of this.pieces(each)) {
        const into = byState.get(piece.state) ?? { base: [], x: [], y: [] };
        into.base.push(moment(piece.from));
        into.x.push((piece.to - piece.from) * 1000);
        into.y.push(each.id);
        byState.set(piece.state, into);
      }
    }
    const traces = [...byState].map(([state, { base, x, y }]) => ({
      type: "bar",
      orientation: "h",
      name: word(state),
      base,
      x,
      y,
      width: 0.6,
      marker: {
        color: ink(`--state-${state}`),
        pattern: {
          shape: PATTERNS[state] ?? "",
          fillmode: "overlay",
          size: 6, solidity: 0.25,
          fgcolor: ink("--panel"),
        },
      },
      hovertemplate: `%{y}: ${word(state)}<extra></extra>`,
    }));
    const layout = this.layout({
      barmode: "overlay",
      height: 70 + 26 * Math.max(1, ids.length),
      yaxis: { categoryorder: "array", categoryarray: ids, showgrid: false, automargin: true },
    });
    plotly().react("chart-states", traces, layout, CONFIG);
  }

  /** The spans an instance spent in each state; before the first known change, what it is in now.
   * @param {BreakerAtInstance} instance */
  pieces(instance) {
    const to = this.now();
    const changes = this.series.states[instance.id] ?? [];
    const known = changes.length ? changes : [{ at: this.series.from, state: instance.state }];
    const began = this.began();
    return known.map((/** @type {any} */ each, /** @type {number} */ i) => ({
      state: each.state,
      from: Math.max(began, each.at),
      to: Math.max(each.at + 0.5, known[i + 1]?.at ?? to),
    }));
  }

  /** When anything was reported first in this span: what was before, nobody knows. */
  began() {
    const { t, rate, from } = this.series;
    const columns = /** @type {number[][]} */ (Object.values(rate));
    const first = t.findIndex((/** @type {number} */ _, /** @type {number} */ i) =>
      columns.some((column) => column[i] > 0),
    );
    return first > 0 ? t[first] : from;
  }

  slide() {
    if (!plotly() || !this.series || document.hidden) return;
    const range = this.range();
    for (const id of ["chart-rate", "chart-latency"]) plotly().relayout(id, { "xaxis.range": range });
    this.drawStates();
  }

  range() {
    const now = this.now();
    return [moment(now - SPAN_S), moment(now)];
  }

  /** @param {Record<string, any>} more */
  layout(more) {
    const { yaxis, ...rest } = more;
    const axis = { gridcolor: ink("--line"), zeroline: false, linecolor: ink("--line"), fixedrange: true };
    return {
      height: 220,
      margin: { l: 44, r: 8, t: 4, b: 28 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 12, color: ink("--muted") },
      legend: { orientation: "h", x: 0, y: 1.18, font: { size: 11 } },
      showlegend: true,
      hovermode: "closest",
      xaxis: {
        ...axis,
        type: "date",
        range: this.range(),
        showgrid: false,
        tickformat: "%H:%M",
        hoverformat: "%H:%M:%S",
      },
      yaxis: { ...axis, rangemode: "tozero", nticks: 5, ...yaxis },
      ...rest,
    };
  }
}

const CONFIG = { displayModeBar: false, responsive: true };

/** @param {number} at Unix seconds */
const moment = (at) => new Date(at * 1000);
