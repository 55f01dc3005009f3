import { openActs } from "./act.js";
import { Charts } from "./charts.js";
import { condition, lost } from "./condition.js";
import { make, parts, setAttr, setText, showState } from "./dom.js";
import { freshPage } from "./fresh-page.js";
import { conditionWord, latency, rate, span, word } from "./format.js";
import { moment, timeElement, utc } from "./times.js";
import { listenToActs } from "./keys.js";
import { failedWords, failingFor, onlyTestCalls, outageCause, refusedWords } from "./outage.js";
import { offerActs } from "./offers.js";
import { showOverride } from "./row.js";
import { Progress } from "./progress.js";
import { openOnlyOn, showSplit } from "./split.js";
import { start } from "./shell.js";
import { keyOf } from "./store.js";

/** @import {BreakerAtInstance, BreakerView} from "./types.js" */

const root = /** @type {HTMLElement} */ (document.getElementById("breaker"));
const service = root.dataset.service ?? "";
const name = root.dataset.breaker ?? "";
const key = keyOf(service, name);
const part = parts(root);
const instanceRows = /** @type {HTMLElement} */ (document.querySelector("#instances tbody"));
const transitionRows = /** @type {HTMLElement} */ (document.querySelector("#transitions tbody"));

const split = /** @type {HTMLElement} */ (document.getElementById("split"));
const store = start([service]);
const charts = new Charts(root, () => store.now());
let lastSeen = store.breakers.get(key)?.last?.at ?? 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let due;
/** The override that the tables below show. */
let shownOverride = store.breakers.get(key)?.override?.id;
openActs(store);
const progress = document.getElementById("progress") ? new Progress(store) : null;
listenToActs(root);

store.addEventListener("change", (event) => {
  if (/** @type {CustomEvent<Set<string>>} */ (event).detail.has(key)) render();
});
render();
foldOnPhone();
refreshTransitions();
setInterval(() => {
  const view = store.breakers.get(key);
  if (view) showStory(view);
  if (view?.override) showOverride(part.override, view.override, store.now());
}, 1000);

function render() {
  const view = store.breakers.get(key);
  if (!view) return;
  showState(part.state, view.state, stateWords(view));
  setText(part.rate, rate(view.rate));
  setText(part.failed, failedWords(view));
  setText(part.refused, refusedWords(view));
  const tests = view.outage ? view.outage.failed_tests + view.outage.passed_tests : 0;
  setText(part.tests, view.outage && tests ? `${view.outage.passed_tests} of ${tests} ok` : "–");
  for (const figure of /** @type {const} */ (["p50", "p99"])) {
    const ofTests = onlyTestCalls(view) && view.p50_ms !== null;
    setText(part[figure], latency(view[`${figure}_ms`]));
    setText(/** @type {Element} */ (part[figure].previousElementSibling), ofTests ? `${figure} of test calls` : figure);
  }
  setText(part.in_flight, String(view.instances.reduce((sum, each) => sum + each.in_flight, 0)));
  progress?.refresh();
  showStory(view);
  offerActs(root, view);
  showOverride(part.override, view.override, store.now());
  showInstances(view.instances);
  showSplit(split, view.instances, infos());
  charts.setStates(view.instances);
  if (view.override?.id !== shownOverride) {
    shownOverride = view.override?.id;
    refreshTables();
  }
  if (view.last && view.last.at !== lastSeen) {
    lastSeen = view.last.at;
    clearTimeout(due);
    // It is stored within a second.
    due = setTimeout(() => {
      refreshTransitions();
      refreshTables();
    }, 1300);
  }
}

/** The instances of the service by identifier. */
function infos() {
  return store.services.get(service) ?? new Map();
}

/** @param {BreakerView} view */
function stateWords(view) {
  const total = view.instances.length;
  const same = view.states[view.state] ?? 0;
  const words = conditionWord(condition(view), view.state);
  if (same === total) return words;
  const only = view.state === "open" ? openOnlyOn(view.instances, infos()) : "";
  return only ? `${words} only on ${only}, ${same} of ${total}` : `${words} on ${same} of ${total}`;
}

/** Since when, why, and who is affected. @param {BreakerView} view */
function showStory(view) {
  const now = store.now();
  const { outage, last } = view;
  const kind = condition(view);
  setAttr(part.answer, "data-condition", kind);
  setAttr(part.answer, "data-state", view.state);
  let story = last ? `${word(last.after)} for ${span(now - last.at)} · ${last.cause}` : "No change of state is known";
  if (outage) story = `${failingFor(outage, now)} · ${outageCause(outage)}`;
  else if (kind === "failing" || kind === "unprotected") {
    story = `${failedWords(view)} of calls fail${kind === "unprotected" ? `, and the breaker is ${word(view.state).toLowerCase()}: nothing stops them` : ""}`;
  }
  setText(part.story, story);
  const harm = lost(view);
  const instances = view.instances.filter((each) => !each.stale).length;
  const callers = `${service}, ${instances} instance${instances === 1 ? "" : "s"}`;
  const fallback = view.counts.fallback ?? 0;
  const rest = fallback ? `; ${fallback} answered by a fallback in ten seconds` : "";
  setText(part.affected, harm >= 0.05 ? `${rate(harm)} calls/s lost at ${callers}${rest}` : "");
}

/** @param {BreakerAtInstance[]} instances */
function showInstances(instances) {
  const signature = JSON.stringify(instances);
  if (instanceRows.dataset.shown === signature) return;
  instanceRows.dataset.shown = signature;
  instanceRows.replaceChildren(
    ...instances.map((each) => {
      const row = document.createElement("tr");
      const state = each.stale ? "stale" : each.state;
      const cell = make("td", "");
      const badge = make("span", word(state), "chip");
      badge.dataset.state = state;
      cell.append(badge);
      const since = make("td", moment(each.since_at, store.now()));
      since.title = utc(each.since_at);
      const cause = each.would_be_open ? `would be open: ${each.cause}` : each.cause;
      row.append(
        make("td", each.id),
        cell,
        since,
        make("td", cause || "–"),
        make("td", String(each.in_flight), "num"),
      );
      return row;
    }),
  );
}

/** The latest transitions with their causes and the window's figures, from history. */
async function refreshTransitions() {
  const query = new URLSearchParams({
    service,
    breaker: name,
    from: String(Math.floor(store.now() - 90 * 86_400)),
    limit: root.dataset.transitionsLimit ?? "20",
  });
  const answer = await fetch(`${root.dataset.transitions}?${query}`).catch(() => null);
  if (!answer?.ok) return;
  const { transitions } = await answer.json();
  if (!transitions.length) return;
  transitionRows.replaceChildren(...transitions.map(transitionRow));
}

/** What the server wrote at first, written anew: overrides, audit, policy. */
async function refreshTables() {
  const fresh = await freshPage(location.pathname);
  for (const id of ["overrides", "audit", "policy", "outages"]) {
    const rows = fresh?.querySelector(`#${id} tbody`);
    if (rows) document.querySelector(`#${id} tbody`)?.replaceWith(rows);
  }
}

/** @param {any} each */
function transitionRow(each) {
  const row = document.createElement("tr");
  const when = make("td", "");
  when.append(timeElement(each.at, moment(each.at, store.now())));
  const change = make("td", "");
  const chip = make("span", word(each.after), "chip");
  chip.dataset.state = each.after;
  change.append(chip, " ", make("span", `from ${word(each.before).toLowerCase()}`, "was"));
  row.append(when, make("td", each.instance), change, make("td", each.cause), make("td", figures(each.window)));
  if (store.now() - each.at < 10) row.className = "fresh";
  return row;
}

/** As dashboard/timeline/event_text.py says them. @param {Record<string, number>} window */
function figures(window) {
  if (!window.calls) return "–";
  const said = [`${window.failures ?? 0} of ${window.calls} failed`];
  if (window.slow) said.push(`${window.slow} slow`);
  if (window.consecutive_failures > 1) said.push(`${window.consecutive_failures} in a row`);
  return said.join(", ");
}

/** On a phone the answer and two charts come first; the rest opens by a tap. */
function foldOnPhone() {
  if (!matchMedia("(max-width: 760px)").matches) return;
  for (const each of root.querySelectorAll("details.fold-card")) each.removeAttribute("open");
  const more = /** @type {HTMLElement} */ (document.getElementById("more-charts"));
  const later = root.querySelectorAll(".chart.later");
  for (const each of later) /** @type {HTMLElement} */ (each).hidden = true;
  more.hidden = false;
  more.addEventListener("click", () => {
    for (const each of later) /** @type {HTMLElement} */ (each).hidden = false;
    more.hidden = true;
    charts.draw();
  });
}
