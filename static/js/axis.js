/** The compact axis of the timeline: a lane for each breaker, a bar while it was open, marks for
 * what people did. The list says the same in words, so this is one image to a screen reader. */

import { setText, svg } from "./dom.js";
import { word } from "./format.js";
import { shortened } from "./names.js";
import { day, full, minute, offset } from "./times.js";

/** @import {Event, Shown} from "./timeline.js" */

const MOST_LANES = 12;
const LANE = 24;
/** The strip of the whole range, and the ticks of the lanes below it. */
const STRIP = 24;
const TOP = STRIP + 24;

/** @typedef {{name: string, service: string, breaker: string, events: Event[]}} Lane */

export class Axis {
  /** @param {HTMLElement} figure @param {(id: string) => void} choose */
  constructor(figure, choose) {
    this.figure = figure;
    this.element = svg("svg", { class: "axis-svg", role: "img" });
    this.note = document.createElement("p");
    this.note.className = "axis-note";
    figure.append(this.element, this.note);
    this.element.addEventListener("click", (event) => {
      const mark = /** @type {Element} */ (event.target).closest("[data-id]");
      if (mark) choose(mark.getAttribute("data-id") ?? "");
    });
  }

  /** @param {Shown} shown */
  draw(shown) {
    const lanes = lanesOf(shown.events);
    const drawn = lanes.slice(0, MOST_LANES);
    const width = Math.max(280, this.figure.clientWidth - 36);
    const label = Math.min(190, Math.round(width * 0.3));
    const height = TOP + Math.max(1, drawn.length) * LANE + 6;
    const from = beginning(shown);
    const scale = (/** @type {number} */ at) => {
      const share = (Math.max(from, Math.min(at, shown.to)) - from) / Math.max(1, shown.to - from);
      return label + share * (width - label - 10);
    };
    this.element.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.element.style.width = `${width}px`;
    this.element.style.height = `${height}px`;
    const n = shown.events.length;
    this.element.setAttribute("aria-label", `${n} events on ${lanes.length} breakers`);
    this.element.replaceChildren(
      strip(shown, from, label, width),
      ...ticks(from, shown.to, scale, label, width, height),
      ...drawn.flatMap((lane, i) => laneOf(lane, TOP + i * LANE, label, scale, shown)),
    );
    this.figure.hidden = n === 0;
    const left = lanes.length - drawn.length;
    setText(this.note, left > 0 ? `${left} more below, in the list` : "");
    this.note.hidden = left <= 0;
  }
}

/** The axis begins a little before the first event that is listed: a day with one bad minute is
 * about that minute. @param {Shown} shown */
function beginning(shown) {
  const oldest = shown.events.at(-1)?.at ?? shown.from;
  const margin = Math.max(30, (shown.to - oldest) * 0.04);
  return Math.max(shown.from, Math.min(oldest - margin, shown.to - 300));
}

/** Breakers that had an outage first, then by how much happened. @param {Event[]} events */
function lanesOf(events) {
  /** @type {Map<string, Lane>} */
  const found = new Map();
  for (const each of events) {
    const key = JSON.stringify([each.service, each.breaker]);
    const lane = found.get(key) ?? { name: each.breaker ? `${each.service} / ${each.breaker}` : each.service || "Fleet", service: each.service, breaker: each.breaker, events: [] };
    lane.events.push(each);
    found.set(key, lane);
  }
  const outages = (/** @type {Lane} */ { events: some }) => some.filter((each) => each.kind === "outage").length;
  return [...found.values()].sort(
    (a, b) => outages(b) - outages(a) || b.events.length - a.events.length || a.name.localeCompare(b.name),
  );
}

/** @param {Lane} lane @param {number} y @param {number} label
 * @param {(at: number) => number} scale @param {Shown} shown */
function laneOf(lane, y, label, scale, shown) {
  const middle = y + LANE / 2;
  const name = svg("text", { x: 0, y: middle + 4, class: "lane-name" });
  name.textContent = shortened(lane.name, Math.floor(label / 7.4));
  const title = svg("title", {});
  title.textContent = lane.name;
  name.append(title);
  const base = svg("line", { x1: label, x2: scale(shown.to), y1: middle, y2: middle, class: "lane-line" });
  return [name, base, ...bars(lane, middle, scale, shown), ...marks(lane, middle, scale)];
}

/** A bar for each outage. @param {Lane} lane @param {number} middle
 * @param {(at: number) => number} scale @param {Shown} shown */
function bars(lane, middle, scale, shown) {
  return shown.outages
    .filter((each) => each.service === lane.service && each.breaker === lane.breaker)
    .map((each) => {
      const x = scale(each.began);
      const width = Math.max(2, scale(each.ended ?? shown.to) - x);
      return svg("rect", { x, y: middle - 5, width, height: 10, rx: 2, class: "lane-bar" });
    });
}

/** The whole chosen range in one line: every outage of it, and the part that the lanes show.
 * @param {Shown} shown @param {number} from where the lanes begin @param {number} label @param {number} width */
function strip(shown, from, label, width) {
  const share = (/** @type {number} */ at) =>
    label + ((Math.max(shown.from, Math.min(at, shown.to)) - shown.from) / Math.max(1, shown.to - shown.from)) * (width - label - 10);
  const name = svg("text", { x: 0, y: 12, class: "lane-name" });
  name.textContent = "Whole range";
  const base = svg("rect", { x: label, y: 3, width: width - label - 10, height: 12, rx: 2, class: "strip-base" });
  const drawn = shown.outages.map((each) => {
    const x = share(each.began);
    return svg("rect", { x, y: 3, width: Math.max(1.5, share(each.ended ?? shown.to) - x), height: 12, class: "lane-bar" });
  });
  const x = share(from);
  const view = svg("rect", { x, y: 1, width: Math.max(4, share(shown.to) - x), height: 16, rx: 3, class: "strip-view" });
  const group = svg("g", { class: "strip" }, name, base, ...drawn, view);
  return group;
}

/** @param {Lane} lane @param {number} middle @param {(at: number) => number} scale */
function marks(lane, middle, scale) {
  return lane.events.map((each) => {
    const x = scale(each.at);
    const mark = svg("g", { class: "mark", "data-id": each.id, "data-kind": each.kind });
    if (each.after) mark.setAttribute("data-state", each.after);
    const shape = {
      outage: () => svg("line", { x1: x, x2: x, y1: middle - 8, y2: middle + 8 }),
      transition: () => svg("line", { x1: x, x2: x, y1: middle - 8, y2: middle + 8 }),
      override: () => svg("path", { d: `M${x} ${middle - 8}l8 8-8 8-8-8Z` }),
      policy: () => svg("rect", { x: x - 6, y: middle - 6, width: 12, height: 12, rx: 2 }),
      access: () => svg("circle", { cx: x, cy: middle, r: 5 }),
      marker: () => svg("path", { d: `M${x} ${middle + 8}v-16l9 4-9 4` }),
    }[each.kind];
    const title = svg("title", {});
    title.textContent = `${full(each.at)}: ${each.said || word(each.after)}`;
    mark.append(shape ? shape() : svg("circle", { cx: x, cy: middle, r: 5 }), title);
    return mark;
  });
}

const STEPS_S = [60, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800];

/** @param {number} from @param {number} to @param {(at: number) => number} scale
 * @param {number} label @param {number} width @param {number} height */
function ticks(from, to, scale, label, width, height) {
  const labels = Math.max(2, Math.floor((width - label) / 110));
  const step = STEPS_S.find((each) => (to - from) / each <= labels) ?? 2_592_000;
  const zone = offset(from);
  const drawn = [];
  for (let at = Math.ceil((from + zone) / step) * step - zone; at <= to; at += step) {
    const text = svg("text", { x: scale(at), y: STRIP + 12, class: "tick" });
    text.textContent = step >= 43_200 ? day(at) : minute(at);
    drawn.push(svg("line", { x1: scale(at), x2: scale(at), y1: STRIP + 18, y2: height, class: "grid" }), text);
  }
  return drawn;
}
