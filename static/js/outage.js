/** An outage in words. */

import { rate, span } from "./format.js";
import { WINDOW_S } from "./condition.js";
import { minute, moment } from "./times.js";

/** @import {BreakerView, Outage} from "./types.js" */

/** Such as "Failing for 6 min · since 16:43". @param {Outage} outage @param {number} now */
export function failingFor(outage, now) {
  const since = now - outage.began < 43_200 ? minute(outage.began) : moment(outage.began, now);
  return `Failing for ${span(now - outage.began)} · since ${since}`;
}

/** Such as "27 test calls failed"; empty where none was made. @param {Outage} outage */
export function testCalls(outage) {
  const all = outage.failed_tests + outage.passed_tests;
  if (!all) return "";
  if (!outage.passed_tests) return `${all} test call${all === 1 ? "" : "s"} failed`;
  return `test calls ${outage.passed_tests} of ${all} ok`;
}

/** The first cause, and the test calls since. @param {Outage} outage */
export function outageCause(outage) {
  return [outage.cause, testCalls(outage)].filter(Boolean).join(" · ");
}

/** Whether the calls that run are test calls only. @param {BreakerView} view */
export function onlyTestCalls(view) {
  const states = Object.keys(view.states ?? { [view.state]: 1 }).filter((each) => each !== "stale");
  return states.length > 0 && states.every((each) => each === "open" || each === "half_open");
}

/** Calls that the breaker did not let through, a second; empty where there were none.
 * @param {BreakerView} view */
export function refusedWords(view) {
  return view.refused ? `${rate(view.refused / WINDOW_S)}/s` : "–";
}

/** The share of failed calls, or their number where there are few. @param {BreakerView} view */
export function failedWords(view) {
  const { ran, failed, failed_pct: share } = view;
  if (share === null) return "–";
  if (ran < 20 && failed) return `${failed} of ${ran}`;
  if (share > 0 && share < 0.1) return "<0.1%";
  return `${share >= 10 || share === 0 ? share.toFixed(0) : share.toFixed(1)}%`;
}
