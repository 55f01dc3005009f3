/** The wall display: the headline, the worst breakers as many as fit, the clock. */

import { condition, lost, needsAttention, severity } from "./condition.js";
import { byId, cloneTemplate, parts, setAttr, setText, showState } from "./dom.js";
import { byName, conditionWord, rate, span } from "./format.js";
import { headline } from "./headline.js";
import { showName } from "./names.js";
import { failedWords, refusedWords } from "./outage.js";
import { start } from "./shell.js";
import { iso, minute } from "./times.js";

/** @import {BreakerView} from "./types.js" */

const list = byId("worst");
const store = start(["*"], "wall");
let due = 0;

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
  setAttr(byId("top"), "data-state", said.worst === "failing" || said.worst === "unprotected" ? "open" : said.worst);
  document.title = `${said.alarms ? `(${said.alarms}) ` : ""}TV · Switchgear`;
  tellTime();
  views.sort((a, b) => severity(condition(a)) - severity(condition(b)) || harm(b) - harm(a) || (began(a) < began(b) ? -1 : Number(began(a) > began(b))) || byName(a, b));
  const capacity = Math.max(1, Math.floor(list.clientHeight / rowHeight()));
  const shown = views.slice(0, capacity);
  while (list.children.length > shown.length) list.lastElementChild?.remove();
  while (list.children.length < shown.length) list.append(cloneTemplate("tv-row"));
  shown.forEach((view, i) => showRow(/** @type {HTMLElement} */ (list.children[i]), view));
  byId("waiting").hidden = views.length > 0;
  setText(byId("more"), moreWords(views.slice(shown.length)));
}

/** What is below the end of the list: those in trouble are counted apart.
 * @param {BreakerView[]} hidden */
function moreWords(hidden) {
  if (!hidden.length) return "";
  const open = hidden.filter((each) => each.state === "open").length;
  const bad = hidden.filter(needsAttention).length - open;
  const said = [];
  if (open) said.push(`${open} more open`);
  if (bad) said.push(`${bad} more in trouble`);
  const well = hidden.length - open - bad;
  if (well) said.push(`${well} more closed`);
  return said.join(", ");
}

/** Who fails longest comes first among equals. @param {BreakerView} view */
function began(view) {
  return view.outage?.began ?? Infinity;
}

/** Calls lost, to the nearest power of two, so that places do not change every second.
 * @param {BreakerView} view */
function harm(view) {
  return Math.round(Math.log2(1 + lost(view)));
}

/** @param {HTMLElement} row @param {BreakerView} view */
function showRow(row, view) {
  const part = parts(row);
  setAttr(row, "data-state", view.state);
  const name = condition(view);
  setAttr(row, "data-condition", name);
  showState(part.state, view.state, conditionWord(name, view.state));
  showName(part.name, view.name);
  showName(part.service, view.service);
  const total = Object.values(view.states).reduce((sum, n) => sum + n, 0);
  setText(part.instances, total ? `${view.states[view.state] ?? 0} of ${total}` : "–");
  setText(part.rate, rate(view.rate));
  setText(part.failed, failedWords(view));
  setText(part.refused, refusedWords(view));
  const since = view.outage?.began ?? (view.state === "closed" ? null : (view.last?.at ?? null));
  setText(part.since, since === null ? "–" : span(store.now() - since));
}

function rowHeight() {
  const first = /** @type {HTMLElement | null} */ (list.firstElementChild);
  return (first?.offsetHeight || innerHeight * 0.125) + parseFloat(getComputedStyle(list).rowGap || "0");
}

function tellTime() {
  const now = store.moment ?? Date.now() / 1000;
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
