/** Who depends on what, out of what the fleet reports. */

import { condition, needsAttention, severity } from "./condition.js";
import { byName } from "./format.js";
import { keyOf } from "./store.js";

/** @import {BreakerView} from "./types.js" */
/** @import {Store} from "./store.js" */

/**
 * @typedef {{id: string, name: string, isService: boolean, instances: number, stale: number,
 *   state: string, rate: number}} Node `state` is its own health: the worst condition of its breakers
 *   and of those that guard it, or stale where none of its instances is heard of
 * @typedef {{from: string, to: string, view: BreakerView}} Line
 * @typedef {{nodes: Map<string, Node>, lines: Line[], left: number, total: number, bad: number,
 *   services: number, focused: boolean}} Graph `total` and `bad` count all that match, `left` those
 *   that are not drawn
 */

/** The most lines that are drawn; beyond that, the worst and busiest. */
export const MOST_LINES = 120;
/** A graph with more lines opens on what is in trouble. */
const FOCUS_FROM = 40;

/** A breaker named like a service leads to that service; breakers of one name to one dependency.
 * @param {Store} store @param {string[]} words what names have to contain, one of them at least
 * @param {ReadonlyMap<string, unknown>} drawn keys of lines that are drawn already: among equals they
 *   stay, so that the picture does not change with every call
 * @param {boolean} focuses show only what is in trouble and its callers, where that is something
 * @returns {Graph} */
export function graphOf(store, words, drawn, focuses = false) {
  const wanted = (/** @type {string} */ name) => words.some((word) => name.toLowerCase().includes(word));
  const matching = [...store.breakers.values()].filter(
    (each) => !words.length || wanted(each.service) || wanted(each.name),
  );
  const bad = matching.filter(needsAttention);
  const focused = focuses && !words.length && bad.length > 0 && matching.length > FOCUS_FROM;
  const found = worst(focused ? withCallers(matching, bad) : matching, drawn);
  found.sort((a, b) => severity(condition(a)) - severity(condition(b)) || byName(a, b));
  /** @type {Map<string, Node>} */
  const nodes = new Map();
  const node = (/** @type {string} */ name, /** @type {boolean} */ asService) => {
    const isService = asService || store.services.has(name);
    const id = `${isService ? "s" : "d"}:${name}`;
    let known = nodes.get(id);
    if (!known) {
      const { total, stale } = isService ? store.facts(name) : { total: 0, stale: 0 };
      const state = total && stale === total ? "stale" : "";
      known = { id, name, isService, instances: total, stale, state, rate: 0 };
      nodes.set(id, known);
    }
    return known;
  };
  const lines = found.map((view) => {
    const from = node(view.service, true);
    const to = node(view.name, false);
    to.rate += view.rate;
    worsen(to, view);
    worsen(from, view);
    return { from: from.id, to: to.id, view };
  });
  if (!words.length && !focused) {
    for (const name of store.services.keys()) if (nodes.size < MOST_LINES) node(name, true);
  }
  const services = new Set(matching.map((each) => each.service)).size;
  return { nodes, lines, left: matching.length - lines.length, total: matching.length, bad: bad.length, services, focused };
}

/** @param {Node} node @param {BreakerView} view */
function worsen(node, view) {
  const name = condition(view);
  if (!node.state || severity(name) < severity(node.state)) node.state = name;
}

/** Breakers in trouble, and those that guard the services they are in, up to the first callers.
 * @param {BreakerView[]} all @param {BreakerView[]} bad */
function withCallers(all, bad) {
  const kept = new Set(bad);
  let affected = new Set(bad.map((each) => each.service));
  while (affected.size) {
    const next = new Set();
    for (const each of all) {
      if (kept.has(each) || !affected.has(each.name)) continue;
      kept.add(each);
      next.add(each.service);
    }
    affected = next;
  }
  return [...kept];
}

/** At most `MOST_LINES`. @param {BreakerView[]} found @param {ReadonlyMap<string, unknown>} drawn */
function worst(found, drawn) {
  if (found.length <= MOST_LINES) return found;
  const stays = (/** @type {BreakerView} */ each) => (drawn.has(keyOf(each.service, each.name)) ? 0 : 1);
  const ranked = found.map((view) => ({ view, rank: severity(condition(view)), stays: stays(view) }));
  ranked.sort((a, b) => a.rank - b.rank || a.stays - b.stays || b.view.rate - a.view.rate);
  return ranked.slice(0, MOST_LINES).map((each) => each.view);
}
