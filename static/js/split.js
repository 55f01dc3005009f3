/** Where a breaker is open when it is not open everywhere; as dashboard/alerts/splits.py says it. */

import { make } from "./dom.js";

/** @import {BreakerAtInstance, InstanceView} from "./types.js" */
/** @typedef {{value: string, open: number, total: number}} Share */

const SHOWN = 12;
const WORDS = { version: "", zone: "zone " };

/** Open and all live instances for each version or zone.
 * @param {BreakerAtInstance[]} instances @param {Map<string, InstanceView>} infos
 * @param {"version" | "zone"} by @returns {Share[]} */
export function split(instances, infos, by) {
  /** @type {Map<string, Share>} */
  const shares = new Map();
  for (const each of instances) {
    const value = infos.get(each.id)?.[by];
    if (!value || each.stale) continue;
    const share = shares.get(value) ?? { value, open: 0, total: 0 };
    share.total += 1;
    if (each.state === "open" || each.state === "half_open") share.open += 1;
    shares.set(value, share);
  }
  return [...shares.values()].sort((a, b) => (a.value < b.value ? -1 : 1));
}

/** "v124", "zone eu-west", or nothing if versions and zones do not separate the open ones.
 * @param {BreakerAtInstance[]} instances @param {Map<string, InstanceView>} infos */
export function openOnlyOn(instances, infos) {
  for (const by of /** @type {const} */ (["version", "zone"])) {
    const shares = split(instances, infos, by);
    const whole = shares.filter((each) => each.open === each.total);
    const untouched = shares.filter((each) => each.open === 0);
    if (whole.length === 1 && untouched.length && shares.length === untouched.length + 1) {
      return WORDS[by] + whole[0].value;
    }
  }
  return "";
}

/** A bar for each version and zone, while it is open on some and not on all.
 * @param {HTMLElement} into @param {BreakerAtInstance[]} instances
 * @param {Map<string, InstanceView>} infos */
export function showSplit(into, instances, infos) {
  const live = instances.filter((each) => !each.stale && infos.has(each.id));
  const open = live.filter((each) => each.state === "open" || each.state === "half_open").length;
  const rows = /** @type {const} */ (["version", "zone"]).flatMap((by) => {
    const shares = split(instances, infos, by);
    return shares.length > 1 ? shares.slice(0, SHOWN).map((each) => ({ by, ...each })) : [];
  });
  into.hidden = !rows.length || open === 0 || open === live.length;
  const signature = into.hidden ? "" : JSON.stringify(rows);
  if (into.dataset.shown === signature) return;
  into.dataset.shown = signature;
  const body = /** @type {HTMLElement} */ (into.querySelector("tbody"));
  body.replaceChildren(
    ...rows.map((each) => {
      const row = document.createElement("tr");
      const bar = /** @type {HTMLMeterElement} */ (make("meter", ""));
      bar.max = each.total;
      bar.value = each.open;
      bar.setAttribute("aria-label", `Open on ${each.open} of ${each.total}`);
      const cell = make("td", "");
      cell.append(bar, ` ${each.open} of ${each.total}`);
      row.append(make("td", `${each.by} ${each.value}`), cell);
      return row;
    }),
  );
}
