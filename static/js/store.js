/** @import {BreakerAtInstance, BreakerView, Frame, InstanceView, Snapshot} from "./types.js" */

/** Names hold no control characters, so that a line break parts them.
 * @param {string} service @param {string} name */
export const keyOf = (service, name) => `${service}\n${name}`;

const SECONDS = 60;

/**
 * The known instances of a breaker, with the changed ones in place.
 * @param {BreakerAtInstance[]} known @param {BreakerAtInstance[]} changed
 */
function mergedInstances(known, changed) {
  if (!changed.length) return known;
  const all = new Map(known.map((each) => [each.id, each]));
  for (const each of changed) all.set(each.id, each);
  return [...all.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** The fleet as the page has it. Dispatches `change` (detail: the keys that changed). */
export class Store extends EventTarget {
  constructor() {
    super();
    /** @type {Map<string, BreakerView>} */
    this.breakers = new Map();
    /** @type {Map<string, Map<string, InstanceView>>} */
    this.services = new Map();
    /** @type {Map<string, {zones: string[], versions: string[], stale: number, total: number}>} */
    this.known = new Map();
    /** What each service has beyond its capacity. @type {Map<string, {breakers: number, instances: number}>} */
    this.overCapacity = new Map();
    /** Server's clock minus ours, in seconds. */
    this.skew = 0;
    /** The moment of the past that is shown; null while the store is live. @type {number | null} */
    this.moment = null;
  }

  /** Unix seconds on the server's clock, or the moment that is shown. */
  now() {
    return this.moment ?? Date.now() / 1000 + this.skew;
  }

  /** Zones, versions and counts of a service's instances. @param {string} service */
  facts(service) {
    let facts = this.known.get(service);
    if (!facts) {
      const instances = [...(this.services.get(service)?.values() ?? [])];
      facts = {
        zones: [...new Set(instances.map((each) => each.zone.toLowerCase()).filter(Boolean))],
        versions: [...new Set(instances.map((each) => each.version.toLowerCase()).filter(Boolean))],
        stale: instances.filter((each) => each.stale).length,
        total: instances.length,
      };
      this.known.set(service, facts);
    }
    return facts;
  }

  /** @param {Snapshot} snapshot */
  reset(snapshot) {
    const before = this.breakers;
    this.breakers = new Map();
    this.known.clear();
    this.services = new Map();
    this.overCapacity.clear();
    if (snapshot.now || snapshot.at) this.skew = (snapshot.now || snapshot.at) - Date.now() / 1000;
    const second = Math.floor(snapshot.at);
    for (const service of snapshot.services) {
      this.services.set(service.name, new Map(service.instances.map((i) => [i.id, i])));
      this.overCapacity.set(service.name, service.over_capacity);
      for (const each of service.breakers) {
        each.service = service.name;
        each.second = second;
        this.breakers.set(keyOf(service.name, each.name), each);
      }
    }
    const keys = new Set(this.breakers.keys());
    for (const key of before.keys()) keys.add(key);
    this.#emit(keys);
  }

  /** @param {Frame} frame */
  apply(frame) {
    this.skew = frame.at - Date.now() / 1000;
    const changed = new Set();
    this.overCapacity.set(frame.service, frame.over_capacity);
    this.#applyInstances(frame);
    this.#removeInstances(frame, changed);
    if (frame.full) {
      const kept = new Set(frame.breakers.map((each) => each.name));
      for (const [key, each] of this.breakers) {
        if (each.service === frame.service && !kept.has(each.name)) {
          this.breakers.delete(key);
          changed.add(key);
        }
      }
    }
    const second = Math.floor(frame.at);
    for (const each of frame.breakers) {
      const key = keyOf(frame.service, each.name);
      const known = this.breakers.get(key);
      each.service = frame.service;
      each.second = second;
      if (each.tail) extendMinute(each, known);
      // A frame brings only the instances that have changed at a breaker.
      if (known?.instances && each.instances && !frame.full) {
        each.instances = mergedInstances(known.instances, each.instances);
      }
      this.breakers.set(key, each);
      changed.add(key);
    }
    for (const name of frame.removed.breakers) {
      const key = keyOf(frame.service, name);
      this.breakers.delete(key);
      changed.add(key);
    }
    if (frame.full && !frame.breakers.length && !frame.instances.length) {
      // Nobody is left: it is in history, but no longer a service of the fleet.
      for (const each of [this.services, this.known, this.overCapacity]) each.delete(frame.service);
    }
    this.#emit(changed);
  }

  /** @param {Frame} frame */
  #applyInstances(frame) {
    let instances = this.services.get(frame.service);
    if (!instances || frame.full) this.services.set(frame.service, (instances = new Map()));
    if (frame.full || frame.instances.length || frame.removed.instances.length) {
      this.known.delete(frame.service);
    }
    for (const each of frame.instances) instances.set(each.id, each);
    for (const id of frame.removed.instances) instances.delete(id);
  }

  /** Remove instances from every breaker of the service, also from those that the frame does not
   * name. @param {Frame} frame @param {Set<string>} changed */
  #removeInstances(frame, changed) {
    if (!frame.removed.instances.length) return;
    const gone = new Set(frame.removed.instances);
    for (const [key, each] of this.breakers) {
      if (each.service !== frame.service || !each.instances?.some((at) => gone.has(at.id))) continue;
      this.breakers.set(key, { ...each, instances: each.instances.filter((at) => !gone.has(at.id)) });
      changed.add(key);
    }
  }

  /** @param {Set<string>} keys */
  #emit(keys) {
    this.dispatchEvent(new CustomEvent("change", { detail: keys }));
  }
}

/** Append the last seconds of a breaker to its known minute.
 * @param {BreakerView} view @param {BreakerView | undefined} before */
function extendMinute(view, before) {
  view.spark = shifted(before?.spark, view.tail, view.second - (before?.second ?? 0));
  view.spark_err = shifted(before?.spark_err, view.tail_err, view.second - (before?.second ?? 0));
}

/** @param {number[] | undefined} minute @param {number[]} tail @param {number} by seconds */
function shifted(minute, tail, by) {
  if (minute?.length !== SECONDS) minute = new Array(SECONDS).fill(0);
  if (by > 0) {
    minute.copyWithin(0, Math.min(by, SECONDS));
    minute.fill(0, Math.max(0, SECONDS - by));
  }
  for (let i = 0; i < tail.length; i += 1) minute[SECONDS - tail.length + i] = tail[i];
  return minute;
}
