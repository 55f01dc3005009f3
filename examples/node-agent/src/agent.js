import { randomUUID } from "node:crypto";
import { hostname } from "node:os";

import WebSocket from "ws";

import { socketAddress } from "./address.js";
import { honoured } from "./policy.js";
import { Watched } from "./watched.js";

const SUBPROTOCOL = "switchgear.v1.json";
const GOING_AWAY = 1012;
// Reports under way at once. What happens meanwhile stays with the breakers, and goes in the next.
const WINDOW = 64;
const LONGEST_INTERVAL_S = 86_400;
const RECONNECT_FIRST_S = 0.2;
const RECONNECT_MAX_S = 3;
const PING_S = 10;
const UNWATCHED_SAID_EVERY_S = 600;
const GIVE_UP = ["invalid", "malformed", "too_large"];

const seconds = () => performance.now() / 1000;

/**
 * @typedef {{ url: string, token: string, service: string, instance?: string, version?: string,
 *   intervalS?: number, allowPlaintext?: boolean, log?: (text: string) => void }} Settings
 */

/**
 * Reports breakers to the dashboard over a WebSocket, and obeys it.
 *
 * Without a dashboard the counts stay with the breakers, whose memory is fixed, and go out as one
 * report when it is back; nothing in here throws into the service.
 */
export class Agent {
  #watched = /** @type {Map<string, Watched>} */ (new Map());
  #sent = /** @type {Map<string, string>} */ (new Map());
  #unsafe = /** @type {Map<number, any>} */ (new Map());
  #boot = randomUUID();
  #seq = 0;
  #end = seconds();
  #revision = 0;
  #desired = /** @type {any} */ (null);
  #heardDesired = false;
  #failures = 0;
  #careful = false;
  #stopping = false;
  #socket = /** @type {WebSocket | null} */ (null);
  #timer = /** @type {NodeJS.Timeout | undefined} */ (undefined);
  #ping = /** @type {NodeJS.Timeout | undefined} */ (undefined);
  #emptied = () => {};
  #unwatchedSaid = -Infinity;
  /** Breakers that the dashboard has no capacity for, 32 at most: it neither shows nor counts them. @type {string[]} */
  over_capacity = [];

  /** @param {Settings} settings */
  constructor({ url, token, service, instance, version = "", intervalS = 1, allowPlaintext = false, log = console.warn }) {
    if (!url || !token || !service) throw new TypeError("an agent needs url, token and service");
    this.url = socketAddress(url, allowPlaintext);
    this.token = token;
    this.service = service;
    this.instance = { id: instance ?? `${hostname()}-${process.pid}`, host: hostname(), pid: process.pid, version };
    this.intervalS = intervalS;
    this.log = log;
  }

  /**
   * An opossum breaker that is reported and obeys.
   * @param {string} name @param {(...args: any[]) => any} action @param {object} [options] opossum's
   */
  breaker(name, action, options = {}) {
    if (this.#watched.has(name)) throw new TypeError(`there is a breaker named ${name} already`);
    const watched = new Watched(name, action, options);
    this.#watched.set(name, watched);
    if (this.#desired) this.#acknowledge(this.#apply(watched));
    return watched;
  }

  /** Begin to report and obey. */
  start() {
    this.#connect();
    this.#later(this.intervalS);
  }

  /**
   * Report a last time and hang up.
   * @param {number} [withinS] how long that may take
   * @returns {Promise<boolean>} whether everything reported is safe
   */
  async stop(withinS = 3) {
    this.#stopping = true;
    clearTimeout(this.#timer);
    let tooLate = /** @type {NodeJS.Timeout | undefined} */ (undefined);
    const safe = new Promise((resolve) => {
      this.#emptied = () => resolve(true);
      tooLate = setTimeout(resolve, withinS * 1000, false);
    });
    this.#collect();
    this.#send();
    if (this.#unsafe.size === 0) this.#emptied();
    const isSafe = await safe;
    clearTimeout(tooLate);
    clearInterval(this.#ping);
    this.#socket?.close();
    return isSafe && !this.#hasNews();
  }

  // -- The connection ---------------------------------------------------------------------------

  #connect() {
    const socket = new WebSocket(this.url, SUBPROTOCOL, {
      headers: { Authorization: `Bearer ${this.token}` },
      handshakeTimeout: 5000,
      maxPayload: 2 ** 20,
      perMessageDeflate: false,
    });
    let why = "";
    socket.on("open", () => this.#begin(socket));
    socket.on("message", (data) => this.#hear(socket, String(data)));
    socket.on("error", (error) => (why = error.message));
    socket.on("close", (code, reason) => this.#lost(code, why || String(reason)));
    this.#socket = socket;
  }

  /** @param {WebSocket} socket */
  #begin(socket) {
    let answered = true;
    socket.on("pong", () => (answered = true));
    this.#ping = setInterval(() => {
      if (!answered) socket.terminate();
      answered = false;
      socket.ping();
    }, PING_S * 1000);
    this.#ping.unref();
    this.#heardDesired = false;
    this.#sent.clear();
    for (const each of this.#unsafe.values()) each.sent = false;
    this.#collect();
    this.#send();
  }

  /** @param {number} code @param {string} why */
  #lost(code, why) {
    clearInterval(this.#ping);
    this.#socket = null;
    if (this.#stopping) return;
    // A server that restarts has all its agents back within a second, spread over it.
    const ceiling = code === GOING_AWAY ? 1 : Math.min(RECONNECT_MAX_S, RECONNECT_FIRST_S * 2 ** this.#failures++);
    if (this.#failures === 1) this.log(`no dashboard (${code} ${why}); trying again, the service goes on`);
    setTimeout(() => this.#stopping || this.#connect(), Math.random() * ceiling * 1000).unref();
  }

  // -- Reporting --------------------------------------------------------------------------------

  /** @param {number} inS */
  #later(inS) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#later(this.intervalS);
      this.#collect();
      this.#send();
    }, inS * 1000);
    this.#timer.unref();
  }

  #hasNews() {
    return [...this.#watched.values()].some((each) => each.hasNews);
  }

  /** Give what happened a number, if there is somebody to tell and not too much under way. */
  #collect() {
    if (this.#socket?.readyState !== WebSocket.OPEN || this.#unsafe.size >= WINDOW) return;
    const breakers = [];
    for (const each of this.#watched.values()) {
      const isNew = !this.#sent.has(each.name);
      if (!isNew && !each.hasNews && this.#sent.get(each.name) === each.gauges) continue;
      this.#sent.set(each.name, each.gauges);
      const policy = isNew ? { policy: each.declared, honours: honoured } : {};
      breakers.push({ ...each.drain(), ...policy });
    }
    const start = this.#end;
    this.#end = seconds();
    const interval = Math.min(LONGEST_INTERVAL_S, Math.max(0.001, this.#end - start));
    this.#unsafe.set(++this.#seq, { end: this.#end, interval, breakers, sent: false });
  }

  #send() {
    const window = this.#careful ? 1 : WINDOW;
    for (const [seq, each] of [...this.#unsafe].slice(0, window)) {
      if (each.sent) continue;
      each.sent = this.#say({
        type: "report",
        v: 1,
        service: this.service,
        instance: this.instance,
        boot: this.#boot,
        seq,
        interval_s: each.interval,
        age_s: seconds() - each.end,
        revision: this.#revision,
        breakers: each.breakers,
      });
    }
  }

  /** @param {object} message @returns {boolean} whether it is on its way */
  #say(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  // -- Obeying ----------------------------------------------------------------------------------

  /** @param {WebSocket} socket @param {string} data */
  #hear(socket, data) {
    try {
      const message = JSON.parse(data);
      if (message.type === "desired") this.#obey(message);
      else if (message.type === "received") this.#received(message);
      else if (message.type === "refused") this.#refused(message);
    } catch (error) {
      this.log(`what answers is no dashboard of ours: ${error}`);
      socket.terminate();
    }
  }

  /** @param {{ boot: string, seq: number }} message */
  #received({ boot, seq }) {
    if (boot !== this.#boot) return;
    for (const known of [...this.#unsafe.keys()]) if (known <= seq) this.#unsafe.delete(known);
    this.#failures = 0;
    this.#send();
    if (this.#unsafe.size === 0) {
      this.#careful = false;
      this.#emptied();
    }
  }

  /**
   * Of many reports under way it is not known which one is meant: send them one by one, and give up
   * the one that is refused then.
   * @param {{ code: string, message: string, field?: string }} message
   */
  #refused({ code, message, field = "" }) {
    this.log(`the dashboard refused (${code} ${field}): ${message}`);
    if (!GIVE_UP.includes(code)) return;
    const [first] = this.#unsafe.keys();
    if (first !== undefined && (this.#careful || this.#unsafe.size === 1)) this.#unsafe.delete(first);
    this.#careful = true;
  }

  /** @param {any} desired */
  #obey(desired) {
    this.intervalS = Math.min(300, Math.max(0.25, desired.interval_s ?? 1));
    this.#notWatched(desired.over_capacity ?? []);
    const isFirst = !this.#heardDesired;
    this.#heardDesired = true;
    if (!isFirst && desired.revision <= this.#revision) return;
    this.#desired = desired;
    this.#revision = desired.revision;
    this.#acknowledge([...this.#watched.values()].flatMap((each) => this.#apply(each)));
    // The page should see soon what has just changed.
    this.#later(0.05);
  }

  /** Warn of what is over capacity, but not all the time. @param {string[]} names */
  #notWatched(names) {
    const isNews = names.some((each) => !this.over_capacity.includes(each));
    this.over_capacity = names;
    if (!isNews || seconds() - this.#unwatchedSaid < UNWATCHED_SAID_EVERY_S) return;
    this.#unwatchedSaid = seconds();
    this.log(`the dashboard has no capacity for these breakers and does not count them: ${names.join(", ")}`);
  }

  /** Have the desired state in force at one breaker. @param {Watched} watched @returns {object[]} */
  #apply(watched) {
    const { overrides = [], policies = [] } = this.#desired;
    const isMine = (/** @type {any} */ each) =>
      each.breaker === watched.name && (each.instances ?? [this.instance.id]).includes(this.instance.id);
    const items = [];
    const fields = Object.assign({}, ...policies.filter(isMine).map((/** @type {any} */ each) => each.fields));
    const wrong = watched.follow(fields);
    if (Object.keys(fields).length) items.push(item("policy", watched.name, "", wrong));
    const override = overrides.filter(isMine).at(-1) ?? null;
    const refused = watched.obey(override);
    if (override) items.push(item("override", watched.name, override.id, refused));
    return items;
  }

  /** @param {object[]} items */
  #acknowledge(items) {
    const { service, instance } = this;
    this.#say({ type: "ack", v: 1, service, instance: instance.id, revision: this.#revision, items });
  }
}

/** @param {string} kind @param {string} breaker @param {string} id @param {string} reason */
function item(kind, breaker, id, reason) {
  return { kind, breaker, id, status: reason ? "refused" : "applied", reason: reason.slice(0, 500) };
}
