/** Who depends on what, out of what the fleet reports. */

import { byName, rank } from "./format.js";

/** @import {BreakerView} from "./types.js" */
/** @import {Store} from "./store.js" */

/**
 * @typedef {{id: string, name: string, isService: boolean, instances: number, state: string,
 *   rate: number}} Node `state` is the worst that its callers see of it
 * @typedef {{from: string, to: string, view: BreakerView}} Line
 * @typedef {{nodes: Map<string, Node>, lines: Line[], left: number}} Graph
 */

/** So many lines are drawn; of more, those that matter most. */
export const MOST_LINES = 240;

/** A breaker named like a service leads to that service; breakers of one name to one dependency.
 * @param {Store} store @param {string[]} words what names have to contain, one of them at least @returns {Graph} */
export function graphOf(store, words) {
  const wanted = (/** @type {string} */ name) => words.some((word) => name.toLowerCase().includes(word));
  const found = [...store.breakers.values()].filter(
    (each) => !words.length || wanted(each.service) || wanted(each.name),
  );
  found.sort(
    (a, b) =>
      rank(a.state) - rank(b.state) || b.rate - a.rate || byName(a, b),
  );
  /** @type {Map<string, Node>} */
  const nodes = new Map();
  const node = (/** @type {string} */ name, /** @type {boolean} */ asService) => {
    const isService = asService || store.services.has(name);
    const id = `${isService ? "s" : "d"}:${name}`;
    let known = nodes.get(id);
    if (!known) {
      const instances = isService ? store.facts(name).total : 0;
      known = { id, name, isService, instances, state: "", rate: 0 };
      nodes.set(id, known);
    }
    return known;
  };
  const lines = found.slice(0, MOST_LINES).map((view) => {
    const from = node(view.service, true);
    const to = node(view.name, false);
    if (!to.state || rank(view.state) < rank(to.state)) to.state = view.state;
    to.rate += view.rate;
    return { from: from.id, to: to.id, view };
  });
  if (!words.length) for (const name of store.services.keys()) if (nodes.size < MOST_LINES) node(name, true);
  return { nodes, lines, left: found.length - lines.length };
}
