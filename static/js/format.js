/** How states, figures and times are written. */

/** @type {Record<string, string>} */
export const WORDS = {
  closed: "Closed",
  open: "Open",
  half_open: "Half-open",
  forced_open: "Forced open",
  forced_closed: "Forced closed",
  metrics_only: "Monitor only",
  forced_partial: "Limited",
  stale: "Stale",
};

/** @param {string} state */
export const word = (state) => WORDS[state] ?? state;

/** The name of an override. @param {{state: string, share?: number}} override */
export const overrideWord = ({ state, share }) =>
  share === undefined ? word(state) : `${word(state)} to ${Number((share * 100).toPrecision(3))}%`;

/** The name of a condition: a state, or calls that fail although they are let through.
 * @param {string} name see condition.js @param {string} state */
export function conditionWord(name, state) {
  if (name === "failing") return "Closed, failing";
  if (name === "idle") return "Half-open, idle";
  return name === "unprotected" ? `${word(state)}, failing` : word(name);
}

/** @param {number | null} ms */
export function latency(ms) {
  if (ms === null) return "–";
  if (ms >= 10_000) return `${(ms / 1000).toFixed(0)} s`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms >= 10 ? ms.toFixed(0) : ms.toFixed(1)} ms`;
}

/** @param {number} calls a second */
export function rate(calls) {
  if (calls >= 10_000) return Math.round(calls).toLocaleString("en");
  return calls >= 100 ? calls.toFixed(0) : calls.toFixed(1);
}

/** @param {number | null} share in per cent */
export function percent(share) {
  if (share === null) return "–";
  if (share > 0 && share < 0.1) return "<0.1%";
  return `${share >= 10 || share === 0 ? share.toFixed(0) : share.toFixed(1)}%`;
}

/** A span of time, short. @param {number} seconds */
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86_400)} d`;
}

/** A countdown. @param {number} seconds */
export function countdown(seconds) {
  const s = Math.max(0, Math.round(seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  if (s >= 86_400) return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
  if (s >= 3600) return `${Math.floor(s / 3600)}:${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}`;
  return `${Math.floor(s / 60)}:${two(s % 60)}`;
}

/** By service, then by breaker; for thousands of names, thus without a collation.
 * @param {{service: string, name: string}} a @param {{service: string, name: string}} b */
export function byName(a, b) {
  if (a.service !== b.service) return a.service < b.service ? -1 : 1;
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** What a service has beyond its capacity; empty where it has none. @param {{breakers: number, instances: number}} over */
export function overCapacity({ breakers, instances }) {
  const said = [];
  if (breakers) said.push(`${breakers} breaker${breakers === 1 ? "" : "s"}`);
  if (instances) said.push(`${instances} instance${instances === 1 ? "" : "s"}`);
  return said.length ? `Over capacity: ${said.join(" and ")}` : "";
}
