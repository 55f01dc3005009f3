import { setText } from "./dom.js";
import { rate } from "./format.js";
import { headline } from "./headline.js";
import { statesIn } from "./query.js";

/** @import {BreakerView} from "./types.js" */

const line = /** @type {HTMLElement} */ (document.getElementById("summary"));
const pills = /** @type {HTMLElement} */ (document.getElementById("pills"));
const TITLE = "Wall · Switchgear";

/** How the fleet is, in one line. @param {Iterable<BreakerView>} views @param {number} services */
export function summarise(views, services) {
  const { text, worst, alarms, calls, states } = headline(views, services);
  showPills(states);
  setText(line, text);
  line.title = calls
    ? `${rate(calls)} calls/s in all; lost are those that failed, timed out or were refused`
    : "";
  if (line.dataset.worst !== worst) line.dataset.worst = worst;
  const title = `${alarms ? `(${alarms}) ` : ""}${TITLE}`;
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
