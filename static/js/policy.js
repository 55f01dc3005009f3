/** The policy editor: the timeout on the histogram, what-ifs, and the evidence about a canary. */

import { freshPage } from "./fresh-page.js";
import { colour } from "./colours.js";
import { byId, make, svg } from "./dom.js";
import { label, listMarkers } from "./markers.js";
import { escaped } from "./markup.js";

/** @import {Marker} from "./markers.js" */

/**
 * @typedef {{edges_ms: number[], upper_ms: number[], counts: number[], success: number,
 *   timeout: number, words: string}} Latencies
 * @typedef {[number, number, string]} Piece
 * @typedef {{state: string, progress: number, error: string, begins: number, ends: number,
 *   result: {sentence: string, assumptions: string[], actual: {strips: Record<string, Piece[]>},
 *   in_force: {strips: Piece[][]}, candidate: {strips: Piece[][]}}}} Replay
 */

const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false, scrollZoom: false };
const POLL_MS = 300;
const REFRESH_MS = 2000;
const BEFORE_S = 600;
const THRESHOLD = Math.log(100);
const root = byId("policy-page");
const form = /** @type {HTMLFormElement} */ (byId("policy-form"));
const timeoutInput = /** @type {HTMLInputElement} */ (form.elements.namedItem("timeout"));
/** @type {any} */
const plotly = Reflect.get(window, "Plotly");

/** @param {string} text @returns {number | null} milliseconds */
export function milliseconds(text) {
  const match = /^\s*([0-9.]+)\s*(ms|s|min)?\s*$/.exec(text);
  if (!match) return null;
  const factor = { ms: 1, s: 1000, min: 60_000 }[match[2] ?? "s"] ?? 1000;
  return Number(match[1]) * factor;
}

/** The share of successes that a timeout cuts. @param {Latencies} latencies @param {number} ms */
export function shareCut(latencies, ms) {
  let above = 0;
  latencies.counts.forEach((count, i) => {
    const [low, high] = [latencies.edges_ms[i], latencies.upper_ms[i]];
    if (low >= ms) above += count;
    else if (high > ms) above += (count * (high - ms)) / (high - low);
  });
  const cut = Math.max(0, Math.min(latencies.success, above - latencies.timeout));
  return latencies.success ? cut / latencies.success : 0;
}

/** @param {string} id */
function embedded(id) {
  const found = document.getElementById(id);
  return found ? JSON.parse(found.textContent ?? "null") : null;
}

/** The timeout that is typed or in force, in milliseconds. */
let ms = milliseconds(timeoutInput.value) ?? milliseconds(timeoutInput.placeholder);
/** @type {Latencies | null} */
let latencies = embedded("histogram");

function timeoutLine() {
  if (!ms) return [];
  const line = { color: colour("--state-open"), width: 3 };
  return [{ type: "line", x0: Math.log10(ms), x1: Math.log10(ms), y0: 0, y1: 1, yref: "paper", line }];
}

function drawHistogram() {
  if (!latencies?.counts.length) {
    byId("cut").textContent = "No calls in this range.";
    return;
  }
  const { edges_ms: edges, upper_ms: upper } = latencies;
  const middles = edges.map((low, i) => Math.log10((low + upper[i]) / 2));
  const ticks = [0.1, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000];
  const layout = {
    height: 240,
    margin: { l: 50, r: 12, t: 8, b: 36 },
    dragmode: false,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("--muted") },
    xaxis: {
      tickvals: ticks.map(Math.log10),
      ticktext: ticks.map((each) => (each < 1000 ? `${each} ms` : `${each / 1000} s`)),
      range: [Math.min(...middles) - 0.2, Math.max(...middles, ms ? Math.log10(ms) : 0) + 0.2],
    },
    yaxis: { title: { text: "calls" } },
    shapes: timeoutLine(),
  };
  const bars = { type: "bar", x: middles, y: latencies.counts, width: 0.036,
                 marker: { color: colour("--outcome-success") }, hoverinfo: "skip" };
  // Without Plotly's own handlers, which would take the pointer.
  plotly.react(byId("chart-timeout"), [bars], layout, { ...CONFIG, staticPlot: true });
  showTimeout();
}

function showTimeout() {
  if (!ms || !latencies?.counts.length) return;
  const share = shareCut(latencies, ms);
  byId("cut").textContent =
    `A timeout of ${words(ms)} would have cut ${(100 * share).toFixed(2)} % of ` +
    `${latencies.success.toLocaleString("en")} successes.`;
  plotly.relayout(byId("chart-timeout"), { shapes: timeoutLine() });
}

/** @param {PointerEvent} event */
function moveTimeout(event) {
  const plot = byId("chart-timeout");
  const axis = Reflect.get(plot, "_fullLayout")?.xaxis;
  if (!axis) return;
  const left = plot.getBoundingClientRect().left + axis._offset;
  ms = Math.min(3_600_000, Math.max(1, 10 ** axis.p2l(event.clientX - left)));
  timeoutInput.value = words(ms);
  showTimeout();
}

function followPointer() {
  let held = false;
  byId("chart-timeout").addEventListener("pointerdown", (event) => {
    held = true;
    moveTimeout(event);
  });
  addEventListener("pointermove", (event) => held && moveTimeout(event));
  addEventListener("pointerup", () => (held = false));
}

/** The evidence of another range. @param {string} seconds */
async function changeRange(seconds) {
  const answer = await fetch(`${root.dataset.latency}?${new URLSearchParams({ seconds })}`);
  if (!answer.ok) return;
  /** @type {Latencies} */
  const found = await answer.json();
  latencies = found;
  byId("evidence").textContent = found.words;
  drawHistogram();
}

/** @param {number} milli */
function words(milli) {
  return milli < 1000 ? `${Math.round(milli)} ms` : `${(milli / 1000).toFixed(2)} s`;
}

/** Deploys and other markers of a range, newest first. @param {number} from @param {number} to
 *  @returns {Promise<Marker[]>} */
async function markersOf(from, to) {
  const answer = await fetch(`${root.dataset.markers}?from=${from.toFixed(3)}&to=${to.toFixed(3)}`);
  return answer.ok ? (await answer.json()).markers : [];
}

async function drawRollout() {
  /** @type {[number, number, number][]} */
  const looks = embedded("looks");
  const plot = document.getElementById("chart-rollout");
  if (!looks?.length || !plot) return;
  const first = looks[0][0];
  const x = looks.map(([at]) => at - first);
  // A deploy shortly before explains as much as one meanwhile.
  const markers = await markersOf(first - BEFORE_S, looks[looks.length - 1][0] + 1);
  plotly.react(
    plot,
    [
      { x, y: looks.map((each) => each[1]), name: "evidence of harm", mode: "lines" },
      { x, y: looks.map((each) => each[2]), name: "evidence of safety", mode: "lines" },
    ],
    {
      height: 180,
      margin: { l: 40, r: 12, t: 8, b: 30 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: colour("--muted") },
      xaxis: { title: { text: "seconds" } },
      shapes: [
        { type: "line", x0: 0, x1: 1, xref: "paper", y0: THRESHOLD, y1: THRESHOLD,
          line: { dash: "dash", color: colour("--state-open") } },
        ...markers.map(({ at }) => ({ type: "line", x0: at - first, x1: at - first, y0: 0, y1: 1, yref: "paper",
                                      line: { color: colour("--accent"), width: 1.5, dash: "dot" } })),
      ],
      annotations: markers.map((each) => ({
        x: each.at - first, y: 0.98, yref: "paper", yanchor: "top", textangle: -90, xshift: 7, showarrow: false,
        text: escaped(label(each)), hovertext: escaped(each.text), font: { size: 10, color: colour("--accent") },
      })),
    },
    CONFIG,
  );
}

/** @param {HTMLElement} into @param {string} title @param {Piece[][]} strips
 *  @param {number} begins @param {number} ends @param {Marker[]} markers */
function drawStrips(into, title, strips, begins, ends, markers) {
  into.append(make("h3", title));
  const place = (/** @type {number} */ at) => String((1000 * (at - begins)) / (ends - begins));
  const lines = () =>
    markers.map(({ at, text }) => {
      const line = svg("line", { class: "marker-line", x1: place(at), x2: place(at), y1: "0", y2: "14" });
      line.append(svg("title", {}));
      if (line.firstChild) line.firstChild.textContent = text;
      return line;
    });
  for (const pieces of strips) {
    const bars = pieces.map(([from, to, state]) =>
      svg("rect", {
        class: state,
        x: place(from),
        width: String(Math.max(1, (1000 * (to - from)) / (ends - begins))),
        height: "14",
      }),
    );
    into.append(
      svg("svg", { class: "what-if-strip", viewBox: "0 0 1000 14", preserveAspectRatio: "none" }, ...bars, ...lines()),
    );
  }
}

let url = "";
const run = /** @type {HTMLButtonElement | null} */ (document.getElementById("run-what-if"));
const status = document.getElementById("what-if-result");

/** @param {string} address @param {boolean} withIncident */
async function post(address, withIncident) {
  const body = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (typeof value === "string" && (withIncident || name !== "incident")) body.append(name, value);
  }
  const answer = await fetch(address, { method: "POST", body, headers: { "X-Requested-With": "fetch" } });
  return { answer, body: await answer.json() };
}

/** @param {Record<string, string[]>} errors */
function refused(errors) {
  const said = Object.entries(errors).map(([name, each]) => `${name} ${each.join(" ")}`.trim());
  if (status) status.textContent = said.join("; ");
}

async function replay() {
  if (!status || !run) return;
  const progress = /** @type {HTMLProgressElement} */ (byId("what-if-progress"));
  const cancel = byId("cancel-what-if");
  const strips = byId("what-if-strips");
  strips.replaceChildren();
  const { answer, body } = await post(root.dataset.whatIf ?? "", false);
  if (!answer.ok) return refused(body.errors);
  url = body.url;
  run.disabled = true;
  progress.hidden = cancel.hidden = false;
  status.textContent = "Replaying…";
  try {
    for (;;) {
      const response = await fetch(url);
      /** @type {Replay} */
      const found = await response.json();
      progress.value = found.progress;
      if (found.state === "done") {
        status.textContent = found.result.sentence;
        const markers = await markersOf(found.begins, found.ends);
        const actual = Object.values(found.result.actual.strips);
        if (actual.length) drawStrips(strips, "What happened", actual, found.begins, found.ends, markers);
        drawStrips(strips, "Policy in force", found.result.in_force.strips, found.begins, found.ends, markers);
        drawStrips(strips, "Candidate", found.result.candidate.strips, found.begins, found.ends, markers);
        const list = make("ul", "", "chart-markers");
        listMarkers(list, markers, found.ends);
        strips.append(list);
        strips.append(make("p", `Assumed: ${found.result.assumptions.join(" ")}`, "was"));
        return;
      }
      if (found.state !== "queued" && found.state !== "running") {
        status.textContent = found.state === "failed" ? `It failed: ${found.error}` : "Cancelled.";
        return;
      }
      await new Promise((resume) => setTimeout(resume, POLL_MS));
    }
  } finally {
    run.disabled = false;
    progress.hidden = cancel.hidden = true;
  }
}

if (plotly) {
  drawHistogram();
  void drawRollout();
  if (!timeoutInput.disabled && !form.querySelector("fieldset[disabled]")) followPointer();
  timeoutInput.addEventListener("input", () => {
    ms = milliseconds(timeoutInput.value) ?? ms;
    showTimeout();
  });
  byId("latency-range").addEventListener("change", (event) => {
    void changeRange(/** @type {HTMLSelectElement} */ (event.target).value);
  });
}
run?.addEventListener("click", () => void replay());
const keep = /** @type {HTMLButtonElement | null} */ (document.getElementById("save-incident"));
document.getElementById("cancel-what-if")?.addEventListener("click", () => void post(url, false));
keep?.addEventListener("click", async () => {
  const { answer, body } = await post(root.dataset.whatIf ?? "", true);
  if (!answer.ok) refused(body.errors);
  else if (status) status.textContent = body.saved ? `Saved as ${body.saved}.` : "Name the incident first.";
});

const UNSETTLED = '.rollout[data-state="running"], #applied[data-recent], #applied [data-result="waiting"]';

/** @param {string} selector @param {Document} page
 *  @param {(fresh: HTMLElement, shown: HTMLElement) => boolean} isNews */
function replaceIf(selector, page, isNews) {
  /** @type {(HTMLElement | null)[]} */
  const [fresh, shown] = [page, document].map((each) => each.querySelector(selector));
  if (fresh && shown && isNews(fresh, shown)) shown.replaceWith(fresh);
}

/** Bring what changes by itself up to date: the rollout, and what instances have applied. */
async function refresh() {
  const page = await freshPage(location.href);
  if (!page) return; // the next look is soon
  replaceIf("#applied", page, (fresh, shown) => fresh.outerHTML !== shown.outerHTML);
  // While it runs only its words change, so that its buttons stay under the pointer.
  replaceIf(".rollout", page, (fresh, shown) => fresh.dataset.state !== shown.dataset.state);
  for (const selector of ["[data-rollout-sentence]", "#looks"]) {
    const [fresh, shown] = [page, document].map((each) => each.querySelector(selector));
    if (fresh && shown && fresh.textContent !== shown.textContent) shown.textContent = fresh.textContent;
  }
  if (plotly) void drawRollout();
}

if (document.querySelector(UNSETTLED)) {
  const timer = setInterval(async () => {
    await refresh();
    if (!document.querySelector(UNSETTLED)) clearInterval(timer);
  }, REFRESH_MS);
}
// They were disabled, so that a click before this script ran was not lost without a word.
for (const button of [run, keep]) if (button) button.disabled = false;
