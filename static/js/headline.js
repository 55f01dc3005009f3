/** How the fleet is, in one line. */

import { rank, rate } from "./format.js";

/** @import {BreakerView} from "./types.js" */

/**
 * @param {Iterable<BreakerView>} views
 * @param {number} services how many have reported
 * @returns {{text: string, worst: string, alarms: number, calls: number,
 *   counts: Record<string, number>}} `alarms` are the breakers that refuse calls, `counts` how many
 *   are in each state
 */
export function headline(views, services) {
  /** @type {Record<string, number>} */
  const counts = {};
  let total = 0;
  let forced = 0;
  let degraded = 0;
  let calls = 0;
  let worst = "closed";
  for (const view of views) {
    total += 1;
    counts[view.state] = (counts[view.state] ?? 0) + 1;
    if (view.override) forced += 1;
    calls += view.rate;
    degraded += (view.rate * (view.error_pct ?? 0)) / 100;
    if (rank(view.state) < rank(worst)) worst = view.state;
  }
  if (!total) {
    const text = services ? "Waiting for the first report" : "No breakers yet";
    return { text, worst: "stale", alarms: 0, calls: 0, counts };
  }
  const open = counts.open ?? 0;
  const said = [`${open} of ${total} breakers open`];
  if (forced) said.push(`${forced} forced`);
  if (counts.half_open) said.push(`${counts.half_open} half-open`);
  if (counts.stale) said.push(`${counts.stale} stale`);
  // A breaker that refuses calls nobody makes just now degrades none, and is no reason to be calm.
  const rest = worst === "closed" && !forced ? ", all well" : "";
  said.push(degraded >= 0.05 ? `${rate(degraded)} calls/s degraded` : `${rate(calls)} calls/s${rest}`);
  return { text: said.join(", "), worst, alarms: open + (counts.forced_open ?? 0), calls, counts };
}
