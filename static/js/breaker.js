import { openActs } from "./act.js";
import { Charts } from "./charts.js";
import { make, parts, setText, showState } from "./dom.js";
import { clock, latency, percent, rate, utc, word } from "./format.js";
import { showOverride } from "./row.js";
import { start } from "./shell.js";
import { keyOf } from "./store.js";

/** @import {BreakerAtInstance, BreakerView, Last} from "./types.js" */

const root = /** @type {HTMLElement} */ (document.getElementById("breaker"));
const service = root.dataset.service ?? "";
const key = keyOf(service, root.dataset.breaker ?? "");
const part = parts(root);
const instanceRows = /** @type {HTMLElement} */ (document.querySelector("#instances tbody"));
const transitionRows = /** @type {HTMLElement} */ (document.querySelector("#transitions tbody"));

const store = start([service]);
const charts = new Charts(root, () => store.now());
let lastSeen = store.breakers.get(key)?.last ?? null;
openActs();

store.addEventListener("change", (event) => {
  if (/** @type {CustomEvent<Set<string>>} */ (event).detail.has(key)) render();
});
render();
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
  if (view.last && view.last.at !== lastSeen?.at) {
    lastSeen = view.last;
    addTransition(view.last);
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
      const since = make("td", clock(each.since_at));
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

/** @param {Last} last */
function addTransition(last) {
  transitionRows.querySelector(".none")?.closest("tr")?.remove();
  const row = document.createElement("tr");
  const when = make("td", utc(last.at).slice(11, 19));
  when.title = clock(last.at);
  row.append(
    when,
    make("td", last.instance),
    make("td", `${word(last.before)} → ${word(last.after)}`),
    make("td", last.cause),
    make("td", "–", "num"),
  );
  row.className = "fresh";
  transitionRows.prepend(row);
}
