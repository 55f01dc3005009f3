/** The page of one service, live. */

import { breakerUrl, make, parts, setText, showState, svg } from "./dom.js";
import { condition, severity } from "./condition.js";
import { conditionWord, countdown, latency, overCapacity, overrideWord, rate, span, word } from "./format.js";
import { failedWords, failingFor, outageCause, refusedWords } from "./outage.js";
import { start } from "./shell.js";
import { utc } from "./times.js";

/** @import {BreakerView, InstanceView} from "./types.js" */

const NAMED = 8;
const root = /** @type {HTMLElement} */ (document.getElementById("service"));
const service = root.dataset.service ?? "";
const part = parts(root);
const breakerRows = rowsOf("breakers");
const instanceRows = rowsOf("instances");
const mayForget = document.getElementById("forget") !== null;
const store = start([service]);
let due = 0;

store.addEventListener("change", () => {
  due ||= setTimeout(() => {
    due = 0;
    render();
  }, 250);
});
setInterval(render, 1000);
render();

/** @param {string} id */
function rowsOf(id) {
  const section = /** @type {HTMLElement} */ (document.getElementById(id));
  return {
    body: /** @type {HTMLElement} */ (section.querySelector("tbody")),
    none: /** @type {HTMLElement} */ (section.querySelector(".none")),
    scroll: /** @type {HTMLElement} */ (section.querySelector(".scroll")),
  };
}

function render() {
  const views = [...store.breakers.values()].sort(
    (a, b) => severity(condition(a)) - severity(condition(b)) || a.name.localeCompare(b.name),
  );
  const instances = [...(store.services.get(service)?.values() ?? [])].sort((a, b) => a.id.localeCompare(b.id));
  const worst = views[0]?.state ?? "stale";
  const same = views.filter((each) => each.state === worst).length;
  showState(part.state, worst, views.length ? `${word(worst)} ${same} of ${views.length}` : "No breaker yet");
  setText(part.rate, rate(views.reduce((sum, each) => sum + each.rate, 0)));
  const sum = totals(views);
  setText(part.failed, failedWords(sum));
  setText(part.refused, refusedWords(sum));
  setText(part.breakers, String(views.length));
  const stale = instances.filter((each) => each.stale).length;
  setText(part.instances, stale ? `${instances.length - stale} of ${instances.length}` : String(instances.length));
  showRevision(instances);
  showFull(instances);
  fill(breakerRows, views.length, (i, row) => showBreaker(row, views[i]), 8);
  fill(instanceRows, instances.length, (i, row) => showInstance(row, instances[i]), 7);
}

/** What is over capacity, and the first of its names. @param {InstanceView[]} instances */
function showFull(instances) {
  const turned = store.overCapacity.get(service) ?? { breakers: 0, instances: 0 };
  const names = [...new Set(instances.flatMap((each) => each.over_capacity ?? []))].sort();
  const full = overCapacity({ ...turned, breakers: Math.max(turned.breakers, names.length) });
  const some = names.slice(0, NAMED).join(", ") + (names.length > NAMED ? ", …" : "");
  const limits = `A service has at most 1,000 breakers and 5,000 instances.${some && ` Not watched: ${some}`}`;
  setText(part.full, full && `${full} not shown. ${limits}`);
  part.full.hidden = !full;
}

/** The figures of all breakers together. @param {BreakerView[]} views
 * @returns {any} the part of a view that figures are written from */
function totals(views) {
  const sum = (/** @type {"ran" | "failed" | "refused"} */ name) => views.reduce((n, view) => n + view[name], 0);
  const [ran, failed] = [sum("ran"), sum("failed")];
  return { ran, failed, refused: sum("refused"), failed_pct: ran ? (100 * failed) / ran : null };
}

/** @param {InstanceView[]} instances */
function desiredOf(instances) {
  return Math.max(Number(root.dataset.revision) || 0, ...instances.map((each) => each.revision));
}

/** @param {InstanceView[]} instances */
function showRevision(instances) {
  const desired = desiredOf(instances);
  const live = instances.filter((each) => !each.stale);
  const there = live.filter((each) => each.revision >= desired).length;
  setText(part.revision, desired ? `v${desired} on ${there} of ${live.length}` : "–");
}

/** @param {{body: HTMLElement, none: HTMLElement, scroll: HTMLElement}} rows @param {number} n
 * @param {(i: number, row: HTMLElement) => void} show @param {number} cells */
function fill(rows, n, show, cells) {
  while (rows.body.children.length > n) rows.body.lastElementChild?.remove();
  while (rows.body.children.length < n) {
    const row = document.createElement("tr");
    for (let i = 0; i < cells; i++) row.append(document.createElement("td"));
    rows.body.append(row);
  }
  for (let i = 0; i < n; i++) show(i, /** @type {HTMLElement} */ (rows.body.children[i]));
  rows.none.hidden = n > 0;
  rows.scroll.hidden = n === 0;
}

/** @param {HTMLElement} row @param {BreakerView} view */
function showBreaker(row, view) {
  const cells = row.children;
  if (!cells[0].firstElementChild) {
    const badge = make("span", "", "state");
    badge.append(svg("svg", { "aria-hidden": "true" }, svg("use", {})), make("b", ""));
    cells[0].append(badge);
    cells[1].append(document.createElement("a"));
    cells[1].className = "name";
    for (const i of [3, 4, 5, 6]) cells[i].className = "num";
  }
  showState(/** @type {HTMLElement} */ (cells[0].firstElementChild), view.state, conditionWord(condition(view), view.state));
  const link = /** @type {HTMLAnchorElement} */ (cells[1].firstElementChild);
  setText(link, view.name);
  link.href = breakerUrl(view.service, view.name);
  const states = Object.entries(view.states).sort((a, b) => severity(a[0]) - severity(b[0]));
  setText(cells[2], states.map(([state, n]) => `${n} ${word(state).toLowerCase()}`).join(", "));
  setText(cells[3], rate(view.rate));
  setText(cells[4], failedWords(view));
  setText(cells[5], refusedWords(view));
  setText(cells[6], latency(view.p99_ms));
  const hand = view.override;
  setText(
    cells[7],
    hand
      ? `${overrideWord(hand)} by ${hand.by}, in force on ${hand.applied} of ${hand.total}, ends in ${countdown(hand.expires_at - store.now())}`
      : view.outage
        ? `${failingFor(view.outage, store.now())} · ${outageCause(view.outage)}`
        : "–",
  );
}

/** @param {HTMLElement} row @param {InstanceView} each */
function showInstance(row, each) {
  const cells = row.children;
  const desired = desiredOf([...(store.services.get(service)?.values() ?? [])]);
  row.dataset.stale = each.stale ? "yes" : "no";
  setText(cells[0], each.id);
  setText(cells[1], each.pid ? `${each.host} (${each.pid})` : each.host || "–");
  setText(cells[2], each.version || "–");
  setText(cells[3], each.zone || "–");
  const age = store.now() - each.seen_at;
  setText(cells[4], each.stale ? `stale: ${span(age)} ago` : age < 10 ? "just now" : `${span(age)} ago`);
  /** @type {HTMLElement} */ (cells[4]).title = utc(each.seen_at);
  const behind = !each.stale && each.revision < desired;
  setText(cells[5], behind ? `${each.revision} of ${desired}` : String(each.revision));
  cells[5].className = behind ? "num behind" : "num";
  offerForget(/** @type {HTMLElement} */ (cells[6]), each);
}

/** A silent instance can be forgotten by those who operate; the server asks once more who it is.
 * @param {HTMLElement} cell @param {InstanceView} each */
function offerForget(cell, each) {
  const offered = each.stale && mayForget;
  if (!offered) return cell.replaceChildren();
  let button = /** @type {HTMLButtonElement | null} */ (cell.firstElementChild);
  if (!button) {
    button = /** @type {HTMLButtonElement} */ (make("button", "Forget", "button quiet"));
    button.setAttribute("form", "forget");
    button.name = "instance";
    cell.append(button);
  }
  button.value = each.id;
  button.title = `Forget ${each.id} before its ten minutes are over`;
  button.setAttribute("aria-label", `Forget ${each.id}`);
}
