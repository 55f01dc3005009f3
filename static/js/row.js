import { breakerUrl, cloneTemplate, make, parts, setAttr, setText, showState } from "./dom.js";
import { clock, countdown, latency, percent, rank, rate, span, utc, word } from "./format.js";

/** @import {BreakerView, Last, OverrideView} from "./types.js" */

/** One breaker on the wall. */
export class Row {
  /** @param {BreakerView} view */
  constructor(view) {
    this.element = /** @type {HTMLElement} */ (cloneTemplate("row-template").firstElementChild);
    this.parts = parts(this.element);
    this.view = view;
    const url = breakerUrl(view.service, view.name);
    const name = /** @type {HTMLAnchorElement} */ (this.parts.name);
    name.textContent = view.name;
    name.href = url;
    this.element.dataset.service = view.service;
    this.element.dataset.breaker = view.name;
    for (const link of this.element.querySelectorAll("a[data-act]")) {
      const act = /** @type {HTMLAnchorElement} */ (link);
      act.href = `${url}/${act.dataset.act}`;
    }
    const paths = this.element.querySelectorAll(".spark path");
    [this.calls, this.errors] = [paths[0], paths[1]];
  }

  /** @param {BreakerView} view @param {number} now */
  update(view, now) {
    this.view = view;
    const part = this.parts;
    setAttr(this.element, "data-state", view.state);
    showState(part.state, view.state, word(view.state));
    showInstances(part.instances, view.states);
    setText(part.rate, rate(view.rate));
    setText(part.errors, percent(view.error_pct));
    part.errors.classList.toggle("bad", (view.error_pct ?? 0) >= 5);
    setText(part.p50, latency(view.p50_ms));
    setText(part.p95, latency(view.p95_ms));
    setText(part.p99, latency(view.p99_ms));
    const top = Math.max(1, ...view.spark);
    setAttr(this.calls, "d", area(view.spark, top));
    setAttr(this.errors, "d", area(view.spark_err, top));
    showOverride(part.override, view.override, now);
    this.tick(now);
  }

  /** What changes with time alone. @param {number} now */
  tick(now) {
    showLast(this.parts.last, this.view.last, now);
    if (this.view.override) showOverride(this.parts.override, this.view.override, now);
  }
}

/** @param {number[]} values @param {number} top */
function area(values, top) {
  if (!values.some(Boolean)) return "";
  const width = 120 / (values.length - 1);
  const points = values.map((v, i) => `${(i * width).toFixed(1)} ${(28 - (v / top) * 26).toFixed(1)}`);
  return `M0 28L${points.join("L")}L120 28Z`;
}

/** @param {HTMLElement} element @param {Record<string, number>} states */
function showInstances(element, states) {
  const entries = Object.entries(states).sort((a, b) => rank(a[0]) - rank(b[0]));
  const signature = JSON.stringify(entries);
  if (element.dataset.shown === signature) return;
  element.dataset.shown = signature;
  const total = entries.reduce((sum, [, n]) => sum + n, 0);
  element.replaceChildren(
    ...entries.map(([state, n]) => {
      const text = entries.length === 1 ? `${n} of ${total}` : `${n} ${word(state).toLowerCase()}`;
      const chip = make("span", text, "chip");
      chip.dataset.state = state;
      chip.title = `${n} of ${total} instances: ${word(state)}`;
      return chip;
    }),
  );
}

/** @param {HTMLElement} element @param {Last | null} last @param {number} now */
function showLast(element, last, now) {
  if (!last) {
    setText(element, "no transition yet");
    element.title = "";
    return;
  }
  setText(element, `${word(last.after)} ${span(now - last.at)} ago: ${last.cause}`);
  element.title = `${clock(last.at)} (${utc(last.at)}) at ${last.instance}`;
}

/** Who did what, why, until when, and how far it has got.
 * @param {HTMLElement} element @param {OverrideView | null} override @param {number} now */
export function showOverride(element, override, now) {
  element.hidden = !override;
  if (!override) return;
  const done = override.applied === override.total && override.total > 0;
  const refused = override.refused.length ? `, ${override.refused.length} refused` : "";
  const progress = done
    ? `applied ${override.applied} of ${override.total}`
    : `pending: applied ${override.applied} of ${override.total}${refused}`;
  const left = countdown(override.expires_at - now);
  const text = `${word(override.state)} by ${override.by}: “${override.reason}” · ${progress} · ends in ${left}`;
  setText(element, text);
  element.dataset.state = override.state;
  element.classList.toggle("pending", !done);
  element.title = override.pending.length ? `Waiting for ${override.pending.join(", ")}` : "";
}
