import { breakerUrl, cloneTemplate, parts, setText } from "./dom.js";
import { condition, isFailing, severity } from "./condition.js";
import { conditionWord, countdown, latency, overrideWord, rate, span, word } from "./format.js";
import { failedWords, failingFor, onlyTestCalls, outageCause, refusedWords } from "./outage.js";
import { clock, utc } from "./times.js";
import { showName } from "./names.js";
import { drawSpark } from "./spark.js";

/** @import {BreakerView, Entry, Last, OverrideView} from "./types.js" */
/** @import {Cell} from "./viewport.js" */

/** What a row asks of the wall. @typedef {{chosen: (key: string) => boolean, now: () => number,
 *   cursor: () => string}} Wall */

/** One breaker on the wall. Rows are used again for other breakers. */
export class Row {
  /** @param {Wall} wall */
  constructor(wall) {
    this.wall = wall;
    this.element = /** @type {HTMLElement} */ (cloneTemplate("row-template").firstElementChild);
    this.parts = parts(this.element);
    const paths = this.element.querySelectorAll("path");
    this.calls = paths[0];
    this.errors = paths[1];
    this.use = this.parts.state.querySelector("use");
    this.word = /** @type {HTMLElement} */ (this.parts.state.querySelector("b"));
    this.menu = this.element.querySelector("[data-menu]");
    /** @type {Entry | null} */
    this.entry = null;
    /** @type {BreakerView | null} */
    this.drawn = null;
    /** @type {Map<string, string>} What each part says, so that the document is not asked. */
    this.said = new Map();
    this.second = -1;
    this.shares = "";
  }

  /** @param {Cell} cell */
  show(cell) {
    const entry = /** @type {Entry} */ (cell.entry);
    if (this.entry?.key !== entry.key) this.#become(entry);
    this.entry = entry;
    this.update();
    this.mark();
  }

  /** @param {Entry} entry */
  #become(entry) {
    const { service, name } = entry;
    this.drawn = null;
    this.second = -1;
    const link = /** @type {HTMLAnchorElement} */ (this.parts.name);
    link.href = breakerUrl(service, name);
    showName(link, name, `${name} of ${service}`);
    this.element.dataset.key = entry.key;
    this.element.dataset.service = service;
    this.element.dataset.breaker = name;
    showName(this.parts.of, service);
    this.parts.pick?.setAttribute("aria-label", `Choose ${name} of ${service}`);
    this.menu?.setAttribute("aria-label", `Act on ${name} of ${service}`);
  }

  /** Whether it is chosen, and where the cursor is. */
  mark() {
    const key = this.entry?.key ?? "";
    const chosen = this.wall.chosen(key);
    const pick = /** @type {HTMLInputElement | undefined} */ (this.parts.pick);
    if (pick && pick.checked !== chosen) pick.checked = chosen;
    this.element.ariaSelected = String(chosen);
    this.element.tabIndex = this.wall.cursor() === key ? 0 : -1;
  }

  /** Show the breaker as it is now. */
  update() {
    const view = this.entry?.view;
    if (!view || view === this.drawn) return;
    this.drawn = view;
    if (this.element.dataset.state !== view.state) {
      this.element.dataset.state = view.state;
      this.use?.setAttribute("href", `#i-${view.state}`);
    }
    const name = condition(view);
    if (this.element.dataset.condition !== name) {
      this.element.dataset.condition = name;
      this.word.textContent = conditionWord(name, view.state);
    }
    this.#say("rate", rate(view.rate));
    this.#say("failed", failedWords(view));
    this.parts.failed.classList.toggle("bad", isFailing(view));
    this.#say("refused", refusedWords(view));
    this.parts.refused.classList.toggle("bad", view.refused > 0);
    this.#say("p99", latency(view.p99_ms));
    const ofTests = view.p99_ms !== null && onlyTestCalls(view);
    this.parts.p99.classList.toggle("of-tests", ofTests);
    this.parts.p99.title = ofTests ? "Of test calls only: the breaker lets no other call through" : "";
    this.#share(view.states);
    if (view.second !== this.second) {
      this.second = view.second;
      drawSpark(this.calls, this.errors, view.spark, view.spark_err);
    }
    this.tick();
  }

  /** What changes with time alone. */
  tick() {
    const view = this.entry?.view;
    if (!view) return;
    const { override, last, outage } = view;
    const now = this.wall.now();
    if (override) {
      this.#say("story", overrideWords(override, now));
      const said = [`“${override.reason}”`, progressWords(override)];
      // What is cut off at the end must not be that somebody has not obeyed yet.
      this.#say("more", (isDone(override) ? said : said.reverse()).join(" · "));
    } else if (outage) {
      this.#say("story", failingFor(outage, now));
      this.#say("more", outageCause(outage));
    } else {
      this.#say("story", last ? `${word(last.after)} ${span(now - last.at)} ago` : "");
      this.#say("more", last ? last.cause : "No transition yet");
    }
    const story = /** @type {HTMLElement} */ (this.parts.story.parentElement);
    story.classList.toggle("override", Boolean(override));
    story.classList.toggle("pending", Boolean(override && !isDone(override)));
    story.title = override ? overrideTitle(override) : last ? lastTitle(last) : "";
  }

  /** @param {string} part @param {string} text */
  #say(part, text) {
    if (this.said.get(part) === text) return;
    this.said.set(part, text);
    this.parts[part].textContent = text;
  }

  /** The share of instances in each state. @param {Record<string, number>} states */
  #share(states) {
    const entries = Object.entries(states).sort((a, b) => severity(a[0]) - severity(b[0]));
    const signature = JSON.stringify(entries);
    if (signature === this.shares) return;
    this.shares = signature;
    const total = entries.reduce((sum, [, n]) => sum + n, 0);
    this.parts.share.replaceChildren(
      ...entries.map(([state, n]) => {
        const part = document.createElement("i");
        part.dataset.state = state;
        part.style.flexGrow = String(n);
        return part;
      }),
    );
    const [first] = entries;
    const words =
      !total
        ? "–"
        : entries.length === 1
        ? `all ${total} ${word(first[0]).toLowerCase()}`
        : entries.map(([state, n]) => `${n} ${word(state).toLowerCase()}`).join(", ");
    this.#say("words", total === 1 && first ? `1 ${word(first[0]).toLowerCase()}` : words);
    this.parts.words.title = `${total} instances: ${words}`;
  }
}

/** @param {OverrideView} override */
export const isDone = (override) => override.total > 0 && override.applied === override.total;

/** @param {OverrideView} override @param {number} now */
const overrideWords = (override, now) =>
  `${overrideWord(override)} by ${override.by} · ${countdown(override.expires_at - now)} left`;

/** @param {OverrideView} override */
function progressWords(override) {
  const refused = override.refused.length ? `, ${override.refused.length} refused` : "";
  if (isDone(override)) return `in force on ${override.total === 1 ? "its instance" : `all ${override.total} instances`}`;
  return `pending: in force on ${override.applied} of ${override.total} instances${refused}`;
}

/** @param {OverrideView} override */
function overrideTitle(override) {
  const waiting = override.pending.length ? `\nWaiting for ${override.pending.join(", ")}` : "";
  const refused = override.refused.map((r) => `\nRefused by ${r.instance}: ${r.reason}`).join("");
  const until = `until ${clock(override.expires_at)} (${utc(override.expires_at)})`;
  return `${override.reason}\n${until}${waiting}${refused}`;
}

/** @param {Last} last */
const lastTitle = (last) =>
  `${word(last.before)} → ${word(last.after)} at ${clock(last.at)} (${utc(last.at)}) at ${last.instance}: ${last.cause}`;

/** Who did what, why, until when, and how far it has got, in a line of its own.
 * @param {HTMLElement} element @param {OverrideView | null} override @param {number} now */
export function showOverride(element, override, now) {
  element.hidden = !override;
  if (!override) return;
  setText(
    element,
    `${overrideWords(override, now)}: “${override.reason}” · ${progressWords(override)}`,
  );
  element.dataset.state = override.state;
  element.classList.toggle("pending", !isDone(override));
  element.title = overrideTitle(override);
}
