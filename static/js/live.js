/** How long the socket may be silent: full frames come at least every ten seconds. */
const ASK_AFTER_MS = 13_000;
const DEAD_AFTER_MS = 22_000;
const ASK_AGAIN_MS = 500;

/** @typedef {"live" | "connecting" | "lost" | "silent"} Status */

/**
 * The live socket: connects, reconnects with jitter, and notices gaps and silence.
 *
 * Dispatches `snapshot` and `frame` (detail: the message) and `status` (detail: live, connecting,
 * lost, or silent: connected, but the dashboard itself hears nothing of the fleet).
 */
export class Live extends EventTarget {
  /** @type {Status | undefined} */
  status;
  /** @type {WebSocket | undefined} */
  socket;

  /** @param {string[]} services names, or ["*"]
   * @param {"full" | "wall"} detail */
  constructor(services, detail = "full") {
    super();
    this.wish = JSON.stringify({ subscribe: { services, detail } });
    /** @type {Map<string, number>} */
    this.seqs = new Map();
    /** What this window has open, see presence.js. */
    this.presence = "";
    this.attempts = 0;
    this.timer = 0;
    this.heardAt = 0;
    /** Unix seconds of our clock: what is shown is of then. */
    this.newsAt = 0;
    /** The page shows the past: nothing is asked for. */
    this.isPaused = false;
    this.connect();
    setInterval(() => this.#check(), 2000);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return;
      // Frames that came meanwhile were not painted, and a sleeping machine heard none.
      this.#check();
      this.resubscribe();
    });
    addEventListener("online", () => this.#soon(0));
    addEventListener("offline", () => this.socket?.close());
  }

  /** Close the socket, until `resume`. */
  pause() {
    this.isPaused = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  resume() {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.attempts = 0;
    this.connect();
  }

  connect() {
    if (this.isPaused) return;
    this.#say("connecting");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/live/v1`);
    this.socket = socket;
    socket.addEventListener("open", () => {
      this.heardAt = Date.now();
      this.resubscribe();
      if (this.presence) socket.send(this.presence);
    });
    socket.addEventListener("message", (event) => this.#take(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => {
      if (socket !== this.socket) return;
      // The session has ended or the role has changed: the page says so, and the log-in leads back.
      if (event.code === 4401 || event.code === 4403) location.reload();
      else this.#lost();
    });
  }

  /** Say what this window has open. @param {[string, string][]} targets @param {string} doing */
  here(targets, doing) {
    const said = JSON.stringify({ here: { targets, doing } });
    if (said === this.presence || (!this.presence && !targets.length)) return;
    this.presence = said;
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(said);
  }

  /** Ask for a fresh snapshot. */
  resubscribe() {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(this.wish);
  }

  /** @param {any} message */
  #take(message) {
    if (this.isPaused) return;
    this.heardAt = Date.now();
    if (message.type === "snapshot") {
      if (!message.at && this.newsAt) {
        // It has just started and heard nothing yet: what we have is better than nothing.
        setTimeout(() => this.resubscribe(), ASK_AGAIN_MS);
        return;
      }
      this.attempts = 0;
      this.seqs = new Map(message.services.map((/** @type {any} */ s) => [s.name, s.seq]));
      const age = message.at ? Math.max(0, message.now - message.at) : 0;
      this.newsAt = this.heardAt / 1000 - age;
      this.dispatchEvent(new CustomEvent("snapshot", { detail: message }));
      this.#say(age * 1000 > ASK_AFTER_MS ? "silent" : "live");
    } else if (message.type === "frame") {
      this.newsAt = this.heardAt / 1000;
      const before = this.seqs.get(message.service);
      this.seqs.set(message.service, message.seq);
      if (!message.full && before !== undefined && message.seq !== before + 1) this.resubscribe();
      this.dispatchEvent(new CustomEvent("frame", { detail: message }));
      this.#say("live");
    } else if (message.type === "presence") {
      this.dispatchEvent(new CustomEvent("presence", { detail: message }));
    }
  }

  #check() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const silent = Date.now() - this.heardAt;
    if (silent > DEAD_AFTER_MS) {
      // A dead network may take minutes to admit it: go on without waiting for the close.
      const dead = this.socket;
      this.socket = undefined;
      dead.close();
      this.#lost();
    } else if (silent > ASK_AFTER_MS) this.resubscribe();
  }

  #lost() {
    if (this.isPaused) return;
    this.#say("lost");
    this.attempts += 1;
    this.#soon((0.3 + Math.random()) * Math.min(5000, 300 * 2 ** Math.min(this.attempts, 5)));
  }

  /** @param {number} ms */
  #soon(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const state = this.socket?.readyState;
      if (state !== WebSocket.OPEN && state !== WebSocket.CONNECTING) this.connect();
    }, ms);
  }

  /** @param {Status} status */
  #say(status) {
    if (status === this.status) return;
    this.status = status;
    this.dispatchEvent(new CustomEvent("status", { detail: status }));
  }
}
