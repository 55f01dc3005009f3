/** How bad a breaker is: its state, and whether calls fail although they are let through. */

/** @import {BreakerView} from "./types.js" */

/** Worst first. `idle` is half-open where nobody calls: it waits for a test call and harms nobody.
 * `failing` is closed while calls fail; `unprotected` is forced closed or metrics only
 * while calls fail: nothing will stop them. @type {string[]} */
export const SEVERITY = [
  "unprotected",
  "open",
  "failing",
  "forced_open",
  "half_open",
  "stale",
  "forced_partial",
  "metrics_only",
  "forced_closed",
  "idle",
  "closed",
];
const RANK = new Map(SEVERITY.map((name, i) => [name, i]));

/** States that say enough, whether calls fail or not. */
const AS_IT_IS = new Set(["open", "forced_open", "half_open", "forced_partial", "stale"]);

/** Figures are of ten seconds. */
export const WINDOW_S = 10;
/** Calls fail noticeably from this share and this number in the window on. */
const FAILING_PCT = 5;
const FAILING_CALLS = 5;

/** @param {BreakerView} view */
export function isFailing(view) {
  return (view.failed_pct ?? 0) >= FAILING_PCT && view.failed >= FAILING_CALLS;
}

/** @param {BreakerView} view */
export function condition(view) {
  const { state } = view;
  if (state === "half_open" && view.idle_half_open) return "idle";
  if (AS_IT_IS.has(state)) return state;
  if (!isFailing(view)) return state;
  return state === "closed" ? "failing" : "unprotected";
}

/** @param {string} name a condition or a state */
export const severity = (name) => RANK.get(name) ?? SEVERITY.length;

/** Calls a second that callers did not get: failed or refused. @param {BreakerView} view */
export const lost = (view) => (view.failed + view.refused) / WINDOW_S;

/** Whether somebody must look at it. @param {BreakerView} view */
export function needsAttention(view) {
  const name = condition(view);
  return name !== "closed" && name !== "idle" && name !== "metrics_only" && name !== "forced_closed";
}

/**
 * Calls a second lost in the fleet, each counted once. A failure that travels up a chain of services
 * is reported by the breakers of each of them; it counts where it came out.
 *
 * @param {Iterable<BreakerView>} views
 */
export function callersLost(views) {
  /** @type {Map<string, number>} */
  const inside = new Map();
  /** @type {Map<string, number>} */
  const atCallers = new Map();
  for (const view of views) {
    const n = lost(view);
    if (!n) continue;
    inside.set(view.service, (inside.get(view.service) ?? 0) + n);
    if (view.name !== view.service) atCallers.set(view.name, (atCallers.get(view.name) ?? 0) + n);
  }
  let sum = 0;
  for (const [service, n] of inside) sum += Math.max(0, n - (atCallers.get(service) ?? 0));
  return sum;
}
