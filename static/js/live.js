/**
 * The live socket: connects, reconnects with jitter, and notices gaps.
 *
 * Dispatches `snapshot` and `frame` (detail: the message) and `status` (detail: live, connecting
 * or lost).
 */
export class Live extends EventTarget {
  /** @param {string[]} services names, or ["*"] */
  constructor(services) {
    super();
    this.services = services;
    /** @type {Map<string, number>} */
    this.seqs = new Map();
    this.attempts = 0;
    this.heardAt = 0;
    this.connect();
    // A socket may be dead without saying so: frames come at least every ten seconds.
    setInterval(() => this.#check(), 2000);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.resubscribe();
    });
    addEventListener("online", () => this.#soon(0));
  }

  connect() {
    this.#say("connecting");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/live/v1`);
    this.socket.addEventListener("open", () => {
      this.heardAt = Date.now();
      this.resubscribe();
    });
    this.socket.addEventListener("message", (event) => this.#take(JSON.parse(event.data)));
    this.socket.addEventListener("close", (event) => {
      if (event.code === 4401) {
        location.reload();
        return;
      }
      this.#lost();
    });
  }

  /** Ask for a fresh snapshot. */
  resubscribe() {
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ subscribe: { services: this.services } }));
    }
  }

  /** @param {any} message */
  #take(message) {
    this.heardAt = Date.now();
    if (message.type === "snapshot") {
      this.attempts = 0;
      this.seqs = new Map(message.services.map((/** @type {any} */ s) => [s.name, s.seq]));
      this.dispatchEvent(new CustomEvent("snapshot", { detail: message }));
      this.#say("live");
    } else if (message.type === "frame") {
      const before = this.seqs.get(message.service);
      this.seqs.set(message.service, message.seq);
      if (!message.full && before !== undefined && message.seq !== before + 1) this.resubscribe();
      this.dispatchEvent(new CustomEvent("frame", { detail: message }));
    }
  }

  #check() {
    const open = this.socket?.readyState === WebSocket.OPEN;
    if (open && Date.now() - this.heardAt > 25_000) this.socket?.close();
  }

  #lost() {
    this.#say("lost");
    this.attempts += 1;
    this.#soon(Math.random() * Math.min(5000, 400 * 2 ** this.attempts));
  }

  /** @param {number} ms */
  #soon(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const state = this.socket?.readyState;
      if (state !== WebSocket.OPEN && state !== WebSocket.CONNECTING) this.connect();
    }, ms);
  }

  /** @param {"live" | "connecting" | "lost"} status */
  #say(status) {
    this.dispatchEvent(new CustomEvent("status", { detail: status }));
  }
}
