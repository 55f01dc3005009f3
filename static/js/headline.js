/** The state of the fleet in one line: the worst first, and what is unknown before what is known. */

import { callersLost, condition, severity } from "./condition.js";
import { rate } from "./format.js";

/** @import {BreakerView} from "./types.js" */

/** With a larger share of calls lost, no headline is calm. */
const LOST_SHARE = 0.05;

/** @type {[string, (n: number) => string][]} */
const PARTS = [
  ["unprotected", (n) => `${n} failing while forced to pass calls`],
  ["open", (n) => `${n} open`],
  ["failing", (n) => `${n} failing`],
  ["forced_open", (n) => `${n} forced open`],
  ["half_open", (n) => `${n} testing`],
  ["forced_partial", (n) => `${n} limited to a share`],
  ["forced_closed", (n) => `${n} forced closed`],
  ["metrics_only", (n) => `${n} monitor only`],
  ["idle", (n) => `${n} half-open without calls`],
];

/**
 * @param {Iterable<BreakerView>} views
 * @param {number} services how many have reported
 * @returns {{text: string, worst: string, alarms: number, calls: number, lost: number,
 *   counts: Record<string, number>, states: Record<string, number>}} `alarms` are the breakers that
 *   are open, failing or unprotected; `counts` is by condition, `states` by state
 */
export function headline(views, services) {
  /** @type {Record<string, number>} */
  const counts = {};
  /** @type {Record<string, number>} */
  const states = {};
  let total = 0;
  let calls = 0;
  let worst = "closed";
  const all = [...views];
  for (const view of all) {
    const name = condition(view);
    total += 1;
    counts[name] = (counts[name] ?? 0) + 1;
    states[view.state] = (states[view.state] ?? 0) + 1;
    calls += view.rate;
    if (name !== "idle" && severity(name) < severity(worst)) worst = name;
  }
  if (!total) {
    const text = services ? "Waiting for the first report" : "No breakers yet";
    return { text, worst: "stale", alarms: 0, calls: 0, lost: 0, counts, states };
  }
  const lost = callersLost(all);
  const said = [];
  const { stale = 0 } = counts;
  if (stale) said.push(stale === total ? `Nothing is heard of ${all_(total)}` : `${stale} of ${total} unknown`);
  for (const [name, words] of PARTS) if (counts[name]) said.push(words(counts[name]));
  if (lost >= 0.05) said.push(`${rate(lost)} calls/s lost`);
  else said.push(`${rate(calls)} calls/s`);
  if (worst === "closed" && (lost < 0.05 || lost < calls * LOST_SHARE)) {
    const few = lost >= 0.05 ? `, ${rate(lost)} lost` : "";
    const idle = counts.idle ? `, ${counts.idle} half-open without calls` : "";
    const closed = total - (counts.idle ?? 0);
    const which = closed === total ? `All ${total} breakers` : `${closed} of ${total} breakers`;
    const text = `${which} closed${idle}, ${rate(calls)} calls/s${few}`;
    return { text: total === 1 ? text.replace("All 1 breakers", "The breaker is") : text, worst, alarms: 0, calls, lost, counts, states };
  }
  if (worst === "closed") worst = "failing";
  const alarms = (counts.open ?? 0) + (counts.failing ?? 0) + (counts.unprotected ?? 0) + (counts.forced_open ?? 0);
  return { text: said.join(", "), worst, alarms, calls, lost, counts, states };
}

/** @param {number} n */
const all_ = (n) => (n === 1 ? "the one breaker" : `all ${n} breakers`);
