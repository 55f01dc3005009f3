import { cloneTemplate, parts, setText } from "./dom.js";
import { overCapacity, rate } from "./format.js";
import { word } from "./format.js";

/** @import {Store} from "./store.js" */
/** @import {Cell} from "./viewport.js" */
/** @import {Entry} from "./types.js" */

/** The heading of a group. A heading that folds is a button. */
export class Heading {
  /** @param {Store} store */
  constructor(store) {
    this.store = store;
    this.element = /** @type {HTMLElement} */ (cloneTemplate("group-template").firstElementChild);
    this.parts = parts(this.element);
    this.toggle = /** @type {HTMLButtonElement} */ (this.parts.toggle);
    this.choose = /** @type {HTMLButtonElement | undefined} */ (this.parts.choose);
  }

  /** @param {Cell} cell */
  show({ group }) {
    const { element, toggle } = this;
    element.dataset.kind = group.kind ?? "";
    element.dataset.group = group.id;
    const folds = Boolean(group.folds);
    if (toggle.hidden === folds) toggle.hidden = !folds;
    toggle.setAttribute("aria-expanded", String(!group.collapsed));
    toggle.setAttribute("aria-label", `${group.collapsed ? "Show" : "Hide"} the breakers of ${group.title}`);
    setText(this.parts.name, group.title);
    setText(this.parts.note, group.note ?? this.#note(group));
    const over = group.service === null ? undefined : this.store.overCapacity.get(group.service);
    setText(this.parts.full, over ? overCapacity(over) : "");
    if (this.choose) {
      const offered = group.chooses || group.kind === "dependency" || group.kind === "rest";
      if (this.choose.hidden === offered) this.choose.hidden = !offered;
      if (offered) setText(this.choose, `Choose all ${group.entries.length}`);
    }
  }

  /** @param {Cell["group"]} group */
  #note({ entries, service, kind }) {
    const said = [kind === "healthy" ? statesOf(entries) : `${entries.length} breaker${entries.length === 1 ? "" : "s"}`];
    if (service !== null) {
      const { total, stale } = this.store.facts(service);
      // Of a moment of the past the instances are not known.
      if (total) said.push(`${total} instance${total === 1 ? "" : "s"}`);
      if (stale) said.push(`${stale} not heard of`);
    }
    if (kind === "healthy") said.push(`${rate(entries.reduce((sum, each) => sum + each.view.rate, 0))} calls/s`);
    return said.join(" · ");
  }
}

/** Such as "7 closed, 1 metrics only". @param {Entry[]} entries */
function statesOf(entries) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { view } of entries) counts.set(view.state, (counts.get(view.state) ?? 0) + 1);
  return [...counts].map(([state, n]) => `${n} ${word(state).toLowerCase()}`).join(", ");
}
