/** Traces and layouts for Plotly, from series and strips of history. */

import { colour as ink } from "./colours.js";
import { word } from "./format.js";
import { escaped } from "./markup.js";
import { wall } from "./times.js";

/**
 * @typedef {{from: number, to: number, step_s: number, t: number[],
 *   rate: Record<string, number[]>, calls: {min?: number[], max?: number[]}, counts: Record<string, number[]>,
 *   latency: Record<string, (number | null)[]>,
 *   heatmap: {edges_ms: number[], counts: (number[] | null)[]},
 *   total: Record<string, any>}} Series see dashboard/history/queries/series.py
 * @typedef {{id: string, from: number, to: number, state: string, cause: string}} Piece
 */

/** Bottom to top; the pattern tells them apart without colour. */
export const OUTCOMES = [
  ["success", "Success", ""],
  ["ignored", "Ignored", "."],
  ["failure", "Failure", "/"],
  ["timeout", "Timeout", "\\"],
  ["rejected", "Refused", "x"],
  ["bulkhead_full", "Bulkhead full", "+"],
];
export const PERCENTILES = [
  ["p50_ms", "p50", "solid", "--latency-p50"],
  ["p90_ms", "p90", "dash", "--latency-p95"],
  ["p99_ms", "p99", "dot", "--latency-p99"],
];
/** @type {Record<string, string>} */
const PATTERNS = {
  closed: "",
  open: "/",
  half_open: ".",
  forced_open: "x",
  forced_closed: "-",
  metrics_only: "|",
  forced_partial: "\\",
};
const HEIGHT = 240;
/** The finest that history is kept by. */
const FINEST_S = 10;
/** The same at every chart of a page, so that their time axes line up. */
const MARGIN_LEFT = 92;
const MARGIN_LEFT_NARROW = 58;
/** Letters of an instance's name beside its lane. */
export const LANE_LETTERS = 11;
/** Round latencies in ms, for the axis of the heatmap. */
const ROUND_MS = [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000];

export const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false, scrollZoom: false };

/** Bars of the mean, and where a point is longer than ten seconds the least and the most calls of ten
 * seconds in it: a burst is not lost in a mean. @param {Series} series */
export function rateTraces(series) {
  return [...outcomeTraces(series), ...extremeTraces(series)];
}

/** @param {Series} series */
function extremeTraces({ t, step_s: width, calls }) {
  if (width <= FINEST_S || !calls?.max?.some(Boolean)) return [];
  const x = t.map((at) => wall(at + width / 2));
  const lines = /** @type {const} */ ([["max", "Peak of 10 s", "dot"], ["min", "Low of 10 s", "dash"]]);
  return lines.map(([name, label, dash]) => ({
    x,
    y: calls[name],
    name: label,
    type: "scatter",
    mode: "lines",
    line: { width: 1.5, shape: "hvh", dash, color: ink("--ink") },
    hovertemplate: `%{y:.1f}/s ${label}<extra></extra>`,
  }));
}

/** @param {Series} series */
function outcomeTraces(series) {
  const { t, rate, step_s: width } = series;
  const x = t.map((at) => wall(at + width / 2));
  return OUTCOMES.filter(([name]) => name === "success" || rate[name].some(Boolean)).map(
    ([name, label, pattern]) => ({
      x,
      y: rate[name],
      name: label,
      type: "bar",
      width: width * 1000,
      marker: {
        color: ink(`--outcome-${name}`),
        line: { width: 0 },
        pattern: { shape: pattern, fillmode: "overlay", size: 5, solidity: 0.3, fgcolor: ink("--panel") },
      },
      hovertemplate: `%{y:.1f}/s ${label}<extra></extra>`,
    }),
  );
}

/** @param {Series} series @param {[number, number | null][]} timeouts in ms, each since a time */
export function latencyTraces(series, timeouts) {
  const { t, latency, step_s: width } = series;
  const x = t.map((at) => wall(at + width / 2));
  const lone = t.length < 3 || sparse(latency.p50_ms);
  /** @type {any[]} */
  const traces = PERCENTILES.map(([name, label, dash, token]) => ({
    x,
    y: latency[name],
    name: label,
    type: "scatter",
    // A point between two gaps has no line to be seen by.
    mode: lone ? "lines+markers" : "lines",
    connectgaps: false,
    line: { width: 2, dash, color: ink(token) },
    hovertemplate: `%{y:.0f} ms ${label}<extra></extra>`,
  }));
  if (timeouts.some(([, ms]) => ms)) traces.push(timeoutLine(series, timeouts));
  return traces;
}

/** @param {(number | null)[]} values */
const sparse = (values) => values.filter((each) => each !== null).length < 12;

/** A step where the policy changed: what was is not drawn as what is.
 * @param {Series} series @param {[number, number | null][]} steps */
const timeoutLine = (series, steps) => ({
  x: [...steps.map(([at]) => wall(at)), wall(series.to + 86_400)],
  y: [...steps.map(([, ms]) => ms), steps[steps.length - 1][1]],
  name: "timeout",
  mode: "lines",
  line: { shape: "hv", width: 1.5, dash: "longdash", color: ink("--state-open") },
  hoverinfo: "skip",
});

/** @param {Series} series */
export function heatTraces(series) {
  const { t, heatmap, step_s: width } = series;
  const rows = heatmap.edges_ms.length - 1;
  if (rows < 1) return [];
  const z = Array.from({ length: rows }, (_, row) =>
    heatmap.counts.map((column) => (column?.[row] ? Math.sqrt(column[row]) : null)),
  );
  const edges = heatmap.edges_ms;
  const text = Array.from({ length: rows }, (_, row) =>
    heatmap.counts.map((column) => `${column?.[row] ?? 0} calls, ${ms(edges[row])} to ${ms(edges[row + 1])} ms`),
  );
  return [
    {
      type: "heatmap",
      x: [...t, t[t.length - 1] + width].map(wall),
      y: Array.from({ length: rows + 1 }, (_, row) => row),
      z,
      text,
      zmin: 0,
      colorscale: [
        [0, ink("--heat-0")],
        [1, ink("--heat-1")],
      ],
      showscale: false,
      hoverongaps: false,
      // Without any gap Plotly would scale a small picture by an inline style, which is forbidden.
      ygap: 0.01,
      hovertemplate: "%{text}<extra></extra>",
    },
  ];
}

/** Rows are evenly apart on a logarithmic scale; ticks stand at round latencies.
 * @param {Series} series */
export function heatAxis(series) {
  const edges = series.heatmap.edges_ms;
  const rows = edges.length - 1;
  if (rows < 1) return { visible: false };
  const place = (/** @type {number} */ value) =>
    (Math.log(value / edges[0]) / Math.log(edges[rows] / edges[0])) * rows;
  const round = ROUND_MS.filter((each) => each >= edges[0] && each <= edges[rows]);
  const shown = round.length >= 2 ? round : [edges[0], edges[Math.floor(rows / 2)], edges[rows]];
  return {
    range: [0, rows],
    tickmode: "array",
    tickvals: shown.map(place),
    ticktext: shown.map(ms),
    showgrid: false,
    rangemode: "normal",
  };
}

/** @param {number} value */
export const ms = (value) => (value >= 10 ? value.toFixed(0) : String(Number(value.toPrecision(2))));

/** @param {Piece[]} pieces */
export function stateTraces(pieces) {
  /** @type {Map<string, Piece[]>} */
  const byState = new Map();
  for (const each of pieces) byState.set(each.state, [...(byState.get(each.state) ?? []), each]);
  return [...byState].map(([state, those]) => ({
    type: "bar",
    orientation: "h",
    name: word(state),
    base: those.map((each) => wall(each.from)),
    x: those.map((each) => (each.to - each.from) * 1000),
    y: those.map((each) => escaped(each.id)),
    customdata: those.map((each) => escaped(each.cause)),
    width: 0.62,
    marker: {
      color: ink(`--state-${state}`),
      line: { width: 0 },
      pattern: {
        shape: PATTERNS[state] ?? "",
        fillmode: "overlay",
        size: 6,
        solidity: 0.25,
        fgcolor: ink("--panel"),
      },
    },
    hovertemplate: `%{y}: ${word(state)}<br>%{customdata}<extra></extra>`,
  }));
}

/** @param {[number, number]} range Unix seconds @param {Record<string, any>} more */
export function layout(range, more = {}) {
  const { yaxis, ...rest } = more;
  const axis = { gridcolor: ink("--line"), zeroline: false, linecolor: ink("--line"), tickcolor: ink("--line") };
  return {
    height: HEIGHT,
    margin: { l: innerWidth < 760 ? MARGIN_LEFT_NARROW : MARGIN_LEFT, r: 10, t: 28, b: 30 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: ink("--muted") },
    legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", font: { size: 11 }, itemclick: false, itemdoubleclick: false },
    showlegend: true,
    hovermode: "closest",
    hoverlabel: { bgcolor: ink("--raised"), bordercolor: ink("--line-strong"), font: { color: ink("--ink") } },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    xaxis: { ...axis, type: "date", range: range.map(wall), showgrid: false, fixedrange: false, ...xTicks(range) },
    yaxis: { ...axis, rangemode: "tozero", nticks: 5, fixedrange: true, ...yaxis },
    ...rest,
  };
}

/** @param {[number, number]} range */
function xTicks([from, to]) {
  const span = to - from;
  const tickformat = span > 2 * 86_400 ? "%b %-d" : span > 1200 ? "%H:%M" : "%H:%M:%S";
  return { tickformat, hoverformat: span > 86_400 ? "%b %-d, %H:%M" : "%H:%M:%S", nticks: innerWidth < 760 ? 4 : 7, tickangle: 0 };
}
