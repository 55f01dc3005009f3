/** The charts as tables, for who cannot see them or wants the figures. */

import { make } from "./dom.js";
import { percent, word } from "./format.js";
import { ms, OUTCOMES, PERCENTILES } from "./plots.js";
import { moment, timeElement } from "./times.js";

/** @import {Piece, Series} from "./plots.js" */

/** So many rows at most; neighbouring points are then left out evenly. */
const MOST = 120;

/** @param {HTMLElement} into @param {string[]} head @param {(string | Node)[][]} rows @param {number} texts
 *   how many of the first columns are no numbers */
function fill(into, head, rows, texts) {
  const table = document.createElement("table");
  table.className = "table";
  const top = table.createTHead().insertRow();
  head.forEach((each, i) => {
    const cell = make("th", each, i < texts ? "" : "num");
    cell.setAttribute("scope", "col");
    top.append(cell);
  });
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    row.forEach((each, i) => {
      const cell = make("td", "", i < texts ? "" : "num");
      cell.append(each);
      line.append(cell);
    });
  }
  if (!rows.length) {
    const cell = make("td", "Nothing in this range.", "none");
    cell.setAttribute("colspan", String(head.length));
    body.insertRow().append(cell);
  }
  into.replaceChildren(table);
}

/** @param {number} at @param {number} now */
const time = (at, now) => timeElement(at, moment(at, now));

/** The points at which something was called, newest first. @param {Series} series */
function points(series) {
  const called = [...series.t.keys()].filter((i) => OUTCOMES.some(([name]) => series.counts[name][i])).reverse();
  const step = Math.ceil(called.length / MOST);
  return called.filter((_, n) => n % step === 0);
}

/** @param {HTMLElement} into @param {Series} series @param {number} now */
export function rateTable(into, series, now) {
  const { min, max } = series.calls ?? {};
  const rows = points(series).map((i) => [
    time(series.t[i], now),
    ...OUTCOMES.map(([name]) => series.rate[name][i].toFixed(1)),
    ...(min && max ? [min[i].toFixed(1), max[i].toFixed(1)] : []),
  ]);
  const extremes = min && max ? ["Low of 10 s", "Peak of 10 s"] : [];
  fill(into, ["From", ...OUTCOMES.map(([, label]) => `${label}/s`), ...extremes], rows, 1);
}

/** @param {HTMLElement} into @param {Series} series @param {number} now */
export function latencyTable(into, series, now) {
  const figure = (/** @type {number | null} */ value) => (value === null ? "–" : ms(value));
  const rows = points(series).map((i) => [
    time(series.t[i], now),
    ...PERCENTILES.map(([name]) => figure(series.latency[name][i])),
    figure(series.latency.mean_ms[i]),
  ]);
  fill(into, ["From", ...PERCENTILES.map(([, label]) => `${label} ms`), "mean ms"], rows, 1);
}

/** Of each point the fastest, the most frequent and the slowest band. @param {HTMLElement} into
 * @param {Series} series @param {number} now */
export function heatTable(into, series, now) {
  const edges = series.heatmap.edges_ms;
  const band = (/** @type {number} */ row) => `${ms(edges[row])} to ${ms(edges[row + 1])}`;
  const rows = points(series).flatMap((i) => {
    const column = series.heatmap.counts[i];
    if (!column) return [];
    const calls = column.reduce((sum, n) => sum + n, 0);
    const most = column.indexOf(Math.max(...column));
    const last = column.findLastIndex(Boolean);
    return [
      [
        time(series.t[i], now),
        band(column.findIndex(Boolean)),
        `${band(most)} (${percent((100 * column[most]) / calls)})`,
        band(last),
        String(calls),
      ],
    ];
  });
  fill(into, ["From", "Fastest, ms", "Most, ms", "Slowest, ms", "Calls that ran"], rows, 4);
}

/** @param {HTMLElement} into @param {Piece[]} pieces @param {number} now */
export function stateTable(into, pieces, now) {
  const newest = [...pieces].sort((a, b) => b.from - a.from || (a.id < b.id ? -1 : 1)).slice(0, 4 * MOST);
  const rows = newest.map((each) => [
    each.id,
    word(each.state),
    time(each.from, now),
    each.to >= now - 2 ? "now" : time(each.to, now),
    each.cause || "–",
  ]);
  fill(into, ["Instance", "State", "From", "To", "Cause"], rows, 5);
}
