/** The map: services and what they depend on, as a picture and as a table. */

import { breakerUrl, byId, make, serviceUrl, setAttr, setText, showState, svg } from "./dom.js";
import { condition, severity } from "./condition.js";
import { conditionWord, latency, rate } from "./format.js";
import { failedWords, refusedWords } from "./outage.js";
import { shortened } from "./names.js";
import { graphOf } from "./graph.js";
import { layered } from "./layout.js";
import { start } from "./shell.js";
import { keyOf } from "./store.js";

/** @import {Graph, Line, Node} from "./graph.js" */
/** @import {Place} from "./layout.js" */

const canvas = byId("map");
const rows = byId("lines");
const filter = /** @type {HTMLInputElement} */ (byId("filter"));

const NODE = { width: 168, height: 54 };
const REDRAW_MS = 500;
/** Lines into one box that have a label each. */
const MOST_LABELS = 4;

const store = start(["*"], "wall");
/** @type {Graph} */
let graph = { nodes: new Map(), lines: [], left: 0, total: 0, bad: 0, services: 0, focused: false };
let focuses = true;
let drawn = "";
/** @type {Map<string, SVGElement>} */
let edges = new Map();
/** @type {Map<string, SVGElement>} Above all lines. */
let labels = new Map();
/** @type {Map<string, SVGElement>} */
let boxes = new Map();
/** @type {Map<string, HTMLTableRowElement>} */
let tableRows = new Map();
let due = 0;

store.addEventListener("change", soon);
addEventListener("resize", soon);
filter.value = new URLSearchParams(location.search).get("q") ?? "";
filter.addEventListener("input", () => {
  const url = new URL(location.href);
  if (filter.value) url.searchParams.set("q", filter.value);
  else url.searchParams.delete("q");
  history.replaceState(null, "", url);
  render();
});
byId("map-note").querySelector("button")?.addEventListener("click", () => {
  focuses = !focuses;
  render();
});
render();

function soon() {
  due ||= setTimeout(() => {
    due = 0;
    render();
  }, REDRAW_MS);
}

function render() {
  graph = graphOf(store, filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean), edges, focuses);
  const vertical = canvas.clientWidth < 720;
  const shape = JSON.stringify([
    vertical,
    canvas.clientWidth,
    [...graph.nodes.keys()].sort(),
    graph.lines.map((each) => [each.from, each.to]).sort(),
  ]);
  if (shape !== drawn) {
    drawn = shape;
    draw(vertical);
    tell();
  }
  update();
}

/** @param {boolean} vertical callers above what they call, for narrow screens */
function draw(vertical) {
  const places = layered([...graph.nodes.keys()], graph.lines);
  const size = sizeOf(places, vertical);
  const at = (/** @type {string} */ id) => size.at(/** @type {Place} */ (places.get(id)));
  canvas.classList.toggle("vertical", vertical);
  const order = [...graph.lines].sort(
    (a, b) => at(a.from).x - at(b.from).x || at(a.to).y - at(b.to).y || (a.view.name < b.view.name ? -1 : 1),
  );
  edges = new Map(order.map((line) => [keyOf(line.view.service, line.view.name), edgeOf(line, at(line.from), at(line.to), vertical)]));
  /** @type {Map<string, number>} */
  const incoming = new Map();
  for (const { to } of order) incoming.set(to, (incoming.get(to) ?? 0) + 1);
  // Where many lines meet, the box tells their sum.
  const labelled = order.filter((line) => (incoming.get(line.to) ?? 0) <= MOST_LABELS);
  labels = new Map(
    labelled.map((line) => [keyOf(line.view.service, line.view.name), labelOf(at(line.from), at(line.to), vertical)]),
  );
  const sorted = [...graph.nodes.values()].sort((a, b) => at(a.id).x - at(b.id).x || at(a.id).y - at(b.id).y);
  boxes = new Map(sorted.map((node) => [node.id, boxOf(node, at(node.id))]));
  const picture = svg(
    "svg",
    { class: "graph", viewBox: `0 0 ${size.width} ${size.height}` },
    ...edges.values(),
    ...labels.values(),
    ...boxes.values(),
  );
  picture.style.width = `${size.width}px`;
  picture.style.height = `${size.height}px`;
  canvas.replaceChildren(picture);
  byId("map-empty").hidden = graph.nodes.size > 0;
  canvas.hidden = graph.nodes.size === 0;
}

/** How large the picture is, and where each node's box is in it.
 * @param {Map<string, Place>} places @param {boolean} vertical */
function sizeOf(places, vertical) {
  const all = [...places.values()];
  const layers = 1 + Math.max(0, ...all.map((each) => each.layer));
  const most = Math.max(1, ...all.map((each) => each.of));
  const [pad, gap, available] = [14, 12, canvas.clientWidth];
  if (vertical) {
    const step = 136;
    const narrowest = Math.max(92, Math.min(NODE.width, (available - 2 * pad) / most - gap));
    const width = Math.max(available, most * (narrowest + gap) + 2 * pad);
    return {
      width,
      height: (layers - 1) * step + NODE.height + 2 * pad,
      at: (/** @type {Place} */ p) => {
        const own = Math.max(narrowest, Math.min(NODE.width, (width - 2 * pad) / p.of - gap));
        const x = pad + ((width - 2 * pad) * (p.place + 0.5)) / p.of - own / 2;
        return { x, y: pad + p.layer * step, width: own };
      },
    };
  }
  const step = Math.max(NODE.width + 150, Math.min(460, (available - NODE.width - 2 * pad) / Math.max(1, layers - 1)));
  const width = Math.max(available, (layers - 1) * step + NODE.width + 2 * pad);
  const row = most > 8 ? 66 : 96;
  const height = Math.max(2.8, most) * row;
  const left = (width - ((layers - 1) * step + NODE.width)) / 2;
  return {
    width,
    height,
    at: (/** @type {Place} */ p) => ({
      x: left + p.layer * step,
      y: (height * (p.place + 0.5)) / p.of - NODE.height / 2,
      width: NODE.width,
    }),
  };
}

/** @typedef {{x: number, y: number, width: number}} Box */

/** @param {Line} line @param {Box} from @param {Box} to @param {boolean} vertical */
function edgeOf(line, from, to, vertical) {
  const a = vertical
    ? { x: from.x + from.width / 2, y: from.y + NODE.height }
    : { x: from.x + from.width, y: from.y + NODE.height / 2 };
  const b = vertical ? { x: to.x + to.width / 2, y: to.y - 9 } : { x: to.x - 9, y: to.y + NODE.height / 2 };
  const bend = vertical ? Math.max(40, (b.y - a.y) / 2) : Math.max(50, (b.x - a.x) / 2);
  const path = vertical
    ? `M${a.x} ${a.y}C${a.x} ${a.y + bend} ${b.x} ${b.y - bend} ${b.x} ${b.y}`
    : `M${a.x} ${a.y}C${a.x + bend} ${a.y} ${b.x - bend} ${b.y} ${b.x} ${b.y}`;
  const tip = vertical ? `M${b.x - 6} ${b.y - 1}h12l-6 10Z` : `M${b.x - 1} ${b.y - 6}v12l10-6Z`;
  return svg(
    "a",
    { class: "edge", href: breakerUrl(line.view.service, line.view.name) },
    svg("path", { class: "hit", d: path }),
    svg("path", { class: "line", d: path }),
    svg("path", { class: "tip", d: tip }),
  );
}

/** Near what is called, where lines of one caller have come apart.
 * @param {Box} from @param {Box} to @param {boolean} vertical */
function labelOf(from, to, vertical) {
  const a = { y: vertical ? from.y + NODE.height : from.y + NODE.height / 2 };
  const b = vertical ? { x: to.x + to.width / 2, y: to.y - 9 } : { x: to.x - 9, y: to.y + NODE.height / 2 };
  const at = vertical
    ? { x: b.x, y: b.y - 16, class: "edge-label" }
    : { x: b.x - 16, y: b.y + (b.y > a.y + 20 ? 22 : -11), class: "edge-label" };
  return svg("text", at);
}

/** @param {Node} node @param {Box} at */
function boxOf(node, at) {
  const title = svg("title", {});
  title.textContent = node.name;
  const name = svg("text", { class: "node-name", x: at.x + 14, y: at.y + 23 });
  const most = Math.floor((at.width - 26) / 8.6);
  name.textContent = shortened(node.name, most);
  const note = svg("text", { class: "node-note", x: at.x + 14, y: at.y + 41 });
  const rx = node.isService ? 10 : 27;
  const box = svg("rect", { x: at.x, y: at.y, width: at.width, height: NODE.height, rx });
  const kind = node.isService ? "node service-node" : "node";
  return svg("a", { class: kind, href: addressOf(node) }, box, name, note, title);
}

/** A service's page; of anything else the breaker that is worst. @param {Node} node */
function addressOf(node) {
  if (node.isService) return serviceUrl(node.name);
  const views = graph.lines.filter((each) => each.to === node.id).map((each) => each.view);
  const worst = views.sort((a, b) => severity(condition(a)) - severity(condition(b)))[0];
  return breakerUrl(worst.service, worst.name);
}

/** What changes with every frame, on what is drawn already. */
function update() {
  const vertical = canvas.classList.contains("vertical");
  const top = Math.max(1, ...graph.lines.map((each) => each.view.rate));
  for (const { view, to } of graph.lines) {
    const key = keyOf(view.service, view.name);
    const edge = edges.get(key);
    if (edge) {
      const name = condition(view);
      const said = [`${rate(view.rate)}/s`];
      if (!vertical && view.failed) said.push(`${failedWords(view)} failed`);
      if (!vertical && view.refused) said.push(`${refusedWords(view)} refused`);
      const figures = said.join(", ");
      setAttr(edge, "data-state", view.state);
      setAttr(edge, "data-condition", name);
      setAttr(edge.children[1], "stroke-width", (1.5 + 6.5 * Math.sqrt(view.rate / top)).toFixed(1));
      const label = labels.get(key);
      if (label) setAttr(label, "data-state", name === "failing" || name === "unprotected" ? "open" : view.state);
      if (label) setText(label, vertical || name === "closed" ? figures : `${conditionWord(name, view.state)} · ${figures}`);
      setAttr(
        edge,
        "aria-label",
        `${view.service} calls ${graph.nodes.get(to)?.name}: ${conditionWord(name, view.state)}, ${rate(view.rate)} calls a second, ${failedWords(view)} failed`,
      );
    }
    const row = tableRows.get(key);
    if (row) tellRow(row, view);
  }
  for (const node of graph.nodes.values()) {
    const box = boxes.get(node.id);
    if (!box) continue;
    setAttr(box, "data-state", node.state === "failing" || node.state === "unprotected" ? "open" : node.state || "closed");
    setText(box.children[2], noteOf(node));
    setAttr(box, "aria-label", `${node.name}, ${noteOf(node)}`);
  }
  showSummary();
}

/** Counts are of all that match, drawn or not. */
function showSummary() {
  const { total, bad, services, left, focused, lines } = graph;
  const what = `${total} dependenc${total === 1 ? "y" : "ies"} of ${services} service${services === 1 ? "" : "s"}`;
  setText(byId("map-summary"), total ? `${what}, ${bad ? `${bad} in trouble` : "none in trouble"}` : "Map");
  const note = byId("map-note");
  note.hidden = left <= 0 && focuses;
  const words = focused
    ? `What is in trouble and its callers: ${lines.length} of ${total}.`
    : left > 0
      ? `The ${lines.length} worst and busiest of ${total} are drawn. Filter by name to see others.`
      : "";
  setText(/** @type {HTMLElement} */ (note.firstElementChild), words);
  const button = /** @type {HTMLElement} */ (note.lastElementChild);
  button.hidden = !focused && focuses;
  setText(button, focuses ? "Show all" : "Show only what is in trouble");
}

/** @param {Node} node */
function noteOf(node) {
  const trouble = node.state && node.state !== "closed" ? `${conditionWord(node.state, "closed")} · ` : "";
  // On a narrow screen the line beside it tells the rate.
  const narrow = canvas.classList.contains("vertical");
  if (!node.isService) return narrow && trouble ? trouble.replace(" · ", "") : `${trouble}${rate(node.rate)}/s`;
  if (node.stale && node.stale === node.instances) return `none of ${node.instances} heard of`;
  if (store.moment !== null) return trouble.replace(" · ", "");
  return `${trouble}${node.instances} instance${node.instances === 1 ? "" : "s"}`;
}

/** The same as a table. */
function tell() {
  tableRows = new Map();
  rows.replaceChildren(
    ...graph.lines.map(({ view }) => {
      const row = document.createElement("tr");
      const from = make("td", "");
      const service = /** @type {HTMLAnchorElement} */ (make("a", view.service));
      service.href = serviceUrl(view.service);
      from.append(service);
      const to = make("td", "");
      const breaker = /** @type {HTMLAnchorElement} */ (make("a", view.name));
      breaker.href = breakerUrl(view.service, view.name);
      to.append(breaker);
      const badge = make("span", "", "state");
      badge.append(svg("svg", { "aria-hidden": "true" }, svg("use", {})), make("b", ""));
      const state = make("td", "");
      state.append(badge);
      row.append(from, to, state, make("td", "", "num"), make("td", "", "num"), make("td", "", "num"), make("td", "", "num"));
      tableRows.set(keyOf(view.service, view.name), row);
      return row;
    }),
  );
}

/** @param {HTMLTableRowElement} row @param {import("./types.js").BreakerView} view */
function tellRow(row, view) {
  showState(/** @type {HTMLElement} */ (row.children[2].firstElementChild), view.state, conditionWord(condition(view), view.state));
  setText(row.children[3], rate(view.rate));
  setText(row.children[4], failedWords(view));
  setText(row.children[5], refusedWords(view));
  setText(row.children[6], latency(view.p99_ms));
}
