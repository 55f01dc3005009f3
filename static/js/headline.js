/** How the fleet is, in one line. */

import { rank, rate } from "./format.js";

/** @import {BreakerView} from "./types.js" */

/** @param {BreakerView[]} views @returns {{text: string, worst: string, alarms: number}} */
export function headline(views) {
  if (!views.length) return { text: "No breakers yet", worst: "stale", alarms: 0 };
  const count = (/** @type {string} */ state) => views.filter((each) => each.state === state).length;
  const open = count("open");
  const said = [`${open} of ${views.length} breaker${views.length === 1 ? "" : "s"} open`];
  const forced = views.filter((each) => each.override).length;
  if (forced) said.push(`${forced} forced`);
  if (count("half_open")) said.push(`${count("half_open")} half-open`);
  if (count("stale")) said.push(`${count("stale")} stale`);
  const degraded = views
    .filter((each) => rank(each.state) <= rank("half_open"))
    .reduce((sum, each) => sum + each.rate, 0);
  if (degraded) said.push(`${rate(degraded)} calls/s degraded`);
  else said.push(`${rate(views.reduce((sum, each) => sum + each.rate, 0))} calls/s`);
  const worst = views.reduce((w, each) => (rank(each.state) < rank(w) ? each.state : w), "closed");
  return { text: said.join(", "), worst, alarms: open + count("forced_open") };
}
