/** @import {Grouping, Sort} from "./order.js" */
/** @typedef {"comfortable" | "compact" | "tiles"} Density */
/** @typedef {{q: string, sort: Sort, group: Grouping, density: Density}} Look */

/** What is not in the address. @type {Look} */
export const DEFAULTS = { q: "", sort: "worst", group: "attention", density: "comfortable" };

/** @type {Record<string, string[]>} */
const CHOICES = {
  sort: ["worst", "name", "rate", "errors", "p99", "changed"],
  group: ["attention", "dependency", "service", "state", "none"],
  density: ["comfortable", "compact", "tiles"],
};

/** How the wall is looked at, out of an address; what is not understood is as if not there.
 * @param {string} search @returns {Look} */
export function read(search) {
  const params = new URLSearchParams(search);
  /** @type {any} */
  const look = { ...DEFAULTS, q: params.get("q") ?? "" };
  for (const [key, choices] of Object.entries(CHOICES)) {
    const value = params.get(key) ?? "";
    if (choices.includes(value)) look[key] = value;
  }
  return look;
}

/** The same as an address, with only what differs from the defaults. @param {Look} look */
export function write(look) {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(look)) {
    if (value && value !== /** @type {any} */ (DEFAULTS)[key]) search.set(key, value);
  }
  return search.toString();
}
