import Opossum from "opossum";

import { Histogram } from "./histogram.js";
import * as policy from "./policy.js";

/**
 * @typedef {"closed" | "open" | "half_open" | "forced_open" | "forced_closed" | "metrics_only"} State
 * @typedef {{ id: string, breaker: string, state: string, expires_in_s?: number | null }} Override
 */

const FORCED = ["forced_open", "forced_closed", "metrics_only"];
const MAX_TRANSITIONS = 64;
// setTimeout fires at once beyond this.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const seconds = () => performance.now() / 1000;

/**
 * An opossum breaker with everything counted that a report tells, and an operator's hand on it.
 *
 * opossum is left as it is: what happened is read from its events, and a forced state is held by
 * answering its own changes of state at once, before any call can pass.
 */
export class Watched {
  /** @type {{ id: string, state: State, until: number } | null} */
  #override = null;
  /** @type {NodeJS.Timeout | undefined} */
  #expiry;
  #counts = /** @type {Record<string, number>} */ ({});
  #histogram = new Histogram();
  #transitions = /** @type {object[]} */ ([]);
  #transitionId = 0;
  #told = "closed";
  #since = seconds();
  #cause = "";
  #ignoring = false;
  #moving = false;

  /** @param {string} name @param {(...args: any[]) => any} action @param {object} [options] opossum's */
  constructor(name, action, options = {}) {
    const filter = /** @type {any} */ (options).errorFilter ?? (() => false);
    this.name = name;
    this.breaker = new Opossum(action, {
      ...options,
      name,
      // opossum calls what it filters a success, and tells so right after asking.
      errorFilter: (/** @type {any[]} */ ...args) => (this.#ignoring = Boolean(filter(...args))),
    });
    this.declared = policy.declared(this.breaker);
    this.policy = /** @type {Record<string, unknown>} */ ({});
    this.#listen();
  }

  /** Call the action through the breaker. @param {any[]} args @returns {Promise<any>} */
  fire(...args) {
    return this.breaker.fire(...args);
  }

  /** The state in force. @returns {State} */
  get state() {
    return this.#override?.state ?? this.#automatic();
  }

  /** @returns {State} */
  #automatic() {
    if (this.breaker.opened) return "open";
    return this.breaker.halfOpen ? "half_open" : "closed";
  }

  // -- Counting ---------------------------------------------------------------------------------

  #listen() {
    const { breaker } = this;
    const count = (/** @type {string} */ name) => () => this.#count(name);
    breaker.on("success", (_, ms) => {
      this.#ran(this.#ignoring ? "ignored" : "success", ms);
      this.#ignoring = false;
    });
    breaker.on("failure", (error, ms) => this.#failed(error, ms));
    breaker.on("reject", count("rejected"));
    breaker.on("fallback", count("fallback"));
    breaker.on("cacheHit", count("cache_hit"));
    breaker.on("cacheMiss", count("cache_miss"));
    for (const event of /** @type {const} */ (["open", "halfOpen", "close"])) {
      breaker.on(/** @type {any} */ (event), () => this.#moved());
    }
  }

  /** @param {string} name */
  #count(name) {
    this.#counts[name] = (this.#counts[name] ?? 0) + 1;
  }

  /** @param {string} outcome @param {number} ms */
  #ran(outcome, ms) {
    this.#count(outcome);
    // opossum's clock has whole milliseconds: nought is somewhere below one.
    this.#histogram.record(Math.max(ms, 0.5) / 1000);
  }

  /** @param {unknown} error @param {number} ms */
  #failed(error, ms) {
    const code = error instanceof Error && Opossum.isOurError(error) ? /** @type {any} */ (error).code : "";
    if (code === "ESEMLOCKED") this.#count("bulkhead_full");
    else this.#ran(code === "ETIMEDOUT" ? "timeout" : "failure", ms);
  }

  // -- States -----------------------------------------------------------------------------------

  /** opossum has changed its state: undo it where an operator forbids it, else note it down. */
  #moved() {
    if (this.#moving) return;
    const forced = this.#override?.state;
    if (forced === "forced_open") this.#quietly(() => this.breaker.open());
    else if (forced) this.#quietly(() => this.breaker.close());
    else this.#note(this.#automatic(), this.#why());
  }

  #why() {
    const { failures, fires } = this.breaker.stats;
    const states = { open: `${failures} of ${fires} calls failed`, half_open: "open for long enough" };
    return /** @type {Record<string, string>} */ (states)[this.#automatic()] ?? "the probe succeeded";
  }

  /** Change opossum's state without hearing of it. @param {() => void} change */
  #quietly(change) {
    this.#moving = true;
    try {
      change();
    } finally {
      this.#moving = false;
    }
  }

  /** @param {string} to @param {string} cause */
  #note(to, cause) {
    if (to === this.#told) return;
    const at = seconds();
    this.#transitions.push({ id: ++this.#transitionId, at, from: this.#told, to, cause, window: this.#window() });
    if (this.#transitions.length > MAX_TRANSITIONS) this.#transitions.shift();
    this.#told = to;
    this.#since = at;
    this.#cause = cause;
  }

  #window() {
    const { fires, failures, rejects } = this.breaker.stats;
    const calls = Math.max(0, fires - rejects);
    return { calls, failures, failure_rate: calls ? Math.min(1, failures / calls) : 0 };
  }

  /** Whether opossum would be open by itself. */
  get wouldBeOpen() {
    const { fires, failures } = this.breaker.stats;
    const { volumeThreshold } = this.breaker;
    const limit = /** @type {any} */ (this.breaker).options.errorThresholdPercentage;
    return fires > 0 && fires >= volumeThreshold && (failures / fires) * 100 > limit;
  }

  // -- Obeying ----------------------------------------------------------------------------------

  /**
   * Have an operator's override in force, or none.
   * @param {Override | null} wanted
   * @returns {string} why it is refused, or an empty string
   */
  obey(wanted) {
    if (!wanted) return this.#lift("lifted by an operator");
    if (!FORCED.includes(wanted.state)) return `${wanted.state} is no override; there are ${FORCED.join(", ")}`;
    const left = wanted.expires_in_s ?? Infinity;
    if (left <= 0) return "it expired before it was applied";
    const state = /** @type {State} */ (wanted.state);
    if (this.#override && this.#override.state !== state) this.#lift("another takes its place");
    this.#override = { id: wanted.id, state, until: seconds() + left };
    this.#wait();
    this.#quietly(() => (state === "forced_open" ? this.breaker.open() : this.breaker.close()));
    this.#note(state, "forced by an operator");
    return "";
  }

  #wait() {
    clearTimeout(this.#expiry);
    const left = (this.#override?.until ?? Infinity) - seconds();
    if (left === Infinity) return;
    const again = () => (this.#override && this.#override.until > seconds() ? this.#wait() : this.#lift("expired"));
    this.#expiry = setTimeout(again, Math.min(Math.max(0, left * 1000), LONGEST_TIMER_MS));
    this.#expiry.unref();
  }

  /** @param {string} cause */
  #lift(cause) {
    const lifted = this.#override;
    if (!lifted) return "";
    clearTimeout(this.#expiry);
    this.#override = null;
    if (lifted.state === "forced_open") this.#probeNext();
    this.#note(this.#automatic(), cause);
    return "";
  }

  /**
   * From forced open to half-open, never straight to full traffic. opossum goes there by its own
   * timer alone, so it opens anew with the shortest one; until that has run it still refuses.
   */
  #probeNext() {
    const { options } = /** @type {any} */ (this.breaker);
    const { resetTimeout } = options;
    options.resetTimeout = 0;
    this.#quietly(() => {
      this.breaker.close();
      this.breaker.open();
    });
    options.resetTimeout = resetTimeout;
  }

  /**
   * Have these fields of the policy in force, the others as declared.
   * @param {Record<string, unknown>} fields
   * @returns {string} why they are refused, or an empty string
   */
  follow(fields) {
    const problem = policy.problem(fields);
    if (!problem) {
      this.policy = fields;
      policy.apply(this.breaker, { ...this.declared, ...fields });
    }
    return problem;
  }

  // -- Telling ----------------------------------------------------------------------------------

  /** What must be told again whenever it changes. */
  get gauges() {
    return [this.state, this.#cause, this.#inFlight, this.#forcedShut && this.wouldBeOpen].join("|");
  }

  get #forcedShut() {
    return this.state === "forced_closed" || this.state === "metrics_only";
  }

  get #inFlight() {
    const { capacity } = /** @type {any} */ (this.breaker).options;
    return Math.max(0, capacity - /** @type {any} */ (this.breaker).semaphore.count);
  }

  get hasNews() {
    return Object.keys(this.#counts).length > 0 || this.#transitions.length > 0;
  }

  /** What happened since the last time of asking, as a report tells it. */
  drain() {
    const now = seconds();
    const transitions = this.#transitions.map((/** @type {any} */ { at, ...rest }) => ({ ...rest, ago_s: now - at }));
    const told = {
      name: this.name,
      state: this.state,
      since_s: now - this.#since,
      cause: this.#cause,
      counts: this.#counts,
      histogram: this.#histogram,
      in_flight: this.#inFlight,
      would_be_open: this.#forcedShut && this.wouldBeOpen,
      transitions,
    };
    this.#counts = {};
    this.#histogram = new Histogram();
    this.#transitions = [];
    return told;
  }
}
