/** The screen for the room: the headline, the worst breakers as far as they fit, the clock. */

import { cloneTemplate, parts, setAttr, setText, showState } from "./dom.js";
import { byName, percent, rank, rate, span, word } from "./format.js";
import { headline } from "./headline.js";
import { start } from "./shell.js";
import { keyOf } from "./store.js";
import { iso, minute } from "./times.js";

/** @import {BreakerView} from "./types.js" */

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const list = byId("worst");
const store = start(["*"], "wall");
let due = 0;
/** @type {Map<string, number>} */
const troubled = new Map();

store.addEventListener("change", () => {
  due ||= setTimeout(() => {
    due = 0;
    render();
  }, 250);
});
setInterval(render, 1000);
addEventListener("resize", render);
render();
stayAwake();

function render() {
  const views = [...store.breakers.values()];
  const said = headline(views, store.services.size);
  setText(byId("headline"), said.text);
  setAttr(byId("top"), "data-state", said.worst);
  document.title = `${said.alarms ? `(${said.alarms}) ` : ""}TV · Switchgear`;
  tellTime();
  views.sort((a, b) => rank(a.state) - rank(b.state) || harm(b) - harm(a) || byName(a, b));
  const room = Math.max(1, Math.floor(list.clientHeight / rowHeight()));
  const shown = views.slice(0, room);
  while (list.children.length > shown.length) list.lastElementChild?.remove();
  while (list.children.length < shown.length) list.append(cloneTemplate("tv-row"));
  shown.forEach((view, i) => showRow(/** @type {HTMLElement} */ (list.children[i]), view));
  byId("waiting").hidden = views.length > 0;
  setText(byId("more"), views.length > shown.length ? `and ${views.length - shown.length} more` : "");
}

/** How many calls do not go well, to the nearest power of two: places are not to change every second.
 * @param {BreakerView} view */
function harm(view) {
  return Math.round(Math.log2(1 + (view.rate * (view.error_pct ?? 0)) / 100));
}

/** @param {HTMLElement} row @param {BreakerView} view */
function showRow(row, view) {
  const part = parts(row);
  setAttr(row, "data-state", view.state);
  showState(part.state, view.state, word(view.state));
  setText(part.name, view.name);
  setText(part.service, view.service);
  const total = Object.values(view.states).reduce((sum, n) => sum + n, 0);
  setText(part.instances, `${view.states[view.state] ?? 0} of ${total}`);
  setText(part.rate, rate(view.rate));
  setText(part.errors, percent(view.error_pct));
  const since = troubledSince(view);
  setText(part.since, since === null ? "–" : span(store.now() - since));
}

/** From when on it has not been closed, however it went to and fro meanwhile. @param {BreakerView} view */
function troubledSince(view) {
  const key = keyOf(view.service, view.name);
  if (view.state === "closed") {
    troubled.delete(key);
    return null;
  }
  const now = view.last && view.last.after !== "closed" ? view.last.at : store.now();
  const since = Math.min(now, troubled.get(key) ?? now);
  troubled.set(key, since);
  return since;
}

function rowHeight() {
  const first = /** @type {HTMLElement | null} */ (list.firstElementChild);
  return (first?.offsetHeight || innerHeight * 0.125) + parseFloat(getComputedStyle(list).rowGap || "0");
}

function tellTime() {
  const now = Date.now() / 1000;
  setText(byId("clock"), minute(now));
  setText(byId("utc"), `${iso(now).slice(11, 16)} UTC`);
}

/** Screens that nobody touches fall asleep, where the browser is not asked to stay awake. */
function stayAwake() {
  const ask = () => {
    if (document.visibilityState !== "visible") return;
    /** @type {any} */ (navigator).wakeLock?.request("screen").catch(() => {});
  };
  ask();
  document.addEventListener("visibilitychange", ask);
}
