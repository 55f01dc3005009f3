/** Who depends on what, out of what the fleet reports. */

import { byName, rank } from "./format.js";
import { keyOf } from "./store.js";

/** @import {BreakerView} from "./types.js" */
/** @import {Store} from "./store.js" */

/**
 * @typedef {{id: string, name: string, isService: boolean, instances: number, state: string,
 *   rate: number}} Node `state` is the worst that its callers see of it
 * @typedef {{from: string, to: string, view: BreakerView}} Line
 * @typedef {{nodes: Map<string, Node>, lines: Line[], left: number}} Graph
 */

/** So many lines are drawn; of more, those that matter most. */
export const MOST_LINES = 120;

/** A breaker named like a service leads to that service; breakers of one name to one dependency.
 * @param {Store} store @param {string[]} words what names have to contain, one of them at least
 * @param {ReadonlyMap<string, unknown>} drawn keys of lines that are drawn already: among equals they
 *   stay, so that the picture does not change with every call @returns {Graph} */
export function graphOf(store, words, drawn) {
  const wanted = (/** @type {string} */ name) => words.some((word) => name.toLowerCase().includes(word));
  const found = [...store.breakers.values()].filter(
    (each) => !words.length || wanted(each.service) || wanted(each.name),
  );
  const all = found.length;
  if (found.length > MOST_LINES) {
    const stays = (/** @type {BreakerView} */ each) => (drawn.has(keyOf(each.service, each.name)) ? 0 : 1);
    const ranked = found.map((view) => ({ view, rank: rank(view.state), stays: stays(view) }));
    ranked.sort((a, b) => a.rank - b.rank || a.stays - b.stays || b.view.rate - a.view.rate);
    found.splice(0, found.length, ...ranked.slice(0, MOST_LINES).map((each) => each.view));
  }
  found.sort((a, b) => rank(a.state) - rank(b.state) || byName(a, b));
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
  const lines = found.map((view) => {
    const from = node(view.service, true);
    const to = node(view.name, false);
    if (!to.state || rank(view.state) < rank(to.state)) to.state = view.state;
    to.rate += view.rate;
    return { from: from.id, to: to.id, view };
  });
  if (!words.length) for (const name of store.services.keys()) if (nodes.size < MOST_LINES) node(name, true);
  return { nodes, lines, left: all - lines.length };
}
