import { condition, needsAttention } from "./condition.js";
import { WORDS } from "./format.js";

/** @import {BreakerView, Entry, Facts} from "./types.js" */
/** @typedef {(entry: Entry, facts: (service: string) => Facts) => boolean} Test */
/** @typedef {{test: Test, complaints: string[], moves: boolean, empty: boolean}} Query */

/** `-key:"a value"`, `key:value`, `"two words"`, `word`. */
const TERM = /(-?)(?:([a-z_0-9]+):)?(?:"([^"]*)"?|(\S*))/gi;
const FIGURE = /^(>=|<=|>|<|=)?\s*(\d+(?:\.\d+)?)\s*(%|ms|s|\/s)?$/;

/** @type {Record<string, (value: string) => Test | string>} */
const KEYS = {
  service: (value) => (entry) => entry.view.service.toLowerCase().includes(value),
  breaker: (value) => (entry) => entry.view.name.toLowerCase().includes(value),
  state: stateTest,
  override: overrideTest,
  zone: (value) => (entry, facts) => facts(entry.service).zones.some((z) => z.includes(value)),
  version: (value) => (entry, facts) =>
    facts(entry.service).versions.some((v) => v.startsWith(value)),
  tag: (value) => (entry, facts) => {
    const { zones, versions } = facts(entry.service);
    return zones.some((z) => z.includes(value)) || versions.some((v) => v.startsWith(value));
  },
  errors: figureTest("errors", (view) => view.failed_pct),
  rate: figureTest("rate", (view) => view.rate),
  p50: figureTest("p50", (view) => view.p50_ms),
  p99: figureTest("p99", (view) => view.p99_ms),
};
const FIGURES = new Set(["errors", "rate", "p50", "p99"]);

/**
 * A filter as people type it; all terms must hold. What cannot be understood is left out and
 * complained of. `moves` says that figures decide, so that it must be asked again as they change.
 *
 * @param {string} text
 * @returns {Query}
 */
export function parse(text) {
  /** @type {Test[]} */
  const tests = [];
  const complaints = [];
  let moves = false;
  for (const [whole, minus, rawKey, quoted, bare] of text.matchAll(TERM)) {
    if (!whole || whole === "-") continue;
    const value = (quoted ?? bare ?? "").toLowerCase();
    const key = rawKey?.toLowerCase();
    const made = key === undefined ? wordTest(value) : keyTest(key, value);
    if (typeof made === "string") complaints.push(made);
    else {
      if (key && FIGURES.has(key)) moves = true;
      tests.push(minus ? (entry, facts) => !made(entry, facts) : made);
    }
  }
  return {
    test: (entry, facts) => tests.every((each) => each(entry, facts)),
    complaints,
    moves,
    empty: tests.length === 0,
  };
}

/** @param {string} key @param {string} value @returns {Test | string} */
function keyTest(key, value) {
  if (!Object.hasOwn(KEYS, key)) {
    return `There is no “${key}:” to filter by; there are ${Object.keys(KEYS).join(", ")}.`;
  }
  if (!value && key !== "override") return () => true;
  const alternatives = value.split(",").filter((each, i) => each || i === 0);
  /** @type {Test[]} */
  const tests = [];
  for (const each of alternatives) {
    const made = KEYS[key](each);
    if (typeof made === "string") return made;
    tests.push(made);
  }
  return (entry, facts) => tests.some((each) => each(entry, facts));
}

/** @param {string} value @returns {Test} */
function wordTest(value) {
  const state = plain(value);
  return (entry) =>
    entry.text.includes(value) || (state.length > 2 && plain(entry.view.state).startsWith(state));
}

/** @param {string} value @returns {Test | string} */
function stateTest(value) {
  const wanted = plain(value);
  const states = Object.keys(WORDS);
  if (wanted === "bad") return (entry) => needsAttention(entry.view) || entry.view.state !== "closed";
  if (wanted === "failing") return (entry) => ["failing", "unprotected"].includes(condition(entry.view));
  const exact = states.find((each) => plain(each) === wanted);
  if (exact) return (entry) => entry.view.state === exact;
  const some = new Set(states.filter((each) => plain(each).startsWith(wanted)));
  if (some.size) return (entry) => some.has(entry.view.state);
  const known = states.map((each) => each.replace("_", "-")).join(", ");
  return `No state is called “${value}”; there are ${known}, failing, and bad for all but closed.`;
}

/** @param {string} value @returns {Test} */
function overrideTest(value) {
  if (value === "none") return (entry) => !entry.view.override;
  if (!value || value === "any") return (entry) => Boolean(entry.view.override);
  if (value === "pending") {
    return ({ view }) => Boolean(view.override && view.override.applied < view.override.total);
  }
  return ({ view: { override } }) =>
    Boolean(
      override &&
        (override.by.toLowerCase().includes(value) ||
          override.reason.toLowerCase().includes(value) ||
          plain(override.state).startsWith(plain(value))),
    );
}

/** @param {string} key @param {(view: BreakerView) => number | null} read */
function figureTest(key, read) {
  return (/** @type {string} */ value) => {
    const found = FIGURE.exec(value);
    if (!found) return `“${key}:${value}” needs a number, such as ${key}:>5.`;
    const [, sign = ">=", digits, unit] = found;
    const limit = Number(digits) * (unit === "s" ? 1000 : 1);
    /** @type {Test} */
    const test = ({ view }) => {
      const figure = read(view);
      if (figure === null) return false;
      if (sign === ">") return figure > limit;
      if (sign === ">=") return figure >= limit;
      if (sign === "<") return figure < limit;
      if (sign === "<=") return figure <= limit;
      return figure === limit;
    };
    return test;
  };
}

/** `Half-open`, `half_open` and `halfopen` are the same. @param {string} text */
const plain = (text) => text.toLowerCase().replace(/[\s_-]/g, "");

/** A filter with a state's term put in or taken out. @param {string} text @param {string} state */
export function toggleState(text, state) {
  const name = state.replace("_", "-");
  const found = /(^|\s)state:(\S*)/i.exec(text);
  const chosen = found ? found[2].split(",").filter(Boolean) : [];
  const next = chosen.includes(name) ? chosen.filter((s) => s !== name) : [...chosen, name];
  const term = next.length ? `state:${next.join(",")}` : "";
  const rest = found ? text.replace(found[0], " ") : text;
  return [term, rest.trim().replace(/\s+/g, " ")].filter(Boolean).join(" ");
}

/** The states that a filter names one by one. @param {string} text */
export function statesIn(text) {
  const found = /(^|\s)state:(\S*)/i.exec(text);
  return new Set((found?.[2] ?? "").split(",").map((each) => each.replace("-", "_")));
}
