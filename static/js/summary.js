import { setText } from "./dom.js";
import { rank, rate } from "./format.js";
import { statesIn } from "./query.js";

/** @import {BreakerView} from "./types.js" */

const headline = /** @type {HTMLElement} */ (document.getElementById("summary"));
const pills = /** @type {HTMLElement} */ (document.getElementById("pills"));
const TITLE = "Wall · Switchgear";

/** How the fleet is, in one line. @param {Iterable<BreakerView>} views @param {number} services */
export function summarise(views, services) {
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
  showPills(counts);
  if (!total) {
    setText(headline, services ? "Waiting for the first report" : "No breakers yet");
    return;
  }
  const open = counts.open ?? 0;
  const said = [`${open} of ${total} breakers open`];
  if (forced) said.push(`${forced} forced`);
  if (counts.half_open) said.push(`${counts.half_open} half-open`);
  if (counts.stale) said.push(`${counts.stale} stale`);
  said.push(degraded >= 0.05 ? `${rate(degraded)} calls/s degraded` : `${rate(calls)} calls/s, all well`);
  setText(headline, said.join(", "));
  headline.title = `${rate(calls)} calls/s in all; degraded are those that failed, timed out or were refused`;
  if (headline.dataset.worst !== worst) headline.dataset.worst = worst;
  const alarm = open + (counts.forced_open ?? 0);
  const title = `${alarm ? `(${alarm}) ` : ""}${TITLE}`;
  if (document.title !== title) document.title = title;
}

/** @param {Record<string, number>} counts */
function showPills(counts) {
  for (const each of pills.children) {
    const pill = /** @type {HTMLElement} */ (each);
    const n = counts[pill.dataset.state ?? ""] ?? 0;
    const number = /** @type {HTMLElement} */ (pill.querySelector("b"));
    setText(number, String(n));
    const hide = !n && pill.ariaPressed !== "true";
    if (pill.hidden !== hide) pill.hidden = hide;
  }
}

/** @param {string} text the filter */
export function markPills(text) {
  const chosen = statesIn(text);
  for (const each of pills.children) {
    const pill = /** @type {HTMLElement} */ (each);
    pill.ariaPressed = String(chosen.has(pill.dataset.state ?? ""));
  }
}

/** @param {(state: string) => void} toggle */
export function onPill(toggle) {
  pills.addEventListener("click", (event) => {
    const pill = /** @type {Element} */ (event.target).closest("button");
    if (pill?.dataset.state) toggle(pill.dataset.state);
  });
}
