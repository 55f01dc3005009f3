import { attentionGroups, dependencyGroups } from "./attention.js";
import { condition, SEVERITY, severity } from "./condition.js";
import { word } from "./format.js";

/** @import {BreakerView, Entry} from "./types.js" */
/**
 * @typedef {object} Group rows under one heading, or without one
 * @property {string} id
 * @property {string} title
 * @property {string | null} service
 * @property {Entry[]} entries
 * @property {boolean} heading
 * @property {boolean} collapsed the entries are not shown
 * @property {boolean} [folds] a click on the heading shows or hides the entries
 * @property {boolean} [chooses] a button on the heading chooses all entries
 * @property {string} [note] in place of the number of breakers
 * @property {"attention" | "dependency" | "rest" | "healthy"} [kind]
 */
/** @typedef {"worst" | "name" | "rate" | "errors" | "p99" | "changed"} Sort */
/** @typedef {"attention" | "dependency" | "service" | "state" | "none"} Grouping */
/** @typedef {{open: Set<string>, lines: number, now: number}} Space `open` are the headings that
 *   somebody opened, `lines` is how many rows fit on the screen */

/** Plain code points: a thousand times faster than a locale's order, and the same everywhere.
 * @param {string} a @param {string} b */
const text = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** @type {Record<string, (view: BreakerView) => number>} */
const FIGURE = {
  rate: (view) => view.rate,
  errors: (view) => view.failed_pct ?? -1,
  p99: (view) => view.p99_ms ?? -1,
  changed: (view) => view.last?.at ?? 0,
};

/** The order that all others are laid over. @param {Entry} a @param {Entry} b */
export const byName = (a, b) => text(a.service, b.service) || text(a.name, b.name);

/**
 * Entries in groups, both in order. `entries` are sorted by service and name already; what ties
 * stays so.
 *
 * @param {Entry[]} entries @param {Sort} sort @param {Grouping} grouping @param {Space} space
 * @returns {Group[]}
 */
export function arranged(entries, sort, grouping, space) {
  if (grouping === "attention") return attentionGroups(entries, (some) => sorted(some, sort), space, sort);
  if (grouping === "dependency") return dependencyGroups(entries, (some) => sorted(some, sort), space, sort);
  /** @type {Map<string, Group>} */
  const groups = new Map();
  for (const entry of entries) {
    const id = grouping === "service" ? entry.service : grouping === "state" ? entry.view.state : "";
    let group = groups.get(id);
    if (!group) {
      const title = grouping === "state" ? word(id) : id;
      const service = grouping === "service" ? id : null;
      group = { id, title, service, entries: [], heading: grouping !== "none", collapsed: false };
      groups.set(id, group);
    }
    group.entries.push(entry);
  }
  for (const group of groups.values()) group.entries = sorted(group.entries, sort);
  const found = [...groups.values()];
  if (grouping === "state") found.sort((a, b) => severity(a.id) - severity(b.id));
  else if (grouping === "service" && sort !== "name") {
    const read = sort === "worst" ? (/** @type {BreakerView} */ v) => -severity(condition(v)) : FIGURE[sort];
    // The first of a sorted group is its worst, or has its highest figure.
    const best = new Map(found.map((group) => [group, read(group.entries[0].view)]));
    found.sort((a, b) => (best.get(b) ?? 0) - (best.get(a) ?? 0) || text(a.id, b.id));
  }
  return found;
}

/** @param {Entry[]} entries @param {Sort} sort */
export function sorted(entries, sort) {
  if (sort === "name") return entries;
  if (sort !== "worst") {
    const read = FIGURE[sort];
    return entries.sort((a, b) => read(b.view) - read(a.view));
  }
  /** @type {Entry[][]} */
  const ranks = SEVERITY.map(() => []);
  for (const entry of entries) ranks[severity(condition(entry.view))].push(entry);
  return ranks.flat();
}
