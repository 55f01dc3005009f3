import { openActs } from "./act.js";
import { Charts } from "./charts.js";
import { make, parts, setText, showState } from "./dom.js";
import { latency, percent, rate, word } from "./format.js";
import { moment, timeElement, utc } from "./times.js";
import { listenToActs } from "./keys.js";
import { showOverride } from "./row.js";
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

const store = start([service]);
const charts = new Charts(root, () => store.now());
let lastSeen = store.breakers.get(key)?.last?.at ?? 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let due;
/** The override that the tables below tell of. */
let told = store.breakers.get(key)?.override?.id;
openActs();
listenToActs(root);

store.addEventListener("change", (event) => {
  if (/** @type {CustomEvent<Set<string>>} */ (event).detail.has(key)) render();
});
render();
refreshTransitions();
setInterval(() => {
  const view = store.breakers.get(key);
  if (view?.override) showOverride(part.override, view.override, store.now());
}, 1000);

function render() {
  const view = store.breakers.get(key);
  if (!view) return;
  showState(part.state, view.state, stateWords(view));
  setText(part.rate, rate(view.rate));
  setText(part.errors, percent(view.error_pct));
  setText(part.p50, latency(view.p50_ms));
  setText(part.p95, latency(view.p95_ms));
  setText(part.p99, latency(view.p99_ms));
  setText(part.in_flight, String(view.instances.reduce((sum, each) => sum + each.in_flight, 0)));
  showOverride(part.override, view.override, store.now());
  showInstances(view.instances);
  charts.setStates(view.instances);
  if (view.override?.id !== told) {
    told = view.override?.id;
    refreshTables();
  }
  if (view.last && view.last.at !== lastSeen) {
    lastSeen = view.last.at;
    clearTimeout(due);
    // It is stored within a second.
    due = setTimeout(refreshTransitions, 1300);
  }
}

/** @param {BreakerView} view */
function stateWords(view) {
  const total = view.instances.length;
  const same = view.states[view.state] ?? 0;
  return same === total ? word(view.state) : `${word(view.state)} on ${same} of ${total}`;
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
  const answer = await fetch(location.pathname).catch(() => null);
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ["overrides", "audit", "policy"]) {
    const rows = fresh.querySelector(`#${id} tbody`);
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
