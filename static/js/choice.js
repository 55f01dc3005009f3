import { parts, setText } from "./dom.js";
import { rate } from "./format.js";

/** @import {Store} from "./store.js" */

/** Which breakers are chosen, and the bar that acts on them. Dispatches `change`. */
export class Choice extends EventTarget {
  /** @param {Store} store @param {() => string[]} order the keys that are shown, in order */
  constructor(store, order) {
    super();
    this.store = store;
    this.order = order;
    /** @type {Set<string>} */
    this.keys = new Set();
    this.anchor = "";
    this.bar = document.getElementById("bulk");
    this.parts = this.bar ? parts(this.bar) : {};
    this.bar?.addEventListener("click", (event) => {
      const button = /** @type {Element} */ (event.target).closest("button");
      if (button?.hasAttribute("data-all")) this.set(this.order());
      else if (button?.hasAttribute("data-none")) this.clear();
    });
  }

  /** @param {string} key @param {boolean} toHere all from the last one to this one too */
  toggle(key, toHere = false) {
    const order = toHere ? this.order() : [];
    const [from, to] = [order.indexOf(this.anchor), order.indexOf(key)];
    if (from >= 0 && to >= 0) {
      for (const each of order.slice(Math.min(from, to), Math.max(from, to) + 1)) this.keys.add(each);
    } else if (!this.keys.delete(key)) this.keys.add(key);
    this.anchor = key;
    this.#tell();
  }

  /** @param {Iterable<string>} keys */
  set(keys) {
    this.keys = new Set(keys);
    this.#tell();
  }

  clear() {
    this.set([]);
  }

  /** Forget those that are gone, and say again what the others amount to. */
  refresh() {
    if (!this.keys.size) return;
    for (const key of this.keys) if (!this.store.breakers.has(key)) this.keys.delete(key);
    if (this.keys.size) this.#say();
    else this.#tell();
  }

  /** The chosen ones as pairs of service and breaker. @returns {[string, string][]} */
  targets() {
    return targetsOf(this.store, this.keys);
  }

  #tell() {
    this.#say();
    this.dispatchEvent(new Event("change"));
  }

  #say() {
    if (!this.bar) return;
    const hide = this.keys.size === 0;
    if (this.bar.hidden !== hide) this.bar.hidden = hide;
    document.body.classList.toggle("is-choosing", !hide);
    if (hide) return;
    let calls = 0;
    const services = new Set();
    for (const key of this.keys) {
      const view = this.store.breakers.get(key);
      calls += view?.rate ?? 0;
      services.add(view?.service);
    }
    const n = this.keys.size;
    const of = `${services.size} service${services.size === 1 ? "" : "s"}`;
    setText(this.parts.words, `${n} chosen of ${of}, ${rate(calls)} calls/s`);
    const all = /** @type {HTMLElement} */ (this.bar.querySelector("[data-all]"));
    setText(all, `Choose all ${this.order().length}`);
  }
}

/** @param {Store} store @param {Iterable<string>} keys @returns {[string, string][]} */
export function targetsOf(store, keys) {
  /** @type {[string, string][]} */
  const found = [];
  for (const key of keys) {
    const view = store.breakers.get(key);
    if (view) found.push([view.service, view.name]);
  }
  return found;
}
