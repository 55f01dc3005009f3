/** @import {BreakerView, Frame, InstanceView, Snapshot} from "./types.js" */

/** @param {string} service @param {string} name */
export const keyOf = (service, name) => JSON.stringify([service, name]);

/** What the page knows of the fleet. Dispatches `change` (detail: the keys that changed). */
export class Store extends EventTarget {
  constructor() {
    super();
    /** @type {Map<string, BreakerView>} */
    this.breakers = new Map();
    /** @type {Map<string, Map<string, InstanceView>>} */
    this.services = new Map();
    /** Server's clock minus ours, in seconds. */
    this.skew = 0;
  }

  /** Unix seconds on the server's clock. */
  now() {
    return Date.now() / 1000 + this.skew;
  }

  /** @param {Snapshot} snapshot */
  reset(snapshot) {
    const before = new Set(this.breakers.keys());
    this.breakers = new Map();
    this.services = new Map();
    if (snapshot.at) this.skew = snapshot.at - Date.now() / 1000;
    for (const service of snapshot.services) {
      this.services.set(service.name, new Map(service.instances.map((i) => [i.id, i])));
      for (const each of service.breakers) this.breakers.set(keyOf(service.name, each.name), each);
    }
    this.#tell(new Set([...before, ...this.breakers.keys()]));
  }

  /** @param {Frame} frame */
  lay(frame) {
    this.skew = frame.at - Date.now() / 1000;
    const changed = new Set();
    let instances = this.services.get(frame.service);
    if (!instances || frame.full) {
      this.services.set(frame.service, (instances = new Map()));
    }
    for (const each of frame.instances) instances.set(each.id, each);
    for (const id of frame.removed.instances) instances.delete(id);
    if (frame.full) {
      const kept = new Set(frame.breakers.map((each) => each.name));
      for (const [key, each] of this.breakers) {
        if (each.service === frame.service && !kept.has(each.name)) {
          this.breakers.delete(key);
          changed.add(key);
        }
      }
    }
    for (const each of frame.breakers) {
      const key = keyOf(frame.service, each.name);
      this.breakers.set(key, each);
      changed.add(key);
    }
    for (const name of frame.removed.breakers) {
      const key = keyOf(frame.service, name);
      this.breakers.delete(key);
      changed.add(key);
    }
    this.#tell(changed);
  }

  /** @param {Set<string>} keys */
  #tell(keys) {
    this.dispatchEvent(new CustomEvent("change", { detail: keys }));
  }
}
